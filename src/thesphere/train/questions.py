"""What somebody might type into a search box to find a Python function, made of its docstring and its name.

`questions` gives one or two of many forms, chosen by hash: the same for the same function. Verbs are put into the
imperative or the gerund, small words are dropped or kept, "python" stands in front, behind or nowhere.
"""

import hashlib
import re

from thesphere.train.extractors import sentences, squeezed
from thesphere.train.functions import spoken

MOST_WORDS = 14
"""Of a summary, so many words are asked with."""

_ROLE = re.compile(r":[\w+:-]+:`~?!?([^`<]*?)(?:\s*<[^`>]*>)?`")
_WORDS = re.compile(r"[^\W_][\w'.+#/-]*[\w+#]|[^\W_][+#]*")
_ARTICLES = frozenset("a an the this these its their our your given specified".split())
_SMALL = _ARTICLES | frozenset(
    "of which be is are was were will if it to in into on as at by for from with and or all any each"
    " that those some one has have been should can may when whether based used using".split()
)
_BREAKS = frozenset(
    "using with based according for by and or when where so while via that which given as if because"
    " unless without after before like such but whose per".split()
)
_OPENING = re.compile(
    r"^(?:(?:this|an?|the|simple|internal|private|static|class|generic|small|helper|utility|convenience|wrapper)\s+)*"
    r"(?:(?:helper|utility|function|method|routine|wrapper|decorator|utility|convenience)\s+)+"
    r"(?:(?:which|that|to|will|can be|is|used|for)\s+)*|^(?:attempts?|tries|try|used|allows?|helps?) to\s+"
)
_TELL = r"(?:returns?|gets?|determines?|tests?|checks?|tells?|finds?(?: out)?|says?|indicates?|see)"
_WHETHER = re.compile(
    rf"^(?:(?:{_TELL}\s+)?(?:an? bool(?:ean)?(?: value)? )?(?:indicating )?(?:whether or not|whether|"
    rf"(?:true|false) (?:iff?|when)|true/false if)|{_TELL}\s+if)\s+(?=\w)"
)
_OTHERWISE = re.compile(r"[,;]?\s+(?:(?:and|or|else)\s+)?(?:false|true|none)(?:\s+(?:if not|otherwise))?\W*$")
_VERBS = frozenset(
    "accept access activate adapt add adjust aggregate align allocate allow analyze append apply"
    " approximate assert assign attach authenticate average bind blend build cache calculate call cancel"
    " cast center change check choose clamp classify clean clear click clip clone close cluster coerce"
    " collapse collect color combine compare compile complete compose compress compute concatenate"
    " configure confirm connect construct convert copy correct count crawl create crop cut debug declare"
    " decode decompose decompress decorate decrypt deduce define delete deploy derive describe deserialize"
    " detect determine diff disable disconnect dispatch display divide download draw drop dump duplicate"
    " edit emit enable encode encrypt ensure enumerate escape estimate evaluate examine exclude execute"
    " expand export extend extract fetch fill filter find fit fix flatten flip flush fold force format"
    " forward generate get give grab group guess handle hash hide highlight identify ignore implement"
    " import increase increment index infer init initialize inject insert inspect install instantiate"
    " integrate interpolate intersect invert invoke iterate join kill launch limit list listen load locate"
    " lock log look lookup make manage map mark mask match measure merge migrate minimize mock modify"
    " monitor move multiply mutate normalize notify obtain open optimize order output override pack pad"
    " parse partition paste patch pause perform permute pick plot poll populate post predict prepare"
    " prepend preprocess print process produce profile project prompt propagate provide publish pull push"
    " put query quote raise randomize rank read rebuild receive recommend record recursively redirect"
    " reduce refresh register reject release reload remove rename render reorder repeat replace report"
    " request require resample reset reshape resize resolve restart restore restrict resume retrieve"
    " return reverse revert rotate round run sample save scale scan schedule score scrape search select"
    " send separate serialize serve set setup shift show shuffle shut simplify simulate skip slice smooth"
    " solve sort split stack standardize start stop store stream strip submit subscribe substitute"
    " subtract sum summarize swap switch sync synchronize take test tokenize toggle trace track train"
    " transform translate transpose traverse trim truncate try turn undo uninstall unpack unregister"
    " unwrap unzip update upgrade upload upsample validate verify visit visualize wait walk warn watch"
    " wrap write yield zip zoom".split()
)
_SAID = {"return": "get", "retrieve": "get", "obtain": "get", "determine": "find", "construct": "create",
         "compute": "calculate", "instantiate": "create"}  # fmt: skip
"""What people say for verbs of docstrings."""
_DOUBLED = frozenset(
    "get set run put cut stop plot split map log wrap trim strip skip drop zip swap flip clip crop scan sum"
    " pad".split()
)
"""Their last letter stands twice in the gerund."""


def mark(text: str, sides: int, place: int = 0) -> int:
    """0..sides - 1, always the same for a text; `place` 0..15 gives independent ones."""
    digest = hashlib.blake2b(text.encode("utf-8", "ignore"), digest_size=32).digest()
    return int.from_bytes(digest[2 * place : 2 * place + 2], "big") % sides


