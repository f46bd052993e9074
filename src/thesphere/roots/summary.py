"""The root level: what is known of each group of cells, small enough to stay in a cache."""

from dataclasses import dataclass, fields

import numpy as np
from numba import njit

from thesphere.chart import pca_positions
from thesphere.errors import InputError
from thesphere.geometry.zones import Zones
from thesphere.roots.partition import partition
from thesphere.roots.partition.sketch import BINS, _sketch, texts_of
from thesphere.runtime.threads import one_blas_thread, spread
from thesphere.scan.part import Metric
from thesphere.scan.rows import Codes, frozen

CELLS = 16  # cells of a root, on average
FEWEST, MOST = 16, 256  # roots
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Summary:
    """The K0 roots, each a run of cells; second copies do not count in any figure.

    All figures but `sketch` are of the coded rows, which are right to about 0.5 % of a row's norm. The earlier
    system declared most of these and filled the centroid, the count and the mean prominence.

    Attributes:
        starts: int64 [K0 + 1]: root r holds the cells starts[r] ... starts[r + 1] - 1.
        centroid: float32 [K0, D]: mean direction of norm 1 (0 where directions cancel) for cosine, mean row
            for inner product.
        spread: float32 [K0]: root mean square distance of the directions (cosine) or rows from the centroid.
        radius_range: float32 [K0, 2]: smallest and largest |x|.
        prominence: float32 [K0, 4]: mean, standard deviation (population), minimum and maximum.
        position: float32 [K0, 3]: place of the centroid on the chart of all centroids, norm 1; in the zone of
            the root's role where rows have roles.
        sketch: uint16 [K0, 128]: the usual min-hash of its texts' byte n-grams (see `sketch_of`); 0 without text.
        count: int64 [K0], rows.
    """

    starts: np.ndarray
    centroid: np.ndarray
    spread: np.ndarray
    radius_range: np.ndarray
    prominence: np.ndarray
    position: np.ndarray
    sketch: np.ndarray
    count: np.ndarray

    def __len__(self) -> int:
        """K0, how many roots there are."""
        return len(self.count)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    def compression(self, rows: int, width: int) -> float:
        """Bytes of that many float32 vectors / bytes of this."""
        return 4 * rows * width / self.nbytes


