"""The training of encoders: losses against plain NumPy, batches, and that it learns, goes on, and shares work."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

jax = pytest.importorskip("jax")
pytest.importorskip("optax")

import jax.numpy as jnp  # noqa: E402
from scipy.special import logsumexp, rel_entr, softmax  # noqa: E402

from thesphere.errors import InputError  # noqa: E402
from thesphere.nn import sphere  # noqa: E402
from thesphere.nn.grams import Rows  # noqa: E402
from thesphere.nn.sphere_shape import SphereShape  # noqa: E402
from thesphere.train import encoder  # noqa: E402
from thesphere.train.library import read_library  # noqa: E402
from thesphere.train.losses import contrast, divergence, small_losses  # noqa: E402
from thesphere.train.run import run, schedule  # noqa: E402
from thesphere.train.sampler import CROWD, Pairs, Sampler, Settings  # noqa: E402
from thesphere.train.shelf import shelve  # noqa: E402

SHAPE = SphereShape(
    width=16,
    layers=1,
    heads=0,
    cones=2,
    hidden=0,
    reach=3,
    rows=Rows(400, 400, 8),
    table=16,
    shells=4,
    embedding=16,
)
SETTINGS = Settings(
    30, sizes=((8, 8, 32),), rate=0.02, table_rate=0.01, rise=3, relate=0.1, words=256, forget=0.2
)
rng = np.random.default_rng(0)


def unit(n, width=16):
    rows = rng.normal(size=(n, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def made(count=128):
    """Pairs whose two texts share half of their words, with a teacher: (library, shelf, pairs)."""
    draw = np.random.default_rng(7)
    topics = [[f"w{t}x{i}" for i in range(6)] for t in range(count)]
    texts = [" ".join(draw.permutation(topic)[:4]).encode() for topic in topics for _ in range(2)]
    data, begins = np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])
    library = read_library(data, begins, SHAPE.rows, SHAPE.shells)
    vectors = np.repeat(draw.normal(size=(count, 16)), 2, 0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    taught = np.where(np.arange(2 * count) % 4 == 3, -1, np.arange(2 * count)).astype(np.int32)
    pairs = Pairs(
        np.arange(0, 2 * count, 2),
        np.arange(1, 2 * count, 2),
        np.arange(count) % 2,
        [0.5, 0.5],
        [True, False],
    )
    return library, shelve(library, taught, vectors.astype(np.float16)), pairs


def test_own_vectors_are_what_the_encoder_says_of_a_text():
    """Rows of length 1 along what the network embeds, in the order asked for; an empty text gets zeros."""
    texts = [b"keys of brass", b"", b"a lock", b"the brass keys of a lock"]
    data, begins = np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])
    library = read_library(data, begins, SHAPE.rows, SHAPE.shells)
    parameters = encoder.begin(SHAPE, SETTINGS).parameters
    embed = encoder.make_embed(SHAPE, SETTINGS, 8, batch=4)
    vectors = np.zeros((1, 16), np.float16)
    plain = embed(parameters, shelve(library, np.full(4, -1, np.int32), vectors), np.arange(4))
    rows = encoder.own_vectors(embed, parameters, library, np.array([3, 1, 0]))
    assert rows.dtype == np.float16 and rows.shape == (3, 16)
    expected = plain[[3, 0]] / np.linalg.norm(plain[[3, 0]], axis=1, keepdims=True)
    np.testing.assert_allclose(rows[[0, 2]], expected, atol=1e-3)
    assert not rows[1].any()


def test_contrast_is_the_mean_of_both_directions_over_related_pairs():
    za, zb = unit(9), unit(9)
    negative = rng.random((9, 9)) < 0.7
    related = (rng.random(9) < 0.6).astype(float)
    related[0] = 1
    total = 0.0
    for i in np.flatnonzero(related):
        for x, y in ((za, zb), (zb, za)):
            logits = y @ x[i] / 0.05
            seen = [j for j in range(9) if negative[i, j] or i == j]
            total += logsumexp(logits[seen]) - logits[i]
    a, b, mine, others, together = map(jnp.asarray, (za, zb, np.arange(9), negative, related))
    found = contrast(a, b, mine, others, together, 0.05)
    assert np.isclose(found, total / (2 * related.sum()), rtol=1e-4)


def test_divergence_is_that_of_kullback_and_leibler():
    z, to, t, t_to = (unit(7) for _ in range(4))
    asked, known = np.arange(7) % 2 == 0, rng.random((7, 7)) < 0.8
    known[:, 0] = True
    each = [
        rel_entr(softmax(t_to[k] @ t[i] / 0.1), softmax(to[k] @ z[i] / 0.1)).sum()
        for i in np.flatnonzero(asked)
        for k in [known[i]]
    ]
    a, b, c, d, rows, columns = map(jnp.asarray, (z, to, t, t_to, asked, known))
    assert np.isclose(divergence(a, b, c, d, rows, columns, 0.1), np.mean(each), rtol=1e-4)
    assert abs(divergence(c, d, c, d, rows, columns, 0.1)) < 1e-5


def test_small_losses_are_finite_and_least_where_they_should_be():
    parameters = {name: jnp.asarray(value) for name, value in sphere.init(SHAPE, 0).items()}
    count = jnp.array([0, 1, 5, 8])
    used = jnp.arange(8) < count[:, None]
    h = jnp.asarray(rng.normal(size=(4, 8, 16)), jnp.float32)
    even = sphere.Found(jnp.zeros((4, 16)), h, 1.0 * used)
    uneven = even._replace(prominence=used * jnp.exp(jnp.asarray(rng.normal(size=(4, 8)), jnp.float32)))
    small = jax.jit(small_losses)
    first, second = (small(parameters, some, count) for some in (even, uneven))
    assert np.isfinite([*first, *second]).all()
    assert abs(first[1]) < 1e-6 < second[1]
    sure = parameters | {"cones": jnp.zeros((16, 2)).at[0].set(jnp.array([1.0, -1.0]))}
    both = even._replace(h=jnp.zeros_like(h).at[..., 0].set(jnp.where(jnp.arange(8) % 2, 20.0, -20.0)))
    one = even._replace(h=jnp.zeros_like(h).at[..., 0].set(20.0))
    counts = jnp.array([0, 2, 4, 8])
    assert small(sure, both, counts)[2] < 0.01 < small(sure, one, counts)[2]
    gradient = jax.grad(lambda p: sum(small(p, uneven, count)))(parameters)
    assert all(np.isfinite(value).all() for value in gradient.values())


def test_batches_depend_on_the_step_alone_and_hold_whole_pairs():
    library, _, pairs = made()
    settings = replace(SETTINGS, sizes=((4, 4, 16), (8, 8, 32)))
    sampler = Sampler(pairs, library.lengths, settings)
    assert set(sampler.chances) <= {0, 1}
    for step in range(20):
        size, a, b, related = sampler.batch(step)
        again = Sampler(pairs, library.lengths, settings).batch(step)
        assert size == again[0]
        assert all(np.array_equal(x, y) for x, y in zip((a, b, related), again[1:], strict=True))
        assert len(a) == len(b) == len(related) == settings.sizes[size][2]
        assert (a // 2 == b // 2).all()
        assert (library.lengths[a] <= library.lengths[b]).all()
        assert np.array_equal(related, a // 2 % 2 == 0)


def test_crowds_are_pairs_that_follow_each_other_in_the_order_given():
    library, _, pairs = made(256)
    places = np.random.default_rng(3).permutation(256)
    settings = replace(SETTINGS, sizes=((8, 8, 128),), near=1.0)
    alike = replace(pairs, kind=np.zeros(256, int), shares=[1.0], related=[True], places=places)
    sampler = Sampler(alike, library.lengths, settings)
    for step in range(10):
        _, a, b, _ = sampler.batch(step)
        assert len(a) == 128
        assert (a // 2 == b // 2).all()
        found = set(places[a // 2].tolist())
        assert sum((place - 1) % 256 not in found for place in found) <= 128 // CROWD
    unknown = Sampler(replace(pairs, places=np.full(256, -1)), library.lengths, settings)
    plain = Sampler(pairs, library.lengths, settings)
    assert all(np.array_equal(x, y) for x, y in zip(unknown.batch(3), plain.batch(3), strict=True))


def test_training_learns_and_goes_on_where_it_was(tmp_path):
    library, shelf, pairs = made()
    sampler = Sampler(pairs, library.lengths, SETTINGS)
    (inner,) = encoder.make_steps(SHAPE, SETTINGS)

    def step(state, at):
        _, *batch = sampler.batch(at)
        return inner(state, shelf, *batch, np.int32(at), schedule(SETTINGS, at))

    whole, curve = run(encoder.begin(SHAPE, SETTINGS), step, 30)
    assert curve.points[-1]["nce"] < 0.5 * curve.points[0]["nce"]
    assert curve.points[-1]["distil"] < 0.8 * curve.points[0]["distil"]
    half = tmp_path / "checkpoint"
    run(encoder.begin(SHAPE, SETTINGS), step, 15, checkpoint=half)
    again, _ = run(encoder.begin(SHAPE, SETTINGS), step, 30, checkpoint=half)
    for name, value in whole.parameters.items():
        assert np.allclose(value, again.parameters[name], atol=1e-5), name

    embed = encoder.make_embed(SHAPE, SETTINGS, 8, batch=32)
    told = encoder.judge(
        embed, whole.parameters, shelf, pairs.a, pairs.b, np.asarray(shelf.taught), np.asarray(shelf.teacher)
    )
    assert told["recall@1"] > 0.5
    assert told["teacher cosine"] > 0.3


def first_step() -> tuple[int, dict[str, float], list[float]]:
    """(devices, losses, how the raw head moved) of one step."""
    library, shelf, pairs = made()
    settings = replace(SETTINGS, forget=0.0)
    sampler = Sampler(pairs, library.lengths, settings)
    (step,) = encoder.make_steps(SHAPE, settings)
    before = np.asarray(encoder.begin(SHAPE, settings).parameters["raw"])
    batch = sampler.batch(0)[1:]
    state, told = step(encoder.begin(SHAPE, settings), shelf, *batch, np.int32(0), np.float32(0.1))
    moved = np.asarray(state.parameters["raw"]) - before
    return len(jax.devices()), {name: float(value) for name, value in told.items()}, moved.ravel().tolist()


def test_two_devices_make_the_same_step_as_one():
    forced = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    script = "import json, test_train_encoder as t; print(json.dumps(t.first_step()))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | forced, cwd=os.path.dirname(__file__),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    two, shared, other = json.loads(done.stdout.splitlines()[-1])
    one, told, moved = first_step()
    assert (one, two) == (1, 2)
    for name in ("nce", "distil", "relate"):
        assert np.isclose(told[name], shared[name], rtol=1e-3), name
    assert np.corrcoef(moved, other)[0, 1] > 0.99  # the small losses look at fewer texts of each device


def test_what_cannot_be_trained_is_refused():
    library, _, pairs = made(8)
    with pytest.raises(InputError, match="teachers"):
        shelve(library, np.zeros(3, np.int32), np.zeros((1, 16), np.float16))
    with pytest.raises(InputError, match="no pair"):
        Sampler(pairs, np.zeros_like(library.lengths), SETTINGS)
    with pytest.raises(InputError, match="runs of"):
        encoder.make_steps(SHAPE, replace(SETTINGS, sizes=((8, 8, 30),)))
