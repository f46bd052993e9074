"""Cells that are being changed: where rows go, which cells are split or given up, and the cells that result."""

from dataclasses import dataclass

import numpy as np

from thesphere.errors import InputError
from thesphere.norms import row_norms
from thesphere.roots.cells import Cells, balls, distances, radii, slots
from thesphere.roots.config import RootsConfig
from thesphere.roots.partition import partition
from thesphere.roots.partition.assign import assign
from thesphere.roots.partition.kmeans import scale_of
from thesphere.roots.routing import Centroid, Learned, Router
from thesphere.roots.spill import second_cells
from thesphere.roots.summary import summarise
from thesphere.runtime import workers
from thesphere.scan.part import Metric
from thesphere.scan.rows import FIELDS, Codes, encode

LARGEST = 2.5  # slots of a cell / mean, beyond which a cell that grew is split
SMALLEST = 0.2  # and below which a cell that shrank is given up
GATHERED = 1 << 14  # rows that are gathered at once
ROUNDS = 4  # of splitting: a part may still be too large


class Rows:
    """Rows kept in two arrays, or some of the rows of one, under one numbering: an array to index with rows."""

    def __init__(self, old: np.ndarray, new: np.ndarray, kept: np.ndarray | None = None) -> None:
        """Rows `kept` of old (None: all), then all of new."""
        self.old, self.new, self.kept = old, new, kept
        self.first = len(old) if kept is None else len(kept)
        self.shape = (self.first + len(new), old.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), self.shape[1]), np.float32)
        early = rows < self.first
        out[early] = self.old[rows[early] if self.kept is None else self.kept[rows[early]]]
        out[~early] = self.new[rows[~early] - self.first]
        return out


