"""Is an answer that is called exact ever wrong? Random and adversarial cases against float64 full enumeration.

    python benchmarks/soak.py [--cases 100000] [--seed 0]

A case is one query of an index of 1 to 600 rows in 1 to 60 cells: clusters, near-duplicates, repeated and zero
rows, norms from 1e-30 to 1e15, widths from 1 to 257, constant columns, integers that tie, queries that are rows,
zero or far away; k from 1 to 40; exact, or a recall that happens to be proved. Every row is scored in float64
without codes, bounds or cells (`Roots.verify`, and NumPy beside it). The last line is JSON.
"""

import argparse
import json
import time

import numpy as np

from thesphere.roots import Roots, RootsConfig
from thesphere.roots.found import LARGEST

QUERIES = 100  # of each index


def rows_of(rng: np.random.Generator) -> np.ndarray:
    """float32 [N, D] of one of the kinds above."""
    count, width = int(rng.integers(1, 600)), int(rng.choice([1, 2, 3, 8, 24, 65, 257]))
    kind = rng.integers(0, 5)
    if kind == 0:
        rows = rng.integers(-2, 3, (count, width)).astype(np.float64)
    else:
        centres = rng.standard_normal((max(1, count // 40), width))
        rows = centres[rng.integers(0, len(centres), count)]
        rows = rows + 10.0 ** rng.integers(-6, 1) * rng.standard_normal(rows.shape)
    if kind == 2:
        rows *= rng.lognormal(0, 3, (count, 1))
    if kind == 3:
        rows += 100 * rng.standard_normal(width)
    some = rng.random(count)
    rows[some < 0.05] = 0
    rows[some > 0.9] = rows[rng.integers(0, count)]
    return (rows * 10.0 ** rng.choice([-30, -3, 0, 0, 0, 4, 15])).astype(np.float32)


def queries_of(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32 [QUERIES, D]: rows, rows moved a little, others, and zero."""
    chosen = rows[rng.integers(0, len(rows), QUERIES)].astype(np.float64)
    scale = float(np.abs(rows).max()) or 1.0
    moved = chosen + scale * rng.choice([0, 1e-7, 1e-2, 3], (QUERIES, 1)) * rng.standard_normal(chosen.shape)
    moved[0] = 0
    return moved.astype(np.float32)


def differs(rows: np.ndarray, queries: np.ndarray, metric: str, found) -> bool:
    """Whether the k-th score of an exact answer is not that of NumPy's float64, beyond rounding to float32."""
    scores = queries.astype(np.float64) @ rows.astype(np.float64).T
    norms = np.linalg.norm(queries.astype(np.float64), axis=1)[:, None]
    norms = norms * np.linalg.norm(rows.astype(np.float64), axis=1)
    if metric == "cosine":
        scores = np.divide(scores, norms, out=np.zeros_like(scores), where=norms > 0)
    k = min(found.ids.shape[1], len(rows))
    kth = np.clip(-np.sort(-scores, axis=1)[:, k - 1], -LARGEST, LARGEST)  # as `Found` keeps them
    slack = 1e-6 * (np.abs(kth) + (1e-6 if metric == "cosine" else 1e-7 * norms.max(axis=1)))
    slack += 2e-45  # the smallest float32
    exact = np.array([status == "exact" for status in found.status])
    return bool((np.abs(found.scores[:, k - 1] - kth) > slack)[exact].any())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng, begun = np.random.default_rng(asked.seed), time.perf_counter()
    proved = wrong = cases = 0
    while cases < asked.cases:
        rows = rows_of(rng)
        metric = str(rng.choice(["ip", "cosine"]))
        cells = int(rng.integers(1, 60))
        roots = Roots.build(rows, metric, config=RootsConfig(partitions=cells, flat_below=1), key=cases)
        queries, k = queries_of(rows, rng), int(rng.integers(1, 40))
        for how in ({"exact": True}, {"recall": 0.8}):
            found = roots.search(queries, k, **how)
            roots.verify(found, queries)
            wrong += differs(rows, queries, metric, found)
            proved += found.status.count("exact")
            cases += len(queries)
        if cases % 10_000 == 0:
            print(f"{cases} cases, {proved} called exact, {wrong} wrong", flush=True)
    seconds = round(time.perf_counter() - begun, 1)
    print(
        json.dumps({"benchmark": "soak", "cases": cases, "exact": proved, "wrong": wrong, "seconds": seconds})
    )


if __name__ == "__main__":
    main()
