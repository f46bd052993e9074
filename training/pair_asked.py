"""Real questions of programmers and code that answers them: a collection of its own, as that of pair_code.py.

Each function of STAGES takes a `Stage` and adds the texts of some sources; REPOSITORIES has where they come from,
repositories that state a licence.
Texts of Stack Overflow are under CC BY-SA, 3.0 up to 2018-05-02 and 4.0 since; the repositories name their posts.
`docstrings` then makes one more question, as people type them, to functions that pair_code.py has packed.
"""

import ast
import json
import re
from collections.abc import Iterator

from pair_papers import Repository, small, text_of
from pair_sources import Source
from pair_stage import Stage, coin, ending

from thesphere.train import asked as A
from thesphere.train import extractors as E
from thesphere.train import functions as F
from thesphere.train import pairs as P
from thesphere.train import phrasings
from thesphere.train.held_out import NAMED

REPOSITORIES = (
    Repository("sriniiyer/codenn", "0f7fbb8b298a84faf4a14a8f76199e39af685e4a", ("data/stackoverflow",)),
    Repository("zorazrw/multilingual-conala", "b48112fe492432507d72004aafb6f0c399308333", ("dataset/train",)),
    Repository("zorazrw/odex", "21308ea6d474a078d5a85c61c2b5ca228d1fd167", ("data",)),
    Repository("TellinaTool/nl2bash", "466c5fe873ab08c7cc0112ea1521cc6ad9c20992", ("data/bash",)),
    Repository("ActiveState/code", "e6378c55515c45eb8eab07ca64c59ddefba9bf94", ("recipes/Python",)),
    Repository("30-seconds/30-seconds-of-code", "c16c7cb135c77fc11c88fe6772a39db34d0d98ad", ("snippets",)),
    Repository("30-seconds/30-seconds-of-python", "bfdb98c7374fb4f60c6b10be89729df4ab2ca60a", ("snippets",)),
    Repository("wikiod-com/wikiod", "9c05f416f46d3cd6f219611ce64f5dc30f29a298", ("en/docs",)),
    Repository("MicrosoftDocs/PowerShell-Docs", "27138b21b41de3e2b43cfcac4a56861ca419d5eb", ("reference/7.4",)),
    Repository("plotly/plotly.py", "de4f21b322b5859f003e126fd8b94489e6f6ca17", ("doc/python",)),
    Repository("wilfredinni/python-cheatsheet", "1cebfe1e8355547c6977143765536fefa54ebf2f", ("docs",)),
    Repository("dylanaraps/pure-bash-bible", "8c19d0b482b04d8d50fb72b4c5148b41ce605c6d"),
    Repository("rust-lang-nursery/rust-cookbook", "8771295dd0eafeddaa82246bad406c6fde8015f3", ("src",)),
    Repository("shirou/public_snippets", "9db003753a600d249991d1fd53bbc7708b78c433", ("snippets",)),
    Repository("walkccc/LeetCode", "552deaf00d50db9b20d4821fc1526e26faa02d41", ("solutions",)),
    Repository("TheAlgorithms/Python", "f5988cc09713315817df6a7e327e258013a94440"),
    Repository("GoogleCloudPlatform/python-docs-samples", "683bf45f8f608cf0248d485d2c60de22e356b2db"),
    Repository("awsdocs/aws-doc-sdk-examples", "7d1e1237789cbf5033a7c22d917d17c64de1aaaa", ("python",)),
    Repository("realpython/materials", "7ecc7c477823e8f0a5ea3573b91c1d06c8ac4853"),
    Repository("OpenGenus/cosmos", "47fc66f8ab795be8e3b4f149eb85b6f9cddc1b82", ("code",)),
    Repository("exercism/python", "9eb657d4507d91efef99f484e7f2a1f4074911b5", ("exercises/practice",)),
)  # fmt: skip

PROSE = 3
"""Of so many examples, one gives its words too."""
FAILURES = 3
"""Of so many questions about what went wrong, one is taken."""
WRAPPED = 3
"""Of so many bare snippets that allow it, one becomes a function."""
MADE, LONGEST_MADE = 120_000, 1100
"""So many functions of a pack get one more question, and their size in bytes at most."""
PYTHONIC = frozenset(
    "python pandas django django-admin django-forms django-haystack django-models django-rest-framework"
    " django-views numpy matplotlib flask tensorflow keras scikit-learn scipy pyqt pyqt4 pyqt5 tkinter"
    " pygame kivy celery lxml nltk beautifulsoup pyspark sqlalchemy ipython boto3 bokeh cherrypy pymongo"
    " pyramid python-asyncio python-requests scapy scrapy seaborn sympy theano tornado tweepy web2py"
    " wxpython opencv".split()
)
"""Topics of Python and its libraries."""
LEFT_OUT = {"networkx", "django-cms", "documentation"}
TOPICS = {"csharp": "c#", "fsharp": "f#", "node-js": "node.js", "vb-dotnet": "vb.net", "vue-js": "vue.js",
          "asp-dotnet": "asp.net", "dotnet": ".net", "julia-lang": "julia", "angular2": "angular"}  # fmt: skip
