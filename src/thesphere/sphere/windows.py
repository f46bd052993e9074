"""A source, read as a stream, becomes windows of passages: the documents of the inverted lists.

A window is a whole source of up to `WINDOW` bytes, or a run of passages of about that size in a longer one.
The cuts depend on the source's bytes alone, never on how they arrived.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from thesphere.patches.entropy import EntropyModel
from thesphere.patches.passages import Cutter
from thesphere.readers import Segment, original_offsets, utf8

WINDOW = 8192
TAIL = WINDOW // 4  # a last window smaller than this joins the one before it


@dataclass
class Window:
    """Some neighbouring passages of one source.

    Attributes:
        start: offset of the first byte in the source.
        data: the original bytes.
        line: line breaks in the source before `start`.
        lengths: bytes of each passage, in the original.
        entropies: mean next-byte entropy of each passage, nats.
        patches: uint16 patch lengths, all passages in a row, counted in UTF-8 bytes.
        patch_entropies: float32, one per patch.
        patch_counts: patches of each passage.
    """

    start: int
    line: int
    data: bytes = b""
    lengths: list[int] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)
    patches: list[np.ndarray] = field(default_factory=list)
    patch_entropies: list[np.ndarray] = field(default_factory=list)
    patch_counts: list[int] = field(default_factory=list)

    def passages(self) -> Iterator[bytes]:
        """The original bytes of each passage."""
        at = 0
        for length in self.lengths:
            yield self.data[at : at + length]
            at += length

    def join(self, other: "Window") -> None:
        """Take over the passages of the window that follows."""
        self.data += other.data
        for name in ("lengths", "entropies", "patches", "patch_entropies", "patch_counts"):
            getattr(self, name).extend(getattr(other, name))


class _Original:
    """Maps cuts in the UTF-8 stream back to cuts in the source, and keeps the bytes between."""

    def __init__(self) -> None:
        self._segments: list[
            tuple[int, int, bytes, str]
        ] = []  # UTF-8 start, UTF-8 end, original bytes, encoding
        self._utf8_end = 0
        self._data = bytearray()  # original bytes from `_start` on
        self._start = 0

    def push(self, segment: Segment) -> bytes:
        """Take one segment; returns its UTF-8 form."""
        data = utf8(segment.data, segment.encoding)
        self._segments.append((self._utf8_end, self._utf8_end + len(data), segment.data, segment.encoding))
        self._utf8_end += len(data)
        self._data += segment.data
        return data

    def take(self, cuts: np.ndarray) -> Iterator[bytes]:
        """The original bytes up to each of the rising UTF-8 offsets `cuts`, in turn."""
        original = self._start + len(self._data) - sum(len(data) for _, _, data, _ in self._segments)
        for first, last, data, encoding in list(self._segments):
            inside = cuts[(cuts > first) & (cuts <= last)]
            for cut in original_offsets(data, encoding, inside - first) if len(inside) else ():
                size = original + int(cut) - self._start
                yield bytes(self._data[:size])
                del self._data[:size]
                self._start += size
            original += len(data)
            if len(cuts) and cuts[-1] >= last:
                self._segments.pop(0)


def windows(
    segments: Iterator[Segment],
    model: EntropyModel,
    *,
    passage_bytes: int,
    target_patch_bytes: float,
    text: bool,
    tick: Callable[[bytes], None],
) -> Iterator[Window]:
    """Cut a source into windows.

    Args:
        segments: the source's bytes in order.
        model: gives the entropies.
        passage_bytes: the most that a passage may hold.
        target_patch_bytes: mean patch length that the threshold is calibrated to.
        text: False for binary data, whose cuts need not respect characters.
        tick: called with the original bytes of each segment before they are cut.
    """
    cutter = Cutter(model, target_patch_bytes=target_patch_bytes, passage_bytes=passage_bytes, text=text)
    original = _Original()
    position = 0  # in the UTF-8 stream
    start = line = 0
    window, held = Window(0, 0), None

    def absorb(cut) -> Iterator[Window]:
        nonlocal position, start, line, window, held
        ends = position + np.cumsum(cut.passage_lengths, dtype=np.int64)
        first = 0
        for index, data in enumerate(original.take(ends)):
            if window.data and len(window.data) + len(data) > WINDOW:
                if held is not None:
                    yield held
                held, window = window, Window(start, line)
            count = int(cut.patches_per_passage[index])
            window.data += data
            window.lengths.append(len(data))
            window.entropies.append(float(cut.passage_entropies[index]))
            window.patches.append(cut.patch_lengths[first : first + count])
            window.patch_entropies.append(cut.patch_entropies[first : first + count])
            window.patch_counts.append(count)
            first += count
            start += len(data)
            line += data.count(b"\n")
        if len(ends):
            position = int(ends[-1])

    for segment in segments:
        tick(segment.data)
        yield from absorb(cutter.push(original.push(segment)))
    yield from absorb(cutter.finish())
    if held is not None and len(window.data) < TAIL:
        held.join(window)
        window, held = held, None
    if held is not None:
        yield held
    if window.data:
        yield window
