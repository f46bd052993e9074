"""Rows of embeddings that were made elsewhere, as sources on their way into a collection.

A file is one source, unless it is an export of a collection, which lists the sources that it was made of. Rows
are points. A passage is one row, except that rows which are patches are joined to passages, so that a text query
finds something readable. A source's offsets are those in the bytes of its rows, one after the other; rows without
bytes count as one each, and have no text.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from thesphere.encoders import check_embeddings
from thesphere.errors import FormatError, InputError, SphereError
from thesphere.readers import Skipped, analysis_text
from thesphere.readers.base import HEAD, printable, uri_of
from thesphere.readers.sniff import sniff
from thesphere.signals import prominence as norms
from thesphere.sphere.record import Record
from thesphere.sphere.windows import TAIL, WINDOW, Window
from thesphere.store.hypergraph import Branch, Trunk
from thesphere.store.interchange import PROMINENCE_KINDS, UNITS, Interchange, read_interchange
from thesphere.store.sidecar import read_sidecar, sidecar_path

SOURCES = "thesphere.sources"  # metadata of an export: its sources, in JSON
ORIGIN = ("unit", "prominence", "encoder", "source_hash")  # what an export tells of each source
_ENCODING = re.compile(r"bytes|(utf|cp|koi8|iso|mac|latin|euc|gb|big)[\w-]{1,20}", re.ASCII)
_LONGEST = 1 << 31  # bytes of a row


Plan = list[tuple[int, int, list[int]]]
"""Of each window: its first row, the row behind its last, and the first row of each passage."""


@dataclass(frozen=True)
class Rows:
    """One source on its way in.

    Attributes:
        uri, name, title, modality, encoding: as in `Record`.
        origin: layout, unit, kind of prominence and, if it is known, the encoder and the hash of the source.
        embeddings: float32 [N, D], or None.
        prominence: float32 [N].
        entropies: float32 [N], nats, NaN where unknown.
        lengths: int64 [N], bytes of each row; ones if there are no bytes.
        data: uint8 [sum of lengths], or None.
    """

    uri: str
    name: str
    title: str
    modality: str
    encoding: str
    origin: dict[str, str]
    embeddings: np.ndarray | None
    prominence: np.ndarray
    entropies: np.ndarray
    lengths: np.ndarray
    data: np.ndarray | None

    def digest(self) -> bytes:
        """SHA-256 of all that it consists of, its names apart."""
        told = [self.title, self.modality, self.encoding, self.origin["unit"], self.origin["prominence"]]
        digest = hashlib.sha256(json.dumps(told).encode())
        for array in (self.embeddings, self.prominence, self.entropies, self.lengths, self.data):
            digest.update(b"none" if array is None else f"{array.dtype}{array.shape}".encode())
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
        return digest.digest()

    def record(self, digest: bytes) -> Record:
        size = 0 if self.data is None else len(self.data)
        return Record(
            digest.hex(), [self.uri], [self.name], self.title, self.modality, self.encoding, size, self.origin
        )

    def windows(self, passage_bytes: int) -> Plan:
        """Its windows, cut by size as those of an ingested file are."""
        ends = np.cumsum(self.lengths)
        joined = self.data is None or self.origin["unit"] in ("patch", "byte")
        passages, at = [0], 0
        while at < len(ends):
            behind = at + 1
            if joined:
                full = (ends[at - 1] if at else 0) + passage_bytes
                behind = max(behind, min(at + passage_bytes, int(np.searchsorted(ends, full, side="right"))))
            passages.append(at := behind)
        found: Plan = []
        sizes = np.diff(np.concatenate([[0], ends])[passages])
        first = size = 0
        for number, length in enumerate(sizes.tolist()):
            if number > first and (size + length > WINDOW or passages[number + 1] - passages[first] > WINDOW):
                found.append((passages[first], passages[number], passages[first:number]))
                first, size = number, 0
            size += length
        if found and size < TAIL:
            start, _, before = found.pop()
            found.append((start, len(ends), before + passages[first:-1]))
        else:
            found.append((passages[first], len(ends), passages[first:-1]))
        return found

    def cut(self, plan: Plan) -> Iterator[Window]:
        """The windows themselves."""
        edges = np.concatenate([[0], np.cumsum(self.lengths)])
        line = 0
        for first, last, starts in plan:
            begin, end = int(edges[first]), int(edges[last])
            data = b"" if self.data is None else self.data[begin:end].tobytes()
            behind = [*starts[1:], last]
            runs = [slice(a, b) for a, b in zip(starts, behind, strict=True)]
            yield Window(
                start=begin,
                line=line,
                data=data,
                lengths=[int(edges[run.stop] - edges[run.start]) for run in runs],
                entropies=[_mean(self.entropies[run], self.lengths[run]) for run in runs],
                patches=[self.lengths[run] for run in runs],
                patch_entropies=[self.entropies[run] for run in runs],
                patch_counts=[run.stop - run.start for run in runs],
            )
            line += data.count(b"\n")


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    if len(values) == 1 or not weights.any():
        return float(values.astype(np.float64).mean())
    return float(np.average(values.astype(np.float64), weights=weights))


def rows_of_file(path: Path, name: str | None = None) -> tuple[str, list[Rows], list[Skipped]]:
    """Read a file of any layout of `thesphere.store.interchange`.

    Returns:
        (its uri, its sources, what of it or of its sidecar was not used).

    Raises:
        NotFoundError, FormatError: as `read_interchange`; also for an export whose list of sources is wrong.
        InputError: it has no rows.
    """
    content = read_interchange(path)
    if not len(content):
        raise InputError(f"{path} has no rows; there is nothing to import")
    uri, title = uri_of(os.path.realpath(path)), printable(name or path.name)
    skipped: list[Skipped] = []
    sources = list(_listed(content, path, uri, name)) or [_whole(content, path, uri, title, skipped)]
    if content.data is not None and content.lengths is not None:
        behind = len(content.data) - int(content.lengths.sum())
        if behind:
            skipped.append(Skipped(title, f"{behind} bytes behind the last row belong to no row"))
    return uri, sources, skipped


def rows_of_arrays(
    embeddings: Any,
    prominence: Any,
    data: Sequence[bytes] | None,
    name: str,
    entropies: Any,
) -> Rows:
    """Arrays as one source; InputError for what `Sphere.import_arrays` refuses."""
    rows = check_embeddings(embeddings)
    count = len(rows)
    if not count:
        raise InputError("the embeddings have no rows; there is nothing to import")
    if not name:
        raise InputError("the name is empty; give one by which the source is found again")
    kind = "norm" if prominence is None else "declared"
    weights = _column("prominence", norms(rows) if prominence is None else prominence, count)
    known = np.full(count, np.nan, np.float32)
    if entropies is not None:
        known = _column("entropies", entropies, count, unknown=True)
    lengths, joined = np.ones(count, np.int64), None
    if data is not None:
        if isinstance(data, bytes | str) or len(data) != count:
            raise InputError(f"data is not a sequence of {count} byte strings, one for each row")
        if not all(isinstance(each, bytes | bytearray | memoryview) for each in data):
            raise InputError("data holds something that is not bytes; encode texts, as with text.encode()")
        lengths = np.array([len(each) for each in data], np.int64)
        joined = np.frombuffer(b"".join(data), np.uint8)
    modality, encoding, lengths, joined = _known_bytes(name, lengths, joined)
    origin = {"layout": "arrays", "unit": "row", "prominence": kind}
    return Rows(
        f"arrays:{quote(name, errors='surrogatepass')}",
        printable(name),
        "",
        modality,
        encoding,
        origin,
        rows,
        weights,
        known,
        lengths,
        joined,
    )


def _column(name: str, values: Any, count: int, *, unknown: bool = False) -> np.ndarray:
    """float32 [count], finite (or NaN if `unknown`) and at least 0."""
    try:
        given = np.asarray(values)
    except ValueError:
        given = np.empty(0)
    if given.dtype.kind not in "fiu" or given.shape != (count,):
        raise InputError(
            f"{name} has dtype {given.dtype} and shape {list(given.shape)}; give numbers [{count}]"
        )
    with np.errstate(over="ignore"):
        narrow = given.astype(np.float32)
    bad = ~((narrow >= 0) & np.isfinite(narrow)) & ~(unknown & np.isnan(given))
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"{name} of row {row} is {given[row]}; give finite numbers of at least 0")
    return narrow


def _known_bytes(
    name: str, lengths: np.ndarray, data: np.ndarray | None
) -> tuple[str, str, np.ndarray, np.ndarray | None]:
    """(modality, encoding, lengths, bytes) of rows; no bytes at all are as good as None."""
    if data is None or not lengths.sum():
        return "vectors", "bytes", np.ones(len(lengths), np.int64), None
    if lengths.max() >= _LONGEST:
        raise InputError(f"a row of {name} has {lengths.max()} bytes; at most {_LONGEST - 1} are possible")
    data = data[: int(lengths.sum())]
    modality, encoding = sniff(name, data[:HEAD].tobytes(), complete=len(data) < HEAD)
    if encoding.startswith(("utf-16", "utf-32")):  # rows are cut between any two bytes
        encoding = "bytes"
    return modality, encoding, lengths, data


def _entropies(content: Interchange) -> np.ndarray:
    if content.entropies is None:
        return np.full(len(content), np.nan, np.float32)
    return content.entropies


def _whole(content: Interchange, path: Path, uri: str, name: str, skipped: list[Skipped]) -> Rows:
    """A foreign file as one source, with what its sidecar tells."""
    lengths = np.ones(len(content), np.int64) if content.lengths is None else content.lengths
    modality, encoding, lengths, data = _known_bytes(path.stem, lengths, content.data)
    origin = {"layout": content.layout, "unit": content.unit, "prominence": content.prominence_kind}
    if encoder := content.metadata.get("encoder"):
        origin["encoder"] = printable(encoder[:200])
    beside = sidecar_path(path)
    if beside.is_file():
        try:
            nodes = read_sidecar(beside).nodes
        except SphereError as error:
            skipped.append(Skipped(beside.name, f"not used: {error}"))
        else:
            kinds = {printable(node.modality[:64]) for node in nodes if isinstance(node, Branch)} - {""}
            if kinds:
                modality = kinds.pop() if len(kinds) == 1 else "mixed"
            hashes = [printable(node.source_hash[:200]) for node in nodes if isinstance(node, Trunk)]
            if len(hashes) == 1:
                origin["source_hash"] = hashes[0]
    return Rows(
        uri, name, "", modality, encoding, origin, content.embeddings, content.prominence,
        _entropies(content), lengths, data,
    )  # fmt: skip


def _listed(content: Interchange, path: Path, uri: str, name: str | None) -> Iterator[Rows]:
    """The sources that an export lists; none of a foreign file."""
    text = content.metadata.get(SOURCES)
    if text is None:
        return
    try:
        told = [_checked(each) for each in json.loads(text)]
        if sum(each["rows"] for each in told) != len(content):
            raise ValueError(f"their rows do not sum to {len(content)}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FormatError(f"{path}: metadata {SOURCES} is not a list of its sources: {error}") from error
    sizes = np.zeros(len(content), np.int64) if content.lengths is None else content.lengths
    alone = len(told) == 1 and len(told[0]["names"]) == 1
    entropies = _entropies(content)
    row = byte = number = 0
    for each in told:
        rows = slice(row, row + each["rows"])
        row = rows.stop
        until = byte + int(sizes[rows].sum())
        data = None if content.data is None else content.data[byte:until]
        byte = until
        _, _, lengths, data = _known_bytes("", sizes[rows], data)
        for own in each["names"]:
            given = own if name is None else name if alone else f"{name}/{own}"
            yield Rows(
                uri if alone else f"{uri}#{number}", printable(given), each["title"], each["modality"],
                each["encoding"], {"layout": content.layout, **each["origin"]},
                None if content.embeddings is None else content.embeddings[rows],
                content.prominence[rows], entropies[rows], lengths, data,
            )  # fmt: skip
            number += 1


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    """One entry of an export's list, every value of the kind that it must be."""
    names, rows = entry["names"], entry["rows"]
    origin = {key: entry["origin"][key] for key in ORIGIN if key in entry["origin"]}
    texts = [entry["title"], entry["modality"], entry["encoding"], *names, *origin.values()]
    if type(names) is not list or not names or not all(type(text) is str for text in texts) or "" in names:
        raise ValueError("names, title, modality, encoding and origin must be texts")
    "".join([*names, entry["modality"], *origin.values()]).encode()  # no half of a surrogate pair
    if type(rows) is not int or rows < 1:
        raise ValueError("rows must be whole numbers from 1")
    if origin["unit"] not in UNITS or origin["prominence"] not in PROMINENCE_KINDS:
        raise ValueError("unit or prominence is unknown")
    if not _ENCODING.fullmatch(entry["encoding"]):
        raise ValueError("the encoding is unknown")
    try:
        analysis_text(b"a", entry["encoding"])
    except LookupError:
        raise ValueError("the encoding is unknown") from None
    return {**entry, "origin": origin}
