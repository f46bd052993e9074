"""Embeddings from and for other systems: rows made elsewhere into a collection, and its points into a file."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from thesphere.errors import InputError
from thesphere.patches.models import open_entropy_model
from thesphere.progress import SILENT, Progress
from thesphere.readers import path_of
from thesphere.sphere.hypergraph import documents, hypergraph
from thesphere.sphere.ingest import RENAMING, Ingest, Report
from thesphere.sphere.part import PartReader
from thesphere.sphere.rows import ORIGIN, SOURCES, Plan, Rows, rows_of_arrays, rows_of_file
from thesphere.sphere.settings import Settings
from thesphere.sphere.view import View, float_rows
from thesphere.store import Collection, PathEntry
from thesphere.store.interchange import write_v3
from thesphere.store.sidecar import write_sidecar


def import_file(
    collection: Collection,
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    progress: Progress = SILENT,
) -> Report:
    """Take a file of embeddings in; see `Sphere.import_file`."""
    path = Path(path)
    before = _stamp(path)
    uri, sources, skipped = rows_of_file(path, name)

    def unchanged() -> None:
        if _stamp(path) != before:
            raise InputError(f"{path} changed while it was read; import it again")

    return _take(collection, uri, sources, Report(skipped=skipped), progress, before[0], unchanged)


def import_arrays(
    collection: Collection,
    embeddings: Any,
    *,
    prominence: Any = None,
    data: Sequence[bytes] | None = None,
    name: str = "arrays",
    entropies: Any = None,
) -> Report:
    """Take arrays in; see `Sphere.import_arrays`."""
    source = rows_of_arrays(embeddings, prominence, data, name, entropies)
    return _take(collection, source.uri, [source], Report(), SILENT)


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes with a file; zeros where there is none."""
    if not path.is_file():
        return 0, 0, 0
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _take(
    collection: Collection,
    uri: str,
    sources: list[Rows],
    report: Report,
    progress: Progress,
    mtime_ns: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Report:
    """Put sources into the collection in one commit, in place of all that lay under `uri`."""
    begun = time.monotonic()
    with collection.writer() as writer:
        with collection.snapshot() as snapshot:
            held = snapshot.sources
        settings = _fitting(collection, Settings.from_dict(writer.settings), sources[0].embeddings, held)
        run = Ingest(collection, writer, settings, None, open_entropy_model(settings.entropy))
        batch = run.batch
        renamed: set[bytes] = set()
        progress.start("import", sum(len(source.lengths) for source in sources), "rows")
        for source in sources:
            key = source.digest()
            known = writer.known(source.uri)
            if known is not None and known.digest != key and len(writer.paths(known.digest)) > 1:
                renamed.add(known.digest)  # the old content loses one of its names
            if known is not None and known.digest == key and (source.uri, source.name) in writer.paths(key):
                report.unchanged += 1
                progress.advance(len(source.lengths))
                continue
            size = source.record(key).size
            batch.paths.append(PathEntry(source.uri, source.name, key, mtime_ns, size))
            if key in batch.keys or writer.content(key) is not None:
                renamed.add(key)
                report.duplicates += 1
                progress.advance(len(source.lengths))
                continue
            plan = source.windows(settings.passage_bytes)
            batch.add(key, source.record(key), source.cut(plan), _rows(source, plan, progress))
            report.bytes += size + (0 if source.embeddings is None else source.embeddings.nbytes)
            if known is None:
                report.added += 1
            else:
                report.replaced += 1
        stay = {source.uri for source in sources}
        family = [row.uri for row in collection.sources() if row.uri == uri or row.uri.startswith(f"{uri}#")]
        gone = [each for each in family if each not in stay and path_of(each) == path_of(uri)]
        renamed.update(known.digest for each in gone if (known := writer.known(each)) is not None)
        batch.close_part()
        check()
        batch.commit(forget=gone, settings={**settings.as_dict(), **({RENAMING: 1} if renamed else {})})
        run.rename(renamed)
        progress.finish()
    report.seconds = time.monotonic() - begun
    return report


def _fitting(
    collection: Collection, settings: Settings, embeddings: np.ndarray | None, held: int
) -> Settings:
    """The settings of a collection with rows of this width; InputError if it holds others."""
    if settings.encoder != "arrays":
        raise InputError(
            f"{collection.path} makes its embeddings with {settings.encoder}; import into a collection of "
            "its own, made with encoder='arrays'"
        )
    width = 0 if embeddings is None else embeddings.shape[1]
    if held and settings.width != width:
        have, given = (
            f"embeddings {each} wide" if each else "no embeddings" for each in (settings.width, width)
        )
        raise InputError(f"{collection.path} has {have}, the import has {given}; use another collection")
    return replace(settings, points="row", width=width, copy=True)


def _rows(source: Rows, plan: Plan, progress: Progress) -> Iterator[tuple[np.ndarray, np.ndarray]] | None:
    """Embeddings and prominence of each window, told to `progress`; None if there are none."""
    embeddings = source.embeddings
    if embeddings is None:
        progress.advance(len(source.lengths))
        return None

    def give() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first, last, _ in plan:
            progress.advance(last - first)
            yield embeddings[first:last], source.prominence[first:last]

    return give()


def export_file(
    view: View,
    settings: Settings,
    path: str | os.PathLike[str],
    *,
    layout: str = "v3",
    sidecar: bool = True,
) -> None:
    """Write all points to a file; see `Sphere.export_file`."""
    path = Path(path)
    if layout != "v3":
        raise InputError(f"layout is {layout!r}; v3 is the one that is written")
    if view.vectors is None:
        raise InputError(
            "the collection has no embeddings to export; ingest with an encoder or import embeddings first"
        )
    embeddings, prominence, entropies, lengths, data = [], [], [], [], []
    listed: list[dict[str, Any]] = []
    for record, pieces in documents(view):
        first = len(lengths)
        for piece in pieces:
            rows, weights, nats, sizes, raw = _piece(view, *piece)
            embeddings.append(rows)
            prominence.append(weights)
            entropies.append(nats)
            lengths.append(sizes)
            data.append(raw)
        own = (settings.points, "norm", settings.encoder, record.digest)
        origin = record.origin or dict(zip(ORIGIN, own, strict=True))
        listed.append({
            "names": record.names,
            "title": record.title,
            "modality": record.modality,
            "encoding": record.encoding,
            "rows": sum(map(len, lengths[first:])),
            "bytes": sum(map(len, data[first:])),
            "origin": {key: origin[key] for key in ORIGIN if key in origin},
        })  # fmt: skip
    nats = np.concatenate(entropies)
    units, kinds, encoders = (
        {each["origin"].get(key, settings.encoder) for each in listed} for key in ORIGIN[:3]
    )
    write_v3(
        path,
        embeddings=np.concatenate(embeddings),
        prominence=np.concatenate(prominence),
        patch_entropies=None if np.isnan(nats).any() else nats,
        data=b"".join(data),
        lengths=np.concatenate(lengths),
        metadata={
            "unit": units.pop() if len(units) == 1 else "row",
            "prominence_kind": kinds.pop() if len(kinds) == 1 else "declared",
            "encoder": encoders.pop() if len(encoders) == 1 else settings.encoder,
            SOURCES: json.dumps(listed, separators=(",", ":")),
        },
    )
    if sidecar:
        beside = path.with_name(path.name.removesuffix(".safetensors") + ".hypergraph.db")
        write_sidecar(beside, hypergraph(view, points=True))


def _piece(
    view: View, part: PartReader, document: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bytes]:
    """Embeddings, prominence, entropies, lengths and bytes of the points of one piece of a document."""
    windows = part.document_window[document : document + 2]
    points = slice(*part.window_point[windows].tolist())
    starts, ends = part.point_spans
    base = int(part.document_base[document])
    size = int(part.document_byte[document + 1] - part.document_byte[document])
    data, stale = view.read(part, document, base, base + size)
    if stale:
        name = part.record(document).names[0]
        raise InputError(
            f"{name} has changed since it was ingested and its bytes are not kept; ingest it again"
        )
    lengths = (ends - starts)[points] if size else np.zeros(points.stop - points.start, np.int64)
    rows = float_rows((view.vectors or [])[view.parts.index(part)], points).astype(np.float32)
    return rows, part.prominence[points], part.point_entropies[points], lengths, data
