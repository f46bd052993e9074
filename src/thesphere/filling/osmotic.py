"""Osmosis: points pass the membranes between shells under the pressure of what is too much inside them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thesphere.errors import InputError
from thesphere.filling.cuts import boundaries, moved, start, surplus
from thesphere.filling.info import BALANCED
from thesphere.filling.problem import Pass, Problem, State


@dataclass(frozen=True)
class Osmotic:
    """Density field, pressure, permeability.

    The density of a shell is its occupancy over its capacity. The pressure on a membrane is the density surplus
    integrated up to it: F_k points too many inside membrane k. In each pass the share `permeability` of F_k
    crosses it, the most prominent ones outward where F_k > 0, the least prominent ones inward where F_k < 0.
    Membranes with |F_k| <= b rest; b is the largest rest that keeps the total variation at `tolerance`, so that
    a refill moves few points.

    The map F -> sign(F) max(min(|F|, b), floor((1 - permeability) |F|)) is monotone and 1-Lipschitz, therefore
    the total variation never rises (see cuts). The earlier osmotic optimiser meant this and did otherwise: its
    density was a smoothed norm, its sign was reversed, and no point ever moved.

    Attributes:
        permeability: share of the surplus that crosses in one pass, in (0, 1].
        tolerance: total variation at which the system rests, in [0, 0.01].
    """

    permeability: float = 0.3
    tolerance: float = 0.0
    name: ClassVar[str] = "osmotic"
    thermal: ClassVar[bool] = False
    resumes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.permeability <= 1:
            raise InputError(f"permeability is {self.permeability}; give a share in (0, 1]")
        if not 0 <= self.tolerance <= BALANCED:
            raise InputError(f"tolerance is {self.tolerance}; give a total variation in [0, {BALANCED}]")

    def init(self, problem: Problem, *, key: int) -> State:
        return start(problem)

    def step(self, problem: Problem, state: State, *, key: int) -> tuple[State, Pass]:
        force = surplus(state.cuts, problem.capacities)
        rest = resting(force, self.tolerance, len(problem))
        kept = np.floor((1 - self.permeability) * np.abs(force)).astype(np.int64)
        left = np.sign(force) * np.maximum(np.minimum(np.abs(force), rest), kept)
        cuts = boundaries(problem.capacities) + left
        done = bool((np.abs(left) <= rest).all())
        return State(state.order, cuts), Pass(*moved(state.cuts, cuts), 0, done)


def resting(force: np.ndarray, tolerance: float, points: int) -> int:
    """The largest b for which clipping the surplus to [-b, b] leaves a total variation of `tolerance` or less;
    clipping harder never raises it, so bisection finds b."""
    low, high = 0, int(np.abs(force).max())
    while low < high:
        middle = (low + high + 1) // 2
        left = np.abs(np.diff(np.clip(force, -middle, middle))).sum()
        if left / (2 * points) <= tolerance:  # as total_variation divides
            low = middle
        else:
            high = middle - 1
    return low
