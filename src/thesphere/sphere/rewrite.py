"""Documents copied from one generation into new parts: for compaction, and when their names have changed.

The cuts are kept, the terms are counted anew from the original bytes, and so are the embeddings unless the
collection keeps them as floats.
"""

from collections.abc import Iterator

import numpy as np

from thesphere.sphere.batch import Batch
from thesphere.sphere.part import PartReader, Record
from thesphere.sphere.view import View, float_rows
from thesphere.sphere.windows import Window


def copy_document(batch: Batch, view: View, key: bytes) -> bool:
    """Copy a live document with its present names into the batch.

    Returns:
        False if its bytes are not kept and the file has changed: it must be ingested again.
    """
    pieces = [(view.by_id[part], ordinal) for part, ordinal in batch.writer.pieces(key)]
    paths = sorted(batch.writer.paths(key), key=lambda path: (path[1], path[0]))
    old = pieces[0][0].record(pieces[0][1])
    record = Record(**{**vars(old), "uris": [uri for uri, _ in paths], "names": [name for _, name in paths]})
    if not pieces[0][0].keeps_bytes:
        start = int(pieces[0][0].document_base[pieces[0][1]])
        if view.read(*pieces[0], start, start + 1)[1]:
            return False
    batch.add(key, record, _windows(view, pieces), _rows(view, pieces))
    return True


def _windows(view: View, pieces: list[tuple[PartReader, int]]) -> Iterator[Window]:
    for part, document in pieces:
        for window in range(*part.document_window[document : document + 2].tolist()):
            start, end = part.window_span(window)
            yield part.window(window, view.read(part, document, start, end)[0])


def _rows(
    view: View, pieces: list[tuple[PartReader, int]]
) -> Iterator[tuple[np.ndarray, np.ndarray]] | None:
    """Float32 rows and prominence of each window's points in the order of `_windows`; None where they are made
    anew."""
    parts = view.vectors
    if parts is None or parts[0].vectors is None:
        return None
    return (
        (float_rows(parts[view.parts.index(part)], points), part.prominence[points])
        for part, document in pieces
        for window in range(*part.document_window[document : document + 2].tolist())
        for points in [slice(*part.window_point[window : window + 2].tolist())]
    )
