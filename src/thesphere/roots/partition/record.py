"""What a partition is, and how good it is."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Report:
    """How a partition came out.

    Attributes:
        method: the strategy's name.
        rounds: passes of it (rounds of k-means, sweeps of a sampler, levels of a tree).
        seconds: wall time of everything but the neighbour graph, if that was given.
        cut: share of the neighbour graph's edge weight that joins two cells, 0 to 1; NaN where no graph was
            given and the method made none (`measure.cut` takes one later).
        balance: rows of the largest cell / rows of the mean cell, 1 or more.
        purity: share of rows whose class is their cell's most frequent one; NaN without classes.
    """

    method: str
    rounds: int
    seconds: float
    cut: float
    balance: float
    purity: float


@dataclass(frozen=True)
class Partition:
    """Rows in K cells, none of them empty.

    Attributes:
        labels: int32 [N], the cell of each row.
        centroids: float32 [K, D], what a router takes the dot product with: the mean of the cell's directions,
            normalised, for "cosine" (0 where they cancel), the mean of its rows for "ip".
        sizes: int64 [K], rows of each cell, 1 or more.
        report: cut, balance, purity, seconds.
        roles: int32 [K], the role of each cell's rows (see `thesphere.geometry.zones`); 0 without roles.
    """

    labels: np.ndarray
    centroids: np.ndarray
    sizes: np.ndarray
    report: Report
    roles: np.ndarray

    def __len__(self) -> int:
        """K, how many cells there are."""
        return len(self.sizes)

    @property
    def order(self) -> np.ndarray:
        """int64 [N]: the rows cell by cell, ascending within each."""
        return np.argsort(self.labels, kind="stable")

    @property
    def starts(self) -> np.ndarray:
        """int64 [K + 1]: order[starts[c]:starts[c + 1]] are the rows of cell c."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
