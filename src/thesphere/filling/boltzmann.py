"""The Boltzmann law over shells: P(shell k | point i) proportional to exp((mu_k - |e_i - eps_k|) / T).

e_i is the point's quantile of prominence, eps_k the middle of shell k in cumulative capacity, both in (0, 1),
so T is a share of all points. The chemical potentials mu_k are solved so that the expected occupancy is the
capacity at every T: entropic optimal transport from the uniform law to the shells (Cuturi 2013). The older
pre-norm pipeline had the same law without potentials and took its argmax, in which T cancels.

On a line exp(-|x - eps| / T) factors: between two neighbouring centres the shells to the left keep fixed
proportions, and so do those to the right. Only the split between the two sides depends on x, and it is a
logistic function. Occupancies and their derivatives therefore have closed forms, without any grid, and a draw is
one binary search.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from thesphere.errors import InputError

COLDEST, HOTTEST = 1e-12, 1e6  # beyond: the quantile filling, or a draw by capacity, to rounding
NEWTON_STEPS = 60
TOLERANCE = 1e-10  # of the expected occupancies, as a share of all points


def check_temperature(value: float, what: str = "temperature") -> None:
    """Refuse what is no temperature."""
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{what} is {value}; give a finite number above 0, such as 0.05")


def centres(capacities: np.ndarray) -> np.ndarray:
    """eps_k: the middle of each shell in cumulative capacity, float64 [S] in [0, 1]."""
    sizes = np.asarray(capacities, np.float64)
    return (np.cumsum(sizes) - sizes / 2) / sizes.sum()


def potentials(capacities: np.ndarray, temperature: float) -> np.ndarray:
    """mu_k with which the expected occupancy of points spread evenly over (0, 1) is the capacity.

    Damped Newton on the concave dual of entropic optimal transport, each step by conjugate gradients in O(S) an
    iteration; a Sinkhorn step wherever Newton's does not help. Determined up to a constant: their mean weighted
    by capacity is 0.

    Args:
        capacities: [S], 0 or more, not all 0; only their proportions count.
        temperature: above 0.

    Returns:
        float64 [S], in units of the quantile; -inf for a shell without capacity.
    """
    held, law = balanced(capacities, temperature)
    share = np.asarray(capacities, np.float64)[held]
    found = np.full(len(capacities), -np.inf)
    found[held] = law.temperature * (law.weights - law.weights @ share / share.sum())
    return found


def draw(
    capacities: np.ndarray, temperature: float, quantiles: np.ndarray, uniforms: np.ndarray
) -> np.ndarray:
    """The shell of each point by inverse CDF: int64 [N], monotone in the uniform and in the quantile.

    Args:
        capacities: [S], 0 or more, not all 0.
        temperature: above 0.
        quantiles: float64 [N] in [0, 1].
        uniforms: float64 [N] in [0, 1).
    """
    held, law = balanced(capacities, temperature)
    return held[law.shells(quantiles, uniforms)]


def balanced(capacities: np.ndarray, temperature: float) -> "tuple[np.ndarray, Law]":
    """The shells that have capacity, int64 [at most S], and the law over them that fills each to its capacity."""
    check_temperature(temperature)
    sizes = np.asarray(capacities, np.float64)
    held = np.flatnonzero(sizes > 0)
    if not len(held):
        raise InputError("no shell has any capacity; give at least one capacity above 0")
    return held, _solve(sizes[held] / sizes.sum(), float(np.clip(temperature, COLDEST, HOTTEST)))


@dataclass(frozen=True)
class Law:
    """The law for given log weights mu / T of shells that all have capacity.

    Interval j of S + 1 lies between centre j - 1 and centre j. In it the shells left of x weigh
    exp(rising[j - 1] - x / T) together, those to the right exp(falling[j] + x / T).
    """

    temperature: float
    middles: np.ndarray
    weights: np.ndarray
    rising: np.ndarray  # log sum over l <= k of exp(weights_l + middle_l / T)
    falling: np.ndarray  # log sum over l >= k of exp(weights_l - middle_l / T)
    tilt: np.ndarray  # [S + 1] log right over left at x = 0; infinite where one side has no shell

    @classmethod
    def of(cls, weights: np.ndarray, middles: np.ndarray, temperature: float) -> "Law":
        rising = np.logaddexp.accumulate(weights + middles / temperature)
        falling = np.logaddexp.accumulate((weights - middles / temperature)[::-1])[::-1].copy()
        tilt = np.concatenate([[np.inf], falling[1:] - rising[:-1], [-np.inf]])
        return cls(temperature, middles, weights, rising, falling, tilt)

    def shells(self, quantiles: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """A draw for each point by inverse CDF: int64 [N], counted among the shells that have capacity."""
        found = np.empty(len(quantiles), np.int64)
        _invert(
            quantiles, uniforms, self.temperature, self.middles, self.rising, self.falling, self.tilt, found
        )  # fmt: skip
        return found

    def response(self) -> "Response":
        """Integrals over each interval in closed form, with p the chance of the left side."""
        edges = np.concatenate([[0.0], self.middles, [1.0]])
        low = self.tilt + 2 * edges[:-1] / self.temperature
        high = self.tilt + 2 * edges[1:] / self.temperature
        half = self.temperature / 2
        left, right = np.zeros_like(low), np.zeros_like(low)
        inside = slice(1, -1)
        left[inside] = half * (np.logaddexp(0, -low[inside]) - np.logaddexp(0, -high[inside]))
        right[inside] = half * (np.logaddexp(0, high[inside]) - np.logaddexp(0, low[inside]))
        left[-1], right[0] = edges[-1] - edges[-2], edges[1]  # the outermost intervals have one side only
        mixed = half * (np.exp(-np.logaddexp(0, low)) - np.exp(-np.logaddexp(0, high)))
        inner = np.exp(self.weights + self.middles / self.temperature - self.rising)
        outer = np.exp(self.weights - self.middles / self.temperature - self.falling)
        occupancy = np.empty(len(inner))
        _collect(inner, outer, left, right, occupancy)
        return Response(inner, outer, left, right, mixed, occupancy)


class Response(NamedTuple):
    """How a law answers to a change of its weights.

    Attributes:
        inner, outer: [S], share of shell k among the shells up to k, and from k on.
        left, right, mixed: [S + 1], integrals over each interval of p, 1 - p and p (1 - p).
        occupancy: [S], expected, as a share of all points.
    """

    inner: np.ndarray
    outer: np.ndarray
    left: np.ndarray
    right: np.ndarray
    mixed: np.ndarray
    occupancy: np.ndarray


def _solve(share: np.ndarray, temperature: float) -> Law:
    middles = np.cumsum(share) - share / 2
    # T -> infinity: weights = capacities. T -> 0: neighbouring shells break even where one's capacity ends.
    law = Law.of(np.log(share) + share / (2 * temperature), middles, temperature)
    now = law.response()
    error = np.abs(now.occupancy - share).sum()
    for _ in range(NEWTON_STEPS):
        if error <= TOLERANCE:
            break
        move = _newton(now, share - now.occupancy)
        for step in (move, move / 4, move / 16, np.log(share / now.occupancy)):
            tried = Law.of(law.weights + step, middles, temperature)
            then = tried.response()
            if np.abs(then.occupancy - share).sum() < error:
                break
        else:
            break  # rounding: nothing comes closer
        law, now = tried, then
        error = np.abs(now.occupancy - share).sum()
    return law


def _newton(now: Response, missing: np.ndarray) -> np.ndarray:
    move = np.zeros(len(missing))
    _conjugate(now.inner, now.outer, now.left, now.right, now.mixed, now.occupancy, missing, move)
    return move


@njit(cache=True, nogil=True)
def _collect(inner, outer, left, right, out):
    """What the intervals give to the shells: each splits `left` over the shells to its left in their proportions,
    and `right` over those to its right."""
    count = len(out)
    held = 0.0
    for k in range(count - 1, -1, -1):
        held += left[k + 1]
        out[k] = inner[k] * held
        held -= out[k]
    held = 0.0
    for k in range(count):
        held += right[k]
        share = outer[k] * held
        out[k] += share
        held -= share


@njit(cache=True, nogil=True)
def _conjugate(inner, outer, left, right, mixed, occupancy, missing, move):
    """Solve slope @ move = missing by conjugate gradients, scaled by occupancy. The slope is never formed: it is
    diag(occupancy) less the covariance kernel, which two sweeps over the intervals apply."""
    count = len(move)
    to_left, to_right, product = np.empty(count + 1), np.empty(count + 1), np.empty(count)
    rest = missing.copy()
    scaled = rest / occupancy
    course = scaled.copy()
    power = rest @ scaled
    goal = 1e-18 * power
    for _ in range(4 * count):
        if not power > goal:
            break
        mean = 0.0  # of the course among the shells left of each interval
        to_left[0] = to_right[0] = 0.0
        for k in range(count):
            mean += inner[k] * (course[k] - mean)
            to_left[k + 1] = (left[k + 1] - mixed[k + 1]) * mean
            to_right[k + 1] = mixed[k + 1] * mean
        mean = 0.0
        for k in range(count - 1, -1, -1):
            mean += outer[k] * (course[k] - mean)
            to_left[k] += mixed[k] * mean
            to_right[k] += (right[k] - mixed[k]) * mean
        _collect(inner, outer, to_left, to_right, product)
        product = occupancy * course - product
        curvature = course @ product
        if not curvature > 0:
            break
        length = power / curvature
        move += length * course
        rest -= length * product
        scaled = rest / occupancy
        before, power = power, rest @ scaled
        course = scaled + power / before * course


@njit(cache=True, nogil=True)
def _invert(quantiles, uniforms, temperature, middles, rising, falling, tilt, found):
    """The shell of each point by inverse CDF, shells counted from the centre."""
    count, j = len(middles), 0
    for i in range(len(found)):
        x, u = quantiles[i], max(uniforms[i], 1e-300)
        if j > 0 and x <= middles[j - 1]:
            j = np.searchsorted(middles, x)
        while j < count and middles[j] < x:  # ascending quantiles: one walk in all
            j += 1
        lean = tilt[j] + 2 * x / temperature
        left = 1 / (1 + math.exp(min(lean, 700.0)))
        if j > 0 and (j == count or u < left):
            wanted = rising[j - 1] + min(0.0, math.log(u / left))
            found[i] = min(np.searchsorted(rising[:j], wanted), j - 1)
        else:
            right = 1 / (1 + math.exp(min(-lean, 700.0)))
            wanted = falling[j] + min(0.0, math.log((1 - u) / right))
            low, high = j, count - 1  # the last shell that reaches it; falling descends
            while low < high:
                middle = (low + high + 1) // 2
                if falling[middle] >= wanted:
                    low = middle
                else:
                    high = middle - 1
            found[i] = low
