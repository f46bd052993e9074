"""One part of a collection: built in memory, written as a few files, read back as memory maps.

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
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from unicodedata import unidata_version

import numpy as np

from thesphere.errors import FormatError
from thesphere.lexical.lists import Lists, ListsBuilder
from thesphere.lexical.score import LexicalPart
from thesphere.readers import analysis_text, original_offsets, path_of, utf8
from thesphere.scan import Codes, Part, encode
from thesphere.scan.rows import Storage
from thesphere.signals import prominence
from thesphere.sphere.windows import Window
from thesphere.store.blocks import Blocks, BlockWriter
from thesphere.store.tensors import map_tensors, write_tensors
from thesphere.text import grams, words

READ_AGAIN = 4 << 20  # bytes of removed documents that are read again so that no list needs to be walked
NAMES_AS_EVIDENCE = 8  # a content with many paths is found by the first few of them


Identity = tuple[str, str, str, str]


@dataclass(frozen=True)
class Record:
    """What is known of a document besides its bytes.

    Attributes:
        digest: SHA-256 of the bytes, hexadecimal.
        uris, names: every path that holds this content, sorted by name.
        title: words that belong to it though they are not in its bytes.
        modality, encoding: as the reader found them.
        size: bytes of the whole source.
        origin: what an import tells of itself: layout, unit, kind of prominence.
    """

    digest: str
    uris: list[str]
    names: list[str]
    title: str
    modality: str
    encoding: str
    size: int
    origin: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Identity:
        """Name and uri of its first path, digest and title: what breaks ties between equal scores. The path
        alone is not enough between two commits of an ingest: it may belong to another document already."""
        return self.names[0], self.uris[0], self.digest, self.title

    @property
    def heading(self) -> str:
        """Title and paths, as evidence."""
        if self.modality == "row":
            return self.title
        return "\n".join([self.title, *self.names[:NAMES_AS_EVIDENCE]])

    def terms(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        """(word terms, n-gram terms) of a window of this document."""
        text = f"{self.heading}\n{analysis_text(data, self.encoding)}"
        return words(text)[0], grams(text)


def pack_lengths(lengths: np.ndarray) -> bytes:
    """Patch lengths as bytes: 255 stands for 255 and more to come."""
    lengths = np.asarray(lengths, np.int64)
    extra = lengths // 255
    if not extra.any():
        return lengths.astype(np.uint8).tobytes()
    out = np.full(int(len(lengths) + extra.sum()), 255, np.uint8)
    out[np.cumsum(extra + 1) - 1] = lengths % 255
    return out.tobytes()


def unpack_lengths(data: bytes) -> np.ndarray:
    """The inverse of `pack_lengths`, int32."""
    values = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(values != 255)
    total = np.cumsum(values, dtype=np.int64)[last]
    return np.diff(total, prepend=0).astype(np.int32)


@dataclass
class _Document:
    record: Record
    base: int
    windows: int = 0
    stored: int = 0  # bytes in this part


class PartBuilder:
    """Collects documents for one part and writes its files."""

    def __init__(self, folder: Path, *, unit: str, copy: bool) -> None:
        """`unit` is what a point is ("passage", "patch" or "row"); `copy` keeps the original bytes."""
        self.folder, self.unit = folder, unit
        self.documents: list[_Document] = []
        self.texts: list[bytes] = []  # what an encoder is given, one per point
        self.raw_bytes = 0
        self._words, self._grams = ListsBuilder(), ListsBuilder()
        self.copy = copy
        self._bytes: BlockWriter | None = None
        self._kept: list[int] = []  # where each document's bytes begin among those that are kept; -1: nowhere
        self._kept_bytes = 0
        self._patches = BlockWriter(folder / "patches.blocks")
        self._columns: dict[str, list] = {name: [] for name in _COLUMNS}

    @property
    def postings(self) -> int:
        """Postings so far: they decide how much memory the part takes."""
        return self._words.postings + self._grams.postings

    @property
    def points(self) -> int:
        """Points so far."""
        return len(self._columns["passage_start" if self.unit == "passage" else "point_start"])

    def begin(self, record: Record, base: int = 0) -> int:
        """Start a document whose bytes here begin at `base` in the source. Returns its ordinal."""
        self.documents.append(_Document(record, base))
        # of a row or of standard input there is no file from which the bytes could be read again
        keep = self.copy or record.modality == "row" or any(path_of(uri) is None for uri in record.uris)
        self._kept.append(self._kept_bytes if keep else -1)
        if keep and self._bytes is None:
            self._bytes = BlockWriter(self.folder / "bytes.blocks")
        return len(self.documents) - 1

    def add(self, window: Window) -> None:
        """Add the next window of the document begun last."""
        document, columns = self.documents[-1], self._columns
        record = document.record
        index = len(columns["window_document"])
        word_terms, gram_terms = record.terms(window.data)
        self._words.add(index, word_terms)
        self._grams.add(index, gram_terms)
        columns["window_document"].append(len(self.documents) - 1)
        columns["window_passages"].append(len(window.lengths))
        columns["window_words"].append(len(word_terms))
        columns["window_grams"].append(len(gram_terms))
        columns["window_line"].append(window.line)
        if self._bytes is not None and self._kept[-1] >= 0:
            self._bytes.write(window.data)
            self._kept_bytes += len(window.data)
        at = window.start
        for data, length, patches in zip(window.passages(), window.lengths, window.patches, strict=True):
            columns["passage_start"].append(at)
            packed = pack_lengths(patches)
            self._patches.write(packed)
            columns["passage_patch_bytes"].append(len(packed))
            if self.unit != "passage":
                cuts = patch_cuts(data, record.encoding if self.unit == "patch" else "bytes", patches)
                columns["passage_points"].append(len(patches))
                columns["point_start"] += (at + cuts[:-1]).tolist()
                columns["point_length"] += np.diff(cuts).tolist()
            if self.unit == "patch":
                self.texts += [utf8(data[a:b], record.encoding) for a, b in pairwise(cuts)]
            elif self.unit == "passage":
                self.texts.append(utf8(data, record.encoding))
            at += length
        columns["passage_length"] += window.lengths
        columns["passage_entropy"] += window.entropies
        if self.unit != "passage":
            columns["point_entropy"] += np.concatenate(window.patch_entropies).tolist()
        document.windows += 1
        document.stored += len(window.data)
        self.raw_bytes += len(window.data)

    def close(self) -> None:
        """Give the part up: its files stay unfinished (nothing happens after `finish`)."""
        for blocks in (self._bytes, self._patches):
            if blocks is not None:
                blocks.close()

    def finish(
        self, embeddings: np.ndarray | None, storage: Storage, declared: np.ndarray | None = None
    ) -> None:
        """Write every file.

        Args:
            embeddings: pre-norm float32 [points, D], or None for a collection without vectors.
            storage: "float32" or "int8", the encoder's.
            declared: prominence float32 [points] that an import brings along; the norms otherwise.
        """
        if self._bytes is not None:
            self._bytes.finish()
        self._patches.finish()
        columns = self._columns
        records = [json.dumps(vars(d.record), ensure_ascii=True).encode() for d in self.documents]
        tables = {
            "records": np.frombuffer(b"".join(records), np.uint8),
            "document_record": _offsets([len(r) for r in records]),
            "document_window": _offsets([d.windows for d in self.documents]),
            "document_byte": _offsets([d.stored for d in self.documents]),
            "document_base": np.array([d.base for d in self.documents], np.int64),
            "document_whole": np.array([d.stored == d.record.size for d in self.documents], np.uint8),
            "document_utf8": np.array(
                [d.record.encoding == "utf-8" and self.copy for d in self.documents], np.uint8
            ),
            "window_passage": _offsets(columns.pop("window_passages")),
        }
        if not self.copy:
            tables["document_kept"] = np.array(self._kept, np.int64)
        if self.unit != "passage":
            tables["passage_point"] = _offsets(columns.pop("passage_points"))
        for name, values in columns.items():
            if name in _COLUMNS and not (
                name.startswith(("point_", "passage_points")) and self.unit == "passage"
            ):
                tables[name] = np.array(values, _COLUMNS[name])
        if embeddings is not None:
            norms = prominence(embeddings) if declared is None else declared
            tables["prominence"] = np.minimum(norms, np.finfo(np.float32).max).astype(np.float32)
            codes = encode(embeddings, storage=storage)
            write_tensors(self.folder / "rows.safetensors", codes.arrays())
            if storage == "float32":
                write_tensors(self.folder / "vectors.safetensors", {"embeddings": embeddings})
        write_tensors(
            self.folder / "tables.safetensors", tables, {"unit": self.unit, "unicode": unidata_version}
        )
        write_tensors(self.folder / "words.safetensors", self._words.finish())
        write_tensors(self.folder / "grams.safetensors", self._grams.finish())


_COLUMNS = {
    "window_document": np.int32,
    "window_passages": np.int64,
    "window_words": np.int32,
    "window_grams": np.int32,
    "window_line": np.int64,
    "passage_start": np.int64,
    "passage_length": np.int32,
    "passage_entropy": np.float32,
    "passage_patch_bytes": np.int32,
    "passage_points": np.int64,
    "point_start": np.int64,
    "point_length": np.int32,
    "point_entropy": np.float32,
}


def patch_cuts(data: bytes, encoding: str, lengths: np.ndarray) -> np.ndarray:
    """Where the patches of a passage begin and end in its original bytes, int64 [patches + 1].

    Patches are counted in UTF-8 bytes. In a transcoded source a cut inside a character moves to its end.
    """
    cuts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if encoding in ("utf-8", "bytes"):
        return cuts
    text = utf8(data, encoding)
    for index, cut in enumerate(cuts):
        while cut < len(text) and text[cut] & 0xC0 == 0x80:
            cut += 1
        cuts[index] = cut
    return original_offsets(data, encoding, cuts)


def _offsets(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


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
        return _offsets(self.passage_patch_bytes)

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
