"""The loop of training: what is stopped and goes on ends as if it had not been stopped; folders; own texts."""

import json
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from thesphere.errors import FormatError, InputError, NotFoundError, SphereError
from thesphere.train.folder import Text, by_kind, pairs_of, texts_of
from thesphere.train.outcome import claim, digest_of, need_memory, read_weights

pytest.importorskip("jax")
import jax.numpy as jnp

from thesphere.train import run as loop

STEPS = 7


def fresh() -> dict:
    return {"x": jnp.linspace(0, 1, 5, dtype=jnp.float32), "count": jnp.zeros((), jnp.int32)}


def step(state: dict, at: int) -> tuple[dict, dict]:
    """Something whose result depends on the order and number of steps."""
    x = state["x"] * jnp.float32(1.1) + jnp.float32(at)
    return {"x": x, "count": state["count"] + 1}, {"loss": x.sum(), "size": jnp.abs(x).max()}


def interrupted(at: int, path: Path, number: signal.Signals = signal.SIGINT) -> None:
    """A run that is sent a signal in its step `at`."""

    def stopping(state, here):
        if here == at:
            signal.raise_signal(number)
        return step(state, here)

    with pytest.raises(KeyboardInterrupt, match=f"after step {at + 1} of {STEPS}"):
        loop.run(fresh(), stopping, STEPS, checkpoint=path, wish="a")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("points", [100, 3])
def test_a_run_that_was_stopped_ends_like_one_that_was_not(
    points: int, number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "POINTS", points)
    whole, curve = loop.run(fresh(), step, STEPS)
    usual = signal.getsignal(number)
    path = tmp_path / "checkpoint"
    interrupted(1, path, number)
    interrupted(4, path, number)
    assert signal.getsignal(number) == usual
    lines = []
    state, again = loop.run(fresh(), step, STEPS, checkpoint=path, wish="a", say=lines.append)
    assert lines[0] == f"goes on after step 5 of {STEPS}" and int(state["count"]) == STEPS
    np.testing.assert_array_equal(state["x"], whole["x"])
    assert again.points == curve.points and again.points[-1]["loss"] > again.points[0]["loss"]
    assert again.points[-1]["step"] == STEPS and len(again.points) == (STEPS if points == 100 else 3)
    later, same = loop.run(
        fresh(), lambda state, at: pytest.fail("it is done"), STEPS, checkpoint=path, wish="a"
    )
    np.testing.assert_array_equal(later["x"], whole["x"])
    assert same.points == curve.points


def test_checkpoints_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    loop.run(fresh(), step, 2, checkpoint=path, wish="a")
    with pytest.raises(FormatError, match="other settings or other texts"):
        loop.run(fresh(), step, 3, checkpoint=path, wish="b")
    with pytest.raises(FormatError, match="other settings or other texts"):
        loop.run({"x": jnp.zeros(4)}, step, 3, checkpoint=path, wish="a")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FormatError, match="no checkpoint that can be gone on from"):
        loop.run(fresh(), step, 3, checkpoint=path, wish="a")


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    def diverging(state, at):
        return state, {"loss": jnp.float32(1) if at < 3 else jnp.float32(jnp.nan)}

    with pytest.raises(InputError, match="loss became nan"):
        loop.run(fresh(), diverging, STEPS, checkpoint=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_elsewhere_than_in_the_main_thread_no_signal_is_taken() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(loop.run(fresh(), step, STEPS)[0]["x"]))
    usual = signal.getsignal(signal.SIGINT)
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0], loop.run(fresh(), step, STEPS)[0]["x"])
    assert signal.getsignal(signal.SIGINT) == usual


def test_pace_is_taken_on_a_copy() -> None:
    state = fresh()
    assert loop.steps_in(state, step, 0.1) > loop.steps_in(state, step, 1e-9) == 1
    np.testing.assert_array_equal(state["x"], fresh()["x"])


