"""Exact answers over one generation.

The ranked unit of a text query is the window (a whole source, or about 8 KiB of a longer one):

    score(window) = S(window) + c(query) * max over its points x of cos(query, x)

with S the lexical score (thesphere.lexical.score) and c a weight that depends on how far the best window stands
above the tenth in words, and above a sample of all points in cosines (thesphere.encoders.joining); 0 unless
vectors take part. The hit is the
window's best passage. Order: score descending, then source (its name, then its uri), then start; windows
without any evidence are no hits. Every score is float64 and none depends on how the sources are spread over
parts, nor on a filter: c and all statistics are those of the whole collection.
"""

import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from thesphere.encoders import Encoder
from thesphere.encoders.joining import Joining, standing
from thesphere.errors import FormatError
from thesphere.lexical.query import Query, analyse
from thesphere.lexical.score import LexicalScores, score_texts
from thesphere.readers import analysis_text
from thesphere.scan import Metric, all_bounds, all_exact, exact, search
from thesphere.sphere.hits import Hit, Hits, Request, whole_cone, word_marker
from thesphere.sphere.part import PartReader
from thesphere.sphere.questions import embedded
from thesphere.sphere.record import Identity
from thesphere.sphere.view import View
from thesphere.types import Cost, Status


@dataclass(frozen=True)
class _Ranked:
    """The first windows, best first, and what finding them took."""

    windows: np.ndarray  # int64, numbered through all parts
    scores: np.ndarray  # float64
    weight: float = 0.0  # c
    points_scanned: int = 0
    rescored: int = 0
    bytes_scanned: int = 0


def search_text(
    view: View,
    text: str,
    k: int,
    *,
    encoder: Encoder | None = None,
    whole: Hits | None = None,
) -> Hits:
    """The first k windows for a text; `encoder` makes vectors take part, with the weight that they had in `whole`
    if that is given, the index's answer without the view's filter: then every point that it leaves is scored."""
    begun = time.perf_counter()
    scores = view.lexical.score(analyse(text))
    vector = None
    if encoder is not None and view.vectors is not None:
        vector = embedded([text], encoder)[0]
        if whole is not None:
            ranked = _rank_few(view, scores, vector, whole.request.weight, k)
        else:
            ranked = _rank_joined(view, scores, vector, encoder.joining, k)
    else:
        ranked = _rank(view, scores, k)
    c = ranked.weight
    hits = [
        passage_of(view, int(window), float(score), scores, vector, c)
        for window, score in zip(ranked.windows, ranked.scores, strict=True)
    ]
    read = scores.bytes_read + ranked.bytes_scanned + sum(len(hit.data) for hit in hits)
    account = account_of(view, scores, encoder, c, (ranked.points_scanned, ranked.rescored), read)
    if whole is not None:
        account["how"] = few_told(view)
    account["cones"] = whole_cone(view.live_points, read)
    cost = Cost(read, view.stored_bytes, ranked.points_scanned, ranked.rescored, since(begun))
    status: Status = "exact" if whole is None else _settled(whole)
    request = Request(k, text=text, joined=vector is not None, weight=c)
    return Hits(tuple(hits), status, 0.0, cost, request, view.generation, account)


def _settled(whole: Hits) -> Status:
    """The status of windows that were all scored, with the weight that vectors had in `whole`."""
    return "exact" if whole.status == "exact" else "probable"


def account_of(
    view: View, scores: LexicalScores, encoder: Encoder | None, c: float, points: tuple[int, int], read: int
) -> dict[str, object]:
    """How the answer to a text came about. points: bounded, and scored in float64."""
    joined = f"{c:.3g}, the best words leading by {scores.lead:.0%} of a perfect match" if c else "0"
    return {
        "evidence": "words and character n-grams" + (f", vectors of {encoder.id}" if encoder and c else ""),
        "words found": f"{scores.coverage:.0%} of the query's weight (the n-grams decide the rest)",
        "best match": f"{scores.strength:.0%} of what a perfect document would reach",
        "weight of vectors": joined,
        "windows scored": view.lexical.documents,
        "points bounded, then scored in float64": f"{points[0]}, {points[1]}",
        "bytes read": f"{read} of {view.stored_bytes}",
    }


