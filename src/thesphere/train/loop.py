"""The steps by which byte models are trained, in JAX and optax; train/run.py takes them one after the other.

Lanes read the packed corpora on and on (train/lanes.py); each step takes the next window of every lane, and the
recurrent states are carried from window to window, gradients cut between them. Matrices are trained by Muon,
everything else by Adam; the rate follows a cosine after a short rise. The settings make the result, apart from
the order of sums on the devices. Text that is read many times is learnt by heart: matrices may decay against it.

All devices that JAX sees take part: each reads its own lanes of the same text and adds its gradients to those of
the others, so that every one of them holds the same parameters after every step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from thesphere.errors import InputError, MissingExtra
from thesphere.nn import gated
from thesphere.nn.recurrent import forward, init
from thesphere.nn.shape import TABLES, Shape
from thesphere.runtime import precision_of
from thesphere.train.lanes import Described, training_lanes

try:
    import jax
    import jax.numpy as jnp
    import optax
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as Of
except ImportError:
    raise MissingExtra("the training of byte models", "jax") from None

LANES = "lanes"  # the one axis along which devices share the work
SAME, OWN_LANES, OWN_STATES = Of(), Of(LANES), Of(None, LANES)


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        steps: of lanes x window bytes each.
        lanes: documents read side by side, a multiple of the number of devices.
        rate, table_rate: highest learning rates of matrices (Muon) and of the rest (Adam).
        rise: steps until the highest rate.
        floor: share of the highest rate that is left at the end.
        decay: of the matrices, times the rate, at each step.
        seed: of the first parameters, the only random numbers of training.
        kernel: use the Pallas kernel (Nvidia GPUs) instead of the scan.
    """

    steps: int
    lanes: int = 256
    window: int = 512
    rate: float = 0.01
    table_rate: float = 0.004
    rise: int = 300
    floor: float = 0.02
    decay: float = 0.0
    seed: int = 0
    kernel: bool = False


class State(NamedTuple):
    """All that training carries from step to step."""

    parameters: Any
    optimiser: Any
    states: jax.Array  # [blocks, lanes, width]
    step: jax.Array


class Text(NamedTuple):
    """A described text on the device."""

    byte: jax.Array
    known: jax.Array
    expected: jax.Array
    second: jax.Array


Step = Callable[[State, Text, np.float32], tuple[State, jax.Array]]


def mesh() -> Mesh:
    """All devices, in one row."""
    return Mesh(np.array(jax.devices()), (LANES,))


def _place(array, kind: Of) -> jax.Array:
    return jax.device_put(array, NamedSharding(mesh(), kind))


def to_device(text: Described) -> Text:
    """The arrays of `text`, as every device holds them."""
    arrays = (text.byte, text.known, text.expected, text.second)
    return Text(*(_place(array, SAME) for array in arrays))


def _shared(work: Callable, given: tuple, made: tuple) -> Callable:
    """`work` on every device, on its own lanes; given, made: how arguments and results lie on the devices."""
    return jax.shard_map(work, mesh=mesh(), in_specs=given, out_specs=made, check_vma=False)


def _optimiser(settings: Settings) -> optax.GradientTransformation:
    """Updates for a rate of 1; the schedule multiplies them."""

    def label(parameters):
        return {name: "matrix" if _is_matrix(name) else "rest" for name in parameters}

    muon = optax.contrib.muon(
        settings.rate, beta=0.95, consistent_rms=0.2, adam_b2=0.99, weight_decay=settings.decay
    )
    adam = optax.adam(settings.table_rate, b1=0.9, b2=0.99, eps=1e-10)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.partition({"matrix": muon, "rest": adam}, label))


def _is_matrix(name: str) -> bool:
    return name in ("input", "output") or name.endswith((".in", ".out"))


