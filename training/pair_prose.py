"""Encyclopaedic prose and questions in other languages: a collection of its own, besides that of pair_stages.py.

PACKAGES has the repositories of REPOSITORIES, each read at one commit. Passages are found by real questions, by
questions made of their sentences (thesphere.train.clozes), by a sentence taken out of them, or by their title.
"""

import html
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pair_papers import Repository, small
from pair_sources import Source
from pair_stage import Stage, ending, read

from thesphere.train import clozes as C
from thesphere.train import extractors as E
from thesphere.train import papers
from thesphere.train.questions import mark

REPOSITORIES = (
    Repository("dennlinger/klexikon", "c909f38794b244c2d55d5b0037755390c56c9610", ("data/raw",)),
    Repository("ymcui/cmrc2018", "c0eb1b6ba219847457e6af3180da722bbeb656af", ("squad-style-data",)),
    Repository("DRCKnowledgeTeam/DRCD", "b944790de5af02c5fbb7cd9cb1473d27d169eebf"),
    Repository("SkelterLabsInc/JaQuAD", "23f5d72cc273c49b35e2d9efe0f51757aa1770bd", ("data/train",)),
    Repository("husseinmozannar/SOQAL", "1229d34aa2b7a0b9a2e4858c9268e68f45d7e3c4", ("data",)),
    Repository("ipipan/poquad", "1cf5a6e9e4be76735b33cb5c2047972a4a0efb0f"),
    Repository("liafacom/faquad", "6ad978f20672bb41625b3b71fbe4a88b893d0a86", ("data",)),
    Repository("iapp-technology/iapp-wiki-qa-dataset", "644a29c59bac62d5b15b9e9b06c55bba00708eca",
               ("squad_format",)),
    Repository("motazsaad/comparableWikiCoprus", "6e4a6e274b555a3c7e9a0f35c3828691a630f4d9", ("ar-arz",)),
    Repository("d2l-ai/d2l-zh", "e6b18ccea71451a55fcd861d7b96fddf2587b09a"),
    Repository("OI-wiki/OI-wiki", "76fa67c1ef16613519ec6c1a4c58857eba8b2a96", ("docs",)),
    Repository("LawRefBook/Laws", "2f4c5c23716267af9dbebbbbd6cbbf732b101981"),
    Repository("NiuTrans/Classical-Modern", "4e746ea9fa99c3c0d7051c45397330bef7b0962d", ("双语数据",)),
    Repository("bundestag/gesetze", "77abca2ceea3b7b89ea70afb13b5dd55415eb124"),
    *(Repository(f"COST-ELTeC/ELTeC-{name}", commit, (folder,)) for name, folder, commit in (
        ("deu", "level1", "d1eed488bd579ee95151b1a291a0056a90c36fa4"),
        ("fra", "level1", "83f0a43fdb967cd1db646027a1a237307e4924a1"),
        ("spa", "level1", "83e2a22d5ef66f96e59f47f7ef810358c4236322"),
        ("ita", "level1", "100a4851ed1a1092f082c0ecd109f621c8f62ed4"),
        ("por", "level1", "8886868916311001a8a8dd99aa6f18f6a2c68408"),
        ("pol", "level1", "95fe196e35720b3de9644ef3ef1d1bb242bae99a"),
        ("rom", "level1", "418e9a9e92ade7656e191e71ccd99abf44e4763d"),
        ("rus", "level0", "fc5014be10be291a000d7f7397c1f1ff60746d2b"),
    )),
    *(Repository(f"openstax/osbooks-{name}", commit, ("modules",)) for name, commit in (
        ("fizyka-bundle", "bdf3158ca1f9ed7516626e7b0f39047d37b43719"),
        ("psychologia", "2010b2f265ec99f8f24766d54d621f7736d827d8"),
        ("mikroekonomia", "b527719f8f710e73efcaf8344e23c4efb2e9657b"),
        ("makroekonomia", "36f59aa574f0177f9cc78b59b6beb632a5b9d067"),
        ("quimica-bundle", "755d386f196fdd7a308e0d9cecd1ff9fb1009241"),
        ("fisica-universitaria-bundle", "dcfa34b3a56bfd87ec7caf25e9b90de82f8e80a1"),
        ("introduccion-estadistica-bundle", "493484ec367aa7c55209af0ffa7e3636165dec26"),
    )),
    *(Repository(f"reactjs/{lang}.react.dev", commit, ("src/content",)) for lang, commit in (
        ("ko", "2e8c873c3cea6703d1c94d01b5d5716259005c8e"),
        ("vi", "b149357cfb8ae87f02ef108132114e5641d5c16f"),
        ("fr", "d60169fc8269d36347b340dd1def35c7af8e031d"),
        ("ru", "2361adda823b4cb04f0c46aade0303d20e6cb8a4"),
    )),
)  # fmt: skip
WIKIPEDIA = "CC BY-SA 3.0 or 4.0 (Wikipedia)"
SOURCES = (
    Source("git:klexikon (Wikipedia)", WIKIPEDIA, 0.5),
    Source("git:klexikon (Klexikon)", "CC BY-SA 4.0 (Klexikon)", 1.0),
    Source("git:gesetze", "public domain (laws); repository Unlicense", 0.02),
    Source("git:ELTeC-deu", "CC BY 4.0; novels in the public domain", 0.03),
    Source("git:ELTeC-fra", "CC BY 4.0; novels in the public domain", 0.03),
    Source("git:ELTeC-spa", "CC BY 4.0; novels in the public domain", 0.03),
    Source("git:ELTeC-ita", "CC BY 4.0; novels in the public domain", 0.04),
    Source("git:ELTeC-por", "CC BY 4.0; novels in the public domain", 0.035),
    Source("git:ELTeC-pol", "CC BY 4.0; novels in the public domain", 0.025),
    Source("git:ELTeC-rom", "CC BY 4.0; novels in the public domain", 0.035),
    Source("git:ELTeC-rus", "CC BY 4.0; novels in the public domain", 0.2),
    *(
        Source(f"git:osbooks-{name}", "CC BY 4.0 (OpenStax, at the commit named)", 1.0)
        for name in (
            "fizyka-bundle",
            "psychologia",
            "mikroekonomia",
            "makroekonomia",
            "quimica-bundle",
            "fisica-universitaria-bundle",
            "introduccion-estadistica-bundle",
        )
    ),
    *(Source(f"git:{lang}.react.dev", "CC BY 4.0", 1.0) for lang in ("ko", "vi", "fr", "ru")),
    Source("git:cmrc2018", "CC BY-SA 4.0", 1.0),
    Source("git:DRCD", "CC BY-SA 3.0", 1.0),
    Source("git:JaQuAD", "CC BY-SA 3.0", 1.0),
    Source("git:SOQAL (ARCD)", f"MIT; {WIKIPEDIA}", 1.0),
    Source("git:poquad", f"GPL-3; {WIKIPEDIA}", 1.0),
    Source("git:faquad", "CC BY 4.0 (FaQuAD)", 1.0),
    Source("git:iapp-wiki-qa-dataset", f"MIT; {WIKIPEDIA}", 1.0),
    Source("git:comparableWikiCoprus", "CC BY-SA 4.0", 0.07),
    Source("git:d2l-zh", "Apache-2.0", 1.0),
    Source("git:OI-wiki", "CC BY-SA 4.0", 0.5),
    Source("git:Laws", "public domain (laws of China)", 0.06),
    Source("git:Classical-Modern", "MIT, as the repository states; translations as published", 0.12),
)
SHARES = {source.name: source.share for source in SOURCES}
HISTORIES = """
    资治通鉴 明史 汉书 旧唐书 史记 北史 元史 徐霞客游记 宋书 新唐书 魏书 后汉书 晋书 三国志 梁书 南齐书
    金史 宋史 南史 旧五代史 新五代史 左传 水经注 周书 隋书 陈书 战国策 辽史 天工开物 梦溪笔谈 农桑辑要
""".split()
LAWS = ("宪法", "民法典", "刑法", "社会法", "经济法", "行政法", "民法商法", "宪法相关法", "行政法规")
NOVELS = {"deu": "de", "fra": "fr", "spa": "es", "ita": "it", "por": "pt", "pol": "pl", "rom": "ro",
          "rus": "ru"}  # fmt: skip
