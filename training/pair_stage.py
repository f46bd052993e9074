"""A stage of training/pairs.py: the texts gathered so far, and how passages are made of documents."""

import gzip
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from thesphere.errors import NotFoundError
from thesphere.train import extractors as E
from thesphere.train import pairs as P

MAIN = set("de zh fr es ru ja ar hi el vi tr th ro".split())
LANGUAGES = MAIN | set("it pt pl ko nl uk cs".split())
NAMED = dict(pair.split(":") for pair in """zh_CN:zh zh-cn:zh zh-CN:zh pt_BR:pt pt-br:pt pt-BR:pt
    cmn:zh deu:de fra:fr spa:es rus:ru jpn:ja arb:ar ara:ar hin:hi ell:el vie:vi tur:tr tha:th ron:ro rom:ro
    ita:it por:pt pol:pl kor:ko nld:nl ukr:uk ces:cs""".split())  # fmt: skip
DESCRIBED = "en de fr es ja ru zh zh_CN pt_BR it pl el vi tr ro ko nl uk cs".split()
GENERIC = set("""description examples example introduction notes note overview usage syntax arguments value
    details references author authors name synopsis options summary background copyright acknowledgements
    parameters returns""".split()) | {"see also", "security considerations", "iana considerations"}  # fmt: skip
OWN_GROUPS = 10_000_000
"""From here on a stage's groups are numbered by hash, with many texts in each."""
_WORD = re.compile(r"[^\W_]+")


def coin(text: str, sides: int) -> int:
    """0..sides - 1, always the same for a text."""
    return hashlib.blake2b(text.encode("utf-8", "ignore"), digest_size=4).digest()[0] % sides


def words_of(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def shingles(text: str) -> set[int]:
    """Twelve words in a row; where nothing is written between words, 24 characters; a short text as a whole."""
    words = words_of(text).split()
    if len(words) >= 12:
        return {hash(" ".join(words[i : i + 12])) for i in range(len(words) - 11)}
    joined = "".join(words)
    if not joined.isascii() and len(joined) >= 24:
        return {hash(joined[i : i + 24]) for i in range(len(joined) - 23)}
    return set()


def refusal(judged: Path | None) -> Callable[[str], bool]:
    """Tells of a text whether it is one of the judged ones, or shares words with one."""
    known: set[int] = set()
    for path in sorted(judged.rglob("*.jsonl")) if judged else ():
        for line in path.open():
            row = json.loads(line)
            if "text" in row:
                known |= shingles((row.get("title") or "") + " " + row["text"])
                if path.name == "queries.jsonl":
                    known.add(hash(words_of(row["text"])))
    return lambda text: hash(words_of(text)) in known or not shingles(text).isdisjoint(known)


def question(heading: str) -> str:
    """A heading as somebody might ask for it."""
    words = heading[0].lower() + heading[1:] if heading[1:2].islower() else heading
    if words.split()[0].endswith("ing"):
        return ("help with ", "how to do ")[coin(words, 2)] + words
    form = ("what is {}", "what does {} mean", "how does {} work", "explain {}")[coin(words, 4)]
    return form.format(words)


def read(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")


def ending(root: Path, *suffixes: str) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.name.endswith(suffixes) and path.is_file())


def language(tag: str) -> str:
    """Of a folder's or dictionary's name; "" for one that is not trained on."""
    lang = NAMED.get(tag, tag)
    return lang if lang in LANGUAGES else ""


@dataclass
class Stage:
    """One stage's collection, and of each text its source.

    Args:
        packages: the folder of the unpacked packages.
        few: at most so many items of each source; 0 for all.
    """

    packages: Path
    few: int
    refused: Callable[[str], bool]
    origins: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.made = P.Collection(self.refused)
        self.rng = random.Random(5)

    def package(self, name: str) -> Path:
        """The folder of "deb-..." and so on, or NotFoundError."""
        found = self.packages / name
        if not found.exists():
            raise NotFoundError(
                f"{name} is not in {self.packages}: run what `pairs.py commands` prints there"
            )
        return found

    @contextmanager
    def source(self, name: str, lang: str = "") -> Iterator[None]:
        """Texts added inside are of this source."""
        yield
        name = f"{name} ({lang})" if lang else name
        new = self.made.texts[len(self.origins) :]
        self.origins += [name] * len(new)
        print(f"{name:40s} {len(new):8,d} texts {sum(map(len, new)) / 1e6:7.2f} MB", flush=True)

    def some(self, items: Iterable, most: int, seed: int = 0) -> list:
        """At most `most` of the items, by hash: the same whatever comes besides."""
        items, most = list(items), min(most, self.few or most)
        if len(items) <= most:
            return items
        marks = [hashlib.blake2b(f"{seed}{item}".encode(), digest_size=8).digest() for item in items]
        return [items[i] for i in sorted(sorted(range(len(items)), key=marks.__getitem__)[:most])]

    def pair(
        self, query: str, query_kind: str, text: str, kind: str, pair_kind: str, lang: str = "en"
    ) -> None:
        self.made.pair(self.made.add(query, query_kind, lang), self.made.add(text, kind, lang), pair_kind)

    def define(self, word: str, meaning: str, others: list[str]) -> None:
        """A term of an ontology with its definition, if that says enough, and with two of its synonyms."""
        meaning = re.sub(r"\[[^\]]*\]", "", meaning)
        if len(meaning) > 20:
            self.pair(word, "title", meaning, "gloss", "word-gloss")
        for other in others[:2]:
            if other.lower() != word.lower():
                self.pair(other, "title", word, "title", "synonym")

    def known(self, text: str) -> int | None:
        return self.made.rows.get(P.cut(text.strip()))

    def prose(self, heading: str, paragraphs: list[str], lang: str = "en", share: float = 1.0) -> None:
        """Passages of one section, each with its title or with one of its own sentences."""
        most = (350, 700, 1100, 1500)[coin(heading + paragraphs[0], 4)]
        for passage in E.passages(paragraphs, most):
            if len(passage.encode()) < 90 or self.rng.random() > share:
                continue
            self.made.group += 1
            parts = E.sentences(passage)
            at = self.rng.randrange(len(parts))
            titled = 4 < len(heading) < 90 and heading.lower() not in GENERIC
            if len(parts) > 2 and 30 < len(parts[at].encode()) < 260 and (not titled or coin(passage, 2)):
                rest = " ".join(parts[:at] + parts[at + 1 :])
                self.pair(parts[at], "sentence", rest, "passage", "sentence-rest", lang)
            elif titled:
                asked = question(heading) if lang == "en" and coin(heading, 6) == 0 else heading
                self.pair(asked, "title", passage, "passage", "title-passage", lang)
            else:
                self.made.add(passage, "passage", lang)
