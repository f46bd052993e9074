"""From a file of a package to its text: markup, tables and archives taken away. Each cleaner gives documents."""

import csv
import gzip
import html
import io
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

_DROPPED = re.compile(r"<(script|style|head|nav)\b.*?</\1>", re.DOTALL | re.IGNORECASE)
_BLOCK = re.compile(r"</?(p|div|li|h\d|br|tr|dt|dd|pre|title|item|section|page)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]{1,2000}>", re.DOTALL)
_GAPS = re.compile(r"[ \t]*\n[ \t]*(\n[ \t]*)+")
_SISU = re.compile(rb"~\{[^}]*\}~|<:[^>]*>|<<[^\n]*|[/*_]\{|\}[/*_]")
_STRING = b"\x00\x04\x00\x09"  # how a string of characters begins in R's serialisation


def plain(data: bytes) -> Iterator[bytes]:
    """The file as it is."""
    yield data


def hypertext(data: bytes) -> Iterator[bytes]:
    """HTML, Mallard and the like without tags, scripts and navigation; block elements become lines."""
    text = _TAG.sub("", _BLOCK.sub("\n", _DROPPED.sub("", data.decode("utf8", "replace"))))
    yield _GAPS.sub("\n\n", html.unescape(text)).strip().encode()


def sisu(data: bytes) -> Iterator[bytes]:
    """SiSU markup of books, without headers and footnotes."""
    kept = (line for line in data.split(b"\n") if not line.startswith((b"%", b"@", b" :", b"<:")))
    yield _SISU.sub(b"", b"\n".join(kept))


def tables(data: bytes) -> Iterator[bytes]:
    """A zip archive of CSV tables: title and longest cell of every row."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            rows = csv.DictReader(archive.read(name).decode("utf8", "replace").splitlines(keepends=True))
            for row in rows:
                longest = max((cell for cell in row.values() if isinstance(cell, str)), key=len, default="")
                yield f"{row.get('title') or ''}\n\n{longest}\n".encode()


def mail(data: bytes) -> Iterator[bytes]:
    """A mail in JSON, without its headers."""
    yield json.loads(data)["text"].split("\n\n", 1)[-1].encode("utf8", "replace")


def sentences(data: bytes) -> Iterator[bytes]:
    """A JSON list of sentences, joined."""
    yield " ".join(row for row in json.loads(data) if isinstance(row, str)).encode("utf8", "replace")


def script(data: bytes) -> Iterator[bytes]:
    """A table of spoken lines: one document a scene (column 3), "speaker: line" from columns 5 and 6."""
    scenes: dict[str, list[str]] = {}
    for line in data.decode("utf8", "replace").splitlines()[3:]:
        cells = line.split("\t")
        if len(cells) > 5:
            scenes.setdefault(cells[2], []).append(f"{cells[4]}: {cells[5].strip()}")
    for lines in scenes.values():
        yield "\n".join(lines).encode()


def novels(data: bytes) -> Iterator[bytes]:
    """R character vectors above 100 kB: deflated blocks, each after its length; one string is one line."""
    at = 0
    while at + 4 < len(data):
        block = zlib.decompressobj()
        raw = block.decompress(data[at + 4 :])
        at = len(data) - len(block.unused_data)
        lines, here = [], raw.find(_STRING)
        while here >= 0:
            size = int.from_bytes(raw[here + 4 : here + 8], "big")
            lines.append(raw[here + 8 : here + 8 + size])
            here = raw.find(_STRING, here + 8 + size)
        text = b"\n".join(lines)
        if len(text) > 100_000:
            yield text


def archived_c(data: bytes) -> Iterator[bytes]:
    """Every third member of a tar.xz that is C below 60 kB."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:xz") as archive:
        for number, member in enumerate(archive):
            if member.isfile() and member.name.endswith((".c", ".h")) and number % 3 == 0:
                file = archive.extractfile(member)
                if file is not None and member.size < 60_000:
                    yield file.read()


def gzipped(data: bytes) -> Iterator[bytes]:
    """gzip under another name, as dictd's dictionaries are."""
    yield gzip.decompress(data)


Cleaner = Callable[[bytes], Iterator[bytes]]
