"""The collection on disk, against a model in plain dictionaries, and by hand at its edges."""

import errno
import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import thesphere.store.part as part_module
from thesphere.errors import FormatError, InputError, LockedError, NotFoundError, SchemaError, SphereError
from thesphere.store import Collection, Document, NewPart, PathEntry, Writer


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def new_part(writer: Writer, contents: list[bytes]) -> NewPart:
    """A part whose one file holds the contents joined."""
    folder = writer.new_part()
    (folder / "bytes").write_bytes(b"".join(contents))
    return NewPart(folder, [Document(i, digest(c), len(c), "text") for i, c in enumerate(contents)])


def put(writer: Writer, files: dict[str, bytes]) -> int:
    """Commit files as an ingest would: contents that are not yet live, and all paths."""
    fresh = [c for c in dict.fromkeys(files.values()) if writer.content(digest(c)) is None]
    parts = [new_part(writer, fresh)] if fresh else []
    return writer.commit(parts, paths=[PathEntry(uri, uri, digest(c), 7, len(c)) for uri, c in files.items()])


def listing(collection: Collection) -> dict[str, bytes]:
    return {row.uri: row.digest for row in collection.sources()}


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    return Collection.create(tmp_path / "c.sphere", {"unit": "passage", "width": 384, "scale": 0.1})


# -- the life of a collection --------------------


def test_create_open_settings(collection: Collection) -> None:
    again = Collection.open(collection.path)
    assert again.settings == {"unit": "passage", "width": 384, "scale": 0.1}
    assert [type(v) for v in again.settings.values()] == [float, str, int]
    with again.snapshot() as snapshot:
        assert (snapshot.generation, snapshot.parts, snapshot.sources) == (0, [], 0)
    assert again.verify() == []
    with again.writer() as writer:
        assert writer.commit(settings={"width": 100, "new": "x"}) == 1
        assert writer.settings["width"] == 100
    assert again.settings == {"unit": "passage", "width": 100, "scale": 0.1, "new": "x"}
    assert again.verify() == []


def test_identical_content_is_stored_once_and_every_path_listed(collection: Collection) -> None:
    with collection.writer() as writer:
        put(writer, {"b": b"same", "a": b"same", "c": b"other"})
        assert writer.paths(digest(b"same")) == [("a", "a"), ("b", "b")]
        first, second = writer.known("a"), writer.known("b")
        assert (
            first == second and first is not None and (first.size, first.mtime_ns, first.ordinal) == (4, 7, 0)
        )
        assert writer.known("zzz") is None and writer.content(digest(b"zzz")) is None
        assert writer.paths(digest(b"zzz")) == []
    with collection.snapshot() as snapshot:
        assert (snapshot.sources, snapshot.paths, snapshot.bytes) == (2, 3, 9)
        (part,) = snapshot.parts
        assert (
            part.sources == 2 and part.dead.tolist() == [] and part.file("bytes").read_bytes() == b"sameother"
        )
        with pytest.raises(FormatError, match="no file"):
            part.file("nothing")
    assert [row.uri for row in collection.sources()] == ["a", "b", "c"]
    stats = collection.stats()
    assert (stats["sources"], stats["paths"], stats["parts"], stats["modalities"]) == (2, 3, 1, {"text": 2})


def test_a_document_dies_with_its_last_path(collection: Collection) -> None:
    with collection.writer() as writer:
        put(writer, {"a": b"same", "b": b"same", "c": b"other"})
        writer.commit(forget=["a", "never heard of"])
        assert writer.content(digest(b"same")) is not None
        writer.commit(forget=["b"])
        assert writer.content(digest(b"same")) is None
        with collection.snapshot() as snapshot:
            assert snapshot.sources == 1 and snapshot.parts[0].dead.tolist() == [0]
        put(writer, {"c": b"changed"})  # the last document of the first part: the part is named no more
        with collection.snapshot() as snapshot:
            assert [part.file("bytes").read_bytes() for part in snapshot.parts] == [b"changed"]
        writer.commit(remove=[digest(b"changed"), digest(b"unknown")])
        assert listing(collection) == {} and collection.stats()["parts"] == 0
    assert collection.verify() == []


