"""The verb: embeddings in, a chart out."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from thesphere.chart.descent import descend
from thesphere.chart.pca import on_sphere, pca_positions
from thesphere.chart.spectral import spectral_positions
from thesphere.chart.zoning import checked_roles, heights_of, into_zones, scales_of
from thesphere.errors import InputError
from thesphere.geometry import Zones, angles, generator
from thesphere.neighbours.graph import Edges, Neighbours
from thesphere.neighbours.search import nearest
from thesphere.progress import SILENT, Progress
from thesphere.runtime import precision_of

Start = Literal["spectral", "pca"]
NEIGHBOURS = 10  # that attract a point
TIGHTNESS = 0.7  # the kernel's last scale, in typical distances of points


@dataclass(frozen=True)
class Chart:
    """A place on the sphere for every point.

    Attributes:
        positions: float32 [N, 3], norm 1.
        theta: float32 [N], colatitude in [0, pi].
        phi: float32 [N], azimuth in [0, 2 pi).
    """

    positions: np.ndarray
    theta: np.ndarray
    phi: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)


def chart(
    embeddings: np.ndarray,
    *,
    neighbours: Neighbours | None = None,
    start: Start | np.ndarray = "pca",
    epochs: int | None = None,
    roles: np.ndarray | None = None,
    zones: Zones | None = None,
    key: int | None = None,
    progress: Progress = SILENT,
) -> Chart:
    """A chart on which neighbours by cosine lie together; see `descent` for the loss and its source.

    Args:
        embeddings: numbers [N, D]; the norms do not matter.
        neighbours: of these embeddings, 10 or more each; None to search them.
        start: "pca", "spectral" (slower; measured, the descent ends equally well), or unit vectors [N, 3].
        epochs: steps of all points; 0 gives the start; None for 200, fewer beyond 100,000 points.
        roles: integers [N], 0 content, 1 instruction, 2 question: a point stays inside the zone of its role.
            None with zones: all content. None without: no zones.
        zones: where they lie; None with roles: `Zones()`.
        key: of the start and the samples. The same key gives the same chart on any number of threads.
        progress: told about epochs.

    Raises:
        InputError: shapes that do not belong together, an unknown start or role, NaN or infinity.
    """
    count, key = len(np.atleast_1d(embeddings)), key or 0
    steps = default_epochs(count) if epochs is None else epochs
    if steps < 0 or (neighbours is not None and len(neighbours) != count):
        held = "none" if neighbours is None else len(neighbours)
        raise InputError(
            f"epochs is {steps}, there are {count} embeddings and neighbours of {held}; give 0 epochs or more,"
            " and embeddings and neighbours of the same points"
        )
    if roles is not None and zones is None:
        zones = Zones()
    kinds = checked_roles(roles, count)
    if neighbours is None and count > 1 and (steps or (isinstance(start, str) and start == "spectral")):
        neighbours = nearest(embeddings, NEIGHBOURS, key=key)
    positions = _start(embeddings, neighbours, start, key).astype(precision_of("layout"), copy=False)
    if zones is not None:
        positions = into_zones(positions, zones, kinds)
    if neighbours is not None and count > 1 and steps:
        scales = scales_of(zones, kinds, TIGHTNESS)
        noise = generator(key, 1).standard_normal(positions.shape, positions.dtype)
        positions += 0.1 * scales[:, None] * noise  # parts duplicates
        positions = descend(
            on_sphere(positions),
            attraction(neighbours.first(NEIGHBOURS)),
            epochs=steps,
            scales=scales,
            heights=heights_of(zones),
            roles=kinds,
            key=key,
            progress=progress,
        )
        if zones is not None:
            positions = zones.constrain(positions, kinds)
    return Chart(positions, *angles(positions))


def attraction(neighbours: Neighbours) -> Edges:
    """The graph that pulls: every point shares 1 equally among its neighbours of positive cosine, and the
    weight of a pair is the mean of both sides."""
    kept = (neighbours.ids >= 0) & (neighbours.similarities > 0)
    return neighbours.edges(kept / np.maximum(kept.sum(axis=1, keepdims=True), 1))


def default_epochs(count: int) -> int:
    """200 up to 100,000 points; beyond, fewer, down to 100."""
    return int(np.clip(200 * 100_000 / max(count, 1), 100, 200))


def _start(embeddings: np.ndarray, neighbours: Neighbours | None, start: Start | np.ndarray, key: int):
    """Unit vectors float32 [N, 3], a copy."""
    if not isinstance(start, str):
        given = np.array(start, np.float32)
        if given.shape != (len(embeddings), 3):
            raise InputError(
                f"the start has shape {list(given.shape)}; give unit vectors [{len(embeddings)}, 3]"
            )
        return on_sphere(given)
    if start not in ("spectral", "pca"):
        raise InputError(f"unknown start {start!r}; give 'spectral', 'pca' or unit vectors [N, 3]")
    if start == "pca" or neighbours is None:
        return pca_positions(embeddings)
    return spectral_positions(neighbours, key=key)
