"""The graph beside an embeddings file: golden bytes of its code, every schema, round trips, hostile files."""

import json
import math
import sqlite3
import struct
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.store.bincode import Blob, put_float32, put_optional, put_text, put_unsigned, put_unsigneds
from thesphere.store.sidecar import (
    Branch,
    Edge,
    Hypergraph,
    Leaf,
    Trunk,
    read_sidecar,
    sidecar_path,
    write_sidecar,
)

ONE = b"\x00\x00\x80\x3f"  # 1.0

# The code


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, "00"),
        (250, "fa"),
        (251, "fbfb00"),
        (65535, "fbffff"),
        (65536, "fc00000100"),
        (2**32 - 1, "fcffffffff"),
        (2**32, "fd0000000001000000"),
        (2**64 - 1, "fdffffffffffffffff"),
    ],
)
def test_whole_numbers(number: int, encoded: str) -> None:
    assert put_unsigned(number).hex() == encoded
    blob = Blob(bytes.fromhex(encoded))
    assert blob.unsigned() == number
    blob.end()


def test_golden_bytes() -> None:
    assert put_text("né") == b"\x03n\xc3\xa9"
    assert put_optional(None) == b"\0" and put_optional(b"x") == b"\1x"
    assert put_float32(-0.5) == b"\x00\x00\x00\xbf"
    assert put_unsigneds((0, 300)) == b"\x02\x00\xfb\x2c\x01"
    assert Blob(b"\xfe" + b"\x07" + bytes(15)).unsigned() == 7  # 128 bits
    with pytest.raises(OverflowError):
        put_unsigned(2**64)


@pytest.mark.parametrize("encoded", ["", "fb", "fbff", "fcffffff", "fd00", "ff", "fe" + "ff" * 16, "fe00"])
def test_whole_numbers_that_are_none(encoded: str) -> None:
    with pytest.raises(FormatError):
        Blob(bytes.fromhex(encoded)).unsigned()


@given(st.integers(0, 2**64 - 1), st.text(), st.floats(width=32, allow_nan=False, allow_infinity=False))
@settings(max_examples=100, deadline=None)
def test_scalars_round_trip(number: int, text: str, real: float) -> None:
    blob = Blob(put_unsigned(number) + put_text(text) + put_float32(real))
    assert (blob.unsigned(), blob.text(), blob.float32()) == (number, text, real)
    blob.end()


