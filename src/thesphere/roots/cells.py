"""Cells: the rows of an index, coded, in the order in which they are scanned."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from thesphere.errors import InputError
from thesphere.norms import row_norms
from thesphere.roots.config import RootsConfig
from thesphere.roots.partition import partition
from thesphere.roots.partition.divide import centroids_of, checked_rows
from thesphere.roots.partition.kmeans import scale_of
from thesphere.roots.responses import with_responses
from thesphere.roots.spill import Gathered, second_cells
from thesphere.roots.summary import Summary, group, summarise
from thesphere.runtime import workers
from thesphere.runtime.threads import spread
from thesphere.scan.dots import sums
from thesphere.scan.part import Metric
from thesphere.scan.rows import FIELDS, Codes, as_rows, encode

if TYPE_CHECKING:
    from thesphere.roots.routing import Router

MOST = 1 << 31  # rows of an index: their numbers are int32
PIECE = 1 << 13  # slots that a worker gathers and codes at once
LARGEST = float(np.finfo(np.float32).max)  # no norm exceeds it, though one rounded up may


@dataclass(frozen=True)
class Cells:
    """N rows in K cells, M = N + second copies slots. A slot is the place of a row in the order of cells.

    Attributes:
        starts: int64 [K + 1]: cell c holds the slots starts[c] ... starts[c + 1] - 1.
        rows: int32 [M], the row of each slot, 0 ... N - 1; in each cell by falling norm (of `codes.norms`), then
            by row.
        copies: bool [M], slots that are second copies: each row has exactly one slot that is not.
        codes: the M coded rows in the order of slots.
        router: estimates the best score in each cell.
        roots: the root level; root r holds the cells roots.starts[r] ... roots.starts[r + 1] - 1.
        centres: float32 [K, D]: mean direction (norm 1, or 0 where directions cancel) for cosine, mean row for
            inner product, of the rows that the cell was made of.
        reaches: float32 [K], rounded up: the largest distance of a slot's direction (cosine; 0 is the
            direction of a zero vector) or row (inner product) from the centre.
        norms: float32 [K], rounded up: the largest |x| of the cell's slots.
        roles: int8 [K], the role of the cell's rows (see `thesphere.geometry.zones`); 0 without roles.
    """

    starts: np.ndarray
    rows: np.ndarray
    copies: np.ndarray
    codes: Codes
    router: "Router"
    roots: Summary
    centres: np.ndarray
    reaches: np.ndarray
    norms: np.ndarray
    roles: np.ndarray

    def __len__(self) -> int:
        """K, how many cells there are."""
        return len(self.starts) - 1

    @cached_property
    def route_bytes(self) -> int:
        """Bytes that choosing cells reads per query."""
        return int(self.router.dots * self.codes.codes.shape[1])

    @property
    def members(self) -> bool:
        """Whether the member lists are there; without them nothing can be scanned."""
        return len(self.rows) > 0

    def without_members(self) -> "Cells":
        """Root level, balls and router only."""
        none = np.zeros(0, np.int64)  # copies, so that nothing of the members stays in memory
        return replace(self, rows=self.rows[none], copies=self.copies[none], codes=self.codes.some(none))

    @property
    def count(self) -> int:
        """N, how many rows there are."""
        return int(self.roots.count.sum())

    @property
    def sizes(self) -> np.ndarray:
        """int64 [K], slots of each cell."""
        return np.diff(self.starts)

    def first_slots(self, cells: np.ndarray, most: int) -> np.ndarray:
        """int64: the slots of some cells in the order given, `most` at most, the last cell as far as they go."""
        slots = [np.zeros(0, np.int64)]
        for cell in np.asarray(cells, dtype=np.int64):
            first = int(self.starts[cell])
            slots.append(np.arange(first, min(int(self.starts[cell + 1]), first + most)))
            most -= len(slots[-1])
        return np.concatenate(slots)

    @property
    def labels(self) -> np.ndarray:
        """int32 [M], the cell of each slot."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)


