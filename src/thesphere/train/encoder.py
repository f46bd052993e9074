"""The training of the sphere encoders: true contrast over pairs, and the vectors of a teacher where it has any.

`sampler` says which pairs a step takes, `shelf` what lies on the device, `losses` what is made small; here are
the state, the steps that all devices take together, and the judging of pairs that are held out.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from thesphere.errors import InputError, MissingExtra
from thesphere.nn import sphere
from thesphere.nn.sphere_shape import SphereShape
from thesphere.runtime import precision_of
from thesphere.train.library import Library
from thesphere.train.losses import losses
from thesphere.train.sampler import RUN, Sampler, Settings
from thesphere.train.shelf import PAIRS, Shelf, mesh, shelve, windows_of

try:
    import jax
    import jax.numpy as jnp
    import optax
    from jax.sharding import NamedSharding
    from jax.sharding import PartitionSpec as Of
except ImportError:
    raise MissingExtra("the training of encoders", "jax") from None

STACKED = tuple(f"layer.{name}" for name in ("attend", "out", "up", "down", "in"))
PLAIN = ("input", "raw")  # trained by Muon too; the heads and everything else by Adam


class State(NamedTuple):
    """All that training carries from step to step."""

    parameters: Any
    optimiser: Any


def optimiser(settings: Settings) -> optax.GradientTransformation:
    """Updates for a rate of 1; the schedule multiplies them."""

    def dimensions(parameters):
        stacked, plain = optax.contrib.MuonDimensionNumbers(1, 2), optax.contrib.MuonDimensionNumbers(0, 1)
        return {
            name: stacked if name in STACKED else plain if name in PLAIN else None for name in parameters
        }  # fmt: skip

    muon = optax.contrib.muon(
        settings.rate, beta=0.95, consistent_rms=0.2, adam_b2=0.99, adam_learning_rate=settings.table_rate,
        muon_weight_dimension_numbers=dimensions,
    )  # fmt: skip
    return optax.chain(optax.clip_by_global_norm(1.0), muon)


def begin(shape: SphereShape, settings: Settings) -> State:
    """The state before the first step."""
    whole = NamedSharding(mesh(), Of())
    precise = precision_of("training")
    fresh = {name: value.astype(precise) for name, value in sphere.init(shape, settings.seed).items()}
    parameters = jax.device_put(fresh, whole)
    return State(parameters, jax.device_put(optimiser(settings).init(parameters), whole))


Step = Callable[..., tuple[State, dict[str, jax.Array]]]


def _parts(shape: SphereShape, settings: Settings):
    """(for each kind of batch its gradients, the update), to be compiled."""
    devices, update = mesh().size, optimiser(settings)
    for _, _, pairs in settings.sizes:
        if pairs % (devices * RUN):
            raise InputError(
                f"{pairs} pairs cannot be shared by {devices} devices in runs of {RUN}: give a multiple"
            )

    def make(size: tuple[int, int, int]):
        def gradients(parameters, shelf: Shelf, a, b, related, number):
            key = jax.random.fold_in(jax.random.key(settings.seed), number)
            known = jax.random.bernoulli(key, 1 - settings.forget, (settings.words,)).astype(jnp.float32)

            def loss_of(parameters):
                return losses(parameters, shape, settings, shelf, a, b, related, size[:2], known, devices > 1)

            (_, told), found = jax.value_and_grad(loss_of, has_aux=True)(parameters)
            return jax.lax.pmean((found, told), PAIRS) if devices > 1 else (found, told)

        if devices == 1:
            return jax.jit(gradients)
        given = (Of(), Of(), Of(PAIRS), Of(PAIRS), Of(PAIRS), Of())
        return jax.jit(jax.shard_map(gradients, mesh=mesh(), in_specs=given, out_specs=Of(), check_vma=False))

    def apply(state: State, found, rate) -> State:
        updates, after = update.update(found, state.optimiser, state.parameters)
        return State(jax.tree.map(lambda p, u: p + rate * u, state.parameters, updates), after)

    return [make(size) for size in settings.sizes], jax.jit(apply, donate_argnums=0)


def _joined(gradients, apply) -> Step:
    def step(state: State, shelf: Shelf, a, b, related, number, rate):
        found, told = gradients(state.parameters, shelf, a, b, related, number)
        return apply(state, found, rate), told

    return step


def make_steps(shape: SphereShape, settings: Settings) -> list[Step]:
    """For each kind of batch the step:
    (state, shelf, a, b, related, number, share of the highest rate) -> (state, told).

    Raises:
        InputError: a batch cannot be shared evenly by the devices.
    """
    parts, apply = _parts(shape, settings)
    return [_joined(part, apply) for part in parts]


def compiled(shape: SphereShape, settings: Settings, state: State, shelf: Shelf) -> list[Step]:
    """`make_steps`, compiled side by side beforehand; shelf may be that of `shelf_like`."""
    parts, apply = _parts(shape, settings)
    split = NamedSharding(mesh(), Of(PAIRS))

    def one(part, pairs: int):
        kinds = (np.int32, np.int32, np.float32)
        batch = [jax.ShapeDtypeStruct((pairs,), kind, sharding=split) for kind in kinds]
        return part.lower(state.parameters, shelf, *batch, np.int32(0)).compile()

    with ThreadPoolExecutor() as pool:
        made = [pool.submit(one, part, size[2]) for part, size in zip(parts, settings.sizes, strict=True)]
        applied = pool.submit(lambda: apply.lower(state, state.parameters, np.float32(1)).compile())
        return [_joined(each.result(), applied.result()) for each in made]


def seconds_of(steps: list[Step], state: State, shelf: Shelf, sampler: Sampler, repeats: int = 4) -> float:
    """Seconds of a step, the mean over kinds of batches, on a copy of the state that is thrown away."""
    state, spent = jax.tree.map(lambda leaf: leaf.copy(), state), 0.0
    for size, chance in sampler.chances.items():
        for number in range(repeats + 1):
            if number == 1:
                jax.block_until_ready(state)
                begun = time.monotonic()
            batch = sampler.batch(number, size)[1:]
            state, _ = steps[size](state, shelf, *batch, np.int32(number), np.float32(0.01))
        jax.block_until_ready(state)
        spent += chance * (time.monotonic() - begun) / repeats
    return spent


def make_embed(shape: SphereShape, settings: Settings, places: int, batch: int = 512):
    """The function (parameters, shelf, texts) -> float32 [N, E], pre-norm, of texts cut to `places` patches."""

    @jax.jit
    def some(parameters, shelf, texts):
        words, (windows,) = windows_of(shelf, (texts,), (places,), min(settings.words, batch * places))
        vectors = sphere.word_vectors(parameters, words)
        return sphere.forward(parameters, shape, words, vectors, windows).passages

    def embed(parameters, shelf: Shelf, texts: np.ndarray) -> np.ndarray:
        padded = np.resize(np.asarray(texts, np.int32), -(-len(texts) // batch) * batch)
        parts = [
            np.asarray(some(parameters, shelf, padded[i : i + batch])) for i in range(0, len(padded), batch)
        ]
        return np.concatenate(parts)[: len(texts)]

    return embed


def own_vectors(embed, parameters, library: Library, texts: np.ndarray) -> np.ndarray:
    """float16 [N, E], unit rows: where texts lie before any training; an empty text gets zeros.

    Args:
        embed: of `make_embed`.
    """
    nobody = np.full(len(library.begins) - 1, -1, np.int32)
    width = parameters["raw"].shape[-1]
    shelf = shelve(library, nobody, np.zeros((1, width), np.float16))
    rows = embed(parameters, shelf, texts)
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float16)


def judge(
    embed, parameters, shelf: Shelf, a: np.ndarray, b: np.ndarray, taught: np.ndarray, teacher
) -> dict[str, float]:
    """Of held-out pairs: how often b is a's nearest of all b, and the mean cosine to the teacher."""
    za, zb = (np.asarray(embed(parameters, shelf, texts), np.float64) for texts in (a, b))
    za, zb = (z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12) for z in (za, zb))
    found = (za @ zb.T).argmax(1) == np.arange(len(a))
    told = {"recall@1": float(found.mean())}
    cosines = [
        np.sum(z[taught[texts] >= 0] * teacher[taught[texts][taught[texts] >= 0]].astype(np.float64), 1)
        for z, texts in ((za, a), (zb, b))
    ]
    cosine = np.concatenate(cosines)
    return told | {"teacher cosine": float(cosine.mean())} if len(cosine) else told
