"""Rows that lie in cells: queries open chosen cells, which are scanned for many queries at a time.

A pair is a query and a cell that it opens. Pairs are grouped by cell, so that one tile of int8 products serves
all queries that want it. What a query finds depends on its own pairs only, never on who else is asked: it meets
the cells of a round in ascending order and their rows in the order of slots, and every number is made from
integers. A row may lie in two cells; its second copy changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from thesphere.scan.block import Queries
from thesphere.scan.dots import score, tiles_are_compiled
from thesphere.scan.kernel import COARSE, _bar, _keep, _product
from thesphere.scan.part import Metric
from thesphere.scan.rows import Codes, frozen

LIST = 128  # candidates that a query has room for, or four times k
ROOM = 1 << 18  # int32 products of one pass: 1 MB, so that they stay in cache
TILED = 1 << 17  # bytes multiplied in a job from which on a call of the compiled product pays
FEWEST = 4  # queries that such a job has at least
POWERS = 2.0 ** (np.arange(32) - 25.0)  # of the exponents of float16


class Columns(NamedTuple):
    """Per slot: codes int8 [M, W], scales, residuals (float16 as uint16), lengths (see `Codes`), rows int32."""

    codes: np.ndarray
    scales: np.ndarray
    residuals: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Slots:
    """Rows in the order of cells, and the vectors that they are scored on.

    Attributes:
        codes: int8 rows [M] by slot.
        rows: int32 [M], the row of `vectors` behind each slot.
        starts: int64 [K + 1], cell c holds the slots starts[c] ... starts[c + 1] - 1, by falling norm.
        vectors: float32 [N, D].
        metric: "ip" or "cosine".
    """

    codes: Codes
    rows: np.ndarray
    starts: np.ndarray
    vectors: np.ndarray
    metric: Metric

    def __len__(self) -> int:
        """K, how many cells there are."""
        return len(self.starts) - 1

    @cached_property
    def columns(self) -> Columns:
        codes = self.codes
        residuals = codes.residuals.view(np.uint16)
        return Columns(*map(frozen, (codes.codes, codes.scales, residuals, codes.lengths, self.rows)))

    @cached_property
    def tops(self) -> np.ndarray:
        """float64 [K, 3]: the largest weight (1 where all are 0), residual and length of each cell."""
        out = np.zeros((len(self), 3))
        _tops(self.starts, self.columns, self.metric == "cosine", out)
        return frozen(out)

    @cached_property
    def truth(self) -> np.ndarray:
        return frozen(self.vectors)


class State(NamedTuple):
    """What a block of B queries has found: k best lower bounds, and the candidates behind them.

    heaps float64 [B, k]: min-heaps of the k best lower bounds so far, of distinct rows, -inf where fewer;
    members int64 [B, k]: their rows, -1; positions int64 [B, C] and uppers float64 [B, C]: the candidates' slots
    and upper bounds; counts int64 [B]; rescored int64 [B]: rows scored in float64.
    """

    heaps: np.ndarray
    members: np.ndarray
    positions: np.ndarray
    uppers: np.ndarray
    counts: np.ndarray
    rescored: np.ndarray

    @classmethod
    def new(cls, count: int, k: int) -> "State":
        room = max(4 * k, LIST)
        return cls(
            np.full((count, k), -np.inf),
            np.full((count, k), -1, dtype=np.int64),
            np.empty((count, room), dtype=np.int64),
            np.empty((count, room)),
            np.zeros(count, dtype=np.int64),
            np.zeros(count, dtype=np.int64),
        )


class Asked(NamedTuple):
    """Queries as the passes take them: codes int16 [B, W], terms float64 [B, 3], float64 [B, D], norms float64
    [B], and the row that each must not find, int64 [B], -1 for none."""

    wide: np.ndarray
    terms: np.ndarray
    exact: np.ndarray
    norms: np.ndarray
    own: np.ndarray

    @classmethod
    def of(cls, queries: Queries, own: np.ndarray | None) -> "Asked":
        none = np.full(len(queries), -1, dtype=np.int64)
        wide = queries.codes.codes.astype(np.int16)
        return cls(
            *map(frozen, (wide, queries.terms, queries.exact, queries.norms, none if own is None else own))
        )


class Jobs(NamedTuple):
    """The pairs of a round grouped by cell: cells int64 [J], edges int64 [J + 1] of who and wanted, the most rows
    that any of its queries wants int64 [J]; who int64 [P] and wanted int64 [P], rows of the cell that each query
    wants."""

    cells: np.ndarray
    edges: np.ndarray
    rows: np.ndarray
    who: np.ndarray
    wanted: np.ndarray


def scan(slots: Slots, queries: Queries, asked: Asked, jobs: Jobs, live: np.ndarray, state: State) -> None:
    """Bring the rows of all jobs before their queries. live: bool [M] by slot, or empty for all."""
    room = np.empty(ROOM, dtype=np.int32)
    cosine = queries.cosine
    for tiles in _passes(slots, queries, jobs, room):
        groups_pass(
            tiles,
            jobs,
            room,
            slots.columns,
            slots.starts,
            slots.tops,
            live,
            asked,
            cosine,
            slots.truth,
            state,
        )


def _passes(slots: Slots, queries: Queries, jobs: Jobs, room: np.ndarray) -> Iterator[np.ndarray]:
    """Tiles int64 [T, 4]: a job, its first row, how many, and where their products lie in `room`, or -1 where
    multiplying as they are needed is quicker. Products are valid until the next pass."""
    sizes = np.diff(jobs.edges)
    width = slots.codes.codes.shape[1]
    tiled = (sizes >= FEWEST) & (sizes * jobs.rows * width >= TILED) & tiles_are_compiled()
    waiting, used = [], 0
    for job, (size, rows, alone) in enumerate(zip(sizes.tolist(), jobs.rows.tolist(), ~tiled, strict=True)):
        if alone:
            waiting.append((job, 0, rows, -1))
            continue
        own = queries.codes.codes[jobs.who[jobs.edges[job] : jobs.edges[job + 1]]]
        step = max(1, ROOM // size)
        for begin in range(0, rows, step):
            here = min(step, rows - begin)
            if used + here * size > ROOM:
                yield np.array(waiting, dtype=np.int64)
                waiting, used = [], 0
            first = int(slots.starts[jobs.cells[job]]) + begin
            _products(own, slots.columns.codes[first : first + here], room, used)
            waiting.append((job, begin, here, used))
            used += here * size
    if waiting:
        yield np.array(waiting, dtype=np.int64)


def _products(queries: np.ndarray, rows: np.ndarray, room: np.ndarray, used: int) -> None:
    """int32 [queries, rows] into `room` from `used` on."""
    import numkong

    # numkong writes into its own tensors only: a view of ours
    shape = (len(queries), len(rows))
    view = numkong.from_pointer(room.ctypes.data + 4 * used, shape, "int32", owner=room)
    numkong.dots_packed(queries, numkong.dots_pack(rows), out=view)


@njit(cache=True, nogil=True)
def _residual(bits):
    """The float16 >= 0 of these bits, uint16, as float64."""
    exponent, fraction = bits >> 10, bits & 1023
    return (fraction + 1024.0) * POWERS[exponent] if exponent else fraction * POWERS[1]


@njit(cache=True, nogil=True)
def _weight(columns, slot, cosine):
    if not cosine:
        return np.float64(columns.scales[slot])
    length = np.float64(columns.lengths[slot])
    return 1.0 / length if length > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _tops(starts, columns, cosine, out):
    for c in range(len(starts) - 1):
        for slot in range(starts[c], starts[c + 1]):
            out[c, 0] = max(out[c, 0], _weight(columns, slot, cosine))
            out[c, 1] = max(out[c, 1], _residual(columns.residuals[slot]))
            out[c, 2] = max(out[c, 2], np.float64(columns.lengths[slot]))
        if out[c, 0] == 0.0:
            out[c, 0] = 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def group(pairs, cells):
    """Pairs int64 [P, 3] (query, cell, rows wanted), queries ascending where cells are equal, as `Jobs`."""
    counts = np.zeros(cells, dtype=np.int64)
    for p in range(len(pairs)):
        counts[pairs[p, 1]] += 1
    jobs = 0
    for c in range(cells):
        jobs += counts[c] > 0
    named, edges = np.empty(jobs, dtype=np.int64), np.zeros(jobs + 1, dtype=np.int64)
    place = np.zeros(cells, dtype=np.int64)
    j = at = 0
    for c in range(cells):
        if counts[c]:
            named[j], place[c] = c, at
            at += counts[c]
            j += 1
            edges[j] = at
    who, wanted = np.empty(at, dtype=np.int64), np.empty(at, dtype=np.int64)
    for p in range(len(pairs)):
        at = place[pairs[p, 1]]
        who[at], wanted[at] = pairs[p, 0], pairs[p, 2]
        place[pairs[p, 1]] += 1
    rows = np.zeros(jobs, dtype=np.int64)
    for j in range(jobs):
        for p in range(edges[j], edges[j + 1]):
            rows[j] = max(rows[j], wanted[p])
    return named, edges, rows, who, wanted


@njit(cache=True, nogil=True, error_model="numpy")
def _push(heaps, members, q, value, row):
    """Replace the least of query q's min-heap by a larger value, its row with it."""
    size = heaps.shape[1]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and heaps[q, child + 1] < heaps[q, child]:
            child += 1
        if heaps[q, child] >= value:
            break
        heaps[q, i] = heaps[q, child]
        members[q, i] = members[q, child]
        i = child
    heaps[q, i] = value
    members[q, i] = row


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(q, rows, asked, cosine, vectors, state):
    """Score the candidates of query q in float64 and keep the k best distinct ones, sorted by (score descending,
    row ascending). From then on their lower and upper bounds are their scores."""
    positions, uppers = state.positions[q], state.uppers[q]
    count, k = state.counts[q], state.heaps.shape[1]
    for c in range(count):
        uppers[c] = score(vectors, rows[positions[c]], 1.0, asked.exact[q], asked.norms[q], cosine)
    state.rescored[q] += count
    kept = 0  # insertion into the first k places: lists are short
    for c in range(count):
        value, slot = uppers[c], positions[c]
        row = rows[slot]
        if kept == k and (
            value < uppers[k - 1] or (value == uppers[k - 1] and row >= rows[positions[k - 1]])
        ):
            continue
        low, high = 0, kept  # the place behind all that are better
        while low < high:
            middle = (low + high) // 2
            if uppers[middle] > value or (uppers[middle] == value and rows[positions[middle]] < row):
                low = middle + 1
            else:
                high = middle
        if low < kept and rows[positions[low]] == row:  # its other copy
            continue
        kept = min(kept + 1, k)
        for i in range(kept - 1, low, -1):
            uppers[i] = uppers[i - 1]
            positions[i] = positions[i - 1]
        uppers[low] = value
        positions[low] = slot
    state.counts[q] = kept
    for i in range(k):  # ascending: a heap as it is
        found = k - 1 - i < kept
        state.heaps[q, i] = uppers[k - 1 - i] if found else -np.inf
        state.members[q, i] = rows[positions[k - 1 - i]] if found else -1


