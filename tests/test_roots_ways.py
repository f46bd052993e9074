"""An index with cells is built alike and answers alike, bit for bit, with numkong and without, with tiles and
without, one by one and in batches, on any number of threads."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from thesphere.nn.tiles import tiles_allowed
from thesphere.roots import Roots, RootsConfig

METRICS = ("cosine", "ip")
STATUSES = ("exact", "probable", "partial")
ROWS, ASKED, K = 1000, 24, 5
MANY = np.arange(ROWS) % 3 == 0
QUESTIONS = {
    "default": {},
    "recall": {"recall": 0.9},
    "exact": {"exact": True},
    "budget": {"budget": 9_000},
    "both": {"recall": 0.99, "budget": 20_000},
    "many": {"recall": 0.9, "filter": MANY},
    "few": {"filter": np.arange(0, ROWS, 40)},
}


def made(seed: int, count: int) -> np.ndarray:
    """Rows about 60 centres, of which some are alike, some are 0 and all are whole: many scores are equal."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).integers(-3, 4, (60, 24))
    rows = centres[rng.integers(0, 60, count)] + np.rint(rng.standard_normal((count, 24)))
    rows[:: count // 8] = 0
    rows[1 :: count // 8] = rows[2 :: count // 8]
    return rows.astype(np.float32)


def answers(roots: Roots, queries: np.ndarray, asked: dict, threads: int = 1) -> dict[str, np.ndarray]:
    found = roots.search(queries, K, threads=threads, **asked)
    status = np.array([STATUSES.index(one) for one in found.status])
    return {
        "ids": found.ids,
        "scores": found.scores,
        "status": status,
        "gap": found.gap,
        "opened": found.opened,
    }


def everything() -> dict[str, np.ndarray]:
    """The arrays of an index of each metric, and what it answers in every way."""
    vectors, queries = made(1, ROWS), made(2, ASKED)
    told = {}
    for metric in METRICS:
        roots = Roots.build(vectors, metric, config=RootsConfig(partitions=24, flat_below=1), key=3)
        cells = roots.cells
        assert cells is not None
        parts = {**cells.codes.arrays(), "starts": cells.starts, "rows": cells.rows, "reaches": cells.reaches}
        parts |= {f"router.{name}": array for name, array in cells.router.arrays().items()}
        for made_for in roots.calibrations:
            parts |= {f"rules {made_for.k} {name}": array for name, array in made_for.arrays().items()}
        told |= {f"{metric} {name}": array for name, array in parts.items()}
        for name, asked in QUESTIONS.items():
            whole = {threads: answers(roots, queries, asked, threads) for threads in (1, 2, 3)}
            alone = [answers(roots, query, asked) for query in queries]
            ways = {f"{threads} threads": found for threads, found in whole.items()}
            ways["alone"] = {key: np.concatenate([one[key] for one in alone]) for key in whole[1]}
            told |= {
                f"{metric} {name} {way} {key}": array
                for way, found in ways.items()
                for key, array in found.items()
            }
    return told


@pytest.fixture(scope="module")
def here() -> dict[str, np.ndarray]:
    return everything()


def test_every_way_of_asking_is_answered_alike(here: dict[str, np.ndarray]) -> None:
    for metric in METRICS:
        seen = set()
        for name in QUESTIONS:
            for key in ("ids", "scores", "status", "gap", "opened"):
                first = here[f"{metric} {name} 1 threads {key}"]
                for way in ("2 threads", "3 threads", "alone"):
                    np.testing.assert_array_equal(
                        here[f"{metric} {name} {way} {key}"], first, f"{name} {key}"
                    )
            seen |= set(here[f"{metric} {name} alone status"])
        assert seen == {0, 1, 2}  # all statuses occur


ELSEWHERE = """
import sys
import numpy as np
sys.modules["numkong"] = None
import thesphere.nn.tiles
if {way!r} != "tiles":
    thesphere.nn.tiles.tiles_allowed = lambda: False
import test_roots_ways
from thesphere.nn import packed
from thesphere.roots.routing import products
from thesphere.scan import grouped
if {way!r} == "blas":
    products.LANES, packed.ways = 0, lambda: ["blas"]
assert not packed.numkong_is_exact() and "numkong" not in {{name for name, there in sys.modules.items() if there}}
assert {way!r} == "tiles" or not (grouped.tiles_allowed() or products.tiles_allowed())
np.savez(sys.argv[1], **test_roots_ways.everything())
"""


@pytest.mark.parametrize("way", ["blas", "lanes", *["tiles"] * tiles_allowed()])
def test_without_numkong_the_same(here: dict[str, np.ndarray], way: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE.format(way=way), tmp_path / "told.npz"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "told.npz") as told:
        assert set(told.files) == set(here)
        for name, array in here.items():
            assert told[name].dtype == array.dtype
            np.testing.assert_array_equal(told[name], array, name)
