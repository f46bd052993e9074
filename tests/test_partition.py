"""Partitions: laws that all methods keep, oracles for each, and rows that make them fail."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.neighbours import nearest
from thesphere.neighbours.graph import Edges
from thesphere.roots.partition import METHODS, Ising, Kmeans, Potts, Shells, partition
from thesphere.roots.partition.assign import assign
from thesphere.roots.partition.couplings import couplings
from thesphere.roots.partition.measure import cut, purity
from thesphere.roots.partition.potts import fit
from thesphere.roots.partition.sketch import similarities, sketch, texts_of


def blobs(count: int, cells: int, width: int = 16, spread: float = 0.1, seed: int = 0):
    """float32 [N, D] rows around random directions, and which."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((cells, width))
    classes = rng.integers(0, cells, count)
    rows = centres[classes] + spread * rng.standard_normal((count, width))
    return rows.astype(np.float32), classes


def check(found, rows: np.ndarray, metric: str = "cosine") -> None:
    """What every partition promises."""
    assert found.labels.dtype == np.int32 and found.labels.shape == (len(rows),)
    assert (found.sizes == np.bincount(found.labels, minlength=len(found))).all() and (found.sizes > 0).all()
    assert found.centroids.dtype == np.float32 and found.centroids.shape == (len(found), rows.shape[1])
    assert np.isfinite(found.centroids).all()
    wide = rows.astype(np.float64)
    if metric == "cosine":
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
        wide = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    for cell in range(len(found)):
        mean = wide[found.labels == cell].mean(axis=0)
        if metric == "cosine":
            mean = mean / np.linalg.norm(mean) if np.linalg.norm(mean) > 1e-6 else np.zeros_like(mean)
        np.testing.assert_allclose(found.centroids[cell], mean, rtol=2e-5, atol=2e-5 * np.abs(mean).max())
    assert (np.diff(found.labels[found.order]) >= 0).all()
    assert found.starts[-1] == len(rows)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("metric", ["cosine", "ip"])
def test_every_method_keeps_the_promises(method: str, metric: str) -> None:
    rows, classes = blobs(400, 8)
    found = partition(rows, 8, method=method, metric=metric, classes=classes, key=3)
    check(found, rows, metric)
    assert found.report.method == method and 0 < found.report.purity <= 1
    again = partition(rows, 8, method=method, metric=metric, key=3, threads=1)
    assert (found.labels == again.labels).all() and (found.centroids == again.centroids).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("metric", ["cosine", "ip"])
def test_rows_that_make_partitions_fail(method: str, metric: str) -> None:
    rng = np.random.default_rng(1)
    heavy = np.concatenate([np.tile(rng.standard_normal(6), (180, 1)), rng.standard_normal((40, 6))])
    zeros = rng.standard_normal((60, 6))
    zeros[::3] = 0
    long = rng.standard_normal((60, 6)) * 10.0 ** rng.integers(-20, 15, (60, 1))
    hard = {
        "duplicates": np.repeat(rng.standard_normal((5, 6)), 20, axis=0),
        "zeros": zeros,
        "all zeros": np.zeros((30, 3)),
        "constant": np.full((30, 4), 2.5),
        "two columns": rng.standard_normal((100, 2)),
        "one column": rng.standard_normal((40, 1)),
        "heavy": heavy,
        "one row": np.ones((1, 5)),
        "two rows": np.eye(2),
        "all norms": long,
    }
    for name, rows in hard.items():
        for count in (None, 1, 7):
            found = partition(rows.astype(np.float32), count, method=method, metric=metric)
            assert 1 <= len(found) <= len(rows), name
            assert found.sizes.sum() == len(rows) and (found.sizes > 0).all(), name
            assert np.isfinite(found.centroids).all(), name


def test_no_rows() -> None:
    found = partition(np.zeros((0, 4), np.float32))
    assert len(found) == 0 and found.centroids.shape == (0, 4) and len(found.labels) == 0


def test_default_count_and_more_cells_than_rows() -> None:
    rows, _ = blobs(400, 50, spread=1.0)
    assert len(partition(rows)) == 80
    few = partition(rows[:5], 100)
    assert sorted(few.labels) == list(range(5))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 9), st.booleans(), st.integers(0, 9))
def test_assignment_is_the_nearest_centroid(count, cells, width, raw, seed) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, width)).astype(np.float32)
    centroids = rng.standard_normal((cells, width)).astype(np.float32)
    labels, best = assign(rows, centroids, scale=1, raw=raw, threads=2)
    wide, at = rows.astype(np.float64), np.arange(count)
    scores = wide @ centroids.T.astype(np.float64) - (raw / 2) * (centroids.astype(np.float64) ** 2).sum(
        axis=1
    )
    np.testing.assert_allclose(scores[at, labels], scores.max(axis=1), atol=1e-5)
    np.testing.assert_allclose(best, scores.max(axis=1), atol=1e-5)