def stem(word: str) -> str:
    """A verb in the third person as an imperative: "matches" is "match"."""
    verb = word.lower()
    if verb.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return verb[:-2]
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    return verb[:-1] if verb.endswith("s") and not verb.endswith(("ss", "us", "is")) else verb


def gerund(verb: str) -> str:
    """ "write" is "writing", "get" is "getting"."""
    if verb in _DOUBLED:
        return verb + verb[-1] + "ing"
    return (verb[:-1] if verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")) else verb) + "ing"


def plain(summary: str) -> str:
    """The first sentence of a docstring without markup of reStructuredText."""
    text = _ROLE.sub(lambda match: match[1].rpartition(".")[2] or match[1], summary)
    text = re.sub(r"[`*]+|\|(?=\w)|(?<=\w)\|", "", text)
    return next(iter(sentences(text)), "")


def parted(summary: str) -> tuple[str, list[str]]:
    """(the verb as people say it, or "" for a summary without one; the other words), lower case."""
    text = _OPENING.sub("", plain(summary).lower())
    text, asks = _WHETHER.subn("check if ", text)
    text = _OTHERWISE.sub("", text) if asks else text
    words = _WORDS.findall(text)[:MOST_WORDS]
    if len(words) > 1 and words[0].endswith("ly") and stem(words[1]) in _VERBS:
        words = words[1:]
    verb = stem(words[0]) if words else ""
    if verb not in _VERBS:
        return "", words
    return _SAID.get(verb, verb), words[1:]


def first_part(words: list[str]) -> list[str]:
    """Words up to where a clause ends, if three or more stand before."""
    for place in range(3, len(words)):
        if words[place] in _BREAKS:
            return words[:place]
    return words


def forms(summary: str, name: str) -> list[tuple[str, str]]:
    """(kind of pair, question) of all forms, those made of the name last; nothing twice."""
    verb, words = parted(summary)
    rest = words if verb else [word for word in words if word not in _ARTICLES]
    short = [word for word in words if word not in _ARTICLES] or words
    lead = first_part(short)
    keys = [word for word in dict.fromkeys(words) if word not in _SMALL][:6]
    said, doing = ([verb], [gerund(verb)]) if verb else ([], [])
    noun = words[:1] != short[:1] or words[1:2] == ["of"]  # an article before: a thing that is asked for
    how = said or ["get"] * noun
    made: list[list[str]] = []
    if len(words) > 1 and not how:
        made = [["python", *lead], [*lead, "python"], [*lead, "in", "python"], ["python", *keys], short]
    elif len(words) > 1:
        made = [
            ["python", *said, *short], [*said, *short, "python"], [*said, *lead], ["python", *said, *lead],
            ["how", "to", *how, *rest, "in", "python"], ["how", "to", *how, *lead, "in", "python"],
            ["how", "to", *how, *lead, "python"], ["python", "how", "to", *how, *lead],
            ["python", "function", "to", *how, *lead], ["python", "code", "to", *how, *short],
            ["how", "do", "i", *how, *rest, "in", "python"], ["how", "to", *how, *rest],
            [*doing, *lead, "in", "python"], [*said, *lead, "in", "python"], ["function", "to", *how, *short],
            [*said, *rest], ["python", *said, *keys], [*said, *keys, "python"], keys,
        ]  # fmt: skip
    named = [word for word in spoken(name).split() if word not in ("self", "cls")]
    of_name = [[*named, "python"], ["python", *named]] + [named] * (len(named) > 2)
    if named and named[0] in _VERBS:
        of_name.append(["how", "to", *named, "in", "python"])
    found: dict[str, str] = {}
    for kind, some in (("query-code", made), ("name-code", of_name if len(named) > 1 else [])):
        for each in some:
            if len(each) > 1:
                found.setdefault(" ".join(each), kind)
    return [(kind, text) for text, kind in found.items()]


def questions(summary: str, name: str, code: str) -> list[tuple[str, str]]:
    """One or two (kind of pair, question) for a function, chosen by a hash of its code.

    Args:
        summary: the first paragraph of the docstring, or "".
        name: of the function.
        code: by which is chosen.
    """
    every = forms(summary, name)
    asked = [each for each in every if each[0] == "query-code"]
    named = [each for each in every if each[0] == "name-code"]
    if not asked:
        return [named[mark(code, len(named))]] if named else []
    told = plain(summary).strip(" .:;!")
    chosen = [asked[mark(code, len(asked))]]
    turn = mark(
        code, 16, 1
    )  # of sixteen: 6 one question, 5 two of the summary, 3 and the name, 2 and the summary
    if turn < 5:
        chosen.append(asked[mark(code, len(asked), 2)])
    elif turn < 8 and named:
        chosen.append(named[mark(code, len(named), 2)])
    elif turn < 10:
        chosen.append(("docstring-code", squeezed(told if mark(code, 2, 3) else told.lower())))
    return list({text: (kind, text) for kind, text in chosen if text}.values())
