"""Indexes with cells: the same answers as full enumeration where they say exact, and honest ones elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError, SphereError, VerifyError
from thesphere.navigate import detect_peaks
from thesphere.nn import packed
from thesphere.roots import Roots, RootsConfig
from thesphere.roots.folder import digest
from thesphere.roots.routing import products
from thesphere.roots.search import Index, visit
from thesphere.roots.stop import Stop, checkpoints
from thesphere.scan import Part, search
from thesphere.scan.block import Queries
from thesphere.store.tensors import map_tensors, write_tensors

METRICS = ("ip", "cosine")
SMALL = RootsConfig(partitions=24, flat_below=1)


def clustered(seed: int, rows: int, width: int, *, spread: float = 0.5) -> np.ndarray:
    """Heavy clusters with norms that differ, a few zero rows and near-duplicates."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((9, width))
    weights = rng.dirichlet(np.full(9, 0.6))
    vectors = centres[rng.choice(9, rows, p=weights)] + spread * rng.standard_normal((rows, width))
    vectors *= rng.lognormal(0, 0.6, (rows, 1))
    vectors[: rows // 10] = vectors[rows // 2]
    vectors[rows // 10 : rows // 8] *= 0
    return vectors[rng.permutation(rows)].astype(np.float32)


def truth(vectors: np.ndarray, queries: np.ndarray, metric: str) -> np.ndarray:
    """float64 [Q, N] by NumPy."""
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    if metric == "cosine":
        norms = np.linalg.norm(queries.astype(np.float64), axis=1)[:, None]
        norms = norms * np.linalg.norm(vectors.astype(np.float64), axis=1)
        scores = np.divide(scores, norms, out=np.zeros_like(scores), where=norms > 0)
    return scores


@pytest.fixture(scope="module", params=METRICS)
def made(request) -> tuple[Roots, np.ndarray, np.ndarray]:
    vectors, queries = clustered(1, 3000, 24), clustered(2, 700, 24, spread=0.8)
    return Roots.build(vectors, request.param, config=SMALL, queries=queries[:400]), vectors, queries[400:]


def test_exact_is_full_enumeration(made):
    roots, vectors, queries = made
    found = roots.search(queries, 13, exact=True)
    assert found.status == ["exact"] * 300 and not found.gap.any()
    flat = search([Part(roots.codes, vectors)], queries, 13, metric=roots.metric)
    assert np.array_equal(found.ids, flat.ids)
    assert np.array_equal(found.scores, flat.scores.astype(np.float32))
    kth = -np.sort(-truth(vectors, queries, roots.metric), axis=1)[:, 12]
    np.testing.assert_allclose(found.scores[:, 12], kth, rtol=1e-5, atol=1e-6)
    roots.verify(found, queries)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 300),
    width=st.sampled_from([1, 2, 3, 7, 64, 130]),
    k=st.integers(1, 30),
    cells=st.integers(1, 40),
    metric=st.sampled_from(METRICS),
    scale=st.sampled_from([1e-30, 1.0, 1e15]),
)
def test_exact_is_never_wrong(seed, rows, width, k, cells, metric, scale):
    vectors = clustered(seed, rows, width) * np.float32(scale)
    queries = clustered(seed + 1, 12, width)
    queries[0] = 0
    roots = Roots.build(vectors, metric, config=RootsConfig(partitions=cells, flat_below=1, members=True))
    roots.verify(roots.search(queries, k, exact=True), queries)
    roots.verify(roots.search(queries, k, recall=0.9), queries)
    budget = int(np.random.default_rng(seed).integers(0, rows + 1)) * roots.row_bytes
    cut = roots.search(queries, k, budget=budget)
    assert cut.cost.points_scanned * roots.row_bytes <= budget * len(queries)
    roots.verify(cut, queries)


