"""Scattered points: sums against the dense basis, blocks, least squares, and peaks found below the grid."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from thesphere.errors import InputError  # noqa: E402
from thesphere.harmonics import (  # noqa: E402
    basis_at,
    evaluate,
    find_peaks,
    fit,
    heat_window,
    power,
    scatter,
)
from thesphere.harmonics.scattered import BLOCK  # noqa: E402

LIMIT = 12


def sphere(count: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((count, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("count", [0, 1, 5, BLOCK, BLOCK + 1])
def test_sums_over_points_are_the_dense_ones(count: int) -> None:
    places, rng = sphere(count), np.random.default_rng(1)
    weights, c = rng.standard_normal(count), rng.standard_normal((LIMIT + 1) ** 2)
    dense = basis_at(places, LIMIT)
    np.testing.assert_allclose(scatter(places, weights, LIMIT), weights @ dense, atol=1e-12)
    np.testing.assert_allclose(evaluate(c, places), dense @ c, atol=1e-12)


def test_several_sets_of_weights_and_shapes() -> None:
    places, rng = sphere(BLOCK), np.random.default_rng(2)
    weights = rng.standard_normal((2, BLOCK))
    both = scatter(places, weights, LIMIT)
    np.testing.assert_allclose(both, [scatter(places, row, LIMIT) for row in weights], atol=1e-12)
    c = rng.standard_normal((LIMIT + 1) ** 2)
    np.testing.assert_array_equal(evaluate(c, places.reshape(2, -1, 3)).ravel(), evaluate(c, places))


def test_one_mass_has_the_power_of_the_addition_theorem() -> None:
    c = scatter(sphere(1), np.ones(1), LIMIT)
    np.testing.assert_allclose(power(c), (2 * np.arange(LIMIT + 1) + 1) / (4 * np.pi), rtol=1e-12)


def test_power_of_whole_numbers_and_lists() -> None:
    assert power([2.0]).tolist() == [4]
    assert power(np.full(4, 100, np.int8)).tolist() == [1e4, 3e4]
    assert power(jax.numpy.full(4, 100, "int8")).tolist() == [1e4, 3e4]


def test_power_does_not_change_under_rotation() -> None:
    places, weights = sphere(5), np.arange(1.0, 6)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    np.testing.assert_allclose(
        power(scatter(places @ turn, weights, LIMIT)), power(scatter(places, weights, LIMIT)), rtol=1e-11
    )


def test_jit_and_vmap_agree() -> None:
    places, rng = sphere(5).astype(np.float32), np.random.default_rng(4)
    weights = rng.standard_normal((3, 5)).astype(np.float32)
    plain = scatter(places, weights, LIMIT)
    mapped = jax.jit(jax.vmap(lambda w: scatter(places, w, LIMIT)))(weights)
    np.testing.assert_allclose(np.asarray(mapped), plain, atol=1e-5)
    values = jax.jit(evaluate)(plain[0], places)
    np.testing.assert_allclose(np.asarray(values), evaluate(plain[0], places), atol=2e-5)


@pytest.mark.parametrize("count", [0, 5, BLOCK + 1])
def test_jax_and_numpy_arguments_mix(count: int) -> None:
    places, weights = sphere(count), np.arange(2.0 * count).reshape(2, count)
    plain, there = scatter(places, weights, LIMIT), jax.numpy.asarray(places)
    for mixed in (
        scatter(there, weights, LIMIT),
        scatter(places, jax.numpy.asarray(weights), LIMIT),
        jax.jit(lambda p: scatter(p, weights, LIMIT))(there),
    ):
        np.testing.assert_allclose(np.asarray(mixed), plain, atol=2e-6 * (1 + weights.sum()))
    assert evaluate(plain[0], there).shape == (count,)


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e200])
def test_fit_does_not_depend_on_scale(scale: float) -> None:
    places, values = sphere(60), np.random.default_rng(9).standard_normal(60)
    plain, scaled = fit(places, values, 4), fit(places, values * scale, 4, weights=np.full(60, 1e307))
    assert plain.residual > 0.1 and scaled.residual == pytest.approx(plain.residual, rel=1e-12)
    np.testing.assert_allclose(scaled.coefficients / scale, plain.coefficients, rtol=1e-9)


def test_fit_recovers_a_band_limited_field() -> None:
    places, c = sphere(BLOCK), np.random.default_rng(5).standard_normal((LIMIT + 1) ** 2)
    values = evaluate(c, places)
    found = fit(places, values, LIMIT)
    assert found.converged and found.residual < 1e-10
    np.testing.assert_allclose(found.coefficients, c, atol=1e-9)
    cut = fit(places, values, LIMIT, max_steps=2)
    assert not cut.converged and cut.steps == 2 and cut.residual > 1e-3


def test_fit_is_the_normal_equations() -> None:
    places, rng = sphere(BLOCK, 6), np.random.default_rng(6)
    values, weights = rng.standard_normal(BLOCK), rng.uniform(0, 1, BLOCK)
    dense, share = basis_at(places, LIMIT), weights / weights.sum()
    expected = np.linalg.solve(
        dense.T @ (share[:, None] * dense) + 0.01 * np.eye(dense.shape[1]), dense.T @ (share * values)
    )
    found = fit(places, values, LIMIT, weights=weights, ridge=0.01)
    assert found.converged
    np.testing.assert_allclose(found.coefficients, expected, atol=1e-10)


def test_fit_of_few_points_has_the_least_norm() -> None:
    places, values = sphere(5, 7), np.arange(5.0)
    found = fit(places, values, LIMIT)
    expected = np.linalg.lstsq(basis_at(places, LIMIT), values, rcond=None)[0]
    np.testing.assert_allclose(found.coefficients, expected, atol=1e-9)
    zero = fit(places, np.zeros(5), LIMIT)
    assert zero.converged and zero.residual == 0 and not zero.coefficients.any()


def bump(places: np.ndarray, weights: np.ndarray, band_limit: int = 24) -> np.ndarray:
    return scatter(places, weights, band_limit) * heat_window(band_limit)


@pytest.mark.parametrize("where", [[0, 0, 1], [0, 0, -1], [1, 0, 0], [0.48, -0.6, 0.64]])
def test_a_peak_is_found_below_the_grid(where: list[float]) -> None:
    peaks = find_peaks(bump(np.array([where]), np.ones(1)))
    assert len(peaks.positions) == 1
    assert np.linalg.norm(peaks.positions[0] - where) < 1e-7
    assert 0.97 < peaks.confidences[0] <= 1
    assert 0.1 < peaks.apertures[0] < 0.5


def test_equal_sources_are_equal_and_shares_add_to_one() -> None:
    places = np.array([[1.0, 0, 0], [-0.6, 0.8, 0], [0, 0, -1]])
    for count in (2, 3):
        peaks = find_peaks(bump(places[:count], np.ones(count)))
        assert len(peaks.positions) == count
        assert np.ptp(peaks.confidences) < 1e-3
        assert 0.9 < peaks.confidences.sum() <= 1
    unequal = find_peaks(bump(places[:2], np.array([2.0, 1.0])))
    np.testing.assert_allclose(unequal.confidences, [0.8, 0.2], atol=0.03)  # energies are as the squares
    assert unequal.amplitudes[0] == pytest.approx(2 * unequal.amplitudes[1], rel=1e-3)


def test_uniform_fields_earn_no_confidence() -> None:
    flat = np.zeros(25**2)
    assert len(find_peaks(flat).positions) == 0
    flat[0] = 1.0
    assert len(find_peaks(flat).positions) == 0
    assert (
        len(find_peaks(-bump(sphere(1), np.ones(1))).confidences) == 0
        or (find_peaks(-bump(sphere(1), np.ones(1))).confidences < 0.01).all()
    )  # a trough is no peak; what is left are its ripples
    crowd = find_peaks(bump(sphere(300, 8), np.ones(300)))
    assert (crowd.confidences < 0.1).all()


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200])
def test_peaks_do_not_depend_on_scale(scale: float) -> None:
    c = bump(sphere(2, 1), np.array([1.0, 0.8]))
    plain, scaled = find_peaks(c), find_peaks(c * scale)
    np.testing.assert_allclose(scaled.amplitudes / scale, plain.amplitudes, rtol=1e-12)
    for name in ("positions", "confidences", "apertures"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(plain, name), rtol=1e-6, atol=1e-9)


def test_separation_and_number() -> None:
    places = np.array([[np.sin(a), 0, np.cos(a)] for a in (0.0, 0.5, 2.0)])
    c = bump(places, np.array([1.0, 0.9, 0.8]))
    assert len(find_peaks(c).positions) == 3
    apart = find_peaks(c, separation=0.7).positions
    assert len(apart) == 2 and np.linalg.norm(apart - places[[0, 2]], axis=1).max() < 0.05
    assert len(find_peaks(c, max_peaks=1).positions) == 1


def test_refusals() -> None:
    with pytest.raises(InputError, match="positions"):
        scatter(sphere(3), np.ones(2), LIMIT)
    with pytest.raises(InputError, match="zero vector"):
        scatter(np.zeros((2, 3)), np.ones(2), LIMIT)
    with pytest.raises(InputError, match="coefficients"):
        evaluate(np.ones((2, 9)), sphere(3))
    with pytest.raises(InputError, match="weights"):
        fit(sphere(3), np.ones(3), 2, weights=np.array([1, -1, 1]))
    with pytest.raises(InputError, match="values"):
        fit(sphere(3), np.ones(2), 2)
    for options in ({"tolerance": np.nan}, {"tolerance": -1.0}, {"ridge": np.inf}, {"max_steps": -1}):
        with pytest.raises(InputError, match="tolerance"):
            fit(sphere(3), np.ones(3), 2, **options)  # pyright: ignore[reportArgumentType]
    for call in (
        lambda: fit(sphere(3), np.ones(3, complex), 2),
        lambda: scatter(sphere(3), np.ones(3, complex), 2),
        lambda: scatter(sphere(3), jax.numpy.ones(3, complex), 2),
        lambda: evaluate(np.ones(9, complex), sphere(3)),
        lambda: power(np.ones(9, complex)),
    ):
        with pytest.raises(InputError, match="real numbers"):
            call()
    for wrong in (1.0, [1.0, 2.0]):
        with pytest.raises(InputError, match="coefficients"):
            power(wrong)
    with pytest.raises(InputError, match="NaN"):
        power(np.array([np.nan]))
    with pytest.raises(InputError, match="separation"):
        find_peaks(np.ones(9), separation=4.0)
    with pytest.raises(InputError, match="finite"):
        find_peaks(np.full(9, np.inf))
