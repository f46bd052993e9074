"""What the encoders see of a text: patches of about a word, and the rows of hashed tables that each one sums.

A patch is a word (letters, digits and marks in a row; cut at camelCase and after 16 characters; one character
of Chinese or Japanese) with the symbols and blanks up to the next word, so that the patches of a text tile it.
Symbols before the first word make a patch without a word; a text of nothing but blanks has no patch.

Every patch names rows of one table with three regions:

- two of the *word* region: the whole word in lower case, hashed twice (a collision seldom meets both);
- one of the *symbol* region: the symbols that follow, repetitions once; row 0 stands for none;
- some of the *gram* region: the 3-, 4- and 5-grams of characters that begin in the patch, in lower case and
  without accents, word boundaries marked; of Chinese and Japanese, the pair and the triple that begin here.

Grams go on where a long word is cut into pieces, so every gram of a word belongs to exactly one patch. Bytes that
are not UTF-8 count as symbols. Hashes depend on nothing but the characters: never on platform or version, except
where a later Unicode gives a character below U+3100 its first meaning.
"""

import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

MOST_CHARACTERS = 16  # of a word in one patch
_UNSPACED = 5  # of Thai, Lao, Burmese and Khmer, where blanks divide sentences and not words
_TABLED = 0x3100  # characters below have their class and folding in a table
_BLANK, _SYMBOL, _LETTER, _UPPER, _SINGLE, _SILENT = range(6)
_MOST_SYMBOLS = 4
_BEGIN, _END = 1, 2  # marks of a word's boundaries; as characters they are blanks, so no word holds them
_MIX, _MIX_MORE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


class Rows(NamedTuple):
    """How many rows each region of the table has; the regions lie in this order."""

    words: int
    grams: int
    symbols: int

    @property
    def total(self) -> int:
        """Rows of the whole table."""
        return self.words + self.grams + self.symbols


class Patches(NamedTuple):
    """The patches of some texts, P in all.

    Attributes:
        begins: int64 [texts + 1], the first patch of each text and the end of the last.
        at: int64 [P], the first byte of each patch in the data; it goes on to the next one's or the text's end.
        size: uint8 [P], characters of its word: 0 to 16.
        word: int32 [P, 2], rows of the word region, below `Rows.words`.
        symbol: int32 [P], one row of the symbol region, counted from the first row of the table.
        gram_begins: int64 [P + 1], where each patch's part of `gram` begins.
        gram: int32 [G], rows of the gram region, counted from the first row of the table.
    """

    begins: np.ndarray
    at: np.ndarray
    size: np.ndarray
    word: np.ndarray
    symbol: np.ndarray
    gram_begins: np.ndarray
    gram: np.ndarray


def patches(data: np.ndarray, begins: np.ndarray, rows: Rows) -> Patches:
    """The patches of texts that lie one after the other.

    Args:
        data: uint8 [N], the bytes of all texts.
        begins: int64 [texts + 1], where each text begins, and N.
        rows: sizes of the regions, at least one row each.
    """
    given = np.ascontiguousarray(data, np.uint8)
    sizes = np.array(rows, np.uint64)
    n = len(given)
    at, size, word = np.empty(n, np.int64), np.empty(n, np.uint8), np.empty((n, 2), np.int32)
    symbol, gram_begins, gram = np.empty(n, np.int32), np.zeros(n + 1, np.int64), np.empty(3 * n, np.int32)
    text_begins = np.zeros(len(begins), np.int64)
    _read(
        given,
        np.asarray(begins, np.int64),
        sizes,
        _characters(),
        text_begins,
        at,
        size,
        word,
        symbol,
        gram_begins,
        gram,
    )
    count = text_begins[-1]
    return Patches(
        text_begins,
        at[:count].copy(),
        size[:count].copy(),
        word[:count].copy(),
        symbol[:count].copy(),
        gram_begins[: count + 1].copy(),
        gram[: gram_begins[count]].copy(),
    )


@cache
def _characters() -> np.ndarray:
    """int32 [_TABLED, 3]: class, lower case, and lower case without accents of each character."""
    made = np.zeros((_TABLED, 3), np.int32)
    for code in range(_TABLED):
        character = chr(code)
        category = unicodedata.category(character)
        lower = character.lower()
        lower = lower if len(lower) == 1 else character
        base = unicodedata.normalize("NFD", lower)[0]
        if category[0] == "Z" or category in ("Cc", "Cs", "Co"):
            kind = _BLANK
        elif category == "Cf" or 0x300 <= code < 0x370 or 0x64B <= code < 0x653 or code in (0x640, 0x670):
            kind = _SILENT  # joiners, soft hyphens, combining accents, Arabic vowel marks and stretching
        elif category == "Lu":
            kind = _UPPER
        elif 0x2E80 <= code < 0x2FE0 or code >= 0x3040:
            kind = _SINGLE
        elif category[0] in "LMN":
            kind = _LETTER
        else:
            kind = _SYMBOL
        made[code] = kind, ord(lower), ord(base)
    return made


@njit(cache=True, nogil=True)
def _single(code):
    """Whether a character above the table is written without blanks and means much by itself: CJK, kana."""
    return (
        0x3100 <= code < 0xA000
        or 0xF900 <= code < 0xFB00
        or 0xFF66 <= code < 0xFFA0
        or 0x20000 <= code < 0x40000
    )


@njit(cache=True, nogil=True)
def _unspaced(code):
    return 0xE00 <= code < 0xF00 or 0x1000 <= code < 0x10A0 or 0x1780 <= code < 0x1800


