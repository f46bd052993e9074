"""The verb: divide rows into cells."""

import time
from functools import cache
from typing import TYPE_CHECKING, get_args

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry.zones import CONTENT, QUESTION
from thesphere.neighbours import Neighbours, nearest
from thesphere.norms import row_norms
from thesphere.roots.config import DENSITY
from thesphere.roots.partition import measure
from thesphere.roots.partition.assign import means, unit
from thesphere.roots.partition.couplings import couplings
from thesphere.roots.partition.methods import strategy
from thesphere.roots.partition.problem import Metric, Problem
from thesphere.roots.partition.record import Partition, Report
from thesphere.roots.partition.sketch import sketch, texts_of
from thesphere.runtime import workers

if TYPE_CHECKING:
    from thesphere.neighbours.graph import Edges
    from thesphere.roots.partition.problem import Strategy

NEIGHBOURS = 16  # of a graph that a method asks for


def partition(
    vectors: np.ndarray,
    count: int | None = None,
    *,
    metric: Metric = "cosine",
    method: "str | Strategy" = "kmeans",
    neighbours: Neighbours | None = None,
    text=None,
    alpha: float = 0.7,
    beta: float = 0.3,
    roles: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    key: int | None = None,
    threads: int | None = None,
) -> Partition:
    """Divide rows into cells of like rows.

    Args:
        vectors: real numbers [N, D], N may be 0; neither changed nor copied as a whole.
        count: K, cells that are wanted; 4 sqrt(N) unless given, never more than N. There are fewer where rows
            repeat, and more where there are more roles than cells.
        metric: "cosine" (only directions count) or "ip" (inner product of rows as they are).
        method: a name out of `METHODS` (or an older alias such as "ising_max_cut"), or a strategy with settings
            of its own.
        neighbours: of the rows, by cosine; found when a method needs them unless given.
        text: a list of N bytes objects, or (uint8 bytes, offsets [N + 1]): what the couplings of "potts" and
            "ising" take substrings from.
        alpha, beta: weights of cosine and substring similarity in these couplings.
        roles: [N] of 0 (content), 1 (instruction), 2 (question): no cell holds rows of two.
        classes: [N], what the report's purity is about.
        key: seed of everything that is drawn (None: 0); same key, same cells, on any number of threads.
        threads: workers; all cores unless given.

    Raises:
        InputError: anything above is not as described, or a row holds NaN or infinity.
    """
    begun = time.perf_counter()
    rows, norms = checked_rows(vectors)
    chosen, seed = strategy(method), _whole(0 if key is None else key, "key", 0)
    if metric not in get_args(Metric):
        raise InputError(f"metric is {metric!r}, expected 'cosine' or 'ip'")
    if neighbours is not None and len(neighbours) != len(rows):
        raise InputError(f"there are neighbours of {len(neighbours)} rows and {len(rows)} vectors")
    if not (np.isfinite([alpha, beta]).all() and min(alpha, beta) >= 0):
        raise InputError(f"alpha is {alpha} and beta {beta}; give finite numbers, 0 or more")
    wanted = round(DENSITY * len(rows) ** 0.5) if count is None else _whole(count, "count", 1)
    sketches = None if text is None else sketch(texts_of(text, len(rows)))
    workforce = workers() if threads is None else _whole(threads, "threads", 1)
    kinds = _roles(roles, len(rows))
    labels, cells, rounds, made = np.zeros(len(rows), np.int32), 0, 0, neighbours
    held, counts = _shares(kinds, wanted)
    for role, cells_of_role in zip(held, counts, strict=True):
        own = np.flatnonzero(kinds == role) if len(held) > 1 else np.arange(len(rows))
        part, graph = _problem(
            rows, norms, own, metric, cells_of_role, seed, workforce, neighbours, (alpha, beta, sketches)
        )
        found = chosen.divide(part)
        used, compact = np.unique(found.labels, return_inverse=True)
        labels[own] = compact.reshape(-1) + cells
        cells, rounds = cells + len(used), max(rounds, found.rounds)
        if len(held) == 1 and graph:
            made = graph[0]
    sizes = np.bincount(labels, minlength=cells).astype(np.int64)
    centroids = centroids_of(rows, labels, cells, metric)
    cell_roles = np.zeros(cells, np.int32)
    cell_roles[labels] = kinds
    report = Report(
        chosen.name,
        rounds,
        time.perf_counter() - begun,
        float("nan") if made is None else measure.cut(labels, made.edges()),
        measure.balance(sizes),
        float("nan") if classes is None else measure.purity(labels, np.asarray(classes)),
    )
    return Partition(labels, centroids, sizes, report, cell_roles)


