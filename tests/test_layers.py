"""Imports go down only: the table below is the architecture, and this test keeps it."""

import ast
from pathlib import Path

import pytest

import thesphere

LAYERS = [  # from the bottom up; siblings on a line do not import each other
    ["errors"],
    ["types", "progress", "metrics", "room"],
    ["nn", "runtime", "geometry", "text"],
    ["readers", "patches", "store", "neighbours", "norms"],
    ["encoders", "signals", "harmonics", "sampling", "lexical", "scan", "chart"],
    ["roots", "filling"],
    ["navigate"],
    ["sphere", "train"],
    ["service", "viz", "compat"],
    ["cli"],
]
LEVEL = {name: level for level, row in enumerate(LAYERS) for name in row}
ROOT = Path(thesphere.__file__).parent
FILES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def noun(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The top-level parts of thesphere that `path` imports, at any depth of the code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            names = [node.module or ""]
            if node.module == "thesphere":
                names = [f"thesphere.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("thesphere.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    here = noun(path)
    assert here in LEVEL, f"{here} has no layer: add it to the table and to docs/decisions.md"
    for other in imports(path) - {here}:
        assert other in LEVEL, f"{path} imports unknown thesphere.{other}"
        assert LEVEL[other] < LEVEL[here], f"{path}: {here} may not import {other}"


def test_one_file_imports_thrml() -> None:
    users = [p for p in FILES if "import thrml" in p.read_text() or "from thrml" in p.read_text()]
    assert len(users) <= 1


def test_store_knows_no_jax() -> None:
    for path in FILES:
        if noun(path) in {"store", "types", "errors", "progress", "metrics", "text", "scan", "lexical"}:
            assert "import jax" not in path.read_text()
