"""How much an encoder's vectors count beside the words of a question."""

import math
from dataclasses import dataclass

from thesphere.errors import InputError


@dataclass(frozen=True)
class Joining:
    """The weight c of the best cosine in the score of a text query.

        c = scale * flatness ** doubt * max(coverage, floor) ** trust

    Where words single out one document they are right; where ten score alike (flatness near 1) an encoder knows
    more. A query whose words the collection hardly has (another language, damaged words) is one that an encoder
    may hardly know either. All of it depends on the query and its lexical statistics alone, never on a vector's
    score. Chosen per encoder on SciFact's training queries (docs/decisions.md).

    Attributes:
        scale: c where nothing but the vectors can tell, 0 or more; 0: they never join.
        doubt: how much words are trusted that single out a document, 0 or more.
        trust: how much less the vectors count where few words of the query are known, 0 or more.
        floor: coverage below which it makes no further difference, 0 to 1.
        asked: join only where the caller asks for it.
    """

    scale: float = 18.0
    doubt: float = 2.0
    trust: float = 8.0
    floor: float = 0.6
    asked: bool = False

    def __post_init__(self) -> None:
        powers = self.scale, self.doubt, self.trust
        if not all(math.isfinite(each) and each >= 0 for each in powers) or not 0 <= self.floor <= 1:
            raise InputError(f"{self} is no weight: give finite numbers of 0 or more, and a floor of 0 to 1")

    def weight(self, flatness: float, coverage: float) -> float:
        """c of a query.

        Args:
            flatness: the tenth best lexical score over the best, 0 to 1.
            coverage: share of the query's weight in words that the collection has, 0 to 1.
        """
        return self.scale * flatness**self.doubt * max(coverage, self.floor) ** self.trust
