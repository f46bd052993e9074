"""The sphere encoders in JAX: what is trained, and the reference for their runtime in encoders/sphere.py.

    patch   x = input(words | grams / sqrt n) (1 + ln(1 + length) / 10)
            + sines of its place and of the shell of its rarity
    layer   attention whose heads share keys and values by cones and look no farther than their slope lets them,
            then relu(up)^2 down; or, in the light shape, a gated mix of a few neighbours
    passage sum of prominence x raw(h) over its patches, by their number: its norm tells how much they agree

The sizes follow the earlier system's embedding model, with these differences: normalisation before each half of a
layer and by the root mean square, no dropout, an aperture (slope of the distance) for each head instead of a bias
for each pair of places, padding that is really masked, positive unbounded prominence, and the shell hint given.
All matrix products are of 8-bit integers, in training as in use (`recurrent.product`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from thesphere.errors import MissingExtra
from thesphere.nn.sphere_shape import SphereShape, checked_sphere_shape, lengthening, places

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise MissingExtra("the training of encoders", "jax") from None

from thesphere.nn.recurrent import normalise, product, rows_of

_FAR = -1e9


class Words(NamedTuple):
    """The U distinct words of a batch.

    Attributes:
        word: int32 [U, 2], rows of the table.
        gram: int32 [U, G], rows of the table; -1 where there are fewer.
        size: int32 [U], characters.
        hint: int32 [U], shell of the word's rarity.
    """

    word: Any
    gram: Any
    size: Any
    hint: Any


class Windows(NamedTuple):
    """B windows of n places each, of which the first `count` are used.

    Attributes:
        distinct: int32 [B, n], which of `Words` each patch has.
        symbol: int32 [B, n], rows of the table.
        count: int32 [B].
    """

    distinct: Any
    symbol: Any
    count: Any


class Found(NamedTuple):
    """What the network makes of a batch, float32.

    Attributes:
        passages: [B, E], sums of prominence x raw over the patches of each window, by their number: pre-norm.
        h: [B, n, D], the last layer's output, normalised; `patch_embeddings`, `shells` and `cones` read it.
        prominence: [B, n] > 0; 0 at places that are not used.
    """

    passages: Any
    h: Any
    prominence: Any


def init(shape: SphereShape, seed: int) -> dict[str, Any]:
    """Fresh parameters, float32, by name; those of layers are stacked, matrices [inputs, outputs]."""
    rng = np.random.default_rng(seed)

    def matrix(name: str, sizes: tuple[int, int]) -> np.ndarray:
        gain = 1 / np.sqrt(2 * shape.layers) if name in ("out", "down") else 1.0
        return rng.normal(0, gain / np.sqrt(sizes[1]), sizes[::-1])

    made: dict[str, Any] = {"table": rng.normal(0, 0.15, (shape.rows.total, shape.table))}
    for name in ("input", "raw", "shells", "cones"):
        made[name] = matrix(name, shape.matrices()[name])
    made["input"] *= 3
    for name, sizes in shape.layer_matrices().items():
        made[f"layer.{name}"] = np.stack([matrix(name, sizes) for _ in range(shape.layers)])
    fresh = {
        "norm": np.ones(shape.width),
        "wide_norm": np.ones(shape.width),
        "slope": np.geomspace(0.5, 0.004, shape.heads) if shape.heads else np.zeros(0),
        "kernel": np.linspace(0.2, 0.2, shape.reach)[:, None] * np.ones(shape.width),
    }
    for name in shape.layer_vectors():
        made[f"layer.{name}"] = np.stack([fresh[name]] * shape.layers)
    made |= {"place": np.full(shape.width, 0.1), "norm": np.ones(shape.width)}
    made |= {"prominence": np.zeros(shape.width), "prominence.bias": np.full(1, np.log(np.e - 1))}
    made |= {"shells.bias": np.zeros(shape.shells), "cones.bias": np.zeros(shape.cones)}
    return {name: np.asarray(value, np.float32) for name, value in made.items()}


def stepped(w):
    """A matrix [inputs, outputs] on the steps that it is stored in; gradients pass unchanged."""
    step = jnp.maximum(jnp.max(jnp.abs(w), 0, keepdims=True), 1e-12) / 127
    return w + jax.lax.stop_gradient(jnp.round(w / step) * step - w)


def _layer_product(x, w, dtype):
    """`product`; in bfloat16 with both sides rounded to their steps first, so that nothing wide is written."""
    return product(x, w, dtype) if dtype == jnp.float32 else _quick_product(x.astype(dtype), w)


@jax.custom_vjp
def _quick_product(x, w):
    return _quick_forward(x, w)[0]


def _quick_forward(x, w):
    wide = x.astype(jnp.float32)
    step = jnp.maximum(jnp.max(jnp.abs(wide), -1, keepdims=True), 1e-12) / 127
    x = (jnp.round(wide / step) * step).astype(x.dtype)
    w = stepped(w).astype(x.dtype)
    return jnp.matmul(x, w), (x, w)


def _quick_backward(saved, g):
    x, w = saved
    rows, columns = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    return jnp.matmul(g, w.T), jnp.matmul(rows.T, columns, preferred_element_type=jnp.float32)


_quick_product.defvjp(_quick_forward, _quick_backward)


def _on_grid(rows):
    """Rows of the table on the grid of 1/127 in [-1, 1] that they are stored on; gradients pass unchanged."""
    return rows + jax.lax.stop_gradient(jnp.round(jnp.clip(rows, -1, 1) * 127) / 127 - rows)


def _rows(table, index, kernel):
    """Rows of the table [..., W] of int32 [...]; the number of indices is a multiple of 32 if `kernel`."""
    flat: Any = rows_of(table, index.reshape(-1), kernel)
    return _on_grid(flat.reshape(*index.shape, table.shape[1]))


def word_vectors(parameters, words: Words, known=1.0, kernel: bool = False):
    """What the table says of each word, float32 [U, 2 W]: its own rows' sum, and its grams'.

    Args:
        known: 0 for words whose own rows are not to be used, else 1: [U] or one for all.
        kernel: gradients of the table by `gated.add_rows` (Nvidia GPUs).
    """
    used = words.gram >= 0
    grams = jnp.sum(_rows(parameters["table"], jnp.maximum(words.gram, 0), kernel) * used[..., None], 1)
    grams /= jnp.sqrt(jnp.maximum(jnp.sum(used, 1, keepdims=True), 1).astype(jnp.float32))
    own = jnp.sum(_rows(parameters["table"], words.word, kernel), 1) * jnp.reshape(known, (-1, 1))
    return jnp.concatenate([own, grams], 1)


def embed(
    parameters,
    shape: SphereShape,
    words: Words,
    vectors,
    windows: Windows,
    dtype=jnp.float32,
    kernel: bool = False,
):
    """The first layer's input, float32 [B, n, D]; the arguments are those of `forward`."""
    distinct, n = windows.distinct, windows.distinct.shape[1]
    flat: Any = rows_of(vectors, distinct.reshape(-1), kernel)
    both = flat.reshape(*distinct.shape, -1)
    symbols = _rows(parameters["table"], windows.symbol, kernel)
    both += jnp.concatenate([symbols, jnp.zeros_like(symbols)], -1)
    mixed: Any = _layer_product(both, parameters["input"], dtype)
    x = mixed * jnp.take(lengthening(), words.size, 0)[distinct][..., None]
    place, shell = places(shape)
    place = jnp.broadcast_to(place[:n], (*distinct.shape, shape.width // 2))
    shell = jnp.take(shell, words.hint, 0)[distinct]
    return x + parameters["place"] * jnp.concatenate([place, shell], -1)


def _attend(z, slope, used, shape: SphereShape, dtype):
    """Attention of all heads, [B, n, D]; z [B, n, D + 2 keys]: queries, keys, values."""
    batch, n = used.shape
    per = shape.heads // shape.cones
    keys = shape.cones * shape.head
    q = z[..., : shape.width].reshape(batch, n, shape.cones, per, shape.head)
    k = z[..., shape.width : -keys].reshape(batch, n, shape.cones, shape.head)
    v = z[..., -keys:].reshape(batch, n, shape.cones, shape.head)
    logits = jnp.einsum("bicpd,bjcd->bcpij", q, k, preferred_element_type=dtype)
    logits = logits.astype(jnp.float32) / np.sqrt(shape.head)
    distance = jnp.abs(jnp.arange(n)[:, None] - jnp.arange(n)).astype(jnp.float32)
    logits -= slope.reshape(shape.cones, per, 1, 1) * distance
    logits = jnp.where(used[:, None, None, None], logits, _FAR)
    weights = jax.nn.softmax(logits).astype(dtype)
    return jnp.einsum("bcpij,bjcd->bicpd", weights, v).reshape(batch, n, shape.width)


def _cone_layer(x, w, used, shape: SphereShape, dtype):
    z = _layer_product(normalise(x, w["norm"]), w["attend"], dtype)
    x = x + _layer_product(_attend(z, jnp.abs(w["slope"]), used, shape, dtype), w["out"], dtype)
    wide: Any = _layer_product(normalise(x, w["wide_norm"]), w["up"], dtype)
    return x + _layer_product(jnp.square(jax.nn.relu(wide)), w["down"], dtype)


def _gated_layer(x, w, used, shape: SphereShape, dtype):
    z: Any = _layer_product(normalise(x, w["norm"]), w["in"], dtype)
    value, gate = jnp.split(z, 2, -1)
    n, half = x.shape[1], shape.reach // 2
    value = jnp.pad(jnp.where(used[..., None], value, 0), ((0, 0), (half, half), (0, 0)))
    mixed = sum(w["kernel"][t] * value[:, t : t + n] for t in range(shape.reach))
    return x + _layer_product(mixed * jax.nn.silu(gate), w["out"], dtype)


def forward(
    parameters,
    shape: SphereShape,
    words: Words,
    vectors,
    windows: Windows,
    dtype=jnp.float32,
    kernel: bool = False,
) -> Found:
    """Passages and what their patches contribute.

    Args:
        vectors: of `word_vectors`.
        dtype: of what is kept between products; bfloat16 halves the traffic of training.
        kernel: use `gated.add_rows` for gradients of rows (Nvidia GPUs).
    """
    x = embed(parameters, shape, words, vectors, windows, dtype, kernel)
    used = jnp.arange(x.shape[1]) < windows.count[:, None]
    layer = _cone_layer if shape.heads else _gated_layer
    stacked = {name[6:]: value for name, value in parameters.items() if name.startswith("layer.")}

    def step(x, w):
        return layer(x, w, used, shape, dtype), None

    x = jax.lax.scan(step, x, stacked)[0]
    h = normalise(x, parameters["norm"])
    prominence = jax.nn.softplus(h @ parameters["prominence"] + parameters["prominence.bias"]) * used
    pooled = jnp.einsum("bn,bnd->bd", prominence, h) / jnp.maximum(windows.count, 1)[:, None]
    return Found(pooled @ stepped(parameters["raw"]), h, prominence)


def patch_embeddings(parameters, found: Found):
    """Pre-norm embeddings of the patches, float32 [B, n, E]; their mean over used places is the passage's."""
    return found.prominence[..., None] * product(found.h, parameters["raw"])


def shells(parameters, found: Found):
    """Logits of the shell distribution of each patch, float32 [B, n, shells]."""
    return product(found.h, parameters["shells"]) + parameters["shells.bias"]


def cones(parameters, found: Found):
    """Logits of the cone affinity of each patch, float32 [B, n, cones]."""
    return product(found.h, parameters["cones"]) + parameters["cones.bias"]


def quantised(parameters, shape: SphereShape, rarity: np.ndarray) -> dict[str, np.ndarray]:
    """The tensors of the file (`SphereShape.tensors`).

    Args:
        rarity: [rows.words] the shell hint of each row of the word region.
    """
    flat = {name: np.asarray(value, np.float32) for name, value in parameters.items()}
    for layer in range(shape.layers):
        for name in [name for name in flat if name.startswith("layer.")]:
            flat[f"{layer}.{name[6:]}"] = flat[name][layer]
    made = {
        "rows": np.array(shape.rows, np.int64),
        "table": np.round(np.clip(flat["table"], -1, 1) * np.float32(127)).astype(np.int8),
        "rarity": np.asarray(rarity, np.uint8),
    }
    for name in shape.matrices():
        scale = np.maximum(np.abs(flat[name]).max(0), np.float32(1e-12)) / np.float32(127)
        made[name] = np.ascontiguousarray(np.round(flat[name] / scale).astype(np.int8).T)
        made[name + ".scale"] = scale.astype(np.float32)
    made |= {name: np.abs(flat[name]) if name.endswith("slope") else flat[name] for name in shape.vectors()}
    return made


def parameters_of(tensors: Mapping[str, np.ndarray]) -> tuple[SphereShape, dict[str, Any], np.ndarray]:
    """(shape, parameters for `forward` or for training on, rarity) of a file's tensors.

    Raises:
        FormatError: they are not those of a sphere encoder.
    """
    shape = checked_sphere_shape(tensors, "the weights")
    flat = {name: tensors[name].T * tensors[f"{name}.scale"] for name in shape.matrices()}
    flat |= {name: tensors[name] for name in shape.vectors()}
    made: dict[str, Any] = {name: value for name, value in flat.items() if not name[0].isdigit()}
    for name in (*shape.layer_matrices(), *shape.layer_vectors()):
        made[f"layer.{name}"] = np.stack([flat[f"{layer}.{name}"] for layer in range(shape.layers)])
    made["table"] = tensors["table"].astype(np.float32) / 127
    return shape, made, tensors["rarity"]
