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


ROWS = SEVERAL = 4
"""Rows, and queries of `products_of_several`, whose sums are kept in registers together."""


def _as_bytes(context, builder, kind, array):
    """Pointer to the first byte of an array [R, W] of bytes, and W."""
    made = context.make_array(kind)(context, builder, array)
    length = cgutils.unpack_tuple(builder, made.shape, 2)[1]
    return builder.bitcast(made.data, _BYTE.as_pointer()), length


def _four_sums(builder, vectors):
    """The sums of four vectors, side by side: unpacked and added in pairs, half the work of one by one."""

    def pairs(a, b, low, high):
        parts = []
        for order in (low, high):
            lanes = [4 * g + i % 4 + (LANES if i > 3 else 0) for g in range(LANES // 4) for i in order]
            parts.append(builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INT, LANES), lanes)))
        return builder.add(*parts)

    def half(vector, count):
        ends = range(count // 2), range(count // 2, count)
        places = (ir.Constant(ir.VectorType(_INT, count // 2), list(end)) for end in ends)
        return builder.add(*(builder.shuffle_vector(vector, vector, place) for place in places))

    a, b, c, d = vectors
    found = pairs(
        pairs(a, b, (0, 4, 1, 5), (2, 6, 3, 7)),
        pairs(c, d, (0, 4, 1, 5), (2, 6, 3, 7)),
        (0, 1, 4, 5),
        (2, 3, 6, 7),
    )
    count = LANES
    while count > 4:
        found, count = half(found, count), count // 2
    return found


def _emit(several):
    """The body of `products`, or of `products_of_several`, with the instruction, which `LANES` says is there."""

    def emit(typing_context, codes, first, count, queries, who, begin, out, at, apart):
        """`who`: the query's number; of several the array of them, from `begin` on, and their results `apart`."""
        if any(array.layout != "C" for array in (codes, queries, out, *[who] * several)):
            raise TypingError("codes, queries, who and out lie one number after the other")

        def generate(context, builder, signature, arguments):
            sums, dot = dot_of_bytes(builder)
            pointer, size, long = sums.as_pointer(), ir.IntType(64)(4 * LANES), ir.IntType(64)
            zeros, flip = ir.Constant(sums, [0] * LANES), ir.Constant(sums, [FLIP] * LANES)
            rows, length = _as_bytes(context, builder, signature.args[0], arguments[0])
            asked, _ = _as_bytes(context, builder, signature.args[3], arguments[3])
            target = context.make_array(signature.args[6])(context, builder, arguments[6]).data
            add = builder.module.declare_intrinsic(
                f"llvm.vector.reduce.add.v{LANES}i32", (), ir.FunctionType(_INT, [sums])
            )
            steps = builder.udiv(length, size)
            wanted = range(SEVERAL if several else 1)
            places = [[cgutils.alloca_once(builder, sums) for _ in range(ROWS)] for _ in wanted]

            def load(start, here):
                return builder.load(builder.bitcast(builder.gep(start, [here]), pointer), align=1)

            def total(starts, some):
                """Sums over rows that begin there with some of the queries: lists of vectors, by query."""
                for q in some:
                    for i in range(len(starts)):
                        builder.store(zeros, places[q][i])
                with cgutils.for_range(builder, steps) as loop:
                    here = builder.mul(loop.index, size)
                    left = [flip if row is None else builder.xor(load(row, here), flip) for row in starts]
                    for q in some:
                        signed = load(queried[q], here)
                        for i, one in enumerate(left):
                            place = places[q][i]
                            builder.store(builder.call(dot, [builder.load(place), one, signed]), place)
                return [[builder.load(places[q][i]) for i in range(len(starts))] for q in some]

            def begin_of(number):
                return builder.gep(rows, [builder.mul(builder.add(arguments[1], number), length)])

            queried, to = [], []
            for q in wanted:
                which = arguments[4]
                if several:
                    named = context.make_array(signature.args[4])(context, builder, which).data
                    which = builder.load(builder.gep(named, [builder.add(arguments[5], long(q))]))
                queried.append(builder.gep(asked, [builder.mul(which, length)]))
                to.append(builder.add(arguments[7], builder.mul(arguments[8], long(q))))
            excess = [builder.call(add, each) for each in total([None], wanted)]
            together = ir.VectorType(_INT, ROWS)
            spread = []
            for value in excess:
                filled = ir.Constant(together, ir.Undefined)
                for i in range(ROWS):
                    filled = builder.insert_element(filled, value, _INT(i))
                spread.append(filled)
            whole = builder.udiv(arguments[2], long(ROWS))
            with cgutils.for_range(builder, whole) as loop:
                row = builder.mul(loop.index, long(ROWS))
                found = total([begin_of(builder.add(row, long(i))) for i in range(ROWS)], wanted)
                for q in wanted:
                    values = builder.sub(_four_sums(builder, found[q]), spread[q])
                    place = builder.gep(target, [builder.add(to[q], row)])
                    builder.store(values, builder.bitcast(place, together.as_pointer()), align=4)
            done = builder.mul(whole, long(ROWS))
            with cgutils.for_range(builder, arguments[2], start=done) as loop:
                found = total([begin_of(loop.index)], wanted)
                for q in wanted:
                    value = builder.sub(builder.call(add, found[q]), excess[q])
                    builder.store(value, builder.gep(target, [builder.add(to[q], loop.index)]))
            return context.get_dummy_value()

        word = types.int64
        return types.none(codes, word, word, queries, who, word, out, word, word), generate

    return emit


_one: Any = intrinsic(_emit(False))
_several: Any = intrinsic(_emit(True))


@njit(cache=True, nogil=True, forceinline=True)
def _loop(codes, first, count, queries, q, out, at):
    for r in range(count):
        total = np.int32(0)
        for j in range(queries.shape[1]):
            total += np.int32(codes[first + r, j]) * np.int32(queries[q, j])
        out[at + r] = np.int32(total)  # told to be 32 bits, or numba's 64-bit sums take four times as long


@njit(cache=True, nogil=True, forceinline=True)
def _quick(codes, first, count, queries, q, out, at):
    none = np.int64(0)
    _one(codes, np.int64(first), np.int64(count), queries, np.int64(q), none, out, np.int64(at), none)


products = _quick if LANES else _loop
"""The exact products of the rows first ... first + count - 1 of codes, int8 [R, W], with a query of int8 [Q, W],
into out, int32, from `at` on. All are contiguous; W is a multiple of 64, as in `Codes`; bytes run from -127."""


@njit(cache=True, nogil=True, forceinline=True)
def _one_by_one(codes, first, count, queries, who, begin, out, apart):
    for i in range(SEVERAL):
        products(codes, first, count, queries, who[begin + i], out, i * apart)


@njit(cache=True, nogil=True, forceinline=True)
def _together(codes, first, count, queries, who, begin, out, apart):
    _several(
        codes,
        np.int64(first),
        np.int64(count),
        queries,
        who,
        np.int64(begin),
        out,
        np.int64(0),
        np.int64(apart),
    )


products_of_several = _together if LANES else _one_by_one
"""`products` with the queries who[begin] ... who[begin + SEVERAL - 1], `apart` numbers from one to the next."""
