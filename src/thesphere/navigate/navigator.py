"""The navigator: from a query to peaks, cones, cells, and a ranked answer that accounts for itself."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from thesphere.errors import InputError
from thesphere.navigate import energies
from thesphere.navigate.cones import Cones, open_cones, shape_of
from thesphere.navigate.energies import Weights
from thesphere.navigate.navigation import Cone, Navigation
from thesphere.navigate.opening import Aim, Index, Opened, spend
from thesphere.navigate.peaks import Peaks, activate, detect_peaks, held
from thesphere.neighbours.graph import Edges
from thesphere.norms import row_norms
from thesphere.roots.calibrate import MADE_OF
from thesphere.roots.stop import EVERYTHING
from thesphere.runtime import BudgetConfig
from thesphere.scan.rows import as_rows
from thesphere.types import Cost, Status

POOL = 64  # candidates that are ranked where other terms than the semantic one count, or 4 k
NEEDS = {"graph": "edges", "entropy": "entropies", "path": "edges", "harmonic": "positions"}


@dataclass(frozen=True)
class Signals:
    """What is known of the rows besides their vectors; row i is the index's i-th by ascending id.

    Attributes:
        radii: [N], from a filling; None: the vectors' norms.
        entropies: [N], nats, NaN where unknown.
        edges: a neighbour graph or hypergraph over the rows, weights 0 or more.
        positions: [N, 3], directions on the chart.
    """

    radii: np.ndarray | None = None
    entropies: np.ndarray | None = None
    edges: Edges | None = None
    positions: np.ndarray | None = None


class Navigator:
    """Opens cones over an index and ranks what they find by energy.

    Attributes:
        index: with cells.
        weights: of the energy's terms.
        budget: bytes, cones, thresholds.
        signals: what the terms need.
        evidence_weight: of textual evidence, in units of the range of activations and of routing scores: above 1
            a root or cell that certainly holds the text comes before all that surely do not.
    """

    def __init__(
        self,
        index: Index,
        weights: Weights | None = None,
        budget: BudgetConfig | None = None,
        *,
        signals: Signals | None = None,
        evidence_weight: float = 2.0,
    ) -> None:
        """Raises InputError for an index without cells, or a weight whose signal is missing or no one per row."""
        self.index = index
        self.weights = weights or Weights()
        self.budget = budget or BudgetConfig()
        self.signals = signals or Signals()
        self.evidence_weight = evidence_weight
        self._prepare()

    def _prepare(self) -> None:
        """Check the index and the signals, and measure the angles between roots and cells."""
        cells = self.index.cells
        if cells is None:
            raise InputError("a flat index has no cells to navigate; build it with RootsConfig(flat_below=1)")
        if not cells.members:
            raise InputError(
                "the index has no member lists: it can be routed, not navigated; build it with them"
            )
        _check(self.signals, self.weights, len(self.index.ids))
        roots = cells.roots
        radii = np.asarray(roots.radius_range, np.float64).mean(axis=1)
        self._measured = cells
        self._sizes = np.diff(cells.starts)
        self._shape = shape_of(roots.centroid, roots.starts, radii, roots.count, cells.centres)

    def navigate(
        self,
        query: Any,
        k: int = 10,
        *,
        budget: int | None = None,
        recall: float | None = None,
        radius: float | None = None,
        text: bytes = b"",
        evidence: np.ndarray | None = None,
        more: int = 0,
    ) -> Navigation:
        """The k rows of least energy that the cones find.

        Args:
            query: [D].
            k: 0 or more.
            budget: bytes of coded rows to read at most, in place of the configuration's; without `recall` all
                of it is spent if there is that much to read. What choosing cells reads is the same for every
                query and not in it.
            recall: stop as soon as the index's calibrated rule for this mean recall allows.
            radius: the query's, for the radial term; needed with radii of a filling, else its norm.
            text: the query's bytes: roots whose sketches show its rare n-grams are excited.
            evidence: [K] in [0, 1] by cell, in place of `text`, from whoever knows better: inverted lists do.
            more: hits beyond the first k that are told as well if they are met, but not looked for.

        Raises:
            InputError: another width, more than one query, NaN or infinity, options out of range.
        """
        begun = perf_counter()
        rows = as_rows(query, "query", self.index.vectors.shape[1], one=True)
        if len(rows) != 1 or not np.isfinite(rows).all():
            raise InputError("one vector [D] of finite numbers was expected; navigate queries one by one")
        if k < 0 or (budget is not None and budget < 0):
            raise InputError(f"k is {k} and the budget {budget}; give 0 or more")
        if self.weights.radial and self.signals.radii is not None and radius is None:
            raise InputError("the radial term compares with radii of a filling; give the query's radius")
        if self.index.cells is not self._measured:  # rows were added or removed
            self._prepare()
        asked = rows[0]
        config = self.budget if budget is None else replace(self.budget, total_bytes=budget)
        rule = EVERYTHING if recall is None else self.index.stop(recall, k)
        told = self._evidence(text, evidence)
        activations = self._activations(asked, told)
        scores = self.index.cell_scores(asked)
        if not k or not len(scores):
            cones, found = None, Opened.nothing(len(scores), 0)
        else:
            cones = open_cones(self._peaks(activations, config), activations, self._shape)
            urgent = scores + self.evidence_weight * np.ptp(scores) * told
            aim = Aim(self._kept(k) + more, k, rule, scores, self.index.cell_ceilings(asked))
            found = spend(self.index, asked, cones, urgent, config, aim)
        status, gap, stopped = self._standing(asked, found, k, recall)
        terms, levels = self._energies(asked, found, activations, radius)
        best = np.lexsort((found.ids, -found.scores, levels))[: k + more]
        return Navigation(
            ids=found.ids[best],
            energies=levels[best],
            scores=found.scores[best],
            shares=energies.boltzmann(levels[best]),
            found_by=found.found_by[best],
            terms={name: term[best] for name, term in terms.items()},
            cones=() if cones is None else self._account(cones, found),
            activations=activations,
            budget=config.total_bytes,
            status=status,
            gap=gap,
            stopped=stopped,
            cost=Cost(
                bytes_scanned=int(found.bytes.sum()),
                bytes_stored=int(self._sizes.sum()) * self.index.row_bytes,
                points_scanned=int(found.points.sum()),
                rescored=len(found.ids),
                milliseconds=1000 * (perf_counter() - begun),
            ),
        )

    def _kept(self, k: int) -> int:
        """How many of the best by score are ranked by energy."""
        return k if self.weights.used == ("semantic",) else max(4 * k, POOL)

    def _evidence(self, text: bytes, evidence: np.ndarray | None) -> np.ndarray:
        """float64 [K] in [0, 1]."""
        if evidence is not None:
            told = np.asarray(evidence, np.float64)
            if told.shape != self._sizes.shape or not ((told >= 0) & (told <= 1)).all():
                raise InputError(
                    f"evidence has shape {list(told.shape)}; give a number in [0, 1] for each of"
                    f" {len(self._sizes)} cells"
                )
            return told
        roots = self.index.cells.roots
        return held(text, roots.sketch)[self._shape.homes] if text else np.zeros(len(self._sizes))

    def _activations(self, query: np.ndarray, told: np.ndarray) -> np.ndarray:
        """float64 [K0]; the evidence for a root is that of its best cell."""
        centroids = self.index.cells.roots.centroid
        best = np.zeros(len(centroids))
        np.maximum.at(best, self._shape.homes, told)
        return activate(query, centroids, evidence=best, weight=self.evidence_weight)

    def _peaks(self, activations: np.ndarray, config: BudgetConfig) -> Peaks:
        """The peaks, or where nothing is above the threshold the most excited root: a query goes somewhere."""
        centroids = self.index.cells.roots.centroid
        peaks = detect_peaks(
            activations,
            centroids,
            threshold=config.peak_threshold,
            separation=config.min_peak_separation,
            most=config.effective_max_cones,
        )
        if len(peaks):
            return peaks
        best = int(activations.argmax())
        return Peaks(np.array([best]), activations[[best]], np.zeros(1))

    def _standing(
        self, query: np.ndarray, found: Opened, k: int, recall: float | None
    ) -> tuple[Status, float, str]:
        """(status, gap, why it stopped)."""
        left = ~found.whole & (self._sizes > 0)
        if not left.any() or not k:
            return "exact", 0.0, "every cell was read, or proved to hold nothing better"
        kept, opened = self._kept(k), int((found.owners >= 0).sum())
        last = found.scores[kept - 1] if len(found.scores) >= kept else -np.inf
        ceiling = float(self.index.cell_ceilings(query)[left].max())
        if ceiling < last:
            return (
                "exact",
                0.0,
                f"no row outside the {opened} cells that were read can belong to the best {kept}",
            )
        gap = max(ceiling - float(last), 0.0)
        if found.enough:
            return (
                "probable",
                gap,
                f"after {opened} cells the rule for a recall of {recall} had enough; it was calibrated on "
                + MADE_OF[self.index.calibrated_on(kept)],
            )
        return "partial", gap, f"the budget was spent, with {int(left.sum())} cells not read to their end"

    def _energies(
        self, query: np.ndarray, found: Opened, activations: np.ndarray, radius: float | None
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """(scaled terms that have a weight, energies): of the candidates, float64 [M] each."""
        used, signals, weights = self.weights.used, self.signals, self.weights
        rows = np.searchsorted(self.index.ids, found.ids)
        nearness = energies.scaled(energies.semantic(found.scores))
        terms: dict[str, np.ndarray] = {}
        if not len(rows):
            return {name: np.zeros(0) for name in used}, np.zeros(0)
        for name in used:
            if name == "semantic":
                terms[name] = nearness
            elif name == "radial":
                given = signals.radii
                radii = row_norms(self.index.vectors[rows]) if given is None else np.asarray(given)[rows]
                own = float(row_norms(query[None])[0]) if radius is None else radius
                terms[name] = energies.scaled(energies.radial(radii, own))
            elif name == "graph" and signals.edges is not None:
                terms[name] = energies.scaled(energies.graph(signals.edges, rows, nearness))
            elif name == "entropy":
                terms[name] = energies.scaled(energies.entropy(np.asarray(signals.entropies)[rows]))
            elif name == "path" and signals.edges is not None:
                terms[name] = energies.scaled(energies.path(signals.edges, rows, int(rows[0])))
            elif name == "harmonic":
                terms[name] = energies.scaled(energies.harmonic(self._amplitudes(activations, rows)))
        return terms, energies.total(terms, weights)

    def _amplitudes(self, activations: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The query's field on the chart where some rows lie: float64 [M]. The mean activation is no signal."""
        from thesphere.harmonics import evaluate  # JAX
        from thesphere.navigate.interference import field

        coefficients, _, _ = field(activations - activations.mean(), self.index.cells.roots.position)
        return evaluate(coefficients, np.asarray(self.signals.positions, np.float64)[rows])

    def _account(self, cones: Cones, found: Opened) -> tuple[Cone, ...]:
        """Each cone's account."""
        peaks = cones.peaks
        return tuple(
            Cone(
                root=int(peaks.roots[c]),
                strength=float(peaks.strengths[c]),
                spread=float(peaks.spreads[c]),
                aperture=float(cones.apertures[c]),
                widest=float(self._shape.angles[peaks.roots[c], found.owners == c].max(initial=0.0)),
                held=int((cones.members == c).sum()),
                opened=int((found.owners == c).sum()),
                granted=int(found.granted[c]),
                bytes=int(found.bytes[c]),
                points=int(found.points[c]),
                best_id=int(found.best_ids[c]),
                best_score=float(found.best_scores[c]),
            )
            for c in range(len(cones))
        )


def _check(signals: Signals, weights: Weights, count: int) -> None:
    """Refuse weights without their signals, and signals that are not one per row."""
    for name in weights.used:
        if name in NEEDS and getattr(signals, NEEDS[name]) is None:
            raise InputError(
                f"weight {name} is set, but signals.{NEEDS[name]} is missing; give it or leave it 0"
            )
    for name in ("radii", "entropies", "positions"):
        given = getattr(signals, name)
        wanted = (count, 3) if name == "positions" else (count,)
        if given is None:
            continue
        values = np.asarray(given)
        if values.shape != wanted or values.dtype.kind not in "fiu":
            raise InputError(
                f"signals.{name} is {values.dtype} {list(values.shape)}; give numbers {list(wanted)}"
            )
        if not (np.isfinite(values) | (np.isnan(values) & (name == "entropies"))).all():
            raise InputError(f"signals.{name} holds NaN or infinity; give finite numbers")
    if signals.edges is not None and len(signals.edges.starts) != count + 1:
        raise InputError(f"signals.edges joins {len(signals.edges.starts) - 1} rows, the index has {count}")
