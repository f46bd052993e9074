"""Great circles: distances, straight lines and their ends on the unit sphere of any dimension.

Vectors lie on the last axis, [..., D], and broadcast. They need not have unit length where only their direction
counts: both earlier systems compared raw vectors with unit ones in their cone tests.
"""

from thesphere.geometry.namespace import Array, floats, norm, unit


def great_circle(a: Array, b: Array) -> Array:
    """The angle between a and b, in [0, pi]: 2 atan2(|a' - b'|, |a' + b'|) of the unit vectors a', b'.

    Accurate to a few units of rounding at every angle (Kahan, "How futile are mindless assessments of
    roundoff", 2006, section 12). The arc cosine of earlier systems returns 0 for all angles below 1e-8 in
    float64, and below 2e-4 in float32.

    Raises:
        InputError: a NumPy vector without direction (NaN under JAX).
    """
    xp, a, b = floats(a, b)
    a, b = unit(a), unit(b)
    return 2 * xp.arctan2(norm(a - b), norm(a + b))


def tangent(at: Array, vector: Array) -> Array:
    """The part of `vector` that is tangent to the sphere at the unit vector `at`: v - (v . at) at."""
    xp, at, vector = floats(at, vector)
    return vector - xp.sum(at * vector, axis=-1, keepdims=True) * at


def exp_map(at: Array, velocity: Array) -> Array:
    """Where the great circle from `at` leads in unit time: cos|v| at + sin|v| / |v| v, a unit vector.

    Args:
        at: unit vectors [..., D].
        velocity: [..., D]; its length is the angle to travel, and what is not tangent is left out.
    """
    xp, at, velocity = floats(at, velocity)
    velocity = tangent(at, velocity)
    angle = norm(velocity)[..., None]
    return unit(xp.cos(angle) * at + xp.sinc(angle / xp.pi) * velocity)


def log_map(at: Array, to: Array) -> Array:
    """The tangent vector at `at` that leads to `to` along the shorter arc; its length is the angle.

    Inverse of `exp_map` below pi. Opposite points have no shortest arc: there the one through the axis on
    which `at` is smallest is taken.

    Args:
        at: unit vectors [..., D].
        to: unit vectors [..., D].
    """
    xp, at, to = floats(at, to)
    at, to = xp.broadcast_arrays(at, to)
    near = xp.sum(at * to, axis=-1, keepdims=True) >= 0
    # to - at and to + at have the same tangent part; the shorter one keeps its digits at 0 and at pi, and the
    # second projection takes away what the rounding of the first left of `at`
    heading = tangent(at, tangent(at, xp.where(near, to - at, to + at)))
    length = norm(heading)[..., None]
    stretch = xp.where(length > 0, great_circle(at, to)[..., None] / xp.where(length > 0, length, 1), 1)
    across = unit(tangent(at, xp.eye(at.shape[-1], dtype=at.dtype)[xp.argmin(xp.abs(at), axis=-1)]))
    return stretch * heading + xp.where((length > 0) | near, 0, xp.pi * across)


def slerp(a: Array, b: Array, t: Array) -> Array:
    """The point at part t of the arc from a to b, at constant speed (Shoemake 1985), as exp(a, t log(a, b)).

    The usual quotient of sines loses its digits near angles 0 and pi, this form does not.

    Args:
        a: unit vectors [..., D], at t = 0.
        b: unit vectors [..., D], at t = 1.
        t: [...]; below 0 and above 1 the great circle goes on.
    """
    xp, a, b, t = floats(a, b, t)
    return exp_map(a, t[..., None] * log_map(a, b))
