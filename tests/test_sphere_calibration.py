"""Queries that a collection's index is calibrated on: given, kept, and used again when it is built by itself."""

import json

import numpy as np
import pytest
from test_sphere_roots import rows

from thesphere import Sphere
from thesphere.cli.app import run
from thesphere.errors import InputError
from thesphere.roots import index
from thesphere.roots.calibrate import KS
from thesphere.sphere import roots as kept
from thesphere.sphere import sphere as module

ASKED = rows(50, 600)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """An index from 1,000 points on, where points stand in calibrated on few."""
    monkeypatch.setattr(module, "LARGE", 1000)
    monkeypatch.setattr(index, "CALIBRATED_ON", 200)


@pytest.fixture
def sphere(tmp_path):
    made = Sphere.create(tmp_path / "a.sphere", encoder="arrays")
    made.import_arrays(rows(1, 1200), name="first")
    return made


def stayed(sphere: Sphere) -> np.ndarray | None:
    """The queries that lie in the index's file."""
    return kept.load_options(
        sphere.path / "parts" / sphere.settings.roots_part, sphere.view, sphere.settings.encoder_part
    ).get("queries")


def source(sphere: Sphere) -> str:
    """What `info` and `explain` say that the rules were calibrated on."""
    told = str(sphere.info()["roots"]).rsplit("calibrated on ", 1)[1]
    for query in ASKED[:40]:
        hits = sphere.search(vector=query, k=3, recall=0.5)
        if hits.status == "probable":
            said = {"queries": "queries like those", "points": "points alone"}[told]
            assert f"calibrated on {said}" in hits.explain()
            return told
    raise AssertionError("no answer was cut short by a rule")


@pytest.mark.parametrize("metric", ["cosine", "ip"])
def test_given_queries_stay_and_serve_again_whenever_the_index_is_built_by_itself(sphere, metric):
    assert source(sphere) == "points" and stayed(sphere) is None
    roots = sphere.build_roots(metric=metric, queries=ASKED)
    assert [rule.source for rule in roots.calibrations] == ["queries"] * len(KS)
    first = stayed(sphere)
    assert first is not None and 250 <= len(first) <= 500
    assert {row.tobytes() for row in first} <= {row.tobytes() for row in ASKED}
    places = [int(np.flatnonzero((row == ASKED).all(axis=1))[0]) for row in first]
    assert len(set(np.diff(places))) == 1  # evenly spread
    sphere.close()
    sphere = Sphere.open(sphere.path)
    assert source(sphere) == "queries"
    for step, seed in enumerate((2, 3)):  # each time more than a quarter came later
        part = sphere.settings.roots_part
        sphere.import_arrays(rows(seed, 600 * (step + 1)), name=f"more-{step}")
        assert sphere.settings.roots_part != part
        assert np.array_equal(stayed(sphere), first) and source(sphere) == "queries"
    part = sphere.settings.roots_part
    sphere.compact()
    assert sphere.settings.roots_part != part and sphere.settings.roots_metric == metric
    assert np.array_equal(stayed(sphere), first) and source(sphere) == "queries"
    sphere.build_roots()
    assert stayed(sphere) is None and source(sphere) == "points"


def test_recall_holds_for_queries_of_another_distribution(sphere):
    """Questions that lie between the clusters, which points alone know nothing of."""
    some = rows(60, 1600)
    asked = some[:800] / 4 + some[800:]
    sphere.build_roots(queries=asked[:600])
    found = []
    for query in asked[600:700]:
        true = {hit.start for hit in sphere.search(vector=query, exact=True)}
        found.append(len(true & {hit.start for hit in sphere.search(vector=query, recall=0.9)}) / 10)
    assert np.mean(found) >= 0.86


def test_a_file_of_before_without_queries_still_loads(sphere, monkeypatch):
    write = kept.write_tensors

    def older(path, arrays, about):
        assert "asked" not in arrays
        write(path, arrays, {name: text for name, text in about.items() if name != "fit"})

    monkeypatch.setattr(kept, "write_tensors", older)
    sphere.build_roots()
    assert stayed(sphere) is None and source(sphere) == "points"
    sphere.import_arrays(rows(4, 600), name="more")
    assert source(sphere) == "points"


def test_queries_of_a_file_that_is_damaged_are_not_used(sphere):
    sphere.build_roots(queries=ASKED)
    path = sphere.path / "parts" / sphere.settings.roots_part / "roots.safetensors"
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    sphere.refresh()
    sphere.import_arrays(rows(5, 30), name="more")
    assert source(sphere) == "points"


WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper"]


@pytest.fixture
def written(tmp_path):
    """250 texts under a fitted encoder, and 300 questions."""
    rng = np.random.default_rng(9)
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(250):
        (folder / f"{number:03}.txt").write_text(" ".join(rng.choice(WORDS, 40, p=rng.dirichlet([0.3] * 10))))
    made = Sphere.create(tmp_path / "w.sphere", encoder="lsa")
    made.ingest(folder)
    return made, [" ".join(rng.choice(WORDS, 4)) for _ in range(300)]


def test_texts_are_embedded_by_the_collection_s_encoder_as_long_as_it_is_that(written):
    sphere, questions = written
    sphere.build_roots(partitions=20, queries=questions)
    assert sphere.encoder is not None
    wanted = sphere.encoder.encode([text.encode() for text in questions])
    np.testing.assert_array_equal(stayed(sphere), wanted)
    hits = sphere.search(questions[0], vectors=True, recall=0.5, k=3)
    assert "calibrated on queries" in hits.explain() or hits.status == "exact"
    sphere.compact()  # fits the encoder again: directions mean something else now
    assert stayed(sphere) is None and "calibrated on points" in sphere.info()["roots"]


def test_what_are_no_queries_is_told(sphere, written):
    texts, questions = written
    for collection, given, told in (
        (sphere, np.ones((5, 7)), "queries are 7 wide, the index is 24 wide"),
        (sphere, np.ones(24), "shape"),
        (sphere, np.full((3, 24), np.nan), "row 0 of the queries holds NaN"),
        (sphere, [], "there are no queries"),
        (sphere, questions, "no encoder that embeds texts; give the queries' vectors"),
        (texts, questions[0], "queries is one text; give a list"),
        (texts, ["amber", " \n"], "query 1 is empty"),
        (texts, ["amber", 3.0], "query 1 is float, others are texts"),
        (texts, ["amber", None], "query 1 is NoneType"),
        (texts, [[1.0], [1.0, 2.0]], "array of numbers"),
    ):
        before = collection.settings.roots_part
        with pytest.raises(InputError, match=told):
            collection.build_roots(queries=given)
        assert collection.settings.roots_part == before


def test_the_command_takes_questions_and_vectors(written, tmp_path, command):
    sphere, questions = written
    file = tmp_path / "questions.txt"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n\n".join([*questions, "  ", "été à la mer"]).encode())
    done = command("roots", sphere.path, "--partitions", 20, "--queries", file, "--json")
    made = json.loads(done.stdout)
    assert (made["calibrated_on"], made["calibration_queries"]) == ("queries", 301)
    assert "calibrated on queries" in done.stderr
    assert "calibrated on queries" in command("info", sphere.path).stdout
    np.save(tmp_path / "some.npy", rows(6, 250, sphere.points().embeddings.shape[1]))
    made = json.loads(command("roots", sphere.path, "--queries", tmp_path / "some.npy", "--json").stdout)
    assert (made["calibrated_on"], made["calibration_queries"]) == ("queries", 250)


def test_the_command_refuses_bad_files_in_one_line(sphere, tmp_path, capsys):
    (tmp_path / "latin.txt").write_bytes(b"one\ntwo\ncaf\xe9\n")
    (tmp_path / "blank.txt").write_bytes(b"\n \n\t\n")
    (tmp_path / "good.txt").write_bytes(b"one\n")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    np.save(tmp_path / "one.npy", np.ones(24))
    np.save(tmp_path / "narrow.npy", np.ones((3, 5)))
    np.save(tmp_path / "words.npy", np.array([["a"]]))
    for name, told in (
        ("none.txt", "there is no file"),
        ("none.npy", "there is no file"),
        ("latin.txt", "not UTF-8 in line 3"),
        ("blank.txt", "holds no question"),
        ("good.txt", "no encoder that embeds texts"),
        ("cut.npy", "not a sound .npy file"),
        ("one.npy", "is float64 [24]; give numbers [Q, D]"),
        ("words.npy", "is <U1 [1, 1]; give numbers [Q, D]"),
        ("narrow.npy", "queries are 5 wide, the index is 24 wide"),
    ):
        capsys.readouterr()
        assert run(["roots", str(sphere.path), "--queries", str(tmp_path / name)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ") and told in line
