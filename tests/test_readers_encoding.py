"""Laws of segments, transcoding and offsets, against Python's own strict decoders."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.readers import Segment, Source, analysis_text, original_offsets, segments, utf8

FAMILIES = {
    "utf-8": "aé東𝄞\n ",
    "utf-16-le": "aé東𝄞\n \ufeff",
    "utf-16-be": "aé東𝄞\n ",
    "utf-32-le": "aé東𝄞\n ",
    "utf-32-be": "aé東𝄞\n ",
    "cp1252": "aé€ß\n ",
    "latin-1": "aéÿ\x80\n ",
    "cp1251": "aЖя\n ",
    "koi8_r": "aЖя\n ",
    "cp932": "a東ｱカ\n \\～",
    "euc_jp": "a東ｱカ\n ~丂",
    "gb18030": "a东𝄞é\n €",
    "big5": "a東\n ",
    "cp949": "a서똠\n ",
}
ENCODINGS = sorted(FAMILIES)
TEXTS = st.sampled_from(ENCODINGS).flatmap(
    lambda name: st.tuples(st.just(name), st.text(st.sampled_from(FAMILIES[name]), max_size=40))
)
LAW = settings(max_examples=150, deadline=None)


def source_of(data: bytes, encoding: str) -> Source:
    return Source("x", "x", "", "text", encoding, len(data), 0, lambda: io.BytesIO(data))


class Trickle(io.RawIOBase):
    """A stream that gives one byte at a time, as a pipe may."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def read(self, size: int = -1) -> bytes:
        first, self.left = self.left[:1], self.left[1:]
        return first


@LAW
@given(st.binary(max_size=200), st.integers(1, 50), st.sampled_from([*ENCODINGS, "bytes"]))
def test_segments_are_the_original_bytes(data: bytes, size: int, encoding: str) -> None:
    cut = list(segments(source_of(data, encoding), size=size))
    assert b"".join(segment.data for segment in cut) == data
    assert [segment.start for segment in cut] == list(np.cumsum([0, *(len(s.data) for s in cut)])[: len(cut)])
    assert all(segment.data and segment.encoding == encoding for segment in cut)
    assert all(len(segment.data) <= max(size, 4) for segment in cut)


@LAW
@given(TEXTS, st.integers(1, 9))
def test_no_cut_inside_a_character(given_text: tuple[str, str], size: int) -> None:
    encoding, text = given_text
    cut = list(segments(source_of(text.encode(encoding), encoding), size=size))
    assert "".join(segment.data.decode(encoding) for segment in cut) == text


@LAW
@given(st.binary(max_size=120), st.integers(1, 50), st.sampled_from([*ENCODINGS, "bytes"]))
def test_transcoding_does_not_depend_on_the_segments(data: bytes, size: int, encoding: str) -> None:
    parts = [utf8(segment.data, encoding) for segment in segments(source_of(data, encoding), size=size)]
    assert b"".join(parts) == utf8(data, encoding)
    if encoding != "bytes":  # a run of printable characters may lie across a cut
        texts = [
            analysis_text(segment.data, encoding)
            for segment in segments(source_of(data, encoding), size=size)
        ]
        assert "".join(texts) == analysis_text(data, encoding)


def test_a_stream_in_small_pieces() -> None:
    text = "東京 𝄞 é" * 5
    source = Source("x", "x", "", "text", "utf-8", 0, 0, lambda: Trickle(text.encode()))  # type: ignore[arg-type]
    cut = list(segments(source, size=7))
    assert "".join(segment.data.decode() for segment in cut) == text
    assert len(cut) < len(text.encode())


def test_a_character_across_the_border() -> None:
    data = b"abc" + "é".encode() + b"d"
    assert list(segments(source_of(data, "utf-8"), size=4)) == [
        Segment(0, b"abc", "utf-8"),
        Segment(3, "éd".encode(), "utf-8"),
    ]


def test_empty_source_has_no_segment() -> None:
    assert list(segments(source_of(b"", "utf-8"))) == []


