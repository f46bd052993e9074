"""The binary code of the earlier systems' graph files: bincode 2, standard configuration, over serde.

Little-endian. A whole number below 251 is one byte, else a marker (251, 252, 253, 254) and 2, 4, 8 or 16
bytes; text is its length and UTF-8; an option is 0, or 1 and the value; an enum is its variant's number;
structs have neither names nor lengths. The code does not describe itself: that is why the earlier loader
could not read back the JSON objects that its writer put inside. `Blob.json_object` recovers what is certain
of them.
"""

import math
import struct
from typing import Any

from thesphere.errors import FormatError

_WIDTHS = {251: 2, 252: 4, 253: 8, 254: 16}
_MAX_READINGS = 64  # readings of one JSON object that are followed at the same time
_MAX_STEPS = 20_000  # values tried for one JSON object
_MAX_DEPTH = 8
_MAX_ITEMS = 1_024

# What the earlier writers put under each key: text, unsigned, float (null when it was not finite), boolean,
# map, "[" for a list of one kind. Any other key may hold any of these, null or a list. They wrote no negative
# numbers and no lists of whole numbers: to allow for those would make odd numbers and all texts doubtful.
_KINDS = {
    **dict.fromkeys(("char", "column", "format", "kind", "language", "modality", "node_type", "reason"), "t"),
    **dict.fromkeys(("section_name", "segment_name", "source", "source_id", "source_type", "view"), "t"),
    **dict.fromkeys(
        ("patch_index", "patch_length", "patch_size", "page", "page_count", "index", "size"), "u"
    ),
    **dict.fromkeys(("frame_idx", "frame_index", "frame_size_samples", "sample_rate", "channels"), "u"),
    **dict.fromkeys(("width", "height", "original_width", "original_height", "bbox_count"), "u"),
    **dict.fromkeys(("start_row", "start_col", "end_row", "end_col", "offset"), "u"),
    **dict.fromkeys(("coherence_score", "mean_entropy", "local_entropy", "prominence", "duration_ms"), "fn"),
    **dict.fromkeys(("x1", "y1", "x2", "y2", "cx", "cy"), "fn"),
    **dict.fromkeys(("is_named", "fallback"), "b"),
    "dimensions": "m",
    "bbox_areas": "[f",
    "bbox_centroids": "[m",
    "bounding_boxes": "[m",
}
_ANY = "tufbmln"
_ITEMS = "tfml"


class Blob:
    """A cursor over one encoded value. Every read checks that the bytes are there and legal.

    Raises:
        FormatError: from every method, without the file's name, which the caller adds.
    """

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        left = len(self.data) - self.at
        if count > left:
            raise FormatError(f"{count} bytes were expected at byte {self.at}; {left} are left")
        self.at += count
        return self.data[self.at - count : self.at]

    def unsigned(self) -> int:
        """A whole number in [0, 2^64)."""
        first = self.take(1)[0]
        if first < 251:
            return first
        if first == 255:
            raise FormatError(f"byte {self.at - 1} is 255, which begins no whole number")
        value = int.from_bytes(self.take(_WIDTHS[first]), "little")
        if value >= 1 << 64:
            raise FormatError(f"the whole number at byte {self.at - 16} needs more than 64 bits")
        return value

    def offset(self) -> int:
        """A whole number in [0, 2^63): a size or position."""
        value = self.unsigned()
        if value >= 1 << 63:
            raise FormatError(f"{value} is too large for a size or position")
        return value

    def text(self) -> str:
        """Length and UTF-8."""
        raw = self.take(self.unsigned())
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise FormatError(f"the text that ends at byte {self.at} is not UTF-8") from error

    def boolean(self) -> bool:
        """0 or 1: a truth value, or whether an optional value follows."""
        value = self.take(1)[0]
        if value > 1:
            raise FormatError(f"byte {self.at - 1} is {value}; 0 or 1 was expected")
        return value == 1

    def float32(self) -> float:
        """Four bytes; finite."""
        value = struct.unpack("<f", self.take(4))[0]
        if not math.isfinite(value):
            raise FormatError(f"the number at byte {self.at - 4} is {value}; a finite one was expected")
        return value

    def offsets(self) -> tuple[int, ...]:
        """A counted list of sizes or positions."""
        count = self.unsigned()
        if count > len(self.data) - self.at:  # each takes a byte or more
            raise FormatError(
                f"a list of {count} items was announced; {len(self.data) - self.at} bytes are left"
            )
        return tuple(self.offset() for _ in range(count))

    def end(self) -> None:
        """Nothing may follow."""
        if self.at != len(self.data):
            raise FormatError(f"{len(self.data) - self.at} bytes follow where the value should end")

    def json_object(self) -> tuple[dict[str, Any], bool]:
        """What the rest of the blob says as a JSON object written without types.

        Its keys are sorted and it ends with the blob. The kinds of the earlier writers' own keys are known;
        for other keys every reading that fits is followed, and only what all agree on is returned.

        Returns:
            the recovered entries, and whether they are certainly all of them.
        """
        search = _Search(self.data)
        try:
            readings = [value for value, end in search.maps(self.at, 0) if end == len(self.data)]
        except FormatError:
            readings = []
        self.at = len(self.data)
        if not readings:
            return {}, False
        first, *others = readings
        agreed = {
            key: value
            for key, value in first.items()
            if all(key in other and repr(other[key]) == repr(value) for other in others)
        }
        return agreed, not others


