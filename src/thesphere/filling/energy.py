"""Energy filling: shells are drawn from the Boltzmann law of a point's distance from its quantile, and cooled."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numba import njit

from thesphere.errors import InputError
from thesphere.filling.boltzmann import balanced, centres, check_temperature
from thesphere.filling.cuts import boundaries, rank
from thesphere.filling.problem import Pass, Problem, State
from thesphere.geometry import generator

BATCH = 1 << 16  # points drawn at once


class Carried(NamedTuple):
    """What the strategy keeps between passes.

    Attributes:
        shells: unsigned [N], the shell of each point, the points by rising quantile from the centre to the crust.
            The points themselves are those of the state's order, where every shell has them by quantile too.
        sweeps: heat-bath sweeps done, the first draw not counted.
        temperature: of the last draw.
    """

    shells: np.ndarray
    sweeps: int
    temperature: float


@dataclass(frozen=True)
class Energy:
    """Filling by heat-bath draws from the Boltzmann law (see boltzmann), cooled geometrically. Quantiles are
    those of prominence, ties by row.

    The points do not interact, so one sweep at the last temperature is already in equilibrium: the schedule shows
    the way there, and `done` says that the last temperature has been drawn.

    Attributes:
        temperature: of the last sweep, a share of all points, above 0. 1e-8 is the quantile filling, 1e3 a draw
            by capacity; at 0.05 shells lie 5 % of all points from their points' quantiles on average.
        start: temperature of the first draw.
        passes: sweeps from `start` to `temperature`, at least 1.
    """

    name: ClassVar[str] = "energy"
    thermal: ClassVar[bool] = True
    temperature: float = 0.05
    start: float = 1.0
    passes: int = 4

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        check_temperature(self.start, "start")
        if self.passes < 1:
            raise InputError(f"passes is {self.passes}; give at least 1")

    def init(self, problem: Problem, *, key: int) -> State:
        """One draw at the starting temperature."""
        points = len(problem)
        together = State(  # the ranked points as one shell
            rank(problem.prominence, problem.outward),
            np.array([0, points]),
            carried=Carried(np.zeros(points, _kind(problem)), -1, np.inf),
        )
        return _drawn(problem, together, self.start, key)

    def step(self, problem: Problem, state: State, *, key: int) -> tuple[State, Pass]:
        """One heat-bath sweep at the next temperature of the schedule; after its end, at the last one."""
        before: Carried = state.carried
        cooled = min((before.sweeps + 1) / self.passes, 1.0)
        temperature = float(np.exp((1 - cooled) * np.log(self.start) + cooled * np.log(self.temperature)))
        state = _drawn(problem, state, temperature, key)
        after: Carried = state.carried
        outward = int(np.count_nonzero(after.shells > before.shells))
        inward = int(np.count_nonzero(after.shells < before.shells))
        return state, Pass(outward, inward, 0, after.sweeps >= self.passes)

    def measures(self, problem: Problem, state: State) -> dict[str, float]:
        """`temperature`; `shell_spread`, root mean square distance from the quantile filling in shells; `energy`,
        mean |e - eps|."""
        carried: Carried = state.carried
        points, middles, cuts = len(problem), centres(problem.capacities), boundaries(problem.capacities)
        square = distance = 0.0
        for first in range(0, points, BATCH):
            shells = carried.shells[first : first + BATCH].astype(np.int64)
            ranks = np.arange(first, first + len(shells))
            away = shells - (np.searchsorted(cuts, ranks, side="right") - 1)
            square += float(away @ away)
            distance += float(np.abs((ranks + 0.5) / points - middles[shells]).sum())
        return {
            "temperature": carried.temperature,
            "shell_spread": float(np.sqrt(square / points)),
            "energy": distance / points,
        }


def _drawn(problem: Problem, state: State, temperature: float, key: int) -> State:
    before: Carried = state.carried
    points, sweeps = len(problem), before.sweeps + 1
    shells = np.empty(points, _kind(problem))
    held, law = balanced(problem.capacities, temperature)
    rng = generator(key, sweeps)
    for first in range(0, points, BATCH):
        last = min(first + BATCH, points)
        quantiles = (np.arange(first, last) + 0.5) / points
        shells[first:last] = held[law.shells(quantiles, rng.random(last - first))]
    cuts = boundaries(np.bincount(shells, minlength=len(problem.capacities)))
    order = np.empty(points, np.int64)
    _deal(state.order, before.shells, state.cuts[:-1].copy(), shells, cuts[:-1].copy(), order)
    return State(order, cuts, carried=Carried(shells, sweeps, temperature))


def _kind(problem: Problem) -> np.dtype:
    return np.min_scalar_type(len(problem.capacities) - 1)


@njit(cache=True, nogil=True)
def _deal(taken, shells, tops, shells_after, places, order):
    """Take the points by quantile from where they lie, each from the top of its shell's pile, and put them on the
    piles of the shells that they are on afterwards."""
    for i in range(len(taken)):
        top, place = shells[i], shells_after[i]
        order[places[place]] = taken[tops[top]]
        tops[top] += 1
        places[place] += 1
