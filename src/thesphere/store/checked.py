"""A foreign file's arrays behind checks: what comes out is what it claims, or FormatError is raised."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from thesphere.errors import FormatError

_BLOCK = 1 << 22  # values looked at together
_ROUNDING = 1e-4  # nats: how far below zero a float32 entropy can come out


@dataclass
class Tensors:
    """The arrays and metadata of one file, with notes on what was converted or is unusual.

    Every method returns what its name promises or raises FormatError with file, key, found and expected.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]
    notes: dict[str, str] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key in self.arrays

    @property
    def tag(self) -> str:
        """The earlier ingest's name of the layout, or nothing."""
        name = self.metadata.get("format", "")
        return name if name.startswith("blt_patches_") else ""

    def wrong(self, key: str, found: object, expected: str) -> FormatError:
        """The error to raise."""
        return FormatError(f"{self.path}: {key} is {found}; expected {expected}")

    def note(self, key: str, text: str) -> None:
        """Add to what the metadata will say under "note.KEY"."""
        self.notes[key] = f"{self.notes[key]}; {text}" if key in self.notes else text

    def unbatched(self, key: str, dimensions: int) -> np.ndarray:
        """The array with `dimensions` axes, a leading batch axis of 1 taken off."""
        if key not in self.arrays:
            raise FormatError(
                f"{self.path} has no {key}; it has {', '.join(sorted(self.arrays))[:200] or 'nothing'}"
            )
        array = self.arrays[key]
        if array.ndim == dimensions + 1 and array.shape[0] == 1:
            array = array[0]
        if array.ndim != dimensions:
            raise self.wrong(key, f"of shape {list(array.shape)}", f"{dimensions} axes, or a batch of one")
        return array

    def floats(self, key: str, shape: tuple[int | None, ...], least: float | None = None) -> np.ndarray:
        """Finite float32 of that shape (None: any), at least `least`; other widths are converted."""
        array = self.unbatched(key, len(shape))
        if array.dtype.kind != "f" or array.dtype.itemsize > 8:
            raise self.wrong(key, f"of dtype {array.dtype}", "float32")
        if any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
            wanted = ", ".join("any" if want is None else str(want) for want in shape)
            raise self.wrong(key, f"of shape {list(array.shape)}", f"[{wanted}]")
        if array.dtype != np.float32:
            self.note(key, f"converted from {array.dtype.name} to float32")
            with np.errstate(over="ignore"):
                narrow = np.ascontiguousarray(array, np.float32)
        else:
            narrow = np.ascontiguousarray(array)
        for row, (block, before) in enumerate(zip(_blocks(narrow), _blocks(array), strict=True)):
            finite = np.isfinite(block)
            if not finite.all():
                bad = ~finite.reshape(len(block), -1).all(axis=1)
                at = row * _rows_per_block(narrow) + int(np.argmax(bad))
                found = "too large for float32" if np.isfinite(before).all() else "NaN or infinite"
                raise self.wrong(f"{key}, row {at},", found, "a finite value")
            if least is not None and block.min(initial=least) < least:
                raise self.wrong(key, f"as low as {block.min():g}", f"at least {least:g}")
        return narrow

    def entropies(self, key: str, count: int) -> np.ndarray:
        """Nats; values that rounding brought just below zero become zero."""
        values = self.floats(key, (count,), least=-_ROUNDING)
        return np.maximum(values, 0) if values.min(initial=0) < 0 else values

    def whole(self, key: str, count: int | None = None) -> np.ndarray:
        """int64 [count] in [0, 2^62); any integer dtype is taken."""
        array = self.unbatched(key, 1)
        if array.dtype.kind not in "iu":
            raise self.wrong(key, f"of dtype {array.dtype}", "int32")
        if count is not None and len(array) != count:
            raise self.wrong(key, f"of length {len(array)}", str(count))
        if array.min(initial=0) < 0:
            raise self.wrong(key, f"as low as {array.min()}", "at least 0")
        if array.max(initial=0) >= 1 << 62:
            raise self.wrong(key, f"as high as {array.max()}", "less than 2^62")
        if array.dtype not in (np.int32, np.int64):
            self.note(key, f"converted from {array.dtype.name} to int64")
        return array.astype(np.int64)

    def sizes(self, key: str, count: int | None = None) -> np.ndarray:
        """Whole numbers whose sum is a number of bytes or rows."""
        sizes = self.whole(key, count)
        if sizes.sum(dtype=np.float64) >= 2.0**62:
            raise self.wrong(key, f"{sizes.sum(dtype=np.float64):g} in sum", "less than 2^62")
        return sizes

    def raw(self, key: str) -> np.ndarray:
        """uint8 [T]."""
        array = self.unbatched(key, 1)
        if array.dtype != np.uint8:
            raise self.wrong(key, f"of dtype {array.dtype}", "uint8")
        return array

    def lengths(self, key: str, lengths: np.ndarray, data: np.ndarray) -> None:
        """Rows may not run past the bytes. They may end early, as for the earlier loaders: that is noted."""
        total = int(lengths.sum())
        if total > len(data):
            raise FormatError(
                f"{self.path}: {key} sums to {total}, but there are {len(data)} bytes; the rows were "
                "cut from pre-tokenised data that the file does not hold: remove the bytes or export it again"
            )
        if total < len(data):
            self.note(key, f"{len(data) - total} bytes follow the last row")

    def claims(self, keys: tuple[str, ...], actual: int) -> None:
        """Counts in the metadata, if there are any, are the real ones."""
        for key in keys:
            said = self.metadata.get(key)
            if self.tag and said is not None and said != str(actual):
                raise self.wrong(f"metadata {key}", repr(said[:30]), str(actual))

    def points(self) -> tuple[np.ndarray, np.ndarray, str]:
        """Embeddings, prominence and its kind: what the file declares, else the norms."""
        embeddings = self.floats("embeddings", (None, None))
        if embeddings.shape[1] == 0:
            raise self.wrong("embeddings", f"of shape {list(embeddings.shape)}", "a width of at least 1")
        if "prominence" in self:
            return embeddings, self.floats("prominence", (len(embeddings),), least=0), "declared"
        prominence = norms(embeddings)
        if not np.isfinite(prominence).all():
            raise self.wrong("embeddings", "so large that a norm exceeds float32", "norms below 3.4e38")
        return embeddings, prominence, "norm"

    def optional(self, key: str, count: int) -> np.ndarray | None:
        """float32 [count], or None where there is no such array."""
        return self.floats(key, (count,)) if key in self else None

    def all_metadata(self) -> dict[str, str]:
        """The file's own metadata and the notes."""
        return {**self.metadata, **{f"note.{key}": note for key, note in self.notes.items()}}


