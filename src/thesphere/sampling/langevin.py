"""Overdamped Langevin dynamics of N points on the unit sphere S2, in JAX.

The energy of positions x, for symmetric weights w, sharpness kappa, repulsion rho and one draw of pairs, is

    E(x) = - 1/2 sum_ij w_ij exp(kappa (x_i . x_j - 1)) - rho/2 sum_i log(1 + 1/kappa - x_i . x_(i + o)),

o an offset drawn anew at every step: pairs (i, i + o mod N). Its mean over o is the repulsion of all pairs,
the logarithmic energy whose minimum spreads points evenly (Saff and Kuijlaars 1997), flattened within the
kernel's width. Each point takes part in two pairs of a draw, so the force is exactly -grad E and reads
shifted rows only.

A step is Euler-Maruyama in the tangent plane and back onto the sphere,

    x <- normalise(x + P (dt F + sqrt(2 T dt) xi)),    P = 1 - x x^T,    dt = pace / L,

with L the bound of `lipschitz`. The earlier system stored every pair, and measured chords between points of
different radii, so that its kernel was 0 everywhere.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Schedule(NamedTuple):
    """How the dynamics cools; sharpness rises geometrically, temperature falls linearly.

    Attributes:
        first_sharpness, last_sharpness: kappa at the first and after the last step, above 0.
        first_temperature, last_temperature: in units of the energy, 0 or more.
        repulsion: rho, 0 or more.
        pace: step in units of 1 / L, in (0, 1).
    """

    first_sharpness: float
    last_sharpness: float
    first_temperature: float
    last_temperature: float
    repulsion: float
    pace: float


def energy(
    positions: Array,
    ids: Array,
    weights: Array,
    offset: Array | int,
    sharpness: Array | float,
    repulsion: Array | float,
) -> Array:
    """E(x) for one drawn offset, a scalar.

    Args:
        positions: float [N, 3], unit vectors.
        ids, weights: [N, k] symmetric couplings.
        offset: of the drawn pairs, in 1 ... N - 1.
        sharpness: kappa, above 0.
        repulsion: rho, 0 or more.
    """
    near = jnp.einsum("nd,nkd->nk", positions, positions[ids])
    bound = jnp.sum(weights * jnp.exp(sharpness * (near - 1)))
    far = jnp.sum(positions * jnp.roll(positions, -offset, axis=0), axis=1)
    return -bound / 2 - repulsion / 2 * jnp.sum(jnp.log(1 + 1 / sharpness - far))


def force(
    positions: Array,
    ids: Array,
    weights: Array,
    offset: Array | int,
    sharpness: Array | float,
    repulsion: Array | float,
) -> Array:
    """-grad E in the tangent plane of each point, [N, 3]; arguments as in `energy`."""
    near = positions[ids]
    cosines = jnp.einsum("nd,nkd->nk", positions, near)
    total = jnp.einsum("nk,nkd->nd", weights * sharpness * jnp.exp(sharpness * (cosines - 1)), near)
    for shift in (offset, -offset):
        far = jnp.roll(positions, shift, axis=0)
        gap = 1 + 1 / sharpness - jnp.sum(positions * far, axis=1, keepdims=True)
        total -= repulsion / 2 / gap * far
    return tangent(positions, total)


def tangent(positions: Array, vectors: Array) -> Array:
    """The part of each vector that is orthogonal to its position: [N, 3] of [N, 3]."""
    return vectors - positions * jnp.sum(vectors * positions, axis=1, keepdims=True)


def lipschitz(sharpness: Array | float, repulsion: Array | float) -> Array | float:
    """L, a bound on the curvature of E along the sphere for weights whose largest eigenvalue is 1: a
    pair's attraction and repulsion bend by at most kappa each, a graph Laplacian at most doubles its weights,
    and these add up to 1 per point for the first and to rho for the second."""
    return 2 * sharpness * (1 + repulsion)


def step(
    positions: Array,
    ids: Array,
    weights: Array,
    key: Array,
    sharpness: Array | float,
    repulsion: Array | float,
    temperature: Array | float,
    pace: Array | float,
) -> Array:
    """The positions one step later, [N, 3]; same key, same result."""
    pairs, noise = jax.random.split(key)
    offset = jax.random.randint(pairs, (), 1, max(2, len(positions)))
    time = pace / lipschitz(sharpness, repulsion)
    drift = time * force(positions, ids, weights, offset, sharpness, repulsion)
    kicks = jax.random.normal(noise, positions.shape, positions.dtype)
    moved = positions + drift + jnp.sqrt(2 * temperature * time) * tangent(positions, kicks)
    return moved / jnp.linalg.norm(moved, axis=1, keepdims=True)  # 1 or more: the moves are tangential


@jax.jit
def anneal(
    positions: Array,
    ids: Array,
    weights: Array,
    key: Array,
    schedule: Schedule,
    first: Array | int,
    last: Array | int,
    total: Array | int,
) -> Array:
    """The positions after steps first ... last - 1 out of `total`, [N, 3]. Everything but the shapes may change
    without a new compilation.

    Args:
        positions: float32 [N, 3], unit vectors.
        ids, weights: [N, k] symmetric couplings.
        key: a JAX key; step t uses fold_in(key, t).
    """
    hot, cold = schedule.first_temperature, schedule.last_temperature
    rise = schedule.last_sharpness / schedule.first_sharpness

    def one(t: Array, now: Array) -> Array:
        sharpness = schedule.first_sharpness * rise ** (t / total)
        # (cold - hot) * (t + 1) / total is rounded beyond the last temperature: below 0, where there is no root
        done = jnp.minimum((t + 1) / total, 1)
        temperature = hot + (cold - hot) * done
        return step(
            now,
            ids,
            weights,
            jax.random.fold_in(key, t),
            sharpness,
            schedule.repulsion,
            temperature,
            schedule.pace,
        )

    return jax.lax.fori_loop(first, last, one, positions)
