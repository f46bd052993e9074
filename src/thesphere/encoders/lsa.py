"""`lsa`: latent semantic analysis of hashed character n-grams, fitted on the collection; no weights to fetch.

A text is a vector of (1 + ln count) * idf over 8,192 buckets of character 2-grams and 4-grams; a truncated
singular value decomposition of at most 4,000 sampled texts (Deerwester et al. 1990) takes it to 384 columns.
Each axis is divided by the square root of its singular value, which keeps the few strongest axes from
drowning the rest. The vector is not normalised, so its norm grows with the number of different n-grams: with
the length of the text.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from thesphere.encoders.grams import codes_of, fill_rows, sum_rows
from thesphere.encoders.joining import Joining
from thesphere.encoders.sample import Sample
from thesphere.errors import InputError

BUCKETS = 8192
SAMPLE = 4000  # texts that the fit looks at
WIDTH = 384
BATCH = 1 << 20  # bytes whose code points are held at once
FAINT = 1e-4  # axes whose singular value is below this share of the largest are rounding noise


@dataclass(frozen=True, eq=False)
class Lsa:
    """A fitted projection. Rows are the same to the last bit whatever else is in the batch.

    Attributes:
        matrix: int8 [buckets, width], the projection's codes, the idf folded in.
        scales: float32 [buckets], what a code of each row is worth; 0 where the sample lacks the bucket.
    """

    matrix: np.ndarray = field(repr=False)
    scales: np.ndarray = field(repr=False)
    id: str = field(default="lsa/1", init=False)
    storage: Literal["int8", "float32"] = field(default="int8", init=False)
    norm_meaning: str = field(
        default="The norm of an lsa vector grows with the number of different character n-grams:"
        " it is largely text length.",
        init=False,
        repr=False,
    )
    joining: Joining = Joining(0.12, asked=True)

    @property
    def width(self) -> int:
        """D, the number of columns."""
        return self.matrix.shape[1]

    def encode(self, texts: Sequence[bytes]) -> np.ndarray:
        """float32 [N, width], pre-norm; see `Encoder.encode`."""
        out = np.empty((len(texts), self.width), np.float32)
        for first, last in _batches(texts):
            codes, starts = codes_of(texts[first:last])
            sum_rows(codes, starts, _shift(len(self.matrix)), self.matrix, self.scales, out[first:last])
        return out

    def state(self) -> dict[str, np.ndarray]:
        """The projection, 3 MB: what `open_encoder("lsa", state)` needs."""
        return {"matrix": self.matrix, "scales": self.scales}


def fit_lsa(sample: Iterable[bytes], *, key: int = 0, width: int = WIDTH) -> Lsa:
    """Fit the projection.

    Args:
        sample: texts, or a `Sample` of them that was filled with the same key; at most `SAMPLE` different
            ones are used, chosen by a keyed hash of their contents, so that the same set of texts gives the
            same matrix in any order.
        key: of the choice and of the random start of the decomposition.
        width: columns of the result; those beyond the rank of the sample stay zero.

    Returns:
        The encoder. On one machine the same sample and key give the same matrix to the last bit.

    Raises:
        InputError: no text with a character in it, or a width outside 1 ... 8192.
    """
    if not 1 <= width <= BUCKETS:
        raise InputError(f"the width of lsa is {width}; give 1 to {BUCKETS}")
    chosen = Sample(SAMPLE, key=key)
    chosen.add(sample)
    texts = list(chosen)
    rows = np.empty((len(texts), BUCKETS), np.float32)
    for first, last in _batches(texts):
        codes, starts = codes_of(texts[first:last])
        fill_rows(codes, starts, _shift(BUCKETS), rows[first:last])
    found = np.count_nonzero(rows, axis=0)
    if not found.any():
        raise InputError("lsa was given no text to fit on; give at least one passage that is not blank")
    # The idf of BM25 (Robertson and Sparck Jones): above zero even for what every text has, so one text is
    # enough.
    weight = np.where(found > 0, np.log1p((len(texts) - found + 0.5) / (found + 0.5)), 0.0).astype(np.float32)
    rows *= weight
    axes = _axes(rows, width, key) * weight[:, None]
    top = np.abs(axes).max(axis=1)
    scales = (top / 127).astype(np.float32)
    matrix = np.zeros((BUCKETS, width), np.int8)
    matrix[:, : axes.shape[1]] = np.rint(axes / np.where(scales > 0, scales, 1)[:, None])
    return Lsa(matrix, scales)


def open_lsa(state: dict[str, np.ndarray] | None) -> Lsa:
    """The encoder that `state` describes. Every array is checked."""
    if not state:
        raise InputError(
            "lsa has no weights of its own: fit it with fit_lsa, or give the state that was kept"
        )
    try:
        matrix, scales = state["matrix"], state["scales"]
    except KeyError as error:
        raise InputError(f"the state of lsa lacks {error}; it needs matrix and scales") from None
    buckets = len(matrix) if matrix.ndim == 2 else 0
    if (
        matrix.dtype != np.int8
        or buckets < 2
        or buckets & (buckets - 1)
        or buckets > 2**30
        or matrix.shape[1] < 1
    ):
        raise InputError(
            f"the matrix of lsa is {matrix.dtype} {list(matrix.shape)};"
            " it must be int8 [buckets, width], the number of buckets a power of two"
        )
    if scales.dtype != np.float32 or scales.shape != (buckets,):
        raise InputError(
            f"the scales of lsa are {scales.dtype} {list(scales.shape)}; they must be float32 [{buckets}]"
        )
    if not (np.isfinite(scales) & (scales >= 0)).all():
        raise InputError("the scales of lsa hold a negative value, NaN or infinity; fit it again")
    return Lsa(np.ascontiguousarray(matrix), np.ascontiguousarray(scales))


def _shift(buckets: int) -> np.uint64:
    """What leaves log2(buckets) of 64 bits."""
    return np.uint64(65 - buckets.bit_length())


def _batches(texts: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of texts that hold about `BATCH` bytes each."""
    first = held = 0
    for last, text in enumerate(texts):
        if held and held + len(text) > BATCH:
            yield first, last
            first, held = last, 0
        held += len(text)
    if first < len(texts):
        yield first, len(texts)


