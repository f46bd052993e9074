"""How well and how fast do the entropy models read? Bits per byte beside gzip and xz, and kB/s.

    python benchmarks/entropy.py FILE... [--most BYTES]

`small` and `large` are the lengths to which arithmetic coding with their probabilities would bring the file;
`small_entropy`, `large_entropy` and `light_entropy` are the mean of the entropies that patches are cut by, in
bits (the light model gives no probabilities). Every file is read from an empty state. Speeds are of entropies
alone over the largest file, medians of three: kB of wall time, and of the time that all threads together spent,
which other work on the machine disturbs less. The last line is JSON.
"""

import argparse
import gzip
import json
import lzma
import os
import time
from pathlib import Path

import numpy as np

from thesphere.patches.entropy import EntropyModel
from thesphere.patches.models import open_entropy_model
from thesphere.patches.recurrent import SHA256, shipped

RUNS = 3
TIMED_BYTES = 1 << 20


def sizes(data: bytes) -> dict[str, float]:
    """Bits per byte of one file, by method."""
    light, models = open_entropy_model("light"), {name: shipped(name) for name in SHA256}
    found = {
        "bytes": len(data),
        "gzip_9": 8 * len(gzip.compress(data, 9)) / len(data),
        "xz_9": 8 * len(lzma.compress(data, preset=9)) / len(data),
        "light_entropy": float(light.entropies(data).mean(dtype=np.float64) / np.log(2)),
    }
    for name, model in models.items():
        found[f"{name}_entropy"] = float(model.entropies(data).mean(dtype=np.float64) / np.log(2))
        found[name] = float(model.costs(data).mean(dtype=np.float64) / np.log(2))
    return found


def speed(model: EntropyModel, data: bytes, threads: int) -> tuple[float, float]:
    """kB/s of wall time, and of the time of all threads."""
    os.environ["THESPHERE_THREADS"] = str(threads)
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter(), time.process_time()
        model.entropies(data)
        times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    wall, busy = len(data) / 1e3 / np.median(times, 0)
    return float(wall), float(busy)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=1 << 30, help="bytes of each file that are read")
    asked = parser.parse_args()
    texts = {str(path): path.read_bytes()[: asked.most] for path in asked.files}
    figures = {}
    for name, data in texts.items():
        if data:
            figures[name] = sizes(data)
            print(name, *(f"{key} {value:.4g}" for key, value in figures[name].items()), sep="  ", flush=True)
    largest = max(texts.values(), key=len)[:TIMED_BYTES]
    speeds = {"light_1": speed(open_entropy_model("light"), largest, 1)}  # it never uses a second thread
    speeds |= {f"{name}_{n}": speed(shipped(name), largest, n) for name in SHA256 for n in (1, 2)}
    for key, (wall, busy) in speeds.items():
        name, _, threads = key.partition("_")
        print(f"{name} on {threads} threads  {wall:.4g} kB/s  {busy:.4g} kB per second of processor time")
    print(json.dumps({"benchmark": "entropy", "files": figures, "kilobytes_per_second": speeds}))


if __name__ == "__main__":
    main()
