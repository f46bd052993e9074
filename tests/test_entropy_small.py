"""The small entropy model: streams, causality, the same numbers without numkong and in JAX, and its weights."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from thesphere.cli.app import run
from thesphere.errors import FormatError, InputError
from thesphere.nn import integer
from thesphere.patches import small
from thesphere.patches.boundaries import byte_starts, calibrated
from thesphere.patches.entropy import EntropyModel, EntropyStream
from thesphere.patches.light import LightModel
from thesphere.patches.models import open_entropy_model
from thesphere.sphere import Sphere

WEIGHTS = Path(small.__file__).with_name("small.safetensors")
PROSE = (Path(__file__).parent / "data" / "harbour.txt").read_bytes()
MIXED = (
    PROSE[:700]
    + "def gehe(über):\n    return {'größe': 3.5}\n日本語の文章です。\n".encode() * 3
    + bytes(range(256))
    + b"\x00\x00<p class='a'>&amp;</p>\n" * 5
)


@pytest.fixture(scope="module")
def model() -> small.SmallModel:
    return small.shipped()


def edited(**changes: np.ndarray | None) -> bytes:
    """The shipped file with tensors replaced, added, or (None) left out."""
    tensors = load(WEIGHTS.read_bytes()) | changes
    return save({name: tensor for name, tensor in tensors.items() if tensor is not None})


def test_model_and_stream_are_what_the_library_expects(model: small.SmallModel) -> None:
    assert isinstance(model, EntropyModel) and isinstance(model.stream(), EntropyStream)
    assert open_entropy_model("small") is model and open_entropy_model(model.id) is model
    assert model.id == f"small-1-{small.SHA256[:12]}"
    assert open_entropy_model("light").id.startswith("light-")
    with pytest.raises(InputError, match="did you mean 'small'"):
        open_entropy_model("smal")


def test_range_and_type(model: small.SmallModel) -> None:
    entropies = model.entropies(MIXED)
    assert entropies.dtype == np.float32 and entropies.shape == (len(MIXED),)
    assert entropies.min() >= 0 and entropies.max() <= math.log(256) + 1e-6
    assert model.entropies(b"").shape == model.costs(b"").shape == (0,)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 500),
    st.integers(1, 1700),
    st.lists(st.sampled_from([0, 1, 2, 511, 512, 513]) | st.integers(0, 1300), max_size=8),
)
def test_any_cut_gives_the_same_entropies(begin: int, size: int, cuts: list[int]) -> None:
    data = (MIXED + PROSE)[begin : begin + size]
    stream, at, pieces = small.shipped().stream(), 0, []
    for cut in [*cuts, len(data)]:
        pieces.append(stream.push(data[at : at + cut]))
        at += cut
    np.testing.assert_array_equal(np.concatenate(pieces), small.shipped().entropies(data))


def test_threads_change_nothing(model: small.SmallModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THESPHERE_THREADS", "1")
    alone = model.entropies(MIXED + PROSE)
    monkeypatch.setenv("THESPHERE_THREADS", "2")
    np.testing.assert_array_equal(model.entropies(MIXED + PROSE), alone)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, len(MIXED) - 1), st.binary(min_size=1, max_size=40))
def test_nothing_is_known_of_later_bytes(at: int, other: bytes) -> None:
    whole = small.shipped().entropies(MIXED)
    changed = small.shipped().entropies(MIXED[:at] + other)
    np.testing.assert_array_equal(changed[:at], whole[:at])


def test_costs_are_of_the_distributions_that_the_entropies_are_of(model: small.SmallModel) -> None:
    """Every byte in turn after one prefix: exp(-cost) sums to 1, and the mean cost is the entropy."""
    prefix = PROSE[:90]
    last = np.array([model.costs(prefix + bytes([b]))[-1] for b in range(256)], np.float64)
    assert np.exp(-last).sum() == pytest.approx(1, abs=1e-5)
    entropy = model.entropies(prefix)[-1]
    assert (np.exp(-last) * last).sum() == pytest.approx(entropy, abs=1e-4)


def test_products_without_numkong_are_the_same(
    model: small.SmallModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integer, "numkong_is_exact", lambda: False)
    plain = small.SmallModel(WEIGHTS.read_bytes())
    np.testing.assert_array_equal(plain.entropies(MIXED), model.entropies(MIXED))
    assert plain.id == model.id


def test_matrix_products_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for size in (1, 7, 513):
        levels = rng.integers(-127, 128, (33, 768)).astype(np.int8)
        rows = np.where(rng.random((size, 768)) < 0.5, 127, -127).astype(np.int8)
        expected = rows.astype(np.int64) @ levels.T.astype(np.int64)
        for compiled in (integer.numkong_is_exact(), False):
            monkeypatch.setattr(integer, "numkong_is_exact", lambda answer=compiled: answer)
            np.testing.assert_array_equal(integer.Matrix(levels, np.ones(33, np.float32))(rows), expected)


def test_it_reads_english_better_than_the_light_model_thinks_it_does(model: small.SmallModel) -> None:
    """Real cost of coding against the light model's own expectation, which is no lower than its cost."""
    bits = model.costs(PROSE).mean(dtype=np.float64) / np.log(2)
    light = LightModel().entropies(PROSE).mean(dtype=np.float64) / np.log(2)
    assert bits < 2.1 < light
    assert abs(model.entropies(PROSE).mean(dtype=np.float64) / np.log(2) - bits) < 0.4


