"""train/questions.py: questions made of docstrings and names; training/pair_code.py on a small wheel."""

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.train import functions, held_out, pairs
from thesphere.train import questions as asked

SUMMARY = "Returns the size of a file in bytes, using :func:`os.stat`."


@pytest.mark.parametrize(
    ("summary", "verb", "words"),
    [
        ("Returns the size.", "get", "the size"),
        ("Matches ``one`` of *them*.", "match", "one of them"),
        ("Return whether the file exists.", "check", "if the file exists"),
        ("Returns True if the file exists, False otherwise.", "check", "if the file exists"),
        ("This function parses a date.", "parse", "a date"),
        ("Helper function to quickly parse a date.", "parse", "a date"),
        ("Conditionally quote a name.", "quote", "a name"),
        ("Attempts to open the port.", "open", "the port"),
        ("The number of rows.", "", "the number of rows"),
        ("Parse a :class:`~some.where.Date`.", "parse", "a date"),
        ("", "", ""),
    ],
)
def test_parted(summary, verb, words):
    assert asked.parted(summary) == (verb, words.split())


@pytest.mark.parametrize(
    ("verb", "doing"), [("write", "writing"), ("get", "getting"), ("see", "seeing"), ("parse", "parsing")]
)
def test_gerund(verb, doing):
    assert asked.gerund(verb) == doing


def test_forms_vary_and_have_the_words():
    made = asked.forms(SUMMARY, "_file_sizeInBytes")
    texts = [text for _, text in made]
    assert len(texts) == len(set(texts)) > 15
    assert {
        "python get size of file in bytes using stat",
        "get size of file in bytes",
        "size file bytes stat",
    } <= {*texts}
    assert {"how to get the size of a file in bytes using stat in python", "file size in bytes python"} <= {
        *texts
    }
    assert "getting size of file in bytes in python" in texts
    assert all("size" in text and text == text.lower() for text in texts)
    assert {kind for kind, _ in made} == {"query-code", "name-code"}
    assert dict(made)["name-code"].count("file") == 1


def test_a_thing_is_asked_for_and_what_is_neither_thing_nor_verb_is_left_as_it_is():
    assert ("query-code", "how to get number of rows in python") in asked.forms("The number of rows.", "rows")
    assert not any("get" in text for _, text in asked.forms("Twisted reactor of this loop.", "x"))


def test_questions_are_one_or_two_and_the_same_every_time():
    found = [asked.questions(SUMMARY, "file_size", f"code {number}") for number in range(400)]
    assert found == [asked.questions(SUMMARY, "file_size", f"code {number}") for number in range(400)]
    counts = Counter(map(len, found))
    assert set(counts) == {1, 2} and 150 < counts[2] < 300
    kinds = Counter(kind for each in found for kind, _ in each)
    assert kinds["query-code"] >= 400 and kinds["name-code"] > 40 and kinds["docstring-code"] > 25
    assert len({text for each in found for _, text in each}) > 20


def test_questions_without_docstring_or_name():
    assert asked.questions("", "parse_http_date", "x")[0][0] == "name-code"
    assert asked.questions("", "run", "x") == []


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=120), st.text(max_size=30))
def test_questions_of_anything(summary, name):
    for _, text in asked.questions(summary, name, summary):
        assert text.strip() == text != ""


MODULE = '''
def file_size(path):
    """Returns the size of a file in bytes."""
    with open(path, "rb") as file:
        return len(file.read()) + {number}

def known_one(path):
    """Reads all lines of a file and strips them."""
    return [line.strip() for line in open(path)] + list("{number}")

def x(): return 1
'''


def wheel(folder: Path, name: str, licence: str, module: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}/code.py", module)
        file.writestr(f"{name}/tests/test_code.py", module)
        file.writestr(f"{name}-1.0.dist-info/METADATA", f"Name: {name}\n{licence}\n\nGPL is not said here")


def test_functions_of_wheels(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "training"))
    import pair_code
    from pair_stage import Stage

    wheel(tmp_path / "wheels", "one", "License: MIT", MODULE.replace("{number}", "1"))
    wheel(tmp_path / "wheels", "same", "License-Expression: BSD-3-Clause", MODULE.replace("{number}", "1"))
    wheel(tmp_path / "more_wheels", "two", "Classifier: License :: OSI Approved :: Apache Software License",
          MODULE.replace("{number}", "2"))  # fmt: skip
    wheel(tmp_path / "more_wheels", "networkx", "License: BSD", MODULE.replace("{number}", "3"))
    older = pairs.Collection()
    older.add(next(functions.functions(MODULE.replace("{number}", "2"))).bare, "code")
    older.pack(tmp_path / "older")
    stage = Stage(tmp_path, 0, lambda text: 'list("2")' in text)
    facts = pair_code.code(stage, pair_code.known_bodies(pairs.read_pairs(tmp_path / "older")))
    assert {name: (said["family"], said["functions"]) for name, said in facts.items()} == {
        "one-1.0": ("MIT", 2), "same-1.0": ("BSD", 0), "two-1.0": ("Apache-2.0", 0),
    }  # fmt: skip
    texts = [text.decode() for text in stage.made.texts]
    codes = [text for text in texts if text.startswith("def ")]
    assert sorted(text.split("(")[0] for text in codes) == ["def file_size", "def known_one"]
    assert len(texts) == len(stage.origins) and 2 <= len(stage.made.pairs) <= 4
    assert json.dumps(facts)


GRAPHS = '''
import networkx
import networkx as graphs
from trimesh.base import Trimesh as Mesh

def largest_part(graph):
    """Returns the largest connected part of a graph."""
    parts = graphs.connected_components(graph)
    return max(parts, key=len)

def mesh_of_file(path):
    """Reads a mesh out of a file of triangles."""
    with open(path) as file:
        return Mesh(file)

def count_of_edges(graph):
    """Counts the edges of a graph by going through it."""
    total = sum(len(each) for each in graph)
    return total // 2
'''


def test_functions_that_use_what_is_held_out_are_left_out(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "training"))
    import pair_code
    from pair_stage import Stage

    wheel(tmp_path / "wheels", "one", "License: MIT", GRAPHS)
    (tmp_path / "more_wheels").mkdir()
    stage = Stage(tmp_path, 0, lambda text: False)
    pair_code.code(stage, (set(), set()))
    codes = [text.decode() for text in stage.made.texts if text.startswith(b"def ")]
    assert [text.split("(")[0] for text in codes] == ["def count_of_edges"]


@pytest.mark.parametrize(
    "code",
    [
        "import networkx",
        "    from networkx.algorithms import flow",
        "import os, pint",
        "    >>> import streamlit as st",
        "x = pint.Quantity(3)",
        "def f(graph: nx.Graph): ...",
        "import numpy as np, rdflib",
    ],
)
def test_code_that_uses_what_is_held_out(code):
    assert held_out.uses(f"import re\n{code}\n")


@pytest.mark.parametrize(
    "code",
    [
        "points = 3",
        "from . import views",
        "self.pint.pour()",
        "a hint of pint. The",
        "import printing",
        "onx.run()",
    ],
)
def test_code_that_does_not(code):
    assert not held_out.uses(f"import re\n{code}\n")


def test_names_of_what_a_file_imports():
    assert held_out.imported(GRAPHS) == {"networkx", "graphs", "Mesh"}
    assert held_out.imported("from .networkx import Graph") == frozenset()
    assert held_out.imported("import networkx\ndef broken(:") == frozenset()
    assert held_out.uses("return Mesh(file)", frozenset({"Mesh"}))
    assert not held_out.uses("return Meshes(file)", frozenset({"Mesh"}))
