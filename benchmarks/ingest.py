"""How fast is ingest, how large the index, how much memory does it take?

    python benchmarks/ingest.py PATH... [--encoder lsa]

Each path is ingested into a collection of its own, in a process of its own. The last line is JSON.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from thesphere.sphere import Sphere


def measure(path: str, encoder: str) -> dict:
    """Ingest one path and measure this process."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as home:
        sphere = Sphere.create(Path(home) / "bench.sphere", encoder=encoder)
        wall, cpu = time.perf_counter(), time.process_time()
        report = sphere.ingest(path, max_size=1 << 40)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        info = sphere.info()
        sizes: Counter[str] = Counter()
        for file in Path(home).rglob("*"):
            if file.is_file():
                sizes[file.name] += file.stat().st_size
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return {
            "path": path,
            "sources": report.added,
            "megabytes": report.bytes / 1e6,
            "points": info["points"],
            "parts": info["parts"],
            "seconds": wall,
            "megabytes_per_second": report.bytes / 1e6 / wall,
            "megabytes_per_cpu_second": report.bytes / 1e6 / cpu,
            "index_over_raw": sum(sizes.values()) / report.bytes,
            "files_over_raw": {name: round(size / report.bytes, 3) for name, size in sizes.most_common()},
            "peak_memory_gigabytes": peak / 1e9,
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--encoder", default="lsa")
    parser.add_argument(
        "--one", action="store_true", help="measure in this process (used by the script itself)"
    )
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.paths[0], arguments.encoder)))
        return
    rows = []
    for path in arguments.paths:
        command = [sys.executable, __file__, "--one", "--encoder", arguments.encoder, path]
        rows.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        print(
            {key: round(value, 3) if isinstance(value, float) else value for key, value in rows[-1].items()}
        )
    print(json.dumps({"benchmark": "ingest", "encoder": arguments.encoder, "results": rows}))


if __name__ == "__main__":
    main()
