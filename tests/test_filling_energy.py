from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.optimize import root
from scipy.stats import chi2, chisquare

from thesphere.errors import InputError
from thesphere.filling import Problem, fill, thermal_limit
from thesphere.filling.boltzmann import centres, draw, potentials
from thesphere.filling.energy import Energy

TEMPERATURES = [1e-8, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.3, 1.0, 30.0, 1e3]


def problem(prominence, capacities, outward=True):
    points = len(prominence)
    return Problem(
        np.zeros((points, 2), np.float32),
        np.asarray(prominence, np.float64),
        None,
        np.linspace(32, 512, len(capacities)),
        np.asarray(capacities, np.int64),
        outward,
        np.tile(np.float32([0, 0, 1]), (points, 1)),
        lambda: pytest.fail("the energy needs no neighbours"),
    )


def run(strategy, task, key=0):
    """All states from the first to the one that is done, and the moves of each pass."""
    states, moves = [strategy.init(task, key=key)], []
    while not moves or not moves[-1].done:
        state, made = strategy.step(task, states[-1], key=key)
        states.append(state)
        moves.append(made)
    return states, moves


def law(mu, quantiles, middles, temperature):
    """The Boltzmann law by plain enumeration, [N, S]."""
    logs = (mu - np.abs(quantiles[:, None] - middles)) / temperature
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def shells_of(state):
    shells = np.empty(len(state.order), int)
    shells[state.order] = np.repeat(np.arange(len(state.cuts) - 1), np.diff(state.cuts))
    return shells


@pytest.mark.parametrize("temperature", [0.02, 0.1, 0.7, 5.0])
@pytest.mark.parametrize("capacities", [[5, 3, 2], [1, 1, 1, 1], [7, 1, 9, 2, 4]])
def test_potentials_are_those_of_a_root_finder_over_the_enumerated_law(capacities, temperature):
    share = np.array(capacities) / sum(capacities)
    middles = centres(capacities)
    edges = np.sort(np.concatenate([[0, 1], middles]))  # the law has kinks at the centres
    nodes, weights = np.polynomial.legendre.leggauss(60)
    parts = [
        (low + (high - low) * (nodes + 1) / 2, weights * (high - low) / 2) for low, high in pairwise(edges)
    ]
    grid, weights = (np.concatenate(column) for column in zip(*parts, strict=True))

    def missing(free):
        mu = np.concatenate([[0.0], free])
        return (weights @ law(mu, grid, middles, temperature) - share)[1:]

    found = root(missing, np.zeros(len(share) - 1), tol=1e-13)
    assert found.success
    expected = np.concatenate([[0.0], found.x])
    np.testing.assert_allclose(potentials(capacities, temperature), expected - expected @ share, atol=1e-8)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_expected_occupancy_of_the_points_themselves_is_the_capacity(temperature):
    capacities = np.array([3, 0, 40, 7, 1, 99, 50])  # one shell without capacity
    quantiles = (np.arange(200) + 0.5) / 200
    mu = potentials(capacities, temperature)
    assert mu[1] == -np.inf and np.isfinite(np.delete(mu, 1)).all()
    expected = law(mu, quantiles, centres(capacities), temperature).sum(axis=0)
    assert np.abs(expected - capacities).max() < 0.02


@settings(max_examples=40, deadline=None)
@given(
    some.lists(some.integers(0, 10**6), min_size=1, max_size=40).filter(any),
    some.floats(-8, 3),
)
def test_potentials_balance_whatever_the_capacities(capacities, power):
    temperature = 10.0**power
    mu = potentials(capacities, temperature)
    held = np.array(capacities) > 0
    assert (np.isfinite(mu) == held).all()
    # stratified quantiles and uniforms, an almost exact integral of the drawn law
    side = 300
    quantiles, uniforms = np.meshgrid((np.arange(side) + 0.5) / side, (np.arange(side) + 0.5) / side)
    drawn = draw(capacities, temperature, quantiles.ravel(), uniforms.ravel())
    occupancy = np.bincount(drawn, minlength=len(capacities)) / side**2
    assert np.abs(occupancy - np.array(capacities) / sum(capacities)).max() < 2 / side


@pytest.mark.parametrize("temperature", [0.03, 0.2, 2.0])
def test_the_draw_inverts_the_enumerated_distribution(temperature):
    capacities = [4, 1, 6, 3, 3]
    generator = np.random.default_rng(3)
    quantiles, uniforms = generator.random(4000), generator.random(4000)
    table = law(potentials(capacities, temperature), quantiles, centres(capacities), temperature)
    expected = (np.cumsum(table, axis=1)[:, :-1] < uniforms[:, None]).sum(axis=1)
    np.testing.assert_array_equal(draw(capacities, temperature, quantiles, uniforms), expected)


def test_extreme_uniforms_and_quantiles_stay_on_the_shells():
    ends = np.array([0.0, np.nextafter(1.0, 0)])
    quantiles, uniforms = np.meshgrid(np.array([0.0, 0.5, 1.0]), ends)
    for temperature in TEMPERATURES:
        shells = draw([2, 5, 3], temperature, quantiles.ravel(), uniforms.ravel())
        assert shells.min() >= 0 and shells.max() <= 2


