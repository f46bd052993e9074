"""Cones: the cells around a peak, which share a part of the budget."""

from dataclasses import dataclass

import numpy as np

from thesphere.geometry import angular_density, cone_width
from thesphere.navigate.peaks import Peaks
from thesphere.runtime import precision_of


@dataclass(frozen=True)
class Shape:
    """What cones need to know of the roots and cells of an index. Made once per index, by `shape_of`.

    Attributes:
        angles: float32 [K0, K], radians between each root's mean and each cell's centre.
        homes: int64 [K], the root of each cell.
        radii: float64 [K0], each root's mean radius: of what is asked of an index of raw vectors, their norm.
        densities: float64 [K0], how crowded the roots are around each, weighted by their points, in [0, 1].
    """

    angles: np.ndarray
    homes: np.ndarray
    radii: np.ndarray
    densities: np.ndarray


def shape_of(
    centroids: np.ndarray, starts: np.ndarray, radii: np.ndarray, counts: np.ndarray, centres: np.ndarray
) -> Shape:
    """The shape of an index.

    Args:
        centroids: [K0, D], the roots' means, of any length.
        starts: integers [K0 + 1]: root r holds the cells starts[r] ... starts[r + 1] - 1.
        radii: [K0], 0 or more.
        counts: [K0], points of each root.
        centres: [K, D], the cells' means.
    """
    roots, cells = _units(centroids), _units(centres)
    angles = np.arccos(np.clip(roots @ cells.T, -1, 1)).astype(np.float32)
    homes = np.repeat(np.arange(len(roots)), np.diff(starts))
    placed = roots.any(axis=1) & (counts > 0)
    densities = np.zeros(len(roots))
    if placed.any():
        densities[placed] = angular_density(roots[placed], roots[placed], weights=counts[placed])
    return Shape(angles, homes, np.asarray(radii, np.float64), densities)


@dataclass(frozen=True)
class Cones:
    """C cones over K cells.

    Attributes:
        peaks: where they point, and how strongly.
        apertures: float64 [C], half-angles in radians.
        members: int64 [K], the cone of each cell; -1 for cells outside all apertures.
        nearest: int64 [K], the cone whose axis is nearest to each cell: where it goes if cones widen.
    """

    peaks: Peaks
    apertures: np.ndarray
    members: np.ndarray
    nearest: np.ndarray

    def __len__(self) -> int:
        return len(self.peaks)


def complexity(activations: np.ndarray) -> float:
    """How many roots a query excites, in [0, 1]: the share, besides the best, of those at more than half of the
    best one's height above the median. 0 for a query that one root answers."""
    if len(activations) < 2:
        return 0.0
    floor = np.median(activations)
    excited = activations > (activations.max() + floor) / 2
    return float(max(excited.sum() - 1, 0) / (len(activations) - 1))


def open_cones(peaks: Peaks, activations: np.ndarray, shape: Shape) -> Cones:
    """One cone per peak: all cells whose centre lies within its aperture, and those of the peak's own root.

    The aperture follows the adaptive cone law (`geometry.cone_width`): wider far out, narrower where roots
    crowd and for queries that excite many. A cell within several cones belongs to the one whose axis is
    nearest, of equal ones the strongest, so that no cell is read twice. The earlier system's cones all pointed
    to one place of the chart, where nothing lay.

    Args:
        peaks: at least one.
        activations: [K0].
        shape: of the index.
    """
    largest = shape.radii.max() or 1.0
    apertures = np.asarray(
        cone_width(
            shape.radii[peaks.roots], largest, shape.densities[peaks.roots], np.array(complexity(activations))
        ),
        np.float64,
    )
    angles = shape.angles[peaks.roots]
    own = shape.homes == peaks.roots[:, None]
    within = np.where(own | (angles <= apertures[:, None]), angles, np.inf)
    members = within.argmin(axis=0)
    return Cones(
        peaks, apertures, np.where(np.isfinite(within.min(axis=0)), members, -1), angles.argmin(axis=0)
    )


def _units(rows: np.ndarray) -> np.ndarray:
    wide = np.asarray(rows, precision_of("angles"))
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
