"""Questions to some sources only, and radius search, against the whole answer and brute force in float64."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sphere import PATTERNS, QUERIES, Fake, built, plain  # noqa: F401 - `built` is a fixture

from thesphere import Sphere
from thesphere.cli.app import run
from thesphere.errors import InputError, NotFoundError, VerifyError
from thesphere.sphere import Hit, Hits
from thesphere.sphere import sphere as module
from thesphere.sphere.names import below, matcher
from thesphere.sphere.part import PartReader
from thesphere.sphere.roles import Roles
from thesphere.types import Points

ALL = 100_000
FILTERS: list[dict[str, Any]] = [
    {"sources": ("files/sub",)},
    {"sources": ("*.txt", "files/rows.jsonl")},
    {"sources": ("files/tie/t??.txt",)},
    {"modality": ("row", "binary")},
    {"sources": ("*.md", "files/long.txt"), "modality": ("text",)},
    {"sources": ("files/sub/",), "modality": ("row",)},  # both occur, never together
]


def passes(hit: Hit, sources: Sequence[str] = (), modality: Sequence[str] = ()) -> bool:
    """What a filter says, by prefixes that end before a / or a #."""
    ends = [
        [path[:at] for at in range(len(path) + 1) if path[at : at + 1] in ("", "/", "#")]
        for path in hit.paths
    ]
    named = not sources or any(
        fnmatchcase(end, pattern.rstrip("/")) for path in ends for end in path for pattern in sources
    )
    return named and (not modality or hit.modality in modality)


# -- names --------------------


@given(st.text("ab/#*?[", max_size=8), st.text("ab/#*?[", max_size=5))
def test_patterns_are_prefixes_that_end_at_a_border(name: str, pattern: str) -> None:
    ends = [name[:at] for at in range(len(name) + 1) if name[at : at + 1] in ("", "/", "#")]
    stem = pattern.rstrip("/")
    ends = ends if pattern else [name]
    assert below(name, pattern) == (name == pattern or stem in ends)
    meant = name == pattern or stem in ends or any(fnmatchcase(end, stem) for end in ends)
    assert matcher(pattern)(name) == meant


def test_zones_are_named_in_the_same_way() -> None:
    names = ["a/one.txt", "a/two.txt", "b/one.txt"]
    nothing = np.zeros(3, np.float32)
    rows = {"embeddings": nothing[:, None], "prominence": nothing, "entropies": nothing}
    points = Points(**rows, starts=np.arange(3), ends=np.arange(3), sources=np.arange(3), names=names)
    roles = Roles(instructions=("a",), questions=("*/two.txt",))
    roles.check(names)
    assert roles.of(points).tolist() == [1, 2, 0]
    with pytest.raises(InputError, match="'c'"):
        Roles(instructions=("c",)).check(names)


# -- the answer is the whole answer, without what the filter leaves out --------------------


def check(sphere: Sphere, ask: Callable[..., Hits], wanted: dict[str, Any], k: int) -> None:
    """The first k with a filter are those of all that pass it, with the same scores."""
    everything = ask(k=ALL)
    hits = ask(k=k, **wanted)
    expected = [hit for hit in everything if passes(hit, **wanted)][:k]
    assert [plain(hit) for hit in hits] == [plain(hit) for hit in expected]
    assert [hit.point for hit in hits] == [hit.point for hit in expected]
    assert hits.status == "exact" and hits.gap == 0
    sphere.prove(hits)
    left = [hit for hit in everything if not passes(hit, **wanted)]
    if left and len(hits) < k:  # the same hits do not pass for an answer without the filter
        with pytest.raises(VerifyError):
            sphere.prove(replace(hits, request=replace(hits.request, filter=everything.request.filter)))


