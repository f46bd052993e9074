"""Norm shells times directions, for inner products of rows whose norms differ much."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from thesphere.errors import InputError
from thesphere.roots.partition.kmeans import Kmeans
from thesphere.roots.partition.problem import Divided, Problem


@dataclass(frozen=True)
class Shells:
    """Rows are cut by norm into shells of equal count, and each shell into cells of like directions.

    A shell bounds what its rows can score (|q| times its largest norm), whichever way the query points.

    Attributes:
        shells: how many, 1 or more; fewer where there are fewer cells.
        inside: the k-means of each shell.
    """

    name: ClassVar[str] = "shells"
    shells: int = 4
    inside: Kmeans = Kmeans(spherical=True)

    def __post_init__(self) -> None:
        if self.shells < 1:
            raise InputError(f"shells is {self.shells}; give 1 or more")

    def divide(self, problem: Problem) -> Divided:
        shells = min(self.shells, problem.count)
        order = np.argsort(problem.norms, kind="stable")
        labels, rounds = np.empty(len(problem), np.int64), 0
        for shell in range(shells):
            rows, cells = (
                slice(total * shell // shells, total * (shell + 1) // shells)
                for total in (len(problem), problem.count)
            )
            own = np.sort(order[rows])
            part = replace(
                problem, rows=problem.rows[own], norms=problem.norms[own], count=cells.stop - cells.start
            )
            found = self.inside.divide(part)
            labels[own] = found.labels + cells.start
            rounds = max(rounds, found.rounds)
        return Divided(labels, rounds)
