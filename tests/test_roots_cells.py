"""Cells: what every build promises, second copies against brute force, and the root level's figures."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.geometry.zones import Zones
from thesphere.roots.cells import Cells, build_cells
from thesphere.roots.config import SPILL, RootsConfig
from thesphere.roots.partition import partition
from thesphere.roots.partition.sketch import BINS, similarities, sketch, texts_of
from thesphere.roots.spill import second_cells
from thesphere.roots.summary import Summary, roots_of, sketch_of
from thesphere.scan.rows import FIELDS, encode

METRICS = ("cosine", "ip")
LARGEST = float(np.finfo(np.float32).max)


def blobs(count: int, cells: int, width: int = 12, spread: float = 0.4, seed: int = 0) -> np.ndarray:
    """float32 [N, D] rows around random directions, of differing norms."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((cells, width))
    rows = centres[rng.integers(0, cells, count)] + spread * rng.standard_normal((count, width))
    return (rows * rng.lognormal(0, 0.4, (count, 1))).astype(np.float32)


def directions(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    top = np.abs(wide).max(axis=1, keepdims=True)
    wide /= np.where(top > 0, top, 1)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(norms > 0, norms, 1)


def check(cells: Cells, rows: np.ndarray, metric: str) -> None:
    """What all cells promise, from the rows alone."""
    count, slots = len(cells), len(cells.rows)
    assert cells.starts.dtype == np.int64 and cells.starts[0] == 0 and cells.starts[-1] == slots
    assert (np.diff(cells.starts) > 0).all() and cells.count == len(rows) and cells.members
    assert cells.rows.dtype == np.int32 and cells.copies.dtype == np.bool_
    assert np.array_equal(np.sort(cells.rows[~cells.copies]), np.arange(len(rows)))
    pairs = np.stack([cells.labels, cells.rows])
    assert len(np.unique(pairs, axis=1).T) == slots  # no row twice in a cell
    for name in FIELDS:
        assert np.array_equal(getattr(cells.codes, name), getattr(encode(rows), name)[cells.rows])
    lengths = cells.codes.norms
    order = np.lexsort((cells.rows, -lengths, cells.labels))
    assert np.array_equal(order, np.arange(slots))
    points = directions(rows) if metric == "cosine" else rows.astype(np.float64)
    far = np.linalg.norm(points[cells.rows] - cells.centres[cells.labels].astype(np.float64), axis=1)
    assert (far <= cells.reaches[cells.labels].astype(np.float64)).all()
    lengths = np.minimum(lengths, LARGEST)  # rounded up, which no norm of a build exceeds
    assert (lengths <= cells.norms[cells.labels].astype(np.float64)).all()
    for cell in range(count):
        some = slice(cells.starts[cell], cells.starts[cell + 1])
        assert cells.norms[cell] <= min(lengths[some].max() * (1 + 1e-6), LARGEST)
    assert cells.centres.dtype == cells.reaches.dtype == cells.norms.dtype == np.float32
    assert len(cells.reaches) == len(cells.norms) == len(cells.roles) == count
    assert cells.roots.starts[0] == 0 and cells.roots.starts[-1] == count
    assert (np.diff(cells.roots.starts) > 0).all()
    own = np.searchsorted(cells.starts[cells.roots.starts], np.flatnonzero(~cells.copies), side="right") - 1
    assert np.array_equal(np.bincount(own, minlength=len(cells.roots)), cells.roots.count)


@pytest.mark.parametrize("metric", METRICS)
def test_a_build_keeps_the_promises(metric: str) -> None:
    rows = blobs(1500, 20)
    cells = build_cells(rows, metric, RootsConfig(partitions=60), key=4)
    check(cells, rows, metric)
    assert cells.copies.sum() == (int(1500 * SPILL) if metric == "cosine" else 0)
    points = directions(rows) if metric == "cosine" else rows.astype(np.float64)
    far = np.linalg.norm(points[cells.rows] - cells.centres[cells.labels].astype(np.float64), axis=1)
    for cell in range(len(cells)):  # the ball is no larger than it has to be
        some = slice(cells.starts[cell], cells.starts[cell + 1])
        assert cells.reaches[cell] <= far[some].max() * (1 + 1e-6) + 1e-6
    first = np.empty(len(rows), np.int64)
    first[cells.rows[~cells.copies]] = cells.labels[~cells.copies]
    made = partition(rows, 60, metric=metric, key=4)
    _, twins = np.unique(np.stack([first, made.labels]), axis=1, return_inverse=True)
    assert len(np.unique(twins)) == len(cells) == len(made)  # the partition's cells, numbered by root


@pytest.mark.parametrize("metric", METRICS)
def test_threads_and_types_change_nothing(metric: str) -> None:
    rows = blobs(900, 9, seed=2)
    config = RootsConfig(partitions=30, spill=0.3)
    one = build_cells(rows, metric, config, threads=1)
    for other in (
        build_cells(rows, metric, config, threads=3),
        build_cells(rows.astype(np.float64), metric, config),
    ):
        for name in ("starts", "rows", "copies", "centres", "reaches", "norms"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert np.array_equal(one.codes.codes, other.codes.codes)
        assert np.array_equal(one.roots.centroid, other.roots.centroid)


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("metric", METRICS)
def test_copies_are_those_of_the_smallest_loss(metric: str, weight: float) -> None:
    rows = blobs(400, 8, seed=5)
    made = partition(rows, 20, metric=metric)
    kinds = np.arange(20) % 2
    extra, seconds = second_cells(
        rows,
        made.labels,
        made.centroids,
        80,
        scale=None if metric == "cosine" else 1.0,
        weight=weight,
        kinds=kinds,
    )
    points = directions(rows) if metric == "cosine" else rows.astype(np.float64)
    offsets = points[:, None] - made.centroids[None].astype(np.float64)
    residual = offsets[np.arange(400), made.labels]
    square = (residual**2).sum(axis=1)[:, None]
    square[square < 1e-9] = np.inf  # alone in a cell
    loss = (offsets**2).sum(axis=2) + weight * np.einsum("nkd,nd->nk", offsets, residual) ** 2 / square
    loss = np.where(np.isinf(square), np.inf, loss / square)
    loss[np.arange(400), made.labels] = np.inf
    loss[kinds[None] != kinds[made.labels][:, None]] = np.inf
    assert len(extra) == 80 and (np.diff(extra) > 0).all() and (seconds != made.labels[extra]).all()
    np.testing.assert_allclose(loss[extra, seconds], loss[extra].min(axis=1), rtol=1e-4)
    others = np.setdiff1d(np.arange(400), extra)
    assert loss[extra].min(axis=1).max() <= loss[others].min(axis=1).min() * (1 + 1e-4)
    among = np.arange(0, 400, 3)
    few, _ = second_cells(rows, made.labels, made.centroids, 10, scale=None, among=among)
    assert np.isin(few, among).all() and len(few) == 10


def test_rows_without_a_second_cell_are_not_copied() -> None:
    rows = np.zeros((50, 6), np.float32)
    rows[:25, 0] = np.arange(1, 26)  # one direction: all on their centroid
    cells = build_cells(rows, "cosine", RootsConfig(partitions=5, spill=1.0))
    check(cells, rows, "cosine")
    assert not cells.copies[np.isin(cells.rows, np.arange(25))].any()
    one = build_cells(blobs(40, 3), "cosine", RootsConfig(partitions=1, spill=1.0))
    assert not one.copies.any() and len(one) == 1


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 60),
    st.sampled_from([1, 2, 5, 70]),
    st.integers(1, 30),
    st.sampled_from([1e-30, 1.0, 1e30]),
    st.sampled_from(METRICS),
    st.integers(0, 99),
)
def test_any_rows_can_be_built(count, width, partitions, scale, metric, seed) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.standard_normal((count, width)) * scale).astype(np.float32)
    rows[rng.random(count) < 0.3] = rows[0]
    rows[rng.random(count) < 0.1] = 0
    cells = build_cells(rows, metric, RootsConfig(partitions=partitions, spill=0.5))
    check(cells, rows, metric)
    assert np.isfinite(cells.reaches).all() and len(cells) <= min(partitions, count)


