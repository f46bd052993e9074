"""Which cells to open first: a router estimates the best score that each cell holds for a query."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thesphere.roots.routing.centroid import Centroid
    from thesphere.roots.routing.learned import Learned
    from thesphere.roots.routing.questions import held_back, learned_from
    from thesphere.roots.routing.router import Router, fit_router, router_from

__all__ = ["Centroid", "Learned", "Router", "fit_router", "held_back", "learned_from", "router_from"]

_HOMES = {
    "Centroid": "centroid",
    "Learned": "learned",
    "Router": "router",
    "fit_router": "router",
    "held_back": "questions",
    "learned_from": "questions",
    "router_from": "router",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"thesphere.roots.routing.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
