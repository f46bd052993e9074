"""BudgetConfig, NavigationWeights and RuntimeConfig of the earlier Rust system."""

from dataclasses import dataclass, field, fields, replace

from thesphere import runtime
from thesphere.compat.keys import Device, ensure_backend
from thesphere.compat.sphere_config import SphereConfig
from thesphere.runtime.hardware import Tier


@dataclass(frozen=True)
class BudgetConfig(runtime.BudgetConfig):
    """`thesphere.runtime.BudgetConfig` with the older builders and names.

    Bytes are bytes of coded rows that a query reads, and the budget is kept; the older one limited nothing, and
    its peak threshold and separation were never read.
    """

    @classmethod
    def default(cls) -> "BudgetConfig":
        """512 MiB, 32 cones, peaks above 0.2."""
        return cls(max_cones=32, peak_threshold=0.2)

    @classmethod
    def new(cls, total_budget_bytes: int) -> "BudgetConfig":
        """The default with this total."""
        return replace(cls.default(), total_bytes=total_budget_bytes)

    @property
    def total_budget_bytes(self) -> int:
        """`total_bytes`."""
        return self.total_bytes

    @property
    def min_cone_budget(self) -> int:
        """`min_cone_bytes`."""
        return self.min_cone_bytes

    def with_total_budget(self, total_budget_bytes: int) -> "BudgetConfig":
        return replace(self, total_bytes=total_budget_bytes)

    def with_max_cones(self, max_cones: int) -> "BudgetConfig":
        return replace(self, max_cones=max_cones)

    def with_min_cone_budget(self, min_cone_budget: int) -> "BudgetConfig":
        return replace(self, min_cone_bytes=min_cone_budget)

    def with_peak_threshold(self, peak_threshold: float) -> "BudgetConfig":
        return replace(self, peak_threshold=peak_threshold)

    def with_min_peak_separation(self, min_peak_separation: float) -> "BudgetConfig":
        return replace(self, min_peak_separation=min_peak_separation)


@dataclass(frozen=True)
class RuntimeConfig:
    """What runs where.

    Attributes:
        policy: `thesphere.runtime.Policy`: tier ("cpu-only", "nvidia-hopper", ...), profile ("cpu-fp64-strict",
            ...) and the precision and place of each operation.
        budget: what a query may read: the tier's figures, or a quarter of the memory.
        backend: "cpu" or "gpu".
        sphere: the profile Dev.
        reasons: why, one sentence per decision.
    """

    policy: runtime.Policy
    budget: BudgetConfig
    backend: Device
    sphere: SphereConfig = field(default_factory=SphereConfig)
    reasons: tuple[str, ...] = ()

    @classmethod
    def auto(cls) -> "RuntimeConfig":
        """From what this machine offers, its accelerator included; a machine without one is "cpu-only", which the
        older one called unknown."""
        found = runtime.RuntimeConfig.auto(accelerator=True)
        return cls(found.policy, _budget(found.budget), ensure_backend(), reasons=found.reasons)

    @classmethod
    def for_tier(cls, tier: Tier) -> "RuntimeConfig":
        """As it would be on that tier."""
        policy = runtime.Policy.for_tier(tier)
        backend: Device = "cpu" if tier in ("cpu-only", "unknown") else "gpu"
        return cls(policy, BudgetConfig.for_tier(tier), backend)  # type: ignore[arg-type]

    def is_hpc(self) -> bool:
        """Whether the accelerator is fast at float64."""
        return self.policy.tier in ("nvidia-hopper", "nvidia-blackwell", "nvidia-spark")

    def is_unified_memory(self) -> bool:
        """Whether processor and accelerator share their memory."""
        return self.policy.tier in ("apple-silicon", "nvidia-spark")

    def budget_gb(self) -> float:
        """The budget in GiB."""
        return self.budget.total_bytes / 2**30


def _budget(given: runtime.BudgetConfig) -> BudgetConfig:
    return BudgetConfig(**{each.name: getattr(given, each.name) for each in fields(given)})
