"""Cells as arrays: nothing is lost on the way, and nothing from a damaged file reaches a kernel."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_roots_cells import METRICS, blobs, check

from thesphere.errors import FormatError
from thesphere.roots.cells import Cells, build_cells
from thesphere.roots.config import RootsConfig
from thesphere.roots.routing import Centroid
from thesphere.roots.saved import from_arrays, prove, to_arrays
from thesphere.scan.block import Queries
from thesphere.scan.part import Part
from thesphere.scan.rows import Codes, encode
from thesphere.store.tensors import map_tensors, write_tensors

ROWS = blobs(300, 6)
BUILT = {metric: build_cells(ROWS, metric, RootsConfig(partitions=24), key=1) for metric in METRICS}


def same(left: Cells, right: Cells) -> None:
    one, other = to_arrays(left), to_arrays(right)
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]), name


@pytest.mark.parametrize("members", [True, False])
@pytest.mark.parametrize("metric", METRICS)
def test_the_way_to_a_file_and_back(tmp_path, metric, members) -> None:
    cells = BUILT[metric] if members else BUILT[metric].without_members()
    write_tensors(tmp_path / "cells.safetensors", to_arrays(cells))
    arrays, _ = map_tensors(tmp_path / "cells.safetensors")
    found = from_arrays(arrays, metric, "cells.safetensors")
    same(found, cells)
    assert found.members == members and found.count == 300
    asked = Queries.of([Part(encode(ROWS), ROWS)], ROWS[:9], metric)
    assert np.array_equal(found.router.scores(asked), cells.router.scores(asked))
    if members:
        check(found, ROWS, metric)
        prove(found, ROWS, metric)
        assert not found.rows.flags.writeable and np.shares_memory(found.rows, arrays["cells.rows"])


@pytest.mark.parametrize("metric", METRICS)
def test_every_array_is_needed_in_its_type_and_shape(metric) -> None:
    arrays = to_arrays(BUILT[metric])
    for name, array in arrays.items():
        if name != "cells.rows":  # without it, there are no members
            with pytest.raises(FormatError, match="file.*is missing"):
                from_arrays({key: arrays[key] for key in arrays if key != name}, metric, "file")
        wrongs = [array.astype(np.float64 if array.dtype != np.float64 else np.int8), array[None], array[:-1]]
        if array.ndim == 2:
            wrongs += [array[:, :-1], np.asfortranarray(array)]
        for wrong in wrongs:
            with pytest.raises(FormatError, match="file"):
                from_arrays({**arrays, name: wrong}, metric, "file")


def changed(array: np.ndarray, at, value) -> np.ndarray:
    out = array.copy()
    out[at] = value
    return out


def test_numbers_that_lead_outside_are_refused() -> None:
    cells = BUILT["cosine"]
    arrays = to_arrays(cells)
    starts, rows, copies = arrays["cells.starts"], arrays["cells.rows"], arrays["cells.copies"]
    roots = arrays["roots.starts"]
    twice = int(np.flatnonzero(copies)[0])
    lies = [
        ("cells.starts", changed(starts, 0, 1), "rise"),
        ("cells.starts", changed(starts, 1, starts[2]), "rise"),
        ("cells.starts", changed(starts, -1, starts[-1] + 5), "the cells hold"),
        ("cells.starts", changed(starts, -1, 1 << 60), "ends at"),
        ("roots.starts", changed(roots, -1, roots[-1] + 1), "ends at"),
        ("cells.rows", changed(rows, 3, 300), "runs from"),
        ("cells.rows", changed(rows, 3, -1), "runs from"),
        (
            "cells.rows",
            changed(rows, int(np.flatnonzero(~copies)[0]), rows[np.flatnonzero(~copies)[1]]),
            "no slot",
        ),
        ("cells.copies", changed(copies, twice, False), "no slot|runs from|differs"),
        ("cells.roles", changed(arrays["cells.roles"], 2, 3), "role"),
        ("roots.count", changed(arrays["roots.count"], 1, 0), "without rows"),
        ("roots.count", changed(arrays["roots.count"], 1, 1 << 40), "differs"),
    ]
    for name in ("cells.centres", "cells.reaches", "cells.norms", "roots.centroid", "roots.position"):
        lies.append((name, changed(arrays[name], 1, np.nan), "not finite"))
        lies.append((name, changed(arrays[name], 1, np.inf), "not finite"))
    lies.append(("cells.reaches", changed(arrays["cells.reaches"], 1, -1), "negative"))
    for name, wrong, told in lies:
        with pytest.raises(FormatError, match=f"file.*({told})"):
            from_arrays({**arrays, name: wrong}, "cosine", "file")


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(METRICS))
def test_flipped_bits_are_refused_or_stay_inside(data, metric) -> None:
    arrays = to_arrays(BUILT[metric])
    name = data.draw(st.sampled_from(sorted(arrays)))
    raw = bytearray(arrays[name].tobytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    if arrays[name].dtype == np.bool_:
        raw = bytearray(np.frombuffer(raw, np.uint8) & 1)  # `map_tensors` refuses others
    broken = np.frombuffer(bytes(raw), arrays[name].dtype).reshape(arrays[name].shape)
    try:
        found = from_arrays({**arrays, name: broken}, metric, "file")
    except FormatError:
        return
    assert found.starts[-1] == len(found.rows) == len(found.codes) == len(found.copies)
    assert 0 <= found.rows.min() and found.rows.max() < 300 == found.count
    assert np.array_equal(np.sort(found.rows[~found.copies]), np.arange(300))


def test_what_a_proof_rests_on_is_compared_with_the_vectors() -> None:
    cells = BUILT["cosine"]
    codes = cells.codes
    order = np.arange(len(cells.rows))
    order[[0, 1]] = 1, 0
    turned = Codes(codes.codes[order], codes.scales[order], codes.residuals[order], codes.lengths[order], 12)
    lies = [
        (
            replace(cells, codes=replace(codes, codes=changed(codes.codes, (5, 1), codes.codes[5, 1] ^ 1))),
            "codes",
        ),
        (replace(cells, codes=replace(codes, residuals=codes.residuals * np.float16(0.5))), "codes"),
        (replace(cells, rows=cells.rows[order], codes=turned), "order"),
        (replace(cells, reaches=cells.reaches * np.float32(0.9)), "ball"),
        (replace(cells, norms=cells.norms * np.float32(0.9)), "ball"),
        (replace(cells, centres=-cells.centres), "ball"),
        (replace(cells, router=Centroid.fit(cells.centres[::-1])), "router"),
    ]
    for lie, told in lies:
        with pytest.raises(FormatError, match=f"file.*{told}"):
            prove(lie, ROWS, "cosine", "file")
    with pytest.raises(FormatError, match="300 rows"):
        prove(cells, ROWS[:-1], "cosine")
