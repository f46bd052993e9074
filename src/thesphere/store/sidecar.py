"""The hypergraph that earlier systems put beside an embeddings file: NAME.hypergraph.db, or its JSON export.

A trunk (the source) contains branches (its modalities), which contain leaves (its patches); an edge joins any
number of nodes. Schema 2 is two tables of bincode blobs. Schema 3 adds `sphere_patches` and `sphere_edges`,
which need no decoding. Rows of `nodes` count from 1, while all that refers to a node (an edge's vertices and
`sphere_patches.node_id`) counts from 0: a node is found by its place in the order of rows. We write schema 3
with one difference: a leaf's JSON lies in a column `extra` of `nodes`, because the earlier loader could not
decode it inside the blob and failed on every file that had it there.
"""

import os
import re
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thesphere.errors import FormatError, InputError, SphereError
from thesphere.store.bincode import Blob
from thesphere.store.hypergraph import (
    Branch,
    Edge,
    Hypergraph,
    Leaf,
    Node,
    Trunk,
    decode_edge,
    decode_node,
    decode_vertices,
    encode_edge,
    encode_extra,
    encode_node,
    finite,
    json_object,
    offset,
    parse_json,
    places,
    plain_text,
    prominence,
    span,
    with_patch,
)
from thesphere.store.part import map_file, replacing

__all__ = ["Branch", "Edge", "Hypergraph", "Leaf", "Trunk", "read_sidecar", "sidecar_path", "write_sidecar"]

