"""A sparse neighbour graph, as every part that builds on it sees it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from thesphere.errors import InputError


class Edges(NamedTuple):
    """A graph as compressed rows: row i is joined to targets[starts[i]:starts[i + 1]].

    Attributes:
        starts: int64 [N + 1].
        targets: int32 [E], ascending within a row.
        weights: float32 [E].
    """

    starts: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Neighbours:
    """The k nearest rows of every row, the most similar first; equal similarities by ascending id.

    Attributes:
        ids: int32 [N, k], -1 where there are fewer than k others.
        similarities: float32 [N, k], cosine in [-1, 1]; -inf where the id is -1. A zero vector has cosine 0
            with everything.
    """

    ids: np.ndarray
    similarities: np.ndarray

    def __post_init__(self) -> None:
        if self.ids.ndim != 2 or self.ids.shape != self.similarities.shape:
            raise InputError(
                f"neighbour ids have shape {list(self.ids.shape)} and similarities"
                f" {list(self.similarities.shape)}; give both as [N, k]"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def k(self) -> int:
        """Neighbours per row."""
        return self.ids.shape[1]

    def first(self, k: int) -> "Neighbours":
        """The k nearest of those that are held; all of them if k is larger."""
        return Neighbours(self.ids[:, :k], self.similarities[:, :k])

    def edges(self, weights: np.ndarray | None = None) -> Edges:
        """Both directions of every pair: the weight of (i, j) is the mean of what i gives j and j gives i.

        Args:
            weights: numbers [N, k] in place of 1 for each neighbour; 0 leaves a pair out on that side.

        Raises:
            InputError: weights of another shape, or ids beyond the points.
        """
        from thesphere.neighbours.kernels import symmetric

        given = np.ones(self.ids.shape, np.float32) if weights is None else np.asarray(weights, np.float32)
        if given.shape != self.ids.shape:
            raise InputError(f"weights have shape {list(given.shape)}; give one for each of {self.ids.shape}")
        if self.ids.size and not -1 <= self.ids.min() <= self.ids.max() < len(self):
            raise InputError(
                f"neighbour ids run from {self.ids.min()} to {self.ids.max()}; give -1 (none) to {len(self) - 1}"
            )
        return Edges(*symmetric(self.ids, np.argsort(self.ids, axis=1), given))
