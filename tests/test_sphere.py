"""Answers of a whole collection: equal to full enumeration and to a brute force, with spans that are true."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_lexical import reference

import thesphere.sphere.batch as batch_module
import thesphere.sphere.ingest as ingest_module
import thesphere.sphere.sphere as sphere_module
from thesphere.encoders import Joining, open_encoder
from thesphere.encoders.joining import standing
from thesphere.errors import FormatError, InputError, NotFoundError, SphereError, VerifyError
from thesphere.lexical.query import analyse
from thesphere.sphere import Hit, Sphere
from thesphere.store import map_tensors, write_tensors

WIDTH = 13


class Fake:
    """An encoder whose vectors follow from a digest of the text: duplicates, zeros, and lengths from 1e-18 to
    1e18."""

    id = "fake/1"
    width = WIDTH
    storage: Literal["int8", "float32"] = "float32"
    norm_meaning = "The norm means nothing."
    joining = Joining()

    def encode(self, texts: Sequence[bytes]) -> np.ndarray:
        return np.stack([self.one(text) for text in texts]) if texts else np.empty((0, WIDTH), np.float32)

    def one(self, text: bytes) -> np.ndarray:
        digest = hashlib.sha256(text).digest()
        if not text.strip() or digest[0] < 25:
            return np.zeros(WIDTH, np.float32)
        rng = np.random.default_rng(digest[1] % 8)  # few directions: many ties
        size = [1.0, 1.0, 3.0, 1e-18, 1e18][digest[2] % 5]
        return (rng.integers(-3, 4, WIDTH) * size).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        return {}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Sphere.create(path, encoder="fake")`."""

    def opened(name: str, state: dict[str, np.ndarray] | None = None):
        return Fake() if name.startswith("fake") else open_encoder(name, state)

    monkeypatch.setattr(sphere_module, "open_encoder", opened)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few documents, and sources of a few kilobytes that span parts and are streamed."""
    monkeypatch.setattr(batch_module, "PART_BYTES", 9000)
    monkeypatch.setattr(batch_module, "PART_DOCUMENTS", 3)
    monkeypatch.setattr(ingest_module, "WHOLE", 20_000)
    monkeypatch.setattr(ingest_module, "READ", 7000)


FILES: dict[str, bytes] = {
    "keys.py": b'def rotate_keys(store):\n    """Rotate the signing keys."""\n    return HTTPResponse(store)\n',
    "animals.md": b"# Animals\nThe quick brown fox jumps over the lazy dog.\nKeys are rotated every month.\n",
    "sub/copy.md": b"# Animals\nThe quick brown fox jumps over the lazy dog.\nKeys are rotated every month.\n",
    "sub/more.md": b"A fox and a hound.\n\nThe hound is lazy; the fox is quick.\n" * 9,
    "de.txt": "Der schnelle Fuchs springt über die größte Straße.\n".encode(),
    "zh.txt": "敏捷的棕色狐狸跳过了懒狗。\n狐狸很快。\n".encode(),
    "wide.txt": "\ufeffThe fox was written in UTF-16.\r\nÜber die Straße.\r\n".encode("utf-16-le"),
    "sjis.txt": ("これは日本語の文章です。狐は速いです。\n" * 40).encode("shift_jis"),
    "picture.bin": bytes(range(256)) * 4 + b"\x89PNG\r\n\x1a\n\0\0fox in a picture\0\0" + bytes(300),
    "long.txt": b"".join(
        b"line %d: the fox met hound number %d\n" % (i, i * 7919 % 1000) for i in range(1200)
    ),
    "space.txt": b" \n\n \t\n",
    "tie/one.txt": b"identical evidence, other bytes: alpha",
    "tie/two.txt": b"identical evidence, other bytes: gamma",
    "rows.jsonl": b'{"title": "First row", "text": "a red door"}\n{"text": "a blue fox\\nand more"}\n',
    "table.csv": b"id,text\n1,the green fox\n2,\n3,a yellow hound\n",
}


def lay(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


QUERIES = [
    "fox", "quick fox", "the lazy hound", "rotate keys", "rotate_keys", "HTTPResponse", "roate teh keys",
    "schnelle", "größte strasse", "狐狸", "狐は速い", "picture", "line 17", "identical evidence", "First row",
    "zzzz", "yelow",
]  # fmt: skip
PATTERNS = [
    b"fox",
    b"\n",
    b"\0\0",
    "狐".encode("shift_jis"),
    b"e",
    b"\x89PNG",
    b"not there",
    b"hound number 7\n",
]


def plain(hit: Hit) -> tuple:
    """What a hit says, apart from the number of its point, which depends on the order of the parts."""
    fields = {**vars(hit), "point": 0, "marker": None}
    return tuple(repr(fields[name]) for name in Hit.__dataclass_fields__)


def answers(sphere: Sphere, k: int = 10) -> list[list[tuple]]:
    """Everything that one might ask, as values that can be compared."""
    found = [sphere.search(query, k) for query in QUERIES]
    found += [sphere.search(contains=pattern, k=k) for pattern in PATTERNS]
    if sphere.settings.encoder.startswith("fake"):
        for text in (b"a", b"bc", b"xyz", b" "):
            vector = Fake().one(text)
            found += [sphere.search(vector=vector, k=k, metric=metric) for metric in ("ip", "cosine")]
    return [[plain(hit) for hit in hits] for hits in found]


# -- against full enumeration and brute force --------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sphere]:
    """The folder, and a collection of it with the fake encoder in several parts and with something removed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_module, "PART_BYTES", 9000)
        patch.setattr(
            sphere_module, "open_encoder", lambda n, s=None: Fake() if "fake" in n else open_encoder(n, s)
        )
        root = lay(tmp_path_factory.mktemp("built") / "files", FILES)
        sphere = Sphere.create(root.parent / "c.sphere", encoder="fake")
        (root / "gone.txt").write_bytes(b"a quick fox that will be gone\n")
        sphere.ingest(root)
        (root / "gone.txt").unlink()
        sphere.remove("files/gone.txt")
        assert sphere.encoder is not None
        assert len(sphere.view.parts) > 3
    return root, sphere


