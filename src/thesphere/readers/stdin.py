"""Standard input as one source."""

import io
import os
import sys
import tempfile
import weakref
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from thesphere.errors import InputError
from thesphere.readers.base import HEAD, Skipped, Source
from thesphere.readers.sniff import sniff

_IN_MEMORY = 8 << 20


class _Spool:
    """A temporary file that goes when nothing refers to it any more, and opens as often as needed."""

    def __init__(self) -> None:
        handle, self.path = tempfile.mkstemp(prefix="thesphere-stdin-")
        os.close(handle)
        weakref.finalize(self, os.unlink, self.path)

    def open(self) -> BinaryIO:
        return open(self.path, "rb")


def read_stdin(max_size: int) -> Iterator[Source | Skipped]:
    """Standard input, read to its end: kept in memory up to 8 MiB, else in a temporary file."""
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise InputError("standard input ('-') is not open; pipe something into the command, or name a path")
    start = stream.read(_IN_MEMORY)
    size, opener = len(start), partial(io.BytesIO, start)
    if size == _IN_MEMORY:
        spool = _Spool()
        opener = spool.open
        with open(spool.path, "wb") as out:
            out.write(start)
            while (block := stream.read(1 << 20)) and size <= max_size:
                size += out.write(block)
    if size > max_size:
        yield Skipped("stdin", f"above the limit of {max_size} bytes (--max-size)")
        return
    head = start[:HEAD]
    modality, encoding = sniff("stdin", head, complete=size <= HEAD)
    yield Source("stdin", "stdin", "", modality, encoding, size, 0, opener)
