"""How far should vectors be trusted beside words? What `Joining` is chosen by; no query of a test is looked at.

    pip download --no-deps --only-binary :all: -d WHEELS networkx ubelt fastcore monty trimesh pyvista dateparser
        rdflib python-utils textacy holoviews inflect validators pint plotnine parso streamlit django-allauth
        django-oscar django-cms mayan-edms
    python benchmarks/joining.py DATA WHEELS [--encoders sphere,sphere-light] [--cache FOLDER]

DATA holds SciFact in BEIR layout, of which only the training queries are asked, as they are and damaged. WHEELS
holds packages that no shipped encoder was trained on. Of these come

    code         functions without docstrings, asked for as somebody might type what the docstring says first
    docs         what docstrings say beyond their first paragraph, asked for by its first sentence
    translated   strings of user interfaces, asked for in other languages
    recalled     such strings in many languages, asked for by a third of their words and some that are not theirs

Every rule gives the weight c of `lexical score + c x best cosine` up to a factor, which is chosen for the mean
over the sets (of `SHARES`); "other half" is that mean where each half of the queries is ranked with the factor
that the other half chose. `z-scores` and `reciprocal ranks` are other ways to join, for comparison. The last line
is JSON.
"""

import argparse
import json
import random
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from cases import Cached, Case, opened, stands_of, unit
from judged import read

from thesphere.encoders.joining import SPARE
from thesphere.train import extractors
from thesphere.train.damage import Misreading, Typing
from thesphere.train.functions import asked as as_asked
from thesphere.train.functions import functions as functions_of

SHARES = {"scifact": 4, "code": 4, "docs": 2, "translated": 1, "recalled": 2, "typing": 1, "scanner": 1}
"""How much each set counts."""
SCALES = np.geomspace(0.125, 32, 49)
EQUAL = 0.001  # nDCG that is no difference: vectors are trusted no further than it pays
MOST_OF_A_WHEEL, QUERIES = 300, 1200
PLACE = 10  # the best is compared with the one at this place by some rules
NEAR = 100  # of each ranking: what can come among the first ten
LONG, LONGER = 50, 90  # characters of a string that is worth asking for, or worth asking for by its words
LANGUAGES = re.compile(r"ar|cs|de|el|es|fr|hi|it|ja|ko|nl|pl|pt|ro|ru|th|tr|uk|vi|zh")

Collection = tuple[list[dict], dict[str, str], dict[str, dict[str, int]]]


def order(text: str) -> int:
    """A number that looks like chance and is always the same."""
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=6).digest(), "big")


def contents(wheels: Path, ending: str) -> Iterator[tuple[str, str, bytes]]:
    """(wheel, name, bytes) of the files of all wheels, tests left out."""
    for path in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(path) as wheel:
            for name in sorted(wheel.namelist()):
                if name.endswith(ending) and not re.search(r"test|_vendor", name):
                    yield path.name, name, wheel.read(name)


def paired(found: list[tuple[str, str]], more: list[str]) -> Collection:
    """A collection of the texts of (query, text), and of others, in which the first queries are asked."""
    texts = list(dict.fromkeys([text for _, text in found] + more))
    place = {text: str(number) for number, text in enumerate(texts)}
    some = sorted(found, key=lambda each: order(each[0] + each[1]))[:QUERIES]
    queries = {f"q{number}": query for number, (query, _) in enumerate(some)}
    judged = {f"q{number}": {place[text]: 1} for number, (_, text) in enumerate(some)}
    return [{"_id": number, "text": text} for text, number in place.items()], queries, judged


def of_functions(wheels: Path) -> dict[str, Collection]:
    """The sets "code" and "docs"."""
    functions: dict[str, dict[str, tuple[str, str]]] = {}
    for wheel, _, data in contents(wheels, ".py"):
        for function in functions_of(data.decode("utf-8", "ignore")):
            if 60 < len(function.bare) < 2600 and "\n" in function.bare and function.name[:2] != "__":
                functions.setdefault(wheel, {})[function.bare] = function.summary, function.code
    code, bare, docs = [], [], []
    for found in functions.values():
        for text in sorted(found, key=order)[:MOST_OF_A_WHEEL]:
            summary, whole = found[text]
            first = extractors.sentences(summary)[0] if summary and whole != text else ""
            if 15 < len(first) < 200 and first.count(" ") > 2:
                code.append((as_asked(first, order(first)), text))
            else:
                bare.append(text)
        for text, (summary, whole) in found.items():
            said = re.search(r'"""(.+?)"""', whole, re.DOTALL)
            rest = said[1].strip().partition("\n\n")[2] if said and whole != text else ""
            if 15 < len(summary) < 200 and 120 < len(rest) < 2000 and rest.count(". ") > 1:
                docs.append((summary, extractors.squeezed(rest)))
    return {"code": paired(code, bare), "docs": paired(docs, [])}


