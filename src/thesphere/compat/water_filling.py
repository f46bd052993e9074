"""The water-filling optimisers of the earlier systems, as fillings.

All of them end with every shell at its capacity, which was their aim; the older ones ended less balanced than
they began (total variation 0.97 to 0.99), because whole shells moved at once.
"""

from typing import Any, NamedTuple

import numpy as np

from thesphere.compat.tensor import SphericalTensor
from thesphere.errors import InputError
from thesphere.filling import Filling, Strategy, fill
from thesphere.filling.energy import Energy
from thesphere.filling.entropy_weighted import EntropyWeighted
from thesphere.filling.langevin import Langevin
from thesphere.filling.lateral import Lateral

KEY = 42  # that of the older optimisers


class Optimised(NamedTuple):
    """What `optimize` gives.

    Attributes:
        radii: float32 [N]. points: float32 [N, 3], unit vectors. shells: int32 [N], 0 is the innermost.
        info: as of `optimize_shells`.
    """

    radii: np.ndarray
    points: np.ndarray
    shells: np.ndarray
    info: dict[str, Any]


class LateralWaterFillingOptimizer:
    """Shells filled by prominence overflow and lateral search.

    Args:
        target_shells: how many, at most one per point.
        min_radius, max_radius: of the band; shells are dense at its outer end ("sqrt").
        capacity_exponent: p of the capacity law R^p.
        overflow_threshold: accepted, and without effect: a shell overflows when it holds more than its capacity.
        lateral_search: False leaves points where they are on their shell.
        lateral_threshold: by how much a place must be better to move there (the older code never looked).
        n_harmonic_directions: directions that are tried per point and pass.
        key: of what is drawn.
    """

    def __init__(
        self,
        target_shells: int = 512,
        min_radius: float = 128.0,
        max_radius: float = 1024.0,
        capacity_exponent: float = 1.5,
        overflow_threshold: float = 1.0,
        lateral_search: bool = True,
        lateral_threshold: float = 0.10,
        n_harmonic_directions: int = 16,
        *,
        key: int = KEY,
    ) -> None:
        self.target_shells = target_shells
        self.band = (min_radius, max_radius)
        self.capacity_exponent = capacity_exponent
        self.overflow_threshold = overflow_threshold
        self.method: str | Strategy = "prominence"
        if lateral_search:
            self.method = Lateral(threshold=lateral_threshold, directions=n_harmonic_directions)
        self.key = key

    def optimize_shells(
        self, embeddings: np.ndarray, initial_positions: Any = None, max_passes: int = 25
    ) -> tuple[SphericalTensor, dict[str, Any]]:
        """(points, info).

        Args:
            embeddings: numbers [N, D].
            initial_positions: a SphericalTensor or [N, 3] of (r, theta, phi) whose angles to start from.
            max_passes: what is not balanced after them is moved at the end, as few points as possible.

        Returns:
            the points, and passes, total_lateral_moves, total_promotions, lateral_efficiency (the share of
            lateral moves), final_avg_overload (mean |occupancy - capacity| in points), shell_distribution
            int64 [S], converged (within the passes), projected (points moved at the end).
        """
        filling = self._fill(embeddings, initial_positions, max_passes, None)
        return _tensor(filling, embeddings), _info(filling)

    def optimize(
        self, points: np.ndarray, max_iters: int = 25, prominence_scores: np.ndarray | None = None
    ) -> Optimised:
        """As the older reference had it, though no code did; `prominence_scores` [N] stand for the norms."""
        filling = self._fill(points, None, max_iters, prominence_scores)
        return Optimised(filling.radii, filling.positions, filling.shells, _info(filling))

    def _fill(self, embeddings, start, max_passes: int, prominence) -> Filling:
        if start is not None:
            start = SphericalTensor(np.asarray(getattr(start, "data", start))).directions
        return fill(
            embeddings,
            prominence=prominence,
            method=self.method,
            key=self.key,
            max_steps=max_passes,
            shells=_shells(embeddings, self.target_shells),
            band=self.band,
            exponent=self.capacity_exponent,
            positions=start,
            project=True,
        )


LateralWaterFillingOptimizerJIT = LateralWaterFillingOptimizer


