"""Scientific prose of the encoders' training pairs: abstracts, textbooks, questions, ontologies.

Each function of STAGES takes a `Stage` and adds the texts of some sources, as those of training/pair_stages.py.
Repositories are read at one commit; of their files those above 4 MiB are left out.
"""

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pair_sources import Source
from pair_stage import OWN_GROUPS, Stage, coin, ending

from thesphere.errors import FormatError
from thesphere.train import extractors as E
from thesphere.train import papers

MOST_OF_A_FILE = 4 << 20


@dataclass(frozen=True)
class Repository:
    """A public repository, and the folders of it that are read (all, if none is named)."""

    name: str
    commit: str
    folders: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return "git-" + self.name.partition("/")[2]

    def command(self) -> str:
        """The shell line that fetches it into `folder`."""
        narrow = (
            f" && git -C {self.folder} sparse-checkout set {' '.join(self.folders)}" if self.folders else ""
        )
        return (
            f"git clone -q --filter=blob:none --no-checkout https://github.com/{self.name} {self.folder}{narrow}"
            f" && git -C {self.folder} checkout -q {self.commit}"
        )


BOOKS = {
    "american-government": "5c90dd7907dbf25f42266417e63ca3bb0012f031",
    "anatomy-physiology": "b0058a743bdd2cc08196abaaa7d5469970c0d80c",
    "astronomy": "63157f370b09c06a4cc12832384aaaf4de1ced3b",
    "chemistry-bundle": "32c719622fbb7a0ca729cd645c1df4cf4e7d5b3a",
    "college-physics-bundle": "f98d7a792138a6133fe7267d17e70aa04e9ccbed",
    "introduction-anthropology": "418eedd9bef21ec1a6fa1b472c0d82c084e35c70",
    "introduction-business": "78c9e7ad4e581d4ff98e78ea30214840e1fa7e1e",
    "introduction-philosophy": "d7bd4f0f520529b3ad83272448a9c2be25c9040a",
    "introduction-political-science": "4391e659b98eec43b71e8b3f08241215fb4dd4c4",
    "introduction-sociology": "d35d5f3bdac40f93607d600134865d4f13ce1f9b",
    "introductory-statistics-bundle": "50ec91749080bb040b57bb40c34337cacc994cba",
    "microbiology": "ecf34dad129d686703780e87ab5aa2e59c577a6a",
    "physics": "ff78c7a8150fdda5ed1f786ac59ac25cdd532ef0",
    "principles-economics-bundle": "cd31beb103fffbc09cc81ebfe117d8c40cc12d1a",
    "psychology": "e061043bf2f9e86ace51c4e8dc9555160f60a99d",
    "university-physics-bundle": "db44eb99e9aa1d918fd8cf182f82ccdece9c7b11",
    "us-history": "046331cfcea0ac1b1a8fd461b3e6aae638845af3",
    "world-history": "3e17beda9130380d24be881e6d1942dfcc1be845",
}
"""Textbooks by OpenStax, each at its last commit under CC BY 4.0; later ones are CC BY-NC-SA."""
SCREENED = "modeling/curious_snake/data"
TRIALS = ("proton_beam", "micro_nutrients", "copd")
REPOSITORIES = (
    Repository("rstojnic/acl-anthology", "67bbd5cfe14d6c3b7fcc06d6904b8d04fe885835", ("data/xml",)),
    Repository("dw-dengwei/daily-arXiv-ai-enhanced", "b4c542b7d61bff39f8b999b45b43f62b2bb94f75", ("data",)),
    Repository("exopoiesis/daily-arxiv-ai4chem", "7abedaca3642f7f2567f0f8306d2c4f3f910cce3", ("data",)),
    Repository("Straw674/daily-arXiv-astro-ph", "fbcd8074604dadf5b2e67803004f76ea94dd245f", ("data",)),
    Repository("asreview/systematic-review-datasets", "0909240fec2602c3ecef82d131790d390edb33bf", ("datasets",)),
    Repository("bwallace/citation-screening", "ed2f9f0c6c74696562aaef99b0c9974ed0a04cd3",
               tuple(f"{SCREENED}/{trial}" for trial in TRIALS)),
    Repository("sb895/Hallmarks-of-Cancer", "3bc6e6deb90cf5bc4f9988c493fe2c32e9b3cf2a", ("text",)),
    Repository("sb895/chemical-exposure-information-corpus", "bdc6daa0d84d1ea8e9c050c6e0a75cbe2ec5d820",
               ("text",)),
    Repository("cambridgeltl/MTL-Bioinformatics-2016", "df0df02fae6dbb87d88ffcf323b9096528f06f84",
               ("data/GENIA-pos",)),
    Repository("allenai/scibert", "06793f77d7278898159ed50da30d173cdc8fdea9", ("data",)),
    Repository("allenai/scitldr", "5ccad9c00a60ad75c9e04abf7f27d0f53f983b20", ("SciTLDR-Data/SciTLDR-A",)),
    Repository("pubmedqa/pubmedqa", "1cbae8e92f72f20c8d3747cbb3bf5bc53554d997", ("data",)),
    Repository("spyysalo/ncbi-disease", "5a266c6fc76fb2b5184cfa397ff0a5ecdb133aec", ("original-data",)),
    Repository("LIAAD/KeywordExtractor-Datasets", "8cd1e18ab750143e2075457ef5e0481754e3e966", ("datasets",)),
    Repository("massimoaria/bibliometrixData", "9431016953ed11625dad80926da0e3c9b4d074b2", ("data",)),
    Repository("PLOS/allofplos", "07fdeed848b2816a7fbf7da6418ef6e2076e1960", ("allofplos/starter_corpus",)),
    Repository("UCDenver-ccp/CRAFT", "2abe82b8bb8089448b84937d5f61d8c218011322", ("articles",)),
    Repository("abachaa/MedQuAD", "577bd37b96c02d1833b2c9eed2de9f96964e96cb"),
    Repository("philschatz/biology-book", "cf3dc8c0d87f9dc4d0556464a4ac33b58dd9d726", ("contents",)),
    *(Repository(f"openstax/osbooks-{name}", commit, ("modules",)) for name, commit in BOOKS.items()),
    Repository("DiseaseOntology/HumanDiseaseOntology", "9fbefd6651b79526165453395d06c8fd4bfe4247",
               ("src/ontology/subsets",)),
    Repository("obophenotype/uberon", "52817eeaa3b960e923df7a275fa533bdc3bdefe1", ("subsets",)),
    Repository("obophenotype/cell-ontology", "fd61b954f3eba08f5780f2c86eba72913d35b5d4", ("subsets",)),
    Repository("EnvironmentOntology/envo", "b07261874c60051b6888f31397d1746e2817ecf0", ("subsets",)),
    Repository("The-Sequence-Ontology/SO-Ontologies", "01c33c6d9b6c8dca12e7d3e37b49ee113093c2fa",
               ("Ontology_Files",)),
)  # fmt: skip

