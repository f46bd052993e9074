"""Radius search: every point that scores at least so much, exactly."""

import time

import numpy as np

from thesphere.encoders import Encoder
from thesphere.scan import Metric, all_exact
from thesphere.sphere.hits import Hits, Request, whole_cone
from thesphere.sphere.questions import embedded
from thesphere.sphere.roots import PointIndex
from thesphere.sphere.search import (
    coded_bytes,
    few_told,
    first_points,
    near_points,
    point_hits,
    refuse_nan,
    score_few,
    since,
)
from thesphere.sphere.view import View
from thesphere.types import Cost


def points_within(
    view: View,
    score: float,
    *,
    asked: np.ndarray | tuple[str, Encoder],
    metric: Metric,
    index: PointIndex | None,
    limit: int | None,
) -> Hits:
    """The points that score `score` or more, best first; see `Sphere.within`.

    Args:
        view: with vectors.
        asked: a vector float32 [D], or a text and what makes its vector.
        metric: "cosine" or "ip".
        index: of that metric over the view, which spares cells that cannot hold such a point.
        limit: the most that become hits; all if None.
    """
    begun = time.perf_counter()
    text, vector = None, asked
    if isinstance(vector, tuple):
        text, encoder = vector
        vector = embedded([text], encoder)[0]
    stored, how = view.stored_bytes, "all points were bounded"
    if view.few:
        points, scores, read = score_few(view, vector, metric)
        scanned, how = len(points), few_told(view)
    else:
        if index is None:
            points, scanned = near_points(view, vector, score, metric), int(view.point_offsets[-1])
            read = coded_bytes(view)
        else:
            points, opened, scanned = index.within(vector, score)
            read, stored = index.routing + scanned * index.row_bytes, stored + index.whole
            how = f"{opened:,} of {len(index.cells):,} cells were opened; the others cannot hold such a point"
        scores = all_exact(view.vectors or [], vector, points, metric)
    refuse_nan(scores)
    rescored, near = len(points), scores >= score
    total = int(near.sum())
    k = total if limit is None else limit
    hits = point_hits(view, first_points(view, points[near], scores[near], k))
    account: dict[str, object] = {
        "evidence": f"vectors, {metric}",
        "score asked for": f"{score:g} or more; {total:,} points reach it",
        "how": how,
        "points bounded, then scored in float64": f"{scanned}, {rescored}",
        "cones": whole_cone(view.live_points, read),
    }
    request = Request(
        k,
        text=text,
        vector=vector if text is None else None,
        metric=metric,
        joined=text is not None,
        within=score,
    )
    cost = Cost(read, stored, scanned, rescored, since(begun))
    return Hits(tuple(hits), "exact", 0.0, cost, request, view.generation, account, total)