def _axes(rows: np.ndarray, width: int, key: int) -> np.ndarray:
    """Right singular vectors over the square root of their singular values, strongest first: [buckets, <=
    width].

    The randomised range finder with two power steps (Halko, Martinsson and Tropp 2011, algorithm 4.4),
    float32; the small problem that remains is solved in float64. The largest component of each axis is made
    positive.
    """
    rank = min(width + 56, *rows.shape)
    basis = np.random.default_rng(key % 2**64).standard_normal((rows.shape[1], rank), np.float32)
    for _ in range(2):
        basis = _orthonormal(rows @ basis)
        basis = _orthonormal(rows.T @ basis)
    basis = _orthonormal(rows @ basis)
    small = (basis.T @ rows).astype(np.float64)
    values, vectors = np.linalg.eigh(small @ small.T)
    values = np.sqrt(np.maximum(values[::-1], 0))[:width]
    kept = values > FAINT * values[0]
    axes = small.T @ vectors[:, ::-1][:, :width][:, kept] / values[kept]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return (axes * np.sign(largest) / np.sqrt(values[kept] / values[0])).astype(np.float32)


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    """An orthonormal basis of what the columns span, float32.

    By the eigenvectors of their Gram matrix: a QR decomposition of so tall a matrix took most of the fit, and
    what this loses (directions fainter than rounding) the next power step would lose as well.
    """
    values, vectors = np.linalg.eigh((columns.T @ columns).astype(np.float64))
    kept = values > FAINT**2 * values[-1]
    return columns @ (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float32)
