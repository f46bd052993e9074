"""The verb: give every point a shell, a radius and a place on the chart."""

from typing import TYPE_CHECKING

import numpy as np

from thesphere.errors import InputError
from thesphere.filling.cuts import boundaries, moved
from thesphere.filling.given import (
    column,
    entropies_of,
    finder,
    radii_of,
    rows_of,
    seed_of,
    start_of,
)
from thesphere.filling.info import (
    BALANCED,
    Filling,
    Info,
    Result,
    ShellTable,
    thermal_limit,
    total_variation,
)
from thesphere.filling.methods import strategy
from thesphere.filling.problem import Problem, State, Strategy
from thesphere.geometry import generator
from thesphere.geometry.shells import capacities

if TYPE_CHECKING:
    from thesphere.neighbours import Neighbours

STEPS = 1000
BLOCK = 1 << 14  # rows that are converted at once


def fill(
    embeddings: np.ndarray,
    *,
    prominence: np.ndarray | None = None,
    entropies: np.ndarray | None = None,
    method: str | Strategy = "quantile",
    key: int | None = None,
    max_steps: int | None = None,
    throw: bool = False,
    shells: int | None = None,
    band: tuple[float, float] | None = None,
    exponent: float = 1.5,
    spacing: str = "sqrt",
    orientation: str = "outward",
    preset: str | None = None,
    project: bool = False,
    positions: np.ndarray | None = None,
    neighbours: "Neighbours | None" = None,
    chart: str | None = "pca",
) -> Filling:
    """Fill the shells of a sphere with points: the prominent ones outside, every shell to its capacity.

    The capacity of a shell of radius R is N R^exponent / sum R^exponent, rounded so that the sum is N.

    Args:
        embeddings: real numbers [N, D], N >= 1; not normalised, not copied.
        prominence: [N], 0 or more; the rows' L2 norms unless given.
        entropies: [N], nats, 0 or more, NaN where unknown; some methods need them.
        method: a name out of `METHODS` (or an older alias such as "orch_or"), or a strategy with settings of
            its own.
        key: seed of everything that is drawn (None: 0); same key, same filling.
        max_steps: passes at most; the strategy's own figure, or 1,000, unless given.
        throw: raise where the filling does not converge; `result` says it in any case.
        shells: how many; 128 unless given, halved until every shell has room for a point.
        band: smallest and largest radius; 32 to 512 unless given.
        exponent: of the capacity law.
        spacing: of the shells: linear, sqrt, geometric, golden, prime, quadratic or log.
        orientation: "outward", the most prominent points at the crust, or "inward", at the centre.
        preset: "dev", "medium", "large" or "planetary": band and largest number of shells by size.
        project: move as few points as possible at the end so that every shell holds exactly its capacity;
            `info.projected` says how many.
        positions: [N, 3] directions on the chart to start from.
        neighbours: of the embeddings, for methods that need them; found when needed unless given.
        chart: where positions come from unless given: "pca" (fast), "spectral", "graph" (neighbours stay
            together), "random" (by key, uniform), or None: no angles, all points at theta = phi = 0.

    Raises:
        InputError: anything above is not as described, or, with `throw`, the filling did not converge.
    """
    rows = rows_of(embeddings)
    points, seed = len(rows), seed_of(key)
    chosen = strategy(method)
    flow = None if prominence is None else column(prominence, points, "prominence")
    nats = entropies_of(entropies, points, chosen)
    if orientation not in ("outward", "inward"):
        raise InputError(f"orientation is {orientation!r}; give 'outward' or 'inward'")
    if neighbours is not None and len(neighbours.ids) != points:
        raise InputError(f"there are neighbours of {len(neighbours.ids)} points and {points} embeddings")
    radii = radii_of(points, shells, band, exponent, spacing, preset)
    held = capacities(points, radii, exponent)
    find = finder(rows, neighbours, seed)
    places = start_of(rows, positions, chart, find, seed)
    if flow is None:
        from thesphere.norms import row_norms  # numba

        flow = row_norms(rows)
    problem = Problem(rows, flow, nats, radii, held, orientation == "outward", places, find)
    return run(problem, chosen, exponent, key=seed, max_steps=max_steps, throw=throw, project=project)


def run(
    problem: Problem,
    chosen: Strategy,
    exponent: float,
    *,
    begun: State | None = None,
    key: int = 0,
    max_steps: int | None = None,
    throw: bool = False,
    project: bool = False,
) -> Filling:
    """Step the strategy, from `begun` or its own start, until it is done or has taken `max_steps`, and read the
    filling off its last state. The problem's positions become the filling's coordinates and are overwritten."""
    limit = int(getattr(chosen, "steps", STEPS)) if max_steps is None else max_steps
    if limit < 0:
        raise InputError(f"max_steps is {limit}; give 0 or more")
    caps = problem.capacities
    state = chosen.init(problem, key=key) if begun is None else begun
    keys = generator(key, 1)
    tv, counts, done = [total_variation(state.occupancy, caps)], np.zeros(3, np.int64), False
    while not done and len(tv) <= limit:
        state, made = chosen.step(problem, state, key=int(keys.integers(1 << 31)))
        tv.append(total_variation(state.occupancy, caps))
        counts += (made.promotions, made.demotions, made.lateral_moves)
        done = made.done
    notes = getattr(chosen, "notes", None)
    result = _result(chosen, tv, done, caps, notes(problem, state) if notes else "")
    if throw and not result.converged:
        raise InputError(result.message)
    figures = getattr(chosen, "measures", None)
    measures = figures(problem, state) if figures else {}
    snapped = None
    if project:
        state, snapped = _projected(problem, state)
    held = state.occupancy
    made = [int(count) for count in counts]
    info = Info(chosen.name, len(tv) - 1, made[0], made[1], made[2], caps, held, tv, snapped, measures)
    table = ShellTable(problem.radii, _bounds(problem, state), caps, held, exponent, problem.outward)
    return _filling(problem, state, table, result, info)


