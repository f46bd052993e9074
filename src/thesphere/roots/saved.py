"""Cells as named arrays, and back: what comes from a file is checked before a kernel sees it."""

from dataclasses import fields

import numpy as np

from thesphere.errors import FormatError, InputError
from thesphere.geometry.zones import CONTENT, QUESTION
from thesphere.roots.cells import LARGEST, PIECE, Cells, distances
from thesphere.roots.partition.sketch import BINS
from thesphere.roots.routing import router_from
from thesphere.roots.summary import Summary
from thesphere.scan.part import Metric
from thesphere.scan.rows import FIELDS, Codes, encode

OWN, ROOTS, CODES, ROUTER = "cells.", "roots.", "codes.", "router."  # what names begin with
_ROOT_KINDS = {  # type and further axes of the summary's arrays; -1: the width
    "starts": (np.int64, ()),
    "centroid": (np.float32, (-1,)),
    "spread": (np.float32, ()),
    "radius_range": (np.float32, (2,)),
    "prominence": (np.float32, (4,)),
    "position": (np.float32, (3,)),
    "sketch": (np.uint16, (BINS,)),
    "count": (np.int64, ()),
}


def to_arrays(cells: Cells) -> dict[str, np.ndarray]:
    """The arrays to store, by name; without members there are no `cells.rows`, `cells.copies` and `codes.*`."""
    named = {OWN + name: getattr(cells, name) for name in ("starts", "centres", "reaches", "norms", "roles")}
    named |= {ROOTS + field.name: getattr(cells.roots, field.name) for field in fields(Summary)}
    named |= {ROUTER + name: array for name, array in cells.router.arrays().items()}
    if cells.members:
        named |= {OWN + "rows": cells.rows, OWN + "copies": cells.copies}
        named |= {CODES + name: array for name, array in cells.codes.arrays().items()}
    return named


def from_arrays(arrays: dict[str, np.ndarray], metric: Metric, name: str = "cells") -> Cells:
    """Cells over stored (also memory-mapped, read-only) arrays, which are checked and not copied.

    Every shape, number of a row or cell, and float that the scan relies on to stay inside its arrays is checked;
    whether codes, balls and order are those of the vectors is for `prove`.

    Args:
        arrays: what `to_arrays` gave, by name; others are left alone.
        metric: of the index.
        name: how an error names them, the path of their file for example.

    Raises:
        FormatError: an array is missing, or has another type, shape or range than `to_arrays` gives.
    """
    taken = _Taken(arrays, name)
    starts = taken.bounds(OWN + "starts", None)
    count = len(starts) - 1
    centres = taken.floats(OWN + "centres", (count, None))
    width = centres.shape[1]
    reaches, norms = (taken.floats(OWN + part, (count,), least=0) for part in ("reaches", "norms"))
    roles = taken(OWN + "roles", np.int8, (count,))
    if roles.min() < CONTENT or roles.max() > QUESTION:
        raise FormatError(f"{name}: '{OWN}roles' holds a role that is none of 0, 1 and 2")
    roots = _roots(taken, count, width)
    router = router_from(_below(arrays, ROUTER), metric, name, cells=count, width=width)
    if OWN + "rows" not in arrays:
        rows, copies = np.zeros(0, np.int32), np.zeros(0, np.bool_)
        codes = encode(np.zeros((0, width), np.float32))
        return Cells(starts, rows, copies, codes, router, roots, centres, reaches, norms, roles)
    codes = Codes.from_arrays(_below(arrays, CODES), name=name)
    slots = int(starts[-1])
    if len(codes) != slots or codes.width != width:
        raise FormatError(
            f"{name}: {len(codes)} rows of width {codes.width} are coded, the cells hold {slots} of {width}"
        )
    rows = taken(OWN + "rows", np.int32, (slots,))
    copies = taken(OWN + "copies", np.bool_, (slots,))
    firsts = rows[~copies]
    if rows.min() < 0 or rows.max() >= len(firsts):
        raise FormatError(f"{name}: '{OWN}rows' runs from {rows.min()} to {rows.max()} of {len(firsts)} rows")
    seen = np.zeros(len(firsts), np.bool_)
    seen[firsts] = True
    if not seen.all():
        raise FormatError(f"{name}: row {seen.argmin()} has no slot in '{OWN}rows' that is not a copy")
    own = np.add.reduceat(~copies, starts[roots.starts[:-1]], dtype=np.int64)
    if not np.array_equal(own, roots.count):
        raise FormatError(f"{name}: '{ROOTS}count' differs from the rows in the roots' cells")
    return Cells(starts, rows, copies, codes, router, roots, centres, reaches, norms, roles)


