"""What the extractors find in small files made here, and that a packed collection comes back."""

import base64
import gzip
import json
import lzma
from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import FormatError
from thesphere.train import extractors, functions, pairs

SOURCE = '''
class Box:
    def size(self, unit):
        """Returns the size of the box.

        More.
        """
        return self.width * unit

# opens the file
# and reads it
@cached
def read(path):
    with open(path) as file:
        return file.read()

def one(): """Docstring alone."""
'''


def test_functions_with_docstring_and_comment():
    size, read, one = sorted(functions.functions(SOURCE), key=lambda f: ["size", "read", "one"].index(f.name))
    assert size.summary == "Returns the size of the box."
    assert size.bare == "def size(self, unit):\n    return self.width * unit"
    assert "More." in size.code
    assert read.summary == "opens the file and reads it"
    assert read.code == read.bare and read.code.startswith("def read(path):")
    assert one.summary == "Docstring alone."
    compile(size.bare, "", "exec")


@pytest.mark.parametrize("bad", ["def broken(:", "\x00", "def f():\n  x\n y"])
def test_functions_of_what_does_not_parse(bad):
    assert list(functions.functions(bad)) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("getFile_name2", "get file name 2"),
        ("HTTPServer", "http server"),
        ("_private", "private"),
        ("größeDer", "größe der"),
    ],
)
def test_spoken(name, words):
    assert functions.spoken(name) == words


def test_asked_has_the_content_words_in_all_forms():
    forms = {functions.asked("Returns the size of a file. And more.", turn) for turn in range(6)}
    assert len(forms) == 6
    assert all("get" in form and "size" in form and "file" in form and "more" not in form for form in forms)
    assert functions.asked("", 0) == ""
    assert functions.asked("Processes and classes", 4) == "process and classes"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.integers(4, 60))
def test_cut_is_valid_and_short(text, most):
    data = pairs.cut(text, most)
    assert len(data) <= most
    whole = text.encode("utf-8", "ignore").decode()
    assert whole.startswith(data.decode())


def test_sentences_of_several_scripts():
    assert extractors.sentences("One is e.g. this. Two! 3 is?  Four") == [
        "One is e.g. this.",
        "Two!",
        "3 is?",
        "Four",
    ]
    assert extractors.sentences("你好。再见！") == ["你好。", "再见！"]


ENGLISH = "<h1>Files</h1><p>Open a file.</p><pre>ls</pre><p>Close <b>the</b> file.</p>"
GERMAN = "<h1>Dateien</h1><p>Eine Datei öffnen.</p><pre>ls</pre><p>Die Datei schließen.</p>"


def test_aligned_by_place():
    found = extractors.aligned(extractors.blocks(ENGLISH), extractors.blocks(GERMAN))
    assert found == [
        ("Dateien", "Files"),
        ("Eine Datei öffnen.", "Open a file."),
        ("Die Datei schließen.", "Close the file."),
    ]


def test_aligned_refuses_other_structure_and_uses_ids():
    assert extractors.aligned(extractors.blocks(ENGLISH), extractors.blocks(GERMAN + "<p>mehr</p>")) == []
    one = extractors.blocks('<p id="a">first</p><p id="b">second</p>')
    two = extractors.blocks('<p id="b">zweitens</p><p id="x">neu</p><p id="a">erstens</p>')
    assert extractors.aligned(one, two) == [("zweitens", "second"), ("erstens", "first")]


def test_headed_and_sections():
    assert list(extractors.headed("<h2>A</h2><p>x</p><p>y</p><h2>B</h2><p>z</p>")) == [
        ("A", ["x", "y"]),
        ("B", ["z"]),
    ]
    body = "This paragraph is long enough to be kept here."
    text = f"Title\n=====\n\n{body}\n\n2.1  Numbered part\n\n{body}\n{body}\n\n+---+---+--12-34-56-78-90-12-34+\n"
    assert list(extractors.sections(text)) == [("Title", [body]), ("Numbered part", [f"{body} {body}"])]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet="ab ", min_size=1, max_size=30), max_size=12), st.integers(1, 80))
def test_passages_keep_every_paragraph_in_order(paragraphs, most):
    made = list(extractors.passages(paragraphs, most))
    assert "\n".join(made) == "\n".join(paragraphs)
    assert all(len(one) <= most + one.count("\n") or "\n" not in one for one in made)