def search_vector(view: View, vector: np.ndarray, k: int, *, metric: Metric) -> Hits:
    """The first k points by inner product or cosine with a vector float32 [D]."""
    begun = time.perf_counter()
    if view.few:
        points, scores, size = score_few(view, vector, metric)
        scanned = rescored = len(points)
    else:
        points, scores, rescored = _scan(view, vector, k, metric)
        scanned = int(view.point_offsets[-1])
        size = coded_bytes(view)
    refuse_nan(scores)
    hits = point_hits(view, first_points(view, points, scores, k))
    cost = Cost(size, view.stored_bytes, scanned, rescored, since(begun))
    account: dict[str, object] = {
        "evidence": f"vectors, {metric}",
        "points bounded, then scored in float64": f"{scanned}, {cost.rescored}",
        **({"how": few_told(view)} if view.few else {}),
        "cones": whole_cone(view.live_points, size),
    }
    request = Request(k, vector=vector, metric=metric)
    return Hits(tuple(hits), "exact", 0.0, cost, request, view.generation, account)


def _scan(view: View, vector: np.ndarray, k: int, metric: Metric) -> tuple[np.ndarray, np.ndarray, int]:
    """(points among which the first k are, their scores, how many were scored)."""
    parts = view.vectors or []
    most = min(k, int(view.point_offsets[-1]))
    result = search(parts, vector.reshape(1, -1), most + 1, metric=metric)
    found = result.ids[0] >= 0
    points, scores = result.ids[0][found], result.scores[0][found]
    if len(points) <= most or scores[most] != scores[most - 1]:
        return points, scores, result.rescored
    # this tie is broken by names, not by ids
    points = near_points(view, vector, scores[most], metric)
    return points, all_exact(parts, vector, points, metric), result.rescored + len(points)


def score_few(view: View, vector: np.ndarray, metric: Metric) -> tuple[np.ndarray, np.ndarray, int]:
    """(all live points, their scores, bytes read): where a filter leaves few, nothing is quicker."""
    parts, points = view.vectors or [], np.flatnonzero(view.points_live)
    return points, all_exact(parts, vector, points, metric), row_bytes(view) * len(points)


def near_points(view: View, vector: np.ndarray, score: float, metric: Metric) -> np.ndarray:
    """int64: the live points that may score `score` or more, by the bounds of all codes."""
    points = np.flatnonzero(all_bounds(view.vectors or [], vector, metric)[1] >= score)
    return points[view.points_live[points]]


def coded_bytes(view: View) -> int:
    """Bytes of the codes of all points."""
    return sum(part.codes.row_bytes * len(part) for part in view.vectors or [])


def row_bytes(view: View) -> int:
    """Bytes of a point's row as it is kept."""
    return sum(part.values.itemsize * part.values.shape[1] for part in (view.vectors or [])[:1])


def few_told(view: View) -> str:
    """What an account says of `score_few`."""
    return f"the filter leaves {view.live_points:,} points, so few that each was scored"


def point_hits(view: View, points: list[tuple[int, float]]) -> list[Hit]:
    """The hits of points with their scores."""
    hits = []
    for point, score in points:
        part, local = view.locate_point(point)
        start, end = (int(side[local]) for side in part.point_spans)
        hits.append(hit_of(view, part, int(part.point_window[local]), start, end, score, point=point))
    return hits


def first_points(view: View, points: np.ndarray, scores: np.ndarray, k: int) -> list[tuple[int, float]]:
    """The first k points by (score descending, source, start), each with its score."""
    if len(points) > k:
        kept = scores >= np.partition(scores, len(points) - k)[len(points) - k]
        points, scores = points[kept], scores[kept]

    @cache
    def source(part: PartReader, document: int) -> Identity:
        return part.record(document).source

    def key(each: tuple[int, float]) -> tuple:
        part, local = view.locate_point(each[0])
        document = int(part.window_document[part.point_window[local]])
        return -each[1], source(part, document), *(int(side[local]) for side in part.point_spans)

    return sorted(zip(points.tolist(), scores.tolist(), strict=True), key=key)[:k]


