"""Answers through the index: cones are opened over cells, until a calibrated rule or the budget ends it.

A vector's answer is the best points of the cells that were read. For a text, windows with lexical evidence and
windows with near points are scored by the one formula (see `thesphere.sphere.search`); evidence in words also
steers the cones, so that the neighbours of what the words name are looked at.
"""

import math
import time
from typing import Any

import numpy as np

from thesphere.encoders import Encoder
from thesphere.lexical.query import analyse
from thesphere.navigate.navigation import Navigation
from thesphere.roots.found import uncovered
from thesphere.scan import Part, search
from thesphere.sphere.hits import Hits, Request
from thesphere.sphere.questions import embedded
from thesphere.sphere.roots import PointIndex
from thesphere.sphere.search import (
    account_of,
    best_cosines,
    first_points,
    first_windows,
    passage_of,
    point_hits,
    refuse_nan,
    since,
    weight_of,
)
from thesphere.sphere.view import View
from thesphere.types import Cost, Status

MOST = 100  # the largest k that rules are calibrated for: beyond it answers are exact
STEERING = 64  # windows whose words steer the cones
COSINE = 1 + 1e-9  # no cosine is larger, however it was rounded


def cones_for_vector(
    view: View, index: PointIndex, vector: np.ndarray, k: int, *, recall: float | None, budget: int | None
) -> Hits | None:
    """The first k points by the index's metric; None where a tie at the k-th place is to be broken by names."""
    begun = time.perf_counter()
    spare = None if budget is None else max(0, budget - index.routing)
    later, rest = _cut(index.later, None if spare is None else spare // index.row_bytes)
    beside = _rows(later) * index.row_bytes
    left = None if budget is None else budget - beside
    kept = k if recall is None else index.kept(k)
    found, read = _navigated(index, vector, kept, left, more=1, recall=recall)
    points, scores = _with_later(index, vector, found, later, k + 1)
    if len(points) > k and scores[k] == scores[k - 1] and budget is None:
        return None
    refuse_nan(scores)
    hits = point_hits(view, first_points(view, points, scores, k))
    looked = found.cost.points_scanned + _rows(later)
    read += beside
    cost = Cost(read, view.stored_bytes + index.whole, looked, found.cost.rescored, since(begun))
    request = Request(k, vector=vector, metric=index.metric, recall=recall, budget=budget)
    account = {"evidence": f"vectors, {index.metric}", **_told(found, _rows(later), recall, read, budget)}
    gap, status = _gap(found, scores, k, kept), found.status
    if rest:
        most = 1.0 if index.metric == "cosine" else float("inf")
        gap = max(gap, most - float(scores[k - 1]) if len(scores) >= k else float("inf"))
        status = "partial"
    return Hits(tuple(hits), status, gap, cost, request, view.generation, account)


def _navigated(
    index: PointIndex, vector: np.ndarray, k: int, budget: int | None, **asked: Any
) -> tuple[Navigation, int]:
    """What cones find for a budget that covers choosing cells too, and how many bytes that took: nothing where it
    does not cover that."""
    if budget is not None and budget < index.routing:
        told = uncovered(index.routing, index.whole // max(1, len(index.cells)))
        return Navigation.nothing(budget, f"the budget is too small: {told}"), 0
    left = index.whole if budget is None else budget - index.routing
    found = index.navigator.navigate(vector, k, budget=left, **asked)
    return found, index.routing + found.cost.bytes_scanned


def _rows(parts: list[Part]) -> int:
    return sum(map(len, parts))


def _cut(parts: list[Part], rows: int | None) -> tuple[list[Part], int]:
    """(parts with so many rows at most, how many rows are left out)."""
    total = _rows(parts)
    if rows is None or rows >= total:
        return parts, 0
    kept = []
    for part in parts:
        count = min(len(part), rows - _rows(kept))
        if count:
            vectors = None if part.vectors is None else part.vectors[:count]
            live = None if part.live is None else part.live[:count]
            kept.append(Part(part.codes.cut(0, count), vectors, part.offset, live))
    return kept, total - rows


def cones_for_text(
    view: View,
    index: PointIndex,
    text: str,
    k: int,
    encoder: Encoder,
    *,
    recall: float | None,
    budget: int | None,
    whole: Hits | None = None,
) -> Hits:
    """The first k windows by lexical evidence and the cosine of their best point. `whole` is the answer without
    the view's filter, whose weight of vectors holds here too."""
    begun = time.perf_counter()
    scores = view.lexical.score(analyse(text))
    vector = embedded([text], encoder)[0]
    evidence = view.evidence(scores)
    named = _best(evidence, MOST)
    steering = _steering(view, index, evidence, named[:STEERING])
    most = max(k, int(MOST * index.share))
    found, through = _navigated(index, vector, most, budget, recall=recall, evidence=steering)
    near = np.searchsorted(view.window_points, index.positions[found.ids], side="right") - 1
    unindexed = [
        np.arange(view.window_offsets[number], view.window_offsets[number + 1])
        for number in range(len(view.parts))
        if number not in index.numbers
    ]
    windows = np.unique(np.concatenate([named, near, *unindexed]))
    windows = windows[evidence[windows] > -np.inf]
    cosines, looked = best_cosines(view, windows, vector)
    if whole is None:
        c = weight_of(view, encoder.joining, scores, vector, cosines)
    else:
        c = whole.request.weight
    joined = np.full(len(evidence), -np.inf)
    joined[windows] = evidence[windows] + c * cosines
    chosen, best = first_windows(view, windows[joined[windows] > 0], joined, k)
    hits = [
        passage_of(view, int(window), float(score), scores, vector, c)
        for window, score in zip(chosen, best, strict=True)
    ]
    # the most that a window could reach that is neither named nor near
    evidence[windows] = -np.inf
    farthest = min((float(found.scores[-1]) if len(found.scores) else 1.0) + found.gap, COSINE)
    rest = float(evidence.max(initial=-np.inf)) + c * farthest
    kth = float(best[k - 1]) if len(best) == k else 0.0
    gap = max(0.0, rest - kth)
    weighed = rest == -np.inf or cosines.max(initial=0.0) >= farthest  # c is that of all windows
    if whole is not None:
        weighed = whole.status == "exact"
    status: Status = found.status
    if not gap and weighed:
        status = "exact"
    elif status == "exact":
        status = "probable"
    looked += found.cost.rescored
    read = scores.bytes_read + through + sum(len(hit.data) for hit in hits)
    cost = Cost(read, view.stored_bytes + index.whole, found.cost.points_scanned, looked, since(begun))
    account = account_of(view, scores, encoder, c, (found.cost.points_scanned, looked), read)
    request = Request(k, text=text, joined=True, weight=c, recall=recall, budget=budget)
    account |= _told(found, int(sum(map(len, unindexed))), recall, through, budget)
    return Hits(tuple(hits), status, gap, cost, request, view.generation, account)


def _with_later(
    index: PointIndex, vector: np.ndarray, found: Navigation, later: list[Part], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points by falling score and their scores, with those of parts that the index does not cover."""
    points, scores = index.positions[found.ids], found.scores
    if later:
        result = search(later, vector[None], min(k, _rows(later)), metric=index.metric)
        own = result.ids[0] >= 0
        points, scores = np.append(points, result.ids[0][own]), np.append(scores, result.scores[0][own])
    order = np.lexsort((points, -scores))[:k]
    return points[order], scores[order]


def _gap(found: Navigation, scores: np.ndarray, k: int, kept: int) -> float:
    """How much better than the k-th score something that was not read could be; `kept` were looked for."""
    if found.status == "exact":
        return 0.0
    if len(scores) < k or len(found.scores) < kept:
        return float("inf")
    return max(0.0, float(found.scores[kept - 1]) + found.gap - float(scores[k - 1]))


def _best(evidence: np.ndarray, most: int) -> np.ndarray:
    """int64: the windows with the most evidence, best first, those without any left out."""
    some = np.flatnonzero(evidence > 0)
    if len(some) > most:
        some = some[np.argpartition(-evidence[some], most)[:most]]
    return some[np.lexsort((some, -evidence[some]))]


def _steering(view: View, index: PointIndex, evidence: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """float64 [K] in [0, 1]: the best lexical evidence in each cell, of the best there is."""
    told = np.zeros(len(index.cells))
    if len(windows):
        firsts, ends = view.window_points[windows], view.window_points[windows + 1]
        points = np.concatenate([np.arange(a, b) for a, b in zip(firsts, ends, strict=True)])
        cells = index.homes[points]
        weight = np.repeat(evidence[windows] / evidence[windows[0]], ends - firsts)
        np.maximum.at(told, cells[cells >= 0], weight[cells >= 0])
    return told


def _told(
    found: Navigation, later: int, recall: float | None, read: int, budget: int | None
) -> dict[str, Any]:
    """What an account says of cones. read: bytes of codes, with those of rows that the index does not cover."""
    limit = "" if budget is None else f" of a budget of {budget}"
    account: dict[str, Any] = {
        "asked for": "all that the budget allows" if recall is None else f"a mean recall of {recall:g}",
        "why it stopped": found.stopped,
        "bytes read through the index, choosing cells included": f"{read}{limit}",
        "points read in cells": found.cost.points_scanned,
        "cones": [
            {
                "root": cone.root,
                "activation": round(cone.strength, 3),
                "degrees": round(math.degrees(cone.aperture)),
                "cells": cone.opened,
                "points": cone.points,
                "bytes": cone.bytes,
            }
            for cone in found.cones
        ],
    }
    if later:
        account["points after the index"] = f"{later}, scanned to the end"
    return account
