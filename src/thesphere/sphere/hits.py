"""What a search gives back: spans, a status, a gap, a cost, and an account of how it came about."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any
from unicodedata import is_normalized

import numpy as np

from thesphere.readers import analysis_text
from thesphere.scan import Metric
from thesphere.sphere.filter import Filter
from thesphere.text import grams, words
from thesphere.types import Cost, Status

_TOKEN = re.compile(r"\w+")
_SPACED = re.compile(
    "[\0-\u0dff\u1200-\u177f\u1800-\u2e7f]"
)  # anything of a script that puts spaces between words


@dataclass(frozen=True)
class Hit:
    """One answer: a span of a source.

    Attributes:
        source: the source's name; its first one if the same content lies at several paths.
        start, end: byte offsets in the source's original bytes.
        score: the formula of docs/decisions.md, or the vector score.
        data: the bytes themselves.
        line: number of the line in which the span begins, from 1.
        prominence: L2 norm of the point's embedding before normalisation (NaN where there are no vectors).
        entropy: mean next-byte entropy of the span, nats.
        paths: every name under which this content was ingested; uris: where each of them lies.
        modality, encoding: as the reader found them.
        stale: True if the bytes are not kept in the collection and the file has changed since.
        point: number of the point in `Sphere.points()`.
    """

    source: str
    start: int
    end: int
    score: float
    data: bytes = field(repr=False)
    line: int
    prominence: float
    entropy: float
    paths: tuple[str, ...] = field(repr=False)
    uris: tuple[str, ...] = field(repr=False)
    modality: str = field(repr=False)
    encoding: str = field(repr=False)
    stale: bool = False
    point: int = field(default=-1, repr=False)
    marker: Callable[[str], list[tuple[int, int]]] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def text(self) -> str:
        """The bytes as text."""
        return analysis_text(self.data, self.encoding)

    @cached_property
    def marks(self) -> list[tuple[int, int]]:
        """Spans of `text`, in characters, that match the query."""
        return self.marker(self.text) if self.marker else []

    def as_dict(self) -> dict:
        """What `--json` prints."""
        return {
            "source": self.source, "start": self.start, "end": self.end, "line": self.line,
            "score": self.score, "prominence": None if np.isnan(self.prominence) else self.prominence,
            "entropy": None if np.isnan(self.entropy) else self.entropy,
            "paths": list(self.paths), "modality": self.modality, "stale": self.stale, "text": self.text,
            "marks": [list(mark) for mark in self.marks],
        }  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What was asked: all that is needed to ask it again.

    Attributes:
        k: how many answers.
        text, vector, contains: one of them is not None.
        metric: of `vector`.
        joined: whether vectors took part in ranking a text, and with what weight; 0 if they took none.
        recall, budget: how far to go where an index answers; None and None where the answer is exact.
        filter: which sources could answer.
        within: of a radius search, the least score; its text or vector is compared with points.
    """

    k: int
    text: str | None = None
    vector: np.ndarray | None = None
    contains: bytes | None = None
    metric: Metric = "cosine"
    joined: bool = False
    weight: float = 0.0
    recall: float | None = None
    budget: int | None = None
    filter: Filter = Filter()
    within: float | None = None

    def __str__(self) -> str:
        if self.vector is not None:
            return f"a vector of {self.vector.size}, {self.metric}"
        return self.text if self.text is not None else repr(self.contains)


@dataclass(frozen=True)
class Hits(Sequence):
    """The answer to one query, best first.

    Attributes:
        status: "exact" (proved to be the first k by the formula), "probable" or "partial".
        gap: how much better than the last hit anything unscored could be; 0 if exact.
        cost: what it took.
        request: what was asked.
        generation: of the collection that answered.
        account: how the answer came about, printed by `explain`; its `cones` tell where was looked, with root,
            activation, degrees, cells, points and bytes of each. An answer that left nothing out is one cone.
        total: of a radius search, how many points there are, of which the hits are the first; else None.
    """

    hits: tuple[Hit, ...]
    status: Status
    gap: float
    cost: Cost
    request: Request
    generation: int
    account: dict[str, object] = field(default_factory=dict, repr=False)
    total: int | None = None

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, index):
        return self.hits[index]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def explain(self) -> str:
        """How the answer came about, a line each."""
        lines = [f"status: {self.status}, gap {self.gap:g}"]
        for name, value in self.account.items():
            if isinstance(value, list) and value:
                lines += [f"{name}:", *(f"  {_in_words(each)}" for each in value)]
            else:
                lines.append(f"{name}: {value if value != [] else 'none'}")
        return "\n".join(lines)

    def as_dict(self) -> dict:
        """What `--json` prints."""
        return {
            "query": str(self.request), "filter": self.request.filter.as_dict(), "status": self.status,
            "gap": self.gap if np.isfinite(self.gap) else None, "cost": asdict(self.cost),
            "account": self.account, "hits": [hit.as_dict() for hit in self.hits],
            **({} if self.total is None else {"within": self.request.within, "total": self.total}),
        }  # fmt: skip


def whole_cone(points: int, read: int) -> list[dict[str, Any]]:
    """The cones of an answer that left nothing out: one, all of the sphere, with so many points and bytes."""
    return [{"root": "all", "activation": 1.0, "degrees": 180, "cells": 1, "points": points, "bytes": read}]


def _in_words(cone: dict[str, Any]) -> str:
    where = "all of the sphere" if cone["root"] == "all" else f"root {cone['root']}"
    cells = "1 cell" if cone["cells"] == 1 else f"{cone['cells']:,} cells"
    return (
        f"{where}: activation {cone['activation']:.3g}, {cone['degrees']} degrees, {cells},"
        f" {cone['points']:,} points, {cone['bytes']:,} bytes"
    )


def _joined(starts: np.ndarray, ends: np.ndarray) -> list[tuple[int, int]]:
    """Spans in rising order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if found and start <= found[-1][1]:
            start = found.pop()[0]
        found.append((start, end))
    return found


def word_marker(word_terms: np.ndarray, gram_terms: np.ndarray) -> Callable[[str], list[tuple[int, int]]]:
    """A function that finds the words of a text that match a query: by their terms, or most of their n-grams;
    in a script without spaces the pairs of characters that match.

    Args:
        word_terms, gram_terms: the query's terms, sorted.
    """

    def marks(text: str) -> list[tuple[int, int]]:
        found = []
        for match in _TOKEN.finditer(text):
            token, at = match.group(), match.start()
            terms, starts, ends = words(token)
            alike = np.isin(terms, word_terms)
            if alike.any() and not _SPACED.search(token) and is_normalized("NFKC", token):
                found += _joined(at + starts[alike], at + ends[alike])
            elif alike.any() or (len(token) >= 5 and np.isin(grams(token), gram_terms).mean() >= 0.6):
                found.append(match.span())
        return found

    return marks
