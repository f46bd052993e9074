"""Questions of programmers and the code that answers them, out of tables and documents.

As those of `extractors`, they read one file's text and know nothing of the repository it comes from. Code is
kept as its author wrote it, but for the prompts of interactive sessions; `wrapped` puts a `def` around bare
statements where that is plainly right.
"""

import ast
import builtins
import html
import keyword
import re
import warnings
from collections.abc import Iterator, Sequence

from thesphere.train.extractors import squeezed
from thesphere.train.held_out import NAMED
from thesphere.train.questions import mark

SHORTEST, LONGEST = 18, 1500
"""Characters of a piece of code."""

_PROMPT = re.compile(r"^ *(?:>>>|In ?\[\d*\]:) ?")
_MORE = re.compile(r"^ *\.\.\.:? ?")
_FENCE = re.compile(
    r"^ {0,3}(```+|~~~+)[ \t]*\{?\.?([\w+#-]*)[^\n]*\n(.*?)^ {0,3}\1[ \t]*$", re.DOTALL | re.MULTILINE
)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$")
_MARKUP = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])|<[^>]{1,200}>|[*`]+|\{[:#%][^}]*\}|&#?\w+;")
_NOT_CODE = re.compile(
    r"^(Traceback|\s*File \"|\w*Error:|\$ |pip |sudo |apt|C:\\|/usr/|\[\d+\] |\+-+|[-=]{4,})"
)
_WORKING = (ast.Call, ast.Assign, ast.AugAssign, ast.Subscript, ast.FunctionDef, ast.For, ast.While, ast.With,
            ast.ListComp, ast.DictComp, ast.GeneratorExp, ast.ClassDef, ast.BinOp, ast.Compare,
            ast.If)  # fmt: skip
_SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.For, ast.If, ast.With, ast.While, ast.Try)
_SMALL = frozenset(
    "a an the in of to with for on from and or by is are be how do does i can my python what way it as at using"
    " use you this that get if into when not one without why there all any each pandas django numpy".split()
)
_FAILS = re.compile(
    r"error|exception|traceback|n[o']t work|doesn't|isn't|won't|can't|issue|problem|fail|wrong|unexpected|strange"
    r"|weird|^why|help\b|raises|confus|difference|crash|stuck|missing|trouble|unable|cannot|behaviou?r",
    re.IGNORECASE,
)  # fmt: skip
_MODULES = frozenset(
    "np pd plt os re sys json math time random datetime itertools collections numpy pandas scipy sns tf torch"
    " requests subprocess csv operator functools string urllib urllib2 logging threading models forms".split()
)
_DOING = frozenset(
    "print append sort extend update remove write show close insert add plot savefig exit pop clear run start"
    " main save commit execute".split()
)
"""Functions that are called for what they do."""
_LANGUAGE = re.compile(
    r"python|pandas|numpy|django|flask|scipy|matplotlib|tkinter|sklearn|c#|\.net|asp|linq|wpf|sql|java|bash"
    r"|shell|linux|unix|regex|powershell|rust|r\b|javascript|js\b|pyqt|pygame|beautifulsoup|selenium|scrapy"
    r"|celery|jinja|pip\b|ipython|jupyter|sqlalchemy|tensorflow|keras|html|css|xpath|c\+\+|excel|vba"
    r"|winforms|mvc",
    re.IGNORECASE,
)  # fmt: skip


def entered(code: str) -> str:
    """What somebody typed in an interactive session, without prompts and answers; other code as it is."""
    lines = code.expandtabs(4).rstrip().split("\n")
    if sum(bool(_PROMPT.match(line)) for line in lines) == 0:
        return _dedented(lines)
    kept = [(_PROMPT if _PROMPT.match(line) else _MORE).sub("", line) for line in lines
            if _PROMPT.match(line) or _MORE.match(line)]  # fmt: skip
    return "\n".join(line.rstrip() for line in kept).strip("\n")


def _dedented(lines: Sequence[str]) -> str:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:].rstrip() for line in lines).strip("\n")


def parsed(code: str) -> ast.Module | None:
    """The tree of Python 3 code, or of Python 2 code whose `print` statements alone are in the way."""
    for text in (code, re.sub(r"(?m)^(\s*)print (?!=)(.*?)$", r"\1print(\2)", code)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def good_python(code: str) -> bool:
    """Whether a snippet is Python that does something, and no error report, table or single name."""
    if not SHORTEST <= len(code) <= LONGEST or _NOT_CODE.match(code) or NAMED.search(code):
        return False
    if not code.isascii() and sum(map(str.isascii, code)) < 0.97 * len(code):
        return False
    if max(map(len, code.split("\n"))) > 300 or sum(map(str.isdigit, code)) > 0.25 * len(code):
        return False
    tree = parsed(code)
    if tree is None:
        return False
    nodes = list(ast.walk(tree))
    names = sum(isinstance(each, ast.Name | ast.Attribute) for each in nodes)
    return names > 1 and any(isinstance(each, _WORKING) for each in nodes) and any(
        isinstance(
            each, ast.Call | ast.FunctionDef | ast.For | ast.ListComp | ast.Subscript | ast.ClassDef | ast.With
        )
        for each in nodes
    )  # fmt: skip


def good_code(code: str) -> bool:
    """Whether a snippet of another language has a fit size and is not a table or a report."""
    letters = sum(map(str.isalpha, code))
    return (
        SHORTEST - 6 <= len(code) <= LONGEST and letters > 0.45 * len(code.replace(" ", "")) and code.isascii()
        and not re.match(r"Traceback|\+-+|[-=]{4,}", code) and max(map(len, code.split("\n"))) < 600
    )  # fmt: skip


def good_question(text: str) -> bool:
    """Whether somebody may type this: three to twenty words, mostly letters, no report of an error."""
    letters = sum(each.isalpha() or each == " " for each in text)
    return (
        14 <= len(text) <= 150 and 3 <= len(text.split()) <= 22 and letters > 0.8 * len(text) and text.isascii()
        and not NAMED.search(text.lower())
        and not re.search(r"https?:|\[(closed|duplicate)|homework", text, re.IGNORECASE)
    )  # fmt: skip


def asks_what_failed(text: str) -> bool:
    """Whether a question is about what went wrong, whose answer is code of one program alone."""
    return bool(_FAILS.search(text))


def typed(title: str, language: str = "python") -> str:
    """A title as it is, or, by its hash, in small letters without its question mark, or naming the language."""
    text = squeezed(re.sub(r"\s*\[(?:closed|duplicate|on hold)\]$", "", html.unescape(title)))
    text = re.sub(
        r"^(?:\[?python\]?\s*[:>-]+\s+)(?=\w)",
        lambda m: "python " if mark(title, 2, 3) else m[0],
        text,
        flags=re.I,
    )
    turn = mark(title, 6)
    if turn < 3:
        text = text.rstrip(" ?!.").lower()
    if language and not _LANGUAGE.search(text) and mark(title, 3, 1) == 0:
        bare = text.rstrip(" ?!.").lower()
        forms = (f"{bare} in {language}", f"{language} {bare}", f"{bare} {language}")
        text = forms[mark(title, 3, 2)]
    return text


def words_for_name(question: str) -> list[str]:
    """At most four words of a question that a function may be named after."""
    words = [word for word in re.findall(r"[a-z]\w*", question.lower()) if word not in _SMALL]
    return words[:4]


def wrapped(question: str, code: str) -> str:
    """`code` as the body of a function named after the question, or "" where that is not plainly right.

    Names that are read and never bound become arguments, and an expression at the end is returned.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return ""
    words = words_for_name(question)
    if len(words) < 2 or '"""' in code or "'''" in code or "\\\n" in code:
        return ""
    if not all(isinstance(each, _SIMPLE) for each in tree.body):
        return ""
    nodes = [each for each in ast.walk(tree) if isinstance(each, ast.Name)]
    bound = {each.id for each in nodes if not isinstance(each.ctx, ast.Load)}
    inner = {each.arg for each in ast.walk(tree) if isinstance(each, ast.arg)}
    free = dict.fromkeys(
        each.id for each in sorted(nodes, key=lambda node: (node.lineno, node.col_offset))
        if each.id not in bound | inner | _MODULES and not hasattr(builtins, each.id)
    )  # fmt: skip
    if not 1 <= len(free) <= 4 or any(name[0].isupper() or name == "self" for name in free):
        return ""
    if any(isinstance(each, ast.Return | ast.Yield | ast.Await | ast.Break) for each in ast.walk(tree)):
        return ""
    for each in tree.body:  # "x = f(x)" reads what was there before
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            own = each.targets[0].id
            before = any(node.id == own and node.lineno < each.lineno for node in nodes)
            if not before and any(isinstance(n, ast.Name) and n.id == own for n in ast.walk(each.value)):
                free[own] = None
    name = "_".join(words)
    if not name.isidentifier() or keyword.iskeyword(name) or name in free:
        return ""
    lines = code.split("\n")
    last = tree.body[-1]
    if isinstance(last, ast.Expr) and not (isinstance(last.value, ast.Call) and _prints(last.value)):
        if last.col_offset or lines[last.lineno - 1].startswith("return"):
            return ""
        lines[last.lineno - 1] = "return " + lines[last.lineno - 1]
    elif isinstance(last, ast.Assign) and isinstance(last.targets[0], ast.Name):
        lines.append("return " + last.targets[0].id)
    body = "\n".join("    " + line if line.strip() else "" for line in lines)
    made = f"def {name}({', '.join(free)}):\n{body}"
    return made if parsed(made) is not None else ""


def _prints(call: ast.Call) -> bool:
    """Whether a call stands for what it does, not for what it gives."""
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    return name in _DOING


def headed_code(markdown: str) -> Iterator[tuple[str, str, str, str]]:
    """(heading, first sentence or "", language, code) of the first listing under each heading of Markdown."""
    marks: dict[str, tuple[str, str]] = {}

    def kept(match: re.Match[str]) -> str:
        key = f"\x00{len(marks)}\x00"
        marks[key] = match[2].lower(), match[3]
        return f"\n{key}\n"

    heading, prose, waiting = "", "", False
    for line in _FENCE.sub(kept, markdown).split("\n"):
        if match := _HEADING.match(line):
            heading, prose, waiting = plain(match[1]), "", True
        elif line in marks:
            if waiting and heading:
                yield heading, plain(prose), *marks[line]
            waiting = False
        elif waiting and line.strip() and not prose and line[0].isalpha():
            prose = line
        elif waiting and prose and line.strip() and not prose.endswith((".", ":", "?")):
            prose += " " + line.strip()


def examples(markdown: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """(heading, paragraphs, listings) of Markdown's sections, listings being indented or between fences."""
    text = re.sub(r"(?m)^[ \t]*<!--.*?-->[ \t]*$", "", markdown)
    text = _FENCE.sub(lambda match: "\n" + re.sub(r"(?m)^", "    ", match[3]) + "\n", text)
    for section in re.split(r"(?m)^##[ \t]+", text)[1:]:
        heading, _, body = section.partition("\n")
        paragraphs, listings, here = [], [], []
        for line in [*body.split("\n"), "end"]:
            if line.startswith(("    ", "\t")) or not line.strip():
                here.append(line)
                continue
            listing = _dedented("\n".join(here).strip("\n").expandtabs(4).split("\n"))
            if listing.strip():
                listings.append(re.sub(r"\n{3,}", "\n\n", listing))
            here = []
            paragraphs.append(line)
        prose = re.sub(r"(?m)^(?:[|>#].*|\s*[-*_=]{3,}\s*)$", "", "\n".join(paragraphs[:-1]))
        yield plain(heading), [each for each in map(plain, prose.split("\n")) if each], listings


def plain(text: str) -> str:
    """A line of Markdown without its markup."""
    return squeezed(html.unescape(_MARKUP.sub(lambda match: match[1] or "", text))).replace("\\", "")


def front_matter(markdown: str) -> tuple[dict[str, str], str]:
    """(fields, rest) of a document that may begin with fields between two lines of "---"."""
    parts = re.match(r"---\n(.*?)\n---\n(.*)", markdown, re.DOTALL)
    if not parts:
        return {}, markdown
    fields = dict(re.findall(r"(?m)^(\w+): *[\"']?(.*?)[\"']?$", parts[1]))
    return fields, parts[2]
