"""A million points: how long does building take, opening and the first answer, and how much memory?

    python benchmarks/large.py [--rows 1000000] [--threads 2] [--folder FOLDER] [--parts roots,faiss,collection]

Clustered rows x 128 (`sets.clustered`). `Roots.build` beside FAISS IVFFlat with as many lists (training and
adding); `Roots.load` with and without its check; a collection made by `Sphere.import_arrays`, which from 200,000
points on builds its index by itself, else by `build_roots`; `Sphere.open`, `info()` and the first search.

Each of these runs in a process of its own which has done the same on 25,000 rows before, so that code is loaded;
`process_s` is a process that has not, from its start on. All files have just been written: the page cache is
warm. Memory of building is the peak above what was held before, points included in the latter. Of opening:
`anonymous_mb` is the process's own memory; mapped pages are told apart into those of the originals (the vectors)
and of everything else, `mapped_mb`; memory beyond the originals is the sum of these two. An index file holds
its vectors: there pages beyond what the vectors would fill are counted. Times and memory of reading are taken
before a search, after one, and after `SEARCHES`. The last line is JSON.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import sets

from thesphere import Sphere
from thesphere.roots import Roots, RootsConfig

WARM, SEARCHES, K, MB = 25_000, 100, 10, 1e6
WIDTH = 128
ORIGINALS = "vectors.safetensors"  # the file of a part that holds the rows as they came
FIRST = """
import sys, numpy as np
from thesphere import Sphere
with Sphere.open(sys.argv[1]) as sphere:
    sphere.search(vector=np.ones(int(sys.argv[2]), np.float32), k=10, recall=0.95)
