"""A part in the making: documents are collected in memory, then written as the files that `part` describes."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unicodedata import unidata_version

import numpy as np

from thesphere.lexical.lists import ListsBuilder
from thesphere.readers import path_of, utf8
from thesphere.scan import encode
from thesphere.scan.rows import Storage
from thesphere.signals import prominence
from thesphere.sphere.lengths import offsets_of, pack_lengths, patch_cuts
from thesphere.sphere.record import Record
from thesphere.sphere.windows import Window
from thesphere.store.blocks import BlockWriter
from thesphere.store.tensors import write_tensors


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
        self.binary: list[bool] = []  # whether that is of a binary document
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
                self.texts.append(record.passage(data))
            self.binary += [record.modality == "binary"] * (len(self.texts) - len(self.binary))
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
            "document_record": offsets_of([len(r) for r in records]),
            "document_window": offsets_of([d.windows for d in self.documents]),
            "document_byte": offsets_of([d.stored for d in self.documents]),
            "document_base": np.array([d.base for d in self.documents], np.int64),
            "document_whole": np.array([d.stored == d.record.size for d in self.documents], np.uint8),
            "document_utf8": np.array(
                [d.record.encoding == "utf-8" and self.copy for d in self.documents], np.uint8
            ),
            "window_passage": offsets_of(columns.pop("window_passages")),
        }
        if not self.copy:
            tables["document_kept"] = np.array(self._kept, np.int64)
        if self.unit != "passage":
            tables["passage_point"] = offsets_of(columns.pop("passage_points"))
        for name, values in columns.items():
            if self.unit != "passage" or not name.startswith(("point_", "passage_points")):
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