@pytest.mark.parametrize("wanted", FILTERS)
def test_filters_of_every_kind_of_question(built: tuple[Path, Sphere], wanted: dict) -> None:  # noqa: F811
    sphere = built[1]
    for query in QUERIES[1::5]:
        check(sphere, partial(sphere.search, query), wanted, 3)
        check(sphere, partial(sphere.search, query, vectors=True), wanted, ALL)
    for pattern in PATTERNS[::3]:
        check(sphere, partial(sphere.search, contains=pattern), wanted, 4)
    for text in (b"a", b" "):
        vector = Fake().one(text)
        for metric in ("ip", "cosine"):
            check(sphere, partial(sphere.search, vector=vector, metric=metric), wanted, 3)


def test_where_the_whole_is_known_first_nothing_changes(built: tuple[Path, Sphere]) -> None:  # noqa: F811
    wanted = FILTERS[1]
    with Sphere.open(built[1].path) as fresh:
        assert fresh.view.filter.as_dict() is None
        fresh.__dict__["encoder"] = Fake()
        before = fresh.search("quick fox", vectors=True, **wanted)
        whole = fresh.search("quick fox", vectors=True)
        after = fresh.search("quick fox", vectors=True, **wanted)
        assert [plain(hit) for hit in before] == [plain(hit) for hit in after]
        assert before.request.weight == whole.request.weight == after.request.weight


def test_names_are_read_once_for_all_filters(
    built: tuple[Path, Sphere],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = []
    labels = PartReader.labels.fget
    assert labels is not None
    monkeypatch.setattr(PartReader, "labels", property(lambda part: read.append(part) or labels(part)))
    with Sphere.open(built[1].path) as fresh:
        for wanted in FILTERS:
            fresh.search(contains=b"fox", **wanted)
        assert len(read) == len(fresh.view.parts)


def test_sources_come_and_go(tmp_path: Path) -> None:
    sphere = Sphere.create(tmp_path / "a.sphere", encoder="none")
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.txt").write_text(f"the lamp of {name}")
    sphere.ingest(folder)
    assert [hit.source for hit in sphere.search("lamp", sources=("*/two.txt",))] == ["in/two.txt"]
    (folder / "two.txt").write_text("no light any more")
    (folder / "three.txt").write_text("the lamp of three")
    sphere.ingest(folder)
    assert not sphere.search(contains=b"lamp", sources=["*/two.txt"])
    assert [hit.source for hit in sphere.search("lamp", sources="in/three.txt")] == ["in/three.txt"]
    assert len(sphere.search(contains=b"lamp", sources=str(folder))) == 2  # by uri
    with pytest.raises(NotFoundError):
        sphere.remove("")  # names nothing, not everything
    sphere.remove("in/three.txt")
    with pytest.raises(InputError, match="three"):
        sphere.search("lamp", sources=("in/three.txt",))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"sources": ("files/keys.py", "nothing/*")}, "'nothing/\\*'.*info --sources"),
        ({"sources": ("",)}, "''"),
        ({"modality": ("pdf",)}, "'pdf'.*binary, code, row, text"),
        ({"sources": (3,)}, "names as text"),
    ],
)
def test_filters_that_match_nothing_are_told(
    built: tuple[Path, Sphere],  # noqa: F811
    asked: dict,
    told: str,
) -> None:
    with pytest.raises(InputError, match=told):
        built[1].search("fox", **asked)
    with pytest.raises(InputError, match=told):
        built[1].within("fox", score=0.5, **asked)


# -- through an index --------------------

SIZES = {"a/one": 700, "a/two": 500, "b/one": 800, "b/two": 600, "b/few": 60}


def rows(seed: int, count: int, width: int = 20) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((12, width))
    vectors = centres[rng.integers(0, 12, count)] + 0.6 * rng.standard_normal((count, width))
    return (vectors * rng.lognormal(0, 0.3, (count, 1))).astype(np.float32)


