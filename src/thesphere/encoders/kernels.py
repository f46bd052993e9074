"""The arithmetic of the sphere encoders between two products of int8 matrices; the equations are in nn/sphere.py.

As in nn/integer.py a row of float32 is kept as int8 levels and the size of one level, products of levels are
exact integers, and what lies between is done in a fixed order within one row or one text. So a text's result is
the same to the last bit whatever shares its batch.

Attention is of 8-bit numbers too: queries and keys row by row, values column by column within a window, weights
as whole 16,256ths of the largest, in two 7-bit halves. Windows of a batch share the products; a weight between
two windows is 0, and adds nothing.
"""

import numpy as np
from numba import njit

from thesphere.nn.integer import _exp, _quantise

_F, _I = np.float32, np.int32
_ZERO, _ONE, _LEVELS, _TINY, _EPSILON = _F(0), _F(1), _F(127), _F(1e-12), _F(1e-6)
_HALF, _UNIT = _I(128), _F(127 * 128)  # a weight is high * 128 + low
_ALL, _BIAS, _LOG2E, _FLOOR = _I(0x7FFFFFFF), _I(127 << 23), _F(1.44269504), _F(-20)  # 2^-20 is weight 0
_ROUND, _INTEGER = _F(3 << 22), _F(1 << 23)  # beside these a float32 has no fraction
_P0, _P1, _P2, _P3, _P4 = _F(1.0), _F(0.69312103), _F(0.24022107), _F(0.05592204), _F(0.00967604)
# 2^f for |f| <= 1/2 within 4e-6, fitted by us at Chebyshev points


@njit(cache=True, nogil=True, error_model="numpy")
def gather(table, word, symbol, gram_begins, gram, size, lengthening, levels, sizes):
    """levels int8 [P, 2 W], sizes [P]: the rows of each patch's word and symbol, and of its grams, summed.

    A patch's grams weigh together as their number's root; `lengthening` [longest + 1] makes long words longer.
    """
    width = table.shape[1]
    row, sums = np.empty(2 * width, np.float32), np.empty(width, np.int32)
    for p in range(len(symbol)):
        one, two, three = table[word[p, 0]], table[word[p, 1]], table[symbol[p]]
        for c in range(width):
            row[c] = _F(_I(one[c]) + _I(two[c]) + _I(three[c])) / _LEVELS
        for c in range(width):
            sums[c] = 0
        for g in range(gram_begins[p], gram_begins[p + 1]):
            part = table[gram[g]]
            for c in range(width):
                sums[c] += _I(part[c])
        count = max(gram_begins[p + 1] - gram_begins[p], 1)
        over = _ONE / (_LEVELS * np.sqrt(_F(count)))
        for c in range(width):
            row[width + c] = _F(sums[c]) * over
        sizes[p] = _quantise(row, levels[p]) * lengthening[size[p]]


@njit(cache=True, nogil=True, error_model="numpy")
def locate(begins, word, rarity, places, shells, gain, h):
    """h [P, D]: the place of each patch in its window and the shell that its word's rarity hints at."""
    half = places.shape[1]
    for t in range(len(begins) - 1):
        for p in range(begins[t], begins[t + 1]):
            place = places[p - begins[t]]
            shell = shells[max(rarity[word[p, 0]], rarity[word[p, 1]])]
            for c in range(half):
                h[p, c] = place[c] * gain[c]
            for c in range(half):
                h[p, half + c] = shell[c] * gain[half + c]


