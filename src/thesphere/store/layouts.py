"""The layouts in which earlier systems wrote embeddings, each told by its keys and brought into one shape.

| layout     | rows    | told by                                        | written by                         |
|------------|---------|------------------------------------------------|------------------------------------|
| v3         | patches | bytes, patch_lengths, patch_entropies or tag   | tag blt_patches_v3, corpus exports |
| patches_v2 | patches | bytes and patch_lengths without embeddings     | tag blt_patches_v2, WebDataset     |
| batched    | bytes   | patch_indices or patch_mask, and entropies     | the [1, N, D] "v2", parts, shards  |
| l0         | tokens  | patch_indices or patch_mask, without entropies | the first ingest, with BOS and EOS |
| hf         | tokens  | tokens                                         | the data-set loader                |
| offsets    | patches | bytes_offsets and bytes_data                   | the sphere crate's document        |
| plain      | rows    | nothing but embeddings                         | sentence encoders, results, .npy   |

Rows that are bytes or tokens are pooled to patches as the earlier aggregation did: mean embedding, maximal
prominence, mean entropy, mean coherence. `patch_mask` marks the rows where a patch *starts* (one earlier
reader took it for padding). In a part or shard the indices count rows of the whole and the mask counts its
own, so the mask decides, and rows before its first start continue a patch of the part before.
"""

from dataclasses import dataclass, field

import numpy as np

from thesphere.errors import FormatError
from thesphere.store.checked import Tensors, means

UNITS = ("patch", "passage", "byte", "point", "row")
PROMINENCE_KINDS = ("declared", "norm", "ones")
_TOKEN_OFFSET = 4  # bytes follow four special tokens
_VOCABULARY = 260
_TRIES = 1_000  # places where a part's mask is tried in the indices of the whole


@dataclass(frozen=True)
class Interchange:
    """One file's content, in one shape whatever its layout. Row i is one point.

    Attributes:
        layout: "v3", "patches_v2", "batched", "l0", "hf", "offsets" or "plain".
        unit: what a row is: "patch", "byte", "row", or what our own export declared.
        embeddings: float32 [N, D], as stored: norms are kept. None in patches_v2.
        prominence: float32 [N], >= 0.
        prominence_kind: "declared" by the file, "norm" of the embeddings, or "ones" where there is neither.
        entropies: float32 [N], nats, >= 0, or None.
        coherence: float32 [N], or None.
        data: uint8 [T], the bytes of all rows in order, or None. More may follow the last row, which is
        noted. lengths: int64 [N], bytes of each row, sum <= T; or None. May be known where `data` is not.
        metadata: the file's own, and under "note.KEY" what was converted or is unusual.
    """

    layout: str
    unit: str
    embeddings: np.ndarray | None
    prominence: np.ndarray
    prominence_kind: str
    entropies: np.ndarray | None = None
    coherence: np.ndarray | None = None
    data: np.ndarray | None = None
    lengths: np.ndarray | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.prominence)

    @property
    def ends(self) -> np.ndarray | None:
        """int64 [N]: offset in `data` behind each row, or None."""
        return None if self.lengths is None else np.cumsum(self.lengths)

    @property
    def starts(self) -> np.ndarray | None:
        """int64 [N]: offset in `data` of each row, or None."""
        return None if self.lengths is None else np.cumsum(self.lengths) - self.lengths


def interchange(file: Tensors, pool: bool) -> Interchange:
    """Tell the layout from the keys, check everything and bring it into one shape.

    Raises:
        FormatError: no known layout, or one that contradicts itself; names file, key, found and expected.
    """
    if file.tag not in ("", "blt_patches_v2", "blt_patches_v3"):
        raise file.wrong("metadata format", repr(file.tag[:40]), "blt_patches_v2 or blt_patches_v3")
    if "embeddings" not in file:
        if "bytes" in file and "patch_lengths" in file:
            return _patches_v2(file)
        found = ", ".join(sorted(file.arrays))[:200] or "nothing"
        raise FormatError(f"{file.path} has no embeddings, nor bytes with patch_lengths; it has {found}")
    if "tokens" in file:
        return _byte_rows(file, "hf", pool)
    if "patch_indices" in file or "patch_mask" in file:
        return _byte_rows(
            file, "batched" if "entropies" in file or "coherence_scores" in file else "l0", pool
        )
    if "bytes_offsets" in file or "bytes_data" in file:
        return _offsets(file)
    if file.tag == "blt_patches_v3" or any(
        key in file for key in ("bytes", "patch_lengths", "patch_entropies")
    ):
        return _v3(file)
    return _plain(file)


