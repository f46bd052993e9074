"""`thesphere search`: a question, a byte string, and how the answers are shown."""

import os
import re
import sys
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from thesphere.cli.console import (
    Flag,
    Json,
    Size,
    count_words,
    misuse,
    put_json,
    shown_path,
    size_words,
    talk,
    terminal_width,
)
from thesphere.cli.questions import read_array
from thesphere.errors import InputError
from thesphere.readers import analysis_text, path_of
from thesphere.sphere import Hit, Hits, Sphere

LINES = 4  # of a hit's text that are shown
AROUND = 120  # bytes shown on either side of an occurrence of a byte string
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([nrt0\\]))")
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


def search(
    collection: str,
    /,
    *query: str,
    k: Annotated[int, Parameter(name=["-k", "--k"])] = 10,
    vectors: bool | None = None,
    contains: str | None = None,
    vector: str | None = None,
    source: Annotated[list[str] | None, Parameter(name=["--source", "-s"], negative="")] = None,
    modality: Annotated[list[str] | None, Parameter(negative="")] = None,
    within: float | None = None,
    recall: float | None = None,
    exact: Flag = False,
    budget: Size | None = None,
    explain: Flag = False,
    verify: Flag = False,
    json: Json = False,
) -> int:
    """Ask a collection. Exit code 0 if something was found, 1 if not.

    Every answer is a byte span of a source, shown as path:line. A question that begins with a dash goes
    behind --.

    Parameters
    ----------
    collection
        The collection, NAME.sphere.
    query
        The question.
    k
        How many answers.
    vectors
        Let embeddings join the ranking (default: only if the encoder was chosen for its meaning).
    contains
        Find this byte string instead: text with \\xNN, \\n, \\r, \\t, \\0 and \\\\, or hex:CAFE.
    vector
        Find what is near this vector instead: a .npy file of one row, from the encoder that made the embeddings.
    source
        Only sources of this name, or below a folder of this name; * and ? allowed. Again for further ones.
    modality
        Only text, code, row or binary. Again for further ones.
    within
        Find all points whose cosine (or inner product, where the index is of that) with the question's vector or
        --vector is at least this; -k of them are shown, and told how many there are.
    recall
        The mean share of the true best answers that an index has to find, 0 to 1 (default: 0.95). Only where
        vectors take part and the collection has an index; all other answers are exact.
    exact
        Leave the index out: prove the answer.
    budget
        What the index may read at most, as in 64MiB: choosing cells, and their coded rows. Too little for the
        former reads nothing of it, and says how much that is.
    explain
        Tell how the answer came about.
    verify
        Prove the answer again by full enumeration.
    json
        Print one JSON document.
    """
    given = [
        name for name, one in (("a question", query), ("--contains", contains), ("--vector", vector)) if one
    ]
    if contains == "":
        given.append("--contains")
    if len(given) != 1:
        told = " and ".join(given) + " were" if given else "no question, --contains or --vector was"
        raise misuse(f"{told} given; give one of them")
    if contains is not None and recall is not None:
        raise misuse("--recall is about vectors; leave it out with --contains")
    if vectors is not None and not query:
        raise misuse("--vectors is about a question; leave it out with --contains or --vector")
    if exact and (recall is not None or budget is not None):
        raise misuse("--exact excludes --recall and --budget; leave them out")
    if within is not None:
        spare = {"--contains": contains, "--vectors": vectors, "--recall": recall, "--budget": budget}
        for name, one in {**spare, "--exact": exact or None}.items():
            if one is not None:
                raise misuse(f"--within finds all points, exactly, by vectors alone; leave {name} out")
    only: dict[str, Any] = {"sources": source or (), "modality": modality or ()}
    asked: dict[str, Any] = {"k": k, "recall": recall, "exact": exact, "budget": budget, **only}
    with Sphere.open(collection) as sphere:
        if within is not None:
            near: dict[str, Any] = (
                {"query": " ".join(query)} if vector is None else {"vector": read_vector(vector)}
            )
            hits = sphere.within(**near, score=within, limit=k, **only)
        elif contains is not None:
            hits = sphere.search(contains=parse_bytes(contains), **asked)
        elif vector is not None:
            hits = sphere.search(vector=read_vector(vector), **asked)
        else:
            hits = sphere.search(" ".join(query), vectors=vectors, **asked)
        if json:
            document = hits.as_dict()
            for each, hit in zip(document["hits"], hits, strict=True):
                each["path"] = places(hit)[0]
            put_json(document)
        else:
            show(sphere, hits, explain=explain)
        if verify:
            sphere.prove(hits)
            talk("proved again by full enumeration")
    if json and explain:
        talk(hits.explain())
    return 0 if hits else 1


def read_vector(name: str) -> np.ndarray:
    """The one row of a .npy file, [D] or [1, D].

    Raises:
        NotFoundError: there is no such file; InputError: it is no array of numbers, or has more rows than one.
    """
    rows = np.atleast_2d(read_array(name, "a .npy file that holds one vector"))
    if rows.ndim != 2 or len(rows) != 1:
        raise InputError(f"{name} has shape {list(rows.shape)}; give one vector, [D] or [1, D]")
    return rows[0]


def parse_bytes(text: str) -> bytes:
    """The bytes that `--contains` names.

    Raises:
        InputError: `hex:` with something that is not hexadecimal.
    """
    if text.startswith("hex:"):
        try:
            return bytes.fromhex(text[4:])
        except ValueError as error:
            raise InputError(
                f"{text!r} is not hexadecimal; write pairs of digits as in hex:89504e47"
            ) from error
    return _ESCAPE.sub(
        lambda match: bytes.fromhex(match[1].decode()) if match[1] else _LETTERS[match[2]], os.fsencode(text)
    )


