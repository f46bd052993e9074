"""`catalog.db`: the single truth of a collection, a small SQLite database.

    generations  one row for each commit: counts and the hash of everything that is live
    settings     name -> text or number
    parts        folders that are live
    files        files of a part with size and SHA-256
    documents    live contents, once for each digest
    pieces       where a live document lies: (part, ordinal), more than one if it spans parts
    dead         (part, ordinal) whose document was removed or written anew
    paths        uri, name -> document; many to one

The manifest of a generation is the set of all these rows. Its tally is the sum modulo 2^256 of the SHA-256 of
the rows, so a commit costs what it changes and never what is there; `audit` adds it up again. A generation's
hash covers its tally, its counts and the hash of the generation before.

Text from file names may hold any bytes (surrogates), so it is stored as a blob.
"""

import contextlib
import functools
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from thesphere.errors import FormatError, LockedError, SchemaError, SphereError

Setting = str | int | float

_APPLICATION = 0x54535048  # "TSPH"
_BUSY_SECONDS = 60.0
_MODULUS = 1 << 256

M001_FIRST = """
CREATE TABLE generations (
    number INTEGER PRIMARY KEY, created_ns INTEGER NOT NULL, documents INTEGER NOT NULL,
    paths INTEGER NOT NULL, bytes INTEGER NOT NULL, tally BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE settings (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE parts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, folder TEXT NOT NULL UNIQUE, generation INTEGER NOT NULL,
    documents INTEGER NOT NULL);
CREATE TABLE files (
    part INTEGER NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, sha256 BLOB NOT NULL,
    PRIMARY KEY (part, name)) WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, modality TEXT NOT NULL,
    encoding TEXT NOT NULL, title BLOB NOT NULL);
CREATE TABLE pieces (
    part INTEGER NOT NULL, ordinal INTEGER NOT NULL, document INTEGER NOT NULL,
    PRIMARY KEY (part, ordinal)) WITHOUT ROWID;
CREATE INDEX pieces_of_document ON pieces (document);
CREATE TABLE dead (
    part INTEGER NOT NULL, ordinal INTEGER NOT NULL, PRIMARY KEY (part, ordinal)) WITHOUT ROWID;
CREATE TABLE paths (
    id INTEGER PRIMARY KEY, uri BLOB NOT NULL UNIQUE, name BLOB NOT NULL, document INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL);
CREATE INDEX paths_of_document ON paths (document);
"""

MIGRATIONS = [M001_FIRST]  # in order; the schema number is how many of them a catalog has seen
SCHEMA = len(MIGRATIONS)

TABLES = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"
GENERATIONS = "SELECT number, created_ns, documents, paths, bytes, tally, hash FROM generations"
ROWS = {  # every row that a manifest covers, with names in place of numbers
    "setting": "SELECT name, value FROM settings",
    "part": "SELECT id, folder, generation, documents FROM parts",
    "file": "SELECT part, name, size, sha256 FROM files",
    "document": "SELECT digest, size, modality, encoding, title FROM documents",
    "piece": "SELECT part, ordinal, digest FROM pieces JOIN documents ON documents.id = document",
    "dead": "SELECT part, ordinal FROM dead",
    "path": "SELECT uri, name, digest, mtime_ns, p.size FROM paths p JOIN documents d ON d.id = document",
}


@dataclass(frozen=True)
class Document:
    """A piece of content as a part holds it.

    Attributes:
        ordinal: its number in the part, from 0.
        digest: hash of the content; the same digest is the same content.
        size: bytes of the whole content (also if the part holds only a piece of it).
        modality, encoding, title: what the reader found.
    """

    ordinal: int
    digest: bytes
    size: int
    modality: str = ""
    encoding: str = ""
    title: str = ""


@dataclass(frozen=True)
class PathEntry:
    """Where a document was found: `uri` is unique, `name` is for people; size and time as the reader saw."""

    uri: str
    name: str
    digest: bytes
    mtime_ns: int = 0
    size: int = 0


@dataclass(frozen=True)
class Known:
    """A live document: by its path (size and mtime_ns of the path) or by its content (mtime_ns is 0).

    (part, ordinal) is its first piece.
    """

    digest: bytes
    size: int
    mtime_ns: int
    part: int
    ordinal: int


@dataclass(frozen=True)
class Generation:
    """One commit: number, time (ns since 1970), live documents, paths and raw bytes, hashes of its rows."""

    number: int
    created_ns: int
    documents: int
    paths: int
    size: int
    tally: bytes
    hash: bytes


