"""Integer balance: an order of the points, cut into shells.

With F_k = points inside boundary k - capacity inside boundary k, TV = sum |F_k - F_(k-1)| / 2N. Every map of
F that is monotone and 1-Lipschitz on the integers leaves no difference larger, so it never raises TV; cuts
stay ascending because they follow the capacities' own boundaries monotonically.
"""

import numpy as np

from thesphere.filling.problem import Problem, State


def rank(values: np.ndarray, outward: bool = True) -> np.ndarray:
    """int64 [N]: the rows by ascending value (outward) or descending value (inward); equal values by row.

    NumPy's quick sort orders 64-bit keys several times faster than its stable one; what it leaves open, the
    order within runs of equal values, is mended afterwards run by run.
    """
    order = np.argsort(values)
    if not outward:  # turned round in place
        half = len(order) // 2
        low = order[:half].copy()
        order[:half] = order[len(order) - half :][::-1]
        order[len(order) - half :] = low[::-1]
    _mend(values, order)
    return order


def _mend(values: np.ndarray, order: np.ndarray, block: int = 1 << 16) -> None:
    """Sort the rows within each run of equal values, in place; a byte per point is all the memory it takes."""
    level = np.zeros(len(order) + 1, bool)  # level[i]: order[i - 1] and order[i] are equal
    for first in range(0, len(order) - 1, block):
        near = values[order[first : first + block + 1]]
        level[first + 1 : first + len(near)] = near[1:] == near[:-1]
    edges = np.flatnonzero(level[1:] != level[:-1])
    for start, stop in zip(edges[::2], edges[1::2] + 1, strict=True):
        order[start:stop].sort()


def boundaries(capacities: np.ndarray) -> np.ndarray:
    """int64 [S + 1]: the cuts of exact balance."""
    return np.concatenate([[0], np.cumsum(capacities)]).astype(np.int64)


def surplus(cuts: np.ndarray, capacities: np.ndarray) -> np.ndarray:
    """int64 [S + 1]: F, points inside each boundary beyond the capacity inside it; 0 at both ends."""
    return cuts - boundaries(capacities)


def moved(before: np.ndarray, after: np.ndarray) -> tuple[int, int]:
    """How many points of one order went outward and inward when its cuts changed: (promotions, demotions).
    A point that passes several boundaries counts once."""
    return _covered(after, before), _covered(before, after)


def _covered(starts: np.ndarray, stops: np.ndarray) -> int:
    """Length of the union of the intervals [starts, stops), both ascending; empty where stop <= start."""
    reached = np.concatenate([[0], np.maximum.accumulate(stops)[:-1]])
    return int(np.maximum(0, stops - np.maximum(starts, reached)).sum())


def start(problem: Problem) -> State:
    """Where the dynamics start: every point on the shell that is nearest to its radius, the prominence
    stretched linearly over the band (the earlier osmotic rule, without its noise). A constant prominence puts
    all points on the innermost shell."""
    order = rank(problem.prominence, problem.outward)
    low, high = problem.prominence[order[0]], problem.prominence[order[-1]]  # high < low when inward
    radii = problem.radii
    middles = (radii[1:] + radii[:-1]) / 2
    share = (middles - radii[0]) / (radii[-1] - radii[0]) if len(middles) else middles
    limits = low + share * (high - low)
    flip = 1.0 if problem.outward else -1.0
    cuts = [_first_beyond(problem.prominence, order, flip, limit) for limit in limits * flip]
    return State(order, np.array([0, *cuts, len(order)], np.int64))


def _first_beyond(values: np.ndarray, order: np.ndarray, flip: float, limit: float) -> int:
    """The first place in the order whose flipped value is above the limit: bisection, no sorted copy."""
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if values[order[middle]] * flip > limit:
            high = middle
        else:
            low = middle + 1
    return low