def test_segment_size_must_be_positive() -> None:
    with pytest.raises(InputError):
        next(segments(source_of(b"a", "utf-8"), size=0))


def test_unknown_encoding_is_told() -> None:
    with pytest.raises(InputError, match="klingon"):
        next(segments(source_of(b"a", "klingon")))


@LAW
@given(TEXTS)
def test_offsets_lead_back_on_every_character_border(given_text: tuple[str, str]) -> None:
    encoding, text = given_text
    data = text.encode(encoding)
    cuts = [len(text[:i].encode()) for i in range(len(text) + 1)]
    expected = [len(text[:i].encode(encoding)) for i in range(len(text) + 1)]
    found = original_offsets(data, encoding, cuts)
    assert found.dtype == np.int64
    assert found.tolist() == expected
    assert original_offsets(data, encoding, cuts[::-1]).tolist() == expected[::-1]


@LAW
@given(st.binary(max_size=120), st.sampled_from(ENCODINGS))
def test_offsets_of_any_bytes_round_trip(data: bytes, encoding: str) -> None:
    text = utf8(data, encoding)
    if encoding == "utf-8":
        assert text == data
        return
    cuts = [0, *np.cumsum([len(c.encode()) for c in text.decode()]).tolist()]
    found = original_offsets(data, encoding, cuts)
    assert found[0] == 0 and found[-1] == len(data) and (np.diff(found) > 0).all()
    pieces = [data[a:b] for a, b in zip(found[:-1], found[1:], strict=True)]
    assert [utf8(piece, encoding) for piece in pieces] == [c.encode() for c in text.decode()]


def test_offsets_where_a_character_has_two_spellings() -> None:
    data = b"a\x8f\xa2\xb7b~c\xff\xb0\xa1"  # both the three bytes and the last but one are "~" in EUC-JP
    assert utf8(data, "euc_jp").decode() == "a~b~c\ufffd亜"
    cuts = [0, 1, 2, 3, 4, 5, 8, 11]
    assert original_offsets(data, "euc_jp", cuts).tolist() == [0, 1, 4, 5, 6, 7, 8, 10]


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "gb18030", "big5", "cp949"])
def test_every_double_byte_character_has_an_exact_width(encoding: str) -> None:
    """All two-byte codes at once, with ASCII between them, against decoding each by itself."""
    codes = []
    for code in range(0x8000, 0x10000):
        raw = code.to_bytes(2, "big")
        try:
            if len(raw.decode(encoding)) == 1:
                codes.append(raw)
        except UnicodeDecodeError:
            continue
    assert len(codes) > 6900
    data = b"x".join(codes)
    lengths = np.array([n for raw in codes for n in (len(raw.decode(encoding).encode()), 1)])[:-1]
    found = original_offsets(data, encoding, np.cumsum(lengths))
    assert (found == np.cumsum([2, 1] * len(codes))[:-1]).all()


def test_a_cut_inside_a_character_is_refused() -> None:
    data = "é東".encode("utf-16-le")
    for bad in ([1], [-1], [6], [3]):
        with pytest.raises(InputError):
            original_offsets(data, "utf-16-le", bad)
    with pytest.raises(InputError):
        original_offsets(b"abc", "utf-8", [4])
    assert original_offsets(data, "utf-16-le", []).tolist() == []


def test_bad_bytes_become_one_replacement_each() -> None:
    assert utf8(b"a\x81b", "cp1252").decode() == "a\ufffdb"
    assert utf8("a\U0001d11e".encode("utf-16-le")[:-1], "utf-16-le").decode() == "a" + "\ufffd" * 3
    assert analysis_text(b"good \xff bad", "utf-8") == "good \ufffd bad"


def test_strings_of_binary_content() -> None:
    wide = "wide words".encode("utf-16-le")
    data = b"\x00\x01name\x02abc\xff" + wide + b"\xff\xffa longer run\x7f\x80xyz"
    assert analysis_text(data, "bytes").split("\n") == ["name", "wide words", "a longer run"]
    assert analysis_text(b"\x00\xff\x10", "bytes") == ""
