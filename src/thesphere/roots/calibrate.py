"""Calibration: the rules by which queries stop, so that the mean recall is what was asked for.

Conformal risk control (Angelopoulos, Bates, Fisch, Lei and Schuster 2022). The risk of a query is 1 - recall, at
most 1. Its evidence does not depend on the threshold, so the higher the threshold, the later it stops, and what
it has found never shrinks: risk falls with the threshold, query by query. With the mean risk R(t) of n queries,
the lowest t with (n R(t) + 1) / (n + 1) <= 1 - target gives a further query, drawn as they were, an expected
recall of at least the target. We also ask that R(t) lies a standard error below what is allowed: the expectation
is over calibrations, of which a user has one. What else a rule has (weight and checkpoints) is chosen on other
queries beforehand, else nothing would be guaranteed.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from thesphere.errors import FormatError, InputError
from thesphere.geometry import generator
from thesphere.neighbours import nearest_of
from thesphere.neighbours.search import unit_rows
from thesphere.roots.stop import EVERYTHING, Stop, Trace

Source = Literal["queries", "points"]
MADE_OF: dict[Source, str] = {
    "queries": "queries like those that it serves",
    "points": "points alone, which stands in for queries",
}

TARGETS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999)
KS = (1, 10, 30, 100)  # calibrated; a search for another k keeps the next larger number of rows
CAUTION = 1.0  # standard errors of the mean risk
STRICT = 2 / 3  # of the risk allowed, when points stand in for queries
WEIGHTS = (0.1, 0.5, 1.0, 2.0, 4.0, 16.0)
STEPS = (2, 4)
TUNED = 500  # queries at most, and a third of them, that weight and checkpoints are chosen on
BATCH = 1000  # queries that the visits to cells are counted for
VISIT = 0.05  # what a visit of a batch to a cell costs each of its queries, in points
MOVED = 0.5  # of another row's step to its neighbour, by which a row is moved: measured, as STRICT
SAMPLE = 8192  # rows among which made-up queries look for neighbours
_ROUNDING = 1e-9  # of sums of risks


@dataclass(frozen=True)
class Calibration:
    """Stopping rules for one k, by target.

    Attributes:
        k: answers that the recall is of, 1 or more.
        source: what the rules were made from: "queries" of the kind that is served, or "points" that stood in for
            them, with stricter rules.
        queries: how many.
        targets: float64 [T], ascending mean recalls between 0 and 1.
        rules: a rule for each; `EVERYTHING` where so few queries can promise nothing.
    """

    k: int
    source: Source
    queries: int
    targets: np.ndarray
    rules: tuple[Stop, ...]

    def stop(self, recall: float) -> Stop:
        """The rule of the lowest target that is at least `recall`; `EVERYTHING` beyond the highest.

        Raises:
            InputError: a recall outside 0 to 1.
        """
        if not 0 <= recall <= 1:
            raise InputError(f"recall is {recall}; give a number from 0 to 1")
        at = bisect_left(self.targets, recall - _ROUNDING)
        return self.rules[at] if at < len(self.rules) else EVERYTHING

    def arrays(self) -> dict[str, np.ndarray]:
        """What to store: `rules` float64 [T, 5] (target, weight, threshold, first, step) and `about` int64 [3]
        (k, queries, number of the source)."""
        rows = [
            (t, r.weight, r.threshold, r.first, r.step) for t, r in zip(self.targets, self.rules, strict=True)
        ]
        about = [self.k, self.queries, get_args(Source).index(self.source)]
        return {"rules": np.array(rows, np.float64).reshape(-1, 5), "about": np.array(about, np.int64)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], name: str = "a calibration") -> "Calibration":
        """The calibration that `arrays` gave.

        Raises:
            FormatError: an array is missing or of another type, shape or range; it tells `name`.
        """
        for key, dtype, shape in (("rules", np.float64, (None, 5)), ("about", np.int64, (3,))):
            found = arrays.get(key)
            fits = found is not None and found.dtype == dtype and found.ndim == len(shape)
            if found is None or not fits or found.shape[-1] != shape[-1]:
                told = "missing" if found is None else f"{found.dtype} {list(found.shape)}"
                raise FormatError(
                    f"{name}: '{key}' is {told}, expected {np.dtype(dtype)} [{len(shape)} axes]"
                )
        rows, (k, queries, source) = np.array(arrays["rules"]), arrays["about"].tolist()
        if k < 1 or queries < 0 or not 0 <= source < len(get_args(Source)):
            raise FormatError(f"{name}: 'about' holds {[k, queries, source]}, which no calibration has")
        targets, weights, thresholds, *places = rows.T
        places = np.stack(places)
        if not (((targets > 0) & (targets < 1)).all() and (targets[1:] > targets[:-1]).all()):
            raise FormatError(f"{name}: the targets of 'rules' do not ascend between 0 and 1")
        whole = (places == np.floor(places)) & (places >= [[0], [1]]) & (places < 1 << 31)
        if not (((weights >= 0) & (weights < np.inf)).all() and whole.all()) or np.isnan(thresholds).any():
            raise FormatError(f"{name}: 'rules' holds a weight, threshold, first or step out of range")
        rules = (Stop(w, t, int(f), int(s)) for _, w, t, f, s in rows.tolist())
        return cls(k, get_args(Source)[source], queries, targets, tuple(map(_known, rules)))


def calibrate(
    trace: Trace,
    k: int,
    *,
    targets: Sequence[float] = TARGETS,
    source: Source = "queries",
    visit: float = VISIT,
) -> Calibration:
    """Rules from what calibration queries saw while all cells were opened.

    A third of the queries, at most 500, choose each target's weight and checkpoints by least cost; all others its
    threshold. Where n of these are fewer than 1 / (1 - target), no threshold can promise the target, and its
    rule opens everything.

    Args:
        trace: of 0 or more queries that do not depend on the index; order does not matter in expectation.
        k: what the trace's k-th scores and shares are of, 1 or more.
        targets: ascending mean recalls between 0 and 1.
        source: "points" allows only two thirds of the risk, as made-up queries are easier than those served.
        visit: price, in points per query, of a round in which a batch of 1,000 comes to a cell. More makes rules
            that look at fewer checkpoints and scan more: 0 scans least, 1 is for cells so cheap that rounds are
            what a batch pays for.

    Raises:
        InputError: k, targets, source or visit are not as described.
    """
    wanted = np.asarray(targets, np.float64)
    if wanted.ndim != 1 or not ((wanted > 0) & (wanted < 1)).all() or not (wanted[1:] > wanted[:-1]).all():
        raise InputError(f"targets are {list(targets)}; give mean recalls between 0 and 1, ascending")
    if k < 1 or source not in get_args(Source) or not 0 <= visit < np.inf:
        raise InputError(
            f"k {k}, source {source!r}, visit {visit}; give 1 or more, one of {get_args(Source)}, 0 or more"
        )
    order = generator(0).permutation(len(trace))
    tuned = min(TUNED, len(order) // 3)
    allowed = (1.0 - wanted) * (STRICT if source == "points" else 1.0)
    chosen = _tune(trace.some(np.sort(order[:tuned])), allowed, visit)
    others = trace.some(np.sort(order[tuned:]))
    rules = (
        _known(replace(rule, threshold=_Curve(others, rule).controlled(risk)))
        for rule, risk in zip(chosen, allowed.tolist(), strict=True)
    )
    return Calibration(int(k), source, len(trace), wanted, tuple(rules))


def serving(calibrations: Sequence[Calibration], k: int) -> Calibration | None:
    """The calibration that answers of k rows stop by: the first that was made for as many or more."""
    return next((each for each in calibrations if each.k >= k), None)


def among(k: int, share: float) -> int:
    """How many of the first rows hold, on average, the first k of those that a filter leaves, a share of all. The
    rule for so many holds for them; the one for k falls short, by inner product by up to .3."""
    return k if share == 1 else math.ceil(k / max(share, 1e-9) - 1e-6)


def source_of(calibrations: Sequence[Calibration], k: int) -> Source:
    """What the rules for the first k were made from; without any, no query was known."""
    found = serving(calibrations, k)
    return found.source if found else "points"


def _known(rule: Stop) -> Stop:
    return EVERYTHING if rule.threshold == np.inf else rule


def _tune(trace: Trace, allowed: np.ndarray, visit: float) -> list[Stop]:
    """For each allowed mean risk the rule that reaches it at least cost; its threshold is still to be chosen."""
    best, least = [Stop(1.0, np.inf)] * len(allowed), np.full(len(allowed), np.inf)
    for first in range(len(trace.opened) if len(trace) else 0):
        risks = 1.0 - trace.found[:, first].astype(np.float64)
        seen, error = risks.mean(), risks.std() / np.sqrt(len(trace))
        if first and seen < allowed.min(initial=1.0) + CAUTION * error:
            break
        for rule in (Stop(weight, np.inf, first, step) for step in STEPS for weight in WEIGHTS):
            curve = _Curve(trace, rule)
            for i, risk in enumerate(allowed):
                if first and seen < risk + CAUTION * error:
                    continue  # other queries may do better at the first look, and no threshold stops earlier
                cost = curve.cost(curve.lowest(curve.risks <= risk * len(trace) + _ROUNDING), visit)
                if cost < least[i]:
                    best[i], least[i] = rule, cost
    return best


class _Curve:
    """How the risk of a trace falls with the threshold of a rule."""

    def __init__(self, trace: Trace, rule: Stop) -> None:
        self.trace = trace
        self.looks = rule.looks(len(trace.opened))
        # a query stops at its first look that reaches the threshold: only running maxima matter
        self.reached = np.maximum.accumulate(trace.evidence(rule), axis=1)
        risks = 1.0 - trace.found[:, self.looks].astype(np.float64)
        levels = self.reached[:, :-1].ravel()  # each, once exceeded, sends its query on to the next look
        order = np.argsort(levels, kind="stable")
        self.levels = levels[order]
        self.risks = _running(risks, order)
        self.squares = _running(risks**2, order)

    def lowest(self, fits: np.ndarray) -> float:
        """The lowest threshold from which on all fit; +inf if none does.

        Args:
            fits: bool [levels + 1], whether it is enough to exceed none of the levels, one, ...
        """
        fits = np.logical_and.accumulate(fits[::-1])[::-1]
        between = np.empty(len(fits), np.bool_)  # no threshold lies between equal levels or below -inf
        between[-1] = True
        between[:-1] = self.levels > np.concatenate([[-np.inf], self.levels[:-1]])
        at = np.flatnonzero(fits & between)
        if not len(at):
            return np.inf
        return float(np.nextafter(self.levels[at[0] - 1], np.inf)) if at[0] else -np.inf

    def controlled(self, allowed: float) -> float:
        """The lowest threshold that holds the expected risk of a further query, and `CAUTION`."""
        count = len(self.trace)
        if not count:
            return np.inf
        mean = self.risks / count
        error = np.sqrt(np.maximum(self.squares / count - mean**2, 0.0) / count)
        holds = self.risks + 1.0 <= allowed * (count + 1) + _ROUNDING
        return self.lowest(holds & (mean + CAUTION * error <= allowed + _ROUNDING))

    def cost(self, threshold: float, visit: float) -> float:
        """Points per query, and visits to cells in a batch, each of its queries choosing cells at random."""
        places = (self.reached >= threshold).argmax(axis=1)
        opened = self.trace.opened[self.looks]
        goes = (places[:, None] >= np.arange(len(opened))).mean(axis=0)
        fresh = np.diff(opened, prepend=0) / opened[-1]
        visits = opened[-1] * (1.0 - np.exp(-BATCH * goes * fresh)).sum()
        points = self.trace.points[np.arange(len(places)), self.looks[places]].mean()
        return float(points + visit * visits)


def _running(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Sum over queries as one after the other goes on to its next look."""
    steps = np.diff(values, axis=1).ravel()[order]
    return values[:, 0].sum() + np.concatenate([[0.0], np.cumsum(steps)])


