"""Which encoder finds what is meant? Encoders alone and beside words, on judged collections, clean and damaged.

    python benchmarks/encoders.py DATA [--encoders sphere,sphere-light,minilm] [--collections scifact,...]
    [--split train] [--damage] [--damage-documents] [--ways typing,...] [--seeds 3] [--most DOCUMENTS]
    [--prominence] [--speed] [--cache FOLDER]

DATA holds folders in BEIR layout (corpus.jsonl, queries.jsonl, qrels/*.tsv). For every encoder nDCG@10 of

    documents  the cosine of the query with the whole document, title and text (what an encoder does alone)
    passages   the best cosine with one of the document's passages, as the product cuts them
    fused      the product's ranking: lexical score + weight x best passage, `thesphere.sphere.search`

beside BM25 (bm25s), the lexical score alone, and MiniLM, which is an encoder among the others. `judged.py
--encoder NAME` gives `fused` through `Sphere.search` itself. `--damage` damages the queries in every one of
`WAYS` (or those named), so many seeds each, and mixes languages where a collection has parallel ones beside it
(`NAME-LANGUAGE`) and no ways are named; training knows damage of these kinds, but neither the camera's table nor
glued texts. `--damage-documents` does the same to the documents, titles and texts, and asks the queries as they
are; each way and seed embeds the whole collection again, which `--most` makes smaller: all documents that answer
a query, and others drawn with a fixed seed up to that number. `--prominence` ranks without the encoder's own
weights of patches, and with the norms of passages in several places. `--speed` measures bytes per second on two
threads. `--cache` keeps embeddings between runs, for slow encoders. The last line is JSON.
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from cases import Cached, Case, Damage, Evidence, opened, spoilt, unit
from judged import SEEDS, bm25, read

from thesphere.encoders import Encoder
from thesphere.encoders.sphere import SphereEncoder
from thesphere.patches.models import open_entropy_model
from thesphere.sphere.batch import encode_in_threads
from thesphere.train.damage import Misreading, Typing, identified, mixed

COLLECTIONS = "scifact,cranfield,cisi,cosqa,xquad-en,xquad-de,xquad-zh"
RUNS = 3
SPEED_BYTES = 1 << 18


def glued(text: str, seed: int) -> str:
    """`text` as a programmer would name it: runs of two to four words become camelCase or snake_case."""
    rng, words, out = random.Random(seed), text.split(), []
    while words:
        size = rng.randint(2, 4)
        some, words = words[:size], words[size:]
        tail = [word[:1].upper() + word[1:] for word in some[1:]]
        out.append("".join([some[0], *tail]) if rng.random() < 0.5 else "_".join(some))
    return " ".join(out)


WAYS: dict[str, Callable[[str, int], str]] = {
    "typing": Typing(0.10),
    "scanner": Misreading(0.10, "scanner"),
    "camera": Misreading(0.10, "camera"),
    "identifier": identified,
    "glued": glued,
}


def ranking(case: Case, encoder: Cached, texts: Sequence[str], evidence: Evidence) -> dict[str, float]:
    """nDCG@10 of one encoder, alone and beside words."""
    asked = unit(encoder(texts))
    best = case.best(asked @ unit(encoder(case.passages)).T)
    return {
        "documents": case.ndcg(asked @ unit(encoder(case.documents)).T, case.ids),
        "passages": case.ndcg(best, case.windows),
        "fused": case.ndcg(
            evidence.scores + evidence.weight(encoder.encoder.joining, best) * best, case.windows
        ),
    }


def evenly(encoder: Encoder) -> Encoder | None:
    """The encoder with the same prominence for all patches; None for one that knows no prominence."""
    if not isinstance(encoder, SphereEncoder):
        return None
    even = {"prominence": np.zeros_like(encoder.tensors["prominence"])}
    return replace(encoder, tensors=encoder.tensors | even)


def by_prominence(case: Case, encoder: Cached, texts: Sequence[str], evidence: Evidence) -> dict[str, float]:
    """nDCG@10 without prominence, and with it at work in other places; norms are shares of their median.

    `x, even`: every patch weighs the same within a text. `x^a`: a passage's cosine times its norm to the power a;
    0 is the product's. `pooled`: the cosine with the sum of a document's passages, as long as they are or all of
    length 1.
    """
    asked, rows = unit(encoder(texts)), encoder(case.passages)
    norms = np.linalg.norm(rows, axis=1)
    norms = norms / max(1e-9, float(np.median(norms)))
    cosines = asked @ unit(rows).T
    weight = evidence.weight(encoder.encoder.joining, case.best(cosines))
    found: dict[str, float] = {}
    if (even := evenly(encoder.encoder)) is not None:
        ranks = ranking(case, Cached(even, None), texts, evidence)
        found |= {f"{key}, even": value for key, value in ranks.items()}
    for power in (0.0, 0.25, 0.5, 1.0):
        best = case.best(cosines * norms**power)
        found[f"passages^{power:g}"] = case.ndcg(best, case.windows)
        found[f"fused^{power:g}"] = case.ndcg(evidence.scores + weight * best, case.windows)
    for name, parts in (("pooled by norm", rows), ("pooled evenly", unit(rows))):
        sums = np.add.reduceat(parts, case.sphere.view.window_points[:-1], axis=0)
        found[name] = case.ndcg(case.masked(asked @ unit(sums).T), case.windows)
    return found


def speeds(encoders: dict[str, Encoder], texts: list[bytes]) -> dict[str, float]:
    """kB/s of wall time of two threads, medians of runs that take turns; `+ small`: with the small entropy model,
    one after the other."""
    os.environ["THESPHERE_THREADS"] = "2"
    data = b"".join(texts)
    model = open_entropy_model("small")
    work: dict[str, Callable[[], object]] = {"small entropy model": lambda: model.entropies(data)}
    for name, encoder in encoders.items():
        work[name] = lambda encoder=encoder: encode_in_threads(encoder, texts)
    times: dict[str, list[float]] = {name: [] for name in work}
    for run in range(RUNS + 1):
        for name, each in work.items():
            begun = time.perf_counter()
            each()
            if run:  # the first compiles and loads
                times[name].append(time.perf_counter() - begun)
    seconds = {name: float(np.median(each)) for name, each in times.items()}
    found = {name: len(data) / 1e3 / each for name, each in seconds.items()}
    both = {f"{name} + small": seconds[name] + seconds["small entropy model"] for name in encoders}
    return found | {name: len(data) / 1e3 / each for name, each in both.items()}


def shown(name: str, way: str, row: dict[str, float]) -> dict[str, float]:
    print(f"{name:16} {way:24}", *(f"{key} {value:.4f}" for key, value in row.items()), sep="  ", flush=True)
    return row


def thinned(corpus: list[dict], judged: dict[str, dict[str, int]], most: int) -> list[dict]:
    """The documents that answer a query and some of the others, `most` or more in all; 0: every document."""
    answers = {key for grades in judged.values() for key, grade in grades.items() if grade > 0}
    others = [row["_id"] for row in corpus if row["_id"] not in answers]
    room = max(0, most - len(answers))
    kept = answers | set(random.Random(0).sample(others, min(room, len(others))))
    return [row for row in corpus if row["_id"] in kept] if most else corpus


def damages(folder: Path, ways: str, others: Callable[[Path], dict[str, str]]) -> dict[str, Damage]:
    """The ways to damage the texts of a collection; `others` reads those of a parallel one."""
    found: dict[str, Damage] = {
        name: lambda key, text, seed, way=way: way(text, seed)
        for name, way in WAYS.items()
        if not ways or name in ways.split(",")
    }
    if ways:
        return found
    stem, dash, _ = folder.name.rpartition("-")
    for sibling in sorted(folder.parent.glob(f"{stem}-*")) if dash else ():
        if sibling != folder:
            other = others(sibling)
            found[f"mixed with {sibling.name}"] = lambda key, text, seed, o=other: mixed(text, o[key], seed)
    return found


def mean(name: str, way: str, rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over the seeds, which are shown, and standard deviations."""
    means = shown(name, way, {key: float(np.mean([row[key] for row in rows])) for key in rows[0]})
    return means | {f"{key} sd": float(np.std([row[key] for row in rows])) for key in rows[0]}


