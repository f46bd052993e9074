"""k-means: spherical for cosine, on raw rows (L2) for inner product.

Raw rows matter for inner product: cells that mix long and short rows cannot be told apart by their means. On
raw MiniLM and GloVe rows they needed 2 to 5 times fewer points at recall 0.95 than directions.
"""

import heapq
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thesphere.errors import InputError
from thesphere.roots.partition.assign import assign, block_of, means, unit
from thesphere.roots.partition.problem import Divided, Problem

FARTHEST = 1e15  # rows this much longer than the median still have finite float32 squares


@dataclass(frozen=True)
class Kmeans:
    """Lloyd's rounds on a keyed sample, from some of its rows, then one pass over all rows.

    The inverted file of FAISS is the peer (Jegou et al. 2011). We train on fewer rows per cell, which costs
    little, re-seed an empty cell by the worst row of the largest, and answer the same on any number of threads.

    Attributes:
        rounds: of Lloyd's algorithm at most; it ends when no row changes its cell.
        sample: rows per cell to train on, 1 or more.
        spherical: cluster directions; None: for cosine yes, for inner product no.
    """

    name: ClassVar[str] = "kmeans"
    rounds: int = 10
    sample: int = 64
    spherical: bool | None = None

    def __post_init__(self) -> None:
        if self.rounds < 0 or self.sample < 1:
            raise InputError(f"rounds {self.rounds}, sample {self.sample}; give 0 or more, and 1 or more")

    def divide(self, problem: Problem) -> Divided:
        raw = not (problem.metric == "cosine" if self.spherical is None else self.spherical)
        scale = scale_of(problem.norms) if raw else None
        centroids, rounds = self._train(problem, scale, raw)
        labels, _ = assign(problem.rows, centroids, scale=scale, raw=raw, threads=problem.threads)
        return Divided(labels, rounds)

    def _train(self, problem: Problem, scale: float | None, raw: bool) -> tuple[np.ndarray, int]:
        """float32 [K, D] and the rounds it took."""
        chosen = problem.random(0).permutation(len(problem))[: problem.count * self.sample]
        first = chosen[: problem.count]
        centroids = block_of(problem.rows[first], 0, len(first), scale)
        chosen = np.sort(chosen)  # a mapped file is read in order
        sample = block_of(problem.rows[chosen], 0, len(chosen), scale)
        squares = np.einsum("nd,nd->n", sample, sample)
        before = None
        for done in range(self.rounds):
            labels, best = assign(sample, centroids, scale=1, raw=raw, threads=problem.threads)
            if before is not None and (labels == before).all():
                return centroids, done
            before = labels
            moved = means(sample, labels, problem.count, scale=1)
            centroids = moved.astype(np.float32) if raw else unit(moved)
            _reseed(centroids, sample, labels, squares - (2 if raw else 1) * best)
        return centroids, self.rounds


def scale_of(norms: np.ndarray) -> float:
    """A factor that brings raw rows to norms whose squares float32 can hold: the median becomes 1."""
    seen = norms[norms > 0]
    if not len(seen):
        return 1.0
    return float(1 / max(float(np.median(seen)), float(seen.max()) / FARTHEST))


def _reseed(centroids: np.ndarray, sample: np.ndarray, labels: np.ndarray, residuals: np.ndarray) -> None:
    """Give each empty cell the worst-described row of the largest cell, which then counts as halved."""
    sizes = np.bincount(labels, minlength=len(centroids))
    empty = np.flatnonzero(sizes == 0)
    if not len(empty):
        return
    order = np.lexsort((-residuals, labels))  # by cell, the worst first
    at = np.cumsum(sizes) - sizes
    taken = np.zeros(len(sizes), np.int64)
    heap = [(-int(size), int(cell)) for cell, size in enumerate(sizes) if size > 1]
    heapq.heapify(heap)
    for cell in empty:
        if not heap:
            return
        size, largest = heapq.heappop(heap)
        centroids[cell] = sample[order[at[largest] + taken[largest]]]
        taken[largest] += 1
        if -size // 2 > 1 and taken[largest] < sizes[largest]:
            heapq.heappush(heap, (-(-size // 2), largest))
