"""Overflow and osmosis together."""

from dataclasses import dataclass
from typing import ClassVar

from thesphere.filling.cuts import moved
from thesphere.filling.osmotic import Osmotic
from thesphere.filling.problem import Pass, Problem, State
from thesphere.filling.prominence import overflow


@dataclass(frozen=True)
class Hybrid:
    """Each pass is one of prominence overflow (the surplus of a shell goes to its neighbours) and then one of
    osmosis (pressure from afar): local moves first, and no long tail. Both never raise the total variation,
    hence neither does their succession. `permeability` as in Osmotic; 0.3 is the earlier hybrid's share of
    osmosis."""

    permeability: float = 0.3
    name: ClassVar[str] = "hybrid"
    thermal: ClassVar[bool] = False
    resumes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        Osmotic(self.permeability)  # refuses a share outside (0, 1]

    def init(self, problem: Problem, *, key: int) -> State:
        return Osmotic(self.permeability).init(problem, key=key)

    def step(self, problem: Problem, state: State, *, key: int) -> tuple[State, Pass]:
        flowed = State(state.order, overflow(state.cuts, problem.capacities))
        after, made = Osmotic(self.permeability).step(problem, flowed, key=key)
        return after, Pass(*moved(state.cuts, after.cuts), 0, made.done)