@pytest.fixture(scope="module", params=["cosine", "ip"])
def indexed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """(a collection with an index over most of its points, some of them of length 0; its rows by source)."""
    made = {name: rows(seed, size) for seed, (name, size) in enumerate(SIZES.items())}
    made["b/one"][::90] = 0
    sphere = Sphere.create(tmp_path_factory.mktemp("indexed") / "a.sphere", encoder="arrays")
    for name, each in made.items():
        sphere.import_arrays(each, name=name)
    sphere.build_roots(metric=request.param, partitions=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LARGE", 1000)
        for name, seed in (("a/later", 8), ("b/later", 9)):  # two parts that it does not cover
            made[name] = rows(seed, 120)
            sphere.import_arrays(made[name], name=name)
        assert sphere.index is not None and len(sphere.index.later) == 2
        yield sphere, made


def truth(made: dict[str, np.ndarray], vector: np.ndarray, metric: str) -> dict[tuple[str, int], float]:
    """The score of every row in float64, by source and number."""
    found = {}
    for name, each in made.items():
        scores = each.astype(np.float64) @ vector.astype(np.float64)
        if metric == "cosine":
            norms = np.linalg.norm(each.astype(np.float64), axis=1) * np.linalg.norm(
                vector.astype(np.float64)
            )
            scores = np.divide(scores, norms, out=np.zeros(len(each)), where=norms > 0)
        found |= {(name, row): float(score) for row, score in enumerate(scores)}
    return found


def same_first(hits: Hits, scores: dict[tuple[str, int], float], k: int) -> None:
    """The hits are the k best of `scores`, but for what rounding may swap."""
    best = sorted(scores.values(), reverse=True)[:k]
    assert np.allclose([hit.score for hit in hits], best, rtol=1e-9, atol=1e-12)
    assert np.allclose([scores[hit.source, hit.start] for hit in hits], best, rtol=1e-9, atol=1e-12)
    assert len({(hit.source, hit.start) for hit in hits}) == len(best)


def test_a_third_of_the_points_through_the_index(indexed) -> None:
    sphere, made = indexed
    metric = sphere.index.metric
    recalls = []
    for query in rows(20, 40):
        hits = sphere.search(vector=query, recall=0.95, sources=("a",))
        assert len(hits) == 10 and all(hit.source.startswith("a/") for hit in hits)
        scores = {key: score for key, score in truth(made, query, metric).items() if key[0].startswith("a/")}
        tenth = sorted(scores.values())[-10]
        recalls.append(np.mean([hit.score >= tenth - 1e-9 for hit in hits]))
        assert "sources a: 3 of 7" in hits.account["only"]
        assert hits.status == "exact" or hits.account["cones"][0]["root"] != "all"
    sphere.prove(hits)
    assert np.mean(recalls) >= 0.93
    whole = sphere.search(vector=query, recall=1.0, sources=("a",))
    same_first(whole, scores, 10)
    assert whole.status == "exact"
    sphere.prove(whole)


def test_the_few_points_of_a_narrow_filter_are_all_scored(indexed) -> None:
    sphere, made = indexed
    few = {"b/few": made["b/few"]}
    query = rows(21, 1)[0]
    for asked in ({}, {"recall": 0.5}, {"budget": 60 * 80}, {"recall": 0.5, "budget": 60 * 80}):
        hits = sphere.search(vector=query, k=7, sources=("b/few",), **asked)
        same_first(hits, truth(few, query, sphere.index.metric), 7)
        assert hits.status == "exact" and hits.cost.points_scanned == 60
        assert "60 points, so few that each was scored" in hits.explain()
        sphere.prove(hits)
    poor = sphere.search(vector=query, k=7, sources=("b/few",), recall=0.5, budget=4000)
    assert poor.status == "partial" and all(hit.source == "b/few" for hit in poor)
    sphere.prove(poor)


# -- radius search --------------------


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(30, 60),
    share=st.floats(0, 0.02) | st.sampled_from([0.0, 1.0]),
    wanted=st.sampled_from([(), ("a",), ("*/later", "b/one"), ("b/few",)]),
    other=st.booleans(),
)
def test_all_points_within_a_score(indexed, seed, share, wanted, other) -> None:
    sphere, made = indexed
    metric = sphere.index.metric
    if other:
        metric = "ip" if metric == "cosine" else "cosine"
    query = rows(seed, 1)[0]
    scores = truth(made, query, metric)
    floor = float(np.quantile(list(scores.values()), 1 - share))
    left = {
        key: score
        for key, score in scores.items()
        if not wanted or any(matcher(pattern)(key[0]) for pattern in wanted)
    }
    limit = 400
    hits = sphere.within(vector=query, score=floor, metric=metric, sources=wanted, limit=limit)
    sure = sum(score > floor + 1e-9 * (1 + abs(floor)) for score in left.values())
    assert (
        sure <= (hits.total or 0) <= sum(score >= floor - 1e-9 * (1 + abs(floor)) for score in left.values())
    )
    same_first(hits, left, min(limit, hits.total or 0))
    assert hits.status == "exact" and (hits.total == 0 or hits[-1].score >= floor)
    if share < 0.005:
        sphere.prove(hits)


