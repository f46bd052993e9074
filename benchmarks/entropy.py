"""How well and how fast do the entropy models read? Bits per byte beside gzip and xz, and kB/s.

    python benchmarks/entropy.py FILE... [--most BYTES]

`small` is the length to which arithmetic coding with its probabilities would bring the file; `small_entropy` and
`light_entropy` are the mean of the entropies that patches are cut by, in bits (the light model gives no
probabilities). Every file is read from an empty state. Speeds are medians of three over the largest file, of
entropies alone. The last line is JSON.
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
from thesphere.patches.small import shipped

RUNS = 3
TIMED_BYTES = 1 << 20


def sizes(data: bytes) -> dict[str, float]:
    """Bits per byte of one file, by method."""
    light, small = open_entropy_model("light"), shipped()
    return {
        "bytes": len(data),
        "gzip_9": 8 * len(gzip.compress(data, 9)) / len(data),
        "xz_9": 8 * len(lzma.compress(data, preset=9)) / len(data),
        "light_entropy": float(light.entropies(data).mean(dtype=np.float64) / np.log(2)),
        "small_entropy": float(small.entropies(data).mean(dtype=np.float64) / np.log(2)),
        "small": float(small.costs(data).mean(dtype=np.float64) / np.log(2)),
    }


def speed(model: EntropyModel, data: bytes, threads: int) -> float:
    """kB/s of wall time."""
    os.environ["THESPHERE_THREADS"] = str(threads)
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        model.entropies(data)
        times.append(time.perf_counter() - begin)
    return len(data) / 1e3 / float(np.median(times))


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
    speeds = {
        "light": speed(open_entropy_model("light"), largest, 1),  # it never uses a second thread
        "small_1_thread": speed(shipped(), largest, 1),
        "small_2_threads": speed(shipped(), largest, 2),
    }
    print(*(f"{key} {value:.4g} kB/s" for key, value in speeds.items()), sep="  ")
    print(json.dumps({"benchmark": "entropy", "files": figures, "kilobytes_per_second": speeds}))


if __name__ == "__main__":
    main()