def checked_rows(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows as given and their norms, float64 [N]; errors as `partition`."""
    rows = np.asarray(vectors)
    if rows.ndim != 2 or not rows.shape[1] or rows.dtype.kind not in "fiu":
        raise InputError(
            f"vectors are {rows.dtype} of shape {list(rows.shape)}; give real numbers [N, D], D >= 1"
        )
    norms = row_norms(rows)
    beyond = np.flatnonzero(norms > np.finfo(np.float32).max)
    if len(beyond):
        raise InputError(f"row {beyond[0]} of the vectors has norm {norms[beyond[0]]:.3g}, beyond float32")
    return rows, norms


def _whole(number, what: str, least: int) -> int:
    try:
        value = number.__index__()
    except AttributeError:
        raise InputError(f"{what} is {number!r}; give a whole number, {least} or more") from None
    if not least <= value < 1 << 63:
        raise InputError(f"{what} is {value}; give a whole number, {least} or more")
    return value


def _roles(roles: np.ndarray | None, count: int) -> np.ndarray:
    if roles is None:
        return np.zeros(count, np.int32)
    kinds = np.asarray(roles)
    if kinds.shape != (count,) or kinds.dtype.kind not in "iu":
        raise InputError(f"roles are {kinds.dtype} of shape {list(kinds.shape)}; give {count} whole numbers")
    if count and not CONTENT <= kinds.min() <= kinds.max() <= QUESTION:
        raise InputError("a role is none of 0 (content), 1 (instruction), 2 (question)")
    return kinds.astype(np.int32)


def _shares(kinds: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """The roles that occur, and how many of the wanted cells each gets by its share of the rows: 1 or more,
    and not more than it has rows."""
    held, rows = np.unique(kinds, return_counts=True)
    ends = np.round(np.cumsum(rows) * wanted / max(1, len(kinds))).astype(np.int64)
    return held, np.clip(np.diff(ends, prepend=0), 1, rows)


def _problem(rows, norms, own, metric, count, key, threads, neighbours, mixed) -> tuple[Problem, list]:
    """The problem of some of the rows (of all: not copied), and a list that holds the neighbour graph once it
    has been asked for."""
    whole, (alpha, beta, sketches) = len(own) == len(rows), mixed
    own_rows, own_norms = (rows, norms) if whole else (rows[own], norms[own])
    asked: list[Neighbours] = []

    @cache
    def find_neighbours() -> Neighbours:
        if neighbours is None:
            graph = nearest(own_rows, NEIGHBOURS, key=key)
        else:
            graph = neighbours if whole else _among(neighbours, own)
        asked.append(graph)
        return graph

    @cache
    def find_couplings() -> "Edges":
        some = sketches if sketches is None or whole else sketches[own]
        return couplings(
            own_rows, find_neighbours(), alpha=alpha, beta=beta, sketches=some, random=problem.random(1)
        )

    problem = Problem(own_rows, own_norms, metric, int(count), key, threads, find_neighbours, find_couplings)
    return problem, asked


def _among(neighbours: Neighbours, own: np.ndarray) -> Neighbours:
    """The graph of some rows only, renumbered; the others' slots are empty."""
    place = np.full(len(neighbours) + 1, -1, np.int32)  # the last answers for -1
    place[own] = np.arange(len(own))
    ids = place[neighbours.ids[own]]
    return Neighbours(ids, np.where(ids >= 0, neighbours.similarities[own], -np.inf).astype(np.float32))


def centroids_of(rows: np.ndarray, labels: np.ndarray, cells: int, metric: Metric) -> np.ndarray:
    """float32 [cells, D]; see `Partition`."""
    if metric == "cosine":
        return unit(means(rows, labels, cells, scale=None))
    return means(rows, labels, cells, scale=1).astype(np.float32)
