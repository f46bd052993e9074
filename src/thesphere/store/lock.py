"""Locks of the operating system (flock): they vanish with the process that holds them, however it ends."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from thesphere.errors import LockedError
from thesphere.store.part import disk_error


@contextlib.contextmanager
def writer_lock(path: Path, what: str) -> Iterator[None]:
    """Hold the exclusive lock on `path`, which is made if need be and then holds our process id.

    Raises:
        LockedError: someone else holds it; the message names their process.
        SphereError: the file cannot be made (read-only folder, full disk).
    """
    descriptor = None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not grab(descriptor, exclusive=True):
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise LockedError(f"{what} is being written by process {holder}; wait until it has finished")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BaseException as error:
        if descriptor is not None:
            os.close(descriptor)
        if isinstance(error, OSError):
            raise disk_error(error, f"write to {what}") from error
        raise
    try:
        yield
    finally:
        os.close(descriptor)


def grab(descriptor: int, *, exclusive: bool) -> bool:
    """Try to lock an open file without waiting; False if someone else's lock stands against it.

    Raises:
        OSError: the file system knows no such locks.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True