FRAMEWORK = {"ko": 0.5, "vi": 0.15, "fr": 0.02, "ru": 0.5}
"""Languages of a framework's documentation, and how much of a translated sentence is not ASCII."""
BOOKS = {"fizyka-bundle": "pl", "psychologia": "pl", "mikroekonomia": "pl", "makroekonomia": "pl",
         "quimica-bundle": "es", "fisica-universitaria-bundle": "es",
         "introduccion-estadistica-bundle": "es"}  # fmt: skip
UNSPACED = {"zh", "ja"}
LENGTHS = (450, 650, 850, 1100, 1400)
LONGEST = 1550
"""Bytes of a passage, title included."""
GENERIC = re.compile(
    r"literatur|weblinks|einzelnachweise|siehe auch|quellen|anmerkungen|fußnoten|belege|filmografie|diskografie"
    r"|nachweise|werke|references|referencias|bibliogra|suggested|przypisy|źródła|ejercicios|zadania|problem[ya]s?\b"
    r"|preguntas|pytania|soluciones|rozwiązania|klucz|preface|prefacio|przedmowa|inhalts|مراجع|وصلات خارجية"
    r"|انظر أيضا|المصادر|参考|外部",
    re.I,
)
_MARKS = re.compile(r"[{}|\\<>=_^~#*@•→▪■\ufffd]|https?:|www\.|ISBN|OpenStax|\d{6}|\?\?\?")
_NUMBERED = re.compile(
    r"^(?:第[一二三四五六七八九十百千零〇\d]{1,8}[条章节编](?:之[一二三四])?|[-–•]|\d+\.)\s+"
)
_ENDED = re.compile(r"[.!?…。！？؟।．]['\"“”»«」』’)）]*$")
_TAG = re.compile(r"<[^>]{0,500}>")

