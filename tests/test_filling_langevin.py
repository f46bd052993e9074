"""Langevin filling: the law of the radii, and neighbours closer together on the chart."""

import sys

import numpy as np
import pytest

from thesphere.chart import overlap
from thesphere.errors import InputError, MissingExtra
from thesphere.filling import Filling, fill, thermal_limit
from thesphere.filling.langevin import Langevin, closeness, fold
from thesphere.neighbours import Neighbours, nearest
from thesphere.sampling import couple


@pytest.fixture(scope="module")
def clusters() -> tuple[np.ndarray, Neighbours]:
    """Thirty clusters in 24 dimensions with lognormal norms, [900, 24], and their neighbours."""
    rng = np.random.default_rng(0)
    rows = 2 * rng.standard_normal((30, 24))[np.arange(900) % 30] + rng.standard_normal((900, 24))
    rows *= rng.lognormal(0, 0.5, (900, 1))
    return rows.astype(np.float32), nearest(rows, 12)


def filled(clusters, *, key: int = 0, chart: str = "pca", **settings) -> Filling:
    pytest.importorskip("jax")
    rows, graph = clusters
    return fill(rows, method=Langevin(**settings), neighbours=graph, key=key, chart=chart)


@pytest.mark.parametrize("start", ["pca", "spectral", "random"])
def test_neighbours_gather_at_equal_balance(clusters, start: str) -> None:
    rows, graph = clusters
    before = fill(rows, chart=start, neighbours=graph)
    after = filled(clusters, chart=start)
    assert after.result.converged and after.info.tv[-1] == before.info.tv[-1] == 0
    np.testing.assert_array_equal(after.shells, before.shells)  # it ends cold: the quantile filling
    gained = overlap(after.positions, graph) - overlap(before.positions, graph)
    assert gained > 0.06
    assert overlap(after.positions, graph) > 10 * 10 / len(rows)
    measures = after.info.measures
    if start != "spectral":  # which puts each of these clusters into one spot
        assert measures["neighbour_cosine"] > measures["neighbour_cosine_before"] + 0.05
    assert measures["neighbour_cosine"] == pytest.approx(
        closeness(after.positions.astype(np.float32), couple(graph)), abs=1e-5
    )


@pytest.mark.parametrize("temperature", [1e-8, 1e-3, 0.1, 1.0, 1e3])
def test_shells_hold_what_a_draw_would_give(clusters, temperature: float) -> None:
    draws = [
        filled(clusters, key=key, temperature=temperature, start=temperature, lateral_steps=4)
        for key in range(24)
    ]
    limit = thermal_limit(draws[0].info.capacities)
    for filling in draws:
        assert filling.result.converged and filling.info.tv[-1] <= limit
        for column in (filling.radii, filling.theta, filling.phi):
            assert np.isfinite(column).all()
    held = draws[0].info.capacities
    mean = np.mean([filling.info.occupancy for filling in draws], axis=0)
    deviation = np.sqrt(held * (1 - held / held.sum()) / len(draws))
    assert (np.abs(mean - held) < 4.5 * deviation + 1).all()


def test_hot_radii_forget_prominence_and_cold_ones_do_not(clusters) -> None:
    norms = np.linalg.norm(clusters[0], axis=1)
    ranks = np.argsort(np.argsort(norms))
    kept = [
        np.corrcoef(ranks, filled(clusters, temperature=t, start=t, lateral_steps=4).shells)[0, 1]
        for t in (1e-8, 0.01, 0.1, 1e3)
    ]
    assert kept == sorted(kept, reverse=True) and kept[0] > 0.95 and abs(kept[-1]) < 0.15


def test_spread_of_the_radii_is_that_of_the_temperature(clusters) -> None:
    """Away from the walls u - u* has variance T after any number of passes: the process is stationary."""
    rows = np.ones((4001, 2), np.float32)
    flow = np.arange(4001.0)
    pytest.importorskip("jax")
    method = Langevin(temperature=4e-4, start=4e-4, lateral_steps=4)
    filling = fill(rows, prominence=flow, method=method, shells=512, neighbours=_nobody(4001))
    centre = (np.cumsum(filling.info.capacities) - filling.info.capacities / 2) / 4001
    away = (centre[filling.shells] - (flow + 0.5) / 4001)[400:-400]
    assert away.std() == pytest.approx(0.02, rel=0.06) and abs(away.mean()) < 0.002


def _nobody(count: int) -> Neighbours:
    return Neighbours(np.full((count, 1), -1, np.int32), np.full((count, 1), -np.inf, np.float32))


def test_folding_reflects_and_keeps_an_even_spread_even() -> None:
    given = np.array([-1.25, -0.25, 0.0, 0.3, 1.0, 1.25, 2.0, 3.5])
    np.testing.assert_allclose(fold(given), [0.75, 0.25, 0, 0.3, 1, 0.75, 0, 0.5], atol=1e-12)
    ideal, kicks = (np.arange(2000) + 0.5) / 2000, np.linspace(-3, 3, 41)
    counts = np.histogram(fold(ideal[:, None] + kicks[None]), bins=20, range=(0, 1))[0]
    np.testing.assert_allclose(counts, 2000 * 41 / 20, atol=41)


def test_the_key_decides(clusters) -> None:
    first, same, other = (filled(clusters, key=key, temperature=0.01) for key in (4, 4, 5))
    for name in ("shells", "theta", "phi"):
        np.testing.assert_array_equal(getattr(first, name), getattr(same, name))
        assert (getattr(first, name) != getattr(other, name)).any()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_points_and_no_chart(count: int) -> None:
    pytest.importorskip("jax")
    rows = np.random.default_rng(0).standard_normal((count, 4))
    for chart in ("pca", None):
        filling = fill(rows, method="thrml", chart=chart)
        assert filling.info.occupancy.sum() == count and np.isfinite(filling.theta).all()


def test_the_number_of_steps_falls_with_the_points() -> None:
    steps = [Langevin().steps_of(10**n) for n in range(8)]
    assert steps == sorted(steps, reverse=True) and steps[0] == 400 and steps[-1] == 6
    assert Langevin(lateral_steps=7).steps_of(10**6) == 7


def test_without_jax_the_extra_is_named(clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(MissingExtra, match=r"thesphere\[jax\]"):
        fill(clusters[0], method="langevin")


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"start": np.nan},
        {"repulsion": np.inf},
        {"pace": 1.0},
        {"pace": 0.0},
        {"neighbours": 0},
        {"passes": 0},
        {"lateral_steps": 0},
    ],
)
def test_settings_are_checked(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Langevin(**wrong)
