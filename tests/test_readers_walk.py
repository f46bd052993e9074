"""What is found below a path: order, names, .gitignore (git itself is the oracle), links, odd files."""

import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from thesphere.errors import InputError, NotFoundError
from thesphere.readers import READERS, Skipped, Source, path_of, read
from thesphere.readers import stdin as stdin_module
from thesphere.readers import walk as walk_module
from thesphere.readers.base import HEAD


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def names(*paths: str | Path, **options) -> list[str]:
    return [item.name for item in read(list(paths), **options) if isinstance(item, Source)]


def skipped(*paths: str | Path, **options) -> dict[str, str]:
    return {item.name: item.reason for item in read(list(paths), **options) if isinstance(item, Skipped)}


def content(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read()


def test_order_names_and_uris(tmp_path: Path) -> None:
    put(tmp_path, "docs/b.md", "docs/a.md", "docs/sub/c.md", "docs/Z.md", "docs/.hidden", "docs/a/x.md")
    expected = ["docs/.hidden", "docs/Z.md", "docs/a.md", "docs/b.md", "docs/a/x.md", "docs/sub/c.md"]
    assert names(tmp_path / "docs") == names(str(tmp_path / "docs") + "/") == expected
    found = [item for item in read(tmp_path / "docs") if isinstance(item, Source)]
    assert [item.uri for item in found] == [str(tmp_path.resolve() / name) for name in expected]
    assert [content(item).decode() for item in found] == expected
    assert all(path_of(item.uri) == item.uri for item in found)
    assert names(tmp_path / "docs" / "sub" / "c.md") == ["c.md"]


def test_relative_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "docs/a.md")
    monkeypatch.chdir(tmp_path / "docs")
    assert names(".") == names("../docs") == ["docs/a.md"]
    assert names("a.md") == ["a.md"]


def test_each_file_comes_once(tmp_path: Path) -> None:
    put(tmp_path, "docs/a.md", "docs/sub/b.md")
    assert names(tmp_path / "docs", tmp_path / "docs/sub", tmp_path / "docs/a.md") == [
        "docs/a.md",
        "docs/sub/b.md",
    ]


def test_source_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(b"x = 1\n")
    (source,) = read(path)
    assert isinstance(source, Source)
    assert (source.modality, source.encoding, source.size, source.title) == ("code", "utf-8", 6, "")
    assert source.mtime_ns == path.stat().st_mtime_ns


@pytest.mark.parametrize("size", [0, 1, 3, HEAD - 1, HEAD, HEAD + 1, 3 * HEAD])
def test_content_is_whole_at_every_size_and_opens_twice(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "x").write_bytes(data[:size])
    (source,) = read(tmp_path / "x")
    assert isinstance(source, Source)
    assert content(source) == content(source) == data[:size]
    assert source.size == size


def test_small_files_are_remembered_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk_module, "_KEPT", 50)
    put(tmp_path, *(f"file{i:02}" for i in range(40)))
    found = [item for item in read(tmp_path) if isinstance(item, Source)]
    assert [content(item) for item in found] == [f"file{i:02}".encode() for i in range(40)]
    shutil.rmtree(tmp_path)
    left = 0
    for item in found:
        try:
            left += len(content(item))
        except FileNotFoundError:
            continue
    assert 0 < left <= 50