Section = tuple[str, list[list[str]]]
"""A heading, and paragraphs as their sentences."""


@dataclass(frozen=True)
class Article:
    """Prose of one article, book or law.

    Args:
        title: what it is about, for titles and questions; "" where it does not say that.
        sections: with the heading "" where none says what it holds.
    """

    lang: str
    title: str
    sections: list[Section]
    told: bool = False
    """Whether it is a tale, whose sentences say too little for questions."""


def good(sentence: str) -> bool:
    """Whether it reads as a sentence: no markup, mostly letters, with its full stop."""
    letters = C.letters(sentence)
    spaced = sum(map(str.isspace, sentence))
    return (
        len(sentence.encode()) > 15
        and letters + spaced > 0.78 * len(sentence)
        and bool(_ENDED.search(sentence))
        and not _MARKS.search(sentence)
    )


def cleaned(paragraphs: Iterable[list[str]]) -> list[list[str]]:
    """What of paragraphs is prose; of a paragraph that is mostly not, nothing."""
    kept = []
    for paragraph in paragraphs:
        fine = [each for each in map(E.squeezed, paragraph) if good(each)]
        if fine and len(fine) * 2 >= len(paragraph):
            kept.append(fine)
    return kept


def joined(piece: list[list[str]], lang: str) -> str:
    between = "" if lang in UNSPACED else " "
    return "\n".join(between.join(paragraph) for paragraph in piece)


def foreign(text: str) -> float:
    """How much of a text's letters is not ASCII."""
    letters = [each for each in text if each.isalpha()]
    return 1 - sum(map(str.isascii, letters)) / (len(letters) or 1)


_VAGUE = re.compile(
    r"introduc|wprowadz|wstęp|podsumow|resumen|einleitung|allgemeines|geschichte|überblick", re.I
)


def headed(title: str, heading: str) -> str:
    return f"{title}: {heading}" if title and heading and heading != title else title or heading


def add_article(stage: Stage, article: Article, share: float) -> None:
    """Its passages, with one or two that find each."""
    stage.made.group += 1
    for heading, paragraphs in article.sections:
        if GENERIC.match(heading) or not paragraphs:
            continue
        key = f"{article.title}{heading}{paragraphs[0][0]}"
        for piece in C.pieces(
            paragraphs, lambda count, key=key: LENGTHS[mark(f"{count}{key}", len(LENGTHS))]
        ):
            if mark(piece[0][0] + key, 1000, 3) < 1000 * share:
                add_passage(stage, article, heading, piece)


