"""The energy of a candidate: six terms on one scale, in units of kT, lower is better.

In the earlier system the terms kept their own units: the squared radius had a standard deviation of 31,000 beside
the cosine's 0.3, and nothing but the radius decided; three of six weights entered no ranking. Here each term is
brought to the spread that it has over the candidates of the query, so that a weight says how much of a typical
difference in that term outweighs one in another.
"""

from dataclasses import dataclass, fields

import numpy as np

from thesphere.errors import InputError
from thesphere.neighbours.graph import Edges
from thesphere.runtime import precision_of

PRECISE = precision_of("energies")
TERMS = ("semantic", "radial", "graph", "entropy", "path", "harmonic")
FARTHEST = 6  # hops that are followed; what lies beyond counts as one more
CONSISTENT = 1.4826  # median absolute deviation of a normal distribution: standard deviation / 1.4826
MEAN_CONSISTENT = 1.2533  # the same for the mean absolute deviation: sqrt(pi / 2)


@dataclass(frozen=True)
class Weights:
    """How much each term counts. By default the semantic one alone: nearest neighbours are not traded for
    anything that was not asked for (the earlier defaults 1, 0.5, 0.3, 0.2, 0.1, 0.4 lost 96 % of them).

    Attributes:
        semantic: of closeness to the query.
        radial: of a radius, or norm, like the query's.
        graph: of springs to other good candidates.
        entropy: of low entropy.
        path: of few hops from the best candidate.
        harmonic: of the query's field on the chart.
        temperature: T, above 0; energies are divided by it. It changes no order, but how sharply `Navigation`
            shares belief among the hits.

    Below 0 a weight turns its term around.
    """

    semantic: float = 1.0
    radial: float = 0.0
    graph: float = 0.0
    entropy: float = 0.0
    path: float = 0.0
    harmonic: float = 0.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not np.isfinite(getattr(self, field.name)):
                raise InputError(f"weight {field.name} is {getattr(self, field.name)}; give a finite number")
        if not self.used:
            raise InputError(f"all weights are 0; give one of {', '.join(TERMS)} another")
        if not self.temperature > 0:
            raise InputError(f"the temperature is {self.temperature}; give a number above 0")

    @classmethod
    def uniform(cls) -> "Weights":
        """All terms alike."""
        return cls(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)

    @classmethod
    def semantic_only(cls) -> "Weights":
        """The default, by its earlier name."""
        return cls()

    @property
    def used(self) -> tuple[str, ...]:
        """The terms whose weight is not 0."""
        return tuple(name for name in TERMS if getattr(self, name))


def semantic(scores: np.ndarray) -> np.ndarray:
    """Minus the score: float64 [M]."""
    return -np.asarray(scores, PRECISE)


def radial(radii: np.ndarray, radius: float) -> np.ndarray:
    """(r - r_q)^2: float64 [M], 0 where the candidate lies on the query's shell."""
    return (np.asarray(radii, PRECISE) - radius) ** 2


def entropy(entropies: np.ndarray) -> np.ndarray:
    """The entropy itself: float64 [M]. Unknown (NaN) counts as the median of those that are known.

    The earlier sign preferred high entropy, against its own text.
    """
    nats = np.asarray(entropies, PRECISE)
    known = nats[~np.isnan(nats)]
    return np.where(np.isnan(nats), np.median(known) if len(known) else 0.0, nats)


def graph(edges: Edges, rows: np.ndarray, base: np.ndarray) -> np.ndarray:
    """What the springs to the other candidates bind: -sum_j w_ij b_j, float64 [M].

    b is each candidate's Boltzmann share exp(-e) / sum exp(-e) of its energy e so far. A candidate with many
    neighbours of low energy lies lower; without neighbours among the candidates it is 0. The earlier term was
    one number, added to all candidates alike.

    Args:
        edges: over all N rows; weights 0 or more are the springs' constants.
        rows: distinct integers [M], the candidates.
        base: [M], their energies in kT.
    """
    share = boltzmann(base)
    order = np.argsort(rows)
    tails, targets, weights = _leaving(edges, rows)
    where = np.minimum(np.searchsorted(rows, targets, sorter=order), len(rows) - 1)
    heads = order[where]
    joined = (rows[heads] == targets) & (heads != tails)
    pulls = weights[joined].astype(PRECISE) * share[heads[joined]]
    return -np.bincount(tails[joined], pulls, minlength=len(rows))


def path(edges: Edges, rows: np.ndarray, start: int) -> np.ndarray:
    """Hops from row `start` to each candidate: float64 [M], FARTHEST + 1 where more, or where no path leads."""
    hops = np.full(len(edges.starts) - 1, FARTHEST + 1, np.int8)
    hops[start] = 0
    front = np.array([start])
    for hop in range(1, FARTHEST + 1):
        _, reached, _ = _leaving(edges, front)
        front = np.unique(reached[hops[reached] > hop])
        hops[front] = hop
        if not len(front) or (hops[rows] <= FARTHEST).all():
            break
    return hops[rows].astype(PRECISE)


def harmonic(amplitudes: np.ndarray) -> np.ndarray:
    """Minus the intensity of the query's field where each candidate lies on the chart: float64 [M].

    The intensity is the squared amplitude, with the amplitude's sign: where the field speaks against a place
    the square alone would attract to it.
    """
    wide = np.asarray(amplitudes, PRECISE)
    return -wide * np.abs(wide)


def scaled(energies: np.ndarray) -> np.ndarray:
    """(energy - median) / (1.4826 median absolute deviation), float64 [M]: a robust z-score.

    The spread of the bulk sets the unit, so that one candidate far off (the one right answer, a norm of 10^6)
    does not shrink all other differences to nothing, as dividing by the range or the standard deviation would.
    Where more than half are equal (hops, springs) that deviation is 0, and 1.2533 times the mean absolute
    deviation takes its place. Where all are equal: 0.
    """
    values = np.asarray(energies, PRECISE)
    if not len(values):
        return values
    largest = np.abs(values).max() or 1.0
    centred = values / largest - np.median(values / largest)
    distances = np.abs(centred)
    unit = CONSISTENT * np.median(distances)
    if not unit > 1e-12:  # of the largest value: below that differences are rounding
        unit = MEAN_CONSISTENT * distances.mean()
    return centred / unit if unit > 1e-15 else np.zeros_like(values)


def total(terms: dict[str, np.ndarray], weights: Weights) -> np.ndarray:
    """sum of weight x scaled term, over the temperature: float64 [M], in kT."""
    parts = [getattr(weights, name) * term for name, term in terms.items()]
    return np.sum(parts, axis=0) / weights.temperature


def boltzmann(energies: np.ndarray) -> np.ndarray:
    """exp(-e) / sum exp(-e): float64 [M], 0 or more, sum 1."""
    if not len(energies):
        return np.zeros(0)
    values = np.asarray(energies, PRECISE)
    share = np.exp(values.min() - values)
    return share / share.sum()


def _leaving(edges: Edges, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All edges that leave some rows: (place in `rows`, target, weight), each [E]."""
    first, counts = edges.starts[rows], np.diff(edges.starts)[rows]
    tails = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(tails)) - np.repeat(np.cumsum(counts) - counts, counts)
    at = np.repeat(first, counts) + within
    return tails, edges.targets[at].astype(np.int64), edges.weights[at]
