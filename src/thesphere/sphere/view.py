"""One generation of a collection, opened for reading: all its parts as one."""

import hashlib
import os
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from functools import cached_property, lru_cache

import numpy as np

from thesphere.errors import FormatError
from thesphere.lexical.score import Lexical, LexicalScores
from thesphere.readers import analysis_text, path_of
from thesphere.roots.index import SPARSE
from thesphere.scan import Codes, Part
from thesphere.sphere.filter import Filter, Labels
from thesphere.sphere.part import PartReader
from thesphere.sphere.record import Identity, Record
from thesphere.store import Snapshot
from thesphere.types import Points

SAMPLE = 1000  # points that stand for all


class View:
    """The parts of a snapshot. Windows and points are numbered through all parts.

    Attributes:
        filter: whose documents alone are live; all are, unless `only` made it.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.filter = Filter()
        self._whole: View | None = None
        self.generation = snapshot.generation
        holding = [part for part in snapshot.parts if part.sources]  # an encoder's part has no documents
        self.parts = [PartReader(part.folder, part.dead) for part in holding]
        self.by_id = {part.id: reader for part, reader in zip(holding, self.parts, strict=True)}
        self.window_offsets = np.cumsum([0, *(part.windows for part in self.parts)])
        self.point_offsets = np.cumsum([0, *(len(part.point_window) for part in self.parts)])

    @property
    def whole(self) -> "View":
        """The generation without a filter."""
        return self._whole or self

    def only(self, wanted: Filter) -> "View":
        """The same generation, where a filter's documents alone can be found. What all documents decide together
        is as it was: the statistics of words, the sample of points, their numbers; so scores do not change.

        Raises:
            InputError: a pattern names no source, or no source has a modality.
        """
        masks = wanted.masks(self.labels)
        view = copy(self)
        view.filter, view._whole = wanted, self
        view.parts = [part.only(mask) for part, mask in zip(self.parts, masks, strict=True)]
        view.by_id = dict(zip(self.by_id, view.parts, strict=True))
        for name in ("points_live", "vectors", "few"):  # these follow from them
            view.__dict__.pop(name, None)
        return view

    @cached_property
    def labels(self) -> list[Labels]:
        """What filters pick documents by, of each part."""
        return [part.labels for part in self.parts]

    @cached_property
    def few(self) -> bool:
        """Whether a filter leaves so few points that scoring each is quicker than any bound or index, and beyond
        what an index's rules were calibrated for."""
        return self._whole is not None and self.live_points <= SPARSE * int(self.point_offsets[-1])

    @property
    def documents(self) -> int:
        """How many are live; one that is larger than a part counts in each of its parts."""
        return sum(p.documents if p.live is None else int(p.live.sum()) for p in self.parts)

    @cached_property
    def stored_bytes(self) -> int:
        """Bytes of the lists, codes and original bytes of all parts."""
        names = ("words.safetensors", "grams.safetensors", "rows.safetensors", "bytes.blocks")
        paths = [part.folder / name for part in self.parts for name in names]
        return sum(path.stat().st_size for path in paths if path.exists())

    @property
    def live_points(self) -> int:
        """How many points there are without those of removed documents."""
        return int(self.points_live.sum())

    @cached_property
    def point_numbers(self) -> np.ndarray:
        """Row of each point in `Sphere.points()`, where removed documents have none; int64 [points]."""
        return np.cumsum(self.points_live) - 1 if self._whole is None else self._whole.point_numbers

    @cached_property
    def points_live(self) -> np.ndarray:
        """bool [points]."""
        live = [
            np.ones(len(p.point_window), bool) if p.point_live is None else p.point_live for p in self.parts
        ]
        return np.concatenate([np.zeros(0, bool), *live])

    @cached_property
    def window_points(self) -> np.ndarray:
        """Points of window w, both numbered through all parts, are [w] to [w + 1]; int64 [windows + 1]."""
        ends = [p.window_point[1:] + at for p, at in zip(self.parts, self.point_offsets, strict=False)]
        return np.concatenate([np.zeros(1, np.int64), *ends])

    @cached_property
    def lexical(self) -> Lexical:
        """The inverted lists of all parts, whatever is filtered."""
        if self._whole is not None:
            return self._whole.lexical
        return Lexical([part.lexical for part in self.parts])

    def evidence(self, scores: LexicalScores) -> np.ndarray:
        """float64 [windows]: the lexical score of each; -inf of those that cannot be found."""
        found = np.concatenate([np.empty(0), *scores.parts])
        if self._whole is not None:
            live = [np.ones(p.windows, bool) if p.window_live is None else p.window_live for p in self.parts]
            found[~np.concatenate([np.zeros(0, bool), *live])] = -np.inf
        return found

    @cached_property
    def vectors(self) -> list[Part] | None:
        """The points' rows, for a scan; None if the collection has no vectors."""
        if self._whole is not None:
            rows = self._whole.vectors
            if rows is None:
                return None
            return [replace(part, live=own.point_live) for part, own in zip(rows, self.parts, strict=True)]
        rows = [part.vectors(int(at)) for part, at in zip(self.parts, self.point_offsets[:-1], strict=True)]
        if not rows or all(part is None for part in rows):
            return None
        if any(part is None for part in rows):
            raise FormatError("some parts of the collection have no vectors: run `thesphere verify`")
        return [part for part in rows if part is not None]

    @cached_property
    def sample(self) -> Part | None:
        """The codes of some live points, without their sizes: what a cosine is compared with.

        Rows of SAMPLE different lengths or so, none of them twice and none of zeros, are chosen and ordered by
        what is in them, however they are spread over parts and whatever is filtered. None without vectors.
        """
        if self._whole is not None:
            return self._whole.sample
        if not self.vectors:
            return None
        live, keys = [], []
        for at, part in zip(self.point_offsets, self.vectors, strict=False):
            codes = part.codes
            live.append(np.flatnonzero(self.points_live[at : at + len(part)] & (codes.lengths > 0)))
            sizes = np.stack([codes.lengths[live[-1]], codes.scales[live[-1]]], axis=1)
            keys.append(_mixed(sizes.view(np.uint64)[:, 0]))
        first = np.unique(np.concatenate(keys))[:SAMPLE]
        last = first[-1] if len(first) else np.uint64(0)
        some = [
            part.codes.codes[mine[key <= last]]
            for part, mine, key in zip(self.vectors, live, keys, strict=True)
        ]
        rows = np.unique(np.concatenate(some), axis=0)
        rows = rows[:: -(-len(rows) // (2 * SAMPLE)) or 1]  # where many are of one length
        ones = np.ones(len(rows), np.float32)
        return Part(
            Codes(rows, ones, np.zeros(len(rows), np.float16), ones, self.vectors[0].codes.width), None
        )

    def number_of(self, folder: str) -> int | None:
        """The number of the part in that folder, None if there is none."""
        return next((part.id for part in self.snapshot.parts if part.folder.name == folder), None)

    def locate_window(self, window: int) -> tuple[PartReader, int]:
        """(part, number of the window in it)."""
        index = int(np.searchsorted(self.window_offsets, window, side="right")) - 1
        return self.parts[index], window - int(self.window_offsets[index])

    def locate_point(self, point: int) -> tuple[PartReader, int]:
        """(part, number of the point in it)."""
        index = int(np.searchsorted(self.point_offsets, point, side="right")) - 1
        return self.parts[index], point - int(self.point_offsets[index])

    def locate_row(self, row: int) -> tuple[PartReader, int]:
        """The same for a point by its row in `points()`, which is what `Hit.point` tells."""
        return self.locate_point(int(np.searchsorted(self.point_numbers, row)))

    def read(
        self, part: PartReader, document: int, start: int, end: int, record: Record | None = None
    ) -> tuple[bytes, bool]:
        """(original bytes [start, end) of a document, whether the file they come from has changed).

        `record` says where its files are, if the document's own does not know it any more.
        """
        if part.outside(document):
            return read_outside(record or part.record(document), start, end)
        return part.read(document, start, end), False

    def passages(self, part: PartReader, document: int) -> Iterator[bytes]:
        """The original bytes of each passage of a document in a part."""
        for window in range(*part.document_window[document : document + 2].tolist()):
            start, end = part.window_span(window)
            data = self.read(part, document, start, end)[0]
            for passage in range(*part.window_passage[window : window + 2].tolist()):
                first = int(part.passage_start[passage]) - start
                yield data[first : first + int(part.passage_length[passage])]

    def records(self) -> Iterator[tuple[PartReader, int, Record]]:
        """Every live document with its part and ordinal."""
        for part in self.parts:
            for document in range(part.documents):
                if part.live is None or part.live[document]:
                    yield part, document, part.record(document)

    def texts(self, limit: int, *, removed: bool = False) -> list[str]:
        """The first `limit` bytes of each live point, decoded, in the order of `points`, or of every point if
        `removed` ones count too; windows are read once."""
        found = []
        for index, part in enumerate(self.parts):
            live = self.points_live[self.point_offsets[index] : self.point_offsets[index + 1]] | removed
            starts, ends = part.point_spans
            for window in np.unique(part.point_window[live]).tolist():
                document = int(part.window_document[window])
                first, last = part.window_span(window)
                data, encoding = self.read(part, document, first, last)[0], part.record(document).encoding
                for point in range(*part.window_point[window : window + 2].tolist()):
                    begin, end = int(starts[point]) - first, int(ends[point]) - first
                    found.append(analysis_text(data[begin : min(end, begin + limit)], encoding))
        return found

    def points(self) -> Points:
        """All live points."""
        names: list[str] = []
        digests: list[str] = []
        numbers: dict[Identity, int] = {}  # index in `names`: a document may lie in several parts
        columns: dict[str, list[np.ndarray]] = {k: [] for k in ("e", "p", "h", "s", "t", "n")}
        rows = self.vectors
        unit = self.parts[0].unit if self.parts else "passage"
        for index, part in enumerate(self.parts):
            mask = self.points_live[self.point_offsets[index] : self.point_offsets[index + 1]]
            starts, ends = part.point_spans
            number = np.full(part.documents, -1, np.int64)
            for document in range(part.documents):
                if part.live is None or part.live[document]:
                    record = part.record(document)
                    number[document] = numbers.setdefault(record.source, len(names))
                    if number[document] == len(names):
                        names.append(record.names[0])
                        digests.append(record.digest)
            columns["n"].append(number[part.window_document[part.point_window]][mask])
            columns["s"].append(starts[mask])
            columns["t"].append(ends[mask])
            columns["h"].append(part.point_entropies[mask])
            if rows is not None:
                columns["e"].append(float_rows(rows[index], mask))
                columns["p"].append(part.prominence[mask])
        total = sum(map(len, columns["s"]))
        width = rows[0].codes.width if rows else 0

        def whole(key: str, dtype: type, shape: tuple[int, ...] = (0,)) -> np.ndarray:
            return np.concatenate(columns[key]).astype(dtype) if columns[key] else np.zeros(shape, dtype)

        return Points(
            embeddings=whole("e", np.float32, (total, width)),
            prominence=whole("p", np.float32, (total,)),
            entropies=whole("h", np.float32),
            starts=whole("s", np.int64),
            ends=whole("t", np.int64),
            sources=whole("n", np.int64),
            names=names,
            digests=digests,
            unit=unit,
        )


def _mixed(keys: np.ndarray) -> np.ndarray:
    """uint64 that look like chance (the finaliser of MurmurHash3)."""
    keys = (keys ^ (keys >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    keys = (keys ^ (keys >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return keys ^ (keys >> np.uint64(33))


def float_rows(part: Part, mask: np.ndarray | slice) -> np.ndarray:
    """The chosen rows of a part: float32 [M, D] as they were given, or float64 code times scale where that
    is the vector."""
    if part.vectors is not None:
        return part.vectors[mask]
    return part.codes.codes[mask, : part.codes.width] * part.codes.scales[mask, None].astype(np.float64)


def read_outside(record: Record, start: int, end: int) -> tuple[bytes, bool]:
    """Bytes of a file that the collection does not keep, and whether it has changed since it was ingested."""
    changed = None
    for path in filter(None, map(path_of, record.uris)):
        try:
            with open(path, "rb") as file:
                stat = os.fstat(file.fileno())
                same = _digest(path, stat.st_mtime_ns, stat.st_size) == record.digest
                if same or changed is None:
                    file.seek(start)
                    data = file.read(end - start)
                    if same:
                        return data, False
                    changed = data
        except OSError:
            continue
    return changed or b"", True


@lru_cache(maxsize=256)
def _digest(path: str, mtime_ns: int, size: int) -> str:
    """SHA-256 of a file; the time and size of its last change are part of the key."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
