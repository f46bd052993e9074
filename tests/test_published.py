"""The published entropy model: streams, files of both families, the hub's cache, and what is wrong with files."""

import hashlib
import json
import math
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from thesphere.errors import FormatError, InputError, MissingExtra, NotFoundError, SphereError
from thesphere.nn.checkpoint import find_checkpoint
from thesphere.nn.published import Settings, read_settings
from thesphere.patches import published
from thesphere.patches.entropy import EntropyModel, EntropyStream
from thesphere.patches.models import open_entropy_model
from thesphere.patches.published import PublishedModel, is_published, open_published

pytest.importorskip("jax")
ml_dtypes = pytest.importorskip("ml_dtypes")

PARITY = Path(__file__).parent / "data" / "blt_parity"
PROSE = (Path(__file__).parent / "data" / "harbour.txt").read_bytes()
SIZES = Settings(dim=16, layers=2, heads=2, kv_heads=2, hidden=256, window=32)
ARGS = {
    "dim": 16,
    "n_layers": 2,
    "n_heads": 2,
    "sliding_window": 32,
    "vocab_size": 260,
    "weight_tying": False,
}
LIBRARY = {
    "attention.wq": "self_attn.q_proj", "attention.wk": "self_attn.k_proj", "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj", "feed_forward.w1": "mlp.gate_proj", "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj", "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm", "tok_embeddings": "embed_tokens",
}  # fmt: skip


def tensors() -> dict[str, np.ndarray]:
    """Random weights that float16 holds exactly."""
    rng = np.random.default_rng(0)
    return {
        name: (rng.normal(0, 1, shape) / math.sqrt(shape[-1]) + (len(shape) == 1)).astype(np.float16)
        for name, shape in SIZES.tensors().items()
    }


def library_name(name: str) -> str:
    for ours, theirs in LIBRARY.items():
        name = name.replace(ours, theirs)
    return "lm_head.weight" if name == "output.weight" else name


