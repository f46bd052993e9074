"""Titles, abstracts and sections of scientific prose, out of the files that corpora of it are kept in.

As `thesphere.train.extractors`: they read one file's text and know nothing of where it comes from.
A paper is a pair of its title ("" where there is none) and its abstract.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from thesphere.errors import FormatError
from thesphere.train.extractors import squeezed

Paper = tuple[str, str]

_TITLES = ("title", "primary_title", "QUESTION")
_ABSTRACTS = ("abstract", "summary", "notes_abstract", "CONTEXTS", "source")
_LABEL = re.compile(
    r"^\s*(?:abstract|summary|background|objectives?|introduction|purpose|aims?)\s*[:.\-]\s*", re.I
)
_LEFT_OUT = {"table", "figure", "equation", "exercise", "media", "note", "list", "math", "disp-formula", "fig",
             "table-wrap", "xref", "md:abstract", "solution", "problem"}  # fmt: skip
_STRING = re.compile(rb"\x00[\x00-\xff]\x00[\x09]")


def _tree(text: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(text.encode())
    except ElementTree.ParseError as error:
        raise FormatError(f"XML was expected: {error}; fetch the file again") from None


def _name(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def _said(node: ElementTree.Element, left_out: Iterable[str] = ()) -> str:
    """All text under a node, without that of elements named in `left_out`."""
    parts = [node.text or ""]
    for child in node:
        if _name(child) not in left_out:
            parts.append(_said(child, left_out))
        parts.append(child.tail or "")
    return "".join(parts)


def unlabelled(abstract: str) -> str:
    """An abstract with single blanks, without the word "Abstract:" or "Background:" before it."""
    return _LABEL.sub("", squeezed(abstract))


def anthology(text: str) -> Iterator[Paper]:
    """Papers of one file of the ACL Anthology's XML.

    Raises:
        FormatError: `text` is not XML.
    """
    for paper in _tree(text).iter("paper"):
        title, abstract = paper.find("title"), paper.find("abstract")
        if title is not None and abstract is not None:
            yield squeezed(_said(title)), unlabelled(_said(abstract))


def journal_article(text: str) -> tuple[Paper, list[tuple[str, list[str]]]]:
    """The paper, and the (heading, paragraphs) of its body, of an article in JATS XML.

    Raises:
        FormatError: `text` is not XML.
    """
    tree = _tree(re.sub(r"<!DOCTYPE[^>]*>", "", text))
    title, abstract = tree.find(".//article-title"), tree.find(".//abstract")
    parts = [_said(part) for part in abstract.iter("p")] if abstract is not None else []
    paper = squeezed(_said(title)) if title is not None else "", unlabelled(" ".join(parts))
    return paper, list(_sections(tree.find(".//body"), "sec", "p"))


def module(text: str) -> Iterator[tuple[str, list[str]]]:
    """(heading, paragraphs) of a module of a textbook in CNXML; formulas, figures and exercises are left out.

    Raises:
        FormatError: `text` is not XML.
    """
    tree = _tree(text)
    title = next((squeezed(_said(node)) for node in tree if _name(node) == "title"), "")
    content = next((node for node in tree if _name(node) == "content"), None)
    for heading, paragraphs in _sections(content, "section", "para"):
        yield heading or title, paragraphs
    for node in tree.iter():
        if _name(node) == "definition":
            term = next((squeezed(_said(each)) for each in node if _name(each) == "term"), "")
            meaning = next((squeezed(_said(each)) for each in node if _name(each) == "meaning"), "")
            if term and meaning:
                yield term, [meaning]


def _sections(
    node: ElementTree.Element | None, section: str, paragraph: str, heading: str = ""
) -> Iterator[tuple[str, list[str]]]:
    if node is None:
        return
    heading = next((squeezed(_said(each)) for each in node if _name(each) == "title"), heading)
    kept = [squeezed(_said(each, _LEFT_OUT)) for each in node if _name(each) == paragraph]
    if kept := [text for text in kept if len(text) > 40]:
        yield heading, kept
    for each in node:
        if _name(each) == section:
            yield from _sections(each, section, paragraph, heading)


def questions(text: str) -> Iterator[tuple[str, list[str]]]:
    """(question, paragraphs of the answer) of a file of medical questions (MedQuAD's XML).

    Raises:
        FormatError: `text` is not XML.
    """
    for pair in _tree(text).iter("QAPair"):
        question, answer = pair.find("Question"), pair.find("Answer")
        if question is not None and answer is not None and answer.text:
            asked = re.sub(r"\(are\) |\(is\) |\s+(?=\?)", "", squeezed(_said(question)))
            paragraphs = [squeezed(part) for part in re.split(r"\n\s*\n|\s{8,}", answer.text)]
            yield asked, [part for part in paragraphs if len(part) > 40]


def records(text: str) -> Iterator[Paper]:
    """Papers of JSON, whole or line by line: every object that has a title and an abstract (or "summary").

    Raises:
        FormatError: `text` is neither.
    """
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise FormatError(f"JSON, or JSON line by line, was expected: {error}") from None
    left = [found]
    while left:
        here = left.pop()
        if isinstance(here, dict):
            title = next((here[key] for key in _TITLES if isinstance(here.get(key), str)), "")
            abstract = next((here[key] for key in _ABSTRACTS if here.get(key)), "")
            if isinstance(abstract, list) and all(isinstance(part, str) for part in abstract):
                abstract = " ".join(abstract)
            if title and isinstance(abstract, str) and abstract:
                yield squeezed(title), unlabelled(abstract)
            else:
                left += reversed(here.values())
        elif isinstance(here, list):
            left += reversed(here)


def table(text: str) -> Iterator[Paper]:
    """Papers of CSV with columns for the title and the abstract, whatever their case; else nothing."""
    csv.field_size_limit(1 << 24)
    rows = csv.reader(io.StringIO(text))
    columns = [name.strip().lower() for name in next(rows, [])]
    places = [
        next((columns.index(key) for key in keys if key in columns), None) for keys in (_TITLES, _ABSTRACTS)
    ]
    title, abstract = places
    if title is None or abstract is None:
        return
    for row in rows:
        if len(row) > max(title, abstract) and row[abstract].strip():
            yield squeezed(row[title]), unlabelled(row[abstract].replace(".; ", ". "))


def marked(text: str) -> Iterator[Paper]:
    """Papers of PubTator's format: lines "id|t|title" and "id|a|abstract"."""
    titles = {}
    for match in re.finditer(r"^(\d+)\|([ta])\|(.*)$", text, re.M):
        if match[2] == "t":
            titles[match[1]] = squeezed(match[3])
        elif match[1] in titles:
            yield titles[match[1]], unlabelled(match[3])


def joined(tokens: Iterable[str]) -> str:
    """A text of tokens as it was written, as far as that can be told: "( 5 % )" is "(5%)"."""
    text = " ".join(tokens)
    text = re.sub(r" ([.,;:!?%)\]}]|'s\b|n't\b)", r"\1", text)
    text = re.sub(r"([(\[{]) ", r"\1", text)
    return squeezed(re.sub(r"(?<=\w) ([-/]) (?=\w)", r"\1", text))


def tagged(text: str, column: int = 0, start: str = "-DOCSTART-") -> Iterator[list[str]]:
    """Documents, each a list of its sentences, of a file with a token a line, blank lines between sentences.

    Args:
        column: where in the line the token is.
        start: what the line before a document begins with.
    """
    document, sentence = [], []
    for line in [*text.splitlines(), "", start]:
        opens = line.startswith(start)
        if line.strip() and not opens:
            sentence.append(line.split()[column])
            continue
        if sentence:
            document.append(joined(sentence))
            sentence = []
        if opens and document:
            yield document
            document = []


def headed_paper(text: str) -> Paper:
    """The paper of a text file: a title, that may go on in indented lines, then the abstract.

    A text of one line is an abstract without a title.
    """
    lines = text.strip().split("\n")
    at = 1
    while at < len(lines) and lines[at].startswith(("\t", "  ")) and at < 4:
        at += 1
    if len(lines) == at or len(" ".join(lines[:at])) > 300:
        return "", unlabelled(text)
    return squeezed(" ".join(lines[:at])), unlabelled(" ".join(lines[at:]))


def columns(data: bytes) -> Iterator[list[str]]:
    """The columns of strings of a saved R data frame (.rda), in order; a missing string is "".

    Raises:
        FormatError: `data` is not one.
    """
    opened = {b"\x1f\x8b": gzip.decompress, b"BZ": bz2.decompress, b"\xfd7": lzma.decompress}
    try:
        raw = opened.get(data[:2], bytes)(data)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise FormatError(f"a saved R data frame (.rda) was expected: {error}") from None
    if not raw.startswith((b"RDX2\nX\n", b"RDX3\nX\n")):
        raise FormatError("a saved R data frame (.rda) was expected; this file does not begin as one")
    for match in re.finditer(rb"\x00\x00[\x00-\x04]\x10(?=\x00[\x00-\x0f])", raw):
        place, count, found = match.end() + 4, int.from_bytes(raw[match.end() : match.end() + 4], "big"), []
        while len(found) < count and _STRING.match(raw, place):
            size = int.from_bytes(raw[place + 4 : place + 8], "big", signed=True)
            found.append(raw[place + 8 : place + 8 + max(size, 0)].decode("utf-8", "replace"))
            place += 8 + max(size, 0)
        if found and len(found) == count:
            yield found
