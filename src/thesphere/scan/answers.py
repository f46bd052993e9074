"""Exact top-k over several parts: one int8 pass with proved bounds, then float64 on the rows left undecided.

The answer equals full enumeration of the float64 score, ordered by (score descending, id ascending), ties
included, however the rows are spread over parts and the queries over threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thesphere.errors import InputError
from thesphere.runtime.threads import spread
from thesphere.scan.block import TILE, Block, Queries, Table
from thesphere.scan.kernel import bound_pass, score_rows
from thesphere.scan.part import Metric, Part
from thesphere.scan.rows import Codes, frozen

BLOCK = 512  # queries that are scanned together, at most
LIST = 128  # candidates that a query has room for, or four times k
ROOM = 1 << 20  # candidates that all queries of a block have room for together


@dataclass(frozen=True)
class Result:
    """Attributes:
    ids: int64 [Q, k] global ids, -1 where there are fewer than k rows.
    scores: float64 [Q, k], -inf where there are fewer than k rows.
    rescored: rows that were scored in float64, over all queries.
    rows: rows whose bounds were computed, over all queries.
    """

    ids: np.ndarray
    scores: np.ndarray
    rescored: int
    rows: int


def search(
    parts: Sequence[Part],
    queries,
    k: int,
    *,
    metric: Metric = "ip",
    threads: int = 1,
    floors: np.ndarray | None = None,
) -> Result:
    """The exact k best rows of all parts for each query.

    Args:
        parts: one or more parts of the same width, with ids that do not overlap.
        queries: numbers [Q, D] or [D], used as float32.
        k: how many, 0 or more.
        metric: "ip", the inner product, or "cosine", the same over both norms (0 for a zero vector).
        threads: workers over blocks of queries; the answer does not depend on it.
        floors: float64 [Q], scores that k rows are known to reach: what cannot is passed over from the start.

    Raises InputError for NaN or infinity in a query, another width, a negative k or an unknown metric.
    """
    if k < 0 or threads < 1:
        raise InputError(f"k is {k} and threads {threads}; expected k >= 0 and threads >= 1")
    tables = [Table(part, metric) for part in parts]
    asked = Queries.of(parts, queries, metric)
    total = sum(len(part) for part in parts)
    ids = np.full((len(asked), k), -1, dtype=np.int64)
    scores = np.full((len(asked), k), -np.inf)
    wanted = min(k, total)
    if not wanted or not len(asked):
        return Result(ids, scores, 0, 0)
    room = max(4 * wanted, LIST)
    size = max(1, min(BLOCK, ROOM // room, -(-len(asked) // threads)))

    def work(first: int) -> int:
        known = None if floors is None else floors[first : first + size]
        block = Block(tables, asked.some(first, first + size), wanted, room, known)
        block.scan()
        return block.finish(ids[first : first + size], scores[first : first + size])

    rescored = sum(spread(work, range(0, len(asked), size), threads))
    return Result(ids, scores, rescored, total * len(asked))


def bounds(part: Part, query, metric: Metric = "ip") -> tuple[np.ndarray, np.ndarray]:
    """Bounds of every row's score for one query: (lower, upper), float64 [N] each, dead rows included.

    They hold for the float64 score that `exact` gives, every rounding counted in.
    """
    return code_bounds(part.codes, query, metric)


def code_bounds(codes: Codes, query, metric: Metric = "ip") -> tuple[np.ndarray, np.ndarray]:
    """`bounds` of coded rows whose vectors are not at hand."""
    asked = Queries.of_width(codes.width, query, metric).alone()
    lower, upper = np.empty(len(codes)), np.empty(len(codes))
    columns = codes.derived(metric, TILE)[0][1:]
    bound_pass(frozen(codes.codes), columns, asked.codes.codes, 0, asked.terms[0], lower, upper)
    return lower, upper


def exact(part: Part, query, rows, metric: Metric = "ip") -> np.ndarray:
    """Float64 scores [M] of the given rows (integers [M], 0 .. N - 1) of a part for one query."""
    asked = Queries.of([part], query, metric).alone()
    chosen = np.ascontiguousarray(rows, dtype=np.int64).reshape(-1)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(part)):
        raise InputError(f"rows run from {chosen.min()} to {chosen.max()}, the part has {len(part)}")
    scores = np.empty(len(chosen))
    score_rows(
        part.values,
        frozen(part.codes.scales),
        part.vectors is None,
        asked.exact[0],
        asked.norms[0],
        metric == "cosine",
        frozen(chosen),
        scores,
    )
    return scores


def all_bounds(parts: Sequence[Part], query, metric: Metric = "ip") -> tuple[np.ndarray, np.ndarray]:
    """`bounds` of all parts, one after the other: (lower, upper), float64 [total rows] each."""
    pairs = [bounds(part, query, metric) for part in parts] or [(np.empty(0), np.empty(0))]
    return np.concatenate([low for low, _ in pairs]), np.concatenate([high for _, high in pairs])


def all_exact(parts: Sequence[Part], query, positions, metric: Metric = "ip") -> np.ndarray:
    """`exact` of chosen positions in the order of `all_bounds`: float64 [M]."""
    chosen = np.ascontiguousarray(positions, dtype=np.int64).reshape(-1)
    total = sum(len(part) for part in parts)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= total):
        raise InputError(f"positions run from {chosen.min()} to {chosen.max()}, the parts have {total} rows")
    scores = np.empty(len(chosen))
    base = 0
    for part in parts:
        inside = (chosen >= base) & (chosen < base + len(part))
        if inside.any():
            scores[inside] = exact(part, query, chosen[inside] - base, metric)
        base += len(part)
    return scores
