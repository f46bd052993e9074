"""What a navigation found, what each cone did for it, and the account in words."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from thesphere.types import Cost, Status


@dataclass(frozen=True)
class Cone:
    """What one cone did.

    Attributes:
        root: the peak's root.
        strength: its activation.
        spread: standard deviation of the activations around it.
        aperture: half-angle in radians, by the cone law.
        widest: radians from the axis to the farthest cell that was opened, 0 if none was.
        held: cells within the aperture or of the peak's root that fell to this cone.
        opened: cells read, those beyond the aperture included.
        granted: bytes that it was given.
        bytes: bytes of coded rows that it read.
        points: rows that it read.
        best_id, best_score: its best row; -1 and -inf if it read none.
    """

    root: int
    strength: float
    spread: float
    aperture: float
    widest: float
    held: int
    opened: int
    granted: int
    bytes: int
    points: int
    best_id: int
    best_score: float


@dataclass(frozen=True)
class Navigation:
    """The answer to one query, best first.

    Attributes:
        ids: int64 [h], h <= k distinct ids.
        energies: float64 [h], kT, lower is better, ascending; equal ones by falling score, then by id.
        scores: float64 [h], inner product or cosine.
        shares: float64 [h], exp(-energy) over the hits, sum 1: how belief spreads over them.
        found_by: int64 [h], the place in `cones` of the cone that found each.
        terms: each term that has a weight, scaled (in kT, before its weight), float64 [h].
        cones: strongest peak first.
        activations: float64 [K0], by root.
        budget: bytes of coded rows that might have been read.
        status: whether the candidates that were ranked (the k best by score; more where other terms have a
            weight) are those of full enumeration: "exact" (proved), "probable" (calibrated), "partial".
        gap: how much better than the last of the candidates a row that was not read could score at most.
        stopped: why it stopped, a sentence.
        cost: bytes of coded rows and points that were read, without what choosing cells reads.
    """

    ids: np.ndarray
    energies: np.ndarray
    scores: np.ndarray
    shares: np.ndarray
    found_by: np.ndarray
    terms: dict[str, np.ndarray]
    cones: tuple[Cone, ...]
    activations: np.ndarray
    budget: int
    status: Status
    gap: float
    stopped: str
    cost: Cost

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def nothing(cls, budget: int, stopped: str) -> "Navigation":
        """That nothing was read, and why."""
        none, ids = np.zeros(0), np.zeros(0, np.int64)
        return cls(ids, none, none, none, ids, {}, (), none, budget, "partial", np.inf, stopped, Cost())

    def explain(self) -> tuple[list[str], dict[str, Any]]:
        """(lines to read, the same as a dictionary that JSON can hold)."""
        hits = [
            {
                "id": int(self.ids[i]),
                "energy": float(self.energies[i]),
                "score": float(self.scores[i]),
                "share": float(self.shares[i]),
                "cone": int(self.found_by[i]),
                "terms": {name: float(term[i]) for name, term in self.terms.items()},
            }
            for i in range(len(self))
        ]
        cones = [
            asdict(cone) | {"best_score": cone.best_score if cone.best_id >= 0 else None}
            for cone in self.cones
        ]
        document = {
            "status": self.status,
            "gap": self.gap if np.isfinite(self.gap) else None,
            "stopped": self.stopped,
            "budget": self.budget,
            "bytes_scanned": self.cost.bytes_scanned,
            "bytes_stored": self.cost.bytes_stored,
            "points_scanned": self.cost.points_scanned,
            "cones": cones,
            "hits": hits,
        }
        cost = self.cost
        lines = [
            f"{self.status}: {self.stopped}",
            f"read {cost.points_scanned} points, {cost.bytes_scanned} of {cost.bytes_stored} bytes;"
            f" the budget was {self.budget}",
        ]
        lines += [_cone_line(number, cone) for number, cone in enumerate(self.cones)]
        lines += [_hit_line(hit) for hit in hits]
        return lines, document


def _cone_line(number: int, cone: Cone) -> str:
    best = f"best {cone.best_id} at {cone.best_score:.4f}" if cone.best_id >= 0 else "nothing read"
    return (
        f"cone {number}: root {cone.root} (activation {cone.strength:.3f} ± {cone.spread:.3f}), aperture"
        f" {np.degrees(cone.aperture):.0f}° with {cone.held} cells, {cone.opened} opened out to"
        f" {np.degrees(cone.widest):.0f}°, {cone.bytes} of {cone.granted} bytes, {cone.points} points, {best}"
    )


def _hit_line(hit: dict[str, Any]) -> str:
    terms = ", ".join(f"{name} {value:+.2f}" for name, value in hit["terms"].items())
    where = f"score {hit['score']:.4f}, cone {hit['cone']}"
    return f"hit {hit['id']}: energy {hit['energy']:+.3f} kT ({terms}), {where}"
