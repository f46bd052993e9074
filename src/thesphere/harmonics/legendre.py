"""Associated Legendre functions of all degrees and orders by one recurrence that loses nothing at the poles.

With n = l - m, the ratio q = P_l^m(z) / (sin^m(theta) N) of the orthonormal function to its own value at the
pole, N, is a Gegenbauer polynomial that is 1 at z = 1 (DLMF 18.7.8, 18.9.1). Its three-term recurrence is
taken in difference form (Reinsch; Gentleman, The Computer Journal 12, 1969):

    d_l = B d_{l-1} - A s q_{l-1},   q_l = q_{l-1} + d_l,   A = (2l-1)/(l+m),  B = (l-m-1)/(l+m),

with s = 1 - |z| taken from the sine of half the angle. The usual form in z loses about l^2 units in the last
place near the poles: there SciPy's error at l = 256 is 1e-12, this one's 1e-14. sin^m(theta) is kept apart, as
the modulus of (x + iy)^m, so nothing underflows that matters in float64 up to degree 512. The older systems
formed (2m-1)!! and sqrt((l-m)!/(l+m)!) in float32, which lost two thirds of the columns at degree 64.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from thesphere.errors import InputError, MissingExtra

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise MissingExtra("spherical harmonics", "jax") from None

LARGEST = 512  # the pole values N reach 1e195 there; float64 ends at 1e308


class Rows(NamedTuple):
    """Coefficients of the recurrence, one row per degree l, one column per order m; zero where m >= l.

    Attributes:
        a: float64 [L + 1, L + 1], A above.
        b: float64 [L + 1, L + 1], B above.
        seed: float64 [L + 1, L + 1], 1 where m = l: there the recurrence of order m starts.
    """

    a: Any
    b: Any
    seed: Any


def check_band_limit(band_limit: int) -> int:
    """`band_limit` as a plain int.

    Raises:
        InputError: not a whole number from 0 to 512.
    """
    if isinstance(band_limit, bool) or not isinstance(band_limit, (int, np.integer)):
        raise InputError(f"the band limit is {band_limit!r}; give a whole number")
    if not 0 <= band_limit <= LARGEST:
        raise InputError(f"the band limit is {band_limit}; give 0 to {LARGEST}")
    return int(band_limit)


def constant(array: np.ndarray) -> np.ndarray:
    """`array`, from now on read-only: caches hand out the same one again and again."""
    array.flags.writeable = False
    return array


@lru_cache(maxsize=16)
def rows(band_limit: int) -> Rows:
    """The recurrence's coefficients up to and including degree `band_limit`."""
    l, m = np.ogrid[: band_limit + 1, : band_limit + 1]
    below = m < l
    total = np.maximum(l + m, 1)
    return Rows(
        constant(np.where(below, (2 * l - 1) / total, 0.0)),
        constant(np.where(below, (l - m - 1) / total, 0.0)),
        constant(np.eye(band_limit + 1)),
    )


@lru_cache(maxsize=16)
def pole_values(band_limit: int) -> np.ndarray:
    """N of every (l, m): float64 [L + 1, L + 1], zero where m > l. Condon-Shortley's sign (-1)^m is in it.

    N^2 = (2l+1)/4pi * (l+m)!/(l-m)! / (2^m m!)^2, as a running product down each column.
    """
    l, m = np.ogrid[: band_limit + 1, : band_limit + 1]
    k = np.arange(1, band_limit + 1)
    diagonal = np.sqrt(np.concatenate([[1.0], np.cumprod(1 + 0.5 / k)]) / (4 * np.pi))
    ratio = np.sqrt((2 * l + 1) * (l + m) / np.maximum((2 * l - 1) * np.maximum(l - m, 1), 1))
    steps = np.where(m < l, ratio, np.where(m == l, diagonal, 1.0))
    return constant(np.tril(np.cumprod(steps, axis=0)) * (-1.0) ** m)


def begin(s: Any, band_limit: int) -> tuple[Any, Any]:
    """(q, d) before degree 0: zeros."""
    zero = jnp.zeros((band_limit + 1, len(s)))
    return zero, zero


def advance(state: tuple[Any, Any], s: Any, side: Any, row: Rows) -> tuple[Any, Any]:
    """One degree further: (q, d) of all orders [L + 1, n] at the points' s [n].

    `side` [n] is 1 in the northern half and -1 in the southern one: q(-z) = (-1)^(l - m) q(z).
    """
    ratio, difference = state
    difference = row.b[:, None] * difference - row.a[:, None] * (s * ratio)
    return side * (ratio + difference) + row.seed[:, None], side * difference


def values(s: Any, side: Any, band_limit: int) -> Any:
    """q of every (l, m) at every point: [L + 1, L + 1, n], zero where m > l."""

    def step(state, row):
        state = advance(state, s, side, row)
        return state, state[0]

    return jax.lax.scan(step, begin(s, band_limit), rows(band_limit))[1]


def project(s: Any, side: Any, moments: Any, band_limit: int) -> Any:
    """Sums over the points of q times `moments` [k, L + 1, n]: [L + 1, k, L + 1] by l, k, m. Analysis."""

    def step(state, row):
        state = advance(state, s, side, row)
        return state, (state[0] * moments).sum(-1)

    return jax.lax.scan(step, begin(s, band_limit), rows(band_limit))[1]


def expand(s: Any, side: Any, coefficients: Any, band_limit: int) -> Any:
    """Sums over the degrees of q times `coefficients` [L + 1, k, L + 1] (l, k, m): [k, L + 1, n]. Synthesis."""

    def step(state, row):
        place, total = state
        coefficient, row = row
        place = advance(place, s, side, row)
        return (place, total + coefficient[:, :, None] * place[0]), None

    zero = jnp.zeros((coefficients.shape[1], band_limit + 1, len(s)))
    start = (begin(s, band_limit), zero)
    return jax.lax.scan(step, start, (coefficients, rows(band_limit)))[0][1]
