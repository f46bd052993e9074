"""A query's terms, and the repair of its misspelt words."""

import string
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from thesphere.text import grams, words

SHORTEST, LONGEST = 3, 32  # letters of a word that is worth repairing; it has 54 neighbours for each letter


@dataclass(frozen=True)
class Query:
    """A text's terms with their counts; terms rise.

    Attributes:
        word_terms, gram_terms: uint32.
        word_counts, gram_counts: int64.
        spelling: the letters of each word term that can be repaired.
    """

    word_terms: np.ndarray
    word_counts: np.ndarray
    gram_terms: np.ndarray
    gram_counts: np.ndarray
    spelling: dict[int, str] = field(default_factory=dict)


def analyse(text: str) -> Query:
    """The terms of a query."""
    spelling = {}
    for word in "".join(char if char in string.ascii_letters else " " for char in text).lower().split():
        terms = words(word)[0]
        if SHORTEST <= len(word) <= LONGEST and len(terms) == 1:
            spelling[int(terms[0])] = word
    return Query(
        *np.unique(words(text)[0], return_counts=True), *np.unique(grams(text), return_counts=True), spelling
    )


def neighbours(word: str) -> tuple[np.ndarray, np.ndarray]:
    """The terms of all words one edit away (Damerau 1964), uint32, rising, and how likely each is the word that
    was meant, up to a factor, float64.

    Likelihoods are those of a noisy channel (Kernighan, Church and Gale 1990) in which each kind of mistake is
    as frequent as the others: letters swapped and a letter left out happen in one way, a letter put in or
    mistaken for another in as many ways as there are letters.
    """
    letters = string.ascii_lowercase
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    likely = [a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1]
    likely += [a + letter + b for a, b in cuts for letter in letters]
    others = [a + b[1:] for a, b in cuts if b]
    others += [a + letter + b[1:] for a, b in cuts if b for letter in letters]
    first, second = (np.unique(words(" ".join(edits))[0]) for edits in (likely, others))
    terms = np.union1d(first, second)
    return terms, np.where(np.isin(terms, first), float(len(letters)), 1.0)


def repaired(query: Query, document_counts: Callable[[np.ndarray], np.ndarray]) -> Query:
    """The query with every word that no document has replaced by its likeliest neighbour, if one occurs.

    Args:
        document_counts: live documents of each of some rising word terms, int64.
    """
    lost = query.word_terms[document_counts(query.word_terms) == 0]
    changes = {}
    for term in lost.tolist():
        if term in query.spelling:
            near, likelihood = neighbours(query.spelling[term])
            evidence = document_counts(near) * likelihood
            if evidence.max(initial=0) > 0:
                changes[term] = int(near[np.argmax(evidence)])
    if not changes:
        return query
    totals: dict[int, int] = {}
    for term, count in zip(query.word_terms.tolist(), query.word_counts.tolist(), strict=True):
        term = changes.get(term, term)
        totals[term] = totals.get(term, 0) + count
    terms = sorted(totals)
    return replace(
        query,
        word_terms=np.array(terms, np.uint32),
        word_counts=np.array([totals[term] for term in terms], np.int64),
    )
