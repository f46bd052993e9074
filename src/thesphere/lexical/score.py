"""The lexical score: words and character n-grams, each BM25, fused with the query's coverage.

    S(d) = coverage * W(d) / max W + G(d) / max G

W is BM25 over words (k1 1.2, b 0.75, idf = ln(1 + (N - df + 0.5) / (df + 0.5)), query counts linear), G the
same over character 2- and 4-grams with idf^1.5, the maxima are over all live documents, and coverage is the idf
mass of the query's words that occur at all over that of all its words: where spelling fails, the n-grams
decide. Terms in more than half of the documents are left out of G once there are `CUT_FROM` documents: they
cost most and tell least. A word that no document has counts as its likeliest neighbour one edit away, where
one occurs.

Every statistic belongs to the whole generation and is an integer until the formula, and a document's sum runs
over the terms in rising order: how the documents are spread over parts changes no bit of the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thesphere.lexical.lists import Lists
from thesphere.lexical.query import Query, repaired
from thesphere.text import grams, words

K1, B = 1.2, 0.75
GRAM_POWER = 1.5
CUT_FROM = 2000


@dataclass(frozen=True)
class LexicalPart:
    """One part's lists and the lengths of its documents.

    Attributes:
        words, grams: the inverted lists.
        word_lengths, gram_lengths: int32 [documents], terms with repeats.
        live: bool [documents], or None if all are.
        dead_words, dead_grams: uint32, sorted: the terms of the documents that are not live, once for each of
            them; None if they are not known, then lists are walked to count live documents.
    """

    words: Lists
    grams: Lists
    word_lengths: np.ndarray
    gram_lengths: np.ndarray
    live: np.ndarray | None = None
    dead_words: np.ndarray | None = None
    dead_grams: np.ndarray | None = None


@dataclass(frozen=True)
class Leg:
    """One kind of term over all parts of a generation: its weights for a query, and how it scores."""

    lists: Sequence[Lists]
    norms: Sequence[np.ndarray]  # float64 [documents] each: k1 (1 - b + b length / mean length)
    live: Sequence[np.ndarray | None]
    dead: Sequence[np.ndarray | None]
    documents: int
    power: float
    cut: bool

    def idf(self, terms: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """(idf float64, live document count int64, positions in each part) of the terms."""
        where = [lists.find(terms) for lists in self.lists]
        counts = np.zeros(len(terms), np.int64)
        for lists, at, live, dead in zip(self.lists, where, self.live, self.dead, strict=True):
            if dead is None:
                counts += lists.document_counts(at, live)
            else:
                gone = np.searchsorted(dead, terms, "right") - np.searchsorted(dead, terms, "left")
                counts += lists.document_counts(at, None) - gone
        return np.log1p((self.documents - counts + 0.5) / (counts + 0.5)), counts, where

    def weights(self, idf: np.ndarray, document_counts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """What one full occurrence of each query term is worth, float64; 0 leaves the term out."""
        weights = counts * idf**self.power * (K1 + 1)
        weights[document_counts == 0] = 0.0
        if self.cut and self.documents >= CUT_FROM:
            weights[document_counts > self.documents // 2] = 0.0
        return weights


@dataclass(frozen=True)
class LexicalScores:
    """The lexical evidence of one query.

    Attributes:
        parts: float64 arrays, one per part: S of every document, -inf where it is not live.
        query: the query as it was scored, misspelt words repaired.
        coverage: idf mass of the query's words that occur, in [0, 1].
        strength: best word score over the highest that any document could reach, in [0, 1].
        word_weights, gram_weights: what one full occurrence of each of the query's terms is worth; 0 is left
            out.
        bytes_read: bytes of the lists that were read.
    """

    parts: list[np.ndarray]
    query: Query
    coverage: float
    strength: float
    word_weights: np.ndarray
    gram_weights: np.ndarray
    bytes_read: int

    @cached_property
    def flatness(self) -> float:
        """How alike the best documents score."""
        return flatness(self.parts)

    @property
    def lead(self) -> float:
        """How far the best document stands above the tenth, as a share of what a perfect one would reach, in
        [0, 1]."""
        return self.strength * (1 - self.flatness)


def flatness(parts: Sequence[np.ndarray]) -> float:
    """The tenth best of some scores over the best, in [0, 1]; the last if there are fewer; 1 if none is above 0.
    Documents that are not live score -inf."""
    best = [np.partition(part, -min(10, len(part)))[-10:] for part in parts if len(part)]
    first = np.sort(np.concatenate(best or [np.empty(0)]))[-10:]
    first = first[first > -np.inf]
    return float(first[0] / first[-1]) if len(first) and first[-1] > 0 else 1.0


def fuse(w: np.ndarray, g: np.ndarray, best_word: float, best_gram: float, coverage: float) -> np.ndarray:
    """coverage * w / best_word + g / best_gram; a leg without any evidence counts 0."""
    s = np.zeros(len(w))
    if best_word > 0:
        s += coverage * (w / best_word)
    if best_gram > 0:
        s += g / best_gram
    return s


def score_texts(scores: LexicalScores, texts: Sequence[str]) -> np.ndarray:
    """The same score among a few texts only, float64 [n]: which of a document's passages holds the evidence.

    Term weights are those of the whole generation; lengths and maxima are those of these texts.
    """
    legs, query = [], scores.query
    for terms, weights, analyser in (
        (query.word_terms, scores.word_weights, lambda text: words(text)[0]),
        (query.gram_terms, scores.gram_weights, grams),
    ):
        found = [analyser(text) for text in texts]
        mean = sum(map(len, found)) / max(1, len(found)) or 1.0
        leg = np.zeros(len(texts))
        for index, each in enumerate(found):
            if len(each) and len(terms):
                where = np.minimum(np.searchsorted(terms, each), len(terms) - 1)
                counts = np.bincount(where[terms[where] == each], minlength=len(terms))
                norm = K1 * (1 - B + B * (len(each) / mean))
                leg[index] = float((weights * counts / (counts + norm)).sum())
        legs.append(leg)
    w, g = legs
    return fuse(w, g, float(w.max(initial=0.0)), float(g.max(initial=0.0)), scores.coverage)


class Lexical:
    """The inverted lists of one generation, ready to score queries."""

    def __init__(self, parts: Sequence[LexicalPart]) -> None:
        self.parts = list(parts)
        self.live = [part.live for part in self.parts]
        alive = [np.ones(len(p.word_lengths), bool) if p.live is None else p.live for p in self.parts]
        self.documents = int(sum(mask.sum() for mask in alive))
        self._alive = alive

    def _leg(self, kind: str, power: float, cut: bool) -> Leg:
        lengths = [np.asarray(getattr(part, f"{kind}_lengths"), np.int64) for part in self.parts]
        total = sum(int(n[mask].sum()) for n, mask in zip(lengths, self._alive, strict=True))
        mean = total / self.documents if total else 1.0
        norms = [K1 * (1 - B + B * (n / mean)) for n in lengths]
        lists = [getattr(part, f"{kind}s") for part in self.parts]
        dead = [getattr(part, f"dead_{kind}s") for part in self.parts]
        return Leg(lists, norms, self.live, dead, self.documents, power, cut)

    @cached_property
    def words(self) -> Leg:
        """The leg of words."""
        return self._leg("word", 1.0, cut=False)

    @cached_property
    def grams(self) -> Leg:
        """The leg of character n-grams."""
        return self._leg("gram", GRAM_POWER, cut=True)

    def score(self, query: Query) -> LexicalScores:
        """Score every live document."""
        query = repaired(query, lambda terms: self.words.idf(terms)[1])
        word_idf, word_df, word_at = self.words.idf(query.word_terms)
        gram_idf, gram_df, gram_at = self.grams.idf(query.gram_terms)
        word_weights = self.words.weights(word_idf, word_df, query.word_counts)
        gram_weights = self.grams.weights(gram_idf, gram_df, query.gram_counts)
        mass = query.word_counts * word_idf
        whole = float(mass.sum())
        coverage = float(mass[word_df > 0].sum()) / whole if whole > 0 else 0.0
        word_scores = [np.zeros(len(norm)) for norm in self.words.norms]
        gram_scores = [np.zeros(len(norm)) for norm in self.grams.norms]
        read = 0
        for part in range(len(self.parts)):
            for leg, at, weights, out in (
                (self.words, word_at[part], word_weights, word_scores[part]),
                (self.grams, gram_at[part], gram_weights, gram_scores[part]),
            ):
                leg.lists[part].score(at, weights, leg.norms[part], out)
                read += leg.lists[part].bytes_of(at[weights > 0])
        best_word, best_gram = self._best(word_scores), self._best(gram_scores)
        out = []
        for w, g, live in zip(word_scores, gram_scores, self.live, strict=True):
            s = fuse(w, g, best_word, best_gram, coverage)
            if live is not None:
                s[~live] = -np.inf
            out.append(s)
        ceiling = float(word_weights.sum())
        strength = best_word / ceiling if ceiling > 0 else 0.0
        return LexicalScores(out, query, coverage, strength, word_weights, gram_weights, read)

    def _best(self, scores: Sequence[np.ndarray]) -> float:
        """The highest score of a live document."""
        best = 0.0
        for part, mask in zip(scores, self._alive, strict=True):
            if mask.any():
                best = max(best, float(part[mask].max()))
        return best
