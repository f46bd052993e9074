"""`sphere` and `sphere-light`: our own encoders, bytes in, with 8-bit weights that come with the package.

A text is read as patches of about a word (nn/grams.py); the network (nn/sphere.py) sees at most 256 of them at
once. Each patch gets a vector and a prominence, and the text's embedding is the mean over its patches of
prominence times vector. Work goes by batches of windows of many texts: products of int8 matrices, exact in any
order, and between them the kernels of encoders/kernels.py, which never look beyond a window. So a row is the same
to the last bit in any company, in any order and by any number of threads.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from thesphere.encoders import cuts, kernels
from thesphere.encoders.description import Description
from thesphere.encoders.joining import Joining
from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.nn import grams, integer
from thesphere.nn.sphere_shape import SphereShape, checked_sphere_shape, lengthening, places
from thesphere.nn.tiles import tiles_allowed
from thesphere.nn.weights import WEIGHTS, shipped_weights
from thesphere.room import Room

VERSION = 2  # of the arithmetic; another one would make other vectors of the same weights
SHA256 = {
    "sphere": "be09093b733bdacbf840cd4c8b5e450cf1edb064b9adad223c27d6cc20ff0e55",
    "sphere-light": "ce169b1d2b49aa7387ee2c8cc942af490cd762157b43a1372acaf26e8df25434",
}
"""Of the weights that come with the package, beside this file."""
JOINING = {"sphere": Joining(1.0), "sphere-light": Joining(0.63)}
MOST_BYTES = 1 << 28  # of a file of weights


_Sums = tuple[
    np.ndarray, np.ndarray, np.ndarray
]  # of int32 [P, N], sizes [P] and scale [N]: all three multiplied


@dataclass(frozen=True, eq=False)
class SphereEncoder:
    """One of the encoders with its weights.

    Attributes:
        id: name, version of the arithmetic, the beginning of the weights' SHA-256, and the path if they are a
            user's.
        shape: sizes of the network.
        tensors: those of the file.
    """

    id: str
    shape: SphereShape = field(repr=False)
    tensors: dict[str, np.ndarray] = field(repr=False)
    storage: Literal["int8", "float32"] = field(default="float32", init=False)
    norm_meaning: str = field(
        default="The norm of a sphere vector is the length of the mean of prominence times vector over the text's"
        " patches: it grows with the prominence of its words and shrinks as their vectors part, which they do in"
        " longer texts.",
        init=False,
        repr=False,
    )
    joining: Joining = Joining()

    @property
    def width(self) -> int:
        """D, the number of columns."""
        return self.shape.embedding

    def state(self) -> dict[str, np.ndarray]:
        """{}: the id tells of the weights."""
        return {}

    def encode(self, texts: Sequence[bytes]) -> np.ndarray:
        """float32 [N, width], pre-norm; see `Encoder.encode`. Texts without patches give rows of zeros.

        Raises:
            InputError: too little memory.
            FormatError: the weights are such that a number overflows.
        """
        try:
            pooled = np.zeros((len(texts), self.shape.width), np.float32)
            counts, room = np.zeros(len(texts), np.int64), Room()
            for owner, patches in self._read(texts):
                np.add.at(counts, owner, np.diff(patches.begins))
                for begins, window_owner in cuts.windows(patches.begins):
                    h, prominence = self._forward(patches, begins, room)
                    kernels.pool(h, prominence, begins - begins[0], owner[window_owner], pooled)
            out = np.empty((len(texts), self.width), np.float32)
            kernels.project(pooled, counts, self._raw, out)
        except MemoryError:
            raise InputError(
                f"too little memory to embed {len(texts):,} texts at once: give fewer, or close other programs"
            ) from None
        self._check(out)
        return out

    def describe(self, text: bytes) -> Description:
        """What the encoder sees in one text, patch by patch; P = 0 for a text of nothing but blanks.

        Raises:
            InputError, FormatError: as in `encode`.
        """
        shape, done, offset, room = self.shape, [], 0, Room()
        try:
            for piece in cuts.pieces(text):
                _, patches = next(self._read([piece]))
                for begins, _ in cuts.windows(patches.begins):
                    h, prominence = self._forward(patches, begins, room)
                    levels, sizes = np.empty(h.shape, np.int8), np.empty(len(h), np.float32)
                    kernels.quantise(h, levels, sizes)
                    raw, shells, cones = (
                        self._matrices[name](levels) * sizes[:, None] * self._matrices[name].scale
                        for name in ("raw", "shells", "cones")
                    )
                    done.append(
                        (
                            patches.at[begins[0] : begins[-1]] + offset,
                            raw * prominence[:, None],
                            prominence,
                            _softmax(shells + self.tensors["shells.bias"]),
                            _softmax(cones + self.tensors["cones.bias"]),
                        )
                    )
                offset += len(piece)
        except MemoryError:
            raise InputError(f"too little memory to describe a text of {len(text):,} bytes") from None
        if not done:
            empty = [np.empty((0, n), np.float32) for n in (shape.embedding, shape.shells, shape.cones)]
            return Description(np.empty(0, np.int64), empty[0], np.empty(0, np.float32), *empty[1:])
        found = Description(*(np.concatenate(each) for each in zip(*done, strict=True)))
        self._check(found.embeddings)
        return found

    def _check(self, rows: np.ndarray) -> None:
        if not np.isfinite(rows).all():
            raise FormatError(f"the weights of {self.id} make numbers overflow: train or fetch them again")

    @cached_property
    def _matrices(self) -> dict[str, integer.Matrix]:
        return {
            name: integer.Matrix(self.tensors[name], self.tensors[f"{name}.scale"])
            for name in self.shape.matrices()
        }

    @cached_property
    def _raw(self) -> np.ndarray:
        """float32 [D, E]: the last matrix, for what is pooled."""
        return np.ascontiguousarray((self.tensors["raw"] * self.tensors["raw.scale"][:, None]).T)

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        return places(self.shape)

    def _read(self, texts: Sequence[bytes]) -> Iterator[tuple[np.ndarray, grams.Patches]]:
        """(whose each piece is, the patches of the pieces), about `cuts.PIECE` bytes at a time."""
        pieces, owner, held = [], [], 0
        for text, data in enumerate(texts):
            for piece in cuts.pieces(data):
                if held + len(piece) > cuts.PIECE and pieces:
                    yield np.array(owner, np.int64), self._patches(pieces)
                    pieces, owner, held = [], [], 0
                pieces.append(piece)
                owner.append(text)
                held += len(piece)
        if pieces:
            yield np.array(owner, np.int64), self._patches(pieces)

    def _patches(self, pieces: list[bytes]) -> grams.Patches:
        begins = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
        return grams.patches(np.frombuffer(b"".join(pieces), np.uint8), begins, self.shape.rows)

    def _forward(
        self, patches: grams.Patches, begins: np.ndarray, room: Room
    ) -> tuple[np.ndarray, np.ndarray]:
        """(h float32 [P, D], prominence float32 [P]) of the windows that begin at patches begins[:-1].

        h lies in the room: another call writes over it.
        """
        tensors, shape = self.tensors, self.shape
        some, count = slice(begins[0], begins[-1]), int(begins[-1] - begins[0])
        begins, word = begins - begins[0], patches.word[some]

        def rows(name: str, width: int) -> tuple[np.ndarray, np.ndarray]:
            return room(name, (count, width), np.int8), np.empty(count, np.float32)

        def product(name: str, levels: np.ndarray, sizes: np.ndarray) -> _Sums:
            matrix = self._matrices[name]
            sums = room("sums", (count, len(matrix.scale)), np.int32)
            return matrix(levels, sums), sizes, matrix.scale

        def normalised(sums: _Sums, gain: str) -> tuple[np.ndarray, np.ndarray]:
            levels, sizes = rows("levels", shape.width)
            integer.add_normalise(h, *sums, tensors[gain], levels, sizes)
            return levels, sizes

        levels, sizes = rows("levels", 2 * shape.table)
        kernels.gather(
            tensors["table"], word, patches.symbol[some], patches.gram_begins[some.start : some.stop + 1],
            patches.gram, patches.size[some], _LENGTHENING, levels, sizes,
        )  # fmt: skip
        h = room("h", (count, shape.width), np.float32)
        kernels.locate(begins, word, tensors["rarity"], *self._places, tensors["place"], h)
        sums = product("input", levels, sizes)
        for layer in range(shape.layers):
            levels, sizes = normalised(sums, f"{layer}.norm")
            if shape.heads:
                sums = product(f"{layer}.attend", levels, sizes)
                levels, sizes = rows("levels", shape.width)
                slope = tensors[f"{layer}.slope"]
                kernels.attend(*sums, slope, begins, shape.cones, tiles_allowed(), levels, sizes)
                levels, sizes = normalised(product(f"{layer}.out", levels, sizes), f"{layer}.wide_norm")
                sums = product(f"{layer}.up", levels, sizes)
                levels, sizes = rows("wide", shape.hidden)
                kernels.square(*sums, levels, sizes)
                sums = product(f"{layer}.down", levels, sizes)
            else:
                sums = product(f"{layer}.in", levels, sizes)
                levels, sizes = rows("levels", shape.width)
                kernels.mix(*sums, tensors[f"{layer}.kernel"], begins, levels, sizes)
                sums = product(f"{layer}.out", levels, sizes)
        prominence, bias = np.empty(count, np.float32), tensors["prominence.bias"][0]
        kernels.weigh_patches(h, *sums, tensors["norm"], tensors["prominence"], bias, prominence)
        return h, prominence


_LENGTHENING = lengthening()


def open_sphere(name: str) -> SphereEncoder:
    """Open one of the encoders.

    Args:
        name: "sphere" or "sphere-light", for the weights that come with the package; "sphere:PATH" or
            "sphere-light:PATH" for a file of weights, or the folder that `thesphere train encoder` wrote; or an
            id that a collection kept.

    Raises:
        InputError: an id of another version or of other weights: their vectors would not match.
        NotFoundError: no such file.
        FormatError: the weights are damaged, those of the other encoder, or not those that the id tells of.
    """
    kept, colon, path = name.partition(":")
    kind, slash, _ = kept.partition("/")
    if not colon:
        if slash and kept != id_of(kind, SHA256[kind]):
            raise InputError(
                f"the encoder {name} is not what this version has, {id_of(kind, SHA256[kind])}:"
                " install the version of thesphere that made the collection, or ingest into another one"
            )
        return shipped(kind)
    if not path.strip():
        raise InputError(f"{name!r} lacks the weights: add the path of their file or folder")
    place = Path(os.path.abspath(path))
    place = place / WEIGHTS if place.is_dir() else place
    data = _bytes(place)
    found = id_of(kind, hashlib.sha256(data).hexdigest())
    if slash and found != kept:
        raise FormatError(f"{place} holds other weights, {found}, than the collection was made with, {kept}")
    return load_sphere(data, kind, f"{found}:{place}", str(place))


@cache
def shipped(kind: str) -> SphereEncoder:
    """The encoder whose weights come with the package, "sphere" or "sphere-light"; read on first use.

    Raises:
        FormatError: they are missing or not what was shipped.
    """
    path = Path(__file__).with_name(f"{kind.replace('-', '_')}.safetensors")
    data = shipped_weights(path, SHA256[kind])
    return load_sphere(data, kind, id_of(kind, SHA256[kind]), str(path))


def id_of(kind: str, sha256: str) -> str:
    """The id of the encoder with these weights."""
    return f"{kind}/{VERSION}-{sha256[:12]}"


def load_sphere(data: bytes, kind: str, id: str, where: str) -> SphereEncoder:
    """An encoder of the bytes of a safetensors file.

    Args:
        kind: "sphere", whose layers have attention, or "sphere-light", whose layers have none.
        id: of the encoder.
        where: what errors call the file.

    Raises:
        FormatError: no safetensors, or tensors missing, too many, of another type or shape, or not finite; or
            those of the other encoder.
        InputError: too little memory.
    """
    try:
        tensors = load(data)
        shape = checked_sphere_shape(tensors, where)
    except SafetensorError as error:
        raise FormatError(f"{where} cannot be read as safetensors: {error}") from None
    except MemoryError:
        raise InputError(f"too little memory for the {len(data):,} bytes of {where}") from None
    if empty := [name for name, tensor in tensors.items() if not tensor.size]:
        raise FormatError(f"{where}: nothing is in {', '.join(sorted(empty))}")
    if bool(shape.heads) != (kind == "sphere"):
        other = "sphere" if shape.heads else "sphere-light"
        raise FormatError(f"{where} holds the weights of {other}, not of {kind}: open {other}:{where}")
    return SphereEncoder(id, shape, tensors, joining=JOINING[kind])


def _bytes(path: Path) -> bytes:
    """The bytes of a user's file of weights."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise FormatError(f"{path} has {size:,} bytes; weights of an encoder have at most {MOST_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError(
            f"the weights {path} cannot be read ({error.strerror}); give what thesphere train encoder wrote"
        ) from None
    except MemoryError:
        raise InputError(f"too little memory for the weights {path}") from None


def _softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
