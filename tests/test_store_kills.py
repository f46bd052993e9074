"""Crashes: a writer that is killed at any moment, and a disk that fails at any write, flush or rename.

Afterwards the collection opens, verifies, holds everything that was committed, and the next writer completes.
"""

import ctypes
import errno
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import thesphere.store.part as part_module
import thesphere.store.tensors as tensors_module
from thesphere.errors import SphereError
from thesphere.store import (
    Blocks,
    BlockWriter,
    Collection,
    Document,
    NewPart,
    PathEntry,
    Writer,
    map_tensors,
    write_tensors,
)

KILLS = int(os.environ.get("THESPHERE_KILLS", "40"))


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def write_part(writer: Writer, contents: list[bytes]) -> NewPart:
    """A part as the layers above make it: tensors and blocks."""
    folder = writer.new_part()
    with BlockWriter(folder / "bytes") as blocks:
        for content in contents:
            blocks.write(content)
    ends = np.cumsum([len(content) for content in contents])
    write_tensors(folder / "spans.safetensors", {"ends": ends})
    return NewPart(folder, [Document(i, digest(c), len(c)) for i, c in enumerate(contents)])


def contents_of(collection: Collection) -> dict[str, bytes]:
    """Everything that is live, read back through the files of the parts and told by its digest."""
    with collection.snapshot() as snapshot:
        held = {}
        for part in snapshot.parts:
            blocks = Blocks(part.file("bytes"))
            ends = map_tensors(part.file("spans.safetensors"))[0]["ends"]
            for ordinal, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
                if ordinal not in part.dead:
                    content = blocks.read(int(start), int(end))
                    held[digest(content)] = content
    return {row.uri: held[row.digest] for row in collection.sources()}


def ingest(writer: Writer, files: dict[str, bytes]) -> None:
    fresh = [c for c in dict.fromkeys(files.values()) if writer.content(digest(c)) is None]
    parts = [write_part(writer, fresh)] if fresh else []
    writer.commit(parts, paths=[PathEntry(uri, uri, digest(c), 1, len(c)) for uri, c in files.items()])


def compact(writer: Writer, files: dict[str, bytes]) -> None:
    if files:
        writer.commit([write_part(writer, sorted(set(files.values())))])
    writer.sweep()


def check(collection: Collection, *allowed: dict[str, bytes]) -> dict[str, bytes]:
    """The collection is sound, in one of the allowed states; the next writer completes, leaving no orphan."""
    assert collection.verify() == []
    held = contents_of(collection)
    assert held in allowed, f"{sorted(held)} is none of {[sorted(files) for files in allowed]}"
    with collection.writer() as writer:
        ingest(writer, {"check": b"after the crash"})
        writer.commit(forget=["check"])
    assert collection.verify() == [] and contents_of(collection) == held
    with collection.snapshot() as snapshot:
        assert {p.name for p in (collection.path / "parts").iterdir()} == {
            part.folder.name for part in snapshot.parts
        }
    return held


