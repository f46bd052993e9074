"""Cut, balance and purity of an index against plain counting, and where they are told."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.roots import Roots, RootsConfig, quality
from thesphere.sphere import Sphere


def rows_of(seed: int, count: int, width: int = 8, clusters: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((clusters, width))
    return (centres[rng.integers(0, clusters, count)] + 0.3 * rng.standard_normal((count, width))).astype(
        np.float32
    )


def labels_of(roots: Roots) -> np.ndarray:
    """The first cell of each row, cell by cell."""
    cells = roots.cells
    assert cells is not None
    labels = np.full(len(roots), -1)
    for cell, (first, last) in enumerate(zip(cells.starts[:-1], cells.starts[1:], strict=True)):
        for slot in range(first, last):
            if not cells.copies[slot]:
                labels[cells.rows[slot]] = cell
    assert (labels >= 0).all()
    return labels


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 120),
    cells=st.integers(1, 9),
    metric=st.sampled_from(["cosine", "ip"]),
    block=st.sampled_from([7, 64, 1 << 14]),
)
def test_figures_are_those_of_counting(seed: int, count: int, cells: int, metric, block: int) -> None:
    vectors, classes = rows_of(seed, count), np.random.default_rng(seed).integers(0, 4, count)
    roots = Roots.build(vectors, metric, config=RootsConfig(partitions=cells, flat_below=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "BLOCK", block)
        found = roots.quality(classes)
    labels = labels_of(roots)
    sizes = np.bincount(labels, minlength=labels.max() + 1)  # no cell is empty
    assert found.balance == pytest.approx(sizes.max() / sizes.mean())
    pure = sum(np.bincount(classes[labels == cell]).max() for cell in np.unique(labels))
    assert found.purity == pytest.approx(pure / count)
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    near = np.argsort(-cosines, axis=1, kind="stable")[:, : min(16, count - 1)]
    assert found.sample == count
    if count == 1:
        assert np.isnan(found.cut)
    else:
        assert found.cut == pytest.approx((labels[near] != labels[:, None]).mean(), abs=2 / count)  # ties


def test_a_sample_says_its_size_and_is_near_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    roots = Roots.build(rows_of(1, 3000), "cosine", config=RootsConfig(partitions=40, flat_below=1))
    some = roots.quality()
    monkeypatch.setattr(quality, "SAMPLE", 3000)
    whole = roots.quality()
    assert (some.sample, whole.sample) == (500, 3000)
    assert abs(some.cut - whole.cut) < 0.04 and 0 < whole.cut < 1  # four standard errors of 500 shares
    assert (some.balance, np.isnan(some.purity)) == (whole.balance, True)
    assert roots.quality() == roots.quality() or np.isnan(whole.purity)
    assert str(some).startswith(f"{some.cut:.0%} of neighbours in other cells (of 500 points)")


def test_one_cell_cuts_nothing_and_cells_of_clusters_are_pure() -> None:
    rng = np.random.default_rng(0)
    centres = 10 * np.eye(8)
    classes = rng.integers(0, 8, 800)
    vectors = (centres[classes] + rng.standard_normal((800, 8))).astype(np.float32)
    one = Roots.build(vectors, "cosine", config=RootsConfig(partitions=1, flat_below=1)).quality(classes)
    assert (one.cut, one.balance) == (0.0, 1.0) and one.purity < 0.2
    apart = Roots.build(vectors, "cosine", config=RootsConfig(partitions=8, flat_below=1)).quality(classes)
    assert apart.cut < 0.3 and apart.purity > 0.8


def test_what_is_wrong_is_told() -> None:
    vectors = rows_of(2, 300)
    with pytest.raises(InputError, match="flat index"):
        Roots.build(vectors).quality()
    roots = Roots.build(vectors, config=RootsConfig(partitions=5, flat_below=1))
    with pytest.raises(InputError, match="one for each of 300 rows"):
        roots.quality(np.zeros(299))
    bare = Roots.build(vectors, config=RootsConfig(partitions=5, flat_below=1, members=False))
    with pytest.raises(InputError, match="member lists"):
        bare.quality()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quality") / "points.sphere"
    with Sphere.create(path, encoder="arrays") as sphere:
        for number in range(3):
            sphere.import_arrays(rows_of(number, 200, clusters=1), name=f"part{number}")
    return path


def test_the_command_and_info_tell_them(imported: Path, command) -> None:
    done = command("roots", imported, "--partitions", 12, "--json")
    assert done.returncode == 0 and "of neighbours in other cells" in done.stderr, done.stderr
    told = json.loads(done.stdout)
    assert 0 <= told["cut"] <= 1 and told["cut_sample"] == 500 and told["balance"] >= 1
    assert told["purity"] > 0.9  # three sources, one cluster each
    with Sphere.open(imported) as sphere:
        index = sphere.index
        assert index is not None and index.quality is not None
        kept = index.quality
        assert (kept.cut, kept.balance, kept.purity) == (told["cut"], told["balance"], told["purity"])
        assert sphere.info()["division"] == str(kept)
    shown = command("info", imported)
    assert f"purity {told['purity']:.2f}" in shown.stdout and "of neighbours in other cells" in shown.stdout


def test_before_an_index_nothing_is_known(tmp_path: Path) -> None:
    with Sphere.create(tmp_path / "few.sphere", encoder="none") as sphere:
        assert sphere.info()["division"] == "none"
