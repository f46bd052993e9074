"""Routers: integer scores against float64, the same in every batch, learned ones better where norms count."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import FormatError, InputError
from thesphere.nn import packed
from thesphere.nn.packed import ways
from thesphere.roots.partition import partition
from thesphere.roots.routing import Centroid, Learned, fit_router, held_back, products, router_from
from thesphere.roots.routing.learning import _best, _line, _softmax, _targets
from thesphere.roots.routing.questions import Questions, ask
from thesphere.scan import Metric, Part, encode
from thesphere.scan.block import Queries


def asked_of(queries: np.ndarray, metric: Metric = "cosine") -> Queries:
    part = Part(encode(np.zeros((1, queries.shape[1]))), np.zeros((1, queries.shape[1]), np.float32))
    return Queries.of([part], queries, metric)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered(rng: np.random.Generator, count: int, width: int, norms: bool) -> np.ndarray:
    """Rows around 40 directions; with `norms`, of norms that differ much within every direction."""
    rows = rng.standard_normal((40, width))[rng.integers(0, 40, count)]
    rows = unit(rows + 0.7 * rng.standard_normal((count, width)))
    return (rows * np.exp(0.5 * rng.standard_normal((count, 1)) * norms)).astype(np.float32)


def cells_of(vectors: np.ndarray, count: int, metric: Metric) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    made = partition(vectors, count, metric=metric, threads=1)
    return made.starts, made.order.astype(np.int32), made.centroids


def points_for(router, starts, rows, vectors, queries, metric, recall=0.9, k=5) -> float:
    """Rows in the cells that a fixed number of openings needs for a mean recall, by brute force."""
    given = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if metric == "cosine" else vectors
    truth = np.argsort(-(queries.astype(np.float64) @ given.T), axis=1)[:, :k]
    sizes, labels = np.diff(starts), np.empty(len(vectors), np.int64)
    labels[rows] = np.repeat(np.arange(len(sizes)), sizes)
    order = np.argsort(-router.scores(asked_of(queries, metric)), axis=1, kind="stable")
    places = np.argsort(order, axis=1)
    needed = np.sort(np.take_along_axis(places, labels[truth], axis=1).ravel())
    opened = needed[int(np.ceil(recall * len(needed))) - 1] + 1
    return float(sizes[order[:, :opened]].sum(axis=1).mean())


@given(
    st.integers(1, 40),
    st.integers(1, 90),
    st.sampled_from([1e-20, 1.0, 1e15]),
    st.sampled_from([1e-20, 1.0, 1e15]),
    st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_scores_are_the_products_within_the_coding(cells, width, long, strong, seed):
    rng = np.random.default_rng(seed)
    weights, bias = strong * rng.standard_normal((cells, width)), strong * rng.standard_normal(cells)
    queries = (long * rng.standard_normal((7, width))).astype(np.float32)
    queries[3] = 0
    router, asked = Learned.of(weights, bias), asked_of(queries, "ip")
    norms = np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
    directions = np.divide(queries, norms, out=np.zeros((7, width)), where=norms > 0)
    truth = directions @ weights.T + bias
    # half a step in each column, of the query and of the weights
    missed = (
        np.abs(weights).max(1) + np.abs(directions).max(1)[:, None] * np.linalg.norm(weights, axis=1)
    ) / 254
    error = np.abs(router.scores(asked) - truth)
    assert (error <= 1.1 * np.sqrt(width) * missed + 1e-5 * (strong + np.abs(truth))).all()
    np.testing.assert_array_equal(router.scores(asked)[3], bias.astype(np.float32))


def test_centroid_scores_are_cosines():
    rng = np.random.default_rng(1)
    centres, queries = unit(rng.standard_normal((50, 96))), rng.standard_normal((20, 96)).astype(np.float32)
    router = Centroid.fit(centres)
    np.testing.assert_allclose(router.scores(asked_of(queries)), unit(queries) @ centres.T, atol=6e-3)
    np.testing.assert_array_equal(
        router.scores(asked_of(queries * np.float32(2**20))), router.scores(asked_of(queries))
    )
    assert router.dots == 50


@pytest.mark.parametrize("way", [None, *ways()])
def test_a_query_scores_the_same_in_every_batch(way, monkeypatch):
    rng = np.random.default_rng(2)
    router = Learned.of(rng.standard_normal((70, 130)), rng.standard_normal(70))
    asked = asked_of(rng.standard_normal((300, 130)).astype(np.float32), "ip")
    whole = router.scores(asked)
    if way:
        monkeypatch.setattr(products, "LANES", 0)
        monkeypatch.setattr(products, "tiles_allowed", lambda: False)
        monkeypatch.setattr(packed, "ways", lambda: [way])
    for first, last in ((0, 300), (0, 1), (17, 19), (100, 103), (5, 9), (120, 260)):
        np.testing.assert_array_equal(router.scores(asked.some(first, last)), whole[first:last])
    assert router.scores(asked.some(4, 4)).shape == (0, 70)


@pytest.mark.parametrize(("metric", "share"), [("ip", 0.7), ("cosine", 1.1)])
def test_a_learned_router_scans_less(metric, share):
    """Much less for inner products; for cosine clusters as round as these leave nothing to learn."""
    rng = np.random.default_rng(3)
    everything = clustered(rng, 6400, 16, norms=metric == "ip")
    vectors, queries = everything[:6000], everything[6000:]
    starts, rows, centres = cells_of(vectors, 150, metric)
    learned, plain = (
        fit_router(vectors, starts, rows, centres, metric, learned=learned, threads=1)
        for learned in (True, False)
    )
    spent = [points_for(r, starts, rows, vectors, queries, metric) for r in (learned, plain)]
    assert spent[0] < share * spent[1]
    assert learned.dots == plain.dots == len(centres)


def test_second_copies_are_targets_too():
    sizes, rows = np.array([2, 3, 2]), np.array([0, 3, 1, 2, 3, 4, 0])
    answers = np.array([[0, 1], [3, 4], [2, 0]])
    both = _targets(answers, sizes, rows, 5)
    assert [sorted(row) for row in both.tolist()] == [[0, 1, 1, 2], [0, 1, 2, 2], [0, 1, 1, 2]]
    assert _targets(answers, np.array([2, 2, 1]), np.arange(5), 5).tolist() == [[0, 0], [1, 2], [1, 0]]


def test_learned_scores_are_in_units_of_score():
    """So that the k-th score may be compared with the next cell's, and whatever unit the rows are in."""
    rng = np.random.default_rng(4)
    everything = clustered(rng, 3100, 16, norms=True)
    vectors, queries = everything[:3000], everything[3000:]
    starts, rows, centres = cells_of(vectors, 100, "ip")
    for unit_of_rows in (1.0, 1e18):
        scaled, middle = (vectors * unit_of_rows).astype(np.float32), centres * unit_of_rows
        scores = fit_router(scaled, starts, rows, middle, "ip", threads=1).scores(asked_of(queries, "ip"))
        products = unit(queries.astype(np.float64)) @ scaled.T.astype(np.float64)
        best = np.maximum.reduceat(products[:, rows], starts[:-1], axis=1)
        top = np.argsort(-scores, axis=1)[:, :12]
        promised, held = np.take_along_axis(scores, top, 1), np.take_along_axis(best, top, 1)
        assert abs(promised.mean() / held.mean() - 1) < 0.1
        assert np.corrcoef(promised.ravel(), held.ravel())[0, 1] > 0.6


