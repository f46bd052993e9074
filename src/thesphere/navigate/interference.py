"""The interference navigator: what a query excites, where its field peaks, and the cones that open there.

Each region of the index has a place on the chart and an activation by the query. The activations are point
amplitudes; expanded to a band limit and smoothed by the kernel of heat they add coherently, so neighbours that
agree make one strong peak and a lone outlier stays weak. The peaks of the intensity are the centres of cones.

The older systems built the field from random blobs around their own guess: no data ever entered it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thesphere import harmonics
from thesphere.errors import InputError

LOWEST = 8  # the band limit is clamped no lower: lobes of half a radian


@dataclass(frozen=True)
class Interference:
    """The field of one query on the chart, and its peaks, strongest first.

    Attributes:
        coefficients: float64 [(L + 1)^2] of the amplitude, scaled so that one region alone with activation 1
            makes a peak of height 1.
        band_limit: L, after clamping.
        width: radians, standard deviation of the smoothing.
        centres: float64 [C, 3], unit vectors: where the cones point.
        strengths: float64 [C], amplitude at the peak, in units of activation.
        confidences: float64 [C], (0, 1]: the lobe's share of the field's energy above what a uniform field
            would hold there; see `harmonics.peaks`.
        apertures: float64 [C], radians: the cones' half-angles, the radius of the peak's main lobe, at most
            pi / 2.
    """

    coefficients: np.ndarray
    band_limit: int
    width: float
    centres: np.ndarray
    strengths: np.ndarray
    confidences: np.ndarray
    apertures: np.ndarray


def interference(
    activations: Any,
    positions: Any,
    *,
    band_limit: int = 64,
    width: float | None = None,
    separation: float | None = None,
    max_peaks: int = 8,
    least_confidence: float = 0.0,
) -> Interference:
    """Peaks of the field that a query's activations make on the chart.

    Args:
        activations: [K], how strongly each region answers; 0 is no answer, below 0 is an answer against.
            Centre scores that share a large mean (cosines of real embeddings do) before they are given here:
            the mean is a field of its own and would drown the peaks.
        positions: [K, 3], the regions' unit vectors on the chart.
        band_limit: L; K regions carry K numbers, so it is clamped to sqrt(K) - 1: a lobe then holds about a
            dozen regions; but not below 8. 1 to 256.
        width: smoothing in radians; None: as little as keeps the band limit from ringing.
        separation: least angle between two peaks; None: the width of a lobe, twice `width`.
        max_peaks: at most so many.
        least_confidence: weaker peaks are dropped.

    Returns:
        No peaks (arrays of length 0) where no activation is above 0, or the field is flat.

    Raises:
        InputError: shapes that do not belong together, values that are not finite, or options out of range.
        MissingExtra: JAX is not installed.
    """
    if not 0 <= least_confidence <= 1:
        raise InputError(f"the least confidence is {least_confidence}; give 0 to 1")
    coefficients, limit, spread = field(activations, positions, band_limit=band_limit, width=width)
    largest = np.abs(np.asarray(activations, np.float64)).max(initial=0) or 1.0
    apart = min(2 * spread, np.pi / 2) if separation is None else separation
    peaks = harmonics.find_peaks(coefficients / largest, max_peaks=max_peaks, separation=apart)
    held = peaks.confidences >= least_confidence
    centres, strengths, confidences, apertures = (column[held] for column in peaks)
    return Interference(coefficients, limit, spread, centres, strengths * largest, confidences, apertures)


def field(
    activations: Any, positions: Any, *, band_limit: int = 64, width: float | None = None
) -> tuple[np.ndarray, int, float]:
    """The field alone, as in `interference`: (coefficients, band limit after clamping, width)."""
    amplitudes, places = np.asarray(activations, np.float64), np.asarray(positions, np.float64)
    if amplitudes.ndim != 1 or places.shape != (len(amplitudes), 3):
        raise InputError(
            f"activations have shape {list(amplitudes.shape)} and positions {list(places.shape)};"
            " give [K] and [K, 3]"
        )
    if not np.isfinite(amplitudes).all():
        raise InputError("an activation is NaN or infinite; give finite numbers")
    if isinstance(band_limit, bool) or not isinstance(band_limit, (int, np.integer)):
        raise InputError(f"the band limit is {band_limit!r}; give a whole number")
    if not 1 <= band_limit <= 256:
        raise InputError(f"the band limit is {band_limit}; give 1 to 256")
    if not (amplitudes > 0).any():
        amplitudes = np.zeros_like(amplitudes)
    largest = np.abs(amplitudes).max(initial=0) or 1.0
    limit = min(int(band_limit), max(LOWEST, int(np.sqrt(len(amplitudes))) - 1))
    spread = harmonics.heat_width(limit) if width is None else width
    window = harmonics.heat_window(limit, spread)
    degrees = np.arange(limit + 1)
    alone = float((2 * degrees + 1) @ window[degrees**2] / (4 * np.pi))
    coefficients = harmonics.scatter(places, amplitudes / largest, limit) * window / alone
    return coefficients * largest, limit, spread


def intensity_grid(result: Interference, n_theta: int = 180, n_phi: int = 360) -> np.ndarray:
    """The intensity on equal steps of theta and phi, for drawing: float32 [n_theta, n_phi].

    Row i lies at theta = (i + 1/2) pi / n_theta, column j at phi = 2 pi j / n_phi.

    Raises:
        InputError: fewer than one row or column.
    """
    if n_theta < 1 or n_phi < 1:
        raise InputError(f"a grid of {n_theta} x {n_phi} cells was asked for; give at least one of each")
    theta = (np.arange(n_theta) + 0.5) * np.pi / n_theta
    phi = np.arange(n_phi) * 2 * np.pi / n_phi
    return (harmonics.mesh(result.coefficients, theta, phi) ** 2).astype(np.float32)
