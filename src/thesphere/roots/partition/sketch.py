"""How much of their bytes two texts share, from sketches that are made once per text.

The earlier system intersected the sets of all substrings of 4 to 64 bytes anew for every pair, and averaged
that with a test of containment. A text within another shares as many of its n-grams as it is long, so that the
Jaccard similarity of n-grams says both; one min-hash per bin estimates it (one permutation hashing, Li, Owen
and Zhang 2012).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from thesphere.errors import InputError

BINS = 128  # standard error of a similarity s: sqrt(s (1 - s) / 128), 0.044 at most
SHORTEST, LONGEST = 4, 16  # n-grams of 4, 8 and 16 bytes


class Texts(NamedTuple):
    """N byte strings end to end: text i is data[offsets[i]:offsets[i + 1]].

    Attributes:
        data: uint8 [B].
        offsets: int64 [N + 1], ascending from 0 to B.
    """

    data: np.ndarray
    offsets: np.ndarray


def texts_of(text, count: int) -> Texts:
    """The texts as given, a list of `count` bytes objects or (bytes array, offsets), as arrays.

    Raises:
        InputError: another number of texts, other types, or offsets that do not ascend from 0 to the end.
    """
    if isinstance(text, tuple) and len(text) == 2 and not isinstance(text[0], bytes):
        data, offsets = np.asarray(text[0]), np.asarray(text[1])
        if data.dtype != np.uint8 or data.ndim != 1 or offsets.ndim != 1 or offsets.dtype.kind not in "iu":
            raise InputError(
                f"text is ({data.dtype}, {offsets.dtype}); give (uint8 bytes, whole-number offsets)"
            )
        offsets = offsets.astype(np.int64)
        if len(offsets) != count + 1 or offsets[0] != 0 or offsets[-1] != len(data):
            raise InputError(f"text has {len(offsets)} offsets; give {count + 1}, from 0 to {len(data)}")
        if (np.diff(offsets) < 0).any():
            raise InputError("the offsets of the text do not ascend")
        return Texts(np.ascontiguousarray(data), offsets)
    if len(text) != count or not all(isinstance(one, bytes | bytearray) for one in text):
        raise InputError(f"text holds {len(text)} items; give bytes for each of the {count} rows")
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in text])]).astype(np.int64)
    return Texts(np.frombuffer(b"".join(text), np.uint8), offsets)


def sketch(texts: Texts) -> np.ndarray:
    """uint16 [N, BINS]: a fingerprint of the least hash of each bin's n-grams, 0 where a bin has none. A text
    shorter than 4 bytes is one n-gram; an empty one has none."""
    out = np.zeros((len(texts.offsets) - 1, BINS), np.uint16)
    _sketch(texts.data, texts.offsets, out)
    return out


def similarities(sketches: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float32: about |A & B| / |A | B| of the n-grams of texts left[i] and right[i], in [0, 1]; 0 where right is
    below 0 or both are empty.

    Args:
        sketches: uint16 [N, BINS].
        left, right: integers of one shape.
    """
    out = np.zeros(left.size, np.float32)
    _compare(sketches, left.astype(np.int64).ravel(), right.astype(np.int64).ravel(), out)
    return out.reshape(left.shape)


@njit(cache=True, nogil=True)
def _enter(gram, length, least):
    """Put the hash of one n-gram into its bin (the finaliser of MurmurHash3 mixes)."""
    h = gram ^ (np.uint64(length) * np.uint64(0x9E3779B97F4A7C15))
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xFF51AFD7ED558CCD)
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xC4CEB9FE1A85EC53)
    h ^= h >> np.uint64(33)
    at = h % np.uint64(len(least))
    least[at] = min(least[at], h)


@njit(cache=True, nogil=True)
def _sketch(data, offsets, out):
    none = np.uint64(0xFFFFFFFFFFFFFFFF)
    least = np.empty(out.shape[1], np.uint64)
    for i in range(len(offsets) - 1):
        first, last = offsets[i], offsets[i + 1]
        least[:] = none
        if 0 < last - first < SHORTEST:
            whole = np.uint64(0)
            for at in range(first, last):
                whole = whole << np.uint64(8) | np.uint64(data[at])
            _enter(whole, last - first, least)
        for start in range(first, last - SHORTEST + 1):
            gram = np.uint64(14695981039346656037)
            length = 0
            for at in range(start, min(start + LONGEST, last)):
                gram = (gram ^ np.uint64(data[at])) * np.uint64(1099511628211)
                length += 1
                if length == 4 or length == 8 or length == 16:
                    _enter(gram, length, least)
        for at in range(len(least)):
            if least[at] != none:
                out[i, at] = max(1, (least[at] >> np.uint64(8)) & np.uint64(0xFFFF))


@njit(cache=True, nogil=True)
def _compare(sketches, left, right, out):
    for i in range(len(left)):
        if right[i] < 0:
            continue
        equal = used = 0
        for at in range(sketches.shape[1]):
            a, b = sketches[left[i], at], sketches[right[i], at]
            used += a != 0 or b != 0
            equal += a == b and a != 0
        if used:
            out[i] = equal / used
