"""Adds English texts that only the teacher says something of: words, rows of words, pieces of passages, blends.

    python training/more.py PAIRS TOKENIZER.json OUT

PAIRS is the folder that training/pairs.py packs, TOKENIZER.json the teacher's; OUT gets the same three files with
the new texts before all others. Rows of random words tell what the teacher knows of each word, also of those
in no training text: its vocabulary's words, with a piece of its vocabulary behind some, and the texts' own words.
"""

import argparse
import json
import lzma
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

ROWS, PIECES, BLENDS = 350_000, 450_000, 200_000
SAMPLE = 30_000_000  # bytes of English texts whose words are counted
_WORD = re.compile(r"[a-z][a-z'-]{2,}")


def words_of(tokenizer: Path, english: str) -> tuple[list[str], list[str], list[str], np.ndarray]:
    """(the vocabulary's words, its pieces, the texts' words, how often each of these is drawn)."""
    vocabulary = json.loads(tokenizer.read_text())["model"]["vocab"]
    whole = [word for word in vocabulary if _WORD.fullmatch(word)]
    pieces = [word[2:] for word in vocabulary if re.fullmatch(r"##[a-z]{2,}", word)]
    counts = Counter(_WORD.findall(english.lower()))
    own = sorted(word for word, count in counts.items() if count > 1 and len(word) < 25)
    weight = np.array([counts[word] for word in own]) ** 0.3
    return whole, pieces, own, weight / weight.sum()


def rows(rng: np.random.Generator, whole: list[str], pieces: list[str], own: list[str], chance: np.ndarray):
    """The vocabulary's words by themselves, then ROWS rows of 2 to 14 random words."""
    yield from whole
    lengths = rng.integers(2, 15, ROWS)
    total = int(lengths.sum())
    from_own, tail = rng.random(total) < 0.5, rng.random(total) < 0.15
    a, b = rng.integers(0, len(whole), total), rng.integers(0, len(pieces), total)
    c, at = rng.choice(len(own), total, p=chance), 0
    for length in lengths:
        row = []
        for i in range(at, at + length):
            row.append(own[c[i]] if from_own[i] else whole[a[i]] + pieces[b[i]] if tail[i] else whole[a[i]])
        at += length
        yield " ".join(row)


def parts(rng: np.random.Generator, texts: list[bytes]):
    """PIECES runs of 3 to 120 words out of texts, then BLENDS of two or three such runs of different texts."""
    pieces = []
    for which, u, v in zip(
        rng.integers(0, len(texts), PIECES), rng.random(PIECES), rng.random(PIECES), strict=True
    ):
        words = texts[which].decode().split()
        length = int(3 + 117 * v * v * v)
        if len(words) > length + 2:
            begin = int(u * (len(words) - length))
            pieces.append(" ".join(words[begin : begin + length]))
    yield from pieces
    for some in rng.integers(0, len(pieces), (BLENDS, 3)):
        yield " ".join(pieces[i] for i in some[: 2 + some[0] % 2])[:1500]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("pairs", "tokenizer", "out"):
        parser.add_argument(name, type=Path)
    asked = parser.parse_args()
    raw = lzma.open(asked.pairs / "texts.bin.xz").read()
    arrays = dict(np.load(asked.pairs / "pairs.npz"))
    described = json.loads((asked.pairs / "pairs.json").read_text())
    rng, english = np.random.default_rng(0), described["english"]
    begins = np.concatenate([[0], np.cumsum(arrays["length"].astype(np.int64))])
    prose = np.flatnonzero(arrays["kind"][:english] != described["kinds"].index("code"))
    sample = rng.permutation(prose)[: int(SAMPLE / max(begins[english] / english, 1))]
    spoken = b" ".join(raw[begins[t] : begins[t + 1]] for t in sample).decode()
    long = [
        raw[begins[t] : begins[t + 1]] for t in rng.permutation(english)[:PIECES] if arrays["length"][t] > 120
    ]
    made = [text.encode() for text in rows(rng, *words_of(asked.tokenizer, spoken))]
    if long:
        made += [text.encode() for text in parts(rng, long)]
    made = [text for text in made if 0 < len(text) <= 1600]
    n = len(made)
    filled = {
        "length": [len(text) for text in made],
        "kind": described["kinds"].index("query"),
        "lang": 0,
        "group": 0,
    }
    for name, value in filled.items():
        front = np.broadcast_to(np.asarray(value), n).astype(arrays[name].dtype)
        arrays[name] = np.concatenate([front, arrays[name]])
    for name in ("pair", "parallel"):
        arrays[name] += n
    described |= {"english": english + n, "texts": described["texts"] + n, "made": n}
    asked.out.mkdir(parents=True, exist_ok=True)
    whole = b"".join(made) + raw
    with ProcessPoolExecutor() as pool, open(asked.out / "texts.bin.xz", "wb") as file:
        for part in pool.map(_packed, [whole[at : at + (1 << 23)] for at in range(0, len(whole), 1 << 23)]):
            file.write(part)  # streams one after the other are one file
    np.savez(asked.out / "pairs.npz", **arrays)
    (asked.out / "pairs.json").write_text(json.dumps(described))
    print(f"{n:,} texts more, such as: " + " | ".join(text.decode() for text in made[:: n // 7]), flush=True)


def _packed(data: bytes) -> bytes:
    return lzma.compress(data, preset=0)


if __name__ == "__main__":
    main()
