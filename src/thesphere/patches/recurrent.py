"""The entropy models `small` and `large`: trained recurrent networks over bytes, with 8-bit products, streaming.

Reading is three kinds of work over a chunk of bytes. The contexts of each byte (nn/contexts.py) pick rows of
int8 tables; products of int8 matrices are exact; everything between two products is done row by row in a fixed
order (nn/integer.py), and each recurrence carries `width` numbers from byte to byte. So an entropy depends on
the bytes before it alone, never on where the input was cut or what else is read at the same time. The network is
described in nn/recurrent.py, how the two were trained and what they reach in docs/models.md.

A source stands behind one zero byte, as the documents did in training.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from thesphere.errors import FormatError
from thesphere.nn import integer
from thesphere.nn.contexts import Reader, lookup_of
from thesphere.nn.shape import INPUT, TABLES, Shape, checked_shape
from thesphere.nn.weights import shipped_weights
from thesphere.room import aligned
from thesphere.runtime.threads import workers

CHUNK = 1024  # bytes between two hand-overs from thread to thread; no result depends on it
VERSION = 1  # of the arithmetic; another one would make other entropies of the same weights
SHA256 = {
    "small": "7137dc53ac11f25432b487f4cc98254824bfff4f1035c4206749e9eb73488b4a",
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
            name: integer.Matrix(tensors[name], tensors[f"{name}.scale"]) for name in self.shape.matrices()
        }
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


@dataclass
class _Chunk:
    """Some bytes on their way: h [T, D], and what is still to be added to it, sums * sizes * scale."""

    byte: np.ndarray
    following: np.ndarray
    h: np.ndarray
    sums: np.ndarray
    sizes: np.ndarray
    scale: np.ndarray


class _Room:
    """What a thread works in, chunk after chunk: fresh memory each time would cost a fifth of the time."""

    def __init__(self, shape: Shape) -> None:
        self.rows = aligned((CHUNK, INPUT), np.int8)
        self.wide = aligned((CHUNK, 3 * shape.width), np.int32)
        self.levels = aligned((CHUNK, shape.width), np.int8)
        self.sizes = aligned((CHUNK,), np.float32)
        self.logits = aligned((CHUNK, 256), np.int32)


class RecurrentStream:
    """One source on its way through the model."""

    def __init__(self, model: RecurrentModel) -> None:
        shape, self._model, self._fresh = model.shape, model, True
        self._reader = Reader(model.lookup)
        self._states = np.zeros((shape.blocks, shape.width), np.float32)
        self._rooms = [_Room(shape) for _ in range(2)]
        kinds = (np.float32, np.int32)
        self._streams = [[aligned((CHUNK, shape.width), kind) for kind in kinds] for _ in range(2)]

    def push(self, data: bytes) -> np.ndarray:
        """Entropies after each pushed byte, float32 [len(data)], nats in [0, ln 256]."""
        before = b"\0" if self._fresh and data else b""
        raw = np.frombuffer(before + data, np.uint8)
        self._fresh = self._fresh and not data
        return self.read(raw, raw)[0][len(before) :]

    def read(self, byte: np.ndarray, following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(entropies, costs) after each of `byte`, float32 [T] each; `following` are the bytes costs are of.

        Two threads share the blocks, where there are two: the first is one chunk ahead.
        """
        entropies, costs = np.empty(len(byte), np.float32), np.empty(len(byte), np.float32)
        pieces = [slice(at, at + CHUNK) for at in range(0, len(byte), CHUNK)]
        two = len(pieces) > 1 and workers() > 1
        first, second = self._rooms if two else self._rooms[:1] * 2
        chunks = (
            self._enter(byte[piece], following[piece], first, self._streams[two and number % 2])
            for number, piece in enumerate(pieces)
        )
        for piece, chunk in zip(pieces, _one_ahead(chunks) if two else chunks, strict=True):
            self._leave(chunk, second, entropies[piece], costs[piece])
        return entropies, costs

    def _enter(self, byte: np.ndarray, following: np.ndarray, room: _Room, stream: list) -> _Chunk:
        """Contexts, input and the first blocks."""
        model, size = self._model, len(byte)
        known, expected, second = self._reader.read(byte)
        rows, matrix = room.rows[:size], model.matrices["input"]
        integer.gather(byte, known, expected, second, model.tables, model.begins, rows.view(np.int64))
        h, sums = (part[:size] for part in stream)
        h[:] = 0
        ones, scale = np.ones(size, np.float32), matrix.scale / np.float32(127)  # the tables' step is 1/127
        chunk = _Chunk(byte, following, h, matrix(rows, sums), ones, scale)
        self._pass(chunk, room, range(model.shape.blocks // 2))
        return chunk

    def _pass(self, chunk: _Chunk, room: _Room, blocks: range) -> None:
        """`blocks` on `chunk`, in place."""
        model, size = self._model, len(chunk.byte)
        for b in blocks:
            levels, sizes = self._normalised(chunk, room, f"{b}.norm")
            into, out = model.matrices[f"{b}.in"], model.matrices[f"{b}.out"]
            wide, chunk.sizes = into(levels, room.wide[:size]), np.empty(size, np.float32)
            integer.recur(
                chunk.byte, wide, sizes, into.scale, model.vectors[f"{b}.gate"], self._states[b],
                levels, chunk.sizes,
            )  # fmt: skip
            chunk.sums, chunk.scale = out(levels, chunk.sums), out.scale

    def _leave(self, chunk: _Chunk, room: _Room, entropies: np.ndarray, costs: np.ndarray) -> None:
        """The other blocks, and what comes out."""
        shape = self._model.shape
        self._pass(chunk, room, range(shape.blocks // 2, shape.blocks))
        levels, sizes = self._normalised(chunk, room, "norm")
        matrix, bias = self._model.matrices["output"], self._model.vectors["bias"]
        logits = matrix(levels, room.logits[: len(levels)])
        integer.judge(logits, sizes, matrix.scale, bias, chunk.following, entropies, costs)

    def _normalised(self, chunk: _Chunk, room: _Room, gain: str) -> tuple[np.ndarray, np.ndarray]:
        """(levels int8 [T, D], sizes float32 [T]) of chunk.h, with what was to be added to it."""
        levels, sizes = room.levels[: len(chunk.h)], room.sizes[: len(chunk.h)]
        integer.add_normalise(
            chunk.h, chunk.sums, chunk.sizes, chunk.scale, self._model.vectors[gain], levels, sizes
        )
        return levels, sizes


def _one_ahead(chunks: Iterator[_Chunk]) -> Iterator[_Chunk]:
    """The same chunks, each made by another thread while the one before it is used."""
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(next, chunks, None)
        while (chunk := ahead.result()) is not None:
            ahead = pool.submit(next, chunks, None)
            yield chunk
