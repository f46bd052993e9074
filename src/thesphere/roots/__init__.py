"""The bare index, for people with vectors: build, search with a proof, save, load."""

from thesphere.roots.found import Found
from thesphere.roots.index import Roots

__all__ = ["Found", "Roots"]
