"""Couplings and lateral exploration, against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.neighbours import Neighbours, nearest
from thesphere.sampling import couple, resolution
from thesphere.sampling.exploring import explore


def sphere(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """float32 [*shape, 3], uniform directions."""
    drawn = rng.standard_normal((*shape, 3))
    return (drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)).astype(np.float32)


def dense(ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [N, N]: the couplings as a matrix."""
    matrix = np.zeros((len(ids), len(ids)))
    np.add.at(matrix, (np.arange(len(ids))[:, None], ids), weights)
    return matrix


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.booleans(), st.integers(0, 2**32 - 1))
def test_couplings_are_the_mutual_pairs(count: int, k: int, scaled: bool, seed: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((count, 5)).astype(np.float32)
    graph = nearest(rows, 9)
    found = couple(graph, k, scaled=scaled)
    matrix = dense(found.ids, found.weights)
    expected = np.zeros((count, count))
    for i in range(count):
        for j, similarity in zip(graph.ids[i, :k], graph.similarities[i, :k], strict=True):
            if j >= 0 and i in graph.ids[j, :k]:
                expected[i, j] = max(similarity, 0)
    if scaled:
        degrees = expected.sum(axis=1)
        roots = np.sqrt(np.where(degrees > 0, degrees, 1))
        expected /= roots[:, None] * roots
        assert np.linalg.eigvalsh(matrix).max() <= 1 + 1e-5
    np.testing.assert_allclose(matrix, expected, atol=1e-5)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-7)
    assert found.ids.dtype == np.int32 and found.weights.dtype == np.float32
    assert (found.ids[found.weights == 0] == np.nonzero(found.weights == 0)[0]).all()


def test_opposite_and_missing_neighbours_do_not_pull() -> None:
    graph = Neighbours(
        np.array([[1, -1], [0, -1], [-1, -1]], np.int32),
        np.array([[-0.5, -np.inf], [-0.5, -np.inf], [-np.inf, -np.inf]], np.float32),
    )
    found = couple(graph, 2)
    assert not found.weights.any() and (found.ids == np.arange(3)[:, None]).all()


def test_resolution_follows_the_distance_of_points() -> None:
    assert resolution(1) == 20 and resolution(10_000) == 1000 and resolution(10**9) == 10_000
    drawn = sphere(np.random.default_rng(0), 2000)
    cosines = np.sort(drawn @ drawn.T, axis=1)[:, -2]
    closeness = np.exp(resolution(2000) * (np.median(cosines) - 1))
    assert closeness > 0.5  # the nearest point is well within the kernel
    assert np.exp(resolution(2000) * (np.sort(drawn @ drawn.T, axis=1)[:, -40] - 1)).mean() < 0.2


@pytest.mark.parametrize(("kappa", "crowding", "threshold"), [(3, 1, 0), (30, 2, 0.05), (200, 0, 0.2)])
def test_exploration_takes_the_best_candidate(kappa: float, crowding: float, threshold: float) -> None:
    rng = np.random.default_rng(1)
    count = 150
    graph = couple(nearest(rng.standard_normal((count, 3)), 6), 6, scaled=False)
    positions, headings, crowds = sphere(rng, count), sphere(rng, 7, 3), sphere(rng, 7, 4)
    seeking = rng.random(count) < 0.8
    numbers = np.array([kappa, kappa**-0.5, crowding, threshold], np.float32)
    after = positions.copy()
    begun = positions.copy()
    moves = explore(0, count, positions, graph.ids, graph.weights, seeking, headings, crowds, numbers, after)
    np.testing.assert_array_equal(positions, begun)
    changed = (after != positions).any(axis=1)
    assert moves == changed.sum() > 0 and not changed[~seeking].any()
    wide = positions.astype(np.float64)
    for i in np.flatnonzero(seeking):
        weights, near = graph.weights[i].astype(np.float64), wide[graph.ids[i]]

        def score(place: np.ndarray, i: int = i, weights=weights, near=near) -> float:
            close = weights @ np.exp(kappa * (near @ place - 1)) / max(weights.sum(), 1e-12)
            return close - crowding * np.exp(kappa * (crowds[i % 7] @ place - 1)).mean()

        heading = headings[i % 7].astype(np.float64)
        arcs = wide[i] + kappa**-0.5 * (heading - (heading @ wide[i])[:, None] * wide[i])
        tried = [*arcs, *([weights @ near] if weights.any() else [])]
        scores = [score(place / np.linalg.norm(place)) for place in tried]
        gain, chosen = max(scores) - score(wide[i]), score(after[i].astype(np.float64))
        if changed[i]:
            assert gain > threshold - 1e-4 and chosen == pytest.approx(max(scores), abs=1e-4)
        else:
            assert gain <= threshold + 1e-4
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-6)
