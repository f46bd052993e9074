"""Rows as int8 codes with everything a rigorous bound needs: scale, residual and length.

A row x is kept as x_hat = scale * code. Residual |x - x_hat| and length |x| are stored *in units of the row's
scale* and rounded up, so that rows of 1e18 and of 1e-18 keep full precision and nothing overflows. From them
follows, for a query q coded the same way, with e = |q - q_hat| (Cauchy-Schwarz, twice):

    |<q, x> - <q_hat, x_hat>|  <=  e * |x|  +  |q_hat| * |x - x_hat|
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numba import njit

from thesphere.errors import FormatError, InputError
from thesphere.nn.tiles import packed_columns
from thesphere.runtime import precision_of

Storage = Literal["float32", "int8"]

WIDEST = 1 << 17  # the sum of that many products of codes, each at most 127 * 127, still fits an int32
LANE = 64  # bytes: coded rows are padded to a multiple of a cache line
SUMS = 16  # partial sums
SMALLEST = 2.0**-126  # the smallest normal float32; smaller scales would lose their own precision
POWERS = 2.0 ** (np.arange(32) - 25.0)  # of the exponents of float16
CODE = np.dtype(precision_of("scan")).type
FIELDS = {"codes": CODE, "scales": np.float32, "residuals": np.float16, "lengths": np.float32}


@dataclass(frozen=True)
class Codes:
    """N coded rows. Built by `encode`, or by `from_arrays` from what `arrays` gave.

    Attributes:
        codes: int8 [N, W], W = the width padded with zeros to a multiple of 64.
        scales: float32 [N], positive; x_hat = scale * code.
        residuals: float16 [N], |x - x_hat| / scale, rounded up; 0 where the code *is* the vector.
        lengths: float32 [N], |x| / scale, rounded up.
        width: D, the number of columns that mean something.
    """

    codes: np.ndarray
    scales: np.ndarray
    residuals: np.ndarray
    lengths: np.ndarray
    width: int

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def norms(self) -> np.ndarray:
        """float64 [N]: |x|, at most a float32 rounding too large, never too small."""
        return self.lengths.astype(np.float64) * self.scales

    @cached_property
    def lossless(self) -> bool:
        """Whether the codes are the vectors themselves (storage "int8")."""
        return not self.residuals.view(np.uint16).any()

    @cached_property
    def packed(self) -> np.ndarray:
        """The codes as the right side of `nn.tiles.multiply`: int8 [T, 16 W], zeros behind the last row."""
        return packed_columns(self.codes)

    def cut(self, start: int, end: int) -> "Codes":
        """Rows start .. end - 1, as views."""
        return self.some(slice(start, end))

    def some(self, rows: np.ndarray | slice) -> "Codes":
        """Chosen rows, as copies unless they are a slice."""
        return Codes(*(getattr(self, name)[rows] for name in FIELDS), width=self.width)

    def derived(self, metric: str, tile: int) -> tuple[tuple[np.ndarray, ...], list[tuple[float, ...]]]:
        """Per row (relative weight float32, weight float64, residual float32, length float32); per tile of
        `tile` rows (largest weight, residual, length). The weight is the scale ("ip") or 1 / length
        ("cosine", 0 for a zero vector); relative means to the largest of its tile. Computed once per metric.
        """
        known = self.__dict__.setdefault("_derived", {})
        if (metric, tile) not in known:
            known[metric, tile] = self._derive(metric, tile)
        return known[metric, tile]

    def _derive(self, metric: str, tile: int) -> tuple[tuple[np.ndarray, ...], list[tuple[float, ...]]]:
        if metric == "ip":
            weights = self.scales.astype(np.float64)
        else:
            lengths = self.lengths.astype(np.float64)
            weights = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        residuals = self.residuals.astype(np.float32)
        relative = np.empty(len(self), dtype=np.float32)
        tiles = []
        for first in range(0, len(self), tile):
            cut = slice(first, first + tile)
            top = float(weights[cut].max()) or 1.0
            relative[cut] = weights[cut] / top
            tiles.append((top, float(residuals[cut].max()), float(self.lengths[cut].max())))
        rows = (relative, weights, residuals, self.lengths)
        return tuple(frozen(column) for column in rows), tiles

    @property
    def row_bytes(self) -> int:
        """Bytes that a scan reads of one row."""
        return self.codes.shape[1] + 10

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, by name; `width` travels as an int64 array of one element."""
        named = {name: getattr(self, name) for name in FIELDS}
        return {**named, "width": np.array([self.width], dtype=np.int64)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], *, name: str = "coded rows") -> "Codes":
        """Codes over stored (also memory-mapped, read-only) arrays, which are checked and not copied.

        Args:
            arrays: what `arrays` gave, by name; others are left alone.
            name: how an error names them, the path of their file for example.

        Raises FormatError when an array is missing or has another type, shape or range than `arrays` gives.
        """
        kept = {}
        for key, dtype in {**FIELDS, "width": np.int64}.items():
            if key not in arrays:
                raise FormatError(f"{name}: the array '{key}' is missing; write them again with encode")
            kept[key] = np.asarray(arrays[key])
            rank = 2 if key == "codes" else 1
            if kept[key].dtype != dtype or kept[key].ndim != rank or not kept[key].flags.c_contiguous:
                raise FormatError(
                    f"{name}: '{key}' is {kept[key].dtype} of {kept[key].ndim} dimensions, "
                    f"expected {np.dtype(dtype)} of {rank}"
                )
        rows, padded = kept["codes"].shape
        for key in ("scales", "residuals", "lengths"):
            if len(kept[key]) != rows:
                raise FormatError(f"{name}: '{key}' has {len(kept[key])} rows, 'codes' has {rows}")
            if not np.isfinite(kept[key]).all() or (kept[key] < 0).any():
                raise FormatError(f"{name}: '{key}' holds a value that is negative or not finite")
        if (kept["scales"] < SMALLEST).any():
            raise FormatError(f"{name}: 'scales' holds a value that is not a positive normal float32")
        width = int(kept["width"][0]) if len(kept["width"]) == 1 else -1
        if not 1 <= width <= WIDEST or padded != _padded(width):
            raise FormatError(
                f"{name}: width {width} does not fit codes of {padded} bytes (at most {WIDEST})"
            )
        return cls(**{key: kept[key] for key in FIELDS}, width=width)


