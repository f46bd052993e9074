"""Inverted lists: term id -> documents that hold it, with counts. Built in memory, read where they lie on disk.

On disk (three arrays of a safetensors file): `keys` uint32, sorted; `offsets` uint32 [n + 1]; `data` uint8. A
list is a varint of its document count, then per document a varint of (gap << 1 | more), where more says that a
second varint holds count - 2. Gaps are to the previous document, the first to -1, less one.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from thesphere.errors import FormatError

MOST = 0xFFFF  # counts above are cut: BM25 has long levelled off there


@njit(cache=True, nogil=True)
def _accumulate(
    terms, document, slots, keys, last_document, last_posting, distinct, owner, holder, counts, used
):
    """Count the terms of one document into the postings. Capacities were made large enough before.

    Returns (distinct terms, postings used).
    """
    mask = len(slots) - 1
    for term in terms:
        slot = np.int64((term * np.uint32(2654435769)) >> np.uint32(7)) & mask
        while True:
            index = slots[slot]
            if index < 0:
                index = distinct
                slots[slot] = index
                keys[index] = term
                last_document[index] = -1
                distinct += 1
                break
            if keys[index] == term:
                break
            slot = (slot + 1) & mask
        if last_document[index] == document:
            posting = last_posting[index]
            if counts[posting] < MOST:
                counts[posting] += 1
        else:
            last_document[index] = document
            last_posting[index] = used
            owner[used] = index
            holder[used] = document
            counts[used] = 1
            used += 1
    return distinct, used


@njit(cache=True, nogil=True)
def _rehash(keys, distinct, slots):
    mask = len(slots) - 1
    for index in range(distinct):
        slot = np.int64((keys[index] * np.uint32(2654435769)) >> np.uint32(7)) & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = index


@njit(cache=True, nogil=True, inline="always")
def _put(data, at, value):
    while value >= 128:
        data[at] = (value & 127) | 128
        value >>= 7
        at += 1
    data[at] = value
    return at + 1


@njit(cache=True, nogil=True)
def _encode(rank, owner, holder, counts, distinct):
    """Postings in document order -> (offsets, data) with the terms in the order of `rank`."""
    used = len(owner)
    first = np.zeros(distinct + 1, np.int64)
    for i in range(used):
        first[rank[owner[i]] + 1] += 1
    for i in range(distinct):
        first[i + 1] += first[i]
    place = first[:-1].copy()
    documents = np.empty(used, np.int32)
    tallies = np.empty(used, np.uint16)
    for i in range(used):
        term = rank[owner[i]]
        documents[place[term]] = holder[i]
        tallies[place[term]] = counts[i]
        place[term] += 1
    data = np.empty(used * 8 + distinct * 5, np.uint8)
    offsets = np.zeros(distinct + 1, np.uint32)
    at = 0
    for term in range(distinct):
        at = _put(data, at, first[term + 1] - first[term])
        previous = -1
        for i in range(first[term], first[term + 1]):
            gap = np.int64(documents[i]) - previous - 1
            previous = documents[i]
            if tallies[i] == 1:
                at = _put(data, at, gap << 1)
            else:
                at = _put(data, at, (gap << 1) | 1)
                at = _put(data, at, np.int64(tallies[i]) - 2)
        offsets[term + 1] = at
    return offsets, data[:at].copy()


@njit(cache=True, nogil=True, inline="always")
def _get(data, at, end):
    """(value, next position); a value that runs past `end` or is too long comes back as -1."""
    value = np.int64(0)
    shift = 0
    while at < end and shift < 63:
        byte = np.int64(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return np.int64(-1), end


@njit(cache=True, nogil=True)
def _document_counts(data, offsets, where, live):
    """Live documents of each list; `live` of length 0 means that all are. -1 marks a damaged list."""
    out = np.zeros(len(where), np.int64)
    for t in range(len(where)):
        if where[t] < 0:
            continue
        at = np.int64(offsets[where[t]])
        end = np.int64(offsets[where[t] + 1])
        number, at = _get(data, at, end)
        if len(live) == 0:
            out[t] = number
            continue
        document = np.int64(-1)
        while at < end:
            value, at = _get(data, at, end)
            document += (value >> 1) + 1
            if value < 0 or document >= len(live):
                out[t] = -1
                break
            if value & 1:
                _, at = _get(data, at, end)
            if live[document]:
                out[t] += 1
    return out


@njit(cache=True, nogil=True)
def _holding(data, offsets, where, out):
    """Mark the documents of each list. False if a list is damaged."""
    documents = out.shape[1]
    for t in range(len(where)):
        if where[t] < 0:
            continue
        at = np.int64(offsets[where[t]])
        end = np.int64(offsets[where[t] + 1])
        _, at = _get(data, at, end)
        document = np.int64(-1)
        while at < end:
            value, at = _get(data, at, end)
            document += (value >> 1) + 1
            if value < 0 or document >= documents:
                return False
            if value & 1:
                _, at = _get(data, at, end)
            out[t, document] = True
    return True


@njit(cache=True, nogil=True)
def _score(data, offsets, where, weights, norms, out):
    """Add weight * count / (count + norm[document]) of every posting to out. False if a list is damaged."""
    documents = len(out)
    for t in range(len(where)):
        if where[t] < 0 or weights[t] == 0.0:
            continue
        at = np.int64(offsets[where[t]])
        end = np.int64(offsets[where[t] + 1])
        _, at = _get(data, at, end)
        weight = weights[t]
        document = np.int64(-1)
        while at < end:
            value, at = _get(data, at, end)
            document += (value >> 1) + 1
            if value < 0 or document >= documents:
                return False
            count = 1.0
            if value & 1:
                more, at = _get(data, at, end)
                if more < 0:
                    return False
                count = more + 2.0
            out[document] += weight * count / (count + norms[document])
    return True


class ListsBuilder:
    """Collects the terms of documents 0, 1, 2, ... and gives their inverted lists."""

    def __init__(self) -> None:
        self._slots = np.full(1 << 12, -1, np.int32)
        self._keys = np.empty(1 << 11, np.uint32)
        self._last_document = np.empty(1 << 11, np.int32)
        self._last_posting = np.empty(1 << 11, np.int64)
        self._owner = np.empty(1 << 13, np.int32)
        self._holder = np.empty(1 << 13, np.int32)
        self._counts = np.empty(1 << 13, np.uint16)
        self.distinct = 0
        self.postings = 0

    def add(self, document: int, terms: np.ndarray) -> None:
        """Count `terms` uint32 [n], with repeats, for `document`; documents come in rising order."""
        self._room(len(terms))
        self.distinct, self.postings = _accumulate(
            terms, document, self._slots, self._keys, self._last_document, self._last_posting, self.distinct,
            self._owner, self._holder, self._counts, self.postings,
        )  # fmt: skip

    def _room(self, more: int) -> None:
        size = len(self._keys)
        while self.distinct + more > size:
            size *= 2
        if size > len(self._keys):
            for name in ("_keys", "_last_document", "_last_posting"):
                old = getattr(self, name)
                new = np.empty(size, old.dtype)
                new[: self.distinct] = old[: self.distinct]
                setattr(self, name, new)
            self._slots = np.full(2 * size, -1, np.int32)
            _rehash(self._keys, self.distinct, self._slots)
        size = len(self._owner)
        while self.postings + more > size:
            size = size * 3 // 2
        if size > len(self._owner):
            for name in ("_owner", "_holder", "_counts"):
                old = getattr(self, name)
                new = np.empty(size, old.dtype)
                new[: self.postings] = old[: self.postings]
                setattr(self, name, new)

    def finish(self) -> dict[str, np.ndarray]:
        """The arrays of the lists, as they are written to disk."""
        keys = self._keys[: self.distinct]
        order = np.argsort(keys, kind="stable")
        rank = np.empty(self.distinct, np.int32)
        rank[order] = np.arange(self.distinct, dtype=np.int32)
        used = self.postings
        offsets, data = _encode(
            rank, self._owner[:used], self._holder[:used], self._counts[:used], self.distinct
        )
        return {"keys": keys[order], "offsets": offsets, "data": data}


@dataclass(frozen=True)
class Lists:
    """Inverted lists over documents 0 .. documents - 1, usually memory-mapped."""

    keys: np.ndarray
    offsets: np.ndarray
    data: np.ndarray
    documents: int

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], documents: int, *, name: str = "lists") -> "Lists":
        """Check the arrays of a file and wrap them; a FormatError names `name`."""
        try:
            keys, offsets, data = arrays["keys"], arrays["offsets"], arrays["data"]
        except KeyError as missing:
            raise FormatError(f"{name}: the array {missing} is missing from these inverted lists") from None
        if keys.dtype != np.uint32 or offsets.dtype != np.uint32 or data.dtype != np.uint8:
            raise FormatError(f"{name}: inverted lists need uint32 keys, uint32 offsets and uint8 data")
        if keys.ndim != 1 or offsets.ndim != 1 or data.ndim != 1 or np.any(keys[1:] <= keys[:-1]):
            raise FormatError(f"{name}: the keys of these inverted lists are not in rising order")
        if (
            len(offsets) != len(keys) + 1
            or (int(offsets[0]), int(offsets[-1])) != (0, len(data))
            or np.any(offsets[1:] < offsets[:-1])
        ):
            raise FormatError(f"{name}: the offsets of these inverted lists do not fit their data")
        return cls(keys, offsets, data, documents)

    def find(self, terms: np.ndarray) -> np.ndarray:
        """Position of each term's list, int64 [n]; -1 where there is none."""
        if not len(self.keys):
            return np.full(len(terms), -1, np.int64)
        where = np.searchsorted(self.keys, terms)
        where[where == len(self.keys)] = 0
        return np.where(self.keys[where] == terms, where, -1)

    def document_counts(self, where: np.ndarray, live: np.ndarray | None) -> np.ndarray:
        """How many live documents each list holds, int64 [n]. `live` is a bool mask, or None for all."""
        counts = _document_counts(
            self.data, self.offsets, where, np.empty(0, np.bool_) if live is None else live
        )
        if ((counts < 0) | (counts > self.documents)).any():
            raise FormatError("an inverted list is damaged: run `thesphere verify` on the collection")
        return counts

    def holding(self, where: np.ndarray) -> np.ndarray:
        """Which documents each list holds, bool [n, documents]; removed documents count."""
        out = np.zeros((len(where), self.documents), np.bool_)
        if not _holding(self.data, self.offsets, where, out):
            raise FormatError("an inverted list is damaged: run `thesphere verify` on the collection")
        return out

    def score(self, where: np.ndarray, weights: np.ndarray, norms: np.ndarray, out: np.ndarray) -> None:
        """out[d] += weight * count / (count + norms[d]), in float64, list after list in the order given."""
        if not _score(self.data, self.offsets, where, weights, norms, out):
            raise FormatError("an inverted list is damaged: run `thesphere verify` on the collection")

    def bytes_of(self, where: np.ndarray) -> int:
        """Bytes that reading these lists costs."""
        found = where[where >= 0]
        return int((self.offsets[found + 1].astype(np.int64) - self.offsets[found]).sum())
