"""Documents on their way into committed parts."""

import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from thesphere.encoders import Encoder, fit_lsa
from thesphere.encoders.lsa import WIDTH
from thesphere.errors import InputError
from thesphere.runtime import one_blas_thread, workers
from thesphere.sphere.builder import PartBuilder
from thesphere.sphere.record import Record
from thesphere.sphere.settings import Settings
from thesphere.sphere.windows import Window
from thesphere.store import Document, NewPart, PathEntry, Writer, write_tensors
from thesphere.store.catalog import Setting

PART_BYTES = 48 << 20
PART_POSTINGS = 24_000_000
PART_DOCUMENTS = 25_000
PART_POINTS = 150_000
PART_ROW_BYTES = 192 << 20  # of embeddings that are copied
SECONDS = 60.0


def encode_in_threads(encoder: Encoder, texts: list[bytes]) -> np.ndarray:
    """`encoder.encode` of many texts by all cores: slices of neighbours, so the rows are in order.

    Eight slices a thread, where there are texts enough: none waits long while another does the last one.
    """
    threads = workers()
    size = max(64, min(1024, -(-len(texts) // (8 * threads))))
    slices = [texts[first : first + size] for first in range(0, len(texts), size)]
    with one_blas_thread():
        if threads == 1 or len(slices) < 2:
            rows = [encoder.encode(part) for part in slices]
        else:
            with ThreadPoolExecutor(threads) as pool:
                rows = list(pool.map(encoder.encode, slices))
    return np.concatenate(rows) if rows else np.empty((0, encoder.width), np.float32)


class Batch:
    """Documents on their way into parts; `commit` makes them visible."""

    def __init__(self, writer: Writer, settings: Settings, encoder: Encoder | None) -> None:
        """`encoder` None: the collection's is to be fitted on the first passages (`lsa`), or it has none."""
        self.writer, self.settings, self.encoder = writer, settings, encoder
        self.builder: PartBuilder | None = None
        self.parts: list[tuple[Path, list[Document]]] = []  # written, not yet committed
        self.documents: list[Document] = []  # of the part that is being built
        self.keys: set[bytes] = set()
        self.paths: list[PathEntry] = []
        self.rows: list[tuple[np.ndarray, np.ndarray]] = []  # embeddings copied instead of made, prominence
        self.row_bytes = 0
        slow = encoder is not None and encoder.storage == "float32"
        self.points_due = PART_POINTS // 32 if slow else PART_POINTS  # later: what is embedded in a minute
        self.begun = time.monotonic()

    def add(
        self,
        key: bytes,
        record: Record,
        cuts: Iterable[Window],
        rows: Iterator[tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> None:
        """Take a document; one that is larger than a part goes into several.

        Args:
            key: its `content_key`.
            record: what is known of it.
            cuts: its windows in order.
            rows: the pre-norm rows of each window's points and their prominence, where they are known already.
        """
        self.keys.add(key)
        if self._full():
            self.close_part()
        fresh = True
        for window in cuts:
            if self.builder is not None and not fresh and self._full():
                self.close_part()
                fresh = True
            if self.builder is None:
                folder = self.writer.new_part()
                self.builder = PartBuilder(folder, unit=self.settings.points, copy=self.settings.copy)
                fresh = True
            if fresh:
                ordinal = self.builder.begin(record, window.start)
                self.documents.append(
                    Document(ordinal, key, record.size, record.modality, record.encoding, record.title)
                )
                fresh = False
            self.builder.add(window)
            if rows is not None:
                self.rows.append(next(rows))
                self.row_bytes += self.rows[-1][0].nbytes

    def _full(self) -> bool:
        builder = self.builder
        return builder is not None and (
            builder.raw_bytes >= PART_BYTES
            or builder.postings >= PART_POSTINGS
            or len(builder.documents) >= PART_DOCUMENTS
            or builder.points >= self.points_due
            or self.row_bytes >= PART_ROW_BYTES
        )

    @property
    def due(self) -> bool:
        """Whether it is time to commit."""
        return self._full() or bool(self.parts) or time.monotonic() - self.begun > SECONDS

    def close_part(self) -> None:
        """Embed the points of the part in hand and write its files."""
        builder = self.builder
        if builder is None:
            return
        declared = None
        if self.rows:
            embeddings, declared = (np.concatenate(each) for each in zip(*self.rows, strict=True))
            self.rows, self.row_bytes = [], 0
        else:
            embeddings = self._encode(builder.texts, np.array(builder.binary, bool))
        floats = self.settings.encoder == "arrays" or (
            self.encoder is not None and self.encoder.storage == "float32"
        )
        builder.finish(embeddings, "float32" if floats else "int8", declared)
        self.parts.append((builder.folder, self.documents))
        self.builder, self.documents = None, []

    def _encode(self, texts: list[bytes], binary: np.ndarray) -> np.ndarray | None:
        """Pre-norm rows of the texts; fits `lsa` on the first texts that are not blank.

        Trained encoders know text alone: what is binary gets zero vectors, which are near nothing.
        """
        if self.settings.encoder in ("none", "arrays"):
            return None
        if self.encoder is None:
            try:
                with one_blas_thread():
                    self.encoder = fit_lsa(texts)
            except InputError:  # nothing but white space: the next part may hold something to fit on
                return np.zeros((len(texts), WIDTH), np.float32)
        begun = time.monotonic()
        if self.encoder.storage == "float32":
            rows = np.zeros((len(texts), self.encoder.width), np.float32)
            rows[~binary] = encode_in_threads(self.encoder, [texts[i] for i in np.flatnonzero(~binary)])
        else:
            rows = encode_in_threads(self.encoder, texts)
        done = int(len(texts) * SECONDS / max(1e-9, time.monotonic() - begun))
        self.points_due = min(PART_POINTS, max(1000, done))
        return rows

    def commit(
        self,
        *,
        drop: Iterable[int] = (),
        forget: Iterable[str] = (),
        settings: Mapping[str, Setting] | None = None,
    ) -> None:
        """Make everything so far visible, in one transaction.

        Args:
            drop: numbers of parts without documents that are no longer needed.
            forget: uris that are no longer there.
            settings: changed with it.
        """
        self.close_part()
        new = [NewPart(folder, documents) for folder, documents in self.parts]
        settings, forget = dict(settings or {}), list(forget)
        if self.encoder is not None and self.settings.encoder_part == "" and self.encoder.state():
            folder = self.writer.new_part()
            write_tensors(folder / "encoder.safetensors", self.encoder.state())
            new.insert(0, NewPart(folder))
            self.settings = replace(self.settings, encoder_part=folder.name)
            settings |= self.settings.as_dict()
        if new or self.paths or forget:
            self.writer.commit(new, paths=self.paths, drop=drop, forget=forget, settings=settings)
        self.parts, self.paths, self.keys = [], [], set()
        self.begun = time.monotonic()

    def __enter__(self) -> "Batch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def discard(self) -> None:
        """Forget what is not committed; its files are swept by the writer."""
        if self.builder is not None:
            self.builder.close()
        self.builder, self.parts, self.documents = None, [], []
        self.rows, self.row_bytes, self.paths, self.keys = [], 0, [], set()