def test_what_is_asked_beside_a_query_changes_nothing(made, monkeypatch):
    """One by one, in blocks, on two threads, and without the compiled products: the same answers."""
    roots, _, queries = made
    wanted = roots.search(queries, 5, recall=0.9)
    assert set(wanted.status) <= {"probable", "exact"}
    for threads in (1, 2, 3):
        found = roots.search(queries, 5, recall=0.9, threads=threads)
        assert np.array_equal(found.ids, wanted.ids) and np.array_equal(found.opened, wanted.opened)
        assert np.array_equal(found.scores, wanted.scores) and np.array_equal(found.gap, wanted.gap)
    for q in range(0, 300, 17):
        one = roots.search(queries[q], 5, recall=0.9)
        assert np.array_equal(one.ids[0], wanted.ids[q]) and one.status[0] == wanted.status[q]
        assert one.gap[0] == wanted.gap[q] and one.opened[0] == wanted.opened[q]
    monkeypatch.setattr("thesphere.scan.grouped.tiles_allowed", lambda: False)
    monkeypatch.setattr(products, "tiles_allowed", lambda: False)
    monkeypatch.setattr(products, "LANES", 0)
    monkeypatch.setattr(packed, "ways", lambda: ["blas"])
    slow = roots.search(queries, 5, recall=0.9)
    assert np.array_equal(slow.ids, wanted.ids) and np.array_equal(slow.opened, wanted.opened)


def test_tiles_and_single_rows_find_the_same(made, monkeypatch):
    roots, _, queries = made
    found = []
    for one_by_one in (False, True):
        if one_by_one:
            monkeypatch.setattr("thesphere.roots.search.FEW", len(queries))
        found.append(roots.search(queries, 10, recall=0.95))
    assert np.array_equal(found[0].ids, found[1].ids) and np.array_equal(found[0].opened, found[1].opened)


def test_the_engine_stops_by_the_rule():
    """What the compiled rounds do is what `Stop` says, on what they watched."""
    vectors, queries = clustered(3, 4000, 16), clustered(4, 200, 16)
    roots = Roots.build(vectors, "cosine", config=SMALL)
    index: Index = roots._content.index
    rule = Stop(0.7, 7.0, 2, 2)
    stopped = visit(index, queries, 10, stop=rule)
    marks = checkpoints(len(index))
    looks = rule.looks(len(marks))
    watched = visit(index, queries, 10, watch=True).watched
    kth, next_, points = (np.stack(column, axis=1)[:, looks] for column in zip(*watched, strict=True))
    settled, before = np.zeros(len(queries), np.int64), np.full(len(queries), -np.inf)
    opened = np.full(len(queries), -1)
    for i, at in enumerate(looks):
        settled = np.where(kth[:, i] > before, points[:, i], settled)
        before = np.maximum(before, kth[:, i])
        done = rule.done(kth[:, i], next_[:, i], stopped.spread, points[:, i], settled) | (
            i == len(looks) - 1
        )
        opened = np.where((opened < 0) & done, marks[at], opened)
    assert np.array_equal(stopped.opened, opened)
    assert len(np.unique(opened)) > 3


def test_cells_come_in_the_order_of_the_router(made):
    roots, _, queries = made
    index = roots._content.index
    asked = Queries.of([Part(roots.codes, roots.vectors)], queries, roots.metric)
    seen = visit(index, queries, 3, watch=True)
    scores = index.router.scores(asked)
    wanted = np.lexsort((np.broadcast_to(np.arange(len(index)), scores.shape), -scores), axis=1)
    assert np.array_equal(seen.order, wanted)
    np.testing.assert_allclose(seen.spread, scores.std(axis=1), rtol=1e-4)


def test_no_cell_holds_more_than_its_ceiling(made):
    roots, vectors, queries = made
    cells = roots.cells
    for query in queries[:40]:
        scores = truth(vectors, query[None], roots.metric)[0]
        best = np.maximum.reduceat(scores[cells.rows], cells.starts[:-1])
        assert (best <= roots.cell_ceilings(query) + 1e-12).all()


