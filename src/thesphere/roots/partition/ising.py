"""Recursive bisection by an annealed Ising model."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thesphere.errors import InputError
from thesphere.neighbours.graph import Edges
from thesphere.neighbours.search import unit_rows
from thesphere.roots.partition.heat import fields, sweep_spins
from thesphere.roots.partition.problem import Divided, Problem

SETTLING = 10  # sweeps at temperature 0 at most
TURNS = 8  # of the power iteration
SAMPLE = 4096  # rows that it reads


@dataclass(frozen=True)
class Ising:
    """Each part is cut in two by spins that like rows share, until there are as many parts as cells.

    It starts from the median along the part's principal direction, is annealed, and then brought within
    `slack` of the sizes that both sides owe. The earlier system's spins started alternating, were held at one
    temperature, and had neither centred couplings nor a balance term: on real embeddings they all fell on one
    side. Long walls between domains do not anneal out: METIS and `Potts` cut about a tenth
    less.

    Attributes:
        sweeps: per level, 0 or more.
        temperature: of the first sweep, in units of the mean coupling; falls geometrically to a tenth.
        stiffness: of the balance term, in the same units; 0 or more.
        slack: share of a part by which a side may miss its size at the end, 0 to 1/2.
    """

    name: ClassVar[str] = "ising"
    sweeps: int = 40
    temperature: float = 2.0
    stiffness: float = 20.0
    slack: float = 0.05

    def __post_init__(self) -> None:
        if self.sweeps < 0 or not 0 <= self.temperature < np.inf or not 0 <= self.stiffness < np.inf:
            raise InputError(
                f"sweeps {self.sweeps}, temperature {self.temperature}, stiffness {self.stiffness}; give finite"
                " numbers, 0 or more"
            )
        if not 0 <= self.slack <= 0.5:
            raise InputError(f"slack is {self.slack}; give 0 to 0.5")

    def divide(self, problem: Problem) -> Divided:
        edges = problem.find_couplings()
        labels = np.zeros(len(problem), np.int32)
        random = problem.random(3)
        waiting, levels = [(np.arange(len(problem)), 0, problem.count, 1)], 0
        while waiting:  # rows, the first of their cells, how many cells, and the level
            members, first, cells, level = waiting.pop()
            if cells < 2:
                continue
            levels = max(levels, level)
            left = cells // 2
            spins = self.bisect(problem.rows, edges, labels, members, left / cells, random)
            down, up = members[spins < 0], members[spins > 0]
            labels[up] = first + left
            waiting += [(down, first, left, level + 1), (up, first + left, cells - left, level + 1)]
        return Divided(labels, levels)

    def bisect(
        self,
        rows: np.ndarray,
        edges: Edges,
        part: np.ndarray,
        members: np.ndarray,
        share: float,
        random: np.random.Generator,
    ) -> np.ndarray:
        """int8 [n] of -1 and +1: the side of each member; about `share` of them are -1, and at least one of
        each where there are two.

        Args:
            rows: real numbers [N, D].
            edges: the couplings of all rows.
            part: integers [N], the same for all members and for no other row.
            members: int64 [n], ascending.
            share: in (0, 1).
            random: draws the start of the power iteration and the spins.
        """
        n = len(members)
        down = min(max(round(n * share), min(1, n - 1)), max(1, n - 1))
        spins = np.zeros(len(rows), np.int8)
        order = np.argsort(_along(rows, members, random), kind="stable")
        spins[members[order]] = np.where(np.arange(n) < down, -1, 1)
        number, aim = part[members[0]] if n else 0, float(n - 2 * down)
        cooled = self.temperature * 0.1 ** (np.arange(self.sweeps) / max(1, self.sweeps - 1))
        keys = random.integers(0, 1 << 63, self.sweeps + SETTLING).astype(np.uint64)
        magnet = float(spins[members].sum(dtype=np.int64))
        visits = members[random.permutation(n)]
        before = spins.copy()
        for sweep, temperature in enumerate([*cooled, *[0.0] * SETTLING]):
            magnet = float(
                sweep_spins(
                    visits, part, number, *edges, spins, magnet, self.stiffness, aim, temperature, keys[sweep]
                )
            )
            if not temperature and (before[members] == spins[members]).all():
                break
            before[members] = spins[members]
        _settle(edges, part, members, spins, down, min(int(self.slack * n), down - 1, n - down - 1))
        return spins[members]


def _along(rows: np.ndarray, members: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """float32 [n]: each member's place along the principal direction of the members' directions."""
    some = members if len(members) <= SAMPLE else np.sort(random.choice(members, SAMPLE, replace=False))
    sample = unit_rows(rows[some])
    centre = sample.mean(axis=0)
    sample = sample - centre
    axis = random.standard_normal(rows.shape[1]).astype(np.float32)
    for _ in range(TURNS):
        turned = sample.T @ (sample @ axis)
        norm = np.sqrt(turned @ turned)
        if norm < 1e-12:  # all alike
            break
        axis = turned / norm
    return (unit_rows(rows[members]) - centre) @ axis


def _settle(
    edges: Edges, part: np.ndarray, members: np.ndarray, spins: np.ndarray, down: int, slack: int
) -> None:
    """Turn the spins that lose least, in place, until there are `down` of -1 but for `slack`."""
    found = int((spins[members] < 0).sum())
    surplus = abs(found - down) - max(0, slack)
    if surplus <= 0:
        return
    larger = members[spins[members] == (-1 if found > down else 1)]
    held = fields(larger, part, part[members[0]], *edges, spins)
    spins[larger[np.argsort(held, kind="stable")[:surplus]]] *= -1