def build_cells(
    vectors: np.ndarray,
    metric: Metric,
    config: RootsConfig | None = None,
    *,
    key: int | None = None,
    threads: int | None = None,
    text=None,
    roles: np.ndarray | None = None,
    queries: np.ndarray | None = None,
    prominence: np.ndarray | None = None,
) -> Cells:
    """Divide, copy border rows, code, summarise, and fit the router.

    Beside the result, memory holds blocks of rows and the sample of k-means, and a copy of the vectors only where
    inner product is asked for by given queries (see `thesphere.roots.responses`).

    Args:
        vectors: real numbers [N, D], N at least 1; may be memory-mapped.
        metric: "cosine" or "ip".
        config: settings; None: the defaults.
        key: seed of everything that is drawn (None: 0); same key, same cells, on any number of threads.
        threads: workers; all cores unless given.
        text: N bytes objects, or (uint8 bytes, offsets [N + 1]): for the roots' sketches, and for the couplings
            if `config.substring` is set.
        roles: [N] of 0 (content), 1 (instruction), 2 (question): no cell, and no root, holds rows of two.
        queries: real numbers [Q, D] like those that will be asked, some thousands: for inner product, cells and
            the router are made for them.
        prominence: numbers [N] in place of the norms, for the roots' statistics.

    Raises:
        InputError: anything above is not as described, or a row holds NaN or infinity.
    """
    from thesphere.roots.routing import fit_router

    config = RootsConfig() if config is None else config
    workforce = workers() if threads is None else threads
    share = 0.3 if config.substring is None else config.substring
    seen = vectors
    learned = deciding(queries, metric, config)
    if len(learned) and len(vectors):
        rows, norms = checked_rows(vectors)
        learned = as_rows(learned, "queries", rows.shape[1])
        seen = with_responses(rows, norms, learned, key=key, threads=workforce)
    made = partition(
        seen,
        config.count(len(vectors)),
        metric=metric,
        method=config.method,
        text=None if config.substring is None else text,
        alpha=1 - share,
        beta=share,
        roles=roles,
        key=key,
        threads=workforce,
    )
    if not 0 < len(made.labels) < MOST:
        raise InputError(f"there are {len(made.labels)} vectors; cells hold 1 to {MOST - 1} rows")
    if seen is not vectors:
        del seen  # as large as the rows
        made = replace(made, centroids=centroids_of(vectors, made.labels, len(made), metric))
    order, bounds = group(made.centroids, made.roles, metric, key=key, threads=workforce)
    place = np.empty(len(made), np.int32)
    place[order] = np.arange(len(made))
    labels, centres, kinds = place[made.labels], made.centroids[order], made.roles[order].astype(np.int8)
    extra, seconds = second_cells(
        vectors,
        labels,
        centres,
        int(config.share(metric) * len(labels)),
        scale=None if metric == "cosine" else scale_of(row_norms(vectors)),
        weight=config.spill_lambda,
        kinds=kinds,
        threads=workforce,
    )
    starts, rows, copies = slots(labels, extra, seconds, len(made))
    codes = filled(vectors, starts, rows, copies, threads=workforce)
    far = distances(
        vectors, rows, np.repeat(np.arange(len(made)), np.diff(starts)), centres, metric, threads=workforce
    )
    reaches = radii(np.maximum.reduceat(far, starts[:-1]), metric)
    centres, reaches, norms = balls(starts, codes, centres, reaches)
    roots = summarise(
        starts,
        rows,
        copies,
        codes,
        bounds,
        kinds,
        metric,
        prominence=prominence,
        text=text,
        threads=workforce,
    )
    router = fit_router(vectors, starts, rows, centres, metric, queries=queries, key=key, threads=workforce)
    return Cells(starts, rows, copies, codes, router, roots, centres, reaches, norms, kinds)


def deciding(queries: np.ndarray | None, metric: Metric, config: RootsConfig) -> np.ndarray:
    """Those of the given queries that cells are made for (see `thesphere.roots.responses`), if they are."""
    from thesphere.roots.routing import learned_from

    if queries is None or metric != "ip" or config.method != "kmeans":
        return np.zeros((0, 1))
    return learned_from(queries)


