"""Inner products: float64 in one fixed order (the truth), and exact int8 tiles (for the bounds)."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from thesphere.runtime import precision_of

PRECISE = np.dtype(precision_of("recheck")).type
SUMS = 8  # partial sums


def _emit_sums(typing_context, values, row, step, query):
    """(<query, x>, |x|^2) float64 of x = values[row] * step, as far as query is long; query float64, contiguous.

    Written in vectors, because compilers must not reorder sums and so leave such a loop as it stands.
    """
    if query.layout != "C" or values.layout != "C":
        raise TypingError("rows and queries lie one number after the other")
    if not query.dtype == types.float64 == from_dtype(np.dtype(PRECISE)):
        raise TypingError("the vectors here hold float64, as the policy has it for what is re-checked")

    def generate(context, builder, signature, arguments):
        table = context.make_array(signature.args[0])(context, builder, arguments[0])
        asked = context.make_array(signature.args[3])(context, builder, arguments[3])
        stride = cgutils.unpack_tuple(builder, table.strides, 2)[0]
        length = cgutils.unpack_tuple(builder, asked.shape, 1)[0]
        kind, double, word = table.data.type.pointee, ir.DoubleType(), ir.IntType(64)
        several = ir.VectorType(double, SUMS)
        first = builder.ptrtoint(table.data, word)
        first = builder.inttoptr(builder.add(first, builder.mul(arguments[1], stride)), kind.as_pointer())
        to_double = builder.sitofp if isinstance(kind, ir.IntType) else builder.fpext
        steps = ir.Constant(several, ir.Undefined)
        for lane in range(SUMS):
            steps = builder.insert_element(steps, arguments[2], ir.IntType(32)(lane))
        products, squares = (
            cgutils.alloca_once_value(builder, ir.Constant(several, [0.0] * SUMS)) for _ in "ab"
        )

        def add(place, value):
            builder.store(builder.fadd(builder.load(place), value), place)

        whole = builder.udiv(length, word(SUMS))
        with cgutils.for_range(builder, whole) as loop:
            at = builder.mul(loop.index, word(SUMS))
            some = builder.bitcast(builder.gep(first, [at]), ir.VectorType(kind, SUMS).as_pointer())
            with_ = builder.bitcast(builder.gep(asked.data, [at]), several.as_pointer())
            x = builder.fmul(to_double(builder.load(some, align=1), several), steps)
            add(products, builder.fmul(x, builder.load(with_, align=8)))
            add(squares, builder.fmul(x, x))
        results = []
        done = builder.mul(whole, word(SUMS))
        for place, own in ((products, False), (squares, True)):
            lanes = [builder.extract_element(builder.load(place), ir.IntType(32)(i)) for i in range(SUMS)]
            rest = cgutils.alloca_once_value(builder, lanes[0])  # what is left over joins the first sum
            with cgutils.for_range(builder, length, start=done) as loop:
                x = builder.fmul(
                    to_double(builder.load(builder.gep(first, [loop.index])), double), arguments[2]
                )
                other = x if own else builder.load(builder.gep(asked.data, [loop.index]))
                add(rest, builder.fmul(x, other))
            a, b, c, d, e, f, g, h = builder.load(rest), *lanes[1:]
            left = builder.fadd(builder.fadd(a, b), builder.fadd(c, d))
            results.append(builder.fadd(left, builder.fadd(builder.fadd(e, f), builder.fadd(g, h))))
        return cgutils.pack_array(builder, results)

    return types.UniTuple(types.float64, 2)(values, types.int64, types.float64, query), generate


_sums: Any = intrinsic(_emit_sums)


def _emit_fetch(typing_context, values, row):

    def generate(context, builder, signature, arguments):
        table = context.make_array(signature.args[0])(context, builder, arguments[0])
        word, line = ir.IntType(64), 64
        stride = cgutils.unpack_tuple(builder, table.strides, 2)[0]
        width = builder.mul(cgutils.unpack_tuple(builder, table.shape, 2)[1], table.itemsize)
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        start = builder.add(builder.ptrtoint(table.data, word), builder.mul(arguments[1], stride))
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        ask = builder.module.declare_intrinsic("llvm.prefetch.p0", (), kind)
        lines = builder.udiv(builder.add(width, word(line - 1)), word(line))
        with cgutils.for_range(builder, lines) as loop:
            at = builder.add(start, builder.mul(loop.index, word(line)))
            builder.call(ask, [builder.inttoptr(at, pointer), number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.none(values, types.int64), generate


fetch: Any = intrinsic(_emit_fetch)
"""fetch(values, row) asks for values[row] to be brought from memory, without waiting for it."""


def _emit_lowest(typing_context, word):
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return types.int64(types.uint64), generate


lowest: Any = intrinsic(_emit_lowest)
"""lowest(word): the place of the lowest bit that is set in a uint64; 64 where none is."""


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def sums(values, row, step, query):
    """(<query, x>, |x|^2) in float64 for x = values[row] * step, float32 or int8 [N, >= D]; query float64 [D].

    Eight partial sums each, always added in the same order: the result depends on nothing but the two vectors,
    not on batch, part, thread or machine (no BLAS, and no fused multiply-add, which numba leaves out by
    default).
    """
    return _sums(values, np.int64(row), np.float64(step), query)


@njit(cache=True, nogil=True, error_model="numpy")
def score(values, row, step, query, query_norm, cosine):
    """The score that the index promises: <q, x>, or <q, x> / (|q| |x|) with 0 for a zero vector."""
    product, square = sums(values, row, step, query)
    if not cosine:
        return product
    both = query_norm * np.sqrt(square)
    return product / both if both > 0.0 else 0.0
