"""The sizes of the byte models and the tensors of their files: one table for training and for running."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from thesphere.errors import FormatError
from thesphere.nn.contexts import KNOWN, MOST_ROWS, SEEN, STATES

BYTE_WIDTH, KNOWN_WIDTH, SEEN_WIDTH, SECOND_WIDTH = 48, 48, 48, 16
INPUT = BYTE_WIDTH + KNOWN * KNOWN_WIDTH + SEEN * (SEEN_WIDTH + SECOND_WIDTH)
TABLES = ("byte", "known", "seen", "second")
MOST_WIDTH = 1024  # sums of so many products of 8-bit numbers are integers below 2^24: exact in float32


@dataclass(frozen=True)
class Shape:
    """Sizes of the network.

    Args:
        width: of the residual stream, a multiple of 16 up to 1,024.
        blocks: gated recurrences, one after the other.
        rows: how many contexts each of the KNOWN tables holds.
    """

    width: int = 128
    blocks: int = 2
    rows: tuple[int, ...] = (6144, 18432, 28672, 25600, 20480, 14336, 19456)

    @property
    def products(self) -> int:
        """Multiply-adds per byte."""
        return INPUT * self.width + self.blocks * 4 * self.width**2 + 256 * self.width

    def matrices(self) -> dict[str, tuple[int, int]]:
        """(outputs, inputs) of every matrix, by name."""
        d = self.width
        found = {"input": (d, INPUT), "output": (256, d)}
        for b in range(self.blocks):
            found |= {f"{b}.in": (3 * d, d), f"{b}.out": (d, d)}
        return found

    def tensors(self) -> dict[str, tuple[type, tuple[int, ...]]]:
        """(type, shape) of every tensor of the file, by name.

        Tables and matrices are int8: tables in steps of 1/127, row 0 of each known table for "unknown";
        matrices [outputs, inputs] in steps of `.scale` [outputs]. `keys` and `begins` are those of
        `contexts.lookup_of`.
        """
        d = self.width
        found = {
            "keys": (np.uint32, (sum(self.rows),)),
            "begins": (np.int64, (KNOWN + 1,)),
            "byte": (np.int8, (256, BYTE_WIDTH)),
            "known": (np.int8, (sum(self.rows) + KNOWN, KNOWN_WIDTH)),
            "seen": (np.int8, (SEEN * STATES * 256, SEEN_WIDTH)),
            "second": (np.int8, (SEEN * 256, SECOND_WIDTH)),
            "norm": (np.float32, (d,)),
            "bias": (np.float32, (256,)),
        }
        for name, sizes in self.matrices().items():
            found |= {name: (np.int8, sizes), f"{name}.scale": (np.float32, sizes[:1])}
        for b in range(self.blocks):
            found |= {f"{b}.norm": (np.float32, (d,)), f"{b}.gate": (np.float32, (d,))}
        return found

    def known_begins(self) -> np.ndarray:
        """int64 [KNOWN]: the first row, that of "unknown", of each known table in the tensor that holds all."""
        return np.cumsum([0, *self.rows[:-1]]) + np.arange(KNOWN)


SHAPES = {
    "small": Shape(),
    "large": Shape(512, 5, (4096, 10240, 14336, 12288, 8704, 8192, 9216)),
}
"""What is shipped; the large one has more in its matrices and less in its tables, and stays below 10 MB."""


def checked_shape(tensors: Mapping[str, np.ndarray], where: str) -> Shape:
    """The shape of a file's tensors, all of which are as they must be.

    Raises:
        FormatError: one is missing, is too many, has another type or shape, or holds what is no number.
    """
    norm, begins = tensors.get("norm"), tensors.get("begins")
    if norm is None or norm.ndim != 1 or begins is None or begins.shape != (KNOWN + 1,):
        raise FormatError(f"{where} holds no byte model: 'norm' and 'begins' are not what it has")
    rows = tuple(np.diff(begins).tolist())
    if begins[0] != 0 or min(rows) < 0 or max(rows) > MOST_ROWS:
        raise FormatError(f"{where}: 'begins' gives tables of {rows} contexts; 0 to {MOST_ROWS} are possible")
    shape = Shape(len(norm), sum(name.endswith(".in") for name in tensors), rows)
    if shape.width % 16 or not 16 <= shape.width <= MOST_WIDTH or shape.blocks < 1:
        raise FormatError(f"{where}: {shape.blocks} blocks of width {shape.width} cannot be run")
    check_tensors(tensors, shape.tensors(), where)
    return shape


def check_tensors(
    tensors: Mapping[str, np.ndarray], expected: Mapping[str, tuple[type, tuple[int, ...]]], where: str
) -> None:
    """Raise FormatError unless a file's tensors are those expected, by name (type, shape), and hold numbers."""
    if odd := sorted(expected.keys() ^ tensors.keys()):
        raise FormatError(f"{where}: tensors missing or too many: {', '.join(odd)}")
    for name, (kind, sizes) in expected.items():
        found = tensors[name]
        if found.dtype != kind or found.shape != sizes:
            wanted = f"{np.dtype(kind)} {list(sizes)}"
            raise FormatError(f"{where}: {name} is {found.dtype} {list(found.shape)}; {wanted} was expected")
        if kind is np.float32 and not np.isfinite(found).all():
            raise FormatError(f"{where}: {name} holds NaN or infinity")