def prove(
    cells: Cells, vectors: np.ndarray, metric: Metric, name: str = "cells", *, threads: int = 1
) -> None:
    """Check against the vectors whatever a proved answer rests on: codes, order within cells, balls and norms,
    and that a router for cosine scores the centres of the balls.

    Args:
        cells: with members.
        vectors: float32 [N, D].
        metric: of the index.
        name: how an error names them.
        threads: workers.

    Raises:
        FormatError: something differs from what `build_cells` makes of such rows.
    """
    if vectors.shape != (cells.count, cells.codes.width):
        raise FormatError(
            f"{name}: the cells are of {cells.count} rows of width {cells.codes.width}, the vectors are"
            f" {list(vectors.shape)}"
        )
    labels = cells.labels
    for first in range(0, len(labels), PIECE):
        end = min(first + PIECE, len(labels))
        try:
            fresh, stored = encode(vectors[cells.rows[first:end]]), cells.codes.cut(first, end)
        except InputError as error:
            raise FormatError(f"{name}: among slots {first} to {end}: {error}") from error
        if not all(np.array_equal(getattr(fresh, part), getattr(stored, part)) for part in FIELDS):
            raise FormatError(f"{name}: the codes of slots {first} to {end} are not those of the vectors")
    lengths, rows = cells.codes.norms, cells.rows
    inside = labels[1:] == labels[:-1]
    falls = (lengths[1:] < lengths[:-1]) | ((lengths[1:] == lengths[:-1]) & (rows[1:] > rows[:-1]))
    if (inside & ~falls).any():
        slot = int(np.flatnonzero(inside & ~falls)[0])
        raise FormatError(f"{name}: slots {slot} and {slot + 1} are not in the order of norms, then rows")
    reach = distances(vectors, rows, labels, cells.centres, metric, threads=threads)
    lengths = np.minimum(lengths, LARGEST)
    if (lengths > cells.norms[labels].astype(np.float64)).any() or (reach > cells.reaches[labels]).any():
        raise FormatError(f"{name}: a row lies outside the ball of its cell")
    if metric == "cosine":
        routed, coded = cells.router.arrays(), encode(cells.centres)
        if "bias" in routed or not all(np.array_equal(routed[part], getattr(coded, part)) for part in FIELDS):
            raise FormatError(f"{name}: the router's codes are not those of the centres")


class _Taken:
    """Arrays by name, each checked when it is taken."""

    def __init__(self, arrays: dict[str, np.ndarray], name: str) -> None:
        self.arrays = arrays
        self.name = name

    def __call__(self, key: str, kind: type, shape: tuple[int | None, ...]) -> np.ndarray:
        """The array of that type and shape; None stands for any length from 1 on."""
        if key not in self.arrays:
            raise FormatError(f"{self.name}: the array '{key}' is missing; build the index again")
        array = np.asarray(self.arrays[key])
        fits = array.ndim == len(shape) and all(
            have == want if want is not None else have > 0
            for have, want in zip(array.shape, shape, strict=False)
        )
        if array.dtype != kind or not fits or not array.flags.c_contiguous:
            told = ["any" if length is None else length for length in shape]
            raise FormatError(
                f"{self.name}: '{key}' is {array.dtype} {list(array.shape)}, expected {np.dtype(kind)} {told}"
            )
        return array

    def floats(self, key: str, shape: tuple[int | None, ...], least: float = -np.inf) -> np.ndarray:
        """float32, finite, and not below `least`."""
        array = self(key, np.float32, shape)
        if not np.isfinite(array).all() or (array < least).any():
            raise FormatError(f"{self.name}: '{key}' holds a value that is not finite, or negative")
        return array

    def bounds(self, key: str, last: int | None) -> np.ndarray:
        """int64, rising from 0 to `last` (None: anything below 2^31)."""
        array = self(key, np.int64, (None,))
        if len(array) < 2 or array[0] != 0 or not (array[1:] > array[:-1]).all():
            raise FormatError(f"{self.name}: '{key}' does not rise from 0")
        if array[-1] >= 1 << 32 or (last is not None and array[-1] != last):
            raise FormatError(f"{self.name}: '{key}' ends at {array[-1]}, expected {last}")
        return array


def _below(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _roots(taken: _Taken, cells: int, width: int) -> Summary:
    starts = taken.bounds(ROOTS + "starts", cells)
    shapes = {
        part: (kind, (len(starts) - 1, *(width if axis < 0 else axis for axis in axes)))
        for part, (kind, axes) in _ROOT_KINDS.items()
        if part != "starts"
    }
    found = {
        part: taken.floats(ROOTS + part, shape) if kind is np.float32 else taken(ROOTS + part, kind, shape)
        for part, (kind, shape) in shapes.items()
    }
    if (found["count"] < 1).any():
        raise FormatError(f"{taken.name}: '{ROOTS}count' holds a root without rows")
    return Summary(starts=starts, **found)