@njit(cache=True, nogil=True, error_model="numpy")
def split(sums, sizes, scale, begins, query, query_size, key, key_size, value, value_size):
    """Queries [C, heads, P, W], keys [C, P, W] and values [C, W, P] of the C cones as int8, with their sizes.

    Args:
        sums: int32 [P, (heads + 2) C W], of queries, keys and values; `sizes` [P] and `scale` are theirs.
        query_size: [C, heads, P], the root of W in it; key_size: [C, P]; value_size: [windows, C, W].
    """
    cones, heads, _, width = query.shape
    keys = cones * heads * width
    row, top = np.empty(width, np.float32), np.empty(width, np.float32)
    root = _ONE / np.sqrt(_F(width))
    for t in range(len(begins) - 1):
        for at in range(begins[t], begins[t + 1]):
            here, size = sums[at], sizes[at]
            for cone in range(cones):
                for head in range(heads + 1):
                    first = (cone * heads + head) * width if head < heads else keys + cone * width
                    for c in range(width):
                        row[c] = _F(here[first + c]) * size * scale[first + c]
                    if head < heads:
                        query_size[cone, head, at] = _quantise(row, query[cone, head, at]) * root
                    else:
                        key_size[cone, at] = _quantise(row, key[cone, at])
        for cone in range(cones):
            first = keys + (cones + cone) * width
            for c in range(width):
                top[c] = _TINY
            for at in range(begins[t], begins[t + 1]):
                here, size = sums[at], sizes[at]
                for c in range(width):
                    top[c] = max(top[c], abs(_F(here[first + c])) * size)
            for c in range(width):
                value_size[t, cone, c] = top[c] / _LEVELS * scale[first + c]
                top[c] = _LEVELS / top[c]
            for at in range(begins[t], begins[t + 1]):
                here, size = sums[at], sizes[at]
                for c in range(width):
                    value[cone, c, at] = np.int8(np.rint(_F(here[first + c]) * size * top[c]))


@njit(cache=True, nogil=True, error_model="numpy")
def weigh(products, query_size, key_size, slope, begins, weights, totals):
    """Softmax of one cone's attention, in whole numbers.

    Args:
        products: int32 [heads P, P], of queries and keys.
        slope: [heads], what a step of distance takes from a logit.
        weights: int8 [2 heads P, P], the high halves of all, then the low ones; 0 outside the own window.
        totals: int32 [heads P], sums of the weights.
    """
    heads, count = query_size.shape
    logit, whole, steps = (
        np.empty(count, np.float32),
        np.empty(count, np.int32),
        np.empty(2 * count, np.float32),
    )
    bits = logit.view(np.int32)
    for t in range(len(begins) - 1):
        first, last = begins[t], begins[t + 1]
        n = last - first
        sizes = key_size[first:last]
        for j in range(2 * n - 1):
            steps[j] = _F(abs(_I(j) - _I(n - 1))) * _LOG2E
        for head in range(heads):
            for at in range(first, last):
                r = head * count + at
                here, size, fall = products[r, first:last], query_size[head, at] * _LOG2E, slope[head]
                away = steps[last - 1 - at : last - 1 - at + n]
                for j in range(n):
                    logit[j] = _F(here[j]) * (size * sizes[j]) - fall * away[j]
                most = -_ALL  # floats are ordered as integers are, once the negative ones are turned round
                for j in range(n):
                    most = max(most, _I(bits[j] ^ ((bits[j] >> _I(31)) & _ALL)))
                top = _I(most ^ ((most >> _I(31)) & _ALL)).view(np.float32)
                total = _I(0)
                for j in range(n):  # 2^x is 2^f shifted by x - f; adding a large number rounds
                    x = max(logit[j] - top, _FLOOR)
                    shifted = _F(x + _ROUND)
                    f = x - (shifted - _ROUND)
                    power = (((_P4 * f + _P3) * f + _P2) * f + _P1) * f + _P0
                    power *= _I((shifted.view(np.int32) << _I(23)) + _BIAS).view(np.float32)
                    weight = _F(power * _UNIT + _INTEGER).view(np.int32) & _I(0x7FFFFF)
                    total += weight
                    whole[j] = weight
                totals[r] = total
                high, low = weights[r], weights[heads * count + r]
                for j in range(count):
                    high[j] = 0
                for j in range(count):
                    low[j] = 0
                high, low = high[first:last], low[first:last]
                for j in range(n):
                    high[j] = np.int8(whole[j] >> _I(7))
                for j in range(n):
                    low[j] = np.int8(whole[j] & _I(127))


@njit(cache=True, nogil=True, error_model="numpy")
def join(cone, sums, totals, value_size, begins, row):
    """row [P, D]: what one cone's heads bring together. sums: int32 [2 heads P, W], of weights and values."""
    count, width = len(row), sums.shape[1]
    heads = len(totals) // count
    for t in range(len(begins) - 1):
        worth = value_size[t, cone]
        for at in range(begins[t], begins[t + 1]):
            for head in range(heads):
                r = head * count + at
                over, first = _ONE / _F(totals[r]), (cone * heads + head) * width
                high, low = sums[r], sums[heads * count + r]
                for c in range(width):
                    row[at, first + c] = _F(high[c] * _HALF + low[c]) * over * worth[c]


