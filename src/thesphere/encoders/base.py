"""What every encoder promises, how one is opened by name, and how embeddings from outside are checked."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal, Protocol

import numpy as np

from thesphere.encoders.joining import Joining
from thesphere.errors import InputError

KNOWN = ("sphere", "sphere-light", "lsa", "minilm", "sentence-transformers:NAME_OR_PATH")


class Encoder(Protocol):
    """Bytes in, vectors out, magnitudes kept.

    Attributes:
        id: name and version, "lsa/1"; kept in a collection together with `state()`.
        width: D, the number of columns.
        storage: "int8" where the stored row is the int8 code of the vector, "float32" where it is the vector.
        norm_meaning: one sentence on what the norm of a row of this encoder tells.
        joining: how much its vectors count beside the words of a question.
    """

    @property
    def id(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def storage(self) -> Literal["int8", "float32"]: ...
    @property
    def norm_meaning(self) -> str: ...
    @property
    def joining(self) -> Joining: ...

    def encode(self, texts: Sequence[bytes]) -> np.ndarray:
        """Embed UTF-8 texts; bytes that are not UTF-8 are tolerated.

        Returns:
            float32 [N, D], pre-norm and finite; row i belongs to texts[i], an empty text gives a row of
            zeros.
        """
        ...

    def state(self) -> dict[str, np.ndarray]:
        """The arrays that a collection must keep to open this encoder again; {} where the id says it all."""
        ...


def open_encoder(name: str, state: dict[str, np.ndarray] | None = None) -> Encoder:
    """Open an encoder by its name ("minilm") or by the id that a collection kept ("lsa/1"). Uses no network.

    Args:
        name: one of `KNOWN`; "sphere:PATH" and "sphere-light:PATH" have weights of the user's own.
        state: what `Encoder.state` gave; needed by encoders that are fitted, ignored by the others.

    Raises:
        InputError: an unknown name or version, or a state that does not fit.
        MissingExtra: the encoder's packages are not installed.
    """
    base, colon, rest = name.partition(":")
    if base == "sentence-transformers" and colon:
        from thesphere.encoders.sentences import open_sentences

        return open_sentences(rest)
    if name in ("lsa", "lsa/1"):
        from thesphere.encoders.lsa import open_lsa

        return open_lsa(state)
    if name in ("minilm", "minilm/1"):
        from thesphere.encoders.minilm import open_minilm

        return open_minilm()
    if base.partition("/")[0] in ("sphere", "sphere-light"):
        from thesphere.encoders.sphere import open_sphere

        return open_sphere(name)
    short = [known.partition(":")[0] for known in KNOWN]
    near = get_close_matches(name.partition("/")[0].partition(":")[0].lower(), short, 1)
    hint = f"; did you mean {KNOWN[short.index(near[0])]!r}?" if near else ""
    raise InputError(f"unknown encoder {name!r}: give one of {', '.join(KNOWN)}{hint}")


def check_embeddings(array: Any, *, expect_width: int | None = None) -> np.ndarray:
    """Embeddings from outside as float32 [N, D], C-contiguous; a float32 array that is so already is not
    copied.

    Args:
        array: anything NumPy reads as numbers, [N, D]: floats or integers of any width.
        expect_width: the D that the collection has.

    Raises:
        InputError: not numbers, not [N, D], another width than expected, or a row with NaN or infinity (or a
            value beyond float32), told by its number.
    """
    try:
        given = np.asarray(array)
    except ValueError as error:
        raise InputError(f"embeddings are not a rectangular array ({error}); give numbers [N, D]") from None
    if given.dtype.kind not in "fiu":
        raise InputError(f"embeddings have dtype {given.dtype}; give floats or integers, [N, D]")
    if given.ndim != 2:
        raise InputError(
            f"embeddings have shape {list(given.shape)}; give two axes [N, D], one row per point"
        )
    if given.shape[1] == 0:
        raise InputError(f"embeddings have shape {list(given.shape)}; give at least one column")
    if expect_width is not None and given.shape[1] != expect_width:
        raise InputError(
            f"embeddings are {given.shape[1]} wide, {expect_width} was expected; use the collection's encoder"
        )
    with np.errstate(over="ignore"):  # what overflows becomes infinity and is refused below
        rows = np.ascontiguousarray(given, np.float32)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise InputError(
            f"row {bad[0]} of the embeddings holds NaN, infinity or a value beyond float32"
            f" ({len(bad)} such rows of {len(rows)}); give finite numbers"
        )
    return rows
