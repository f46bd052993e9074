"""How an index is divided: all settings in one place."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thesphere.errors import InputError

if TYPE_CHECKING:
    from thesphere.roots.partition.problem import Strategy
    from thesphere.scan.part import Metric

DENSITY = 4.0  # cells for each square root of the rows
SPILL = (
    0.13  # share of rows with a second copy, for cosine: .2 scans a per cent less, in a twentieth more memory
)


@dataclass(frozen=True)
class RootsConfig:
    """Settings of `build_cells`. The presets keep the names and sizes of the earlier system.

    Attributes:
        partitions: K, cells that are wanted; None: density x sqrt(N).
        density: cells for each square root of the rows, above 0; None: 4, or less for narrow rows where cells are
            made for given queries (see `thesphere.roots.responses`).
        spill: share of rows with a second copy in another cell, 0 to 1; None: 0.13 for cosine, 0 for inner
            product (where it was measured to hurt).
        spill_lambda: how much a second residual along the first one costs, 0 or more (see `spill`).
        method: a name out of `thesphere.roots.partition.METHODS`, or a strategy with settings of its own.
        members: keep the member lists. Without them only the root level, the cells' balls and the router stay, in
            memory and in the file, neither rows nor vectors: they route and activate, but find nothing.
        flat_below: with fewer rows the index is one flat list, 1 or more.
        substring: weight of shared substrings in what keeps rows together, 0 to 1, for the methods "potts" and
            "ising" with text; cosine has the rest. None: the text is left out.
    """

    partitions: int | None = None
    spill: float | None = None
    spill_lambda: float = 1.0
    method: "str | Strategy" = "kmeans"
    members: bool = True
    flat_below: int = 20_000
    substring: float | None = None
    density: float | None = None

    def __post_init__(self) -> None:
        for name in ("partitions", "flat_below"):
            value = getattr(self, name)
            if value is not None and (not hasattr(value, "__index__") or value.__index__() < 1):
                raise InputError(f"{name} is {value!r}; give a whole number, 1 or more")
        for name, most in (("spill", 1.0), ("substring", 1.0), ("spill_lambda", math.inf)):
            value = getattr(self, name)
            if value is not None and not (0 <= value <= most and math.isfinite(value)):
                raise InputError(f"{name} is {value}; give a finite number from 0 to {most:g}")
        if self.density is not None and not 0 < self.density < math.inf:
            raise InputError(f"density is {self.density}; give a finite number above 0")

    @classmethod
    def dev(cls) -> "RootsConfig":
        """16 cells, from 256 rows on: for trying things out."""
        return cls(partitions=16, flat_below=256)

    @classmethod
    def terabyte_scale(cls) -> "RootsConfig":
        """4,096 cells without member lists: what stays is 5 bytes a column for each cell and 4 for each of 256
        roots: 16.7 MB at 768 columns, however many rows there were."""
        return cls(partitions=4096, members=False)

    def count(self, rows: int) -> int:
        """K, the cells that are wanted of so many rows."""
        return self.partitions or max(1, round((self.density or DENSITY) * rows**0.5))

    def share(self, metric: "Metric") -> float:
        """The share of rows with a second copy for that metric."""
        if self.spill is not None:
            return self.spill
        return SPILL if metric == "cosine" else 0.0