@njit(cache=True, nogil=True, error_model="numpy")
def quantise(rows, levels, sizes):
    """levels int8 and sizes of every row."""
    for at in range(len(rows)):
        sizes[at] = _quantise(rows[at], levels[at])


@njit(cache=True, nogil=True, error_model="numpy")
def square(sums, sizes, scale, levels, out_sizes):
    """The squared positive part of sums * sizes * scale, as levels and sizes."""
    row = np.empty(levels.shape[1], np.float32)
    for at in range(len(sums)):
        here, size = sums[at], sizes[at]
        for c in range(len(row)):
            v = max(_F(here[c]) * size * scale[c], _ZERO)
            row[c] = v * v
        out_sizes[at] = _quantise(row, levels[at])


@njit(cache=True, nogil=True, error_model="numpy")
def mix(sums, sizes, scale, kernel, begins, levels, out_sizes):
    """The gated layer: each column over its neighbours by `kernel` [K, D], times silu of the gate.

    `sums` [P, 2 D] are those of values and gates; beyond the window there is nothing.
    """
    reach, width = kernel.shape
    row, back = np.empty(width, np.float32), reach // 2
    for t in range(len(begins) - 1):
        for at in range(begins[t], begins[t + 1]):
            for c in range(width):
                row[c] = _ZERO
            for k in range(max(0, begins[t] - at + back), min(reach, begins[t + 1] - at + back)):
                here, size, taps = sums[at + k - back], sizes[at + k - back], kernel[k]
                for c in range(width):
                    row[c] += taps[c] * (_F(here[c]) * size * scale[c])
            here, size = sums[at], sizes[at]
            for c in range(width):
                g = _F(here[width + c]) * size * scale[width + c]
                row[c] *= g / (_ONE + _exp(-g))
            out_sizes[at] = _quantise(row, levels[at])


@njit(cache=True, nogil=True, error_model="numpy")
def weigh_patches(h, sums, sizes, scale, gain, direction, bias, prominence):
    """h [P, D] becomes h + sums * sizes * scale over its root mean square, times `gain`; and the prominence [P].

    A patch's prominence is ln(1 + e^z), z its part along `direction` and `bias`: positive, of any size.
    """
    width = h.shape[1]
    part = np.empty(16, np.float32)
    for at in range(len(h)):
        here, size, added = h[at], sizes[at], sums[at]
        for c in range(width):
            here[c] += _F(added[c]) * size * scale[c]
        for c in range(16):
            part[c] = _ZERO
        for block in range(0, width, 16):
            for c in range(16):
                part[c] += here[block + c] * here[block + c]
        total = _ZERO
        for c in range(16):
            total += part[c]
        over = _ONE / np.sqrt(total / _F(width) + _EPSILON)
        for c in range(16):
            part[c] = _ZERO
        for block in range(0, width, 16):
            for c in range(16):
                here[block + c] *= over * gain[block + c]
                part[c] += here[block + c] * direction[block + c]
        total = _ZERO
        for c in range(16):
            total += part[c]
        z = np.float64(total + bias)
        prominence[at] = _F(max(z, 0.0) + np.log1p(np.exp(-abs(z))))


@njit(cache=True, nogil=True, error_model="numpy")
def pool(h, prominence, begins, text, out):
    """out [texts, D] += the sum of prominence times h over each window; `text` [windows] says whose it is."""
    width = h.shape[1]
    row = np.empty(width, np.float32)
    for t in range(len(begins) - 1):
        for c in range(width):
            row[c] = _ZERO
        for at in range(begins[t], begins[t + 1]):
            here, p = h[at], prominence[at]
            for c in range(width):
                row[c] += p * here[c]
        whole = out[text[t]]
        for c in range(width):
            whole[c] += row[c]


@njit(cache=True, nogil=True, error_model="numpy")
def project(rows, counts, matrix, out):
    """out [N, E] = rows [N, D] over their `counts` of patches, times matrix [D, E]; zeros where counts are 0."""
    for at in range(len(rows)):
        here = out[at]
        for c in range(len(here)):
            here[c] = _ZERO
        if counts[at]:
            over = _ONE / _F(counts[at])
            for d in range(rows.shape[1]):
                part, value = matrix[d], rows[at, d] * over
                for c in range(len(here)):
                    here[c] += value * part[c]
