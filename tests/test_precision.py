"""Each operation of the policy computes with the numbers that its table names, found out from what it answers."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from thesphere.neighbours.graph import Edges
from thesphere.runtime.policy import PRECISIONS, Operation

TINY = 2.0**-26  # beside 1 lost in float32, kept in float64
SINGLE, DOUBLE = "float32", "float64"


def edges(pairs: dict[tuple[int, int], float], count: int) -> Edges:
    both = sorted({**pairs, **{(b, a): w for (a, b), w in pairs.items()}}.items())
    own, other = np.array([pair for pair, _ in both]).T
    starts = np.searchsorted(own, np.arange(count + 1)).astype(np.int64)
    return Edges(starts, other.astype(np.int32), np.array([w for _, w in both], np.float32))


# Row 0 is drawn to rows 1 and 2 by 1 + TINY and to row 3 by 1; rows 4 and 5 hold those where they are.
TORN = edges({(0, 1): 1.0, (0, 2): TINY, (0, 3): 1.0, (1, 4): 8.0, (2, 4): 8.0, (3, 5): 8.0}, 6)
SIDES = np.array([0, 1, 1, 0, 1, 0], np.int32)


def ising_by_cells() -> str:
    from thesphere.roots.partition.heat import sweep_cells

    labels = SIDES.copy()
    sweep_cells(*TORN, labels, np.bincount(labels), 6, 0.0, np.uint64(0))
    return DOUBLE if labels[0] == 1 else SINGLE


def ising_by_spins() -> str:
    from thesphere.roots.partition.heat import sweep_spins

    spins, part = (2 * SIDES - 1).astype(np.int8), np.zeros(6, np.int32)
    sweep_spins(np.arange(1), part, 0, *TORN, spins, 0.0, 0.0, 0.0, 0.0, np.uint64(0))
    return DOUBLE if spins[0] == 1 else SINGLE


def ising_by_thrml() -> str:
    from thesphere.sampling.ising import sample_chain

    drawn = sample_chain(TORN, SIDES, 2, temperatures=np.full(20, TINY / 100))[:, 0]
    return DOUBLE if (drawn == 1).all() else SINGLE


def harmonics() -> str:
    from thesphere.harmonics import mesh

    (found,) = mesh(np.array([0.0, 0, 1, 0]), np.ones(1), np.zeros(1)).ravel()
    off = abs(found - np.sqrt(3 / (4 * np.pi)) * np.cos(1.0))
    assert off < 1e-6
    return DOUBLE if off < 1e-14 else SINGLE


def angles() -> str:
    from thesphere.navigate.cones import shape_of

    near = np.array([[1.0, 1e-5]])
    found = shape_of(np.array([[1.0, 0]]), np.array([0, 1]), np.ones(1), np.ones(1), near).angles[0, 0]
    return DOUBLE if abs(found / 1e-5 - 1) < 1e-3 else SINGLE


def energies() -> str:
    from thesphere.navigate import energies

    one = np.array([1 + TINY])
    joined = edges({(0, 1): 1.0, (1, 2): TINY}, 3)
    told = {
        "semantic": -1 - energies.semantic(one)[0],
        "radial": energies.radial(one, 1.0)[0],
        "entropy": energies.entropy(one)[0] - 1,
        "harmonic": -1 - energies.harmonic(one)[0],
        "graph": 1 / 3 + energies.graph(joined, np.arange(3), np.zeros(3))[1],
    }
    exact = {"semantic": TINY, "radial": TINY**2, "entropy": TINY, "harmonic": 2 * TINY, "graph": -TINY / 3}
    close = {abs(told[name] / exact[name] - 1) < 1e-6 for name in exact}
    assert len(close) == 1, told
    return DOUBLE if close == {True} else SINGLE


def recheck() -> str:
    from thesphere.scan import Part, encode, exact, search

    rows = np.array([[1e8, 1, -1e8], [0, 0.5, 0]], np.float32)
    part, query = Part(encode(rows), rows), np.ones((1, 3), np.float32)
    found = {exact(part, query, np.array([0]))[0], search([part], query, 1).scores[0, 0]}
    assert len(found) == 1
    return DOUBLE if found == {1.0} else SINGLE


def similarity() -> str:
    from thesphere.neighbours import nearest

    rows = np.array([[1, 0], [1, 1e-5], [1, 0]])  # cosines 1 - 5e-11 and 1: alike in float32
    found = nearest(rows, 1, exact=True)
    assert found.ids[0, 0] in (1, 2)
    return SINGLE if found.ids[0, 0] == 1 else DOUBLE


def layout() -> str:
    from thesphere.chart import chart, descent
    from thesphere.chart import layout as module

    given: list[np.ndarray] = []

    def kept(start: np.ndarray, *rest, **options) -> np.ndarray:
        given.append(start)
        return descent.descend(start, *rest, **options)

    module.descend = kept
    try:
        made = chart(np.random.default_rng(0).standard_normal((12, 4)), epochs=2)
    finally:
        module.descend = descent.descend
    (start,) = given
    assert start.dtype == made.positions.dtype
    return str(start.dtype)


def training_of_entropy() -> str:
    import jax

    from thesphere.nn.shape import Shape
    from thesphere.train import loop

    state = loop.begin(Shape(16, 1, (4, 4, 4)), loop.Settings(steps=1, lanes=jax.device_count(), window=8))
    (kind,) = {str(leaf.dtype) for leaf in jax.tree.leaves(state.parameters)}
    return kind


def training_of_encoders() -> str:
    import jax

    from thesphere.nn.grams import Rows
    from thesphere.nn.sphere_shape import SphereShape
    from thesphere.train import encoder

    shape = SphereShape(width=16, layers=1, heads=0, hidden=0, rows=Rows(40, 40, 8), table=16, embedding=16)
    state = encoder.begin(shape, encoder.Settings(1))
    (kind,) = {str(leaf.dtype) for leaf in jax.tree.leaves(state.parameters)}
    return kind


def scan() -> str:
    from thesphere.scan import encode

    return str(encode(np.ones((1, 3), np.float32)).codes.dtype)


PROBES: list[tuple[Operation, Callable[[], str], str]] = [
    ("ising", ising_by_cells, ""),
    ("ising", ising_by_spins, ""),
    ("ising", ising_by_thrml, "thrml"),
    ("harmonics", harmonics, "jax"),
    ("angles", angles, ""),
    ("energies", energies, ""),
    ("recheck", recheck, ""),
    ("similarity", similarity, ""),
    ("layout", layout, ""),
    ("training", training_of_entropy, "optax"),
    ("training", training_of_encoders, "optax"),
    ("scan", scan, ""),
]


@pytest.mark.parametrize(
    ("operation", "probe", "extra"), PROBES, ids=[probe.__name__ for _, probe, _ in PROBES]
)
def test_the_code_computes_as_the_policy_says(operation: Operation, probe: Callable, extra: str) -> None:
    if extra:
        pytest.importorskip(extra)
    assert probe() == PRECISIONS[operation]


def test_every_operation_is_tried() -> None:
    assert {operation for operation, _, _ in PROBES} == set(PRECISIONS)


OTHERWISE: dict[Operation, str] = {
    "ising": SINGLE,
    "harmonics": SINGLE,
    "angles": SINGLE,
    "energies": SINGLE,
    "similarity": DOUBLE,
    "layout": DOUBLE,
}


@pytest.mark.skipif(find_spec("thrml") is None, reason="needs thrml")
def test_the_code_reads_the_table() -> None:
    """With another table the same probes answer otherwise: nobody else decides."""
    names = [probe.__name__ for operation, probe, _ in PROBES if operation in OTHERWISE]
    code = (
        "from thesphere.runtime.policy import PRECISIONS\n"
        f"PRECISIONS.update({OTHERWISE})\n"
        "import test_precision\n"
        f"print(*[getattr(test_precision, name)() for name in {names}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        env={"NUMBA_DISABLE_JIT": "1", "PATH": "", "JAX_PLATFORMS": "cpu"},  # kernels are kept compiled
    )
    assert done.returncode == 0, done.stderr
    expected = [OTHERWISE[operation] for operation, _, _ in PROBES if operation in OTHERWISE]
    assert done.stdout.split() == expected
