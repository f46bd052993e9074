"""Small values that every layer shares.

Letters used in shapes: N points, P patches, T bytes, D width, K roots, k hits, S shells, L band limit, Q
queries.
Angles are radians (theta colatitude in [0, pi], phi azimuth in [0, 2 pi)); entropies are nats; energies are
in units of kT, lower is better.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Status = Literal["exact", "probable", "partial"]


@dataclass(frozen=True)
class Cost:
    """What an answer cost: part of every answer.

    Attributes:
        bytes_scanned: bytes of codes, lists and text that were read for it, without those of rows scored again.
        bytes_stored: bytes that a full reading of the same structures would have cost.
        points_scanned: rows whose bound or score was evaluated.
        rescored: rows that were scored again in float64.
        milliseconds: wall time.
    """

    bytes_scanned: int = 0
    bytes_stored: int = 0
    points_scanned: int = 0
    rescored: int = 0
    milliseconds: float = 0.0


@dataclass(frozen=True)
class Points:
    """The points of a collection, as everything that builds on a collection sees them. Row i is one point.

    Attributes:
        embeddings: float32 [N, D], *pre-norm*: magnitudes are kept.
        prominence: float32 [N], L2 norm before normalisation, or what an import declared.
        entropies: float32 [N], mean next-byte entropy in nats (NaN where unknown).
        starts, ends: int64 [N], byte offsets in the source.
        sources: int64 [N], index into `names`.
        names: the sources' names.
        digests: SHA-256 of the sources' bytes, hexadecimal, beside `names`.
        unit: "passage", "patch" or "row".
    """

    embeddings: np.ndarray
    prominence: np.ndarray
    entropies: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    sources: np.ndarray
    names: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    unit: str = "passage"

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def coherence(self) -> np.ndarray:
        """float64 [N]: prominence^2 / (entropy + 1e-6)."""
        return self.prominence.astype(np.float64) ** 2 / (self.entropies.astype(np.float64) + 1e-6)
