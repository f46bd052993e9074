"""Entropy models by name, by the path of their weights, and by the id that a collection kept."""

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.nn.weights import WEIGHTS
from thesphere.patches.entropy import EntropyModel, EntropyStream

KNOWN = ("light", "small", "large", "small-jax", "large-jax", "PATH")


@dataclass(frozen=True)
class Placed:
    """A model whose weights lie in a file of the user's; its id tells which weights they are, and where."""

    model: EntropyModel
    path: str

    @property
    def id(self) -> str:
        return f"{self.model.id}:{self.path}"

    def stream(self) -> EntropyStream:
        return self.model.stream()

    def entropies(self, data: bytes) -> np.ndarray:
        return self.model.entropies(data)


def open_entropy_model(name: str) -> EntropyModel:
    """Open a model.

    Args:
        name: "light", "small" or "large"; "small-jax" or "large-jax" (see `patches.device`); the path of weights
            that `thesphere train entropy` made, or of its folder; a published byte-latent model (see
            `patches.published`); or the id that a collection kept.

    Raises:
        InputError: an unknown name, or an id of another version: its boundaries would differ.
        NotFoundError: there are no weights at the path.
        FormatError: the weights are damaged, or not those that the id tells of.
        MissingExtra: the model needs packages that are not installed.
    """
    from thesphere.patches import recurrent
    from thesphere.patches.light import LightModel

    light = LightModel()
    ids = {recurrent.id_of(each, digest): each for each, digest in recurrent.SHA256.items()}
    if name in ("light", light.id):
        return light
    plain = name.removesuffix("-jax")
    if (own := ids.get(plain, plain)) in recurrent.SHA256:
        if plain == name:
            return recurrent.shipped(own)
        from thesphere.patches.device import shipped_for_device

        return shipped_for_device(own)
    kept, colon, path = name.partition(":")
    if colon and kept.startswith("own-"):
        return _kept(kept, path)
    file = _trained_file(Path(name))
    if file is not None:
        return _read(str(file.resolve()), *_stamp(file))
    from thesphere.patches import published

    if published.is_published(name):
        return published.open_published(name)
    if re.fullmatch(r"(light|small|large)-\d+-[0-9a-f]+(-jax)?", name):
        raise InputError(
            f"the entropy model {name} belongs to another version of thesphere (this one has"
            f" {', '.join((light.id, *ids))}), whose entropies would differ: ingest into a new collection, or use"
            " that version"
        )
    near = get_close_matches(name, KNOWN, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(
        f"unknown entropy model {name!r}: this version knows {', '.join((*KNOWN[:-1], light.id, *ids))}, and"
        f" paths of weights{hint}"
    )


def _trained_file(path: Path) -> Path | None:
    """The file of weights of our own kind at `path`: the file itself, or the one in the folder."""
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        return None
    try:
        with safe_open(file, "np") as tensors:
            return file if "begins" in tensors.keys() else None  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError):
        return None


def _stamp(file: Path) -> tuple[int, int]:
    """What changes when the file does."""
    told = os.stat(file)
    return told.st_mtime_ns, told.st_size


@lru_cache(maxsize=2)
def _read(path: str, *stamp: int) -> Placed:
    from thesphere.patches.recurrent import RecurrentModel

    return Placed(RecurrentModel(Path(path).read_bytes(), path), path)


def _kept(kept: str, path: str) -> EntropyModel:
    """The model that a collection was cut with."""
    file = Path(path)
    if not file.is_file():
        raise NotFoundError(
            f"the weights {path} that this collection was cut with are gone; put them back,"
            " or ingest into a new one"
        )
    model = _read(path, *_stamp(file))
    if model.model.id != kept:
        raise FormatError(
            f"{path} holds other weights ({model.model.id}) than this collection was cut with ({kept});"
            " put those back, or ingest into a new one"
        )
    return model
