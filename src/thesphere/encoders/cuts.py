"""How texts are cut for an encoder with windows: into pieces of bytes, and their patches into windows."""

from collections.abc import Iterator

import numpy as np

from thesphere.nn.sphere_shape import WINDOW

BATCH = 384  # patches that pass through the layers together, or one window; no result depends on it
PIECE = 1 << 18  # bytes that are cut into patches at once; a longer text is cut behind a blank


def pieces(text: bytes) -> Iterator[bytes]:
    """The text, cut behind blanks where it is longer than PIECE; where there is none, between characters."""
    first = 0
    while len(text) - first > PIECE:
        last = first + PIECE
        cut = max(text.rfind(b" ", first, last), text.rfind(b"\n", first, last)) + 1
        if not cut:
            cut = last
            while cut > last - 3 and text[cut] & 0xC0 == 0x80:
                cut -= 1
        yield text[first:cut]
        first = cut
    yield text[first:]


def windows(begins: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of windows that follow one another: (first patch of each and the end of the last, whose each is).

    The windows of a text are as even as can be.
    """
    sizes, owners = [], []
    for owner, count in enumerate(np.diff(begins).tolist()):
        parts = -(-count // WINDOW)
        edges = [count * part // parts for part in range(parts + 1)] if parts else []
        sizes += [after - before for before, after in zip(edges[:-1], edges[1:], strict=True)]
        owners += [owner] * parts
    first, at = 0, 0
    while first < len(sizes):
        ends = [at + sizes[first]]
        while first + len(ends) < len(sizes) and ends[-1] + sizes[first + len(ends)] - at <= BATCH:
            ends.append(ends[-1] + sizes[first + len(ends)])
        yield np.array([at, *ends], np.int64), np.array(owners[first : first + len(ends)], np.int64)
        first, at = first + len(ends), ends[-1]