@dataclass
class Draft:
    """Cells on their way to others. Cell numbers only grow here; `finish` numbers them anew.

    Attributes:
        first: int32 [N], the cell of each row.
        extra, seconds: int32 [S], rows with a second copy, and its cell.
        moved: bool [N], rows whose first cell is another than before, or that lost their copy.
        centres, roles: of each cell.
        roots: int64, the root of each cell.
        origin: int64, the old cell that each comes from, -1 for none.
        fresh: bool, cells with another centre than before.
        dead: bool, cells that are given up.
    """

    vectors: Rows
    metric: Metric
    config: RootsConfig
    key: int
    threads: int
    scale: float | None
    first: np.ndarray
    extra: np.ndarray
    seconds: np.ndarray
    moved: np.ndarray
    centres: np.ndarray
    roles: np.ndarray
    roots: np.ndarray
    origin: np.ndarray
    fresh: np.ndarray
    dead: np.ndarray

    @classmethod
    def of(cls, cells: Cells, vectors: Rows, metric: Metric, config, key, threads) -> "Draft":
        if not cells.members:
            raise InputError("these cells were kept without members; build them again to add or drop rows")
        place = np.arange(vectors.first)
        if vectors.kept is not None:
            place = np.full(cells.count, -1)
            place[vectors.kept] = np.arange(vectors.first)
        rows, labels = place[cells.rows], cells.labels
        firsts, copies = ~cells.copies & (rows >= 0), cells.copies & (rows >= 0)
        first = np.full(len(vectors), -1, np.int32)
        first[rows[firsts]] = labels[firsts]
        count = len(cells)
        return cls(
            vectors,
            metric,
            RootsConfig() if config is None else config,
            0 if key is None else key,
            workers() if threads is None else threads,
            None if metric == "cosine" else scale_of(np.append(cells.norms, row_norms(vectors.new))),
            first,
            rows[copies].astype(np.int32),
            labels[copies],
            first < 0,
            cells.centres.copy(),
            cells.roles,
            np.repeat(np.arange(len(cells.roots)), np.diff(cells.roots.starts)),
            np.arange(count),
            np.zeros(count, np.bool_),
            np.zeros(count, np.bool_),
        )

    def nearest(self, rows: np.ndarray, among: np.ndarray) -> np.ndarray:
        """int32: the cell out of `among` whose centre is nearest to each row."""
        scaled = self.centres[among]
        if self.scale is not None:
            scaled = (scaled.astype(np.float64) * self.scale).astype(np.float32)
        places = np.empty(len(rows), np.int32)
        for first in range(0, len(rows), GATHERED):
            some = slice(first, first + GATHERED)
            block, raw = self.vectors[rows[some]], self.metric == "ip"
            places[some], _ = assign(block, scaled, scale=self.scale, raw=raw, threads=self.threads)
        return among[places].astype(np.int32)

    def grow(self, centres: np.ndarray, role: int, root: int, origin: int) -> np.ndarray:
        """The numbers of new cells with these centres."""
        count = len(centres)
        self.centres = np.concatenate([self.centres, centres])
        self.roles = np.concatenate([self.roles, np.full(count, role, np.int8)])
        self.roots = np.concatenate([self.roots, np.full(count, root)])
        self.origin = np.concatenate([self.origin, np.full(count, origin)])
        self.fresh = np.concatenate([self.fresh, np.ones(count, np.bool_)])
        self.dead = np.concatenate([self.dead, np.zeros(count, np.bool_)])
        return np.arange(len(self.dead) - count, len(self.dead))

    def sizes(self) -> np.ndarray:
        """int64: slots of each cell."""
        counts = np.bincount(self.first, minlength=len(self.dead))
        return counts + np.bincount(self.seconds, minlength=len(self.dead))

    def mean(self) -> float:
        """Slots of the mean cell, if there were as many cells as a build would make."""
        count = self.config.count(len(self.first))
        return (len(self.first) + len(self.extra)) / min(count, len(self.first))

    def join(self, kinds: np.ndarray) -> None:
        """Put the new rows, of these roles, into the nearest cells of their role; a new role founds a cell."""
        for role in np.unique(kinds):
            rows = self.vectors.first + np.flatnonzero(kinds == role)
            among = np.flatnonzero(self.roles == role)
            if not len(among):
                made = partition(self.vectors[rows], 1, metric=self.metric, threads=self.threads)
                among = self.grow(made.centroids, role, int(self.roots.max()) + 1, -1)
            self.first[rows] = self.nearest(rows, among)

    def split(self, grown: np.ndarray) -> None:
        """Divide those of the cells that are too large, and their parts if need be."""
        mean = self.mean()
        for number in range(ROUNDS):
            sizes = self.sizes()
            large = grown[sizes[grown] > LARGEST * mean]
            order = np.argsort(self.first, kind="stable")
            edges = np.searchsorted(self.first[order], [large, large + 1])
            parts = []
            for cell, begin, end in zip(large.tolist(), *edges, strict=True):
                rows = order[begin:end]
                wanted = min(len(rows), round(int(sizes[cell]) / mean))
                made = partition(
                    self.vectors[rows],
                    wanted,
                    metric=self.metric,
                    key=self.key + number,
                    threads=self.threads,
                )
                if len(made) < 2:  # rows that are all alike
                    continue
                root, origin = int(self.roots[cell]), int(self.origin[cell])
                others = self.grow(made.centroids[1:], int(self.roles[cell]), root, origin)
                self.centres[cell], self.fresh[cell] = made.centroids[0], True
                numbers = np.concatenate([[cell], others])
                self.first[rows] = numbers[made.labels]
                self.moved[rows] = True
                inside = np.flatnonzero(self.seconds == cell)
                self.seconds[inside] = self.nearest(self.extra[inside], numbers)
                parts.append(numbers)
            if not parts:
                break
            grown = np.concatenate(parts)

    def give_up(self, shrunk: np.ndarray) -> None:
        """Move the rows of those of the cells that are too small into the nearest others of their role."""
        sizes = self.sizes()
        firsts = np.bincount(self.first, minlength=len(sizes))
        small = np.zeros(len(sizes), np.bool_)
        small[shrunk] = sizes[shrunk] < SMALLEST * self.mean()
        small |= firsts == 0
        for role in np.unique(self.roles[small]):
            own = np.flatnonzero(self.roles == role)
            if small[own].all() and firsts[own].any():  # one has to stay
                small[own[firsts[own].argmax()]] = False
        self.dead |= small
        for role in np.unique(self.roles[small]):
            rows = np.flatnonzero(small[self.first] & (self.roles[self.first] == role))
            if len(rows):
                self.first[rows] = self.nearest(rows, np.flatnonzero((self.roles == role) & ~self.dead))
                self.moved[rows] = True

    def spill(self) -> np.ndarray:
        """Choose the copies of rows that moved anew, so that there are as many as before in all; returns which
        of the copies are new, bool [S]."""
        lost = self.dead[self.seconds]
        self.moved[self.extra[lost]] = True
        stay = ~lost & ~self.moved[self.extra]
        extra, seconds = self.extra[stay], self.seconds[stay]
        wanted = int(self.config.share(self.metric) * len(self.first)) - len(extra)
        among = np.flatnonzero(self.moved)
        kinds = np.where(self.dead, -1, self.roles)
        more, cells = second_cells(
            self.vectors,
            self.first,
            self.centres,
            wanted,
            scale=self.scale,
            weight=self.config.spill_lambda,
            kinds=kinds,
            among=among,
            threads=self.threads,
        )
        self.extra = np.concatenate([extra, more])
        self.seconds = np.concatenate([seconds, cells]).astype(np.int32)
        return np.arange(len(self.extra)) >= len(extra)

    def finish(self, before: Cells, prominence: np.ndarray | None, text) -> Cells:
        fresh_copies = self.spill()
        order = np.lexsort((np.arange(len(self.dead)), self.roots))
        order = order[~self.dead[order]]
        place = np.full(len(self.dead), -1, np.int32)
        place[order] = np.arange(len(order))
        labels, seconds, fresh = place[self.first], place[self.seconds], self.fresh[order]
        centres, origin, roles = self.centres[order], self.origin[order], self.roles[order]
        held, bounds = np.unique(self.roots[order], return_index=True)
        bounds = np.append(bounds, len(order))

        coded = encode(self.vectors.new)
        source = np.empty(len(labels), np.int64)  # where each row is coded: old slots, then the new rows
        firsts = np.flatnonzero(~before.copies)
        old = np.empty(before.count, np.int64)
        old[before.rows[firsts]] = firsts
        early = self.vectors.first
        source[:early] = old if self.vectors.kept is None else old[self.vectors.kept]
        source[early:] = len(before.rows) + np.arange(len(coded))
        lengths = np.concatenate([before.codes.norms[source[:early]], coded.norms])
        starts, rows, copies = slots(labels, self.extra, seconds, len(order), lengths)
        codes = _gathered(before.codes, coded, source[rows])

        # only rows that came into a cell can reach farther than it did, unless its centre is new
        reaches = np.where(fresh, np.float32(0), before.reaches[np.maximum(origin, 0)])
        for own, cell, came in (
            (np.arange(len(labels)), labels, self.moved),
            (self.extra, seconds, fresh_copies),
        ):
            some = np.flatnonzero(came | fresh[cell])
            far = distances(self.vectors, own[some], cell[some], centres, self.metric, threads=self.threads)
            np.maximum.at(reaches, cell[some], radii(far, self.metric))
        centres, reaches, norms = balls(starts, codes, centres, reaches)
        roots = summarise(
            starts, rows, copies, codes, bounds, roles, self.metric,
            prominence=prominence, text=text, threads=self.threads,
        )  # fmt: skip
        if text is None:
            known = held < len(before.roots)
            roots.sketch[known] = before.roots.sketch[held[known]]
        router = _routed(before, origin, fresh, centres)
        return Cells(starts, rows, copies, codes, router, roots, centres, reaches, norms, roles)


