"""The bare index, for people with vectors: build, search with a status, save, load."""

from thesphere.roots.config import RootsConfig
from thesphere.roots.found import Found
from thesphere.roots.index import Roots

__all__ = ["Found", "Roots", "RootsConfig"]
