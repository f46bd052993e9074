"""Peaks of an interference field: where they are, how high, how wide, and how far to trust them.

A peak is a maximum of the amplitude where the amplitude is positive, hence a maximum of the intensity; a
trough, where the contributions cancel or say no, is none. Its confidence is measured on the intensity:

    share      = energy within the peak's main lobe / energy of the whole field
    area       = the lobe's part of the sphere: what a uniform field would hold there
    confidence = (share - area) / (1 - area), not below 0

The main lobe ends at 2.5 half-widths, or where the mean over rings around the peak turns upward, or half-way
to a peak that is no lower, and at the latest a quarter turn away. One source gives nearly 1 (less where the
band limit is below 5 and the lobe wider than that), a uniform field 0, two equal sources nearly a half each;
while lobes do not overlap the confidences add to at most 1, so they can be spent as a budget. The older
systems took the intensity of one cell over the sum of all cells, which falls with the resolution of the grid
and never reaches a threshold.
"""

from typing import Any, NamedTuple

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry import great_circle, positions
from thesphere.harmonics.basis import band_limit_of, basis_at
from thesphere.harmonics.legendre import LARGEST
from thesphere.harmonics.scattered import evaluate
from thesphere.harmonics.transform import forward, grid_angles, inverse

LOBE = 2.5  # lobe's radius in half-widths at half maximum: 98.7 % of a Gaussian's energy
LEAST = 1e-6  # confidences below are rounding
STEPS = (0.3, 0.1, 0.03, 0.01, 0.01)  # of 1 / L: spacing of the differences in each step of the refinement


class Peaks(NamedTuple):
    """C peaks, highest first.

    Attributes:
        positions: float64 [C, 3], unit vectors.
        amplitudes: float64 [C], above 0.
        confidences: float64 [C], in (0, 1].
        apertures: float64 [C], radians, at most pi / 2: the radius of the main lobe.
    """

    positions: np.ndarray
    amplitudes: np.ndarray
    confidences: np.ndarray
    apertures: np.ndarray


def find_peaks(coefficients: Any, *, max_peaks: int = 8, separation: float | None = None) -> Peaks:
    """The highest peaks of the amplitude field of `coefficients`, refined below the grid.

    Maxima are found on the grid of twice the band limit and refined with Newton's method in the tangent plane
    on the field itself. Runs on the host: how many peaks there are depends on the data.

    Args:
        coefficients: [(L + 1)^2] of the amplitude.
        max_peaks: at most so many.
        separation: radians; of two peaks that are nearer, the lower is dropped. None: pi / (L + 1), what the
            band limit resolves.

    Raises:
        InputError: a number of coefficients that is no (L + 1)^2, L above 256 (the intensity has degree 2L),
            values that are not finite, max_peaks below 1, or a separation outside [0, pi].
    """
    plain = np.asarray(coefficients, np.float64)
    limit = band_limit_of(len(plain) if plain.ndim == 1 else 0)
    apart = np.pi / (limit + 1) if separation is None else float(separation)
    if 2 * limit > LARGEST:
        raise InputError(f"the band limit is {limit}; peaks can be found up to {LARGEST // 2}")
    if max_peaks < 1 or not 0 <= apart <= np.pi or not np.isfinite(plain).all():
        raise InputError("give finite coefficients, max_peaks of 1 or more and a separation in [0, pi]")
    largest = float(np.abs(plain).max())
    nothing = Peaks(np.zeros((0, 3)), np.zeros(0), np.zeros(0), np.zeros(0))
    if limit == 0 or largest == 0:
        return nothing
    plain = plain / largest
    energy = float(plain @ plain)
    field = inverse(plain, grid_limit=2 * limit)
    apart = max(apart, 0.1 / limit)  # below that two starts have ended on one maximum
    found = _separate(*_grid_maxima(field, limit), apart / 2, 4 * max_peaks)
    if not len(found):
        return nothing
    found = _refine(plain, found, limit)
    heights = evaluate(plain, found)
    found = _separate(found[heights > 0], heights[heights > 0], apart, max_peaks)
    heights = evaluate(plain, found)
    degrees = _by_degree(forward(field**2), found)
    apertures = np.minimum(_lobes(degrees), np.minimum(_nearest_rival(found, heights), np.pi) / 2)
    area = (1 - np.cos(apertures)) / 2
    share = (degrees * _cap_weights(apertures, 2 * limit)).sum(1) / energy
    confidences = np.clip((share - area) / np.maximum(1 - area, LEAST), 0, 1)
    held = confidences > LEAST
    return Peaks(found[held], heights[held] * largest, confidences[held], apertures[held])