class Catalog:
    """One connection to a catalog.

    Raises (also every method):
        SchemaError: written by a newer version.
        FormatError: not a catalog, cut off or damaged.
        LockedError: another connection has kept it for a minute.
        SphereError: the disk is full, read-only or failing.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        with told(path, "open"):
            mode = "rwc" if create else "rw"  # rw falls back to reading on a read-only disk
            self.connection = sqlite3.connect(
                f"file:{quote(os.fsencode(path))}?mode={mode}",
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with told(path, "open"):
                self._prepare(create)
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self, create: bool) -> None:
        for pragma in (
            "journal_mode = DELETE",  # one file: a copied or read-only folder is whole
            "synchronous = EXTRA",  # FULL, and the folder is flushed once the journal has gone
            "fullfsync = ON",
            "trusted_schema = OFF",
            "cell_size_check = ON",
            "temp_store = MEMORY",
            "cache_size = -65536",
        ):
            if create or not pragma.startswith("journal_mode"):
                self.connection.execute(f"PRAGMA {pragma}")
        if create:
            with self.transaction():
                self.connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                _migrate(self.connection)
        if self._number("PRAGMA application_id") != _APPLICATION:
            raise FormatError(f"{self.path.parent} is not a collection: {self.path.name} is not a catalog")
        schema = self._number("PRAGMA user_version")
        if schema > SCHEMA:
            raise SchemaError(
                f"{self.path.parent} has schema {schema}, this version reads up to {SCHEMA}: upgrade it"
            )
        if schema != SCHEMA or set(self.connection.execute(TABLES)) != _expected_tables():
            raise FormatError(f"{self.path} is damaged: its tables are not those of schema {SCHEMA}")

    def close(self) -> None:
        """Close the database."""
        self.connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: everything inside sees one generation, and no commit ends meanwhile."""
        with told(self.path, "read"), self._between("BEGIN"):
            yield self.connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: all of it happens, or nothing."""
        with told(self.path, "write to"), self._between("BEGIN IMMEDIATE"):
            yield self.connection

    @contextlib.contextmanager
    def _between(self, begin: str) -> Iterator[None]:
        self.connection.execute(begin)
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
            raise

    def _number(self, query: str) -> int:
        return int(self.connection.execute(query).fetchone()[0])

    # -- reading; inside a transaction where more than one answer must belong together --

    def generation(self) -> Generation:
        """The latest generation; its hash is checked against its row."""
        with told(self.path, "read"):
            rows = self.connection.execute(f"{GENERATIONS} ORDER BY number DESC LIMIT 2").fetchall()
        if not rows:
            raise FormatError(f"{self.path} is damaged: it has no generation")
        latest = Generation(*rows[0])
        if latest.hash != generation_hash(latest, rows[1][-1] if len(rows) > 1 else b""):
            raise FormatError(f"{self.path} is damaged: the hash of generation {latest.number} is wrong")
        return latest

    def settings(self) -> dict[str, Setting]:
        """The settings of the latest generation, by name."""
        with told(self.path, "read"):
            return dict(self.connection.execute("SELECT name, value FROM settings ORDER BY name"))

    def known(self, uri: str) -> Known | None:
        """What is live under this uri; size and mtime_ns are those of the path."""
        return self._known(
            "SELECT digest, paths.size, mtime_ns, part, ordinal FROM paths "
            "JOIN documents ON documents.id = document JOIN pieces USING (document) "
            "WHERE uri = ? ORDER BY part, ordinal LIMIT 1",
            to_blob(uri),
        )

    def content(self, digest: bytes) -> Known | None:
        """The live content with this hash; mtime_ns is 0."""
        return self._known(
            "SELECT digest, size, 0, part, ordinal FROM documents JOIN pieces ON document = documents.id "
            "WHERE digest = ? ORDER BY part, ordinal LIMIT 1",
            digest,
        )

    def _known(self, query: str, key: bytes) -> Known | None:
        with told(self.path, "read"):
            row = self.connection.execute(query, (key,)).fetchone()
        return Known(*row) if row else None

    def paths_of(self, digest: bytes) -> list[tuple[str, str]]:
        """(uri, name) of every path to this content, by uri."""
        with told(self.path, "read"):
            rows = self.connection.execute(
                "SELECT uri, name FROM paths "
                "WHERE document = (SELECT id FROM documents WHERE digest = ?) ORDER BY uri",
                (digest,),
            ).fetchall()
        return [(from_blob(uri), from_blob(name)) for uri, name in rows]

    def pieces_of(self, digest: bytes) -> list[tuple[int, int]]:
        """(part, ordinal) of every piece of this content, in order."""
        with told(self.path, "read"):
            return self.connection.execute(
                "SELECT part, ordinal FROM pieces "
                "WHERE document = (SELECT id FROM documents WHERE digest = ?) ORDER BY part, ordinal",
                (digest,),
            ).fetchall()

    def audit(self) -> list[str]:
        """What is wrong with the catalog itself: B-trees, the chain of generations, the tally of the rows."""
        found = []
        with self.reading() as connection:
            for (line,) in connection.execute("PRAGMA integrity_check"):
                if line != "ok":
                    found.append(f"catalog: {' '.join(line.split())}")
            before = b""
            for number, row in enumerate(connection.execute(f"{GENERATIONS} ORDER BY number")):
                generation = Generation(*row)
                if generation.number != number or generation.hash != generation_hash(generation, before):
                    found.append(f"catalog: the hash of generation {generation.number} is wrong")
                before = generation.hash
            tally = Tally()
            counts = {}
            for kind, query in ROWS.items():
                counts[kind] = 0
                for row in connection.execute(query):
                    tally.add(kind, *row)
                    counts[kind] += 1
            latest = self.generation()
            raw = self._number("SELECT coalesce(sum(size), 0) FROM documents")
            if tally.digest() != latest.tally:
                found.append(f"catalog: the manifest of generation {latest.number} does not have its hash")
            if (counts["document"], counts["path"], raw) != (latest.documents, latest.paths, latest.size):
                found.append(f"catalog: the counts of generation {latest.number} are wrong")
        return found


class Tally:
    """The hash of a set of rows: a sum, so rows come and go in any order at a cost of one hash each."""

    def __init__(self, digest: bytes = b"") -> None:
        self._sum = int.from_bytes(digest, "little")

    def add(self, kind: str, *row: Any) -> None:
        """A row has come."""
        self._sum = (self._sum + _row_hash(kind, row)) % _MODULUS

    def drop(self, kind: str, *row: Any) -> None:
        """A row that was added before has gone."""
        self._sum = (self._sum - _row_hash(kind, row)) % _MODULUS

    def digest(self) -> bytes:
        """The hash, 32 bytes."""
        return self._sum.to_bytes(32, "little")


def _migrate(connection: sqlite3.Connection) -> None:
    for statement in ";".join(MIGRATIONS).split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


@functools.cache
def _expected_tables() -> set[tuple[str, str, str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        _migrate(connection)
        return set(connection.execute(TABLES))


def _row_hash(kind: str, row: tuple[Any, ...]) -> int:
    return int.from_bytes(hashlib.sha256(ascii((kind, *row)).encode()).digest(), "little")


def generation_hash(generation: Generation, before: bytes) -> bytes:
    """SHA-256 over a generation's own columns and the hash of the one before."""
    g = generation
    row = (before, g.number, g.created_ns, g.documents, g.paths, g.size, g.tally)
    return hashlib.sha256(ascii(row).encode()).digest()


