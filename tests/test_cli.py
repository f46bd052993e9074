"""The command: what it prints, where, and with which exit code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from thesphere import __version__
from thesphere.cli.app import COMMANDS, run
from thesphere.cli.console import parse_size, size_words
from thesphere.cli.search import excerpt, parse_bytes, trimmed
from thesphere.errors import InputError

HEAVY = {"jax", "numba", "numkong", "numpy", "polars", "safetensors", "sqlite3", "tokenizers", "torch"}


def test_help_and_version_load_nothing_heavy():
    for argument in ("--help", "--version"):
        script = (
            "import sys; from thesphere.cli.app import run; code = run(sys.argv[1:]);"
            "print('MODULES', *{name.partition('.')[0] for name in sys.modules}); sys.exit(code)"
        )
        done = subprocess.run([sys.executable, "-c", script, argument], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        told, _, modules = done.stdout.partition("MODULES")
        assert HEAVY.isdisjoint(modules.split())
        assert __version__ in told or all(name in told for name in COMMANDS)


def test_installed_command(command):
    done = command("--version")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, __version__, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(name: str, capsys: pytest.CaptureFixture[str]):
    assert run([name, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"Usage: thesphere {name}" in told
    assert "--debug" in told


def test_ingest_tells_what_it_did(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(notes.parent)
    into = str(tmp_path / "new.sphere")
    assert run(["ingest", "notes", "--into", into, "--encoder", "none"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "5 added, 1 with content that is there already, 2 skipped" in told.err
    assert "skipped notes/empty.txt: empty" in told.err
    assert run(["ingest", "notes", "--into", into, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["added"], report["unchanged"], report["collection"]) == (0, 6, into)
    assert {each["name"] for each in report["skipped"]} == {"notes/empty.txt", "notes/dead"}


def test_many_skipped_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("something")
    for number in range(15):
        (folder / f"empty{number:02}").touch()
    assert run(["ingest", str(folder), "--into", str(tmp_path / "x.sphere"), "--encoder", "none"]) == 0
    told = capsys.readouterr().err
    assert told.count("  skipped ") == 10
    assert "and 5 more" in told


def test_ingest_from_standard_input(tmp_path: Path, command):
    into = tmp_path / "in.sphere"
    done = command("ingest", "-", "--into", into, "--encoder", "none", input="giraffes have long necks\n")
    assert done.returncode == 0, done.stderr
    found = command("search", into, "giraffes")
    assert found.stdout.startswith("stdin:1  bytes 0-25  ")


def test_search_shows_path_line_span_and_cost(
    collection: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(notes.parent)
    assert run(["search", str(collection), "quick", "brown", "fox", "-k", "2", "--explain", "--verify"]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].startswith("notes/animals.md:1  bytes 0-") and lines[0].endswith("  exact")
    assert "    The quick brown fox jumps over the lazy dog." in lines
    assert "    same content: notes/sub/copy.md" in lines
    assert any(line.startswith("status: exact") for line in lines)
    assert lines[-1].startswith("exact, gap 0; looked at ") and lines[-1].endswith(" ms")
    assert told.err == "proved again by full enumeration\n"


def test_search_of_rows_and_bytes(
    collection: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(notes)
    assert run(["search", str(collection), "schnelle Fuchs", "-k", "1"]) == 0
    assert capsys.readouterr().out.startswith("rows.jsonl#0/text:1  bytes 0-26  ")
    for pattern in (r"\x89PNG\r\n", "hex:89504e47 0d0a"):
        assert run(["search", str(collection), "--contains", pattern, "--verify"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("picture.bin:5  bytes 1024-1030  ")
        assert "PNG" in lines[1]
    assert run(["search", str(collection), "--contains", "quick brown"]) == 0
    assert "    The quick brown fox jumps over the lazy dog." in capsys.readouterr().out.splitlines()


def test_search_json_is_one_document(collection: Path, notes: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["search", str(collection), "rotate keys", "--json", "--explain", "--verify"]) == 0
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert (answer["status"], answer["gap"]) == ("exact", 0)
    best = answer["hits"][0]
    data = (notes / "keys.py").read_bytes()[best["start"] : best["end"]]
    assert best["path"] == str(notes / "keys.py") and best["text"] == data.decode()
    assert "proved again" in told.err and "status: exact" in told.err


def test_nothing_found_is_exit_code_1(collection: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["search", str(collection), "--contains", "not in there"]) == 1
    assert "nothing found" in capsys.readouterr().out
    assert run(["search", str(collection), "--contains", "not in there", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["hits"] == []


def test_question_that_begins_with_a_dash(collection: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["search", str(collection), "--json", "--", "--quick fox"]) == 0
    assert json.loads(capsys.readouterr().out)["query"] == "--quick fox"


def test_info(collection: Path, notes: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["info", str(collection), "--sources", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["sources"], told["paths"], told["encoder"].split("/")[0]) == (5, 6, "sphere")
    assert str(notes / "keys.py") in [row["path"] for row in told["listing"]]
    assert run(["info", str(collection), "--sources"]) == 0
    out = capsys.readouterr().out
    assert "notes/keys.py" in out and "encoder" in out


def test_signals_tell_what_the_norm_means(collection: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["signals", str(collection)]) == 0
    assert "Normalisation destroys a spread" in capsys.readouterr().out
    assert run(["signals", str(collection), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["encoder"].startswith("sphere/")
    zero = told["zeros"] / told["count"]  # those without a word stay zero, all others get length 1
    assert told["before"]["std"] > 0
    assert told["after"]["std"] == pytest.approx((zero * (1 - zero)) ** 0.5, abs=1e-6)


def test_remove_compact_verify(collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    copy = str(shutil.copytree(collection, tmp_path / "copy.sphere"))
    assert run(["remove", copy, "notes/sub", "notes/keys.py", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": 2}
    assert run(["search", copy, "--contains", "rotate_keys"]) == 1
    assert run(["compact", copy, "--json"]) == 0
    capsys.readouterr()
    assert run(["verify", copy]) == 0
    assert "is sound" in capsys.readouterr().err
    victim = max(Path(copy).glob("parts/*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    assert run(["verify", copy, "--json"]) == 1
    told = capsys.readouterr()
    assert victim.name in json.loads(told.out)["problems"][0]
    assert "1 problem found" in told.err.splitlines()[-1]


def test_export_and_import(collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file, into = tmp_path / "points.safetensors", tmp_path / "again.sphere"
    assert run(["export", str(collection), "--to", str(file)]) == 0
    assert run(["import", str(file), "--into", str(into), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert run(["info", str(collection), "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert (told["points"], told["dimensions"]) == (info["points"], info["dimensions"])


def test_doctor(capsys: pytest.CaptureFixture[str]):
    assert run(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["thesphere"] == __version__ and told["threads"] >= 1 and told["versions"]["numpy"]
    assert told["locks"] == "work" and set(told["extras"]) >= {"rows", "minilm", "jax"}
    assert run(["doctor"]) == 0
    assert "free disk" in capsys.readouterr().out


def test_a_reader_that_has_enough_is_no_error(collection: Path):
    script = 'thesphere info "$0" --sources | true'
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script, collection], capture_output=True, text=True, env=environment)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512),
        ("10k", 10_000),
        ("64MiB", 64 << 20),
        ("1.5 GB", 1_500_000_000),
        ("1gib", 1 << 30),
        ("7B", 7),
    ],
)
def test_sizes(text: str, size: int):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "3x", "-1", "1 2", "MiB", "1e3", "nan"])
def test_sizes_that_are_none(text: str):
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_size_words():
    assert [size_words(n) for n in (0, 999, 1000, 999_949, 2_500_000, 7 << 40)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.0 MB",
        "2.5 MB",
        "7.7 TB",
    ]


def test_byte_strings():
    assert parse_bytes(r"a\x00\n\t\\x41\q") == b"a\x00\n\t\\x41\\q"
    assert parse_bytes("hex: 0aFF") == b"\x0a\xff"
    assert parse_bytes("Grüße") == "Grüße".encode()
    with pytest.raises(InputError, match="not hexadecimal"):
        parse_bytes("hex:0")


def test_excerpt_shows_the_lines_with_most_marks():
    text = "\n".join(["zero", "", "one", "two mark", "three", "four mark mark", "five", "six"])
    marks = [(at, at + 4) for at in range(len(text)) if text.startswith("mark", at)]
    lines = excerpt(text, marks)
    assert [line for line, _ in lines] == ["one", "two mark", "three", "four mark mark"]
    assert lines[3][1] == [(5, 9), (10, 14)]
    assert excerpt("a\x1b[31m\tb", [])[0][0] == "a\u00b7[31m b"
    assert excerpt("", []) == []


def test_trimmed_keeps_the_first_mark_in_sight():
    line = "x" * 300 + "mark" + "y" * 300
    pieces = trimmed(line, [(300, 304)], 60)
    assert ("mark", "bold yellow") in pieces
    assert sum(len(text) for text, _ in pieces) == 60
    assert trimmed("short", [], 60) == [("short", "")]
