"""What a reader takes and gives: files in, sources out."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol
from urllib.parse import quote_from_bytes, unquote_to_bytes

Modality = Literal["text", "code", "binary", "row"]

HEAD = 64 << 10
"""Bytes at the start of a file that decide what it is."""

_ODD = "bytes:"  # marks the uri of a path that is not valid text in the file system's encoding


@dataclass(frozen=True, slots=True)
class Source:
    """One ingested file, row or stream (older name: trunk).

    Attributes:
        uri: unique. The resolved absolute path; of a row `path#row/column`, rows counted from 0, the column
            percent-encoded (plain names stay as they are); "stdin".
            A path that is not valid text is written "bytes:" and percent-encoded; `path_of` reads both.
        name: what people see: the path relative to the parent of the argument that led to it, printable.
        title: words that belong to the source though they are not in its bytes (a row's title), "" otherwise.
        modality: "text", "code", "binary" or "row".
        encoding: a Python codec name, or "bytes" where the content is not text.
        size: length in bytes.
        mtime_ns: time of the last change of the file (of a row: of its file); 0 if there is no file.
        open: gives a new stream of the original bytes; of a row, the UTF-8 of its text.
    """

    uri: str
    name: str
    title: str
    modality: Modality
    encoding: str
    size: int
    mtime_ns: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was met and not read: its name as people see it, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of a source's original bytes (older name: branch).

    Attributes:
        start: offset of `data` in the source.
        data: the bytes; never empty, begins and ends on a character border of `encoding`.
        encoding: the source's encoding.
    """

    start: int
    data: bytes
    encoding: str


class Unreadable(Exception):
    """A file cannot be read as it must: the user's error if the file was named, else it is skipped."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(slots=True)
class File:
    """A regular file that the walk met, with its first bytes.

    `path` opens it, `uri` and `name` are those of Source, `named` tells that the user gave this very path.
    """

    path: str
    uri: str
    name: str
    size: int
    mtime_ns: int
    head: bytes
    named: bool = False

    @property
    def complete(self) -> bool:
        """Whether `head` was, when it was read, the whole file."""
        return self.size < HEAD


class Reader(Protocol):
    """One way to make sources of a file. A new one is a module with such an object and a line in READERS."""

    @property
    def name(self) -> str: ...

    def accepts(self, path: str, head: bytes) -> bool:
        """Whether this reader takes the file at `path` that begins with `head` (at most HEAD bytes)."""
        ...

    def read(self, file: File, column: str | None) -> Iterator[Source | Skipped]:
        """The sources of `file`; may raise Unreadable. `column` is the user's choice for rows."""
        ...


def printable(name: str) -> str:
    """`name` with undecodable bytes and control characters escaped, fit for a terminal, JSON and SQLite."""
    if name.isprintable():
        return name
    text = os.fsencode(name).decode(sys.getfilesystemencoding(), "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def uri_of(path: str) -> str:
    """The uri of an absolute path: the path itself where that is valid text, else percent-encoded bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return _ODD + quote_from_bytes(os.fsencode(path), safe="/")
    return path


def path_of(uri: str) -> str | None:
    """The path that opens the file behind `uri` (of a row: the file with it); None for standard input."""
    if uri == "stdin":
        return None
    if uri.startswith(_ODD):
        return os.fsdecode(unquote_to_bytes(uri[len(_ODD) :].partition("#")[0]))
    if os.path.lexists(uri):
        return uri
    path, mark, row = uri.rpartition("#")
    return path if mark and row.partition("/")[0].isdigit() else uri
