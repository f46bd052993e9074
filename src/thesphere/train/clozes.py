"""Questions made of the sentences of prose, in many languages: something is taken out and asked for.

`cloze` takes a date, a number, a name or something quoted out of a sentence and puts a question word in front or
in its place; or it asks what the first thing named is. Everything is chosen by hash: the same for the same
sentence. Questions are such as people type: shortened, sometimes in small letters, word order not always right.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

from thesphere.train.extractors import squeezed
from thesphere.train.question_words import (
    BACKWARDS,
    QUESTION_WORDS,
    SKIPPED,
    SMALL_START,
    SUBORDINATE,
    Words,
)
from thesphere.train.questions import mark

SHORTEST, LONGEST = 30, 420
"""Characters of a sentence that is asked about (a third of it where nothing is written between words)."""
MOST_WORDS = 14

_UNSPACED = frozenset("zh ja th".split())
_UNCASED = frozenset("zh ja th ko hi ar".split())
_FULL_STOP = re.compile(
    r"(?<=[.!?…])[\"“”»’)]*\s+(?=[^\Wa-z_]|[\"„“«(\d¿¡])|(?<=[。！？।؟])(?![」』”’）])\s*"
)
_ABBREVIATED = re.compile(
    r"(?:(?<!\w)(?:\d{1,2}|\w|[A-Z]{1,2}|bzw|ca|St|Dr|Nr|Mr|Mrs|Ms|Prof|vgl|etwa|gest|geb|Jh|Jhd|Jr|Sr|Abs|Art"
    r"|usw|sog|Hl|Mio|Mrd|bes|eigtl|griech|lat|engl|franz|dt|ital|span|arab|chin|Inc|vs|Sta|Sto|tzv|np|tzw|ok"
    r"|им|гг|др|св|руб|млн|млрд|тыс|av|ap|env|art|fig|pp?|vol|cap|pag|Sra?|Dra|Mme|Mlle|MM|Hr|Fr|Frl"
    r"|Jan|Feb|Apr|Aug|Sept?|Okt|Oct|Nov|Dez|Dec))\.$"
)
_BRACKETS = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\]|（[^（）]*）)")
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9.&'-]*(?: [A-Za-z][A-Za-z0-9.&'-]*){0,3}")
_WORD = re.compile(r"\S+")
_EDGES = ' \t(),;:–—-.!?…。，；：、！？।؟،؛"„“”«»'
_CLAUSE = re.compile(r"[,;:，；：،؛]\s*|\s+[–—-]\s+")
_PART = re.compile("[、，；：]")
_BLANK = re.compile(" ")
_ARTICLE = re.compile(
    r"(?<!\w)(?:[Dd](?:er|ie|as|en|em|es)|[Ee]in(?:e[nmrs]?)?|(?:[Ss]ein|[Ii]hr)e?[nmrs]?)"
    r"(?: [a-zäöüß]{3,}(?:en?|er|es|em))? $"
)
_QUOTED = re.compile(r"[„“\"«»「『《”]([^„“”\"«»「」『』《》]{2,50})[“”\"«»」』》]")
_NUMBER = re.compile(r"(?<![\w.,:/-])\d{1,3}(?:[.,\u00a0\u202f ]?\d{3})*(?:[.,]\d+)?(?= [^\W\d_]{2,})")
_DATE = re.compile(
    r"(?<!\w)\d{1,2}(?:er|º|°|\.)? (?:de |d'|d’)?[^\W\d_]{3,12}\.?(?: (?:de |del )?\d{3,4})?(?= |[,.;)]|$)|"
    r"(?<!\w)[A-Z][a-z]{2,8} \d{1,2}, \d{4}(?!\w)"
)
_YEAR = re.compile(r"(?<![\w.,:/-])(?:1\d{3}|20[0-3]\d|[5-9]\d{2})(?!\w|[.,:]\d|-\d)")
_UPPER = r"(?:[^\W\d_a-zа-яёіїєґα-ωάέήίόύώßäöüàâçéèêëîïôùûœæñáíóúìòãõăășțąćęłńśźżčďěňřšťůýžđơưğışç][\w’'.-]*)"
_NAME = re.compile(
    rf"(?<![\w.-]){_UPPER}(?: (?:(?:von|van|der|den|de|del|della|di|da|do|dos|of|la|le|les|du|y|e|af|bin|ibn"
    rf"|al) )?{_UPPER}){{0,3}}"
)  # fmt: skip

Span = tuple[int, int, str]
"""Start, end and what is asked for: year, date, count, name or place."""


def letters(text: str) -> int:
    """How many letters a text has; the vowel signs of Hindi, Thai and Arabic are some."""
    return sum(each.isalpha() or each > "\u02ff" and unicodedata.category(each)[0] == "M" for each in text)


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph; not parted after an ordinal number, an initial or an abbreviation."""
    found: list[str] = []
    start = 0
    line = squeezed(text)
    for match in _FULL_STOP.finditer(line):
        part = line[start : match.end()].strip()
        if part and not _ABBREVIATED.search(part):
            found.append(part)
            start = match.end()
    return found + ([line[start:].strip()] if line[start:].strip() else [])


