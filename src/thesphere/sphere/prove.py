"""An answer proved again from the original bytes and rows, by scoring everything that is live.

Nothing that found the answer is used here: no inverted list, no code, no bound, no stored length or count of terms.
"""

import math

import numpy as np

from thesphere.encoders import Encoder
from thesphere.errors import VerifyError
from thesphere.lexical.score import B, CUT_FROM, GRAM_POWER, K1
from thesphere.sphere.hits import Hits, Request
from thesphere.sphere.view import View, float_rows
from thesphere.text import grams, words

Answer = list[tuple[float, str, int, int]]  # score, source, start and end of the window or point


def prove(view: View, hits: Hits, encoder: Encoder | None) -> None:
    """Raise VerifyError unless full enumeration gives the same hits with the same scores."""
    if hits.generation != view.generation:
        raise VerifyError(
            f"the answer is of generation {hits.generation}, the collection is at {view.generation}; ask again"
        )
    request = hits.request
    if request.contains is not None:
        truth = _enumerate_bytes(view, request.contains)
    elif request.vector is not None:
        truth = _enumerate_points(view, request)
    else:
        truth = _enumerate_windows(view, request, encoder)
    truth = sorted(truth, key=lambda each: (-each[0], each[1], each[2]))[: request.k]
    if len(truth) != len(hits):
        raise VerifyError(f"the answer has {len(hits)} hits, full enumeration finds {len(truth)}")
    for place, (hit, (score, source, start, end)) in enumerate(zip(hits, truth, strict=True), 1):
        if (
            hit.source != source
            or not start <= hit.start <= hit.end <= end
            or not math.isclose(hit.score, score, rel_tol=1e-12)
        ):
            raise VerifyError(
                f"hit {place} is {hit.source}:{hit.start} with {hit.score!r}, "
                f"full enumeration finds {source}:{start} with {score!r}"
            )


def _enumerate_windows(view: View, request: Request, encoder: Encoder | None) -> Answer:
    text = request.text or ""
    places, word_counts, gram_counts, word_lengths, gram_lengths = [], [], [], [], []
    word_terms, word_query = np.unique(words(text)[0], return_counts=True)
    gram_terms, gram_query = np.unique(grams(text), return_counts=True)
    for part, document, record in view.records():
        for window in range(*part.document_window[document : document + 2].tolist()):
            start, end = part.window_span(window)
            data = view.read(part, document, start, end)[0]
            found_words, found_grams = record.terms(data)
            word_counts.append(_counts(found_words, word_terms))
            gram_counts.append(_counts(found_grams, gram_terms))
            word_lengths.append(len(found_words))
            gram_lengths.append(len(found_grams))
            places.append((part, window, record.names[0], start, end))
    if not places:
        return []
    n = len(places)
    word_found, gram_found = np.array(word_counts).reshape(n, -1), np.array(gram_counts).reshape(n, -1)
    word_df, gram_df = (word_found > 0).sum(0), (gram_found > 0).sum(0)
    word_idf, gram_idf = _idf(n, word_df), _idf(n, gram_df)
    gram_weights = gram_query * gram_idf**GRAM_POWER * (K1 + 1)
    if n >= CUT_FROM:
        gram_weights[gram_df > n // 2] = 0.0
    w = _bm25(word_found, word_query * word_idf * (K1 + 1), np.array(word_lengths))
    g = _bm25(gram_found, gram_weights, np.array(gram_lengths))
    mass = word_query * word_idf
    coverage = float(mass[word_df > 0].sum()) / float(mass.sum()) if len(mass) else 0.0
    scores = np.zeros(n)
    if w.max() > 0:
        scores += coverage * (w / w.max())
    if g.max() > 0:
        scores += g / g.max()
    if request.weight > 0 and encoder is not None:
        vector = encoder.encode([text.encode("utf-8", "surrogateescape")])[0]
        for index, (part, window, _, _, _) in enumerate(places):
            rows = view.vectors[view.parts.index(part)] if view.vectors else None
            if rows is not None:
                first, last = part.window_point[window : window + 2].tolist()
                scores[index] += request.weight * float(
                    _scores(float_rows(rows, slice(first, last)), vector, "cosine").max()
                )
    return [
        (float(score), name, start, end)
        for score, (_, _, name, start, end) in zip(scores, places, strict=True)
        if score > 0
    ]


def _counts(found: np.ndarray, terms: np.ndarray) -> np.ndarray:
    order = np.sort(found)
    return np.searchsorted(order, terms, "right") - np.searchsorted(order, terms, "left")


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
    x, q = rows.astype(np.float64), vector.astype(np.float64)
    dots = np.array([math.fsum((row * q).tolist()) for row in x])
    if metric == "ip":
        return dots
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(q)
    return np.divide(dots, norms, out=np.zeros(len(x)), where=norms > 0)


def _enumerate_points(view: View, request: Request) -> Answer:
    assert request.vector is not None
    answer: Answer = []
    for part, rows in zip(view.parts, view.vectors or [], strict=True):
        scores = _scores(float_rows(rows, slice(None)), request.vector, request.metric)
        starts, ends = part.point_spans
        names = [part.record(document).names[0] for document in range(part.documents)]
        for point, score in enumerate(scores):
            if part.point_live is None or part.point_live[point]:
                document = int(part.window_document[part.point_window[point]])
                answer.append((float(score), names[document], int(starts[point]), int(ends[point])))
    return answer


def _enumerate_bytes(view: View, pattern: bytes) -> Answer:
    contents: dict[tuple[str, str], dict[int, bytes]] = {}
    for part, document, record in view.records():
        base = int(part.document_base[document])
        end = base + int(part.document_byte[document + 1] - part.document_byte[document])
        data = view.read(part, document, base, end)[0]
        contents.setdefault((record.names[0], record.digest), {})[base] = data
    answer: Answer = []
    for (name, _), pieces in contents.items():
        data = b"".join(pieces[base] for base in sorted(pieces))
        at = data.find(pattern)
        while at >= 0:
            answer.append((1.0, name, at, at + len(pattern)))
            at = data.find(pattern, at + 1)
    return answer
