"""What is drawn: points on their shells, and what a query did to them."""

from dataclasses import dataclass

import numpy as np

from thesphere.errors import InputError

ROLES = ("content", "instruction", "question")  # the names of zone roles 0, 1, 2
LARGEST = 2**53 - 1  # a script's numbers are float64: whole numbers beyond are not exact
UNIT = 1e-3  # how far the length of a position may be from 1


@dataclass(frozen=True)
class Query:
    """What a query did, drawn over the points.

    Attributes:
        text: what was asked.
        field: float32 [T, F] intensity over the sphere, 0 or more, or None. Row t lies at theta =
            pi (t + 1/2) / T, column f at phi = 2 pi f / F; the largest value is drawn strongest.
        centres: [C, 3] axes of the cones, unit vectors.
        apertures: [C] half-angles of the cones, [0, pi].
        strengths: [C] weights of the cones, 0 or more; they set how strongly the circles are drawn.
        hits: whole numbers [k], the points that were found, best first.
        scores: [k] their scores.
    """

    text: str
    field: np.ndarray | None
    centres: np.ndarray
    apertures: np.ndarray
    strengths: np.ndarray
    hits: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Globe:
    """The points of a picture; row i of every array is point i.

    Attributes:
        title: stands above the picture.
        positions: float32 [N, 3], unit vectors on the chart.
        radii: float32 [N], 0 or more.
        shells: int32 [N], in [0, S).
        shell_radii: [S] radii of the shells, more than 0.
        sources: whole numbers [N], index into `names`.
        names: the sources' names.
        prominence: float32 [N].
        entropies: float32 [N], nats; NaN where unknown.
        spans: int64 [N, 2], first byte and one past the last, in the source.
        texts: what is shown for each point, cut by the caller. Lone surrogates (bytes that were not UTF-8)
            are shown as replacement characters.
        roles: int8 [N], zone roles (0 content, 1 instruction at the north pole, 2 question at the south
            pole), or None: no zones are drawn.
        query: what a query did, or None.
        pole_angle: colatitude at which the polar zones end, drawn if there are roles.
    """

    title: str
    positions: np.ndarray
    radii: np.ndarray
    shells: np.ndarray
    shell_radii: np.ndarray
    sources: np.ndarray
    names: list[str]
    prominence: np.ndarray
    entropies: np.ndarray
    spans: np.ndarray
    texts: list[str]
    roles: np.ndarray | None = None
    query: Query | None = None
    pole_angle: float = np.pi / 12


def check(globe: Globe) -> None:
    """Raises InputError unless all parts of `globe` agree in length and lie in their ranges."""
    count, shells = len(globe.texts), len(globe.shell_radii)
    _shape(globe.positions, (count, 3), "positions")
    _units(globe.positions, "positions")
    _shape(globe.shell_radii, (shells,), "shell_radii")
    _finite(globe.shell_radii, "shell_radii", 0.0)
    if shells and not np.min(globe.shell_radii) > 0:
        raise InputError("a shell has radius 0; give radii of more than 0")
    for name, lowest in (("radii", 0.0), ("prominence", None)):
        _shape(getattr(globe, name), (count,), name)
        _finite(getattr(globe, name), name, lowest)
    _shape(globe.entropies, (count,), "entropies")
    known = np.asarray(globe.entropies)
    _finite(known[~np.isnan(known)], "entropies", None)
    _indices(globe.shells, count, shells, "shells")
    _indices(globe.sources, count, len(globe.names), "sources")
    _indices(np.ravel(globe.spans), 2 * count, LARGEST, "spans")
    _shape(globe.spans, (count, 2), "spans")
    spans = np.asarray(globe.spans)
    backwards = np.flatnonzero(spans[:, 0] > spans[:, 1])
    if len(backwards):
        raise InputError(f"span {backwards[0]} ends before it starts; give first byte and one past the last")
    if globe.roles is not None:
        _indices(globe.roles, count, len(ROLES), "roles")
    if not 0 <= globe.pole_angle <= np.pi / 2:
        raise InputError(f"pole_angle is {globe.pole_angle}; expected radians in [0, pi / 2]")
    if globe.query is not None:
        _check_query(globe.query, count)


def _check_query(query: Query, count: int) -> None:
    cones, hits = len(query.apertures), len(query.hits)
    _shape(query.centres, (cones, 3), "query centres")
    _units(query.centres, "query centres")
    for name in ("apertures", "strengths"):
        _shape(getattr(query, name), (cones,), f"query {name}")
        _finite(getattr(query, name), f"query {name}", 0.0)
    if cones and np.max(query.apertures) > np.pi + UNIT:
        raise InputError(f"a cone's aperture is {np.max(query.apertures)}; expected radians in [0, pi]")
    _indices(query.hits, hits, count, "query hits")
    _shape(query.scores, (hits,), "query scores")
    _finite(query.scores, "query scores", None)
    if query.field is not None:
        if np.ndim(query.field) != 2 or not np.size(query.field):
            raise InputError(f"the query's field has shape {list(np.shape(query.field))}; expected [T, F]")
        _finite(query.field, "query field", 0.0)


def _shape(values, expected: tuple[int, ...], name: str) -> None:
    if np.shape(values) != expected:
        raise InputError(f"{name} has shape {list(np.shape(values))}; expected {list(expected)}")


def _finite(values, name: str, lowest: float | None) -> None:
    with np.errstate(over="ignore"):
        numbers = np.asarray(values, np.float32)  # as it is drawn
    if not np.isfinite(numbers).all() or (lowest is not None and (numbers < lowest).any()):
        bound = "" if lowest is None else f" of {lowest:g} or more"
        raise InputError(f"{name} holds a value that is not a finite number{bound}; mend or drop that row")


def _units(values, name: str) -> None:
    lengths = np.linalg.norm(np.asarray(values, np.float64), axis=1)
    if not (np.abs(lengths - 1) <= UNIT).all():  # NaN fails too
        raise InputError(
            f"{name} must be unit vectors; a row has length {lengths[np.argmax(abs(lengths - 1))]}"
        )


def _indices(values, count: int, bound: int, name: str) -> None:
    _shape(values, (count,), name)
    numbers = np.asarray(values)
    if count and (numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= bound):
        raise InputError(f"{name} must be whole numbers from 0 to {bound - 1}")
