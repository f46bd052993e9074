"""From bytes to patches and passages, as a stream: what is decided is given out, the rest waits.

A passage is a run of whole patches of at most `passage_bytes`, closed at the strongest boundary in its second
half: the end of a paragraph before that of a line, a sentence, a word; among equals where a patch starts,
then where the model was most uncertain, then the last. A passage never ends inside a UTF-8 character. Patches
may start inside one (the entropy model sees bytes) and the model need not be surprised where a line or
sentence begins: a passage that closes there cuts the patch in two, as `max_patch_length` would, so that
passages consist of whole patches. That adds at most one patch per passage; in arbitrary bytes (`text=False`)
it happens only where no patch starts in reach.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from thesphere.errors import InputError
from thesphere.patches.boundaries import Rule, calibrated
from thesphere.patches.entropy import EntropyModel

SLICE_BYTES = 1 << 16
"""A source is worked off in slices of 64 KiB, however it is pushed; the first calibrates the threshold."""


@dataclass(frozen=True)
class Cut:
    """Patches and passages decided by one call, in the order of the bytes; all arrays may be empty.

    Attributes:
        passage_lengths: int32 [n], bytes.
        passage_entropies: float32 [n], nats, mean over the passage's bytes.
        patch_lengths: uint16 [m], bytes.
        patch_entropies: float32 [m], nats, mean over the patch's bytes.
        patches_per_passage: int32 [n], sums to m.
    """

    passage_lengths: np.ndarray
    passage_entropies: np.ndarray
    patch_lengths: np.ndarray
    patch_entropies: np.ndarray
    patches_per_passage: np.ndarray

    def __len__(self) -> int:
        return len(self.passage_lengths)


def joined(cuts: list[Cut]) -> Cut:
    """The cuts one after the other."""
    if len(cuts) == 1:
        return cuts[0]
    empty = Cut(*(np.empty(0, t) for t in (np.int32, np.float32, np.uint16, np.float32, np.int32)))
    return Cut(
        *(np.concatenate([getattr(c, name) for c in [empty, *cuts]]) for name in Cut.__dataclass_fields__)
    )


@njit(cache=True, nogil=True)
def _inside_character(data, p):
    """Whether data[p - 1] and data[p] belong to one UTF-8 character."""
    if data[p] & 0xC0 != 0x80:
        return False
    for back in range(1, min(4, p + 1)):
        byte = data[p - back]
        if byte & 0xC0 != 0x80:
            return (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0) >= back
    return False


@njit(cache=True, nogil=True)
def _ending(data, p):
    """What ends at p >= 3: 5 paragraph, 4 line, 3 sentence, 2 word, 1 nothing; 0 inside CR LF."""
    last, before, third = data[p - 1], data[p - 2], data[p - 3]
    if last == 10:
        above = p - 2
        while above >= 0 and (data[above] == 32 or data[above] == 9 or data[above] == 13):
            above -= 1
        return 5 if above >= 0 and data[above] == 10 else 4
    if last == 13:
        return 0 if data[p] == 10 else 4
    if data[p] == 32 or data[p] == 9:  # the blank belongs to what it follows
        return 1
    if last == 32 or last == 9:
        stop = third if before == 34 or before == 39 or before == 41 else before  # behind a quote or bracket
        return 3 if stop == 46 or stop == 33 or stop == 63 else 2
    if third == 0xE3 and before == 0x80 and last == 0x82:  # ideographic full stop
        return 3
    if third == 0xEF and before == 0xBC and (last == 0x81 or last == 0x9F):  # full-width ! and ?
        return 3
    return 1


@njit(cache=True, nogil=True)
def _cut(data, entropies, marks, longest, most, text, final, lengths, means, per_passage, sizes, averages):
    """Cuts all passages that are decided in data[0:n]; returns (bytes, patches, passages) used.

    marks[p] says that a patch starts at p (p = n included: whether one starts right behind the data). A
    decision is made when it cannot depend on bytes to come: `most` bytes and a quarter more are there, or no
    more will come.
    """
    n = len(data)
    tail = most // 4
    start = patches = passages = 0
    while start < n:
        rest = n - start
        if rest < most + tail and not final:
            break
        end = n
        if rest > most:
            high = (
                min(most, rest - tail) if rest < most + tail else most
            )  # leave no crumb as the last passage
            end = -1
            best = -1.0
            opened = start
            for p in range(start + 1, start + high + 1):
                patch = marks[p] or p - opened == longest
                if patch:
                    opened = p
                if p < start + most // 2 or (text and _inside_character(data, p)):
                    continue
                rank = min(entropies[p - 1], 7.0) + 8.0 * patch
                if text:
                    rank += 16.0 * _ending(data, p)
                if rank >= best:
                    best = rank
                    end = p
        first = patches
        opened = start
        whole = 0.0
        part = 0.0
        for p in range(start, end):
            part += entropies[p]
            length = p + 1 - opened
            if p + 1 == end or marks[p + 1] or length == longest:
                lengths[patches] = length
                means[patches] = part / length
                whole += part
                part = 0.0
                patches += 1
                opened = p + 1
        per_passage[passages] = patches - first
        sizes[passages] = end - start
        averages[passages] = whole / (end - start)
        passages += 1
        start = end
    return start, patches, passages


class Cutter:
    """Cuts one source. `push` its bytes in any chunks, then `finish`: the cuts tile the bytes, whatever the
    chunks.

    Args:
        model: the entropy model; boundaries are a function of the bytes and of `model.id`, plus these
            settings.
        rule: a boundary rule in nats. None: a global threshold whose mean patch length over the first 64 KiB
            (or over all, if shorter) is `target_patch_bytes`; nothing is given out before that much is known.
        target_patch_bytes: 8 suits the light model; only read when `rule` is None.
        max_patch_length: longer patches are split, 1..65535.
        passage_bytes: the most bytes of a passage, at least 8.
        text: the bytes are UTF-8; False: arbitrary bytes, no character to keep whole, no line to prefer.

    Patch starts are those of `byte_starts` (the source stands behind a BOS), then split at
    `max_patch_length`. A passage begins a patch anew.
    """

    def __init__(
        self,
        model: EntropyModel,
        rule: Rule | None = None,
        target_patch_bytes: float = 8,
        max_patch_length: int = 384,
        passage_bytes: int = 512,
        text: bool = True,
    ) -> None:
        if not 1 <= max_patch_length <= 65535:
            raise InputError(f"max_patch_length lies in 1..65535, got {max_patch_length}")
        if passage_bytes < 8:
            raise InputError(f"passage_bytes is at least 8, got {passage_bytes}")
        if not target_patch_bytes >= 1:
            raise InputError(f"target_patch_bytes is at least 1, got {target_patch_bytes}")
        self.rule = rule
        self.target_patch_bytes = target_patch_bytes
        self.max_patch_length = max_patch_length
        self.passage_bytes = passage_bytes
        self.text = text
        self._stream = model.stream()
        self._pending: list[bytes] = []  # pushed, not yet a slice
        self._pending_bytes = 0
        self._data = np.empty(0, np.uint8)  # of the passages not yet closed
        self._entropies = np.empty(0, np.float32)
        self._marks = np.ones(1, np.bool_)  # one longer than the data; byte 0 starts a patch
        self._judged = 0  # entropies that the rule has seen, over the whole source
        self._before: float | None = None  # the last of them
        self._finished = False

    def push(self, data: bytes) -> Cut:
        """Takes more bytes; gives what is decided."""
        if self._finished:
            raise InputError("the cutter has finished its source: make a new one for the next")
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes < SLICE_BYTES:
            return joined([])
        whole = memoryview(b"".join(self._pending))
        cuts = []
        for at in range(0, len(whole) - SLICE_BYTES + 1, SLICE_BYTES):
            self._take(bytes(whole[at : at + SLICE_BYTES]))
            cuts.append(self._decide(final=False))
        self._pending = [bytes(whole[len(cuts) * SLICE_BYTES :])]
        self._pending_bytes = len(self._pending[0])
        return joined(cuts)

    def finish(self) -> Cut:
        """No more bytes will come; gives the rest."""
        if self._finished:
            raise InputError("the cutter has finished its source already")
        self._finished = True
        self._take(b"".join(self._pending))
        return self._decide(final=True)

    def _take(self, data: bytes) -> None:
        """One slice through the model and the rule."""
        if not data:
            return
        entropies = self._stream.push(data)
        if len(entropies) != len(data) or not (np.isfinite(entropies) & (entropies >= 0)).all():
            raise InputError("an entropy model gives one finite number of nats, 0 or more, for every byte")
        if self.rule is None:
            self.rule = calibrated(entropies, self.target_patch_bytes)
        judged = entropies.astype(np.float64)
        mask = self.rule.mask(judged, self._judged, self._before)
        self._judged += len(data)
        self._before = float(judged[-1])
        self._data = np.concatenate([self._data, np.frombuffer(data, np.uint8)])
        self._entropies = np.concatenate([self._entropies, entropies])
        self._marks = np.concatenate([self._marks, mask])

    def _decide(self, final: bool) -> Cut:
        n = len(self._data)
        lengths, means = np.empty(n, np.uint16), np.empty(n, np.float32)
        per_passage, sizes, averages = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.float32)
        used, patches, passages = _cut(
            self._data, self._entropies, self._marks, self.max_patch_length, self.passage_bytes,
            self.text, final, lengths, means, per_passage, sizes, averages,
        )  # fmt: skip
        self._data, self._entropies = self._data[used:], self._entropies[used:]
        self._marks = self._marks[used:]
        return Cut(
            sizes[:passages].copy(),
            averages[:passages].copy(),
            lengths[:patches].copy(),
            means[:patches].copy(),
            per_passage[:passages].copy(),
        )
