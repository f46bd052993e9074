"""Patches and hashed rows of nn/grams.py against what they promise, with rows recomputed in plain Python."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.nn.grams import MOST_CHARACTERS, Rows, patches

ROWS = Rows(5000, 7000, 100)
_LIMIT = (1 << 64) - 1


def read(*texts: bytes):
    begins = np.cumsum([0, *map(len, texts)])
    return patches(np.frombuffer(b"".join(texts), np.uint8), begins, ROWS)


def cut(text: str) -> list[str]:
    data = text.encode()
    found = read(data)
    ends = [*found.at[1:].tolist(), len(data)]
    return [data[a:b].decode() for a, b in zip(found.at, ends, strict=True)] if len(found.at) else []


def mixed(h: int) -> int:
    return (h ^ h >> 32) * 0xD6E8FEB86659FD93 & _LIMIT


def row(h: int, rows: int) -> int:
    h = mixed(h)
    h ^= h >> 32
    return (h & 0xFFFFFFFF) * rows >> 32


def hashed(codes: list[int]) -> int:
    h = 0
    for code in codes:
        h = (h ^ code) * 0x9E3779B97F4A7C15 & _LIMIT
        h ^= h >> 32
    return h


def expected_word(word: str) -> tuple[tuple[int, int], Counter]:
    """Rows of one plain word of at most 16 ASCII letters and digits."""
    codes = [ord(c) for c in word.lower()]
    h, marked = hashed(codes), [1, *codes, 2]
    grams = Counter(
        ROWS.words + row(hashed(marked[at : at + n]), ROWS.grams)
        for n in (3, 4, 5)
        for at in range(len(marked) - n + 1)
    )
    return (row(h, ROWS.words), row(h ^ 0xD6E8FEB86659FD93, ROWS.words)), grams


def grams_of(found, patch: int) -> Counter:
    return Counter(found.gram[found.gram_begins[patch] : found.gram_begins[patch + 1]].tolist())


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (" \n\t ", []),
        ("  Hello, World! ", ["  Hello, ", "World! "]),
        ("camelCaseHTTPServer", ["camel", "Case", "HTTP", "Server"]),
        ("snake_case", ["snake_", "case"]),
        ("DNAs p53", ["DNAs ", "p53"]),
        ("f(x)->y", ["f(", "x)->", "y"]),
        ("-> => ::", ["-> => ::"]),
        ("日本語 is", ["日", "本", "語 ", "is"]),
        ("Donaudampfschifffahrt", ["Donaudampfschiff", "fahrt"]),
        ("ไทยภาษาไทย", ["ไทยภา", "ษาไทย"]),
        ("электростанция", ["электростанция"]),
        ("soft\u00adhyphen", ["soft\u00adhyphen"]),
    ],
)
def test_texts_are_cut_into_words_with_what_follows(text, pieces):
    assert cut(text) == pieces


@given(st.from_regex(r"[A-Za-z0-9]{1,16}", fullmatch=True).filter(lambda w: w.islower() or w.isdigit()))
@settings(max_examples=60, deadline=None)
def test_rows_of_a_word_are_those_of_the_definition(word):
    found = read(word.encode())
    own, grams = expected_word(word)
    assert tuple(found.word[0]) == own
    assert grams_of(found, 0) == grams
    assert found.size[0] == len(word)
    assert found.symbol[0] == ROWS.words + ROWS.grams


@given(st.lists(st.binary(max_size=60) | st.text(max_size=30).map(str.encode), max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_tiled_and_texts_do_not_see_each_other(texts):
    found, at = read(*texts), 0
    begins = np.cumsum([0, *map(len, texts)])
    for i, text in enumerate(texts):
        alone, here = read(text), slice(found.begins[i], found.begins[i + 1])
        count = here.stop - here.start
        assert count == len(alone.at) <= len(text)
        assert np.array_equal(found.at[here] - begins[i], alone.at)
        assert np.array_equal(found.word[here], alone.word)
        assert np.array_equal(found.symbol[here], alone.symbol)
        grams = found.gram[found.gram_begins[here.start] : found.gram_begins[here.stop]]
        assert np.array_equal(grams, alone.gram)
        if count:
            assert alone.at[0] == 0
            assert (np.diff(alone.at) > 0).all()
        at += count
    assert ((found.word >= 0) & (found.word < ROWS.words)).all()
    assert ((found.gram >= ROWS.words) & (found.gram < ROWS.words + ROWS.grams)).all()
    assert ((found.symbol >= ROWS.words + ROWS.grams) & (found.symbol < ROWS.total)).all()
    assert (found.size <= MOST_CHARACTERS).all()


def test_case_and_width_do_not_matter_and_accents_only_for_the_whole_word():
    plain, other, wide, accented = (read(t.encode()) for t in ("resume", "RESUME", "ｒｅｓｕｍｅ", "résumé"))
    for same in (other, wide):
        assert np.array_equal(plain.word, same.word)
    assert np.array_equal(plain.gram, other.gram)
    assert np.array_equal(plain.gram, accented.gram)
    assert not np.array_equal(plain.word, accented.word)
    composed, apart = read("é".encode()), read("e\u0301".encode())
    assert np.array_equal(composed.gram, apart.gram)


def test_the_pieces_of_a_long_word_share_out_its_grams():
    word = "pneumonoultramicroscopicsilicovolcanoconiosis"
    found = read(word.encode())
    marked = [1, *map(ord, word), 2]
    expected = Counter(
        ROWS.words + row(hashed(marked[at : at + n]), ROWS.grams)
        for n in (3, 4, 5)
        for at in range(len(marked) - n + 1)
    )
    assert Counter(found.gram.tolist()) == expected
    assert found.size.tolist() == [16, 16, 13]


def test_symbols_belong_to_the_word_before_and_repetitions_count_once():
    plain, dotted, dots, called = (read(t) for t in (b"end", b"end.", b"end....", b"end()"))
    assert plain.symbol[0] != dotted.symbol[0] == dots.symbol[0] != called.symbol[0]
    assert np.array_equal(plain.word, called.word)
    assert read(b"... end").size.tolist() == [0, 3]
    assert read(b"... end").word[0].tolist() == [0, 0]


def test_chinese_has_pairs_and_triples_from_each_character():
    found = read("東京都".encode())
    codes = [ord(c) for c in "東京都"]
    assert [len(grams_of(found, p)) for p in range(3)] == [2, 1, 0]
    assert grams_of(found, 0) == Counter(ROWS.words + row(hashed(codes[:n]), ROWS.grams) for n in (2, 3))


def test_words_spread_over_the_rows():
    words = sorted(
        set(
            re.findall(r"[a-z]+", " ".join(f"{a}{b}" for a in "abcdefghijklmnopqrstuvwxyz" for b in range(9)))
        )
    )
    many = [f"{a}{b}{c}" for a in words for b in words for c in "xyz"][:2000]
    found = read(" ".join(many).encode())
    share = len(set(found.word[:, 0].tolist())) / len(set(many))
    assert share > 0.75  # 2,000 of 5,000 rows at random: 1 - e^-.4 of the rows, .82 of the words
