"""Exact products of bytes by numkong, where it is installed and right on this processor."""

from functools import cache
from typing import Any

import numpy as np


@cache
def numkong_is_exact() -> bool:
    """Whether numkong is there and its int8 products are exact on this processor: tried once, on extremes."""
    try:
        import numkong
    except ImportError:
        return False
    rows = np.full((19, 768), -127, np.int8)
    rows[::2, ::3] = 127
    rows[5] = np.arange(768) % 255 - 127
    found = np.zeros((19, 17), np.int32)
    multiply_packed(rows, numkong.dots_pack(rows[:17]), found)
    return bool(np.array_equal(found, rows.astype(np.int32) @ rows[:17].T.astype(np.int32)))


def multiply_packed(rows: np.ndarray, packed: Any, out: np.ndarray) -> None:
    """Products of rows int8 [R, W] with what `numkong.dots_pack` made of int8 [Q, W], into out, int32 [R, Q]."""
    import numkong

    # numkong writes into its own tensors only: a view of ours
    view = numkong.from_pointer(out.ctypes.data, out.shape, "int32", owner=out)
    numkong.dots_packed(rows, packed, out=view)