def written(folder: Path, config: object = None, **changes: np.ndarray | None) -> Path:
    """A folder in the original layout with tensors replaced, added, or (None) left out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"args": ARGS} if config is None else config))
    made = tensors() | {name.replace("__", "."): tensor for name, tensor in changes.items()}
    save_file({name: t for name, t in made.items() if t is not None}, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PublishedModel:
    return open_published(written(tmp_path_factory.mktemp("weights") / "model"))


def test_model_and_stream_are_what_the_library_expects(model: PublishedModel) -> None:
    assert isinstance(model, EntropyModel) and isinstance(model.stream(), EntropyStream)
    kept, _, place = model.id.partition(":")
    assert kept.startswith("blt-1-") and Path(place).is_absolute()
    assert open_entropy_model(place) is open_entropy_model(model.id) is model
    assert not any(is_published(name) for name in ("light", "small", "light-1"))
    assert all(is_published(name) for name in (model.id, place, "owner/name"))


def test_range_and_type(model: PublishedModel) -> None:
    data = PROSE[:300] + bytes(range(256))
    entropies = model.entropies(data)
    assert entropies.dtype == np.float32 and entropies.shape == (len(data),)
    assert entropies.min() >= 0 and entropies.max() <= math.log(260) + 1e-6
    assert model.entropies(b"").shape == model.costs(b"").shape == (0,)
    assert model.embed(b"").logits.shape == (0, 260)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 1400),
    st.lists(st.sampled_from([0, 1, 2, 31, 32, 33, 511, 512, 513]) | st.integers(0, 900), max_size=6),
)
def test_any_cut_gives_the_same_entropies(model: PublishedModel, size: int, cuts: list[int]) -> None:
    data = PROSE[:size]
    stream, at, pieces = model.stream(), 0, [np.empty(0, np.float32)]
    for cut in [*cuts, len(data)]:
        pieces.append(stream.push(data[at : at + cut]))
        at += cut
    np.testing.assert_array_equal(np.concatenate(pieces), model.entropies(data))


def test_batches_change_nothing(model: PublishedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, costs = model.entropies(PROSE), model.costs(PROSE)
    monkeypatch.setattr(published, "BATCH", 700)
    np.testing.assert_array_equal(model.entropies(PROSE), whole)
    np.testing.assert_array_equal(model.costs(PROSE), costs)


def test_costs_and_embeddings_are_of_the_same_distributions(model: PublishedModel) -> None:
    data = PROSE[:700]
    out = model.embed(data)
    np.testing.assert_allclose(out.entropies, model.entropies(data), rtol=0, atol=1e-5)
    wide = out.logits.astype(np.float64)
    logs = wide - np.log(np.exp(wide).sum(1, keepdims=True))
    following = np.frombuffer(data, np.uint8)[1:].astype(int) + 4
    np.testing.assert_allclose(
        model.costs(data)[1:], -logs[np.arange(len(data) - 1), following], rtol=0, atol=1e-5
    )
    first = [model.costs(bytes([byte]))[0] for byte in range(0, 256, 5)]
    assert 0.1 < np.exp(-np.array(first, np.float64)).sum() * 5 < 1.5 and np.ptp(first) > 0.5


def test_every_layout_of_the_files_is_the_same_model(model: PublishedModel, tmp_path: Path) -> None:
    made, places = tensors(), []
    renamed = {library_name(name): tensor for name, tensor in made.items()}
    patcher = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 256,
        "sliding_window": 32,
    }  # fmt: skip

    def place(name: str, config: str, given: dict) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / config).write_text(json.dumps(given))
        places.append(folder)
        return folder

    save_file(
        renamed,
        place("patcher", "config.json", patcher | {"model_type": "blt_patcher"}) / "model.safetensors",
    )
    whole = {f"model.patcher.{name}": tensor for name, tensor in renamed.items()}
    whole |= {
        "model.encoder.norm.weight": np.ones(3, np.int32),
        "model.patcher.rotary_emb.inv_freq": np.ones(4),
    }
    given = {"model_type": "blt", "patcher_config": patcher | {"rope_parameters": {"rope_theta": 10000.0}}}
    save_file(whole, place("whole", "config.json", given) / "model.safetensors")

    names = sorted(whole)
    shards = place("shards", "config.json", given)
    listed = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(names)}
    for part in set(listed.values()):
        save_file({name: whole[name] for name in names if listed[name] == part}, shards / part)
    (shards / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))

    inner = place("big/entropy_model", "params.json", {"entropy_model": ARGS | {"max_length": 8192}})
    save_file(
        {name: tensor.astype(np.float32) for name, tensor in made.items()}, inner / "consolidated.safetensors"
    )
    places[-1] = inner.parent

    file = written(tmp_path / "file") / "other.safetensors"
    (file.parent / "model.safetensors").rename(file)
    for path in [*places, file]:
        other = open_published(path)
        assert other.id.partition(":")[0] == model.id.partition(":")[0], path
        assert other.id.endswith(f":{path}")
        np.testing.assert_array_equal(other.entropies(PROSE[:50]), model.entropies(PROSE[:50]))


def test_the_id_tells_precision_and_settings(model: PublishedModel, tmp_path: Path) -> None:
    short = open_published(model.id.partition(":")[2], precision="bfloat16")
    kept = short.id.partition(":")[0]
    assert kept == model.id.partition(":")[0] + "-bfloat16" and open_published(short.id) is short
    other = open_published(written(tmp_path, {"args": ARGS | {"norm_eps": 1e-6}}))
    assert other.id.partition(":")[0] != model.id.partition(":")[0]
    rounded = {name.replace(".", "__"): t.astype(ml_dtypes.bfloat16) for name, t in tensors().items()}
    brain = open_published(written(tmp_path / "brain", **rounded))
    exact = {name: t.astype(np.float32) for name, t in rounded.items()}
    assert brain.id.split(":")[0] == open_published(written(tmp_path / "exact", **exact)).id.split(":")[0]


def test_other_weights_behind_an_id_are_noticed(tmp_path: Path) -> None:
    kept = open_published(written(tmp_path)).id
    written(tmp_path, norm__weight=np.full(16, 2, np.float16))
    with pytest.raises(FormatError, match="are not those of blt-1-.* SHA-256"):
        open_entropy_model(kept)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(NotFoundError, match="no weights"):
        open_entropy_model(kept)
    with pytest.raises(InputError, match="another version of thesphere"):
        open_entropy_model(kept.replace("blt-1", "blt-9"))


def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str = "c0ffee") -> Path:
    """A cache as the hub's tools lay it out; the weights are a link to a blob named by its SHA-256."""
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "models--owner--blt-entropy"
    weights = written(folder / "snapshots" / revision) / "model.safetensors"
    blob = folder / "blobs" / hashlib.sha256(weights.read_bytes()).hexdigest()
    blob.parent.mkdir(exist_ok=True)
    weights.rename(blob)
    weights.symlink_to(blob)
    return folder


