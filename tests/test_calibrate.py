"""Stopping and calibration against loops, exchangeable synthetic traces and hostile arrays."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import FormatError, InputError
from thesphere.roots.calibrate import (
    CAUTION,
    STRICT,
    TARGETS,
    Calibration,
    bootstrap,
    calibrate,
    calibration_queries,
)
from thesphere.roots.stop import EVERYTHING, PATIENCE, Stop, Trace, checkpoints, log_points, settle


def synthetic(count: int, seed: int, cells: int = 60, k: int = 10) -> Trace:
    """Queries of very different difficulty: each true row lies in a cell of geometric rank."""
    rng = np.random.default_rng(seed)
    opened = checkpoints(cells)
    hard = rng.uniform(0.02, 0.9, (count, 1))
    ranks = np.minimum(rng.geometric(hard, (count, k)), cells)
    found = ((ranks[:, :, None] <= opened).sum(axis=1) / k).astype(np.float32)
    scores = np.sort(rng.normal(size=(count, cells)), axis=1)[:, ::-1]
    next_ = np.full((count, len(opened)), -np.inf, np.float32)
    next_[:, :-1] = scores[:, opened[:-1]]
    kth = (1 + found - hard + 0.05 * rng.normal(size=(count, 1))).astype(np.float32)
    kth[found < 0.2] = -np.inf
    points = np.cumsum(rng.integers(1, 90, (count, cells)), axis=1)[:, opened - 1]
    return Trace(opened, kth, next_, scores.std(axis=1).astype(np.float32), points, found)


def recalls(trace: Trace, rule: Stop) -> np.ndarray:
    return trace.found[np.arange(len(trace)), trace.stops(rule)].astype(np.float64)


def test_checkpoints() -> None:
    assert checkpoints(0).tolist() == [0]
    assert checkpoints(1).tolist() == [1]
    assert checkpoints(8).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert checkpoints(20).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 16, 19, 20]
    for cells in (9, 100, 4000, 10**6):
        marks = checkpoints(cells)
        assert marks[-1] == cells and (np.diff(marks) > 0).all()
        assert (marks[9:-1] / marks[8:-2] < 1.3).all()
        shared = len(marks) - 1  # all but the end stay where they are when the index grows
        assert (checkpoints(10 * cells)[:shared] == marks[:shared]).all()
    with pytest.raises(InputError, match="-1 cells"):
        checkpoints(-1)


def test_log_points_is_nearly_a_logarithm() -> None:
    points = np.concatenate([np.arange(5000), [10**6, 10**9, 2**52]])
    found = log_points(points)
    assert (np.diff(found) > 0).all()
    assert abs(found - np.log1p(points)).max() < 0.06
    np.testing.assert_allclose(log_points([0, 1, 3, 1023]), np.log([1, 2, 4, 1024]), rtol=1e-15)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.sampled_from([-np.inf, 0.0, 3.0, 12.0, np.inf]),
    st.integers(0, 30),
    st.integers(1, 5),
)
def test_stops_equal_a_walk(seed: int, weight: float, threshold: float, first: int, step: int) -> None:
    trace, rule = synthetic(6, seed), Stop(weight, threshold, first, step)
    count = len(trace.opened)
    trace.spread[0] = 0
    for q, stopped in enumerate(trace.stops(rule)):
        before, settled, at = np.float32(-np.inf), 0, min(first, count - 1)
        while at < count - 1:
            kth, points = trace.kth[q, at], trace.points[q, at]
            settled = points if kth > before else settled
            before = kth
            if kth > -np.inf and threshold < np.inf:
                spread = float(trace.spread[q])
                margin = (float(kth) - float(trace.next[q, at])) / spread if spread else 0.0
                logs = float(log_points(points)), float(log_points(settled))
                told = margin + weight * (logs[0] + PATIENCE * (logs[0] - logs[1]))
                assert bool(rule.done(kth, trace.next[q, at], spread, points, settled)) == (told >= threshold)
                assert not rule.done(kth, trace.next[q, at], spread, points) or told >= threshold
                if told >= threshold:
                    break
            at = min(at + step, count - 1)
        assert stopped == at


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 20), st.floats(-5, 40), st.floats(0, 20))
def test_a_higher_threshold_never_stops_earlier(
    seed: int, weight: float, threshold: float, more: float
) -> None:
    trace = synthetic(8, seed)
    low = Stop(weight, threshold, seed % 9, 1 + seed % 3)
    high = replace(low, threshold=threshold + more)
    assert (trace.stops(high) >= trace.stops(low)).all()
    assert (recalls(trace, high) >= recalls(trace, low)).all()


def test_settle() -> None:
    before, kth = np.array([-np.inf, -np.inf, 1.0, 1.0]), np.array([-np.inf, 0.5, 1.0, 2.0])
    assert settle(before, kth, np.array([0, 0, 7, 7]), np.array([9, 9, 9, 9])).tolist() == [0, 9, 7, 9]


def test_expected_recall_is_at_least_the_target() -> None:
    """Many calibrations, each judged on other queries of the same kind: the guarantee is of the mean."""
    everyone, targets = synthetic(20_000, 1), (0.8, 0.9, 0.95, 0.98)
    rng = np.random.default_rng(2)
    reached, spreads = np.empty((2, 50, len(targets)))
    for run in range(50):
        order = rng.permutation(len(everyone))
        made = calibrate(everyone.some(order[:150]), 10, targets=targets)
        judged = everyone.some(order[150:2150])
        for i, rule in enumerate(made.rules):
            found = recalls(judged, rule)
            reached[run, i], spreads[run, i] = found.mean(), found.std()
    error = reached.std(axis=0) / np.sqrt(50)
    assert (reached.mean(axis=0) >= targets - 2 * error).all()
    # it is not bought by opening everything: above it are only the correction and the caution of n = 100
    above = 1 / 100 + CAUTION * spreads.mean(axis=0) / 10
    assert (reached.mean(axis=0) <= targets + 1.5 * above).all()


def test_thresholds_are_the_lowest_that_hold() -> None:
    """The condition of conformal risk control, by trying every threshold that differs."""
    trace = synthetic(300, 3)
    for target in (0.7, 0.9, 0.97):
        made = calibrate(trace, 10, targets=[target])
        rule = made.rules[0]
        # the queries that weight and checkpoints were not chosen on
        order = np.random.Generator(np.random.Philox(key=np.array([0, 0], np.uint64))).permutation(300)
        others = trace.some(np.sort(order[100:]))

        def holds(threshold: float, rule=rule, others=others, target=target) -> bool:
            risk = 1 - recalls(others, replace(rule, threshold=threshold))
            mean, error = risk.mean(), risk.std() / np.sqrt(len(risk))
            allowed = 1 - target + 1e-9
            return (risk.sum() + 1) / (len(risk) + 1) <= allowed and mean + CAUTION * error <= allowed

        levels = np.unique(others.evidence(rule))
        levels = levels[np.isfinite(levels)]
        assert holds(rule.threshold)
        below = levels[levels < rule.threshold]
        assert rule.threshold == np.nextafter(below[-1], np.inf)  # ends just above what some query showed
        assert not holds(float(below[-1]))


def test_stricter_without_queries() -> None:
    trace = synthetic(1500, 4)
    plain, strict = (calibrate(trace, 10, targets=[0.9], source=s) for s in ("queries", "points"))
    assert strict.source == "points"
    assert recalls(trace, strict.stop(0.9)).mean() > recalls(trace, plain.stop(0.9)).mean() + 0.01
    asked = 1 - 0.1 * STRICT
    assert abs(recalls(trace, strict.stop(0.9)).mean() - asked) < 0.02


def test_dear_visits_make_fewer_looks() -> None:
    trace = synthetic(1500, 5)
    cheap, dear = (calibrate(trace, 10, targets=[0.95], visit=visit).rules[0] for visit in (0.0, 100.0))
    count = len(trace.opened)
    assert len(dear.looks(count)) < len(cheap.looks(count))


def test_too_few_queries_open_everything() -> None:
    for count in (0, 1, 2, 5, 30):
        made = calibrate(synthetic(count, 6), 10, targets=[0.5, 0.99])
        assert made.queries == count
        assert made.stop(0.99) is EVERYTHING  # n < 1 / 0.01
        trace = synthetic(4, 7)
        assert (trace.stops(made.stop(0.99)) == len(trace.opened) - 1).all()
    assert calibrate(synthetic(90, 6), 10, targets=[0.5]).stop(0.5) is not EVERYTHING


def test_traces_without_information() -> None:
    trace = synthetic(400, 8)
    flat = replace(trace, spread=np.zeros_like(trace.spread))  # ties everywhere: points alone decide
    assert recalls(flat, calibrate(flat, 10).stop(0.9)).mean() >= 0.88
    none = replace(trace, kth=np.full_like(trace.kth, -np.inf))  # never k rows
    assert (none.stops(calibrate(none, 10).stop(0.5)) == len(trace.opened) - 1).all()
    same = replace(trace, kth=np.ones_like(trace.kth), next=np.zeros_like(trace.next))
    assert recalls(same, calibrate(same, 10).stop(0.9)).mean() >= 0.88
    easy = replace(trace, found=np.ones_like(trace.found), kth=np.ones_like(trace.kth))
    assert calibrate(easy, 10, targets=[0.9]).rules[0].threshold == -np.inf
    assert (easy.stops(calibrate(easy, 10).stop(0.9)) == 0).all()
    one = Trace(
        np.array([1]), *(np.ones((50, 1), np.float32) for _ in range(2)), np.zeros(50, np.float32),
        np.full((50, 1), 7), np.ones((50, 1), np.float32),
    )  # fmt: skip
    assert (one.stops(calibrate(one, 1).stop(0.9)) == 0).all()


def test_the_rule_of_a_recall() -> None:
    made = calibrate(synthetic(600, 9), 10)
    assert made.targets.tolist() == list(TARGETS)
    assert made.stop(0.0) is made.rules[0]
    assert made.stop(0.93) is made.rules[TARGETS.index(0.94)]
    assert made.stop(0.95) is made.rules[TARGETS.index(0.95)]
    assert made.stop(1 - 0.05) is made.stop(0.95)
    assert made.stop(1.0) is EVERYTHING
    for recall in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="recall is"):
            made.stop(recall)


def test_the_same_trace_gives_the_same_rules() -> None:
    trace = synthetic(300, 10)
    first, second = calibrate(trace, 10), calibrate(trace, 10)
    assert first.rules == second.rules


def test_saved_and_loaded() -> None:
    for source, count in (("queries", 500), ("points", 500), ("queries", 0)):
        made = calibrate(synthetic(count, 11), 100, source=source)
        arrays = made.arrays()
        assert {key: array.dtype.char for key, array in arrays.items()} == {"rules": "d", "about": "l"}
        again = Calibration.from_arrays(arrays)
        assert (again.k, again.source, again.queries) == (100, source, count)
        assert (again.targets == made.targets).all()
        assert again.rules == made.rules
        assert [rule is EVERYTHING for rule in again.rules] == [rule is EVERYTHING for rule in made.rules]


@pytest.mark.parametrize(
    ("key", "place", "value", "told"),
    [
        ("rules", (0, 0), np.nan, "targets"),
        ("rules", (0, 0), 0.0, "targets"),
        ("rules", (1, 0), 0.1, "targets"),
        ("rules", (16, 0), 1.0, "targets"),
        ("rules", (0, 1), -1.0, "out of range"),
        ("rules", (0, 1), np.inf, "out of range"),
        ("rules", (0, 1), np.nan, "out of range"),
        ("rules", (0, 2), np.nan, "out of range"),
        ("rules", (0, 3), -1.0, "out of range"),
        ("rules", (0, 3), 1.5, "out of range"),
        ("rules", (0, 3), np.inf, "out of range"),
        ("rules", (0, 4), 0.0, "out of range"),
        ("rules", (0, 4), 1e30, "out of range"),
        ("about", 0, 0, "about"),
        ("about", 1, -1, "about"),
        ("about", 2, 2, "about"),
    ],
)
def test_made_up_arrays_are_refused(key: str, place, value: float, told: str) -> None:
    arrays = calibrate(synthetic(60, 12), 10).arrays()
    arrays[key][place] = value
    with pytest.raises(FormatError, match=f"file: .*{told}"):
        Calibration.from_arrays(arrays, "file")


def test_arrays_of_other_shapes_are_refused() -> None:
    good = calibrate(synthetic(60, 12), 10).arrays()
    for key, array in (
        ("rules", good["rules"][:, :4]),
        ("rules", good["rules"].view(np.int64)),
        ("rules", good["rules"][0]),
        ("rules", np.float64(1)),
        ("about", good["about"][:2]),
        ("about", good["about"].astype(np.float64)),
    ):
        with pytest.raises(FormatError, match=f"'{key}' is"):
            Calibration.from_arrays({**good, key: np.asarray(array)})
    with pytest.raises(FormatError, match="'about' is missing"):
        Calibration.from_arrays({"rules": good["rules"]})
    assert Calibration.from_arrays({**good, "rules": good["rules"][:0]}).stop(0.5) is EVERYTHING


@pytest.mark.parametrize("name", ["opened", "kth", "next", "spread", "points", "found"])
def test_bad_traces_are_refused(name: str) -> None:
    trace = synthetic(5, 13)
    with pytest.raises(InputError, match=name):
        replace(trace, **{name: getattr(trace, name)[..., :-1]})
    if name in ("kth", "next", "spread", "found"):
        with pytest.raises(InputError, match=f"{name} holds NaN"):
            replace(trace, **{name: np.full_like(getattr(trace, name), np.nan)})
    else:
        with pytest.raises(InputError, match=f"{name}.*fall"):
            replace(trace, **{name: -getattr(trace, name)})


def test_bad_arguments_are_refused() -> None:
    trace = synthetic(5, 13)
    for found in (2 * trace.found, trace.found[:, ::-1], -trace.found[:, ::-1]):
        with pytest.raises(InputError, match="found"):
            replace(trace, found=found)
    with pytest.raises(InputError, match="infinite"):
        replace(trace, kth=np.full_like(trace.kth, np.inf))
    for targets in ([0.9, 0.8], [0.0], [1.0], [float("nan")], [[0.5]]):
        with pytest.raises(InputError, match="targets"):
            calibrate(trace, 10, targets=targets)
    for bad in ({"k": 0}, {"source": "rows"}, {"visit": -1.0}, {"visit": float("nan")}):
        with pytest.raises(InputError, match="visit"):
            calibrate(trace, **{"k": 10, **bad})
    for bad in ((-1.0, 0.0), (np.nan, 0.0), (np.inf, 0.0), (1.0, np.nan)):
        with pytest.raises(InputError, match="weight"):
            Stop(*bad)
    for place in ((-1, 1), (0, 0)):
        with pytest.raises(InputError, match="first"):
            Stop(1.0, 0.0, *place)


@pytest.mark.parametrize("metric", ["cosine", "ip"])
def test_made_up_queries(metric: str) -> None:
    rng = np.random.default_rng(14)
    centres = rng.standard_normal((20, 16))
    rows = (centres[rng.integers(0, 20, 3000)] + 0.3 * rng.standard_normal((3000, 16))).astype(np.float32)
    rows *= rng.lognormal(0, 1, (3000, 1)).astype(np.float32)
    queries, own = calibration_queries(rows, metric, 401, 5)
    assert queries.shape == (401, 16) and queries.dtype == np.float32 and own.dtype == np.int64
    assert (own >= 0).sum() == 201 and len(np.unique(own[own >= 0])) == 201
    assert (queries[own >= 0] == rows[own[own >= 0]]).all()

    def nearest(asked: np.ndarray, masked: np.ndarray) -> np.ndarray:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        cosines = asked / np.linalg.norm(asked, axis=1, keepdims=True) @ unit.T
        cosines[masked >= 0, masked[masked >= 0]] = -1
        return cosines.max(axis=1)

    if metric == "cosine":  # moved rows are new, and as near to others as rows are, not lost in the void
        held, moved = (nearest(queries[s], own[s]) for s in (own >= 0, own < 0))
        assert moved.max() < 1 - 1e-6
        assert np.median(moved) > np.median(held) - 0.2
    again, others = calibration_queries(rows, metric, 401, 5), calibration_queries(rows, metric, 401, 6)
    assert (again[0] == queries).all() and (again[1] == own).all()
    assert (others[0] != queries).any()


def test_made_up_queries_of_hardly_any_rows() -> None:
    for rows in (np.zeros((0, 3)), np.ones((1, 3)), np.ones((2, 3)), np.zeros((5, 3)), np.full((3, 3), 1e30)):
        for metric in ("cosine", "ip"):
            queries, own = calibration_queries(rows.astype(np.float32), metric, 10, 0)
            assert len(queries) == len(own) == 2 * min(5, len(rows))
            assert np.isfinite(queries).all()
    assert len(calibration_queries(np.ones((9, 2)), "ip", 0)[0]) == 0
    with pytest.raises(InputError, match="metric"):
        calibration_queries(np.ones((9, 2)), "l2", 5)
    with pytest.raises(InputError, match="count"):
        calibration_queries(np.ones((9, 2)), "ip", -1)


def test_bootstrap() -> None:
    rng = np.random.default_rng(15)
    found = rng.binomial(10, 0.9, 2000) / 10
    low, high = bootstrap(found)
    error = found.std() / np.sqrt(2000)
    np.testing.assert_allclose([low, high], found.mean() + np.array([-1.96, 1.96]) * error, atol=0.25 * error)
    assert bootstrap(found) == (low, high)
    assert bootstrap(np.ones(3)) == (1.0, 1.0)
    inside = 0
    for _ in range(200):  # it holds the true mean about as often as it says
        some = rng.binomial(10, 0.9, 300) / 10
        low, high = bootstrap(some, draws=400)
        inside += low <= 0.9 <= high
    assert 178 <= inside <= 200
    for bad in (np.zeros(0), np.array([np.nan]), np.ones((2, 2))):
        with pytest.raises(InputError, match="found"):
            bootstrap(bad)
    for bad in ({"level": 1.0}, {"draws": 0}):
        with pytest.raises(InputError, match="level"):
            bootstrap(np.ones(3), **bad)
