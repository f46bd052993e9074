"""`sentence-transformers:`: the wiring with a stand-in, the whole with the library where it is installed."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from thesphere.encoders import open_encoder
from thesphere.encoders.minilm import load_minilm
from thesphere.encoders.sentences import open_sentences
from thesphere.errors import InputError, MissingExtra, NotFoundError


class Normalize:
    """Named like the library's module that makes rows of length one."""


class Length:
    """A module that embeds a text as (3 * characters, 4 * characters)."""


class StandIn(list):
    """As much of SentenceTransformer as the encoder touches."""

    def __init__(self, name: str, *, local_files_only: bool) -> None:
        if name == "absent":
            raise OSError("absent is not in the cache\nand more lines")
        super().__init__([Length(), Normalize(), Normalize()])
        self.local_files_only = local_files_only

    def encode(self, texts, *, convert_to_numpy, normalize_embeddings, show_progress_bar):
        assert convert_to_numpy and not normalize_embeddings and not show_progress_bar
        rows = np.array([[3.0, 4.0]]) * [[len(text)] for text in texts]
        if any(isinstance(module, Normalize) for module in self):
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows + (np.nan if "poison" in texts else 0)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = StandIn  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)


@pytest.mark.usefixtures("library")
def test_rows_are_raw() -> None:
    encoder = open_encoder("sentence-transformers:tiny")
    assert (encoder.id, encoder.width, encoder.storage) == ("sentence-transformers:tiny", 2, "float32")
    assert encoder.encode([b"abcd", b"", b" \n", b"\xff"]).tolist() == [[12, 16], [0, 0], [0, 0], [3, 4]]
    assert encoder.encode([]).shape == (0, 2)
    assert encoder.encode([b"abcd"]).dtype == np.float32
    assert encoder.state() == {}
    with pytest.raises(InputError, match="row 0"):
        encoder.encode([b"poison"])


@pytest.mark.usefixtures("library")
def test_nothing_is_fetched_unless_asked_for() -> None:
    assert open_sentences("tiny").model.local_files_only
    assert not open_sentences("tiny", download=True).model.local_files_only
    with pytest.raises(NotFoundError, match=r"'absent' on this machine \(absent is not in the cache\)"):
        open_encoder("sentence-transformers:absent")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match=r"thesphere\[sentence-transformers\]"):
        open_encoder("sentence-transformers:any")


@pytest.mark.filterwarnings("default")
def test_a_real_model_agrees_with_our_own_forward_pass(tmp_path: Path) -> None:
    """A tiny random BERT, saved by transformers: the peer for `load_minilm` as well."""
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    import torch  # pyright: ignore[reportMissingImports]
    from sentence_transformers import SentenceTransformer, models  # pyright: ignore[reportMissingImports]
    from transformers import BertConfig, BertModel, BertTokenizerFast  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"red green blue fox dog ##s runs fast".split()]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    network = BertModel(
        BertConfig(
            vocab_size=len(words),
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=40,
            max_position_embeddings=32,
            initializer_range=0.4,
        )
    )
    inner = tmp_path / "inner"
    network.save_pretrained(inner)
    BertTokenizerFast(vocab=str(tmp_path / "vocab.txt")).save_pretrained(inner)
    transformer = models.Transformer(str(inner), max_seq_length=16)
    pooling = models.Pooling(24, pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling, models.Normalize()], device="cpu").save(
        str(tmp_path / "model")
    )
    assert "Normalize" in (tmp_path / "model" / "modules.json").read_text()

    texts = [b"red foxs runs fast", b"dog", b"", b"green blue green unknown dog"]
    encoder = open_encoder(f"sentence-transformers:{tmp_path / 'model'}")
    rows = encoder.encode(texts)
    assert encoder.width == 24
    assert not rows[2].any()
    assert (np.abs(np.linalg.norm(rows[[0, 1, 3]], axis=1) - 1) > 0.05).all()
    assert json.loads((inner / "config.json").read_text())["hidden_act"] == "gelu"
    np.testing.assert_allclose(load_minilm(inner).encode(texts), rows, rtol=1e-4, atol=1e-5)
    with pytest.raises(NotFoundError, match="no/such/folder"):
        open_encoder("sentence-transformers:./no/such/folder")
