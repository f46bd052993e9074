"""Zones on the chart: who lies where, and a start that already respects it."""

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry import Zones


def checked_roles(roles: np.ndarray | None, count: int) -> np.ndarray:
    """int64 [N] of 0 (content), 1 (instruction), 2 (question); None: all content.

    Raises:
        InputError: not one role for each point, or another number.
    """
    if roles is None:
        return np.zeros(count, np.int64)
    given = np.asarray(roles)
    if given.shape != (count,) or given.dtype.kind not in "iu" or not np.isin(given, (0, 1, 2)).all():
        raise InputError(
            f"roles have shape {list(given.shape)} and dtype {given.dtype}; give one of 0 (content),"
            f" 1 (instruction), 2 (question) for each of {count} points"
        )
    return given.astype(np.int64)


def heights_of(zones: Zones | None) -> np.ndarray:
    """float64 [3, 2]: the least and the largest z = cos(theta) of each role; the whole sphere without
    zones."""
    if zones is None:
        return np.tile([-1.0, 1.0], (3, 1))
    return np.cos(zones.ranges[:, ::-1])


def into_zones(positions: np.ndarray, zones: Zones, roles: np.ndarray) -> np.ndarray:
    """The whole sphere squeezed into each point's zone, areas kept in proportion: a linear map of z
    (Archimedes' cylinder), along the meridians. float32 [N, 3]."""
    low, high = heights_of(zones)[roles].T
    x, y, z = positions.astype(np.float64).T
    z = low + (z + 1) / 2 * (high - low)
    across = np.hypot(x, y)
    ring = np.sqrt(np.maximum(0, 1 - z * z)) / np.where(across > 0, across, 1)
    x = np.where(across > 0, x, 1)
    return zones.constrain(np.stack([x * ring, y * ring, z], axis=1).astype(np.float32), roles)


def scales_of(zones: Zones | None, roles: np.ndarray, tightness: float) -> np.ndarray:
    """float32 [N]: `tightness` times the typical distance sqrt(area / points) in each point's zone, radians."""
    heights = heights_of(zones)
    areas = 2 * np.pi * (heights[:, 1] - heights[:, 0])
    points = np.bincount(roles, minlength=3)
    return (tightness * np.sqrt(areas / np.maximum(points, 1)))[roles].astype(np.float32)
