"""Encoders: bytes in, *pre-norm* float32 [N, D] out. Importing this loads no compiler and no weights."""

from typing import TYPE_CHECKING, Any

from thesphere.encoders.base import Encoder, check_embeddings, open_encoder
from thesphere.encoders.joining import Joining
from thesphere.encoders.sample import Sample

if TYPE_CHECKING:
    from thesphere.encoders.lsa import Lsa, fit_lsa

__all__ = ["Encoder", "Joining", "Lsa", "Sample", "check_embeddings", "fit_lsa", "open_encoder"]


def __getattr__(name: str) -> Any:
    if name in ("Lsa", "fit_lsa"):
        from thesphere.encoders import lsa

        return getattr(lsa, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
