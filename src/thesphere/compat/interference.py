"""QuantumNavigator of the earlier JAX system: what a query excites on the sphere, and the cone that answers."""

from typing import Any

import numpy as np

from thesphere.compat.tensor import SphericalTensor
from thesphere.errors import InputError
from thesphere.geometry import angles, in_cap
from thesphere.navigate.interference import interference


class QuantumNavigator:
    """Finds the cone of points that a query excites most; needs the extra `jax`.

    The field is made of the points themselves, each at its place with the cosine to the query as its amplitude.
    The older one superposed random blobs around three coordinates of the query: no data entered it, and what
    it called retrieved was a third of all points. Angles must follow the embeddings, as they do in what
    `LateralWaterFillingOptimizer` and `SphereEBM.optimize` give.

    Args:
        sphere_points: N points with their embeddings.
        band_limit: 1 to 256, clamped to what N points can carry; the older one was ignored, 64 was used.
        max_probes: peaks that are looked into at most.
        probe_candidates: accepted, and without effect: nothing is drawn.
    """

    def __init__(
        self,
        sphere_points: SphericalTensor,
        band_limit: int = 64,
        max_probes: int = 32,
        probe_candidates: int = 12,
    ) -> None:
        if sphere_points.embedding is None:
            raise InputError("the points have no embeddings; add them with with_embedding")
        self.points = sphere_points
        self.band_limit = band_limit
        self.max_probes = max_probes
        self.probe_candidates = probe_candidates

    def navigate(self, query: Any) -> dict[str, Any]:
        """The cone, among the field's peaks, that holds the point of the highest inner product with the query.

        Args:
            query: [D].

        Returns:
            r, theta, phi: of the cone's centre (r is the radius of its best point), alpha: its half-angle,
            score: the best inner product, probes_used: peaks looked into, confidence: the peak's share of the
            field, retrieved_mask: bool [N], num_retrieved, retrieved_points: [M, 3] Cartesian and
            retrieved_emb: [M, D] of the points in the cone, without padding. Where nothing is excited: no points,
            score -inf and confidence 0.

        Raises:
            InputError: a query of another width, of zeros or with NaN; MissingExtra: JAX is not installed.
        """
        from thesphere.neighbours.search import unit_rows  # numba

        embeddings = np.asarray(self.points.embedding)
        asked = np.asarray(query, np.float64)
        if asked.shape != embeddings.shape[1:] or not np.isfinite(asked).all() or not asked.any():
            raise InputError(
                f"the query has shape {list(asked.shape)}; give {embeddings.shape[1]} finite numbers, not all 0"
            )
        cosines = (unit_rows(embeddings) @ (asked / np.abs(asked).max())).astype(np.float64)
        places = np.asarray(self.points.directions)
        field = interference(
            cosines - cosines.mean(), places, band_limit=self.band_limit, max_peaks=self.max_probes
        )
        products = embeddings.astype(np.float64) @ asked
        best, inside = -1, np.zeros(len(places), bool)
        score = -np.inf
        for cone, (centre, aperture) in enumerate(zip(field.centres, field.apertures, strict=True)):
            held = in_cap(places, centre, aperture)
            found = products.max(where=held, initial=-np.inf)
            if found > score:
                best, inside, score = cone, held, float(found)
        theta, phi = angles(field.centres[best]) if best >= 0 else (0.0, 0.0)
        radii = np.asarray(self.points.r)
        return {
            "r": float(radii[np.argmax(np.where(inside, products, -np.inf))]) if best >= 0 else 0.0,
            "theta": float(theta),
            "phi": float(phi),
            "alpha": float(field.apertures[best]) if best >= 0 else 0.0,
            "score": score,
            "probes_used": len(field.centres),
            "confidence": float(field.confidences[best]) if best >= 0 else 0.0,
            "retrieved_mask": inside,
            "retrieved_points": np.asarray(self.points.cartesian)[inside],
            "retrieved_emb": embeddings[inside],
            "num_retrieved": int(inside.sum()),
        }


QuantumNavigatorJIT = QuantumNavigator
