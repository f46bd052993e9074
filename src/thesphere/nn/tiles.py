"""Exact products of matrices of bytes inside a kernel: by tiles where there are any (AMX), else by lanes.

Between two products of attention lie a few thousand numbers, too few to return to Python for. So here is a
product that kernels can call. The right side is packed as these processors want it: four bytes of one column side
by side, 16 columns to a cache line. Results are exact integers on every way: nothing above can tell them apart.

x86 processors have tiles since 2023 (16 rows of 64 bytes; the system must be asked for them), and since 2019 an
instruction (`vpdpbusd`) that multiplies 64 or 32 pairs of bytes and adds them up in 32 bits. It wants one side
without sign: a + 128 is that side, and 128 times the other side is taken off again.
"""

import ctypes
import sys
from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from thesphere.room import aligned

ROWS, COLUMNS, DEPTH = 32, 16, 64
"""Of what rows of the left side, columns and bytes to add up are multiples where there may be tiles."""
FLIP = -0x7F7F7F80
"""Four bytes of 128, as one number."""
_INT, _LONG, _BYTE, _VOID = ir.IntType(32), ir.IntType(64), ir.IntType(8), ir.VoidType()
_POINTER = _BYTE.as_pointer()
_PERMISSION = 158, 0x1023, 18  # the system call arch_prctl, to use the state of tiles


def _features() -> list[str]:
    context: Any = cpu_target.target_context
    return context.codegen().magic_tuple()[-1].split(",")


def _known(declaration: str) -> bool:
    """Whether this LLVM knows an instruction by that name and type."""
    try:
        binding.parse_assembly(declaration).verify()
    except RuntimeError:
        return False
    return True


def _lanes() -> int:
    """How many 32-bit sums `vpdpbusd` keeps: 16, 8, or 0 where there is none that can be used."""
    features = _features()
    lanes = 16 if "+avx512vnni" in features else 8 if "+avxvnni" in features else 0
    sums = f"<{lanes} x i32>"
    name = f"@llvm.x86.avx512.vpdpbusd.{32 * lanes}"
    return lanes if lanes and _known(f"declare {sums} {name}({sums}, {sums}, {sums})") else 0


LANES = _lanes()
DOWN = LANES // 2  # rows whose sums are kept in registers at a time, with 32 or 16 columns
_COMPILED = "+amx-int8" in _features() and _known(
    "declare void @llvm.x86.tdpbssd(i8 immarg, i8 immarg, i8 immarg)"
)


def dot_of_bytes(builder: ir.IRBuilder) -> tuple[ir.Type, ir.Function]:
    """(the vector of LANES sums, `vpdpbusd`: sums, bytes without sign, bytes with sign -> sums)."""
    sums = ir.VectorType(_INT, LANES)
    kind = ir.FunctionType(sums, [sums] * 3)
    return sums, builder.module.declare_intrinsic(f"llvm.x86.avx512.vpdpbusd.{32 * LANES}", (), kind)


@cache
def tiles_allowed() -> bool:
    """Whether this process may use tiles; the system is asked once."""
    if not _COMPILED or not sys.platform.startswith("linux"):
        return False
    return ctypes.CDLL(None).syscall(*_PERMISSION) == 0


def _at(context, builder, kind, array, offset):
    """Pointer to a byte of an array."""
    start = builder.bitcast(context.make_array(kind)(context, builder, array).data, _POINTER)
    return builder.gep(start, [offset])


def _emit_configure(typing_context, sizes):
    """Tiles of the `sizes` that follow; none without AMX."""

    def generate(context, builder, signature, arguments):
        if _COMPILED:
            declared = builder.module.declare_intrinsic(
                "llvm.x86.ldtilecfg", (), ir.FunctionType(_VOID, [_POINTER])
            )
            builder.call(declared, [_at(context, builder, signature.args[0], arguments[0], _LONG(0))])
        return context.get_dummy_value()

    return types.none(sizes), generate


