"""Words and n-grams against plain-Python references: equal tokens have equal terms, different ones different."""

import re
import threading
import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
import Stemmer
from hypothesis import example, given, settings
from hypothesis import strategies as st

import thesphere.text as text_module
from thesphere.text import grams, words

many = settings(max_examples=200, deadline=None)
PORTER = Stemmer.Stemmer("porter", 0)

UNSPACED = "漢字日本語かなカナ한국어ไทยកខ\U00020000"
MIXED = "abXYzß09_ éÑςΣжШعב٣\u0301\u0308-.\n\t漢字かไ한ﬁＡſK²"


def tokens(text: str) -> list[str]:
    """The tokens that the module's docstring promises, as text: parts before wholes, in order."""
    out: list[str] = []
    kinds = "".join(map(kind, unicodedata.normalize("NFKC", text)))
    text = unicodedata.normalize("NFKC", text)
    for run in re.finditer(r"[ULDM_]+|W+", kinds):
        if run.group()[0] == "W":
            word = run.group()
            spans = [(i, i + 2) for i in range(len(word) - 1)] or [(0, 1)]
            out += [folded(text[run.start() + a : run.start() + b]) for a, b in spans]
            continue
        spans = [match.span() for match in re.finditer(PART, run.group())]
        if len(spans) > 1:
            spans.append((0, len(run.group())))
        out += [folded(text[run.start() + a : run.start() + b]) for a, b in spans]
    return out


# Letters or digits with the marks that follow them. A mark that opens a part stands for a small letter.
PART = r"""(?x)
    D M* (?: D M* )*
  | U M* (?: U M* (?! L ) )+ (?= U | D | _ | $ )   # HTTP, and the HTTP of HTTPResponse
  | U M* (?: L M* )*                               # Response
  | [LM] M* (?: L M* )*
"""


def kind(char: str) -> str:
    if char in UNSPACED:
        return "W"
    category = unicodedata.category(char)
    if category in ("Lu", "Lt"):
        return "U"
    return {"L": "L", "N": "D", "M": "M"}.get(category[0], "_" if char == "_" else " ")


def folded(token: str) -> str:
    token = "".join(c.casefold() if len(c.casefold()) == 1 or c in "ßẞ" else c.lower()[0] for c in token)
    return PORTER.stemWord(token) if len(token) > 2 and re.fullmatch("[a-z]+", token) else token


def one_to_one(terms: Sequence[int], names: Sequence[str]) -> bool:
    pairs = set(zip(terms, names, strict=True))
    return len(pairs) == len(set(terms)) == len(set(names))


@given(st.text(MIXED, max_size=60))
@example("HTTPResponse parseXMLFile XMLHttp2Request aB A1b2C3 ALLCAPS X")
@example("__init__ _private snake_case_name CONST_NAME a__b 3d_x9 ___")
@example("X\u0301Y\u0308z aX\u0301b \u0301abc 1\u03012 _\u0301a")
@many
def test_words_are_the_promised_tokens(text: str) -> None:
    terms, starts, ends = words(text)
    expected = tokens(text)
    assert len(terms) == len(expected)
    assert one_to_one(terms.tolist(), expected)
    normal = unicodedata.normalize("NFKC", text)
    assert [folded(normal[a:b]) for a, b in zip(starts, ends, strict=True)] == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("connection", "connected"), ("RUNNING", "runs"), ("straße", "STRASSE"), ("Maß", "MASS"),
        ("ﬁle", "file"), ("Ａｐｐｌｅ", "apple"), ("cafe\u0301", "CAFÉ"), ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ШКОЛА", "школа"), ("²", "2"),
    ],
)  # fmt: skip
def test_equal_words(one: str, other: str) -> None:
    assert words(one)[0].tolist() == words(other)[0].tolist()


def test_sharp_s_is_two_letters() -> None:
    assert words("größte")[0].tolist() == words("GRÖSSTE")[0].tolist()
    assert words("ẞa")[0].tolist() == words("ßa")[0].tolist()


