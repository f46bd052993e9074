"""Exact inner products of two rows of bytes, by the processor's own instruction for them where it has one.

x86 processors since 2019 multiply 64 (AVX-512 VNNI) or 32 (AVX-VNNI) pairs of bytes at once and add them up in
32 bits, four to five times as fast as what compilers make of the loop. The instruction wants one side without
sign: a + 128 is that side, and 128 times the other side is taken off again, so that the result is the exact
integer and nothing above can tell the two ways apart.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from thesphere.nn.tiles import FLIP, LANES, dot_of_bytes

_INT, _BYTE = ir.IntType(32), ir.IntType(8)


def _as_bytes(context, builder, kind, array, row):
    """Pointer to the first byte of a row of an array [R, W] of bytes, and W."""
    made = context.make_array(kind)(context, builder, array)
    length = cgutils.unpack_tuple(builder, made.shape, 2)[1]
    start = builder.bitcast(made.data, _BYTE.as_pointer())
    return builder.gep(start, [builder.mul(row, length)]), length


def _emit(typing_context, codes, first, count, queries, q, out, at):
    """The body of `products` with the instruction, which `LANES` says is there."""
    if queries.layout != "C" or out.layout != "C" or codes.layout != "C":
        raise TypingError("codes, queries and out lie one number after the other")

    def generate(context, builder, signature, arguments):
        sums, multiply = dot_of_bytes(builder)
        pointer = sums.as_pointer()
        rows, length = _as_bytes(context, builder, signature.args[0], arguments[0], arguments[1])
        asked, _ = _as_bytes(context, builder, signature.args[3], arguments[3], arguments[4])
        target = context.make_array(signature.args[5])(context, builder, arguments[5]).data
        add = builder.module.declare_intrinsic(
            f"llvm.vector.reduce.add.v{LANES}i32", (), ir.FunctionType(_INT, [sums])
        )
        flip, size = ir.Constant(sums, [FLIP] * LANES), ir.IntType(64)(4 * LANES)
        steps = builder.udiv(length, size)

        def total(of_step):
            """The sum over the row of what the instruction makes of (bytes without sign, bytes of the query)."""
            place = cgutils.alloca_once(builder, sums)
            builder.store(ir.Constant(sums, [0] * LANES), place)
            with cgutils.for_range(builder, steps) as loop:
                here = builder.mul(loop.index, size)
                signed = builder.load(builder.bitcast(builder.gep(asked, [here]), pointer), align=1)
                builder.store(builder.call(multiply, [builder.load(place), of_step(here), signed]), place)
            return builder.call(add, [builder.load(place)])

        excess = total(lambda here: flip)
        with cgutils.for_range(builder, arguments[2]) as loop:
            row = builder.gep(rows, [builder.mul(loop.index, length)])

            def without_sign(here, row=row):
                found = builder.load(builder.bitcast(builder.gep(row, [here]), pointer), align=1)
                return builder.xor(found, flip)

            value = builder.sub(total(without_sign), excess)
            builder.store(value, builder.gep(target, [builder.add(arguments[6], loop.index)]))
        return context.get_dummy_value()

    return types.none(codes, types.int64, types.int64, queries, types.int64, out, types.int64), generate


_fill: Any = intrinsic(_emit)


@njit(cache=True, nogil=True, forceinline=True)
def _loop(codes, first, count, queries, q, out, at):
    for r in range(count):
        total = np.int32(0)
        for j in range(queries.shape[1]):
            total += np.int32(codes[first + r, j]) * np.int32(queries[q, j])
        out[at + r] = np.int32(total)  # told to be 32 bits, or numba's 64-bit sums take four times as long


@njit(cache=True, nogil=True, forceinline=True)
def _quick(codes, first, count, queries, q, out, at):
    _fill(codes, np.int64(first), np.int64(count), queries, np.int64(q), out, np.int64(at))


products = _quick if LANES else _loop
"""The exact products of the rows first ... first + count - 1 of codes, int8 [R, W], with a query of int8 [Q, W],
into out, int32, from `at` on. All are contiguous; W is a multiple of 64, as in `Codes`; bytes run from -127."""