def _grid_maxima(field: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and values of the positive cells that no neighbour exceeds. Across a pole lies the same ring,
    half a turn on."""
    half = field.shape[1] // 2
    rings = np.concatenate([np.roll(field[:1], half, 1), field, np.roll(field[-1:], half, 1)])
    around = [np.roll(rings, turn, 1)[row : row + len(field)] for turn in (-1, 0, 1) for row in (0, 1, 2)]
    ring, turn = np.nonzero((field >= np.max(around, axis=0)) & (field > 0))
    theta, phi = grid_angles(2 * limit)
    return positions(theta[ring], phi[turn]), field[ring, turn]


def _separate(places: np.ndarray, heights: np.ndarray, apart: float, most: int) -> np.ndarray:
    """The highest places, none nearer than `apart` to a higher one: [at most `most`, 3]."""
    order = np.argsort(-heights, kind="stable")
    places, kept = places[order], []
    while len(places) and len(kept) < most:
        kept.append(places[0])
        chord = np.linalg.norm(places - places[0], axis=1)
        places = places[(chord >= 2 * np.sin(apart / 2)) & (chord > 0)]
    return np.array(kept).reshape(-1, 3)


def _refine(coefficients: np.ndarray, places: np.ndarray, limit: int) -> np.ndarray:
    """Newton's method on nine values around each place, spread by less and less; no step leaves a cell."""
    across, along = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)], np.float64).T
    for step in np.array(STEPS) / limit:
        first, second = _tangents(places)
        offsets = step * (across[:, None] * first[:, None] + along[:, None] * second[:, None])
        around = places[:, None] + offsets
        lengths = np.linalg.norm(around, axis=-1, keepdims=True)
        f = evaluate(coefficients, around / lengths).reshape(-1, 3, 3)
        slope = np.stack([f[:, 2, 1] - f[:, 0, 1], f[:, 1, 2] - f[:, 1, 0]], axis=-1) / (2 * step)
        xx = f[:, 2, 1] - 2 * f[:, 1, 1] + f[:, 0, 1]
        yy = f[:, 1, 2] - 2 * f[:, 1, 1] + f[:, 1, 0]
        xy = (f[:, 2, 2] - f[:, 2, 0] - f[:, 0, 2] + f[:, 0, 0]) / 4
        curved = np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -2) / step**2
        bends, axes = np.linalg.eigh(curved)
        # where the surface does not bend down enough, climb by at most half a cell instead
        floor = np.maximum(np.linalg.norm(slope, axis=1) * limit, np.finfo(float).tiny)[:, None]
        bends = np.where(bends < 0, np.minimum(bends, -floor), -floor)
        move = -np.einsum("cij,cj,ckj,ck->ci", axes, 1 / bends, axes, slope)
        places = places + move[:, :1] * first + move[:, 1:] * second
        places = places / np.linalg.norm(places, axis=1, keepdims=True)
    return places


def _tangents(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors that span the tangent plane of each place."""
    axis = np.eye(3)[np.argmin(np.abs(places), axis=1)]
    first = np.cross(places, axis)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(places, first)


def _by_degree(coefficients: np.ndarray, places: np.ndarray) -> np.ndarray:
    """What each degree adds to the field's value at each place: [C, L + 1]."""
    limit = band_limit_of(len(coefficients))
    terms = basis_at(places, limit) * coefficients
    return np.add.reduceat(terms, np.arange(limit + 1) ** 2, axis=-1)


def _lobes(degrees: np.ndarray) -> np.ndarray:
    """Radius [C] of each main lobe: 2.5 half-widths of the mean over the rings around the peak, or where that
    mean first turns upward; pi where it does neither.

    By the addition theorem the mean at an angle is the sum of `degrees` [C, L + 1] times P_l(cos).
    """
    angles = np.linspace(0, np.pi, 8 * degrees.shape[1])
    profile = degrees @ _legendre(angles, degrees.shape[1] - 1) / degrees.sum(1)[:, None]
    radii = np.full(len(profile), np.pi)
    for row, values in enumerate(profile):
        low, turns = np.flatnonzero(values <= 0.5), np.flatnonzero(np.diff(values) > 0)
        if len(turns):
            radii[row] = angles[turns[0]]
        if len(low):
            half = np.interp(0.5, values[[low[0], low[0] - 1]], angles[[low[0], low[0] - 1]])
            radii[row] = min(radii[row], LOBE * half)
    return radii


def _nearest_rival(places: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Angle [C] from each peak to the nearest other one that is no lower; infinite for the highest."""
    angles = great_circle(places[:, None], places)
    rival = (heights >= heights[:, None] * (1 - LEAST)) & ~np.eye(len(places), dtype=bool)
    return np.where(rival, angles, np.inf).min(axis=1, initial=np.inf)


def _cap_weights(apertures: np.ndarray, limit: int) -> np.ndarray:
    """2 pi times the integral of P_l from cos(aperture) to 1, (P_{l-1} - P_{l+1}) / (2l + 1): [C, L + 1]."""
    p = _legendre(apertures, limit + 1)
    l = np.arange(1, limit + 1)[:, None]
    higher = (p[:-2] - p[2:]) / (2 * l + 1)
    return 2 * np.pi * np.concatenate([(1 - np.cos(apertures))[None], higher]).T


def _legendre(angles: np.ndarray, limit: int) -> np.ndarray:
    """P_l(cos(angle)), l = 0..limit: [limit + 1, n]."""
    z = np.cos(angles)
    rows = [np.ones_like(z), z]
    for l in range(2, limit + 1):
        rows.append(((2 * l - 1) * z * rows[-1] - (l - 1) * rows[-2]) / l)
    return np.array(rows[: limit + 1])
