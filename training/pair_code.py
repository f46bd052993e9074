"""Questions and Python functions out of many wheels: a collection of its own, besides that of pair_stages.py.

PACKAGES/wheels has the wheels of pair_sources.WHEELS, PACKAGES/more_wheels those of pair_wheels.WHEELS. What an
older collection has is left out, and so are a wheel that holds a package which the choice of the encoders'
numbers is judged on (thesphere.train.held_out), and the functions that use one.
"""

import re
import zipfile
from collections import Counter

from pair_stage import Stage

from thesphere.train import extractors as E
from thesphere.train import functions as F
from thesphere.train import held_out
from thesphere.train import pairs as P
from thesphere.train import questions as Q

MOST, MOST_OF_FILE, MOST_FILES, MOST_OF_NAME, MOST_OF_QUESTION = 1000, 30, 300, 25, 3
"""Functions of a wheel and of a file, files of a wheel, functions of one name and to one question."""
SHORTEST, LONGEST, LARGEST_FILE = 60, 2600, 250_000
WITH_DOCSTRING, UNTOLD = 12, 5
"""Of 16 functions with a docstring, so many are kept as they are written; of 16 without, so many are taken."""
FAMILIES = (
    ("LGPL", r"LGPL|Lesser"), ("AGPL", r"AGPL|Affero"), ("GPL", r"GPL|General Public"), ("MPL", r"MPL|Mozilla"),
    ("Apache-2.0", r"Apache"), ("BSD", r"BSD|Redistribution and use in source"),
    ("MIT", r"\bMIT\b|Expat|Permission is hereby granted, free"), ("PSF", r"PSF|Python Software"),
    ("ISC", r"ISC"), ("public domain", r"Public Domain|Unlicense|CC0|0BSD|WTFPL"), ("ZPL", r"ZPL|Zope"),
    ("EPL or EUPL", r"\bEU?PL|Eclipse"), ("CC", r"CC[- ]BY|Creative Commons"),
    ("proprietary", r"Proprietary|Commercial"),
)  # fmt: skip
OTHER = "other or not stated"
_EMPTY = re.compile(
    r"(todo|fixme|xxx|deprecated|see |re-?implement|overrid|same as|inherit|copyright|noqa|type:|args?:|param"
    r"|returns?:|usage|example|note:|\.\. |internal use|auto-?generated|placeholder|stub|no-?op|not implemented)",
    re.IGNORECASE,
)  # fmt: skip
_LETTERS = re.compile(r"[^\W_]+")
_LEFT_OUT = re.compile(
    r"(^|/|_)tests?(/|_|\.py$)|/testing/|/conftest|_pb2|vendor|/extern|third_?party|/migrations/"
)


def licence(metadata: str) -> str:
    """What a wheel's METADATA says of its licence, in a line; "" for nothing."""
    head = metadata.split("\n\n", 1)[0]
    found = re.findall(r"(?m)^License-Expression: *(.+)$", head)
    found = found or re.findall(r"(?m)^Classifier: License :: (?:OSI Approved :: )?(.+)$", head)
    found = found or re.findall(r"(?m)^License: *(.+)$", head)
    return "; ".join(dict.fromkeys(each.strip() for each in found if each.strip() != "OSI Approved"))[:120]


def stated(archive: zipfile.ZipFile, names: list[str]) -> str:
    """What a wheel's metadata says of its licence, or where that says nothing, how its licence file begins."""
    metadata = [name for name in names if name.endswith(".dist-info/METADATA")]
    said = licence(archive.read(metadata[0]).decode("utf-8", "replace")) if metadata else ""
    files = [name for name in names if re.search(r"dist-info/(.*/)?(LICEN[CS]E|COPYING)[^/]*$", name, re.I)]
    if family(said) == OTHER and files:
        said += f" (file: {E.squeezed(archive.read(files[0]).decode('utf-8', 'replace')[:500])})"
    return said.strip()


def family(said: str) -> str:
    """The family of a licence; of several, the strictest."""
    return next((name for name, pattern in FAMILIES if re.search(pattern, said, re.I)), OTHER)


def body_of(code: str) -> str:
    """The letters and digits of a function below its first line."""
    return "".join(_LETTERS.findall(code.partition("\n")[2]))


def known_bodies(older: P.Pairs) -> tuple[set[str], set[str]]:
    """(squeezed code, bodies) of a collection's functions; only the first where a text was cut."""
    texts, bodies = set(), set()
    for number in (older.arrays["kind"] == P.KINDS.index("code")).nonzero()[0]:
        text = older.text(number).decode()
        if text.startswith(("def ", "async def ")):
            texts.add(E.squeezed(text))
            bodies |= {body_of(function.bare) for function in list(F.functions(text))[:1]}
    return texts, bodies


