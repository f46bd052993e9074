"""Answers of an index: by a flat scan, by the few rows that a filter leaves, or by cells; each with its proof."""

from dataclasses import replace
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numba import njit

from thesphere.roots.calibrate import KS, Source
from thesphere.roots.content import Content
from thesphere.roots.found import Found, rounded, single, uncovered
from thesphere.roots.search import LIVE, visit, within
from thesphere.roots.stop import EVERYTHING, Stop
from thesphere.scan import Part, Result, bounds, search
from thesphere.scan.rows import frozen
from thesphere.types import Cost, Status

PROBE = Stop(0.0, -np.inf, first=3)  # four cells, or as many more as k rows take


class Rule(NamedTuple):
    """When a query has enough: with how many rows `stop` is asked, and what it was calibrated on."""

    stop: Stop
    kept: int
    source: Source | None = None


def from_nothing(
    content: Content, queries: int, k: int, budget: int | None, recall: float | None, begun: float
) -> Found:
    """No row is asked for, or the budget does not cover choosing cells: nothing is read."""
    cells, told = content.large, "nothing, as no row was asked for"
    if k:
        mean = len(cells.codes) * content.row_bytes // len(cells)
        told = f"nothing, as {uncovered(cells.route_bytes, mean)}"
    status: list[Status] = ["partial" if k else "exact"] * queries
    return Found(
        np.full((queries, k), -1),
        np.full((queries, k), -np.inf, np.float32),
        status,
        np.full(queries, np.inf if k else 0.0),
        Cost(bytes_stored=queries * content.stored, milliseconds=1000 * (perf_counter() - begun)),
        np.zeros(queries, dtype=np.int64),
        recall,
        told,
        budget,
        cells=len(cells),
    )