def _padded(width: int) -> int:
    return -(-width // LANE) * LANE


def as_rows(values, what: str = "vectors", width: int | None = None, *, one: bool = False) -> np.ndarray:
    """`values` as C-contiguous float32 [N, D], copied only if needed; with `one`, also [D] as a single row.

    Raises InputError when it is no array of numbers or not `width` wide, telling both widths. NaN is left to
    `encode`, which finds it while it reads the rows anyway.
    """
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal length
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{what}: expected an array of numbers [N, D], got {type(values).__name__}")
    if one and array.ndim == 1:
        array = array[None]
    columns = array.shape[-1] if array.ndim == 2 else 0
    if not columns:
        raise InputError(f"{what}: expected the shape [N, D] with D at least 1, got {list(array.shape)}")
    if columns > WIDEST:
        raise InputError(f"{what} are {columns} wide; at most {WIDEST} columns are indexed")
    if width is not None and columns != width:
        raise InputError(
            f"{what} are {columns} wide, the index is {width} wide; use the encoder that made it"
        )
    if array.dtype == np.float32:
        return np.ascontiguousarray(array)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite and is refused by number
        return np.ascontiguousarray(array, dtype=np.float32)


def encode(vectors, *, storage: Storage = "float32", what: str = "vectors") -> Codes:
    """Code float32 [N, D] rows as int8.

    Args:
        vectors: array of numbers [N, D], any magnitudes that float32 holds.
        storage: "float32" when the vectors are kept beside the codes for re-scoring; "int8" when the code
            times its scale is from now on *the* vector (residual 0, length that of the code).
        what: how an error names the rows.

    Raises InputError for rows with NaN or infinity, by number, and for arrays that are not [N, D].
    """
    if storage not in ("float32", "int8"):
        raise InputError(f"storage is {storage!r}, expected 'float32' or 'int8'")
    rows = as_rows(vectors, what)
    codes, residuals = empty_codes(*rows.shape)
    lossless = storage == "int8"
    refuse(encode_pass(frozen(rows), codes.codes, codes.scales, residuals, codes.lengths, lossless), what)
    return codes


def empty_codes(count: int, width: int) -> tuple[Codes, np.ndarray]:
    """Codes to be filled by `encode_pass`, and their residuals as uint16."""
    scales, lengths = np.empty((2, count), dtype=np.float32)
    residuals = np.empty(count, dtype=np.uint16)
    codes = np.zeros((count, _padded(width)), dtype=CODE)
    return Codes(codes, scales, residuals.view(np.float16), lengths, width), residuals


def refuse(bad: int, what: str) -> None:
    """Raise InputError for the row that `encode_pass` could not code, if there was one."""
    if bad >= 0:
        raise InputError(f"{what}: row {bad} holds NaN or infinity; leave it out or repair it")


def frozen(array: np.ndarray) -> np.ndarray:
    """A read-only base-class view: numba then compiles each kernel once, memory-mapped or not."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


@njit(cache=True, nogil=True, error_model="numpy")
def residual(bits):
    """The float16 >= 0 of these bits, uint16, as float64."""
    exponent, fraction = bits >> 10, bits & 1023
    return (fraction + 1024.0) * POWERS[exponent] if exponent else fraction * POWERS[1]


@njit(cache=True, nogil=True, error_model="numpy")
def _half(value):
    """The bits of the least float16 that is not below a float64 >= 0."""
    mantissa, exponent = math.frexp(value)  # 2 mantissa is 1 and ten bits, exponent - 1 its power
    if value < 2.0**-14:  # too small for that: whole 2^-24ths
        return np.uint16(np.ceil(value * 2.0**24))
    if value > 65504.0:
        return np.uint16(0x7C00)
    fraction = np.int64(np.ceil((2.0 * mantissa - 1.0) * 1024.0))
    return np.uint16(((exponent + 14) << 10) + fraction)  # 1024 of them carry into the exponent


@njit(cache=True, nogil=True, error_model="numpy")
def _float(value):
    """The least float32 that is not below a float64 >= 0."""
    single = np.float32(value)
    return np.nextafter(single, np.float32(np.inf)) if np.float64(single) < value else single


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _code(row, first, step, inverse, lossless, made, at, missed, square):
    """Code SUMS numbers of a row, and add up what is missed, in units of the step, and the squares."""
    for c in range(SUMS):  # SUMS sums side by side: compilers make vectors of them
        value = np.float64(row[first + c])
        code = np.rint(value * inverse)
        made[at + c] = np.int8(code)
        if lossless:
            value = code * step
        miss = (value - code * step) * inverse
        missed[c] += miss * miss
        square[c] += value * value


@njit(cache=True, nogil=True, error_model="numpy")
def encode_pass(rows, codes, scales, residuals, lengths, lossless):
    """Fill the outputs row by row; returns the first row that is not finite, or -1."""
    count, width = rows.shape
    whole, bits = width // SUMS * SUMS, rows.view(np.uint32)
    rest, most, missed, square = (
        np.zeros(SUMS, np.float32),
        np.empty(1, np.uint32),
        np.empty(SUMS),
        np.empty(SUMS),
    )
    for i in range(count):
        largest = np.uint32(0)
        for j in range(width):  # positive floats are ordered as their bits are
            largest = max(largest, np.uint32(bits[i, j] & np.uint32(0x7FFFFFFF)))
        if largest >= np.uint32(0x7F800000):  # infinite or no number
            return i
        most[0] = largest
        top = np.float64(most.view(np.float32)[0])
        # a little more than top / 127, so that the rounded scale never makes a code leave [-127, 127]
        scale = np.float32(max(top / 127.0 * (1.0 + 2.0**-23), 2.0**-126))
        step = np.float64(scale)
        inverse = 1.0 / step
        row, made, missed[:], square[:] = rows[i], codes[i], 0.0, 0.0
        for first in range(0, whole, SUMS):
            _code(row, first, step, inverse, lossless, made, first, missed, square)
        if whole < width:  # codes are wider, with zeros
            rest[: width - whole] = row[whole:]
            _code(rest, 0, step, inverse, lossless, made, whole, missed, square)
        # the float64 sums may be low by about width * 2^-53
        scales[i] = scale
        residuals[i] = _half(np.sqrt(missed.sum()) * (1.0 + 1e-9))
        lengths[i] = _float(np.sqrt(square.sum()) * inverse * (1.0 + 1e-9))
    return -1
