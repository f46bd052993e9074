"""The light model against a slow one written from its description, and the laws of streams."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.patches import prior
from thesphere.patches.entropy import EntropyModel, EntropyStream
from thesphere.patches.light import CEILING, LN, XLNX, LightModel

MODEL = LightModel()
PROSE = (
    b"The quick brown fox jumps over the lazy dog; the lazy dog sleeps. Den Hund k\xc3\xbcmmert das nicht.\n"
    b"def jump(fox, dog):\n    return fox.over(dog)\n"
)
texts = st.lists(
    st.sampled_from(
        [b"the ", b"cat ", b"sat", b"\n", b"\xe9\x91\xb0", b"  ", b"0123", b"\x00\x00\x00", b"\xff"]
    ),
    max_size=60,
).map(b"".join)


def hashed(number: int) -> int:
    return number * 0x9E3779B97F4A7C15 % 2**64


class Slow:
    """The light model with dictionaries: everything is counted anew from the successors at each step."""

    def __init__(self, tables: np.ndarray, first_bits: int = 9, last_bits: int = 15) -> None:
        self.tables, self.bits, self.last_bits = tables, first_bits, last_bits
        # order -> bucket -> at most two [context, {successor: count}], each at place 0 or 1
        self.buckets: dict[int, dict[int, list]] = {2: {}, 4: {}}

    def bucket(self, order: int, context: int) -> list:
        number = hashed(context) >> (64 - self.bits) >> 1
        return self.buckets[order].setdefault(number, [None, None])

    def grow(self) -> None:
        self.bits += 2
        for order, old in list(self.buckets.items()):
            self.buckets[order] = {}
            for number in sorted(old):
                for entry in old[number]:
                    if entry:
                        places = self.bucket(order, entry[0])
                        places[0 if places[0] is None else 1] = entry

    def count(self, order: int, context: int, byte: int) -> None:
        places = self.bucket(order, context)
        for entry in places:
            if entry and entry[0] == context:
                successors = entry[1]
                if byte in successors or len(successors) < 26:
                    successors[byte] = successors.get(byte, 0) + 1
                else:
                    order_kept = list(successors)
                    rarest = min(order_kept, key=lambda b: successors[b])
                    items = [(byte, 1) if b == rarest else (b, successors[b]) for b in order_kept]
                    successors.clear()
                    successors.update(items)
                if sum(successors.values()) > 254:
                    halved = {b: c // 2 for b, c in successors.items() if c > 1}
                    successors.clear()
                    successors.update(halved)
                return
        sizes = [sum(entry[1].values()) if entry else 0 for entry in places]
        places[1 if sizes[1] < sizes[0] else 0] = [context, {byte: 1}]

    def entropies(self, data: bytes) -> list[int]:
        found = []
        for done, byte in enumerate(data):
            taken = [
                sum(e is not None for places in b.values() for e in places) for b in self.buckets.values()
            ]
            while self.bits < self.last_bits and 2 * max(taken) > 1 << self.bits:
                self.grow()
            for order in (2, 4):
                if done >= order:
                    self.count(order, int.from_bytes(data[done - order : done]), byte)
            classes = [0x80 if b & 0xC0 == 0x80 else b for b in (b"\0\0\0" + data[: done + 1])[-3:]]
            steps = int(self.tables[1, hashed(int.from_bytes(bytes(classes))) >> 48])
            if steps == prior.UNKNOWN:
                steps = int(self.tables[0, int.from_bytes(bytes(classes[1:]))])
            entropy = steps * 2048
            for order in (2, 4):
                context = int.from_bytes(data[max(done + 1 - order, 0) : done + 1])
                entry = next((e for e in self.bucket(order, context) if e and e[0] == context), None)
                if done + 1 >= order and entry:
                    escape = 4 * len(entry[1])
                    mass = sum(entry[1].values()) + escape
                    logs = sum(int(XLNX[c]) for c in entry[1].values()) + int(XLNX[escape])
                    entropy = int(LN[mass]) - (logs - escape * entropy) // mass
            found.append(min(entropy, CEILING))
        return found


def test_protocol() -> None:
    assert isinstance(MODEL, EntropyModel) and isinstance(MODEL.stream(), EntropyStream)
    assert MODEL.id == LightModel().id and MODEL.id.startswith("light-2-")
    assert LightModel(np.zeros((2, 65536), np.uint8)).id != MODEL.id


@settings(max_examples=25, deadline=None)
@given(texts)
def test_equals_the_slow_model(data: bytes) -> None:
    assert (MODEL.entropies(data) * 65536).tolist() == Slow(prior.tables()).entropies(data)


def test_equals_the_slow_model_where_tables_fill_grow_and_halve() -> None:
    random = np.random.default_rng(5)
    noise = random.integers(0, 256, 900).astype(np.uint8).tobytes()  # grows the tables, fills buckets
    crowd = b"".join(b"ab" + bytes([b]) for b in random.permutation(60).tolist() * 4)  # over 26 successors
    data = noise + b"aaaaaaaaab" * 70 + crowd
    assert (MODEL.entropies(data) * 65536).tolist() == Slow(prior.tables()).entropies(data)


@pytest.mark.parametrize("unit", [b"\0", b"ab"])
def test_equals_the_slow_model_where_one_successor_fills_its_count(unit: bytes) -> None:
    data = unit * 2000
    got = (MODEL.entropies(data) * 65536).tolist()
    assert got == Slow(prior.tables()).entropies(data)
    assert max(got[600:]) < 0.25 * 65536  # the context is halved, never forgotten


def test_entropy_is_that_of_the_choice_of_context_and_byte() -> None:
    """On a source without full buckets: from the definition, in floats, and not below the byte's entropy."""
    data = b"the cat sat on the mat. the dog sat on the cat. " * 5 + b"so it goes, the end."
    got = MODEL.entropies(data)
    steps = prior.tables()
    for end in range(4, len(data), 3):
        seen = data[: end + 1]
        parts: list[float] = []  # masses of (context, byte); the rest of the mass escapes
        left = 1.0
        bytes_mass: Counter[int] = Counter()
        for order in (4, 2):
            successors = Counter(
                seen[i + order] for i in range(end + 1 - order) if seen[i : i + order] == seen[-order:]
            )
            if successors:
                mass = sum(successors.values()) + 4 * len(successors)
                for byte, count in successors.items():
                    parts.append(left * count / mass)
                    bytes_mass[byte] += left * count / mass
                left *= 4 * len(successors) / mass
        classes = bytes(0x80 if b & 0xC0 == 0x80 else b for b in seen[-3:])
        step = int(steps[1, hashed(int.from_bytes(classes)) >> 48])
        below = (step if step != prior.UNKNOWN else int(steps[0, int.from_bytes(classes[1:])])) / 32
        entropy = left * below - sum(p * math.log(p) for p in [*parts, left])
        assert got[end] == pytest.approx(min(entropy, math.log(256)), abs=2e-4)
        least = -sum(p * math.log(p) for p in bytes_mass.values())  # of the counted bytes alone
        assert got[end] >= min(least, math.log(256)) - 2e-4


