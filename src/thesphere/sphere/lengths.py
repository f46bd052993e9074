"""Patch lengths as bytes, and where patches lie in the original bytes of their passage."""

from collections.abc import Sequence

import numpy as np

from thesphere.readers import original_offsets, utf8


def pack_lengths(lengths: np.ndarray) -> bytes:
    """Patch lengths as bytes: 255 stands for 255 and more to come."""
    lengths = np.asarray(lengths, np.int64)
    extra = lengths // 255
    if not extra.any():
        return lengths.astype(np.uint8).tobytes()
    out = np.full(int(len(lengths) + extra.sum()), 255, np.uint8)
    out[np.cumsum(extra + 1) - 1] = lengths % 255
    return out.tobytes()


def unpack_lengths(data: bytes) -> np.ndarray:
    """The inverse of `pack_lengths`, int32."""
    values = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(values != 255)
    total = np.cumsum(values, dtype=np.int64)[last]
    return np.diff(total, prepend=0).astype(np.int32)


def patch_cuts(data: bytes, encoding: str, lengths: np.ndarray) -> np.ndarray:
    """Where the patches of a passage begin and end in its original bytes, int64 [patches + 1].

    Patches are counted in UTF-8 bytes. In a transcoded source a cut inside a character moves to its end.
    """
    cuts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if encoding in ("utf-8", "bytes"):
        return cuts
    text = utf8(data, encoding)
    for index, cut in enumerate(cuts):
        while cut < len(text) and text[cut] & 0xC0 == 0x80:
            cut += 1
        cuts[index] = cut
    return original_offsets(data, encoding, cuts)


def offsets_of(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where runs of these sizes begin and end, int64 [n + 1]."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
