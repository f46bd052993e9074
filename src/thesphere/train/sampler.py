"""How an encoder is trained, and which pairs each step learns from: NumPy alone, without a device."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from thesphere.errors import InputError

RUN = 4  # pairs next to each other in their source that come together
CROWD = 32  # pairs that come together because the teacher holds them for alike


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        steps: batches.
        sizes: (patches of a, patches of b, pairs) of the kinds of batches; a pair goes into the first it fits.
        rate, table_rate: highest learning rates of matrices (Muon) and of the rest (Adam).
        rise: steps until the highest rate.
        floor: share of the highest rate that is left at the end.
        temperature: of InfoNCE and of the divergence.
        near: share of the pairs that come in crowds of CROWD which the teacher holds for alike, if it knows.
        distil, relate, small: weights of 1 - cosine, of the divergence, of the small losses; InfoNCE has 1.
        same: the teacher's cosine from which two texts are no negatives of each other.
        forget: share of a batch's words that are known by their grams alone.
        seed: of the first parameters and of the order of pairs.
        words: distinct words of a batch at most; more are read as the last of them.
        kernel: use the Pallas kernel for gradients of rows (Nvidia GPUs).
    """

    steps: int
    sizes: tuple[tuple[int, int, int], ...] = (
        (16, 16, 8192), (32, 32, 4096), (32, 128, 2048), (128, 128, 1024), (256, 256, 512),
    )  # fmt: skip
    rate: float = 0.01
    table_rate: float = 0.004
    rise: int = 200
    floor: float = 0.02
    temperature: float = 0.05
    distil: float = 10.0
    relate: float = 0.3
    near: float = 0.0
    small: float = 0.02
    same: float = 0.9
    forget: float = 0.1
    seed: int = 0
    words: int = 1 << 16
    kernel: bool = False


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts to learn from, in the order of their sources.

    Args:
        a, b: int [N], numbers of texts.
        kind: int [N], index into `shares`.
        shares: how much of the batches each kind makes.
        related: whether a kind's a and b belong together; if not, they only learn from the teacher.
        places: int [N], a number for each pair, near for pairs that the teacher holds for alike; -1: unknown.
    """

    a: np.ndarray
    b: np.ndarray
    kind: np.ndarray
    shares: Sequence[float]
    related: Sequence[bool]
    places: np.ndarray | None = None


@dataclass(frozen=True)
class Sampler:
    """Which pairs each step learns from, a function of the seed and the step alone."""

    pairs: Pairs
    lengths: np.ndarray
    settings: Settings
    _pools: list[list[np.ndarray]] = field(init=False, repr=False)
    _alike: list[list[np.ndarray]] = field(init=False, repr=False)
    _kinds: list[np.ndarray] = field(init=False, repr=False)
    _sizes: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        a, b = self.lengths[self.pairs.a], self.lengths[self.pairs.b]
        short, long = np.minimum(a, b), np.maximum(a, b)
        limits = np.array(self.settings.sizes)
        fits = (short[:, None] <= limits[:, 0]) & (long[:, None] <= limits[:, 1])
        size = np.where(fits.any(1), fits.argmax(1), len(limits) - 1)
        pools, alike, kinds, mass = [], [], [], []
        places = np.full(len(a), -1) if self.pairs.places is None else self.pairs.places
        shares = np.asarray(self.pairs.shares, np.float64)
        total = np.maximum(np.bincount(self.pairs.kind, minlength=len(shares)), 1)
        usable = short > 0
        for s, (_, _, batch) in enumerate(limits):
            here = [np.flatnonzero((size == s) & (self.pairs.kind == k) & usable) for k in range(len(shares))]
            weight = (
                shares * [len(pool) for pool in here] / total
            )  # pairs of this size in a pass over all kinds
            pools.append(here)
            told = [pool[places[pool] >= 0] for pool in here]
            alike.append([pool[np.argsort(places[pool], kind="stable")] for pool in told])
            kinds.append(weight / max(weight.sum(), 1e-12))
            mass.append(weight.sum() / batch)
        if not sum(mass):
            raise InputError("no pair of texts with words: give texts that are related")
        object.__setattr__(self, "_pools", pools)
        object.__setattr__(self, "_alike", alike)
        object.__setattr__(self, "_kinds", kinds)
        object.__setattr__(self, "_sizes", np.array(mass) / sum(mass))

    @property
    def chances(self) -> dict[int, float]:
        """How likely each kind of batch is in a step, of those that occur."""
        return {int(size): float(self._sizes[size]) for size in np.flatnonzero(self._sizes)}

    def batch(self, step: int, size: int | None = None) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """(kind of batch, shorter texts, longer texts, 1 where they belong together, else 0) of a step."""
        rng = np.random.default_rng([self.settings.seed, step])
        size = int(rng.choice(len(self._sizes), p=self._sizes)) if size is None else size
        count = self.settings.sizes[size][2]
        numbers = rng.multinomial(count // RUN, self._kinds[size])
        chosen = []
        for pool, alike, number in zip(self._pools[size], self._alike[size], numbers, strict=True):
            crowds = rng.binomial(number * RUN // CROWD, self.settings.near) if len(alike) else 0
            if crowds:
                first = rng.integers(0, len(alike), (crowds, 1))
                chosen.append(alike[(first + np.arange(CROWD)) % len(alike)].ravel())
                number -= crowds * CROWD // RUN
            if number:
                first = rng.integers(0, len(pool), (number, 1))
                apart = rng.random((number, 1)) < 0.5  # half of the runs are neighbours, half are not
                run = np.where(
                    apart, rng.integers(0, len(pool), (number, RUN)), (first + np.arange(RUN)) % len(pool)
                )
                chosen.append(pool[run].ravel())
        chosen = np.concatenate(chosen)
        chosen = (
            np.concatenate([chosen, rng.choice(chosen, count - len(chosen))])
            if len(chosen) < count
            else chosen
        )
        chosen = rng.permutation(chosen)
        a, b = self.pairs.a[chosen], self.pairs.b[chosen]
        turn = self.lengths[a] > self.lengths[b]
        related = np.asarray(self.pairs.related, np.float32)[self.pairs.kind[chosen]]
        return size, np.where(turn, b, a).astype(np.int32), np.where(turn, a, b).astype(np.int32), related
