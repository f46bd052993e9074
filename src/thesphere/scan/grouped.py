"""Rows that lie in cells: queries open chosen cells, which are scanned for many queries at a time.

A pair is a query and a cell that it opens. Pairs are grouped by cell, so that one tile of int8 products serves
all queries that want it. What a query finds depends on its own pairs only, never on who else is asked: it meets
the cells of a round in ascending order and their rows in the order of slots, and every number is made from
integers. A row may lie in two cells; its second copy changes nothing.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from thesphere.nn.tiles import COLUMNS, LANES, ROWS, multiply, rounded_up, tiles_allowed
from thesphere.room import Room
from thesphere.scan.block import Queries
from thesphere.scan.dots import fetch, lowest, score
from thesphere.scan.integers import SEVERAL, products, products_of_several
from thesphere.scan.kernel import COARSE, _bar
from thesphere.scan.part import Metric
from thesphere.scan.rows import Codes, frozen, residual

LIST = 128  # candidates that a query has room for, or four times k
FEWEST = 4  # queries of a cell whose products with its rows are made by tiles, where there are any
TOGETHER = 32  # of them at a time
LEAST = 2.0**-110  # more than products with shares below the normal float32 may lose
HALVINGS = 8  # of the range in which a query's first bar is sought
RANKED = 128  # up to so many candidates are put in order by counting
NONE = np.full(8, -1)  # see `nobody`


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
    def largest(self) -> int:
        """The most rows of a cell."""
        return int(np.diff(self.starts).max(initial=0))

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
    [B, k]: the k best as min-heaps, and whose they are; sizes int64 [B]: how many of them there are; slots int32
    [B, C] and uppers float32 [B, C]: the candidates and what none of them scores more than; counts int64 [B];
    rescored int64 [B]: rows scored in float64.
    """

    bars: np.ndarray
    best: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray
    slots: np.ndarray
    uppers: np.ndarray
    counts: np.ndarray
    rescored: np.ndarray

    @classmethod
    def new(cls, count: int, k: int, room: Room) -> "State":
        """Nothing found yet; the candidates lie in the room."""
        counters, places = np.zeros((3, count), dtype=np.int64), max(4 * k, LIST)
        return cls(
            bars=np.full(count, -np.inf),
            best=np.empty((count, k)),
            rows=np.empty((count, k), dtype=np.int64),
            sizes=counters[0],
            slots=room("slots", (count, places), np.int32),
            uppers=room("uppers", (count, places), np.float32),
            counts=counters[1],
            rescored=counters[2],
        )


def nobody(count: int) -> np.ndarray:
    """int64 [count], all -1, to be read only: a slice takes less time than an array."""
    return NONE[:count] if count <= len(NONE) else np.full(count, -1)


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
        own = nobody(len(queries)) if own is None else own
        return cls(queries.codes.codes, queries.terms, queries.exact, queries.norms, own)


