"""When a query may stop opening cells: checkpoints, the rule, and the traces that it is calibrated on.

Scores here are in units of score / |query|, so that a query's length never matters. At a checkpoint a query
knows the k-th score that it has so far, what the router promises of the next cell, how many rows it has scanned,
and at how many the k-th score last rose:

    evidence = (kth - next) / spread + weight * (log(points) + log(points / settled) / 2)

The margin says whether the next cell can matter; where a router overrates its cells it alone stops far too late.
The logarithm of the points bounds what one query may cost. The last term, patience, counts for answers that have
not moved for long: at every look, on MiniLM and GloVe vectors by cosine, it saves 3 to 11 % of the points at
recall 0.95 and 11 to 19 % at 0.99; by inner product hardly anything.

Everything is elementwise float64 with operations that IEEE rounds correctly, so that a query stops at the same
place on every machine.
"""

from dataclasses import dataclass, fields

import numpy as np

from thesphere.errors import InputError

_EACH = 8  # cells that are looked at one by one, before the checkpoints spread
_PER_DOUBLING = 4
PATIENCE = 0.5  # what the logarithm of points that changed nothing counts for, beside that of all points
_LN2 = 0.6931471805599453


def checkpoints(cells: int) -> np.ndarray:
    """How many cells are open at each checkpoint: int64 [R], 1 to 8, then four to a doubling, at last all.

    The first ones do not depend on the number of cells, so that a checkpoint keeps its place in an index that
    grows. [0] for an index without cells.
    """
    if cells < 0:
        raise InputError(f"there are {cells} cells; give 0 or more")
    wide = _EACH * 2.0 ** (np.arange(1, 64 * _PER_DOUBLING) / _PER_DOUBLING)
    ladder = np.concatenate([np.arange(1, _EACH + 1), np.rint(wide[wide < 2.0**62]).astype(np.int64)])
    return np.append(ladder[ladder < cells], cells)


def log_points(points) -> np.ndarray:
    """ln(1 + points), linear between powers of two (at most 0.06 off): float64 of integers >= 0.

    Libraries' logarithms differ in the last place from machine to machine; this one is exact arithmetic.
    """
    mantissa, exponent = np.frexp(np.asarray(points, np.float64) + 1.0)
    return (exponent + (2.0 * mantissa - 2.0)) * _LN2


@dataclass(frozen=True)
class Stop:
    """A rule: a query stops at the first checkpoint out of first, first + step, first + 2 step, ... where the
    evidence reaches the threshold, or when all cells are open.

    The evidence does not depend on the threshold: the higher the threshold, the later every single query stops.

    Attributes:
        weight: of the points scanned, 0 or more.
        threshold: +inf never stops before all cells are open.
        first: index of the first checkpoint that is looked at, 0 or more.
        step: 1 looks at every one from there on, 2 at every other, ...
    """

    weight: float
    threshold: float
    first: int = 0
    step: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.weight < np.inf and self.threshold == self.threshold):
            raise InputError(
                f"weight {self.weight}, threshold {self.threshold}; give a finite weight >= 0 and no NaN"
            )
        if self.first < 0 or self.step < 1:
            raise InputError(f"first {self.first}, step {self.step}; give 0 or more, and 1 or more")

    def looks(self, count: int) -> np.ndarray:
        """The checkpoints, out of `count` >= 1, at which this rule looks: int64, ascending, with the last one."""
        seen = np.arange(min(self.first, count - 1), count, self.step)
        return seen if seen[-1] == count - 1 else np.append(seen, count - 1)

    def evidence(self, kth, next, spread, points, settled=None) -> np.ndarray:
        """What speaks for stopping, float64 of the arguments' common shape; larger is more.

        Args:
            kth: the k-th best score so far; -inf while there are fewer, and then so is the result.
            next: the router's score of the next cell, -inf where all are open.
            spread: standard deviation of the query's routing scores; where it is 0 the router knows nothing, and
                the margin counts as 0.
            points: rows of the cells that are open.
            settled: points at the look that last saw `kth` rise (see `settle`); None: it rose just now, which
                never stops earlier than the truth would.
        """
        best, wide = np.asarray(kth, np.float64), np.asarray(spread, np.float64)
        short = np.isneginf(best)
        margin = np.where(short, 0.0, best) - np.asarray(next, np.float64)
        known = np.broadcast_to(wide > 0, np.broadcast_shapes(margin.shape, wide.shape))
        scaled = np.divide(margin, wide, out=np.zeros(known.shape), where=known)
        scanned = log_points(points)
        idle = 0.0 if settled is None else scanned - log_points(settled)
        return np.where(short, -np.inf, scaled + self.weight * (scanned + PATIENCE * idle))

    def done(self, kth, next, spread, points, settled=None) -> np.ndarray:
        """Whether a query may stop at a look, bool of the arguments' common shape (see `evidence`). That all
        cells are open is not considered."""
        told = self.evidence(kth, next, spread, points, settled)
        return (told >= self.threshold) & ~np.isneginf(kth) & (self.threshold < np.inf)


