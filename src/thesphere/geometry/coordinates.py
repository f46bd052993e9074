"""Spherical coordinates and back: r, colatitude theta in [0, pi], azimuth phi in [0, 2 pi).

x = r sin(theta) cos(phi), y = r sin(theta) sin(phi), z = r cos(theta) (physics convention, ISO 80000-2, as in
both earlier systems). Those took theta from an arc cosine, which loses half the digits near the poles, and left
phi in (-pi, pi] while documenting [0, 2 pi); here both angles come from two-argument arc tangents.
"""

import math

from thesphere.errors import InputError
from thesphere.geometry.namespace import Array, floats, norm


def to_cartesian(r: Array, theta: Array, phi: Array) -> Array:
    """Points [..., 3] of radii, colatitudes and azimuths, which broadcast."""
    xp, r, theta, phi = floats(r, theta, phi)
    across = r * xp.sin(theta)
    parts = xp.broadcast_arrays(across * xp.cos(phi), across * xp.sin(phi), r * xp.cos(theta))
    return xp.stack(parts, axis=-1)


def to_spherical(points: Array) -> tuple[Array, Array, Array]:
    """(r, theta, phi), each [...], of points [..., 3]; theta in [0, pi], phi in [0, 2 pi).

    On the axis phi is 0, at the origin theta is 0 too; NaN stays NaN.

    Raises:
        InputError: the last axis is not 3 long.
    """
    xp, points = floats(points)
    if points.ndim == 0 or points.shape[-1] != 3:
        raise InputError(f"points have shape {list(points.shape)}; give three coordinates on the last axis")
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    across = norm(points[..., :2])
    on_axis = across == 0
    # on the axis the signs of zeros would decide, and the derivatives would be NaN
    phi = xp.arctan2(y, xp.where(on_axis, 1, x))
    phi = xp.where(phi < 0, phi + 2 * math.pi, phi)
    phi = xp.where(on_axis | (phi >= 2 * math.pi), xp.zeros_like(phi), phi)  # -1e-20 + 2 pi rounds to 2 pi
    theta = xp.arctan2(across, xp.where(on_axis & (z == 0), 1, z))
    return norm(points), theta, phi


def positions(theta: Array, phi: Array) -> Array:
    """Unit vectors [..., 3] at colatitude theta and azimuth phi."""
    return to_cartesian(1.0, theta, phi)


def angles(positions: Array) -> tuple[Array, Array]:
    """(theta, phi) of the directions [..., 3], of any length above 0."""
    return to_spherical(positions)[1:]


def wrap(phi: Array) -> Array:
    """`phi` brought into [0, 2 pi)."""
    xp, phi = floats(phi)
    turned = xp.mod(phi, 2 * math.pi)
    return xp.where(turned >= xp.asarray(2 * math.pi, turned.dtype), xp.zeros_like(turned), turned)