DULL = re.compile(
    r"(?:installation|setup|hello,? world|versions?|remarks?|syntax|parameters?|introduction|getting)\b", re.I
)


def taken(question: str) -> bool:
    """Whether a question is good enough; of those about what went wrong, some."""
    return A.good_question(question) and not (A.asks_what_failed(question) and coin(question + "f", FAILURES))


def as_function(question: str, code: str) -> str:
    """A snippet of Python, now and then wrapped into a function."""
    return (A.wrapped(question, code) if coin(code, WRAPPED) == 0 else "") or code


def python(stage: Stage, question: str, code: str, kind: str = "asked-code") -> bool:
    """One question with its snippet; False where one of them is not good enough."""
    if not (taken(question) and A.good_python(code)):
        return False
    stage.pair(question, "query", as_function(question, code), "code", kind)
    return True


def other(stage: Stage, question: str, code: str, kind: str = "asked-code") -> None:
    """The same for another language than Python."""
    if taken(question) and A.good_code(code):
        stage.pair(question, "query", code, "code", kind)


def opening(words: str) -> str:
    """The first passage of an answer's words, in one line."""
    return next(iter(E.passages(E.sentences(words), 700))).replace("\n", " ")


def tables(stage: Stage) -> None:
    """Tables of titles and code in Python, C# and SQL."""
    root = stage.package("git-codenn") / "data/stackoverflow"
    for name, language in (("python", "python"), ("csharp", "c#"), ("sql", "sql")):
        with stage.source("git:codenn", name):
            rows = [line.split("\t") for part in ("valid", "test")
                    for line in text_of(root / name / f"{part}.txt").split("\n")]  # fmt: skip
            for row in stage.some(rows, 1 << 30):
                if len(row) < 4:
                    continue
                code = A.entered(row[3].replace("\\n", "\n").replace("\\t", "    "))
                question = A.typed(row[2], language)
                stage.made.group += 1
                if name == "python":
                    python(stage, question, code)
                else:
                    other(stage, question, code)


def intents(stage: Stage) -> None:
    """Questions with one-line answers, as asked and as others put them in words."""
    with stage.source("git:multilingual-conala"):
        rows = json.loads(text_of(stage.package("git-multilingual-conala") / "dataset/train/train.json"))
        for row in stage.some(rows, 1 << 30):
            stage.made.group += 1
            for question in (row["intent"], row.get("rewritten_intent") or ""):
                short(stage, A.typed(question.replace("`", "")), row["snippet"])
    with stage.source("git:odex"):
        path = stage.package("git-odex") / "data/en_test.jsonl"
        for line in stage.some(text_of(path).splitlines(), 1 << 30):
            row = json.loads(line)
            whole = row["prompt"] + row["canonical_solution"]
            code = whole.replace("\t", "    ").replace(
                row["entry_point"], "_".join(A.words_for_name(row["intent"]))
            )
            stage.made.group += 1
            short(stage, A.typed(row["intent"].replace("`", "").rstrip(".")), code)


def short(stage: Stage, question: str, code: str) -> None:
    """As `python`, for snippets that people have chosen: any size, any statement."""
    code = A.entered(code)
    if A.good_question(question) and 6 < len(code) <= A.LONGEST and A.parsed(code) and not NAMED.search(code):
        stage.pair(question, "query", as_function(question, code), "code", "asked-code")


def shells(stage: Stage) -> None:
    """Commands, each with what it does in somebody's words."""
    with stage.source("git:nl2bash"):
        root = stage.package("git-nl2bash") / "data/bash"
        told, run = (text_of(root / f"all.{end}").splitlines() for end in ("nl", "cm"))
        for question, command in stage.some(list(zip(told, run, strict=True)), 5_000, 3):
            stage.made.group += 1
            text = re.sub(r"^\([^)]*\) *", "", question).rstrip(".")
            if A.good_question(text) and 8 < len(command) < 600:
                stage.pair(A.typed(text, ""), "query", command, "code", "asked-code")
    with stage.source("git:pure-bash-bible"):
        for heading, _, _, code in A.headed_code(text_of(stage.package("git-pure-bash-bible") / "README.md")):
            stage.made.group += 1
            other(stage, f"bash {heading[0].lower()}{heading[1:]}", code, "heading-code")


