"""Rows added and dropped: the promises of a build stay kept, and searches find as much as after a fresh build."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_roots_cells import METRICS, blobs, check, directions

from thesphere.errors import InputError
from thesphere.roots.cells import Cells, build_cells
from thesphere.roots.change import add_rows, drop_rows, refit, renumber
from thesphere.roots.config import SPILL, RootsConfig
from thesphere.roots.draft import LARGEST
from thesphere.roots.partition.sketch import sketch, texts_of
from thesphere.roots.routing import Learned
from thesphere.roots.saved import from_arrays, prove, to_arrays
from thesphere.scan.block import Queries
from thesphere.scan.part import Part
from thesphere.scan.rows import encode


def state(cells: Cells) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in to_arrays(cells).items()}


def opened(cells: Cells, rows: np.ndarray, queries: np.ndarray, metric: str, share: float) -> float:
    """Mean recall@10 when each query opens cells by its router until a share of the slots has been seen."""
    asked = Queries.of([Part(encode(rows), rows)], queries, metric)
    order = np.argsort(-cells.router.scores(asked), axis=1, kind="stable")
    points = directions(rows) if metric == "cosine" else rows.astype(np.float64)
    truth = np.argsort(-(queries.astype(np.float64) @ points.T), axis=1, kind="stable")[:, :10]
    found = 0
    for q in range(len(queries)):
        last = int(np.searchsorted(np.cumsum(cells.sizes[order[q]]), share * len(cells.rows))) + 1
        seen = np.isin(cells.labels, order[q, :last])
        found += np.isin(truth[q], cells.rows[seen]).sum()
    return found / truth.size


@pytest.mark.parametrize("metric", METRICS)
def test_adding_holds_recall_and_sizes(metric: str) -> None:
    rows, queries = blobs(4000, 40, seed=1), blobs(60, 40, seed=1)
    moved = blobs(1000, 3, seed=9)  # beside more of the same, a few places become crowded
    config = RootsConfig(partitions=100)
    half = build_cells(rows[:2000], metric, config)
    before = state(half)
    new = np.concatenate([rows[2000:], moved])
    both = np.concatenate([rows, moved])
    grown = add_rows(half, rows[:2000], new, metric, config)
    assert state(half) == before
    check(grown, both, metric)
    prove(grown, both, metric)
    assert np.array_equal(from_arrays(to_arrays(grown), metric).rows, grown.rows)
    assert len(grown) > len(half) and grown.sizes.max() <= 1.3 * LARGEST * grown.sizes.mean()
    assert grown.copies.sum() == (int(5000 * SPILL) if metric == "cosine" else 0)
    fresh = build_cells(both, metric, RootsConfig(partitions=len(grown)))
    grown = refit(grown, both, metric)
    for share in (0.05, 0.15):
        assert (
            opened(grown, both, queries, metric, share) >= opened(fresh, both, queries, metric, share) - 0.03
        )
    assert opened(grown, both, queries, metric, 1.0) == 1.0


@pytest.mark.parametrize("metric", METRICS)
def test_dropping_gives_up_small_cells_and_keeps_recall(metric: str) -> None:
    rows, queries = blobs(3000, 30, seed=4), blobs(60, 30, seed=4)
    config = RootsConfig(partitions=120)
    full = build_cells(rows, metric, config)
    before = state(full)
    rng = np.random.default_rng(3)
    emptied = np.isin(
        full.labels, rng.choice(len(full), 40, replace=False)
    )  # nearly all of some cells leaves
    live = np.ones(3000, np.bool_)
    live[full.rows[emptied & ~full.copies]] = rng.random((emptied & ~full.copies).sum()) < 0.05
    left = drop_rows(full, rows, live, metric, config)
    assert state(full) == before
    check(left, rows[live], metric)
    prove(left, rows[live], metric)
    assert len(left) < len(full)
    fresh = build_cells(rows[live], metric, RootsConfig(partitions=len(left)))
    left = refit(left, rows[live], metric)
    for share in (0.05, 0.15):
        assert (
            opened(left, rows[live], queries, metric, share)
            >= opened(fresh, rows[live], queries, metric, share) - 0.03
        )
    assert opened(left, rows[live], queries, metric, 1.0) == 1.0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(METRICS))
def test_any_changes_in_any_order(seed: int, metric: str) -> None:
    rng = np.random.default_rng(seed)
    config = RootsConfig(partitions=int(rng.integers(1, 12)), spill=0.3)
    rows = blobs(int(rng.integers(1, 60)), 4, width=5, seed=seed)
    roles = rng.integers(0, 2, len(rows))
    cells = build_cells(rows, metric, config, roles=roles)
    for step in range(4):
        if rng.random() < 0.5:
            new = blobs(int(rng.integers(0, 40)), 2, width=5, seed=seed + step)
            new[rng.random(len(new)) < 0.2] = rows[0]
            kinds = rng.integers(0, 3, len(new))
            cells = add_rows(cells, rows, new, metric, config, roles=kinds, key=step)
            rows, roles = np.concatenate([rows, new]), np.concatenate([roles, kinds])
        else:
            live = rng.random(len(rows)) < rng.choice([0.2, 0.9])
            live[rng.integers(len(rows))] = True
            cells = drop_rows(cells, rows, live, metric, config)
            rows, roles = rows[live], roles[live]
        check(cells, rows, metric)
        assert np.array_equal(roles[cells.rows], cells.roles[cells.labels])
        from_arrays(to_arrays(cells), metric)


@pytest.mark.parametrize("metric", METRICS)
def test_threads_change_nothing(metric: str) -> None:
    rows = blobs(800, 8)
    config = RootsConfig(partitions=20)
    half = build_cells(rows[:300], metric, config)
    one, other = (add_rows(half, rows[:300], rows[300:], metric, config, threads=n) for n in (1, 3))
    assert state(one) == state(other)
    live = np.arange(800) % 3 > 0
    one, other = (drop_rows(one, rows, live, metric, config, threads=n) for n in (1, 3))
    assert state(one) == state(other)


def test_single_rows_get_their_share_of_copies() -> None:
    rows = blobs(230, 5)
    config = RootsConfig(partitions=12)
    cells = build_cells(rows[:200], "cosine", config)
    for count in range(200, 230):
        cells = add_rows(cells, rows[:count], rows[count : count + 1], "cosine", config)
    check(cells, rows, "cosine")
    assert cells.copies.sum() == int(230 * SPILL)


def test_crowds_of_equal_rows_stay_in_one_cell() -> None:
    rows = blobs(300, 10)
    crowd = np.repeat(rows[:1], 500, axis=0)
    config = RootsConfig(partitions=20)
    cells = build_cells(rows, "cosine", config)
    grown = add_rows(cells, rows, crowd, "cosine", config)
    check(grown, np.concatenate([rows, crowd]), "cosine")
    assert grown.sizes.max() >= 500


@pytest.mark.parametrize("metric", METRICS)
def test_untouched_cells_keep_their_weights(metric: str) -> None:
    rows = blobs(1000, 20)
    cells = build_cells(rows, metric, RootsConfig(partitions=40, spill=0))
    if metric == "ip":  # weights that differ from the centres, as after learning
        weights = cells.centres * 1.5 + 0.1
        learned = Learned.of(weights, np.arange(len(cells), dtype=np.float32))
        cells = Cells(**{**cells.__dict__, "router": learned})
    crowd = (rows[:1] + 0.05 * np.random.default_rng(0).standard_normal((400, 12))).astype(np.float32)
    grown = add_rows(cells, rows, crowd, metric, RootsConfig(spill=0))
    kept = [np.flatnonzero((cells.centres == centre).all(axis=1)) for centre in grown.centres]
    stay = np.array([len(found) == 1 for found in kept])
    assert stay.sum() >= len(cells) - 2 and not stay.all()
    origin = np.array([found[0] for found in kept if len(found) == 1])
    new, old = grown.router.arrays(), cells.router.arrays()
    for name in ("codes", "scales", "bias") if metric == "ip" else ("codes", "scales"):
        assert np.array_equal(new[name][stay], old[name][origin])
    if metric == "ip":
        parts = np.flatnonzero(~stay)
        assert len(np.unique(new["bias"][parts])) == 1  # of the cell that was split
        codes = new["codes"][parts, :12] * new["scales"][parts, None]
        shift = codes - grown.centres[parts]
        parent = int(new["bias"][parts[0]])
        expected = weights[parent] - cells.centres[parent]
        np.testing.assert_allclose(shift, np.broadcast_to(expected, shift.shape), atol=0.05)


def test_new_order_of_rows() -> None:
    rows = blobs(200, 6)
    rows[50:60] = rows[0]
    cells = build_cells(rows, "cosine", RootsConfig(partitions=10))
    places = np.random.default_rng(5).permutation(200)
    turned = np.empty_like(rows)
    turned[places] = rows
    check(renumber(cells, places), turned, "cosine")
    check(cells, rows, "cosine")


def test_a_role_whose_cells_all_empty_or_shrink_keeps_its_rows() -> None:
    rows = blobs(120, 6, seed=8)
    config = RootsConfig(partitions=6, spill=1.0)
    cells = build_cells(rows, "cosine", config)
    sizes = np.bincount(cells.labels[~cells.copies], minlength=len(cells))
    kept = cells.rows[(cells.labels == sizes.argmin()) & ~cells.copies][:1]
    live = np.isin(np.arange(120), kept)
    left = drop_rows(cells, rows, live, "cosine", config)
    check(left, rows[live], "cosine")
    back = add_rows(left, rows[live], rows[~live], "cosine", config)
    check(back, np.concatenate([rows[live], rows[~live]]), "cosine")


def test_changes_elsewhere_leave_balls_alone() -> None:
    rows = blobs(300, 10)
    config = RootsConfig(partitions=20, spill=0)
    cells = build_cells(rows, "cosine", config)
    grown = cells
    for count in range(300, 310):  # a row that is there already, again and again
        all_ = np.concatenate([rows, np.repeat(rows[:1], count - 300, axis=0)])
        grown = add_rows(grown, all_, rows[:1], "cosine", config)
    assert np.array_equal(grown.reaches, cells.reaches) and np.array_equal(grown.norms, cells.norms)


def test_statistics_follow() -> None:
    rows = blobs(600, 6)
    texts = [b"text number %d" % i for i in range(600)]
    given = np.arange(600.0)
    config = RootsConfig(partitions=20)
    cells = build_cells(rows[:400], "cosine", config, text=texts[:400], prominence=given[:400])
    told = add_rows(cells, rows[:400], rows[400:], "cosine", config, text=texts, prominence=given)
    untold = add_rows(cells, rows[:400], rows[400:], "cosine", config)
    assert told.roots.count.sum() == untold.roots.count.sum() == 600
    assert told.roots.prominence[:, 3].max() == 599 and untold.roots.prominence[:, 3].max() < 599
    assert np.array_equal(untold.roots.sketch, cells.roots.sketch)
    assert not np.array_equal(told.roots.sketch, cells.roots.sketch)
    one = build_cells(rows[:1], "cosine", text=texts[:1])
    assert np.array_equal(one.roots.sketch, sketch(texts_of(texts[:1], 1)))


def test_wrong_changes_are_told() -> None:
    rows = blobs(100, 4)
    cells = build_cells(rows, "cosine", RootsConfig(partitions=8))
    live = np.ones(100, np.bool_)
    for wrong in (live[:-1], live.astype(np.int8)):
        with pytest.raises(InputError, match="live"):
            drop_rows(cells, rows, wrong, "cosine")
    with pytest.raises(InputError, match="no row stays"):
        drop_rows(cells, rows, ~live, "cosine")
    with pytest.raises(InputError, match="12 wide"):
        add_rows(cells, rows, rows[:, :5], "cosine")
    with pytest.raises(InputError, match="roles"):
        add_rows(cells, rows, rows[:2], "cosine", roles=np.array([0, 4]))
    broken = rows[:3].copy()
    broken[2, 0] = np.inf
    with pytest.raises(InputError, match="row 2"):
        add_rows(cells, rows, broken, "cosine")
    for change in (lambda c: add_rows(c, rows, rows, "cosine"), lambda c: drop_rows(c, rows, live, "cosine")):
        with pytest.raises(InputError, match="without members"):
            change(cells.without_members())
