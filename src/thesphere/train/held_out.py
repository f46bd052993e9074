"""Packages that the choice of the encoders' numbers is judged on: nothing that uses them is trained on."""

import ast
import re

PACKAGES = frozenset(
    """networkx ubelt fastcore monty trimesh pyvista dateparser rdflib python_utils textacy holoviews inflect
    validators pint plotnine parso streamlit django_allauth django_oscar django_cms mayan_edms allauth oscar
    mayan""".split()
)
"""As they are imported, and as their wheels are called."""

_ANY = "|".join(sorted(PACKAGES))
NAMED = re.compile(rf"\b({_ANY}|django-cms|nx(?=\.))\b")
"""Any of them in lower-case text, and `nx.`, as everybody calls networkx."""
_USED = re.compile(
    rf"^[ \t]*(?:>>> *|\.\.\. *)?(?:from[ \t]+|import[ \t]+(?:[\w. \t]+,)*[ \t]*)(?:{_ANY})\b"
    rf"|(?<![\w.])(?:{_ANY}|nx)\.(?=[A-Za-z_])",
    re.MULTILINE,
)
_WORD = re.compile(r"[^\W\d]\w*")


def imported(source: str) -> frozenset[str]:
    """What a file of Python calls the packages and their parts that it imports; none if it does not parse."""
    if not any(name in source for name in PACKAGES):
        return frozenset()
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            named = [each for each in node.names if each.name.partition(".")[0] in PACKAGES]
            found |= {each.asname or each.name.partition(".")[0] for each in named}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            found |= {each.asname or each.name for each in node.names} if not node.level else set()
    return frozenset(found)


def uses(code: str, names: frozenset[str] = frozenset()) -> bool:
    """Whether code uses one of the packages.

    Args:
        code: of a function, say.
        names: what its file calls them, `imported`.
    """
    return bool(_USED.search(code)) or not names.isdisjoint(_WORD.findall(code))
