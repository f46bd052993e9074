"""Which precision each operation gets, and the runtime that follows from the hardware."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, get_args

from thesphere.errors import InputError
from thesphere.runtime.budget import BudgetConfig
from thesphere.runtime.hardware import Hardware, Tier, hardware

Profile = Literal["cpu-fp64-strict", "gpu-mixed", "gpu-hpc-fp64"]
Operation = Literal[
    "ising",
    "harmonics",
    "angles",
    "energies",
    "recheck",
    "similarity",
    "layout",
    "training",
    "scan",
]
Precision = Literal["float64", "float32", "int8"]

# Where small differences decide (a spin, a recurrence over degrees, an angle near 0, the order of two answers) it
# is float64; work over everything is float32; the scan's int8 products give bounds, which a re-check settles.
# The code named behind each operation reads its entry here; what goes in and comes out may be stored in less.
PRECISIONS: dict[Operation, Precision] = {
    "ising": "float64",  # roots.partition.heat, sampling.ising: local fields, and what is drawn from them
    "harmonics": "float64",  # harmonics.precision: all that is between the arrays given and those returned
    "angles": "float64",  # navigate.cones: between roots and cells
    "energies": "float64",  # navigate.energies: all six terms
    "recheck": "float64",  # scan.kernel, scan.dots: the scores of answers
    "similarity": "float32",  # neighbours: cosines of the neighbour graph
    "layout": "float32",  # chart: positions, forces
    "training": "float32",  # train: parameters and their gradients; activations may be bfloat16
    "scan": "int8",  # scan.rows: codes, whose products are exact
}
_PROFILES: dict[Tier, Profile] = {
    "nvidia-consumer": "gpu-mixed",
    "amd-rdna": "gpu-mixed",
    "nvidia-hopper": "gpu-hpc-fp64",
    "nvidia-blackwell": "gpu-hpc-fp64",
    "nvidia-spark": "gpu-hpc-fp64",
}


def precision_of(operation: Operation) -> Precision:
    """The numbers that an operation computes with, as NumPy and JAX name them.

    Raises:
        InputError: there is no such operation.
    """
    if operation not in PRECISIONS:
        raise InputError(f"operation {operation!r} is unknown; give one of {', '.join(PRECISIONS)}")
    return PRECISIONS[operation]


def jax_precision(operation: Operation) -> AbstractContextManager[None]:
    """A scope in which JAX computes as the operation asks; no switch of the process is touched."""
    import jax

    return jax.enable_x64(precision_of(operation) == "float64")


@dataclass(frozen=True)
class Policy:
    """The precision of every operation, and what a tier is good for.

    An operation has one precision on every tier, else answers would differ from machine to machine. The earlier
    system computed harmonics in float32 on laptops, where their recurrence underflows from degree 17 on.

    Attributes:
        tier: see `Hardware`.
        profile: "cpu-fp64-strict" (all work on the processor), "gpu-mixed" (an accelerator that is slow at
            float64: batches of int8 and float32 pay there) or "gpu-hpc-fp64" (float64 pays there too).
    """

    tier: Tier
    profile: Profile

    @classmethod
    def for_tier(cls, tier: Tier) -> "Policy":
        """The policy of a tier.

        Raises:
            InputError: there is no such tier.
        """
        if tier not in get_args(Tier):
            raise InputError(f"tier {tier!r} is unknown; give one of {', '.join(get_args(Tier))}")
        return cls(tier, _PROFILES.get(tier, "cpu-fp64-strict"))

    def precision(self, operation: Operation) -> Precision:
        """`precision_of` the operation: the same on every tier."""
        return precision_of(operation)


@dataclass(frozen=True)
class RuntimeConfig:
    """How work runs here.

    Attributes:
        policy: tier, profile, precision per operation.
        budget: what a query may read.
        threads: workers.
        reasons: why, one sentence per decision.
    """

    policy: Policy
    budget: BudgetConfig
    threads: int
    reasons: tuple[str, ...]

    @classmethod
    def auto(cls, *, accelerator: bool = False) -> "RuntimeConfig":
        """From what this machine offers; `accelerator` looks for a GPU too (see `hardware`)."""
        return cls.of(hardware(accelerator=accelerator))

    @classmethod
    def of(cls, found: Hardware) -> "RuntimeConfig":
        """From hardware that was examined."""
        policy = Policy.for_tier(found.tier)
        budget = BudgetConfig.for_tier(found.tier, found.accelerator_bytes or found.memory_bytes)
        told = (
            f"Profile {policy.profile}: the tier's.",
            f"{budget.total_bytes / 2**30:.1f} GiB and {budget.max_cones} cones for a query at most: the tier's"
            " figures, or a quarter of the memory if that is less.",
        )
        return cls(policy, budget, found.cores, found.reasons + told)
