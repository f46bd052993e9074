"""The arithmetic of the byte models without JAX: exact 8-bit products, and what lies between two of them.

A row of float32 is kept as int8 levels and the size of one level. Products of levels are integers, exact in any
order. Everything else is element-wise within one row or a sum of 16 partial sums in a fixed order, without
fused multiply-adds and with an exponential of our own: a row's result depends on the row alone, not on its
neighbours, on threads or on the processor. Only the last step takes a logarithm from the C library, in float64,
and rounds it to float32. The equations are those of nn/recurrent.py.

Loops are written so that compilers make wide instructions of them: largest elements and sums of 16 are folded in
place, 16 apart, and rounding to integers is an addition (`_INTEGER`).
"""

import numpy as np
from numba import njit
from numba.extending import overload

from thesphere.nn.contexts import KNOWN, SEEN, STATES
from thesphere.nn.packed import Packed
from thesphere.nn.shape import BYTE_WIDTH, KNOWN_WIDTH, SECOND_WIDTH, SEEN_WIDTH
from thesphere.nn.tiles import DEPTH, LANES, ROWS, multiply, packed_columns, rounded_up, tiles_allowed
from thesphere.room import aligned

_F = np.float32
_LOG2E, _LN2_HIGH, _LN2_LOW = _F(1.44269504), _F(0.693359375), _F(-2.12194440e-4)
_C6, _C5, _C4, _C3 = _F(1.9875691e-4), _F(1.3981999e-3), _F(8.3334519e-3), _F(4.1665796e-2)
_C2, _C1, _ONE, _ZERO = _F(1.6666665e-1), _F(0.5), _F(1), _F(0)
_LOWEST, _HIGHEST, _LEVELS, _TINY, _EPSILON = _F(-87), _F(87), _F(127), _F(1e-12), _F(1e-6)
_SHIFT, _UNIT, _MASK = np.int32(23), np.int32(127 << 23), np.int32(0x7FFFFFFF)
_INTEGER = _F(3 << 22)  # x + this is rounded as by rint, and its low bits are those of the integer
PART = 256 if LANES else 512  # rows that go through a block at a time: what lies between stays near
_BYTE, _KNOWN, _SEEN, _SECOND = (w // 8 for w in (BYTE_WIDTH, KNOWN_WIDTH, SEEN_WIDTH, SECOND_WIDTH))


class Matrix:
    """One int8 matrix, ready for products.

    Args:
        levels: int8 [outputs, inputs], at most shape.MOST_WIDTH inputs.
        scale: float32 [outputs], what one level is worth.
    """

    def __init__(self, levels: np.ndarray, scale: np.ndarray) -> None:
        self.scale = scale
        self._outputs = len(levels)
        self._product = Packed(levels)

    def __call__(self, levels: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """int32 [T, outputs]: exact sums of products with `levels`, int8 [T, inputs]; `out`: where they go."""
        if out is None:
            out = aligned((len(levels), self._outputs), np.int32)
        self._product(levels, out)
        return out


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _exp(x):
    """e^x in float32, x cut to +-87: the polynomial of Cephes' expf."""
    x = min(max(x, _LOWEST), _HIGHEST)
    shifted = x * _LOG2E + _INTEGER
    n = shifted - _INTEGER
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = ((((_C6 * r + _C5) * r + _C4) * r + _C3) * r + _C2) * r + _C1
    power = np.int32((_F(shifted).view(np.int32) << _SHIFT) + _UNIT).view(np.float32)  # 2^n
    return (p * r * r + r + _ONE) * power


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _quantise(row, levels, at):
    """Writes the int8 levels of a float32 row into levels[at]; returns the size of one level."""
    return _quantise_part(row, 0, len(row), levels, at)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _quantise_part(row, first, width, levels, at):
    """`_quantise` of the columns from `first` on. Slices would count references, and signed indices may mean the
    end of an array: either keeps a short loop from being vectorised."""
    top, bits, begin, to = np.int32(0), row.view(np.int32), np.uint64(first), np.uint64(at)
    for c in range(np.uint64(width)):  # |x| is ordered as its bits are; told to be 32, or numba takes 64
        top = max(top, np.int32(bits[begin + c] & _MASK))
    largest = max(np.int32(top).view(np.float32), _TINY)
    up = _LEVELS / largest
    for c in range(np.uint64(width)):
        levels[to, c] = np.int8(_F(row[begin + c] * up + _INTEGER).view(np.int32))
    return largest / _LEVELS


def right_side(levels: np.ndarray) -> "tuple[np.ndarray, bool] | Packed":
    """int8 [outputs, inputs] as `block` and the others want it; a callable where none are compiled."""
    if not LANES:
        return Packed(levels)
    return packed_columns(levels), tiles_allowed() and levels.shape[1] % DEPTH == 0


def _product(levels, right, out):
    """Exact sums of products of levels, int8 [R, inputs], with a `right_side` into out, int32 [R, outputs]."""
    right(levels, out)


@overload(_product)
def _compiled_product(levels, right, out):
    return lambda levels, right, out: multiply(levels, right[0], out, right[1])


def _kernel(function):
    """Machine code where products are ours; elsewhere the same in Python, which calls a library for them."""
    return njit(cache=True, nogil=True, error_model="numpy")(function) if LANES else function


@njit(cache=True, nogil=True, error_model="numpy")
def gather(byte, known, expected, second, tables, begins, out):
    """out [T, INPUT / 8]: the rows of the four tables for each position, side by side, as words of 8 bytes.

    Copies of so many words as are known beforehand are a few loads and stores each; slices were calls.
    """
    byte_table, known_table, seen_table, second_table = tables
    for at in range(len(byte)):
        row = out[at]
        for c in range(_BYTE):
            row[c] = byte_table[byte[at], c]
        to = _BYTE
        for which in range(KNOWN):
            here = begins[which] + known[at, which]
            for c in range(_KNOWN):
                row[to + c] = known_table[here, c]
            to += _KNOWN
        for which in range(SEEN):
            here = which * STATES * 256 + expected[at, which]
            for c in range(_SEEN):
                row[to + c] = seen_table[here, c]
            to += _SEEN
        for which in range(SEEN):
            here = which * 256 + second[at, which]
            for c in range(_SECOND):
                row[to + c] = second_table[here, c]
            to += _SECOND


@njit(cache=True, nogil=True, error_model="numpy")
def add_normalise(h, sums, sizes, scale, gain, levels, out_sizes):
    """h [T, D] += sums * sizes * scale; then levels, out_sizes: h over its root mean square, times `gain`."""
    width = h.shape[1]
    row = np.empty(width, np.float32)
    for at in range(len(h)):
        size = sizes[at]
        for c in range(width):
            h[at, c] += np.float32(sums[at, c]) * size * scale[c]
        for c in range(width):
            row[c] = h[at, c] * h[at, c]
        for c in range(16, width):
            row[c] += row[c - 16]
        total = _ZERO
        for c in range(width - 16, width):
            total += row[c]
        over = _ONE / np.sqrt(total / np.float32(width) + _EPSILON)
        for c in range(width):
            row[c] = h[at, c] * (over * gain[c])
        out_sizes[at] = _quantise(row, levels, at)


@njit(cache=True, nogil=True, error_model="numpy")
def recur(byte, sums, sizes, scale, bias, state, levels, out_sizes):
    """The gated recurrence: s = k s + (1 - k) v, y = s silu(g); state [D] is carried, y goes to levels.

    `sums` [T, 3 D] are those of v, k and g. At a zero byte, with which a text begins, the past is forgotten.
    """
    width = len(state)
    row, keep, gate = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for at in range(len(byte)):
        size, alive = sizes[at], _ZERO if byte[at] == 0 else _ONE
        for c in range(width):
            k = np.float32(sums[at, width + c]) * size * scale[width + c]
            keep[c] = _ONE / (_ONE + _exp(-(k + bias[c])))
        for c in range(width):
            g = np.float32(sums[at, 2 * width + c]) * size * scale[2 * width + c]
            gate[c] = g / (_ONE + _exp(-g))
        for c in range(width):
            k = keep[c]
            s = k * (alive * state[c]) + (_ONE - k) * (np.float32(sums[at, c]) * size * scale[c])
            state[c] = s
            row[c] = s * gate[c]
        out_sizes[at] = _quantise(row, levels, at)


@njit(cache=True, nogil=True, error_model="numpy")
def judge(sums, sizes, scale, bias, following, entropies, costs):
    """Of the softmax over 256 logits, in nats: its entropy, and -ln of what it gives the byte that follows."""
    logits, mass, terms = np.empty(256, np.float32), np.empty(256, np.float32), np.empty(256, np.float32)
    for at in range(len(sums)):
        size, row = sizes[at], sums[at]
        for c in range(256):
            logits[c] = mass[c] = np.float32(row[c]) * size * scale[c] + bias[c]
        for c in range(16, 256):
            mass[c] = max(mass[c], mass[c - 16])
        top = mass[240]
        for c in range(241, 256):
            top = max(top, mass[c])
        for c in range(256):
            below = logits[c] - top
            mass[c] = _exp(below)
            terms[c] = mass[c] * below
        for c in range(16, 256):
            mass[c] += mass[c - 16]
            terms[c] += terms[c - 16]
        whole, weighted = 0.0, 0.0
        for c in range(240, 256):
            whole += np.float64(mass[c])
            weighted += np.float64(terms[c])
        log = np.log(whole)
        entropies[at] = np.float32(max(log - weighted / whole, 0.0))
        costs[at] = np.float32(log - np.float64(logits[following[at]] - top))


@_kernel
def enter(byte, known, expected, second, tables, begins, right, rows, sums):
    """sums [T, D]: products with what the tables tell of T positions. `rows` [PART, INPUT] is room."""
    words = rows.view(np.int64)
    for at in range(0, len(byte), len(rows)):
        end = min(at + len(rows), len(byte))
        gather(byte[at:end], known[at:end], expected[at:end], second[at:end], tables, begins, words)
        whole = rounded_up(end - at, ROWS)
        _product(rows[:whole], right, sums[at : at + whole])


@_kernel
def block(byte, h, sums, sizes, scale, gain, into, into_scale, gate, right, state, levels, wide):
    """One gated recurrence on T positions; what is still to be added to h [T, D] is sums * sizes * scale, and
    afterwards sums * sizes and the scale of `right`.

    T is that of `byte`; the other arrays go on to a multiple of ROWS. levels [PART, D], wide [PART, 3 D]: room.
    """
    level_sizes = np.empty(len(levels), np.float32)
    for at in range(0, len(byte), len(levels)):
        end = min(at + len(levels), len(byte))
        whole = rounded_up(end - at, ROWS)
        add_normalise(h[at:end], sums[at:end], sizes[at:end], scale, gain, levels, level_sizes)
        _product(levels[:whole], into, wide[:whole])
        recur(byte[at:end], wide, level_sizes, into_scale, gate, state, levels, sizes[at:end])
        _product(levels[:whole], right, sums[at : at + whole])


@_kernel
def leave(h, sums, sizes, scale, gain, right, right_scale, bias, following, levels, logits, entropies, costs):
    """Entropies and costs [T] after the last block; the arguments are those of `block` and of `judge`."""
    level_sizes = np.empty(len(levels), np.float32)
    for at in range(0, len(following), len(levels)):
        end = min(at + len(levels), len(following))
        whole = rounded_up(end - at, ROWS)
        add_normalise(h[at:end], sums[at:end], sizes[at:end], scale, gain, levels, level_sizes)
        _product(levels[:whole], right, logits[:whole])
        judge(
            logits[: end - at], level_sizes, right_scale, bias, following[at:end], entropies[at:end],
            costs[at:end],
        )  # fmt: skip
