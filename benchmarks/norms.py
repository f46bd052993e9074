"""What does normalisation destroy? The spread of each encoder's norms on real text, and what the norm means.

    python benchmarks/norms.py FILE [--limit 2000] [--passage-bytes 512] [--encoders lsa,minilm]

FILE is jsonl or jsonl.gz (the fields title, text or doc of each row are read) or any other file (cut at line
ends into passages). The last line is JSON.
"""

import argparse
import gzip
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from thesphere.encoders import fit_lsa, open_encoder
from thesphere.signals import norm_report


def read(path: Path, limit: int, passage_bytes: int) -> list[bytes]:
    """At most `limit` different texts, evenly spread over the file."""
    raw = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    if ".jsonl" in path.suffixes:
        rows = map(json.loads, raw.splitlines())
        texts = [
            " ".join(str(row[key]) for key in ("title", "text", "doc") if row.get(key)).encode()
            for row in rows
        ]
    else:
        texts, held = [], b""
        for line in raw.splitlines(keepends=True):
            if held and len(held) + len(line) > passage_bytes:
                texts.append(held)
                held = b""
            held += line
        texts.append(held)
    texts = [text for text in dict.fromkeys(texts) if text.strip()]
    return [texts[i] for i in np.unique(np.linspace(0, len(texts) - 1, limit).astype(int))] if texts else []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--passage-bytes", type=int, default=512)
    parser.add_argument("--encoders", default="lsa,minilm")
    given = parser.parse_args()
    texts = read(given.file, given.limit, given.passage_bytes)
    lengths = np.array([len(text) for text in texts])
    result = {"file": given.file.name, "texts": len(texts), "bytes": int(lengths.sum()), "encoders": {}}
    for name in given.encoders.split(","):
        started = time.perf_counter()
        encoder = fit_lsa(texts) if name == "lsa" else open_encoder(name)
        encoder.encode(texts[:2])  # compile
        ready = time.perf_counter()
        rows = encoder.encode(texts)
        done = time.perf_counter()
        report = norm_report(rows, lengths)
        print(f"{encoder.id}: {encoder.norm_meaning}")
        for when, spread in (("before", report.before), ("after", report.after)):
            print(f"  {when:6}", " ".join(f"{key} {value:.3f}" for key, value in asdict(spread).items()))
        print(f"  rank correlation with length {report.length_correlation:+.3f}. {report.meaning}")
        result["encoders"][encoder.id] = asdict(report) | {
            "seconds_to_open": round(ready - started, 3),
            "texts_per_second": round(len(texts) / (done - ready), 1),
            "megabytes_per_second": round(lengths.sum() / (done - ready) / 1e6, 3),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