@njit(cache=True, nogil=True, error_model="numpy")
def _offer(q, slot, product, columns, asked, cosine, vectors, state):
    """Take a row into query q's candidates if its upper bound reaches the k-th lower one."""
    # no slices in here: each would be counted as a reference, which costs more than the work
    factor = asked.terms[q, 0] * _weight(columns, slot, cosine)
    error = asked.terms[q, 1] * _residual(columns.residuals[slot]) + asked.terms[q, 2] * columns.lengths[slot]
    upper = factor * (product + error)
    heaps, members, row = state.heaps, state.members, columns.rows[slot]
    if not upper >= heaps[q, 0] or row == asked.own[q]:
        return
    for i in range(heaps.shape[1]):
        if members[q, i] == row:  # its other copy is in
            return
    count = state.counts[q]
    state.positions[q, count] = slot
    state.uppers[q, count] = upper
    count += 1
    lower = factor * (product - error)
    if lower > heaps[q, 0]:
        _push(heaps, members, q, lower, row)
    full = count == state.positions.shape[1]
    if full:
        count = _keep(state.positions[q], state.uppers[q], count, heaps[q, 0])
    state.counts[q] = count
    if full and 2 * count > state.positions.shape[1]:
        _settle(q, columns.rows, asked, cosine, vectors, state)


