"""The recurrent entropy models through JAX, for machines with an accelerator: `small-jax` and `large-jax`.

The same weights, contexts and equations as in patches/recurrent.py, with sums in the order that XLA chooses. A
level that lies near a half may then be rounded the other way, which moves the entropies after it by hundredths of
a nat; docs/models.md has the figures. So these models have ids of their own, and a collection stays with one.

Positions are computed in pieces of a fixed size, counted from the beginning of the source, each from the state
that the piece before it left; what a piece still lacks is filled with zeros, which nothing before them sees. A
piece that is not full yet is computed again when more has come. So on one device where a source is cut changes
no entropy.
"""

from functools import cache, partial

import numpy as np
from safetensors.numpy import load

from thesphere.errors import MissingExtra
from thesphere.nn.contexts import Reader
from thesphere.patches.recurrent import RecurrentModel, path_of, shipped

try:
    import jax
    import jax.numpy as jnp

    from thesphere.nn.recurrent import forward, parameters_of
except ImportError:
    raise MissingExtra("entropy models on accelerators", "jax") from None

PIECE = 4096  # positions computed at a time


@cache
def shipped_for_device(name: str) -> "DeviceModel":
    """The model "small" or "large" on the device that JAX prefers.

    Raises:
        FormatError: the weights are missing or not what was shipped.
    """
    return DeviceModel(shipped(name), path_of(name).read_bytes())


class DeviceModel:
    """A network on a device.

    Args:
        model: the same network for the host; its contexts are used.
        data: the bytes of its file.
        piece: positions computed at a time.
    """

    def __init__(self, model: RecurrentModel, data: bytes, piece: int = PIECE) -> None:
        self.model, self.piece = model, piece
        shape, parameters = parameters_of(load(data))
        self._parameters = jax.device_put(parameters)
        self.start = jnp.zeros((shape.blocks, 1, shape.width))
        self._judge = jax.jit(partial(_judge, shape))

    @property
    def id(self) -> str:
        """That of the weights, and that they run in JAX."""
        return f"{self.model.id}-jax"

    def stream(self) -> "DeviceStream":
        """A fresh stream for one source."""
        return DeviceStream(self)

    def entropies(self, data: bytes) -> np.ndarray:
        """float32 [T], nats: entry i is the uncertainty about byte i + 1 given bytes 0..i."""
        return self.stream().push(data)

    def costs(self, data: bytes) -> np.ndarray:
        """float32 [T], nats: -ln of the probability that byte i had, given those before it."""
        raw = np.frombuffer(b"\0" + data, np.uint8)
        return self.stream().read(raw[:-1], raw[1:])[1]

    def judge(self, states: jax.Array, told: list[np.ndarray], following: np.ndarray) -> tuple:
        """(states after, entropies, costs) of one whole piece, on the device."""
        return self._judge(self._parameters, states, following, *told)


def _judge(shape, parameters, states, following, byte, known, expected, second):
    given = (part[None] for part in (byte, known, expected, second))
    logits, states = forward(parameters, shape, *given, states=states)
    logs = jax.nn.log_softmax(logits[0])
    entropies = jnp.maximum(-jnp.sum(jnp.exp(logs) * logs, -1), 0)
    return states, entropies, -jnp.take_along_axis(logs, following[:, None].astype(jnp.int32), 1)[:, 0]


class DeviceStream:
    """One source on its way through the model. Push 64 KiB or more at a time: each push costs a piece or more."""

    def __init__(self, model: DeviceModel) -> None:
        self._model, self._fresh = model, True
        self._reader, self._states = Reader(model.model.lookup), model.start
        byte = np.empty(0, np.uint8)
        self._pending = [byte, *self._reader.read(byte)]  # what is told of the piece that is not full yet

    def push(self, data: bytes) -> np.ndarray:
        """Entropies after each pushed byte, float32 [len(data)], nats in [0, ln 256]."""
        before = b"\0" if self._fresh and data else b""
        raw = np.frombuffer(before + data, np.uint8)
        self._fresh = self._fresh and not data
        return self.read(raw, raw)[0][len(before) :]

    def read(self, byte: np.ndarray, following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(entropies, costs) after each of `byte`, float32 [T] each; `following` are the bytes costs are of."""
        if not len(byte):
            return np.empty(0, np.float32), np.empty(0, np.float32)
        model, waiting = self._model, len(self._pending[0])
        told = [byte, *self._reader.read(byte)]
        told = [np.concatenate(parts) for parts in zip(self._pending, told, strict=True)]
        following = np.concatenate([np.zeros(waiting, np.uint8), following])
        states, found = self._states, []
        for at in range(0, len(following), model.piece):
            self._states, self._pending = states, [part[at : at + model.piece] for part in told]
            lacking = model.piece - len(self._pending[0])
            given = [_filled(part, lacking) for part in self._pending]
            states, *judged = model.judge(states, given, _filled(following[at : at + model.piece], lacking))
            found.append(judged)  # not waited for: the device has the next pieces while this one is computed
        if not lacking:
            self._states, self._pending = states, [part[:0] for part in told]
        entropies, costs = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return entropies[waiting : len(following)], costs[waiting : len(following)]


def _filled(part: np.ndarray, lacking: int) -> np.ndarray:
    """`part` with as many rows of zeros as it lacks."""
    return np.concatenate([part, np.zeros((lacking, *part.shape[1:]), part.dtype)]) if lacking else part
