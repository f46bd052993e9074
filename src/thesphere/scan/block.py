"""A block of queries on its way through all parts: running thresholds, candidates, and the final order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from thesphere.errors import InputError
from thesphere.nn.packed import Packed
from thesphere.room import aligned
from thesphere.scan.kernel import best, forms_of, rescore, row_pass, tile_pass, trim
from thesphere.scan.part import Metric, Part
from thesphere.scan.rows import Codes, as_rows, frozen

TILE = 512  # rows per tile: TILE products with some 500 queries stay in a second-level cache
FEW = 3  # up to so many queries are cheaper one by one, without packing


@dataclass(frozen=True)
class Queries:
    """Queries in all the forms that the passes take."""

    codes: Codes
    terms: np.ndarray  # float64 [Q, 3]
    exact: np.ndarray  # float64 [Q, D]
    norms: np.ndarray  # float64 [Q]
    cosine: bool

    @classmethod
    def of(cls, parts: Sequence[Part], queries, metric: Metric) -> "Queries":
        """Queries for parts, which must be of one width."""
        widths = {part.codes.width for part in parts}
        if len(widths) > 1:
            raise InputError(f"parts are of different widths: {sorted(widths)}")
        return cls.of_width(next(iter(widths), None), queries, metric)

    @classmethod
    def of_width(cls, width: int | None, queries, metric: Metric) -> "Queries":
        """Queries for rows of a width; None: any."""
        if metric not in get_args(Metric):
            raise InputError(f"metric is {metric!r}, expected 'ip' or 'cosine'")
        return cls.of_rows(as_rows(queries, "queries", width, one=True), metric)

    @classmethod
    def of_rows(cls, rows: np.ndarray, metric: Metric) -> "Queries":
        """Queries float32 [Q, D] as `as_rows` gives them. Raises InputError for NaN or infinity."""
        codes, exact, norms, terms = forms_of(rows, metric == "cosine")
        return cls(codes, terms, exact, norms, metric == "cosine")

    def __len__(self) -> int:
        return len(self.exact)

    def some(self, start: int, end: int) -> "Queries":
        cut = slice(start, end)
        return Queries(
            self.codes.cut(start, end), self.terms[cut], self.exact[cut], self.norms[cut], self.cosine
        )

    def alone(self) -> "Queries":
        if len(self) != 1:
            raise InputError(f"expected one query, got {len(self)}")
        return self


class Table:
    """What the passes need of a part for one metric, per row and per tile."""

    def __init__(self, part: Part, metric: Metric) -> None:
        self.part = part
        self.codes = frozen(part.codes.codes)
        self.scales = frozen(part.codes.scales)
        self.lossless = part.vectors is None
        self.rows, self.tiles = part.codes.derived(metric, TILE)


class Block:
    """The running state of one block of queries over all parts."""

    def __init__(
        self, tables: list[Table], asked: Queries, k: int, room: int, floors: np.ndarray | None = None
    ) -> None:
        count = len(asked)
        self.tables = tables
        self.asked = asked
        self.k = k
        self.heaps = np.full((count, k), -np.inf)
        if floors is not None:
            self.heaps[:] = floors[:, None]
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
        packed, base = Packed(self.asked.codes.codes), 0
        products = aligned((TILE, packed.wide), np.int32)
        for table in self.tables:
            live = table.part.mask
            for number, first in enumerate(range(0, len(table.part), TILE)):
                cut = slice(first, first + TILE)
                codes = table.codes[cut]
                dots = products[: len(codes)]
                packed(codes, dots)
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
                    self.asked.codes.codes,
                    q,
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
        lists = (self.positions[some], self.counts[some], self.ids[some], self.scores[some])
        self.rescored += int(self.counts[some].sum())
        base = 0
        for table in self.tables:
            part = table.part
            rescore(
                part.values,
                table.scales,
                table.lossless,
                part.order,
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