def add_passage(stage: Stage, article: Article, heading: str, piece: list[list[str]]) -> None:
    """A passage as it is with questions, or without one of its sentences, which finds it."""
    lang, title = article.lang, article.title
    text = joined(piece, lang)
    places = [(n, m) for n, paragraph in enumerate(piece) for m in range(len(paragraph))]
    turn = mark(text, 100, 1)
    if (turn < 57 or article.told) and len(places) > 3:
        n, m = places[mark(text, len(places), 2)]
        sentence = piece[n][m]
        if 30 < len(sentence.encode()) < 300:
            piece = [
                paragraph[:m] + paragraph[m + 1 :] if k == n else paragraph
                for k, paragraph in enumerate(piece)
            ]
            piece = [paragraph for paragraph in piece if paragraph]
            number = put(stage, article, heading, piece)
            ask(stage, number, sentence, "sentence", "sentence-rest", lang)
            if turn < 7 and not article.told:
                made_up(stage, article, number, piece, 1)
            return
    if article.told:
        return
    number = put(stage, article, heading, piece)
    count = 0
    if turn < 95 or not title:
        count = made_up(stage, article, number, piece, 1 + (turn % 5 == 0))
    if title and not count or turn % 9 == 0:
        form = mark(text, 3, 4)
        asked = headed(title, heading) if form else f"{title} {heading}".strip()
        if form == 2 and len(heading.split()) > 2 and not _VAGUE.match(heading):
            asked = heading
        ask(stage, number, asked, "title", "title-passage", lang)


def put(stage: Stage, article: Article, heading: str, piece: list[list[str]]) -> int | None:
    """Adds a passage, every third with its title in front."""
    text = joined(piece, article.lang)
    named = headed(article.title, heading)
    if named and mark(text, 3, 5) == 0 and len(f"{named}\n{text}".encode()) <= LONGEST:
        text = f"{named}\n{text}"
    return stage.made.add(text, "passage", article.lang)


def ask(stage: Stage, number: int | None, asked: str, kind: str, pair: str, lang: str) -> bool:
    """Notes that `asked` finds a passage; False where one of them is not taken."""
    if number is None or not asked:
        return False
    return stage.made.pair(stage.made.add(asked, kind, lang), number, pair)


def made_up(stage: Stage, article: Article, number: int | None, piece: list[list[str]], most: int) -> int:
    """At most so many questions made of a passage's sentences; gives how many."""
    count = 0
    every = [sentence for paragraph in piece for sentence in paragraph]
    for sentence in sorted(every, key=lambda each: mark(each, 65536, 6)):
        if count >= most:
            break
        made = C.cloze(sentence, article.lang, article.title)
        count += ask(stage, number, made, "query", "cloze", article.lang)
    return count


def take(stage: Stage, name: str, articles: Iterable[Article]) -> None:
    with stage.source(name):
        for number, article in enumerate(articles):
            if stage.few and number >= stage.few:
                break
            add_article(stage, article, SHARES[name])


# readers of articles


def lined(text: str) -> list[Section]:
    """Sections of a text with a sentence a line, blank lines between paragraphs and "== " before headings."""
    found: list[Section] = []
    heading, paragraphs, here = "", [], []
    for line in [*text.split("\n"), "== "]:
        line = line.strip()
        if line and not line.startswith("=="):
            here.append(line)
            continue
        if here:
            paragraphs.append(here)
            here = []
        if line.startswith("=="):
            found.append((heading, cleaned(paragraphs)))
            heading, paragraphs = line.strip("= "), []
    return found


def klexikon(root: Path) -> Iterator[Article]:
    for path in small(ending(root, ".txt")):
        title = path.stem.replace("_", " ")
        yield Article("de", title, lined(read(path)))


def laws(root: Path) -> Iterator[Article]:
    """German laws: hard-wrapped Markdown, with paragraphs as headings."""
    for path in small(ending(root, "index.md")):
        head, _, body = read(path).partition("\n# ")
        short = re.search(r"^jurabk: (.+)$", head, re.M)
        sections = []
        for part in re.split(r"\n#{2,6} ", body)[1:]:
            heading, _, rest = part.partition("\n")
            paragraphs = [re.sub(r"^\(\d+\w?\) ", "", E.squeezed(each)) for each in rest.split("\n\n")]
            sections.append((heading.strip(), cleaned(C.sentences(each) for each in paragraphs if each)))
        yield Article("de", short[1].strip() if short else "", sections)


