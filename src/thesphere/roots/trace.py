"""What calibration queries see while they open every cell."""

import numpy as np

from thesphere.roots.search import Index, visit
from thesphere.roots.stop import Trace, checkpoints
from thesphere.runtime import workers


def trace_of(
    index: Index, queries: np.ndarray, k: int, own: np.ndarray | None = None, *, threads: int | None = None
) -> Trace:
    """The trace of some queries for their first k rows: everything is opened, so that the truth is known.

    Args:
        index: the cells, of k rows or more.
        queries: float32 [n, D], as `as_rows` gives them.
        k: 1 or more.
        own: int64 [n], a row that each query must not find, -1 for none.
        threads: workers; all cores unless given.
    """
    seen = visit(index, queries, k, own=own, threads=workers() if threads is None else threads, watch=True)
    opened = checkpoints(len(index))
    kth, next_, points = (np.stack(column, axis=1) for column in zip(*seen.watched, strict=True))
    assert seen.order is not None
    # the rank of the first cell that each true row lies in, and from it how many are found at each checkpoint
    slots = index.slots
    by_row = np.argsort(slots.rows, kind="stable")
    begins = np.searchsorted(slots.rows[by_row], np.arange(int(slots.rows.max()) + 2))
    cell_of = np.repeat(np.arange(len(index)), np.diff(slots.starts))
    ranks = np.empty(seen.order.shape, dtype=np.int32)
    np.put_along_axis(ranks, seen.order.astype(np.int64), np.arange(len(index), dtype=np.int32)[None], axis=1)
    rows = np.maximum(seen.rows, 0)
    count = (begins[rows + 1] - begins[rows])[:, :, None]
    place = np.minimum(np.arange(max(1, int(count.max(initial=1)))), np.maximum(count - 1, 0))
    homes = cell_of[by_row[begins[rows][:, :, None] + place]]
    needed = np.take_along_axis(ranks[:, None], homes, axis=2).min(axis=2)
    true = seen.rows >= 0
    found = ((needed[:, :, None] < opened) & true[:, :, None]).sum(axis=1)
    shares = found / np.maximum(true.sum(axis=1), 1)[:, None]
    return Trace(opened, kth, next_, seen.spread, points, shares.astype(np.float32))
