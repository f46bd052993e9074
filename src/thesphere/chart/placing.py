"""Out of sample: new points get a place on a chart that stays as it is."""

import numpy as np

from thesphere.chart.pca import on_sphere
from thesphere.chart.zoning import checked_roles
from thesphere.errors import InputError
from thesphere.geometry import Zones
from thesphere.neighbours.search import nearest_of

ROUNDS = 8
BLOCK = 4096  # new points that are placed at once, at most
PAIRS = 1 << 24  # pairs of their neighbours that are compared at once, at most


def place(
    new_embeddings: np.ndarray,
    embeddings: np.ndarray,
    positions: np.ndarray,
    k: int = 10,
    *,
    roles: np.ndarray | None = None,
    zones: Zones | None = None,
) -> np.ndarray:
    """Where new points lie on an existing chart: float32 [M, 3], norm 1. No other point moves.

    A new point goes where the attraction of its k nearest neighbours balances: their mean, weighted by the
    Cauchy kernel of the distance to that mean, from the neighbour that most others are near (the fixed point
    of the chart's own attraction, a mean shift). Neighbours that were scattered do not drag it between them.
    A point whose neighbours are all at cosine 0 or below goes to the nearest of them.

    Args:
        new_embeddings: numbers [M, D].
        embeddings: numbers [N, D], N at least 1, the points of the chart.
        positions: unit vectors [N, 3].
        k: neighbours, 1 or more.
        roles, zones: of the new points, as for `chart`.

    Raises:
        InputError: shapes that do not belong together, an empty chart, an unknown role, NaN or infinity.
    """
    points = np.asarray(positions, np.float32)
    if points.shape != (len(embeddings), 3) or not len(points):
        raise InputError(
            f"there are {len(embeddings)} embeddings and positions of shape {list(points.shape)}; give one unit"
            " vector for each, one at least"
        )
    near = nearest_of(new_embeddings, embeddings, min(k, len(points)))
    tight = np.float32(len(points) / (4 * np.pi))  # 1 / scale^2
    found = np.empty((len(near), 3), np.float32)
    block = max(1, min(BLOCK, PAIRS // max(1, near.k) ** 2))
    for first in range(0, len(near), block):
        some = slice(first, first + block)
        around = points[near.ids[some]]
        pull = np.maximum(near.similarities[some], 0)
        pull[:, 0] = np.maximum(pull[:, 0], 1e-3)
        kernel = 1 / (1 + tight * 2 * (1 - np.einsum("mad,mbd->mab", around, around)).clip(0))
        best = (kernel * pull[:, None]).sum(axis=2).argmax(axis=1)
        here = around[np.arange(len(best)), best]
        for _ in range(ROUNDS):
            weight = pull / (1 + tight * ((around - here[:, None]) ** 2).sum(axis=2))
            here = on_sphere(np.einsum("mk,mkd->md", weight, around))
        found[some] = here
    if roles is None and zones is None:
        return found
    return (zones or Zones()).constrain(found, checked_roles(roles, len(found)))
