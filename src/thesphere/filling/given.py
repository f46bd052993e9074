"""What the caller gave, checked and brought into the types of a `Problem`."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from thesphere.errors import InputError
from thesphere.filling.presets import preset as preset_of
from thesphere.filling.problem import Strategy
from thesphere.geometry import generator
from thesphere.geometry.namespace import whole_key
from thesphere.geometry.shells import capacities, shell_radii
from thesphere.runtime import one_blas_thread

if TYPE_CHECKING:
    from thesphere.neighbours import Neighbours

BAND = (32.0, 512.0)
SHELLS = 128
NEIGHBOURS, FEWER = 10, 8  # of the graph: what the chart takes, and what the dynamics do
MANY, AXES = 200_000, 48  # points from which a rough graph has to do, and the axes that tell its cells apart
CHARTS = ("pca", "spectral", "graph", "random")


def rows_of(embeddings: np.ndarray) -> np.ndarray:
    """[N, D] as given, N >= 1."""
    rows = np.asarray(embeddings)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu" or not rows.shape[1]:
        raise InputError(f"embeddings are {rows.dtype} of shape {list(rows.shape)}; give real numbers [N, D]")
    if not len(rows):
        raise InputError("there are no points to fill with; give at least one embedding")
    return rows


def entropies_of(entropies: np.ndarray | None, points: int, chosen: Strategy) -> np.ndarray | None:
    """float64 [N] nats, NaN where unknown, or None where they were not given and the strategy does without."""
    if entropies is not None:
        return column(entropies, points, "entropies", unknown=True)
    if getattr(chosen, "needs_entropies", False):
        raise InputError(f"method {chosen.name!r} needs entropies; give entropies=, one per point, in nats")
    return None


def column(values: np.ndarray, points: int, what: str, *, unknown: bool = False) -> np.ndarray:
    """float64 [N] of finite numbers, 0 or more, or NaN where that may be `unknown`."""
    given = np.asarray(values)
    if given.shape != (points,) or given.dtype.kind not in "fiu":
        raise InputError(
            f"{what} are {given.dtype} of shape {list(given.shape)}; give {points} numbers, one per point"
        )
    given = given.astype(np.float64, copy=False)
    good = (given >= 0) & (given < np.inf)
    if unknown:
        good |= np.isnan(given)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(f"row {row} of the {what} is {given[row]}; give finite numbers, 0 or more")
    return given


def seed_of(key: int | None) -> int:
    """The key as a number; None is 0."""
    return whole_key(key, 63)


def radii_of(
    points: int,
    shells: int | None,
    band: tuple[float, float] | None,
    exponent: float,
    spacing: str,
    preset: str | None,
) -> np.ndarray:
    """float64 [S]: the shells' radii, by what was asked, else by the preset, else by the defaults. Unless the
    number of shells was given, it is halved until the capacity of every shell is a point or more."""
    profile = preset_of(preset) if preset is not None else None
    if band is None:
        band = profile.band if profile else BAND
    if len(band) != 2:
        raise InputError(f"the band is {band!r}; give the smallest and the largest radius")
    low, high = float(band[0]), float(band[1])
    if shells is not None:
        if shells > points:
            raise InputError(f"{points} points cannot fill {shells} shells; give at most {points} shells")
        return shell_radii(shells, low, high, spacing)
    count = profile.shells if profile else SHELLS
    radii = shell_radii(count, low, high, spacing)
    while count > 1 and not capacities(points, radii, exponent).all():
        count //= 2
        radii = shell_radii(count, low, high, spacing)
    return radii


def finder(rows: np.ndarray, neighbours: "Neighbours | None", key: int) -> "Callable[[], Neighbours]":
    """Gives the neighbour graph: the one at hand, or one that is made at the first call."""

    @cache
    def find() -> "Neighbours":
        if neighbours is not None:
            return neighbours
        from thesphere.neighbours import nearest  # numba

        if len(rows) > MANY:
            return nearest(rows, FEWER, probes=1, axes=AXES, key=key)
        return nearest(rows, NEIGHBOURS, key=key)

    return find


def start_of(
    embeddings: np.ndarray,
    given: np.ndarray | None,
    chart: str | None,
    find: "Callable[[], Neighbours]",
    key: int,
) -> np.ndarray:
    """float32 [N, 3]: where the points start on the chart; ours to overwrite."""
    if given is not None:
        return directions(given, len(embeddings))
    if chart is None:
        return np.tile(np.array([0, 0, 1], np.float32), (len(embeddings), 1))
    if chart == "random":
        drawn = generator(key, 2).standard_normal((len(embeddings), 3), dtype=np.float32)
        return directions(drawn, len(embeddings))
    if chart == "pca":
        from thesphere.chart import pca_positions

        with (
            one_blas_thread()
        ):  # bound by memory: more threads spend more time and gain none on a busy machine
            return pca_positions(embeddings)
    if chart == "spectral":
        from thesphere.chart import spectral_positions

        return spectral_positions(find(), key=key)
    if chart == "graph":
        from thesphere.chart import chart as chart_of

        return np.array(chart_of(embeddings, neighbours=find(), key=key).positions)
    raise InputError(f"chart is {chart!r}; give one of {', '.join(CHARTS)} or None")


def directions(given: np.ndarray, points: int) -> np.ndarray:
    """A float32 [N, 3] copy of norm 1."""
    places = np.array(given, np.float32)
    if places.shape != (points, 3):
        raise InputError(f"positions have shape {list(places.shape)}; give directions [{points}, 3]")
    lengths = np.sqrt(np.einsum("nd,nd->n", places, places))
    if not ((lengths > 0) & np.isfinite(lengths)).all():
        raise InputError("a position is zero or not finite and has no direction; give unit vectors")
    places /= lengths[:, None]
    return places
