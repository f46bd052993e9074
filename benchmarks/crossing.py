"""From how many rows on do cells answer faster than an exact scan of all rows?

    python benchmarks/crossing.py --data FOLDER [--rows 5000,10000,20000,40000,80000,160000,320000] [--repeats 5]
        [--threads 1] [--without-collections] [--quick]

Rows: the 40,000 MiniLM vectors of package descriptions in `FOLDER/minilm_debian_docs_f16.npy`, 384-d, of smaller
sizes a part, of larger ones with rows that have some noise. Queries: short descriptions of other packages,
`minilm_debian_queries_f16.npy`; half of them calibrate the cells, the others ask. Cosine, k = 10, and recall 0.95
of the cells. Timed are, flat and by cells: single queries one after another and batches of 1,000 of a `Roots`
(what `RootsConfig.flat_below` is about), and single queries with a vector of a collection (what
`thesphere.sphere.sphere.LARGE` is about). Medians of the repeats, which go round all jobs in turn, after one to
warm up. A crossing is interpolated between neighbouring sizes, linear in the logarithms of rows and of the ratio
of the times: from there on cells stay faster; null where they are slower at the largest size, and the smallest
size where they are faster at all. The last line is JSON.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from thesphere import Sphere
from thesphere.roots import Roots, RootsConfig
from thesphere.sphere import sphere as collections

K, RECALL = 10, 0.95
SINGLES = 100
NOISE = 0.3  # of the standard deviation of the values
ROWS = (5000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000)
Job = Callable[[], object]


def load(folder: Path, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """float32 points [rows, 384] and queries [2000, 384]."""
    docs = np.load(folder / "minilm_debian_docs_f16.npy").astype(np.float32)
    queries = np.load(folder / "minilm_debian_queries_f16.npy").astype(np.float32)
    rng = np.random.default_rng(seed)
    extra = docs[rng.integers(0, len(docs), max(0, rows - len(docs)))]
    extra = extra + NOISE * docs.std() * rng.standard_normal(extra.shape, dtype=np.float32)
    return np.concatenate([docs[rng.permutation(len(docs))], extra])[:rows], queries


def timed(jobs: dict[str, Job], repeats: int) -> dict[str, float]:
    """Median milliseconds of each job, the repeats interleaved."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for repeat in range(repeats + 1):
        for name, job in jobs.items():
            begun = time.perf_counter()
            job()
            if repeat:
                taken[name].append(1000 * (time.perf_counter() - begun))
    return {name: float(np.median(each)) for name, each in taken.items()}


@contextmanager
def collection(points: np.ndarray, queries: np.ndarray) -> Iterator[Sphere]:
    """A collection of these points with an index for these queries, in a folder that goes."""
    large, collections.LARGE = collections.LARGE, len(points) + 1  # else the import builds one as well
    try:
        with tempfile.TemporaryDirectory() as folder:
            with Sphere.create(Path(folder) / "crossing.sphere", encoder="arrays") as sphere:
                sphere.import_arrays(points)
                sphere.build_roots(queries=queries)
                yield sphere
    finally:
        collections.LARGE = large


def shared(found: np.ndarray, true: np.ndarray) -> float:
    """The mean share of the true ids [Q, k] that were found."""
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, true, strict=True)]))


def measure(points: np.ndarray, queries: np.ndarray, threads: int, repeats: int, collected: bool) -> dict:
    """One row of the table."""
    calibration, asked = queries[::2], queries[1::2]
    some = asked[:SINGLES]
    flat = Roots.build(points, "cosine", config=RootsConfig(flat_below=len(points) + 1))
    cells = Roots.build(points, "cosine", config=RootsConfig(flat_below=1), queries=calibration)
    jobs: dict[str, Job] = {
        "single flat": lambda: [flat.search(query, K, threads=threads) for query in some],
        "single cells": lambda: [cells.search(query, K, recall=RECALL, threads=threads) for query in some],
        "batch flat": lambda: flat.search(asked, K, threads=threads),
        "batch cells": lambda: cells.search(asked, K, recall=RECALL, threads=threads),
    }
    told = timed(jobs, repeats)
    true, found = flat.search(asked, K).ids, cells.search(asked, K, recall=RECALL).ids
    row: dict[str, object] = {"rows": len(points), "recall": round(shared(found, true), 4)}
    if collected:
        with collection(points, calibration) as sphere:
            again: dict[str, Job] = {
                "collection flat": lambda: [sphere.search(vector=q, k=K, exact=True) for q in some],
                "collection cells": lambda: [sphere.search(vector=q, k=K, recall=RECALL) for q in some],
            }
            told |= timed(again, repeats)
            hits = [[h.point for h in sphere.search(vector=q, k=K, recall=RECALL)] for q in some]
            row["collection_recall"] = round(shared(np.array(hits), true[:SINGLES]), 4)
    for name, milliseconds in told.items():
        each = len(asked) if name.startswith("batch") else len(some)
        row[name.replace(" ", "_") + "_us"] = round(1000 * milliseconds / each, 2)
    print(row, flush=True)
    return row


def crossing(rows: Sequence[int], ratios: Sequence[float]) -> int | None:
    """Rows from which on the ratio, flat over cells, stays above 1."""
    slower = [place for place, ratio in enumerate(ratios) if ratio <= 1]
    if not slower:
        return rows[0]
    last = slower[-1]
    if last == len(rows) - 1:
        return None
    low, high = math.log(ratios[last]), math.log(ratios[last + 1])
    part = -low / (high - low)
    return round(math.exp((1 - part) * math.log(rows[last]) + part * math.log(rows[last + 1])))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", default=",".join(map(str, ROWS)))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without-collections", action="store_true")
    parser.add_argument("--quick", action="store_true", help="2,000 and 8,000 rows, one repeat")
    given = parser.parse_args()
    counts = sorted(int(count) for count in given.rows.split(","))
    if given.quick:
        counts, given.repeats = [2000, 8000], 1
    table = []
    for count in counts:
        points, queries = load(given.data, count)
        table.append(measure(points, queries, given.threads, given.repeats, not given.without_collections))
    crossings = {
        kind: crossing(counts, [row[f"{kind}_flat_us"] / row[f"{kind}_cells_us"] for row in table])
        for kind in ("single", "batch", "collection")
        if f"{kind}_flat_us" in table[0]
    }
    about = {"metric": "cosine", "k": K, "recall_asked": RECALL, "threads": given.threads}
    print(json.dumps({**about, "crossing": crossings, "table": table}))


if __name__ == "__main__":
    main()
