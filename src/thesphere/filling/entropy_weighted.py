"""Entropy-weighted filling (earlier: Orch-OR): points lie in the order of the log allocation 2 ln p - H / T.

The earlier pipeline mapped a softmax of values in [0, 1] to radii, which sent nearly all points to the outermost
shell. Here the order is cut by capacity, so the whole band is used at every temperature.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from thesphere.errors import InputError
from thesphere.filling.allocation import LOWEST, Ratio, Signals, Tuned, check_temperature, effective_count
from thesphere.filling.cuts import boundaries
from thesphere.filling.problem import Pass, Problem, State
from thesphere.geometry.shells import capacities, shell_radii

TEMPERATURES = (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0, 1e3)


class Carried(NamedTuple):
    """Attributes:
    tuned: the temperature and the ratio.
    unknown: points whose entropy was not known.
    effective: effective count of the allocation.
    contrast: mean radius of the top coherence decile less that of the bottom one.
    """

    tuned: Tuned
    unknown: int
    effective: float
    contrast: float


@dataclass(frozen=True)
class EntropyWeighted:
    """Filling in the order of the log allocation 2 ln p - H / T; ties by prominence, then by row.

    A point of unknown entropy (NaN) is given the median of the known ones: neither rewarded nor punished.

    Attributes:
        temperature: nats, above 0; or "auto": the T at which the mean allocation of the top coherence decile is
            sqrt(1000) times (within 10 to 100) that of the bottom one, the highest where several are; where none
            is, the T that comes closest, and `notes` says so.
    """

    name: ClassVar[str] = "entropy_weighted"
    thermal: ClassVar[bool] = False
    needs_entropies: ClassVar[bool] = True
    temperature: float | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        if self.temperature != "auto":
            check_temperature(self.temperature)

    def init(self, problem: Problem, *, key: int) -> State:
        """The balanced state; nothing is left to do after it."""
        signals = Signals.of(problem.prominence, problem.entropies)
        deciles = signals.deciles()
        tuned = Ratio(signals, deciles).tuned(None if self.temperature == "auto" else float(self.temperature))
        logs = signals.log_allocation(tuned.temperature)
        effective = effective_count(logs)
        order, cuts = signals.order(logs, problem.outward), boundaries(problem.capacities)
        contrast = _contrast(deciles, order, cuts, problem.radii)
        return State(order, cuts, carried=Carried(tuned, signals.unknown, effective, contrast))

    def step(self, problem: Problem, state: State, *, key: int) -> tuple[State, Pass]:
        return state, Pass(0, 0, 0, True)

    def measures(self, problem: Problem, state: State) -> dict[str, float]:
        """`temperature`; `allocation_ratio` of the top over the bottom coherence decile (infinite beyond 1e308),
        its log10, and the range of that from 1e-8 to 1e3 nats; `effective_count`; `radius_contrast`, mean radius
        of the top coherence decile less that of the bottom one; `unknown_entropies`."""
        carried: Carried = state.carried
        return {
            "temperature": carried.tuned.temperature,
            "allocation_ratio": _power(carried.tuned.log10_ratio),
            "log10_allocation_ratio": carried.tuned.log10_ratio,
            "log10_allocation_ratio_low": carried.tuned.reach[0],
            "log10_allocation_ratio_high": carried.tuned.reach[1],
            "effective_count": carried.effective,
            "radius_contrast": carried.contrast,
            "unknown_entropies": float(carried.unknown),
        }

    def notes(self, problem: Problem, state: State) -> str:
        """What a user should know: a ratio out of reach, unknown entropies. Empty where all is well."""
        tuned, unknown, *_ = state.carried
        said = []
        if self.temperature == "auto" and np.isnan(tuned.log10_ratio):
            said.append("fewer than two points have a prominence and an entropy, so the temperature is 1 nat")
        elif self.temperature == "auto" and not tuned.on_target:
            said.append(
                "no temperature gives the top coherence decile 10 to 100 times the allocation of the bottom one:"
                f" 10^{tuned.reach[0]:.3g} to 10^{tuned.reach[1]:.3g} can be reached,"
                f" {tuned.temperature:.3g} nats give 10^{tuned.log10_ratio:.3g}"
            )
        if unknown:
            said.append(f"{unknown} points of unknown entropy count as the median")
        return "; ".join(said)


class Sweep(NamedTuple):
    """One row of a temperature sweep.

    Attributes:
        temperature: nats.
        allocation_ratio: mean allocation of the top coherence decile over that of the bottom one; infinite
            beyond 1e308.
        log10_allocation_ratio: its log10, finite; NaN where there are no two deciles.
        effective_count: points that share the allocation in effect, 1 to N.
        radius_spread: standard deviation of the radii that the log allocation alone would give, stretched
            linearly over the band: small where a few points lie far from all others.
        radius_contrast: under balance, mean radius of the top coherence decile less that of the bottom one. The
            spread of the balanced radii is the same at every temperature; what changes is who lies where.
    """

    temperature: float
    allocation_ratio: float
    log10_allocation_ratio: float
    effective_count: float
    radius_spread: float
    radius_contrast: float


def sweep(
    prominence: np.ndarray,
    entropies: np.ndarray,
    temperatures: Iterable[float] = TEMPERATURES,
    *,
    radii: np.ndarray | None = None,
    exponent: float = 1.5,
) -> list[Sweep]:
    """What each temperature would do, without filling anything.

    Args:
        prominence: [N], 0 or more, N at least 1.
        entropies: [N] nats, 0 or more; NaN where unknown.
        temperatures: nats, each above 0.
        radii: [S] shell radii, ascending; 128 from 32 to 512 by default.
        exponent: p of the shells' capacity law.

    Raises:
        InputError: as `log_allocation`, or no points.
    """
    signals = Signals.of(prominence, entropies)
    points = len(signals.prominence)
    if not points:
        raise InputError("there are no points to sweep over; give at least one")
    shells = shell_radii(128, 32.0, 512.0) if radii is None else np.asarray(radii, np.float64)
    cuts = boundaries(capacities(points, shells, exponent))
    deciles = signals.deciles()
    ratio, rows = Ratio(signals, deciles), []
    for temperature in temperatures:
        check_temperature(temperature)
        logs, log10 = signals.log_allocation(temperature), ratio.log10(temperature)
        rows.append(
            Sweep(
                float(temperature),
                _power(log10),
                log10,
                effective_count(logs),
                float(np.std(_stretched(logs)) * (shells[-1] - shells[0])),
                _contrast(deciles, signals.order(logs, True), cuts, shells),
            )
        )
    return rows


def tune(prominence: np.ndarray, entropies: np.ndarray) -> Tuned:
    """The temperature that `EntropyWeighted(temperature="auto")` takes, see `Ratio.tuned`. Points without
    prominence or of unknown entropy are in neither decile.

    Raises:
        InputError: as `log_allocation`.
    """
    signals = Signals.of(prominence, entropies)
    return Ratio(signals, signals.deciles()).tuned()


def _contrast(deciles: np.ndarray, order: np.ndarray, cuts: np.ndarray, radii: np.ndarray) -> float:
    """Mean radius of the top coherence decile less that of the bottom one; NaN where there are none."""
    size = np.count_nonzero(deciles > 0)
    if not size:
        return float("nan")
    held = zip(radii, cuts[:-1], cuts[1:], strict=True)
    more = (radius * deciles[order[first:last]].sum(dtype=np.int64) for radius, first, last in held)
    return float(sum(more)) / size


def _stretched(logs: np.ndarray) -> np.ndarray:
    """To [0, 1], linearly; points without prominence share 0 with the lowest of the others."""
    floor = np.min(logs, where=logs > LOWEST, initial=logs.max())
    return np.maximum(logs - floor, 0.0) / max(logs.max() - floor, np.finfo(float).tiny)


def _power(log10: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.power(10.0, log10))