def test_kmeans_finds_blobs_and_lloyd_lowers_the_loss() -> None:
    rows, classes = blobs(3000, 30, spread=0.02)
    assert partition(rows, 60, classes=classes).report.purity > 0.99
    losses = []
    for rounds in (0, 1, 10):
        found = partition(rows, 30, metric="ip", method=Kmeans(rounds=rounds, sample=100))
        losses.append(((rows - found.centroids[found.labels]) ** 2).sum())
    assert losses[0] > losses[1] > losses[2]


def test_scale_and_norms() -> None:
    """Directions alone count for cosine; inner product sees norms but not their unit."""
    rows, _ = blobs(500, 10, spread=0.3)
    factors = 2.0 ** np.random.default_rng(0).integers(-10, 10, (500, 1))
    assert (partition(rows, 20).labels == partition((rows * factors).astype(np.float32), 20).labels).all()
    raw, scaled = (partition(rows * np.float32(f), 20, metric="ip").labels for f in (1, 2.0**60))
    assert (raw == scaled).all()


def test_shells_do_not_overlap_in_norm() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((600, 8)) * rng.lognormal(0, 1, (600, 1))
    found = partition(rows, 24, metric="ip", method=Shells(3))
    norms = np.linalg.norm(rows, axis=1)
    ranges = np.array([[norms[found.labels == c].min(), norms[found.labels == c].max()] for c in range(24)])
    for first, last in ((0, 8), (8, 16)):
        assert ranges[first:last, 1].max() <= ranges[last:, 0].min()


def test_alternating_axis_is_even() -> None:
    rows, _ = blobs(1000, 10, spread=1.0)
    found = partition(rows, 37, method="alternating_axis")
    assert len(found) == 37 and found.sizes.max() - found.sizes.min() <= 6
    assert found.report.rounds == 6


def test_potts_cuts_less_than_its_start_within_the_cap() -> None:
    rows, _ = blobs(1500, 40, spread=1.0)
    graph = nearest(rows, 10)
    start = partition(rows, 25, neighbours=graph, key=1)
    free = partition(rows, 25, method=Potts(cap=25), neighbours=graph, key=1)
    assert free.report.cut < start.report.cut
    for cap in (1.6, 1.1):
        found = partition(rows, 25, method=Potts(cap=cap), neighbours=graph, key=1)
        assert found.sizes.max() <= cap * 60
        edges, labels = graph.edges(), start.labels.copy()
        fit(edges, labels, 25, int(cap * 60))
        assert found.report.cut < cut(labels, edges)  # better than the start with its surplus thrown out
    by_thrml = partition(rows[:300], 8, method=Potts(sampler="thrml", sweeps=5), key=1)
    assert by_thrml.sizes.max() <= 1.6 * 300 / 8


def least_cut(dense: np.ndarray, sizes: tuple[int, int]) -> float:
    """The smallest weight between two sides, the first of a size in the range, by enumeration."""
    best = np.inf
    for size in range(sizes[0], sizes[1] + 1):
        for side in itertools.combinations(range(len(dense)), size):
            inside = np.isin(np.arange(len(dense)), side)
            best = min(best, dense[inside][:, ~inside].sum())
    return best


