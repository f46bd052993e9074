"""The published byte-latent entropy model as an entropy model: found on this machine, checked, streaming.

The weights are the user's: a folder, a file in it, or a name in the hub's cache as its own tools left it. Nothing
is fetched. The published tokens begin with BOS, and so does every source here.

Where a source is cut changes no entropy: tokens are always computed in the same chunks, counted from the
beginning of the source, and a chunk that is not full yet is computed again when the rest of it has come. On the
CPU that is so to the last bit. Between devices, precisions of products and versions of JAX sums are ordered
differently; in float32 that was below 1e-4 nat.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.nn.checkpoint import Checkpoint, check_tensors, find_checkpoint, open_tensors
from thesphere.patches.tokens import BOS, encode
from thesphere.runtime.hardware import hardware

if TYPE_CHECKING:
    from thesphere.nn.transformer import ModelOutput, Precision, Transformer

VERSION = 1  # of the arithmetic; another one would make other entropies of the same weights
BATCH = 1 << 20  # tokens handed to the device before their entropies are taken

_ID = re.compile(r"(blt-(\d+)-([0-9a-f]{12})(?:-(bfloat16))?):(.+)", re.DOTALL)
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def is_published(name: str) -> bool:
    """Whether `open_published` is the one to ask: an id that it gave, a path, or a name of the form
    OWNER/NAME."""
    return bool(_ID.fullmatch(name) or os.sep in name or "/" in name or Path(name).exists())


def open_published(name: str | os.PathLike, *, precision: "Precision | None" = None) -> "PublishedModel":
    """Open a byte-latent entropy model from this machine; the network is never used.

    Args:
        name: a folder with settings and weights, a file of weights beside its settings, a name OWNER/NAME in the
            hub's cache, or the id that a collection kept.
        precision: of weights and factors of products, "float32" or "bfloat16"; None: that of the id, else
            float32.

    Raises:
        NotFoundError: there is no such model on this machine.
        FormatError: its files cannot be read, or its tensors are missing, too many, of another shape or type or
            not finite; or they are not those of the id.
        InputError: too little memory, a torch file without torch, or an id of another version.
        MissingExtra: JAX is not installed.
    """
    asked = _ID.fullmatch(os.fspath(name))
    if asked is None:
        return _opened(os.fspath(name), precision or "float32")
    if int(asked[2]) != VERSION:
        raise InputError(
            f"the entropy model {name} belongs to another version of thesphere, whose entropies would differ:"
            " ingest again, or install that version"
        )
    model = _opened(asked[5], precision or ("bfloat16" if asked[4] else "float32"))
    if model.id != name:
        raise FormatError(
            f"the weights at {asked[5]} are not those of {asked[1]}, their SHA-256 is another"
            f" ({model.id.partition(':')[0]}): put the old ones back, or ingest again"
        )
    return model


def _opened(place: str, precision: "Precision") -> "PublishedModel":
    path = Path(place).expanduser()
    if not path.exists() and _HUB_NAME.fullmatch(place):
        path, location = cached(place), place
    else:
        location = os.path.abspath(path)  # links are kept: the hub's lead to files without endings
    found = find_checkpoint(path)
    stamps = [(file.stat().st_mtime_ns, file.stat().st_size) for file in (found.config, found.weights)]
    return _loaded(found, location, precision, str(stamps))


@lru_cache(maxsize=2)  # a run asks for its model several times
def _loaded(found: Checkpoint, location: str, precision: "Precision", stamps: str) -> "PublishedModel":
    from thesphere.nn.transformer import Transformer

    tensors = read_weights(found)
    with _room(str(found.weights)):
        network = Transformer(found.settings, tensors, precision)
    digest = hashlib.sha256(repr(astuple(found.settings)).encode())
    for name in found.settings.tensors():
        digest.update(tensors[name].astype("<f4", copy=False).data)
    suffix = "" if precision == "float32" else f"-{precision}"
    return PublishedModel(network, f"blt-{VERSION}-{digest.hexdigest()[:12]}{suffix}:{location}")


def read_weights(found: Checkpoint) -> Mapping[str, np.ndarray]:
    """All tensors of a checkpoint, float32, by the original names (`Settings.tensors`).

    Raises:
        FormatError: they are not what the settings say, not finite, or the file is not what the hub's cache
            calls it by; InputError: they would not fit into memory, or torch is needed.
    """
    settings, where = found.settings, str(found.weights)
    with open_tensors(found.weights) as (described, read):
        check_tensors(described, settings, where)
        needed, free = 9 * settings.parameters, _free_memory()  # float32 as read and as used, and some
        if free and needed > free:
            raise InputError(
                f"{where}: about {needed / 2**30:.2g} GiB of memory are needed and {free / 2**30:.2g} GiB are"
                " free; use --entropy small, or a machine with more"
            )
        tensors = {name: read(name) for name in settings.tensors()}
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise FormatError(f"{where}: {name} holds NaN or infinity")
    return tensors


@contextmanager
def _room(where: str) -> Iterator[None]:
    """Tells a device without room for what is done inside in one line."""
    try:
        yield
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"{where} does not fit on the device: {reason}") from None


def _free_memory() -> int:
    """Bytes that are free on this machine, 0 where that cannot be found out."""
    sizes = [hardware().memory_bytes]
    try:
        line = re.search(r"^MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        line = None
    if line:
        sizes.append(int(line[1]) << 10)
    return min(sizes) if all(sizes) else max(sizes)


def hub_cache() -> Path:
    """The folder in which the hub's tools keep models, by the same variables that they obey."""
    if folder := os.environ.get("HF_HUB_CACHE"):
        return Path(folder).expanduser()
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(home).expanduser() / "hub"


