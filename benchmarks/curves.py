"""Pictures of what `roots.py` measured: recall against queries per second, one file for each set.

    python benchmarks/curves.py RESULT... --folder FOLDER

RESULT is what `roots.py` printed; its last line is read. A row of panels for each number of threads, batches on
the left and single queries on the right; of methods that are one index searched in several ways, the best.
"""

import argparse
import io
import json
from pathlib import Path

COLOURS = {
    "roots": "black",
    "roots_points": "dimgrey",
    "roots_exact": "black",
    "faiss_flat": "C7",
    "faiss_ivf": "C0",
    "faiss_ivfpqfs": "C1",
    "faiss_hnsw": "C2",
    "hnswlib": "C3",
    "hnswlib_lifted": "C6",
    "usearch": "C4",
    "scann": "C9",
}
MARKERS = {"roots": "o", "roots_points": "s", "roots_exact": "*"}
LOSSES = {0.2: "0.8", 0.1: "0.9", 0.05: "0.95", 0.02: "0.98", 0.01: "0.99", 0.001: "1"}


def front(rows: list[dict], mode: str) -> list[tuple[float, float]]:
    """(recall, queries per second) of the settings of these methods that no other setting of theirs beats in
    both, the fastest first."""
    timed = [
        (recall, speed)
        for row in rows
        for recall, speed in zip(row["recall"], row[mode], strict=True)
        if speed is not None
    ]
    kept: list[tuple[float, float]] = []
    for recall, speed in sorted(timed, reverse=True):
        if not kept or speed > kept[-1][1]:
            kept.append((recall, speed))
    return kept[::-1]


def draw(name: str, result: dict, folder: Path) -> Path:
    """The curves of one set as roots_<set>_<kind>.png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from PIL import Image

    modes = [mode for mode in result["qps_at"] if mode.startswith(("batch", "single"))]
    threads = list(dict.fromkeys(mode.split("_")[1] for mode in modes))
    kinds = list(dict.fromkeys(mode.split("_")[0] for mode in modes))
    families: dict[str, list[dict]] = {}
    for row in result["curves"].values():
        families.setdefault(row["family"], []).append(row)
    size = (4.6 * len(kinds), 3.6 * len(threads))
    figure, axes = plt.subplots(len(threads), len(kinds), figsize=size, squeeze=False, layout="constrained")
    for line, count in zip(axes, threads, strict=True):
        for axis, kind in zip(line, kinds, strict=True):
            for place, (family, rows) in enumerate(families.items()):
                dots = front(rows, f"{kind}_{count}")
                axis.plot(
                    [max(1 - recall, 1e-3) for recall, _ in dots],
                    [speed for _, speed in dots],
                    label=family,
                    color=COLOURS.get(family, f"C{place}"),
                    marker=MARKERS.get(family, "."),
                    linestyle="-" if family in MARKERS else "--",
                    linewidth=2 if family in MARKERS else 1,
                )
            axis.set(xscale="log", yscale="log", xlim=(0.2, 9e-4))
            axis.set_xticks(list(LOSSES), list(LOSSES.values()))
            axis.minorticks_off()
            axis.grid(alpha=0.3)
            worded = {"1": "one thread", "2": "two threads"}.get(count, f"{count} threads")
            axis.set_title(f"{kind}, {worded}", fontsize=10)
    figure.supxlabel("recall@10", fontsize=10)
    figure.supylabel("queries per second", fontsize=10)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    figure.suptitle(f"{name}, {result['rows']:,} x {result['width']}", fontsize=11)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    plt.close(figure)
    path = folder / f"roots_{name.replace('/', '_')}.png"
    Image.open(drawn).convert("RGB").quantize(64).save(path, optimize=True)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    drawn = []
    for file in given.results:
        for name, result in json.loads(file.read_text().splitlines()[-1])["sets"].items():
            drawn.append(draw(name, result, given.folder))
            print(drawn[-1], drawn[-1].stat().st_size, flush=True)
    print(json.dumps({"benchmark": "curves", "pictures": [str(path) for path in drawn]}))


if __name__ == "__main__":
    main()
