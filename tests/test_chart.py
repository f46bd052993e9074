"""The chart against brute force, scikit-learn's definition, and the laws of its parts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.chart import (
    angles,
    chart,
    nearest_on_chart,
    overlap,
    pca_positions,
    place,
    spectral_positions,
    trustworthiness,
)
from thesphere.errors import InputError
from thesphere.geometry import Zones
from thesphere.neighbours import Neighbours, nearest


def clusters(count: int, width: int, kinds: int, spread: float = 0.5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((kinds, width))
    rows = centres[rng.integers(0, kinds, count)] + spread * rng.standard_normal((count, width))
    return (rows * rng.lognormal(size=(count, 1))).astype(np.float32)


def on_sphere(count: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).standard_normal((count, 3))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def check(positions: np.ndarray, count: int) -> None:
    assert positions.shape == (count, 3) and positions.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(positions.astype(np.float64), axis=1), 1, atol=3e-7)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return clusters(2000, 24, 25)


@pytest.fixture(scope="module")
def found(rows: np.ndarray):
    return chart(rows, key=1)


# --- measures


def test_nearest_on_chart_equals_brute_force() -> None:
    points = on_sphere(400)
    true = np.arccos(np.clip(points.astype(np.float64) @ points.T.astype(np.float64), -1, 1))
    np.fill_diagonal(true, np.inf)
    ids = nearest_on_chart(points, 6)
    assert (ids == np.argsort(true, axis=1)[:, :6]).mean() > 0.999  # float32 chords may swap near ties
    assert (nearest_on_chart(points, 6, rows=np.array([7, 300])) == ids[[7, 300]]).all()
    assert nearest_on_chart(points[:3], 5)[:, 2:].tolist() == [[-1] * 3] * 3


def test_overlap_of_the_sphere_with_itself_is_one() -> None:
    points = on_sphere(600)
    graph = nearest(points, 12)
    assert overlap(points, graph, 10) > 0.999
    mixed = points[np.random.default_rng(1).permutation(600)]
    assert overlap(mixed, graph, 10) == pytest.approx(10 / 599, abs=0.01)
    near, true = nearest_on_chart(mixed, 10), graph.ids[:, :10]
    counted = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(near, true, strict=True)])
    assert overlap(mixed, graph, 10) == pytest.approx(counted, abs=1e-12)
    assert overlap(points[:4], nearest(points[:4], 15)) == 1  # only three others
    with pytest.raises(InputError, match="overlap@20"):
        overlap(points, graph, 20)
    with pytest.raises(InputError, match="same points"):
        overlap(points[:5], graph)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_trustworthiness_is_that_of_scikit_learn(k: int) -> None:
    manifold = pytest.importorskip("sklearn.manifold")
    embeddings, points = clusters(300, 8, 6), on_sphere(300)
    points[:150] = pca_positions(embeddings)[:150]
    expected = manifold.trustworthiness(
        embeddings.astype(np.float64), points.astype(np.float64), n_neighbors=k, metric="cosine"
    )
    assert trustworthiness(points, embeddings, k) == pytest.approx(expected, abs=1e-5)


def test_trustworthiness_by_its_definition() -> None:
    embeddings, points, k = clusters(120, 5, 4), on_sphere(120), 4
    wide = embeddings.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    scores = wide @ wide.T
    np.fill_diagonal(scores, -np.inf)
    rank = np.argsort(np.argsort(-scores, axis=1), axis=1) + 1
    near = nearest_on_chart(points, k)
    penalty = sum(max(0, rank[i, j] - k) for i in range(120) for j in near[i])
    expected = 1 - 2 * penalty / (120 * k * (240 - 3 * k - 1))
    assert trustworthiness(points, embeddings, k) == pytest.approx(expected, abs=1e-9)
    sphere = on_sphere(500)
    assert trustworthiness(sphere, sphere, 10) > 0.99999
    for bad in (0, 60):
        with pytest.raises(InputError, match="k < N / 2"):
            trustworthiness(points, embeddings, bad)


def test_measures_refuse_what_they_cannot_judge() -> None:
    points = on_sphere(50)
    graph = nearest(points, 10)
    lost = np.where(np.arange(50)[:, None] == 7, np.nan, points)
    for measure in (lambda: overlap(lost, graph), lambda: trustworthiness(lost, points)):
        with pytest.raises(InputError, match="row 7 of the positions holds NaN"):
            measure()
    for rows in ([0.5, 1.0], [True] * 50, [], [[1]]):
        with pytest.raises(InputError, match="give integers"):
            overlap(points, graph, rows=np.array(rows))
    with pytest.raises(InputError, match="rows run from 0 to 50"):
        overlap(points, graph, rows=np.array([0, 50]))


def test_overlap_counts_true_neighbours_only() -> None:
    points = on_sphere(40)
    graph = nearest(points, 10)
    ids = graph.ids.copy()
    ids[:, 4:] = -1
    assert overlap(points, Neighbours(ids, graph.similarities)) == 1


# --- starts


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_pca_positions_lie_on_the_sphere(count: int, width: int, seed: int) -> None:
    embeddings = np.random.default_rng(seed).standard_normal((count, width))
    check(pca_positions(embeddings), count)


def test_pca_keeps_what_it_can(rows: np.ndarray) -> None:
    points = on_sphere(500)
    np.testing.assert_allclose(pca_positions(points * 7), points, atol=1e-6)
    lifted = points @ np.linalg.qr(np.random.default_rng(0).standard_normal((20, 3)))[0].T
    assert overlap(pca_positions(lifted), nearest(points, 10)) > 0.5  # a sphere in 20 dimensions
    scaled = pca_positions(rows * np.random.default_rng(1).lognormal(size=(2000, 1)))
    np.testing.assert_allclose(scaled, pca_positions(rows), atol=2e-5)  # norms do not matter
    assert np.abs(pca_positions(rows).mean(axis=0)).max() < 0.35  # all around, not a patch


def test_pca_sees_rows_of_every_kind() -> None:
    """Every fourth of 8,000 rows is zero; a stride of four would see nothing else."""
    lifted = np.pad(on_sphere(8000), ((0, 0), (2, 3)))
    lifted[::4] = 0
    others = np.arange(8000) % 4 > 0
    assert overlap(pca_positions(lifted)[others], nearest(lifted[others], 10)) > 0.5


def test_pca_of_any_scale(rows: np.ndarray) -> None:
    plain = pca_positions(rows.astype(np.float64))
    for scale in (1e-50, 1e-300, 1e50, 1e290):
        np.testing.assert_allclose(pca_positions(rows.astype(np.float64) * scale), plain, atol=2e-5)


def test_rows_without_direction_are_spread() -> None:
    for embeddings in (np.zeros((40, 6)), np.ones((40, 6)), np.zeros((40, 2))):
        points = pca_positions(embeddings)
        check(points, 40)
        chords = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(40, 1)]
        assert chords.min() > 0.2
    half = pca_positions(np.where(np.arange(40)[:, None] < 20, 0, clusters(40, 6, 3)))
    check(half, 40)
    with pytest.raises(InputError, match="row 2 holds NaN"):
        pca_positions(np.where(np.arange(5)[:, None] == 2, np.nan, np.ones((5, 6))))
    with pytest.raises(InputError, match="shape"):
        pca_positions(np.ones(5))


def test_spectral_positions_follow_the_graph(rows: np.ndarray) -> None:
    graph = nearest(rows, 10)
    points = spectral_positions(graph, key=2)
    check(points, 2000)
    assert overlap(points, graph) > 10 * 10 / 1999  # ten times chance
    assert (points == spectral_positions(graph, key=2)).all()
    ring = np.arange(200) * 2 * np.pi / 200
    loop = spectral_positions(nearest(np.stack([np.cos(ring), np.sin(ring)], axis=1), 4))
    assert overlap(loop, nearest(np.stack([np.cos(ring), np.sin(ring)], axis=1), 4), 4) > 0.5
    for few in (0, 1, 3, 6):
        check(spectral_positions(nearest(rows[:few], 3)), few)


# --- the chart


def test_chart_keeps_neighbours_together(rows: np.ndarray, found) -> None:
    graph = nearest(rows, 10)
    check(found.positions, 2000)
    start = pca_positions(rows)
    assert overlap(found.positions, graph) > 0.35 > overlap(start, graph) + 0.2
    assert trustworthiness(found.positions, rows) > 0.97
    theta, phi = angles(found.positions)
    assert (found.theta == theta).all() and (found.phi == phi).all()
    assert (theta >= 0).all() and (theta <= np.pi).all() and (phi >= 0).all() and (phi < 2 * np.pi).all()
    assert len(found) == 2000
    octants = (found.positions > 0) @ [1, 2, 4]
    assert np.bincount(octants, minlength=8).min() > 100  # the whole sphere is used


def test_a_sphere_stays_a_sphere() -> None:
    points = on_sphere(1500)
    lifted = points @ np.linalg.qr(np.random.default_rng(3).standard_normal((30, 3)))[0].T
    assert overlap(chart(lifted).positions, nearest(points, 10)) > 0.7


@pytest.mark.parametrize("start", ["spectral", "pca"])
def test_same_key_same_chart(rows: np.ndarray, start, monkeypatch: pytest.MonkeyPatch) -> None:
    some = rows[:700]
    charts = []
    for threads in ("1", "3"):
        monkeypatch.setenv("THESPHERE_THREADS", threads)
        charts.append(chart(some, start=start, epochs=30, key=4).positions)
    assert (charts[0] == charts[1]).all()
    assert (chart(some, start=start, epochs=30, key=5).positions != charts[0]).any()


def test_starts(rows: np.ndarray) -> None:
    graph = nearest(rows, 10)
    assert (chart(rows, start="pca", epochs=0).positions == pca_positions(rows)).all()
    spectral = chart(rows, neighbours=graph, start="spectral", epochs=0).positions
    assert (spectral == spectral_positions(graph)).all()
    given_start = on_sphere(2000)
    kept = given_start.copy()
    np.testing.assert_allclose(chart(rows, start=given_start * 3, epochs=0).positions, kept, atol=1e-6)
    assert overlap(chart(rows, neighbours=graph, start=given_start).positions, graph) > 0.3
    assert (given_start == kept).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 12])
@pytest.mark.parametrize("width", [1, 2, 3, 40])
def test_few_points(count: int, width: int) -> None:
    embeddings = np.random.default_rng(count).standard_normal((count, width))
    for start in ("spectral", "pca"):
        positions = chart(embeddings, start=start, epochs=20).positions
        check(positions, count)
        chords = np.linalg.norm(positions[:, None] - positions, axis=2) + 9 * np.eye(count)
        assert (chords > 1e-4).all()  # nobody on another's place
        assert (positions == chart(embeddings, start=start, epochs=20).positions).all()


@pytest.mark.parametrize("case", ["duplicates", "constant", "zeros", "some zeros", "plane"])
def test_degenerate_rows(case: str) -> None:
    base = clusters(30, 6, 3)
    embeddings = {
        "duplicates": np.repeat(base, 20, axis=0),
        "constant": np.ones((600, 6)),
        "zeros": np.zeros((600, 6)),
        "some zeros": np.concatenate([np.zeros((200, 6)), clusters(400, 6, 5)]),
        "plane": np.random.default_rng(0).standard_normal((600, 2)),
    }[case]
    found = chart(embeddings)
    check(found.positions, 600)
    if case == "duplicates":  # a copy is nearer to its copies than to others
        near = nearest_on_chart(found.positions, 5)
        assert (near // 20 == np.arange(600)[:, None] // 20).mean() > 0.8
    if case == "zeros":  # nothing attracts: repulsion alone spreads them
        assert np.abs(found.positions.mean(axis=0)).max() < 0.1


def test_progress_is_told(rows: np.ndarray) -> None:
    class Told:
        calls: list

        def __init__(self) -> None:
            self.calls = []

        def start(self, label: str, total: int | None = None, unit: str = "B") -> None:
            self.calls.append(total)

        def advance(self, amount: int) -> None:
            self.calls.append(amount)

        def finish(self) -> None:
            self.calls.append("end")

    told = Told()
    chart(rows[:100], epochs=3, progress=told)
    assert told.calls == [3, 1, 1, 1, "end"]


def test_bad_input(rows: np.ndarray) -> None:
    few = rows[:20]
    with pytest.raises(InputError, match="unknown start"):
        chart(few, start="umap")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"start has shape \[3, 3\]"):
        chart(few, start=on_sphere(3))
    with pytest.raises(InputError, match="neighbours of 10"):
        chart(few, neighbours=nearest(few[:10], 3))
    with pytest.raises(InputError, match="epochs is -1"):
        chart(few, epochs=-1)
    for roles in (np.zeros(3, int), np.full(20, 3), np.zeros(20)):
        with pytest.raises(InputError, match="roles have shape"):
            chart(few, roles=roles)
    with pytest.raises(InputError, match="row 3"):
        chart(np.where(np.arange(20)[:, None] == 3, np.inf, few))


# --- zones


@pytest.mark.parametrize("pole", [np.pi / 12, 0.6])
def test_zones_hold_every_point(rows: np.ndarray, pole: float) -> None:
    roles = np.zeros(2000, np.int64)
    roles[:150], roles[150:200] = 1, 2
    zones = Zones(pole)
    graph = nearest(rows, 10)
    for epochs in (0, 1, 60):
        found = chart(rows, neighbours=graph, roles=roles, zones=zones, epochs=epochs)
        check(found.positions, 2000)
        assert (zones.zone_of(found.positions) == roles).all()
    assert overlap(found.positions, graph, rows=np.arange(200, 2000)) > 0.25
    ceiling = np.abs(np.cos(found.theta)) > np.cos(pole) - 1e-4
    assert ceiling[200:].mean() < 0.1  # the band is filled, not its edge


def test_zones_by_default(rows: np.ndarray) -> None:
    some = rows[:300]
    roles = np.arange(300) % 3
    assert (Zones().zone_of(chart(some, roles=roles, epochs=5).positions) == roles).all()
    assert (Zones().zone_of(chart(some, zones=Zones(), epochs=5).positions) == 0).all()


# --- out of sample


def test_place_puts_new_points_near_their_neighbours(rows: np.ndarray) -> None:
    old, new = rows[:1600], rows[1600:]
    base = chart(old)
    kept = base.positions.copy()
    placed = place(new, old, base.positions)
    check(placed, 400)
    assert (base.positions == kept).all()
    both = np.concatenate([base.positions, placed])
    assert trustworthiness(both, rows, rows=np.arange(1600, 2000)) > 0.95
    assert overlap(both, nearest(rows, 10), rows=np.arange(1600, 2000)) > 0.25
    assert (place(new[::-1], old, base.positions)[::-1] == placed).mean() > 0.99  # one by one
    roles = np.arange(400) % 3
    assert (Zones(0.4).zone_of(place(new, old, kept, roles=roles, zones=Zones(0.4))) == roles).all()


def test_place_by_many_neighbours_takes_smaller_blocks(rows: np.ndarray, monkeypatch) -> None:
    charted = on_sphere(300)
    whole = place(rows[300:350], rows[:300], charted, k=60)
    monkeypatch.setattr("thesphere.chart.placing.PAIRS", 7 * 60**2)
    taken = []
    product = np.einsum
    monkeypatch.setattr(
        np, "einsum", lambda form, *arrays: taken.append(len(arrays[-1])) or product(form, *arrays)
    )
    np.testing.assert_array_equal(place(rows[300:350], rows[:300], charted, k=60), whole)
    assert taken.count(7) > 6  # [block, 60, 60] at a time


def test_place_on_small_charts() -> None:
    points = on_sphere(1)
    np.testing.assert_allclose(
        place(np.ones((3, 2)), np.ones((1, 2)), points), points.repeat(3, 0), atol=1e-6
    )
    check(place(np.zeros((2, 4)), clusters(5, 4, 2), on_sphere(5)), 2)
    check(place(np.zeros((0, 4)), clusters(5, 4, 2), on_sphere(5)), 0)
    base = np.eye(4)[:3]  # each new point finds the one old point that it is not orthogonal to
    np.testing.assert_allclose(place(base[::-1], base, on_sphere(3), 2), on_sphere(3)[::-1], atol=1e-3)
    opposite = np.array([[0, 0, 1], [0, 0, -1]], np.float32)
    found = place(np.ones((1, 2)), np.ones((2, 2)), opposite)
    check(found, 1)
    assert np.abs(found[0, 2]) > 0.99  # at one of them, not between
    with pytest.raises(InputError, match="one unit vector for each"):
        place(np.ones((1, 2)), np.ones((2, 2)), on_sphere(3))
    with pytest.raises(InputError, match="wide"):
        place(np.ones((1, 3)), np.ones((2, 2)), opposite)
