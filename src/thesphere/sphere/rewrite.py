"""Documents copied from one generation into new parts: for compaction, and when their names have changed.

The cuts are kept, the terms are counted anew from the original bytes, and so are the embeddings unless the
collection keeps them as floats.
"""

import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from thesphere.errors import SphereError
from thesphere.readers import path_of
from thesphere.readers.base import HEAD
from thesphere.readers.sniff import sniff
from thesphere.sphere.batch import Batch
from thesphere.sphere.part import PartReader
from thesphere.sphere.record import Record
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
    record = replace(old, uris=[uri for uri, _ in paths], names=[name for _, name in paths])
    part, document = pieces[0]
    renamed = record.names != old.names and record.modality in ("text", "code")
    end = min(HEAD if renamed else 1, int(part.document_ends[document]))
    head, stale = view.read(part, document, 0, end, record)
    if stale:
        return False
    if renamed:  # the suffix of the first name decides which of the two it is
        name = os.path.basename(path_of(record.uris[0]) or "")
        modality = sniff(name, head, complete=len(head) == record.size)[0]
        record = replace(record, modality=modality if modality != "binary" else record.modality)
    batch.add(key, record, _windows(view, pieces, record), _rows(view, pieces))
    return True


def _windows(view: View, pieces: list[tuple[PartReader, int]], record: Record) -> Iterator[Window]:
    for part, document in pieces:
        for window in range(*part.document_window[document : document + 2].tolist()):
            start, end = part.window_span(window)
            data, stale = view.read(part, document, start, end, record)
            if stale:
                raise SphereError(f"{record.names[0]} changed while it was read; run the command again")
            yield part.window(window, data)


def _rows(view: View, pieces: list[tuple[PartReader, int]]) -> Iterator[tuple[np.ndarray, np.ndarray]] | None:
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
