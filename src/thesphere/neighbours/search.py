"""The verbs: nearest rows by cosine, within a collection or of queries from outside."""

import numpy as np

from thesphere.errors import InputError
from thesphere.neighbours.cells import search_cells
from thesphere.neighbours.exact import all_pairs
from thesphere.neighbours.graph import Neighbours
from thesphere.runtime import precision_of

EXACT_LIMIT = 30_000  # rows up to which all pairs are scored


def nearest(
    embeddings: np.ndarray,
    k: int = 15,
    *,
    exact: bool | None = None,
    probes: int = 2,
    axes: int | None = None,
    key: int | None = None,
) -> Neighbours:
    """The k most similar other rows of every row, by cosine.

    Args:
        embeddings: numbers [N, D]; the norms do not matter.
        k: neighbours per row, 1 or more.
        exact: True scores all pairs in float32, False searches cells (see `cells`); None decides by N.
        probes: cells of about 600 rows that every row searches when the search is not exact, 1 or more. From
            2 on, the neighbours' neighbours are scored, too; 1 is rough, at half the time.
        axes: leading principal axes, 1 or more, by which the cells are told apart; neighbours are compared in all
            columns in any case. Cheaper than None, all columns, and finds fewer of the true neighbours.
        key: of the cells' sample; the exact search does not use it.

    Returns:
        Neighbours of [N, k]. The same input gives the same bits on any number of threads.

    Raises:
        InputError: not [N, D], k, probes or axes below 1, or a row with NaN or infinity.
    """
    rows = unit_rows(embeddings)
    _positive(k)
    _positive(probes, "probes")
    _positive(1 if axes is None else axes, "axes")
    if exact or len(rows) < 2 or (exact is None and len(rows) <= EXACT_LIMIT):
        return all_pairs(rows, rows, k, own=np.arange(len(rows), dtype=np.int32))
    return search_cells(rows, k, probes=probes, axes=axes, key=key or 0)


def nearest_of(queries: np.ndarray, embeddings: np.ndarray, k: int = 15) -> Neighbours:
    """The k rows of `embeddings` that are most similar to each query: Neighbours of [Q, k]. Exact; a query
    that equals a row finds that row.

    Raises:
        InputError: widths differ, k below 1, or a row with NaN or infinity.
    """
    asked, rows = unit_rows(queries, "queries"), unit_rows(embeddings)
    _positive(k)
    if asked.shape[1] != rows.shape[1]:
        raise InputError(
            f"queries are {asked.shape[1]} wide and embeddings {rows.shape[1]}; give both the same width"
        )
    return all_pairs(asked, rows, k)


def unit_rows(array: np.ndarray, what: str = "embeddings") -> np.ndarray:
    """float32 [N, D] copy with rows of norm 1; rows of zeros stay zeros, and rows of norm 1e-30 or
    1e30 are directions like any other.

    Raises:
        InputError: not two axes of numbers, no columns, or a row with NaN or infinity.
    """
    given = np.asarray(array)
    if given.ndim != 2 or given.shape[1] == 0 or given.dtype.kind not in "fiu":
        raise InputError(
            f"{what} have shape {list(given.shape)} and dtype {given.dtype}; give numbers [N, D], D >= 1"
        )
    out = np.empty(given.shape, precision_of("similarity"))
    step = max(1, (1 << 20) // given.shape[1])
    for first in range(0, len(given), step):
        with np.errstate(all="ignore"):  # extremes are told by their norms and done again in float64
            block = given[first : first + step].astype(out.dtype, copy=False)
            norms = np.sqrt(np.einsum("nd,nd->n", block, block))
            np.divide(block, np.where(norms > 0, norms, 1)[:, None], out=out[first : first + step])
        for i in np.flatnonzero(~((norms > 1e-15) & (norms < 1e15))):
            out[first + i] = _unit(given[first + i].astype(np.float64), first + int(i), what)
    return out


def _unit(row: np.ndarray, number: int, what: str) -> np.ndarray:
    """One row, whatever its norm: divided by its largest entry first."""
    top = np.abs(row).max()
    if not np.isfinite(top):
        raise InputError(f"row {number} of the {what} holds NaN or infinity; give finite numbers")
    row = row / (top or 1.0)
    return row / (np.sqrt(row @ row) or 1.0)


def _positive(number: int, what: str = "k") -> None:
    if number < 1:
        raise InputError(f"{what} is {number}; give 1 or more")
