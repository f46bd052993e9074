"""Lateral exploration before promotion: a point that may have to leave its shell first looks for a better angle.

The earlier system announced this and threw a coin: the same 30 % of the points were shifted in every pass by
an angle that depended on their number, and no score was computed.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from thesphere.errors import InputError
from thesphere.filling.cuts import boundaries, moved, start
from thesphere.filling.given import MANY
from thesphere.filling.problem import Pass, Problem, State
from thesphere.filling.prominence import overflow
from thesphere.geometry import generator
from thesphere.runtime import workers
from thesphere.sampling import Couplings, couple, resolution

WORK = 2.5e8, 1.5e8  # cosines of all exploring passes together: up to MANY points, and beyond
FEWEST, MOST = 4, 40  # exploring passes
CROWD = 4  # points that a point keeps away from, drawn anew in each pass
TABLE = 64  # sets of directions and crowds per pass, shared by turns
BLOCK = 1 << 14  # points that a worker takes at once
BLUR = 2.0  # sharpness of the first pass


class Carried(NamedTuple):
    """What the strategy keeps between passes: the graph (None before the first pass) and how many are done."""

    couplings: Couplings | None
    passes: int


@dataclass(frozen=True)
class Lateral:
    """Prominence overflow, and in the first passes exploration along the shells.

    A point explores if its shell has no room left (occupancy at or above capacity): it may be the next to be
    passed on. Its candidates are the mean direction of its neighbours and `directions` keyed ones, an arc of
    1/sqrt(kappa) away. The score of a place is

        sum_j w_j exp(kappa (cos gamma_j - 1)) / sum_j w_j - crowding * mean_s exp(kappa (cos gamma_s - 1)),

    j its graph neighbours weighted by similarity, s a few points drawn at random. The best candidate is taken
    if it scores higher by more than `threshold`; that is a lateral move. kappa rises from pass to pass, from
    half the sphere to what N points resolve. All points decide by where the others were before the pass.

    A capacity belongs to a whole shell, so no lateral move can stand in for a promotion: overflow then goes on as
    in `prominence`, by the same integer cuts, and the total variation never rises.

    Attributes:
        threshold: by how much a score must improve, 0 or more; scores lie in [-crowding, 1].
        crowding: weight of the crowd, 0 or more.
        directions: keyed candidates per point, 0 or more.
        neighbours: k; pairs that are among each other's k nearest count as neighbours.
        explorations: passes with exploration, 0 or more; None: by N, a fixed amount of work in 4 to 40 passes.
    """

    name: ClassVar[str] = "lateral"
    thermal: ClassVar[bool] = False
    threshold: float = 0.01
    crowding: float = 2.0
    directions: int = 4
    neighbours: int = 8
    explorations: int | None = None

    def __post_init__(self) -> None:
        for what in ("threshold", "crowding"):
            value = getattr(self, what)
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"{what} is {value}; give a finite number, 0 or more")
        for what, least in (("directions", 0), ("neighbours", 1), ("explorations", 0)):
            value = getattr(self, what)
            if value is not None and value < least:
                raise InputError(f"{what} is {value}; give at least {least}")

    def init(self, problem: Problem, *, key: int) -> State:
        begun = start(problem)
        return State(begun.order, begun.cuts, problem.positions, Carried(None, 0))

    def step(self, problem: Problem, state: State, *, key: int) -> tuple[State, Pass]:
        before: Carried = state.carried
        couplings, positions, moves = before.couplings, state.positions, 0
        explorations = self.explorations_of(len(problem))
        assert positions is not None
        if before.passes < explorations:
            couplings = couplings or couple(problem.find_neighbours(), self.neighbours, scaled=False)
            sharpness = BLUR * (resolution(len(problem)) / BLUR) ** (before.passes / max(1, explorations - 1))
            seeking = without_room(state, problem.capacities)
            positions, moves = self.explore(positions, couplings, seeking, sharpness, key=key)
        cuts = overflow(state.cuts, problem.capacities)
        passes = before.passes + 1
        done = passes >= explorations and bool((cuts == boundaries(problem.capacities)).all())
        after = State(state.order, cuts, positions, Carried(couplings, passes))
        return after, Pass(*moved(state.cuts, cuts), moves, done)

    def explore(
        self,
        positions: np.ndarray,
        couplings: Couplings,
        seeking: np.ndarray,
        sharpness: float,
        *,
        key: int,
    ) -> tuple[np.ndarray, int]:
        """One exploration: the new positions float32 [N, 3], and how many points moved.

        Args:
            positions: float32 [N, 3], unit vectors; not written to.
            couplings: the neighbours of each point, not scaled.
            seeking: bool [N], who explores.
            sharpness: kappa, above 0.
            key: of directions and crowds.
        """
        from thesphere.sampling.exploring import explore

        rng = generator(key, 8)
        headings = rng.standard_normal((TABLE, self.directions, 3), dtype=np.float32)
        headings /= np.linalg.norm(headings, axis=2, keepdims=True)
        crowds = positions[rng.integers(0, len(positions), (TABLE, CROWD))]
        numbers = np.array([sharpness, sharpness**-0.5, self.crowding, self.threshold], np.float32)
        after = positions.copy()

        def work(first: int) -> int:
            last = min(first + BLOCK, len(positions))
            graph = couplings.ids, couplings.weights
            return explore(first, last, positions, *graph, seeking, headings, crowds, numbers, after)

        with ThreadPoolExecutor(workers()) as pool:
            return after, sum(pool.map(work, range(0, len(positions), BLOCK)))

    def explorations_of(self, points: int) -> int:
        """Exploring passes for that many points."""
        if self.explorations is not None:
            return self.explorations
        read = (self.neighbours + CROWD) * (self.directions + 2)
        return int(np.clip(WORK[points > MANY] // (max(1, points) * read), FEWEST, MOST))


def without_room(state: State, capacities: np.ndarray) -> np.ndarray:
    """bool [N]: the points whose shell holds its capacity or more."""
    found = np.zeros(len(state.order), bool)
    for shell in np.flatnonzero(state.occupancy >= capacities):
        found[state.order[state.cuts[shell] : state.cuts[shell + 1]]] = True
    return found
