"""Text as evidence: words and character n-grams of any script, as 32-bit term ids.

Words are runs of letters, numbers and marks. An identifier counts as a whole and by its parts (split at `_`,
at camel case and between letters and digits); scripts written without spaces give overlapping character
bigrams; words of ASCII letters are reduced by the Porter stemmer. N-grams are character 2- and 4-grams of the
folded text that cross word borders. What was measured to choose this is in docs/decisions.md.

Terms are hashes: 32 bits keep a million distinct n-grams nearly free of collisions, and a collision is part of
the formula, the same for every document and query.
"""

import threading
import unicodedata
from functools import cache

import numpy as np
import Stemmer
from numba import njit

_BREAK, _LETTER, _UPPER, _DIGIT, _MARK, _UNDERSCORE, _UNSPACED, _SPACE = range(8)
KEPT = 1 << 20  # tokens whose stems are remembered; random letters would fill any table
_TABLE = 0x20000  # code points beyond are unspaced ideographs (planes 2 and 3) or breaks

# Scripts written without spaces between words: Thai, Lao, Myanmar, Khmer, kana, ideographs, Hangul.
_UNSPACED_RANGES = [
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1100, 0x11FF), (0x1780, 0x17FF), (0x2E80, 0x2FDF),
    (0x3005, 0x3007), (0x3040, 0x30FF), (0x3130, 0x318F), (0x31F0, 0x31FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0x1B000, 0x1B16F),
]  # fmt: skip


@cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """(kind uint8, folded code point uint32), one entry per code point below `_TABLE`."""
    by_category = {"Lu": _UPPER, "Lt": _UPPER, "L": _LETTER, "N": _DIGIT, "M": _MARK}
    kind = np.zeros(_TABLE, np.uint8)
    fold = np.arange(_TABLE, dtype=np.uint32)
    for point in range(_TABLE):
        char = chr(point)
        category = unicodedata.category(char)
        kind[point] = by_category.get(category, by_category.get(category[0], _BREAK))
        if kind[point] in (_UPPER, _LETTER):
            folded = char.casefold()
            fold[point] = ord(folded) if len(folded) == 1 else ord(char.lower()[0])
        elif char.isspace():
            kind[point] = _SPACE
    for low, high in _UNSPACED_RANGES:
        run = kind[low : high + 1]
        run[(run != _BREAK) & (run != _SPACE)] = _UNSPACED
    kind[ord("_")] = _UNDERSCORE
    return kind, fold


@njit(cache=True, nogil=True, inline="always")
def _add(h, value):
    """One step of a multiply-xor hash; the pair (_add, _finish) mixes well enough for term ids."""
    h = (h ^ np.uint64(value)) * np.uint64(0x9E3779B97F4A7C15)
    return h ^ (h >> np.uint64(29))


@njit(cache=True, nogil=True, inline="always")
def _finish(h):
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return h ^ (h >> np.uint64(32))


@njit(cache=True, nogil=True)
def _token(points, start, end, fold, known, stems):
    """(hash of the folded token, True if it waits for the stemmer). Underscores count only inside a whole."""
    ascii_letters = True
    letters = end - start
    h = np.uint64(0x243F6A8885A308D3)
    for i in range(start, end):
        point = points[i]
        if point >= _TABLE:
            ascii_letters = False
        elif point == 0xDF or point == 0x1E9E:  # sharp s folds to two letters
            h = _add(h, 115)
            point = np.uint32(115)
            letters += 1
        else:
            point = fold[point]
            if point < 97 or point > 122:
                ascii_letters = False
        h = _add(h, point)
    h = _finish(h)
    if not ascii_letters or letters < 3:
        return h, False
    mask = len(known) - 1
    slot = np.int64(h & np.uint64(mask))
    while known[slot] != 0:
        if known[slot] == h:
            value = stems[slot]
            return (value, False) if value != 0 else (h, True)
        slot = (slot + 1) & mask
    return h, True


@njit(cache=True, nogil=True, inline="always")
def _kind_at(points, i, kind):
    """The kind of code point i; a break behind the last."""
    if i >= len(points):
        return _BREAK
    point = points[i]
    if point < _TABLE:
        return np.int64(kind[point])
    return _UNSPACED if point < 0x40000 else _BREAK


@njit(cache=True, nogil=True)
def _emit(points, start, end, fold, known, stems, out, starts, ends, waiting, counts):
    """Append the token [start, end); counts are (terms, terms that wait for the stemmer)."""
    h, wait = _token(points, start, end, fold, known, stems)
    count = counts[0]
    out[count] = h
    starts[count] = start
    ends[count] = end
    counts[0] = count + 1
    if wait:
        waiting[counts[1]] = count
        counts[1] += 1


