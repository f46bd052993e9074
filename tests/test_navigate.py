"""The navigator against brute force, and the laws of peaks, cones, budgets and energies."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.geometry import angular_density, cone_width
from thesphere.navigate import Navigator, Signals, Weights, activate, detect_peaks, energies, open_cones, plan
from thesphere.navigate.cones import complexity, shape_of
from thesphere.navigate.peaks import held
from thesphere.neighbours.graph import Edges
from thesphere.roots import Roots
from thesphere.roots.config import RootsConfig
from thesphere.roots.partition.sketch import sketch, texts_of
from thesphere.roots.stop import EVERYTHING, Stop
from thesphere.runtime import BudgetConfig

ROW = 10  # bytes per row of the index below
N, D, K, K0 = 400, 8, 40, 10


@dataclass
class Small:
    """An index of cells by brute force: N rows around K0 centres, every fifth row also in a second cell."""

    vectors: np.ndarray
    ids: np.ndarray
    metric: str
    cells: SimpleNamespace
    rule: Stop = EVERYTHING
    slack: float = 1e3  # of the ceilings: with that much they rule nothing out
    row_bytes: int = ROW

    @classmethod
    def make(cls, metric: str = "cosine", seed: int = 0) -> "Small":
        random = np.random.default_rng(seed)
        home = np.repeat(np.arange(K0), N // K0)
        rows = random.standard_normal((K0, D))[home] + 0.7 * random.standard_normal((N, D))
        rows = (rows * random.uniform(0.5, 2, (N, 1))).astype(np.float32)
        centres = np.concatenate([rows[home == r][: K // K0] for r in range(K0)])
        near = np.argsort(-unit(rows) @ unit(centres).T, axis=1)
        pairs = [(int(near[i, 0]), i) for i in range(N)] + [(int(near[i, 1]), i) for i in range(0, N, 5)]
        pairs.sort()
        members = np.array([row for _, row in pairs])
        starts = np.searchsorted([cell for cell, _ in pairs], np.arange(K + 1))
        said = b"all roots say this, but only one says root-%d"
        roots = SimpleNamespace(
            starts=np.arange(0, K + 1, K // K0),
            centroid=np.stack([rows[home == r].mean(axis=0) for r in range(K0)]),
            radius_range=np.tile([[0.5, 5.0]], (K0, 1)) + np.arange(K0)[:, None],
            position=unit(random.standard_normal((K0, 3))),
            sketch=sketch(texts_of([said % r for r in range(K0)], K0)),
            count=np.bincount(home),
        )
        cells = SimpleNamespace(starts=starts, rows=members, centres=centres, roots=roots, members=True)
        return cls(rows, np.arange(N) * 3 + 7, metric, cells)

    def scores(self, query: np.ndarray) -> np.ndarray:
        rows, asked = self.vectors.astype(np.float64), query.astype(np.float64)
        return unit(rows) @ unit(asked[None])[0] if self.metric == "cosine" else rows @ asked

    def cell_scores(self, query: np.ndarray) -> np.ndarray:
        return (unit(self.cells.centres) @ unit(query[None])[0]).astype(np.float32)

    def cell_ceilings(self, query: np.ndarray) -> np.ndarray:
        scores = self.scores(query)[self.cells.rows]
        cells = np.split(scores, self.cells.starts[1:-1])
        return np.array([cell.max(initial=-np.inf) for cell in cells]) + self.slack

    def stop(self, recall: float, k: int) -> Stop:
        return self.rule

    def calibrated_on(self, k: int) -> str:
        return "queries"

    def scan_cells(self, query: np.ndarray, cells: np.ndarray, k: int, budget_bytes: int):
        slots = [np.arange(self.cells.starts[c], self.cells.starts[c + 1]) for c in cells]
        read = self.cells.rows[np.concatenate(slots)[: budget_bytes // ROW]]
        rows, scores = np.unique(read), self.scores(query)
        best = rows[np.lexsort((rows, -scores[rows]))][:k]
        return self.ids[best], scores[best], len(read), len(read) * ROW


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)


SMALL = Small.make()
SLOTS = len(SMALL.cells.rows)
QUERIES = np.random.default_rng(1).standard_normal((20, D)).astype(np.float32)
RING = Edges(
    np.arange(N + 1) * 2,
    ((np.arange(N)[:, None] + [-1, 1]) % N).ravel().astype(np.int32),
    np.ones(2 * N, np.float32),
)


def truth(index: Small, query: np.ndarray, k: int) -> np.ndarray:
    return index.ids[np.lexsort((index.ids, -index.scores(query)))][:k]


# Peaks


def test_activation_is_the_cosine_and_evidence_adds_to_it() -> None:
    centroids = SMALL.cells.roots.centroid
    expected = unit(centroids.astype(np.float64)) @ unit(QUERIES[:1].astype(np.float64))[0]
    np.testing.assert_allclose(activate(QUERIES[0], centroids), expected, atol=1e-12)
    told = np.linspace(0, 1, K0)
    spoken = activate(QUERIES[0], centroids, evidence=told, weight=0.3)
    np.testing.assert_allclose(spoken, expected + 0.3 * np.ptp(expected) * told)
    assert not activate(np.zeros(D), centroids).any() and not activate(QUERIES[0], np.zeros((2, D))).any()


def test_a_rare_string_excites_the_root_that_holds_it() -> None:
    shown = held(b"only one says root-3", SMALL.cells.roots.sketch)
    assert shown.argmax() == 3 and ((shown >= 0) & (shown <= 1)).all()
    twins = sketch(texts_of([b"the same words everywhere"] * 4, 4))
    assert not held(b"the same words everywhere", twins).any()  # what all hold tells no root from another
    alone = np.concatenate([twins[:1], sketch(texts_of([b"", b"quite other"], 2))])
    np.testing.assert_allclose(held(b"the same words everywhere", alone), [1, 0, 0])
    assert not held(b"nothing in common", twins).any() and not held(b"", twins).any()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    separation=st.floats(0, 2.5),
    most=st.integers(0, 12),
    threshold=st.floats(-1, 1),
)
def test_peaks_are_apart_above_the_threshold_and_none_is_missed(seed, separation, most, threshold) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 30))
    places, heights = unit(random.standard_normal((count, 4))), random.uniform(-1, 1, count).round(1)
    peaks = detect_peaks(heights, places, threshold=threshold, separation=separation, most=most)
    angles = np.arccos(np.clip(places @ places.T, -1, 1))
    order = sorted(range(count), key=lambda r: (-heights[r], r))
    wanted: list[int] = []  # greedy, one by one
    for root in order:
        if heights[root] > threshold and all(angles[root, other] >= separation - 1e-9 for other in wanted):
            wanted.append(root)
    assert peaks.roots.tolist() == wanted[:most]
    np.testing.assert_array_equal(peaks.strengths, heights[peaks.roots])
    for root, spread in zip(peaks.roots, peaks.spreads, strict=True):
        near = (angles[root] < separation) | (np.arange(count) == root)
        assert spread == pytest.approx(heights[near].std(), abs=1e-9)


def test_numbers_of_roots_do_not_matter_for_peaks() -> None:
    heights, places = np.array([0.9, 0.8, 0.7]), np.eye(3)
    assert detect_peaks(heights, places).roots.tolist() == [0, 1, 2]  # neighbours by number, far apart
    near = np.array([[1, 0, 0], [0, 1, 0], [0.99, 0.1, 0]])
    assert detect_peaks(heights, near, separation=0.3).roots.tolist() == [0, 1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: activate([1, 2], np.ones((3, 4))),
        lambda: activate([np.nan, 2], np.ones((3, 2))),
        lambda: activate([1, 2], np.ones((3, 2)), evidence=np.array([0, 2, 0])),
        lambda: detect_peaks([1, 2], np.ones((3, 2))),
        lambda: detect_peaks([1, np.inf], np.ones((2, 2))),
        lambda: detect_peaks([1, 2], np.ones((2, 2)), separation=4),
    ],
)
def test_peaks_refuse(call) -> None:
    with pytest.raises(InputError):
        call()


# Cones


def cones_of(query: np.ndarray, most: int = 4):
    roots = SMALL.cells.roots
    radii = roots.radius_range.mean(axis=1)
    shape = shape_of(roots.centroid, roots.starts, radii, roots.count, SMALL.cells.centres)
    activations = activate(query, roots.centroid)
    peaks = detect_peaks(activations, roots.centroid, most=most, threshold=-1)
    return open_cones(peaks, activations, shape), shape


def test_a_cone_holds_the_cells_within_its_aperture_and_each_cell_lies_in_one() -> None:
    for query in QUERIES:
        cones, shape = cones_of(query)
        roots, cells = unit(SMALL.cells.roots.centroid[cones.peaks.roots]), unit(SMALL.cells.centres)
        angles = np.arccos(np.clip(roots @ cells.T, -1, 1))
        np.testing.assert_array_equal(cones.nearest, angles.argmin(axis=0))
        for cell in range(K):
            holding = [
                c
                for c, root in enumerate(cones.peaks.roots)
                if angles[c, cell] <= cones.apertures[c] or shape.homes[cell] == root
            ]
            assert cones.members[cell] == (min(holding, key=lambda c: angles[c, cell]) if holding else -1)


def test_apertures_follow_the_cone_law() -> None:
    cones, shape = cones_of(QUERIES[0])
    roots = SMALL.cells.roots
    radii = roots.radius_range.mean(axis=1)
    density = angular_density(unit(roots.centroid), unit(roots.centroid), weights=roots.count)
    busy = complexity(activate(QUERIES[0], roots.centroid))
    expected = [cone_width(radii[r], radii.max(), density[r], busy) for r in cones.peaks.roots]
    np.testing.assert_allclose(cones.apertures, expected, rtol=1e-6)
    assert len(set(cones.apertures.round(6))) == len(cones)  # no two roots have one radius


def test_complexity_counts_excited_roots() -> None:
    assert complexity(np.array([0.9, 0.1, 0.1, 0.1, 0.1])) == 0
    assert complexity(np.array([0.9, 0.8, 0.1, 0.1, 0.1])) == 0.25
    assert complexity(np.array([0.4])) == complexity(np.zeros(3)) == 0


# Budgets


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), total=st.integers(0, 9000), least=st.sampled_from([0, 50, 400, 10**6]))
def test_the_budget_is_kept_to_the_byte_and_used_to_the_row(seed: int, total: int, least: int) -> None:
    random = np.random.default_rng(seed)
    sizes, scores = random.integers(0, 20, K), random.standard_normal(K).astype(np.float32)
    cones, _ = cones_of(QUERIES[seed % 20])
    made = plan(cones, scores, sizes, ROW, total, least)
    costs = sizes * ROW
    assert len(np.unique(made.cells)) == len(made.cells) and (made.granted > 0).all()
    assert made.granted.sum() == min(total // ROW * ROW, costs.sum())
    cut = np.flatnonzero(made.granted < costs[made.cells])
    assert len(cut) == 0 or cut.tolist() == [len(made.cells) - 1]
    whole = made.cells[: len(made.cells) - len(cut)]
    assert (np.diff(scores[whole]) <= 0).all()
    inside = cones.members[made.cells] >= 0
    np.testing.assert_array_equal(made.cones[inside], cones.members[made.cells][inside])
    np.testing.assert_array_equal(made.cones[~inside], cones.nearest[made.cells][~inside])


def test_every_cone_gets_its_minimum_first_and_the_rest_goes_where_it_is_worth_most() -> None:
    cones, _ = cones_of(QUERIES[0])
    sizes = np.full(K, 4)
    scores = np.where(cones.members == 0, 1.0, -1.0).astype(np.float32)  # all promise in the first cone
    made = plan(cones, scores, sizes, ROW, 640, 40)
    share = np.bincount(made.cones, made.granted, minlength=4)
    assert share.min() >= 40 and share.sum() == 640
    alone = plan(cones, scores, sizes, ROW, 80, 0)
    assert (alone.cones == 0).all()
    own = int((cones.members == 0).sum()) * 40
    flowing = plan(cones, scores, sizes, ROW, own + 80, 0)  # more than the first cone can use
    assert flowing.granted[cones.members[flowing.cells] == 0].sum() == own
    assert flowing.granted.sum() == own + 80


def test_of_equal_promise_the_smaller_cell_comes_first() -> None:
    cones, _ = cones_of(QUERIES[0])
    sizes, scores = np.full(K, 9), np.linspace(-1, 1, K).astype(np.float32)
    scores[0], scores[17], sizes[17] = 2.001, 2.0, 2
    assert plan(cones, scores, sizes, ROW, 20).cells.tolist() == [17]


def test_plans_refuse() -> None:
    cones, _ = cones_of(QUERIES[0])
    with pytest.raises(InputError, match="one of each per cell"):
        plan(cones, np.zeros(3), np.ones(K, int), ROW, 10)
    with pytest.raises(InputError, match="budget of -1"):
        plan(cones, np.zeros(K), np.ones(K, int), ROW, -1)


# Energies


def test_terms() -> None:
    np.testing.assert_allclose(energies.semantic(np.array([0.5, -1])), [-0.5, 1])
    np.testing.assert_allclose(energies.radial(np.array([1.0, 3.0, 5.0]), 3.0), [4, 0, 4])
    np.testing.assert_allclose(energies.entropy(np.array([1.0, np.nan, 2.0, 4.0])), [1, 2, 2, 4])
    assert energies.entropy(np.full(2, np.nan)).tolist() == [0, 0]
    np.testing.assert_allclose(energies.harmonic(np.array([2.0, 0.5, -1])), [-4, -0.25, 1])


def test_springs_bind_to_neighbours_of_low_energy() -> None:
    edges = Edges(
        np.array([0, 2, 3, 4, 4]), np.array([1, 2, 0, 0], np.int32), np.array([1, 2, 1, 2], np.float32)
    )
    rows, base = np.array([2, 0, 3, 1]), np.array([0.0, 1.0, 2.0, 3.0])
    share = np.exp(-base) / np.exp(-base).sum()
    np.testing.assert_allclose(
        energies.graph(edges, rows, base), [-2 * share[1], -share[3] - 2 * share[0], 0, -share[1]]
    )
    assert energies.graph(edges, np.array([2, 3]), np.zeros(2)).tolist() == [0, 0]  # no neighbours among them


def test_hops_are_those_of_breadth_first_search() -> None:
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import dijkstra

    random = np.random.default_rng(3)
    joined = np.triu(random.random((60, 60)) < 0.03, 1)
    matrix = csr_matrix((joined | joined.T).astype(np.float32))
    edges = Edges(matrix.indptr.astype(np.int64), matrix.indices, matrix.data)
    rows = random.permutation(60)[:25]
    expected = dijkstra(matrix, unweighted=True, indices=rows[0])[rows]
    np.testing.assert_array_equal(
        energies.path(edges, rows, int(rows[0])), np.minimum(expected, energies.FARTHEST + 1)
    )
    assert np.isinf(expected).any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e30, 1e30), max_size=30), st.sampled_from([1e-20, 1.0, 1e6]))
def test_scaling_keeps_the_order_and_forgets_the_unit(values: list[float], unit_of: float) -> None:
    given_ = np.array(values)
    scaled = energies.scaled(given_)
    assert np.isfinite(scaled).all() and scaled.shape == given_.shape
    assert (np.diff(scaled[np.argsort(given_)]) >= 0).all()
    np.testing.assert_allclose(
        energies.scaled(given_ * unit_of), scaled, rtol=1e-6, atol=1e-6 * np.abs(scaled).max(initial=0)
    )


def test_scaling_is_the_standard_deviation_of_normal_numbers_and_ignores_an_outlier() -> None:
    normal = np.random.default_rng(0).standard_normal(20_001)
    assert energies.scaled(5 + 3 * normal).std() == pytest.approx(1, abs=0.03)
    far = energies.scaled(np.append(normal, 1e9))[:-1]
    assert far.std() == pytest.approx(1, abs=0.03)
    assert energies.scaled(np.array([1.0, 1, 1, 1, 2])).max() > 1 and not energies.scaled(np.ones(4)).any()


SIGNALS = Signals(
    radii=np.random.default_rng(5).uniform(1, 9, N),
    entropies=np.random.default_rng(6).uniform(0, 5, N),
    edges=RING,
    positions=unit(np.random.default_rng(7).standard_normal((N, 3))),
)


@pytest.mark.parametrize("term", ["radial", "graph", "entropy", "path", "harmonic"])
def test_every_weight_changes_a_ranking_its_own_way(term: str) -> None:
    if term == "harmonic":
        pytest.importorskip("jax")
    weights = Weights(**{term: 2.0})
    plain = Navigator(SMALL).navigate(QUERIES[0], 10, radius=4.0)
    other = Navigator(SMALL, weights, signals=SIGNALS).navigate(QUERIES[0], 10, radius=4.0)
    assert other.ids.tolist() != plain.ids.tolist()
    assert set(other.terms) == {"semantic", term}
    np.testing.assert_allclose(other.energies, other.terms["semantic"] + 2 * other.terms[term])
    turned = Navigator(SMALL, Weights(**{term: -2.0}), signals=SIGNALS).navigate(QUERIES[0], 10, radius=4.0)
    assert turned.terms[term].mean() > other.terms[term].mean()


def test_the_semantic_weight_and_the_temperature_are_effective() -> None:
    signals = Signals(entropies=SIGNALS.entropies)
    light, heavy = (
        Navigator(SMALL, Weights(semantic=weight, entropy=1), signals=signals).navigate(QUERIES[0], 10)
        for weight in (0.1, 10.0)
    )
    assert heavy.scores.mean() > light.scores.mean()
    cold, warm = (Navigator(SMALL, Weights(temperature=t)).navigate(QUERIES[0], 10) for t in (0.2, 5.0))
    assert cold.ids.tolist() == warm.ids.tolist()
    np.testing.assert_allclose(cold.energies * 0.2, warm.energies * 5)
    assert cold.shares[0] > warm.shares[0] and cold.shares.sum() == pytest.approx(1)


def test_low_entropy_and_a_radius_like_the_query_s_are_preferred() -> None:
    calm = Navigator(SMALL, Weights(semantic=0, entropy=1), signals=SIGNALS).navigate(QUERIES[1], 5)
    rows = np.searchsorted(SMALL.ids, calm.ids)
    assert (np.diff(SIGNALS.entropies[rows]) >= 0).all()
    near = Navigator(SMALL, Weights(semantic=0, radial=1), signals=SIGNALS).navigate(
        QUERIES[1], 5, radius=6.0
    )
    rows = np.searchsorted(SMALL.ids, near.ids)
    assert (np.diff(np.abs(SIGNALS.radii[rows] - 6)) >= 0).all()
    norms = Navigator(SMALL, Weights(semantic=0, radial=1)).navigate(
        QUERIES[1], 5
    )  # norms, without a filling
    lengths = np.linalg.norm(SMALL.vectors[np.searchsorted(SMALL.ids, norms.ids)], axis=1)
    assert (np.diff(np.abs(lengths - np.linalg.norm(QUERIES[1]))) >= -1e-6).all()


# The navigator


@pytest.mark.parametrize("metric", ["cosine", "ip"])
def test_with_bytes_for_everything_the_default_is_the_nearest_neighbours(metric: str) -> None:
    index = Small.make(metric, 2)
    for query in QUERIES:
        found = Navigator(index).navigate(query, 10)
        np.testing.assert_array_equal(found.ids, truth(index, query, 10))
        assert (found.status, found.gap) == ("exact", 0.0)
        assert (np.diff(found.energies) >= 0).all() and found.cost.bytes_scanned == len(
            index.cells.rows
        ) * ROW


@pytest.mark.parametrize("budget", [0, 9, 10, 55, 640, 1234, 3000, 10**6])
def test_a_budget_is_never_exceeded_and_used_while_cells_remain(budget: int) -> None:
    config = BudgetConfig(min_cone_bytes=40)
    for query in QUERIES:
        found = Navigator(SMALL, budget=config).navigate(query, 10, budget=budget)
        assert found.cost.bytes_scanned == min(budget // ROW * ROW, SLOTS * ROW)
        assert found.cost.bytes_scanned == sum(cone.bytes for cone in found.cones) <= found.budget
        assert found.cost.points_scanned == sum(cone.points for cone in found.cones)
        assert len(set(found.ids.tolist())) == len(found.ids) <= 10
        beyond = SMALL.scores(query)[~np.isin(SMALL.ids, found.ids)].max()
        assert found.gap == np.inf or beyond <= found.scores[-1] + found.gap + 1e-12
        assert (found.gap == np.inf) == (len(found) < 10)
        if found.status == "exact":
            np.testing.assert_array_equal(found.ids, truth(SMALL, query, 10))
        else:
            assert found.status == "partial" and found.gap > 0


def test_more_bytes_never_find_fewer() -> None:
    for query in QUERIES:
        wanted = set(truth(SMALL, query, 10).tolist())
        hits = [
            len(wanted & set(Navigator(SMALL).navigate(query, 10, budget=b).ids.tolist()))
            for b in (200, 800, 5000)
        ]
        assert hits == sorted(hits) and hits[-1] == 10


@pytest.mark.parametrize("metric", ["cosine", "ip"])
def test_cells_that_cannot_matter_are_passed_over(metric: str) -> None:
    index = Small.make(metric, 4)
    index.slack = 1e-9
    for query in QUERIES:
        found = Navigator(index).navigate(query, 10)
        np.testing.assert_array_equal(found.ids, truth(index, query, 10))
        assert found.status == "exact" and found.cost.points_scanned < len(index.cells.rows)
        short = Navigator(index).navigate(query, 10, budget=900)
        assert short.cost.bytes_scanned <= 900
        if short.status == "exact":
            np.testing.assert_array_equal(short.ids, found.ids)


def test_what_the_index_saves_is_spent_on_further_cells() -> None:
    class Sparing(Small):
        """Passes over every other row as if bounds had ruled it out."""

        def scan_cells(self, query, cells, k, budget_bytes):
            ids, scores, points, read = super().scan_cells(query, cells, k, budget_bytes)
            return ids, scores, points // 2, read // 2

    index = Sparing(**vars(SMALL))
    found = Navigator(index).navigate(QUERIES[0], 10, budget=2000)
    plain = Navigator(SMALL).navigate(QUERIES[0], 10, budget=2000)
    assert found.cost.bytes_scanned <= 2000
    assert sum(cone.opened for cone in found.cones) > sum(cone.opened for cone in plain.cones)


def test_cones_account_for_what_they_did() -> None:
    found = Navigator(SMALL, budget=BudgetConfig(max_cones=3, min_cone_bytes=100)).navigate(
        QUERIES[3], 10, budget=1500
    )
    assert 1 <= len(found.cones) <= 3
    assert [cone.strength for cone in found.cones] == sorted(
        (cone.strength for cone in found.cones), reverse=True
    )
    best = max(found.cones, key=lambda cone: cone.best_score)
    assert (best.best_id, best.best_score) == (found.ids[0], found.scores[0])
    for place, score in zip(found.found_by, found.scores, strict=True):
        assert found.cones[place].best_score >= score
    for cone in found.cones:
        assert cone.bytes == cone.granted and cone.strength == pytest.approx(found.activations[cone.root])


def test_rows_that_two_cones_find_are_named_once() -> None:
    many = BudgetConfig(max_cones=K0, peak_threshold=-2, min_peak_separation=0, min_cone_bytes=0)
    found = Navigator(SMALL, budget=many).navigate(QUERIES[0], N)
    assert len(found.cones) == K0 and sum(cone.points for cone in found.cones) == SLOTS > N
    np.testing.assert_array_equal(np.sort(found.ids), SMALL.ids)


def test_a_rule_stops_it_and_looks_at_all_that_is_not_open() -> None:
    eager = Small(**(vars(SMALL) | {"rule": Stop(0.0, -np.inf)}))
    found = Navigator(eager).navigate(QUERIES[0], 10, recall=0.5)
    assert found.status in ("probable", "exact") and 10 <= found.cost.points_scanned < SLOTS
    assert found.status == "exact" or "0.5" in found.stopped and "on queries like" in found.stopped
    previous = 0
    for threshold in (-2.0, 0.0, 1.0, 3.0):
        index = Small(**(vars(SMALL) | {"rule": Stop(0.1, threshold)}))
        points = Navigator(index).navigate(QUERIES[0], 10, recall=0.9).cost.points_scanned
        assert points >= previous
        previous = points
    never = Small(**(vars(SMALL) | {"rule": EVERYTHING}))
    assert Navigator(never).navigate(QUERIES[0], 10, recall=0.999).status == "exact"


def test_evidence_opens_a_cone_where_the_direction_points_elsewhere() -> None:
    config = BudgetConfig(max_cones=2, min_cone_bytes=0)
    plain = Navigator(SMALL, budget=config).navigate(QUERIES[0], 5, budget=300)
    far = int(plain.activations.argmin())
    told = np.zeros(K)
    cell = int(SMALL.cells.roots.starts[far])
    told[cell] = 1.0
    found = Navigator(SMALL, budget=config).navigate(QUERIES[0], 5, budget=600, evidence=told)
    assert found.cones[0].root == far and found.cones[0].opened >= 1
    rows = SMALL.cells.rows[SMALL.cells.starts[cell] : SMALL.cells.starts[cell + 1]]
    assert found.cones[0].best_score >= SMALL.scores(QUERIES[0])[rows].max()
    by_text = Navigator(SMALL, budget=config, evidence_weight=20.0).navigate(
        QUERIES[0], 5, budget=600, text=f"only one says root-{far}".encode()
    )
    assert far in [cone.root for cone in by_text.cones]
    ignored = Navigator(SMALL, budget=config, evidence_weight=0.0).navigate(
        QUERIES[0], 5, budget=300, evidence=told
    )
    assert ignored.ids.tolist() == plain.ids.tolist()


def test_explanations_say_what_happened() -> None:
    found = Navigator(SMALL, Weights(entropy=0.5), signals=SIGNALS).navigate(QUERIES[0], 3, budget=900)
    lines, document = found.explain()
    assert json.loads(json.dumps(document)) == document
    assert document["bytes_scanned"] == 900 and document["status"] == found.status
    assert [hit["id"] for hit in document["hits"]] == found.ids.tolist()
    assert len(lines) == 2 + len(found.cones) + 3
    assert str(found.ids[0]) in lines[-3] and "entropy" in lines[-1] and found.stopped in lines[0]


def test_edges_of_what_can_be_asked() -> None:
    navigator = Navigator(SMALL)
    assert len(navigator.navigate(QUERIES[0], 0)) == 0
    assert len(navigator.navigate(QUERIES[0], 10 * N)) == N
    zero = navigator.navigate(np.zeros(D), 3)
    assert len(zero) == 3 and len(zero.cones) == 1 and np.isfinite(zero.energies).all()
    empty = navigator.navigate(QUERIES[0], 3, budget=0)
    assert len(empty) == 0 and (empty.status, empty.gap) == ("partial", np.inf)
    assert empty.explain()[1]["gap"] is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda n: n.navigate(np.ones(D + 1)), "wide"),
        (lambda n: n.navigate(np.ones((2, D))), "one vector"),
        (lambda n: n.navigate(np.full(D, np.nan)), "finite"),
        (lambda n: n.navigate(np.ones(D), -1), "k is -1"),
        (lambda n: n.navigate(np.ones(D), budget=-5), "budget -5"),
        (lambda n: n.navigate(np.ones(D), evidence=np.ones(3)), "evidence"),
        (lambda n: Navigator(SMALL, Weights(path=1)), "signals.edges is missing"),
        (lambda n: Navigator(SMALL, signals=Signals(radii=np.ones(3))), "signals.radii"),
        (lambda n: Navigator(SMALL, signals=Signals(positions=np.full((N, 3), np.nan))), "NaN"),
        (
            lambda n: Navigator(SMALL, Weights(radial=1), signals=SIGNALS).navigate(np.ones(D)),
            "query's radius",
        ),
        (lambda n: Weights(entropy=float("nan")), "entropy"),
        (lambda n: Weights(temperature=0), "temperature"),
        (lambda n: Weights(semantic=0), "all weights are 0"),
        (lambda n: Navigator(Small(**(vars(SMALL) | {"cells": None}))), "flat index"),
    ],
)
def test_the_navigator_refuses(call, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call(Navigator(SMALL))


# With the index itself


def clustered(seed: int, count: int = 1200, width: int = 16) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows = np.random.default_rng(99).standard_normal((30, width))[random.integers(0, 30, count)]
    return (rows + 0.6 * random.standard_normal((count, width))).astype(np.float32)


@pytest.fixture(scope="module", params=["cosine", "ip"])
def roots(request: pytest.FixtureRequest) -> Roots:
    config = RootsConfig(partitions=32, flat_below=1)
    return Roots.build(clustered(0), request.param, ids=np.arange(1200) * 2, config=config, key=0)


def test_over_roots_it_finds_the_exact_answer_and_keeps_its_budget(roots: Roots) -> None:
    queries = clustered(1, 12)
    exact = roots.search(queries, 10, exact=True)
    for place, query in enumerate(queries):
        found = Navigator(roots).navigate(query, 10)
        np.testing.assert_array_equal(found.ids, exact.ids[place])
        np.testing.assert_allclose(found.scores, exact.scores[place], rtol=1e-6)
        assert found.status == "exact"
        part = Navigator(roots).navigate(query, 10, budget=200 * roots.row_bytes)
        assert part.cost.bytes_scanned == 200 * roots.row_bytes
        missed = np.setdiff1d(exact.ids[place], part.ids)
        scores = exact.scores[place][np.isin(exact.ids[place], missed)]
        assert (scores <= part.scores[-1] + part.gap + 1e-6).all()


def test_over_roots_the_calibrated_rule_does_what_it_does_in_a_search(roots: Roots) -> None:
    queries, navigator = clustered(2, 60), Navigator(roots)
    exact = roots.search(queries, 10, exact=True).ids
    for recall in (0.5, 0.9):
        answers = [navigator.navigate(query, 10, recall=recall) for query in queries]
        searched = roots.search(queries, 10, recall=recall)
        hits = [len(np.intersect1d(answer.ids, ids)) for answer, ids in zip(answers, exact, strict=True)]
        wanted = [len(np.intersect1d(row, ids)) for row, ids in zip(searched.ids, exact, strict=True)]
        assert np.mean(hits) >= np.mean(wanted) - 0.1 and np.mean(hits) >= 10 * recall - 0.2
        points = sum(answer.cost.points_scanned for answer in answers)
        assert points == pytest.approx(searched.cost.points_scanned, rel=0.1) and points < 600 * len(queries)
        assert {answer.status for answer in answers} <= {"probable", "exact"}
        for answer, ids in zip(answers, exact, strict=True):
            if answer.status == "exact":
                np.testing.assert_array_equal(answer.ids, ids)


def test_over_roots_without_member_lists_there_is_nothing_to_open() -> None:
    config = RootsConfig(partitions=32, flat_below=1, members=False)
    with pytest.raises(InputError, match="no member lists"):
        Navigator(Roots.build(clustered(0), "cosine", config=config, key=0))


def test_over_roots_that_change_it_measures_anew(roots: Roots) -> None:
    changing = Roots.build(clustered(3), roots.metric, config=roots.config, key=0)
    navigator = Navigator(changing)
    before = navigator.navigate(clustered(4, 1)[0], 5)
    changing.remove(before.ids[:2])
    after = navigator.navigate(clustered(4, 1)[0], 5)
    assert after.ids[:3].tolist() == before.ids[2:].tolist() and after.status == "exact"
    bound = Navigator(changing, signals=Signals(entropies=np.zeros(1198)))
    changing.add(clustered(5, 3))
    with pytest.raises(InputError, match="signals.entropies"):
        bound.navigate(np.ones(16))
