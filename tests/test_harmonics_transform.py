"""Grid transforms: exact round trips, Parseval, s2fft as the oracle, and the interference field on top."""

import warnings

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from thesphere.errors import InputError  # noqa: E402
from thesphere.harmonics import (  # noqa: E402
    evaluate,
    find_peaks,
    forward,
    from_s2fft,
    grid_angles,
    heat_window,
    interference_field,
    inverse,
    mesh,
    power,
    real_basis,
    to_s2fft,
)
from thesphere.harmonics.rings import rings  # noqa: E402


def coefficients(band_limit: int, *lead: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((*lead, (band_limit + 1) ** 2))


@pytest.mark.parametrize(
    ("band_limit", "sampling"), [(0, "gl"), (1, "gl"), (31, "gl"), (64, "gl"), (31, "dh")]
)
def test_round_trip(band_limit: int, sampling: str) -> None:
    c = coefficients(band_limit)
    grid = inverse(c, sampling=sampling)
    rings = 2 * band_limit + 2 if sampling == "dh" else band_limit + 1
    assert grid.shape == (rings, 2 * band_limit + 1)
    assert grid.dtype == np.float64
    assert np.abs(forward(grid, sampling=sampling) - c).max() <= 1e-12


def test_synthesis_is_the_basis() -> None:
    c = coefficients(31)
    theta, phi = grid_angles(31)
    expected = real_basis(theta[:, None], phi[None], 31) @ c
    np.testing.assert_allclose(inverse(c), expected, atol=1e-12)
    np.testing.assert_allclose(mesh(c, theta, phi), expected, atol=1e-12)


def test_a_finer_grid_shows_the_same_field() -> None:
    c = coefficients(31)
    theta, phi = grid_angles(40)
    fine = inverse(c, grid_limit=40)
    np.testing.assert_allclose(fine, mesh(c, theta, phi), atol=1e-12)
    back = forward(fine)
    np.testing.assert_allclose(back[: len(c)], c, atol=1e-12)
    assert np.abs(back[len(c) :]).max() < 1e-12


def test_parseval() -> None:
    c = coefficients(31)
    place = rings(31, "gl")
    weights = place.both_halves(place.weights)
    integral = (inverse(c) ** 2).sum(1) @ weights * 2 * np.pi / 63  # degree 62: exact on this grid
    assert integral == pytest.approx(c @ c, rel=1e-12)
    assert power(c).sum() == pytest.approx(c @ c, rel=1e-13)
    assert power(c)[3] == pytest.approx((c[9:16] ** 2).sum())
    np.testing.assert_allclose(np.asarray(power(jax.numpy.asarray(c))), power(c), rtol=1e-5)


def test_nodes_against_numpy() -> None:
    for count in (1, 2, 7, 64):
        place = rings(count - 1, "gl")
        z, expected = np.polynomial.legendre.leggauss(count)
        weights = place.both_halves(place.weights)
        np.testing.assert_allclose(np.cos(place.colatitudes()), z[::-1], atol=1e-15)
        np.testing.assert_allclose(weights, expected, rtol=1e-11)
        assert weights.sum() == pytest.approx(2, abs=1e-14)


def test_s2fft_agrees() -> None:
    with warnings.catch_warnings(), jax.enable_x64(True):
        warnings.simplefilter("ignore")
        s2fft = pytest.importorskip("s2fft")
        from s2fft.sampling import s2_samples
    c = coefficients(6)
    flm = to_s2fft(c)
    np.testing.assert_allclose(from_s2fft(flm), c, atol=1e-15)
    for sampling in ("gl", "dh"):
        theta, phi = grid_angles(6, sampling=sampling)
        np.testing.assert_allclose(theta, s2_samples.thetas(7, sampling), atol=1e-15)
        np.testing.assert_allclose(phi, s2_samples.phis_equiang(7, sampling), atol=1e-15)
        grid = inverse(c, sampling=sampling)
        with np.errstate(divide="ignore", invalid="ignore"):  # s2fft takes the logarithm of 0
            peer = s2fft.inverse(flm, 7, sampling=sampling, method="numpy", reality=True)
            back = s2fft.forward(grid, 7, sampling=sampling, method="numpy", reality=True)
        np.testing.assert_allclose(grid, peer.real, atol=1e-12)
        np.testing.assert_allclose(from_s2fft(back), c, atol=1e-12)


def test_batches_jit_and_vmap_agree() -> None:
    before = jax.config.jax_enable_x64
    c = coefficients(31, 2, 3)
    grids = inverse(c)
    assert grids.shape == (2, 3, 32, 63)
    np.testing.assert_allclose(grids[1, 2], inverse(c[1, 2]), atol=1e-13)
    np.testing.assert_allclose(forward(grids), c, atol=1e-12)
    single = jax.numpy.asarray(c[0], "float32")
    mapped = jax.jit(jax.vmap(lambda row: forward(inverse(row))))(single)
    np.testing.assert_allclose(np.asarray(mapped), c[0], atol=1e-5)
    field = jax.jit(interference_field)(single)
    plain = interference_field(c[0])
    np.testing.assert_allclose(np.asarray(field.intensity), plain.intensity, rtol=1e-4, atol=1e-4)
    assert plain.amplitude.dtype == np.float64
    assert jax.config.jax_enable_x64 == before


def test_field_is_coherent_and_one_transform_serves_all() -> None:
    c = coefficients(31, 3, seed=1)
    of_grids, of_coefficients = interference_field(inverse(c)), interference_field(c)
    np.testing.assert_allclose(of_grids.coefficients, c.sum(0), atol=1e-12)
    np.testing.assert_allclose(of_grids.intensity, of_coefficients.intensity, atol=1e-11)
    np.testing.assert_allclose(of_grids.intensity, inverse(c).sum(0) ** 2, atol=1e-11)
    assert of_grids.energy == pytest.approx((c.sum(0) ** 2).sum())
    cancelled = interference_field(np.stack([c[0], -c[0]]))
    assert np.abs(cancelled.intensity).max() < 1e-20
    smooth = interference_field(c, width=0.1)
    np.testing.assert_allclose(smooth.coefficients, c.sum(0) * heat_window(31, 0.1), atol=1e-14)


def test_three_blobs() -> None:
    """The acceptance test of the earlier system, whose exact values were worked out for its own grid."""
    theta, phi = grid_angles(64)
    blobs = [(np.pi / 3, np.pi / 4, 0.1), (np.pi / 2, np.pi, 0.15), (2 * np.pi / 3, 3 * np.pi / 2, 0.12)]
    grids = [np.exp(-((theta[:, None] - t) ** 2 + (phi - p) ** 2) / w) for t, p, w in blobs]
    c = interference_field(np.array(grids)).coefficients
    for band_limit, expected in ((16, 0.0167648), (32, 0.0042117), (64, 0.0010434)):
        old = (
            np.linspace(1e-6, np.pi - 1e-6, 2 * band_limit),
            np.arange(4 * band_limit) * np.pi / 2 / band_limit,
        )
        intensity = mesh(c[: (band_limit + 1) ** 2], *old) ** 2
        assert (intensity / intensity.sum()).max() == pytest.approx(expected, abs=6e-8)
    peaks = find_peaks(c)
    angles = np.arccos(np.clip(peaks.positions @ place(blobs).T, -1, 1))
    assert len(peaks.positions) == 3 and (angles.min(axis=0) < 1e-3).all()


def place(blobs: list[tuple[float, float, float]]) -> np.ndarray:
    return np.array([[np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)] for t, p, _ in blobs])


