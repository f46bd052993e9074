"""The compiled loop of lateral exploration: every point tries a few places and takes the best."""

import numpy as np
from numba import njit

ONE = np.float32(1)
FAR = np.float32(-18)  # exp of less is lost beside 1 in float32


@njit(cache=True, nogil=True)
def _closeness(cosine, kappa):
    """exp(kappa (cosine - 1)); 0, without the cost of an exponential, where it would not count."""
    exponent = kappa * (cosine - ONE)
    return np.exp(exponent) if exponent > FAR else np.float32(0)


@njit(cache=True, nogil=True)
def _score(x, y, z, positions, ids, weights, own, crowd, kappa, crowding):
    """Weighted mean closeness to the neighbours of `own` at (x, y, z), less the closeness to the crowd."""
    near, total, far = np.float32(0), np.float32(0), np.float32(0)
    for slot in range(ids.shape[1]):
        w = weights[own, slot]
        if w > 0:
            j = ids[own, slot]
            cosine = x * positions[j, 0] + y * positions[j, 1] + z * positions[j, 2]
            near += w * _closeness(cosine, kappa)
            total += w
    for s in range(len(crowd)):
        cosine = x * crowd[s, 0] + y * crowd[s, 1] + z * crowd[s, 2]
        far += _closeness(cosine, kappa)
    if total > 0:
        near /= total
    return near - crowding * far / np.float32(len(crowd))


@njit(cache=True, nogil=True)
def explore(first, last, positions, ids, weights, seeking, headings, crowds, numbers, after):
    """Move the seeking points of first ... last - 1 to their best candidates.

    Args:
        positions: float32 [N, 3], where all are.
        ids, weights: [N, k]; weight 0 where a slot is empty.
        seeking: bool [N].
        headings: float32 [T, D, 3], directions; point i uses row i mod T.
        crowds: float32 [T, M, 3], positions to keep away from; likewise.
        numbers: float32 kappa, arc, crowding, threshold.
        after: float32 [N, 3], out.

    Returns:
        How many moved.
    """
    kappa, arc, crowding, threshold = numbers
    moves = 0
    for i in range(first, last):
        if not seeking[i]:
            continue
        x, y, z = positions[i]
        crowd, tried = crowds[i % len(crowds)], headings[i % len(headings)]
        best = _score(x, y, z, positions, ids, weights, i, crowd, kappa, crowding) + threshold
        mx, my, mz = np.float32(0), np.float32(0), np.float32(0)
        for slot in range(ids.shape[1]):
            w, j = weights[i, slot], ids[i, slot]
            mx += w * positions[j, 0]
            my += w * positions[j, 1]
            mz += w * positions[j, 2]
        gained = False
        for candidate in range(len(tried) + 1):
            if candidate == 0:  # the neighbours' mean direction
                tx, ty, tz = mx, my, mz
            else:  # an arc along the sphere
                hx, hy, hz = tried[candidate - 1]
                along = hx * x + hy * y + hz * z
                tx, ty, tz = (
                    x + arc * (hx - along * x),
                    y + arc * (hy - along * y),
                    z + arc * (hz - along * z),
                )
            length = np.sqrt(tx * tx + ty * ty + tz * tz)
            if length < np.float32(1e-6):  # no neighbours, or they cancel
                continue
            tx, ty, tz = tx / length, ty / length, tz / length
            score = _score(tx, ty, tz, positions, ids, weights, i, crowd, kappa, crowding)
            if score > best:
                best, gained = score, True
                after[i, 0], after[i, 1], after[i, 2] = tx, ty, tz
        moves += gained
    return moves
