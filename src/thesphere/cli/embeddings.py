"""Files of embeddings that a command is given, and where it writes what it makes of them."""

from pathlib import Path

import numpy as np

from thesphere.errors import InputError, NotFoundError
from thesphere.store.interchange import Interchange, read_interchange
from thesphere.store.part import disk_error

PREFIX = "sphere_"  # of the files that are written, as the earlier pipelines called them


def files_of(path: Path, to: str | None) -> list[tuple[Path, Path]]:
    """(what is read, what is written) for a file, or for each file of a folder; `to` is --to.

    Raises:
        NotFoundError: there is nothing, or no file of embeddings.
        InputError: something would be written over, or under another name than .safetensors.
    """
    if not path.exists():
        raise NotFoundError(
            f"there is nothing at {path}; give a collection, a file of embeddings or a folder"
        )
    if path.is_file():
        written = Path(to) if to else path.with_name(f"{PREFIX}{path.stem}.safetensors")
        if written.is_dir():
            written /= f"{PREFIX}{path.stem}.safetensors"
        if written.suffix != ".safetensors":
            raise InputError(
                f"{written} is to be written; give a name that ends in .safetensors, or a folder"
            )
        if written.exists() and written.samefile(path):
            raise InputError(f"{written} is what is read; give --to another name")
        return [(path, written)]
    found = sorted(
        each
        for each in path.iterdir()
        if each.suffix in (".safetensors", ".npy") and not each.name.startswith(PREFIX) and each.is_file()
    )
    if not found:
        raise NotFoundError(f"{path} holds no .safetensors or .npy file and is no collection; give one")
    folder = Path(to) if to else path
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; --to names a folder where a folder is filled")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, f"make {folder}") from error
    stems = [each.stem for each in found]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise InputError(
            f"{path} holds {twice}.npy and {twice}.safetensors, which would be written to one file"
        )
    return [(each, folder / f"{PREFIX}{each.stem}.safetensors") for each in found]


def rows_of(source: Path) -> tuple[Interchange, np.ndarray]:
    """A file and its embeddings [N, D], N at least 1."""
    rows = read_interchange(source)
    if rows.embeddings is None or not len(rows):
        raise InputError(f"{source} holds no embeddings; fill needs some")
    return rows, rows.embeddings
