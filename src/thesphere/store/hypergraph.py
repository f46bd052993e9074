"""The graph of a source, what it contains and what belongs together; and the code of its nodes and edges."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from thesphere.errors import FormatError
from thesphere.store.bincode import Blob, put_float32, put_optional, put_text, put_unsigned, put_unsigneds

_LIMIT = 1 << 63


@dataclass(frozen=True, slots=True)
class Trunk:
    """The source: the SHA-256 of its bytes in hex, or "dataset:task"; and its size in bytes."""

    source_hash: str
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Branch:
    """One modality of a source."""

    label: str
    modality: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """One segment or patch.

    Attributes:
        label: such as "patch_3"; may be missing.
        start, end: byte offsets in the source (as it was pre-tokenised); both or neither.
        confidence: the pre-tokeniser's, 1 where it gave none.
        extra: free JSON.
        extra_complete: False where `extra` came from a schema 2 blob and only part of it is certain.
        patch: the row of the embeddings file that this leaf is.
        prominence: that row's; 1 where none was declared, as the earlier writer had it.
    """

    label: str | None = None
    start: int | None = None
    end: int | None = None
    confidence: float = 1.0
    extra: dict[str, Any] | None = None
    extra_complete: bool = True
    patch: int | None = None
    prominence: float = 1.0


Node = Trunk | Branch | Leaf


@dataclass(frozen=True, slots=True)
class Edge:
    """Nodes that belong together: "contains", "next", "same_source" or "semantic"; and how much.

    `vertices` are places in the list of nodes, from 0; any number of them.
    """

    label: str
    vertices: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Hypergraph:
    """Nodes and the edges between them."""

    nodes: Sequence[Node] = field(default_factory=list)
    edges: Sequence[Edge] = field(default_factory=list)


# Encoding: a value that cannot be encoded is a ValueError or TypeError.


def encode_node(node: Node) -> bytes:
    """The blob of a node; a leaf's `extra`, `patch` and `prominence` are not part of it."""
    if isinstance(node, Trunk):
        return b"\0" + put_text(node.source_hash) + put_unsigned(offset(node.total_bytes, "total_bytes"))
    if isinstance(node, Branch):
        return b"\1" + put_text(node.label) + put_text(node.modality)
    if not isinstance(node, Leaf):
        raise TypeError(f"a node is {type(node).__name__}; Trunk, Branch or Leaf was expected")
    metadata = None
    if node.start is not None or node.end is not None:
        start, end = span(node.start, node.end)
        confidence = put_float32(finite(node.confidence))
        metadata = put_unsigned(start) + put_unsigned(end) + confidence + put_optional(None)
    elif node.confidence != 1:
        raise ValueError("a leaf's confidence can only be written with start and end")
    if node.patch is not None:
        offset(node.patch, "patch")
        prominence(node.prominence)
    elif node.prominence != 1:
        raise ValueError("a leaf's prominence can only be written with its patch")
    label = None if node.label is None else put_text(node.label)
    return b"\2" + put_optional(label) + put_optional(metadata)


def encode_extra(node: Node) -> str | None:
    """A leaf's `extra` as JSON text."""
    if not isinstance(node, Leaf) or node.extra is None:
        return None
    return json.dumps(json_object(node.extra), allow_nan=False)


def encode_edge(edge: Edge, count: int) -> tuple[bytes, bytes]:
    """The blobs `vertices` and `data` of an edge among `count` nodes."""
    vertices = places(edge.vertices, count)
    encoded = put_unsigneds(vertices)
    return encoded, encoded + put_text(edge.label) + put_float32(finite(edge.weight))


# Decoding: a blob that does not fit raises FormatError or ValueError, without the file's name.


def decode_node(blob: Blob) -> Node:
    """A trunk, branch or leaf."""
    variant = blob.unsigned()
    if variant == 0:
        node = Trunk(blob.text(), blob.offset())
    elif variant == 1:
        node = Branch(blob.text(), blob.text())
    elif variant == 2:
        node = Leaf(blob.text() if blob.boolean() else None)
        if blob.boolean():
            start, end = span(blob.offset(), blob.offset())
            confidence = blob.float32()
            extra, complete = blob.json_object() if blob.boolean() else (None, True)
            node = Leaf(node.label, start, end, confidence, extra, complete)
    else:
        raise FormatError(f"node kind {variant}; 0 (trunk), 1 (branch) or 2 (leaf) was expected")
    blob.end()
    return node


def decode_edge(blob: Blob) -> Edge:
    """An edge; whether its vertices exist is not known here."""
    vertices, label, weight = blob.offsets(), blob.text(), blob.float32()
    blob.end()
    return Edge(label, vertices, weight)


def decode_vertices(blob: Blob) -> tuple[int, ...]:
    """An edge's vertices alone."""
    vertices = blob.offsets()
    blob.end()
    return vertices


def with_patch(node: Node) -> Node:
    """A leaf with the row, and the prominence, that its JSON or else its label "patch_K" tells."""
    if not isinstance(node, Leaf) or node.patch is not None:
        return node
    extra = node.extra or {}
    patch = extra.get("patch_index")
    if patch is None and (named := re.fullmatch(r"patch_(\d{1,18})", node.label or "", re.ASCII)):
        patch = int(named[1])
    if type(patch) is not int or not 0 <= patch < _LIMIT:
        return node
    declared = extra.get("prominence")
    sound = isinstance(declared, int | float) and declared >= 0
    return replace(node, patch=patch, prominence=float(declared or 0) if sound else 1.0)


# Checks: each returns its argument or raises a ValueError or TypeError that says what was expected.


def parse_json(text: str) -> Any:
    """JSON without the extensions NaN and Infinity."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def offset(value: Any, name: str) -> int:
    """A whole number in [0, 2^63)."""
    if type(value) is not int or not 0 <= value < _LIMIT:
        raise ValueError(f"{name} is {str(value)[:20]}; a whole number from 0 was expected")
    return value


def span(start: Any, end: Any) -> tuple[int, int]:
    """Offsets, start <= end."""
    if offset(start, "a leaf's start") > offset(end, "a leaf's end"):
        raise ValueError(f"a leaf starts at {start}, behind its end {end}")
    return start, end


def places(vertices: Sequence[Any], count: int) -> tuple[int, ...]:
    """Places among `count` nodes."""
    found = tuple(offset(vertex, "vertex") for vertex in vertices)
    if found and max(found) >= count:
        raise ValueError(f"an edge names node {max(found)}; there are {count}")
    return found


def finite(value: Any) -> float:
    """A finite number."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:20]} was found where a finite number was expected")
    return float(value)


def prominence(value: Any) -> float:
    """A finite number from 0."""
    if finite(value) < 0:
        raise ValueError(f"prominence is {value}; 0 or more was expected")
    return float(value)


def plain_text(value: Any) -> str:
    """Text."""
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:20]} was found where text was expected")
    return value


def json_object(value: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise TypeError("a leaf's extra is not a JSON object")
    return value
