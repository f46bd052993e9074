"""Does an answer keep the recall that was asked for?

    python benchmarks/recall.py --data FOLDER --cache FOLDER [--sets NAME,...] [--rows 100000] [--seeds 5]
        [--recalls 0.9,0.95,0.99] [--threads 2] [--quick]

Every set and kind of queries of `sets.py`, each with `--seeds` builds that differ in their key. Asked are 2,000
held-out queries that neither the build nor the calibration has seen, exact answers in float64. `served`: fitted
to training queries and calibrated on other queries of the kind that is judged; `points`: neither, the index
knows its points only. Mean recall@10 over builds and queries, the lowest and highest build, a 95 % interval by
bootstrap over builds and queries (2,000 draws), points scanned per query. `holds` says whether the mean lies
within -0.01 and +0.02 of what was asked. The last line is JSON.
"""

import json
import time

import numpy as np
import sets
from roots import K, build, options

BOOTSTRAPS = 2000
BELOW, ABOVE = 0.01, 0.02
SOURCES = ("served", "points")


def interval(recall: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The 2.5 and 97.5 percentiles of the mean of recall [builds, queries], both drawn again."""
    rng = np.random.default_rng(seed)
    builds, queries = recall.shape
    means = np.empty(BOOTSTRAPS)
    for draw in range(BOOTSTRAPS):
        weights = np.bincount(rng.integers(0, builds, builds), minlength=builds) / builds
        means[draw] = (weights @ recall)[rng.integers(0, queries, queries)].mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def judge(
    made: sets.Set, kind: str, source: str, targets: list[float], seeds: int, lists: int, threads: int
) -> list[dict]:
    """One row per target."""
    asked = made.asked[kind]
    recall = np.empty((len(targets), seeds, len(asked.judged)))
    points = np.empty((len(targets), seeds))
    begun = time.perf_counter()
    for seed in range(seeds):
        given = asked if source == "served" else None
        index = build(made.points, made.metric, given, key=seed, lists=lists, threads=threads)
        for place, target in enumerate(targets):
            found = index.search(asked.judged, K, recall=target, threads=threads)
            recall[place, seed] = sets.recalls(found.ids, made.points, asked, made.metric)
            points[place, seed] = found.cost.points_scanned / len(asked.judged)
    table = []
    for place, target in enumerate(targets):
        mean, builds = float(recall[place].mean()), recall[place].mean(axis=1)
        low, high = interval(recall[place])
        row = {"set": f"{made.name}/{kind}", "calibrated": source, "asked": target, "recall": round(mean, 4)}
        row |= {"interval": [round(low, 4), round(high, 4)]}
        row |= {"builds": [round(float(builds.min()), 4), round(float(builds.max()), 4)]}
        row |= {"holds": bool(target - BELOW <= mean <= target + ABOVE)}
        row |= {"points": round(float(points[place].mean())), "rows": len(made.points)}
        table.append(row)
        print(row, flush=True)
    print(f"  {seeds} builds and their answers: {time.perf_counter() - begun:.1f} s", flush=True)
    return table


def main() -> None:
    parser = options()
    parser.description = __doc__
    parser.add_argument("--recalls", default="0.9,0.95,0.99")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    if given.quick:
        given.rows, given.group, given.seeds = 25_000, 1000, 2
    targets = [float(value) for value in given.recalls.split(",")]
    table = []
    for name in given.sets.split(","):
        made = sets.load(name, given.data, given.cache, given.rows, given.group)
        for kind in made.asked:
            for source in SOURCES:
                table += judge(made, kind, source, targets, given.seeds, given.lists, given.threads)
    holds = {source: sum(row["holds"] for row in table if row["calibrated"] == source) for source in SOURCES}
    last = {"benchmark": "recall", "k": K, "queries": given.group, "seeds": given.seeds, "hold": holds}
    print(json.dumps(last | {"of": len(table) // 2, "table": table}))


if __name__ == "__main__":
    main()