def test_rows_near_the_end_of_float32() -> None:
    rows = np.array([[3.4e38, 0], [-3.4e38, 0], [0, 3.4e38], [1, 1], [LARGEST, 0]], np.float32)
    for metric in METRICS:
        cells = build_cells(rows, metric, RootsConfig(partitions=1))
        check(cells, rows, metric)
        for figure in (cells.reaches, cells.norms, cells.roots.spread, cells.roots.radius_range):
            assert np.isfinite(figure).all()


@pytest.mark.parametrize("metric", METRICS)
def test_roles_share_no_cell_and_no_root(metric: str) -> None:
    rows = blobs(700, 9, seed=3)
    roles = np.random.default_rng(1).choice(3, 700, p=[0.8, 0.15, 0.05])
    cells = build_cells(rows, metric, RootsConfig(partitions=40, spill=0.3), roles=roles)
    check(cells, rows, metric)
    assert np.array_equal(roles[cells.rows], cells.roles[cells.labels])
    firsts, lasts = cells.roots.starts[:-1], cells.roots.starts[1:] - 1
    assert np.array_equal(cells.roles[firsts], cells.roles[lasts])
    assert (Zones().zone_of(cells.roots.position) == cells.roles[firsts]).all()


@pytest.mark.parametrize("metric", METRICS)
def test_the_root_level_is_filled(metric: str) -> None:
    rows = blobs(2000, 30, width=20, seed=7)
    given = np.random.default_rng(2).normal(5, 2, 2000)
    texts = [b"row %d of many" % (i % 7) for i in range(2000)]
    config = RootsConfig(partitions=400)
    cells = build_cells(rows, metric, config, prominence=given, text=texts)
    roots = cells.roots
    assert len(roots) == roots_of(400) == 25
    points = directions(rows) if metric == "cosine" else rows.astype(np.float64)
    norms = np.linalg.norm(rows.astype(np.float64), axis=1)
    for root in range(len(roots)):
        some = slice(*cells.starts[roots.starts[root : root + 2]])
        own = cells.rows[some][~cells.copies[some]]
        mean = points[own].mean(axis=0)
        mean = mean / np.linalg.norm(mean) if metric == "cosine" else mean
        size = np.linalg.norm(points[own], axis=1).max()
        np.testing.assert_allclose(roots.centroid[root], mean, atol=2e-3 * size)
        spread = np.sqrt(((points[own] - mean) ** 2).sum(axis=1).mean())
        assert roots.spread[root] == pytest.approx(spread, rel=0.01, abs=5e-3 * size)
        np.testing.assert_allclose(roots.radius_range[root], [norms[own].min(), norms[own].max()], rtol=1e-6)
        figures = [given[own].mean(), given[own].std(), given[own].min(), given[own].max()]
        np.testing.assert_allclose(roots.prominence[root], figures, rtol=1e-5)
        assert roots.count[root] == len(own) and roots.sketch[root].any()
    np.testing.assert_allclose(np.linalg.norm(roots.position, axis=1), 1, rtol=1e-5)
    plain = build_cells(rows, metric, config).roots
    np.testing.assert_allclose(plain.prominence[:, 2:], plain.radius_range)
    assert not plain.sketch.any()


