"""The earlier systems' names: what they said is what happens."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from thesphere import compat
from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.store.hypergraph import Hypergraph, Trunk
from thesphere.store.sidecar import write_sidecar

QUICKSTARTS = Path(__file__).parent / "quickstarts"
TEXT = (Path(compat.__file__).parent / "water_filling.py").read_bytes()


def clusters(points: int = 400, width: int = 32, count: int = 8, seed: int = 0):
    """embeddings with a common mean, as real ones have it, and magnitudes; the clusters' centres; labels."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((count, width)) + 0.5
    labels = random.integers(0, count, points)
    rows = centres[labels] + 0.2 * random.standard_normal((points, width))
    return (rows * random.lognormal(0, 0.4, (points, 1))).astype(np.float32), centres, labels


@pytest.fixture(scope="module")
def v3_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A v3 file as the earlier pipeline wrote them: 400 patches."""
    rows, _, labels = clusters()
    texts = [b"patch %d of cluster %d; " % (i, label) for i, label in enumerate(labels)]
    path = tmp_path_factory.mktemp("v3") / "patches.safetensors"
    arrays = {
        "embeddings": rows,
        "prominence": np.linalg.norm(rows, axis=1),
        "patch_entropies": np.random.default_rng(1).uniform(0.1, 4, len(rows)).astype(np.float32),
        "bytes": np.frombuffer(b"".join(texts), np.uint8),
        "patch_lengths": np.array([len(text) for text in texts], np.int32),
    }
    save_file(arrays, path, {"format": "blt_patches_v3"})
    return path


# names


def test_every_name_is_there_and_documented() -> None:
    for name in compat.__all__:
        held = getattr(compat, name)
        assert name == "Device" or held.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        compat.Nothing  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(compat.__file__).read_text())
    lists = [node.names for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert set(compat.__all__) == {alias.name for names in lists[2:] for alias in names}


def test_the_package_itself_loads_nothing_heavy() -> None:
    code = (
        "import sys, thesphere.compat; print(*[m for m in ('numba', 'jax', 'numkong') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


# keys and devices


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 50))
def test_keys_split_into_different_keys_and_always_the_same(seed: int, count: int) -> None:
    key = compat.RngKey(seed)
    keys = key.split(count)
    assert key == seed and keys == compat.RngKey.new(seed).split(count)
    assert len({key, *keys}) == count + 1
    assert all(isinstance(child, compat.RngKey) for child in keys)


@pytest.mark.parametrize("seed", [-1, 1 << 63, 1.5, "7", True])
def test_keys_are_whole_numbers(seed) -> None:
    with pytest.raises(InputError, match="the seed is"):
        compat.RngKey(seed)


def test_backend_says_where_work_runs() -> None:
    assert compat.ensure_backend() in ("cpu", "gpu")
    assert compat.init_gpu_device() == compat.ensure_backend()


# SphereConfig


def test_profiles_have_the_older_figures() -> None:
    got = [compat.SphereConfig.from_profile(profile) for profile in compat.ScaleProfile]
    assert [(c.min_radius, c.max_radius) for c in got] == [(32, 512), (64, 2048), (96, 8192), (128, 32768)]
    assert [(c.interaction_radius, c.step_size, c.temperature, c.n_steps) for c in got] == [
        (1.0, 0.5, 0.1, 120),
        (1.25, 0.4, 0.08, 240),
        (1.5, 0.35, 0.06, 480),
        (2.0, 0.3, 0.05, 960),
    ]
    assert got[0] == compat.SphereConfig.default() and not got[0].entropy_weighted
    assert compat.SphereConfig.from_profile("MEDIUM") == got[1]
    assert compat.ScaleProfile.parse("huge") is compat.ScaleProfile.Planetary
    with pytest.raises(InputError, match="unknown"):
        compat.ScaleProfile.parse("small")


def test_sphere_config_builders_and_checks() -> None:
    config = compat.SphereConfig.default().with_steps(200).with_temperature(0.05).with_entropy_weighted(True)
    assert (config.n_steps, config.temperature, config.entropy_weighted) == (200, 0.05, True)
    assert config.with_radii(1, 1.5).radius_span() == 1.0
    for wrong in (
        lambda: config.with_radii(5, 5),
        lambda: config.with_step_size(1.0),
        lambda: config.with_steps(0),
        lambda: config.with_temperature(-1),
        lambda: config.with_temperature(float("nan")),
        lambda: config.with_interaction_radius(0),
    ):
        with pytest.raises(InputError):
            wrong()


@pytest.mark.parametrize("step, temperature", [(0.5, 0.1), (0.3, 0.05)])
def test_the_radial_noise_is_that_of_the_older_dynamics(step: float, temperature: float) -> None:
    config = compat.SphereConfig(step_size=step, temperature=temperature)
    random, x = np.random.default_rng(0), np.zeros(20_000)
    for _ in range(60):  # the older step, for a point whose ideal radius is 0
        x = x - 2 * step * x + np.sqrt(2 * temperature * step) * random.standard_normal(len(x))
    assert x.std() / config.radius_span() == pytest.approx(np.sqrt(config.strategy().temperature), rel=0.03)


# SphereEBM


def test_ideal_radii_follow_rank_inward() -> None:
    rows = np.eye(5, 8, dtype=np.float32)
    radii = compat.SphereEBM(rows, np.array([0.1, 0.5, 0.9, 0.3, 0.7])).ideal_radii
    rank = np.array([4, 2, 0, 3, 1])
    assert np.allclose(radii, 32 + 480 * np.sqrt((rank + 0.5) / 5))
    ties = compat.SphereEBM(rows, np.ones(5)).ideal_radii
    assert (np.diff(ties) > 0).all()


def test_entropy_moves_points_inward_when_asked() -> None:
    rows, nats = np.ones((20, 4), np.float32), np.linspace(0.1, 1, 20)
    config = compat.SphereConfig.default().with_entropy_weighted(True)
    assert (np.diff(compat.SphereEBM(rows, np.ones(20), nats, config).ideal_radii) < 0).all()
    assert (np.diff(compat.SphereEBM(rows, np.ones(20), nats).ideal_radii) > 0).all()
    unknown = compat.SphereEBM(rows, np.ones(20), np.where(nats > 0.5, np.nan, nats), config).ideal_radii
    assert np.isfinite(unknown).all() and unknown[0] < unknown[-1]


def test_similarity_is_the_older_matrix() -> None:
    rows, _, _ = clusters(60)
    rows[7] = 0
    got = compat.SphereEBM(rows).similarity
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units = rows / np.where(lengths > 0, lengths, 1)
    want = units @ units.T
    np.fill_diagonal(want, 0)
    assert np.allclose(got, want, atol=1e-5) and not got[7].any()
    many = compat.SphereEBM(np.ones((1 << 15, 1), np.float32))
    with pytest.raises(InputError, match="neighbours.nearest"):
        many.similarity  # noqa: B018


def test_prominence_is_the_norm_unless_given() -> None:
    rows, _, _ = clusters(30)
    sphere = compat.SphereEBM(rows)
    assert np.allclose(sphere.prominence, np.linalg.norm(rows, axis=1), rtol=1e-6)
    assert (sphere.n_points(), sphere.embedding_dim(), len(sphere)) == (30, 32, 30)
    with pytest.raises(InputError, match="prominence has shape"):
        compat.SphereEBM(rows, np.ones(29))
    with pytest.raises(InputError, match="entropies has shape"):
        compat.SphereEBM(rows, None, np.ones((30, 1)))
    with pytest.raises(InputError, match="row 3"):
        compat.SphereEBM(np.where(np.arange(30)[:, None] == 3, np.nan, rows))


def test_optimize_places_like_points_together_and_by_key() -> None:
    pytest.importorskip("jax")
    rows, _, labels = clusters()
    sphere = compat.SphereEBM(rows)
    coords = sphere.optimize(compat.RngKey(42), compat.init_gpu_device())
    again, other = sphere.optimize(compat.RngKey(42)), sphere.optimize(compat.RngKey(43))
    assert np.array_equal(coords.phi, again.phi) and np.array_equal(coords.theta, again.theta)
    assert not np.array_equal(coords.phi, other.phi)
    places = coords.to_cartesian()
    assert places.shape == (400, 3) and coords.n_points() == 400
    assert np.allclose(np.linalg.norm(places, axis=1), sphere.ideal_radii, rtol=1e-5)
    assert coords.theta.min() >= 0 and coords.theta.max() <= np.pi
    assert coords.phi.min() >= 0 and coords.phi.max() < 2 * np.pi
    units = places / np.linalg.norm(places, axis=1, keepdims=True)
    cosines = units @ units.T
    np.fill_diagonal(cosines, -2)
    assert (labels[cosines.argmax(axis=1)] == labels).mean() > 0.8  # the older one was at chance, 1/8
    onward = sphere.optimize_from(coords, compat.RngKey(1)).to_cartesian()
    onward /= np.linalg.norm(onward, axis=1, keepdims=True)
    assert np.median((onward * units).sum(axis=1)) > 0.5


def test_coords_go_to_a_file(tmp_path: Path) -> None:
    r, theta, phi = np.array([2.0, 3.0]), np.array([0.0, np.pi / 2]), np.array([0.0, np.pi / 2])
    coords = compat.SphericalCoords(*(array.astype(np.float32) for array in (r, theta, phi)))
    compat.save_coords_npz(tmp_path / "coords.npz", coords)
    with np.load(tmp_path / "coords.npz") as held:
        assert sorted(held) == ["cartesian", "phi", "r", "theta"]
        assert np.allclose(held["cartesian"], [[0, 0, 2], [0, 3, 0]], atol=1e-6)
        assert all(held[name].dtype == np.float32 for name in held)
    with pytest.raises(InputError, match=".npz"):
        compat.save_coords_npz(tmp_path / "coords", coords)


# loaders


def test_load_blt_safetensors(v3_file: Path) -> None:
    rows, _, labels = clusters()
    config = compat.SphereConfig.from_profile(compat.ScaleProfile.Medium)
    sphere, texts = compat.load_blt_safetensors(v3_file, config, compat.init_gpu_device())
    assert np.array_equal(sphere.embeddings, rows) and sphere.config is config
    assert np.array_equal(sphere.prominence, np.linalg.norm(rows, axis=1))
    assert sphere.entropies is not None and len(sphere.entropies) == 400
    assert texts[3] == b"patch 3 of cluster %d; " % labels[3] and len(texts) == 400
    assert np.array_equal(compat.load_from_safetensors(v3_file).embeddings, rows)
    assert compat.is_blt_v3_format(v3_file)


def test_other_layouts_and_what_is_missing(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    save_file({"embeddings": rows}, tmp_path / "plain.safetensors")
    assert np.allclose(
        compat.load_from_safetensors(tmp_path / "plain.safetensors").prominence,
        np.linalg.norm(rows, axis=1),
    )
    assert not compat.is_blt_v3_format(tmp_path / "plain.safetensors")
    with pytest.raises(FormatError, match="plain.safetensors has no bytes.*load_from_safetensors"):
        compat.load_blt_safetensors(tmp_path / "plain.safetensors")
    documented = {
        "embeddings": rows,
        "prominence": np.ones(4, np.float32),
        "bytes_offsets": np.array([0, 1, 1, 3, 6]),
        "bytes_data": np.frombuffer(b"abcdef", np.uint8),
    }
    save_file(documented, tmp_path / "offsets.safetensors")
    _, texts = compat.load_blt_safetensors(tmp_path / "offsets.safetensors")
    assert texts == [b"a", b"", b"bc", b"def"]
    save_file(
        {"bytes": documented["bytes_data"], "patch_lengths": np.array([6], np.int32)},
        tmp_path / "bytes.safetensors",
        {"format": "blt_patches_v2"},
    )
    with pytest.raises(FormatError, match="without embeddings"):
        compat.load_blt_safetensors(tmp_path / "bytes.safetensors")
    with pytest.raises(NotFoundError):
        compat.load_blt_safetensors(tmp_path / "none.safetensors")


def test_the_hypergraph_comes_along(v3_file: Path) -> None:
    assert compat.load_blt_with_hypergraph(v3_file).hypergraph is None
    beside = v3_file.with_name("patches.hypergraph.db")
    write_sidecar(beside, Hypergraph([Trunk("ab", 12)]))
    sphere, texts, graph = compat.load_blt_with_hypergraph(v3_file)
    assert graph is not None and graph.nodes == [Trunk("ab", 12)] and len(texts) == len(sphere)
    beside.write_bytes(b"SQLite format 3\x00 and no more")
    with pytest.raises(FormatError):
        compat.load_blt_with_hypergraph(v3_file)
    beside.unlink()


# configurations


def test_roots_config_has_the_older_figures() -> None:
    config = compat.RootsConfig.default()
    assert (config.n_partitions, config.beta, config.activation_threshold) == (256, 1.0, 0.2)
    assert config.min_peak_separation == pytest.approx(np.pi / 16) and config.store_member_indices
    wide = compat.RootsConfig.terabyte_scale()
    assert (wide.n_partitions, wide.beta, wide.store_member_indices) == (4096, 1.5, False)
    assert compat.RootsConfig.dev().n_partitions == 16


def test_roots_config_becomes_settings_of_ours() -> None:
    from thesphere.roots.partition import AlternatingAxis, Ising, Kmeans

    config = compat.RootsConfig.default().with_partitions(12).with_beta(4.0).with_gibbs(7, 3, 5)
    ours = config.settings()
    assert (ours.partitions, ours.members, ours.substring) == (12, True, None)
    assert ours.method == Ising(sweeps=10, temperature=0.5)
    coupled = config.with_default_substring_coupling().without_member_indices().settings()
    assert (coupled.substring, coupled.members) == (0.3, False)
    off = compat.SubstringConfig(enabled=False, weight=0.9)
    assert config.with_substring_coupling(off).settings().substring is None
    axis = config.with_partition_method(compat.PartitionMethod.AlternatingAxis).settings()
    assert axis.method == AlternatingAxis()
    assert config.with_partition_method("kmeans").settings().method == Kmeans()
    assert config.with_partition_method(Kmeans(rounds=3)).settings().method == Kmeans(rounds=3)
    for wrong in (
        lambda: config.with_partitions(0),
        lambda: config.with_beta(0.0),
        lambda: config.with_partition_method("maximum"),
        lambda: compat.SubstringConfig(weight=1.5),
        lambda: compat.SubstringConfig.with_weights(0, 0),
    ):
        with pytest.raises(InputError):
            wrong()


def test_substring_weights_are_shares() -> None:
    assert compat.SubstringConfig.default() == compat.SubstringConfig(True, 0.3)
    assert compat.SubstringConfig.with_weights(3, 1).weight == 0.25
    assert compat.SubstringConfig.substring_only().weight == 1
    assert not compat.SubstringConfig.embedding_only().enabled


def test_budgets() -> None:
    budget = compat.BudgetConfig.default()
    assert (budget.total_budget_bytes, budget.max_cones, budget.peak_threshold) == (512 << 20, 32, 0.2)
    chosen = budget.with_max_cones(8).with_peak_threshold(0.15)
    assert (chosen.max_cones, chosen.peak_threshold) == (8, 0.15) and budget.max_cones == 32
    assert (
        compat.BudgetConfig.dev().max_cones == 4 and compat.BudgetConfig.large_scale().total_bytes >= 16 << 30
    )
    small = compat.BudgetConfig.new(128 << 20).with_min_cone_budget(64 << 20)
    assert small.effective_max_cones == 2 and small.min_cone_budget == 64 << 20
    assert small.with_total_budget(1 << 30).with_max_cones(4).effective_max_cones == 4
    assert chosen.with_min_peak_separation(0.5).min_peak_separation == 0.5
    with pytest.raises(InputError):
        budget.with_max_cones(0)


def test_runtime_tells_tier_profile_and_budget() -> None:
    runtime = compat.RuntimeConfig.auto()
    assert isinstance(runtime.policy.tier, str) and isinstance(runtime.policy.profile, str)
    assert runtime.budget_gb() == runtime.budget.total_bytes / 2**30 > 0
    assert runtime.budget.with_max_cones(3).max_cones == 3
    assert runtime.reasons and runtime.sphere == compat.SphereConfig.default()
    hopper = compat.RuntimeConfig.for_tier("nvidia-hopper")
    assert hopper.is_hpc() and not hopper.is_unified_memory() and hopper.backend == "gpu"
    assert (hopper.budget.total_bytes, hopper.budget.max_cones) == (64 << 30, 32)
    assert hopper.policy.profile == "gpu-hpc-fp64"
    spark = compat.RuntimeConfig.for_tier("nvidia-spark")
    assert spark.is_hpc() and spark.is_unified_memory()
    assert compat.RuntimeConfig.for_tier("cpu-only").backend == "cpu"


# water-filling


def test_lateral_optimiser_balances_and_keeps_its_schema() -> None:
    rows, _, _ = clusters(500)
    start = np.stack([np.ones(500), np.full(500, 1.0), np.linspace(0, 6, 500)], axis=1)
    optimiser = compat.LateralWaterFillingOptimizer(20, 32, 256, lateral_search=False)
    points, info = optimiser.optimize_shells(rows, start, max_passes=5)
    assert isinstance(points, compat.SphericalTensor) and points.data.shape == (500, 3)
    assert np.array_equal(points.embedding, rows) and points.mask.shape == (500, 1)
    assert np.allclose(points.theta, 1.0, atol=1e-5) and np.allclose(points.phi, start[:, 2], atol=1e-5)
    assert set(info) == {
        "passes", "total_lateral_moves", "total_promotions", "lateral_efficiency", "final_avg_overload",
        "shell_distribution", "converged", "projected",
    }  # fmt: skip
    assert info["final_avg_overload"] == 0 and info["shell_distribution"].sum() == 500
    norms = np.linalg.norm(rows, axis=1)
    assert (np.diff(points.r[np.argsort(norms, kind="stable")]) >= 0).all()  # the prominent ones outside
    lateral = compat.LateralWaterFillingOptimizer(target_shells=20, min_radius=32, max_radius=256)
    _, moved = lateral.optimize_shells(rows, max_passes=5)
    assert moved["total_lateral_moves"] > 0 and moved["final_avg_overload"] == 0
    assert 0 < moved["lateral_efficiency"] < 1


def test_lateral_optimise_takes_prominence_and_few_points() -> None:
    rows, _, _ = clusters(50)
    flow = np.random.default_rng(3).random(50)
    done = compat.LateralWaterFillingOptimizer(10, lateral_search=False).optimize(
        rows, prominence_scores=flow
    )
    assert (np.diff(done.radii[np.argsort(flow)]) >= 0).all() and done.info["final_avg_overload"] == 0
    assert np.allclose(np.linalg.norm(done.points, axis=1), 1, atol=1e-5)
    alone, _ = compat.LateralWaterFillingOptimizer().optimize_shells(rows[:1])  # 512 shells, one point
    assert len(alone.r) == 1
    with pytest.raises(InputError, match="0 shells"):
        compat.LateralWaterFillingOptimizer(0).optimize_shells(rows)


def test_water_filling_functions() -> None:
    rows, _, _ = clusters(300)
    norms = np.linalg.norm(rows, axis=1)
    order = np.argsort(norms, kind="stable")
    radii, shells = compat.osmotic_water_filling(rows[None], n_shells=32)
    assert radii.min() == 32 and radii.max() == pytest.approx(32 + 2 * norms.max(), rel=1e-6)
    assert (np.diff(shells[order]) >= 0).all()
    radii, shells = compat.thrml_energy_water_filling(rows, n_shells=16)
    assert 32 <= radii.min() and radii.max() <= 512
    assert np.corrcoef(np.argsort(np.argsort(norms)), shells)[0, 1] > 0.9
    nats = np.random.default_rng(5).uniform(0.01, 5, 300)
    for temperature in (1e-8, 1e-5, 1.0, None):  # the older one was NaN, or all at the crust
        radii, _ = compat.orch_or_water_filling(rows, norms[None], nats[None], temperature, n_shells=16)
        assert np.isfinite(radii).all() and radii.min() < 150 and radii.max() == 512
    radii, _ = compat.entropy_weighted_water_filling(rows, norms, nats, 1e-5, n_shells=16)
    assert (np.diff(radii[np.argsort(-nats)]) >= 0).all()  # so cold that entropy alone decides


def test_thrml_optimiser() -> None:
    pytest.importorskip("jax")
    rows, _, _ = clusters(200)
    points = compat.ThrmlWaterFillingOptimizer(target_shells=16).optimize(rows, n_steps=20)
    assert points.data.shape == (200, 3) and points.r.min() >= 32 and points.r.max() <= 512


# SphericalTensor


def test_spherical_tensor_and_cones() -> None:
    data = np.array([[2.0, np.pi / 2, np.pi / 2], [1.0, 0.0, 0.0]])
    tensor = compat.SphericalTensor(data).with_embedding(np.eye(2)).apply_mask(np.ones((2, 1)))
    assert np.allclose(tensor.cartesian, [[0, 2, 0], [0, 0, 1]], atol=1e-12)
    assert np.allclose(tensor.directions, [[0, 1, 0], [0, 0, 1]], atol=1e-12)
    assert np.array_equal(tensor.r, [2, 1]) and tensor.embedding is not None and tensor.mask is not None
    assert compat.angular_distance(data[0] * 0 + [0, 0, 3], np.array([0, 1e-9, 1])) == pytest.approx(1e-9)
    assert np.allclose(compat.normalize_to_shell(np.array([[3.0, 4.0], [0, 0]]), 10), [[6, 8], [0, 0]])
    pole = np.array([0.0, 0.0, 7.0])
    candidates = np.array([[0.0, 0.0, 1.0], [50, 0, 86.6], [1, 0, 0]])  # the older golden vector
    assert compat.batch_points_in_cone(pole, candidates, np.pi / 4).tolist() == [True, True, False]


def test_spherical_tensor_goes_through_jit() -> None:
    jax = pytest.importorskip("jax")
    tensor = compat.SphericalTensor(jax.numpy.array([[2.0, 1.0, 0.5]]))
    out = jax.jit(lambda t: t.with_embedding(t.cartesian))(tensor)
    assert isinstance(out, compat.SphericalTensor)
    assert np.allclose(np.linalg.norm(out.embedding, axis=1), 2.0)


# QuantumNavigator


def test_the_interference_navigator_finds_the_cluster() -> None:
    pytest.importorskip("jax")
    rows, centres, _ = clusters(400)
    points, _ = compat.LateralWaterFillingOptimizer(target_shells=16).optimize_shells(rows, max_passes=10)
    navigator = compat.QuantumNavigator(points, band_limit=16)
    hits = []
    for centre in centres[:4]:
        found = navigator.navigate(centre - rows.mean(axis=0))
        mask = found["retrieved_mask"]
        assert found["num_retrieved"] == mask.sum() == len(found["retrieved_emb"])
        assert found["retrieved_points"].shape == (mask.sum(), 3)
        where = compat.SphericalTensor(np.array([1.0, found["theta"], found["phi"]])).directions
        assert np.array_equal(mask, compat.batch_points_in_cone(where, points.directions, found["alpha"]))
        products = rows.astype(np.float64) @ (centre - rows.mean(axis=0))
        assert found["score"] == pytest.approx(products[mask].max()) and 0 < found["confidence"] <= 1
        best = np.argsort(-products)[:10]
        hits.append(mask[best].mean() - mask.mean())
    assert np.mean(hits) > 0.5  # better than a random set of the same size; the older one was at 0.03


def test_the_interference_navigator_refuses_and_may_find_nothing() -> None:
    pytest.importorskip("jax")
    data = np.tile([1.0, 1.0, 1.0], (20, 1))
    bare = compat.SphericalTensor(data)
    with pytest.raises(InputError, match="no embeddings"):
        compat.QuantumNavigator(bare)
    navigator = compat.QuantumNavigator(bare.with_embedding(np.ones((20, 4), np.float32)))
    for wrong in (np.ones(3), np.zeros(4), np.array([1, 2, 3, np.nan])):
        with pytest.raises(InputError, match="the query has shape"):
            navigator.navigate(wrong)
    nothing = navigator.navigate(np.ones(4))  # all points alike: no region stands out
    assert nothing["num_retrieved"] == 0 and nothing["score"] == -np.inf and nothing["probes_used"] == 0


# patches


@pytest.mark.parametrize("threshold", [None, 0.5, 1.35])
def test_patches_add_up(threshold: float | None) -> None:
    text = "Entropie-Flicken: " * 9
    patches = compat.patch_text(text, threshold, 20, "cpu")
    assert b"".join(patches) == text.encode() and max(map(len, patches)) <= 20
    both = compat.patch_text(text, threshold, 20, return_format="both")
    assert both["patches"] == patches and both["lengths"] == [len(patch) for patch in patches]


def test_a_lower_threshold_makes_shorter_patches() -> None:
    counts = [len(compat.patch_text(TEXT, threshold)) for threshold in (0.2, 1.0, 2.0)]
    assert counts[0] > counts[1] > counts[2]


def test_pipeline_tells_myelination() -> None:
    pipeline = compat.PatchIngestionPipeline(compat.PatchConfig(max_patch_length=64))
    told = pipeline.ingest_text(TEXT)
    sizes = np.array(told["lengths"])
    assert told["myelination_ratio"] == pytest.approx((sizes > 48).mean())
    assert told["myelination_density"] == pytest.approx(sizes[sizes > 48].mean() if (sizes > 48).any() else 0)
    texts = ["", "one text", {"content": "another"}]
    several = pipeline.ingest_dataset(texts, batch_size=2)
    assert [b"".join(one["patches"]) for one in several] == [b"", b"one text", b"another"]
    assert all(one.keys() == told.keys() for one in several)
    ready = pipeline.prepare_for_embedding(told["patches"])
    assert ready["patches"] == told["patches"] and ready["statistics"]["num_patches"] == len(sizes)
    plain = compat.PatchIngestionPipeline(compat.PatchConfig(return_format="lengths")).ingest_text("abc abc")
    assert sum(plain) == 7
    assert compat.patch_dataset(texts, return_format="lengths")[0] == []


# the encoder's side


def test_blt_model_round_trip(tmp_path: Path) -> None:
    model = compat.BltModel(compat.BltConfig.default().with_patch_size(32).with_dim(48), "cpu")
    with pytest.raises(InputError, match="not fitted"):
        model.encode_query("too early")
    encoded = model.encode_bytes(TEXT)
    assert b"".join(encoded.bytes) == TEXT
    assert 10 < len(TEXT) / len(encoded.bytes) < 100
    assert encoded.embeddings.shape == (len(encoded.bytes), 48) == (len(encoded.entropies), 48)
    assert np.array_equal(model.encode_query(encoded.bytes[2]), encoded.embeddings[2])
    compat.save_safetensors(tmp_path / "x.safetensors", encoded)
    sphere, texts = compat.load_blt_safetensors(tmp_path / "x.safetensors")
    assert texts == encoded.bytes and np.array_equal(sphere.embeddings, encoded.embeddings)
    assert np.array_equal(sphere.entropies, encoded.entropies)
    assert np.array_equal(sphere.prominence, encoded.prominence)
    again = model.encode_bytes("another text in the same space")
    assert again.embeddings.shape[1] == 48


# RootsIndex


def sphere_of(points: int = 400) -> tuple[compat.SphereEBM, list[bytes], np.ndarray, np.ndarray]:
    rows, centres, labels = clusters(points)
    texts = [b"patch %d of cluster %d; " % (i, label) for i, label in enumerate(labels)]
    nats = np.random.default_rng(1).uniform(0.1, 4, points)
    return compat.SphereEBM(rows, None, nats), texts, centres, labels


def cosines(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)


@pytest.fixture(scope="module")
def index() -> compat.RootsIndex:
    sphere, texts, _, _ = sphere_of()
    config = compat.RootsConfig.dev().with_default_substring_coupling()
    return compat.RootsIndex.from_sphere_ebm_with_bytes(sphere, texts, config, compat.RngKey(42), "cpu")


def test_every_point_is_in_a_partition(index: compat.RootsIndex) -> None:
    assert (index.n_points(), index.embedding_dim()) == (400, 32)
    assert 2 <= index.n_partitions() <= 16
    held = np.concatenate([index.members(cell) for cell in range(index.n_partitions())])
    assert np.array_equal(np.unique(held), np.arange(400))


def test_partitions_keep_clusters_together(index: compat.RootsIndex) -> None:
    _, _, centres, labels = sphere_of()
    pure = [np.bincount(labels[index.members(cell)]).max() for cell in range(index.n_partitions())]
    total = sum(len(index.members(cell)) for cell in range(index.n_partitions()))
    assert sum(pure) / total > 0.7  # the older one: 0.44
    for label, centre in enumerate(centres):
        inside = labels[index.members(index.route(centre))]
        assert np.bincount(inside).argmax() == label


def test_activations_are_cosines_and_peaks_lie_apart(index: compat.RootsIndex) -> None:
    _, _, centres, _ = sphere_of()
    means = index.cells.centres
    activations = index.activate(centres[2])
    assert activations.shape == (index.n_partitions(),)
    assert np.allclose(activations, cosines(means, centres[2]), atol=1e-6)
    found = index.detect_peaks(activations)
    assert found and found[0].partition_id == activations.argmax()
    assert all(peak.strength == activations[peak.partition_id] > 0.2 for peak in found)
    assert [peak.strength for peak in found] == sorted((peak.strength for peak in found), reverse=True)
    for i, peak in enumerate(found):
        assert np.array_equal(peak.member_indices, index.members(peak.partition_id))
        apart = [
            np.arccos(np.clip(cosines(means[[peak.partition_id]], other.center), -1, 1))
            for other in found[:i]
        ]
        assert all(angle >= np.pi / 8 - 1e-6 for angle in apart)
    near = [p for p in range(len(activations)) if activations[p] > 0.2]
    for cell in near:  # a partition that is no peak lies near a stronger one
        if cell not in [peak.partition_id for peak in found]:
            assert max(cosines(np.array([peak.center for peak in found]), means[cell])) > np.cos(np.pi / 8)
    assert index.detect_peaks(np.zeros(index.n_partitions())) == []


def test_same_key_same_partitions_and_a_saved_index_is_the_same(
    index: compat.RootsIndex, tmp_path: Path
) -> None:
    sphere, texts, centres, _ = sphere_of()
    again = compat.RootsIndex.from_sphere_ebm_with_bytes(sphere, texts, index.config, compat.RngKey(42))
    index.save(tmp_path / "roots")
    opened = compat.RootsIndex.load(tmp_path / "roots", index.config)
    for other in (again, opened):
        assert np.array_equal(other.activate(centres[1]), index.activate(centres[1]))
        assert [other.route(centre) for centre in centres] == [index.route(centre) for centre in centres]
        assert all(np.array_equal(other.members(c), index.members(c)) for c in range(index.n_partitions()))


def test_an_index_without_members_routes_but_holds_no_rows() -> None:
    sphere, _, centres, _ = sphere_of()
    config = compat.RootsConfig.dev()
    bare = compat.RootsIndex.from_sphere_ebm(sphere, config.without_member_indices(), 7)
    full = compat.RootsIndex.from_sphere_ebm(sphere, config, 7)
    assert [bare.route(centre) for centre in centres] == [full.route(centre) for centre in centres]
    assert len(bare.members(0)) == 0 < len(full.members(0))


def test_roles_get_partitions_of_their_own() -> None:
    sphere, _, _, _ = sphere_of()
    roles = np.arange(400) % 3
    index = compat.RootsIndex.from_sphere_ebm(sphere, compat.RootsConfig.dev(), roles=roles)
    kinds = [set(roles[index.members(cell)]) for cell in range(index.n_partitions())]
    assert all(len(kind) == 1 for kind in kinds) and set().union(*kinds) == {0, 1, 2}


def test_substrings_keep_points_together_when_coupled() -> None:
    random = np.random.default_rng(4)
    labels = np.arange(160) % 4
    kinds = [random.integers(0, 256, 60, np.uint8).tobytes() for _ in range(4)]
    sphere = compat.SphereEBM(random.standard_normal((160, 16)).astype(np.float32))
    texts = [kinds[label] + b"%d" % i for i, label in enumerate(labels)]

    def purity(coupling: compat.SubstringConfig) -> float:
        config = compat.RootsConfig.default().with_partitions(4).with_substring_coupling(coupling)
        index = compat.RootsIndex.from_sphere_ebm_with_bytes(sphere, texts, config, 1)
        held = [labels[index.members(cell)] for cell in range(index.n_partitions())]
        return sum(np.bincount(one).max() for one in held) / sum(map(len, held))

    apart = purity(compat.SubstringConfig.embedding_only())
    assert purity(compat.SubstringConfig.substring_only()) > apart + 0.1


def test_an_index_refuses_what_does_not_fit(index: compat.RootsIndex) -> None:
    sphere, texts, _, _ = sphere_of()
    with pytest.raises(InputError):
        compat.RootsIndex.from_sphere_ebm_with_bytes(sphere, texts[:-1], compat.RootsConfig.dev())
    for wrong in (np.ones(31), np.ones((2, 32))):
        with pytest.raises(InputError):
            index.activate(wrong)
        with pytest.raises(InputError):
            index.route(wrong)


def test_one_point_is_one_partition() -> None:
    alone = compat.RootsIndex.from_sphere_ebm(compat.SphereEBM(np.ones((1, 3), np.float32)))
    assert alone.n_partitions() == 1 and alone.route([1, 0, 0]) == 0 and alone.members(0).tolist() == [0]


# MultiConeNavigator


@pytest.fixture(scope="module")
def navigator() -> compat.MultiConeNavigator:
    sphere, texts, _, _ = sphere_of()
    budget = compat.BudgetConfig.default().with_max_cones(8).with_peak_threshold(0.15)
    return compat.MultiConeNavigator.from_sphere_ebm_with_bytes(
        sphere, texts, compat.RootsConfig.dev(), budget, compat.RngKey(42), "cpu"
    )


def test_cones_find_the_nearest_points(navigator: compat.MultiConeNavigator) -> None:
    sphere, _, centres, _ = sphere_of()
    for query in (centres[0], sphere.embeddings[17]):
        result = navigator.navigate_multi_cone(query, 50.0, 10, compat.RngKey(1), "cpu")
        truth = cosines(sphere.embeddings, query.astype(np.float64))
        assert np.array_equal(np.sort(result.target_indices), np.sort(np.argsort(-truth)[:10]))
        assert result.n_targets() == len(result) == 10 and 1 <= result.n_cones() <= 8
        assert (np.diff(result.target_energies) >= 0).all()
        assert result.top_k(3) == list(result)[:3] and len(result.top_k(99)) == 10
        assert all(isinstance(i, int) and isinstance(energy, float) for i, energy in result)
        again = navigator.navigate_multi_cone(query, 50.0, 10)
        assert again.top_k(10) == result.top_k(10)
        assert result.cones_spawned == result.n_cones() and result.explain()[0]


def test_the_budget_is_kept(navigator: compat.MultiConeNavigator) -> None:
    sphere, _, centres, _ = sphere_of()
    whole = navigator.navigate_multi_cone(centres[0]).budget_used
    for share in (0.3, 0.05):
        budget = compat.BudgetConfig.new(int(share * whole)).with_min_cone_budget(0)
        small = compat.MultiConeNavigator(sphere, navigator.index, budget)
        found = small.navigate_multi_cone(centres[0], top_k=5)
        assert 0 < found.budget_used <= share * whole and found.n_targets() == 5
    one = compat.MultiConeNavigator(sphere, navigator.index, compat.BudgetConfig.default().with_max_cones(1))
    assert one.navigate_multi_cone(centres[0]).n_cones() == 1


def test_weights_have_an_effect(navigator: compat.MultiConeNavigator) -> None:
    sphere, _, centres, _ = sphere_of()
    query, radii, nats = centres[0], sphere.ideal_radii, sphere.entropies
    plain = navigator.navigate_multi_cone(query).target_indices
    radial = navigator.with_weights(compat.NavigationWeights(0, 1, 0, 0, 0, 0))
    for asked in (50.0, 450.0):  # the query's radius
        found = radial.navigate_multi_cone(query, asked).target_indices
        assert np.abs(radii[found] - asked).mean() < np.abs(radii[plain] - asked).mean()
    calm = navigator.with_weights(compat.NavigationWeights(0, 0, 0, 1, 0, 0))
    assert nats is not None
    assert nats[calm.navigate_multi_cone(query).target_indices].mean() < nats[plain].mean()  # low is better
    for weights in (compat.NavigationWeights(1, 0, 1, 0, 0, 0), compat.NavigationWeights(1, 0, 0, 0, 1, 0)):
        found = navigator.with_weights(weights).navigate_multi_cone(query)
        assert len(found.navigation.terms) == 2 and (np.diff(found.target_energies) >= 0).all()
    assert np.array_equal(navigator.navigate_multi_cone(query).target_indices, plain)  # itself unchanged


def test_the_older_weights_keep_the_neighbourhood() -> None:
    pytest.importorskip("jax")
    sphere, _, centres, labels = sphere_of()
    bare = compat.SphereEBM(sphere.embeddings)  # no entropies
    navigator = compat.MultiConeNavigator.from_sphere_ebm(bare, compat.RootsConfig.dev(), key=42)
    weighed = navigator.with_weights(compat.NavigationWeights.default())
    right = [labels[weighed.navigate_multi_cone(c).target_indices] == i for i, c in enumerate(centres)]
    assert np.mean(right) > 0.9  # the older recall was 0.04
    found = weighed.navigate_multi_cone(centres[0]).navigation
    assert set(found.terms) == {"semantic", "radial", "graph", "path", "harmonic"}


def test_navigation_weights_have_the_older_figures() -> None:
    weights = compat.NavigationWeights.default().weights()
    assert (weights.semantic, weights.radial, weights.graph) == (1.0, 0.5, 0.3)
    assert (weights.entropy, weights.path, weights.harmonic, weights.temperature) == (0.2, 0.1, 0.4, 1.0)
    assert compat.NavigationWeights.semantic_only().weights().used == ("semantic",)
    assert len(compat.NavigationWeights.uniform().weights().used) == 6
    with pytest.raises(InputError):
        compat.NavigationWeights(temperature=0).weights()


def test_a_navigator_keeps_members_at_any_scale() -> None:
    sphere, _, centres, _ = sphere_of()
    config = compat.RootsConfig.terabyte_scale().with_partitions(8)
    navigator = compat.MultiConeNavigator.from_sphere_ebm(sphere, config)
    assert navigator.navigate_multi_cone(centres[0], top_k=3).n_targets() == 3


# the scripts


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> dict:
    """The globals of a quick start that was run with these arguments."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    return runpy.run_path(str(QUICKSTARTS / name), run_name="__main__")


