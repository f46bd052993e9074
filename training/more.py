"""Adds English texts that only the teacher says something of: words, rows of words, pieces, blends, long crops.

    python training/more.py PAIRS TOKENIZER.json OUT

PAIRS is the folder that training/pairs.py packs, TOKENIZER.json the teacher's; OUT gets the same files (its texts
are not packed) with the new ones before all others. Rows of random words tell what the teacher knows of each
word, also of those in no training text: its vocabulary's words, with a piece of its vocabulary behind some, and
the texts' own words. Crops are long passages as collections hold them, some behind their titles, each with a
sentence.

One block of passages in HELD is held out: pairs.npz gets `hidden` (texts that nothing is learnt from), `judged`
(sentence, long passage of hidden ones) and `crops` (sentence, crop).
"""

import argparse
import json
import multiprocessing
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prepared import load

ROWS, PIECES, BLENDS, CROPS, JUDGED = 300_000, 400_000, 100_000, 350_000, 1500
LONGEST = 1600  # bytes of a text
SAMPLE = 60_000_000  # bytes of English texts whose words are counted
BLOCK, HELD = 8, 40
TASK = 4000  # texts made at a time
_WORD = re.compile(r"[a-z][a-z'-]{2,}")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"(])")


@dataclass(frozen=True)
class Stock:
    """What new texts are made of.

    Args:
        whole, pieces, own: the vocabulary's words, its pieces, the texts' words.
        chance: cumulated, how likely each of `own` is.
        data, begins: the texts.
        long: texts that pieces are cut from.
        passages: in their order, without those held out.
        title: of each text, or -1.
    """

    whole: list[str]
    pieces: list[str]
    own: list[str]
    chance: np.ndarray
    data: np.ndarray
    begins: np.ndarray
    long: np.ndarray
    passages: np.ndarray
    title: np.ndarray

    def text(self, t: int) -> str:
        """One of the texts."""
        return self.data[self.begins[t] : self.begins[t + 1]].tobytes().decode()


_stock: Stock  # of this process, inherited


def words_of(tokenizer: Path, english: str) -> tuple[list[str], list[str], list[str], np.ndarray]:
    """(the vocabulary's words, its pieces, the texts' words, how often each of these is drawn)."""
    vocabulary = json.loads(tokenizer.read_text())["model"]["vocab"]
    whole = [word for word in vocabulary if _WORD.fullmatch(word)]
    pieces = [word[2:] for word in vocabulary if re.fullmatch(r"##[a-z]{2,}", word)]
    counts = Counter(_WORD.findall(english.lower()))
    own = sorted(word for word, count in counts.items() if count > 1 and len(word) < 25)
    weight = np.array([counts[word] for word in own]) ** 0.3
    return whole, pieces, own, weight / max(weight.sum(), 1e-12)


def rows(rng: np.random.Generator, count: int) -> Iterator[str]:
    """Rows of 2 to 14 random words."""
    stock = _stock
    for length in rng.integers(2, 15, count):
        at = np.minimum(np.searchsorted(stock.chance, rng.random(length)), len(stock.own) - 1)
        whole = rng.integers(0, len(stock.whole), length)
        pieces = rng.integers(0, len(stock.pieces), length)
        kinds = rng.random(length)
        yield " ".join(
            stock.own[at[i]]
            if kinds[i] < 0.5
            else stock.whole[whole[i]] + (stock.pieces[pieces[i]] if kinds[i] > 0.925 else "")
            for i in range(length)
        )


def pieces(rng: np.random.Generator, count: int) -> Iterator[str]:
    """Runs of 3 to 120 words out of texts; a third of them whole sentences."""
    for which, u, v, kind in zip(
        rng.integers(0, len(_stock.long), count), *rng.random((3, count)), strict=True
    ):
        text = _stock.text(_stock.long[which])
        if kind < 1 / 3:
            sentences = _SENTENCE.split(text)
            yield sentences[int(u * len(sentences))]
        else:
            words, length = text.split(), int(3 + 117 * v * v * v)
            if len(words) > length + 2:
                begin = int(u * (len(words) - length))
                yield " ".join(words[begin : begin + length])


