"""The entropy models `small` and `large`: trained recurrent networks over bytes, with 8-bit products, streaming.

Reading is three kinds of work over a chunk of bytes. The contexts of each byte (nn/contexts.py) pick rows of
int8 tables; products of int8 matrices are exact; everything between two products is done row by row in a fixed
order (nn/integer.py), and each recurrence carries `width` numbers from byte to byte. So an entropy depends on
the bytes before it alone, never on where the input was cut or what else is read at the same time. The network is
described in nn/recurrent.py, how the two were trained and what they reach in docs/models.md.

A source stands behind one zero byte, as the documents did in training.
"""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from thesphere.errors import FormatError
from thesphere.nn import integer
from thesphere.nn.contexts import Reader, lookup_of
from thesphere.nn.shape import INPUT, TABLES, checked_shape
from thesphere.nn.weights import shipped_weights
from thesphere.room import Room, Rooms
from thesphere.runtime.relay import Relay
from thesphere.runtime.threads import workers

CHUNK = 1024  # bytes that a thread takes at a time, at most; no result depends on it
SHARES = 4  # chunks for each thread, where so little is read
VERSION = 1  # of the arithmetic; another one would make other entropies of the same weights
SHA256 = {
    "small": "cf0e0415dd869c44564c6bd2b240fd33cd84010fe6ee59c92cede46120ce93b0",
    "large": "26b5b96ee3c050a8297a06b0a8f0eecac1d79386cb72221d2d3f0a18facc3f3f",
}
"""Of the shipped weights, small.safetensors and large.safetensors beside this file."""


def id_of(name: str, sha256: str) -> str:
    """The id of the model `name` with these weights."""
    return f"{name}-{VERSION}-{sha256[:12]}"


def path_of(name: str) -> Path:
    """Where the shipped weights `name` lie."""
    return Path(__file__).with_name(f"{name}.safetensors")


@cache
def shipped(name: str = "small") -> "RecurrentModel":
    """The model "small" or "large", whose weights come with the package; read on first use.

    Raises:
        FormatError: they are missing or not what was shipped.
    """
    path = path_of(name)
    return RecurrentModel(shipped_weights(path, SHA256[name]), str(path), name)


class RecurrentModel:
    """The network of a file of weights.

    Args:
        data: the bytes of a safetensors file as `thesphere.train.loop.quantised` makes it.
        where: what errors call it.
        name: with which the id begins.

    Raises:
        FormatError: no safetensors, or tensors missing, too many, of another type or shape, or not finite.
    """

    def __init__(self, data: bytes, where: str = "the weights", name: str = "own") -> None:
        try:
            tensors = load(data)
        except SafetensorError as error:
            raise FormatError(f"{where} cannot be read as safetensors: {error}") from None
        self.shape = checked_shape(tensors, where)
        self._id = id_of(name, hashlib.sha256(data).hexdigest())
        self.lookup = lookup_of(tensors["keys"], tensors["begins"])
        self.tables = tuple(np.array(tensors[name]).view(np.int64) for name in TABLES)
        self.begins = self.shape.known_begins()
        self.matrices = {
            name: (integer.right_side(tensors[name]), tensors[f"{name}.scale"])
            for name in self.shape.matrices()
        }
        self.rooms = Rooms()
        self.vectors = {
            name: tensors[name] for name in tensors if name.endswith(("norm", "gate")) or name == "bias"
        }

    @property
    def id(self) -> str:
        """The version of the arithmetic and the beginning of the weights' SHA-256."""
        return self._id

    def stream(self) -> "RecurrentStream":
        """A fresh stream for one source."""
        return RecurrentStream(self)

    def entropies(self, data: bytes) -> np.ndarray:
        """float32 [T], nats: entry i is the uncertainty about byte i + 1 given bytes 0..i."""
        return self.stream().push(data)

    def costs(self, data: bytes) -> np.ndarray:
        """float32 [T], nats: -ln of the probability that byte i had, given those before it.

        Their sum over ln 2 is the length in bits to which arithmetic coding would bring `data`.
        """
        raw = np.frombuffer(b"\0" + data, np.uint8)
        return self.stream().read(raw[:-1], raw[1:])[1]