@njit(cache=True, nogil=True)
def _words(points, kind, fold, known, stems, out, starts, ends, waiting):
    """Fill `out` with term hashes and `starts`, `ends` with code point spans.

    Returns (number of terms, number of them that wait for the stemmer; their indices are in `waiting`).
    """
    n = len(points)
    counts = np.zeros(2, np.int64)
    i = 0
    while i < n:
        k = _kind_at(points, i, kind)
        if k == _BREAK or k == _SPACE:
            i += 1
            continue
        start = i
        if k == _UNSPACED:
            while _kind_at(points, i, kind) == _UNSPACED:
                i += 1
            width = min(2, i - start)
            for j in range(start, i - width + 1):
                _emit(points, j, j + width, fold, known, stems, out, starts, ends, waiting, counts)
            continue
        # a run of word characters: its parts first, then the whole if it has more than one part
        part = capital = start
        parts = 0
        previous = _UNDERSCORE  # nothing to split from
        while True:
            k = _kind_at(points, i, kind)
            inside = k != _BREAK and k != _SPACE and k != _UNSPACED
            cut = not inside or k == _UNDERSCORE
            if not cut and previous != _UNDERSCORE:
                if k == _DIGIT:
                    cut = previous != _DIGIT
                elif previous == _DIGIT and k != _MARK:
                    cut = True
                elif k == _UPPER:
                    cut = previous == _LETTER
                elif k == _LETTER and previous == _UPPER and capital > part:
                    # "HTTPResponse": the last capital opens the next part
                    _emit(points, part, capital, fold, known, stems, out, starts, ends, waiting, counts)
                    parts += 1
                    part = capital
            if cut and i > part and previous != _UNDERSCORE:
                _emit(points, part, i, fold, known, stems, out, starts, ends, waiting, counts)
                parts += 1
                part = i
            if not inside:
                break
            if k == _UNDERSCORE:
                part = i + 1
            if k == _UPPER:
                capital = i
            if k != _MARK:
                previous = k
            elif previous == _UNDERSCORE:
                previous = _LETTER
            i += 1
        if parts > 1:
            _emit(points, start, i, fold, known, stems, out, starts, ends, waiting, counts)
    return counts[0], counts[1]


@njit(cache=True, nogil=True)
def _grams(points, kind, out):
    """2- and 4-gram term ids of folded text: white space collapsed, one space at each end. Returns their
    number."""
    n = len(points)
    text = np.empty(n + 2, np.uint32)
    text[0] = 32
    m = 1
    for i in range(n):
        point = points[i]
        if point < _TABLE and kind[point] == _SPACE:
            point = np.uint32(32)
            if text[m - 1] == 32:
                continue
        text[m] = point
        m += 1
    if text[m - 1] != 32:
        text[m] = 32
        m += 1
    if m < 3:
        return 0  # nothing but white space
    count = 0
    for i in range(m - 1):
        h = _add(_add(np.uint64(2), text[i]), text[i + 1])
        out[count] = np.uint32(_finish(h) >> np.uint64(32))
        count += 1
        if i + 3 < m:
            h = _add(_add(_add(h ^ np.uint64(6), text[i + 2]), text[i + 3]), np.uint64(4))
            out[count] = np.uint32(_finish(h) >> np.uint64(32))
            count += 1
    return count


class _Stems:
    """Token hash -> hash of its Porter stem, filled as tokens are met; shared by all threads.

    Kernels read it without a lock: a value is written before its key, and a value of 0 means "not yet".
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stemmer = Stemmer.Stemmer("porter", 0)
        self._used = 0
        self.table = np.zeros(1 << 16, np.uint64), np.zeros(1 << 16, np.uint64)  # hashes, their stems'

    def learn(self, token: int, points: np.ndarray, fold: np.ndarray) -> np.uint64:
        """The stem's hash of the token with this hash and these code points."""
        with self._lock:
            word = "".join(map(chr, fold[points])).replace("ß", "ss")
            stem = np.frombuffer(self._stemmer.stemWord(word).encode("utf-32-le"), np.uint32)
            nothing = np.zeros(1, np.uint64)
            value, _ = _token(stem, 0, len(stem), fold, nothing, nothing)
            if self._used < KEPT:
                if self._used * 2 > len(self.table[0]):
                    self._grow()
                self._put(*self.table, token, value)
                self._used += 1
            return value

    @staticmethod
    def _put(known: np.ndarray, stems: np.ndarray, token: int, value) -> None:
        slot = token & (len(known) - 1)
        while known[slot] and int(known[slot]) != token:
            slot = (slot + 1) & (len(known) - 1)
        stems[slot] = value
        known[slot] = token

    def _grow(self) -> None:
        size = 2 * len(self.table[0])
        known, stems = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
        slots = np.flatnonzero(self.table[0])
        for slot in slots:
            self._put(known, stems, int(self.table[0][slot]), self.table[1][slot])
        self._used = len(slots)
        self.table = known, stems  # both at once: another thread may be about to read them


@cache
def _stems() -> _Stems:
    return _Stems()


def _points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def words(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Word terms of `text` in order.

    Returns:
        terms uint32 [n] and the spans starts, ends int32 [n] in characters of NFKC(text).
    """
    kind, fold = _tables()
    cache_ = _stems()
    points = _points(unicodedata.normalize("NFKC", text))
    room = 2 * len(points) + 2
    out, waiting = np.empty(room, np.uint64), np.empty(room, np.int32)
    starts, ends = np.empty(room, np.int32), np.empty(room, np.int32)
    known, stems = cache_.table
    count, waits = _words(points, kind, fold, known, stems, out, starts, ends, waiting)
    for index in waiting[:waits]:
        out[index] = cache_.learn(int(out[index]), points[starts[index] : ends[index]], fold)
    return (out[:count] >> np.uint64(32)).astype(np.uint32), starts[:count], ends[:count]


def grams(text: str) -> np.ndarray:
    """Character 2- and 4-gram terms of `text`, uint32 [n], with repeats; NFKC, case-folded, white space
    collapsed."""
    kind, _ = _tables()
    points = _points(unicodedata.normalize("NFKC", text).casefold())
    out = np.empty(2 * len(points) + 4, np.uint32)
    return out[: _grams(points, kind, out)]


def inner_grams(text: str) -> np.ndarray:
    """The 4-grams of `grams` that lie wholly inside `text`, uint32: those that a longer text around it has too.
    `text` is folded and holds no white space."""
    every = grams(text)
    # 2- and 4-grams alternate, from the padding before the text on; the last 2-grams stand alone
    return every[3 : 2 * (len(text) - 3) + 2 : 2]