def calibration_queries(
    vectors: np.ndarray, metric: str, count: int, key: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Queries to calibrate on where none are known: half of them rows that must not find themselves, half rows
    that were moved by half of what tells another row from its nearest neighbour.

    Such a step has the length and the directions in which rows of this data differ, which noise has not. Both
    kinds are easier than queries from elsewhere: hence the stricter rules of `calibrate`.

    Args:
        vectors: finite numbers [N, D], N may be 0; a mapped file is read in order.
        metric: "cosine" (rows count as directions) or "ip".
        count: how many; fewer where there are not that many rows.
        key: seed of what is drawn.

    Returns:
        (float32 [n, D], int64 [n]: the row that a query must not find, -1 for none).

    Raises:
        InputError: another metric, or a negative count.
    """
    if metric not in ("cosine", "ip") or count < 0:
        raise InputError(f"metric {metric!r}, count {count}; give 'cosine' or 'ip', and 0 or more")
    random = generator(key, 0)
    held = np.sort(random.choice(len(vectors), min(len(vectors), (count + 1) // 2), replace=False))
    moved = min(len(vectors), count // 2)
    pool = np.sort(random.choice(len(vectors), min(len(vectors), SAMPLE), replace=False))
    from_, by = (np.sort(random.choice(len(side), moved)) for side in (vectors, pool))
    random.shuffle(by)
    rows = unit_rows if metric == "cosine" else np.asarray
    sample = rows(np.asarray(vectors[pool], np.float32))
    near = nearest_of(sample[by], sample, 2).ids
    other = np.where(near[:, 0] == by, near[:, -1], near[:, 0])
    steps = sample[by] - sample[np.where(other < 0, by, other)]
    start = rows(np.asarray(vectors[from_], np.float32))
    queries = np.concatenate([np.asarray(vectors[held], np.float32), start + np.float32(MOVED) * steps])
    return queries.astype(np.float32), np.concatenate([held, np.full(moved, -1)]).astype(np.int64)


def bootstrap(
    found: np.ndarray, *, level: float = 0.95, draws: int = 2000, key: int | None = None
) -> tuple[float, float]:
    """The interval in which the mean recall of queries lies, by the percentiles of means of queries drawn again
    (Efron 1979).

    Args:
        found: [n], recall of each query, 1 or more queries.
        level: of confidence, between 0 and 1.
        draws: how often all are drawn again, 1 or more.
        key: seed.

    Raises:
        InputError: anything is not as described.
    """
    shares = np.asarray(found, np.float64)
    if shares.ndim != 1 or not len(shares) or np.isnan(shares).any():
        raise InputError(
            f"found has shape {list(shares.shape)} or holds NaN; give the recall of 1 or more queries"
        )
    if not 0 < level < 1 or draws < 1:
        raise InputError(f"level {level}, draws {draws}; give a number between 0 and 1, and 1 or more")
    values, counts = np.unique(shares, return_counts=True)
    again = generator(key, 0).multinomial(len(shares), counts / len(shares), draws) @ values / len(shares)
    low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
