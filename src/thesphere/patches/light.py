"""The light entropy model: byte contexts, counted as they come, over a small table of what text is like.

The model in one paragraph. For the byte after a position look up the contexts of the last 4 and the last 2
bytes. A context that was seen n times with u distinct successors gives successor b, seen c_b times, the mass
c_b and "something else" the mass 4 u, out of m = n + 4 u; something else is settled by the next shorter
context, and in the end by the prior (patches/prior.py). The entropy of which context decides *and* which byte
it picks is exact and needs no loop:

    H = ln m - (S + x ln x) / m + x / m * H_shorter,    x = 4 u,    S = sum of c ln c, kept with the context.

This is the entropy of that two-fold choice, so an upper bound of the entropy of the byte alone (the same byte
may be reached through either context); it is cut off at ln 256. Escapes go back to Cleary and Witten's PPM
and to Witten and Bell; the weight 4 instead of 1 was measured to place boundaries best in short sources.

A context keeps at most 26 successors (one cache line); a new one beyond that takes the place of the rarest.
Counts are halved when their sum exceeds 254, so that the model follows its source. Contexts live in a hash
table with two places a bucket, which starts at 64 KiB and grows with the source up to 4 MiB; then a new
context replaces the less used one of its bucket. So the cost of a source is proportional to its length and
memory is bounded. All arithmetic is on integers (nats in units of 2^-16): every machine gives the same
entropies and the same patches.
"""

import math

import numpy as np
from numba import njit

from thesphere.patches.prior import BITS, ESCAPE, HASH, STEP, UNKNOWN, tables

ORDERS = (2, 4)
SUCCESSORS = 26
MOST_COUNTED = 254  # one more must still fit the byte that holds a count
FIRST_BITS, LAST_BITS = 9, 15  # log2 of the contexts per order that a table holds
UNIT = 65536

# ln i and i ln i in units of 2^-16 nat; no entry lies near enough to a half for a libm to round it
# differently
LN = np.array([0] + [round(math.log(i) * UNIT) for i in range(1, 512)], np.int64)
XLNX = np.array([0] + [round(i * math.log(i) * UNIT) for i in range(1, 512)], np.int64)
CEILING = int(LN[256])

# A context is a row of 32 uint16: its bytes (low and high half), n, u, S (low and high half), then
# successors, each byte << 8 | count. n == 0: the row is free.
_FIRST = 6
_ROW = _FIRST + SUCCESSORS


@njit(cache=True, nogil=True, error_model="numpy")
def _bucket(context, shift):
    return np.int64((np.uint64(context) * np.uint64(HASH)) >> np.uint64(shift)) & ~1


@njit(cache=True, nogil=True, error_model="numpy")
def _find(rows, context, shift):
    """The row of `context`, or -1."""
    bucket = _bucket(context, shift)
    for at in range(bucket, bucket + 2):
        if rows[at, 2] != 0 and (np.int64(rows[at, 1]) << 16 | np.int64(rows[at, 0])) == context:
            return at
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def _insert(rows, context, byte, shift):
    """A new context with one successor; returns whether a free row was taken."""
    at = _bucket(context, shift)
    if rows[at + 1, 2] < rows[at, 2]:
        at += 1
    row = rows[at]
    free = row[2] == 0
    row[0] = context & 0xFFFF
    row[1] = context >> 16
    row[2] = 1
    row[3] = 1
    row[4] = 0
    row[5] = 0
    row[_FIRST] = byte << 8 | 1
    return free


@njit(cache=True, nogil=True, error_model="numpy")
def _count(row, byte, xlnx):
    """Counts one more `byte` after the context of `row`."""
    n = np.int64(row[2])
    u = np.int64(row[3])
    logs = np.int64(row[5]) << 16 | np.int64(row[4])
    end = _FIRST + u
    at = _FIRST
    while at < end and row[at] >> 8 != byte:
        at += 1
    if at < end:
        c = np.int64(row[at] & 255)
        row[at] += 1
        n += 1
        logs += xlnx[c + 1] - xlnx[c]
    elif u < SUCCESSORS:
        row[at] = byte << 8 | 1
        n += 1
        u += 1
    else:  # the rarest makes room, the first of them if there are several
        at = _FIRST
        for other in range(_FIRST + 1, end):
            if row[other] & 255 < row[at] & 255:
                at = other
        c = np.int64(row[at] & 255)
        row[at] = byte << 8 | 1
        n += 1 - c
        logs -= xlnx[c]
    if n > MOST_COUNTED:
        n = u = logs = 0
        for at in range(_FIRST, end):
            c = np.int64(row[at] & 255) >> 1
            if c > 0:
                row[_FIRST + u] = (row[at] & 0xFF00) | c
                n += c
                u += 1
                logs += xlnx[c]
    row[2] = n
    row[3] = u
    row[4] = logs & 0xFFFF
    row[5] = logs >> 16


