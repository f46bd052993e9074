"""One code for NumPy and JAX: which library an array belongs to, and the few operations that need care in both.

JAX is looked up among the modules that are already imported, so NumPy callers never load it. NumPy arguments
are checked by value (InputError); values inside a JAX transformation cannot be, so there what has no meaning
becomes NaN.
"""

import sys
from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from thesphere.errors import InputError

Array = Any  # a NumPy or a JAX array, or what either makes an array of


def namespace(*arrays: Array) -> Any:
    """`jax.numpy` when any argument is a JAX array or tracer, else `numpy`."""
    jax = sys.modules.get("jax")
    if jax is not None and any(isinstance(array, jax.Array) for array in arrays):
        return jax.numpy
    return np


def floats(*arrays: Array) -> tuple[Any, ...]:
    """The namespace and the arguments as arrays of one floating type: (xp, *arrays). float32 stays float32;
    whole numbers become the widest type that is enabled; Python scalars take the type of the arrays."""
    xp = namespace(*arrays)
    held = [
        array if isinstance(array, int | float) or hasattr(array, "dtype") else xp.asarray(array)
        for array in arrays
    ]
    kind = xp.result_type(*held)
    if not xp.issubdtype(kind, xp.floating):
        kind = xp.result_type(float)
    return xp, *(xp.asarray(array, kind) for array in held)


def norm(vectors: Array) -> Array:
    """Length of the last axis, [..., D] -> [...]. Entries of 1e200 or 1e-200 neither over- nor underflow, and
    the gradient at the origin is 0, not NaN."""
    xp, vectors = floats(vectors)
    largest = xp.max(xp.abs(vectors), axis=-1, keepdims=True)
    if xp is not np:
        largest = sys.modules["jax"].lax.stop_gradient(largest)
    scale = xp.where((largest > 0) & (largest < xp.inf), largest, 1)
    square = xp.sum((vectors / scale) ** 2, axis=-1)
    length = xp.sqrt(xp.where(square > 0, square, 1))
    return xp.where(square > 0, length, square) * scale[..., 0]


def unit(vectors: Array) -> Array:
    """`vectors` [..., D] divided by their length.

    Raises:
        InputError: a NumPy vector that is zero or not finite has no direction (under JAX it becomes NaN).
    """
    xp, vectors = floats(vectors)
    length = norm(vectors)
    if xp is np and not np.all(np.isfinite(length) & (length > 0)):
        raise InputError("a vector is zero or not finite and has no direction; leave such rows out")
    return vectors / length[..., None]


def repeat(xp: Any, times: int, step: Callable[[Any], Any], state: Any) -> Any:
    """`state` after `times` steps: a plain loop for NumPy, one compiled loop for JAX."""
    if xp is not np:
        return sys.modules["jax"].lax.fori_loop(0, times, lambda _, held: step(held), state)
    for _ in range(times):
        state = step(state)
    return state


def generator(key: int | None, stream: int = 0) -> np.random.Generator:
    """NumPy's counter-based Philox generator for (key, stream): the same numbers on every machine and on any
    number of threads. None is 0.

    Raises:
        InputError: a key that is no whole number, below 0 or beyond 64 bits.
    """
    return np.random.Generator(np.random.Philox(key=np.array([whole_key(key, 64), stream], np.uint64)))


def whole_key(key: int | None, bits: int) -> int:
    """`key` as an int of at most so many bits; None is 0.

    Raises:
        InputError: a key that is no whole number, below 0 or has more bits.
    """
    try:
        plain = 0 if key is None else index(key)
    except TypeError:
        raise InputError(f"the key is {key!r}; give a whole number") from None
    if not 0 <= plain < 1 << bits:
        raise InputError(f"the key is {plain}; give a whole number from 0 to 2^{bits} - 1")
    return plain
