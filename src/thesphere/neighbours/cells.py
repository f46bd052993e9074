"""Approximate neighbours of large collections: search a few cells, then ask the neighbours' neighbours.

The cells are those of a spherical k-means over a sample (an inverted file, Jegou et al. 2011). Where a row
searches several cells, a second pass scores what the neighbours found so far hold as neighbours (one round of
NN-descent, Dong et al. 2011), which finds most of what lies beyond the borders of the cells.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from thesphere.geometry import generator
from thesphere.neighbours.exact import ROWS, all_pairs, most_similar
from thesphere.neighbours.graph import Neighbours
from thesphere.neighbours.kernels import empty_lists, join, keep_best
from thesphere.runtime.threads import one_blas_thread, workers

PER_CELL, BY_AXES = 600, 400  # rows of a cell, on average: by all columns, by leading axes
LARGEST = 4096  # rows of a cell that are searched by one row
SAMPLE = 24  # rows of the sample for every cell
ROUNDS = 3  # rounds of k-means
WIDEST = 10  # neighbours whose neighbours are asked
AXES_SAMPLE = 4000  # rows that the axes are taken from
BLOCK = 2048  # rows that a worker joins at once


def search_cells(rows: np.ndarray, k: int, *, probes: int, key: int, axes: int | None = None) -> Neighbours:
    """The k most similar other rows of each, most of them; see `nearest`.

    Args:
        rows: float32 [N, D], norm 1 or 0.
        k: neighbours per row.
        probes: cells that every row searches, 1 or more.
        key: of the sample.
        axes: leading principal axes by which cells are told apart; None: by all columns.
    """
    guides, size = (rows, PER_CELL) if axes is None else (_projected(rows, axes, key), BY_AXES)
    centres = _centres(guides, max(1, len(rows) // size), key)
    if probes == 1:
        cells = most_similar(guides, centres)[:, None]
    else:
        cells = all_pairs(guides, centres, min(probes, len(centres))).ids
    order = np.argsort(cells[:, 0], kind="stable").astype(np.int32)
    cells = cells[order]
    sorted_rows = rows[order] if cells.shape[1] > 1 else None  # one turn reads every row once: no copy pays
    pieces, firsts = _pieces(np.bincount(cells[:, 0], minlength=len(centres)))
    places = np.arange(len(rows), dtype=np.int32)
    ids, best = empty_lists(len(rows), k)
    with one_blas_thread(), ThreadPoolExecutor(workers()) as pool:
        for turn, cell in enumerate(cells.T):  # a row meets one piece per turn: no two workers share a list
            if turn == 0:
                piece = np.searchsorted(pieces, places, side="right") - 1
            else:
                piece = firsts[cell] + places % (firsts[cell + 1] - firsts[cell])
            asking = np.argsort(piece, kind="stable").astype(np.int32)
            bounds = np.searchsorted(piece[asking], np.arange(len(pieces)))

            def work(piece: int, asking=asking, bounds=bounds) -> None:
                some = slice(pieces[piece], pieces[piece + 1])
                held = rows[order[some]] if sorted_rows is None else sorted_rows[some]
                for first in range(bounds[piece], bounds[piece + 1], ROWS):
                    who = asking[first : min(first + ROWS, bounds[piece + 1])]
                    asked = held[who - pieces[piece]] if sorted_rows is None else sorted_rows[who]
                    lists, scores = ids[who], best[who]
                    keep_best(asked @ held.T, places[some], who, lists, scores)
                    ids[who], best[who] = lists, scores

            list(pool.map(work, range(len(pieces) - 1)))
        if sorted_rows is not None:  # within one cell, the neighbours' neighbours have all been scored
            old, ids, best = ids, ids.copy(), best.copy()

            def widen(first: int) -> None:
                some = slice(first, first + BLOCK)
                join(sorted_rows, old, first, WIDEST, ids[some], best[some])

            list(pool.map(widen, range(0, len(rows), BLOCK)))
    found, scores = ids, best
    ids, best = np.empty_like(found), np.empty_like(scores)
    ids[order], best[order] = np.where(found >= 0, order[found], -1), scores
    lacking = np.flatnonzero(ids[:, min(k, len(rows) - 1) - 1] < 0).astype(np.int32)  # cells smaller than k
    if len(lacking):
        among_all = all_pairs(rows[lacking], rows, k, own=lacking)
        ids[lacking], best[lacking] = among_all.ids, among_all.similarities
    return Neighbours(ids, np.clip(best, -1, 1, out=best, where=ids >= 0))


def _projected(rows: np.ndarray, axes: int, key: int) -> np.ndarray:
    """float32 [N, axes]: the rows along the axes that hold most of a keyed sample's squares, norm 1 or 0."""
    some = rows[generator(key, 1).choice(len(rows), min(len(rows), AXES_SAMPLE), replace=False)]
    with one_blas_thread():
        out = rows @ np.linalg.eigh(some.T @ some)[1][:, -axes:]
    norms = np.sqrt(np.einsum("nd,nd->n", out, out))
    out /= np.where(norms > 0, norms, 1)[:, None]
    return out


def _pieces(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells beyond `LARGEST` rows (many duplicates) are cut into equal pieces, or they would cost their size
    squared: where each piece begins, int64 [pieces + 1], and each cell's first piece, int64 [cells + 1]."""
    counts = np.maximum(1, -(-sizes // LARGEST))
    firsts = np.concatenate([[0], np.cumsum(counts)])
    number = np.arange(firsts[-1]) - np.repeat(firsts[:-1], counts)
    starts = np.cumsum(sizes) - sizes
    begins = np.repeat(starts, counts) + number * np.repeat(sizes, counts) // np.repeat(counts, counts)
    return np.append(begins, sizes.sum()), firsts


def _centres(rows: np.ndarray, count: int, key: int) -> np.ndarray:
    """float32 [count, D]: spherical k-means of a keyed sample, started from its first rows."""
    sample = rows[generator(key).choice(len(rows), min(len(rows), count * SAMPLE), replace=False)]
    centres = sample[:count].copy()
    for _ in range(ROUNDS):
        cell = most_similar(sample, centres)
        order = np.argsort(cell, kind="stable")
        held, firsts = np.unique(cell[order], return_index=True)
        sums = np.add.reduceat(sample[order], firsts, axis=0)
        norms = np.sqrt(np.einsum("nd,nd->n", sums, sums))
        moved = norms > 0
        centres[held[moved]] = sums[moved] / norms[moved, None]
    return centres
