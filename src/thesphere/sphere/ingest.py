"""From sources to committed parts: what is known is skipped, what is new is cut, counted, embedded, written.

Everything between two commits is invisible and is swept away if the run ends early; the next run skips what was
committed and does the rest. The work in hand is committed whenever it would take much memory, or every minute.
"""

import hashlib
import io
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from thesphere.encoders import Encoder
from thesphere.patches.entropy import EntropyModel
from thesphere.progress import SILENT, Progress
from thesphere.readers import Segment, Skipped, Source, segments
from thesphere.sphere.batch import Batch
from thesphere.sphere.part import Record
from thesphere.sphere.rewrite import copy_document
from thesphere.sphere.settings import Settings
from thesphere.sphere.view import View
from thesphere.sphere.windows import Window, windows
from thesphere.store import Collection, PathEntry, Writer

WHOLE = (
    32 << 20
)  # sources up to this size are read once, into memory; larger ones are hashed first, then streamed
READ = 4 << 20


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


def content_key(digest: bytes, title: str) -> bytes:
    """What makes two sources one document: the same bytes and the same title."""
    return digest if not title else hashlib.sha256(digest + title.encode("utf-8", "surrogatepass")).digest()


class Ingest:
    """One run over some paths."""

    def __init__(
        self,
        collection: Collection,
        writer: Writer,
        settings: Settings,
        encoder: Encoder | None,
        model: EntropyModel,
        *,
        progress: Progress = SILENT,
    ) -> None:
        self.collection, self.writer = collection, writer
        self.model, self.progress = model, progress
        self.batch = Batch(writer, settings, encoder)
        self.report = Report()
        self._renamed: set[bytes] = set()  # documents whose set of names may have changed

    def run(self, found: Iterable[Source | Skipped]) -> Report:
        """Take every source; commits as it goes."""
        begun = time.monotonic()
        for item in found:
            if isinstance(item, Skipped):
                self.report.skipped.append(item)
            else:
                self._take(item)
                if self.batch.due:
                    self.batch.commit()
        self.batch.commit()
        self.rename(self._renamed)
        self.report.seconds = time.monotonic() - begun
        return self.report

    def _take(self, source: Source) -> None:
        try:
            data, digest, size = self._hash(source)
        except OSError as error:
            self.report.skipped.append(Skipped(source.name, f"cannot be read: {error.strerror or error}"))
            return
        if size == 0:
            self.report.skipped.append(Skipped(source.name, "empty"))
            return
        key = content_key(digest, source.title)
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
        self.batch.commit()
        again = hashlib.sha256()
        self.batch.add(key, record, self._windows(source, again.update))
        if again.hexdigest() != record.digest:
            self.batch.discard()
            self.report.skipped.append(Skipped(source.name, "changed while it was read; run again"))
            return False
        self.batch.paths.append(entry)
        self.batch.commit()
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
        def tick(data: bytes) -> None:
            self.progress.advance(len(data))
            if also is not None:
                also(data)

        return cut_source(segments(source), source.encoding, self.model, self.batch.settings, tick)

    def rename(self, keys: Iterable[bytes]) -> None:
        """Write documents again whose names may have changed since they were counted as evidence."""
        for key in sorted(keys):
            if self.writer.content(key) is not None:
                with self.collection.snapshot() as snapshot:
                    copy_document(self.batch, View(snapshot), key)
            if self.batch.due:
                self.batch.commit()
        self.batch.commit()


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
