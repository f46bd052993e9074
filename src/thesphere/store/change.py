"""One commit in the making: what it changes in the rows of the catalog."""

import time
from collections.abc import Iterable, Mapping

from thesphere.errors import InputError
from thesphere.store.catalog import (
    ROWS,
    Catalog,
    Document,
    Generation,
    PathEntry,
    Setting,
    Tally,
    generation_hash,
    to_blob,
)


class Change:
    """One commit in the making: edits rows inside a write transaction and keeps tally and counts in step."""

    def __init__(self, catalog: Catalog) -> None:
        self.run = catalog.connection.execute
        first = not self.run("SELECT 1 FROM generations LIMIT 1").fetchone()
        latest = None if first else catalog.generation()
        self.before = latest.hash if latest else b""
        self.number = latest.number + 1 if latest else 0
        self.documents = latest.documents if latest else 0
        self.paths = latest.paths if latest else 0
        self.bytes = latest.size if latest else 0
        self.tally = Tally(latest.tally if latest else b"")
        self._unsure: set[int] = set()  # documents that may have lost their last path
        self._shrunk: set[int] = set()  # parts that have lost a document

    def set(self, settings: Mapping[str, Setting]) -> None:
        """Add or change settings."""
        for name, value in settings.items():
            old = self.run("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
            if old:
                self.tally.drop("setting", name, *old)
            self.run("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
            self.tally.add("setting", name, value)

    def add_part(self, folder: str, files: Iterable[tuple[str, int, bytes]], documents: int) -> int:
        """Name a part and its (name, size, sha256). Returns the part's id."""
        part = self.run(
            "INSERT INTO parts (folder, generation, documents) VALUES (?, ?, ?)",
            (folder, self.number, documents),
        ).lastrowid
        assert part is not None
        self.tally.add("part", part, folder, self.number, documents)
        for file in files:
            self.run("INSERT INTO files VALUES (?, ?, ?, ?)", (part, *file))
            self.tally.add("file", part, *file)
        return part

    def drop_part(self, part: int) -> None:
        """The part is no longer named; all its documents must be dead."""
        named_in = [("file", "files", "part"), ("dead", "dead", "part"), ("part", "parts", "id")]
        for kind, table, key in named_in:
            for row in self.run(f"{ROWS[kind]} WHERE {key} = ?", (part,)).fetchall():
                self.tally.drop(kind, *row)
            self.run(f"DELETE FROM {table} WHERE {key} = ?", (part,))

    def put_document(self, document: Document, pieces: Iterable[tuple[int, int]]) -> None:
        """A document and all its pieces; they replace those of the same digest."""
        new = (document.digest, document.size, document.modality, document.encoding, to_blob(document.title))
        old = self.run(
            "SELECT id, digest, size, modality, encoding, title FROM documents WHERE digest = ?",
            (document.digest,),
        ).fetchone()
        if old:
            number = old[0]
            self._bury_pieces(number, document.digest)
            self.tally.drop("document", *old[1:])
            self.bytes -= old[2]
            self.run(
                "UPDATE documents SET size = ?, modality = ?, encoding = ?, title = ? WHERE id = ?",
                (*new[1:], number),
            )
        else:
            number = self.run(
                "INSERT INTO documents (digest, size, modality, encoding, title) VALUES (?, ?, ?, ?, ?)", new
            ).lastrowid
            assert number is not None
            self.documents += 1
            self._unsure.add(number)
        self.bytes += document.size
        self.tally.add("document", *new)
        for part, ordinal in pieces:
            self.run("INSERT INTO pieces VALUES (?, ?, ?)", (part, ordinal, number))
            self.tally.add("piece", part, ordinal, document.digest)

    def put_path(self, path: PathEntry) -> None:
        """Add a path, or point the one of that uri elsewhere.

        Raises:
            InputError: its content is neither stored nor in this commit.
        """
        self.forget_path(path.uri)
        row = self.run("SELECT id FROM documents WHERE digest = ?", (path.digest,)).fetchone()
        if row is None:
            raise InputError(f"{path.uri!r} points to content that is neither stored nor in this commit")
        uri, name = to_blob(path.uri), to_blob(path.name)
        self.run(
            "INSERT INTO paths (uri, name, document, mtime_ns, size) VALUES (?, ?, ?, ?, ?)",
            (uri, name, row[0], path.mtime_ns, path.size),
        )
        self.paths += 1
        self.tally.add("path", uri, name, path.digest, path.mtime_ns, path.size)

    def forget_path(self, uri: str) -> None:
        """The uri is no longer known (nothing happens if it was not)."""
        row = self.run(
            "SELECT paths.id, document, uri, name, digest, mtime_ns, paths.size FROM paths "
            "JOIN documents ON documents.id = document WHERE uri = ?",
            (to_blob(uri),),
        ).fetchone()
        if row:
            self.run("DELETE FROM paths WHERE id = ?", row[:1])
            self.tally.drop("path", *row[2:])
            self.paths -= 1
            self._unsure.add(row[1])

    def finish(self) -> int:
        """Bury documents without a path, drop parts without a document, add the generation; its number."""
        for number in sorted(self._unsure):
            if not self.run("SELECT 1 FROM paths WHERE document = ? LIMIT 1", (number,)).fetchone():
                self._bury(number)
        for part in sorted(self._shrunk):
            if not self.run("SELECT 1 FROM pieces WHERE part = ? LIMIT 1", (part,)).fetchone():
                self.drop_part(part)
        row = (self.number, time.time_ns(), self.documents, self.paths, self.bytes, self.tally.digest())
        latest = Generation(*row, b"")
        self.run(
            "INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*row, generation_hash(latest, self.before)),
        )
        return self.number

    def _bury(self, number: int) -> None:
        row = self.run(
            "SELECT digest, size, modality, encoding, title FROM documents WHERE id = ?", (number,)
        ).fetchone()
        self._bury_pieces(number, row[0])
        self.run("DELETE FROM documents WHERE id = ?", (number,))
        self.tally.drop("document", *row)
        self.documents -= 1
        self.bytes -= row[1]

    def _bury_pieces(self, number: int, digest: bytes) -> None:
        for piece in self.run("SELECT part, ordinal FROM pieces WHERE document = ?", (number,)).fetchall():
            self.run("DELETE FROM pieces WHERE part = ? AND ordinal = ?", piece)
            self.tally.drop("piece", *piece, digest)
            self.run("INSERT INTO dead VALUES (?, ?)", piece)
            self.tally.add("dead", *piece)
            self._shrunk.add(piece[0])
