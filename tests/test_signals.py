"""Signals against SciPy, exact sums and loops."""

from math import fsum, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from thesphere.errors import InputError
from thesphere.signals import coherence, norm_report, patch_signals, prominence, spearman, spread


@pytest.mark.parametrize("scale", [1.0, 1e18, 1e-18, 1e30, 1e-30])
def test_prominence_is_exact_to_float64(scale: float) -> None:
    rows = (np.random.default_rng(0).standard_normal((50, 384)) * scale).astype(np.float32)
    exact = [sqrt(fsum(float(v) ** 2 for v in row)) for row in rows]
    np.testing.assert_allclose(prominence(rows), exact, rtol=1e-14)


def test_prominence_does_not_depend_on_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(1).standard_normal((37, 5)).astype(np.float32)
    whole = prominence(rows)
    monkeypatch.setattr("thesphere.norms.BLOCK", 12)
    assert (prominence(rows) == whole).all()
    assert prominence(np.zeros((2, 3), np.float16)).tolist() == [0, 0]
    assert prominence(np.zeros((0, 3), np.float32)).shape == (0,)


def test_prominence_refuses_what_is_not_finite() -> None:
    rows = np.ones((3, 2), np.float32)
    rows[1, 0] = np.nan
    with pytest.raises(InputError, match="row 1 of the embeddings"):
        prominence(rows)
    with pytest.raises(InputError, match=r"shape \[3\]"):
        prominence(np.ones(3))


def test_coherence() -> None:
    found = coherence(np.array([2.0, 3.0, 1.0]), np.array([0.5, 0.0, np.nan]))
    np.testing.assert_allclose(found[:2], [4 / 0.500001, 9 / 1e-6])
    assert np.isnan(found[2])  # an unknown entropy stays unknown
    for strong, nats in (([1.0], [-0.1]), ([np.nan], [1.0]), ([1.0], [np.inf])):
        with pytest.raises(InputError, match="row 0"):
            coherence(np.array(strong), np.array(nats))
    with pytest.raises(InputError, match="2 prominences and 1 entropies"):
        coherence(np.ones(2), np.ones(1))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=8), st.integers(0, 2**32 - 1))
def test_patch_signals_equal_a_loop(lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((sum(lengths), 4)).astype(np.float32)
    nats = rng.random(sum(lengths))
    found = patch_signals(vectors, nats, np.array(lengths, np.int32))
    start = 0
    for row, length in enumerate(lengths):
        part = vectors[start : start + length].astype(np.float64)
        mean = part.mean(axis=0) if length else np.zeros(4)
        strongest = max((sqrt(fsum(v * v for v in one)) for one in part.tolist()), default=0.0)
        entropy = nats[start : start + length].mean() if length else 0.0
        np.testing.assert_allclose(found.embeddings[row], mean, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found.prominence[row], strongest, rtol=1e-6)
        np.testing.assert_allclose(found.entropies[row], entropy, rtol=1e-6)
        np.testing.assert_allclose(found.coherence[row], strongest**2 / (entropy + 1e-6), rtol=1e-5)
        start += length


def test_coherence_of_strong_patches_is_finite() -> None:
    found = patch_signals(np.full((3, 1), 1e18, np.float32), np.zeros(3), np.array([2, 1]))
    assert found.coherence.dtype == np.float64
    np.testing.assert_allclose(found.coherence, 1e42, rtol=1e-6)


def test_patch_signals_refuse_patches_that_do_not_tile() -> None:
    with pytest.raises(InputError, match="patches of 2 bytes"):
        patch_signals(np.ones((3, 2)), np.ones(3), np.array([1, 1]))
    with pytest.raises(InputError, match="whole numbers"):
        patch_signals(np.ones((3, 2)), np.ones(3), np.array([4, -1]))
    with pytest.raises(InputError, match="byte entropies"):
        patch_signals(np.ones((1, 2)), np.array([np.nan]), np.array([1]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_spearman_equals_scipy(pairs: list[tuple[int, int]]) -> None:
    left, right = np.array(pairs, float).T
    if len(set(left)) < 2 or len(set(right)) < 2:
        assert np.isnan(spearman(left, right))
    else:
        assert spearman(left, right) == pytest.approx(stats.spearmanr(left, right)[0], abs=1e-12)


def test_spread() -> None:
    values = np.arange(101.0)
    found = spread(values)
    assert (found.min, found.p5, found.p50, found.p95, found.max) == (0, 5, 50, 95, 100)
    assert found.cv == pytest.approx(stats.variation(values))


def test_report_says_what_is_lost() -> None:
    rng = np.random.default_rng(2)
    lengths = rng.integers(10, 500, 300)
    rows = rng.standard_normal((300, 8))
    rows *= (lengths / np.linalg.norm(rows, axis=1))[:, None]
    rows[0] = 0
    report = norm_report(rows.astype(np.float32), lengths)
    assert (report.count, report.zeros) == (300, 1)
    assert report.before.max == pytest.approx(lengths[1:].max(), rel=1e-5)
    assert (report.after.min, report.after.p5, report.after.max) == (0, 1, 1)
    assert report.length_correlation > 0.9
    assert "longer texts have larger norms" in report.meaning
    assert "shorter texts" in norm_report(rows[1:], 1 / lengths[1:]).meaning
    same = norm_report(rows[1:] / prominence(rows[1:])[:, None], lengths[1:])
    assert "hardly differ" in same.meaning
    assert "Little of it" in norm_report(rows[1:], rng.random(299)).meaning
    assert "unknown" in norm_report(rows, np.full(300, 7)).meaning


def test_report_refuses() -> None:
    with pytest.raises(InputError, match="no points"):
        norm_report(np.zeros((0, 4)), np.zeros(0))
    with pytest.raises(InputError, match="2 embeddings and 3 lengths"):
        norm_report(np.ones((2, 4)), np.ones(3))