def test_places_on_the_chart_are_those_of_all_columns() -> None:
    from thesphere.chart import pca_positions
    from thesphere.roots.summary import positions

    centroid = directions(blobs(30, 30, width=200)).astype(np.float32)
    ours, whole = positions(centroid), pca_positions(centroid)
    np.testing.assert_allclose(np.abs(ours), np.abs(whole), atol=2e-3)  # axes may point the other way


def test_the_root_level_of_a_million_rows_is_3000_times_smaller() -> None:
    count = roots_of(round(4 * 1_000_000**0.5))
    assert (count, roots_of(5), roots_of(100), roots_of(10**6)) == (250, 5, 16, 256)
    small = build_cells(blobs(300, 4, width=768), "cosine", RootsConfig(partitions=40)).roots
    shapes = {name: getattr(small, name) for name in small.__dataclass_fields__}
    full = {
        name: np.zeros((count + (name == "starts"), *array.shape[1:]), array.dtype)
        for name, array in shapes.items()
    }
    roots = Summary(**full)
    wanted = 250 * (768 * 4 + 4 + 8 + 16 + 12 + 256 + 8) + 251 * 8
    assert roots.nbytes == sum(array.nbytes for array in full.values()) == wanted
    assert roots.compression(1_000_000, 768) == 1_000_000 * 768 * 4 / wanted >= 3000


