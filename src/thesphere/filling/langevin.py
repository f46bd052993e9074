"""Filling by Langevin dynamics: gravity towards the ideal radius, and lateral forces that gather neighbours.

    H = 1/2 sum_i (u_i - u*_i)^2 + E(x),    u*_i = (rank_i + 1/2) / N

u is the radius in cumulative capacity, in [0, 1], x the positions on the unit sphere, E the lateral energy
of `thesphere.sampling.langevin`. The two parts do not mix, and the radii do not feel each other: without
walls each u is an Ornstein-Uhlenbeck process, whose law after any time is known (Uhlenbeck and Ornstein
1930), so it is stepped exactly. Folding it at 0 and 1 is reflection at the walls; as the u* are spread
evenly, the folded u are, too, at every temperature: each shell expects its capacity.

The earlier system moved both at once, in chords between points of different radii, with a step that threw
every radius onto its ideal and noise on top; its lateral force was 0.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from thesphere.errors import InputError, MissingExtra
from thesphere.filling.cuts import boundaries, rank
from thesphere.filling.given import MANY
from thesphere.filling.problem import Pass, Problem, State
from thesphere.geometry import generator
from thesphere.sampling import Couplings, couple, resolution

WORK = 6e7, 3e7  # couplings and pairs read in all steps together: up to MANY points, and beyond
FEWEST, MOST = 6, 400  # steps
DRAWN = 2  # pairs of a point and step
KEPT = 0.25  # share of its displacement from the ideal that a radius keeps over a pass: exp(-time)
JUDGED = 50_000  # points, about, whose closeness is measured
BLUR = 1.0  # sharpness at the start: half the sphere is near


class Carried(NamedTuple):
    """What the strategy keeps between passes.

    Attributes:
        ranked: int64 [N], the points by rising ideal radius.
        heights: float64 [N], u of each of `ranked`, not folded.
        shells: integers [N], the shell of each of `ranked`.
        couplings: the graph; None before the first pass.
        passes: passes done.
    """

    ranked: np.ndarray
    heights: np.ndarray
    shells: np.ndarray
    couplings: Couplings | None
    passes: int


@dataclass(frozen=True)
class Langevin:
    """Annealed Langevin filling; needs the extra `jax`.

    The number of lateral steps follows from N: a fixed amount of work, 6 to 400 steps, in `passes` equal
    portions. Sharpness rises from 1 to what N points resolve, so that the chart is sorted from coarse to
    fine. Float32 is enough for positions; radii are float64, as a million ranks need it.

    thrml can run the same update as a conditional sampler, and the tests compare the two; it is not used here
    because its nodes are Python objects and every run is traced anew.

    Attributes:
        temperature: at the end, 0 or more. A radius spreads by sqrt(T) of all points around its rank (folded).
        start: temperature at the beginning, 0 or more.
        neighbours: k; pairs that are among each other's k nearest attract.
        repulsion: of the drawn pairs, 0 or more, beside an attraction of about 1 per point.
        pace: lateral step in units of the largest stable one's bound, in (0, 1).
        passes: portions, at least 1; `done` says that all are over.
        lateral_steps: in all passes together, 1 or more; None: by N.
    """

    name: ClassVar[str] = "langevin"
    thermal: ClassVar[bool] = True
    temperature: float = 0.0
    start: float = 0.002
    neighbours: int = 8
    repulsion: float = 0.25
    pace: float = 0.95
    passes: int = 2
    lateral_steps: int | None = None

    def __post_init__(self) -> None:
        for what in ("temperature", "start", "repulsion"):
            value = getattr(self, what)
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"{what} is {value}; give a finite number, 0 or more")
        if not 0 < self.pace < 1:
            raise InputError(f"pace is {self.pace}; give a share of the stable step, in (0, 1)")
        for what in ("neighbours", "passes", "lateral_steps"):
            value = getattr(self, what)
            if value is not None and value < 1:
                raise InputError(f"{what} is {value}; give at least 1")

    def init(self, problem: Problem, *, key: int) -> State:
        """Radii drawn at the starting temperature, positions as the problem has them.

        Raises:
            MissingExtra: JAX is not installed.
        """
        _kernels()
        ranked = rank(problem.prominence, problem.outward)
        ideal = _ideal(len(ranked))
        heights = ideal + np.sqrt(self.start) * _noise(key, len(ranked))
        return _state(problem, ranked, heights, problem.positions, None, 0)

    def step(self, problem: Problem, state: State, *, key: int) -> tuple[State, Pass]:
        """One portion of the lateral steps, and one exact step of the radii at the temperature of its end."""
        before: Carried = state.carried
        assert state.positions is not None
        couplings = before.couplings or couple(problem.find_neighbours(), self.neighbours)
        passes = before.passes + 1
        cooled = min(passes / self.passes, 1.0)
        temperature = self.start + (self.temperature - self.start) * cooled
        ideal = _ideal(len(problem))
        kept = KEPT if temperature else 0.0  # at temperature 0 the fill ends in the ground state
        spread = np.sqrt(temperature * (1 - kept**2))
        heights = ideal + kept * (before.heights - ideal) + spread * _noise(key, len(problem))
        positions = self._anneal(state.positions, couplings, before.passes, key)
        after = _state(problem, before.ranked, heights, positions, couplings, passes)
        outward = int((after.carried.shells > before.shells).sum())
        inward = int((after.carried.shells < before.shells).sum())
        return after, Pass(outward, inward, _far(state.positions, positions), passes >= self.passes)

    def steps_of(self, points: int) -> int:
        """Lateral steps for that many points."""
        if self.lateral_steps is not None:
            return self.lateral_steps
        work = WORK[points > MANY]
        return int(np.clip(work // (max(1, points) * (self.neighbours + DRAWN)), FEWEST, MOST))

    def _anneal(self, positions: np.ndarray, couplings: Couplings, passes: int, key: int) -> np.ndarray:
        jax, sampler = _kernels()
        total = self.steps_of(len(positions))
        portion = min(passes, self.passes - 1)  # further passes repeat the last portion
        first, last = (total * done // self.passes for done in (portion, portion + 1))
        schedule = sampler.Schedule(
            BLUR, resolution(len(positions)), self.start, self.temperature, self.repulsion, self.pace
        )
        graph = couplings.ids, couplings.weights
        return np.asarray(
            sampler.anneal(positions, *graph, jax.random.key(key), schedule, first, last, total)
        )

    def measures(self, problem: Problem, state: State) -> dict[str, float]:
        """`temperature`, `lateral_steps`, and `neighbour_cosine`: mean cosine on the chart between coupled
        points; `neighbour_cosine_before`: the same of the positions that the filling started from."""
        carried: Carried = state.carried
        cooled = min(carried.passes / self.passes, 1.0)
        done = self.steps_of(len(problem)) * carried.passes // self.passes
        figures = {
            "temperature": float(self.start + (self.temperature - self.start) * cooled),
            "lateral_steps": float(done),
        }
        if carried.couplings is not None and state.positions is not None:
            figures["neighbour_cosine_before"] = closeness(problem.positions, carried.couplings)
            figures["neighbour_cosine"] = closeness(state.positions, carried.couplings)
        return figures


def closeness(positions: np.ndarray, couplings: Couplings) -> float:
    """Mean cosine on the chart between coupled points, weighted; 0 where nothing is coupled. Beyond `JUDGED`
    points, that of evenly spaced ones with theirs."""
    rows = slice(None, None, max(1, -(-len(positions) // JUDGED)))
    weights = couplings.weights[rows]
    cosines = np.einsum("nd,nkd->nk", positions[rows], positions[couplings.ids[rows]])
    total = float((cosines * weights).sum(dtype=np.float64))
    return total / max(float(weights.sum(dtype=np.float64)), 1e-300)


def fold(heights: np.ndarray) -> np.ndarray:
    """Any real number brought into [0, 1] by reflection at 0 and 1."""
    return 1 - np.abs(1 - np.mod(heights, 2))


def _ideal(points: int) -> np.ndarray:
    return (np.arange(points) + 0.5) / points


def _noise(key: int, points: int) -> np.ndarray:
    return generator(key, 7).standard_normal(points)


def _state(
    problem: Problem,
    ranked: np.ndarray,
    heights: np.ndarray,
    positions: np.ndarray,
    couplings: Couplings | None,
    passes: int,
) -> State:
    points, count = len(ranked), len(problem.capacities)
    kind = np.int16 if count < 1 << 15 else np.int32  # 16 bits: sorted by radix
    limits = boundaries(problem.capacities)[1:-1] / max(points, 1)
    shells = np.searchsorted(limits, fold(heights), side="right").astype(kind)
    cuts = np.concatenate([[0], np.cumsum(np.bincount(shells, minlength=count))]).astype(np.int64)
    order = ranked[np.argsort(shells, kind="stable")]
    return State(order, cuts, positions, Carried(ranked, heights, shells, couplings, passes))


def _far(before: np.ndarray, after: np.ndarray) -> int:
    """How many points moved farther than points lie apart, 2 / sqrt(N)."""
    chords = ((after - before) ** 2).sum(axis=1)
    return int((chords > 4 / len(chords)).sum())


def _kernels():
    """JAX and the compiled dynamics, imported when the method is used."""
    try:
        import jax
    except ImportError:
        raise MissingExtra("the langevin filling", "jax") from None
    from thesphere.sampling import langevin

    return jax, langevin
