"""Embeddings from outside: every layout in, every point out again, and what must be refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.scan import Metric
from thesphere.sphere import Sphere
from thesphere.store.hypergraph import Branch, Edge, Hypergraph, Leaf, Trunk
from thesphere.store.interchange import read_interchange
from thesphere.store.sidecar import read_sidecar, write_sidecar
from thesphere.store.tensors import map_tensors
from thesphere.types import Points

D = 6
TEXTS = [
    b"the signing keys rotate\n",
    b"a red door\n",
    b"",
    "naïve schöne Füchse\n".encode(),
    b"keys of a red fox\n",
]
N = len(TEXTS)
LENGTHS = np.array([len(text) for text in TEXTS], np.int32)
DATA = np.frombuffer(b"".join(TEXTS), np.uint8)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(0.0, 3.0, shape).astype(np.float32)


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    return np.abs(random(*shape, seed=seed))


def save(path: Path, arrays: dict[str, np.ndarray], **metadata: str) -> Path:
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, path, metadata or None)
    return path


def v3(seed: int = 0, **change: np.ndarray | None) -> dict[str, np.ndarray]:
    arrays = {
        "embeddings": random(N, D, seed=seed),
        "prominence": positive(N, seed=seed + 1),
        "patch_entropies": positive(N, seed=seed + 2),
        "bytes": DATA,
        "patch_lengths": LENGTHS,
    }
    return {key: array for key, array in {**arrays, **change}.items() if array is not None}


def batched() -> dict[str, np.ndarray]:
    total = len(DATA)
    starts = np.array([0, 5, 6, 40], np.int32)
    mask = np.zeros((1, total), np.int32)
    mask[0, starts] = 1
    return {
        "embeddings": random(1, total, D),
        "prominence": positive(1, total),
        "entropies": positive(1, total, seed=1),
        "coherence_scores": positive(1, total, seed=2),
        "patch_indices": starts,
        "patch_mask": mask,
    }


def hf() -> dict[str, np.ndarray]:
    arrays = {key: array for key, array in batched().items() if key != "patch_mask"}
    lengths = np.diff(arrays["patch_indices"], append=len(DATA)).astype(np.int32)
    return {**arrays, "tokens": DATA[None].astype(np.int32) + 4, "patch_lengths": lengths}


def l0() -> dict[str, np.ndarray]:
    return {key: batched()[key] for key in ("embeddings", "prominence", "patch_mask")}


def offsets() -> dict[str, np.ndarray]:
    ends = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    return {"embeddings": random(N, D), "prominence": positive(N), "bytes_offsets": ends, "bytes_data": DATA}


LAYOUTS = {
    "v3": v3(),
    "v3 without bytes": v3(bytes=None, patch_lengths=None),
    "batched": batched(),
    "hf": hf(),
    "l0": l0(),
    "offsets": offsets(),
    "plain": {"embeddings": random(N, D)},
}


@pytest.fixture
def sphere(tmp_path: Path) -> Sphere:
    return Sphere.create(tmp_path / "arrays.sphere", encoder="arrays")


def brute(points: Points, query: np.ndarray, k: int, metric: Metric) -> list[tuple[float, str, int]]:
    rows, vector = points.embeddings.astype(np.float64), query.astype(np.float64)
    scores = rows @ vector
    if metric == "cosine":
        norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
        scores = np.divide(scores, norms, out=np.zeros(len(rows)), where=norms > 0)
    names = [points.names[source] for source in points.sources]
    order = sorted(range(len(rows)), key=lambda i: (-scores[i], names[i], points.starts[i]))
    return [(float(scores[i]), names[i], int(points.starts[i])) for i in order[:k]]


def check_answers(sphere: Sphere, width: int = D) -> None:
    """Vector answers equal float64 brute force and are proved."""
    points = sphere.points()
    metrics: list[Metric] = ["cosine", "ip"]
    for metric in metrics:
        for query in (random(width, seed=9), points.embeddings[-1]):
            hits = sphere.search(vector=query, k=4, metric=metric, exact=True)
            truth = brute(points, query, 4, metric)
            assert hits.status == "exact"
            assert [(hit.source, hit.start) for hit in hits] == [(name, start) for _, name, start in truth]
            np.testing.assert_allclose(
                [hit.score for hit in hits], [score for score, *_ in truth], rtol=1e-12
            )
            sphere.prove(hits)


def as_rows(points: Points) -> list[tuple]:
    """The points without their order, every number to the last bit."""
    return sorted(
        (
            points.names[points.sources[i]],
            int(points.starts[i]),
            int(points.ends[i]),
            points.embeddings[i].tobytes(),
            points.prominence[i].tobytes(),
            points.entropies[i].tobytes(),
        )
        for i in range(len(points.starts))
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_imports_and_answers_exactly(layout: str, sphere: Sphere, tmp_path: Path) -> None:
    path = save(tmp_path / "made.elsewhere.safetensors", LAYOUTS[layout])
    report = sphere.import_file(path)
    assert (report.added, report.skipped) == (1, [])
    content, points = read_interchange(path), sphere.points()
    np.testing.assert_array_equal(points.embeddings, content.embeddings)
    np.testing.assert_array_equal(points.prominence, content.prominence)
    if content.entropies is None:
        assert np.isnan(points.entropies).all()
    else:
        np.testing.assert_array_equal(points.entropies, content.entropies)
    assert (points.unit, points.names) == ("row", [path.name])
    check_answers(sphere)
    assert sphere.verify() == []
    if content.data is None or content.lengths is None:
        np.testing.assert_array_equal(points.starts, np.arange(len(points)))
        np.testing.assert_array_equal(points.ends, np.arange(len(points)) + 1)
    else:
        np.testing.assert_array_equal(points.starts, content.starts)
        np.testing.assert_array_equal(points.ends, content.ends)
        hits = sphere.search("red fox")
        assert hits and "red" in hits[0].text
        sphere.prove(hits)


def test_hits_of_vectors_carry_the_bytes_and_signals_of_their_row(sphere: Sphere) -> None:
    rows, entropies = random(N, D), np.array([1, np.nan, 2, 3, 4], np.float32)
    sphere.import_arrays(rows, prominence=np.arange(N), entropies=entropies, data=TEXTS, name="five")
    ends = np.cumsum(LENGTHS)
    for row in range(N):
        (hit,) = sphere.search(vector=rows[row], k=1)
        assert (hit.source, hit.start, hit.end) == ("five", ends[row] - LENGTHS[row], ends[row])
        assert (hit.data, hit.prominence, hit.point) == (TEXTS[row], row, row)
        assert hit.line == b"".join(TEXTS[:row]).count(b"\n") + 1
        np.testing.assert_equal(np.float32(hit.entropy), entropies[row])


def test_text_and_bytes_are_found_in_imported_rows(sphere: Sphere) -> None:
    sphere.import_arrays(random(N, D), data=TEXTS)
    hits = sphere.search("rotate signing keys")
    assert hits[0].data == TEXTS[0]
    sphere.prove(hits)
    found = sphere.search(contains="schön".encode())
    at = b"".join(TEXTS).index("schön".encode())
    assert [(hit.start, hit.end) for hit in found] == [(at, at + 6)]
    sphere.prove(found)
    with pytest.raises(InputError, match="from outside"):
        sphere.search("keys", vectors=True)


def test_patches_are_joined_to_passages_for_text_and_stay_points_for_vectors(
    sphere: Sphere, tmp_path: Path
) -> None:
    sphere.import_file(save(tmp_path / "a.safetensors", v3()))
    (hit,) = sphere.search("signing keys")
    assert (hit.start, hit.end) == (0, len(DATA))
    (hit,) = sphere.search(vector=v3()["embeddings"][1], k=1)
    assert hit.data == TEXTS[1]


def test_many_rows_make_many_windows_and_no_row_is_cut(sphere: Sphere) -> None:
    texts = [
        f"row {i} is about {'pears' if i == 1234 else 'apples'} {'x' * (i % 90)}\n".encode()
        for i in range(2000)
    ]
    rows = random(len(texts), D)
    sphere.import_arrays(rows, data=texts)
    windows = sphere.info()["windows"]
    assert isinstance(windows, int) and windows == pytest.approx(sum(map(len, texts)) / 8192, abs=2)
    hits = sphere.search("pears", k=3)
    assert hits[0].data == texts[1234]
    sphere.prove(hits)
    check_answers(sphere)


def test_an_import_that_is_larger_than_a_part_is_one_source_in_several(
    sphere: Sphere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thesphere.sphere.batch.PART_ROW_BYTES", 600 * D * 4)
    bare, texts = random(20_000, D), [f"row {i}\n".encode() for i in range(4000)]
    sphere.import_arrays(bare, name="bare")
    sphere.import_arrays(random(4000, D, seed=1), data=texts, name="texts")
    info = sphere.info()
    assert isinstance(info["parts"], int) and info["parts"] > 4 and info["sources"] == 2
    points = sphere.points()
    assert points.names == ["bare", "texts"]
    np.testing.assert_array_equal(points.embeddings[:20_000], bare)
    np.testing.assert_array_equal(points.starts[:20_000], np.arange(20_000))
    check_answers(sphere)
    (hit,) = sphere.search(vector=points.embeddings[23_333], k=1)
    assert hit.data == texts[3333]
    before = as_rows(points)
    monkeypatch.undo()
    sphere.compact()
    assert sphere.info()["parts"] == 1 and as_rows(sphere.points()) == before
    (hit,) = sphere.search(contains=b"row 3999\n")
    assert hit.line == 4000


def test_unchanged_is_skipped_changed_is_replaced(sphere: Sphere, tmp_path: Path) -> None:
    path = save(tmp_path / "a.safetensors", v3())
    assert sphere.import_file(path).added == 1
    generation = sphere.info()["generation"]
    assert sphere.import_file(path).unchanged == 1
    assert sphere.info()["generation"] == generation
    save(path, v3(seed=5))
    assert sphere.import_file(path).replaced == 1
    np.testing.assert_array_equal(sphere.points().embeddings, v3(seed=5)["embeddings"])
    copy = save(tmp_path / "b.safetensors", v3(seed=5))
    assert sphere.import_file(copy).duplicates == 1
    assert len(sphere.points()) == N
    assert sphere.search("red fox")[0].paths == ("a.safetensors", "b.safetensors")
    assert sphere.remove("a.safetensors") == 1
    assert sphere.points().names == ["b.safetensors"]
    assert sphere.import_file(copy, name="another").duplicates == 1
    assert sphere.points().names == ["another"]


def test_remove_and_compact_keep_rows_prominence_and_entropies(sphere: Sphere, tmp_path: Path) -> None:
    sphere.import_file(save(tmp_path / "a.safetensors", v3()))
    entropies = np.where(np.arange(N) % 2, np.nan, np.float32(0.3))
    sphere.import_arrays(
        random(N, D, seed=3) * 1e18, prominence=positive(N), entropies=entropies, name="huge"
    )
    sphere.import_arrays(random(N, D, seed=4) * 1e-18, data=TEXTS[::-1], name="tiny")
    before = [row for row in as_rows(sphere.points()) if row[0] != "huge"]
    sphere.remove("huge")
    assert as_rows(sphere.points()) == before
    sphere.import_arrays(
        random(N, D, seed=3) * 1e18, prominence=positive(N), entropies=entropies, name="huge"
    )
    before = as_rows(sphere.points())
    sphere.compact()
    assert sphere.info()["parts"] == 1 and sphere.verify() == []
    assert as_rows(sphere.points()) == before
    check_answers(sphere)
    sphere.prove(sphere.search("red fox"))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), order=st.permutations(range(3)), compacted=st.booleans())
def test_the_order_of_imports_changes_nothing(
    seed: int, order: list[int], compacted: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(seed)
    sets = [rng.integers(-1, 2, (4, 3)).astype(np.float32) for _ in range(3)]  # many equal scores
    answers = []
    for sequence in (range(3), order):
        sphere = Sphere.create(tmp_path_factory.mktemp("order") / "a.sphere", encoder="arrays")
        for each in sequence:
            sphere.import_arrays(sets[each], data=TEXTS[:4], name=f"set {each}")
        if compacted:
            sphere.compact()
        hits = [sphere.search(vector=np.ones(3), k=5), sphere.search("red keys", k=5)]
        for each in hits:
            sphere.prove(each)
        answers.append([[(hit.source, hit.start, hit.score) for hit in each] for each in hits])
        sphere.close()
    assert answers[0] == answers[1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_import_export_import_gives_the_same_points(layout: str, sphere: Sphere, tmp_path: Path) -> None:
    sphere.import_file(save(tmp_path / "in.safetensors", LAYOUTS[layout]))
    out = tmp_path / "out.safetensors"
    sphere.export_file(out)
    content = read_interchange(out)
    assert content.unit == read_interchange(tmp_path / "in.safetensors").unit
    assert content.prominence_kind == ("norm" if layout == "plain" else "declared")
    with Sphere.create(tmp_path / "again.sphere", encoder="arrays") as again:
        assert again.import_file(out).added == 1
        assert as_rows(again.points()) == as_rows(sphere.points())
        again.export_file(tmp_path / "third.safetensors")
    (arrays, metadata), (first, told) = map_tensors(tmp_path / "third.safetensors"), map_tensors(out)
    assert metadata == told and set(arrays) == set(first)
    assert all(np.array_equal(arrays[key], first[key]) for key in first)


def test_an_export_of_ingested_files_becomes_the_same_sources(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"".join(TEXTS) * 300)
    (folder / "b.txt").write_text("Über schöne Füchse.\n" * 9, encoding="utf-16")
    (folder / "c.txt").write_bytes(b"one door is red")
    (folder / "copy.txt").write_bytes(b"one door is red")
    made = Sphere.create(tmp_path / "made.sphere", encoder="lsa")  # vectors of arrays join no text either
    made.ingest(folder)
    out = tmp_path / "out.safetensors"
    made.export_file(out)
    again = Sphere.create(tmp_path / "again.sphere", encoder="arrays")
    assert again.import_file(out).added == 3
    assert again.import_file(out).unchanged == 4
    assert as_rows(again.points()) == as_rows(made.points())
    for query in ("red door", "schöne Füchse", "signing keys"):
        first, second = made.search(query), again.search(query)
        assert [(h.source, h.start, h.end, h.data, h.line, h.score, h.paths) for h in first] == [
            (h.source, h.start, h.end, h.data, h.line, h.score, h.paths) for h in second
        ]
        again.prove(second)
    (folder / "c.txt").unlink()
    (folder / "copy.txt").unlink()
    made.remove("files/c.txt", "files/copy.txt")
    made.export_file(out)
    report = again.import_file(out)
    assert (report.unchanged, report.added) == (2, 0)
    assert as_rows(again.points()) == as_rows(made.points())
    assert again.remove(str(out)) == 2


def test_points_that_are_patches_are_exported_as_patches(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"".join(TEXTS) * 3)
    made = Sphere.create(tmp_path / "made.sphere", points="patch")
    made.ingest(tmp_path / "a.txt")
    made.export_file(tmp_path / "out.safetensors")
    content = read_interchange(tmp_path / "out.safetensors")
    assert content.unit == "patch" and content.lengths is not None
    assert int(content.lengths.sum()) == 3 * len(DATA)
    again = Sphere.create(tmp_path / "again.sphere", encoder="arrays")
    again.import_file(tmp_path / "out.safetensors")
    assert as_rows(again.points()) == as_rows(made.points())


def test_the_export_says_what_it_is(sphere: Sphere, tmp_path: Path) -> None:
    sphere.import_file(save(tmp_path / "in.safetensors", v3(), encoder="their-model"), name="given")
    sphere.export_file(tmp_path / "out.safetensors")
    metadata = read_interchange(tmp_path / "out.safetensors").metadata
    assert (metadata["format"], metadata["unit"], metadata["encoder"]) == (
        "blt_patches_v3",
        "patch",
        "their-model",
    )
    (source,) = json.loads(metadata["thesphere.sources"])
    assert (source["names"], source["rows"], source["bytes"]) == (["given"], N, len(DATA))
    graph = read_sidecar(tmp_path / "out.hypergraph.db")
    leaves = [node for node in graph.nodes if isinstance(node, Leaf)]
    assert [leaf.patch for leaf in leaves] == list(range(N))
    assert [leaf.label for leaf in leaves] == [f"patch_{row}" for row in range(N)]
    prominence = np.array([leaf.prominence for leaf in leaves], np.float32)
    np.testing.assert_array_equal(prominence, v3()["prominence"])
    assert [(leaf.start, leaf.end) for leaf in leaves][1] == (LENGTHS[0], LENGTHS[0] + LENGTHS[1])
    sphere.export_file(tmp_path / "alone.safetensors", sidecar=False)
    assert not (tmp_path / "alone.hypergraph.db").exists()


def test_entropies_that_are_not_all_known_are_left_out_of_the_export(sphere: Sphere, tmp_path: Path) -> None:
    sphere.import_arrays(random(2, D), entropies=np.array([1.0, np.nan]))
    sphere.export_file(tmp_path / "out.safetensors")
    assert "patch_entropies" not in load_file(tmp_path / "out.safetensors")


def test_the_hypergraph_of_ingested_files_tiles_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"".join(TEXTS) * 30)
    (tmp_path / "b.txt").write_text("Über schöne Füchse und rote Türen.\n" * 30, encoding="utf-16")
    with Sphere.create(tmp_path / "made.sphere") as sphere:
        sphere.ingest(tmp_path / "a.txt", tmp_path / "b.txt")
        graph = sphere.hypergraph()
        assert sum(isinstance(node, Trunk) for node in graph.nodes) == 2
        with pytest.raises(NotFoundError, match="no source"):
            sphere.hypergraph("c.txt")
        for name in ("a.txt", "b.txt"):
            data = (tmp_path / name).read_bytes()
            graph = sphere.hypergraph(name)
            trunk, branch, *leaves = graph.nodes
            assert isinstance(trunk, Trunk) and trunk.total_bytes == len(data)
            assert branch == Branch(name, "text")
            at = 0
            for number, leaf in enumerate(leaves):
                assert isinstance(leaf, Leaf) and leaf.extra is not None and leaf.end is not None
                assert (leaf.label, leaf.start) == (f"patch_{number}", at)
                at = leaf.end
                assert {"passage", "entropy"} == set(leaf.extra)
            assert at == len(data) and len(leaves) > len(data) / 100
            passages = [leaf.extra["passage"] for leaf in leaves if isinstance(leaf, Leaf) and leaf.extra]
            assert passages == sorted(passages) and set(passages) == set(range(passages[-1] + 1))
            assert passages[-1] + 1 == sum(sphere.points().sources == sphere.points().names.index(name))
            places = range(2, len(graph.nodes))
            assert set(graph.edges) == {
                Edge("contains", (0, 1)),
                *(Edge("contains", (1, place)) for place in places),
                *(Edge("next", (place - 1, place)) for place in places[1:]),
                Edge("same_source", tuple(places)),
            }
        write_sidecar(tmp_path / "whole.hypergraph.db", sphere.hypergraph())
        assert len(read_sidecar(tmp_path / "whole.hypergraph.db").edges) == len(sphere.hypergraph().edges)


def test_a_sidecar_gives_modality_and_hash_and_a_broken_one_is_told(sphere: Sphere, tmp_path: Path) -> None:
    path, beside = save(tmp_path / "in.safetensors", v3()), tmp_path / "in.hypergraph.db"
    write_sidecar(beside, Hypergraph([Trunk("ab" * 32, 99), Branch("audio", "audio"), Leaf("patch_0")]))
    assert sphere.import_file(path).skipped == []
    assert sphere.search("red fox")[0].modality == "audio"
    trunk, *_ = sphere.hypergraph("in.safetensors").nodes
    assert trunk == Trunk("ab" * 32, len(DATA))
    beside.write_bytes(b"SQLite format 3\0 and nothing of it")
    report = sphere.import_file(path)
    assert [skipped.name for skipped in report.skipped] == ["in.hypergraph.db"]
    assert sphere.search("red fox")[0].modality == "text"


def test_bytes_behind_the_last_row_are_told(sphere: Sphere, tmp_path: Path) -> None:
    more = np.concatenate([DATA, np.full(7, 65, np.uint8)])
    report = sphere.import_file(save(tmp_path / "in.safetensors", v3(bytes=more)))
    assert "7 bytes behind the last row" in report.skipped[0].reason
    assert sphere.points().ends[-1] == len(DATA)


def test_patches_without_embeddings_are_text_in_a_collection_of_their_own(
    sphere: Sphere, tmp_path: Path
) -> None:
    path = save(tmp_path / "v2.safetensors", v3(embeddings=None, prominence=None, patch_entropies=None))
    assert sphere.import_file(path).added == 1
    assert sphere.search("signing keys")[0].source == "v2.safetensors"
    sphere.compact()
    assert sphere.search(contains=b"red fox") and sphere.verify() == []
    with pytest.raises(InputError, match="no vectors"):
        sphere.search(vector=random(D))
    with pytest.raises(InputError, match="no embeddings to export"):
        sphere.export_file(tmp_path / "out.safetensors")
    with pytest.raises(InputError, match=f"has no embeddings, the import has embeddings {D} wide"):
        sphere.import_arrays(random(N, D))
    with Sphere.create(tmp_path / "other.sphere", encoder="arrays") as other:
        other.import_arrays(random(N, D))
        with pytest.raises(InputError, match=f"embeddings {D} wide, the import has no embeddings"):
            other.import_file(path)


def test_a_collection_takes_one_width_and_only_imports(sphere: Sphere, tmp_path: Path) -> None:
    sphere.import_arrays(random(N, D), name="first")
    generation = sphere.info()["generation"]
    with pytest.raises(InputError, match=f"{D} wide, the import has embeddings {D + 1} wide"):
        sphere.import_arrays(random(N, D + 1), name="second")
    with pytest.raises(InputError, match="imported embeddings"):
        sphere.ingest(tmp_path)
    assert sphere.info()["generation"] == generation and len(sphere.points()) == N
    sphere.remove("first")
    sphere.import_arrays(random(N, D + 1), name="second")
    check_answers(sphere, D + 1)
    with Sphere.create(tmp_path / "lsa.sphere") as other:
        with pytest.raises(InputError, match="encoder='arrays'"):
            other.import_arrays(random(N, D))
        with pytest.raises(InputError, match="no embeddings to export"):
            other.export_file(tmp_path / "out.safetensors")


SOURCE = {
    "names": ["a"],
    "title": "",
    "modality": "text",
    "encoding": "utf-8",
    "rows": N,
    "bytes": len(DATA),
    "origin": {"unit": "patch", "prominence": "declared"},
}
WRONG_SOURCES = (
    *({"rows": N - 1}, {"rows": True}, {"rows": -1}, {"rows": "5"}, {"title": None}, {"modality": 7}),
    *({"names": []}, {"names": "a"}, {"names": ["\ud800"]}, {"names": [1]}, {"names": None}, {"names": [""]}),
    *({"encoding": "hex"}, {"encoding": "../x"}, {"encoding": "cp99999"}, {"encoding": "utf-8\n"}),
    *({"origin": {"unit": "patch"}}, {"origin": []}, {"origin": {"unit": "x", "prominence": "norm"}}),
)


def hostile() -> dict[str, bytes | dict]:
    bad = random(N, D)
    bad[3, 2] = np.nan
    return {
        "NaN": v3(embeddings=bad),
        "lengths": v3(patch_lengths=LENGTHS + 1),
        "negative prominence": v3(prominence=-positive(N)),
        "entropies": v3(patch_entropies=np.full(N, np.inf, np.float32)),
        "nothing known": {"weights": random(3, 3)},
        "not a file of tensors": b"GIF89a" + bytes(100),
        "empty": b"",
        **{
            f"sources {number}": {**v3(), "sources": json.dumps([{**SOURCE, **change}])}
            for number, change in enumerate(WRONG_SOURCES)
        },
        "sources that are no list": {**v3(), "sources": "{}{"},
        "sources that are a number": {**v3(), "sources": "7"},
        "sources nested without end": {**v3(), "sources": "[" * 100_000},
    }


def test_a_right_list_of_sources_is_taken(sphere: Sphere, tmp_path: Path) -> None:
    metadata = {"thesphere.sources": json.dumps([SOURCE])}
    assert sphere.import_file(save(tmp_path / "in.safetensors", v3(), **metadata)).added == 1
    assert sphere.points().names == ["a"]


@pytest.mark.parametrize("kind", hostile())
def test_a_hostile_file_leaves_the_collection_as_it_was(kind: str, sphere: Sphere, tmp_path: Path) -> None:
    sphere.import_arrays(random(N, D), data=TEXTS, name="good")
    before, generation = as_rows(sphere.points()), sphere.info()["generation"]
    path, content = tmp_path / "bad.safetensors", hostile()[kind]
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        sources = content.pop("sources", None)
        save(path, content, **({} if sources is None else {"thesphere.sources": sources}))
    with pytest.raises(FormatError, match=r"bad\.safetensors"):
        sphere.import_file(path)
    assert (as_rows(sphere.points()), sphere.info()["generation"]) == (before, generation)
    assert sphere.verify() == []


def test_a_truncated_file_is_refused_wherever_it_ends(sphere: Sphere, tmp_path: Path) -> None:
    path = save(tmp_path / "whole.safetensors", v3())
    whole = path.read_bytes()
    cut = tmp_path / "cut.safetensors"
    for size in range(0, len(whole), 37):
        cut.write_bytes(whole[:size])
        with pytest.raises(FormatError):
            sphere.import_file(cut)
    assert sphere.info()["generation"] == 0


def test_names_that_look_like_parts_of_others_are_sources_of_their_own(
    sphere: Sphere, tmp_path: Path
) -> None:
    for number, name in enumerate(("a", "a#0", "a#b", "a")):
        sphere.import_arrays(random(N, D, seed=number), name=name)
        sphere.import_file(save(tmp_path / f"{name}.safetensors", v3(seed=number)))
        sphere.import_file(save(tmp_path / f"{name}.safetensors#0", v3(seed=number + 9)))
    assert sphere.info()["paths"] == 9


def test_wrong_files_and_arrays_are_told_in_one_line(sphere: Sphere, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        sphere.import_file(tmp_path / "missing.safetensors")
    with pytest.raises(FormatError):
        sphere.import_file(tmp_path)
    with pytest.raises(InputError, match="no rows"):
        sphere.import_file(save(tmp_path / "empty.safetensors", {"embeddings": np.zeros((0, D), np.float32)}))
    for wrong, words in (
        ({"embeddings": np.zeros((0, D))}, "no rows"),
        ({"embeddings": np.full((2, D), np.nan)}, "NaN"),
        ({"embeddings": np.zeros(D)}, "two axes"),
        ({"prominence": [1.0]}, "prominence has"),
        ({"prominence": [1.0, -1.0]}, "prominence of row 1 is -1"),
        ({"prominence": [1.0, np.nan]}, "prominence of row 1"),
        ({"entropies": [1.0, np.inf]}, "entropies of row 1"),
        ({"entropies": ["a", "b"]}, "entropies has"),
        ({"data": [b"one"]}, "2 byte strings"),
        ({"data": ["one", "two"]}, "not bytes"),
        ({"data": b"ab"}, "2 byte strings"),
        ({"name": ""}, "name is empty"),
        ({"embeddings": np.full((2, D), 3e38)}, "prominence of row 0"),
    ):
        given: dict = {"embeddings": random(2, D), **wrong}
        with pytest.raises(InputError, match=words):
            sphere.import_arrays(given.pop("embeddings"), **given)
    assert sphere.info()["generation"] == 0
    sphere.import_arrays(random(2, D))
    with pytest.raises(InputError, match="layout"):
        sphere.export_file(tmp_path / "out.safetensors", layout="v2")
    with pytest.raises(NotFoundError):
        sphere.export_file(tmp_path / "no" / "out.safetensors")


def test_a_file_that_changes_while_it_is_read_is_refused(
    sphere: Sphere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "in.safetensors", v3())
    from thesphere.sphere import exchange

    genuine = exchange.rows_of_file

    def changing(*given):
        found = genuine(*given)
        save(tmp_path / "other", v3(seed=7)).replace(path)
        return found

    monkeypatch.setattr(exchange, "rows_of_file", changing)
    with pytest.raises(InputError, match="changed while it was read"):
        sphere.import_file(path)
    assert sphere.info()["generation"] == 0
