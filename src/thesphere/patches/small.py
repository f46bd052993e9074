"""The small entropy model: a trained recurrent network over bytes, with 8-bit products, streaming.

Reading is three kinds of work over a chunk of bytes. The contexts of each byte (nn/contexts.py) pick rows of
int8 tables; products of int8 matrices are exact; everything between two products is done row by row in a fixed
order (nn/integer.py), and each recurrence carries `width` numbers from byte to byte. So an entropy depends on
the bytes before it alone, never on where the input was cut or what else is read at the same time. The network is
described in nn/recurrent.py, how it was trained and what it reaches in docs/models.md.

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
from thesphere.nn.shape import INPUT, TABLES, checked_shape
from thesphere.runtime.threads import workers

CHUNK = 512  # bytes between two hand-overs from thread to thread; no result depends on it
VERSION = 1  # of the arithmetic; another one would make other entropies of the same weights
SHA256 = "7137dc53ac11f25432b487f4cc98254824bfff4f1035c4206749e9eb73488b4a"
"""Of the shipped weights, small.safetensors beside this file."""


def id_of(sha256: str) -> str:
    """The id of the model with these weights."""
    return f"small-{VERSION}-{sha256[:12]}"


@cache
def shipped() -> "SmallModel":
    """The model whose weights come with the package; read on first use.

    Raises:
        FormatError: they are missing or not what was shipped.
    """
    path = Path(__file__).with_name("small.safetensors")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error.strerror}): reinstall thesphere") from None
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise FormatError(f"{path} is damaged, its SHA-256 is another: reinstall thesphere")
    return SmallModel(data, str(path))


@dataclass
class _Chunk:
    """Some bytes on their way: h [T, D], and what is still to be added to it, sums * sizes * scale."""

    byte: np.ndarray
    following: np.ndarray
    h: np.ndarray
    sums: np.ndarray
    sizes: np.ndarray
    scale: np.ndarray


class SmallModel:
    """The network of a file of weights.

    Args:
        data: the bytes of a safetensors file as `thesphere.train.loop.quantised` makes it.
        where: what errors call it.

    Raises:
        FormatError: no safetensors, or tensors missing, too many, of another type or shape, or not finite.
    """

    def __init__(self, data: bytes, where: str = "the weights") -> None:
        try:
            tensors = load(data)
        except SafetensorError as error:
            raise FormatError(f"{where} cannot be read as safetensors: {error}") from None
        self.shape = checked_shape(tensors, where)
        self._id = id_of(hashlib.sha256(data).hexdigest())
        self.lookup = lookup_of(tensors["keys"], tensors["begins"])
        self.tables = tuple(tensors[name] for name in TABLES)
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

    def stream(self) -> "SmallStream":
        """A fresh stream for one source."""
        return SmallStream(self)

    def entropies(self, data: bytes) -> np.ndarray:
        """float32 [T], nats: entry i is the uncertainty about byte i + 1 given bytes 0..i."""
        return self.stream().push(data)

    def costs(self, data: bytes) -> np.ndarray:
        """float32 [T], nats: -ln of the probability that byte i had, given those before it.

        Their sum over ln 2 is the length in bits to which arithmetic coding would bring `data`.
        """
        raw = np.frombuffer(b"\0" + data, np.uint8)
        return self.stream().read(raw[:-1], raw[1:])[1]


class SmallStream:
    """One source on its way through the model."""

    def __init__(self, model: SmallModel) -> None:
        shape = model.shape
        self._model, self._fresh = model, True
        self._reader = Reader(model.lookup)
        self._states = np.zeros((shape.blocks, shape.width), np.float32)
        # the first thread has the contexts and the widest matrix to do as well
        self._first, self._rest = range(shape.blocks // 4), range(shape.blocks // 4, shape.blocks)

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
        chunks = (self._enter(byte[piece], following[piece]) for piece in pieces)
        if len(pieces) > 1 and workers() > 1:
            chunks = _one_ahead(chunks)
        for piece, chunk in zip(pieces, chunks, strict=True):
            self._leave(chunk, entropies[piece], costs[piece])
        return entropies, costs

    def _enter(self, byte: np.ndarray, following: np.ndarray) -> _Chunk:
        """Contexts, input and the first blocks."""
        model, size = self._model, len(byte)
        rows = np.empty((size, INPUT), np.int8)
        known, expected, second = self._reader.read(byte)
        integer.gather(byte, known, expected, second, model.tables, model.begins, rows)
        matrix = model.matrices["input"]
        h = np.zeros((size, model.shape.width), np.float32)
        ones, scale = np.ones(size, np.float32), matrix.scale / np.float32(127)  # the tables' step is 1/127
        chunk = _Chunk(byte, following, h, matrix(rows), ones, scale)
        self._pass(chunk, self._first)
        return chunk

    def _pass(self, chunk: _Chunk, blocks: range) -> None:
        """`blocks` on `chunk`, in place."""
        model = self._model
        for b in blocks:
            levels, sizes = self._normalised(chunk, f"{b}.norm")
            into, out = model.matrices[f"{b}.in"], model.matrices[f"{b}.out"]
            chunk.sizes = np.empty_like(sizes)
            integer.recur(
                chunk.byte, into(levels), sizes, into.scale, model.vectors[f"{b}.gate"], self._states[b],
                levels, chunk.sizes,
            )  # fmt: skip
            chunk.sums, chunk.scale = out(levels), out.scale

    def _leave(self, chunk: _Chunk, entropies: np.ndarray, costs: np.ndarray) -> None:
        """The other blocks, and what comes out."""
        self._pass(chunk, self._rest)
        levels, sizes = self._normalised(chunk, "norm")
        matrix, bias = self._model.matrices["output"], self._model.vectors["bias"]
        integer.judge(matrix(levels), sizes, matrix.scale, bias, chunk.following, entropies, costs)

    def _normalised(self, chunk: _Chunk, gain: str) -> tuple[np.ndarray, np.ndarray]:
        """(levels int8 [T, D], sizes float32 [T]) of chunk.h, with what was to be added to it."""
        levels, sizes = np.empty(chunk.h.shape, np.int8), np.empty(len(chunk.h), np.float32)
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
