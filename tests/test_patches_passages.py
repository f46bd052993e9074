"""Passages: they tile, whole characters stay whole, and no chunking shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.patches.boundaries import (
    Monotonic,
    Threshold,
    ThresholdAdd,
    byte_starts,
    calibrated,
    split_long,
)
from thesphere.patches.boundaries import lengths as patch_lengths
from thesphere.patches.light import LightModel
from thesphere.patches.passages import SLICE_BYTES, Cut, Cutter, joined

MODEL = LightModel()
words = st.sampled_from(
    [
        "Baum ",
        "größer ",
        "門墊下",
        "。",
        "the key ",
        "turns. ",
        "\n",
        "\n\n",
        "    ",
        "🗝️",
        "x",
        "α" * 40,
        "n" * 300,
    ]
)
long_texts = st.lists(words, max_size=150).map("".join)


class Fixed:
    """A model whose entropies are told by a function of the position."""

    id = "fixed"

    def __init__(self, entropy) -> None:
        self.entropy = entropy

    def stream(self) -> "Fixed":
        return Fixed(self.entropy)._at(0)

    def _at(self, position: int) -> "Fixed":
        self.position = position
        return self

    def push(self, data: bytes) -> np.ndarray:
        found = np.array([self.entropy(self.position + i) for i in range(len(data))], np.float32)
        self.position += len(data)
        return found

    def entropies(self, data: bytes) -> np.ndarray:
        return self.stream().push(data)


def cut_of(data: bytes, sizes: list[int] | None = None, model=MODEL, **settings) -> Cut:
    cutter, cuts, at = Cutter(model, **settings), [], 0
    for size in [*(sizes or []), len(data)]:
        cuts.append(cutter.push(data[at : at + size]))
        at += size
    return joined([*cuts, cutter.finish()])


def same(a: Cut, b: Cut) -> bool:
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in Cut.__dataclass_fields__)


def check_tiles(cut: Cut, data: bytes, most: int = 512, longest: int = 384) -> None:
    assert [a.dtype for a in vars(cut).values()] == [np.int32, np.float32, np.uint16, np.float32, np.int32]
    assert cut.passage_lengths.sum() == cut.patch_lengths.sum(dtype=np.int64) == len(data)
    assert len(cut) == len(cut.patches_per_passage) == len(cut.passage_entropies)
    assert cut.patches_per_passage.sum() == len(cut.patch_lengths) == len(cut.patch_entropies)
    if len(cut):
        assert 1 <= cut.passage_lengths.min() and cut.passage_lengths.max() <= most
        assert 1 <= cut.patch_lengths.min() and cut.patch_lengths.max() <= longest
        ends = np.cumsum(cut.patches_per_passage)
        whole = np.add.reduceat(cut.patch_lengths.astype(np.int64), np.r_[0, ends[:-1]])
        assert whole.tolist() == cut.passage_lengths.tolist()


@settings(max_examples=25, deadline=None)
@given(long_texts, st.lists(st.integers(0, 700), max_size=8), st.sampled_from([16, 100, 512]))
def test_text_passages(text: str, sizes: list[int], most: int) -> None:
    data = text.encode()
    cut = cut_of(data, sizes, passage_bytes=most)
    check_tiles(cut, data, most)
    assert same(cut, cut_of(data, passage_bytes=most))
    at = 0
    for length in cut.passage_lengths:
        data[at : at + length].decode()  # whole characters
        at += length


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=3000), st.booleans())
def test_any_bytes(data: bytes, text: bool) -> None:
    check_tiles(cut_of(data, text=text), data)


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", b"\x80" * 2000, b"\xf0" * 2000, bytes(3000)])
def test_edges(data: bytes) -> None:
    cut = cut_of(data)
    check_tiles(cut, data)
    assert same(cut, cut_of(data, [1] * min(len(data), 50)))
    assert len(cut) == (0 if not data else 1 if len(data) <= 512 else len(cut))


def test_one_byte_chunks_across_slices() -> None:
    data = ("Der Schlüssel liegt unter der Matte. " * 2000).encode()
    assert len(data) > SLICE_BYTES
    cutter = Cutter(MODEL)
    cuts = [cutter.push(data[i : i + 1]) for i in range(len(data))]
    cut = joined([*cuts, cutter.finish()])
    check_tiles(cut, data)
    assert same(cut, cut_of(data))
    assert max(len(c) for c in cuts) > 0  # passages come before the end


@settings(max_examples=20, deadline=None)
@given(
    st.binary(max_size=2500),
    st.sampled_from([None, Threshold(2.0), Monotonic(0.5), ThresholdAdd(1.5, 0.1)]),
    st.integers(1, 50),
)
def test_patches_follow_the_rule(data: bytes, rule, longest: int) -> None:
    """All starts of the rule are patch starts; every other start is a split or opens a passage."""
    cut = cut_of(data, rule=rule, max_patch_length=longest, text=False)
    entropies = MODEL.entropies(data)
    marks = byte_starts(entropies, rule or calibrated(entropies[:SLICE_BYTES], 8))
    got = np.cumsum(cut.patch_lengths.astype(np.int64)) - cut.patch_lengths
    opened = np.cumsum(cut.passage_lengths) - cut.passage_lengths
    expected = np.cumsum(s := patch_lengths(np.union1d(marks, opened).astype(np.int64), len(data))) - s
    pieces = split_long(s, longest)
    assert got.tolist() == (np.cumsum(pieces) - pieces).tolist()
    assert set(expected) <= set(got)


def test_arbitrary_bytes_are_never_cut_inside_a_patch_while_patches_are_short() -> None:
    data = np.random.default_rng(3).integers(0, 256, 20000).astype(np.uint8).tobytes()
    cut = cut_of(data, text=False, max_patch_length=200)
    entropies = MODEL.entropies(data)
    marks = byte_starts(entropies, calibrated(entropies, 8))
    sizes = split_long(patch_lengths(marks, len(data)), 200)
    assert cut.patch_lengths.tolist() == sizes.tolist()


def test_means_are_over_the_bytes() -> None:
    data = ("Ein Satz. Noch ein längerer Satz, der über die Zeile reicht.\n" * 40).encode()
    cut = cut_of(data)
    entropies = MODEL.entropies(data).astype(np.float64)
    for sizes, means in (
        (cut.patch_lengths, cut.patch_entropies),
        (cut.passage_lengths, cut.passage_entropies),
    ):
        ends = np.cumsum(sizes.astype(np.int64))
        expected = [entropies[e - s : e].mean() for s, e in zip(sizes, ends, strict=True)]
        np.testing.assert_allclose(means, expected, rtol=1e-6)


def ends_of(text: str, entropy, **settings) -> list[str]:
    """The passages of `text` by a model that starts a patch at every byte unless told otherwise."""
    data = text.encode()
    cut = cut_of(data, model=Fixed(entropy), rule=settings.pop("rule", Threshold(0.0)), **settings)
    ends = np.cumsum(cut.passage_lengths)
    return [data[e - s : e].decode() for s, e in zip(cut.passage_lengths, ends, strict=True)]


def test_order_of_preference() -> None:
    filler = "abcdefg " * 3
    for strong, weak in (("\n\n", "\n"), ("\n", ". "), (". ", " "), ('?" ', " ")):
        text = filler + "end" + strong + "go" + weak + "on" + weak + filler * 3
        first = ends_of(text, lambda p: 1.0, passage_bytes=48)[0]
        assert first == filler + "end" + strong, (strong, weak)
    assert ends_of("x" * 10 + "門。" + "墊" * 30, lambda p: 1.0, passage_bytes=32)[0] == "x" * 10 + "門。"
    assert ends_of("x" * 20 + "\r\n" + "y" * 40, lambda p: 1.0, passage_bytes=32)[0] == "x" * 20 + "\r\n"


def test_among_equals_the_most_uncertain_then_the_last() -> None:
    text = "abc " * 40
    assert len(ends_of(text, lambda p: 1.0, passage_bytes=32)[0]) == 32
    assert len(ends_of(text, lambda p: 2.0 if p == 19 else 1.0, passage_bytes=32)[0]) == 20


def test_a_patch_is_cut_at_a_character_border_when_none_starts_in_reach() -> None:
    text = "墊" * 100
    passages = ends_of(text, lambda p: 0.0, rule=Threshold(1.0), passage_bytes=32)
    assert "".join(passages) == text
    assert {len(p.encode()) for p in passages[:-2]} == {30}


def test_no_crumb_at_the_end() -> None:
    for size in range(513, 640):
        sizes = cut_of(b"x" * size).passage_lengths
        assert len(sizes) == 2 and sizes.min() >= 128


def test_long_push_equals_slices_and_memory_is_bounded() -> None:
    data = b"A line that repeats itself, number and all.\n" * 9000
    cutter = Cutter(MODEL)
    cuts = []
    for at in range(0, len(data), 50_000):
        cuts.append(cutter.push(data[at : at + 50_000]))
        assert len(cutter._data) < 2000  # what waits is less than two passages
    cuts.append(cutter.finish())
    assert same(joined(cuts), cut_of(data))


def test_wrong_use_is_told() -> None:
    cutter = Cutter(MODEL)
    cutter.finish()
    with pytest.raises(InputError, match="finished"):
        cutter.push(b"more")
    with pytest.raises(InputError, match="finished"):
        cutter.finish()
    for wrong in (
        {"max_patch_length": 0},
        {"max_patch_length": 70000},
        {"passage_bytes": 3},
        {"target_patch_bytes": 0},
    ):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Cutter(MODEL, **wrong)
    for entropy in (float("nan"), float("inf"), -float("inf"), -0.5):
        with pytest.raises(InputError, match="finite number of nats, 0 or more"):
            cut_of(b"abc", model=Fixed(lambda p, entropy=entropy: entropy))
