"""Questions as a user gives them: their vectors, and those that an index is calibrated on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thesphere.encoders import Encoder
from thesphere.errors import InputError
from thesphere.roots.index import MOST_ASKED
from thesphere.scan.rows import as_rows


def embedded(texts: Sequence[str], encoder: Encoder) -> np.ndarray:
    """float32 [N, D]: the vectors of texts; characters that are none (lone surrogates) stay apart."""
    return encoder.encode([text.encode("utf-8", "surrogatepass") for text in texts])


def questions_of(queries: Any, encoder: Encoder | None, width: int) -> np.ndarray:
    """float32 [Q, width].

    Args:
        queries: numbers [Q, D], or texts, which `encoder` embeds: of more than 4,000 that many, evenly spread.
        encoder: the collection's; None where it has none.
        width: of the points.

    Raises:
        InputError: no queries, an empty text, other things among texts, numbers of another width, NaN or
            infinity, texts where there is no encoder.
    """
    if isinstance(queries, str):
        raise InputError("queries is one text; give a list of texts, a thousand like those to be asked")
    if isinstance(queries, Sequence) and any(isinstance(each, str) for each in queries):
        return _checked(queries, encoder)
    if hasattr(queries, "__len__") and not len(queries):
        raise InputError("there are no queries; leave them out, or give a thousand like those to be asked")
    rows = as_rows(queries, "queries", width)
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(broken):
        raise InputError(f"row {broken[0]} of the queries holds NaN or infinity; give finite numbers")
    return rows


def _checked(texts: Sequence[Any], encoder: Encoder | None) -> np.ndarray:
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            told = "is empty" if isinstance(text, str) else f"is {type(text).__name__}, others are texts"
            raise InputError(f"query {number} {told}; give texts alone, or numbers [Q, D]")
    if encoder is None:
        raise InputError(
            "this collection has no encoder that embeds texts; give the queries' vectors, numbers [Q, D]"
        )
    return embedded(texts[:: -(-len(texts) // MOST_ASKED)], encoder)
