"""Makes blt_parity/: a tiny byte-level patcher of the transformers library with random weights, and what it says.

    pip install transformers torch==2.13.0
    python tests/data/make_blt_parity.py

`config.json` and `model.safetensors` are as the library saves a patcher, in float16 to be small. In
`expected.safetensors` are, for the sequence `tokens` with BOS in front, the logits, entropies and patch starts
that the library computes with these weights in float32: once with a window longer than the sequence and once
with a shorter one ("narrow"; there the logits of every third token).
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers.models.blt.configuration_blt import BltPatcherConfig
from transformers.models.blt.modeling_blt import BltPatcher

TEXT = "Die Flut kam früh; the harbour was empty."
THRESHOLD = 3.0
NARROW = 8
FOLDER = Path(__file__).parent / "blt_parity"


def said(tokens: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(logits [S, 260], entropies [S], patch starts [P]) by the library."""
    config = BltPatcherConfig.from_pretrained(FOLDER)
    config.sliding_window = window
    model = BltPatcher.from_pretrained(FOLDER, config=config, dtype=torch.float32).eval()
    with torch.no_grad():
        entropies, lengths, logits = model(torch.from_numpy(tokens)[None], patch_size=4, threshold=THRESHOLD)
    lengths = lengths[0][lengths[0] > 0].numpy()
    starts = np.cumsum(lengths) - lengths
    return logits[0].numpy(), entropies[0].numpy(), starts.astype(np.int32)


def main() -> None:
    config = BltPatcherConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=24,
    )
    model = BltPatcher(config)
    numbers = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.1 if parameter.ndim == 1 else 1.5 / parameter.shape[1] ** 0.5
            middle = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(middle + spread * torch.randn(parameter.shape, generator=numbers))
        model.embed_tokens.weight.mul_(3)
        model.lm_head.weight.mul_(2)
    model.half().save_pretrained(FOLDER)

    tokens = np.array([1] + [byte + 4 for byte in TEXT.encode()], np.int64)
    logits, entropies, starts = said(tokens, 512)
    narrow_logits, narrow_entropies, narrow_starts = said(tokens, NARROW)
    expected = {
        "tokens": tokens.astype(np.int32),
        "threshold": np.array([THRESHOLD]),
        "logits": logits,
        "entropies": entropies,
        "starts": starts,
        "narrow.window": np.array([NARROW]),
        "narrow.logits": np.ascontiguousarray(narrow_logits[::3]),
        "narrow.entropies": narrow_entropies,
        "narrow.starts": narrow_starts,
    }
    save_file(expected, FOLDER / "expected.safetensors")
    print(f"{len(starts)} and {len(narrow_starts)} patches of {len(tokens)} tokens")  # noqa: T201
    print(np.round(entropies, 2), sum(f.stat().st_size for f in FOLDER.iterdir()))  # noqa: T201


if __name__ == "__main__":
    main()