@njit(cache=True, nogil=True)
def _sign(code):
    """Whether a character above the table is a symbol: forms of punctuation, private ones, pictures."""
    return (
        0xD800 <= code < 0xF900
        or 0xFE00 <= code < 0xFE70
        or 0xFF00 <= code < 0xFF66
        or 0xFFE0 <= code < 0x10000
        or 0x1D000 <= code < 0x1E000
        or 0x1F000 <= code < 0x20000
        or code >= 0x40000
    )


@njit(cache=True, nogil=True)
def _row(h, rows):
    """A row below `rows` from the upper half of a mixed hash."""
    h = (h ^ (h >> _HALF)) * _MIX_MORE
    h ^= h >> _HALF
    return np.int32(((h & _LOW) * rows) >> _HALF)


@njit(cache=True, nogil=True)
def _decode(data, table, kind, lower, base, where):
    """Characters of `data` that are not silent, into the four arrays; returns how many. Ends with a blank."""
    n, count, p = len(data), 0, 0
    while p < n:
        first, begin = np.int32(data[p]), p
        code, more = first, 0
        if first >= 0xF0:
            code, more = first & 7, 3
        elif first >= 0xE0:
            code, more = first & 15, 2
        elif first >= 0xC0:
            code, more = first & 31, 1
        p += 1
        for _ in range(more):
            if p < n and data[p] & 0xC0 == 0x80:
                code = code << 6 | (data[p] & 63)
                p += 1
            else:
                more = -1  # cut short
                break
        small, plain = code, code
        if more < 0 or (more == 0 and first >= 0x80):
            which = _SYMBOL
            small = plain = 0x100 + first
        else:
            if 0xFF01 <= code < 0xFF5F:  # ASCII at full width
                code -= 0xFEE0
                small = plain = code
            if code < _TABLED:
                which, small, plain = table[code, 0], table[code, 1], table[code, 2]
            elif _single(code):
                which = _SINGLE
            else:
                which = _SYMBOL if _sign(code) else _LETTER
        if which != _SILENT:
            kind[count], lower[count], base[count], where[count] = which, small, plain, begin
            count += 1
    kind[count], where[count] = _BLANK, n
    return count


@njit(cache=True, nogil=True)
def _word_end(kind, i, count):
    """Where the word that begins at character i ends: at another class or, in camelCase, at the next word."""
    if kind[i] == _SINGLE:
        j = i + 1
        while j < count and kind[j] == _SINGLE:
            j += 1
        return j
    j = i + 1
    while j < count and (kind[j] == _LETTER or kind[j] == _UPPER):
        if kind[j] == _UPPER:
            if kind[j - 1] == _LETTER:
                return j
            # the last capital of several begins a word if at least two small letters follow: HTTP|Server, DNAs
            if j + 2 < count and kind[j + 1] == _LETTER and kind[j + 2] == _LETTER:
                return j
        j += 1
    return j


@njit(cache=True, nogil=True)
def _read(data, begins, sizes, table, text_begins, at, size, word, symbol, gram_begins, gram):
    """Fills the arrays of `Patches` for all texts."""
    first_gram, first_symbol = np.int32(sizes[0]), np.int32(sizes[0] + sizes[1])
    longest = 1
    for t in range(len(begins) - 1):
        longest = max(longest, begins[t + 1] - begins[t] + 1)
    kind, where = np.empty(longest, np.uint8), np.empty(longest, np.int64)
    lower, base = np.empty(longest, np.int32), np.empty(longest, np.int32)
    p, g = 0, 0
    for t in range(len(begins) - 1):
        text_first = p
        count = _decode(data[begins[t] : begins[t + 1]], table, kind, lower, base, where)
        i = 0
        while i < count:
            if kind[i] == _BLANK:
                i += 1
                continue
            if kind[i] == _SYMBOL:
                h, last, taken = np.uint64(0), -1, 0
                j = i
                while j < count and (kind[j] == _SYMBOL or kind[j] == _BLANK):
                    if kind[j] == _SYMBOL and lower[j] != last and taken < _MOST_SYMBOLS:
                        last = lower[j]
                        h = (h ^ np.uint64(last)) * _MIX
                        taken += 1
                    j += 1
                if p == text_first:
                    at[p], size[p] = begins[t], 0
                    word[p, 0] = word[p, 1] = 0
                    gram_begins[p + 1] = g
                    p += 1
                symbol[p - 1] = (
                    first_symbol + np.int32(1) + _row(h, sizes[2] - np.uint64(1))
                    if sizes[2] > 1
                    else first_symbol
                )
                i = j
                continue
            begin, end = i, _word_end(kind, i, count)
            alone = kind[i] == _SINGLE
            while i < end:  # pieces
                j = min(end, i + (1 if alone else _UNSPACED if _unspaced(lower[i]) else MOST_CHARACTERS))
                h = np.uint64(0)
                for c in range(i, j):
                    h = (h ^ np.uint64(lower[c])) * _MIX
                    h ^= h >> _HALF
                word[p, 0] = _row(h, sizes[0])
                word[p, 1] = _row(h ^ _MIX_MORE, sizes[0])
                symbol[p], size[p] = first_symbol, j - i
                at[p] = begins[t] if p == text_first else begins[t] + where[i]
                # a gram begins at each character of the piece, and at the mark before the word
                for c in range(i - 1 if i == begin and not alone else i, j):
                    h = np.uint64(0)
                    for length in range(1, 6):
                        place = c + length - 1
                        if alone and (place >= end or length > 3) or place > end:
                            break
                        code = _BEGIN if place < begin else _END if place == end else base[place]
                        h = (h ^ np.uint64(code)) * _MIX
                        h ^= h >> _HALF
                        if length > (1 if alone else 2):
                            gram[g] = first_gram + _row(h, sizes[1])
                            g += 1
                gram_begins[p + 1] = g
                p += 1
                i = j
        text_begins[t + 1] = p
