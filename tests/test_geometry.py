"""Coordinates and great circles against SciPy, exact values and laws; every function for NumPy and for JAX."""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp
from scipy.spatial.transform import Rotation, Slerp

from thesphere.errors import InputError
from thesphere.geometry import (
    Shells,
    Zones,
    angles,
    angular_density,
    cap_aperture,
    cap_area,
    cone_width,
    exp_map,
    generator,
    great_circle,
    in_cap,
    log_map,
    namespace,
    norm,
    positions,
    prominence_overflow,
    radial_density,
    slerp,
    tangent,
    to_cartesian,
    to_spherical,
    unit,
    wrap,
)

TINY = [0.0, 1e-300, 1e-160, 1e-30, 1e-12, 1e-8, 1e-4]


def directions(seed: int, count: int, dimension: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimension))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# coordinates


def test_known_places() -> None:
    theta, phi = np.array([0, np.pi / 2, np.pi / 2, np.pi / 2, np.pi]), np.array([0, 0, np.pi / 2, np.pi, 0])
    expected = [[0, 0, 2], [2, 0, 0], [0, 2, 0], [-2, 0, 0], [0, 0, -2]]
    np.testing.assert_allclose(to_cartesian(2, theta, phi), expected, atol=4e-16)
    np.testing.assert_allclose(positions(theta, phi), np.array(expected) / 2, atol=2e-16)


def test_poles_origin_and_signed_zeros_have_defined_angles() -> None:
    points = [
        [0, 0, 3],
        [-0.0, -0.0, 3],
        [0, -0.0, -3],
        [-0.0, 0, -3],
        [0, 0, 0],
        [0, 0, -0.0],
        [-2, -0.0, 0],
    ]
    r, theta, phi = to_spherical(points)
    assert r.tolist() == [3, 3, 3, 3, 0, 0, 2]
    assert theta.tolist() == [0, 0, math.pi, math.pi, 0, 0, math.pi / 2]
    assert phi.tolist() == [0, 0, 0, 0, 0, 0, math.pi]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_azimuth_never_reaches_a_whole_turn(kind: type) -> None:
    points = np.array([[1, -(10.0**-e), 0] for e in range(0, 37)], kind)
    phi = to_spherical(points)[2]
    assert phi.dtype == kind and (phi >= 0).all() and (phi < kind(2 * math.pi)).all()
    turned = wrap(np.array([-1e-30, 0, 2 * math.pi, -math.pi, 5 * math.pi], kind))
    assert (turned >= 0).all() and (turned < kind(2 * math.pi)).all()
    np.testing.assert_allclose(turned[3:], math.pi, rtol=1e-6)


@given(
    st.floats(1e-200, 1e200),
    st.one_of(st.floats(0, math.pi), st.sampled_from([*TINY, math.pi - 1e-8, math.pi])),
    st.one_of(st.floats(0, 6.283185307179586, exclude_max=True), st.sampled_from(TINY)),
)
@settings(max_examples=200, deadline=None)
def test_there_and_back(r: float, theta: float, phi: float) -> None:
    back = to_spherical(to_cartesian(r, theta, phi))
    assert abs(back[0] - r) <= 4e-16 * r
    assert abs(back[1] - theta) <= 1e-15 * (theta if theta < 1 else math.pi) + 1e-320 / r
    if r * math.sin(theta) > 1e-290 and phi > 1e-12:
        assert abs(wrap(back[2] - phi + 1) - 1) <= 1e-15 * math.pi


@given(st.lists(st.floats(-1e150, 1e150), min_size=3, max_size=3))
@settings(max_examples=200, deadline=None)
def test_cartesian_survives(point: list[float]) -> None:
    again = to_cartesian(*to_spherical(point))
    np.testing.assert_allclose(again, point, rtol=0, atol=1e-15 * math.hypot(*point) + 1e-320)


