"""`thesphere train`: models of one's own, used at once; stopped and gone on with; what cannot be asked for."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

pytest.importorskip("optax")
import jax

import thesphere.cli.train as train_module
import thesphere.train.outcome as outcome_module
from thesphere.cli.app import run
from thesphere.encoders import open_encoder
from thesphere.errors import FormatError, NotFoundError
from thesphere.nn.contexts import KNOWN
from thesphere.patches import open_entropy_model
from thesphere.train.recipes import RECIPES

ENTROPY = ["--steps", 6, "--width", 16, "--blocks", 1, "--contexts", 50, "--lanes", 2, "--window", 8]
ENCODER = ["--steps", 4, "--width", 64, "--layers", 1, "--rows", 512, "--batch", 8]
COUNTS = ("few", "some", "many", "all", "most", "none", "two", "three", "four", "five")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment, and this process, with a cache of what is compiled: the same step is compiled once."""
    names = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in names}
    for name, value in names.items():
        jax.config.update(name, value)
    yield os.environ | {name.upper(): str(value) for name, value in names.items()}
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty small notes."""
    folder = tmp_path_factory.mktemp("own") / "texts"
    folder.mkdir()
    for number in range(40):
        one, two = COUNTS[number % 10], COUNTS[number // 10]
        (folder / f"{number}.md").write_text(
            f"# The {one} keys of {two} doors\n\nThe {one} keys are made of brass. They open {two} doors of the"
            f" house. A key that is lost in room {number} is made again by {one} smiths.\n"
        )
    return folder


@pytest.fixture(scope="session")
def entropy(texts: Path, compiled: dict[str, str], command) -> Path:
    """A trained entropy model. Tests must not change it."""
    out = texts.parent / "entropy"
    done = command("train", "entropy", texts, "--out", out, *ENTROPY, env=compiled)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "bits per byte" in done.stderr
    return out


@pytest.fixture(scope="session")
def encoder(texts: Path, compiled: dict[str, str]) -> Path:
    """A trained encoder. Tests must not change it."""
    out = texts.parent / "encoder"
    assert run(["train", "encoder", str(texts), "--out", str(out), *map(str, ENCODER)]) == 0
    return out


def test_an_entropy_model_says_what_it_is(entropy: Path, texts: Path, capsys: pytest.CaptureFixture[str]):
    assert {path.name for path in entropy.iterdir()} >= {
        "run.json", "weights.safetensors", "figures.json", "model.md"
    }  # fmt: skip
    figures = json.loads((entropy / "figures.json").read_text())
    assert figures["cost"]["steps"] == 6 and figures["cost"]["bytes_read"] == 6 * 2 * 8
    assert figures["curve"][-1]["step"] == 6 and figures["sizes"]["width"] == 16
    bits = figures["bits_per_byte"][".md"]
    assert 4 < bits["this model"] < 9 and bits["small (shipped)"] < 4 and bits["gzip -9"] > 0
    told = figures["data"]["trained"]["text"], figures["data"]["held_out"][".md"]
    assert sum(each["texts"] for each in told) == 40
    assert sum(each["bytes"] for each in told) == sum(path.stat().st_size for path in texts.iterdir())
    card = (entropy / "model.md").read_text()
    assert figures["weights"]["sha256"] in card and told[0]["sha256"] in card
    assert f"thesphere train entropy {texts} --out {entropy} --steps 6" in card
    assert run(["train", "entropy", str(texts), "--out", str(entropy), *map(str, ENTROPY), "--json"]) == 0
    again = capsys.readouterr()
    assert "is trained already" in again.err and json.loads(again.out) == figures


def test_an_entropy_model_is_used_at_once(
    entropy: Path, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    weights, into = shutil.copytree(entropy, tmp_path / "model"), str(tmp_path / "a.sphere")
    ingest = ["ingest", str(texts), "--into", into, "--encoder", "none", "--entropy"]
    assert run([*ingest, str(weights)]) == 0
    file = weights / "weights.safetensors"
    model = open_entropy_model(str(file))
    assert model.id.endswith(f":{file}") and open_entropy_model(model.id).id == model.id
    assert run(["info", into]) == 0
    assert model.id in capsys.readouterr().out
    assert run([*ingest, str(file)]) == 0  # the same model, by another name
    assert run([*ingest, "small"]) == 1
    assert f"was made with entropy {model.id}" in capsys.readouterr().err
    entropies = model.entropies(b"The keys are made of brass.")
    assert entropies.shape == (27,) and 0 <= entropies.min() <= entropies.max() <= np.float32(np.log(256))
    file.rename(tmp_path / "elsewhere")
    assert run([*ingest[:4]]) == 1
    assert "that this collection was cut with are gone" in capsys.readouterr().err
    assert run(["info", into]) == 0 and "(the file is gone)" in capsys.readouterr().out
    assert run(["search", into, "brass keys", "-k", "1"]) == 0
    assert run(["remove", into, "texts/1.md"]) == 0
    tensors = load_file(tmp_path / "elsewhere")
    save_file(tensors | {"bias": tensors["bias"] + 1}, file)
    capsys.readouterr()
    assert run([*ingest[:4]]) == 1
    assert "holds other weights" in capsys.readouterr().err
    with pytest.raises(FormatError, match="holds other weights"):
        open_entropy_model(model.id)


def stopped_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends SIGINT when step `number` is told."""
    usual = train_module._Talk.__call__

    def told(self, line: str) -> None:
        usual(self, line)
        if line.startswith(f"step {number}/"):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(train_module._Talk, "__call__", told)


