"""The nearest rows of every row, by cosine: exact for small collections, by cells for large ones."""

from typing import TYPE_CHECKING, Any

from thesphere.neighbours.graph import Neighbours

if TYPE_CHECKING:
    from thesphere.neighbours.search import nearest, nearest_of

__all__ = ["Neighbours", "nearest", "nearest_of"]


def __getattr__(name: str) -> Any:
    if name in ("nearest", "nearest_of"):
        from thesphere.neighbours import search

        return getattr(search, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