def test_the_hub_cache_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hub(tmp_path, monkeypatch)
    found = open_entropy_model("owner/blt-entropy")
    assert found.id.endswith(":owner/blt-entropy") and open_entropy_model(found.id) is found
    hub(tmp_path, monkeypatch, "0ther")
    with pytest.raises(NotFoundError, match="no folder owner/blt-entropy and no model of that name"):
        open_published("owner/blt-entropy")  # which of the two?
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("c0ffee")
    assert open_published("owner/blt-entropy").id == found.id
    blob = next((folder / "blobs").iterdir())
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x01")
    with pytest.raises(FormatError, match="is damaged, its SHA-256"):
        open_published("owner/blt-entropy")


def test_the_hub_cache_lies_where_its_tools_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert published.hub_cache() == Path.home() / ".cache" / "huggingface" / "hub"
    for name, value, expected in [
        ("XDG_CACHE_HOME", "/x", "/x/huggingface/hub"),
        ("HF_HOME", "/y", "/y/hub"),
        ("HF_HUB_CACHE", "/z", "/z"),
    ]:
        monkeypatch.setenv(name, value)
        assert published.hub_cache() == Path(expected)


def test_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "empty").mkdir()
    (tmp_path / "no_weights").mkdir()
    (tmp_path / "no_weights" / "config.json").write_text(json.dumps({"args": ARGS}))
    for name, told in [
        ("owner/name", "fetch the model first"),
        (str(tmp_path / "gone"), "no such file or folder"),
        (str(tmp_path / "empty"), "holds no settings"),
        (str(tmp_path / "no_weights"), "holds no weights"),
    ]:
        one_line(NotFoundError, told, name)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"norm__weight": None}, "lacks norm.weight"),
        (
            {"layers__1__attention__wq__weight": None, "output__weight": None},
            "lacks layers.1.attention.wq.weight, out",
        ),
        (
            {"layers__2__ffn_norm__weight": np.ones(16, np.float32)},
            "besides the model, layers.2.ffn_norm.weight",
        ),
        ({f"extra{i}": np.ones(2, np.float32) for i in range(5)}, "extra0, extra1, extra2 and 2 more"),
        (
            {"lm_head__weight": np.ones((260, 16), np.float32)},
            "besides the model, (output|lm_head).weight .a second",
        ),
        ({"norm__weight": np.ones(15, np.float32)}, r"norm.weight is F32 \[15\]; F32 or BF16 or F16 \[16\]"),
        ({"output__weight": np.ones((16, 260), np.float32)}, r"output.weight is F32 \[16, 260\]"),
        ({"norm__weight": np.ones(16, np.int8)}, r"norm.weight is I8 \[16\]"),
        ({"norm__weight": np.ones(16, np.float64)}, r"norm.weight is F64 \[16\]"),
        ({"norm__weight": np.full(16, np.nan, np.float16)}, "norm.weight holds NaN"),
        ({"norm__weight": np.full(16, np.inf, ml_dtypes.bfloat16)}, "norm.weight holds NaN or infinity"),
    ],
)
def test_wrong_weights_are_told_in_one_line(tmp_path: Path, changes: dict, told: str) -> None:
    one_line(FormatError, told, written(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_heads": 3}, "3 heads do not divide a width of 16"),
        ({"n_heads": 16}, "heads are 1 wide"),
        ({"n_heads": 0}, "heads is 0"),
        ({"n_kv_heads": 3}, "3 heads of keys and values do not divide 2 heads"),
        ({"n_layers": -1}, "layers is -1"),
        ({"n_layers": True}, "layers is True"),
        ({"n_layers": None}, "layers is None"),
        ({"dim": "16"}, "byte-latent entropy model"),
        ({"dim": 1e3}, "dim is 1000.0"),
        ({"sliding_window": 0}, "window is 0"),
        ({"rope_theta": -1}, "theta is -1"),
        ({"norm_eps": math.nan}, "epsilon is nan"),
        ({"vocab_size": 50257}, "vocab_size is 50257; 260 was expected"),
        ({"weight_tying": True}, "weight_tying is True; False was expected"),
        ({"attn_bias_type": "prefix"}, "attn_bias_type is 'prefix'"),
        ({"head_dim": 4}, "head_dim is 4; 8 was expected"),
        ({"multiple_of": "x"}, "byte-latent entropy model"),
    ],
)
def test_impossible_settings_are_told_in_one_line(tmp_path: Path, changes: dict, told: str) -> None:
    one_line(FormatError, told, written(tmp_path, {"args": ARGS | changes}))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ([], "JSON list"),
        ({}, "lacks 'dim'"),
        ({"model_type": "llama", "hidden_size": 16}, "lacks 'dim'"),
        ({"args": 3}, "byte-latent entropy model"),
        ({"model_type": "blt", "patcher_config": {"hidden_act": "gelu"}}, "hidden_act is 'gelu'"),
        (
            {"model_type": "blt", "patcher_config": {"rope_scaling": {"rope_type": "yarn"}}},
            "rope_type is 'yarn'",
        ),
        ({"model_type": "blt", "patcher_config": [1]}, "byte-latent entropy model"),
    ],
)
def test_other_settings_are_told_in_one_line(tmp_path: Path, config: object, told: str) -> None:
    one_line(FormatError, told, written(tmp_path, config))


