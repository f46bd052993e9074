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
from thesphere.scan.kernel import COARSE, _bar, _product
from thesphere.scan.part import Metric
from thesphere.scan.rows import Codes, frozen

LIST = 128  # candidates that a query has room for, or four times k
ROOM = 1 << 18  # int32 products of one pass: 1 MB, so that they stay in cache
TILED = 1 << 17  # bytes multiplied in a job from which on a call of the compiled product pays
SIFT = 32  # candidates, a power of two, after which the bar is raised
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
    """What a block of B queries has found: candidates, and the k-th best lower bound when they were last sifted.

    bars float64 [B]: the k-th best lower bound of distinct rows then, -inf while there were fewer; held float64
    [B, C, 3]: the candidates' slots, lower and upper bounds, side by side because memory is what an offer waits
    for; counts int64 [B]; best float64 [k] and rows int64 [k]: room for sifting; rescored int64 [B]: rows scored
    in float64.
    """

    bars: np.ndarray
    held: np.ndarray
    counts: np.ndarray
    best: np.ndarray
    rows: np.ndarray
    rescored: np.ndarray

    @classmethod
    def new(cls, count: int, k: int) -> "State":
        return cls(
            bars=np.full(count, -np.inf),
            held=np.empty((count, max(4 * k, LIST), 3)),
            counts=np.zeros(count, dtype=np.int64),
            best=np.empty(k),
            rows=np.empty(k, dtype=np.int64),
            rescored=np.zeros(count, dtype=np.int64),
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
def _weight(scale, length, cosine):
    """What turns a row's integer product into its score, but for the query's part."""
    if not cosine:
        return np.float64(scale)
    return 1.0 / np.float64(length) if length > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _tops(starts, columns, cosine, out):
    for c in range(len(starts) - 1):
        for slot in range(starts[c], starts[c + 1]):
            out[c, 0] = max(out[c, 0], _weight(columns.scales[slot], columns.lengths[slot], cosine))
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
def sift(q, columns, state):
    """Find query q's k-th best lower bound of distinct rows, and drop the candidates that cannot reach it."""
    best, members, k = state.best, state.rows, len(state.best)
    held, rows, count = state.held, columns.rows, state.counts[q]
    if count < k:
        return
    size = 0  # the k best so far as a min-heap, with their rows
    for c in range(count):
        value = held[q, c, 1]
        if size == k and value <= best[0]:
            continue
        row = np.int64(rows[np.int64(held[q, c, 0])])
        twice = False
        for i in range(size):
            twice |= members[i] == row  # its other copy, with the same bounds
        if twice:
            continue
        if size < k:
            i = size
            size += 1
            while i > 0 and best[(i - 1) // 2] > value:
                best[i], members[i] = best[(i - 1) // 2], members[(i - 1) // 2]
                i = (i - 1) // 2
        else:
            i = 0
            while True:
                child = 2 * i + 1
                if child >= k:
                    break
                if child + 1 < k and best[child + 1] < best[child]:
                    child += 1
                if best[child] >= value:
                    break
                best[i], members[i] = best[child], members[child]
                i = child
        best[i], members[i] = value, row
    if size < k:
        return
    state.bars[q] = best[0]
    kept = 0
    for c in range(count):
        if held[q, c, 2] >= best[0]:
            for part in range(3):
                held[q, kept, part] = held[q, c, part]
            kept += 1
    state.counts[q] = kept


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(q, rows, asked, cosine, vectors, state):
    """Score the candidates of query q in float64 and keep the k best distinct ones, sorted by (score descending,
    row ascending). From then on their lower and upper bounds are their scores."""
    held, count, k = state.held[q], state.counts[q], len(state.best)
    query = asked.exact[q]
    kept = 0  # insertion into the first k places: lists are short
    for c in range(count):
        slot = np.int64(held[c, 0])
        row = rows[slot]
        value = score(vectors, row, 1.0, query, asked.norms[q], cosine)
        if kept == k and (
            value < held[k - 1, 2] or (value == held[k - 1, 2] and row >= rows[np.int64(held[k - 1, 0])])
        ):
            continue
        low, high = 0, kept  # the place behind all that are better
        while low < high:
            middle = (low + high) // 2
            other = held[middle, 2]
            if other > value or (other == value and rows[np.int64(held[middle, 0])] < row):
                low = middle + 1
            else:
                high = middle
        if low < kept and rows[np.int64(held[low, 0])] == row:  # its other copy
            continue
        kept = min(kept + 1, k)
        for i in range(kept - 1, low, -1):
            held[i, 0], held[i, 2] = held[i - 1, 0], held[i - 1, 2]
        held[low, 0], held[low, 2] = slot, value
    for i in range(kept):
        held[i, 1] = held[i, 2]
    state.rescored[q] += count
    state.counts[q] = kept
    if kept == k:
        state.bars[q] = held[k - 1, 2]


@njit(cache=True, nogil=True, error_model="numpy")
def _raise(q, columns, asked, cosine, vectors, state):
    """Raise query q's bar; where candidates still fill half of their room, they are scored and cut to k."""
    sift(q, columns, state)
    if 2 * state.counts[q] > state.held.shape[1]:
        _settle(q, columns.rows, asked, cosine, vectors, state)


@njit(cache=True, nogil=True, error_model="numpy")
def _test(q, top, terms):
    """Error of the float32 pre-test of a cell's rows, in units of its largest weight; top float64 [3], see
    `Slots`."""
    error = terms[q, 1] * top[1] + terms[q, 2] * top[2]
    # |I| <= |q_hat| (|x| + |x - x_hat|) / scales, and the pre-test rounds about that much
    return np.float32(error + COARSE * (error + terms[q, 1] * (top[2] + top[1])))


# The two kernels below take plain arrays, because arrays taken out of a tuple are counted as references at every
# row, which took several times as long as the work. They return where they ended, or ~(where to go on) when the
# query's candidates are to be sifted first.


@njit(cache=True, nogil=True, error_model="numpy")
def _offer_rows(
    q, slot, end, wide, error, bar, top, cosine, own,
    codes, scales, residuals, lengths, rows, live, terms, bars, held, counts,
):  # fmt: skip
    """Bring the slots slot ... end - 1 of one cell before query q, whose codes are `wide`, int16 [W]."""
    weight, spread, slip, per = terms[q, 0], terms[q, 1], terms[q, 2], 1.0 / top
    least, count, most = bars[q], counts[q], held.shape[1]
    while slot < end:
        if len(live) and not live[slot]:
            slot += 1
            continue
        product = _product(codes, slot, wide)
        near = np.float32(product) + error
        if cosine:  # weight 1 / length, brought to the other side: a division takes as long as the product
            some = near >= bar * np.float32(top * lengths[slot])
        else:
            some = near * np.float32(scales[slot] * per) >= bar
        if some:
            factor = weight * _weight(scales[slot], lengths[slot], cosine)
            width = spread * _residual(residuals[slot]) + slip * lengths[slot]
            upper = factor * (product + width)
            if upper >= least and rows[slot] != own:
                held[q, count, 0], held[q, count, 1], held[q, count, 2] = (
                    slot,
                    factor * (product - width),
                    upper,
                )
                count += 1
                if count == most or count & (SIFT - 1) == 0:
                    counts[q] = count
                    return ~(slot + 1)
        slot += 1
    counts[q] = count
    return end


@njit(cache=True, nogil=True, error_model="numpy")
def _offer_tile(
    q, row, end, first, dots, at, error, bar, shares, words, mask, cosine, own,
    scales, residuals, lengths, rows, terms, bars, held, counts,
):  # fmt: skip
    """The same for rows row ... end - 1 of a tile, whose row 0 is slot `first` and whose products with query q
    begin at dots[at]; words and mask are room for the pre-test."""
    weight, spread, slip = terms[q, 0], terms[q, 1], terms[q, 2]
    least, count, most = bars[q], counts[q], held.shape[1]
    words[(end - 1) // 8] = 0
    for r in range(np.uint64(row), np.uint64(end)):  # no branch: so it is vectorised
        mask[r] = (np.float32(dots[np.uint64(at) + r]) + error) * shares[r] >= bar
    for eight in range(row // 8, (end + 7) // 8):  # nearly all have nothing here
        if words[eight] == 0:
            continue
        for r in range(max(row, 8 * eight), min(end, 8 * eight + 8)):
            if mask[r]:
                slot, product = first + r, dots[at + r]
                factor = weight * _weight(scales[slot], lengths[slot], cosine)
                width = spread * _residual(residuals[slot]) + slip * lengths[slot]
                upper = factor * (product + width)
                if upper >= least and rows[slot] != own:
                    held[q, count, 0], held[q, count, 1] = slot, factor * (product - width)
                    held[q, count, 2] = upper
                    count += 1
                    if count == most or count & (SIFT - 1) == 0:
                        counts[q] = count
                        return ~(r + 1)
    counts[q] = count
    return end


@njit(cache=True, nogil=True, error_model="numpy")
def rows_pass(q, wide, pairs, columns, starts, tops, live, asked, cosine, vectors, state):
    """Bring cells before query q, whose codes are `wide`, in ascending order: pairs int64 [P, 3] of it (query,
    cell, rows wanted)."""
    codes, scales, residuals, lengths, rows = columns
    terms, own, bars, held, counts = asked.terms, asked.own[q], state.bars, state.held, state.counts
    for p in np.argsort(pairs[:, 1]):
        cell = pairs[p, 1]
        error, top = _test(q, tops[cell], terms), tops[cell, 0]
        slot, unit = starts[cell], terms[q, 0] * top
        end = slot + pairs[p, 2]
        while slot < end:
            bar = _bar(bars[q] / unit)
            slot = _offer_rows(
                q, slot, end, wide, error, bar, top, cosine, own,
                codes, scales, residuals, lengths, rows, live, terms, bars, held, counts,
            )  # fmt: skip
            if slot < 0:
                slot = ~slot
                _raise(q, columns, asked, cosine, vectors, state)


@njit(cache=True, nogil=True, error_model="numpy")
def groups_pass(tiles, jobs, dots, columns, starts, tops, live, asked, cosine, vectors, state):
    """Bring tiles of jobs before their queries (see `_passes`); dots int32: a tile's products query by query."""
    codes, scales, residuals, lengths, rows = columns
    cells, edges, _, who, wanted = jobs
    terms, own, everyone, bars, held, counts = (
        asked.terms, asked.own, asked.wide, state.bars, state.held, state.counts
    )  # fmt: skip
    most = 0
    for t in range(len(tiles)):
        most = max(most, tiles[t, 2])
    shares = np.empty(most, dtype=np.float32)
    words = np.zeros(most // 8 + 1, dtype=np.uint64)
    mask = words.view(np.uint8)
    for t in range(len(tiles)):
        job, begin, count, place = tiles[t, 0], tiles[t, 1], tiles[t, 2], tiles[t, 3]
        cell = cells[job]
        top, first = tops[cell], starts[cell] + begin
        if place >= 0:
            for r in range(count):
                slot = first + r
                shares[r] = np.float32(_weight(scales[slot], lengths[slot], cosine) / top[0])
                if len(live) and not live[slot]:
                    shares[r] = np.nan  # never reaches a bar
        for w in range(edges[job], edges[job + 1]):
            q = who[w]
            error, unit = _test(q, top, terms), terms[q, 0] * top[0]
            at = place + (w - edges[job]) * count
            row, end = 0, min(count, wanted[w] - begin)
            wide = everyone[q]
            while row < end:
                bar = _bar(bars[q] / unit)
                if place < 0:
                    slot = _offer_rows(
                        q, first + row, first + end, wide, error, bar, top[0], cosine, own[q],
                        codes, scales, residuals, lengths, rows, live, terms, bars, held, counts,
                    )  # fmt: skip
                    row = slot - first if slot >= 0 else ~(~slot - first)
                else:
                    row = _offer_tile(
                        q, row, end, first, dots, at, error, bar, shares, words, mask, cosine, own[q],
                        scales, residuals, lengths, rows, terms, bars, held, counts,
                    )  # fmt: skip
                if row < 0:
                    row = ~row
                    _raise(q, columns, asked, cosine, vectors, state)


@njit(cache=True, nogil=True, error_model="numpy")
def finish_pass(columns, asked, cosine, vectors, state, rows, scores):
    """Score what is left of every query's candidates; fills int64 and float64 [B, k], -1 and -inf where fewer."""
    for q in range(len(rows)):
        sift(q, columns, state)
        _settle(q, columns.rows, asked, cosine, vectors, state)
        for i in range(rows.shape[1]):
            found = i < state.counts[q]
            rows[q, i] = columns.rows[np.int64(state.held[q, i, 0])] if found else -1
            scores[q, i] = state.held[q, i, 2] if found else -np.inf


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
            if (
                weight * _weight(columns.scales[slot], columns.lengths[slot], cosine) * (product + error)
                >= floor
            ):
                found[count] = slot
                count += 1
    return count
