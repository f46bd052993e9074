"""The entropy models small and large: streams, causality, the same numbers without numkong, near ones in JAX,
and their weights."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from safetensors.numpy import load, save

from thesphere.cli.app import run
from thesphere.errors import FormatError, InputError
from thesphere.nn import integer, packed, tiles
from thesphere.patches import recurrent
from thesphere.patches.boundaries import byte_starts, calibrated
from thesphere.patches.entropy import EntropyModel, EntropyStream
from thesphere.patches.light import LightModel
from thesphere.patches.models import open_entropy_model
from thesphere.sphere import Sphere

NAMES = tuple(recurrent.SHA256)
PROSE = (Path(__file__).parent / "data" / "harbour.txt").read_bytes()
MIXED = (
    PROSE[:700]
    + "def gehe(über):\n    return {'größe': 3.5}\n日本語の文章です。\n".encode() * 3
    + bytes(range(256))
    + b"\x00\x00<p class='a'>&amp;</p>\n" * 5
)


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> recurrent.RecurrentModel:
    return recurrent.shipped(request.param)


def name_of(model: recurrent.RecurrentModel) -> str:
    return model.id.partition("-")[0]


def edited(name: str, **changes: np.ndarray | None) -> bytes:
    """The shipped file with tensors replaced, added, or (None) left out."""
    tensors = load(recurrent.path_of(name).read_bytes()) | changes
    return save({name: tensor for name, tensor in tensors.items() if tensor is not None})


def test_model_and_stream_are_what_the_library_expects(model: recurrent.RecurrentModel) -> None:
    assert isinstance(model, EntropyModel) and isinstance(model.stream(), EntropyStream)
    name = name_of(model)
    assert open_entropy_model(name) is model and open_entropy_model(model.id) is model
    assert model.id == f"{name}-1-{recurrent.SHA256[name][:12]}"
    assert open_entropy_model("light").id.startswith("light-")
    with pytest.raises(InputError, match="did you mean 'large'"):
        open_entropy_model("larg")
    with pytest.raises(InputError, match="large-1-0123456789ab belongs to another version"):
        open_entropy_model("large-1-0123456789ab")


def test_range_and_type(model: recurrent.RecurrentModel) -> None:
    entropies = model.entropies(MIXED)
    assert entropies.dtype == np.float32 and entropies.shape == (len(MIXED),)
    assert entropies.min() >= 0 and entropies.max() <= math.log(256) + 1e-6
    assert model.entropies(b"").shape == model.costs(b"").shape == (0,)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.integers(0, 500),
    st.integers(1, 1700),
    st.lists(st.sampled_from([0, 1, 2, 255, 256, 257, 512]) | st.integers(0, 1300), max_size=8),
)
def test_any_cut_gives_the_same_entropies(name: str, begin: int, size: int, cuts: list[int]) -> None:
    data = (MIXED + PROSE)[begin : begin + size]
    stream, at, pieces = recurrent.shipped(name).stream(), 0, []
    for cut in [*cuts, len(data)]:
        pieces.append(stream.push(data[at : at + cut]))
        at += cut
    np.testing.assert_array_equal(np.concatenate(pieces), recurrent.shipped(name).entropies(data))


def test_threads_change_nothing(model: recurrent.RecurrentModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THESPHERE_THREADS", "1")
    alone = model.entropies(MIXED + PROSE)
    for threads in ("2", "5"):
        monkeypatch.setenv("THESPHERE_THREADS", threads)
        np.testing.assert_array_equal(model.entropies(MIXED + PROSE), alone)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, len(MIXED) - 1), st.binary(min_size=1, max_size=40))
def test_nothing_is_known_of_later_bytes(name: str, at: int, other: bytes) -> None:
    whole = recurrent.shipped(name).entropies(MIXED)
    changed = recurrent.shipped(name).entropies(MIXED[:at] + other)
    np.testing.assert_array_equal(changed[:at], whole[:at])


def test_costs_are_of_the_distributions_that_the_entropies_are_of(model: recurrent.RecurrentModel) -> None:
    """Every byte in turn after one prefix: exp(-cost) sums to 1, and the mean cost is the entropy."""
    prefix = PROSE[:90]
    last = np.array([model.costs(prefix + bytes([b]))[-1] for b in range(256)], np.float64)
    assert np.exp(-last).sum() == pytest.approx(1, abs=1e-5)
    entropy = model.entropies(prefix)[-1]
    assert (np.exp(-last) * last).sum() == pytest.approx(entropy, abs=1e-4)


@pytest.mark.parametrize("way", packed.ways())
def test_the_same_by_other_products(
    model: recurrent.RecurrentModel, way: packed.Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a processor for which no products are compiled."""
    expected = model.entropies(MIXED + PROSE)
    monkeypatch.setattr(integer, "right_side", lambda levels: packed.Packed(levels, way))
    for name in ("enter", "block", "leave"):
        kernel = getattr(integer, name)
        monkeypatch.setattr(integer, name, getattr(kernel, "py_func", kernel))
    assert_fresh_model_gives(expected, model)


