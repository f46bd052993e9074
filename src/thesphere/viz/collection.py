"""A collection as a picture: its points where they lie, and what a query did to them."""

from pathlib import Path

import numpy as np

from thesphere.filling import Filling
from thesphere.sphere import Sphere
from thesphere.sphere.places import Places
from thesphere.store.part import disk_error
from thesphere.types import Points
from thesphere.viz.globe import Globe, Query

EXCERPT = 160  # bytes of a point that are shown
SOURCES = 256  # points whose scores make the field of a query
ALONG = 400  # bytes of a source whose entropy is drawn
BAND_LIMIT = 32  # of the field that is drawn: lobes of about 6 degrees
ROWS, COLUMNS = 90, 180  # of its grid


def need(field: bool, figures: bool) -> None:
    """MissingExtra unless what a query's field and the figures need is installed; before any work is done."""
    if field or figures:
        from thesphere.harmonics import scatter  # noqa: F401
    if figures:
        from thesphere.viz.figures import matplotlib_of

        matplotlib_of()


def globe_of(
    sphere: Sphere,
    points: Points,
    places: Places,
    *,
    query: str | None = None,
    k: int = 10,
    excerpt: int = EXCERPT,
) -> Globe:
    """The points of a collection with their texts.

    Args:
        sphere: a collection.
        points, places: its own, `Sphere.points` and `Sphere.places`.
        query: a question whose field, cones and hits are drawn; the field needs the extra `jax`.
        k: hits of the question.
        excerpt: bytes of each point that are shown.

    Raises:
        MissingExtra: a query was given, and the extra `jax` is not installed.
    """
    filling = places.filling
    return Globe(
        title=sphere.path.stem,
        positions=filling.positions,
        radii=filling.radii,
        shells=filling.shells,
        shell_radii=filling.table.radii.astype(np.float32),
        sources=points.sources,
        names=points.names,
        prominence=points.prominence,
        entropies=points.entropies,
        spans=np.stack([points.starts, points.ends], axis=1),
        texts=sphere.texts(excerpt),
        roles=places.roles.of(points) if places.roles else None,
        query=None if query is None else query_of(sphere, filling, query, k),
    )


def query_of(sphere: Sphere, filling: Filling, text: str, k: int) -> Query:
    """What a question does to the sphere: the scores of its best points at their places on the chart, as an
    interference field, and the cones at the field's peaks."""
    from thesphere.navigate.interference import intensity_grid, interference

    hits = sphere.search(text, k=max(k, SOURCES))
    numbers = np.array([hit.point for hit in hits], np.int64)
    scores = np.array([hit.score for hit in hits])
    strong = scores[:SOURCES]
    if not len(numbers):
        none = np.zeros(0)
        return Query(text, None, np.zeros((0, 3)), none, none, numbers, none)
    common = strong[-1] if len(strong) == SOURCES else 0.0  # what all have in common says nothing
    found = interference(strong - common, filling.positions[numbers[:SOURCES]], band_limit=BAND_LIMIT)
    return Query(
        text,
        intensity_grid(found, ROWS, COLUMNS),
        found.centres,
        found.apertures,
        found.strengths,
        numbers[:k],
        scores[:k],
    )


def write_figures(
    sphere: Sphere, points: Points, places: Places, folder: Path, source: str | None = None
) -> list[Path]:
    """Figures of a filled collection: shells.svg (occupancy against capacity), spectrum.svg (power per degree of
    the points' directions, weighted by prominence) and entropy.svg (entropy along the beginning of a source, with
    the boundaries of its patches; not drawn where the source has no bytes).

    Args:
        sphere, points, places: as for `globe_of`.
        folder: is made if it is not there.
        source: whose entropy is drawn; the first one by name unless given.

    Returns:
        the files.

    Raises:
        NotFoundError: no source has that name; SphereError: the folder cannot be made.
        MissingExtra: the extra `viz` or `jax` is not installed.
    """
    from thesphere.harmonics import power, scatter
    from thesphere.viz.figures import draw_entropy, draw_occupancy, draw_power

    entropies, starts = sphere.entropy_along(source or min(points.names), ALONG)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, f"make {folder}") from error
    filling = places.filling
    drawn = [folder / "shells.svg", folder / "spectrum.svg"]
    draw_occupancy(filling.info.occupancy, filling.info.capacities, drawn[0])
    weights = points.prominence / max(float(points.prominence.sum()), 1e-30)
    draw_power(power(scatter(filling.positions, weights, BAND_LIMIT)), drawn[1])
    if len(entropies):
        drawn.append(folder / "entropy.svg")
        draw_entropy(entropies, starts, drawn[2])
    return drawn
