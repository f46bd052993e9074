"""How sources are named: by their name, by a folder or a table above them, or by a pattern."""

import re
from collections.abc import Callable
from fnmatch import translate


def below(name: str, place: str) -> bool:
    """Whether a source's name is `place`, or lies below it: in that folder, or as a row of that table. Nothing
    lies below the empty name."""
    stem = place.rstrip("/")
    return name == place or (place != "" and (name == stem or name.startswith((stem + "/", stem + "#"))))


def matcher(pattern: str) -> Callable[[str], bool]:
    """Tells which names a pattern means: those `below` it as it stands, and with `*` (any characters, / too), `?`
    and `[..]` in it those at or below any name that it describes."""
    ends = ("", "/*", "#*") if pattern else ("",)
    described = re.compile("|".join(translate(pattern.rstrip("/") + end) for end in ends))
    return lambda name: below(name, pattern) or described.match(name) is not None
