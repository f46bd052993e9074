"""Compressed blocks: any span equals the slice of what was written; any damage is found."""

import random
import struct
import tracemalloc
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thesphere.errors import FormatError, InputError, SphereError
from thesphere.store.blocks import BLOCK, LARGEST_BLOCK, Blocks, BlockWriter

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sample(size: int, seed: int) -> bytes:
    """Half words, half noise: some blocks shrink, others cannot."""
    rng = random.Random(seed)
    words = b" ".join(rng.choice([b"alpha", b"beta", b"gamma"]) for _ in range(size // 6))
    return (words + rng.randbytes(size))[:size]


@quick
@given(
    st.integers(0, 4 * BLOCK), st.integers(0, 9), st.lists(st.integers(0, 4 * BLOCK), max_size=5), st.data()
)
def test_any_span(tmp_path: Path, size: int, seed: int, cuts: list[int], data: st.DataObject) -> None:
    whole, path = sample(size, seed), tmp_path / "b"
    path.unlink(missing_ok=True)
    writer = BlockWriter(path)
    for a, b in pairwise([0, *sorted(min(cut, size) for cut in cuts), size]):
        assert writer.write(whole[a:b]) == a
    assert writer.finish() == size
    blocks = Blocks(path)
    assert len(blocks) == size and blocks.read(0, size) == whole
    for _ in range(5):
        start = data.draw(st.integers(0, size))
        end = data.draw(st.integers(start, size))
        assert blocks.read(start, end) == whole[start:end]


def test_it_compresses_and_never_grows(tmp_path: Path) -> None:
    for name, data in {"words": b"word " * 40_000, "noise": random.Random(1).randbytes(200_000)}.items():
        with BlockWriter(tmp_path / name) as writer:
            writer.write(data)
    assert (tmp_path / "words").stat().st_size < 5_000
    assert (tmp_path / "noise").stat().st_size < 200_000 + 100


def test_wrong_use(tmp_path: Path) -> None:
    with BlockWriter(tmp_path / "b") as writer:
        writer.write(b"12345")
    for start, end in [(-1, 2), (3, 2), (0, 6)]:
        with pytest.raises(InputError, match="it holds 5"):
            Blocks(tmp_path / "b").read(start, end)
    with pytest.raises(SphereError, match="cannot write"):
        BlockWriter(tmp_path / "b")
    with pytest.raises(KeyError), BlockWriter(tmp_path / "c") as writer:
        raise KeyError
    with pytest.raises(FormatError):
        Blocks(tmp_path / "c")


def test_every_flip_and_truncation_is_found(tmp_path: Path) -> None:
    path = tmp_path / "b"
    whole = sample(2 * BLOCK, 3)[BLOCK - 200 : BLOCK + 200]
    with BlockWriter(path) as writer:
        writer.write(whole)
    good = path.read_bytes()
    tracemalloc.start()
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        with pytest.raises(FormatError):
            Blocks(path).read(0, 400)
    for end in range(len(good)):
        path.write_bytes(good[:end])
        with pytest.raises(FormatError):
            Blocks(path).read(0, 400)
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_blocks_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    """A sound file by its checksums, whose one block inflates to more than any writer made."""
    for size, match in ((LARGEST_BLOCK, None), (LARGEST_BLOCK + 1, "exceed")):
        packed = zlib.compress(bytes(size))
        table = struct.pack("<II", len(packed), zlib.crc32(packed))
        check = zlib.crc32(struct.pack("<QI", size, size), zlib.crc32(table))
        magic = b"tsblock1"
        (tmp_path / "b").write_bytes(magic + packed + table + struct.pack("<QII8s", size, size, check, magic))
        if match is None:
            assert Blocks(tmp_path / "b").read(size - 3, size) == bytes(3)
        else:
            with pytest.raises(FormatError, match=match):
                Blocks(tmp_path / "b")


@quick
@given(st.binary(max_size=300))
def test_foreign_bytes(tmp_path: Path, data: bytes) -> None:
    for content in (data, b"tsblock1" + data + b"tsblock1"):
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(FormatError):
            Blocks(tmp_path / "b").read(0, 1)