def test_key_decides_and_threads_do_not():
    vectors = clustered(np.random.default_rng(5), 1500, 8, norms=True)
    starts, rows, centres = cells_of(vectors, 40, "ip")
    one, two, other = (
        fit_router(vectors, starts, rows, centres, "ip", key=key, threads=threads).arrays()
        for key, threads in ((7, 1), (7, 3), (8, 1))
    )
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["bias"], other["bias"])


@pytest.mark.parametrize("metric", ["ip", "cosine"])
def test_answers_are_those_of_full_enumeration_without_the_row_itself(metric, monkeypatch):
    monkeypatch.setattr("thesphere.roots.routing.questions.PORTION", 150)
    vectors = clustered(np.random.default_rng(6), 400, 6, norms=True).astype(np.float64)
    vectors[3], vectors[200] = 0, vectors[201]
    questions = ask(vectors, metric, 20)
    assert len(questions) == 399 and 3 not in questions.own
    single = vectors.astype(np.float32).astype(np.float64)
    norms = np.linalg.norm(single, axis=1)
    scores = questions.directions.astype(np.float64) @ single.T
    if metric == "cosine":
        scores /= np.where(norms > 0, norms, np.inf)
    scores[np.arange(399), questions.own] = -np.inf
    best = -np.sort(-scores, axis=1)[:, : questions.answers.shape[1]]
    got = np.take_along_axis(scores, questions.answers, 1)
    np.testing.assert_allclose(got, best, rtol=1e-5)
    assert all(len(set(row)) == len(row) for row in questions.answers.tolist())


