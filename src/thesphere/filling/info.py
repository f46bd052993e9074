"""What a filling is and what it says about itself."""

from dataclasses import dataclass, field

import numpy as np

BALANCED = 0.01  # total variation at which a deterministic filling counts as balanced


@dataclass(frozen=True)
class Result:
    """Whether a filling reached its equilibrium, and one sentence about it."""

    converged: bool
    message: str


@dataclass(frozen=True)
class Info:
    """Attributes:
    method: name of the strategy.
    passes: steps that were taken.
    promotions, demotions, lateral_moves: moves outward, inward and along a shell, over all passes.
    capacities: int64 [S], sum N.
    occupancy: int64 [S], sum N, of the filling that is returned.
    tv: total variation of occupancy to capacities after the start (tv[0]) and after each pass, always before
        any projection.
    projected: how many points were moved at the end to snap to exact balance (None: `project` was not asked).
    measures: figures of the strategy's own.
    """

    method: str
    passes: int
    promotions: int
    demotions: int
    lateral_moves: int
    capacities: np.ndarray
    occupancy: np.ndarray
    tv: list[float]
    projected: int | None = None
    measures: dict[str, float] = field(default_factory=dict)


def total_variation(occupancy: np.ndarray, capacities: np.ndarray) -> float:
    """sum |occupancy - capacity| / 2N: the share of the points that lies on a wrong shell, in [0, 1]. Replaces
    the older mean overload, whose worst value depends on N and S."""
    occupancy, capacities = np.asarray(occupancy, np.int64), np.asarray(capacities, np.int64)
    return float(np.abs(occupancy - capacities).sum() / (2 * max(1, capacities.sum())))


def thermal_limit(capacities: np.ndarray) -> float:
    """The total variation that a multinomial draw of the capacities stays under: its mean and three standard
    deviations, each shell taken as a normal variable (mean sqrt(2 v / pi), variance v (1 - 2 / pi) of an
    absolute deviation of variance v; the shells' weak negative correlation is left out)."""
    caps = np.asarray(capacities, np.float64)
    total = caps.sum()
    variance = caps * (1 - caps / total)
    mean = np.sqrt(2 * variance / np.pi).sum()
    return float((mean + 3 * np.sqrt((variance * (1 - 2 / np.pi)).sum())) / (2 * total))


@dataclass(frozen=True)
class ShellTable:
    """The shells of a filling: all that is needed to give a new point its place.

    Attributes:
        radii: float64 [S], ascending.
        bounds: float64 [S - 1]: points of a prominence beyond bounds[k] belong outside shell k; ascending if
            `outward`, else descending. -inf and inf where no point lies on that side.
        capacities: int64 [S].
        occupancy: int64 [S].
        exponent: of the capacity law.
        outward: the most prominent points lie at the crust.
    """

    radii: np.ndarray
    bounds: np.ndarray
    capacities: np.ndarray
    occupancy: np.ndarray
    exponent: float
    outward: bool


@dataclass(frozen=True)
class Filling:
    """Where every point lies. Row i is the point of row i.

    Attributes:
        radii: float32 [N], the radius of the point's shell.
        shells: int32 [N], 0 is the innermost.
        theta, phi: float32 [N], colatitude in [0, pi] and azimuth in [0, 2 pi).
        table: the shells.
        result: whether it converged.
        info: what was done.
    """

    radii: np.ndarray
    shells: np.ndarray
    theta: np.ndarray
    phi: np.ndarray
    table: ShellTable
    result: Result
    info: Info

    def __len__(self) -> int:
        return len(self.shells)

    @property
    def positions(self) -> np.ndarray:
        """float32 [N, 3]: the points' directions, unit vectors."""
        across = np.sin(self.theta)
        return np.stack([across * np.cos(self.phi), across * np.sin(self.phi), np.cos(self.theta)], axis=1)
