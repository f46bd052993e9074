"""Rings of a grid that mirrors itself at the equator: where they lie, and the recurrence over one half only.

On the ring across the equator q of (l, m) is (-1)^(l - m) times the same, so a pair of rings is folded into
their sum and their difference first. That is less than half the work, and the state stays in the cache.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from thesphere.errors import MissingExtra
from thesphere.harmonics.legendre import Rows, advance, begin, constant, rows

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise MissingExtra("spherical harmonics", "jax") from None

SAMPLINGS = {"gl": "[L + 1, 2L + 1]", "dh": "[2L + 2, 2L + 1]"}


class Rings(NamedTuple):
    """T rings, the northern H = ceil(T / 2) of them from the pole on; the equator's is one where T is odd.

    Attributes:
        s: float64 [H], 1 - cos(theta).
        weights: float64 [H], quadrature weights in cos(theta); over all T they sum to 2.
        count: T.
    """

    s: np.ndarray
    weights: np.ndarray
    count: int

    def both_halves(self, north: Any) -> Any:
        """[..., H] mirrored to [..., T]."""
        return np.concatenate([north, north[..., : self.count // 2][..., ::-1]], axis=-1)

    def sines(self, band_limit: int) -> np.ndarray:
        """sin^m(theta), m = 0..L: [L + 1, T]."""
        return self.both_halves(np.sqrt(self.s * (2 - self.s)) ** np.arange(band_limit + 1)[:, None])

    def colatitudes(self) -> np.ndarray:
        """theta [T], radians, from north to south."""
        theta = 2 * np.arcsin(np.sqrt(self.s / 2))
        return np.concatenate([theta, np.pi - theta[: self.count // 2][::-1]])


@lru_cache(maxsize=16)
def rings(grid_limit: int, sampling: str) -> Rings:
    """The rings of a grid for degrees up to `grid_limit`: Gauss-Legendre, or Driscoll and Healy's lemma 2."""
    if sampling == "gl":
        s, weights = gauss_nodes(grid_limit + 1)
        return Rings(constant(s), constant(weights), grid_limit + 1)
    count = 2 * grid_limit + 2
    theta = (2 * np.arange(count // 2) + 1) * np.pi / (2 * count)
    odd = np.arange(1, count, 2)
    weights = 4 / count * np.sin(theta) * (np.sin(np.outer(theta, odd)) / odd).sum(1)
    return Rings(constant(2 * np.sin(theta / 2) ** 2), constant(weights), count)


def gauss_nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """s and weights of the northern Gauss-Legendre nodes, from the pole on: each [ceil(count / 2)].

    NumPy's nodes are rounded in z, which costs digits near the poles; Newton steps in s restore them.
    """
    s = 1 - np.polynomial.legendre.leggauss(count)[0][::-1][: (count + 1) // 2]
    if count % 2:
        s[-1] = 1.0
    for _ in range(2):
        last, before = _pair(s, count)
        s = s + last * s * (2 - s) / (count * before)
    before = _pair(s, count)[1]
    return s, 2 * s * (2 - s) / (count * before) ** 2


def _pair(s: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Legendre's polynomials of degree `count` and `count` - 1 at z = 1 - s, as in `legendre`."""
    before, last, difference = np.zeros_like(s), np.ones_like(s), np.zeros_like(s)
    for l in range(1, count + 1):
        difference = (l - 1) / l * difference - (2 * l - 1) / l * s * last
        before, last = last, last + difference
    return last, before


def project_rings(place: Rings, moments: Any, band_limit: int) -> Any:
    """`legendre.project` for moments [2, L + 1, T] of all rings: [L + 1, 2, L + 1] by l, k, m."""
    half = len(place.s)
    paired = np.arange(half) < place.count // 2  # the equator has no partner
    north, south = moments[..., :half], moments[..., ::-1][..., :half] * paired
    even = np.arange(band_limit + 1)[:, None] % 2 == 0
    total, difference = north + south, north - south
    folded = jnp.where(even, total, difference), jnp.where(even, difference, total)

    def step(state, pair):
        sums = []
        for degree in (0, 1):
            state = advance(state, place.s, 1.0, _row(pair, degree))
            sums.append((state[0] * folded[degree]).sum(-1))
        return state, jnp.stack(sums)

    sums = jax.lax.scan(step, begin(place.s, band_limit), _pairs(band_limit))[1]
    return sums.reshape(-1, *sums.shape[2:])[: band_limit + 1]


def expand_rings(place: Rings, coefficients: Any, band_limit: int) -> Any:
    """`legendre.expand` of coefficients [L + 1, 2, L + 1] to all rings: [2, L + 1, T]."""
    filled = jnp.pad(coefficients, ((0, (band_limit + 1) % 2), (0, 0), (0, 0)))
    filled = filled.reshape(-1, 2, *coefficients.shape[1:])

    def step(state, pair):
        (ratio, even, odd), (factor, pair) = state, pair
        ratio = advance(ratio, place.s, 1.0, _row(pair, 0))
        even = even + factor[0][:, :, None] * ratio[0]
        ratio = advance(ratio, place.s, 1.0, _row(pair, 1))
        odd = odd + factor[1][:, :, None] * ratio[0]
        return (ratio, even, odd), None

    zero = jnp.zeros((coefficients.shape[1], band_limit + 1, len(place.s)))
    start = (begin(place.s, band_limit), zero, zero)
    even, odd = jax.lax.scan(step, start, (filled, _pairs(band_limit)))[0][1:]
    sign = np.where(np.arange(band_limit + 1) % 2, -1.0, 1.0)[:, None]
    south = (sign * (even - odd))[..., : place.count // 2][..., ::-1]
    return jnp.concatenate([even + odd, south], axis=-1)


@lru_cache(maxsize=16)
def _pairs(band_limit: int) -> Rows:
    """`rows` two degrees at a time, [pairs, 2, L + 1]; an odd end is filled with zeros, which do nothing."""
    more = (band_limit + 1) % 2
    filled = (np.pad(row, ((0, more), (0, 0))) for row in rows(band_limit))
    return Rows(*(constant(row.reshape(-1, 2, band_limit + 1)) for row in filled))


def _row(pair: Rows, degree: int) -> Rows:
    return Rows(pair.a[degree], pair.b[degree], pair.seed[degree])
