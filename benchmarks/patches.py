"""Patches and passages of the light model: speed, lengths, where boundaries fall, short files.

    python benchmarks/patches.py [FOLDER or FILE]

Default: the sources of the running interpreter's standard library, on which the shipped prior was counted; a
folder of other text says more about quality. One core. The last line is JSON.
"""

import json
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np

from thesphere.patches import prior
from thesphere.patches.boundaries import byte_starts, calibrated
from thesphere.patches.light import LightModel
from thesphere.patches.passages import Cut, Cutter, joined

MOST_BYTES = 32 << 20
RUNS = 5


def read(path: Path) -> list[bytes]:
    """Files under `path`, in order, up to 32 MB in all."""
    paths = (
        [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc")
    )
    found, total = [], 0
    for file in paths:
        if "site-packages" in file.relative_to(path).parts:
            continue
        data = file.read_bytes()[: MOST_BYTES - total]
        if data and b"\0" not in data[:4096]:
            found.append(data)
            total += len(data)
        if total >= MOST_BYTES:
            break
    return found


def cut(model: LightModel, data: bytes) -> Cut:
    cutter = Cutter(model)
    return joined([cutter.push(data), cutter.finish()])


def median_seconds(work) -> float:
    """Seconds of this process on a core: other processes do not count, though they slow caches."""
    times = []
    for _ in range(RUNS):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return float(np.median(times))


def speeds(model: LightModel, texts: list[bytes]) -> dict[str, float]:
    big = (b"\n".join(texts) * (1 + (8 << 20) // sum(map(len, texts))))[: 8 << 20]
    some, total = [], 0
    for text in texts:
        some.append(text)
        total += len(text)
        if total > 8 << 20:
            break
    small = [big[i << 10 : (i + 1) << 10] for i in range(1000)]
    return {
        "mb_per_s_one_source": len(big) / median_seconds(lambda: cut(model, big)) / 1e6,
        "mb_per_s_files": total / median_seconds(lambda: [cut(model, text) for text in some]) / 1e6,
        "mb_per_s_entropies_only": len(big) / median_seconds(lambda: model.entropies(big)) / 1e6,
        "us_per_1kb_file": median_seconds(lambda: [cut(model, text) for text in small]) * 1e6 / len(small),
    }


def places(model: LightModel, texts: list[bytes]) -> dict[str, float]:
    """Shares of patch starts at word and line starts, beside the shares of all bytes (chance)."""
    counts = np.zeros(5)
    for text in texts:
        data = np.frombuffer(text, np.uint8)
        letters = ((data | 32) >= 97) & ((data | 32) <= 122) | (data >= 128) | (data >= 48) & (data <= 57)
        word = letters & ~np.concatenate([[False], letters[:-1]])
        line = np.concatenate([[True], data[:-1] == 10])
        entropies = model.entropies(text)
        starts = byte_starts(entropies, calibrated(entropies[: 1 << 16], 8))
        counts += [len(starts), word[starts].sum(), line[starts].sum(), word.sum(), line.sum()]
    total = sum(map(len, texts))
    return {
        "mean_patch": total / counts[0],
        "starts_at_word": counts[1] / counts[0],
        "chance_word": counts[3] / total,
        "words_that_start_a_patch": counts[1] / counts[3],
        "starts_at_line": counts[2] / counts[0],
        "chance_line": counts[4] / total,
    }


def passages(model: LightModel, texts: list[bytes]) -> dict[str, float]:
    """Passage lengths and where passages end, the last of each source left out."""
    lengths, ends = [], np.zeros(3)
    for text in texts:
        found = cut(model, text)
        lengths.append(found.passage_lengths)
        for end in np.cumsum(found.passage_lengths)[:-1]:
            line = text[end - 1 : end] == b"\n"
            ends += [1, line, line or text[:end].rstrip(b" \"')")[-1:] in (b".", b"?", b"!")]
    together = np.concatenate(lengths)
    return {
        "mean_passage": float(together.mean()),
        "passages_end_line": ends[1] / max(ends[0], 1),
        "passages_end_line_or_sentence": ends[2] / max(ends[0], 1),
    }


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else sysconfig.get_paths()["stdlib"])
    texts = read(path)
    model = LightModel()
    bare = LightModel(np.full((2, 1 << prior.BITS), 177, np.uint8))  # ln 256 everywhere: no prior
    cut(model, texts[0])  # compiles
    some = texts[:: max(1, len(texts) // 200)]
    short = [text[: 1 << 11] for text in some]
    entropies = np.concatenate([model.entropies(text[: 1 << 18]) for text in some])
    figures = {
        "files": len(texts),
        "bytes": sum(map(len, texts)),
        "model": model.id,
        **speeds(model, texts),
        "mean_entropy_bits": float(entropies.mean() / np.log(2)),
        **places(model, [text[: 1 << 18] for text in some]),
        **{f"short_{name}": value for name, value in places(model, short).items()},
        **{f"short_no_prior_{name}": value for name, value in places(bare, short).items()},
        **passages(model, [text[: 1 << 18] for text in some]),
    }
    for name, value in figures.items():
        print(f"{name:45} {value:.4g}" if isinstance(value, float) else f"{name:45} {value}")
    print(json.dumps({"benchmark": "patches", "path": str(path), **figures}))


if __name__ == "__main__":
    main()
