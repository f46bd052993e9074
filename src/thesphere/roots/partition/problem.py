"""What a strategy is given, and what it owes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Protocol

import numpy as np

from thesphere.geometry import generator
from thesphere.neighbours.graph import Edges, Neighbours

Metric = Literal["cosine", "ip"]


@dataclass(frozen=True)
class Problem:
    """Rows to be divided; made by `partition`.

    Attributes:
        rows: real numbers [N, D], N >= 1, finite; as given, never copied as a whole.
        norms: float64 [N], their L2 norms.
        metric: "cosine" (only directions count) or "ip" (norms count).
        count: K, cells that are wanted, 1 to N.
        key: seed of everything that is drawn.
        threads: workers over blocks of rows; the result does not depend on it.
        find_neighbours: gives the neighbour graph, which is made when a strategy first asks.
        find_couplings: gives the graph's couplings (see `couplings`), likewise.
    """

    rows: np.ndarray
    norms: np.ndarray
    metric: Metric
    count: int
    key: int
    threads: int
    find_neighbours: Callable[[], Neighbours]
    find_couplings: Callable[[], Edges]

    def __len__(self) -> int:
        return len(self.rows)

    def random(self, stream: int) -> np.random.Generator:
        """The generator of the key's stream of that number."""
        return generator(self.key, stream)


class Divided(NamedTuple):
    """What a strategy found: labels int [N] in 0 ... count - 1 (cells may stay empty), and passes made."""

    labels: np.ndarray
    rounds: int


class Strategy(Protocol):
    """A way of partitioning: a frozen dataclass of its settings."""

    name: ClassVar[str]

    def divide(self, problem: Problem) -> Divided: ...
