"""Roots: an index over vectors, flat and proved while it is small, divided into cells when it is large.

Flat (see `thesphere.scan`): bounds from int8 codes leave a few rows undecided, which are scored in float64.
Cells (see `thesphere.roots.search`): a router orders them, a query opens them until a calibrated rule says that
it has found what it was asked for; or all that cannot be proved useless, then its answer is exact.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from thesphere.errors import InputError
from thesphere.roots import folder
from thesphere.roots.answer import (
    Rule,
    all_within,
    from_all_cells,
    from_cells,
    from_nothing,
    from_result,
    from_rows,
    from_some_cells,
)
from thesphere.roots.calibrate import (
    KS,
    Calibration,
    Source,
    among,
    calibrate,
    calibration_queries,
    serving,
    source_of,
)
from thesphere.roots.cells import Cells, build_cells, deciding
from thesphere.roots.change import add_rows, drop_rows, refit, renumber
from thesphere.roots.config import RootsConfig
from thesphere.roots.content import Content
from thesphere.roots.found import Found
from thesphere.roots.proof import verify
from thesphere.roots.quality import Quality, quality_of
from thesphere.roots.responses import density
from thesphere.roots.routing.questions import ENOUGH, held_back
from thesphere.roots.search import ceilings_of
from thesphere.roots.stop import EVERYTHING, Stop
from thesphere.roots.trace import trace_of
from thesphere.scan import Codes, Metric, encode
from thesphere.scan.block import Queries
from thesphere.scan.rows import as_rows

if TYPE_CHECKING:
    from thesphere.roots.device import DeviceRows

RECALL = 0.95  # what cells answer with when nothing is asked for
CALIBRATED_ON = 2000  # queries that are made up when none are given
MOST_ASKED = 4000  # queries given that it is calibrated on, evenly out of more
KEPT_ASKED = 500  # of them that stay with the index, or a hundredth of its rows, for when rows come and go
STALE = 0.2  # share of the rows that came or went since the calibration, from which it is made again
SPARSE = 0.05  # share of the rows up to which a filter's rows are scored without the cells


class Roots:
    """An index over vectors; made by `build` or `load`.

    Attributes:
        config: how it is divided.
        calibrations: by k, the rules by which its searches stop; none where it is flat.
    """

    def __init__(
        self,
        content: Content,
        config: RootsConfig,
        calibrations: Sequence[Calibration] = (),
        asked: np.ndarray | None = None,
        key: int | None = None,
    ) -> None:
        """Use `build` or `load`."""
        self._content = content
        self.config = config
        self.calibrations = tuple(calibrations)
        self._asked_of = asked  # what it was calibrated on, if that was given
        self._device: tuple[Content, Any, DeviceRows] | None = None
        self._changed = 0  # rows that came or went since
        self._key = key

    @classmethod
    def build(
        cls,
        vectors: Any,
        metric: Metric = "ip",
        *,
        ids: Any = None,
        config: RootsConfig | None = None,
        key: int | None = None,
        threads: int | None = None,
        queries: Any = None,
        text: Any = None,
        roles: np.ndarray | None = None,
        prominence: np.ndarray | None = None,
    ) -> "Roots":
        """Index vectors as they are: magnitudes count with "ip" and cancel with "cosine".

        Args:
            vectors: numbers [N, D], N may be 0; used as float32. A C-contiguous float32 array is not copied
                and must not be changed afterwards.
            metric: "ip" (inner product) or "cosine" (0 for a zero vector).
            ids: distinct integers [N] >= 0 to answer with; 0 .. N - 1 when left out.
            config: from how many rows on there are cells, and which.
            key: seed of everything that is drawn (None: 0); same key, same index.
            threads: workers; all cores unless given. The index does not depend on it.
            queries: numbers [Q, D] like those that will be asked, some hundreds or more: the router and the
                calibration learn from them. Without them rows stand in, and the rules are stricter.
            text: N bytes objects, or (uint8 bytes, offsets [N + 1]): for the roots' sketches.
            roles: [N] of 0, 1, 2 (see `thesphere.geometry.zones`): no cell holds rows of two.
            prominence: numbers [N] in place of the norms, for the roots' statistics.

        Raises InputError for other shapes, NaN or infinity (by row), repeated or negative ids, other metrics.
        """
        if metric not in ("ip", "cosine"):
            raise InputError(f"metric is {metric!r}, expected 'ip' or 'cosine'")
        config = RootsConfig() if config is None else config
        rows = as_rows(vectors)
        names = np.arange(len(rows)) if ids is None else _names(ids, len(rows))
        if not folder.ascending(names):
            order = np.argsort(names, kind="stable")
            names, rows = names[order], rows[order]
            if not folder.ascending(names):
                twice = names[1:][np.diff(names) == 0][0]
                raise InputError(f"ids: {twice} is given twice; each row needs its own")
            roles, prominence = (
                None if each is None else np.asarray(each)[order] for each in (roles, prominence)
            )
            text = _reordered(text, order)
        asked = None if queries is None else as_rows(queries, "queries", rows.shape[1])
        if asked is not None and not len(asked):
            raise InputError("queries has no rows; leave it out, or give a thousand like those to be asked")
        if len(rows) < config.flat_below:
            flat = Content(rows, names, metric, encode(rows), None)
            return cls(flat, config, asked=asked, key=key)
        if config.density is None and asked is not None and len(deciding(asked, metric, config)):
            config = replace(config, density=density(rows.shape[1]))
        described = {"text": text, "roles": roles, "prominence": prominence, "queries": asked}
        cells = build_cells(rows, metric, config, key=key, threads=threads, **described)
        if not config.members:
            return cls(Content.without_rows(cells.without_members(), metric), config, key=key)
        roots = cls(Content(rows, names, metric, None, cells), config, key=key)
        roots._calibrate_for(asked, threads)
        return roots

    def __len__(self) -> int:
        return len(self._content)

    @property
    def vectors(self) -> np.ndarray:
        """float32 [N, D], in the order of ids; none where member lists are not kept."""
        return self._content.vectors

    @property
    def ids(self) -> np.ndarray:
        """int64 [N], ascending; likewise."""
        return self._content.ids

    @property
    def metric(self) -> Metric:
        """ "ip" or "cosine"."""
        return self._content.metric

    @property
    def codes(self) -> Codes:
        """The int8 rows, in the order of ids (gathered if they lie in cells)."""
        return self._content.coded(slice(None))

    @property
    def cells(self) -> Cells | None:
        """The cells, or None where the index is flat."""
        return self._content.cells

    @property
    def width(self) -> int:
        """D, the width of the vectors."""
        return self.vectors.shape[1]

    @property
    def row_bytes(self) -> int:
        """Bytes that a scan reads per row."""
        return self._content.row_bytes

    @property
    def nbytes(self) -> int:
        """Bytes of the index beside vectors and ids."""
        content = self._content
        arrays = folder.named(content.flat, content.cells, self.calibrations, self._asked_of)
        return sum(array.nbytes for array in arrays.values())

    def search(
        self,
        queries: Any,
        k: int = 10,
        *,
        recall: float | None = None,
        exact: bool | None = None,
        budget: int | None = None,
        filter: Any = None,
        threads: int = 1,
        device: Any = None,
    ) -> Found:
        """The k best rows for each query.

        A flat index proves every answer. With cells, the mean recall that is asked for decides how far a query
        goes (0.95 unless told); how far it was calibrated is in `calibrations`. Beyond the largest k that was
        calibrated, 100, answers are exact.

        Args:
            queries: numbers [Q, D], or [D] for one; used as float32.
            k: how many, 0 or more.
            recall: 0 to 1, the mean share of the true k best rows; 1 is exact.
            exact: True asks for proved answers.
            budget: bytes to read per query at most, for choosing cells and of coded rows; what does not cover
                the former reads nothing. Float rows that survivors are scored on come on top, and their number
                is told. Alone it is spent; with `recall`, whatever ends first. Answers that it cut short are
                "partial" unless bounds prove them.
            filter: bool [N] in the order of ids, or integer ids: the rows that may be found. Few of them are
                scored without the cells, exactly.
            threads: workers over blocks of queries; the answer does not depend on it.
            device: True, or JAX devices: all rows are scanned there, with the host's exact answers (extra "jax"),
                whatever recall is asked for: cells would spare a device nothing (see `thesphere.roots.device`).

        Raises InputError for another width, NaN or infinity, numbers out of range, exact with recall or budget.
        """
        begun = perf_counter()
        content = self._content
        if exact and (budget is not None or recall is not None):
            raise InputError("exact excludes recall and budget; leave them out")
        if budget is not None and _whole(budget, "budget") < 0:
            raise InputError(f"budget is {budget} bytes, expected 0 or more")
        if recall is not None and not 0 <= recall <= 1:
            raise InputError(f"recall is {recall}, expected 0 to 1")
        rows = as_rows(queries, "queries", content.width, one=True)
        k, threads = _whole(k, "k"), _whole(threads, "threads")
        if k < 0 or threads < 1:
            raise InputError(f"k is {k} and threads {threads}; expected k >= 0 and threads >= 1")
        content.check_members()
        live = None if filter is None else _live(filter, content.ids)
        if device is not None and device is not False:
            if budget is not None:
                raise InputError("a device scans all rows; leave out the budget")
            rows_there = self._on_device(content, None if device is True else device)
            result = rows_there.search(rows, k, live=live, threads=threads)
            read = f"all rows, on {len(rows_there.devices)} of JAX's devices"
            return from_result(content, result, np.zeros(len(rows)), begun, read=read, recall=recall)
        few = live is not None and np.count_nonzero(live) <= SPARSE * len(content)
        if content.cells is None or few:
            chosen = None if live is None else np.flatnonzero(live)
            return from_rows(content, rows, k, chosen, budget, recall, threads, begun)
        if not k or (budget is not None and budget < content.large.route_bytes):
            return from_nothing(content, len(rows), k, budget, recall, begun)
        kept = min(k, len(content))
        rule = Rule(EVERYTHING, kept)
        if not exact and (budget is None or recall is not None):
            recall = RECALL if recall is None else recall
            share = 1.0 if live is None else np.count_nonzero(live) / len(content)
            rule = self._rule(recall, kept, len(content), share)
        if rule.stop is EVERYTHING and budget is None:
            return from_all_cells(content, rows, k, live, recall, threads, begun)
        return from_cells(content, rows, k, rule, budget, live, recall, threads, begun)

    def _rule(self, recall: float, k: int, count: int, share: float = 1.0) -> Rule:
        """The rule for a recall, asked for as many of `count` rows as it was calibrated for, or for that share of
        them, where a filter leaves no more (see `among`)."""
        calibration = serving(self.calibrations, among(k, share))
        if calibration is None or recall >= 1:
            return Rule(EVERYTHING, k)
        stop = calibration.stop(recall)
        return Rule(
            stop,
            k if stop is EVERYTHING else min(max(k, int(calibration.k * share)), count),
            calibration.source,
        )

    def within(
        self, queries: Any, score: float, *, filter: Any = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """All rows that score at least `score`, exactly: for each query (ids int64, scores float64), the best
        first, equal ones by id.

        Args:
            queries: numbers [Q, D], or [D] for one.
            score: the least inner product or cosine.
            filter: as in `search`.

        Raises InputError for another width, NaN or infinity.
        """
        if not np.isfinite(score):
            raise InputError(f"score is {score}, expected a finite number")
        content = self._content
        content.check_members()
        rows = as_rows(queries, "queries", content.width, one=True)
        live = None if filter is None else _live(filter, content.ids)
        return all_within(content, rows, float(score), live)

    def calibrate(self, queries: Any = None, *, threads: int | None = None) -> "Roots":
        """Choose the stopping rules on queries like those that will be asked; nothing to do where it is flat.

        Args:
            queries: numbers [Q, D], not rows of the index; a thousand or more, so that a mean recall of 0.99 can
                be told from 0.98. Without them rows stand in that do not find themselves, and rows that were
                moved, with stricter rules.
            threads: workers; all cores unless given.
        """
        content = self._content
        content.check_members()
        if content.cells is None:
            return self
        if queries is None:
            made, own = calibration_queries(content.vectors, self.metric, CALIBRATED_ON, self._key)
        else:
            made, own = as_rows(queries, "queries", content.width), None
            if not len(made):
                raise InputError("there are no queries to calibrate on; leave them out, or give a thousand")
            made = np.ascontiguousarray(made[:: -(-len(made) // MOST_ASKED)])
        source = "points" if queries is None else "queries"
        self.calibrations = tuple(
            calibrate(trace_of(content.index, made, k, own, threads=threads), k, source=source)
            for k in KS
            if k < len(content)
        )
        self._asked_of = None if queries is None else kept_queries(made, len(content), self.metric)
        self._changed = 0
        return self

    def _calibrate_for(self, asked: np.ndarray | None, threads: int | None) -> None:
        """Calibrate on those of the given queries that a router did not learn from, and keep some of both."""
        unlearned = asked if asked is None or self.metric == "cosine" else held_back(asked)
        self.calibrate(unlearned, threads=threads)
        self._asked_of = None if asked is None else kept_queries(asked, len(self), self.metric)

    def _recalibrate(self, changed: int, threads: int | None) -> None:
        """Learn and calibrate again when so many rows came or went that router and rules may be off."""
        self._changed += changed
        now = self._content
        if now.cells is not None and self._changed > STALE * len(now):
            asked, how = self._asked_of, {"key": self._key, "threads": threads}
            cells = refit(now.cells, now.vectors, self.metric, queries=asked, **how)
            self._content = replace(now, cells=cells)
            self._calibrate_for(asked, threads)

    def add(
        self, vectors: Any, ids: Any = None, *, threads: int | None = None, **described: Any
    ) -> np.ndarray:
        """Add rows without building again: they join the nearest cells, and cells that grow too large are split.

        Each call copies the arrays of the index once, so add many rows at a time, and from one thread: searches
        may go on meanwhile, other changes may not. When a fifth of the rows has changed, a learned router is
        learned and the rules are calibrated again.

        Args:
            vectors: numbers [n, D].
            ids: distinct integers [n] that the index does not have; the next free ones when left out.
            threads: workers; all cores unless given.
            **described: with cells `roles` of the new rows, `prominence` and `text` of all (see `build`); while
                the index is flat they are of all rows.

        Returns their ids, int64 [n]. Raises InputError as `build`.
        """
        old = self._content
        old.check_members()
        rows = as_rows(vectors, "vectors", self.width)
        first = int(self.ids[-1]) + 1 if len(self) else 0
        names = np.arange(first, first + len(rows)) if ids is None else _names(ids, len(rows))
        together = np.concatenate([self.ids, names])
        order = np.argsort(together, kind="stable")
        if not folder.ascending(together[order]):
            twice = together[order][1:][np.diff(together[order]) == 0][0]
            raise InputError(f"ids: {twice} is in the index already, or given twice")
        everything = np.concatenate([old.vectors, rows])
        if old.cells is None:
            asked, settings = self._asked_of, {"config": self.config, "key": self._key, "threads": threads}
            built = Roots.build(everything, self.metric, ids=together, queries=asked, **settings, **described)
            self._content, self.calibrations = built._content, built.calibrations
            self._asked_of, self._changed = built._asked_of, 0
            return names
        cells = add_rows(
            old.cells,
            old.vectors,
            rows,
            self.metric,
            self.config,
            key=self._key,
            threads=threads,
            **described,
        )
        if not folder.ascending(together):
            places = np.empty(len(order), dtype=np.int64)
            places[order] = np.arange(len(order))
            cells, everything, together = renumber(cells, places), everything[order], together[order]
        self._content = Content(everything, together, self.metric, None, cells)
        self._recalibrate(len(rows), threads)
        return names

    def remove(self, ids: Any, *, threads: int | None = None) -> int:
        """Remove rows without building again: cells that shrink too far join others. Returns how many there were;
        ids that the index does not have count nothing.

        Raises InputError when ids are no integers.
        """
        old = self._content
        old.check_members()
        names = np.asarray(ids).reshape(-1)
        if len(names) and names.dtype.kind not in "iu":
            raise InputError(f"ids: expected integers, got {names.dtype}")
        live = ~np.isin(self.ids, names)
        gone = len(live) - int(live.sum())
        if not gone:
            return 0
        kept, left = old.vectors[live], old.ids[live]
        if old.cells is None or not len(left):
            self._content, self.calibrations = Content(kept, left, self.metric, encode(kept), None), ()
        else:
            cells = drop_rows(
                old.cells, old.vectors, live, self.metric, self.config, key=self._key, threads=threads
            )
            self._content = Content(kept, left, self.metric, None, cells)
            self._recalibrate(gone, threads)
        return gone

    def route(self, query: Any) -> int:
        """The root that a query excites most. Raises InputError where the index is flat."""
        return int(np.argmax(self.activate(query)))

    def activate(self, query: Any) -> np.ndarray:
        """float64 [K0]: the cosine of a query with each root's mean direction, 0 for a zero vector.

        Raises InputError where the index is flat.
        """
        query = self._one(query).astype(np.float64)
        centroid = self._content.large.roots.centroid.astype(np.float64)
        norms = np.linalg.norm(centroid, axis=1) * np.linalg.norm(query)
        return np.divide(centroid @ query, norms, out=np.zeros(len(centroid)), where=norms > 0)

    def cell_scores(self, query: Any) -> np.ndarray:
        """float32 [K]: what the router promises of each cell, in units of score / |query|."""
        return self._content.large.router.scores(self._asked(query))[0]

    def cell_ceilings(self, query: Any) -> np.ndarray:
        """float64 [K]: no row of a cell scores more."""
        asked, index = self._asked(query), self._content.index
        return ceilings_of(asked, index.router, index.norms, index.reaches)[0]

    def stop(self, recall: float, k: int) -> Stop:
        """The calibrated rule for a mean recall of the first k; `EVERYTHING` where none is strict enough."""
        return self._rule(recall, max(1, k), len(self)).stop

    def calibrated_on(self, k: int) -> Source:
        """What the rules for the first k were calibrated on."""
        return source_of(self.calibrations, k)

    def quality(self, classes: Any = None) -> Quality:
        """How well the cells divide the rows: what they cut apart (found on a sample), how even they are, and,
        with classes [N] of the rows in the order of ids, how pure. All rows are read.

        Raises InputError where the index is flat, or for another number of classes.
        """
        content = self._content
        content.check_members()
        return quality_of(content.large, content.vectors, classes, key=self._key)

    def scan_cells(
        self, query: Any, cells: np.ndarray, k: int, budget_bytes: int
    ) -> tuple[np.ndarray, np.ndarray, int, int]:
        """The k best rows of some cells, read in the order given until the bytes are spent, the last cell as far
        as they go: (distinct ids [<= k], their float64 scores, rows read, bytes read)."""
        return from_some_cells(self._content, self._one(query), cells, k, budget_bytes)

    def verify(self, found: Found, queries: Any, *, filter: Any = None) -> None:
        """Prove an answer again by scoring every row in float64, without the codes.

        An "exact" row must be the full enumeration's first k; others must hold true scores in order, and nothing
        left out may beat the k-th score by more than the gap.

        Raises VerifyError that names the query and what differs.
        """
        rows = as_rows(queries, "queries", self.width, one=True)
        content = self._content
        content.check_members()
        live = None if filter is None else _live(filter, content.ids)
        verify(found, rows, content.vectors, content.ids, self.metric, live)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index into a folder (made if missing), whole or not at all; its vectors too, unless member
        lists are not kept.

        Raises SphereError when the folder cannot be made or the disk is full, read-only or failing.
        """
        content = self._content
        arrays = folder.named(content.flat, content.cells, self.calibrations, self._asked_of)
        if content.cells is None or content.cells.members:
            arrays |= {"vectors": content.vectors, "ids": content.ids}
        folder.write(Path(path), arrays, self.metric, self.config, self._key, self._changed)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, check: bool = True) -> "Roots":
        """Map a saved index into memory.

        Args:
            path: the folder that `save` wrote into.
            check: read everything once, compare the checksum and code the vectors again, so that no damaged
                or made-up file can give a false proof. False maps it in milliseconds, for files that nobody else
                writes; every number that a scan relies on to stay inside its arrays is checked all the same.

        Raises NotFoundError, FormatError (foreign, truncated or damaged), SchemaError (from a newer version).
        """
        read = folder.read(Path(path), check=check)
        content = Content(read.vectors, read.ids, read.metric, read.codes, read.cells)
        roots = cls(content, read.config, read.calibrations, read.asked, read.key)
        roots._changed = read.changed
        return roots

    def _one(self, query: Any) -> np.ndarray:
        rows = as_rows(query, "query", self.width, one=True)
        if len(rows) != 1 or not np.isfinite(rows).all():
            raise InputError("expected one vector [D] of finite numbers")
        return rows[0]

    def _asked(self, query: Any) -> Queries:
        return self._content.asked(self._one(query)[None])

    def _on_device(self, content: Content, devices: Any) -> "DeviceRows":
        """The rows on the devices, brought there at the first search."""
        from thesphere.roots.device import DeviceRows  # JAX

        known = self._device  # another thread may put its own there
        if known is None or known[:2] != (content, devices):
            there = DeviceRows(content.coded(slice(None)), content.vectors, content.metric, devices=devices)
            known = content, devices, there
            self._device = known
        return known[2]


