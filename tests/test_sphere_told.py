"""What the answers of a collection tell: bytes within the budget, and the cones that they came from."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sphere_roots import rows

from thesphere import Sphere
from thesphere.roots import index
from thesphere.sphere import sphere as module

WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper"]
KEYS = ["root", "activation", "degrees", "cells", "points", "bytes"]
THROUGH = "bytes read through the index, choosing cells included"


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """1,500 points under an index, and 200 that came later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LARGE", 1000)
        patch.setattr(index, "CALIBRATED_ON", 200)
        made = Sphere.create(tmp_path_factory.mktemp("v") / "v.sphere", encoder="arrays")
        made.import_arrays(rows(1, 1500), name="first")
        made.import_arrays(rows(2, 200), name="later")
        yield made


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """200 texts, with an index that vectors join words through."""
    folder = tmp_path_factory.mktemp("t")
    rng = np.random.default_rng(9)
    (folder / "texts").mkdir()
    for number in range(200):
        chosen = rng.choice(WORDS, 40, p=rng.dirichlet([0.3] * 10))
        (folder / "texts" / f"{number:03}.txt").write_text(" ".join(chosen) + "\n")
    made = Sphere.create(folder / "t.sphere", encoder="lsa")
    made.ingest(folder / "texts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "CALIBRATED_ON", 200)
        made.build_roots(partitions=12)
    return made


QUERIES = rows(3, 20)


@settings(max_examples=40, deadline=None)
@given(
    budget=st.one_of(st.integers(0, 8000), st.integers(0, 150_000)),
    recall=st.sampled_from([None, 0.5, 0.95]),
    query=st.integers(0, 19),
    k=st.integers(1, 20),
    sources=st.sampled_from([(), ("first",), ("later",)]),
)
def test_a_vector_s_answer_reads_no_more_than_its_budget(vectors, budget, recall, query, k, sources):
    hits = vectors.search(vector=QUERIES[query], k=k, budget=budget, recall=recall, sources=sources)
    size, routing = vectors.index.row_bytes, vectors.index.routing
    assert hits.cost.bytes_scanned <= budget
    assert hits.account[THROUGH] == f"{hits.cost.bytes_scanned} of a budget of {budget}"
    if budget < routing:
        assert (hits.status, hits.gap, len(hits), hits.cost.bytes_scanned) == ("partial", np.inf, 0, 0)
        assert f"choosing cells alone reads {routing} bytes; give that and about" in hits.explain()
        assert hits.account["cones"] == [] and "cones: none" in hits.explain()
        assert hits.cost.points_scanned == 0
    else:
        assert hits.cost.bytes_scanned == routing + size * hits.cost.points_scanned
    vectors.prove(hits)


@settings(max_examples=25, deadline=None)
@given(
    budget=st.one_of(st.integers(0, 9000), st.integers(0, 90_000)),
    text=st.lists(st.sampled_from([*WORDS, "elsewhere"]), min_size=1, max_size=4).map(" ".join),
)
def test_a_text_s_answer_reads_no_more_of_the_index_than_its_budget(texts, budget, text):
    hits = texts.search(text, k=5, vectors=True, budget=budget)
    read = int(hits.account[THROUGH].split(" ")[0])
    assert read == (0 if budget < texts.index.routing else read) <= budget
    assert read >= texts.index.row_bytes * hits.cost.points_scanned
    if budget < texts.index.routing:  # words answer all the same, and cosines are at most 1
        assert hits.status in ("partial", "exact") and np.isfinite(hits.gap)
        assert f"choosing cells alone reads {texts.index.routing} bytes" in hits.explain()
    texts.prove(hits)


def test_every_answer_tells_its_cones(vectors, texts):
    for sphere, asked in (
        (vectors, {"vector": QUERIES[0], "exact": True}),
        (vectors, {"vector": QUERIES[0], "metric": "ip"}),
        (vectors, {"contains": b"nowhere"}),
        (texts, {"query": "amber fjord"}),
        (texts, {"query": "amber fjord", "vectors": True}),
        (texts, {"contains": b"amber"}),
        (texts, {"query": "amber", "sources": ["texts/00*"]}),
    ):
        hits = sphere.search(k=3, **asked)
        (cone,) = hits.account["cones"]
        assert list(cone) == KEYS and (cone["root"], cone["activation"], cone["degrees"]) == ("all", 1, 180)
        alive = 10 if "sources" in asked else sphere.info()["points"]
        assert (cone["points"], cone["bytes"]) == (alive, hits.cost.bytes_scanned)
        assert f"  all of the sphere: activation 1, 180 degrees, 1 cell, {alive:,} points" in hits.explain()
        assert json.loads(json.dumps(hits.as_dict()))["account"]["cones"] == [cone]
    through = vectors.search(vector=QUERIES[0], k=3, recall=0.9)
    cones = through.account["cones"]
    assert [list(cone) for cone in cones] == [KEYS] * len(cones) and len(cones) > 0
    assert sum(cone["points"] for cone in cones) == through.cost.points_scanned - 200
    assert f"  root {cones[0]['root']}: activation {cones[0]['activation']:.3g}, " in through.explain()


def test_the_command_says_why_a_budget_finds_nothing_and_shows_cones(vectors, texts, tmp_path, command):
    np.save(tmp_path / "q.npy", QUERIES[0])
    asked = ["search", vectors.path, "--vector", tmp_path / "q.npy"]
    small = command(*asked, "--budget", vectors.index.routing - 1)
    assert small.returncode == 1 and small.stdout.startswith("nothing found")
    assert f"choosing cells alone reads {vectors.index.routing} bytes; give that" in small.stdout
    assert "looked at 0 B of" in small.stdout
    enough = command(*asked, "--budget", "20kB", "--json")
    document = json.loads(enough.stdout)
    assert document["status"] == "partial" and document["cost"]["bytes_scanned"] <= 20_000
    shown = command("search", texts.path, "amber", "--explain").stdout
    assert "cones:\n  all of the sphere: activation 1, 180 degrees, 1 cell, 200 points, " in shown
