"""The one object of the library: a collection that takes files and answers questions."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from thesphere.encoders import Encoder, check_embeddings, fit_lsa, open_encoder
from thesphere.encoders.sample import Sample
from thesphere.errors import FormatError, InputError, LockedError, NotFoundError
from thesphere.patches.entropy import EntropyModel
from thesphere.patches.models import open_entropy_model
from thesphere.progress import SILENT, Progress
from thesphere.readers import read, utf8
from thesphere.roots.stop import EVERYTHING
from thesphere.scan import Metric
from thesphere.sphere.batch import Batch
from thesphere.sphere.cones import MOST, cones_for_text, cones_for_vector
from thesphere.sphere.exchange import export_file, import_arrays, import_file
from thesphere.sphere.filling import fill_points, refill_points
from thesphere.sphere.filter import Filter
from thesphere.sphere.filtered import filtered, filtered_cones
from thesphere.sphere.hits import Hits
from thesphere.sphere.hypergraph import boundaries, hypergraph
from thesphere.sphere.ingest import RENAMING, Ingest, Report
from thesphere.sphere.names import below
from thesphere.sphere.occurrences import search_bytes
from thesphere.sphere.places import Places, load_places, write_places
from thesphere.sphere.prove import prove
from thesphere.sphere.questions import questions_of
from thesphere.sphere.radius import points_within
from thesphere.sphere.rewrite import copy_document
from thesphere.sphere.roles import Roles
from thesphere.sphere.roots import PointIndex, load_options, load_roots, write_roots
from thesphere.sphere.search import search_text, search_vector
from thesphere.sphere.settings import Settings
from thesphere.sphere.view import View
from thesphere.store import Collection, NewPart, Writer, map_tensors
from thesphere.store.hypergraph import Hypergraph
from thesphere.types import Points

if TYPE_CHECKING:
    from thesphere.filling import Filling, Strategy
    from thesphere.roots import Roots

RECALL = 0.95  # what an index answers with when nothing is asked for
LARGE = 200_000  # points from which an index answers by itself: below, all of them are scanned as fast
LATE = 0.25  # share of the points that an index may not cover before it is built again
FILTERS = 8  # the last ones, whose views are kept
GROWTH = 4  # a fitted encoder is fitted again when the points have become this many times as many


class Sphere:
    """A collection on disk.

    Example:
        >>> sphere = Sphere.create("notes.sphere")
        >>> sphere.ingest("docs/")
        >>> for hit in sphere.search("how do I rotate the keys?"):
        ...     print(hit.source, hit.start, hit.end, hit.text)
    """

    def __init__(self, collection: Collection) -> None:
        """Use `Sphere.create` or `Sphere.open`."""
        self.collection = collection
        self.settings = Settings.from_dict(collection.settings)
        self._view: View | None = None

    @property
    def path(self) -> Path:
        """The collection's folder."""
        return self.collection.path

    @classmethod
    def create(
        cls,
        path: str | os.PathLike,
        *,
        encoder: str = "sphere",
        entropy: str = "light",
        points: str = "passage",
        passage_bytes: int = 512,
        target_patch_bytes: float = 8.0,
        copy: bool = True,
    ) -> "Sphere":
        """Make an empty collection; the folder must not exist or be empty.

        Args:
            path: a folder, by custom NAME.sphere.
            encoder: "sphere", "sphere-light", either with ":PATH" for weights of your own, "lsa" (no weights,
                fitted on the collection), "minilm", "sentence-transformers:NAME_OR_PATH", "arrays" or "none".
            entropy: the model that cuts patches: "light", "small", "large", or the path of weights.
            points: "passage" or "patch": what gets an embedding.
            passage_bytes: the most that a passage holds, 64 to 4096.
            target_patch_bytes: mean patch length that the threshold is calibrated to, 1 to 384.
            copy: keep the original bytes; without them a hit is read from its file, and is stale if that
                changed.

        Raises:
            InputError: a value out of range, an unknown name, a folder that holds something else.
            MissingExtra: the encoder needs packages that are not installed.
        """
        if points not in ("passage", "patch"):
            raise InputError(f"points is {points!r}; choose passage or patch")
        if encoder not in ("lsa", "none", "arrays"):
            encoder = open_encoder(encoder).id
        model = open_entropy_model(entropy)
        settings = Settings(
            encoder=encoder,
            entropy=model.id,
            points=points,
            passage_bytes=passage_bytes,
            target_patch_bytes=target_patch_bytes,
            copy=copy,
        )
        return cls(Collection.create(path, settings.as_dict()))

    @classmethod
    def open(cls, path: str | os.PathLike) -> "Sphere":
        """Open a collection that exists.

        Raises:
            NotFoundError: there is nothing at `path`; FormatError: it is no collection; SchemaError: it is
                newer.
        """
        return cls(Collection.open(path))

    def __enter__(self) -> "Sphere":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the generation that is being read."""
        if self._view is not None:
            self._view.snapshot.close()
            self._view = None

    @property
    def view(self) -> View:
        """The generation that answers; a new one is taken after every change made through this object."""
        if self._view is None:
            snapshot = self.collection.snapshot()
            self.settings = Settings.from_dict(snapshot.settings)
            self._forget()
            self._view = View(snapshot)
        return self._view

    def refresh(self) -> None:
        """Answer from the newest generation from now on, whoever wrote it."""
        self.close()
        self.settings = Settings.from_dict(self.collection.settings)
        self._forget()

    def _forget(self) -> None:
        for name in ("encoder", "index", "_filtered", "_over"):
            self.__dict__.pop(name, None)

    @cached_property
    def encoder(self) -> Encoder | None:
        """What made the embeddings; None if they came from outside, there are none, or it is not fitted
        yet."""
        self.view  # noqa: B018 - the settings are those of the generation that answers
        settings = self.settings
        if settings.encoder in ("none", "arrays") or (
            settings.encoder == "lsa" and not settings.encoder_part
        ):
            return None
        state = None
        if settings.encoder_part:
            state = map_tensors(self.path / "parts" / settings.encoder_part / "encoder.safetensors")[0]
        return open_encoder(settings.encoder, state)

    @cached_property
    def _model(self) -> EntropyModel:
        return open_entropy_model(self.settings.entropy)

    def ingest(
        self,
        *paths: str | os.PathLike,
        max_size: int = 1 << 30,
        column: str | None = None,
        progress: Progress = SILENT,
    ) -> Report:
        """Take files and folders in. Unchanged sources are skipped, changed ones replaced; an interrupted
        run is completed by running it again.

        Args:
            paths: files, folders, or "-" for standard input.
            max_size: larger files are skipped, bytes.
            column: the column of rows that holds the text; by default `text` and its usual names.
            progress: is told bytes.

        Raises:
            NotFoundError: a path that does not exist; LockedError: another process is writing.
        """
        if not paths:
            raise InputError("no path was given; name a file or a folder to ingest")
        if self.settings.encoder == "arrays":
            raise InputError("this collection holds imported embeddings; ingest files into another one")
        found = read([os.fspath(path) for path in paths], max_size=max_size, column=column)
        with self.collection.writer() as writer:
            self.refresh()  # others may have written since
            progress.start("ingest", None, "B")
            run = Ingest(self.collection, writer, self.settings, self.encoder, self._model, progress=progress)
            report = run.run(found)
            progress.finish()
            self.refresh()
            if self.encoder is not None and self.encoder.state():
                self._keep_fitted(writer, progress)
            self._keep_indexed(writer, progress)
        return report

    def import_file(
        self, path: str | os.PathLike, *, name: str | None = None, progress: Progress = SILENT
    ) -> Report:
        """Take embeddings in that were made elsewhere, into a collection made with `encoder="arrays"`.

        The file is one source and each of its rows a point, with its bytes, prominence and entropy where the file
        has them; an export of a collection becomes the sources that it was made of. Rows are kept as float32.
        A file that was imported before is skipped if its content is the same, else replaced. A file of patches
        without embeddings (blt_patches_v2) goes into a collection of such files: text is found, vectors are not.

        Args:
            path: safetensors of any layout that the earlier systems wrote, or .npy [N, D].
            name: what people see; the file's name by default.
            progress: is told rows.

        Returns:
            what was done; `skipped` tells of a sidecar that is broken and of bytes that belong to no row.

        Raises:
            NotFoundError: no such file; FormatError: not such a file, or one that contradicts itself.
            InputError: no rows, another width than the collection's, a collection with an encoder of its own.
            LockedError: another process is writing. After any of these the collection is as it was.
        """
        report = import_file(self.collection, path, name=name, progress=progress)
        self._index_after(progress)
        return report

    def import_arrays(
        self,
        embeddings: np.ndarray,
        *,
        prominence: np.ndarray | None = None,
        data: Sequence[bytes] | None = None,
        name: str = "arrays",
        entropies: np.ndarray | None = None,
    ) -> Report:
        """Take arrays in as one source, into a collection made with `encoder="arrays"`; in place of an earlier
        source of this name.

        Args:
            embeddings: numbers [N, D], finite; kept as float32 as they are, never normalised.
            prominence: [N], at least 0; the norms by default.
            data: the bytes of each row.
            name: by which the source is found again.
            entropies: [N], nats, at least 0, NaN where unknown.

        Raises:
            InputError: arrays that do not fit, or as for `import_file`; LockedError: another process is writing.
        """
        report = import_arrays(
            self.collection, embeddings, prominence=prominence, data=data, name=name, entropies=entropies
        )
        self._index_after(SILENT)
        return report

    def export_file(self, path: str | os.PathLike, *, layout: str = "v3", sidecar: bool = True) -> None:
        """Write every point to a safetensors file, one row each: embeddings, prominence, entropies (where all are
        known) and bytes. Sources are in the order of their names, which stand with their lengths in the metadata,
        so that importing the file gives the same points again. All rows are in memory at once.

        Args:
            path: NAME.safetensors; one that exists is replaced in one step.
            layout: "v3".
            sidecar: write the hypergraph beside it, NAME.hypergraph.db; its leaves are the rows.

        Raises:
            InputError: the collection has no embeddings, or a file changed whose bytes are not kept.
            NotFoundError, SphereError: the folder is missing, the disk full or read-only.
        """
        export_file(self.view, self.settings, path, layout=layout, sidecar=sidecar)

    def hypergraph(self, name: str | None = None) -> Hypergraph:
        """Sources (trunks), their modality (branches) and patches (leaves), with the edges `contains`, `next` and
        `same_source`. A leaf has label patch_<k>, start, end, and in `extra` its passage and entropy (the
        passage's where points are passages).

        It is made from the tables of the parts on every call. The catalog keeps no row for a patch: with a patch
        every eight bytes that would cost three times the raw bytes. Ask for one source where there are many.

        Args:
            name: a source by name or uri; None for all.

        Raises:
            NotFoundError: no source has that name.
        """
        return hypergraph(self.view, name)

    def _keep_fitted(self, writer: Writer, progress: Progress) -> None:
        """Remember how many points there were at the first fit; fit again when they have grown fourfold."""
        points = self.view.live_points
        if not self.settings.fitted_points:
            writer.commit(settings={"fitted_points": points})
        elif points >= GROWTH * self.settings.fitted_points:
            self._rewrite(writer, progress)
        self.refresh()

    def remove(self, *names: str) -> int:
        """Remove sources by name, uri, or the name of a folder above them.

        Returns:
            how many paths were removed.

        Raises:
            NotFoundError: a name that matches no source; nothing is removed then.
        """
        with self.collection.writer() as writer:
            self.refresh()
            wanted: dict[str, list[str]] = {name: [] for name in names}
            for row in self.collection.sources():
                for name, found in wanted.items():
                    if below(row.name, name) or below(row.uri, name):
                        found.append(row.uri)
            for name, found in wanted.items():
                if not found:
                    raise NotFoundError(
                        f"no source is called {name!r}; `thesphere info --sources` lists them"
                    )
            uris = sorted({uri for found in wanted.values() for uri in found})
            run = Ingest(self.collection, writer, self.settings, self.encoder, None)
            run.forget(uris)
            self._keep_indexed(writer, SILENT)
        return len(uris)

    def compact(self, *, progress: Progress = SILENT) -> int:
        """Write everything live into as few parts as possible, fit `lsa` again, and free the room of what is
        gone.

        Returns:
            bytes freed (negative if it grew).
        """
        before = self._stored()
        with self.collection.writer() as writer:
            self.refresh()
            self._rewrite(writer, progress)
            self.close()
            writer.sweep()
        self.refresh()
        return before - self._stored()

    def _rewrite(self, writer: Writer, progress: Progress) -> None:
        """Copy all documents into new parts with one commit, under a newly fitted encoder where there is
        one."""
        view = self.view
        settings, encoder, old = self.settings, self.encoder, None
        if settings.encoder == "lsa" and encoder is not None and (fitted := _fitted(view)) is not None:
            encoder = fitted
            old = view.number_of(settings.encoder_part)
            settings = replace(settings, encoder_part="", fitted_points=view.live_points)
        keys = dict.fromkeys(
            row.digest for row in sorted(self.collection.sources(), key=lambda row: row.name)
        )
        progress.start("compact", len(keys), "sources")
        with Batch(writer, settings, encoder) as batch:
            for key in keys:
                copy_document(batch, view, key)
                progress.advance(1)
            batch.commit(drop=[] if old is None else [old], settings={RENAMING: 0})
        progress.finish()
        self._keep_indexed(writer, progress)

    def _stored(self) -> int:
        stored = self.collection.stats()["stored"]
        assert isinstance(stored, int)
        return stored

    def search(
        self,
        query: str | None = None,
        k: int = 10,
        *,
        vector: np.ndarray | None = None,
        contains: bytes | None = None,
        vectors: bool | None = None,
        metric: Metric | None = None,
        recall: float | None = None,
        exact: bool = False,
        budget: int | None = None,
        sources: Sequence[str] = (),
        modality: Sequence[str] = (),
    ) -> Hits:
        """The first k answers.

        Where words decide, and where there is no index, they are proved: status "exact", gap 0. An index (see
        `build_roots`) answers vectors, and texts that vectors join, from 200,000 points on, and on fewer where
        `recall` or `budget` is given.

        Args:
            query: a text; windows are ranked by lexical evidence, joined by vectors if they take part.
            k: how many, at least 1.
            vector: numbers [D] from the encoder of the collection instead of a text; points are ranked.
            contains: a byte string instead of a text; its occurrences, by source and offset.
            vectors: whether vectors join a text query. By default they do if the collection's encoder was
                chosen for its meaning; `lsa` gives the geometry and joins only if asked.
            metric: for `vector`, "cosine" or "ip"; the index's if there is one, else cosine. By the other one
                answers are exact.
            recall: 0 to 1, the mean share of the true first k that an index has to find; 0.95 unless told.
            exact: leave the index out.
            budget: bytes that an index may read at most, for choosing cells and of coded rows; what does not
                cover the former reads nothing of it. Rows that are then scored on their floats come on top, and
                their number is told. So does what words read.
            sources: only these may answer: names of sources or of folders above them, * and ? allowed. All
                unless given. Scores do not depend on it: statistics are those of the whole collection.
            modality: only sources that the readers found to be this, "text", "code", "row" or "binary".

        Raises:
            InputError: not exactly one of query, vector and contains; an empty one; k < 1; a vector of
                another width; numbers out of range; a budget where no index answers; a name or a modality
                that no source has.
        """
        given = [each for each in (query, vector, contains) if each is not None]
        if len(given) != 1:
            raise InputError(f"{len(given)} of query, vector and contains were given; give exactly one")
        if k < 1:
            raise InputError(f"k is {k}; ask for at least 1 answer")
        if recall is not None and not 0 <= recall <= 1:
            raise InputError(f"recall is {recall}; ask for 0 to 1")
        if budget is not None and budget < 0:
            raise InputError(f"budget is {budget} bytes; give 0 or more")
        if exact and (recall is not None or budget is not None):
            raise InputError("exact excludes recall and budget; leave them out")
        view = self._only(sources, modality)
        if contains is not None:
            self._unbudgeted(budget)
            if not contains:
                raise InputError("the byte string is empty; give at least one byte")
            return filtered(search_bytes(view, contains, k), view)
        if vector is not None:
            row = self._row(vector)
            index = self._index(exact, recall, budget, k)
            if index is not None and metric in (None, index.metric):
                wanted = RECALL if recall is None and budget is None else recall
                over = self._through(view, index, k, wanted, budget)
                if over is not None:
                    wanted = None if view.few else wanted  # no rule is calibrated for so few
                    hits = cones_for_vector(view, over, row, k, recall=wanted, budget=budget)
                    if hits is not None:
                        return filtered(hits, view)
            else:
                self._unbudgeted(budget)
            return filtered(search_vector(view, row, k, metric=metric or self._metric), view)
        assert query is not None
        if not query.strip():
            raise InputError("the query is empty; ask for something")
        encoder = self._joining(vectors)
        index = None if encoder is None else self._index(exact, recall, budget, k)
        if encoder is not None and index is not None and index.metric == "cosine":
            wanted = RECALL if recall is None and budget is None else recall
            if not view.filter:
                return cones_for_text(view, index, query, k, encoder, recall=wanted, budget=budget)
            over = self._through(view, index, k, wanted, None if budget is None else budget // 2)
            if over is not None or view.few:
                indexes = index, over
                hits = filtered_cones(view, indexes, query, k, encoder, recall=wanted, budget=budget)
                return filtered(hits, view)
        else:
            self._unbudgeted(budget)
        return filtered(search_text(view, query, k, encoder=encoder), view)

    def within(
        self,
        query: str | None = None,
        *,
        score: float,
        vector: np.ndarray | None = None,
        metric: Metric | None = None,
        sources: Sequence[str] = (),
        modality: Sequence[str] = (),
        limit: int | None = None,
    ) -> Hits:
        """Every point that scores at least `score` against a vector, exactly, best first. The hits are the
        points' spans; `total` of the answer says how many there are.

        Args:
            query: a text, whose vector by the collection's encoder is compared; its words do not count.
            score: the least cosine or inner product.
            vector: numbers [D] from the encoder of the collection instead of a text.
            metric: "cosine" or "ip"; the index's if there is one, else cosine.
            sources, modality: as in `search`.
            limit: the most that are given back, 1 or more; all of them unless told.

        Raises:
            InputError: not exactly one of query and vector; an empty one; a score that is no finite number; a
                text where no encoder is at hand; a limit below 1; what `search` refuses.
        """
        if (query is None) == (vector is None):
            raise InputError("give a query or a vector, one of them, for the points within a score of it")
        if not np.isfinite(score):
            raise InputError(f"score is {score}; give the least cosine or inner product as a finite number")
        if limit is not None and limit < 1:
            raise InputError(f"limit is {limit}; ask for at least 1 answer")
        if query is not None and not query.strip():
            raise InputError("the query is empty; ask for something")
        view, metric = self._only(sources, modality), metric or self._metric
        if query is None:
            assert vector is not None
            asked = self._row(vector)
        else:
            encoder = self._joining(True)
            if encoder is None or view.vectors is None:
                raise InputError("this collection has no vectors yet; ingest some text first")
            asked = query, encoder
        index = self.index if int(view.point_offsets[-1]) >= LARGE else None
        if index is not None and index.metric != metric:
            index = None
        elif index is not None and view.filter:
            index = self._over(view)
        hits = points_within(view, float(score), asked=asked, metric=metric, index=index, limit=limit)
        return filtered(hits, view)

    def _row(self, vector: np.ndarray) -> np.ndarray:
        """A vector that a user gives, float32 [D]."""
        vectors = self.view.vectors
        if vectors is None:
            raise InputError("this collection has no vectors; ingest with an encoder, or import embeddings")
        rows = check_embeddings(np.atleast_2d(vector), expect_width=vectors[0].codes.width)
        if len(rows) != 1:
            raise InputError(f"vector holds {len(rows)} rows; give one vector [D] at a time")
        return rows[0]

    def _only(self, sources: Sequence[str], modality: Sequence[str]) -> View:
        """What a filter leaves of the generation that answers."""
        view, wanted = self.view, Filter.of(sources, modality)
        return self._filtered(wanted) if wanted else view

    @cached_property
    def _filtered(self) -> Callable[[Filter], View]:
        return lru_cache(FILTERS)(self.view.only)

    @cached_property
    def _over(self) -> Callable[[View], PointIndex]:
        assert self.index is not None
        return lru_cache(FILTERS)(self.index.over)

    def _through(
        self, view: View, index: PointIndex, k: int, recall: float | None, budget: int | None
    ) -> PointIndex | None:
        """The index over a view; None where it is better, and the budget allows, to score all that a filter
        leaves, and where no rule holds for the first k of so little."""
        if not view.filter:
            return index
        over, whole = self._over(view), 4 * index.cells.codes.width * view.live_points
        if view.few and (budget is None or whole <= budget):
            return None
        unruled = budget is None and recall is not None and over.stop(recall, k) is EVERYTHING
        return None if unruled else over

    def _unbudgeted(self, budget: int | None) -> None:
        if budget is not None:
            raise InputError("a budget limits what an index reads, and none answers here; leave it out")

    @property
    def _metric(self) -> Metric:
        """What vectors are compared by unless told."""
        self.view  # noqa: B018 - the settings are those of the generation that answers
        return "ip" if self.settings.roots_metric == "ip" else "cosine"

    def _index(self, exact: bool, recall: float | None, budget: int | None, k: int) -> PointIndex | None:
        """The index, if it is to answer: if it is asked for anything, or all points are too many."""
        large = recall is not None or budget is not None or int(self.view.point_offsets[-1]) >= LARGE
        if exact or not large or k >= MOST or self.index is None:
            return None
        wanted = RECALL if recall is None else recall
        return None if budget is None and self.index.stop(wanted, k) is EVERYTHING else self.index

    @cached_property
    def index(self) -> PointIndex | None:
        """The index of the points; None before `build_roots`, or when what it covers was written anew since."""
        self.view  # noqa: B018 - the settings are those of the generation that answers
        if not self.settings.roots_part:
            return None
        return load_roots(self.path / "parts" / self.settings.roots_part, self.view)

    def _joining(self, vectors: bool | None) -> Encoder | None:
        """The encoder that joins a text query, if one does."""
        if vectors is None and self.settings.encoder in ("lsa", "arrays", "none"):  # they never join unasked
            return None
        if vectors and self.settings.encoder == "arrays":
            raise InputError("these embeddings came from outside, a text cannot join them; give vector=")
        if vectors and self.settings.encoder == "none":
            raise InputError("this collection has no encoder; make one with encoder=")
        if vectors is False:
            return None
        try:
            encoder = self.encoder
        except (FormatError, NotFoundError) as error:  # weights that lie elsewhere
            raise type(error)(f"{error}; without vectors (--no-vectors) words still answer") from None
        return None if vectors is None and encoder is not None and encoder.joining.asked else encoder

    def prove(self, hits: Hits) -> None:
        """Prove an answer again by full enumeration: every live window or point is scored from the original
        bytes and rows, without the inverted lists, codes and bounds that found it.

        Raises:
            VerifyError: the answer differs, or the collection has changed since.
        """
        prove(self.view, hits, self.encoder if hits.request.joined else None)

    def points(self) -> Points:
        """All live points: embeddings, prominence, entropies and spans."""
        return self.view.points()

    def texts(self, limit: int = 160) -> list[str]:
        """The first `limit` bytes of each of `points()`, decoded."""
        return self.view.texts(limit)

    def entropy_along(self, name: str, limit: int = 400) -> tuple[np.ndarray, np.ndarray]:
        """Next-byte entropy along the first `limit` bytes (as UTF-8) of a source, float32 [T] nats, as the
        collection's entropy model sees them; and where its patches start, int64 [P].

        Raises:
            NotFoundError: no source has that name.
        """
        data, starts = boundaries(self.view, name, limit)
        return self._model.entropies(data), starts

    def fill(
        self,
        method: "str | Strategy" = "quantile",
        *,
        chart: str | None = "graph",
        instructions: Sequence[str] = (),
        questions: Sequence[str] = (),
        again: bool = True,
        key: int | None = None,
        progress: Progress = SILENT,
        **options: Any,
    ) -> "Filling":
        """Give every point a radius, a shell and a direction on the chart, and keep them in the collection.

        Points that are ingested later find a place among these without moving them; see `places`.

        Args:
            method: a name out of `thesphere.filling.METHODS`, or a strategy.
            chart: where directions come from: "graph" (neighbours stay together), "spectral", "pca" (fast),
                "random", or None.
            instructions, questions: names of sources or of folders above them, * and ? allowed: their points
                are kept in the cap around the north and the south pole (needs chart="graph").
            again: False keeps what is known and moves as few points as possible to where the later ones have
                disturbed the balance.
            key: seed of all that is drawn.
            options: more for `thesphere.filling.fill` (or `refill`).

        Returns:
            the filling, one row per row of `points()`.

        Raises:
            InputError: the collection has no embeddings, no source has such a name, there is no filling to go on
                with, or what `fill` refuses.
            LockedError: another process is writing.
        """
        with self.collection.writer() as writer:
            self.refresh()
            points = self.points()
            if not points.embeddings.size:
                raise InputError(f"{self.path} has no embeddings to fill with; ingest with an encoder first")
            if again:
                roles = Roles(tuple(instructions), tuple(questions))
                filling = fill_points(
                    points, roles, method, chart=chart, key=key, progress=progress, **options
                )
            else:
                places = self.places(points)
                if places is None:
                    raise InputError(f"{self.path} has no filling to go on with; fill it once without that")
                if places.stale:
                    raise InputError(
                        f"{self.path}: the embeddings were made anew since it was filled; fill it again"
                    )
                roles = places.roles
                filling = refill_points(points, places, method, key=key, **options)
            folder = writer.new_part()
            write_places(folder, points, filling, roles, self.settings.encoder_part)
            old = self.view.number_of(self.settings.places_part)
            drop = [] if old is None else [old]
            writer.commit([NewPart(folder)], drop=drop, settings={"places_part": folder.name})
        self.refresh()
        return filling

    def build_roots(
        self,
        *,
        metric: Metric | None = None,
        partitions: int | None = None,
        method: str = "kmeans",
        substring: float | None = None,
        key: int | None = None,
        queries: Any = None,
        progress: Progress = SILENT,
    ) -> "Roots":
        """Divide the points into cells and keep the index in the collection: searches with vectors then read a
        few cells instead of all points. Imports, and ingests with an encoder that was chosen for its meaning,
        build it by themselves from 200,000 points on, and again when it covers too few.

        Args:
            metric: "cosine" or "ip"; as before, or cosine.
            partitions: cells; 4 sqrt(points) unless given, or less for narrow rows and queries that are given.
            method: a name out of `thesphere.roots.partition.METHODS`.
            substring: weight of shared substrings in what keeps points together, 0 to 1 (for the methods "potts"
                and "ising").
            key: seed of all that is drawn.
            queries: a thousand or more like those that will be asked, for which a mean recall then holds: texts,
                which the collection's encoder embeds, or numbers [Q, D]. Some hundreds stay with the index, for
                when it is built again by itself (until a fitted encoder is fitted again). Without them points
                stand in, and the rules are stricter.
            progress: is told that it works.

        Returns:
            the index in memory.

        Raises:
            InputError: the collection has no embeddings, a value is out of range, or queries are not as
                described.
            LockedError: another process is writing.
        """
        with self.collection.writer() as writer:
            self.refresh()
            options = {"partitions": partitions, "method": method, "substring": substring, "key": key}
            return self._write_roots(writer, progress, metric, queries, **options)

    def _write_roots(
        self,
        writer: Writer,
        progress: Progress,
        metric: Metric | None = None,
        queries: Any = None,
        **options: Any,
    ) -> "Roots":
        view = self.view
        if view.vectors is None or not int(view.point_offsets[-1]):
            raise InputError(f"{self.path} has no embeddings to index; ingest with an encoder first")
        if queries is not None:
            queries = questions_of(queries, self.encoder, view.vectors[0].codes.width)
        progress.start("index", None, "points")
        folder = writer.new_part()
        metric, fit = metric or self._metric, self.settings.encoder_part
        roots = write_roots(folder, view, metric, queries=queries, fit=fit, **options)
        old = view.number_of(self.settings.roots_part)
        drop = [] if old is None else [old]
        kept = {"roots_part": folder.name, "roots_metric": metric}
        writer.commit([NewPart(folder)], drop=drop, settings=kept)
        progress.finish()
        self.refresh()
        return roots

    def _index_after(self, progress: Progress) -> None:
        """`_keep_indexed` after an import; whoever is writing by then does it with what he commits."""
        try:
            with self.collection.writer() as writer:
                self._keep_indexed(writer, progress)
        except LockedError:
            self.refresh()

    def _keep_indexed(self, writer: Writer, progress: Progress) -> None:
        """Build the index where points are many and their vectors answer, or again where it covers too few."""
        self.refresh()
        view, had = self.view, bool(self.settings.roots_part)
        count = int(view.point_offsets[-1])
        large = count >= LARGE and self.settings.encoder not in ("lsa", "none")
        if view.vectors is None or not count or not (had or large):
            return
        try:
            known = 0 if self.index is None else int(self.index.live.sum())
        except FormatError:
            known = 0
        if known < (1 - LATE) * view.live_points:
            self._write_roots(writer, progress, **self._kept_options())

    def _kept_options(self) -> dict[str, Any]:
        """How the index was divided and what queries it was given, if that can still be read."""
        if not self.settings.roots_part:
            return {}
        folder, fit = self.path / "parts" / self.settings.roots_part, self.settings.encoder_part
        try:
            return load_options(folder, self.view, fit)
        except FormatError:
            return {}

    def places(self, points: Points | None = None) -> Places | None:
        """Where each of `points()` lies (give them if they are at hand), by the last `fill`; None before the
        first. Points that came after it have been given a place among the others."""
        self.view  # noqa: B018 - the settings are those of the generation that answers
        if not self.settings.places_part:
            return None
        folder = self.path / "parts" / self.settings.places_part
        return load_places(folder, points or self.points(), self.settings.encoder_part)

    def verify(self, *, progress: Progress = SILENT) -> list[str]:
        """Read every stored byte again; returns each problem found, [] if the collection is sound."""
        return self.collection.verify(progress=progress)

    def info(self) -> dict[str, object]:
        """What the collection holds and what it was made with."""
        view = self.view
        stats = self.collection.stats()
        filling = "none"
        if self.settings.places_part:
            try:
                filling = str(self.places())
            except FormatError as error:
                filling = str(error)
        try:
            index = self.index
            told = "none" if not self.settings.roots_part else "out of date" if index is None else str(index)
            division = "none" if index is None else str(index.quality or "unknown")
        except FormatError as error:
            told, division = str(error), "unknown"
        return {
            **stats,
            "windows": view.lexical.documents,
            "points": view.live_points,
            "unit": self.settings.points,
            "dimensions": view.vectors[0].codes.width if view.vectors else 0,
            "filling": filling,
            "roots": told,
            "division": division,
            **{
                name: value
                for name, value in vars(self.settings).items()
                if name not in ("encoder_part", "places_part", "roots_part", "roots_metric", "points")
            },
        }


def _fitted(view: View) -> Encoder | None:
    """`lsa` fitted on everything that is live; None if there is no text, or a document cannot be written again
    (its bytes are not kept and its file has changed) whose vectors would then be of the old fit."""
    sample = Sample(4000)
    for part, document, record in view.records():
        base = int(part.document_base[document])
        if view.read(part, document, base, base)[1]:
            return None
        sample.add(utf8(data, record.encoding) for data in view.passages(part, document))
    try:
        return fit_lsa(sample)
    except InputError:
        return None
