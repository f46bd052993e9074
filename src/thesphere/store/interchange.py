"""Embeddings made elsewhere: read from any layout of the earlier systems or a NumPy file, written as v3.

v3 (tag "blt_patches_v3") is embeddings float32 [P, D], prominence float32 [P], patch_entropies float32 [P],
bytes uint8 [T], patch_lengths int32 [P]; ours declares the unit and the kind of prominence in its metadata.
"""

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from thesphere.errors import FormatError, InputError
from thesphere.store.layouts import PROMINENCE_KINDS, UNITS, Interchange, Tensors, interchange
from thesphere.store.part import map_file
from thesphere.store.tensors import map_tensors, write_tensors

__all__ = ["PROMINENCE_KINDS", "UNITS", "Interchange", "read_interchange", "write_v3"]

_NPY = b"\x93NUMPY"


def read_interchange(path: str | os.PathLike[str], *, pool: bool = True) -> Interchange:
    """Read embeddings, whatever layout they are in; see `thesphere.store.layouts` for the table.

    float32 arrays and bytes stay views of the memory-mapped file; other float widths are converted.

    Args:
        path: a safetensors file, or a .npy file with [N, D] floats.
        pool: where rows are bytes, pool them to patches; False gives the bytes' rows.

    Raises:
        NotFoundError: no such file.
        FormatError: an unknown layout, or content that contradicts it: names the file, the key, what was
            found and what was expected.
    """
    path = Path(path)
    start = map_file(path)[:6]
    if start == _NPY:
        return interchange(Tensors(path, {"embeddings": _map_npy(path)}, {}), pool)
    if start[:4] == b"PK\x03\x04":
        raise FormatError(
            f"{path} is an archive (.npz?); a safetensors or .npy file was expected: save the array alone"
        )
    arrays, metadata = map_tensors(path)
    notes = {key: "converted from bfloat16 to float32" for key in _bfloat16(path)}
    return interchange(Tensors(path, arrays, metadata, notes), pool)


def write_v3(
    path: str | os.PathLike[str],
    *,
    embeddings: np.ndarray,
    prominence: np.ndarray,
    patch_entropies: np.ndarray | None = None,
    data: np.ndarray | bytes | None = None,
    lengths: np.ndarray | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a v3 file, whole or not at all. The earlier readers want everything but `patch_entropies`.

    Args:
        embeddings: [P, D] floats.
        prominence: [P], >= 0.
        patch_entropies: [P], nats, >= 0; None where they are not known for every row.
        data: uint8 [T] or bytes: the rows' bytes, one after the other; with `lengths`.
        lengths: whole numbers [P] that sum to T.
        metadata: more text. "unit" (one of UNITS) and "prominence_kind" (one of PROMINENCE_KINDS) come back
            from `read_interchange`. Counts and tag are set here; notes of an earlier reading are left out.

    Raises:
        InputError: shapes that do not fit, NaN, infinite or negative values, lengths that do not sum to T.
        NotFoundError, SphereError: the folder is missing, the disk full or read-only.
    """
    rows = np.asarray(embeddings)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise InputError(
            f"embeddings have shape {list(rows.shape)}; [P, D] with D of at least 1 was expected"
        )
    arrays = {
        "embeddings": _floats("embeddings", rows, rows.shape, negative=True),
        "prominence": _floats("prominence", prominence, (len(rows),)),
    }
    if patch_entropies is not None:
        arrays["patch_entropies"] = _floats("patch_entropies", patch_entropies, (len(rows),))
    if (data is None) != (lengths is None):
        raise InputError("bytes and their lengths are written together; only one of them was given")
    if data is not None and lengths is not None:
        arrays["bytes"] = _bytes(data)
        arrays["patch_lengths"] = _lengths(lengths, len(rows), len(arrays["bytes"]))
    extra = {key: text for key, text in (metadata or {}).items() if not key.startswith("note.")}
    for key, known in (("unit", UNITS), ("prominence_kind", PROMINENCE_KINDS)):
        if extra.get(key, known[0]) not in known:
            raise InputError(f"metadata {key} is {extra[key]!r}; expected one of {', '.join(known)}")
    ours = {
        "format": "blt_patches_v3",
        "embed_dim": str(rows.shape[1]),
        "num_patches": str(len(rows)),  # the ingest's name
        "n_patches": str(len(rows)),  # the corpus export's name
        "total_bytes": str(len(arrays["bytes"]) if "bytes" in arrays else 0),
    }
    write_tensors(path, arrays, {**extra, **ours})


def _floats(name: str, values: np.ndarray, shape: tuple[int, ...], negative: bool = False) -> np.ndarray:
    given = np.asarray(values)
    if given.dtype.kind not in "fiu" or given.shape != shape:
        raise InputError(
            f"{name} has dtype {given.dtype} and shape {list(given.shape)}; expected floats {list(shape)}"
        )
    with np.errstate(over="ignore"):
        narrow = np.ascontiguousarray(given, np.float32)
    if not np.isfinite(narrow).all():
        raise InputError(
            f"{name} holds NaN, infinite values or values too large for float32; finite ones were expected"
        )
    if not negative and narrow.min(initial=0) < 0:
        raise InputError(f"{name} is as low as {narrow.min():g}; at least 0 was expected")
    return narrow


def _bytes(data: np.ndarray | bytes) -> np.ndarray:
    array = (
        np.frombuffer(data, np.uint8)
        if isinstance(data, (bytes, bytearray, memoryview))
        else np.asarray(data)
    )
    if array.dtype != np.uint8 or array.ndim != 1:
        raise InputError(
            f"bytes have dtype {array.dtype} and shape {list(array.shape)}; uint8 [T] was expected"
        )
    return array


def _lengths(lengths: np.ndarray, count: int, total: int) -> np.ndarray:
    given = np.asarray(lengths)
    if given.dtype.kind not in "iu" and given.size or given.shape != (count,):
        raise InputError(
            f"lengths have dtype {given.dtype} and shape {list(given.shape)}; expected integers [{count}]"
        )
    if given.min(initial=0) < 0 or given.max(initial=0) >= 1 << 31:
        raise InputError(f"lengths reach from {given.min()} to {given.max()}; [0, 2^31) was expected")
    if int(given.sum(dtype=np.int64)) != total:
        raise InputError(f"lengths sum to {given.sum(dtype=np.int64)}; the {total} bytes were expected")
    return given.astype(np.int32)


def _bfloat16(path: Path) -> list[str]:
    """The arrays of a safetensors file, known to be sound, that are stored as bfloat16."""
    data = map_file(path)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return [key for key, entry in header.items() if entry.get("dtype") == "BF16" and key != "__metadata__"]


def _map_npy(path: Path) -> np.ndarray:
    """The one array of a .npy file, memory-mapped."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers of Python 2
            array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy reads the header as Python source: its tokeniser and parser raise too
        raise FormatError(f"{path} is not a sound .npy file: {str(error)[:200]}") from error
    behind = path.stat().st_size - array.offset - array.nbytes
    if behind:
        raise FormatError(f"{path}: {behind} bytes lie behind the array")
    return np.asarray(array).astype(array.dtype.newbyteorder("="), copy=False)
