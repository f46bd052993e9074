"""Shells: the radii that points may have, and how many points belong on each.

Radii and capacities depend on counts, not on data: they are computed once, in float64 and int64 NumPy, and are
constants for JAX code. `Shells.shell_of` takes NumPy or JAX arrays.

Names and formulas are those of the earlier JAX system, with three repairs: there "golden" was a geometric
series that stopped one step short (the golden ratio cancelled), "prime" used no primes, and the automatic
maximum could lie below the minimum. "log" is, as there, another name of "geometric".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry.namespace import Array, floats

GOLDEN = (1 + math.sqrt(5)) / 2


def _golden(count: int) -> np.ndarray:
    """The first multiples of the golden ratio modulo 1, in order: the gaps between them have at most three
    sizes, in golden proportion (three-distance theorem, Sos 1958). Nearly even, yet never in step."""
    steps = np.sort(np.arange(count) * GOLDEN % 1.0)
    return steps / max(steps[-1], 1e-300)


def _prime(count: int) -> np.ndarray:
    """(p_i - p_0) / (p_last - p_0) over the first `count` primes: gaps grow like the logarithm, unevenly."""
    primes = _primes(count)
    return (primes - 2) / max(primes[-1] - 2, 1)


# places in the band, 0 at the minimum radius and 1 at the maximum
SPACINGS: dict[str, Callable[[int], np.ndarray]] = {
    "linear": lambda count: np.linspace(0, 1, count),
    "sqrt": lambda count: np.sqrt(np.linspace(0, 1, count)),  # dense at the outer end
    "quadratic": lambda count: np.linspace(0, 1, count) ** 2,  # dense at the inner end
    "golden": _golden,
    "prime": _prime,
}
STRATEGIES = (*SPACINGS, "geometric", "log")


def shell_radii(count: int, minimum: float, maximum: float, strategy: str = "sqrt") -> np.ndarray:
    """The radii of the shells, strictly ascending from `minimum` to `maximum`: float64 [count].

    With t_i = i / (count - 1): linear a + (b - a) t; sqrt a + (b - a) sqrt(t); quadratic a + (b - a) t^2;
    geometric (log) a (b / a)^t; golden and prime put shells at the golden ratio's multiples modulo 1 and at
    the primes, scaled to the band. A single shell lies at the minimum.

    Raises:
        InputError: no shell, a band that is not 0 < minimum < maximum, an unknown strategy, or more shells
            than the band has numbers.
    """
    if count < 1:
        raise InputError(f"there are {count} shells; give at least one")
    if not (0 < minimum < maximum < math.inf):
        raise InputError(f"the band of radii is {minimum} to {maximum}; give 0 < minimum < maximum")
    if strategy in ("geometric", "log"):
        radii = np.geomspace(minimum, maximum, count)
    elif strategy in SPACINGS:
        radii = minimum + (maximum - minimum) * SPACINGS[strategy](count)
    else:
        raise InputError(f"the spacing of shells is {strategy!r}; give one of {', '.join(STRATEGIES)}")
    radii[0] = minimum
    if count > 1:
        radii[-1] = maximum
    if not (np.diff(radii) > 0).all():
        raise InputError(f"{count} shells do not fit between {minimum} and {maximum}; widen the band")
    return radii


def shares(radii: np.ndarray, exponent: float = 1.5) -> np.ndarray:
    """R_k^p / sum R^p: float64 [S], the part of all points that belongs on each shell.

    p = 2 is even density over a sphere's surface (first earlier versions), 1.5 what later ones used.

    Raises:
        InputError: radii that are not positive, or an exponent that is not finite.
    """
    logs = np.asarray(radii, np.float64)
    if logs.ndim != 1 or not len(logs) or not (np.isfinite(logs) & (logs > 0)).all():
        raise InputError("radii must be one row of finite numbers above 0, at least one")
    if not math.isfinite(exponent):
        raise InputError(f"the capacity exponent is {exponent}; give a finite number")
    logs = exponent * np.log(logs)
    weights = np.exp(logs - logs.max())  # no power over- or underflows as a whole
    return weights / weights.sum()


def capacities(n: int, radii: np.ndarray, exponent: float = 1.5) -> np.ndarray:
    """How many of n points belong on each shell: int64 [S], sum n, each within 1 of n R_k^p / sum R^p.

    Largest remainder (Hamilton's method): floors first, then one more where most was cut off, the inner shell
    first among equals. The earlier systems kept the fractions.

    Raises:
        InputError: n below 0 or beyond 2^50, or what `shares` refuses.
    """
    if not 0 <= n <= 1 << 50:
        raise InputError(f"there are {n} points to spread over shells; give a number from 0 to 2^50")
    ideal = n * shares(radii, exponent)
    held = np.floor(ideal).astype(np.int64)
    short = int(n - held.sum())
    held[np.argsort(held - ideal, kind="stable")[:short]] += 1
    return held


def minimum_radius(n: int | None, shells: int) -> float:
    """The automatic inner radius for n points (None: a million) on this many shells.

    max(16, sqrt(S) / 4) below 1e5 points, max(32, sqrt(S) / 2) below 1e7, max(64, S / 10) below 1e9, else
    max(128, S / 8): the earlier system's rule. Nothing is cached: each collection gets its own.
    """
    n = 1_000_000 if n is None else n
    if n < 0 or shells < 1:
        raise InputError(f"{n} points on {shells} shells; give 0 points or more on at least one shell")
    if n < 1e5:
        return max(16.0, 0.25 * math.sqrt(shells))
    if n < 1e7:
        return max(32.0, 0.5 * math.sqrt(shells))
    if n < 1e9:
        return max(64.0, 0.1 * shells)
    return max(128.0, 0.125 * shells)


def maximum_radius(n: int | None, shells: int) -> float:
    """The automatic outer radius: 2 S as before, and at least twice the minimum, which few shells would
    otherwise undercut."""
    return max(2.0 * shells, 2.0 * minimum_radius(n, shells))


@dataclass(frozen=True, eq=False)
class Shells:
    """Ascending radii and the law of their capacities.

    Attributes:
        radii: float64 [S], strictly ascending, above 0.
        exponent: p of the capacity law n R_k^p / sum R^p.
    """

    radii: np.ndarray
    exponent: float = 1.5

    def __post_init__(self) -> None:
        shares(self.radii, self.exponent)
        object.__setattr__(self, "radii", np.array(self.radii, np.float64))
        self.radii.setflags(write=False)
        if not (np.diff(self.radii) > 0).all():
            raise InputError("shell radii must be strictly ascending")

    @classmethod
    def spaced(
        cls, count: int, minimum: float, maximum: float, strategy: str = "sqrt", exponent: float = 1.5
    ) -> "Shells":
        """Shells at `shell_radii(count, minimum, maximum, strategy)`."""
        return cls(shell_radii(count, minimum, maximum, strategy), exponent)

    @classmethod
    def automatic(cls, n: int | None, count: int, strategy: str = "sqrt", exponent: float = 1.5) -> "Shells":
        """Shells for a collection of n points, between the automatic minimum and maximum radius."""
        return cls.spaced(count, minimum_radius(n, count), maximum_radius(n, count), strategy, exponent)

    def __len__(self) -> int:
        return len(self.radii)

    @cached_property
    def midpoints(self) -> np.ndarray:
        """float64 [S - 1]: where the nearest shell changes."""
        return (self.radii[1:] + self.radii[:-1]) / 2

    @property
    def mean_gap(self) -> float:
        """Mean distance of neighbouring shells; the radius itself where there is one shell."""
        ends = self.radii[-1] - self.radii[0]
        return float(ends / (len(self) - 1) if len(self) > 1 else self.radii[0])

    def capacities(self, n: int) -> np.ndarray:
        """int64 [S], sum n: `capacities(n, radii, exponent)`."""
        return capacities(n, self.radii, self.exponent)

    def shell_of(self, radii: Array) -> Array:
        """The nearest shell of each radius, the inner one of two equally near: integers of the same shape.

        Raises:
            InputError: a NumPy radius is NaN.
        """
        xp, radii = floats(radii)
        if xp is np and np.isnan(radii).any():
            raise InputError("a radius is NaN and has no shell")
        return xp.searchsorted(xp.asarray(self.midpoints, radii.dtype), radii, side="left")

    def occupancy(self, shells: np.ndarray) -> np.ndarray:
        """int64 [S]: how many points each shell holds, of each point's shell [N]."""
        return np.bincount(np.asarray(shells), minlength=len(self))


def _primes(count: int) -> np.ndarray:
    """The first `count` primes, by the sieve of Eratosthenes up to Rosser's bound n (ln n + ln ln n)."""
    bound = 15 if count < 6 else int(count * (math.log(count) + math.log(math.log(count)))) + 1
    sieve = np.ones(bound + 1, bool)
    sieve[:2] = False
    for number in range(2, math.isqrt(bound) + 1):
        if sieve[number]:
            sieve[number * number :: number] = False
    return np.flatnonzero(sieve)[:count]
