"""What goes in and out: any order of ingest, replace, remove and compact that ends in the same sources gives the
same answers; sources of every kind; collections that do not keep the bytes; several writers and readers."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_sphere import (  # noqa: F401 - the fixtures are used by name
    FILES,
    QUERIES,
    answers,
    check_hit,
    fake,
    lay,
    plain,
    small_parts,
)

import thesphere.sphere.sphere as sphere_module
from thesphere.errors import LockedError, NotFoundError, SphereError
from thesphere.sphere import Sphere

SEEDS = int(os.environ.get("THESPHERE_SEEDS", "6"))


def stuff(rng: random.Random) -> bytes:
    """Content of many kinds and sizes; the same one comes again."""
    words = (
        "fox hound lazy quick rotate keys line 17 identical evidence größte Straße 狐狸 HTTPResponse".split()
    )
    kind = rng.randrange(7)
    if kind == 0:
        return rng.choice(sorted(FILES.values()))
    if kind == 1:
        return b"the fox says %d\n" % rng.randrange(3)
    text = " ".join(rng.choice(words) for _ in range(rng.choice([3, 40, 400, 2600]) + rng.randrange(9)))
    if kind == 2:
        return text.encode("utf-16")
    if kind == 3:
        return rng.randbytes(rng.choice([10, 3000])) + text.encode()
    if kind == 4:
        return b""
    return text.replace(" 17 ", "\n").encode()


def rows(rng: random.Random) -> bytes:
    pairs = [(rng.randrange(3), rng.randrange(4)) for _ in range(rng.randrange(5))]
    return "\n".join(f'{{"title": "T{a}", "text": "the fox {b}"}}' for a, b in pairs).encode()


def change(rng: random.Random, root: Path, sphere: Sphere) -> None:
    """One step of a collection's life."""
    names = [
        f"{folder}/f{number}.{suffix}" for folder in "ab" for number in range(4) for suffix in ("txt", "py")
    ]
    there = sorted(path for path in root.rglob("*") if path.is_file())
    step = rng.choice([*["write"] * 4, "rows", "delete", "move", "copy", "one", "all", "compact"])
    if step == "write":
        for _ in range(3):
            lay(root, {rng.choice(names): stuff(rng)})
    elif step == "rows":
        lay(root, {f"r{rng.randrange(2)}.jsonl": rows(rng)})
    elif step in ("delete", "move") and there:
        path = rng.choice(there)
        known = [row for row in sphere.collection.sources() if row.uri.partition("#")[0] == str(path)]
        if step == "move":
            target = root / rng.choice("abc") / f"moved{rng.randrange(9)}{path.suffix}"
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
        else:
            path.unlink()
        if known:
            sphere.remove(*{row.uri for row in known})
    elif step == "copy" and there:
        lay(root, {f"c/copy{rng.randrange(9)}.txt": rng.choice(there).read_bytes()})
    elif step == "one" and there:
        sphere.ingest(rng.choice(there))  # another argument: the names are others until all is ingested again
    elif step == "all":
        sphere.ingest(root)
    elif step == "compact":
        sphere.compact()