def spans(sentence: str, lang: str) -> list[Span]:
    """What can be asked for, the telling ones before single names; none overlaps one before it."""
    words = QUESTION_WORDS[lang]
    found: list[Span] = []

    def put(start: int, end: int, kind: str) -> None:
        if all(end <= a or start >= b for a, b, _ in found):
            found.append((start, end, kind))

    if words.counted:
        for pattern, kind in words.counted:
            for match in re.finditer(pattern, sentence):
                put(*match.span(), kind)
    else:
        for pattern, kind in ((_DATE, "date"), (_YEAR, "year"), (_NUMBER, "count")):
            for match in pattern.finditer(sentence):
                lead = re.search(f"{words.leads}$", sentence[: match.start()]) if kind != "count" else None
                put(lead.start() if lead else match.start(), match.end(), kind)
    for match in _QUOTED.finditer(sentence):
        put(*match.span(), "name")
    for match in _LATIN.finditer(sentence) if lang in _UNCASED else ():
        if len(match[0]) > 3:
            put(*match.span(), "name")
    if lang not in _UNCASED:
        names = sorted(_NAME.finditer(sentence), key=lambda match: (" " not in match[0], match.start()))
        for match in names:
            article = _ARTICLE.search(sentence[: match.start()]) if lang == "de" else None
            if article and " " not in match[0]:
                put(article.start(), match.end(), "name")
            elif match.start() or " " in match[0]:
                before = sentence[: match.start()].rsplit(maxsplit=1)[-1:] or [""]
                kind = "place" if before[0] in words.places and words.place else "name"
                held = before[0] in words.places | words.prepositions
                put(match.start() - held * (len(before[0]) + 1), match.end(), kind)
    return found