@njit(cache=True, nogil=True, error_model="numpy")
def _test(q, top, asked, state):
    """Error and bar of the float32 pre-test of a cell's rows, in units of its largest weight; top float64 [3],
    see `Slots`."""
    error = asked.terms[q, 1] * top[1] + asked.terms[q, 2] * top[2]
    # |I| <= |q_hat| (|x| + |x - x_hat|) / scales, and the pre-test rounds about that much
    error += COARSE * (error + asked.terms[q, 1] * (top[2] + top[1]))
    return np.float32(error), _bar(state.heaps[q, 0] / asked.terms[q, 0] / top[0])


@njit(cache=True, nogil=True, error_model="numpy")
def rows_pass(q, wide, first, count, top, columns, live, asked, cosine, vectors, state):
    """Bring the slots first ... first + count - 1 of one cell before query q, whose codes are `wide`."""
    error, bar = _test(q, top, asked, state)
    for slot in range(first, first + count):
        if len(live) and not live[slot]:
            continue
        product = _product(columns.codes, slot, wide)
        if (np.float32(product) + error) * np.float32(_weight(columns, slot, cosine) / top[0]) >= bar:
            _offer(q, slot, product, columns, asked, cosine, vectors, state)
            bar = _bar(state.heaps[q, 0] / asked.terms[q, 0] / top[0])


