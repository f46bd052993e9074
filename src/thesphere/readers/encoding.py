"""Bytes in a declared encoding: to text, to UTF-8, and positions back to the original bytes.

Nothing here raises on bad bytes. A byte that its encoding cannot explain becomes one U+FFFD, whatever the
chunking, and its position stays exact.
"""

import codecs
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from thesphere.errors import InputError

IDENTITY = frozenset({"utf-8", "bytes"})
"""Encodings whose `utf8` is the data itself."""

_BAD = re.compile("[\udc00-\udcff]")
_STRINGS = re.compile(rb"(?:[\t\x20-\x7e]\0){4,}|[\t\x20-\x7e]{4,}")


def _keep_byte(error: UnicodeError) -> tuple[str, int]:
    """Decoding error handler: a bad byte b becomes the lone surrogate U+DC00 + b, which no decoder yields."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    whole = error.encoding.startswith(
        "utf"
    )  # units keep in step; elsewhere the very next byte may be good again
    end = error.end if whole else error.start + 1
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : end]), end


codecs.register_error("thesphere-bytes", _keep_byte)


def decode(data: bytes, encoding: str) -> str:
    """`data` as text; each byte that `encoding` cannot explain is one lone surrogate U+DC00 + byte."""
    return data.decode(encoding, "thesphere-bytes")


def utf8(data: bytes, encoding: str) -> bytes:
    """`data` in UTF-8: itself for "utf-8" and "bytes", else transcoded with U+FFFD for each bad byte."""
    if encoding in IDENTITY:
        return data
    text = decode(data, encoding)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _BAD.sub("\ufffd", text).encode()


def analysis_text(data: bytes, encoding: str) -> str:
    """`data` as text for lexical analysis; never raises.

    Of "bytes": what `strings` would print, runs of at least four printable ASCII characters, one byte
    each or in UTF-16-LE, one run a line. Otherwise the decoded text, bad bytes as U+FFFD.
    """
    if encoding == "bytes":
        runs = (run.replace(b"\0", b"") for run in _STRINGS.findall(data))
        return b"\n".join(runs).decode("ascii")
    if encoding == "utf-8":
        return data.decode("utf-8", "replace")
    return _BAD.sub("\ufffd", decode(data, encoding))


def original_offsets(data: bytes, encoding: str, cuts) -> np.ndarray:
    """Positions in `data` of positions in `utf8(data, encoding)`.

    Args:
        cuts: integers [n] in [0, len(utf8(data, encoding))], on character borders, in any order.

    Returns:
        int64 [n]; `utf8(data[:offset])` has length `cut` for each. The identity for "utf-8" and "bytes".

    Raises:
        InputError: a cut lies outside the text or inside a character.
    """
    cuts = np.asarray(cuts, dtype=np.int64)
    if encoding in IDENTITY:
        if cuts.size and (cuts.min() < 0 or cuts.max() > len(data)):
            raise InputError(f"cuts must lie in [0, {len(data)}], got {cuts.min()} to {cuts.max()}")
        return cuts.copy()
    points = np.frombuffer(decode(data, encoding).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    width = 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000)
    after = np.concatenate([[0], np.cumsum(width)])
    place = np.searchsorted(after, cuts)
    if cuts.size and (cuts.min() < 0 or place.max() == len(after) or (after[place] != cuts).any()):
        raise InputError(
            "a cut lies outside the text or inside a character; give character borders of utf8(data)"
        )
    return np.concatenate([[0], np.cumsum(_widths(data, encoding, points))])[place]


def _widths(data: bytes, encoding: str, points: np.ndarray) -> np.ndarray:
    """int64 [n]: how many bytes of `data` each of its decoded code points takes; the sum is len(data)."""
    if len(points) == len(data):
        return np.ones(len(points), dtype=np.int64)
    kinds, which = np.unique(points, return_inverse=True)
    known = np.array([_width(int(kind), encoding) for kind in kinds], dtype=np.int64)
    widths = known[which]
    if widths.sum() == len(data):
        return widths
    # A character with two spellings of different length (EUC-JP's second "~"): ask the decoder byte by byte.
    decoder: Any = codecs.getincrementaldecoder(encoding)("thesphere-bytes")
    widths, pending = [], 0
    for at in range(len(data) + 1):
        out = decoder.decode(data[at : at + 1], final=at == len(data))
        pending += at < len(data)
        if out:
            left = len(decoder.getstate()[0])
            # several characters at once are bad bytes given up together, then perhaps a good one
            widths += [1] * (len(out) - 1) + [pending - left - (len(out) - 1)]
            pending = left
    return np.array(widths, dtype=np.int64)


@lru_cache(maxsize=1 << 16)
def _width(point: int, encoding: str) -> int:
    """How many bytes the code point usually takes in `encoding`; 1 for the mark of a bad byte."""
    if 0xDC00 <= point <= 0xDCFF:
        return 1
    try:
        return len(chr(point).encode(encoding))
    except UnicodeEncodeError:
        return 1


def border(encoding: str) -> Callable[[bytes], int]:
    """A function of a block that begins on a character border: how many of its bytes end on one.

    At most the last three bytes are left out; none are where the block ends on a border.
    """
    if encoding == "bytes":
        return len
    if encoding == "utf-8":
        return _utf8_border
    if encoding in ("utf-16-le", "utf-16-be"):
        return _utf16_le_border if encoding == "utf-16-le" else _utf16_be_border
    if encoding in ("utf-32-le", "utf-32-be"):
        return lambda block: len(block) & ~3
    try:
        make: Any = codecs.getincrementaldecoder(encoding)
    except LookupError as error:
        raise InputError(f"{encoding!r} is not an encoding that Python knows") from error
    if make.getstate is codecs.IncrementalDecoder.getstate:  # keeps no state: one byte, one character
        return len

    def decoded(block: bytes) -> int:
        decoder = make("thesphere-bytes")
        decoder.decode(block)
        return len(block) - len(decoder.getstate()[0])

    return decoded


def _utf8_border(block: bytes) -> int:
    for back in range(1, min(3, len(block)) + 1):
        byte = block[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:  # a lead byte: does it promise more than is there?
            need = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(block) - back if need > back else len(block)
    return len(block)


def _utf16_le_border(block: bytes) -> int:
    end = len(block) & ~1
    return end - 2 if end and 0xD8 <= block[end - 1] < 0xDC else end


def _utf16_be_border(block: bytes) -> int:
    end = len(block) & ~1
    return end - 2 if end and 0xD8 <= block[end - 2] < 0xDC else end
