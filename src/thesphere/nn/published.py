"""Sizes of the published byte-latent entropy model, and how the two families of its files write them down.

The original files have `config.json` ({"args": {...}}) or `params.json` ({"entropy_model": {...}}); those of the
transformers library have `config.json` with a `model_type`, and the settings at its top or under
`patcher_config`.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thesphere.errors import FormatError, InputError

VOCABULARY = 260  # four specials and the bytes
WINDOW = 512


@dataclass(frozen=True)
class Settings:
    """Sizes and constants of the network; the defaults are the published ones.

    Args:
        dim: width of the residual stream.
        layers: how many.
        heads: of queries; they share `dim`.
        kv_heads: of keys and values; a divisor of `heads`.
        hidden: width inside the feed-forward part.
        window: how many bytes, itself counted, a byte attends to.
        theta: base of the rotary angles.
        epsilon: added to the mean square, inside the root.

    Raises:
        InputError: no such network can be.
    """

    dim: int = 768
    layers: int = 14
    heads: int = 12
    kv_heads: int = 12
    hidden: int = 2048
    window: int = WINDOW
    theta: float = 10000.0
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("dim", "layers", "heads", "kv_heads", "hidden", "window"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise InputError(f"{name} is {value!r}; a whole number from 1 up was expected")
        for name in ("theta", "epsilon"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 < value < math.inf:
                raise InputError(f"{name} is {value!r}; a finite number above 0 was expected")
        if self.dim % self.heads:
            raise InputError(f"{self.heads} heads do not divide a width of {self.dim}")
        if self.heads % self.kv_heads:
            raise InputError(f"{self.kv_heads} heads of keys and values do not divide {self.heads} heads")
        if self.head_dim % 2:
            raise InputError(f"heads are {self.head_dim} wide; rotary positions need an even width")

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.dim // self.heads

    @property
    def parameters(self) -> int:
        """How many numbers the tensors hold: 99,512,064 in the published model."""
        return sum(math.prod(shape) for shape in self.tensors().values())

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, by its original name."""
        narrow = self.kv_heads * self.head_dim
        layer = {
            "attention_norm": (self.dim,),
            "attention.wq": (self.dim, self.dim),
            "attention.wk": (narrow, self.dim),
            "attention.wv": (narrow, self.dim),
            "attention.wo": (self.dim, self.dim),
            "ffn_norm": (self.dim,),
            "feed_forward.w1": (self.hidden, self.dim),
            "feed_forward.w2": (self.dim, self.hidden),
            "feed_forward.w3": (self.hidden, self.dim),
        }
        found: dict[str, tuple[int, ...]] = {"tok_embeddings.weight": (VOCABULARY, self.dim)}
        for i in range(self.layers):
            found |= {f"layers.{i}.{name}.weight": shape for name, shape in layer.items()}
        return found | {"norm.weight": (self.dim,), "output.weight": (VOCABULARY, self.dim)}


def read_settings(path: Path) -> Settings:
    """The settings in a `config.json` or `params.json` of either family.

    Raises:
        FormatError: no JSON, no settings of this network, or impossible ones.
    """
    given = read_json(path)
    try:
        if given.get("model_type") in ("blt", "blt_patcher"):
            inner = given.get("patcher_config") or {}  # what is not said there is the library's default
            return _transformers(inner if given["model_type"] == "blt" else given)
        for key in ("args", "entropy_model"):
            given = given.get(key, given)
        return _original(given)
    except KeyError as error:
        raise FormatError(
            f"{path} lacks {error.args[0]!r}: it holds no settings of a byte-latent model"
        ) from None
    except (InputError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{path} is of no byte-latent entropy model: {error}") from None


def _original(given: dict) -> Settings:
    """The published loader sets the window whatever is written, so where nothing is, it is the published one."""
    _only(given, "weight_tying", False)
    _only(given, "attn_bias_type", "causal", "local_block_causal")
    _only(given, "vocab_size", VOCABULARY)
    dim, heads, multiple = given["dim"], given["n_heads"], _or(given, "multiple_of", 256)
    _only(given, "head_dim", dim // heads if heads else None)
    hidden = int(_or(given, "ffn_dim_multiplier", 1.0) * int(8 * dim / 3))
    return Settings(
        dim=dim,
        layers=given["n_layers"],
        heads=heads,
        kv_heads=_or(given, "n_kv_heads", heads),
        hidden=-(-hidden // multiple) * multiple if multiple else hidden,
        window=_or(given, "sliding_window", WINDOW),
        theta=_or(given, "rope_theta", Settings.theta),
        epsilon=_or(given, "norm_eps", Settings.epsilon),
    )


def _transformers(given: dict) -> Settings:
    """What equals the library's defaults is often left out; `sliding_window` is missing from older files."""
    _only(given, "hidden_act", "silu")
    _only(given, "vocab_size", VOCABULARY)
    heads = _or(given, "num_attention_heads", Settings.heads)
    rope = _or(given, "rope_parameters", {}) | _or(given, "rope_scaling", {})
    _only(rope, "rope_type", "default")
    return Settings(
        dim=_or(given, "hidden_size", Settings.dim),
        layers=_or(given, "num_hidden_layers", Settings.layers),
        heads=heads,
        kv_heads=_or(given, "num_key_value_heads", heads),
        hidden=_or(given, "intermediate_size", Settings.hidden),
        window=_or(given, "sliding_window", WINDOW),
        theta=_or(rope, "rope_theta", _or(given, "rope_theta", Settings.theta)),
        epsilon=_or(given, "rms_norm_eps", Settings.epsilon),
    )


def _or(given: dict, key: str, default: Any) -> Any:
    """given[key], or `default` where it is missing or null."""
    value = given.get(key)
    return default if value is None else value


def _only(given: dict, key: str, *possible: Any) -> None:
    if (value := given.get(key)) is not None and value not in possible:
        raise InputError(f"{key} is {value!r}; {' or '.join(map(repr, possible))} was expected")


def read_json(path: Path) -> dict:
    """The JSON object in a file. Raises FormatError."""
    try:
        given = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(given, dict):
        raise FormatError(f"{path} holds a JSON {type(given).__name__}; an object was expected")
    return given