@njit(cache=True, nogil=True, error_model="numpy")
def groups_pass(tiles, jobs, dots, columns, starts, tops, live, asked, cosine, vectors, state):
    """Bring tiles of jobs before their queries (see `_passes`); dots int32: a tile's products query by query."""
    most = 0
    for t in range(len(tiles)):
        most = max(most, tiles[t, 2])
    shares = np.empty(most, dtype=np.float32)
    words = np.zeros(most // 8 + 1, dtype=np.uint64)
    mask = words.view(np.uint8)
    for t in range(len(tiles)):
        job, begin, count, place = tiles[t, 0], tiles[t, 1], tiles[t, 2], tiles[t, 3]
        top = tops[jobs.cells[job]]
        first = starts[jobs.cells[job]] + begin
        if place < 0:
            for w in range(jobs.edges[job], jobs.edges[job + 1]):
                q, rows = jobs.who[w], jobs.wanted[w]
                rows_pass(q, asked.wide[q], first, rows, top, columns, live, asked, cosine, vectors, state)
            continue
        for r in range(count):
            shares[r] = np.float32(_weight(columns, first + r, cosine) / top[0])
            if len(live) and not live[first + r]:
                shares[r] = np.nan  # never reaches a bar
        for w in range(jobs.edges[job], jobs.edges[job + 1]):
            q, rows = jobs.who[w], min(count, jobs.wanted[w] - begin)
            at = place + (w - jobs.edges[job]) * count
            if rows <= 0:
                continue
            error, bar = _test(q, top, asked, state)
            words[(rows - 1) // 8] = 0
            _mark(dots, at, rows, error, shares, bar, mask)
            for eight in range((rows + 7) // 8):  # nearly all have nothing here
                if words[eight] == 0:
                    continue
                for r in range(8 * eight, 8 * eight + 8):
                    if mask[r]:
                        _offer(q, first + r, dots[at + r], columns, asked, cosine, vectors, state)


@njit(cache=True, nogil=True, error_model="numpy")
def _mark(dots, at, rows, error, shares, bar, mask):
    """Which of a tile's rows a query might want: fills uint8. No branch: so it is vectorised."""
    for r in range(np.uint64(rows)):
        mask[r] = (np.float32(dots[np.uint64(at) + r]) + error) * shares[r] >= bar


@njit(cache=True, nogil=True, error_model="numpy")
def finish_pass(columns, asked, cosine, vectors, state, rows, scores):
    """Score what is left of every query's candidates; fills int64 and float64 [B, k], -1 and -inf where fewer."""
    for q in range(len(rows)):
        state.counts[q] = _keep(state.positions[q], state.uppers[q], state.counts[q], state.heaps[q, 0])
        _settle(q, columns.rows, asked, cosine, vectors, state)
        for i in range(rows.shape[1]):
            found = i < state.counts[q]
            rows[q, i] = columns.rows[state.positions[q, i]] if found else -1
            scores[q, i] = state.uppers[q, i] if found else -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def within_pass(cells, starts, columns, live, wide, terms, cosine, floor, found):
    """Slots of some cells whose upper bound reaches `floor`, for one query; returns how many were filled in.

    cells: int64 [C]; wide: int16 [W]; terms: float64 [3]; found: int64, long enough for all of their slots.
    """
    weight, spread, slip = terms
    count = 0
    for c in cells:
        for slot in range(starts[c], starts[c + 1]):
            if len(live) and not live[slot]:
                continue
            error = spread * _residual(columns.residuals[slot]) + slip * columns.lengths[slot]
            product = _product(columns.codes, slot, wide)
            if weight * _weight(columns, slot, cosine) * (product + error) >= floor:
                found[count] = slot
                count += 1
    return count
