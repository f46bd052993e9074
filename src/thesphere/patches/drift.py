"""Do entropies stay level along a source, or climb once it is longer than the model's window?

A model that attends further back than it was trained to grows more and more surprised, and cuts patches at every
byte; so did ports of the published model without its window of 512.
"""

from dataclasses import dataclass

import numpy as np

from thesphere.errors import InputError
from thesphere.patches.entropy import EntropyModel


@dataclass(frozen=True)
class Drift:
    """Mean entropies of the same bytes, nats.

    Attributes:
        near: where their source began between half a window and a window before them.
        far: where it began longer ago than a window.
        bytes: how many were counted.
    """

    near: float
    far: float
    bytes: int

    @property
    def growth(self) -> float:
        """By what part `far` is above `near`: below 0 for a model that uses what it read, 0.02 at most for one
        that can be trusted with long sources."""
        return self.far / self.near - 1 if self.near else 0.0


def entropy_drift(model: EntropyModel, data: bytes, *, window: int = 512, halves: int = 8) -> Drift:
    """Measure it on a long text: a source is begun at every half window, and each half window of text is judged
    both near to and far from a beginning, so that the text's own variation cancels.

    Args:
        model: any entropy model; it reads about `halves` times as many bytes as `data` has.
        data: at least `halves` half windows, better some hundred.
        window: bytes, even.
        halves: length of each source in half windows, at least 3.

    Raises:
        InputError: too short a text, or an impossible window.
    """
    half = window // 2
    if half < 1 or window % 2 or halves < 3:
        raise InputError(
            f"a window of {window} and {halves} halves: an even window and 3 halves are the least"
        )
    count = len(data) // half
    if count < halves:
        raise InputError(f"{len(data)} bytes are too few: {halves * half} at least, better {100 * half}")
    near, far = [], []
    for first in range(count - 1):
        last = min(first + halves, count)
        means = model.entropies(data[first * half : last * half]).reshape(-1, half).mean(1, np.float64)
        skipped = max(0, halves - 1 - first)  # so early in the text not every distance occurs
        near.extend(means[1:2] if skipped <= 1 else ())
        far.extend(means[max(2, skipped) :])
    return Drift(float(np.mean(near)), float(np.mean(far)), len(near) * half)