class Work(NamedTuple):
    """Memory for the products of some rows with some queries: products int32; packed int8 [TOGETHER / COLUMNS,
    COLUMNS W], as `multiply` takes it; tiles: what `tiles_allowed` says."""

    packed: np.ndarray
    products: np.ndarray
    tiles: bool

    @classmethod
    def of(cls, width: int, rows: int, room: Room) -> "Work":
        """For cells of up to so many rows that are `width` wide."""
        packed = room("packed", (TOGETHER // COLUMNS, COLUMNS * width), np.int8)
        return cls(packed, room("products", (rounded_up(rows, ROWS) * TOGETHER,), np.int32), tiles_allowed())


class Jobs(NamedTuple):
    """The pairs of a round grouped by cell: cells int64 [J], edges int64 [J + 1] of who and wanted, the most rows
    that any of its queries wants int64 [J]; who int64 [P] and wanted int64 [P], rows of the cell that each query
    wants."""

    cells: np.ndarray
    edges: np.ndarray
    rows: np.ndarray
    who: np.ndarray
    wanted: np.ndarray


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


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _upwards(value):
    """A float32 that is not less than a float64, and finite where that is far below all float32."""
    return np.float32(max(value + abs(value) * 1.2e-7 + 1e-44, -3.4e38))


@njit(cache=True, nogil=True, error_model="numpy")
def _sift(q, bar, slots, uppers, counts):
    """Drop the candidates of query q that cannot reach the bar."""
    kept = 0
    for c in range(counts[q]):
        slots[q, kept], uppers[q, kept] = slots[q, c], uppers[q, c]
        kept += np.int64(uppers[q, c] >= bar)
    counts[q] = kept


@njit(cache=True, nogil=True, error_model="numpy")
def _line_up(q, rows, vectors, k, slots, uppers, counts, order):
    """Bring the candidates of query q into the order in which they are scored, those that may score most first:
    fills order int64 [>= count], and asks for the vectors of the first k."""
    count = counts[q]
    if count > RANKED:
        order[:count] = np.argsort(-uppers[q, :count])
    else:
        for c in range(count):  # its place: how many are before it, counted in vectors
            place, own = np.int32(0), uppers[q, c]
            for other in range(np.uint64(c)):
                place += np.int32(uppers[q, other] >= own)
            for other in range(np.uint64(c), np.uint64(count)):
                place += np.int32(uppers[q, other] > own)
            order[place] = c
    for i in range(min(k, count)):
        fetch(vectors, np.int64(rows[slots[q, order[i]]]))


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(
    q, rows, exact, norms, cosine, vectors, bars, best, members, sizes, slots, uppers, counts, rescored, order
):  # fmt: skip
    """Score the candidates of query q in float64, in the order of `_line_up` and as long as they may be among the
    k best, and keep the k best distinct ones, sorted by (score descending, row ascending). From then on their
    bounds are their scores."""
    count, k, query, norm = counts[q], best.shape[1], exact[q], norms[q]
    found = np.empty(min(k, count), dtype=np.int32)
    kept = 0  # insertion into the first k places: lists are short
    for i in range(count):
        c = order[i]
        if i + k < count:
            fetch(vectors, np.int64(rows[slots[q, order[i + k]]]))
        if kept == k and uppers[q, c] < best[q, k - 1]:
            break
        slot = slots[q, c]
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
            best[q, i], members[q, i], found[i] = (best[q, i - 1], members[q, i - 1], found[i - 1])
        best[q, low], members[q, low], found[low] = value, row, slot
    for i in range(kept):
        slots[q, i], uppers[q, i] = found[i], _upwards(best[q, i])
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
    bars, best, members, sizes, slots, uppers, counts, rescored = state
    _sift(q, bars[q], slots, uppers, counts)
    if 2 * counts[q] > slots.shape[1]:
        order = np.empty(counts[q], dtype=np.int64)
        _line_up(q, columns.rows, vectors, best.shape[1], slots, uppers, counts, order)
        _settle(
            q, columns.rows, asked.exact, asked.norms, cosine, vectors,
            bars, best, members, sizes, slots, uppers, counts, rescored, order,
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_shares(first, count, top, cosine, scales, residuals, lengths, live, bits, missed, shares):
    """Of the rows from slot `first` on: fills missed float32, the residuals (bits uint32 is the same memory), and
    shares float32, what turns products into scores, in units of `top`."""
    per = np.float32(1.0 / top)
    for r in range(np.uint64(count)):
        slot = np.uint64(first) + r
        bits[r] = np.uint32(residuals[slot]) << np.uint32(13)  # float16 as float32, its exponent too small
        if cosine:
            shares[r] = np.float32(1.0) / (lengths[slot] * np.float32(top)) if lengths[slot] > 0.0 else 0.0
        else:
            shares[r] = scales[slot] * per
    for r in range(np.uint64(count)):
        missed[r] *= np.float32(2.0**112)
    if len(live):
        for r in range(count):
            if not live[first + r]:
                shares[r] = np.nan  # never reaches a bar


@njit(cache=True, nogil=True)
def jobs_alone(q, pairs, jobs):
    """The `Jobs` of one query's pairs int64 [P, 3] (query, cell, rows wanted), no cell twice: in the memory of
    `jobs`, whose edges are 0, 1, 2, ... and who has room for P."""
    cells, rows, who, count = jobs.cells, jobs.rows, jobs.who, len(pairs)
    if count > RANKED:
        order = np.argsort(pairs[:, 1])
        for i in range(count):
            cells[i], rows[i], who[i] = pairs[order[i], 1], pairs[order[i], 2], q
    else:
        for i in range(count):  # its place: how many cells are before it
            place, cell = 0, pairs[i, 1]
            for other in range(count):
                place += pairs[other, 1] < cell
            cells[place], rows[place], who[i] = cell, pairs[i, 2], q
    return Jobs(cells[:count], jobs.edges, rows, who, rows)


@njit(cache=True, nogil=True, error_model="numpy")
def scan(jobs, columns, starts, tops, live, asked, cosine, vectors, state, work):
    """Bring the rows of all jobs before their queries. live: bool [M] by slot, or empty for all."""
    codes, scales, residuals, lengths, rows = columns
    cells, edges, most, who, wanted = jobs
    bars, best, members, sizes, kept, uppers, counts, _ = state
    terms, own, coded = asked.terms, asked.own, asked.codes
    job = pair = row = 0
    while job < len(cells):
        job, pair, row = _bring(
            job, pair, row, cells, edges, most, who, wanted, codes, scales, residuals, lengths, rows,
            starts, tops, live, terms, own, coded, cosine, bars, best, members, sizes, kept, uppers, counts,
            work.packed, work.products, work.tiles,
        )  # fmt: skip
        if job < len(cells):
            _make_room(who[pair], columns, asked, cosine, vectors, state)


@njit(cache=True, nogil=True, error_model="numpy")
def _first_bar(here, row, end, need, shares, missed, lengths, first, per_miss, per_length, lows):
    """A bound that at least `need` of the rows row ... end - 1 of a cell reach, nearly the largest; -inf if none.

    So the first rows that a query meets need not pass its list one by one.
    """
    low, high = np.float32(np.inf), np.float32(-np.inf)
    for r in range(np.uint64(row), np.uint64(end)):
        coarse = missed[r] * per_miss + lengths[np.uint64(first) + r] * per_length
        lows[r] = (np.float32(here[r]) - coarse) * shares[r]
        low, high = min(low, lows[r]), max(high, lows[r])
    found = np.float32(-np.inf)
    for _ in range(HALVINGS):
        bar, count = np.float32(0.5) * (low + high), np.int32(0)
        for r in range(np.uint64(row), np.uint64(end)):
            count += np.int32(lows[r] >= bar)
        if count >= need:
            found = low = bar
        else:
            high = bar
    return np.float64(found)


@njit(cache=True, nogil=True, error_model="numpy")
def multiply_rows(codes, first, count, coded, who, begin, end, packed, out):
    """Exact products of `count` rows of codes with the queries who[begin:end], up to TOGETHER: fills the first of
    out, int32, row by row; packed int8 is for `multiply`. Returns how many products there are of a row."""
    words, asked = packed.view(np.int32), coded.view(np.int32)
    for i in range(end - begin):
        q, tile, column = np.uint64(who[begin + i]), np.uint64(i // COLUMNS), np.uint64(i % COLUMNS)
        for k in range(np.uint64(asked.shape[1])):
            words[tile, np.uint64(COLUMNS) * k + column] = asked[q, k]
    tiles = (end - begin + COLUMNS - 1) // COLUMNS
    wide = tiles * COLUMNS
    multiply(codes[first : first + count], packed[:tiles], out[: count * wide].reshape(count, wide), True)
    return wide


# Takes plain arrays and does all in one call: arrays that are taken out of a tuple or handed to a function are
# counted as references, and done for each row or each pair that took several times as long as the work.
@njit(cache=True, nogil=True, error_model="numpy")
def _bring(
    job, pair, row, cells, edges, most, who, wanted, codes, scales, residuals, lengths, rows,
    starts, tops, live, terms, own, coded, cosine, bars, best, members, sizes, kept, uppers, counts,
    packed, together, tiles,
):  # fmt: skip
    """Go on from a job, a pair of it (0: its first) and a row of its cell; returns where there was no room for
    more candidates, or (the number of jobs, 0, 0)."""
    largest, room = 0, kept.shape[1]
    for j in range(job, len(cells)):
        largest = max(largest, most[j])
    shares, bits = np.empty(largest, dtype=np.float32), np.empty(largest, dtype=np.uint32)
    missed, lows = bits.view(np.float32), np.empty(largest, dtype=np.float32)
    here = np.empty(largest, dtype=np.int32)
    words = np.zeros(largest // 8 + 1, dtype=np.uint64)
    mask = words.view(np.uint8)
    # in a batch without tiles a quarter quicker on Zen 4; with tiles (Sapphire Rapids) a few per cent
    # slower; single queries, which have no tiles anywhere, gain as well
    ahead = not tiles
    for j in range(job, len(cells)):
        cell = cells[j]
        top, first = tops[cell, 0], starts[cell]
        whole = rounded_up(most[j], ROWS)  # reaches into the next cells, but must not beyond the last
        by_tiles = tiles and edges[j + 1] - edges[j] >= FEWEST and first + whole <= len(codes)
        made = begun = edges[j]
        _fill_shares(first, most[j], top, cosine, scales, residuals, lengths, live, bits, missed, shares)
        for w in range(max(pair, edges[j]), edges[j + 1]):
            q, end = who[w], wanted[w]
            if by_tiles and w >= made:
                made, begun = min(w + TOGETHER, edges[j + 1]), w
                wide = multiply_rows(codes, first, whole, coded, who, w, made, packed, together)
            elif LANES and w >= made and w + 1 < edges[j + 1] and w + SEVERAL <= len(who):
                made, begun = w + SEVERAL, w  # beyond the job's last query, if need be: nobody looks there
                products_of_several(codes, first, most[j], coded, who, w, together, whole)
            if ahead and j + 1 < len(cells):  # its share of the next cell
                many, next_ = edges[j + 1] - edges[j], most[j + 1]
                for r in range((w - edges[j]) * next_ // many, (w + 1 - edges[j]) * next_ // many):
                    fetch(codes, np.int64(starts[cells[j + 1]] + r))
            unit, spread, slip = terms[q, 0] * top, terms[q, 1], terms[q, 2]
            # |I| <= |q_hat| (|x| + |x - x_hat|) / scales, and the pre-test rounds about that much
            per_miss = np.float32(spread * (1.0 + 2.0 * COARSE))
            per_length = np.float32(slip * (1.0 + COARSE) + spread * COARSE)
            if by_tiles:
                for r in range(np.uint64(end)):
                    here[r] = together[r * np.uint64(wide) + np.uint64(w - begun)]
            elif w < made:
                for r in range(np.uint64(end)):
                    here[r] = together[np.uint64((w - begun) * whole) + r]
            else:
                products(codes, first, end, coded, q, here, 0)
            need = best.shape[1] + (own[q] >= 0)
            if bars[q] == -np.inf and end - row >= need:
                low = _first_bar(
                    here, row, end, need, shares, missed, lengths, first, per_miss, per_length, lows
                )
                bars[q] = unit * (low - LEAST)
            bar = _bar(bars[q] / unit)
            words[(end - 1) // 8] = 0
            for r in range(np.uint64(row), np.uint64(end)):  # no branch: so it is vectorised
                coarse = missed[r] * per_miss + lengths[np.uint64(first) + r] * per_length
                mask[r] = (np.float32(here[r]) + coarse) * shares[r] >= bar
            count = counts[q]
            for eight in range(row // 8, (end + 7) // 8):  # nearly all have nothing here
                word = words[eight]
                if row > 8 * eight:
                    word &= ~np.uint64(0) << np.uint64(8 * (row - 8 * eight))
                while word:
                    r = 8 * eight + lowest(word) // 8
                    word &= word - np.uint64(1)
                    dot, share = np.float32(here[r]), shares[r]
                    coarse = missed[r] * per_miss + lengths[first + r] * per_length
                    upper = unit * (np.float64((dot + coarse) * share) + LEAST)
                    if upper < bars[q] or rows[first + r] == own[q]:
                        continue
                    kept[q, count], uppers[q, count] = first + r, _upwards(upper)
                    count += 1
                    lower = unit * (np.float64((dot - coarse) * share) - LEAST)
                    if lower > bars[q]:
                        _take(q, np.int64(rows[first + r]), lower, bars, best, members, sizes)
                    if count == room:
                        counts[q] = count
                        return j, w, r + 1
            counts[q] = count
            row = 0
        pair = 0
    return len(cells), 0, 0


@njit(cache=True, nogil=True, error_model="numpy")
def finish_pass(columns, asked, cosine, vectors, state, rows, scores):
    """Score what is left of every query's candidates; fills int64 and float64 [B, k], -1 and -inf where fewer."""
    named, exact, norms, k = columns.rows, asked.exact, asked.norms, rows.shape[1]
    bars, best, members, sizes, slots, uppers, counts, rescored = state
    orders = np.empty((2, slots.shape[1]), dtype=np.int64)
    for ahead in range(len(rows) + 1):  # vectors of a query are on their way while another one's are scored
        if ahead < len(rows):
            fetch(exact, np.int64(ahead))
            _sift(ahead, bars[ahead], slots, uppers, counts)
            _line_up(ahead, named, vectors, k, slots, uppers, counts, orders[ahead % 2])
        q = ahead - 1
        if q < 0:
            continue
        _settle(
            q, named, exact, norms, cosine, vectors,
            bars, best, members, sizes, slots, uppers, counts, rescored, orders[q % 2],
        )  # fmt: skip
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