"""


def memory(folder: Path) -> dict[str, int]:
    """Bytes in memory now: the process's own, and of mapped files in `folder` those of the originals, of indexes
    with their vectors, and of all others."""
    held = {"anonymous": 0, "originals": 0, "indexes": 0, "mapped": 0}
    kind = ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            path = Path(line.split(maxsplit=5)[5]) if "/" in line else Path()
            kind = "mapped" if folder in path.parents else ""
            if kind and path.name == ORIGINALS:
                kind = "originals"
            elif kind and path.parent == folder:
                kind = "indexes"
        elif name == "Rss:" and kind:
            held[kind] += 1024 * int(rest.split()[0])
        elif name == "Anonymous:":
            held["anonymous"] += 1024 * int(rest.split()[0])
    return held


def grown(folder: Path, before: dict[str, int], originals: int) -> dict[str, float]:
    """MB beyond `before`, and beyond the originals. `originals`: bytes of the vectors in an index file."""
    now = memory(folder)
    anonymous = now["anonymous"] - before["anonymous"]
    mapped = now["mapped"] + max(0, now["indexes"] - originals)
    return {
        "anonymous_mb": round(anonymous / MB, 1),
        "mapped_mb": round(mapped / MB, 1),
        "originals_mb": round((now["originals"] + min(now["indexes"], originals)) / MB, 1),
    }


def peak(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives back, its seconds, and the MB of memory that it needed at most."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS:")
    begun = time.perf_counter()
    made = work()
    return made, time.perf_counter() - begun, (_status("VmHWM:") - before) / MB


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def build_index(rows: int, threads: int, folder: Path) -> dict[str, float]:
    """Make and save an index in `folder`."""
    points = sets.unit_rows(sets.clustered(rows))
    config = RootsConfig(partitions=round(4 * rows**0.5))
    Roots.build(points[:WARM], "cosine", key=0, threads=threads)  # compiles
    index, seconds, most = peak(lambda: Roots.build(points, "cosine", config=config, key=0, threads=threads))
    _, saving, _ = peak(lambda: index.save(folder))
    return {
        "lists": round(4 * rows**0.5),
        "build_s": round(seconds, 1),
        "peak_mb": round(most, 1),
        "save_s": round(saving, 2),
        "points_mb": round(points.nbytes / MB, 1),
        "index_mb": round(index.nbytes / MB, 1),
        "index_over_int8_rows": round(index.nbytes / points.size, 3),
    }


def build_faiss(rows: int, threads: int) -> dict[str, float]:
    """FAISS IVFFlat with as many lists."""
    import faiss
    import peers

    points = sets.unit_rows(sets.clustered(rows))
    faiss.omp_set_num_threads(threads)
    peer = peers.Ivf(peers.lists_of(rows))
    _, seconds, most = peak(lambda: peer.build(points, False))
    return {"build_s": round(seconds, 1), "peak_mb": round(most, 1)}


def build_collection(rows: int, folder: Path) -> dict[str, Any]:
    """Import into a new collection and index it."""
    points = sets.clustered(rows)
    with Sphere.create(folder, encoder="arrays") as sphere:
        _, seconds, most = peak(lambda: sphere.import_arrays(points))
        told = {"import_s": round(seconds, 1), "import_peak_mb": round(most, 1)}
        told["import_indexes"] = sphere.index is not None
        if sphere.index is None:
            _, seconds, most = peak(sphere.build_roots)
            told |= {"build_roots_s": round(seconds, 1), "build_roots_peak_mb": round(most, 1)}
    files = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    own = sum(size for path, size in files.items() if path.name == ORIGINALS)
    return told | {"points_mb": round(own / MB, 1), "beside_mb": round((sum(files.values()) - own) / MB, 1)}


def open_index(folder: Path, warm: Path, check: bool) -> dict[str, Any]:
    """`Roots.load` and searches."""
    queries = sets.unit_rows(sets.clustered(SEARCHES))
    _searches(Roots.load(warm, check=check).search, queries)
    gc.collect()
    before = memory(folder)
    begun = time.perf_counter()
    index = Roots.load(folder, check=check)
    told: dict[str, Any] = {"load_ms": _ms(begun)}
    told["loaded"] = grown(folder, before, index.vectors.nbytes)
    return told | _asked(index.search, queries, lambda: grown(folder, before, index.vectors.nbytes))


def open_collection(folder: Path, warm: Path) -> dict[str, Any]:
    """`Sphere.open`, `info()` and searches."""
    queries = sets.clustered(SEARCHES)
    with Sphere.open(warm) as small:
        _searches(_asking(small), queries)
        small.info()
    gc.collect()
    before = memory(folder)
    begun = time.perf_counter()
    sphere = Sphere.open(folder)
    told: dict[str, Any] = {"open_ms": _ms(begun)}
    told |= _asked(_asking(sphere), queries, lambda: grown(folder, before, 0))
    begun = time.perf_counter()
    sphere.info()
    return told | {"info_after_searches_ms": _ms(begun), "with_info": grown(folder, before, 0)}


def collection_info(folder: Path, warm: Path) -> dict[str, float]:
    """`Sphere.open(...).info()` before any search."""
    with Sphere.open(warm) as small:
        small.info()
    begun = time.perf_counter()
    Sphere.open(folder).info()
    return {"open_and_info_ms": _ms(begun)}


def _asking(sphere: Sphere) -> Callable:
    return lambda queries, k: sphere.search(vector=queries[0], k=k, recall=0.95)


def _searches(search: Callable, queries: np.ndarray) -> list[float]:
    """Milliseconds of each query, asked by itself."""
    spent = []
    for place in range(len(queries)):
        begun = time.perf_counter()
        search(queries[place : place + 1], K)
        spent.append(_ms(begun))
    return spent


def _asked(search: Callable, queries: np.ndarray, held: Callable[[], dict[str, float]]) -> dict[str, Any]:
    """The first search and the others, and the memory after each."""
    told: dict[str, Any] = {"first_search_ms": _searches(search, queries[:1])[0], "searched_once": held()}
    told["search_ms"] = round(float(np.median(_searches(search, queries[1:]))), 3)
    return told | {"searched": held()}


def _ms(begun: float) -> float:
    return round(1000 * (time.perf_counter() - begun), 3)


def apart(work: Callable, *given: Any) -> dict[str, Any]:
    """What it tells when it runs in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        told = pool.submit(work, *given).result()
    print(work.__name__, *(value for value in given if not isinstance(value, Path)), told, flush=True)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--folder", type=Path, help="where the files go, 3 GB for a million; by default temporary"
    )
    parser.add_argument("--parts", default="roots,faiss,collection")
    given = parser.parse_args()
    parts = given.parts.split(",")
    last: dict[str, Any] = {
        "benchmark": "large",
        "rows": given.rows,
        "width": WIDTH,
        "threads": given.threads,
    }
    with tempfile.TemporaryDirectory(dir=given.folder) as home:
        folder = Path(home).resolve()
        small, large = folder / "small", folder / "large"
        if "roots" in parts:
            apart(build_index, WARM, given.threads, small)
            last["roots"] = apart(build_index, given.rows, given.threads, large)
            for check in (False, True):
                last["roots"]["checked" if check else "unchecked"] = apart(open_index, large, small, check)
        if "faiss" in parts:
            last["faiss_ivf"] = apart(build_faiss, given.rows, given.threads)
        if "collection" in parts:
            small, large = folder / "small.sphere", folder / "large.sphere"
            apart(build_collection, WARM, small)
            last["collection"] = apart(build_collection, given.rows, large)
            last["collection"] |= apart(open_collection, large, small) | apart(collection_info, large, small)
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", FIRST, large, str(WIDTH)], check=True, env=dict(os.environ))
            last["collection"]["process_s"] = round(time.perf_counter() - begun, 2)
    if {"roots", "faiss_ivf"} <= last.keys():
        last["build_over_faiss"] = round(last["roots"]["build_s"] / last["faiss_ivf"]["build_s"], 2)
    print(json.dumps(last))


if __name__ == "__main__":
    main()