def from_rows(
    content: Content,
    queries: np.ndarray,
    k: int,
    chosen: np.ndarray | None,
    budget: int | None,
    recall: float | None,
    threads: int,
    begun: float,
) -> Found:
    """Rows are scanned one after the other, all or the `chosen` ones (int64, ascending), until the budget ends.

    Later rows have larger ids, so that one that only equals the k-th score stays outside.
    """
    codes = content.scanned if chosen is None else content.coded(chosen)
    vectors = content.vectors if chosen is None else content.vectors[chosen]
    seen = len(codes) if budget is None else min(len(codes), int(budget) // content.row_bytes)
    whole = seen == len(codes)
    read = "all rows" if chosen is None else f"the {len(codes)} rows that the filter leaves, one by one"
    if not whole:
        read = f"the first {seen} rows by id" + ("" if chosen is None else " that the filter leaves")
    part = Part(codes, vectors) if whole else Part(codes.cut(0, seen), vectors[:seen])
    result = search([part], queries, k, metric=content.metric, threads=threads)
    gap = np.zeros(len(queries))
    if not whole and k:
        norms = np.linalg.norm(queries.astype(np.float64), axis=1)
        reach = norms * float(codes.norms[seen:].max())
        reach = reach if content.metric == "ip" else np.sign(reach)
        gap = np.maximum(reach * (1 + 1e-9) - result.scores[:, -1], 0.0)  # 1e-9: rounding of norms and scores
    return from_result(content, result, gap, begun, chosen, read=read, recall=recall, budget=budget)


def from_all_cells(
    content: Content,
    queries: np.ndarray,
    k: int,
    live: np.ndarray | None,
    recall: float | None,
    threads: int,
    begun: float,
) -> Found:
    """All slots are scanned as they lie, second copies left out: quicker than opening all cells one by one.

    Rows that lie by cell are the worst order for a running threshold, as the nearest come late: for cosine a few
    cells of each query come first, and set one (for inner product that cost more than it saved).
    """
    cells, floors, points, rescored = content.large, None, 0, 0
    if content.metric == "cosine" and 0 < k <= KS[-1]:
        slots = LIVE if live is None else frozen(live[cells.rows])
        probe = visit(content.index, queries, k, stop=PROBE, live=slots, threads=threads)
        floors, points, rescored = probe.scores[:, -1], int(probe.points.sum()), int(probe.rescored.sum())
    once = ~cells.copies if live is None else ~cells.copies & live[cells.rows]
    part = Part(cells.codes, content.vectors, live=once, rows=cells.rows)
    result = search([part], queries, k, metric=content.metric, threads=threads, floors=floors)
    result = replace(result, rows=result.rows + points, rescored=result.rescored + rescored)
    return from_result(content, result, np.zeros(len(queries)), begun, recall=recall, read="all cells")


def from_result(
    content: Content,
    result: Result,
    gap: np.ndarray,
    begun: float,
    chosen: np.ndarray | None = None,
    *,
    read: str,
    recall: float | None = None,
    budget: int | None = None,
) -> Found:
    """The answer that a scan found, of rows or of `chosen` ones; other arguments as in `Found`."""
    rows = result.ids
    if chosen is not None and len(chosen):
        rows = np.where(rows < 0, -1, chosen[rows])
    status: list[Status] = ["partial" if open_ else "exact" for open_ in gap > 0]
    cost = Cost(
        bytes_scanned=result.rows * content.row_bytes,
        bytes_stored=len(rows) * content.stored,
        points_scanned=result.rows,
        rescored=result.rescored,
        milliseconds=1000 * (perf_counter() - begun),
    )
    scores = single(result.scores)
    return Found(_named(content, rows), scores, status, gap, cost, recall=recall, read=read, budget=budget)


def from_cells(
    content: Content,
    queries: np.ndarray,
    k: int,
    rule: Rule,
    budget: int | None,
    live: np.ndarray | None,
    recall: float | None,
    threads: int,
    begun: float,
) -> Found:
    """Cells are opened until the rule ends it, or the budget, which covers choosing them."""
    stop, kept, source = rule
    cells, routing = content.large, content.large.route_bytes
    slots = LIVE if live is None else frozen(live[cells.rows])
    rows = None if budget is None else min((int(budget) - routing) // content.row_bytes, len(content.scanned))
    seen = visit(content.index, queries, kept, stop=stop, budget=rows, live=slots, threads=threads)
    ids, scores = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    gaps, verdicts = np.empty(len(queries)), np.empty(len(queries), dtype=np.int64)
    points, rescored = _tell(
        seen.rows, seen.scores, content.names, seen.ceiling, seen.spent, seen.points, seen.rescored,
        stop is EVERYTHING, ids, scores, gaps, verdicts,
    )  # fmt: skip
    status: list[Status] = [_STATUSES[verdict] for verdict in verdicts.tolist()]
    cost = Cost(
        bytes_scanned=points * content.row_bytes + routing * len(queries),
        bytes_stored=len(queries) * content.stored,
        points_scanned=points,
        rescored=rescored,
        milliseconds=1000 * (perf_counter() - begun),
    )
    read = "cells, the most promising first"
    return Found(
        ids, scores, status, gaps, cost, seen.opened, recall, read, budget, source, len(cells), routing
    )


_STATUSES: tuple[Status, ...] = ("exact", "probable", "partial")


@njit(cache=True, nogil=True)
def _tell(rows, known, ids, ceiling, spent, points, rescored, everything, named, scores, gaps, verdicts):
    """Fill what an answer says of every query: ids named [Q, k] and scores float32 [Q, k] of the rows and scores
    [Q, M] that were found, M at most k, the gap, and the place of its status, from the ceilings [Q]; returns the
    sums of points and of rescored rows."""
    read = again = 0
    for q in range(len(gaps)):
        read, again = read + points[q], again + rescored[q]
        for i in range(named.shape[1]):
            found = i < rows.shape[1] and rows[q, i] >= 0
            named[q, i] = ids[rows[q, i]] if found else -1
            scores[q, i] = rounded(known[q, i]) if found else -np.inf
        last = named.shape[1] - 1
        kth = np.inf if last < 0 else known[q, last] if last < rows.shape[1] else -np.inf
        # strictly: a row with the same score but a smaller id belongs before the k-th
        proved = ceiling[q] < kth or ceiling[q] == -np.inf
        gaps[q] = 0.0 if proved else max(ceiling[q] - kth, 0.0)
        verdicts[q] = 0 if proved else 2 if spent[q] or everything else 1
    return read, again


def all_within(
    content: Content, queries: np.ndarray, score: float, live: np.ndarray | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each query all rows that score at least `score`: (ids int64, scores float64), the best first."""
    if content.cells is None:
        part = Part(content.scanned, content.vectors)
        chosen = [np.flatnonzero(bounds(part, query, content.metric)[1] >= score) for query in queries]
        chosen = chosen if live is None else [some[live[some]] for some in chosen]
    else:
        slots = LIVE if live is None else frozen(live[content.cells.rows])
        chosen, _ = within(content.index, content.asked(queries), score, slots)
    found = []
    for query, some in zip(queries, chosen, strict=True):
        scores = content.scores(query, some)
        kept = scores >= score
        order = np.argsort(-scores[kept], kind="stable")
        found.append((content.ids[some[kept][order]], scores[kept][order]))
    return found


def from_some_cells(
    content: Content, query: np.ndarray, cells: np.ndarray, k: int, budget_bytes: int
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """See `Roots.scan_cells`."""
    content.check_members()
    read = content.large.first_slots(cells, int(budget_bytes) // content.row_bytes)
    rows, first = np.unique(content.large.rows[read], return_index=True)
    part = Part(content.scanned.some(read[first]), content.vectors[rows])
    result = search([part], query, k, metric=content.metric)
    found = result.ids[0][result.ids[0] >= 0]
    return content.ids[rows[found]], result.scores[0][: len(found)], len(read), len(read) * content.row_bytes


def _named(content: Content, rows: np.ndarray) -> np.ndarray:
    if not len(content):
        return rows
    ids = content.ids[rows]
    ids[rows < 0] = -1
    return ids
