"""The nearest centroid of every row, and the means of cells: blocks of float32 matrix products.

Blocks have the same bounds on any number of threads and each is multiplied by one BLAS thread, so that labels
do not depend on how many threads there are.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from thesphere.neighbours.search import unit_rows
from thesphere.runtime.threads import one_blas_thread

ROWS = 512  # rows of a block of scores
COLUMNS = 1024  # centroids of a block: 2 MB of scores stay in cache for the pass that finds the largest


def block_of(rows: np.ndarray, first: int, size: int, scale: float | None) -> np.ndarray:
    """float32 [size, D]: some rows, of norm 1 where scale is None, else times scale."""
    block = rows[first : first + size]
    if scale is None:
        return unit_rows(block)
    return (
        (block.astype(np.float64) * scale).astype(np.float32)
        if scale != 1
        else block.astype(np.float32, copy=False)
    )


def assign(
    rows: np.ndarray, centroids: np.ndarray, *, scale: float | None, raw: bool, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best centroid of every row: int32 [N], the smallest of equals, and its score float32 [N].

    The score is x . c for directions and x . c - |c|^2 / 2, (|x|^2 - |x - c|^2) / 2, for raw rows.

    Args:
        rows: real numbers [N, D].
        centroids: float32 [K, D].
        scale: what rows are multiplied by first; None: their norms are made 1.
        raw: nearest in L2 instead of by dot product.
        threads: workers.
    """
    labels, best = np.zeros(len(rows), np.int32), np.full(len(rows), -np.inf, np.float32)
    halves = np.einsum("kd,kd->k", centroids, centroids) / 2
    columns = [slice(at, at + COLUMNS) for at in range(0, len(centroids), COLUMNS)]
    turned = [np.ascontiguousarray(centroids[some].T) for some in columns]

    def work(first: int) -> None:
        block = block_of(rows, first, ROWS, scale)
        at, own = np.arange(len(block)), slice(first, first + len(block))
        for some, matrix in zip(columns, turned, strict=True):
            scores = block @ matrix
            if raw:
                scores -= halves[some]
            found = scores.argmax(axis=1)
            score = scores[at, found]
            better = score > best[own]
            labels[own][better] = found[better] + some.start
            best[own][better] = score[better]

    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(0, len(rows), ROWS)))
    return labels, best


def means(rows: np.ndarray, labels: np.ndarray, count: int, *, scale: float | None) -> np.ndarray:
    """float64 [count, D]: the mean of each cell's rows (or directions, with scale None); 0 for empty cells."""
    sums = np.zeros((count, rows.shape[1]))
    for first in range(0, len(rows), 1 << 14):
        block = block_of(rows, first, 1 << 14, scale)
        _add(np.ascontiguousarray(block), labels[first : first + len(block)], sums)
    sizes = np.bincount(labels, minlength=count)
    return sums / np.maximum(sizes, 1)[:, None]


@njit(cache=True, nogil=True)
def _add(rows, labels, sums):
    for i in range(len(rows)):
        cell = labels[i]
        for d in range(rows.shape[1]):
            sums[cell, d] += rows[i, d]


def unit(vectors: np.ndarray) -> np.ndarray:
    """float32 [K, D] of norm 1; vectors below the rounding of what they are means of become 0."""
    norms = np.sqrt(np.einsum("kd,kd->k", vectors, vectors))
    return (vectors / np.where(norms > 1e-6, norms, np.inf)[:, None]).astype(np.float32)
