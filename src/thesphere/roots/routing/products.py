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


def linear(codes: Codes, bias: np.ndarray, asked: Queries, out: np.ndarray | None = None) -> np.ndarray:
    """float32 [Q, K]: <q, w_c> / |q| + bias_c of coded queries and coded weights; of a zero query the bias.

    Args:
        codes: K coded weights, as wide as the queries.
        bias: float32 [K].
        asked: Q queries.
        out: float32 [Q, K], where the scores go; None: into fresh memory.
    """
    given, norms = asked.codes, asked.norms
    scores = np.empty((len(asked), len(codes)), np.float32) if out is None else out
    steps, offsets = frozen(codes.scales), frozen(bias)
    if len(asked) <= FEW:
        linear_pass(frozen(codes.codes), steps, offsets, given.codes, given.scales, norms, scores)
        return scores
    packed = Packed(codes.codes, min(ROWS, len(asked)))
    for first in range(0, len(asked), ROWS):
        some = slice(first, first + ROWS)
        _weigh(packed.tile(given.codes[some]), steps, offsets, given.scales[some], norms[some], scores[some])
    return scores


@njit(cache=True, nogil=True, error_model="numpy")
def linear_pass(codes, steps, offsets, queries, scales, norms, scores):
    """`linear` without tiles: weights of cells int8 [K, W], their steps and offsets float32 [K], queries int8
    [Q, W], scales float32 [Q], norms float64 [Q]; fills scores, float32 [Q, K]."""
    dots = np.empty((1, len(codes)), dtype=np.int32)
    for q in range(len(queries)):
        products(codes, 0, len(codes), queries, q, dots[0], 0)
        _weigh(dots, steps, offsets, scales[q : q + 1], norms[q : q + 1], scores[q : q + 1])


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(dots, steps, offsets, scales, norms, scores):
    """Scores of the products with coded queries: dots int32 and scores float32 [Q, K], scales and norms [Q]."""
    for q in range(len(dots)):
        weight = np.float32(np.float64(scales[q]) / norms[q]) if norms[q] > 0.0 else np.float32(0.0)
        for c in range(np.uint64(dots.shape[1])):
            scores[q, c] = np.float32(np.float64(dots[q, c]) * np.float64(weight)) * steps[c] + offsets[c]
