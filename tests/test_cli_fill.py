"""`thesphere fill` and `thesphere map`, through the installed command."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from devtools import Browser, find_browser

from thesphere.store import map_tensors, write_tensors


@pytest.fixture
def filled(collection: Path, tmp_path: Path) -> Path:
    """A copy of the collection of notes, to change."""
    shutil.copytree(collection, tmp_path / "notes.sphere")
    return tmp_path / "notes.sphere"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file of embeddings with entropies."""
    rng = np.random.default_rng(1)
    lengths = rng.lognormal(sigma=0.3, size=(600, 1))
    embeddings = (rng.normal(size=(600, 16)) * lengths).astype(np.float32)
    arrays = {
        "embeddings": embeddings,
        "patch_entropies": rng.gamma(2, size=600).astype(np.float32),
        "prominence": np.linalg.norm(embeddings, axis=1),
        "bytes": np.zeros(600, np.uint8),
        "patch_lengths": np.ones(600, np.int32),
    }
    write_tensors(tmp_path / "rows.safetensors", arrays)
    return tmp_path / "rows.safetensors"


METHODS = [
    "quantile",
    "prominence",
    "osmotic",
    "hybrid",
    "energy",
    "entropy_weighted",
    "coherence",
    "lateral",
]


@pytest.mark.parametrize("method", METHODS)
def test_a_file_by_every_method(rows: Path, command, method: str):
    done = command("fill", rows, "--method", method, "--shells", 8, "--chart", "pca", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    arrays, metadata = map_tensors(rows.with_name("sphere_rows.safetensors"))
    assert metadata["method"] == method == told["method"] and told["converged"]
    assert arrays["radii"].shape == arrays["theta"].shape == (600,)
    np.testing.assert_array_equal(np.bincount(arrays["shells"], minlength=8), told["occupancy"])
    np.testing.assert_array_equal(
        arrays["sphere_coords"], np.stack([arrays["radii"], arrays["theta"], arrays["phi"]], 1)
    )
    assert sum(told["capacities"]) == sum(told["occupancy"]) == 600


def test_langevin(rows: Path, command):
    pytest.importorskip("jax")
    done = command("fill", rows, "--method", "langevin", "--shells", 8, "--temperature", 0.001, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["method"] == "langevin" and told["converged"] and sum(told["occupancy"]) == 600
    assert told["measures"]["temperature"] == 0.001


def test_temperature_spreads_the_shells(rows: Path, command):
    spread = []
    for temperature in (0.001, 1):
        done = command("fill", rows, "--method", "energy", "--temperature", temperature, "--json")
        spread.append(json.loads(done.stdout)["measures"]["shell_spread"])
    assert spread[0] < spread[1]


def test_a_folder_of_files(rows: Path, command, tmp_path: Path):
    shutil.copy(rows, tmp_path / "more.safetensors")
    done = command(
        "fill", tmp_path, "--orch-or", "--orch-or-temperature", "0.5", "--to", tmp_path / "out", "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [Path(each["source"]).name for each in told] == ["more.safetensors", "rows.safetensors"]
    assert {each["measures"]["temperature"] for each in told} == {0.5}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "sphere_more.safetensors",
        "sphere_rows.safetensors",
    ]


def test_auto_temperature_and_sweep(rows: Path, command):
    done = command("fill", rows, "--entropy-weighted", "--json")
    measures = json.loads(done.stdout)["measures"]
    assert 10 <= measures["allocation_ratio"] <= 100
    swept = command("fill", rows, "--sweep", "--json")
    told = json.loads(swept.stdout)
    assert told["auto"] == pytest.approx(measures["temperature"])
    temperatures = [row["temperature"] for row in told["sweep"]]
    assert temperatures == sorted(temperatures) and temperatures[0] == 1e-8 and temperatures[-1] == 1e3
    counts = [row["effective_count"] for row in told["sweep"]]
    assert counts[0] < 2 and counts[-1] > 100
    shown = command("fill", rows, "--sweep")
    assert shown.stdout.count("  auto") == 1 and len(shown.stdout.splitlines()) == len(temperatures) + 3


def test_a_collection_keeps_its_filling(filled: Path, command):
    done = command("fill", filled, "--shells", 2, "--inward", "--min-radius", 1, "--max-radius", 2, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["radii"] == [1.0, 2.0] and told["source"] == str(filled)
    info = json.loads(command("info", filled, "--json").stdout)
    assert info["filling"] == "quantile, 2 shells 1 to 2"
    more = filled.with_name("more.txt")
    more.write_text("The harbour at night, and a lamp.\n" * 40)
    assert command("ingest", more, "--into", filled).returncode == 0
    assert "points later" in json.loads(command("info", filled, "--json").stdout)["filling"]
    again = command("fill", filled, "--refill", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["tv"][-1] <= 0.01
    assert command("verify", filled).returncode == 0


def test_one_bad_file_of_a_folder(rows: Path, command, tmp_path: Path):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    done = command("fill", tmp_path, "--chart", "pca", "--json")
    assert done.returncode == 1 and "bad.safetensors" in done.stderr
    assert [Path(each["source"]).name for each in json.loads(done.stdout)] == ["rows.safetensors"]


def test_the_sweep_says_what_cannot_be_reached(tmp_path: Path, command):
    rng = np.random.default_rng(2)
    np.save(tmp_path / "v.npy", rng.normal(size=(50, 4)).astype(np.float32))
    write_tensors(
        tmp_path / "flat.safetensors",
        {
            "embeddings": rng.normal(size=(50, 4)).astype(np.float32),
            "patch_entropies": np.full(50, 2.0, np.float32),
        },
    )
    done = command("fill", tmp_path / "flat.safetensors", "--sweep")
    assert done.returncode == 0 and "this collection reaches" in done.stderr
    none = command("fill", tmp_path / "v.npy", "--sweep")
    assert none.returncode == 1 and "needs both" in none.stderr


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["nowhere.safetensors"], "there is nothing at", 1),
        (["{rows}", "--method", "quantil"], "did you mean 'quantile'", 1),
        (["{rows}", "--method", "energy", "--orch-or"], "choose one", 2),
        (["{rows}", "--orch-or-temperature", "hot"], "a number above 0", 2),
        (["{rows}", "--orch-or-temperature", "0"], "nats above 0", 1),
        (["{rows}", "--method", "osmotic", "--temperature", "1"], "has no temperature", 2),
        (["{rows}", "--refill"], "no collection", 2),
        (["{rows}", "--sweep", "--method", "energy"], "--method does not go with --sweep", 2),
        (["{rows}", "--to", "{rows}"], "is what is read", 1),
        (["{rows}", "--to", "x.npy"], "ends in .safetensors", 1),
        (["{filled}", "--refill", "--shells", "4"], "--shells does not go with --refill", 2),
        (["{rows}", "--shells", "0"], "shell", 1),
        (["{rows}", "--min-radius", "9", "--max-radius", "8"], "9", 1),
        (["{rows}", "--preset", "tiny"], "preset", 1),
        (["{filled}", "--to", "x"], "--to does not go with a collection", 2),
        (["{filled}", "--instructions", "nothing*"], "no source is called", 1),
        (["{empty}"], "no .safetensors", 1),
    ],
)
def test_wrong_calls_get_one_line(arguments, words, code, rows, filled, tmp_path, command):
    (tmp_path / "empty").mkdir()
    places = {"rows": rows, "filled": filled, "empty": tmp_path / "empty"}
    done = command("fill", *(each.format(**places) for each in arguments), cwd=tmp_path)
    assert done.returncode == code
    assert done.stdout == "" and len(done.stderr.strip().splitlines()) == 1 and words in done.stderr


def test_map(filled: Path, command, tmp_path: Path):
    pytest.importorskip("jax")
    pytest.importorskip("matplotlib")
    out, figures = tmp_path / "globe.html", tmp_path / "figures"
    done = command("map", filled, "--out", out, "--query", "rotate the keys", "--figures", figures, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bytes"] == out.stat().st_size and told["cones"] >= 1
    from thesphere import Sphere

    with Sphere.open(filled) as sphere:
        assert told["hits"] == [hit.point for hit in sphere.search("rotate the keys")]
    assert sorted(path.name for path in figures.iterdir()) == ["entropy.svg", "shells.svg", "spectrum.svg"]
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium on PATH")
    with Browser(browser) as page:
        page.open(out)
        assert page.run("window.thesphere.count") == told["points"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.sphere"], "no collection at"),
        (["{filled}", "--out", "no/where.html"], "no place for a file"),
        (["{filled}", "--out", "."], "no place for a file"),
        (["{filled}", "--excerpt", "0"], "excerpt"),
        (["{filled}", "-k", "0"], "1 or more"),
        (["{filled}", "--source", "a"], "give both"),
        (["{filled}", "--figures", "f", "--source", "nothing"], "no source is called"),
        (["{filled}", "--figures", "{filled}/catalog.db"], "cannot make"),
    ],
)
def test_wrong_maps_get_one_line(arguments, words, filled, tmp_path, command):
    pytest.importorskip("jax")
    command("fill", filled, "--chart", "pca")
    done = command("map", *(each.format(filled=filled) for each in arguments), cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert len(done.stderr.strip().splitlines()) == 1 and words in done.stderr


def test_a_question_without_an_answer_is_said(notes: Path, command, tmp_path: Path):
    pytest.importorskip("jax")
    words = tmp_path / "words.sphere"  # where vectors join, something is always near
    assert command("ingest", notes, "--into", words, "--encoder", "lsa").returncode == 0
    done = command("map", words, "--out", tmp_path / "g.html", "--query", "漢字")
    assert done.returncode == 0 and "nothing found" in done.stderr


def test_map_of_imported_rows_has_no_entropy_figure(rows: Path, command, tmp_path: Path):
    pytest.importorskip("jax")
    pytest.importorskip("matplotlib")
    np.save(tmp_path / "v.npy", np.random.default_rng(3).normal(size=(40, 4)).astype(np.float32))
    assert command("import", tmp_path / "v.npy", "--into", tmp_path / "v.sphere").returncode == 0
    done = command("map", tmp_path / "v.sphere", "--out", tmp_path / "g.html", "--figures", tmp_path / "f")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["shells.svg", "spectrum.svg"]
    refused = command("fill", tmp_path / "v.sphere", "--orch-or")
    assert refused.returncode == 1 and "needs entropies" in refused.stderr


def test_two_files_of_one_stem(rows: Path, command, tmp_path: Path):
    np.save(tmp_path / "rows.npy", np.ones((4, 2), np.float32))
    done = command("fill", tmp_path)
    assert done.returncode == 1 and "one file" in done.stderr and not list(tmp_path.glob("sphere_*"))


def test_a_refill_moves_no_more_than_the_balance_asks(tmp_path: Path, command):
    rng = np.random.default_rng(5)
    for number, count in enumerate((4000, 40)):
        np.save(tmp_path / f"{number}.npy", rng.normal(size=(count, 8)).astype(np.float32))
        done = command("import", tmp_path / f"{number}.npy", "--into", tmp_path / "v.sphere")
        assert done.returncode == 0, done.stderr
        if number == 0:
            filled = command("fill", tmp_path / "v.sphere", "--chart", "pca", "--shells", 16)
            assert filled.returncode == 0, filled.stderr
    told = json.loads(command("fill", tmp_path / "v.sphere", "--refill", "--json").stdout)
    assert told["converged"] and told["measures"]["moved"] == 0 and 0 < told["tv"][-1] <= 0.01
