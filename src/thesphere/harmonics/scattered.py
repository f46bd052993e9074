"""Points anywhere on the sphere: weighted points to coefficients, coefficients to values, least squares.

Points are taken in blocks and the recurrence is run over each, so no basis matrix is ever held: memory is
O(L * block) beside the arguments and the result.
"""

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from thesphere.errors import InputError, MissingExtra
from thesphere.harmonics.basis import (
    band_limit_of,
    check_positions,
    from_angles,
    from_positions,
    powers,
)
from thesphere.harmonics.legendre import check_band_limit, expand, project
from thesphere.harmonics.precision import in_float64, real_numbers
from thesphere.harmonics.transform import pack, unpack

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise MissingExtra("spherical harmonics", "jax") from None

BLOCK = 512  # points at once: at degree 64 the state of the recurrence stays in a core's cache


def scatter(positions: Any, weights: Any, band_limit: int, *, dtype: str | None = None) -> Any:
    """Coefficients of weighted point masses, c_lm = sum over the points of w Y_lm: [..., (L + 1)^2].

    Args:
        positions: unit vectors [N, 3].
        weights: [..., N]; leading axes give several sets of weights on the same points.
        band_limit: L, included.
        dtype: see `precision`.

    Raises:
        InputError: positions that are not vectors of three or are zero, or weights that do not belong to
            them, or a band limit outside [0, 512].
    """
    limit = check_band_limit(band_limit)
    positions = check_positions(positions)
    if np.ndim(positions) != 2 or np.shape(weights)[-1:] != np.shape(positions)[:1]:
        raise InputError(
            f"positions have shape {list(np.shape(positions))} and weights {list(np.shape(weights))};"
            " give [N, 3] and [..., N]"
        )
    if not isinstance(positions, jax.Array):
        positions, weights = _padded(positions, 0), _padded(weights, -1)
    return in_float64(partial(_scatter, band_limit=limit), positions, weights, dtype=dtype)


def evaluate(coefficients: Any, positions: Any, *, dtype: str | None = None) -> Any:
    """Values of the field of coefficients [(L + 1)^2] at unit vectors [..., 3]: [...].

    Raises:
        InputError: a number of coefficients that is no (L + 1)^2, or positions that are not vectors of three
            or are zero.
    """
    limit = band_limit_of(np.shape(coefficients)[0] if np.ndim(coefficients) == 1 else 0)
    positions = check_positions(positions)
    lead, flat = positions.shape[:-1], positions.reshape(-1, 3)
    run = partial(_evaluate, band_limit=limit)
    found = in_float64(run, coefficients, _padded(flat, 0), dtype=dtype)
    return found[: len(flat)].reshape(lead)


def mesh(coefficients: Any, theta: Any, phi: Any, *, dtype: str | None = None) -> Any:
    """Values at every pair of a colatitude [A] and an azimuth [B]: [A, B], for drawing.

    Raises:
        InputError: a number of coefficients that is no (L + 1)^2, or angles that are no rows of numbers.
    """
    limit = band_limit_of(np.shape(coefficients)[0] if np.ndim(coefficients) == 1 else 0)
    if np.ndim(theta) != 1 or np.ndim(phi) != 1:
        raise InputError("a mesh needs one row of colatitudes and one row of azimuths")
    return in_float64(partial(_mesh, band_limit=limit), coefficients, theta, phi, dtype=dtype)


@dataclass(frozen=True)
class Fit:
    """What `fit` found.

    Attributes:
        coefficients: float64 [(L + 1)^2].
        residual: weighted root mean square of what is left of the values, over that of the values.
        steps: conjugate gradient steps taken.
        converged: whether the gradient fell below the tolerance.
    """

    coefficients: np.ndarray
    residual: float
    steps: int
    converged: bool


