"""Navigation: from what a query excites to where it should look, and what it finds there."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thesphere.navigate.budget import Plan, plan
    from thesphere.navigate.cones import Cones, open_cones
    from thesphere.navigate.energies import Weights
    from thesphere.navigate.navigation import Cone, Navigation
    from thesphere.navigate.navigator import Index, Navigator, Signals
    from thesphere.navigate.peaks import Peaks, activate, detect_peaks

__all__ = [
    "Cone",
    "Cones",
    "Index",
    "Navigation",
    "Navigator",
    "Peaks",
    "Plan",
    "Signals",
    "Weights",
    "activate",
    "detect_peaks",
    "open_cones",
    "plan",
]

_MODULES = {
    "budget": "Plan plan",
    "cones": "Cones open_cones",
    "energies": "Weights",
    "navigation": "Cone Navigation",
    "navigator": "Index Navigator Signals",
    "peaks": "Peaks activate detect_peaks",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"thesphere.navigate.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
