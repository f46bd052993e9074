"""Grid and coefficients, exactly: a field of degree <= L on the grid has its coefficients to rounding.

The grids are s2fft's of bandlimit L + 1 (there the limit is exclusive, here inclusive): 2L + 1 azimuths
2 pi j / (2L + 1), and either `gl`, L + 1 Gauss-Legendre colatitudes from north to south, or `dh`, the 2L + 2
equal ones (2t + 1) pi / (4L + 4) of Driscoll and Healy (Advances in Applied Mathematics 15, 1994). A transform
is an FFT along each ring and the Legendre recurrence down the rings, run afresh each time: that holds O(L^2)
numbers, where s2fft's precomputed kernels hold O(L^3) and take longer to read than the recurrence to compute.
The older systems' grid of 2L x 4L with weights sin(theta) was called Driscoll-Healy and was not: its round
trip was wrong by 2 % at degree 16.
"""

from functools import partial
from typing import Any

import numpy as np

from thesphere.errors import InputError, MissingExtra
from thesphere.harmonics.basis import band_limit_of, degrees_orders
from thesphere.harmonics.legendre import check_band_limit, pole_values
from thesphere.harmonics.precision import in_float64, real_numbers
from thesphere.harmonics.rings import SAMPLINGS, expand_rings, project_rings, rings

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise MissingExtra("spherical harmonics", "jax") from None


def grid_angles(band_limit: int, *, sampling: str = "gl") -> tuple[np.ndarray, np.ndarray]:
    """The grid's colatitudes [T] and azimuths [2L + 1], float64 radians.

    Raises:
        InputError: a band limit outside [0, 512], or another sampling.
    """
    _check_sampling(sampling)
    count = 2 * check_band_limit(band_limit) + 1
    return rings(band_limit, sampling).colatitudes(), 2 * np.pi * np.arange(count) / count


def forward(grid: Any, *, sampling: str = "gl", dtype: str | None = None) -> Any:
    """Coefficients of a real field: [..., (L + 1)^2] of its values on the grid.

    Args:
        grid: [..., L + 1, 2L + 1] for `gl`, [..., 2L + 2, 2L + 1] for `dh`.
        sampling: "gl" or "dh".
        dtype: see `precision`.

    Raises:
        InputError: a shape that no band limit up to 512 has, or another sampling.
    """
    limit = _limit_of_grid(np.shape(grid), sampling)
    return in_float64(_forward, grid, band_limit=limit, sampling=sampling, dtype=dtype)


def inverse(
    coefficients: Any, *, grid_limit: int | None = None, sampling: str = "gl", dtype: str | None = None
) -> Any:
    """The real field of coefficients [..., (L + 1)^2] on the grid of limit G.

    Args:
        coefficients: l ascending, m from -l to l.
        grid_limit: G, at least L. None: L.
        sampling: "gl" gives [..., G + 1, 2G + 1], "dh" [..., 2G + 2, 2G + 1].
        dtype: see `precision`.

    Raises:
        InputError: a number of coefficients that is no (L + 1)^2, a grid that is too small, or another
            sampling.
    """
    _check_sampling(sampling)
    limit = band_limit_of(np.shape(coefficients)[-1] if np.ndim(coefficients) else 0)
    finer = limit if grid_limit is None else check_band_limit(grid_limit)
    if finer < limit:
        raise InputError(f"a grid of limit {finer} cannot hold degree {limit}; give at least {limit}")
    run = partial(_inverse, band_limit=limit, grid_limit=finer, sampling=sampling)
    return in_float64(run, coefficients, dtype=dtype)


@partial(jax.jit, static_argnames=("band_limit", "sampling"))
def _forward(grid: Any, band_limit: int, sampling: str) -> Any:
    place = rings(band_limit, sampling)
    weights = place.both_halves(place.weights) * (2 * np.pi / (2 * band_limit + 1))

    def one(field):
        orders = jnp.fft.rfft(field, axis=-1).T * (place.sines(band_limit) * weights)
        return pack(project_rings(place, jnp.stack([orders.real, -orders.imag]), band_limit))

    return each(one, grid, 2)