def test_cells_that_hold_nothing_near_are_not_opened(indexed) -> None:
    sphere, made = indexed
    query = made["a/one"][3] * 3
    scores = truth(made, query, sphere.index.metric)
    hits = sphere.within(vector=query, score=sorted(scores.values())[-3] - 1e-9)
    assert len(hits) == hits.total == 3
    if sphere.index.metric == "cosine":
        assert hits.cost.points_scanned < sum(map(len, made.values())) * 0.9
    sphere.prove(hits)
    for lie in (replace(hits, hits=hits.hits[:2], total=2, request=replace(hits.request, k=2)),
                replace(hits, total=4),
                replace(hits, request=replace(hits.request, within=hits[2].score * 2 + 1))):  # fmt: skip
        with pytest.raises(VerifyError):
            sphere.prove(lie)
    json.dumps(hits.as_dict())


def test_radius_search_by_a_text(built: tuple[Path, Sphere]) -> None:  # noqa: F811
    sphere = built[1]
    vector = Fake().one(b"fox")
    by_text, by_vector = sphere.within("fox", score=0.2), sphere.within(vector=vector, score=0.2)
    assert [plain(hit) for hit in by_text] == [plain(hit) for hit in by_vector] and len(by_text) > 3
    everything = sphere.search(vector=vector, k=ALL)
    assert [plain(hit) for hit in by_text] == [plain(hit) for hit in everything if hit.score >= 0.2]
    sphere.prove(by_text)
    some = sphere.within("fox", score=0.2, limit=2, **FILTERS[1])
    inside = [plain(hit) for hit in by_text if passes(hit, **FILTERS[1])]
    assert [plain(hit) for hit in some] == inside[:2] and some.total == len(inside)
    sphere.prove(some)
    assert sphere.within(vector=np.zeros(vector.size), score=0.1).total == 0


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"score": 0.5}, "query or a vector"),
        ({"query": "a", "vector": np.ones(3), "score": 0.5}, "query or a vector"),
        ({"query": " ", "score": 0.5}, "empty"),
        ({"query": "a", "score": float("nan")}, "nan"),
        ({"query": "a", "score": 0.5, "limit": 0}, "limit is 0"),
        ({"vector": np.ones(3), "score": 0.5}, "3"),
    ],
)
def test_wrong_radius_searches(built: tuple[Path, Sphere], asked: dict, told: str) -> None:  # noqa: F811
    with pytest.raises(InputError, match=told):
        built[1].within(**asked)


def test_radius_search_needs_vectors(tmp_path: Path) -> None:
    sphere = Sphere.create(tmp_path / "n.sphere", encoder="none")
    with pytest.raises(InputError, match="no encoder"):
        sphere.within("a", score=0.5)
    with pytest.raises(InputError, match="no vectors"):
        sphere.within(vector=np.ones(3), score=0.5)


