"""thrml's samples and our heat-bath's against the exact law of tiny graphs; one compilation for many graphs."""

import itertools

import numpy as np
import pytest

from thesphere.errors import InputError
from thesphere.neighbours.graph import Edges
from thesphere.roots.partition.heat import sweep_cells, sweep_spins


def graph(count: int, seed: int, density: float = 0.6) -> tuple[Edges, np.ndarray]:
    """A random symmetric graph as compressed rows and as a matrix [N, N]."""
    rng = np.random.default_rng(seed)
    dense = np.triu(rng.normal(0.4, 0.8, (count, count)) * (rng.random((count, count)) < density), 1)
    return sparse(dense + dense.T), dense + dense.T


def sparse(dense: np.ndarray) -> Edges:
    own, other = np.nonzero(dense)
    starts = np.searchsorted(own, np.arange(len(dense) + 1)).astype(np.int64)
    return Edges(starts, other.astype(np.int32), dense[own, other].astype(np.float32))


def law(dense: np.ndarray, cells: int, temperature: float, fields=None, room=None) -> np.ndarray:
    """float64 [cells^N]: the probability of every labelling, by enumeration."""
    states = np.array(list(itertools.product(range(cells), repeat=len(dense))))
    same = states[:, :, None] == states[:, None, :]
    energy = -(same * np.triu(dense, 1)).sum(axis=(1, 2))
    if fields is not None:
        energy = energy + np.asarray(fields)[states].sum(axis=1)
    weight = np.exp(-(energy - energy.min()) / temperature)
    if room is not None:
        sizes = (states[:, :, None] == np.arange(cells)).sum(axis=1)
        weight[sizes.max(axis=1) > room] = 0
    return weight / weight.sum()


def distance(samples: np.ndarray, cells: int, exact: np.ndarray) -> float:
    """Total variation between the samples [S, N] and the exact law."""
    numbers = samples @ cells ** np.arange(samples.shape[1] - 1, -1, -1)
    return float(np.abs(np.bincount(numbers, minlength=len(exact)) / len(samples) - exact).sum() / 2)


def heat_bath(edges: Edges, cells: int, sweeps: int, temperature: float, room: int, labels) -> np.ndarray:
    labels, out = np.array(labels, np.int32), []
    sizes = np.bincount(labels, minlength=cells)
    for sweep in range(sweeps):
        sweep_cells(*edges, labels, sizes, room, temperature, np.uint64(1000 * sweep))
        out.append(labels.copy())
    assert (sizes == np.bincount(labels, minlength=cells)).all()
    return np.array(out)


@pytest.mark.parametrize(("cells", "room"), [(2, 6), (3, 6), (3, 2), (4, 2)])
def test_heat_bath_draws_the_exact_law(cells: int, room: int) -> None:
    edges, dense = graph(5, seed=cells)
    drawn = heat_bath(edges, cells, 60_000, 0.8, room, [0, 1, 0, 1, 1] if cells == 2 else [0, 1, 2, 0, 1])
    exact = law(dense, cells, 0.8, room=room)
    # sampling noise of independent draws: sum sqrt(p (1 - p) / S) / 2; successive sweeps are correlated
    noise = np.sqrt(exact * (1 - exact) / len(drawn)).sum() / 2
    assert distance(drawn, cells, exact) < 4 * noise


def test_heat_bath_reaches_a_cell_that_no_neighbour_is_in() -> None:
    edges = sparse(np.array([[0, 1.0], [1.0, 0]]))
    drawn = heat_bath(edges, 6, 20_000, 1.0, 2, [0, 0])
    exact = law(np.array([[0, 1.0], [1.0, 0]]), 6, 1.0)
    assert distance(drawn, 6, exact) < 0.03


@pytest.mark.parametrize(("stiffness", "aim"), [(0.0, 0.0), (3.0, 2.0)])
def test_spins_draw_the_exact_law(stiffness: float, aim: float) -> None:
    edges, dense = graph(6, seed=3)
    states = np.array(list(itertools.product((-1, 1), repeat=6)))
    energy = -np.einsum("si,ij,sj->s", states, dense, states) / 2
    energy = energy + stiffness / 12 * (states.sum(axis=1) - aim) ** 2
    exact = np.exp(-(energy - energy.min()) / 1.5)
    exact /= exact.sum()
    spins, magnet, drawn = np.array([1, -1, 1, -1, 1, -1], np.int8), 0.0, []
    members, part = np.arange(6), np.zeros(6, np.int32)
    for sweep in range(60_000):
        magnet = sweep_spins(
            members, part, 0, *edges, spins, magnet, stiffness, aim, 1.5, np.uint64(1000 * sweep)
        )
        drawn.append((spins > 0).astype(np.int64))
    assert magnet == spins.sum()
    noise = np.sqrt(exact * (1 - exact) / len(drawn)).sum() / 2
    assert distance(np.array(drawn), 2, exact) < 4 * noise


