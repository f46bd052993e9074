"""The hypergraph of a collection, made from its tables: what each source contains and what belongs together."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from thesphere.errors import NotFoundError
from thesphere.readers import utf8
from thesphere.sphere.lengths import patch_cuts
from thesphere.sphere.part import PartReader
from thesphere.sphere.record import Identity, Record
from thesphere.sphere.view import View
from thesphere.store.hypergraph import Branch, Edge, Hypergraph, Leaf, Node, Trunk

Pieces = list[tuple[PartReader, int]]  # where a document lies, in the order of its bytes


def documents(view: View) -> list[tuple[Record, Pieces]]:
    """Every live document with its pieces, by name: an order that does not depend on how they came in."""
    found: dict[Identity, tuple[Record, Pieces]] = {}
    for part, document, record in view.records():
        found.setdefault(record.source, (record, []))[1].append((part, document))
    for _, pieces in found.values():
        pieces.sort(key=lambda piece: int(piece[0].document_base[piece[1]]))
    return [found[key] for key in sorted(found)]


def hypergraph(view: View, name: str | None = None, *, points: bool = False) -> Hypergraph:
    """Trunk (source), branch (its modality, labelled with its name) and leaves, joined by edges `contains`
    (trunk and branch, branch and leaf), `next` (neighbouring leaves) and `same_source` (all leaves of a
    source).

    Args:
        view: a generation.
        name: a source by name or uri; None for all of them.
        points: leaves are the points, numbered through all sources as the rows of an export are; otherwise
            they are patches, numbered in their source.

    Raises:
        NotFoundError: no source has that name.
    """
    nodes: list[Node] = []
    edges: list[Edge] = []
    row = 0
    for record, pieces in documents(view):
        if name is not None and name not in record.names and name not in record.uris:
            continue
        trunk = len(nodes)
        branch = trunk + 1
        nodes.append(Trunk(record.origin.get("source_hash", record.digest), record.size))
        nodes.append(Branch(record.names[0], record.modality))
        edges.append(Edge("contains", (trunk, branch)))
        first = len(nodes)
        for number, span in enumerate(_spans(view, record, pieces, points)):
            place = len(nodes)
            nodes.append(_leaf(span, row if points else number, points))
            edges.append(Edge("contains", (branch, place)))
            if place > first:
                edges.append(Edge("next", (place - 1, place)))
            row += 1
        if len(nodes) > first + 1:
            edges.append(Edge("same_source", tuple(range(first, len(nodes)))))
    if name is not None and not nodes:
        raise NotFoundError(f"no source is called {name!r}; `thesphere info --sources` lists them")
    return Hypergraph(nodes, edges)


def boundaries(view: View, name: str, limit: int) -> tuple[bytes, np.ndarray]:
    """The first `limit` bytes of a source as UTF-8, and where its patches start in them, int64 [P].

    Raises:
        NotFoundError: no source has that name.
    """
    for record, pieces in documents(view):
        if name not in record.names and name not in record.uris:
            continue
        part, document = pieces[0]
        end = min(int(part.document_ends[document]), limit)
        data = utf8(view.read(part, document, 0, end, record)[0], record.encoding)[:limit]
        starts, at = [], 0
        for window in range(*part.document_window[document : document + 2].tolist()):
            for passage in range(*part.window_passage[window : window + 2].tolist()):
                if at >= len(data):
                    break
                lengths = part.patches(passage).astype(np.int64)
                starts.append(at + np.cumsum(lengths) - lengths)
                at += int(lengths.sum())
        found = np.concatenate([np.zeros(0, np.int64), *starts])
        return data, found[found < len(data)]
    raise NotFoundError(f"no source is called {name!r}; `thesphere info --sources` lists them")


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    passage: int  # its number in the source
    entropy: float
    prominence: float | None = None


def _leaf(span: _Span, number: int, point: bool) -> Leaf:
    extra: dict[str, object] = {
        "passage": span.passage,
        "entropy": None if math.isnan(span.entropy) else span.entropy,
    }
    label = f"patch_{number}"
    if point and span.prominence is not None:
        return Leaf(label, span.start, span.end, extra=extra, patch=number, prominence=span.prominence)
    if span.prominence is not None:
        extra["prominence"] = span.prominence
    return Leaf(label, span.start, span.end, extra=extra)


def _spans(view: View, record: Record, pieces: Pieces, points: bool) -> Iterator[_Span]:
    """The leaves of one source: its points where those are patches or asked for, else its patches."""
    number = -1
    for part, document in pieces:
        has_vectors = hasattr(part, "prominence")
        for window in range(*part.document_window[document : document + 2].tolist()):
            for passage in range(*part.window_passage[window : window + 2].tolist()):
                number += 1
                if part.unit == "passage" and not points:
                    yield from _patches(view, record, part, document, passage, number)
                    continue
                first, last = passage, passage + 1
                if part.unit != "passage":
                    first, last = (int(x) for x in part.passage_point[passage : passage + 2])
                starts, ends = part.point_spans
                for point in range(first, last):
                    yield _Span(
                        int(starts[point]),
                        int(ends[point]),
                        number,
                        float(part.point_entropies[point]),
                        float(part.prominence[point]) if has_vectors else None,
                    )


def _patches(
    view: View, record: Record, part: PartReader, document: int, passage: int, number: int
) -> Iterator[_Span]:
    """The patches of a passage; each has the passage's entropy."""
    start = int(part.passage_start[passage])
    data = b""
    if record.encoding not in ("utf-8", "bytes"):
        data = view.read(part, document, start, start + int(part.passage_length[passage]))[0]
    cuts = (start + patch_cuts(data, record.encoding, part.patches(passage))).tolist()
    entropy = float(part.passage_entropy[passage])
    for opens, closes in zip(cuts, cuts[1:], strict=False):
        yield _Span(opens, closes, number, entropy)