def slots(
    labels: np.ndarray, extra: np.ndarray, seconds: np.ndarray, count: int, lengths: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """starts int64 [count + 1], rows int32 [M] and copies bool [M], in each cell by falling length, then by row.

    Args:
        labels: int [N], the first cell of each row.
        extra, seconds: int [S], rows with a second copy and the cells of these.
        count: K.
        lengths: float64 [N], of each row; None: all alike.
    """
    cells = np.concatenate([labels, seconds])
    rows = np.concatenate([np.arange(len(labels), dtype=np.int32), extra.astype(np.int32)])
    order = np.lexsort((rows, cells) if lengths is None else (rows, -lengths[rows], cells))
    starts = np.concatenate([[0], np.cumsum(np.bincount(cells, minlength=count))]).astype(np.int64)
    return starts, rows[order], order >= len(labels)


def filled(
    vectors: np.ndarray, starts: np.ndarray, rows: np.ndarray, copies: np.ndarray, *, threads: int
) -> Codes:
    """The coded rows of all slots. Sorts `rows` and `copies` in place, in each cell by falling norm, then row."""
    width = vectors.shape[1]
    padded = encode(np.zeros((0, width), np.float32)).codes.shape[1]
    out = {
        name: np.empty((len(rows), padded) if name == "codes" else len(rows), kind)
        for name, kind in FIELDS.items()
    }
    codes = Codes(**out, width=width)

    def work(cut: tuple[int, int]) -> None:
        first, last = int(starts[cut[0]]), int(starts[cut[1]])
        for at in range(first, last, PIECE):
            some = slice(at, min(at + PIECE, last))
            coded = encode(vectors[rows[some]])
            for name in FIELDS:
                out[name][some] = getattr(coded, name)
        own = codes.cut(first, last)
        cells = np.repeat(np.arange(cut[0], cut[1]), np.diff(starts[cut[0] : cut[1] + 1]))
        order = np.lexsort((rows[first:last], -own.norms, cells))
        for array in (rows, copies, *out.values()):
            array[first:last] = array[first:last][order]

    spread(work, _runs(starts), threads)
    return codes


def balls(
    starts: np.ndarray, codes: Codes, centres: np.ndarray, reaches: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """centres, reaches and norms as `Cells` has them; infinite reaches may come in."""
    norms = np.minimum(above(np.maximum.reduceat(codes.norms, starts[:-1])), np.float32(LARGEST))
    lost = ~np.isfinite(reaches)  # rows near the largest float32, on all sides of their mean
    return np.where(lost[:, None], np.float32(0), centres), np.where(lost, norms, reaches), norms


def radii(distances: np.ndarray, metric: Metric) -> np.ndarray:
    """float32, no less than the true distances: sums of squares are right to width * 2^-53, directions to
    2^-52 in each column."""
    return above(distances * (1 + 1e-9) + (1e-12 if metric == "cosine" else 0))


def distances(
    vectors: Gathered,
    rows: np.ndarray,
    cells: np.ndarray,
    centres: np.ndarray,
    metric: Metric,
    *,
    threads: int,
) -> np.ndarray:
    """float64 [M]: how far vectors[rows[i]] (its direction for cosine) lies from centres[cells[i]]."""
    out = np.empty(len(rows))

    def work(first: int) -> None:
        some = slice(first, first + PIECE)
        block = np.ascontiguousarray(vectors[rows[some]], np.float32)
        _distances(block, cells[some], centres, metric == "cosine", out[some])

    spread(work, range(0, len(rows), PIECE), threads)
    return out


def above(values: np.ndarray) -> np.ndarray:
    """float32, never less than the float64 values; infinity beyond the largest."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return np.where(single < values, np.nextafter(single, np.float32(np.inf)), single)


def _runs(starts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs of whole cells with about PIECE slots each: first and last cell."""
    first = 0
    while first < len(starts) - 1:
        last = int(np.searchsorted(starts, starts[first] + PIECE, side="right")) - 1
        yield first, max(last, first + 1)
        first = max(last, first + 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _distances(rows, cells, centres, cosine, out):
    """Four partial sums in one fixed order: the same figures on every machine."""
    width = rows.shape[1]
    whole = width - width % 4
    zeros = np.zeros(width)
    for i in range(len(rows)):
        row, centre = rows[i], centres[cells[i]]
        unit = 1.0
        if cosine:
            length = np.sqrt(sums(rows, i, 1.0, zeros)[1])
            unit = 1.0 / length if length > 0.0 else 0.0
        a = b = c = d = 0.0
        for j in range(0, whole, 4):
            a += (np.float64(row[j]) * unit - np.float64(centre[j])) ** 2
            b += (np.float64(row[j + 1]) * unit - np.float64(centre[j + 1])) ** 2
            c += (np.float64(row[j + 2]) * unit - np.float64(centre[j + 2])) ** 2
            d += (np.float64(row[j + 3]) * unit - np.float64(centre[j + 3])) ** 2
        for j in range(whole, width):
            a += (np.float64(row[j]) * unit - np.float64(centre[j])) ** 2
        out[i] = np.sqrt((a + b) + (c + d))
