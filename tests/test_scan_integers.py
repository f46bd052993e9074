"""Products of bytes and sums of float64 that are written in vectors, against NumPy, integers and fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from thesphere.scan import integers
from thesphere.scan.dots import score, sums

BOTH = [integers.products, integers._loop]


@pytest.mark.parametrize("products", BOTH, ids=["chosen", "loop"])
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.sampled_from([64, 128, 384, 1024, 4096]),
    count=st.integers(0, 40),
    extreme=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_products_are_exact(products, seed, width, count, extreme):
    rng = np.random.default_rng(seed)
    draw = (
        (lambda shape: rng.choice([-127, 127], shape))
        if extreme
        else (lambda shape: rng.integers(-127, 128, shape))
    )
    codes, queries = draw((count + 3, width)).astype(np.int8), draw((4, width)).astype(np.int8)
    out = np.full(count + 7, 7, dtype=np.int32)
    run = _compiled(products)
    run(codes, 2, count, queries, 3, out, 5)
    truth = codes[2 : 2 + count].astype(np.int64) @ queries[3].astype(np.int64)
    assert np.array_equal(out[5 : 5 + count], truth)
    assert (np.delete(out, np.arange(5, 5 + count)) == 7).all()


def _compiled(products, known={}):  # noqa: B006 - one compilation each
    if products not in known:

        @njit
        def run(codes, first, count, queries, q, out, at):
            products(codes, first, count, queries, q, out, at)

        known[products] = run
    return known[products]


@pytest.mark.parametrize(
    "way", [integers.products_of_several, integers._one_by_one], ids=["chosen", "singly"]
)
@given(seed=st.integers(0, 2**32 - 1), width=st.sampled_from([64, 192, 1024]), count=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_products_with_several_queries_are_exact(way, seed, width, count):
    rng = np.random.default_rng(seed)
    codes, queries = (rng.integers(-127, 128, (rows, width)).astype(np.int8) for rows in (count + 3, 9))
    who, apart = rng.integers(0, 9, 7), count + 2
    out = np.full((integers.SEVERAL, apart), 7, np.int32)
    _compiled_for_several(way)(codes, 2, count, queries, who, 3, out.reshape(-1), apart)
    asked = queries[who[3 : 3 + integers.SEVERAL]].astype(np.int64)
    assert np.array_equal(out[:, :count], asked @ codes[2 : 2 + count].astype(np.int64).T)
    assert (out[:, count:] == 7).all()


def _compiled_for_several(way, known={}):  # noqa: B006 - one compilation each
    if way not in known:

        @njit
        def run(codes, first, count, queries, who, begin, out, apart):
            way(codes, first, count, queries, who, begin, out, apart)

        known[way] = run
    return known[way]


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 130), bytes_=st.booleans())
@settings(max_examples=60, deadline=None)
def test_sums_have_one_order(seed, width, bytes_):
    rng = np.random.default_rng(seed)
    values = rng.integers(-127, 128, (3, width + 2)).astype(np.int8)
    if not bytes_:
        values = rng.normal(size=(3, width + 2)).astype(np.float32)
    query, step = rng.normal(size=width), float(rng.uniform(0.1, 2))
    x = values[1, :width].astype(np.float64) * step
    assert sums(values, 1, step, query) == (_in_eight(x, query), _in_eight(x, x))
    assert sums(values, 1, step, np.zeros(width)) == (0.0, _in_eight(x, x))
    exact = float(sum(Fraction(a) * Fraction(b) for a, b in zip(x.tolist(), query.tolist(), strict=True)))
    assert abs(sums(values, 1, step, query)[0] - exact) <= 1e-13 * np.abs(x * query).sum()


def _in_eight(a: np.ndarray, b: np.ndarray) -> float:
    """Eight partial sums in plain Python; what is left over joins the first."""
    parts, whole = [0.0] * 8, len(a) - len(a) % 8
    for j, product in enumerate((a * b).tolist()):
        parts[j % 8 if j < whole else 0] += product
    p = parts
    return ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7]))


def test_score_of_zero_vectors():
    values = np.zeros((2, 5), dtype=np.float32)
    assert score(values, 0, 1.0, np.ones(5), np.sqrt(5.0), True) == 0.0
    assert score(values + 1, 0, 1.0, np.zeros(5), 0.0, True) == 0.0
    assert score(values + 2, 0, 1.0, np.ones(5), np.sqrt(5.0), False) == 10.0
