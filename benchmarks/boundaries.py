"""Where do patches start, by which model, and does search notice?

    python benchmarks/boundaries.py FILE_OR_FOLDER... [--models light,small] [--most BYTES]
    python benchmarks/boundaries.py FILE_OR_FOLDER... --data DATA [--collections scifact,cosqa] [--encoder sphere]

Patches of all models have the same mean length in each file, that of the space rule (a patch starts behind a
blank or another byte that is part of no word); `fixed` cuts every so many bytes, which is chance. For each kind
of place the share of patch starts that are there (`precision`) and the share of such places where a patch starts
(`recall`):

    word       the first letter or digit of a run
    line       where a line that is not empty begins: its first byte, or that behind its indentation
    sentence   the first byte behind a full stop, question or exclamation mark and a blank
    token      the first byte of a token of Python (files called *.py that Python can read)
    inside     not a place to start: in the middle of a UTF-8 character

With `--data` the documents of judged collections are cut into passages by each model (passages end where patches
do, if nothing better is near), embedded, and ranked by their best passage, alone and beside words: nDCG@10, all
else equal. The last line is JSON.
"""

import argparse
import io
import json
import tempfile
import tokenize
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cases import Cached, Case, opened, unit
from judged import read

from thesphere.patches.boundaries import byte_starts, calibrated
from thesphere.patches.entropy import EntropyModel
from thesphere.patches.models import open_entropy_model
from thesphere.readers import Segment
from thesphere.sphere.record import titled
from thesphere.sphere.windows import windows

FULL_STOPS = (b". ", b"? ", b"! ", b".\n", b"?\n", b"!\n", "。".encode(), "！".encode(), "？".encode())
PASSAGE_BYTES = (512, 128)


def in_words(data: np.ndarray) -> np.ndarray:
    """Which bytes are letters, digits or parts of characters beyond ASCII, bool [T]."""
    letters = ((data | 32) >= 97) & ((data | 32) <= 122)
    return letters | ((data >= 48) & (data <= 57)) | (data >= 128)


class Rule:
    """An entropy model that keeps nothing between one piece and the next."""

    def stream(self) -> "Rule":
        return self

    def push(self, data: bytes) -> np.ndarray:
        return self.entropies(data)

    def entropies(self, data: bytes) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True)
class Spaces(Rule):
    """The space rule as an entropy model: certain inside words, uncertain behind what is part of none."""

    id: str = "space"

    def entropies(self, data: bytes) -> np.ndarray:
        return (~in_words(np.frombuffer(data, np.uint8))).astype(np.float32)


@dataclass(frozen=True)
class Stride(Rule):
    """Uncertain once in a while, whatever the bytes are. `every` may be a fraction."""

    every: float
    id: str = "fixed"

    def entropies(self, data: bytes) -> np.ndarray:
        at = np.arange(1, len(data) + 1)
        return ((at / self.every).astype(np.int64) > ((at - 1) / self.every).astype(np.int64)).astype(
            np.float32
        )


def space_starts(data: bytes) -> np.ndarray:
    """Patch starts of the space rule: the first byte, and those in words whose neighbour before is in none."""
    inside = in_words(np.frombuffer(data, np.uint8))
    return np.flatnonzero(np.concatenate([[True], inside[1:] & ~inside[:-1]]))


def token_starts(data: bytes) -> np.ndarray | None:
    """Where Python's tokens start, bytes; None if these are no Python sources."""
    try:
        text = data.decode()
        lines = text.splitlines(keepends=True)
        begins = np.cumsum([0, *(len(line.encode()) for line in lines)])
        found = set()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.string.strip() and token.start[0] <= len(lines):
                row, column = token.start
                found.add(int(begins[row - 1]) + len(lines[row - 1][:column].encode()))
        return np.array(sorted(found), np.int64)
    except (SyntaxError, UnicodeDecodeError, tokenize.TokenError):
        return None


def line_starts(data: bytes) -> np.ndarray:
    """For every byte its own place, but for the first of a line the first behind its indentation; int64 [T]."""
    raw, own = np.frombuffer(data, np.uint8), np.arange(len(data))
    blank = (raw == 32) | (raw == 9)
    following = np.minimum.accumulate(np.where(blank, len(data) - 1, own)[::-1])[::-1]
    return np.where(np.concatenate([[True], raw[:-1] == 10]), following, own)


def places(name: str, data: bytes) -> dict[str, np.ndarray]:
    """Where the places of each kind are, int64, rising."""
    raw = np.frombuffer(data, np.uint8)
    inside = in_words(raw)
    begins = np.concatenate([[0], np.flatnonzero(raw[:-1] == 10) + 1])
    lines = np.unique(line_starts(data)[begins])
    sentences: set[int] = set()
    for stop in FULL_STOPS:
        at = data.find(stop)
        while at >= 0:
            sentences.add(at + len(stop))
            at = data.find(stop, at + 1)
    found = {
        "word": np.flatnonzero(inside & ~np.concatenate([[False], inside[:-1]])),
        "line": lines[raw[lines] != 10],
        "sentence": np.array(sorted(each for each in sentences if each < len(data)), np.int64),
        "inside": np.flatnonzero((raw & 0xC0) == 0x80),
    }
    tokens = token_starts(data) if name.endswith(".py") else None
    return found if tokens is None else found | {"token": tokens}


