"""What the byte models are told about each position: contexts known from training, contexts seen in the text.

*Known* contexts: the last 2 to 6 bytes, the word so far, and the word so far after the previous word. Each has
a table of the contexts that were frequent in training, kept by a 32-bit hash; any other context is number 0,
"unknown". So a context that was never trained on says nothing, instead of something about another one.

*Seen* contexts: the last 2, 3, 4, 6 and 10 bytes and the word pair, remembered as the text goes by. A slot
holds the byte that is expected next, how often in a row it came, the runner-up and how often the slot was
wrong: the run map of context-mixing compressors (Mahoney's PAQ), here the input of a network. Slots are
direct-mapped with a 32-bit check: a context that meets another one's slot takes it over. All of this is
integer arithmetic, the same on every machine.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from thesphere.errors import InputError

ORDERS = (2, 3, 4, 5, 6)  # then the word and the word pair
KNOWN = len(ORDERS) + 2
SEEN_ORDERS = (2, 3, 4, 6, 10)  # then the word pair
SEEN = len(SEEN_ORDERS) + 1
STATES = 8  # of a seen context: unseen, right 1, 2, 3-5, 6+ times, or sometimes wrong and 1, 2-4, 5+ since
SEEN_BITS = 18  # log2 of the slots of one seen order
LOOKUP_BITS = 16  # log2 of the places in which the known contexts of one table are looked up
MOST_ROWS = 1 << LOOKUP_BITS - 1  # contexts of one table: half of the places stay free, so that a search ends

_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORD = np.uint64(0xD6E8FEB86659FD93)
_KNOWN_MASKS = np.array([(1 << 8 * n) - 1 for n in ORDERS], np.uint64)


class Lookup(NamedTuple):
    """Where known contexts are found: open addressing by the low bits of their 32-bit names.

    Attributes:
        places: uint32 [KNOWN, 2 ** LOOKUP_BITS], the names; 0: free.
        numbers: uint16 of the same shape, the row of each context in its table, from 1.
    """

    places: np.ndarray
    numbers: np.ndarray


def lookup_of(keys: np.ndarray, begins: np.ndarray) -> Lookup:
    """The lookup of `keys` [N] uint32; those of table t are keys[begins[t]:begins[t + 1]].

    Raises:
        InputError: `begins` does not divide the keys into KNOWN tables of at most MOST_ROWS.
    """
    rows = np.diff(begins)
    if len(rows) != KNOWN or begins[0] != 0 or begins[-1] != len(keys):
        raise InputError(f"{len(keys)} contexts are not divided into {KNOWN} tables by {begins.tolist()}")
    if rows.min() < 0 or rows.max() > MOST_ROWS:
        raise InputError(f"tables hold {rows.tolist()} contexts: 0 to {MOST_ROWS} each are possible")
    return Lookup(*_place(keys, begins))


@njit(cache=True, nogil=True)
def _place(keys, begins):
    size = 1 << LOOKUP_BITS
    places = np.zeros((KNOWN, size), np.uint32)
    numbers = np.zeros((KNOWN, size), np.uint16)
    for which in range(KNOWN):
        for at in range(begins[which], begins[which + 1]):
            slot = np.int64(keys[at]) & (size - 1)
            while places[which, slot] != 0:
                slot = (slot + 1) & (size - 1)
            places[which, slot] = keys[at]
            numbers[which, slot] = at - begins[which] + 1
    return places, numbers


@njit(cache=True, nogil=True, inline="always")
def _step(state, byte):
    """Takes a byte into the state [4]: the last 8 bytes, the 8 before, the word so far, the previous word."""
    letter = byte >= 128 or (byte | 32) - 97 < 26 and (byte | 32) >= 97
    state[1] = state[1] << np.uint64(8) | state[0] >> np.uint64(56)
    state[0] = state[0] << np.uint64(8) | np.uint64(byte)
    if letter:
        state[2] = (state[2] + np.uint64(byte) + np.uint64(1)) * _WORD
    elif state[2] != 0:
        state[3] = state[2]
        state[2] = np.uint64(0)


@njit(cache=True, nogil=True, inline="always")
def _hash(value, salt):
    mixed = (value ^ salt) * _MIX
    return (mixed ^ mixed >> np.uint64(29)) * _WORD


@njit(cache=True, nogil=True, inline="always")
def _key(state, which):
    """The 32-bit name, never 0, of known context `which`."""
    if which < len(ORDERS):
        value = state[0] & _KNOWN_MASKS[which]
    elif which == len(ORDERS):
        value = state[2] ^ (state[0] & np.uint64(255))
    else:
        value = state[3] * np.uint64(3) + (state[2] ^ (state[0] & np.uint64(255)))
    name = _hash(value, np.uint64(which + 1)) >> np.uint64(32)
    return name if name != 0 else np.uint64(1)


def names(data: np.ndarray, every: int) -> np.ndarray:
    """uint32 [len(data) // every, KNOWN]: the names of the known contexts after every `every`-th byte."""
    out = np.zeros((len(data) // every, KNOWN), np.uint32)
    _names(data, every, out)
    return out


@njit(cache=True, nogil=True)
def _names(data, every, out):
    state = np.zeros(4, np.uint64)
    for at in range(len(data)):
        _step(state, np.int64(data[at]))
        if at % every == 0 and at // every < len(out):
            for which in range(KNOWN):
                out[at // every, which] = _key(state, which)


@njit(cache=True, nogil=True, inline="always")
def _expected(slot, check):
    """(state, expected byte, runner-up) of a slot.

    A slot is check << 32 | wrong << 24 | runner-up << 16 | count << 8 | expected byte.
    """
    if slot >> np.uint64(32) != check or slot & np.uint64(0xFF00) == 0:
        return 0, 0, 0
    count = np.int64(slot >> np.uint64(8) & np.uint64(255))
    wrong = np.int64(slot >> np.uint64(24) & np.uint64(255))
    if wrong == 0:
        kind = 1 if count == 1 else 2 if count == 2 else 3 if count < 6 else 4
    else:
        kind = 5 if count == 1 else 6 if count < 5 else 7
    return kind, np.int64(slot & np.uint64(255)), np.int64(slot >> np.uint64(16) & np.uint64(255))


@njit(cache=True, nogil=True, inline="always")
def _learn(slot, check, byte):
    """The slot after its context was followed by `byte`."""
    count = slot >> np.uint64(8) & np.uint64(255)
    if slot >> np.uint64(32) != check or count == 0:
        return check << np.uint64(32) | np.uint64(1 << 8) | byte
    first = slot & np.uint64(255)
    second = slot >> np.uint64(16) & np.uint64(255)
    wrong = slot >> np.uint64(24) & np.uint64(255)
    if byte == first:
        count = min(count + np.uint64(1), np.uint64(15))
    else:
        wrong = min(wrong + np.uint64(1), np.uint64(3))
        if byte != second and count >= 3:
            count = count >> np.uint64(1)
            second = byte
        else:
            second = first
            first = byte
            count = np.uint64(1)
    return (
        check << np.uint64(32)
        | wrong << np.uint64(24)
        | second << np.uint64(16)
        | count << np.uint64(8)
        | first
    )


@njit(cache=True, nogil=True, inline="always")
def _seen_value(state, which):
    """What identifies seen context `which`."""
    last = state[0]
    if which == 0:
        return last & np.uint64(0xFFFF)
    if which == 1:
        return last & np.uint64(0xFFFFFF)
    if which == 2:
        return last & np.uint64(0xFFFFFFFF)
    if which == 3:
        return last & np.uint64(0xFFFFFFFFFFFF)
    if which == 4:
        return last ^ (state[1] & np.uint64(0xFFFF)) * _WORD
    return state[3] * np.uint64(3) + (state[2] ^ (last & np.uint64(255)))


@njit(cache=True, nogil=True)
def _describe(data, state, slots, at_slots, shift, places, numbers, known, expected, second):
    """`Reader.read`; at_slots [SEEN] are the slots of the last position, still without their successor."""
    last_place = places.shape[1] - 1
    checks = np.zeros(SEEN, np.uint64)
    for which in range(SEEN):
        if at_slots[which] >= 0:
            checks[which] = slots[which, at_slots[which]] >> np.uint64(32)
    for at in range(len(data)):
        byte = np.int64(data[at])
        for which in range(SEEN):
            here = at_slots[which]
            if here >= 0:
                slots[which, here] = _learn(slots[which, here], checks[which], np.uint64(byte))
        _step(state, byte)
        for which in range(KNOWN):
            name = _key(state, which)
            place = np.int64(name) & last_place
            while places[which, place] != 0 and places[which, place] != name:
                place = (place + 1) & last_place
            known[at, which] = numbers[which, place]
        for which in range(SEEN):
            mixed = _hash(_seen_value(state, which), np.uint64(which + 33))
            here = np.int64((mixed & np.uint64(0xFFFFFFFF)) >> np.uint64(shift))
            check = mixed >> np.uint64(32)
            checks[which] = check
            at_slots[which] = here
            if slots[which, here] >> np.uint64(32) != check:  # taken over, nothing known yet
                slots[which, here] = check << np.uint64(32)
            kind, first, runner_up = _expected(slots[which, here], check)
            expected[at, which] = kind << 8 | first
            second[at, which] = runner_up


class Reader:
    """One text on its way: what is told about a position depends on the bytes up to it, however they are cut.

    Args:
        lookup: of the known contexts.
        bits: log2 of the slots of one seen order, up to 32. 8 bytes a slot, touched as the text needs them.
    """

    def __init__(self, lookup: Lookup, bits: int = SEEN_BITS) -> None:
        self._lookup, self._shift = lookup, 32 - bits
        self._state = np.zeros(4, np.uint64)
        self._slots = np.zeros((SEEN, 1 << bits), np.uint64)
        self._at = np.full(SEEN, -1)

    def read(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is told after each byte of `data`, uint8 [T].

        Returns:
            known, uint16 [T, KNOWN]: rows of the known contexts in their tables, 0: unknown; expected, uint16
            [T, SEEN]: state << 8 | expected byte; second, uint8 [T, SEEN]: the runner-up, 0: none.
        """
        known, expected = np.empty((len(data), KNOWN), np.uint16), np.empty((len(data), SEEN), np.uint16)
        second = np.empty((len(data), SEEN), np.uint8)
        _describe(
            data, self._state, self._slots, self._at, self._shift, *self._lookup, known, expected, second
        )
        return known, expected, second
