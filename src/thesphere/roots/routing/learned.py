"""A linear router whose weights are learned from questions: as cheap as centroids, and it knows norms, spreads
and what is asked for."""

from dataclasses import dataclass

import numpy as np

from thesphere.roots.routing.products import linear
from thesphere.scan.block import Queries
from thesphere.scan.rows import Codes, encode


@dataclass(frozen=True)
class Learned:
    """<q, w_c> / |q| + bias_c, an estimate of the best score / |q| in cell c; see `learn`.

    Attributes:
        codes: K coded weights.
        bias: float32 [K], in units of score / |q|.
    """

    codes: Codes
    bias: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, bias: np.ndarray) -> "Learned":
        """From weights, numbers [K, D], and bias, numbers [K]. Raises InputError for NaN or infinity."""
        return cls(encode(weights, what="weights"), np.ascontiguousarray(bias, np.float32))

    @property
    def dots(self) -> float:
        """D-wide products per query: K."""
        return float(len(self.codes))

    def scores(self, asked: Queries, out: np.ndarray | None = None) -> np.ndarray:
        """float32 [Q, K]; of a zero query the bias."""
        return linear(self.codes, self.bias, asked, out)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, for `router_from`."""
        return {**self.codes.arrays(), "bias": self.bias}
