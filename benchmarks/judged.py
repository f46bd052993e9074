"""How well does search rank? nDCG@10 of sources on judged collections, one source per document, through
`Sphere.search`.

    python benchmarks/judged.py DATA [--encoder none|minilm|...] [--collections scifact,...] [--damage]
    [--files]

DATA holds folders in BEIR layout (corpus.jsonl, queries.jsonl, qrels/*.tsv). `--damage` also asks with 10 %
of the
letters replaced, deleted, doubled by an insertion or swapped, three seeds. `--files` writes each document to
a file of its own instead of ingesting the rows. The last line is JSON.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from thesphere.metrics import ndcg_at_k
from thesphere.sphere import Sphere

SEEDS = (0, 1, 2)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def damaged(text: str, rng: random.Random, rate: float = 0.10) -> str:
    """Each letter is hit with probability `rate`: replaced, deleted, preceded by another, or swapped with
    the next."""
    out = []
    chars = list(text)
    i = 0
    while i < len(chars):
        char = chars[i]
        if char.isalpha() and rng.random() < rate:
            kind = rng.randrange(4)
            if kind == 0:
                out.append(rng.choice(LETTERS))
            elif kind == 2:
                out += [rng.choice(LETTERS), char]
            elif kind == 3 and i + 1 < len(chars):
                out += [chars[i + 1], char]
                i += 1
        else:
            out.append(char)
        i += 1
    return "".join(out)


def read(folder: Path, split: str | None) -> tuple[list[dict], dict[str, str], dict[str, dict[str, int]]]:
    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").open()]
    queries = {row["_id"]: row["text"] for row in map(json.loads, (folder / "queries.jsonl").open())}
    names = [split] if split else ["test", "dev"]
    path = next(p for name in names if (p := folder / "qrels" / f"{name}.tsv").exists())
    judged: dict[str, dict[str, int]] = {}
    for line in path.read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged.setdefault(query, {})[document] = int(grade)
    return (
        corpus,
        queries,
        {q: r for q, r in judged.items() if q in queries and any(v > 0 for v in r.values())},
    )


def collection(
    folder: Path, corpus: list[dict], home: Path, encoder: str, files: bool
) -> tuple[Sphere, dict[str, list[str]]]:
    """The ingested collection, and which documents each source name stands for."""
    sphere = Sphere.create(home / f"{folder.name}.sphere", encoder=encoder)
    stands: dict[str, list[str]] = {}
    if files:
        (home / "docs").mkdir()
        for number, row in enumerate(corpus):
            path = home / "docs" / f"{number}.txt"
            path.write_text(f"{row.get('title', '')}\n{row['text']}".strip() or " ")
            stands[f"docs/{path.name}"] = [row["_id"]]
        sphere.ingest(home / "docs")
    else:
        for number, row in enumerate(corpus):
            stands[f"corpus.jsonl#{number}/text"] = [row["_id"]]
        sphere.ingest(folder / "corpus.jsonl")
    return sphere, stands


def ranked(sphere: Sphere, stands: dict[str, list[str]], text: str, vectors: bool | None) -> list[str]:
    found: list[str] = []
    for hit in sphere.search(text, k=20, vectors=vectors):
        found += [document for path in hit.paths for document in stands[path] if document not in found]
    return found[:10]


def mean_ndcg(sphere, stands, queries, judged, vectors, rng=None) -> float:
    total = 0.0
    for query, relevant in judged.items():
        text = queries[query] if rng is None else damaged(queries[query], rng)
        total += ndcg_at_k(ranked(sphere, stands, text, vectors), relevant, 10) if text.strip() else 0.0
    return total / len(judged)


def bm25(corpus: list[dict], queries: dict[str, str], judged: dict[str, dict[str, int]]) -> float:
    """The peer: bm25s with its defaults and English stop words, titles before texts."""
    import bm25s

    texts = [f"{row.get('title', '')} {row['text']}" for row in corpus]
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
    total = 0.0
    for query, relevant in judged.items():
        tokens = bm25s.tokenize([queries[query]], stopwords="en", show_progress=False)
        found, _ = index.retrieve(tokens, k=min(10, len(texts)), show_progress=False)
        total += ndcg_at_k([corpus[int(i)]["_id"] for i in found[0]], relevant, 10)
    return total / len(judged)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder", default="none")
    parser.add_argument("--collections", default="scifact,cranfield,cisi,cosqa,xquad-en,xquad-de,xquad-zh")
    parser.add_argument("--split")
    parser.add_argument("--damage", action="store_true")
    parser.add_argument("--files", action="store_true")
    arguments = parser.parse_args()
    results: dict[str, dict] = {}
    for name in arguments.collections.split(","):
        corpus, queries, judged = read(arguments.data / name, arguments.split)
        with tempfile.TemporaryDirectory() as home:
            begun = time.perf_counter()
            sphere, stands = collection(
                arguments.data / name, corpus, Path(home), arguments.encoder, arguments.files
            )
            built = time.perf_counter() - begun
            begun = time.perf_counter()
            row = {"ndcg": mean_ndcg(sphere, stands, queries, judged, None)}
            row["ms"] = (time.perf_counter() - begun) / len(judged) * 1e3
            row["bm25s"] = bm25(corpus, queries, judged)
            if arguments.encoder not in ("none", "lsa"):
                row["lexical"] = mean_ndcg(sphere, stands, queries, judged, False)
            if arguments.damage:
                rows = [mean_ndcg(sphere, stands, queries, judged, None, random.Random(s)) for s in SEEDS]
                row["damaged"] = sum(rows) / len(rows)
                row["kept"] = row["damaged"] / row["ndcg"]
            row |= {"queries": len(judged), "seconds": built, "stored": sphere.info()["stored"]}
            sphere.close()
        results[name] = row
        print(name, {key: round(value, 4) for key, value in row.items()}, flush=True)
    print(json.dumps({"benchmark": "judged", "encoder": arguments.encoder, "results": results}))


if __name__ == "__main__":
    main()
