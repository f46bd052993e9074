"""Products of matrices of bytes inside kernels: exact on every way there is on this machine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.nn import tiles
from thesphere.room import aligned

WAYS = ["_loop"] + ["_by_lanes"] * bool(tiles.LANES) + ["_by_tiles"] * tiles.tiles_allowed()


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=12, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(0, 1 << 30))
def test_exact(way: str, rows: int, columns: int, depth: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left = aligned((rows * tiles.ROWS, depth * tiles.DEPTH), np.int8)
    right = rng.integers(-128, 128, (columns * tiles.COLUMNS, depth * tiles.DEPTH)).astype(np.int8)
    left[:] = rng.choice([-128, -127, -1, 0, 1, 127], left.shape)
    right[::3] = -128
    packed = right.reshape(len(right) // 16, 16, -1, 4).transpose(0, 2, 1, 3)
    packed = np.ascontiguousarray(packed).reshape(len(right) // 16, -1)
    out = np.full((len(left), len(right)), 99, np.int32)
    getattr(tiles, way)(left, packed, out)
    np.testing.assert_array_equal(out, left.astype(np.int32) @ right.T.astype(np.int32))
    out[:] = 99
    tiles.multiply(left, packed, out, way == "_by_tiles")
    np.testing.assert_array_equal(out, left.astype(np.int32) @ right.T.astype(np.int32))
