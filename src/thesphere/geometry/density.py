"""How crowded it is around a place: kernel means in [0, 1], along the radius or over the sphere."""

from collections.abc import Callable
from typing import Any

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry.namespace import Array, floats, unit

BLOCK = 1 << 22  # kernel values held at once, for NumPy


def radial_density(
    at: Array, radii: Array, *, gap: float, bandwidth: float = 1.0, weights: Array = None
) -> Array:
    """Mean of exp(-(r_i - r)^2 / (2 h^2)) over the radii r_i, h = bandwidth x gap: [M], in [0, 1].

    The bandwidth is in units of the gap between shells (`Shells.mean_gap`): the earlier system's fixed 0.1
    finds nobody in a band of 32 to 512. Work is M x R: for many points give the shells' radii as `radii`,
    their occupancy as `weights`, and evaluate at the shells.

    Args:
        at: radii [M] where the density is wanted.
        radii: [R], at least one.
        gap: the unit of the bandwidth.
        bandwidth: in gaps.
        weights: [R], how often each radius counts; None: once.

    Raises:
        InputError: no radii, shapes that do not belong together, a bandwidth or gap that is not above 0, or
            (NumPy only) values that are not finite or weights that are negative or all 0.
    """
    xp, at, radii = floats(at, radii)
    _check(at, radii, 1)
    width = _width(gap * bandwidth)
    return _mean(xp, at, radii, weights, lambda here: xp.exp(-(((here[:, None] - radii) / width) ** 2) / 2))


def angular_density(at: Array, positions: Array, *, bandwidth: float = 0.2, weights: Array = None) -> Array:
    """Mean of exp((cos gamma_i - 1) / h^2) over the positions, gamma_i their angle to the place: [M], in [0, 1].

    The von Mises-Fisher kernel (a Gaussian of width h for small angles), in any dimension. A point that is
    itself among the positions counts.

    Args:
        at: directions [M, D].
        positions: directions [N, D], at least one.
        bandwidth: h, radians.
        weights: [N], how often each position counts; None: once.

    Raises:
        InputError: no positions, shapes that do not belong together, a bandwidth that is not above 0, or
            (NumPy only) a direction that is zero or not finite, or weights that are negative or all 0.
    """
    xp, at, positions = floats(at, positions)
    _check(at, positions, 2)
    at, positions = unit(at), unit(positions)
    width = _width(bandwidth)
    return _mean(
        xp,
        at,
        positions,
        weights,
        lambda here: xp.exp(xp.minimum(here @ positions.T - 1, 0) / width**2),
    )


def _mean(xp: Any, at: Array, others: Array, weights: Array, kernel: Callable[[Array], Array]) -> Array:
    """The weighted means of the kernel's rows, a block of rows at a time for NumPy."""
    count = len(others)
    share = xp.full(count, 1 / count, at.dtype) if weights is None else floats(weights, at)[1]
    if share.shape != (count,):
        raise InputError(f"the weights have shape {list(share.shape)}; give one for each of {count} points")
    if xp is np:
        if not (np.isfinite(at).all() and np.isfinite(others).all()):
            raise InputError("a place to measure the density of is NaN or infinite; give finite numbers")
        if not (np.isfinite(share) & (share >= 0)).all() or not share.any():
            raise InputError("weights must be finite, 0 or more, and not all 0")
    share = share / xp.max(share)
    share = share / xp.sum(share)
    if xp is not np:
        return kernel(at) @ share
    step = max(1, BLOCK // count)
    parts = [kernel(at[first : first + step]) @ share for first in range(0, len(at), step)]
    return np.concatenate(parts) if parts else np.zeros(0, at.dtype)


def _check(at: Array, others: Array, axes: int) -> None:
    if at.ndim != axes or others.ndim != axes or at.shape[1:] != others.shape[1:]:
        raise InputError(
            f"the places have shape {list(at.shape)} and the points {list(others.shape)};"
            f" give {'[M] and [R]' if axes == 1 else '[M, D] and [N, D]'}"
        )
    if not len(others):
        raise InputError("there is nothing to measure the density of; give at least one point")


def _width(width: float) -> float:
    if not 0 < width < np.inf:
        raise InputError(f"the bandwidth is {width}; give a finite number above 0")
    return width