def _result(chosen: Strategy, tv: list[float], done: bool, caps: np.ndarray, notes: str) -> Result:
    allowed = max(thermal_limit(caps), BALANCED) if chosen.thermal else BALANCED
    what = f"{chosen.name}: total variation {tv[-1]:.2g} after {len(tv) - 1} passes, {allowed:.2g} is allowed"
    what = f"{what}; {notes}" if notes else what
    if not done:
        return Result(False, f"{what}; it is not at rest yet, give more max_steps")
    if tv[-1] > allowed:
        return Result(False, f"{what}; project=True would snap the shells to what they should hold")
    return Result(True, what)


def _filling(problem: Problem, state: State, table: ShellTable, result: Result, info: Info) -> Filling:
    """Positions turn into (radius, theta, phi) in place: a million points need no second array."""
    shells = np.empty(len(problem), np.int32)
    for shell, (first, last) in enumerate(zip(state.cuts[:-1], state.cuts[1:], strict=True)):
        shells[state.order[first:last]] = shell
    coordinates = problem.positions if state.positions is None else state.positions
    if not coordinates.flags.writeable:
        coordinates = coordinates.copy()
    radii = problem.radii.astype(np.float32)
    for first in range(0, len(shells), BLOCK):
        block = slice(first, first + BLOCK)
        theta, phi = _angles(coordinates[block])
        coordinates[block, 0] = radii[shells[block]]
        coordinates[block, 1] = theta
        coordinates[block, 2] = phi
    return Filling(coordinates[:, 0], shells, coordinates[:, 1], coordinates[:, 2], table, result, info)


def _angles(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """theta in [0, pi] and phi in [0, 2 pi) of float32 unit vectors [M, 3], phi 0 at the poles: geometry.angles
    without its guards against over- and underflow, which cost four times as much."""
    x, y, z = directions.T
    across, phi = np.hypot(x, y), np.arctan2(y, x)
    phi[phi < 0] += np.float32(2 * np.pi)
    phi[(phi >= np.float32(2 * np.pi)) | (across == 0)] = 0  # the last turn rounds up to 2 pi
    return np.arctan2(across, z), phi


def _projected(problem: Problem, state: State) -> tuple[State, int]:
    """Cut the order, each shell's points by prominence, at the capacities: whom to move is then clear. The
    number of points that moved comes with it."""
    order = by_prominence(problem.prominence, state.order, state.cuts, problem.outward)
    cuts = boundaries(problem.capacities)
    return State(order, cuts, state.positions, state.carried), sum(moved(state.cuts, cuts))


def by_prominence(prominence: np.ndarray, order: np.ndarray, cuts: np.ndarray, outward: bool) -> np.ndarray:
    """int64 [N]: the same shells, the points of each by prominence and row."""
    order = order.copy()
    for first, last in zip(cuts[:-1], cuts[1:], strict=True):
        inside = np.sort(order[first:last])
        flow = prominence[inside]
        order[first:last] = inside[np.argsort(flow if outward else -flow, kind="stable")]
    return order


def _bounds(problem: Problem, state: State) -> np.ndarray:
    """float64 [S - 1]: prominences between the shells, as they are where the points' prominences are cut at the
    shells' occupancies: half way between the last one inside and the first one outside."""
    flow, cuts = problem.prominence, state.cuts[1:-1]
    places = np.unique(np.clip(np.concatenate([cuts - 1, cuts]), 0, len(flow) - 1))
    found = flow[state.order[places]]
    flip = 1.0 if problem.outward else -1.0
    if not _sorted(flow, state.order, flip):
        found = flow * flip
        found.partition(places)
        found = found[places] * flip
    ends = flip * np.inf
    inside = np.where(cuts > 0, found[np.searchsorted(places, np.maximum(cuts - 1, 0))], -ends)
    outside = np.where(
        cuts < len(flow), found[np.searchsorted(places, np.minimum(cuts, len(flow) - 1))], ends
    )
    with np.errstate(invalid="ignore"):
        return np.where(
            np.isfinite(inside) & np.isfinite(outside), inside / 2 + outside / 2, inside + outside
        )


def _sorted(flow: np.ndarray, order: np.ndarray, flip: float) -> bool:
    for first in range(0, len(order) - 1, BLOCK):
        if (np.diff(flow[order[first : first + BLOCK + 1]]) * flip < 0).any():
            return False
    return True