def test_a_square_of_two_strong_pairs_is_cut_between_them() -> None:
    """The sign: J > 0 keeps together, so the ground state cuts the weak edges."""
    dense = np.array([[0, 3, 0, 1], [3, 0, 1, 0], [0, 1, 0, 3], [1, 0, 3, 0]], float)
    drawn = heat_bath(sparse(dense), 2, 400, 0.2, 3, [0, 1, 0, 1])  # room 2 would freeze it
    held = drawn[200:]
    assert (
        (held[:, 0] == held[:, 1]) & (held[:, 2] == held[:, 3]) & (held[:, 0] != held[:, 2])
    ).mean() > 0.95


class TestThrml:
    @pytest.fixture(autouse=True)
    def needs_thrml(self) -> None:
        pytest.importorskip("thrml")

    @pytest.mark.parametrize("fields", [None, [0.0, 0.5, -0.3]])
    def test_template_draws_the_exact_law(self, fields) -> None:
        from thesphere.sampling.ising import sample_chain

        edges, dense = graph(5, seed=7)
        drawn = sample_chain(edges, np.zeros(5), 3, temperatures=np.full(30_000, 0.9), fields=fields, key=1)
        exact = law(dense, 3, 0.9, fields)
        noise = np.sqrt(exact * (1 - exact) / len(drawn)).sum() / 2
        assert distance(drawn, 3, exact) < 4 * noise

    def test_two_cells_are_the_ising_model(self) -> None:
        from thesphere.sampling.ising import sample_chain

        edges, dense = graph(5, seed=8)
        states = 2 * np.array(list(itertools.product((0, 1), repeat=5))) - 1
        exact = np.exp(np.einsum("si,ij,sj->s", states, dense / 2, states) / 2)
        drawn = sample_chain(edges, np.zeros(5), 2, temperatures=np.full(30_000, 1.0))
        assert distance(drawn, 2, exact / exact.sum()) < 0.03

    def test_one_compilation_serves_all_graphs_of_a_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from thesphere.sampling import ising

        traced = []
        drawn = ising.PottsConditional.compute_parameters
        monkeypatch.setattr(
            ising.PottsConditional,
            "compute_parameters",
            lambda self, *given: (traced.append(1), drawn(self, *given))[1],
        )
        ring = np.roll(np.eye(40), 1, axis=1)
        for strength in (0.5, 1.0, 2.0):
            shuffled = np.random.default_rng(int(strength * 2)).permutation(40)
            dense = strength * (ring + ring.T)[shuffled][:, shuffled]
            ising.sample_potts(sparse(dense), np.zeros(40), 5, temperatures=np.full(7, strength))
        assert len(traced) == len(ising.lay_out(sparse(ring + ring.T)).tails)  # each block once, then never

    def test_layout_separates_neighbours_and_keeps_couplings(self) -> None:
        from thesphere.sampling.ising import lay_out

        edges, dense = graph(30, seed=9, density=0.3)
        layout = lay_out(edges)
        blocks, width, _ = layout.tails.shape
        assert len(np.unique(layout.slots)) == 30
        block = layout.slots // width
        assert not (dense != 0)[block[:, None] == block[None, :]].any()
        back = np.zeros((blocks * width, blocks * width))
        rows = np.arange(blocks * width)[:, None]
        np.add.at(
            back, (rows, layout.tails.reshape(blocks * width, -1)), layout.weights.reshape(len(rows), -1)
        )
        np.testing.assert_allclose(back[layout.slots][:, layout.slots], dense, rtol=1e-6)

    def test_fields_lower_the_largest_cell(self) -> None:
        from thesphere.sampling.ising import sample_chain

        edges = sparse(
            0.35 * (1.0 - np.eye(12))
        )  # all alike: without fields one cell takes nearly everything
        largest = []
        for room in (None, 5):
            drawn = sample_chain(edges, np.zeros(12), 3, temperatures=np.ones(1000), room=room, key=4)
            sizes = (drawn[:, :, None] == np.arange(3)).sum(axis=1)
            largest.append(sizes[200:].max(axis=1).mean())
        assert largest[0] > 10.5 and largest[1] < 9.5  # rows all alike move together: no field can part them

    def test_same_key_same_labels_and_bad_input(self) -> None:
        from thesphere.sampling.ising import sample_potts

        edges, _ = graph(12, seed=2)
        runs = [sample_potts(edges, np.zeros(12), 3, temperatures=np.ones(9), key=k) for k in (5, 5, 6)]
        assert (runs[0] == runs[1]).all() and (runs[0] != runs[2]).any()
        with pytest.raises(InputError, match="above 0"):
            sample_potts(edges, np.zeros(12), 3, temperatures=np.zeros(2))
        with pytest.raises(InputError, match="labels"):
            sample_potts(edges, np.full(12, 3), 3, temperatures=np.ones(2))