def novels(root: Path, lang: str) -> Iterator[Article]:
    for path in small(ending(root, ".xml")):
        body = read(path).partition("<body")[2]
        paragraphs = [
            html.unescape(_TAG.sub("", each)) for each in re.findall(r"(?s)<p\b[^>]*>(.*?)</p>", body)
        ]
        yield Article(lang, "", [("", cleaned(map(C.sentences, paragraphs)))], told=True)


def wiki_documents(root: Path) -> Iterator[Article]:
    """Arabic Wikipedia: one <doc title="..."> a file."""
    for path in small(ending(root, ".txt")):
        text = read(path)
        title = re.search(r'title="([^"]*)"', text)
        if title:
            body = re.sub(r"(?s)<ref.*?(?:</ref>|/>|$)", "", text.partition(">")[2])
            paragraphs = [html.unescape(_TAG.sub("", each)) for each in body.split("\n")]
            yield Article(
                "ar", title[1], [("", cleaned(C.sentences(each) for each in paragraphs if each.strip()))]
            )


def textbooks(root: Path, lang: str) -> Iterator[Article]:
    for path in small(ending(root / "modules", "index.cnxml")):
        parts = list(papers.module(read(path)))
        if parts:
            sections = [(heading, cleaned(map(C.sentences, paragraphs))) for heading, paragraphs in parts]
            yield Article(lang, parts[0][0], sections)


def markdown(paths: Iterable[Path], lang: str, formulas: bool = True) -> Iterator[Article]:
    """Markdown; lists of formulas and, where there are any, paragraphs with them are left out."""
    between = "" if lang in UNSPACED else " "
    for path in small(paths):
        text = re.sub(r"(?s)^---\n(?:title: (.*?)\n)?.*?\n---\n", r"# \1\n\n", read(path))
        text = re.sub(r"(?ms)^ *(```|~~~|:::).*?^ *\1[^\n]*$|\{/\*.*?\*/\}", "", text)
        text = (
            re.sub(r"!?\[([^\]]*)\]\([^)]*\)|:\w+:`[^`]*`", r"\1", text).replace("**", "").replace("．", "。")
        )
        text = _TAG.sub("\n", text if formulas else text.replace("`", ""))
        title, sections = "", []
        for part in re.split(r"(?m)^#{1,6} ", text):
            heading, _, rest = part.partition("\n")
            heading = _NUMBERED.sub("", heading.strip("'\" "))
            title = title or heading
            paragraphs = [between.join(map(str.strip, each.split("\n"))) for each in rest.split("\n\n")]
            kept = [_NUMBERED.sub("", each.strip()) for each in paragraphs if not re.search(r"[$`]", each)]
            kept = [each for each in kept if foreign(each) >= FRAMEWORK.get(lang, 0)]
            sections.append((heading, cleaned(map(C.sentences, filter(None, kept)))))
        yield Article(lang, title, sections)


def histories(root: Path) -> Iterator[Article]:
    """Modern Chinese translations of old histories, a sentence a line."""
    for book in HISTORIES:
        for path in small(ending(root / book, "target.txt")):
            lines = [line.strip() for line in read(path).split("\n") if line.strip()]
            yield Article("zh", "", [("", cleaned(lines[n : n + 8] for n in range(0, len(lines), 8)))])


# questions with their paragraphs


def asked_paragraphs(data: dict[str, Any]) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """(title, paragraph, (question, answer) of each that has one) of a file made like SQuAD's."""
    for entry in data["data"]:
        for paragraph in entry["paragraphs"]:
            rows = []
            for row in paragraph["qas"]:
                answers = row.get("answers") or []
                answer = (answers[0] if isinstance(answers, list) and answers else answers) or {}
                if answer and not row.get("is_impossible"):
                    rows.append((row["question"], str(answer["text"])))
            title = entry.get("title", "").replace("_", " ")
            yield "" if title.isupper() and title.isascii() else title, paragraph["context"], rows


def thai(path: Path) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """The same of rows in a zip, the rows of one paragraph one after the other."""
    with zipfile.ZipFile(path) as archive:
        rows = [json.loads(line) for line in archive.read("data/train.jsonl").decode().splitlines() if line]
    found: dict[str, list[tuple[str, str]]] = {}
    titles = {}
    for row in rows:
        found.setdefault(row["context"], []).append((row["question"], str(row["answers"]["text"][0])))
        titles[row["context"]] = row.get("title", "")
    for context, asked in found.items():
        yield titles[context], context, asked


