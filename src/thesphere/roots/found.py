"""An answer with its status, gap and cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit

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
    """float32 of scores float64 [Q, k]; finite ones stay finite."""
    made = np.empty(scores.shape, dtype=np.float32)
    _single(np.ascontiguousarray(scores), made)
    return made


@njit(cache=True, nogil=True)
def rounded(value):
    """float32 of a float64 score; a finite one stays finite."""
    return np.float32(value if np.isinf(value) else min(max(value, -LARGEST), LARGEST))


@njit(cache=True, nogil=True)
def _single(scores, made):
    for q in range(scores.shape[0]):
        for i in range(scores.shape[1]):
            made[q, i] = rounded(scores[q, i])
