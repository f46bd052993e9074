"""How long patches are: quantiles, size classes, and the share of long ones ("myelination")."""

from collections.abc import Sequence

import numpy as np

from thesphere.errors import InputError

CLASSES = {"small": 4, "small_plus": 12, "medium": 24, "medium_plus": 48, "large": 127}
"""Size classes by their longest patch in bytes; anything longer is "xl"."""

LONG = 48
"""Patches longer than this are "myelinated": the predictable runs along which text moves fast."""


def patch_statistics(lengths: Sequence[int] | np.ndarray) -> dict[str, int | float]:
    """Statistics of patch lengths in bytes, the same keys for any number of patches (zeros for none).

    num_patches, avg_length, min_length, max_length; p50, p75, p90, p95, each the element at int(n q) of the
    sorted lengths; the number of patches in each size class small (<= 4), small_plus (<= 12), medium (<= 24),
    medium_plus (<= 48), large (<= 127) and xl; myelination_ratio, the share of patches that are large or xl;
    and myelination_density, the mean length of patches above 48 bytes (0 if there are none). Raises
    InputError for lengths below 1.
    """
    values = np.sort(np.asarray(lengths, dtype=np.int64).ravel())
    n = len(values)
    if n and values[0] < 1:
        raise InputError(f"patch lengths are at least 1, got {values[0]}: drop the padding of ragged batches")
    found: dict[str, int | float] = {
        "num_patches": n,
        "avg_length": float(values.mean()) if n else 0.0,
        "min_length": int(values[0]) if n else 0,
        "max_length": int(values[-1]) if n else 0,
    }
    for percent in (50, 75, 90, 95):
        found[f"p{percent}"] = int(values[n * percent // 100]) if n else 0
    of_class = np.searchsorted(list(CLASSES.values()), values, side="left")
    counts = np.bincount(of_class, minlength=len(CLASSES) + 1)
    found |= {name: int(count) for name, count in zip([*CLASSES, "xl"], counts, strict=True)}
    long = values[values > LONG]
    found["myelination_ratio"] = len(long) / n if n else 0.0
    found["myelination_density"] = float(long.mean()) if len(long) else 0.0
    return found
