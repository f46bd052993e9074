"""ScaleProfile and SphereConfig of the earlier Rust system."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from thesphere.errors import InputError
from thesphere.filling.langevin import Langevin
from thesphere.filling.presets import preset


class ScaleProfile(StrEnum):
    """How large a collection is: Dev about 1,000 points, Medium 10,000, Large 100,000, Planetary a million."""

    Dev = "dev"
    Medium = "medium"
    Large = "large"
    Planetary = "planetary"

    @classmethod
    def parse(cls, name: str) -> "ScaleProfile":
        """The profile of that name in any case: dev, development, medium, med, large, lg, planetary, planet,
        huge.

        Raises:
            InputError: there is none.
        """
        found = preset(name)
        return next(profile for profile in cls if preset(profile.value) is found)


_PROFILES = {  # lateral sigma, dt, T, steps; the band of radii is that of our preset of the same name
    ScaleProfile.Dev: (1.0, 0.5, 0.1, 120),
    ScaleProfile.Medium: (1.25, 0.4, 0.08, 240),
    ScaleProfile.Large: (1.5, 0.35, 0.06, 480),
    ScaleProfile.Planetary: (2.0, 0.3, 0.05, 960),
}


@dataclass(frozen=True)
class SphereConfig:
    """How points are placed on the sphere.

    Attributes:
        min_radius, max_radius: the band of radii.
        interaction_radius: kept, and without effect. It was the range of the lateral force in units of radius,
            where no neighbour ever came that near; now the range follows from how many points there are.
        step_size: dt, as a share of the largest stable step (which was 1), in (0, 1).
        temperature: T of the radial noise, in squared units of radius, 0 or more.
        n_steps: steps of the dynamics along the shells, at least 1.
        entropy_weighted: rank points by prominence * (1 + entropy). Entropy moves a point *inward*, as the older
            code and its tests did; its comments said outward.
    """

    min_radius: float = 32.0
    max_radius: float = 512.0
    interaction_radius: float = 1.0
    step_size: float = 0.5
    temperature: float = 0.1
    n_steps: int = 120
    entropy_weighted: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.min_radius < self.max_radius < math.inf:
            raise InputError(
                f"the radii go from {self.min_radius} to {self.max_radius}; give 0 < min_radius < max_radius"
            )
        if not self.interaction_radius > 0:
            raise InputError(f"interaction_radius is {self.interaction_radius}; give a number above 0")
        self.strategy()  # checks the rest

    @classmethod
    def default(cls) -> "SphereConfig":
        """The profile Dev."""
        return cls()

    @classmethod
    def from_profile(cls, profile: ScaleProfile | str) -> "SphereConfig":
        """The settings of a profile; earlier `SphereConfig::from(ScaleProfile::Dev)`."""
        chosen = profile if isinstance(profile, ScaleProfile) else ScaleProfile.parse(profile)
        return cls(*preset(chosen.value).band, *_PROFILES[chosen])

    def with_entropy_weighted(self, entropy_weighted: bool) -> "SphereConfig":
        return replace(self, entropy_weighted=entropy_weighted)

    def with_steps(self, n_steps: int) -> "SphereConfig":
        return replace(self, n_steps=n_steps)

    def with_temperature(self, temperature: float) -> "SphereConfig":
        return replace(self, temperature=temperature)

    def with_step_size(self, step_size: float) -> "SphereConfig":
        return replace(self, step_size=step_size)

    def with_interaction_radius(self, interaction_radius: float) -> "SphereConfig":
        return replace(self, interaction_radius=interaction_radius)

    def with_radii(self, min_radius: float, max_radius: float) -> "SphereConfig":
        return replace(self, min_radius=min_radius, max_radius=max_radius)

    def radius_span(self) -> float:
        """max_radius - min_radius, at least 1."""
        return max(self.max_radius - self.min_radius, 1.0)

    def strategy(self) -> Langevin:
        """The filling that `SphereEBM.optimize` runs.

        The older step x - 2 dt (x - x*) + sqrt(2 T dt) noise settles at the variance T / (2 (1 - dt)); ours takes
        the variance as a share of the whole band.

        Raises:
            InputError: a step size outside (0, 1), a negative temperature, no steps.
        """
        if not 0 < self.step_size < 1:
            raise InputError(f"step_size is {self.step_size}; give a share of the stable step, in (0, 1)")
        spread = self.temperature / (2 * (1 - self.step_size)) / self.radius_span() ** 2
        return Langevin(
            temperature=spread,
            start=max(spread, Langevin.start),
            pace=self.step_size,
            lateral_steps=self.n_steps,
        )
