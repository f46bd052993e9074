"""The certified scan against full float64 enumeration, and its bounds against exact values."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import FormatError, InputError
from thesphere.nn import packed
from thesphere.nn.packed import ways
from thesphere.scan import Codes, Part, all_bounds, all_exact, answers, block, bounds, encode, exact, search
from thesphere.scan.rows import WIDEST

METRICS = ("ip", "cosine")
few = settings(max_examples=120, deadline=None)


def made(seed: int, rows: int, width: int, kind: str) -> np.ndarray:
    """Rows of one kind; "hard" mixes magnitudes, zeros, duplicates and small integers (many exact ties)."""
    rng = np.random.default_rng(seed)
    array = rng.standard_normal((rows, width))
    if kind == "ties":
        array = rng.integers(-1, 2, (rows, width)).astype(float)
    if kind == "hard":
        array *= rng.choice([0.0, 1e-42, 1e-18, 1.0, 1.0, 1.0, 1e18, 1e37], (rows, 1))
        array[rng.random((rows, width)) < 0.2] = 0.0
        array[rng.integers(0, rows, rows // 3)] = array[rng.integers(0, rows, rows // 3)]
    return array.astype(np.float32)


def split(vectors, storage, cuts, live=None) -> list[Part]:
    edges = [0, *sorted(cuts), len(vectors)]
    parts = []
    for start, end in zip(edges, edges[1:], strict=False):
        cut = slice(start, end)
        kept = vectors[cut] if storage == "float32" else None
        mask = None if live is None else live[cut]
        parts.append(Part(encode(vectors[cut], storage=storage), kept, start, mask))
    return parts


def truth(vectors, storage, queries, metric) -> np.ndarray:
    """Float64 scores [Q, N] by an own formula: NumPy's float64, not the package's kernels."""
    codes = encode(vectors, storage=storage)
    rows = vectors.astype(np.float64)
    if storage == "int8":
        rows = codes.codes[:, : codes.width] * codes.scales.astype(np.float64)[:, None]
    queries = queries.astype(np.float64)
    scores = queries @ rows.T
    if metric == "cosine":
        norms = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(rows, axis=1)
        scores = np.divide(scores, norms, out=np.zeros_like(scores), where=norms > 0)
    return scores


cases = dict(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 150),
    width=st.sampled_from([1, 2, 7, 8, 63, 64, 65, 130]),
    kind=st.sampled_from(["plain", "ties", "hard"]),
    storage=st.sampled_from(["float32", "int8"]),
    metric=st.sampled_from(METRICS),
)


@few
@given(**cases, k=st.integers(0, 20), asked=st.sampled_from([1, 2, 5, 30]), threads=st.sampled_from([1, 2]))
def test_search_equals_full_enumeration(seed, rows, width, kind, storage, metric, k, asked, threads):
    rng = np.random.default_rng(seed + 1)
    vectors, queries = made(seed, rows, width, kind), made(seed + 2, asked, width, kind)
    live = rng.random(rows) < 0.6 if seed % 2 else None
    parts = split(vectors, storage, rng.integers(0, rows + 1, seed % 4).tolist(), live)
    found = search(parts, queries, k, metric=metric, threads=threads)

    usable = np.arange(rows) if live is None else np.flatnonzero(live)
    oracle = truth(vectors, storage, queries, metric)
    rounding = np.full(rows, 1e-13)
    if metric == "ip":
        rounding = 1e-13 * np.linalg.norm(vectors.astype(np.float64), axis=1)
    for q in range(asked):
        own = all_exact(parts, queries[q], np.arange(rows), metric)
        size = np.linalg.norm(queries[q].astype(np.float64)) if metric == "ip" else 1.0
        assert (np.abs(own - oracle[q]) <= 1.1 * size * rounding).all()
        order = sorted(usable, key=lambda i: (-own[i], i))[:k]
        assert found.ids[q].tolist() == order + [-1] * (k - len(order))
        assert found.scores[q].tolist() == [own[i] for i in order] + [-math.inf] * (k - len(order))


@few
@given(**cases)
def test_bounds_contain_the_score(seed, rows, width, kind, storage, metric):
    vectors, query = made(seed, rows, width, kind), made(seed + 2, 1, width, kind)
    parts = split(vectors, storage, [rows // 3])
    lower, upper = all_bounds(parts, query[0], metric)
    value = all_exact(parts, query[0], np.arange(rows), metric)
    assert (lower <= value).all() and (value <= upper).all()


@pytest.mark.parametrize("metric", METRICS)
def test_bounds_contain_the_real_inner_product(metric):
    """Rational arithmetic as the judge: the bounds hold for the real number, not only for its float64."""
    vectors, query = made(3, 40, 17, "hard"), made(4, 1, 17, "plain")[0]
    lower, upper = bounds(Part(encode(vectors), vectors), query, metric)
    asked = [Fraction(float(v)) for v in query]
    for i, row in enumerate(vectors):
        terms = [Fraction(float(v)) for v in row]
        real = sum(a * b for a, b in zip(asked, terms, strict=True))
        if metric == "ip":
            assert Fraction(lower[i]) <= real <= Fraction(upper[i])
        elif any(terms):
            square = real * real / (sum(a * a for a in asked) * sum(a * a for a in terms))
            sign = -1 if real < 0 else 1
            for bound, side in ((lower[i], 1), (upper[i], -1)):  # side * (real cosine - bound) >= 0
                edge = Fraction(bound)
                assert side * (sign * square - (1 if edge >= 0 else -1) * edge * edge) >= 0


def test_bounds_are_tight_enough_to_be_useful():
    vectors, query = made(5, 2000, 128, "plain"), made(6, 1, 128, "plain")[0]
    lower, upper = bounds(Part(encode(vectors), vectors), query)
    spread = (upper - lower) / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))
    assert spread.max() < 0.06
    assert search([Part(encode(vectors), vectors)], query, 10).rescored < 100


def test_a_residual_that_is_too_small_is_noticed():
    """Were the residual wrong, these very checks would fail: they can see the difference."""
    vectors, queries = made(7, 3000, 16, "plain"), made(8, 60, 16, "plain")
    codes = encode(vectors)
    short = replace(codes, residuals=np.zeros_like(codes.residuals))
    honest, wrong, missed = Part(codes, vectors), Part(short, vectors), 0
    for query in queries:
        value = exact(honest, query, np.arange(3000))
        lower, upper = bounds(wrong, query)
        missed += int(((value < lower) | (value > upper)).sum())
        lower, upper = bounds(honest, query)
        assert ((lower <= value) & (value <= upper)).all()
    assert missed > 0


@pytest.mark.parametrize("metric", METRICS)
def test_many_duplicates_settle_within_the_room(metric):
    """More equal rows than a candidate list holds: lists are settled on the way, ties fall by id."""
    vectors = np.repeat(made(9, 3, 33, "plain"), 1500, axis=0)
    queries = made(10, 9, 33, "plain")
    parts = split(vectors, "float32", [700, 701, 3000])
    found = search(parts, queries, 12, metric=metric)
    for q, query in enumerate(queries):
        value = all_exact(parts, query, np.arange(len(vectors)), metric)
        order = np.lexsort((np.arange(len(vectors)), -value))[:12]
        assert found.ids[q].tolist() == order.tolist()
        one = search(parts, query, 12, metric=metric)
        assert one.ids[0].tolist() == order.tolist() and one.scores[0].tolist() == found.scores[q].tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_layout_and_threads_do_not_matter(metric):
    vectors, queries = made(11, 2500, 48, "hard"), made(12, 600, 48, "plain")
    one = search(split(vectors, "float32", []), queries, 15, metric=metric)
    for cuts, threads in (([1, 513, 2048], 2), ([2499], 1), (list(range(0, 2500, 300)), 2)):
        other = search(split(vectors, "float32", cuts), queries, 15, metric=metric, threads=threads)
        assert np.array_equal(one.ids, other.ids) and np.array_equal(one.scores, other.scores)
    backwards = search(split(vectors, "float32", [900])[::-1], queries, 15, metric=metric)
    assert np.array_equal(one.ids, backwards.ids)
    singles = [
        search(split(vectors, "float32", []), query, 15, metric=metric).ids[0] for query in queries[::9]
    ]
    assert np.array_equal(one.ids[::9], singles)


def test_k_beyond_the_rows_and_nothing_at_all():
    vectors = made(13, 7, 5, "plain")
    found = search([Part(encode(vectors), vectors, 100)], vectors[:5], 9)
    assert (found.ids[:, 7:] == -1).all() and np.isneginf(found.scores[:, 7:]).all()
    assert sorted(found.ids[0, :7].tolist()) == list(range(100, 107))
    assert search([], np.ones((2, 3)), 4).ids.tolist() == [[-1] * 4] * 2
    empty = np.zeros((0, 5), dtype=np.float32)
    assert search([Part(encode(empty), empty)], vectors, 2).ids.tolist() == [[-1, -1]] * 7
    assert search([Part(encode(vectors), vectors)], empty, 2).ids.shape == (0, 2)
    dead = Part(encode(vectors), vectors, live=np.zeros(7, dtype=bool))
    assert search([dead], vectors[:5], 2).ids.tolist() == [[-1, -1]] * 5


def test_wide_rows():
    vectors, queries = made(14, 30, 5000, "plain"), made(15, 6, 5000, "plain")
    found = search([Part(encode(vectors), vectors)], queries, 3)
    assert np.array_equal(found.ids, np.argsort(-truth(vectors, "float32", queries, "ip"), axis=1)[:, :3])


@pytest.mark.parametrize("way", ways())
def test_a_block_is_searched_the_same_on_every_way(way, monkeypatch):
    vectors, queries = made(1, 1100, 130, "plain"), made(2, 37, 130, "plain")
    wanted = search([Part(encode(vectors), vectors)], queries, 5)
    monkeypatch.setattr(packed, "ways", lambda: [way])
    found = search([Part(encode(vectors), vectors)], queries, 5)
    assert np.array_equal(found.ids, wanted.ids) and np.array_equal(found.scores, wanted.scores)
    assert found.rescored == wanted.rescored


def test_small_blocks_change_nothing(monkeypatch):
    vectors, queries = made(16, 400, 20, "ties"), made(17, 40, 20, "ties")
    wanted = search([Part(encode(vectors), vectors)], queries, 8)
    monkeypatch.setattr(answers, "BLOCK", 7)
    monkeypatch.setattr(block, "TILE", 64)
    found = search([Part(encode(vectors), vectors)], queries, 8, threads=2)
    assert np.array_equal(found.ids, wanted.ids) and np.array_equal(found.scores, wanted.scores)


@few
@given(**{name: cases[name] for name in ("seed", "rows", "width", "kind", "storage")})
def test_codes_keep_their_promise(seed, rows, width, kind, storage):
    vectors = made(seed, rows, width, kind)
    codes = encode(vectors, storage=storage)
    assert codes.codes.shape[1] % 64 == 0 and not codes.codes[:, width:].any()
    assert codes.codes.min(initial=0) >= -127
    steps = codes.scales.astype(np.float64)[:, None]
    near = codes.codes[:, :width] * steps
    vectors = near if storage == "int8" else vectors.astype(np.float64)
    residuals = codes.residuals.astype(np.float64) * codes.scales
    assert (np.linalg.norm(vectors - near, axis=1) <= residuals).all()
    assert (np.linalg.norm(vectors, axis=1) <= codes.norms).all()
    assert (codes.norms <= np.linalg.norm(vectors, axis=1) * (1 + 1e-6)).all()
    again = Codes.from_arrays({name: array.copy() for name, array in codes.arrays().items()})
    assert all(np.array_equal(again.arrays()[name], array) for name, array in codes.arrays().items())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_rows_are_refused_by_number(bad):
    vectors = made(18, 9, 6, "plain")
    vectors[4, 5] = bad
    with pytest.raises(InputError, match="row 4"):
        encode(vectors)
    with pytest.raises(InputError, match="queries: row 4"):
        search([Part(encode(vectors[:3]), vectors[:3])], vectors, 2)
    with pytest.raises(InputError, match="row 0"):
        encode(np.array([[1e300, 0.0]]))


def test_wrong_arguments_are_told():
    vectors = made(19, 9, 6, "plain")
    part = Part(encode(vectors), vectors)
    narrow = Part(encode(vectors[:, :2], storage="int8"))
    for call, told in (
        (lambda: search([part], np.ones((2, 5)), 3), "5 wide.*6 wide"),
        (lambda: search([part], vectors, -1), "k is -1"),
        (lambda: search([part], vectors, 1, threads=0), "threads 0"),
        (lambda: search([part], vectors, 1, metric="l2"), "'l2'"),
        (lambda: search([part], ["a", "b"], 1), "numbers"),
        (lambda: search([part], np.ones((1, 2, 6)), 1), "shape"),
        (lambda: search([part, narrow], vectors, 1), "widths"),
        (lambda: exact(part, vectors[0], [9]), "has 9"),
        (lambda: all_exact([part], vectors[0], [-1]), "-1"),
        (lambda: bounds(part, vectors[:2]), "one query"),
        (lambda: encode(vectors, storage="int4"), "int4"),
        (lambda: encode(np.zeros((3, 0))), "shape"),
        (lambda: Part(encode(vectors)), "residuals"),
        (lambda: Part(encode(vectors), vectors.astype(np.float64)), "float64"),
        (lambda: Part(encode(vectors), vectors, live=np.ones(3, dtype=bool)), "live"),
    ):
        with pytest.raises(InputError, match=told):
            call()


def test_stored_codes_are_not_trusted():
    arrays = encode(made(20, 9, 6, "plain")).arrays()
    for name, wrong in (
        ("codes", arrays["codes"][:, :32]),
        ("codes", arrays["codes"].astype(np.int16)),
        ("scales", arrays["scales"][:-1]),
        ("scales", np.zeros(9, dtype=np.float32)),
        ("residuals", np.full(9, np.nan, dtype=np.float16)),
        ("residuals", -np.ones(9, dtype=np.float16)),
        ("lengths", np.full(9, np.inf, dtype=np.float32)),
        ("width", np.array([65])),
        ("width", np.array([0])),
        ("width", np.array([], dtype=np.int64)),
    ):
        with pytest.raises(FormatError):
            Codes.from_arrays({**arrays, name: wrong})
    with pytest.raises(FormatError, match="scales"):
        Codes.from_arrays({name: array for name, array in arrays.items() if name != "scales"})
    with pytest.raises(FormatError, match=r"^x/rows\.safetensors: 'scales' has"):
        Codes.from_arrays({**arrays, "scales": arrays["scales"][:-1]}, name="x/rows.safetensors")


def test_rows_whose_dots_could_overflow_are_refused():
    assert WIDEST * 127 * 127 < 2**31
    wide = encode(np.ones((1, WIDEST), np.float32))
    assert wide.width == Codes.from_arrays(wide.arrays()).width == WIDEST
    (found,) = search(
        [Part(wide, np.ones((1, WIDEST), np.float32))], np.ones((1, WIDEST), np.float32), 1
    ).scores
    assert found.tolist() == [WIDEST]
    with pytest.raises(InputError, match=f"{WIDEST + 1} wide; at most {WIDEST} columns"):
        encode(np.ones((1, WIDEST + 1), np.float32))
    arrays = {**wide.arrays(), "codes": np.zeros((1, WIDEST + 64), np.int8), "width": np.array([WIDEST + 64])}
    with pytest.raises(FormatError, match="does not fit"):
        Codes.from_arrays(arrays)