def examples(stage: Stage) -> None:
    """Headings of documentation that say what the listing below them does."""
    with stage.source("git:PowerShell-Docs"):
        paths = small(ending(stage.package("git-PowerShell-Docs") / "reference/7.4", ".md"))
        for path in stage.some(paths, 1 << 30):
            stage.made.group += 1
            for heading, _, language, code in A.headed_code(text_of(path)):
                if language == "powershell" and (
                    match := re.match(r"Example \d+\w?\s*[:.-]+ *(.+)", heading)
                ):
                    question = match[1] + " powershell" * (coin(heading, 3) == 0)
                    other(stage, A.typed(question, ""), code.strip(), "heading-code")
    for name, folder in (("plotly.py", "doc/python"), ("python-cheatsheet", "docs")):
        with stage.source(f"git:{name}"):
            for path in stage.some(small(ending(stage.package(f"git-{name}") / folder, ".md")), 1 << 30):
                fields, text = A.front_matter(text_of(path))
                about = re.sub(r" \| .*| - Python Cheatsheet.*", "", fields.get("title", ""))
                stage.made.group += 1
                for heading, _, language, code in A.headed_code(text):
                    whole = heading if len(heading.split()) > 2 else f"{about} {heading}"
                    if language in ("python", "py") and "{" not in whole and "IFrame(" not in code:
                        python(stage, A.typed(whole), A.entered(code), "heading-code")
    with stage.source("git:rust-cookbook"):
        for path in stage.some(small(ending(stage.package("git-rust-cookbook") / "src", ".md")), 1 << 30):
            stage.made.group += 1
            for heading, _, language, code in A.headed_code(text_of(path)):
                if language.startswith("rust"):
                    code = re.sub(r"(?m)^# .*\n", "", code).strip()
                    other(stage, f"{heading} in rust", code, "heading-code")


def topics(stage: Stage) -> None:
    """Examples of programming languages and libraries: a heading, some words, a listing."""
    root = stage.package("git-wikiod") / "en/docs"
    for python_too in (True, False):
        with stage.source("git:wikiod", "python" if python_too else "others"):
            some = [path for path in small(ending(root, ".md")) if path.parent.name not in LEFT_OUT]
            paths = [path for path in some if (path.parent.name in PYTHONIC) == python_too]
            for path in stage.some(paths, 1 << 30):
                fields, text = A.front_matter(text_of(path))
                topic = path.parent.name
                name = TOPICS.get(topic, topic.replace("-", " "))
                stage.made.group += 1
                for heading, paragraphs, listings in A.examples(text):
                    if DULL.match(heading) or NAMED.search(heading.lower()):
                        continue
                    question = topic_question(heading, fields.get("title", ""), name)
                    good = A.good_python if topic in PYTHONIC else A.good_code
                    code = next(filter(good, (A.entered(each.strip("`")) for each in listings)), "")
                    words = " ".join(paragraphs)
                    if code and topic in PYTHONIC:
                        python(stage, question, code, "heading-code")
                    elif code:
                        other(stage, question, code, "heading-code")
                    if A.good_question(question) and 200 < len(words) and coin(question, PROSE) == 0:
                        passage = opening(words)
                        if not re.search(r":(?: [A-Z]|$)|\|", passage):
                            stage.pair(question, "query", passage, "passage", "asked-text")


def topic_question(heading: str, title: str, name: str) -> str:
    """A heading as a question: with its page's title where it says little alone, and with the language's name."""
    heading = re.sub(r"^step \d+:? *", "", heading.rstrip(".:"), flags=re.I)
    title = re.sub(r"^getting started with (?:the )?", "", title, flags=re.I)
    if len(heading.split()) < 3 and title.lower() not in heading.lower():
        heading = f"{title} {heading}" if heading.lower() not in title.lower() else title
    text = heading.lower() if coin(heading, 3) else heading
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) or coin(heading + "l", 4) == 0:
        return text
    return (f"{text} in {name}", f"{name} {text}", f"{text} {name}")[coin(heading + "p", 3)]