def test_patches_begin_where_words_begin(model: small.SmallModel) -> None:
    entropies = model.entropies(PROSE)
    starts = byte_starts(entropies, calibrated(entropies, 8))
    assert 7 < len(PROSE) / len(starts) < 9
    raw = np.frombuffer(PROSE, np.uint8)
    after_blank = np.isin(raw[starts[1:] - 1], [10, 32]).mean()
    assert after_blank > 2.5 * np.isin(raw, [10, 32]).mean()


def test_jax_computes_the_same_network(model: small.SmallModel) -> None:
    """Equal to 1e-5 nat until a level lies so near to a half that another order of additions rounds it the other
    way; such a level moves what follows by hundredths of a nat. So the beginning is compared entry by entry, the
    rest by its median and means."""
    jax = pytest.importorskip("jax")
    from thesphere.nn.recurrent import forward, parameters_of
    from thesphere.train.lanes import describe_all, pack

    shape, parameters = parameters_of(load(WEIGHTS.read_bytes()))
    data = PROSE[:512]
    byte, begins = pack([data])
    text = describe_all(byte, begins, model.lookup)
    told = [part[None, : len(data) + 1] for part in (text.byte, text.known, text.expected, text.second)]
    logits, _ = jax.jit(lambda *told: forward(parameters, shape, *told))(*told)
    logs = np.asarray(jax.nn.log_softmax(logits[0]), np.float64)
    entropies = -(np.exp(logs) * logs).sum(1)[1:]
    costs = -logs[np.arange(len(data)), byte[1 : len(data) + 1]]
    difference = np.abs(model.entropies(data) - entropies)
    assert difference[:8].max() < 1e-5
    assert np.median(difference) < 0.01 and difference.mean() < 0.03
    assert abs(model.costs(data).mean() - costs.mean()) < 0.01


def test_damaged_or_missing_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = bytearray(WEIGHTS.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "small.safetensors").write_bytes(damaged)
    small.shipped.cache_clear()
    monkeypatch.setattr(small, "__file__", str(tmp_path / "small.py"))
    with pytest.raises(FormatError, match=r"small\.safetensors is damaged.*reinstall"):
        small.shipped()
    (tmp_path / "small.safetensors").unlink()
    with pytest.raises(FormatError, match=r"small\.safetensors cannot be read \(No such file"):
        small.shipped()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"norm": None}, "'norm' and 'begins'"),
        ({"output": None}, "missing or too many: output"),
        ({"extra": np.zeros(1, np.float32)}, "missing or too many: extra"),
        ({"bias": np.full(256, np.nan, np.float32)}, "bias holds NaN"),
        ({"output": np.zeros((256, 128), np.int8)}, r"output is int8 \[256, 128\]; int8 \[256, 256\]"),
        ({"output": np.zeros((256, 256), np.int16)}, r"output is int16"),
        ({"begins": np.arange(8)[::-1].copy()}, "'begins' gives tables"),
        ({"norm": np.ones(250, np.float32)}, "width 250 cannot be run"),
    ],
)
def test_other_weights_are_refused(changes: dict[str, np.ndarray | None], told: str) -> None:
    with pytest.raises(FormatError, match=told):
        small.SmallModel(edited(**changes), "weights")


def test_what_is_no_safetensors_is_refused() -> None:
    with pytest.raises(FormatError, match="cannot be read as safetensors"):
        small.SmallModel(b"not weights")


def test_other_weights_are_another_model(model: small.SmallModel) -> None:
    bias = load(WEIGHTS.read_bytes())["bias"] + np.float32(1) * (np.arange(256) == 32)
    other = small.SmallModel(edited(bias=bias.astype(np.float32)))
    assert other.id != model.id
    assert not np.array_equal(other.entropies(PROSE), model.entropies(PROSE))


def test_collections_keep_their_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ingest, search, ask again with the other model: the round trip through the command."""
    notes, into = tmp_path / "harbour.txt", str(tmp_path / "notes.sphere")
    notes.write_bytes(PROSE)
    assert run(["ingest", str(notes), "--into", into, "--encoder", "none", "--entropy", "small"]) == 0
    assert run(["ingest", str(notes), "--into", into, "--entropy", "light"]) == 1
    assert "was made with entropy small-1-" in capsys.readouterr().err
    assert run(["search", into, "boots left on the lowest step", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"]
    with Sphere.open(into) as sphere:
        assert sphere.settings.entropy == small.shipped().id
        entropies, starts = sphere.entropy_along("harbour.txt", len(PROSE))
    np.testing.assert_array_equal(entropies, small.shipped().entropies(PROSE))
    assert set(byte_starts(entropies, calibrated(entropies, 8)).tolist()) <= set(starts.tolist())