def take_questions(
    stage: Stage, name: str, lang: str, rows: Iterable[tuple[str, str, list[tuple[str, str]]]]
) -> None:
    """Paragraphs with their questions, and to every second a question made of it."""
    before = None
    with stage.source(name):
        for count, (title, context, asked) in enumerate(rows):
            if stage.few and count >= stage.few:
                break
            stage.made.group += title != before or not title
            before = title
            ask_paragraph(stage, Article(lang, title, []), context, asked)


def ask_paragraph(stage: Stage, article: Article, context: str, asked: list[tuple[str, str]]) -> None:
    lang = article.lang
    parts = [context.replace("\n", "")] if lang == "ja" else context.split("\n")
    paragraphs = [C.sentences(part) for part in parts if part.strip()]
    whole = len(context.encode()) < LONGEST
    pieces = [paragraphs] if whole else list(C.pieces(paragraphs, lambda count: LENGTHS[-1], 100))
    numbers: dict[int, int | None] = {}
    for question, answer in asked:
        answer = E.squeezed(answer)
        at = next((n for n, piece in enumerate(pieces) if answer in E.squeezed(joined(piece, lang))), None)
        if at is None and whole:
            at = 0
        if at is None:
            continue
        if at not in numbers:
            numbers[at] = put(stage, article, "", pieces[at])
        ask(
            stage, numbers[at], E.squeezed(question).replace(" ?", "?").strip("- "), "query", "question", lang
        )
    for at, number in numbers.items():
        if at % 2 == mark(context, 2):
            made_up(stage, article, number, pieces[at], 1)


def squad(stage: Stage, name: str, lang: str, paths: Iterable[Path]) -> None:
    take_questions(
        stage, name, lang, (row for path in small(paths) for row in asked_paragraphs(json.loads(read(path))))
    )


def prose(stage: Stage) -> None:
    """Adds all of it."""

    def root(name: str) -> Path:
        return stage.package(f"git-{name}")

    raw = root("klexikon") / "data/raw"
    take(stage, "git:klexikon (Wikipedia)", klexikon(raw / "wiki"))
    take(stage, "git:klexikon (Klexikon)", klexikon(raw / "klexikon"))
    take(stage, "git:gesetze", laws(root("gesetze")))
    for name, lang in NOVELS.items():
        take(stage, f"git:ELTeC-{name}", novels(root(f"ELTeC-{name}"), lang))
    for name, lang in BOOKS.items():
        take(stage, f"git:osbooks-{name}", textbooks(root(f"osbooks-{name}"), lang))
    for lang in FRAMEWORK:
        pages = ending(root(f"{lang}.react.dev") / "src/content/learn", ".md")
        pages += ending(root(f"{lang}.react.dev") / "src/content/reference", ".md")
        take(stage, f"git:{lang}.react.dev", markdown(pages, lang, formulas=False))
    squad(stage, "git:cmrc2018", "zh", ending(root("cmrc2018") / "squad-style-data", ".json"))
    squad(stage, "git:DRCD", "zh", ending(root("DRCD"), "dev.json", "test.json"))
    squad(stage, "git:JaQuAD", "ja", ending(root("JaQuAD") / "data/train", ".json"))
    squad(stage, "git:SOQAL (ARCD)", "ar", ending(root("SOQAL") / "data", "arcd-train.json"))
    squad(stage, "git:poquad", "pl", [root("poquad") / "data.json"])
    squad(stage, "git:faquad", "pt", [root("faquad") / "data/train.json"])
    archive = root("iapp-wiki-qa-dataset") / "squad_format/data.zip"
    take_questions(stage, "git:iapp-wiki-qa-dataset", "th", thai(archive))
    take(
        stage, "git:comparableWikiCoprus", wiki_documents(root("comparableWikiCoprus") / "ar-arz/20170120/ar")
    )
    chapters = [path for path in ending(root("d2l-zh"), ".md") if not path.name.endswith("_origin.md")]
    take(stage, "git:d2l-zh", markdown(chapters, "zh"))
    take(stage, "git:OI-wiki", markdown(ending(root("OI-wiki") / "docs", ".md"), "zh"))
    chinese = [path for name in LAWS for path in ending(root("Laws") / name, ".md")]
    take(stage, "git:Laws", markdown(chinese, "zh"))
    take(stage, "git:Classical-Modern", histories(root("Classical-Modern") / "双语数据"))
