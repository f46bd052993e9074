"""How long does one `Sphere.search` take, whole, after warm-up?

    python benchmarks/search.py PATH [--points 100000] [--queries 200] [--source-bytes 1048576]

PATH is ingested (`lsa`) in sources of at most `--source-bytes` until the collection has the points asked for.
Lexical: fragments of 3 to 8 words from random passages. Vectors: `Sphere.search(vector=...)` beside one query to
FAISS IndexFlatIP on the same rows in the same run, taken in turn. Medians; the last line is JSON.
"""

import argparse
import json
import random
import re
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from thesphere.readers import Source, read, segments
from thesphere.sphere import Sphere


def fill(path: str, home: Path, points: int, source_bytes: int) -> Sphere:
    """A collection with about `points` points, from files of at most `source_bytes`."""
    inputs = home / "in"
    inputs.mkdir()
    size = number = 0
    for item in read([path], max_size=1 << 40):
        if not isinstance(item, Source) or size > points * min(400, source_bytes):
            continue
        for segment in segments(item, size=source_bytes):
            (inputs / f"{number:06d}").write_bytes(segment.data)
            number += 1
            size += len(segment.data)
            if size > points * min(400, source_bytes):
                break
    sphere = Sphere.create(home / "bench.sphere", encoder="lsa")
    sphere.ingest(inputs)
    return sphere


def fragments(sphere: Sphere, count: int) -> list[str]:
    """Words of random passages, 3 to 8 in a row."""
    rng = random.Random(0)
    view = sphere.view
    found: list[str] = []
    while len(found) < count:
        part = rng.choice(view.parts)
        window = rng.randrange(part.windows)
        start, end = part.window_span(window)
        text = view.read(part, int(part.window_document[window]), start, end)[0].decode("utf-8", "replace")
        words = re.findall(r"[A-Za-z]{2,}", text)
        if len(words) > 20:
            at = rng.randrange(len(words) - 9)
            found.append(" ".join(words[at : at + rng.randrange(3, 9)]))
    return found


def timed(function) -> float:
    begun = time.perf_counter()
    function()
    return (time.perf_counter() - begun) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--source-bytes", type=int, default=1 << 20)
    parser.add_argument("--queries", type=int, default=200)
    arguments = parser.parse_args()
    import faiss

    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        sphere = fill(arguments.path, Path(home), arguments.points, arguments.source_bytes)
        queries = fragments(sphere, arguments.queries)
        for query in queries[:20]:
            sphere.search(query)
        lexical = [timed(lambda query=query: sphere.search(query)) for query in queries]
        joined = [timed(lambda query=query: sphere.search(query, vectors=True)) for query in queries]
        rows = sphere.points().embeddings
        unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        flat = faiss.IndexFlatIP(unit.shape[1])
        flat.add(unit)
        vectors, peer = [], []
        picked = rows[np.random.default_rng(0).permutation(len(rows))[: arguments.queries]]
        for round_, vector in enumerate(np.concatenate([picked[:20], picked])):
            ours = timed(lambda vector=vector: sphere.search(vector=vector))
            theirs = timed(
                lambda vector=vector: flat.search(vector[None] / max(1e-9, float(np.linalg.norm(vector))), 10)
            )
            if round_ >= 20:
                vectors.append(ours)
                peer.append(theirs)
        result = {
            "points": len(rows),
            "width": rows.shape[1],
            "windows": sphere.info()["windows"],
            "lexical_median_ms": statistics.median(lexical),
            "lexical_p95_ms": sorted(lexical)[int(0.95 * len(lexical))],
            "joined_median_ms": statistics.median(joined),
            "vector_median_ms": statistics.median(vectors),
            "faiss_flat_median_ms": statistics.median(peer),
        }
        sphere.close()
    for key, value in result.items():
        print(f"{key}: {value:.2f}" if isinstance(value, float) else f"{key}: {value}")
    print(json.dumps({"benchmark": "search", "results": result}))


if __name__ == "__main__":
    main()
