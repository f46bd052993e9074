"""Opening cells: each query opens them in the order that its router gives, and stops by its own evidence.

Rounds go from one checkpoint to the next (see `thesphere.roots.stop`). In a round, all pairs of a query and a
cell are grouped by cell and scanned together; afterwards the queries whose evidence suffices leave. A cell that
provably holds nothing better than a query's k-th score is passed over, which costs nothing and loses nothing.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from thesphere.room import Room, Rooms
from thesphere.roots.order import Way, cell_of, largest, set_out, sort_more
from thesphere.roots.routing import Router
from thesphere.roots.routing.products import linear_pass
from thesphere.roots.stop import EVERYTHING, PATIENCE, Stop, checkpoints
from thesphere.runtime.threads import spread
from thesphere.scan.block import Queries
from thesphere.scan.grouped import (
    LIST,
    Asked,
    Columns,
    Jobs,
    Slots,
    State,
    Work,
    finish_pass,
    group,
    jobs_alone,
    nobody,
    scan,
    within_pass,
)
from thesphere.scan.kernel import TERMS, encode_and_form
from thesphere.scan.rows import frozen, refuse, residual

BLOCK = 2048  # queries that are scanned together, at most
FEW = 8  # up to so many queries are cheaper one by one
ROOM = 1 << 20  # candidates, or cells to choose from, that all queries of a block have room for together
PROBE = 16  # cells that an exact search opens first, for thresholds that spare it most of the others
ENDLESS = np.iinfo(np.int64).max
LIVE = frozen(np.zeros(0, dtype=np.bool_))  # stands for: every row counts
SLACK = 1 + 1e-6  # norms are rounded up to float32, so that equal ones may stand in either order
_LN2 = 0.6931471805599453


@dataclass(frozen=True)
class Index:
    """What opening cells takes.

    Attributes:
        slots: the rows in the order of cells.
        router: gives the order of cells.
        reaches: float32 [K], cosine: no direction of the cell is farther from its *coded* centroid.
        norms: float32 [K], no row of the cell is longer.
    """

    slots: Slots
    router: Router
    reaches: np.ndarray
    norms: np.ndarray

    @cached_property
    def board(self) -> "Board":
        slots, weights = self.slots, self.router.codes
        arrays = (slots.starts, slots.tops, slots.truth, self.norms, self.shortest, self.reaches)
        linear = weights.codes, weights.scales, self.router.bias
        return Board(slots.columns, *map(frozen, (*arrays, *linear)))

    @cached_property
    def shortest(self) -> np.ndarray:
        """float64 [K]: the least norm of each cell's rows."""
        last, codes = self.slots.starts[1:] - 1, self.slots.codes
        return frozen(codes.lengths[last].astype(np.float64) * codes.scales[last] / SLACK)

    @cached_property
    def rooms(self) -> Rooms:
        """Where blocks of queries keep their large arrays."""
        return Rooms()

    def __len__(self) -> int:
        return len(self.slots)


class Board(NamedTuple):
    """An index as `walk_alone` takes it: of its slots columns, starts, tops and vectors; norms, shortest and
    reaches float [K]; of its router weights int8 [K, W], steps and bias float32 [K]."""

    columns: Columns
    starts: np.ndarray
    tops: np.ndarray
    vectors: np.ndarray
    norms: np.ndarray
    shortest: np.ndarray
    reaches: np.ndarray
    weights: np.ndarray
    steps: np.ndarray
    bias: np.ndarray


