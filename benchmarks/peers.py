"""The libraries that `roots.py` compares with, each behind the same four verbs.

All are given the points as inner products: unit rows for cosine, raw rows for the raw inner product. `Lifted`
gives a peer the raw inner product as a Euclidean distance instead, by the usual extra coordinate
sqrt(max |x|^2 - |x|^2) (Bachrach et al. 2014), which graphs need.
"""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np

K = 10
LINKS, BUILD_EFFORT = 16, 200  # M of hnswlib and USearch (32 links on the lowest level); efConstruction
EFFORTS = [10, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096]


class Peer(Protocol):
    """An index of another library. `euclid` asks for Euclidean distance instead of inner product."""

    name: str
    family: str  # peers of one family are one index, searched in several ways
    knob: str
    settings: list[int]  # from fast to thorough

    def build(self, points: np.ndarray, euclid: bool) -> None: ...

    def search(self, queries: np.ndarray, setting: int, threads: int) -> np.ndarray: ...

    def nbytes(self) -> int:
        """Bytes of the serialised index, float32 rows included."""
        ...


class Faiss:
    """What the FAISS peers share."""

    index: Any

    def nbytes(self) -> int:
        return faiss.serialize_index(self.index).nbytes

    def search(self, queries: np.ndarray, setting: int, threads: int) -> np.ndarray:
        self.prepare(setting)
        faiss.omp_set_num_threads(threads)
        return self.index.search(queries, K)[1]

    def prepare(self, setting: int) -> None:
        """Set the knob."""
        raise NotImplementedError


class Flat(Faiss):
    """Exact; with BLAS for batches and without it for single queries, which is faster for each."""

    name = family = "faiss_flat"
    knob, settings = "none", [0]

    def build(self, points: np.ndarray, euclid: bool) -> None:
        self.index = faiss.IndexFlat(points.shape[1], _measure(euclid))
        self.index.add(points)

    def search(self, queries: np.ndarray, setting: int, threads: int) -> np.ndarray:
        default = faiss.cvar.distance_compute_blas_threshold
        faiss.cvar.distance_compute_blas_threshold = 1 if len(queries) > 1 else default
        try:
            return super().search(queries, setting, threads)
        finally:
            faiss.cvar.distance_compute_blas_threshold = default

    def prepare(self, setting: int) -> None:
        """There is nothing to set."""


class Ivf(Faiss):
    """IVFFlat; the number of lists is that of our cells unless given."""

    name = family = "faiss_ivf"
    knob = "nprobe"

    def __init__(self, lists: int = 0) -> None:
        self.lists = lists

    def build(self, points: np.ndarray, euclid: bool) -> None:
        count = self.lists or lists_of(len(points))
        self.quantizer = faiss.IndexFlat(points.shape[1], _measure(euclid))
        self.index = faiss.IndexIVFFlat(self.quantizer, points.shape[1], count, _measure(euclid))
        _fill(self.index, self.index, points)
        self.settings = _doubling(1, count)

    def prepare(self, setting: int) -> None:
        self.index.nprobe = setting

    def lists_in_order(self, queries: np.ndarray) -> np.ndarray:
        """int64 [Q, lists]: the order in which queries open the lists."""
        return self.quantizer.search(queries, self.index.nlist)[1]

    def labels(self) -> np.ndarray:
        """int64 [N]: the list of each point."""
        labels = np.empty(self.index.ntotal, np.int64)
        for one in range(self.index.nlist):
            size = self.index.invlists.list_size(one)
            if size:
                labels[faiss.rev_swig_ptr(self.index.invlists.get_ids(one), size)] = one
        return labels


