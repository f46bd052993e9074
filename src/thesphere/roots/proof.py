"""Answers that are proved again, without anything of the index but its vectors."""

import numpy as np

from thesphere.errors import InputError, VerifyError
from thesphere.roots.found import Found, single
from thesphere.scan import Metric, Part, encode, exact


def verify(
    found: Found,
    queries: np.ndarray,
    vectors: np.ndarray,
    ids: np.ndarray,
    metric: Metric,
    live: np.ndarray | None = None,
) -> None:
    """Compare an answer with the float64 scores of all rows (see `Roots.verify`).

    Args:
        found: the answer.
        queries: float32 [Q, D].
        vectors: float32 [N, D], in the order of ids.
        ids: int64 [N], ascending.
        metric: "ip" or "cosine".
        live: bool [N], rows that could be found; None for all.
    """
    if len(queries) != len(found.ids):
        raise InputError(f"the answer is of {len(found.ids)} queries, {len(queries)} were given")
    if live is not None:
        vectors, ids = vectors[live], ids[live]
    whole, every = Part(encode(vectors), vectors), np.arange(len(vectors))
    for q, query in enumerate(queries):
        _verify_one(q, exact(whole, query, every, metric), ids, found)


def _verify_one(q: int, truth: np.ndarray, ids: np.ndarray, found: Found) -> None:
    given, k = found.ids[q], found.ids.shape[1]
    order = np.argsort(-truth, kind="stable")[:k]
    if found.status[q] == "exact":
        wanted = np.full(k, -1, dtype=np.int64)
        wanted[: len(order)] = ids[order]
        if not np.array_equal(given, wanted):
            i = int(np.flatnonzero(given != wanted)[0])
            raise VerifyError(f"query {q}: rank {i} is id {given[i]}, full enumeration has {wanted[i]}")
        if found.gap[q] != 0:
            raise VerifyError(f"query {q}: called exact with a gap of {found.gap[q]}")
    kept = given[given >= 0]
    places = np.searchsorted(ids, kept)
    if not np.isin(kept, ids).all() or len(np.unique(kept)) != len(kept):
        raise VerifyError(f"query {q}: an id is repeated or not among the rows that could be found")
    scores = truth[places]
    wanted = np.full(k, -np.inf)
    wanted[: len(kept)] = scores
    if not np.array_equal(found.scores[q], single(wanted[None])[0]) or (np.diff(scores) > 0).any():
        raise VerifyError(f"query {q}: the scores are not those of the ids, in falling order")
    left = np.delete(truth, places)
    floor = scores[-1] if len(kept) == k and k else -np.inf
    if k and len(left) and left.max() > floor and not left.max() - floor <= found.gap[q]:
        raise VerifyError(f"query {q}: a row left out is {left.max() - floor} better, beyond the gap")
