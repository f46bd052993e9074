"""Answers through the index: cones are opened over cells, until a calibrated rule or the budget ends it.

A vector's answer is the best points of the cells that were read. For a text, windows with lexical evidence and
windows with near points are scored by the one formula (see `thesphere.sphere.search`); evidence in words also
steers the cones, so that the neighbours of what the words name are looked at.
"""

import time
from typing import Any

import numpy as np

from thesphere.encoders import Encoder
from thesphere.lexical.query import analyse
from thesphere.navigate.navigation import Navigation
from thesphere.navigate.navigator import Navigator
from thesphere.scan import search
from thesphere.sphere.hits import Hits, Request
from thesphere.sphere.roots import PointIndex
from thesphere.sphere.search import (
    account_of,
    cosines_of,
    first_points,
    first_windows,
    hit_of,
    passage_of,
    since,
    vector_weight,
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
    found = Navigator(index).navigate(vector, k + 1, recall=recall, budget=budget)
    points, scores, later = _with_later(view, index, vector, found, k + 1)
    if len(points) > k and scores[k] == scores[k - 1]:
        return None
    hits = []
    for point, score in first_points(view, points[:k], scores[:k], k):
        part, local = view.locate_point(point)
        start, end = (int(side[local]) for side in part.point_spans)
        hits.append(hit_of(view, part, int(part.point_window[local]), start, end, score, point=point))
    cost = Cost(
        found.cost.bytes_scanned + later * index.row_bytes,
        view.stored_bytes,
        found.cost.points_scanned + later,
        found.cost.rescored,
        since(begun),
    )
    request = Request(k, vector=vector, metric=index.metric, recall=recall, budget=budget)
    account = {"evidence": f"vectors, {index.metric}", **_told(found, later, recall)}
    gap = _gap(found, scores, k)
    return Hits(tuple(hits), found.status, gap, cost, request, view.generation, account)


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
    c = vector_weight(scores.flatness, scores.coverage)
    vector = encoder.encode([text.encode("utf-8", "surrogatepass")])[0]
    evidence = np.concatenate(scores.parts)
    named = _best(evidence, MOST)
    found = Navigator(index).navigate(
        vector,
        MOST,
        recall=recall,
        budget=budget,
        evidence=_steering(view, index, evidence, named[:STEERING]),
    )
    near = np.searchsorted(view.window_points, index.positions[found.ids], side="right") - 1
    unindexed = [
        np.arange(view.window_offsets[number], view.window_offsets[number + 1])
        for number, part in enumerate(view.vectors or [])
        if part in index.later
    ]
    windows = np.unique(np.concatenate([named, near, *unindexed]))
    windows = windows[evidence[windows] > -np.inf]
    joined = np.full(len(evidence), -np.inf)
    looked = 0
    if len(windows):
        cosines, begins = cosines_of(view, windows, vector)
        looked = len(cosines)
        joined[windows] = evidence[windows] + c * np.maximum.reduceat(cosines, begins)
    chosen, best = first_windows(view, windows[joined[windows] > 0], joined, k)
    hits = [
        passage_of(view, int(window), float(score), scores, vector, c)
        for window, score in zip(chosen, best, strict=True)
    ]
    # the most that a window could reach that is neither named nor near
    evidence[windows] = -np.inf
    farthest = float(found.scores[-1]) if len(found.scores) else 1.0
    rest = float(evidence.max(initial=-np.inf)) + c * (farthest + found.gap)
    kth = float(best[k - 1]) if len(best) == k else 0.0
    gap = max(0.0, rest - kth)
    status: Status = found.status
    if not gap:
        status = "exact"
    elif status == "exact":
        status = "probable"
    read = scores.bytes_read + found.cost.bytes_scanned + sum(len(hit.data) for hit in hits)
    cost = Cost(
        read, view.stored_bytes, found.cost.points_scanned, looked + found.cost.rescored, since(begun)
    )
    account = account_of(view, scores, encoder, c, (found.cost.points_scanned, looked), read)
    request = Request(k, text=text, joined=True, weight=c, recall=recall, budget=budget)
    account |= _told(found, int(sum(map(len, unindexed))), recall)
    return Hits(tuple(hits), status, gap, cost, request, view.generation, account)


def _with_later(
    view: View, index: PointIndex, vector: np.ndarray, found: Navigation, k: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """(points by falling score, their scores, how many were scanned beside the index): with those that it does
    not cover."""
    points, scores = index.positions[found.ids], found.scores
    later = sum(len(part) for part in index.later)
    if later:
        result = search(index.later, vector[None], min(k, later), metric=index.metric)
        own = result.ids[0] >= 0
        points, scores = np.append(points, result.ids[0][own]), np.append(scores, result.scores[0][own])
    order = np.lexsort((points, -scores))[:k]
    return points[order], scores[order], later


def _gap(found: Navigation, scores: np.ndarray, k: int) -> float:
    """How much better than the k-th score something that was not read could be."""
    if found.status == "exact":
        return 0.0
    if len(scores) < k or not len(found.scores):
        return float("inf")
    return max(0.0, float(found.scores[-1]) + found.gap - float(scores[k - 1]))


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
    lines, told = found.explain()
    account: dict[str, Any] = {
        "asked for": "all that the budget allows" if recall is None else f"a mean recall of {recall:g}",
        "why it stopped": found.stopped,
        "cells read": f"{found.cost.points_scanned} points, {found.cost.bytes_scanned} bytes",
        "cones": [
            {name: cone[name] for name in ("root", "strength", "aperture", "opened", "bytes", "points")}
            for cone in told["cones"]
        ],
    }
    if later:
        account["points after the index"] = f"{later}, scanned to the end"
    return account
