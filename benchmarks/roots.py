"""Recall against queries per second: Roots beside FAISS, hnswlib, USearch and ScaNN, in one run.

    python benchmarks/roots.py --data FOLDER --cache FOLDER [--sets NAME,...] [--rows 100000] [--quick]
        [--methods NAME,...] [--recalls 0.8,0.9,0.95,0.98,0.99] [--threads 1,2] [--repeats 3]
        [--pictures FOLDER] [--large 1000000]

Sets and their queries: `sets.py`; libraries and their settings: `peers.py`. recall@10 over all judged queries
(exact answers in float64). Queries per second of batches of 1,000 and of single queries asked one after
another, median of the repeats, which go round all methods and settings in turn; only settings near the
recalls of interest are timed. Speed at a recall is interpolated between neighbouring settings of one method,
linear in recall and in the logarithm of the speed; 0 where no setting gets there.

Roots comes twice: `roots` is built with training queries of the served kind and calibrated on others of it,
`roots_points` knows the points only; both get the recalls as their settings. `roots_exact` proves its answers.

Points scanned at a recall: Roots adds its router's dots to the rows that it scored; FAISS IVF, with as many
lists, adds one dot per list to the lengths of the lists it opened, the same number for all queries,
interpolated. `--large` builds an index of so many 128-d rows and FAISS IVFFlat beside it. The last line is
JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import faiss
import numpy as np
import peers
import sets

from thesphere.roots import Roots, RootsConfig
from thesphere.scan import Metric

K = peers.K
BATCH, SINGLES = 1000, 100
RECALLS = (0.9, 0.95, 0.99)
LOWEST, HIGHEST = 0.85, 0.993  # settings beyond the next ones outside are not timed
OURS = ("roots", "roots_points", "roots_exact")


class Ours:
    """Roots behind the verbs of the peers; its settings are the recalls asked for."""

    knob = "recall"

    def __init__(self, name: str, index: Roots, recalls: Sequence[float]) -> None:
        self.name, self.index = name, index
        self.settings = [1.0] if name == "roots_exact" else list(recalls)
        self.points_per_query: dict[float, float] = {}

    def search(self, queries: np.ndarray, setting: float, threads: int) -> np.ndarray:
        recall = None if self.name == "roots_exact" else setting
        found = self.index.search(queries, K, recall=recall, exact=recall is None, threads=threads)
        if len(queries) > 1:
            self.points_per_query[setting] = found.cost.points_scanned / len(queries)
        return found.ids

    def nbytes(self) -> int:
        """Bytes of the saved index beyond the vectors themselves, which stay mapped."""
        with tempfile.TemporaryDirectory() as folder:
            self.index.save(folder)
            saved = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        return saved - self.index.vectors.nbytes

    def dots(self) -> float:
        """Products per query that routing costs, 0 for a flat index."""
        return 0.0 if self.index.cells is None else float(self.index.cells.router.dots)


def build(
    points: np.ndarray,
    metric: Metric,
    asked: sets.Asked | None,
    *,
    key: int = 0,
    lists: int = 0,
    threads: int = 2,
) -> Roots:
    """An index that is fitted to and calibrated for the kind of queries in `asked`, or for points alone."""
    config = RootsConfig(partitions=lists or None)
    training = None if asked is None else asked.training
    index = Roots.build(points, metric, config=config, key=key, threads=threads, queries=training)
    if asked is not None:
        index.calibrate(asked.calibration)
    return index


def measure(
    methods: Sequence, made: sets.Set, asked: sets.Asked, threads: list[int], repeats: int
) -> dict[str, dict[str, list]]:
    """Per method: settings, their recalls and, per mode, queries per second (None where not timed)."""
    unit = sets.unit_rows(asked.judged) if made.metric == "cosine" else asked.judged
    table: dict[str, dict[str, list]] = {}
    slowest = 0.0
    for method in methods:
        queries = asked.judged if method.name in OURS else unit
        row: dict[str, list] = {"settings": [], "recall": []}
        for setting in method.settings:
            begun = time.perf_counter()
            ids = method.search(queries, setting, max(threads))
            seconds = time.perf_counter() - begun
            row["settings"].append(setting)
            row["recall"].append(float(sets.recalls(ids, made.points, asked, made.metric).mean()))
            slowest = seconds if method.name == "faiss_flat" else slowest
            useless = slowest and seconds > 3 * slowest and method.name not in OURS  # exact search is faster
            stuck = len(row["recall"]) > 1 and LOWEST < row["recall"][-1] < row["recall"][-2] + 0.001
            if row["recall"][-1] >= HIGHEST or useless or stuck:
                break
        table[method.name] = row
        print(
            f"  {method.name}",
            dict(zip(row["settings"], [round(r, 4) for r in row["recall"]], strict=True)),
            flush=True,
        )
    modes = {f"{kind}_{count}": (kind, count) for kind in ("batch", "single") for count in threads}
    spent: dict[tuple, list[float]] = {}
    for _ in range(repeats):
        for method in methods:
            queries = asked.judged if method.name in OURS else unit
            for place in _worth(table[method.name]["recall"]):
                setting = table[method.name]["settings"][place]
                for mode, (kind, count) in modes.items():
                    given = queries[:BATCH] if kind == "batch" else queries[:SINGLES]
                    seconds = _timed(method.search, given, setting, count, single=kind == "single")
                    spent.setdefault((method.name, mode, place), []).append(len(given) / seconds)
    for method in methods:
        row = table[method.name]
        for mode in modes:
            values = [spent.get((method.name, mode, place)) for place in range(len(row["settings"]))]
            row[mode] = [None if value is None else round(float(np.median(value)), 1) for value in values]
    return table


def _worth(recall: list[float]) -> range:
    """The settings from the last below `LOWEST` to the first at `HIGHEST` or above."""
    low = max((place for place, value in enumerate(recall) if value < LOWEST), default=0)
    high = next((place for place, value in enumerate(recall) if value >= HIGHEST), len(recall) - 1)
    return range(min(low, high), high + 1)


def _timed(search: Callable, queries: np.ndarray, setting: float, threads: int, *, single: bool) -> float:
    begun = time.perf_counter()
    if single:
        for place in range(len(queries)):
            search(queries[place : place + 1], setting, threads)
    else:
        search(queries, setting, threads)
    return time.perf_counter() - begun


def at_recall(recall: Sequence[float], speed: Sequence[float | None], target: float) -> float:
    """The best speed on the curve through the settings where recall is at least `target`, else 0."""
    timed = [(r, s) for r, s in zip(recall, speed, strict=True) if s is not None]
    best = max((s for r, s in timed if r >= target), default=0.0)
    for (r0, s0), (r1, s1) in zip(timed, timed[1:], strict=False):
        if min(r0, r1) < target <= max(r0, r1):
            share = (target - r0) / (r1 - r0)
            best = max(best, float(np.exp((1 - share) * np.log(s0) + share * np.log(s1))))
    return best


def scanned(recall: Sequence[float], points: Sequence[float], target: float) -> float | None:
    """Points per query at a recall, interpolated like the speeds; None where it is not reached."""
    speed = at_recall(recall, [1e6 / max(value, 1.0) for value in points], target)
    return round(1e6 / speed) if speed else None


def ivf_scanned(ivf: peers.Ivf, queries: np.ndarray, truth: np.ndarray) -> list[float]:
    """Points and routing dots per query of FAISS IVF for each of `RECALLS`, whatever its nprobe."""
    order, labels = ivf.lists_in_order(queries), ivf.labels()
    sizes = np.bincount(labels, minlength=order.shape[1])
    points = sizes[order].cumsum(axis=1).mean(axis=0)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    needed = np.take_along_axis(ranks, labels[truth], axis=1)
    recall = np.bincount(needed.ravel(), minlength=order.shape[1]).cumsum() / needed.size
    return [
        float(np.interp(target, np.r_[0, recall], np.r_[0, points])) + order.shape[1] for target in RECALLS
    ]


def compare(made: sets.Set, given: argparse.Namespace) -> dict[str, dict]:
    """Everything about one set, per kind of queries."""
    lists = given.lists or peers.lists_of(len(made.points))
    keys = sets.unit_rows(made.points) if made.metric == "cosine" else made.points
    others = peers.peers(made.metric, lists, given.methods)
    built = {}
    for peer in others:
        faiss.omp_set_num_threads(max(given.threads))
        begun = time.perf_counter()
        peer.build(keys, False)
        built[peer.name] = {"build_s": round(time.perf_counter() - begun, 2), "bytes": peer.nbytes()}
        print(f"  {peer.name} {built[peer.name]}", flush=True)
    results = {}
    indexes: dict[str, Roots] = {}
    for kind, asked in made.asked.items():
        name = f"{made.name}/{kind}"
        print(name, made.points.shape, "lists", lists, flush=True)
        ours: list[Ours] = []
        for one in OURS:
            if given.methods and one not in given.methods:
                continue
            place = (
                "points" if one == "roots_points" else kind
            )  # any index proves, so exact answers share one
            if place not in indexes:
                begun = time.perf_counter()
                queries = None if place == "points" else asked
                indexes[place] = build(
                    made.points, made.metric, queries, lists=lists, threads=max(given.threads)
                )
                built[one] = {"build_s": round(time.perf_counter() - begun, 2)}
            ours.append(Ours(one, indexes[place], given.recalls))
            built[one] = built.get(one, {}) | {"bytes": ours[-1].nbytes()}
        table = measure([*others, *ours], made, asked, given.threads, given.repeats)
        at = {
            mode: {
                method: [round(at_recall(row["recall"], row[mode], target), 1) for target in RECALLS]
                for method, row in table.items()
            }
            for mode in next(iter(table.values()))
            if mode.startswith(("batch", "single"))
        }
        points = {}
        for peer in others:
            if isinstance(peer, peers.Ivf):
                queries = sets.unit_rows(asked.judged) if made.metric == "cosine" else asked.judged
                points[peer.name] = [round(value) for value in ivf_scanned(peer, queries, asked.truth)]
        for one in ours:
            row = table[one.name]
            counts = [one.points_per_query[setting] + one.dots() for setting in row["settings"]]
            points[one.name] = [scanned(row["recall"], counts, target) for target in RECALLS]
        results[name] = {
            "rows": len(made.points),
            "width": made.points.shape[1],
            "lists": lists,
            "built": dict(built),
            "curves": table,
            "qps_at": at,
            "points_and_dots_at": points,
        }
        for mode, values in at.items():
            print(f"  {mode}, queries/s at recall {RECALLS}: {values}", flush=True)
        print(f"  points and dots at recall {RECALLS}: {points}", flush=True)
        if given.pictures:
            draw(name, results[name], given.pictures)
    return results


def draw(name: str, result: dict, folder: Path) -> None:
    """The curves of one set as roots_<set>_<kind>.png: batches and single queries, one thread."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    modes = [mode for mode in ("batch_1", "single_1") if mode in result["qps_at"]]
    figure, axes = plt.subplots(
        1, len(modes), figsize=(5 * len(modes), 4), squeeze=False, layout="constrained"
    )
    for axis, mode in zip(axes[0], modes, strict=True):
        for place, (method, row) in enumerate(result["curves"].items()):
            dots = [(r, s) for r, s in zip(row["recall"], row[mode], strict=True) if s is not None]
            loss, speed = [max(1 - r, 1e-3) for r, _ in dots], [s for _, s in dots]
            own = method in OURS
            axis.plot(
                loss,
                speed,
                label=method,
                color={"roots": "black", "roots_points": "dimgrey", "roots_exact": "black"}.get(
                    method, f"C{place}"
                ),
                marker={"roots": "o", "roots_points": "s", "roots_exact": "*"}.get(method, "."),
                linestyle="-" if own else "--",
                linewidth=2 if own else 1,
            )
        axis.set(
            xscale="log", yscale="log", xlim=(0.2, 9e-4), xlabel="recall@10", ylabel="queries per second"
        )
        axis.set_xticks([0.2, 0.1, 0.05, 0.02, 0.01, 0.001], ["0.8", "0.9", "0.95", "0.98", "0.99", "1"])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.set_title(f"{mode.split('_')[0]}, one thread", fontsize=10)
    axes[0, -1].legend(fontsize=6, loc="lower left")
    figure.suptitle(f"{name}, {result['rows']:,} x {result['width']}", fontsize=11)
    figure.savefig(folder / f"roots_{name.replace('/', '_')}.png", dpi=90)
    plt.close(figure)