class RecurrentStream:
    """One source on its way through the model."""

    def __init__(self, model: RecurrentModel) -> None:
        self._model, self._fresh = model, True
        self._reader = Reader(model.lookup)
        self._states = np.zeros((model.shape.blocks, model.shape.width), np.float32)

    def push(self, data: bytes) -> np.ndarray:
        """Entropies after each pushed byte, float32 [len(data)], nats in [0, ln 256]."""
        before = b"\0" if self._fresh and data else b""
        raw = np.frombuffer(before + data, np.uint8)
        self._fresh = self._fresh and not data
        return self.read(raw, raw)[0][len(before) :]

    def read(self, byte: np.ndarray, following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(entropies, costs) after each of `byte`, float32 [T] each; `following` are the bytes costs are of.

        Threads take chunks in turn. Contexts and recurrences know the chunk before, so each is entered in order;
        everything else goes on beside it.
        """
        entropies, costs = np.empty(len(byte), np.float32), np.empty(len(byte), np.float32)
        threads, relay = workers(), Relay(1 + self._model.shape.blocks)
        size = min(CHUNK, max(integer.PART, -(-len(byte) // (SHARES * threads))))

        def work(number: int) -> None:
            piece = slice(number * size, (number + 1) * size)
            with self._model.rooms.one() as room:
                with relay.turn(0, number):
                    told = self._reader.read(byte[piece])
                chunk = _Chunk(self._model, byte[piece], told, room)
                for b, state in enumerate(self._states):
                    with relay.turn(1 + b, number):
                        chunk.block(b, state)
                chunk.leave(following[piece], entropies[piece], costs[piece])

        relay.run(work, -(-len(byte) // size), threads)
        return entropies, costs


class _Chunk:
    """Some bytes on their way through a model: h [CHUNK, D], and what is still to be added to it, sums * sizes *
    scale."""

    def __init__(
        self,
        model: RecurrentModel,
        byte: np.ndarray,
        told: tuple[np.ndarray, np.ndarray, np.ndarray],
        room: Room,
    ) -> None:
        """Enters with what the contexts tell of each position."""
        count, width = len(byte), model.shape.width
        self._model, self._byte, self._room = model, byte, room
        self._h, self._sums = room("h", (CHUNK, width), np.float32), room("sums", (CHUNK, width), np.int32)
        self._sizes = room("sizes", (CHUNK,), np.float32)
        self._levels = room("levels", (integer.PART, width), np.int8)
        right, scale = model.matrices["input"]
        rows = room("rows", (integer.PART, INPUT), np.int8)
        integer.enter(byte, *told, model.tables, model.begins, right, rows, self._sums)
        self._h[:count], self._sizes[:count] = 0, 1
        self._scale = scale / np.float32(127)  # the tables' step is 1/127

    def block(self, b: int, state: np.ndarray) -> None:
        """Through block b, whose state [D] goes on."""
        vectors, (into, into_scale) = self._model.vectors, self._model.matrices[f"{b}.in"]
        right, scale = self._model.matrices[f"{b}.out"]
        wide = self._room("wide", (integer.PART, len(into_scale)), np.int32)
        integer.block(
            self._byte, self._h, self._sums, self._sizes, self._scale, vectors[f"{b}.norm"], into, into_scale,
            vectors[f"{b}.gate"], right, state, self._levels, wide,
        )  # fmt: skip
        self._scale = scale

    def leave(self, following: np.ndarray, entropies: np.ndarray, costs: np.ndarray) -> None:
        """What comes out is written."""
        vectors, (right, scale) = self._model.vectors, self._model.matrices["output"]
        logits = self._room("logits", (integer.PART, len(scale)), np.int32)
        integer.leave(
            self._h, self._sums, self._sizes, self._scale, vectors["norm"], right, scale, vectors["bias"],
            following, self._levels, logits, entropies, costs,
        )  # fmt: skip
