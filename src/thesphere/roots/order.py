"""The order in which queries open cells: by what the router promises, sorted no further than they get.

A query opens some tens of a thousand cells. So those above a bar are gathered and sorted, SORTED of them or a few
more; the bar is found by counting how many cells are above it, which runs in vectors, and so does sorting: by
counting for each key how many are larger.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from thesphere.scan.dots import lowest
from thesphere.scan.grouped import RANKED

SORTED = 32  # cells that are brought into order at first, up to twice as many as it comes
HALVINGS = 8  # looks at how many cells promise at least so much, until that many or up to twice as many do
FIRST, NEXT = 1.5, 0.5  # standard deviations above the mean, and below what is in order, of the first look
SUMS = 16  # partial sums of the scores


class Way(NamedTuple):
    """Where a block of queries is.

    keys uint64 [B, K]: the cells (the score's order above, K - cell below, so that no two are equal), falling, as
    far as sorted int64 [B]; behind that is nothing yet. promise float32 [B, K]: what keys are made of. left
    int64 [B]: rows that the budget still allows. points int64 [B]: rows read. opened int64 [B]: cells, and passed
    int64 [B]: their rows, read or not. known float32 [B] and settled int64 [B]: the k-th score and `passed` when
    that last rose. spread float32 [B]: of the routing scores. lowest float32 [B]: what the cells in order promise
    at least, NaN while there are none. words uint64 and rest uint64 [K]: where cells are gathered.
    """

    keys: np.ndarray
    sorted: np.ndarray
    promise: np.ndarray
    left: np.ndarray
    points: np.ndarray
    opened: np.ndarray
    passed: np.ndarray
    settled: np.ndarray
    known: np.ndarray
    spread: np.ndarray
    lowest: np.ndarray
    words: np.ndarray
    rest: np.ndarray


@njit(cache=True, nogil=True)
def _ordered(bits):
    """float32 as bits -> uint64 of the same order."""
    word = np.uint64(bits)
    if word == np.uint64(0x80000000):  # minus zero
        word = np.uint64(0)
    return word ^ (np.uint64(0xFFFFFFFF) if word >> np.uint64(31) else np.uint64(0x80000000))


@njit(cache=True, nogil=True)
def _key(bits, cell, cells):
    """The key of a cell with the score of these bits (see `Way`)."""
    return (_ordered(bits) << np.uint64(32)) | np.uint64(cells - cell)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _add(scores, q, first, total, square):
    """Add SUMS scores and their squares to as many sums side by side: compilers make vectors of them."""
    for i in range(SUMS):
        value = np.float64(scores[q, first + i])
        total[i] += value
        square[i] += value * value


@njit(cache=True, nogil=True, error_model="numpy")
def _at_least(promise, q, bar):
    """How many cells promise query q at least that."""
    count = np.int32(0)
    for c in range(np.uint64(promise.shape[1])):
        count += np.int32(promise[q, c] >= bar)
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _falling(keys, count, out):
    """Fill out with the first of the keys, of which no two are equal, the largest first."""
    if count > RANKED:
        out[:count] = np.sort(keys[:count])[::-1]
        return
    for i in range(count):  # its place: how many are larger, counted in vectors
        place = np.int64(0)
        for other in range(np.uint64(count)):
            place += np.int64(keys[other] > keys[i])
        out[place] = keys[i]


@njit(cache=True, nogil=True, error_model="numpy")
def set_out(scores, way):
    """Fill the spread of the scores float32 [B, K], and bring the first cells into order by their promise."""
    cells = scores.shape[1]
    whole = cells // SUMS * SUMS
    total, square = np.empty(SUMS), np.empty(SUMS)
    for q in range(len(scores)):
        total[:], square[:] = 0.0, 0.0
        for c in range(0, whole, SUMS):
            _add(scores, q, c, total, square)
        for c in range(whole, cells):
            value = np.float64(scores[q, c])
            total[0] += value
            square[0] += value * value
        mean = total.sum() / cells
        way.spread[q] = np.sqrt(max(0.0, square.sum() / cells - mean * mean))
        way.sorted[q], way.lowest[q] = 0, np.nan
        _bring(q, np.float32(mean) + np.float32(FIRST) * way.spread[q], way)


@njit(cache=True, nogil=True, error_model="numpy")
def _bring(q, bar, way):
    """Bring further cells of query q into order, behind those that are: about as many again, or SORTED. Those in
    order are all that promise `way.lowest` or more; what the next ones do is sought from `bar` on."""
    promise, bits, keys = way.promise, way.promise.view(np.uint32), way.keys
    words, rest = way.words, way.rest
    mask, cells = words.view(np.uint8), promise.shape[1]
    done, before, step = way.sorted[q], way.lowest[q], way.spread[q]
    wanted = max(2 * done, SORTED)
    low, high = np.float32(-np.inf), np.float32(np.inf) if done == 0 else before
    for _ in range(HALVINGS):
        found = _at_least(promise, q, bar)
        if found < wanted:
            high = bar
        else:
            low = bar
            if found < 2 * wanted:
                break
        if low == -np.inf:
            bar, step = bar - step, step + step
        elif high == np.inf:
            bar, step = bar + step, step + step
        else:
            bar = np.float32(0.5) * (low + high)
    for c in range(np.uint64(cells)):  # no branch: so it is vectorised
        mask[c] = np.int8(promise[q, c] >= low) & np.int8(not promise[q, c] >= before)
    count = 0
    for eight in range(len(words)):
        word = words[eight]
        while word:
            c = 8 * eight + lowest(word) // 8
            rest[count] = _key(bits[q, c], c, cells)
            count += 1
            word &= word - np.uint64(1)
    _falling(rest, count, keys[q, done:])
    way.sorted[q], way.lowest[q] = done + count, low


@njit(cache=True, nogil=True)
def cell_of(key, cells):
    return cells - np.int64(key & np.uint64(0xFFFFFFFF))


@njit(cache=True, nogil=True, error_model="numpy")
def sort_more(q, way):
    """Bring further cells of query q into order, behind those that are."""
    _bring(q, way.lowest[q] - np.float32(NEXT) * way.spread[q], way)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def largest(values):
    """The largest of float64 values, none of them NaN: SUMS side by side, so that it is vectorised."""
    best, whole = np.full(SUMS, -np.inf), len(values) // SUMS * SUMS
    for first in range(0, whole, SUMS):
        for i in range(SUMS):
            best[i] = values[first + i] if values[first + i] > best[i] else best[i]
    for i in range(whole, len(values)):
        best[0] = values[i] if values[i] > best[0] else best[0]
    return best.max()
