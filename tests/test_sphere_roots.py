"""A collection with an index: answers through cones, beside words, after changes, and damaged."""

import json

import numpy as np
import pytest

from thesphere import Sphere
from thesphere.errors import FormatError, InputError, VerifyError
from thesphere.sphere import sphere as module
from thesphere.sphere.roots import load_options


def rows(seed: int, count: int, width: int = 24) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((12, width))
    vectors = centres[rng.integers(0, 12, count)] + 0.6 * rng.standard_normal((count, width))
    return (vectors * rng.lognormal(0, 0.3, (count, 1))).astype(np.float32)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """An index from 1,000 points on."""
    monkeypatch.setattr(module, "LARGE", 1000)


@pytest.fixture
def sphere(tmp_path):
    made = Sphere.create(tmp_path / "a.sphere", encoder="arrays")
    made.import_arrays(rows(1, 2500), name="first")
    return made


def share(sphere: Sphere, queries: np.ndarray, **asked) -> float:
    """Mean recall of the first ten."""
    found = []
    for query in queries:
        true = {hit.start for hit in sphere.search(vector=query, exact=True)}
        found.append(len(true & {hit.start for hit in sphere.search(vector=query, **asked)}) / 10)
    return float(np.mean(found))


def test_an_import_that_is_large_gets_an_index(sphere):
    assert sphere.index is not None and "cells" in sphere.info()["roots"]
    queries = rows(2, 60)
    assert share(sphere, queries) >= 0.9
    hits = sphere.search(vector=queries[0], k=5)
    assert hits.status in ("probable", "exact") and hits.account["cones"]
    assert hits.cost.points_scanned < 2500
    sphere.prove(hits)
    assert sphere.search(vector=queries[0], exact=True).status == "exact"
    assert sphere.search(vector=queries[0], recall=1.0).status == "exact"
    assert sphere.search(vector=queries[0], k=300).status == "exact"
    assert sphere.search(vector=queries[0], metric="ip").status == "exact"
    json.dumps(hits.as_dict())


def test_an_index_that_is_built_again_is_divided_as_before(sphere):
    """The settings that were given stay; an index of which the file tells none gets the usual ones."""
    sphere.build_roots(partitions=20, method="shells", key=5)
    before = sphere.settings.roots_part
    sphere.import_arrays(rows(7, 2500), name="more")
    assert sphere.settings.roots_part != before and len(sphere.index.cells) == 20
    assert load_options(sphere.path / "parts" / sphere.settings.roots_part, sphere.view, "") == {
        "partitions": 20, "method": "shells", "key": 5,
    }  # fmt: skip


def test_a_budget_is_kept_in_bytes(sphere):
    query = rows(3, 1)[0]
    size, routing = sphere.index.row_bytes, sphere.index.routing
    for budget in (0, routing, routing + size, routing + 100 * size, 10**9):
        hits = sphere.search(vector=query, k=5, budget=budget)
        assert hits.cost.bytes_scanned <= budget
        sphere.prove(hits)
    assert hits.status == "exact"
    assert sphere.search(vector=query, k=5, budget=routing + 100 * size).status == "partial"


def test_lies_are_noticed(sphere):
    hits = sphere.search(vector=rows(4, 1)[0], k=5, budget=sphere.index.routing + 40 * sphere.index.row_bytes)
    assert hits.status == "partial"
    object.__setattr__(hits, "gap", 0.0)
    with pytest.raises(VerifyError, match="left out|another score"):
        sphere.prove(hits)


def test_later_and_removed_sources(sphere):
    index = sphere.settings.roots_part
    sphere.import_arrays(rows(5, 300), name="second")
    assert sphere.settings.roots_part == index and "300 points later" in sphere.info()["roots"]
    queries = rows(6, 40)
    assert share(sphere, queries) >= 0.9
    for query in queries[:4]:
        sphere.prove(sphere.search(vector=query, k=3))
    sphere.import_arrays(rows(7, 1500), name="third")  # more than a quarter came later
    assert sphere.settings.roots_part != index and "later" not in sphere.info()["roots"]
    sphere.remove("first")
    for query in queries[:4]:
        hits = sphere.search(vector=query, k=8)
        assert {hit.source for hit in hits} <= {"second", "third"}
        sphere.prove(hits)
    assert share(sphere, queries) >= 0.85
    sphere.compact()
    assert sphere.index is not None and "1800 points" in sphere.info()["roots"]
    assert sphere.verify() == []
    sphere.prove(sphere.search(vector=queries[0], k=8))


