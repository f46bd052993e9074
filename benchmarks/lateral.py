"""What do the two fillings that move points along their shell do to the chart, and at what cost?

    python benchmarks/lateral.py --data FOLDER [--rows 10000] [--seeds 3] [--large 0]

MiniLM vectors (`minilm_debian_docs_f16.npy` in FOLDER) from spectral, PCA and random starts: neighbour overlap@10
before and after, total variation before and after, passes, CPU seconds without the neighbour graph (which comes
first, and is timed apart), the first call of a process apart. Chance is 10 / (N - 1). --large N adds clustered
points [N, 128]: CPU seconds of whole fills, graph included. Means over seeds. The last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from thesphere.chart import overlap
from thesphere.filling import fill
from thesphere.neighbours import nearest

METHODS = ("lateral", "langevin")
STARTS = ("spectral", "pca", "random")
JUDGED = 1000  # points whose overlap is measured on the large set


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of all threads, and what the job gave."""
    begun = time.process_time()
    result = job()
    return time.process_time() - begun, result


def judged(rows: np.ndarray, seeds: int) -> dict:
    """Overlap, balance and cost for each start and method."""
    for method in METHODS:
        first, _ = timed(lambda method=method: fill(rows[:1000], method=method))
        print(f"{method}: first call {first:.2f} CPU-s (imports, compilation)")
    spent, graph = timed(lambda: nearest(rows, 15))
    print(f"graph of {len(rows)} x {rows.shape[1]}: {spent:.2f} CPU-s; chance {10 / (len(rows) - 1):.4f}")
    table = {}
    for start in STARTS:
        for method in METHODS:
            figures = []
            for seed in range(seeds):
                before = fill(rows, chart=start, neighbours=graph, key=seed)
                cost, after = timed(
                    lambda method=method, seed=seed, before=before: fill(
                        rows, method=method, positions=before.positions, neighbours=graph, key=seed
                    )
                )
                figures.append(
                    [
                        overlap(before.positions, graph),
                        overlap(after.positions, graph),
                        after.info.tv[0],
                        after.info.tv[-1],
                        after.info.passes,
                        after.info.lateral_moves,
                        cost,
                    ]
                )
            names = ("before", "after", "tv_start", "tv_end", "passes", "lateral_moves", "cpu_s")
            means = dict(zip(names, np.round(np.mean(figures, axis=0), 4).tolist(), strict=True))
            table[f"{start}/{method}"] = means
            print(f"{start:9s} {method:9s} {means}")
    return {
        "rows": len(rows),
        "chance": round(10 / (len(rows) - 1), 5),
        "graph_cpu_s": round(spent, 2),
        **table,
    }


def large(count: int) -> dict:
    """CPU seconds of whole fills of clustered points, and overlap on some of them."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((max(1, count // 250), 128), dtype=np.float32)
    rows = centres[rng.integers(0, len(centres), count)]
    rows += rng.standard_normal(rows.shape, dtype=np.float32)
    spent, graph = timed(lambda: nearest(rows, 15))
    some = rng.choice(count, min(count, JUDGED), replace=False)
    before = overlap(fill(rows).positions, graph, rows=some)
    found: dict[str, Any] = {"rows": count, "graph_cpu_s": round(spent, 2), "before": round(before, 4)}
    for method in METHODS:
        cost, after = timed(lambda method=method: fill(rows, method=method, neighbours=graph))
        whole, _ = timed(lambda method=method: fill(rows, method=method))
        found[method] = {
            "after": round(overlap(after.positions, graph, rows=some), 4),
            "cpu_s_without_graph": round(cost, 2),
            "cpu_s": round(whole, 2),
            "tv_end": after.info.tv[-1],
        }
        print(f"{count} points, {method}: {found[method]}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--large", type=int, default=0)
    given = parser.parse_args()
    rows = np.load(given.data / "minilm_debian_docs_f16.npy")[: given.rows].astype(np.float32)
    results = {"minilm": judged(rows, given.seeds)}
    if given.large:
        results["large"] = large(given.large)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
