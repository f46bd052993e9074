"""What is trained on when people give their own files: texts, some of them held out, and pairs made of them."""

import hashlib
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from thesphere.errors import InputError
from thesphere.progress import SILENT, Progress
from thesphere.readers import Skipped, read, utf8
from thesphere.train.corpora import fingerprint
from thesphere.train.extractors import headed, passages, sections, sentences, squeezed
from thesphere.train.functions import asked, functions, spoken

HELD_OUT = 0.05  # share of the bytes that is judged on
MOST_HELD_OUT = 2_000_000
LEAST = 2_000  # bytes that any training needs
DENSE, DENSE_BYTES = 0.85, 1 << 16  # share that deflating leaves of what is no language; bytes looked at
PASSAGE = 600  # bytes that the passages of pairs have, about
_MARKUP = frozenset({".html", ".htm", ".xhtml", ".page", ".xml"})
_PYTHON = frozenset({".py", ".pyi"})


@dataclass(frozen=True)
class Text:
    """A source's text: its name as people see it, UTF-8, and "text", "code" or "row"."""

    name: str
    data: bytes
    modality: str


@dataclass(frozen=True)
class Texts:
    """Texts in an order that depends on their bytes alone.

    Attributes:
        trained, held_out: what is learned from and what is judged on; no text is in both.
        skipped: how many sources were not read, or are no text.
    """

    trained: tuple[Text, ...]
    held_out: tuple[Text, ...]
    skipped: int = 0

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what is trained on, in its order."""
        return fingerprint([text.data for text in self.trained])

    @property
    def held_out_fingerprint(self) -> str:
        """SHA-256 of what is held out, in its order."""
        return fingerprint([text.data for text in self.held_out])

    @property
    def size(self) -> int:
        """Bytes that are trained on."""
        return sum(len(text.data) for text in self.trained)

    @property
    def held_out_size(self) -> int:
        """Bytes that are held out."""
        return sum(len(text.data) for text in self.held_out)


@dataclass(frozen=True)
class Pair:
    """A query and the passage that answers it; `kind` tells how they were made, `text` which text they are of."""

    query: bytes
    passage: bytes
    kind: str
    text: int = 0


def texts_of(
    paths: Sequence[str], *, most: int = 200_000_000, max_size: int = 1 << 30, progress: Progress = SILENT
) -> Texts:
    """The different texts of files and folders, about one in twenty bytes of them held out.

    Which texts are held out, and the order of all, depends on their bytes alone. What can hardly be compressed is
    no text to learn from.

    Args:
        paths: files and folders, read as `ingest` reads them; what is no text is passed over.
        most: bytes that are taken at most, whole texts.
        max_size: larger files are passed over.

    Raises:
        NotFoundError: a path does not exist.
        InputError: too little text, or no room for it.
    """
    if most < LEAST:
        raise InputError(f"at most {most:,} bytes were to be read; training needs {LEAST:,} or more")
    known: dict[bytes, Text] = {}
    skipped = 0
    progress.start("reading", None, "B")
    for source in read(paths, max_size=max_size):
        if isinstance(source, Skipped) or source.modality == "binary":
            skipped += 1
            continue
        try:
            with source.open() as stream:
                raw = stream.read()
        except OSError:
            skipped += 1
            continue
        progress.advance(len(raw))
        if _dense(raw):
            skipped += 1
            continue
        data = utf8(raw, source.encoding).replace(b"\r\n", b"\n").replace(b"\0", b"")
        if data.strip():
            known.setdefault(hashlib.blake2b(data).digest(), Text(source.name, data, source.modality))
    progress.finish()
    taken, size = [], 0
    for _, text in sorted(known.items()):
        if size + len(text.data) <= most or not taken:
            taken.append(Text(text.name, text.data[:most], text.modality))
            size += len(taken[-1].data)
    if size < LEAST:
        passed = f" ({skipped:,} of the files are no text to learn from)" if skipped else ""
        raise InputError(
            f"{size:,} bytes of text were found in {', '.join(paths)}{passed}; training needs {LEAST:,} or more:"
            " name more files"
        )
    return Texts(*_parted(taken), skipped)


def _dense(data: bytes) -> bool:
    """Whether `data` is no language: numbers in binary or something compressed that was taken for text."""
    head = data[:DENSE_BYTES]
    return len(head) >= 1024 and len(zlib.compress(head, 1)) > DENSE * len(head)


def _parted(taken: list[Text]) -> tuple[tuple[Text, ...], tuple[Text, ...]]:
    """(what is trained on, what is held out): whole texts, in their order, and if those are too large the end of
    the largest one, from a line's beginning on where there is one."""
    wanted = min(MOST_HELD_OUT, int(HELD_OUT * sum(len(text.data) for text in taken)))
    trained, held = [], []
    for text in taken:
        fits = len(text.data) <= wanted - sum(len(each.data) for each in held)
        (held if fits else trained).append(text)
    missing = wanted - sum(len(text.data) for text in held)
    if missing > wanted // 2:
        place = max(range(len(trained)), key=lambda i: len(trained[i].data))
        text = trained[place]
        at = len(text.data) - missing
        at = text.data.find(b"\n", at, len(text.data) - 1) + 1 or at
        trained[place] = replace(text, data=text.data[:at])
        held.append(replace(text, data=text.data[at:]))
    return tuple(trained), tuple(held)