def test_a_folder_belongs_to_one_training(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    first = claim(folder, {"width": 64, "rows": (1, 2), "texts": {"a": 1}})
    first.settle(steps=5)
    assert claim(folder, {"width": 64, "rows": (1, 2), "texts": {"a": 1}}).settled == {"steps": 5}
    assert claim(folder, {"width": 32}).settled == {}  # nothing was trained yet
    first.checkpoint.touch()
    with pytest.raises(InputError, match="training with width 32, not 64"):
        claim(folder, {"width": 64})
    assert first.done is None
    weights = {"b": np.arange(3.0), "a": np.eye(2, dtype=np.int8)}
    first.deliver(weights, {"it": 1}, lambda figures: f"card of {figures['weights']['bytes']}")
    assert first.done is not None and first.done["it"] == 1 and not first.checkpoint.exists()
    assert (folder / "model.md").read_text() == f"card of {(folder / 'weights.safetensors').stat().st_size}"
    assert digest_of(read_weights(folder)) == digest_of(weights) != digest_of({"b": weights["b"]})
    (folder / "figures.json").write_text("{")
    with pytest.raises(FormatError, match="cannot be read"):
        first.done  # noqa: B018
    (folder / "run.json").write_text("[]")
    with pytest.raises(FormatError, match="choose another folder"):
        claim(folder, {"width": 64})


def test_places_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        claim(tmp_path / "file", {})
    with pytest.raises(InputError, match="holds other files"):
        claim(tmp_path, {})
    with pytest.raises(NotFoundError, match="make it first"):
        claim(tmp_path / "no" / "model", {})
    with pytest.raises(SphereError, match="cannot be written to"):
        claim(tmp_path / ("n" * 300), {})  # no file system takes such a name
    with pytest.raises(NotFoundError, match="no weights"):
        read_weights(tmp_path)


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    need_memory(1 << 20, "")
    with pytest.raises(InputError, match="about 1000000.0 GB .* and the machine has .*; give less"):
        need_memory(10**15, "give less")


def write_some(folder: Path) -> None:
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.md").write_text(
            f"# Number {number}\n\n" + f"This is about {number * 7919}. " * 20
        )
    (folder / "copy.md").write_text((folder / "1.md").read_text())
    (folder / "picture.png").write_bytes(bytes(range(256)) * 20)
    (folder / "latin.txt").write_bytes("Füße und Käse, über und über. ".encode("latin-1") * 40)


def test_texts_of_a_folder(tmp_path: Path) -> None:
    write_some(tmp_path / "a")
    texts = texts_of([str(tmp_path / "a")])
    trained, held_out = ({text.data for text in some} for some in (texts.trained, texts.held_out))
    assert trained.isdisjoint(held_out) and len(trained) + len(held_out) == 41 and texts.skipped == 1
    assert 0.02 < texts.held_out_size / (texts.size + texts.held_out_size) <= 0.05
    assert any("Füße".encode() in data for data in trained | held_out)
    (tmp_path / "a" / "1.md").rename(tmp_path / "a" / "renamed.md")  # what is learned depends on bytes alone
    assert texts_of([str(tmp_path / "a")]).fingerprint == texts.fingerprint
    assert texts_of([str(tmp_path / "a")], most=10_000).size <= 10_000
    assert set(by_kind([*texts.trained, *texts.held_out])) == {".md", ".txt"}
    assert set(by_kind([*texts.trained, *texts.held_out], 1)) == {".md", "other"}


def test_one_text_is_held_out_at_its_end(tmp_path: Path) -> None:
    file = tmp_path / "book.txt"
    file.write_text("".join(f"line {number} of a book\n" for number in range(1000)))
    texts = texts_of([str(file)])
    (head,), (tail,) = texts.trained, texts.held_out
    assert head.data + tail.data == file.read_bytes() and head.data.endswith(b"\n")
    assert 0.03 < len(tail.data) / len(file.read_bytes()) <= 0.05


def test_too_little_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("short")
    with pytest.raises(InputError, match="5 bytes of text were found"):
        texts_of([str(tmp_path)])
    (tmp_path / "b.bin").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(InputError, match=r"were found in .* \(1 of the files are no text to learn from\)"):
        texts_of([str(tmp_path)])
    with pytest.raises(NotFoundError, match="does not exist"):
        texts_of([str(tmp_path / "no")])
    with pytest.raises(InputError, match="training needs 2,000 or more"):
        texts_of([str(tmp_path)], most=10)


def test_pairs_of_texts() -> None:
    python = (
        b'def file_size(path):\n    """Returns the size of a file."""\n    return os.stat(path).st_size\n'
    )
    prose = b"# Keys\n\nKeys open doors. They are made of brass. Some of them are lost.\n"
    page = b"<h1>Doors</h1><p>Doors are wide. They are made of wood. Most of them have locks.</p>"
    texts = [
        Text(*each) for each in (("a.py", python, "code"), ("b.md", prose, "text"), ("c.html", page, "text"))
    ]
    pairs = pairs_of(texts, seed=3)
    assert pairs == pairs_of(texts, seed=3)
    assert {(pair.text, pair.kind) for pair in pairs} >= {
        (0, "docstring and function"), (0, "name and function"), (1, "heading and text"),
        (1, "first sentence and the rest"), (2, "heading and text"), (2, "sentence and its passage"),
    }  # fmt: skip
    queries = {pair.query: pair.passage for pair in pairs}
    assert b"Returns the size" not in queries[b"file size"] and b"st_size" in queries[b"file size"]
    assert queries[b"Keys"] == b"Keys open doors. They are made of brass. Some of them are lost."
    cloze = next(pair for pair in pairs if pair.kind == "sentence and its passage" and pair.text == 2)
    assert cloze.query not in cloze.passage and cloze.query in page
    assert json.dumps([pair.kind for pair in pairs_of([])]) == "[]"