def cloze(sentence: str, lang: str, title: str = "", turn: int = 0) -> str:
    """A question that the sentence answers, or "" where nothing in it can be asked for.

    Args:
        sentence: of a passage that is to be found.
        lang: one of `question_words.LANGUAGES`.
        title: what the article is about, "" for nothing that could stand in a question.
        turn: another turn may give another question.
    """
    words = QUESTION_WORDS[lang]
    text = squeezed(_BRACKETS.sub("", sentence))
    size = len(text) * (3 if lang in _UNSPACED else 1)
    if not SHORTEST <= size <= LONGEST or letters(text) < 0.55 * len(text):
        return ""

    def choose(sides: int, place: int) -> int:
        return mark(f"{turn} {sentence}", sides, place)

    name = _BRACKETS.sub("", title).strip()
    first = text.split(maxsplit=1)
    many = lang == "de" and first[:1] == ["Sie"] and re.match(r"(?:sind|\w+en)\b", first[-1])
    if name and len(first) == 2 and first[0] in words.starts and not many:
        text = f"{name} {first[1]}"
    asked = _being(text, words, choose)
    found = spans(text, lang)
    telling = [each for each in found if each[2] != "name" or len(text[each[0] : each[1]].split()) > 1]
    if words.order == "second":
        found = [each for each in found if _main(text, each, words)]
        telling = [each for each in telling if each in found]
    if choose(4, 0) and telling:
        found = telling
    if asked and (not found or choose(4, 1) == 0):
        made = asked
    elif found:
        made = _asked(text, found[choose(len(found), 2)], lang, choose)
    else:
        return ""
    typed = choose(10, 3)
    if name and name.lower() not in made.lower() and lang not in _UNSPACED | {"hi", "ko"}:
        backwards = text.split()[0].lower() in BACKWARDS
        made = f"{name} {made}" if typed < 3 or backwards else made
    made = squeezed(made).strip(_EDGES)
    if len(made) < (6 if lang in _UNSPACED else 10):
        return ""
    return _ended(made, lang, typed)


def _being(text: str, words: Words, choose: Callable[[int, int], int]) -> str:
    """ "What is X", for a sentence that begins by saying so."""
    found = [(match[1], form) for pattern, form in words.being if (match := re.match(pattern, text))]
    if not found:
        return ""
    what, form = found[choose(len(found), 4)]
    what = what.strip(_EDGES)
    return (
        form.format(what) if 1 < len(what) and len(what.split()) < 6 and not re.search("[,;，]", what) else ""
    )


