"""Cells of like rows: what an index opens one by one. `partition` makes them, a strategy says how."""

from typing import TYPE_CHECKING, Any

from thesphere.roots.partition.methods import METHODS
from thesphere.roots.partition.record import Partition, Report

if TYPE_CHECKING:
    from thesphere.roots.partition.alternating_axis import AlternatingAxis
    from thesphere.roots.partition.divide import partition
    from thesphere.roots.partition.ising import Ising
    from thesphere.roots.partition.kmeans import Kmeans
    from thesphere.roots.partition.potts import Potts
    from thesphere.roots.partition.shells import Shells

__all__ = [
    "METHODS",
    "AlternatingAxis",
    "Ising",
    "Kmeans",
    "Partition",
    "Potts",
    "Report",
    "Shells",
    "partition",
]

_HOMES = {"partition": "divide", **{cls: module for module, cls in METHODS.items()}}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"thesphere.roots.partition.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
