"""A collection of texts, and of pairs of them that belong together, for the training of encoders.

A `Collection` keeps every text once and packs all into three files that numpy, json and lzma can read.
"""

import hashlib
import json
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from thesphere.errors import FormatError

MOST_BYTES = 1600
"""A text is cut to so many bytes, at a blank where there is one near."""

KINDS = ("word", "query", "title", "sentence", "passage", "code", "interface", "gloss")
"""What a text is; "interface" is a string of a program's user interface."""


def cut(text: str, most: int = MOST_BYTES) -> bytes:
    """UTF-8 of `text`, at most `most` bytes, never ending inside a character and, if it can be, not in a word."""
    data = text.encode("utf-8", "ignore")
    if len(data) <= most:
        return data
    data = data[:most].decode("utf-8", "ignore").encode()
    blank = max(data.rfind(b" "), data.rfind(b"\n"))
    return data[:blank] if blank > most * 3 // 4 else data


@dataclass
class Collection:
    """Texts, each kept once, and the pairs between them.

    Args:
        refused: texts for which this is true are not taken (the texts that encoders are judged on).
    """

    refused: Callable[[str], bool] = field(default=lambda text: False)
    rows: dict[bytes, int] = field(default_factory=dict)
    texts: list[bytes] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    langs: list[str] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    pairs: dict[tuple[int, int], str] = field(default_factory=dict)
    parallel: dict[tuple[int, int], str] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    group: int = 0

    def add(self, text: str, kind: str, lang: str = "en") -> int | None:
        """The number of `text`, new or known; None for an empty or refused one."""
        data = cut(text.replace("\x00", "").strip())
        if not data:
            return None
        known = self.rows.get(data)
        if known is not None:
            return known if self.langs[known] == lang else None
        if self.refused(text):
            return None
        self.rows[data] = number = len(self.texts)
        self.texts.append(data)
        self.kinds.append(KINDS.index(kind))
        self.langs.append(lang)
        self.groups.append(self.group)
        return number

    def pair(self, query: int | None, passage: int | None, kind: str) -> bool:
        """Note that `query` should find `passage`; False for a text that is missing, or for one text twice."""
        if query is None or passage is None or query == passage or (query, passage) in self.pairs:
            return False
        self.pairs[query, passage] = kind
        return True

    def translation(self, foreign: str, english: str, lang: str, kind: str, text_kind: str) -> bool:
        """Note that `foreign` means `english`; False where one of them is not taken."""
        if foreign.strip() == english.strip():
            return False
        one = self.add(english, text_kind)
        two = self.add(foreign, text_kind, lang) if one is not None else None
        if one is None or two is None:
            return False
        self.parallel[two, one] = kind
        return True

    def pack(self, folder: str | Path, preset: int = 6) -> dict[str, Any]:
        """Write texts.bin.xz, pairs.npz and pairs.json into `folder`; give what pairs.json says.

        Texts are numbered anew: English (and code) 0..E-1, the other languages after it, both in the order in
        which they came, which keeps alike texts together for the compressor.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        langs = ["en", *sorted(set(self.langs) - {"en"})]
        lang = np.array([langs.index(each) for each in self.langs], np.uint8)
        order = np.argsort(lang != 0, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        raw = b"".join(self.texts[row] for row in order)
        pair_kinds, parallel_kinds = (sorted(set(each.values())) for each in (self.pairs, self.parallel))
        arrays = {
            "length": np.array([len(self.texts[row]) for row in order], np.uint16),
            "kind": np.array(self.kinds, np.uint8)[order],
            "lang": lang[order],
            "group": np.unique(self.groups, return_inverse=True)[1].astype(np.uint32)[order],
        }
        for name, found, kinds in (
            ("pair", self.pairs, pair_kinds), ("parallel", self.parallel, parallel_kinds),
        ):  # fmt: skip
            rows = place[np.array(list(found), np.int64).reshape(-1, 2)].astype(np.int32)
            by_passage = np.lexsort(rows.T)  # sorted and column by column: packs better
            arrays[name] = np.asfortranarray(rows[by_passage])
            arrays[name + "_kind"] = np.array([kinds.index(each) for each in found.values()], np.uint8)[
                by_passage
            ]
        with zipfile.ZipFile(folder / "pairs.npz", "w", zipfile.ZIP_LZMA) as file:  # half the size of deflate
            for name, array in arrays.items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        packed = lzma.compress(raw, preset=preset)
        (folder / "texts.bin.xz").write_bytes(packed)
        facts = {
            "texts": len(order), "english": int((lang == 0).sum()), "bytes": len(raw),
            "pairs": len(self.pairs), "parallel": len(self.parallel),
            "kinds": list(KINDS), "langs": langs, "pair_kinds": pair_kinds, "parallel_kinds": parallel_kinds,
            "sha256": hashlib.sha256(raw).hexdigest(), "sources": self.sources,
        }  # fmt: skip
        (folder / "pairs.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1))
        return facts


@dataclass(frozen=True)
class Pairs:
    """A packed collection, read back; see `Collection.pack`."""

    raw: bytes
    starts: np.ndarray
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]

    def text(self, number: int) -> bytes:
        """Text `number`."""
        start = int(self.starts[number])
        return self.raw[start : start + int(self.arrays["length"][number])]


def read_pairs(folder: str | Path) -> Pairs:
    """Read what `Collection.pack` wrote, or `joining.join`, which does not pack the texts.

    Raises:
        FormatError: the files do not belong together.
    """
    folder = Path(folder)
    facts = json.loads((folder / "pairs.json").read_text())
    packed = folder / "texts.bin.xz"
    raw = lzma.decompress(packed.read_bytes()) if packed.exists() else (folder / "texts.bin").read_bytes()
    with np.load(folder / "pairs.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if hashlib.sha256(raw).hexdigest() != facts["sha256"] or arrays["length"].sum(dtype=np.int64) != len(raw):
        raise FormatError(f"the texts in {folder} are not those that pairs.json and pairs.npz describe")
    starts = np.concatenate([[0], np.cumsum(arrays["length"], dtype=np.int64)[:-1]])
    return Pairs(raw, starts, arrays, facts)