_SMALL = re.compile(r"\b(?:the|of|and|in|for|to)\b", re.I)
_MARKS = re.compile(
    r"(?s)^---.*?\n---\n|\{:?[^}]*\}|!?\[([^\]]*)\]\([^)]*\)|<[^>]{1,200}>|[*_`]|\\\\\[.*?\\\\\]"
)
_DEBRIS = re.compile(r'="|&#|^Illustration|^QR Code')
_FIELD = re.compile(r"^(?:TI|AB)? ?- ?: ?")
_EXERCISE = re.compile(
    "exercise|review questions|critical thinking|free response|art connection|glossary", re.I
)


def small(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.stat().st_size <= MOST_OF_A_FILE]


def text_of(path: Path) -> str:
    return path.read_text("utf-8", "replace")


def paper(stage: Stage, title: str, abstract: str) -> None:
    """One abstract, with its title and, of every third, one of its sentences as what asks for it."""
    title, parts = E.squeezed(title).rstrip(". "), E.sentences(abstract)
    if len(abstract.encode()) < 150 or sum(map(str.isascii, abstract)) < 0.9 * len(abstract):
        return
    stage.made.group += 1
    rest = abstract
    at = coin(abstract, 97) % len(parts)
    sentence = parts[at] if len(parts) > 4 and 40 < len(parts[at]) < 300 and coin(abstract, 3) == 0 else ""
    if sentence:
        rest = " ".join(parts[:at] + parts[at + 1 :])
        stage.pair(sentence, "sentence", rest, "passage", "sentence-rest")
    if 12 < len(title) < 300:
        stage.pair(title, "title", rest, "passage", "title-passage")
    elif not sentence:
        stage.made.add(rest, "passage")


