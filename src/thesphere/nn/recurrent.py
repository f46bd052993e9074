"""The byte models in JAX: what is trained, and the reference for their runtime in patches/recurrent.py.

Embeddings of the contexts (nn/contexts.py) are laid side by side and mixed by one matrix into a residual
stream. Each block normalises it and runs a gated linear recurrence (minimal gated unit: the gate depends on
the input only, so training is a parallel scan and inference one multiply-add per channel); then the next
byte's logits. All matrix products are of 8-bit integers: per-row scales for activations, per-column ones for
weights, in training as in use (straight-through gradients), so nothing is lost when the weights are stored.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from thesphere.errors import MissingExtra
from thesphere.nn import gated
from thesphere.nn.contexts import KNOWN, SEEN, STATES
from thesphere.nn.shape import (
    BYTE_WIDTH,
    INPUT,
    KNOWN_WIDTH,
    SECOND_WIDTH,
    SEEN_WIDTH,
    TABLES,
    Shape,
    checked_shape,
)

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise MissingExtra("the training of byte models", "jax") from None

EPSILON = 1e-6


def init(shape: Shape, seed: int) -> dict[str, Any]:
    """Fresh parameters, float32, by name."""
    rng = np.random.default_rng(seed)
    d = shape.width

    def matrix(fan_in: int, fan_out: int, gain: float = 1.0):
        return rng.normal(0, gain / np.sqrt(fan_in), (fan_in, fan_out)).astype(np.float32)

    def table(rows: int, width: int):
        return rng.normal(0, 0.15, (rows, width)).astype(np.float32)

    made = {
        "byte": table(256, BYTE_WIDTH),
        "known": table(sum(shape.rows) + KNOWN, KNOWN_WIDTH),
        "seen": table(SEEN * STATES * 256, SEEN_WIDTH),
        "second": table(SEEN * 256, SECOND_WIDTH),
        "input": matrix(INPUT, d, 3.0),
        "norm": np.ones(d, np.float32),
        "output": matrix(d, 256),
        "bias": np.zeros(256, np.float32),
    }
    keep = np.log(np.geomspace(1.0, 300.0, d))  # logit of the gate: memories of 2 to 300 bytes
    for b in range(shape.blocks):
        made[f"{b}.norm"] = np.ones(d, np.float32)
        made[f"{b}.in"] = matrix(d, 3 * d)
        made[f"{b}.gate"] = rng.permutation(keep).astype(np.float32)
        made[f"{b}.out"] = matrix(d, d, 1 / np.sqrt(2 * shape.blocks))
    return made


def parameters_of(tensors: Mapping[str, np.ndarray]) -> tuple[Shape, dict[str, Any]]:
    """The network of a file's tensors (`Shape.tensors`), for `forward` or for training on.

    Raises:
        FormatError: they are not those of a byte model.
    """
    shape = checked_shape(tensors, "the weights")
    made = {name: tensors[name].astype(np.float32) / 127 for name in TABLES}
    for name in shape.matrices():
        made[name] = tensors[name].T * tensors[f"{name}.scale"]
    made |= {name: tensors[name] for name in tensors if name.endswith(("norm", "gate")) or name == "bias"}
    return shape, made


def _levels(x, axis):
    """x in whole steps of -127 to 127 along `axis`, and the step."""
    scale = jnp.maximum(jnp.max(jnp.abs(x), axis, keepdims=True), 1e-12) / 127
    return jnp.round(x / scale), scale


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def product(x, w, dtype=jnp.float32):
    """x [..., I] @ w [I, O] through 8-bit integers, each row of x and column of w with a step of its own.

    Integers up to 127 are exact in bfloat16, their sums in float32. Gradients are those of the plain product.
    """
    (xq, xs), (wq, ws) = _levels(x.astype(jnp.float32), -1), _levels(w, 0)
    sums = jnp.matmul(xq.astype(jnp.bfloat16), wq.astype(jnp.bfloat16), preferred_element_type=jnp.float32)
    return (sums * xs * ws).astype(dtype)


def _product_forward(x, w, dtype):
    return product(x, w, dtype), (x, w)


def _product_backward(dtype, saved, g):
    x, w = saved
    g = g.astype(jnp.bfloat16)
    dx = jnp.matmul(g, w.T.astype(jnp.bfloat16), preferred_element_type=jnp.float32).astype(x.dtype)
    rows, columns = x.reshape(-1, x.shape[-1]).astype(jnp.bfloat16), g.reshape(-1, g.shape[-1])
    return dx, jnp.matmul(rows.T, columns, preferred_element_type=jnp.float32)


product.defvjp(_product_forward, _product_backward)


def normalise(x, gain):
    """x over its root mean square, times `gain`."""
    return x * (jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + EPSILON) * gain)


def _grid(table):
    """Table entries on the grid of 1/127 in [-1, 1] that they are stored on; gradients pass unchanged."""
    return table + jax.lax.stop_gradient(jnp.round(jnp.clip(table, -1, 1) * 127) / 127 - table)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def rows_of(table, index, kernel=False):
    """table[index]; `kernel`: the gradient's sums by `gated.add_rows`.

    Left to XLA, those sums are fused with the slices that feed them and take 40 times as long as all the rest
    of a step on an H200.
    """
    return jnp.take(table, index, 0)


def _rows_of_forward(table, index, kernel):
    return rows_of(table, index), (index, table.shape)


def _rows_of_backward(kernel, saved, g):
    index, shape = saved
    index, g = jax.lax.optimization_barrier((index.ravel(), g.reshape(-1, shape[1])))
    if kernel:
        return gated.add_rows(index, g, shape[0]), None
    return jax.ops.segment_sum(g, index, shape[0]), None


rows_of.defvjp(_rows_of_forward, _rows_of_backward)


def embed(parameters, shape: Shape, byte, known, expected, second, kernel: bool = False):
    """The input row of each position, [..., INPUT]; arguments as of `forward`."""
    known = rows_of(parameters["known"], known.astype(jnp.int32) + shape.known_begins(), kernel)
    seen = rows_of(parameters["seen"], expected.astype(jnp.int32) + np.arange(SEEN) * STATES * 256, kernel)
    runner_up = rows_of(parameters["second"], second.astype(jnp.int32) + np.arange(SEEN) * 256, kernel)
    own = rows_of(parameters["byte"], byte.astype(jnp.int32), kernel)
    parts: list[Any] = [own, known, seen, runner_up]
    return _grid(jnp.concatenate([jnp.reshape(part, (*byte.shape, -1)) for part in parts], -1))


def forward(
    parameters, shape: Shape, byte, known, expected, second, states=None, dtype=jnp.float32, mix=gated.by_scan
):
    """Logits of the next byte.

    Args:
        byte: [B, T]; known [B, T, KNOWN], expected, second [B, T, SEEN]: what `contexts.Reader` tells.
        states: [blocks, B, width] carried from the bytes before; None: zeros.
        dtype: of what is kept between products; bfloat16 halves the traffic of training.
        mix: `gated.by_scan` or `gated.by_kernel`.

    Returns:
        (logits float32 [B, T, 256], the states after the last byte).
    """
    if states is None:
        states = jnp.zeros((shape.blocks, byte.shape[0], shape.width))
    rows = embed(parameters, shape, byte, known, expected, second, mix is gated.by_kernel)
    h = rows_product(rows, parameters["input"])
    alive = (byte != 0).astype(jnp.float32)
    after = []
    for b in range(shape.blocks):
        z = product(normalise(h, parameters[f"{b}.norm"]).astype(dtype), parameters[f"{b}.in"], dtype)
        y, last = mix(z, parameters[f"{b}.gate"], alive, states[b])
        after.append(last)
        h = h + product(y.astype(dtype), parameters[f"{b}.out"], dtype)
    logits = product(normalise(h, parameters["norm"]).astype(dtype), parameters["output"])
    return logits + parameters["bias"], jnp.stack(after)


@jax.custom_vjp
def rows_product(x, w):
    """As `product`, where x lies on the grid of 1/127 already."""
    wq, ws = _levels(w, 0)
    sums = jnp.matmul(
        jnp.round(x * 127).astype(jnp.bfloat16), wq.astype(jnp.bfloat16), preferred_element_type=jnp.float32
    )
    return sums * (ws / 127)


def _rows_forward(x, w):
    return rows_product(x, w), (x.astype(jnp.bfloat16), w)


rows_product.defvjp(_rows_forward, partial(_product_backward, jnp.float32))
