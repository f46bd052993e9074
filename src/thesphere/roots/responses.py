"""Rows beside how strongly given queries respond to them: what cells are made of where the queries are known.

Rows that answer the same queries belong into one cell, even where they do not lie close together: keys that
many queries are drawn to lie among others that none ever asks for. So k-means sees a row, and next to it a
projection of its responses: 1 where it would be a query's tenth best, next to nothing far below. A learned router
finds such cells; centroids would not (on MiniLM by cosine they doubled the scan).

Score-aware quantisation (Guo et al. 2020, arXiv 1908.10396) weighs how cells err along the rows themselves; here
the queries say what matters.
"""

import numpy as np

from thesphere.geometry import generator
from thesphere.neighbours.search import unit_rows
from thesphere.roots.config import DENSITY
from thesphere.roots.partition.kmeans import scale_of
from thesphere.runtime.threads import one_blas_thread, spread

QUERIES = 1000  # whose responses are looked at, evenly out of more
COLUMNS = 64  # that responses are projected to
WEIGHT = 0.7  # of responses beside rows, in standard deviations; chosen, as all here, on a head of attention
ANSWERS = 10  # rows that answer a query in full
FAR, FALL = 0.05, 3.0  # a response falls by e^-3 until the row at a twentieth of all
MOST = 3.0  # logarithm of the largest response
SAMPLE = 1 << 16  # rows that tell what a query's best scores are, and how large everything is
BLOCK, COLUMN = 2048, 50  # rows, and queries, whose scores are in memory at once
MEASURED = 8192  # rows of the sample whose spread is taken for that of all
STEEPEST = np.float32(1e-30)  # of a fall from 1 to e^-FALL, in scores
WIDE = 128  # columns from which it pays to have as many cells as without queries
STREAM = 44  # of the key


def density(width: int) -> float:
    """Cells for each square root of the rows. A query opens fewer rows than without queries, so that opening a
    cell counts for more, the narrower its rows the more: 100,000 keys of 32 columns answered 84,000 queries a
    second with 4, 101,000 with 2; with 1.6 and 1.4 it was the same, and more rows were scanned.
    """
    return DENSITY * float(np.clip(np.sqrt(width / WIDE), 0.5, 1))


def with_responses(
    vectors: np.ndarray, norms: np.ndarray, queries: np.ndarray, *, key: int | None = None, threads: int = 1
) -> np.ndarray:
    """float32 [N, D + COLUMNS]: rows, and projected responses, around their means; variances of the rows' columns
    sum up to 1, those of the responses' to WEIGHT squared. The same on any number of threads.

    Args:
        vectors: real numbers [N, D], finite, N and D at least 1.
        norms: float64 [N], their norms.
        queries: real numbers [Q, D], Q at least 1; their lengths do not matter.
        key: seed of the sample and of the projection.
        threads: workers.
    """
    directions = np.ascontiguousarray(unit_rows(queries[:: -(-len(queries) // QUERIES)], "queries").T)
    scale, width, random = scale_of(norms), vectors.shape[1], generator(key, STREAM)
    projection = random.standard_normal((directions.shape[1], COLUMNS), np.float32) / np.float32(COLUMNS**0.5)
    chosen = np.sort(random.permutation(len(vectors))[:SAMPLE])
    found = np.empty((len(vectors), width + COLUMNS), np.float32)

    def rows_of(some: slice | np.ndarray) -> np.ndarray:
        return (vectors[some].astype(np.float64) * scale).astype(np.float32)

    def describe(rows: np.ndarray, out: np.ndarray) -> None:
        responses = rows @ directions
        responses -= top
        responses *= fall
        np.exp(np.minimum(responses, MOST, out=responses), out=responses)
        out[:, :width] = rows
        out[:, width:] = responses @ projection

    def work(first: int) -> None:
        own = found[first : first + BLOCK]
        with np.errstate(over="ignore"):  # a threshold is as steep as one likes where many rows are alike
            describe(rows_of(slice(first, first + BLOCK)), own)
        own -= middle
        own *= factor

    with one_blas_thread(), np.errstate(over="ignore"):
        sample = rows_of(chosen)
        best = min(len(sample) - 1, round(ANSWERS * len(sample) / len(vectors)))
        top, fall = _thresholds(sample, directions, best)
        few = sample[:: -(-len(sample) // MEASURED)]
        described = np.empty((len(few), found.shape[1]), np.float32)
        describe(few, described)
        middle, factor = _standard(described.astype(np.float64), width)
        spread(work, range(0, len(vectors), BLOCK), threads)
    return found


def _thresholds(sample: np.ndarray, directions: np.ndarray, best: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 [Q], [Q]: the score of each query's row at place `best`, and how steeply responses fall from it."""
    top, fall = np.empty((2, directions.shape[1]), np.float32)
    high = len(sample) - 1 - best
    low = min(high, len(sample) - 1 - round(FAR * (len(sample) - 1)))
    for at in range(0, directions.shape[1], COLUMN):
        own = slice(at, at + COLUMN)
        scores = np.partition(sample @ directions[:, own], (low, high), axis=0)
        top[own] = scores[high]
        fall[own] = FALL / np.maximum(scores[high] - scores[low], STEEPEST)
    return top, fall


def _standard(described: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 [D + COLUMNS], [D + COLUMNS]: what is taken from each column, and what it is then multiplied by."""
    spreads = described.var(axis=0)
    factor = np.empty(described.shape[1])
    for own, weight in ((slice(0, width), 1.0), (slice(width, None), WEIGHT)):
        whole = float(np.sqrt(spreads[own].sum()))
        factor[own] = weight / whole if whole > 1e-12 else 0.0
    return described.mean(axis=0).astype(np.float32), factor.astype(np.float32)