def _emit_release(typing_context):
    def generate(context, builder, signature, arguments):
        if _COMPILED:
            builder.call(
                builder.module.declare_intrinsic("llvm.x86.tilerelease", (), ir.FunctionType(_VOID, [])), []
            )
        return context.get_dummy_value()

    return types.none(), generate


def _emit_block(across):
    """32 rows and `across` (1 or 2) tiles of columns: the sums of all that lies between."""

    def emit(typing_context, left, first, right, tile, out, to):
        """Sums of `out` from element `to` on: `left` from byte `first` on, `right` from that tile on."""

        def generate(context, builder, signature, arguments):
            if not _COMPILED:
                return context.get_dummy_value()

            def call(name, *values):
                kind = ir.FunctionType(_VOID, [value.type for value in values])
                builder.call(builder.module.declare_intrinsic(f"llvm.x86.{name}", (), kind), values)

            def width(which, size):
                made = context.make_array(signature.args[which])(context, builder, arguments[which])
                return builder.mul(cgutils.unpack_tuple(builder, made.shape, 2)[1], _LONG(size))

            def pointer(which, offset):
                return _at(context, builder, signature.args[which], arguments[which], offset)

            squares = [(down, side) for down in range(2) for side in range(across)]
            stride, step = width(0, 1), width(4, 4)
            column = builder.mul(stride, _LONG(COLUMNS))  # bytes of all tiles of 16 columns
            for down, side in squares:
                call("tilezero", _BYTE(2 * down + side))
            with cgutils.for_range(builder, builder.udiv(stride, _LONG(DEPTH))) as loop:
                for down in range(2):
                    row = builder.add(arguments[1], builder.mul(stride, _LONG(16 * down)))
                    row = builder.add(row, builder.mul(loop.index, _LONG(DEPTH)))
                    call("tileloadd64", _BYTE(4 + down), pointer(0, row), stride)
                for side in range(across):
                    here = builder.mul(column, builder.add(arguments[3], _LONG(side)))
                    here = builder.add(here, builder.mul(loop.index, _LONG(DEPTH * COLUMNS)))
                    call("tileloadd64", _BYTE(6 + side), pointer(2, here), _LONG(64))
                for down, side in squares:
                    call("tdpbssd", _BYTE(2 * down + side), _BYTE(4 + down), _BYTE(6 + side))
            for down, side in squares:
                place = builder.add(builder.mul(arguments[5], _LONG(4)), _LONG(64 * side))
                place = builder.add(place, builder.mul(step, _LONG(16 * down)))
                call("tilestored64", _BYTE(2 * down + side), pointer(4, place), step)
            return context.get_dummy_value()

        return types.none(left, types.int64, right, types.int64, out, types.int64), generate

    return emit


_configure: Any = intrinsic(_emit_configure)
_release: Any = intrinsic(_emit_release)
_square: Any = intrinsic(_emit_block(2))
_strip: Any = intrinsic(_emit_block(1))
_SIZES = np.zeros(64, np.uint8)  # of 8 tiles: palette 1, 64 bytes a row, 16 rows
_SIZES[0], _SIZES[16:32:2], _SIZES[48:56] = 1, 64, 16


@njit(cache=True, nogil=True)
def _by_tiles(left, right, out):
    _configure(_SIZES)
    pairs = out.shape[1] // (2 * COLUMNS) * 2  # of tiles of columns
    for row in range(0, out.shape[0], ROWS):
        for tile in range(0, pairs, 2):
            _square(left, row * left.shape[1], right, tile, out, row * out.shape[1] + COLUMNS * tile)
        if pairs * COLUMNS < out.shape[1]:
            _strip(left, row * left.shape[1], right, pairs, out, row * out.shape[1] + COLUMNS * pairs)
    _release()


