"""Which partition must an index scan least of, against the lists of FAISS IVF?

    python benchmarks/partition.py --data FOLDER [--glove FILE.npy] [--rows 40000] [--cells 0] [--thrml 1000,4000]

Sets: MiniLM vectors in FOLDER (384-d; 1,000 documents held out as queries) and GloVe words (100-d, see
exact.py), each for cosine and for raw inner product. For each method with the same number of cells (4 sqrt(N)
unless given): cut of the 16-neighbour graph, largest / mean cell, seconds, and the share of points that are
scanned for a mean recall@10 of 0.90, 0.95 and 0.99, cells opened in the order of query . centroid, the same
number for all queries, interpolated. FAISS trains with its defaults on the same vectors; METIS runs if pymetis
is installed. `--thrml` times the two Potts samplers on the first so many MiniLM rows, `--large N` k-means and
FAISS on N x 128 clustered rows. The last line is JSON.
"""

import argparse
import json
import time
from importlib.util import find_spec
from pathlib import Path

import faiss
import numpy as np
from exact import glove

from thesphere.neighbours import Neighbours, nearest
from thesphere.neighbours.search import unit_rows
from thesphere.roots.partition import Kmeans, Potts, Shells, partition
from thesphere.roots.partition.measure import balance, cut

QUERIES = 1000
K = 10
RECALLS = (0.9, 0.95, 0.99)


def split(vectors: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 points [rows, D] and held-out queries [1000, D], by a fixed permutation of the distinct rows."""
    distinct = np.unique(np.asarray(vectors, np.float32), axis=0)
    order = np.random.default_rng(0).permutation(len(distinct))
    return distinct[order[QUERIES : QUERIES + rows]], distinct[order[:QUERIES]]


def scanned(labels: np.ndarray, centroids: np.ndarray, queries: np.ndarray, truth: np.ndarray) -> list[float]:
    """Per cent of the points that are scanned for each of `RECALLS`."""
    order = np.argsort(-(queries @ centroids.T), axis=1, kind="stable")
    sizes = np.bincount(labels, minlength=len(centroids))
    points = sizes[order].cumsum(axis=1).mean(axis=0)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    needed = np.take_along_axis(ranks, labels[truth], axis=1)
    recall = np.bincount(needed.ravel(), minlength=len(centroids)).cumsum() / needed.size
    grid, inside = np.concatenate([[0], recall]), np.concatenate([[0], points])
    return [round(float(100 * np.interp(r, grid, inside) / len(labels)), 3) for r in RECALLS]


def ivf(points: np.ndarray, cells: int, metric: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Labels, centroids and seconds of training and adding of FAISS IVF."""
    given = unit_rows(points) if metric == "cosine" else points
    begun = time.perf_counter()
    quantizer = faiss.IndexFlatIP(points.shape[1])
    index = faiss.IndexIVFFlat(quantizer, points.shape[1], cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.min_points_per_centroid = 1
    index.train(given)
    index.add(given)
    seconds = time.perf_counter() - begun
    labels = quantizer.search(given, 1)[1][:, 0]
    return labels, quantizer.reconstruct_n(0, cells), seconds


def metis(graph: Neighbours, cells: int) -> tuple[np.ndarray, float]:
    """Labels and seconds of METIS, k-way on the unweighted graph."""
    import pymetis

    edges = graph.edges()
    begun = time.perf_counter()
    _, labels = pymetis.part_graph(cells, pymetis.CSRAdjacency(edges.starts, edges.targets))
    return np.asarray(labels), time.perf_counter() - begun


def compare(name: str, points: np.ndarray, queries: np.ndarray, metric: str, cells: int) -> list[dict]:
    """One row per method."""
    cells = cells or round(4 * len(points) ** 0.5)
    keys = (unit_rows(points), unit_rows(queries)) if metric == "cosine" else (points, queries)
    flat = faiss.IndexFlatIP(points.shape[1])
    flat.add(keys[0])
    truth = flat.search(keys[1], K)[1]
    graph = nearest(points, 16)
    edges = graph.edges()
    methods = {
        "kmeans": Kmeans(),
        "kmeans_other": Kmeans(spherical=metric == "ip"),
        "shells": Shells(),
        "potts_1.6": Potts(),
        "potts_1.05": Potts(cap=1.05),
        "ising": "ising",
        "alternating_axis": "alternating_axis",
    }
    table = []

    def record(method: str, labels: np.ndarray, centroids: np.ndarray, seconds: float) -> None:
        sizes = np.bincount(labels, minlength=len(centroids))
        figures = dict(zip(("90", "95", "99"), scanned(labels, centroids, keys[1], truth), strict=True))
        row = {"set": name, "metric": metric, "method": method, "cells": len(centroids)}
        row |= {"cut": round(cut(labels, edges), 4), "balance": round(balance(sizes), 2)}
        table.append(row | {"seconds": round(seconds, 2), "scanned": figures})
        print(table[-1], flush=True)

    record("faiss_ivf", *ivf(points, cells, metric))
    for method, settings in methods.items():
        found = partition(points, cells, metric=metric, method=settings, neighbours=graph)
        record(method, found.labels, found.centroids, found.report.seconds)
    if find_spec("pymetis"):
        labels, seconds = metis(graph, cells)
        means = np.zeros((cells, points.shape[1]))
        np.add.at(means, labels, keys[0])
        means /= np.maximum(np.bincount(labels, minlength=cells), 1)[:, None]
        centroids = unit_rows(means) if metric == "cosine" else means.astype(np.float32)
        record("metis", labels, centroids, seconds)
    return table


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
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((2000, 128), np.float32)
    points = centres[rng.integers(0, 2000, rows)]
    points += 0.5 * rng.standard_normal(points.shape, np.float32)
    partition(points[:1000], 10)  # compiles
    ours = partition(points, cells).report.seconds
    print("kmeans", rows, cells, round(ours, 2), flush=True)
    return {
        "rows": rows,
        "cells": cells,
        "kmeans": round(ours, 2),
        "faiss": round(ivf(points, cells, "cosine")[2], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the MiniLM vectors")
    parser.add_argument("--glove", type=Path, help=".npy file that keeps the 100-d words between runs")
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--cells", type=int, default=0)
    parser.add_argument("--metrics", default="cosine,ip")
    parser.add_argument("--thrml", default="", help="numbers of rows, comma-separated")
    parser.add_argument("--large", type=int, default=0)
    asked = parser.parse_args()
    minilm = np.load(asked.data / "minilm_debian_docs_f16.npy")
    sets = {"minilm-384": split(minilm, asked.rows)}
    words = glove(asked.glove)
    if words is not None:
        sets["glove-100"] = split(words, asked.rows)
    table, result = [], {"benchmark": "partition", "rows": asked.rows}
    partition(minilm[:500].astype(np.float32), 9, method="potts")  # compiles
    partition(minilm[:500].astype(np.float32), 9, method="ising")
    for name, (points, queries) in sets.items():
        for metric in asked.metrics.split(",") if asked.rows else []:
            table += compare(name, points, queries, metric, asked.cells)
    result["table"] = table
    if asked.thrml:
        result["samplers"] = samplers(minilm.astype(np.float32), [int(n) for n in asked.thrml.split(",")])
    if asked.large:
        result["large"] = large(asked.large, round(4 * asked.large**0.5))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
