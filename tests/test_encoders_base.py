"""Opening encoders by name, and embeddings that come from outside."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thesphere.encoders import Sample, check_embeddings, open_encoder
from thesphere.errors import InputError, MissingExtra, NotFoundError


@pytest.mark.parametrize(
    "name", ["", "lsa/2", "minilm/9", "bert", "https://example.org/model", "sentence-transformers"]
)
def test_unknown_names_list_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match="lsa, minilm, sentence-transformers:NAME_OR_PATH"):
        open_encoder(name)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("minilim", "minilm"), ("LSA", "lsa"), ("sentence-transformer:x", "sentence-transformers:NAME_OR_PATH")],
)
def test_the_nearest_name_is_offered(typed: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"did you mean '{meant}'"):
        open_encoder(typed)


def test_a_mistyped_path_reaches_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def forbidden(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    with pytest.raises((InputError, MissingExtra, NotFoundError)):
        open_encoder("sentence-transformers:./no/such/folder")
    with pytest.raises(InputError, match="lacks the model"):
        open_encoder("sentence-transformers: ")


def test_import_is_light() -> None:
    code = (
        "import sys, thesphere.encoders, thesphere.signals, thesphere.metrics;"
        "heavy = {'numba', 'torch', 'tokenizers', 'safetensors', 'scipy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
        elements={"allow_nan": False, "allow_infinity": False, "min_value": 0, "max_value": 100},
    )
)
def test_check_keeps_values(array: np.ndarray) -> None:
    rows = check_embeddings(array)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    np.testing.assert_array_equal(rows, array.astype(np.float32))


def test_check_does_not_copy_what_is_right() -> None:
    rows = np.ones((3, 4), np.float32)
    assert check_embeddings(rows) is rows
    assert check_embeddings(rows.T).flags.c_contiguous
    assert check_embeddings([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert check_embeddings(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_check_names_the_row(bad: float) -> None:
    rows = np.ones((5, 3))
    rows[3, 1] = rows[4, 0] = bad
    with pytest.raises(InputError, match=r"row 3 .*2 such rows of 5"):
        check_embeddings(rows)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.ones(3), r"shape \[3\]"),
        (np.ones((1, 2, 3)), r"shape \[1, 2, 3\]"),
        (np.ones((3, 0)), "at least one column"),
        (np.array([["a"]]), "dtype <U1"),
        (np.ones((2, 2), complex), "complex128"),
        (np.ones((2, 2), bool), "bool"),
        ([[1, 2], [3]], "rectangular"),
    ],
)
def test_check_refuses(array, told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_embeddings(array)


def test_check_tells_both_widths() -> None:
    with pytest.raises(InputError, match="3 wide, 4 was expected"):
        check_embeddings(np.ones((2, 3)), expect_width=4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=3), max_size=30), st.integers(1, 5), st.randoms(use_true_random=False))
def test_a_sample_depends_on_contents_alone(texts: list[bytes], limit: int, random) -> None:
    def chosen(texts: list[bytes]) -> list[bytes]:
        sample = Sample(limit, key=7)
        for text in texts:
            sample.add([text])
        assert len(sample) == len(list(sample))
        return list(sample)

    once = chosen(texts)
    shuffled = texts * 2
    random.shuffle(shuffled)
    assert chosen(shuffled) == once
    assert set(once) <= set(texts)
    assert len(once) == min(limit, len(set(texts) - {b""}))
    nested = Sample(limit, key=7)
    nested.add(Sample(limit, key=7) if not texts else once)
    assert list(nested) == once


def test_a_sample_is_fair_and_keyed() -> None:
    texts = [str(i).encode() for i in range(2000)]
    picks = []
    for key in (0, 1):
        sample = Sample(500, key=key)
        sample.add(texts)
        picks.append({int(text) for text in sample})
    assert picks[0] != picks[1]
    for pick in picks:  # 3.5 standard deviations of a draw without replacement
        assert abs(np.mean(list(pick)) - 999.5) < 3.5 * 577.4 / np.sqrt(500) * np.sqrt(0.75)
    with pytest.raises(InputError, match="limit is 0"):
        Sample(0)
