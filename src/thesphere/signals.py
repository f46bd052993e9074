"""Signals of points: what the magnitude of an embedding tells."""

import numpy as np


def prominence(embeddings: np.ndarray) -> np.ndarray:
    """L2 norm of each row before normalisation, float32 [N], summed in float64."""
    return np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings, dtype=np.float64)).astype(np.float32)