@partial(jax.jit, static_argnames=("band_limit", "grid_limit", "sampling"))
def _inverse(coefficients: Any, band_limit: int, grid_limit: int, sampling: str) -> Any:
    place = rings(grid_limit, sampling)
    # irfft adds to each order its conjugate, so all but m = 0 are halved
    share = place.sines(band_limit) * np.where(np.arange(band_limit + 1) > 0, 0.5, 1.0)[:, None]

    def one(row):
        cosine, sine = expand_rings(place, unpack(row, band_limit), band_limit) * share
        orders = jax.lax.complex(cosine, -sine).T
        return jnp.fft.irfft(orders, 2 * grid_limit + 1, axis=-1, norm="forward")

    return each(one, coefficients, 1)


def unpack(row: Any, band_limit: int) -> Any:
    """Coefficients [(L + 1)^2] -> factors of q cos(m phi) and q sin(m phi): [L + 1, 2, L + 1] by l and m."""
    l, m = np.ogrid[: band_limit + 1, : band_limit + 1]
    scale = pole_values(band_limit) * np.where(m > 0, np.sqrt(2.0), 1.0)
    centre = l * l + l
    cosine = row[np.where(m <= l, centre + m, 0)] * scale
    sine = row[np.where(m <= l, centre - m, 0)] * scale * (m > 0)
    return jnp.stack([cosine, sine], axis=1)


def pack(sums: Any) -> Any:
    """Sums against q cos(m phi) and q sin(m phi), [L + 1, 2, L + 1], -> coefficients [(L + 1)^2]."""
    band_limit = sums.shape[0] - 1
    l, m = degrees_orders(band_limit)
    scale = pole_values(band_limit)[l, np.abs(m)] * np.where(m == 0, 1.0, np.sqrt(2.0))
    return sums[l, (m < 0).astype(int), np.abs(m)] * scale


def each(one: Any, batch: Any, axes: int) -> Any:
    """`one` of every block of the last `axes` axes."""
    lead = batch.ndim - axes
    if lead == 0:
        return one(batch)
    done = jax.vmap(one)(batch.reshape(-1, *batch.shape[lead:]))
    return done.reshape(*batch.shape[:lead], *done.shape[1:])


def to_s2fft(coefficients: Any) -> np.ndarray:
    """s2fft's array of a real field, complex [L + 1, 2L + 1] by l and m + L, of [(L + 1)^2].

    c_l^m = (c_lm - i c_l,-m) / sqrt(2) for m > 0, and (-1)^m times its conjugate for -m.

    Raises:
        InputError: not one row of (L + 1)^2 finite real numbers.
    """
    real = real_numbers(coefficients)
    limit = band_limit_of(len(real) if real.ndim == 1 else 0)
    l, m = degrees_orders(limit)
    order, centre = np.abs(m), l * l + l
    scale = np.where(m == 0, 1.0, np.sqrt(0.5)) * np.where((m < 0) & (m % 2 != 0), -1.0, 1.0)
    flm = np.zeros((limit + 1, 2 * limit + 1), np.complex128)
    flm[l, m + limit] = scale * (real[centre + order] - 1j * np.sign(m) * real[centre - order])
    return flm


def from_s2fft(flm: Any) -> np.ndarray:
    """Coefficients [(L + 1)^2] of s2fft's array [L + 1, 2L + 1] of a real field; only m >= 0 is read.

    Raises:
        InputError: another shape.
    """
    plain = np.asarray(flm, np.complex128)
    if plain.ndim != 2 or plain.shape[1] != 2 * plain.shape[0] - 1:
        raise InputError(f"the coefficients have shape {list(plain.shape)}; s2fft's is [L, 2L - 1]")
    limit = check_band_limit(len(plain) - 1)
    l, m = degrees_orders(limit)
    held = plain[l, np.abs(m) + limit]
    return np.where(m < 0, -np.imag(held), np.real(held)) * np.where(m == 0, 1.0, np.sqrt(2.0))


def _check_sampling(sampling: str) -> None:
    if sampling not in SAMPLINGS:
        raise InputError(f"the sampling is {sampling!r}; give one of {', '.join(SAMPLINGS)}")


def _limit_of_grid(shape: tuple[int, ...], sampling: str) -> int:
    _check_sampling(sampling)
    if len(shape) >= 2 and shape[-1] % 2:
        limit = shape[-1] // 2
        if shape[-2] == (limit + 1) * (2 if sampling == "dh" else 1):
            return check_band_limit(limit)
    raise InputError(
        f"the grid has shape {list(shape)}; {sampling!r} of band limit L has {SAMPLINGS[sampling]} values"
    )