_SQLITE = b"SQLite format 3\0"
_JSON_LIMIT = 1 << 29  # bytes; the JSON export was made for people to read
_WRONG = (FormatError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE nodes (id INTEGER PRIMARY KEY, data BLOB NOT NULL, extra TEXT);
CREATE TABLE hyperedges (id INTEGER PRIMARY KEY, vertices BLOB NOT NULL, data BLOB NOT NULL);
CREATE TABLE sphere_patches (
    node_id INTEGER PRIMARY KEY, patch_idx INTEGER NOT NULL, prominence REAL NOT NULL
);
CREATE TABLE sphere_edges (
    id INTEGER PRIMARY KEY, src_patch INTEGER NOT NULL, dst_patch INTEGER NOT NULL,
    weight REAL NOT NULL, label TEXT NOT NULL
);
INSERT INTO meta VALUES ('schema_version', '3');
"""


def sidecar_path(safetensors_path: str | os.PathLike[str]) -> Path:
    """Where the sidecar of an embeddings file is, or belongs if there is none.

    A name may contain dots: "a.b.safetensors" has "a.b.hypergraph.db". The earlier writer cut such a name at
    its last dot, and kept one sidecar for all parts of a split file. Those are found too; the former only
    if no other embeddings file there could claim it.
    """
    path = Path(safetensors_path)
    stem = path.name.removesuffix(".safetensors")
    names = [stem, re.sub(r"_part_\d+$", "", stem)]
    cut = stem.rpartition(".")[0]
    if cut and not any(
        other.name.startswith(f"{cut}.") and other.name != path.name
        for other in path.parent.glob("*.safetensors")
    ):
        names.append(cut)
    files = [path.with_name(f"{name}.hypergraph.{kind}") for name in names for kind in ("db", "json")]
    return next((file for file in files if file.is_file()), files[0])


def read_sidecar(path: str | os.PathLike[str]) -> Hypergraph:
    """Read a sidecar of schema 2 or 3, or a JSON export.

    Files of schema 2 with leaf metadata, which the earlier loader could not read, are read: see
    `Leaf.extra_complete`. Where a file has edges only between patches, they join the patches' leaves.

    Raises:
        NotFoundError: no such file.
        FormatError: anything in it contradicts the format; names the file, table and row.
    """
    path = Path(path)
    data = map_file(path)
    if data[:16] == _SQLITE:
        return _read_database(path, len(data))
    if data[:64].lstrip()[:1] == b"{":
        return _read_json(path, data)
    raise FormatError(f"{path} is neither an SQLite file nor a JSON export of a hypergraph")


def write_sidecar(path: str | os.PathLike[str], graph: Hypergraph) -> None:
    """Write schema 3, whole or not at all. Confidences and weights are kept as float32.

    Raises:
        InputError: a value that the format cannot hold, or a vertex that is no node.
        NotFoundError, SphereError: the folder is missing, the disk full or read-only.
    """
    path = Path(path)
    try:
        nodes = [(encode_node(node), encode_extra(node)) for node in graph.nodes]
        edges = [encode_edge(edge, len(nodes)) for edge in graph.edges]
    except (*_WRONG, OverflowError, struct.error) as error:
        raise InputError(f"cannot write {path}: {error}") from error
    patches = {
        place: (node.patch, float(node.prominence))
        for place, node in enumerate(graph.nodes)
        if isinstance(node, Leaf) and node.patch is not None
    }
    pairs = [
        (*(patches[vertex][0] for vertex in edge.vertices), float(edge.weight), edge.label)
        for edge in graph.edges
        if len(edge.vertices) == 2 and all(vertex in patches for vertex in edge.vertices)
    ]
    with replacing(path) as beside:
        beside.touch()
        try:
            with closing(sqlite3.connect(beside, isolation_level=None)) as base:
                base.execute("PRAGMA journal_mode = MEMORY")
                base.executescript("BEGIN;" + _TABLES)
                base.executemany("INSERT INTO nodes (data, extra) VALUES (?, ?)", nodes)
                base.executemany("INSERT INTO hyperedges (vertices, data) VALUES (?, ?)", edges)
                rows = ((place, patch, weight) for place, (patch, weight) in patches.items())
                base.executemany("INSERT INTO sphere_patches VALUES (?, ?, ?)", rows)
                base.executemany("INSERT INTO sphere_edges VALUES (NULL, ?, ?, ?, ?)", pairs)
                base.execute("COMMIT")
        except sqlite3.Error as error:
            reason = f"{error}; check the disk and run the command again"
            raise SphereError(f"cannot write {path}: {reason}") from error


def _read_database(path: Path, size: int) -> Hypergraph:
    journal = any(Path(f"{path}{suffix}").exists() for suffix in ("-wal", "-journal"))
    uri = path.absolute().as_uri() + ("?mode=ro" if journal else "?mode=ro&immutable=1")
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as base:
            # No value is longer than its file: one that is computed (by a view, say) is not allowed to be.
            base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(size, 1 << 16))
            base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            ticks = iter(range(100 + size // 1000))  # pages that point in a circle would be read for ever
            base.set_progress_handler(lambda: next(ticks, None) is None, 10_000)
            for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
                base.execute(f"PRAGMA {pragma}")
            return _Database(path, base, size).graph()
    except (sqlite3.Error, UnicodeError) as error:
        raise FormatError(f"{path} is not a readable SQLite file: {error}") from error


@dataclass
class _Database:
    """An open file of which nothing is trusted: neither schema, rows nor values."""

    path: Path
    base: sqlite3.Connection
    size: int

    def graph(self) -> Hypergraph:
        self.check_version()
        stored, patches = self.nodes(), self.patches()
        nodes = stored or []
        if stored is None:
            rows = sorted((row, weight) for _, row, weight in patches or [])
            nodes += [Leaf(f"patch_{row}", patch=row, prominence=weight) for row, weight in rows]
        elif patches is None:
            nodes = [with_patch(node) for node in nodes]
        else:
            for number, (place, row, weight) in enumerate(patches, 1):
                leaf = nodes[place] if place < len(nodes) else None
                if not isinstance(leaf, Leaf):
                    where = f"patch {number} is given to node {place}"
                    raise FormatError(f"{self.path}: {where}, which is no leaf among {len(nodes)} nodes")
                nodes[place] = replace(leaf, patch=row, prominence=weight)
        return Hypergraph(nodes, self.hyperedges(len(nodes)) or self.patch_edges(nodes))

    def check_version(self) -> None:
        if not self.columns("nodes") and not self.columns("sphere_patches"):
            raise FormatError(f"{self.path} has neither a table nodes nor sphere_patches: it is no sidecar")
        if self.columns("meta"):
            version = dict(self.rows("meta", "key", "value")).get("schema_version")
            if version not in ("2", "3", None):
                raise FormatError(f"{self.path}: schema_version is {str(version)[:20]!r}; expected 2 or 3")

    def nodes(self) -> list[Node] | None:
        columns = self.columns("nodes")
        if not columns:
            return None
        nodes = []
        for data, *extra in self.rows("nodes", "data", *({"extra"} & columns)):
            where = f"nodes row {len(nodes) + 1}"
            node = self.checked(where, decode_node, data)
            if extra and extra[0] is not None:
                if not isinstance(node, Leaf):
                    raise FormatError(f"{self.path}: {where} has an extra but is no leaf")
                content = self.checked(
                    where, lambda text: json_object(parse_json(plain_text(text))), extra[0]
                )
                node = replace(node, extra=content, extra_complete=True)
            nodes.append(node)
        return nodes

    def patches(self) -> list[tuple[int, int, float]] | None:
        """(place of the leaf, row of the embeddings, prominence) of each patch; None where no table tells."""
        table, names = "sphere_patches", ("node_id", "patch_idx", "prominence")
        if not self.columns(table):
            table, names = "patch_metadata", ("node_idx", "patch_index", "prominence")
            if not self.columns(table):
                return None
            if len({document for (document,) in self.rows(table, "doc_id")}) > 1:
                raise FormatError(
                    f"{self.path}: {table} counts the nodes of each of several documents from 0"
                )
        if names[0] not in self.columns(table) and not self.columns("nodes"):
            names = ("rowid", *names[1:])
        found = []
        for values in self.rows(table, *names):
            where = f"{table} row {len(found) + 1}"
            place, row = (self.checked(where, lambda value: offset(value, "a number"), v) for v in values[:2])
            found.append((place, row, self.checked(where, prominence, values[2])))
        return found

    def hyperedges(self, count: int) -> list[Edge]:
        if not self.columns("hyperedges"):
            return []
        edges = []
        for vertices, data in self.rows("hyperedges", "vertices", "data"):
            where = f"hyperedges row {len(edges) + 1}"
            edge = self.checked(where, decode_edge, data)
            if self.checked(where, decode_vertices, vertices) != edge.vertices:
                raise FormatError(f"{self.path}: {where} gives different vertices in its two columns")
            self.checked(where, lambda found: places(found, count), edge.vertices)
            edges.append(edge)
        return edges

    def patch_edges(self, nodes: list[Node]) -> list[Edge]:
        if not self.columns("sphere_edges"):
            return []
        place = {node.patch: at for at, node in enumerate(nodes) if isinstance(node, Leaf)}
        edges = []
        for *ends, weight, label in self.rows("sphere_edges", "src_patch", "dst_patch", "weight", "label"):
            where = f"sphere_edges row {len(edges) + 1}"
            if not all(type(end) is int and end in place for end in ends):
                raise FormatError(f"{self.path}: {where} joins patches {str(ends)[:40]}; one has no leaf")
            vertices = tuple(place[end] for end in ends)
            edges.append(
                Edge(self.checked(where, plain_text, label), vertices, self.checked(where, finite, weight))
            )
        return edges

    def columns(self, table: str) -> set[str]:
        """The stored columns of an ordinary table; empty if there is none of that name."""
        found = self.base.execute(
            "SELECT type, substr(sql, 1, 13) FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
        if found is None:
            return set()
        if found != ("table", "CREATE TABLE "):
            raise FormatError(f"{self.path}: {table} is not an ordinary table")
        about = self.base.execute(f"PRAGMA table_xinfo({table})").fetchmany(100)
        return {name for _, name, _, _, _, _, hidden in about if hidden == 0}

    def rows(self, table: str, *names: str) -> Iterator[tuple[Any, ...]]:
        """Those columns of each row in the order of row ids; never more rows than the file could hold."""
        missing = set(names) - self.columns(table) - {"rowid"}
        if missing:
            raise FormatError(f"{self.path}: table {table} has no column {', '.join(sorted(missing))}")
        cursor = self.base.execute(f"SELECT {', '.join(names)} FROM {table} NOT INDEXED ORDER BY rowid")
        for number, row in enumerate(cursor):
            if number > self.size // 3:  # a row takes three bytes or more
                raise FormatError(f"{self.path}: {table} has more rows than fit into the file")
            yield row

    def checked(self, where: str, check: Callable[[Any], Any], value: Any) -> Any:
        """`check(value)`, with bytes given as a Blob; its errors told with the file and row."""
        if check in (decode_node, decode_edge, decode_vertices):
            if not isinstance(value, bytes):
                raise FormatError(f"{self.path}: {where} is {type(value).__name__}; a blob was expected")
            value = Blob(value)
        try:
            return check(value)
        except _WRONG as error:
            raise FormatError(f"{self.path}: {where}: {str(error)[:200]}") from error


def _read_json(path: Path, data: Any) -> Hypergraph:
    if len(data) > _JSON_LIMIT:
        raise FormatError(
            f"{path} has {len(data)} bytes; a JSON export of at most {_JSON_LIMIT} was expected"
        )
    nodes, edges, where = [], [], "the text"
    try:
        content = parse_json(data[:].decode())
        weights, topology = content["edges"], content["topology"]["edges"]
        for node in content["nodes"]:
            where = f"nodes[{len(nodes)}]"
            nodes.append(with_patch(_json_node(node)))
        for number, vertices in topology:
            where = f"topology.edges[{len(edges)}]"
            edge = weights[offset(number, "an edge's number")]
            edges.append(
                Edge(plain_text(edge["label"]), places(vertices, len(nodes)), finite(edge["weight"]))
            )
    except _WRONG as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)[:200]
        raise FormatError(f"{path} is not a JSON export of a hypergraph: {where}: {reason}") from error
    return Hypergraph(nodes, edges)


def _json_node(node: dict[str, Any]) -> Node:
    ((kind, fields),) = node.items()
    if kind == "Trunk":
        return Trunk(plain_text(fields["source_hash"]), offset(fields["total_bytes"], "total_bytes"))
    if kind == "Branch":
        return Branch(plain_text(fields["label"]), plain_text(fields["modality"]))
    if kind != "Leaf":
        raise ValueError(f"a node of kind {kind[:20]!r}")
    label, about = fields.get("label"), fields.get("metadata")
    label = None if label is None else plain_text(label)
    if about is None:
        return Leaf(label)
    start, end = span(about["start_offset"], about["end_offset"])
    extra = about.get("extra")
    return Leaf(label, start, end, finite(about["confidence"]), None if extra is None else json_object(extra))
