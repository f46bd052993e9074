"""Spherical caps (cones seen from the centre): membership, area, and uniform points, in any dimension D.

A cap of half-angle ("aperture") alpha around a unit vector c is {x : angle(x, c) <= alpha}; a cone with its apex
at the centre catches the same part of every shell, whatever its radius.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry.maps import great_circle, tangent
from thesphere.geometry.namespace import Array, floats, generator, repeat, unit, whole_key


def in_cap(positions: Array, centre: Array, aperture: Array) -> Array:
    """Whether the directions [..., D] lie within `aperture` radians of `centre` [..., D]: bool [...].

    Both are normalised first; the earlier cone mask was not, and caught 34 % of everything.
    """
    return great_circle(positions, centre) <= aperture


def sphere_area(dimension: int) -> float:
    """The area of the unit sphere in D dimensions: 2 pi^(D/2) / gamma(D/2); 4 pi for D = 3.

    Raises:
        InputError: D below 2, or above 400, where the area is next to nothing in float64.
    """
    _check(dimension)
    if dimension > 400:
        raise InputError(f"the sphere's area in {dimension} dimensions underflows; ask for fractions of it")
    return 2 * math.exp(dimension / 2 * math.log(math.pi) - math.lgamma(dimension / 2))


def cap_area(aperture: Array, dimension: int = 3, *, fraction: bool = False) -> Array:
    """The solid angle of caps of half-angle `aperture`, or their fraction of the whole sphere.

    D = 3: 4 pi sin^2(alpha / 2), which keeps its digits for small caps, as 2 pi (1 - cos alpha) does not.
    Else half the regularised incomplete beta function I of sin^2(alpha) at ((D - 1) / 2, 1 / 2) (Li 2011,
    "Concise formulas for the area and volume of a hyperspherical cap"). In many dimensions narrow caps hold less
    than the smallest float64, 5e-324, and get 0: for D = 384 those below an aperture of 0.15.

    Args:
        aperture: radians, in [0, pi].
        dimension: D, 2 or more; beyond 400 only fractions are to be had.

    Raises:
        InputError: a NumPy aperture outside [0, pi], or a D that is too small or large.
    """
    xp, aperture = floats(aperture)
    _check(dimension)
    _check_aperture(xp, aperture)
    whole = 1.0 if fraction else sphere_area(dimension)
    return whole * _fraction(xp, aperture, dimension)


def cap_aperture(area: Array, dimension: int = 3, *, fraction: bool = False) -> Array:
    """The half-angle of the cap of a given area (or fraction of the sphere), in [0, pi]; inverse of `cap_area`.

    D = 2 and 3 in closed form, else bisection: 64 evaluations of the area.

    Raises:
        InputError: a NumPy area that is negative, NaN or larger than the sphere.
    """
    xp, area = floats(area)
    _check(dimension)
    part = area if fraction else area / sphere_area(dimension)
    if xp is np and not np.all((part >= 0) & (part <= 1 + 1e-6)):
        raise InputError(f"a cap's area must lie between 0 and that of the sphere in {dimension} dimensions")
    part = xp.clip(part, 0, 1)
    if dimension == 2:
        return math.pi * part
    if dimension == 3:
        return 2 * xp.arcsin(xp.sqrt(part))

    # the root of angle / pi is sought, so that small caps keep their digits
    root = _bisect(xp, lambda root: _fraction(xp, math.pi * root**2, dimension) < part, part)
    return xp.where(part > 0, math.pi * root**2, part)


def sample_sphere(count: int, dimension: int = 3, *, key: int | None = None, like: Array = None) -> Array:
    """`count` points spread evenly over the unit sphere: [count, D], normalised Gaussians (Muller 1959).

    The earlier systems drew theta evenly, which crowds the poles, or theta and phi with the same key, which
    put all points on one curve.

    Args:
        count: how many.
        dimension: D, 2 or more.
        key: same key, same points; None is 0. JAX's and NumPy's generators differ: 0 to 2^63 - 1 for the
            former, 2^64 - 1 for the latter.
        like: an array whose kind (NumPy or JAX) and floating type the points take; None: NumPy float64.
    """
    _check(dimension)
    xp, like = floats(0.0 if like is None else like)
    return unit(_draws(xp, (count, dimension), key, like.dtype)[0])


def sample_cap(centre: Array, aperture: Array, count: int, *, key: int | None = None) -> Array:
    """`count` points spread evenly over the cap around `centre`: [count, D] unit vectors.

    The angle from the centre follows the inverse of the area, as a part of the cap's own: beyond D = 3 by
    bisection of the areas' logarithms, so that no cap is too small. The direction around it is even.

    Args:
        centre: [D], of any length above 0; its kind and type are those of the result.
        aperture: half-angle in [0, pi], radians.
        count: how many.
        key: same key, same points; None is 0. See `sample_sphere`.
    """
    xp, centre, aperture = floats(centre, aperture)
    if centre.ndim != 1 or aperture.ndim:
        raise InputError("give one centre [D] and one aperture")
    dimension = len(centre)
    _check(dimension)
    _check_aperture(xp, aperture)
    centre = unit(centre)
    normals, evenly = _draws(xp, (count, dimension), key, centre.dtype)
    if dimension <= 3:
        angle = cap_aperture(evenly * _fraction(xp, aperture, dimension), dimension, fraction=True)
    else:
        rim = xp.maximum(_log_fraction(xp, aperture, dimension), xp.finfo(aperture.dtype).min)

        def below(part: Array) -> Array:
            return xp.exp(_log_fraction(xp, part * aperture, dimension) - rim) < evenly

        angle = _bisect(xp, below, evenly) * aperture
    # rounding and, in JAX, the arc sine may pass the rim by a unit in the last place
    angle = xp.minimum(angle, aperture)[:, None]
    return unit(xp.cos(angle) * centre + xp.sin(angle) * unit(tangent(centre, normals)))


def _draws(xp: Any, shape: tuple[int, int], key: int | None, kind: Any) -> tuple[Array, Array]:
    """Normal numbers of this shape and even ones in [0, 1), one for each row."""
    if xp is np:
        random = generator(key)
        return random.standard_normal(shape).astype(kind), random.random(shape[0]).astype(kind)
    jax = sys.modules["jax"]
    random = jax.random
    if isinstance(key, jax.Array):
        start = random.key(key)
    else:  # JAX by itself drops all but 32 bits of the key
        high, low = divmod(whole_key(key, 63), 1 << 32)
        start = random.key(np.uint32(low))
        start = random.fold_in(start, np.uint32(high)) if high else start
    one, other = random.split(start)
    return random.normal(one, shape, kind), random.uniform(other, shape[:1], kind)


def _fraction(xp: Any, aperture: Array, dimension: int) -> Array:
    """The cap's part of the sphere. Beyond the equator it is 1 less the opposite cap."""
    if dimension == 2:
        return aperture / math.pi
    if dimension == 3:
        return xp.sin(aperture / 2) ** 2
    return xp.exp(_log_fraction(xp, aperture, dimension))


