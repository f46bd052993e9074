"""Byte strings are found wherever a naive search of the files finds them, whatever the lists rule out."""

import random
from pathlib import Path

import numpy as np
import pytest

from thesphere.sphere import Sphere, batch
from thesphere.sphere.occurrences import settled_terms
from thesphere.text import grams, inner_grams

WORDS = ["alpha", "Beta", "gamma", "délta", "naïve", "et", "x=1;", "foo_bar(", "\n", "  ", "日本語", "MiXeD"]
MARK = "\u0301"  # a combining accent: it makes another letter of the one before it


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Sources of one and many windows, in several encodings, some with bytes that are no text."""
    rng = random.Random(1)
    found = {}
    for number in range(24):
        words = [rng.choice([*WORDS, f"e{MARK}t"]) for _ in range(rng.choice([5, 300, 4000]))]
        data = " ".join(words).encode()
        if number % 7 == 0:
            data = data.replace(b"gamma", b"gam\xffma")
        if number % 11 == 0:
            data = rng.randbytes(3000) + data
        if number % 5 == 0:
            data = data.decode("utf-8", "replace").encode("utf-16-le")
        found[f"in/{number:02d}"] = data
    return found


@pytest.fixture(scope="module")
def sphere(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Sphere:
    home = tmp_path_factory.mktemp("occurrences")
    (home / "in").mkdir()
    for name, data in files.items():
        (home / name).write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "PART_BYTES", 50_000)
        made = Sphere.create(home / "a.sphere", encoder="none")
        made.ingest(home / "in")
    parts = made.info()["parts"]
    assert isinstance(parts, int) and parts > 2
    return made


@pytest.mark.parametrize("length", [1, 3, 4, 6, 9, 20, 60, 400, 1500])
def test_occurrences_are_those_of_a_naive_search(
    sphere: Sphere, files: dict[str, bytes], length: int
) -> None:
    rng = random.Random(length)
    for _ in range(25):
        data = files[rng.choice(sorted(files))]
        at = rng.randrange(max(1, len(data) - length))
        pattern = data[at : at + length]
        if rng.random() < 0.1:
            pattern = pattern[:-1] + b"Z"
        truth = []
        for name in sorted(files):
            found = files[name].find(pattern)
            while found >= 0 and len(truth) < 30:
                truth.append((name, found))
                found = files[name].find(pattern, found + 1)
        assert [(hit.source, hit.start) for hit in sphere.search(contains=pattern, k=30)] == truth


def test_a_combining_mark_behind_the_pattern_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"one cafe{MARK} two")
    with Sphere.create(tmp_path / "a.sphere", encoder="none") as sphere:
        sphere.ingest(tmp_path / "a")
        assert [hit.start for hit in sphere.search(contains=b"cafe")] == [4]


def test_rare_patterns_read_little(sphere: Sphere) -> None:
    cost = sphere.search(contains=b"nowhere_to_be_found").cost
    assert cost.bytes_scanned < sphere.search(contains=b"\x01\x02\x03\x04\x05\x06\x07").cost.bytes_scanned


def test_inner_grams_are_grams_of_every_text_around() -> None:
    for text in ("abcd", "abcde", "foo_bar(x)"):
        inner = inner_grams(text)
        assert len(inner) == len(text) - 3
        assert np.isin(inner, grams(f"zz{text}zz")).all()
    assert len(inner_grams("abc")) == 0
    assert len(settled_terms(b"abcd")) == 0
    assert len(settled_terms(b"abcd ")) == 1


def test_an_occurrence_over_three_windows_of_imported_rows_is_found(tmp_path: Path) -> None:
    rng = random.Random(5)
    rows = ["".join(rng.choices("abcdefgh", k=size)).encode() for size in (9000, 10, 9000)]
    with Sphere.create(tmp_path / "a.sphere", encoder="arrays") as sphere:
        sphere.import_arrays(np.ones((3, 4), np.float32), data=rows)
        pattern = rows[0][-8:] + rows[1] + rows[2][:8]
        hits = sphere.search(contains=pattern)
        assert [hit.start for hit in hits] == [8992]
        sphere.prove(hits)
