"""Langevin dynamics on the sphere: forces, stability, compilation, and the law it samples."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402

from thesphere.neighbours import nearest  # noqa: E402
from thesphere.sampling import couple  # noqa: E402
from thesphere.sampling.langevin import (  # noqa: E402
    Schedule,
    anneal,
    energy,
    force,
    lipschitz,
    step,
    tangent,
)

PAIR = np.array([[1], [0]], np.int32), np.ones((2, 1), np.float32)


def small(count: int = 12, seed: int = 0, k: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions float32 [N, 3] and couplings [N, k] of a random system."""
    rng = np.random.default_rng(seed)
    graph = couple(nearest(rng.standard_normal((count, 6)), k), k)
    positions = rng.standard_normal((count, 3))
    positions /= np.linalg.norm(positions, axis=1, keepdims=True)
    return positions.astype(np.float32), graph.ids, graph.weights


@pytest.mark.parametrize(("sharpness", "repulsion", "offset"), [(2.0, 0.0, 1), (15.0, 0.7, 5), (4.0, 3.0, 6)])
def test_force_is_minus_the_gradient(sharpness: float, repulsion: float, offset: int) -> None:
    with jax.enable_x64(True):
        positions, ids, weights = small()
        x, w = jnp.asarray(positions, jnp.float64), jnp.asarray(weights, jnp.float64)
        x /= jnp.linalg.norm(x, axis=1, keepdims=True)
        graph = ids, w, offset, sharpness, repulsion
        found = force(x, *graph)
        np.testing.assert_allclose(found, -tangent(x, jax.grad(energy)(x, *graph)), atol=1e-12)
        np.testing.assert_allclose(jnp.sum(found * x, axis=1), 0, atol=1e-12)
        arcs = tangent(x, jnp.asarray(np.random.default_rng(1).standard_normal(x.shape)))
        ends = [x + h * arcs for h in (1e-5, -1e-5)]
        ends = [end / jnp.linalg.norm(end, axis=1, keepdims=True) for end in ends]
        slope = (energy(ends[0], *graph) - energy(ends[1], *graph)) / 2e-5
        assert float(slope) == pytest.approx(-float(jnp.sum(found * arcs)), rel=1e-6, abs=1e-8)


def test_no_curvature_is_beyond_the_bound() -> None:
    """Of all points in one place (the sharpest case), of near and of scattered ones; and more than 0.4 of the
    bound occurs."""
    positions, ids, weights = small(10)

    def bent(moves, x, frames, w, sharpness, repulsion):
        """The energy after a move along the sphere, to second order in the two tangents of each point."""
        arcs = jnp.einsum("ne,ned->nd", moves, frames)
        moved = x * (1 - jnp.sum(arcs**2, axis=1, keepdims=True) / 2) + arcs
        return energy(moved, ids, w, 3, sharpness, repulsion)

    with jax.enable_x64(True):
        hessian, largest = jax.jit(jax.hessian(bent)), 0.0
        for spread in (0.0, 1e-4, 0.1, 1.0):
            x = positions[:1] + spread * (positions.astype(np.float64) - positions[:1])
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            frames = np.linalg.svd(x[:, None])[2][:, 1:]
            for sharpness, repulsion in ((3.0, 0.25), (50.0, 2.0), (50.0, 0.0)):
                matrix = hessian(
                    jnp.zeros((10, 2)), x, frames, weights.astype(np.float64), sharpness, repulsion
                )
                bend = np.abs(np.linalg.eigvalsh(np.array(matrix).reshape(20, 20))).max()
                share = bend / float(lipschitz(sharpness, repulsion))
                assert share <= 1 + 1e-6
                largest = max(largest, share)
    assert largest > 0.4


def test_cold_steps_never_raise_the_energy() -> None:
    positions, ids, weights = small(40, seed=5)
    energies = []
    cold = jax.jit(step)
    for t in range(60):
        energies.append(float(energy(positions, ids, weights, 1, 20.0, 0.0)))
        positions = cold(positions, ids, weights, jax.random.key(t), 20.0, 0.0, 0.0, 0.95)
    assert (np.diff(energies) <= 1e-5).all() and energies[-1] < energies[0] - 0.1