def fit(
    positions: Any,
    values: Any,
    band_limit: int,
    *,
    weights: Any = None,
    ridge: float = 0.0,
    tolerance: float = 1e-12,
    max_steps: int = 500,
) -> Fit:
    """The field of degree <= L nearest to values sampled at scattered points, by weighted least squares.

    Minimises sum w (f(x) - v)^2 / sum w + ridge |c|^2 with CGLS (Bjorck, Numerical Methods for Least Squares
    Problems, 1996, 7.4.1): two passes over the points a step, no matrix. With fewer points than coefficients
    and no ridge it gives the solution of least norm.

    Args:
        positions: unit vectors [N, 3].
        values: [N].
        band_limit: L, included.
        weights: [N], 0 or more, for instance the area that each point stands for; None: equal.
        ridge: 0 or more; a little of it steadies gaps between the points.
        tolerance: relative size of the gradient at which to stop.
        max_steps: at most so many steps; then `converged` is False.

    Raises:
        InputError: shapes that do not belong together, no points, values that are not finite and real, weights
            that are negative or all zero, or a ridge, tolerance or number of steps that is negative or no number.
    """
    limit = check_band_limit(band_limit)
    places, heights = np.asarray(check_positions(positions)), real_numbers(values)
    share = np.ones(heights.shape) if weights is None else real_numbers(weights)
    if places.ndim != 2 or not (heights.shape == share.shape == (len(places),)):
        raise InputError(
            f"positions have shape {list(places.shape)}, values {list(heights.shape)} and weights"
            f" {list(share.shape)}; give [N, 3], [N] and [N]"
        )
    if not (share >= 0).all() or not share.any():
        raise InputError("weights must be 0 or more and not all zero")
    if not (0 <= ridge < np.inf and 0 <= tolerance < np.inf and max_steps >= 0):
        raise InputError("the ridge, the tolerance and the number of steps must be finite and 0 or more")
    largest = np.abs(heights).max() or 1.0
    heights, share = heights / largest, share / share.max()
    root = np.sqrt(share / share.sum())
    found, rest = np.zeros((limit + 1) ** 2), root * heights
    gradient = scatter(places, root * rest, limit)
    direction, size = gradient, float(gradient @ gradient)
    first, scale, steps = size, float(rest @ rest), 0
    while size > tolerance**2 * first and steps < max_steps:
        image = root * evaluate(direction, places)
        length = size / float(image @ image + ridge * direction @ direction)
        found, rest = found + length * direction, rest - length * image
        gradient = scatter(places, root * rest, limit) - ridge * found
        before, size = size, float(gradient @ gradient)
        direction, steps = gradient + size / before * direction, steps + 1
    residual = float(np.sqrt(rest @ rest / scale)) if scale else 0.0
    return Fit(found * largest, residual, steps, size <= tolerance**2 * first)


def _padded(array: Any, axis: int) -> Any:
    """NumPy arrays grow to the next power of two: then few sizes are ever compiled. Positions grow by the
    north pole (axis 0), weights by zeros (axis -1)."""
    if isinstance(array, jax.Array):
        return array
    plain = np.asarray(array)
    count = plain.shape[axis]
    more = (1 << max(count - 1, 15).bit_length()) - count
    if axis == 0:
        pole = np.array([[0.0, 0.0, 1.0]])
        return np.concatenate([plain, np.repeat(pole, more, axis=0)])
    return np.concatenate([plain, np.zeros((*plain.shape[:-1], more))], axis=-1)


@partial(jax.jit, static_argnames=("band_limit",))
def _scatter(positions: Any, weights: Any, band_limit: int) -> Any:
    blocks, size = _blocks(positions)
    lead = weights.shape[:-1]
    flat = weights.reshape(prod(lead), weights.shape[-1])
    flat = jnp.pad(flat, ((0, 0), (0, len(blocks) * size - flat.shape[1])))
    shares = flat.reshape(len(flat), len(blocks), size).swapaxes(0, 1)

    def step(total, block):
        places, share = block
        points = from_positions(places)
        turned = powers(points.w, band_limit)
        both = jnp.stack([turned.real, turned.imag])
        moments = (both * share[:, None, None]).reshape(-1, *turned.shape)
        return total + project(points.s, points.side, moments, band_limit), None

    zero = jnp.zeros((band_limit + 1, 2 * len(flat), band_limit + 1))
    total = jax.lax.scan(step, zero, (blocks, shares))[0]
    total = total.reshape(band_limit + 1, len(flat), 2, band_limit + 1)
    packed = jax.vmap(pack, in_axes=1)(total)
    return packed.reshape(*lead, packed.shape[-1])


@partial(jax.jit, static_argnames=("band_limit",))
def _evaluate(coefficients: Any, positions: Any, band_limit: int) -> Any:
    blocks, _ = _blocks(positions)
    factors = unpack(coefficients, band_limit)

    def block(places):
        points = from_positions(places)
        turned = powers(points.w, band_limit)
        cosine, sine = expand(points.s, points.side, factors, band_limit)
        return (cosine * turned.real + sine * turned.imag).sum(0)

    return jax.lax.map(block, blocks).ravel()


@partial(jax.jit, static_argnames=("band_limit",))
def _mesh(coefficients: Any, theta: Any, phi: Any, band_limit: int) -> Any:
    points = from_angles(theta, jnp.zeros_like(theta))
    factors = unpack(coefficients, band_limit)
    cosine, sine = expand(points.s, points.side, factors, band_limit) * powers(points.w, band_limit).real
    turned = powers(jax.lax.complex(jnp.cos(phi), jnp.sin(phi)), band_limit)
    return cosine.T @ turned.real + sine.T @ turned.imag


def _blocks(positions: Any) -> tuple[Any, int]:
    """Positions [N, 3] as [blocks, size, 3], filled up with the north pole."""
    size = min(BLOCK, max(len(positions), 1))
    more = -len(positions) % size
    pole = jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), (more, 3))
    filled = jnp.concatenate([positions, pole])
    return filled.reshape(len(filled) // size, size, 3), size
