"""What the rows of a set in `sets.py` are of, for the purity of cells."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import sets

from thesphere.encoders.minilm import open_minilm

FEWEST = 100  # packages of a family
KINDS = {
    "fashion": "the garment (10 kinds)",
    "minilm": "the package's family, the first part of its name where 100 packages share it",
    "attention": "the token",
}


def classes(name: str, data: Path, cache: Path, points: np.ndarray) -> np.ndarray | None:
    """int64 [N], -1 where it is not known; None for sets whose rows have no kinds (GloVe).

    Args:
        name: of the set.
        data, cache: as for `sets.load`.
        points: the set's, or some of them.
    """
    source = name.partition("-")[0]
    if source not in KINDS:
        return None
    made = {"fashion": _garments, "minilm": _families, "attention": _tokens}[source](data, cache)
    known = {hash(row.tobytes()): kind for row, kind in made}
    return np.array([known.get(hash(row.tobytes()), -1) for row in np.asarray(points, np.float32)], np.int64)


def _garments(data: Path, cache: Path) -> Iterable[tuple[np.ndarray, int]]:
    for kind, rows in enumerate(sets.images()):
        yield from ((row, kind) for row in rows)


def _families(data: Path, cache: Path) -> Iterable[tuple[np.ndarray, int]]:
    """Of the rows that `data` holds; those that were encoded later are not known."""
    with gzip.open(data / "pairs" / "debian_desc.jsonl.gz") as lines:
        names = [json.loads(line)["id"] for line in lines]
    first = [name.partition("-")[0] if "-" in name else "" for name in names]
    common = [family for family, count in Counter(first).items() if family and count >= FEWEST]
    rows = np.load(data / "ann" / "minilm_debian_docs_f16.npy").astype(np.float32)
    order = np.random.default_rng(0).permutation(len(names))[: len(rows)]  # as `sets` and the rows have it
    for row, place in zip(rows, order, strict=True):
        yield row, common.index(first[place]) if first[place] in common else -1


def _tokens(data: Path, cache: Path) -> Iterable[tuple[np.ndarray, int]]:
    keys = sets.attention(data, cache)[0]
    name = f"attention_{sets.LAYER}_{sets.HEAD}_tokens.npy"
    return zip(keys, sets.kept(cache / name, lambda: _tokens_of(keys, data)).tolist(), strict=True)


def _tokens_of(keys: np.ndarray, data: Path) -> np.ndarray:
    """int64 [N], -1 where this machine computes other bits than the one that made the keys."""
    model = open_minilm()
    texts = sets.pairs(data, "doc", 0, sets.KEY_TEXTS)
    heard = sets.heard(model, texts, sets.LAYER, sets.HEAD)[1]
    portions = sets.portions(model, texts)  # whose texts a network takes by length
    tokens = [token for portion in portions for text in sorted(portion, key=len) for token in text[1:-1]]
    known = {row.tobytes(): token for row, token in zip(heard, tokens, strict=True)}
    return np.array([known.get(row.tobytes(), -1) for row in keys], np.int64)