def test_recall_is_what_was_asked_for(made):
    roots, vectors, queries = made
    true = roots.search(queries, 10, exact=True)
    opened = []
    for asked in (0.6, 0.9, 0.99):
        found = roots.search(queries, 10, recall=asked)
        hit = (found.scores >= true.scores[:, 9:]).mean()  # ties count, whichever of them is found
        assert hit >= asked - 0.03
        opened.append(found.opened.mean())
    assert opened[0] < opened[1] < opened[2] <= len(roots.cells)
    assert roots.search(queries, 10, recall=1.0).status == ["exact"] * 300
    assert roots.search(queries, 500, recall=0.9).status == ["exact"] * 300  # beyond what was calibrated


def test_a_filter_is_kept(made):
    roots, vectors, queries = made
    rng = np.random.default_rng(5)
    for share in (0.5, 0.2, 0.01, 0.0):
        live = rng.random(len(vectors)) < share
        exact = roots.search(queries, 6, exact=True, filter=live)
        roots.verify(exact, queries, filter=live)
        scores = np.where(live, truth(vectors, queries, roots.metric), -np.inf)
        best = -np.sort(-scores, axis=1)[:, :6]
        np.testing.assert_allclose(exact.scores, best, rtol=1e-5, atol=1e-6)
        quick = roots.search(queries, 6, recall=0.9, filter=np.flatnonzero(live))
        assert live[quick.ids[quick.ids >= 0]].all()
        with np.errstate(invalid="ignore"):
            assert (quick.scores >= best[:, 5:].astype(np.float32)).mean() >= 0.85
        roots.verify(quick, queries, filter=live)


def test_radius_search_finds_all(made):
    roots, vectors, queries = made
    live = np.random.default_rng(6).random(len(vectors)) < 0.4
    scores = truth(vectors, queries, roots.metric)
    for floor in (float(np.quantile(scores, 0.995)), 0.0, float(scores.max()) * 2 + 1):
        for query, own in zip(queries[:20], scores[:20], strict=True):
            (ids, got), (some, _) = roots.within(query, floor)[0], roots.within(query, floor, filter=live)[0]
            near = np.abs(own - floor) < 1e-9
            assert set(np.flatnonzero((own >= floor) & ~near)) <= set(ids.tolist())
            assert set(ids.tolist()) <= set(np.flatnonzero((own >= floor) | near))
            assert (np.diff(got) <= 0).all() and set(some.tolist()) == set(ids[live[ids]].tolist())
    flat = Roots.build(vectors, roots.metric)
    ours, theirs = roots.within(queries[:5], 0.3), flat.within(queries[:5], 0.3)
    assert all(
        np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in zip(ours, theirs, strict=True)
    )


def test_rows_come_and_go(made):
    roots, _, queries = made
    vectors, more = np.split(clustered(1, 3900, 24), [3000])
    grown = Roots.build(vectors, roots.metric, config=SMALL, ids=np.arange(3000) * 2, queries=queries)
    grown.add(more, ids=np.arange(900) * 2 + 1)
    both = np.concatenate([vectors, more])
    names = np.concatenate([np.arange(3000) * 2, np.arange(900) * 2 + 1])
    fresh = Roots.build(both, roots.metric, ids=names)
    wanted = fresh.search(queries, 10)
    assert np.array_equal(grown.search(queries, 10, exact=True).ids, wanted.ids)
    near = grown.search(queries, 10, recall=0.9)
    assert (near.scores >= wanted.scores[:, 9:]).mean() > 0.86
    gone = np.random.default_rng(8).choice(names, 1700, replace=False)
    assert grown.remove(gone) == 1700 and grown.remove(gone) == 0
    left = ~np.isin(names, gone)
    again = Roots.build(both[left], roots.metric, ids=names[left]).search(queries, 10)
    assert np.array_equal(grown.search(queries, 10, exact=True).ids, again.ids)
    assert (grown.search(queries, 10, recall=0.9).scores >= again.scores[:, 9:]).mean() > 0.86
    grown.verify(grown.search(queries, 10, recall=0.5), queries)
    with pytest.raises(InputError, match="in the index already"):
        grown.add(more[:1], ids=names[left][:1])
    assert grown.remove(names) == 2200 and len(grown) == 0
    assert grown.search(queries[:1], 2).ids.tolist() == [[-1, -1]]


