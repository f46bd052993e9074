"""`lsa` against a slow version in plain Python, SciPy's SVD, and the laws it promises."""

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import svd

from thesphere.encoders import fit_lsa, lsa, open_encoder
from thesphere.encoders.grams import MIX, SPREAD, codes_of, fill_rows, normalise
from thesphere.errors import InputError

WORDS = (
    "river stone lantern quiet copper engine willow harvest signal marble Käse 東京 поезд rotate keys".split()
)


def texts_of(count: int, seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(4, 12))).encode() for _ in range(count)]


@pytest.fixture(scope="module")
def fitted() -> lsa.Lsa:
    return fit_lsa(texts_of(60))


def slow_counts(text: bytes) -> Counter[int]:
    """Buckets of the 2-grams and 4-grams in order of appearance, with Python's integers."""
    folded = normalise(text)
    counts: Counter[int] = Counter()
    if folded:
        points = [32, *map(ord, folded), 32]
        pairs = [a << 21 | b for a, b in zip(points, points[1:], strict=False)]
        for at, pair in enumerate(pairs):
            fours = [((pairs[at - 2] * int(SPREAD) + pair) % 2**64) ^ int(MIX)] if at >= 2 else []
            for key in [pair, *fours]:
                key = key * int(MIX) % 2**64
                counts[((key ^ key >> 32) * int(MIX) % 2**64) >> 51] += 1
    return counts


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=40).map(str.encode), st.binary(max_size=40)), max_size=6))
def test_rows_equal_the_slow_version(fitted: lsa.Lsa, texts: list[bytes]) -> None:
    rows = fitted.encode(texts)
    codes, starts = codes_of(texts)
    counts = np.empty((len(texts), lsa.BUCKETS), np.float32)
    fill_rows(codes, starts, np.uint64(51), counts)
    for row, filled, text in zip(rows, counts, texts, strict=True):
        slow = slow_counts(text)
        want = np.zeros(fitted.width)
        for bucket, count in slow.items():
            want += (1 + log(count)) * float(fitted.scales[bucket]) * fitted.matrix[bucket].astype(float)
        np.testing.assert_allclose(row, want, rtol=1e-4, atol=1e-5 * (1 + np.abs(want).max()))
        assert {int(b): pytest.approx(1 + log(slow[b])) for b in slow} == {
            int(b): float(filled[b]) for b in np.flatnonzero(filled)
        }


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=12), st.integers(1, 11))
def test_a_row_depends_on_its_text_alone(fitted: lsa.Lsa, texts: list[bytes], cut: int) -> None:
    whole = fitted.encode(texts)
    parts = [fitted.encode(part) for part in (texts[:cut], texts[cut:])]
    assert whole.tobytes() == np.concatenate(parts).tobytes()
    assert np.isfinite(whole).all()


def test_batches_do_not_change_a_bit(fitted: lsa.Lsa, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = texts_of(50, 3)
    whole = fitted.encode(texts)
    monkeypatch.setattr(lsa, "BATCH", 200)
    assert fitted.encode(texts).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    ("left", "right"),
    [("Ａｂｃ  d", "abc d"), ("STRASSE", "straße"), (" x\n\ty ", "x y"), ("ﬁn", "FIN"), ("e\u0301", "é")],
)
def test_texts_that_fold_alike_are_alike(fitted: lsa.Lsa, left: str, right: str) -> None:
    rows = fitted.encode([left.encode(), right.encode()])
    assert rows[0].tobytes() == rows[1].tobytes()


def test_empty_and_unseen(fitted: lsa.Lsa) -> None:
    rows = fitted.encode([b"", b" \n\t", b"\xff\xfe\x00\x80" * 9, b"\xed\xa0\x80"])
    assert not rows[:2].any()
    assert np.isfinite(rows).all()
    assert fitted.encode([]).shape == (0, fitted.width)
    assert normalise(b"\xff") != normalise(b"\xfe")


def test_the_fit_depends_on_the_set_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsa, "SAMPLE", 20)
    texts = texts_of(45)
    once = fit_lsa(texts)
    again = fit_lsa(texts[::-1] + texts[:7])
    assert once.matrix.tobytes() == again.matrix.tobytes()
    assert once.scales.tobytes() == again.scales.tobytes()
    assert fit_lsa(texts, key=1).matrix.tobytes() != once.matrix.tobytes()


