from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from thesphere.errors import InputError
from thesphere.filling import Problem, fill
from thesphere.filling.allocation import LOWEST, Signals, effective_count, log_allocation
from thesphere.filling.entropy_weighted import EntropyWeighted, sweep, tune

TEMPERATURES = [1e-8, 1e-6, 1e-5, 1e-3, 0.1, 1.0, 50.0, 1e3]


def problem(prominence, entropies, capacities, outward=True):
    points = len(prominence)
    return Problem(
        np.zeros((points, 2), np.float32),
        np.asarray(prominence, np.float64),
        None if entropies is None else np.asarray(entropies, np.float64),
        np.linspace(32, 512, len(capacities)),
        np.asarray(capacities, np.int64),
        outward,
        np.tile(np.float32([0, 0, 1]), (points, 1)),
        lambda: pytest.fail("entropy weights need no neighbours"),
    )


def bytes_like(points, seed=0):
    """Prominences and entropies as patches of text have them: entropies of 0.01 to 5 nats."""
    generator = np.random.default_rng(seed)
    return generator.lognormal(2, 0.3, points), np.clip(generator.gamma(2, 0.7, points), 0.01, 5)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, 12, elements=some.floats(0, 1e30)),
    arrays(np.float64, 12, elements=some.floats(0, 20)),
    some.floats(-8, 3),
)
def test_the_log_allocation_is_that_of_long_doubles_and_always_finite(prominence, entropies, power):
    temperature = 10.0**power
    logs = log_allocation(prominence, entropies, temperature)
    assert np.isfinite(logs).all()
    long = np.longdouble
    for log, p, nats in zip(logs, prominence, entropies, strict=True):
        if p == 0:
            assert log == LOWEST
        else:
            expected = 2 * np.log(long(p)) - long(nats) / long(temperature)
            assert log == pytest.approx(float(expected), rel=1e-14, abs=1e-12)
            assert log > LOWEST


def test_even_a_temperature_beyond_all_measure_stays_finite():
    assert np.isfinite(log_allocation([1.0, 2.0, 0.0], [1e300, 0.0, 5.0], 1e-300)).all()


def test_allocations_are_the_exact_products_where_exponentials_are_rational():
    halving = 1 / np.log(2)  # at this temperature exp(-H / T) = 2^-H
    prominence, entropies = np.array([1, 3, 5, 7]), np.array([0, 1, 2, 3])
    expected = [Fraction(int(p) ** 2, 2 ** int(h)) for p, h in zip(prominence, entropies, strict=True)]
    logs = log_allocation(prominence, entropies, halving)
    np.testing.assert_allclose(np.exp(logs), [float(each) for each in expected], rtol=1e-14)
    count = sum(expected) ** 2 / sum(each**2 for each in expected)
    assert effective_count(logs) == pytest.approx(float(count), rel=1e-13)


@pytest.mark.parametrize("outward", [True, False])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_filling_is_balanced_and_ordered_by_allocation(temperature, outward):
    prominence, entropies = bytes_like(1000)
    prominence[:50] = 0
    task = problem(prominence, entropies, [100, 0, 300, 600], outward)
    strategy = EntropyWeighted(temperature)
    state = strategy.init(task, key=0)
    np.testing.assert_array_equal(state.occupancy, task.capacities)
    long = np.longdouble
    with np.errstate(divide="ignore"):
        logs = 2 * np.log(prominence.astype(long)) - entropies.astype(long) / long(temperature)
    along = logs[state.order] if outward else logs[state.order][::-1]
    noise = 1e-14 * np.maximum(1, np.abs(along[50:]))
    assert (np.diff(along[50:]) >= -noise[1:]).all() and np.isneginf(along[:50]).all()
    after, made = strategy.step(task, state, key=1)
    assert after is state and made == (0, 0, 0, True)
    assert not any(np.isnan(value) for value in strategy.measures(task, state).values())


@pytest.mark.parametrize(("outward", "expected"), [(True, [3, 5, 1, 4, 0, 2]), (False, [0, 2, 1, 4, 3, 5])])
def test_ties_go_by_prominence_and_then_by_row(outward, expected):
    prominence = [2.0, 1.0, 2.0, 0.0, 1.0, 0.0]
    level = 2 * np.log(2.0)
    entropies = [level, 0.0, level, 3.0, 0.0, 0.0]  # at T = 1 all but zeros have log a = 0
    state = EntropyWeighted(1.0).init(problem(prominence, entropies, [3, 3], outward), key=0)
    np.testing.assert_array_equal(state.order, expected)


def test_ties_are_seen_wherever_they_lie():
    for first in (1, 1 << 16, (1 << 16) + 1, 69_999):
        prominence = np.where(np.arange(70_000) < first, 2.0, 1.0)
        order = Signals.of(prominence, np.zeros(70_000)).order(np.zeros(70_000), True)
        np.testing.assert_array_equal(order, np.roll(np.arange(70_000), -first))


