"""Signals of points and patches: prominence, coherence, and what normalisation would destroy.

Prominence is the L2 norm of an embedding *before* normalisation; entropy is in nats. Definitions as in the
earlier BLT pipeline, except that a patch's coherence follows from its own prominence and entropy: there it
was the mean over the bytes, while the same name meant prominence^2 / entropy elsewhere.
"""

from dataclasses import dataclass

import numpy as np

from thesphere.errors import InputError

EPSILON = 1e-6  # keeps the coherence of a certain (entropy 0) patch finite


def prominence(embeddings: np.ndarray) -> np.ndarray:
    """L2 norm of each row, summed in float64: float64 [N] of [N, D]. Rows of 1e18 or 1e-18 neither over- nor
    underflow.

    Raises:
        InputError: not two axes, or a row with NaN or infinity.
    """
    rows = np.asarray(embeddings)
    if rows.ndim != 2:
        raise InputError(f"embeddings have shape {list(rows.shape)}; give two axes [N, D], one row per point")
    from thesphere.norms import row_norms  # numba

    return row_norms(rows)


def coherence(prominences: np.ndarray, entropies: np.ndarray) -> np.ndarray:
    """prominence^2 / (entropy + 1e-6): float64 [N], NaN where the entropy is unknown (NaN).

    Args:
        prominences: [N], 0 or more.
        entropies: [N], nats, 0 or more, or NaN where unknown.

    Raises:
        InputError: lengths differ, or a value is negative, or infinite, or a prominence is NaN.
    """
    strong = np.asarray(prominences, np.float64)
    nats = np.asarray(entropies, np.float64)
    if strong.shape != nats.shape:
        raise InputError(
            f"there are {strong.size} prominences and {nats.size} entropies; give one of each per point"
        )
    _refuse(strong, "prominences")
    _refuse(np.where(np.isnan(nats), 0.0, nats), "entropies")
    return strong**2 / (nats + EPSILON)


@dataclass(frozen=True)
class PatchSignals:
    """One row per patch.

    Attributes:
        embeddings: float32 [P, D], mean of the bytes' pre-norm vectors.
        prominence: float32 [P], the largest norm among the bytes; *not* the norm of the mean.
        entropies: float32 [P], mean entropy of the bytes, nats.
        coherence: float64 [P] (1e18 squared is beyond float32), prominence^2 / (entropy + 1e-6) of the patch.
    """

    embeddings: np.ndarray
    prominence: np.ndarray
    entropies: np.ndarray
    coherence: np.ndarray


def patch_signals(
    byte_embeddings: np.ndarray, byte_entropies: np.ndarray, lengths: np.ndarray
) -> PatchSignals:
    """Aggregate the vectors of bytes to patches that tile them: mean vector, largest norm, mean entropy.

    Args:
        byte_embeddings: [T, D], pre-norm, one row per byte.
        byte_entropies: [T], nats.
        lengths: integers [P], bytes per patch, 0 or more, sum T. A patch of no bytes gets zeros.

    Raises:
        InputError: lengths that do not tile the bytes, or values that are NaN, infinite or negative where
            they may not be.
    """
    norms = prominence(byte_embeddings)
    nats = np.asarray(byte_entropies, np.float64)
    sizes = np.asarray(lengths)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 0).any():
        raise InputError("patch lengths must be one row of whole numbers, 0 or more")
    if nats.shape != norms.shape or sizes.sum() != len(norms):
        raise InputError(
            f"there are {len(norms)} byte vectors, {nats.size} entropies and patches of {sizes.sum()} bytes"
            " in all; the three must agree"
        )
    _refuse(nats, "byte entropies")
    held = np.flatnonzero(sizes)
    sizes = sizes[held].astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    vectors = np.zeros((len(lengths), np.shape(byte_embeddings)[1]), np.float32)
    strongest, means = np.zeros(len(lengths)), np.zeros(len(lengths))
    if len(held):
        wide = np.asarray(byte_embeddings, np.float64)
        vectors[held] = np.add.reduceat(wide, starts, axis=0) / sizes[:, None]
        strongest[held] = np.maximum.reduceat(norms, starts)
        means[held] = np.add.reduceat(nats, starts) / sizes
    return PatchSignals(
        vectors,
        strongest.astype(np.float32),
        means.astype(np.float32),
        coherence(strongest, means),
    )


