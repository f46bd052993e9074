"""The basis against SciPy and extended precision, its laws, and its manners: no switch, no import, no NaN."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.special import sph_harm_y

jax = pytest.importorskip("jax")

from thesphere.errors import InputError  # noqa: E402
from thesphere.harmonics import basis_at, complex_basis, degrees_orders, real_basis  # noqa: E402
from thesphere.harmonics.legendre import pole_values, rows  # noqa: E402
from thesphere.harmonics.rings import _pairs, rings  # noqa: E402

GOLDEN = {  # at theta = 1, phi = 0.5; computed in double precision for the earlier system
    (0, 0): 0.282095,
    (1, -1): -0.197113,
    (1, 0): 0.263993,
    (1, 1): -0.360814,
    (2, -2): 0.325483,
    (2, 1): -0.435918,
    (3, 3): -0.024868,
}


def points(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.arccos(rng.uniform(-1, 1, count)), rng.uniform(0, 2 * np.pi, count)


def unit(theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)


def scipy_real(theta: np.ndarray, phi: np.ndarray, band_limit: int) -> np.ndarray:
    l, m = degrees_orders(band_limit)
    y = sph_harm_y(l, np.abs(m), theta[:, None], phi[:, None])
    return np.where(m > 0, np.sqrt(2) * y.real, np.where(m < 0, np.sqrt(2) * y.imag, y.real))


def test_golden_values_and_order() -> None:
    row = real_basis(1.0, 0.5, 3)
    assert row.shape == (16,)
    for (l, m), value in GOLDEN.items():
        assert row[l * l + l + m] == pytest.approx(value, abs=5e-7)
    l, m = degrees_orders(3)
    assert list(zip(l[:4], m[:4], strict=True)) == [(0, 0), (1, -1), (1, 0), (1, 1)]
    assert (l * l + l + m == np.arange(16)).all()


def test_every_function_to_128_against_scipy() -> None:
    theta, phi = points(4)
    theta, phi = np.r_[theta, 0, np.pi, 1e-3, np.pi - 0.02], np.r_[phi, 1, 2, 3, 4]
    expected = scipy_real(theta, phi, 128)
    wide = real_basis(theta, phi, 128)
    assert wide.dtype == np.float64
    assert np.abs(wide - expected).max() <= 1e-12
    single = real_basis(theta, phi, 128, dtype="float32")
    assert single.dtype == np.float32
    assert np.abs(single - expected).max() <= 1e-5
    assert (np.abs(wide[:4]).max(axis=0) > 0).all()  # the older systems lost 65 % of the columns at 64


def test_sampled_to_256_against_scipy() -> None:
    theta, phi = points(4, 1)
    theta = np.clip(theta, 0.2, np.pi - 0.2)  # nearer to the poles SciPy itself is wrong by 1e-12
    assert np.abs(real_basis(theta, phi, 256) - scipy_real(theta, phi, 256)).max() <= 1e-12


@pytest.mark.skipif(
    float(np.finfo(np.longdouble).eps) > 1e-18, reason="no extended precision on this machine"
)
def test_near_the_poles_against_extended_precision() -> None:
    theta = np.array([1e-6, 1e-3, 0.02, 0.3, 1.5, 3.0, np.pi - 1e-3])
    got = real_basis(theta, 0.0, 256)
    z, u = np.cos(theta.astype(np.longdouble)), np.sin(theta.astype(np.longdouble))
    for m in (0, 1, 2, 11, 60, 200):
        start = np.sqrt(np.prod(1 + 1 / (2 * np.arange(1, m + 1, dtype=np.longdouble))))
        before, last = 0 * z, start / np.sqrt(4 * np.longdouble(np.pi)) * (-u) ** m
        for l in range(m, 257):
            scale = np.sqrt(np.longdouble(2.0)) if m else 1
            assert np.abs(got[:, l * l + l + m] - scale * last).max() <= 2e-13
            square = np.longdouble((l + 1) ** 2 - m * m)
            up = np.sqrt((2 * l + 3) * (2 * l + 1) / square)
            down = np.sqrt((2 * l + 3) * np.longdouble(l * l - m * m) / ((2 * l - 1) * square)) if l else 0
            before, last = last, up * z * last - down * before


def test_poles_have_only_order_zero() -> None:
    theta, phi = np.array([0.0, np.pi]), np.array([0.3, 4.0])
    l, m = degrees_orders(64)
    table = real_basis(theta, phi, 64)
    assert np.isfinite(table).all()
    assert np.abs(table[:, m != 0]).max() < 1e-12
    expected = np.sqrt((2 * l + 1) / (4 * np.pi))[m == 0]
    np.testing.assert_allclose(table[0, m == 0], expected, rtol=1e-14)
    np.testing.assert_allclose(table[1, m == 0], expected * (-1.0) ** np.arange(65), rtol=1e-12)
    exact = basis_at(np.array([[0, 0, 1.0], [0, 0, -2.0]]), 64)  # lengths do not matter
    np.testing.assert_allclose(exact, table, atol=1e-12)


def test_complex_basis_and_its_symmetry() -> None:
    theta, phi = points(5, 2)
    l, m = degrees_orders(12)
    y = complex_basis(theta, phi, 12)
    assert np.abs(y - sph_harm_y(l, m, theta[:, None], phi[:, None])).max() <= 1e-13
    np.testing.assert_allclose(y, (-1.0) ** m * y[:, l * l + l - m].conj(), atol=1e-15)


def test_addition_theorem() -> None:
    theta, phi = points(3, 3)
    squares = np.add.reduceat(real_basis(theta, phi, 40) ** 2, np.arange(41) ** 2, axis=1)
    expected = (2 * np.arange(41) + 1) / (4 * np.pi)
    np.testing.assert_allclose(squares, np.broadcast_to(expected, squares.shape), rtol=1e-12)


def test_angles_broadcast_and_agree_with_positions() -> None:
    theta, phi = points(6, 4)
    table = real_basis(theta[:3, None], phi[None], 12)
    assert table.shape == (3, 6, 169)
    np.testing.assert_array_equal(table[1, 4], real_basis(theta[1], phi[4], 12))
    np.testing.assert_allclose(basis_at(unit(theta, phi), 12), real_basis(theta, phi, 12), atol=1e-13)
    assert real_basis(np.zeros(0), np.zeros(0), 3).shape == (0, 16)


def test_jit_and_vmap_agree_and_nothing_is_switched() -> None:
    before = jax.config.jax_enable_x64
    theta, phi = (angle.astype(np.float32) for angle in points(4, 5))
    plain = real_basis(theta, phi, 12)
    assert plain.dtype == np.float64 and isinstance(plain, np.ndarray)
    jitted = jax.jit(lambda t, p: real_basis(t, p, 12))(theta, phi)
    assert jitted.dtype == (np.float64 if before else np.float32)
    np.testing.assert_allclose(np.asarray(jitted), plain, atol=1e-6)
    wide = jax.vmap(lambda t, p: real_basis(t, p, 12, dtype="float64"))(
        jax.numpy.asarray(theta), jax.numpy.asarray(phi)
    )
    np.testing.assert_allclose(np.asarray(wide), plain, atol=1e-14)
    with jax.enable_x64(True):
        slope = jax.grad(lambda t: real_basis(t, 0.5, 12)[2])(1.0)  # of sqrt(3 / 4 pi) cos(theta)
    assert float(slope) == pytest.approx(-np.sqrt(3 / (4 * np.pi)) * np.sin(1.0), rel=1e-12)
    assert jax.config.jax_enable_x64 == before


def test_refusals() -> None:
    with pytest.raises(InputError, match="0 to 512"):
        real_basis(1.0, 1.0, 513)
    with pytest.raises(InputError, match="whole number"):
        real_basis(1.0, 1.0, 2.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="NaN"):
        real_basis(np.nan, 1.0, 2)
    with pytest.raises(InputError, match="float16"):
        real_basis(1.0, 1.0, 2, dtype="float16")
    with pytest.raises(InputError, match="zero vector"):
        basis_at(np.zeros((1, 3)), 2)
    with pytest.raises(InputError, match="shape"):
        basis_at(np.ones((2, 2)), 2)
    with pytest.raises(InputError, match="broadcast"):
        real_basis(np.ones(2), np.ones(3), 1)
    with pytest.raises(InputError, match="real numbers"):
        basis_at(np.ones((1, 3), complex), 2)


@pytest.mark.parametrize("size", [5e-324, 1e-155, 1e200])
def test_any_length_of_a_position_will_do(size: float) -> None:
    np.testing.assert_array_equal(basis_at([[size, 0, -size]], 5), basis_at([[1, 0, -1]], 5))


def test_constants_under_jit() -> None:
    expected = real_basis(0.5, 0.2, 1).sum()
    before = "float64" if jax.config.jax_enable_x64 else "float32"
    got = jax.jit(lambda x: x * real_basis(0.5, 0.2, 1).sum())(2.0)
    assert got.dtype == before and float(got) == pytest.approx(2 * expected, rel=1e-6)
    with jax.enable_x64(True):
        wide = jax.jit(lambda x: x * real_basis(0.5, 0.2, 1).sum())(2.0)
    assert wide.dtype == np.float64 and float(wide) == pytest.approx(2 * expected, rel=1e-14)


def test_what_the_caches_hold_cannot_be_written() -> None:
    tables = [*degrees_orders(4), pole_values(4), *rows(4), *_pairs(4)]
    for sampling in ("gl", "dh"):
        tables += rings(4, sampling)[:2]
    for table in tables:
        with pytest.raises(ValueError, match="read-only"):
            table[...] = 0


def test_importing_is_light_and_a_missing_extra_is_told() -> None:
    code = (
        "import sys, thesphere, thesphere.harmonics, thesphere.navigate.interference\n"
        "assert 'jax' not in sys.modules\n"
        "sys.modules['jax'] = None\n"
        "from thesphere.errors import MissingExtra\n"
        "try: thesphere.harmonics.real_basis\n"
        "except MissingExtra as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "thesphere[jax]" in run.stdout