def _gathered(old: Codes, new: Codes, source: np.ndarray) -> Codes:
    """Coded rows out of two, numbered one after the other."""
    fields = []
    for name in FIELDS:
        given, more = getattr(old, name), getattr(new, name)
        out = np.empty((len(source), *given.shape[1:]), given.dtype)
        for first in range(0, len(source), GATHERED):
            taken = source[first : first + GATHERED]
            block = out[first : first + len(taken)]
            np.take(given, np.minimum(taken, len(given) - 1), axis=0, out=block, mode="clip")
            late = np.flatnonzero(taken >= len(given))
            block[late] = more[taken[late] - len(given)]
        fields.append(out)
    return Codes(*fields, width=old.width)


def _routed(before: Cells, origin: np.ndarray, fresh: np.ndarray, centres: np.ndarray) -> Router:
    """The router of the changed cells: centroids are coded again, learned weights stay with their cells; the
    parts of a cell inherit its weights, shifted by as much as their centres."""
    if not isinstance(before.router, Learned):
        return Centroid.fit(centres)
    old, known = before.router.codes, np.maximum(origin, 0)
    weights = old.codes[known, : old.width] * old.scales[known, None]
    weights = np.where(origin[:, None] < 0, centres, weights + (centres - before.centres[known]))
    coded = encode(weights[fresh])
    stay = np.where(fresh, len(old) + np.cumsum(fresh) - 1, origin)
    bias = np.where(origin < 0, np.float32(0), before.router.bias[known])
    return Learned(_gathered(old, coded, stay), bias)
