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
from thesphere.scan.dots import fetch, score, tiles_are_compiled
from thesphere.scan.integers import products
from thesphere.scan.kernel import COARSE, _bar
from thesphere.scan.part import Metric
from thesphere.scan.rows import Codes, frozen, residual

LIST = 128  # candidates that a query has room for, or four times k
ROOM = 1 << 18  # int32 products of one pass: 1 MB, so that they stay in cache
TILED = 1 << 20
FEWEST = 4  # queries that such a job has at least


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
    """What a block of B queries has found: the k best lower bounds of distinct rows, and all candidates.

    bars float64 [B]: the k-th best lower bound, -inf while there are fewer; best float64 [B, k] and rows int64
    [B, k]: the k best as min-heaps, and whose they are; sizes int64 [B]: how many of them there are; held float64
    [B, C, 3]: the candidates' slots, lower and upper bounds, side by side because memory is what an offer waits
    for; counts int64 [B]; rescored int64 [B]: rows scored in float64.
    """

    bars: np.ndarray
    best: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray
    held: np.ndarray
    counts: np.ndarray
    rescored: np.ndarray

    @classmethod
    def new(cls, count: int, k: int) -> "State":
        counters = np.zeros((3, count), dtype=np.int64)
        return cls(
            bars=np.full(count, -np.inf),
            best=np.empty((count, k)),
            rows=np.empty((count, k), dtype=np.int64),
            sizes=counters[0],
            held=np.empty((count, max(4 * k, LIST), 3)),
            counts=counters[1],
            rescored=counters[2],
        )


