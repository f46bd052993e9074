"""Compiled passes: threshold and compact, bounds, and re-scoring. All release the interpreter's lock.

Units. For a row x (scale s, residual r, length l, both in units of s) and a query q (weight v, and two
numbers `spread` and `slip` in units of its scale), the integer product I of the codes gives

    v * w * (I - err)  <=  score(q, x)  <=  v * w * (I + err),      err = spread * r + slip * l,

where w is s for inner products and 1 / l for cosine (0 for a zero vector). `forms_of` makes spread and
slip a little larger than Cauchy-Schwarz asks: it covers every rounding between here and the float64 score.
"""

import numpy as np
from numba import njit

from thesphere.scan.dots import PRECISE, score, sums
from thesphere.scan.integers import products
from thesphere.scan.rows import Codes, empty_codes, encode_pass, frozen, refuse, residual

GROUP = 256  # queries that are tested together, a multiple of 8
ROWS = 2048  # whose products with one query are made at a time
TERMS = 3  # columns of the query terms: weight, spread, slip
COARSE = 2.0**-20  # relative slack of the float32 pre-test (a few float32 roundings, each 2^-24)


def forms_of(rows: np.ndarray, cosine: bool) -> tuple[Codes, np.ndarray, np.ndarray, np.ndarray]:
    """Of Q queries float32 [Q, D], as `as_rows` gives them: (their codes, float64 [Q, D], norms float64 [Q],
    terms float64 [Q, 3]).

    Terms are weight, spread and slip. |<q, x> - <q_hat, x_hat>| <= |q - q_hat| |x| + |q_hat| |x - x_hat|, plus
    (D + 8) 2^-50 |q| |x| for summing in float64; cosine adds 2^-21 |q| |x|, because lengths are float32. Raises
    InputError for NaN or infinity.
    """
    codes, residuals = empty_codes(*rows.shape)
    exact, norms = np.empty(rows.shape, PRECISE), np.empty(len(rows), PRECISE)
    terms = np.empty((len(rows), TERMS))
    bad = encode_and_form(
        frozen(rows), codes.codes, codes.scales, residuals, codes.lengths, cosine, exact, norms, terms
    )
    refuse(bad, "queries")
    return codes, exact, norms, terms


@njit(cache=True, nogil=True, error_model="numpy")
def encode_and_form(rows, codes, scales, residuals, lengths, cosine, exact, norms, terms):
    """`forms_of` into given arrays, codes with zeros behind the rows' columns; the first row that holds NaN or
    infinity, -1 if none does."""
    rounding = (rows.shape[1] + 8) * 2.0**-50 + (2.0**-21 if cosine else 0.0)
    bad = encode_pass(rows, codes, scales, residuals, lengths, False)
    if bad < 0:
        _forms(rows, lengths, residuals, scales, cosine, rounding, exact, norms, terms)
    return bad


@njit(cache=True, nogil=True, error_model="numpy")
def _forms(rows, lengths, residuals, scales, cosine, rounding, exact, norms, terms):
    for q in range(len(rows)):
        for j in range(rows.shape[1]):
            exact[q, j] = rows[q, j]
        norms[q] = np.sqrt(sums(exact, q, 1.0, exact[q])[1])  # as `score` sums those of rows
        missed = residual(residuals[q])
        long, step = np.float64(lengths[q]) + missed, np.float64(scales[q])
        terms[q, 0] = (step / norms[q] if norms[q] > 0.0 else 1.0) if cosine else step
        terms[q, 1] = long * (1.0 + COARSE)
        terms[q, 2] = missed * (1.0 + COARSE) + long * rounding


@njit(cache=True, nogil=True, error_model="numpy")
def _push(heap, value):
    """Replace the least of a min-heap by a larger value."""
    size = len(heap)
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = value


