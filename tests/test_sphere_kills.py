"""Crashes of a whole ingest or compact: killed at any moment, and a disk that fails at any call.

Afterwards the collection opens and verifies, what was committed is found, and one clean run ends in the same
answers as a run that nothing disturbed.
"""

import builtins
import errno
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_sphere import Fake, answers, lay

import thesphere.sphere.batch as batch_module
import thesphere.sphere.ingest as ingest_module
import thesphere.sphere.sphere as sphere_module
import thesphere.store.part as part_module
import thesphere.store.tensors as tensors_module
from thesphere.encoders import open_encoder
from thesphere.errors import SphereError
from thesphere.sphere import Sphere
from thesphere.store import BlockWriter
from thesphere.store.part import disk_error

KILLS = int(os.environ.get("THESPHERE_KILLS", "15"))
SEED = int(os.environ.get("THESPHERE_SEED", "1"))
STRIDE = int(os.environ.get("THESPHERE_FAULT_STRIDE", "60"))


def limits(patch: pytest.MonkeyPatch, documents: int) -> None:
    """Small parts, a commit after each, sources of some kilobytes streamed and spread over parts."""
    patch.setattr(batch_module, "PART_DOCUMENTS", documents)
    patch.setattr(batch_module, "PART_BYTES", 30_000)
    patch.setattr(ingest_module, "WHOLE", 30_000)
    patch.setattr(
        sphere_module, "open_encoder", lambda n, s=None: Fake() if "fake" in n else open_encoder(n, s)
    )


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: many commits, and nothing here depends on a real disk."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


def contents(rng: random.Random, files: int) -> dict[str, bytes]:
    """Small files, a few identical ones, one that is streamed."""
    words = "fox hound lazy quick rotate keys line identical evidence größte 狐狸 HTTPResponse".split()
    made = {}
    for number in range(files):
        text = " ".join(rng.choice(words) for _ in range(rng.randrange(2, 60)))
        made[f"{number % 7}/{number}.txt"] = f"{number} {text}\n".encode() * (1 + number % 3)
    made["0/same.txt"] = made["6/copy.py"] = made["3/3.txt"]
    made["long.txt"] = b"".join(b"line %d of the fox %d\n" % (i, rng.randrange(999)) for i in range(4000))
    return made