class ThrmlWaterFillingOptimizer:
    """Shells filled by Langevin dynamics; needs the extra `jax`.

    Args:
        target_shells: how many, at most one per point (the older code left it unused), from 32 to 512.
        key: of what is drawn.
    """

    def __init__(self, target_shells: int = 128, *, key: int = KEY) -> None:
        self.target_shells = target_shells
        self.key = key

    def optimize(self, embeddings: np.ndarray, n_steps: int = 100) -> SphericalTensor:
        """The points after so many lateral steps.

        Raises:
            MissingExtra: JAX is not installed.
        """
        shells = _shells(embeddings, self.target_shells)
        method = Langevin(lateral_steps=n_steps)
        return _tensor(fill(embeddings, method=method, key=self.key, shells=shells), embeddings)


def osmotic_water_filling(
    embeddings: np.ndarray, n_shells: int = 256, min_radius: float = 32.0, max_iters: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """(radii float32 [N], shells int32 [N]): the osmotic filling between min_radius and min_radius + 2 max |row|,
    shells evenly spaced, holding points as R^2.

    Args:
        embeddings: [N, D], or [1, N, D] as the older files had them.
    """
    rows = _unbatched(embeddings)
    reach = 2 * float(np.linalg.norm(rows, axis=1).max(initial=0)) or 1.0
    filling = fill(
        rows,
        method="osmotic",
        max_steps=max_iters,
        shells=_shells(rows, n_shells),
        band=(min_radius, min_radius + reach),
        exponent=2.0,
        spacing="linear",
        project=True,
        chart=None,
    )
    return filling.radii, filling.shells


def thrml_energy_water_filling(
    embeddings: np.ndarray, n_shells: int = 128, temperature: float = 0.05, max_iters: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """(radii float32 [N] from 32 to 512, shells int32 [N]) drawn from the Boltzmann law.

    Args:
        temperature: how far from their ideal shell points lie, as a share of all points, above 0. The older one
            (1.0, in units of the norm) took the likeliest shell, so that it had no effect; and its radii lay
            in [0, 1), which no other part could use.
    """
    rows = _unbatched(embeddings)
    filling = fill(
        rows,
        method=Energy(temperature=temperature),
        max_steps=max_iters,
        shells=_shells(rows, n_shells),
        key=KEY,
        chart=None,
    )
    return filling.radii, filling.shells


def entropy_weighted_water_filling(
    embeddings: np.ndarray,
    prominence: np.ndarray,
    entropies: np.ndarray,
    temperature: float | None = None,
    min_radius: float = 32.0,
    max_radius: float = 512.0,
    n_shells: int = 256,
) -> tuple[np.ndarray, np.ndarray]:
    """(radii float32 [N], shells int32 [N]) by the allocation prominence^2 exp(-entropy / temperature): points of
    high allocation lie outside.

    Args:
        temperature: nats, above 0; None tunes it. The older default 1e-5 underflowed to NaN or sent everything to
            the outermost shell; any temperature works here, as the order of log allocations decides.
    """
    rows = _unbatched(embeddings)
    filling = fill(
        rows,
        prominence=np.ravel(prominence),
        entropies=np.ravel(entropies),
        method=EntropyWeighted("auto" if temperature is None else temperature),
        shells=_shells(rows, n_shells),
        band=(min_radius, max_radius),
        chart=None,
    )
    return filling.radii, filling.shells


orch_or_water_filling = entropy_weighted_water_filling


def _shells(embeddings: Any, asked: int) -> int:
    if asked < 1:
        raise InputError(f"there are {asked} shells; give at least one")
    return max(1, min(asked, len(np.asarray(embeddings))))


def _unbatched(embeddings: Any) -> np.ndarray:
    rows = np.asarray(embeddings)
    return rows[0] if rows.ndim == 3 and len(rows) == 1 else rows


def _tensor(filling: Filling, embeddings: Any) -> SphericalTensor:
    data = np.stack([filling.radii, filling.theta, filling.phi], axis=1)
    return SphericalTensor(data, np.asarray(embeddings), np.ones((len(data), 1), np.float32))


def _info(filling: Filling) -> dict[str, Any]:
    info = filling.info
    moves = info.lateral_moves + info.promotions
    return {
        "passes": info.passes,
        "total_lateral_moves": info.lateral_moves,
        "total_promotions": info.promotions,
        "lateral_efficiency": info.lateral_moves / moves if moves else 0.0,
        "final_avg_overload": float(np.abs(info.occupancy - info.capacities).mean()),
        "shell_distribution": info.occupancy,
        "converged": filling.result.converged,
        "projected": info.projected or 0,
    }