def blends(rng: np.random.Generator, count: int) -> Iterator[str]:
    """Two or three runs of different texts after each other."""
    runs = list(pieces(rng, count))
    for some in rng.integers(0, len(runs), (count, 3)):
        yield " ".join(runs[i] for i in some[: 2 + some[0] % 2])[:LONGEST]


def titled(rng: np.random.Generator, count: int) -> Iterator[str]:
    """Passages behind their titles; count: which of the tasks' shares."""
    here = _stock.passages[_stock.title[_stock.passages] >= 0][count * TASK : (count + 1) * TASK]
    for t in here:
        yield f"{_stock.text(int(_stock.title[t]))}\n{_stock.text(t)}"


def crops(rng: np.random.Generator, count: int) -> Iterator[str]:
    """(sentence, crop) in turn: 40 to 230 words of neighbouring passages, some behind their title."""
    ends = np.cumsum(np.diff(_stock.begins)[_stock.passages])
    for at in np.searchsorted(ends, rng.integers(0, ends[-1], count), "right"):
        yield from crop(rng, _stock.passages, int(at))


def crop(rng: np.random.Generator, passages: np.ndarray, at: int) -> list[str]:
    """[sentence, crop] from passage number `at` on; empty where there is none."""
    title, first = _stock.title[passages[at]], _stock.text(passages[at]).split(" ")
    begin = int(rng.integers(0, len(first))) if rng.random() < 0.4 else 0
    words, wanted = first[begin:], int(rng.integers(40, 231))
    if begin or len(words) < 40 or rng.random() < 0.3:
        while len(words) < wanted and at + 1 < len(passages):
            at += 1
            words[-1] += "\n" + _stock.text(passages[at])
            words = " ".join(words).split(" ")
        words = words[:wanted]
    text = " ".join(words).encode()[:LONGEST].decode(errors="ignore")
    sentences = [one for one in _SENTENCE.split(text) if 4 <= len(one.split()) <= 45]
    if len(sentences) < 2 or len(text.split()) < 30:
        return []
    sentence = sentences[int(rng.integers(0, len(sentences)))]
    if rng.random() < 0.6:
        text = text.replace(sentence, "", 1).strip()
    if not begin and title >= 0 and rng.random() < 0.5:
        text = f"{_stock.text(int(title))}\n{text}"
    return [sentence, text[:LONGEST]]


MAKERS = {each.__name__: each for each in (rows, pieces, blends, titled, crops)}


def work(job: tuple[str, int, int]) -> list[bytes]:
    """The texts of one task: (kind, number, texts)."""
    kind, number, count = job
    rng = np.random.default_rng([list(MAKERS).index(kind), number])
    made = [text.encode() for text in MAKERS[kind](rng, count)]
    if kind == "crops":
        pairs = zip(made[::2], made[1::2], strict=True)
        return [text for pair in pairs if all(0 < len(each) <= LONGEST for each in pair) for text in pair]
    return [text for text in made if 0 < len(text) <= LONGEST]


def judged(rng: np.random.Generator, held: np.ndarray) -> list[bytes]:
    """(sentence, crop) in turn, of the passages held out."""
    made, seen = [], set()
    for at in rng.permutation(len(held)):
        pair = [text.encode() for text in crop(rng, held[: at + 1], int(at))]
        if pair and pair[0] not in seen and all(len(text) <= LONGEST for text in pair):
            seen.add(pair[0])
            made += pair
    return made[: 2 * JUDGED]