@settings(max_examples=25, deadline=None)
@given(texts, st.lists(st.integers(0, 17), max_size=20))
def test_any_chunking_gives_the_same_entropies(data: bytes, sizes: list[int]) -> None:
    whole = MODEL.entropies(data)
    assert len(whole) == len(data) and whole.dtype == np.float32
    stream, at, pieces = MODEL.stream(), 0, []
    for size in [*sizes, len(data)]:
        pieces.append(stream.push(data[at : at + size]))
        at += size
    assert np.concatenate(pieces).tolist() == whole.tolist()


def test_bytewise_and_past_growth() -> None:
    data = np.random.default_rng(1).integers(0, 256, 5000).astype(np.uint8).tobytes() + PROSE * 5
    stream = MODEL.stream()
    single = np.concatenate([stream.push(data[i : i + 1]) for i in range(len(data))])
    assert single.tolist() == MODEL.entropies(data).tolist()


def test_entropies_depend_on_the_past_only_and_on_no_other_source() -> None:
    a, b = MODEL.entropies(PROSE + b"xyz" * 20), MODEL.entropies(PROSE + b"\x00" * 60)
    assert a[: len(PROSE)].tolist() == b[: len(PROSE)].tolist() == MODEL.entropies(PROSE).tolist()


def test_range_and_learning() -> None:
    data = PROSE * 30
    entropies = MODEL.entropies(data)
    assert entropies.min() >= 0 and entropies.max() <= np.float32(math.log(256))
    assert entropies[-len(PROSE) :].mean() < 0.35 * entropies[: len(PROSE)].mean()
    assert MODEL.entropies(b"").shape == (0,)


def test_prior_counts_what_follows() -> None:
    tables = prior.count([b"abcabcabc" * 50])
    assert tables.shape == (2, 65536) and tables.dtype == np.uint8
    after_ab = tables[1, hashed(int.from_bytes(b"abc")) >> 48]
    assert after_ab < 8  # a quarter of a nat: almost certain
    assert tables[1, hashed(int.from_bytes(b"xyz")) >> 48] == prior.UNKNOWN
    assert tables[0, int.from_bytes(b"zc")] == tables[0, int.from_bytes(b"yc")]  # falls back to the last byte
    with pytest.raises(InputError):
        prior.count([b"a"])


def test_prior_knows_words_in_a_first_sentence() -> None:
    text = b"Nobody had told the gardener about the second gate behind the orchard wall."
    entropies = MODEL.entropies(text)[:-1]
    next_starts_word = np.array([text[i] == 32 for i in range(len(text) - 1)])
    assert entropies[next_starts_word].mean() > 1.5 * entropies[~next_starts_word].mean()