def all_rankings(
    case: Case, encoders: dict[str, Cached], texts: Sequence[str], evidence: Evidence
) -> dict[str, dict[str, float]]:
    """`ranking` of every encoder, and what words alone reach."""
    found = {"words": {"lexical": case.ndcg(evidence.scores, case.windows)}}
    return found | {name: ranking(case, encoder, texts, evidence) for name, encoder in encoders.items()}


def titles_and_texts(corpus: list[dict]) -> tuple[dict[str, str], dict[str, str]]:
    """Both by id; a title's begins with "title of "."""
    titles = {f"title of {row['_id']}": row.get("title") or "" for row in corpus}
    return titles, {row["_id"]: row["text"] for row in corpus}


def scanned(
    case: Case, encoders: dict[str, Cached], damage: Damage, seed: int
) -> dict[str, dict[str, float]]:
    """`all_rankings` and BM25 of the collection with damaged titles and texts, asked the queries as they are."""
    titles, texts = titles_and_texts(case.corpus)
    titles, texts = spoilt(titles, damage, seed + len(SEEDS)), spoilt(texts, damage, seed)
    corpus = [
        row | {"title": title, "text": text}
        for row, title, text in zip(case.corpus, titles, texts, strict=True)
    ]
    with tempfile.TemporaryDirectory() as home:
        worse, texts = Case(corpus, case.queries, case.judged, Path(home)), case.texts()
        rows = all_rankings(worse, encoders, texts, worse.evidence(texts))
        worse.sphere.close()
    rows["words"]["bm25s"] = bm25(corpus, case.queries, case.judged)
    return rows


