"""A cheap chart: the three strongest axes across the mean direction, projected onto the sphere."""

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry import generator

SAMPLE = 2000  # rows that the axes are taken from
BLOCK = 1 << 24  # elements that are converted to float32 at once
GOLDEN = np.pi * (3 - np.sqrt(5))  # the golden angle
FAINT = 1e-6  # an axis is noise if its variance is below this share of the strongest


def pca_positions(embeddings: np.ndarray) -> np.ndarray:
    """Where a linear map puts every row on the sphere: float32 [N, 3], norm 1.

    The axes are the principal ones of (a sample of) the directions. Where the mean of the directions is longer
    than they spread, the axes are taken orthogonal to it: it then falls on the origin whatever the norms are,
    and the points lie around the whole sphere instead of on a patch of it. Every axis is scaled to the same
    spread. Up to three columns, the rows themselves are the chart. Rows without a direction (zeros, or all
    rows alike) go to the golden spiral.

    Args:
        embeddings: numbers [N, D].

    Raises:
        InputError: not [N, D], or a row with NaN or infinity.
    """
    given = np.asarray(embeddings)
    if given.ndim != 2 or given.shape[1] == 0 or given.dtype.kind not in "fiu":
        raise InputError(
            f"embeddings have shape {list(given.shape)} and dtype {given.dtype}; give numbers [N, D], D >= 1"
        )
    axes = _axes(given)
    out = np.empty((len(given), 3), np.float32)
    step = max(1, BLOCK // given.shape[1])
    for first in range(0, len(given), step):
        some = slice(first, first + step)
        with np.errstate(all="ignore"):  # extremes are told by their places and done again in float64
            out[some] = given[some].astype(np.float32, copy=False) @ axes
        reach = np.abs(out[some]).max(axis=1)
        again = first + np.flatnonzero(~((reach > 1e-15) & (reach < 1e15)))
        if len(again):
            out[again] = _scaled(given[again], again) @ axes
    return on_sphere(out)


def _scaled(rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """float64 rows divided by their largest entries; `numbers` are what an error calls them."""
    rows = rows.astype(np.float64)
    top = np.abs(rows).max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        bad = numbers[~np.isfinite(top[:, 0])]
        raise InputError(f"row {bad[0]} holds NaN or infinity; give finite numbers")
    return rows / np.where(top > 0, top, 1)


def on_sphere(points: np.ndarray) -> np.ndarray:
    """Rows [N, 3] divided by their norms, in place; rows of zeros go to the golden spiral.

    Raises:
        InputError: a row that is not finite.
    """
    norms = np.abs(points).max(axis=1, initial=0)
    if not np.isfinite(norms).all():
        bad = np.flatnonzero(~np.isfinite(norms))
        raise InputError(f"row {bad[0]} holds NaN, infinity or a value beyond float32; give finite numbers")
    lost = np.flatnonzero(norms == 0)
    norms[lost] = 1
    points /= norms[:, None]
    points[lost] = spiral(len(points), lost)
    points /= np.sqrt(np.einsum("nd,nd->n", points, points))[:, None]
    return points


def spiral(count: int, rows: np.ndarray) -> np.ndarray:
    """The given points of the golden spiral of `count`, spread evenly over the sphere: float64 [M, 3]
    (Gonzalez 2010, without the poles)."""
    height = 1 - (2 * rows + 1) / max(count, 1)
    turn = GOLDEN * rows
    ring = np.sqrt(np.maximum(0, 1 - height**2))
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)


def _axes(given: np.ndarray) -> np.ndarray:
    """float32 [D, 3]: the map from a row to the chart; columns of zeros where the data has no spread left."""
    width = given.shape[1]
    if width <= 3:
        return np.eye(width, 3, dtype=np.float32)
    chosen = np.arange(len(given))
    if len(given) > SAMPLE:  # drawn: a stride would miss a kind of rows that lies between its steps
        chosen = np.sort(generator(0, 4).choice(len(given), SAMPLE, replace=False))
    rows = _scaled(given[chosen], chosen)
    norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
    rows /= np.where(norms > 0, norms, 1)
    spread, mean = rows.T @ rows / max(len(rows), 1), rows.mean(axis=0) if len(rows) else rows.sum(axis=0)
    length = mean @ mean
    if length > np.linalg.eigvalsh(spread - np.outer(mean, mean))[-3]:  # the mean would drown an axis
        rows -= np.outer(rows @ mean, mean) / length
        spread = rows.T @ rows / len(rows)
    values, vectors = np.linalg.eigh(spread)
    values, vectors = values[:-4:-1], vectors[:, :-4:-1]
    real = values > max(FAINT * values[0], 1e-12)
    signs = np.where(vectors[np.abs(vectors).argmax(axis=0), np.arange(3)] < 0, -1, 1)
    return (vectors * signs * np.where(real, 1 / np.sqrt(np.where(real, values, 1)), 0)).astype(np.float32)