def stored(root: Path, hit: Hit) -> bytes:
    """The bytes of a hit's source, from the disk."""
    if "#" not in hit.uris[0]:
        return Path(hit.uris[0]).read_bytes()
    path, _, row = hit.uris[0].rpartition("#")
    number = int(row.partition("/")[0])
    if path.endswith(".jsonl"):
        return json.loads(Path(path).read_text().splitlines()[number])["text"].encode()
    return Path(path).read_text().splitlines()[number + 1].partition(",")[2].encode()


def check_hit(root: Path, sphere: Sphere, hit: Hit) -> None:
    """A hit's span, bytes, line, names and point are those of its source."""
    raw = stored(root, hit)
    assert 0 <= hit.start <= hit.end <= len(raw)
    assert hit.data == raw[hit.start : hit.end] and not hit.stale
    assert hit.line == raw[: hit.start].count(b"\n") + 1
    assert hit.source == hit.paths[0] and list(hit.paths) == sorted(hit.paths)
    points = sphere.points()
    assert points.names[points.sources[hit.point]] == hit.source
    assert points.starts[hit.point] <= hit.start < max(points.ends[hit.point], hit.start + 1)
    if (points.starts[hit.point], points.ends[hit.point]) == (hit.start, hit.end):
        assert math.isclose(points.entropies[hit.point], hit.entropy, rel_tol=1e-6)
    if sphere.view.vectors:
        assert points.prominence[hit.point] == np.float32(hit.prominence)


@pytest.mark.parametrize("k", [1, 3, 200])
def test_every_answer_equals_its_proof(built: tuple[Path, Sphere], k: int) -> None:
    root, sphere = built
    for query in QUERIES:
        for vectors in (True, False):
            hits = sphere.search(query, k, vectors=vectors)
            assert hits.status == "exact" and hits.gap == 0 and len(hits) <= k
            sphere.prove(hits)
            if k == 3:
                for hit in hits:
                    check_hit(root, sphere, hit)
    for pattern in PATTERNS:
        sphere.prove(sphere.search(contains=pattern, k=k))
    for text in (b"a", b"bc", b"xyz", b" "):
        for metric in ("ip", "cosine"):
            hits = sphere.search(vector=Fake().one(text), k=k, metric=metric)
            assert len(hits) == min(k, len(sphere.points()))
            sphere.prove(hits)
            if k == 3:
                for hit in hits:
                    check_hit(root, sphere, hit)


def window_texts(root: Path) -> dict[str, str]:
    """Each source that is one window, as evidence: its paths and its text."""
    texts: dict[str, list[str]] = {}
    for name in sorted(FILES):
        if name in ("long.txt", "picture.bin", "rows.jsonl", "table.csv"):
            continue
        encoding = {"wide.txt": "utf-16-le", "sjis.txt": "shift_jis"}.get(name, "utf-8")
        texts.setdefault(FILES[name].decode(encoding), []).append(f"{root.name}/{name}")
    return {names[0]: "\n".join(["", *names, text]) for text, names in texts.items()}


