"""Two packed collections of pairs as one, written unpacked: plain Python and NumPy, in seconds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from thesphere.train.pairs import KINDS, Pairs, read_pairs


def join(first: str | Path, second: str | Path, out: str | Path) -> dict[str, Any]:
    """Write texts.bin, pairs.npz and pairs.json of both into `out`; give what pairs.json says.

    Every text is there once, with the kind and group that the first collection says. English texts are
    0..E-1, those of `first` before those of `second`, and the others come after them in the same way. A text
    that the two have in different languages is the first one's, and pairs of the second's are left out.
    """
    both = read_pairs(first), read_pairs(second)
    langs = ["en", *sorted({lang for each in both for lang in each.facts["langs"]} - {"en"})]
    lang_of = [np.array([langs.index(lang) for lang in each.facts["langs"]], np.uint8) for each in both]
    lang = [of[each.arrays["lang"]] for each, of in zip(both, lang_of, strict=True)]
    texts = [[each.text(number) for number in range(len(each.starts))] for each in both]
    known = {text: number for number, text in enumerate(texts[0])}
    same = np.array([known.get(text, -1) for text in texts[1]], np.int64)
    count = len(texts[0])
    row = np.where(same >= 0, same, 0)  # of the second: its number in the first, or a new one
    new = np.flatnonzero(same < 0)
    row[new] = count + np.arange(len(new))
    row[(same >= 0) & (lang[0][np.maximum(same, 0)] != lang[1])] = -1
    kept = texts[0] + [texts[1][number] for number in new]
    columns = {"lang": np.concatenate([lang[0], lang[1][new]])}
    groups = int(both[0].arrays["group"].max(initial=0)) + 1
    for name, base in (("length", 0), ("kind", 0), ("group", groups)):
        one, two = both[0].arrays[name], both[1].arrays[name][new]
        columns[name] = np.concatenate([one, (two + base).astype(one.dtype)])
    order = np.argsort(columns["lang"] != 0, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    arrays: dict[str, Any] = {name: columns[name][order] for name in ("length", "kind", "lang", "group")}
    numbers = place[:count], np.where(row >= 0, place[row], -1)
    facts: dict[str, Any] = {}
    for name in ("pair", "parallel"):
        tied, kinds, names = _ties(both, numbers, name)
        facts |= {"pairs" if name == "pair" else name: len(tied), f"{name}_kinds": names}
        arrays |= {name: np.asfortranarray(tied), f"{name}_kind": kinds}
    raw = b"".join(kept[number] for number in order)
    facts = {
        "texts": len(order), "english": int((columns["lang"] == 0).sum()), "bytes": len(raw), **facts,
        "kinds": list(KINDS), "langs": langs, "sha256": hashlib.sha256(raw).hexdigest(),
        "sources": {**both[0].facts["sources"], **_apart(both)},
    }  # fmt: skip
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "texts.bin").write_bytes(raw)
    np.savez(folder / "pairs.npz", **arrays)
    (folder / "pairs.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1))
    return facts


def _ties(
    both: tuple[Pairs, Pairs], numbers: tuple[np.ndarray, np.ndarray], name: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(pairs, kind of each, names of the kinds) of both, each pair once and sorted as `Collection.pack` does."""
    names = sorted({kind for each in both for kind in each.facts[f"{name}_kinds"]})
    tied, kinds = [], []
    for each, number in zip(both, numbers, strict=True):
        of = np.array([names.index(kind) for kind in each.facts[f"{name}_kinds"]], np.uint8)
        here = number[each.arrays[name].reshape(-1, 2)]
        fit = (here >= 0).all(1) & (here[:, 0] != here[:, 1])
        tied.append(here[fit])
        kinds.append(of[each.arrays[f"{name}_kind"][fit]])
    rows, kind = np.concatenate(tied).astype(np.int32), np.concatenate(kinds).astype(np.uint8)
    _, first = np.unique(rows, axis=0, return_index=True)
    rows, kind = rows[first], kind[first]
    by_passage = np.lexsort(rows.T)
    return rows[by_passage], kind[by_passage], names


def _apart(both: tuple[Pairs, Pairs]) -> dict[str, Any]:
    """The second's sources, named apart where the first has one of that name."""
    taken, apart = both[0].facts["sources"], {}
    for name, said in both[1].facts["sources"].items():
        while name in taken or name in apart:
            name += " (second)"
        apart[name] = said
    return apart
