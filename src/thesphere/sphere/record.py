"""What a collection knows of a document besides its bytes."""

from dataclasses import dataclass, field

import numpy as np

from thesphere.readers import analysis_text, utf8
from thesphere.text import grams, words

NAMES_AS_EVIDENCE = 8  # a content with many paths is found by the first few of them
TITLE_CHARACTERS = 256  # of a title that encoders read; it is repeated in front of every passage

Identity = tuple[str, str, str, str]


def titled(title: str, text: bytes) -> bytes:
    """`text`, UTF-8, below the beginning of a title; alone where it begins with it, or is blank."""
    title = title[:TITLE_CHARACTERS].strip()
    begins = text.lstrip()[: 4 * TITLE_CHARACTERS].decode("utf-8", "replace")
    if not title or not begins or begins.casefold().startswith(title.casefold()):
        return text
    return title.encode("utf-8", "surrogatepass") + b"\n" + text


@dataclass(frozen=True)
class Record:
    """What is known of a document besides its bytes.

    Attributes:
        digest: SHA-256 of the bytes, hexadecimal.
        uris, names: every path that holds this content, sorted by name.
        title: words that belong to it though they are not in its bytes.
        modality, encoding: as the reader found them.
        size: bytes of the whole source.
        origin: what an import tells of itself: layout, unit, kind of prominence.
    """

    digest: str
    uris: list[str]
    names: list[str]
    title: str
    modality: str
    encoding: str
    size: int
    origin: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Identity:
        """Name and uri of its first path, digest and title: what breaks ties between equal scores. The path
        alone is not enough between two commits of an ingest: it may belong to another document already."""
        return self.names[0], self.uris[0], self.digest, self.title

    @property
    def heading(self) -> str:
        """Title and paths, as evidence."""
        if self.modality == "row":
            return self.title
        return "\n".join([self.title, *self.names[:NAMES_AS_EVIDENCE]])

    def terms(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        """(word terms, n-gram terms) of a window of this document."""
        text = f"{self.heading}\n{analysis_text(data, self.encoding)}"
        return words(text)[0], grams(text)

    def passage(self, data: bytes) -> bytes:
        """What an encoder is given for a passage of this document, UTF-8: its title above it."""
        return titled(self.title, utf8(data, self.encoding))