def test_given_queries_are_shared_with_the_calibration():
    rng = np.random.default_rng(7)
    vectors, queries = clustered(rng, 300, 5, True), clustered(rng, 2400, 5, False)
    few = ask(vectors, "ip", 20, queries=queries[:1999])
    assert (few.own >= 0).all() and len(held_back(queries[:1999])) == 1999
    many = ask(vectors, "ip", 20, queries=queries)
    learned = many.directions[many.own < 0]
    np.testing.assert_allclose(learned, np.tile(unit(queries[::2]), (5, 1)), atol=1e-6)
    np.testing.assert_array_equal(held_back(queries), queries[1::2])


def test_softmax_finds_the_cells_that_a_plane_separates():
    rng = np.random.default_rng(8)
    directions = unit(rng.standard_normal((3000, 4))).astype(np.float32)
    targets = (directions[:, :1] > 0.2).astype(np.int32)
    made = _softmax(directions, targets, np.zeros((2, 5), np.float32), 0)
    chosen = (directions @ made[:, :-1].T + made[:, -1]).argmax(axis=1)
    assert (chosen == targets[:, 0]).mean() > 0.97


def test_best_of_cells_and_the_line_through_them(monkeypatch):
    monkeypatch.setattr("thesphere.roots.routing.learning.SOME", 64)
    rng = np.random.default_rng(9)
    vectors = rng.standard_normal((300, 5)).astype(np.float32)
    labels = np.sort(rng.integers(0, 20, 300))
    labels[labels == 7] = 8  # an empty cell
    starts = np.concatenate([[0], np.bincount(labels, minlength=20).cumsum()])
    rows, own = rng.permutation(300).astype(np.int32), np.array([4, -1, 250])
    directions = unit(rng.standard_normal((3, 5)))
    best = _best(directions, own, vectors, starts, rows, "ip")
    for judge in range(3):
        for cell in range(20):
            members = [r for r in rows[starts[cell] : starts[cell + 1]] if r != own[judge]]
            expected = max((float(directions[judge] @ vectors[r]) for r in members), default=-np.inf)
            assert best[judge, cell] == pytest.approx(expected, rel=1e-9)
    questions = Questions(directions.astype(np.float32), np.zeros((3, 1), np.int64), own)
    weights, bias = rng.standard_normal((20, 5)), rng.standard_normal(20)
    slope, offset = _line(questions, vectors, starts, rows, weights, bias, "ip")
    logits = directions @ weights.T + bias
    top = np.argsort(-logits, axis=1)[:, :8]
    x, y = np.take_along_axis(logits, top, 1), np.take_along_axis(best, top, 1)
    keep = np.isfinite(y)
    fitted = np.polyfit(x[keep], y[keep], 1)
    assert slope > 0
    if fitted[0] > 0:
        np.testing.assert_allclose([slope, offset], fitted, rtol=1e-4)