@njit(cache=True, nogil=True, error_model="numpy")
def _keep(positions, uppers, count, threshold):
    """Drop the candidates whose upper bound is below the threshold, in place; returns how many stay."""
    kept = 0
    for c in range(count):
        if uppers[c] >= threshold:
            positions[kept] = positions[c]
            uppers[kept] = uppers[c]
            kept += 1
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def _offer(q, position, lower, upper, heaps, positions, uppers, counts):
    """Take a row into query q's candidates; returns whether its list needs settling."""
    positions[q, counts[q]] = position
    uppers[q, counts[q]] = upper
    counts[q] += 1
    if lower > heaps[q, 0]:
        _push(heaps[q], lower)
    if counts[q] == positions.shape[1]:
        counts[q] = _keep(positions[q], uppers[q], counts[q], heaps[q, 0])
        return 2 * counts[q] > positions.shape[1]
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _bar(threshold):
    """float32 slightly below a threshold in units of the tile's largest weight.

    Clamped to +-1e30 (a tile's own values stay far below); 2^-60 covers rows whose relative weight
    underflowed.
    """
    value = min(max(threshold, -1e30), 1e30)
    return np.float32(value - abs(value) * 2.0**-22 - 2.0**-60)


@njit(cache=True, nogil=True, error_model="numpy")
def _some(dots, r, start, end, errors, share, bars):
    """Whether any of the queries start .. end might want row r. No branch, one bit: so it is vectorised."""
    hit = False
    for q in range(np.uint64(start), np.uint64(end)):  # an index that may be negative would stop it
        hit |= (np.float32(dots[r, q]) + errors[q]) * share >= bars[q]
    return hit


@njit(cache=True, nogil=True, error_model="numpy")
def _mark(dots, r, start, end, errors, share, bars, mask):
    """Which of them: fills mask, uint8."""
    for q in range(np.uint64(start), np.uint64(end)):
        mask[q - np.uint64(start)] = (np.float32(dots[r, q]) + errors[q]) * share >= bars[q]