class PqScan(Faiss):
    """IVFPQFastScan with 4-bit codes, `refine` times K candidates scored again from float rows.

    2 sqrt(N) lists and parts of one column (of two beyond 128) were fastest at recall 0.95 among 2 and 4 sqrt(N)
    lists and parts of 1, 2 and 4 columns. `owner`, when built, lends its index, so that all values share one.
    """

    family, knob = "faiss_ivfpqfs", "nprobe"

    def __init__(self, refine: int, owner: "PqScan | None" = None) -> None:
        self.settings: list[int] = []
        self.name, self.refine, self.owner = f"faiss_ivfpqfs_refine{refine}", refine, owner

    def build(self, points: np.ndarray, euclid: bool) -> None:
        if self.owner is not None and self.owner.settings:
            self.index, self.inner, self.settings = self.owner.index, self.owner.inner, self.owner.settings
            return
        width, count = points.shape[1], lists_of(len(points)) // 2
        parts = width if width <= 128 or width % 2 else width // 2
        self.quantizer = faiss.IndexFlat(width, _measure(euclid))
        self.inner = faiss.IndexIVFPQFastScan(self.quantizer, width, count, parts, 4, _measure(euclid))
        self.index = faiss.IndexRefineFlat(self.inner)
        _fill(self.index, self.inner, points)
        self.settings = _doubling(1, count)

    def prepare(self, setting: int) -> None:
        self.inner.nprobe = setting
        self.index.k_factor = self.refine


class Graph(Faiss):
    """HNSW of FAISS, M = 32."""

    name = family = "faiss_hnsw"
    knob, settings = "efSearch", EFFORTS

    def build(self, points: np.ndarray, euclid: bool) -> None:
        self.index = faiss.IndexHNSWFlat(points.shape[1], 2 * LINKS, _measure(euclid))
        self.index.hnsw.efConstruction = BUILD_EFFORT
        self.index.add(points)

    def prepare(self, setting: int) -> None:
        self.index.hnsw.efSearch = setting


class Hnswlib:
    """HNSW of hnswlib."""

    name = family = "hnswlib"
    knob, settings = "ef", EFFORTS

    def build(self, points: np.ndarray, euclid: bool) -> None:
        import hnswlib

        self.index = hnswlib.Index(space="l2" if euclid else "ip", dim=points.shape[1])
        self.index.init_index(len(points), ef_construction=BUILD_EFFORT, M=LINKS, random_seed=0)
        self.index.set_num_threads(faiss.omp_get_max_threads())
        self.index.add_items(points)

    def search(self, queries: np.ndarray, setting: int, threads: int) -> np.ndarray:
        self.index.set_ef(setting)
        return self.index.knn_query(queries, k=K, num_threads=threads)[0].astype(np.int64)

    def nbytes(self) -> int:
        return self.index.index_file_size()


class Usearch:
    """HNSW of USearch."""

    name = family = "usearch"
    knob, settings = "expansion", EFFORTS

    def build(self, points: np.ndarray, euclid: bool) -> None:
        from usearch.index import Index

        self.index = Index(
            ndim=points.shape[1],
            metric="l2sq" if euclid else "ip",
            dtype="f32",
            connectivity=LINKS,
            expansion_add=BUILD_EFFORT,
        )
        self.index.add(np.arange(len(points), dtype=np.uint64), points, threads=faiss.omp_get_max_threads())

    def search(self, queries: np.ndarray, setting: int, threads: int) -> np.ndarray:
        self.index.expansion_search = setting
        keys = self.index.search(queries, K, threads=threads).keys
        return np.asarray(keys).astype(np.int64).reshape(len(queries), -1)

    def nbytes(self) -> int:
        return self.index.serialized_length