@dataclass(frozen=True)
class Spread:
    """How a set of norms is spread. `cv` is the standard deviation over the mean, 0 where the mean is 0."""

    mean: float
    std: float
    cv: float
    min: float
    p5: float
    p50: float
    p95: float
    max: float


@dataclass(frozen=True)
class NormReport:
    """What normalisation destroys.

    Attributes:
        count: points.
        zeros: points whose vector is zero: they have no direction, normalised or not.
        before: spread of the norms as they are.
        after: spread of the norms once every vector is divided by its own (zeros stay zeros).
        length_correlation: Spearman's rank correlation of the norm with the text length, in [-1, 1]; NaN
            where either does not vary.
        meaning: what these figures say, in one sentence or two.
    """

    count: int
    zeros: int
    before: Spread
    after: Spread
    length_correlation: float
    meaning: str


def norm_report(embeddings: np.ndarray, lengths: np.ndarray) -> NormReport:
    """Compare the spread of norms before and after normalisation, and the norm with the length of the text.

    Args:
        embeddings: [N, D], pre-norm, at least one row.
        lengths: [N], the texts' lengths in bytes.

    Raises:
        InputError: no points, lengths that do not belong to them, or a row with NaN or infinity.
    """
    norms = prominence(embeddings)
    sizes = np.asarray(lengths, np.float64)
    if not len(norms):
        raise InputError("there are no points to report on; give at least one row")
    if sizes.shape != norms.shape:
        raise InputError(
            f"there are {len(norms)} embeddings and {sizes.size} lengths; give one length per row"
        )
    _refuse(sizes, "lengths")
    before, after = spread(norms), spread(np.where(norms > 0, 1.0, 0.0))
    correlation = spearman(norms, sizes)
    return NormReport(
        len(norms), int((norms == 0).sum()), before, after, correlation, _meaning(before.cv, correlation)
    )


def spread(values: np.ndarray) -> Spread:
    """The spread of float64 [N], N at least 1; percentiles are interpolated."""
    low, p5, p50, p95, high = np.quantile(values, [0, 0.05, 0.5, 0.95, 1])
    mean, std = float(np.mean(values)), float(np.std(values))
    return Spread(mean, std, std / mean if mean else 0.0, *map(float, (low, p5, p50, p95, high)))


def spearman(left: np.ndarray, right: np.ndarray) -> float:
    """Spearman's rank correlation, ties given their mean rank; NaN where either side does not vary."""
    a, b = _ranks(left), _ranks(right)
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(np.clip(a @ b / scale, -1, 1)) if scale else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def _meaning(cv: float, correlation: float) -> str:
    if cv < 0.01:
        return "The norms hardly differ: normalisation destroys nothing here."
    lost = f"Normalisation destroys a spread of {cv:.0%} of the mean norm."
    if np.isnan(correlation):
        return f"{lost} The lengths of the texts do not vary, so what the norm says about length is unknown."
    if abs(correlation) >= 0.8:
        way = "longer" if correlation > 0 else "shorter"
        return f"{lost} The norm is largely text length: {way} texts have larger norms ({correlation:+.2f})."
    if abs(correlation) >= 0.4:
        return f"{lost} Part of it is text length (rank correlation {correlation:+.2f}), part is not."
    return f"{lost} Little of it is text length ({correlation:+.2f}); whether it is of use must be measured."


def _refuse(values: np.ndarray, what: str) -> None:
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        raise InputError(f"row {bad[0]} of the {what} is {values[bad[0]]}; give finite numbers, 0 or more")
