"""The globe's page without a browser: what it holds, what it refuses, and that documents stay data."""

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError, NotFoundError
from thesphere.viz import Globe, Query, write_globe

HOSTILE = "</script><img src=x onerror=window.hacked=1>"
QUOTED = "\"'><script>window.hacked=1</script>{{data}}.txt"


def make_query(**changed) -> Query:
    query = Query(
        text="what? " + HOSTILE,
        field=np.linspace(0, 2, 8 * 16, dtype=np.float32).reshape(8, 16),
        centres=np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
        apertures=np.array([0.3, 0.1]),
        strengths=np.array([1.0, 0.25]),
        hits=np.array([3, 1]),
        scores=np.array([0.9, -0.5]),
    )
    return replace(query, **changed)


def make_globe(count: int = 12, **changed) -> Globe:
    random = np.random.default_rng(7)
    positions = random.normal(size=(count, 3))
    positions /= np.linalg.norm(positions, axis=1, keepdims=True)
    starts = random.integers(0, 2**40, count)
    globe = Globe(
        title='A "sphere" & <b>more</b>',
        positions=positions.astype(np.float32),
        radii=np.full(count, 3.0, np.float32),
        shells=random.integers(0, 3, count).astype(np.int32),
        shell_radii=np.array([1.0, 2.0, 3.0]),
        sources=np.arange(count) % 2,
        names=[QUOTED, "plain.txt"],
        prominence=random.random(count).astype(np.float32),
        entropies=np.where(np.arange(count) % 3, 1.5, np.nan).astype(np.float32),
        spans=np.stack([starts, starts + 9], 1),
        texts=[f"{HOSTILE} ü {i}" for i in range(count)],
    )
    return replace(globe, **changed)


def unpack(page: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Header and arrays of a page, read by another way than the page's own script."""
    (carried,) = re.findall(r'<script type="application/octet-stream" id="data">([^<]*)</script>', page)
    raw = gzip.decompress(base64.b64decode(carried, validate=True))
    size = int.from_bytes(raw[:4], "little")
    header = json.loads(raw[4 : 4 + size])
    body = raw[4 + size :]
    arrays = {
        name: np.frombuffer(body, "<" + kind if kind[-1] != "1" else kind, length, offset)
        for name, (kind, offset, length) in header["arrays"].items()
    }
    return header, arrays


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "globe.html"
    globe = make_globe(roles=np.arange(12) % 3, query=make_query(), pole_angle=0.5)
    size = write_globe(globe, path)
    assert size == path.stat().st_size
    assert [other.name for other in path.parent.iterdir()] == ["globe.html"]
    return path.read_text("utf-8")


def test_arrays_come_back(page) -> None:
    globe = make_globe(roles=np.arange(12) % 3)
    header, arrays = unpack(page)
    places = arrays["places"].reshape(-1, 3) / 32767
    assert np.abs(places - globe.positions).max() <= 0.5 / 32767 + 1e-7
    for ours, theirs in [
        ("radii", "radii"),
        ("shells", "shells"),
        ("sources", "sources"),
        ("roles", "roles"),
    ]:
        np.testing.assert_array_equal(arrays[theirs], getattr(globe, ours))
    np.testing.assert_array_equal(arrays["entropies"], globe.entropies)
    np.testing.assert_array_equal(arrays["prominence"], globe.prominence)
    np.testing.assert_array_equal(arrays["spans"].reshape(-1, 2).astype(np.int64), globe.spans)
    assert header["names"] == globe.names and header["title"] == globe.title and header["poleAngle"] == 0.5
    ends = np.cumsum(arrays["lengths"])
    texts = [
        arrays["texts"].tobytes()[end - size : end] for end, size in zip(ends, arrays["lengths"], strict=True)
    ]
    assert [text.decode() for text in texts] == globe.texts


def test_query_comes_back(page) -> None:
    query = make_query()
    header, arrays = unpack(page)
    assert header["query"] == {"text": query.text, "field": [8, 16]}
    assert query.field is not None
    expected = np.round(query.field.astype(float) / 2 * 255).ravel()
    np.testing.assert_array_equal(arrays["field"], expected)
    np.testing.assert_array_equal(arrays["hits"], query.hits)
    np.testing.assert_allclose(arrays["scores"], query.scores)
    np.testing.assert_allclose(arrays["centres"].reshape(-1, 3), query.centres)
    np.testing.assert_allclose(arrays["apertures"], query.apertures, rtol=1e-6)
    np.testing.assert_allclose(arrays["strengths"], query.strengths)


def test_documents_stay_data(page) -> None:
    assert "hacked" not in page  # it is inside the compressed data only
    found = Elements(page).found
    assert [tag for tag, _ in found if tag in ("img", "iframe", "object", "embed", "form", "base")] == []
    assert sum(tag == "script" for tag, _ in found) == 2
    assert not any(name.startswith("on") or name == "style" for _, attributes in found for name in attributes)
    assert "A &quot;sphere&quot; &amp; &lt;b&gt;more&lt;/b&gt;" in page


def test_nothing_is_loaded(page) -> None:
    found = Elements(page).found
    assert [attributes for _, attributes in found if "src" in attributes] == []
    assert [attributes["href"] for _, attributes in found if "href" in attributes] == ["data:,"]
    (policy,) = [a["content"] for _, a in found if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
        assert "http:" not in content and "https:" not in content and "url(" not in content


def test_same_globe_same_bytes(tmp_path) -> None:
    for name in ("a.html", "b.html"):
        write_globe(make_globe(query=make_query()), tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=20), min_size=3, max_size=3))