@pytest.mark.parametrize("metric", ["ip", "cosine"])
@pytest.mark.parametrize(
    "vectors",
    [np.ones((1, 3)), np.zeros((30, 4)), np.ones((30, 2)), np.eye(5) * 3e38, np.arange(12.0).reshape(6, 2)],
)
def test_odd_rows_have_a_router_with_finite_scores(vectors, metric):
    count = len(vectors)
    starts, rows = np.array([0, count // 2, count]), np.arange(count, dtype=np.int32)
    centres = np.stack([vectors[0], vectors[-1]]).astype(np.float32)
    centres = centres / max(1, np.linalg.norm(centres.astype(float))) if metric == "cosine" else centres
    router = fit_router(vectors, starts, rows, centres, metric, learned=True, threads=1)
    queries = np.concatenate([vectors[:2], -vectors[:1], np.zeros((1, vectors.shape[1]))])
    assert np.isfinite(router.scores(asked_of(queries.astype(np.float32), metric))).all()


def test_routers_survive_storage():
    rng = np.random.default_rng(10)
    asked = asked_of(rng.standard_normal((5, 33)).astype(np.float32))
    stored: tuple[tuple[Metric, Any], ...] = (
        ("cosine", Centroid.fit(rng.standard_normal((9, 33)))),
        ("cosine", Learned.of(rng.standard_normal((9, 33)), rng.standard_normal(9))),
        ("ip", Learned.of(rng.standard_normal((9, 33)), rng.standard_normal(9))),
    )
    for metric, router in stored:
        again = router_from(router.arrays(), metric, "file", cells=9, width=33)
        assert type(again) is type(router)
        np.testing.assert_array_equal(again.scores(asked), router.scores(asked))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bias": None}, "'bias' is missing"),
        ({"bias": np.zeros(8, np.float32)}, "'bias' is"),
        ({"bias": np.zeros(9)}, "'bias' is"),
        ({"bias": np.full(9, np.nan, np.float32)}, "finite"),
        ({"codes": None}, "'codes' is missing"),
        ({"scales": np.full(9, np.nan, np.float32)}, "'scales'"),
        ({"scales": np.ones(8, np.float32)}, "'scales'"),
        ({"width": np.array([65])}, "width"),
    ],
)
def test_damaged_arrays_are_refused(change, told):
    arrays = Learned.of(np.ones((9, 33)), np.ones(9)).arrays() | change
    with pytest.raises(FormatError, match=told) as caught:
        router_from({name: array for name, array in arrays.items() if array is not None}, "ip", "roots.bin")
    assert "roots.bin" in str(caught.value)


def test_wrong_input_is_told():
    arrays, other = Centroid.fit(np.ones((9, 33))).arrays(), cast(Any, "l2")
    with pytest.raises(FormatError, match="9 cells, the index 8"):
        router_from(arrays, "cosine", "file", cells=8)
    with pytest.raises(FormatError, match="33 wide"):
        router_from(arrays, "cosine", "file", width=34)
    with pytest.raises(InputError, match="metric"):
        router_from(arrays, other, "file")
    vectors, starts, rows = np.ones((4, 3)), np.array([0, 2, 4]), np.arange(4)
    with pytest.raises(InputError, match="metric"):
        fit_router(vectors, starts, rows, np.ones((2, 3)), other)
    for centres in (np.ones((3, 3)), np.ones((2, 4))):
        with pytest.raises(InputError, match="expected 2 cells"):
            fit_router(vectors, starts, rows, centres, "ip")
    with pytest.raises(InputError, match="NaN"):
        fit_router(vectors, starts, rows, np.full((2, 3), np.nan), "cosine")
    with pytest.raises(InputError, match="queries"):
        fit_router(vectors, starts, rows, np.ones((2, 3)), "ip", queries=np.ones((2000, 4)))
