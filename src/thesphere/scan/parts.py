"""Exact top-k over several parts: one int8 pass with proved bounds, then float64 on the rows left undecided.

The answer equals full enumeration of the float64 score, ordered by (score descending, id ascending), ties
included, however the rows are spread over parts and the queries over threads.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from thesphere.errors import InputError
from thesphere.scan.dots import Packed
from thesphere.scan.kernel import (
    best,
    bound_pass,
    norms_of,
    query_terms,
    rescore,
    row_pass,
    score_rows,
    tile_pass,
    trim,
)
from thesphere.scan.rows import Codes, as_rows, encode, frozen

Metric = Literal["ip", "cosine"]

TILE = 512  # rows per tile: TILE x BLOCK int32 products stay in a second-level cache
BLOCK = 256  # queries per tile, at most
FEW = 3  # up to so many queries are cheaper one by one, without packing
LIST = 256  # candidates that a query may hold at least
ROOM = 1 << 20  # candidates that all queries of a block may hold together


@dataclass(frozen=True)
class Part:
    """Rows that lie together. Row i has the global id offset + i.

    Attributes:
        codes: the coded rows.
        vectors: float32 [N, D] (may be memory-mapped) to score on, or None when the codes are the vectors
            (`encode(..., storage="int8")`).
        offset: global id of row 0.
        live: bool [N], rows that may be found, or None for all.
    """

    codes: Codes
    vectors: np.ndarray | None = None
    offset: int = 0
    live: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.codes), self.codes.width)
        if self.vectors is None:
            if not self.codes.lossless:
                raise InputError("part without vectors: its codes have residuals; encode with storage='int8'")
        elif self.vectors.shape != shape or self.vectors.dtype != np.float32:
            raise InputError(
                f"part: vectors are {self.vectors.dtype} {list(self.vectors.shape)}, "
                f"the codes need float32 {list(shape)}"
            )
        if self.live is not None and (self.live.shape != shape[:1] or self.live.dtype != np.bool_):
            raise InputError(
                f"part: live is {self.live.dtype} {list(self.live.shape)}, expected bool {list(shape[:1])}"
            )

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def values(self) -> np.ndarray:
        """What is scored: float32 [N, D] vectors, or int8 [N, W] codes when they are the vectors."""
        return frozen(self.codes.codes if self.vectors is None else np.ascontiguousarray(self.vectors))

    @cached_property
    def mask(self) -> np.ndarray:
        """`live` as the kernels take it: empty when every row is."""
        return frozen(np.zeros(0, dtype=np.bool_) if self.live is None else np.ascontiguousarray(self.live))


@dataclass(frozen=True)
class Result:
    """Attributes:
    ids: int64 [Q, k] global ids, -1 where there are fewer than k rows.
    scores: float64 [Q, k], -inf where there are fewer than k rows.
    rescored: rows that were scored in float64, over all queries.
    rows: rows whose bounds were computed, over all queries.
    """

    ids: np.ndarray
    scores: np.ndarray
    rescored: int
    rows: int


def search(parts: Sequence[Part], queries, k: int, *, metric: Metric = "ip", threads: int = 1) -> Result:
    """The exact k best rows of all parts for each query.

    Args:
        parts: one or more parts of the same width, with ids that do not overlap.
        queries: numbers [Q, D] or [D], used as float32.
        k: how many, 0 or more.
        metric: "ip", the inner product, or "cosine", the same over both norms (0 for a zero vector).
        threads: workers over blocks of queries; the answer does not depend on it.

    Raises InputError for NaN or infinity in a query, another width, a negative k or an unknown metric.
    """
    if k < 0 or threads < 1:
        raise InputError(f"k is {k} and threads {threads}; expected k >= 0 and threads >= 1")
    tables = [_Table(part, metric) for part in parts]
    asked = _Queries.of(parts, queries, metric)
    total = sum(len(part) for part in parts)
    ids = np.full((len(asked), k), -1, dtype=np.int64)
    scores = np.full((len(asked), k), -np.inf)
    wanted = min(k, total)
    if not wanted or not len(asked):
        return Result(ids, scores, 0, 0)
    room = max(4 * wanted, LIST)
    size = max(1, min(BLOCK, ROOM // room, -(-len(asked) // threads)))

    def work(first: int) -> int:
        block = _Block(tables, asked.some(first, first + size), wanted, room)
        block.scan()
        return block.finish(ids[first : first + size], scores[first : first + size])

    starts = range(0, len(asked), size)
    if threads == 1 or len(starts) == 1:
        rescored = sum(map(work, starts))
    else:
        with ThreadPoolExecutor(threads) as pool:
            rescored = sum(pool.map(work, starts))
    return Result(ids, scores, rescored, total * len(asked))


def bounds(part: Part, query, metric: Metric = "ip") -> tuple[np.ndarray, np.ndarray]:
    """Bounds of every row's score for one query: (lower, upper), float64 [N] each, dead rows included.

    They hold for the float64 score that `exact` gives, every rounding counted in.
    """
    asked = _Queries.of([part], query, metric).alone()
    lower, upper = np.empty(len(part)), np.empty(len(part))
    table = _Table(part, metric)
    bound_pass(table.codes, table.rows[1:], asked.wide(0), asked.terms[0], lower, upper)
    return lower, upper


def exact(part: Part, query, rows, metric: Metric = "ip") -> np.ndarray:
    """Float64 scores [M] of the given rows (integers [M], 0 .. N - 1) of a part for one query."""
    asked = _Queries.of([part], query, metric).alone()
    chosen = np.ascontiguousarray(rows, dtype=np.int64).reshape(-1)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(part)):
        raise InputError(f"rows run from {chosen.min()} to {chosen.max()}, the part has {len(part)}")
    scores = np.empty(len(chosen))
    score_rows(
        part.values,
        frozen(part.codes.scales),
        part.vectors is None,
        asked.exact[0],
        asked.norms[0],
        metric == "cosine",
        frozen(chosen),
        scores,
    )
    return scores


def all_bounds(parts: Sequence[Part], query, metric: Metric = "ip") -> tuple[np.ndarray, np.ndarray]:
    """`bounds` of all parts, one after the other: (lower, upper), float64 [total rows] each."""
    pairs = [bounds(part, query, metric) for part in parts] or [(np.empty(0), np.empty(0))]
    return np.concatenate([low for low, _ in pairs]), np.concatenate([high for _, high in pairs])


def all_exact(parts: Sequence[Part], query, positions, metric: Metric = "ip") -> np.ndarray:
    """`exact` of chosen positions in the order of `all_bounds`: float64 [M]."""
    chosen = np.ascontiguousarray(positions, dtype=np.int64).reshape(-1)
    total = sum(len(part) for part in parts)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= total):
        raise InputError(f"positions run from {chosen.min()} to {chosen.max()}, the parts have {total} rows")
    scores = np.empty(len(chosen))
    base = 0
    for part in parts:
        inside = (chosen >= base) & (chosen < base + len(part))
        if inside.any():
            scores[inside] = exact(part, query, chosen[inside] - base, metric)
        base += len(part)
    return scores


@dataclass(frozen=True)
class _Queries:
    """Queries in all the forms that the passes take."""

    codes: Codes
    terms: np.ndarray  # float64 [Q, 3]
    exact: np.ndarray  # float64 [Q, D]
    norms: np.ndarray  # float64 [Q]
    cosine: bool

    @classmethod
    def of(cls, parts: Sequence[Part], queries, metric: Metric) -> "_Queries":
        if metric not in get_args(Metric):
            raise InputError(f"metric is {metric!r}, expected 'ip' or 'cosine'")
        widths = {part.codes.width for part in parts}
        if len(widths) > 1:
            raise InputError(f"parts are of different widths: {sorted(widths)}")
        rows = as_rows(queries, "queries", next(iter(widths), None), one=True)
        codes = encode(rows, what="queries")
        truth = frozen(rows.astype(np.float64))
        norms = np.empty(len(rows))
        norms_of(truth, norms)
        return cls(codes, query_terms(codes, norms, metric == "cosine"), truth, norms, metric == "cosine")

    def __len__(self) -> int:
        return len(self.exact)

    def some(self, start: int, end: int) -> "_Queries":
        cut = slice(start, end)
        return _Queries(
            self.codes.cut(start, end), self.terms[cut], self.exact[cut], self.norms[cut], self.cosine
        )

    def wide(self, q: int) -> np.ndarray:
        """One query's code as int16 [W], as the passes for single queries take it."""
        return frozen(self.codes.codes[q].astype(np.int16))

    def alone(self) -> "_Queries":
        if len(self) != 1:
            raise InputError(f"expected one query, got {len(self)}")
        return self