def _emit_excess(typing_context, left, row):
    """128 times the sum of a row of `left`, as far as whole multiples of DEPTH go."""

    def generate(context, builder, signature, arguments):
        if not LANES:
            return _INT(0)
        sums, dot = dot_of_bytes(builder)
        made = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, made.shape, 2)[1]
        place = cgutils.alloca_once(builder, sums)
        builder.store(ir.Constant(sums, [0] * LANES), place)
        first = builder.mul(arguments[1], stride)
        steps = builder.mul(builder.udiv(stride, _LONG(DEPTH)), _LONG(DEPTH // (4 * LANES)))
        with cgutils.for_range(builder, steps) as loop:
            at = builder.add(first, builder.mul(loop.index, _LONG(4 * LANES)))
            some = _at(context, builder, signature.args[0], arguments[0], at)
            some = builder.load(builder.bitcast(some, sums.as_pointer()), align=1)
            flips = ir.Constant(sums, [FLIP] * LANES)
            builder.store(builder.call(dot, [builder.load(place), flips, some]), place)
        kind = ir.FunctionType(_INT, [sums])
        add = builder.module.declare_intrinsic(f"llvm.vector.reduce.add.v{LANES}i32", (), kind)
        return builder.call(add, [builder.load(place)])

    return types.int32(left, types.int64), generate


def _emit_lanes(rows, across):
    """So many rows and vectors of columns: their sums stay in registers over all that lies between."""

    def emit(typing_context, left, row, right, tile, excess, out):
        """Sums of `out` from that row and the first column of that tile on."""

        def generate(context, builder, signature, arguments):
            if not LANES:
                return context.get_dummy_value()
            sums, dot = dot_of_bytes(builder)
            pointer, zeros = sums.as_pointer(), ir.Constant(sums, [0] * LANES)
            undefined = ir.Constant(sums, ir.Undefined)

            def width(which):
                made = context.make_array(signature.args[which])(context, builder, arguments[which])
                return cgutils.unpack_tuple(builder, made.shape, 2)[1]

            def word(which, number):
                """A 32-bit number of an array, in all lanes."""
                place = _at(context, builder, signature.args[which], arguments[which], number)
                value = builder.load(builder.bitcast(place, _INT.as_pointer()), align=1)
                return builder.shuffle_vector(
                    builder.insert_element(undefined, value, _INT(0)), undefined, zeros
                )

            stride, wide = width(0), width(5)
            first = builder.mul(builder.mul(arguments[3], _LONG(COLUMNS)), stride)
            columns = []  # where each vector of columns begins
            for vector in range(across):
                tiles, part = divmod(vector * LANES, COLUMNS)
                begin = builder.add(first, builder.mul(stride, _LONG(tiles * COLUMNS)))
                columns.append(builder.add(begin, _LONG(4 * part)))
            places = [[cgutils.alloca_once(builder, sums) for _ in columns] for _ in range(rows)]
            for down, row_places in enumerate(places):
                at = builder.mul(builder.add(arguments[1], _LONG(down)), _LONG(4))
                start = builder.sub(zeros, word(4, at))
                for place in row_places:
                    builder.store(start, place)
            with cgutils.for_range(builder, builder.udiv(stride, _LONG(4))) as loop:
                found = []
                for begin in columns:
                    here = builder.add(begin, builder.mul(loop.index, _LONG(4 * COLUMNS)))
                    some = _at(context, builder, signature.args[2], arguments[2], here)
                    some = builder.load(builder.bitcast(some, pointer), align=1)
                    found.append(builder.xor(some, ir.Constant(sums, [FLIP] * LANES)))
                for down, row_places in enumerate(places):
                    at = builder.mul(builder.add(arguments[1], _LONG(down)), stride)
                    signed = word(0, builder.add(at, builder.mul(loop.index, _LONG(4))))
                    for place, some in zip(row_places, found, strict=True):
                        builder.store(builder.call(dot, [builder.load(place), some, signed]), place)
            for down, row_places in enumerate(places):
                at = builder.mul(builder.add(arguments[1], _LONG(down)), wide)
                at = builder.add(at, builder.mul(arguments[3], _LONG(COLUMNS)))
                for vector, place in enumerate(row_places):
                    to = builder.mul(builder.add(at, _LONG(vector * LANES)), _LONG(4))
                    to = _at(context, builder, signature.args[5], arguments[5], to)
                    builder.store(builder.load(place), builder.bitcast(to, pointer), align=4)
            return context.get_dummy_value()

        return types.none(left, types.int64, right, types.int64, excess, out), generate

    return emit


_excess: Any = intrinsic(_emit_excess)
_VECTORS = COLUMNS // (LANES or COLUMNS)  # of a tile
_rows_of_two: Any = intrinsic(_emit_lanes(DOWN, 2 * _VECTORS))
_rows_of_one: Any = intrinsic(_emit_lanes(DOWN, _VECTORS))
_row_of_one: Any = intrinsic(_emit_lanes(1, _VECTORS))


@njit(cache=True, nogil=True)
def _by_lanes(left, right, out):
    rows, columns = left.shape
    excess, whole = np.empty(rows, np.int32), columns // DEPTH * DEPTH
    for row in range(rows):
        rest = np.int32(0)
        for c in range(np.uint64(whole), np.uint64(columns)):
            rest += np.int32(left[row, c])
        excess[row] = _excess(left, row) + np.int32(128) * rest
    together = rows // DOWN * DOWN
    pairs = len(right) // 2 * 2 if LANES == COLUMNS else 0  # of tiles; fewer lanes, half as many registers
    for tile in range(0, pairs, 2):
        for row in range(0, together, DOWN):
            _rows_of_two(left, row, right, tile, excess, out)
    for tile in range(pairs, len(right)):
        for row in range(0, together, DOWN):
            _rows_of_one(left, row, right, tile, excess, out)
    for tile in range(len(right)):
        for row in range(together, rows):
            _row_of_one(left, row, right, tile, excess, out)


@njit(cache=True, nogil=True)
def _loop(left, right, out):
    words, byte = right.view(np.int32), np.int32(24)
    side = (
        right.shape[1] // left.shape[1]
    )  # 16; were it known, the loop would be unrolled and not be vectorised
    sums = np.empty(side, np.int32)
    for tile in range(len(right)):
        for row in range(len(left)):
            for c in range(side):
                sums[c] = 0
            for k in range(left.shape[1] // 4):
                here = words[tile, side * k : side * k + side]
                a, b = np.int32(left[row, 4 * k]), np.int32(left[row, 4 * k + 1])
                d, e = np.int32(left[row, 4 * k + 2]), np.int32(left[row, 4 * k + 3])
                for c in range(side):
                    w = here[c]
                    sums[c] += np.int32(
                        a * np.int32(np.int32(w << 24) >> byte)
                        + b * np.int32(np.int32(w << 16) >> byte)
                        + d * np.int32(np.int32(w << 8) >> byte)
                        + e * np.int32(w >> byte)
                    )
            for c in range(side):
                out[row, side * tile + c] = sums[c]


_without = _by_lanes if LANES else _loop


@njit(cache=True, nogil=True, inline="always")
def rounded_up(count, unit):
    """The multiple of `unit` that is not less than `count`."""
    return (count + unit - 1) // unit * unit


def packed_columns(rows: np.ndarray) -> np.ndarray:
    """int8 [N, K], K a multiple of 4, as the right side of `multiply`: of 16 rows the first four bytes, then
    the next four; zeros behind the last row."""
    count, width = rows.shape
    filled = np.zeros((rounded_up(count, COLUMNS), width), np.int8)
    filled[:count] = rows
    out = aligned((len(filled) // COLUMNS, COLUMNS * width), np.int8)
    out.reshape(-1, width // 4, COLUMNS, 4)[:] = filled.reshape(-1, COLUMNS, width // 4, 4).swapaxes(1, 2)
    return out


@njit(cache=True, nogil=True)
def multiply(left, right, out, tiles):
    """Exact sums of products of bytes.

    Args:
        left: int8 [R, K]. With tiles R is a multiple of `ROWS` and K of `DEPTH`, else K of 4.
        right: int8 [N / 16, 16 K], see `packed_columns`.
        out: int32 [R, N]. All three are contiguous; with tiles they should begin at 64 bytes.
        tiles: what `tiles_allowed` says.
    """
    if tiles:
        _by_tiles(left, right, out)
    else:
        _without(left, right, out)
