"""The published byte-latent entropy model in JAX: a transformer over bytes that looks back one window.

Pre-norm layers of attention and SwiGLU, root-mean-square norms with epsilon inside the root, rotary positions on
adjacent pairs, an untied head, no biases. A token attends to itself and the `window - 1` before it, as far as
they are of its document; an end-of-sequence token belongs to the document that it ends. Source: "Byte Latent
Transformer" (arXiv 2412.09871) and its public implementation.

Any length of input is read in chunks of whole windows. Two neighbouring windows hold every key that a token may
attend to, so that the keys and values of the last window are all that is carried from chunk to chunk, and one
chunk after another computes what a single pass would. Rotary positions count from the beginning of the window
before: attention depends on differences of positions alone, and small angles are exact where those of a
position in the millions are not.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from thesphere.errors import InputError, MissingExtra
from thesphere.nn.published import VOCABULARY, Settings

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise MissingExtra("A byte-latent entropy model", "jax") from None

EOS = 2
CHUNK = {"cpu": 512, "accelerator": 4096}  # about how many tokens are computed at once
Precision = Literal["float32", "bfloat16"]

_MATRICES = {
    "wq": "attention.wq", "wk": "attention.wk", "wv": "attention.wv", "wo": "attention.wo",
    "w1": "feed_forward.w1", "w2": "feed_forward.w2", "w3": "feed_forward.w3",
}  # fmt: skip


class State(NamedTuple):
    """What a chunk needs of those before it: keys and values [L, W, kv_heads, head_dim], without positions; the
    document [W] of each, -1 where there was no token; and the document of the next token."""

    keys: jax.Array
    values: jax.Array
    documents: jax.Array
    document: jax.Array


class ModelOutput(NamedTuple):
    """What the network says after each token; float32.

    logits [S, 260]; pre_norm_embeddings [S, D], the residual stream after the last layer and before the last
    norm; embedding_norms [S], their lengths ("prominence"); entropies [S], nats, of the next token;
    coherence_scores [S], norm^2 / (entropy + 1e-6).
    """

    logits: np.ndarray
    pre_norm_embeddings: np.ndarray
    embedding_norms: np.ndarray
    entropies: np.ndarray
    coherence_scores: np.ndarray


class Transformer:
    """The network with its weights, on JAX's default device.

    Args:
        settings: its sizes.
        tensors: float32, as `Settings.tensors` lists them.
        precision: of weights and of the factors of products; sums, norms and entropies are float32 in any case.
        chunk: tokens that are computed at once, rounded up to whole windows; None: what suits the device. No
            result depends on it by more than rounding.

    Raises:
        InputError: an unknown precision.
    """

    def __init__(
        self,
        settings: Settings,
        tensors: Mapping[str, np.ndarray],
        precision: Precision = "float32",
        chunk: int | None = None,
    ) -> None:
        if precision not in ("float32", "bfloat16"):
            raise InputError(f"precision is {precision!r}; choose float32 or bfloat16")
        self.settings = settings
        if chunk is None:
            chunk = CHUNK["cpu" if jax.default_backend() == "cpu" else "accelerator"]
        self.chunk = -(-chunk // settings.window) * settings.window
        self._weights = _arranged(settings, tensors, precision)

    def fresh(self) -> State:
        """The state before the first token."""
        s = self.settings
        empty = jnp.zeros((s.layers, s.window, s.kv_heads, s.head_dim), jnp.float32)
        return State(empty, empty, jnp.full(s.window, -1, jnp.int32), jnp.int32(0))

    def forward_with_embeddings(self, tokens: np.ndarray) -> ModelOutput:
        """All that the network says of tokens [S], or of rows of tokens [N, S] that do not see each other.

        Returns:
            The outputs with the axes of `tokens` in front.

        Raises:
            InputError: not whole numbers from 0 to 259, or of another shape.
        """
        tokens = checked_tokens(tokens)
        if tokens.ndim == 2:
            rows = [self.forward_with_embeddings(row) for row in tokens]
            if rows:
                return ModelOutput(*(np.stack(parts) for parts in zip(*rows, strict=True)))
            alone = self.forward_with_embeddings(tokens.reshape(-1))
            return ModelOutput(*(part.reshape(0, tokens.shape[1], *part.shape[1:]) for part in alone))
        parts, state = [], self.fresh()
        for piece, size in self._pieces(tokens):
            state, out = _whole(self.settings, self._weights, state, piece)
            parts.append([np.asarray(each)[:size] for each in out])
        if not parts:
            widths = [(VOCABULARY,), (self.settings.dim,), (), (), ()]
            return ModelOutput(*(np.empty((0, *width), np.float32) for width in widths))
        return ModelOutput(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def judge(
        self, state: State, tokens: np.ndarray, following: np.ndarray
    ) -> tuple[State, np.ndarray, np.ndarray, np.ndarray]:
        """Read int32 tokens [T] on from `state`.

        Returns:
            The state after the last whole chunk; the tokens behind that, which are to be given again in front of
            those that follow; and float32 [T] each, nats: the entropies after each token, and -ln of the
            probability that each of `following` has there.
        """
        entropies, costs, whole, rest = [], [], state, tokens[:0]
        for (piece, size), (next_, _) in zip(self._pieces(tokens), self._pieces(following), strict=True):
            after, entropy, cost = _judged(self.settings, self._weights, whole, piece, next_)
            entropies.append((entropy, size))
            costs.append((cost, size))
            if size == self.chunk:
                whole = after
            else:
                rest = tokens[len(tokens) - size :]
        joined = [
            np.concatenate([np.zeros(0, np.float32), *(np.asarray(part)[:size] for part, size in parts)])
            for parts in (entropies, costs)  # only now is the device waited for
        ]
        return whole, rest, joined[0], joined[1]

    def _pieces(self, tokens: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """(chunk, tokens in it): the last one is filled up with zeros, which nothing before them can see."""
        for at in range(0, len(tokens), self.chunk):
            piece = tokens[at : at + self.chunk]
            yield np.pad(piece, (0, self.chunk - len(piece))), len(piece)


def checked_tokens(tokens: Any) -> np.ndarray:
    """int32 [S] or [N, S], each in [0, 260). Raises InputError."""
    array = np.asarray(tokens)
    if array.size == 0:
        array = array.astype(np.int32)
    if array.ndim not in (1, 2) or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"tokens are {array.dtype} {list(array.shape)}; whole numbers [S] or [N, S] expected"
        )
    if array.size and (array.min() < 0 or array.max() >= VOCABULARY):
        raise InputError(f"tokens lie in 0..{VOCABULARY - 1}, got {array.min()}..{array.max()}")
    return array.astype(np.int32)


def _arranged(settings: Settings, tensors: Mapping[str, np.ndarray], precision: Precision) -> dict[str, Any]:
    """Weights on the device: matrices [inputs, outputs], those of all layers in one array [L, ...]."""

    def stacked(name: str) -> np.ndarray:
        return np.stack([tensors[f"layers.{i}.{name}.weight"].T for i in range(settings.layers)])

    return {
        "layers": {short: jnp.asarray(stacked(name), precision) for short, name in _MATRICES.items()}
        | {name: jnp.asarray(stacked(name)) for name in ("attention_norm", "ffn_norm")},
        "embedding": jnp.asarray(tensors["tok_embeddings.weight"]),
        "norm": jnp.asarray(tensors["norm.weight"]),
        "output": jnp.asarray(tensors["output.weight"].T, precision),
    }


def _rotation(settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines, float32 [2 W, head_dim / 2], of the angles p * theta^(-2 i / head_dim)."""
    powers = np.arange(0, settings.head_dim, 2) / settings.head_dim
    angles = np.arange(2 * settings.window)[:, None] * settings.theta**-powers
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _rotate(x: jax.Array, cos: np.ndarray, sin: np.ndarray) -> jax.Array:
    """Adjacent pairs of x [..., T, H, head_dim] turned by the angles of their places [T, head_dim / 2]."""
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    even, odd, cos, sin = pairs[..., 0], pairs[..., 1], cos[:, None], sin[:, None]
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)


