"""What a reader holds: the manifest of one generation, and a shared lock on each part that it names."""

import contextlib
import os
import re
import weakref
from pathlib import Path
from types import TracebackType

import numpy as np

from thesphere.errors import FormatError
from thesphere.store.catalog import Catalog
from thesphere.store.lock import grab
from thesphere.store.part import FOLDER, LEASE, PARTS, PartView, disk_error

ANY_NAME = re.compile(r"(?!\.\.?$)[^/\0]+")


class Snapshot:
    """One generation, as it was when the snapshot was taken. Close it, or use it in a `with`.

    Attributes:
        generation: its number.
        hash: the hash of its manifest.
        settings: the collection's settings at that time.
        parts: its parts, oldest first.
        sources: live documents (identical files count once).
        paths: live paths.
        bytes: raw bytes of the live documents.
    """

    def __init__(self, root: Path, catalog: Catalog) -> None:
        leases: list[int] = []
        self._finalizer = weakref.finalize(self, _release, leases)
        try:
            with catalog.reading() as connection:
                latest = catalog.generation()
                self.settings = catalog.settings()
                files: dict[int, dict[str, tuple[int, bytes]]] = {}
                for part, name, size, digest in connection.execute(
                    "SELECT part, name, size, sha256 FROM files"
                ):
                    files.setdefault(part, {})[_plain(root, name)] = (size, digest)
                dead: dict[int, list[int]] = {}
                for part, ordinal in connection.execute(
                    "SELECT part, ordinal FROM dead ORDER BY part, ordinal"
                ):
                    dead.setdefault(part, []).append(ordinal)
                rows = connection.execute("SELECT id, folder, documents FROM parts ORDER BY id").fetchall()
                # Within the transaction: no commit can end, so no part of this generation can be removed.
                folders = {part: root / PARTS / _plain(root, folder, FOLDER) for part, folder, _ in rows}
                for folder in folders.values():
                    leases.append(_lease(folder))
            self.generation, self.hash = latest.number, latest.hash
            self.sources, self.paths, self.bytes = latest.documents, latest.paths, latest.size
            try:
                self.parts = [
                    PartView(
                        part,
                        folders[part],
                        count,
                        np.array(dead.get(part, []), np.int64),
                        files.get(part, {}),
                    )
                    for part, _, count in rows
                ]
            except (TypeError, ValueError, OverflowError) as error:
                raise FormatError(f"{root} is damaged: its catalog names a part wrongly") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the parts go."""
        self._finalizer()

    def __enter__(self) -> "Snapshot":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lease(folder: Path) -> int:
    """Open a part's lease file and hold it shared."""
    try:
        descriptor = os.open(folder / LEASE, os.O_RDONLY)
    except FileNotFoundError as error:
        raise FormatError(f"{folder / LEASE} is missing; restore the collection from a copy") from error
    except OSError as error:
        raise disk_error(error, f"read {folder}") from error
    with contextlib.suppress(OSError):  # a file system without locks: then nothing can be removed either
        grab(descriptor, exclusive=False)
    return descriptor


def _release(leases: list[int]) -> None:
    while leases:
        with contextlib.suppress(OSError):
            os.close(leases.pop())


def _plain(root: Path, name: object, pattern: re.Pattern[str] = ANY_NAME) -> str:
    """A name from the catalog that stays inside its folder."""
    if not isinstance(name, str) or not pattern.fullmatch(name):
        raise FormatError(f"{root} is damaged: its catalog names the file {str(name)[:60]!r}")
    return name
