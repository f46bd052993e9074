"""RootsIndex of the earlier Rust system."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thesphere.compat.roots_config import RootsConfig
from thesphere.compat.sphere_ebm import SphereEBM
from thesphere.errors import InputError
from thesphere.navigate import peaks
from thesphere.roots import Roots
from thesphere.roots.cells import Cells
from thesphere.scan.rows import as_rows


@dataclass(frozen=True, eq=False)
class ActivationPeak:
    """A partition that no more excited one lies near.

    Attributes:
        partition_id: which.
        center: float32 [D], the mean direction of its points. The older one had two angles there, never filled.
        strength: its activation.
        spread: standard deviation of the activations around it.
        member_indices: int [M], its points, by falling norm.
    """

    partition_id: int
    center: np.ndarray
    strength: float
    spread: float
    member_indices: np.ndarray


class RootsIndex:
    """Points in partitions, each with its mean direction; `roots` is the index of ours behind it.

    A partition is a cell of ours: points are found in one, or in two where they lie at a border. The older one
    had no file, and could not tell how good an answer was; `save` writes it all, and `roots.search` has a status.

    Attributes:
        roots: metric "cosine"; ids are the rows of the sphere.
        config: what it was made with.
    """

    def __init__(self, roots: Roots, config: RootsConfig) -> None:
        """Use `from_sphere_ebm`, `from_sphere_ebm_with_bytes` or `load`; a flat index is refused (InputError)."""
        if roots.cells is None:
            raise InputError(
                "the index is flat, without partitions; build it with RootsIndex, of a point or more"
            )
        self.roots = roots
        self.config = config

    @classmethod
    def from_sphere_ebm(
        cls,
        sphere_ebm: SphereEBM,
        config: RootsConfig | None = None,
        key: int | None = None,
        device: str | None = None,
        *,
        roles: np.ndarray | None = None,
    ) -> "RootsIndex":
        """Divide the points of a sphere.

        Args:
            sphere_ebm: at least one point.
            config: settings; None: the defaults.
            key: of what is drawn: same key, same partitions.
            device: accepted; the index is built on the CPU.
            roles: [N] of 0 (content), 1 (instruction) and 2 (question): no partition holds points of two. These
                are the older system's poles.
        """
        return cls._build(sphere_ebm, None, config, key, roles)

    @classmethod
    def from_sphere_ebm_with_bytes(
        cls,
        sphere_ebm: SphereEBM,
        patches: Sequence[bytes],
        config: RootsConfig | None = None,
        key: int | None = None,
        device: str | None = None,
        *,
        roles: np.ndarray | None = None,
    ) -> "RootsIndex":
        """As `from_sphere_ebm`, with the bytes of each point: they sketch what strings a partition holds, and
        keep points together where the config couples substrings.

        Raises:
            InputError: not one piece of bytes for each point; the older one warned and went on.
        """
        return cls._build(sphere_ebm, patches, config, key, roles)

    @classmethod
    def _build(
        cls,
        sphere_ebm: SphereEBM,
        text: Sequence[bytes] | None,
        config: RootsConfig | None,
        key: int | None,
        roles: np.ndarray | None,
    ) -> "RootsIndex":
        chosen = config or RootsConfig()
        roots = Roots.build(
            sphere_ebm.embeddings,
            "cosine",
            config=chosen.settings(),
            key=key,
            text=text,
            roles=roles,
            prominence=sphere_ebm.prominence,
        )
        return cls(roots, chosen)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the index into a folder."""
        self.roots.save(folder)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], config: RootsConfig | None = None) -> "RootsIndex":
        """Map an index that `save` wrote; the config says when a partition answers."""
        return cls(Roots.load(folder), config or RootsConfig())

    @property
    def cells(self) -> Cells:
        """The partitions as the index has them: sizes, centres, codes, statistics of their roots."""
        cells = self.roots.cells
        assert cells is not None  # looked at when the object was made; an index does not become flat
        return cells

    def n_partitions(self) -> int:
        """K: as many as were asked for, or fewer where there are few points or many equal ones."""
        return len(self.cells)

    def n_points(self) -> int:
        """N."""
        return len(self.roots)

    def embedding_dim(self) -> int:
        """D."""
        return self.roots.width

    def members(self, partition_id: int) -> np.ndarray:
        """int [M]: the points of a partition, by falling norm, second copies included; none where member lists
        are not kept."""
        cells = self.cells
        return cells.rows[cells.starts[partition_id] : cells.starts[partition_id + 1]]

    def activate(self, query: Any) -> np.ndarray:
        """float64 [K]: the cosine of the query with each partition's mean direction."""
        return peaks.activate(self._asked(query)[0], self.cells.centres)

    def route(self, query: Any) -> int:
        """The partition in which the best answer is expected; the first that a search opens."""
        return int(np.argmax(self.roots.cell_scores(self._asked(query)[0])))

    def detect_peaks(self, activations: Any) -> list[ActivationPeak]:
        """The partitions activated above the config's threshold and its separation apart, strongest first.

        The older one took partitions for near if their numbers were.
        """
        found = peaks.detect_peaks(
            activations,
            self.cells.centres,
            threshold=self.config.activation_threshold,
            separation=self.config.min_peak_separation,
            most=self.n_partitions(),
        )
        return [
            ActivationPeak(
                int(cell), self.cells.centres[cell], float(strength), float(spread), self.members(cell)
            )
            for cell, strength, spread in zip(found.roots, found.strengths, found.spreads, strict=True)
        ]

    def _asked(self, query: Any) -> np.ndarray:
        """float32 [1, D], the one query."""
        rows = as_rows(query, "query", self.roots.width, one=True)
        if len(rows) != 1:
            raise InputError(f"{len(rows)} queries were given; give one, [{self.roots.width}]")
        return rows