class Scann:
    """ScaNN: a tree, anisotropic 4-bit products and `reorder` candidates scored again from float rows.

    2 sqrt(N) leaves were fastest among 1, 2 and 4 sqrt(N); 50 or 100 candidates for cosine, 100 or 200 for
    raw norms, among 50 to 400; a spherical tree or plain products were no better. `owner`, when built, lends its
    index.
    """

    family, knob = "scann", "leaves"

    def __init__(self, reorder: int, owner: "Scann | None" = None) -> None:
        self.settings: list[int] = []
        self.name, self.reorder, self.owner = f"scann_{reorder}", reorder, owner

    def build(self, points: np.ndarray, euclid: bool) -> None:
        import scann

        if self.owner is not None and self.owner.settings:
            self.index, self.settings = self.owner.index, self.owner.settings
            return
        count = lists_of(len(points)) // 2
        builder: Any = scann.scann_ops_pybind.builder(points, K, "squared_l2" if euclid else "dot_product")
        self.index = (
            builder.set_n_training_threads(faiss.omp_get_max_threads())
            .tree(num_leaves=count, num_leaves_to_search=10, training_sample_size=len(points))
            .score_ah(2, anisotropic_quantization_threshold=0.2)
            .reorder(self.reorder)
            .build()
        )
        self.settings = _doubling(1, count)

    def search(self, queries: np.ndarray, setting: int, threads: int) -> np.ndarray:
        if len(queries) == 1:
            ids = self.index.search(queries[0], K, self.reorder, setting)[0][None]
        elif threads == 1:
            ids = self.index.search_batched(queries, K, self.reorder, setting)[0]
        else:
            self.index.set_num_threads(threads)
            size = -(-len(queries) // threads)
            ids = self.index.search_batched_parallel(queries, K, self.reorder, setting, size)[0]
        return np.asarray(ids).astype(np.int64)

    def nbytes(self) -> int:
        with tempfile.TemporaryDirectory() as folder:
            self.index.serialize(folder)
            return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


class Lifted:
    """A peer that is given raw inner products as Euclidean distances."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.name = self.family = f"{peer.name}_lifted"
        self.knob = peer.knob

    def build(self, points: np.ndarray, euclid: bool) -> None:
        squares = (points.astype(np.float64) ** 2).sum(axis=1)
        last = np.sqrt(squares.max() - squares).astype(np.float32)
        self.peer.build(np.ascontiguousarray(np.hstack([points, last[:, None]])), True)
        self.settings = self.peer.settings

    def search(self, queries: np.ndarray, setting: int, threads: int) -> np.ndarray:
        return self.peer.search(np.pad(queries, ((0, 0), (0, 1))), setting, threads)

    def nbytes(self) -> int:
        return self.peer.nbytes()


def peers(metric: str, lists: int, names: list[str]) -> list[Peer]:
    """Fresh peers for a metric, those whose name or family is given (all when none is) and that are installed."""
    coarse = PqScan(5)
    found: list[Peer] = [Flat(), Ivf(lists), coarse, *(PqScan(refine, coarse) for refine in (10, 20, 40))]
    found.append(Graph())
    if _installed("hnswlib"):
        found.append(Hnswlib())
    if _installed("usearch"):
        found.append(Usearch())
    if _installed("scann"):
        fewer = Scann(100 if metric == "ip" else 50)
        found += [fewer, Scann(2 * fewer.reorder, fewer)]
    if metric == "ip" and _installed("hnswlib"):
        found.append(Lifted(Hnswlib()))  # lifted IVF was far slower than plain IVF
    return [peer for peer in found if not names or {peer.name, peer.family} & set(names)]


def _installed(module: str) -> bool:
    """Whether it can be imported here: some wheels are for other processors or need another library's version."""
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def lists_of(rows: int) -> int:
    """Our number of cells, 4 sqrt(rows)."""
    return round(4 * rows**0.5)


def _measure(euclid: bool) -> int:
    return faiss.METRIC_L2 if euclid else faiss.METRIC_INNER_PRODUCT


def _fill(index: Any, inner: Any, points: np.ndarray) -> None:
    """Train and add, k-means with FAISS's defaults and no warning about few points."""
    inner.cp.min_points_per_centroid = 1
    index.train(points)
    index.add(points)


def _doubling(first: int, last: int) -> list[int]:
    settings = [first]
    while settings[-1] < last:
        settings.append(min(2 * settings[-1], last))
    return settings
