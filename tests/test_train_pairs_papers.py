"""train/papers.py: what the extractors of scientific prose find in small files made here."""

import gzip
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import FormatError
from thesphere.train import papers


def test_anthology_takes_papers_with_an_abstract():
    text = """<?xml version='1.0' encoding='UTF-8'?><collection id="x"><volume>
    <paper id="1"><title>On <fixed-case>T</fixed-case>rees</title><abstract>Abstract: Trees
    are <b>tall</b>.</abstract></paper><paper id="2"><title>No abstract</title></paper></volume></collection>"""
    assert list(papers.anthology(text)) == [("On Trees", "Trees are tall.")]


def test_journal_article_has_its_abstract_and_its_sections():
    long = "This paragraph is long enough to be kept as it stands"
    text = f"""<!DOCTYPE article PUBLIC "x" "y.dtd"><article><front><article-title>Fins</article-title><abstract>
    <title>Abstract</title><p>Fins bend.</p><p>They heal.</p></abstract></front><body><sec><title>Methods</title>
    <p>{long} <xref>[1]</xref>.</p><sec><title>Fish</title><p>{long}!</p></sec></sec></body></article>"""
    paper, body = papers.journal_article(text)
    assert paper == ("Fins", "Fins bend. They heal.")
    assert body == [("Methods", [f"{long} ."]), ("Fish", [f"{long}!"])]


def test_module_leaves_out_formulas_and_gives_its_glossary():
    text = """<document xmlns="http://cnx.rice.edu/cnxml" xmlns:m="http://www.w3.org/1998/Math/MathML"><title>Drag</title>
    <content><para>A body in a <term>fluid</term> feels a force <m:math><m:mi>F</m:mi></m:math> against it.</para>
    <section><title>Lift</title><para>Short.</para></section></content><glossary><definition><term>lift</term>
    <meaning>force across the flow</meaning></definition></glossary></document>"""
    assert list(papers.module(text)) == [
        ("Drag", ["A body in a fluid feels a force against it."]),
        ("lift", ["force across the flow"]),
    ]


def test_questions_with_paragraphs_of_the_answer():
    text = """<Document><QAPairs><QAPair><Question>What is (are) Gout ?</Question><Answer>Gout is a kind of
    arthritis that hurts a great deal.\n\n   It comes from crystals of uric acid in a joint.</Answer></QAPair>
    <QAPair><Question>Empty ?</Question><Answer/></QAPair></QAPairs></Document>"""
    (found,) = papers.questions(text)
    assert found[0] == "What is Gout?"
    assert found[1] == [
        "Gout is a kind of arthritis that hurts a great deal.",
        "It comes from crystals of uric acid in a joint.",
    ]


@pytest.mark.parametrize("extract", [papers.anthology, papers.module, papers.questions])
def test_what_is_not_xml_is_refused(extract):
    with pytest.raises(FormatError, match="XML was expected"):
        list(extract("<open>"))


@pytest.mark.parametrize(
    "text",
    [
        '[{"title": "A\\n b", "abstract": "c  d"}]',
        '{"count": 1, "papers": [{"title": "A b", "summary": "Abstract: c d", "authors": ["x"]}]}',
        '{"9": {"QUESTION": "A b", "CONTEXTS": ["c", "d"]}}',
        '{"title": "A b", "abstract": "c d"}\n\n{"title": "none"}\n',
    ],
)
def test_records_wherever_they_are(text):
    assert list(papers.records(text)) == [("A b", "c d")]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.text("abc", min_size=1), st.text("def", min_size=1)), max_size=5))
def test_records_keep_their_order_in_both_forms(rows):
    objects = [{"title": title, "abstract": abstract} for title, abstract in rows]
    assert list(papers.records(json.dumps({"papers": objects}))) == rows
    assert list(papers.records("\n".join(map(json.dumps, objects)) or "[]")) == rows


def test_records_of_what_is_not_json():
    with pytest.raises(FormatError, match="JSON"):
        list(papers.records("no json\nat all"))


def test_table_finds_its_columns():
    text = 'id,Primary_Title,ABSTRACT\n1,"One, two","Aim: a; b.; c"\n2,Empty,\n3\n'
    assert list(papers.table(text)) == [("One, two", "a; b. c")]
    assert list(papers.table("a,b\n1,2\n")) == [] == list(papers.table(""))


def test_marked_pairs_titles_and_abstracts_by_number():
    text = "7|t|Title one.\n7|a|Abstract one.\n7\t0\t5\tTitle\tDisease\n\n8|a|Without a title.\n"
    assert list(papers.marked(text)) == [("Title one.", "Abstract one.")]


def test_tagged_documents_and_joined_tokens():
    text = (
        "-DOCSTART- (1)\n\nNF-kB NN O\n( NN O\n5 CD O\n% NN O\n) NN O\n. NN O\n\nIt NN\n-DOCSTART-\n\nB x\n"
    )
    assert list(papers.tagged(text)) == [["NF-kB (5%).", "It"], ["B"]]
    assert list(papers.tagged("UI\tLS\n\na\tx\nb\ty\n", column=1, start="UI")) == [["x y"]]
    assert papers.joined("We , too , saw it 's [ 1 ] .".split()) == "We, too, saw it's [1]."


@pytest.mark.parametrize(
    ("text", "paper"),
    [
        ("A title\n\tthat goes on\nThe text\n\tgoes on.", ("A title that goes on", "The text goes on.")),
        ("One line alone.", ("", "One line alone.")),
        ("x" * 400 + "\nrest", ("", "x" * 400 + " rest")),
    ],
)
def test_headed_paper(text, paper):
    assert papers.headed_paper(text) == paper


def _strings(column):
    cells = b"".join(
        b"\x00\x04\x00\x09" + struct.pack(">i", len(cell.encode())) + cell.encode()
        if cell is not None
        else b"\x00\x00\x00\x09" + struct.pack(">i", -1)
        for cell in column
    )
    return b"\x00\x00\x00\x10" + struct.pack(">i", len(column)) + cells


def test_columns_of_a_saved_data_frame():
    columns = [["one", "two", "drei ü"], ["a", None, "b" * 300]]
    body = b"RDX3\nX\n" + bytes(20) + _strings(columns[0]) + b"\x00\x00\x03\x0d" + _strings(columns[1])
    assert list(papers.columns(gzip.compress(body))) == [["one", "two", "drei ü"], ["a", "", "b" * 300]]
    assert list(papers.columns(body[:-10])) == [["one", "two", "drei ü"], ["a", "", "b" * 290]]


@pytest.mark.parametrize("bad", [b"", b"\x1f\x8bnothing", b"RDA2", b"BZh9"])
def test_columns_of_what_is_not_one(bad):
    with pytest.raises(FormatError, match=r"\.rda"):
        list(papers.columns(bad))