def test_a_flat_index_grows_cells():
    roots = Roots.build(clustered(9, 90, 8), "cosine", config=RootsConfig(partitions=5, flat_below=100))
    assert roots.cells is None
    assert roots.add(clustered(10, 30, 8)).tolist() == list(range(90, 120))
    assert roots.cells is not None and len(roots.cells) == 5
    roots.verify(roots.search(clustered(11, 9, 8), 4, exact=True), clustered(11, 9, 8))


def test_save_and_load(made, tmp_path):
    roots, _, queries = made
    roots.save(tmp_path)
    for check in (True, False):
        loaded = Roots.load(tmp_path, check=check)
        for asked in ({"recall": 0.9}, {"exact": True}, {"budget": 200 * roots.row_bytes}):
            one, two = roots.search(queries, 7, **asked), loaded.search(queries, 7, **asked)
            assert np.array_equal(one.ids, two.ids) and one.status == two.status
    assert loaded.nbytes == roots.nbytes


def test_without_members_an_index_only_routes(made, tmp_path):
    roots, vectors, queries = made
    config = RootsConfig(partitions=24, flat_below=1, members=False)
    small = Roots.build(vectors, roots.metric, config=config)
    assert small.route(queries[0]) == roots.route(queries[0])
    np.testing.assert_array_equal(small.activate(queries[0]), roots.activate(queries[0]))
    small.save(tmp_path)
    for index in (small, Roots.load(tmp_path), Roots.load(tmp_path, check=False)):
        assert (len(index), index.width, len(index.vectors), len(index.ids)) == (3000, 24, 0, 0)
        assert index.nbytes == small.nbytes
        assert np.array_equal(index.cell_scores(queries[1]), roots.cell_scores(queries[1]))
        assert np.array_equal(index.cell_ceilings(queries[1]), roots.cell_ceilings(queries[1]))
        excited = index.activate(queries[1])
        assert np.array_equal(excited, roots.activate(queries[1]))
        peaks = detect_peaks(excited, index.cells.roots.centroid, threshold=-1)
        assert peaks.roots[0] == index.route(queries[1]) == roots.route(queries[1])
        for call in (
            lambda one=index: one.search(queries),
            lambda one=index: one.search(queries, device=True),
            lambda one=index: one.within(queries, 0.5),
            lambda one=index: one.calibrate(),
            lambda one=index: one.add(vectors[:2]),
            lambda one=index: one.remove([3]),
            lambda one=index: one.codes,
            lambda one=index: one.verify(roots.search(queries, 1), queries),
        ):
            with pytest.raises(InputError, match="without its vectors and member lists"):
                call()


def on_disk(folder) -> tuple[int, int]:
    """Bytes of a saved index, and of the header that names its arrays."""
    data = (folder / "roots.safetensors").read_bytes()
    return len(data), 8 + int.from_bytes(data[:8], "little")


def test_what_is_told_of_sizes_is_what_lies_on_disk(made, tmp_path):
    """All included: centroids, statistics, charts, sketches, balls, router; with members rows and vectors too."""
    roots, vectors, _ = made
    sizes = {}
    for name, rows, members in (("few", 1500, False), ("many", 3000, False), ("whole", 3000, True)):
        config = RootsConfig(partitions=24, flat_below=1, members=members)
        index = Roots.build(vectors[:rows], roots.metric, config=config)
        index.save(tmp_path / name)
        size, header = on_disk(tmp_path / name)
        assert size == header + index.nbytes + index.vectors.nbytes + index.ids.nbytes and header < 4096
        sizes[name] = size
    assert sizes["whole"] > vectors.nbytes > 8 * sizes["many"]
    assert abs(sizes["many"] - sizes["few"]) < 256  # the header's digits and what rounds it up to eight bytes


