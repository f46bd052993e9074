"""Cone width, density, overflow and zones: golden vectors, plain loops and the constraints themselves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.geometry import (
    Zones,
    angles,
    angular_density,
    cone_width,
    great_circle,
    prominence_overflow,
    radial_density,
    role_of,
    sample_sphere,
)

# cones and density


def test_golden_vectors() -> None:
    density = radial_density(np.array([1.0]), np.array([0.8, 0.9, 1.1]), gap=0.1)
    assert density[0] == pytest.approx(0.449465, abs=1e-6)
    assert cone_width(1.0, 1.5, density[0], 0.2) == pytest.approx(0.0542166, abs=5e-8)


def test_cone_law() -> None:
    assert cone_width(7, 7, 0, 0) == pytest.approx(math.pi / 4)
    assert cone_width(9, 7, -1, -1) == pytest.approx(
        math.pi / 4
    )  # beyond their ranges values count as the limit
    assert cone_width(7, 7, 50, 0.5) == 0.01 and cone_width(7, 7, 0, 1) == 0.01
    assert cone_width(7, 7, 0, 0, alpha0=3, widest=1.2) == 1.2
    r = np.linspace(0.1, 1, 9)
    assert (np.diff(cone_width(r, 1, 0.1, 0.1)) > 0).all()
    assert (np.diff(cone_width(1, 1, r / 9, 0.1)) < 0).all()
    assert (np.diff(cone_width(1, 1, 0.1, r[:-1])) < 0).all()
    with pytest.raises(InputError, match="narrowest"):
        cone_width(1, 1, 0, 0, narrowest=0)
    for numbers in (
        (math.nan, 1, 0, 0),
        (1, 1, math.nan, 0),
        (1, 1, 0, [0, math.nan]),
        (0, 0, 0, 0),
        (1, -1, 0, 0),
    ):
        with pytest.raises(InputError, match="finite"):
            cone_width(*numbers)
    with pytest.raises(InputError, match="finite"):
        cone_width(1, 1, 0, 0, beta=math.nan)


def test_radial_density_counts_weights_and_is_free_of_units(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    radii, at, weights = rng.uniform(32, 512, 40), rng.uniform(32, 512, 30), rng.integers(0, 5, 40)
    plain = radial_density(at, radii, gap=12, bandwidth=2)
    np.testing.assert_allclose(
        radial_density(at * 1e6, radii * 1e6, gap=12e6, bandwidth=2), plain, rtol=1e-12
    )
    weighted = radial_density(at, radii, gap=12, weights=weights)
    np.testing.assert_allclose(weighted, radial_density(at, np.repeat(radii, weights), gap=12), rtol=1e-12)
    monkeypatch.setattr("thesphere.geometry.density.BLOCK", 100)
    np.testing.assert_allclose(radial_density(at, radii, gap=12, bandwidth=2), plain, rtol=1e-14)
    assert radial_density(np.zeros(0), radii, gap=1).shape == (0,)
    for wrong in ({"gap": 0}, {"gap": 1, "bandwidth": math.nan}):
        with pytest.raises(InputError, match="bandwidth"):
            radial_density(at, radii, **wrong)
    with pytest.raises(InputError, match="at least one point"):
        radial_density(at, np.zeros(0), gap=1)


def test_densities_refuse() -> None:
    for at, radii in (([math.nan], [1.0]), ([1.0], [1.0, math.nan]), ([1.0], [math.inf])):
        with pytest.raises(InputError, match="finite"):
            radial_density(at, radii, gap=1)
    for weights in ([0.0, 0], [-1.0, 1], [math.nan, 1], [1.0], [[1.0, 1]]):
        with pytest.raises(InputError, match="weights"):
            radial_density([1.0], [1.0, 2.0], gap=1, weights=weights)
        with pytest.raises(InputError, match="weights"):
            angular_density(np.eye(3), np.eye(3)[:2], weights=weights)
    for at, points in ((np.eye(3), np.eye(4)), (np.ones(3), np.eye(3)), (1.0, np.eye(3))):
        with pytest.raises(InputError, match="shape"):
            angular_density(at, points)
    for at, radii in ((1.0, [1.0]), ([1.0], [[1.0]])):
        with pytest.raises(InputError, match="shape"):
            radial_density(at, radii, gap=1)
    with pytest.raises(InputError, match="bandwidth"):
        radial_density([1.0], [1.0], gap=math.inf)
    assert radial_density([1.0], [1.0, 1.0], gap=1, weights=[1e308, 1e308])[0] == 1


def test_angular_density_is_the_kernel_of_the_angle() -> None:
    points, at = sample_sphere(60, 5, key=1), sample_sphere(7, 5, key=2)
    kernel = np.exp((np.cos(great_circle(at[:, None], points[None])) - 1) / 0.3**2)
    np.testing.assert_allclose(angular_density(at, 3 * points, bandwidth=0.3), kernel.mean(1), rtol=1e-12)
    weights = np.arange(60)
    expected = (kernel * weights).sum(1) / weights.sum()
    np.testing.assert_allclose(
        angular_density(at, points, bandwidth=0.3, weights=weights), expected, rtol=1e-12
    )
    assert angular_density(points[:1], points[:1])[0] == 1


# overflow


def test_old_rule_golden_vector() -> None:
    promote, excess = prominence_overflow(np.array([1, 0.8, 0.85, 0.83]), np.zeros(4, int), 1, relative=0.93)
    assert not promote.any() and not excess.any()
    promote, excess = prominence_overflow(np.array([2.0, 1, 1, 5]), np.array([0, 0, 0, 2]), 3, relative=0.93)
    assert promote.tolist() == [True, False, False, False]  # one alone in its shell does not stand out
    assert excess[0] == pytest.approx(2 - 1.93)


@pytest.mark.parametrize("relative", [None, 0.2])
def test_overflow_against_a_loop(relative: float | None) -> None:
    rng = np.random.default_rng(1)
    strong, shells = rng.lognormal(size=300), rng.integers(0, 9, 300)
    promote, excess = prominence_overflow(strong, shells, 10, relative=relative)
    for i in range(300):
        mates = strong[shells == shells[i]]
        if relative is None:
            over = strong[i] - mates.mean() - (mates.std() + 0.1 * strong.std())
        else:
            mean = (mates.sum() - strong[i]) / (len(mates) - 1)
            over = strong[i] - mean - relative * mean
        assert promote[i] == (over > 0) and excess[i] == pytest.approx(max(over, 0), abs=1e-12)
    assert 0 < promote.sum() < 150


@given(st.integers(0, 1000), st.sampled_from([1e-6, 1e-2, 1.0, 1e3]), st.sampled_from([0.0, 1.0]))
@settings(max_examples=40, deadline=None)
def test_overflow_does_not_depend_on_scale(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    strong, shells = rng.lognormal(size=200), rng.integers(0, 6, 200)
    promote, excess = prominence_overflow(strong, shells, 6)
    scaled, more = prominence_overflow(scale * (strong + shift), shells, 6)
    assert (promote == scaled).all()
    np.testing.assert_allclose(more, scale * excess, rtol=1e-9, atol=1e-12 * scale)


def test_equal_prominence_promotes_nobody() -> None:
    shells = np.arange(3000) % 7
    for value in (0.1, 1 / 3, 1e-20, 7e18):
        assert not prominence_overflow(np.full(3000, value), shells, 7)[0].any()
    assert not prominence_overflow(0.1 * (1 + shells), shells, 7)[0].any()  # equal within each shell
    assert prominence_overflow(np.zeros(0), np.zeros(0, int), 7)[0].shape == (0,)


@pytest.mark.parametrize("relative", [None, 0.2])
@pytest.mark.parametrize(("scale", "kind"), [(1e305, float), (1e-300, float), (1000, np.float16)])
def test_overflow_of_extremes(scale: float, kind: type, relative: float | None) -> None:
    rng = np.random.default_rng(2)
    strong, shells = rng.uniform(size=200).astype(np.float16), rng.integers(0, 6, 200)
    strong[7] = 50
    strong = (strong * np.float16(8)).round()  # whole numbers, which float16 holds when scaled, too
    scale = 2.0 ** int(np.log2(scale) - 3)
    promote, excess = prominence_overflow(strong.astype(float), shells, 6, relative=relative)
    scaled, more = prominence_overflow(
        (strong.astype(float) * scale).astype(kind), shells, 6, relative=relative
    )
    assert promote.any() and (promote == scaled).all() and more.dtype == kind
    np.testing.assert_allclose(more / scale, excess, rtol=1e-3 if kind is np.float16 else 1e-12)


def test_overflow_refuses() -> None:
    with pytest.raises(InputError, match="whole numbers"):
        prominence_overflow(np.ones(2), np.zeros(2), 4)
    with pytest.raises(InputError, match="NaN"):
        prominence_overflow(np.array([np.nan]), np.array([0]), 1)
    for shell in (-1, 4):
        with pytest.raises(InputError, match="among 0 to 3"):
            prominence_overflow(np.array([1.0]), np.array([shell]), 4)
    with pytest.raises(InputError, match="one of each"):
        prominence_overflow(np.ones(2), np.zeros(3, int), 4)


# zones


@given(st.integers(0, 1000), st.floats(0.001, math.pi / 2 - 0.001), st.sampled_from([np.float32, np.float64]))
@settings(max_examples=30, deadline=None)
def test_every_point_ends_in_its_zone(seed: int, pole: float, kind: type) -> None:
    zones = Zones(pole)
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((300, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    # the limits themselves, one unit beside them, and the axis
    edges = np.repeat([pole, math.pi - pole, np.nextafter(pole, 0), np.nextafter(math.pi - pole, 4)], 3)
    phi = rng.uniform(0, 6.28, 12)
    rim = np.stack([np.sin(edges) * np.cos(phi), np.sin(edges) * np.sin(phi), np.cos(edges)], 1)
    axis = np.repeat([[0.0, 0, 1], [0, 0, -1], [-0.0, -0.0, 1]], 3, axis=0)
    points = np.vstack([points, rim, axis]).astype(kind)
    roles = np.arange(len(points)) % 3
    placed = zones.constrain(points, roles)
    assert placed.dtype == kind and np.isfinite(placed).all()
    assert (zones.zone_of(placed) == roles).all()
    low, high = zones.ranges[roles].T
    theta, _ = angles(placed.astype(np.float64))  # also as read by others, in more digits
    assert ((low <= theta) & (theta <= high)).all()
    assert (zones.constrain(placed, roles) == placed).all()
    # no further than the nearest allowed place, but for the inset; untouched where already allowed
    before, _ = angles(points.astype(np.float64))
    short = np.maximum(np.maximum(low - before, before - high), 0)
    slack = 40 * np.finfo(kind).eps
    moved = great_circle(points.astype(np.float64), placed.astype(np.float64))
    assert (moved <= short + slack).all()
    inside = (before > low + slack) & (before < high - slack)
    assert (placed[inside] == points[inside]).all()
    np.testing.assert_allclose(np.linalg.norm(placed, axis=1), 1, rtol=8 * np.finfo(kind).eps)


def test_zones_of_known_places() -> None:
    zones = Zones()
    assert zones.zone_of([[0, 0, 1], [0, 0, -2], [1, 0, 0]]).tolist() == [1, 2, 0]
    np.testing.assert_allclose(zones.centres, [math.pi / 2, math.pi / 24, math.pi - math.pi / 24])
    assert [role_of(name) for name in ("torus", "Instruction", "qa", "question")] == [0, 1, 2, 2]
    moved = zones.constrain(np.array([[2.0, 0, 0]]), zones.instruction)  # one role for all; lengths are kept
    assert np.linalg.norm(moved) == pytest.approx(2) and angles(moved)[0][0] == pytest.approx(math.pi / 12)
    assert hash(Zones()) == hash(Zones(math.pi / 12))


def test_half_precision_and_no_points() -> None:
    zones, roles = Zones(0.001), np.arange(300) % 3
    placed = zones.constrain(sample_sphere(300).astype(np.float16), roles)
    assert placed.dtype == np.float32 and (zones.zone_of(placed) == roles).all()
    assert zones.constrain(np.zeros((0, 3)), []).shape == (0, 3)


def test_zones_refuse() -> None:
    for pole in (0, math.pi / 2, -1, math.nan):
        with pytest.raises(InputError, match="half-angle"):
            Zones(pole)
    with pytest.raises(InputError, match="role"):
        Zones().constrain(np.eye(3), np.array([0, 1, 3]))
    with pytest.raises(InputError, match="role"):
        Zones().constrain(np.eye(3), np.array([0.5, 1, 2]))
    with pytest.raises(InputError, match="no zone"):
        Zones().constrain(np.zeros((1, 3)), np.array([0]))
    with pytest.raises(InputError, match="equator"):
        role_of("equator")


def test_constraint_holds_in_jax() -> None:
    jax = pytest.importorskip("jax")
    zones = Zones(0.4)
    points, roles = sample_sphere(500, key=4).astype(np.float32), np.arange(500) % 3
    placed = jax.jit(zones.constrain)(jax.numpy.asarray(points), jax.numpy.asarray(roles))
    assert (np.asarray(jax.jit(zones.zone_of)(placed)) == roles).all()
    assert (zones.zone_of(np.asarray(placed)) == roles).all()  # read back by NumPy
    np.testing.assert_allclose(placed, zones.constrain(points, roles), atol=1e-6)