@dataclass
class Visited:
    """What Q queries found and what it took.

    Attributes:
        rows: int64 [Q, k] rows of the vectors, -1 where there are fewer.
        scores: float64 [Q, k], -inf where there are fewer.
        opened: int64 [Q], cells opened or passed over by proof.
        points: int64 [Q], rows whose bounds were computed.
        rescored: int64 [Q], rows scored in float64.
        ceiling: float64 [Q], no row in a cell that was not opened scores more; -inf when there is none.
        spent: bool [Q], whether the budget ended the search.
        spread: float32 [Q], standard deviation of the routing scores.
        watched: (kth float32 [Q], next float32 [Q], rows of the open cells int64 [Q]) of each checkpoint; only
            when asked for.
        order: int32 [Q, K], the cells in the order in which they were opened; likewise.
    """

    rows: np.ndarray
    scores: np.ndarray
    opened: np.ndarray
    points: np.ndarray
    rescored: np.ndarray
    ceiling: np.ndarray
    spent: np.ndarray
    spread: np.ndarray
    watched: list[tuple[np.ndarray, ...]] = field(default_factory=list)
    order: np.ndarray | None = None

    @classmethod
    def new(cls, count: int, k: int) -> "Visited":
        """To be filled."""
        whole = np.empty((3, count), dtype=np.int64)
        return cls(
            rows=np.empty((count, k), dtype=np.int64),
            scores=np.empty((count, k)),
            opened=whole[0],
            points=whole[1],
            rescored=whole[2],
            ceiling=np.empty(count),
            spent=np.empty(count, dtype=np.bool_),
            spread=np.empty(count, dtype=np.float32),
        )


class Bounds(NamedTuple):
    """What proves that a cell holds nothing better: norms, shortest and reaches [K] of `Index`, routing scores
    float32 [B, K], slack float64 [B] for the coding of queries, their norms float64 [B]."""

    norms: np.ndarray
    shortest: np.ndarray
    reaches: np.ndarray
    scores: np.ndarray
    slack: np.ndarray
    lengths: np.ndarray


