"""Weights of points for attention within a cone: those in crowded places count less."""

import numpy as np

from thesphere.errors import InputError
from thesphere.filling.info import Filling

SOFTENING = 0.1  # keeps the weight of a nearly empty shell finite
LIMITS = (0.1, 10.0)  # of the mean density over a point's own


def cone_weights(filling: Filling, *, density: np.ndarray | None = None) -> np.ndarray:
    """Attention weights, float32 [N], mean 1.

    Without `density` a point weighs 1 / (occupancy / capacity + 0.1) of its shell, as in the earlier hybrid
    water-filling: all weigh 1 in a balanced filling. With it, mean(density) / density, limited to [0.1, 10], as
    in the osmotic one. Either is then divided by its mean.

    Args:
        filling: the points on their shells.
        density: [N], 0 or more, how dense it is around each point, in any unit.

    Raises:
        InputError: a density of another length, or negative, or not finite.
    """
    if density is None:
        crowding = filling.info.occupancy / np.maximum(filling.info.capacities, 1)
        weights = (1 / (crowding + SOFTENING))[filling.shells]
    else:
        weights = _rarity(np.asarray(density, np.float64), len(filling.shells))
    if not len(weights):
        return np.empty(0, np.float32)
    return (weights / weights.mean()).astype(np.float32)


def _rarity(density: np.ndarray, points: int) -> np.ndarray:
    if density.shape != (points,):
        raise InputError(
            f"the density has shape {list(density.shape)}; give one number for each of {points} points"
        )
    bad = np.flatnonzero(~(np.isfinite(density) & (density >= 0)))
    if len(bad):
        raise InputError(f"row {bad[0]} of the density is {density[bad[0]]}; give finite numbers, 0 or more")
    largest = density.max(initial=0.0)
    if not largest:
        return np.ones(points)
    relative = density / largest  # before the mean: no overflow
    mean = relative.mean()
    return np.clip(mean / np.maximum(relative, mean / (2 * LIMITS[1])), *LIMITS)