def test_any_text_survives(texts) -> None:
    """Also lone surrogates (bytes that were not UTF-8): each becomes one replacement character."""
    from thesphere.viz.page import build_page

    header, arrays = unpack(build_page(make_globe(3, texts=texts, names=[texts[0], "x"], title=texts[1])))

    def readable(text: str) -> str:
        return "".join("\ufffd" if 0xD800 <= ord(letter) < 0xE000 else letter for letter in text)

    assert arrays["texts"].tobytes().decode() == "".join(map(readable, texts))
    assert header["names"][0] == readable(texts[0]) and header["title"] == readable(texts[1])


def test_no_points(tmp_path) -> None:
    empty = np.empty(0)
    none = empty.astype(int)
    globe = Globe("", np.empty((0, 3)), empty, none, empty, none, [], empty, empty, np.empty((0, 2), int), [])
    path = tmp_path / "empty.html"
    write_globe(globe, path)
    header, arrays = unpack(path.read_text())
    assert all(len(values) == 0 for values in arrays.values()) and header["names"] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"positions": np.zeros((12, 3))},
        {"positions": np.full((12, 3), np.nan)},
        {"positions": np.ones((12, 2))},
        {"radii": np.full(12, -1.0)},
        {"radii": np.full(12, np.inf)},
        {"prominence": np.full(12, 1e300)},
        {"prominence": np.full(11, 1.0)},
        {"entropies": np.full(12, np.inf)},
        {"shells": np.full(12, 3)},
        {"shells": np.full(12, 1.0)},
        {"shell_radii": np.array([0.0, 1.0, 2.0])},
        {"sources": np.full(12, -1)},
        {"sources": np.full(12, 2)},
        {"spans": np.tile([5, 4], (12, 1))},
        {"spans": np.tile([0, 2**53], (12, 1))},
        {"spans": np.zeros((24,), int)},
        {"roles": np.full(12, 3)},
        {"pole_angle": 2.0},
        {"query": make_query(hits=np.array([0, 12]))},
        {"query": make_query(scores=np.array([1.0]))},
        {"query": make_query(scores=np.array([1.0, np.nan]))},
        {"query": make_query(apertures=np.array([0.1, 4.0]))},
        {"query": make_query(strengths=np.array([0.1, -1.0]))},
        {"query": make_query(centres=np.ones((2, 3)))},
        {"query": make_query(field=np.ones(5))},
        {"query": make_query(field=np.full((2, 2), np.nan))},
    ],
)
def test_refusals(changed, tmp_path) -> None:
    path = tmp_path / "globe.html"
    path.write_text("kept")
    with pytest.raises(InputError):
        write_globe(make_globe(**changed), path)
    assert path.read_text() == "kept"


def test_bad_paths(tmp_path) -> None:
    with pytest.raises(InputError, match="folder"):
        write_globe(make_globe(), tmp_path)
    with pytest.raises(NotFoundError, match="does not exist"):
        write_globe(make_globe(), tmp_path / "missing" / "globe.html")