def test_ties_are_broken_by_names(tmp_path):
    sphere = Sphere.create(tmp_path / "t.sphere", encoder="arrays")
    vectors = rows(8, 1200)
    sphere.import_arrays(vectors, name="b")
    sphere.import_arrays(vectors, name="a")
    sphere.build_roots()
    hits = sphere.search(vector=vectors[3], k=1)
    assert [hit.source for hit in hits] == ["a"]
    sphere.prove(hits)


def test_words_and_vectors_together(tmp_path):
    rng = np.random.default_rng(9)
    words = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper"]
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(400):
        chosen = rng.choice(words, 40, p=rng.dirichlet(np.full(10, 0.3)))
        (folder / f"{number:03}.txt").write_text(" ".join(chosen) + ("\nzyxwvut" if number == 77 else ""))
    sphere = Sphere.create(tmp_path / "w.sphere")
    sphere.ingest(folder)
    assert sphere.index is None  # lsa does not answer unless asked to
    roots = sphere.build_roots(partitions=20)
    assert len(roots.cells) == 20 and sphere.index is not None
    for query in ("zyxwvut", "amber fjord", "cedar harbor island"):
        exact = sphere.search(query, k=5, vectors=True, exact=True)
        hits = sphere.search(query, k=5, vectors=True, recall=0.9)
        assert len({hit.source for hit in hits} & {hit.source for hit in exact}) >= 4
        assert hits.account["cones"]
        assert hits.status != "exact" or hits.request.weight == exact.request.weight
        sphere.prove(hits)
        whole = sphere.search(query, k=5, vectors=True, recall=1.0)
        assert whole.status == "exact" and whole.request.weight == exact.request.weight
    rare = sphere.search("zyxwvut", k=1, vectors=True, recall=0.5)
    assert rare[0].source.endswith("077.txt")
    plain = sphere.search("amber fjord", k=5)
    assert plain.status == "exact" and [cone["root"] for cone in plain.account["cones"]] == ["all"]


def test_wrong_arguments_are_told(sphere, tmp_path):
    query = rows(10, 1)[0]
    for asked, told in (
        ({"recall": 2.0}, "2.0"),
        ({"budget": -1}, "-1"),
        ({"exact": True, "recall": 0.9}, "excludes"),
        ({"metric": "ip", "budget": 5}, "budget"),
    ):
        with pytest.raises(InputError, match=told):
            sphere.search(vector=query, **asked)
    with pytest.raises(InputError, match="no embeddings"):
        Sphere.create(tmp_path / "none.sphere", encoder="none").build_roots()


def test_a_flipped_byte_of_the_index_is_told(sphere):
    path = sphere.path / "parts" / sphere.settings.roots_part / "roots.safetensors"
    good = path.read_bytes()
    path.chmod(0o644)
    for place in (len(good) // 3, len(good) // 2, len(good) - 9):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        sphere.refresh()
        with pytest.raises(FormatError, match="checksum.*thesphere roots"):
            sphere.search(vector=rows(11, 1)[0])
    path.write_bytes(good)
    sphere.refresh()
    assert sphere.search(vector=rows(11, 1)[0], budget=10**9).status == "exact"


def test_a_damaged_index_is_told(sphere):
    path = sphere.path / "parts" / sphere.settings.roots_part / "roots.safetensors"
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(good[: len(good) // 2])
    sphere.refresh()
    with pytest.raises(FormatError, match="thesphere roots"):
        sphere.search(vector=rows(11, 1)[0])
    assert "damaged" in sphere.info()["roots"]
    sphere.import_arrays(rows(12, 50), name="more")  # builds it again
    assert "2550 points" in sphere.info()["roots"]
    path.write_bytes(b"") if path.exists() else None
    assert sphere.search(vector=rows(11, 1)[0], exact=True, metric="cosine").status == "exact"