def test_rank_is_padded_with_zeros() -> None:
    for count in (1, 3):
        texts = texts_of(count)
        encoder = fit_lsa(texts)
        rows = encoder.encode(texts)
        assert rows.shape == (count, 384)
        assert rows[:, :count].any(axis=0).all()
        assert not rows[:, count:].any()
        assert np.linalg.matrix_rank(rows) == count


def test_axes_equal_scipy_svd() -> None:
    rng = np.random.default_rng(5)
    rows = (rng.standard_normal((90, 30)) * 0.9 ** np.arange(30)) @ rng.standard_normal((30, 256))
    rows = rows.astype(np.float32)
    _, values, vectors = svd(rows.astype(np.float64), full_matrices=False)
    axes = lsa._axes(rows, 20, 0)
    want = vectors[:20].T / np.sqrt(values[:20] / values[0])
    want *= np.sign(want[np.abs(want).argmax(axis=0), np.arange(20)])
    np.testing.assert_allclose(axes, want, rtol=2e-3, atol=2e-4)
    assert lsa._axes(rows, 64, 0).shape == (256, 30)  # rounding noise makes no axes


def test_the_projection_is_the_fit_up_to_its_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances in the projection follow those of the weighted counts' leading axes."""
    texts = texts_of(80, 9)
    kept = {}
    plain = lsa._axes
    monkeypatch.setattr(lsa, "_axes", lambda *given: kept.setdefault("axes", plain(*given)))
    encoder = fit_lsa(texts)
    folded = encoder.matrix[:, : kept["axes"].shape[1]] * encoder.scales[:, None].astype(float)
    codes, starts = codes_of(texts)
    counts = np.empty((80, lsa.BUCKETS), np.float32)
    fill_rows(codes, starts, np.uint64(51), counts)
    df = (counts > 0).sum(axis=0)
    exact = kept["axes"] * np.where(df, np.log1p((80 - df + 0.5) / (df + 0.5)), 0)[:, None]
    assert (np.abs(folded - exact) <= 0.5001 * encoder.scales[:, None] + 1e-12).all()
    np.testing.assert_allclose(
        encoder.encode(texts)[:, : exact.shape[1]], counts @ exact, atol=0.02 * np.abs(counts @ exact).max()
    )


def test_norm_grows_with_length_and_neighbours_make_sense(fitted: lsa.Lsa) -> None:
    texts = texts_of(60)
    rows = fitted.encode(texts)
    short, long = fitted.encode([texts[0], texts[0] + b" " + texts[1] + b" " + texts[2]])
    assert np.linalg.norm(long) > np.linalg.norm(short)
    damaged = texts[17].replace(b"e", b"", 1).replace(b"r", b"rr", 1)
    query = fitted.encode([damaged])[0]
    cosine = rows @ query / np.linalg.norm(rows, axis=1)
    assert cosine.argmax() == 17


def test_state_round_trip(fitted: lsa.Lsa) -> None:
    state = fitted.state()
    assert sum(array.nbytes for array in state.values()) < 3.3e6
    for name in ("lsa", "lsa/1"):
        again = open_encoder(name, {key: array.copy() for key, array in state.items()})
        assert (again.id, again.width, again.storage) == ("lsa/1", 384, "int8")
        assert again.encode([b"quiet copper"]).tobytes() == fitted.encode([b"quiet copper"]).tobytes()


def test_bad_states_are_refused(fitted: lsa.Lsa) -> None:
    matrix, scales = fitted.matrix, fitted.scales
    broken = scales.copy()
    broken[3] = np.nan
    for state, told in [
        (None, "no weights of its own"),
        ({}, "no weights of its own"),
        ({"matrix": matrix}, "lacks 'scales'"),
        ({"matrix": matrix[:100], "scales": scales[:100]}, "power of two"),
        ({"matrix": matrix.astype(np.float32), "scales": scales}, "must be int8"),
        ({"matrix": matrix[0], "scales": scales}, "must be int8"),
        ({"matrix": matrix, "scales": scales[:-1]}, "must be float32"),
        ({"matrix": matrix, "scales": broken}, "NaN or infinity"),
        ({"matrix": matrix, "scales": -scales}, "negative"),
    ]:
        with pytest.raises(InputError, match=told):
            open_encoder("lsa", state)


def test_nothing_to_fit_on() -> None:
    for sample in ([], [b""], [b" ", b"\n\n"]):
        with pytest.raises(InputError, match="no text to fit on"):
            fit_lsa(sample)
    with pytest.raises(InputError, match="width of lsa is 0"):
        fit_lsa([b"x"], width=0)
