"""The plain router: the dot product with each cell's mean direction."""

from dataclasses import dataclass

import numpy as np

from thesphere.roots.routing.products import linear
from thesphere.scan.block import Queries
from thesphere.scan.rows import Codes, encode


@dataclass(frozen=True)
class Centroid:
    """The cosine between the query and each cell's normalised mean direction.

    Unnormalised means over-rank tight cells: they scanned 17 to 23 % more at equal recall.

    Attributes:
        codes: K coded centroids of norm 1 (0 where a cell's directions cancel).
    """

    codes: Codes

    @classmethod
    def fit(cls, centres: np.ndarray) -> "Centroid":
        """From the centroids, float32 [K, D]. Raises InputError for NaN or infinity."""
        return cls(encode(centres, what="centres"))

    @property
    def bias(self) -> np.ndarray:
        return np.zeros(len(self.codes), np.float32)

    @property
    def dots(self) -> float:
        """D-wide products per query: K."""
        return float(len(self.codes))

    def scores(self, asked: Queries, out: np.ndarray | None = None) -> np.ndarray:
        """float32 [Q, K]: each cell's cosine with each query, 0 for a zero query."""
        return linear(self.codes, self.bias, asked, out)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, for `router_from`."""
        return self.codes.arrays()