class _Table:
    """What the passes need of a part for one metric, per row and per tile."""

    def __init__(self, part: Part, metric: Metric) -> None:
        self.part = part
        self.codes = frozen(part.codes.codes)
        self.scales = frozen(part.codes.scales)
        self.lossless = part.vectors is None
        self.rows, self.tiles = part.codes.derived(metric, TILE)


class _Block:
    """The running state of one block of queries over all parts."""

    def __init__(self, tables: list[_Table], asked: _Queries, k: int, room: int) -> None:
        count = len(asked)
        self.tables = tables
        self.asked = asked
        self.k = k
        self.heaps = np.full((count, k), -np.inf)
        self.positions = np.empty((count, room), dtype=np.int64)
        self.uppers = np.empty((count, room))
        self.ids = np.empty((count, room), dtype=np.int64)
        self.scores = np.empty((count, room))
        self.counts = np.zeros(count, dtype=np.int64)
        self.rescored = 0

    def scan(self) -> None:
        """Bring every row's bounds before every query's running threshold."""
        if len(self.asked) <= FEW:
            for q in range(len(self.asked)):
                self._scan_one(q)
            return
        packed = Packed(self.asked.codes.codes, TILE)
        base = 0
        for table in self.tables:
            live = table.part.mask
            for number, first in enumerate(range(0, len(table.part), TILE)):
                cut = slice(first, first + TILE)
                dots = packed.tile(table.codes[cut])
                rows = tuple(column[cut] for column in table.rows)
                row = 0
                while row < len(dots):
                    row = tile_pass(
                        dots,
                        row,
                        base + first,
                        rows,
                        table.tiles[number],
                        live[cut],
                        self.asked.terms,
                        self.heaps,
                        self.positions,
                        self.uppers,
                        self.counts,
                    )
                    row = self._settled(row)
            base += len(table.part)

    def _scan_one(self, q: int) -> None:
        one = slice(q, q + 1)
        base = 0
        for table in self.tables:
            row = 0
            while row < len(table.part):
                row = row_pass(
                    table.codes,
                    row,
                    base,
                    table.rows[1:],
                    table.part.mask,
                    self.asked.wide(q),
                    self.asked.terms[one],
                    self.heaps[one],
                    self.positions[one],
                    self.uppers[one],
                    self.counts[one],
                )
                row = self._settled(row)
            base += len(table.part)

    def _settled(self, row: int) -> int:
        """Where a pass goes on; if it stopped for room, the long lists are first cut to their exact best."""
        if row >= 0:
            return row
        for q in np.flatnonzero(2 * self.counts > self.positions.shape[1]):
            self._sort(slice(q, q + 1))
            kept = min(self.k, int(self.counts[q]))
            self.counts[q] = kept
            self.uppers[q, :kept] = self.scores[q, :kept]
            self.heaps[q] = -np.inf
            self.heaps[q, self.k - kept :] = self.scores[q, :kept][::-1]  # ascending: a heap as it is
        return ~row

    def _sort(self, some: slice) -> None:
        """Score the candidates of some queries in float64 and sort them."""
        asked = self.asked
        lists = self.positions[some], self.counts[some], self.ids[some], self.scores[some]
        self.rescored += int(self.counts[some].sum())
        base = 0
        for table in self.tables:
            part = table.part
            rescore(
                part.values,
                table.scales,
                table.lossless,
                asked.exact[some],
                asked.norms[some],
                asked.cosine,
                base,
                part.offset,
                *lists,
            )
            base += len(part)
        best(*lists)

    def finish(self, ids: np.ndarray, scores: np.ndarray) -> int:
        """Write the answers, int64 and float64 [Q, k]; returns how many rows were scored in float64."""
        trim(self.heaps, self.positions, self.uppers, self.counts)
        self._sort(slice(None))
        valid = np.arange(self.k) < self.counts[:, None]
        ids[:, : self.k][valid] = self.ids[:, : self.k][valid]
        scores[:, : self.k][valid] = self.scores[:, : self.k][valid]
        return self.rescored
