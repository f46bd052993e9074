"""Tokens, boundary rules, statistics and the text conveniences: golden cases and laws."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere import patches
from thesphere.errors import InputError
from thesphere.patches import patch_dataset, patch_statistics, patch_text
from thesphere.patches.boundaries import (
    Monotonic,
    Threshold,
    ThresholdAdd,
    byte_starts,
    calibrated,
    lengths,
    patch_of,
    ragged_lengths,
    split_long,
    starts,
)
from thesphere.patches.light import LN, XLNX, LightModel
from thesphere.patches.tokens import BOS, DELIMITER, EOS, decode, encode

CASES = json.loads(Path(__file__).with_name("data").joinpath("patching.json").read_text())["cases"]
GOLDEN = [(case["entropies"], rule) for case in CASES for rule in case["rules"]]
RULES = [Threshold(1.3), Monotonic(0.7), ThresholdAdd(1.0, 0.2)]
entropy_rows = st.lists(st.floats(0, 5.5, width=32), max_size=40)


def rule_of(said: dict) -> Threshold | Monotonic | ThresholdAdd:
    if said["mode"] == "threshold":
        return Threshold(said["threshold"])
    if said["mode"] == "monotonic":
        return Monotonic(said["threshold"])
    return ThresholdAdd(said["threshold"], said["threshold_add"])


@pytest.mark.parametrize("number", range(len(GOLDEN)))
def test_golden_cases(number: int) -> None:
    entropies, said = GOLDEN[number]
    marks = starts(entropies, rule_of(said), said["include_next"])
    assert marks.tolist() == said["starts"]
    sizes = lengths(marks, len(entropies) + said["include_next"])
    assert sizes.tolist() == said["lengths"]
    assert split_long(sizes, 8).tolist() == said["lengths_max8"]


def published_by_hand(e: list[float], rule: object, include_next: bool) -> list[int]:
    """The rules in words: token 0 and 1 start, then each token by the entropies in front of it."""
    size = len(e) + include_next
    found = []
    for p in range(size):
        if p < 2:
            fires = True
        elif isinstance(rule, Threshold):
            fires = e[p - 1] > rule.t
        elif isinstance(rule, Monotonic):
            fires = p == 2 or e[p - 1] - e[p - 2] > rule.t
        else:
            assert isinstance(rule, ThresholdAdd)
            fires = p == 2 or (p != 3 and e[p - 1] > rule.t and e[p - 1] - e[p - 2] > rule.add)
        if fires:
            found.append(p)
    return found


@settings(max_examples=60, deadline=None)
@given(entropy_rows, st.sampled_from(RULES), st.booleans())
def test_starts_follow_the_rule_and_tile(e: list[float], rule, include_next: bool) -> None:
    marks = starts(e, rule, include_next)
    assert marks.tolist() == published_by_hand(e, rule, include_next)
    size = len(e) + include_next
    sizes = lengths(marks, size)
    assert sizes.sum() == size and (sizes > 0).all()
    assert patch_of(marks, size).tolist() == np.repeat(np.arange(len(sizes)), sizes).tolist()


@settings(max_examples=40, deadline=None)
@given(entropy_rows, st.sampled_from(RULES))
def test_bytes_stand_behind_a_bos(e: list[float], rule) -> None:
    for about_bos in (0.0, 5.0):
        assert byte_starts(e, rule).tolist() == (starts([about_bos, *e], rule)[1:] - 1).tolist()


@settings(max_examples=40, deadline=None)
@given(entropy_rows, st.sampled_from(RULES), st.lists(st.integers(1, 9), max_size=6))
def test_rules_can_be_applied_in_pieces(e: list[float], rule, cuts: list[int]) -> None:
    x = np.array(e)
    whole = rule.mask(x)
    pieces, at = [], 0
    for size in [*cuts, len(e)]:
        pieces.append(rule.mask(x[at : at + size], at, float(x[at - 1]) if at else None))
        at = min(at + size, len(e))
    assert np.concatenate(pieces).tolist() == whole.tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(entropy_rows, max_size=5), st.sampled_from(RULES), st.booleans(), st.sampled_from([None, 1, 3])
)
def test_ragged_batches_equal_single_rows(rows, rule, include_next: bool, most: int | None) -> None:
    batch = ragged_lengths([np.array(row) for row in rows], rule, include_next, most)
    assert len(batch) == len(rows)
    for got, row in zip(batch, rows, strict=True):
        alone = lengths(starts(row, rule, include_next), len(row) + include_next)
        alone = alone if most is None else split_long(alone, most)
        assert got[: len(alone)].tolist() == alone.tolist() and not got[len(alone) :].any()


def test_burn_convention_is_one_byte_early() -> None:
    e = CASES[-1]["entropies"]
    burn = starts(e, Monotonic(1.35), convention="burn")
    by_hand = [0] + [p for p in range(1, len(e)) if e[p] - e[p - 1] > 1.35]
    assert burn.tolist() == by_hand
    published = starts(e, Monotonic(1.35), include_next=True)
    assert set(burn[burn >= 2] + 1) <= set(published)
    assert starts([], Monotonic(1.0), convention="burn").tolist() == []
    assert starts([2.0], Monotonic(1.0), convention="burn").tolist() == [0]


def test_bad_entropies_and_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="NaN"):
        starts([0.5, float("nan"), 1.0], Threshold(1.0))
    with pytest.raises(InputError, match=r"\[T\]"):
        starts(np.zeros((2, 3)), Threshold(1.0))
    with pytest.raises(InputError, match="ascend"):
        lengths([0, 4, 4], 8)
    with pytest.raises(InputError, match="begin at 0"):
        lengths([1, 4], 8)
    with pytest.raises(InputError, match="max_patch_length"):
        split_long([4], 0)
    for short in (0, -1):
        with pytest.raises(InputError, match="drop the padding"):
            split_long([4, short], 2)
    with pytest.raises(InputError, match="next token"):
        starts([1.0], Monotonic(1.0), include_next=True, convention="burn")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 5.5, width=32), min_size=1, max_size=200, unique=True),
    st.floats(1, 30),
    st.booleans(),
)
def test_calibration_meets_the_target_without_ties(e: list[float], target: float, rising: bool) -> None:
    found = byte_starts(e, calibrated(np.array(e), target, rising))
    least = min(len(e), 2 if rising else 1)
    wanted = max(least, min(len(e), round(len(e) / target)))
    if not rising or len(set(np.diff(e))) == len(e) - 1:
        assert len(found) == wanted


def test_calibration_with_ties_takes_the_nearest_count() -> None:
    e = np.array([1.0, 3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0])
    assert len(byte_starts(e, calibrated(e, 8 / 3))) == 4  # 4 is nearer to 3 than 1 is
    assert len(byte_starts(e, calibrated(e, 4))) == 1  # 2 wanted, 1 is nearer than 4
    assert len(byte_starts(np.zeros(100), calibrated(np.zeros(100), 8))) == 1
    with pytest.raises(InputError, match="target_patch_bytes"):
        calibrated(e, 0.5)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60), st.booleans(), st.booleans())
def test_tokens_round_trip(data: bytes, add_bos: bool, add_eos: bool) -> None:
    ids = encode(data, add_bos, add_eos)
    assert ids.tolist() == [BOS] * add_bos + [b + 4 for b in data] + [EOS] * add_eos
    assert decode(ids) == data == decode(ids.tolist())


def test_token_edges() -> None:
    assert encode("é").tolist() == [1, 0xC3 + 4, 0xA9 + 4, 2]
    assert decode([BOS, 69, DELIMITER, 70, EOS, 71]) == b"ABC"
    assert decode([BOS, 69, EOS, 71], cut_at_eos=True) == b"A"
    for bad in ([260], [-1], [1.5], [[1]]):
        with pytest.raises(InputError):
            decode(np.array(bad))


def test_statistics_golden() -> None:
    found = patch_statistics([128, 3, 4, 5, 12, 13, 24, 25, 48, 49, 127])
    assert found["num_patches"] == 11
    assert found["avg_length"] == pytest.approx(39.818, abs=5e-4)
    assert [found[k] for k in ("min_length", "max_length", "p50", "p75", "p90", "p95")] == [
        3,
        128,
        24,
        49,
        127,
        128,
    ]
    classes = ("small", "small_plus", "medium", "medium_plus", "large", "xl")
    assert [found[k] for k in classes] == [2, 2, 2, 2, 2, 1]
    assert found["myelination_ratio"] == pytest.approx(3 / 11)
    assert found["myelination_density"] == pytest.approx((49 + 127 + 128) / 3)


def test_statistics_of_nothing_have_the_same_keys() -> None:
    assert patch_statistics([]).keys() == patch_statistics([1, 2]).keys()
    assert not any(patch_statistics([]).values())
    with pytest.raises(InputError, match="at least 1"):
        patch_statistics([3, 0])


TEXT = "Wo liegt der Schlüssel? Under the doormat, as always: naïve but convenient. 鑰匙在門墊下。\n" * 3


def test_patch_text_formats_agree() -> None:
    detailed = patch_text(TEXT, return_format="detailed")
    assert isinstance(detailed, dict)
    assert b"".join(detailed["patches"]) == TEXT.encode()
    assert (
        [len(p) for p in detailed["patches"]]
        == detailed["lengths"]
        == patch_text(TEXT, return_format="lengths")
    )
    assert detailed["statistics"] == patch_statistics(detailed["lengths"])
    assert patch_text(TEXT, return_format="both") == {k: detailed[k] for k in ("patches", "lengths")}
    assert patch_text(TEXT) == patch_text(TEXT.encode()) == detailed["patches"]
    assert detailed["statistics"]["avg_length"] == pytest.approx(8, rel=0.1)
    assert max(patch_text(TEXT, rule=9.0, max_patch_length=20, return_format="lengths")) == 20
    fewer = patch_text(TEXT, rule=Monotonic(1.5), target_patch_bytes=1)
    assert len(fewer) < len(patch_text(TEXT, rule=Monotonic(0.5)))  # a lower threshold makes more patches


@pytest.mark.parametrize("empty", ["", b""])
def test_empty_texts_keep_the_schema(empty: str | bytes) -> None:
    assert patch_text(empty) == patch_text(empty, return_format="lengths") == []
    assert patch_text(empty, return_format="both") == {"patches": [], "lengths": []}
    said = patch_text(empty, return_format="detailed")
    assert isinstance(said, dict) and said["statistics"] == patch_statistics([])


def test_patch_dataset_aligns_with_its_items() -> None:
    items = [
        "one two three",
        "",
        b"raw bytes \xff",
        {"content": "body text"},
        {"text": "  ", "output": "second"},
    ]
    got = patch_dataset(iter(items))
    assert [b"".join(p) for p in got] == [b"one two three", b"", b"raw bytes \xff", b"body text", b"second"]  # type: ignore[arg-type]
    assert patch_dataset([{"body": "x y"}], text_field="body") == [patch_text("x y")]
    for bad, what in (([{"id": 3}], "item 0"), (["a", 3], "item 1"), ("text", "iterable")):
        with pytest.raises(InputError, match=what):
            patch_dataset(bad)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="return_format"):
        patch_text("x", return_format="tokens")  # type: ignore[arg-type]


def test_integer_logarithms_are_the_rounded_exact_ones() -> None:
    for i in range(1, 512):
        exact = Decimal(i).ln() * 65536
        assert LN[i] == int(exact.to_integral_value()) and XLNX[i] == int((exact * i).to_integral_value())
        for value in (exact, exact * i):  # far enough from a half that the last bits of a libm cannot matter
            assert abs(value % 1 - Decimal("0.5")) > Decimal("1e-6")


def test_light_model_patches_are_those_of_its_entropies() -> None:
    model = LightModel()
    rule = Threshold(2.0)
    marks = byte_starts(model.entropies(TEXT.encode()), rule)
    assert patch_text(TEXT, rule, return_format="lengths") == lengths(marks, len(TEXT.encode())).tolist()


def test_the_package_loads_no_compiler_before_a_kernel_is_needed() -> None:
    said = "import sys, thesphere.patches, thesphere.patches.texts; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], capture_output=True, check=True).stdout == b"False\n"


def test_every_exported_name_is_there() -> None:
    assert all(callable(getattr(patches, name)) for name in patches.__all__)
    with pytest.raises(AttributeError, match="no attribute"):
        _ = patches.no_such_name
