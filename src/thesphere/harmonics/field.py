"""The interference field: several band-limited amplitude fields added coherently; intensity is the square.

Everything before the square is linear, so the amplitudes are added first and one transform serves them all;
the older systems projected each grid for itself.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from thesphere.errors import InputError
from thesphere.harmonics.basis import band_limit_of
from thesphere.harmonics.precision import in_float64
from thesphere.harmonics.spectrum import heat_window
from thesphere.harmonics.transform import forward, inverse


class Field(NamedTuple):
    """A band-limited amplitude field; a tree of arrays, so jit and vmap may return it.

    Attributes:
        coefficients: [(L + 1)^2] of the amplitude.
        amplitude: [L + 1, 2L + 1] on the Gauss-Legendre grid.
        intensity: amplitude squared, same shape. Divided by `energy` it is a density over the sphere.
    """

    coefficients: Any
    amplitude: Any
    intensity: Any

    @property
    def energy(self) -> Any:
        """Integral of the intensity over the sphere: the sum of the squared coefficients (Parseval)."""
        return (self.coefficients**2).sum(-1)


def interference_field(amplitudes: Any, *, width: float = 0.0, dtype: str | None = None) -> Field:
    """Add amplitude fields, keep what lies below the band limit, and square.

    Args:
        amplitudes: grids [G, L + 1, 2L + 1], or coefficients [G, (L + 1)^2], of G fields.
        width: radians; more than 0 damps ringing by `heat_window`.
        dtype: see `precision`.

    Raises:
        InputError: no fields, another shape, or a width that is negative or not finite.
    """
    shape = np.shape(amplitudes)
    if len(shape) not in (2, 3) or shape[0] == 0:
        raise InputError(
            f"the amplitudes have shape {list(shape)}; give grids [G, L + 1, 2L + 1] or coefficients"
            " [G, (L + 1)^2], G at least 1"
        )
    limit = band_limit_of(shape[1]) if len(shape) == 2 else max(shape[1] - 1, 0)
    window = heat_window(limit, width) if width else None
    return in_float64(partial(_field, window=window), amplitudes, dtype=dtype)


def _field(amplitudes: Any, window: np.ndarray | None) -> Field:
    total = amplitudes.sum(0)
    coefficients = forward(total) if total.ndim == 2 else total
    if window is not None:
        coefficients = coefficients * window
    amplitude = inverse(coefficients)
    return Field(coefficients, amplitude, amplitude**2)
