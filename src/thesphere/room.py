"""Memory that is used again: fresh pages for the same large arrays, call after call, would cost a tenth of the
time."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

LINE = 64  # bytes of a cache line
MOST = 1 << 26  # bytes that a room may keep from one call to the next


def aligned(shape: tuple[int, ...], kind: type) -> np.ndarray:
    """An array that begins where a cache line does: products of and into such rows take half the time."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    room = np.empty(size + LINE, np.uint8)
    begin = -room.ctypes.data % LINE
    return room[begin : begin + size].view(kind).reshape(shape)


class Room:
    """Named arrays of one worker."""

    def __init__(self) -> None:
        self._bytes: dict[str, np.ndarray] = {}

    def __call__(self, name: str, shape: tuple[int, ...], kind: type) -> np.ndarray:
        """An array in the memory of that name; what was there is lost, what is there is anything."""
        size = math.prod(shape) * np.dtype(kind).itemsize
        if name not in self._bytes or len(self._bytes[name]) < size:
            self._bytes[name] = aligned((size,), np.uint8)
        return self._bytes[name][:size].view(kind).reshape(shape)

    @property
    def nbytes(self) -> int:
        """Bytes that it keeps."""
        return sum(map(len, self._bytes.values()))


class Rooms:
    """As many rooms as there are workers at a time."""

    def __init__(self) -> None:
        self._free: list[Room] = []

    @contextmanager
    def one(self) -> Iterator[Room]:
        """A room that nobody else uses meanwhile."""
        try:
            room = self._free.pop()  # in one step, so that two threads never get the same
        except IndexError:
            room = Room()
        yield room
        if room.nbytes <= MOST:
            self._free.append(room)
