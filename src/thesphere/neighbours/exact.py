"""All pairs, scored block by block."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from thesphere.neighbours.graph import Neighbours
from thesphere.neighbours.kernels import empty_lists, keep_best
from thesphere.runtime.threads import one_blas_thread, workers

ROWS = 256  # rows of a block of scores
COLUMNS = 2048  # columns of a block: 2 MB of scores stay in cache for the pass that keeps the best


def all_pairs(asked: np.ndarray, rows: np.ndarray, k: int, *, own: np.ndarray | None = None) -> Neighbours:
    """The k rows most similar to each that is asked; each worker takes some of these and one BLAS thread.

    Args:
        asked: float32 [Q, D], norm 1 or 0.
        rows: float32 [N, D], norm 1 or 0.
        k: neighbours, 1 or more.
        own: int32 [Q], which row each that is asked is, not to be its own neighbour; None: from outside.
    """
    ids, best = empty_lists(len(asked), k)
    numbers = np.arange(len(rows), dtype=np.int32)
    selves = np.full(len(asked), -1, np.int32) if own is None else own

    def work(first: int) -> None:
        some = slice(first, first + ROWS)
        for column in range(0, len(rows), COLUMNS):
            other = slice(column, column + COLUMNS)
            keep_best(asked[some] @ rows[other].T, numbers[other], selves[some], ids[some], best[some])

    with one_blas_thread(), ThreadPoolExecutor(workers()) as pool:
        list(pool.map(work, range(0, len(asked), ROWS)))
    return Neighbours(ids, np.clip(best, -1, 1, out=best, where=ids >= 0))


def most_similar(asked: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """int32 [Q]: the row with the largest product with each that is asked, the first of equals; `all_pairs` of
    one neighbour, by NumPy's vectorised search.

    Args:
        asked: float32 [Q, D].
        rows: float32 [N, D], N at least 1.
    """
    found = np.empty(len(asked), np.int32)

    def work(first: int) -> None:
        found[first : first + ROWS] = (asked[first : first + ROWS] @ rows.T).argmax(axis=1)

    with one_blas_thread(), ThreadPoolExecutor(workers()) as pool:
        list(pool.map(work, range(0, len(asked), ROWS)))
    return found
