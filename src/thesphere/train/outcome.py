"""The folder of one training: what it was asked for, where it stands, and in the end weights, figures and card.

run.json                  what was asked for, written first: the same command goes on, another one is refused
checkpoint.safetensors    while it is under way
weights.safetensors       the model
figures.json              what it cost and reached
model.md                  the same for people
"""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from thesphere import __version__
from thesphere.errors import FormatError, InputError, NotFoundError, SphereError
from thesphere.nn.weights import WEIGHTS
from thesphere.runtime import hardware
from thesphere.store import map_tensors, write_tensors
from thesphere.store.part import replacing

RUN, CHECKPOINT, FIGURES, CARD = "run.json", "checkpoint.safetensors", "figures.json", "model.md"


@dataclass
class Outcome:
    """The folder of a training; made by `claim`.

    Attributes:
        path: the folder.
        wish: what was asked for, by name; what tells this training from others.
        settled: what was found out when it began, and must be the same when it goes on ("steps").
    """

    path: Path
    wish: dict[str, Any]
    settled: dict[str, Any] = field(default_factory=dict)

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept."""
        return self.path / CHECKPOINT

    @property
    def mark(self) -> str:
        """SHA-256 of the wish, for the checkpoint."""
        return hashlib.sha256(json.dumps(self.wish, sort_keys=True).encode()).hexdigest()

    @property
    def done(self) -> dict[str, Any] | None:
        """The figures, if it has ended."""
        if not (self.path / FIGURES).exists() or self.checkpoint.exists():
            return None
        try:
            return json.loads((self.path / FIGURES).read_text())
        except (OSError, ValueError) as error:
            raise FormatError(
                f"{self.path / FIGURES} cannot be read ({error}); choose another folder"
            ) from None

    def settle(self, **values: Any) -> None:
        """Keep what was found out."""
        self.settled |= values
        _write(self.path / RUN, {"wish": self.wish, "settled": self.settled})

    def deliver(
        self,
        weights: Mapping[str, np.ndarray],
        figures: dict[str, Any],
        card: Callable[[dict[str, Any]], str],
    ) -> None:
        """Write weights, figures (with what tells of the weights) and their card, then forget the checkpoint."""
        write_tensors(self.path / WEIGHTS, weights)
        data = (self.path / WEIGHTS).read_bytes()
        facts = {"file": WEIGHTS, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        figures["weights"] = facts
        with replacing(self.path / CARD) as beside:
            beside.write_text(card(figures))
        _write(self.path / FIGURES, figures)
        self.checkpoint.unlink(missing_ok=True)


def claim(path: str | os.PathLike, wish: dict[str, Any]) -> Outcome:
    """The folder for a training with this wish: made, or the one in which it began.

    Raises:
        NotFoundError: the folder above it does not exist.
        InputError: it holds something else, or a training with another wish.
        SphereError: it cannot be written to.
    """
    folder, wish = Path(path), json.loads(json.dumps(wish))
    try:
        return _claimed(folder, wish)
    except OSError as error:
        if isinstance(error, SphereError):
            raise
        raise SphereError(f"{folder} cannot be written to ({error.strerror}); name another folder") from None


def _claimed(folder: Path, wish: dict[str, Any]) -> Outcome:
    run = folder / RUN
    if not folder.resolve().parent.is_dir():
        raise NotFoundError(f"the folder {folder.resolve().parent} does not exist; make it first")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder for what training makes")
    if folder.is_dir() and any(folder.iterdir()) and not run.exists():
        raise InputError(f"{folder} holds other files; name a new folder for what training makes")
    if run.exists():
        try:
            told = json.loads(run.read_text())
            had, settled = dict(told["wish"]), dict(told["settled"])
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{run} cannot be read ({error}); choose another folder") from None
        if had == wish:
            return Outcome(folder, wish, settled)
        if any((folder / name).exists() for name in (CHECKPOINT, WEIGHTS)):
            name = min(name for name in had.keys() | wish.keys() if had.get(name) != wish.get(name))
            raise InputError(
                f"{folder} holds a training with {_other(name, had.get(name), wish.get(name))}; repeat the"
                " command that it was started with, or name another folder"
            )
    folder.mkdir(exist_ok=True)
    outcome = Outcome(folder, wish)
    outcome.settle()
    return outcome


def _other(name: str, had: Any, wanted: Any) -> str:
    """How two wishes differ."""
    if isinstance(had, dict) or isinstance(wanted, dict):
        return f"other {name}"
    return f"{name} {had}, not {wanted}"


def _write(path: Path, document: dict[str, Any]) -> None:
    with replacing(path) as beside:
        beside.write_text(json.dumps(document, indent=1, ensure_ascii=False))


def read_weights(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The tensors of a file of weights, or of the folder of a training.

    Raises:
        NotFoundError: there is none; FormatError: it is damaged.
    """
    file = Path(path) / WEIGHTS if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise NotFoundError(
            f"there are no weights at {file} to start from; give a file, or the folder of a training"
        )
    arrays, _ = map_tensors(file)
    return {name: np.array(array) for name, array in arrays.items()}


def digest_of(weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of arrays by name, whatever file they are in."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        digest.update(f"{name} {array.dtype} {array.shape}\0".encode() + array.tobytes())
    return digest.hexdigest()


def machine() -> dict[str, Any]:
    """What it ran on: devices, processor, versions."""
    import jax

    names = {}
    for name in ("jax", "optax", "numpy"):
        try:
            names[name] = version(name)
        except PackageNotFoundError:
            names[name] = "unknown"
    devices = jax.devices()
    return {
        "devices": f"{len(devices)} {devices[0].platform} ({devices[0].device_kind})",
        "cores": hardware().cores,
        "platform": platform.platform(terse=True),
        "versions": {"thesphere": __version__, "python": platform.python_version(), **names},
    }


def need_gpu() -> None:
    """Refuse the Pallas kernels where JAX finds no GPU.

    Raises:
        InputError: it finds none.
    """
    import jax

    if (found := jax.default_backend()) != "gpu":
        raise InputError(
            f"--kernel needs an NVIDIA GPU, and JAX finds only a {found} here; leave --kernel out"
        )


def need_memory(needed: int, remedy: str) -> None:
    """Refuse what this machine has no memory for.

    Args:
        needed: bytes, an estimate.
        remedy: what makes it less, for the message.

    Raises:
        InputError: it is more than the machine has.
    """
    have = hardware().memory_bytes
    if have and needed > have:
        raise InputError(
            f"this training needs about {needed / 1e9:.1f} GB of memory and the machine has {have / 1e9:.1f} GB;"
            f" {remedy}"
        )