def test_a_document_written_anew_takes_the_place_of_its_copy(collection: Collection) -> None:
    with collection.writer() as writer:
        put(writer, {"a": b"one", "b": b"two"})
        old = writer.content(digest(b"one"))
        writer.commit([new_part(writer, [b"one"])], paths=[PathEntry("a2", "a2", digest(b"one"), 7, 3)])
        new = writer.content(digest(b"one"))
        assert old is not None and new is not None and new.part > old.part
        assert [uri for uri, _ in writer.paths(digest(b"one"))] == ["a", "a2"]
    with collection.snapshot() as snapshot:
        assert [part.dead.tolist() for part in snapshot.parts] == [[0], []]
        assert (snapshot.sources, snapshot.bytes) == (2, 6)
    assert collection.verify() == []


def test_a_document_may_span_parts(collection: Collection) -> None:
    with collection.writer() as writer:
        parts = []
        for piece in (b"begin", b"middle", b"end"):
            folder = writer.new_part()
            (folder / "bytes").write_bytes(piece)
            parts.append(NewPart(folder, [Document(0, digest(b"beginmiddleend"), 14)]))
        writer.commit(parts, paths=[PathEntry("big", "big", digest(b"beginmiddleend"))])
        with collection.snapshot() as snapshot:
            assert (snapshot.sources, snapshot.bytes, len(snapshot.parts)) == (1, 14, 3)
            assert writer.pieces(digest(b"beginmiddleend")) == [(part.id, 0) for part in snapshot.parts]
        writer.commit(forget=["big"])
        assert collection.stats()["parts"] == 0
    assert collection.verify() == []


def test_a_part_without_documents_stays_until_it_is_dropped(collection: Collection) -> None:
    with collection.writer() as writer:
        writer.commit([new_part(writer, [])])
        put(writer, {"a": b"a"})
        shared, full = collection.snapshot().parts
        with pytest.raises(InputError, match="holds documents"):
            writer.commit(drop=[full.id])
        with pytest.raises(InputError, match="unknown"):
            writer.commit(drop=[99])
        writer.commit(drop=[shared.id])
        assert [part.id for part in collection.snapshot().parts] == [full.id]
    assert collection.verify() == []


ODD = st.sampled_from(
    ["a", "b", "é", "caf\udce9", "\ud800", "nul\0", "file.csv#3/text", "'; DROP TABLE paths", "日本"]
)
CONTENT = st.binary(max_size=2)


