"""Does re-ordering the first cells, by second moments or by how far cells reach, scan fewer points?

    python benchmarks/shortlist.py --data FOLDER --cache FOLDER [--sets NAME,...] [--rows 100000]

Sets and their queries: `sets.py`. Cells and router are those that `Roots` builds. The router's best K/32, K/16,
K/8 or all K cells of a query are ordered again by

    base + t spread     base: the router's score, or <q, mean of the cell>; spread: (q^T S q)^1/2, S the second
                        moments of the cell's rows about their mean, R principal directions and the rest alike
    base + t reach      reach: the largest distance of a row from the cell's centre
    base + t norm       norm: of the cell's longest row; inner product only

with q of norm 1, base and t chosen among a few on 500 calibration queries. Counted are rows of the cells that are
opened until the mean recall@10 is 0.95: the same number of cells for all queries, and with the stopping rule,
calibrated for each order on the other calibration queries; both interpolated, in per cent of the rows. Dots are
products as wide as a row that ordering the cells costs a query, and total is what they and the rows at `stop`
come to. Counts only, so other work on the machine does not matter. The last line is JSON.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import peers
import sets

from thesphere.roots import RootsConfig
from thesphere.roots.calibrate import calibrate
from thesphere.roots.cells import Cells, build_cells
from thesphere.roots.content import Content
from thesphere.roots.routing import Router
from thesphere.roots.search import Index
from thesphere.roots.trace import trace_of
from thesphere.scan.block import Queries
from thesphere.scan.rows import Codes

NAMES = ("glove-cosine", "glove-ip", "minilm-cosine", "minilm-ip", "attention-ip")
RANKS = (2, 4, 12, 32)
SHARES = (32, 16, 8, 1)  # shortlists of K/32, K/16, K/8 and K cells
FACTORS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
REACHES = (-0.4, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.4)
CHOSEN_ON = 500
RECALL = 0.95
K = sets.K


@dataclass(frozen=True)
class Moments:
    """Means float64 [K, D] of the rows (directions for cosine), principal directions times their standard
    deviations float32 [K, R, D], and the variance per direction of what they leave out, float64 [K]."""

    means: np.ndarray
    axes: np.ndarray
    rest: np.ndarray

    @classmethod
    def of(cls, cells: Cells, points: np.ndarray, rank: int) -> "Moments":
        width = points.shape[1]
        means, rest = np.zeros((len(cells), width)), np.zeros(len(cells))
        axes = np.zeros((len(cells), rank, width), np.float32)
        for cell, (first, last) in enumerate(zip(cells.starts[:-1], cells.starts[1:], strict=True)):
            rows = points[cells.rows[first:last]].astype(np.float64)
            means[cell] = rows.mean(axis=0)
            _, sizes, directions = np.linalg.svd(rows - means[cell], full_matrices=False)
            variances = sizes**2 / len(rows)
            kept = min(rank, len(variances))
            axes[cell, :kept] = directions[:kept] * np.sqrt(variances[:kept, None])
            rest[cell] = variances[kept:].sum() / width
        return cls(means, axes, rest)

    def spread(self, queries: np.ndarray, rank: int) -> np.ndarray:
        """float64 [Q, K]: the standard deviation of the rows' products with unit queries [Q, D]; directions
        beyond the first `rank` count as alike."""
        beyond = (self.axes[:, rank:].astype(np.float64) ** 2).sum(axis=(1, 2)) / self.axes.shape[2]
        out = np.tile(self.rest + beyond, (len(queries), 1))
        for axis in range(rank):
            out += (queries @ self.axes[:, axis].T).astype(np.float64) ** 2
        return np.sqrt(out)


@dataclass(frozen=True)
class Order:
    """A router whose scores, of all queries, are known already; `scores` gives those of the block it is asked."""

    base: Router
    table: np.ndarray
    known: dict[bytes, int]

    @classmethod
    def of(cls, base: Router, asked: Queries, table: np.ndarray) -> "Order":
        return cls(base, table, {row.tobytes(): place for place, row in enumerate(asked.exact)})

    @property
    def codes(self) -> Codes:
        return self.base.codes

    @property
    def bias(self) -> np.ndarray:
        return self.base.bias

    @property
    def dots(self) -> float:
        return self.base.dots

    def scores(self, asked: Queries, out: np.ndarray | None = None) -> np.ndarray:
        found = self.table[[self.known[row.tobytes()] for row in asked.exact]]
        if out is None:
            return found
        out[:] = found
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        return self.base.arrays()


def reordered(scores: np.ndarray, better: np.ndarray, count: int) -> np.ndarray:
    """float32 [Q, K]: `better` for the `count` cells that score most; the others follow in their old order."""
    if count == scores.shape[1]:
        return better.astype(np.float32)
    bar = np.partition(scores, -count, axis=1)[:, -count][:, None]
    first = scores >= bar
    lowest = np.where(first, better, np.inf).min(axis=1, keepdims=True)
    return np.where(first, better, lowest + (scores - bar)).astype(np.float32)


def homes(cells: Cells, truth: np.ndarray) -> np.ndarray:
    """int64 [Q, K, 2]: the cells of each true row, twice the same where it has no second copy."""
    labels = cells.labels
    first, last = np.empty((2, cells.count), np.int64)
    last[cells.rows] = labels
    first[cells.rows[::-1]] = labels[::-1]
    return np.stack([first[truth], last[truth]], axis=2)


def fixed(cells: Cells, table: np.ndarray, places: np.ndarray) -> float:
    """Rows of the cells that all queries open, the same number each, for `RECALL`; interpolated."""
    order = np.argsort(-table, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    needed = np.take_along_axis(ranks[:, None], places, axis=2).min(axis=2)
    recall = np.bincount(needed.ravel(), minlength=len(cells)).cumsum() / needed.size
    points = cells.sizes[order].cumsum(axis=1).mean(axis=0)
    return float(np.interp(RECALL, np.r_[0, recall], np.r_[0, points]))


def stopped(index: Index, parts: list[tuple[Queries, np.ndarray]]) -> float:
    """Rows of the cells opened at `RECALL` by rules calibrated on the first (queries, scores), for the second."""
    unbounded = np.full(len(index), np.inf, np.float32)  # the scores are no cosines, on which proofs rest
    traces = []
    for asked, table in parts:
        router = Order.of(index.router, asked, table)
        free = replace(index, router=router, reaches=unbounded, norms=unbounded)
        traces.append(trace_of(free, asked.exact.astype(np.float32), K))
    calibration, judged = traces
    everyone, recall, points = np.arange(len(judged)), [0.0], [0.0]
    for rule in calibrate(calibration, K).rules:
        looks = judged.stops(rule)
        recall.append(float(judged.found[everyone, looks].mean()))
        points.append(float(judged.points[everyone, looks].mean()))
    return float(np.interp(RECALL, np.maximum.accumulate(recall), points))


class Case:
    """One set with one kind of queries."""

    def __init__(self, made: sets.Set, asked: sets.Asked) -> None:
        self.cosine = made.metric == "cosine"
        config = RootsConfig(partitions=peers.lists_of(len(made.points)))
        self.cells = build_cells(made.points, made.metric, config, key=0, queries=asked.training)
        names = np.arange(len(made.points))
        content = Content(made.points, names, made.metric, None, self.cells)
        self.index = content.index
        points = sets.unit_rows(made.points) if self.cosine else made.points
        self.moments = Moments.of(self.cells, points, max(RANKS))
        chosen, others = asked.calibration[:CHOSEN_ON], asked.calibration[CHOSEN_ON:]
        truth, _ = sets.truth_of(made.points, chosen, made.metric)
        self.places = homes(self.cells, truth), homes(self.cells, asked.truth)
        self.asked = [content.asked(queries) for queries in (chosen, others, asked.judged)]
        self.units = [sets.unit_rows(queries) for queries in (chosen, others, asked.judged)]
        self.scores = [self.index.router.scores(each) for each in self.asked]
        self.bases = {
            "router": self.scores,
            "mean": [units @ self.moments.means.T.astype(np.float32) for units in self.units],
        }

    def orders(self) -> Iterator[tuple[str, list[np.ndarray], tuple[float, ...], float]]:
        """(name, what is added to the base for each group of queries, factors, its dots for a cell)."""
        for rank in RANKS:
            added = [self.moments.spread(units, rank) for units in self.units]
            yield f"second moments, rank {rank}", added, FACTORS, float(rank)
        yield "reach", [self.cells.reaches[None]] * 3, REACHES, 0.0
        if not self.cosine:
            yield "norm", [self.cells.norms[None]] * 3, REACHES, 0.0

    def rows(self) -> Iterator[dict]:
        """One row of the table for each order and shortlist."""
        cells, router = self.cells, self.index.router
        plain = stopped(self.index, list(zip(self.asked[1:], self.scores[1:], strict=True)))
        same = fixed(cells, self.scores[2], self.places[1])
        yield {"order": "router", "cells": 0, "fixed": same, "stop": plain, "dots": router.dots}
        for name, added, factors, cost in self.orders():
            for share in SHARES if cost else SHARES[-1:]:
                count = -(-len(cells) // share)

                def table(group: int, base: str, factor: float, count=count, added=added) -> np.ndarray:
                    better = self.bases[base][group] + factor * added[group]
                    return reordered(self.scores[group], better, count)

                tried = [(base, factor) for base in self.bases for factor in factors]
                needed = [fixed(cells, table(0, *each), self.places[0]) for each in tried]
                best = tried[int(np.argmin(needed))]
                tables = [table(group, *best) for group in (1, 2)]
                yield {
                    "order": name,
                    "cells": count,
                    "base": best[0],
                    "factor": best[1],
                    "fixed": fixed(cells, tables[1], self.places[1]),
                    "stop": stopped(self.index, list(zip(self.asked[1:], tables, strict=True))),
                    "dots": router.dots + count * (cost + (best[0] == "mean")),
                }


def main() -> None:
    given = sets.options(__doc__).parse_args()
    table = []
    for name in given.sets.split(","):
        made = sets.load(name, given.data, given.cache, given.rows)
        for kind, asked in made.asked.items():
            print(f"{name}/{kind}", made.points.shape, flush=True)
            for row in Case(made, asked).rows():
                row = {"set": f"{name}/{kind}", "rows": len(made.points), **row}
                row["total"] = row["stop"] + row["dots"]
                for key in ("fixed", "stop", "dots", "total"):
                    row[key] = round(100 * row[key] / len(made.points), 3)
                table.append(row)
                print("  ", {key: row[key] for key in row if key not in ("set", "rows")}, flush=True)
    print(json.dumps({"benchmark": "shortlist", "recall": RECALL, "per cent of the rows": table}))


if __name__ == "__main__":
    main()
