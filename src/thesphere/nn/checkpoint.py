"""Checkpoints of the published byte-latent entropy model: their files found, their tensors checked and read.

Two families of files hold the same network. In the original ones tensors are called
`layers.0.attention.wq.weight`, in those of the transformers library `layers.0.self_attn.q_proj.weight`, under
`model.patcher.` where the whole byte-latent model is in the file. Here tensors have the original names and their
matrices are [outputs, inputs].
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.nn.published import Settings, read_json, read_settings

CONFIGS = ("config.json", "params.json")
WEIGHTS = (
    "model.safetensors",
    "consolidated.safetensors",
    "model.safetensors.index.json",
    "consolidated.pth",
    "pytorch_model.bin",
)
FLOATS = ("F32", "BF16", "F16")

_TO_ORIGINAL = {
    "embed_tokens.weight": "tok_embeddings.weight",
    "lm_head.weight": "output.weight",
    "self_attn.q_proj.weight": "attention.wq.weight",
    "self_attn.k_proj.weight": "attention.wk.weight",
    "self_attn.v_proj.weight": "attention.wv.weight",
    "self_attn.o_proj.weight": "attention.wo.weight",
    "mlp.gate_proj.weight": "feed_forward.w1.weight",
    "mlp.down_proj.weight": "feed_forward.w2.weight",
    "mlp.up_proj.weight": "feed_forward.w3.weight",
    "input_layernorm.weight": "attention_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
}
_COMPUTED = {"rope_embeddings.freqs_cis", "rotary_emb.inv_freq"}  # tables that some files keep; not weights


@dataclass(frozen=True)
class Checkpoint:
    """Where a network lies: its settings, the file they came from, and the file of weights (or their index)."""

    settings: Settings
    config: Path
    weights: Path


def find_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a folder (or in its `entropy_model`), or around a file of weights.

    Raises:
        NotFoundError: no such path, no settings or no weights; FormatError: settings that cannot be read.
    """
    if not path.exists():
        raise NotFoundError(f"there is no entropy model at {path}: no such file or folder")
    if path.is_dir() and not any((path / name).exists() for name in WEIGHTS):
        path = path / "entropy_model" if (path / "entropy_model").is_dir() else path
    folder = path if path.is_dir() else path.parent
    weights = path if path.is_file() else next((folder / n for n in WEIGHTS if (folder / n).exists()), None)
    config = next((folder / name for name in CONFIGS if (folder / name).exists()), None)
    if config is None:
        raise NotFoundError(f"{folder} holds no settings of a model: {' or '.join(CONFIGS)} was expected")
    if weights is None:
        raise NotFoundError(f"{folder} holds no weights: one of {', '.join(WEIGHTS)} was expected")
    return Checkpoint(read_settings(config), config, weights)


Describe = tuple[str, tuple[int, ...]]  # type and shape of a tensor


@contextmanager
def open_tensors(
    path: Path,
) -> Iterator[tuple[dict[str, Describe], Callable[[str], np.ndarray]]]:
    """({original name: (type, shape)}, read) of a file of weights, or of an index of several.

    `read(name)` gives one tensor as float32. Nothing is read before that, except from torch's own files.

    Raises:
        FormatError: a file is damaged, of no known kind, or not what the hub's cache calls it; InputError: it
            needs torch, which is not installed.
    """
    with ExitStack() as files:
        if path.name.endswith(".safetensors.index.json"):
            listed = read_json(path).get("weight_map")
            if not isinstance(listed, dict) or not all(isinstance(part, str) for part in listed.values()):
                raise FormatError(f"{path} has no 'weight_map' from tensors to files")
            parts = {path.parent / Path(listed[name]).name for name in _ours(listed).values()}
        else:
            parts = {path}
        found: dict[str, tuple[Describe, Callable[[], Any]]] = {}
        for part in sorted(parts):
            _check_blob(part)
            if part.suffix == ".safetensors":
                found |= _safetensors(files, part)
            elif part.suffix in (".pth", ".pt", ".bin"):
                found |= _pickled(part)
            else:
                raise FormatError(
                    f"{part} is no file of weights: .safetensors, or .pth with torch, was expected"
                )
        names = _ours(found)

        def read(name: str) -> np.ndarray:
            try:
                return np.ascontiguousarray(found[names[name]][1](), np.float32)
            except (SafetensorError, TypeError) as error:
                raise FormatError(f"{path}: {name} cannot be read: {error}") from None

        yield {name: found[full][0] for name, full in names.items()}, read


def _check_blob(path: Path) -> None:
    """The hub's cache names large files by their SHA-256."""
    name = path.resolve().name
    if re.fullmatch("[0-9a-f]{64}", name) and path.exists():
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != name:
            raise FormatError(
                f"{path} is damaged, its SHA-256 is {found[:12]}... and not {name[:12]}...: fetch it again"
            )


def _ours(names: Mapping[str, Any]) -> dict[str, str]:
    """{original name: name in the file} of the entropy model's tensors."""
    prefix = next((p for p in ("model.patcher.", "patcher.") if any(n.startswith(p) for n in names)), "")
    found = {}
    for name in names:
        short = name.removeprefix(prefix)
        if name.startswith(prefix) and short not in _COMPUTED:
            layer, rest = re.fullmatch(r"(layers\.\d+\.)?(.*)", short, re.DOTALL).groups("")  # type: ignore[union-attr]
            original = layer + _TO_ORIGINAL.get(rest, rest)
            found[f"{name} (a second one)" if original in found else original] = name
    return found


def _safetensors(files: ExitStack, path: Path) -> dict[str, tuple[Describe, Callable[[], Any]]]:
    try:
        opened = files.enter_context(safe_open(path, "np"))
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise FormatError(f"{path} cannot be read as safetensors: {error}") from None
    return {
        name: ((part.get_dtype(), tuple(part.get_shape())), lambda name=name: opened.get_tensor(name))
        for name, part in slices.items()
    }


def _pickled(path: Path) -> dict[str, tuple[Describe, Callable[[], Any]]]:
    """Tensors of a file that torch.save made; nothing in it is executed."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            f"{path} is a torch file and torch is not installed: install it, or convert the file to safetensors"
        ) from None
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile pickle makes torch raise
        reason = str(error).strip().partition("\n")[0]
        raise FormatError(f"{path} cannot be read as torch weights alone: {reason}") from None
    tensors = loaded.get("model", loaded) if isinstance(loaded, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(t, torch.Tensor) for t in tensors.values()):
        raise FormatError(f"{path} holds no dictionary of tensors")
    kinds = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
    return {
        str(name): (
            (kinds.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape)),
            lambda tensor=tensor: tensor.float().numpy(),
        )
        for name, tensor in tensors.items()
    }


def check_tensors(found: Mapping[str, Describe], settings: Settings, where: str) -> None:
    """Every tensor is there and as the settings want it, and there is no other.

    Raises:
        FormatError: it is not so.
    """
    expected = settings.tensors()
    for what, names in (
        ("lacks", expected.keys() - found.keys()),
        ("holds, besides the model,", found.keys() - expected.keys()),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise FormatError(f"{where} {what} {', '.join(sorted(names)[:3])}{more}")
    for name, shape in expected.items():
        kind, sizes = found[name]
        if sizes != shape or kind not in FLOATS:
            raise FormatError(
                f"{where}: {name} is {kind} {list(sizes)}; {' or '.join(FLOATS)} {list(shape)} was expected"
            )
