"""An answer proved again from the original bytes and rows, by scoring everything that is live.

Nothing that found the answer is used here: no inverted list, no code of a row that is kept as floats, no bound,
no stored length or count of terms.
"""

from collections import Counter
from typing import get_args

import numpy as np

from thesphere.encoders import Encoder
from thesphere.encoders.joining import standing
from thesphere.errors import VerifyError
from thesphere.lexical.query import analyse, neighbours, repaired
from thesphere.lexical.score import CUT_FROM, GRAM_POWER, K1, B, flatness
from thesphere.sphere.hits import Hit, Hits, Request
from thesphere.sphere.part import PartReader
from thesphere.sphere.questions import embedded
from thesphere.sphere.record import Identity, Record
from thesphere.sphere.view import View, float_rows
from thesphere.types import Status

Answer = list[tuple[float, Identity, int, int]]  # score, source, start and end of window or point


def prove(view: View, hits: Hits, encoder: Encoder | None) -> None:
    """Raise VerifyError unless full enumeration gives the same hits with the same scores."""
    if hits.generation != view.generation:
        raise VerifyError(
            f"the answer is of generation {hits.generation}, the collection at {view.generation}; ask again"
        )
    request = hits.request
    if request.contains is not None:
        truth = _enumerate_bytes(view, request.contains)
    elif request.vector is not None or request.within is not None:
        truth = _enumerate_points(view, request, encoder)
    else:
        truth = _enumerate_windows(view, hits, encoder)
    if request.filter:
        let = {each.source for _, _, each in view.records() if _passes(request, each)}
        truth = [each for each in truth if each[1] in let]
    if request.within is not None:
        truth = [each for each in truth if each[0] >= request.within]
        if hits.total != len(truth):
            raise VerifyError(
                f"{hits.total} points were said to be within, full enumeration finds {len(truth)}"
            )
    truth = sorted(truth, key=lambda each: (-each[0], *each[1:]))
    if hits.status not in get_args(Status) or (hits.status == "exact" and hits.gap != 0):
        raise VerifyError(f"the answer is called {hits.status!r} with a gap of {hits.gap!r}")
    if hits.status == "exact":
        _prove_first(hits, truth[: request.k])
    else:
        _prove_some(hits, truth)
    _check_bytes(view, hits)


def _passes(request: Request, record: Record) -> bool:
    return request.filter.lets([*record.names, *record.uris], record.modality)


def _prove_first(hits: Hits, truth: Answer) -> None:
    """The hits are the first of all."""
    if len(truth) != len(hits):
        raise VerifyError(f"the answer has {len(hits)} hits, full enumeration finds {len(truth)}")
    for place, (hit, each) in enumerate(zip(hits, truth, strict=True), 1):
        if not _is(hit, each):
            score, source, start, _ = each
            raise VerifyError(
                f"hit {place} is {hit.source}:{hit.start} with {hit.score!r}, "
                f"full enumeration finds {source[0]}:{start} with {score!r}"
            )


def _prove_some(hits: Hits, truth: Answer) -> None:
    """The hits have their true scores, in falling order, and nothing left out is better than the gap says."""
    left = list(truth)
    for place, hit in enumerate(hits, 1):
        own = next((i for i, each in enumerate(left) if _is(hit, each)), None)
        if own is None:
            raise VerifyError(f"hit {place}, {hit.source}:{hit.start} with {hit.score!r}, has another score")
        del left[own]
    scores = [hit.score for hit in hits]
    if scores != sorted(scores, reverse=True):
        raise VerifyError("the hits are not in the order of their scores")
    lowest = 0.0 if hits.request.vector is None else -np.inf  # what a text does not match is no hit
    floor = scores[-1] if len(hits) == hits.request.k else lowest
    if left and hits.gap != np.inf and not left[0][0] <= floor + hits.gap:
        raise VerifyError(
            f"{left[0][1][0]}:{left[0][2]} with {left[0][0]!r} was left out, beyond the gap of {hits.gap!r}"
        )


