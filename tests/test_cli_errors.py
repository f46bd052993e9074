"""Every wrong input ends in one clear line, a non-zero exit code and an untouched collection."""

import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import COMMAND
from safetensors.numpy import save_file

from thesphere.cli.app import run

Wrong = Callable[..., str]


def state(folder: Path) -> dict[str, bytes]:
    """Every file below a collection but its lock, which tells who wrote last."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "writer.lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def wrong(collection: Path, capsys: pytest.CaptureFixture[str]) -> Wrong:
    """Runs a command that must fail, and returns the one line that it says."""

    def call(*arguments: object, code: int = 1, lines: int = 1) -> str:
        before = state(collection)
        assert run([str(each) for each in arguments]) == code
        told = capsys.readouterr()
        assert told.out == ""
        said = told.err.splitlines()
        assert len(said) == lines, told.err
        assert said[-1].startswith("error: ") and len(said[-1]) > 20
        assert "Traceback" not in told.err
        assert state(collection) == before
        return said[-1]

    return call


def test_usage(wrong: Wrong, collection: Path, notes: Path):
    assert "did you mean 'search'" in wrong("serach", code=2)
    assert "choose one of demo" in wrong("frobnicate", code=2)
    assert "--into" in wrong("ingest", notes, code=2)
    assert "Did you mean --into" in wrong("ingest", notes, "--inot", collection, code=2)
    assert "no path was given" in wrong("ingest", "--into", collection, code=2)
    assert "is not a size" in wrong("ingest", notes, "--into", collection, "--max-size", "3x", code=2)
    assert "patch" in wrong("ingest", notes, "--into", collection, "--points", "word", code=2)
    assert "give one of them" in wrong("search", collection, code=2)
    assert "give one of them" in wrong("search", collection, "fox", "--contains", "fox", code=2)
    assert "-k" in wrong("search", collection, "fox", "-k", "many", code=2)
    assert "no source was named" in wrong("remove", collection, code=2)
    assert "v3" in wrong("export", collection, "--to", "x", "--layout", "v9", code=2)


def test_paths_that_do_not_exist(wrong: Wrong, collection: Path, tmp_path: Path):
    assert "nowhere.sphere" in wrong("search", tmp_path / "nowhere.sphere", "fox")
    for command in ("info", "signals", "compact", "verify"):
        assert "no collection at" in wrong(command, tmp_path / "nowhere.sphere")
    assert "does not exist" in wrong("ingest", tmp_path / "nope", "--into", collection)
    assert "does not exist" in wrong("ingest", tmp_path / "nope", "--into", tmp_path / "new.sphere")
    assert "does not exist" in wrong("demo", tmp_path / "nope")
    assert "no source is called" in wrong("remove", collection, "notes/keys.py", "nope")
    assert "does not exist" in wrong("ingest", collection, "--into", tmp_path / "nope" / "new.sphere")
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_read(wrong: Wrong, collection: Path, notes: Path, tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for into in (collection, tmp_path / "new.sphere"):
        assert "nothing to read" in wrong("ingest", empty, "--into", into, lines=2)
        assert "empty.txt: empty" in wrong("ingest", notes / "empty.txt", "--into", into, lines=3)
    assert list(tmp_path.iterdir()) == [empty]


def test_empty_questions(wrong: Wrong, collection: Path):
    assert "the query is empty" in wrong("search", collection, "")
    assert "the query is empty" in wrong("search", collection, "  ")
    assert "empty" in wrong("search", collection, "--contains", "")
    assert "at least 1" in wrong("search", collection, "fox", "-k", "0")
    assert "hexadecimal" in wrong("search", collection, "--contains", "hex:xyz")


def test_not_a_collection(wrong: Wrong, notes: Path, tmp_path: Path):
    assert "not a collection" in wrong("search", notes, "fox")
    assert "not a collection" in wrong("search", notes / "keys.py", "fox")
    assert "not a collection" in wrong("ingest", notes, "--into", notes / "keys.py")
    assert "not a collection" in wrong("ingest", notes, "--into", notes)
    assert "ends in .sphere" in wrong("ingest", notes, "--into", tmp_path / "plain")
    broken = tmp_path / "broken.sphere"
    broken.mkdir()
    (broken / "catalog.db").write_bytes(b"not a database at all" * 100)
    assert "broken.sphere" in wrong("search", broken, "fox")


def test_newer_schema(wrong: Wrong, collection: Path, tmp_path: Path):
    newer = shutil.copytree(collection, tmp_path / "newer.sphere")
    connection = sqlite3.connect(newer / "catalog.db")
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = state(newer)
    for command in (["search", newer, "fox"], ["ingest", newer, "--into", newer], ["verify", newer]):
        assert "newer" in wrong(*command)
    assert state(newer) == before


def test_settings_that_contradict(wrong: Wrong, collection: Path, notes: Path, tmp_path: Path):
    for option in (["--points", "patch"], ["--passage-bytes", "256"], ["--encoder", "none"], ["--no-copy"]):
        told = wrong("ingest", notes, "--into", collection, *option)
        assert option[0] in told and "another collection" in told
    new = tmp_path / "new.sphere"
    assert "did you mean 'lsa'" in wrong("ingest", notes, "--into", new, "--encoder", "lsaa")
    assert "entropy" in wrong("ingest", notes, "--into", new, "--entropy", "huge")
    assert "64 to 4096" in wrong("ingest", notes, "--into", new, "--passage-bytes", "3")
    assert not new.exists()


def test_missing_extras(
    wrong: Wrong, collection: Path, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def connect(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.setitem(sys.modules, "polars", None)
    new = tmp_path / "new.sphere"
    told = wrong("ingest", notes, "--into", new, "--encoder", "sentence-transformers:some/name")
    assert "pip install 'thesphere[sentence-transformers]'" in told
    rows = tmp_path / "rows.parquet"
    rows.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    assert "thesphere[rows]" in wrong("ingest", rows, "--into", collection)
    assert "thesphere[rows]" in wrong("ingest", rows, "--into", new)
    assert not new.exists()


def test_files_that_are_not_embeddings(wrong: Wrong, notes: Path, collection: Path, tmp_path: Path):
    whole, cut, foreign = (tmp_path / f"{name}.safetensors" for name in ("whole", "cut", "foreign"))
    rows = np.ones((20, 8), np.float32)
    save_file({"embeddings": rows, "prominence": rows[:, 0]}, whole)
    cut.write_bytes(whole.read_bytes()[:-16])
    save_file({"weights": rows}, foreign)
    bad = rows.copy()
    bad[3, 3] = np.nan
    save_file({"embeddings": bad}, tmp_path / "nan.safetensors")
    into = tmp_path / "new.sphere"
    wrong_files = [cut, foreign, tmp_path / "nan.safetensors", notes / "keys.py", tmp_path / "nope.npy"]
    for file in wrong_files:
        assert file.name in wrong("import", file, "--into", into)
        assert not into.exists()
    wrong("import", whole, "--into", collection)


def test_export_where_it_cannot_be(wrong: Wrong, collection: Path, tmp_path: Path):
    assert "nope" in wrong("export", collection, "--to", tmp_path / "nope" / "x.safetensors")


def test_vectors_without_an_encoder(wrong: Wrong, notes: Path, tmp_path: Path):
    bare = tmp_path / "bare.sphere"
    assert run(["ingest", str(notes / "keys.py"), "--into", str(bare), "--encoder", "none"]) == 0
    assert "no encoder" in wrong("search", bare, "keys", "--vectors", lines=2)
    assert "no embeddings" in wrong("signals", bare)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(wrong: Wrong, collection: Path, notes: Path, tmp_path: Path):
    fixed = shutil.copytree(collection, tmp_path / "fixed.sphere")
    for path in [*fixed.rglob("*"), fixed]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    tmp_path.chmod(0o555)
    try:
        assert run(["search", str(fixed), "fox"]) == 0
        (notes / "more.txt").write_text("more")
        wrong("ingest", notes, "--into", fixed)
        wrong("ingest", notes, "--into", tmp_path / "new.sphere")
    finally:
        (notes / "more.txt").unlink()
        for path in [tmp_path, fixed, *fixed.rglob("*")]:
            path.chmod(0o755)


@pytest.mark.parametrize("room", [100, 4_000, 60_000])
def test_full_disk(room: int, collection: Path, tmp_path: Path, command):
    """A limit on the size of files stands in for a disk without room."""
    copy = shutil.copytree(collection, tmp_path / "copy.sphere")
    file = tmp_path / "more.txt"
    file.write_text(" ".join(f"word{number}" for number in range(30_000)))
    before = state(copy)
    for into in (copy, tmp_path / "new.sphere"):
        done = command(
            "ingest", file, "--into", into,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        )  # fmt: skip
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: "), done.stderr
    assert state(copy) == before
    assert not (tmp_path / "new.sphere").exists()


def test_two_writers_and_an_interrupt(collection: Path, notes: Path, tmp_path: Path, command):
    copy = shutil.copytree(collection, tmp_path / "copy.sphere")
    (copy / "writer.lock").unlink(missing_ok=True)
    line = [COMMAND, "ingest", "-", "--into", str(copy)]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    # a suite that runs in the background has interrupts ignored, and its children would inherit that
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(line, **pipes, **heard, text=True) as first:
        try:
            deadline = time.monotonic() + 120
            while not (copy / "writer.lock").exists() or (copy / "writer.lock").stat().st_size == 0:
                assert first.poll() is None and time.monotonic() < deadline
                time.sleep(0.02)
            second = command("ingest", notes, "--into", copy)
            assert second.returncode == 1
            assert second.stderr.startswith("error: ") and len(second.stderr.splitlines()) == 1
            assert str(first.pid) in second.stderr
            assert command("search", copy, "fox").returncode == 0
            first.send_signal(signal.SIGINT)
            told = first.stderr.read() if first.stderr else ""
            assert first.wait(60) == 130
        finally:
            first.kill()
    kept = f"interrupted; 5 sources of {copy} are committed"
    assert told == f"{kept}; run the same command again and it completes\n"
    assert state(copy) == state(collection)


def test_unexpected_errors_are_one_line_too(
    collection: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("something\nodd")

    monkeypatch.setattr("thesphere.sphere.Sphere.search", fail)
    assert run(["search", str(collection), "fox"]) == 1
    told = capsys.readouterr().err
    assert told.splitlines() == [told.rstrip("\n")] and "RuntimeError: something odd" in told
    assert "--debug" in told
    assert run(["--debug", "search", str(collection), "fox"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("THESPHERE_DEBUG", "1")
    assert run(["search", str(collection), "fox"]) == 1
    assert "Traceback" in capsys.readouterr().err
