"""Training texts as encoders see them: every distinct word once, and which of them each patch has.

Words repeat: a batch of 200,000 patches has about 25,000 distinct ones, so their rows are summed once and their
gradients too. What a batch needs is then picked on the device (train/encoder.py).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from thesphere.nn.grams import MOST_CHARACTERS, Rows, patches
from thesphere.runtime.threads import workers

MOST_GRAMS = (
    3 * MOST_CHARACTERS + 4
)  # of one patch: three for each character and for the mark before it, rounded up
_SLICE = 4_000_000  # bytes of texts that one thread reads at a time
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class Library:
    """Texts, read.

    Attributes:
        begins: int64 [texts + 1], the first patch of each text.
        distinct: int32 [P], the distinct word of each patch.
        symbol: int32 [P], the row of its symbols.
        word: int32 [V, 2], rows of each distinct word.
        gram: int32 [V, MOST_GRAMS], rows of its grams; -1 where there are fewer.
        size: int32 [V], its characters.
        rarity: uint8 [rows.words], the shell hint of each row of the word region.
        hint: int32 [V], the shell hint of each distinct word.
    """

    begins: np.ndarray
    distinct: np.ndarray
    symbol: np.ndarray
    word: np.ndarray
    gram: np.ndarray
    size: np.ndarray
    rarity: np.ndarray
    hint: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Patches of each text."""
        return np.diff(self.begins)


def read_library(
    data: np.ndarray, begins: np.ndarray, rows: Rows, shells: int, counted: slice = slice(None), rarity=None
) -> Library:
    """Reads texts on all cores.

    Args:
        data: uint8 [N], texts one after the other.
        begins: int64 [texts + 1], where each begins, and N.
        rows: of the table.
        shells: how many there are.
        counted: the texts in which rarity is counted.
        rarity: given: is used instead of counting.
    """
    cuts = np.unique(np.searchsorted(begins, np.arange(0, begins[-1], _SLICE)))
    cuts = np.unique(np.append(cuts, len(begins) - 1))
    cuts = cuts if cuts[0] == 0 else np.append(0, cuts)

    def read(piece: tuple[int, int]):
        first, last = piece
        here = begins[first : last + 1]
        found = patches(data[here[0] : here[-1]], here - here[0], rows)
        keys = _keys(found.word, found.gram_begins, found.gram)
        names, at, inverse = np.unique(keys, return_index=True, return_inverse=True)
        gram = _padded(at, found.gram_begins, found.gram)
        lengths = np.diff(found.begins)
        return names, found.word[at], gram, found.size[at], inverse.astype(np.int32), found.symbol, lengths

    with ThreadPoolExecutor(workers()) as pool:
        pieces = list(pool.map(read, zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)))
    names, word, gram, size, inverse, symbol, lengths = zip(*pieces, strict=True)
    _, at, whole = np.unique(np.concatenate(names), return_index=True, return_inverse=True)
    ends = np.cumsum([len(some) for some in names])
    distinct = np.concatenate(
        [
            whole[end - len(some) : end].astype(np.int32)[i]
            for end, some, i in zip(ends, names, inverse, strict=True)
        ]
    )
    text_begins = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    word = np.concatenate(word)[at]
    if rarity is None:
        first, last, _ = counted.indices(len(begins) - 1)
        seen = distinct[text_begins[first] : text_begins[last]]
        rarity = shell_hints(word, np.bincount(seen, minlength=len(word)), rows.words, shells)
    return Library(
        text_begins,
        distinct,
        np.concatenate(symbol),
        word,
        np.concatenate(gram)[at],
        np.concatenate(size)[at].astype(np.int32),
        rarity,
        rarity[word].max(1).astype(np.int32),
    )


def shell_hints(word: np.ndarray, counts: np.ndarray, rows: int, shells: int) -> np.ndarray:
    """The shell of each row of the word region, uint8 [rows]: the share of patches whose words are more frequent.

    A word is as frequent as the rarer of its two rows (a count-min sketch), so its hint is the larger of theirs.

    Args:
        word: int32 [V, 2].
        counts: [V], how often each distinct word occurs.
    """
    of_row = np.bincount(word.ravel(), np.repeat(counts, 2), rows)
    least = of_row[word].min(1)
    order = np.argsort(least, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(counts[order])])  # patches of the so many rarest words
    rarer_or_same = below[np.searchsorted(least[order], of_row, "right")]
    share = 1 - rarer_or_same / max(below[-1], 1)
    return np.clip((share * shells).astype(np.int64), 0, shells - 1).astype(np.uint8)


@njit(cache=True, nogil=True)
def _keys(word, gram_begins, gram):
    """A 64-bit name of each patch's rows."""
    out = np.empty(len(word), np.uint64)
    for p in range(len(word)):
        h = np.uint64(word[p, 0]) << _HALF | np.uint64(word[p, 1])
        for g in range(gram_begins[p], gram_begins[p + 1]):
            h = (h ^ np.uint64(gram[g])) * _MIX
            h ^= h >> _HALF
        out[p] = h * _MIX
    return out


@njit(cache=True, nogil=True)
def _padded(at, gram_begins, gram):
    """The grams of the patches `at`, [len(at), MOST_GRAMS], -1 behind them."""
    out = np.full((len(at), MOST_GRAMS), -1, np.int32)
    for i in range(len(at)):
        begin = gram_begins[at[i]]
        for g in range(gram_begins[at[i] + 1] - begin):
            out[i, g] = gram[begin + g]
    return out
