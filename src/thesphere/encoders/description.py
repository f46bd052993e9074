"""What a sphere encoder sees in one text, patch by patch."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Description:
    """What the encoder sees in one text, patch by patch.

    Attributes:
        at: int64 [P], the first byte of each patch; it ends where the next one begins.
        embeddings: float32 [P, D], pre-norm; their mean over the patches is the text's, up to 8-bit rounding.
        prominence: float32 [P], above 0: the weight of each patch, which is a factor of its embedding.
        shells: float32 [P, S], probabilities of the shells from the innermost to the outermost.
        cones: float32 [P, C], affinities to the cones; they sum to 1.
    """

    at: np.ndarray
    embeddings: np.ndarray
    prominence: np.ndarray
    shells: np.ndarray
    cones: np.ndarray

    @property
    def shell(self) -> np.ndarray:
        """int64 [P], the most probable shell of each patch."""
        return self.shells.argmax(1)
