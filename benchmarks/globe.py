"""How large is the globe's page, how soon is it drawn, and how fast does it turn? In a real headless browser.

    python benchmarks/globe.py [--points 100000] [--letters 160] [--frames 120] [--repeats 3] [--keep FILE]

The points lie in clusters on 32 shells, with a query's field, cones and hits over them; the texts are random
words. WebGL runs on the processor (SwiftShader), so the figures are those of a machine without a graphics
card. A frame's time is the distance between two frames while the globe turns; a screen's pace is 16.7 ms. The
last line is JSON.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from thesphere.viz import Globe, Query, write_globe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from devtools import Browser, find_browser  # noqa: E402

SHELLS, CLUSTERS, SOURCES = 32, 12, 20
LIMITS = {"megabytes": 25.0, "first_frame_ms": 3000.0, "median_frame_ms": 50.0}


def make_texts(random: np.random.Generator, count: int, letters: int) -> tuple[list[str], np.ndarray]:
    """Cuts of `letters` letters from one long text of words that follow Zipf's law, and where they start."""
    vocabulary = ["".join(map(chr, random.integers(97, 123, random.integers(2, 11)))) for _ in range(20_000)]
    size = count * letters // 5
    words = " ".join(vocabulary[k] for k in np.minimum(random.zipf(1.3, size), len(vocabulary)) - 1)
    starts = np.arange(count) * max(1, (len(words) - letters) // count)
    return [words[start : start + letters] for start in starts.tolist()], starts


def make_globe(count: int, letters: int) -> Globe:
    random = np.random.default_rng(0)
    centres = random.normal(size=(CLUSTERS, 3))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    member = random.integers(0, CLUSTERS, count)
    positions = centres[member] + 0.33 * random.normal(size=(count, 3))
    positions /= np.linalg.norm(positions, axis=1, keepdims=True)
    radii = np.linspace(32, 512, SHELLS)
    shells = random.choice(SHELLS, count, p=radii**1.5 / (radii**1.5).sum())
    texts, starts = make_texts(random, count, letters)
    theta = np.pi * (np.arange(64) + 0.5) / 64
    phi = 2 * np.pi * np.arange(128) / 128
    flat = np.sin(theta)[:, None]
    grid = np.stack([flat * np.cos(phi), flat * np.sin(phi), np.cos(theta)[:, None] + 0 * phi], -1)
    hits = np.argsort(-(positions @ centres[0]))[:10]
    query = Query(
        text="which instrument measures the height of a star?",
        field=np.exp(20 * (grid @ centres[0] - 1)).astype(np.float32),
        centres=centres[:2],
        apertures=np.array([0.3, 0.2]),
        strengths=np.array([1.0, 0.5]),
        hits=hits,
        scores=(positions @ centres[0])[hits],
    )
    return Globe(
        title=f"{count:,} points",
        positions=positions.astype(np.float32),
        radii=radii[shells].astype(np.float32),
        shells=shells.astype(np.int32),
        shell_radii=radii,
        sources=random.integers(0, SOURCES, count),
        names=[f"source {k}.txt" for k in range(SOURCES)],
        prominence=random.lognormal(0, 0.4, count).astype(np.float32),
        entropies=random.gamma(4, 0.4, count).astype(np.float32),
        spans=np.stack([starts, starts + letters], 1),
        texts=texts,
        query=query,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--letters", type=int, default=160, help="per text")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="where to leave the page")
    given = parser.parse_args()
    executable = find_browser()
    if executable is None:
        sys.exit("no Chromium on PATH; install one")
    globe = make_globe(given.points, given.letters)
    with tempfile.TemporaryDirectory() as folder:
        path = given.keep or Path(folder) / "globe.html"
        started = time.perf_counter()
        size = write_globe(globe, path)
        written = time.perf_counter() - started
        first, frames = [], []
        with Browser(executable) as browser:
            version = browser.call("Browser.getVersion")["product"]
            for _ in range(given.repeats):
                browser.open(path)
                first.append(browser.run("thesphere.firstFrame"))
                browser.run("thesphere.spin(5)")
                browser.run("thesphere.frames.length = 0")
                browser.run(f"thesphere.spin({given.frames})")
                frames += browser.run("thesphere.frames")
                if browser.problems() or len(browser.requests()) != 1:
                    sys.exit(f"the page has problems: {browser.problems()} {browser.requests()}")
    result = {
        "points": given.points,
        "megabytes": round(size / 1e6, 2),
        "write_s": round(written, 2),
        "first_frame_ms": round(statistics.median(first), 1),
        "median_frame_ms": round(statistics.median(frames), 1),
        "p95_frame_ms": round(float(np.percentile(frames, 95)), 1),
        "browser": version,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }
    for name, limit in LIMITS.items():
        print(f"{name:16s} {result[name]:9.1f}   (at most {limit:g} at 100,000 points)")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
