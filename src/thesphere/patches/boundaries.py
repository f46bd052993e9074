"""Where patches start, given next-byte entropies: the published byte-latent rules, exactly.

`entropies[i]` is the uncertainty, in nats, about token i + 1 after tokens 0..i. So entropies[p - 1] decides
whether token p starts a patch. Tokens 0 (BOS in the published setting) and 1 always start one, as far as they
exist; every comparison is strict. Source: "Byte Latent Transformer" (arXiv 2412.09871) and its public
implementation, whose quirks are kept where they change boundaries (see the rules).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from thesphere.errors import InputError

PUBLISHED_THRESHOLD = 1.335442066192627
"""Global threshold in nats that belongs to the large published entropy model, and to no other."""

Convention = Literal["published", "burn"]


class Rule(Protocol):
    """Decides starts from entropies, which may come in pieces.

    `x` holds entropies[first + 1 :] on its last axis, `before` the one in front of them (None at the very
    beginning). Entry j says whether token first + j + 2 starts a patch.
    """

    def mask(self, x: np.ndarray, first: int = 0, before: float | None = None) -> np.ndarray: ...


def _rises(x: np.ndarray, before: float | None) -> np.ndarray:
    """x_j - x_{j-1}; infinite at the very beginning, where nothing was before."""
    rises = np.empty_like(x)
    rises[..., 1:] = x[..., 1:] - x[..., :-1]
    rises[..., :1] = np.inf if before is None else x[..., :1] - before
    return rises


@dataclass(frozen=True)
class Threshold:
    """A patch starts where the entropy is above `t` nats: the published default."""

    t: float = PUBLISHED_THRESHOLD

    def mask(self, x: np.ndarray, first: int = 0, before: float | None = None) -> np.ndarray:
        return x > self.t


@dataclass(frozen=True)
class Monotonic:
    """A patch starts where the entropy rises by more than `t` nats. Token 2 always starts one."""

    t: float

    def mask(self, x: np.ndarray, first: int = 0, before: float | None = None) -> np.ndarray:
        return _rises(x, before) > self.t


@dataclass(frozen=True)
class ThresholdAdd:
    """Above `t` and rising by more than `add`. Token 2 always starts a patch and token 3 never does.

    The published code means to forbid two starts in a row but reads the mask before filling it, so that only
    the first pair is ever suppressed; that is what "exact" asks for, and what happens here.
    """

    t: float
    add: float

    def mask(self, x: np.ndarray, first: int = 0, before: float | None = None) -> np.ndarray:
        starts = (x > self.t) & (_rises(x, before) > self.add)
        if x.shape[-1] and first == 0:
            starts[..., 0] = True
        if first <= 1 < first + x.shape[-1]:
            starts[..., 1 - first] = False
        return starts


def _checked(entropies: np.ndarray | Sequence[float]) -> np.ndarray:
    e = np.asarray(entropies, dtype=np.float64)
    if e.ndim != 1:
        raise InputError(
            f"entropies of one sequence have shape [T], got {e.shape}; use ragged_lengths for several"
        )
    if np.isnan(e).any():
        raise InputError("entropies hold NaN: boundaries need a number for every byte")
    return e


def starts(
    entropies: np.ndarray | Sequence[float],
    rule: Rule,
    include_next: bool = False,
    convention: Convention = "published",
) -> np.ndarray:
    """Ascending patch starts, int64 [P], of a sequence with `entropies` [S].

    With `include_next` the token after the last one, not yet known, belongs to the sequence: starts may be S.
    `convention="burn"` reads files of an earlier system, whose boundaries lie one byte early: token 0 starts,
    and p >= 1 does where the rule fires on entropies[p]. Its rule was `Monotonic`; its files hold no next
    token. Raises InputError for NaN.
    """
    e = _checked(entropies)
    if convention == "burn":
        if include_next:
            raise InputError("convention 'burn' knows no next token: leave include_next off")
        found = 1 + np.flatnonzero(rule.mask(e[1:], 1, e[0])) if len(e) > 1 else np.empty(0, np.int64)
        return np.concatenate([np.zeros(min(len(e), 1), np.int64), found])
    if convention != "published":
        raise InputError(f"convention is 'published' or 'burn', not {convention!r}")
    size = len(e) + include_next
    found = 2 + np.flatnonzero(rule.mask(e[1:]))
    return np.concatenate([np.arange(min(size, 2)), found[found < size]])


def byte_starts(entropies: np.ndarray | Sequence[float], rule: Rule) -> np.ndarray:
    """Patch starts, int64 [P], of raw bytes that stand behind a BOS, which is how the published models see
    text.

    `entropies[i]` is about byte i + 1. BOS is a patch of its own and is left out; byte 0 always starts a
    patch. Equal to starts([anything, *entropies], rule)[1:] - 1, since no rule reads the entropy after BOS.
    """
    e = _checked(entropies)
    return starts(np.concatenate([[0.0], e]), rule)[1:] - 1


def lengths(starts: np.ndarray | Sequence[int], size: int) -> np.ndarray:
    """Patch lengths, int64 [P], of ascending `starts` over `size` tokens (S, or S + 1 with include_next).

    They tile: their sum is `size`. Raises InputError for starts that do not begin at 0, ascend or end below
    `size`.
    """
    marks = np.asarray(starts, dtype=np.int64)
    steps = np.diff(marks, append=size)
    if (size > 0 and (len(marks) == 0 or marks[0] != 0)) or (steps <= 0).any():
        raise InputError(f"starts must begin at 0, ascend and stay below {size}, got {marks[:5].tolist()}...")
    return steps


def split_long(lengths: np.ndarray | Sequence[int], max_patch_length: int) -> np.ndarray:
    """Each length above `max_patch_length` m becomes m, m, ..., remainder (1..m); int64, same sum.

    Raises InputError for a length below 1, which the padding of `ragged_lengths` is.
    """
    if max_patch_length < 1:
        raise InputError(f"max_patch_length is at least 1, got {max_patch_length}")
    whole = np.asarray(lengths, dtype=np.int64)
    if (whole < 1).any():
        raise InputError("patch lengths are at least 1; drop the padding of ragged batches")
    pieces = -(-whole // max_patch_length)
    split = np.full(pieces.sum(), max_patch_length, np.int64)
    last = np.cumsum(pieces) - 1
    split[last] = whole - (pieces - 1) * max_patch_length
    return split


def ragged_lengths(
    rows: Sequence[np.ndarray], rule: Rule, include_next: bool = False, max_patch_length: int | None = None
) -> np.ndarray:
    """Lengths of several sequences, int64 [B, P], each row padded with zeros on the right.

    Every row is what the sequence gives alone: rows share no context and no padding enters a rule.
    """
    found = [lengths(starts(row, rule, include_next), len(row) + include_next) for row in rows]
    if max_patch_length is not None:
        found = [split_long(row, max_patch_length) for row in found]
    padded = np.zeros((len(rows), max(map(len, found), default=0)), np.int64)
    for row, values in zip(padded, found, strict=True):
        row[: len(values)] = values
    return padded


def patch_of(starts: np.ndarray, size: int) -> np.ndarray:
    """For every token the number of its patch: int64 [size]."""
    return np.searchsorted(starts, np.arange(size), side="right") - 1


def calibrated(
    entropies: np.ndarray, target_patch_bytes: float, rising: bool = False
) -> Threshold | Monotonic:
    """The rule whose mean patch length over these bytes (behind a BOS) is nearest to `target_patch_bytes`.

    A quantile of the entropies themselves (or of their rises, for `Monotonic`), hence a function of them
    alone and defined down to one byte. Ties can leave the mean off the target: the count nearest to it wins,
    the higher threshold on equality.
    """
    if not target_patch_bytes >= 1:
        raise InputError(f"target_patch_bytes is at least 1, got {target_patch_bytes}")
    e = _checked(entropies)
    kind = Monotonic if rising else Threshold
    values = (
        np.diff(e)[: max(len(e) - 2, 0)] if rising else e[:-1]
    )  # the last entropy is about no byte of ours
    wanted = round(len(e) / target_patch_bytes) - (2 if rising else 1)  # starts beyond the forced ones
    if len(values) == 0:
        return kind(0.0)
    if wanted <= 0:
        return kind(float(values.max()))
    if wanted >= len(values):
        return kind(float(np.nextafter(values.min(), -np.inf)))
    at = float(np.partition(values, len(values) - wanted - 1)[len(values) - wanted - 1])
    above = int((values > at).sum())  # <= wanted; fewer only with ties at `at`
    if above == wanted:
        return kind(at)
    below = values[values < at]
    lower = float(below.max()) if len(below) else float(np.nextafter(at, -np.inf))
    return kind(lower) if (values > lower).sum() - wanted < wanted - above else kind(at)
