"""Files of the earlier pipeline, as a SphereEBM and the bytes of its points."""

import os
from typing import NamedTuple

import numpy as np

from thesphere.compat.sphere_config import SphereConfig
from thesphere.compat.sphere_ebm import SphereEBM
from thesphere.errors import FormatError
from thesphere.store.hypergraph import Hypergraph
from thesphere.store.interchange import Interchange, read_interchange
from thesphere.store.sidecar import read_sidecar, sidecar_path
from thesphere.store.tensors import map_tensors

File = str | os.PathLike[str]


class Loaded(NamedTuple):
    """What `load_blt_with_hypergraph` gives: the sphere, the bytes of each point, the sidecar if there is one."""

    sphere_ebm: SphereEBM
    bytes: list[bytes]
    hypergraph: Hypergraph | None


def load_blt_safetensors(
    path: File, config: SphereConfig | None = None, device: str | None = None
) -> tuple[SphereEBM, list[bytes]]:
    """(sphere, bytes of each point) of a file with embeddings and bytes.

    Every layout of the earlier systems is read (see `thesphere.store.layouts`), not the v3 one alone; entropies
    of patches are preferred to others, and prominence that is missing is the norm of the row.

    Args:
        path: a safetensors file.
        config: how points are placed; the profile Dev by default.
        device: accepted, and without effect: arrays stay in the memory-mapped file.

    Raises:
        NotFoundError: no such file.
        FormatError: it is damaged or contradicts itself, or it has no embeddings or no bytes.
    """
    found = read_interchange(path)
    return _sphere(path, found, config), _bytes(path, found)


def load_from_safetensors(
    path: File, config: SphereConfig | None = None, device: str | None = None
) -> SphereEBM:
    """The sphere of a file with embeddings, whether it has bytes or not; see `load_blt_safetensors`."""
    return _sphere(path, read_interchange(path), config)


def load_blt_with_hypergraph(
    path: File, config: SphereConfig | None = None, device: str | None = None
) -> Loaded:
    """As `load_blt_safetensors`, with the hypergraph beside the file (NAME.hypergraph.db or .json).

    None means that there is no such file. A damaged one is an error; the older loader warned and went on
    without, and could not read the files that its own writer made.
    """
    sphere, texts = load_blt_safetensors(path, config)
    beside = sidecar_path(path)
    return Loaded(sphere, texts, read_sidecar(beside) if beside.is_file() else None)


def is_blt_v3_format(path: File) -> bool:
    """Whether the file has embeddings and bytes.

    Raises:
        NotFoundError: no such file; FormatError: not a sound safetensors file.
    """
    arrays, _ = map_tensors(os.fspath(path))
    return "embeddings" in arrays and "bytes" in arrays


def _sphere(path: File, found: Interchange, config: SphereConfig | None) -> SphereEBM:
    if found.embeddings is None:
        raise FormatError(f"{os.fspath(path)} holds patches without embeddings; give a file that has them")
    return SphereEBM(found.embeddings, found.prominence, found.entropies, config or SphereConfig())


def _bytes(path: File, found: Interchange) -> list[bytes]:
    if found.data is None or found.lengths is None:
        raise FormatError(
            f"{os.fspath(path)} has no bytes for its rows; load it with load_from_safetensors, which needs none"
        )
    ends = np.cumsum(found.lengths)
    return [found.data[end - size : end].tobytes() for size, end in zip(found.lengths, ends, strict=True)]
