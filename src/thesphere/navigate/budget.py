"""Which cells a query opens for its bytes: the budget split over cones, to the byte."""

from dataclasses import dataclass

import numpy as np

from thesphere.errors import InputError
from thesphere.navigate.cones import Cones
from thesphere.roots.stop import log_points

SHARPNESS = 10.0  # how fast the expected share falls with the routing score, per standard deviation: measured
RESERVED = 4  # at most a quarter of the budget goes to the cones' minimum


@dataclass(frozen=True)
class Plan:
    """The cells to open, in the order of opening.

    Attributes:
        cells: int64 [O].
        cones: int64 [O], the cone that opens each.
        granted: int64 [O], bytes to read of each: all that it has, but for the last, which may be cut after as
            many rows as fit.
    """

    cells: np.ndarray
    cones: np.ndarray
    granted: np.ndarray


def plan(
    cones: Cones, scores: np.ndarray, sizes: np.ndarray, row_bytes: int, total: int, least: int = 0
) -> Plan:
    """Spend `total` bytes where the most of the first k is expected per byte.

    A cell's expected share of the first k is taken as exp(10 score / spread), spread being the standard deviation
    of the query's routing scores. It falls so fast that size decides between cells of nearly one score only: on
    GloVe and MiniLM vectors any slower fall found fewer neighbours at equal bytes. What is divisible goes best to
    the highest value per byte first, whichever cone it lies in: so a cone's share is what its cells win, and what
    it cannot use goes to the others by itself. Before that every cone gets `least` bytes for its best cells, so
    that a faint peak is looked into at all. Cells outside all apertures compete too, and widen the cone nearest
    to them: bytes are left over only when nothing is left to read.

    Args:
        cones: at least one.
        scores: [K], routing scores, higher is better.
        sizes: integers [K], rows of each cell.
        row_bytes: bytes read per row, 1 or more.
        total: bytes, 0 or more.
        least: bytes for the whole cells that each cone gets first; at most its part of a quarter of the total.

    Returns:
        Whole cells by falling routing score, equal ones by number, and last the one that is cut, if any.

    Raises:
        InputError: shapes that do not belong together, or negative bytes.
    """
    if scores.shape != sizes.shape or cones.members.shape != sizes.shape:
        raise InputError(
            f"there are {len(scores)} scores, {len(sizes)} sizes and {len(cones.members)} cells in cones;"
            " give one of each per cell"
        )
    if total < 0 or least < 0 or row_bytes < 1:
        raise InputError(
            f"a budget of {total} bytes, {least} per cone, {row_bytes} a row: give 0, 0, 1 or more"
        )
    costs = np.asarray(sizes, np.int64) * row_bytes
    order = np.argsort(-scores, kind="stable")
    reserve = min(least, total // (RESERVED * len(cones)))
    wanted = np.concatenate([_first(cones, order, costs, reserve), _by_value(scores, costs)])
    _, first = np.unique(wanted, return_index=True)
    chosen = wanted[np.sort(first)]
    chosen = chosen[costs[chosen] > 0]
    ends = np.cumsum(costs[chosen])
    whole = int(np.searchsorted(ends, total, side="right"))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    cells = chosen[:whole]
    cells = cells[np.argsort(place[cells])]
    granted = costs[cells]
    if whole < len(chosen):
        fits = (total - (int(ends[whole - 1]) if whole else 0)) // row_bytes * row_bytes
        if fits:
            cells, granted = np.append(cells, chosen[whole]), np.append(granted, fits)
    opened = np.where(cones.members[cells] < 0, cones.nearest[cells], cones.members[cells])
    return Plan(cells, opened, granted)


def _first(cones: Cones, order: np.ndarray, costs: np.ndarray, reserve: int) -> np.ndarray:
    """The best cells of each cone, as many as fit into its reserve; strongest cone first."""
    chosen = []
    for cone in range(len(cones)):
        mine = order[(cones.members[order] == cone) & (costs[order] > 0)]
        chosen.append(mine[np.cumsum(costs[mine]) <= reserve])
    return np.concatenate(chosen)


def _by_value(scores: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """All cells by expected share per byte, falling; compared as logarithms, which do not over- or underflow."""
    wide = scores.astype(np.float64)
    spread = float(wide.std()) or 1.0
    return np.argsort(log_points(costs) - SHARPNESS * wide / spread, kind="stable")
