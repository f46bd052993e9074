"""Damaged and mixed text: typing errors, what character recognition misreads, languages in one text, identifiers.

Everything is pure and seeded: the same text, rate and seed give the same result on every machine, so that
training and benchmarks damage alike. Texts come and go as str; offsets are characters.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thesphere.errors import InputError

ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "αβγδεζηθικλμνξοπρστυφχψω",
)
"""Letters that replace and are put in: of the alphabet that the letter hit belongs to, else Latin."""

SCANNER = {
    "rn": "m", "m": "rn", "cl": "d", "d": "cl", "vv": "w", "w": "vv", "li": "h", "nn": "rm", "ii": "u",
    "l": "1", "I": "l", "1": "l", "O": "0", "0": "O", "o": "0", "S": "5", "5": "S", "B": "8", "8": "B",
    "g": "q", "q": "g", "e": "c", "c": "e", "h": "b", "b": "h", "t": "f", "f": "t", "Z": "2", "z": "2", "G": "6",
    "fi": "ﬁ", "fl": "ﬂ", "—": "-", "’": "'", "ä": "a", "ö": "o", "ü": "u", "é": "e", "ß": "B", "ñ": "n",
}  # fmt: skip
"""Confusions of printed pages that were scanned: shapes that run together or look alike."""

CAMERA = {
    "a": "o", "o": "a", "u": "v", "v": "u", "n": "r", "r": "n", "i": "l", "l": "i", "j": "i", "y": "v", "k": "h",
    "s": "5", "x": "%", "T": "7", "7": "T", "D": "O", "Q": "O", "C": "G", "E": "F", "P": "F", "M": "N", "U": "V",
    "6": "b", "9": "g", "3": "8", "4": "A", "tt": "H", "ri": "n", "ll": "U", "in": "m", "ti": "b",
    ".": ",", ",": ".", ";": ":", "-": "~", "д": "л", "и": "н", "п": "л", "ш": "щ", "日": "曰",
    "己": "已", "未": "末", "土": "士", "人": "入", "大": "太", "干": "千",
}  # fmt: skip
"""Confusions of photographed and low-resolution text; other pairs than SCANNER, so that one can be held back."""

_READ = "abcdefghijklmnopqrstuvwxyz"
_TAKEN_FOR = 5 * _READ + _READ.upper() + "0123456789" + "%&#@$~|!/()[]{}<>*+=^"
_PUNCTUATION = ".,;:-'\"()/_"

_IDENTIFIER = re.compile(r"\b[^\W\d_]{2,}(?: [^\W\d_]{2,}){1,3}\b")


@dataclass(frozen=True)
class Typing:
    """Each letter is hit with probability `rate`: replaced, deleted, followed by another, swapped with the next.

    The four kinds are equally likely. Blanks, digits and punctuation are not hit, and a swap moves no letter
    over them.

    Args:
        rate: from 0 to 1.
    """

    rate: float = 0.10

    def __post_init__(self):
        _check_rate(self.rate)

    def __call__(self, text: str, seed: int) -> str:
        """`text` with typing errors."""
        rng = random.Random(seed)
        found, place = [], 0
        while place < len(text):
            letter = text[place]
            place += 1
            if not letter.isalpha() or rng.random() >= self.rate:
                found.append(letter)
                continue
            kind = rng.randrange(4)
            if kind == 0:
                found.append(_another(letter, rng))
            elif kind == 2:
                found.append(letter + _another(letter, rng))
            elif kind == 3:
                if place < len(text) and text[place].isalpha():
                    found.append(text[place])
                    place += 1
                found.append(letter)
        return "".join(found)


@dataclass(frozen=True)
class Misreading:
    """Each place where a confusion of `table` applies is misread with probability `rate`; the longest key first.

    Args:
        rate: from 0 to 1.
        table: what is read for what; "scanner", "camera", or one's own (`confusions`), keys of 1 or 2 characters.
        blanks: probability that a blank is lost, and half of it that a word is broken after a letter.
    """

    rate: float = 0.10
    table: str | Mapping[str, str] = "scanner"
    blanks: float = 0.01

    def __post_init__(self):
        _check_rate(self.rate)
        _check_rate(self.blanks)
        if isinstance(self.table, str):
            if self.table not in TABLES:
                raise InputError(f"table must be one of {', '.join(TABLES)}; {self.table!r} was given")
        elif wrong := [key for key in self.table if not 1 <= len(key) <= 2]:
            raise InputError(f"keys of a table are one or two characters; {wrong[0]!r} was given")

    def __call__(self, text: str, seed: int) -> str:
        """`text` as a machine might read it off paper."""
        rng, table = random.Random(seed), TABLES[self.table] if isinstance(self.table, str) else self.table
        found, place = [], 0
        while place < len(text):
            size = 2 if text[place : place + 2] in table and len(text) > place + 1 else 1
            here = text[place : place + size]
            if here in table and rng.random() < self.rate:
                found.append(table[here])
                place += size
                continue
            letter = text[place]
            place += 1
            if letter == " " and rng.random() < self.blanks:
                continue
            found.append(letter)
            if (
                letter.isalpha()
                and place < len(text)
                and text[place].isalpha()
                and rng.random() < self.blanks / 2
            ):
                found.append(" ")
        return "".join(found)


TABLES = {"scanner": SCANNER, "camera": CAMERA}


def confusions(seed: int) -> dict[str, str]:
    """A table for `Misreading` as some reader of Latin letters might have one, drawn at random.

    Of the letters 12 to 24 are taken for another letter, for a capital, a digit or a sign; 2 to 6 pairs of
    letters for one, as many letters for a pair; and some punctuation for other punctuation. Who learns from many
    such readers does not learn the habits of one.
    """
    rng, table = random.Random(seed), {}
    for letter in rng.sample(_READ, rng.randint(12, 24)):
        table[letter] = rng.choice(_TAKEN_FOR)
    for _ in range(rng.randint(2, 6)):
        table[rng.choice(_READ) + rng.choice(_READ)] = rng.choice(_TAKEN_FOR)
        table[rng.choice(_READ)] = rng.choice(_READ) + rng.choice(_READ)
    for sign in rng.sample(_PUNCTUATION, 3):
        table[sign] = rng.choice(_PUNCTUATION)
    return table


def mixed(first: str, second: str, seed: int) -> str:
    """One text in two languages: the beginning of `first`, then the end of `second`, or the reverse.

    Both are cut at the same part of their length, at a blank where there is one, so that a text and its
    translation give one whole of about the same meaning.
    """
    rng = random.Random(seed)
    part = rng.uniform(0.3, 0.7)
    if rng.random() < 0.5:
        first, second = second, first
    head, tail = first[: _blank(first, part)].rstrip(), second[_blank(second, part) :].lstrip()
    return f"{head} {tail}".strip()


def identified(text: str, seed: int) -> str:
    """`text` with a run of two to four plain words as an identifier: snake_case, camelCase or PascalCase.

    A text without such a run comes back as it is.
    """
    rng = random.Random(seed)
    runs = list(_IDENTIFIER.finditer(text))
    if not runs:
        return text
    run = rng.choice(runs)
    words = run[0].split(" ")
    form = rng.randrange(3)
    if form == 0:
        name = "_".join(words).lower()
    else:
        name = "".join(word[:1].upper() + word[1:].lower() for word in words)
        name = name if form == 2 else name[:1].lower() + name[1:]
    return text[: run.start()] + name + text[run.end() :]


def damaged(texts: Sequence[str], seed: int, rates: tuple[float, float] = (0.02, 0.15)) -> list[str]:
    """`texts`, each with one kind of damage and its own rate, drawn evenly from `rates`.

    Of ten texts three are typed wrongly, two misread by the SCANNER table, three by a table of their own, one is
    written with an identifier, and one wholly in lower or upper case. The CAMERA table is left for judging.
    """
    found = []
    for row, text in enumerate(texts):
        rng = random.Random(f"{seed}:{row}")
        kind, rate, draw = rng.random(), rng.uniform(*rates), rng.randrange(1 << 30)
        if kind < 0.3:
            text = Typing(rate)(text, draw)
        elif kind < 0.5:
            text = Misreading(rate)(text, draw)
        elif kind < 0.8:
            text = Misreading(rate, confusions(draw))(text, draw)
        elif kind < 0.9:
            text = identified(text, draw)
        else:
            text = text.lower() if draw % 2 else text.upper()
        found.append(text)
    return found


def _another(letter: str, rng: random.Random) -> str:
    alphabet = next((each for each in ALPHABETS if letter.lower() in each), ALPHABETS[0])
    other = rng.choice([each for each in alphabet if each != letter.lower()])
    return other.upper() if letter.isupper() else other


def _blank(text: str, part: float) -> int:
    """The place near `part` of `text` where it may be cut: a blank within 12 characters, else just there."""
    at = round(part * len(text))
    blank = text.find(" ", at, at + 12)
    return blank if blank >= 0 else at


def _check_rate(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise InputError(f"a rate is a probability from 0 to 1; {rate} was given")
