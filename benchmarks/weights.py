"""How much should vectors weigh beside words? The sweep behind `sphere.search.vector_weight`.

    python benchmarks/weights.py DATA [--encoder minilm] [--collection scifact] [--split train]

nDCG@10 of score = lexical + c * flatness^f * max(coverage, 0.6)^g * best cosine over a grid of c, f and g, clean
and with 10 % of the letters damaged, on queries that are used for nothing else. The last line is JSON.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

import numpy as np
from judged import collection, damaged, read

from thesphere.lexical.query import analyse
from thesphere.metrics import ndcg_at_k

GRID = [
    (c, f, g)
    for f, cs in ((0, (2, 4, 6, 8)), (1, (8, 12, 16)), (2, (12, 16, 18, 20, 24)))
    for c in cs
    for g in (0, 8)
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--collection", default="scifact")
    parser.add_argument("--split", default="train")
    arguments = parser.parse_args()
    folder = arguments.data / arguments.collection
    corpus, queries, judged = read(folder, arguments.split)
    rng = random.Random(0)
    asked = {"clean": queries, "damaged": {query: damaged(queries[query], rng) for query in judged}}
    results = []
    with tempfile.TemporaryDirectory() as home:
        sphere, stands = collection(folder, corpus, Path(home), arguments.encoder, False)
        view, encoder, points = sphere.view, sphere.encoder, sphere.points()
        assert encoder is not None
        names = [part.record(int(d)).names[0] for part in view.parts for d in part.window_document]
        unit = points.embeddings / np.maximum(np.linalg.norm(points.embeddings, axis=1, keepdims=True), 1e-9)
        sums = {cell: dict.fromkeys(asked, 0.0) for cell in GRID}
        for kind, texts in asked.items():
            vectors = encoder.encode([texts[query].encode() for query in judged])
            for (query, relevant), vector in zip(judged.items(), vectors, strict=True):
                scores = view.lexical.score(analyse(texts[query]))
                lexical = np.concatenate(scores.parts)
                cosines = unit @ (vector / max(1e-9, float(np.linalg.norm(vector))))
                best = np.maximum.reduceat(cosines, view.window_points[:-1])
                for c, f, g in GRID:
                    joined = lexical + c * scores.flatness**f * max(scores.coverage, 0.6) ** g * best
                    ranked = list(dict.fromkeys(stands[names[w]][0] for w in np.argsort(-joined)[:20]))[:10]
                    sums[c, f, g][kind] += ndcg_at_k(ranked, relevant, 10) / len(judged)
        sphere.close()
    for (c, f, g), means in sums.items():
        results.append({"c": c, "flatness": f, "coverage": g, **means})
        print({key: round(value, 4) for key, value in results[-1].items()})
    print(json.dumps({"benchmark": "weights", "collection": arguments.collection, "results": results}))


if __name__ == "__main__":
    main()
