"""`thesphere demo`: the whole job on Python's own library, which every machine has, or on yours."""

import os
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thesphere.cli.console import count_words, shown_path, size_words, talk, terminal_width
from thesphere.cli.ingest import nothing, take, tell
from thesphere.cli.search import excerpt, parse_bytes, places, put_line, show, shown_text, trimmed
from thesphere.errors import InputError, NotFoundError
from thesphere.readers import path_of
from thesphere.sphere import Sphere

COLLECTION = "demo.sphere"
LEFT_OUT = frozenset({"test", "tests", "idle_test", "__pycache__", "site-packages", "dist-packages"})
SHOWN = 3
GREPPED = 4  # letters that a word must have to be given to grep


@dataclass(frozen=True)
class Question:
    """One question of the demonstration: its kind, and a text or a byte string as `--contains` takes it."""

    kind: str
    text: str = ""
    contains: str = ""


QUESTIONS = (
    Question("plain", "remove leading whitespace from all lines of a text"),
    Question("plain", "how much free disk space is left"),
    Question("four typos", "mrege sorted inpust into a sinlge sorted ouptut"),
    Question("German", "Wie berechnet man das harmonische Mittel?"),
    Question("exact name", "get_close_matches"),
    Question("byte string", contains=r"\\037\\213"),
)


def demo(path: str | None = None, /) -> int:
    """The whole job on input that every machine has: Python's own library, and six questions.

    With PATH: the same on a folder of yours, then ask what you like. The collection is kept where you are.

    Parameters
    ----------
    path
        A folder or file of yours.
    """
    return _standard_library() if path is None else _own(path)


def _standard_library() -> int:
    root, files = library_sources()
    talk(f"Python's library: {count_words(len(files), 'source file')} below {root}")
    if Path(COLLECTION).exists():
        with Sphere.open(COLLECTION) as sphere:
            known = {row.uri for row in sphere.collection.sources()}
        if not known <= {os.path.realpath(file) for file in files}:
            raise InputError(
                f"{COLLECTION} holds other sources; remove it, or run the demo in another folder"
            )
    with tempfile.TemporaryDirectory(prefix="thesphere-demo-") as folder:
        # A folder of links that holds the sources and nothing else; what is kept are the files they lead to.
        top = Path(folder) / root.name
        for file in files:
            link = top / file.relative_to(root)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
        tell(take((str(top),), COLLECTION, {}), COLLECTION)
    with Sphere.open(COLLECTION) as sphere:
        for number, question in enumerate(QUESTIONS, 1):
            _ask(sphere, number, question, files)
    print(f'Ask on: thesphere search {COLLECTION} "..."    Your own files: thesphere demo FOLDER')
    print(f"Look at it: thesphere map {COLLECTION}")
    return 0


def _ask(sphere: Sphere, number: int, question: Question, files: list[Path]) -> None:
    print(f"{number}. {question.kind}: {question.text or '--contains ' + question.contains}")
    if question.contains:
        pattern = parse_bytes(question.contains)
        hits = sphere.search(contains=pattern, k=SHOWN)
        grep, lines = f"grep -F '{pattern.decode()}'", matching_lines(files, re.compile(re.escape(pattern)))
    else:
        hits = sphere.search(question.text, k=SHOWN)
        words = grep_words(question.text)
        grep = f"grep -iE '{'|'.join(words)}'"
        lines = matching_lines(files, re.compile("|".join(map(re.escape, words)).encode(), re.IGNORECASE))
    cost = hits.cost
    for hit in hits:
        where = shown_path(places(hit)[0])
        print(f"   {where}:{hit.line}  bytes {hit.start}-{hit.end}  {hits.status}")
        for text, marks in excerpt(*shown_text(sphere, hit, hits.request.contains), 1):
            put_line(("      ", ""), *trimmed(text, marks, terminal_width() - 6))
    print(
        f"   looked at {size_words(cost.bytes_scanned)} of {size_words(cost.bytes_stored)},"
        f" {cost.milliseconds:.1f} ms; {grep} returns {count_words(lines, 'line')}"
    )
    print()


def library_sources() -> tuple[Path, list[Path]]:
    """(a folder, the Python sources below it) of the interpreter that runs: its library without tests; where
    that has no sources, the installed packages.

    Raises:
        NotFoundError: there are none of either.
    """
    for name in ("stdlib", "purelib"):
        root = Path(sysconfig.get_path(name)).resolve()
        if files := sorted(_sources(root)):
            return root, files
    raise NotFoundError("this Python comes without sources; give a folder of yours: thesphere demo FOLDER")


def _sources(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [each for each in folders if each not in LEFT_OUT]
        yield from (Path(folder) / each for each in files if each.endswith(".py"))


def grep_words(text: str) -> list[str]:
    """The words of a question that a person would give to grep: those of four letters or more."""
    return list(dict.fromkeys(word.lower() for word in re.findall(r"\w+", text) if len(word) >= GREPPED))


def matching_lines(files: list[Path], pattern: re.Pattern[bytes]) -> int:
    """How many lines of the files match, each counted once."""
    count = 0
    for file in files:
        last = -1
        data = file.read_bytes()
        for match in pattern.finditer(data):
            if match.start() > last:
                count += 1
                last = data.find(b"\n", match.end())
                if last < 0:
                    break
    return count


def _own(path: str) -> int:
    top = Path(path).resolve()
    into = top.name if top.suffix == ".sphere" else f"{top.name or 'root'}.sphere"
    if top.suffix == ".sphere":
        raise InputError(f'{path} is a collection already; ask it: thesphere search {path} "..."')
    if Path(into).exists():
        with Sphere.open(into) as sphere:
            known = {Path(path_of(row.uri) or "") for row in sphere.collection.sources()}
        if not all(each == top or top in each.parents for each in known):
            raise InputError(f"{into} holds other sources; remove it, or run the demo in another folder")
    report = take((path,), into, {})
    tell(report, into)
    if not Path(into).exists():
        raise nothing((path,), report)
    talk(f"Kept in {into}. Ask; an empty line ends.")
    with Sphere.open(into) as sphere:
        for line in _lines():
            show(sphere, sphere.search(line, k=5))
    return 0


def _lines() -> Iterator[str]:
    """Questions from standard input, up to an empty line or its end."""
    while True:
        if sys.stdin.isatty():
            print("? ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        yield line