def forget_deleted(sphere: Sphere) -> None:
    """What was moved over or deleted while it was not yet known under that path."""
    gone = {row.uri for row in sphere.collection.sources() if not os.path.exists(row.uri.partition("#")[0])}
    if gone:
        sphere.remove(*gone)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_history_gives_the_same_answers(
    tmp_path: Path,
    small_parts: None,  # noqa: F811
    fake: None,  # noqa: F811
    seed: int,
) -> None:
    rng = random.Random(seed)
    root = lay(tmp_path / "files", {"a/f0.txt": b"the fox\n"})
    unit, copy = [("passage", True), ("patch", True), ("passage", False)][seed % 3]
    options = {"encoder": "fake", "points": unit, "copy": copy, "passage_bytes": 200}
    with Sphere.create(tmp_path / "old.sphere", **options) as sphere:  # type: ignore[arg-type]
        for _ in range(14):
            change(rng, root, sphere)
        forget_deleted(sphere)
        sphere.ingest(root)
        assert sphere.verify() == []
        lived = answers(sphere)
        once = sphere.ingest(root)
        assert not (once.added or once.replaced or once.duplicates)
        with Sphere.create(tmp_path / "new.sphere", **options) as fresh:  # type: ignore[arg-type]
            names = sorted(str(path) for path in root.rglob("*") if path.is_file())
            rng.shuffle(names)
            for name in names[::2]:  # in another order, and under other names at first
                fresh.ingest(name)
            fresh.ingest(root)
            assert names_of(fresh) == names_of(sphere)
            assert answers(fresh) == lived
        sphere.compact()
        assert sphere.verify() == [] and answers(sphere) == lived
        for query in QUERIES[::4]:
            sphere.prove(sphere.search(query, 5))


def names_of(sphere: Sphere) -> list[tuple[str, str, bytes]]:
    return [(row.uri, row.name, row.digest) for row in sphere.collection.sources()]


def test_identical_files_are_stored_once_and_every_path_is_listed(tmp_path: Path) -> None:
    data = b"the quick fox\n"
    root = lay(tmp_path / "files", {f"{letter}.txt": data for letter in "cab"} | {"z.py": data})
    with Sphere.create(tmp_path / "c.sphere", encoder="none") as sphere:
        report = sphere.ingest(root)
        assert (report.added, report.duplicates, report.bytes) == (1, 3, len(data))
        hit = sphere.search("fox")[0]
        assert hit.paths == ("files/a.txt", "files/b.txt", "files/c.txt", "files/z.py")
        assert hit.modality == "text" and sphere.info()["sources"] == 1 and sphere.info()["paths"] == 4
        again = sphere.ingest(root)
        assert again.unchanged == 4 and not (again.added or again.replaced or again.duplicates)
        sphere.remove("files/a.txt", "files/b.txt", "files/c.txt")
        hit = sphere.search("fox")[0]
        assert hit.paths == ("files/z.py",) and hit.modality == "code"
        sphere.remove("files")
        assert len(sphere.search("fox")) == 0 and sphere.info()["paths"] == 0


def test_a_row_and_a_file_of_the_same_bytes_are_two_sources(tmp_path: Path) -> None:
    """Of a row the name is no evidence, of a file it is: which came first must not matter."""
    found = []
    root = lay(tmp_path / "files", {"a.txt": b"a red door", "rows.jsonl": b'{"text": "a red door"}\n'})
    for order in (("a.txt", "rows.jsonl"), ("rows.jsonl", "a.txt")):
        with Sphere.create(tmp_path / f"{order[0]}.sphere", encoder="none") as sphere:
            for name in order:
                sphere.ingest(root / name)
            found.append(answers(sphere))
            assert sphere.info()["sources"] == 2
    assert found[0] == found[1]


def test_rows_and_files_that_shrink(tmp_path: Path) -> None:
    lines = [b'{"text": "fox %d"}' % number for number in range(4)]
    first = {"r.jsonl": b"\n".join(lines), "a.txt": b"hound\n" * 4000, "e.txt": b"gone fox"}
    root = lay(tmp_path / "files", first)
    with Sphere.create(tmp_path / "c.sphere", encoder="none") as sphere:
        sphere.ingest(root)
        assert len(sphere.search("fox", 20, vectors=False)) >= 5
        lay(root, {"r.jsonl": lines[2], "a.txt": b"hound", "e.txt": b""})
        report = sphere.ingest(root)
        assert (report.replaced, report.duplicates) == (1, 1)
        assert [skipped.reason for skipped in report.skipped] == ["empty"]
        names = {row.name for row in sphere.collection.sources()}
        assert names == {"files/a.txt", "files/r.jsonl#0/text"}
        lay(root, {"r.jsonl": b'{"nothing": "here, a fox"}\n'})  # no text: a plain file from now on
        sphere.ingest(root)
        assert {row.name for row in sphere.collection.sources()} == {"files/a.txt", "files/r.jsonl"}
        lay(root, {"r.jsonl": lines[1]})
        sphere.ingest(root)
        names = {row.name for row in sphere.collection.sources()}
        assert names == {"files/a.txt", "files/r.jsonl#0/text"} and sphere.verify() == []