def changed(rng: random.Random, files: dict[str, bytes]) -> dict[str, bytes]:
    """Some files replaced, some made identical to others."""
    names = sorted(files)
    new = {name: b"new " + files[name] for name in rng.sample(names, len(names) // 4)}
    new |= {name: files[rng.choice(names)] for name in rng.sample(names, len(names) // 8)}
    return {**files, **new}


def run_in_fork(work: Callable[[], object]) -> int:
    """A process that does it and ends without clean-up; exit code 0 if all went well."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # forking beside threads; the child uses none of them
        process = os.fork()
    if process == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return process


def kill_during(work: Callable[[], object], seconds: float) -> bool:
    """Kill the work after so long; True if it had finished before."""
    process = run_in_fork(work)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    assert status in (0, signal.SIGKILL), f"the work itself failed with status {status}"
    return status == 0


def state(sphere: Sphere) -> dict[str, bytes]:
    """Every live path and its bytes, through the files of the parts."""
    held: dict[str, list[tuple[int, bytes]]] = {}
    view = sphere.view
    for part, document, record in view.records():
        base, end = int(part.document_base[document]), int(part.document_ends[document])
        piece = base, view.read(part, document, base, end)[0]
        held.setdefault(record.digest, []).append(piece)
    whole = {digest: b"".join(data for _, data in sorted(pieces)) for digest, pieces in held.items()}
    return {row.name.partition("/")[2]: whole[row.digest.hex()] for row in sphere.collection.sources()}


def check(path: Path, before: dict[str, bytes], after: dict[str, bytes]) -> dict[str, bytes]:
    """The collection is sound, and each path holds what was committed last or what was being written."""
    with Sphere.open(path) as sphere:
        assert sphere.verify() == []
        held = state(sphere)
        assert before.keys() <= held.keys() <= after.keys()
        for name, data in held.items():
            assert data in (before.get(name), after[name]), name
        for query in ("quick fox", "größte"):
            sphere.prove(sphere.search(query, 3))
        if held:
            some = sorted(held)[len(held) // 2]
            assert len(sphere.search(contains=held[some][:40], k=1)) == 1
    return held


def no_orphans(path: Path) -> bool:
    with Sphere.open(path) as sphere, sphere.collection.snapshot() as snapshot:
        return {p.name for p in (path / "parts").iterdir()} == {p.folder.name for p in snapshot.parts}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits(monkeypatch, 20)
    rng = random.Random(SEED)
    path, root = memory / "c.sphere", memory / "files"
    kills = {"ingest": 0, "compact": 0}
    rounds = 0
    while sum(kills.values()) < KILLS:
        # an undisturbed run of this round's files, and how long it takes
        files: dict[str, bytes] = {}
        first = contents(rng, 150)
        after = changed(rng, first)
        shutil.rmtree(memory / "calm.sphere", ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)
        Sphere.create(path, encoder="fake").close()
        for wanted in (first, after):
            lay(root, wanted)
            with Sphere.create(memory / "calm.sphere", encoder="fake") as calm:
                begun = time.monotonic()
                calm.ingest(root)
                length = time.monotonic() - begun
                expected = answers(calm)
            shutil.rmtree(memory / "calm.sphere")

            def ingest() -> None:
                Sphere.open(path).ingest(root)

            def compact() -> None:
                Sphere.open(path).compact()

            while not kill_during(ingest, rng.uniform(0, 0.9 * length)):
                kills["ingest"] += 1
                files = check(path, files, wanted)
                length *= 1.1  # the folder is read again from its start: at last a run gets through
            with Sphere.open(path) as sphere:
                assert sphere.ingest(root).added == 0
                assert answers(sphere) == expected and state(sphere) == wanted
                sphere.remove("files/long.txt")
                sphere.ingest(root)
                expected = answers(sphere)
            files = wanted
            for _ in range(4):
                if kill_during(compact, rng.uniform(0, 0.7 * length)):
                    break
                kills["compact"] += 1
                assert check(path, wanted, wanted) == wanted
                with Sphere.open(path) as sphere:
                    assert answers(sphere) == expected
            with Sphere.open(path) as sphere:
                sphere.compact()
                assert answers(sphere) == expected and sphere.verify() == []
            assert no_orphans(path)
            if sum(kills.values()) >= KILLS:
                break
        rounds += 1
        assert rounds <= KILLS
    print(f"killed {kills['ingest']} ingests and {kills['compact']} compacts")  # noqa: T201


# -- a disk that fails --------------------


class Trap:
    """Raises at the n-th call that passes through it, or from then on."""

    def __init__(self, number: int, number_of_error: int, sticky: bool) -> None:
        self.left, self.errno, self.sticky = number, number_of_error, sticky

    def spring(self, error: Exception | None = None) -> None:
        self.left -= 1
        if self.left == 0 or (self.left < 0 and self.sticky):
            raise error or OSError(self.errno, os.strerror(self.errno))


def set_traps(patch: pytest.MonkeyPatch, trap: Trap) -> None:
    def failing(call: Callable) -> Callable:
        def run(*args: object, **named: object) -> object:
            trap.spring()
            return call(*args, **named)

        return run

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *rest: object) -> sqlite3.Cursor:
            if sql in ("COMMIT", "BEGIN IMMEDIATE") or sql.startswith("INSERT INTO generations"):
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR  # type: ignore[misc]
                trap.spring(error)
            return super().execute(sql, *rest)  # type: ignore[arg-type]

    real_open, real_connect = builtins.open, sqlite3.connect

    def opened(file: object, mode: str = "r", *args: object, **named: object) -> object:
        if set(mode) & set("wxa+"):
            trap.spring()
        return real_open(file, mode, *args, **named)  # type: ignore[call-overload]

    patch.setattr(part_module.os, "fsync", failing(os.fsync))
    patch.setattr(part_module.os, "replace", failing(os.replace))
    patch.setattr(os, "mkdir", failing(os.mkdir))
    patch.setattr(tensors_module, "save_file", failing(tensors_module.save_file))
    put = BlockWriter._put

    def putting(self: BlockWriter, data: bytes) -> None:
        try:
            trap.spring()
        except OSError as error:
            raise disk_error(error, f"write {self.path}") from error
        put(self, data)

    patch.setattr(BlockWriter, "_put", putting)
    patch.setattr(builtins, "open", opened)
    patch.setattr(sqlite3, "connect", lambda *a, **k: real_connect(*a, factory=Failing, **k))


@pytest.mark.parametrize(("number_of_error", "sticky"), [(errno.ENOSPC, True), (errno.EIO, False)])
def test_a_disk_that_fails_at_any_call(
    memory: Path, monkeypatch: pytest.MonkeyPatch, number_of_error: int, sticky: bool
) -> None:
    """Each flush, rename, folder, file, block and commit in turn, once or from then on."""
    limits(monkeypatch, 4)
    rng = random.Random(7)
    old = contents(rng, 9)
    new = {**changed(rng, old), "added.txt": b"added fox"}
    root = lay(memory / "files", old)
    with Sphere.create(memory / "base.sphere", encoder="fake") as base:
        base.ingest(root)
    lay(root, new)
    with Sphere.create(memory / "calm.sphere", encoder="fake") as calm:
        calm.ingest(root)
        expected = answers(calm)
    path = memory / "trial.sphere"
    failed = 0
    for number in range(1 + sticky * STRIDE // 2, 5000, STRIDE):
        shutil.copytree(memory / "base.sphere", path)
        trap = Trap(number, number_of_error, sticky)
        sphere = Sphere.open(path)
        error = None
        with pytest.MonkeyPatch.context() as patch:
            set_traps(patch, trap)
            try:
                sphere.ingest(root)
                sphere.compact()
            except SphereError as one:
                error = one
        assert error is None or "\n" not in str(error)
        assert (error is not None) or trap.left != 0 or not sticky
        sphere.close()
        held = check(path, old, new)
        with Sphere.open(path) as sphere:
            sphere.ingest(root)
            assert state(sphere) == new and answers(sphere) == expected, f"call {number}"
            sphere.compact()
            assert answers(sphere) == expected and sphere.verify() == []
        assert no_orphans(path)
        shutil.rmtree(path)
        if trap.left > 0:
            assert held == new
            break
        failed += 1
    assert 100 / STRIDE < failed < 4000 / STRIDE
