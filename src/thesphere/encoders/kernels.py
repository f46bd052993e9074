"""The arithmetic of the sphere encoders between two products of int8 matrices; the equations are in nn/sphere.py.

As in nn/integer.py a row of float32 is kept as int8 levels and the size of one level, products of levels are
exact integers, and what lies between is done in a fixed order within one row or one text. So a text's result is
the same to the last bit whatever shares its batch.

Attention is of 8-bit numbers too: queries and keys row by row of a head, values column by column within a window,
weights as whole 127ths of the largest.
"""

import numpy as np
from numba import njit

from thesphere.nn.integer import _INTEGER, _exp, _quantise, _quantise_part
from thesphere.nn.tiles import COLUMNS, DEPTH, ROWS, multiply, rounded_up

_F, _I = np.float32, np.int32
_ZERO, _ONE, _LEVELS, _TINY, _EPSILON = _F(0), _F(1), _F(127), _F(1e-12), _F(1e-6)
_BIAS, _LOG2E, _WHOLE, _BYTE = _I(127 << 23), _F(1.44269504), _F(1 << 23), _I(255)
_STEPS = _F(128)  # of a logit, in a factor 2 of the weight
_FLOOR, _DEEPEST, _PART = _F(-(1 << 22)), _I(1024), _I(127)  # the lowest logit; 2^-8 is weight 0
_Q0, _Q1, _Q2 = _F(127), _F(127 * -0.6565 / 128), _F(127 * 0.1565 / 128**2)
# 127 times 2^-f for f in 128ths, within half of 1 %, and right at both ends, so that weights never rise


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
        sizes[p] = _quantise(row, levels, p) * lengthening[size[p]]


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
def attend(sums, sizes, scale, slope, begins, cones, tiles, levels, out_sizes):
    """Attention within each window; levels int8 [P, D] and sizes [P] of what the heads bring together.

    A window's cone at a time: its queries, keys and values, then ROWS queries of one head, so that what lies
    between two products never leaves the nearest memory.

    Args:
        sums: int32 [P, D + 2 C W], of queries, keys and values of C cones; `sizes` [P] and `scale` are theirs.
        slope: [heads], what a step of distance takes from a logit; the heads of a cone follow one another.
        tiles: as for `multiply`.
    """
    heads, longest = len(slope) // cones, 1
    for t in range(len(begins) - 1):
        longest = max(longest, begins[t + 1] - begins[t])
    width, most = levels.shape[1] // len(slope), rounded_up(longest, DEPTH)
    depth, rows = (DEPTH, ROWS) if tiles else (4, 8)  # of what `multiply` likes multiples best
    deep, broad = rounded_up(width, depth), rounded_up(width, COLUMNS)
    query, key, value = _room(heads * most * deep), _room(most * deep), _room(most * broad)
    product, weight = _room(4 * ROWS * most), _room(ROWS * most)
    brought = _room(4 * ROWS * broad).view(np.int32).reshape(ROWS, broad)
    query_size, key_size = np.empty((heads, most), np.float32), np.empty(most, np.float32)
    value_size, totals, bits = np.empty(width, np.float32), np.empty(ROWS, np.int32), np.empty(most, np.int32)
    fall, row = np.empty(2 * most, np.float32), np.empty((longest, levels.shape[1]), np.float32)
    queries = query.reshape(heads, most, deep)
    for t in range(len(begins) - 1):
        first, last = begins[t], begins[t + 1]
        n = last - first
        across, down = rounded_up(n, COLUMNS), rounded_up(n, depth)
        keys = key[: across * deep].reshape(across // 16, 16 * deep)
        values = value[: down * broad].reshape(broad // 16, 16 * down)
        products = product.view(np.int32)[: ROWS * across].reshape(ROWS, across)
        weights = weight[: ROWS * down].reshape(ROWS, down)
        weights[:] = 0  # nothing comes from beyond the window
        for cone in range(cones):
            _split(
                sums[first:last], sizes[first:last], scale, cone, cones, queries, query_size, keys, key_size
            )
            _turn(sums[first:last], sizes[first:last], scale, cone, cones, values, value_size)
            for head in range(cone * heads, (cone + 1) * heads):
                own = head - cone * heads
                for j in range(2 * n - 1):
                    fall[j] = _F(abs(_I(j) - _I(n - 1))) * (slope[head] * _LOG2E * _STEPS)
                for at in range(0, n, ROWS):
                    some = min(ROWS, n - at)
                    many = rounded_up(some, rows)
                    multiply(queries[own, at : at + many], keys, products[:many], tiles)
                    size = query_size[own, at : at + some]
                    _weigh(products, size, key_size[:n], fall, at, bits, weights, totals)
                    multiply(weights[:many], values, brought[:many], tiles)
                    _join(brought, totals[:some], value_size, row[at : at + some], head * width)
        for at in range(n):
            out_sizes[first + at] = _quantise(row[at], levels, first + at)


@njit(cache=True, nogil=True)
def _room(size):
    """So many zero bytes that begin where a cache line does."""
    found = np.zeros(size + 63, np.int8)
    begin = -found.ctypes.data % 64
    return found[begin : begin + size]


@njit(cache=True, nogil=True, error_model="numpy")
def _split(sums, sizes, scale, cone, cones, query, query_size, key, key_size):
    """Queries int8 [heads, n, W] of one cone, and keys packed for `multiply`; the root of W is in query_size."""
    heads, n, most = len(query_size), len(sums), query.shape[1]
    width = sums.shape[1] // (cones * (heads + 2))
    packed, rows = np.zeros((1, query.shape[2]), np.int8), query.reshape(-1, query.shape[2])
    words, to = packed[0].view(np.int32), key.view(np.int32)
    both = np.empty((heads + 1) * width, np.float32)
    first, second = np.uint64(cone * heads * width), np.uint64((cones * heads + cone) * width)
    beside = np.uint64(heads * width)
    root = _LOG2E * _STEPS / np.sqrt(_F(width))
    for at in range(n):
        size = sizes[at]
        for c in range(beside):
            both[c] = _F(sums[at, first + c]) * size * scale[first + c]
        for c in range(np.uint64(width)):
            both[beside + c] = _F(sums[at, second + c]) * size * scale[second + c]
        for head in range(heads):
            query_size[head, at] = _quantise_part(both, head * width, width, rows, head * most + at) * root
        key_size[at] = _quantise_part(both, heads * width, width, packed, 0)
        for k in range(len(words)):
            to[at // 16, 16 * k + at % 16] = words[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _turn(sums, sizes, scale, cone, cones, value, value_size):
    """Values of one cone, column by column, packed for `multiply`; value_size [W]."""
    n, width = len(sums), np.uint64(len(value_size))
    first = np.uint64(sums.shape[1]) - np.uint64(cones - cone) * width
    top, word, to = np.empty(width, np.float32), np.zeros(16 * len(value), np.int32), value.view(np.int32)
    for c in range(width):
        top[c] = _TINY
    for at in range(n):
        size = sizes[at]
        for c in range(width):
            top[c] = max(top[c], abs(_F(sums[at, first + c])) * size)
    for c in range(width):
        value_size[c] = top[c] / _LEVELS * scale[first + c]
        top[c] = _LEVELS / top[c]
    for four in range(to.shape[1] // 16):  # patches beside each other: one word
        for c in range(width):
            word[c] = 0
        for at in range(4 * four, min(4 * four + 4, n)):
            size, up = sizes[at], _I(8 * (at % 4))
            for c in range(width):
                level = _F(_F(sums[at, first + c]) * size * top[c] + _INTEGER).view(np.int32) & _BYTE
                word[c] |= _I(level << up)
        for tile in range(len(to)):
            for c in range(np.uint64(16)):
                to[tile, np.uint64(16 * four) + c] = word[np.uint64(16 * tile) + c]


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(products, query_size, key_size, fall, first, logits, weights, totals):
    """Softmax of some queries' attention, in whole 127ths of the largest weight.

    Args:
        products: int32, of queries, the first of which is patch `first` of its window, and keys.
        query_size, key_size: of a level, such that logits are in `_STEPS` of a factor 2.
        fall: [2 n - 1], what distances take from a logit; that of 0 is at n - 1.
        logits: int32 [n], to work in.
        weights: int8 [ROWS, at least n].
        totals: int32, sums of the weights.
    """
    n = len(key_size)
    for r in range(len(query_size)):
        here, size, away, to = products[r], query_size[r], fall[n - 1 - first - r :], weights[r]
        top = _I(0)
        for j in range(n):
            logit = max(_F(here[j]) * key_size[j] * size - away[j], _FLOOR)
            logits[j] = bits = _F(logit + _INTEGER).view(np.int32)
            top = _I(max(top, bits))
        total = _I(0)
        for j in range(n):  # 2^-(i + f) is 2^-f, a parabola, by 2^-i; adding a large number rounds
            below = _I(min(_I(top - logits[j]), _DEEPEST))
            f = _F(_I(below & _PART))
            power = (_Q2 * f + _Q1) * f + _Q0
            power *= _I(_BIAS - _I(_I(below & ~_PART) << _I(16))).view(np.float32)
            weight = _I(_F(power + _WHOLE).view(np.int32) & _BYTE)
            total = _I(total + weight)
            to[j] = np.int8(weight)
        totals[r] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _join(sums, totals, value_size, row, first):
    """Columns `first` ... of the rows [R, D]: what one head brings. sums: int32, of weights and values."""
    for r in range(len(totals)):
        over = _ONE / _F(totals[r])
        for c in range(np.uint64(len(value_size))):
            row[r, np.uint64(first) + c] = _F(sums[r, c]) * over * value_size[c]


@njit(cache=True, nogil=True, error_model="numpy")
def quantise(rows, levels, sizes):
    """levels int8 and sizes of every row."""
    for at in range(len(rows)):
        sizes[at] = _quantise(rows[at], levels, at)


@njit(cache=True, nogil=True, error_model="numpy")
def square(sums, sizes, scale, levels, out_sizes):
    """The squared positive part of sums * sizes * scale, as levels and sizes."""
    row = np.empty(levels.shape[1], np.float32)
    for at in range(len(sums)):
        here, size = sums[at], sizes[at]
        for c in range(len(row)):
            v = max(_F(here[c]) * size * scale[c], _ZERO)
            row[c] = v * v
        out_sizes[at] = _quantise(row, levels, at)


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
            out_sizes[at] = _quantise(row, levels, at)


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
