"""A source's bytes as a stream of segments."""

from collections.abc import Iterator

from thesphere.errors import InputError
from thesphere.readers.base import Segment, Source
from thesphere.readers.encoding import border


def segments(source: Source, *, size: int = 4 << 20) -> Iterator[Segment]:
    """Cut a source into runs of at most `size` bytes that together are its original bytes.

    A cut never falls inside a character of the source's encoding; one longer than `size` is a segment.
    Memory is a few times `size`, whatever the length of the source or of its lines.

    Raises:
        InputError: `size` is below 1.
        OSError: the file has gone or cannot be read any more.
    """
    if size < 1:
        raise InputError(f"size must be at least 1 byte, got {size}")
    fits = border(source.encoding)
    start, block = 0, b""
    with source.open() as stream:
        while True:
            more = stream.read(max(size - len(block), 1))
            block += more
            if more and len(block) < size:  # a short read of a pipe, or the end: only the next read tells
                continue
            end = fits(block) if more else len(block)
            if end:
                yield Segment(start, block[:end], source.encoding)
                start, block = start + end, block[end:]
            if not more:
                return
