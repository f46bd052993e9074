"""The points of a collection as a problem for `thesphere.filling`: their signals, their zones, their chart."""

from dataclasses import replace
from typing import Any

import numpy as np

from thesphere.errors import InputError
from thesphere.filling import Filling, Strategy, fill, refill
from thesphere.geometry import Zones, angles
from thesphere.progress import Progress
from thesphere.sphere.places import Places, taken
from thesphere.sphere.roles import Roles
from thesphere.types import Points


def fill_points(
    points: Points,
    roles: Roles,
    method: str | Strategy,
    *,
    chart: str | None,
    key: int | None,
    progress: Progress,
    **options: Any,
) -> Filling:
    """Fill the shells with these points; see `Sphere.fill`."""
    roles.check(points.names)
    if roles and chart != "graph":
        raise InputError(f"zones are kept by the chart 'graph' only, and chart is {chart!r}")
    if chart == "graph":
        from thesphere.chart import chart as chart_of
        from thesphere.neighbours import nearest

        graph = nearest(points.embeddings, key=key)
        zoned = roles.of(points) if roles else None
        drawn = chart_of(points.embeddings, neighbours=graph, roles=zoned, key=key, progress=progress)
        options = {"neighbours": graph, "positions": drawn.positions} | options
    filling = fill(
        points.embeddings,
        prominence=points.prominence,
        entropies=_entropies(points),
        method=method,
        chart=chart,
        key=key,
        **options,
    )
    return _zoned(filling, points, roles)


def refill_points(
    points: Points, places: Places, method: str | Strategy, *, key: int | None, **options: Any
) -> Filling:
    """Restore the balance where later points have disturbed it; see `Sphere.fill`."""
    order = np.argsort(~places.kept, kind="stable")  # the known ones first
    entropies = _entropies(points)
    filled = refill(
        taken(places.filling, order[: int(places.kept.sum())]),
        points.embeddings[order],
        prominence=points.prominence[order],
        entropies=None if entropies is None else entropies[order],
        positions=places.filling.positions[order],
        method=method,
        key=key,
        **options,
    )
    return _zoned(taken(filled, np.argsort(order, kind="stable")), points, places.roles)


def _entropies(points: Points) -> np.ndarray | None:
    return None if np.isnan(points.entropies).all() else points.entropies


def _zoned(filling: Filling, points: Points, roles: Roles) -> Filling:
    """Every point inside its zone, also where the method moved it along its shell."""
    if not roles:
        return filling
    theta, phi = angles(Zones().constrain(filling.positions, roles.of(points)))
    return replace(filling, theta=theta, phi=phi)
