"""Does the chart keep neighbours together as well as UMAP on the sphere, in no more time?

    python benchmarks/chart.py --data FOLDER [--glove FILE.npy] [--rows 20000] [--seeds 3] [--part report|tune]

Sets: `rows` words of the 100-d GloVe set and `rows` of the 384-d MiniLM vectors in FOLDER, drawn by one fixed
permutation; parameters were chosen on the part "tune", which shares no row with the part "report".
Compared: our PCA and spectral starts, our chart with its defaults, umap-learn's defaults with
output_metric="haversine" and metric="cosine", and, for what the sphere costs, umap-learn's plain plane. Each
is timed from raw vectors to positions after a small run that compiles. Overlap@10 and trustworthiness (k=10)
are taken over all points; seeds are interleaved, figures are means over them. The last line is JSON.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import umap
from exact import glove

from thesphere.chart import chart, overlap, pca_positions, spectral_positions, trustworthiness
from thesphere.neighbours import nearest


def draw(vectors: np.ndarray, rows: int, part: str) -> np.ndarray:
    """float32 [rows, D]: the first `rows` of a fixed permutation to report on, the next `rows` to tune on."""
    order = np.random.default_rng(0).permutation(len(vectors))
    first = 0 if part == "report" else rows
    return np.ascontiguousarray(vectors[order[first : first + rows]], np.float32)


def haversine(embeddings: np.ndarray, seed: int) -> np.ndarray:
    """UMAP on the sphere. Its columns are colatitude and azimuth without limits, as its manual converts them."""
    fitted = umap.UMAP(metric="cosine", output_metric="haversine", random_state=seed, n_jobs=1)
    theta, phi = np.asarray(fitted.fit_transform(embeddings), np.float64).T
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)


def plane(embeddings: np.ndarray, seed: int) -> np.ndarray:
    """UMAP in the plane, as points [N, 3] of height 0: chords are then its distances."""
    fitted = umap.UMAP(metric="cosine", random_state=seed, n_jobs=1)
    return np.pad(np.asarray(fitted.fit_transform(embeddings)), ((0, 0), (0, 1)))


def unseeded(embeddings: np.ndarray, _: int) -> np.ndarray:
    """UMAP on the sphere on all cores, which it only uses without a seed: its fastest run."""
    theta, phi = np.asarray(
        umap.UMAP(metric="cosine", output_metric="haversine").fit_transform(embeddings), np.float64
    ).T
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)


METHODS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "pca": lambda embeddings, _: pca_positions(embeddings),
    "spectral": lambda embeddings, seed: spectral_positions(nearest(embeddings, 10), key=seed),
    "chart": lambda embeddings, seed: chart(embeddings, key=seed).positions,
    "umap_haversine": haversine,
    "umap_haversine_unseeded": unseeded,
    "umap_plane": plane,
}


def compare(name: str, embeddings: np.ndarray, seeds: int, methods: list[str]) -> list[dict]:
    """One row per method."""
    graph = nearest(embeddings, 10)
    runs = {method: [] for method in methods}
    for seed in range(seeds):
        for method in methods:
            wall, cpu = time.perf_counter(), time.process_time()
            points = METHODS[method](embeddings, seed)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            runs[method].append((overlap(points, graph), trustworthiness(points, embeddings), wall, cpu))
            print(name, seed, method, [round(value, 4) for value in runs[method][-1]], flush=True)
    rows = []
    for method in methods:
        means = np.mean(runs[method], axis=0)
        labels = ("overlap_at_10", "trustworthiness", "seconds", "cpu_seconds")
        spread = float(np.std([run[0] for run in runs[method]]))
        figures = {label: round(float(value), 4) for label, value in zip(labels, means, strict=True)}
        rows.append({"set": name, "method": method, **figures, "overlap_std": round(spread, 4)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the MiniLM vectors")
    parser.add_argument("--glove", type=Path, help=".npy file that keeps the 100-d words between runs")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=["report", "tune"], default="report")
    parser.add_argument("--methods", default=",".join(METHODS))
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", module="umap|sklearn|pynndescent")
    methods = asked.methods.split(",")
    small = np.random.default_rng(0).standard_normal((2000, 16), np.float32)
    for method in methods:  # compiles
        METHODS[method](small, 0)
    minilm = np.load(asked.data / "minilm_debian_docs_f16.npy", mmap_mode="r")
    sets = {"minilm-384": draw(minilm, asked.rows, asked.part)}
    words = glove(asked.glove)
    if words is not None:
        sets["glove-100"] = draw(words, asked.rows, asked.part)
    table = []
    for name, embeddings in sets.items():
        table += compare(name, embeddings, asked.seeds, methods)
    for row in table:
        print(row)
    print(json.dumps({"benchmark": "chart", "rows": asked.rows, "seeds": asked.seeds, "table": table}))


if __name__ == "__main__":
    main()
