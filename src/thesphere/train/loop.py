"""The training of the small byte model: state -> step -> log -> checkpoint, resumable, in JAX and optax.

Lanes read the packed corpora on and on (train/lanes.py); each step takes the next window of every lane, and the
recurrent states are carried from window to window, gradients cut between them. Matrices are trained by Muon,
everything else by Adam; the rate follows a cosine after a short rise. Only the seed and the number of steps
matter for the result, apart from the order of sums on the device.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file

from thesphere.errors import FormatError, InputError, MissingExtra
from thesphere.nn import gated
from thesphere.nn.recurrent import forward, init
from thesphere.nn.shape import TABLES, Shape
from thesphere.train.lanes import Described, judging_lanes, training_lanes

try:
    import jax
    import jax.numpy as jnp
    import optax
except ImportError:
    raise MissingExtra("the training of byte models", "jax") from None

LOG_STEPS, SAVE_STEPS = 250, 2500


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        steps: of lanes x window bytes each.
        rate, table_rate: highest learning rates of matrices (Muon) and of the rest (Adam).
        rise: steps until the highest rate.
        floor: share of the highest rate that is left at the end.
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


def to_device(text: Described) -> Text:
    """The arrays of `text`, as the device holds them."""
    return Text(*map(jnp.asarray, (text.byte, text.known, text.expected, text.second)))


def _optimiser(settings: Settings) -> optax.GradientTransformation:
    """Updates for a rate of 1; the schedule multiplies them."""

    def label(parameters):
        return {name: "matrix" if _is_matrix(name) else "rest" for name in parameters}

    muon = optax.contrib.muon(settings.rate, beta=0.95, consistent_rms=0.2, adam_b2=0.99)
    adam = optax.adam(settings.table_rate, b1=0.9, b2=0.99, eps=1e-10)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.partition({"matrix": muon, "rest": adam}, label))


def _is_matrix(name: str) -> bool:
    return name in ("input", "output") or name.endswith((".in", ".out"))


def begin(shape: Shape, settings: Settings) -> State:
    """The state before the first step."""
    parameters = jax.tree.map(jnp.asarray, init(shape, settings.seed))
    states = jnp.zeros((shape.blocks, settings.lanes, shape.width))
    return State(parameters, _optimiser(settings).init(parameters), states, jnp.zeros((), jnp.int32))


def schedule(settings: Settings, step: int) -> np.float32:
    """The share of the highest rate at `step`."""
    cosine = settings.floor + (1 - settings.floor) * 0.5 * (1 + np.cos(np.pi * min(step / settings.steps, 1)))
    return np.float32(cosine * min(1.0, (step + 1) / settings.rise))


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
    first, start, size = map(jnp.asarray, training_lanes(sizes, shares, settings.lanes))
    optimiser = _optimiser(settings)
    mix = gated.by_kernel if settings.kernel else gated.by_scan

    def loss_of(parameters, states, given: Text, target):
        logits, states = forward(parameters, shape, *given, states, jnp.bfloat16, mix)
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, target.astype(jnp.int32))
        asked = (target != 0).astype(jnp.float32)
        return jnp.sum(nats * asked) / jnp.maximum(jnp.sum(asked), 1), states

    def step(state: State, text: Text, rate):
        offsets = (first + state.step * settings.window % size) % size  # window * steps stays below 2 ** 31
        at = (offsets[:, None] + jnp.arange(settings.window + 1)) % size[:, None] + start[:, None]
        given = _take(text, at[:, :-1])
        target = jnp.take(text.byte, at[:, 1:])
        (loss, states), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            state.parameters, state.states, given, target
        )
        updates, optimiser_state = optimiser.update(gradients, state.optimiser, state.parameters)
        parameters = jax.tree.map(lambda p, u: p + rate * u, state.parameters, updates)
        return State(parameters, optimiser_state, states, state.step + 1), loss

    return jax.jit(step, donate_argnums=0)


def train(
    state: State,
    step: Step,
    text: Text,
    settings: Settings,
    *,
    log: Callable[[str], None],
    checkpoint: Path | None = None,
) -> tuple[State, list[tuple[int, float]]]:
    """Steps until `settings.steps` are done.

    Args:
        state: of `begin`, or of `resume`; used up.
        step: of `make_step`.
        log: gets a line every LOG_STEPS.
        checkpoint: written every SAVE_STEPS and at the end; None: not at all.

    Returns:
        (the last state, the curve: step and mean bits per byte since the last entry).

    Raises:
        InputError: the loss is no longer finite.
    """
    began, curve, losses = time.monotonic(), [], []
    at, spent = int(state.step), 0.0
    while at < settings.steps:
        state, loss = step(state, text, schedule(settings, at))
        losses.append(loss)
        at += 1
        if at % LOG_STEPS == 0 or at == settings.steps:
            bits = float(jnp.stack(losses).mean()) / np.log(2)
            if not np.isfinite(bits):
                raise InputError(f"the loss is {bits} at step {at}: lower the rate")
            before, spent = spent, time.monotonic() - began
            pace = len(losses) * settings.lanes * settings.window / (spent - before) / 1e6
            log(f"step {at:,}/{settings.steps:,}  {bits:.4f} bits/byte  {pace:.2f} MB/s  {spent:.0f} s")
            curve.append((at, bits))
            losses = []
        if checkpoint and (at % SAVE_STEPS == 0 or at == settings.steps):
            save(checkpoint, state)
    return state, curve


@partial(jax.jit, static_argnums=(1, 2, 3))
def _judge(parameters, shape, groups, mix, text, states, at, group):
    """Summed nats and bytes of each group over one chunk of the lanes, and the states after it."""
    target = jnp.take(text.byte, at + 1)
    logits, states = forward(parameters, shape, *_take(text, jnp.maximum(at, 0)), states, mix=mix)
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, target.astype(jnp.int32))
    asked = (target != 0) & (at >= 0)
    group = jnp.maximum(group, 0).ravel()
    sums = jax.ops.segment_sum(jnp.where(asked, nats, 0).ravel(), group, groups)
    return sums, jax.ops.segment_sum(asked.astype(jnp.float32).ravel(), group, groups), states


def judge(
    parameters: Any,
    shape: Shape,
    text: Text,
    begins: np.ndarray,
    group: np.ndarray,
    *,
    lanes: int = 64,
    chunk: int = 1024,
    kernel: bool = False,
) -> np.ndarray:
    """Bits per byte of each group of documents, every document read whole and by itself: float64 [groups].

    Args:
        begins: [documents + 1] where the zero byte before each document lies in `text`.
        group: int [documents].
        lanes, chunk: how many documents are read at a time, and bytes of each per call.
    """
    positions, groups = judging_lanes(begins, group, lanes, chunk)
    count = int(np.max(group)) + 1
    sums, sizes = np.zeros(count), np.zeros(count)
    states = jnp.zeros((shape.blocks, lanes, shape.width))
    mix = gated.by_kernel if kernel else gated.by_scan
    for at in range(0, positions.shape[1], chunk):
        here = slice(at, at + chunk)
        s, n, states = _judge(
            parameters, shape, count, mix, text, states, positions[:, here], groups[:, here]
        )
        sums, sizes = sums + np.asarray(s, np.float64), sizes + np.asarray(n, np.float64)
    return sums / np.log(2) / sizes


def save(path: str | Path, state: State) -> None:
    """Writes everything training needs to go on."""
    leaves = jax.tree.leaves(state)
    save_file({f"{i:04d}": np.asarray(leaf) for i, leaf in enumerate(leaves)}, str(path))


def resume(path: str | Path, like: State) -> State:
    """The state that `save` wrote, of the same shapes as `like`.

    Raises:
        FormatError: it is one of other shapes.
    """
    found, (leaves, tree) = load_file(str(path)), jax.tree.flatten(like)
    stored = [found.get(f"{i:04d}") for i in range(len(leaves))]
    if len(found) != len(leaves) or any(
        s is None or s.shape != leaf.shape or s.dtype != leaf.dtype
        for s, leaf in zip(stored, leaves, strict=True)
    ):
        raise FormatError(f"{path} is no checkpoint of this model and these settings: start anew")
    return jax.tree.unflatten(tree, [jnp.asarray(s) for s in stored])


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
