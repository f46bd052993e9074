"""The allocation law of entropy-weighted filling: log allocation = 2 ln p - H / T, in float64 throughout.

The earlier pipeline took p^2 exp(-H / T) in float32, which is 0 for every H above 0.001 nats at its default
T = 1e-5, and divided 0 by 0. In logarithms every temperature is within reach, and T says how much a nat costs.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from thesphere.errors import InputError
from thesphere.filling.cuts import rank
from thesphere.signals import EPSILON

LN10 = math.log(10)
LOWEST = float(np.finfo(np.float64).min)  # log allocation of a point without prominence
TRIED = np.geomspace(1e-8, 1e3, 111)  # temperatures that tuning looks at, nats: ten a decade
RATIO = (1.0, 2.0)  # log10 of what the top coherence decile should get over the bottom one


@dataclass(frozen=True)
class Signals:
    """What the points' allocation is made of, checked.

    Attributes:
        prominence: float64 [N], 0 or more.
        entropies: float64 [N] nats, 0 or more, NaN where unknown.
        unknown: how many entropies are.
        middle: the median of the known ones, which stands in for the others.
    """

    prominence: np.ndarray
    entropies: np.ndarray
    unknown: int
    middle: float

    @classmethod
    def of(cls, prominence: np.ndarray, entropies: np.ndarray | None) -> "Signals":
        """Raises:
        InputError: no entropies, lengths that differ, values negative or infinite, a prominence that is NaN.
        """
        if entropies is None:
            raise InputError(
                "entropy-weighted filling needs entropies; give entropies=, one per point, in nats"
            )
        values, nats = np.asarray(prominence, np.float64), np.asarray(entropies, np.float64)
        if values.ndim != 1 or values.shape != nats.shape:
            raise InputError(
                f"there are {values.size} prominences and {nats.size} entropies; give one of each"
            )
        missing = np.isnan(nats)
        for what, column, good in (("prominences", values, False), ("entropies", nats, missing)):
            bad = ~(((column >= 0) & (column < np.inf)) | good)
            if bad.any():
                row = int(np.argmax(bad))
                raise InputError(f"row {row} of the {what} is {column[row]}; give numbers from 0 up")
        unknown, middle = int(np.count_nonzero(missing)), 0.0
        if 0 < unknown < len(nats):
            middle = float(np.median(nats[~missing], overwrite_input=True))
        return cls(values, nats, unknown, middle)

    def log_allocation(self, temperature: float) -> np.ndarray:
        """float64 [N], see the function of this name."""
        with np.errstate(divide="ignore", over="ignore"):  # nothing is lower than LOWEST
            logs = np.log(self.prominence)
            logs *= 2
            cost = self.entropies / temperature
            if self.unknown:
                cost[np.isnan(cost)] = self.middle / temperature
            logs -= cost
        return np.maximum(logs, LOWEST, out=logs)

    def order(self, logs: np.ndarray, outward: bool) -> np.ndarray:
        """int64 [N]: rows by log allocation, ties by prominence and then by row."""
        order = rank(logs, outward)
        for first in range(0, len(order) - 1, 1 << 16):
            rows = order[first : first + (1 << 16) + 1]
            level = np.diff(logs[rows]) == 0
            if (np.diff(self.prominence[rows])[level] != 0).any():  # equal by rounding: rare
                flip = 1.0 if outward else -1.0
                return np.lexsort((flip * self.prominence, flip * logs))
        return order

    def deciles(self) -> np.ndarray:
        """int8 [N]: 1 in the top tenth by coherence p^2 / (H + 1e-6), -1 in the bottom one, else 0. Each has at
        least a point, and they are of one size; ties by row. Of points with a prominence and a known entropy:
        where these are fewer than two, all are 0."""
        marks = np.zeros(len(self.prominence), np.int8)
        with np.errstate(over="ignore"):
            light = (
                self.entropies + EPSILON
            )  # then the square root of coherence, which is in range for every p
            np.divide(self.prominence, np.sqrt(light, out=light), out=light)
        light[self.prominence == 0] = np.nan
        count = len(light) - int(np.count_nonzero(np.isnan(light)))
        if count < 2:
            return marks
        size = max(1, count // 10)
        parted = np.partition(light, (size - 1, count - size))  # NaN last
        low, high = parted[size - 1], parted[count - size]
        del parted
        marks[light < low], marks[light > high] = -1, 1
        below, above = size - np.count_nonzero(light < low), size - np.count_nonzero(light > high)
        marks[np.flatnonzero(light == low)[:below]] = -1
        marks[np.flatnonzero(light == high)[::-1][:above]] = 1
        return marks


class Ratio:
    """Mean allocation of the top coherence decile over that of the bottom one, by temperature.

    Args:
        signals: of all points.
        deciles: their marks, `signals.deciles()`.
    """

    def __init__(self, signals: Signals, deciles: np.ndarray) -> None:
        self._known = bool(deciles.any())
        self._tenths = [
            (2 * np.log(signals.prominence[inside]), signals.entropies[inside])
            for inside in (deciles > 0, deciles < 0)
        ]

    def log10(self, temperature: float) -> float:
        """Finite; NaN where there are no two deciles."""
        if not self._known:
            return float("nan")
        with np.errstate(over="ignore"):
            top, bottom = (_log_sum(strength - nats / temperature) for strength, nats in self._tenths)
        return (top - bottom) / LN10

    def tuned(self, temperature: float | None = None) -> "Tuned":
        """The given temperature with its ratio, or the one that comes closest to the target: ten temperatures a
        decade are tried from 1e-8 to 1e3, and where two neighbours lie on either side of sqrt(1000) the crossing
        is bisected."""
        ratios = np.array([self.log10(float(each)) for each in TRIED])
        if temperature is None:
            temperature = self._nearest(ratios - sum(RATIO) / 2) if self._known else 1.0
        return Tuned(temperature, self.log10(temperature), (float(ratios.min()), float(ratios.max())))

    def _nearest(self, excess: np.ndarray) -> float:
        crossings = np.flatnonzero((excess[1:] > 0) != (excess[:-1] > 0))
        if not len(crossings):
            return float(TRIED[np.flatnonzero(np.abs(excess) == np.abs(excess).min())[-1]])
        low, high = np.log(TRIED[crossings[-1] : crossings[-1] + 2])
        above = excess[crossings[-1]] > 0
        for _ in range(40):
            half = (low + high) / 2
            same = (self.log10(float(np.exp(half))) > sum(RATIO) / 2) == above
            low, high = (half, high) if same else (low, half)
        return float(np.exp((low + high) / 2))


class Tuned(NamedTuple):
    """Attributes:
    temperature: nats.
    log10_ratio: log10 of the top coherence decile's mean allocation over the bottom one's; NaN where fewer than
        two points have a prominence and a known entropy.
    reach: the smallest and largest log10 ratio at temperatures from 1e-8 to 1e3.
    """

    temperature: float
    log10_ratio: float
    reach: tuple[float, float]

    @property
    def on_target(self) -> bool:
        """Whether the ratio is 10 to 100."""
        return bool(RATIO[0] <= self.log10_ratio <= RATIO[1])


def log_allocation(prominence: np.ndarray, entropies: np.ndarray, temperature: float) -> np.ndarray:
    """2 ln p - H / T: float64 [N], always finite; the lowest float64 for p = 0.

    Args:
        prominence: [N], 0 or more.
        entropies: [N] nats, 0 or more; NaN (unknown) counts as the median of the others.
        temperature: nats, above 0.

    Raises:
        InputError: lengths that differ, values negative or infinite, a temperature that is not above 0.
    """
    check_temperature(temperature)
    return Signals.of(prominence, entropies).log_allocation(temperature)


def effective_count(logs: np.ndarray) -> float:
    """By how many points the allocation is shared in effect: (sum a)^2 / sum a^2 of log a [N], in [1, N] (Kish's
    effective sample size, 1965; the inverse participation ratio)."""
    shares = logs - logs.max()
    np.exp(shares, out=shares)
    return float(shares.sum() ** 2 / (shares @ shares))


def check_temperature(temperature: float) -> None:
    """Refuse what is no temperature in nats."""
    if isinstance(temperature, str) or not (np.isfinite(temperature) and temperature > 0):
        raise InputError(f'temperature is {temperature!r}; give nats above 0, such as 0.5, or "auto"')


def _log_sum(logs: np.ndarray) -> float:
    np.maximum(logs, LOWEST, out=logs)
    peak = logs.max()
    logs -= peak
    return float(peak + np.log(np.exp(logs, out=logs).sum()))