def test_catalogue_reads_what_msgfmt_writes():
    strings = {
        "": "Content-Type: text/plain; charset=UTF-8\n",
        "_Open": "Ö_ffnen",
        "menu\x04Close": "Schließen",
        "same": "same",
    }
    keys = sorted(strings, key=str.encode)
    ids = b"".join(key.encode() + b"\0" for key in keys)
    values = b"".join(strings[key].encode() + b"\0" for key in keys)
    start, at, to = 28 + 16 * len(keys), 0, 0
    first, second = [], []
    for key in keys:
        size, length = len(key.encode()), len(strings[key].encode())
        first += [size, start + at]
        second += [length, start + len(ids) + to]
        at, to = at + size + 1, to + length + 1
    head = [0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, 0]
    data = array("I", head + first + second).tobytes() + ids + values
    assert sorted(extractors.catalogue(data)) == [("Close", "Schließen"), ("Open", "Öffnen")]
    with pytest.raises(FormatError):
        list(extractors.catalogue(b"no catalogue"))
    with pytest.raises(FormatError):
        list(extractors.catalogue(data[:60]))


def test_descriptions():
    body = " Erste Zeile\n weiter.\n .\n Zweiter Absatz.\n\nPackage: y\n"
    text = f"Package: x\nDescription-md5: abc\nDescription-de: Ein Spiel\n{body}"
    assert list(extractors.descriptions(text)) == [
        ("abc", "Ein Spiel", "Erste Zeile weiter.\nZweiter Absatz.")
    ]


def test_dictionary():
    articles = {"cat": "cat\n  an animal\n", "dog": "dog\n  it barks\n"}
    text, index, at = "", "00-database-x\tA\tA\n", 0
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    def number(n):
        return (number(n // 64) if n > 63 else "") + digits[n % 64]

    for word, article in articles.items():
        index += f"{word}\t{number(at)}\t{number(len(article))}\n"
        text, at = text + article, at + len(article)
    assert dict(extractors.dictionary(index.encode(), gzip.compress(text.encode()))) == articles
    with pytest.raises(FormatError):
        list(extractors.dictionary(index.encode(), b"plain"))
    assert extractors._digits64("BA") == 64 and base64.b64decode("AABA")[1:] == b"\x00\x40"


def test_terms():
    obo = (
        'format-version: 1.2\n\n[Term]\nid: X:1\nname: fever\ndef: "High \\"heat\\"." [a:b]\n'
        'synonym: "pyrexia" EXACT []\n\n[Term]\nid: X:2\nname: old\nis_obsolete: true\n\n'
        "[Typedef]\nid: p\nname: part\n"
    )
    assert list(extractors.terms(obo)) == [("fever", 'High "heat".', ["pyrexia"])]


def test_a_packed_collection_comes_back(tmp_path):
    made = pairs.Collection(refused=lambda text: "secret" in text)
    made.translation("Hallo Welt", "hello world", "de", "interface", "interface")
    query, passage = made.add("greet", "query"), made.add("hello world", "passage")
    assert made.pair(query, passage, "title-passage") and not made.pair(query, query, "x")
    assert made.add("a secret", "passage") is None and made.add("  ", "passage") is None
    assert made.add("hello world", "passage", "de") is None  # known as English
    assert not made.pair(None, passage, "title-passage")
    facts = made.pack(tmp_path)
    assert (facts["texts"], facts["english"], facts["pairs"], facts["parallel"]) == (3, 2, 1, 1)
    back = pairs.read_pairs(tmp_path)
    assert [back.text(i) for i in range(3)] == [b"hello world", b"greet", b"Hallo Welt"]
    assert back.arrays["pair"].tolist() == [[1, 0]] and back.arrays["parallel"].tolist() == [[2, 0]]
    assert [facts["langs"][k] for k in back.arrays["lang"]] == ["en", "en", "de"]
    assert [pairs.KINDS[k] for k in back.arrays["kind"]] == ["interface", "query", "interface"]
    (tmp_path / "texts.bin.xz").write_bytes(lzma.compress(b"other"))
    with pytest.raises(FormatError):
        pairs.read_pairs(tmp_path)
    assert json.loads((tmp_path / "pairs.json").read_text())["texts"] == 3
    assert np.load(tmp_path / "pairs.npz")["length"].dtype == np.uint16
