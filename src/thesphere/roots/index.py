"""Roots: vectors with a flat, certified index.

Every answer is proved: bounds from int8 codes leave a few rows undecided, which are scored in float64 (see
`thesphere.scan`). Rows are kept in the order of their ids, so that equal scores fall in the order of ids.
"""

import hashlib
import os
from pathlib import Path
from time import perf_counter

import numpy as np

from thesphere.errors import FormatError, InputError, SchemaError, VerifyError
from thesphere.roots.found import Found
from thesphere.scan import Codes, Metric, Part, encode, exact, search
from thesphere.scan.rows import as_rows
from thesphere.store.part import disk_error
from thesphere.store.tensors import map_tensors, write_tensors
from thesphere.types import Cost, Status

FILE = "roots.safetensors"
FORMAT = "thesphere.roots"
VERSION = 1
_BLOCK = 1 << 16  # rows that are checked at a time
_LARGEST = float(np.finfo(np.float32).max)


class Roots:
    """An index over vectors; made by `build` or `load`, never changed afterwards.

    Attributes:
        vectors: float32 [N, D], in the order of ids.
        ids: int64 [N], ascending.
        metric: "ip" or "cosine".
        codes: the int8 rows that are scanned.
    """

    def __init__(self, vectors: np.ndarray, ids: np.ndarray, metric: Metric, codes: Codes) -> None:
        self.vectors = vectors
        self.ids = ids
        self.metric: Metric = metric
        self.codes = codes

    @classmethod
    def build(cls, vectors, metric: Metric = "ip", *, ids=None) -> "Roots":
        """Index vectors as they are: magnitudes count with "ip" and cancel with "cosine".

        Args:
            vectors: numbers [N, D], N may be 0; used as float32. A C-contiguous float32 array is not copied
                and must not be changed afterwards.
            metric: "ip" (inner product) or "cosine" (0 for a zero vector).
            ids: distinct integers [N] >= 0 to answer with; 0 .. N - 1 when left out.

        Raises InputError for other shapes, NaN or infinity (by row), repeated or negative ids, other metrics.
        """
        if metric not in ("ip", "cosine"):
            raise InputError(f"metric is {metric!r}, expected 'ip' or 'cosine'")
        rows = as_rows(vectors)
        names = np.arange(len(rows)) if ids is None else _names(ids, len(rows))
        if not _ascending(names):
            order = np.argsort(names, kind="stable")
            names, rows = names[order], rows[order]
            if not _ascending(names):
                twice = names[1:][np.diff(names) == 0][0]
                raise InputError(f"ids: {twice} is given twice; each row needs its own")
        return cls(rows, names, metric, encode(rows))

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def width(self) -> int:
        """D, the width of the vectors."""
        return self.codes.width

    def search(
        self,
        queries,
        k: int = 10,
        *,
        exact: bool | None = None,
        budget: int | None = None,
        threads: int = 1,
    ) -> Found:
        """The k best rows for each query.

        Args:
            queries: numbers [Q, D], or [D] for one; used as float32.
            k: how many, 0 or more.
            exact: True asks for a proved answer, which a flat index gives anyway unless a budget is set.
            budget: bytes of codes to scan per query at most, rows in the order of ids; the survivors' float64
                scores come on top (both are in the cost). The answer is "partial" unless the norms of the
                rows left out prove that none of them belongs into it.
            threads: workers over blocks of queries; the answer does not depend on it.

        Raises InputError for another width, NaN or infinity, a negative k or budget, budget with exact.
        """
        begun = perf_counter()
        if budget is not None and exact:
            raise InputError("exact and budget exclude each other; leave one out")
        if budget is not None and budget < 0:
            raise InputError(f"budget is {budget} bytes, expected 0 or more")
        rows = as_rows(queries, "queries", self.width, one=True)
        seen = len(self) if budget is None else min(len(self), int(budget) // self.codes.row_bytes)
        result = search(
            [self._part(seen)], rows, _whole(k, "k"), metric=self.metric, threads=_whole(threads, "threads")
        )
        gap = self._gap(rows, result.scores, seen)
        status: list[Status] = ["partial" if open_ else "exact" for open_ in gap > 0]
        ids = np.where(result.ids < 0, -1, self.ids[result.ids]) if len(self) else result.ids
        full = len(rows) * len(self) * self.codes.row_bytes
        cost = Cost(
            bytes_scanned=result.rows * self.codes.row_bytes + result.rescored * 4 * self.width,
            bytes_stored=full + len(rows) * self.vectors.nbytes,
            points_scanned=result.rows,
            rescored=result.rescored,
            milliseconds=1000 * (perf_counter() - begun),
        )
        return Found(ids, _single(result.scores), status, gap, cost)

    def verify(self, found: Found, queries) -> None:
        """Prove an answer again by scoring every row in float64, without the codes.

        An "exact" row must be the full enumeration's first k; a "partial" one must hold true scores in order,
        and nothing left out may beat its k-th score by more than the gap.

        Raises VerifyError that names the query and what differs.
        """
        rows = as_rows(queries, "queries", self.width, one=True)
        if len(rows) != len(found.ids):
            raise InputError(f"the answer is of {len(found.ids)} queries, {len(rows)} were given")
        whole, every = self._part(len(self)), np.arange(len(self))
        for q, query in enumerate(rows):
            truth = exact(whole, query, every, self.metric)
            self._verify_one(q, truth, found)

    def _verify_one(self, q: int, truth: np.ndarray, found: Found) -> None:
        given, k = found.ids[q], found.ids.shape[1]
        order = np.argsort(-truth, kind="stable")[:k]
        if found.status[q] == "exact":
            wanted = np.full(k, -1, dtype=np.int64)
            wanted[: len(order)] = self.ids[order]
            if not np.array_equal(given, wanted):
                i = int(np.flatnonzero(given != wanted)[0])
                raise VerifyError(f"query {q}: rank {i} is id {given[i]}, full enumeration has {wanted[i]}")
            if found.gap[q] != 0:
                raise VerifyError(f"query {q}: called exact with a gap of {found.gap[q]}")
        kept = given[given >= 0]
        places = np.searchsorted(self.ids, kept)
        if not np.isin(kept, self.ids).all() or len(np.unique(kept)) != len(kept):
            raise VerifyError(f"query {q}: an id is repeated or not in the index")
        scores = truth[places]
        wanted = np.full(k, -np.inf)
        wanted[: len(kept)] = scores
        if not np.array_equal(found.scores[q], _single(wanted)) or (np.diff(scores) > 0).any():
            raise VerifyError(f"query {q}: the scores are not those of the ids, in falling order")
        left = np.delete(truth, places)
        floor = scores[-1] if len(kept) == k and k else -np.inf
        if k and len(left) and left.max() > floor and not left.max() - floor <= found.gap[q]:
            raise VerifyError(f"query {q}: a row left out is {left.max() - floor} better, beyond the gap")

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the index into a folder (made if missing), whole or not at all.

        Raises SphereError when the folder cannot be made or the disk is full, read-only or failing.
        """
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, f"make {path}") from error
        arrays = {"vectors": self.vectors, "ids": self.ids, **self.codes.arrays()}
        about = {"format": FORMAT, "version": str(VERSION), "metric": self.metric, "sha256": _digest(arrays)}
        write_tensors(path / FILE, arrays, about)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], *, check: bool = True) -> "Roots":
        """Map a saved index into memory.

        Args:
            folder: where `save` wrote.
            check: read everything once, compare the checksum and code the vectors again, so that no damaged
                or made-up file can give a false proof; False maps only, for files that nobody else writes.

        Raises NotFoundError, FormatError (foreign, truncated or damaged), SchemaError (from a newer version).
        """
        path = Path(folder) / FILE
        arrays, about = map_tensors(path)
        if about.get("format") != FORMAT:
            raise FormatError(f"{path} is not an index of thesphere: its format is {about.get('format')!r}")
        version, metric = about.get("version", ""), about.get("metric")
        if not version.isdecimal() or int(version) < 1 or metric not in ("ip", "cosine"):
            raise FormatError(f"{path}: version {version!r} or metric {metric!r} is unknown")
        if int(version) > VERSION:
            raise SchemaError(f"{path} has version {version}, this program reads up to {VERSION}; upgrade it")
        codes = Codes.from_arrays(arrays, name=str(path))
        for name, dtype, shape in (
            ("vectors", np.float32, (len(codes), codes.width)),
            ("ids", np.int64, (len(codes),)),
        ):
            found = arrays.get(name)
            if found is None or found.dtype != dtype or found.shape != shape:
                told = "missing" if found is None else f"{found.dtype} {list(found.shape)}"
                raise FormatError(f"{path}: '{name}' is {told}, expected {np.dtype(dtype)} {list(shape)}")
        vectors, ids = arrays["vectors"], arrays["ids"]
        if not _ascending(ids) or (len(ids) and ids[0] < 0):
            raise FormatError(f"{path}: 'ids' are not ascending")
        if check:
            if _digest(arrays) != about.get("sha256"):
                raise FormatError(f"{path} is damaged: its checksum differs; restore it or build it again")
            _recode(path, vectors, codes)
        return cls(vectors, ids, metric, codes)

    def _part(self, rows: int) -> Part:
        """The first rows as a part."""
        if rows == len(self):
            return Part(self.codes, self.vectors)
        return Part(self.codes.cut(0, rows), self.vectors[:rows])

    def _gap(self, queries: np.ndarray, scores: np.ndarray, seen: int) -> np.ndarray:
        """float64 [Q]: the best that rows seen .. N could score less the k-th score; 0 where that proves all.

        Those rows have larger ids, so one that only equals the k-th score stays outside.
        """
        if seen == len(self) or not scores.shape[1]:
            return np.zeros(len(queries))
        norms = np.linalg.norm(queries.astype(np.float64), axis=1)
        farthest = float(self.codes.norms[seen:].max())
        reach = norms * farthest if self.metric == "ip" else np.sign(norms * farthest)
        return np.maximum(reach * (1 + 1e-9) - scores[:, -1], 0.0)  # 1e-9: rounding of norms and scores


def _names(ids, count: int) -> np.ndarray:
    names = np.asarray(ids)
    if names.shape != (count,) or (names.dtype.kind not in "iu" and count):
        raise InputError(f"ids: expected {count} integers, got {names.dtype} {list(names.shape)}")
    names = names.astype(np.int64)
    if (names < 0).any():
        raise InputError(f"ids: {names.min()} is negative (or beyond 63 bits); -1 stands for 'no row'")
    return names


def _ascending(names: np.ndarray) -> bool:
    return bool((names[1:] > names[:-1]).all())


def _whole(number, what: str) -> int:
    try:
        return number.__index__()
    except AttributeError:
        raise InputError(f"{what} is {number!r}, expected a whole number") from None


def _single(scores: np.ndarray) -> np.ndarray:
    """float32 scores; finite ones stay finite."""
    return np.where(np.isinf(scores), scores, np.clip(scores, -_LARGEST, _LARGEST)).astype(np.float32)


def _digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and bytes, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


def _recode(path: Path, vectors: np.ndarray, codes: Codes) -> None:
    """Refuse codes that are not those of the vectors."""
    for first in range(0, len(vectors), _BLOCK):
        end = min(first + _BLOCK, len(vectors))
        try:
            fresh = encode(vectors[first:end]).arrays()
        except InputError as error:
            raise FormatError(f"{path}: after row {first}: {error}") from error
        stored = codes.cut(first, end).arrays()
        if not all(np.array_equal(fresh[name], stored[name]) for name in fresh):
            raise FormatError(f"{path}: the codes of rows {first} to {end} are not those of the vectors")