def test_lexical_scores_are_the_formula(tmp_path: Path) -> None:
    root = lay(tmp_path / "files", {n: d for n, d in FILES.items() if n not in ("long.txt", "picture.bin")})
    for name in ("rows.jsonl", "table.csv"):
        (root / name).unlink()
    with Sphere.create(tmp_path / "c.sphere", encoder="none") as sphere:
        sphere.ingest(root)
        texts = window_texts(root)
        for query in QUERIES:
            scores = dict(zip(texts, reference(list(texts.values()), query, 2000), strict=True))
            got = {hit.source: hit.score for hit in sphere.search(query, 100)}
            assert got.keys() == {name for name, score in scores.items() if score > 0}
            assert all(math.isclose(got[name], scores[name], rel_tol=1e-12) for name in got)


def test_vector_answers_are_the_brute_force(built: tuple[Path, Sphere]) -> None:
    _, sphere = built
    points = sphere.points()
    rows = points.embeddings.astype(np.float64)
    for text in (b"a", b"bc", b"xyz", b" "):
        query = Fake().one(text).astype(np.float64)
        for metric in ("ip", "cosine"):
            scores = rows @ query
            if metric == "cosine":
                norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
                scores = np.divide(scores, norms, out=np.zeros(len(rows)), where=norms > 0)
            hits = sphere.search(vector=query, k=17, metric=metric)
            best = np.sort(scores)[::-1][:17]
            slack = 1e-12 * max(1e-300, np.abs(scores).max())
            assert np.allclose([hit.score for hit in hits], best, rtol=1e-12, atol=slack)
            for hit in hits:
                assert math.isclose(scores[hit.point], hit.score, rel_tol=1e-12, abs_tol=slack)
            order = [(-hit.score, hit.source, hit.start) for hit in hits]
            assert order == sorted(order)


