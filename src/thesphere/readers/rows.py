"""Tables of texts: jsonl, csv, tsv and parquet, one source per row.

Which field holds a row's text follows the item rules of TheSphere-JAX's patch ingestion: the named column,
else the first that is not blank of text, content, instruction, output, raw, else the contents of "messages"
joined by line ends. Two differences: the text is kept as it is, not stripped, so that offsets hold in the
field; and a table in whose first rows no text is found is read as a plain file, not as the `str` of its rows.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import quote

from thesphere.errors import FormatError, InputError, MissingExtra
from thesphere.readers.base import File, Skipped, Source, Unreadable, printable
from thesphere.readers.plain import PLAIN
from thesphere.readers.sniff import encoding_of

FIELDS = ("text", "content", "instruction", "output", "raw")
ROW_LIMIT = 64 << 20
"""Characters of one line or field beyond which a row is skipped."""

_SAMPLE_ROWS = 64
_SLICE_ROWS = 4096  # of parquet, held at once at most
_TEXT_TABLES = (".jsonl", ".ndjson", ".csv", ".tsv")


@dataclass(frozen=True)
class Row:
    """A row by its number, counted from 0; `fault` says why it has no values."""

    number: int
    values: dict[str, Any] | None
    fault: str = ""


@dataclass(frozen=True)
class Rows:
    """Reads .jsonl, .ndjson, .csv, .tsv and .parquet where a text is found in their rows."""

    name: str = "rows"

    def accepts(self, path: str, head: bytes) -> bool:
        """By suffix; parquet must begin with its mark."""
        kind = _kind(path)
        if kind == ".parquet":
            return head.startswith(b"PAR1")
        return kind in _TEXT_TABLES and bool(head)

    def read(self, file: File, column: str | None = None) -> Iterator[Source | Skipped]:
        """The rows with a text. A table without one is read as a plain file.

        Raises:
            Unreadable: `column` does not exist, or the table is damaged or needs an extra.
        """
        kind = _kind(file.path)
        if kind == ".parquet":
            make = partial(_parquet_rows, file, column)
        elif (encoding := encoding_of(file.head, complete=file.complete)) == "bytes":
            yield from PLAIN.read(file)
            return
        elif "json" in kind:
            make = partial(_json_rows, file, encoding)
        else:
            make = partial(_csv_rows, file, encoding, kind)
        yield from _sources(file, make, column)


def _sources(
    file: File, make: Callable[[], Generator[Row, None, None]], column: str | None
) -> Iterator[Source | Skipped]:
    """Looks at the first rows, keeping only the names of their columns, then reads again from the start."""
    columns: dict[str, None] = {}
    found = False
    with closing(make()) as rows:
        for row in islice(rows, _SAMPLE_ROWS):
            values = row.values or {}
            columns.update(dict.fromkeys(values))
            found = (column is None or column in values) and text_of(values, column) is not None
            if found:
                break
    if column is not None and columns and column not in columns:
        raise _no_column(file, column, list(columns))
    if not found:
        yield from PLAIN.read(file)
        return
    with closing(make()) as rows:
        for row in rows:
            yield _source(file, row, column)


def _no_column(file: File, column: str, columns: list[str]) -> Unreadable:
    return Unreadable(
        InputError(f"{file.name} has no column {column!r}; it has: {', '.join(map(_shown, columns))}")
    )


def _shown(column: str) -> str:
    """A column's name as people see it; JSON may escape half a surrogate pair."""
    return printable(column.encode("utf-8", "backslashreplace").decode())


def text_of(values: dict[str, Any], column: str | None = None) -> tuple[str, str] | None:
    """The field that holds a row's text and the text, by the rules above; None where all are blank."""
    if column is not None and (text := _plain(values.get(column))).strip():
        return column, text
    for field in FIELDS:
        value = values.get(field)
        if isinstance(value, str | bytes) and (text := _plain(value)).strip():
            return field, text
    messages = values.get("messages")
    if isinstance(messages, list):
        contents = (message.get("content") for message in messages if isinstance(message, dict))
        text = "\n".join(
            content.strip() for content in contents if isinstance(content, str) and content.strip()
        )
        if text:
            return "messages", text
    return None


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "ignore")
    return json.dumps(value, ensure_ascii=False, default=str)


