"""The compiled loop of the neighbour search: keep the best of a block of scores."""

import numpy as np
from numba import njit

from thesphere.runtime import precision_of

PRECISE = np.dtype(precision_of("similarity")).type


@njit(cache=True, nogil=True)
def _insert(ids, best, found, score):
    """Put a score that belongs into a list (ids int32 [k], best float32 [k]) where it belongs; the last entry
    falls out."""
    place = len(best) - 1
    while place > 0 and (best[place - 1] < score or (best[place - 1] == score and ids[place - 1] > found)):
        best[place] = best[place - 1]
        ids[place] = ids[place - 1]
        place -= 1
    best[place] = score
    ids[place] = found


@njit(cache=True, nogil=True)
def keep_best(scores, columns, own, ids, best):
    """Merge a block of scores into sorted lists of the best, in place.

    Args:
        scores: float32 [B, M].
        columns: int32 [M], the ids of the columns.
        own: int32 [B], the id of each row, which is not its own neighbour; -1 for a row from outside.
        ids: int32 [B, k], -1 where empty.
        best: float32 [B, k], descending, ties by ascending id; -inf where empty.
    """
    k = ids.shape[1]
    for row in range(scores.shape[0]):
        last, last_id = best[row, k - 1], ids[row, k - 1]
        for column in range(scores.shape[1]):
            score = scores[row, column]
            if score < last:  # nearly always: the loop is this comparison
                continue
            found = columns[column]
            if found == own[row] or (score == last and last_id >= 0 and found > last_id):
                continue
            _insert(ids[row], best[row], found, score)
            last, last_id = best[row, k - 1], ids[row, k - 1]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(a, b):
    total = PRECISE(0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@njit(cache=True, nogil=True)
def join(rows, old_ids, first, widest, ids, best):
    """Score the neighbours' neighbours of rows first ... first + B - 1 and merge them into their lists.

    Args:
        rows: float32 [N, D].
        old_ids: int32 [N, k], the lists before; they are only read, so that the result does
            not depend on the order of rows or threads.
        widest: how many of a row's neighbours are asked, and for how many of theirs.
        ids, best: int32 and float32 [B, k], the lists after, in place.
    """
    k = ids.shape[1]
    widest = min(widest, k)
    tried = np.full(1024, -1, np.int64)  # a small hash table without chains: what it forgets is tried again
    for row in range(len(ids)):
        own = first + row
        for n in range(widest):
            middle = old_ids[own, n]
            if middle < 0:
                break
            for m in range(widest):
                found = old_ids[middle, m]
                if found < 0:
                    break
                mark = own * np.int64(len(rows)) + found
                if found == own or tried[found & 1023] == mark:
                    continue
                tried[found & 1023] = mark
                held = False
                for j in range(k):
                    held |= ids[row, j] == found
                if held:
                    continue
                score = _dot(rows[own], rows[found])
                last = best[row, k - 1]
                if score > last or (score == last and (ids[row, k - 1] < 0 or found < ids[row, k - 1])):
                    _insert(ids[row], best[row], found, score)


@njit(cache=True, nogil=True)
def symmetric(ids, sortings, weights):
    """Half of each weight in both directions, equal pairs added: starts int64 [N + 1], targets int32 [E],
    weights float32 [E]; see `Neighbours.edges`. sortings [N, k] sorts each row of ids."""
    count, k = ids.shape
    heads = np.zeros(count + 1, np.int64)  # who names i, ascending: sources[heads[i]:heads[i + 1]]
    for i in range(count):
        for n in range(k):
            if ids[i, n] >= 0 and weights[i, n] != 0:
                heads[ids[i, n] + 1] += 1
    for i in range(count):
        heads[i + 1] += heads[i]
    total = heads[count]
    sources, halves = np.empty(total, np.int32), np.empty(total, np.float32)
    filled = heads[:-1].copy()
    for i in range(count):
        for n in range(k):
            j = ids[i, n]
            if j >= 0 and weights[i, n] != 0:
                sources[filled[j]], halves[filled[j]] = i, weights[i, n] / 2
                filled[j] += 1
    starts = np.zeros(count + 1, np.int64)
    targets, sums = np.empty(2 * total, np.int32), np.empty(2 * total, np.float32)
    used = 0
    for i in range(count):  # merge whom i names, sorted, with who names i
        named = sortings[i]
        n, m = 0, heads[i]
        while n < k and (ids[i, named[n]] < 0 or weights[i, named[n]] == 0):
            n += 1
        while n < k or m < heads[i + 1]:
            left = ids[i, named[n]] if n < k else count
            right = sources[m] if m < heads[i + 1] else count
            targets[used], sums[used] = min(left, right), 0
            if left <= right:
                sums[used] += weights[i, named[n]] / 2
                n += 1
                while n < k and weights[i, named[n]] == 0:
                    n += 1
            if right <= left:
                sums[used] += halves[m]
                m += 1
            used += 1
        starts[i + 1] = used
    return starts, targets[:used].copy(), sums[:used].copy()


def empty_lists(count: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """ids int32 [count, k] of -1 and scores float32 [count, k] of -inf, for `keep_best` to fill."""
    return np.full((count, k), -1, np.int32), np.full((count, k), -np.inf, PRECISE)
