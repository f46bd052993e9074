"""How wide a cone opens: the adaptive cone law."""

import math

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry.namespace import Array, floats


def cone_width(
    radius: Array,
    maximum: Array,
    density: Array,
    complexity: Array,
    *,
    alpha0: float = math.pi / 4,
    beta: float = 5.0,
    narrowest: float = 0.01,
    widest: float = 1.5,
) -> Array:
    """alpha = alpha0 sqrt(r / R) exp(-beta rho) (1 - q), kept in [narrowest, widest]: radians, broadcast.

    Wider far out, narrower where points are dense and for complex queries: the earlier JAX system's law. That
    one fed it r / 10 and a constant density, and let the cone close altogether.

    Args:
        radius: r, 0 or more; beyond R it counts as R.
        maximum: R, the largest radius.
        density: rho, 0 or more, as from `radial_density` or `angular_density`.
        complexity: q in [0, 1], 0 for a simple query; clipped.
        alpha0: the half-angle for q = rho = 0 at R.
        beta: how fast density narrows it.
        narrowest: lower limit.
        widest: upper limit.

    Raises:
        InputError: limits that are not 0 < narrowest <= widest <= pi, or (NumPy only) a value that is not
            finite, or a maximum that is not above 0.
    """
    if not 0 < narrowest <= widest <= math.pi:
        raise InputError(f"cones may be {narrowest} to {widest} wide; give 0 < narrowest <= widest <= pi")
    xp, radius, maximum, density, complexity = floats(radius, maximum, density, complexity)
    if xp is np:
        given = (radius, maximum, density, complexity, alpha0, beta)
        if not all(np.isfinite(part).all() for part in given) or not np.all(maximum > 0):
            raise InputError("a cone's numbers must be finite and the largest radius above 0")
    height = xp.clip(radius / maximum, 0, 1)
    simplicity = 1 - xp.clip(complexity, 0, 1)
    width = alpha0 * xp.sqrt(height) * xp.exp(-beta * xp.maximum(density, 0)) * simplicity
    return xp.clip(width, narrowest, widest)
