"""Linear scores of all cells: integer products of codes, then one fixed order of float32 operations.

So a query's scores depend on nothing but the query and the router: not on the batch it came in, on threads, on
the machine, or on which of the two ways below computed them.
"""

import numpy as np
from numba import njit

from thesphere.nn import tiles
from thesphere.nn.packed import Packed
from thesphere.nn.tiles import LANES, multiply, tiles_allowed
from thesphere.room import aligned
from thesphere.scan.block import FEW, Queries
from thesphere.scan.integers import products
from thesphere.scan.rows import Codes, frozen

ROWS = 128  # queries of a block: its products stay in a second-level cache
ACROSS = 256  # cells of a block by `multiply`: its products stay in a first-level cache


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
    if LANES or tiles_allowed():
        left = aligned((tiles.ROWS, codes.codes.shape[1]), np.int8)
        dots = aligned((tiles.ROWS, ACROSS), np.int32)
        weights, quick = codes.packed, tiles_allowed()
        tiles_pass(weights, steps, offsets, given.codes, given.scales, norms, scores, left, dots, quick)
        return scores
    packed = Packed(codes.codes)
    dots = aligned((min(ROWS, len(asked)), packed.wide), np.int32)
    for first in range(0, len(asked), ROWS):
        some = slice(first, first + ROWS)
        found = dots[: len(scores[some])]
        packed(given.codes[some], found)
        _weigh_all(found, len(codes), steps, offsets, given.scales[some], norms[some], scores[some])
    return scores


@njit(cache=True, nogil=True, error_model="numpy")
def tiles_pass(packed, steps, offsets, queries, scales, norms, scores, left, dots, tiles):
    """`linear` by `multiply`: packed weights of cells, the rest as for `linear_pass`; left int8 [R, W], dots
    int32 [R, ACROSS] are work arrays."""
    few, cells = len(left), scores.shape[1]
    for first in range(0, len(queries), few):
        end = min(first + few, len(queries))
        left[: end - first] = queries[first:end]
        for cell in range(0, cells, ACROSS):
            last = min(cell + ACROSS, cells)
            some = packed[cell // 16 : cell // 16 + ACROSS // 16]
            out = dots.ravel()[: few * 16 * len(some)].reshape(few, 16 * len(some))
            multiply(left, some, out, tiles)
            for q in range(first, end):
                _weigh(out, q - first, last - cell, steps, offsets, scales[q], norms[q], scores, q, cell)


@njit(cache=True, nogil=True, error_model="numpy")
def linear_pass(codes, steps, offsets, queries, scales, norms, scores):
    """`linear` one by one: weights of cells int8 [K, W], their steps and offsets float32 [K], queries int8
    [Q, W], scales float32 [Q], norms float64 [Q]; fills scores, float32 [Q, K]."""
    dots = np.empty((1, len(codes)), dtype=np.int32)
    for q in range(len(queries)):
        products(codes, 0, len(codes), queries, q, dots[0], 0)
        _weigh(dots, 0, len(codes), steps, offsets, scales[q], norms[q], scores, q, 0)


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh_all(dots, cells, steps, offsets, scales, norms, scores):
    for q in range(len(dots)):
        _weigh(dots, q, cells, steps, offsets, scales[q], norms[q], scores, q, 0)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _weigh(dots, row, count, steps, offsets, scale, norm, scores, q, cell):
    """Scores of query q, of cells from `cell` on, of their `count` products int32 in a row of dots."""
    weight = np.float32(np.float64(scale) / norm) if norm > 0.0 else np.float32(0.0)
    for c in range(np.uint64(count)):
        at = np.uint64(cell) + c
        scores[q, at] = np.float32(np.float64(dots[row, c]) * np.float64(weight)) * steps[at] + offsets[at]
