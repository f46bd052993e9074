"""What texts belong together, read out of single files: documents, translations, catalogues, dictionaries.

Each extractor reads one file's text and knows nothing of the package it comes from: marked-up documents and their
translations, plain text, compiled gettext catalogues, package descriptions, dictd dictionaries, OBO ontologies.
"""

import base64
import html
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence

from thesphere.errors import FormatError

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


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph: after a full stop, or after the full stops of Chinese, Japanese and Hindi."""
    return [part for part in _SENTENCE.split(squeezed(text)) if part]


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
