"""Linear scores of all cells: integer products of codes, then one fixed order of float32 operations.

So a query's scores depend on nothing but the query and the router: not on the batch it came in, on threads, on
the machine, or on which of the two ways below computed them.
"""

import numpy as np
from numba import njit

from thesphere.scan.block import FEW, Queries
from thesphere.scan.dots import Packed
from thesphere.scan.integers import products
from thesphere.scan.rows import Codes, frozen

ROWS = 128  # queries of a block: its products stay in a second-level cache


def linear(codes: Codes, bias: np.ndarray, asked: Queries) -> np.ndarray:
    """float32 [Q, K]: <q, w_c> / |q| + bias_c of coded queries and coded weights; of a zero query the bias.

    Args:
        codes: K coded weights, as wide as the queries.
        bias: float32 [K].
        asked: Q queries.
    """
    given, norms = asked.codes, asked.norms
    scores = np.empty((len(asked), len(codes)), np.float32)
    if len(asked) <= FEW:
        columns = frozen(codes.codes), frozen(codes.scales), frozen(bias)
        linear_pass(*columns, given.codes, given.scales, norms, scores)
        return scores
    weights = np.divide(given.scales, norms, out=np.zeros(len(norms)), where=norms > 0).astype(np.float32)
    packed = Packed(codes.codes, min(ROWS, len(asked)))
    for first in range(0, len(asked), ROWS):
        some = slice(first, first + ROWS)
        block = scores[some]
        np.multiply(packed.tile(given.codes[some]), weights[some, None], out=block, casting="same_kind")
        block *= codes.scales
        block += bias
    return scores


@njit(cache=True, nogil=True, error_model="numpy")
def linear_pass(codes, steps, offsets, queries, scales, norms, scores):
    """`linear` without tiles: weights of cells int8 [K, W], their steps and offsets float32 [K], queries int8
    [Q, W], scales float32 [Q], norms float64 [Q]; fills scores, float32 [Q, K]."""
    dots = np.empty(len(codes), dtype=np.int32)
    for q in range(len(queries)):
        weight = np.float32(np.float64(scales[q]) / norms[q]) if norms[q] > 0.0 else np.float32(0.0)
        products(codes, 0, len(codes), queries, q, dots, 0)
        for c in range(np.uint64(len(codes))):
            # as np.multiply does
            scores[q, c] = np.float32(np.float64(dots[c]) * np.float64(weight)) * steps[c] + offsets[c]