def _asked(text: str, span: Span, lang: str, choose: Callable[[int, int], int]) -> str:
    """The clause around a span with a question word for it."""
    words = QUESTION_WORDS[lang]
    start, end, kind = span
    forms = getattr(words, kind) or words.name
    word = forms[choose(len(forms), 5)]
    taken = text[start:end].split()
    if kind == "count" and lang not in _UNCASED:  # what is counted goes with the question word
        after = _WORD.match(text, end + 1)
        if after and (after[0][0].isupper() or len(after[0]) > 4):
            word, end = f"{word} {after[0].strip(_EDGES)}", after.end()
    elif kind == "name" and words.after and len(taken) > 1 and taken[0] in words.prepositions | words.places:
        word = f"{taken[0]} {words.after[choose(len(words.after), 6)]}"
    if lang == "zh" and text[start - 1 : start] == "为" and word == "什么":  # "why"
        word = "哪个"
    left, right = _clause(text, start, end, lang)
    if words.order == "second" and not words.verbs.intersection(text[left:right].split()):
        left, right = 0, len(text)
    before, behind = text[left:start].strip(), text[end:right].strip()
    if lang in _UNSPACED:
        return f"{text[left:start]}{word}{text[end:right]}" if right - left < 70 else ""
    if words.order == "place":
        most = 5 + choose(MOST_WORDS - 4, 7)
        one, two = before.split(), behind.split()
        keep = max(most - len(two), most // 2)
        one = one[-keep:]
        return " ".join([*one, word, *two[: max(most - len(one), 0)]])
    front = _small_start([each for each in before.split() if each.strip(_EDGES)], text, left)
    back = [each for each in behind.split() if each.strip(_EDGES)]
    rest = front + back
    while rest and rest[0].lower() in SKIPPED:
        rest = rest[1:]
    if words.order == "second":
        at = next((n for n, each in enumerate(rest) if each in words.verbs), None)
        if at is not None:
            rest = [rest[at], *rest[:at], *rest[at + 1 :]]
    rest = _shortened(rest, 6 + choose(MOST_WORDS - 6, 8), choose, words.order == "second")
    telling = sum(len(each) > 4 or each[0].isupper() or each[0].isdigit() for each in rest)
    return " ".join([word, *rest]) if telling > 2 else ""


def _main(text: str, span: Span, words: Words) -> bool:
    """Whether a span stands in a main clause with a verb that a question can begin with."""
    found = [0, *(each.end() for each in _CLAUSE.finditer(text)), len(text)]
    left = max(cut for cut in found if cut <= span[0])
    right = min(cut for cut in found if cut >= span[1])
    part = text[left:right].strip(_EDGES).split()
    if not words.verbs.intersection(part):
        return False
    return part[0] not in SUBORDINATE and part[:1] != ["Dass"] or not left and part[0][0].isupper()


def _small_start(front: list[str], text: str, left: int) -> list[str]:
    """An article, preposition or adverb at the start of a sentence in small letters."""
    if front and left == 0 and text.startswith(front[0]):
        first = front[0].lower()
        if first in SMALL_START or len(first) < 4 and not front[0].isupper():
            return [first, *front[1:]]
    return front


def _clause(text: str, start: int, end: int, lang: str) -> tuple[int, int]:
    """Where the clause around a span begins and ends; clauses beside it are taken in while it is short."""
    found = {"ja": _PART, "th": _BLANK}.get(lang, _CLAUSE).finditer(text)
    cuts = [0, *(each.end() for each in found if each.start() >= end or each.end() <= start), len(text)]
    least = {"zh": 18, "ja": 26, "th": 26}.get(lang, 40)
    left = max(cut for cut in cuts if cut <= start)
    right = min(cut for cut in cuts if cut >= end)
    while right - left < least + end - start and (left or right < len(text)):
        if left:
            left = max(cut for cut in cuts if cut < left)
        else:
            right = min(cut for cut in cuts if cut > right)
    return left, right


def _shortened(words: list[str], most: int, choose: Callable[[int, int], int], verb_last: bool) -> list[str]:
    """At most `most` words: either the first ones, with the last if it may be a verb, or those that say most."""
    words = [word if word[:-1].isdigit() else word.strip(_EDGES) or word for word in words]
    if len(words) <= most:
        return words
    if choose(4, 9):
        last = words[-1:] if verb_last and words[-1].islower() and len(words[-1]) > 4 else []
        words = words[: most - len(last)]
        while len(words) > 4 and len(words[-1]) < 4 and words[-1].islower():
            words.pop()
        return words + last
    worth = [(each[0].isupper() or each[0].isdigit(), len(each), mark(each, 100)) for each in words[1:]]
    kept = sorted(sorted(range(len(worth)), key=worth.__getitem__, reverse=True)[: most - 1])
    return [words[0], *(words[1 + place] for place in kept)]


def _ended(made: str, lang: str, typed: int) -> str:
    """With a capital and a question mark mostly, sometimes in small letters without one."""
    if typed in (0, 5):
        return made.lower()
    if typed in (1, 6):
        return made
    stop = {"zh": "？", "ja": "？", "ar": "؟", "el": ";", "th": ""}.get(lang, "?")
    opened = "¿" if lang == "es" else ""
    space = " " if lang == "fr" else ""
    return f"{opened}{made[0].upper()}{made[1:]}{space}{stop}"


def pieces(
    paragraphs: list[list[str]], most: Callable[[int], int], least: int = 250
) -> Iterator[list[list[str]]]:
    """Paragraphs, given as their sentences, joined or parted to passages.

    Args:
        paragraphs: of one section.
        most: bytes of passage 0, 1, ...
        least: of the last passage; what is shorter is left out.
    """
    here: list[list[str]] = []
    size = count = 0
    for paragraph in paragraphs:
        fresh: list[str] = []
        for sentence in paragraph:
            length = len(sentence.encode("utf-8", "ignore")) + 1
            if size >= least and size + length > most(count):
                yield [each for each in [*here, fresh] if each]
                here, fresh, size, count = [], [], 0, count + 1
            fresh.append(sentence)
            size += length
        here.append(fresh)
        if size > 0.7 * most(count):
            yield [each for each in here if each]
            here, size, count = [], 0, count + 1
    if size >= least:
        yield [each for each in here if each]
