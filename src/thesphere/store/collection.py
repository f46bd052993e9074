"""A collection on disk: a folder with `catalog.db`, `writer.lock` and `parts/`.

One commit is: the caller's files under `parts/<fresh name>/`, flushed; then one transaction that names them.
Until then nobody sees them, and whoever holds the writer's lock next removes them. A reader copies the
manifest of the latest generation in one short transaction and keeps a shared lock on each part it names, so
files leave the disk only when nobody reads them.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from thesphere.errors import FormatError, InputError, NotFoundError, SphereError
from thesphere.progress import SILENT, Progress
from thesphere.store.catalog import Catalog, Setting, from_blob
from thesphere.store.change import Change
from thesphere.store.lock import writer_lock
from thesphere.store.part import PARTS, checksum, disk_error, sync
from thesphere.store.snapshot import Snapshot
from thesphere.store.writer import Writer, checked

CATALOG = "catalog.db"
LOCK = "writer.lock"


@dataclass(frozen=True)
class SourceRow:
    """One live path and what it points to, for listings."""

    uri: str
    name: str
    digest: bytes
    size: int
    modality: str
    encoding: str
    title: str
    mtime_ns: int


class Collection:
    """A collection that exists. Holds no file open and no lock; each method reads the latest generation.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], settings: Mapping[str, Setting] | None = None
    ) -> "Collection":
        """Make an empty collection. It appears under its name whole, or not at all.

        Raises:
            InputError: `path` is taken, or a setting is not a text or a finite number.
            NotFoundError: the folder above `path` does not exist.
            LockedError: another process is making it right now.
            SphereError: the disk is full or read-only, or the path cannot be followed.
        """
        settings = checked(settings or {})
        try:
            path = Path(path).resolve()
            if path.is_dir() and any(path.iterdir()):
                raise InputError(
                    f"{path} exists and is not empty; choose another name for the new collection"
                )
            if path.exists() and not path.is_dir():
                raise InputError(f"{path} is a file; a collection is a folder, choose another name")
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
            raise disk_error(error, f"make {path}") from error
        beside = path.with_name(f".{path.name}.new")  # what an interrupted run left there is used again
        try:
            beside.mkdir(exist_ok=True)
            with writer_lock(beside / LOCK, str(path)):
                for name in (CATALOG, f"{CATALOG}-journal"):
                    (beside / name).unlink(missing_ok=True)
                (beside / PARTS).mkdir(exist_ok=True)
                catalog = Catalog(beside / CATALOG, create=True)
                try:
                    with catalog.transaction():
                        change = Change(catalog)
                        change.set(settings)
                        change.finish()
                finally:
                    catalog.close()
                sync(beside)
                os.rename(beside, path)
                sync(path.parent)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise InputError(f"{path} exists and is not empty; choose another name") from error
            raise disk_error(error, f"make {path}") from error
        return cls(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Collection":
        """A collection that was made before.

        Raises:
            NotFoundError: there is nothing at `path`.
            SchemaError: it was written by a newer version.
            FormatError: it is not a collection, or its catalog is damaged.
            SphereError: the path cannot be followed or may not be read.
        """
        try:
            path = Path(path).resolve()
            there, whole = path.exists(), (path / CATALOG).is_file()
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
            raise disk_error(error, f"open {path}") from error
        if not there:
            raise NotFoundError(f"there is no collection at {path}; check the name, or ingest into it first")
        if not whole:
            raise FormatError(f"{path} is not a collection: it has no {CATALOG}")
        collection = cls(path)
        with collection._catalog() as catalog:
            catalog.generation()
        return collection

    @contextlib.contextmanager
    def _catalog(self) -> Iterator[Catalog]:
        catalog = Catalog(self.path / CATALOG)
        try:
            yield catalog
        finally:
            catalog.close()

    @property
    def settings(self) -> dict[str, Setting]:
        """The settings of the latest generation."""
        with self._catalog() as catalog:
            return catalog.settings()

    def snapshot(self) -> Snapshot:
        """The latest generation, kept readable until the snapshot is closed."""
        with self._catalog() as catalog:
            return Snapshot(self.path, catalog)

    @contextlib.contextmanager
    def writer(self) -> Iterator["Writer"]:
        """The only writer until the `with` ends; parts that were never committed are removed at both ends.

        Raises:
            LockedError: another process is writing; the message names it.
            SphereError: the folder cannot be written.
        """
        with writer_lock(self.path / LOCK, str(self.path)), self._catalog() as catalog:
            writer = Writer(self.path, catalog)
            writer.sweep()
            try:
                yield writer
            finally:
                with contextlib.suppress(SphereError):  # the next writer does it
                    writer.sweep()

    def sources(self) -> Iterator[SourceRow]:
        """Every live path of the latest generation, by uri."""
        with self._catalog() as catalog, catalog.reading() as connection:
            rows = connection.execute(
                "SELECT uri, name, digest, documents.size, modality, encoding, title, mtime_ns FROM paths "
                "JOIN documents ON documents.id = document ORDER BY uri"
            ).fetchall()
        for uri, name, digest, size, modality, encoding, title, mtime_ns in rows:
            yield SourceRow(
                from_blob(uri), from_blob(name), digest, size, modality, encoding, from_blob(title), mtime_ns
            )

    def stats(self) -> dict[str, int | dict[str, int]]:
        """Counts of the latest generation: sources, paths, raw bytes, parts, files, bytes stored (files and
        catalog), dead documents (whose room `compact` wins back), and sources of each modality."""
        with self._catalog() as catalog, catalog.reading() as connection:
            latest = catalog.generation()

            def one(query: str) -> int:
                return connection.execute(query).fetchone()[0]

            return {
                "generation": latest.number,
                "sources": latest.documents,
                "paths": latest.paths,
                "bytes": latest.size,
                "parts": one("SELECT count(*) FROM parts"),
                "files": one("SELECT count(*) FROM files"),
                "stored": one("SELECT coalesce(sum(size), 0) FROM files")
                + (self.path / CATALOG).stat().st_size,
                "dead": one("SELECT count(*) FROM dead"),
                "modalities": dict(
                    connection.execute(
                        "SELECT modality, count(*) FROM documents GROUP BY modality ORDER BY modality"
                    )
                ),
            }

    def verify(self, *, progress: Progress = SILENT) -> list[str]:
        """Read everything again and compare it with what was committed.

        Returns:
            every problem found, one line each; an empty list means that the collection is sound.

        Raises:
            FormatError: the catalog cannot be read at all.
        """
        with self._catalog() as catalog:
            found = catalog.audit()
            if found:  # what it says about files means nothing then
                return found
            try:
                snapshot = Snapshot(self.path, catalog)
            except FormatError as error:
                return [str(error)]
        with snapshot:
            progress.start(
                "verify", sum(size for part in snapshot.parts for size, _ in part.files.values()), "B"
            )
            for part in snapshot.parts:
                for name, (size, digest) in part.files.items():
                    path = part.folder / name
                    try:
                        got = checksum(path)
                    except OSError as error:
                        found.append(str(disk_error(error, f"read {path}")))
                    else:
                        if got[0] != size:
                            found.append(f"{path}: {got[0]} bytes, {size} were committed")
                        elif got[1] != digest:
                            found.append(f"{path}: its checksum is not the one that was committed")
                    progress.advance(size)
            progress.finish()
        return found
