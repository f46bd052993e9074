"""Lateral filling: the balance of prominence overflow, and neighbours closer together on the chart."""

import numpy as np
import pytest

from thesphere.chart import overlap
from thesphere.errors import InputError
from thesphere.filling import fill
from thesphere.filling.lateral import Lateral, without_room
from thesphere.filling.problem import State
from thesphere.neighbours import Neighbours, nearest
from thesphere.sampling import couple


@pytest.fixture(scope="module")
def clusters() -> tuple[np.ndarray, Neighbours]:
    """Thirty clusters in 24 dimensions with lognormal norms, [900, 24], and their neighbours."""
    rng = np.random.default_rng(0)
    rows = 2 * rng.standard_normal((30, 24))[np.arange(900) % 30] + rng.standard_normal((900, 24))
    rows *= rng.lognormal(0, 0.5, (900, 1))
    return rows.astype(np.float32), nearest(rows, 12)


@pytest.mark.parametrize("start", ["pca", "random"])
def test_neighbours_gather_at_equal_balance(clusters, start: str) -> None:
    rows, graph = clusters
    before = fill(rows, chart=start)
    after = fill(rows, method="lateral", chart=start, neighbours=graph)
    assert after.info.tv[-1] == before.info.tv[-1] == 0
    np.testing.assert_array_equal(after.shells, before.shells)
    assert after.info.lateral_moves > len(rows)
    assert overlap(after.positions, graph) > overlap(before.positions, graph) + 0.15


def test_without_exploration_it_is_prominence_overflow(clusters) -> None:
    rows, _ = clusters
    still = fill(rows, method=Lateral(explorations=0))
    overflow = fill(rows, method="prominence")
    assert still.info.tv == overflow.info.tv and still.info.lateral_moves == 0
    for name in ("shells", "theta", "phi"):
        np.testing.assert_array_equal(getattr(still, name), getattr(overflow, name))


def test_exploration_does_not_disturb_the_balance(clusters) -> None:
    rows, graph = clusters
    moving = fill(rows, method="lateral", neighbours=graph)
    overflow = fill(rows, method="prominence")
    shared = min(len(moving.info.tv), len(overflow.info.tv))
    assert moving.info.tv[:shared] == overflow.info.tv[:shared]
    assert (np.diff(moving.info.tv) <= 0).all()


def test_a_threshold_beyond_every_score_stops_all_moves(clusters) -> None:
    rows, graph = clusters
    moved = [
        fill(rows, method=Lateral(threshold=threshold), neighbours=graph).info.lateral_moves
        for threshold in (0.0, 0.1, 1 + Lateral.crowding)
    ]
    assert moved[0] > moved[1] > moved[2] == 0


def test_the_key_decides_and_threads_do_not(clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, graph = clusters
    large = np.tile(rows, (20, 1))  # more than one block of work
    places = np.random.default_rng(1).standard_normal((len(large), 3))
    near = Neighbours(np.tile(graph.ids, (20, 1)), np.tile(graph.similarities, (20, 1)))
    turns = []
    for key, threads in ((1, "1"), (1, "3"), (2, "1")):
        monkeypatch.setenv("THESPHERE_THREADS", threads)
        filling = fill(large, method=Lateral(explorations=2), key=key, positions=places, neighbours=near)
        turns.append(filling.phi)
    np.testing.assert_array_equal(turns[0], turns[1])
    assert (turns[0] != turns[2]).any()


def test_only_points_of_full_shells_explore(clusters) -> None:
    rows, graph = clusters
    state = State(np.arange(900)[::-1], np.array([0, 500, 500, 700, 900]))
    seeking = without_room(state, np.array([100, 400, 200, 200]))
    np.testing.assert_array_equal(seeking, np.isin(np.arange(900)[::-1], np.r_[0:500, 500:900]))
    seeking = without_room(state, np.array([100, 200, 400, 200]))
    np.testing.assert_array_equal(np.flatnonzero(seeking), np.sort(state.order[np.r_[0:500, 700:900]]))
    begun = fill(rows, chart="random").positions.astype(np.float32)
    after, moves = Lateral().explore(begun, couple(graph, scaled=False), seeking, 5.0, key=0)
    assert 0 < moves <= seeking.sum()
    np.testing.assert_array_equal(after[~seeking], begun[~seeking])


def test_the_number_of_explorations_falls_with_the_points() -> None:
    passes = [Lateral().explorations_of(10**n) for n in range(8)]
    assert passes == sorted(passes, reverse=True) and passes[0] == 40 and passes[-1] == 4
    assert Lateral(explorations=7).explorations_of(10**6) == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": -0.1},
        {"threshold": np.nan},
        {"crowding": np.inf},
        {"directions": -1},
        {"neighbours": 0},
        {"explorations": -1},
    ],
)
def test_settings_are_checked(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Lateral(**wrong)
