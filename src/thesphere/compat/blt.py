"""The encoder's side of the earlier quick start: text to patches with embeddings, and to a file of them.

Those names stood in the documents alone; no code had them. They stand here on what is at hand: entropy patches
of the light model, and the `lsa` encoder, fitted on the first text. Any encoder will do in their place, as long
as queries come from the same one.
"""

import os
from dataclasses import dataclass, replace

import numpy as np

from thesphere.compat.patching import text_of
from thesphere.encoders import Lsa, fit_lsa
from thesphere.errors import InputError
from thesphere.patches import LightModel
from thesphere.store.interchange import write_v3


@dataclass(frozen=True)
class BltConfig:
    """Attributes:
    patch_size: mean length of a patch in bytes, 1 to 384. Patches end where a model is surprised; a fixed size
        would contradict that.
    dim: columns of the embeddings, 1 to 8192.
    """

    patch_size: float = 4
    dim: int = 512

    @classmethod
    def default(cls) -> "BltConfig":
        """4 bytes and 512 columns."""
        return cls()

    def with_patch_size(self, patch_size: float) -> "BltConfig":
        return replace(self, patch_size=patch_size)

    def with_dim(self, dim: int) -> "BltConfig":
        return replace(self, dim=dim)


@dataclass(frozen=True, eq=False)
class Encoded:
    """P patches.

    Attributes:
        embeddings: float32 [P, dim], not normalised.
        prominence: float32 [P], the norms.
        entropies: float32 [P], nats: mean over the bytes of each patch.
        bytes: the patches; together they are the text.
    """

    embeddings: np.ndarray
    prominence: np.ndarray
    entropies: np.ndarray
    bytes: list[bytes]


class BltModel:
    """Text to patches and their embeddings.

    Args:
        config: length of patches and width of embeddings.
        device: accepted, and without effect.
        key: of the encoder's fit.
    """

    def __init__(self, config: BltConfig | None = None, device: str | None = None, *, key: int = 0) -> None:
        self.config = config or BltConfig()
        self.key = key
        self.encoder: Lsa | None = None

    def encode_bytes(self, data: str | bytes) -> Encoded:
        """The patches of a text; the first text is what the encoder is fitted on.

        Raises:
            InputError: no text with a character in it.
        """
        raw = data.encode() if isinstance(data, str) else bytes(data)
        patches = text_of(raw, target_patch_bytes=self.config.patch_size)
        held = [bytes(patch) for patch in patches if isinstance(patch, bytes)]
        if self.encoder is None:
            self.encoder = fit_lsa(held, key=self.key, width=self.config.dim)
        rows = self.encoder.encode(held)
        starts = np.cumsum([0] + [len(patch) for patch in held[:-1]])
        nats = np.add.reduceat(LightModel().entropies(raw).astype(np.float64), starts)
        sizes = np.array([len(patch) for patch in held])
        return Encoded(rows, np.linalg.norm(rows, axis=1), (nats / sizes).astype(np.float32), held)

    def encode_query(self, query: str | bytes) -> np.ndarray:
        """float32 [dim]: the embedding of a whole query.

        Raises:
            InputError: nothing was encoded before, so that the encoder is not fitted.
        """
        if self.encoder is None:
            raise InputError("the encoder is not fitted yet; call encode_bytes on the text to search first")
        return self.encoder.encode([query.encode() if isinstance(query, str) else bytes(query)])[0]


def save_safetensors(path: str | os.PathLike[str], encoded: Encoded) -> None:
    """Write a v3 file, which `load_blt_safetensors` reads."""
    write_v3(
        path,
        embeddings=encoded.embeddings,
        prominence=encoded.prominence,
        patch_entropies=encoded.entropies,
        data=b"".join(encoded.bytes),
        lengths=np.array([len(patch) for patch in encoded.bytes]),
        metadata={"unit": "patch", "prominence_kind": "norm"},
    )