def described(stage: Stage) -> None:
    """Short files: what a snippet does, then the snippet."""
    for name, marks in (("30-seconds-of-code", ("js",)), ("30-seconds-of-python", ("py", "python"))):
        with stage.source(f"git:{name}"):
            for path in stage.some(small(ending(stage.package(f"git-{name}") / "snippets", ".md")), 1 << 30):
                _, text = A.front_matter(text_of(path))
                told = A.plain(text.strip().split("\n")[0]).rstrip(".")
                listing = re.search(r"```(\w+)\n(.*?)```", text, re.DOTALL)
                if listing and listing[1] in marks:
                    question = phrasings.of_summary(
                        told, "javascript" if "js" in marks else "python", listing[2]
                    )
                    stage.made.group += 1
                    if A.good_question(question):
                        stage.pair(question, "query", listing[2].strip(), "code", "heading-code")
    with stage.source("git:public_snippets"):
        for path in stage.some(
            small(ending(stage.package("git-public_snippets") / "snippets", ".md")), 1 << 30
        ):
            fields, code = A.front_matter(text_of(path))
            question = f"{path.parent.name} {fields.get('description') or fields.get('title', '')}"
            stage.made.group += 1
            other(stage, question, code.strip(), "heading-code")


def recipes(stage: Stage) -> None:
    """Recipes with a title; of a long one its first function or class."""
    with stage.source("git:code (recipes)"):
        for path in stage.some(ending(stage.package("git-code") / "recipes/Python", ".py"), 1 << 30):
            about = path.parent / "README.md"
            if not about.exists():
                continue
            title, _, rest = text_of(about).strip("# \t").partition("\n")
            stage.made.group += 1
            code = first_parts(text_of(path).replace("\r", ""))
            if code:
                python(stage, A.typed(A.plain(title)), code, "heading-code")
                body = re.split(r"\n\s*\n", rest)[1:2]
                told = E.sentences(A.plain(body[0]))[:1] if body and coin(title, 2) else []
                if told and told[0] != title and "Originally" not in told[0]:
                    python(stage, told[0].rstrip("."), code, "heading-code")


def first_parts(source: str) -> str:
    """A short file without the comments it begins with; of a longer one the longest function or class."""
    tree = A.parsed(A.entered(source))
    if tree is None:
        return ""
    lines = A.entered(source).split("\n")
    body = [
        each
        for each in tree.body
        if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]
    if not body:
        return ""
    whole = "\n".join(lines[body[0].lineno - 1 :]).strip()
    if len(whole) <= A.LONGEST:
        return whole
    parts = ["\n".join(lines[each.lineno - 1 : each.end_lineno]) for each in body
             if isinstance(each, ast.FunctionDef | ast.ClassDef)]  # fmt: skip
    return max((part for part in parts if len(part) <= A.LONGEST), key=len, default="")


def solutions(stage: Stage) -> None:
    """Tasks whose name is a folder's or a file's, and their solutions."""
    with stage.source("git:LeetCode"):
        for path in stage.some(ending(stage.package("git-LeetCode") / "solutions", ".py"), 3_000):
            task = path.parent.name.partition(". ")[2]
            code = re.sub(r"^class Solution:\n", "", text_of(path))
            code = re.sub(r"(?m)^( +)", r"\1\1", code)
            only = code.count("\n    def ") + code.startswith("    def ") == 1 and "class " not in code
            stage.made.group += 1
            whole = A.entered(code) if only else "class Solution:\n" + code.rstrip()
            python(stage, A.typed(task), whole, "heading-code")
    with stage.source("git:cosmos"):
        paths = [
            path
            for end in (".py", ".java", ".js")
            for path in ending(stage.package("git-cosmos") / "code", end)
        ]
        for path in stage.some(paths, 1 << 30):
            language = {".py": "python", ".java": "java", ".js": "javascript"}[path.suffix]
            question = f"{F.spoken(path.stem)} {language}"
            if sum(len(word) > 2 for word in question.split()) < 3:
                continue
            code = text_of(path).strip()
            stage.made.group += 1
            if language == "python":
                python(stage, question, first_parts(code), "heading-code")
            else:
                other(
                    stage,
                    question,
                    re.sub(r"^\s*(/\*.*?\*/|//[^\n]*\n)+", "", code, flags=re.S).strip(),
                    "heading-code",
                )
    with stage.source("git:python (exercises)"):
        for path in stage.some(
            ending(stage.package("git-python") / "exercises/practice", "example.py"), 1 << 30
        ):
            told = path.parent.parent / ".docs/instructions.md"
            text = re.sub(r"(?m)^#.*$", "", text_of(told)) if told.exists() else ""
            task = next(iter(E.sentences(A.plain(text.strip().split("\n\n")[0]))), "")
            stage.made.group += 1
            python(stage, A.typed(task.rstrip(".")), first_parts(text_of(path)), "heading-code")