def test_joined_scores_are_lexical_plus_weighted_cosine(built: tuple[Path, Sphere]) -> None:
    _, sphere = built
    points = sphere.points()
    rows = points.embeddings.astype(np.float64)
    for query in QUERIES:
        joined = sphere.search(query, 1000, vectors=True)
        lexical = {(h.source, h.start // 8192): h.score for h in sphere.search(query, 1000, vectors=False)}
        vector = Fake().one(query.encode()).astype(np.float64)
        norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
        cosines = np.divide(rows @ vector, norms, out=np.zeros(len(rows)), where=norms > 0)
        for hit in joined:
            if hit.source.endswith("long.txt"):
                continue  # several windows
            best = max(cosines[points.sources == points.sources[hit.point]])
            expected = lexical.get((hit.source, 0), 0.0) + joined.request.weight * best
            assert math.isclose(hit.score, expected, rel_tol=1e-12, abs_tol=1e-15)
        assert all(hit.score > 0 for hit in joined)
        scores = sphere.view.lexical.score(analyse(query))
        assert sphere.view.sample is not None
        codes = sphere.view.sample.codes.codes[:, :WIDTH].astype(np.float64)
        some = codes @ vector / np.linalg.norm(codes, axis=1) / (np.linalg.norm(vector) or 1)
        background = np.r_[
            [0.15 - 0.105] * 50, [0.15 + 0.105] * 50, some
        ]  # mean and deviation as of 100 texts
        stands = max(0, cosines.max() - background.mean()) / background.std()
        words = np.sort(np.concatenate(scores.parts))[::-1]
        behind = words[9] / words[0] if words[0] > 0 else 1.0  # the tenth best, where any has evidence
        expected = Fake.joining.scale * (stands / 10) ** 2 / (scores.strength * (1 - behind) + 0.1) ** 2
        assert math.isclose(joined.request.weight, expected, rel_tol=1e-9)


def test_vectors_alone_find_what_no_word_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Alike(Fake):
        def one(self, text: bytes) -> np.ndarray:
            return np.arange(1, WIDTH + 1, dtype=np.float32)

    monkeypatch.setattr(sphere_module, "open_encoder", lambda name, state=None: Alike())
    root = lay(tmp_path / "files", {"a.txt": b"the fox"})
    with Sphere.create(tmp_path / "c.sphere", encoder="alike") as sphere:
        sphere.ingest(root)
        assert not len(sphere.search("qqq www", vectors=False))
        hits = sphere.search("qqq www")
        assert [hit.source for hit in hits] == ["files/a.txt"]
        assert hits[0].score == pytest.approx(Fake.joining.weight(0, standing(1.0, np.ones(1))), rel=1e-4)
        sphere.prove(hits)


def test_the_sample_is_of_contents_however_they_lie(tmp_path: Path, fake: None) -> None:
    """Of live points, each content once, the same rows in one part, in many, and merged."""
    texts = {f"{n}.txt": b"text %d of the fox" % (n % 60) for n in range(90)}
    rows = []
    for name, steps in (("one", [texts]), ("many", [dict(list(texts.items())[n::3]) for n in range(3)])):
        with Sphere.create(tmp_path / f"{name}.sphere", encoder="fake") as sphere:
            for step, files in enumerate(steps):
                sphere.ingest(lay(tmp_path / f"{name}{step}", files))
            remove = partial(sphere.remove, f"{name}0/0.txt", f"{name}0/60.txt")
            for change in (remove, sphere.compact, list):
                view = sphere.view
                every = np.concatenate([part.codes.codes for part in view.vectors or []])[view.points_live]
                assert view.sample is not None
                rows.append(view.sample.codes.codes)
                assert np.array_equal(rows[-1], np.unique(every[every.any(1)], axis=0))
                change()
    assert all(np.array_equal(one, many) for one, many in zip(rows[:3], rows[3:], strict=True))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_occurrences_are_those_of_the_bytes(built: tuple[Path, Sphere], pattern: bytes) -> None:
    root, sphere = built
    expected = []
    contents: dict[bytes, str] = {}
    for name in sorted(FILES):
        if not name.startswith(("rows", "table")):
            contents.setdefault(FILES[name], f"files/{name}")
    rows = [
        ("files/rows.jsonl#0/text", b"a red door"),
        ("files/rows.jsonl#1/text", b"a blue fox\nand more"),
        ("files/table.csv#0/text", b"the green fox"),
        ("files/table.csv#2/text", b"a yellow hound"),
    ]
    for name, data in sorted([*((name, data) for data, name in contents.items()), *rows]):
        expected += [(name, i) for i in range(len(data)) if data.startswith(pattern, i)]
    for k in (5, 10_000):
        hits = sphere.search(contains=pattern, k=k)
        assert [(hit.source, hit.start) for hit in hits] == expected[:k]
        for hit in [*hits[:3], *hits[-3:]]:
            check_hit(root, sphere, hit)


def test_occurrences_across_parts_have_their_lines(small_parts: None, tmp_path: Path) -> None:
    root = lay(tmp_path / "files", {"long.txt": FILES["long.txt"]})
    with Sphere.create(tmp_path / "c.sphere", encoder="none") as sphere:
        sphere.ingest(root)
        borders = [int(part.document_base[0]) for part in sphere.view.parts][1:]
        assert len(borders) >= 2
        for border in borders:
            for length in (2, 7, 60):
                for start in range(border - length + 1, border, 5):
                    pattern = FILES["long.txt"][start : start + length]
                    hits = sphere.search(contains=pattern, k=10_000)
                    assert start in [hit.start for hit in hits]
                    for hit in hits[:50]:
                        assert hit.line == FILES["long.txt"][: hit.start].count(b"\n") + 1
                    sphere.prove(hits)


def test_sources_of_one_name_are_told_apart(tmp_path: Path, fake: None) -> None:
    """Two folders of one name hold different files of one name and the same evidence: the uri breaks the tie."""
    found = []
    for order in ((1, 2), (2, 1)):
        with Sphere.create(tmp_path / f"{order[0]}.sphere", encoder="fake") as sphere:
            for number in order:
                data = b"identical evidence: %s" % (b"zzzzz" if number == 1 else b"xxxxx")
                root = lay(tmp_path / str(number) / "same", {"a.txt": data, "b.txt": b"%d" % number})
                sphere.ingest(root)
            hits = sphere.search("identical evidence", 10, vectors=False)
            assert [hit.uris[0] for hit in hits[:2]] == [str(tmp_path / n / "same/a.txt") for n in "12"]
            assert hits[0].score == hits[1].score
            found.append(answers(sphere, 3))
            for each in (hits, sphere.search(contains=b"a", k=3), sphere.search("evidence", 3)):
                sphere.prove(each)
    assert found[0] == found[1]


TEXTS = st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=14)


@given(texts=TEXTS, asked=st.binary(min_size=1, max_size=3), k=st.integers(1, 6), seed=st.integers(0, 99))
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_arrays_of_any_magnitude(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], asked: bytes, k: int, seed: int
) -> None:
    """Random, duplicated, zero, huge and tiny vectors, one row each; ties go by source and start."""
    rng = np.random.default_rng(seed)
    rows = Fake().encode(texts) * rng.choice([1.0, 1e-18, 1e18, 0.5], (len(texts), 1)).astype(np.float32)
    if not np.isfinite(rows).all():
        rows = Fake().encode(texts)
    sphere = Sphere.create(tmp_path_factory.mktemp("arrays") / "c.sphere", encoder="arrays")
    half = len(rows) // 2
    sphere.import_arrays(rows[half:], name="b")
    if half:
        sphere.import_arrays(rows[:half], name="a")
    query = Fake().one(asked)
    for metric in ("ip", "cosine"):
        hits = sphere.search(vector=query, k=k, metric=metric)
        sphere.prove(hits)
        names = [hit.source for hit in hits]
        x, q = rows.astype(np.float64), query.astype(np.float64)
        scores = x @ q
        if metric == "cosine":
            both = np.linalg.norm(x, axis=1) * np.linalg.norm(q)
            scores = np.divide(scores, both, out=np.zeros(len(x)), where=both > 0)
        best = np.sort(scores)[::-1][:k]
        assert np.allclose([hit.score for hit in hits], best, rtol=1e-12, atol=1e-12 * np.abs(scores).max())
        order = [(-hit.score, hit.source, hit.start) for hit in hits]
        assert order == sorted(order) and set(names) <= {"a", "b"}
        if not q.any():  # all scores are 0: the first k by name and place
            assert [(hit.source, hit.start) for hit in hits] == sorted(
                (hit.source, hit.start) for hit in hits
            )
            assert hits[0].source == ("a" if half else "b") and hits[0].start == 0
    sphere.close()


