"""An index on disk: one file of tensors in a folder, mapped into memory when it is read."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from thesphere.errors import FormatError, InputError, SchemaError
from thesphere.roots.calibrate import Calibration
from thesphere.roots.cells import Cells
from thesphere.roots.config import RootsConfig
from thesphere.roots.content import Content
from thesphere.roots.saved import from_arrays, prove, to_arrays
from thesphere.runtime import workers
from thesphere.scan import Codes, Metric, encode
from thesphere.store.part import disk_error
from thesphere.store.tensors import map_tensors, write_tensors

FILE = "roots.safetensors"
FORMAT = "thesphere.roots"
VERSION = 3  # 1 had flat indexes only, 2 vectors and ids beside cells without members
ASKED = "asked"  # the queries that the index was calibrated on
# that are kept
SETTINGS = ("partitions", "density", "spill", "spill_lambda", "members", "flat_below", "substring")
RULES = "stop."  # what the names of calibrations begin with, then k
_BLOCK = 1 << 16  # rows that are checked at a time


@dataclass(frozen=True)
class Read:
    """What a file holds: either codes or cells; calibrations with cells."""

    vectors: np.ndarray
    ids: np.ndarray
    metric: Metric
    codes: Codes | None
    cells: Cells | None
    calibrations: tuple[Calibration, ...]
    asked: np.ndarray | None
    config: RootsConfig
    key: int | None
    changed: int


def named(
    codes: Codes | None,
    cells: Cells | None,
    calibrations: tuple[Calibration, ...],
    asked: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """The arrays of an index beside vectors and ids, by name."""
    arrays = codes.arrays() if codes is not None else {}
    if asked is not None:
        arrays[ASKED] = asked
    if cells is not None:
        arrays |= to_arrays(cells)
    for one in calibrations:
        arrays |= {f"{RULES}{one.k}.{name}": array for name, array in one.arrays().items()}
    return arrays


def write(
    path: Path,
    arrays: dict[str, np.ndarray],
    metric: Metric,
    config: RootsConfig,
    key: int | None,
    changed: int,
) -> None:
    """Write the file, whole or not at all; the folder is made if it is missing.

    Raises SphereError when the folder cannot be made or the disk is full, read-only or failing.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, f"make {path}") from error
    settings = {name: value for name, value in asdict(config).items() if name in SETTINGS}
    about = {"format": FORMAT, "version": str(VERSION), "metric": metric, "config": json.dumps(settings)}
    about["changed"] = str(changed)  # rows that came or went since the calibration
    if key is not None:
        about["key"] = str(key)
    write_tensors(path / FILE, arrays, {**about, "sha256": digest(arrays, about)})


def read(folder: Path, *, check: bool) -> Read:
    """Map what `write` wrote. See `Roots.load` for `check` and the errors."""
    path = folder / FILE
    arrays, about = map_tensors(path)
    if about.get("format") != FORMAT:
        raise FormatError(f"{path} is not an index of thesphere: its format is {about.get('format')!r}")
    version, metric, key = about.get("version", ""), about.get("metric"), about.get("key")
    if not version.isdecimal() or len(version) > 9 or int(version) < 1 or metric not in ("ip", "cosine"):
        raise FormatError(f"{path}: version {version!r} or metric {metric!r} is unknown")
    if int(version) > VERSION:
        raise SchemaError(f"{path} has version {version}, this program reads up to {VERSION}; upgrade it")
    changed = about.get("changed", "0")
    for number in (changed, key or "0"):
        if not (number.isdecimal() and len(number) < 20):
            raise FormatError(f"{path}: {number[:30]!r} is no whole number")
    if check and digest(arrays, about) != about.get("sha256"):
        raise FormatError(f"{path} is damaged: its checksum differs; restore it or build it again")
    name = str(path)
    codes = cells = None
    if "cells.starts" in arrays:
        cells = from_arrays(arrays, metric, name)
        count, width = cells.count, cells.centres.shape[1]
        if not cells.members:
            count, none = 0, Content.without_rows(cells, metric)
            arrays |= {"vectors": none.vectors, "ids": none.ids}
    else:
        codes = Codes.from_arrays(arrays, name=name)
        count, width = len(codes), codes.width
    for array, dtype, shape in (("vectors", np.float32, (count, width)), ("ids", np.int64, (count,))):
        found = arrays.get(array)
        if found is None or found.dtype != dtype or found.shape != shape:
            told = "missing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise FormatError(f"{path}: '{array}' is {told}, expected {np.dtype(dtype)} {list(shape)}")
    vectors, ids = arrays["vectors"], arrays["ids"]
    if not ascending(ids) or (len(ids) and ids[0] < 0):
        raise FormatError(f"{path}: 'ids' are not ascending")
    if check and codes is not None:
        _recode(path, vectors, codes)
    if check and cells is not None and cells.members:
        prove(cells, vectors, metric, name, threads=workers())
    calibrations = tuple(rules_of(arrays, name)) if cells is not None and cells.members else ()
    asked = asked_of(arrays, width, name)
    config = _config(about.get("config", "{}"), name)
    seed = None if key is None else int(key)
    return Read(vectors, ids, metric, codes, cells, calibrations, asked, config, seed, int(changed))


