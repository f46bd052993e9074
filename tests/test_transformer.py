"""The byte-latent transformer against a dense float64 reference, against what the transformers library says, and
against that library itself where it is installed."""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from thesphere.errors import InputError
from thesphere.nn.checkpoint import find_checkpoint
from thesphere.nn.published import Settings
from thesphere.patches import boundaries
from thesphere.patches.published import open_published, read_weights

pytest.importorskip("jax")

from thesphere.nn.transformer import EOS, ModelOutput, Transformer  # noqa: E402

PARITY = Path(__file__).parent / "data" / "blt_parity"
TINY = Settings(dim=24, layers=2, heads=6, kv_heads=3, hidden=40, window=7)


def random_tensors(shape: Settings, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights with which entropies range widely and all parts matter."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, sizes in shape.tensors().items():
        spread = 0.3 if len(sizes) == 1 else 2 / math.sqrt(sizes[-1])
        made[name] = (rng.normal(0, spread, sizes) + (len(sizes) == 1)).astype(np.float32)
    return made


@cache
def _network() -> Transformer:
    return Transformer(TINY, random_tensors(TINY))


def dense(
    shape: Settings, tensors: dict[str, np.ndarray], tokens: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(logits, residual stream) in float64, one token and one head at a time, positions from 0 on."""
    w = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    size, d, group = len(tokens), shape.head_dim, shape.heads // shape.kv_heads

    def rms(x, gain):
        return x / np.sqrt((x**2).mean() + shape.epsilon) * gain

    def turn(x, place):
        turned = np.empty(d)
        for i in range(d // 2):
            angle = place * shape.theta ** (-2 * i / d)
            turned[2 * i] = x[2 * i] * math.cos(angle) - x[2 * i + 1] * math.sin(angle)
            turned[2 * i + 1] = x[2 * i] * math.sin(angle) + x[2 * i + 1] * math.cos(angle)
        return turned

    h = w["tok_embeddings.weight"][tokens]
    for layer in range(shape.layers):
        p = {n.removeprefix(f"layers.{layer}."): t for n, t in w.items() if n.startswith(f"layers.{layer}.")}
        u = np.array([rms(row, p["attention_norm.weight"]) for row in h])
        q, k, v = (u @ p[f"attention.w{kind}.weight"].T for kind in "qkv")
        mixed = np.zeros((size, shape.dim))
        for i in range(size):
            first = max(0, i - shape.window + 1)
            ends = [j for j in range(first, i) if tokens[j] == EOS]
            near = range(ends[-1] + 1 if ends else first, i + 1)
            for head in range(shape.heads):
                own, theirs = slice(head * d, head * d + d), slice(head // group * d, head // group * d + d)
                asked = turn(q[i, own], i)
                scores = np.array([asked @ turn(k[j, theirs], j) for j in near]) / math.sqrt(d)
                shares = np.exp(scores - scores.max())
                mixed[i, own] = shares / shares.sum() @ v[list(near), theirs]
        h = h + mixed @ p["attention.wo.weight"].T
        u = np.array([rms(row, p["ffn_norm.weight"]) for row in h])
        gate = u @ p["feed_forward.w1.weight"].T
        h = (
            h
            + (gate / (1 + np.exp(-gate)) * (u @ p["feed_forward.w3.weight"].T))
            @ p["feed_forward.w2.weight"].T
        )
    return np.array([rms(row, w["norm.weight"]) for row in h]) @ w["output.weight"].T, h


@pytest.mark.parametrize("chunk", [1, 21])
def test_window_documents_and_grouped_heads_are_those_of_a_dense_reference(chunk: int) -> None:
    tensors = random_tensors(TINY)
    tokens = np.random.default_rng(1).integers(0, 260, 50)
    tokens[[0, 5, 6, 20, 33]] = EOS
    out = Transformer(TINY, tensors, chunk=chunk).forward_with_embeddings(tokens)
    logits, h = dense(TINY, tensors, tokens)
    np.testing.assert_allclose(out.logits, logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(out.pre_norm_embeddings, h, rtol=0, atol=1e-4)
    norms = np.linalg.norm(h, axis=1)
    np.testing.assert_allclose(out.embedding_norms, norms, rtol=1e-5)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    entropies = -(shares * np.log(shares)).sum(1)
    np.testing.assert_allclose(out.entropies, entropies, rtol=0, atol=2e-5)
    np.testing.assert_allclose(out.coherence_scores, norms**2 / (entropies + 1e-6), rtol=1e-4)
    assert all(part.dtype == np.float32 for part in out)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 39), st.integers(0, 259))
def test_a_token_reaches_no_further_than_the_windows_of_all_layers(at: int, other: int) -> None:
    network, tokens = _network(), np.random.default_rng(2).integers(4, 260, 40)
    changed = tokens.copy()
    changed[at] = other if other != EOS else 3  # an EOS would change whom later tokens see
    one, two = (network.forward_with_embeddings(each).logits for each in (tokens, changed))
    reach = at + TINY.layers * (TINY.window - 1)
    np.testing.assert_array_equal(one[:at], two[:at])
    np.testing.assert_array_equal(one[reach + 1 :], two[reach + 1 :])
    if other != tokens[at] and other != EOS:
        assert (one[at] != two[at]).any()


def test_nothing_passes_the_end_of_a_document() -> None:
    network, rng = _network(), np.random.default_rng(3)
    first, second = rng.integers(4, 260, 14), rng.integers(4, 260, 11)
    together = network.forward_with_embeddings(np.concatenate([first, [EOS], second]))
    alone = network.forward_with_embeddings(second)  # positions count on, which changes rounding alone
    np.testing.assert_allclose(together.logits[15:], alone.logits, rtol=0, atol=1e-4)
    ended = network.forward_with_embeddings(np.concatenate([first, [EOS]]))
    np.testing.assert_allclose(together.logits[:15], ended.logits, rtol=0, atol=1e-5)
    without = network.forward_with_embeddings(np.concatenate([first, [3], second]))
    assert np.abs(without.logits[15:18] - alone.logits[:3]).max() > 0.01


def test_rows_do_not_see_each_other() -> None:
    network = _network()
    rows = np.random.default_rng(4).integers(0, 260, (3, 9))
    out = network.forward_with_embeddings(rows)
    assert isinstance(out, ModelOutput) and out.logits.shape == (3, 9, 260)
    for index, row in enumerate(rows):
        for one, many in zip(network.forward_with_embeddings(row), out, strict=True):
            np.testing.assert_array_equal(one, many[index])
    assert [part.shape for part in network.forward_with_embeddings(rows[:0])] == [
        (0, 9, 260), (0, 9, 24), (0, 9), (0, 9), (0, 9),
    ]  # fmt: skip
    assert network.forward_with_embeddings(np.array([], np.int32)).logits.shape == (0, 260)


def test_half_precision_is_near() -> None:
    tokens = np.random.default_rng(5).integers(4, 260, 60)
    tensors = random_tensors(TINY)
    exact = Transformer(TINY, tensors).forward_with_embeddings(tokens)
    short = Transformer(TINY, tensors, "bfloat16").forward_with_embeddings(tokens)
    difference = np.abs(exact.entropies - short.entropies)
    assert 0 < difference.max() < 0.3 and difference.mean() < 0.05


def test_what_is_no_row_of_tokens_is_refused() -> None:
    network = _network()
    for tokens, told in [
        ([1.5], "whole numbers"),
        ([260], "0..259"),
        ([-1], "0..259"),
        ([[[1]]], r"\[1, 1, 1\]"),
    ]:
        with pytest.raises(InputError, match=told):
            network.forward_with_embeddings(np.array(tokens))
    with pytest.raises(InputError, match="choose float32 or bfloat16"):
        Transformer(TINY, random_tensors(TINY), "float16")  # type: ignore[arg-type]


def test_the_published_sizes() -> None:
    published = Settings()
    assert published.parameters == 99_512_064
    assert len(published.tensors()) == 129


def test_the_transformers_library_says_the_same() -> None:
    """Files that it saved, and what it computed (data/make_blt_parity.py)."""
    expected = load_file(PARITY / "expected.safetensors")
    model = open_published(PARITY)
    out = model.network.forward_with_embeddings(expected["tokens"])
    np.testing.assert_allclose(out.logits, expected["logits"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(out.entropies, expected["entropies"], rtol=0, atol=1e-4)
    rule = boundaries.Threshold(float(expected["threshold"][0]))
    starts = boundaries.starts(out.entropies, rule)
    np.testing.assert_array_equal(starts, expected["starts"])
    text = bytes((expected["tokens"][1:] - 4).tolist())
    np.testing.assert_allclose(model.entropies(text), expected["entropies"][1:], rtol=0, atol=1e-4)


def test_the_transformers_library_says_the_same_beyond_the_window(tmp_path: Path) -> None:
    expected = load_file(PARITY / "expected.safetensors")
    config = json.loads((PARITY / "config.json").read_text())
    config["sliding_window"] = int(expected["narrow.window"][0])
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((PARITY / "model.safetensors").read_bytes())
    out = open_published(tmp_path).network.forward_with_embeddings(expected["tokens"])
    np.testing.assert_allclose(out.logits[::3], expected["narrow.logits"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(out.entropies, expected["narrow.entropies"], rtol=0, atol=1e-4)
    starts = boundaries.starts(out.entropies, boundaries.Threshold(float(expected["threshold"][0])))
    np.testing.assert_array_equal(starts, expected["narrow.starts"])
    assert np.abs(expected["narrow.entropies"] - expected["entropies"]).max() > 0.1


@pytest.mark.filterwarnings("ignore")  # other people's
def test_the_installed_transformers_library_says_the_same(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    blt = pytest.importorskip("transformers.models.blt.modeling_blt")
    torch.manual_seed(0)
    config = blt.BltPatcher.config_class(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=6, intermediate_size=80, sliding_window=64
    )
    theirs = blt.BltPatcher(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 1.5 / parameter.shape[1] ** 0.5)
    theirs.save_pretrained(tmp_path)
    found = find_checkpoint(tmp_path)
    ours = Transformer(found.settings, read_weights(found))
    for size in (1, 64, 300):
        tokens = np.random.default_rng(size).integers(0, 260, (1, size))
        tokens[tokens == EOS] = 3  # the library knows no documents
        with torch.no_grad():
            entropies, lengths, logits = theirs(torch.from_numpy(tokens), patch_size=4, threshold=3.5)
        out = ours.forward_with_embeddings(tokens)
        np.testing.assert_allclose(out.logits, logits.numpy(), rtol=0, atol=1e-4)
        np.testing.assert_allclose(out.entropies, entropies.numpy(), rtol=0, atol=1e-4)
        starts = boundaries.starts(out.entropies[0], boundaries.Threshold(3.5))
        lengths = lengths[0][lengths[0] > 0].numpy()
        np.testing.assert_array_equal(starts, np.cumsum(lengths) - lengths)