def _v3(file: Tensors) -> Interchange:
    embeddings, prominence, kind = file.points()
    count = len(embeddings)
    data = lengths = None
    if "patch_lengths" in file:
        lengths = file.sizes("patch_lengths", count)
    if "bytes" in file:
        data = file.raw("bytes")
        if lengths is None:
            raise FormatError(f"{file.path} has bytes but no patch_lengths that say which row they belong to")
        file.lengths("patch_lengths", lengths, data)
        file.claims(("total_bytes",), len(data))
    file.claims(("num_patches", "n_patches"), count)
    file.claims(("embed_dim",), embeddings.shape[1])
    entropies = None
    if "patch_entropies" in file:
        entropies = file.entropies("patch_entropies", count)
    elif "entropies" in file:  # a value for each row, or for each byte
        size = file.unbatched("entropies", 1).size
        if size == count:
            entropies = file.entropies("entropies", count)
        elif lengths is not None and size == lengths.sum():
            entropies = means(file.entropies("entropies", size), lengths)
            file.note("entropies", "mean over the bytes of each row")
        else:
            raise file.wrong(
                "entropies", f"of length {size}", f"{count}, or one value for each byte of the rows"
            )
    declared = file.metadata.get("prominence_kind")
    if kind == "declared" and declared in PROMINENCE_KINDS:
        kind = declared
    unit = file.metadata.get("unit")
    return Interchange(
        layout="v3",
        unit=unit if unit in UNITS else "patch",
        embeddings=embeddings,
        prominence=prominence,
        prominence_kind=kind,
        entropies=entropies,
        coherence=file.optional("coherence_scores", count),
        data=data,
        lengths=lengths,
        metadata=file.all_metadata(),
    )


def _patches_v2(file: Tensors) -> Interchange:
    data, lengths = file.raw("bytes"), file.sizes("patch_lengths")
    file.lengths("patch_lengths", lengths, data)
    file.claims(("num_patches", "n_patches"), len(lengths))
    file.claims(("total_bytes",), len(data))
    entropies = None
    if "entropies" in file:
        entropies = means(file.entropies("entropies", int(lengths.sum())), lengths)
        file.note("entropies", "mean over the bytes of each row")
    return Interchange(
        layout="patches_v2",
        unit="patch",
        embeddings=None,
        prominence=np.ones(len(lengths), np.float32),
        prominence_kind="ones",
        entropies=entropies,
        data=data,
        lengths=lengths,
        metadata=file.all_metadata(),
    )


def _offsets(file: Tensors) -> Interchange:
    embeddings, prominence, kind = file.points()
    count = len(embeddings)
    data, offsets = file.raw("bytes_data"), file.whole("bytes_offsets", count + 1)
    if offsets[0] != 0:
        raise file.wrong("bytes_offsets[0]", offsets[0], "0")
    lengths = np.diff(offsets)
    if lengths.min(initial=0) < 0:
        raise file.wrong("bytes_offsets", f"falling at row {int(np.argmax(lengths < 0))}", "rising offsets")
    file.lengths("bytes_offsets", lengths, data)
    key = "patch_entropies" if "patch_entropies" in file else "entropies"
    return Interchange(
        layout="offsets",
        unit="patch",
        embeddings=embeddings,
        prominence=prominence,
        prominence_kind=kind,
        entropies=file.entropies(key, count) if key in file else None,
        coherence=file.optional("coherence_scores", count),
        data=data,
        lengths=lengths,
        metadata=file.all_metadata(),
    )


def _plain(file: Tensors) -> Interchange:
    embeddings, prominence, kind = file.points()
    count = len(embeddings)
    return Interchange(
        layout="plain",
        unit="row",
        embeddings=embeddings,
        prominence=prominence,
        prominence_kind=kind,
        entropies=file.entropies("entropies", count) if "entropies" in file else None,
        coherence=file.optional("coherence_scores", count),
        metadata=file.all_metadata(),
    )