def test_a_missing_path_raises_at_once(tmp_path: Path) -> None:
    put(tmp_path, "a")
    with pytest.raises(NotFoundError, match="does not exist"):
        read([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(NotFoundError):
        read(tmp_path / "a" / "b")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(NotFoundError, match="link to nothing"):
        read(tmp_path / "dangling")
    (tmp_path / "loop").symlink_to("loop")
    for bad in ([], [""], ["a\0b"], [tmp_path / "loop"]):
        with pytest.raises(InputError):
            read(bad)


def test_empty_folder(tmp_path: Path) -> None:
    assert list(read(tmp_path)) == []


def test_version_control_and_collections_are_never_read(tmp_path: Path) -> None:
    put(
        tmp_path,
        "x/.git/a",
        "x/.hg/a",
        "x/.svn/a",
        "x/__pycache__/a.pyc",
        "x/notes.sphere/catalog.db",
        "x/keep",
    )
    put(tmp_path, "x/file.sphere", "x/called.sphere/so")  # a file, and a folder that is no collection
    assert names(tmp_path / "x") == ["x/file.sphere", "x/keep", "x/called.sphere/so"]
    assert names(tmp_path / "x/called.sphere") == ["called.sphere/so"]
    assert skipped(tmp_path / "x") == {}
    assert list(skipped(tmp_path / "x/notes.sphere")) == ["notes.sphere"]
    assert names(tmp_path / "x/.git") == [".git/a"]


def test_max_size(tmp_path: Path) -> None:
    put(tmp_path, "x/12345678")
    assert names(tmp_path, max_size=10) == [f"{tmp_path.name}/x/12345678"]
    ((name, reason),) = skipped(tmp_path / "x", max_size=9).items()
    assert name == "x/12345678" and "10" in reason and "9" in reason


GITIGNORES = {
    ".gitignore": "*.log\n!keep.log\n/top\nbuild/\n# comment\n\\#hash\na/**/z\n*.tmp\n\ntrail \n"
    "[ab]x\ndoc/*.txt\n**/deep\nnested/*\n",
    "sub/.gitignore": "!*.log\n/build\n*.md\n!x.tmp\n",
    "sub/inner/.gitignore": "!y.md\n*\n!.gitignore\n!z.c\n",
    "other/.gitignore": "\xff\n!!\n/\n\\\n*.log\n",
}  # fmt: skip
TREE = [
    *(
        "a.log",
        "keep.log",
        "top",
        "x/top",
        "build/a",
        "x/build/a",
        "#hash",
        "a/z",
        "a/b/c/z",
        "a/b/z/q",
        "trail",
    ),
    *(
        "ax",
        "bx",
        "cx",
        "doc/a.txt",
        "doc/b/a.txt",
        "q/deep/f",
        "sub/a.log",
        "sub/build/f",
        "sub/q/build",
        "sub/a.md",
    ),
    *(
        "sub/x.tmp",
        "sub/y.tmp",
        "sub/inner/y.md",
        "sub/inner/z.c",
        "sub/inner/q.c",
        "sub/inner/d/z.c",
        "nested/a/b",
    ),
    *("other/a.log", "other/b", "name with space.log", "ümlaut.log", "ümlaut", "build.c", "x/keep.log"),
]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is the oracle")
@pytest.mark.parametrize("start", ["", "sub", "sub/inner", "x", "doc", "a/b", "other"])
def test_gitignore_agrees_with_git(tmp_path: Path, start: str) -> None:
    put(tmp_path, *TREE)
    for name, text in GITIGNORES.items():
        (tmp_path / name).write_text(text, encoding="latin-1")
    command = ["git", "-c", "core.quotePath=false", "-C", str(tmp_path)]
    subprocess.run([*command, "init", "-q"], check=True, capture_output=True)
    listing = ["ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", "--", start or "."]
    out = subprocess.run([*command, *listing], check=True, capture_output=True).stdout
    expected = sorted(os.fsdecode(name) for name in out.split(b"\0") if name)
    found = [item.uri for item in read(tmp_path / start) if isinstance(item, Source)]
    assert sorted(os.path.relpath(uri, tmp_path.resolve()) for uri in found) == expected
    assert expected or start == "a/b"


def test_naming_what_is_ignored_reads_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    put(tmp_path, "build/a.log", "build/b/c.log")
    (tmp_path / ".gitignore").write_text("build/\n*.log\n")
    assert names(tmp_path) == [f"{tmp_path.name}/.gitignore"]
    assert names(tmp_path / "build") == ["build/a.log", "build/b/c.log"]
    assert names(tmp_path / "build/a.log") == ["a.log"]


def test_a_repository_within_a_repository_has_its_own_rules(tmp_path: Path) -> None:
    put(tmp_path, "inner/a.log", "b.log", "inner/.git/HEAD")
    (tmp_path / ".gitignore").write_text("*.log\n.gitignore\n")
    assert names(tmp_path) == [f"{tmp_path.name}/inner/a.log"]


def test_gitignore_outside_a_repository_reaches_down_only(tmp_path: Path) -> None:
    put(tmp_path, "sub/a.log", "sub/b")
    (tmp_path / ".gitignore").write_text("*.log\n.gitignore\n")
    assert names(tmp_path) == [f"{tmp_path.name}/sub/b"]
    assert names(tmp_path / "sub") == ["sub/a.log", "sub/b"]


def test_links(tmp_path: Path) -> None:
    put(tmp_path, "in/real/a", "in/z", "out/b", "out/c/d")
    inside = tmp_path / "in"
    (inside / "alias").symlink_to("z")
    (inside / "dangling").symlink_to("nowhere")
    (inside / "self").symlink_to("self")
    (inside / "real/up").symlink_to("..")
    (inside / "away").symlink_to("../out")
    (inside / "file").symlink_to("../out/b")
    (inside / "twice").symlink_to("real")
    (tmp_path / "out/c/back").symlink_to(inside)
    assert names(inside) == ["in/z", "in/real/a", "in/away/b", "in/away/c/d"]
    reasons = skipped(inside)
    assert set(reasons) == {
        *("in/alias", "in/dangling", "in/self", "in/real/up", "in/file", "in/twice", "in/away/c/back"),
    }
    assert "nothing" in reasons["in/dangling"] and "loops" in reasons["in/real/up"]
    assert "already" in reasons["in/alias"] and "already" in reasons["in/file"]
    assert names(inside / "away") == ["away/b", "away/c/d", "away/c/back/z", "away/c/back/real/a"]


def test_a_deep_loop_of_links_ends(tmp_path: Path) -> None:
    for i in range(12):
        folder = tmp_path / f"d{i}"
        put(folder, "f")
        for j in range(12):
            (folder / f"to{j}").symlink_to(tmp_path / f"d{j}")
    assert len(names(tmp_path / "d0")) == 12


def test_a_deep_tree(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 300)
    put(deep, "f")
    (found,) = names(tmp_path)
    assert found.endswith("/d/d/f")


def test_pipes_and_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert {name.split("/")[1]: reason for name, reason in skipped(tmp_path).items()} == {
            "pipe": "a pipe, not a file",
            "socket": "a socket, not a file",
        }
        assert list(skipped(tmp_path / "pipe")) == ["pipe"]
    assert "device" in skipped("/dev/null")["null"]


def test_a_gitignore_that_is_no_file_holds_nothing_up(tmp_path: Path) -> None:
    put(tmp_path, "x/a", "y/b", "y/.gitignore/c")
    os.mkfifo(tmp_path / "x" / ".gitignore")
    assert names(tmp_path) == [f"{tmp_path.name}/{name}" for name in ("x/a", "y/b", "y/.gitignore/c")]


def test_a_pattern_of_many_stars_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "x/" + "a" * 40, "x/b")
    (tmp_path / "x" / ".gitignore").write_bytes(b"*a" * 20 + b"\r\nb\r\n.git*\r\n")
    assert names(tmp_path / "x") == ["x/" + "a" * 40]


def test_unreadable_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "x/a", "x/b", "x/locked/c")
    real_open, real_scan = os.open, os.scandir

    def no_open(path, *args, **kwargs):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, *args, **kwargs)

    def no_scan(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return real_scan(path)

    monkeypatch.setattr(walk_module.os, "open", no_open)
    monkeypatch.setattr(walk_module.os, "scandir", no_scan)
    found = list(read(tmp_path / "x"))
    assert [item.name for item in found] == ["x/a", "x/b", "x/locked"]
    assert all("Permission denied" in item.reason for item in found if isinstance(item, Skipped))
    assert isinstance(found[0], Source)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_really_unreadable(tmp_path: Path) -> None:
    put(tmp_path, "a")
    (tmp_path / "a").chmod(0)
    assert "Permission denied" in skipped(tmp_path / "a")["a"]


def test_odd_names(tmp_path: Path) -> None:
    odd = [
        b"with space",
        b"new\nline",
        b"bad\xff\xfe",
        b"tab\t",
        "ümlaut東".encode(),
        b"back\\slash",
        b"a#b",
        b"%41",
    ]
    try:
        for name in odd:
            (tmp_path / os.fsdecode(name)).write_bytes(name)
    except OSError:
        pytest.skip("this file system refuses such names")
    found = [item for item in read(tmp_path) if isinstance(item, Source)]
    assert sorted(content(item) for item in found) == sorted(odd)
    assert len({item.uri for item in found}) == len(odd)
    database = sqlite3.connect(":memory:")
    for item in found:
        assert item.name.isprintable()
        assert json.loads(json.dumps(item.uri).encode()) == item.uri
        assert database.execute("SELECT ?, ?", (item.uri, item.name)).fetchone() == (item.uri, item.name)
        path = path_of(item.uri)
        assert path is not None and Path(path).read_bytes() == content(item)
    database.close()


def test_a_bad_name_and_its_escape_are_two_sources(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.csv")).write_bytes(b"text\na\n")
    (tmp_path / "\\xff.csv").write_bytes(b"text\nb\n")
    uris = [item.uri for item in read(tmp_path) if isinstance(item, Source)]
    assert len(set(uris)) == 2
    paths = {path_of(uri) for uri in uris}
    assert paths == {
        str(tmp_path.resolve() / os.fsdecode(b"\xff.csv")),
        str(tmp_path.resolve() / "\\xff.csv"),
    }


class FakeInput:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


@pytest.mark.parametrize("size", [0, 5, 100, 101, 5000])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int) -> None:
    monkeypatch.setattr(stdin_module, "_IN_MEMORY", 100)
    monkeypatch.setattr(stdin_module.tempfile, "tempdir", str(tmp_path))
    data = ("größer " * 1000).encode("cp1252")[:size]
    monkeypatch.setattr(sys, "stdin", FakeInput(data))
    (source,) = read(["-", "-"])
    assert isinstance(source, Source)
    assert (source.uri, source.name, source.size, source.mtime_ns) == ("stdin", "stdin", size, 0)
    assert content(source) == content(source) == data
    assert source.encoding == ("cp1252" if size else "utf-8")
    assert path_of(source.uri) is None
    del source
    assert list(tmp_path.iterdir()) == []


def test_standard_input_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", FakeInput(b"abc" * 10))
    assert "limit" in skipped("-", max_size=29)["stdin"]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input"):
        list(read("-"))


def test_the_table_ends_with_the_reader_that_takes_everything() -> None:
    assert len({reader.name for reader in READERS}) == len(READERS)
    assert READERS[-1].accepts("anything", b"") and not READERS[0].accepts("x.txt", b"text")
