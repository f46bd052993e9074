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

ROWS, COLUMNS, DEPTH = 32, 16, 64
"""Of what rows of the left side, columns and bytes to add up are multiples."""
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


def _emit_columns(typing_context, left, right, tile, out):
    """16 columns of `out` for all rows of `left`, by `vpdpbusd`."""

    def generate(context, builder, signature, arguments):
        lanes = LANES
        if not lanes:
            return context.get_dummy_value()
        sums, multiply = dot_of_bytes(builder)

        def sizes(which):
            made = context.make_array(signature.args[which])(context, builder, arguments[which])
            return cgutils.unpack_tuple(builder, made.shape, 2)

        def pointer(which, offset, kind):
            found = _at(context, builder, signature.args[which], arguments[which], offset)
            return builder.bitcast(found, kind.as_pointer())

        def spread(word):
            one = builder.insert_element(ir.Constant(sums, ir.Undefined), word, ir.IntType(32)(0))
            zeros = ir.Constant(ir.VectorType(_INT, lanes), [0] * lanes)
            return builder.shuffle_vector(one, ir.Constant(sums, ir.Undefined), zeros)

        (rows, stride), (_, width) = sizes(0), sizes(3)
        words = builder.udiv(stride, _LONG(4))
        for part in range(COLUMNS // lanes):
            first = builder.mul(arguments[2], builder.mul(stride, _LONG(COLUMNS)))
            first = builder.add(first, _LONG(4 * lanes * part))
            place = cgutils.alloca_once(builder, sums)

            def total(of_word, start, first=first, place=place):
                builder.store(start, place)
                with cgutils.for_range(builder, words) as loop:
                    here = builder.add(first, builder.mul(loop.index, _LONG(64)))
                    signed = builder.load(pointer(1, here, sums), align=1)
                    found = builder.call(multiply, [builder.load(place), of_word(loop.index), signed])
                    builder.store(found, place)
                return builder.load(place)

            nothing = ir.Constant(sums, [0] * lanes)
            excess = total(lambda _: ir.Constant(sums, [FLIP] * lanes), nothing)
            start = builder.sub(nothing, excess)
            with cgutils.for_range(builder, rows) as loop:
                row = builder.mul(loop.index, stride)

                def without_sign(word, row=row):
                    at = builder.add(row, builder.mul(word, _LONG(4)))
                    return spread(builder.xor(builder.load(pointer(0, at, _INT), align=1), _INT(FLIP)))

                found = total(without_sign, start)
                to = builder.add(builder.mul(loop.index, width), builder.mul(arguments[2], _LONG(COLUMNS)))
                to = builder.add(to, _LONG(lanes * part))
                builder.store(found, pointer(3, builder.mul(to, _LONG(4)), sums), align=4)
        return context.get_dummy_value()

    return types.none(left, right, types.int64, out), generate


_columns: Any = intrinsic(_emit_columns)


@njit(cache=True, nogil=True)
def _by_lanes(left, right, out):
    for tile in range(len(right)):
        _columns(left, right, tile, out)


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


@njit(cache=True, nogil=True)
def multiply(left, right, out, tiles):
    """Exact sums of products of bytes.

    Args:
        left: int8 [R, K], R a multiple of `ROWS`, K of `DEPTH`.
        right: int8 [N / 16, 16 K], N a multiple of `COLUMNS`: of 16 columns the first
            four bytes, then the next four.
        out: int32 [R, N]. All three are contiguous; with tiles they should begin at 64 bytes.
        tiles: what `tiles_allowed` says.
    """
    if tiles:
        _by_tiles(left, right, out)
    else:
        _without(left, right, out)