def _log_fraction(xp: Any, aperture: Array, dimension: int) -> Array:
    """The logarithm of the cap's part of the sphere, D above 3: it does not underflow."""
    a = (dimension - 1) / 2
    folded = xp.minimum(aperture, math.pi - aperture)
    sine, cosine = xp.sin(folded), xp.cos(folded)
    # each of the two continued fractions converges fast on its own side (DLMF 8.17.22)
    steep = sine**2 > (a + 1) / (a + 2.5)
    tail = _log_beta(xp, a, 0.5, xp.where(steep, 0.5, sine), xp.where(steep, 0.5, cosine)) - math.log(2)
    body = xp.exp(_log_beta(xp, 0.5, a, xp.where(steep, cosine, 0), xp.where(steep, sine, 1))) / 2
    small = xp.where(steep, xp.log(0.5 - body), tail)
    return xp.where(aperture > math.pi / 2, xp.log1p(-xp.exp(small)), small)


def _log_beta(xp: Any, a: float, b: float, root: Array, other: Array) -> Array:
    """log I_x(a, b) at x = root^2, 1 - x = other^2, by its continued fraction, summed from the far end.

    About sqrt(max(a, b)) terms are enough where x < (a + 1) / (a + b + 2).
    """
    x = root**2

    def shorten(state: tuple[Array, Array]) -> tuple[Array, Array]:
        m, rest = state
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        return m - 1, 1 + even / (1 + odd / rest)

    terms = 24 + 2 * math.isqrt(int(max(a, b)))
    _, rest = repeat(xp, terms, shorten, (xp.asarray(float(terms), x.dtype), xp.ones_like(x)))
    rest = 1 - (a + b) * x / (a + 1) / rest
    logs = 2 * a * xp.log(xp.where(root > 0, root, 1)) + 2 * b * xp.log(xp.where(other > 0, other, 1))
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - math.log(a)
    return xp.where(root > 0, logs + scale - xp.log(rest), -xp.inf)


def _bisect(xp: Any, below: Callable[[Array], Array], like: Array) -> Array:
    """Where in [0, 1] `below` turns from true to false, for each entry of an array like `like`."""

    def halve(ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        here = below(middle)
        return xp.where(here, middle, low), xp.where(here, high, middle)

    low, high = repeat(xp, 64, halve, (xp.zeros_like(like), xp.ones_like(like)))
    return (low + high) / 2


def _check_aperture(xp: Any, aperture: Array) -> None:
    if xp is np and not np.all((aperture >= 0) & (aperture <= np.asarray(math.pi, aperture.dtype))):
        raise InputError("a cap's aperture must lie between 0 and pi")


def _check(dimension: int) -> None:
    if dimension < 2:
        raise InputError(f"the sphere has {dimension} dimensions; give 2 or more")