class _Search:
    """All readings of untyped JSON, within fixed limits on the work."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.steps = 0

    def values(self, at: int, kinds: str, depth: int) -> list[tuple[Any, int]]:
        """(value, end) of each reading of the bytes from `at` as one of `kinds`."""
        self.steps += 1
        if self.steps > _MAX_STEPS or depth > _MAX_DEPTH:
            raise FormatError("too many readings")
        if kinds[0] == "[":
            return self.lists(at, kinds[1:], depth + 1)
        found: list[tuple[Any, int]] = []
        for kind in kinds:
            if kind == "m":
                found += self.maps(at, depth + 1)
            elif kind == "l":
                found += self.lists(at, _ITEMS, depth + 1)
            elif kind == "n":
                found.append((None, at))
            else:
                blob = Blob(self.data, at)
                try:
                    found.append((_scalar(blob, kind), blob.at))
                except FormatError:
                    continue
        return found

    def maps(self, at: int, depth: int) -> list[tuple[dict[str, Any], int]]:
        """Readings as a count and that many entries, keys rising."""
        count, states = self._counted(at, {})
        for _ in range(count):
            longer = []
            for entries, here in states:
                blob = Blob(self.data, here)
                try:
                    key = blob.text()
                except FormatError:
                    continue
                if not key.isprintable() or (entries and key.encode() <= next(reversed(entries)).encode()):
                    continue
                for value, end in self.values(blob.at, _KINDS.get(key, _ANY), depth):
                    longer.append(({**entries, key: value}, end))
            states = self._limited(longer)
        return states

    def lists(self, at: int, kinds: str, depth: int) -> list[tuple[list[Any], int]]:
        """Readings as a count and that many items."""
        count, states = self._counted(at, [])
        for _ in range(count):
            states = self._limited(
                [
                    ([*items, value], end)
                    for items, here in states
                    for value, end in self.values(here, kinds, depth)
                ]
            )
        return states

    def _counted(self, at: int, empty: Any) -> tuple[int, list[tuple[Any, int]]]:
        """The count at `at` and the reading to start from; none if the bytes left could not hold it."""
        blob = Blob(self.data, at)
        try:
            count = blob.unsigned()
        except FormatError:
            return 0, []
        if count > min(_MAX_ITEMS, len(self.data) - blob.at):
            return 0, []
        return count, [(empty, blob.at)]

    @staticmethod
    def _limited(states: list[Any]) -> list[Any]:
        if len(states) > _MAX_READINGS:
            raise FormatError("too many readings")
        return states


def _scalar(blob: Blob, kind: str) -> Any:
    if kind == "t":
        return blob.text()
    if kind == "u":
        return blob.unsigned()
    if kind == "b":
        return blob.boolean()
    value = struct.unpack("<d", blob.take(8))[0]
    if not math.isfinite(value):
        raise FormatError("not finite")
    return value


def put_unsigned(value: int) -> bytes:
    """A whole number in [0, 2^64)."""
    for limit, marker in ((1 << 16, 251), (1 << 32, 252), (1 << 64, 253)):
        if value < 251:
            return bytes([value])
        if value < limit:
            return bytes([marker]) + value.to_bytes(_WIDTHS[marker], "little")
    raise OverflowError(f"{value} needs more than 64 bits")


def put_text(value: str) -> bytes:
    """Length and UTF-8."""
    raw = value.encode()
    return put_unsigned(len(raw)) + raw


def put_optional(encoded: bytes | None) -> bytes:
    """0, or 1 and the encoded value."""
    return b"\0" if encoded is None else b"\1" + encoded


def put_float32(value: float) -> bytes:
    """Four bytes."""
    return struct.pack("<f", value)


def put_unsigneds(values: tuple[int, ...]) -> bytes:
    """A counted list of whole numbers."""
    return put_unsigned(len(values)) + b"".join(map(put_unsigned, values))