def cuts(data: bytes, models: list[EntropyModel]) -> dict[str, np.ndarray]:
    """Patch starts of every model, at the mean length of the space rule."""
    found = {"space": space_starts(data)}
    mean = len(data) / len(found["space"])
    for model in models:
        entropies = model.stream().push(data)
        found[model.id] = byte_starts(entropies, calibrated(entropies, mean))
    found["fixed"] = np.unique((np.arange(len(found["space"])) * mean).astype(np.int64))
    return found


def counts(name: str, data: bytes, models: list[EntropyModel]) -> dict[str, dict[str, np.ndarray]]:
    """By model and kind of place: (patch starts that are there, patch starts, places), int64.

    The first byte of a file starts a patch anyway and counts for nothing. `bytes` is a kind too, of all bytes.
    """
    known, line, found = places(name, data), line_starts(data), {}
    for model, starts in cuts(data, models).items():
        starts = starts[starts > 0]
        row = {"bytes": np.array([len(data), len(starts), len(data)])}
        for kind, there in known.items():
            there = there[there > 0]
            both = np.intersect1d(line[starts] if kind == "line" else starts, there)
            row[kind] = np.array([len(both), len(starts), len(there)])
        found[model] = row
    return found


def agreement(path: Path, models: list[EntropyModel], most: int) -> dict[str, dict]:
    """The shares over a file, or over all files of a folder; each is read from an empty state."""
    totals: dict[str, dict[str, np.ndarray]] = {}
    left = most
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        data = file.read_bytes()[:left]
        left -= len(data)
        if len(data) < 2:
            continue
        for model, row in counts(file.name, data, models).items():
            total = totals.setdefault(model, {})
            for kind, three in row.items():
                total[kind] = total.get(kind, 0) + three
    found: dict[str, dict] = {}
    for model, row in totals.items():
        size, starts, _ = row.pop("bytes")
        found[model] = {"mean": float(size / starts)}
        for kind, (both, marked, there) in row.items():
            if there:
                found[model][kind] = {"precision": float(both / marked), "recall": float(both / there)}
        shares = (
            f"{kind} {value['precision']:.3f}/{value['recall']:.3f}"
            for kind, value in found[model].items()
            if isinstance(value, dict)
        )
        print(f"{path.name:24} {model:22} mean {found[model]['mean']:.2f}", *shares, sep="  ", flush=True)
    return found


def passages(text: str, model: EntropyModel, most: int) -> list[str]:
    """A document's passages, as an ingest cuts them."""
    data = text.encode()
    pieces = windows(
        iter([Segment(0, data, "utf-8")] if data else []),
        model,
        passage_bytes=most,
        target_patch_bytes=8.0,
        text=True,
        tick=lambda data: None,
    )
    return [passage.decode("utf-8", "replace") for window in pieces for passage in window.passages()]


def ranked(case: Case, encoder: Cached, model: EntropyModel, most: int) -> dict[str, float]:
    """nDCG@10 by the best passage of each document, alone and beside words."""
    cut = [
        [
            titled(row.get("title") or "", passage.encode()).decode()
            for passage in passages(row["text"], model, most) or [" "]
        ]
        for row in case.corpus
    ]
    firsts = np.cumsum([0, *(len(each) for each in cut[:-1])])
    texts = case.texts()
    rows = unit(encoder([passage for each in cut for passage in each]))
    best = np.maximum.reduceat(unit(encoder(texts)) @ rows.T, firsts, axis=1)
    evidence = case.evidence(texts)
    row_of = {document: number for number, document in enumerate(case.ids)}
    beside = best[:, [row_of[document] for document in case.windows]]  # a document's windows share its best
    weight = evidence.weight(encoder.encoder.joining, beside)
    return {
        "passages": case.ndcg(best, case.ids),
        "fused": case.ndcg(evidence.scores + weight * beside, case.windows),
        "mean_passage": sum(len(row["text"].encode()) for row in case.corpus) / sum(map(len, cut)),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--models", default="light,small")
    parser.add_argument(
        "--most", type=int, default=1 << 20, help="bytes of each file or folder that are read"
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--collections", default="scifact,cosqa")
    parser.add_argument("--encoder", default="sphere")
    parser.add_argument("--split")
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    models: list[EntropyModel] = [open_entropy_model(name) for name in arguments.models.split(",")]
    files = {str(path): agreement(path, models, arguments.most) for path in arguments.files}
    searched: dict[str, dict] = {}
    for name in arguments.collections.split(",") if arguments.data else ():
        folder = arguments.data / name
        with tempfile.TemporaryDirectory() as home:
            case = Case(*read(folder, arguments.split), Path(home))
            encoder = opened(arguments.encoder, case, arguments.cache)
            for most in PASSAGE_BYTES:
                for model in (Spaces(), *models, Stride(8.0)):
                    row = ranked(case, encoder, model, most)
                    searched.setdefault(name, {})[f"{model.id}, {most}"] = row
                    print(
                        f"{name:10} {model.id:22} {most:4}",
                        *(f"{k} {v:.4f}" for k, v in row.items()),
                        sep="  ",
                        flush=True,
                    )
            case.sphere.close()
    print(json.dumps({"benchmark": "boundaries", "files": files, "search": searched}))


if __name__ == "__main__":
    main()
