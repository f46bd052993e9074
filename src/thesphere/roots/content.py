"""What an index holds at one moment."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thesphere.errors import InputError
from thesphere.roots.cells import Cells
from thesphere.roots.search import Index, coded_reaches
from thesphere.scan import Codes, Metric, Part, exact
from thesphere.scan.block import Queries
from thesphere.scan.grouped import Slots
from thesphere.scan.rows import frozen


@dataclass(frozen=True, eq=False)
class Content:
    """One state of an index: searches that are under way keep theirs while rows are added or removed.

    Attributes:
        vectors: float32 [N, D], in the order of ids; [0, D] for cells without member lists.
        ids: int64 [N], ascending; [0] for these.
        metric: "ip" or "cosine".
        flat: the int8 rows in the order of ids, of an index without cells.
        cells: instead of them, of a large one.
    """

    vectors: np.ndarray
    ids: np.ndarray
    metric: Metric
    flat: Codes | None
    cells: Cells | None

    def __len__(self) -> int:
        return len(self.ids) if self.cells is None or self.cells.members else self.cells.count

    @classmethod
    def without_rows(cls, cells: Cells, metric: Metric) -> "Content":
        """Of cells without member lists."""
        width = cells.centres.shape[1]
        return cls(np.zeros((0, width), np.float32), np.zeros(0, np.int64), metric, None, cells)

    @property
    def width(self) -> int:
        """D."""
        return self.vectors.shape[1]

    @property
    def scanned(self) -> Codes:
        """The codes that are scanned, by row or by slot."""
        if self.cells is not None:
            return self.cells.codes
        assert self.flat is not None
        return self.flat

    @cached_property
    def names(self) -> np.ndarray:
        """The ids, as kernels take them."""
        return frozen(self.ids)

    @cached_property
    def row_bytes(self) -> int:
        """Bytes that a scan reads per row."""
        return self.scanned.row_bytes

    @cached_property
    def stored(self) -> int:
        """Bytes that a full scan reads, vectors included."""
        return len(self) * self.row_bytes + self.vectors.nbytes

    @property
    def large(self) -> Cells:
        """The cells; InputError where there are none."""
        if self.cells is None:
            raise InputError(
                "a flat index has no roots and no cells; build it with RootsConfig(flat_below=1)"
            )
        return self.cells

    def check_members(self) -> None:
        """Raise InputError for cells without member lists: there is nothing to scan."""
        if self.cells is not None and not self.cells.members:
            raise InputError(
                "the index was kept without its vectors and member lists: it routes and activates, but has"
                " nothing to search; build it with RootsConfig(members=True)"
            )

    @cached_property
    def index(self) -> Index:
        """The cells as searches take them."""
        cells = self.large
        # mapped or made: read-only either way, so that the kernels are compiled once
        slots = Slots(cells.codes, cells.rows, frozen(cells.starts), self.vectors, self.metric)
        cosine = self.metric == "cosine"
        reaches = coded_reaches(cells.reaches, cells.router) if cosine else cells.reaches
        return Index(slots, cells.router, frozen(reaches), frozen(cells.norms))

    @cached_property
    def homes(self) -> np.ndarray:
        """int32 [N]: the slot of each row that is no second copy."""
        cells = self.large
        homes = np.empty(len(self), dtype=np.int32)
        own = np.flatnonzero(~cells.copies)
        homes[cells.rows[own]] = own
        return homes

    def coded(self, rows: np.ndarray | slice) -> Codes:
        """The codes of some rows."""
        self.check_members()
        return self.scanned.some(rows if self.cells is None else self.homes[rows])

    def asked(self, queries: np.ndarray) -> Queries:
        """Queries float32 [Q, D], as `as_rows` gives them, in all forms that a search takes.

        Raises InputError for NaN or infinity.
        """
        return Queries.of_rows(queries, self.metric)

    def scores(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """float64 scores of some rows for one query."""
        return exact(Part(self.coded(rows), self.vectors[rows]), query, np.arange(len(rows)), self.metric)
