"""How many bytes a query may read, and how its cones share them: the settings."""

import math
from dataclasses import dataclass

from thesphere.errors import InputError
from thesphere.runtime.hardware import Tier

MIB, GIB = 1 << 20, 1 << 30


@dataclass(frozen=True)
class BudgetConfig:
    """The budget of one query that is answered by cones.

    The earlier system's figures were reserved and never spent: nothing was ever read less for them, and a cone
    whose share fell below the minimum lost it to nobody. Here bytes are bytes of coded rows that are read.

    Attributes:
        total_bytes: of all cones together, 0 or more; choosing cells, which comes before, is not in it.
        max_cones: at most so many, 1 or more.
        peak_threshold: a root is a peak only if its activation is above this.
        min_peak_separation: radians between two peaks' directions, 0 to pi.
        min_cone_bytes: what each cone may read before the best cells of all compete for the rest, as far as a
            quarter of the total allows; no more cones are opened than the total holds of it. About a cell's
            worth: it was 16 MiB and more.
    """

    total_bytes: int = 512 * MIB
    max_cones: int = 8
    peak_threshold: float = 0.15
    min_peak_separation: float = math.pi / 16
    min_cone_bytes: int = 64 << 10

    def __post_init__(self) -> None:
        for name, least in (("total_bytes", 0), ("max_cones", 1), ("min_cone_bytes", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
                raise InputError(f"{name} is {value!r}; give a whole number, {least} or more")
        if not math.isfinite(self.peak_threshold):
            raise InputError(f"peak_threshold is {self.peak_threshold}; give a finite activation")
        if not 0 <= self.min_peak_separation <= math.pi:
            raise InputError(f"min_peak_separation is {self.min_peak_separation}; give radians, 0 to pi")

    @property
    def effective_max_cones(self) -> int:
        """How many cones the total can give their minimum, at least 1, at most `max_cones`."""
        return max(1, min(self.max_cones, self.total_bytes // max(self.min_cone_bytes, 1)))

    @classmethod
    def dev(cls) -> "BudgetConfig":
        """For small collections: 128 MiB, 4 cones, pi / 8 apart."""
        return cls(128 * MIB, 4, 0.15, math.pi / 8)

    @classmethod
    def large_scale(cls) -> "BudgetConfig":
        """For large ones: 16 GiB, 32 cones, pi / 32 apart."""
        return cls(16 * GIB, 32, 0.2, math.pi / 32)

    @classmethod
    def for_tier(cls, tier: Tier, memory_bytes: int = 0) -> "BudgetConfig":
        """The earlier system's figures for a tier, with at most a quarter of the memory if that is known."""
        if tier == "unknown":
            config = cls.dev()
        else:
            total, cones, threshold, parts = _TIERS[tier]
            config = cls(total * GIB, cones, threshold, math.pi / parts)
        if not memory_bytes:
            return config
        total = min(config.total_bytes, memory_bytes // 4)
        return cls(total, config.max_cones, config.peak_threshold, config.min_peak_separation)


_TIERS: dict[Tier, tuple[int, int, float, int]] = {  # GiB, cones, threshold, peaks pi / this apart
    "apple-silicon": (6, 8, 0.15, 12),
    "nvidia-consumer": (18, 16, 0.18, 24),
    "amd-rdna": (18, 16, 0.18, 24),
    "nvidia-spark": (100, 64, 0.2, 48),
    "nvidia-hopper": (64, 32, 0.2, 32),
    "nvidia-blackwell": (64, 32, 0.2, 32),
    "cpu-only": (4, 4, 0.1, 8),
}