@njit(cache=True, nogil=True, error_model="numpy")
def _entropy(row, shorter, ln, xlnx):
    """Entropy at the context of `row`, where `shorter` is that of the next shorter one."""
    escape = ESCAPE * np.int64(row[3])
    mass = np.int64(row[2]) + escape
    logs = (np.int64(row[5]) << 16 | np.int64(row[4])) + xlnx[escape]
    return ln[mass] - (logs - escape * shorter) // mass


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(data, begin, rows, used, state, shift, last_size, prior, ln, xlnx, entropies):
    """Reads data[begin:] and writes their entropies; stops early where the tables should grow. Returns where.

    rows [2, M, 32]; used [2] counts their taken rows; state = (bytes seen, the last four bytes, the last
    three byte classes).
    """
    seen, last, classes = state[0], state[1], state[2]
    size = rows.shape[1]
    short, long = rows[0], rows[1]
    two = _find(short, last & 0xFFFF, shift)
    four = _find(long, last, shift)
    done = begin
    while done < len(data):
        if size < last_size and (2 * used[0] > size or 2 * used[1] > size):
            break
        byte = np.int64(data[done])
        if seen >= 2:
            if two >= 0:
                _count(short[two], byte, xlnx)
            else:
                used[0] += _insert(short, last & 0xFFFF, byte, shift)
        if seen >= 4:
            if four >= 0:
                _count(long[four], byte, xlnx)
            else:
                used[1] += _insert(long, last, byte, shift)
        seen += 1
        last = (last << 8 | byte) & 0xFFFFFFFF
        classes = (classes << 8 | (0x80 if byte & 0xC0 == 0x80 else byte)) & 0xFFFFFF
        steps = prior[1, np.int64((np.uint64(classes) * np.uint64(HASH)) >> np.uint64(64 - BITS))]
        entropy = np.int64(steps if steps != UNKNOWN else prior[0, classes & 0xFFFF]) * STEP
        two = four = -1
        if seen >= 2:
            two = _find(short, last & 0xFFFF, shift)
            if two >= 0:
                entropy = _entropy(short[two], entropy, ln, xlnx)
            if seen >= 4:
                four = _find(long, last, shift)
                if four >= 0:
                    entropy = _entropy(long[four], entropy, ln, xlnx)
        entropies[done] = min(entropy, ln[256]) / 65536.0
        done += 1
    state[0], state[1], state[2] = seen, last, classes
    return done


@njit(cache=True, nogil=True, error_model="numpy")
def _rehash(rows, larger, shift):
    """Moves all contexts into `larger`; a bucket of two becomes several, so that each finds room."""
    for order in range(rows.shape[0]):
        for at in range(rows.shape[1]):
            row = rows[order, at]
            if row[2] != 0:
                to = _bucket(np.int64(row[1]) << 16 | np.int64(row[0]), shift)
                larger[order, to if larger[order, to, 2] == 0 else to + 1] = row


class LightStream:
    """One source on its way through the light model."""

    def __init__(self, prior: np.ndarray) -> None:
        self._prior = prior
        self._bits = FIRST_BITS
        self._rows = np.zeros((len(ORDERS), 1 << self._bits, _ROW), np.uint16)
        self._used = np.zeros(len(ORDERS), np.int64)
        self._state = np.zeros(3, np.int64)

    def push(self, data: bytes) -> np.ndarray:
        """Entropies after each pushed byte, float32 [len(data)], nats in [0, ln 256], multiples of 2^-16."""
        raw = np.frombuffer(data, np.uint8)
        entropies = np.empty(len(raw), np.float32)
        done = 0
        while True:
            done = _advance(
                raw, done, self._rows, self._used, self._state, 64 - self._bits, 1 << LAST_BITS,
                self._prior, LN, XLNX, entropies,
            )  # fmt: skip
            if done == len(raw):
                return entropies
            self._bits += 2
            larger = np.zeros((len(ORDERS), 1 << self._bits, _ROW), np.uint16)
            _rehash(self._rows, larger, 64 - self._bits)
            self._rows = larger


class LightModel:
    """The default entropy model: no weights to fetch, above 10 MB/s on one core, the same on every machine.

    Args:
        prior: tables of `thesphere.patches.prior.count`; None: the shipped one. Other tables are another
            model.
    """

    def __init__(self, prior: np.ndarray | None = None) -> None:
        from zlib import crc32

        self._prior = tables() if prior is None else prior
        self._id = f"light-2-{crc32(self._prior.tobytes()):08x}"

    @property
    def id(self) -> str:
        """The version of the method and the checksum of the prior."""
        return self._id

    def stream(self) -> LightStream:
        """A fresh stream for one source."""
        return LightStream(self._prior)

    def entropies(self, data: bytes) -> np.ndarray:
        """float32 [T], nats: entry i is the uncertainty about byte i + 1 given bytes 0..i."""
        return self.stream().push(data)
