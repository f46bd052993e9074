"""Every layout that earlier systems wrote, built here from its documentation alone, and what breaks it."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.store.interchange import read_interchange, write_v3

D = 5
LENGTHS = np.array([3, 1, 4, 2], np.int32)
T = int(LENGTHS.sum())
STARTS = np.cumsum(LENGTHS) - LENGTHS
DATA = np.frombuffer("naïve \U0001f600?"[:8].encode()[:T].ljust(T, b"!"), np.uint8)
RUNS = [slice(start, start + length) for start, length in zip(STARTS, LENGTHS, strict=True)]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).gamma(2.0, 3.0, shape).astype(np.float32)


def save(path: Path, arrays: dict[str, np.ndarray], **metadata: str) -> Path:
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, path, metadata or None)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.b.safetensors"


def v3(**change: np.ndarray | None) -> dict[str, np.ndarray]:
    arrays = {
        "bytes": DATA,
        "patch_lengths": LENGTHS,
        "entropies": random(T),
        "embeddings": random(4, D) - 5,
        "prominence": random(4),
        "patch_entropies": random(4, seed=1),
    }
    return {key: array for key, array in {**arrays, **change}.items() if array is not None}


def batched(**change: np.ndarray | None) -> dict[str, np.ndarray]:
    mask = np.zeros((1, T), np.int32)
    mask[0, STARTS] = 1
    arrays = {
        "embeddings": random(1, T, D) - 5,
        "prominence": random(1, T),
        "entropies": random(1, T, seed=1),
        "coherence_scores": random(1, T, seed=2),
        "patch_indices": STARTS.astype(np.int32),
        "patch_mask": mask,
    }
    return {key: array for key, array in {**arrays, **change}.items() if array is not None}


def hf(**change: np.ndarray | None) -> dict[str, np.ndarray]:
    arrays = batched(patch_mask=None)
    arrays |= {"tokens": DATA[None].astype(np.int32) + 4, "patch_lengths": LENGTHS}
    arrays |= {"mask": np.ones((1, T), np.int32)}
    return {key: array for key, array in {**arrays, **change}.items() if array is not None}


def offsets(**change: np.ndarray | None) -> dict[str, np.ndarray]:
    arrays = {
        "embeddings": random(4, D),
        "prominence": random(4),
        "entropies": random(4, seed=1),
        "bytes_offsets": np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64),
        "bytes_data": DATA,
    }
    return {key: array for key, array in {**arrays, **change}.items() if array is not None}


def pooled(values: np.ndarray, how=np.mean) -> np.ndarray:
    return np.array([how(values.astype(np.float64)[run], axis=0) for run in RUNS])


# Layouts


def test_v3_of_the_ingest(path: Path) -> None:
    arrays = v3()
    save(
        path, arrays, format="blt_patches_v3", num_patches="4", total_bytes=str(T), embed_dim=str(D),
        metadata_file="a.hypergraph.db",
    )  # fmt: skip
    found = read_interchange(path)
    assert (found.layout, found.unit, found.prominence_kind, len(found)) == ("v3", "patch", "declared", 4)
    np.testing.assert_array_equal(found.embeddings, arrays["embeddings"])
    np.testing.assert_array_equal(found.prominence, arrays["prominence"])
    np.testing.assert_array_equal(found.entropies, arrays["patch_entropies"])
    assert [bytes(found.data[run]) for run in RUNS] == [
        bytes(found.data[a:b]) for a, b in zip(found.starts, found.ends, strict=True)
    ]
    assert found.coherence is None
    assert found.metadata["metadata_file"] == "a.hypergraph.db"
    assert not any(key.startswith("note.") for key in found.metadata)


def test_v3_of_the_corpus_export(path: Path) -> None:
    arrays = v3(entropies=None)
    save(path, arrays, format="blt_patches_v3", embed_dim=str(D), n_patches="4", total_bytes=str(T))
    assert read_interchange(path).lengths.tolist() == LENGTHS.tolist()
    del arrays["bytes"], arrays["patch_lengths"]  # documents without bytes
    save(path, arrays, format="blt_patches_v3", embed_dim=str(D), n_patches="4", total_bytes="0")
    found = read_interchange(path)
    assert (found.layout, found.unit) == ("v3", "patch")
    assert found.data is None and found.lengths is None and found.starts is None
    np.testing.assert_array_equal(found.entropies, arrays["patch_entropies"])


def test_v3_without_metadata_takes_mean_byte_entropies_and_norms(path: Path) -> None:
    arrays = v3(patch_entropies=None, prominence=None)
    found = read_interchange(save(path, arrays))
    assert (found.layout, found.prominence_kind) == ("v3", "norm")
    np.testing.assert_allclose(found.prominence, np.linalg.norm(arrays["embeddings"], axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.entropies, pooled(arrays["entropies"]), rtol=1e-6)
    assert "mean" in found.metadata["note.entropies"]
    found = read_interchange(save(path, v3(patch_entropies=None, entropies=random(4, seed=9))))
    np.testing.assert_array_equal(found.entropies, random(4, seed=9))
    assert read_interchange(save(path, v3(patch_entropies=None, entropies=None))).entropies is None


def test_v3_bytes_behind_the_last_row_are_kept_and_noted(path: Path) -> None:
    longer = np.concatenate([DATA, DATA])
    found = read_interchange(save(path, v3(bytes=longer)))
    assert found.ends[-1] == T and len(found.data) == 2 * T
    assert found.metadata["note.patch_lengths"] == f"{T} bytes follow the last row"


def test_v3_that_reads_past_its_bytes_is_refused(path: Path) -> None:
    with pytest.raises(FormatError, match=f"patch_lengths sums to {T}, but there are {T - 1} bytes"):
        read_interchange(save(path, v3(bytes=DATA[:-1])))


def test_patches_v2(path: Path) -> None:
    arrays = v3(embeddings=None, prominence=None, patch_entropies=None)
    save(path, arrays, format="blt_patches_v2", num_patches="4", total_bytes=str(T), metadata_file="x")
    found = read_interchange(path)
    assert (found.layout, found.unit, found.prominence_kind) == ("patches_v2", "patch", "ones")
    assert found.embeddings is None and len(found) == 4
    assert found.prominence.tolist() == [1, 1, 1, 1]
    np.testing.assert_allclose(found.entropies, pooled(arrays["entropies"]), rtol=1e-6)
    np.testing.assert_array_equal(found.data, DATA)


def test_an_empty_patch_has_zero_entropy(path: Path) -> None:
    arrays = {"bytes": DATA, "patch_lengths": np.array([0, T, 0], np.int32), "entropies": random(T)}
    found = read_interchange(save(path, arrays))
    np.testing.assert_allclose(found.entropies, [0, arrays["entropies"].mean(), 0], rtol=1e-6)


def test_batched_bytes_are_pooled_to_patches(path: Path) -> None:
    arrays = batched()
    found = read_interchange(save(path, arrays, metadata_file="manual_input.hypergraph.db"))
    assert (found.layout, found.unit, found.prominence_kind) == ("batched", "patch", "declared")
    np.testing.assert_allclose(found.embeddings, pooled(arrays["embeddings"][0]), rtol=1e-6)
    np.testing.assert_array_equal(found.prominence, pooled(arrays["prominence"][0], np.max).astype("f4"))
    np.testing.assert_allclose(found.entropies, pooled(arrays["entropies"][0]), rtol=1e-6)
    np.testing.assert_allclose(found.coherence, pooled(arrays["coherence_scores"][0]), rtol=1e-6)
    assert found.data is None and found.lengths.tolist() == LENGTHS.tolist()
    rows = read_interchange(path, pool=False)
    assert rows.unit == "byte" and len(rows) == T and rows.lengths.tolist() == [1] * T
    np.testing.assert_array_equal(rows.embeddings, arrays["embeddings"][0])


def test_batched_needs_only_one_of_mask_and_indices(path: Path) -> None:
    both = read_interchange(save(path, batched())).embeddings.tolist()
    assert read_interchange(save(path, batched(patch_mask=None))).embeddings.tolist() == both
    assert read_interchange(save(path, batched(patch_indices=None))).embeddings.tolist() == both


def test_l0_counts_tokens_so_bytes_are_unknown(path: Path) -> None:
    found = read_interchange(save(path, batched(entropies=None, coherence_scores=None)))
    assert (found.layout, found.unit, len(found)) == ("l0", "patch", 4)
    assert found.entropies is None and found.lengths is None
    assert read_interchange(path, pool=False).unit == "byte"


@pytest.mark.parametrize("cut", [(0, 4), (4, 10), (5, 7), (8, 10), (9, 10)])
def test_a_part_keeps_global_indices_beside_a_local_mask(path: Path, cut: tuple[int, int]) -> None:
    arrays, part = batched(), slice(*cut)
    for key in arrays.keys() - {"patch_indices"}:
        arrays[key] = arrays[key][:, part]
    found = read_interchange(save(path, arrays))
    edges = sorted({cut[0], cut[1], *(start for start in STARTS if cut[0] < start < cut[1])})
    expected = [
        arrays["embeddings"][0, a - cut[0] : b - cut[0]].astype(np.float64).mean(axis=0)
        for a, b in zip(edges, edges[1:], strict=False)
    ]
    np.testing.assert_allclose(found.embeddings, expected, rtol=1e-6)
    assert ("note.patch_mask" in found.metadata) == (cut[0] not in STARTS)


def test_a_mask_that_contradicts_the_indices_is_refused(path: Path) -> None:
    mask = np.zeros((1, T), np.int32)
    mask[0, [0, 2, 4]] = 1
    with pytest.raises(FormatError, match="patch_mask is in contradiction to patch_indices"):
        read_interchange(save(path, batched(patch_mask=mask)))
    mask[:] = 1
    with pytest.raises(FormatError, match="contradiction"):
        read_interchange(save(path, batched(patch_mask=mask)))


def test_hf_bytes_come_from_the_tokens(path: Path) -> None:
    save(path, hf(), sample_id="7", embedding_dim=str(D), metadata_file="7.hypergraph.db")
    found = read_interchange(path)
    assert (found.layout, found.unit) == ("hf", "patch")
    np.testing.assert_array_equal(found.data, DATA)
    assert found.lengths.tolist() == LENGTHS.tolist()
    assert read_interchange(save(path, hf(patch_indices=None))).lengths.tolist() == LENGTHS.tolist()
    special = DATA[None].astype(np.int32) + 4
    special[0, [0, 9]] = [1, 2]  # BOS and EOS are rows but no bytes
    found = read_interchange(save(path, hf(tokens=special)))
    assert bytes(found.data) == bytes(DATA[1:-1])
    assert found.lengths.tolist() == [2, 1, 4, 1]


def test_offsets(path: Path) -> None:
    arrays = offsets()
    found = read_interchange(save(path, arrays))
    assert (found.layout, found.unit) == ("offsets", "patch")
    assert found.starts.tolist() == STARTS.tolist() and found.lengths.tolist() == LENGTHS.tolist()
    np.testing.assert_array_equal(found.data, DATA)
    np.testing.assert_array_equal(found.entropies, arrays["entropies"])


def test_plain_embeddings_and_extra_arrays(path: Path) -> None:
    embeddings = random(6, D)
    found = read_interchange(save(path, {"embeddings": embeddings, "sphere_coords": random(6, 3)}))
    assert (found.layout, found.unit, found.prominence_kind) == ("plain", "row", "norm")
    np.testing.assert_allclose(found.prominence, np.linalg.norm(embeddings, axis=1), rtol=1e-6)
    found = read_interchange(save(path, {"embeddings": embeddings[None], "prominence": random(1, 6)}))
    np.testing.assert_array_equal(found.embeddings, embeddings)
    assert found.prominence_kind == "declared"


def test_float32_rows_stay_mapped(path: Path) -> None:
    found = read_interchange(save(path, v3()))
    for array in (found.embeddings, found.data):
        assert not array.flags.owndata and not array.flags.writeable


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_float_widths_are_converted_and_noted(path: Path, dtype: str) -> None:
    wide = random(4, D).astype(dtype)
    found = read_interchange(save(path, {"embeddings": wide}))
    assert found.embeddings.dtype == np.float32
    np.testing.assert_array_equal(found.embeddings, wide.astype(np.float32))
    assert found.metadata["note.embeddings"] == f"converted from {dtype} to float32"


def raw_file(path: Path, header: object, data: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_bfloat16_is_converted_and_noted(path: Path) -> None:
    values = np.array([[1.5, -2.0], [0.25, 3.0]], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    entry = {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}
    found = read_interchange(raw_file(path, {"embeddings": entry}, halves.tobytes()))
    np.testing.assert_array_equal(found.embeddings, values)
    assert found.metadata["note.embeddings"] == "converted from bfloat16 to float32"


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path: Path, dtype: str, order: str) -> None:
    path, values = tmp_path / "a.npy", random(7, D)
    np.save(path, np.asarray(values.astype(dtype), order=order))
    found = read_interchange(path)
    assert (found.layout, found.unit) == ("plain", "row")
    np.testing.assert_array_equal(found.embeddings, values.astype(dtype).astype(np.float32))


def test_wide_integers_serve_as_lengths(path: Path) -> None:
    for dtype in (np.int64, np.uint32, np.uint64):
        found = read_interchange(save(path, v3(patch_lengths=LENGTHS.astype(dtype))))
        assert found.lengths.dtype == np.int64 and found.lengths.tolist() == LENGTHS.tolist()


def test_no_rows(path: Path) -> None:
    empty = {"embeddings": np.zeros((1, 0, D), np.float32), "patch_indices": np.zeros(0, np.int32)}
    for pool in (True, False):
        found = read_interchange(save(path, empty), pool=pool)
        assert len(found) == 0 and found.embeddings.shape == (0, D)


# Broken files: each of these names the file and the key


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed.reshape(-1)[-1] = value
    return changed


BROKEN = {
    "nan": (v3(embeddings=with_value(random(4, D), np.nan)), "embeddings, row 3, is NaN or infinite"),
    "infinite": (v3(prominence=with_value(random(4), np.inf)), "prominence, row 3"),
    "negative prominence": (v3(prominence=-random(4)), "prominence is as low as"),
    "negative entropy": (v3(patch_entropies=-random(4)), "patch_entropies is as low as"),
    "nan byte entropy": (batched(entropies=with_value(random(1, T), np.nan)), "entropies, row 9"),
    "too wide": (v3(embeddings=np.full((4, D), 1e300)), "too large for float32"),
    "norm overflow": ({"embeddings": np.full((2, D), 3e38, np.float32)}, "norm exceeds float32"),
    "integer embeddings": (v3(embeddings=np.ones((4, D), np.int32)), "embeddings is of dtype int32"),
    "rows": (v3(prominence=random(5)), r"prominence is of shape \[5\]; expected \[4\]"),
    "lengths count": (v3(patch_lengths=LENGTHS[:3]), "patch_lengths is of length 3; expected 4"),
    "negative length": (v3(patch_lengths=np.array([4, -1, 5, 2], np.int32)), "patch_lengths is as low as -1"),
    "float lengths": (v3(patch_lengths=LENGTHS.astype(np.float32)), "patch_lengths is of dtype float32"),
    "lengths wrap": (v3(patch_lengths=np.full(4, 1 << 62, np.int64)), "patch_lengths is as high as"),
    "lengths sum wraps": (
        v3(patch_lengths=np.full(4, (1 << 62) - 1, np.int64)),
        "patch_lengths is .* in sum",
    ),
    "unsigned wraps": (v3(patch_lengths=np.full(4, 2**64 - 1, np.uint64)), "patch_lengths is as high as"),
    "text bytes": (v3(bytes=DATA.astype(np.int32)), "bytes is of dtype int32"),
    "bytes alone": (v3(patch_lengths=None), "no patch_lengths"),
    "entropies": (v3(patch_entropies=None, entropies=random(T + 1)), "entropies is of length 11"),
    "batch of two": (batched(embeddings=random(2, T, D)), r"embeddings is of shape \[2, 10, 5\]"),
    "no width": ({"embeddings": np.zeros((3, 0), np.float32)}, "width"),
    "indices fall": (
        batched(patch_mask=None, patch_indices=np.array([0, 4, 3, 8], np.int32)),
        "not rising at 2",
    ),
    "indices outside": (batched(patch_mask=None, patch_indices=np.array([0, 10], np.int32)), "as high as 10"),
    "indices negative": (batched(patch_mask=None, patch_indices=np.array([-1, 4], np.int32)), "as low as -1"),
    "mask value": (batched(patch_mask=np.full((1, T), 2, np.int32)), "patch_mask is as high as 2"),
    "mask length": (batched(patch_mask=np.ones((1, T + 1), np.int32)), "patch_mask is of length 11"),
    "token": (hf(tokens=np.full((1, T), 260, np.int32)), "tokens is as high as 260"),
    "padding": (hf(mask=np.zeros((1, T), np.int32)), "mask is 0"),
    "hf lengths": (hf(patch_lengths=LENGTHS[::-1]), "contradiction"),
    "first offset": (offsets(bytes_offsets=np.array([1, 3, 4, 8, 10])), r"bytes_offsets\[0\] is 1"),
    "falling offset": (offsets(bytes_offsets=np.array([0, 5, 4, 8, 10])), "falling at row 1"),
    "far offset": (offsets(bytes_offsets=np.array([0, 3, 4, 8, 11])), "sums to 11"),
    "huge offset": (offsets(bytes_offsets=np.array([0, 3, 4, 8, 1 << 62])), "bytes_offsets is as high"),
    "offsets count": (offsets(bytes_offsets=np.array([0, 3, 10])), "of length 3; expected 5"),
    "no data": (offsets(bytes_data=None), "has no bytes_data"),
    "nothing known": ({"weight": random(3)}, "has no embeddings"),
    "scalar": ({"embeddings": np.float32(1).reshape(())}, "embeddings is of shape"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_content_is_named(path: Path, name: str) -> None:
    arrays, message = BROKEN[name]
    with pytest.raises(FormatError, match=message) as caught:
        read_interchange(save(path, arrays))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "metadata",
    [
        {"num_patches": "5"},
        {"n_patches": "3"},
        {"total_bytes": "9"},
        {"embed_dim": "768"},
        {"embed_dim": "x"},
    ],
)
def test_counts_in_the_metadata_must_be_true(path: Path, metadata: dict[str, str]) -> None:
    with pytest.raises(FormatError, match=f"metadata {next(iter(metadata))}"):
        read_interchange(save(path, v3(), format="blt_patches_v3", **metadata))


def test_a_newer_tag_is_refused(path: Path) -> None:
    with pytest.raises(FormatError, match="blt_patches_v4"):
        read_interchange(save(path, v3(), format="blt_patches_v4"))


def test_files_that_are_something_else(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_interchange(tmp_path / "none.safetensors")
    np.savez(tmp_path / "a.npz", random(3, 3))
    (tmp_path / "text").write_text("embeddings: 1 2 3")
    (tmp_path / "empty").touch()
    for name in ("a.npz", "text", "empty", "."):
        with pytest.raises(FormatError):
            read_interchange(tmp_path / name)


@pytest.mark.parametrize(
    "array",
    [
        np.ones(4),
        np.ones((2, 2), np.int64),
        np.array([[object()]]),
        np.ones((2, 2), "f4,f4"),
        np.ones((0, 0)),
    ],
    ids=["vector", "integers", "objects", "records", "empty"],
)
def test_npy_of_the_wrong_kind(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(FormatError, match="npy"):
        read_interchange(path)


@settings(max_examples=150, deadline=None)
@given(
    layout=st.sampled_from([v3, batched, hf, offsets]),
    at=st.floats(0, 1, exclude_max=True),
    mask=st.integers(1, 255),
    keep=st.floats(0, 1),
)
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, layout, at, mask, keep) -> None:
    """Flip bits anywhere in the header, and cut the file: never anything but a sound value or FormatError."""
    path = save(tmp_path_factory.mktemp("damaged") / "x.safetensors", layout())
    data = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    data[int(at * header)] ^= mask
    if keep < 0.3:
        data = data[: int(len(data) * keep * 3)]
    path.write_bytes(data)
    check_refused_or_sound(path)


@settings(max_examples=150, deadline=None)
@given(layout=st.sampled_from([v3, batched, hf, offsets]), data=st.data())
def test_any_values_are_read_or_refused(tmp_path_factory, layout, data) -> None:
    """One array replaced by arbitrary bytes of its own dtype and shape."""
    arrays = layout()
    key = data.draw(st.sampled_from(sorted(arrays)))
    raw = data.draw(st.binary(min_size=arrays[key].nbytes, max_size=arrays[key].nbytes))
    arrays[key] = np.frombuffer(raw, arrays[key].dtype).reshape(arrays[key].shape)
    check_refused_or_sound(save(tmp_path_factory.mktemp("values") / "x.safetensors", arrays))


@settings(max_examples=100, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.integers(0, 40))
def test_a_damaged_npy_is_read_or_refused(tmp_path_factory, at, value, cut) -> None:
    path = tmp_path_factory.mktemp("npy") / "x.npy"
    np.save(path, random(4, D))
    data = bytearray(path.read_bytes())
    data[int(at * 128)] = value
    path.write_bytes(data[: len(data) - cut])
    check_refused_or_sound(path)


def check_refused_or_sound(path: Path) -> None:
    for pool in (True, False):
        try:
            found = read_interchange(path, pool=pool)
        except FormatError as error:
            assert str(path) in str(error)
            continue
        assert found.embeddings is None or np.isfinite(found.embeddings).all()
        assert np.isfinite(found.prominence).all() and (found.prominence >= 0).all()
        for values in (found.entropies, found.coherence):
            assert values is None or (len(values) == len(found) and np.isfinite(values).all())
        if found.lengths is not None:
            assert len(found.lengths) == len(found) and (found.lengths >= 0).all()
        if found.data is not None:
            assert found.lengths.sum() <= len(found.data)


# Writing


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    rows=st.integers(0, 12),
    width=st.integers(1, 6),
    unit=st.sampled_from(["patch", "passage"]),
)
def test_what_is_written_is_read(tmp_path_factory, data, rows, width, unit) -> None:
    path = tmp_path_factory.mktemp("written") / "x.safetensors"
    floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
    embeddings = np.array(
        data.draw(st.lists(floats, min_size=rows * width, max_size=rows * width)), np.float32
    )
    lengths = np.array(data.draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)), np.int64)
    total = int(lengths.sum())
    stored = np.frombuffer(data.draw(st.binary(min_size=total, max_size=total)), np.uint8)
    kind = data.draw(st.sampled_from(["declared", "norm", "ones"]))
    entropies = random(rows, seed=3) if data.draw(st.booleans()) else None
    write_v3(
        path, embeddings=embeddings.reshape(rows, width), prominence=random(rows), patch_entropies=entropies,
        data=stored, lengths=lengths, 
        metadata={"unit": unit, "prominence_kind": kind, "note.x": "old", "k": "ü"},
    )  # fmt: skip
    found = read_interchange(path)
    assert (found.layout, found.unit, found.prominence_kind) == ("v3", unit, kind)
    np.testing.assert_array_equal(found.embeddings, embeddings.reshape(rows, width))
    np.testing.assert_array_equal(found.prominence, random(rows))
    np.testing.assert_array_equal(found.data, stored)
    np.testing.assert_array_equal(found.lengths, lengths)
    assert (found.entropies is None) == (entropies is None)
    assert found.entropies is None or found.entropies.tolist() == entropies.tolist()
    assert found.metadata["k"] == "ü" and "note.x" not in found.metadata
    for key, value in (("num_patches", rows), ("n_patches", rows), ("embed_dim", width)):
        assert found.metadata[key] == str(value)


def test_the_written_file_fits_the_older_readers(path: Path) -> None:
    """Names, dtypes and shapes as the sphere crate's loader wants them, seen by the format's own library."""
    from safetensors import safe_open

    write_v3(
        path, embeddings=random(4, D).astype(np.float64), prominence=[1, 2, 3, 4], data=bytes(DATA),
        patch_entropies=random(4), lengths=LENGTHS.tolist(),
    )  # fmt: skip
    with safe_open(path, framework="np") as file:
        about = {
            key: (file.get_slice(key).get_dtype(), file.get_slice(key).get_shape()) for key in file.keys()
        }
        assert file.metadata()["format"] == "blt_patches_v3"
    assert about == {
        "embeddings": ("F32", [4, D]),
        "prominence": ("F32", [4]),
        "patch_entropies": ("F32", [4]),
        "bytes": ("U8", [T]),
        "patch_lengths": ("I32", [4]),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": random(4)}, "embeddings have shape"),
        ({"embeddings": np.full((4, D), np.nan)}, "embeddings holds NaN"),
        ({"embeddings": np.full((4, D), 1e39)}, "too large for float32"),
        ({"embeddings": np.full((4, D), "a")}, "embeddings has dtype"),
        ({"prominence": random(3)}, "prominence has dtype"),
        ({"prominence": -random(4)}, "prominence is as low as"),
        ({"patch_entropies": np.array([1, np.nan, 1, 1])}, "patch_entropies holds NaN"),
        ({"lengths": None}, "together"),
        ({"lengths": LENGTHS[:3]}, "lengths have dtype"),
        ({"lengths": LENGTHS + 1}, "lengths sum to 14"),
        ({"lengths": np.array([-1, 5, 4, 2])}, "lengths reach from -1"),
        ({"lengths": np.array([1 << 31, 0, 0, 0])}, "lengths reach"),
        ({"data": DATA.astype(np.int8)}, "bytes have dtype"),
        ({"metadata": {"unit": "word"}}, "metadata unit"),
        ({"metadata": {"prominence_kind": "max"}}, "metadata prominence_kind"),
    ],
)
def test_what_cannot_be_written(path: Path, change: dict, message: str) -> None:
    fine = {"embeddings": random(4, D), "prominence": random(4), "data": DATA, "lengths": LENGTHS}
    with pytest.raises(InputError, match=message):
        write_v3(path, **{**fine, **change})
    assert not path.exists()


def test_pooling_in_blocks_equals_pooling_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    starts = np.flatnonzero(np.concatenate([[True], rng.random(499) < 0.3])).astype(np.int32)
    arrays = {"embeddings": random(1, 500, D), "patch_indices": starts, "entropies": random(1, 500)}
    save(path, arrays)
    whole = read_interchange(path)
    monkeypatch.setattr("thesphere.store.checked._BLOCK", 37)
    pieces = read_interchange(path)
    np.testing.assert_array_equal(whole.embeddings, pieces.embeddings)
    np.testing.assert_array_equal(whole.prominence, pieces.prominence)
    expected = [run.astype(np.float64).mean(axis=0) for run in np.split(arrays["embeddings"][0], starts[1:])]
    np.testing.assert_allclose(whole.embeddings, expected, rtol=1e-6)
    with pytest.raises(FormatError, match="embeddings, row 321,"):
        arrays["embeddings"][0, 321, 2] = np.nan
        read_interchange(save(path, arrays))