@settings(max_examples=60, deadline=None)
@given(some.lists(some.tuples(some.integers(0, 3), some.sampled_from([0.0, 1.0, 3.0, np.nan])), max_size=45))
def test_deciles_are_the_ends_of_the_order_of_coherence(points):
    prominence, entropies = np.array(points, float).reshape(-1, 2).T
    marks = Signals.of(prominence, entropies).deciles()
    able = np.flatnonzero((prominence > 0) & ~np.isnan(entropies))
    light = prominence[able] ** 2 / (entropies[able] + 1e-6)
    order = able[np.argsort(light.round(6), kind="stable")]
    size = max(1, len(able) // 10) if len(able) > 1 else 0
    assert set(np.flatnonzero(marks == -1)) == set(order[:size])
    assert set(np.flatnonzero(marks == 1)) == set(order[len(order) - size :])
    assert np.abs(marks).sum() == 2 * size


def deciles(prominence, entropies):
    order = np.argsort(prominence**2 / (entropies + 1e-6))
    size = len(order) // 10
    return order[-size:], order[:size]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_auto_gives_the_top_decile_ten_to_a_hundred_times_the_bottom_one(seed):
    prominence, entropies = bytes_like(3000, seed)
    tuned = tune(prominence, entropies)
    top, bottom = deciles(prominence, entropies)
    allocation = prominence.astype(np.longdouble) ** 2 * np.exp(-entropies / np.longdouble(tuned.temperature))
    ratio = float(allocation[top].mean() / allocation[bottom].mean())
    assert ratio == pytest.approx(np.sqrt(1000), rel=1e-6) and tuned.on_target
    assert tuned.log10_ratio == pytest.approx(np.log10(ratio), rel=1e-9)
    task = problem(prominence, entropies, [1000, 2000])
    strategy = EntropyWeighted()
    state = strategy.init(task, key=0)
    assert strategy.measures(task, state)["allocation_ratio"] == pytest.approx(ratio)
    assert strategy.notes(task, state) == ""


@settings(max_examples=30, deadline=None)
@given(some.integers(0, 10**6), some.floats(-3, 3), some.floats(-6, 6))
def test_auto_takes_the_nearest_ratio_that_a_dense_search_finds(seed, width, scale):
    generator = np.random.default_rng(seed)
    prominence = generator.lognormal(0, 10.0**width / 100, 80)
    entropies = generator.gamma(2, 0.7, 80) * 10.0**scale
    tuned = tune(prominence, entropies)
    top, bottom = deciles(prominence, entropies)

    def log10_ratio(temperature):
        logs = 2 * np.log(prominence) - entropies / temperature
        peaks = logs[top].max(), logs[bottom].max()
        means = [np.exp(logs[d] - peak).sum() for d, peak in zip((top, bottom), peaks, strict=True)]
        return (peaks[0] - peaks[1] + np.log(means[0] / means[1])) / np.log(10)

    assert 1e-8 <= tuned.temperature <= 1e3 * (1 + 1e-12)
    assert tuned.log10_ratio == pytest.approx(log10_ratio(tuned.temperature), rel=1e-6, abs=1e-6)
    coarse = [abs(log10_ratio(t) - 1.5) for t in np.geomspace(1e-8, 1e3, 45)]
    assert abs(tuned.log10_ratio - 1.5) <= min(coarse) + 0.01  # ten temperatures a decade are tried
    low, high = tuned.reach
    assert low - 1e-9 <= tuned.log10_ratio <= high + 1e-9


def test_a_ratio_out_of_reach_is_said_with_what_can_be_reached():
    prominence = np.full(100, 3.0)
    task = problem(prominence, np.full(100, 1.0), [40, 60])  # nothing to tell the points apart
    strategy = EntropyWeighted()
    state = strategy.init(task, key=0)
    measures = strategy.measures(task, state)
    assert measures["allocation_ratio"] == pytest.approx(1) and measures["effective_count"] == pytest.approx(
        100
    )
    assert (
        measures["log10_allocation_ratio_low"] == measures["log10_allocation_ratio_high"] == pytest.approx(0)
    )
    assert "10 to 100 times" in strategy.notes(task, state)


def test_prominences_that_alone_exceed_the_ratio_get_the_nearest_one():
    generator = np.random.default_rng(0)
    prominence, entropies = generator.lognormal(0, 6, 1000), np.ones(1000)
    tuned = tune(prominence, entropies)
    assert tuned.log10_ratio > 2 and tuned.log10_ratio == pytest.approx(tuned.reach[0])
    assert np.isfinite(tuned.reach).all()


def test_a_ratio_beyond_float64_is_infinite_but_its_logarithm_is_not():
    row = sweep([1.0, 1.0], [0.0, 5.0], [1e-8], radii=[32, 512], exponent=0)[0]
    assert row.allocation_ratio == np.inf
    assert row.log10_allocation_ratio == pytest.approx(5e8 / np.log(10))
    assert row.effective_count == 1 and row.radius_contrast == pytest.approx(480)


def test_unknown_entropies_count_as_the_median_and_are_said():
    prominence, entropies = bytes_like(101)
    entropies[3] = entropies[60] = np.nan
    filled = np.where(np.isnan(entropies), np.nanmedian(entropies), entropies)
    np.testing.assert_array_equal(
        log_allocation(prominence, entropies, 0.3), log_allocation(prominence, filled, 0.3)
    )
    task = problem(prominence, entropies, [50, 51])
    strategy = EntropyWeighted()
    state = strategy.init(task, key=0)
    assert strategy.measures(task, state)["unknown_entropies"] == 2
    assert "2 points of unknown entropy" in strategy.notes(task, state)


@pytest.mark.parametrize("prominence", [[1.0], [0.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
def test_too_few_points_for_two_deciles_are_filled_all_the_same(prominence):
    task = problem(prominence, np.ones(len(prominence)), [len(prominence)])
    strategy = EntropyWeighted()
    state = strategy.init(task, key=0)
    assert state.occupancy.sum() == len(prominence)
    measures = strategy.measures(task, state)
    assert measures["temperature"] == 1 and np.isnan(measures["allocation_ratio"])
    assert "fewer than two points" in strategy.notes(task, state)
    assert np.isfinite(sweep(prominence, np.ones(len(prominence)), [0.1])[0].radius_spread)


def test_all_entropies_unknown_leaves_the_order_of_prominence():
    prominence = np.array([3.0, 1.0, 2.0])
    state = EntropyWeighted().init(problem(prominence, np.full(3, np.nan), [1, 2]), key=0)
    np.testing.assert_array_equal(state.order, [1, 2, 0])


def test_a_sweep_sharpens_as_it_cools():
    prominence, entropies = bytes_like(2000)
    rows = sweep(prominence, entropies)
    temperatures = np.array([row.temperature for row in rows])
    assert (np.diff(temperatures) > 0).all() and temperatures[0] == 1e-8 and temperatures[-1] == 1e3
    figures = np.array([row[2:] for row in rows])
    assert np.isfinite(figures).all()
    ratios, counts, _, contrasts = figures.T
    assert (np.diff(ratios) < 0).all() and (np.diff(counts) >= 0).all()
    assert counts[0] == pytest.approx(1, abs=1) and 0.5 * 2000 < counts[-1] <= 2000
    assert contrasts.max() > contrasts[-1] > 0  # entropies tell more about coherence than prominences here


def test_the_sweep_agrees_with_the_filling():
    prominence, entropies = bytes_like(640)
    row = sweep(prominence, entropies, [0.4], radii=np.linspace(32, 512, 16))[0]
    filling = fill(
        np.ones((640, 2), np.float32),
        prominence=prominence,
        entropies=entropies,
        method=EntropyWeighted(0.4),
        shells=16,
        spacing="linear",
        chart=None,
    )
    top, bottom = deciles(prominence, entropies)
    assert row.radius_contrast == pytest.approx(
        filling.radii[top].mean() - filling.radii[bottom].mean(), rel=1e-5
    )
    assert row.allocation_ratio == pytest.approx(filling.info.measures["allocation_ratio"])
    assert filling.result.converged and filling.radii.min() == 32 and filling.radii.max() == 512


@pytest.mark.parametrize("alias", ["orch_or", "entropy", "entropy-weighted"])
def test_older_names_reach_it(alias):
    prominence, entropies = bytes_like(200)
    rows = np.ones((200, 2), np.float32)
    filling = fill(rows, prominence=prominence, entropies=entropies, method=alias, chart=None)
    assert filling.info.method == "entropy_weighted"


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, np.nan, "cold"])
def test_impossible_temperatures_are_refused(temperature):
    with pytest.raises(InputError, match="temperature"):
        EntropyWeighted(temperature)
    with pytest.raises(InputError, match="temperature"):
        sweep([1.0], [1.0], [temperature])


@pytest.mark.parametrize(
    ("prominence", "entropies", "told"),
    [
        ([1.0, 2.0], [1.0], "2 prominences and 1 entropies"),
        ([1.0, np.nan], [1.0, 1.0], "row 1 of the prominences"),
        ([1.0, 2.0], [1.0, -1.0], "row 1 of the entropies"),
        ([], [], "no points"),
    ],
)
def test_wrong_signals_are_refused(prominence, entropies, told):
    with pytest.raises(InputError, match=told):
        sweep(prominence, entropies)


def test_without_entropies_it_says_so():
    with pytest.raises(InputError, match="entropies"):
        EntropyWeighted().init(problem([1.0], None, [1]), key=0)
