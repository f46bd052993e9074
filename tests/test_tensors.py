"""Tensors on disk: what is written comes back; nothing that a file claims is believed."""

import json
import struct
import tracemalloc
from pathlib import Path

import hypothesis.extra.numpy as arrays_of
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from thesphere.errors import FormatError, InputError, NotFoundError, SphereError
from thesphere.store.tensors import map_tensors, write_tensors

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
dtypes = st.sampled_from(["?", "i1", "u1", "<i2", ">i2", "<u4", "<i8", "<f2", "<f4", ">f4", "<f8"])
shapes = arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(
    lambda text: text != "__metadata__"
)


@quick
@given(
    st.dictionaries(texts, dtypes.flatmap(lambda d: arrays_of.arrays(d, shapes)), max_size=5),
    st.dictionaries(texts, texts, max_size=3),
)
def test_round_trip_and_peer_library(tmp_path: Path, arrays: dict, metadata: dict) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, arrays, metadata)
    mine, text = map_tensors(path)
    theirs = load_file(path)
    assert text == metadata and set(mine) == set(theirs) == set(arrays)
    for key, array in arrays.items():
        assert mine[key].shape == array.shape and not mine[key].flags.writeable
        assert mine[key].dtype == array.dtype.newbyteorder("=") and mine[key].flags.aligned
        np.testing.assert_array_equal(mine[key], array)
        np.testing.assert_array_equal(theirs[key], array)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_any_memory_order(tmp_path: Path) -> None:
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    arrays = {"t": base.T, "f": np.asfortranarray(base), "step": base[::2, ::-1], "zero": np.zeros((0, 3))}
    write_tensors(tmp_path / "a", arrays)
    for key, array in map_tensors(tmp_path / "a")[0].items():
        np.testing.assert_array_equal(array, arrays[key])


@pytest.mark.parametrize(
    "arrays",
    [
        {"o": np.array([object()])},
        {"s": np.array(["x"])},
        {"c": np.ones(2, complex)},
        {"__metadata__": np.ones(1)},
    ],
)
def test_what_cannot_be_written(tmp_path: Path, arrays: dict) -> None:
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(InputError, match="cannot write"):
        write_tensors(tmp_path / "a", arrays)
    assert (tmp_path / "a").read_bytes() == b"before"


def test_missing_places(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        map_tensors(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="folder"):
        map_tensors(tmp_path)
    with pytest.raises(SphereError, match="cannot write"):
        write_tensors(tmp_path / "no" / "a", {"x": np.ones(1)})


def raw(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str, shape: list, offsets: list) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


HOSTILE = {
    "empty file": (b"", "not a safetensors"),
    "seven bytes": (b"1234567", "not a safetensors"),
    "header past the end": (struct.pack("<Q", 1000) + b"{}", "cut off"),
    "huge header": (struct.pack("<Q", 2**63) + b"{}", "not a safetensors"),
    "a png": (b"\x89PNG\r\n\x1a\n" + bytes(64), "not a safetensors"),
    "not JSON": (raw(b"{nope"), "not JSON"),
    "not UTF-8": (raw(b'{"\xff":1}'), "not JSON"),
    "deep JSON": (raw(b'{"a":' + b"[" * 100_000), "not JSON"),
    "long number": (raw(b'{"a":' + b"9" * 10_000 + b"}"), "not JSON"),
    "twice": (raw(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}}'), "'a' twice"),
    "metadata": (raw({"__metadata__": {"a": 1}}), "text to text"),
    "no shape": (raw({"a": {"dtype": "U8", "data_offsets": [0, 0]}}), "'a' must have"),
    "dtype": (raw({"a": entry("F8_E4M3", [1], [0, 1])}, b"1"), "'a' has dtype"),
    "dtype list": (raw({"a": entry([], [1], [0, 1])}, b"1"), "'a' has dtype"),  # type: ignore[arg-type]
    "negative": (raw({"a": entry("U8", [-1], [0, 1])}, b"1"), "shape of 'a'"),
    "float shape": (raw({"a": entry("U8", [1.0], [0, 1])}, b"1"), "shape of 'a'"),
    "bool shape": (raw({"a": entry("U8", [True], [0, 1])}, b"1"), "shape of 'a'"),
    "overflow": (raw({"a": entry("F64", [2**31, 2**31, 2**31], [0, 0])}), "larger than any"),
    "overflow to zero": (raw({"a": entry("U8", [2**32, 2**32, 0, 2**32], [0, 0])}), "larger than any"),
    "too many dimensions": (raw({"a": entry("U8", [1] * 65, [0, 1])}, b"1"), "larger than any"),
    "short offsets": (raw({"a": entry("U8", [1], [0])}, b"1"), "data_offsets of 'a'"),
    "size": (raw({"a": entry("F32", [2], [0, 4])}, bytes(4)), "'a' takes 4 bytes.* need 8"),
    "backwards": (raw({"a": entry("U8", [1], [1, 0])}, b"1"), "'a' takes -1"),
    "cut off": (raw({"a": entry("F32", [2], [0, 8])}, bytes(7)), "cut off: 'a'"),
    "overlap": (
        raw({"a": entry("U8", [2], [0, 2]), "b": entry("U8", [2], [1, 3])}, bytes(3)),
        "'b' begins at byte 1",
    ),
    "hole": (
        raw({"a": entry("U8", [1], [0, 1]), "b": entry("U8", [1], [2, 3])}, bytes(3)),
        "'b' begins at byte 2",
    ),
    "tail": (raw({"a": entry("U8", [1], [0, 1])}, bytes(3)), "2 bytes lie behind"),
    "bool": (raw({"a": entry("BOOL", [2], [0, 2])}, b"\1\2"), "'a' is BOOL"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path: Path, name: str) -> None:
    data, message = HOSTILE[name]
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message) as caught:
        map_tensors(path)
    assert path.name in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_bfloat16_and_unaligned(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0, 3e38], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = {"u": entry("U8", [1], [0, 1]), "b": entry("BF16", [3], [1, 7]), "f": entry("F64", [1], [7, 15])}
    (tmp_path / "a").write_bytes(raw(header, b"\7" + halves + struct.pack("<d", 0.25)))
    arrays, _ = map_tensors(tmp_path / "a")
    np.testing.assert_array_equal(arrays["b"], (values.view(np.uint32) & 0xFFFF0000).view(np.float32))
    assert arrays["f"] == [0.25] and arrays["u"] == [7] and arrays["f"].flags.aligned


def read_or_refuse(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    tracemalloc.start()
    try:
        for array in map_tensors(path)[0].values():
            assert array.nbytes <= 2 * len(data)
    except FormatError as error:
        assert path.name in str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@quick
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes(tmp_path: Path, data: bytes, framed: bool) -> None:
    read_or_refuse(tmp_path / "f", raw(b"{" + data) if framed else data)


@settings(quick, max_examples=300)
@given(st.data())
def test_flips_and_truncations(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "f"
    save_file(
        {"a": np.arange(3, dtype=np.float32), "b": np.zeros((2, 0)), "c": np.ones(5, np.uint8)},
        path,
        {"k": "v"},
    )
    good = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    end = data.draw(st.one_of(st.just(len(good)), st.integers(0, len(good))))
    read_or_refuse(path, bytes(good[:end]))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_tensors(path, {"a": np.arange(3, dtype=np.float32), "b": np.ones(5, np.uint8)})
    good = path.read_bytes()
    for end in range(len(good)):
        path.write_bytes(good[:end])
        with pytest.raises(FormatError):
            map_tensors(path)
