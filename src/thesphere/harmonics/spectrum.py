"""What coefficients say degree by degree: power, and a window that damps high degrees without ringing."""

from typing import Any

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry import namespace
from thesphere.harmonics.basis import band_limit_of, degrees_orders
from thesphere.harmonics.legendre import check_band_limit
from thesphere.harmonics.precision import in_float64

LEAST = 1e-3  # what the default width leaves of the last degree


def power(coefficients: Any) -> Any:
    """Power per degree, sum over m of c_lm^2: [L + 1] of [(L + 1)^2]; [..., L + 1] of rows of them.

    Its sum is the integral of the squared field over the sphere (Parseval). Divided by 2l + 1 it is the
    angular power spectrum C_l.

    Raises:
        InputError: the coefficients are not (L + 1)^2 in number, not real or not finite.
    """
    starts = np.arange(band_limit_of(np.shape(coefficients)[-1] if np.ndim(coefficients) else 0) + 1) ** 2
    return in_float64(lambda row: namespace(row).add.reduceat(row**2, starts, axis=-1), coefficients)


def heat_width(band_limit: int) -> float:
    """The narrowest width, in radians, that damps the last degree to 0.001: 3.7 / sqrt(L (L + 1)); for L = 0
    the width of a hemisphere."""
    degree = check_band_limit(band_limit)
    return float(np.sqrt(-2 * np.log(LEAST) / max(degree * (degree + 1), 6)))


def heat_window(band_limit: int, width: float | None = None) -> np.ndarray:
    """Factor of every coefficient: exp(-l (l + 1) width^2 / 2), float64 [(L + 1)^2].

    The kernel of heat on the sphere: near its centre a Gaussian of standard deviation `width` radians, and
    positive everywhere but for what the band limit cuts off. None: `heat_width`; 0: no smoothing.

    Raises:
        InputError: a width that is negative or not finite, or a band limit outside [0, 512].
    """
    width = heat_width(band_limit) if width is None else float(width)
    if not 0 <= width < np.inf:
        raise InputError(f"the width of the window is {width}; give radians, 0 or more")
    degrees = degrees_orders(check_band_limit(band_limit))[0]
    return np.exp(-degrees * (degrees + 1) * width**2 / 2)