def test_water_filling_integration(monkeypatch, v3_file: Path, tmp_path: Path, capsys) -> None:
    done = run(monkeypatch, "water_filling_integration.py", v3_file, tmp_path / "sphere.npz")
    assert "400 points" in capsys.readouterr().out
    with np.load(tmp_path / "sphere.npz") as held:
        lengths = np.linalg.norm(held["sphere_coords"], axis=1)
        assert np.allclose(lengths, held["radii"], rtol=1e-4)
        assert len(held["original_entropies"]) == 400
    assert np.isfinite(done["allocated"]).all()


def test_jax_quickstart(monkeypatch, capsys) -> None:
    pytest.importorskip("jax")
    done = run(monkeypatch, "jax_quickstart.py")
    assert "80/80 shells" in capsys.readouterr().out
    mask, labels = done["result"]["retrieved_mask"], done["labels"]
    assert b"".join(done["patches"]) == done["text"].encode()
    assert (labels[mask] == 3).mean() > 0.5 and mask[labels == 3].mean() > 0.5


def test_rust_quickstart(monkeypatch, v3_file: Path, capsys) -> None:
    pytest.importorskip("jax")
    done = run(monkeypatch, "rust_quickstart.py", v3_file)
    _, _, _, labels = sphere_of()
    out = capsys.readouterr().out
    assert "placed 400 points" in out and "10 targets" in out
    assert done["cartesian"].shape == (400, 3) and done["roots"].n_partitions() <= 32
    result = done["result"]
    assert result.top_k(1)[0][0] == 0  # the query is the first point itself
    assert (labels[result.target_indices] == labels[0]).all()
    assert done["weighed"].n_targets() == 10


def test_build_roots(monkeypatch, v3_file: Path, tmp_path: Path, capsys) -> None:
    done = run(monkeypatch, "build_roots.py", v3_file, tmp_path / "roots")
    assert "partitions of 400 points" in capsys.readouterr().out
    query = done["sphere_ebm"].embeddings[5]
    assert done["opened"].route(query) == done["roots"].route(query)


def test_blt_pipeline(monkeypatch, tmp_path: Path, capsys) -> None:
    text = tmp_path / "animals.txt"
    rest = b"".join(b"Item %d of the ledger was counted twice and found in order. " % i for i in range(80))
    text.write_bytes(rest[:2000] + b"The quick brown fox jumps over the lazy dog. " + rest[2000:])
    done = run(monkeypatch, "blt_pipeline.py", text, tmp_path / "x.safetensors", "quick brown fox jumps")
    assert b"".join(done["patches"]) == text.read_bytes()
    first = [done["patches"][i] for i, _ in done["result"].top_k(5)]
    assert any(b"fox" in patch for patch in first)
    assert "targets from" in capsys.readouterr().out
