"""Judged collections and encoders for the benchmarks that rank: what is embedded once is kept."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from thesphere.encoders import Encoder, fit_lsa, open_encoder
from thesphere.encoders.joining import Joining, standing
from thesphere.lexical.query import analyse
from thesphere.metrics import ndcg_at_k
from thesphere.sphere import Sphere
from thesphere.sphere.view import SAMPLE

Damage = Callable[[str, str, int], str]  # of an id, its text and a seed


class Cached:
    """An encoder that keeps what it has embedded, in memory and in two files of a folder."""

    def __init__(self, encoder: Encoder, folder: Path | None) -> None:
        self.encoder, self.rows = encoder, dict[bytes, np.ndarray]()
        self.folder = folder if encoder.id != "lsa/1" else None  # it is fitted anew in every collection
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            stem = encoder.id.replace("/", "-").replace(":", "-")
            self.files = self.folder / f"{stem}.keys", self.folder / f"{stem}.rows"
            sizes = 16, 4 * encoder.width  # bytes of an entry in each
            for file in self.files:
                file.touch()
            whole = min(file.stat().st_size // size for file, size in zip(self.files, sizes, strict=True))
            for file, size in zip(self.files, sizes, strict=True):  # what a run left half written
                os.truncate(file, whole * size)
            keys, rows = self.files[0].read_bytes(), np.fromfile(self.files[1], np.float32)
            rows = rows.reshape(whole, encoder.width)
            self.rows = {keys[16 * i : 16 * i + 16]: rows[i] for i in range(whole)}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Pre-norm rows of the texts, float32 [N, D]."""
        data = [text.encode("utf-8", "surrogatepass") for text in texts]
        keys = [blake2b(text, digest_size=16).digest() for text in data]
        new = {key: text for key, text in zip(keys, data, strict=True) if key not in self.rows}
        order = sorted(new, key=lambda key: len(new[key]))  # texts of like length together
        for first in range(0, len(order), 256):
            some = order[first : first + 256]
            rows = self.encoder.encode([new[key] for key in some])
            self.rows.update(zip(some, rows, strict=True))
            if self.folder is not None:
                with self.files[1].open("ab") as file:
                    file.write(rows.astype(np.float32).tobytes())
                with self.files[0].open("ab") as file:
                    file.write(b"".join(some))
        return np.stack([self.rows[key] for key in keys])


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1 (a row of zeros stays)."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def stands_of(best: np.ndarray) -> np.ndarray:
    """`standing` of every query, float64 [queries], of cosines of the best passages [queries, windows]."""
    some = best[:, :: -(-best.shape[1] // SAMPLE)]
    return np.array([standing(float(row.max()), sample) for row, sample in zip(best, some, strict=True)])


def spoilt(texts: dict[str, str], damage: Damage | None, seed: int) -> list[str]:
    """Texts by id, each with a seed of its own."""
    if damage is None:
        return list(texts.values())
    return [damage(key, text, 1_000_003 * seed + row) for row, (key, text) in enumerate(texts.items())]


@dataclass(frozen=True)
class Evidence:
    """What words say of some queries: every window's score, and what the weight of vectors is made of."""

    scores: np.ndarray  # float64 [queries, windows]
    strength: np.ndarray  # float64 [queries]
    coverage: np.ndarray
    flatness: np.ndarray
    lead: np.ndarray

    def weight(self, joining: Joining, best: np.ndarray) -> np.ndarray:
        """What the product makes a unit of cosine count, float64 [queries, 1].

        best: cosines of the best passages, [queries, windows].
        """
        known = zip(self.lead, stands_of(best[:, best[0] > -2]), strict=True)
        return np.array([[joining.weight(float(words), float(stands))] for words, stands in known])


@dataclass
class Case:
    """A judged collection, ingested without vectors."""

    corpus: list[dict]
    queries: dict[str, str]
    judged: dict[str, dict[str, int]]
    home: InitVar[Path]  # an empty folder
    documents: list[str] = field(init=False)  # what an encoder alone is given, title and text
    passages: list[str] = field(init=False)  # what an encoder is given of each point, titles above the text
    windows: list[str] = field(init=False)  # id of the document that each window is of

    def __post_init__(self, home: Path) -> None:
        with (home / "corpus.jsonl").open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in self.corpus)
        self.sphere = Sphere.create(home / "judged.sphere", encoder="none")
        self.sphere.ingest(home / "corpus.jsonl")
        view = self.sphere.view
        self.documents = [f"{row.get('title') or ''}\n{row['text']}".strip() for row in self.corpus]
        self.passages = [
            part.record(document).passage(data).decode()
            for part in view.parts
            for document in range(part.documents)
            for data in view.passages(part, document)
        ]
        named = {f"corpus.jsonl#{number}/text": row["_id"] for number, row in enumerate(self.corpus)}
        names = [part.record(int(d)).names for part in view.parts for d in part.window_document]
        self.windows = [named[each[0]] for each in names]
        self.same = {named[each[0]]: [named[name] for name in each] for each in names}  # of equal content

    @property
    def ids(self) -> list[str]:
        """Of the documents."""
        return [row["_id"] for row in self.corpus]

    def texts(self, damage: Damage | None = None, seed: int = 0) -> list[str]:
        """The judged queries."""
        return spoilt({query: self.queries[query] for query in self.judged}, damage, seed)

    def evidence(self, texts: Sequence[str]) -> Evidence:
        """The lexical scores of some queries."""
        found = [self.sphere.view.lexical.score(analyse(text)) for text in texts]
        return Evidence(
            np.stack([np.concatenate(each.parts) for each in found]),
            *(
                np.array([getattr(each, name) for each in found])
                for name in ("strength", "coverage", "flatness", "lead")
            ),
        )

    def ndcg(self, scores: np.ndarray, owners: Sequence[str]) -> float:
        """Mean nDCG@10 of scores [queries, columns]; a document's best column counts."""
        total = 0.0
        for row, relevant in zip(scores, self.judged.values(), strict=True):
            ranked: list[str] = []
            for column in np.argsort(-row, kind="stable")[:30]:
                same = self.same.get(owners[column], [owners[column]])
                ranked += [document for document in same if document not in ranked]
            total += ndcg_at_k(ranked[:10], relevant, 10)
        return total / len(self.judged)

    def masked(self, scores: np.ndarray) -> np.ndarray:
        """Scores [queries, windows] far below all others for windows that were written again since."""
        view = self.sphere.view
        return np.where(view.points_live[view.window_points[:-1]], scores, -1e9)

    def best(self, cosines: np.ndarray) -> np.ndarray:
        """The best passage of every window, [queries, windows], of cosines [queries, passages]."""
        return self.masked(np.maximum.reduceat(cosines, self.sphere.view.window_points[:-1], axis=1))


def opened(name: str, case: Case, folder: Path | None) -> Cached:
    """An encoder by name; `lsa` is fitted on the collection."""
    if name == "lsa":
        return Cached(fit_lsa([passage.encode() for passage in case.passages]), folder)
    return Cached(open_encoder(name), folder)
