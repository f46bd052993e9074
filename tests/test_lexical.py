"""Inverted lists against plain dicts, scores against a plain float64 BM25, damage, and the repair of words."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from thesphere.errors import FormatError
from thesphere.lexical import score as score_module
from thesphere.lexical.lists import MOST, Lists, ListsBuilder
from thesphere.lexical.query import analyse, neighbours, repaired
from thesphere.lexical.score import GRAM_POWER, K1, B, Lexical, LexicalPart, score_texts
from thesphere.text import grams, words

some = settings(max_examples=60, deadline=None)

# -- lists --------------------


def built(documents: list[list[int]]) -> dict[str, np.ndarray]:
    builder = ListsBuilder()
    for number, terms in enumerate(documents):
        builder.add(number, np.array(terms, np.uint32))
    return builder.finish()


def postings(arrays: dict[str, np.ndarray]) -> dict[tuple[int, int], int]:
    """(term, document) -> count of everything in the arrays of lists, read by the description of their format."""
    found = {}
    for index, term in enumerate(arrays["keys"].tolist()):
        data = iter(arrays["data"][arrays["offsets"][index] : arrays["offsets"][index + 1]].tolist())

        def varint(data=data) -> int:
            value = shift = 0
            while True:
                byte = next(data)
                value |= (byte & 127) << shift
                if byte < 128:
                    return value
                shift += 7

        document = -1
        for _ in range(varint()):
            gap = varint()
            document += (gap >> 1) + 1
            found[term, document] = varint() + 2 if gap & 1 else 1
        assert next(data, None) is None
    return found


terms = st.one_of(st.integers(0, 12), st.integers(0, 2**32 - 1))


@given(st.lists(st.lists(terms, max_size=30), max_size=12))
@example([])
@example([[]])
@example([[0, 2**32 - 1, 0, 0]])
@some
def test_lists_hold_what_a_dict_holds(documents: list[list[int]]) -> None:
    arrays = built(documents)
    lists = Lists.from_arrays(arrays, len(documents))
    truth = {
        (term, number): count
        for number, found in enumerate(documents)
        for term, count in Counter(found).items()
    }
    assert postings(arrays) == truth

    asked = np.unique(np.array([0, 5, 2**31, *(term for term, _ in truth)], np.uint32))
    where = lists.find(asked)
    assert [at >= 0 for at in where] == [any(t == term for t, _ in truth) for term in asked.tolist()]
    live = np.arange(len(documents)) % 2 == 0
    for mask in (None, live):
        found = lists.document_counts(where, mask).tolist()
        kept = [t for t, number in truth if mask is None or mask[number]]
        assert found == [kept.count(term) for term in asked.tolist()]

    weights, norms = np.linspace(0, 2, len(asked)), np.linspace(0.3, 4, len(documents))
    out = np.zeros(len(documents))
    lists.score(where, weights, norms, out)
    for number in range(len(documents)):
        expected = 0.0
        for term, weight in zip(asked.tolist(), weights.tolist(), strict=True):
            tally = truth.get((term, number), 0)
            expected += weight * tally / (tally + float(norms[number])) if tally else 0.0
        assert out[number] == expected


def test_lists_of_many_terms_and_of_large_counts_and_gaps() -> None:
    builder = ListsBuilder()
    rng = np.random.default_rng(1)
    kept = {}
    for number in (0, 1, 200, 40_000, 3_000_000):
        kept[number] = rng.integers(0, 2**32, 7000, np.uint32)
        builder.add(number, kept[number])
    builder.add(3_000_001, np.full(MOST + 10, 7, np.uint32))
    arrays = builder.finish()
    found = postings(arrays)
    truth = {(term, number): 1 for number, each in kept.items() for term in np.unique(each).tolist()}
    assert found == {**truth, **{at: n for at, n in found.items() if n > 1}}
    assert found[7, 3_000_001] == MOST
    assert builder.postings == len(found) and builder.distinct == len({term for term, _ in found})


DOCUMENTS = [[1, 2, 2, 3], [2, 4, 4, 4, 900], [3], [], [1, 5, 2**31, 2**32 - 1] * 3]


def everything(arrays: dict[str, np.ndarray]) -> None:
    """All that reads lists."""
    lists = Lists.from_arrays(arrays, len(DOCUMENTS))
    where = lists.find(np.array([1, 2, 3, 4, 5, 900, 2**31, 2**32 - 1], np.uint32))
    live = np.ones(len(DOCUMENTS), bool)
    for mask in (None, live):
        counts = lists.document_counts(where, mask)
        assert ((counts >= 0) & (counts <= len(DOCUMENTS))).all()
    out = np.zeros(len(DOCUMENTS))
    lists.score(where, np.ones(len(where)), np.ones(len(out)), out)
    assert np.isfinite(out).all()
    lists.bytes_of(where)
    lists.holding(where)


def test_any_flipped_bit_gives_an_error_or_other_numbers() -> None:
    refused = 0
    sound = built(DOCUMENTS)
    everything(sound)
    for name, array in sound.items():
        for bit in range(8 * array.nbytes):
            raw = bytearray(array.tobytes())
            raw[bit // 8] ^= 1 << bit % 8
            try:
                everything({**sound, name: np.frombuffer(bytes(raw), array.dtype)})
            except FormatError:
                refused += 1
    assert refused > 50


@given(st.binary(min_size=1, max_size=24), st.integers(0, 3))
@some
def test_any_bytes_at_all(data: bytes, lists: int) -> None:
    offsets = np.linspace(0, len(data), lists + 1).astype(np.uint32)
    offsets[-1] = len(data)
    arrays = {
        "keys": np.arange(1, lists + 1, dtype=np.uint32),
        "offsets": offsets,
        "data": np.frombuffer(data, np.uint8),
    }
    try:
        everything(arrays)
    except FormatError:
        pass
    else:
        assert lists > 0


@pytest.mark.parametrize(
    "change",
    [
        {"keys": np.zeros(0, np.uint32)},
        {"keys": np.zeros((3, 3), np.uint32)},
        {"keys": np.array([3, 2, 1], np.uint32)},
        {"keys": np.array([1, 1, 2], np.uint32)},
        {"keys": np.array([1, 2, 3], np.int64)},
        {"offsets": np.zeros(0, np.uint32)},
        {"offsets": np.array([0, 2, 1, 6], np.uint32)},
        {"offsets": np.array([0, 2, 4, 7], np.uint32)},
        {"offsets": np.array([1, 2, 4, 6], np.uint32)},
        {"offsets": np.zeros((4, 1), np.uint32)},
        {"data": np.zeros(6, np.int8)},
        {"data": np.zeros((2, 3), np.uint8)},
    ],
)
def test_arrays_that_do_not_fit(change: dict[str, np.ndarray]) -> None:
    sound = built([[1], [2], [3]])
    assert len(sound["data"]) == 6
    Lists.from_arrays(sound, 3)
    with pytest.raises(FormatError, match="somewhere"):
        Lists.from_arrays({**sound, **change}, 3, name="somewhere")
    for name in sound:
        with pytest.raises(FormatError, match=name):
            Lists.from_arrays({key: array for key, array in sound.items() if key != name}, 3)


# -- scores --------------------


def part_of(texts: list[str], live: list[bool] | None = None) -> LexicalPart:
    kinds = []
    for analyser in (lambda text: words(text)[0], grams):
        builder = ListsBuilder()
        found = [analyser(text) for text in texts]
        for number, each in enumerate(found):
            builder.add(number, each)
        lists = Lists.from_arrays(builder.finish(), len(texts))
        kinds.append((lists, np.array([len(each) for each in found], np.int32)))
    (w, w_lengths), (g, g_lengths) = kinds
    return LexicalPart(w, g, w_lengths, g_lengths, None if live is None else np.array(live, bool))


def reference(texts: list[str], query: str, cut_from: int) -> list[float]:
    """The formula of the module's docstring, in plain Python."""
    n = len(texts)
    asked = Counter(words(query)[0].tolist())
    found = [Counter(words(text)[0].tolist()) for text in texts]
    spelling = analyse(query).spelling
    for term in sorted(asked):
        if term in spelling and not any(term in each for each in found):
            near = dict(zip(*(column.tolist() for column in neighbours(spelling[term])), strict=True))
            best = max(near, key=lambda t: (near[t] * sum(t in each for each in found), -t))
            if any(best in each for each in found):
                asked[best] += asked.pop(term)

    def bm25(asked: Counter, found: list[Counter], power: float, cut: bool) -> list[float]:
        mean = sum(each.total() for each in found) / n or 1.0
        out = [0.0] * n
        for term in sorted(asked):
            df = sum(term in each for each in found)
            if not df or (cut and n >= cut_from and df > n // 2):
                continue
            weight = asked[term] * idf(df) ** power * (K1 + 1)
            for number, each in enumerate(found):
                if term in each:
                    norm = K1 * (1 - B + B * each.total() / mean)
                    out[number] += weight * each[term] / (each[term] + norm)
        return out

    def idf(df: int) -> float:
        return math.log(1 + (n - df + 0.5) / (df + 0.5))

    w = bm25(asked, found, 1.0, cut=False)
    found_grams = [Counter(grams(text).tolist()) for text in texts]
    g = bm25(Counter(grams(query).tolist()), found_grams, GRAM_POWER, cut=True)
    mass = {term: count * idf(sum(term in each for each in found)) for term, count in asked.items()}
    held = sum(value for term, value in mass.items() if any(term in each for each in found))
    coverage = held / sum(mass.values()) if mass else 0.0
    return [
        (coverage * a / max(w) if max(w) > 0 else 0.0) + (b / max(g) if max(g) > 0 else 0.0)
        for a, b in zip(w, g, strict=True)
    ]


SOME_WORDS = [
    "fox",
    "foxes",
    "den",
    "dens",
    "quick brown",
    "rotateKeys",
    "Fuchs",
    "größe",
    "漢字仮名",
    "x1",
    "a",
    "\n",
]
phrases = st.lists(st.sampled_from(SOME_WORDS), max_size=8).map(" ".join)


@given(
    texts=st.lists(phrases, min_size=1, max_size=9),
    dead=st.lists(phrases, max_size=4),
    query=st.one_of(phrases, st.sampled_from(["fxo den", "rotatekyes", "zzz", "foxs foxs quikc", "漢字"])),
    seed=st.integers(0, 2**32 - 1),
    cut_from=st.sampled_from([2, 2000]),
)
@some
def test_scores_are_the_formula_and_no_spread_changes_a_bit(
    texts: list[str], dead: list[str], query: str, seed: int, cut_from: int
) -> None:
    rng = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_module, "CUT_FROM", cut_from)
        alone = Lexical([part_of(texts)]).score(analyse(query))
        expected = reference(texts, query, cut_from)
        assert np.allclose(alone.parts[0], expected, rtol=1e-12, atol=1e-12)
        for _ in range(3):
            rows = [(text, True, i) for i, text in enumerate(texts)] + [(text, False, -1) for text in dead]
            rows = [rows[i] for i in rng.permutation(len(rows))]
            cuts = sorted(rng.integers(0, len(rows) + 1, int(rng.integers(0, 4))).tolist())
            spread = [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
            parts = [
                part_of([text for text, *_ in part], [live for _, live, _ in part] if part else None)
                for part in spread
            ]
            got = Lexical(parts).score(analyse(query))
            for part, scores in zip(spread, got.parts, strict=True):
                for (_, live, number), value in zip(part, scores.tolist(), strict=True):
                    assert value == (alone.parts[0][number] if live else -np.inf)
            assert (got.coverage, got.strength) == (alone.coverage, alone.strength)


def test_nothing_at_all() -> None:
    for parts in ([], [part_of([])], [part_of(["fox"], [False])]):
        scores = Lexical(parts).score(analyse("fox"))
        assert all(not (each > 0).any() for each in scores.parts) and scores.coverage == 0
    empty = Lexical([part_of(["", "\n\n", "fox"])]).score(analyse("fox"))
    assert empty.parts[0].tolist()[:2] == [0.0, 0.0] and empty.parts[0][2] == 2.0
    assert Lexical([part_of(["fox"])]).score(analyse("?!")).parts[0].tolist() == [0.0]


def test_score_texts_picks_the_passage_with_the_evidence() -> None:
    texts = ["nothing to see here", "the quick brown fox", "a fox, a quick one", ""]
    scores = Lexical([part_of(texts)]).score(analyse("quick fox"))
    among = score_texts(scores, texts)
    assert among.argmax() in (1, 2) and among[3] == 0 and np.isfinite(among).all()
    assert score_texts(scores, []).shape == (0,)


# -- repair --------------------


def counts_of(vocabulary: dict[str, int]):
    known = {int(words(word)[0][0]): count for word, count in vocabulary.items()}
    return lambda terms: np.array([known.get(term, 0) for term in terms.tolist()], np.int64)


@pytest.mark.parametrize("typo", ["rotte", "roate", "rotat", "rottae", "rotaxe", "roxtate", "Rotaet"])
def test_words_one_edit_away_are_repaired(typo: str) -> None:
    query = repaired(analyse(f"{typo} the keys"), counts_of({"rotate": 3, "the": 9, "keys": 2}))
    assert query.word_terms.tolist() == sorted(int(words(w)[0][0]) for w in ("rotate", "the", "keys"))
    assert np.array_equal(query.gram_terms, analyse(f"{typo} the keys").gram_terms)


def test_repair_weighs_frequency_by_the_kind_of_mistake() -> None:
    """A letter left out happens in one way, a letter mistaken for another in 25."""
    left_out = repaired(analyse("ct"), counts_of({"cat": 1}))
    assert left_out.word_terms.tolist() == words("ct")[0].tolist()  # too short to be repaired
    for frequent, expected in ((20, "coat"), (30, "cut")):
        query = repaired(analyse("cot"), counts_of({"coat": 1, "cut": frequent}))
        assert query.word_terms.tolist() == words(expected)[0].tolist()


def test_repair_takes_the_likeliest_neighbour_and_joins_counts() -> None:
    query = repaired(analyse("cot cat"), counts_of({"cat": 5, "cut": 4}))
    assert query.word_terms.tolist() == words("cat")[0].tolist() and query.word_counts.tolist() == [2]
    tie = repaired(analyse("cot"), counts_of({"cat": 5, "cut": 5}))
    assert tie.word_terms.tolist() == [min(int(words(w)[0][0]) for w in ("cat", "cut"))]


def test_what_is_known_short_or_of_another_script_stays() -> None:
    known = counts_of({"cat": 5, "ax": 5, "größe": 5, "漢字": 5})
    for text in ("cat", "ox", "größ", "漢字", "zzzzzz", "2024", ""):
        query = analyse(text)
        assert repaired(query, known).word_terms.tolist() == query.word_terms.tolist()


def test_neighbours_are_all_words_one_edit_away() -> None:
    terms, likelihood = neighbours("cat")
    found = set(terms.tolist())
    likely = {int(words(word)[0][0]) for word in ("act", "cta", "chat", "cats", "scat", "cart")}
    assert likely <= set(terms[likelihood > 1].tolist())
    assert np.all(terms[1:] > terms[:-1])
    for word in ("at", "ct", "ca", "act", "cta", "bat", "cut", "cab", "chat", "cats", "scat", "cart"):
        assert int(words(word)[0][0]) in found
    for word in ("dog", "tac", "catsx"):
        assert int(words(word)[0][0]) not in found
