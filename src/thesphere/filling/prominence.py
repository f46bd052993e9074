"""Prominence overflow: a shell passes on what it cannot hold, one shell at a time."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thesphere.filling.cuts import boundaries, moved, start, surplus
from thesphere.filling.problem import Pass, Problem, State


@dataclass(frozen=True)
class Prominence:
    """In each pass an overfull shell gives its surplus, and no more, to its neighbours: the most prominent
    ones outward if there are too many points inside its outer boundary, the least prominent ones inward if
    there are too few inside its inner one. No point passes more than one boundary in a pass.

    Nothing gets stuck: of a run of unbalanced boundaries the first or the last one belongs to an overfull
    shell. A donor loses surplus only and a receiver gains at most what was lost, so the total variation never
    rises. A point stands out by its rank within the shell; the earlier rule (norm above 1.93 times the
    shell's mean) was practically never true and moved whole shells.
    """

    name: ClassVar[str] = "prominence"
    thermal: ClassVar[bool] = False
    resumes: ClassVar[bool] = True

    def init(self, problem: Problem, *, key: int) -> State:
        return start(problem)

    def step(self, problem: Problem, state: State, *, key: int) -> tuple[State, Pass]:
        cuts = overflow(state.cuts, problem.capacities)
        return State(state.order, cuts), Pass(
            *moved(state.cuts, cuts), 0, bool((cuts == boundaries(problem.capacities)).all())
        )


def overflow(cuts: np.ndarray, capacities: np.ndarray) -> np.ndarray:
    """int64 [S + 1]: the cuts after one pass of overflow."""
    force = surplus(cuts, capacities)
    spare = np.maximum(0, np.diff(force))  # what each shell holds beyond its capacity
    after = cuts.copy()
    after[1:] -= np.minimum(np.maximum(0, force[1:]), spare)  # outward through the outer boundary
    after[:-1] += np.minimum(np.maximum(0, -force[:-1]), spare)  # inward through the inner one
    return after
