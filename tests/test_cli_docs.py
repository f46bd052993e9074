"""The README is true: every command stands in it, its Python runs, its links lead somewhere."""

import re
import warnings
from pathlib import Path

import pytest

from thesphere.cli.app import COMMANDS, NESTED

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name: str):
    assert f"`thesphere {name} " in README or f"`thesphere {name}`" in README


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "keys.md").write_text("How to rotate the keys: stop, rotate, start.\n")
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(block, "README.md", "exec"), {})


def test_links_lead_somewhere():
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_every_option_of_the_readme_exists(capsys: pytest.CaptureFixture[str]):
    from thesphere.cli.app import run

    told = "--debug --user --no-deps "  # the last two are options of pip
    for line in [*([name] for name in COMMANDS), *([name, each] for name in NESTED for each in NESTED[name])]:
        run([*line, "--help"])
        told += capsys.readouterr().out
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)):
        assert option in told, option
