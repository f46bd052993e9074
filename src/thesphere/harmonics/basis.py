"""All spherical harmonics up to a band limit at any points.

Conventions: colatitude theta in [0, pi], azimuth phi, orthonormal on the unit sphere, Condon-Shortley's sign
(-1)^m inside P_l^m. Real basis: m = 0: P~_l^0; m > 0: sqrt(2) P~_l^m cos(m phi); m < 0: sqrt(2) P~_l^|m|
sin(|m| phi). Column (or coefficient) l^2 + l + m holds (l, m); there are (L + 1)^2 with l <= L, L included.
"""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from thesphere.errors import InputError, MissingExtra
from thesphere.geometry import norm
from thesphere.harmonics.legendre import check_band_limit, constant, pole_values, values
from thesphere.harmonics.precision import in_float64, real_numbers

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise MissingExtra("spherical harmonics", "jax") from None


class Points(NamedTuple):
    """Points of the unit sphere as the recurrence wants them: 1 - |z|, the sign of z, and x + iy; each [n]."""

    s: Any
    side: Any
    w: Any


def from_angles(theta: Any, phi: Any) -> Points:
    """Exact at both poles: every part comes from the half angle or the sine, never from 1 - cos."""
    north = jnp.cos(theta) >= 0
    half = jnp.where(north, jnp.sin(theta / 2), jnp.cos(theta / 2))
    side = jnp.where(north, 1.0, -1.0)
    return Points(2 * half**2, side, jnp.sin(theta) * jax.lax.complex(jnp.cos(phi), jnp.sin(phi)))


def from_positions(positions: Any) -> Points:
    """From unit vectors [n, 3] (scaled to length 1; the caller has refused the zero vector)."""
    x, y, z = (positions / norm(positions)[:, None]).T
    s = (x**2 + y**2) / (1 + jnp.abs(z))
    return Points(s, jnp.where(z >= 0, 1.0, -1.0), jax.lax.complex(x, y))


def powers(w: Any, band_limit: int) -> Any:
    """(x + iy)^m = sin^m(theta) e^(i m phi) for m = 0..L: complex [L + 1, n]."""

    def step(power, _):
        return power * w, power

    return jax.lax.scan(step, jnp.ones_like(w), length=band_limit + 1)[1]


@lru_cache(maxsize=16)
def degrees_orders(band_limit: int) -> tuple[np.ndarray, np.ndarray]:
    """(l, m) of every column: two int64 [(L + 1)^2], read-only."""
    index = np.arange((band_limit + 1) ** 2)
    l = np.sqrt(index + 0.5).astype(np.int64)
    return constant(l), constant(index - l * l - l)


def band_limit_of(count: int) -> int:
    """L of a row of (L + 1)^2 coefficients.

    Raises:
        InputError: `count` is not the square of a whole number, or L is beyond 512.
    """
    root = int(np.sqrt(count) + 0.5)
    if root * root != count or not count:
        raise InputError(f"there are {count} coefficients; a band limit L has (L + 1)^2 of them")
    return check_band_limit(root - 1)


def real_basis(theta: Any, phi: Any, band_limit: int, *, dtype: str | None = None) -> Any:
    """The real orthonormal basis at points given by angles: [..., (L + 1)^2].

    Args:
        theta: colatitude, radians, [0, pi], any shape that broadcasts with `phi`.
        phi: azimuth, radians.
        band_limit: L, the largest degree, included.
        dtype: "float64" or "float32" (computed in float64, rounded once); None: see `precision`.

    Raises:
        InputError: a band limit outside [0, 512], angles that are not finite or do not broadcast, or another
            dtype.
    """
    return _basis(theta, phi, band_limit, dtype, real=True)


def basis_at(positions: Any, band_limit: int, *, dtype: str | None = None) -> Any:
    """`real_basis` at unit vectors [..., 3]: [..., (L + 1)^2]. Vectors are scaled to length 1."""
    run = partial(_at, band_limit=check_band_limit(band_limit))
    return in_float64(run, check_positions(positions), dtype=dtype)


def complex_basis(theta: Any, phi: Any, band_limit: int, *, dtype: str | None = None) -> Any:
    """Y_l^m of `real_basis`'s columns: complex [..., (L + 1)^2], with Y_l^-m = (-1)^m conj(Y_l^m)."""
    return _basis(theta, phi, band_limit, dtype, real=False)


def _basis(theta: Any, phi: Any, band_limit: int, dtype: str | None, real: bool) -> Any:
    run = partial(_from_angles, band_limit=check_band_limit(band_limit), real=real)
    try:
        np.broadcast_shapes(np.shape(theta), np.shape(phi))
    except ValueError:
        raise InputError(
            f"theta has shape {list(np.shape(theta))} and phi {list(np.shape(phi))}; give shapes that broadcast"
        ) from None
    return in_float64(run, theta, phi, dtype=dtype)


def check_positions(positions: Any) -> Any:
    """`positions`, if they are vectors of three that are not zero: unit vectors in NumPy, JAX arrays as given.

    Raises:
        InputError: the last axis is not 3, or a vector is zero, NaN, infinite or not real.
    """
    if np.ndim(positions) < 1 or np.shape(positions)[-1] != 3:
        raise InputError(f"positions have shape {list(np.shape(positions))}; give unit vectors [..., 3]")
    if isinstance(positions, jax.Array):
        return positions
    plain = real_numbers(positions)
    lengths = norm(plain)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise InputError("a position is the zero vector or too long; give unit vectors")
    return plain / lengths[..., None]


@partial(jax.jit, static_argnames=("band_limit", "real"))
def _from_angles(theta: Any, phi: Any, band_limit: int, real: bool) -> Any:
    theta, phi = jnp.broadcast_arrays(theta, phi)
    columns = _columns(from_angles(theta.ravel(), phi.ravel()), band_limit, real)
    return columns.reshape(*theta.shape, columns.shape[-1])


@partial(jax.jit, static_argnames=("band_limit",))
def _at(positions: Any, band_limit: int) -> Any:
    columns = _columns(from_positions(positions.reshape(-1, 3)), band_limit, True)
    return columns.reshape(*positions.shape[:-1], columns.shape[-1])


def _columns(points: Points, band_limit: int, real: bool) -> Any:
    l, m = degrees_orders(band_limit)
    turned = powers(points.w, band_limit)
    if real:
        root = np.sqrt(2.0)
        azimuth = jnp.concatenate([root * turned.imag[:0:-1], turned.real[:1], root * turned.real[1:]])
    else:
        sign = ((-1.0) ** np.arange(band_limit + 1))[:, None]
        azimuth = jnp.concatenate([(sign * turned.conj())[:0:-1], turned])
    scale = pole_values(band_limit)[l, np.abs(m)]
    ratios = values(points.s, points.side, band_limit)[l, np.abs(m)]
    return (scale[:, None] * ratios * azimuth[m + band_limit]).T
