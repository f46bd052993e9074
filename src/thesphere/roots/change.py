"""Adding and dropping rows without building again: new rows join the nearest cells, cells that grew too large are
split, and the rows of cells that shrank too far join others.

All functions are pure: the cells that are given stay as they are. Cells keep their centre and router weights as
long as they are not split. SPFresh (Xu et al. 2023) also re-places old rows of the cells beside those that were
split; we re-place the new ones only, and let the second copies of rows that moved be chosen anew.
"""

from dataclasses import replace

import numpy as np

from thesphere.errors import InputError
from thesphere.norms import row_norms
from thesphere.roots.cells import LARGEST, MOST, Cells
from thesphere.roots.config import RootsConfig
from thesphere.roots.draft import Draft, Rows
from thesphere.roots.routing import Learned, fit_router
from thesphere.scan.part import Metric
from thesphere.scan.rows import FIELDS, Codes


def add_rows(
    cells: Cells,
    old: np.ndarray,
    new: np.ndarray,
    metric: Metric,
    config: RootsConfig | None = None,
    *,
    key: int | None = None,
    threads: int | None = None,
    roles: np.ndarray | None = None,
    prominence: np.ndarray | None = None,
    text=None,
) -> Cells:
    """Cells of the old rows 0 ... N - 1 and the new ones, N ... N + n - 1.

    Args:
        cells: of the old rows, with members.
        old: numbers [N, D]; only rows of cells that are split are read.
        new: numbers [n, D].
        metric: that the cells were built with.
        config: that the cells were built with; `count` of them says how large cells should be.
        key, threads: as in `build_cells`.
        roles: int [n], of the new rows; None: content.
        prominence: numbers [N + n], for the statistics; None: the norms.
        text: N + n texts, for the sketches; None: they stay as they are.

    Raises:
        InputError: anything above is not as described, or a row holds NaN or infinity.
    """
    if new.ndim != 2 or new.shape[1] != cells.codes.width:
        raise InputError(f"new rows have shape {list(new.shape)}; the cells are {cells.codes.width} wide")
    if len(cells.rows) + 2 * len(new) >= MOST:
        raise InputError(
            f"{cells.count} and {len(new)} rows are more than cells can hold; build several indexes"
        )
    beyond = np.flatnonzero(row_norms(new) > LARGEST)  # refuses NaN and infinity by number
    if len(beyond):
        raise InputError(f"row {beyond[0]} of the new rows has a norm beyond float32; scale the vectors")
    kinds = np.zeros(len(new), np.int8) if roles is None else np.asarray(roles)
    if kinds.shape != (len(new),) or kinds.dtype.kind not in "iu" or not np.isin(kinds, (0, 1, 2)).all():
        raise InputError(
            f"roles are {kinds.dtype} of shape {list(kinds.shape)}; give {len(new)} of 0, 1 or 2"
        )
    draft = Draft.of(cells, Rows(old, new), metric, config, key, threads)
    for _ in range(2):  # a second time to the parts of cells that were split, which may be nearer
        draft.join(kinds)
        draft.split(np.unique(draft.first[draft.moved]))
    draft.give_up(np.zeros(0, np.int64))
    return draft.finish(cells, prominence, text)


def drop_rows(
    cells: Cells,
    vectors: np.ndarray,
    live: np.ndarray,
    metric: Metric,
    config: RootsConfig | None = None,
    *,
    key: int | None = None,
    threads: int | None = None,
    prominence: np.ndarray | None = None,
    text=None,
) -> Cells:
    """Cells of the live rows only, which are numbered anew in their order: row i is the i-th live one.

    Args:
        cells: with members.
        vectors: numbers [N, D]; only rows of cells that are given up are read.
        live: bool [N], rows that stay; at least one.
        metric, config, key, threads: as in `add_rows`.
        prominence, text: of the rows that stay.

    Raises:
        InputError: live is not as described, or no row stays.
    """
    live = np.asarray(live)
    if live.shape != (cells.count,) or live.dtype != np.bool_:
        raise InputError(f"live is {live.dtype} {list(live.shape)}; expected bool [{cells.count}]")
    if not live.any():
        raise InputError("no row stays; cells hold at least one")
    kept = np.flatnonzero(live)
    draft = Draft.of(cells, Rows(vectors, vectors[:0], kept), metric, config, key, threads)
    lost = np.unique(cells.labels[~live[cells.rows]])
    draft.give_up(lost)
    return draft.finish(cells, prominence, text)


def refit(
    cells: Cells,
    vectors: np.ndarray,
    metric: Metric,
    *,
    queries: np.ndarray | None = None,
    key: int | None = None,
    threads: int | None = None,
) -> Cells:
    """The same cells with a router that is learned again, where it is a learned one: after large changes the
    weights that cells inherited are a good deal worse than those that a build would find.

    Args:
        cells: with members.
        vectors: numbers [N, D].
        metric, queries, key, threads: as in `build_cells`.
    """
    if not isinstance(cells.router, Learned):
        return cells
    learned = fit_router(
        vectors, cells.starts, cells.rows, cells.centres, metric, queries=queries, key=key, threads=threads
    )
    return replace(cells, router=learned)


def renumber(cells: Cells, places: np.ndarray) -> Cells:
    """The same cells over rows in another order: row i becomes row places[i], a permutation int [N].

    Rows of equal norm are brought into their new order.
    """
    rows = np.asarray(places)[cells.rows].astype(np.int32)
    order = np.lexsort((rows, -cells.codes.norms, cells.labels))
    if (order[1:] > order[:-1]).all():
        return replace(cells, rows=rows)
    codes = Codes(*(getattr(cells.codes, name)[order] for name in FIELDS), width=cells.codes.width)
    return replace(cells, rows=rows[order], copies=cells.copies[order], codes=codes)