def test_window_damps_without_ringing() -> None:
    window = heat_window(31)
    assert window[0] == 1 and window[-1] == pytest.approx(1e-3)
    assert (heat_window(31, 0.0) == 1).all()
    pole = np.zeros(32**2)
    pole[np.arange(32) ** 2 + np.arange(32)] = np.sqrt((2 * np.arange(32) + 1) / (4 * np.pi))
    sharp, smooth = mesh(pole, *line()), mesh(pole * window, *line())
    assert sharp.min() < -0.1 * sharp.max()  # a cut-off rings
    assert smooth.min() > -2e-3 * smooth.max()
    with pytest.raises(InputError, match="width"):
        heat_window(31, -1.0)


def line() -> tuple[np.ndarray, np.ndarray]:
    return np.linspace(0, np.pi, 200), np.zeros(1)


def test_evaluate_reads_the_grid() -> None:
    c = coefficients(31, seed=2)
    theta, phi = grid_angles(31)
    x = np.stack(
        np.broadcast_arrays(
            np.sin(theta)[:, None] * np.cos(phi), np.sin(theta)[:, None] * np.sin(phi), np.cos(theta)[:, None]
        ),
        axis=-1,
    )
    np.testing.assert_allclose(evaluate(c, x[:5]), inverse(c)[:5], atol=1e-12)


def test_refusals() -> None:
    for grid in (np.zeros((4, 8)), np.zeros((4, 9)), np.zeros(7), np.zeros((0, 1))):
        with pytest.raises(InputError, match="shape"):
            forward(grid)
    with pytest.raises(InputError, match=r"\(L \+ 1\)\^2"):
        inverse(np.zeros(5))
    with pytest.raises(InputError, match="sampling"):
        inverse(np.zeros(4), sampling="mw")
    for call in (inverse, to_s2fft):
        with pytest.raises(InputError, match=r"\(L \+ 1\)\^2"):
            call(5.0)
        with pytest.raises(InputError, match="real numbers"):
            call(np.ones(4, complex))
    with pytest.raises(InputError, match="real numbers"):
        forward(np.ones((2, 3), complex))
    with pytest.raises(InputError, match=r"\(L \+ 1\)\^2"):
        to_s2fft(np.ones((2, 4)))
    with pytest.raises(InputError, match="cannot hold"):
        inverse(np.zeros(9), grid_limit=1)
    with pytest.raises(InputError, match="NaN"):
        inverse(np.full(4, np.nan))
    with pytest.raises(InputError, match="G at least 1"):
        interference_field(np.zeros((0, 4)))
    with pytest.raises(InputError, match="s2fft"):
        from_s2fft(np.zeros((3, 4)))