def visit(
    index: Index,
    queries: np.ndarray,
    k: int,
    *,
    stop: Stop = EVERYTHING,
    budget: int | None = None,
    live: np.ndarray = LIVE,
    own: np.ndarray | None = None,
    threads: int = 1,
    watch: bool = False,
) -> Visited:
    """The k best rows of the cells that each query opens.

    Args:
        index: the cells, one or more.
        queries: float32 [Q, D], as `as_rows` gives them.
        k: 1 or more.
        stop: when a query has enough; `EVERYTHING` leaves nothing out, so that the answer is exact.
        budget: rows per query at most; the last cell is read as far as it goes. None: no limit.
        live: bool [M] by slot, rows that may be found; empty for all.
        own: int64 [Q], a row that each query must not find, -1 for none.
        threads: workers over blocks of queries; the answer does not depend on it.
        watch: open everything, and tell what was known at each checkpoint.

    Raises InputError for NaN or infinity.
    """
    count, cells = len(queries), len(index)
    out = Visited.new(count, k)
    rows = ENDLESS if budget is None else budget
    if count <= FEW and not watch:
        _alone(index, queries, stop, rows, live, own, out)
        return out
    asked = Queries.of_rows(queries, index.slots.metric)
    looks = checkpoints(cells) if watch else _looks(cells, stop)
    if watch:
        out.order = np.empty((count, cells), dtype=np.int32)
    size = max(1, min(BLOCK, ROOM // max(4 * k, 128), 4 * ROOM // cells, -(-count // threads)))

    def work(first: int) -> list[tuple[np.ndarray, ...]]:
        some = slice(first, min(first + size, count))
        mine = None if own is None else own[some]
        with index.rooms.one() as room:
            block = _Block(index, asked.some(some.start, some.stop), k, rows, live, mine, room)
            return block.run(looks, stop, watch, out, some)

    done = spread(work, range(0, count, size), threads)
    if watch:
        together = zip(*done, strict=True)
        out.watched = [tuple(map(np.concatenate, zip(*look, strict=True))) for look in together]
    return out


@lru_cache
def _looks(cells: int, stop: Stop) -> np.ndarray:
    """How many cells are open when the rule is asked, ascending."""
    if stop.threshold == np.inf:  # everything: one probe, then the rest
        return frozen(np.unique([min(PROBE, cells), cells]))
    marks = checkpoints(cells)
    return frozen(marks[stop.looks(len(marks))])


def _alone(index: Index, queries: np.ndarray, stop: Stop, budget: int, live, own, out: Visited) -> None:
    """Few queries: each by itself, all in one call."""
    own = nobody(len(queries)) if own is None else own
    bad = walk_alone(
        _looks(len(index), stop), (stop.weight, stop.threshold), index.board, live, frozen(queries), own,
        index.slots.metric == "cosine", budget, out.rows, out.scores, out.opened, out.points, out.rescored,
        out.ceiling, out.spent, out.spread,
    )  # fmt: skip
    refuse(bad, "queries")


class _Block:
    """One block of queries on its way through the cells."""

    def __init__(self, index: Index, asked: Queries, k: int, budget: int, live, own, room: Room) -> None:
        count = len(asked)
        self.index, self.queries, self.live, self.room = index, asked, live, room
        self.asked, self.state = Asked.of(asked, own), State.new(count, k, room)
        scores = index.router.scores(asked, room("scores", (count, len(index)), np.float32))
        counters = np.zeros((5, count), dtype=np.int64)
        self.way = Way(
            keys=room("keys", scores.shape, np.uint64),
            sorted=counters[0],
            promise=scores,
            left=np.full(count, budget, dtype=np.int64),
            points=counters[1],
            opened=counters[2],
            passed=counters[3],
            settled=counters[4],
            known=np.full(count, -np.inf, dtype=np.float32),
            spread=np.empty(count, dtype=np.float32),
            lowest=np.empty(count, dtype=np.float32),
            words=np.zeros(len(index) // 8 + 1, dtype=np.uint64),
            rest=np.empty(len(index), dtype=np.uint64),
        )
        self.bounds = Bounds(index.norms, index.shortest, index.reaches, scores, slack_of(asked), asked.norms)

    def run(
        self, looks: np.ndarray, stop: Stop, watch: bool, out: Visited, some: slice
    ) -> list[tuple[np.ndarray, ...]]:
        """All queries together, round by round; in one call, unless each round is watched."""
        slots, queries, way = self.index.slots, self.queries, self.way
        rule = (stop.weight, np.inf if watch else stop.threshold)
        work = Work.of(slots.codes.codes.shape[1], slots.largest, self.room)
        places = slots.columns, slots.starts, slots.tops, self.live, self.asked, queries.cosine, slots.truth
        running, results = (
            (self.state, way, self.bounds),
            (out.rows[some], out.scores[some], out.ceiling[some]),
        )
        watched = []
        if watch:
            set_out(self.bounds.scores, way)
            active = np.arange(len(queries))
            for one in looks[:, None]:
                before, (kth, next_) = active, np.empty((2, len(active)), dtype=np.float32)
                active = rounds(active, one, rule, *places, *running, work, kth, next_)
                watched.append((kth, next_, way.passed[before].copy()))
            finish(*places, *running, *results)
        else:
            walk_block(looks, rule, *places, *running, work, *results)
        self._tell(out, some)
        return watched

    def _tell(self, out: Visited, some: slice) -> None:
        way = self.way
        out.opened[some], out.points[some], out.spread[some] = (way.opened, way.points, way.spread)
        out.rescored[some] = self.state.rescored
        np.logical_and(way.left == 0, way.opened < len(self.index), out=out.spent[some])
        if out.order is not None:
            out.order[some] = len(self.index) - (way.keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def slack_of(asked: Queries) -> np.ndarray:
    """float64 [Q]: what the coding of a query may take off a cosine, and the rounding of scores to float32."""
    codes, slack = asked.codes, np.empty(len(asked))
    _slack(codes.lengths, codes.residuals.view(np.uint16), codes.width, slack)
    return slack


@njit(cache=True, nogil=True, error_model="numpy")
def _slack(lengths, residuals, width, slack):
    for q in range(len(slack)):
        share = residual(residuals[q]) / np.float64(lengths[q]) if lengths[q] > 0.0 else 0.0
        slack[q] = share * (1.0 + math.sqrt(width) / 254.0) + 1e-6


def coded_reaches(reaches: np.ndarray, router: Router) -> np.ndarray:
    """float32 [K]: `reaches` from the centroids, made to hold from their codes for coded queries, for `Index`.

    With |q| = 1 and |c| <= 1: <q, x> <= <q, c> + |x - c|, and
    <q, c> <= <q_hat, c_hat> + |q - q_hat| + |c - c_hat| + |q - q_hat| |c - c_hat|. The third term is added here,
    the others are in `slack_of`; |c - c_hat| is at most half a step, 1 / 254, in each column.
    """
    missed = router.codes.residuals.astype(np.float64) * router.codes.scales
    return ((reaches + missed) * SLACK + 1e-6).astype(np.float32)


def ceilings_of(asked: Queries, router: Router, norms: np.ndarray, reaches: np.ndarray) -> np.ndarray:
    """float64 [Q, K]: no row of a cell scores more; norms and reaches [K] as in `Index`."""
    if not asked.cosine:
        return asked.norms[:, None] * norms.astype(np.float64) * SLACK
    best = router.scores(asked).astype(np.float64) + slack_of(asked)[:, None] + reaches
    return np.where(asked.norms[:, None] > 0, np.minimum(best, SLACK), 0.0)


def within(index: Index, asked: Queries, floor: float, live: np.ndarray) -> tuple[list[np.ndarray], int]:
    """For each query the rows that may score `floor` or more, ascending: (int64 arrays, rows looked at)."""
    found, looked, slots = [], 0, index.slots
    most = ceilings_of(asked, index.router, index.norms, index.reaches)
    sizes, cosine = np.diff(slots.starts), asked.cosine
    queries = Asked.of(asked, None)
    for q in range(len(asked)):
        cells = np.flatnonzero(most[q] >= floor)
        room = np.empty(int(sizes[cells].sum()), dtype=np.int64)
        count = within_pass(
            cells, slots.starts, slots.columns, live, queries.codes, q, queries.terms[q], cosine, floor, room
        )
        found.append(np.unique(slots.rows[room[:count]]).astype(np.int64))
        looked += len(room)
    return found, looked


@njit(cache=True, nogil=True)
def _most(cosine, length, norm, score, slack, reach):
    """No row of a cell scores more: for a query of that length, the cell's largest norm, its routing score, what
    coding the query may have taken off that, and how far its directions reach."""
    if not cosine:
        return length * norm * SLACK
    if length == 0.0:
        return 0.0
    return min(np.float64(score) + slack + np.float64(reach), SLACK)


@njit(cache=True, nogil=True)
def _open(q, end, starts, columns, cosine, state, way, bounds, pairs, count):
    """Open the next cells of query q until `end` are open; fills pairs (query, cell, rows) from `count` on
    and returns how many there are then.

    Cells below the k-th score are passed over, and for inner product a cell is read only as far as its norms
    matter. A cell inside which rows are spent does not count as open.
    """
    # everything is taken out of its tuple once: each time counts a reference
    kth, keys, cells = state.bars[q], way.keys, way.keys.shape[1]
    opened, left, points, passed = (way.opened[q], way.left[q], way.points[q], way.passed[q])
    ready, length, slack = way.sorted[q], bounds.lengths[q], bounds.slack[q]
    norms, shortest, reaches, scores = (bounds.norms, bounds.shortest, bounds.reaches, bounds.scores)
    lengths, scales = columns.lengths, columns.scales
    while opened < end and left > 0:
        if opened == ready:
            sort_more(q, way)
            ready = way.sorted[q]
        c = cell_of(keys[q, opened], cells)
        first = starts[c]
        rows = whole = starts[c + 1] - first
        if kth > -np.inf and _most(cosine, length, norms[c], scores[q, c], slack, reaches[c]) < kth:
            rows = 0
        elif not cosine and kth > shortest[c] * length:
            need = kth / length
            low, high = 0, rows
            while low < high:  # the first row that is too short
                middle = (low + high) // 2
                norm = np.float64(lengths[first + middle]) * scales[first + middle]
                if norm * SLACK * SLACK < need:
                    high = middle
                else:
                    low = middle + 1
            rows = low
        if rows > left:
            rows, left = left, 0
        else:
            left -= rows
            opened += 1
            passed += whole
        points += rows
        if rows:
            pairs[count, 0], pairs[count, 1], pairs[count, 2] = q, c, rows
            count += 1
    way.opened[q], way.left[q], way.points[q], way.passed[q] = (opened, left, points, passed)
    return count


@njit(cache=True, nogil=True)
def open_cells(active, end, starts, columns, cosine, state, way, bounds):
    """The pairs of a round, int64 [P, 3] (query, cell, rows), queries ascending."""
    room = 0
    for q in active:
        room += end - way.opened[q]
    pairs = np.empty((room, 3), dtype=np.int64)
    count = 0
    for q in active:
        count = _open(q, end, starts, columns, cosine, state, way, bounds, pairs, count)
    return pairs[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def _look(q, rule, cosine, state, way, bounds):
    """(whether query q goes on, its k-th score, the next cell's promise): the rule of `Stop`."""
    weight, threshold = rule
    cells = way.keys.shape[1]
    length = 1.0 if cosine or bounds.lengths[q] == 0.0 else bounds.lengths[q]
    kth = np.float32(state.bars[q] / length)
    if kth > way.known[q]:
        way.known[q], way.settled[q] = kth, way.passed[q]
    if way.opened[q] == cells:
        return False, kth, np.float32(-np.inf)
    if way.opened[q] == way.sorted[q]:
        sort_more(q, way)
    next_ = way.promise[q, cell_of(way.keys[q, way.opened[q]], cells)]
    if way.left[q] == 0:
        return False, kth, next_
    if kth == -np.inf or threshold == np.inf:
        return True, kth, next_
    spread = np.float64(way.spread[q])
    scaled = (np.float64(kth) - np.float64(next_)) / spread if spread > 0.0 else 0.0
    scanned = _log(way.passed[q])
    idle = scanned - _log(way.settled[q])
    return not scaled + weight * (scanned + PATIENCE * idle) >= threshold, kth, next_


@njit(cache=True, nogil=True)
def _log(points):
    """`stop.log_points` of one number."""
    mantissa, exponent = math.frexp(points + 1.0)
    return (exponent + (2.0 * mantissa - 2.0)) * _LN2


@njit(cache=True, nogil=True)
def look(active, rule, cosine, state, way, bounds, kth, next_):
    """Those of the active queries that go on; fills what each knows, kth and next float32."""
    stay = np.empty(len(active), dtype=np.int64)
    count = 0
    for i in range(len(active)):
        goes, kth[i], next_[i] = _look(active[i], rule, cosine, state, way, bounds)
        if goes:
            stay[count] = active[i]
            count += 1
    return stay[:count]


@njit(cache=True, nogil=True)
def rounds(
    active, looks, rule, columns, starts, tops, live, asked, cosine, vectors, state, way, bounds, work, kth, next_
):  # fmt: skip
    """The active queries open cells until as many are open as each of `looks` says; those that go on after it.

    Every query meets its first cell before the others of its first round: where most of its answers lie, it gets
    a bar that spares it most rows of the others. Fills kth and next float32, what the queries of the last round
    knew.
    """
    cells = len(starts) - 1
    for end in looks:
        if not len(active):
            break
        for till in (1, end):
            if way.opened[active[0]] < till:
                pairs = open_cells(active, till, starts, columns, cosine, state, way, bounds)
                jobs = Jobs(*group(pairs, cells))
                scan(jobs, columns, starts, tops, live, asked, cosine, vectors, state, work)
        active = look(active, rule, cosine, state, way, bounds, kth, next_)
    return active


@njit(cache=True, nogil=True)
def finish(
    columns, starts, tops, live, asked, cosine, vectors, state, way, bounds, rows, scores, most
):  # fmt: skip
    """What the queries found, when all have left: fills `rows`, `scores` and `ceiling` of `Visited`."""
    finish_pass(columns, asked, cosine, vectors, state, rows, scores)
    ceilings(way, bounds, cosine, most)


@njit(cache=True, nogil=True)
def walk_block(
    looks, rule, columns, starts, tops, live, asked, cosine, vectors, state, way, bounds, work, rows, scores, most
):  # fmt: skip
    """Everything about the queries of a block: threads that wait for the interpreter between kernels lose
    milliseconds."""
    active, told = np.arange(len(rows)), np.empty((2, len(rows)), dtype=np.float32)
    set_out(bounds.scores, way)
    rounds(
        active, looks, rule, columns, starts, tops, live, asked, cosine, vectors, state, way, bounds, work,
        told[0], told[1],
    )  # fmt: skip
    finish(columns, starts, tops, live, asked, cosine, vectors, state, way, bounds, rows, scores, most)


@njit(cache=True, nogil=True)
def walk_alone(
    looks, rule, board, live, queries, own, cosine, budget,
    rows, scores, opened, points, rescored, most, spent, spread,
):  # fmt: skip
    """Everything about each query by itself: the same cells, rows and order of rows as in a block.

    Fills the fields of `Visited`; returns the first of the queries that holds NaN or infinity, -1 if none does.
    """
    columns, starts, tops, vectors, norms, shortest, reaches, weights, steps, bias = board
    count, width = queries.shape
    codes, residuals = np.zeros((count, weights.shape[1]), np.int8), np.empty(count, np.uint16)
    scales, lengths = np.empty(count, np.float32), np.empty(count, np.float32)
    exact, long, terms = np.empty((count, width)), np.empty(count), np.empty((count, TERMS))
    bad = encode_and_form(queries, codes, scales, residuals, lengths, cosine, exact, long, terms)
    if bad >= 0:
        return bad
    asked = Asked(codes, terms, exact, long, own)
    k, cells = rows.shape[1], len(bias)
    places = max(4 * k, LIST)
    state = State(
        np.full(count, -np.inf), np.empty((count, k)), np.empty((count, k), np.int64), np.zeros(count, np.int64),
        np.empty((count, places), np.int32), np.empty((count, places), np.float32), np.zeros(count, np.int64),
        np.zeros(count, np.int64),
    )  # fmt: skip
    found = np.empty((count, cells), np.float32)
    linear_pass(weights, steps, bias, asked.codes, scales, asked.norms, found)
    slack = np.empty(count)
    _slack(lengths, residuals, width, slack)
    way = Way(
        np.empty((count, cells), np.uint64), np.zeros(count, np.int64), found, np.full(count, budget), points,
        opened, np.zeros(count, np.int64), np.zeros(count, np.int64), np.full(count, np.float32(-np.inf)), spread,
        np.empty(count, np.float32), np.zeros(cells // 8 + 1, np.uint64), np.empty(cells, np.uint64),
    )  # fmt: skip
    bounds = Bounds(norms, shortest, reaches, found, slack, asked.norms)
    room, work = np.empty((3, cells), np.int64), Work(np.empty((0, 0), np.int8), np.empty(0, np.int32), False)
    jobs = Jobs(room[0], np.arange(cells + 1), room[1], room[2], room[1])
    points[:], opened[:] = 0, 0
    set_out(found, way)
    for q in range(count):
        for end in looks:
            for till in (1, end):
                if opened[q] < till:
                    pairs = np.empty((till - opened[q], 3), dtype=np.int64)
                    few = _open(q, till, starts, columns, cosine, state, way, bounds, pairs, 0)
                    named = jobs_alone(q, pairs[:few], jobs)
                    scan(named, columns, starts, tops, live, asked, cosine, vectors, state, work)
            if not _look(q, rule, cosine, state, way, bounds)[0]:
                break
        spent[q] = way.left[q] == 0 and opened[q] < cells
    finish_pass(columns, asked, cosine, vectors, state, rows, scores)
    rescored[:] = state.rescored
    ceilings(way, bounds, cosine, most)
    return bad


@njit(cache=True, nogil=True)
def ceilings(way, bounds, cosine, out):
    """The most that a row in a cell not opened could score, as `_most` says: fills float64 [B]."""
    keys, opened, cells = way.keys, way.opened, way.keys.shape[1]
    norms, reaches, scores = bounds.norms, bounds.reaches, bounds.scores
    tops = np.empty(cells)
    for q in range(len(out)):
        if opened[q] == cells:
            out[q] = -np.inf
            continue
        for c in range(np.uint64(cells)):  # all cells as they lie, then those that were opened taken out
            tops[c] = np.float64(scores[q, c]) + np.float64(reaches[c]) if cosine else np.float64(norms[c])
        for i in range(opened[q]):
            tops[cell_of(keys[q, i], cells)] = -np.inf
        most = largest(tops)  # of norms, or of scores with the reaches in them
        out[q] = _most(cosine, bounds.lengths[q], most, most, bounds.slack[q], 0.0)