def recalled(text: str, others: list[str]) -> str:
    """About a third of the words of a text and half as many others in disorder; three characters are a word where
    there are no blanks."""
    blank = " " if text.count(" ") > len(text) / 20 else ""
    rng = random.Random(order(text))

    def parts(each: str) -> list[str]:
        return each.split() if blank else [each[i : i + 3] for i in range(0, len(each), 3)]

    kept = [part for part in parts(text) if rng.random() < 0.35]
    kept += [rng.choice(parts(rng.choice(others))) for _ in range(max(2, len(kept) // 2))]
    rng.shuffle(kept)
    return blank.join(kept)


def of_catalogues(wheels: Path) -> dict[str, Collection]:
    """The sets "translated" and "recalled"."""
    found: dict[str, dict[str, str]] = {}
    for _, name, data in contents(wheels, ".mo"):
        for english, foreign in extractors.catalogue(data):
            if len(english) > LONG:
                found.setdefault(english, {})[Path(name).parts[-3]] = foreign
    asked, foreign = [], dict[str, list[str]]()
    for english, languages in found.items():
        known = [name for name in languages if LANGUAGES.match(name)]
        chosen = sorted(known, key=lambda name: order(name + english))[:3]
        asked += [(languages[name], english) for name in chosen[:2]]
        for name in chosen if len(english) > LONGER else ():
            foreign.setdefault(name[:2], []).append(languages[name])
    by_words = [(recalled(text, texts), text) for texts in foreign.values() for text in texts]
    return {"translated": paired(asked, []), "recalled": paired(by_words, [])}


@dataclass(frozen=True)
class Signals:
    """What the rules see of the queries of one set [Q], and the documents that may come first [Q, C].

    Attributes:
        words: the lexical scores.
        cosines: of the best passages.
        gains: what each document is worth among the first.
        ideal: the most that the first ten could be worth.
        strength, coverage, flatness: of the lexical scores.
        lead: of the best cosine over the tenth.
        stands: of the best cosine above all, see `standing`.
        mean, spread: of all cosines.
    """

    words: np.ndarray
    cosines: np.ndarray
    gains: np.ndarray
    ideal: np.ndarray
    strength: np.ndarray
    coverage: np.ndarray
    flatness: np.ndarray
    lead: np.ndarray
    stands: np.ndarray
    mean: np.ndarray
    spread: np.ndarray

    @property
    def ahead(self) -> np.ndarray:
        """How far the best words lead."""
        return self.strength * (1 - self.flatness)

    def ndcg(self, scores: np.ndarray) -> np.ndarray:
        """nDCG@10 of every query, equal scores in the order of the collection."""
        first = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        return (np.take_along_axis(self.gains, first, 1) * _DISCOUNT).sum(1) / self.ideal


_DISCOUNT = 1 / np.log2(np.arange(10) + 2)


def signals(case: Case, encoder: Cached, texts: list[str]) -> Signals:
    """Those of one set, asked with these texts."""
    evidence = case.evidence(texts)
    best = case.best(unit(encoder(texts)) @ unit(encoder(case.passages)).T)
    live = best[0] > -1e8
    best, words = best[:, live], evidence.scores[:, live]
    owners = [window for window, alive in zip(case.windows, live, strict=True) if alive]
    column = {name: number for number, owner in enumerate(owners) for name in case.same[owner]}
    gains, ideal = np.zeros(words.shape), np.zeros(len(words))
    for row, relevant in enumerate(case.judged.values()):
        worth = {name: 2.0**grade - 1 for name, grade in relevant.items() if grade > 0}
        for name, gain in worth.items():
            if name in column:  # a document without text has no window
                gains[row, column[name]] = gain
        top = sorted(worth.values(), reverse=True)[:10]
        ideal[row] = np.dot(top, _DISCOUNT[: len(top)])
    near = np.zeros(words.shape, bool)
    for scores in (words, best):
        np.put_along_axis(near, np.argpartition(-scores, NEAR, axis=1)[:, :NEAR], True, 1)
    some = np.argsort(~near, axis=1, kind="stable")[:, : 2 * NEAR]  # those, and a few others to fill up
    return Signals(
        words=np.take_along_axis(words, some, 1),
        cosines=np.take_along_axis(best, some, 1),
        gains=np.take_along_axis(gains, some, 1),
        ideal=ideal,
        strength=evidence.strength,
        coverage=evidence.coverage,
        flatness=evidence.flatness,
        lead=best.max(1) + np.partition(-best, PLACE - 1, axis=1)[:, PLACE - 1],
        stands=stands_of(best),
        mean=best.mean(1),
        spread=best.std(1),
    )


def ranks(scores: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(-scores, axis=1), axis=1)


def weighted(weight: Callable[[Signals], np.ndarray]) -> Callable[[Signals, float], np.ndarray]:
    """A way to join by `lexical score + factor x weight x cosine`."""
    return lambda s, factor: s.words + factor * np.minimum(weight(s), 100)[:, None] * s.cosines


WAYS: dict[str, Callable[[Signals, float], np.ndarray]] = {
    "reciprocal ranks": lambda s, k: 1 / (20 + ranks(s.words)) + k / (20 + ranks(s.cosines)),
    "z-scores": lambda s, c: s.words + c / 10 * (s.cosines - s.mean[:, None]) / s.spread[:, None],
    "the same for all": weighted(lambda s: np.ones(len(s.lead))),
    "flatness and coverage": weighted(lambda s: s.flatness**2 * np.maximum(s.coverage, 0.6) ** 8),
    "flatness": weighted(lambda s: s.flatness),
    "strength": weighted(lambda s: 1 / (s.strength * s.coverage + 0.05)),
    "lead of words": weighted(lambda s: 1 / (s.ahead + 0.05)),
    "lead of vectors": weighted(lambda s: s.lead + 0.02),
    "both leads": weighted(lambda s: (s.lead + 0.02) / (s.ahead + 0.05)),
    "both leads, squared": weighted(lambda s: (s.lead + 0.02) / (s.ahead + SPARE) ** 2),
    "squared, of coverage": weighted(
        lambda s: (s.lead + 0.02) / (s.strength * s.coverage * (1 - s.flatness) + SPARE) ** 2
    ),
    "best cosine": weighted(lambda s: s.cosines.max(1) / (s.ahead + SPARE) ** 2),
    "standing": weighted(lambda s: s.stands / 10 / (s.ahead + SPARE) ** 2),
    "standing, squared": weighted(lambda s: (s.stands / 10) ** 2 / (s.ahead + SPARE) ** 2),
}
CHOSEN = "standing, squared"  # what thesphere.encoders.joining does


def smallest(means: np.ndarray) -> int:
    """The place of the smallest factor that is as good as the best."""
    return int(np.flatnonzero(means >= means.max() - EQUAL)[0])


def fitted(sets: dict[str, Signals], way: Callable[[Signals, float], np.ndarray]) -> dict[str, float]:
    """The factor for all sets, nDCG@10 of each with it, and the mean by factors of other halves."""
    table = {name: np.array([s.ndcg(way(s, factor)) for factor in SCALES]) for name, s in sets.items()}
    share = np.array([SHARES[name] for name in sets]) / sum(SHARES[name] for name in sets)

    def means(half: slice) -> np.ndarray:
        return np.array([each[:, half].mean(1) for each in table.values()]).T @ share

    halves = slice(0, None, 2), slice(1, None, 2)
    crossed = [means(ask)[smallest(means(choose))] for choose, ask in (halves, halves[::-1])]
    best = smallest(means(slice(None)))
    row = {name: float(each[best].mean()) for name, each in table.items()}
    return {
        "factor": float(SCALES[best]),
        **row,
        "mean": float(means(slice(None))[best]),
        "other half": float(np.mean(crossed)),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--encoders", default="sphere,sphere-light")
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    collections = {"scifact": read(arguments.data / "scifact", "train")}
    collections |= of_functions(arguments.wheels) | of_catalogues(arguments.wheels)
    names = arguments.encoders.split(",")
    sets: dict[str, dict[str, Signals]] = {name: {} for name in names}
    for collection, rows in collections.items():
        with tempfile.TemporaryDirectory() as home:
            case = Case(*rows, Path(home))
            print(f"{collection}: {len(rows[0])} texts, {len(rows[2])} queries", flush=True)
            asked = {collection: case.texts()}
            if collection == "scifact":
                for name, way in (("typing", Typing(0.10)), ("scanner", Misreading(0.10, "scanner"))):
                    asked[name] = case.texts(lambda key, text, seed, way=way: way(text, seed))
            for name in names:
                encoder = opened(name, case, arguments.cache)
                for each, texts in asked.items():
                    sets[name][each] = signals(case, encoder, texts)
            case.sphere.close()
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name in names:
        alone = {
            "words": {each: float(s.ndcg(s.words).mean()) for each, s in sets[name].items()},
            "vectors": {each: float(s.ndcg(s.cosines).mean()) for each, s in sets[name].items()},
        }
        results[name] = alone | {way: fitted(sets[name], WAYS[way]) for way in WAYS}
        for way, row in results[name].items():
            print(f"{name:14} {way:24}", *(f"{key} {value:.4f}" for key, value in row.items()), sep="  ")
        for scale in SCALES[::3]:
            print(f"{name:14} {CHOSEN} {scale:7.3f}", *(
                f"{each} {s.ndcg(WAYS[CHOSEN](s, scale)).mean():.4f}" for each, s in sets[name].items()
            ), sep="  ")  # fmt: skip
        print(f"{name}: Joining({results[name][CHOSEN]['factor']:.2g})", flush=True)
    print(json.dumps({"benchmark": "joining", "results": results}))


if __name__ == "__main__":
    main()
