"""An answer with its status, gap and cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from thesphere.errors import InputError
from thesphere.roots.calibrate import MADE_OF, Source
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
        opened: int64 [Q], cells that were opened or proved useless; empty where none were chosen.
        recall: what was asked for, None if nothing.
        read: what was read, in words.
        budget: bytes for each query, None if all that it takes.
        source: what the rule that ended it was calibrated on; None where no rule did.
        cells: how many there are to choose from; routing: bytes that choosing read for each query.
    """

    ids: np.ndarray
    scores: np.ndarray
    status: Sequence[Status]
    gap: np.ndarray
    cost: Cost = field(default_factory=Cost)
    opened: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    recall: float | None = None
    read: str = "all rows"
    budget: int | None = None
    source: Source | None = None
    cells: int = 0
    routing: int = 0

    def explain(self, query: int = 0) -> str:
        """How the answer to one of the queries came about, a line each. What was read, and how long it took, is
        known of all queries together.

        Raises:
            InputError: there is no such query.
        """
        count = len(self.ids)
        if not 0 <= query < count:
            raise InputError(f"query is {query}; the answer is of {count}, give 0 to {count - 1}")
        asked = "the exact answer" if self.recall is None else f"a mean recall of {self.recall:g}"
        if self.budget is not None and self.recall is None:
            asked = "all that the budget allows"
        facts = {"asked for": asked, "read": self.read}
        if len(self.opened):
            facts["cells opened, or proved useless"] = f"{self.opened[query]} of {self.cells}"
        if self.source is not None:
            facts["rule calibrated on"] = MADE_OF[self.source]
        facts["why it stopped"] = self._why(query)
        if self.budget is not None:
            facts["budget"] = f"{self.budget} bytes for each query"
        cost, together = self.cost, "" if count == 1 else f", all {count} queries together"
        routed = f", {self.routing * count} of them for choosing cells" if self.routing else ""
        facts["rows read"] = f"{cost.points_scanned}{together}"
        facts["bytes read"] = f"{cost.bytes_scanned} of {cost.bytes_stored}{routed}{together}"
        facts["rows then scored in float64"] = f"{cost.rescored}{together}"
        facts["time"] = f"{cost.milliseconds:.3g} ms{together}"
        told = [f"{name}: {value}" for name, value in facts.items()]
        return "\n".join([f"status: {self.status[query]}, gap {self.gap[query]:g}", *told])

    def _why(self, query: int) -> str:
        status = self.status[query]
        if status == "partial":
            return "the budget ended first"
        if status == "probable":
            return "the rule had enough"
        whole = self.opened[query] == self.cells if len(self.opened) else self.budget is None
        return "nothing was left" if whole else "no row that was not read can be among the best"


def uncovered(routing: int, cell: int) -> str:
    """Why a budget reads nothing. Bytes that choosing cells reads, and those of a cell on average."""
    return (
        f"choosing cells alone reads {routing} bytes; give that and about {cell} more for each cell to open"
    )


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