def _product(spelled: str, a: jax.Array, b: jax.Array, like: jax.Array) -> jax.Array:
    """einsum of factors in the weights' precision, summed in float32 (never in the GPU's shorter formats)."""
    return jnp.einsum(
        spelled, a.astype(like.dtype), b.astype(like.dtype),
        precision=jax.lax.Precision.HIGHEST, preferred_element_type=jnp.float32,
    )  # fmt: skip


def _normalised(x: jax.Array, gain: jax.Array, epsilon: float) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon) * gain


def _read(
    settings: Settings, weights: dict, state: State, tokens: jax.Array
) -> tuple[State, jax.Array, jax.Array]:
    """(state after, logits [C, 260], residual stream [C, D]) of one chunk of whole windows."""
    s, w = settings, settings.window
    cos, sin = _rotation(settings)
    ended = jnp.cumsum(tokens == EOS, dtype=jnp.int32)
    documents = jnp.concatenate([state.documents, state.document + ended - (tokens == EOS)])

    def neighbours(x: jax.Array) -> jax.Array:
        """[W + C, ...] as [C / W, 2 W, ...]: each window behind the one before it."""
        cut = x.reshape(-1, w, *x.shape[1:])
        return jnp.concatenate([cut[:-1], cut[1:]], axis=1)

    query, key = np.arange(w)[:, None] + w, np.arange(2 * w)
    own = documents[w:].reshape(-1, w, 1) == neighbours(documents)[:, None]
    visible = own & (key <= query) & (key > query - w)
    at_once = 1 if jax.default_backend() == "cpu" else s.kv_heads  # a head's scores fit a processor's cache

    def attend(given: tuple) -> jax.Array:
        """One head of keys [N, 2 W, d] and values, and those of queries [N, g, W, d] that use it."""
        q, k, v = given
        scores = _product("ngqd,nkd->ngqk", q, k, weights["output"]) * s.head_dim**-0.5
        shares = jax.nn.softmax(jnp.where(visible[:, None], scores, -jnp.inf), axis=-1)
        return _product("ngqk,nkd->ngqd", shares, v, weights["output"])

    def layer(h: jax.Array, given: tuple) -> tuple[jax.Array, tuple]:
        p, keys, values = given
        u = _normalised(h, p["attention_norm"], s.epsilon)
        q, k, v = (_product("cd,de->ce", u, p[name], p[name]) for name in ("wq", "wk", "wv"))
        keys, values = (
            jnp.concatenate([before, new.reshape(-1, s.kv_heads, s.head_dim)])
            for before, new in ((keys, k), (values, v))
        )
        q = _rotate(q.reshape(-1, w, s.heads, s.head_dim), cos[w:], sin[w:])
        q = q.reshape(-1, w, s.kv_heads, s.heads // s.kv_heads, s.head_dim).transpose(2, 0, 3, 1, 4)
        near = _rotate(neighbours(keys), cos, sin).transpose(2, 0, 1, 3)
        seen = neighbours(values).transpose(2, 0, 1, 3)
        mixed = jax.lax.map(attend, (q, near, seen), batch_size=at_once).transpose(1, 3, 0, 2, 4)
        h = h + _product("cd,de->ce", mixed.reshape(h.shape), p["wo"], p["wo"])
        u = _normalised(h, p["ffn_norm"], s.epsilon)
        gate, up = (_product("cd,de->ce", u, p[name], p[name]) for name in ("w1", "w3"))
        h = h + _product("cd,de->ce", jax.nn.silu(gate) * up, p["w2"], p["w2"])
        return h, (keys[-w:], values[-w:])

    h = weights["embedding"][tokens]
    h, (keys, values) = jax.lax.scan(layer, h, (weights["layers"], state.keys, state.values))
    normed = _normalised(h, weights["norm"], s.epsilon)
    logits = _product("cd,de->ce", normed, weights["output"], weights["output"])
    return State(keys, values, documents[-w:], state.document + ended[-1]), logits, h


def _entropies(logs: jax.Array) -> jax.Array:
    """Nats, in [0, ln 260]."""
    return jnp.clip(-jnp.sum(jnp.exp(logs) * logs, axis=-1), 0, np.log(VOCABULARY).astype(np.float32))


@partial(jax.jit, static_argnums=0)  # compiled once per settings, precision and chunk
def _whole(settings: Settings, weights: dict, state: State, tokens: jax.Array) -> tuple:
    """(state after, outputs in the order of `ModelOutput`) of one chunk."""
    state, logits, h = _read(settings, weights, state, tokens)
    entropies = _entropies(jax.nn.log_softmax(logits))
    squares = jnp.sum(h * h, axis=-1)
    return state, (logits, h, jnp.sqrt(squares), entropies, squares / (entropies + 1e-6))


@partial(jax.jit, static_argnums=0)
def _judged(
    settings: Settings, weights: dict, state: State, tokens: jax.Array, following: jax.Array
) -> tuple:
    """(state after, entropies, costs) of one chunk."""
    state, logits, _ = _read(settings, weights, state, tokens)
    logs = jax.nn.log_softmax(logits)
    costs = -jnp.take_along_axis(logs, following[:, None], axis=-1)[:, 0]
    return state, _entropies(logs), costs
