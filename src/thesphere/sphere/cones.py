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
from thesphere.scan import Part, search
from thesphere.sphere.hits import Hits, Request
from thesphere.sphere.roots import PointIndex
from thesphere.sphere.search import (
    account_of,
    best_cosines,
    first_points,
    first_windows,
    hit_of,
    passage_of,
    refuse_nan,
    since,
    weight_of,
)
from thesphere.sphere.view import View
from thesphere.types import Cost, Status

MOST = 100  # the largest k that rules are calibrated for: beyond it answers are exact
STEERING = 64  # windows whose words steer the cones


def cones_for_vector(
    view: View, index: PointIndex, vector: np.ndarray, k: int, *, recall: float | None, budget: int | None
) -> Hits | None:
    """The first k points by the index's metric; None where a tie at the k-th place is to be broken by names."""
    begun = time.perf_counter()
    later, rest = _cut(index.later, None if budget is None else budget // index.row_bytes)
    left = index.whole if budget is None else budget - _rows(later) * index.row_bytes
    found = index.navigator.navigate(vector, k, more=1, recall=recall, budget=left)
    points, scores = _with_later(index, vector, found, later, k + 1)
    if len(points) > k and scores[k] == scores[k - 1] and budget is None:
        return None
    refuse_nan(scores)
    hits = []
    for point, score in first_points(view, points, scores, k):
        part, local = view.locate_point(point)
        start, end = (int(side[local]) for side in part.point_spans)
        hits.append(hit_of(view, part, int(part.point_window[local]), start, end, score, point=point))
    looked = found.cost.points_scanned + _rows(later)
    read = index.routing + looked * index.row_bytes
    cost = Cost(read, view.stored_bytes + index.whole, looked, found.cost.rescored, since(begun))
    request = Request(k, vector=vector, metric=index.metric, recall=recall, budget=budget)
    account = {"evidence": f"vectors, {index.metric}", **_told(found, _rows(later), recall)}
    gap, status = _gap(found, scores, k), found.status
    if rest:
        most = 1.0 if index.metric == "cosine" else float("inf")
        gap = max(gap, most - float(scores[k - 1]) if len(scores) >= k else float("inf"))
        status = "partial"
    return Hits(tuple(hits), status, gap, cost, request, view.generation, account)


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
) -> Hits:
    """The first k windows by lexical evidence and the cosine of their best point."""
    begun = time.perf_counter()
    scores = view.lexical.score(analyse(text))
    vector = encoder.encode([text.encode("utf-8", "surrogatepass")])[0]
    evidence = np.concatenate(scores.parts)
    named = _best(evidence, MOST)
    steering = _steering(view, index, evidence, named[:STEERING])
    left = index.whole if budget is None else budget
    found = index.navigator.navigate(vector, MOST, recall=recall, budget=left, evidence=steering)
    near = np.searchsorted(view.window_points, index.positions[found.ids], side="right") - 1
    unindexed = [
        np.arange(view.window_offsets[number], view.window_offsets[number + 1])
        for number, part in enumerate(view.vectors or [])
        if part in index.later
    ]
    windows = np.unique(np.concatenate([named, near, *unindexed]))
    windows = windows[evidence[windows] > -np.inf]
    cosines, looked = best_cosines(view, windows, vector)
    c = weight_of(view, encoder.joining, scores, vector, cosines)
    joined = np.full(len(evidence), -np.inf)
    joined[windows] = evidence[windows] + c * cosines
    chosen, best = first_windows(view, windows[joined[windows] > 0], joined, k)
    hits = [
        passage_of(view, int(window), float(score), scores, vector, c)
        for window, score in zip(chosen, best, strict=True)
    ]
    # the most that a window could reach that is neither named nor near
    evidence[windows] = -np.inf
    farthest = (float(found.scores[-1]) if len(found.scores) else 1.0) + found.gap
    rest = float(evidence.max(initial=-np.inf)) + c * farthest
    kth = float(best[k - 1]) if len(best) == k else 0.0
    gap = max(0.0, rest - kth)
    weighed = rest == -np.inf or cosines.max(initial=0.0) >= farthest  # c is that of all windows
    status: Status = found.status
    if not gap and weighed:
        status = "exact"
    elif status == "exact":
        status = "probable"
    looked += found.cost.rescored
    read = scores.bytes_read + index.routing + found.cost.points_scanned * index.row_bytes
    read += sum(len(hit.data) for hit in hits)
    cost = Cost(read, view.stored_bytes + index.whole, found.cost.points_scanned, looked, since(begun))
    account = account_of(view, scores, encoder, c, (found.cost.points_scanned, looked), read)
    request = Request(k, text=text, joined=True, weight=c, recall=recall, budget=budget)
    account |= _told(found, int(sum(map(len, unindexed))), recall)
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


def _gap(found: Navigation, scores: np.ndarray, k: int) -> float:
    """How much better than the k-th score something that was not read could be."""
    if found.status == "exact":
        return 0.0
    if len(scores) < k or len(found.scores) < k:
        return float("inf")
    return max(0.0, float(found.scores[k - 1]) + found.gap - float(scores[k - 1]))


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


def _told(found: Navigation, later: int, recall: float | None) -> dict[str, Any]:
    account: dict[str, Any] = {
        "asked for": "all that the budget allows" if recall is None else f"a mean recall of {recall:g}",
        "why it stopped": found.stopped,
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