def test_one_long_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 MB without a line end, as a stream, with a word at the end."""
    monkeypatch.setattr("thesphere.sphere.ingest.WHOLE", 1 << 20)
    monkeypatch.setattr("thesphere.sphere.batch.PART_BYTES", 1 << 20)
    line = b" ".join(b"%x" % (number * 2654435761 % 2**32) for number in range(340_000))[: 3 << 20]
    root = lay(tmp_path / "files", {"line.txt": line + b" endmost fox"})
    with Sphere.create(tmp_path / "c.sphere", encoder="none") as sphere:
        sphere.ingest(root)
        assert len(sphere.view.parts) >= 3 and sphere.info()["sources"] == 1
        for hits in (sphere.search("endmost fox"), sphere.search(contains=b"endmost")):
            assert hits[0].line == 1 and b"endmost" in hits[0].data and hits[0].start > 3_000_000
            check_hit(root, sphere, hits[0])
        points = sphere.points()
        assert points.starts[0] == 0 and np.array_equal(points.starts[1:], points.ends[:-1])
        assert points.names == ["files/line.txt"] and not points.sources.any()


def test_a_large_file_that_changes_or_fails_while_it_is_read(
    tmp_path: Path,
    small_parts: None,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = FILES["long.txt"] * 2  # more than what the walk keeps of a file
    root = lay(tmp_path / "files", {"a.txt": b"a fox", "long.txt": long, "z.txt": b"z fox"})
    real = sphere_module.Ingest._hash
    with Sphere.create(tmp_path / "c.sphere", encoder="none") as sphere:
        for spoil in (
            lambda: (root / "long.txt").write_bytes(long[:-1]),
            lambda: (root / "long.txt").unlink(),
        ):
            lay(root, {"long.txt": long})

            def hashed(self, source, spoil: Callable[[], object] = spoil):
                found = real(self, source)
                if source.name.endswith("long.txt"):
                    spoil()
                return found

            monkeypatch.setattr(sphere_module.Ingest, "_hash", hashed)
            report = sphere.ingest(root)
            assert [skipped.name for skipped in report.skipped] == ["files/long.txt"]
            assert {row.name for row in sphere.collection.sources()} == {"files/a.txt", "files/z.txt"}
            assert sphere.verify() == []
            assert len(list((sphere.path / "parts").iterdir())) == len(sphere.view.parts)
        monkeypatch.setattr(sphere_module.Ingest, "_hash", real)
        lay(root, {"long.txt": long})
        assert sphere.ingest(root).added == 1


# -- without a copy of the bytes --------------------


def test_without_copy(tmp_path: Path) -> None:
    root = lay(tmp_path / "files", FILES)
    with Sphere.create(tmp_path / "c.sphere", encoder="none", copy=False) as sphere:
        sphere.ingest(root)
        with Sphere.create(tmp_path / "whole.sphere", encoder="none") as whole:
            whole.ingest(root)
            expected = answers(whole)
        assert answers(sphere) == expected
        for query in ("quick fox", "red door", "yellow hound"):
            hits = sphere.search(query)
            sphere.prove(hits)
            check_hit(root, sphere, hits[0])
        # what is gone or changed is still found, marked as stale, and no neighbour of it is
        (root / "de.txt").write_bytes(b"x" * len(FILES["de.txt"]))
        (root / "zh.txt").unlink()
        assert [hit.stale for hit in sphere.search("schnelle Fuchs", 1)] == [True]
        assert [hit.stale for hit in sphere.search("狐狸", 1)] == [True]
        assert [hit.stale for hit in sphere.search("rotate keys", 1)] == [False]
        assert {h.source: h.stale for h in sphere.search(contains=b"xxx", k=1)} == {"files/de.txt": True}
        before = [(hit.source, hit.score) for hit in sphere.search("schnelle Fuchs")]
        sphere.compact()
        assert [(hit.source, hit.score) for hit in sphere.search("schnelle Fuchs")] == before
        assert [hit.stale for hit in sphere.search("schnelle Fuchs", 1)] == [True] and sphere.verify() == []
        # rows have no file of their own: their text is kept, whatever becomes of the table
        (root / "rows.jsonl").unlink()
        hit = sphere.search("red door", 1)[0]
        assert (hit.text, hit.stale) == ("a red door", False)
        # of identical files one is enough
        (root / "animals.md").write_bytes(b"changed")
        hit = sphere.search("lazy dog", 1)[0]
        assert hit.paths == ("files/animals.md", "files/sub/copy.md")
        assert not hit.stale and b"lazy dog" in hit.data
        lay(root, FILES)
        sphere.ingest(root)
        assert answers(sphere) == expected


def test_without_copy_a_moved_file_is_found_again(tmp_path: Path) -> None:
    root = lay(tmp_path / "files", {"old.txt": b"the quick fox"})
    with Sphere.create(tmp_path / "c.sphere", encoder="none", copy=False) as sphere:
        sphere.ingest(root)
        (root / "old.txt").rename(root / "new.txt")
        sphere.ingest(root)
        hit = sphere.search("fox")[0]
        assert hit.paths == ("files/new.txt", "files/old.txt") and not hit.stale
        sphere.remove("files/old.txt")
        hit = sphere.search("fox")[0]
        assert hit.paths == ("files/new.txt",) and not hit.stale and hit.data == b"the quick fox"


def test_lsa_is_not_fitted_anew_beside_what_must_stay(tmp_path: Path) -> None:
    """A document that cannot be written again keeps its vectors, so all keep theirs."""
    root = lay(tmp_path / "files", {n: d for n, d in FILES.items() if n.endswith((".md", ".txt"))})
    with Sphere.create(tmp_path / "c.sphere", copy=False) as sphere:
        sphere.ingest(root)
        assert sphere.encoder is not None
        vector = sphere.encoder.encode([FILES["animals.md"]])[0]
        before = [(hit.source, hit.start, hit.score) for hit in sphere.search(vector=vector, k=50)]
        (root / "de.txt").unlink()
        sphere.compact()
        assert np.array_equal(vector, sphere.encoder.encode([FILES["animals.md"]])[0])
        assert [(hit.source, hit.start, hit.score) for hit in sphere.search(vector=vector, k=50)] == before


# -- several processes --------------------


def test_a_reader_from_before_a_compact_still_answers(tmp_path: Path) -> None:
    root = lay(tmp_path / "files", FILES)
    writer = Sphere.create(tmp_path / "c.sphere", encoder="none")
    writer.ingest(root)
    reader = Sphere.open(writer.path)
    expected = [plain(hit) for hit in reader.search("quick fox")]
    for each in FILES:
        (root / each).unlink()
    writer.remove("files")
    writer.ingest(lay(root, {"new.txt": b"a quick new fox"}))
    writer.compact()
    assert [plain(hit) for hit in reader.search("quick fox")] == expected
    for pattern in (b"fox", b"hound number 7\n"):
        reader.prove(reader.search(contains=pattern))
    reader.refresh()
    assert [hit.source for hit in reader.search("quick fox")] == ["files/new.txt"]
    reader.close()
    writer.compact()
    with writer.collection.snapshot() as snapshot:
        assert {p.name for p in (writer.path / "parts").iterdir()} == {p.folder.name for p in snapshot.parts}


def test_two_objects_take_turns(tmp_path: Path) -> None:
    """Each has read an older generation than the one it changes."""
    root = lay(tmp_path / "files", {n: d for n, d in FILES.items() if n not in ("long.txt", "picture.bin")})
    one = Sphere.create(tmp_path / "c.sphere")
    two = Sphere.open(one.path)
    for sphere in (one, two):
        assert len(sphere.search("fox")) == 0
    one.ingest(root / "animals.md", root / "keys.py")
    two.ingest(root / "sub", root / "de.txt")
    assert two.encoder is not None and one.encoder is not None
    one.compact()
    two.ingest(root)
    one.remove("files/keys.py", "files/rows.jsonl")
    two.remove("files/de.txt")
    one.compact()
    one.refresh()
    two.refresh()
    assert one.verify() == [] and answers(one) == answers(two)
    for query in QUERIES:
        hits = one.search(query, 5, vectors=True)
        one.prove(hits)
        assert [plain(hit) for hit in hits] == [plain(hit) for hit in two.search(query, 5, vectors=True)]
    assert "files/de.txt" not in {row.name for row in one.collection.sources()}


def test_two_writers_at_once(tmp_path: Path) -> None:
    root = lay(tmp_path / "files", {"a.txt": b"a fox"})
    sphere = Sphere.create(tmp_path / "c.sphere", encoder="none")
    sphere.ingest(root)
    script = (
        "import sys; from thesphere.store import Collection\n"
        "with Collection.open(sys.argv[1]).writer(): print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(sphere.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"ready\n"
        for act in (lambda: sphere.ingest(root), sphere.compact, lambda: sphere.remove("files/a.txt")):
            with pytest.raises(LockedError, match=str(other.pid)):
                act()
        assert len(sphere.search("fox")) == 1
        assert other.stdin is not None
        other.stdin.close()
    assert sphere.ingest(root).unchanged == 1


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Sphere.open(tmp_path / "no.sphere")
    sphere = Sphere.create(tmp_path / "c.sphere", encoder="none")
    for paths in ((tmp_path / "missing",), (tmp_path / "missing", tmp_path)):
        with pytest.raises(SphereError):
            sphere.ingest(*paths)
    with pytest.raises(NotFoundError, match="no source is called 'a.txt'"):
        sphere.remove("a.txt")
    assert sphere.collection.stats()["generation"] == 0 and sphere.verify() == []
    (tmp_path / "empty").mkdir()
    assert sphere.ingest(tmp_path / "empty").added == 0


# -- renaming that was cut short --------------------


def test_names_are_put_right_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are evidence: a run that ends between the commit and the renaming must not leave old ones behind."""
    root = lay(tmp_path / "files", {"a.txt": b"the fox", "b.txt": b"the hound"})
    sphere = Sphere.create(tmp_path / "c.sphere", encoder="none")
    sphere.ingest(root)
    lay(root, {"copy.txt": b"the fox", "b.txt": b"the fox"})

    class Stop(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stop

    def finish_by_ingest() -> None:
        sphere.ingest(root)

    def finish_by_removing_another() -> None:
        sphere.ingest(lay(root, {"other.txt": b"other"}) / "other.txt")
        sphere.remove("other.txt")
        (root / "other.txt").unlink()

    for finish in (finish_by_ingest, finish_by_removing_another, sphere.compact):
        lay(root, {"copy.txt": b"the fox", "b.txt": b"the fox"})
        with monkeypatch.context() as patch, pytest.raises(Stop):
            patch.setattr("thesphere.sphere.ingest.copy_document", stop)
            sphere.ingest(root)
        finish()
        assert sphere.search("copy", 1)[0].paths == ("files/a.txt", "files/b.txt", "files/copy.txt")
        with monkeypatch.context() as patch, pytest.raises(Stop):
            patch.setattr("thesphere.sphere.ingest.copy_document", stop)
            sphere.remove("files/copy.txt")
        (root / "copy.txt").unlink()
        finish()
        assert sphere.search("fox", 1)[0].paths == ("files/a.txt", "files/b.txt")
        assert not sphere.collection.settings.get("renaming") and sphere.verify() == []
