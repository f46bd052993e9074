"""Cells that are made for given queries."""

import numpy as np
import pytest

from thesphere.errors import InputError
from thesphere.norms import row_norms
from thesphere.roots import Roots, RootsConfig
from thesphere.roots.cells import build_cells
from thesphere.roots.index import kept_queries
from thesphere.roots.partition import Kmeans
from thesphere.roots.responses import COLUMNS, WEIGHT, with_responses
from thesphere.roots.routing import held_back, learned_from

CONFIG = RootsConfig(flat_below=1)


def drawn(rows: int, queries: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows without structure, and queries that look along a few directions only."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((rows, 24), np.float32)
    directions = rng.standard_normal((12, 24))
    asked = directions[rng.integers(0, 12, queries)] + 0.15 * rng.standard_normal((queries, 24))
    return vectors, asked.astype(np.float32)


def test_what_queries_are_drawn_to_is_found_in_fewer_rows():
    vectors, asked = drawn(8000, 3500)
    learned, judged = asked[:3000], asked[3000:]
    read = {}
    for method in ("kmeans", Kmeans()):
        config = RootsConfig(flat_below=1, method=method)
        roots = Roots.build(vectors, "ip", config=config, queries=learned, key=1)
        found = roots.search(judged, 10, recall=0.95)
        best = np.argsort(-(judged.astype(np.float64) @ vectors.T), axis=1)[:, :10]
        recall = np.mean([np.isin(ids, own).mean() for ids, own in zip(found.ids, best, strict=True)])
        assert recall > 0.93
        read[type(method)] = found.cost.points_scanned
    assert read[str] < 0.8 * read[type(method)]


def test_after_many_rows_came_the_router_still_knows_the_queries(tmp_path):
    """2,000 queries stay, in the file too: the router learns again from half of them, rules from the others."""
    vectors, asked = drawn(9000, 6500)
    given, judged = asked[:6000], asked[6000:]
    roots = Roots.build(vectors[:6000], "ip", config=CONFIG, queries=given, key=1)
    roots.save(tmp_path / "index")
    forgetful = Roots.build(vectors[:6000], "ip", config=CONFIG, queries=given, key=1)
    forgetful.calibrate(given[1::2][:900])
    best = np.argsort(-(judged.astype(np.float64) @ vectors.T), axis=1)[:, :10]
    read = []
    for index in (roots, Roots.load(tmp_path / "index"), forgetful):
        index.add(vectors[6000:])
        found = index.search(judged, 10, recall=0.95)
        recall = np.mean([np.isin(ids, own).mean() for ids, own in zip(found.ids, best, strict=True)])
        assert recall > 0.93 and index.calibrated_on(10) == "queries"
        read.append(found.cost.points_scanned)
    assert read[0] == read[1] < 0.9 * read[2]


@pytest.mark.parametrize("count", [1, 499, 1999, 2000, 2001, 3001, 5000, 40_001])
@pytest.mark.parametrize("metric", ["ip", "cosine"])
def test_those_held_back_are_held_back_again(count, metric):
    queries = np.arange(count, dtype=np.float32)[:, None]
    kept = kept_queries(queries, 30_000, metric)
    assert np.isin(kept, queries).all() and (np.diff(kept[:, 0]) > 0).all()
    if metric == "ip" and count >= 2000:
        assert 2000 <= len(kept) < 4000
        assert np.isin(held_back(kept), held_back(queries)).all()
        assert np.isin(learned_from(kept), learned_from(queries)).all()
    else:
        assert min(count, 250) <= len(kept) <= 500


def test_rows_and_responses_are_of_the_sizes_that_are_told():
    vectors, asked = drawn(3000, 200)
    found = with_responses(vectors, row_norms(vectors), asked)
    assert found.shape == (3000, 24 + COLUMNS)
    assert abs(found[:, :24].var(axis=0).sum() - 1) < 1e-3
    assert abs(found[:, 24:].var(axis=0).sum() - WEIGHT**2) < 1e-3
    # rows are moved and stretched alike: their distances keep their ratio
    one, two = (
        np.linalg.norm(rows[:50, None] - rows[None, :50], axis=2) for rows in (vectors, found[:, :24])
    )
    some = one > 0
    assert np.allclose(two[some] / one[some], (two[some] / one[some]).mean(), rtol=1e-3)


def test_responses_by_enumeration():
    vectors, asked = drawn(400, 30)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    scores = vectors.astype(np.float64) @ asked.T.astype(np.float64)
    ordered = -np.sort(-scores, axis=0)
    responses = np.exp(np.minimum(3 * (scores - ordered[10]) / (ordered[10] - ordered[20]), 3))
    near = responses - responses.mean(axis=0)
    found = with_responses(vectors, row_norms(vectors), asked)[:, 24:]
    # a random projection keeps products of rows to about 1 / sqrt(COLUMNS) of their lengths
    own, projected = near @ near.T, found.astype(np.float64) @ found.T
    assert np.corrcoef(own.ravel(), projected.ravel())[0, 1] > 0.9


def test_cells_do_not_depend_on_threads():
    vectors, asked = drawn(5000, 2500)
    made = [
        build_cells(vectors, "ip", CONFIG, key=3, threads=threads, queries=asked) for threads in (1, 2, 3)
    ]
    for other in made[1:]:
        assert np.array_equal(other.starts, made[0].starts) and np.array_equal(other.rows, made[0].rows)
        assert np.array_equal(other.centres, made[0].centres)


def test_narrow_rows_get_fewer_cells_where_queries_are_given():
    vectors, asked = drawn(4000, 2100)
    given, alone = (
        Roots.build(vectors, "ip", config=CONFIG, queries=asked),
        Roots.build(vectors, "ip", config=CONFIG),
    )
    assert len(given.cells) == round(2 * 4000**0.5) and len(alone.cells) == round(4 * 4000**0.5)
    told = RootsConfig(flat_below=1, density=1.0)
    assert len(Roots.build(vectors, "ip", config=told, queries=asked).cells) == round(4000**0.5)
    grown = given.cells.sizes.max()
    given.add(vectors[:2000] + np.float32(0.01))  # cells are still as large as they were to be
    assert len(given.cells) < 1.5 * len(alone.cells) * 0.5**0.5 and given.cells.sizes.max() <= max(
        2.5 * grown, 400
    )
    with pytest.raises(InputError, match="density"):
        RootsConfig(density=0.0)


def test_centres_are_means_of_rows():
    vectors, asked = drawn(4000, 2100)
    cells = build_cells(vectors, "ip", CONFIG, queries=asked)
    for cell in range(0, len(cells), 7):
        own = cells.rows[cells.starts[cell] : cells.starts[cell + 1]]
        assert np.allclose(cells.centres[cell], vectors[own].mean(axis=0), atol=1e-5)
        assert np.linalg.norm(vectors[own] - cells.centres[cell], axis=1).max() <= cells.reaches[cell]


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("kind", ["alike", "zeros", "one far", "drawn"])
def test_extremes_still_prove_their_answers(kind, scale):
    vectors, asked = drawn(600, 2000)
    if kind == "alike":
        vectors[:] = vectors[0]
    elif kind == "zeros":
        vectors[:] = 0
    elif kind == "one far":
        vectors[7] *= 1e7
    asked[5] = 0
    vectors *= np.float32(scale)
    roots = Roots.build(vectors, "ip", config=CONFIG, queries=asked)
    roots.verify(roots.search(asked[:40], 5, exact=True), asked[:40])
    roots.verify(roots.search(asked[:40], 5, recall=0.9), asked[:40])


def test_what_is_not_finite_or_of_another_width_is_told():
    vectors, asked = drawn(500, 2000)
    broken = vectors.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InputError, match="row 3"):
        build_cells(broken, "ip", CONFIG, queries=asked)
    asked[8, 0] = np.inf
    with pytest.raises(InputError, match="queries"):
        build_cells(vectors, "ip", CONFIG, queries=asked)
    with pytest.raises(InputError, match="wide"):
        build_cells(vectors, "ip", CONFIG, queries=asked[:, :5])


@pytest.mark.parametrize("metric", ["ip", "cosine"])
def test_a_filter_does_not_cost_recall(metric):
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((60, 20))
    vectors = centres[rng.integers(0, 60, 6000)] + 0.7 * rng.standard_normal((6000, 20))
    vectors *= rng.lognormal(0, 0.3, (6000, 1))
    asked = centres[rng.integers(0, 60, 200)] + 0.7 * rng.standard_normal((200, 20))
    roots = Roots.build(vectors, metric, config=CONFIG)
    for share in (0.5, 0.2, 0.1):
        live = rng.random(6000) < share
        found, exact = (
            roots.search(asked, 10, filter=live, **how) for how in ({"recall": 0.95}, {"exact": True})
        )
        recall = np.mean([np.isin(a, b).mean() for a, b in zip(found.ids, exact.ids, strict=True)])
        assert recall >= 0.94, (share, recall)
