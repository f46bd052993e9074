"""The sphere encoders: rows of their own texts alone, the same without numkong and in JAX, and their weights."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from thesphere.cli.app import run
from thesphere.encoders import cuts, kernels, open_encoder, sphere
from thesphere.encoders.joining import Joining
from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.nn import packed
from thesphere.nn.grams import Rows
from thesphere.nn.sphere_shape import SphereShape, random_weights
from thesphere.nn.tiles import tiles_allowed
from thesphere.nn.weights import WEIGHTS
from thesphere.sphere import Sphere
from thesphere.sphere.batch import encode_in_threads

DEEP = SphereShape(
    width=96,
    layers=3,
    heads=6,
    cones=2,
    hidden=160,
    rows=Rows(700, 900, 40),
    table=32,
    shells=16,
    embedding=64,
)
FLAT = SphereShape(
    width=64, layers=2, heads=0, hidden=0, reach=3, rows=Rows(500, 600, 20), table=16, shells=8, embedding=48
)
SHAPES = {"sphere": DEEP, "sphere-light": FLAT}
PROSE = (Path(__file__).parent / "data" / "harbour.txt").read_bytes()
TEXTS = [
    PROSE,
    b"",
    PROSE[:200],
    b" \n\t ",
    "def gehe(über): return {'größe': 3.5}  # 日本語の文章です。 Привет, κόσμε! ".encode() * 3,
    bytes(range(256)),
    b"\xff\xfe\x80 cut \xe6\x97",
    b"x",
    PROSE * 3,
]
LONG = 8  # of TEXTS, more than one window


def weights(kind: str, seed: int = 1, **changes: Any) -> bytes:
    """A file with random weights, with tensors replaced, added, or (None) left out."""
    tensors: dict[str, Any] = random_weights(SHAPES[kind], seed) | changes
    return save({name: tensor for name, tensor in tensors.items() if tensor is not None})


@pytest.fixture(scope="module", params=list(SHAPES))
def encoder(request: pytest.FixtureRequest) -> sphere.SphereEncoder:
    return sphere.load_sphere(weights(request.param), request.param, "here", "here")


@pytest.fixture(scope="module")
def rows(encoder: sphere.SphereEncoder) -> np.ndarray:
    return encoder.encode(TEXTS)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def test_rows(encoder: sphere.SphereEncoder, rows: np.ndarray) -> None:
    assert rows.shape == (len(TEXTS), encoder.width) and rows.dtype == np.float32
    blank = [not text.strip() for text in TEXTS]
    np.testing.assert_array_equal(np.linalg.norm(rows, axis=1) == 0, blank)
    assert encoder.encode([]).shape == (0, encoder.width)
    assert encoder.state() == {} and encoder.storage == "float32" and encoder.norm_meaning
    assert isinstance(encoder.joining, Joining)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, len(TEXTS) - 1), max_size=12))
def test_a_row_does_not_know_its_company(
    encoder: sphere.SphereEncoder, rows: np.ndarray, order: list[int]
) -> None:
    np.testing.assert_array_equal(encoder.encode([TEXTS[i] for i in order]), rows[order])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_any_bytes(encoder: sphere.SphereEncoder, texts: list[bytes]) -> None:
    found = encoder.encode(texts)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[-1], encoder.encode(texts[-1:])[0])
    assert len(encoder.describe(texts[0]).at) > 0 or not found[0].any()


def test_batches_and_threads_change_nothing(
    encoder: sphere.SphereEncoder, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: encoder.encode([text])[0], TEXTS * 3))
    np.testing.assert_array_equal(found, np.tile(rows, (3, 1)))
    monkeypatch.setenv("THESPHERE_THREADS", "2")
    many = [text for text in TEXTS if len(text) < 600] * 50
    np.testing.assert_array_equal(encode_in_threads(encoder, many), encoder.encode(many))
    for batch in (1, 40, 1000):
        monkeypatch.setattr(cuts, "BATCH", batch)
        np.testing.assert_array_equal(encoder.encode(TEXTS), rows)


@pytest.mark.parametrize("way", packed.ways())
def test_same_rows_by_other_products(
    encoder: sphere.SphereEncoder, rows: np.ndarray, way: packed.Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "ways", lambda: [way])
    plain = sphere.SphereEncoder(encoder.id, encoder.shape, encoder.tensors)
    np.testing.assert_array_equal(plain.encode(TEXTS), rows)


def test_same_rows_without_tiles(
    encoder: sphere.SphereEncoder, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sphere, "tiles_allowed", lambda: False)
    np.testing.assert_array_equal(encoder.encode(TEXTS), rows)


def test_description(encoder: sphere.SphereEncoder, rows: np.ndarray) -> None:
    shape = encoder.shape
    for i, text in enumerate(TEXTS):
        found = encoder.describe(text)
        count = len(found.at)
        assert found.embeddings.shape == (count, shape.embedding) and found.prominence.shape == (count,)
        assert found.shells.shape == (count, shape.shells) and found.cones.shape == (count, shape.cones)
        assert found.shell.shape == (count,)
        assert (np.diff(found.at) > 0).all() and (found.prominence > 0).all()
        if not text.strip():
            assert count == 0
            continue
        assert found.at[0] == 0 and found.at[-1] < len(text)
        for each in (found.shells, found.cones):
            np.testing.assert_allclose(each.sum(1), 1, rtol=1e-5)
        assert cosines(found.embeddings.mean(0), rows[i]) > 0.999
        np.testing.assert_allclose(
            np.linalg.norm(found.embeddings.mean(0)), np.linalg.norm(rows[i]), rtol=0.02
        )
    assert len(encoder.describe(TEXTS[LONG]).at) > 256


def test_long_texts(encoder: sphere.SphereEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TEXTS[LONG] * 3 + b"x" * 700 + "ж".encode() * 400
    whole = encoder.describe(text)
    monkeypatch.setattr(cuts, "PIECE", 300)
    pieces = list(cuts.pieces(text))
    assert b"".join(pieces) == text and all(0 < len(piece) <= 300 for piece in pieces)
    assert all(piece[-1:] in b" \n" for piece in pieces[:10])
    pieces[-1].decode()  # between characters
    cut = encoder.describe(text)
    blanks = 3 * len(TEXTS[LONG])  # the same patches wherever there are blanks to cut behind
    np.testing.assert_array_equal(cut.at[cut.at < blanks], whole.at[whole.at < blanks])
    np.testing.assert_array_equal(encoder.encode([b"a", text, b"b"])[1], encoder.encode([text])[0])
    assert cosines(cut.embeddings.mean(0), encoder.encode([text])[0]) > 0.999


@pytest.mark.parametrize("counts", [[], [0], [3, 0, 300, 256, 1000, 1, 1, 90], [257], [60, 60, 60, 0]])
def test_windows_tile_the_patches_evenly(counts: list[int]) -> None:
    begins = np.cumsum([0, *counts])
    found = list(cuts.windows(begins))
    edges = [edge for first, _ in found for edge in first[1:].tolist()]
    assert [first[0] for first, _ in found] == [0, *(first[-1] for first, _ in found[:-1])][: len(found)]
    sizes, owners = np.diff([0, *edges]), [each for _, owner in found for each in owner.tolist()]
    np.testing.assert_array_equal(
        np.bincount(owners, sizes, len(counts)) if owners else sizes, counts if owners else []
    )
    for text, count in enumerate(counts):
        own = sizes[np.array(owners, int) == text] if owners else sizes
        assert len(own) == -(-count // 256) and (count == 0 or own.max() - own.min() <= 1)
    assert all(first[-1] - first[0] <= cuts.BATCH or len(first) == 2 for first, _ in found)


@pytest.mark.parametrize("tiles", sorted({False, tiles_allowed()}))
def test_attention_against_float64(tiles: bool) -> None:
    rng = np.random.default_rng(3)
    begins, cones, heads, width = np.array([0, 1, 40, 200, 217]), 2, 3, 32
    count, columns = 217, (3 + 2) * 2 * 32
    sums = rng.integers(-20000, 20000, (count, columns)).astype(np.int32)
    sizes = rng.uniform(0.5, 1.5, count).astype(np.float32) * np.float32(1e-4)
    scale = rng.uniform(0.5, 1.5, columns).astype(np.float32)
    slope = np.array([0.5, 0.1, 0, 2, 0.01, 0.003], np.float32)
    levels, out = np.empty((count, 192), np.int8), np.empty(count, np.float32)
    kernels.attend(sums, sizes, scale, slope, begins, cones, tiles, levels, out)
    x = sums * sizes.astype(np.float64)[:, None] * scale
    expected = np.zeros((count, 192))
    for first, last in zip(begins[:-1], begins[1:], strict=True):
        place = np.arange(last - first)
        for head in range(6):
            key = 192 + head // 3 * width
            q, k, v = (x[first:last, at : at + width] for at in (head * width, key, key + cones * width))
            logits = q @ k.T / np.sqrt(width) - slope[head] * abs(place[:, None] - place)
            e = np.exp(logits - logits.max(1, keepdims=True))
            expected[first:last, head * width : head * width + width] = e @ v / e.sum(1, keepdims=True)
    assert heads == 3 and cosines(levels * out[:, None], expected).min() > 0.999


def test_pooling_and_projection_against_float64() -> None:
    rng = np.random.default_rng(4)
    h, p = rng.normal(size=(50, 32)).astype(np.float32), rng.uniform(0, 2, 50).astype(np.float32)
    begins, owner = np.array([0, 20, 21, 50]), np.array([0, 2, 2])
    pooled = np.zeros((3, 32), np.float32)
    kernels.pool(h, p, begins, owner, pooled)
    weighted = np.float64(h) * p[:, None]
    expected = np.stack([weighted[:20].sum(0), np.zeros(32), weighted[20:].sum(0)])
    np.testing.assert_allclose(pooled, expected, atol=1e-5)
    matrix, out = rng.normal(size=(32, 9)).astype(np.float32), np.empty((3, 9), np.float32)
    kernels.project(pooled, np.array([20, 0, 30]), matrix, out)
    np.testing.assert_allclose(out, expected / [[20], [1], [30]] @ matrix, atol=1e-5)


def test_parity_with_jax(encoder: sphere.SphereEncoder) -> None:
    jax = pytest.importorskip("jax")
    from thesphere.nn import grams
    from thesphere.nn import sphere as network

    shape, parameters, rarity = network.parameters_of(encoder.tensors)
    text = PROSE[:700] + TEXTS[4]
    found = grams.patches(np.frombuffer(text, np.uint8), np.array([0, len(text)]), shape.rows)
    count = len(found.at)
    gram = np.full((count, np.diff(found.gram_begins).max()), -1, np.int32)
    for i in range(count):
        own = found.gram[found.gram_begins[i] : found.gram_begins[i + 1]]
        gram[i, : len(own)] = own
    words = network.Words(found.word, gram, np.int32(found.size), np.int32(rarity[found.word].max(1)))
    spare = 5  # places that are not used
    distinct, symbol = np.pad(np.arange(count), (0, spare)), np.pad(found.symbol, (0, spare))
    windows = network.Windows(distinct[None], symbol[None], np.array([count]))

    def expect(parameters):  # type: ignore[no-untyped-def]
        found = network.forward(parameters, shape, words, network.word_vectors(parameters, words), windows)
        heads = (
            head(parameters, found) for head in (network.patch_embeddings, network.shells, network.cones)
        )
        return found.passages, found.prominence, *heads

    passages, prominence, embeddings, shells, cones = (
        np.asarray(each)[0].astype(np.float64) for each in jax.jit(expect)(parameters)
    )
    described = encoder.describe(text)
    assert cosines(encoder.encode([text])[0], passages) > 0.999
    assert cosines(described.embeddings, embeddings[:count]).mean() > 0.999
    assert abs(np.log(described.prominence / prominence[:count])).mean() < 0.05
    for mine, logits in ((described.shells, shells), (described.cones, cones)):
        e = np.exp(logits - logits.max(1, keepdims=True))[:count]
        assert abs(mine - e / e.sum(1, keepdims=True)).mean() < 0.01


def broken(kind: str) -> dict[str, tuple[bytes, str]]:
    """Files that are no weights of `kind`, and what is said of them."""
    good: dict[str, Any] = random_weights(SHAPES[kind], 1)
    nan, wide = good["norm"].copy(), np.zeros((3, 3), np.int8)
    nan[5] = np.nan
    return {
        "no file at all": (b"weights", "safetensors"),
        "cut short": (weights(kind)[:-10], "safetensors"),
        "nothing in it": (save({}), "no sphere encoder"),
        "a tensor missing": (weights(kind, place=None), "place"),
        "a scale missing": (save({name: good[name] for name in good if name != "raw.scale"}), "raw.scale"),
        "one too many": (weights(kind, extra=wide), "extra"),
        "another shape": (save(good | {"0.out": wide}), "0.out"),
        "another type": (weights(kind, place=good["place"].astype(np.float64)), "place"),
        "a table of floats": (weights(kind, table=good["table"].astype(np.float32)), "table"),
        "not a number": (weights(kind, norm=nan), "norm"),
        "infinite": (save(good | {"raw.scale": good["raw.scale"] * np.float32(np.inf)}), "raw.scale"),
        "rows that are none": (weights(kind, rows=np.array([0, 1, 1])), "cannot be run"),
        "a shell that is none": (weights(kind, rarity=good["rarity"] + np.uint8(100)), "shell"),
        "no columns": (
            save(good | {"raw": good["raw"][:0], "raw.scale": good["raw.scale"][:0]}),
            "nothing is in raw",
        ),
        "an odd width": (
            save(random_weights(SphereShape(width=36, heads=0, layers=1, rows=Rows(9, 9, 9)), 0)),
            "cannot be run",
        ),
    }


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("case", broken("sphere"))
def test_wrong_weights_are_told_in_one_line(kind: str, case: str, tmp_path: Path) -> None:
    data, said = broken(kind)[case]
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)
    with pytest.raises(FormatError) as error:
        open_encoder(f"{kind}:{path}")
    assert str(path) in str(error.value) and said in str(error.value) and "\n" not in str(error.value)


def test_weights_that_overflow() -> None:
    huge = np.full(FLAT.width, 3e38, np.float32)
    one = sphere.load_sphere(weights("sphere-light", norm=huge), "sphere-light", "huge", "here")
    for call in (lambda: one.encode([b"some words"]), lambda: one.describe(b"some words")):
        with np.errstate(all="ignore"), pytest.raises(FormatError, match="overflow"):
            call()


def test_too_little_memory(encoder: sphere.SphereEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(Sequence):
        def __len__(self) -> int:
            return 1 << 50

        def __getitem__(self, at):  # type: ignore[no-untyped-def]
            return b""

    with pytest.raises(InputError, match="too little memory"):
        encoder.encode(Endless())

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(sphere.grams, "patches", full)
    with pytest.raises(InputError, match="too little memory"):
        encoder.describe(b"some words")
    monkeypatch.setattr(sphere, "load", full)
    with pytest.raises(InputError, match="too little memory"):
        sphere.load_sphere(weights("sphere"), "sphere", "here", "here")


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, folder = weights("sphere"), tmp_path / "run:1"
    folder.mkdir()
    path = folder / WEIGHTS
    path.write_bytes(data)
    opened = open_encoder(f"sphere:{folder}")
    assert opened.id == f"sphere/{sphere.VERSION}-{hashlib.sha256(data).hexdigest()[:12]}:{path}"
    again = open_encoder(opened.id)
    assert again.id == opened.id
    np.testing.assert_array_equal(again.encode(TEXTS[:3]), opened.encode(TEXTS[:3]))
    with pytest.raises(FormatError, match="open sphere:"):
        open_encoder(f"sphere-light:{path}")
    with pytest.raises(InputError, match="lacks the weights"):
        open_encoder("sphere:")
    with pytest.raises(NotFoundError, match="cannot be read"):
        open_encoder(f"sphere:{tmp_path / 'none'}")
    path.write_bytes(weights("sphere", seed=2))
    with pytest.raises(FormatError, match="other weights"):
        open_encoder(opened.id)
    monkeypatch.setattr(sphere, "MOST_BYTES", 100)
    with pytest.raises(FormatError, match="at most 100"):
        open_encoder(f"sphere:{path}")


def test_in_a_collection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, text, home = tmp_path / "own.safetensors", tmp_path / "a.txt", tmp_path / "own.sphere"
    path.write_bytes(weights("sphere-light"))
    text.write_bytes(PROSE)
    with Sphere.create(home, encoder=f"sphere-light:{path}") as made:
        made.ingest(text)
        assert made.encoder is not None and made.encoder.id.endswith(str(path))
        assert made.search("harbour", vectors=True).hits
    path.unlink()
    assert run(["search", str(home), "harbour", "--vectors"]) == 1
    said = capsys.readouterr().err.strip()
    assert "own.safetensors cannot be read" in said and "\n" not in said


def test_shipped_weights_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = weights("sphere-light")
    (tmp_path / "sphere_light.safetensors").write_bytes(data)
    monkeypatch.setattr(sphere, "__file__", str(tmp_path / "sphere.py"))
    monkeypatch.setitem(sphere.SHA256, "sphere-light", hashlib.sha256(data).hexdigest())
    sphere.shipped.cache_clear()
    try:
        opened = open_encoder("sphere-light")
        assert opened is open_encoder(opened.id)
        assert opened.id == f"sphere-light/{sphere.VERSION}-{sphere.SHA256['sphere-light'][:12]}"
        with pytest.raises(InputError, match="not what this version has"):
            open_encoder(f"sphere-light/{sphere.VERSION}-000000000000")
        with pytest.raises(InputError, match="did you mean 'sphere-light'"):
            open_encoder("sphere-ligt")
        sphere.shipped.cache_clear()
        (tmp_path / "sphere_light.safetensors").write_bytes(data[:-1] + b"!")
        with pytest.raises(FormatError, match="damaged"):
            open_encoder("sphere-light")
        (tmp_path / "sphere_light.safetensors").unlink()
        with pytest.raises(FormatError, match="reinstall"):
            open_encoder("sphere-light")
    finally:
        sphere.shipped.cache_clear()


@pytest.mark.parametrize("kind", [kind for kind, sha256 in sphere.SHA256.items() if sha256])
def test_what_is_shipped(kind: str) -> None:
    one = open_encoder(kind)
    rows = one.encode(
        [b"The ship lies in the harbour.", b"A boat is moored in port.", b"Bake it for an hour."]
    )
    assert one.width == 384 and np.isfinite(rows).all()
    assert cosines(rows[0], rows[1]) > cosines(rows[0], rows[2])
    assert len(load(Path(sphere.__file__).with_name(f"{kind.replace('-', '_')}.safetensors").read_bytes()))
