"""One committed part of a collection, read through memory maps; `builder` makes it.

Files of a part:
    tables.safetensors   records of the documents, and the tables of windows, passages and points
    words.safetensors, grams.safetensors   inverted lists over the windows
    rows.safetensors     int8 codes of the points' embeddings with scales, residuals and lengths
    vectors.safetensors  the float32 embeddings, where the encoder keeps them
    bytes.blocks         the original bytes of all documents in a row (unless the collection keeps none)
    patches.blocks       patch lengths, one byte each; 255 means "255 and the next byte too"

A document is one content. Its windows are neighbours, so are a window's passages and a passage's points. A
document that is larger than a part lies in several; `document_base` says where in the source its portion begins.
"""

import codecs
import json
from copy import copy
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from unicodedata import unidata_version

import numpy as np

from thesphere.errors import FormatError
from thesphere.lexical.lists import Lists
from thesphere.lexical.score import LexicalPart
from thesphere.scan import Codes, Part
from thesphere.sphere.filter import Labels
from thesphere.sphere.lengths import offsets_of, unpack_lengths
from thesphere.sphere.record import Record
from thesphere.sphere.windows import Window
from thesphere.store.blocks import Blocks
from thesphere.store.tensors import map_tensors

READ_AGAIN = 4 << 20  # bytes of removed documents that are read again so that no list needs to be walked


