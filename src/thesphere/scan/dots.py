"""Inner products: float64 in one fixed order (the truth), and exact int8 tiles (for the bounds)."""

from functools import cache

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def dot(values, row, step, query):
    """<query, x> in float64 for x = values[row] * step; query float64 [D].

    Eight partial sums, always added in the same order: the result depends on nothing but the two vectors, not
    on batch, part, thread or machine (no BLAS, and no fused multiply-add, which numba leaves out by default).
    """
    a = b = c = d = e = f = g = h = 0.0
    whole = len(query) - len(query) % 8
    for j in range(0, whole, 8):
        a += np.float64(values[row, j]) * step * query[j]
        b += np.float64(values[row, j + 1]) * step * query[j + 1]
        c += np.float64(values[row, j + 2]) * step * query[j + 2]
        d += np.float64(values[row, j + 3]) * step * query[j + 3]
        e += np.float64(values[row, j + 4]) * step * query[j + 4]
        f += np.float64(values[row, j + 5]) * step * query[j + 5]
        g += np.float64(values[row, j + 6]) * step * query[j + 6]
        h += np.float64(values[row, j + 7]) * step * query[j + 7]
    for j in range(whole, len(query)):
        a += np.float64(values[row, j]) * step * query[j]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@njit(cache=True, nogil=True, error_model="numpy")
def norm(values, row, step, width):
    """|x| in float64 for the first `width` columns of x = values[row] * step, in one fixed order."""
    a = b = c = d = 0.0
    whole = width - width % 4
    for j in range(0, whole, 4):
        a += (np.float64(values[row, j]) * step) ** 2
        b += (np.float64(values[row, j + 1]) * step) ** 2
        c += (np.float64(values[row, j + 2]) * step) ** 2
        d += (np.float64(values[row, j + 3]) * step) ** 2
    for j in range(whole, width):
        a += (np.float64(values[row, j]) * step) ** 2
    return np.sqrt((a + b) + (c + d))


@njit(cache=True, nogil=True, error_model="numpy")
def score(values, row, step, query, query_norm, cosine):
    """The score that the index promises: <q, x>, or <q, x> / (|q| |x|) with 0 for a zero vector."""
    product = dot(values, row, step, query)
    if not cosine:
        return product
    both = query_norm * norm(values, row, step, len(query))
    return product / both if both > 0.0 else 0.0


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
    """Whether numkong is there and its int8 products are exact on this processor: tried once, on extremes."""
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
