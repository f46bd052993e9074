"""Which partition must an index scan least of, and is it the one that cuts the fewest neighbours?

    python benchmarks/partition.py --data FOLDER --cache FOLDER [--sets NAME,...] [--rows 25000] [--seeds 3]
        [--cells 0] [--thrml 1000,4000] [--large N]

Sets as in `sets.py`; each seed draws `--rows` of a set's points and is the key of what a method draws. For each
method with the same number of cells (4 sqrt(N) unless given): the share of the edges of the 16-neighbour graph
(by cosine) that are cut, largest / mean cell, purity, and what is scanned for a mean recall@10 of 0.90, 0.95 and
0.99: cells opened in the order of query . centroid, the same number for all queries, interpolated, points and
one product a cell for this order. Purity is the share of rows of their cell's most frequent kind, among the rows
whose kind is known (`labels.py`). FAISS trains with its defaults on the same vectors; METIS runs if pymetis is
installed; `random` deals the rows out. Means over the seeds, with the lowest and the highest.

`--thrml` times the two Potts samplers on the first so many MiniLM rows, `--large N` k-means and FAISS on N x 128
clustered rows. The last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import faiss
import labels as kinds
import numpy as np
import sets

from thesphere.neighbours import Neighbours, nearest
from thesphere.neighbours.search import unit_rows
from thesphere.roots.partition import Kmeans, Potts, Shells, partition
from thesphere.roots.partition.measure import balance, cut, purity
from thesphere.scan import Metric

RECALLS = (0.9, 0.95, 0.99)
FIGURES = ("cut", "balance", "purity", "at_90", "at_95", "at_99")
Divided = tuple[str, np.ndarray, np.ndarray]  # method, labels [N] and centroids [K, D]


def scanned(labels: np.ndarray, centroids: np.ndarray, queries: np.ndarray, truth: np.ndarray) -> list[float]:
    """Points and products per query for each of `RECALLS`."""
    order = np.argsort(-(queries @ centroids.T), axis=1, kind="stable")
    sizes = np.bincount(labels, minlength=len(centroids))
    points = sizes[order].cumsum(axis=1).mean(axis=0)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    needed = np.take_along_axis(ranks, labels[truth], axis=1)
    recall = np.bincount(needed.ravel(), minlength=len(centroids)).cumsum() / needed.size
    grid, inside = np.concatenate([[0], recall]), np.concatenate([[0], points])
    return [float(np.interp(target, grid, inside)) + len(centroids) for target in RECALLS]


def ivf(keys: np.ndarray, cells: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Labels, centroids and seconds of training and adding of FAISS IVF."""
    begun = time.perf_counter()
    quantizer = faiss.IndexFlatIP(keys.shape[1])
    index = faiss.IndexIVFFlat(quantizer, keys.shape[1], cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.min_points_per_centroid, index.cp.seed = 1, 1234 + seed
    index.train(keys)
    index.add(keys)
    seconds = time.perf_counter() - begun
    return quantizer.search(keys, 1)[1][:, 0], quantizer.reconstruct_n(0, cells), seconds


def metis(graph: Neighbours, cells: int, seed: int) -> np.ndarray:
    """Labels of METIS, k-way on the unweighted graph."""
    import pymetis

    edges = graph.edges()
    adjacency = pymetis.CSRAdjacency(edges.starts, edges.targets)
    return np.asarray(pymetis.part_graph(cells, adjacency, options=pymetis.Options(seed=seed))[1])


def means(labels: np.ndarray, keys: np.ndarray, cells: int, metric: Metric) -> np.ndarray:
    """float32 [cells, D], normalised for cosine."""
    sums = np.zeros((cells, keys.shape[1]))
    np.add.at(sums, labels, keys)
    sums /= np.maximum(np.bincount(labels, minlength=cells), 1)[:, None]
    return unit_rows(sums) if metric == "cosine" else sums.astype(np.float32)


def divided(
    points: np.ndarray, keys: np.ndarray, metric: Metric, cells: int, graph: Neighbours, seed: int
) -> Iterator[Divided]:
    """What each method makes of the points. `keys`: what inner products are taken of."""
    yield "faiss_ivf", *ivf(keys, cells, seed)[:2]
    methods = {
        "kmeans": Kmeans(),
        "kmeans_other": Kmeans(spherical=metric == "ip"),
        "shells": Shells(),
        "potts_1.6": Potts(),
        "potts_1.05": Potts(cap=1.05),
        "ising": "ising",
        "alternating_axis": "alternating_axis",
    }
    for name, method in methods.items():
        found = partition(points, cells, metric=metric, method=method, neighbours=graph, key=seed)
        yield name, found.labels, found.centroids
    if find_spec("pymetis"):
        labels = metis(graph, cells, seed)
        yield "metis", labels, means(labels, keys, cells, metric)
    labels = np.random.default_rng(seed).permutation(np.arange(len(points)) % cells)
    yield "random", labels, means(labels, keys, cells, metric)


def compare(made: sets.Set, known: np.ndarray | None, rows: int, seeds: int, cells: int) -> dict[str, dict]:
    """Per method, the figures of each seed.

    Args:
        made: a set.
        known: the kinds of its points, see `labels.classes`.
        rows, seeds, cells: as the arguments of this script.
    """
    asked = next(iter(made.asked.values()))
    found: dict[str, dict[str, list]] = {}
    for seed in range(seeds):
        begun = time.perf_counter()
        own = np.random.default_rng(seed).permutation(len(made.points))[:rows]
        points = np.ascontiguousarray(made.points[own])
        keys = sets.unit_rows(points) if made.metric == "cosine" else points
        queries = sets.unit_rows(asked.judged) if made.metric == "cosine" else asked.judged
        truth = sets.truth_of(points, asked.judged, made.metric)[0]
        graph = nearest(points, 16)
        wanted = cells or round(4 * len(points) ** 0.5)
        told = np.full(len(points), -1) if known is None else known[own]
        for method, labels, centroids in divided(points, keys, made.metric, wanted, graph, seed):
            sizes = np.bincount(labels, minlength=len(centroids))
            pure = purity(labels[told >= 0], told[told >= 0])
            figures = [cut(labels, graph.edges()), balance(sizes), pure]
            figures += scanned(labels, centroids, queries, truth)
            row = found.setdefault(method, {"cells": []} | {name: [] for name in FIGURES})
            row["cells"].append(len(centroids))
            for name, figure in zip(FIGURES, figures, strict=True):
                row[name].append(None if np.isnan(figure) else round(figure, 4))
        print(f"  {made.name}, seed {seed}: {time.perf_counter() - begun:.1f} s", flush=True)
    return found


def tell(name: str, found: dict[str, dict]) -> None:
    """Print one row per method: means, and the range where it is not one number."""
    print(f"\n| {name} | cut | balance | purity | points and products at .95 |\n|---|---|---|---|---|")
    for method, row in found.items():
        told = []
        for key, form in (("cut", ".3f"), ("balance", ".2f"), ("purity", ".3f"), ("at_95", ",.0f")):
            values = row[key]
            if None in values:
                told.append("-")
                continue
            mean, low, high = (format(float(f(values)), form) for f in (np.mean, np.min, np.max))
            told.append(mean if low == high else f"{mean} ({low} to {high})")
        print(f"| {method} | {' | '.join(told)} |")
    print(flush=True)


def samplers(points: np.ndarray, sizes: list[int]) -> list[dict]:
    """Seconds of 20 sweeps of the Potts model by our heat-bath and by thrml, first run and second."""
    from thesphere.roots.partition.heat import sweep_cells
    from thesphere.sampling.ising import lay_out, sample_potts

    table = []
    for rows in sizes:
        edges = nearest(points[:rows], 8).edges()
        cells = round(4 * rows**0.5)
        start = partition(points[:rows], cells).labels
        spent = []
        for _ in range(2):
            labels, counts = start.copy(), np.bincount(start, minlength=cells)
            begun = time.perf_counter()
            for sweep in range(20):
                sweep_cells(*edges, labels, counts, rows, 1.0, np.uint64(sweep))
            spent.append(time.perf_counter() - begun)
        for _ in range(2):
            begun = time.perf_counter()
            sample_potts(edges, start, cells, temperatures=np.ones(20))
            spent.append(time.perf_counter() - begun)
        names = ("own_first", "own_second", "thrml_first", "thrml_second")
        row = {"rows": rows, "cells": cells, "blocks_width_degree": list(lay_out(edges).tails.shape)}
        table.append(row | {n: round(s, 4) for n, s in zip(names, spent, strict=True)})
        print(table[-1], flush=True)
    return table


def large(rows: int, cells: int) -> dict:
    """Seconds of k-means and of FAISS IVF's training and adding, clustered rows x 128."""
    points = sets.clustered(rows)
    partition(points[:1000], 10)  # compiles
    ours = partition(points, cells).report.seconds
    print("kmeans", rows, cells, round(ours, 2), flush=True)
    return {
        "rows": rows,
        "cells": cells,
        "kmeans": round(ours, 2),
        "faiss": round(ivf(sets.unit_rows(points), cells, 0)[2], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with ann/ and pairs/")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps what sets.py makes")
    parser.add_argument("--sets", default=",".join(sets.NAMES))
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cells", type=int, default=0)
    parser.add_argument("--thrml", default="", help="numbers of rows, comma-separated")
    parser.add_argument("--large", type=int, default=0)
    given = parser.parse_args()
    result: dict = {"benchmark": "partition", "rows": given.rows, "seeds": given.seeds, "sets": {}}
    for name in given.sets.split(",") if given.sets else []:
        made = sets.load(name, given.data, given.cache)
        known = kinds.classes(name, given.data, given.cache, made.points)
        result["sets"][name] = compare(made, known, given.rows, given.seeds, given.cells)
        tell(name, result["sets"][name])
    if given.thrml:
        rows = np.asarray(sets.minilm(given.data, given.cache)[0], np.float32)
        result["samplers"] = samplers(rows, [int(count) for count in given.thrml.split(",")])
    if given.large:
        result["large"] = large(given.large, round(4 * given.large**0.5))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