def large(rows: int, threads: int) -> dict[str, float]:
    """Seconds to build Roots, and FAISS IVFFlat with as many lists, from clustered rows x 128."""
    points = sets.unit_rows(sets.clustered(rows))
    lists = peers.lists_of(rows)
    build(points[:25_000], "cosine", None, threads=threads)  # compiles
    begun = time.perf_counter()
    index = Roots.build(points, "cosine", config=RootsConfig(partitions=lists), key=0, threads=threads)
    ours = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        index.save(folder)
        begun = time.perf_counter()
        Roots.load(folder, check=False)
        opened = time.perf_counter() - begun
        saved = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    own_bytes = saved - points.nbytes
    del index
    faiss.omp_set_num_threads(threads)
    peer = peers.Ivf(lists)
    begun = time.perf_counter()
    peer.build(points, False)
    theirs = time.perf_counter() - begun
    return {
        "rows": rows,
        "lists": lists,
        "roots_s": round(ours, 1),
        "faiss_ivf_s": round(theirs, 1),
        "ratio": round(ours / theirs, 2),
        "open_ms": round(1000 * opened, 1),
        "bytes_over_int8_rows": round(own_bytes / points.size, 3),
    }


def options() -> argparse.ArgumentParser:
    """What `recall.py` takes too."""
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with ann/ and pairs/")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps what sets.py makes")
    parser.add_argument("--sets", default=",".join(sets.NAMES))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--group", type=int, default=sets.GROUP, help="queries in each group")
    parser.add_argument("--lists", type=int, default=0, help="cells and lists; 4 sqrt(rows) when 0")
    parser.add_argument("--quick", action="store_true", help="25,000 rows, 1,000 queries, one repeat")
    return parser


def main() -> None:
    parser = options()
    parser.description = __doc__
    parser.add_argument("--methods", default="", help="peers and ours to run; all when left out")
    parser.add_argument("--recalls", default="0.8,0.9,0.95,0.98,0.99", help="what Roots is asked for")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pictures", type=Path, help="folder for the figures")
    parser.add_argument("--large", type=int, default=0, help="rows of the build that is timed, e.g. 1000000")
    given = parser.parse_args()
    given.methods = [name for name in given.methods.split(",") if name]
    given.recalls = [float(value) for value in given.recalls.split(",")]
    given.threads = [int(value) for value in given.threads.split(",")]
    if given.quick:
        given.rows, given.group, given.repeats = 25_000, 1000, 1
    results = {}
    for name in given.sets.split(",") if given.sets else []:
        results |= compare(sets.load(name, given.data, given.cache, given.rows, given.group), given)
    last: dict = {"benchmark": "roots", "k": K, "recalls": RECALLS, "sets": results}
    if given.large:
        last["large"] = large(given.large, max(given.threads))
        print(last["large"], flush=True)
    print(json.dumps(last))


if __name__ == "__main__":
    main()