def norms(embeddings: np.ndarray) -> np.ndarray:
    """float32 [N]: L2 norms, summed in float64 (infinite if one exceeds float32)."""
    found = np.empty(len(embeddings), np.float32)
    at = 0
    with np.errstate(over="ignore"):
        for block in _blocks(embeddings):
            wide = block.astype(np.float64)
            found[at : at + len(block)] = np.sqrt(np.einsum("ij,ij->i", wide, wide))
            at += len(block)
    return found


def means(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """float32 [P, ...]: means, taken in float64, of runs of `sizes` rows; an empty run gives zero."""
    means = np.zeros((len(sizes), *values.shape[1:]), np.float32)
    full = np.flatnonzero(sizes)
    starts = (np.cumsum(sizes) - sizes)[full]
    ends = starts + sizes[full]
    step = max(1, _BLOCK // max(1, values[:1].size))
    for first in range(0, len(full), step):  # runs together: a bound on the sums' memory
        rows = slice(first, first + step)
        begin, end = starts[rows][0], ends[rows][-1]
        sums = np.add.reduceat(values[begin:end], starts[rows] - begin, axis=0, dtype=np.float64)
        means[full[rows]] = sums / sizes[full[rows]].reshape(-1, *[1] * (values.ndim - 1))
    return means


def _rows_per_block(array: np.ndarray) -> int:
    return max(1, _BLOCK // max(1, array[:1].size))


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    step = _rows_per_block(array)
    return (array[at : at + step] for at in range(0, len(array), step))
