"""`sentence-transformers:NAME_OR_PATH`: any model of that library, raw vectors, nothing fetched unless asked
for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from thesphere.encoders.base import check_embeddings
from thesphere.encoders.joining import Joining
from thesphere.errors import InputError, MissingExtra, NotFoundError


@dataclass(frozen=True, eq=False)
class Sentences:
    """A sentence-transformers model without the normalisation that many of them end with.

    Attributes:
        name: a folder, or a name in the local cache.
        model: the `SentenceTransformer`.
        width: D, the number of columns.
    """

    name: str
    model: Any = field(repr=False)
    width: int
    storage: Literal["int8", "float32"] = field(default="float32", init=False)
    norm_meaning: str = field(
        default="The norm of a sentence-transformers vector means what training left in it: most models were"
        " trained on directions alone, so measure before it is used.",
        init=False,
        repr=False,
    )
    joining: Joining = Joining()

    @property
    def id(self) -> str:
        """The name it was opened by: the library keeps no version of a model."""
        return f"sentence-transformers:{self.name}"

    def encode(self, texts: Sequence[bytes]) -> np.ndarray:
        """float32 [N, width], pre-norm; see `Encoder.encode`. Blank texts give rows of zeros."""
        decoded = [text.decode("utf-8", "replace") for text in texts]
        spoken = [row for row, text in enumerate(decoded) if text.strip()]
        rows = np.zeros((len(texts), self.width), np.float32)
        if spoken:
            rows[spoken] = _raw(self.model, [decoded[row] for row in spoken], self.width)
        return rows

    def state(self) -> dict[str, np.ndarray]:
        """{}: the model lies where its name says."""
        return {}


def open_sentences(name: str, *, download: bool = False) -> Sentences:
    """Load a model from a folder or from the local cache.

    Args:
        name: path of a folder, or the model's name.
        download: let the library fetch a model that is not on this machine.

    Raises:
        InputError: no name.
        MissingExtra: sentence-transformers is not installed.
        NotFoundError: no such folder, and nothing of that name in the local cache.
    """
    if not name.strip():
        raise InputError("'sentence-transformers:' lacks the model: add a folder or a model's name")
    try:
        from sentence_transformers import SentenceTransformer  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtra(f"The encoder sentence-transformers:{name}", "sentence-transformers") from None
    try:
        model = SentenceTransformer(name, local_files_only=not download)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise NotFoundError(
            f"no sentence-transformers model {name!r} on this machine ({reason}); give the folder of a model,"
            " or fetch it first with the library"
        ) from None
    while len(model) and type(model[-1]).__name__ == "Normalize":
        del model[-1]
    return Sentences(name, model, _raw(model, ["width"], None).shape[1])


def _raw(model: Any, texts: list[str], width: int | None) -> np.ndarray:
    rows = model.encode(texts, convert_to_numpy=True, normalize_embeddings=False, show_progress_bar=False)
    return check_embeddings(rows, expect_width=width)
