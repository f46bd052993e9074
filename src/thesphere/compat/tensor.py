"""SphericalTensor of the earlier JAX system, and the functions beside it."""

from typing import NamedTuple

from thesphere.geometry import great_circle, in_cap, norm, positions, to_cartesian
from thesphere.geometry.namespace import Array


class SphericalTensor(NamedTuple):
    """Points as (r, theta, phi), with their embeddings.

    A tuple, so JAX takes it through jit, vmap and loops; the older class was no pytree, and every loop that
    carried one raised TypeError.

    Attributes:
        data: [..., 3], radius, colatitude in [0, pi], azimuth in [0, 2 pi); NumPy or JAX.
        embedding: [..., D] or None.
        mask: [..., 1], 1 for points that count; None counts all.
    """

    data: Array
    embedding: Array = None
    mask: Array = None

    @property
    def r(self) -> Array:
        """Radius [...]."""
        return self.data[..., 0]

    @property
    def theta(self) -> Array:
        """Colatitude [...]."""
        return self.data[..., 1]

    @property
    def phi(self) -> Array:
        """Azimuth [...]."""
        return self.data[..., 2]

    @property
    def cartesian(self) -> Array:
        """[..., 3]: (r sin theta cos phi, r sin theta sin phi, r cos theta)."""
        return to_cartesian(self.r, self.theta, self.phi)

    @property
    def directions(self) -> Array:
        """[..., 3] unit vectors."""
        return positions(self.theta, self.phi)

    def with_embedding(self, embedding: Array) -> "SphericalTensor":
        """The same points with this embedding."""
        return self._replace(embedding=embedding)

    def apply_mask(self, mask: Array) -> "SphericalTensor":
        """The same points with this mask, [..., 1]."""
        return self._replace(mask=mask)


def angular_distance(a: Array, b: Array) -> Array:
    """The angle between vectors [..., D], radians; from an arc tangent, so that small angles are not 0."""
    return great_circle(a, b)


def normalize_to_shell(x: Array, target: float = 1.0) -> Array:
    """Vectors [..., D] scaled to this length; a vector of zeros stays."""
    length = norm(x)[..., None]
    return x * (target / (length + (length == 0)))


def batch_points_in_cone(query: Array, candidates: Array, aperture: Array) -> Array:
    """bool [N]: which of the directions [N, D] lie within `aperture` radians of the direction `query` [D].

    Lengths do not matter. The older one took them for 1, which they were not: its cones held a third of all
    points, whatever was asked.
    """
    return in_cap(candidates, query, aperture)


points_in_cone = batch_points_in_cone
