"""Inner products: float64 in one fixed order (the truth), and exact int8 tiles (for the bounds)."""

from functools import cache

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def dot_and_square(values, row, step, query, width):
    """<query, x> and <x, x> in float64 for x = values[row] * step.

    Eight partial sums, always added in the same order: the result depends on nothing but the two vectors, not on
    batch, part, thread or machine (no BLAS, and no fused multiply-add, which numba leaves out by default).
    """
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = 0.0
    b0 = b1 = b2 = b3 = b4 = b5 = b6 = b7 = 0.0
    whole = width - width % 8
    for j in range(0, whole, 8):
        v0 = np.float64(values[row, j]) * step
        v1 = np.float64(values[row, j + 1]) * step
        v2 = np.float64(values[row, j + 2]) * step
        v3 = np.float64(values[row, j + 3]) * step
        v4 = np.float64(values[row, j + 4]) * step
        v5 = np.float64(values[row, j + 5]) * step
        v6 = np.float64(values[row, j + 6]) * step
        v7 = np.float64(values[row, j + 7]) * step
        a0 += v0 * query[j]
        a1 += v1 * query[j + 1]
        a2 += v2 * query[j + 2]
        a3 += v3 * query[j + 3]
        a4 += v4 * query[j + 4]
        a5 += v5 * query[j + 5]
        a6 += v6 * query[j + 6]
        a7 += v7 * query[j + 7]
        b0 += v0 * v0
        b1 += v1 * v1
        b2 += v2 * v2
        b3 += v3 * v3
        b4 += v4 * v4
        b5 += v5 * v5
        b6 += v6 * v6
        b7 += v7 * v7
    for j in range(whole, width):
        value = np.float64(values[row, j]) * step
        a0 += value * query[j]
        b0 += value * value
    dot = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7))
    return dot, ((b0 + b1) + (b2 + b3)) + ((b4 + b5) + (b6 + b7))


@njit(cache=True, nogil=True, error_model="numpy")
def score(values, row, step, query, width, query_norm, cosine):
    """The score that the index promises: <q, x>, or <q, x> / (|q| |x|) with 0 for a zero vector."""
    dot, square = dot_and_square(values, row, step, query, width)
    if not cosine:
        return dot
    norm = query_norm * np.sqrt(square)
    return dot / norm if norm > 0.0 else 0.0


class Packed:
    """A block of coded queries, laid out for products with many tiles of coded rows."""

    def __init__(self, queries: np.ndarray, rows: int) -> None:
        """queries int8 [Q, W]; rows: the most rows that a tile will have."""
        self.out = np.empty((rows, len(queries)), dtype=np.int32)
        self.queries = queries
        self.packed = None
        if tiles_are_compiled():
            import numkong

            self.packed = numkong.dots_pack(queries)

    def tile(self, codes: np.ndarray) -> np.ndarray:
        """int32 [R, Q]: exact products of codes int8 [R, W] with the queries; valid until the next call."""
        out = self.out[: len(codes)]
        if self.packed is None:
            out[:] = _products(codes, self.queries)
        else:
            import numkong

            # numkong writes into its own tensors only: a view of ours
            view = numkong.from_pointer(out.ctypes.data, out.shape, "int32", owner=out)
            numkong.dots_packed(codes, self.packed, out=view)
        return out


def _products(codes: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Exact int32 products by float32 BLAS: 1,024 terms of at most 128 * 128 are integers up to 2^24."""
    total = np.zeros((len(codes), len(queries)), dtype=np.int32)
    for first in range(0, codes.shape[1], 1024):
        part = slice(first, first + 1024)
        block = codes[:, part].astype(np.float32) @ queries[:, part].astype(np.float32).T
        total += block.astype(np.int32)
    return total


@cache
def tiles_are_compiled() -> bool:
    """Whether numkong is there and its int8 products are exact on this processor (tried once, on extremes)."""
    try:
        import numkong
    except ImportError:
        return False
    rows = np.full((19, 192), -127, dtype=np.int8)
    rows[::2, ::3] = 127
    rows[5] = np.arange(192) - 96
    out = np.zeros((19, 17), dtype=np.int32)
    view = numkong.from_pointer(out.ctypes.data, out.shape, "int32", owner=out)
    numkong.dots_packed(rows, numkong.dots_pack(rows[:17]), out=view)
    return bool(np.array_equal(out, rows.astype(np.int32) @ rows[:17].T.astype(np.int32)))
