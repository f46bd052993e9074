"""What the tests of the command share: the installed command, a folder of small files, a collection of it."""

import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = str(Path(sysconfig.get_path("scripts")) / "thesphere")


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the installed command in a process of its own."""

    def call(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
        line = [COMMAND, *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, timeout=300, **options)

    return call


@pytest.fixture(scope="session")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with text, code, rows, bytes, a copy, an empty file and a link to nothing."""
    folder = tmp_path_factory.mktemp("files") / "notes"
    (folder / "sub").mkdir(parents=True)
    (folder / "keys.py").write_text(
        'def rotate_keys(store):\n    """Rotate the signing keys."""\n    return store\n'
    )
    prose = "# Animals\nThe quick brown fox jumps over the lazy dog.\nKeys are rotated every month.\n"
    (folder / "animals.md").write_text(prose)
    (folder / "sub" / "copy.md").write_text(prose)
    (folder / "rows.jsonl").write_text('{"text": "Der schnelle Fuchs springt"}\n{"text": "a red door"}\n')
    (folder / "picture.bin").write_bytes(bytes(range(256)) * 4 + b"\x89PNG\r\n\x1a\n" + bytes(300))
    (folder / "empty.txt").touch()
    (folder / "dead").symlink_to("nowhere")
    return folder


@pytest.fixture(scope="session")
def collection(
    notes: Path,
    tmp_path_factory: pytest.TempPathFactory,
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> Path:
    """A collection of `notes`. Tests must not change it."""
    path = tmp_path_factory.mktemp("collection") / "notes.sphere"
    done = command("ingest", notes, "--into", path)
    assert done.returncode == 0, done.stderr
    return path
