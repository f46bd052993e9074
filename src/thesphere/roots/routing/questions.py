"""What a router learns from: directions of queries, and the rows that answer them."""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry import generator
from thesphere.neighbours.search import unit_rows
from thesphere.scan import Metric, Part, encode, search
from thesphere.scan.rows import as_rows

LEAST, MOST = 4_000, 40_000  # questions; with a tenth of them the scan of 340,000 words grows by two fifths
PAIRS = 4 * 10**9  # of question and row that are compared, some 10 s of one core
PORTION = 1 << 17  # rows that are coded at a time
ENOUGH = 2_000  # given queries of which half suffice to calibrate on
WEIGHT = 5  # given queries count so many times a row; 1,000 saved a tenth of the scan on MiniLM's
STREAM = 40  # of the key


@dataclass(frozen=True)
class Questions:
    """S questions and their true answers.

    Attributes:
        directions: float32 [S, D] of norm 1.
        answers: int64 [S, k], the k best rows, itself left out for a question that is a row.
        own: int64 [S], the row that a question is, or -1.
    """

    directions: np.ndarray
    answers: np.ndarray
    own: np.ndarray

    def __len__(self) -> int:
        return len(self.own)


def held_back(queries: np.ndarray) -> np.ndarray:
    """Those of the given queries that no router learns from, to calibrate on: a router finds the answers of
    queries that it learned from with a third less effort than those of others like them.

    Args:
        queries: [Q, D]. Every second one is held back from 2,000 on, else all of them.
    """
    return queries[1::2] if len(queries) >= ENOUGH else queries


def learned_from(queries: np.ndarray) -> np.ndarray:
    """Those of the given queries [Q, D] that are not `held_back`; none of too few."""
    return queries[::2] if len(queries) >= ENOUGH else queries[:0]


def ask(
    vectors: np.ndarray,
    metric: Metric,
    answers: int,
    *,
    queries: np.ndarray | None = None,
    key: int | None = None,
    threads: int = 1,
) -> Questions:
    """Rows as questions, drawn without repetition, and the given queries that are not `held_back`.

    All rows are searched, exactly: answers from a sample of them would miss most of the few long rows that
    answer many queries, and the scan more than doubled.

    Args:
        vectors: real numbers [N, D].
        metric: "cosine" or "ip".
        answers: k, how many per question; N - 1 at most.
        queries: real numbers [Q, D] or None.
        key: seed of the draw.
        threads: workers; the questions do not depend on it.

    Raises InputError for another metric, other shapes, NaN or infinity.
    """
    if metric not in get_args(Metric):
        raise InputError(f"metric is {metric!r}, expected 'ip' or 'cosine'")
    count, width = vectors.shape
    drawn = min(count, MOST, max(LEAST, PAIRS // max(1, count)))
    own = np.sort(generator(key, STREAM).permutation(count)[:drawn])
    directions = unit_rows(as_rows(vectors[own]), "vectors")
    if queries is not None and len(queries) >= ENOUGH:
        given = unit_rows(learned_from(as_rows(queries, "queries", width)), "queries")
        directions = np.concatenate([directions, *[given] * WEIGHT])
        own = np.concatenate([own, np.full(WEIGHT * len(given), -1)])
    pointing = directions.any(axis=1)
    directions, own = directions[pointing], own[pointing]
    k = min(answers, count - 1)
    if k < 1 or not len(own):
        return Questions(directions, np.zeros((len(own), 0), np.int64), own)
    found = _best(vectors, directions, k + 1, metric, threads)
    others = found != own[:, None]
    others[others.all(axis=1), -1] = False  # not a row, or hidden behind rows that equal it
    return Questions(directions, found[others].reshape(len(own), k), own)


def _best(vectors: np.ndarray, directions: np.ndarray, k: int, metric: Metric, threads: int) -> np.ndarray:
    """int64 [S, k]: the exact k best rows, without codes of all rows in memory at once."""
    ids = np.zeros((len(directions), 0), np.int64)
    scores = np.zeros((len(directions), 0))
    for first in range(0, len(vectors), PORTION):
        rows = as_rows(vectors[np.arange(first, min(first + PORTION, len(vectors)))])
        found = search([Part(encode(rows), rows, first)], directions, k, metric=metric, threads=threads)
        ids, scores = np.concatenate([ids, found.ids], 1), np.concatenate([scores, found.scores], 1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        ids, scores = np.take_along_axis(ids, best, 1), np.take_along_axis(scores, best, 1)
    return ids