def _rank(view: View, scores: LexicalScores, k: int) -> _Ranked:
    """The first k windows by scores that are already exact."""
    everything = view.evidence(scores)
    return _Ranked(*first_windows(view, np.flatnonzero(everything > 0), everything, k))


def first_windows(
    view: View, candidates: np.ndarray, scores: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first k candidates by (score descending, source, start) and their scores."""
    if len(candidates) > k:
        kth = np.partition(scores[candidates], len(candidates) - k)[len(candidates) - k]
        candidates = candidates[scores[candidates] >= kth]

    def key(window: int) -> tuple[float, Identity, int]:
        part, local = view.locate_window(window)
        record = part.record(int(part.window_document[local]))
        return -float(scores[window]), record.source, part.window_span(local)[0]

    chosen = np.array(sorted(candidates.tolist(), key=key)[:k], np.int64)
    return chosen, scores[chosen]


def _rank_joined(view: View, lexical: LexicalScores, vector: np.ndarray, joining: Joining, k: int) -> _Ranked:
    """The first k windows by lexical + c * best cosine: bounds for all points, exact scores where they
    matter."""
    parts = view.vectors or []
    evidence = view.evidence(lexical)
    bounded = all_bounds(parts, vector, "cosine")
    low, high = (np.maximum.reduceat(bound, view.window_points[:-1]) for bound in bounded)
    everything = np.flatnonzero(np.concatenate(lexical.parts) > -np.inf)  # without a filter
    likely = everything[_may_be_first(low[everything], high[everything], 1)]
    near, looked = best_cosines(view, likely, vector)
    c = weight_of(view, joining, lexical, vector, near)
    live = np.flatnonzero(evidence > -np.inf)
    low, high = (evidence[live] + c * bound[live] for bound in (low, high))
    open_windows = live[_may_be_first(low, high, k)]
    cosines, rescored = best_cosines(view, open_windows, vector)
    chosen, best = _first_joined(view, evidence, open_windows, c * cosines, k)
    return _Ranked(chosen, best, c, int(view.point_offsets[-1]), looked + rescored, coded_bytes(view))


def _rank_few(view: View, lexical: LexicalScores, vector: np.ndarray, c: float, k: int) -> _Ranked:
    """The first k windows, each of which is scored."""
    evidence = view.evidence(lexical)
    live = np.flatnonzero(evidence > -np.inf)
    cosines, looked = best_cosines(view, live, vector)
    chosen, best = _first_joined(view, evidence, live, c * cosines, k)
    return _Ranked(chosen, best, c, looked, looked, looked * row_bytes(view))


def _first_joined(
    view: View, evidence: np.ndarray, windows: np.ndarray, more: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first k of some windows, by their evidence and what vectors add to it, and their scores."""
    scores = np.full(len(evidence), -np.inf)
    scores[windows] = evidence[windows] + more
    return first_windows(view, windows[scores[windows] > 0], scores, k)


def weight_of(
    view: View, joining: Joining, lexical: LexicalScores, vector: np.ndarray, cosines: np.ndarray
) -> float:
    """c of a query, given cosines of windows, the best among them."""
    assert view.sample is not None
    some = exact(view.sample, vector, np.arange(len(view.sample)), "cosine")
    return joining.weight(lexical.lead, standing(float(cosines.max(initial=0.0)), some))


def _may_be_first(low: np.ndarray, high: np.ndarray, k: int) -> np.ndarray:
    """int64: the places of all that may be among the k highest, given their bounds."""
    if len(low) <= k:
        return np.arange(len(low))
    kth = np.partition(low, len(low) - k)[len(low) - k]
    # sums of bounds are rounded; the slack is far above that and far below any bound's width
    return np.flatnonzero(high >= kth - 1e-12 * (1 + abs(kth)))


def refuse_nan(scores: np.ndarray) -> None:
    if np.isnan(scores).any():
        raise FormatError("stored vectors are damaged: run `thesphere verify` on the collection")


def best_cosines(view: View, windows: np.ndarray, vector: np.ndarray) -> tuple[np.ndarray, int]:
    """The exact cosine of the best point of each window, float64, and how many points were scored."""
    cosines, begins = cosines_of(view, windows, vector)
    refuse_nan(cosines)
    return (np.maximum.reduceat(cosines, begins) if len(windows) else cosines), len(cosines)


def cosines_of(view: View, windows: np.ndarray, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact cosines of the points of some windows, float64, and where each window's begin among them, int64."""
    firsts, sizes = view.window_points[windows], np.diff(view.window_points)[windows]
    begins = np.cumsum(sizes) - sizes
    points = np.repeat(firsts - begins, sizes) + np.arange(int(sizes.sum()))
    return all_exact(view.vectors or [], vector, points, "cosine"), begins


def passage_of(
    view: View,
    window: int,
    score: float,
    scores: LexicalScores,
    vector: np.ndarray | None,
    c: float,
) -> Hit:
    """The hit of a window: its passage with the most evidence, the first of equals."""
    part, local = view.locate_window(window)
    document = int(part.window_document[local])
    record = part.record(document)
    first, last = (int(x) for x in part.window_passage[local : local + 2])
    start, end = part.window_span(local)
    data, stale = view.read(part, document, start, end)
    edges = np.append(part.passage_start[first:last], end) - start
    texts = [analysis_text(data[a:b], record.encoding) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    evidence = score_texts(scores, texts)
    if vector is not None:
        cosines, _ = cosines_of(view, np.array([window]), vector)
        if part.unit != "passage":
            inside = part.passage_point[first : last + 1] - part.passage_point[first]
            cosines = np.maximum.reduceat(cosines, inside[:-1])
        evidence = evidence + c * cosines
    best = int(np.argmax(evidence))
    a, b = int(edges[best]), int(edges[best + 1])
    line = int(part.window_line[local]) + data[:a].count(b"\n") + 1
    return hit_of(
        view,
        part,
        local,
        start + a,
        start + b,
        score,
        data=data[a:b],
        stale=stale,
        line=line,
        query=scores.query,
    )


def hit_of(
    view: View,
    part: PartReader,
    window: int,
    start: int,
    end: int,
    score: float,
    *,
    data: bytes | None = None,
    stale: bool = False,
    line: int | None = None,
    query: Query | None = None,
    point: int = -1,
) -> Hit:
    """A hit for the span [start, end) in a window of a part."""
    document = int(part.window_document[window])
    record = part.record(document)
    if data is None:
        data, stale = view.read(part, document, start, end)
    if line is None:
        opens, closes = part.window_span(window)
        before = view.read(part, document, opens, min(start, closes))[0] if start > opens else b""
        line = int(part.window_line[window]) + before.count(b"\n") + 1
    first, last = (int(x) for x in part.window_passage[window : window + 2])
    passage = first + max(0, int(np.searchsorted(part.passage_start[first:last], start, side="right")) - 1)
    offset = int(view.point_offsets[view.parts.index(part)])
    if point >= 0:
        local = point - offset
        entropy = part.point_entropies[local]
    else:
        local = passage if part.unit == "passage" else int(part.passage_point[passage])
        entropy = part.passage_entropy[passage]
    has_vectors = hasattr(part, "prominence")
    return Hit(
        source=record.names[0],
        start=start,
        end=end,
        score=score,
        data=data,
        line=line,
        prominence=float(part.prominence[local]) if has_vectors else float("nan"),
        entropy=float(entropy),
        paths=tuple(record.names),
        uris=tuple(record.uris),
        modality=record.modality,
        encoding=record.encoding,
        stale=stale,
        point=int(view.point_numbers[local + offset]),
        marker=None if query is None else word_marker(query.word_terms, query.gram_terms),
    )


def since(begun: float) -> float:
    """Milliseconds since a time of `time.perf_counter`."""
    return (time.perf_counter() - begun) * 1e3
