"""Learning a linear router: which cells hold the answers of which questions."""

import math

import numpy as np

from thesphere.geometry import generator
from thesphere.roots.routing.questions import STREAM, Questions, ask
from thesphere.runtime import workers
from thesphere.runtime.threads import one_blas_thread
from thesphere.scan.part import Metric
from thesphere.scan.rows import as_rows

ANSWERS = 5, 50  # per question, in between a quarter of a cell's rows: fewer leave cells unseen, more blur
ROUNDS, BATCH = 6, 256  # passes over the questions, and questions of a step
RATE = 0.6  # of Adam's steps, in logits along a typical direction
START = 2.0  # standard deviation of a question's logits at the start
SIZE = 0.5  # exponent: of two equally promising cells the smaller goes first
JUDGES = 128  # questions that all rows are compared with, to put the logits into units of score
SOME = 1 << 14  # rows that are compared at a time
LARGEST = 1e38  # weights and biases beyond this are cut


def learn(
    vectors: np.ndarray,
    starts: np.ndarray,
    rows: np.ndarray,
    centres: np.ndarray,
    metric: Metric,
    *,
    queries: np.ndarray | None = None,
    key: int | None = None,
    threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights float64 [K, D] and bias float64 [K] of a linear router; see `fit_router` for the arguments.

    Softmax regression of the cells that hold a question's best rows on its direction, from the centroids, by
    Adam. Then: (1) each cell's logit loses half the logarithm of its rows, because what counts is answers per
    row scanned; (2) for cosine the centroids are added with equal weight, as a prior; (3) one straight line maps
    the logits of the more promising cells to the best score in them. None of it changes what a query costs.
    """
    centres = np.asarray(centres, np.float64)
    unlearned = centres, np.zeros(len(centres))
    workforce = workers() if threads is None else threads
    sizes = np.diff(starts)
    answers = int(np.clip(sizes.mean() / 4, *ANSWERS))
    questions = ask(vectors, metric, answers, queries=queries, key=key, threads=workforce)
    if not questions.answers.size or len(centres) < 2:
        return unlearned
    with one_blas_thread():
        sample = questions.directions[: 8 * JUDGES].astype(np.float64)
        spread = _spread(sample, centres)
        if not spread > 0:
            return unlearned
        begun = np.zeros((len(centres), centres.shape[1] + 1), np.float32)
        begun[:, :-1] = centres * (START / spread)
        targets = _targets(questions.answers, sizes, rows, len(vectors))
        made = _softmax(questions.directions, targets, begun, key).astype(np.float64)
        weights, bias = made[:, :-1], made[:, -1] - SIZE * np.log(np.maximum(sizes, 1))
        if metric == "cosine":
            weights = weights + centres * (_spread(sample, weights) / spread)
        slope, offset = _line(questions, vectors, starts, rows, weights, bias, metric)
    limit = LARGEST / math.sqrt(centres.shape[1])
    return np.clip(slope * weights, -limit, limit), np.clip(slope * bias + offset, -LARGEST, LARGEST)


def _spread(directions: np.ndarray, weights: np.ndarray) -> float:
    """The mean standard deviation of a question's products with the cells' weights."""
    return float((directions @ weights.T).std(axis=1).mean())


def _targets(answers: np.ndarray, sizes: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """int32 [S, k] or [S, 2 k]: the cells of the answers, both of them where there are second copies."""
    cells = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    first, last = np.zeros((2, count), np.int32)
    last[rows] = cells
    first[rows[::-1]] = cells[::-1]
    if len(rows) == count:
        return first[answers]
    return np.concatenate([first[answers], last[answers]], axis=1)


def _softmax(directions: np.ndarray, targets: np.ndarray, weights: np.ndarray, key: int | None) -> np.ndarray:
    """float32 [K, D + 1], weights and bias that minimise the cross entropy to the targets, from `weights`.

    Adam (Kingma and Ba 2015) with a cosine-shaped rate; float32 products on one BLAS thread, in an order that
    the key alone decides.
    """
    count, labels = targets.shape
    inputs = np.concatenate([directions, np.ones((count, 1), np.float32)], axis=1)
    rate, share = RATE / math.sqrt(directions.shape[1]), np.float32(1 / labels)
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    random, weights = generator(key, STREAM + 1), weights.copy()
    steps, step = ROUNDS * -(-count // BATCH), 0
    for _ in range(ROUNDS):
        order = random.permutation(count)
        for first in range(0, count, BATCH):
            some = order[first : first + BATCH]
            given, at = inputs[some], np.arange(len(some))
            gap = given @ weights.T
            gap -= gap.max(axis=1, keepdims=True)
            np.exp(gap, out=gap)
            gap /= gap.sum(axis=1, keepdims=True)
            for column in targets[some].T:
                gap[at, column] -= share
            slope = gap.T @ given
            slope /= len(some)
            step += 1
            mean += 0.1 * (slope - mean)
            square += 0.01 * (slope * slope - square)
            now = rate * 0.5 * (1 + math.cos(math.pi * step / steps)) / (1 - 0.9**step)
            weights -= now * mean / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return weights


def _line(
    questions: Questions,
    vectors: np.ndarray,
    starts: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    metric: Metric,
) -> tuple[float, float]:
    """Slope and offset of the best score in a cell on its logit, over each question's most promising eighth."""
    every = max(1, len(questions) // JUDGES)
    some = slice(None, every * JUDGES, every)
    judges = questions.directions[some]
    logits = judges @ weights.T + bias
    best = _best(judges, questions.own[some], vectors, starts, rows, metric)
    top = min(logits.shape[1], max(8, logits.shape[1] // 8))
    bar = np.partition(logits, -top, axis=1)[:, -top]
    chosen = (logits >= bar[:, None]) & np.isfinite(best)
    x, y = logits[chosen], best[chosen]
    if not len(x):
        return 1.0, 0.0
    around = x - x.mean()
    square = around @ around
    slope = float(around @ y / square) if square > 0 else 1.0
    if not slope > 0:  # an order must not be turned round by a few odd cells
        slope = float(y.std() / x.std()) if y.std() > 0 and square > 0 else 1.0
    return slope, float(y.mean() - slope * x.mean())


def _best(
    judges: np.ndarray,
    own: np.ndarray,
    vectors: np.ndarray,
    starts: np.ndarray,
    rows: np.ndarray,
    metric: Metric,
) -> np.ndarray:
    """float64 [J, K]: the best score in each cell, a judge itself left out; -inf where there is no other row."""
    best = np.full((len(judges), len(starts) - 1), -np.inf)
    cells = np.flatnonzero(np.diff(starts))
    edges = np.unique(np.searchsorted(starts[cells], np.arange(0, len(rows), SOME)))
    for block in np.split(cells, edges[1:]):
        if not len(block):
            continue
        first, end = starts[block[0]], starts[block[-1] + 1]
        names = rows[first:end]
        given = as_rows(vectors[names]).astype(np.float64)
        if metric == "cosine":
            norms = np.sqrt(np.einsum("nd,nd->n", given, given))
            given /= np.where(norms > 0, norms, 1)[:, None]
        scores = judges @ given.T
        for judge in range(len(judges)):
            scores[judge, names == own[judge]] = -np.inf
        best[:, block] = np.maximum.reduceat(scores, starts[block] - first, axis=1)
    return best
