"""The forward pass of a BERT encoder (Devlin et al. 2019) in NumPy float32: token ids in, mean-pooled rows
out.

No padding: the tokens of many texts stand in one [T, width] array for everything but attention, and attention
takes the texts of equal length together. Work arrays are made once per call, since fresh pages cost as much
as sums.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from thesphere.errors import FormatError, InputError

BATCH = 1024  # tokens that pass through the layers together
ATTENTION = 16384  # token pairs whose attention weights are held at once, per head


@njit(cache=True, nogil=True, error_model="numpy")  # a check for division by zero would forbid vector code
def gelu_rows(x, bias):
    """x = gelu(x + bias) in place, gelu(v) = v / 2 * (1 + erf(v / sqrt 2)). x: float32 [T, W], bias: float32
    [W].

    erf(z) / z is a quotient of two polynomials in z^2, fitted by us on [0, 16] (error 5e-8; beyond it erf is
    1 in float32). Against float64 the result is within 3e-7 * |v|, the rounding of float32.
    """
    one, half, root = np.float32(1), np.float32(0.5), np.float32(0.70710678)
    for row in range(x.shape[0]):
        for k in range(x.shape[1]):
            v = x[row, k] + bias[k]
            z = v * root
            z = np.float32(4) if z > np.float32(4) else z
            z = np.float32(-4) if z < np.float32(-4) else z
            t = z * z
            up = np.float32(2.09186615e-06)
            up = up * t + np.float32(2.81969566e-04)
            up = up * t + np.float32(3.58646445e-03)
            up = up * t + np.float32(5.21723547e-02)
            up = up * t + np.float32(1.86043604e-01)
            up = up * t + np.float32(1.12837915)
            down = np.float32(3.83879527e-05)
            down = down * t + np.float32(1.12184251e-03)
            down = down * t + np.float32(1.45996007e-02)
            down = down * t + np.float32(1.12308196e-01)
            down = down * t + np.float32(4.98209820e-01)
            down = down * t + one
            x[row, k] = half * v * (one + z * up / down)


@dataclass(frozen=True, eq=False)
class Layer:
    """One transformer layer; matrices are [in, out], the query's are divided by sqrt(head width)."""

    qkv: np.ndarray
    qkv_bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray
    norm: tuple[np.ndarray, np.ndarray]
    up: np.ndarray
    up_bias: np.ndarray
    down: np.ndarray
    down_bias: np.ndarray
    last_norm: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Bert:
    """A BERT encoder without its pooler.

    Attributes:
        words: float32 [vocabulary, width].
        places: float32 [positions, width], the token type's row added.
        norm: gain and bias of the embeddings' layer norm.
        layers: from first to last.
        heads: attention heads.
        epsilon: of every layer norm.
    """

    words: np.ndarray
    places: np.ndarray
    norm: tuple[np.ndarray, np.ndarray]
    layers: tuple[Layer, ...]
    heads: int
    epsilon: float

    @property
    def width(self) -> int:
        """D, the number of columns."""
        return self.words.shape[1]

    def encode(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        """The mean over its tokens of each text's last hidden states: float32 [N, width], pre-norm.

        Args:
            tokens: one list of token ids per text, special ones included; an empty list gives a row of zeros.

        Returns:
            Texts are taken shortest first, `BATCH` tokens at a time. The batch that a text falls into may
            change the last bits of its row, as BLAS picks its kernels by the size of a product.

        Raises:
            InputError: a token outside the vocabulary or a text longer than the model has positions.
        """
        lengths = np.array([len(text) for text in tokens], np.int64)
        if len(lengths) and lengths.max() > len(self.places):
            raise InputError(
                f"a text has {lengths.max()} tokens; the model takes {len(self.places)}: truncate it"
            )
        rows = np.zeros((len(tokens), self.width), np.float32)
        order = np.argsort(lengths, kind="stable")
        order = order[lengths[order] > 0]
        space = _Space(max(BATCH, int(lengths.max(initial=1))), self)
        first = 0
        while first < len(order):
            ends = np.cumsum(lengths[order[first:]][:BATCH])
            batch = order[first : first + max(1, int(np.searchsorted(ends, BATCH, "right")))]
            rows[batch] = self._forward([tokens[text] for text in batch], lengths[batch], space)
            first += len(batch)
        return rows

    def _forward(self, tokens: Sequence[Sequence[int]], lengths: np.ndarray, space: "_Space") -> np.ndarray:
        ids = np.concatenate([np.asarray(text, np.int64) for text in tokens])
        if ids.min() < 0 or ids.max() >= len(self.words):
            raise InputError(
                f"token {ids.min()} or {ids.max()} is outside the vocabulary of {len(self.words)}"
            )
        total = len(ids)
        starts = np.cumsum(lengths) - lengths
        hidden, qkv, mixed, wide, spare = (part[:total] for part in space.parts)
        np.take(self.words, ids, axis=0, out=hidden)
        hidden += self.places[np.arange(total) - np.repeat(starts, lengths)]
        self._normalise(hidden, self.norm, spare)
        spans = list(_spans(starts, lengths))
        for layer in self.layers:
            np.matmul(hidden, layer.qkv, out=qkv)
            qkv += layer.qkv_bias
            for start, end, length in spans:
                self._attend(qkv[start:end], mixed[start:end], length)
            np.matmul(mixed, layer.out, out=spare)
            spare += layer.out_bias
            hidden += spare
            self._normalise(hidden, layer.norm, spare)
            np.matmul(hidden, layer.up, out=wide)
            gelu_rows(wide, layer.up_bias)
            np.matmul(wide, layer.down, out=spare)
            spare += layer.down_bias
            hidden += spare
            self._normalise(hidden, layer.last_norm, spare)
        return np.add.reduceat(hidden, starts, axis=0) / lengths[:, None].astype(np.float32)

    def _attend(self, qkv: np.ndarray, mixed: np.ndarray, length: int) -> None:
        """Softmax attention within each of the texts of `length` tokens that stand in `qkv`, into `mixed`."""
        head = self.width // self.heads
        query, key, value = qkv.reshape(-1, length, 3, self.heads, head).transpose(2, 0, 3, 1, 4)
        weights = query @ key.swapaxes(-1, -2)
        weights -= weights.max(axis=-1, keepdims=True)
        np.exp(weights, out=weights)
        heads = mixed.reshape(-1, length, self.heads, head).transpose(0, 2, 1, 3)
        np.matmul(weights, value, out=heads)
        heads /= weights.sum(axis=-1, keepdims=True)

    def _normalise(self, x: np.ndarray, norm: tuple[np.ndarray, np.ndarray], spare: np.ndarray) -> None:
        """Layer norm of each row, in place."""
        x -= x.mean(axis=1, keepdims=True)
        np.multiply(x, x, out=spare)
        x /= np.sqrt(spare.mean(axis=1, keepdims=True) + np.float32(self.epsilon))
        x *= norm[0]
        x += norm[1]


def _spans(starts: np.ndarray, lengths: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Token ranges (start, end, length) of neighbouring texts of one length, few enough to stay in cache."""
    first = 0
    for after in range(1, len(lengths) + 1):
        length = int(lengths[first])
        if after == len(lengths) or lengths[after] != length or (after - first + 1) * length**2 > ATTENTION:
            yield int(starts[first]), int(starts[first]) + (after - first) * length, length
            first = after


class _Space:
    """The work arrays of one call: hidden, qkv, mixed, wide, spare, each [tokens, its width]."""

    def __init__(self, tokens: int, bert: Bert) -> None:
        wide = max((layer.up.shape[1] for layer in bert.layers), default=1)
        widths = (bert.width, 3 * bert.width, bert.width, wide, bert.width)
        self.parts = [np.empty((tokens, width), np.float32) for width in widths]


def load_bert(tensors: Mapping[str, np.ndarray], *, heads: int, epsilon: float) -> Bert:
    """A Bert from the tensors of a checkpoint, under the names that the transformers library gives them.

    Raises:
        FormatError: a tensor is missing, has another shape than the others ask for, or holds NaN or infinity.
    """
    prefix = "" if "embeddings.word_embeddings.weight" in tensors else "bert."

    def take(name: str, *shape: int) -> np.ndarray:
        if prefix + name not in tensors:
            raise FormatError(f"the BERT weights lack {prefix + name}; give a complete checkpoint")
        array = np.asarray(tensors[prefix + name], np.float32)
        if len(array.shape) != len(shape) or any(
            want not in (-1, got) for want, got in zip(shape, array.shape, strict=True)
        ):
            raise FormatError(f"{prefix + name} has shape {list(array.shape)}; {list(shape)} was expected")
        if not np.isfinite(array).all():
            raise FormatError(f"{prefix + name} holds NaN or infinity; fetch the weights again")
        return array

    words = take("embeddings.word_embeddings.weight", -1, -1)
    width = words.shape[1]
    if heads < 1 or width % heads:
        raise FormatError(f"{heads} heads do not divide a width of {width}")

    def norm(name: str) -> tuple[np.ndarray, np.ndarray]:
        return take(f"{name}.weight", width), take(f"{name}.bias", width)

    layers = []
    while f"{prefix}encoder.layer.{len(layers)}.output.dense.weight" in tensors:
        at = f"encoder.layer.{len(layers)}."
        scale = np.float32((width // heads) ** -0.5)
        parts = [
            (
                take(f"{at}attention.self.{name}.weight", width, width),
                take(f"{at}attention.self.{name}.bias", width),
            )
            for name in ("query", "key", "value")
        ]
        up = take(f"{at}intermediate.dense.weight", -1, width)
        layers.append(
            Layer(
                qkv=np.ascontiguousarray(np.vstack([parts[0][0] * scale, parts[1][0], parts[2][0]]).T),
                qkv_bias=np.concatenate([parts[0][1] * scale, parts[1][1], parts[2][1]]),
                out=np.ascontiguousarray(take(f"{at}attention.output.dense.weight", width, width).T),
                out_bias=take(f"{at}attention.output.dense.bias", width),
                norm=norm(f"{at}attention.output.LayerNorm"),
                up=np.ascontiguousarray(up.T),
                up_bias=take(f"{at}intermediate.dense.bias", len(up)),
                down=np.ascontiguousarray(take(f"{at}output.dense.weight", width, len(up)).T),
                down_bias=take(f"{at}output.dense.bias", width),
                last_norm=norm(f"{at}output.LayerNorm"),
            )
        )
    if not layers:
        raise FormatError(
            f"the BERT weights hold no layer ({prefix}encoder.layer.0); give a complete checkpoint"
        )
    places = take("embeddings.position_embeddings.weight", -1, width)
    kinds = take("embeddings.token_type_embeddings.weight", -1, width)
    return Bert(words, places + kinds[0], norm("embeddings.LayerNorm"), tuple(layers), heads, epsilon)