class PartReader:
    """One committed part, memory-mapped.

    Attributes:
        live: bool [documents], or None if none was removed.
    """

    def __init__(self, folder: Path, dead: np.ndarray) -> None:
        self.folder = folder
        self._tables, metadata = map_tensors(folder / "tables.safetensors")
        self.unit = metadata.get("unit", "passage")
        self._unicode = metadata.get("unicode")
        missing = (_REQUIRED if self.unit == "passage" else _REQUIRED | _OF_POINTS) - set(self._tables)
        if missing:
            raise FormatError(
                f"{folder}: the tables lack {', '.join(sorted(missing))}; run `thesphere verify`"
            )
        for name in sorted(
            self._tables, key=lambda name: name == "window_document"
        ):  # it follows from another
            if not self._fits(name, self._tables[name]):
                raise FormatError(
                    f"{folder}: the table {name} does not fit the others; run `thesphere verify`"
                )
        self.live = None
        if len(dead):
            if dead.min() < 0 or dead.max() >= self.documents:
                raise FormatError(
                    f"{folder}: removed documents that it does not hold; run `thesphere verify`"
                )
            self.live = np.ones(self.documents, bool)
            self.live[dead] = False

    def only(self, documents: np.ndarray) -> "PartReader":
        """The same part with some documents alone live, bool [documents]."""
        part = copy(self)
        part.live = documents
        for name in ("window_live", "point_live", "lexical"):  # these follow from it
            part.__dict__.pop(name, None)
        return part

    def _fits(self, name: str, table: np.ndarray) -> bool:
        """Whether a table has the type and length that the others ask for, so that none leads outside another."""
        kind = "f" if name.endswith("entropy") or name == "prominence" else "biu"
        if table.ndim != 1 or table.dtype.kind not in kind:
            return False
        rows = {"document": self.documents, "window": self.windows, "passage": self.passages}
        if self.unit != "passage":
            rows["point"] = len(self.point_start)
        points = rows.get("point", self.passages)
        ends = {  # tables of offsets, and where they end
            "document_record": len(self.records), "document_window": self.windows,
            "document_byte": None, "window_passage": self.passages, "passage_point": points,
        }  # fmt: skip
        if name in ends:
            end = table[-1] if ends[name] is None and len(table) else ends[name]
            if len(table) != rows[name.partition("_")[0]] + 1 or (table[0], table[-1]) != (0, end):
                return False
            return bool((table[1:] >= table[:-1]).all())
        if name == "window_document":
            return np.array_equal(table, np.repeat(np.arange(self.documents), np.diff(self.document_window)))
        return len(table) == (
            points if name == "prominence" else rows.get(name.partition("_")[0], len(table))
        )

    def __getattr__(self, name: str) -> np.ndarray:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._tables[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def documents(self) -> int:
        return len(self.document_base)

    @property
    def windows(self) -> int:
        return len(self.window_document)

    @property
    def passages(self) -> int:
        return len(self.passage_start)

    @cached_property
    def document_ends(self) -> np.ndarray:
        """Where in its source the portion of each document that lies here ends, int64 [documents]. Imported rows
        without bytes count as one each."""
        last = self.window_passage[self.document_window[1:]] - 1
        return self.passage_start[last] + self.passage_length[last]

    @cached_property
    def window_live(self) -> np.ndarray | None:
        """bool [windows], or None if all are live."""
        return None if self.live is None else self.live[self.window_document]

    @cached_property
    def window_point(self) -> np.ndarray:
        """Points of window w are [w] to [w + 1], int64 [windows + 1]."""
        return self.window_passage if self.unit == "passage" else self.passage_point[self.window_passage]

    @cached_property
    def point_window(self) -> np.ndarray:
        """int64 [points]."""
        return np.repeat(np.arange(self.windows), np.diff(self.window_point))

    @cached_property
    def point_live(self) -> np.ndarray | None:
        """bool [points], or None if all are live."""
        return None if self.window_live is None else self.window_live[self.point_window]

    @cached_property
    def point_spans(self) -> tuple[np.ndarray, np.ndarray]:
        """Starts and ends of the points in their sources, int64 [points] each."""
        kind = "passage" if self.unit == "passage" else "point"
        starts = getattr(self, f"{kind}_start")
        return starts, starts + getattr(self, f"{kind}_length")

    @property
    def point_entropies(self) -> np.ndarray:
        """float32 [points], nats."""
        return self.passage_entropy if self.unit == "passage" else self.point_entropy

    @cached_property
    def lexical(self) -> LexicalPart:
        """The inverted lists over this part's windows."""
        lists = {}
        for kind in ("words", "grams"):
            path = self.folder / f"{kind}.safetensors"
            lists[kind] = Lists.from_arrays(map_tensors(path)[0], self.windows, name=str(path))
        return LexicalPart(
            lists["words"],
            lists["grams"],
            self.window_words,
            self.window_grams,
            self.window_live,
            *self._dead_terms(),
        )

    def _dead_terms(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The word and n-gram terms of removed windows, sorted, once for each window; (None, None) if there are
        too many of them to be read again, or if they cannot be."""
        if self.live is None or self._unicode != unidata_version:  # other versions may count other terms
            return None, None
        dead = np.flatnonzero(~self.live).tolist()
        if int(np.diff(self.document_byte)[~self.live].sum()) > READ_AGAIN or any(map(self.outside, dead)):
            return None, None
        found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for document in dead:
            record = self.record(document)
            for window in range(*self.document_window[document : document + 2].tolist()):
                terms = record.terms(self.read(document, *self.window_span(window)))
                for each, kept in zip(terms, found, strict=True):
                    kept.append(np.unique(each))
        words, grams = (np.sort(np.concatenate([np.empty(0, np.uint32), *kept])) for kept in found)
        return words, grams

    def vectors(self, offset: int = 0) -> Part | None:
        """The points' rows for a scan, their ids beginning at `offset`; None if the part has no vectors."""
        path = self.folder / "rows.safetensors"
        if not path.exists():
            return None
        codes = Codes.from_arrays(map_tensors(path)[0], name=str(path))
        if len(codes) != len(self.point_window) or "prominence" not in self._tables:
            raise FormatError(f"{path} has {len(codes)} rows, not one per point; run `thesphere verify`")
        floats = self.folder / "vectors.safetensors"
        vectors = None
        if floats.exists():
            vectors = map_tensors(floats)[0].get("embeddings")
            if vectors is None or vectors.shape != (len(codes), codes.width) or vectors.dtype != np.float32:
                raise FormatError(f"{floats} does not hold one vector per point; run `thesphere verify`")
        return Part(codes, vectors, offset, self.point_live)

    def record(self, document: int) -> Record:
        """What is known of a document."""
        first, last = self.document_record[document : document + 2]
        try:
            record = Record(**json.loads(self.records[first:last].tobytes()))
            if record.encoding != "bytes":
                codecs.lookup(record.encoding)
            return record
        except (ValueError, TypeError, LookupError) as error:
            raise FormatError(
                f"{self.folder}: a document's record is damaged; run `thesphere verify`"
            ) from error

    @property
    def labels(self) -> Labels:
        """What the live documents are picked by; every record is read."""
        names: list[list[str]] = [[] for _ in range(self.documents)]
        modalities: list[str | None] = [None] * self.documents
        for document in range(self.documents):
            if self.live is None or self.live[document]:
                record = self.record(document)
                names[document], modalities[document] = [*record.names, *record.uris], record.modality
        return Labels(names, modalities)

    @cached_property
    def _blocks(self) -> Blocks | None:
        path = self.folder / "bytes.blocks"
        return Blocks(path) if path.exists() else None

    def outside(self, document: int) -> bool:
        """Whether a document's bytes are not kept, but read from its file (in a collection made with
        --no-copy)."""
        kept = self._tables.get("document_kept")
        return kept is not None and int(kept[document]) < 0

    def read(self, document: int, start: int, end: int) -> bytes:
        """Original bytes [start, end) of a document, offsets in the source; nothing of rows without bytes."""
        assert self._blocks is not None
        first, last = (int(x) for x in self.document_byte[document : document + 2])
        if first == last:
            return b""
        kept = self._tables.get("document_kept")
        shift = (first if kept is None else int(kept[document])) - int(self.document_base[document])
        return self._blocks.read(start + shift, end + shift)

    @cached_property
    def _patch_blocks(self) -> Blocks:
        return Blocks(self.folder / "patches.blocks")

    @cached_property
    def _patch_offsets(self) -> np.ndarray:
        return offsets_of(self.passage_patch_bytes)

    def patches(self, passage: int) -> np.ndarray:
        """Patch lengths of a passage in UTF-8 bytes, int32."""
        first, last = self._patch_offsets[passage : passage + 2]
        return unpack_lengths(self._patch_blocks.read(int(first), int(last)))

    def window(self, window: int, data: bytes) -> Window:
        """A window as it was added; `data` are its original bytes."""
        first, last = (int(x) for x in self.window_passage[window : window + 2])
        patches = [self.patches(passage) for passage in range(first, last)]
        entropies: list[np.ndarray] = []
        if self.unit != "passage":
            points = self.passage_point[first : last + 1]
            entropies = [self.point_entropy[a:b] for a, b in pairwise(points)]
        return Window(
            start=int(self.passage_start[first]),
            line=int(self.window_line[window]),
            data=data,
            lengths=self.passage_length[first:last].tolist(),
            entropies=self.passage_entropy[first:last].tolist(),
            patches=patches,
            patch_entropies=entropies,
            patch_counts=[len(each) for each in patches],
        )

    def window_at(self, document: int, offset: int) -> int:
        """The window of a document that holds a byte of it."""
        first, last = (int(x) for x in self.document_window[document : document + 2])
        starts = self.passage_start[self.window_passage[first:last]]
        return first + int(np.searchsorted(starts, offset, side="right")) - 1

    def window_span(self, window: int) -> tuple[int, int]:
        """Start and end of a window in its source."""
        first, last = self.window_passage[window : window + 2]
        return int(self.passage_start[first]), int(
            self.passage_start[last - 1] + self.passage_length[last - 1]
        )


_OF_POINTS = {"passage_point", "point_start", "point_length", "point_entropy"}
_REQUIRED = {
    "records", "document_record", "document_window", "document_byte", "document_base", "document_whole",
    "document_utf8", "window_document",
    "window_passage", "window_words", "window_grams", "window_line", "passage_start", "passage_length",
    "passage_entropy", "passage_patch_bytes",
}  # fmt: skip
