"""How strongly neighbours ask for a cell of their own: J = alpha cosine + beta substring, centred.

Real embeddings share a mean direction, so that every pair looks alike; the earlier system coupled pairs by the
plain cosine, and put all rows on one side of its cuts. What two unrelated rows have in common is taken off.
"""

import numpy as np

from thesphere.neighbours.graph import Edges, Neighbours
from thesphere.neighbours.search import unit_rows
from thesphere.roots.partition.sketch import similarities

PAIRS = 20_000  # random pairs that say what unrelated rows have in common
FAINT = 1e-6  # couplings below this are the rounding of rows that are all alike


def couplings(
    rows: np.ndarray,
    neighbours: Neighbours,
    *,
    alpha: float = 0.7,
    beta: float = 0.3,
    sketches: np.ndarray | None = None,
    random: np.random.Generator,
) -> Edges:
    """The symmetric couplings of the neighbour graph, of mean size 1; no edges where all rows are alike.

    J_ij = alpha cos(i, j) + beta substring(i, j) - the mean of the same over random pairs; beta is 0 without
    sketches. A pair of which only one names the other as a neighbour counts half.

    Args:
        rows: real numbers [N, D].
        neighbours: of the rows.
        alpha, beta: weights of the two similarities.
        sketches: uint16 [N, BINS], of each row's text; see `sketch`.
        random: draws the pairs.
    """
    own = np.broadcast_to(np.arange(len(rows))[:, None], neighbours.ids.shape)
    values = alpha * np.where(neighbours.ids >= 0, neighbours.similarities, 0)
    pairs = random.integers(0, len(rows), (2, PAIRS))
    left, right = pairs[:, pairs[0] != pairs[1]]
    cosines = np.einsum("nd,nd->n", unit_rows(rows[left]), unit_rows(rows[right]))
    usual = alpha * cosines.mean(dtype=np.float64) if len(left) else 0.0
    if sketches is not None and beta:
        values += beta * similarities(sketches, own, neighbours.ids)
        usual += beta * similarities(sketches, left, right).mean(dtype=np.float64) if len(left) else 0.0
    values = np.where(neighbours.ids >= 0, values - usual, 0)
    size = np.abs(values).mean() if values.size else 0.0
    if size < FAINT:
        return neighbours.edges(np.zeros(values.shape, np.float32))
    edges = neighbours.edges(values.astype(np.float32))
    return Edges(edges.starts, edges.targets, edges.weights / np.abs(edges.weights).mean())