def by_kind(texts: Sequence[Text], most: int = 8) -> dict[str, list[bytes]]:
    """Texts by the ending of their names, the `most` largest kinds by themselves."""
    found: dict[str, list[bytes]] = {}
    for text in texts:
        ending = PurePath(text.name.partition("#")[0]).suffix.lower() or "no ending"
        found.setdefault(ending, []).append(text.data)
    large = sorted(found, key=lambda ending: -sum(map(len, found[ending])))[:most]
    kept = {ending: found[ending] for ending in large}
    if rest := [text for ending in found if ending not in kept for text in found[ending]]:
        kept["other"] = rest
    return kept


def pairs_of(texts: Sequence[Text], *, seed: int = 0) -> list[Pair]:
    """Queries and passages that belong together, made of texts alone.

    A heading and what stands below it; a first sentence and what follows it; a sentence out of the middle and its
    passage without it (inverse cloze, Lee et al. 2019); of Python, what a docstring says, as a person would ask
    for it, and the function. The same texts and seed give the same pairs.
    """
    found, seen = [], set()
    for number, text in enumerate(texts):
        rng = random.Random(f"{seed} {hashlib.blake2b(text.data, digest_size=8).hexdigest()}")
        decoded = text.data.decode("utf-8", "replace")
        suffix = PurePath(text.name.partition("#")[0]).suffix.lower()
        made = _of_python(decoded, rng) if suffix in _PYTHON else _of_prose(decoded, suffix in _MARKUP, rng)
        for query, passage, kind in made:
            key = query.casefold(), passage
            if len(query) >= 3 and len(passage) >= 24 and query != passage and key not in seen:
                seen.add(key)
                found.append(Pair(query.encode(), passage.encode("utf-8", "replace"), kind, number))
    return found


def _of_python(source: str, rng: random.Random) -> Iterator[tuple[str, str, str]]:
    for function in functions(source):
        if function.summary and (query := asked(function.summary, rng.randrange(6))):
            yield query, _short(function.bare), "docstring and function"
        if len(words := spoken(function.name)) > 8 and " " in words:
            yield words, _short(function.bare), "name and function"


def _of_prose(text: str, markup: bool, rng: random.Random) -> Iterator[tuple[str, str, str]]:
    some = list(headed(text) if markup else sections(text))
    if not some:
        some = [("", [squeezed(part) for part in text.split("\n\n") if part.strip()])]
    for heading, paragraphs in some:
        for number, passage in enumerate(passages(paragraphs, PASSAGE)):
            if heading and number == 0:
                yield heading, _short(passage), "heading and text"
            parts = sentences(passage)
            if len(parts) < 3:
                continue
            yield parts[0], _short(" ".join(parts[1:])), "first sentence and the rest"
            chosen = rng.randrange(1, len(parts))
            left = " ".join(parts[:chosen] + parts[chosen + 1 :])
            yield parts[chosen], _short(left), "sentence and its passage"


def _short(text: str) -> str:
    return text[: 4 * PASSAGE]