# -- what a hit tells --------------------


def test_marks_are_the_words_of_the_query(built: tuple[Path, Sphere]) -> None:
    _, sphere = built
    for query in ("quick fox", "rotate keys", "schnelle Straße", "HTTPResponse", "hound"):
        wanted = {word.casefold() for word in query.replace("_", " ").split()}
        hits = sphere.search(query, 20, vectors=False)
        seen = set()
        for hit in hits:
            for a, b in hit.marks:
                assert 0 <= a < b <= len(hit.text)
                seen.add(hit.text[a:b].casefold())
            words = {word.strip('.,;:()"').casefold() for word in hit.text.split()}
            assert wanted & words <= {hit.text[a:b].casefold() for a, b in hit.marks}
        assert wanted <= seen
    assert sphere.search(contains=b"fox", k=1)[0].marks == []


def test_unspaced_scripts_are_marked_by_what_matches(built: tuple[Path, Sphere]) -> None:
    _, sphere = built
    hit = sphere.search("狐狸", 1, vectors=False)[0]
    assert hit.source == "files/zh.txt"
    assert [hit.text[a:b] for a, b in hit.marks] == ["狐狸", "狐狸"]


def test_transcoded_spans_hold_the_right_text(built: tuple[Path, Sphere]) -> None:
    _, sphere = built
    wide = sphere.search("written in UTF-16", 1, vectors=False)[0]
    assert wide.source == "files/wide.txt" and wide.encoding == "utf-16-le"
    assert FILES["wide.txt"][wide.start : wide.end].decode("utf-16-le") == wide.text
    sjis = sphere.search("狐は速いです", 1, vectors=False)[0]
    assert sjis.source == "files/sjis.txt" and sjis.encoding.replace("-", "_") in ("shift_jis", "cp932")
    assert "狐は速いです" in FILES["sjis.txt"][sjis.start : sjis.end].decode("shift_jis")


@pytest.mark.parametrize("unit", ["passage", "patch"])
def test_points_tile_their_sources(tmp_path: Path, fake: None, small_parts: None, unit: str) -> None:
    root = lay(tmp_path / "files", FILES)
    with Sphere.create(tmp_path / "c.sphere", encoder="fake", points=unit, passage_bytes=200) as sphere:
        sphere.ingest(root)
        sphere.ingest(root)  # identical files have got both their names by now
        points = sphere.points()
        assert points.unit == unit and len(points.names) == len(set(points.names))
        assert sorted(points.names) == sorted({r.names[0] for _, _, r in sphere.view.records()})
        binary = {record.names[0] for _, _, record in sphere.view.records() if record.modality == "binary"}
        for number, name in enumerate(points.names):
            mine = points.sources == number
            order = np.lexsort((points.ends[mine], points.starts[mine]))
            starts, ends = points.starts[mine][order], points.ends[mine][order]
            relative = name.removeprefix("files/")
            if relative in FILES:
                raw = FILES[relative]
                assert starts[0] == 0 and ends[-1] == len(raw) and np.array_equal(starts[1:], ends[:-1])
                rows = points.embeddings[mine][order]
                if name in binary:  # which trained encoders are not asked about
                    assert not rows.any()
                elif not relative.startswith(("wide", "sjis")):
                    texts = [raw[a:b] for a, b in zip(starts, ends, strict=True)]
                    assert np.array_equal(rows, Fake().encode(texts))
        assert np.array_equal(
            points.prominence, np.linalg.norm(points.embeddings.astype(np.float64), axis=1).astype(np.float32)
        )
        assert np.isfinite(points.entropies).all() and (points.entropies >= 0).all()
        if unit == "passage":
            assert (points.ends - points.starts <= 200).all()
        for query in ("quick fox", "狐は速い", "written"):
            hits = sphere.search(query, 4)
            sphere.prove(hits)
            for hit in hits:
                check_hit(root, sphere, hit)