def test_a_file_with_vectors_beside_cells_without_members_still_routes(made, tmp_path):
    """As version 2 wrote it."""
    roots, vectors, queries = made
    Roots.build(vectors, roots.metric, config=replace(SMALL, members=False)).save(tmp_path)
    arrays, about = map_tensors(tmp_path / "roots.safetensors")
    arrays = {**arrays, "vectors": vectors, "ids": np.arange(3000)}
    told = {name: text for name, text in about.items() if name != "sha256"} | {"version": "2"}
    write_tensors(tmp_path / "roots.safetensors", arrays, {**told, "sha256": digest(arrays, told)})
    old = Roots.load(tmp_path)
    assert old.route(queries[0]) == roots.route(queries[0]) and len(old) == 3000 and not len(old.vectors)


def test_lies_are_noticed(made):
    roots, _, queries = made
    found = roots.search(queries, 5, recall=0.5)
    probable = [q for q, status in enumerate(found.status) if status == "probable"]
    assert probable
    true = roots.search(queries, 5, exact=True)
    wrong = [q for q in probable if not np.array_equal(found.ids[q], true.ids[q])]
    found.status[wrong[0]] = "exact"
    with pytest.raises(VerifyError, match=f"query {wrong[0]}"):
        roots.verify(found, queries)


def test_wrong_arguments_are_told(made):
    roots, vectors, queries = made
    flat = Roots.build(vectors[:50])
    for call, told in (
        (lambda: roots.search(queries, recall=1.5), "1.5"),
        (lambda: roots.search(queries, recall=0.9, exact=True), "excludes"),
        (lambda: roots.search(queries, filter=np.ones(3, bool)), "bool"),
        (lambda: roots.within(queries, np.nan), "finite"),
        (lambda: flat.route(queries[0]), "flat"),
        (lambda: roots.add(np.ones((2, 5))), "5 wide"),
        (lambda: roots.remove(["a"]), "integers"),
        (lambda: roots.calibrate(queries * np.nan), "NaN"),
    ):
        with pytest.raises(InputError, match=told):
            call()


@pytest.mark.parametrize("metric", METRICS)
def test_no_file_crashes_a_search(metric, tmp_path):
    """Flipped, overwritten and cut bytes are refused, or searched without leaving any array."""
    vectors, queries = clustered(12, 1500, 12), clustered(13, 30, 12)
    Roots.build(vectors, metric, config=SMALL).save(tmp_path)
    path = tmp_path / "roots.safetensors"
    good = path.read_bytes()
    body = 8 + int.from_bytes(good[:8], "little")
    rng = np.random.default_rng(14)
    outcomes = {"refused": 0, "searched": 0}
    for trial in range(60):
        data = bytearray(good)
        if trial % 4 == 0:
            data = data[: rng.integers(0, len(data))]
        elif trial % 4 == 1:
            data[rng.integers(0, body)] ^= 1 << rng.integers(0, 8)
        elif trial % 4 == 2:
            data[rng.integers(body, len(data))] ^= 1 << rng.integers(0, 8)
        else:
            at = rng.integers(body, len(data) - 64)
            data[at : at + 32] = rng.bytes(32)
        path.unlink()
        path.write_bytes(data)
        try:
            loaded = Roots.load(tmp_path, check=False)
            for asked in (
                {"recall": 0.9},
                {"exact": True},
                {"budget": 5000},
                {"filter": np.arange(0, 1500, 2)},
            ):
                loaded.search(queries, 5, **asked)
                loaded.search(queries[0], 5, **asked)
            loaded.within(queries[:2], 0.5)
            loaded.route(queries[0])
            outcomes["searched"] += 1
        except SphereError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 5