def found(paths: Iterable[Path], extract: Callable[[str], Iterable[papers.Paper]]) -> Iterator[papers.Paper]:
    """The papers of files, each title once; a file that cannot be read is left out."""
    seen = set()
    for path in paths:
        try:
            for title, abstract in extract(text_of(path)):
                key = (title or abstract[:100]).lower()
                if key not in seen:
                    seen.add(key)
                    yield title, abstract
        except FormatError:
            print(f"not read: {path.name}", flush=True)


def take(stage: Stage, name: str, rows: Iterable[papers.Paper], most: int = 1 << 30) -> None:
    with stage.source(name):
        for title, abstract in stage.some(rows, most, 21):
            paper(stage, title, abstract)


def preprints(stage: Stage) -> None:
    days = re.compile(r"20\d\d-\d\d-\d\d(_fetched)?\.jsonl")
    for name, most in (("daily-arXiv-ai-enhanced", 12_000), ("daily-arXiv-astro-ph", 3_000)):
        paths = [
            p
            for p in small(ending(stage.package(f"git-{name}") / "data", ".jsonl"))
            if days.fullmatch(p.name)
        ]
        take(stage, f"git:{name}", found(paths, papers.records), most)
    paths = small(ending(stage.package("git-daily-arxiv-ai4chem") / "data", ".json"))
    take(stage, "git:daily-arxiv-ai4chem", found(paths, papers.records))


def linguistics(stage: Stage) -> None:
    paths = small(ending(stage.package("git-acl-anthology") / "data/xml", ".xml"))
    take(stage, "git:acl-anthology", found(paths, papers.anthology), 12_000)
    paths = small(ending(stage.package("git-scitldr"), ".jsonl"))
    take(stage, "git:scitldr", found(paths, papers.records))


def medicine(stage: Stage) -> None:
    root = stage.package("git-systematic-review-datasets") / "datasets"
    take(stage, "git:systematic-review-datasets", found(small(ending(root, ".csv")), papers.table))
    with stage.source("git:citation-screening"):
        root = stage.package("git-citation-screening") / SCREENED
        for trial in TRIALS:
            for path in stage.some(small(root.glob(f"{trial}/Abstracts/*[0-9]")), 1 << 30):
                titled = path.parent.parent / "Titles" / path.name
                title = re.sub(r"\[[^\]]*\]", "", text_of(titled)) if titled.exists() else ""
                paper(stage, title, papers.unlabelled(text_of(path)))
    for name in ("Hallmarks-of-Cancer", "chemical-exposure-information-corpus"):
        paths = small(ending(stage.package(f"git-{name}") / "text", ".txt"))
        rows = (("", papers.joined(text_of(path).split())) for path in paths)
        take(stage, f"git:{name}", rows)
    paths = small(ending(stage.package("git-pubmedqa") / "data", "pqal.json"))
    take(stage, "git:pubmedqa", found(paths, papers.records))
    paths = small(ending(stage.package("git-ncbi-disease"), "corpus.txt"))
    take(stage, "git:ncbi-disease", found(paths, papers.marked))
    with stage.source("git:MTL-Bioinformatics-2016"):
        for path in small(ending(stage.package("git-MTL-Bioinformatics-2016") / "data/GENIA-pos", ".tsv")):
            for document in stage.some(papers.tagged(text_of(path), start="UI"), 1 << 30):
                parts = [_FIELD.sub("", part) for part in document]
                if len(parts) > 3 and document[1].startswith("TI"):
                    paper(stage, parts[1], " ".join(parts[2:]))
    with stage.source("git:scibert"):
        root = stage.package("git-scibert") / "data"
        for path in small([*ending(root / "ner/JNLPBA", ".txt"), *ending(root / "pico/ebmnlp", ".txt")]):
            for first, *others in stage.some(papers.tagged(text_of(path)), 1 << 30):
                paper(stage, first, " ".join(others))