def test_damaged_files_are_told_in_one_line(tmp_path: Path) -> None:
    folder = written(tmp_path / "cut")
    data = (folder / "model.safetensors").read_bytes()
    for broken in (b"", data[:100], data[:-10], b"\xff" * 50):
        (folder / "model.safetensors").write_bytes(broken)
        one_line(FormatError, "cannot be read as safetensors", folder)
    (folder / "config.json").write_text("{")
    one_line(FormatError, "cannot be read as JSON", folder)
    shards = written(tmp_path / "shards")
    (shards / "model.safetensors").unlink()
    for index in ({"weight_map": [1]}, {"weight_map": {"norm.weight": 1}}):
        (shards / "model.safetensors.index.json").write_text(json.dumps(index))
        one_line(FormatError, "no 'weight_map'", shards)
    (shards / "model.safetensors.index.json").write_text(
        '{"weight_map": {"norm.weight": "gone.safetensors"}}'
    )
    one_line(FormatError, "gone.safetensors cannot be read", shards)
    (shards / "weights.gguf").write_bytes(b"GGUF")
    one_line(FormatError, "is no file of weights", shards / "weights.gguf")


def test_published_defaults_are_filled_in(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    for config in (
        {"args": {"dim": 768, "n_layers": 14, "n_heads": 12, "n_kv_heads": None, "sliding_window": None}},
        {"entropy_model": {"dim": 768, "n_layers": 14, "n_heads": 12, "ffn_dim_multiplier": 1.0}},
        {"model_type": "blt"},
        {"model_type": "blt_patcher", "rope_theta": 10000.0},
    ):
        file.write_text(json.dumps(config))
        assert read_settings(file) == Settings(), config
    file.write_text(
        json.dumps({"dim": 96, "n_layers": 1, "n_heads": 2, "ffn_dim_multiplier": 1.3, "multiple_of": 32})
    )
    assert read_settings(file).hidden == 352  # 256 -> 332.8 -> the next multiple of 32


def test_too_little_memory_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_free_memory", lambda: 1 << 15)
    one_line(InputError, "GiB of memory are needed and .* GiB are free", written(tmp_path))
    monkeypatch.undo()
    assert 1 << 25 < published._free_memory() < 1 << 45


def test_a_device_without_room_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import jax.numpy as jnp

    def full(*_: object) -> None:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating 4 bytes")

    monkeypatch.setattr(jnp, "asarray", full)
    one_line(InputError, "does not fit on the device: RESOURCE_EXHAUSTED: Out of memory$", written(tmp_path))


def test_weights_that_overflow_are_told_in_one_line(tmp_path: Path) -> None:
    huge = open_published(written(tmp_path, output__weight=np.full((260, 16), 3e38, np.float32)))
    with pytest.raises(FormatError, match="numbers beyond float32"):
        huge.entropies(b"text")


def test_torch_files_need_torch_and_are_never_executed(
    model: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without torch one line; with a stand-in for it, weights alone are asked for and read."""
    folder = written(tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "consolidated.pth").write_bytes(b"pickle")
    monkeypatch.setitem(sys.modules, "torch", None)
    one_line(InputError, "torch is not installed: install it, or convert the file to safetensors", folder)

    class Tensor:
        def __init__(self, array: np.ndarray) -> None:
            self.array, self.shape, self.dtype = array, array.shape, "half"

        def float(self) -> "Tensor":
            return Tensor(self.array.astype(np.float32))

        def numpy(self) -> np.ndarray:
            return self.array

    content: object = {"model": {name: Tensor(array) for name, array in tensors().items()}}
    asked = []

    def load(path: Path, **how: object) -> object:
        asked.append(how)
        if isinstance(content, Exception):
            raise content
        return content

    stand_in = types.SimpleNamespace(
        load=load, Tensor=Tensor, float32="float", bfloat16="brain", float16="half"
    )
    monkeypatch.setitem(sys.modules, "torch", stand_in)
    found = open_published(folder)
    assert asked == [{"map_location": "cpu", "weights_only": True}]
    np.testing.assert_array_equal(found.entropies(PROSE[:50]), model.entropies(PROSE[:50]))
    published._loaded.cache_clear()
    for content, told in [  # noqa: B007 - `load` reads it
        (ValueError("unsafe\nglobals"), "cannot be read as torch weights alone: unsafe$"),
        ([1], "holds no dictionary of tensors"),
        ({"optimizer": 1}, "holds no dictionary of tensors"),
    ]:
        one_line(FormatError, told, folder)


@pytest.mark.filterwarnings("ignore")  # other people's
def test_torch_files_are_read(model: PublishedModel, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    folder = written(tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save({"model": {n: torch.from_numpy(t) for n, t in tensors().items()}}, folder / "consolidated.pth")
    assert open_published(folder).id.partition(":")[0] == model.id.partition(":")[0]
    torch.save({"model": Path("anything")}, folder / "consolidated.pth")
    one_line(FormatError, "cannot be read as torch weights alone", folder)


def test_without_jax_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "thesphere.nn.transformer", raising=False)
    monkeypatch.setitem(sys.modules, "jax", None)
    one_line(MissingExtra, r"pip install 'thesphere\[jax\]'", written(tmp_path))


def test_the_committed_parity_files_are_small() -> None:
    assert sum(file.stat().st_size for file in PARITY.iterdir()) <= 100_000
    assert find_checkpoint(PARITY).settings.kv_heads == 2
    assert load_file(PARITY / "expected.safetensors")["logits"].shape[1] == 260


def one_line(kind: type[SphereError], told: str, name: str | Path) -> None:
    published._loaded.cache_clear()
    with pytest.raises(kind, match=told) as caught:
        open_published(name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