def test_jit_and_vmap_agree_with_the_plain_call() -> None:
    positions, ids, weights = small()
    keys = jax.random.split(jax.random.key(4), 3)
    plain = [step(positions, ids, weights, key, 9.0, 0.5, 0.1, 0.5) for key in keys[:2]]
    compiled = jax.jit(step)
    jitted = [compiled(positions, ids, weights, key, 9.0, 0.5, 0.1, 0.5) for key in keys]
    over_keys = jax.vmap(lambda key: step(positions, ids, weights, key, 9.0, 0.5, 0.1, 0.5))(keys)
    for first, second, third in zip(plain, jitted, over_keys, strict=False):
        np.testing.assert_allclose(first, second, atol=2e-6)
        np.testing.assert_allclose(first, third, atol=2e-6)
    assert np.abs(np.asarray(plain[0]) - plain[1]).max() > 1e-3


def test_anneal_compiles_once_and_repeats_itself() -> None:
    positions, ids, weights = small(17)
    key = jax.random.key(2)
    before = anneal._cache_size()
    warm = Schedule(1.0, 30.0, 0.1, 0.0, 0.25, 0.9)
    whole = anneal(positions, ids, weights, key, warm, 0, 12, 12)
    again = anneal(positions, ids, weights, key, warm, 0, 12, 12)
    half = anneal(positions, ids, weights, key, warm, 0, 5, 12)
    halves = anneal(np.asarray(half), ids, weights, key, warm, 5, 12, 12)
    other = anneal(
        positions, ids, weights, jax.random.key(3), Schedule(2.0, 9.0, 1.0, 0.5, 0.0, 0.5), 0, 7, 9
    )
    assert anneal._cache_size() == before + 1
    np.testing.assert_array_equal(whole, again)
    np.testing.assert_array_equal(whole, halves)
    assert np.abs(np.asarray(whole) - other).max() > 1e-2
    for drawn in (whole, other):
        assert drawn.dtype == jnp.float32
        np.testing.assert_allclose(jnp.linalg.norm(drawn, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("total", range(1, 40))
def test_a_schedule_that_ends_at_zero_ends_there(total: int) -> None:
    positions, ids, weights = small(6)
    schedule = Schedule(1.0, 30.0, 0.1, 0.0, 0.25, 0.9)
    assert np.isfinite(anneal(positions, ids, weights, jax.random.key(0), schedule, 0, total, total)).all()


@pytest.mark.parametrize("temperature", [1e-8, 1e3])
@pytest.mark.parametrize("sharpness", [1.0, 1e4])
def test_points_in_one_place_stay_finite(temperature: float, sharpness: float) -> None:
    positions = np.tile(np.array([0, 0, 1], np.float32), (6, 1))
    _, ids, weights = small(6)
    schedule = Schedule(sharpness, sharpness, temperature, temperature, 0.25, 0.95)
    drawn = anneal(positions, ids, weights, jax.random.key(0), schedule, 0, 20, 20)
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize(("repulsion", "temperature"), [(0.0, 0.4), (0.3, 0.3)])
def test_two_points_follow_the_boltzmann_law(repulsion: float, temperature: float) -> None:
    """Of two points, c = x . y has density exp(-E(c) / T) on [-1, 1] (the sphere's area is uniform in c)."""
    sharpness, chains = 4.0, 3000
    rng = np.random.default_rng(0)
    begun = rng.standard_normal((chains, 2, 3)).astype(np.float32)
    begun /= np.linalg.norm(begun, axis=2, keepdims=True)
    hold = Schedule(sharpness, sharpness, temperature, temperature, repulsion, 0.15)
    keys = jax.random.split(jax.random.key(7), chains)
    drawn = jax.vmap(lambda x, key: anneal(x, *PAIR, key, hold, 0, 800, 800))(begun, keys)
    cosines = np.sort(np.einsum("cd,cd->c", drawn[:, 0], drawn[:, 1]))
    grid = np.linspace(-1, 1, 20_001)
    bound = -np.exp(sharpness * (grid - 1)) - repulsion * np.log(1 + 1 / sharpness - grid)
    law = np.exp(-(bound - bound.min()) / temperature)
    law = np.concatenate([[0], np.cumsum((law[1:] + law[:-1]) / 2)])
    distance = np.abs(np.interp(cosines, grid, law / law[-1]) - (np.arange(chains) + 0.5) / chains).max()
    assert distance < 1.63 / np.sqrt(chains) + 0.01  # Kolmogorov-Smirnov at 1 %, and the step's own bias


def test_a_ring_of_four_follows_the_law_that_thrml_samples() -> None:
    """Four points in a ring: thrml's block Gibbs with an exact conditional (categorical among the point's place
    and uniform ones) against long Langevin chains, by the mean cosines of neighbours and of opposites."""
    thrml = pytest.importorskip("thrml")
    from thrml.conditional_samplers import AbstractConditionalSampler

    sharpness, temperature, tries = 3.0, 0.2, 16
    ids = np.array([[1, 3], [0, 2], [1, 3], [0, 2]], np.int32)
    weights = np.full((4, 2), 0.5, np.float32)

    class Point(thrml.AbstractNode):
        pass

    class Heat(AbstractConditionalSampler):
        def sample(self, key, interactions, active_flags, states, sampler_state, output_sd):
            place, choose = jax.random.split(key)
            near, own = states[0][0], states[0][1][:, :1]
            tried = jax.random.normal(place, (len(near), tries, 3))
            tried = jnp.concatenate([own, tried / jnp.linalg.norm(tried, axis=2, keepdims=True)], axis=1)
            cosines = jnp.einsum("ntd,nkd->ntk", tried, near)
            bound = jnp.einsum("nk,ntk->nt", interactions[0], jnp.exp(sharpness * (cosines - 1)))
            chosen = jax.random.categorical(choose, bound / temperature, axis=1)
            return jnp.take_along_axis(tried, chosen[:, None, None], axis=1)[:, 0], sampler_state

    nodes = [Point() for _ in range(4)]
    blocks = [thrml.Block([nodes[0], nodes[2]]), thrml.Block([nodes[1], nodes[3]])]
    groups = []
    for even in (0, 1):
        heads = [i for i in (even, even + 2) for _ in range(2)]
        tails = [int(j) for i in (even, even + 2) for j in ids[i]]
        own = thrml.Block([nodes[i] for i in heads])
        far = thrml.Block([nodes[j] for j in tails])
        groups.append(thrml.InteractionGroup(jnp.full(4, 0.5), own, [far, own]))
    spec = thrml.BlockGibbsSpec(blocks, [], {Point: jax.ShapeDtypeStruct((3,), jnp.float32)})
    program = thrml.BlockSamplingProgram(spec, [Heat(), Heat()], groups)
    plan = thrml.SamplingSchedule(60, 1, 1)
    rng, count = np.random.default_rng(0), 1500
    begun = rng.standard_normal((count, 4, 3)).astype(np.float32)
    begun /= np.linalg.norm(begun, axis=2, keepdims=True)

    def chain(x: jax.Array, key: jax.Array) -> list[jax.Array]:
        return thrml.sample_states(key, program, plan, [x[::2], x[1::2]], [], blocks)

    even, odd = jax.vmap(chain)(begun, jax.random.split(jax.random.key(1), count))
    gibbs = np.stack([even[:, 0, 0], odd[:, 0, 0], even[:, 0, 1], odd[:, 0, 1]], axis=1)

    hold = Schedule(sharpness, sharpness, temperature, temperature, 0.0, 0.25)
    keys = jax.random.split(jax.random.key(5), count)
    drawn = jax.vmap(lambda x, key: anneal(x, ids, weights, key, hold, 0, 400, 400))(begun, keys)
    for apart in (1, 2):
        ours = np.einsum("cnd,cnd->cn", drawn, np.roll(drawn, apart, axis=1)).mean(axis=1)
        theirs = np.einsum("cnd,cnd->cn", gibbs, np.roll(gibbs, apart, axis=1)).mean(axis=1)
        error = np.hypot(theirs.std(), ours.std()) / np.sqrt(count)
        assert ours.mean() > 0.1
        assert abs(ours.mean() - theirs.mean()) < 4 * error + 0.01  # and the step's own bias