def keyphrases(stage: Stage) -> None:
    for name in ("Inspec", "kdd", "www", "SemEval2017"):
        with zipfile.ZipFile(
            stage.package("git-KeywordExtractor-Datasets") / f"datasets/{name}.zip"
        ) as archive:
            names = sorted(
                each for each in archive.namelist() if "/docsutf8/" in each and each.endswith(".txt")
            )
            rows = [papers.headed_paper(archive.read(each).decode("utf-8", "replace")) for each in names]
        take(stage, f"git:KeywordExtractor-Datasets {name}", rows)
    with stage.source("git:bibliometrixData"):
        for path in small(ending(stage.package("git-bibliometrixData") / "data", ".rda")):
            rows = bibliography(list(papers.columns(path.read_bytes())))
            for title, abstract in stage.some(rows, 1 << 30):
                paper(stage, lowered(title), lowered(abstract))


def bibliography(columns: list[list[str]]) -> Iterator[papers.Paper]:
    """Titles and abstracts of a data frame's columns: long strings, and short ones, with most small words."""
    size = max(map(len, columns), default=0)

    def prose(column: list[str], least: int, most: int) -> float:
        texts = [text for text in column if least < len(text) < most]
        joined = " ".join(texts)
        enough = len(texts) > size / 3 and joined.count(";") < len(texts)
        return enough * len(_SMALL.findall(joined)) / (len(joined) + 1)

    full = [column for column in columns if len(column) == size]
    abstracts = max(full, key=lambda column: prose(column, 300, 4000), default=[])
    titles = max(full, key=lambda column: prose(column, 30, 200), default=[])
    for title, abstract in zip(titles, abstracts, strict=True):
        if len(abstract) > 300 and len(_SMALL.findall(abstract)) > 0.01 * len(abstract):
            yield title, abstract


def lowered(text: str) -> str:
    """A text in capitals alone as small letters, sentences with a capital."""
    if not text.isupper():
        return text
    return " ".join(part.capitalize() for part in E.sentences(text))


def articles(stage: Stage) -> None:
    with stage.source("git:allofplos"):
        for path in stage.some(small(ending(stage.package("git-allofplos"), ".xml")), 1 << 30):
            (title, abstract), body = papers.journal_article(text_of(path))
            paper(stage, title, abstract)
            for heading, paragraphs in body:
                stage.prose(heading, paragraphs, share=0.6)
    with stage.source("git:CRAFT"):
        for path in stage.some(small(ending(stage.package("git-CRAFT") / "articles/txt", ".txt")), 1 << 30):
            title, _, body = text_of(path).partition("\n")
            parts = [part for part in map(E.squeezed, body.split("\n\n")) if len(part) > 120]
            if parts:
                paper(stage, title, " ".join(parts[:3]))
                stage.prose("", parts[3:], share=0.6)


def textbooks(stage: Stage) -> None:
    life = ("anatomy-physiology", "microbiology", "psychology")
    for book in BOOKS:
        paths = small(ending(stage.package(f"git-osbooks-{book}") / "modules", "index.cnxml"))
        with stage.source("git:openstax"):
            for path in stage.some(paths, 1 << 30):
                for heading, paragraphs in papers.module(text_of(path)):
                    if len(paragraphs) == 1 and len(paragraphs[0]) < 250:
                        stage.made.group += 1
                        stage.pair(heading, "title", paragraphs[0], "gloss", "word-gloss")
                    else:
                        stage.prose(heading, paragraphs, share=1.0 if book in life else 0.6)
    with stage.source("git:biology-book"):
        for path in stage.some(small(ending(stage.package("git-biology-book") / "contents", ".md")), 1 << 30):
            text = _MARKS.sub(r"\1", text_of(path))
            for heading, paragraphs in E.sections(text):
                kept = [part for part in paragraphs if not _DEBRIS.search(part)]
                if kept and not _EXERCISE.search(heading):
                    stage.prose(heading, kept)


