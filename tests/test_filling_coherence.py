import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from scipy.stats import rankdata, spearmanr

from thesphere.errors import InputError
from thesphere.filling import Problem, fill
from thesphere.filling.coherence import Coherence, coherence_ranks
from thesphere.filling.quantile import Quantile


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
        lambda: pytest.fail("coherence needs no neighbours"),
    )


def signals(points, seed=0):
    generator = np.random.default_rng(seed)
    return generator.lognormal(2, 0.3, points), np.clip(generator.gamma(2, 0.7, points), 0.01, 5)


def run(strategy, task):
    states, moves = [strategy.init(task, key=0)], []
    while not moves or not moves[-1].done:
        state, made = strategy.step(task, states[-1], key=0)
        states.append(state)
        moves.append(made)
    return states, moves


def shells_of(state):
    shells = np.empty(len(state.order), int)
    shells[state.order] = np.repeat(np.arange(len(state.cuts) - 1), np.diff(state.cuts))
    return shells


def test_it_starts_as_the_quantile_filling_and_stays_balanced():
    task = problem(*signals(2000), [200, 0, 800, 1000])
    states, moves = run(Coherence(), task)
    start = Quantile().init(task, key=0)
    np.testing.assert_array_equal(states[0].order, start.order)
    for state in states:
        np.testing.assert_array_equal(state.occupancy, task.capacities)
        np.testing.assert_array_equal(np.sort(state.order), np.arange(2000))
    assert [made.done for made in moves] == [False] * 9 + [True]


@pytest.mark.parametrize("seed", [0, 1])
def test_radius_follows_coherence_more_with_every_pass(seed):
    prominence, entropies = signals(4000, seed)
    task = problem(prominence, entropies, np.full(40, 100))
    states, _ = run(Coherence(), task)
    light = prominence**2 / (entropies + 1e-6)
    correlations = [spearmanr(shells_of(state), light).statistic for state in states]
    assert (np.diff(correlations) > 0).all()
    assert correlations[-1] > correlations[0] + 0.1
    measures = Coherence().measures(task, states[-1])
    assert measures["coherence_correlation"] == pytest.approx(correlations[-1])
    assert measures["coherence_correlation_before"] == pytest.approx(correlations[0])


def test_pumped_long_enough_coherence_alone_decides():
    prominence, entropies = signals(300)
    states, _ = run(Coherence(beta=1e4), problem(prominence, entropies, np.full(10, 30)))
    np.testing.assert_array_equal(
        states[-1].order, np.argsort(prominence**2 / (entropies + 1e-6), kind="stable")
    )


def test_a_pass_multiplies_radii_by_the_gain_of_their_rank():
    prominence, entropies = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1e-9, 1.0, 2.0, 400.0])
    task = problem(prominence, entropies, [1, 1, 1, 1])
    radii, ranks = task.radii, rankdata(prominence**2 / (entropies + 1e-6)) / 4 - 1 / 8
    for passes in (1, 2, 5, 9, 20):
        amplified = radii * np.exp(0.7 * (ranks - 0.5) * 0.3 * passes)
        states, _ = run(Coherence(beta=0.7, dt=0.3, passes=passes), task)
        np.testing.assert_array_equal(states[-1].order, np.argsort(amplified))


@pytest.mark.parametrize("outward", [True, False])
def test_many_points_follow_the_sum_of_log_radius_and_gains(outward):
    prominence, entropies = signals(40_000)
    capacities = np.array([4_000, 0, 16_000, 20_000])
    task = problem(prominence, entropies, capacities, outward)
    states, _ = run(Coherence(beta=0.6, dt=0.2, passes=3), task)
    middles = (np.cumsum(capacities) - capacities / 2)[capacities > 0]
    places = rankdata(prominence if outward else -prominence) - 0.5
    gain = 0.6 * 0.2 * ((rankdata(prominence**2 / (entropies + 1e-6)) - 0.5) / 40_000 - 0.5)
    heights = np.interp(places, middles, np.log(task.radii[capacities > 0]))
    for passes, state in enumerate(states):
        along = (heights + (gain if outward else -gain) * passes)[state.order]
        assert (np.diff(along) > -1e-12).all()


