"""The order in which cells are opened, against a full sort."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.roots.order import SORTED, Way, cell_of, largest, set_out, sort_more

KINDS = ("normal", "ties", "one", "zeros", "heavy", "extreme")


def promises(kind: str, rng: np.random.Generator, cells: int) -> np.ndarray:
    """float32 [cells] of a kind."""
    made = rng.standard_normal(cells)
    if kind == "ties":
        made = rng.integers(-2, 3, cells) / 4
    elif kind == "one":
        made = np.full(cells, 0.25)
    elif kind == "zeros":
        made = np.where(rng.random(cells) < 0.5, -0.0, 0.0)
    elif kind == "heavy":
        made = rng.standard_cauchy(cells)
    elif kind == "extreme":
        made = made * 10.0 ** rng.integers(-38, 37, cells)
    return made.astype(np.float32)


def way_of(scores: np.ndarray) -> Way:
    count, cells = scores.shape
    whole, single = np.zeros((6, count), np.int64), np.zeros((3, count), np.float32)
    keys, words = np.zeros((count, cells), np.uint64), np.zeros(cells // 8 + 1, np.uint64)
    left, points, opened, passed, settled, ready = whole
    known, spread, lowest = single
    rest = np.zeros(cells, np.uint64)
    return Way(keys, ready, scores, left, points, opened, passed, settled, known, spread, lowest, words, rest)


@settings(deadline=None)  # kernels compile in the first case
@given(st.sampled_from(KINDS), st.integers(1, 700), st.integers(0, 2**32 - 1))
def test_cells_come_in_the_order_of_a_full_sort(kind: str, cells: int, seed: int) -> None:
    scores = promises(kind, np.random.default_rng(seed), cells)[None]
    way = way_of(scores)
    set_out(scores, way)
    wanted = np.argsort(-(scores[0] + np.float32(0)), kind="stable")  # equal ones by number
    mean = scores.astype(np.float64).mean()
    assert way.spread[0] == pytest.approx(
        np.sqrt(max(0, np.mean(scores.astype(np.float64) ** 2) - mean**2)), rel=1e-4, abs=1e-30
    )
    steps = 0
    while True:
        ready = way.sorted[0]
        assert ready >= min(SORTED, cells)
        given_order = [cell_of(key, cells) for key in way.keys[0, :ready]]
        assert given_order == wanted[:ready].tolist()
        if ready == cells:
            break
        sort_more(0, way)
        assert way.sorted[0] >= min(cells, 2 * ready)
        steps += 1
    assert steps <= 10


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=100))
def test_the_largest_of_many(values: list[float]) -> None:
    assert largest(np.array(values)) == max(values)
