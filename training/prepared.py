"""What all encoders trained from one collection share, made once: damaged copies of its texts, every patch.

    python training/prepared.py PAIRS

PAIRS is the folder that training/pairs.py or training/more.py packs. It gets PAIRS/prepared/: damaged copies of
short texts and translations mixed with their English, behind the texts, and the patches of all of them
(thesphere.train.library) for the tables of both shapes, as .npy files that any number of trainings read at once.
training/encoder.py makes what is missing.
"""

import argparse
import json
import lzma
import multiprocessing
import os
import time
from dataclasses import fields
from pathlib import Path

import numpy as np

from thesphere.nn.grams import Rows
from thesphere.nn.sphere_shape import LIGHT, SPHERE
from thesphere.runtime.threads import workers
from thesphere.train.damage import damaged, mixed
from thesphere.train.library import Library, read_library

MOST_DAMAGED = 400  # bytes
COPIES = 700_000  # damaged ones at most
MIXED = 100_000  # translations at most
PIECE = 1000  # texts that one process takes at a time
SEED = 0


def texts_of(folder: Path) -> np.ndarray:
    """uint8, the bytes of all texts, one after the other."""
    plain = folder / "texts.bin"
    if plain.exists():
        return np.fromfile(plain, np.uint8)
    return np.frombuffer(lzma.open(folder / "texts.bin.xz").read(), np.uint8)


def load(folder: Path) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], dict]:
    """(bytes of all texts, where each begins and the end, arrays, description)."""
    arrays = dict(np.load(folder / "pairs.npz"))
    begins = np.concatenate([[0], np.cumsum(arrays["length"].astype(np.int64))])
    return texts_of(folder), begins, arrays, json.loads((folder / "pairs.json").read_text())


def worsen(job: tuple[list[str], list[str] | None, int]) -> list[bytes]:
    """Texts damaged, or each mixed with its translation, as UTF-8; never empty."""
    texts, others, seed = job
    if others is None:
        made = damaged(texts, seed)
    else:
        made = [
            mixed(text, other, seed + i) for i, (text, other) in enumerate(zip(texts, others, strict=True))
        ]
    return [(new if new.strip() else text).encode() for new, text in zip(made, texts, strict=True)]


def with_worse(data: np.ndarray, begins: np.ndarray, parallel: np.ndarray):
    """(bytes, begins, of, copies): behind the texts, COPIES of short ones damaged, then translations mixed.

    `of` [n] is the text that each new one stands for, and the first `copies` of them are the damaged ones.
    """
    rng = np.random.default_rng(SEED)
    some = parallel[rng.permutation(len(parallel))[:MIXED]]
    short = np.sort(rng.permutation(np.flatnonzero(np.diff(begins) <= MOST_DAMAGED))[:COPIES])

    def text(t: int) -> str:
        return data[begins[t] : begins[t + 1]].tobytes().decode()

    def jobs():
        for at in range(0, len(short), PIECE):
            yield [text(t) for t in short[at : at + PIECE]], None, SEED + at
        for at in range(0, len(some), PIECE):
            here = some[at : at + PIECE]
            yield [text(t) for t in here[:, 0]], [text(t) for t in here[:, 1]], SEED + at

    with multiprocessing.get_context("fork").Pool(min(workers(), 32)) as pool:
        made = [text for part in pool.imap(worsen, jobs()) for text in part]
    ends = begins[-1] + np.cumsum([len(text) for text in made], dtype=np.int64)
    of = np.concatenate([short, some[:, 1]]).astype(np.int64)
    more = np.frombuffer(b"".join(made), np.uint8)
    return np.concatenate([data, more]), np.concatenate([begins, ends]), of, len(short)


def _folder(pairs: Path, rows: Rows, shells: int) -> Path:
    return pairs / "prepared" / "-".join(map(str, (*rows, shells)))


def _save(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """All of `arrays`, or none: the folder appears when they are complete."""
    part = folder.with_name(f"{folder.name}.{os.getpid()}")
    part.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(part / f"{name}.npy", array)
    part.rename(folder)


def _open(folder: Path) -> dict[str, np.ndarray]:
    return {file.stem: np.load(file, mmap_mode="r") for file in folder.glob("*.npy")}


def worse(pairs: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """`with_worse` of the collection; made if it is not there."""
    folder = pairs / "prepared" / "texts"
    if not folder.exists():
        data, begins, arrays, _ = load(pairs)
        data, begins, of, copies = with_worse(data, begins, arrays["parallel"])
        _save(folder, {"data": data, "begins": begins, "of": of, "copies": np.array(copies)})
    found = _open(folder)
    return found["data"], found["begins"], found["of"], int(found["copies"])


def library(pairs: Path, rows: Rows, shells: int) -> Library:
    """Every patch of the texts and of what stands behind them; made if it is not there."""
    folder = _folder(pairs, rows, shells)
    if not folder.exists():
        data, begins, of, _ = worse(pairs)
        made = json.loads((pairs / "pairs.json").read_text()).get("made", 0)
        counted = slice(made, len(begins) - 1 - len(of))
        found = read_library(np.asarray(data), np.asarray(begins), rows, shells, counted)
        _save(folder, {each.name: getattr(found, each.name) for each in fields(found)})
    return Library(**_open(folder))


def _one(job: tuple[Path, Rows, int]) -> int:
    return len(library(*job).distinct)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pairs", type=Path)
    pairs = parser.parse_args().pairs
    began = time.monotonic()
    data, begins, of, copies = worse(pairs)
    print(
        f"{len(begins) - 1 - len(of):,} texts, {copies:,} damaged and {len(of) - copies:,} mixed ones,"
        f" {len(data):,} bytes, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    jobs = [(pairs, shape.rows, shape.shells) for shape in (SPHERE, LIGHT)]
    with multiprocessing.get_context("spawn").Pool(len(jobs)) as pool:
        counts = pool.map(_one, jobs)
    print(f"{counts[0]:,} patches, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
