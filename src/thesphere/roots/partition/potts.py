"""K-way Potts heat-bath on the neighbour graph, from k-means."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from thesphere.errors import InputError
from thesphere.neighbours.graph import Edges
from thesphere.roots.partition.heat import shed, sweep_cells
from thesphere.roots.partition.kmeans import Kmeans
from thesphere.roots.partition.problem import Divided, Problem

SETTLING = 10  # sweeps at temperature 0 at most, at the end


@dataclass(frozen=True)
class Potts:
    """Rows are drawn into the cells of their neighbours, ever colder, while no cell holds more than `cap`.

    The graph is cut less than by k-means, with less spread in size. That does not make a better index by
    itself, as cells that follow the graph are not described by one mean. Up to cap 1.6 it matches METIS's cut,
    near cap 1 it does not: single rows cannot move while all cells are full.

    Attributes:
        cap: rows of the largest cell / of the mean cell, 1 or more.
        sweeps: at falling temperature, 0 or more.
        temperature: of the first sweep, in units of the mean coupling; falls linearly towards 0.
        sampler: "heat_bath" visits row after row and holds the cap in each step. "thrml" visits colour classes
            in JAX (extra `jax`); there the cap acts through fields that rise sweep by sweep, since a size that
            all rows feel at once would need one colour per row. Both draw from the same law; see
            `thesphere.sampling.ising`.
        start: where the cells come from.
    """

    name: ClassVar[str] = "potts"
    cap: float = 1.6
    sweeps: int = 20
    temperature: float = 0.5
    sampler: Literal["heat_bath", "thrml"] = "heat_bath"
    start: Kmeans = Kmeans()

    def __post_init__(self) -> None:
        if not self.cap >= 1 or self.sweeps < 0 or not 0 <= self.temperature < np.inf:
            raise InputError(
                f"cap {self.cap}, sweeps {self.sweeps}, temperature {self.temperature}; give 1 or more, 0 or"
                " more, and a finite number, 0 or more"
            )
        if self.sampler not in ("heat_bath", "thrml"):
            raise InputError(f"sampler is {self.sampler!r}; give 'heat_bath' or 'thrml'")

    def divide(self, problem: Problem) -> Divided:
        labels = self.start.divide(problem).labels.astype(np.int32)
        edges = problem.find_couplings()
        mean = len(problem) / problem.count
        room = max(int(self.cap * mean), -(-len(problem) // problem.count))
        temperatures = self.temperature * (1 - np.arange(self.sweeps) / max(1, self.sweeps))
        fullest = np.bincount(labels, minlength=problem.count).max()
        if self.sampler == "thrml" and self.sweeps and self.temperature > 0:
            from thesphere.sampling.ising import sample_potts

            labels = sample_potts(
                edges, labels, problem.count, temperatures=temperatures, room=room, key=problem.key
            )
            temperatures = temperatures[:0]
        keys = problem.random(2).integers(0, 1 << 63, self.sweeps + SETTLING).astype(np.uint64)
        done = 0
        for temperature in [*temperatures, *[0.0] * SETTLING]:
            # the cap closes in over the sweeps: rows thrown out all at once do not find a good place
            share = min(1.0, 2 * (done + 1) / max(1, len(temperatures)))
            now = max(room, int(fullest ** (1 - share) * room**share)) if temperature else room
            fit(edges, labels, problem.count, now)
            sizes = np.bincount(labels, minlength=problem.count)
            moves = sweep_cells(*edges, labels, sizes, now, float(temperature), keys[done])
            done += 1
            if not moves and not temperature:
                break
        return Divided(labels, done + self.sweeps - len(temperatures))


def fit(edges: Edges, labels: np.ndarray, count: int, room: int) -> None:
    """Bring every cell to `room` rows or fewer, in place; the rows that their cell holds least go first."""
    sizes = np.bincount(labels, minlength=count)
    if sizes.max() <= room:
        return
    sources = np.repeat(np.arange(len(labels)), np.diff(edges.starts))
    inside = labels[sources] == labels[edges.targets]
    held = np.bincount(sources[inside], edges.weights[inside], len(labels))
    shed(np.argsort(held, kind="stable"), *edges, labels, sizes, room)