def test_a_training_that_was_stopped_ends_with_the_same_weights(
    entropy: Path,
    texts: Path,
    compiled: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    out = tmp_path / "stopped"
    line = ["train", "entropy", str(texts), "--out", str(out), *map(str, ENTROPY)]
    with monkeypatch.context() as patch:
        stopped_at(2, patch)
        assert run(line) == 130
    assert capsys.readouterr().err.splitlines()[-1] == (
        "interrupted after step 3 of 6 and the state is kept; run the same command again and it goes on"
    )
    assert (out / "checkpoint.safetensors").exists() and not (out / "weights.safetensors").exists()
    assert run([*line[:-1], "16"]) == 1
    assert "holds a training with window 8, not 16; repeat" in capsys.readouterr().err
    assert run(line) == 0
    assert "goes on after step 3 of 6" in capsys.readouterr().err
    whole, parts = (load_file(folder / "weights.safetensors") for folder in (entropy, out))
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        np.testing.assert_array_equal(tensor, parts[name])
    figures = [json.loads((folder / "figures.json").read_text()) for folder in (entropy, out)]
    assert figures[0]["curve"] == figures[1]["curve"] and not (out / "checkpoint.safetensors").exists()


def test_an_encoder_says_what_it_is_and_is_used_at_once(
    encoder: Path, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    figures = json.loads((encoder / "figures.json").read_text())
    assert figures["sizes"]["width"] == 64 and figures["data"]["pairs"]["heading and text"] > 10
    for name in ("this model", "lsa"):
        assert 0 <= figures["held_out"][name]["recall@1"] <= figures["held_out"][name]["recall@10"] <= 1
    assert "| this model |" in (encoder / "model.md").read_text()
    weights, into = shutil.copytree(encoder, tmp_path / "model"), str(tmp_path / "a.sphere")
    assert run(["ingest", str(texts), "--into", into, "--encoder", f"sphere-light:{weights}"]) == 0
    assert run(["search", into, "keys made of brass", "-k", "1", "--verify"]) == 0
    id = open_encoder(f"sphere-light:{weights}").id
    assert id.endswith(f":{weights}/weights.safetensors") and open_encoder(id).width == 384
    capsys.readouterr()
    assert run(["info", into, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["encoder"] == id
    (weights / "weights.safetensors").unlink()
    assert run(["search", into, "keys"]) == 1
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and "weights.safetensors" in told and "--no-vectors" in told
    assert run(["search", into, "keys", "--no-vectors", "-k", "1", "--verify"]) == 0
    with pytest.raises(NotFoundError):
        open_encoder(id)


def test_training_goes_on_from_weights(
    encoder: Path, entropy: Path, texts: Path, compiled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "further"
    line = [
        "train",
        "entropy",
        str(texts),
        "--out",
        str(out),
        "--steps",
        "1",
        "--lanes",
        "2",
        "--window",
        "8",
    ]
    assert run([*line, "--from", str(entropy)]) == 0
    sizes = [json.loads((folder / "figures.json").read_text())["sizes"] for folder in (entropy, out)]
    assert sizes[0] == sizes[1]
    before, after = (load_file(folder / "weights.safetensors") for folder in (entropy, out))
    np.testing.assert_array_equal(before["keys"], after["keys"])
    moved = np.abs(before["byte"].astype(int) - after["byte"])
    assert 0 < np.count_nonzero(moved) and moved.max() < 20  # one step from there, in levels of 127
    capsys.readouterr()
    line = ["train", "encoder", str(texts), "--out", str(tmp_path / "no"), "--kind", "sphere", "--batch", "8"]
    assert run([*line, "--from", str(encoder)]) == 1
    assert "are not those of sphere" in capsys.readouterr().err
    assert run([*line, "--from", str(tmp_path / "nowhere")]) == 1
    assert "there are no weights at" in capsys.readouterr().err
    (tmp_path / "bad").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    assert run([*line, "--from", str(tmp_path / "bad")]) == 1
    assert "bad" in capsys.readouterr().err and not (tmp_path / "no").exists()


WRONG = [
    (["entropy", "TEXTS"], "--out is missing", 2),
    (["entropy", "--out", "OUT"], "name the files and folders", 2),
    (["entropy", "TEXTS", "--corpus", "x", "--out", "OUT"], "one of the two", 2),
    (["encoder", "--out", "OUT"], "no path was given", 2),
    (["encode"], "did you mean 'encoder'", 2),
    (["encoder", "TEXTS", "--out", "OUT", "--kind", "heavy"], "sphere-light", 2),
    (["entropy", "TEXTS", "--out", "OUT", "--steps", "many"], "--steps", 2),
    (["entropy", "nowhere", "--out", "OUT"], "does not exist", 1),
    (["entropy", "--corpus", "nowhere", "--out", "OUT"], "no packed corpus at nowhere", 1),
    (["entropy", "--corpus", "SHORT", "--out", "OUT"], "no packed corpus", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--seed", "-1"], "a seed of -1", 1),
    (["encoder", "TEXTS", "--out", "OUT", "--seed", "-1"], "a seed of -1", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--contexts", "0"], "tables of 0 contexts", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--steps", "3000000000"], "give 1 to 2,147,483,647", 1),
    (["entropy", "SHORT", "--out", "OUT"], "bytes of text were found", 1),
    (["encoder", "SHORT", "--out", "OUT"], "bytes of text were found", 1),
    (["entropy", "TEXTS", "--out", "TEXTS"], "holds other files", 1),
    (["entropy", "TEXTS", "--out", "OUT/deeper"], "make it first", 1),
    (["entropy", "TEXTS", "--out", "/dev/null/model"], "make it first", 1),
    (["encoder", "TEXTS", "--out", "FULL"], "cannot be written to", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--steps", "0"], "give 1 or more", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--minutes", "0"], "minutes cannot be kept to", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--width", "100"], "multiple of 16", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--width", "4096"], "16 to 1024", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--blocks", "99"], "1 to 32", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--contexts", "99999"], "contexts are not possible", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--window", "1"], "8 to 65,536", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--rate", "nan"], "rate of nan", 1),
    (["entropy", "TEXTS", "--out", "OUT", "--from", "nowhere"], "no weights at", 1),
    (["encoder", "TEXTS", "--out", "OUT", "--width", "100"], "multiple of 64", 1),
    (["encoder", "TEXTS", "--out", "OUT", "--batch", "7"], "multiple of 4", 1),
    (["encoder", "TEXTS", "--out", "OUT", "--batch", "4096"], "pairs to learn from", 1),
    (["encoder", "TEXTS", "--out", "OUT", "--rows", "1"], "64 to", 1),
    (["encoder", "TEXTS", "--out", "OUT", "--teacher", "minilmm"], "did you mean 'minilm'", 1),
]


@pytest.mark.parametrize(("given", "told", "code"), WRONG, ids=[" ".join(each[0]) for each in WRONG])
def test_what_cannot_be_asked_for(
    given: list[str], told: str, code: int, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "short.txt").write_text("too short")
    places = {"TEXTS": texts, "OUT": tmp_path / "out", "SHORT": tmp_path / "short.txt"}
    places["FULL"] = tmp_path / ("n" * 300)  # no file system takes such a name
    line = [str(places.get(each, each.replace("OUT", str(tmp_path / "out")))) for each in given]
    before = sorted(texts.iterdir())
    assert run(["train", *line]) == code
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert said.err.startswith("error: ") and told in said.err
    assert not (tmp_path / "out").exists() and sorted(texts.iterdir()) == before


def test_too_little_memory(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    usual = outcome_module.hardware()
    monkeypatch.setattr(
        outcome_module, "hardware", lambda: type(usual)(**(vars(usual) | {"memory_bytes": 1 << 28}))
    )
    for name in ("entropy", "encoder"):
        assert run(["train", name, str(texts), "--out", str(tmp_path / "out"), "--steps", "1"]) == 1
        told = capsys.readouterr().err
        assert "GB of memory and the machine has 0.3 GB; give" in told
    assert not (tmp_path / "out").exists()


def test_kernels_without_a_gpu(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("jax.default_backend", lambda: "cpu")
    for name in ("entropy", "encoder"):
        line = ["train", name, str(texts), "--out", str(tmp_path / "out"), "--steps", "1", "--kernel"]
        assert run(line) == 1
        assert "--kernel needs an NVIDIA GPU, and JAX finds only a cpu here" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_jax(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    find: Callable = train_module.find_spec
    monkeypatch.setattr(train_module, "find_spec", lambda name: None if name == "optax" else find(name))
    for name in ("entropy", "encoder"):
        assert run(["train", name, str(texts), "--out", str(tmp_path / "out")]) == 1
        assert "pip install 'thesphere[jax]'" in capsys.readouterr().err


def test_the_packed_corpus_and_the_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from thesphere.nn.shape import SHAPES
    from thesphere.train import entropy_run
    from thesphere.train.corpora import Corpus, save_corpus

    corpus = Corpus(
        {name: [name.encode() * 9] for name in RECIPES["small"].shares}, {"npm:held": [b"held out"]}
    )
    save_corpus(corpus, tmp_path / "corpus.xz")
    asked = []

    def captured(*given, **named):
        asked.append((*given, named["shares"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(entropy_run, "train_entropy", captured)
    out = str(tmp_path / "out")
    for name, recipe in RECIPES.items():
        line = ["train", "entropy", "--corpus", str(tmp_path / "corpus.xz"), "--like", name, "--out", out]
        assert run([*line, "--kernel"]) == 130
        parts, held_out, path, wish, shares = asked.pop()
        assert (parts, held_out, path) == (corpus.parts, corpus.held_out, out)
        shape = SHAPES[name]
        assert (wish.width, wish.blocks, wish.rows) == (shape.width, shape.blocks, shape.rows)
        told = (wish.steps, wish.lanes, wish.window, wish.decay, wish.kernel)
        assert told == (recipe.steps, recipe.lanes, recipe.window, recipe.decay, True)
        assert shares == recipe.shares and abs(sum(shares.values()) - 1) < 1e-9
        assert run([*line, "--steps", "5", "--contexts", "7"]) == 130
        assert asked.pop()[3] == replace(wish, steps=5, rows=(7,) * KNOWN, kernel=False)


@pytest.mark.parametrize("kind", ["sphere", "sphere-light"])
@pytest.mark.parametrize("width", [0, 64, 192, 256, 1024])
def test_every_size_that_can_be_asked_for_can_be_run(kind: str, width: int):
    from thesphere.encoders.sphere import load_sphere
    from thesphere.nn.sphere_shape import random_weights
    from thesphere.train.encoder_run import EncoderWish

    shape = EncoderWish(kind=kind, width=width, layers=1, rows=300).shape
    encoder = load_sphere(save(random_weights(shape, 0)), kind, "random", "random weights")
    assert encoder.shape == shape and abs(sum(shape.rows) - 300) < 20
    rows = encoder.encode([b"the keys of the house", b"doors"])
    assert rows.shape == (2, 384) and np.isfinite(rows).all() and not (rows[0] == rows[1]).all()


def test_a_curve_as_a_line():
    from thesphere.cli.console import sparkline

    encoding = (sys.stderr.encoding or "").lower()
    assert encoding.startswith("utf")
    assert sparkline([3, 2, 1, 0]) == "█▆▃▁" and sparkline([]) == "" and sparkline([1, 1]) == "▁▁"
    assert len(sparkline(list(range(1000)))) == 60
