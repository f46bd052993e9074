"""What a partition is judged by."""

import numpy as np

from thesphere.errors import InputError
from thesphere.neighbours.graph import Edges


def cut(labels: np.ndarray, edges: Edges) -> float:
    """Share of the graph's weight that joins two cells, sum_ij w_ij [c_i != c_j] / sum_ij w_ij: 0 to 1 for
    weights of 0 or more; 0 without edges.

    Args:
        labels: integers [N].
        edges: of the N rows.
    """
    sources = np.repeat(np.arange(len(labels)), np.diff(edges.starts))
    total = edges.weights.sum(dtype=np.float64)
    crossing = edges.weights[labels[sources] != labels[edges.targets]].sum(dtype=np.float64)
    return float(crossing / total) if total else 0.0


def balance(sizes: np.ndarray) -> float:
    """Rows of the largest cell / rows of the mean cell; 1 where there are none."""
    return float(sizes.max() / sizes.mean()) if len(sizes) else 1.0


def purity(labels: np.ndarray, classes: np.ndarray) -> float:
    """Share of rows whose class is the most frequent one of their cell; NaN without rows.

    Raises:
        InputError: not one class for each row.
    """
    if np.shape(classes) != np.shape(labels):
        raise InputError(
            f"classes have shape {list(np.shape(classes))}; give one for each of {len(labels)} rows"
        )
    if not len(labels):
        return float("nan")
    _, kinds = np.unique(classes, return_inverse=True)
    pairs, counts = np.unique(np.stack([labels, kinds]), axis=1, return_counts=True)
    best = np.zeros(int(labels.max()) + 1, np.int64)
    np.maximum.at(best, pairs[0], counts)
    return float(best.sum() / len(labels))
