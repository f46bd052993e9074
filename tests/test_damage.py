"""train/damage.py: rates as promised, the same for one seed, nothing touched that should not be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.train.damage import (
    CAMERA,
    SCANNER,
    Misreading,
    Typing,
    confusions,
    damaged,
    identified,
    mixed,
)

TEXT = "the quick brown fox jumps over the lazy dog and finds nothing to eat near the river " * 40


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=80), st.integers(0, 1 << 40))
def test_rate_zero_changes_nothing_and_a_seed_repeats(text, seed):
    assert Typing(0.0)(text, seed) == text
    assert Misreading(0.0, blanks=0.0)(text, seed) == text
    assert Typing(0.5)(text, seed) == Typing(0.5)(text, seed)
    assert Misreading(0.5)(text, seed) == Misreading(0.5)(text, seed)
    assert damaged([text], seed) == damaged([text], seed)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab 12.,-\n", max_size=60), st.integers(0, 1000))
def test_typing_leaves_what_is_no_letter(text, seed):
    hit = Typing(1.0)(text, seed)
    assert [c for c in hit if not c.isalpha()] == [c for c in text if not c.isalpha()]


def test_typing_hits_about_as_many_letters_as_it_says():
    words, hit = TEXT.split(), Typing(0.10)(TEXT, 3).split()
    whole = sum(a == b for a, b in zip(words, hit, strict=False)) / len(words)
    expected = sum(0.9 ** len(word) for word in words) / len(words)
    assert abs(whole - expected) < 0.05  # a word stays whole if none of its letters is hit


def test_typing_makes_all_four_kinds_of_error():
    lengths = {len(Typing(1.0)("a", seed)) for seed in range(40)}
    assert lengths == {0, 1, 2}
    assert any(Typing(0.3)("ab", seed) == "ba" for seed in range(200))


def test_typing_replaces_within_the_alphabet_and_keeps_case():
    hit = Typing(1.0)("Привет Ω", 5)
    assert all("а" <= c.lower() <= "я" or c == " " or "α" <= c.lower() <= "ω" for c in hit)
    assert any(Typing(1.0)("Q", seed).isupper() for seed in range(20))


@pytest.mark.parametrize("table", ["scanner", "camera"])
def test_misreading_at_rate_one_reads_every_confusion(table):
    entries = {"scanner": SCANNER, "camera": CAMERA}[table]
    for wrong, right in entries.items():
        assert Misreading(1.0, table, 0.0)(wrong, 0) == right
        assert wrong != right


def test_misreading_hits_about_as_many_places_as_it_says():
    read = Misreading(0.2, "camera", 0.0)("xxxxxxxxxx" * 200, 1)
    assert set(read) == {"x", "%"} and 0.15 < read.count("%") / len(read) < 0.25


def test_misreading_loses_and_makes_blanks():
    read = Misreading(0.0, "scanner", 0.05)(TEXT, 1)
    assert read.replace(" ", "") == TEXT.replace(" ", "")
    assert set(read.split()) - set(TEXT.split())


def test_tables_are_different():
    assert len({(a, b) for a, b in SCANNER.items()} & {(a, b) for a, b in CAMERA.items()}) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_mixed_takes_a_part_of_each(seed):
    first, second = "one two three four five six seven eight", "eins zwei drei vier fünf sechs sieben acht"
    words = mixed(first, second, seed).split()
    ours, theirs = [w in first.split() for w in words], [w in second.split() for w in words]
    assert any(ours) and any(theirs) and all(a or b for a, b in zip(ours, theirs, strict=True))
    assert sum(x != y for x, y in zip(ours, ours[1:], strict=False)) == 1
    assert 6 <= len(words) <= 10


def test_identified_joins_words_and_keeps_the_rest():
    forms = {identified("open file", seed) for seed in range(30)}
    assert forms == {"open_file", "openFile", "OpenFile"}
    assert identified("12 + 3", 0) == "12 + 3"
    assert identified("", 0) == ""


def test_damaged_texts_do_not_depend_on_their_neighbours_text():
    one, two = damaged(["hello world", "a b"], 7), damaged(["hello world", "other"], 7)
    assert one[0] == two[0]


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_rates_that_are_no_probability(rate):
    with pytest.raises(InputError, match="probability"):
        Typing(rate)
    with pytest.raises(InputError, match="probability"):
        Misreading(rate)


def test_unknown_table():
    with pytest.raises(InputError, match="scanner, camera"):
        Misreading(table="fax")
    with pytest.raises(InputError, match="one or two characters; 'abc'"):
        Misreading(table={"abc": "x"})


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 40))
def test_tables_drawn_at_random_are_read_like_the_others(seed):
    table = confusions(seed)
    assert table == confusions(seed) != confusions(seed + 1)
    assert 12 <= len(table) <= 39
    for wrong, right in table.items():
        assert Misreading(1.0, table, 0.0)(wrong, 0) == right
    untouched = "".join(set("abcdefghijklmnopqrstuvwxyz0123") - set("".join(table)))
    assert Misreading(1.0, table, 0.0)(untouched, 0) == untouched


def test_training_sees_many_tables_and_not_one():
    """No table that is written down takes an x for more than one sign."""
    made = damaged(["x" * 12] * 1000, 1, (0.3, 0.3))
    assert len({c for text in made for c in text if not c.isalnum() and c != " "}) > 8
