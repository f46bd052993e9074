"""Documents laid side by side for training: lanes read on and on, their states carried along.

Every document is preceded by a zero byte, which stands for "a text begins": the byte after it is predicted from
nothing, the recurrence forgets what came before, and the memory of seen contexts is empty again. So a lane is
as exact as reading each document by itself, whatever its length.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from thesphere.errors import InputError
from thesphere.nn.contexts import KNOWN, SEEN, SEEN_BITS, Lookup, Reader, names
from thesphere.runtime.threads import workers


@dataclass(frozen=True)
class Described:
    """A packed text and what is told about each of its positions.

    Args:
        byte: uint8 [N].
        known, expected, second: what `nn.contexts.Reader` tells, [N, ...].
    """

    byte: np.ndarray
    known: np.ndarray
    expected: np.ndarray
    second: np.ndarray


def pack(documents: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 [N], a zero before each document and one at the end; begins [documents + 1], where they lie).

    Raises:
        InputError: there is no document.
    """
    if not documents:
        raise InputError("no documents to pack: give at least one")
    begins = np.cumsum([0, *(len(d) + 1 for d in documents)])
    return np.frombuffer(b"\0" + b"\0".join(documents) + b"\0", np.uint8), begins


def choose_contexts(
    parts: list[tuple[np.ndarray, float]], rows: tuple[int, ...], samples: int = 1 << 25
) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent contexts of each known table.

    Args:
        parts: packed bytes and their share of training.
        rows: the most contexts of each table; a text with fewer gives fewer.
        samples: positions looked at, in proportion to the shares.

    Returns:
        (keys uint32 [N], begins int64 [KNOWN + 1]) for `nn.contexts.lookup_of`.
    """

    def look(part: np.ndarray, share: float) -> np.ndarray:
        return names(part, max(1, round(len(part) / (share * samples))))

    with ThreadPoolExecutor(workers()) as pool:
        seen = list(pool.map(look, *zip(*parts, strict=True)))

        def frequent(which: int) -> np.ndarray:
            keys, counts = np.unique(np.concatenate([s[:, which] for s in seen]), return_counts=True)
            order = np.lexsort((keys, -counts))[: rows[which]]
            return np.sort(keys[order[counts[order] > 1]])

        found = list(pool.map(frequent, range(KNOWN)))
    return np.concatenate(found), np.cumsum([0, *map(len, found)])


def describe_all(byte: np.ndarray, begins: np.ndarray, lookup: Lookup) -> Described:
    """Reads every document by itself, on all cores.

    Short documents get a memory of seen contexts that fits them; a few per cent of contexts lose their slot in
    it that would keep it in a `Reader` of full size.
    """
    n = len(byte)
    known, expected = np.empty((n, KNOWN), np.uint16), np.empty((n, SEEN), np.uint16)
    second = np.empty((n, SEEN), np.uint8)
    ends = np.append(begins[1:-1], n)

    def read(some: np.ndarray) -> None:
        for at in some:
            here = slice(begins[at], ends[at])
            # four slots a byte: clearing all slots for every short document would take longer than reading it
            bits = min(SEEN_BITS, max(8, int(ends[at] - begins[at]).bit_length() + 2))
            known[here], expected[here], second[here] = Reader(lookup, bits).read(byte[here])

    with ThreadPoolExecutor(workers()) as pool:
        list(pool.map(read, np.array_split(np.arange(len(begins) - 1), 8 * workers())))
    return Described(byte, known, expected, second)


def training_lanes(
    sizes: list[int], shares: list[float], lanes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first position, begin of its part, size of its part), int32 [lanes] each.

    Lanes are dealt to the parts by `shares` and go round and round in theirs, evenly apart.
    """
    wanted = np.array(shares) / sum(shares) * lanes
    counts = np.floor(wanted).astype(int)
    counts[np.argsort(counts - wanted)[: lanes - counts.sum()]] += 1
    first, begin, size = [], [], []
    at = 0
    for part, count in zip(sizes, counts, strict=True):
        for lane in range(count):
            first.append(part * lane // count)
            begin.append(at)
            size.append(part)
        at += part
    return np.array(first, np.int32), np.array(begin, np.int32), np.array(size, np.int32)
