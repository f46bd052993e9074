"""How much an encoder's vectors count beside the words of a question."""

import math
from dataclasses import dataclass

import numpy as np

from thesphere.errors import InputError

SPARE = 0.1, 0.02  # added to the leads of words and of vectors: where both are small neither decides alone
PLACE = 10  # the best is compared with the one at this place


@dataclass(frozen=True)
class Joining:
    """The weight c of the best cosine in the score of a text query.

        c = scale * (lead of vectors + 0.02) / (lead of words + 0.1)^2

    A lead is how far the best stands above the tenth: where one document stands out, in cosines or in the share
    of the query's words that it holds, that evidence knows what is meant; where ten are alike, the other one
    decides. Both leads are absolute: words that single out a document which holds but a tenth of the query lead
    by little. The square spares queries whose words know well, as in languages that an encoder hardly does.
    Chosen per encoder by `benchmarks/joining.py`, which knows no test query (docs/decisions.md).

    Attributes:
        scale: how far vectors are trusted, 0 or more; 0: they never join.
        asked: join only where the caller asks for it.
    """

    scale: float = 1.5
    asked: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise InputError(f"{self} is no weight: give a finite number of 0 or more")

    def weight(self, words: float, vectors: float) -> float:
        """c of a query.

        Args:
            words: lead of the best lexical score, as a share of what a perfect document would reach, 0 to 1.
            vectors: lead of the best cosine, 0 to 2.
        """
        return self.scale * (vectors + SPARE[1]) / (words + SPARE[0]) ** 2


def lead(cosines: np.ndarray) -> float:
    """How far the best of some documents' cosines stands above the tenth, or above the last of fewer."""
    if not len(cosines):
        return 0.0
    place = min(PLACE, len(cosines))
    first = np.partition(cosines, -place)[-place:]
    return float(first.max() - first[0])
