"""The spectral chart: three smooth functions on the neighbour graph."""

import numpy as np
from numba import njit

from thesphere.chart.pca import on_sphere
from thesphere.geometry import generator
from thesphere.neighbours import Neighbours

WIDTH = 8  # vectors that are iterated
ROUNDS = 12  # Rayleigh-Ritz rounds
STEPS = 8  # walks between them
SLACK = 0.1  # share of the mean degree with which every point is joined to all others


def spectral_positions(neighbours: Neighbours, *, key: int | None = None) -> np.ndarray:
    """Unit vectors float32 [N, 3]: the second to fourth eigenvectors of the normalised graph (Laplacian
    eigenmaps, Belkin and Niyogi 2003), each scaled to the same spread, projected onto the sphere.

    Every point is also joined to all others by a little (Amini et al. 2013): a graph in several pieces then
    has one constant vector instead of many, and small pieces do not take the axes. Block power iteration,
    which gives smooth rather than converged vectors.

    Args:
        neighbours: of the N points.
        key: of the random start of the iteration.
    """
    count = len(neighbours)
    rng = generator(key, 3)
    if count < 5:
        return on_sphere(rng.standard_normal((count, 3), np.float32))
    starts, targets, weights = neighbours.edges()
    degrees = np.add.reduceat(np.append(weights, 0), starts[:-1]).astype(np.float64)
    degrees[np.diff(starts) == 0] = 0
    slack = SLACK * max(degrees.mean(), 1e-9)
    roots = 1 / np.sqrt(degrees + slack)
    scaled = (weights * np.repeat(roots, np.diff(starts)) * roots[targets]).astype(np.float32)
    constant = 1 / roots / np.sqrt((1 / roots**2).sum())  # the first eigenvector, known
    width = min(WIDTH, count - 1)
    vectors, values = rng.standard_normal((count, width), np.float32), np.ones(width)
    product = np.empty_like(vectors)
    for _ in range(ROUNDS):
        for _ in range(STEPS):
            _walk(starts, targets, scaled, vectors, product)
            product += np.outer(slack / count * roots, roots @ vectors).astype(np.float32)
            vectors = 0.5 * (vectors + product)  # half lazy: alternating vectors die out
        basis = np.linalg.qr(vectors - np.outer(constant, constant @ vectors))[0].astype(np.float32)
        _walk(starts, targets, scaled, basis, product)
        product += np.outer(slack / count * roots, roots @ basis).astype(np.float32)
        values, turn = np.linalg.eigh(basis.T.astype(np.float64) @ product)
        vectors = basis @ turn[:, ::-1].astype(np.float32)
    smooth = vectors[:, :3] * roots[:, None].astype(np.float32)
    smooth /= np.sqrt((smooth**2).mean(axis=0)) + np.float32(1e-30)
    return on_sphere(np.ascontiguousarray(smooth, np.float32))


@njit(cache=True, nogil=True)
def _walk(starts, targets, weights, vectors, product):
    """product = W vectors, for a graph W in compressed rows and float32 [N, width]."""
    for i in range(len(starts) - 1):
        product[i] = 0
        for edge in range(starts[i], starts[i + 1]):
            weight, j = weights[edge], targets[edge]
            for d in range(vectors.shape[1]):
                product[i, d] += weight * vectors[j, d]
