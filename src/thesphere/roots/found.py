"""An answer with its status, gap and cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from thesphere.types import Cost, Status

LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Found:
    """The best rows for Q queries, best first; equal scores by smaller id.

    Attributes:
        ids: int64 [Q, k], -1 where there are fewer than k rows.
        scores: float32 [Q, k], the float64 scores rounded (kept finite where they exceed float32), -inf
            beside id -1.
        status: Q times "exact" (proved equal to full enumeration), "probable" (stopped by a rule that was
            calibrated for a mean recall) or "partial" (the budget ended first).
        gap: float64 [Q]: how much better than the k-th score a row that was not looked at could be at most;
            0 when exact, infinite while fewer than k rows were seen.
        cost: of all Q queries together; `bytes_stored` is what Q full scans read.
        opened: int64 [Q], cells that were opened or proved useless; empty for a flat index.
        recall: what was asked for, None if nothing.
    """

    ids: np.ndarray
    scores: np.ndarray
    status: Sequence[Status]
    gap: np.ndarray
    cost: Cost = field(default_factory=Cost)
    opened: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    recall: float | None = None


def single(scores: np.ndarray) -> np.ndarray:
    """float32 scores; finite ones stay finite."""
    with np.errstate(over="ignore"):
        single = scores.astype(np.float32)
    if np.count_nonzero(np.isinf(single)) != np.count_nonzero(np.isneginf(scores)):
        single = np.where(np.isinf(scores), scores, np.clip(scores, -LARGEST, LARGEST)).astype(np.float32)
    return single