def test_a_sketch_is_what_most_texts_have() -> None:
    rng = np.random.default_rng(4)
    words = [b"alpha ", b"beta ", b"gamma ", b"delta ", b"epsilon "]
    texts = [b"".join(rng.choice(words, rng.integers(0, 5))) for _ in range(60)]
    members, bounds = rng.permutation(60), np.array([0, 25, 26, 60])
    found = sketch_of(texts, 60, members, bounds, threads=2)
    single = sketch(texts_of(texts, 60))
    for root in range(3):
        own = single[members[bounds[root] : bounds[root + 1]]]
        for column in range(BINS):
            counts = Counter(own[own[:, column] > 0, column].tolist())
            most = max(counts.values(), default=0)
            wanted = min((value for value, times in counts.items() if times == most), default=0)
            assert found[root, column] == wanted
    assert np.array_equal(found[1], single[members[25]])


def test_a_sketch_tells_roots_apart() -> None:
    rng = np.random.default_rng(0)
    topics = [[bytes(rng.integers(97, 123, 6).tolist()) + b" " for _ in range(30)] for _ in range(8)]
    texts = [b"".join(rng.choice(topics[i % 8], 12)) for i in range(400)]
    order = np.argsort(np.arange(400) % 8, kind="stable")
    found = sketch_of(texts, 400, order, np.arange(0, 401, 50))
    asked = sketch(texts_of([text[10:50] for text in texts], 400))
    both = np.concatenate([found, asked])
    alike = similarities(both, np.repeat(8 + np.arange(400), 8), np.tile(np.arange(8), 400)).reshape(400, 8)
    assert (alike.argmax(axis=1) == np.arange(400) % 8).mean() > 0.8


def test_substrings_can_hold_rows_together() -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((200, 8)).astype(np.float32)
    texts = [b"alpha beta gamma delta " * 3 if i % 2 else b"0123456789 9876543210 " * 3 for i in range(200)]
    cells = build_cells(
        rows, "cosine", RootsConfig(partitions=2, method="potts", substring=1.0, spill=0), text=texts
    )
    kinds = cells.rows % 2
    shares = [kinds[cells.labels == cell].mean() for cell in range(len(cells))]
    plain = build_cells(rows, "cosine", RootsConfig(partitions=2, method="potts", spill=0), text=texts)
    before = [(plain.rows % 2)[plain.labels == cell].mean() for cell in range(len(plain))]
    assert np.ptp(shares) > 0.8 > np.ptp(before)


def test_wrong_settings_are_told() -> None:
    for settings_ in (
        {"partitions": 0},
        {"spill": 1.5},
        {"spill": float("nan")},
        {"spill_lambda": -1},
        {"flat_below": 0},
    ):
        with pytest.raises(InputError, match=next(iter(settings_))):
            RootsConfig(**settings_)
    with pytest.raises(InputError, match="0 vectors"):
        build_cells(np.zeros((0, 4), np.float32), "cosine")
    rows = blobs(30, 3)
    with pytest.raises(InputError, match="30 finite numbers"):
        build_cells(rows, "cosine", prominence=np.ones(29))
    rows[7, 2] = np.nan
    with pytest.raises(InputError, match="row 7"):
        build_cells(rows, "ip")
    assert RootsConfig.dev().partitions == 16 and not RootsConfig.terabyte_scale().members
    assert (RootsConfig().share("cosine"), RootsConfig().share("ip"), RootsConfig(spill=0.1).share("ip")) == (
        SPILL,
        0,
        0.1,
    )


def test_without_members() -> None:
    rows = blobs(300, 5)
    cells = build_cells(rows, "cosine", RootsConfig(partitions=20))
    bare = cells.without_members()
    assert not bare.members and bare.count == 300 and len(bare) == len(cells)
    assert np.array_equal(bare.sizes, cells.sizes) and len(bare.codes) == 0
