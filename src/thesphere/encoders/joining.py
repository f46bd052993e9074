"""How much an encoder's vectors count beside the words of a question."""

import math
from dataclasses import dataclass

import numpy as np

from thesphere.errors import InputError

SPARE = 0.1  # added to the lead of words: where it is small, vectors do not decide alone
USUAL = 0.15, 0.105  # mean and standard deviation of cosines with texts that a question is not about
KNOWN = 100  # texts that count with the usual ones beside those of a collection, which may be few


@dataclass(frozen=True)
class Joining:
    """The weight c of the best cosine in the score of a text query.

        c = scale * (standing of vectors / 10)^2 / (lead of words + 0.1)^2

    Where one document stands out of the collection by its cosine, vectors know what is meant; where one stands
    far above the tenth in the share of the query's words that it holds, words do. That lead is absolute: words
    that single out a document which holds but a tenth of the query lead by little. The squares spare queries
    whose words know well, as in languages that an encoder hardly does. Chosen per encoder by
    `benchmarks/joining.py`, which knows no test query (docs/decisions.md).

    Attributes:
        scale: how far vectors are trusted, 0 or more; 0: they never join.
        asked: join only where the caller asks for it.
    """

    scale: float = 0.8
    asked: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise InputError(f"{self} is no weight: give a finite number of 0 or more")

    def weight(self, words: float, vectors: float) -> float:
        """c of a query.

        Args:
            words: lead of the best lexical score, as a share of what a perfect document would reach, 0 to 1.
            vectors: what `standing` says, 0 or more.
        """
        return self.scale * (vectors / 10) ** 2 / (words + SPARE) ** 2


def standing(best: float, some: np.ndarray) -> float:
    """How many standard deviations a query's best cosine stands above what texts of the collection reach.

    Args:
        best: the highest cosine in the collection.
        some: float64, cosines with a sample of the texts; the fewer, the more count the `USUAL` ones.

    Returns 0 where it does not stand above their mean.
    """
    usual, spread = USUAL
    count = len(some) + KNOWN
    mean = (float(some.sum()) + KNOWN * usual) / count
    squares = float(((some - mean) ** 2).sum()) + KNOWN * (spread**2 + (usual - mean) ** 2)
    return max(0.0, best - mean) / math.sqrt(squares / count)
