"""Exact products of matrices of bytes, the right side laid out once: by whatever is quickest on this processor.

Integers come out the same on every way. With tiles (AMX) numkong is quickest, with `vpdpbusd` alone our own
kernel (212 against 107 thousand million products a second, 512 x 512 x 384, Zen 4), elsewhere numkong; where it
is not installed or not right BLAS is left: float32 holds every integer up to 2^24.
"""

from functools import cache
from typing import Any, Literal

import numpy as np

from thesphere.nn.tiles import COLUMNS, LANES, multiply, packed_columns, tiles_allowed
from thesphere.room import aligned

Way = Literal["lanes", "numkong", "blas"]
_EXACT = 1024  # so many products of two bytes, at most 2^14 each, add up to at most 2^24


@cache
def numkong_is_exact() -> bool:
    """Whether numkong is there and its int8 products are exact on this processor: tried once, on extremes."""
    try:
        import numkong  # noqa: F401
    except ImportError:
        return False
    rows = np.full((19, 768), -127, np.int8)
    rows[::2, ::3] = 127
    rows[5] = np.arange(768) % 255 - 127
    found = np.zeros((19, 17), np.int32)
    Packed(rows[:17], "numkong")(rows, found)
    return bool(np.array_equal(found, rows.astype(np.int32) @ rows[:17].T.astype(np.int32)))


def ways() -> list[Way]:
    """What there is on this processor, quickest first; BLAS always."""
    found: list[Way] = ["lanes"] * bool(LANES)
    if numkong_is_exact():
        found.insert(0 if tiles_allowed() else len(found), "numkong")
    return [*found, "blas"]


class Packed:
    """The right side of exact products of bytes.

    Args:
        right: int8 [N, K]; for "lanes" K is a multiple of 4.
        way: None for the first of `ways` that can; all give the same integers.

    `wide` columns, N or some more, are what it computes: an `out` of so many needs no copy.
    """

    def __init__(self, right: np.ndarray, way: Way | None = None) -> None:
        self.way = way or next(each for each in ways() if each != "lanes" or right.shape[1] % 4 == 0)
        self.wide = self._count = len(right)
        self._right: Any
        if self.way == "lanes":
            self._right = packed_columns(right)
            self.wide = COLUMNS * len(self._right)
        elif self.way == "numkong":
            import numkong

            self._right = numkong.dots_pack(right)
        else:
            self._right = np.ascontiguousarray(right.T, np.float32)

    def __call__(self, left: np.ndarray, out: np.ndarray) -> None:
        """Products with left, int8 [R, K] (contiguous), into the first N columns of out, int32 [R, N] or
        [R, wide] (contiguous; what is behind is anything)."""
        if self.way == "numkong":
            import numkong

            # numkong writes into its own tensors only: a view of ours
            view = numkong.from_pointer(out.ctypes.data, out.shape, "int32", owner=out)
            numkong.dots_packed(left, self._right, out=view)
        elif self.way == "blas":
            out[:] = _by_blas(left, self._right)
        elif out.shape[1] == self.wide:
            multiply(left, self._right, out, False)
        else:
            wide = aligned((len(left), self.wide), np.int32)
            multiply(left, self._right, wide, False)
            out[:] = wide[:, : self._count]


def _by_blas(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of left, int8 [R, K], with right, float32 [K, N]."""
    total = np.zeros((len(left), right.shape[1]), np.int32)
    for first in range(0, left.shape[1], _EXACT):
        part = slice(first, first + _EXACT)
        total += (left[:, part].astype(np.float32) @ right[part]).astype(np.int32)
    return total