def test_draws_over_keys_follow_the_law_of_each_point():
    capacities, temperature, keys = [3, 2, 4], 0.15, 1500
    task = problem(np.arange(9.0), capacities)
    strategy = Energy(temperature=temperature, start=temperature, passes=1)
    counts = np.zeros((9, 3))
    for key in range(keys):
        counts[np.arange(9), shells_of(strategy.init(task, key=key))] += 1
    mu = potentials(capacities, temperature)
    expected = keys * law(mu, (np.arange(9) + 0.5) / 9, centres(capacities), temperature)
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = 9 * 2
    assert abs(statistic - freedom) < 3 * np.sqrt(2 * freedom)
    for point in range(9):
        assert chisquare(counts[point], expected[point]).pvalue > 1e-4


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("kind", ["iid", "constant", "heavy", "tied"])
def test_occupancy_is_within_a_multinomial_draw_at_every_temperature(temperature, kind):
    generator = np.random.default_rng(5)
    prominence = {
        "iid": generator.normal(10, 1, 20000),
        "constant": np.ones(20000),
        "heavy": generator.pareto(0.5, 20000),
        "tied": generator.integers(0, 4, 20000).astype(float),
    }[kind]
    capacities = np.full(64, 20000 // 64) + (np.arange(64) < 20000 % 64)
    states, moves = run(Energy(temperature=temperature), problem(prominence, capacities), key=11)
    for state in states:
        occupancy = state.occupancy
        assert occupancy.sum() == 20000 and (np.sort(state.order) == np.arange(20000)).all()
        assert np.abs(occupancy - capacities).sum() / 40000 <= thermal_limit(capacities)
        statistic = ((occupancy - capacities) ** 2 / capacities).sum()
        assert statistic <= chi2.ppf(0.9987, 63)  # three sigma, one-sided
    assert [made.done for made in moves] == [False, False, False, True]


@pytest.mark.parametrize("outward", [True, False])
@pytest.mark.parametrize("capacities", [[1, 2, 3, 4, 990], [200] * 5, [0, 500, 1, 499, 0]])
def test_frozen_it_is_the_quantile_filling(outward, capacities):
    prominence = np.random.default_rng(2).integers(0, 300, 1000).astype(float)  # ties
    states, _ = run(Energy(temperature=1e-8), problem(prominence, capacities, outward))
    order = np.argsort(prominence if outward else -prominence, kind="stable")
    expected = np.empty(1000, int)
    expected[order] = np.repeat(np.arange(5), capacities)
    np.testing.assert_array_equal(shells_of(states[-1]), expected)


def test_hot_it_is_a_draw_by_capacity_alone():
    capacities = np.array([1000, 3000, 6000])
    states, _ = run(Energy(temperature=1e3), problem(np.arange(10000.0), capacities))
    shells = shells_of(states[-1])
    for part in np.split(shells, 5):  # the innermost fifth is filled as the outermost one
        assert chisquare(np.bincount(part, minlength=3), capacities / 5).pvalue > 1e-3


def test_the_spread_about_the_quantile_filling_grows_with_temperature():
    task = problem(np.random.default_rng(0).random(20000), np.full(50, 400))
    spreads, energies = [], []
    for temperature in [1e-8, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]:
        strategy = Energy(temperature=temperature)
        state = run(strategy, task)[0][-1]
        measures = strategy.measures(task, state)
        assert measures["temperature"] == pytest.approx(temperature)
        spreads.append(measures["shell_spread"])
        energies.append(measures["energy"])
    assert spreads[0] == 0 and energies[0] == pytest.approx(
        1 / 200
    )  # mean |e - eps| within a shell of width 1/50
    assert (np.diff(spreads) > 0).all() and (np.diff(energies) > 0).all()


def test_moves_are_counted_by_point():
    task = problem(np.random.default_rng(1).random(500), [100, 300, 100])
    states, moves = run(Energy(), task, key=4)
    for before, after, made in zip(states[:-1], states[1:], moves, strict=True):
        old, new = shells_of(before), shells_of(after)
        assert made[:3] == ((new > old).sum(), (new < old).sum(), 0)


def test_same_key_same_filling_another_key_another():
    task = problem(np.random.default_rng(1).random(5000), [1000] * 5)
    first, again, other = (run(Energy(), task, key=key)[0][-1].order for key in (7, 7, 8))
    assert (first == again).all() and (first != other).any()


def test_every_sweep_draws_by_rank_from_one_stream():
    prominence = np.random.default_rng(0).integers(0, 1000, 70_000).astype(float)
    task = problem(prominence, [30_000, 10_000, 30_000])
    ranked, quantiles = np.argsort(prominence, kind="stable"), (np.arange(70_000) + 0.5) / 70_000
    for sweep, (state, temperature) in enumerate(
        zip(run(Energy(temperature=0.04, passes=2), task, key=9)[0], [1.0, 0.2, 0.04], strict=True)
    ):
        uniforms = np.random.Generator(np.random.Philox(key=[9, sweep])).random(70_000)
        expected = np.empty(70_000, int)
        expected[ranked] = draw(task.capacities, temperature, quantiles, uniforms)
        np.testing.assert_array_equal(shells_of(state), expected)


def test_one_point_and_one_shell():
    for capacities, prominence in (([1], [2.0]), ([3], [1.0, 1.0, 1.0]), ([0, 1], [0.0])):
        state = run(Energy(), problem(prominence, capacities))[0][-1]
        np.testing.assert_array_equal(state.occupancy, capacities)


def test_fill_reaches_it_by_name():
    embeddings = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
    filling = fill(embeddings, method="boltzmann", chart=None)
    assert filling.result.converged and filling.info.passes == 4 and len(filling.info.tv) == 5
    assert filling.info.measures["shell_spread"] > 0


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": 0.0}, {"temperature": float("nan")}, {"start": -1.0}, {"start": np.inf}, {"passes": 0}],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Energy(**wrong)


def test_no_capacity_at_all_is_refused():
    with pytest.raises(InputError, match="capacity"):
        potentials([0, 0], 0.1)
