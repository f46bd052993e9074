"""Rows that are scanned together: their codes, what they are scored on, and which of them are live."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from thesphere.errors import InputError
from thesphere.scan.rows import Codes, frozen

Metric = Literal["ip", "cosine"]


@dataclass(frozen=True)
class Part:
    """Rows that lie together. Row i has the global id offset + i.

    Attributes:
        codes: the coded rows.
        vectors: float32 [N, D] (may be memory-mapped) to score on, or None when the codes are the vectors
            (`encode(..., storage="int8")`).
        offset: global id of row 0.
        live: bool [N], rows that may be found, or None for all.
        rows: int32 [N], where codes lie in another order than the vectors: the row of the vectors, and its id
            less the offset, behind each code. None: the same order, N of both.
    """

    codes: Codes
    vectors: np.ndarray | None = None
    offset: int = 0
    live: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.codes), self.codes.width)
        if self.rows is not None and self.vectors is not None:
            shape = (len(self.vectors), self.codes.width)
        if self.vectors is None:
            if not self.codes.lossless:
                raise InputError("part without vectors: its codes have residuals; encode with storage='int8'")
        elif self.vectors.shape != shape or self.vectors.dtype != np.float32:
            raise InputError(
                f"part: vectors are {self.vectors.dtype} {list(self.vectors.shape)}, "
                f"the codes need float32 {list(shape)}"
            )
        if self.live is not None and (self.live.shape != (len(self.codes),) or self.live.dtype != np.bool_):
            raise InputError(
                f"part: live is {self.live.dtype} {list(self.live.shape)}, expected bool [{len(self.codes)}]"
            )

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def values(self) -> np.ndarray:
        """What is scored: float32 [N, D] vectors, or int8 [N, W] codes when they are the vectors."""
        return frozen(self.codes.codes if self.vectors is None else np.ascontiguousarray(self.vectors))

    @cached_property
    def mask(self) -> np.ndarray:
        """`live` as the kernels take it: empty when every row is."""
        return frozen(np.zeros(0, dtype=np.bool_) if self.live is None else np.ascontiguousarray(self.live))

    @cached_property
    def order(self) -> np.ndarray:
        """`rows` as the kernels take them: empty when codes and vectors lie in the same order."""
        return frozen(np.zeros(0, dtype=np.int32) if self.rows is None else np.ascontiguousarray(self.rows))
