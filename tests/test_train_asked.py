"""train/asked.py and train/phrasings.py: real questions with code, and questions made in other words."""

import ast
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.train import asked, phrasings
from thesphere.train import pairs as P
from thesphere.train import questions as Q


def test_code_keeps_its_indentation_but_not_its_prompts():
    assert asked.entered("    def f(x):\n        return x\n") == "def f(x):\n    return x"
    assert asked.entered(">>> for a in b:\n...     print(a)\n...\n1\n2") == "for a in b:\n    print(a)"
    assert asked.entered("In [3]: df.head()\nOut[3]: x") == "df.head()"


@pytest.mark.parametrize(
    "code", ["tkinter", "Traceback (most recent call last):", "1 2 3\n4 5 6", "import networkx as nx\nnx.Graph()",
             "x = 12345678901234567890", "def f(:\n    pass"],
)  # fmt: skip
def test_what_is_no_code_that_does_something(code):
    assert not asked.good_python(code)


def test_python_of_both_ages():
    assert asked.good_python("for row in rows:\n    print row, len(row)")
    assert asked.good_python("[each for each in names if each.islower()]")


def test_a_bare_snippet_becomes_a_function_where_that_is_plainly_right():
    made = asked.wrapped("How to get the last word of a string?", "words = text.split()\nwords[-1]")
    assert made == "def last_word_string(text):\n    words = text.split()\n    return words[-1]"
    assert asked.wrapped("join two lists", "joined = first + second").endswith("\n    return joined")
    assert asked.wrapped("join two lists", "print(1)") == ""  # nothing that an argument could be
    assert asked.wrapped("join two lists", "def f(a):\n    return a") == ""
    assert asked.wrapped("grow the list", "grow = grow + [more]").startswith("def grow_list(more, grow):")


@settings(max_examples=60)
@given(st.text(st.sampled_from("abxy=+*()[]:. \n'\""), max_size=60))
def test_what_is_wrapped_parses(code):
    made = asked.wrapped("sort a list of words", code)
    assert not made or ast.parse(made).body[0].name == "sort_list_words"


def test_titles_as_people_type_them():
    titles = [f"How do I sort a list of {count} names?" for count in range(60)]
    made = [asked.typed(title) for title in titles]
    assert made == [asked.typed(title) for title in titles]
    assert any(one == title for one, title in zip(made, titles, strict=True))
    assert any("python" in one for one in made)
    assert asked.typed("Sort [closed]", "").lower() == "sort"


def test_listings_under_headings():
    text = (
        "# Top\nwords\n\n## Copy a `file`\nThis copies.\n\n```python\nshutil.copy(a, b)\n```\n```\nc()\n```\n"
    )
    assert list(asked.headed_code(text)) == [("Copy a file", "This copies.", "python", "shutil.copy(a, b)\n")]


def test_examples_with_indented_listings():
    text = '---\ntitle: "Lists"\n---\n## Adding\nUse [append](x):\n\n    a = []\n\n    a.append(1)\nDone.\n'
    text += "## Empty\n"
    fields, rest = asked.front_matter(text)
    assert fields == {"title": "Lists"}
    assert list(asked.examples(rest)) == [
        ("Adding", ["Use append:", "Done."], ["a = []\n\na.append(1)"]),
        ("Empty", [], []),
    ]


def test_only_short_and_plain_docstrings_are_asked_about():
    assert phrasings.clear("Return the number of rows in a table.")
    assert not phrasings.clear("Return self._rows.")
    assert not phrasings.clear("The rows.")


def test_a_question_is_other_than_those_known():
    summary = "Remove all duplicate rows from a list."
    made = {phrasings.question(summary, "unique", f"code {turn}") for turn in range(200)}
    known = {text for _, text in Q.forms(summary, "unique")}
    assert len(made) > 60 and not made & known
    assert any("delete" in text for text in made) and any("array" in text for text in made)
    one = phrasings.question(summary, "unique", "code")
    assert one == phrasings.question(summary, "unique", "code")
    assert phrasings.question(summary, "unique", "code", frozenset([one])) != one


def test_conversions_and_checks_are_asked_in_short():
    made = {phrasings.made("Convert bytes to a string.", str(turn)) for turn in range(400)}
    assert any(text.startswith("python bytes to") for text in made)
    made = {phrasings.made("Return True if the path is absolute.", str(turn)) for turn in range(200)}
    assert "check if path is absolute python" in made or "python check if the path is absolute" in made


def test_what_a_question_is_about():
    assert phrasings.task_of("how to get size of file in python") == "get size of file"
    assert phrasings.task_of("python function to sort rows") == "sort rows"
    assert phrasings.task_of("python set of rows") == ""


def test_stages_read_small_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "training"))
    import pair_asked
    from pair_stage import Stage

    for name in ("python", "csharp", "sql"):
        folder = tmp_path / "git-codenn/data/stackoverflow" / name
        folder.mkdir(parents=True)
        for part in ("valid", "test"):
            (folder / f"{part}.txt").write_text("")
    row = "1\t2\tHow to add up numbers of a list\ttotal = sum(numbers)\\nprint(total)\t0\n"
    (tmp_path / "git-codenn/data/stackoverflow/python/valid.txt").write_text(row)
    intents = tmp_path / "git-multilingual-conala/dataset/train"
    intents.mkdir(parents=True)
    row = {"intent": "How to reverse a list?", "rewritten_intent": "reverse list `x`", "snippet": "x[::-1]"}
    (intents / "train.json").write_text(json.dumps([row]))
    (tmp_path / "git-odex/data").mkdir(parents=True)
    (tmp_path / "git-odex/data/en_test.jsonl").write_text("")
    stage = Stage(tmp_path, 0, lambda text: "judged" in text)
    pair_asked.tables(stage)
    pair_asked.intents(stage)
    found = [(stage.made.texts[a].decode(), kind) for (a, _), kind in stage.made.pairs.items()]
    assert ("how to add up numbers of a list", "asked-code") in [(text.lower(), kind) for text, kind in found]
    assert len([1 for text, _ in found if "reverse" in text.lower()]) == 2
    assert len(stage.origins) == len(stage.made.texts)


def test_functions_of_a_pack_are_asked_about_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "training"))
    import pair_asked
    from pair_stage import Stage

    code = 'def unique(rows):\n    """Remove all duplicate rows from a list."""\n    return sorted(set(rows))'
    older = P.Collection()
    older.pair(older.add("python remove all duplicate rows", "query"), older.add(code, "code"), "query-code")
    older.pack(tmp_path / "older")
    stage = Stage(tmp_path, 0, lambda text: False)
    pair_asked.docstrings(stage, P.read_pairs(tmp_path / "older"))
    ((query, found),) = stage.made.pairs
    assert stage.made.texts[found].decode() == code
    assert stage.made.texts[query] != b"python remove all duplicate rows"
    assert sys.modules["pair_asked"].STAGES
