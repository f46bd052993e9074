"""More ways in which somebody types what a function does: other forms and words than those of `questions`.

`question` makes one for a docstring that is short and clear, chosen by a hash of the code: how-to questions,
keywords with "python" somewhere, yes-no questions of checks, the bare things of a conversion; words are changed
for those that people use besides ("str" for "string", "delete" for "remove"), or put into the plural or singular.
"""

import re

from thesphere.train import questions as Q

MOST_WORDS, LONGEST_SUMMARY = 10, 110
TRIES = 6

_VERBS = {
    "remove": "delete drop eliminate", "delete": "remove", "get": "find return fetch retrieve",
    "find": "get locate", "create": "make generate build", "make": "create", "generate": "create make",
    "build": "create make", "check": "test verify", "calculate": "compute find get",
    "convert": "change transform turn", "load": "read open", "read": "load open", "save": "write store",
    "write": "save", "add": "append insert", "append": "add", "split": "separate divide break",
    "run": "execute call", "execute": "run", "download": "fetch get",
    "concatenate": "join combine merge", "join": "combine concatenate", "merge": "combine join",
    "print": "display show", "display": "show print", "show": "display print", "plot": "draw graph",
    "draw": "plot", "parse": "read extract", "extract": "get", "fetch": "get download",
    "replace": "substitute change", "update": "change modify", "set": "change", "copy": "duplicate clone",
    "sort": "order", "filter": "select", "select": "get choose", "count": "get", "validate": "check verify",
    "verify": "check", "render": "show", "list": "get show", "sum": "add", "store": "save",
    "start": "run launch", "stop": "kill end", "retrieve": "get", "open": "load read", "encode": "convert",
    "decode": "convert", "insert": "add", "divide": "split",
}  # fmt: skip
_NOUNS = {
    "string": "str|text", "strings": "str", "str": "string", "dictionary": "dict", "dict": "dictionary",
    "dictionaries": "dicts", "list": "array", "lists": "arrays", "array": "list", "arrays": "lists",
    "directory": "folder|dir", "directories": "folders", "folder": "directory", "integer": "int|number",
    "integers": "ints|numbers", "int": "integer|number", "number": "int|integer|value",
    "numbers": "values|ints", "float": "decimal|number", "function": "method|func", "functions": "methods",
    "method": "function", "filename": "file name", "filenames": "file names", "path": "file path",
    "boolean": "bool", "bool": "boolean", "dataframe": "data frame|df|pandas dataframe", "database": "db",
    "db": "database", "configuration": "config", "config": "configuration", "environment": "env",
    "argument": "parameter|arg", "arguments": "parameters|args", "parameter": "argument",
    "parameters": "arguments|params", "character": "char|letter", "characters": "chars|letters",
    "url": "link|web address", "urls": "links", "exception": "error", "error": "exception",
    "matrix": "2d array", "image": "picture|photo", "images": "pictures", "element": "item",
    "elements": "items", "item": "element", "items": "elements", "length": "size", "size": "length",
    "maximum": "max|largest", "minimum": "min|smallest", "max": "maximum", "min": "minimum",
    "mean": "average", "average": "mean", "duplicates": "repeated values", "timestamp": "time stamp",
    "datetime": "date time", "date": "datetime", "substring": "part of string",
    "random": "randomly generated", "unique": "distinct", "distinct": "unique", "contents": "content|data",
    "content": "contents", "message": "msg", "index": "position", "indices": "indexes|positions",
    "position": "index", "column": "field|col", "columns": "cols", "sequence": "list", "iterable": "list",
    "vector": "array", "temporary": "temp", "absolute": "full",
}  # fmt: skip
_PLURAL = frozenset(
    "string list file number element item column row value word character line image key image array date user"
    " path url directory object argument name point node table field record message".split()
)
_PYTHON = re.compile(r"\bpython\b")
_ODD = re.compile(
    r"[_(){}\[\]<>=|@$%^~\\\"]|[a-z][A-Z]|::|--|/\w*/|\bself\b|\bcls\b|\.\w|\bhook\b|\bsubclass|\binternal\b"
)
_ARTICLES = frozenset("a an the this these its their our your given specified provided supplied all".split())
_HANGING = _ARTICLES | frozenset(
    "of to in on at by for from with and or up not as into if is are be that which using via per than".split()
)
"""Words that no question ends with."""
_WHAT = re.compile(
    r"^(?:(?:the|a|an) )?([\w ]{3,30}?) (?:of|from|for|in) (?:the |a |an )?(?:given )?([\w ]{3,30})$"
)
_TO = re.compile(r"^(?:the |a |an )?(?:given )?([\w ]{3,26}?) (?:in)?to (?:the |a |an )?([\w ]{3,26})$")


