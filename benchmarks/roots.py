"""Recall against queries per second: Roots beside FAISS, hnswlib, USearch and ScaNN, in one run.

    python benchmarks/roots.py --data FOLDER --cache FOLDER [--sets NAME,...] [--rows 100000] [--quick]
        [--methods NAME,...] [--recalls 0.8,0.9,0.95,0.98,0.99] [--threads 1,2] [--repeats 3]
        [--pictures FOLDER]

Sets and their queries: `sets.py`; libraries and their settings: `peers.py`; pictures: `curves.py`, which also
draws them from what this prints. recall@10 over all judged queries (exact answers in float64). Each method goes
through its settings from fast to thorough, then tries settings between the two nearest to recall 0.95. It ends
where recall is enough, no longer rises, or where one setting takes more than `PATIENCE`: what is not reached by
then is told. Queries per second of batches of 1,000 and of single queries asked one after another (500, or as
many as a tenth of a second allows), median of the repeats, which go round all methods and settings in turn; timed
are the settings on both sides of each recall of interest. Speed at a recall is interpolated between neighbouring
settings of one method, linear in recall and in the logarithm of the speed; 0 where no setting gets there.

Roots comes twice: `roots` is built with training queries of the served kind and calibrated on others of it,
`roots_points` knows the points only; both get the recalls as their settings. `roots_exact` proves its answers.

Builds use the most threads that are given. `bytes` is the serialised index, float32 rows included;
`bytes_beside_rows` leaves 4 bytes a number for these rows out.

Points scanned at a recall: Roots adds its router's dots to the rows that it scored; FAISS IVF, with as many
lists, adds one dot per list to the lengths of the lists it opened, the same number for all queries,
interpolated. The last line is JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import curves
import faiss
import numpy as np
import peers
import sets

from thesphere.roots import Roots, RootsConfig
from thesphere.scan import Metric

K = peers.K
BATCH, SINGLES = 1000, 500
ENOUGH = 0.1  # seconds after which no further single query is asked
RECALLS = (0.9, 0.95, 0.99)
AIM = 0.95  # where settings are tried in between
NEAR, BETWEEN = 0.003, 3  # such a setting is near enough; so many are tried
HIGHEST = 0.993  # no setting beyond the first at this recall
PATIENCE = 1.5  # seconds for all judged queries on all threads; no peer is asked for more
OURS = ("roots", "roots_points", "roots_exact")


class Ours:
    """Roots behind the verbs of the peers; its settings are the recalls asked for."""

    knob = "recall"

    def __init__(self, name: str, index: Roots, recalls: Sequence[float]) -> None:
        self.name = self.family = name
        self.index = index
        self.settings = [1.0] if name == "roots_exact" else list(recalls)
        self.points_per_query: dict[float, float] = {}

    def search(self, queries: np.ndarray, setting: float, threads: int) -> np.ndarray:
        recall = None if self.name == "roots_exact" else setting
        found = self.index.search(queries, K, recall=recall, exact=recall is None, threads=threads)
        if len(queries) > 1:
            self.points_per_query[setting] = found.cost.points_scanned / len(queries)
        return found.ids

    def nbytes(self) -> int:
        """Bytes of the saved index, vectors included."""
        with tempfile.TemporaryDirectory() as folder:
            self.index.save(folder)
            return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())

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
    """An index that is fitted to and calibrated for the kind of queries in `asked`, or for points alone.

    The index divides given queries by itself: a router, where it has a learned one, learns from every second.
    """
    config = RootsConfig(partitions=lists or None)
    queries = None
    if asked is not None:
        queries = np.stack([asked.training, asked.calibration], axis=1).reshape(-1, points.shape[1])
    return Roots.build(points, metric, config=config, key=key, threads=threads, queries=queries)


def sweep(method: Any, queries: np.ndarray, score: Callable, threads: int) -> dict[str, Any]:
    """Settings, ascending, the recall of each, and why there are no further ones.

    Args:
        method: a peer or one of ours, built.
        queries: float32 [Q, D], as it takes them.
        score: from ids [Q, K] to their mean recall.
        threads: for each search.
    """
    found: dict[float, float] = {}
    ended, last = "all settings", 0.0
    for setting in method.settings:
        begun = time.perf_counter()
        ids = method.search(queries, setting, threads)
        seconds = time.perf_counter() - begun
        recall = found[setting] = score(ids)
        if recall >= HIGHEST:
            ended = "recall"
            break
        if method.name in OURS:
            continue
        if seconds > PATIENCE:
            ended = "slow"
            break
        if 0.85 < recall < last + 0.001:
            ended = "recall no longer rises"
            break
        last = recall
    for _ in range(BETWEEN if method.name not in OURS else 0):
        below = max((setting for setting, recall in found.items() if recall < AIM), default=None)
        above = min((setting for setting, recall in found.items() if recall >= AIM), default=None)
        if below is None or above is None or above <= below + 1 or found[above] < AIM + NEAR:
            break
        between = round((below * above) ** 0.5)
        between += (between == below) - (between == above)
        found[between] = score(method.search(queries, between, threads))
    settings = sorted(found)
    return {"settings": settings, "recall": [found[setting] for setting in settings], "ended": ended}


def measure(
    methods: Sequence, made: sets.Set, asked: sets.Asked, threads: list[int], repeats: int
) -> dict[str, dict]:
    """Per method: settings, their recalls and, per mode, queries per second (None where not timed)."""
    unit = sets.unit_rows(asked.judged) if made.metric == "cosine" else asked.judged
    given = {method.name: asked.judged if method.name in OURS else unit for method in methods}
    table: dict[str, dict] = {}

    def score(ids: np.ndarray) -> float:
        return float(sets.recalls(ids, made.points, asked, made.metric).mean())

    for method in methods:
        row = sweep(method, given[method.name], score, max(threads))
        table[method.name] = {"family": method.family, **row}
        told = {
            setting: round(recall, 4) for setting, recall in zip(row["settings"], row["recall"], strict=True)
        }
        print(f"  {method.name}", told, row["ended"], flush=True)
    modes = {f"{kind}_{count}": (kind, count) for kind in ("batch", "single") for count in threads}
    speeds: dict[tuple, list[float]] = {}
    for _ in range(repeats):
        for method in methods:
            for place in _worth(table[method.name]["recall"]):
                setting = table[method.name]["settings"][place]
                for mode, (kind, count) in modes.items():
                    queries = given[method.name][: BATCH if kind == "batch" else SINGLES]
                    speed = _speed(method.search, queries, setting, count, single=kind == "single")
                    speeds.setdefault((method.name, mode, place), []).append(speed)
    for method in methods:
        row = table[method.name]
        for mode in modes:
            values = [speeds.get((method.name, mode, place)) for place in range(len(row["settings"]))]
            row[mode] = [None if value is None else round(float(np.median(value)), 1) for value in values]
    return table


def _worth(recall: list[float]) -> list[int]:
    """Of each recall of interest the last setting below it and the first that reaches it; the last one tried
    where none does."""
    places = set()
    for target in RECALLS:
        above = next((place for place, value in enumerate(recall) if value >= target), len(recall) - 1)
        places |= {max(0, above - 1), above}
    return sorted(places)


def _speed(search: Callable, queries: np.ndarray, setting: float, threads: int, *, single: bool) -> float:
    """Queries per second, all at once or one after another."""
    begun, asked, seconds = time.perf_counter(), 0, 0.0
    while asked < len(queries) and seconds < ENOUGH:
        given = queries[asked : asked + 1] if single else queries
        search(given, setting, threads)
        asked += len(given)
        seconds = time.perf_counter() - begun
    return asked / seconds


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


def build_peers(made: sets.Set, lists: int, given: argparse.Namespace) -> tuple[list[peers.Peer], dict]:
    """The peers that are asked for, built, and what building each took."""
    keys = sets.unit_rows(made.points) if made.metric == "cosine" else made.points
    others, built = peers.peers(made.metric, lists, given.methods), {}
    for peer in others:
        faiss.omp_set_num_threads(max(given.threads))
        begun = time.perf_counter()
        peer.build(keys, False)
        seconds = time.perf_counter() - begun
        owner = getattr(peer, "owner", None)
        lent = None if owner is None else built.get(owner.name)
        built[peer.name] = lent or _built(seconds, peer.nbytes(), made.points)
        print(f"  {peer.name} {built[peer.name]}", flush=True)
    return others, built


def build_ours(made: sets.Set, kind: str, lists: int, given: argparse.Namespace) -> tuple[list[Ours], dict]:
    """Roots for one kind of queries, as far as asked for, and what building took. Any index proves, so that exact
    answers come from the one which learned from these queries."""
    ours: list[Ours] = []
    built: dict[str, dict] = {}
    indexes: dict[bool, tuple[Roots, float]] = {}
    for one in OURS:
        if given.methods and one not in given.methods:
            continue
        learns = one != "roots_points"
        if learns not in indexes:
            begun = time.perf_counter()
            asked = made.asked[kind] if learns else None
            index = build(made.points, made.metric, asked, lists=lists, threads=max(given.threads))
            indexes[learns] = index, time.perf_counter() - begun
        index, seconds = indexes[learns]
        ours.append(Ours(one, index, given.recalls))
        built[one] = _built(seconds, ours[-1].nbytes(), made.points)
        print(f"  {one} {built[one]}", flush=True)
    return ours, built


def points_at(others: list[peers.Peer], ours: list[Ours], made: sets.Set, kind: str, table: dict) -> dict:
    """Points and dots of routing per query for each of `RECALLS`, of FAISS IVF and of ours."""
    asked, points = made.asked[kind], {}
    for peer in others:
        if isinstance(peer, peers.Ivf):
            queries = sets.unit_rows(asked.judged) if made.metric == "cosine" else asked.judged
            points[peer.name] = [round(value) for value in ivf_scanned(peer, queries, asked.truth)]
    for one in ours:
        row = table[one.name]
        counts = [one.points_per_query[setting] + one.dots() for setting in row["settings"]]
        points[one.name] = [scanned(row["recall"], counts, target) for target in RECALLS]
    return points


def compare(made: sets.Set, given: argparse.Namespace) -> dict[str, dict]:
    """Everything about one set, per kind of queries."""
    lists = given.lists or peers.lists_of(len(made.points))
    others, built = build_peers(made, lists, given)
    results = {}
    for kind, asked in made.asked.items():
        name = f"{made.name}/{kind}"
        print(name, made.points.shape, "lists", lists, flush=True)
        ours, own = build_ours(made, kind, given.lists, given)
        table = measure([*others, *ours], made, asked, given.threads, given.repeats)
        at = {
            mode: {
                method: [round(at_recall(row["recall"], row[mode], target), 1) for target in RECALLS]
                for method, row in table.items()
            }
            for mode in next(iter(table.values()))
            if mode.startswith(("batch", "single"))
        }
        results[name] = {
            "rows": len(made.points),
            "width": made.points.shape[1],
            "metric": made.metric,
            "lists": lists,
            "build_threads": max(given.threads),
            "built": built | own,
            "curves": table,
            "qps_at": at,
            "best_at": {mode: best(values, table) for mode, values in at.items()},
            "points_and_dots_at": points_at(others, ours, made, kind, table),
        }
        tell(name, results[name])
        if given.pictures:
            curves.draw(name, results[name], given.pictures)
    return results


def _built(seconds: float, size: int, points: np.ndarray) -> dict[str, float]:
    return {"build_s": round(seconds, 2), "bytes": size, "bytes_beside_rows": size - points.nbytes}


def best(speeds: dict[str, list[float]], table: dict[str, dict]) -> dict[str, list[float]]:
    """Per family, the speed of its fastest method at each of `RECALLS`; 0 where none gets there."""
    families: dict[str, list[float]] = {}
    for method, values in speeds.items():
        known = families.setdefault(table[method]["family"], [0.0] * len(RECALLS))
        families[table[method]["family"]] = [max(pair) for pair in zip(known, values, strict=True)]
    return families


def tell(name: str, result: dict) -> None:
    """Print a table of each family at `AIM`, what was not reached, and the points scanned."""
    modes, place = list(result["best_at"]), RECALLS.index(AIM)
    print(f"\n| {name}, recall {AIM} | build s | MB | MB beside rows | {' | '.join(modes)} |")
    print("|---" * (4 + len(modes)) + "|")
    tops: dict[str, tuple[float, float, str]] = {}
    built: dict[str, dict[str, float]] = {}
    for method, row in result["curves"].items():
        top = max(zip(row["recall"], row["settings"], strict=True))
        tops[row["family"]] = max(tops.get(row["family"], (0.0, 0.0, "")), (*top, row["ended"]))
        built.setdefault(row["family"], result["built"].get(method, {}))
    for family, made in built.items():
        sizes = [made.get("build_s", "-")]
        sizes += [f"{made[key] / 1e6:.1f}" if key in made else "-" for key in ("bytes", "bytes_beside_rows")]
        speeds = [result["best_at"][mode][family][place] for mode in modes]
        told = [f"{speed:,.0f}" if speed else "not reached" for speed in speeds]
        print(f"| {family} | {' | '.join(map(str, [*sizes, *told]))} |")
    for family, (recall, setting, ended) in tops.items():
        missed = [target for target in RECALLS if recall < target]
        if missed and family not in OURS:
            print(f"  {family} does not reach {missed}: at most {recall:.4f}, with {setting} ({ended})")
    print(f"  points and dots at recall {RECALLS}: {result['points_and_dots_at']}\n", flush=True)


def options() -> argparse.ArgumentParser:
    """What `recall.py` takes too."""
    parser = sets.options(None)
    parser.add_argument("--group", type=int, default=sets.GROUP, help="queries in each group")
    parser.add_argument(
        "--lists",
        type=int,
        default=0,
        help="cells and lists; 0: 4 sqrt(rows) lists, and the cells that Roots chooses",
    )
    parser.add_argument("--quick", action="store_true", help="25,000 rows, 1,000 queries, one repeat")
    return parser


def main() -> None:
    parser = options()
    parser.description = __doc__
    parser.add_argument("--methods", default="", help="names or families to run; all when left out")
    parser.add_argument("--recalls", default="0.8,0.9,0.95,0.98,0.99", help="what Roots is asked for")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pictures", type=Path, help="folder for the figures")
    given = parser.parse_args()
    given.methods = [name for name in given.methods.split(",") if name]
    given.recalls = [float(value) for value in given.recalls.split(",")]
    given.threads = [int(value) for value in given.threads.split(",")]
    if given.quick:
        given.rows, given.group, given.repeats = 25_000, 1000, 1
    results = {}
    for name in given.sets.split(","):
        results |= compare(sets.load(name, given.data, given.cache, given.rows, given.group), given)
    print(json.dumps({"benchmark": "roots", "k": K, "recalls": RECALLS, "sets": results}))


if __name__ == "__main__":
    main()
