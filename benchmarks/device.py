"""How many queries a second does a device answer, and are the answers those of the host's scan?

    python benchmarks/device.py [--rows 1000000] [--width 384] [--queries 8192] [--k 10] [--metric cosine]
        [--kind clustered] [--threads 1,4] [--repeats 5] [--checked 512] [--most DEVICES]

Rows are keyed: "clustered" are 2,000 centres with noise of half their length and lognormal norms, "random" is
Gaussian. Batches of 1, 32, 1,024 and all queries; medians after one round of warm-up, which compiles. The
first `checked` queries are compared with `thesphere.scan.search`, ids and float64 scores, and the time of
that scan is given beside it. The last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable

import jax
import numpy as np

from thesphere.roots.device import DeviceRows
from thesphere.scan import Part, encode, search


def made(kind: str, count: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [count, width]."""
    rows = rng.standard_normal((count, width), dtype=np.float32)
    if kind == "clustered":
        centres = np.random.default_rng(1).standard_normal((2000, width), dtype=np.float32)
        rows *= 0.5
        rows += centres[rng.integers(0, len(centres), count)]
        rows *= np.exp(0.3 * rng.standard_normal((count, 1), dtype=np.float32))
    return rows


def median(job: Callable[[], object], repeats: int) -> float:
    """Seconds of `job`, after one run that does not count."""
    seconds = []
    for repeat in range(repeats + 1):
        begun = time.perf_counter()
        job()
        if repeat:
            seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--queries", type=int, default=8192)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--metric", choices=("ip", "cosine"), default="cosine")
    parser.add_argument("--kind", choices=("clustered", "random"), default="clustered")
    parser.add_argument("--threads", default="1,4", help="workers on the host")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--checked", type=int, default=512)
    parser.add_argument("--most", type=int, help="devices to use at most; all when left out")
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    vectors = made(asked.kind, asked.rows, asked.width, rng)
    queries = made(asked.kind, asked.queries, asked.width, rng)
    part = Part(encode(vectors), vectors)
    begun = time.perf_counter()
    rows = DeviceRows(part.codes, vectors, asked.metric, devices=jax.local_devices()[: asked.most])
    loaded = time.perf_counter() - begun
    threads = [int(each) for each in asked.threads.split(",")]

    few = queries[: asked.checked]
    search([part], few[:8], asked.k, metric=asked.metric)  # compiles, and gets the columns ready
    begun = time.perf_counter()
    truth = search([part], few, asked.k, metric=asked.metric, threads=threads[-1])
    host = time.perf_counter() - begun
    found = rows.search(few, asked.k, threads=threads[-1])
    same = bool((found.ids == truth.ids).all() and (found.scores == truth.scores).all())
    table = []
    for workers in threads:
        for batch in sorted({min(size, asked.queries) for size in (1, 32, 1024, asked.queries)}):
            one = queries[:batch]
            seconds = median(lambda one=one, n=workers: rows.search(one, asked.k, threads=n), asked.repeats)
            table.append(
                {
                    "threads": workers,
                    "batch": batch,
                    "milliseconds": round(1000 * seconds, 3),
                    "queries_per_second": round(batch / seconds),
                }
            )
            print(table[-1], flush=True)
    print(
        json.dumps(
            {
                "benchmark": "device",
                "device": rows.devices[0].device_kind,
                "devices": len(rows.devices),
                "rows": asked.rows,
                "width": asked.width,
                "k": asked.k,
                "metric": asked.metric,
                "kind": asked.kind,
                "same_answers": same,
                "checked": len(few),
                "rescored_per_query": round(found.rescored / len(few), 1),
                "host_rescored_per_query": round(truth.rescored / len(few), 1),
                "host_queries_per_second": round(len(few) / host),
                "load_seconds": round(loaded, 2),
                "table": table,
            }
        )
    )


if __name__ == "__main__":
    main()
