"""RootsConfig, SubstringConfig and PartitionMethod of the earlier Rust system."""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from thesphere.errors import InputError
from thesphere.roots.config import RootsConfig as Settings

if TYPE_CHECKING:
    from thesphere.roots.partition.problem import Strategy

INITIAL = 2.0  # temperature of the first Ising sweep at beta 1, in units of the mean coupling


class PartitionMethod(StrEnum):
    """How points are divided. The older "max cut" was, by its sign, a cut of the least weight, as was wanted: it
    keeps like points together. Its alternating axis had no effect beside that, so both names are one method."""

    IsingMaxCut = "ising"
    AlternatingAxis = "alternating_axis"
    AlternatingMaxCut = "alternating_max_cut"


@dataclass(frozen=True)
class SubstringConfig:
    """How much shared substrings count when points are divided.

    Attributes:
        enabled: False leaves the bytes out.
        weight: of substrings, 0 to 1; the cosine has the rest. The older pair of weights alpha and beta was this
            and 1 - weight by default.

    The lengths and tests that the older code also had (4 to 64 bytes, containment, hashes) are those of
    `thesphere.roots.partition.sketch`: n-grams of 4, 8 and 16 bytes, sketched once per point.
    """

    enabled: bool = True
    weight: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise InputError(f"the substring weight is {self.weight}; give 0 to 1")

    @classmethod
    def default(cls) -> "SubstringConfig":
        """70 % embedding, 30 % substring."""
        return cls()

    @classmethod
    def with_weights(cls, alpha: float, beta: float) -> "SubstringConfig":
        """Embedding alpha, substring beta, 0 or more and not both 0; only their ratio matters."""
        if not (alpha >= 0 and beta >= 0 and 0 < alpha + beta < math.inf):
            raise InputError(f"the weights are {alpha} and {beta}; give two numbers of 0 or more, not both 0")
        return cls(weight=beta / (alpha + beta))

    @classmethod
    def substring_only(cls) -> "SubstringConfig":
        """Substrings alone."""
        return cls(weight=1.0)

    @classmethod
    def embedding_only(cls) -> "SubstringConfig":
        """Embeddings alone."""
        return cls(enabled=False, weight=0.0)


@dataclass(frozen=True)
class RootsConfig:
    """How an index is divided and when a partition answers.

    Attributes:
        partition_method: see `PartitionMethod`; or any name or strategy of `thesphere.roots.partition`, of which
            "kmeans" scans least at equal recall.
        n_partitions: how many partitions are wanted; never more than there are points.
        beta: inverse temperature of the Ising model, above 0: it starts at 2 / beta in units of the mean coupling
            and is cooled to a tenth of that. The older one stayed at one temperature, without centred couplings,
            and put all points on one side.
        gibbs_warmup, gibbs_steps: their sum is the number of Ising sweeps per level.
        activation_threshold: a peak is a partition activated above this.
        min_peak_separation: radians between two peaks at least (the older one compared partition numbers).
        store_member_indices: False keeps the root level and the router, which route and activate, alone.
        substring_config: None leaves the bytes out.

    Settings of the older one that have no counterpart: min_partition_size (parts are balanced), gibbs_samples and
    compute_ngrams (never read), similarity_k and dense_threshold (couplings are those of 16 neighbours, at any
    size), pole_exclusion_angle (its poles, cut by three raw coordinates, were empty: say which points are
    instructions or questions with `roles` when the index is made, and they get partitions of their own).
    """

    partition_method: "PartitionMethod | str | Strategy" = PartitionMethod.AlternatingMaxCut
    n_partitions: int = 256
    beta: float = 1.0
    gibbs_warmup: int = 100
    gibbs_steps: int = 50
    activation_threshold: float = 0.2
    min_peak_separation: float = math.pi / 16
    store_member_indices: bool = True
    substring_config: SubstringConfig | None = field(default=None)

    def __post_init__(self) -> None:
        if not 0 < self.beta < math.inf:
            raise InputError(f"beta is {self.beta}; give a finite number above 0")
        self.settings()  # checks the rest

    @classmethod
    def default(cls) -> "RootsConfig":
        """256 partitions."""
        return cls()

    @classmethod
    def dev(cls) -> "RootsConfig":
        """16 partitions, fewer sweeps, peaks pi / 8 apart: for trying things out."""
        return cls(n_partitions=16, gibbs_warmup=20, gibbs_steps=10, min_peak_separation=math.pi / 8)

    @classmethod
    def terabyte_scale(cls) -> "RootsConfig":
        """4,096 partitions without member lists."""
        return cls(
            n_partitions=4096,
            beta=1.5,
            gibbs_warmup=50,
            gibbs_steps=25,
            activation_threshold=0.15,
            min_peak_separation=math.pi / 32,
            store_member_indices=False,
        )

    def with_partitions(self, n_partitions: int) -> "RootsConfig":
        return replace(self, n_partitions=n_partitions)

    def with_partition_method(self, method: "PartitionMethod | str | Strategy") -> "RootsConfig":
        return replace(self, partition_method=method)

    def with_threshold(self, activation_threshold: float) -> "RootsConfig":
        return replace(self, activation_threshold=activation_threshold)

    def with_beta(self, beta: float) -> "RootsConfig":
        return replace(self, beta=beta)

    def with_gibbs(self, warmup: int, steps: int, samples: int = 1) -> "RootsConfig":
        """`samples` is accepted, and without effect, as it always was."""
        return replace(self, gibbs_warmup=warmup, gibbs_steps=steps)

    def with_substring_coupling(self, config: SubstringConfig) -> "RootsConfig":
        return replace(self, substring_config=config)

    def with_default_substring_coupling(self) -> "RootsConfig":
        """70 % embedding, 30 % substring."""
        return self.with_substring_coupling(SubstringConfig())

    def without_member_indices(self) -> "RootsConfig":
        return replace(self, store_member_indices=False)

    def substring(self) -> float | None:
        """The weight of substrings, None where the bytes are left out."""
        coupling = self.substring_config
        return coupling.weight if coupling is not None and coupling.enabled else None

    def settings(self) -> Settings:
        """The same as settings of `thesphere.roots`; partitions exist for any number of points."""
        from thesphere.roots.partition.methods import strategy

        method = self.partition_method
        chosen = strategy(method.value if isinstance(method, PartitionMethod) else method)
        if chosen.name == "ising" and isinstance(method, str):
            from thesphere.roots.partition.ising import Ising  # numba

            chosen = Ising(sweeps=self.gibbs_warmup + self.gibbs_steps, temperature=INITIAL / self.beta)
        return Settings(
            partitions=self.n_partitions,
            method=chosen,
            members=self.store_member_indices,
            flat_below=1,
            substring=self.substring(),
        )
