"""What files are, from their content."""

import random
import struct
import zlib

import pytest

from thesphere.readers.base import HEAD
from thesphere.readers.sniff import CODE_SUFFIXES, encoding_of, sniff

TEXTS = {
    "de": "Die größten Städte Österreichs liegen an der Donau. Über die Brücke führt eine schöne Straße.",
    "fr": "L'été dernier, nous avons visité plusieurs châteaux près de la forêt; c'était très agréable.",
    "es": "El niño comió una manzana en la montaña mientras soñaba con su próximo viaje a España.",
    "pl": "Zażółć gęślą jaźń. W Krakowie jest wiele pięknych kościołów i świątyń, które można zwiedzać.",
    "ru": "Быстрая лиса прыгает через ленивую собаку. Москва является столицей России.",
    "el": "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας και μία από τις παλαιότερες πόλεις του κόσμου.",
    "ja": "東京は日本の首都であり、世界でも有数の大都市です。カタカナとひらがなも含まれています。",
    "zh": "北京是中华人民共和国的首都，也是全国的政治、文化中心。这里有很多历史悠久的建筑。",
    "tw": "臺北是中華民國的首都，也是臺灣的政治、文化中心。這裡有很多歷史悠久的建築。",
    "ko": "서울은 대한민국의 수도이며 가장 큰 도시입니다. 많은 사람들이 살고 있습니다.",
    "tr": "İstanbul, Türkiye'nin en kalabalık şehridir. Güneş doğduğunda çok güzeldir.",
}
LEGACY = [
    *(
        ("de", "cp1252"),
        ("de", "latin-1"),
        ("fr", "cp1252"),
        ("es", "cp1252"),
        ("pl", "cp1250"),
        ("pl", "iso8859-2"),
    ),
    *(("ru", "cp1251"), ("ru", "koi8_r"), ("ru", "cp866"), ("el", "cp1253"), ("tr", "cp1254")),
    *(("ja", "shift_jis"), ("ja", "euc_jp"), ("zh", "gb18030"), ("tw", "big5"), ("ko", "euc_kr")),
]


@pytest.mark.parametrize("times", [1, 40])
@pytest.mark.parametrize(("language", "encoding"), LEGACY)
def test_legacy_encodings(language: str, encoding: str, times: int) -> None:
    data = (TEXTS[language] + "\n").encode(encoding) * times
    assert data.decode(encoding_of(data, complete=True)) == (TEXTS[language] + "\n") * times


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("language", sorted(TEXTS))
def test_unicode_encodings_with_and_without_mark(language: str, encoding: str, mark: str) -> None:
    data = (mark + TEXTS[language] + " 𝄞\r\n").encode(encoding)
    assert encoding_of(data, complete=True) == encoding


def test_joiners_and_direction_marks_are_text() -> None:
    persian = "می\u200cخواهم به خانه\u200cها بروم \u200f\ufeff" * 3
    for encoding in ("utf-16-le", "utf-16-be"):
        assert encoding_of(persian.encode(encoding), complete=True) == encoding


def test_a_surrogate_pair_cut_by_the_head() -> None:
    data = ("\ufeff" + "𝄞 x" * 2000).encode("utf-16-be")
    for end in range(1000, 1008):
        assert encoding_of(data[:end], complete=False) == "utf-16-be"


def test_utf8_is_judged_over_the_whole_head_and_its_cut_end() -> None:
    late = b"plain " * 9000 + "größer".encode("cp1252")
    assert encoding_of(late, complete=True) == "cp1252"
    data = ("é" * HEAD).encode()
    assert encoding_of(data[: HEAD - 1], complete=False) == "utf-8"
    assert encoding_of("a€".encode()[:-1], complete=False) == "utf-8"


def test_a_few_bad_bytes_among_good_ones_leave_utf8() -> None:
    assert encoding_of(("größer " * 50).encode() + b"\xff broken \xe9", complete=True) == "utf-8"