def _source(file: File, row: Row, column: str | None) -> Source | Skipped:
    if row.values is None:
        return Skipped(f"{file.name}#{row.number}", row.fault)
    found = text_of(row.values, column)
    if found is None:
        return Skipped(f"{file.name}#{row.number}", "a row without text")
    field, text = found
    if len(text) > ROW_LIMIT:
        return Skipped(f"{file.name}#{row.number}", f"a text of more than {ROW_LIMIT} characters")
    title = row.values.get("title")
    title = title.strip() if isinstance(title, str) and field != "title" else ""
    data = text.encode("utf-8", "replace")  # JSON may escape half a surrogate pair
    return Source(
        uri=f"{file.uri}#{row.number}/{quote(field, safe='', errors='surrogatepass')}",
        name=f"{file.name}#{row.number}/{_shown(field)}",
        title=title.encode("utf-8", "replace").decode(),
        modality="row",
        encoding="utf-8",
        size=len(data),
        mtime_ns=file.mtime_ns,
        open=partial(io.BytesIO, data),
    )


def _kind(path: str) -> str:
    return os.path.splitext(path)[1].lower()


class _Lines:
    """The lines of a stream, each at most ROW_LIMIT characters; a longer one is passed over with an error."""

    def __init__(self, stream: io.TextIOBase) -> None:
        self.stream = stream
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self.stream.readline(ROW_LIMIT)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == ROW_LIMIT and not line.endswith("\n"):
            while (rest := self.stream.readline(1 << 20)) and not rest.endswith("\n"):
                pass
            raise OverflowError(f"line {self.number} is longer than {ROW_LIMIT} characters")
        return line.removeprefix("\ufeff") if self.number == 1 else line


def _json_rows(file: File, encoding: str) -> Generator[Row, None, None]:
    with open(file.path, encoding=encoding, errors="replace", newline="\n") as stream:
        lines = _Lines(stream)
        while True:
            try:
                line = next(lines)
            except StopIteration:
                return
            except OverflowError as error:
                yield Row(lines.number - 1, None, str(error))
                continue
            if line.isspace():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                yield Row(lines.number - 1, None, f"line {lines.number} is not JSON: {what}")
                continue
            if isinstance(values, dict):
                yield Row(lines.number - 1, values)
            else:
                yield Row(lines.number - 1, None, f"line {lines.number} is not a JSON object")


def _csv_rows(file: File, encoding: str, kind: str) -> Generator[Row, None, None]:
    csv.field_size_limit(max(csv.field_size_limit(), ROW_LIMIT))
    with open(file.path, encoding=encoding, errors="replace", newline="") as stream:
        lines = _Lines(stream)
        try:
            first = next(lines)
        except (StopIteration, OverflowError):
            return
        header, delimiter = _header(first, kind)
        table, number = csv.reader(lines, delimiter=delimiter), 0
        while True:
            try:
                fields = next(table)
            except StopIteration:
                return
            except (csv.Error, OverflowError) as error:
                yield Row(number, None, f"near line {lines.number}: {error}")
            else:
                if not fields:
                    continue
                yield Row(number, dict(zip(header, fields, strict=False)))
            number += 1


def _header(line: str, kind: str) -> tuple[list[str], str]:
    """Column names and the delimiter that gives the most of them, the usual one first."""
    choices = ("\t",) if kind == ".tsv" else (",", ";", "\t", "|")
    headers = [(next(csv.reader([line], delimiter=choice), []), choice) for choice in choices]
    return max(headers, key=lambda header: len(header[0]))


def _parquet_rows(file: File, column: str | None) -> Generator[Row, None, None]:
    try:
        import polars
    except ImportError as error:
        raise Unreadable(MissingExtra("reading parquet", "rows")) from error
    try:
        table = polars.scan_parquet(file.path, glob=False)
        columns = table.collect_schema().names()
        if column is not None and column not in columns:
            raise _no_column(file, column, columns)
        wanted = [name for name in dict.fromkeys([column, *FIELDS, "messages", "title"]) if name in columns]
        total = int(table.select(polars.len()).collect().item())
        # rows of about 16 MiB on disk
        step = max(min((16 << 20) * max(total, 1) // max(file.size, 1), _SLICE_ROWS), 1)
        for start in range(0, total if wanted else 0, step):
            rows = table.select(wanted).slice(start, step).collect()
            for number, values in enumerate(rows.iter_rows(named=True), start):
                yield Row(number, values)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise Unreadable(FormatError(f"{file.name} is not a sound parquet file: {reason}")) from error
