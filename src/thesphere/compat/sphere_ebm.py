"""SphereEBM of the earlier Rust system: embeddings with the radii they should have, and their coordinates."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from thesphere.compat.sphere_config import SphereConfig
from thesphere.encoders import check_embeddings
from thesphere.errors import InputError
from thesphere.filling import fill
from thesphere.filling.cuts import rank
from thesphere.geometry import to_cartesian

WIDEST = 1 << 31  # bytes of a dense similarity matrix


@dataclass(frozen=True, eq=False)
class SphericalCoords:
    """Where every point lies.

    Attributes:
        r: float32 [N], radius.
        theta: float32 [N], colatitude in [0, pi].
        phi: float32 [N], azimuth in [0, 2 pi), as was documented; the older one left it in (-pi, pi].
    """

    r: np.ndarray
    theta: np.ndarray
    phi: np.ndarray

    def __len__(self) -> int:
        return len(self.r)

    def n_points(self) -> int:
        """N."""
        return len(self)

    def to_cartesian(self) -> np.ndarray:
        """float32 [N, 3]."""
        return to_cartesian(self.r, self.theta, self.phi)


def save_coords_npz(path: str | os.PathLike[str], coords: SphericalCoords) -> None:
    """Write r, theta, phi [N] and cartesian [N, 3], float32, as the older command did.

    Raises:
        InputError: `path` does not end in .npz.
    """
    if Path(path).suffix != ".npz":
        raise InputError(f"{path} does not end in .npz; give such a name")
    np.savez(path, r=coords.r, theta=coords.theta, phi=coords.phi, cartesian=coords.to_cartesian())


@dataclass(frozen=True, eq=False)
class SphereEBM:
    """Embeddings, what they weigh, and the settings by which they are placed.

    Attributes:
        embeddings: float32 [N, D], magnitudes kept.
        prominence: float32 [N], 0 or more; the norms where None is given.
        entropies: float32 [N], nats, 0 or more, NaN where unknown; or None.
        config: how points are placed.
    """

    embeddings: np.ndarray
    prominence: np.ndarray = None  # type: ignore[assignment]
    entropies: np.ndarray | None = None
    config: SphereConfig = field(default_factory=SphereConfig)

    def __post_init__(self) -> None:
        object.__setattr__(self, "embeddings", check_embeddings(self.embeddings))
        flow = self.prominence
        if flow is None:
            from thesphere.norms import row_norms  # numba

            flow = row_norms(self.embeddings)
        object.__setattr__(self, "prominence", np.asarray(flow, np.float32))
        if self.entropies is not None:
            object.__setattr__(self, "entropies", np.asarray(self.entropies, np.float32))
        for name in ("prominence", "entropies"):
            held = getattr(self, name)
            if held is not None and held.shape != (len(self),):
                raise InputError(
                    f"{name} has shape {list(held.shape)}; give one number for each of {len(self)}"
                )

    def __len__(self) -> int:
        return len(self.embeddings)

    def n_points(self) -> int:
        """N."""
        return len(self)

    def embedding_dim(self) -> int:
        """D."""
        return self.embeddings.shape[1]

    @cached_property
    def similarity(self) -> np.ndarray:
        """float32 [N, N]: cosines, 0 on the diagonal and for zero rows. Made when it is asked for; nothing of
        ours needs it, and the older system, which always made it, could not go beyond some 20,000 points.

        Raises:
            InputError: the matrix would take more than 2 GiB.
        """
        if 4 * len(self) ** 2 > WIDEST:
            raise InputError(
                f"similarity of {len(self)} points is a matrix of {4 * len(self) ** 2:.3g} bytes; use"
                " thesphere.neighbours.nearest, which keeps the nearest ones of each point"
            )
        from thesphere.neighbours.search import unit_rows  # numba

        rows = unit_rows(self.embeddings)
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, 0)
        return cosines

    @cached_property
    def ideal_radii(self) -> np.ndarray:
        """float32 [N]: min_radius + span * sqrt((rank + 1/2) / N), the most prominent point (rank 0) innermost,
        ties in the order of rows: the older law, which gives every point a radius of its own. `thesphere.filling`
        puts points on shells instead, and the prominent ones outside unless told otherwise."""
        order = rank(self._weights(), outward=False)
        radii = np.empty(len(self), np.float32)
        share = (np.arange(len(self)) + 0.5) / max(len(self), 1)
        radii[order] = self.config.min_radius + self.config.radius_span() * np.sqrt(share)
        return radii

    def optimize(self, key: int | None = None, device: str | None = None) -> SphericalCoords:
        """Coordinates: the ideal radii, and angles so that similar points lie together. Needs the extra `jax`.

        Args:
            key: of everything that is drawn: the same key gives the same coordinates. The older one ignored it.
            device: accepted; JAX runs on the device that it finds.

        The older dynamics moved angles by half a degree, as its lateral force had no reach: they said nothing
        about the embeddings; its radii had noise of 0.3 around the ideal ones. No query depends on coordinates
        now; the older navigator optimised anew at every query.

        Raises:
            MissingExtra: JAX is not installed.
        """
        return self._coords(key, None)

    def optimize_from(
        self, coords: SphericalCoords, key: int | None = None, device: str | None = None
    ) -> SphericalCoords:
        """`optimize`, starting from the angles of these coordinates."""
        start = to_cartesian(np.ones_like(coords.r), coords.theta, coords.phi)
        return self._coords(key, start)

    def _coords(self, key: int | None, start: np.ndarray | None) -> SphericalCoords:
        filling = fill(self.embeddings, method=self.config.strategy(), key=key, positions=start)
        return SphericalCoords(self.ideal_radii, filling.theta, filling.phi)

    def _weights(self) -> np.ndarray:
        """float64 [N]: what points are ranked by."""
        flow = self.prominence.astype(np.float64)
        if not self.config.entropy_weighted or self.entropies is None:
            return flow
        return flow * (1 + np.nan_to_num(self.entropies.astype(np.float64), nan=0.0))
