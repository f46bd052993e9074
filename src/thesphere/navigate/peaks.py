"""How strongly a query excites each root, and which roots are peaks: locally the most excited."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thesphere.errors import InputError


@dataclass(frozen=True)
class Peaks:
    """Roots that no more excited peak lies near, strongest first.

    Attributes:
        roots: int64 [C].
        strengths: float64 [C], their activations.
        spreads: float64 [C], standard deviation of the activations of all roots within the separation, the
            peak's own included: 0 for a peak that stands alone.
    """

    roots: np.ndarray
    strengths: np.ndarray
    spreads: np.ndarray

    def __len__(self) -> int:
        return len(self.roots)


def activate(
    query: Any, centroids: Any, *, evidence: np.ndarray | None = None, weight: float = 2.0
) -> np.ndarray:
    """The cosine of the query with each root's mean, and the evidence on top: float64 [K0].

    Sums are elementwise, so that the result does not depend on a BLAS. A zero query or mean has cosine 0.

    Args:
        query: [D].
        centroids: [K0, D], of any length.
        evidence: [K0] in [0, 1], what else speaks for a root, such as `held`; None: nothing.
        weight: of the evidence, in units of the range of the cosines: above 1 a root that certainly holds a rare
            string beats any direction.

    Raises:
        InputError: shapes that do not belong together, or values that are not finite.
    """
    asked, means = np.asarray(query, np.float64), np.asarray(centroids, np.float64)
    if asked.ndim != 1 or means.ndim != 2 or means.shape[1] != len(asked):
        raise InputError(
            f"the query has shape {list(asked.shape)}, the roots {list(means.shape)}; give [D], [K0, D]"
        )
    if not (np.isfinite(asked).all() and np.isfinite(means).all() and np.isfinite(weight)):
        raise InputError(
            "the query, a root or the weight of evidence is NaN or infinite; give finite numbers"
        )
    lengths = np.sqrt((means * means).sum(axis=1) * (asked * asked).sum())
    dots = (means * asked).sum(axis=1)
    activations = np.divide(dots, lengths, out=np.zeros(len(means)), where=lengths > 0)
    if evidence is None:
        return activations
    told = np.asarray(evidence, np.float64)
    if told.shape != (len(means),) or not ((told >= 0) & (told <= 1)).all():
        raise InputError(f"evidence has shape {list(told.shape)}; give one number in [0, 1] for each root")
    return activations + weight * np.ptp(activations) * told if len(told) else activations


def held(text: bytes, sketches: np.ndarray) -> np.ndarray:
    """Which share of a text's rare byte n-grams the roots' sketches show: float64 [K0] in [0, 1].

    A sketch keeps one n-gram per bin. The bins that the text fills are compared; a bin counts by how rare its
    n-gram is among the roots, ln(K0 / roots that show it), so that what all show says nothing. What a sketch
    shows is there; a root with much text shows few of its n-grams, and 0 proves nothing.

    Args:
        text: the query's bytes.
        sketches: uint16 [K0, BINS], as from `roots.partition.sketch`; 0 in bins without an n-gram.
    """
    from thesphere.roots.partition.sketch import sketch, texts_of  # numba

    asked = sketch(texts_of([text], 1))[0]
    filled = asked > 0
    shown = np.asarray(sketches)[:, filled] == asked[filled]
    rarity = np.log(max(len(shown), 1) / np.maximum(shown.sum(axis=0), 1))
    return (shown * rarity).sum(axis=1) / max(rarity.sum(), 1e-300)


def detect_peaks(
    activations: Any,
    directions: Any,
    *,
    threshold: float = 0.15,
    separation: float = np.pi / 16,
    most: int = 8,
) -> Peaks:
    """The most excited roots that lie at least `separation` apart, strongest first, equal ones by number.

    The earlier system told roots apart by their numbers, which say nothing about where they lie, and read the
    separation nowhere.

    Args:
        activations: [K0].
        directions: [K0, D], the roots' means, or [K0, 3], their places on the chart; of any length. A zero
            vector is a right angle away from all.
        threshold: only roots above it.
        separation: radians, 0 to pi.
        most: peaks at most, 0 or more.

    Raises:
        InputError: shapes that do not belong together, values that are not finite, or options out of range.
    """
    heights, places = np.asarray(activations, np.float64), np.asarray(directions, np.float64)
    if heights.ndim != 1 or places.ndim != 2 or len(places) != len(heights):
        raise InputError(
            f"activations have shape {list(heights.shape)}, directions {list(places.shape)};"
            " give [K0] and [K0, D]"
        )
    if not (np.isfinite(heights).all() and np.isfinite(places).all() and np.isfinite(threshold)):
        raise InputError(
            "an activation, a direction or the threshold is NaN or infinite; give finite numbers"
        )
    if not 0 <= separation <= np.pi or most < 0:
        raise InputError(f"separation is {separation}, most {most}; give 0 to pi radians, and 0 or more")
    lengths = np.sqrt((places * places).sum(axis=1, keepdims=True))
    units = np.divide(places, lengths, out=np.zeros_like(places), where=lengths > 0)
    closest = np.cos(separation)
    left = heights > threshold
    roots, spreads = [], []
    for root in np.argsort(-heights, kind="stable"):
        if len(roots) == most or heights[root] <= threshold:
            break
        if not left[root]:
            continue
        near = (units * units[root]).sum(axis=1) > closest
        near[root] = True
        left &= ~near
        roots.append(int(root))
        spreads.append(float(heights[near].std()))
    chosen = np.array(roots, np.int64)
    return Peaks(chosen, heights[chosen], np.array(spreads))
