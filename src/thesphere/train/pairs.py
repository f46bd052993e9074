"""Pairs of texts that belong together, for the training of encoders, made of what packages hold.

Extractors read one file's text and know nothing of the package it comes from: Python source, gettext catalogues,
marked-up documents and their translations, dictd dictionaries, OBO ontologies, package descriptions. A
`Collection` keeps every text once and packs all into three files that numpy, json and lzma can read.
"""

import ast
import base64
import hashlib
import html
import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from thesphere.errors import FormatError

MOST_BYTES = 1600
"""A text is cut to so many bytes, at a blank where there is one near."""

KINDS = ("word", "query", "title", "sentence", "passage", "code", "interface", "gloss")
"""What a text is; "interface" is a string of a program's user interface."""

_BLANKS = re.compile(r"\s+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^a-z])|(?<=[。！？।])\s*")
_HEADING_TAGS = ("title", "h1", "h2", "h3", "h4", "h5", "h6")
_BLOCK = re.compile(
    r"<(title|h[1-6]|p|dd|dt|desc|para|caption|td)\b([^>]*)>(.*?)(?=</\1>|<(?:title|h[1-6]|p|dd|dt|desc|para|td)\b)",
    re.DOTALL | re.IGNORECASE,
)
_DROPPED = re.compile(
    r"<(script|style|nav|footer|header|pre|code|screen|info)\b.*?</\1>|<!--.*?-->", re.DOTALL
)
_TAG = re.compile(r"<[^>]{1,2000}>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]+)"')
_NUMBERED = re.compile(r"^\d{1,2}(?:\.\d{1,2}){0,3}\.?\s{1,4}([A-Z][^.]{3,70})$")
_UNDERLINE = re.compile(r"^([=\-~^\"'*+#:.`])\1{3,}$")


def squeezed(text: str) -> str:
    """`text` with every run of blanks as one."""
    return _BLANKS.sub(" ", text).strip()


def cut(text: str, most: int = MOST_BYTES) -> bytes:
    """UTF-8 of `text`, at most `most` bytes, never ending inside a character and, if it can be, not in a word."""
    data = text.encode("utf-8", "ignore")
    if len(data) <= most:
        return data
    data = data[:most].decode("utf-8", "ignore").encode()
    blank = max(data.rfind(b" "), data.rfind(b"\n"))
    return data[:blank] if blank > most * 3 // 4 else data


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph: after a full stop, or after the full stops of Chinese, Japanese and Hindi."""
    return [part for part in _SENTENCE.split(squeezed(text)) if part]


# Python source


@dataclass(frozen=True)
class Function:
    """A function of Python source.

    Attributes:
        name: as defined.
        summary: the first paragraph of its docstring, or the comment lines just above it; may be empty.
        code: the function as written, decorators left out, dedented.
        bare: the same without its docstring; equal to `code` where there is none.
    """

    name: str
    summary: str
    code: str
    bare: str


def functions(source: str) -> Iterator[Function]:
    """The functions and methods of Python source, in order; nothing for source that does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = source.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.end_lineno is None:
            continue
        first = node.body[0]
        written = lines[node.lineno - 1 : node.end_lineno]
        bare, summary = written, ""
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            if isinstance(first.value.value, str) and first.end_lineno is not None:
                summary = first.value.value.strip().split("\n\n")[0]
                bare = (
                    lines[node.lineno - 1 : first.lineno - 1] + lines[first.end_lineno : node.end_lineno]
                    if first.lineno > node.lineno
                    else written
                )
        if not summary:
            above = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 2
            comment: list[str] = []
            while above >= 0 and lines[above].strip().startswith("#"):
                comment.append(lines[above].strip().lstrip("# "))
                above -= 1
            summary = " ".join(reversed(comment))
        indent = len(written[0]) - len(written[0].lstrip())
        yield Function(node.name, squeezed(summary), _dedented(written, indent), _dedented(bare, indent))


def _dedented(lines: Sequence[str], indent: int) -> str:
    return "\n".join(line[indent:] if not line[:indent].strip() else line for line in lines).rstrip()


def spoken(name: str) -> str:
    """An identifier as lower-case words: "getFile_name2" is "get file name 2"."""
    parts = re.sub(r"(?<=[^\W\d_])(?=\d)|_+|(?<=\d)(?=[^\W\d_])", " ", name)
    cuts = (a.isupper() and b.isupper() and c.islower() or b.isupper() and not a.isupper()
            for a, b, c in zip(" " + parts, parts, parts[1:] + " ", strict=False))  # fmt: skip
    return squeezed("".join(" " * cut_here + b for cut_here, b in zip(cuts, parts, strict=True))).lower()


_LIGHT = frozenset("a an the of this that given specified which its be is are was will if it".split())


def asked(summary: str, turn: int) -> str:
    """A summary such as "Returns the size of a file." as somebody might type it: "python get size file".

    Args:
        summary: a sentence in the imperative or third person.
        turn: chooses one of six forms.
    """
    words = re.findall(r"[\w'.+#-]*\w[+#]*", sentences(summary)[0] if summary.strip() else "")[:14]
    if not words:
        return ""
    verb = words[0].lower()
    if verb.endswith(("sses", "shes", "ches", "xes", "zes")):
        verb = verb[:-2]
    elif verb.endswith("ies") and len(verb) > 4:
        verb = verb[:-3] + "y"
    elif verb.endswith("s") and not verb.endswith(("ss", "us", "is")):
        verb = verb[:-1]
    verb = {"return": "get", "retrieve": "get", "determine": "find", "construct": "create"}.get(verb, verb)
    rest = [word.lower() for word in words[1:]]
    short = [word for word in rest if word not in _LIGHT] or rest
    forms = (
        ["python", verb, *short], ["how", "to", verb, *rest], [verb, *short, "python"],
        ["python", "how", "to", verb, *short], [verb, *short], ["how", "to", verb, *short, "in", "python"],
    )  # fmt: skip
    return " ".join(forms[turn % len(forms)])


# documents


Block = tuple[str, str, str]
"""Tag, id and text of one block of a document."""


def blocks(markup: str) -> list[Block]:
    """(tag, id or "", text) of the headings, paragraphs, definitions and cells of HTML, Mallard or DocBook.

    Code and navigation are left out; empty blocks stay, so that translations keep their places.
    """
    found = []
    for match in _BLOCK.finditer(_DROPPED.sub("", markup)):
        label = _ID.search(match[2])
        text = squeezed(html.unescape(_TAG.sub("", match[3])))
        found.append((match[1].lower(), label[1] if label else "", text))
    return found


def aligned(
    english: Sequence[tuple[str, str, str]], foreign: Sequence[tuple[str, str, str]]
) -> list[tuple[str, str]]:
    """(foreign, English) texts of blocks of one document in two languages.

    By id where blocks have ids of their own; by place where both sides have the same tags; else nothing. What is
    equal, empty or of very different length is left out.
    """
    labels = {label: text for _, label, text in english if label}
    if len(labels) > len(english) // 2:
        both = [(text, labels[label]) for _, label, text in foreign if label in labels]
    elif [tag for tag, _, _ in english] == [tag for tag, _, _ in foreign]:
        both = [(f[2], e[2]) for f, e in zip(foreign, english, strict=True)]
    else:
        return []
    return [(f, e) for f, e in both if f and e and f != e and 0.2 < len(f) / len(e) < 4]


def headed(markup: str) -> Iterator[tuple[str, list[str]]]:
    """(heading, paragraphs) of HTML, Mallard or DocBook."""
    heading, kept = "", []
    for tag, _, text in blocks(markup):
        if tag in _HEADING_TAGS:
            if kept:
                yield heading, kept
            heading, kept = text, []
        elif text:
            kept.append(text)
    if kept:
        yield heading, kept


def sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """(heading, paragraphs) of plain text: underlined (reStructuredText), "#", "=head" and "1.2 Title" headings.

    Paragraphs are parted by blank lines; those that are mostly not letters (tables, drawings, code) are dropped.
    """
    heading, kept, here = "", [], []
    lines = [*text.split("\n"), ""]
    for place, line in enumerate(lines):
        stripped = line.strip()
        named = ""
        if (
            stripped
            and place + 1 < len(lines)
            and len(stripped) < 90
            and _UNDERLINE.match(lines[place + 1].strip())
        ):
            named = stripped
        elif stripped.startswith(("# ", "## ", "### ", "=head")):
            named = stripped.lstrip("#").removeprefix("=head").lstrip("1234 ")
        elif match := _NUMBERED.match(line):
            named = match[1]
        if named or not stripped:
            if here:
                paragraph = squeezed(" ".join(here))
                if len(paragraph) > 30 and sum(map(str.isalpha, paragraph)) > 0.65 * len(paragraph):
                    kept.append(paragraph)
                here = []
            if named:
                if kept:
                    yield heading, kept
                heading, kept = squeezed(named), []
        elif not _UNDERLINE.match(stripped) and not stripped.startswith(".. "):
            here.append(stripped)
    if kept:
        yield heading, kept


def passages(paragraphs: Iterable[str], most: int) -> Iterator[str]:
    """Paragraphs joined to passages of at most about `most` bytes; a longer paragraph stands alone."""
    here, size = [], 0
    for paragraph in paragraphs:
        length = len(paragraph.encode("utf-8", "ignore"))
        if here and size + length > most:
            yield "\n".join(here)
            here, size = [], 0
        here.append(paragraph)
        size += length
    if here:
        yield "\n".join(here)


# translations


def catalogue(data: bytes) -> Iterator[tuple[str, str]]:
    """(English, foreign) strings of a compiled gettext catalogue; contexts, plurals and accelerators taken off.

    Raises:
        FormatError: `data` is not one, or points outside itself.
    """
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(data[:4])
    if order is None or len(data) < 20:
        raise FormatError("a gettext catalogue (.mo) was expected; this file does not begin as one")
    count, first, second = struct.unpack_from(order + "III", data, 8)
    if max(first, second) + 8 * count > len(data):
        raise FormatError("this gettext catalogue is cut off; fetch it again")
    for row in range(count):
        texts = []
        for table in (first, second):
            size, start = struct.unpack_from(order + "II", data, table + 8 * row)
            texts.append(data[start : start + size].split(b"\x00")[0].decode("utf-8", "ignore"))
        english, foreign = texts[0].rsplit("\x04", 1)[-1], texts[1]
        english, foreign = (_plain_label(each) for each in (english, foreign))
        if english and foreign and english != foreign:
            yield english, foreign


def _plain_label(text: str) -> str:
    text = re.sub(
        r"\((?:&amp;|[&_~])\w\)", "", text
    )  # accelerators of Chinese and Japanese menus: "保存(_S)"
    text = re.sub(r"(?<!\w)[&_~](?=\w)|(?<=\w)[_~&](?=\w{2})", "", text) if len(text) < 60 else text
    return squeezed(html.unescape(_TAG.sub("", text)))


def descriptions(listing: str) -> Iterator[tuple[str, str, str]]:
    """(checksum of the English original, short, long) of a Debian index of translated descriptions."""
    for entry in listing.split("\n\n"):
        lines = entry.split("\n")
        checksum = next((x.split(": ")[1] for x in lines if x.startswith("Description-md5: ")), "")
        start = next((n for n, x in enumerate(lines) if re.match(r"Description-(?!md5)\S+: ", x)), None)
        if not checksum or start is None:
            continue
        body = [x[1:] for x in lines[start + 1 :] if x.startswith(" ")]
        paragraphs = "\n".join("" if x == "." else x for x in body).split("\n\n")
        yield checksum, lines[start].split(": ", 1)[1], "\n".join(filter(None, map(squeezed, paragraphs)))


# dictionaries and ontologies


def dictionary(index: bytes, archive: bytes) -> Iterator[tuple[str, str]]:
    """(headword, article) of a dictd dictionary.

    Args:
        index: the .index file: headword, offset and size in base 64, parted by tabs.
        archive: the .dict.dz file, gzip with several members or one.

    Raises:
        FormatError: `archive` is not gzip.
    """
    try:
        text = zlib.decompress(archive, wbits=31)
    except zlib.error as error:
        raise FormatError(f"a dictd archive (.dict.dz, gzip) was expected: {error}") from None
    seen = set()
    for line in index.decode("utf-8", "ignore").split("\n"):
        cells = line.split("\t")
        if len(cells) < 3 or cells[0].startswith("00-") or (place := (cells[1], cells[2])) in seen:
            continue
        seen.add(place)
        start, size = (_digits64(each) for each in place)
        yield cells[0], text[start : start + size].decode("utf-8", "ignore")


def _digits64(digits: str) -> int:
    padded = digits.rjust(-(-len(digits) // 4) * 4, "A")
    return int.from_bytes(base64.b64decode(padded), "big")


def terms(obo: str) -> Iterator[tuple[str, str, list[str]]]:
    """(name, definition or "", synonyms) of the terms of an OBO ontology that are not obsolete."""
    for stanza in obo.split("\n\n[")[1:]:
        if not stanza.startswith("Term]") or "\nis_obsolete: true" in stanza:
            continue
        name = re.search(r"^name: (.+)", stanza, re.MULTILINE)
        meaning = re.search(r'^def: "((?:[^"\\]|\\.)*)"', stanza, re.MULTILINE)
        others = re.findall(r'^synonym: "((?:[^"\\]|\\.)*)"', stanza, re.MULTILINE)
        if name:
            yield name[1], (meaning[1] if meaning else "").replace('\\"', '"').replace("\\n", " "), others


# the collection


@dataclass
class Collection:
    """Texts, each kept once, and the pairs between them.

    Args:
        refused: texts for which this is true are not taken (the texts that encoders are judged on).
    """

    refused: Callable[[str], bool] = field(default=lambda text: False)
    rows: dict[bytes, int] = field(default_factory=dict)
    texts: list[bytes] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    langs: list[str] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    pairs: dict[tuple[int, int], str] = field(default_factory=dict)
    parallel: dict[tuple[int, int], str] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    group: int = 0

    def add(self, text: str, kind: str, lang: str = "en") -> int | None:
        """The number of `text`, new or known; None for an empty or refused one."""
        data = cut(text.replace("\x00", "").strip())
        if not data:
            return None
        known = self.rows.get(data)
        if known is not None:
            return known if self.langs[known] == lang else None
        if self.refused(text):
            return None
        self.rows[data] = number = len(self.texts)
        self.texts.append(data)
        self.kinds.append(KINDS.index(kind))
        self.langs.append(lang)
        self.groups.append(self.group)
        return number

    def pair(self, query: int | None, passage: int | None, kind: str) -> bool:
        """Note that `query` should find `passage`; False for a text that is missing, or for one text twice."""
        if query is None or passage is None or query == passage or (query, passage) in self.pairs:
            return False
        self.pairs[query, passage] = kind
        return True

    def translation(self, foreign: str, english: str, lang: str, kind: str, text_kind: str) -> bool:
        """Note that `foreign` means `english`; False where one of them is not taken."""
        if foreign.strip() == english.strip():
            return False
        one = self.add(english, text_kind)
        two = self.add(foreign, text_kind, lang) if one is not None else None
        if one is None or two is None:
            return False
        self.parallel[two, one] = kind
        return True

    def pack(self, folder: str | Path, preset: int = 6) -> dict[str, Any]:
        """Write texts.bin.xz, pairs.npz and pairs.json into `folder`; give what pairs.json says.

        Texts are numbered anew: English (and code) 0..E-1, the other languages after it, both in the order in
        which they came, which keeps alike texts together for the compressor.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        langs = ["en", *sorted(set(self.langs) - {"en"})]
        lang = np.array([langs.index(each) for each in self.langs], np.uint8)
        order = np.argsort(lang != 0, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        raw = b"".join(self.texts[row] for row in order)
        pair_kinds, parallel_kinds = (sorted(set(each.values())) for each in (self.pairs, self.parallel))
        arrays = {
            "length": np.array([len(self.texts[row]) for row in order], np.uint16),
            "kind": np.array(self.kinds, np.uint8)[order],
            "lang": lang[order],
            "group": np.unique(self.groups, return_inverse=True)[1].astype(np.uint32)[order],
        }
        for name, found, kinds in (
            ("pair", self.pairs, pair_kinds), ("parallel", self.parallel, parallel_kinds),
        ):  # fmt: skip
            rows = place[np.array(list(found), np.int64).reshape(-1, 2)].astype(np.int32)
            by_passage = np.lexsort(rows.T)  # sorted and column by column: packs better
            arrays[name] = np.asfortranarray(rows[by_passage])
            arrays[name + "_kind"] = np.array([kinds.index(each) for each in found.values()], np.uint8)[
                by_passage
            ]
        with zipfile.ZipFile(folder / "pairs.npz", "w", zipfile.ZIP_LZMA) as file:  # half the size of deflate
            for name, array in arrays.items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        packed = lzma.compress(raw, preset=preset)
        (folder / "texts.bin.xz").write_bytes(packed)
        facts = {
            "texts": len(order), "english": int((lang == 0).sum()), "bytes": len(raw),
            "pairs": len(self.pairs), "parallel": len(self.parallel),
            "kinds": list(KINDS), "langs": langs, "pair_kinds": pair_kinds, "parallel_kinds": parallel_kinds,
            "sha256": hashlib.sha256(raw).hexdigest(), "sources": self.sources,
        }  # fmt: skip
        (folder / "pairs.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1))
        return facts


@dataclass(frozen=True)
class Pairs:
    """A packed collection, read back; see `Collection.pack`."""

    raw: bytes
    starts: np.ndarray
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]

    def text(self, number: int) -> bytes:
        """Text `number`."""
        start = int(self.starts[number])
        return self.raw[start : start + int(self.arrays["length"][number])]


def read_pairs(folder: str | Path) -> Pairs:
    """Read what `Collection.pack` wrote.

    Raises:
        FormatError: the files do not belong together.
    """
    folder = Path(folder)
    facts = json.loads((folder / "pairs.json").read_text())
    raw = lzma.decompress((folder / "texts.bin.xz").read_bytes())
    with np.load(folder / "pairs.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if hashlib.sha256(raw).hexdigest() != facts["sha256"] or arrays["length"].sum(dtype=np.int64) != len(raw):
        raise FormatError(f"texts.bin.xz in {folder} is not the one that pairs.json and pairs.npz describe")
    starts = np.concatenate([[0], np.cumsum(arrays["length"], dtype=np.int64)[:-1]])
    return Pairs(raw, starts, arrays, facts)
