from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from thesphere.errors import InputError
from thesphere.filling import fill
from thesphere.filling.cone_weights import cone_weights


def filled(points=60, shells=3):
    rows = np.random.default_rng(0).normal(size=(points, 4)).astype(np.float32)
    return fill(rows, shells=shells, chart=None)


def crowded(occupancy, capacities):
    """A filling of these occupancies, the points in order of their shells."""
    occupancy, capacities = np.array(occupancy), np.array(capacities)
    whole = filled(occupancy.sum(), len(occupancy))
    info = replace(whole.info, occupancy=occupancy, capacities=capacities)
    return replace(whole, info=info, shells=np.repeat(np.arange(len(occupancy)), occupancy).astype(np.int32))


def test_points_of_a_balanced_filling_weigh_the_same():
    weights = cone_weights(filled())
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, np.ones(60), rtol=1e-6)


def test_crowded_shells_weigh_less_by_the_older_formula():
    filling = crowded([30, 10, 20], [10, 20, 30])
    raw = np.repeat([1 / (3 + 0.1), 1 / (0.5 + 0.1), 1 / (2 / 3 + 0.1)], [30, 10, 20])
    np.testing.assert_allclose(cone_weights(filling), raw / raw.mean(), rtol=1e-6)


def test_a_shell_without_capacity_is_merely_very_crowded():
    weights = cone_weights(crowded([4, 56], [0, 60]))
    assert np.isfinite(weights).all() and weights[0] < weights[-1]


def test_density_gives_the_osmotic_variant():
    density = np.random.default_rng(1).lognormal(0, 2, 60)
    raw = np.clip(density.mean() / density, 0.1, 10)
    np.testing.assert_allclose(cone_weights(filled(), density=density), raw / raw.mean(), rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(some.lists(some.floats(0, 1e308), min_size=5, max_size=5), some.floats(1e-3, 1e3))
def test_weights_have_mean_one_fall_with_density_and_know_no_unit(density, unit):
    filling = filled(5, 2)
    density = np.where(np.array(density) < 1e-290, 0, density)  # subnormal numbers know their unit
    weights = cone_weights(filling, density=density)
    assert np.isfinite(weights).all() and (weights > 0).all()
    assert weights.mean(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    assert (np.diff(weights[np.argsort(density, kind="stable")]) <= 0).all()
    small = density / 1e4
    np.testing.assert_allclose(
        cone_weights(filling, density=small), cone_weights(filling, density=small * unit), rtol=1e-4
    )


def test_no_density_anywhere_is_even():
    np.testing.assert_array_equal(cone_weights(filled(), density=np.zeros(60)), np.ones(60, np.float32))


@pytest.mark.parametrize(
    ("density", "told"),
    [(np.ones(3), "shape"), (np.r_[np.ones(59), np.nan], "row 59"), (np.r_[-1.0, np.ones(59)], "row 0")],
)
def test_impossible_densities_are_refused(density, told):
    with pytest.raises(InputError, match=told):
        cone_weights(filled(), density=density)
