"""Which points pull on which, and how finely the chart can tell them apart."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from thesphere.neighbours.graph import Neighbours

BLURRED, FINEST = 20.0, 1e4  # beyond 1e4, 1 - cos between neighbours nears the rounding of float32


@dataclass(frozen=True)
class Couplings:
    """A symmetric sparse graph in rows of equal width, so that forces need to gather only, never to scatter.

    Attributes:
        ids: int32 [N, k]; a point's own id where a slot is empty.
        weights: float32 [N, k], 0 or more, 0 where a slot is empty; the weight of (i, j) is that of (j, i).
    """

    ids: np.ndarray
    weights: np.ndarray


def couple(neighbours: Neighbours, k: int = 8, *, scaled: bool = True) -> Couplings:
    """The pairs that are among each other's k nearest, weighted by similarity (negative ones by 0).

    Mutual pairs are symmetric as they are, no row is longer than k, and hubs lose their one-sided admirers. On
    10,000 MiniLM rows a chart relaxed along the 3.8 mutual pairs of a point kept more neighbours than along all
    8, or their union.

    Args:
        neighbours: of the N points.
        k: how many nearest count, 1 or more.
        scaled: divide the weight of (i, j) by sqrt(d_i d_j), d = a row's sum. The largest eigenvalue of the
            weights is then 1 at most, which bounds the curvature of every energy made of them.
    """
    near = neighbours.first(k)
    ids, similarities = np.ascontiguousarray(near.ids), np.ascontiguousarray(near.similarities)
    targets, weights = np.empty(ids.shape, np.int32), np.empty(ids.shape, np.float32)
    _mutual(ids, similarities, targets, weights)
    if scaled:
        degrees = weights.sum(axis=1)
        roots = np.sqrt(np.where(degrees > 0, degrees, 1))
        scale = np.take(roots, targets)
        scale *= roots[:, None]  # one product, rounded alike for (i, j) and (j, i)
        weights /= scale
    return Couplings(targets, weights)


@njit(cache=True, nogil=True)
def _mutual(ids, similarities, targets, weights):
    """Keep what is mutual and similar; other slots get the row's own id and weight 0."""
    for row in range(ids.shape[0]):
        for slot in range(ids.shape[1]):
            other, weight = ids[row, slot], similarities[row, slot]
            targets[row, slot], weights[row, slot] = row, 0.0
            if other < 0 or not weight > 0:
                continue
            for back in range(ids.shape[1]):
                if ids[other, back] == row:
                    targets[row, slot], weights[row, slot] = other, weight
                    break


def resolution(points: int) -> float:
    """The sharpness kappa at which exp(kappa (cos gamma - 1)) tells apart the points of a chart: N / 10, within
    [20, 1e4]. N points lie about sqrt(4 pi / N) apart, so the kernel is about three of these distances wide."""
    return float(np.clip(points / 10, BLURRED, FINEST))