def main() -> None:
    global _stock
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("pairs", "tokenizer", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--part", type=float, default=1.0, help="of the new texts, for trials")
    asked = parser.parse_args()
    data, begins, arrays, described = load(asked.pairs)
    rng, english = np.random.default_rng(0), described["english"]
    kind, names = arrays["kind"][:english], described["kinds"]
    passages = np.flatnonzero(kind == names.index("passage"))
    held = (np.arange(len(passages)) // BLOCK) % HELD == HELD - 1
    hidden = np.zeros(len(kind), bool)
    hidden[passages[held]] = True
    title = np.full(english, -1)
    about = arrays["pair"][(arrays["pair"] < english).all(1)]
    about = about[(kind[about] == (names.index("title"), names.index("passage"))).all(1)]
    title[about[:, 1]] = about[:, 0]

    def joined(texts: np.ndarray) -> str:
        return b" ".join(data[begins[t] : begins[t + 1]].tobytes() for t in texts).decode()

    prose = np.flatnonzero((kind != names.index("code")) & ~hidden)
    sample = rng.permutation(prose)[: int(SAMPLE / max(begins[english] / max(english, 1), 1))]
    whole, pieces_, own, chance = words_of(asked.tokenizer, joined(sample))
    long = (arrays["length"][:english] > 120) & ~hidden
    code = rng.permutation(np.flatnonzero(long & (kind == names.index("code"))))
    long[code[(long.sum() - len(code)) // 3 :]] = False  # most runs of words are to be prose
    long = np.flatnonzero(long)
    _stock = Stock(whole, pieces_, own, np.cumsum(chance), data, begins, long, passages[~held], title)
    told = int((title[_stock.passages] >= 0).sum())
    jobs = [("titled", number, number) for number in range(-(-told // TASK))]
    for name, count in (("crops", CROPS), ("rows", ROWS), ("pieces", PIECES), ("blends", BLENDS)):
        wanted = int(count * asked.part)
        jobs += [(name, at // TASK, min(TASK, wanted - at)) for at in range(0, wanted, TASK)]
    apart = judged(rng, passages[held])
    made, crop_begin, crop_end = apart + [word.encode() for word in whole], 0, 0
    with multiprocessing.get_context("fork").Pool() as pool:
        for job, some in zip(jobs, pool.imap(work, jobs), strict=True):
            if job[0] == "crops":
                crop_begin = crop_begin or len(made)
                crop_end = len(made) + len(some)
            made += some
    n = len(made)
    filled = {
        "length": [len(text) for text in made],
        "kind": names.index("query"),
        "lang": 0,
        "group": 0,
    }
    for name, value in filled.items():
        front = np.broadcast_to(np.asarray(value), n).astype(arrays[name].dtype)
        arrays[name] = np.concatenate([front, arrays[name]])
    for name in ("pair", "parallel"):
        arrays[name] = arrays[name] + n
    arrays["judged"] = np.arange(len(apart), dtype=np.int32).reshape(-1, 2)
    arrays["crops"] = np.arange(crop_begin, crop_end, dtype=np.int32).reshape(-1, 2)
    arrays["hidden"] = np.zeros(described["texts"] + n, bool)
    arrays["hidden"][: len(apart)] = True
    arrays["hidden"][n : n + english] = hidden
    described |= {"english": english + n, "texts": described["texts"] + n, "made": n}
    asked.out.mkdir(parents=True, exist_ok=True)
    with open(asked.out / "texts.bin", "wb") as file:
        file.write(b"".join(made))
        file.write(data.data)
    np.savez(asked.out / "pairs.npz", **arrays)
    (asked.out / "pairs.json").write_text(json.dumps(described))
    size = sum(map(len, made))
    print(
        f"{n:,} texts more ({size:,} bytes, {told:,} titled, {len(arrays['crops']):,} crops, {len(apart) // 2:,}"
        f" judged, {hidden.sum():,} passages hidden), such as: "
        + " | ".join(text.decode() for text in made[:: max(n // 7, 1)]),
        flush=True,
    )


if __name__ == "__main__":
    main()
