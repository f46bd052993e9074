"""Prominence overflow: which points stand out so far from their shell that they break through to the next."""

from typing import Any

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry.namespace import Array, floats, namespace


def prominence_overflow(
    prominence: Array,
    shells: Array,
    count: int,
    *,
    threshold: float = 1.0,
    floor: float = 0.1,
    relative: float | None = None,
) -> tuple[Array, Array]:
    """(promote, excess), bool [N] and floats [N]: who stands out from its shell, and by how much (0: not).

    Point i of shell k is promoted where p_i - mean_k > threshold (std_k + floor std), mean and population
    standard deviation over the shell, std over all points. The earlier rule added an absolute 0.1 instead, so
    that embeddings scaled by 1/100 never moved; this one does not change under scaling.

    With `relative` (0.93 in the first earlier versions), the older rule: p_i - m > relative x m, m the mean of
    the shell's *other* members; a point alone in its shell is compared with itself. It needs 1.93 times the
    mean and is rarely met.

    Args:
        prominence: [N], finite.
        shells: [N] integers, 0 to count - 1.
        count: S, how many shells there are.
        threshold: in standard deviations.
        floor: the least spread of a shell, relative to that of all points.
        relative: the older rule's factor; None for the rule of standard deviations.

    Raises:
        InputError: lengths that differ, shells that are not integers, or (NumPy only) values that are not
            finite or shells out of range.
    """
    xp, values = floats(prominence)
    xp = namespace(values, shells)
    values, shells = xp.asarray(values), xp.asarray(shells)
    if values.ndim != 1 or values.shape != shells.shape:
        raise InputError(f"there are {values.size} prominences and {shells.size} shells; give one of each")
    if not values.size:
        return values > 0, values
    if np.dtype(shells.dtype).kind not in "iu":
        raise InputError(f"the shells are {shells.dtype}; give whole numbers")
    if xp is np:
        if not np.isfinite(values).all():
            raise InputError("a prominence is NaN or infinite; give finite numbers")
        if shells.min() < 0 or shells.max() >= count:
            raise InputError(f"a shell is not among 0 to {count - 1}")
        shells = shells.astype(np.int64)
    # in at least float32 and of a size near 1 nothing over- or underflows; powers of two cost no digits
    kind = values.dtype
    wide = np.float64 if xp is np else xp.promote_types(kind, xp.float32)
    exponent = xp.maximum(xp.frexp(xp.max(xp.abs(values)))[1] - 1, xp.finfo(wide).minexp)
    scale = xp.ldexp(xp.ones((), wide), exponent)
    values = values / scale
    members = _sums(xp, xp.ones_like(values), shells, count)[shells]
    if relative is not None:
        others = (_sums(xp, values, shells, count)[shells] - values) / xp.maximum(members - 1, 1)
        others = xp.where(members > 1, others, values)
        over = values - others - relative * others
    else:
        above = values - xp.min(values)  # exactly 0 where all are equal, so that rounding promotes nobody
        off = above - _sums(xp, above, shells, count)[shells] / members
        spread = xp.sqrt(_sums(xp, off**2, shells, count)[shells] / members)
        over = off - threshold * (spread + floor * xp.std(above))
    excess = xp.clip(over, 0, xp.finfo(kind).max / xp.maximum(scale, 1)) * scale
    return over > 0, excess.astype(kind)


def _sums(xp: Any, values: Array, shells: Array, count: int) -> Array:
    """The sum of the values on each shell: [count]."""
    if xp is np:
        return np.bincount(shells, values, minlength=count).astype(values.dtype)
    return xp.zeros(count, values.dtype).at[shells].add(values)