def roots_of(cells: int) -> int:
    """K0, how many roots that many cells have: K / 16, at least 16 and at most 256, and no more than cells."""
    return min(cells, max(FEWEST, min(MOST, cells // CELLS)))


def group(
    centres: np.ndarray, roles: np.ndarray, metric: Metric, *, key: int | None, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cells in an order in which each root's lie together, int64 [K], and where roots begin, int64 [K0 + 1].

    Args:
        centres: float32 [K, D].
        roles: int [K]; no root holds cells of two.
        metric: "cosine" or "ip".
        key, threads: of the k-means of the centres.
    """
    made = partition(centres, roots_of(len(centres)), metric=metric, roles=roles, key=key, threads=threads)
    return made.order, made.starts


def summarise(
    starts: np.ndarray,
    rows: np.ndarray,
    copies: np.ndarray,
    codes: Codes,
    bounds: np.ndarray,
    roles: np.ndarray,
    metric: Metric,
    *,
    prominence: np.ndarray | None = None,
    text=None,
    threads: int = 1,
) -> Summary:
    """The summary of roots that begin at the cells `bounds`, int64 [K0 + 1]; other arguments as in `Cells`.

    Args:
        prominence: numbers [N] in place of the norms.
        text: N bytes objects, or (uint8 bytes, offsets [N + 1]); None: no sketches.

    Raises:
        InputError: prominence is not N finite numbers, or the text is not N texts.
    """
    edges = starts[bounds]  # the slots where roots begin
    firsts = ~copies
    own = np.add.reduceat(firsts, edges[:-1], dtype=np.int64)
    begins = np.concatenate([[0], np.cumsum(own)])[:-1]
    norms = codes.norms
    lengths = norms[firsts]
    given = lengths if prominence is None else _prominence(prominence, len(lengths))[rows[firsts]]
    mean = np.add.reduceat(given, begins) / own
    square = np.add.reduceat((given - np.repeat(mean, own)) ** 2, begins) / own
    stats = [mean, np.sqrt(square), np.minimum.reduceat(given, begins), np.maximum.reduceat(given, begins)]
    radii = [np.minimum.reduceat(lengths, begins), np.maximum.reduceat(lengths, begins)]
    centroid, spread = _described(codes, norms, copies, edges, metric, threads)
    position = positions(centroid)
    kinds = roles[bounds[:-1]].astype(np.int32)
    if kinds.any():
        position = Zones().constrain(position, kinds)
    if text is None:
        sketches = np.zeros((len(own), BINS), np.uint16)
    else:
        sketches = sketch_of(
            text, len(lengths), rows[firsts], np.append(begins, len(lengths)), threads=threads
        )
    return Summary(
        bounds.astype(np.int64),
        centroid,
        spread,
        _single(np.stack(radii, axis=1)),
        _single(np.stack(stats, axis=1)),
        np.asarray(position, np.float32),
        sketches,
        own,
    )


def positions(centroid: np.ndarray) -> np.ndarray:
    """float32 [K0, 3]: the principal chart of the centroids, found within the space that they span (at most K0
    axes), where all angles are the same and the eigenproblem is small."""
    if len(centroid) < centroid.shape[1]:
        top = np.abs(centroid).max(axis=1, keepdims=True)
        with one_blas_thread():
            left, values, _ = np.linalg.svd(centroid / np.where(top > 0, top, 1), full_matrices=False)
        centroid = left * values
    return pca_positions(centroid)


def sketch_of(text, count: int, rows: np.ndarray, bounds: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """uint16 [K0, 128]: of each bin the fingerprint that most of the root's texts have there (the smallest of
    equals), 0 where none has one.

    The sketch of the union of all texts says nothing about a short one: of thousands of n-grams per bin it
    keeps one. Over 100 roots of 143 texts each it ranked the root that a 40-byte substring is from as chance
    does (0.53 of the roots were put first), the usual fingerprint at 0.23, and 300 bytes at 0.07.

    Args:
        text: `count` texts.
        rows: the rows of all roots, int [N]; root r has rows[bounds[r]:bounds[r + 1]].
        threads: workers over roots.
    """
    texts = texts_of(text, count)
    out = np.zeros((len(bounds) - 1, BINS), np.uint16)

    def work(root: int) -> None:
        own = rows[bounds[root] : bounds[root + 1]]
        sketches = np.zeros((len(own), BINS), np.uint16)
        _sketch_rows(texts.data, texts.offsets, frozen(own), sketches)
        _usual(np.sort(sketches.T, axis=1), out[root])

    spread(work, range(len(out)), threads)
    return out


def _prominence(given, count: int) -> np.ndarray:
    values = np.asarray(given)
    if values.shape != (count,) or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise InputError(
            f"prominence is {values.dtype} of shape {list(values.shape)}; give {count} finite numbers"
        )
    return values.astype(np.float64)


def _described(
    codes: Codes, norms: np.ndarray, copies: np.ndarray, edges: np.ndarray, metric: Metric, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """centroid and spread of each root, whose slots begin at `edges`."""
    cosine = metric == "cosine"
    factors = codes.scales.astype(np.float64)
    if cosine:
        factors = np.divide(factors, norms, out=np.zeros(len(norms)), where=norms > 0)
    factors[copies] = np.nan  # left out
    centroid, widths = np.zeros((len(edges) - 1, codes.width)), np.zeros(len(edges) - 1)

    def work(root: int) -> None:
        some = slice(edges[root], edges[root + 1])
        _describe(
            frozen(codes.codes[some]), frozen(factors[some]), cosine, centroid[root], widths[root : root + 1]
        )

    spread(work, range(len(edges) - 1), threads)
    return _single(centroid), _single(widths)


def _single(values: np.ndarray) -> np.ndarray:
    """float32, of figures beyond it the largest."""
    return np.clip(values, -_LARGEST, _LARGEST).astype(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def _describe(codes, factors, cosine, centroid, spread):
    """Centroid of codes * factors (NaN: left out), normalised for cosine, and the rms distance from it."""
    sums = np.zeros(len(centroid))
    count = 0
    for i in range(len(codes)):
        if not np.isnan(factors[i]):
            count += 1
            for j in range(len(sums)):
                sums[j] += codes[i, j] * factors[i]
    length = 0.0
    for j in range(len(sums)):
        sums[j] /= count
        length += sums[j] ** 2
    if cosine:
        length = np.sqrt(length)
        for j in range(len(sums)):
            sums[j] = sums[j] / length if length > 1e-6 else 0.0
    total = 0.0
    for i in range(len(codes)):
        if not np.isnan(factors[i]):
            for j in range(len(sums)):
                total += (codes[i, j] * factors[i] - sums[j]) ** 2
    for j in range(len(sums)):
        centroid[j] = sums[j]
    spread[0] = np.sqrt(total / count)


@njit(cache=True, nogil=True)
def _sketch_rows(data, offsets, rows, out):
    for i in range(len(rows)):
        _sketch(data, offsets[rows[i] : rows[i] + 2], out[i : i + 1])


@njit(cache=True, nogil=True)
def _usual(columns, out):
    """The value that is most frequent in each sorted column [BINS, n], 0 left out; the smallest of equals."""
    for bin in range(len(columns)):
        most = run = 0
        for i in range(columns.shape[1]):
            value = columns[bin, i]
            run = run + 1 if i and value == columns[bin, i - 1] else 1
            if value and run > most:
                most = run
                out[bin] = value
