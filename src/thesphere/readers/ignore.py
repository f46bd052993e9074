""".gitignore, as git reads it: nested files, negation, and the parents up to the repository's root."""

import os
import re
import stat
from dataclasses import dataclass

import pathspec

_NAMED_GROUP = re.compile(r"\(\?P<\w+>")
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe of that name must not hold the walk up
_MOST_BYTES = 1 << 20
_MOST_STARS = 16  # of one pattern; more could make the search of a path backtrack for ever


@dataclass(frozen=True, slots=True)
class Rules:
    """One .gitignore: the folder it lies in (with its closing slash) and its patterns.

    `touch` matches every path that some pattern matches: most paths are settled by this one search.
    """

    base: str
    spec: pathspec.GitIgnoreSpec
    touch: re.Pattern | None


def rules_in(folder: str) -> Rules | None:
    """The rules of `folder`/.gitignore, None where there are none, or where it is not a regular file.

    Lines that are no pattern, or have more than 16 stars, are left out, and so is what lies beyond 1 MiB.
    """
    try:
        handle = os.open(os.path.join(folder, ".gitignore"), _OPEN)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            data = os.read(handle, _MOST_BYTES)
        finally:
            os.close(handle)
    except OSError:
        return None
    patterns = []
    for line in os.fsdecode(data).removeprefix("\ufeff").split("\n"):
        line = line.removesuffix("\r")
        if line.count("*") > _MOST_STARS:
            continue
        try:
            patterns += pathspec.GitIgnoreSpec.from_lines([line]).patterns
        except ValueError:
            continue
    patterns = [pattern for pattern in patterns if pattern.include is not None]
    if not patterns:
        return None
    try:
        touch = re.compile("|".join(_NAMED_GROUP.sub("(?:", pattern.regex.pattern) for pattern in patterns))
    except (re.error, AttributeError):
        touch = None
    return Rules(os.path.join(folder, ""), pathspec.GitIgnoreSpec(patterns), touch)


def ignored(chain: tuple[Rules, ...], path: str, folder: bool) -> bool:
    """Whether the rules, outermost first, leave out this absolute path.

    Of its parents nothing is asked: the walk never enters a folder that is left out.
    """
    for rules in reversed(chain):
        relative = path[len(rules.base) :] + "/" * folder
        if rules.touch is not None and not rules.touch.match(relative):
            continue
        verdict = rules.spec.check_file(relative).include
        if verdict is not None:
            return verdict
    return False


def inherited(folder: str) -> tuple[Rules, ...]:
    """The rules that apply in `folder` from its parents up to the root of its repository, outermost first.

    None outside a repository, in its root, and where they would leave out `folder` itself: who names an
    ignored folder wants what is in it.
    """
    found, here = [], folder
    while not os.path.lexists(os.path.join(here, ".git")):
        parent = os.path.dirname(here)
        if parent == here:
            return ()
        here = parent
        found.append(here)
    chain = tuple(rules for rules in map(rules_in, reversed(found)) if rules is not None)
    below = folder
    while below != here:
        if ignored(chain, below, True):
            return ()
        below = os.path.dirname(below)
    return chain