def test_english_with_typographic_quotes() -> None:
    text = "He said \u201cno\u201d \u2013 and that was the end of the long story that nobody had asked for.\n"
    assert encoding_of(text.encode("cp1252"), complete=True) == "cp1252"


def test_code_with_one_name_in_latin_1() -> None:
    data = "# Autor: Jürgen Müller\nimport os\nprint('Hallo')\n".encode("latin-1")
    assert sniff("x.py", data, complete=True) == ("code", "cp1252")


@pytest.mark.parametrize(
    ("name", "data", "modality"),
    [
        ("a.txt", b"You import goods, fn keys are on top, and def is short.\n", "text"),
        ("notes", b"import os\nfn main() {}\n", "text"),
        ("a.py", b"x = 1\n", "code"),
        ("A.RS", b"fn main() {}\n", "code"),
        ("Makefile", b"all:\n", "code"),
        (".py", b"x", "text"),
        ("run", b"#!/bin/sh\nls\n", "code"),
        ("a.md", b"# import\n", "text"),
        ("a.py", b"\x00\x01\x02\x03", "binary"),
        ("empty.py", b"", "code"),
        ("empty", b"", "text"),
        ("abc", b"a\nb", "text"),
    ],
)
def test_modality(name: str, data: bytes, modality: str) -> None:
    assert sniff(name, data, complete=True)[0] == modality


NOISE = random.Random(1).randbytes(3000)
TEXTY = bytes(b for b in NOISE if b >= 32 and b != 127)  # no control character gives it away


@pytest.mark.parametrize(
    "head",
    [
        b"%PDF-1.7\n1 0 obj << >> endobj\n",
        b"\x89PNG\r\n\x1a\n" + NOISE,
        b"\xff\xd8\xff\xe0" + TEXTY,
        b"GIF89a" + TEXTY,
        b"\x7fELF\x02\x01\x01" + bytes(60),
        b"PK\x03\x04\x14\x00" + NOISE,
        b"\x1f\x8b\x08" + zlib.compress(NOISE),
        b"SQLite format 3\0" + bytes(100),
        b"RIFF\x24\x08\x00\x00WAVEfmt " + NOISE,
        b"MZ\x90\x00" + NOISE,
        b"OggS" + TEXTY,
        b"....ftypisom" + TEXTY,
        struct.pack("<500i", *range(-250, 250)),
        struct.pack("<500d", *(i / 7 for i in range(500))),
        NOISE,
        b"abc\0def",
        b"name\0value\0other\0words\0",
    ],
    ids=lambda head: repr(head[:8]),
)
def test_binary(head: bytes) -> None:
    assert sniff("x.dat", head, complete=False) == ("binary", "bytes")


def test_words_that_look_like_a_magic_number_stay_text() -> None:
    for word in ("BM", "MZ", "ID3", "RIFF", "GIF89a", "OggS", "7z", "Obj"):
        assert sniff("x", f"{word} is a magic number.\n".encode(), complete=True) == ("text", "utf-8")


def test_logs_with_colours_and_one_stray_nul_stay_text() -> None:
    log = b"\x1b[31merror\x1b[0m something happened in the machine room\n" * 20
    assert encoding_of(log, complete=True) == "utf-8"
    assert encoding_of(log + b"\0" + log, complete=True) == "utf-8"


def test_any_bytes_have_an_answer() -> None:
    rng = random.Random(7)
    for length in [1, 2, 3, 4, 7, 50, 500] * 20:
        data = rng.randbytes(length)
        modality, encoding = sniff("x", data, complete=True)
        assert (modality == "binary") == (encoding == "bytes")
        assert encoding == "bytes" or isinstance(data.decode(encoding, "replace"), str)


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert all(suffix[0] == "." and suffix == suffix.lower() and len(suffix) > 1 for suffix in CODE_SUFFIXES)
    assert {".py", ".rs", ".c", ".go", ".js"} <= CODE_SUFFIXES
    assert not {".txt", ".md", ".json", ".csv", ".html", ".xml"} & CODE_SUFFIXES