def test_types_are_kept_and_shapes_refused() -> None:
    single = np.ones((2, 3), np.float32)
    assert {part.dtype for part in to_spherical(single)} == {np.dtype(np.float32)}
    assert to_cartesian(1.0, single[:, 0], 2).dtype == np.float32
    assert to_cartesian(1, 1, 1).dtype == np.float64
    assert to_cartesian(np.ones((4, 1)), np.ones(5), 0.5).shape == (4, 5, 3)
    assert np.isnan(to_spherical([np.nan, 0, 0])[0])
    with pytest.raises(InputError, match=r"shape \[2, 4\]"):
        to_spherical(np.ones((2, 4)))


def test_norm_of_extremes() -> None:
    np.testing.assert_allclose(
        norm([[3e200, 4e200], [3e-200, 4e-200], [0, 0]]), [5e200, 5e-200, 0], rtol=1e-15
    )
    with pytest.raises(InputError, match="no direction"):
        unit(np.zeros((1, 3)))
    with pytest.raises(InputError, match="no direction"):
        great_circle([1, 0, np.nan], [1, 0, 0])
    with pytest.raises(InputError, match="no direction"):
        unit([[1, 0, 0], [1, -np.inf, 0]])


# great circles


@pytest.mark.parametrize("angle", [*TINY[:5], 1e-8, 0.1, 1.0, math.pi / 2, 3.0, math.pi - 1e-8, math.pi])
@pytest.mark.parametrize("dimension", [2, 3, 64])
def test_great_circle_is_accurate_at_every_angle(angle: float, dimension: int) -> None:
    a, b = np.zeros(dimension), np.zeros(dimension)
    a[0] = 7.0
    b[:2] = math.cos(angle), math.sin(angle)
    assert great_circle(a, b * 0.3) == pytest.approx(angle, rel=4e-16, abs=1e-320)


def test_great_circle_against_the_arc_cosine() -> None:
    a, b = directions(0, 200, 16), directions(1, 200, 16)
    np.testing.assert_allclose(great_circle(a, b), np.arccos((a * b).sum(1)), atol=1e-14)
    assert great_circle(a[:, None], b[None, :7]).shape == (200, 7)
    assert (great_circle(a, a) == 0).all()


@given(st.integers(0, 10_000), st.sampled_from([2, 3, 17]), st.sampled_from([*TINY[2:], 0.3, 1.5, 3.1]))
@settings(max_examples=60, deadline=None)
def test_log_undoes_exp(seed: int, dimension: int, angle: float) -> None:
    at, other = directions(seed, 2, dimension)
    velocity = unit(tangent(at, unit(tangent(at, other)))) * angle  # twice: the two may be nearly parallel
    np.testing.assert_allclose(
        log_map(at, exp_map(at, velocity)), velocity, rtol=0, atol=1e-15 + 1e-14 * angle
    )


@given(st.integers(0, 10_000), st.sampled_from([2, 3, 17]), st.sampled_from([*TINY, 1e-2, 1.0, 1e3]))
@settings(max_examples=60, deadline=None)
def test_exp_undoes_log_also_for_equal_near_and_opposite_points(
    seed: int, dimension: int, off: float
) -> None:
    at, push = directions(seed, 2, dimension)
    for to in (unit(at + off * push), unit(-at + off * push), -at, at):
        step = log_map(at, to)
        assert abs(step @ at) <= 2e-15
        assert norm(step) == pytest.approx(great_circle(at, to), rel=1e-14)
        np.testing.assert_allclose(exp_map(at, step), to, rtol=0, atol=4e-15)


def test_slerp_against_scipy() -> None:
    a, b = directions(2, 2, 5)
    times = np.linspace(0, 1, 23)
    np.testing.assert_allclose(slerp(a, b, times), geometric_slerp(a, b, times), atol=2e-15)
    one, two = directions(3, 2, 3)
    turn = Rotation.from_rotvec(np.cross(one, two) / norm(np.cross(one, two)) * great_circle(one, two))
    turned = Slerp([0, 1], Rotation.concatenate([Rotation.identity(), turn]))(times).apply(one)
    np.testing.assert_allclose(slerp(one, two, times), turned, atol=2e-15)


