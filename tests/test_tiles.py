"""Products of matrices of bytes inside kernels: exact on every way there is on this machine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.nn import tiles
from thesphere.nn.packed import Packed, Way, ways
from thesphere.room import aligned

WAYS = ["_loop"] + ["_by_lanes"] * bool(tiles.LANES) + ["_by_tiles"] * tiles.tiles_allowed()


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=12, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(0, 1 << 30))
def test_exact(way: str, rows: int, columns: int, depth: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    odd = (way == "_by_lanes") * rng.integers(0, 8, 2)  # rows and groups of four bytes beyond the multiples
    left = aligned((rows * tiles.ROWS + odd[0], depth * tiles.DEPTH + 4 * odd[1]), np.int8)
    right = rng.integers(-128, 128, (columns * tiles.COLUMNS, left.shape[1])).astype(np.int8)
    left[:] = rng.choice([-128, -127, -1, 0, 1, 127], left.shape)
    right[::3] = -128
    packed = tiles.packed_columns(right)
    out = np.full((len(left), len(right)), 99, np.int32)
    getattr(tiles, way)(left, packed, out)
    np.testing.assert_array_equal(out, left.astype(np.int32) @ right.T.astype(np.int32))
    out[:] = 99
    tiles.multiply(left, packed, out, way == "_by_tiles")
    np.testing.assert_array_equal(out, left.astype(np.int32) @ right.T.astype(np.int32))


@pytest.mark.parametrize("way", ways())
@settings(max_examples=12, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 1100), st.integers(0, 1 << 30))
def test_packed_products_of_any_size_are_exact(
    way: Way, rows: int, columns: int, depth: int, seed: int
) -> None:
    """As all products of extremes, too: 128 times 128, more often than float32 can add up."""
    rng = np.random.default_rng(seed)
    depth *= 4 if way == "lanes" else 1
    left = rng.choice(np.array([-128, -127, 127], np.int8), (rows, depth))
    right = rng.integers(-128, 128, (columns, depth)).astype(np.int8)
    right[0] = left[0] = -128
    packed = Packed(right, way)
    for width in sorted({columns, packed.wide}):
        out = np.full((rows, width), 99, np.int32)
        packed(left, out)
        np.testing.assert_array_equal(out[:, :columns], left.astype(np.int32) @ right.T.astype(np.int32))


def test_what_lanes_cannot_take_goes_another_way() -> None:
    rows = np.full((3, 30), -7, np.int8)
    packed, out = Packed(rows), np.empty((3, 3), np.int32)
    packed(rows, out)
    assert packed.way != "lanes" and (out == 30 * 49).all()
