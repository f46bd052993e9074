"""Collections on disk: a catalog, immutable parts, tensors and compressed bytes. No JAX here."""

from thesphere.store.blocks import Blocks, BlockWriter
from thesphere.store.catalog import Document, Known, PathEntry
from thesphere.store.collection import Collection, SourceRow
from thesphere.store.part import PartView
from thesphere.store.snapshot import Snapshot
from thesphere.store.tensors import map_tensors, write_tensors
from thesphere.store.writer import NewPart, Writer

__all__ = [
    "BlockWriter",
    "Blocks",
    "Collection",
    "Document",
    "Known",
    "NewPart",
    "PartView",
    "PathEntry",
    "Snapshot",
    "SourceRow",
    "Writer",
    "map_tensors",
    "write_tensors",
]