class Asked(NamedTuple):
    """Queries as the passes take them: codes int8 [B, W], terms float64 [B, 3], float64 [B, D], norms float64
    [B], and the row that each must not find, int64 [B], -1 for none."""

    codes: np.ndarray
    terms: np.ndarray
    exact: np.ndarray
    norms: np.ndarray
    own: np.ndarray

    @classmethod
    def of(cls, queries: Queries, own: np.ndarray | None) -> "Asked":
        own = np.full(len(queries), -1, dtype=np.int64) if own is None else own
        return cls(queries.codes.codes, queries.terms, queries.exact, queries.norms, own)


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
    sizes, codes = np.diff(jobs.edges), slots.columns.codes
    tiles = np.zeros((len(sizes), 4), dtype=np.int64)
    tiles[:, 0], tiles[:, 2], tiles[:, 3] = np.arange(len(sizes)), jobs.rows, -1
    tiled = (sizes >= FEWEST) & (sizes * jobs.rows * codes.shape[1] >= TILED) & tiles_are_compiled()
    done = used = 0
    for job in np.flatnonzero(tiled).tolist():
        size, rows = int(sizes[job]), int(jobs.rows[job])
        own = queries.codes.codes[jobs.who[jobs.edges[job] : jobs.edges[job + 1]]]
        first = int(slots.starts[jobs.cells[job]])
        if used + size * rows > ROOM:
            yield tiles[done:job]
            done, used = job, 0
        if size * rows <= ROOM:
            _products(own, codes[first : first + rows], room, used)
            tiles[job, 3] = used
            used += size * rows
            continue
        step = max(1, ROOM // size)
        for begin in range(0, rows, step):
            here = min(step, rows - begin)
            _products(own, codes[first + begin : first + begin + here], room, 0)
            yield np.array([[job, begin, here, 0]])
        done = job + 1
    yield tiles[done:]


def _products(queries: np.ndarray, rows: np.ndarray, room: np.ndarray, used: int) -> None:
    """int32 [queries, rows] into `room` from `used` on."""
    import numkong

    # numkong writes into its own tensors only: a view of ours
    shape = (len(queries), len(rows))
    view = numkong.from_pointer(room.ctypes.data + 4 * used, shape, "int32", owner=room)
    numkong.dots_packed(queries, numkong.dots_pack(rows), out=view)


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
            out[c, 1] = max(out[c, 1], residual(columns.residuals[slot]))
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


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _take(q, row, lower, bars, best, members, sizes):
    """Count a row's lower bound, which is above the bar, among the k best of query q."""
    size, k = sizes[q], best.shape[1]
    for i in range(size):
        if members[q, i] == row:  # its other copy, with the same bounds
            return
    if size < k:
        i = size
        size += 1
        sizes[q] = size
        while i > 0 and best[q, (i - 1) // 2] > lower:
            best[q, i], members[q, i] = best[q, (i - 1) // 2], members[q, (i - 1) // 2]
            i = (i - 1) // 2
    else:
        i = 0
        while True:
            child = 2 * i + 1
            if child >= k:
                break
            if child + 1 < k and best[q, child + 1] < best[q, child]:
                child += 1
            if best[q, child] >= lower:
                break
            best[q, i], members[q, i] = best[q, child], members[q, child]
            i = child
    best[q, i], members[q, i] = lower, row
    if size == k:
        bars[q] = best[q, 0]


@njit(cache=True, nogil=True, error_model="numpy")
def _sift(q, bar, held, counts):
    """Drop the candidates of query q that cannot reach the bar."""
    kept = 0
    for c in range(counts[q]):
        if held[q, c, 2] >= bar:
            for part in range(3):
                held[q, kept, part] = held[q, c, part]
            kept += 1
    counts[q] = kept


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(q, rows, exact, norms, cosine, vectors, bars, best, members, sizes, held, counts, rescored):
    """Score the candidates of query q in float64, those that may score most first and as long as they may be
    among the k best, and keep the k best distinct ones, sorted by (score descending, row ascending). From then
    on their lower and upper bounds are their scores."""
    count, k, query, norm = counts[q], best.shape[1], exact[q], norms[q]
    order = np.argsort(-held[q, :count, 2])
    slots = np.empty(min(k, count), dtype=np.int64)
    for c in order[:k]:
        fetch(vectors, np.int64(rows[np.int64(held[q, c, 0])]))
    kept = 0  # insertion into the first k places: lists are short
    for i in range(count):
        c = order[i]
        if i + k < count:
            fetch(vectors, np.int64(rows[np.int64(held[q, order[i + k], 0])]))
        if kept == k and held[q, c, 2] < best[q, k - 1]:
            break
        slot = np.int64(held[q, c, 0])
        row = np.int64(rows[slot])
        value = score(vectors, row, 1.0, query, norm, cosine)
        rescored[q] += 1
        if kept == k and (value < best[q, k - 1] or (value == best[q, k - 1] and row >= members[q, k - 1])):
            continue
        low, high = 0, kept  # the place behind all that are better
        while low < high:
            middle = (low + high) // 2
            if best[q, middle] > value or (best[q, middle] == value and members[q, middle] < row):
                low = middle + 1
            else:
                high = middle
        if low < kept and members[q, low] == row:  # its other copy
            continue
        kept = min(kept + 1, k)
        for i in range(kept - 1, low, -1):
            best[q, i], members[q, i], slots[i] = (best[q, i - 1], members[q, i - 1], slots[i - 1])
        best[q, low], members[q, low], slots[low] = value, row, slot
    for i in range(kept):
        held[q, i, 0], held[q, i, 1], held[q, i, 2] = slots[i], best[q, i], best[q, i]
    for i in range(kept // 2):  # rising, so that it is a heap again
        j = kept - 1 - i
        best[q, i], best[q, j] = best[q, j], best[q, i]
        members[q, i], members[q, j] = members[q, j], members[q, i]
    counts[q] = sizes[q] = kept
    if kept == k:
        bars[q] = best[q, 0]


@njit(cache=True, nogil=True, error_model="numpy")
def _make_room(q, columns, asked, cosine, vectors, state):
    """Drop the candidates of query q that fell below its bar; where the others still fill half of their room,
    they are scored and cut to k."""
    bars, best, members, sizes, held, counts, rescored = state
    _sift(q, bars[q], held, counts)
    if 2 * counts[q] > held.shape[1]:
        _settle(
            q, columns.rows, asked.exact, asked.norms, cosine, vectors,
            bars, best, members, sizes, held, counts, rescored,
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_shares(first, count, top, cosine, scales, lengths, live, shares):
    """Fills float32: what turns products of the rows from slot `first` on into scores, in units of `top`."""
    per = np.float32(1.0 / top)
    for r in range(np.uint64(count)):
        slot = np.uint64(first) + r
        if cosine:
            shares[r] = np.float32(1.0) / (lengths[slot] * np.float32(top)) if lengths[slot] > 0.0 else 0.0
        else:
            shares[r] = scales[slot] * per
    if len(live):
        for r in range(count):
            if not live[first + r]:
                shares[r] = np.nan  # never reaches a bar


@njit(cache=True, nogil=True, error_model="numpy")
def rows_pass(q, pairs, columns, starts, tops, live, asked, cosine, vectors, state):
    """Bring cells before query q in ascending order: pairs int64 [P, 3] of it (query, cell, rows wanted)."""
    order, count = np.argsort(pairs[:, 1]), len(pairs)
    cells, wanted = pairs[order, 1], pairs[order, 2]
    tiles = np.zeros((count, 4), dtype=np.int64)
    tiles[:, 0], tiles[:, 2], tiles[:, 3] = np.arange(count), wanted, -1
    jobs = Jobs(cells, np.arange(count + 1), wanted, np.full(count, q), wanted)
    groups_pass(
        tiles, jobs, np.empty(0, np.int32), columns, starts, tops, live, asked, cosine, vectors, state
    )


@njit(cache=True, nogil=True, error_model="numpy")
def groups_pass(tiles, jobs, made, columns, starts, tops, live, asked, cosine, vectors, state):
    """Bring tiles of jobs before their queries (see `_passes`); made int32: a tile's products query by query."""
    codes, scales, residuals, lengths, rows = columns
    cells, edges, _, who, wanted = jobs
    bars, best, members, sizes, held, counts, _ = state
    terms, own, coded = asked.terms, asked.own, asked.codes
    tile = pair = row = 0
    while tile < len(tiles):
        tile, pair, row = _bring(
            tile, pair, row, tiles, cells, edges, who, wanted, made, codes, scales, residuals, lengths, rows,
            starts, tops, live, terms, own, coded, cosine, bars, best, members, sizes, held, counts,
        )  # fmt: skip
        if tile < len(tiles):
            _make_room(who[pair], columns, asked, cosine, vectors, state)


# Takes plain arrays and does all in one call: arrays that are taken out of a tuple or handed to a function are
# counted as references, and done for each row or each pair that took several times as long as the work.
@njit(cache=True, nogil=True, error_model="numpy")
def _bring(
    tile, pair, row, tiles, cells, edges, who, wanted, made, codes, scales, residuals, lengths, rows,
    starts, tops, live, terms, own, coded, cosine, bars, best, members, sizes, held, counts,
):  # fmt: skip
    """Go on from a tile, a pair of its job (0: its first) and a row of the tile; returns where there was no room
    for more candidates, or (len(tiles), 0, 0)."""
    largest, most = 0, held.shape[1]
    for t in range(tile, len(tiles)):
        largest = max(largest, tiles[t, 2])
    shares = np.empty(largest, dtype=np.float32)
    here = np.empty(largest, dtype=np.int32)
    words = np.zeros(largest // 8 + 1, dtype=np.uint64)
    mask = words.view(np.uint8)
    for t in range(tile, len(tiles)):
        job, begin, count, place = tiles[t, 0], tiles[t, 1], tiles[t, 2], tiles[t, 3]
        cell = cells[job]
        top, first = tops[cell, 0], starts[cell] + begin
        _fill_shares(first, count, top, cosine, scales, lengths, live, shares)
        for w in range(max(pair, edges[job]), edges[job + 1]):
            q, end = who[w], min(count, wanted[w] - begin)
            if end <= row:
                row = 0
                continue
            weight, spread, slip = terms[q, 0], terms[q, 1], terms[q, 2]
            error = spread * tops[cell, 1] + slip * tops[cell, 2]
            # |I| <= |q_hat| (|x| + |x - x_hat|) / scales, and the pre-test rounds about that much
            error += COARSE * (error + spread * (tops[cell, 2] + tops[cell, 1]))
            coarse, bar = np.float32(error), _bar(bars[q] / (weight * top))
            if place < 0:
                products(codes, first, end, coded, q, here, 0)
            else:
                at = np.uint64(place + (w - edges[job]) * count)
                for r in range(np.uint64(end)):
                    here[r] = made[at + r]
            words[(end - 1) // 8] = 0
            for r in range(np.uint64(row), np.uint64(end)):  # no branch: so it is vectorised
                mask[r] = (np.float32(here[r]) + coarse) * shares[r] >= bar
            held_now = counts[q]
            for eight in range(row // 8, (end + 7) // 8):  # nearly all have nothing here
                if words[eight] == 0:
                    continue
                for r in range(max(row, 8 * eight), min(end, 8 * eight + 8)):
                    if not mask[r]:
                        continue
                    slot, dot = first + r, here[r]
                    factor = weight * _weight(scales[slot], lengths[slot], cosine)
                    width = spread * residual(residuals[slot]) + slip * lengths[slot]
                    lower, upper = factor * (dot - width), factor * (dot + width)
                    if upper < bars[q] or rows[slot] == own[q]:
                        continue
                    held[q, held_now, 0], held[q, held_now, 1], held[q, held_now, 2] = (slot, lower, upper)
                    held_now += 1
                    if lower > bars[q]:
                        _take(q, np.int64(rows[slot]), lower, bars, best, members, sizes)
                    if held_now == most:
                        counts[q] = held_now
                        return t, w, r + 1
            counts[q] = held_now
            row = 0
        pair = 0
    return len(tiles), 0, 0


@njit(cache=True, nogil=True, error_model="numpy")
def finish_pass(columns, asked, cosine, vectors, state, rows, scores):
    """Score what is left of every query's candidates; fills int64 and float64 [B, k], -1 and -inf where fewer."""
    named, exact, norms, k = columns.rows, asked.exact, asked.norms, rows.shape[1]
    bars, best, members, sizes, held, counts, rescored = state
    for q in range(len(rows)):
        _sift(q, bars[q], held, counts)
        _settle(q, named, exact, norms, cosine, vectors, bars, best, members, sizes, held, counts, rescored)
        found = counts[q]
        for i in range(found):
            rows[q, i], scores[q, i] = members[q, found - 1 - i], best[q, found - 1 - i]
        rows[q, found:k], scores[q, found:k] = -1, -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def within_pass(cells, starts, columns, live, queries, q, terms, cosine, floor, found):
    """Slots of some cells whose upper bound reaches `floor`, for one query; returns how many were filled in.

    cells: int64 [C]; queries: int8 [Q, W]; terms: float64 [3]; found: int64, long enough for all of their slots.
    """
    weight, spread, slip = terms
    scales, residuals, lengths = columns.scales, columns.residuals, columns.lengths
    count = 0
    for c in cells:
        first = starts[c]
        dots = np.empty(starts[c + 1] - first, dtype=np.int32)
        products(columns.codes, first, len(dots), queries, q, dots, 0)
        for r in range(len(dots)):
            slot = first + r
            if len(live) and not live[slot]:
                continue
            error = spread * residual(residuals[slot]) + slip * lengths[slot]
            if weight * _weight(scales[slot], lengths[slot], cosine) * (dots[r] + error) >= floor:
                found[count] = slot
                count += 1
    return count
