"""Second copies: rows on the border of their cell are also found in another one.

A query for which a row's first cell is badly placed errs along the first residual r = x - c, so that a second
centroid c' helps most where r' = x - c' is short and orthogonal to r: SOAR (Sun et al. 2024, arXiv 2404.00774),
loss |r'|^2 + lambda <r', r>^2 / |r|^2. It copies every row; we copy those with the smallest loss relative to
|r|^2, which gains nearly as much with a fifth of the copies.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numba import njit

from thesphere.roots.partition.assign import block_of
from thesphere.runtime.threads import one_blas_thread

SCORES = 1 << 20  # scores of a block: 4 MB


class Gathered(Protocol):
    """Rows that are gathered by number: an array [N, D], or several under one numbering."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


def second_cells(
    vectors: Gathered,
    labels: np.ndarray,
    centres: np.ndarray,
    wanted: int,
    *,
    scale: float | None,
    weight: float = 1.0,
    kinds: np.ndarray | None = None,
    among: np.ndarray | None = None,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows get a second copy, int32 [S] ascending, and in which cell, int32 [S]; never their own.

    Args:
        vectors: real numbers [N, D], or what gathers such rows.
        labels: int [N], the first cell of each row.
        centres: float32 [K, D], of norm 1 (or 0) where scale is None.
        wanted: how many copies; fewer where rows have no second cell or lie on their centroid.
        scale: what rows and centres are multiplied by (see `kmeans.scale_of`); None: directions.
        weight: lambda, 0 or more; 0 takes the nearest second cell.
        kinds: int [K], the role of each cell: copies stay within it; None: one role.
        among: int [R], ascending, the rows that may be copied; None: all.
        threads: workers; the result does not depend on it.
    """
    asked = np.arange(len(labels)) if among is None else among
    if wanted < 1 or len(centres) < 2:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    order = asked[np.argsort(labels[asked], kind="stable")]  # rows of one cell share its products with others
    targets = centres if scale is None else (centres.astype(np.float64) * scale).astype(np.float32)
    squares = np.einsum("kd,kd->k", targets, targets)
    turned = np.ascontiguousarray(targets.T)
    kinds = np.zeros(len(centres), np.int32) if kinds is None else kinds.astype(np.int32)
    cells, ratios = np.full(len(order), -1, np.int32), np.full(len(order), np.inf, np.float32)
    size = max(32, SCORES // len(centres))

    def work(first: int) -> None:
        some = slice(first, first + size)
        chosen = order[some]
        block = block_of(vectors[chosen], 0, len(chosen), scale)
        held, which = np.unique(labels[chosen], return_inverse=True)
        own = labels[chosen].astype(np.int32)
        lengths = np.einsum("nd,nd->n", block, block)
        _second(
            block @ turned, targets[held] @ turned, which, own, lengths, squares, kinds,
            np.float32(weight), cells[some], ratios[some],
        )  # fmt: skip

    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(0, len(order), size)))
    best = np.lexsort((order, ratios))[:wanted]
    best = best[cells[best] >= 0]
    best = best[np.argsort(order[best])]
    return order[best].astype(np.int32), cells[best]


@njit(cache=True, nogil=True)
def _second(scores, inner, which, own, lengths, squares, kinds, weight, cells, ratios):
    """The cell of the smallest loss of each row, and that loss / |r|^2; -1 and infinity where there is none.

    scores [B, K] <x, c>, inner [H, K] <c_own, c> with row which[i] for x_i, lengths [B] |x|^2, squares [K] |c|^2.
    """
    for i in range(len(own)):
        first, length = own[i], lengths[i]
        product = scores[i, first]
        residual = length - 2 * product + squares[first]
        if not residual > np.float32(1e-5) * length:  # the rounding of a row on its centroid; zero rows, too
            continue
        best = np.float32(np.inf)
        for c in range(scores.shape[1]):
            distance = length - 2 * scores[i, c] + squares[c]
            if distance < best and c != first and kinds[c] == kinds[first]:  # rarely: the loss is no smaller
                along = length - product - scores[i, c] + inner[which[i], c]
                loss = max(distance, np.float32(0)) + weight * along * along / residual
                if loss < best:
                    best = loss
                    cells[i] = c
        ratios[i] = best / residual
