"""NavigationWeights and MultiConeNavigator of the earlier Rust system."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from thesphere import runtime
from thesphere.compat.roots_config import RootsConfig
from thesphere.compat.roots_index import RootsIndex
from thesphere.compat.runtime_config import BudgetConfig
from thesphere.compat.sphere_ebm import SphereEBM
from thesphere.navigate.energies import Weights
from thesphere.navigate.navigation import Navigation
from thesphere.navigate.navigator import Navigator, Signals
from thesphere.neighbours.graph import Edges

NEIGHBOURS = 10  # of the graph that springs and paths follow


@dataclass(frozen=True)
class NavigationWeights:
    """How much each term of the energy counts: `thesphere.navigate.Weights` under the older names and defaults.

    Each term is brought to its spread over the candidates first, and has an effect. In the older system the
    squared radius drowned the cosine, low entropy was punished where the text said it was preferred, and graph,
    path and harmonic terms entered no ranking.
    """

    lambda_semantic: float = 1.0
    lambda_radial: float = 0.5
    lambda_graph: float = 0.3
    lambda_entropy: float = 0.2
    lambda_path: float = 0.1
    lambda_harmonic: float = 0.4
    temperature: float = 1.0

    @classmethod
    def default(cls) -> "NavigationWeights":
        """1, 0.5, 0.3, 0.2, 0.1, 0.4: nearness to the query decides together with everything else."""
        return cls()

    @classmethod
    def uniform(cls) -> "NavigationWeights":
        """All terms alike."""
        return cls(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)

    @classmethod
    def semantic_only(cls) -> "NavigationWeights":
        """Nearness to the query alone."""
        return cls(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    def weights(self) -> Weights:
        """The same as weights of `thesphere.navigate`.

        Raises:
            InputError: a weight that is not finite, or a temperature that is not above 0.
        """
        return Weights(
            self.lambda_semantic,
            self.lambda_radial,
            self.lambda_graph,
            self.lambda_entropy,
            self.lambda_path,
            self.lambda_harmonic,
            self.temperature,
        )


@dataclass(frozen=True, eq=False)
class MultiConeResult:
    """What cones found, best first; `navigation` holds all that is known about it (status, cost, cones)."""

    navigation: Navigation

    @property
    def target_indices(self) -> np.ndarray:
        """int64 [h], rows of the sphere."""
        return self.navigation.ids

    @property
    def target_energies(self) -> np.ndarray:
        """float64 [h], ascending: lower is better."""
        return self.navigation.energies

    @property
    def cones_spawned(self) -> int:
        """`n_cones()`."""
        return self.n_cones()

    @property
    def budget_used(self) -> int:
        """Bytes that were read; the older one told what had been reserved."""
        return self.navigation.cost.bytes_scanned

    def n_targets(self) -> int:
        """How many points were found."""
        return len(self.navigation)

    def n_cones(self) -> int:
        """How many cones were opened."""
        return len(self.navigation.cones)

    def top_k(self, k: int) -> list[tuple[int, float]]:
        """The k best as (index, energy), lower energy first; fewer where fewer were found."""
        pairs = zip(self.target_indices[:k].tolist(), self.target_energies[:k].tolist(), strict=True)
        return list(pairs)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return iter(self.top_k(self.n_targets()))

    def __len__(self) -> int:
        return self.n_targets()

    def explain(self) -> tuple[list[str], dict[str, Any]]:
        """See `Navigation.explain`."""
        return self.navigation.explain()


class MultiConeNavigator:
    """Opens cones around the roots that a query excites, reads within a budget, and ranks what they find.

    The older one opened all its cones at one and the same place, placed all points anew at random for each of
    them, and read everything whatever the budget: its ranking was that of the radius. Here cones open where the
    points are, coordinates are not needed, and the budget is kept to the byte.

    Attributes:
        sphere_ebm: the points.
        index: their partitions, with member lists whatever the config says: without them nothing is found.
        budget: bytes, cones and thresholds of a query.
        weights: of the energy. Nearness alone unless `with_weights` says otherwise.
    """

    def __init__(
        self,
        sphere_ebm: SphereEBM,
        index: RootsIndex,
        budget: runtime.BudgetConfig | None = None,
        weights: NavigationWeights | Weights | None = None,
        *,
        edges: Edges | None = None,
    ) -> None:
        """`edges`: of a hypergraph, for the graph and path terms; the neighbours by cosine unless given."""
        self.sphere_ebm = sphere_ebm
        self.index = index
        self.budget = budget or BudgetConfig.default()
        self.weights = weights or NavigationWeights.semantic_only()
        self.edges = edges

    @classmethod
    def from_sphere_ebm(
        cls,
        sphere_ebm: SphereEBM,
        roots_config: RootsConfig | None = None,
        budget: runtime.BudgetConfig | None = None,
        key: int | None = None,
        device: str | None = None,
    ) -> "MultiConeNavigator":
        """Build the index and navigate it; see `RootsIndex.from_sphere_ebm`."""
        config = replace(roots_config or RootsConfig(), store_member_indices=True)
        return cls(sphere_ebm, RootsIndex.from_sphere_ebm(sphere_ebm, config, key), budget)

    @classmethod
    def from_sphere_ebm_with_bytes(
        cls,
        sphere_ebm: SphereEBM,
        patches: Sequence[bytes],
        roots_config: RootsConfig | None = None,
        budget: runtime.BudgetConfig | None = None,
        key: int | None = None,
        device: str | None = None,
    ) -> "MultiConeNavigator":
        """As `from_sphere_ebm`, with the bytes of each point; see `RootsIndex.from_sphere_ebm_with_bytes`."""
        config = replace(roots_config or RootsConfig(), store_member_indices=True)
        index = RootsIndex.from_sphere_ebm_with_bytes(sphere_ebm, patches, config, key)
        return cls(sphere_ebm, index, budget)

    def with_weights(self, weights: NavigationWeights | Weights) -> "MultiConeNavigator":
        """The same navigator with these weights. The weight of what the sphere does not have (entropies) counts
        as 0, as it did."""
        return MultiConeNavigator(self.sphere_ebm, self.index, self.budget, weights, edges=self.edges)

    def navigate_multi_cone(
        self,
        query: Any,
        query_radius: float = 50.0,
        top_k: int = 10,
        key: int | None = None,
        device: str | None = None,
        *,
        text: bytes = b"",
    ) -> MultiConeResult:
        """The points of least energy.

        Args:
            query: [D], from the encoder that made the embeddings.
            query_radius: where the query is taken to lie between min_radius and max_radius, for the radial term.
                The older text called it a temperature.
            top_k: how many in all; the older text said per cone, its code merged and cut to this number.
            key: accepted; nothing is drawn.
            device: accepted; one query runs on the CPU.
            text: the query's bytes: partitions that show its rare strings are excited too.
        """
        found = self._navigator.navigate(query, top_k, radius=query_radius, text=text)
        return MultiConeResult(found)

    @cached_property
    def _navigator(self) -> Navigator:
        asked = self.weights.weights() if isinstance(self.weights, NavigationWeights) else self.weights
        if self.sphere_ebm.entropies is None:
            asked = replace(asked, entropy=0.0)
        edges = None
        if asked.graph or asked.path:
            edges = self.edges or _edges(self.sphere_ebm.embeddings)
        places = _places(self.index) if asked.harmonic else None
        signals = Signals(self.sphere_ebm.ideal_radii, self.sphere_ebm.entropies, edges, places)
        return Navigator(self.index.roots, asked, self.budget, signals=signals)


def _edges(embeddings: np.ndarray) -> Edges:
    """Each point's nearest by cosine, no weight below 0."""
    from thesphere.neighbours import nearest  # numba

    neighbours = nearest(embeddings, min(NEIGHBOURS, max(1, len(embeddings) - 1)))
    return neighbours.edges(np.where(neighbours.ids >= 0, np.maximum(neighbours.similarities, 0), 0))


def _places(index: RootsIndex) -> np.ndarray:
    """float32 [N, 3]: where the root of each point lies on the chart of roots, on which the query's field is."""
    cells = index.cells
    homes = np.searchsorted(cells.roots.starts, cells.labels, side="right") - 1
    places = np.empty((index.n_points(), 3), np.float32)
    places[cells.rows[~cells.copies]] = cells.roots.position[homes[~cells.copies]]
    return places
