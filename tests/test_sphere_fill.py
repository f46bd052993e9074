"""A filling that is kept with a collection: found again by content, whatever happens around it."""

from pathlib import Path

import numpy as np
import pytest

from thesphere import Sphere
from thesphere.errors import FormatError, InputError
from thesphere.filling import fill
from thesphere.geometry import Zones, capacities
from thesphere.store import map_tensors, write_tensors

WORDS = "river stone light quiet harbour engine vector sphere prominence boundary surprise patch".split()


def write_texts(folder: Path, names: range) -> None:
    folder.mkdir(exist_ok=True)
    for number in names:
        rng = np.random.default_rng(number)
        text = " ".join(rng.choice(WORDS, 300)) + f" number{number}\n"
        (folder / f"{number}.txt").write_text(text)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of twelve texts, filled by the default. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("fill")
    write_texts(folder / "texts", range(12))
    with Sphere.create(folder / "a.sphere", encoder="lsa") as sphere:  # the one that compaction fits anew
        sphere.ingest(folder / "texts")
        sphere.fill(shells=4)
    return folder


@pytest.fixture
def sphere(filled: Path, tmp_path: Path):
    import shutil

    shutil.copytree(filled / "a.sphere", tmp_path / "a.sphere")
    shutil.copytree(filled / "texts", tmp_path / "texts")
    with Sphere.open(tmp_path / "a.sphere") as sphere:
        yield sphere


def keyed(sphere: Sphere) -> dict[tuple[str, int], tuple[int, float, float]]:
    """Shell and angles of each point by source and start."""
    points, places = sphere.points(), sphere.places()
    assert places is not None
    columns = (places.filling.shells, places.filling.theta, places.filling.phi)
    return {
        (points.digests[source], start): tuple(row)
        for source, start, *row in zip(
            points.sources.tolist(), points.starts.tolist(), *(c.tolist() for c in columns), strict=True
        )
    }


def test_kept_and_found_again(sphere: Sphere):
    points, places = sphere.points(), sphere.places()
    assert places is not None and places.kept.all() and len(places.filling) == len(points)
    again = fill(points.embeddings, prominence=points.prominence, shells=4)
    np.testing.assert_array_equal(places.filling.shells, again.shells)
    np.testing.assert_allclose(places.filling.info.tv, again.info.tv)
    assert places.filling.result.converged
    assert not [problem for problem in sphere.verify() if problem]


def test_nothing_before_the_first_filling(tmp_path: Path):
    write_texts(tmp_path / "texts", range(2))
    with Sphere.create(tmp_path / "b.sphere") as sphere:
        sphere.ingest(tmp_path / "texts")
        assert sphere.places() is None
        with pytest.raises(InputError, match="no filling to go on with"):
            sphere.fill(again=False)


def test_survives_removal_and_compaction(sphere: Sphere):
    before = keyed(sphere)
    sphere.remove("texts/3.txt")
    sphere.compact()
    after = keyed(sphere)
    assert 0 < len(after) < len(before)
    assert all(before[key] == place for key, place in after.items())


def test_later_points_find_a_place_without_moving_the_others(sphere: Sphere, tmp_path: Path):
    before = keyed(sphere)
    write_texts(tmp_path / "texts", range(20, 24))
    sphere.ingest(tmp_path / "texts")
    places = sphere.places()
    assert places is not None
    after = keyed(sphere)
    assert (~places.kept).sum() == len(after) - len(before) > 0
    assert all(after[key] == place for key, place in before.items())
    new = np.flatnonzero(~places.kept)
    points, table = sphere.points(), places.filling.table
    for row in new:  # between the prominences that bound its shell
        shell, strength = places.filling.shells[row], points.prominence[row]
        assert shell == 0 or strength >= table.bounds[shell - 1]
        assert shell == len(table.bounds) or strength <= table.bounds[shell]
    assert np.isfinite(places.filling.positions).all()


def test_refill_moves_few(sphere: Sphere, tmp_path: Path):
    before = keyed(sphere)
    write_texts(tmp_path / "texts", range(20, 40))
    sphere.ingest(tmp_path / "texts")
    filling = sphere.fill("osmotic", again=False)
    assert filling.result.converged and filling.info.tv[-1] <= 0.01
    after, places = keyed(sphere), sphere.places()
    assert places is not None and places.kept.all()
    moved = sum(before[key][0] != after[key][0] for key in before)
    assert filling.info.measures["moved"] == moved
    sphere.fill("quantile", shells=4)
    anew = keyed(sphere)
    assert moved <= sum(before[key][0] != anew[key][0] for key in before)


