"""Ranking metrics against golden values worked out by hand and against a brute force over permutations."""

from itertools import permutations
from math import isnan, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.metrics import mrr, ndcg_at_k, recall_at_k


def test_golden() -> None:
    grades = {"a": 2, "b": 1, "c": 0, "d": 1}
    ranked = ["c", "a", "x", "b"]
    best = 3 / 1 + 1 / log2(3) + 1 / 2
    assert ndcg_at_k(ranked, grades) == pytest.approx((3 / log2(3) + 1 / log2(5)) / best)
    assert ndcg_at_k(ranked, grades, 2) == pytest.approx((3 / log2(3)) / (3 + 1 / log2(3)))
    assert ndcg_at_k(["a", "b", "d"], grades) == 1.0
    assert recall_at_k(ranked, grades) == pytest.approx(2 / 3)
    assert recall_at_k(ranked, grades, 2) == pytest.approx(1 / 3)
    assert mrr(ranked, grades) == 0.5
    assert mrr(ranked, grades, 1) == 0.0
    assert mrr(["x", "y", "b"], {"b"}) == pytest.approx(1 / 3)


def test_judgements_without_grades_count_as_one() -> None:
    ranked = [3, 1, 2]
    assert ndcg_at_k(ranked, [1, 9]) == ndcg_at_k(ranked, {1: 1, 9: 1})
    assert recall_at_k(ranked, np.array([1, 9])) == 0.5


def test_nothing_relevant_is_nan_not_zero() -> None:
    for metric in (ndcg_at_k, recall_at_k, mrr):
        assert isnan(metric(["a"], {"b": 0, "c": -1}))


def test_no_answers() -> None:
    assert (ndcg_at_k([], {"a"}), recall_at_k([], {"a"}), mrr([], {"a"})) == (0.0, 0.0, 0.0)


def test_no_answers_looked_at() -> None:
    assert [metric(["a"], {"a": 2}, 0) for metric in (ndcg_at_k, recall_at_k, mrr)] == [0.0, 0.0, 0.0]
    assert isnan(ndcg_at_k(["a"], {}, 0))


def test_refuses_repeats_and_negative_k() -> None:
    with pytest.raises(InputError, match="twice"):
        ndcg_at_k(["a", "a"], {"a"})
    with pytest.raises(InputError, match="k is -1"):
        recall_at_k(["a"], {"a"}, -1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5).filter(any), st.integers(1, 6))
def test_ndcg_is_gain_over_the_best_permutation(grades: list[int], k: int) -> None:
    def gain(order) -> float:
        return float(np.sum((2.0 ** np.array(order[:k]) - 1) / np.log2(np.arange(2, 2 + len(order[:k])))))

    best = max(gain(order) for order in permutations(grades))
    judged = dict(enumerate(grades))
    assert ndcg_at_k(list(judged), judged, k) == pytest.approx(gain(grades) / best)
    assert 0 <= ndcg_at_k(list(judged), judged, k) <= 1
    first = next(i for i, g in enumerate(grades) if g)
    assert mrr(list(judged), judged) == pytest.approx(1 / (first + 1))