class Model(RuleBasedStateMachine):
    """Random histories; the same history applied to a dictionary says what must be live."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.collection = Collection.create(Path(self.folder.name) / "m.sphere", {"k": 1})
        self.files: dict[str, bytes] = {}

    @rule(files=st.dictionaries(ODD, CONTENT, min_size=1, max_size=4))
    def ingest(self, files: dict[str, bytes]) -> None:
        with self.collection.writer() as writer:
            put(writer, files)
        self.files |= files

    @rule(uris=st.lists(ODD, max_size=3))
    def forget(self, uris: list[str]) -> None:
        with self.collection.writer() as writer:
            writer.commit(forget=uris)
        for uri in uris:
            self.files.pop(uri, None)

    @rule(content=CONTENT)
    def remove(self, content: bytes) -> None:
        with self.collection.writer() as writer:
            writer.commit(remove=[digest(content)])
        self.files = {uri: c for uri, c in self.files.items() if c != content}

    @precondition(lambda self: self.files)
    @rule()
    def compact(self) -> None:
        with self.collection.writer() as writer:
            writer.commit([new_part(writer, sorted(set(self.files.values())))])
            writer.sweep()
        assert len(list((self.collection.path / "parts").iterdir())) == 1

    @invariant()
    def same(self) -> None:
        assert self.collection.verify() == []
        assert listing(self.collection) == {uri: digest(c) for uri, c in self.files.items()}
        live = set(self.files.values())
        with self.collection.snapshot() as snapshot, self.collection.writer() as writer:
            assert (snapshot.sources, snapshot.paths) == (len(live), len(self.files))
            assert snapshot.bytes == sum(map(len, live))
            assert sum(part.sources - len(part.dead) for part in snapshot.parts) == len(live)
            for uri, content in self.files.items():
                known = writer.known(uri)
                assert known is not None and (known.digest, known.size) == (digest(content), len(content))
                (part,) = [part for part in snapshot.parts if part.id == known.part]
                assert known.ordinal not in part.dead

    def teardown(self) -> None:
        self.folder.cleanup()


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=12, stateful_step_count=8, deadline=None)


# -- readers and writers together --------------------


def test_a_reader_keeps_its_generation(collection: Collection) -> None:
    with collection.writer() as writer:
        put(writer, {"a": b"old"})
        snapshot = collection.snapshot()
        put(writer, {"a": b"new"})
        assert writer.sweep() == []
        assert snapshot.parts[0].file("bytes").read_bytes() == b"old"
    with collection.writer():  # neither does the next writer take it
        assert snapshot.parts[0].file("bytes").read_bytes() == b"old"
    folder = snapshot.parts[0].folder
    snapshot.close()
    with collection.writer() as writer:
        assert not folder.exists()
    assert collection.verify() == []


def test_two_writers(collection: Collection) -> None:
    with collection.writer() as writer:
        with pytest.raises(LockedError, match=str(os.getpid())), collection.writer():
            pass
        put(writer, {"a": b"a"})
    code = (
        "import sys; from thesphere.store import Collection\n"
        "with Collection.open(sys.argv[1]).writer(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, collection.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=f"process {process.pid};"), collection.writer():
            pass
        process.kill()
    with collection.writer() as writer:
        put(writer, {"b": b"b"})
    assert set(listing(collection)) == {"a", "b"}


def test_orphans_go_and_foreign_things_stay(collection: Collection) -> None:
    parts = collection.path / "parts"
    with collection.writer() as writer:
        put(writer, {"a": b"a"})
    for name in ("000009-00000000", "000009-00000001"):
        (parts / name).mkdir()
    (parts / "000009-00000000" / "bytes").write_bytes(b"left by a killed writer")
    (parts / "notes").mkdir()
    (parts / ".DS_Store").touch()
    with collection.writer() as writer:
        assert {p.name[:7] for p in parts.iterdir()} == {"000001-", "notes", ".DS_Sto"}
        writer.new_part()
    assert len(list(parts.iterdir())) == 3
    assert collection.verify() == []


def test_everything_is_on_the_disk_before_the_commit(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, connect = os.fsync, sqlite3.connect

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *rest: object) -> sqlite3.Cursor:
            order.append(sql)
            return super().execute(sql, *rest)  # type: ignore[arg-type]

    def watch(descriptor: int) -> None:
        order.append(str(os.fstat(descriptor).st_ino))
        fsync(descriptor)

    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Watched, **k))
    with collection.writer() as writer:
        part = new_part(writer, [b"a"])
        monkeypatch.setattr(os, "fsync", watch)
        order.clear()
        writer.commit([part], paths=[PathEntry("a", "a", digest(b"a"))])
    begin = order.index("BEGIN IMMEDIATE")
    inodes = [str(p.stat().st_ino) for p in (part.folder / "bytes", part.folder, part.folder.parent)]
    assert [entry for entry in order[:begin] if entry in inodes] == inodes


# -- damage --------------------


@pytest.fixture
def filled(collection: Collection) -> Collection:
    with collection.writer() as writer:
        put(writer, {"a": b"alpha" * 5, "b": b"beta" * 5})
        put(writer, {"c": b"gamma" * 5, "b": b"alpha" * 5})
        put(writer, {"d": b"delta"})
        writer.commit(forget=["d"])
    assert collection.verify() == []
    return collection


def test_verify_finds_every_flipped_bit_of_a_part(filled: Collection) -> None:
    with filled.snapshot() as snapshot:
        path = snapshot.parts[0].file("bytes")
    good = path.read_bytes()
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        (problem,) = filled.verify()
        assert str(path) in problem and "checksum" in problem
    path.write_bytes(good[:-1])
    assert "committed" in filled.verify()[0]
    with filled.snapshot() as snapshot, pytest.raises(FormatError, match="committed"):
        snapshot.parts[0].file("bytes")
    path.unlink()
    assert len(filled.verify()) == 1
    with filled.snapshot() as snapshot, pytest.raises(FormatError, match="missing"):
        snapshot.parts[0].file("bytes")
    shutil.rmtree(path.parent)
    assert len(filled.verify()) == 1
    with pytest.raises(FormatError, match="missing"):
        filled.snapshot()


EDITS = [
    "UPDATE settings SET value = 385 WHERE name = 'width'",
    "UPDATE settings SET value = '384' WHERE name = 'width'",
    "INSERT INTO settings VALUES ('x', 1)",
    "UPDATE parts SET documents = documents + 1 WHERE id = 1",
    "UPDATE parts SET folder = '000009-00000000' WHERE id = 1",
    "UPDATE files SET size = size + 1",
    "UPDATE files SET sha256 = zeroblob(32)",
    "UPDATE documents SET encoding = 'latin-1' WHERE id = 1",
    "UPDATE documents SET id = 77 WHERE id = 1",
    "UPDATE pieces SET ordinal = 9 WHERE part = 1",
    "DELETE FROM dead",
    "INSERT INTO dead VALUES (1, 0)",
    "DELETE FROM paths WHERE id = 1",
    "UPDATE paths SET mtime_ns = 8 WHERE id = 1",
    "UPDATE paths SET uri = x'7a' WHERE id = 1",
    "UPDATE paths SET document = 99 WHERE id = 1",
    "UPDATE generations SET created_ns = created_ns + 1 WHERE number = 1",
    "UPDATE generations SET documents = 1",
    "UPDATE generations SET tally = zeroblob(32) WHERE number = 2",
    "UPDATE generations SET hash = zeroblob(32) WHERE number = 0",
    "DELETE FROM generations WHERE number = 2",
    "CREATE TRIGGER t AFTER INSERT ON dead BEGIN DELETE FROM paths; END",
    "CREATE VIEW v AS SELECT 1",
    "DROP INDEX paths_of_document",
]


@pytest.mark.parametrize("edit", EDITS)
def test_verify_finds_every_edited_row(filled: Collection, edit: str) -> None:
    connection = sqlite3.connect(filled.path / "catalog.db")
    with connection:
        assert connection.execute(edit).rowcount != 0
    connection.close()
    try:
        assert filled.verify()
    except FormatError as error:
        assert "catalog.db" in str(error)


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    try:
        tables = ["generations", "settings", "parts", "files", "documents", "pieces", "dead", "paths"]
        return [ascii(connection.execute(f"SELECT * FROM {name}").fetchall()) for name in tables]
    finally:
        connection.close()


def test_a_flipped_bit_of_the_catalog_is_found_or_changes_nothing(filled: Collection) -> None:
    path = filled.path / "catalog.db"
    good, rows = path.read_bytes(), dump(path)
    rng = random.Random(5)
    used = [at for at, byte in enumerate(good) if byte]  # most of the file is room for rows to come
    found = 0
    for _ in range(int(os.environ.get("THESPHERE_FLIPS", "400"))):
        bad, at = bytearray(good), rng.choice(used)
        bad[at] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        try:
            problems = Collection.open(filled.path).verify()
        except SphereError as error:
            problems = [str(error)]
        assert all("\n" not in problem for problem in problems)
        if problems:
            found += 1
        else:
            assert dump(path) == rows
    assert found > 200
    path.write_bytes(good)
    assert filled.verify() == []


def test_truncated_and_foreign_catalogs(filled: Collection, tmp_path: Path) -> None:
    path = filled.path / "catalog.db"
    good = path.read_bytes()
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.close()
    foreign = [b"", b"hello", os.urandom(4096), (tmp_path / "other.db").read_bytes(), good[:50], good[:4096]]
    for content in [*foreign, good[: len(good) // 2 // 4096 * 4096]]:
        path.write_bytes(content)
        with pytest.raises(FormatError) as caught:
            if Collection.open(filled.path).verify():
                raise FormatError("found by verify")
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(FormatError, match="not a collection"):
        Collection.open(filled.path)


def test_a_newer_schema(filled: Collection) -> None:
    connection = sqlite3.connect(filled.path / "catalog.db")
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    for use in (lambda: Collection.open(filled.path), filled.verify, filled.snapshot):
        with pytest.raises(SchemaError, match="schema 999"):
            use()


@pytest.mark.parametrize("name", ["../../etc", "/etc", "", "..", "000001-0000000g"])
def test_a_catalog_cannot_name_files_outside(filled: Collection, name: str) -> None:
    connection = sqlite3.connect(filled.path / "catalog.db")
    with connection:
        connection.execute("UPDATE parts SET folder = ? WHERE id = 1", (name,))
    with pytest.raises(FormatError, match="damaged"):
        filled.snapshot()
    with connection:
        connection.execute("UPDATE files SET name = '../catalog.db' WHERE part = 1")
    connection.close()
    with pytest.raises(FormatError, match="damaged"):
        filled.snapshot()


# -- wrong input --------------------


def test_wrong_places(tmp_path: Path, filled: Collection) -> None:
    with pytest.raises(NotFoundError, match="no collection"):
        Collection.open(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(FormatError, match="not a collection"):
            Collection.open(place)
        with pytest.raises(InputError):
            Collection.create(place, {})
    with pytest.raises(InputError, match="not empty"):
        Collection.create(filled.path, {})
    with pytest.raises(NotFoundError):
        Collection.create(tmp_path / "no" / "c.sphere", {})
    (tmp_path / "empty").mkdir()
    assert Collection.create(tmp_path / "empty", {}).verify() == []
    assert not list(tmp_path.glob(".*"))
    assert filled.verify() == []


def test_paths_that_cannot_be_followed_are_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for act in (Collection.create, Collection.open):
        with pytest.raises(SphereError, match="cannot|no collection"):
            act(tmp_path / "loop" / "c.sphere")
    locked = tmp_path / "locked"
    locked.mkdir()
    Collection.create(locked / "c.sphere", {})

    def denied(path: Path, *args: object, **named: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "is_file", denied)
        with pytest.raises(SphereError, match="cannot open .*permission denied"):
            Collection.open(locked / "c.sphere")
        patch.setattr(Path, "iterdir", denied)
        with pytest.raises(SphereError, match="cannot make .*permission denied"):
            Collection.create(locked)


def test_too_many_open_files_is_told(filled: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def full(path: object, *args: int, **named: int) -> int:
        if str(path).endswith("part.lock"):
            raise OSError(errno.EMFILE, "Too many open files", str(path))
        return real(path, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(SphereError, match="too many files are open; compact the collection"):
        filled.snapshot()


def test_settings_are_plain_text(tmp_path: Path) -> None:
    for wrong in ({"k": "\ud800"}, {"\udfff": 1}):
        with pytest.raises(InputError, match="half of a surrogate pair"):
            Collection.create(tmp_path / "x.sphere", wrong)
    assert Collection.create(tmp_path / "x.sphere", {"k": "\U0001f600"}).settings == {"k": "\U0001f600"}


def test_an_interrupted_creation_is_no_obstacle(tmp_path: Path) -> None:
    left = tmp_path / ".c.sphere.new"
    (left / "parts").mkdir(parents=True)
    (left / "catalog.db").write_bytes(b"half")
    (left / "catalog.db-journal").write_bytes(b"half")
    assert Collection.create(tmp_path / "c.sphere", {}).verify() == []
    assert not left.exists()


@pytest.mark.parametrize("value", [True, None, b"x", float("nan"), float("inf"), 2**63, [1]])
def test_wrong_settings(tmp_path: Path, collection: Collection, value: object) -> None:
    with pytest.raises(InputError, match="setting 'k'"):
        Collection.create(tmp_path / "x.sphere", {"k": value})  # type: ignore[dict-item]
    with collection.writer() as writer, pytest.raises(InputError, match="setting 'k'"):
        writer.commit(settings={"k": value})  # type: ignore[dict-item]
    assert not (tmp_path / "x.sphere").exists() and collection.stats()["generation"] == 0


def test_wrong_commits_change_nothing(filled: Collection, tmp_path: Path) -> None:
    before = dump(filled.path / "catalog.db")
    with filled.writer() as writer:

        def refused(match: str, *args: object, **named: object) -> None:
            with pytest.raises(InputError, match=match):
                writer.commit(*args, **named)  # type: ignore[arg-type]
            assert dump(filled.path / "catalog.db") == before

        part = new_part(writer, [b"x", b"y"])
        refused("ordinals", [NewPart(part.folder, part.documents[1:])])
        refused("twice", [NewPart(part.folder, [Document(0, b"d", 1), Document(1, b"d", 1)])])
        refused("not a part", [NewPart(tmp_path, [])])
        refused("neither stored", [part], paths=[PathEntry("x", "x", b"unknown")])
        refused("neither stored", paths=[PathEntry("a", "a", b"unknown")], forget=["b"])
        (part.folder / "sub").mkdir()
        refused("not a plain file", [part])
        (part.folder / "sub").rmdir()
        (part.folder / "link").symlink_to("bytes")
        refused("not a plain file", [part])
    assert filled.verify() == []


def test_a_read_only_folder_is_read_and_refuses_to_be_written(filled: Collection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(shutil.copytree(filled.path, Path(folder) / "c.sphere"))
        for here, _, names in os.walk(path):
            for name in names:
                os.chmod(Path(here) / name, 0o444)
            os.chmod(here, 0o555)
        user = os.geteuid()
        if user == 0:  # root may write anywhere, so be nobody for a while
            os.seteuid(65534)
        try:
            collection = Collection.open(path)
            assert collection.verify() == [] and len(listing(collection)) == 3
            with pytest.raises(SphereError, match="permission"), collection.writer():
                pass
            with pytest.raises(SphereError, match="permission"):
                Collection.create(path / "new.sphere", {})
        finally:
            os.seteuid(user)
            for here, _, _ in os.walk(path):
                os.chmod(here, 0o755)


def test_a_copied_folder_is_whole(filled: Collection, tmp_path: Path) -> None:
    shutil.copytree(filled.path, tmp_path / "copy")
    copy = Collection.open(tmp_path / "copy")
    assert copy.verify() == [] and listing(copy) == listing(filled)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
        (errno.EIO, "error"),
    ],
)
def test_one_clear_line_for_a_bad_disk(
    filled: Collection, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with filled.writer() as writer:
        part = new_part(writer, [b"x"])
        monkeypatch.setattr(part_module.os, "fsync", fail)
        with pytest.raises(SphereError, match=words):
            writer.commit([part], paths=[PathEntry("x", "x", digest(b"x"))])
        monkeypatch.undo()
    assert filled.verify() == [] and "x" not in listing(filled)
