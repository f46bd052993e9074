"""Answers of a device against the host's scan, bit by bit; the bounds that prove them against exact scores."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

jax = pytest.importorskip("jax")

from thesphere.errors import InputError, MissingExtra  # noqa: E402
from thesphere.roots import Roots, RootsConfig, device  # noqa: E402
from thesphere.roots.device import DeviceRows  # noqa: E402
from thesphere.scan import Part, Result, all_exact, encode, search  # noqa: E402
from thesphere.scan.block import Queries  # noqa: E402

METRICS = ("ip", "cosine")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Blocks of 1,024 rows, so that small tests go through several."""
    monkeypatch.setattr(device, "PRODUCTS", dict.fromkeys(device.PRODUCTS, 1024 * device.QUERIES))


def made(seed: int, rows: int, width: int, kind: str) -> np.ndarray:
    """Rows of one kind; "hard" mixes magnitudes, zeros and duplicates, "ties" has few distinct scores."""
    rng = np.random.default_rng(seed)
    array = rng.standard_normal((rows, width))
    if kind == "ties":
        array = rng.integers(-1, 2, (rows, width)).astype(float)
    if kind == "hard":
        array *= rng.choice([0.0, 1e-42, 1e-18, 1.0, 1.0, 1.0, 1e18, 1e37], (rows, 1))
        array[rng.random((rows, width)) < 0.2] = 0.0
        array[rng.integers(0, rows, rows // 3)] = array[rng.integers(0, rows, rows // 3)]
    return array.astype(np.float32)


def same(found: Result, truth: Result) -> None:
    assert found.ids.dtype == np.int64 and found.scores.dtype == np.float64
    np.testing.assert_array_equal(found.ids, truth.ids)
    np.testing.assert_array_equal(found.scores, truth.scores)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.sampled_from([1, 6, 200, 2600]),
    width=st.sampled_from([1, 3, 64]),
    kind=st.sampled_from(["plain", "ties", "hard"]),
    storage=st.sampled_from(["float32", "int8"]),
    metric=st.sampled_from(METRICS),
    k=st.sampled_from([0, 1, 7, 40]),
    asked=st.sampled_from([1, 13]),
    threads=st.sampled_from([1, 2]),
)
def test_answers_are_those_of_the_scan(seed, rows, width, kind, storage, metric, k, asked, threads):
    vectors, queries = made(seed, rows, width, kind), made(seed + 1, asked, width, kind)
    live = np.random.default_rng(seed).random(rows) < 0.6 if seed % 2 else None
    codes, kept = encode(vectors, storage=storage), vectors if storage == "float32" else None
    found = DeviceRows(codes, kept, metric).search(queries, k, live=live, threads=threads)
    part = Part(codes, kept, live=live)
    same(found, search([part], queries, k, metric=metric))
    assert found.rows in (0, rows * asked)


@pytest.mark.parametrize("kind", ["plain", "ties", "hard"])
@pytest.mark.parametrize("metric", METRICS)
def test_bounds_hold_for_candidates_and_for_what_is_left_out(metric, kind):
    vectors, queries = made(5, 2600, 64, kind), made(6, 13, 64, kind)
    part = Part(encode(vectors), vectors)
    rows = DeviceRows(part.codes, vectors, metric)
    asked = Queries.of([], queries, metric)
    places, uppers, outside = rows._candidates(asked, rows._every, 128)
    assert places.shape == uppers.shape == (13, 128)
    assert (np.diff(uppers, axis=1) <= 0).all()
    for q in range(13):
        scores = all_exact([part], queries[q], np.arange(2600), metric)
        assert len(set(places[q])) == 128
        assert (scores[places[q]] <= uppers[q]).all()
        assert (np.delete(scores, places[q]) <= outside[q]).all()


def test_bounds_are_close(metric="cosine"):
    """Slack for rounding must not cost candidates: half the scan's own error bound would be in vain."""
    vectors, queries = made(5, 1024, 64, "plain"), made(6, 13, 64, "plain")
    part = Part(encode(vectors), vectors)
    rows = DeviceRows(part.codes, vectors, metric)
    places, uppers, _ = rows._candidates(Queries.of([], queries, metric), rows._every, 1024)
    for q in range(13):
        scores = all_exact([part], queries[q], places[q], metric)
        assert (uppers[q] - scores < 0.03).all()


def test_the_host_answers_only_what_is_not_proved():
    """Zero queries and 1,500 equal rows tie beyond every list of candidates; the other queries are proved."""
    vectors = made(1, 2600, 64, "plain")
    vectors[:1500] = vectors[0]
    queries = made(2, 13, 64, "plain")
    queries[3] = 0.0
    queries[7] = vectors[0]
    part = Part(encode(vectors), vectors)
    calls = []

    def host(rows, k, live):
        calls.append(rows)
        assert live is None
        return search([part], rows, k, metric="ip")

    found = DeviceRows(part.codes, vectors, "ip", host=host).search(queries, 10)
    same(found, search([part], queries, 10, metric="ip"))
    assert len(calls) == 1
    np.testing.assert_array_equal(calls[0], queries[[3, 7]])
    assert found.ids[7].tolist() == list(range(10))


def test_more_candidates_are_asked_for_before_the_host_is(monkeypatch):
    monkeypatch.setattr(device, "LIST", 16)
    vectors = made(1, 2600, 64, "plain")
    vectors[:100] = vectors[0]

    def host(*_):
        raise AssertionError("128 candidates are enough")

    part = Part(encode(vectors), vectors)
    same(
        DeviceRows(part.codes, vectors, "ip", host=host).search(vectors[:1], 3),
        search([part], vectors[:1], 3),
    )


@pytest.mark.parametrize("metric", METRICS)
def test_filters(metric):
    vectors, queries = made(1, 2600, 3, "hard"), made(2, 13, 3, "plain")
    live = np.arange(2600) % 5 > 1
    part = Part(encode(vectors), vectors, live=live)
    rows = DeviceRows(part.codes, vectors, metric)
    same(rows.search(queries, 7, live=live), search([part], queries, 7, metric=metric))
    nothing = rows.search(queries, 7, live=np.zeros(2600, dtype=np.bool_))
    assert (nothing.ids == -1).all() and (nothing.scores == -math.inf).all()


def test_batches_of_like_size_share_a_program():
    vectors = made(1, 1024, 64, "plain")
    rows = DeviceRows(encode(vectors), vectors, "ip")
    rows.search(vectors[:16], 10)
    program = device._program(rows.devices, 128)
    compiled = program._cache_size()
    for count in (9, 12, 15):
        rows.search(vectors[:count], 7)
    assert program._cache_size() == compiled


def test_int8_products_are_exact_at_the_extremes():
    """2^17 columns of 127 * 127: the largest sum that an int32 must hold."""
    vectors = np.ones((2, 1 << 17), dtype=np.float32)
    vectors[1] = -1
    part = Part(encode(vectors), vectors)
    same(DeviceRows(part.codes, vectors, "ip").search(vectors, 2), search([part], vectors, 2))


def test_no_rows_no_queries():
    empty = DeviceRows(encode(np.zeros((0, 3))), np.zeros((0, 3), np.float32), "ip")
    assert len(empty) == 0
    assert empty.search(np.ones(3), 2).ids.tolist() == [[-1, -1]]
    vectors = made(1, 6, 3, "plain")
    one = DeviceRows(encode(vectors), vectors, "ip")
    assert one.search(np.zeros((0, 3), np.float32), 2).ids.shape == (0, 2)


def test_what_is_wrong_is_told(monkeypatch):
    vectors = made(1, 6, 3, "plain")
    codes = encode(vectors)
    rows = DeviceRows(codes, vectors, "ip")
    for queries in (np.ones((2, 4)), np.full((2, 3), np.nan), [["a"]]):
        with pytest.raises(InputError):
            rows.search(queries, 2)
    with pytest.raises(InputError, match="k is -1"):
        rows.search(vectors, -1)
    with pytest.raises(InputError, match="live is"):
        rows.search(vectors, 1, live=np.ones(5, dtype=np.bool_))
    with pytest.raises(InputError, match="metric"):
        DeviceRows(codes, vectors, "l2")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="vectors are"):
        DeviceRows(codes, vectors[1:], "ip")
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(MissingExtra, match=r"thesphere\[jax\]"):
        DeviceRows(codes, vectors, "ip")


