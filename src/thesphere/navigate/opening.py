"""Opening cells by a plan: scan, merge, account, and stop when a calibrated rule says so."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from thesphere.navigate.budget import Plan, plan
from thesphere.navigate.cones import Cones
from thesphere.roots.calibrate import Source
from thesphere.roots.stop import Stop, checkpoints, settle
from thesphere.runtime import BudgetConfig
from thesphere.scan import Metric, Part, bounds, encode

PROBES = np.array([8, 64, 512])  # cells, after which those that cannot matter any more are left out


class Index(Protocol):
    """What the navigator asks of an index with cells (`thesphere.roots.Roots` is one)."""

    @property
    def vectors(self) -> Any:
        """float32 [N, D]: an array, or what gives rows when it is indexed with their numbers."""
        ...

    @property
    def ids(self) -> np.ndarray:
        """int64 [N], ascending."""
        ...

    @property
    def metric(self) -> Metric:
        """Scores are inner products ("ip") or cosines ("cosine")."""
        ...

    @property
    def row_bytes(self) -> int:
        """Bytes that are read per row of a cell."""
        ...

    @property
    def cells(self) -> Any:
        """`roots.cells.Cells`, or None where the index is flat."""
        ...

    def cell_scores(self, query: np.ndarray) -> np.ndarray:
        """Routing scores, float32 [K], in units of score / |q|."""
        ...

    def cell_ceilings(self, query: np.ndarray) -> np.ndarray:
        """float64 [K]: no row of a cell scores more."""
        ...

    def stop(self, recall: float, k: int) -> Stop:
        """The calibrated rule for a mean recall of the first k."""
        ...

    def calibrated_on(self, k: int) -> Source:
        """What that rule was calibrated on."""
        ...

    def scan_cells(
        self, query: np.ndarray, cells: np.ndarray, k: int, budget_bytes: int
    ) -> tuple[np.ndarray, np.ndarray, int, int]:
        """The k best rows of some cells, read in the order given until the bytes are spent, the last cell as far
        as they go: (distinct ids [<= k], their float64 scores, rows read, bytes read)."""
        ...


@dataclass
class Opened:
    """What has been found so far.

    Attributes:
        ids, scores, found_by: the best distinct rows by falling score, then by id, and the cone of each.
        whole: bool [K], cells that were read to their end, or need not be: no row of theirs can be kept.
        owners: int64 [K], the cone that opened each cell, -1 if none did.
        granted, bytes, points: int64 [C], bytes that each cone was given, bytes and rows that it read.
        best_ids, best_scores: [C], the best row of each cone, -1 and -inf if it read none.
        known, settled: the k-th lower bound at the last look, and how many rows were open when it last rose.
        enough: whether the rule ended it.
    """

    ids: np.ndarray
    scores: np.ndarray
    found_by: np.ndarray
    whole: np.ndarray
    owners: np.ndarray
    granted: np.ndarray
    bytes: np.ndarray
    points: np.ndarray
    best_ids: np.ndarray
    best_scores: np.ndarray
    known: np.float32 = np.float32(-np.inf)
    settled: np.ndarray | int = 0
    enough: bool = False

    @classmethod
    def nothing(cls, cells: int, cones: int) -> "Opened":
        """Before the first cell."""
        return cls(
            np.zeros(0, np.int64),
            np.zeros(0),
            np.zeros(0, np.int64),
            np.zeros(cells, np.bool_),
            np.full(cells, -1),
            np.zeros(cones, np.int64),
            np.zeros(cones, np.int64),
            np.zeros(cones, np.int64),
            np.full(cones, -1),
            np.full(cones, -np.inf),
        )


@dataclass(frozen=True)
class Aim:
    """What cells are opened for.

    Attributes:
        kept: rows to keep, k or more.
        k: the rule's.
        rule: when it is enough; `EVERYTHING` never stops.
        scores: float32 [K], routing scores, for the rule.
        ceilings: float64 [K], no row of a cell scores more.
    """

    kept: int
    k: int
    rule: Stop
    scores: np.ndarray
    ceilings: np.ndarray

    def looks(self, cells: int) -> np.ndarray:
        """After how many of so many cells to see what is left to do: int64, ascending, the last one included."""
        if self.rule.threshold == np.inf:
            return np.append(PROBES[PROBES < cells], cells)
        ladder = checkpoints(cells)
        return ladder[self.rule.looks(len(ladder))]


def spend(
    index: Index, query: np.ndarray, cones: Cones, urgent: np.ndarray, config: BudgetConfig, aim: Aim
) -> Opened:
    """Open cells until the budget, the cells or the doubt ends. Cells that provably hold nothing better are
    passed over, and what that saves is spent on further ones.

    Args:
        index: the cells.
        query: float32 [D].
        cones: at least one.
        urgent: [K], routing scores with what else speaks for a cell.
        config: bytes in all and per cone.
        aim: what is looked for.
    """
    sizes = np.diff(index.cells.starts)
    found = Opened.nothing(len(sizes), len(cones))
    least = config.min_cone_bytes
    while not found.enough:
        before = int(found.whole.sum())
        left = max(config.total_bytes - int(found.bytes.sum()), 0)
        closed = np.where(found.whole, 0, sizes)
        _follow(index, query, plan(cones, urgent, closed, index.row_bytes, left, least), found, aim)
        least = 0
        if int(found.whole.sum()) == before:
            break
    return found


def _follow(index: Index, query: np.ndarray, asked: Plan, found: Opened, aim: Aim) -> None:
    """Open the cells of a plan in its order, from one look of the rule to the next."""
    closed = ~found.whole
    closed[asked.cells] = False
    best_left = np.append(aim.scores[asked.cells], aim.scores[closed].max(initial=-np.inf))
    best_left = np.maximum.accumulate(best_left[::-1])[::-1]
    spread, sizes = np.float32(aim.scores.std(dtype=np.float64)), np.diff(index.cells.starts)
    first = 0
    for end in aim.looks(len(asked.cells)):
        chosen = asked.cells[first:end]
        last = found.scores[aim.kept - 1] if len(found.ids) >= aim.kept else -np.inf
        useful = aim.ceilings[chosen] >= last
        found.whole[chosen[~useful]] = True
        for cone in np.unique(asked.cones[first:end][useful]):
            mine = first + np.flatnonzero((asked.cones[first:end] == cone) & useful)
            _scan(index, query, found, int(cone), asked.cells[mine], asked.granted[mine], aim.kept)
        first = int(end)
        if aim.rule.threshold < np.inf and len(found.ids) >= aim.k and np.isfinite(best_left[first]):
            kth, points = _kth(index, query, found.ids, aim.k), sizes[found.whole].sum()
            found.settled = settle(found.known, kth, found.settled, points)
            found.known = kth
            if aim.rule.done(kth, best_left[first], spread, points, found.settled):
                found.enough = True
                return


def _kth(index: Index, query: np.ndarray, ids: np.ndarray, k: int) -> np.float32:
    """The k-th best lower bound among some rows, over |q|: what rules are calibrated on. The exact score lies
    above it, and a rule that was given that would stop too early."""
    rows = index.vectors[np.searchsorted(index.ids, ids)]
    lower, _ = bounds(Part(encode(rows), rows), query, index.metric)
    length = float(np.sqrt((query.astype(np.float64) ** 2).sum())) if index.metric == "ip" else 1.0
    return np.float32(np.sort(lower)[-k] / (length or 1.0))


def _scan(
    index: Index,
    query: np.ndarray,
    found: Opened,
    cone: int,
    cells: np.ndarray,
    granted: np.ndarray,
    kept: int,
) -> None:
    """Read some cells for a cone and merge what they hold: a row that several cones find stays with the first."""
    total = int(granted.sum())
    ids, scores, points, bytes_read = index.scan_cells(query, cells, kept, total)
    found.whole[cells] = granted == np.diff(index.cells.starts)[cells] * index.row_bytes
    found.owners[cells] = cone
    found.granted[cone] += total
    found.bytes[cone] += bytes_read
    found.points[cone] += points
    if not len(ids):
        return
    best = np.lexsort((ids, -scores))[0]
    if scores[best] > found.best_scores[cone]:
        found.best_ids[cone], found.best_scores[cone] = ids[best], scores[best]
    every = np.concatenate([found.ids, ids])
    distinct, once = np.unique(every, return_index=True)
    values = np.concatenate([found.scores, scores])[once]
    owners = np.concatenate([found.found_by, np.full(len(ids), cone)])[once]
    order = np.lexsort((distinct, -values))[:kept]
    found.ids, found.scores, found.found_by = distinct[order], values[order], owners[order]