@pytest.mark.skipif(not tiles.tiles_allowed(), reason="no tiles here: the kernels use lanes anyway")
def test_the_same_without_tiles(model: recurrent.RecurrentModel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = model.entropies(MIXED + PROSE)
    monkeypatch.setattr(integer, "tiles_allowed", lambda: False)
    assert_fresh_model_gives(expected, model)


def assert_fresh_model_gives(expected: np.ndarray, model: recurrent.RecurrentModel) -> None:
    name = name_of(model)
    other = recurrent.RecurrentModel(recurrent.path_of(name).read_bytes(), name=name)
    np.testing.assert_array_equal(other.entropies(MIXED + PROSE), expected)
    assert other.id == model.id


def test_matrix_products_are_exact() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 7, 513):
        levels = rng.integers(-127, 128, (33, 768)).astype(np.int8)
        rows = np.where(rng.random((size, 768)) < 0.5, 127, -127).astype(np.int8)
        expected = rows.astype(np.int64) @ levels.T.astype(np.int64)
        matrix, room = integer.Matrix(levels, np.ones(33, np.float32)), np.empty((size, 33), np.int32)
        np.testing.assert_array_equal(matrix(rows), expected)
        assert matrix(rows, room) is room
        np.testing.assert_array_equal(room, expected)


def test_levels_and_powers_are_those_of_their_definitions() -> None:
    """Largest elements, halves, signs; e^x against float64, and its two ends."""

    @njit
    def quantised(row, levels):
        return integer._quantise(row, levels, 0)

    @njit
    def powers(x, out):
        for i in range(len(x)):
            out[i] = integer._exp(x[i])

    rng = np.random.default_rng(1)
    for row in (rng.normal(size=48), np.arange(-8, 8) / 2, np.array([127.0, 0.5, 1.5, 2.5, -0.5, -1.5])):
        row, levels = row.astype(np.float32), np.empty((1, len(row)), np.int8)
        size = quantised(row, levels)
        assert size == np.abs(row).max() / np.float32(127)
        up = np.float32(127) / np.abs(row).max()
        np.testing.assert_array_equal(levels[0], np.rint(row * up).astype(np.int8))
    x = np.concatenate([np.linspace(-87, 87, 4001), [-1e30, 1e30]]).astype(np.float32)
    out = np.empty_like(x)
    powers(x, out)
    np.testing.assert_allclose(out, np.exp(np.clip(x, -87, 87).astype(np.float64)), rtol=3e-7)


def test_it_reads_english_better_than_the_light_model_thinks_it_does(model: recurrent.RecurrentModel) -> None:
    """Real cost of coding against the light model's own expectation, which is no lower than its cost."""
    bits = model.costs(PROSE).mean(dtype=np.float64) / np.log(2)
    light = LightModel().entropies(PROSE).mean(dtype=np.float64) / np.log(2)
    assert bits < 2.1 < light
    assert abs(model.entropies(PROSE).mean(dtype=np.float64) / np.log(2) - bits) < 0.4


def test_patches_begin_where_words_begin(model: recurrent.RecurrentModel) -> None:
    entropies = model.entropies(PROSE)
    starts = byte_starts(entropies, calibrated(entropies, 8))
    assert 7 < len(PROSE) / len(starts) < 9
    raw = np.frombuffer(PROSE, np.uint8)
    after_blank = np.isin(raw[starts[1:] - 1], [10, 32]).mean()
    assert after_blank > 2.5 * np.isin(raw, [10, 32]).mean()


def test_large_reads_better_than_small() -> None:
    small, large = (
        recurrent.shipped(name).costs(PROSE).mean(dtype=np.float64) for name in ("small", "large")
    )
    assert large < small