def clear(summary: str) -> bool:
    """Whether a docstring's first sentence is short, in plain words, and begins with a verb or asks whether."""
    first = Q.plain(summary)
    if not 12 < len(first) <= LONGEST_SUMMARY or _ODD.search(first.rstrip(".")) or not first.isascii():
        return False
    verb, words = Q.parted(summary)
    return bool(verb) and 2 <= len(words) <= MOST_WORDS


def task_of(asked: str) -> str:
    """What a question of `questions` is about: "how to get size of file in python" gives "get size of file"."""
    text = re.sub(
        r"^(?:python )?(?:function|code) to |^(?:python )?how (?:to|do i) |^python | (?:in )?python$",
        "",
        asked,
    )
    return "" if text.split()[1:2] == ["of"] else text


def question(summary: str, name: str, code: str, known: frozenset[str] = frozenset()) -> str:
    """One question for a function, or "" for a docstring that is not `clear`.

    Args:
        summary: the first paragraph of the docstring.
        name: of the function; its forms in `questions` are not given again.
        code: by which is chosen.
        known: questions in small letters that are not given either.
    """
    if not clear(summary):
        return ""
    avoided = known | {text for _, text in Q.forms(summary, name)}
    for attempt in range(TRIES):
        text = made(summary, f"{attempt} {code}")
        if text.lower() not in avoided and 3 <= len(text.split()) <= 16:
            return text
    return ""


def of_summary(summary: str, language: str, code: str) -> str:
    """The same for a summary in another language, or without the language's name where its verb is not known."""
    text = made(summary, code) if Q.parted(summary)[0] else summary.lower()
    return _PYTHON.sub(language, text)


def made(summary: str, seed: str) -> str:
    """A question made of a docstring, chosen by a hash of `seed`."""
    verb, words = Q.parted(summary)
    if verb == "check" and words[:1] in (["if"], ["whether"], ["that"]):
        return _choose(_checks(words[1:], seed), seed)
    rest = Q.first_part(words) if Q.mark(seed, 3, 5) else words
    while len(rest) > 1 and rest[-1] in _HANGING:
        rest = rest[:-1]
    short = [word for word in rest if word not in _ARTICLES] or rest
    return _choose(_tasks(_other_verb(verb, seed), _said(rest, seed), _said(short, seed), seed), seed)


def _choose(forms: list[str], seed: str) -> str:
    return " ".join(forms[Q.mark(seed, len(forms))].split())


def _other_verb(verb: str, seed: str) -> str:
    """The verb or, two times of five, another that people use for it."""
    others = _VERBS.get(verb, "").split()
    if not others or Q.mark(seed, 5, 1) > 1:
        return verb
    return others[Q.mark(seed, len(others), 2)]


def _said(words: list[str], seed: str) -> list[str]:
    """Words with at most two changed for what people say besides, and now and then one in the plural."""
    said, changed = [], 0
    for place, word in enumerate(words):
        others = _NOUNS.get(word, "")
        chance = Q.mark(f"{seed} {place}", 10, 3)
        if others and changed < 2 and chance < 4:
            options = others.split("|")
            word = options[Q.mark(seed, len(options), 4)]
            changed += 1
        elif chance == 9 and word in _PLURAL and words[place - 1 : place] not in (["a"], ["an"], ["each"]):
            word += "s"
        elif chance == 8 and word.endswith("s") and word[:-1] in _PLURAL:
            word = word[:-1]
        said.append(word)
    return said