def cached(name: str) -> Path:
    """The folder of a model that the hub's tools have fetched: the revision "main", else the only one.

    Raises:
        NotFoundError: it is not there.
    """
    folder = hub_cache() / f"models--{name.replace('/', '--')}"
    try:
        revisions = [(folder / "refs" / "main").read_text().strip()]
    except OSError:
        snapshots = folder / "snapshots"
        revisions = sorted(os.listdir(snapshots)) if snapshots.is_dir() else []
    if len(revisions) != 1 or not (folder / "snapshots" / revisions[0]).is_dir():
        raise NotFoundError(
            f"there is no folder {name} and no model of that name in {hub_cache()}: give a folder, or fetch the"
            " model first with the hub's own tools"
        )
    return folder / "snapshots" / revisions[0]


class PublishedModel:
    """A network as an `EntropyModel`.

    Attributes:
        network: the transformer.
        id: version of the arithmetic, beginning of the SHA-256 of settings and weights (the same in every file
            format), precision, and where the files lie: "blt-1-0123456789ab:/models/entropy".
    """

    def __init__(self, network: "Transformer", id: str) -> None:
        self.network, self._id, self._fresh = network, id, network.fresh()

    @property
    def id(self) -> str:
        """See the class."""
        return self._id

    def stream(self) -> "PublishedStream":
        """A fresh stream for one source."""
        return PublishedStream(self)

    def entropies(self, data: bytes) -> np.ndarray:
        """float32 [T], nats: entry i is the uncertainty about byte i + 1 given BOS and bytes 0..i."""
        return self.stream().push(data)

    def costs(self, data: bytes) -> np.ndarray:
        """float32 [T], nats: -ln of the probability that byte i had, given BOS and the bytes before it."""
        tokens = encode(data, add_eos=False)
        return PublishedStream(self).read(tokens[:-1], tokens[1:])[1]

    def embed(self, data: bytes) -> "ModelOutput":
        """Logits, pre-norm embeddings, their norms, entropies and coherence, row i after BOS and bytes 0..i.

        About 4 kB a byte with the published sizes.
        """
        out = self.network.forward_with_embeddings(encode(data, add_eos=False))
        return type(out)(*(part[1:] for part in out))


class PublishedStream:
    """One source on its way through the model.

    A push costs at least one chunk of tokens, the one that the last push left unfinished: push 64 KiB or more
    at a time.
    """

    def __init__(self, model: PublishedModel) -> None:
        self._model, self._state = model, model._fresh
        self._pending = np.array([BOS], np.int32)  # tokens of the chunk that is not full yet

    def push(self, data: bytes) -> np.ndarray:
        """Entropies after each pushed byte, float32 [len(data)], nats in [0, ln 260]."""
        if not data:
            return np.empty(0, np.float32)
        known = len(self._pending)
        tokens = np.concatenate([self._pending, encode(data, add_bos=False, add_eos=False)])
        return self.read(tokens, np.zeros_like(tokens))[0][known:]

    def read(self, tokens: np.ndarray, following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(entropies, costs) after each of `tokens`, which begin with the pending ones; `following` are those
        that costs are of. float32 [T] each, nats."""
        network, parts = self._model.network, [(np.empty(0, np.float32),) * 2]
        batch = -(-BATCH // network.chunk) * network.chunk
        for at in range(0, len(tokens), batch):
            piece = slice(at, at + batch)
            with _room(self._model.id):
                self._state, self._pending, *found = network.judge(
                    self._state, tokens[piece], following[piece]
                )
            parts.append((found[0], found[1]))
        entropies, costs = (np.concatenate(part) for part in zip(*parts, strict=True))
        if not np.isfinite(entropies).all():
            raise FormatError(f"the weights of {self._model.id} lead to numbers beyond float32")
        return entropies, costs