def _byte_rows(file: Tensors, layout: str, pool: bool) -> Interchange:
    """Layouts whose rows are bytes (batched) or tokens (l0, hf): pooled to patches unless told otherwise."""
    embeddings, prominence, kind = file.points()
    count = len(embeddings)
    entropies = file.entropies("entropies", count) if "entropies" in file else None
    coherence = file.optional("coherence_scores", count)
    data, lengths = None, np.ones(count, np.int64)
    if layout == "hf":
        tokens = file.whole("tokens", count)
        if tokens.max(initial=0) >= _VOCABULARY:
            raise file.wrong("tokens", f"as high as {tokens.max()}", f"less than {_VOCABULARY}")
        if "mask" in file and not (file.whole("mask", count) == 1).all():
            raise file.wrong(
                "mask", "0 for some rows", "1 for every row: padding is not written by the loader"
            )
        is_byte = tokens >= _TOKEN_OFFSET
        data, lengths = (tokens[is_byte] - _TOKEN_OFFSET).astype(np.uint8), is_byte.astype(np.int64)
    starts = _starts(file, count)
    unit = "byte"
    if pool:
        unit = "patch"
        sizes = np.diff(starts, append=count)
        embeddings = means(embeddings, sizes)
        prominence = np.maximum.reduceat(prominence, starts) if count else prominence
        file.note("prominence", "maximum over the bytes of each patch")
        entropies = None if entropies is None else means(entropies, sizes)
        coherence = None if coherence is None else means(coherence, sizes)
        lengths = np.add.reduceat(lengths, starts) if count else lengths
    return Interchange(
        layout=layout,
        unit=unit,
        embeddings=embeddings,
        prominence=prominence,
        prominence_kind=kind,
        entropies=entropies,
        coherence=coherence,
        data=data,
        lengths=None if layout == "l0" else lengths,  # its rows count BOS and EOS, which are no bytes
        metadata=file.all_metadata(),
    )


def _starts(file: Tensors, count: int) -> np.ndarray:
    """int64 [P]: the row where each patch, or the rest of one, starts; the first is 0."""
    indices = file.whole("patch_indices") if "patch_indices" in file else None
    if indices is not None and (np.diff(indices) <= 0).any():
        raise file.wrong(
            "patch_indices", f"not rising at {int(np.argmax(np.diff(indices) <= 0)) + 1}", "rising indices"
        )
    if "patch_mask" in file:
        mask = file.whole("patch_mask", count)
        if mask.max(initial=0) > 1:
            raise file.wrong("patch_mask", f"as high as {mask.max()}", "0 or 1")
        starts = np.flatnonzero(mask)
        if indices is not None and not _is_slice(starts, indices, count):
            raise file.wrong(
                "patch_mask", "in contradiction to patch_indices", "starts at the same distances"
            )
    elif indices is not None:
        starts = indices
        if starts.max(initial=-1) >= count:
            raise file.wrong("patch_indices", f"as high as {starts.max()}", f"less than the {count} rows")
    else:
        lengths = file.sizes("patch_lengths")
        if lengths.sum() != count or (lengths == 0).any():
            raise file.wrong("patch_lengths", f"{lengths.sum()} in sum", f"{count}, without zeros")
        return np.cumsum(lengths) - lengths
    if not count:
        return np.zeros(0, np.int64)
    if not len(starts) or starts[0] != 0:
        starts = np.concatenate([[0], starts])
        file.note("patch_mask", "the first row continues a patch of the part before")
    if "patch_lengths" in file and not np.array_equal(
        file.sizes("patch_lengths"), np.diff(starts, append=count)
    ):
        raise file.wrong(
            "patch_lengths", "in contradiction to the patch starts", "the distances between them"
        )
    return starts


def _is_slice(starts: np.ndarray, indices: np.ndarray, count: int) -> bool:
    """Whether the starts among `count` rows, moved by an offset, are the indices of such a stretch."""
    if not len(starts):
        return True
    wanted, steps = np.diff(starts).tobytes(), np.diff(indices).tobytes()
    at = steps.find(wanted)
    for _ in range(_TRIES):
        if at < 0:
            return False
        first = at // 8
        behind = first + len(starts)
        offset = indices[first] - starts[0] if behind <= len(indices) else -1
        if (
            at % 8 == 0
            and offset >= 0
            and (first == 0 or indices[first - 1] < offset)
            and (behind == len(indices) or indices[behind] >= offset + count)
        ):
            return True
        at = steps.find(wanted, at + 1)
    return True  # so regular that it fits in many places: not worth more time