@given(st.integers(0, 10_000), st.sampled_from([2, 3, 40]), st.sampled_from([1e-9, 1e-3, 1.0, -1e-3, -1e-9]))
@settings(max_examples=50, deadline=None)
def test_slerp_keeps_its_speed(seed: int, dimension: int, apart: float) -> None:
    a, push = directions(seed, 2, dimension)
    b = unit(np.copysign(1, apart) * a + abs(apart) * push)
    path = slerp(a, b, np.linspace(0, 1, 17))
    whole = great_circle(a, b)
    np.testing.assert_allclose(great_circle(path[1:], path[:-1]), whole / 16, rtol=1e-12, atol=4e-16)
    np.testing.assert_allclose(path[[0, -1]], [a, b], atol=1e-15)


# NumPy and JAX


def test_numpy_callers_load_neither_jax_nor_numba() -> None:
    code = (
        "import sys, numpy; import thesphere.geometry as g; g.to_spherical(numpy.ones((2, 3)));"
        "print([m for m in ('jax', 'numba', 'scipy') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
    assert namespace(np.ones(2), 1.0) is np


UNITS, OTHERS = directions(4, 12, 3), directions(5, 12, 3)
PLACES = np.linspace(0.05, 3.0, 12)
SHELLS = Shells.spaced(8, 32, 128)
# each call takes arrays whose first axis can be mapped over
CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "to_cartesian": (to_cartesian, (PLACES, PLACES, 2 * PLACES)),
    "to_spherical": (to_spherical, (UNITS * 3,)),
    "angles": (angles, (np.vstack([UNITS[:10], [[0, 0, 1], [0, 0, -1]]]),)),
    "wrap": (wrap, (PLACES * 7 - 9,)),
    "great_circle": (great_circle, (UNITS, OTHERS)),
    "exp_map": (exp_map, (UNITS, OTHERS)),
    "log_map": (log_map, (UNITS, OTHERS)),
    "slerp": (slerp, (UNITS, OTHERS, PLACES)),
    "in_cap": (in_cap, (UNITS, OTHERS, PLACES)),
    "cap_area": (cap_area, (PLACES,)),
    "cap_area in 7 dimensions": (lambda a: cap_area(a, 7), (PLACES,)),
    "cap_aperture": (cap_aperture, (PLACES,)),
    "cap_aperture in 7 dimensions": (lambda a: cap_aperture(a, 7), (PLACES,)),
    "cone_width": (cone_width, (PLACES, PLACES + 1, PLACES / 9, PLACES / 4)),
    "shell_of": (SHELLS.shell_of, (PLACES * 40,)),
    "radial_density": (lambda at: radial_density(at[None], PLACES, gap=0.3)[0], (PLACES,)),
    "angular_density": (lambda at: angular_density(at[None], OTHERS, bandwidth=0.5)[0], (UNITS,)),
    "zone_of": (Zones(0.7).zone_of, (UNITS,)),
    "constrain": (Zones(0.7).constrain, (UNITS, np.arange(12) % 3)),
}


def rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` over the first axis by a plain loop, as the reference of jit and vmap."""

    def looped(*arguments: np.ndarray) -> list[np.ndarray]:
        answers = [function(*row) for row in zip(*arguments, strict=True)]
        parts = zip(*answers, strict=True) if isinstance(answers[0], tuple) else [answers]
        return [np.array(part) for part in parts]

    return looped


@pytest.mark.parametrize("name", CALLS)
def test_jit_and_vmap_agree_with_numpy(name: str) -> None:
    jax = pytest.importorskip("jax")
    function, arguments = CALLS[name]
    plain = rows(function)(*arguments)
    mapped = jax.jit(jax.vmap(function))
    with jax.enable_x64(True):
        wide = mapped(*(jax.numpy.asarray(argument) for argument in arguments))
    for expected, got in zip(plain, jax.tree.leaves(wide), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)
    single = mapped(*(jax.numpy.asarray(argument) for argument in arguments))
    for expected, got in zip(plain, jax.tree.leaves(single), strict=True):
        assert got.dtype in (np.float32, np.int32, bool)
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)


def test_overflow_under_jit_and_vmap() -> None:
    jax = pytest.importorskip("jax")
    rng = np.random.default_rng(6)
    strong, shells = rng.lognormal(size=(3, 60)).astype(np.float32), rng.integers(0, 5, (3, 60))
    for rule in ({}, {"relative": 0.93}):
        plain = [prominence_overflow(p, s, 6, **rule) for p, s in zip(strong, shells, strict=True)]
        mapped = jax.jit(jax.vmap(lambda p, s, rule=rule: prominence_overflow(p, s, 6, **rule)))
        promote, excess = mapped(jax.numpy.asarray(strong), jax.numpy.asarray(shells))
        assert (np.asarray(promote) == [row[0] for row in plain]).all()
        np.testing.assert_allclose(excess, [row[1] for row in plain], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["to_cartesian", "to_spherical", "great_circle", "exp_map", "log_map", "slerp"]
)
def test_derivatives_against_finite_differences(name: str) -> None:
    jax = pytest.importorskip("jax")
    function, arguments = CALLS[name]
    first = [np.asarray(argument[0]) for argument in arguments]
    with jax.enable_x64(True):
        slopes = jax.jit(jax.jacrev(lambda *a: flat(function(*a)), argnums=tuple(range(len(first)))))(
            *(jax.numpy.asarray(argument) for argument in first)
        )
    for place, argument in enumerate(first):
        for entry in np.ndindex(argument.shape):
            step = np.zeros_like(argument)
            step[entry] = 1e-5
            ahead, behind = (
                function(*first[:place], moved, *first[place + 1 :])
                for moved in (argument + step, argument - step)
            )
            slope = (flat(ahead) - flat(behind)) / 2e-5
            np.testing.assert_allclose(slopes[place][(slice(None), *entry)], slope, atol=1e-8, rtol=1e-7)


def flat(parts: Any) -> Any:
    """An array, or a tuple of arrays, as one row."""
    parts = parts if isinstance(parts, tuple) else (parts,)
    xp = namespace(*parts)
    return xp.concatenate([xp.ravel(part) for part in parts])


def test_derivatives_are_finite_where_points_coincide() -> None:
    jax = pytest.importorskip("jax")
    a = jax.numpy.array([0.6, 0.0, 0.8])
    assert np.isfinite(jax.jit(jax.grad(great_circle))(a, a)).all()
    projection = np.eye(3) - np.outer(a, a)  # d log / d to at the point itself
    np.testing.assert_allclose(jax.jit(jax.jacobian(log_map, argnums=1))(a, a), projection, atol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.jacobian(exp_map, argnums=1))(a, 0 * a), projection, atol=1e-6)
    pole = jax.numpy.array([0.0, 0.0, 1.0])
    assert all(np.isfinite(part).all() for part in jax.jit(jax.jacobian(to_spherical))(pole))


def test_a_key_gives_its_own_numbers() -> None:
    draws = [
        generator(*place).random(4).tolist()
        for place in ((0, 0), (0, 1), (1, 0), (2**64 - 1, 0), (2**64 - 2, 0))
    ]
    assert len({tuple(row) for row in draws}) == 5
    assert generator(None).random(4).tolist() == draws[0]
    for key in (-1, 2**64, 0.5, math.nan):
        with pytest.raises(InputError, match="key"):
            generator(key)  # pyright: ignore[reportArgumentType]
