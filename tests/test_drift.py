"""The measure of drifting entropies: on made-up models where it is known, and on the models that ship."""

from collections.abc import Callable
from pathlib import Path
from pydoc_data import topics

import numpy as np
import pytest

from thesphere.errors import InputError
from thesphere.patches.drift import entropy_drift
from thesphere.patches.models import open_entropy_model

PROSE = Path(topics.__file__).read_bytes()[100_000:116_000]  # Python's own help


class MadeUp:
    """Entropies from bytes and their places in the source."""

    id = "made-up"

    def __init__(self, says: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.says = says

    def stream(self):
        raise NotImplementedError

    def entropies(self, data: bytes) -> np.ndarray:
        return self.says(np.frombuffer(data, np.uint8), np.arange(len(data))).astype(np.float32)


def test_a_model_that_forgets_where_a_source_began_does_not_drift() -> None:
    text = np.random.default_rng(0).integers(0, 256, 5000).astype(np.uint8).tobytes()
    drift = entropy_drift(MadeUp(lambda byte, _: byte / 256), text, window=64)
    assert drift.growth == pytest.approx(0, abs=1e-12)
    assert drift.bytes == (5000 // 32 - 7) * 32


def test_what_is_near_and_what_is_far() -> None:
    def says(_: np.ndarray, place: np.ndarray) -> np.ndarray:
        return np.where(place < 32, 99, np.where(place < 64, 1, 1.5))

    drift = entropy_drift(MadeUp(says), bytes(1000), window=64, halves=4)
    assert (drift.near, drift.far, drift.growth) == (1, 1.5, 0.5)


@pytest.mark.parametrize("name", ["light", "small"])
def test_models_that_ship_do_not_drift(name: str) -> None:
    assert entropy_drift(open_entropy_model(name), PROSE, halves=4).growth <= 0.02


def test_too_little_text_and_impossible_windows_are_told() -> None:
    model = MadeUp(lambda byte, _: byte)
    with pytest.raises(InputError, match="100 bytes are too few"):
        entropy_drift(model, bytes(100))
    for wrong in ({"window": 3}, {"window": 0}, {"halves": 2}):
        with pytest.raises(InputError, match="are the least"):
            entropy_drift(model, bytes(10000), **wrong)