# -- words joined by vectors, through an index --------------------


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Sphere:
    """400 texts of ten words, and 40 that came after the index, in two parts."""
    rng = np.random.default_rng(9)
    words = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper"]
    home = tmp_path_factory.mktemp("texts")
    folder = home / "t"
    folder.mkdir()

    def write(numbers: range) -> None:
        for number in numbers:
            chosen = rng.choice(words, 40, p=rng.dirichlet(np.full(10, 0.3)))
            (folder / f"{number:03}.txt").write_text(" ".join(chosen))

    sphere = Sphere.create(home / "w.sphere", encoder="lsa")
    write(range(400))
    sphere.ingest(folder)
    sphere.build_roots(partitions=20)
    for numbers in (range(400, 420), range(420, 440)):
        write(numbers)
        sphere.ingest(folder)
    assert sphere.index is not None and len(sphere.index.later) == 2
    return sphere


@pytest.mark.parametrize("wanted", ["t/1*", "*[02468].txt", "t/00?.txt", "t/4[01]*"])
def test_words_and_vectors_through_an_index(texts: Sphere, wanted: str) -> None:
    asked = {"query": "amber fjord", "k": 5, "vectors": True}
    exact = texts.search(**asked, exact=True, sources=(wanted,))
    hits = texts.search(**asked, recall=0.9, sources=(wanted,))
    assert hits.request.weight == texts.search(**asked, recall=0.9).request.weight
    assert all(fnmatchcase(hit.source, wanted) for hit in hits) and len(hits) == 5
    assert len({hit.source for hit in hits} & {hit.source for hit in exact}) >= 4
    assert "read first, for the weight of vectors" in hits.account
    texts.prove(hits)
    certain = texts.search(**asked, recall=1.0, sources=(wanted,))
    assert certain.status == "exact" and list(map(plain, certain)) == list(map(plain, exact))
    assert texts.index is not None
    poor = texts.search(**asked, budget=2 * texts.index.routing + 9000, sources=(wanted,))
    assert all(fnmatchcase(hit.source, wanted) for hit in poor)
    texts.prove(poor)


# -- the command --------------------


def test_the_command_filters(collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["search", str(collection), "quick fox", "--verify"]
    assert run([*asked, "--source", "*.jsonl", "-s", "notes/keys.py", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["filter"] == {"sources": ["*.jsonl", "notes/keys.py"], "modality": []}
    assert {hit["source"].partition("#")[0] for hit in answer["hits"]} <= {
        "notes/rows.jsonl",
        "notes/keys.py",
    }
    assert run([*asked, "--modality", "row", "--modality", "text", "--explain"]) == 0
    told = capsys.readouterr()
    assert "only: modality row, text: 3 of 5 documents" in told.out and "proved again" in told.err
    assert run([*asked, "--source", "nowhere"]) == 1
    assert "'nowhere'" in capsys.readouterr().err
    assert run(["search", str(collection), "--contains", "quick", "-s", "*.py"]) == 1
    assert "nothing found for b'quick' (sources *.py)" in capsys.readouterr().out


def test_the_command_finds_all_within_a_score(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["search", str(collection), "the lazy dog", "--within", "-1", "--verify"]
    assert run([*asked, "-k", "2"]) == 0
    told = capsys.readouterr()
    assert "points at -1 or more, 2 shown; exact, gap 0;" in told.out and "proved again" in told.err
    assert run([*asked, "--json", "--modality", "row"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["total"], answer["within"]) == (2, -1) == (len(answer["hits"]), -1)
    with Sphere.open(collection) as sphere:
        np.save(tmp_path / "v.npy", sphere.points().embeddings[0])
    asked = ["search", str(collection), "--vector", str(tmp_path / "v.npy"), "--within", "0.999"]
    assert run(asked) == 0
    assert "1 point at 0.999 or more, 1 shown" in capsys.readouterr().out
    for more in (["--recall", "0.9"], ["--exact"], ["--budget", "1MiB"]):
        assert run([*asked, *more]) == 2
        assert more[0] in capsys.readouterr().err
