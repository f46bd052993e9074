"""How well a chart keeps neighbours together. Positions are compared by chord, which orders like the angle."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from thesphere.errors import InputError
from thesphere.neighbours import Neighbours
from thesphere.neighbours.search import unit_rows
from thesphere.runtime.threads import one_blas_thread, workers

BLOCK = 256  # rows that a worker takes at once


def overlap(
    positions: np.ndarray, neighbours: Neighbours, k: int = 10, *, rows: np.ndarray | None = None
) -> float:
    """Neighbour overlap@k: the share, in [0, 1], of the k nearest by cosine that are among the k nearest by
    great-circle angle on the chart, mean over points.

    Args:
        positions: unit vectors [N, 3].
        neighbours: of the embeddings, at least min(k, N - 1) each.
        rows: integers [M], M at least 1, the points that are judged; None for all.

    Raises:
        InputError: lengths differ, fewer neighbours than k are held, NaN or infinity, or other rows.
    """
    points = _points(positions)
    if len(neighbours) != len(points):
        raise InputError(
            f"there are {len(points)} positions and neighbours of {len(neighbours)} points; give both of the"
            " same points"
        )
    k = min(k, len(points) - 1)
    if k < 1 or neighbours.k < k:
        raise InputError(
            f"overlap@{k} of {len(points)} points with {neighbours.k} neighbours each; give at least 2 points"
            " and at least k neighbours"
        )
    chosen = _chosen(rows, len(points))
    near = nearest_on_chart(points, k, rows=chosen)
    true = neighbours.ids[chosen, :k, None]
    held = (true >= 0).sum()
    return float(((near[:, None] == true) & (true >= 0)).sum() / max(held, 1))


def trustworthiness(
    positions: np.ndarray, embeddings: np.ndarray, k: int = 10, *, rows: np.ndarray | None = None
) -> float:
    """Trustworthiness in [0, 1] (Venna and Kaski 2001): 1 less a penalty for every one of a point's k nearest
    on the chart that is not among its k nearest by cosine, as large as its rank is beyond k.

    Args:
        positions: unit vectors [N, 3].
        embeddings: numbers [N, D].
        k: neighbours, below N / 2.
        rows: integers [M], M at least 1, the points that are judged; None for all.

    Raises:
        InputError: lengths differ, k is not in 1 ... N / 2, NaN or infinity, or other rows.
    """
    points, units = _points(positions), unit_rows(embeddings)
    count = len(points)
    if len(units) != count or not 1 <= k < count / 2:
        raise InputError(
            f"{count} positions, {len(units)} embeddings and k = {k}; give as many of both and 1 <= k < N / 2"
        )
    chosen = _chosen(rows, count)
    near = nearest_on_chart(points, k, rows=chosen)
    excess = np.zeros(len(chosen), np.int64)

    def work(first: int) -> None:
        some = slice(first, first + BLOCK)
        _excess_ranks(units[chosen[some]] @ units.T, near[some], chosen[some], excess[some])

    with one_blas_thread():
        _in_blocks(work, len(chosen))
    return float(1 - excess.sum() * 2 / (len(chosen) * k * (2 * count - 3 * k - 1)))


def nearest_on_chart(positions: np.ndarray, k: int, *, rows: np.ndarray | None = None) -> np.ndarray:
    """The k nearest other points on the chart, nearest first, ties by ascending id: int32 [M, k], -1 where
    there are fewer. All pairs are compared.

    Args:
        positions: unit vectors [N, 3].
        rows: integers [M], M at least 1, the points whose neighbours are asked for; None for all.

    Raises:
        InputError: not [N, 3], NaN or infinity, or other rows.
    """
    points = _points(positions)
    chosen = _chosen(rows, len(points))
    near = np.full((len(chosen), k), -1, np.int32)
    columns = np.ascontiguousarray(points.T)

    def work(first: int) -> None:
        _nearest_points(columns, chosen[first : first + BLOCK], near[first : first + BLOCK])

    _in_blocks(work, len(chosen))
    return near


def _points(positions: np.ndarray) -> np.ndarray:
    points = np.asarray(positions, np.float32)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"positions have shape {list(points.shape)}; give unit vectors [N, 3]")
    if not np.isfinite(points).all():
        row = int(np.argmin(np.isfinite(points).all(axis=1)))
        raise InputError(f"row {row} of the positions holds NaN or infinity; give unit vectors")
    return points


def _chosen(rows: np.ndarray | None, count: int) -> np.ndarray:
    if rows is None:
        return np.arange(count)
    chosen = np.asarray(rows)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not len(chosen):
        raise InputError(
            f"rows are {chosen.dtype} of shape {list(chosen.shape)}; give integers [M], one at least"
        )
    if not 0 <= chosen.min() <= chosen.max() < count:
        raise InputError(f"rows run from {chosen.min()} to {chosen.max()}; give 0 to {count - 1}")
    return chosen.astype(np.int64)


def _in_blocks(work: Callable[[int], None], count: int) -> None:
    with ThreadPoolExecutor(workers()) as pool:
        list(pool.map(work, range(0, count, BLOCK)))


@njit(cache=True, nogil=True)
def _nearest_points(columns, rows, near):
    """near int32 [M, k] of points float32 [3, N]; squared chords, two passes: distances, then the best."""
    count, k = columns.shape[1], near.shape[1]
    chords = np.empty(count, np.float32)
    best = np.empty(k, np.float32)
    for row in range(len(rows)):
        own = rows[row]
        x, y, z = columns[0, own], columns[1, own], columns[2, own]
        for j in range(count):
            dx, dy, dz = columns[0, j] - x, columns[1, j] - y, columns[2, j] - z
            chords[j] = dx * dx + dy * dy + dz * dz
        chords[own] = np.inf
        best[:] = np.inf
        for j in range(count):
            if chords[j] < best[k - 1]:
                place = k - 1
                while place > 0 and best[place - 1] > chords[j]:
                    best[place] = best[place - 1]
                    near[row, place] = near[row, place - 1]
                    place -= 1
                best[place] = chords[j]
                near[row, place] = j


@njit(cache=True, nogil=True)
def _excess_ranks(scores, near, own, excess):
    """excess[i] = how far beyond k the ranks of near[i] by scores [M, N] lie, summed. The rank of j counts the
    others that score higher, ties by ascending id."""
    count, k = scores.shape[1], near.shape[1]
    for row in range(len(near)):
        scores[row, own[row]] = -np.inf
        for n in range(k):
            other = near[row, n]
            score = scores[row, other]
            above = 0
            for j in range(count):
                above += scores[row, j] > score
            for j in range(other):
                above += scores[row, j] == score
            excess[row] += max(0, above + 1 - k)
