"""From sources to committed parts: what is known is skipped, what is new is cut, counted, embedded, written.

Everything between two commits is invisible and is swept away if the run ends early; the next run skips what was
committed and does the rest. The work in hand is committed whenever it would take much memory, or every minute.
"""

import hashlib
import io
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace

from thesphere.encoders import Encoder
from thesphere.errors import SphereError
from thesphere.patches.entropy import EntropyModel
from thesphere.progress import SILENT, Progress
from thesphere.readers import Segment, Skipped, Source, segments
from thesphere.sphere.batch import Batch
from thesphere.sphere.record import Record
from thesphere.sphere.rewrite import copy_document
from thesphere.sphere.settings import Settings
from thesphere.sphere.view import View
from thesphere.sphere.windows import Window, windows
from thesphere.store import Collection, PathEntry, Writer

WHOLE = 32 << 20  # smaller sources are read once, into memory; others are hashed first, then streamed
READ = 4 << 20
RENAMING = "renaming"  # a setting of the catalog: 1 while documents may hold names that are not their own


@dataclass
class Report:
    """What an ingest did.

    Attributes:
        added, replaced, unchanged: sources; `duplicates` are paths to content that was there already.
        skipped: names and reasons.
        bytes: read from sources that were added or replaced.
        seconds: wall time.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    duplicates: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    bytes: int = 0
    seconds: float = 0.0


def content_key(digest: bytes, title: str, modality: str) -> bytes:
    """What makes two sources one document: the same bytes and title, and both rows or neither (of a row the name
    is no evidence)."""
    if not title and modality != "row":
        return digest
    kind = b"row" if modality == "row" else b""
    return hashlib.sha256(kind + digest + title.encode("utf-8", "surrogatepass")).digest()


def table_of(uri: str) -> str:
    """The uri of the file that a row (`file#number/column`) is in."""
    return uri[: uri.rfind("#", 0, uri.rfind("/"))]


class Ingest:
    """One run over some paths."""

    def __init__(
        self,
        collection: Collection,
        writer: Writer,
        settings: Settings,
        encoder: Encoder | None,
        model: EntropyModel | None,
        *,
        progress: Progress = SILENT,
    ) -> None:
        self.collection, self.writer = collection, writer
        self.model, self.progress = model, progress
        self.batch = Batch(writer, settings, encoder)
        self.report = Report()
        self._renamed: set[bytes] = set()  # documents whose set of names may have changed
        self._unfinished = bool(writer.settings.get(RENAMING))
        self._gone: list[str] = []  # uris whose file is empty now
        self._seen = array("q")  # hashes of the uris that were met
        self._tables: set[str] = set()  # uris of files that were read as rows

    def run(self, found: Iterable[Source | Skipped]) -> Report:
        """Take every source; commits as it goes."""
        begun = time.monotonic()
        with self.batch:
            for item in found:
                if isinstance(item, Skipped):
                    self.report.skipped.append(item)
                else:
                    self._take(item)
                    if self.batch.due:
                        self._commit()
            self._commit(forget=[*self._gone, *self._lost_rows()])
            self.rename(self._renamed)
        self.report.seconds = time.monotonic() - begun
        return self.report

    def forget(self, uris: Sequence[str]) -> None:
        """Remove some paths."""
        self._commit(forget=uris)
        self.rename(self._renamed)

    def _commit(self, forget: Sequence[str] = ()) -> None:
        """Commit; a run that ends before the renaming is done leaves word of it."""
        for uri in forget:
            known = self.writer.known(uri)
            if known is not None and len(self.writer.paths(known.digest)) > 1:
                self._renamed.add(known.digest)
        self.batch.commit(forget=forget, settings={RENAMING: 1} if self._renamed else {})

    def _lost_rows(self) -> list[str]:
        """Rows that their files have no longer, and files that are tables of rows now."""
        modalities = self.collection.stats()["modalities"]
        assert isinstance(modalities, dict)
        if not self._tables and "row" not in modalities:
            return []
        seen = set(self._seen)
        broken = {each.name for each in self.report.skipped}
        lost = []
        for row in self.collection.sources():
            table = table_of(row.uri) if row.modality == "row" else row.uri
            met = table in self._tables or (row.modality == "row" and hash(table) in seen)
            if row.modality == "row" and table_of(row.name) in broken:
                continue  # the file could not be read to its end: nobody knows which rows it has
            if met and hash(row.uri) not in seen:
                lost.append(row.uri)
        return lost

    def _take(self, source: Source) -> None:
        self._seen.append(hash(source.uri))
        if source.modality == "row":
            self._tables.add(table_of(source.uri))
        try:
            data, digest, size = self._hash(source)
        except OSError as error:
            self.report.skipped.append(Skipped(source.name, f"cannot be read: {error.strerror or error}"))
            return
        if size == 0:
            self.report.skipped.append(Skipped(source.name, "empty"))
            if self.writer.known(source.uri) is not None:
                self._gone.append(source.uri)
            return
        key = content_key(digest, source.title, source.modality)
        entry = PathEntry(source.uri, source.name, key, source.mtime_ns, size)
        known = self.writer.known(source.uri)
        if known is not None and known.digest == key:
            if (source.uri, source.name) in self.writer.paths(key):
                self.report.unchanged += 1
                self.progress.advance(size)
                return
        elif known is not None and len(self.writer.paths(known.digest)) > 1:
            self._renamed.add(known.digest)  # the old content loses one of its names
        if key in self.batch.keys or self.writer.content(key) is not None:
            self.batch.paths.append(entry)
            self._renamed.add(key)
            self.report.duplicates += 1
            self.progress.advance(size)
            return
        record = Record(
            digest.hex(), [source.uri], [source.name], source.title, source.modality, source.encoding, size
        )
        if data is None and not self._take_large(source, key, record, entry):
            return
        if data is not None:
            self.batch.add(key, record, self._windows(replace(source, open=lambda: io.BytesIO(data))))
            self.batch.paths.append(entry)
        self.report.bytes += size
        if known is None:
            self.report.added += 1
        else:
            self.report.replaced += 1

    def _take_large(self, source: Source, key: bytes, record: Record, entry: PathEntry) -> bool:
        """A source that is streamed stands alone in its commit, so that it can be dropped if it changes
        meanwhile."""
        self._commit()
        again = hashlib.sha256()
        try:
            self.batch.add(key, record, self._windows(source, again.update))
            fault = "" if again.hexdigest() == record.digest else "changed while it was read; run again"
        except OSError as error:
            if isinstance(error, SphereError):
                raise
            fault = f"cannot be read: {error.strerror or error}"
        if fault:
            self.batch.discard()
            self.report.skipped.append(Skipped(source.name, fault))
            return False
        self.batch.paths.append(entry)
        self._commit()
        return True

    def _hash(self, source: Source) -> tuple[bytes | None, bytes, int]:
        """(the bytes if they are few enough to keep, their SHA-256, their number)."""
        with source.open() as stream:
            data = stream.read(WHOLE)
            digest, size = hashlib.sha256(data), len(data)
            if size == WHOLE:
                while more := stream.read(READ):
                    digest.update(more)
                    size += len(more)
        return (data if size < WHOLE else None), digest.digest(), size

    def _windows(self, source: Source, also: Callable[[bytes], None] | None = None) -> Iterator[Window]:
        assert self.model is not None  # only a run that takes nothing does without

        def tick(data: bytes) -> None:
            self.progress.advance(len(data))
            if also is not None:
                also(data)

        return cut_source(segments(source), source.encoding, self.model, self.batch.settings, tick)

    def rename(self, keys: Set[bytes]) -> None:
        """Write documents again whose names may have changed since they were counted as evidence."""
        if self._unfinished:
            keys = keys | self._outdated()
        if not keys and not self._unfinished:
            return
        with self.collection.snapshot() as snapshot:
            view = View(snapshot)  # holds every copy that is to be replaced, also after the commits below
            for key in sorted(keys):
                if self.writer.content(key) is not None:
                    copy_document(self.batch, view, key)
                if self.batch.due:
                    self.batch.commit()
            self.batch.commit(settings={RENAMING: 0})
            if self.writer.settings.get(RENAMING):  # there was nothing to write
                self.writer.commit(settings={RENAMING: 0})

    def _outdated(self) -> set[bytes]:
        """Documents that were written with other names than they have, because a run ended too early."""
        paths: dict[bytes, list[tuple[str, str]]] = {}
        for row in self.collection.sources():
            paths.setdefault(row.digest, []).append((row.name, row.uri))
        with self.collection.snapshot() as snapshot:
            view = View(snapshot)
            outdated = set()
            for key, found in paths.items():
                part, ordinal = self.writer.pieces(key)[0]
                record = view.by_id[part].record(ordinal)
                if sorted(found) != list(zip(record.names, record.uris, strict=True)):
                    outdated.add(key)
        return outdated


def cut_source(
    pieces: Iterator[Segment],
    encoding: str,
    model: EntropyModel,
    settings: Settings,
    tick: Callable[[bytes], None] = lambda data: None,
) -> Iterator[Window]:
    """The windows of a source under a collection's settings."""
    return windows(
        pieces,
        model,
        passage_bytes=settings.passage_bytes,
        target_patch_bytes=settings.target_patch_bytes,
        text=encoding != "bytes",
        tick=tick,
    )
