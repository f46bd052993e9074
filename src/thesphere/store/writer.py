"""What changes a collection: fresh part folders, commits, and the removal of what nobody names or reads."""

import math
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from thesphere.errors import InputError
from thesphere.store.catalog import Catalog, Document, Known, PathEntry, Setting, told
from thesphere.store.change import Change
from thesphere.store.lock import grab
from thesphere.store.part import FOLDER, LEASE, PARTS, disk_error, new_folder, seal, sync

_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class NewPart:
    """A finished folder from `Writer.new_part`, and the documents in it: ordinals 0 to n - 1, in any order.

    A document that spans parts stands in each of them under the same digest; parts are given in the order of
    its bytes. A part may have no documents at all (shared arrays); it then stays until dropped by number.
    """

    folder: Path
    documents: Sequence[Document] = ()


class Writer:
    """Changes a collection, one commit after another. Made by `Collection.writer`; one thread at a time."""

    def __init__(self, path: Path, catalog: Catalog) -> None:
        self.path = path
        self._catalog = catalog

    def new_part(self) -> Path:
        """A fresh folder under `parts/`, seen by nobody until it is committed."""
        return new_folder(self.path / PARTS, self._catalog.generation().number + 1)

    @property
    def settings(self) -> dict[str, Setting]:
        """The settings of the latest generation."""
        return self._catalog.settings()

    def known(self, uri: str) -> Known | None:
        """What is live under this uri; size and mtime_ns are those of the path."""
        return self._catalog.known(uri)

    def content(self, digest: bytes) -> Known | None:
        """The live content with this hash; mtime_ns is 0."""
        return self._catalog.content(digest)

    def paths(self, digest: bytes) -> list[tuple[str, str]]:
        """(uri, name) of every live path to this content, by uri."""
        return self._catalog.paths_of(digest)

    def pieces(self, digest: bytes) -> list[tuple[int, int]]:
        """(part, ordinal) of every piece of this content, in the order of its bytes."""
        return self._catalog.pieces_of(digest)

    def commit(
        self,
        parts: Sequence[NewPart] = (),
        *,
        paths: Iterable[PathEntry] = (),
        forget: Iterable[str] = (),
        remove: Iterable[bytes] = (),
        drop: Iterable[int] = (),
        settings: Mapping[str, Setting] | None = None,
    ) -> int:
        """Make a change visible, all of it or nothing.

        A document without a path dies with the commit; a part without a live document is no longer named. A
        document whose digest is live already takes the place of its old copy.

        Args:
            parts: new folders with their documents.
            paths: added or pointed elsewhere (by uri; the last of equal ones counts).
            forget: uris that are no longer there; done before `paths`.
            remove: digests of documents to remove with all their paths; done before `paths`.
            drop: numbers of parts without documents to drop.
            settings: added or changed.

        Returns:
            the number of the new generation.

        Raises:
            InputError: a folder that is not a new part, ordinals that are not 0 to n - 1, a path to unknown
                content.
            SphereError: the disk is full, read-only or failing; the collection is as it was.
        """
        settings = checked(settings or {})
        sealed = [(part, self._sealed(part)) for part in parts]
        if sealed:
            try:
                sync(self.path / PARTS)
            except OSError as error:
                raise disk_error(error, f"write {self.path / PARTS}") from error
        with self._catalog.transaction() as connection:
            change = Change(self._catalog)
            documents: dict[bytes, tuple[Document, list[tuple[int, int]]]] = {}
            for part, files in sealed:
                number = change.add_part(part.folder.name, files, len(part.documents))
                for document in part.documents:
                    documents.setdefault(document.digest, (document, []))[1].append(
                        (number, document.ordinal)
                    )
            for document, pieces in documents.values():
                change.put_document(document, pieces)
            for uri in forget:
                change.forget_path(uri)
            for digest in remove:
                for uri, _ in self._catalog.paths_of(digest):
                    change.forget_path(uri)
            for path in paths:
                change.put_path(path)
            for number in drop:
                row = connection.execute("SELECT documents FROM parts WHERE id = ?", (number,)).fetchone()
                if row != (0,):
                    raise InputError(f"part {number} cannot be dropped: it is unknown or holds documents")
                change.drop_part(number)
            change.set(settings)
            return change.finish()

    def _sealed(self, part: NewPart) -> list[tuple[str, int, bytes]]:
        folder = Path(part.folder)
        if folder.parent != self.path / PARTS or not FOLDER.fullmatch(folder.name) or not folder.is_dir():
            raise InputError(f"{folder} is not a part that this writer made")
        if sorted(document.ordinal for document in part.documents) != list(range(len(part.documents))):
            raise InputError(
                f"{folder}: the ordinals of its {len(part.documents)} documents are not 0, 1, 2 ..."
            )
        if len({document.digest for document in part.documents}) != len(part.documents):
            raise InputError(f"{folder} holds the same content twice")
        return seal(folder)

    def sweep(self) -> list[str]:
        """Remove the part folders that the latest generation does not name and no live reader holds.

        Returns:
            their names.
        """
        removed = []
        with told(self._catalog.path, "read"):
            named = {name for (name,) in self._catalog.connection.execute("SELECT folder FROM parts")}
        try:
            for entry in sorted(os.scandir(self.path / PARTS), key=lambda entry: entry.name):
                if (
                    entry.name in named
                    or not FOLDER.fullmatch(entry.name)
                    or not entry.is_dir(follow_symlinks=False)
                ):
                    continue
                if _remove(Path(entry.path)):
                    removed.append(entry.name)
        except OSError as error:
            raise disk_error(error, f"tidy {self.path / PARTS}") from error
        return removed


def _remove(folder: Path) -> bool:
    """Remove a part folder unless a reader holds it."""
    try:
        descriptor = os.open(folder / LEASE, os.O_RDWR)
    except FileNotFoundError:  # half made or half removed: nobody can hold it
        shutil.rmtree(folder)
        return True
    try:
        if not grab(descriptor, exclusive=True):
            return False
        shutil.rmtree(folder)
        return True
    finally:
        os.close(descriptor)


def checked(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """A copy of settings that a catalog can keep.

    Raises:
        InputError: a value is neither a text nor a finite number of 64 bits, or a text is not plain Unicode.
    """
    for name, value in settings.items():
        if any(isinstance(text, str) and _SURROGATE.search(text) for text in (name, value)):
            raise InputError(f"setting {name!r} holds half of a surrogate pair; give plain Unicode text")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InputError(f"setting {name!r} is {value!r}; a text or a number was expected")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"setting {name!r} is {value}; a finite number was expected")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InputError(f"setting {name!r} is {value}; it does not fit in 64 bits")
    return dict(settings)
