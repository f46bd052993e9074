"""The readers in the order in which they are asked, and `read`, which asks them."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from thesphere.errors import InputError, NotFoundError
from thesphere.readers.base import File, Reader, Skipped, Source, Unreadable, printable
from thesphere.readers.plain import PLAIN
from thesphere.readers.rows import Rows
from thesphere.readers.stdin import read_stdin
from thesphere.readers.walk import Walk

READERS: tuple[Reader, ...] = (
    Rows(),
    PLAIN,  # takes everything: keep it last
)


def read(
    paths: str | Path | Iterable[str | Path], *, max_size: int = 1 << 30, column: str | None = None
) -> Iterator[Source | Skipped]:
    """Everything below `paths`, one source after another, in an order that depends on names alone.

    Args:
        paths: files, folders, and "-" for standard input.
        max_size: larger files are skipped, in bytes.
        column: the field of rows (jsonl, csv, tsv, parquet) that holds the text; by default the first that is
            not blank of text, content, instruction, output, raw, messages.

    Returns:
        An iterator of Source, and of Skipped for what was met and not read. Each file comes once.

    Raises:
        NotFoundError: a path does not exist; at once, before anything is read.
        InputError: no path was given, or (while iterating) a file that was named lacks `column`.
        MissingExtra, FormatError: (while iterating) a file that was named cannot be read.

    What is wrong with a file that was not named, but found in a folder, is told by Skipped.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise InputError("no path was given; name files or folders, or '-' for standard input")
    given = [_checked(path) for path in given]
    return _read(given, max_size, column)


def _checked(path: str | Path) -> str:
    path = os.fspath(path)
    if path == "-":
        return path
    shown = printable(path)
    if not path or "\0" in path:
        raise InputError(f"'{shown}' is not a path; name a file or folder, or '-' for standard input")
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "is a link to nothing" if os.path.islink(path) else "does not exist"
        raise NotFoundError(f"{shown} {what}; name a file or folder that exists") from error
    except PermissionError:  # the walk says so, and goes on with the others
        return path
    except OSError as error:
        raise InputError(
            f"{shown} cannot be opened ({error.strerror or error}); name a file or folder that can"
        ) from error
    return path


def _read(paths: list[str], max_size: int, column: str | None) -> Iterator[Source | Skipped]:
    walk, stdin_read = Walk(max_size), False
    for path in paths:
        if path == "-":
            if not stdin_read:
                yield from read_stdin(max_size)
            stdin_read = True
            continue
        for found in walk.argument(path):
            if isinstance(found, Skipped):
                yield found
            else:
                yield from _sources(found, column)


def _sources(file: File, column: str | None) -> Iterator[Source | Skipped]:
    reader = next(reader for reader in READERS if reader.accepts(file.path, file.head))
    try:
        yield from reader.read(file, column)
    except Unreadable as unreadable:
        if file.named:
            raise unreadable.error from unreadable
        yield Skipped(file.name, str(unreadable))
    except OSError as error:
        yield Skipped(file.name, f"cannot be read: {error.strerror or error}")
