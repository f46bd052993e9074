"""Tables of texts, against the standard library's writers and polars."""

import csv
import json
import tracemalloc
from pathlib import Path

import pytest

from thesphere.errors import FormatError, InputError, MissingExtra
from thesphere.readers import Skipped, Source, path_of, read
from thesphere.readers import rows as rows_module
from thesphere.readers.rows import text_of

MESSAGES = [{"content": " x "}, {"content": ""}, {}, {"content": 1}, "no", {"content": "y"}]


def content(source: Source) -> str:
    with source.open() as stream:
        return stream.read().decode(source.encoding)


def sources(path: Path, **options) -> list[Source]:
    found = list(read(path, **options))
    assert all(isinstance(item, Source) for item in found), found
    return [item for item in found if isinstance(item, Source)]


def write_lines(path: Path, *items: object) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        ({"text": "a", "content": "b"}, None, ("text", "a")),
        ({"text": "  ", "content": "b"}, None, ("content", "b")),
        ({"raw": "r", "output": "o", "instruction": "i"}, None, ("instruction", "i")),
        ({"text": "a", "body": "b"}, "body", ("body", "b")),
        ({"text": "a", "body": " \n"}, "body", ("text", "a")),
        ({"messages": MESSAGES}, None, ("messages", "x\ny")),
        ({"messages": "hello"}, None, None),
        ({"text": b"caf\xc3\xa9\xff"}, None, ("text", "café")),
        ({"text": 3}, None, None),
        ({"n": 3}, "n", ("n", "3")),
        ({"n": ["é", 1]}, "n", ("n", '["é", 1]')),
        ({"text": " kept as it is "}, None, ("text", " kept as it is ")),
        ({}, None, None),
    ],
)  # fmt: skip
def test_field_rules(values: dict, column: str | None, expected: tuple | None) -> None:
    assert text_of(values, column) == expected


def test_jsonl(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "x.jsonl",
        {"title": " T ", "text": "größe"},
        {"content": "two\nlines"},
        {"text": "\ud800x"},
    )
    first, second, third = sources(path)
    assert (first.uri, first.name, first.title) == (f"{path.resolve()}#0/text", "x.jsonl#0/text", "T")
    assert (first.modality, first.encoding, first.size) == ("row", "utf-8", 7)
    assert first.mtime_ns == path.stat().st_mtime_ns
    assert content(first) == content(first) == "größe"
    assert (second.name, second.title, content(second)) == ("x.jsonl#1/content", "", "two\nlines")
    assert content(third) == "?x"


def test_broken_lines_are_skipped_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(
        b'\xef\xbb\xbf{"text": "a"}\n{"text": \n\n[1]\n{"n": 1}\n'
        + b"[" * 100_000
        + b'\n{"text": "\xff"}\r\n{"text": "z"}'
    )
    found = list(read(path))
    assert [content(item) for item in found if isinstance(item, Source)] == ["a", "\ufffd", "z"]
    skipped = [item for item in found if isinstance(item, Skipped)]
    assert [item.name for item in skipped] == ["x.ndjson#1", "x.ndjson#3", "x.ndjson#4", "x.ndjson#5"]
    assert "line 2" in skipped[0].reason and "line 4" in skipped[1].reason
    assert found[-1].name == "x.ndjson#7/text"


def test_a_broken_first_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('# comment\n{"text": "a"}\n')
    skipped, source = read(path)
    assert isinstance(skipped, Skipped) and isinstance(source, Source) and content(source) == "a"


@pytest.mark.parametrize("text", ["[1, 2]\n[3]\n", "just prose\n", '{"n": 1}\n', "\n\n", '"a string"\n'])
def test_jsonl_without_texts_is_read_as_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    (source,) = sources(path)
    assert (source.modality, source.name, content(source)) == ("text", "x.jsonl", text)


def test_a_line_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "ROW_LIMIT", 100)
    for name, header in (("x.jsonl", ""), ("x.csv", "text\n")):
        path = tmp_path / name
        line = '{"text": "%s"}\n' if name == "x.jsonl" else "%s\n"
        path.write_text(header + line % "a" + line % ("b" * 300) + line % "c")
        found = list(read(path))
        assert [content(item) for item in found if isinstance(item, Source)] == ["a", "c"]
        assert [item.name for item in found if isinstance(item, Skipped)] == [f"{name}#1"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    ("suffix", "delimiter"), [(".csv", ","), (".csv", ";"), (".csv", "\t"), (".tsv", "\t")]
)
def test_csv(tmp_path: Path, encoding: str, suffix: str, delimiter: str) -> None:
    wanted = [
        ["größe, klein; mittel", "A"],
        ['a "quote"\r\nand a line', "B"],
        ["\t", "C"],
        ["letzte Straße", "D"],
    ]
    path = tmp_path / f"t{suffix}"
    with open(path, "w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["text", "title"])
        writer.writerows(wanted)
    found = list(read(path))
    assert [(content(s), s.title) for s in found if isinstance(s, Source)] == [
        tuple(wanted[i]) for i in (0, 1, 3)
    ]
    assert [item.name for item in found if isinstance(item, Skipped)] == [f"t{suffix}#2"]
    assert found[-1].name == f"t{suffix}#3/text"


def test_csv_with_a_huge_field(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    big = "word " * 60_000
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["id", "text"], ["1", big], ["2", "small"]])
    assert [content(source) for source in sources(path)] == [big, "small"]