def to_blob(text: str) -> bytes:
    """A text as the catalog keeps it: UTF-8, half surrogate pairs included."""
    return text.encode("utf-8", "surrogatepass")


def from_blob(blob: bytes) -> str:
    """The text that `to_blob` kept.

    Raises:
        FormatError: it is not one.
    """
    try:
        return blob.decode("utf-8", "surrogatepass")
    except (AttributeError, UnicodeDecodeError) as error:
        raise FormatError(f"the catalog is damaged: {blob!r:.60} is not a text") from error


@contextlib.contextmanager
def told(path: Path, doing: str) -> Iterator[None]:
    """Turn SQLite's errors into one clear line."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise  # a mistake of the caller, not of the disk
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise SphereError(
                f"cannot {doing} {path}: the disk is full; free some space and run the command again"
            ) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LockedError(
                f"cannot {doing} {path}: another process keeps it locked; try again later"
            ) from error
        if code in (
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_PERM,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_AUTH,
        ):
            raise SphereError(
                f"cannot {doing} {path}: {error}; check that the disk and the folder can be written"
            ) from error
        if code == sqlite3.SQLITE_IOERR:
            raise SphereError(f"cannot {doing} {path}: {error}; the disk is full or failing") from error
        raise FormatError(f"{path} is damaged or not a catalog: {' '.join(str(error).split())}") from error
    except UnicodeDecodeError as error:  # even the message quotes damaged bytes
        raise FormatError(f"{path} is damaged or not a catalog") from error
