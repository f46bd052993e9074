"""Static figures: files of the promised kind, the same each time, and refusals."""

import sys
import xml.etree.ElementTree as xml

import numpy as np
import pytest

from thesphere.errors import InputError, MissingExtra, NotFoundError
from thesphere.viz import figures

EXAMPLES = {
    "occupancy": lambda path: figures.draw_occupancy(np.array([1, 2, 5]), np.array([1, 3, 4]), path),
    "entropy": lambda path: figures.draw_entropy(
        np.array([0.5, np.nan, 3.0]), np.array([0, 2]), path, threshold=1.5
    ),
    "power": lambda path: figures.draw_power(np.array([1.0, 0.0, 0.25]), path),
}
MAGIC = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib")


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("suffix", MAGIC)
def test_kind_and_repeatable(name, suffix, tmp_path, matplotlib) -> None:
    before = dict(matplotlib.rcParams)
    paths = [tmp_path / f"{k}{suffix}" for k in range(2)]
    for path in paths:
        EXAMPLES[name](path)
    assert paths[0].read_bytes().startswith(MAGIC[suffix])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("occupancy", "8 points on 3 shells, 12.50% misplaced"),  # (0 + 1 + 1) / (2 * 8)
        ("entropy", "3 bytes, 2 boundaries"),
        ("power", "power per degree, 1.25 in all"),
    ],
)
def test_titles_say_what_was_given(name, said, tmp_path, matplotlib) -> None:
    path = tmp_path / "figure.svg"
    EXAMPLES[name](path)
    texts = [
        "".join(element.itertext()) for element in xml.parse(path).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert said in texts


def test_all_zero(tmp_path, matplotlib) -> None:
    figures.draw_occupancy(np.zeros(3), np.zeros(3), tmp_path / "a.png")
    figures.draw_power(np.zeros(3), tmp_path / "b.png")
    figures.draw_entropy(np.full(3, np.nan), np.empty(0, int), tmp_path / "c.png")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: figures.draw_occupancy(np.ones(2), np.ones(3), path),
        lambda path: figures.draw_occupancy(np.array([-1.0]), np.ones(1), path),
        lambda path: figures.draw_entropy(np.ones(3), np.array([4]), path),
        lambda path: figures.draw_entropy(np.ones(3), np.array([0.5]), path),
        lambda path: figures.draw_entropy(np.ones(3), np.array([1]), path, threshold=np.nan),
        lambda path: figures.draw_entropy(np.array([np.inf]), np.array([0]), path),
        lambda path: figures.draw_power(np.array([np.nan]), path),
        lambda path: figures.draw_power(np.empty(0), path),
        lambda path: figures.draw_power(np.ones(3), path.with_suffix(".txt")),
    ],
)
def test_refusals(draw, tmp_path) -> None:
    with pytest.raises(InputError):
        draw(tmp_path / "figure.svg")
    assert not list(tmp_path.iterdir())


def test_missing_folder(tmp_path) -> None:
    with pytest.raises(NotFoundError):
        figures.draw_power(np.ones(3), tmp_path / "none" / "figure.svg")


def test_missing_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"thesphere\[viz\]"):
        figures.draw_power(np.ones(3), tmp_path / "figure.svg")