def samples(stage: Stage) -> None:
    """Functions of samples and tutorials, asked for in words of their docstrings."""
    seen: set[str] = set()
    for name in ("Python", "python-docs-samples", "aws-doc-sdk-examples", "materials"):
        with stage.source(f"git:{name}"):
            paths = [
                path for path in small(ending(stage.package(f"git-{name}"), ".py")) if "test" not in path.name
            ]
            for path in stage.some(paths, 1 << 30):
                stage.made.group += 1
                for function in F.functions(text_of(path)):
                    question = phrasings.question(function.summary, function.name, function.bare)
                    fits = 60 < len(function.bare) <= 1300 and not function.name.startswith("__")
                    if question and fits and function.bare not in seen and not NAMED.search(function.bare):
                        seen.add(function.bare)
                        stage.pair(question, "query", function.bare, "code", "docstring-code")


def docstrings(stage: Stage, older: P.Pairs, most: int = MADE) -> None:
    """One more question for functions of a pack, other than those it has, the functions byte by byte the same."""
    asked = asked_of(older)
    with stage.source("python questions, more"):
        for number, summary, function in stage.some(told_functions(older, asked), most, 7):
            question = phrasings.question(
                summary, function.name, function.bare, asked.get(number, frozenset())
            )
            if question:
                stage.made.group = int(older.arrays["group"][number]) + (1 << 30)
                stage.pair(question, "query", older.text(number).decode(), "code", "docstring-code")


def asked_of(older: P.Pairs) -> dict[int, frozenset[str]]:
    """The questions that a pack has for each of its texts."""
    found: dict[int, set[str]] = {}
    for query, answer in older.arrays["pair"].tolist():
        found.setdefault(answer, set()).add(older.text(query).decode().lower())
    return {number: frozenset(each) for number, each in found.items()}


def told_functions(older: P.Pairs, asked: dict[int, frozenset[str]]) -> Iterator[tuple[int, str, F.Function]]:
    """(number, summary, function) of a pack's short functions that a question can be made for.

    The summary is the docstring's; of a function that was packed without one, it is what its questions are about.
    """
    code = P.KINDS.index("code")
    sizes = older.arrays["length"].tolist()
    for number, kind in enumerate(older.arrays["kind"].tolist()):
        if kind != code or sizes[number] > LONGEST_MADE:
            continue
        text = older.text(number).decode()
        function = None if NAMED.search(text) else next(iter(F.functions(text)), None)
        if function is None:
            continue
        summary = function.summary if function.bare != function.code else ""
        if not phrasings.clear(summary):
            told = sorted(map(phrasings.task_of, sorted(asked.get(number, ()))), key=len)
            summary = next((each for each in reversed(told) if phrasings.clear(each)), "")
        if summary:
            yield number, summary, function


STAGES = (tables, intents, shells, topics, examples, described, recipes, solutions, samples)

SOURCES = (
    Source("git:codenn", "MIT; CC BY-SA 3.0 (Stack Overflow)", 1.0),
    Source("git:multilingual-conala", "CC BY-SA 4.0 (Stack Overflow)", 1.0),
    Source("git:odex", "CC BY-SA 4.0 (Stack Overflow)", 1.0),
    Source("git:nl2bash", "GPL-3", 1.0),
    Source("git:pure-bash-bible", "MIT", 1.0),
    Source(
        "git:wikiod",
        "Creative Commons; CC BY-SA 3.0 (Stack Overflow Documentation)",
        1.0,
    ),
    Source("git:PowerShell-Docs", "CC BY 4.0; code MIT", 1.0),
    Source("git:plotly.py", "MIT", 1.0),
    Source("git:python-cheatsheet", "MIT", 1.0),
    Source("git:rust-cookbook", "CC0 1.0", 1.0),
    Source("git:30-seconds-of-code", "CC0 1.0", 1.0),
    Source("git:30-seconds-of-python", "CC0 1.0", 1.0),
    Source("git:public_snippets", "Apache-2.0", 1.0),
    Source("git:code (recipes)", "MIT; PSF or other free licence per recipe", 1.0),
    Source("git:LeetCode", "MIT", 1.0),
    Source("git:cosmos", "GPL-3", 1.0),
    Source("git:python (exercises)", "MIT", 1.0),
    Source("git:Python", "MIT", 1.0),
    Source("git:python-docs-samples", "Apache-2.0", 1.0),
    Source("git:aws-doc-sdk-examples", "Apache-2.0", 1.0),
    Source("git:materials", "MIT", 1.0),
    Source("python questions, more", "as each wheel states, licences.json of the pack of `code`", 1.0),
)