@pytest.mark.parametrize("seed", range(6))
def test_small_graphs_are_cut_as_well_as_can_be(seed: int) -> None:
    """Planted halves with noise, N <= 12: both samplers find the minimum balanced cut."""
    rng = np.random.default_rng(seed)
    count = 10 + 2 * (seed % 2)
    halves = rng.permutation(np.arange(count) % 2)
    chance = np.where(halves[:, None] == halves, 0.9, 0.25)
    dense = np.triu((rng.random((count, count)) < chance) * rng.uniform(0.5, 1.5, (count, count)), 1)
    dense = dense + dense.T
    own, other = np.nonzero(dense)
    starts = np.searchsorted(own, np.arange(count + 1)).astype(np.int64)
    edges = Edges(starts, other.astype(np.int32), dense[own, other].astype(np.float32))
    best = least_cut(dense, (count // 2, count // 2))
    rows, part = rng.standard_normal((count, 4)), np.zeros(count, np.int32)
    found = []
    for restart in range(8):
        random = np.random.default_rng(restart)
        spins = Ising(sweeps=200, slack=0.0).bisect(rows, edges, part, np.arange(count), 0.5, random)
        assert (spins < 0).sum() == count // 2
        found.append(dense[spins < 0][:, spins > 0].sum())
    assert min(found) == pytest.approx(best, rel=1e-5)


def test_fit_brings_all_cells_under_the_room() -> None:
    rows, _ = blobs(200, 5)
    edges = nearest(rows, 5).edges()
    labels = np.zeros(200, np.int32)
    fit(edges, labels, 10, 20)
    assert (np.bincount(labels, minlength=10) == 20).all()


def test_roles_do_not_share_cells() -> None:
    rows, _ = blobs(300, 6)
    roles = np.random.default_rng(2).choice([0, 0, 0, 1, 2], 300)
    graph = nearest(rows, 8)
    for method in METHODS:
        found = partition(rows, 12, method=method, roles=roles, neighbours=graph)
        check(found, rows)
        assert (found.roles[found.labels] == roles).all()
        assert 0 <= found.report.cut <= 1
    assert len(partition(rows, 1, roles=roles)) == 3


def test_couplings_are_centred_and_symmetric() -> None:
    """A direction that all rows share must not couple them: the earlier defect."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, 12)) * 0.3 + 1.0
    graph = nearest(rows, 8)
    found = couplings(rows, graph, random=np.random.default_rng(1))
    dense = np.zeros((300, 300))
    dense[np.repeat(np.arange(300), np.diff(found.starts)), found.targets] = found.weights
    np.testing.assert_array_equal(dense, dense.T)
    assert np.abs(found.weights).mean() == pytest.approx(1, rel=1e-5)
    cosines = (
        np.corrcoef(rows) * 0
        + (rows / np.linalg.norm(rows, axis=1)[:, None]) @ (rows / np.linalg.norm(rows, axis=1)[:, None]).T
    )
    mutual = [(i, j) for i in range(300) for j in graph.ids[i] if i in graph.ids[j]]
    expected = np.array([cosines[i, j] for i, j in mutual]) - cosines[~np.eye(300, dtype=bool)].mean()
    ratio = np.array([dense[i, j] for i, j in mutual]) / expected
    assert ratio.std() / ratio.mean() < 0.05


def test_substrings_pull_texts_together() -> None:
    """Vectors that say nothing, texts that say all."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((120, 3))
    kinds = np.arange(120) % 2
    words = [
        b"the quick brown fox jumps over the lazy dog ",
        b"ein ganz anderer Satz in anderen Worten hier ",
    ]
    text = [words[kind] * 3 + str(i).encode() for i, kind in enumerate(kinds)]
    graph = nearest(rows, 30)
    plain = partition(rows, 2, method="ising", neighbours=graph, classes=kinds)
    told = partition(rows, 2, method="ising", neighbours=graph, text=text, alpha=0, beta=1, classes=kinds)
    assert told.report.purity > 0.95 > plain.report.purity
    data, offsets = np.frombuffer(b"".join(text), np.uint8), np.cumsum([0, *map(len, text)])
    same = partition(
        rows, 2, method="ising", neighbours=graph, text=(data, offsets), alpha=0, beta=1, classes=kinds
    )
    assert (same.labels == told.labels).all()


def jaccard(a: bytes, b: bytes) -> float:
    def grams(text: bytes) -> set[bytes]:
        return {text[at : at + n] for n in (4, 8, 16) for at in range(len(text) - n + 1)}

    return len(grams(a) & grams(b)) / len(grams(a) | grams(b))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(20, 400), st.integers(20, 400))
def test_sketches_estimate_the_jaccard_similarity(seed: int, first: int, second: int) -> None:
    rng = np.random.default_rng(seed)
    base = rng.integers(97, 123, 800, dtype=np.uint8).tobytes()
    a, b = base[:first], base[first // 2 : first // 2 + second]
    made = sketch(texts_of([a, b], 2))
    found = similarities(made, np.array([0, 0]), np.array([1, 0]))
    assert found[1] == 1 and abs(found[0] - jaccard(a, b)) < 0.25  # five standard errors and a little


def test_sketches_of_a_text_within_another_and_of_short_ones() -> None:
    rng = np.random.default_rng(1)
    long = rng.integers(0, 256, 2000, dtype=np.uint8).tobytes()
    made = sketch(texts_of([long, long[:1000], b"ab", b"ab", b"ba", b"", b""], 7))
    pairs = np.array([[0, 1], [2, 3], [2, 4], [5, 6], [0, 5], [0, -1]]).T
    found = similarities(made, *pairs)
    assert abs(found[0] - 0.5) < 0.2
    assert list(found[1:]) == [1, 0, 0, 0, 0]


def test_measures_against_plain_sums() -> None:
    edges = Edges(
        np.array([0, 2, 3, 4]), np.array([1, 2, 0, 0], np.int32), np.array([3, 1, 3, 1], np.float32)
    )
    assert cut(np.array([0, 0, 1]), edges) == pytest.approx(0.25)
    assert purity(np.array([0, 0, 0, 1]), np.array(["a", "a", "b", "b"])) == pytest.approx(0.75)


def test_bad_arguments() -> None:
    rows, _ = blobs(20, 2)
    for given_, match in [
        ({"metric": "l2"}, "metric"),
        ({"method": "kmean"}, "did you mean 'kmeans'"),
        ({"count": 0}, "count"),
        ({"roles": np.full(20, 3)}, "role"),
        ({"text": [b"a"]}, "20 rows"),
        ({"text": (np.zeros(3, np.uint8), np.arange(5))}, "offsets"),
        ({"alpha": -1.0}, "alpha"),
        ({"classes": [1, 2]}, "classes"),
        ({"neighbours": nearest(rows[:5], 2)}, "neighbours of 5"),
    ]:
        with pytest.raises(InputError, match=match):
            partition(rows, **given_)
    rows[3, 1] = np.nan
    with pytest.raises(InputError, match="row 3"):
        partition(rows)
    assert partition(np.eye(9, dtype=np.float32), 3, method="IsingMaxCut").report.method == "ising"
    with pytest.raises(InputError, match="cap"):
        Potts(cap=0.5)
