"""How good a ranking is: recall, nDCG and reciprocal rank, each for one query.

`ranked` holds the answers' ids, best first and without repeats. `relevant` holds what was judged: grades by
id, or a collection of ids that all have grade 1. A grade of 0 or below counts as not relevant. A query with
nothing relevant has no defined value: it scores NaN, so that a mean that includes it by mistake is seen.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from math import log2, nan

from thesphere.errors import InputError

Judged = Mapping[Hashable, float] | Collection[Hashable]


def recall_at_k(ranked: Sequence[Hashable], relevant: Judged, k: int = 10) -> float:
    """The share of the relevant ids that is among the first `k` answers, in [0, 1]."""
    grades = _check(ranked, relevant, k)
    if not grades:
        return nan
    return sum(answer in grades for answer in ranked[:k]) / len(grades)


def ndcg_at_k(ranked: Sequence[Hashable], relevant: Judged, k: int = 10) -> float:
    """Discounted cumulative gain of the first `k` answers over that of the best possible order, in [0, 1].

    Gain 2^grade - 1, discount 1 / log2(rank + 1), as in Burges et al. 2005; 0 for a k of 0.
    """
    grades = _check(ranked, relevant, k)
    if not grades:
        return nan
    if k == 0:
        return 0.0
    best = sorted(grades.values(), reverse=True)
    return _gain(grades.get(answer, 0.0) for answer in ranked[:k]) / _gain(best[:k])


def mrr(ranked: Sequence[Hashable], relevant: Judged, k: int | None = None) -> float:
    """1 / rank of the first relevant answer (of the first `k` where given), 0 where none is, in [0, 1].

    The mean over queries is the mean reciprocal rank.
    """
    grades = _check(ranked, relevant, len(ranked) if k is None else k)
    if not grades:
        return nan
    return next((1.0 / rank for rank, answer in enumerate(ranked[:k], 1) if answer in grades), 0.0)


def _gain(grades) -> float:
    return sum((2.0**grade - 1.0) / log2(rank + 1.0) for rank, grade in enumerate(grades, 1))


def _check(ranked: Sequence[Hashable], relevant: Judged, k: int) -> dict[Hashable, float]:
    """The positive grades. Repeated answers are refused: they would be counted twice."""
    if k < 0:
        raise InputError(f"k is {k}; give the number of answers to look at, 0 or more")
    if len(set(ranked)) != len(ranked):
        raise InputError("the ranking names an id twice; give every answer once")
    pairs = relevant.items() if isinstance(relevant, Mapping) else ((answer, 1.0) for answer in relevant)
    return {answer: float(grade) for answer, grade in pairs if grade > 0}