def _is(hit: Hit, each: tuple[float, Identity, int, int]) -> bool:
    score, source, start, end = each
    return (hit.source, hit.uris[0], hit.score) == (
        *source[:2],
        score,
    ) and start <= hit.start <= hit.end <= end


def _check_bytes(view: View, hits: Hits) -> None:
    """Each hit's bytes are those of its span."""
    pieces: dict[tuple[str, ...], list[tuple[PartReader, int]]] = {}
    for part, document, record in view.records():
        pieces.setdefault(record.source[:2], []).append((part, document))
    for hit in hits:
        held = [hits.request.contains]
        for part, document in pieces[hit.source, hit.uris[0]] if hits.request.contains is None else ():
            if int(part.document_base[document]) <= hit.start <= hit.end <= int(part.document_ends[document]):
                held.append(_read(view, part, document, hit.start, hit.end))
        if hit.data not in held:
            raise VerifyError(f"{hit.source}:{hit.start} to {hit.end} does not hold the bytes of the answer")


def _enumerate_windows(view: View, hits: Hits, encoder: Encoder | None) -> Answer:
    request = hits.request
    text = request.text or ""
    query = analyse(text)
    near = [neighbours(word)[0] for word in query.spelling.values()]
    vocabulary = np.unique(np.concatenate([query.word_terms, *near]))
    places: list[tuple[PartReader, int, Identity, int, int]] = []
    word_found: list[dict[int, int]] = []  # counts of the vocabulary's terms in each window
    gram_found: list[dict[int, int]] = []
    word_lengths, gram_lengths = [], []
    for part, document, record in view.records():
        for window in range(*part.document_window[document : document + 2].tolist()):
            start, end = part.window_span(window)
            word_terms, gram_terms = record.terms(_read(view, part, document, start, end))
            word_found.append(_counts(word_terms, vocabulary))
            gram_found.append(_counts(gram_terms, query.gram_terms))
            word_lengths.append(len(word_terms))
            gram_lengths.append(len(gram_terms))
            places.append((part, window, record.source, start, end))
    n = len(places)
    if not n:
        return []
    frequency = Counter(term for found in word_found for term in found)
    query = repaired(query, lambda terms: np.array([frequency[term] for term in terms.tolist()], np.int64))
    w_counts, g_counts = _table(word_found, query.word_terms), _table(gram_found, query.gram_terms)
    word_df, gram_df = (w_counts > 0).sum(0), (g_counts > 0).sum(0)
    word_idf, gram_idf = _idf(n, word_df), _idf(n, gram_df)
    gram_weights = query.gram_counts * gram_idf**GRAM_POWER * (K1 + 1)
    if n >= CUT_FROM:
        gram_weights[gram_df > n // 2] = 0.0
    word_weights = query.word_counts * word_idf * (K1 + 1)
    w = _bm25(w_counts, word_weights, np.array(word_lengths))
    g = _bm25(g_counts, gram_weights, np.array(gram_lengths))
    mass = query.word_counts * word_idf
    coverage = float(mass[word_df > 0].sum()) / float(mass.sum()) if len(mass) else 0.0
    scores = np.zeros(n)
    if w.max() > 0:
        scores += coverage * (w / w.max())
    if g.max() > 0:
        scores += g / g.max()
    expected = 0.0
    if request.joined and encoder is not None and view.vectors:
        vector = embedded([text], encoder)[0]
        cosines = np.empty(n)
        for index, (part, window, *_) in enumerate(places):
            rows = float_rows(
                view.vectors[view.parts.index(part)],
                slice(*part.window_point[window : window + 2].tolist()),
            )
            cosines[index] = _scores(rows, vector, "cosine").max()
        ideal = float(np.where(word_df > 0, word_weights, 0.0).sum())
        strength = float(w.max()) / ideal if ideal > 0 else 0.0
        assert view.sample is not None
        some = _scores(float_rows(view.sample, slice(None)), vector, "cosine")
        stands = standing(float(cosines.max(initial=0.0)), some)
        expected = encoder.joining.weight(strength * (1 - flatness([scores])), stands)
        if hits.status != "exact":  # an index may have missed the nearest
            expected = request.weight
        scores += expected * cosines
    if request.weight != expected:
        raise VerifyError(f"vectors were weighed {request.weight!r}, full enumeration gives {expected!r}")
    return [
        (float(score), name, start, end)
        for score, (_, _, name, start, end) in zip(scores, places, strict=True)
        if score > 0
    ]


def _read(view: View, part: PartReader, document: int, start: int, end: int) -> bytes:
    data, stale = view.read(part, document, start, end)
    if stale:
        raise VerifyError(
            f"{part.record(document).names[0]} has changed and its bytes are not kept: nothing can be proved; "
            "ingest again"
        )
    return data


def _counts(found: np.ndarray, vocabulary: np.ndarray) -> dict[int, int]:
    terms, counts = np.unique(found[np.isin(found, vocabulary)], return_counts=True)
    return dict(zip(terms.tolist(), counts.tolist(), strict=True))


def _table(found: list[dict[int, int]], terms: np.ndarray) -> np.ndarray:
    return np.array([[each.get(term, 0) for term in terms.tolist()] for each in found]).reshape(
        len(found), -1
    )


def _idf(n: int, df: np.ndarray) -> np.ndarray:
    return np.log1p((n - df + 0.5) / (df + 0.5))


def _bm25(counts: np.ndarray, weights: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    mean = int(lengths.sum()) / len(lengths) or 1.0
    norms = K1 * (1 - B + B * (lengths / mean))
    total = np.zeros(len(counts))
    for term, weight in enumerate(weights):
        total += weight * counts[:, term] / (counts[:, term] + norms)
    return total


def _scores(rows: np.ndarray, vector: np.ndarray, metric: str) -> np.ndarray:
    """Inner products or cosines in float64, summed in the order that thesphere.scan.dots promises, so that what
    is a tie there is one here."""
    x, q = rows.astype(np.float64), vector.astype(np.float64)
    dots = _total(x * q)
    if metric == "ip":
        return dots
    norms = np.sqrt(_total((q * q)[None])) * np.sqrt(_total(x * x))
    return np.divide(dots, norms, out=np.zeros(len(x)), where=norms > 0)


def _total(terms: np.ndarray) -> np.ndarray:
    """Sums of the rows: column j goes to partial sum j mod 8, what is left over to the first one; then
    neighbouring partial sums are added until one remains."""
    whole = terms.shape[1] - terms.shape[1] % 8
    sums = np.zeros((len(terms), 8))
    for first in range(0, whole, 8):
        sums += terms[:, first : first + 8]
    for column in range(whole, terms.shape[1]):
        sums[:, 0] += terms[:, column]
    while sums.shape[1] > 1:
        sums = sums[:, ::2] + sums[:, 1::2]
    return sums[:, 0]


def _enumerate_points(view: View, request: Request, encoder: Encoder | None) -> Answer:
    vector, answer = request.vector, []
    if vector is None:
        assert encoder is not None and request.text is not None
        vector = embedded([request.text], encoder)[0]
    for part, rows in zip(view.parts, view.vectors or [], strict=True):
        scores = _scores(float_rows(rows, slice(None)), vector, request.metric)
        starts, ends = part.point_spans
        sources = [part.record(document).source for document in range(part.documents)]
        for point, score in enumerate(scores):
            if part.point_live is None or part.point_live[point]:
                document = int(part.window_document[part.point_window[point]])
                answer.append((float(score), sources[document], int(starts[point]), int(ends[point])))
    return answer


def _enumerate_bytes(view: View, pattern: bytes) -> Answer:
    contents: dict[Identity, dict[int, bytes]] = {}  # of each source, piece by piece
    for part, document, record in view.records():
        base = int(part.document_base[document])
        end = base + int(part.document_byte[document + 1] - part.document_byte[document])
        contents.setdefault(record.source, {})[base] = _read(view, part, document, base, end)
    answer: Answer = []
    for source, pieces in contents.items():
        data = b"".join(pieces[base] for base in sorted(pieces))
        at = data.find(pattern)
        while at >= 0:
            answer.append((1.0, source, at, at + len(pattern)))
            at = data.find(pattern, at + 1)
    return answer
