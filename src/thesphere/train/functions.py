"""The functions of Python source, what is said of them, and how somebody might ask for them."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thesphere.train.extractors import sentences, squeezed


@dataclass(frozen=True)
class Function:
    """A function of Python source.

    Attributes:
        name: as defined.
        summary: the first paragraph of its docstring, or the comment lines just above it; may be empty.
        code: the function as written, decorators left out, dedented.
        bare: the same without its docstring; equal to `code` where there is none.
    """

    name: str
    summary: str
    code: str
    bare: str


def functions(source: str) -> Iterator[Function]:
    """The functions and methods of Python source, in order; nothing for source that does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = source.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.end_lineno is None:
            continue
        first = node.body[0]
        written = lines[node.lineno - 1 : node.end_lineno]
        bare, summary = written, ""
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            if isinstance(first.value.value, str) and first.end_lineno is not None:
                summary = first.value.value.strip().split("\n\n")[0]
                bare = (
                    lines[node.lineno - 1 : first.lineno - 1] + lines[first.end_lineno : node.end_lineno]
                    if first.lineno > node.lineno
                    else written
                )
        if not summary:
            above = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 2
            comment: list[str] = []
            while above >= 0 and lines[above].strip().startswith("#"):
                comment.append(lines[above].strip().lstrip("# "))
                above -= 1
            summary = " ".join(reversed(comment))
        indent = len(written[0]) - len(written[0].lstrip())
        yield Function(node.name, squeezed(summary), _dedented(written, indent), _dedented(bare, indent))


def _dedented(lines: Sequence[str], indent: int) -> str:
    return "\n".join(line[indent:] if not line[:indent].strip() else line for line in lines).rstrip()


def spoken(name: str) -> str:
    """An identifier as lower-case words: "getFile_name2" is "get file name 2"."""
    parts = re.sub(r"(?<=[^\W\d_])(?=\d)|_+|(?<=\d)(?=[^\W\d_])", " ", name)
    cuts = (a.isupper() and b.isupper() and c.islower() or b.isupper() and not a.isupper()
            for a, b, c in zip(" " + parts, parts, parts[1:] + " ", strict=False))  # fmt: skip
    return squeezed("".join(" " * cut_here + b for cut_here, b in zip(cuts, parts, strict=True))).lower()


_LIGHT = frozenset("a an the of this that given specified which its be is are was will if it".split())


def asked(summary: str, turn: int) -> str:
    """A summary such as "Returns the size of a file." as somebody might type it: "python get size file".

    Args:
        summary: a sentence in the imperative or third person.
        turn: chooses one of six forms.
    """
    words = re.findall(r"[\w'.+#-]*\w[+#]*", sentences(summary)[0] if summary.strip() else "")[:14]
    if not words:
        return ""
    verb = words[0].lower()
    if verb.endswith(("sses", "shes", "ches", "xes", "zes")):
        verb = verb[:-2]
    elif verb.endswith("ies") and len(verb) > 4:
        verb = verb[:-3] + "y"
    elif verb.endswith("s") and not verb.endswith(("ss", "us", "is")):
        verb = verb[:-1]
    verb = {"return": "get", "retrieve": "get", "determine": "find", "construct": "create"}.get(verb, verb)
    rest = [word.lower() for word in words[1:]]
    short = [word for word in rest if word not in _LIGHT] or rest
    forms = (
        ["python", verb, *short], ["how", "to", verb, *rest], [verb, *short, "python"],
        ["python", "how", "to", verb, *short], [verb, *short], ["how", "to", verb, *short, "in", "python"],
    )  # fmt: skip
    return " ".join(forms[turn % len(forms)])
