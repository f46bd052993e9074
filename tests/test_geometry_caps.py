"""Caps against SciPy's incomplete beta function, quadrature and the laws of even sampling."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import betainc, hyp2f1

from thesphere.errors import InputError
from thesphere.geometry import (
    cap_aperture,
    cap_area,
    great_circle,
    in_cap,
    sample_cap,
    sample_sphere,
    sphere_area,
    unit,
)


def test_membership() -> None:
    z = [0, 0, 1]
    points = np.array([[0, 0, 1], [0.5, 0, 0.866], [1, 0, 0]])
    assert in_cap(points, z, 0.55).tolist() == [True, True, False]
    assert in_cap(points, z, 0.0542166).tolist() == [True, False, False]  # the earlier system's golden vector
    assert (
        in_cap(points * [[9], [0.01], [30]], z, 0.55) == in_cap(points, z, 0.55)
    ).all()  # length is no matter
    assert in_cap(points, z, math.pi).all() and in_cap(z, z, 0)


@pytest.mark.parametrize(("dimension", "area"), [(2, 2 * math.pi), (3, 4 * math.pi), (4, 2 * math.pi**2)])
def test_known_areas(dimension: int, area: float) -> None:
    assert sphere_area(dimension) == pytest.approx(area, rel=1e-14)
    assert cap_area(math.pi, dimension) == pytest.approx(area, rel=1e-14)
    assert cap_area(math.pi / 2, dimension) == pytest.approx(area / 2, rel=1e-14)
    assert cap_area(0.0, dimension) == 0


def test_solid_angle_of_small_caps() -> None:
    assert cap_area(1e-9) == pytest.approx(math.pi * 1e-18, rel=1e-14)
    np.testing.assert_allclose(cap_area([0.5, 2.0]), 2 * np.pi * (1 - np.cos([0.5, 2.0])), rtol=1e-14)


@pytest.mark.parametrize("dimension", [2, 3, 4, 5, 8, 33, 100, 384, 1000, 5000])
def test_fractions_against_scipy(dimension: int) -> None:
    aperture = np.concatenate([np.geomspace(1e-9, 0.1, 20), np.linspace(0.1, math.pi, 200)])
    half = (dimension - 1) / 2
    folded = np.minimum(aperture, math.pi - aperture)
    # SciPy too keeps its digits on one side of x = 1/2 only
    low = betainc(half, 0.5, np.sin(folded) ** 2) / 2
    high = 0.5 - betainc(0.5, half, np.cos(folded) ** 2) / 2
    expected = np.where(low < 0.25, low, high)
    expected = np.where(aperture > math.pi / 2, 1 - expected, expected)
    got = cap_area(aperture, dimension, fraction=True)
    big = expected > 1e-290
    np.testing.assert_allclose(got[big], expected[big], rtol=1e-11)
    assert (got[~big] < 1e-280).all() and (np.diff(got) >= 0).all()


@pytest.mark.parametrize("dimension", [4, 7, 20])
def test_areas_against_quadrature(dimension: int) -> None:
    ring = sphere_area(dimension - 1)
    for aperture in (0.01, 0.7, 1.5, 2.2, 3.0):
        area, _ = integrate.quad(lambda t: ring * math.sin(t) ** (dimension - 2), 0, aperture, epsabs=0)
        assert cap_area(aperture, dimension) == pytest.approx(area, rel=1e-9)


@given(st.sampled_from([2, 3, 4, 5, 16, 64]), st.one_of(st.floats(1e-3, 1.57), st.sampled_from([1e-4, 0.0])))
@settings(max_examples=80, deadline=None)
def test_aperture_undoes_area(dimension: int, aperture: float) -> None:
    assert cap_aperture(cap_area(aperture, dimension), dimension) == pytest.approx(aperture, rel=1e-11)
    part = cap_area(aperture, dimension, fraction=True)
    assert cap_aperture(part, dimension, fraction=True) == pytest.approx(aperture, rel=1e-11)


@given(st.sampled_from([2, 3, 4, 9, 128]), st.one_of(st.just(0.0), st.floats(1e-15, 1)))
@settings(max_examples=80, deadline=None)
def test_area_undoes_aperture(dimension: int, part: float) -> None:
    aperture = cap_aperture(part, dimension, fraction=True)
    assert 0 <= aperture <= math.pi
    assert cap_area(aperture, dimension, fraction=True) == pytest.approx(part, rel=1e-10, abs=1e-300)


def test_refusals() -> None:
    for area in (-0.1, 13.0, math.nan):
        with pytest.raises(InputError, match="area"):
            cap_aperture(area)
    with pytest.raises(InputError, match="dimensions"):
        cap_area(1.0, 1)
    for aperture in (-1e-9, 3.2, math.nan):
        with pytest.raises(InputError, match="aperture"):
            cap_area([0.1, aperture])
    with pytest.raises(InputError, match="fractions"):
        cap_area(1.0, 401)
    with pytest.raises(InputError, match="one centre"):
        sample_cap(np.eye(3), 0.1, 5)
    for aperture in (-0.1, 3.2, math.nan):
        with pytest.raises(InputError, match="aperture"):
            sample_cap(np.ones(5), aperture, 5)


@pytest.mark.parametrize("dimension", [2, 3, 6])
def test_samples_of_the_sphere_are_even(dimension: int) -> None:
    points = sample_sphere(20_000, dimension, key=1)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-14)
    assert np.linalg.norm(points.mean(0)) < 4 / math.sqrt(20_000)
    for axis in np.eye(dimension):  # the area within each point's angle is even in [0, 1]
        areas = cap_area(great_circle(points, axis), dimension, fraction=True)
        assert stats.kstest(areas, "uniform").pvalue > 1e-3
    assert (points == sample_sphere(20_000, dimension, key=1)).all()
    assert (points[:5] != sample_sphere(5, dimension, key=2)).all()


@pytest.mark.parametrize(
    ("dimension", "aperture"), [(2, 1.0), (3, 1e-6), (3, 0.4), (3, math.pi), (5, 2.5), (40, 1.2)]
)
def test_samples_of_a_cap_are_even(dimension: int, aperture: float) -> None:
    centre = unit(np.arange(1.0, dimension + 1))
    points = sample_cap(5 * centre, aperture, 4000, key=3)
    angle = great_circle(points, centre)
    assert (angle <= aperture * (1 + 1e-9)).all()
    within = cap_area(angle, dimension, fraction=True) / cap_area(aperture, dimension, fraction=True)
    assert stats.kstest(within, "uniform").pvalue > 1e-3
    around = points - (points @ centre)[:, None] * centre
    assert np.linalg.norm(unit(around).mean(0)) < 4 / math.sqrt(4000)
    assert (points == sample_cap(5 * centre, aperture, 4000, key=3)).all()


def test_samples_in_jax() -> None:
    jax = pytest.importorskip("jax")
    centre = jax.numpy.array([1.0, 2.0, 2.0])
    draw = jax.jit(jax.vmap(lambda aperture, key: sample_cap(centre, aperture, 2000, key=key)))
    first, again, other, narrow = np.asarray(
        draw(jax.numpy.array([0.3, 0.3, 0.3, 0.1]), jax.numpy.array([7, 7, 8, 7]))
    )
    assert first.dtype == np.float32 and (first == again).all() and (first != other).any()
    for points, aperture in ((first, 0.3), (other, 0.3), (narrow, 0.1)):
        angle = great_circle(points, np.asarray(centre))
        assert (angle <= aperture + 1e-6).all()
        assert stats.kstest(cap_area(angle) / cap_area(aperture), "uniform").pvalue > 1e-3
    spread = jax.jit(jax.vmap(lambda key: sample_sphere(50, 4, key=key, like=centre)))
    many = np.asarray(spread(jax.numpy.arange(3)))
    np.testing.assert_allclose(np.linalg.norm(many, axis=-1), np.ones((3, 50)), rtol=1e-6)
    assert len(np.unique(many.reshape(150, 4), axis=0)) == 150
    alone = jax.jit(lambda: sample_sphere(50, 4, key=2, like=centre))()
    np.testing.assert_allclose(many[2], alone, atol=1e-6)


def parts_within(angle: np.ndarray, aperture: float, dimension: int) -> np.ndarray:
    """The part of a cap (below the equator) within each angle, by SciPy: I_x(a, 1/2) is x^a (1 - x)^(1/2)
    2F1(a + 1/2, 1; a + 1; x) up to a constant (DLMF 8.17.8), whose logarithms do not underflow."""
    a = (dimension - 1) / 2

    def log(at: np.ndarray | float) -> np.ndarray:
        return (
            2 * a * np.log(np.sin(at))
            + np.log(np.cos(at))
            + np.log(hyp2f1(a + 0.5, 1, a + 1, np.sin(at) ** 2))
        )

    return np.exp(log(angle) - log(aperture))


@pytest.mark.parametrize("dimension", [4, 50, 384, 768])
@pytest.mark.parametrize("aperture", [1e-3, 0.1, 1.0])
def test_samples_of_narrow_caps_in_many_dimensions(dimension: int, aperture: float) -> None:
    centre = unit(np.arange(1.0, dimension + 1))
    angle = great_circle(sample_cap(centre, aperture, 1000, key=5), centre)
    within = parts_within(angle, aperture, dimension)
    if dimension <= 50:  # the oracle itself, where SciPy's own function has digits
        a = (dimension - 1) / 2
        whole = betainc(a, 0.5, np.sin(aperture) ** 2)
        np.testing.assert_allclose(within, betainc(a, 0.5, np.sin(angle) ** 2) / whole, rtol=1e-9)
    assert stats.kstest(within, "uniform").pvalue > 1e-3
    assert (great_circle(sample_cap(centre, 0.0, 3), centre) < 1e-12).all()


def test_samples_of_narrow_caps_in_single_precision_and_jax() -> None:
    jax = pytest.importorskip("jax")
    centre = unit(np.arange(1.0, 385)).astype(np.float32)
    for kind in (np.asarray, jax.numpy.asarray):
        points = sample_cap(kind(centre), 0.1, 1000, key=5)
        assert points.dtype == np.float32
        angle = great_circle(np.asarray(points, np.float64), centre.astype(np.float64))
        assert stats.kstest(parts_within(angle, 0.1, 384), "uniform").pvalue > 1e-3


def test_keys_of_samples_in_jax() -> None:
    jax = pytest.importorskip("jax")
    like = jax.numpy.ones(3)
    draws = [sample_sphere(3, key=key, like=like).tolist() for key in (0, 1, 1 << 32, (1 << 63) - 1)]
    assert all(one != other for i, one in enumerate(draws) for other in draws[:i])
    assert sample_sphere(3, like=like).tolist() == draws[0]
    for key in (-1, 1 << 63, 0.5):
        with pytest.raises(InputError, match="key"):
            sample_sphere(3, key=key, like=like)  # pyright: ignore[reportArgumentType]