def serde(value: Any) -> bytes:
    """A JSON value as the earlier writer put it into a blob: without types, keys sorted."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return bytes([value])
    if isinstance(value, int):
        return put_unsigned(value if value >= 0 else -2 * value - 1)
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, str):
        return put_text(value)
    if isinstance(value, list):
        return put_unsigned(len(value)) + b"".join(map(serde, value))
    entries = sorted(value.items(), key=lambda entry: entry[0].encode())
    return put_unsigned(len(entries)) + b"".join(put_text(key) + serde(inner) for key, inner in entries)


BOX = {"x1": 0.0, "x2": 1.0, "y1": 0.5, "y2": 2.0}
KNOWN = [
    {},
    {"char": "T"},
    {"char": "\U0001f600", "coherence_score": 12.5},
    {"coherence_score": 0.0, "mean_entropy": 1.25, "patch_index": 0, "patch_length": 1},
    {"coherence_score": None, "mean_entropy": 1.25, "patch_index": 70_000, "patch_length": 300},
    {"column": "images", "index": 0, "kind": "reference", "source": "generic"},
    {"end_col": 1, "end_row": 0, "is_named": True, "language": "c", "node_type": "f", "start_col": 0},
    {"bbox_areas": [1.0, 2.5], "bbox_centroids": [{"cx": 1.0, "cy": 2.0}] * 2, "bbox_count": 2},
    {"bounding_boxes": [BOX, BOX], "source_id": "a", "page": 3},
    {"dimensions": {"height": 1, "width": 2}, "format": "png"},
]


@pytest.mark.parametrize("extra", KNOWN, ids=str)
def test_json_with_known_keys_is_recovered_whole(extra: dict[str, Any]) -> None:
    assert Blob(serde(extra)).json_object() == (extra, True)


def test_json_with_other_keys_is_recovered_as_far_as_it_is_certain() -> None:
    assert Blob(serde({"title": "a long title"})).json_object() == ({"title": "a long title"}, True)
    # One byte could be a number or a truth value, so only its neighbour is certain.
    assert Blob(serde({"char": "T", "zeta": 1})).json_object() == ({"char": "T"}, False)
    assert Blob(serde({"zeta": 7})).json_object() == ({"zeta": 7}, True)
    several = {"count": 700, "scale": 0.1, "title": "x"}
    assert Blob(serde(several)).json_object() == (several, True)
    # A list of texts could be a map from texts to nothing.
    assert Blob(serde({"char": "T", "names": ["a", "b"]})).json_object() == ({"char": "T"}, False)
    assert Blob(b"\x05abc").json_object() == ({}, False)
    assert Blob(serde({"patch_index": 1})[:-1]).json_object() == ({}, False)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", categories=["Lu"]), max_size=4),
        st.recursive(
            st.floats(-9, 9) | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=4,
        )
        | st.none()
        | st.booleans()
        | st.integers(0, 2**64 - 1),
        max_size=3,
    )
)
@settings(max_examples=200, deadline=None)
def test_recovered_json_is_never_wrong(extra: dict[str, Any]) -> None:
    found, complete = Blob(serde(extra)).json_object()
    assert {key: repr(value) for key, value in found.items()}.items() <= {
        key: repr(value) for key, value in extra.items()
    }.items()
    assert not complete or found.keys() == extra.keys()


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_recovering_json_from_anything_ends(data: bytes) -> None:
    found, _ = Blob(data).json_object()
    assert isinstance(found, dict)


def test_recovering_json_is_bounded() -> None:
    deep = b"\x01\x01a" * 5_000
    many = b"\xfb\xff\x03" + b"\x01\x01" * 60_000
    for data in (deep, many, b"\x01" * 100_000, b"\x02\x01a" + bytes(10_000)):
        assert Blob(data).json_object() == ({}, False)


# Schema 2, built as documented: row ids from 1, vertices from 0


def leaf(label: str | None, start: int, end: int, extra: dict[str, Any] | None) -> bytes:
    encoded = None if extra is None else serde(extra)
    metadata = put_unsigned(start) + put_unsigned(end) + ONE + put_optional(encoded)
    return b"\2" + put_optional(None if label is None else put_text(label)) + put_optional(metadata)


def edge(vertices: tuple[int, ...], label: str, weight: bytes = ONE) -> tuple[bytes, bytes]:
    return put_unsigneds(vertices), put_unsigneds(vertices) + put_text(label) + weight


HASH = "9f" * 32
NODES = [
    b"\0" + put_text(HASH) + put_unsigned(300),
    b"\1" + put_text("text_raw") + put_text("text_raw"),
    leaf(
        "patch_0",
        0,
        260,
        {"coherence_score": 2.5, "mean_entropy": 1.0, "patch_index": 0, "patch_length": 260},
    ),
    leaf("patch_1", 260, 300, None),
    b"\2\0\0",
]
EDGES = [
    edge((0, 1), "contains"),
    edge((1, 2), "contains"),
    edge((1, 3), "contains"),
    edge((2, 3), "next"),
    edge((2, 3, 4), "same_source", struct.pack("<f", 0.5)),
]


def database(path: Path, nodes=NODES, edges=EDGES, version: str | None = "2", more: str = "") -> Path:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as base:
        base.executescript(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;"
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
            "CREATE TABLE nodes (id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
            "CREATE TABLE hyperedges (id INTEGER PRIMARY KEY, vertices BLOB NOT NULL, data BLOB NOT NULL);"
        )
        base.executescript(more)
        if version is not None:
            base.execute("INSERT INTO meta VALUES ('schema_version', ?)", (version,))
        base.executemany("INSERT INTO nodes (data) VALUES (?)", [(node,) for node in nodes])
        base.executemany("INSERT INTO hyperedges (vertices, data) VALUES (?, ?)", edges)
        base.commit()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "item ?#%_0.hypergraph.db"


def test_schema_2_with_the_json_that_its_own_loader_could_not_read(path: Path) -> None:
    graph = read_sidecar(database(path))
    assert graph.nodes == [
        Trunk(HASH, 300),
        Branch("text_raw", "text_raw"),
        Leaf(
            "patch_0", 0, 260, patch=0,
            extra={"coherence_score": 2.5, "mean_entropy": 1.0, "patch_index": 0, "patch_length": 260},
        ),
        Leaf("patch_1", 260, 300, patch=1),
        Leaf(),
    ]  # fmt: skip
    assert graph.edges == [
        Edge("contains", (0, 1)),
        Edge("contains", (1, 2)),
        Edge("contains", (1, 3)),
        Edge("next", (2, 3)),
        Edge("same_source", (2, 3, 4), 0.5),
    ]


def test_reading_leaves_nothing_behind(path: Path) -> None:
    before = database(path).read_bytes()
    path.parent.chmod(0o555)
    try:
        read_sidecar(path)
    finally:
        path.parent.chmod(0o755)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_a_file_whose_writer_still_has_a_log_is_read_with_it(path: Path) -> None:
    database(path)
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("INSERT INTO nodes (data) VALUES (?)", (b"\2\1\3new\0",))
        base.commit()
        assert read_sidecar(path).nodes[-1] == Leaf("new")


# Schema 3 of the corpus export: blobs copied, patches and pair edges beside them

SPHERE = (
    "CREATE TABLE sphere_patches"
    " (node_id INTEGER PRIMARY KEY, patch_idx INTEGER NOT NULL, prominence REAL NOT NULL);"
    "CREATE TABLE sphere_edges (id INTEGER PRIMARY KEY, src_patch INTEGER NOT NULL,"
    " dst_patch INTEGER NOT NULL, weight REAL NOT NULL, label TEXT NOT NULL);"
)


def test_schema_3_of_the_corpus_export(path: Path) -> None:
    more = SPHERE + "INSERT INTO sphere_patches VALUES (2, 10, 1.0), (3, 11, 4.5);"
    more += "INSERT INTO sphere_edges VALUES (1, 10, 11, 1.0, 'next');"
    graph = read_sidecar(database(path, version="3", more=more))
    leaves = [(node.patch, node.prominence) for node in graph.nodes if isinstance(node, Leaf)]
    assert leaves == [(10, 1.0), (11, 4.5), (None, 1.0)]
    assert len(graph.edges) == len(EDGES)


def test_schema_3_with_only_the_fast_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.executescript(
            "CREATE TABLE sphere_patches (patch_idx INTEGER, prominence REAL);"
            "CREATE TABLE sphere_edges (src_patch INTEGER, dst_patch INTEGER, weight REAL, label TEXT);"
            "INSERT INTO sphere_patches VALUES (1, 2.0), (0, 3.0);"
            "INSERT INTO sphere_edges VALUES (1, 0, 0.25, 'next');"
        )
    assert read_sidecar(path) == Hypergraph(
        [Leaf("patch_0", patch=0, prominence=3.0), Leaf("patch_1", patch=1, prominence=2.0)],
        [Edge("next", (1, 0), 0.25)],
    )


def test_pair_edges_serve_where_there_are_no_others(path: Path) -> None:
    more = SPHERE + "INSERT INTO sphere_patches VALUES (2, 7, 1), (3, 8, 1);"
    more += "INSERT INTO sphere_edges VALUES (1, 7, 8, 1, 'next');"
    assert read_sidecar(database(path, edges=[], version="3", more=more)).edges == [Edge("next", (2, 3))]


def test_patch_metadata_of_one_document(path: Path) -> None:
    more = "CREATE TABLE patch_metadata (doc_id, node_idx, patch_index, prominence);"
    more += "INSERT INTO patch_metadata VALUES ('a', 3, 5, 2.5);"
    found = read_sidecar(database(path, more=more)).nodes[3]
    assert found == Leaf("patch_1", 260, 300, patch=5, prominence=2.5)
    more += "INSERT INTO patch_metadata VALUES ('b', 3, 5, 2.5);"
    with pytest.raises(FormatError, match="several documents"):
        read_sidecar(database(path, more=more))


# JSON


def export(**change: Any) -> dict[str, Any]:
    extra = {"patch_index": 0, "prominence": 3}
    about = {"start_offset": 0, "end_offset": 4, "confidence": 1.0, "extra": extra}
    content = {
        "nodes": [
            {"Trunk": {"source_hash": HASH, "total_bytes": 4}},
            {"Branch": {"label": "t", "modality": "t"}},
            {"Leaf": {"label": None, "metadata": about}},
            {"Leaf": {"label": "patch_1", "metadata": None}},
        ],
        "edges": [{"label": "next", "weight": 0.5}, {"label": "contains", "weight": 1.0}],
        "topology": {"edges": [[1, [1, 2]], [1, [1, 3]], [0, [2, 3]]]},
        "sharding": None,
        "replication": None,
    }
    return {**content, **change}


def test_json_export(tmp_path: Path) -> None:
    path = tmp_path / "a.hypergraph.json"
    path.write_text(json.dumps(export(), indent=2))
    graph = read_sidecar(path)
    assert graph.nodes == [
        Trunk(HASH, 4),
        Branch("t", "t"),
        Leaf(None, 0, 4, extra={"patch_index": 0, "prominence": 3}, patch=0, prominence=3.0),
        Leaf("patch_1", patch=1),
    ]
    assert graph.edges == [Edge("contains", (1, 2)), Edge("contains", (1, 3)), Edge("next", (2, 3), 0.5)]


@pytest.mark.parametrize(
    "text",
    [
        "{" + '"a":{' * 100_000,
        '{"nodes": ' + "[" * 100_000,
        "{}",
        '{"nodes": [], "edges": [], "topology": {"edges": [[0, [0]]]}}',
        json.dumps(export(topology={"edges": [[0, [4]]]})),
        json.dumps(export(topology={"edges": [[-1, [0]]]})),
        json.dumps(export(topology={"edges": [[0, [True]]]})),
        json.dumps(export(topology={"edges": [[0]]})),
        json.dumps(export(nodes=[{"Root": {}}])),
        json.dumps(export(nodes=[{"Leaf": {}, "Trunk": {}}])),
        json.dumps(export(nodes=["Leaf"])),
        json.dumps(export(nodes=[{"Trunk": {"source_hash": HASH, "total_bytes": 2**63}}])),
        json.dumps(export(nodes=[{"Trunk": {"source_hash": 1, "total_bytes": 1}}])),
        json.dumps(export(edges=[{"label": "next", "weight": math.nan}] * 2)),
        json.dumps(export(edges=[{"label": None, "weight": 1}] * 2)),
        '{"nodes": [{"Trunk": {"source_hash": "", "total_bytes": ' + "9" * 5_000 + "}}]}",
    ],
    ids=range(16),
)
def test_broken_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.hypergraph.json"
    path.write_text(text)
    with pytest.raises(FormatError, match="a.hypergraph.json"):
        read_sidecar(path)


# Writing

real32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
sizes = st.integers(0, 2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | real32 | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def leaves(draw: st.DrawFn) -> Leaf:
    placed = draw(st.booleans())
    start, end = sorted((draw(sizes), draw(sizes)))
    patch = draw(st.none() | sizes)
    return Leaf(
        label=draw(st.none() | st.text(max_size=6)),
        start=start if placed else None,
        end=end if placed else None,
        confidence=draw(real32) if placed else 1.0,
        extra=draw(st.none() | st.dictionaries(st.text(max_size=3), json_values, max_size=3)),
        patch=patch,
        prominence=draw(st.floats(0, 1e300)) if patch is not None else 1.0,
    )


@st.composite
def graphs(draw: st.DrawFn) -> Hypergraph:
    trunks = st.builds(Trunk, st.text(max_size=5), sizes)
    branches = st.builds(Branch, st.text(max_size=5), st.text(max_size=5))
    nodes = draw(st.lists(trunks | branches | leaves(), max_size=8))
    vertices = st.lists(st.integers(0, max(0, len(nodes) - 1)), max_size=4 if nodes else 0).map(tuple)
    edges = st.lists(st.builds(Edge, st.text(max_size=5), vertices, real32), max_size=6)
    return Hypergraph(nodes, draw(edges))


@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_what_is_written_is_read(tmp_path_factory, graph: Hypergraph) -> None:
    path = tmp_path_factory.mktemp("written") / "x.hypergraph.db"
    write_sidecar(path, graph)
    assert read_sidecar(path) == graph
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_written_file_fits_the_older_readers(path: Path) -> None:
    """The statements of the earlier loaders: blobs hold no JSON, ids count from 1, vertices from 0."""
    extra = {"patch_index": 0}
    nodes = [Trunk(HASH, 9), Branch("t", "t"), Leaf("patch_0", 0, 4, 1.0, extra, patch=0, prominence=2.0)]
    nodes.append(Leaf("patch_1", 4, 9, patch=1))
    edges = [Edge("contains", (1, 2)), Edge("next", (2, 3), 0.5), Edge("same_source", (2, 3, 0))]
    write_sidecar(path, Hypergraph(nodes, edges))
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("SELECT value FROM meta WHERE key='schema_version'").fetchall() == [("3",)]
        stored = base.execute("SELECT id, data FROM nodes ORDER BY id ASC").fetchall()
        assert stored == [
            (1, b"\0" + put_text(HASH) + b"\x09"),
            (2, b"\1\1t\1t"),
            (3, b"\2\1\7patch_0\1\0\4" + ONE + b"\0"),
            (4, b"\2\1\7patch_1\1\4\x09" + ONE + b"\0"),
        ]
        found = base.execute("SELECT vertices, data FROM hyperedges ORDER BY id ASC").fetchall()
        assert found[1] == (b"\2\2\3", b"\2\2\3\4next\0\0\0\x3f")
        patches = base.execute("SELECT node_id, patch_idx, prominence FROM sphere_patches").fetchall()
        assert patches == [(2, 0, 2.0), (3, 1, 1.0)]
        pairs = base.execute("SELECT src_patch, dst_patch, weight, label FROM sphere_edges").fetchall()
        assert pairs == [(0, 1, 0.5, "next")]
        kept = base.execute("SELECT json_extract(extra, '$.patch_index') FROM nodes").fetchall()
        assert kept == [(None,), (None,), (0,), (None,)]
    assert read_sidecar(path) == Hypergraph(nodes, edges)


def test_a_graph_that_was_read_can_be_written(path: Path) -> None:
    graph = read_sidecar(database(path))
    write_sidecar(path, graph)
    assert read_sidecar(path) == graph


@pytest.mark.parametrize(
    "graph",
    [
        Hypergraph([Trunk("x", -1)]),
        Hypergraph([Trunk("x", 2**63)]),
        Hypergraph([Trunk("\ud800", 1)]),
        Hypergraph([Branch(None, "t")]),
        Hypergraph(["leaf"]),
        Hypergraph([Leaf(start=1)]),
        Hypergraph([Leaf(start=2, end=1)]),
        Hypergraph([Leaf(confidence=0.5)]),
        Hypergraph([Leaf(start=0, end=1, confidence=math.nan)]),
        Hypergraph([Leaf(start=0, end=1, confidence=1e39)]),
        Hypergraph([Leaf(prominence=2.0)]),
        Hypergraph([Leaf(patch=0, prominence=-1.0)]),
        Hypergraph([Leaf(patch=0.5)]),
        Hypergraph([Leaf(extra={"a": math.inf})]),
        Hypergraph([Leaf(extra={"a": object()})]),
        Hypergraph([Leaf(extra=[1])]),
        Hypergraph([Leaf()], [Edge("next", (0, 1))]),
        Hypergraph([Leaf()], [Edge("next", (0, -1))]),
        Hypergraph([Leaf()], [Edge("next", (0,), math.inf)]),
    ],
    ids=range(19),
)
def test_what_cannot_be_written(path: Path, graph: Hypergraph) -> None:
    with pytest.raises(InputError, match="cannot write"):
        write_sidecar(path, graph)
    assert not path.exists()


def test_writing_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        write_sidecar(tmp_path / "none" / "x.hypergraph.db", Hypergraph())


# Hostile files


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ([b""], [], "nodes row 1"),
        ([b"\3"], [], "node kind 3"),
        ([b"\xfd" + b"\xff" * 8], [], "node kind"),
        ([NODES[0], b"\0\xfd" + b"\xff" * 7 + b"\x7f"], [], "nodes row 2: .* bytes were expected"),
        ([b"\0\3\xff\xff\xff\0"], [], "UTF-8"),
        ([NODES[0] + b"x"], [], "1 bytes follow"),
        ([NODES[0][:-1]], [], "bytes were expected"),
        ([b"\2\2"], [], "0 or 1 was expected"),
        ([leaf("x", 5, 4, None)], [], "behind its end"),
        ([b"\2\0\1\0\0" + struct.pack("<f", math.nan) + b"\0"], [], "finite"),
        (["text"], [], "nodes row 1 is str"),
        ([1], [], "nodes row 1 is int"),
        (NODES, [edge((0, 5), "next")], "names node 5; there are 5"),
        (NODES, [edge((0, 2**63), "next")], "too large"),
        (NODES, [(b"\xfd" + b"\xff" * 8, b"\xfd" + b"\xff" * 8)], "a list of .* was announced"),
        (NODES, [(put_unsigneds((0, 1)), edge((0, 2), "next")[1])], "different vertices"),
        (NODES, [edge((0, 1), "next", struct.pack("<f", math.inf))], "finite"),
        (NODES, [edge((0, 1), "next", b"\0\0")], "4 bytes were expected"),
    ],
)
def test_hostile_blobs(path: Path, nodes: list, edges: list, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_sidecar(database(path, nodes, edges))
    assert str(path) in str(caught.value)


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
PATCHES = "CREATE TABLE sphere_patches (node_id, patch_idx, prominence); INSERT INTO sphere_patches VALUES "
PAIRS = "CREATE TABLE sphere_edges (src_patch, dst_patch, weight, label); INSERT INTO sphere_edges VALUES "
VERSION = "CREATE TABLE nodes (data); CREATE TABLE meta (key, value); INSERT INTO meta VALUES "
COMPUTED = "CREATE TABLE nodes (id INTEGER PRIMARY KEY, data BLOB AS (zeroblob(900000000)));"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("CREATE TABLE other (x);", "neither a table nodes"),
        (f"CREATE VIEW nodes AS {ENDLESS} SELECT x AS data FROM c;", "nodes is not an ordinary table"),
        ("CREATE TABLE nodes (id INTEGER PRIMARY KEY); INSERT INTO nodes VALUES (1);", "no column data"),
        (COMPUTED + "INSERT INTO nodes (id) VALUES (1);", "no column data"),
        ("CREATE TABLE nodes (id TEXT PRIMARY KEY, data) WITHOUT ROWID;", "not a readable SQLite file"),
        (VERSION + "('schema_version', '4');", "schema_version is '4'"),
        (PATCHES + "(0, -1, 1);", "a number is -1"),
        (PATCHES + "(0, 1, 9e999);", "inf was found"),
        (PATCHES + "(0, 1, 'x');", "x was found"),
        (PATCHES + "(0, 0, 1); CREATE TABLE nodes (data);", "no leaf among 0 nodes"),
        ("CREATE TABLE sphere_patches (patch_idx);", "no column prominence"),
        (PATCHES + "(0, 0, 1);" + PAIRS + "(0, 1, 1, 'next');", "one has no leaf"),
        (PATCHES + "(0, 0, 1);" + PAIRS + "(0, 0, 1, x'00ff');", "where text was expected"),
        (PATCHES + "(0, 0, 1);" + PAIRS + "(0, 0, NULL, 'next');", "where a finite number was expected"),
    ],
    ids=range(14),
)
def test_hostile_schemas(path: Path, script: str, message: str) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.executescript(script)
    with pytest.raises(FormatError, match=message) as caught:
        read_sidecar(path)
    assert str(path) in str(caught.value)


def test_an_extra_must_be_a_leafs_json_object(path: Path) -> None:
    for text in ("[1]", '{"a": NaN}', "{", "[" * 100_000, b"{}"):
        write_sidecar(path, Hypergraph([Leaf(extra={})]))
        with closing(sqlite3.connect(path)) as base:
            base.execute("UPDATE nodes SET extra = ?", (text,))
            base.commit()
        with pytest.raises(FormatError, match="nodes row 1"):
            read_sidecar(path)
    write_sidecar(path, Hypergraph([Branch("a", "b")]))
    with closing(sqlite3.connect(path)) as base:
        base.execute("UPDATE nodes SET extra = '{}'")
        base.commit()
    with pytest.raises(FormatError, match="no leaf"):
        read_sidecar(path)


def test_files_that_are_something_else(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_sidecar(tmp_path / "none.hypergraph.db")
    others = {"empty": b"", "text": b"hello", "head": b"SQLite format 3\0", "list": b"[]"}
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=name):
            read_sidecar(tmp_path / name)
    with pytest.raises(FormatError):
        read_sidecar(tmp_path)


def test_pages_that_point_in_a_circle(path: Path) -> None:
    """An interior page of the nodes' tree whose cells lead back to it."""
    nodes = [b"\2\1\x3c" + bytes([97 + n % 26]) * 60 + b"\0" for n in range(3_000)]
    data = bytearray(database(path, nodes, []).read_bytes())
    size = int.from_bytes(data[16:18], "big")
    with closing(sqlite3.connect(path)) as base:
        (root,) = base.execute("SELECT rootpage FROM sqlite_master WHERE name = 'nodes'").fetchone()
    page = (root - 1) * size
    assert data[page] == 5  # interior
    cells = int.from_bytes(data[page + 3 : page + 5], "big")
    for cell in range(cells):
        at = page + int.from_bytes(data[page + 12 + 2 * cell : page + 14 + 2 * cell], "big")
        data[at : at + 4] = root.to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(FormatError):
        read_sidecar(path)


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_a_damaged_database_is_read_or_refused(tmp_path_factory, data) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole, path = folder / "whole.hypergraph.db", folder / "damaged.hypergraph.db"
    if not whole.exists():
        write_sidecar(whole, GRAPH)
    content = bytearray(whole.read_bytes())
    used = [at for at, value in enumerate(content) if value]
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.sampled_from(used))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: len(content) - data.draw(st.sampled_from([0, 0, 0, 1, 4096]))])
    try:
        found = read_sidecar(path)
    except FormatError as error:
        assert str(path) in str(error)
    else:
        assert all(vertex < len(found.nodes) for edge in found.edges for vertex in edge.vertices)


