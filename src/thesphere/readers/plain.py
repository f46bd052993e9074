"""Any file at all: text, code or bytes, as one source."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from thesphere.readers.base import File, Source
from thesphere.readers.sniff import sniff


@dataclass(frozen=True)
class Plain:
    """The last reader of the table: takes every file, its content as it is."""

    name: str = "plain"

    def accepts(self, path: str, head: bytes) -> bool:
        """Always."""
        return True

    def read(self, file: File, column: str | None = None) -> Iterator[Source]:
        """One source; `column` is for rows and is ignored."""
        modality, encoding = sniff(os.path.basename(file.path), file.head, complete=file.complete)
        yield Source(
            uri=file.uri,
            name=file.name,
            title="",
            modality=modality,
            encoding=encoding,
            size=file.size,
            mtime_ns=file.mtime_ns,
            open=partial(_open, file) if file.complete else partial(open, file.path, "rb"),
        )


def _open(file: File) -> BinaryIO:
    """The bytes that were sniffed while they are kept, else the file again."""
    head = file.head
    return io.BytesIO(head) if len(head) == file.size else open(file.path, "rb")


PLAIN = Plain()