def _config(text: str, name: str) -> RootsConfig:
    try:
        told = json.loads(text)
        return RootsConfig(**{setting: told[setting] for setting in SETTINGS if setting in told})
    except (ValueError, TypeError, RecursionError, InputError) as error:
        raise FormatError(f"{name}: its settings {text[:80]!r} are none of an index: {error}") from error


def asked_of(arrays: dict[str, np.ndarray], width: int, name: str) -> np.ndarray | None:
    """The queries that the index was calibrated on, float32 [n, width]; None where it was given none."""
    asked = arrays.get(ASKED)
    if asked is not None and (asked.dtype != np.float32 or asked.ndim != 2 or asked.shape[1] != width):
        raise FormatError(
            f"{name}: '{ASKED}' is {asked.dtype} {list(asked.shape)}, expected float32 [n, {width}]"
        )
    if asked is not None and not (len(asked) and np.isfinite(asked).all()):
        raise FormatError(f"{name}: '{ASKED}' is empty, or holds NaN or infinity")
    return asked


def rules_of(arrays: dict[str, np.ndarray], name: str) -> list[Calibration]:
    """The calibrations among `arrays`, by ascending k. Raises FormatError when one is none."""
    groups: dict[int, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        if key.startswith(RULES):
            k, _, rest = key.removeprefix(RULES).partition(".")
            if not k.isdecimal() or not 0 < len(k) < 10:
                raise FormatError(f"{name}: the array {key[:60]!r} names no k")
            groups.setdefault(int(k), {})[rest] = array
    try:
        rules = [Calibration.from_arrays(groups[k], name) for k in sorted(groups)]
    except InputError as error:
        raise FormatError(f"{name}: {error}") from error
    if [rule.k for rule in rules] != sorted(groups):
        raise FormatError(f"{name}: a calibration is not of the k that it is named by")
    return rules


def ascending(names: np.ndarray) -> bool:
    """Whether integers rise strictly."""
    return bool((names[1:] > names[:-1]).all())


def digest(arrays: dict[str, np.ndarray], about: dict[str, str]) -> str:
    """SHA-256 over what is told about the arrays, and names, types, shapes and bytes, in the order of names."""
    told = hashlib.sha256()
    if about.get("version") != "1":
        told.update(json.dumps(sorted(item for item in about.items() if item[0] != "sha256")).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        told.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        told.update(array.data.cast("B") if array.size else b"")
    return told.hexdigest()


def _recode(path: Path, vectors: np.ndarray, codes: Codes) -> None:
    """Refuse codes that are not those of the vectors."""
    for first in range(0, len(vectors), _BLOCK):
        end = min(first + _BLOCK, len(vectors))
        try:
            fresh = encode(vectors[first:end]).arrays()
        except InputError as error:
            raise FormatError(f"{path}: after row {first}: {error}") from error
        stored = codes.cut(first, end).arrays()
        if not all(np.array_equal(fresh[name], stored[name]) for name in fresh):
            raise FormatError(f"{path}: the codes of rows {first} to {end} are not those of the vectors")