def test_csv_without_a_text_column_is_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    (source,) = sources(path)
    assert (source.modality, source.uri, content(source)) == ("text", str(path.resolve()), "a,b\n1,2\n")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_named_column(tmp_path: Path, suffix: str) -> None:
    polars = pytest.importorskip("polars")
    path = tmp_path / f"x{suffix}"
    table = polars.DataFrame({"text": ["t", "u"], "body": ["b", "c"], "n": [1, 2]})
    {".csv": table.write_csv, ".jsonl": table.write_ndjson, ".parquet": table.write_parquet}[suffix](path)
    assert [(s.name, content(s)) for s in sources(path, column="body")] == [
        (f"x{suffix}#0/body", "b"),
        (f"x{suffix}#1/body", "c"),
    ]
    assert [content(s) for s in sources(path, column="n")] == ["1", "2"]
    with pytest.raises(InputError, match="text, body, n"):
        list(read(path, column="bdoy"))
    (skipped,) = read(tmp_path, column="bdoy")
    assert isinstance(skipped, Skipped) and "text, body, n" in skipped.reason


@pytest.mark.parametrize("column", ["a#1/b", "a/b", "50%#", "größe", "#", "\ud800"])
def test_any_column_name_leads_back_to_the_file(tmp_path: Path, column: str) -> None:
    path = write_lines(tmp_path / "x#2.jsonl", {column: "here"}, {column: "there"})
    found = sources(path, column=column)
    assert [content(source) for source in found] == ["here", "there"]
    assert {path_of(source.uri) for source in found} == {str(path)}
    assert len({source.uri for source in found}) == 2
    assert all(source.uri.isascii() for source in found if str(path).isascii())


def test_plain_column_names_stay_in_the_uri(tmp_path: Path) -> None:
    (source,) = sources(write_lines(tmp_path / "x.jsonl", {"my_text-2.b": "here"}), column="my_text-2.b")
    assert source.uri == f"{tmp_path}/x.jsonl#0/my_text-2.b"


def test_a_parquet_row_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    polars = pytest.importorskip("polars")
    monkeypatch.setattr(rows_module, "ROW_LIMIT", 100)
    monkeypatch.setattr(rows_module, "_SLICE_ROWS", 2)
    path = tmp_path / "x.parquet"
    polars.DataFrame({"text": ["a", "b" * 300, "c", "d" * 100, "e"]}).write_parquet(path)
    found = list(read(path))
    assert [content(item) for item in found if isinstance(item, Source)] == ["a", "c", "d" * 100, "e"]
    assert [item.name for item in found if isinstance(item, Skipped)] == ["x.parquet#1"]


def test_the_first_rows_are_not_kept(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", *({"other": "b" * 1_000_000} for _ in range(30)), {"text": "a"})
    tracemalloc.start()
    stream = read(path)
    assert isinstance(next(stream), Skipped)
    assert tracemalloc.get_traced_memory()[1] < 12_000_000
    tracemalloc.stop()
    (source,) = (item for item in stream if isinstance(item, Source))
    assert content(source) == "a"


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    polars = pytest.importorskip("polars")
    path = tmp_path / "x.parquet"
    texts = [f"größe {i}" if i % 10 else None for i in range(1000)]
    messages = [[{"role": "user", "content": f"m{i}"}] for i in range(1000)]
    polars.DataFrame({"text": texts, "messages": messages, "title": ["t"] * 1000}).write_parquet(
        path, row_group_size=64
    )
    expected = [text or f"m{i}" for i, text in enumerate(texts)]
    assert [content(source) for source in sources(path)] == expected
    assert {source.title for source in sources(path)} == {"t"}
    binary = tmp_path / "b.parquet"
    polars.DataFrame({"raw": [b"caf\xc3\xa9"]}).write_parquet(binary)
    assert [content(source) for source in sources(binary)] == ["café"]


def test_parquet_without_texts_is_bytes(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    path = tmp_path / "x.parquet"
    polars.DataFrame({"a": [1, 2]}).write_parquet(path)
    (source,) = sources(path)
    assert (source.modality, source.encoding, source.size) == ("binary", "bytes", path.stat().st_size)


def test_damaged_parquet(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    whole = tmp_path / "whole"
    polars.DataFrame({"text": ["a" * 50] * 100}).write_parquet(whole)
    data = whole.read_bytes()
    whole.unlink()
    path = tmp_path / "x.parquet"
    for damaged in (b"PAR1", data[: len(data) // 2], b"PAR1" + b"\xff" * 60 + b"PAR1"):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"x\.parquet"):
            list(read(path))
        (skipped,) = read(tmp_path)
        assert isinstance(skipped, Skipped)


def test_parquet_without_polars_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 whatever")
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(MissingExtra, match="rows"):
        list(read(path))
    (skipped,) = read(tmp_path)
    assert isinstance(skipped, Skipped) and "rows" in skipped.reason


def test_rows_are_streamed(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", *({"text": f"row {i}"} for i in range(20_000)))
    stream = read(path)
    assert isinstance(next(stream), Source)
    size = path.stat().st_size
    path.write_bytes(b"")  # what is not yet read is gone
    assert sum(1 for _ in stream) < 20_000 - 1 and size > 1 << 17