@settings(max_examples=250, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=3), st.lists(st.binary(max_size=20), max_size=2))
def test_any_blobs_are_read_or_refused(tmp_path_factory, nodes: list[bytes], edges: list[bytes]) -> None:
    path = database(
        tmp_path_factory.getbasetemp() / "blobs.hypergraph.db",
        [bytes([number % 3]) + blob for number, blob in enumerate(nodes)],
        [(blob, blob) for blob in edges],
    )
    try:
        assert len(read_sidecar(path).nodes) == len(nodes)
    except FormatError as error:
        assert str(path) in str(error)


GRAPH = Hypergraph(
    [
        Trunk(HASH, 9),
        Branch("t", "t"),
        Leaf("patch_0", 0, 4, extra={"a": [1]}, patch=0),
        Leaf("x", 4, 9, patch=1),
    ],
    [Edge("contains", (1, 2)), Edge("next", (2, 3))],
)


# Names


def test_sidecar_path(tmp_path: Path) -> None:
    def touch(*names: str) -> None:
        for name in names:
            (tmp_path / name).touch()

    def found(name: str) -> str:
        return sidecar_path(tmp_path / name).name

    assert found("a.safetensors") == "a.hypergraph.db"
    assert found("v1.5.safetensors") == "v1.5.hypergraph.db"
    touch("v1.hypergraph.db")  # what the earlier writer made of "v1.5"
    assert found("v1.5.safetensors") == "v1.hypergraph.db"
    touch("v1.5.safetensors")
    assert found("v1.5.safetensors") == "v1.hypergraph.db"
    touch("v1.7.safetensors")  # now it could be either's
    assert found("v1.5.safetensors") == "v1.5.hypergraph.db"
    touch("v1.5.hypergraph.json")
    assert found("v1.5.safetensors") == "v1.5.hypergraph.json"
    touch("v1.5.hypergraph.db")
    assert found("v1.5.safetensors") == "v1.5.hypergraph.db"
    assert found("item_9_part_2.safetensors") == "item_9_part_2.hypergraph.db"
    touch("item_9.hypergraph.db")
    assert found("item_9_part_2.safetensors") == "item_9.hypergraph.db"
    assert sidecar_path(str(tmp_path / "plain")).name == "plain.hypergraph.db"


def test_checksum_of_the_tables_is_stable(path: Path) -> None:
    """The same graph gives the same file, so that exports can be compared."""
    sums = set()
    for _ in range(2):
        write_sidecar(path, GRAPH)
        sums.add(zlib.crc32(path.read_bytes()))
    assert len(sums) == 1
