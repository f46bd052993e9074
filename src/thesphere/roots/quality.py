"""How well an index divides its rows: what its cells cut apart, how even they are, and how pure."""

from dataclasses import dataclass

import numpy as np

from thesphere.geometry import generator
from thesphere.neighbours.kernels import empty_lists, keep_best
from thesphere.neighbours.search import unit_rows
from thesphere.roots.cells import Cells
from thesphere.roots.partition.measure import balance, purity
from thesphere.roots.spill import Gathered
from thesphere.runtime import one_blas_thread, workers
from thesphere.runtime.threads import spread

NEIGHBOURS = 16  # of a row, as in the graph that partitions are made along
SAMPLE = 500  # rows whose neighbours are looked for: a cut is right to about 0.01
ASKED, BLOCK = 128, 1 << 14  # rows of the sample, and of all, that are compared at once
STREAM = 60  # of the key


@dataclass(frozen=True)
class Quality:
    """Of the cells as they are now; second copies do not count.

    Attributes:
        cut: share of the pairs of a row and one of its 16 nearest, by cosine, that lie in two cells, 0 to 1; NaN
            for fewer than two rows.
        sample: rows that `cut` was found on, out of all.
        balance: rows of the largest cell / rows of the mean cell, 1 or more.
        purity: share of rows whose class is their cell's most frequent one; NaN without classes.
    """

    cut: float
    sample: int
    balance: float
    purity: float

    def __str__(self) -> str:
        told = f"largest cell {self.balance:.1f} times the mean"
        if not np.isnan(self.cut):
            told = f"{self.cut:.0%} of neighbours in other cells (of {self.sample:,} points), {told}"
        return told if np.isnan(self.purity) else f"{told}, purity {self.purity:.2f}"


def quality_of(
    cells: Cells, vectors: Gathered, classes: np.ndarray | None = None, *, key: int | None = None
) -> Quality:
    """What `Quality` says; all rows are read once.

    Args:
        cells: with members.
        vectors: numbers [N, D], an array or whatever gives them for an array of row numbers.
        classes: [N], what the purity is about.
        key: seed of the sample.

    Raises:
        InputError: not one class for each row.
    """
    own = ~cells.copies
    labels = np.empty(cells.count, np.int32)
    labels[cells.rows[own]] = cells.labels[own]
    chosen = np.sort(generator(key, STREAM).permutation(len(labels))[:SAMPLE])
    return Quality(
        _cut(vectors, labels, chosen.astype(np.int32)),
        len(chosen),
        balance(np.bincount(labels, minlength=len(cells))),
        float("nan") if classes is None else purity(labels, np.asarray(classes)),
    )


def _cut(vectors: Gathered, labels: np.ndarray, chosen: np.ndarray) -> float:
    """Share of the nearest of the chosen rows that lie in another cell than these."""
    asked, (ids, best) = unit_rows(vectors[chosen]), empty_lists(len(chosen), NEIGHBOURS)
    for first in range(0, len(labels), BLOCK):
        columns = np.arange(first, min(first + BLOCK, len(labels)), dtype=np.int32)
        rows = unit_rows(vectors[columns])

        def work(begin: int, columns=columns, rows=rows) -> None:
            some = slice(begin, begin + ASKED)
            keep_best(asked[some] @ rows.T, columns, chosen[some], ids[some], best[some])

        with one_blas_thread():
            spread(work, range(0, len(chosen), ASKED), workers())
    found = ids >= 0
    apart = labels[ids] != labels[chosen][:, None]
    return float(apart[found].mean()) if found.any() else float("nan")
