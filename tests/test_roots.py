"""The bare index: what it promises, and what it does with damaged files."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import FormatError, InputError, NotFoundError, SchemaError, SphereError, VerifyError
from thesphere.roots import Found, Roots
from thesphere.roots.folder import digest
from thesphere.store.tensors import map_tensors, write_tensors

METRICS = ("ip", "cosine")


def made(seed: int, rows: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((rows, width)) * rng.lognormal(0, 0.5, (rows, 1))).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("width", [2, 100, 4096])
def test_answers_are_exact(metric, width):
    vectors, queries = made(1, 300, width), made(2, 12, width)
    roots = Roots.build(vectors, metric)
    found = roots.search(queries, 7, exact=True)
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    if metric == "cosine":
        scores /= np.linalg.norm(vectors.astype(np.float64), axis=1)
        scores /= np.linalg.norm(queries.astype(np.float64), axis=1)[:, None]
    order = np.argsort(-scores, axis=1)[:, :7]
    assert np.array_equal(found.ids, order)
    np.testing.assert_allclose(found.scores, np.take_along_axis(scores, order, 1), rtol=1e-6)
    assert found.ids.dtype == np.int64 and found.scores.dtype == np.float32
    assert found.status == ["exact"] * 12 and not found.gap.any()
    assert found.cost.points_scanned == 300 * 12 and found.cost.bytes_scanned <= found.cost.bytes_stored
    roots.verify(found, queries)


def test_ids_decide_ties():
    vectors = np.ones((6, 3), dtype=np.float32)
    roots = Roots.build(vectors, ids=[9, 4, 7, 1, 8, 2])
    assert roots.search(np.ones(3), 4).ids.tolist() == [[1, 2, 4, 7]]
    scrambled = made(3, 50, 4)
    names = np.random.default_rng(1).permutation(50) * 3
    plain, named = Roots.build(scrambled), Roots.build(scrambled, ids=names)
    assert np.array_equal(named.search(scrambled).ids, names[plain.search(scrambled).ids])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), rows=st.integers(1, 80), k=st.integers(0, 12), spent=st.floats(0, 1.2))
@pytest.mark.parametrize("metric", METRICS)
def test_a_budget_is_kept_and_told(metric, seed, rows, k, spent):
    vectors, queries = made(seed, rows, 6), made(seed + 1, 3, 6)
    roots = Roots.build(vectors[np.argsort(-np.linalg.norm(vectors, axis=1))], metric)
    budget = int(spent * rows * roots.codes.row_bytes)
    found = roots.search(queries, k, budget=budget)
    assert found.cost.points_scanned * roots.codes.row_bytes <= budget * 3
    roots.verify(found, queries)  # the scores are true, and no row left out beats the gap
    full = roots.search(queries, k)
    for q in range(3):
        assert (found.gap[q] == 0) == (found.status[q] == "exact")
        if found.status[q] == "exact":
            assert np.array_equal(found.ids[q], full.ids[q])


def test_norms_can_prove_an_answer_before_the_budget_ends():
    vectors = np.diag(np.array([100.0, 50.0, 1.0, 0.5, 0.1], dtype=np.float32))
    roots = Roots.build(vectors)
    query = [1.0, 1.0, 1.0, 1.0, 1.0]
    assert roots.search(query, 2, budget=3 * roots.codes.row_bytes).status == ["exact"]
    short = roots.search(query, 2, budget=roots.codes.row_bytes)
    assert short.status == ["partial"] and np.isinf(short.gap[0]) and short.ids.tolist() == [[0, -1]]


def test_verify_notices_every_kind_of_lie():
    vectors, queries = made(4, 200, 9), made(5, 4, 9)
    roots = Roots.build(vectors)
    found = roots.search(queries, 5)
    roots.verify(found, queries)
    swapped, foreign, twice = found.ids.copy(), found.ids.copy(), found.ids.copy()
    swapped[1, :2] = swapped[1, 1::-1]
    foreign[2, 4] = 777
    twice[0, 3] = twice[0, 2]
    shifted = np.nextafter(found.scores, np.float32(np.inf))
    partial = ["partial"] * 4
    worst = roots.search(-queries, 5).ids
    for lie in (
        replace(found, ids=swapped),
        replace(found, ids=foreign),
        replace(found, ids=foreign, status=partial),
        replace(found, ids=twice, status=partial),
        replace(found, ids=swapped, status=partial),
        replace(found, scores=shifted),
        replace(found, gap=np.ones(4)),
        replace(found, ids=worst, status=partial),
    ):
        with pytest.raises(VerifyError, match="query"):
            roots.verify(lie, queries)
    scores = np.stack([-roots.search(-q, 5).scores[0] for q in queries])  # true scores, but of the worst rows
    with pytest.raises(VerifyError, match="beyond the gap"):
        roots.verify(Found(worst[:, ::-1], scores[:, ::-1], partial, np.zeros(4)), queries)
    with pytest.raises(InputError, match="4 queries, 2"):
        roots.verify(found, queries[:2])


def test_inputs_of_every_kind():
    vectors = made(6, 20, 4)
    roots = Roots.build(vectors)
    wanted = roots.search(vectors[:2], 3).ids
    for queries in (vectors[:2].astype(np.float64), vectors[:2].tolist(), np.asfortranarray(vectors[:2])):
        assert np.array_equal(roots.search(queries, 3).ids, wanted)
    assert np.array_equal(roots.search(vectors[0], np.int64(3)).ids, wanted[:1])
    half = Roots.build(vectors.astype(np.float16)).search(vectors[:2].astype(np.float16), 3)
    assert half.ids.shape == (2, 3)
    assert Roots.build([[1, 0], [0, 1]]).search([0, 1], 1).ids.tolist() == [[1]]
    assert roots.search(np.zeros((0, 4)), 3).ids.shape == (0, 3)
    assert roots.search(vectors, 0).ids.shape == (20, 0)
    many = roots.search(vectors[:1], 25)
    assert (many.ids[0, 20:] == -1).all() and many.status == ["exact"]
    none = Roots.build(np.zeros((0, 4))).search(np.ones(4), 2)
    assert none.ids.tolist() == [[-1, -1]] and none.status == ["exact"]
    huge = Roots.build(vectors * np.float32(1e30))
    found = huge.search(vectors * np.float32(1e30), 3)
    assert np.isfinite(found.scores).all()
    huge.verify(found, vectors * np.float32(1e30))


def test_wrong_arguments_are_told():
    vectors = made(7, 20, 4)
    roots = Roots.build(vectors)
    spoiled = vectors.copy()
    spoiled[7, 1] = np.nan
    for call, told in (
        (lambda: roots.search(np.ones(5)), "5 wide.*4 wide"),
        (lambda: roots.search(vectors, -1), "k is -1"),
        (lambda: roots.search(vectors, 2.5), "2.5"),
        (lambda: roots.search(spoiled), "row 7"),
        (lambda: roots.search(vectors, budget=-5), "-5"),
        (lambda: roots.search(vectors, budget=5, exact=True), "exclude"),
        (lambda: roots.search("words"), "numbers"),
        (lambda: Roots.build(spoiled), "row 7"),
        (lambda: Roots.build(vectors, "euclid"), "euclid"),
        (lambda: Roots.build(vectors[0]), "shape"),
        (lambda: Roots.build([[1.0], [1.0, 2.0]]), "numbers"),
        (lambda: Roots.build(vectors, ids=np.arange(3)), "20 integers"),
        (lambda: Roots.build(vectors, ids=np.zeros(20, dtype=int)), "twice"),
        (lambda: Roots.build(vectors, ids=np.arange(20) - 1), "negative"),
        (lambda: Roots.build(vectors, ids=np.linspace(0, 1, 20)), "integers"),
    ):
        with pytest.raises(InputError, match=told):
            call()


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("metric", METRICS)
def test_save_and_load(tmp_path, metric, check):
    vectors, queries = made(8, 150, 10), made(9, 6, 10)
    roots = Roots.build(vectors, metric, ids=np.arange(150)[::-1] + 5)
    roots.save(tmp_path / "new" / "index")
    loaded = Roots.load(tmp_path / "new" / "index", check=check)
    assert len(loaded) == 150 and loaded.metric == metric
    assert not loaded.vectors.flags.writeable
    one, two = roots.search(queries), loaded.search(queries)
    assert np.array_equal(one.ids, two.ids) and np.array_equal(one.scores, two.scores)
    loaded.verify(two, queries)
    loaded.save(tmp_path / "new" / "index")  # over itself
    assert np.array_equal(Roots.load(tmp_path / "new" / "index").search(queries).ids, one.ids)


def test_an_empty_index_can_be_kept(tmp_path):
    Roots.build(np.zeros((0, 3))).save(tmp_path)
    assert len(Roots.load(tmp_path)) == 0


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "file", tmp_path / "file" / "index"):
        with pytest.raises(SphereError, match="cannot make"):
            Roots.build(np.eye(3)).save(place)


def test_damaged_files_are_refused(tmp_path):
    Roots.build(made(10, 40, 5)).save(tmp_path)
    path = tmp_path / "roots.safetensors"
    good = path.read_bytes()
    with pytest.raises(NotFoundError):
        Roots.load(tmp_path / "nowhere")
    rng = np.random.default_rng(1)
    for cut in [0, 7, 8, 50, len(good) // 2, len(good) - 1]:
        path.write_bytes(good[:cut])
        with pytest.raises(FormatError):
            Roots.load(tmp_path)
    for place in [0, 9, *rng.integers(8, len(good), 60).tolist()]:
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        with pytest.raises(FormatError):  # SchemaError is one too: the flip may hit the version
            Roots.load(tmp_path)
    path.write_bytes(b"not an index at all, but long enough to hold a header")
    with pytest.raises(FormatError):
        Roots.load(tmp_path)


def test_made_up_files_are_refused(tmp_path):
    """Well-formed files, right checksum and all, whose content could give a false proof."""
    Roots.build(made(11, 40, 5)).save(tmp_path)
    path = tmp_path / "roots.safetensors"
    arrays, about = map_tensors(path)
    arrays = {name: array.copy() for name, array in arrays.items()}

    def load(changed=None, **told):
        new = {**arrays, **(changed or {})}
        said = {**about, **told}
        write_tensors(path, new, {**said, "sha256": digest(new, said)})
        return Roots.load(tmp_path)

    load()
    poisoned = arrays["vectors"].copy()
    poisoned[3, 3] = np.nan
    for changed in (
        {"residuals": np.zeros_like(arrays["residuals"])},
        {"vectors": poisoned},
        {"vectors": arrays["vectors"][:, :4].copy()},
        {"vectors": arrays["vectors"].astype(np.float64)},
        {"ids": arrays["ids"][::-1].copy()},
        {"ids": arrays["ids"] - 1},
        {"ids": arrays["ids"][:-1].copy()},
    ):
        with pytest.raises(FormatError):
            load(changed)
    for told in ({"format": "else"}, {"version": "x"}, {"metric": "l2"}):
        with pytest.raises(FormatError):
            load(**told)
    with pytest.raises(SchemaError, match="version 99"):
        load(version="99")
