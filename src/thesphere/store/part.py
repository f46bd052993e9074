"""Durable files: written beside their name, flushed to the disk, then renamed; read back as memory maps.

A part is a folder of immutable files. What this module writes is either wholly there under its name or not at
all, whatever moment the machine stops at.
"""

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thesphere.errors import FormatError, InputError, NotFoundError, SphereError

_FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync alone leaves data in the drive's cache
_READ = 1 << 20

PARTS = "parts"
LEASE = "part.lock"  # readers hold it shared, who removes the part exclusively; not one of the part's files
FOLDER = re.compile(r"[0-9]{6,}-[0-9a-f]{8}")  # nothing else under parts/ is ever touched


@dataclass(frozen=True)
class PartView:
    """A part as one generation names it.

    Attributes:
        id: number of the part; never used again for another one.
        folder: where its files are.
        sources: documents in the part, removed ones included; their ordinals are 0 to sources - 1.
        dead: int64, sorted: the ordinals among them that are removed or written anew elsewhere.
        files: size in bytes and SHA-256 of each file by name.
    """

    id: int
    folder: Path
    sources: int
    dead: np.ndarray
    files: Mapping[str, tuple[int, bytes]]

    def file(self, name: str) -> Path:
        """The path of a file, which is there and has the size that was committed.

        Raises:
            FormatError: the part has no such file, or it is missing or cut off.
        """
        if name not in self.files:
            raise FormatError(f"{self.folder} has no file {name!r}")
        path = self.folder / name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise FormatError(f"{path} is missing; restore the collection from a copy") from error
        committed = self.files[name][0]
        if size != committed:
            raise FormatError(f"{path} has {size} bytes, {committed} were committed; restore it from a copy")
        return path


def new_folder(parts: Path, generation: int) -> Path:
    """Make a part folder with a fresh name and its lease file."""
    folder = parts / f"{generation:06d}-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
        (folder / LEASE).touch()
    except OSError as error:
        raise disk_error(error, f"write to {parts}") from error
    return folder


def seal(folder: Path) -> list[tuple[str, int, bytes]]:
    """Force a finished part onto the disk.

    Returns:
        name, size and SHA-256 of each of its files.

    Raises:
        InputError: it holds something that is not a plain file.
        SphereError: the disk is full or failing.
    """
    files = []
    try:
        for path in sorted(folder.iterdir()):
            if path.is_symlink() or not path.is_file():
                raise InputError(f"{path} is not a plain file: a part holds nothing else")
            sync(path)
            if path.name != LEASE:
                files.append((path.name, *checksum(path)))
        sync(folder)
    except OSError as error:
        raise disk_error(error, f"write {folder}") from error
    return files


def sync(path: Path) -> None:
    """Force the bytes of a file, or the names in a folder, onto the disk.

    Raises:
        OSError: what the operating system says.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _FULL_SYNC is not None:
            with contextlib.suppress(OSError):  # not every file system knows it
                fcntl.fcntl(descriptor, _FULL_SYNC)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a fresh path beside `path` to write to; when the block ends well it is flushed and renamed.

    A block that raises leaves `path` as it was and no temporary file.

    Raises:
        NotFoundError: the folder of `path` does not exist.
        SphereError: the disk is full, read-only or failing.
    """
    beside = path.with_name(f".{path.name[:64]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield beside
        sync(beside)
        os.replace(beside, path)
        sync(path.parent)
    except OSError as error:
        raise disk_error(error, f"write {path}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def map_file(path: Path) -> mmap.mmap | bytes:
    """The bytes of a file as a read-only memory map (an empty file gives `b""`, which cannot be mapped).

    Raises:
        NotFoundError: there is no such file.
        FormatError: it is not a regular file.
        SphereError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return b""
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except IsADirectoryError as error:
        raise FormatError(f"{path} is a folder; a file was expected") from error
    except (OSError, ValueError) as error:
        raise disk_error(error, f"read {path}") from error


def checksum(path: Path) -> tuple[int, bytes]:
    """Size in bytes and SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_READ):
            digest.update(block)
            size += len(block)
    return size, digest.digest()


def disk_error(error: Exception, doing: str) -> SphereError:
    """The one clear line for what went wrong on the disk; `doing` is a verb and its object, "write a.bin"."""
    number = getattr(error, "errno", None)
    if isinstance(error, SphereError):
        return error
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"cannot {doing}: there is no such file or folder; check the path")
    if number in (errno.ENOSPC, errno.EDQUOT):
        return SphereError(f"cannot {doing}: the disk is full; free some space and run the command again")
    if number == errno.EROFS:
        return SphereError(f"cannot {doing}: the disk is read-only; choose a place that can be written")
    if number in (errno.EACCES, errno.EPERM):
        return SphereError(f"cannot {doing}: permission denied; check who owns it")
    if number in (errno.EMFILE, errno.ENFILE):
        return SphereError(
            f"cannot {doing}: too many files are open; compact the collection, or raise ulimit -n"
        )
    reason = getattr(error, "strerror", None) or str(error)
    return SphereError(f"cannot {doing}: {reason}")
