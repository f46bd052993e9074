"""Filling: the contract that every method keeps, balance, streaming, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.filling import (
    METHODS,
    PRESETS,
    Filling,
    State,
    fill,
    place,
    refill,
    strategy,
    thermal_limit,
    total_variation,
)
from thesphere.filling.cuts import boundaries, moved, rank, surplus
from thesphere.filling.fill import by_prominence
from thesphere.filling.osmotic import Osmotic, resting
from thesphere.filling.prominence import overflow
from thesphere.filling.quantile import Quantile
from thesphere.geometry import angles
from thesphere.norms import row_norms
from thesphere.signals import prominence as slow_norms

EXACT = ["quantile", "prominence", "osmotic", "hybrid"]
SHAPES = ["iid", "clustered", "heavy", "constant", "tied"]


def flow_of(shape: str, count: int, seed: int = 0) -> np.ndarray:
    """Prominence of one kind: float64 [count]."""
    rng = np.random.default_rng(seed)
    if shape == "iid":
        return rng.lognormal(0, 0.5, count)
    if shape == "clustered":
        return np.abs(rng.integers(1, 6, count) * 10 + rng.normal(0, 0.01, count))
    if shape == "heavy":
        return np.minimum(rng.pareto(0.3, count), 1e250)
    if shape == "constant":
        return np.full(count, 3.7)
    return rng.integers(0, 3, count).astype(float)


def points(count: int, width: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    """What fill takes: four clusters, lognormal norms, entropies."""
    rng = np.random.default_rng(seed)
    rows = 2 * rng.standard_normal((4, width))[np.arange(count) % 4] + rng.standard_normal((count, width))
    norms = rng.lognormal(0, 0.5, count)
    rows *= (norms / np.linalg.norm(rows, axis=1))[:, None]
    return {"embeddings": rows.astype(np.float32), "entropies": rng.gamma(2, 1, count)}


def checked(filling: Filling, count: int) -> Filling:
    """What holds for every filling."""
    info, table = filling.info, filling.table
    shells = len(table.radii)
    assert filling.shells.dtype == np.int32 and filling.radii.dtype == np.float32
    assert filling.theta.dtype == np.float32 and filling.phi.dtype == np.float32
    for column in (filling.radii, filling.shells, filling.theta, filling.phi):
        assert column.shape == (count,) and np.isfinite(column).all()
    assert (filling.theta >= 0).all() and (filling.theta <= np.float32(np.pi)).all()
    assert (filling.phi >= 0).all() and (filling.phi < np.float32(2 * np.pi)).all()
    np.testing.assert_array_equal(filling.radii, table.radii.astype(np.float32)[filling.shells])
    assert info.capacities.sum() == info.occupancy.sum() == count
    np.testing.assert_array_equal(np.bincount(filling.shells, minlength=shells), info.occupancy)
    assert len(info.tv) == info.passes + 1 and all(0 <= tv <= 1 for tv in info.tv)
    if info.projected is None:
        assert info.tv[-1] == total_variation(info.occupancy, info.capacities)
    assert min(info.promotions, info.demotions, info.lateral_moves) >= 0
    assert all(isinstance(value, float) for value in info.measures.values())
    assert table.bounds.shape == (shells - 1,) and not np.isnan(table.bounds).any()
    bounds = table.bounds if table.outward else -table.bounds
    assert (bounds[1:] >= bounds[:-1]).all()
    return filling


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_contract(self, method: str) -> None:
        given = points(600)
        filling = checked(fill(**given, method=method, key=3), 600)
        assert filling.info.method == method
        assert filling.result.converged, filling.result.message
        again = fill(**given, method=method, key=3)
        for name in ("radii", "shells", "theta", "phi"):
            np.testing.assert_array_equal(getattr(filling, name), getattr(again, name))
        assert filling.info.tv == again.info.tv
        assert filling.info.measures == pytest.approx(again.info.measures, rel=0, nan_ok=True)

    @pytest.mark.parametrize("count", [1, 2, 7, 33])
    def test_few_points(self, method: str, count: int) -> None:
        checked(fill(**points(count), method=method), count)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_balance(self, method: str, shape: str) -> None:
        given = points(4000)
        filling = checked(fill(**given, prominence=flow_of(shape, 4000), method=method), 4000)
        thermal = strategy(method).thermal
        limit = max(0.01, thermal_limit(filling.info.capacities)) if thermal else 0.01
        assert not filling.result.converged or filling.info.tv[-1] <= limit
        if not thermal:
            assert filling.result.converged
            assert (np.diff(filling.info.tv) <= 0).all()

    def test_inward_puts_the_prominent_at_the_centre(self, method: str) -> None:
        given = points(600)
        filling = checked(fill(**given, method=method, orientation="inward"), 600)
        norms = np.linalg.norm(given["embeddings"], axis=1)
        assert np.corrcoef(norms, filling.shells)[0, 1] < -0.3

    def test_projection_is_exact_and_said(self, method: str) -> None:
        filling = checked(fill(**points(600), method=method, project=True), 600)
        np.testing.assert_array_equal(filling.info.occupancy, filling.info.capacities)
        assert filling.info.projected is not None and filling.info.projected >= 0

    def test_one_step_at_a_time(self, method: str) -> None:
        filling = checked(fill(**points(600), method=method, max_steps=0), 600)
        assert filling.info.passes == 0 and not filling.result.converged
        with pytest.raises(InputError, match="max_steps"):
            fill(**points(600), method=method, max_steps=0, throw=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [10_000, 100_000, 1_000_000])
def test_deterministic_balance_at_size(shape: str, count: int) -> None:
    flow, rows = flow_of(shape, count), np.zeros((count, 1), np.float32)
    ideal = 100 * np.linspace(0, 1, 128) ** 0.5
    ideal = (32 + 480 * ideal / 100) ** 1.5
    ideal *= count / ideal.sum()
    for method in EXACT if count < 1_000_000 else ["quantile", "osmotic"]:
        filling = fill(rows, prominence=flow, method=method, chart=None, throw=True)
        assert (np.abs(filling.info.occupancy - ideal) < 1 + 1e-9 * count).all()
        assert (np.diff(filling.info.tv) <= 0).all() and filling.info.tv[-1] == 0
        lowest, highest = np.full(128, np.inf), np.full(128, -np.inf)
        np.minimum.at(lowest, filling.shells, flow)
        np.maximum.at(highest, filling.shells, flow)
        assert (lowest[1:] >= highest[:-1]).all()  # nobody lies outside a more prominent point


@pytest.mark.parametrize("outward", [True, False])
def test_equal_prominence_goes_by_row(outward: bool) -> None:
    orientation = "outward" if outward else "inward"
    flow = flow_of("tied", 5000)
    shells = fill(np.ones((5000, 2)), prominence=flow, orientation=orientation).shells
    for value in np.unique(flow):
        assert (np.diff(shells[flow == value]) >= 0).all()


class TestCuts:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.booleans())
    def test_rank_is_the_stable_order(self, values: list[int], outward: bool) -> None:
        flow = np.array(values, float)
        np.testing.assert_array_equal(
            rank(flow, outward), np.argsort(flow if outward else -flow, kind="stable")
        )

    def test_rank_of_many_ties_across_blocks(self) -> None:
        flow = np.random.default_rng(1).integers(0, 40, 200_000).astype(float)
        np.testing.assert_array_equal(rank(flow), np.argsort(flow, kind="stable"))
        np.testing.assert_array_equal(rank(flow, False), np.argsort(-flow, kind="stable"))

    @settings(max_examples=80, deadline=None)
    @given(st.data())
    def test_laws_of_the_flows(self, data: st.DataObject) -> None:
        """From any cuts, on any capacities: cuts stay cuts, the total variation never rises, and it ends."""
        sizes = st.lists(st.integers(0, 12), min_size=1, max_size=9)
        held = np.array(data.draw(sizes), np.int64)
        held[0] += held.sum() == 0
        total = int(held.sum())
        places = data.draw(st.lists(st.integers(0, total), min_size=len(held) - 1, max_size=len(held) - 1))
        cuts = np.array([0, *sorted(places), total], np.int64)
        kappa = data.draw(st.sampled_from([0.05, 0.3, 1.0]))

        def osmosis(cuts: np.ndarray) -> np.ndarray:
            problem = problem_of(total, held)
            return Osmotic(kappa).step(problem, State(np.arange(total), cuts), key=0)[0].cuts

        for flow in (overflow, lambda cuts, _: osmosis(cuts)):
            now, tv = cuts, total_variation(np.diff(cuts), held)
            for _ in range(400):
                after = flow(now, held)
                shells_before = np.repeat(np.arange(len(held)), np.diff(now))
                shells_after = np.repeat(np.arange(len(held)), np.diff(after))
                assert (np.diff(after) >= 0).all() and after[0] == 0 and after[-1] == total
                outward, inward = moved(now, after)
                assert outward == (shells_after > shells_before).sum()
                assert inward == (shells_after < shells_before).sum()
                if flow is overflow:  # one boundary a pass, and only the surplus leaves
                    assert np.abs(shells_after - shells_before).max(initial=0) <= 1
                    left = np.bincount(shells_before[shells_after != shells_before], minlength=len(held))
                    assert (left <= np.maximum(0, np.diff(now) - held)).all()
                again = total_variation(np.diff(after), held)
                assert again <= tv
                now, tv = after, again
                if tv == 0:
                    break
            np.testing.assert_array_equal(now, boundaries(held))

    @settings(max_examples=60, deadline=None)
    @example([1], 0.01)
    @example([7, -3], 0.07)
    @given(st.lists(st.integers(-20, 20), min_size=1, max_size=12), st.floats(0, 0.2))
    def test_resting_is_the_largest_rest_in_tolerance(self, inner: list[int], tolerance: float) -> None:
        force = np.array([0, *inner, 0])

        def left(rest: int) -> float:
            return float(np.abs(np.diff(np.clip(force, -rest, rest))).sum() / 200)

        rest = resting(force, tolerance, 100)
        fits = [b for b in range(np.abs(force).max() + 1) if left(b) <= tolerance]
        assert rest == max(fits)

    def test_surplus_ends_at_zero(self) -> None:
        np.testing.assert_array_equal(surplus(np.array([0, 5, 6]), np.array([2, 4])), [0, 3, 0])

    def test_by_prominence_keeps_the_shells(self) -> None:
        order, cuts = np.array([3, 0, 2, 1, 4]), np.array([0, 3, 5])
        flow = np.array([1.0, 5, 1, 0, 5])
        assert by_prominence(flow, order, cuts, True).tolist() == [3, 0, 2, 1, 4]
        assert by_prominence(flow, order, cuts, False).tolist() == [0, 2, 3, 1, 4]


def problem_of(total: int, held: np.ndarray):
    from thesphere.filling import Problem

    nothing = np.zeros((total, 3), np.float32)
    flow = np.arange(total, dtype=float)
    radii = np.arange(1.0, len(held) + 1)
    return Problem(nothing, flow, None, radii, held, True, nothing, lambda: pytest.fail("not needed"))


class TestStreaming:
    def test_a_point_goes_where_its_twin_lies(self) -> None:
        flow = flow_of("iid", 5000)
        for orientation in ("outward", "inward"):
            for method in ("quantile", "prominence"):
                filling = fill(np.ones((5000, 2)), prominence=flow, orientation=orientation, method=method)
                radii, shells = place(filling, flow)
                np.testing.assert_array_equal(shells, filling.shells)
                np.testing.assert_array_equal(radii, filling.radii)
                np.testing.assert_array_equal(place(filling.table, flow[:7])[1], shells[:7])

    def test_new_points_of_the_same_kind_keep_the_balance(self) -> None:
        for method in ("quantile", "energy"):
            filling = fill(np.ones((20_000, 2)), prominence=flow_of("iid", 20_000), method=method)
            shells = place(filling, flow_of("iid", 20_000, 1))[1]
            drawn = np.bincount(shells, minlength=len(filling.info.capacities))
            assert total_variation(drawn, filling.info.capacities) < 2.5 * thermal_limit(
                filling.info.capacities
            )

    @pytest.mark.parametrize("shape", ["constant", "tied"])
    def test_tied_points_are_dealt_out(self, shape: str) -> None:
        filling = fill(np.ones((10_000, 2)), prominence=flow_of(shape, 10_000))
        shells = place(filling, flow_of(shape, 9_000, 1))[1]
        drawn = np.bincount(shells, minlength=len(filling.info.capacities)) * (10_000 / 9_000)
        assert np.abs(drawn - filling.info.capacities).sum() / 20_000 < 0.03
        assert (np.diff(shells[flow_of(shape, 9_000, 1) == flow_of(shape, 1)[0]]) >= 0).all()

    def test_beyond_the_ends(self) -> None:
        filling = fill(np.ones((1000, 2)), prominence=1 + flow_of("iid", 1000))
        assert place(filling, np.array([0.0, 1e300]))[1].tolist() == [0, len(filling.table.radii) - 1]
        assert len(place(filling, np.zeros(0))[0]) == 0

    @pytest.mark.parametrize("where", ["alike", "all on top"])
    def test_osmosis_moves_far_fewer_than_filling_anew(self, where: str) -> None:
        rng = np.random.default_rng(2)
        old = rng.lognormal(0, 0.5, 20_000)
        new = rng.lognormal(0, 0.5, 200) if where == "alike" else np.full(400, 50.0)
        flow, rows = np.concatenate([old, new]), rng.standard_normal((20_000 + len(new), 4))
        before = fill(rows[:20_000], prominence=old)
        anew = refill(before, rows, prominence=flow, method="quantile")
        gently = refill(before, rows, prominence=flow, throw=True)
        checked(gently, len(rows))
        assert gently.info.tv[-1] <= 0.01 and anew.info.tv[-1] == 0
        assert gently.info.measures["moved"] <= 0.5 * anew.info.measures["moved"]
        assert gently.info.measures["moved"] == (gently.shells[:20_000] != before.shells).sum()
        np.testing.assert_array_equal(gently.theta[:20_000], before.theta)
        np.testing.assert_array_equal(gently.phi[:20_000], before.phi)

    @pytest.mark.parametrize("method", METHODS)
    def test_every_method_refills(self, method: str) -> None:
        given = points(660)
        before = fill(given["embeddings"][:600], entropies=given["entropies"][:600])
        after = refill(before, **given, method=method)
        checked(after, 660)
        np.testing.assert_array_equal(after.table.radii, before.table.radii)

    def test_nothing_new_moves_nobody(self) -> None:
        given = points(600)
        before = fill(**given)
        after = refill(before, **given)
        assert after.info.measures["moved"] == 0 and after.info.passes == 1
        np.testing.assert_array_equal(after.shells, before.shells)

    def test_refuses_fewer_rows(self) -> None:
        with pytest.raises(InputError, match="600 points and there are 599"):
            refill(fill(**points(600)), points(599)["embeddings"])


class TestGiven:
    def test_prominence_defaults_to_norms(self) -> None:
        given = points(500)
        by_hand = fill(**given, prominence=np.linalg.norm(given["embeddings"].astype(float), axis=1))
        np.testing.assert_array_equal(fill(**given).shells, by_hand.shells)

    def test_positions_and_charts(self) -> None:
        rng = np.random.default_rng(0)
        rows, places = rng.standard_normal((300, 5)), rng.standard_normal((300, 3))
        kept = places.copy()
        filling = fill(rows, positions=places)
        np.testing.assert_array_equal(places, kept)
        places /= np.linalg.norm(places, axis=1)[:, None]
        np.testing.assert_allclose(filling.positions, places, atol=1e-6)
        flat = fill(rows, chart=None)
        assert not flat.theta.any() and not flat.phi.any()
        drawn = fill(rows, chart="random", key=1)
        assert np.abs(drawn.positions.mean(axis=0)).max() < 4 / np.sqrt(300)
        assert (fill(rows, chart="random", key=2).theta != drawn.theta).any()
        np.testing.assert_array_equal(drawn.shells, flat.shells)

    @pytest.mark.parametrize("chart", ["spectral", "graph"])
    def test_charts_from_neighbours(self, chart: str) -> None:
        filling = checked(fill(**points(300), chart=chart), 300)
        kin = np.arange(300) % 4
        near = filling.positions @ filling.positions.T
        same = near[kin[:, None] == kin].mean()
        assert same > near[kin[:, None] != kin].mean() + 0.2

    def test_angles_are_those_of_geometry(self) -> None:
        places = np.random.default_rng(0).standard_normal((2000, 3))
        places[:6] = [[0, 0, 1], [0, 0, -1], [-0.0, 0, 1], [1, -1e-12, 0], [-1, -0.0, 0], [1, 0, 0]]
        filling = fill(np.ones((2000, 2)), positions=places)
        theta, phi = angles(places / np.linalg.norm(places, axis=1)[:, None])
        np.testing.assert_allclose(filling.theta, theta, atol=5e-7)
        np.testing.assert_allclose(np.sin((filling.phi - phi) / 2), 0, atol=5e-7)
        assert (filling.phi[:4] == 0).all()

    def test_shells_band_preset_and_spacing(self) -> None:
        rows = points(6000)["embeddings"]
        filling = fill(rows)
        assert len(filling.table.radii) == 128
        assert filling.radii.min() == 32 and filling.radii.max() == 512
        for count, shells in ((600, 16), (30, 1)):
            few = fill(rows[:count])
            assert len(few.table.radii) == shells and few.info.occupancy.min() >= 1
        narrow = fill(rows, shells=10, band=(1, 2), spacing="linear", exponent=0)
        np.testing.assert_allclose(narrow.table.radii, np.linspace(1, 2, 10))
        assert set(narrow.info.capacities) == {600}
        for name, preset in PRESETS.items():
            chosen = fill(rows, preset=name.upper())
            assert (chosen.radii.min(), chosen.radii.max()) == preset.band
            assert len(chosen.table.radii) <= preset.shells
        assert len(fill(rows, preset="huge", shells=3).table.radii) == 3

    def test_embeddings_of_any_type_and_layout(self) -> None:
        rows = np.round(points(200)["embeddings"] * 8)
        expected = fill(rows).shells
        for alike in (rows.astype(np.float16), np.asfortranarray(rows), rows.astype(np.int64), rows.tolist()):
            np.testing.assert_array_equal(fill(alike).shells, expected)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"embeddings": np.ones(5)}, "shape [5]; give real numbers [N, D]"),
            ({"embeddings": np.ones((5, 2), complex)}, "complex128"),
            ({"embeddings": np.ones((0, 2))}, "no points"),
            ({"embeddings": np.ones((5, 0))}, "shape [5, 0]"),
            ({"embeddings": np.array([[1.0, 2], [np.nan, 1]])}, "NaN"),
            ({"embeddings": np.array([[1.0, 2], [np.inf, 1]])}, "NaN"),
            ({"prominence": np.ones(4)}, "prominence are float64 of shape [4]; give 5 numbers"),
            ({"prominence": np.array([1, 1, -1.0, 1, 1])}, "row 2 of the prominence is -1.0"),
            ({"prominence": np.array([1, 1, 1, 1, np.nan])}, "row 4 of the prominence is nan"),
            ({"prominence": np.array(list("abcde"))}, "give 5 numbers"),
            ({"entropies": np.array([1, 1, 1, 1, -0.5])}, "row 4 of the entropies is -0.5"),
            ({"entropies": np.array([1, 1, np.inf, 1, 1])}, "row 2 of the entropies is inf"),
            ({"method": "osmosis"}, "did you mean 'osmotic'?"),
            ({"method": "???"}, "give one of quantile, prominence"),
            ({"method": 7}, "give a name or an object with init and step"),
            ({"method": "orch-or"}, "'entropy_weighted' needs entropies"),
            ({"shells": 6}, "5 points cannot fill 6 shells"),
            ({"shells": 0}, "0 shells"),
            ({"band": (5, 5)}, "0 < minimum < maximum"),
            ({"band": (-1, 5)}, "0 < minimum < maximum"),
            ({"band": (1, 2, 3)}, "smallest and the largest"),
            ({"exponent": float("nan")}, "exponent is nan"),
            ({"spacing": "cubic"}, "'cubic'"),
            ({"orientation": "up"}, "'outward' or 'inward'"),
            ({"preset": "small"}, "'small' is unknown; give one of dev"),
            ({"positions": np.ones((5, 2))}, "give directions [5, 3]"),
            ({"positions": np.zeros((5, 3))}, "zero or not finite"),
            ({"chart": "umap"}, "'umap'; give one of pca"),
            ({"max_steps": -1}, "max_steps is -1"),
            ({"key": -1}, "the key is -1"),
        ],
    )
    def test_refuses(self, change: dict, message: str) -> None:
        given = {"embeddings": np.arange(10.0).reshape(5, 2)} | change
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            fill(**given)
        assert "\n" not in str(caught.value)

    def test_refuses_neighbours_of_other_points(self) -> None:
        from thesphere.neighbours import nearest

        with pytest.raises(InputError, match="neighbours of 9 points and 5 embeddings"):
            fill(np.ones((5, 2)), neighbours=nearest(points(9)["embeddings"], 3))

    @pytest.mark.parametrize("bad", [np.array([np.nan]), np.array([-1.0]), np.ones((2, 2)), np.array(["x"])])
    def test_place_refuses(self, bad: np.ndarray) -> None:
        with pytest.raises(InputError, match="prominence is"):
            place(fill(**points(50)), bad)

    def test_aliases_and_strategies(self) -> None:
        for alias in ("Orch-OR", "entropy-weighted", "entropy"):
            assert strategy(alias).name == "entropy_weighted"
        assert strategy("lasing").name == "coherence"
        assert strategy("thrml").name == "langevin"
        assert strategy("boltzmann").name == "energy"
        assert strategy(Quantile()) == Quantile()
        for name in METHODS:
            assert strategy(name).name == name

    def test_osmotic_refuses(self) -> None:
        with pytest.raises(InputError, match="permeability is 0"):
            Osmotic(0)
        with pytest.raises(InputError, match="tolerance is 0.5"):
            Osmotic(tolerance=0.5)


class TestNorms:
    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.int64])
    def test_agree_with_float64(self, kind: type) -> None:
        rows = (np.random.default_rng(0).standard_normal((3000, 37)) * 20).astype(kind)
        np.testing.assert_allclose(row_norms(rows), np.linalg.norm(rows.astype(float), axis=1), rtol=1e-14)
        np.testing.assert_allclose(row_norms(rows[::2, ::-1]), slow_norms(rows[::2]), rtol=1e-14)

    def test_large_and_small(self) -> None:
        scale = np.array([1e18, 1e-18, 0, 3e38])[:, None]
        rows = np.broadcast_to(scale, (4, 16)).astype(np.float32)
        np.testing.assert_allclose(row_norms(rows), 4 * rows[:, 0].astype(float), rtol=1e-14)
        wide = np.array([[1e200] * 4, [1e-170] * 4, [0] * 4, [5e-324, 0, 0, 0]])
        np.testing.assert_allclose(row_norms(wide), [2e200, 2e-170, 0, 5e-324], rtol=1e-14)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 1.7e308])
    def test_refuses(self, bad: float) -> None:
        rows = np.ones((5, 4))
        rows[3] = bad
        with pytest.raises(InputError, match="row 3 of the embeddings"):
            row_norms(rows)

    @pytest.mark.parametrize("rows", [np.ones(3), np.ones((2, 2), complex), np.array([["a"]])])
    def test_refuses_other_arrays(self, rows: np.ndarray) -> None:
        with pytest.raises(InputError, match="give real numbers"):
            row_norms(rows)

    def test_any_number_of_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = np.random.default_rng(0).standard_normal((40_000, 64)).astype(np.float32)
        monkeypatch.setenv("THESPHERE_THREADS", "1")
        alone = row_norms(rows)
        monkeypatch.setenv("THESPHERE_THREADS", "3")
        np.testing.assert_array_equal(row_norms(rows), alone)


class TestTotalVariation:
    def test_by_hand(self) -> None:
        assert total_variation(np.array([3, 1]), np.array([2, 2])) == 0.25
        assert total_variation(np.array([4, 0]), np.array([0, 4])) == 1.0

    def test_multinomial_draws_stay_under_the_limit(self) -> None:
        caps = np.round(np.linspace(20, 200, 64)).astype(np.int64)
        drawn = np.random.default_rng(0).multinomial(caps.sum(), caps / caps.sum(), 2000)
        variations = np.array([total_variation(one, caps) for one in drawn])
        limit = thermal_limit(caps)
        assert (variations <= limit).mean() > 0.995
        assert abs(limit - (variations.mean() + 3 * variations.std())) < 0.05 * limit