def fork(child: Callable[[], object]) -> int:
    """Run `child` in a forked process that ends without clean-up. Returns its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads; the child starts none
        process = os.fork()
    if process == 0:
        code = 1
        try:
            child()
            code = 0
        finally:
            os._exit(code)
    return process


# -- killed at any moment --------------------


def history(seed: int, files: dict[str, bytes]) -> list[tuple[str, dict[str, bytes]]]:
    """Steps and the state that each of them ends in."""
    rng = random.Random(seed)
    steps = []
    for number in range(200):
        kind = rng.choice(["add", "add", "replace", "forget", "compact"])
        files = dict(files)
        if kind in ("add", "replace"):
            for uri in range(3):
                name = f"{seed}-{number}-{uri}" if kind == "add" or not files else rng.choice(sorted(files))
                files[name] = rng.randbytes(rng.randrange(3)) + rng.randbytes(40) * rng.randrange(900)
        elif kind == "forget" and len(files) > 5:
            for uri in rng.sample(sorted(files), 3):
                del files[uri]
        steps.append((kind, files))
    return steps


def work(path: Path, steps: list[tuple[str, dict[str, bytes]]], before: dict[str, bytes], log: int) -> None:
    with Collection.open(path).writer() as writer:
        os.write(log, b"r")  # ready
        for kind, files in steps:
            if kind == "compact":
                compact(writer, files)
            else:
                gone = before.keys() - files.keys()
                writer.commit(forget=gone)  # may stand alone: see `allowed`
                ingest(writer, {uri: c for uri, c in files.items() if before.get(uri) != c})
            os.write(log, b".")
            before = files


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "c.sphere", {"k": 1})
    rng = random.Random(int(os.environ.get("THESPHERE_SEED", "1")))
    files: dict[str, bytes] = {}
    for kill in range(KILLS):
        steps = history(kill, files)
        receive, send = os.pipe()
        process = fork(lambda s=steps, f=files, log=send: work(collection.path, s, f, log))
        os.close(send)
        assert os.read(receive, 1) == b"r"
        done = sum(len(os.read(receive, 1)) for _ in range(rng.randrange(4)))
        time.sleep(rng.uniform(0, 0.03))
        os.kill(process, signal.SIGKILL)
        assert os.waitpid(process, 0)[1] == signal.SIGKILL
        while block := os.read(receive, 4096):
            done += len(block)
        os.close(receive)
        states = [files, *(state for _, state in steps)]
        last, following = states[done], states[done + 1]
        between = {uri: c for uri, c in last.items() if uri in following}
        files = check(collection, last, between, following)
        if len(files) > 30:
            files = dict(sorted(files.items())[:10])
            with collection.writer() as writer:
                writer.commit(forget=contents_of(collection).keys() - files.keys())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_while_it_is_made(tmp_path: Path) -> None:
    rng = random.Random(3)
    made = 0
    for number in range(max(10, KILLS // 4)):
        path = tmp_path / f"{number % 3}.sphere"
        process = fork(lambda p=path: Collection.create(p, {"k": 1}))
        time.sleep(rng.uniform(0, 0.012))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        if path.exists():
            made += 1
            assert Collection.open(path).verify() == []
            shutil.rmtree(path)
    for number in range(3):
        assert Collection.create(tmp_path / f"{number}.sphere", {"k": 2}).settings == {"k": 2}
    assert not list(tmp_path.glob(".*"))


# -- a disk that fails at any call --------------------

BASE = {"a": b"alpha" * 900, "b": b"beta" * 900, "c": b"gamma" * 900}
AFTER = [
    BASE,
    {**BASE, "a": b"changed", "d": b"delta"},
    {"a": b"changed", "d": b"delta", "b": BASE["b"]},
]


def scenario(path: Path) -> None:
    """Replace and add, forget, compact: the states that a reader may see are BASE and AFTER."""
    with Collection.open(path).writer() as writer:
        ingest(writer, AFTER[1] | {"b": BASE["b"], "c": BASE["c"]})
        writer.commit(forget=["c"])
        compact(writer, AFTER[2])


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: many commits, and nothing here depends on a real disk."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


@pytest.fixture
def base(memory: Path) -> Path:
    collection = Collection.create(memory / "base.sphere", {"k": 1})
    with collection.writer() as writer:
        ingest(writer, BASE)
    return collection.path


class Trap:
    """Raises at the n-th of the calls that pass through it."""

    def __init__(self, number: int) -> None:
        self.left = number

    def spring(self, error: Exception) -> None:
        self.left -= 1
        if self.left == 0:
            raise error


def test_python_calls_that_fail(base: Path, memory: Path) -> None:
    """Each flush, rename, tensor file, block write, SQL statement in turn; COMMIT also after it happened."""
    real = {
        "fsync": os.fsync,
        "replace": os.replace,
        "save": tensors_module.save_file,
        "connect": sqlite3.connect,
    }
    put, rmtree = BlockWriter._put, shutil.rmtree
    failed = 0
    for number in range(1, 1000):
        path = memory / "trial.sphere"
        shutil.copytree(base, path)
        trap = Trap(number)

        def failing(call: Callable, trap: Trap = trap) -> Callable:
            def run(*args: object, **named: object) -> object:
                trap.spring(OSError(errno.ENOSPC, "No space left on device"))
                return call(*args, **named)

            return run

        class Failing(sqlite3.Connection):
            def execute(self, sql: str, *rest: object, trap: Trap = trap) -> sqlite3.Cursor:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR  # type: ignore[misc]
                trap.spring(error)
                result = super().execute(sql, *rest)  # type: ignore[arg-type]
                if sql == "COMMIT":
                    trap.spring(error)
                return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(part_module.os, "fsync", failing(real["fsync"]))
            patch.setattr(part_module.os, "replace", failing(real["replace"]))
            patch.setattr(tensors_module, "save_file", failing(real["save"]))
            patch.setattr(shutil, "rmtree", failing(rmtree))
            patch.setattr(sqlite3, "connect", lambda *a, f=Failing, **k: real["connect"](*a, factory=f, **k))
            failing_put = failing(put)
            patch.setattr(BlockWriter, "_put", lambda self, data, f=failing_put: f(self, data))
            try:
                scenario(path)
            except (SphereError, OSError) as error:
                assert isinstance(error, SphereError) or "No space" in str(error)
                assert "\n" not in str(error)
        check(Collection.open(path), *AFTER)
        rmtree(path)
        if trap.left > 0:
            break
        failed += 1
    assert 60 < failed < 999


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>
static long left = -1;      /* calls until one fails */
static int how = 0;         /* 0: kill the process, else this errno, and half of a write happens */
static int sticky = 0;      /* 1: every later call fails too */
void sphere_fail(long n, int kind, int stay) { left = n; how = kind; sticky = stay; }
long sphere_left(void) { return left; }
static int now(void) {
    if (left < 0 || (left == 0 && !sticky)) return 0;
    if (left > 0 && --left > 0) return 0;
    if (how == 0) kill(getpid(), SIGKILL);
    errno = how;
    return 1;
}
#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)
ssize_t write(int f, const void *b, size_t n) {
    REAL(ssize_t, "write", int, const void *, size_t);
    int e; if (left == 1 && how == 0 && n > 1) real(f, b, n / 2);
    if (now()) { e = errno; if (!sticky && n > 1) real(f, b, n / 2); errno = e; return -1; }
    return real(f, b, n); }
ssize_t pwrite(int f, const void *b, size_t n, off_t o) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    if (left == 1 && how == 0 && n > 1) real(f, b, n / 2, o);
    return now() ? -1 : real(f, b, n, o); }
ssize_t pwrite64(int f, const void *b, size_t n, off_t o) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    if (left == 1 && how == 0 && n > 1) real(f, b, n / 2, o);
    return now() ? -1 : real(f, b, n, o); }
int fsync(int f) { REAL(int, "fsync", int); return now() ? -1 : real(f); }
int fdatasync(int f) { REAL(int, "fdatasync", int); return now() ? -1 : real(f); }
int ftruncate(int f, off_t n) { REAL(int, "ftruncate", int, off_t); return now() ? -1 : real(f, n); }
int ftruncate64(int f, off_t n) { REAL(int, "ftruncate64", int, off_t); return now() ? -1 : real(f, n); }
int rename(const char *a, const char *b) {
    REAL(int, "rename", const char *, const char *); return now() ? -1 : real(a, b); }
int unlink(const char *a) { REAL(int, "unlink", const char *); return now() ? -1 : real(a); }
int unlinkat(int f, const char *a, int g) {
    REAL(int, "unlinkat", int, const char *, int); return now() ? -1 : real(f, a, g); }
int mkdir(const char *a, mode_t m) {
    REAL(int, "mkdir", const char *, mode_t); return now() ? -1 : real(a, m); }
"""


