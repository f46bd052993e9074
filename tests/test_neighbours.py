"""Neighbours against brute force in float64, and the graph's laws."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.neighbours import Neighbours, nearest, nearest_of


def cosines(queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """float64 [Q, N]; 0 for zero vectors."""
    units = []
    for array in (queries, rows):
        wide = array.astype(np.float64)
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
        units.append(wide / np.where(norms > 0, norms, 1))
    return units[0] @ units[1].T


def clusters(count: int, width: int, kinds: int, spread: float = 0.5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((kinds, width))
    rows = centres[rng.integers(0, kinds, count)] + spread * rng.standard_normal((count, width))
    return rows.astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_exact_search_equals_brute_force(count: int, width: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, width)).astype(np.float32)
    found = nearest(rows, k)
    truth = cosines(rows, rows)
    np.fill_diagonal(truth, -np.inf)
    assert found.ids.shape == found.similarities.shape == (count, k)
    assert found.ids.dtype == np.int32 and found.similarities.dtype == np.float32
    for i in range(count):
        held = found.ids[i][found.ids[i] >= 0]
        assert len(held) == min(k, count - 1) == len(set(held)) and i not in held
        best = np.sort(truth[i])[::-1][: len(held)]
        np.testing.assert_allclose(found.similarities[i, : len(held)], best, atol=2e-6)
        np.testing.assert_allclose(found.similarities[i, : len(held)], truth[i, held], atol=2e-6)
        assert (found.ids[i, len(held) :] == -1).all()
        assert np.isneginf(found.similarities[i, len(held) :]).all()


def test_more_rows_than_a_block() -> None:
    rows = clusters(5000, 6, 40)
    found = nearest(rows, 5)
    some = np.random.default_rng(1).choice(5000, 50, replace=False)
    truth = cosines(rows[some], rows)
    truth[np.arange(50), some] = -np.inf
    np.testing.assert_allclose(found.similarities[some], -np.sort(-truth)[:, :5], atol=2e-6)


def test_ties_go_to_the_lower_id() -> None:
    rows = np.tile(np.array([[3.0, 0, 0], [0, 2.0, 0]]), (6, 1))
    found = nearest(rows, 3)
    assert found.ids[0].tolist() == [2, 4, 6] and found.ids[1].tolist() == [3, 5, 7]
    assert found.ids[6].tolist() == [0, 2, 4]
    assert nearest(np.zeros((4, 2)), 2).ids.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


@pytest.mark.parametrize("exact", [True, False])
def test_norms_and_types_do_not_matter(exact: bool) -> None:
    rows = clusters(900, 12, 20)
    powers = 2.0 ** np.random.default_rng(2).integers(-60, 60, (900, 1))
    plain = nearest(rows, 4, exact=exact)
    scaled = nearest((rows * powers).astype(np.float32), 4, exact=exact)
    np.testing.assert_allclose(plain.similarities, scaled.similarities, atol=1e-6)
    assert (plain.ids == scaled.ids).mean() > 0.999
    huge = rows.astype(np.float64) * 10.0 ** np.where(np.arange(900) % 2, 300, -300)[:, None]
    np.testing.assert_allclose(nearest(huge, 4, exact=exact).similarities, plain.similarities, atol=1e-6)
    whole = np.round(rows * 20).astype(np.int8)
    assert (nearest(whole, 4).ids == nearest(whole.astype(np.float64), 4).ids).all()


def test_queries_from_outside() -> None:
    rows, asked = clusters(300, 8, 5), clusters(40, 8, 5, seed=3)
    found = nearest_of(asked, rows, 7)
    truth = cosines(asked, rows)
    np.testing.assert_allclose(found.similarities, -np.sort(-truth)[:, :7], atol=2e-6)
    assert (nearest_of(rows, rows, 1).ids[:, 0] == np.arange(300)).mean() > 0.99  # a row finds itself
    assert (nearest_of(asked, rows[:3], 5).ids[:, 3:] == -1).all()
    with pytest.raises(InputError, match="queries are 8 wide and embeddings 9"):
        nearest_of(asked, np.ones((2, 9)))


@pytest.mark.parametrize(("width", "kinds", "least"), [(16, 30, 0.95), (5, 1, 0.9)])
def test_cells_find_most(width: int, kinds: int, least: float) -> None:
    rows = clusters(6000, width, kinds)
    true, found = nearest(rows, 10), nearest(rows, 10, exact=False, key=5)
    assert np.mean((found.ids[:, :, None] == true.ids[:, None]).any(axis=1)) >= least
    for i in range(0, 6000, 97):
        assert len(set(found.ids[i])) == 10 and i not in found.ids[i]
        assert all(a >= b for a, b in pairwise(found.similarities[i]))
        np.testing.assert_allclose(
            found.similarities[i], cosines(rows[i : i + 1], rows[found.ids[i]])[0], atol=2e-6
        )


def test_more_probes_find_more() -> None:
    rows = np.random.default_rng(4).standard_normal((6000, 20)).astype(np.float32)
    true = nearest(rows, 10).ids
    shares = [
        np.mean((nearest(rows, 10, exact=False, probes=p).ids[:, :, None] == true[:, None]).any(axis=1))
        for p in (1, 3, 10)
    ]
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] > 0.999  # as many probes as cells: everything is scored


def test_leading_axes_tell_cells_apart() -> None:
    rows = clusters(6000, 40, 60, spread=0.3)
    true, found = nearest(rows, 8), nearest(rows, 8, exact=False, probes=1, axes=16)
    assert np.mean((found.ids[:, :, None] == true.ids[:, None]).any(axis=1)) > 0.9
    some = cosines(rows[:50], rows)[np.arange(50)[:, None], found.ids[:50]]
    np.testing.assert_allclose(found.similarities[:50], some, atol=2e-6)  # in all columns
    with pytest.raises(InputError, match="axes is 0"):
        nearest(rows, axes=0)


@pytest.mark.parametrize("probes", [1, 2])
def test_more_neighbours_than_a_cell_has(probes: int) -> None:
    rows = clusters(1500, 6, 8)
    found, true = nearest(rows, 1300, exact=False, probes=probes), nearest(rows, 1300)
    np.testing.assert_array_equal(found.ids >= 0, True)
    np.testing.assert_allclose(found.similarities, true.similarities, atol=1e-6)


def test_keys_of_the_cells_are_exact() -> None:
    rows = np.random.default_rng(4).standard_normal((3000, 20)).astype(np.float32)
    found = [nearest(rows, 5, exact=False, probes=1, key=2**62 + more).ids for more in (0, 1)]
    assert (found[0] != found[1]).any()


def test_a_crowded_cell_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thesphere.neighbours.cells.LARGEST", 100)
    rows = np.concatenate([np.ones((2500, 6), np.float32), clusters(1500, 6, 8)])
    found = nearest(rows, 5, exact=False)
    assert (found.ids >= 0).all() and (found.ids != np.arange(4000)[:, None]).all()
    assert all(len(set(row)) == 5 for row in found.ids)
    np.testing.assert_allclose(found.similarities[:2500], 1, atol=1e-6)  # copies find copies
    assert found.ids[:2500].max() - found.ids[:2500].min() > 2000  # and not all the same ones


def test_cells_of_degenerate_rows() -> None:
    for rows in (np.ones((1500, 4)), np.zeros((1500, 4)), np.ones((3, 4)), np.ones((1, 4))):
        found = nearest(rows, 3, exact=False)
        held = found.ids >= 0
        assert held.sum(axis=1).tolist() == [min(3, len(rows) - 1)] * len(rows)
        assert (found.ids != np.arange(len(rows))[:, None]).all()
    for exact in (None, False):
        assert nearest(np.zeros((0, 4)), 3, exact=exact).ids.shape == (0, 3)


@pytest.mark.parametrize("exact", [True, False])
def test_same_result_on_any_number_of_threads(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = clusters(3000, 10, 12)
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("THESPHERE_THREADS", threads)
        results.append(nearest(rows, 8, exact=exact, key=9))
    assert (results[0].ids == results[1].ids).all()
    assert (results[0].similarities == results[1].similarities).all()


def test_bad_input() -> None:
    bad = np.ones((3, 2))
    bad[1, 1] = np.nan
    with pytest.raises(InputError, match="row 1 of the embeddings holds NaN"):
        nearest(bad)
    bad[1, 1] = -np.inf
    with pytest.raises(InputError, match="row 1 of the queries"):
        nearest_of(bad, np.ones((3, 2)))
    for array in (np.ones(3), np.ones((3, 0)), np.array([["a", "b"]])):
        with pytest.raises(InputError, match="shape"):
            nearest(array)
    with pytest.raises(InputError, match="k is 0"):
        nearest(np.ones((3, 2)), 0)
    with pytest.raises(InputError, match="probes is 0"):
        nearest(np.ones((3, 2)), probes=0)
    with pytest.raises(InputError, match=r"ids have shape \[2, 3\] and similarities \[2, 2\]"):
        Neighbours(np.zeros((2, 3), np.int32), np.zeros((2, 2), np.float32))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_edges_are_the_mean_of_both_directions(count: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = nearest(rng.standard_normal((count, 3)), k)
    weights = (rng.random(graph.ids.shape) * (rng.random(graph.ids.shape) < 0.8)).astype(np.float32)
    table = np.zeros((count, count))
    for i, j in np.argwhere(graph.ids >= 0):
        table[i, graph.ids[i, j]] = weights[i, j]
    starts, targets, found = graph.edges(weights)
    dense = np.zeros((count, count))
    for i in range(count):
        row = targets[starts[i] : starts[i + 1]]
        assert (np.diff(row) > 0).all()
        dense[i, row] = found[starts[i] : starts[i + 1]]
    np.testing.assert_allclose(dense, (table + table.T) / 2, atol=1e-7)
    assert starts[-1] == len(targets) == (dense > 0).sum()


def test_the_first_of_the_neighbours() -> None:
    graph = nearest(clusters(50, 4, 3), 8)
    assert (graph.first(3).ids == graph.ids[:, :3]).all() and graph.first(3).k == 3
    assert graph.first(99).k == 8 and len(graph) == 50
    with pytest.raises(InputError, match="weights have shape"):
        graph.edges(np.ones((50, 3)))
    with pytest.raises(InputError, match="run from 1 to 2; give -1"):
        Neighbours(np.array([[1], [2]]), np.ones((2, 1))).edges()
