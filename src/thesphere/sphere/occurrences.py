"""Where a byte string occurs: every byte that could begin an occurrence is looked at, or ruled out by the lists.

A pattern with a run of printable ASCII holds character 4-grams that every UTF-8 text around it holds too,
whatever is folded there. A window whose list lacks one of them cannot hold the pattern, and an occurrence across
the border of two windows can miss at most three of them in both. What is left, sources in other encodings, binary
sources, and the borders between parts are searched byte by byte.
"""

import re
import time
from bisect import bisect_right
from collections.abc import Iterator

import numpy as np

from thesphere.lexical.lists import Lists
from thesphere.sphere.hits import Hit, Hits, Request, whole_cone
from thesphere.sphere.part import PartReader
from thesphere.sphere.record import Identity
from thesphere.sphere.search import hit_of, since
from thesphere.sphere.view import View
from thesphere.text import inner_grams
from thesphere.types import Cost

READ = 1 << 20
LONGEST = 1024  # of a longer pattern everything is read; windows of ingested text are longer than that
MOST_TERMS = 32

Piece = tuple[PartReader, int]  # a part and the ordinal of a document in it


def search_bytes(view: View, pattern: bytes, k: int) -> Hits:
    """The first k occurrences of a byte string, by source and offset."""
    begun = time.perf_counter()
    terms = settled_terms(pattern) if len(pattern) <= LONGEST else np.empty(0, np.uint32)
    ruled = {}
    places: dict[Identity, list[Piece]] = {}
    read = 0
    lists = [each.grams for each in view.lexical.parts] if len(terms) else [None] * len(view.parts)
    for part, grams in zip(view.parts, lists, strict=True):
        windows, cost = _possible(part, grams, terms, len(pattern))
        read += cost
        ruled[part] = windows
        for document in np.flatnonzero(_to_visit(part, windows)).tolist():
            places.setdefault(part.record(document).source, []).append((part, document))
    hits: list[Hit] = []
    for source in sorted(places):
        pieces = sorted(places[source], key=lambda piece: int(piece[0].document_base[piece[1]]))
        bases = [int(part.document_base[document]) for part, document in pieces]
        for start, end in _ranges(pieces, ruled, len(pattern)):
            for at in range(start, end, READ):
                data, stale = _read(view, pieces, bases, at, min(end, at + READ + len(pattern) - 1))
                read += len(data)
                for found in _occurrences(data[: READ + len(pattern) - 1], pattern, k - len(hits)):
                    part, document = pieces[bisect_right(bases, at + found) - 1]
                    window = part.window_at(document, at + found)
                    span = at + found, at + found + len(pattern)
                    hits.append(hit_of(view, part, window, *span, 1.0, data=pattern, stale=stale))
                if len(hits) == k:
                    break
            if len(hits) == k:
                break
        if len(hits) == k:
            break
    account: dict[str, object] = {
        "evidence": "the bytes themselves, source after source by name",
        "4-grams that ruled windows out": len(terms),
        "bytes read": read,
        "cones": whole_cone(view.live_points, read),
    }
    cost = Cost(read, view.stored_bytes, 0, 0, since(begun))
    return Hits(tuple(hits), "exact", 0.0, cost, Request(k, contains=pattern), view.generation, account)


def settled_terms(pattern: bytes) -> np.ndarray:
    """4-gram terms that any UTF-8 text with this pattern in it holds, uint32.

    From runs of printable ASCII. The last letter of a run counts only if ASCII follows it in the pattern: a
    combining mark behind it would make another character of both.
    """
    found = [np.empty(0, np.uint32)]
    for run in re.finditer(rb"[\x21-\x7e]{4,}", pattern):
        settled = run.end() < len(pattern) and pattern[run.end()] < 0x80
        text = run.group().decode("ascii").casefold()
        found.append(inner_grams(text if settled else text[:-1]))
    return np.unique(np.concatenate(found))


def _possible(
    part: PartReader, lists: Lists | None, terms: np.ndarray, length: int
) -> tuple[tuple[np.ndarray, np.ndarray] | None, int]:
    """((bool [windows] that may hold the pattern, bool [windows] that may hold it across their end), bytes read);
    None where nothing is ruled out."""
    if lists is None:
        return None, 0
    where = lists.find(terms)
    rarest = np.argsort(lists.document_counts(where, None), kind="stable")[:MOST_TERMS]
    has = lists.holding(where[rarest])
    inside = np.asarray(has.all(axis=0))
    across = np.zeros(part.windows, bool)
    if part.windows > 1:
        missing = len(rarest) - np.count_nonzero(has[:, :-1] | has[:, 1:], axis=0)
        same = part.window_document[:-1] == part.window_document[1:]
        first, last = part.window_passage[:-1], part.window_passage[1:] - 1
        sizes = part.passage_start[last] + part.passage_length[last] - part.passage_start[first]
        short = sizes < length  # imported rows: an occurrence may span it and both its neighbours
        across[:-1] = ((missing <= 3) | short[:-1] | short[1:]) & same
    return (inside, across), lists.bytes_of(where[rarest])


def _to_visit(part: PartReader, windows: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    """bool [documents]: live, and not ruled out."""
    visit = np.ones(part.documents, bool)
    if windows is not None:
        held = np.bincount(part.window_document[windows[0] | windows[1]], minlength=part.documents) > 0
        visit = held | (part.document_whole == 0) | (part.document_utf8 == 0)
    return visit if part.live is None else visit & part.live


def _ranges(
    pieces: list[Piece], ruled: dict[PartReader, tuple[np.ndarray, np.ndarray] | None], length: int
) -> Iterator[tuple[int, int]]:
    """Rising, disjoint ranges of a source, [start, end), that hold every occurrence wholly."""
    found: list[tuple[int, int]] = []
    for index, (part, document) in enumerate(pieces):
        base, end = int(part.document_base[document]), int(part.document_ends[document])
        if index:  # the border to the piece before
            found.append((base - length + 1, base + length - 1))
        windows = ruled[part]
        if windows is None or not part.document_utf8[document]:
            found.append((base, end))
            continue
        first, last = (int(x) for x in part.document_window[document : document + 2])
        for window in (first + np.flatnonzero(windows[0][first:last])).tolist():
            found.append(part.window_span(window))
        for window in (first + np.flatnonzero(windows[1][first:last])).tolist():
            border = part.window_span(window)[1]
            found.append((border - length + 1, border + length - 1))
    start = end = -1
    for first, last in sorted(found):
        first = max(first, 0)
        if first > end:
            if end > start:
                yield start, end
            start, end = first, last
        end = max(end, last)
    if end > start:
        yield start, end


def _read(view: View, pieces: list[Piece], bases: list[int], start: int, end: int) -> tuple[bytes, bool]:
    """(bytes [start, end) of a source as far as there are any, whether its file has changed)."""
    data, changed = [], False
    for (part, document), base in zip(pieces, bases, strict=True):
        first, last = max(start, base), min(end, int(part.document_ends[document]))
        if first < last:
            piece, stale = view.read(part, document, first, last)
            data.append(piece)
            changed |= stale
    return b"".join(data), changed


def _occurrences(data: bytes, pattern: bytes, most: int) -> list[int]:
    found: list[int] = []
    at = data.find(pattern)
    while at >= 0 and len(found) < most:
        found.append(at)
        at = data.find(pattern, at + 1)
    return found