def health(stage: Stage) -> None:
    with stage.source("git:MedQuAD"):
        paths = [path for path in ending(stage.package("git-MedQuAD"), ".xml") if "TestSet" not in str(path)]
        for path in stage.some(small(paths), 1 << 30):
            try:
                rows = list(papers.questions(text_of(path)))
            except FormatError:
                continue
            for question, paragraphs in rows:
                passages = list(E.passages(paragraphs, 1100))[: 1 + coin(question, 2)]
                stage.made.group += 1
                for passage in passages:
                    stage.pair(question, "query", passage, "passage", "question-passage")


ONTOLOGIES = {"HumanDiseaseOntology": "src/ontology/subsets", "uberon": "subsets", "cell-ontology": "subsets",
              "envo": "subsets", "SO-Ontologies": "Ontology_Files"}  # fmt: skip


def vocabularies(stage: Stage) -> None:
    seen = set()
    for name, folder in ONTOLOGIES.items():
        with stage.source(f"git:{name}"):
            rows = [row for path in small(ending(stage.package(f"git-{name}") / folder, ".obo"))
                    for row in E.terms(text_of(path))]  # fmt: skip
            for word, meaning, others in stage.some(rows, 12_000, 8):
                if word in seen or not meaning:
                    continue
                seen.add(word)
                stage.made.group = 4 * OWN_GROUPS + coin(word, 250)
                stage.define(word, meaning, others)


STAGES = (preprints, linguistics, medicine, keyphrases, articles, textbooks, health, vocabularies)

AS_PUBLISHED = "abstracts as published"
SOURCES = (
    Source("git:acl-anthology", "CC BY 4.0 (from 2016), CC BY-NC-SA 3.0", 0.25),
    Source("git:scitldr", "Apache-2.0", 0.25),
    Source("git:daily-arXiv-ai-enhanced", "CC0 1.0 (arXiv metadata)", 0.17),
    Source("git:daily-arXiv-astro-ph", "CC0 1.0 (arXiv metadata)", 0.25),
    Source("git:daily-arxiv-ai4chem", "CC0 1.0 (arXiv metadata)", 0.3),
    Source("git:systematic-review-datasets", f"MIT, or per data set; {AS_PUBLISHED}", 0.45),
    Source("git:citation-screening", AS_PUBLISHED, 0.45),
    Source("git:Hallmarks-of-Cancer", f"GPL-3; {AS_PUBLISHED}", 1.0),
    Source("git:chemical-exposure-information-corpus", f"GPL-3; {AS_PUBLISHED}", 0.4),
    Source("git:pubmedqa", f"MIT; {AS_PUBLISHED}", 1.0),
    Source("git:ncbi-disease", AS_PUBLISHED, 1.0),
    Source("git:MTL-Bioinformatics-2016", f"CC BY 4.0; {AS_PUBLISHED}", 0.7),
    Source("git:scibert", f"Apache-2.0; {AS_PUBLISHED}", 0.8),
    *(Source(f"git:KeywordExtractor-Datasets {name}", AS_PUBLISHED, 1.0)
      for name in ("Inspec", "kdd", "www", "SemEval2017")),
    Source("git:bibliometrixData", f"MIT; {AS_PUBLISHED}", 1.0),
    Source("git:allofplos", "CC BY (PLOS)", 0.6),
    Source("git:CRAFT", "CC BY 3.0; articles CC BY, per article", 0.5),
    Source("git:openstax", "CC BY 4.0 (at the commits named)", 0.33),
    Source("git:biology-book", "CC BY 3.0 (OpenStax)", 0.6),
    Source("git:MedQuAD", "CC BY 4.0", 0.25),
    Source("git:HumanDiseaseOntology", "CC0 1.0; NCI Thesaurus as published", 0.7),
    Source("git:uberon", "CC BY 3.0", 0.7),
    Source("git:cell-ontology", "CC BY 4.0", 0.7),
    Source("git:envo", "CC0 1.0", 0.7),
    Source("git:SO-Ontologies", "CC BY 4.0", 0.7),
)  # fmt: skip