@pytest.mark.parametrize("unit", ["passage", "patch"])
def test_titles_stand_above_every_passage_that_is_embedded(
    tmp_path: Path, fake: None, small_parts: None, unit: str
) -> None:
    long = "".join(f"line {n}: the fox met hound number {n * 7919 % 1000}\n" for n in range(60))
    rows = {
        "long": ("Foxes", long),
        "blank": ("Foxes", " " * 90 + "\n\n" + " " * 400 + "the end"),
        "begins": ("The FOX", "the fox is red"),
        "bare": ("", "a blue fox"),
        "wide": ("狐 " * 300, "a fox"),
    }
    data = "".join(json.dumps({"title": title, "text": text}) + "\n" for title, text in rows.values())
    lay(tmp_path, {"rows.jsonl": data.encode()})

    def expected(title: str, text: bytes) -> np.ndarray:
        above = (
            unit == "passage"
            and title
            and text.strip()
            and not text.lower().startswith(title.lower().encode())
        )
        return Fake().one(title[:256].strip().encode() + b"\n" + text if above else text)

    with Sphere.create(tmp_path / "c.sphere", encoder="fake", points=unit, passage_bytes=200) as sphere:
        sphere.ingest(tmp_path / "rows.jsonl")

        def check() -> None:
            points = sphere.points()
            seen = set()
            for source, start, end, row in zip(
                points.sources, points.starts, points.ends, points.embeddings, strict=True
            ):
                number = int(points.names[source].partition("#")[2].partition("/")[0])
                title, text = list(rows.values())[number]
                seen.add((number, start, end))
                assert np.array_equal(row, expected(title, text.encode()[start:end])), (number, start, end)
            for number, (_, text) in enumerate(rows.values()):  # titles are no part of the spans
                assert sum(end - start for n, start, end in seen if n == number) == len(text)

        check()
        (tmp_path / "rows.jsonl").write_text(data + '{"text": "one more"}\n')
        rows["more"] = ("", "one more")
        sphere.ingest(tmp_path)  # new names: everything is written again
        check()
        sphere.compact()
        check()
        assert sphere.verify() == []
        sphere.prove(sphere.search("fox hound 17", 3))


