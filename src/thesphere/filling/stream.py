"""Points that come later: a place for each without moving the others, and refilling with few moves."""

from dataclasses import replace

import numpy as np

from thesphere.errors import InputError
from thesphere.filling.fill import by_prominence, run
from thesphere.filling.given import column, directions, entropies_of, finder, rows_of, seed_of
from thesphere.filling.info import BALANCED, Filling, ShellTable
from thesphere.filling.methods import strategy
from thesphere.filling.osmotic import Osmotic
from thesphere.filling.problem import Problem, State, Strategy
from thesphere.geometry import generator
from thesphere.geometry.shells import capacities

KNOWN = 20_000  # old points, at most, among which a new one looks for its neighbours


def place(filling: Filling | ShellTable, prominence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where new points belong among the old ones, which stay: (radii float32 [M], shells int32 [M]).

    A point goes to the shell whose bounds hold its prominence. Points on a bound itself (many equal prominences
    that spread over several shells) are dealt out over these shells in proportion to the capacities, by row.

    Raises:
        InputError: prominence that is not one row of finite numbers, 0 or more.
    """
    table = filling.table if isinstance(filling, Filling) else filling
    flow = np.asarray(prominence)
    if flow.ndim != 1 or flow.dtype.kind not in "fiu":
        raise InputError(f"prominence is {flow.dtype} of shape {list(flow.shape)}; give one number per point")
    flow = flow.astype(np.float64, copy=False)
    bad = np.flatnonzero(~(np.isfinite(flow) & (flow >= 0)))
    if len(bad):
        raise InputError(f"row {bad[0]} of the prominence is {flow[bad[0]]}; give finite numbers, 0 or more")
    flip = 1.0 if table.outward else -1.0
    bounds = table.bounds * flip
    inner = np.searchsorted(bounds, flow * flip, side="left").astype(np.int32)
    shells = np.searchsorted(bounds, flow * flip, side="right").astype(np.int32)
    tied = np.flatnonzero(inner < shells)
    for value in np.unique(flow[tied]):  # at most S - 1 different ones
        rows = tied[flow[tied] == value]
        low, high = inner[rows[0]], shells[rows[0]]
        room = np.cumsum(table.capacities[low : high + 1])
        shells[rows] = low + np.searchsorted(
            room / max(1, room[-1]), (np.arange(len(rows)) + 0.5) / len(rows)
        )
    return table.radii.astype(np.float32)[shells], shells


def refill(
    filling: Filling,
    embeddings: np.ndarray,
    *,
    prominence: np.ndarray | None = None,
    entropies: np.ndarray | None = None,
    method: str | Strategy = "osmotic",
    positions: np.ndarray | None = None,
    key: int | None = None,
    max_steps: int | None = None,
    throw: bool = False,
    project: bool = False,
) -> Filling:
    """Fill the same shells again after points were added: `embeddings` holds the old rows first, then the new.

    New points start where `place` puts them; then the shells flow to their new capacities. "osmotic" stops as
    soon as the total variation is 0.01, which often needs no move at all; "prominence" and "hybrid" go on to
    exact balance from where the points lie; every other method fills anew. Old points keep their angles
    (unless the method moves points along their shell); a new one takes its from its nearest neighbours among at
    most 20,000 old ones.

    `info.measures["moved"]` is the number of old points that changed their shell.

    Args:
        filling: of the first rows.
        embeddings, prominence, entropies, method, key, max_steps, throw, project: as in `fill`, old and new.
        positions: directions [N, 3] of all points, if they are known.

    Raises:
        InputError: fewer rows than the filling has, or what `fill` refuses.
    """
    rows, seed, table = rows_of(embeddings), seed_of(key), filling.table
    points, old = len(rows), len(filling)
    if points < old:
        raise InputError(
            f"the filling has {old} points and there are {points} rows; give the old rows, then new"
        )
    chosen = strategy(method)
    if isinstance(method, str) and chosen.name == Osmotic.name:
        chosen = Osmotic(tolerance=BALANCED)
    if prominence is None:
        from thesphere.norms import row_norms  # numba

        flow = row_norms(rows)
    else:
        flow = column(prominence, points, "prominence")
    nats = entropies_of(entropies, points, chosen)
    find = finder(rows, None, seed)
    places = _places(filling, rows, positions, seed)
    caps = capacities(points, table.radii, table.exponent)
    problem = Problem(rows, flow, nats, table.radii, caps, table.outward, places, find)
    begun = None
    if getattr(chosen, "resumes", False):
        shells = np.concatenate([filling.shells, place(table, flow[old:])[1]])
        cuts = np.concatenate([[0], np.cumsum(np.bincount(shells, minlength=len(caps)))]).astype(np.int64)
        order = by_prominence(flow, np.argsort(shells, kind="stable"), cuts, table.outward)
        begun = State(order, cuts)
    filled = run(
        problem,
        chosen,
        table.exponent,
        begun=begun,
        key=seed,
        max_steps=max_steps,
        throw=throw,
        project=project,
    )
    if positions is None and not filled.info.lateral_moves:  # to the last bit
        filled.theta[:old], filled.phi[:old] = filling.theta, filling.phi
    moved = float((filled.shells[:old] != filling.shells).sum())
    return replace(filled, info=replace(filled.info, measures={**filled.info.measures, "moved": moved}))


def _places(filling: Filling, rows: np.ndarray, given: np.ndarray | None, key: int) -> np.ndarray:
    """float32 [N, 3]: the old points where they were, the new ones near their neighbours."""
    if given is not None or len(rows) == len(filling):
        return directions(filling.positions if given is None else given, len(rows))
    from thesphere.chart import place as place_on_chart  # numba

    old = len(filling)
    known = np.arange(old)
    if old > KNOWN:
        known = np.sort(generator(key, 3).choice(old, KNOWN, replace=False))
    places = filling.positions
    new = place_on_chart(rows[old:], rows[known], places[known])
    return np.concatenate([places, new]).astype(np.float32, copy=False)