def kept_queries(queries: np.ndarray, rows: int, metric: Metric) -> np.ndarray:
    """Those of the queries [Q, D] that stay with an index of so many rows, evenly spread. For inner products
    enough for a router, if there are: by twos, so that those that it did not learn from are held back again."""
    wanted = max(KEPT_ASKED, rows // 100)
    if metric == "cosine" or len(queries) < ENOUGH:
        return queries[:: -(-len(queries) // wanted)]
    pairs = queries[: len(queries) // 2 * 2].reshape(-1, 2, queries.shape[1])
    return pairs[:: max(1, 2 * len(pairs) // max(wanted, ENOUGH))].reshape(-1, queries.shape[1])


def _names(ids: Any, count: int) -> np.ndarray:
    names = np.asarray(ids)
    if names.shape != (count,) or (names.dtype.kind not in "iu" and count):
        raise InputError(f"ids: expected {count} integers, got {names.dtype} {list(names.shape)}")
    names = names.astype(np.int64)
    if (names < 0).any():
        raise InputError(f"ids: {names.min()} is negative (or beyond 63 bits); -1 stands for 'no row'")
    return names


def _live(filter: Any, ids: np.ndarray) -> np.ndarray:
    """bool [N]: the rows that a filter lets through."""
    given = np.asarray(filter)
    if given.dtype == np.bool_ and given.shape == ids.shape:
        return given
    if given.ndim == 1 and (given.dtype.kind in "iu" or not len(given)):
        return np.isin(ids, given)
    raise InputError(f"filter is {given.dtype} {list(given.shape)}; give bool [{len(ids)}] or a list of ids")


def _whole(number: Any, what: str) -> int:
    try:
        return number.__index__()
    except AttributeError:
        raise InputError(f"{what} is {number!r}, expected a whole number") from None


def _reordered(text: Any, order: np.ndarray) -> Any:
    if text is None:
        return None
    if isinstance(text, tuple):
        data, offsets = text
        return [bytes(data[offsets[i] : offsets[i + 1]]) for i in order]
    return [text[i] for i in order]