def begin(shape: Shape, settings: Settings) -> State:
    """The state before the first step.

    Raises:
        InputError: the devices cannot share the lanes evenly.
    """
    if settings.lanes % mesh().size:
        raise InputError(f"{settings.lanes} lanes cannot be shared by {mesh().size} devices: give a multiple")
    precise = precision_of("training")
    parameters = jax.tree.map(lambda value: jnp.asarray(value, precise), init(shape, settings.seed))
    states = jnp.zeros((shape.blocks, settings.lanes, shape.width))
    state = State(parameters, _optimiser(settings).init(parameters), states, jnp.zeros((), jnp.int32))
    return _placed(state)


def _placed(state: State) -> State:
    """`state` where the devices keep it."""
    same = jax.tree.map(lambda array: _place(array, SAME), state)
    return same._replace(states=_place(state.states, OWN_STATES))


def _take(text: Text, at: jax.Array) -> Text:
    """The text at the positions `at`."""
    return Text(*(jnp.take(part, at, 0) for part in text))


def make_step(shape: Shape, settings: Settings, sizes: list[int], shares: list[float]) -> Step:
    """The compiled step: (state, text, share of the highest rate) -> (state, mean nats per byte).

    Args:
        sizes, shares: of the parts of the text, which lie one after the other from its first byte on.

    Raises:
        InputError: more steps than positions can be counted for.
    """
    if settings.steps * settings.window >= 1 << 31:
        raise InputError(f"{settings.steps} steps of {settings.window} bytes: at most 2^31 bytes fit a lane")
    lanes = [_place(each, OWN_LANES) for each in training_lanes(sizes, shares, settings.lanes)]
    optimiser = _optimiser(settings)
    mix = gated.by_kernel if settings.kernel else gated.by_scan

    def loss_of(parameters, states, given: Text, target):
        """The own share of the mean over all devices' lanes."""
        logits, states = forward(parameters, shape, *given, states, jnp.bfloat16, mix)
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, target.astype(jnp.int32))
        asked = (target != 0).astype(jnp.float32)
        return jnp.sum(nats * asked) / jnp.maximum(jax.lax.psum(jnp.sum(asked), LANES), 1), states

    def own_lanes(parameters, states, number, text: Text, first, start, size):
        offsets = (first + number * settings.window % size) % size  # window * steps stays below 2 ** 31
        at = (offsets[:, None] + jnp.arange(settings.window + 1)) % size[:, None] + start[:, None]
        given = _take(text, at[:, :-1])
        target = jnp.take(text.byte, at[:, 1:])
        differentiated = jax.value_and_grad(loss_of, has_aux=True)
        (loss, states), gradients = differentiated(parameters, states, given, target)
        return *jax.lax.psum((loss, gradients), LANES), states

    kinds = (SAME, OWN_STATES, SAME, SAME, *[OWN_LANES] * len(lanes))
    differentiate = _shared(own_lanes, kinds, (SAME, SAME, OWN_STATES))

    def step(state: State, text: Text, rate):
        loss, gradients, states = differentiate(state.parameters, state.states, state.step, text, *lanes)
        updates, optimiser_state = optimiser.update(gradients, state.optimiser, state.parameters)
        parameters = jax.tree.map(lambda p, u: p + rate * u, state.parameters, updates)
        return State(parameters, optimiser_state, states, state.step + 1), loss

    return jax.jit(step, donate_argnums=0)


def quantised(parameters, keys: np.ndarray, begins: np.ndarray) -> dict[str, np.ndarray]:
    """The tensors of the file (`Shape.tensors`); keys, begins: of `lanes.choose_contexts`."""
    made = {"keys": keys.astype(np.uint32), "begins": np.asarray(begins, np.int64)}
    for name, value in parameters.items():
        value = np.asarray(value, np.float32)
        if name in TABLES:
            made[name] = np.round(np.clip(value, -1, 1) * np.float32(127)).astype(np.int8)
        elif _is_matrix(name):
            scale = np.maximum(np.abs(value).max(0), np.float32(1e-12)) / np.float32(127)
            made[name] = np.ascontiguousarray(np.round(value / scale).astype(np.int8).T)
            made[name + ".scale"] = scale.astype(np.float32)
        else:
            made[name] = value
    return made
