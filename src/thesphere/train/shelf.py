"""What the training of encoders keeps on the device: the texts that were read, and the teacher's vectors."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from thesphere.errors import InputError, MissingExtra
from thesphere.nn import sphere
from thesphere.train.library import MOST_GRAMS, Library

try:
    import jax
    import jax.numpy as jnp
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as Of
except ImportError:
    raise MissingExtra("the training of encoders", "jax") from None

PAIRS = "pairs"  # the axis along which devices share a batch


class Shelf(NamedTuple):
    """A `Library` and the teacher's vectors, on the device.

    Attributes:
        taught: int32 [texts], the row of `teacher` that a text should be near; -1: none.
        teacher: float16 [R, E], unit rows.
    """

    begins: Any
    distinct: Any
    symbol: Any
    word: Any
    gram: Any
    size: Any
    hint: Any
    taught: Any
    teacher: Any


def mesh() -> Mesh:
    """All devices, in one row."""
    return Mesh(np.array(jax.devices()), (PAIRS,))


class Room(NamedTuple):
    """How much a shelf can hold: what is compiled for it fits all that hold less."""

    texts: int
    patches: int
    words: int
    vectors: int


def room_for(library: Library, teacher: np.ndarray) -> Room:
    """What `library` and `teacher` need."""
    return Room(len(library.begins) - 1, len(library.distinct), len(library.word), len(teacher))


def shelf_like(room: Room, width: int) -> Shelf:
    """A shelf without its numbers: enough to compile for. width: of the teacher's vectors."""
    p, w, whole = (room.patches,), room.words, NamedSharding(mesh(), Of())
    shapes = [
        (room.texts + 1,),
        p,
        p,
        (w, 2),
        (w, MOST_GRAMS),
        (w,),
        (w,),
        (room.texts,),
        (room.vectors, width),
    ]
    kinds = [np.int32] * (len(shapes) - 1) + [np.float16]
    return Shelf(*(jax.ShapeDtypeStruct(*each, sharding=whole) for each in zip(shapes, kinds, strict=True)))


def shelve(library: Library, taught: np.ndarray, teacher: np.ndarray, room: Room | None = None) -> Shelf:
    """The arrays of `library`, as every device holds them.

    Args:
        taught: int [texts], see `Shelf`.
        teacher: [R, E], unit rows.
        room: to be filled up to; None: as much as is needed.

    Raises:
        InputError: too many patches to be counted, rows of the teacher that are not there, or too little room.
    """
    need = room_for(library, teacher)
    room = room or need
    if room.patches >= 1 << 31:
        raise InputError(f"{room.patches:,} patches: at most 2^31 can be counted; give fewer texts")
    if len(taught) != need.texts or taught.max(initial=-1) >= len(teacher):
        raise InputError(f"{len(taught)} texts with teachers for {need.texts} texts, {len(teacher)} vectors")
    if any(have < wanted for have, wanted in zip(room, need, strict=True)):
        raise InputError(f"{need} does not fit {room}")
    arrays = (library.begins, library.distinct, library.symbol, library.word, library.gram)
    more = (library.size, library.hint, taught, teacher)
    made = []
    for array, like in zip((*arrays, *more), shelf_like(room, teacher.shape[1]), strict=True):
        if array.shape != like.shape or array.dtype != like.dtype:
            full = np.zeros(like.shape, like.dtype)
            full[: len(array)] = array
            array = full
        made.append(jax.device_put(array, like.sharding))
    return Shelf(*made)


def windows_of(shelf: Shelf, texts: Sequence[Any], places: Sequence[int], words: int):
    """(Words, one Windows for each of `texts`) of texts on the shelf; `places` are the windows' lengths."""
    found, flat = [], []
    for text, n in zip(texts, places, strict=True):
        begin = shelf.begins[text]
        count = jnp.minimum(shelf.begins[text + 1] - begin, n)
        at = jnp.arange(n)
        used = at < count[:, None]
        place = jnp.where(used, begin[:, None] + at, 0)
        flat.append(jnp.where(used, jnp.take(shelf.distinct, place), 0).ravel())
        found.append((used.shape, jnp.take(shelf.symbol, place), count))
    which, inverse = jnp.unique(jnp.concatenate(flat), size=words, fill_value=0, return_inverse=True)
    inverse = jnp.minimum(inverse, words - 1).astype(jnp.int32)
    windows, at = [], 0
    for (shape, symbol, count), some in zip(found, flat, strict=True):
        windows.append(sphere.Windows(inverse[at : at + len(some)].reshape(shape), symbol, count))
        at += len(some)
    return sphere.Words(*(jnp.take(part, which, 0) for part in shelf[3:7])), windows