def places(hit: Hit) -> list[str]:
    """Where the content of a hit lies: the path of each of its names, of a row with the row behind a #."""
    found = []
    for uri in hit.uris:
        path = path_of(uri)
        row = uri[uri.rindex("#") :] if path is not None and uri != path and "#" in uri else ""
        found.append("stdin" if path is None else path + row)
    return found


def show(sphere: Sphere, hits: Hits, *, explain: bool = False, most: int | None = None) -> None:
    """Print hits for people: in colour on a terminal, plain elsewhere."""
    width = terminal_width()
    for hit in hits[:most]:
        paths = [shown_path(path) for path in places(hit)]
        state = f"{hits.status}, stale" if hit.stale else hits.status
        put_line(
            (f"{_clean(paths[0])}:{hit.line}", "bold cyan"),
            (f"  bytes {hit.start}-{hit.end}  score {hit.score:.4g}  {state}", ""),
        )
        for text, marks in excerpt(*shown_text(sphere, hit, hits.request.contains)):
            put_line(("    ", ""), *trimmed(text, marks, width - 4))
        if len(paths) > 1:
            put_line(("    same content: " + _clean(", ".join(paths[1:])), "dim"))
    if explain:
        put_line((hits.explain(), ""))
    if not hits:
        only = f" ({hits.request.filter})" if hits.request.filter else ""
        put_line((f"nothing found for {_clean(str(hits.request) + only)}", ""))
    if hits.status == "partial" and not explain:
        put_line((str(hits.account["why it stopped"]), ""))
    put_line((closing(hits), "dim"))


def closing(hits: Hits) -> str:
    """The last line of an answer: its status, its gap and what it cost; of a radius search how many there are."""
    cost, within = hits.cost, ""
    if hits.total is not None:
        within = f"{count_words(hits.total, 'point')} at {hits.request.within:g} or more, {len(hits)} shown; "
    return (
        f"{within}{hits.status}, gap {hits.gap:.3g}; looked at {size_words(cost.bytes_scanned)} of"
        f" {size_words(cost.bytes_stored)}, {cost.milliseconds:.1f} ms"
    )


def shown_text(sphere: Sphere, hit: Hit, contains: bytes | None) -> tuple[str, list[tuple[int, int]]]:
    """The text to show with its marks: the hit's, or an occurrence with the rest of its line."""
    if contains is None:
        return hit.text, hit.marks
    view = sphere.view
    part, local = view.locate_row(hit.point)
    document = int(part.window_document[part.point_window[local]])
    opens = int(part.document_base[document])
    closes = opens + int(part.document_byte[document + 1] - part.document_byte[document])
    start, end = max(opens, hit.start - AROUND), min(closes, hit.end + AROUND)
    if start > hit.start or end < hit.end:  # it spans two parts
        return hit.text, [(0, len(hit.text))]
    data = view.read(part, document, start, end)[0]
    at, until = hit.start - start, hit.end - start
    before = data[:at].rpartition(b"\n")[2]
    after = data[until:].partition(b"\n")[0]
    head, found, tail = (_decoded(piece, hit.encoding) for piece in (before, data[at:until], after))
    return head + found + tail, [(len(head), len(head) + len(found))]


def _decoded(data: bytes, encoding: str) -> str:
    if encoding == "bytes":  # one character per byte, so that the occurrence can be seen
        return "".join(chr(byte) if 32 <= byte < 127 else "\u00b7" for byte in data)
    return analysis_text(data, encoding)


def excerpt(
    text: str, marks: list[tuple[int, int]], most: int = LINES
) -> list[tuple[str, list[tuple[int, int]]]]:
    """The neighbouring lines of a text that hold the most marks, each with the marks that lie in it."""
    lines: list[tuple[str, list[tuple[int, int]]]] = []
    at = 0
    for line in text.split("\n"):
        end = at + len(line)
        inside = [(max(a, at) - at, min(b, end) - at) for a, b in marks if a < end and b > at]
        if line.strip():
            lines.append((_clean(line), inside))
        at = end + 1
    starts = range(max(1, len(lines) - most + 1))
    first = max(starts, key=lambda i: sum(len(inside) for _, inside in lines[i : i + most]))
    return lines[first : first + most]


def _clean(text: str) -> str:
    """As many characters as `text`, none of which a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c == "\t" else "\u00b7" for c in text)


def trimmed(line: str, marks: list[tuple[int, int]], width: int) -> list[tuple[str, str]]:
    """Pieces of a line with their styles, cut so that its first mark can be seen."""
    indent = len(line) - len(line.lstrip())
    begin = 0
    if len(line) > width:
        begin = min(indent, marks[0][0]) if marks else indent
        if marks and marks[0][1] > begin + width:
            begin = max(0, marks[0][0] - width // 3)
    end = min(len(line), begin + max(width, 20))
    pieces: list[tuple[str, str]] = []
    at = begin
    for a, b in marks:
        a, b = max(a, at), min(b, end)
        if a < b:
            pieces += [(line[at:a], ""), (line[a:b], "bold yellow")]
            at = b
    return [*pieces, (line[at:end], "")]


def put_line(*pieces: tuple[str, str]) -> None:
    """Print a line of (text, style) pieces."""
    if not sys.stdout.isatty():
        text = "".join(text for text, _ in pieces)
        encoding = sys.stdout.encoding or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding))
        return
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False, soft_wrap=True).print(Text.assemble(*pieces))
