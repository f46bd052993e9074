"""Named arrays in safetensors files: written whole or not at all, read as checked, memory-mapped views.

The format (https://github.com/huggingface/safetensors): a little-endian u64 header length, a JSON header that
gives dtype, shape and [begin, end) of each tensor, then the data, without holes. The library writes; reading
is done here, because a file from outside is never trusted and an error should name the key that is wrong.
"""

import json
import math
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from thesphere.errors import FormatError, InputError, SphereError
from thesphere.store.part import map_file, replacing

DTYPES = {
    "BOOL": np.dtype("?"),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "BF16": np.dtype("<u2"),  # NumPy has no such type: widened to float32, which is exact
}
_HEADER_LIMIT = 100_000_000  # bytes, the format's own limit
_MAX_DIMENSIONS = 32
_METADATA = "__metadata__"


def write_tensors(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays to `path` so that it holds either all of them or what it held before.

    Args:
        path: the file; an existing one is replaced in one step.
        arrays: by name; bool, integers and floats up to 64 bits, any shape, order and byte order.
        metadata: text by name.

    Raises:
        InputError: a name or dtype that the format cannot hold.
        NotFoundError, SphereError: the folder is missing, the disk full or read-only.
    """
    path = Path(path)
    known = set(DTYPES.values())
    ready = {}
    for key, array in arrays.items():
        little = np.asarray(array, order="C")
        little = little.astype(little.dtype.newbyteorder("<"), copy=False)
        if little.dtype not in known:
            raise InputError(
                f"cannot write {key!r} to {path}: dtype {little.dtype}; "
                "expected bool, integers or floats of at most 64 bits"
            )
        ready[key] = little
    text = dict(metadata or {})
    for key in [*ready, *text, *text.values()]:
        if not isinstance(key, str) or key == _METADATA or not _is_unicode(key):
            raise InputError(f"cannot write {key!r} to {path}: names and metadata are plain Unicode text")
    with replacing(path) as beside:
        beside.touch()
        mode = beside.stat().st_mode
        try:
            save_file(ready, beside, metadata=text or None)
            beside.chmod(mode)  # the library makes a new file that is private to the user, against the umask
        except SafetensorError as error:
            full = "os error 28" in str(error) or "No space" in str(error)
            reason = "the disk is full; free some space and run the command again" if full else str(error)
            raise SphereError(f"cannot write {path}: {reason}") from error


def map_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read-only views into the memory-mapped file, and its metadata.

    Everything the header claims is checked before it is used; nothing is allocated from a claimed size.
    Only unaligned tensors and bfloat16 (given as float32) are copied. Values are not looked at, except that
    booleans are 0 or 1.

    Returns:
        arrays by name in the order of the header, and text by name.

    Raises:
        NotFoundError: no such file.
        FormatError: not a safetensors file, or a broken one; names the file and the key.
    """
    path = Path(path)
    data = map_file(path)
    if len(data) < 8:
        raise FormatError(f"{path} is not a safetensors file: {len(data)} bytes, at least 8 were expected")
    length = int.from_bytes(data[:8], "little")
    begin = 8 + length
    if length > _HEADER_LIMIT or data[8:9] not in (b"{", b""):
        raise FormatError(f"{path} is not a safetensors file: it does not begin with a header")
    if begin > len(data):
        raise FormatError(
            f"{path} is cut off or not a safetensors file: the header ends past the end of the file"
        )
    header = _header(path, data[8:begin])
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise FormatError(f"{path}: {_METADATA} must map text to text")
    entries = {key: _entry(path, key, entry) for key, entry in header.items()}
    _check_tiling(path, entries, len(data) - begin)
    arrays = {
        key: _view(path, key, data, kind, shape, begin + start)
        for key, (kind, shape, start, _) in entries.items()
    }
    return arrays, metadata


def _header(path: Path, raw: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise FormatError(f"{path}: the header names {_short(twice)} twice")
        return found

    try:
        header = json.loads(raw.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not a safetensors file: its header is not JSON") from error
    if not isinstance(header, dict):
        raise FormatError(f"{path} is not a safetensors file: its header is not a JSON object")
    return header


def _entry(path: Path, key: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """dtype name, shape, begin and end of one tensor, each checked by itself."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"{path}: {_short(key)} must have exactly dtype, shape and data_offsets")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in DTYPES:
        raise FormatError(
            f"{path}: {_short(key)} has dtype {str(kind)[:20]!r}; expected one of {', '.join(DTYPES)}"
        )
    if not isinstance(shape, list) or not all(map(_is_whole, shape)):
        raise FormatError(f"{path}: the shape of {_short(key)} is not a list of whole numbers")
    if len(shape) > _MAX_DIMENSIONS or math.prod(n for n in shape if n) * DTYPES[kind].itemsize >= 2**63:
        raise FormatError(f"{path}: the shape of {_short(key)} is larger than any array can be")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_whole, offsets)):
        raise FormatError(f"{path}: data_offsets of {_short(key)} is not a pair of whole numbers")
    start, end = offsets
    size = math.prod(shape) * DTYPES[kind].itemsize
    if end - start != size:
        raise FormatError(f"{path}: {_short(key)} takes {end - start} bytes; its shape and dtype need {size}")
    return kind, tuple(shape), start, end


def _check_tiling(path: Path, entries: dict[str, tuple[str, tuple[int, ...], int, int]], size: int) -> None:
    """The tensors, sorted, must follow each other from 0 to `size` without overlap or hole."""
    at = 0
    for key, (_, _, start, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if end > size:
            raise FormatError(f"{path} is cut off: {_short(key)} ends at byte {end} of {size}")
        if start != at:
            raise FormatError(f"{path}: {_short(key)} begins at byte {start} of the data; {at} was expected")
        at = end
    if at != size:
        raise FormatError(f"{path}: {size - at} bytes lie behind the last tensor")


def _view(path: Path, key: str, data: Any, kind: str, shape: tuple[int, ...], offset: int) -> np.ndarray:
    dtype = DTYPES[kind]
    count = math.prod(shape)
    if count == 0:
        array = np.zeros(shape, dtype)
    else:
        array = np.frombuffer(data, dtype, count, offset).reshape(shape)
    if not array.flags.aligned:
        array = array.copy()
    if kind == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    if kind == "BOOL" and count and array.view(np.uint8).max() > 1:
        raise FormatError(f"{path}: {_short(key)} is BOOL but holds bytes other than 0 and 1")
    if sys.byteorder == "big":
        array = array.astype(array.dtype.newbyteorder("="))
    array.flags.writeable = False
    return array


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _short(key: str) -> str:
    """A name from an untrusted file, fit for a line of text."""
    return repr(key if len(key) <= 80 else key[:80] + "...")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
