"""The demo answers its six questions within the first three: right file, right function."""

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from thesphere.cli.demo import QUESTIONS, grep_words, library_sources, matching_lines

ANSWERS = (
    ("textwrap.py", {"dedent"}),
    ("shutil.py", {"disk_usage"}),
    ("heapq.py", {"merge"}),
    ("statistics.py", {"harmonic_mean"}),
    ("difflib.py", {"get_close_matches"}),
    ("gzip.py", {"GzipFile._write_gzip_header", "_read_gzip_header"}),
)
_HIT = re.compile(r"^   (?P<path>/.*):(?P<line>\d+)  bytes (?P<start>\d+)-(?P<end>\d+)  (?P<status>\w+)$")
_COST = re.compile(
    r"looked at ([\d.]+) (\w*B) of ([\d.]+) (\w*B), [\d.]+ ms; grep .* returns [\d,]+ lines?$", re.M
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def shown(folder: Path, command) -> list[str]:
    """What the demo prints, a text per question."""
    done = command("demo", cwd=folder)
    assert done.returncode == 0, done.stderr
    return re.split(r"^\d\. ", done.stdout, flags=re.MULTILINE)[1:]


def functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """(qualified name, first byte, last byte) of every function of a Python file."""
    source = path.read_bytes()
    starts = [0]
    for line in source.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)

    def below(node: ast.AST, prefix: str) -> Iterator[tuple[str, int, int]]:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}."
                if isinstance(child, ast.FunctionDef):
                    yield name[:-1], starts[child.lineno - 1], starts[child.end_lineno or child.lineno] - 1
            yield from below(child, name)

    yield from below(ast.parse(source), "")


@pytest.mark.parametrize("number", range(6))
def test_answer_is_within_the_first_three(number: int, shown: list[str]):
    file, names = ANSWERS[number]
    text = shown[number]
    assert text.startswith(QUESTIONS[number].kind)
    hits = [match for line in text.splitlines() if (match := _HIT.match(line))]
    assert 1 <= len(hits) <= 3
    found = set()
    for hit in hits:
        path = Path(hit["path"])
        assert hit["status"] == "exact"
        assert path.read_bytes()[: int(hit["start"])].count(b"\n") + 1 == int(hit["line"])
        if path.name == file:
            start, end = int(hit["start"]), int(hit["end"])
            found |= {name for name, first, last in functions(path) if first < end and start <= last}
    assert names & found, f"{names} not in {found}:\n{text}"
    cost = _COST.search(text)
    assert cost is not None
    units = {"B": 1, "kB": 1e3, "MB": 1e6}
    assert 0 < float(cost[1]) * units[cost[2]] <= float(cost[3]) * units[cost[4]]


def test_questions_are_what_they_say():
    kinds = [question.kind for question in QUESTIONS]
    assert kinds == ["plain", "plain", "four typos", "German", "exact name", "byte string"]
    texts = [file.read_text("utf-8", "replace") for file in library_sources()[1]]
    known = {word for text in texts for word in re.findall(r"[a-z]+", text)}
    typos = [word for word in re.findall(r"\w+", QUESTIONS[2].text) if word not in known]
    assert len(typos) == 4


def test_again_reuses_the_collection(shown: list[str], folder: Path, command):
    done = command("demo", cwd=folder)
    assert done.returncode == 0 and " 0 added" in done.stderr
    assert re.split(r"^\d\. ", done.stdout, flags=re.MULTILINE)[6].count("gzip.py") >= 1


def test_another_demo_is_not_overwritten(notes: Path, tmp_path: Path, command):
    assert (
        command("ingest", notes, "--into", "demo.sphere", "--encoder", "none", cwd=tmp_path).returncode == 0
    )
    done = command("demo", cwd=tmp_path)
    assert done.returncode == 1
    assert "demo.sphere holds other sources" in done.stderr


def test_own_folder_and_questions_from_a_pipe(notes: Path, tmp_path: Path, command):
    done = command("demo", notes, cwd=tmp_path, input="quick fox\nrotate the keys\n\nnever asked\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("animals.md:1") < done.stdout.index("keys.py:1")
    assert done.stdout.count("exact, gap 0") == 2
    assert (tmp_path / "notes.sphere").is_dir()
    assert command("demo", tmp_path / "notes.sphere", cwd=tmp_path).returncode == 1


def test_lines_are_counted_as_grep_counts_them(tmp_path: Path):
    text = "Alpha beta\nnothing\nBETA alpha\nalphabet"
    file = tmp_path / "file"
    file.write_text(text)
    words = grep_words("What is an alpha, or a beta?")
    assert words == ["what", "alpha", "beta"]
    pattern = "|".join(words)
    counted = matching_lines([file], re.compile(pattern.encode(), re.IGNORECASE))
    assert counted == 3
    grep = ["grep", "-ciE", pattern, file]
    try:
        told = subprocess.run(grep, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})
    except FileNotFoundError:
        pytest.skip("there is no grep")
    assert counted == int(told.stdout)
