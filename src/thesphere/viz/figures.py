"""Static figures with matplotlib: shells against their capacity, entropy along a text, power per degree.

Each takes arrays and a path that ends in .svg, .png or .pdf. The same arrays give the same file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thesphere.errors import InputError, MissingExtra, NotFoundError

UNDATED: dict[str, dict] = {".svg": {"Date": None}, ".png": {}, ".pdf": {"CreationDate": None}}
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#5b6678"  # told apart by the colour-blind (Okabe and Ito 2008)
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "thesphere",  # else the ids in an SVG are random
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
}


def draw_occupancy(occupancy: np.ndarray, capacities: np.ndarray, path: str | os.PathLike) -> None:
    """Points per shell (bars) against the shells' capacities (steps).

    Args:
        occupancy: [S] points on each shell, 0 or more.
        capacities: [S] points that each shell should hold, 0 or more.

    Raises InputError, NotFoundError, MissingExtra ("viz").
    """
    held, wanted = _row(occupancy, "occupancy"), _row(capacities, "capacities")
    if held.shape != wanted.shape:
        raise InputError(f"there are {held.size} shells filled and {wanted.size} capacities; give one each")
    misplaced = np.abs(held - wanted).sum() / (2 * held.sum() or 1)
    with _axes(path) as axes:
        edges = np.arange(held.size + 1) - 0.5
        axes.bar(np.arange(held.size), held, width=0.9, color=BLUE, alpha=0.75, label="points")
        axes.stairs(wanted, edges, color=ORANGE, linewidth=1.4, label="capacity")
        axes.set(xlabel="shell, centre to crust", ylabel="points", xlim=(edges[0], edges[-1]))
        axes.set_title(f"{held.sum():,.0f} points on {held.size} shells, {misplaced:.2%} misplaced")
        axes.legend(loc="upper left")


def draw_entropy(
    entropies: np.ndarray, boundaries: np.ndarray, path: str | os.PathLike, *, threshold: float | None = None
) -> None:
    """Entropy along a text with the boundaries of its patches.

    Args:
        entropies: [T] nats per byte; NaN leaves a gap.
        boundaries: [P] whole numbers in [0, T], where patches start.
        threshold: nats, drawn as a line where given.

    Raises InputError, NotFoundError, MissingExtra ("viz").
    """
    nats = _row(entropies, "entropies", gaps=True)
    starts = np.asarray(boundaries)
    inside = starts.ndim == 1 and (not starts.size or (starts.dtype.kind in "iu" and starts.min() >= 0))
    if not inside or (starts.size and starts.max() > nats.size):
        raise InputError(f"boundaries must be one row of whole numbers from 0 to {nats.size}")
    if threshold is not None and not np.isfinite(threshold):
        raise InputError(f"threshold is {threshold}; give nats, or None for no line")
    with _axes(path, width=9.0) as axes:
        axes.vlines(
            starts, 0, 1, transform=axes.get_xaxis_transform(), color=ORANGE, linewidth=0.7, alpha=0.7
        )
        axes.plot(np.arange(nats.size), nats, color=BLUE, linewidth=1.0)
        if threshold is not None:
            axes.axhline(threshold, color=GREY, linewidth=0.8, linestyle="--")
        axes.set(xlabel="byte", ylabel="entropy of the next byte, nats", xlim=(0, max(1, nats.size)))
        axes.set_ylim(bottom=0.0)
        axes.set_title(f"{nats.size:,} bytes, {starts.size:,} boundaries")


def draw_power(power: np.ndarray, path: str | os.PathLike) -> None:
    """Power per degree l = 0 .. L - 1 of a field on the sphere, on a logarithmic scale; zeros are left out.

    Args:
        power: [L], 0 or more.

    Raises InputError, NotFoundError, MissingExtra ("viz").
    """
    values = _row(power, "power")
    degrees = np.flatnonzero(values)
    with _axes(path) as axes:
        axes.plot(degrees, values[degrees], color=BLUE, marker="o", markersize=3, linewidth=1.0)
        if degrees.size:
            axes.set_yscale("log")
        axes.set(xlabel="degree l", ylabel="power", xlim=(-0.5, max(0.5, values.size - 0.5)))
        axes.set_title(f"power per degree, {values.sum():.3g} in all")


def draw_curve(steps: ArrayLike, values: ArrayLike, path: str | os.PathLike, *, name: str) -> None:
    """What training logged (`name`, the lower the better) against its steps.

    Args:
        steps: [N] numbers of steps.
        values: [N], 0 or more.

    Raises InputError, NotFoundError, MissingExtra ("viz").
    """
    at, told = _row(steps, "steps"), _row(values, name)
    if at.shape != told.shape:
        raise InputError(f"there are {at.size} steps and {told.size} values; give one each")
    with _axes(path) as axes:
        axes.plot(at, told, color=BLUE, linewidth=1.2)
        axes.set(xlabel="step", ylabel=name, ylim=(0, None))
        axes.set_title(f"{name}: {told[0]:.3f} at first, {told[-1]:.3f} at the end")


def _row(values: ArrayLike, name: str, *, gaps: bool = False) -> np.ndarray:
    row = np.asarray(values, np.float64)
    if row.ndim != 1 or not row.size:
        raise InputError(f"{name} has shape {list(row.shape)}; expected one row of at least one number")
    known = row[~np.isnan(row)] if gaps else row
    if not (np.isfinite(known) & (known >= 0)).all():
        raise InputError(f"{name} holds a value that is not a finite number of 0 or more; mend it first")
    return row


def matplotlib_of() -> Any:
    """The module matplotlib, with its figures.

    Raises MissingExtra ("viz").
    """
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError:
        raise MissingExtra("a figure", "viz") from None
    return matplotlib


@contextmanager
def _axes(path: str | os.PathLike, width: float = 6.4) -> Iterator[Any]:
    """Axes to draw on, saved to `path` afterwards; no window, no backend, no setting that outlives it."""
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in UNDATED:
        raise InputError(f"{target} does not end in {', '.join(UNDATED)}; the ending chooses the format")
    if not target.parent.is_dir():
        raise NotFoundError(f"the folder {target.parent} does not exist; make it first")
    matplotlib = matplotlib_of()
    with matplotlib.rc_context(STYLE):
        figure = matplotlib.figure.Figure(figsize=(width, 3.4), layout="constrained")
        yield figure.add_subplot()
        figure.savefig(target, dpi=160, metadata=UNDATED[kind])
