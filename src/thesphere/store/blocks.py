"""Raw bytes in compressed blocks, so that any span is read by inflating only the blocks it touches.

A file is: magic, the stored blocks one after another, a table of (length, CRC-32) of each stored block as
u32 pairs, and a footer of fixed size (raw length, block size, CRC-32 of table and footer, magic). Every block
holds `BLOCK` raw bytes, the last one fewer. A stored block as long as its raw bytes is those bytes; a shorter
one is a zlib stream.
"""

import contextlib
import os
import struct
import zlib
from pathlib import Path
from types import TracebackType

import numpy as np

from thesphere.errors import FormatError, InputError
from thesphere.store.part import disk_error, map_file

BLOCK = 32 * 1024
LARGEST_BLOCK = 1 << 20  # what is read: a larger size in a made-up file would be inflated into memory
LEVEL = 6
_MAGIC = b"tsblock1"
_FOOTER = struct.Struct("<QII8s")  # raw length, block size, CRC-32, magic


class BlockWriter:
    """Writes a stream of bytes. The file is complete after `finish` or a `with` that ends well.

    Args:
        path: a file that does not exist yet.

    Raises:
        SphereError: the disk is full, read-only or failing (each method).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._pending = bytearray()
        self._table: list[int] = []
        self._total = 0
        try:
            self._file = open(self.path, "xb")  # noqa: SIM115 - closed by finish or close
            self._file.write(_MAGIC)
        except OSError as error:
            raise disk_error(error, f"write {self.path}") from error

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes.

        Returns:
            the offset of the first of them in the raw stream.
        """
        start = self._total
        view = memoryview(data).cast("B")
        self._total += len(view)
        if self._pending:  # fill the open block first
            missing = BLOCK - len(self._pending)
            self._pending += view[:missing]
            view = view[missing:]
            if len(self._pending) < BLOCK:
                return start
            self._store(bytes(self._pending))
            self._pending.clear()
        whole = len(view) - len(view) % BLOCK
        for at in range(0, whole, BLOCK):
            self._store(bytes(view[at : at + BLOCK]))
        self._pending += view[whole:]
        return start

    def finish(self) -> int:
        """Write what is pending, the table and the footer.

        Returns:
            the number of raw bytes in the file.
        """
        if self._pending:
            self._store(bytes(self._pending))
            self._pending.clear()
        table = np.array(self._table, "<u4").tobytes()
        check = zlib.crc32(struct.pack("<QI", self._total, BLOCK), zlib.crc32(table))
        self._put(table + _FOOTER.pack(self._total, BLOCK, check, _MAGIC))
        try:
            self._file.close()
        except OSError as error:
            raise disk_error(error, f"write {self.path}") from error
        return self._total

    def close(self) -> None:
        """Give the file up unfinished (nothing happens after `finish`)."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _store(self, raw: bytes) -> None:
        packed = zlib.compress(raw, LEVEL)
        stored = packed if len(packed) < len(raw) else raw
        self._put(stored)
        self._table += (len(stored), zlib.crc32(stored))

    def _put(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            self.close()
            raise disk_error(error, f"write {self.path}") from error

    def __enter__(self) -> "BlockWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._file.closed:
                self.finish()
        finally:
            self.close()


class Blocks:
    """Random access to a file of `BlockWriter`, by memory map. `len()` is the number of raw bytes.

    Safe to use from several threads.

    Raises:
        NotFoundError: no such file.
        FormatError: not such a file, cut off, or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        data = map_file(self.path)
        tail = len(data) - _FOOTER.size
        if data[: len(_MAGIC)] != _MAGIC or tail < len(_MAGIC):
            raise FormatError(f"{self.path} is not a file of byte blocks")
        self._size, self._block, check, magic = _FOOTER.unpack(data[tail:])
        if magic != _MAGIC or self._block == 0:
            raise FormatError(
                f"{self.path} is cut off: it does not end with the footer of a file of byte blocks"
            )
        if self._block > LARGEST_BLOCK:
            raise FormatError(
                f"{self.path} is damaged: its blocks of {self._block} bytes exceed {LARGEST_BLOCK}"
            )
        count = -(-self._size // self._block)
        table = tail - 8 * count
        if table < len(_MAGIC):
            raise FormatError(f"{self.path} is damaged: it is too short for its table of {count} blocks")
        raw = data[table:tail]
        if zlib.crc32(struct.pack("<QI", self._size, self._block), zlib.crc32(raw)) != check:
            raise FormatError(f"{self.path} is damaged: the checksum of its table is wrong")
        lengths, self._checks = np.frombuffer(raw, "<u4").reshape(count, 2).T
        self._offsets = np.zeros(count + 1, np.int64)
        np.cumsum(lengths, out=self._offsets[1:])
        self._offsets += len(_MAGIC)
        if self._offsets[-1] != table:
            raise FormatError(f"{self.path} is damaged: its blocks do not end where its table begins")
        self._data = data

    def __len__(self) -> int:
        return self._size

    def read(self, start: int, end: int) -> bytes:
        """The raw bytes [start, end).

        Raises:
            InputError: not 0 <= start <= end <= len(self).
            FormatError: a block is damaged.
        """
        if not 0 <= start <= end <= self._size:
            raise InputError(f"bytes {start} to {end} of {self.path}: it holds {self._size}")
        if start == end:
            return b""
        first, last = start // self._block, (end - 1) // self._block
        raw = b"".join(self._inflate(number) for number in range(first, last + 1))
        return raw[start - first * self._block : end - first * self._block]

    def _inflate(self, number: int) -> bytes:
        stored = self._data[self._offsets[number] : self._offsets[number + 1]]
        size = min(self._block, self._size - number * self._block)
        if zlib.crc32(stored) != self._checks[number]:
            raise FormatError(f"{self.path} is damaged: the checksum of block {number} is wrong")
        if len(stored) == size:
            raw = bytes(stored)
        else:
            stream = zlib.decompressobj()
            try:
                raw = stream.decompress(stored, size)  # never more than the block may hold
            except zlib.error as error:
                raise FormatError(f"{self.path} is damaged: block {number} cannot be inflated") from error
        if len(raw) != size:
            raise FormatError(f"{self.path} is damaged: block {number} does not hold {size} bytes")
        return raw