@njit(cache=True, nogil=True, error_model="numpy")
def tile_pass(dots, start, base, rows, tile, live, terms, heaps, positions, uppers, counts):
    """Compact one tile of int8 products into the queries' candidate lists.

    Args:
        dots: int32 [R, >= Q] products of the tile's codes with the queries' codes; none behind them is read.
        start: first row of the tile to look at.
        base: position (over all parts) of the tile's row 0.
        rows: (relative float32 [R], weights float64 [R], residuals float32 [R], lengths float32 [R]).
        tile: (largest weight, largest residual, largest length) of the tile.
        live: bool [R], or empty when every row counts.
        terms: float64 [Q, 3], see `forms_of`.
        heaps: float64 [Q, k], min-heaps of the k best lower bounds so far.
        positions, uppers, counts: int64 [Q, C], float64 [Q, C], int64 [Q], the candidates.

    Returns R when the tile is done, or ~(row to go on from) when a list is so full that it must be settled.
    """
    relative, weights, residuals, lengths = rows
    top, far, long = tile
    count, width = len(dots), len(terms)
    errors = np.empty(width, dtype=np.float32)
    bars = np.empty(width, dtype=np.float32)
    for q in range(width):
        error = terms[q, 1] * far + terms[q, 2] * long
        # |I| <= |q_hat| (|x| + |x - x_hat|) / scales, and the pre-test rounds about that much
        errors[q] = np.float32(error + COARSE * (error + terms[q, 1] * (long + far)))
        bars[q] = _bar(heaps[q, 0] / terms[q, 0] / top)
    words = np.zeros(GROUP // 8, dtype=np.uint64)
    mask = words.view(np.uint8)
    for r in range(start, count):
        if len(live) and not live[r]:
            continue
        share = relative[r]
        full = False
        for first in range(0, width, GROUP):
            end = min(first + GROUP, width)
            if not _some(dots, r, first, end, errors, share, bars):
                continue
            words[:] = 0
            _mark(dots, r, first, end, errors, share, bars, mask)
            for w in range(len(words)):  # eight queries at a look: nearly all have nothing here
                if words[w] == 0:
                    continue
                for lane in range(8 * w, 8 * w + 8):
                    if mask[lane] == 0:
                        continue
                    q = first + lane
                    factor = terms[q, 0] * weights[r]
                    error = terms[q, 1] * residuals[r] + terms[q, 2] * lengths[r]
                    upper = factor * (dots[r, q] + error)
                    if upper >= heaps[q, 0]:
                        lower = factor * (dots[r, q] - error)
                        if _offer(q, base + r, lower, upper, heaps, positions, uppers, counts):
                            full = True
                        bars[q] = _bar(heaps[q, 0] / terms[q, 0] / top)
        if full:
            return ~(r + 1)
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def row_pass(codes, start, base, rows, live, queries, q, terms, heaps, positions, uppers, counts):
    """`tile_pass` for query q alone, products included: codes int8 [R, W], queries int8 [Q, W], else as there."""
    weights, residuals, lengths = rows
    count = len(codes)
    weight, spread, slip = terms[0]
    dots = np.empty(ROWS, dtype=np.int32)
    for first in range(start, count, ROWS):
        some = min(ROWS, count - first)
        products(codes, first, some, queries, q, dots, 0)
        for i in range(some):
            r = first + i
            if len(live) and not live[r]:
                continue
            error = spread * residuals[r] + slip * lengths[r]
            factor = weight * weights[r]
            upper = factor * (dots[i] + error)
            if upper >= heaps[0, 0]:
                lower = factor * (dots[i] - error)
                if _offer(0, base + r, lower, upper, heaps, positions, uppers, counts):
                    return ~(r + 1)
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def bound_pass(codes, rows, queries, q, terms, lower, upper):
    """Bounds of every row for query q: fills lower and upper, float64 [R]."""
    weights, residuals, lengths = rows
    weight, spread, slip = terms
    dots = np.empty(len(codes), dtype=np.int32)
    products(codes, 0, len(codes), queries, q, dots, 0)
    for r in range(len(codes)):
        error = spread * residuals[r] + slip * lengths[r]
        factor = weight * weights[r]
        lower[r] = factor * (dots[r] - error)
        upper[r] = factor * (dots[r] + error)


@njit(cache=True, nogil=True, error_model="numpy")
def trim(heaps, positions, uppers, counts):
    """Drop every candidate whose upper bound is below its query's k-th lower bound."""
    for q in range(len(counts)):
        counts[q] = _keep(positions[q], uppers[q], counts[q], heaps[q, 0])


@njit(cache=True, nogil=True, error_model="numpy")
def rescore(
    values, scales, lossless, order, queries, norms, cosine, base, offset, positions, counts, ids, scores
):
    """Float64 scores of the candidates that lie in one part (positions base .. base + N).

    values: float32 [N, D] vectors, or int8 [N, W] codes when lossless (then times their scale); order: int32 [N],
    the vector behind each position, or empty; queries float64 [Q, D], norms float64 [Q]. Fills ids and scores
    [Q, C] beside positions.
    """
    for q in range(len(counts)):
        for c in range(counts[q]):
            row = positions[q, c] - base
            if 0 <= row < len(scales):
                step = np.float64(scales[row]) if lossless else 1.0
                if len(order):
                    row = np.int64(order[row])
                ids[q, c] = offset + row
                scores[q, c] = score(values, row, step, queries[q], norms[q], cosine)


@njit(cache=True, nogil=True, error_model="numpy")
def score_rows(values, scales, lossless, query, query_norm, cosine, rows, scores):
    """Float64 scores of chosen rows of one part for one query float64 [D]: fills scores, float64 [M]."""
    for m in range(len(rows)):
        row = rows[m]
        step = np.float64(scales[row]) if lossless else 1.0
        scores[m] = score(values, row, step, query, query_norm, cosine)


@njit(cache=True, nogil=True, error_model="numpy")
def best(positions, counts, ids, scores):
    """Sort each query's candidates by (score descending, id ascending), the order of answers, in place.

    Shell's sort: no memory, quick on the usual short lists and bearable on long ones.
    """
    for q in range(len(counts)):
        gap = 1
        while 3 * gap + 1 < counts[q]:
            gap = 3 * gap + 1
        while gap > 0:
            for c in range(gap, counts[q]):
                score, name, position = scores[q, c], ids[q, c], positions[q, c]
                i = c
                while i >= gap and (
                    scores[q, i - gap] < score or (scores[q, i - gap] == score and ids[q, i - gap] > name)
                ):
                    scores[q, i] = scores[q, i - gap]
                    ids[q, i] = ids[q, i - gap]
                    positions[q, i] = positions[q, i - gap]
                    i -= gap
                scores[q, i] = score
                ids[q, i] = name
                positions[q, i] = position
            gap //= 3
