"""Spherical harmonics on the chart: basis, transforms, scattered points, interference fields and their peaks.

Needs the extra `jax`; importing this package alone loads nothing of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thesphere.harmonics.basis import basis_at, complex_basis, degrees_orders, real_basis
    from thesphere.harmonics.field import Field, interference_field
    from thesphere.harmonics.peaks import Peaks, find_peaks
    from thesphere.harmonics.scattered import Fit, evaluate, fit, mesh, scatter
    from thesphere.harmonics.spectrum import heat_width, heat_window, power
    from thesphere.harmonics.transform import forward, from_s2fft, grid_angles, inverse, to_s2fft

__all__ = [
    "Field",
    "Fit",
    "Peaks",
    "basis_at",
    "complex_basis",
    "degrees_orders",
    "evaluate",
    "find_peaks",
    "fit",
    "forward",
    "from_s2fft",
    "grid_angles",
    "heat_width",
    "heat_window",
    "interference_field",
    "inverse",
    "mesh",
    "power",
    "real_basis",
    "scatter",
    "to_s2fft",
]

_MODULES = {
    "basis": "basis_at complex_basis degrees_orders real_basis",
    "field": "Field interference_field",
    "peaks": "Peaks find_peaks",
    "spectrum": "heat_window heat_width power",
    "scattered": "Fit evaluate fit mesh scatter",
    "transform": "forward from_s2fft grid_angles inverse to_s2fft",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"thesphere.harmonics.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
