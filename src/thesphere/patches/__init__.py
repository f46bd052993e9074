"""Patches: bytes cut where a byte model is surprised, and the passages made of them."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thesphere.patches.boundaries import Monotonic as Monotonic
    from thesphere.patches.boundaries import Threshold as Threshold
    from thesphere.patches.boundaries import ThresholdAdd as ThresholdAdd
    from thesphere.patches.light import LightModel as LightModel
    from thesphere.patches.models import open_entropy_model as open_entropy_model
    from thesphere.patches.passages import Cutter as Cutter
    from thesphere.patches.statistics import patch_statistics as patch_statistics
    from thesphere.patches.texts import patch_dataset as patch_dataset
    from thesphere.patches.texts import patch_text as patch_text

_HOMES = {
    "Cutter": "passages",
    "LightModel": "light",
    "Monotonic": "boundaries",
    "Threshold": "boundaries",
    "ThresholdAdd": "boundaries",
    "open_entropy_model": "models",
    "patch_dataset": "texts",
    "patch_statistics": "statistics",
    "patch_text": "texts",
}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):  # numba is loaded with the first kernel that is needed, not before
    if name in _HOMES:
        return getattr(import_module(f"thesphere.patches.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'thesphere.patches' has no attribute {name!r}")