@pytest.mark.parametrize("method", ["quantile", "lateral", "langevin"])
def test_zones_hold_their_sources(sphere: Sphere, tmp_path: Path, method: str):
    if method == "langevin":
        pytest.importorskip("jax")
    sphere.fill(method, shells=4, instructions=["texts/1.txt"], questions=["texts/2.txt", "*1?.txt"])
    asked = {"texts/1.txt": 1, "texts/2.txt": 2, "texts/10.txt": 2, "texts/11.txt": 2, "texts/13.txt": 2}
    write_texts(tmp_path / "texts", range(13, 14))
    write_texts(tmp_path / "texts", range(21, 24))
    for _ in range(2):  # the second time with sources that came later
        points, places = sphere.points(), sphere.places()
        assert places is not None
        roles = np.array([asked.get(points.names[source], 0) for source in points.sources])
        np.testing.assert_array_equal(places.roles.of(points), roles)
        np.testing.assert_array_equal(Zones().zone_of(places.filling.positions), roles)
        sphere.ingest(tmp_path / "texts")
    assert not places.kept.all()
    sphere.fill("osmotic", again=False)
    points, places = sphere.points(), sphere.places()
    assert places is not None and places.kept.all()
    np.testing.assert_array_equal(Zones().zone_of(places.filling.positions), places.roles.of(points))


def test_zones_that_cannot_be(sphere: Sphere):
    with pytest.raises(InputError, match="no source is called 'x"):
        sphere.fill(instructions=["x*"])
    with pytest.raises(InputError, match="graph"):
        sphere.fill(instructions=["texts/1.txt"], chart="pca")


def test_no_embeddings(tmp_path: Path):
    write_texts(tmp_path / "texts", range(2))
    with Sphere.create(tmp_path / "b.sphere", encoder="none") as sphere:
        sphere.ingest(tmp_path / "texts")
        with pytest.raises(InputError, match="no embeddings"):
            sphere.fill()


def test_balance_is_that_of_the_points_there_are(sphere: Sphere, tmp_path: Path):
    write_texts(tmp_path / "texts", range(20, 40))
    sphere.ingest(tmp_path / "texts")
    sphere.remove("texts/1.txt")
    places, count = sphere.places(), len(sphere.points())
    assert places is not None
    filling = places.filling
    held = np.bincount(filling.shells, minlength=4)
    np.testing.assert_array_equal(filling.info.occupancy, held)
    np.testing.assert_array_equal(filling.info.capacities, capacities(count, filling.table.radii))
    assert filling.info.tv[-1] == np.abs(held - filling.info.capacities).sum() / (2 * count)
    assert "came and" in filling.result.message


def test_embeddings_made_anew_are_said(sphere: Sphere):
    sphere.compact()
    places = sphere.places()
    assert places is not None and places.kept.all() and places.stale
    with pytest.raises(InputError, match="made anew"):
        sphere.fill(again=False)
    sphere.fill(shells=4)
    places = sphere.places()
    assert places is not None and not places.stale


def test_spans_that_are_equal_keep_apart(tmp_path: Path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.txt").write_bytes("Größe, Übermaß und 漢字を読む。\n".encode("utf-16") * 40)
    with Sphere.create(tmp_path / "p.sphere", points="patch") as sphere:
        sphere.ingest(tmp_path / "t")
        filling = sphere.fill(shells=8)
        points, places = sphere.points(), sphere.places()
    assert len(set(zip(points.starts.tolist(), points.ends.tolist(), strict=True))) < len(points)
    assert places is not None and places.kept.all()
    for name in ("shells", "theta", "phi"):
        np.testing.assert_array_equal(getattr(places.filling, name), getattr(filling, name))


@pytest.mark.parametrize("name", ["shells", "theta", "radii", "bounds", "digests", "sources", "ends"])
def test_a_file_that_lies_is_refused(sphere: Sphere, name: str):
    path = sphere.path / "parts" / sphere.settings.places_part / "places.safetensors"
    arrays, metadata = map_tensors(path)
    arrays = {key: np.array(value) for key, value in arrays.items()}
    bad = arrays[name].copy()
    bad.flat[0] = np.nan if bad.dtype.kind == "f" else bad.max() + (100 if bad.dtype.kind != "u" else 0)
    for wrong in (arrays | {name: bad[:-1]}, {k: v for k, v in arrays.items() if k != name}):
        write_tensors(path, wrong, metadata)
        with pytest.raises(FormatError, match="places"):
            sphere.places()
    if name in ("shells", "theta", "radii", "sources", "bounds"):
        write_tensors(path, arrays | {name: bad}, metadata)
        with pytest.raises(FormatError, match="places"):
            sphere.places()