def test_encoders_that_embed_again_are_given_the_titles_again(tmp_path: Path) -> None:
    texts = ["the fox", "a hound", "some hare", "the owl"]
    rows = [{"title": f"chapter {n} of {text}", "text": f"{text} runs"} for n, text in enumerate(texts)]
    lay(tmp_path, {"rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()})
    with Sphere.create(tmp_path / "c.sphere", encoder="lsa") as sphere:
        sphere.ingest(tmp_path / "rows.jsonl")
        both = [f"{row['title']}\n{row['text']}".encode() for row in rows]
        for _ in range(2):
            encoder = sphere.encoder
            assert encoder is not None
            without = encoder.encode([row["text"].encode() for row in rows])
            points = sphere.points()
            rows_in_order = points.embeddings[np.argsort([points.names[n] for n in points.sources])]
            assert np.allclose(rows_in_order, encoder.encode(both), atol=0.02 * np.abs(without).max())
            assert not np.allclose(rows_in_order, without, atol=0.1 * np.abs(without).max())
            sphere.ingest(tmp_path)
            sphere.compact()


# -- proofs --------------------


def test_proof_notices_what_is_wrong(built: tuple[Path, Sphere]) -> None:
    _, sphere = built
    asked = [
        sphere.search("quick fox", 4, vectors=False),
        sphere.search("quick fox", 4, vectors=True),
        sphere.search(vector=Fake().one(b"bc"), k=4),
        sphere.search(contains=b"fox", k=4),
    ]
    for hits in asked:
        sphere.prove(hits)
        first, second, *rest = hits.hits
        wrong = [
            (replace(first, score=math.nextafter(first.score, math.inf)), second, *rest),
            (replace(first, score=-first.score - 1), second, *rest),
            (second, *rest),
            (first, second, *rest[:-1]),
            (first, first, *rest),
            (replace(first, source="elsewhere"), second, *rest),
            (replace(first, start=first.end + 10_000, end=first.end + 10_001), second, *rest),
            (replace(first, data=first.data + b"!"), second, *rest),
            (),
        ]
        for each in wrong:
            with pytest.raises(VerifyError):
                sphere.prove(replace(hits, hits=tuple(each)))
        with pytest.raises(VerifyError, match="generation"):
            sphere.prove(replace(hits, generation=hits.generation + 1))


def test_proof_notices_a_changed_generation(tmp_path: Path) -> None:
    root = lay(tmp_path / "files", {"a.txt": b"a fox"})
    with Sphere.create(tmp_path / "c.sphere", encoder="none") as sphere:
        sphere.ingest(root)
        hits = sphere.search("fox")
        sphere.ingest(lay(root, {"b.txt": b"another fox"}))
        with pytest.raises(VerifyError, match="ask again"):
            sphere.prove(hits)


@pytest.mark.parametrize("name", ["words", "grams"])
def test_damaged_lists_are_noticed(tmp_path: Path, name: str) -> None:
    root = lay(tmp_path / "files", {k: v for k, v in FILES.items() if k.endswith(".md")})
    with Sphere.create(tmp_path / "c.sphere", encoder="none") as sphere:
        sphere.ingest(root)
        clean = [plain(hit) for hit in sphere.search("quick fox")]
    damaged = noticed = 0
    path = next(tmp_path.glob(f"c.sphere/parts/*/{name}.safetensors"))
    original = path.read_bytes()
    arrays, metadata = map_tensors(path)
    data = arrays["data"].copy()
    for at in range(0, len(data), max(1, len(data) // 60)):
        wrong = data.copy()
        wrong[at] ^= 2
        write_tensors(path, {**arrays, "data": wrong}, metadata)
        with Sphere.open(tmp_path / "c.sphere") as sphere:
            assert any(path.name in line for line in sphere.verify())
            try:
                hits = sphere.search("quick fox")
                if [plain(hit) for hit in hits] != clean:
                    damaged += 1
                    sphere.prove(hits)
            except (FormatError, VerifyError):
                noticed += 1
    path.write_bytes(original)
    assert damaged <= noticed and noticed > 0
    with Sphere.open(tmp_path / "c.sphere") as sphere:
        assert sphere.verify() == [] and [plain(hit) for hit in sphere.search("quick fox")] == clean


def test_proof_needs_the_bytes(tmp_path: Path) -> None:
    root = lay(tmp_path / "files", {"a.txt": b"a fox", "b.txt": b"a hound and a fox"})
    with Sphere.create(tmp_path / "c.sphere", encoder="none", copy=False) as sphere:
        sphere.ingest(root)
        for hits in (sphere.search("fox"), sphere.search(contains=b"fox")):
            sphere.prove(hits)
        (root / "b.txt").write_bytes(b"a hound and a dog")
        for hits in (sphere.search("fox"), sphere.search(contains=b"a")):
            with pytest.raises(VerifyError, match=r"files/b\.txt has changed"):
                sphere.prove(hits)


# -- questions that make no sense, and states in which there is nothing to find --------------------


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda s: s.search(""), "empty"),
        (lambda s: s.search(" \n"), "empty"),
        (lambda s: s.search(contains=b""), "empty"),
        (lambda s: s.search(), "exactly one"),
        (lambda s: s.search("a", contains=b"a"), "exactly one"),
        (lambda s: s.search("a", k=0), "at least 1"),
        (lambda s: s.search("a", k=-3), "at least 1"),
        (lambda s: s.search(vector=np.zeros(WIDTH + 1)), "13 was expected"),
        (lambda s: s.search(vector=np.zeros((2, WIDTH))), "2 rows"),
        (lambda s: s.search(vector=np.full(WIDTH, np.nan)), "NaN"),
        (lambda s: s.search(vector=np.zeros(WIDTH), metric="l2"), "metric"),
        (lambda s: s.ingest(), "no path"),
    ],
)
def test_wrong_questions(built: tuple[Path, Sphere], ask: Callable[[Sphere], object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        ask(built[1])


def test_any_text_can_be_asked(built: tuple[Path, Sphere]) -> None:
    _, sphere = built
    for text in ("\ud800 fox", "\udcff", "?!", "\0", "a" * 5000, "fox " * 2000, "ß", "🦊", "\u202e"):
        for vectors in (False, True):
            sphere.prove(sphere.search(text, 3, vectors=vectors))


def test_a_collection_with_nothing_in_it(tmp_path: Path) -> None:
    for encoder in ("none", "lsa"):
        with Sphere.create(tmp_path / f"{encoder}.sphere", encoder=encoder) as sphere:
            assert sphere.verify() == [] and len(sphere.points()) == 0
            for hits in (sphere.search("fox"), sphere.search(contains=b"fox")):
                assert len(hits) == 0
                sphere.prove(hits)
            assert sphere.compact() <= 0 and sphere.info()["points"] == 0
            with pytest.raises(InputError, match="no vectors"):
                sphere.search(vector=np.zeros(3))
            with pytest.raises(NotFoundError, match="nothing"):
                sphere.remove("nothing")


def test_lsa_from_blank_files_to_an_empty_collection(tmp_path: Path) -> None:
    """`lsa` is fitted on the first text that is not blank, fitted again by compact, and kept when all is gone."""
    root = lay(tmp_path / "files", {"blank.txt": b" \n \n", "wide.txt": "\u3000\u3000".encode()})
    with Sphere.create(tmp_path / "c.sphere", encoder="lsa") as sphere:
        sphere.ingest(root)
        assert sphere.encoder is None and sphere.info()["points"] == 2
        assert len(sphere.search("0815", vectors=True)) == 0
        sphere.ingest(lay(root, {n: d for n, d in FILES.items() if n.endswith((".md", ".txt"))}))
        assert sphere.encoder is not None
        for query in ("quick fox", "größte", "zzz"):
            hits = sphere.search(query, 5, vectors=True)
            assert hits.request.weight >= 0
            sphere.prove(hits)
        sphere.prove(sphere.search(vector=sphere.encoder.encode([b"a fox"])[0], k=5))
        before = sphere.encoder
        sphere.compact()
        assert sphere.encoder is not before and sphere.verify() == []
        with Sphere.open(sphere.path) as again:
            assert again.encoder is not None
            one, two = (each.search("quick fox", 5, vectors=True) for each in (sphere, again))
            assert [plain(hit) for hit in one] == [plain(hit) for hit in two]
            again.prove(two)
        sphere.remove(*{row.name for row in sphere.collection.sources()})
        sphere.compact()
        assert len(sphere.search("fox")) == 0 and sphere.info()["points"] == 0 and sphere.verify() == []
        sphere.ingest(root)
        sphere.prove(sphere.search("quick fox", 5, vectors=True))


def test_no_flipped_bit_crashes_anything(tmp_path: Path, fake: None) -> None:
    """Each file of a part, one bit at a time: an answer, or one clear error; `verify` names the file."""
    root = lay(
        tmp_path / "files", {n: FILES[n] for n in ("animals.md", "sub/more.md", "de.txt", "rows.jsonl")}
    )
    with Sphere.create(tmp_path / "c.sphere", encoder="fake", points="patch") as sphere:
        sphere.ingest(root)
    rng = np.random.default_rng(3)
    told = 0
    for path in sorted(tmp_path.glob("c.sphere/parts/*/*")):
        original = path.read_bytes()
        if path.name == "part.lock":
            continue
        for _ in range(25):
            damaged = bytearray(original)
            # the headers and the small tables behind them are where a flip leads astray
            at = int(rng.integers(len(damaged)) * rng.random() ** 2)
            damaged[at] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            try:
                with Sphere.open(tmp_path / "c.sphere") as sphere:
                    assert any(path.name in line for line in sphere.verify())
                    for hits in (
                        sphere.search("quick fox", 3),
                        sphere.search("quick fox", 3, vectors=False),
                        sphere.search(vector=Fake().one(b"bc"), k=3),
                        sphere.search(contains=b"fox", k=3),
                    ):
                        for hit in hits:
                            assert isinstance(hit.text, str) and hit.marks is not None
                    assert len(sphere.points()) > 0
                    sphere.prove(hits)
            except SphereError as error:
                assert "\n" not in str(error)
                told += 1
        path.write_bytes(original)
    assert told > 20
    with Sphere.open(tmp_path / "c.sphere") as sphere:
        assert sphere.verify() == []


def test_binary_documents_have_no_meaning_to_a_trained_encoder(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(3000) + b"the signing keys" + bytes(range(256))
    root = lay(tmp_path / "files", {"noise.png": noise, "keys.txt": b"The signing keys rotate every month."})
    with Sphere.create(tmp_path / "c.sphere", encoder="sphere-light") as sphere:
        sphere.ingest(root)
        points = sphere.points()
        binary = np.array([points.names[source].endswith(".png") for source in points.sources])
        assert binary.any() and not points.prominence[binary].any() and points.prominence[~binary].all()
        asked = "how often is the password changed"
        words, both = ({h.source: h.score for h in sphere.search(asked, vectors=v)} for v in (False, True))
        assert both["files/keys.txt"] > words.get("files/keys.txt", 0.0)
        assert both.get("files/noise.png") == words.get("files/noise.png")
        hits = sphere.search("signing keys")  # words are found in it all the same
        assert {hit.source for hit in hits} == {"files/keys.txt", "files/noise.png"}
        sphere.prove(hits)