def test_without_gain_nothing_moves():
    states, moves = run(Coherence(beta=0.0), problem(*signals(500), [100, 400]))
    assert all(made[:3] == (0, 0, 0) for made in moves)
    np.testing.assert_array_equal(states[-1].order, states[0].order)


def test_inward_is_the_mirror_image():
    prominence, entropies = signals(600)
    outward, _ = run(Coherence(), problem(prominence, entropies, [100] * 6))
    inward, _ = run(Coherence(), problem(prominence, entropies, [100] * 6, outward=False))
    light = prominence**2 / (entropies + 1e-6)
    before = spearmanr(shells_of(inward[0]), light).statistic
    assert spearmanr(shells_of(inward[-1]), light).statistic < before < 0
    assert spearmanr(shells_of(outward[-1]), light).statistic > -before


@settings(max_examples=30, deadline=None)
@example([(0, 0)], 2.2250738585072014e-308, False)
@given(
    some.lists(some.tuples(some.integers(0, 3), some.integers(0, 3)), min_size=1, max_size=30),
    some.floats(0, 10),
    some.booleans(),
)
def test_ties_zeros_and_constants_stay_balanced_and_moves_are_counted(points, beta, outward):
    prominence, entropies = np.array(points, float).T
    capacities = np.bincount(np.arange(len(points)) % 4, minlength=4)
    states, moves = run(Coherence(beta=beta, passes=3), problem(prominence, entropies, capacities, outward))
    for before, after, made in zip(states[:-1], states[1:], moves, strict=True):
        np.testing.assert_array_equal(after.occupancy, capacities)
        old, new = shells_of(before), shells_of(after)
        assert made[:3] == ((new > old).sum(), (new < old).sum(), 0)


def test_ranks_are_mid_ranks_and_do_not_depend_on_scale():
    prominence, entropies = signals(100)
    prominence[:10], entropies[:10] = prominence[0], entropies[0]
    ranks, known = coherence_ranks(problem(prominence, entropies, [100]))
    assert known == 100
    np.testing.assert_array_equal(ranks, 2 * rankdata(prominence**2 / (entropies + 1e-6)) - 1)
    np.testing.assert_array_equal(ranks, coherence_ranks(problem(1024 * prominence, entropies, [100]))[0])


def test_unknown_entropies_neither_gain_nor_lose():
    prominence, entropies = signals(50)
    entropies[::7] = np.nan
    task = problem(prominence, entropies, [25, 25])
    ranks, count = coherence_ranks(task)
    known = ~np.isnan(entropies)
    assert count == known.sum() and (ranks[~known] == count).all()
    light = prominence[known] ** 2 / (entropies[known] + 1e-6)
    np.testing.assert_array_equal(ranks[known], 2 * rankdata(light) - 1)
    states, _ = run(Coherence(), task)
    measures = Coherence().measures(task, states[-1])
    expected = spearmanr(shells_of(states[-1])[known], light).statistic
    assert measures["coherence_correlation"] == pytest.approx(expected)


def test_fill_reaches_it_by_its_older_name():
    prominence, entropies = signals(1000)
    rows = np.ones((1000, 2), np.float32)
    filling = fill(rows, prominence=prominence, entropies=entropies, method="lasing", chart=None)
    assert filling.result.converged and filling.info.tv == [0.0] * 11
    measures = filling.info.measures
    assert measures["coherence_correlation"] > measures["coherence_correlation_before"]
    short = fill(
        rows, prominence=prominence, entropies=entropies, method="coherence", max_steps=4, chart=None
    )
    assert not short.result.converged


def test_it_needs_entropies():
    with pytest.raises(InputError, match="entropies"):
        fill(np.ones((4, 2), np.float32), method="coherence", chart=None)
    with pytest.raises(InputError, match="entropies"):
        Coherence().init(problem([1.0], None, [1]), key=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"beta": -1.0},
        {"beta": np.nan},
        {"beta": 1e308, "dt": 10.0},
        {"dt": 0.0},
        {"dt": np.inf},
        {"passes": 0},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Coherence(**wrong)