def trials(base: Path, folder: Path, stride: int) -> None:
    """Run in a process that has the shim: fail the n-th call of the scenario, in several ways."""
    shim = ctypes.CDLL(None)
    for how, sticky in [(0, 0), (errno.ENOSPC, 0), (errno.ENOSPC, 1), (errno.EIO, 0)]:
        for number in range(1, 5000, stride):
            path = folder / "trial.sphere"
            shutil.copytree(base, path)

            def child(path: Path = path, number: int = number, how: int = how, sticky: int = sticky) -> None:
                shim.sphere_fail(ctypes.c_long(number), how, sticky)
                try:
                    scenario(path)
                except SphereError as error:
                    assert "\n" not in str(error)
                os._exit(7 if shim.sphere_left() > 0 else 0)

            status = os.waitpid(fork(child), 0)[1]
            assert status in (signal.SIGKILL, 0, 7 << 8), f"call {number}, errno {how}: status {status}"
            try:
                check(Collection.open(path), *AFTER)
            except BaseException as error:
                raise AssertionError(f"call {number}, errno {how}, sticky {sticky}") from error
            shutil.rmtree(path)
            if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 7:
                break
        print(how, sticky, number)  # noqa: T201


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler")
def test_system_calls_that_fail(base: Path, memory: Path, tmp_path: Path) -> None:
    """Each write, flush, rename, truncation and removal of the whole process, SQLite's own among them."""
    (tmp_path / "shim.c").write_text(SHIM)
    shim = tmp_path / "shim.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-w", "-o", shim, tmp_path / "shim.c", "-ldl"], check=True
    )
    stride = os.environ.get("THESPHERE_FAULT_STRIDE", "5")
    done = subprocess.run(
        [sys.executable, __file__, base, memory, stride],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = [int(line.split()[-1]) for line in done.stdout.splitlines()]
    assert len(counts) == 4 and min(counts) > 60 and max(counts) < 4999


if __name__ == "__main__":
    trials(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
