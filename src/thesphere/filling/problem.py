"""What is to be filled, how far a filling has come, and what a strategy must offer to do it.

Every way of filling shares this contract: a `Problem` is made once, a `State` is an order of the points cut
into shells, and a strategy is a small frozen dataclass that makes the first state and steps to the next one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from thesphere.neighbours import Neighbours


@dataclass(frozen=True)
class Problem:
    """What is to be filled; made by `fill`, and everything in it is checked: shapes agree, N >= 1, no NaN but
    in entropies.

    Attributes:
        embeddings: [N, D] as given, never copied.
        prominence: float64 [N], 0 or more.
        entropies: float64 [N] nats, 0 or more, NaN where unknown; None where none were given.
        radii: float64 [S], the shells' radii, ascending.
        capacities: int64 [S], how many points each shell should hold; sum N.
        outward: the most prominent points belong to the crust (True) or to the centre (False).
        positions: float32 [N, 3] unit vectors: where the points start on the chart. Not to be written to.
        find_neighbours: makes the sparse neighbour graph at the first call and keeps it.
    """

    embeddings: np.ndarray
    prominence: np.ndarray
    entropies: np.ndarray | None
    radii: np.ndarray
    capacities: np.ndarray
    outward: bool
    positions: np.ndarray
    find_neighbours: "Callable[[], Neighbours]"

    def __len__(self) -> int:
        return len(self.prominence)


@dataclass(frozen=True)
class State:
    """How far a filling has come.

    Attributes:
        order: int64 [N], the points from the centre to the crust.
        cuts: int64 [S + 1], ascending from 0 to N: order[cuts[k]:cuts[k + 1]] lies on shell k.
        positions: float32 [N, 3] unit vectors, if the strategy moves points along their shell, else None.
        carried: what only this strategy carries from step to step.
    """

    order: np.ndarray
    cuts: np.ndarray
    positions: np.ndarray | None = None
    carried: Any = None

    @property
    def occupancy(self) -> np.ndarray:
        """int64 [S]: points on each shell."""
        return np.diff(self.cuts)


class Pass(NamedTuple):
    """What one step did: points that moved outward, inward, along their shell, and whether nothing is left
    to do."""

    promotions: int
    demotions: int
    lateral_moves: int
    done: bool


class Strategy(Protocol):
    """A way of filling. `thermal` ones sample (their balance is that of a multinomial draw), the others are
    deterministic: the total variation to the capacities never rises and ends at 0.01 or less.

    Optional attributes: `steps: int`, how many steps are taken unless `max_steps` is given (1,000 without);
    `needs_entropies: bool`; `resumes: bool`, its step needs nothing but order and cuts, so it can start from any
    state; `measures(problem, state) -> dict[str, float]`, figures for `Info.measures`, and `notes(problem, state)
    -> str`, words for `Result.message`, both asked once at the end.
    """

    name: ClassVar[str]
    thermal: ClassVar[bool]

    def init(self, problem: Problem, *, key: int) -> State:
        """The first state; `key` is the caller's key."""
        ...

    def step(self, problem: Problem, state: State, *, key: int) -> tuple[State, Pass]:
        """The next state; `key` is another one at every step, in [0, 2^31), derived from the caller's."""
        ...