def _third(verb: str) -> str:
    """ "match" is "matches"."""
    if verb.endswith(("s", "sh", "ch", "x", "z")):
        return verb + "es"
    return verb[:-1] + "ies" if verb.endswith("y") and verb[-2] not in "aeiou" else verb + "s"


def _tasks(verb: str, rest: list[str], short: list[str], seed: str) -> list[str]:
    """Forms of what is done; those that come often stand twice."""
    long, brief = " ".join(rest), " ".join(short)
    task, terse, doing = f"{verb} {long}", f"{verb} {brief}", f"{Q.gerund(verb)} {brief}"
    forms = [
        f"how to {task} in python", f"how to {terse} in python", f"how to {terse} python",
        f"python how to {terse}", f"how to {terse} using python", f"how do you {task} in python",
        f"how do i {terse} in python", f"how can i {terse} python", f"python {terse}", f"python {terse}",
        f"{terse} python", f"{terse} python", f"{terse} in python", f"{task} in python",
        f"python function to {terse}", f"python function to {task}", f"function to {terse} in python",
        f"python function that {_third(verb)} {long}", f"python code to {terse}",
        f"python program to {terse}", f"python script to {terse}", f"write a function to {task} in python",
        f"write a python function to {terse}", f"python 3 {terse}", f"best way to {terse} in python",
        f"python {doing}", f"{doing} in python", f"code for {doing} in python", f"python method to {terse}",
        f"is there a python function to {terse}", f"what is the python code to {terse}",
        f"python {terse} example", f"easiest way to {terse} python", f"using python to {terse}",
        f"can python {terse}", f"how to {terse}",
    ]  # fmt: skip
    if verb in ("get", "find", "return", "fetch", "retrieve", "calculate", "compute", "count"):
        forms += _things(long, brief, seed)
    if verb in ("convert", "change", "transform", "turn", "encode", "decode", "parse") and (
        match := _TO.match(long)
    ):
        one, two = match[1], match[2]
        forms += [
            f"python {one} to {two}", f"{one} to {two} python", f"convert {one} to {two} python",
            f"python convert {one} into {two}", f"how to turn {one} into {two} python",
            f"python {one} as {two}", f"{one} to {two} in python", f"how to make {one} a {two} in python",
            f"python change {one} to {two}",
        ] * 2  # fmt: skip
    return forms


def _things(long: str, brief: str, seed: str) -> list[str]:
    """Forms that ask for a thing and not for an action."""
    forms = [f"python {brief}", f"{brief} python", f"{brief} in python", f"python what is {long}"]
    if match := _WHAT.match(long):
        thing, owner = match[1], match[2]
        forms += [
            f"python {owner} {thing}", f"{owner} {thing} python", f"python get {thing} from {owner}",
            f"how to get {thing} from {owner} in python", f"python find {thing} in {owner}",
            f"get {thing} of {owner} python",
        ]  # fmt: skip
    return forms


def _checks(words: list[str], seed: str) -> list[str]:
    """Forms of a question whether something is so."""
    long = " ".join(_said(words, seed))
    brief = " ".join(_said([word for word in words if word not in _ARTICLES] or words, seed))
    bare = re.sub(r"\b(?:is|are|was|were) ", "", brief, count=1)
    verbs = ("check if", "check whether", "test if", "tell if", "see if")
    return [
        *(f"python {verb} {brief}" for verb in verbs), *(f"how to {verb} {long} in python" for verb in verbs),
        f"check if {brief} python", f"check if {brief} in python", f"python check if {long}",
        f"python if {brief}", f"how to check if {brief} python", f"how do you check if {long} in python",
        f"python determine if {brief}", f"python function to check if {brief}",
        f"how to know if {brief} in python", f"python test whether {brief}", f"python check {bare}",
        f"check {bare} in python", f"python verify {brief}", f"python how to check if {brief}",
        f"how to find out if {long} python", f"function to determine if {brief} in python",
        f"python see if {brief}", f"write a function that checks if {long} python", f"python is {bare}",
    ]  # fmt: skip
