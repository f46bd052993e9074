"""Character 2-grams and 4-grams of a text, hashed into buckets: the compiled half of `lsa`.

Characters, not bytes: byte n-grams lose on every multi-byte script. N-grams cross word boundaries, and each
end of a text counts as one space. A row depends on its own text only, to the last bit: its buckets are added
in order of first appearance, every column by itself.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np
from numba import njit

SPACE = np.uint64(32)
MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: multiplicative hashing, Knuth TAOCP 3, 6.4
SPREAD = np.uint64(0xC2B2AE3D27D4EB4F)  # a second odd multiplier: a 4-gram is an ordered pair of 2-grams


def normalise(text: bytes) -> str:
    """NFKC, case folded, every run of white space one space. Bytes that are not UTF-8 stay distinct
    characters.
    """
    folded = unicodedata.normalize("NFKC", text.decode("utf-8", "surrogateescape")).casefold()
    return " ".join(folded.split())


def codes_of(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """The normalised texts' code points, uint32 [sum of lengths], and where each starts, int64 [N + 1]."""
    folded = [normalise(text) for text in texts]
    starts = np.zeros(len(folded) + 1, np.int64)
    np.cumsum([len(text) for text in folded], out=starts[1:])
    return np.frombuffer("".join(folded).encode("utf-32-le", "surrogatepass"), np.uint32), starts


@njit(cache=True, nogil=True, inline="always")
def _count(codes, start, end, shift, counts, seen):
    """Counts the n-grams of codes[start:end] by bucket, lists the buckets met in `seen`, returns how many."""
    found = 0
    if start == end:
        return found
    left, older, old = SPACE, np.uint64(0), np.uint64(0)
    for at in range(start, end + 1):
        right = np.uint64(codes[at]) if at < end else SPACE
        pair = left << np.uint64(21) | right  # code points have 21 bits
        for four in range(2):
            if four and at < start + 2:
                break
            key = ((older * SPREAD + pair) ^ MIX if four else pair) * MIX
            bucket = np.int64((key ^ key >> np.uint64(32)) * MIX >> shift)
            if counts[bucket] == 0:
                seen[found] = bucket
                found += 1
            counts[bucket] += 1
        left, older, old = right, old, pair
    return found


@njit(cache=True, nogil=True)
def fill_rows(codes, starts, shift, out):
    """out[i, b] = 1 + ln(count of bucket b in text i), 0 where the bucket is absent. out: float32 [N,
    buckets].
    """
    counts = np.zeros(out.shape[1], np.int32)
    seen = np.empty(out.shape[1], np.int64)
    out[:] = 0
    for text in range(len(starts) - 1):
        for at in range(_count(codes, starts[text], starts[text + 1], shift, counts, seen)):
            out[text, seen[at]] = 1 + np.log(counts[seen[at]])
            counts[seen[at]] = 0


@njit(cache=True, nogil=True)
def sum_rows(codes, starts, shift, matrix, scales, out):
    """out[i] = sum over the buckets b of text i of (1 + ln count) * scales[b] * matrix[b].

    Args:
        codes, starts: what `codes_of` gives.
        shift: uint64, 64 - log2(buckets).
        matrix: int8 [buckets, width], small enough to stay in the second-level cache.
        scales: float32 [buckets]; buckets of scale 0 are passed over.
        out: float32 [N, width], overwritten.
    """
    buckets, width = matrix.shape
    counts = np.zeros(buckets, np.int32)
    seen = np.empty(buckets, np.int64)
    weights = np.empty(buckets, np.float32)
    for text in range(len(starts) - 1):
        row = out[text]
        row[:] = 0
        used = 0
        for at in range(_count(codes, starts[text], starts[text + 1], shift, counts, seen)):
            bucket = seen[at]
            scale = scales[bucket]
            if scale > 0:
                weights[used] = (
                    scale if counts[bucket] == 1 else scale * np.float32(1 + np.log(counts[bucket]))
                )
                seen[used] = bucket
                used += 1
            counts[bucket] = 0
        first = used % 4
        for at in range(first):
            one, weight = matrix[seen[at]], weights[at]
            for k in range(width):
                row[k] += weight * np.float32(one[k])
        for at in range(
            first, used, 4
        ):  # four at a time: the running sum is loaded and stored once for four rows
            a, b, c, d = matrix[seen[at]], matrix[seen[at + 1]], matrix[seen[at + 2]], matrix[seen[at + 3]]
            u, v, w, x = weights[at], weights[at + 1], weights[at + 2], weights[at + 3]
            for k in range(width):
                row[k] += (u * np.float32(a[k]) + v * np.float32(b[k])) + (
                    w * np.float32(c[k]) + x * np.float32(d[k])
                )
