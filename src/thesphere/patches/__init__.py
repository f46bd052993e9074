"""Patches: bytes cut where a byte model is surprised, and the passages made of them."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thesphere.patches.boundaries import Monotonic as Monotonic
    from thesphere.patches.boundaries import Threshold as Threshold
    from thesphere.patches.boundaries import ThresholdAdd as ThresholdAdd
    from thesphere.patches.boundaries import lengths as lengths
    from thesphere.patches.boundaries import starts as starts
    from thesphere.patches.entropy import EntropyModel as EntropyModel
    from thesphere.patches.light import LightModel as LightModel
    from thesphere.patches.passages import Cut as Cut
    from thesphere.patches.passages import Cutter as Cutter
    from thesphere.patches.statistics import statistics as statistics
    from thesphere.patches.texts import patch_dataset as patch_dataset
    from thesphere.patches.texts import patch_text as patch_text