def holds_held_out(names: list[str]) -> bool:
    """Whether a package held out, or a copy of one, is among a wheel's files."""
    return any(
        part.partition("-")[0] in held_out.PACKAGES and (place == 0 or re.search("vendor|extern|third", name))
        for name in names
        for place, part in enumerate(name.split("/")[:-1])
    )


def usable(function: F.Function) -> bool:
    """Whether a function is neither tiny nor huge and its name says something."""
    fits = SHORTEST < len(function.bare) < LONGEST and "\n" in function.bare
    return fits and (not function.name.startswith("__") or function.name == "__call__") and (
        not function.name.startswith("test")
    )  # fmt: skip


def told(function: F.Function) -> str:
    """The start of its docstring, or "" for one that says nothing in English."""
    summary = " ".join(E.sentences(function.summary)[:2])
    english = 10 < len(summary) < 300 and summary.count(" ") > 1 and summary[0] not in ":-=>@"
    english = english and summary.isascii() and ">>>" not in summary and not _EMPTY.match(summary)
    if function.code == function.bare and not Q.parted(summary)[0]:  # a comment, not about the function
        return ""
    return summary if english and sum(map(str.isalpha, summary)) > 0.7 * len(summary) else ""


def code(stage: Stage, known: tuple[set[str], set[str]]) -> dict[str, dict[str, str | int]]:
    """Adds the functions of all wheels; gives of each wheel its licence and how many functions it gave.

    Args:
        stage: to which is added.
        known: `known_bodies` of a collection whose functions are left out.
    """
    texts, bodies, named = known[0], set(known[1]), Counter()
    facts: dict[str, dict[str, str | int]] = {}
    wheels = [
        each for name in ("wheels", "more_wheels") for each in sorted(stage.package(name).glob("*.whl"))
    ]
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            if holds_held_out(names):
                print(f"{wheel.name} holds what is held out")
                continue
            said = stated(archive, names)
            paths = [name for name in names if name.endswith(".py") and not _LEFT_OUT.search(name)]
            before = len(stage.made.texts)
            name = f"python questions and functions ({family(said)})"
            with stage.source(name):
                count = of_wheel(stage, archive, paths, (texts, bodies), named)
        key = "-".join(wheel.name.split("-")[:2])
        facts[key] = {"licence": said, "family": family(said), "functions": count}
        facts[key]["texts"] = len(stage.made.texts) - before
    return facts


def of_wheel(
    stage: Stage, archive: zipfile.ZipFile, paths: list[str], known: tuple[set[str], set[str]], named: Counter
) -> int:
    """Adds the functions of one wheel; gives how many."""
    count = 0
    for path in stage.some(paths, MOST_FILES, 1):
        if count >= (stage.few or MOST):
            break
        if not SHORTEST < archive.getinfo(path).file_size <= LARGEST_FILE:
            continue
        stage.made.group += 1
        taken = 0
        source = archive.read(path).decode("utf-8", "ignore")
        theirs = held_out.imported(source)
        for function in F.functions(source):
            if held_out.uses(function.code, theirs):
                continue
            if taken < MOST_OF_FILE and add(stage, function, known, named):
                taken += 1
        count += taken
    return count


def add(stage: Stage, function: F.Function, known: tuple[set[str], set[str]], named: Counter) -> bool:
    """Adds a function and its questions, if it is usable and new."""
    texts, bodies = known
    summary, name = told(function), function.name
    dull = name.startswith(("visit_", "get_", "set_")) or name.count("_") < 2
    if not usable(function) or named[name] >= MOST_OF_NAME or not summary and dull:
        return False
    if not summary and Q.mark(function.bare, 16, 6) >= UNTOLD:
        return False
    body = body_of(function.bare)
    if body in bodies or any(
        E.squeezed(P.cut(each).decode()) in texts for each in (function.code, function.bare)
    ):
        return False
    whole = Q.mark(function.bare, 16, 5) < WITH_DOCSTRING and len(function.code) < LONGEST
    code = function.code if whole else function.bare
    asked = Q.questions(summary, name, function.bare)
    asked = [each for each in asked if named["? " + each[1]] < MOST_OF_QUESTION]
    number = stage.made.add(code, "code") if asked else None
    if number is None:
        return False
    for kind, question in asked:
        stage.made.pair(stage.made.add(question, "sentence" if kind[0] == "d" else "query"), number, kind)
    bodies.add(body)
    named.update([name, *("? " + question for _, question in asked)])
    return True
