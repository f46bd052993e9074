"""The index of a collection's points: roots, cells and calibrated rules, kept as a part without documents.

It covers the points of the parts that there were when it was made. Parts that came later are scanned to the end;
points of removed sources are passed over. Codes say which rows matter, and these are scored on the parts' own
rows, so that a score is the same with and without the index.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from thesphere.errors import FormatError, SphereError
from thesphere.navigate.navigator import Navigator
from thesphere.roots import Roots, RootsConfig
from thesphere.roots.calibrate import Calibration, Source, among, serving, source_of
from thesphere.roots.cells import Cells
from thesphere.roots.folder import asked_of, named, rules_of
from thesphere.roots.index import kept_queries
from thesphere.roots.quality import Quality
from thesphere.roots.saved import from_arrays
from thesphere.roots.search import ceilings_of, coded_reaches
from thesphere.roots.stop import EVERYTHING, Stop
from thesphere.scan import Metric, Part, all_exact, code_bounds
from thesphere.scan.block import Queries
from thesphere.sphere.view import View, float_rows
from thesphere.store import map_tensors, write_tensors
from thesphere.store.part import checksum

FILE = "roots.safetensors"
FORMAT = "thesphere.collection.roots"
VERSION = 1  # queries, and what they are of, may be there or not


def write_roots(
    folder: Path,
    view: View,
    metric: Metric,
    *,
    partitions: int | None = None,
    method: str = "kmeans",
    substring: float | None = None,
    key: int | None = None,
    queries: np.ndarray | None = None,
    fit: str = "",
) -> Roots:
    """Divide the points of all parts and write the index as a file of a new part; all rows are in memory once.

    Args:
        folder: of the new part.
        view: with vectors.
        metric: "cosine" or "ip".
        partitions: cells; 4 sqrt(points) unless given.
        method: a name out of `thesphere.roots.partition.METHODS`.
        substring: weight of shared substrings in what keeps points together (methods "potts" and "ising").
        key: seed of all that is drawn.
        queries: float32 [Q, D] to calibrate on; some of them stay in the file.
        fit: the part that holds the encoder's fitted state, which the queries are of.
    """
    rows = np.concatenate([float_rows(part, slice(None)).astype(np.float32) for part in view.vectors or []])
    prominence = np.concatenate([np.asarray(part.prominence, np.float64) for part in view.parts])
    config = RootsConfig(partitions=partitions, method=method, substring=substring, flat_below=1)
    text = None
    if substring is not None:
        text = [text.encode() for text in view.texts(1 << 12, removed=True)]
    roots = Roots.build(
        rows, metric, config=config, key=key, prominence=prominence, text=text, queries=queries
    )
    kept = None if queries is None else kept_queries(queries, len(rows), metric)
    covered = [[part.folder.name, len(part.point_window)] for part in view.parts]
    about = {"format": FORMAT, "version": str(VERSION), "metric": metric, "parts": json.dumps(covered)}
    about["fit"] = fit
    options = {"partitions": partitions, "method": method, "substring": substring, "key": key}
    about["options"] = json.dumps({name: value for name, value in options.items() if value is not None})
    about["quality"] = json.dumps(asdict(roots.quality(_sources(view))))
    write_tensors(folder / FILE, named(None, roots.cells, roots.calibrations, kept), about)
    return roots


def load_roots(folder: Path, view: View) -> "PointIndex | None":
    """The kept index; None where none of the parts that it covers is left.

    Raises:
        FormatError: the file is missing, or not what `write_roots` writes.
    """
    path = folder / FILE
    with _told_of(path):
        arrays, about = _committed(path, view)
        covered = [(str(name), int(points)) for name, points in json.loads(about["parts"])]
        metric: Metric = "ip" if about["metric"] == "ip" else "cosine"
        if (about["format"], about["version"], about["metric"]) != (FORMAT, str(VERSION), metric):
            raise ValueError(f"format, version {about['version']!r} or metric {about['metric']!r}")
        cells = from_arrays(arrays, metric, str(path))
        rules = tuple(rules_of(arrays, str(path)))
        quality = _quality(about.get("quality"))
    if view.vectors is None:
        return None
    known = {part.folder.name: number for number, part in enumerate(view.parts)}
    positions, numbers = [], []
    for name, points in covered:
        number = known.get(name, -1)
        if number >= 0 and len(view.parts[number].point_window) == points:
            numbers.append(number)
            positions.append(np.arange(view.point_offsets[number], view.point_offsets[number + 1]))
        else:  # its sources were removed, or written anew
            positions.append(np.full(max(0, points), -1))
    places = np.concatenate(positions) if positions else np.zeros(0, np.int64)
    if not numbers or len(places) != cells.count:
        return None
    return PointIndex(view, cells, rules, metric, places, numbers, quality)


def _sources(view: View) -> np.ndarray:
    """int64 [N]: the source of each point of all parts."""
    firsts = np.cumsum([0, *(part.documents for part in view.parts)])
    places = zip(firsts[:-1], view.parts, strict=True)
    return np.concatenate([first + part.window_document[part.point_window] for first, part in places])


def _quality(told: str | None) -> Quality | None:
    """What a file tells of its cells; older ones tell nothing."""
    if told is None:
        return None
    known = json.loads(told)
    cut, balance, purity = (float(known[name]) for name in ("cut", "balance", "purity"))
    return Quality(cut, int(known["sample"]), balance, purity)


def load_options(folder: Path, view: View, fit: str) -> dict[str, Any]:
    """How the kept index was divided, as `write_roots` takes it, as far as its file tells: indexes of earlier
    versions do not. With it `queries`, float32 [Q, D], those given that stayed; none of another fit of the
    encoder than `fit`.

    Raises:
        FormatError: as `load_roots`.
    """
    path = folder / FILE
    with _told_of(path):
        arrays, about = _committed(path, view)
        kinds = {"partitions": int, "method": str, "substring": float, "key": int}
        told = {name: kinds[name](value) for name, value in json.loads(about.get("options", "{}")).items()}
        asked = asked_of(arrays, view.vectors[0].codes.width, str(path)) if view.vectors else None
        return told if asked is None or about["fit"] != fit else told | {"queries": np.array(asked)}


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SphereError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{path} is missing or damaged ({error}); run `thesphere roots` again") from error


def _committed(path: Path, view: View) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """What the file holds; bounds are only as true as it is: all of it is read."""
    committed = next((part.files for part in view.snapshot.parts if part.folder == path.parent), {})
    if checksum(path) != committed.get(FILE):
        raise ValueError("its checksum is not the one that was committed")
    return map_tensors(path)


@dataclass(frozen=True)
class Gathered:
    """Rows of several parts under one numbering, read as they are asked for."""

    parts: Sequence[Part]
    positions: np.ndarray
    shape: tuple[int, int]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """float32 [M, D]."""
        out = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        at = self.positions[rows]
        for part in self.parts:
            mine = (at >= part.offset) & (at < part.offset + len(part))
            if mine.any():
                out[mine] = float_rows(part, at[mine] - part.offset)
        return out


class PointIndex:
    """Cells over points, as `thesphere.navigate` takes them; an id is a row of the index.

    Attributes:
        cells: of the covered points.
        metric: that the cells, and their rules, are for.
        rules: by k.
        positions: int64 [N], the number of each row among the points of all parts, -1 where its part is gone.
        numbers: of the parts that are covered.
        quality: how well the cells divided the points when they were made, purity by source; None where the file
            does not tell.
    """

    def __init__(
        self,
        view: View,
        cells: Cells,
        rules: tuple[Calibration, ...],
        metric: Metric,
        positions: np.ndarray,
        numbers: list[int],
        quality: Quality | None = None,
    ) -> None:
        """See the class; `view` is the generation, or what a filter leaves of it."""
        self.cells = cells
        self.metric: Metric = metric
        self.rules = rules
        self.view = view
        self.positions = positions
        self.numbers = frozenset(numbers)
        self.quality = quality

    def over(self, view: View) -> "PointIndex":
        """The same cells, where the live points of another view of this generation can be found."""
        index = copy(self)
        index.view = view
        for name in ("later", "live", "share", "navigator"):  # these follow from it
            index.__dict__.pop(name, None)
        return index

    def __str__(self) -> str:
        later = sum(map(len, self.later))
        told = f"{len(self.cells.roots)} roots, {len(self.cells)} cells over {int(self.live.sum())} points"
        told += f", {self.metric}" + (f", {later} points later" if later else "")
        return f"{told}, calibrated on {source_of(self.rules, 1)}"

    @cached_property
    def later(self) -> list[Part]:
        """The parts that are not covered."""
        return [part for number, part in enumerate(self.view.vectors or []) if number not in self.numbers]

    @cached_property
    def navigator(self) -> Navigator:
        """Opens cones over it."""
        return Navigator(self)

    @property
    def whole(self) -> int:
        """Bytes of all cells: a budget that leaves nothing out."""
        return len(self.cells.codes) * self.row_bytes

    @property
    def routing(self) -> int:
        """Bytes that choosing cells reads: the router's codes, and the roots' means."""
        return self.cells.route_bytes + self.cells.roots.centroid.nbytes

    @property
    def vectors(self) -> Gathered:
        """Its rows as float32, by row."""
        return Gathered(
            self.view.vectors or [], self.positions, (len(self.positions), self.cells.codes.width)
        )

    @property
    def ids(self) -> np.ndarray:
        """int64 [N]: the rows themselves."""
        return np.arange(len(self.positions))

    @property
    def row_bytes(self) -> int:
        """Bytes that are read per row of a cell."""
        return self.cells.codes.row_bytes

    @cached_property
    def live(self) -> np.ndarray:
        """bool [N]: rows of documents that were not removed."""
        return (self.positions >= 0) & self.view.points_live[self.positions]

    @cached_property
    def share(self) -> float:
        """How much of the rows a filter leaves, 0 to 1."""
        live = self.view.whole.points_live[self.positions[self.positions >= 0]]
        return int(self.live.sum()) / max(1, int(live.sum())) if self.view.filter else 1.0

    @cached_property
    def homes(self) -> np.ndarray:
        """int32 [all points]: the cell of each point, -1 where it is not covered."""
        homes = np.full(int(self.view.point_offsets[-1]), -1, dtype=np.int32)
        points = self.positions[self.cells.rows]
        homes[points[points >= 0]] = self.cells.labels[points >= 0]
        return homes

    @cached_property
    def _reaches(self) -> np.ndarray:
        cells = self.cells
        return coded_reaches(cells.reaches, cells.router)

    def _asked(self, query: np.ndarray) -> Queries:
        return Queries.of_width(self.cells.codes.width, query, self.metric)

    def cell_scores(self, query: np.ndarray) -> np.ndarray:
        """Routing scores, float32 [K], in units of score / |q|."""
        return self.cells.router.scores(self._asked(query))[0]

    def cell_ceilings(self, query: np.ndarray) -> np.ndarray:
        """float64 [K]: no row of a cell scores more."""
        cells = self.cells
        return ceilings_of(self._asked(query), cells.router, cells.norms, self._reaches)[0]

    def stop(self, recall: float, k: int) -> Stop:
        """The calibrated rule for a mean recall of the first k, to be asked with `kept` rows (see `among`)."""
        calibration = serving(self.rules, among(k, self.share))
        return calibration.stop(recall) if calibration and recall < 1 else EVERYTHING

    def calibrated_on(self, k: int) -> Source:
        """What the rules for the first k were calibrated on."""
        return source_of(self.rules, among(k, self.share))

    def kept(self, k: int) -> int:
        """How many rows to look for, so that the rule for the first k holds: as many as a filter leaves, on
        average, of those that it was calibrated for."""
        calibration = serving(self.rules, among(k, self.share))
        return k if calibration is None or self.share == 1 else max(k, int(calibration.k * self.share))

    def scan_cells(
        self, query: np.ndarray, cells: np.ndarray, k: int, budget_bytes: int
    ) -> tuple[np.ndarray, np.ndarray, int, int]:
        """The k best live rows of some cells, read in the order given until the bytes are spent, the last cell as
        far as they go: (distinct ids, their float64 scores, rows read, bytes read)."""
        read = self.cells.first_slots(cells, int(budget_bytes) // self.row_bytes)
        rows, first = np.unique(self.cells.rows[read], return_index=True)
        alive = self.live[rows]
        rows, first = rows[alive], read[first[alive]]
        points = self.positions[rows]
        if len(rows) > k > 0:
            low, high = code_bounds(self.cells.codes.some(first), query, self.metric)
            kth = np.partition(low, len(low) - k)[len(low) - k]
            # the codes are those of rows rounded to float32
            near = high >= kth - 1e-6 * np.abs(low).max()
            rows, points = rows[near], points[near]
        scores = all_exact(self.view.vectors or [], query, points, self.metric)
        best = np.lexsort((rows, -scores))[:k]
        return rows[best], scores[best], len(read), len(read) * self.row_bytes

    def within(self, query: np.ndarray, score: float) -> tuple[np.ndarray, int, int]:
        """Points among which all live ones are that score at least `score`: (their numbers, how many cells were
        opened, rows bounded, those that are not covered included)."""
        codes, length = self.cells.codes, float(np.linalg.norm(query.astype(np.float64)))
        # the cells are of rows rounded to float32
        rounding = 1e-6 * (length * self.cells.norms.astype(np.float64) if self.metric == "ip" else 1.0)
        cells = np.flatnonzero(self.cell_ceilings(query) + rounding >= score)
        slots = self.cells.first_slots(cells, len(codes))
        rows, first = np.unique(self.cells.rows[slots], return_index=True)
        alive = self.live[rows]
        points, some = self.positions[rows[alive]], codes.some(slots[first[alive]])
        high = code_bounds(some, query, self.metric)[1]
        near = high + 1e-6 * (length * some.norms if self.metric == "ip" else 1.0) >= score
        found, bounded = [points[near]], len(slots)
        for part in self.later:
            high = code_bounds(part.codes, query, self.metric)[1]
            own = (high >= score) & (True if part.live is None else part.live)
            found.append(part.offset + np.flatnonzero(own))
            bounded += len(part)
        return np.concatenate(found), len(cells), bounded