@pytest.mark.parametrize("metric", METRICS)
def test_an_index_with_cells_answers_exactly_whatever_recall_is_asked_for(metric):
    vectors, queries = made(3, 2600, 24, "plain"), made(4, 9, 24, "plain")
    roots = Roots.build(vectors, metric, config=RootsConfig(partitions=40, flat_below=1), key=0)
    assert roots.cells is not None
    for kept in (None, np.arange(0, 2600, 3)):
        truth = roots.search(queries, 7, exact=True, filter=kept)
        for recall in (None, 0.0, 0.9, 1.0):
            found = roots.search(queries, 7, recall=recall, device=True, filter=kept, threads=2)
            np.testing.assert_array_equal(found.ids, truth.ids)
            np.testing.assert_array_equal(found.scores, truth.scores)
            assert list(found.status) == ["exact"] * 9 and not found.gap.any()
            assert found.cost.points_scanned == 9 * 2600
    less = roots.search(queries, 7, recall=0.5)  # the host takes it at its word
    assert "probable" in less.status and less.cost.points_scanned < 9 * 2600
    with pytest.raises(InputError, match="leave out the budget"):
        roots.search(queries, 7, recall=0.9, device=True, budget=1000)


SEVERAL = """
import jax, numpy as np
from thesphere.roots import Roots, RootsConfig, device
from thesphere.scan import Part, encode, search

device.PRODUCTS["cpu"] = 1024 * device.QUERIES
rng = np.random.default_rng(0)

def check(count, metric, devices):
    vectors = rng.standard_normal((count, 5)).astype(np.float32)
    vectors[::4] = vectors[0]
    vectors[1::9] = 0
    part = Part(encode(vectors), vectors)
    queries = rng.standard_normal((8, 5)).astype(np.float32)
    rows = device.DeviceRows(part.codes, vectors, metric, devices=devices)
    held = {shard.device for shard in rows._arrays[0].addressable_shards}
    assert held == set(devices or jax.devices()) and len(jax.devices()) == 4
    found, truth = rows.search(queries, 9, threads=2), search([part], queries, 9, metric=metric)
    assert (found.ids == truth.ids).all() and (found.scores == truth.scores).all()

check(3, "cosine", None)  # fewer rows than devices
check(9001, "ip", None)  # a number that four do not divide, three blocks each
check(2601, "ip", jax.devices()[1:])
with jax.enable_x64(True):
    check(2601, "cosine", jax.devices()[2:])
vectors = rng.standard_normal((2601, 8)).astype(np.float32)
for metric in ("cosine", "ip"):
    roots = Roots.build(vectors, metric, config=RootsConfig(partitions=30, flat_below=1), key=0)
    truth = roots.search(vectors[:20] + 0.1, 9, exact=True)
    for devices in (True, jax.devices()[:3], jax.devices()[3:]):
        found = roots.search(vectors[:20] + 0.1, 9, recall=0.9, device=devices)
        assert (found.ids == truth.ids).all() and (found.scores == truth.scores).all()
        assert set(found.status) == {"exact"}
print("same")
"""


def test_several_devices():
    """Also where JAX computes in float64 by default."""
    forced = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL], capture_output=True, text=True, env={**os.environ, **forced}
    )
    assert done.stdout == "same\n", done.stderr[-2000:]