def with_damage(
    folder: Path, case: Case, encoders: dict[str, Cached], documents: bool, ways: str, seeds: int
) -> dict[str, dict[str, float]]:
    """nDCG@10 with damaged queries, or with damaged documents."""

    def others(sibling: Path) -> dict[str, str]:
        corpus, queries, _ = read(sibling, None)
        titles, texts = titles_and_texts(corpus)
        return titles | texts if documents else queries

    found: dict[str, dict[str, float]] = {}
    for way, damage in damages(folder, ways, others).items():
        tables: dict[str, list[dict[str, float]]] = {}
        for seed in SEEDS[:seeds]:
            if documents:
                rows = scanned(case, encoders, damage, seed)
            else:
                texts = case.texts(damage, seed)
                rows = all_rankings(case, encoders, texts, case.evidence(texts))
            for each, row in rows.items():
                tables.setdefault(each, []).append(row)
        title = f"documents, {way}" if documents else way
        found |= {f"{each}, {title}": mean(folder.name, f"{each}, {title}", tables[each]) for each in tables}
    return found


def measured(folder: Path, case: Case, arguments: argparse.Namespace) -> dict[str, dict]:
    """Everything that was asked for about one collection."""
    encoders = {each: opened(each, case, arguments.cache) for each in arguments.encoders.split(",")}
    texts = case.texts()
    evidence = case.evidence(texts)
    found: dict[str, dict] = dict(all_rankings(case, encoders, texts, evidence))
    found["words"]["bm25s"] = bm25(case.corpus, case.queries, case.judged)
    for each, row in found.items():
        shown(folder.name, each, row)
    for asked, documents in ((arguments.damage, False), (arguments.damage_documents, True)):
        if asked:
            found |= with_damage(folder, case, encoders, documents, arguments.ways, arguments.seeds)
    for each, encoder in encoders.items():
        if arguments.prominence:
            title = f"{each}, prominence"
            found[title] = shown(folder.name, title, by_prominence(case, encoder, texts, evidence))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoders", default="sphere,sphere-light,minilm")
    parser.add_argument("--collections", default=COLLECTIONS)
    parser.add_argument("--split")
    for flag in ("--damage", "--damage-documents", "--prominence", "--speed"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--ways", default="", help=", ".join(WAYS))
    parser.add_argument("--seeds", type=int, default=len(SEEDS), choices=range(1, len(SEEDS) + 1))
    parser.add_argument("--most", type=int, default=0)
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    results: dict[str, dict] = {}
    speed: dict[str, float] = {}
    for name in arguments.collections.split(","):
        with tempfile.TemporaryDirectory() as home:
            corpus, queries, judged = read(arguments.data / name, arguments.split)
            case = Case(thinned(corpus, judged, arguments.most), queries, judged, Path(home))
            results[name] = measured(arguments.data / name, case, arguments)
            if arguments.speed and not speed:
                texts = [passage.encode() for passage in case.passages]
                some = texts[: int(np.searchsorted(np.cumsum([len(t) for t in texts]), SPEED_BYTES))]
                bare = {each: opened(each, case, None).encoder for each in arguments.encoders.split(",")}
                speed = shown("kB/s", "two threads", speeds(bare, some))
            case.sphere.close()
    print(json.dumps({"benchmark": "encoders", "results": results, "kilobytes_per_second": speed}))


if __name__ == "__main__":
    main()
