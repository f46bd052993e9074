"""float64 where it is needed, and nowhere else: no switch of the process is touched.

NumPy in, NumPy float64 out (float32 on request). JAX arrays in, also inside jit and vmap, JAX arrays out, in
their own precision unless another is asked for; what lies between is float64 either way. jax.grad walks back
through those float64 steps on its own, so it must itself be called inside `with jax.enable_x64(True):`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from thesphere.errors import InputError, MissingExtra
from thesphere.runtime import jax_precision, precision_of

try:
    import jax
    from jax.core import Tracer
except ImportError:
    raise MissingExtra("spherical harmonics", "jax") from None

PRECISE = precision_of("harmonics")
RESULTS = ("float32", "float64")


def in_float64(function: Callable[..., Any], *arrays: Any, dtype: str | None = None, **options: Any) -> Any:
    """function(*arrays, **options) with every array, all of them real, in float64.

    Args:
        function: written in jax.numpy; may return any tree of arrays.
        arrays: NumPy or JAX arrays, or numbers.
        dtype: precision of the results, `"float64"` or `"float32"`; None: that of the first JAX array, or
            without one float64; inside jit, where even constants become JAX arrays, JAX's default.
        options: handed on as they are.

    Raises:
        InputError: another dtype, an array that is complex, or a NumPy array that holds NaN or infinity or is
            no array of numbers.
    """
    given = next((array for array in arrays if isinstance(array, jax.Array)), None)
    if dtype not in (None, *RESULTS):
        raise InputError(f"the precision is {dtype!r}; give 'float64' or 'float32'")
    usual = "float64" if jax.config.read("jax_enable_x64") else "float32"
    with jax_precision("harmonics"):
        results = function(*map(_wide, arrays), **options)
        if given is not None:
            usual = "float64" if given.dtype == "float64" else "float32"
        elif not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(results)):
            return jax.tree.map(lambda array: np.array(array, _kind(array, dtype or "float64")), results)
        return jax.tree.map(lambda array: _cast(array, dtype or usual), results)


def real_numbers(array: Any) -> np.ndarray:
    """`array` as NumPy float64.

    Raises:
        InputError: complex or no numbers, NaN or infinity.
    """
    plain = np.asarray(array)
    if plain.dtype.kind not in "biuf":
        raise InputError(f"an array of {plain.dtype} was given; give real numbers")
    plain = plain.astype(PRECISE, copy=False)
    if not np.isfinite(plain).all():
        raise InputError("an array holds NaN or infinity; give finite numbers")
    return plain


def _wide(array: Any) -> Any:
    if not isinstance(array, jax.Array):
        return real_numbers(array)
    if np.dtype(array.dtype).kind == "c":
        raise InputError(f"an array of {array.dtype} was given; give real numbers")
    return _cast(array, PRECISE)


def _cast(array: Any, precision: str) -> Any:
    kind = _kind(array, precision)
    return array if array.dtype == kind else array.astype(kind)


def _kind(array: Any, precision: str) -> str:
    complex_too = {"float64": "complex128", "float32": "complex64"}
    return complex_too[precision] if np.dtype(array.dtype).kind == "c" else precision