@pytest.mark.parametrize("name", NAMES)
def test_jax_computes_the_same_network(name: str) -> None:
    """Equal to 1e-5 nat until a level lies so near to a half that another order of additions rounds it the other
    way; such a level moves what follows by hundredths of a nat. So the beginning is compared entry by entry, the
    rest by its median and means."""
    pytest.importorskip("jax")
    from thesphere.patches.device import DeviceModel

    model, data = recurrent.shipped(name), PROSE[:900]
    device = DeviceModel(model, recurrent.path_of(name).read_bytes(), piece=128)
    assert isinstance(device, EntropyModel) and isinstance(device.stream(), EntropyStream)
    entropies = device.entropies(data)
    difference = np.abs(model.entropies(data) - entropies)
    assert difference[:8].max() < 1e-5
    assert np.median(difference) < 0.01 and difference.mean() < 0.03
    assert abs(model.costs(data).mean() / device.costs(data).mean() - 1) < 0.005
    assert entropies.dtype == np.float32 and device.entropies(b"").shape == (0,)
    stream, at, pieces = device.stream(), 0, []
    for cut in (0, 1, 126, 1, 127, 128, 300, 900):  # the zero byte before a source counts
        pieces.append(stream.push(data[at : at + cut]))
        at += cut
    np.testing.assert_array_equal(np.concatenate(pieces), entropies)


def test_models_on_a_device_are_opened_by_name_and_id() -> None:
    pytest.importorskip("jax")
    model = open_entropy_model("small-jax")
    assert model.id == f"{recurrent.shipped('small').id}-jax" and open_entropy_model(model.id) is model


@pytest.mark.parametrize("name", NAMES)
def test_damaged_or_missing_weights_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = f"{name}.safetensors"
    damaged = bytearray(recurrent.path_of(name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / file).write_bytes(damaged)
    monkeypatch.setattr(recurrent, "__file__", str(tmp_path / "recurrent.py"))
    unread = recurrent.shipped.__wrapped__
    with pytest.raises(FormatError, match=rf"{name}\.safetensors is damaged.*reinstall"):
        unread(name)
    (tmp_path / file).unlink()
    with pytest.raises(FormatError, match=rf"{name}\.safetensors cannot be read \(No such file"):
        unread(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"norm": None}, "'norm' and 'begins'"),
        ({"output": None}, "missing or too many: output"),
        ({"extra": np.zeros(1, np.float32)}, "missing or too many: extra"),
        ({"bias": np.full(256, np.nan, np.float32)}, "bias holds NaN"),
        ({"output": np.zeros((256, 64), np.int8)}, r"output is int8 \[256, 64\]; int8 \[256, (128|512)\]"),
        ({"output.scale": np.ones(256, np.float64)}, r"output\.scale is float64"),
        ({"begins": np.arange(8)[::-1].copy()}, "'begins' gives tables"),
        ({"norm": np.ones(250, np.float32)}, "width 250 cannot be run"),
    ],
)
def test_other_weights_are_refused(name: str, changes: dict[str, np.ndarray | None], told: str) -> None:
    with pytest.raises(FormatError, match=told):
        recurrent.RecurrentModel(edited(name, **changes), "weights")


def test_weights_of_another_size_are_refused() -> None:
    """A matrix of small in the place of one of large."""
    other = load(recurrent.path_of("small").read_bytes())["0.in"]
    with pytest.raises(FormatError, match=r"0\.in is int8 \[384, 128\]; int8 \[1536, 512\] was expected"):
        recurrent.RecurrentModel(edited("large", **{"0.in": other}), "weights")


def test_what_is_no_safetensors_is_refused() -> None:
    with pytest.raises(FormatError, match="cannot be read as safetensors"):
        recurrent.RecurrentModel(b"not weights")


def test_other_weights_are_another_model() -> None:
    model, bias = recurrent.shipped(), load(recurrent.path_of("small").read_bytes())["bias"]
    bias = bias + np.float32(1) * (np.arange(256) == 32)
    other = recurrent.RecurrentModel(edited("small", bias=bias.astype(np.float32)), name="small")
    assert other.id != model.id
    assert not np.array_equal(other.entropies(PROSE), model.entropies(PROSE))


@pytest.mark.parametrize("name", NAMES)
def test_collections_keep_their_model(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ingest, search, ask again with another model: the round trip through the command."""
    notes, into = tmp_path / "harbour.txt", str(tmp_path / "notes.sphere")
    notes.write_bytes(PROSE)
    assert run(["ingest", str(notes), "--into", into, "--encoder", "none", "--entropy", name]) == 0
    assert run(["ingest", str(notes), "--into", into, "--entropy", "light"]) == 1
    assert f"was made with entropy {name}-1-" in capsys.readouterr().err
    assert run(["search", into, "boots left on the lowest step", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"]
    with Sphere.open(into) as sphere:
        assert sphere.settings.entropy == recurrent.shipped(name).id
        entropies, starts = sphere.entropy_along("harbour.txt", len(PROSE))
    np.testing.assert_array_equal(entropies, recurrent.shipped(name).entropies(PROSE))
    assert set(byte_starts(entropies, calibrated(entropies, 8)).tolist()) <= set(starts.tolist())
