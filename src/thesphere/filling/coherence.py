"""Coherence filling (earlier: lasing): each pass multiplies a point's radius by exp(beta (c - 1/2) dt).

c is the rank of the point's coherence p^2 / H among all points, in (0, 1): free of scale, so that no outlier
jumps to the crust in one pass. The earlier system used raw coherences and clamped radii, and its next Langevin
step reset them, so that nothing of it was left.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numba import njit

from thesphere.errors import InputError
from thesphere.filling.cuts import boundaries, rank
from thesphere.filling.problem import Pass, Problem, State
from thesphere.signals import coherence

BLOCK = 1 << 14  # points whose intermediate values are in memory at once
LEAST = 1e-280  # a range of log radii that tells points apart; a smaller one would overflow when it is spread


class Carried(NamedTuple):
    """Attributes:
    places: unsigned [N], where each point lies in the order of the quantile filling.
    ranks: unsigned [N], twice the mid-rank of its coherence (see `coherence_ranks`).
    known: points of known entropy.
    shells: unsigned [N], the shell of each point.
    passes: passes done.
    """

    places: np.ndarray
    ranks: np.ndarray
    known: int
    shells: np.ndarray
    passes: int


@dataclass(frozen=True)
class Coherence:
    """Filling that coherent points climb, pass by pass, from the quantile filling.

    A pass multiplies radii by their gain, which overfills some shells; the surplus then flows over the
    boundaries, lowest radius inward, until each shell holds its capacity. That flow ends in the order of the
    amplified radii, which is computed directly, so balance is exact after every pass. A baseline other than the
    median would multiply all radii by one factor, which the refilling takes back: it is no parameter here.

    A point of unknown entropy has unit gain. With `outward=False` the sign is reversed, as the centre is then the
    place of the prominent.

    Attributes:
        beta: gain per unit of time and of coherence rank, 0 or more.
        dt: time of one pass, above 0.
        passes: passes that the pump is on, at least 1; `done` says that they are over. All passes together
            multiply radii by exp(+-beta dt passes / 2) at most.
    """

    name: ClassVar[str] = "coherence"
    thermal: ClassVar[bool] = False
    needs_entropies: ClassVar[bool] = True
    beta: float = 1.0
    dt: float = 0.1
    passes: int = 10

    def __post_init__(self) -> None:
        if not (self.beta >= 0 and self.dt > 0 and np.isfinite(self.beta * self.dt * self.passes)):
            raise InputError(
                f"beta is {self.beta} and dt {self.dt}; give finite numbers, beta >= 0 and dt > 0"
            )
        if self.passes < 1:
            raise InputError(f"passes is {self.passes}; give at least 1")

    def init(self, problem: Problem, *, key: int) -> State:
        """The quantile filling."""
        ranks, known = coherence_ranks(problem)
        order = rank(problem.prominence, problem.outward)
        places = np.empty_like(ranks)
        places[order] = np.arange(len(order), dtype=places.dtype)
        cuts = boundaries(problem.capacities)
        return State(order, cuts, carried=Carried(places, ranks, known, _shells(order, cuts), 0))

    def step(self, problem: Problem, state: State, *, key: int) -> tuple[State, Pass]:
        before: Carried = state.carried
        passes = before.passes + 1
        gain = (1.0 if problem.outward else -1.0) * self.beta * self.dt * passes
        order = _amplified(problem, state, gain)
        shells = _shells(order, state.cuts)
        outward = int(np.count_nonzero(shells > before.shells))
        inward = int(np.count_nonzero(shells < before.shells))
        carried = before._replace(shells=shells, passes=passes)
        return State(order, state.cuts, carried=carried), Pass(outward, inward, 0, passes >= self.passes)

    def measures(self, problem: Problem, state: State) -> dict[str, float]:
        """`coherence_correlation`: rank correlation of radius and coherence among points of known entropy (NaN
        where either does not vary); `coherence_correlation_before`: the same of the quantile filling."""
        carried: Carried = state.carried
        count = len(problem.capacities)
        before = np.repeat(np.arange(count, dtype=carried.shells.dtype), problem.capacities)[carried.places]
        return {
            "coherence_correlation": _correlation(problem, carried.shells, carried),
            "coherence_correlation_before": _correlation(problem, before, carried),
        }


def coherence_ranks(problem: Problem) -> tuple[np.ndarray, int]:
    """Twice the mid-rank of each point's coherence among the n points of known entropy, ties alike, and n:
    unsigned [N], from 1 to 2n - 1 and n where the entropy is unknown. Divided by 2n they are in (0, 1).

    Raises:
        InputError: the problem has no entropies.
    """
    if problem.entropies is None:
        raise InputError("coherence filling needs entropies; give entropies=, one per point, in nats")
    points = len(problem)
    light = np.empty(points)
    for first in range(0, points, BLOCK):
        block = slice(first, first + BLOCK)
        light[block] = coherence(problem.prominence[block], problem.entropies[block])
    known = points - int(np.count_nonzero(np.isnan(light)))
    ranks = np.full(points, known, np.uint32 if points < 1 << 31 else np.uint64)
    _rank_ties_alike(light, np.argsort(light)[:known], ranks)  # NaN comes last
    return ranks, known


def _amplified(problem: Problem, state: State, gain: float) -> np.ndarray:
    """The order by log radius, between those of the shells at first, plus gain (c - 1/2); equal ones stay as they
    lie.

    One column, sorted in place: each key has the log radius in its high bits and the present place in its low
    ones, so that log radii nearer than 2^-52 of their range, or 2^-40 with ten million points, count as equal.
    """
    carried: Carried = state.carried
    points = len(state.order)
    held = problem.capacities > 0
    middles = (state.cuts[:-1] + state.cuts[1:])[held] / 2 - 0.5
    profile = np.log(problem.radii[held])
    lowest, span = profile[0] - abs(gain) / 2, profile[-1] - profile[0] + abs(gain)
    place_bits = (points - 1).bit_length()
    largest = 2.0 ** min(52, 64 - place_bits) - 1
    keys = np.empty(points, np.uint64)
    for first in range(0, points, BLOCK):
        rows = state.order[first : first + BLOCK]
        heights = np.interp(carried.places[rows], middles, profile)
        heights += (
            gain / (2 * max(carried.known, 1)) * (carried.ranks[rows].astype(np.float64) - carried.known)
        )
        heights -= lowest
        heights *= largest / (span if span > LEAST else 1.0)
        parts = keys[first : first + BLOCK]
        parts[:] = np.clip(heights, 0, largest)
        parts <<= place_bits
        parts |= np.arange(first, first + len(rows), dtype=np.uint64)
    keys.sort()
    keys &= (1 << place_bits) - 1
    order = keys.view(np.int64)
    for first in range(0, points, BLOCK):
        order[first : first + BLOCK] = state.order[order[first : first + BLOCK]]
    return order


def _correlation(problem: Problem, shells: np.ndarray, carried: Carried) -> float:
    """Spearman's, from sums over each shell: centred mid-ranks have mean 0, and the shells' follow from how many
    known points they hold."""
    assert problem.entropies is not None
    count, known = len(problem.capacities), max(carried.known, 1)
    held, light, square = np.zeros(count), np.zeros(count), 0.0
    for first in range(0, len(shells), BLOCK):
        block = slice(first, first + BLOCK)
        centred = (carried.ranks[block].astype(np.float64) - carried.known) / (2 * known)  # 0 where unknown
        held += np.bincount(shells[block], ~np.isnan(problem.entropies[block]), count)
        light += np.bincount(shells[block], centred, count)
        square += float(centred @ centred)
    middles = (np.cumsum(held) - held / 2) / known - 0.5
    scale = np.sqrt(square * (held @ middles**2))
    return float(np.clip(middles @ light / scale, -1, 1)) if scale else float("nan")


def _shells(order: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    shells = np.empty(len(order), np.min_scalar_type(len(cuts) - 2))
    for shell, (first, last) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
        shells[order[first:last]] = shell
    return shells


@njit(cache=True, nogil=True)
def _rank_ties_alike(values, order, ranks):
    """Twice the mid-rank of a run of equal values is its start plus its stop."""
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and values[order[stop]] == values[order[start]]:
            stop += 1
        for i in range(start, stop):
            ranks[order[i]] = start + stop
        start = stop
