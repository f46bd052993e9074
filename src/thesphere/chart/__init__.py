"""The chart: a position on the sphere S2 for every point, so that neighbours lie together. For looking, zones
and harmonics; search never uses it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from thesphere.chart.pca import pca_positions
from thesphere.geometry import angles

if TYPE_CHECKING:
    from thesphere.chart.layout import Chart, chart
    from thesphere.chart.measure import nearest_on_chart, overlap, trustworthiness
    from thesphere.chart.placing import place
    from thesphere.chart.spectral import spectral_positions

HOMES = {  # these load a compiler: only when they are asked for
    "Chart": "layout",
    "chart": "layout",
    "nearest_on_chart": "measure",
    "overlap": "measure",
    "place": "placing",
    "spectral_positions": "spectral",
    "trustworthiness": "measure",
}

__all__ = [
    "Chart",
    "angles",
    "chart",
    "nearest_on_chart",
    "overlap",
    "pca_positions",
    "place",
    "spectral_positions",
    "trustworthiness",
]


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(import_module(f"thesphere.chart.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