def test_identifiers_are_found_by_their_parts_and_as_a_whole() -> None:
    whole = words("parseHTTPResponse2")[0].tolist()
    for part in ("parse", "http", "response", "2"):
        assert words(part)[0].tolist()[0] in whole[:-1]
    assert whole[-1] == words("PARSEHTTPRESPONSE2")[0][-1] == words("parsehttpresponse2")[0][-1]
    assert words("snake_case")[0].tolist() == words("snake case")[0].tolist() + [words("snake_case")[0][-1]]
    assert len(words("_")[0]) == len(words("")[0]) == len(words(" .,;\n")[0]) == 0


@pytest.mark.parametrize(
    "text", ["漢字仮名", "ひらがな", "한국어다", "ภาษาไทย", "ភាសា", "\U00020000\U00020001字"]
)
def test_unspaced_scripts_give_overlapping_pairs(text: str) -> None:
    text = unicodedata.normalize("NFKC", text)
    terms = words(text)[0].tolist()
    assert terms == [words(text[i : i + 2])[0][0] for i in range(len(text) - 1)]
    assert words(text[0])[0].tolist() != terms[:1]
    assert words(f"x{text}y")[0].tolist() == [words("x")[0][0], *terms, words("y")[0][0]]


@given(st.lists(st.text(st.characters(codec="ascii", categories=("Ll", "Lu")), min_size=1, max_size=12)))
@many
def test_stems(found: list[str]) -> None:
    found = [word.lower() for word in found]
    terms = [int(words(word)[0][0]) for word in found]
    assert one_to_one(terms, [PORTER.stemWord(word) if len(word) > 2 else word for word in found])


# -- n-grams --------------------


def reference_grams(text: str) -> list[str]:
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"\s+", " ", f" {text} ")
    if text == " ":
        return []
    found = []
    for i in range(len(text) - 1):
        found.append(text[i : i + 2])
        if i + 4 <= len(text):
            found.append(text[i : i + 4])
    return found


@given(
    st.one_of(st.text(max_size=40), st.text(MIXED, max_size=60), st.text("ab \t\u3000\u2028", max_size=12))
)
@many
def test_grams_are_those_of_the_folded_text(text: str) -> None:
    terms, expected = grams(text).tolist(), reference_grams(text)
    assert len(terms) == len(expected)
    assert one_to_one(terms, expected)


# -- any text at all --------------------


@given(st.text(st.characters(), max_size=80))
@example("\ud800\udfff\udc80")
@example("\U0010ffff" * 3)
@example("\0" * 5)
@many
def test_any_text(text: str) -> None:
    terms, starts, ends = words(text)
    assert terms.dtype == np.uint32 and len(terms) == len(starts) == len(ends)
    normal = unicodedata.normalize("NFKC", text)
    assert all(0 <= a < b <= len(normal) for a, b in zip(starts, ends, strict=True))
    assert grams(text).dtype == np.uint32
    assert words(text)[0].tolist() == terms.tolist()


def test_threads_share_the_stems(monkeypatch: pytest.MonkeyPatch) -> None:
    """More different words than the table has room for at first, learnt by four threads at once."""
    rng = np.random.default_rng(5)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = ["".join(row) for row in letters[rng.integers(0, 26, (9000, 7))]]
    texts = [" ".join(rng.permutation(vocabulary)[:6000]) for _ in range(8)]

    def fresh() -> text_module._Stems:
        stems = text_module._Stems()
        stems.table = (np.zeros(1 << 8, np.uint64), np.zeros(1 << 8, np.uint64))
        return stems

    alone = fresh()
    monkeypatch.setattr(text_module, "_stems", lambda: alone)
    expected = [words(text)[0] for text in texts]
    shared = fresh()
    monkeypatch.setattr(text_module, "_stems", lambda: shared)
    failures: list[int] = []

    def work(first: int) -> None:
        for number in range(first, first + 8):
            if not np.array_equal(words(texts[number % 8])[0], expected[number % 8]):
                failures.append(number)

    threads = [threading.Thread(target=work, args=(2 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(shared.table[0]) >= 2 * len(set(vocabulary))