def settle(before, kth, settled, points) -> np.ndarray:
    """`settled` after a look that found `kth` where the look before had found `before` (-inf at first, with
    `settled` 0)."""
    return np.where(np.asarray(kth) > before, points, settled)


EVERYTHING = Stop(0.0, np.inf)


@dataclass(frozen=True)
class Trace:
    """What n queries saw at R checkpoints while all cells were opened.

    Attributes:
        opened: int64 [R], cells open at each checkpoint, ascending; the last is all of them.
        kth: float32 [n, R], the k-th best lower bound so far / |q|, -inf while there are fewer than k rows.
        next: float32 [n, R], routing score of the next cell, -inf where all are open.
        spread: float32 [n], standard deviation of the query's routing scores, 0 or more.
        points: int64 [n, R], rows of the open cells, whether or not a bound spared some of them: so that a query
            has the same points wherever else it looked.
        found: float32 [n, R], share of the true first k in the open cells, 0 to 1.
    """

    opened: np.ndarray
    kth: np.ndarray
    next: np.ndarray
    spread: np.ndarray
    points: np.ndarray
    found: np.ndarray

    def __post_init__(self) -> None:
        shape = self.found.shape
        if len(shape) != 2 or not shape[1]:
            raise InputError(f"trace: found has shape {list(shape)}; give one row per query, [n, R]")
        wanted = {"opened": shape[1:], "spread": shape[:1]}
        for name in (field.name for field in fields(self)):
            array = getattr(self, name)
            if array.shape != wanted.get(name, shape):
                raise InputError(f"trace: {name} has shape {list(array.shape)}, found has {list(shape)}")
            if np.isnan(array).any():
                raise InputError(f"trace: {name} holds NaN; give what the queries saw")
        if (self.opened[1:] <= self.opened[:-1]).any() or (self.points[:, 1:] < self.points[:, :-1]).any():
            raise InputError(
                "trace: opened or points fall from one checkpoint to the next; give running counts"
            )
        if (self.found[:, 1:] < self.found[:, :-1]).any() or (self.found < 0).any() or (self.found > 1).any():
            raise InputError("trace: found falls, or leaves 0 to 1; give shares of the true first k")
        if (self.spread < 0).any() or (self.points < 0).any() or np.isposinf(self.kth).any():
            raise InputError("trace: spread or points are negative, or kth is infinite; give what was seen")

    def __len__(self) -> int:
        return len(self.found)

    def some(self, queries: np.ndarray) -> "Trace":
        """The trace of some of the queries."""
        columns = (getattr(self, field.name)[queries] for field in fields(self)[1:])
        return Trace(self.opened, *columns)

    def evidence(self, rule: Stop) -> np.ndarray:
        """float64 [n, looks]: the rule's evidence at its looks; +inf at the last, where every query stops."""
        looks = rule.looks(len(self.opened))
        kth, points = self.kth[:, looks], self.points[:, looks]
        before = np.concatenate([np.full((len(self), 1), -np.inf), kth[:, :-1]], axis=1)
        settled = np.maximum.accumulate(settle(before, kth, 0, points), axis=1)
        told = rule.evidence(kth, self.next[:, looks], self.spread[:, None], points, settled)
        told[:, -1] = np.inf
        return told

    def stops(self, rule: Stop) -> np.ndarray:
        """int64 [n]: the checkpoint at which each query stops by a rule."""
        told = self.evidence(rule)
        done = (told >= rule.threshold) & ~np.isneginf(told) & (rule.threshold < np.inf)
        done[:, -1] = True
        return rule.looks(len(self.opened))[done.argmax(axis=1)]
