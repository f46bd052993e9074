"""Shells: golden vectors of the earlier system, and the laws that spacing and capacities must keep."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.errors import InputError
from thesphere.geometry import (
    STRATEGIES,
    Shells,
    capacities,
    maximum_radius,
    minimum_radius,
    shares,
    shell_radii,
)


def test_golden_vectors() -> None:
    root = [32, 68.285, 83.314, 94.847, 104.569, 113.135, 120.879, 128]
    np.testing.assert_allclose(shell_radii(8, 32, 128), root, atol=5e-4)
    held = [0.0242, 0.0754, 0.1017, 0.1235, 0.1430, 0.1609, 0.1777, 0.1936]
    np.testing.assert_allclose(shares(shell_radii(8, 32, 128)), held, atol=5.1e-5)
    powers = [10, 13.037, 16.996, 22.157, 28.885, 37.657, 49.092, 64]
    np.testing.assert_allclose(shell_radii(8, 10, 64, "geometric"), powers, atol=5e-4)
    held = [0.0102, 0.0173, 0.0295, 0.0501, 0.0851, 0.1446, 0.2457, 0.4176]
    np.testing.assert_allclose(shares(shell_radii(8, 10, 64, "geometric"), 2), held, atol=5.1e-5)


@pytest.mark.parametrize(
    ("strategy", "first", "last"),
    [("geometric", 0.30, 1.86), ("quadratic", 0.014, 1.70), ("sqrt", 6.80, 0.43)],
)
def test_gaps_of_the_earlier_system(strategy: str, first: float, last: float) -> None:
    gaps = np.diff(shell_radii(64, 10, 64, strategy))
    assert gaps[0] == pytest.approx(first, abs=5e-3) and gaps[-1] == pytest.approx(last, abs=5e-3)


def test_default_lateral_grid() -> None:
    gaps = np.diff(shell_radii(512, 128, 1024))
    assert gaps[0] == pytest.approx(39.6, abs=0.05) and gaps[-1] == pytest.approx(0.88, abs=5e-3)


@pytest.mark.parametrize(
    ("n", "shells", "radius"),
    [(10**4, 64, 16), (10**6, 256, 32), (10**8, 512, 64), (10**8, 1024, 102.4), (2 * 10**9, 512, 128)]
    + [(2 * 10**9, 2048, 256), (None, 256, 32), (0, 1, 16)],
)
def test_minimum_radius(n: int | None, shells: int, radius: float) -> None:
    assert minimum_radius(n, shells) == pytest.approx(radius)
    assert maximum_radius(n, shells) == pytest.approx(max(2 * shells, 2 * radius))
    assert len(Shells.automatic(n, shells)) == shells  # the band is never empty


@given(
    st.sampled_from(STRATEGIES),
    st.integers(1, 3000),
    st.floats(1e-3, 1e3),
    st.floats(1.5, 1e3),
    st.integers(0, 3),
)
@settings(max_examples=80, deadline=None)
def test_radii_ascend_through_the_whole_band(
    strategy: str, count: int, minimum: float, wide: float, power: int
) -> None:
    radii = shell_radii(count, minimum, minimum * wide, strategy)
    assert radii.shape == (count,) and (np.diff(radii) > 0).all()
    assert radii[0] == minimum and (count == 1 or radii[-1] == minimum * wide)
    assert capacities(1000, radii, power).sum() == 1000


def test_golden_means_the_golden_ratio() -> None:
    gaps = np.diff(shell_radii(90, 1, 2, "golden"))
    sizes = np.unique(np.round(gaps / gaps.min(), 9))
    assert 2 <= len(sizes) <= 3  # three-distance theorem
    np.testing.assert_allclose(sizes[1] / sizes[0], (1 + math.sqrt(5)) / 2)


def test_prime_means_primes() -> None:
    primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41]
    np.testing.assert_allclose(shell_radii(13, 2, 41, "prime"), primes, rtol=1e-15)
    many = shell_radii(1000, 2, 7919, "prime")  # the thousandth prime is 7919
    whole = np.rint(many).astype(int)
    np.testing.assert_allclose(many, whole, atol=1e-9)
    assert whole.tolist() == [n for n in range(2, 7920) if all(n % d for d in range(2, math.isqrt(n) + 1))]


def test_radii_refuse() -> None:
    for band in ((0, 1), (2, 1), (1, 1), (1, math.inf), (math.nan, 2), (-1, 2)):
        with pytest.raises(InputError, match="band"):
            shell_radii(4, *band)
    with pytest.raises(InputError, match="at least one"):
        shell_radii(0, 1, 2)
    with pytest.raises(InputError, match="spiral"):
        shell_radii(4, 1, 2, "spiral")
    with pytest.raises(InputError, match="do not fit"):
        shell_radii(100, 1, math.nextafter(1, 2), "linear")


@given(
    st.integers(0, 10**9),
    st.lists(st.floats(0.1, 1e4), min_size=1, max_size=60),
    st.sampled_from([-2.0, 0.0, 1.0, 1.5, 2.0, 40.0]),
)
@settings(max_examples=100, deadline=None)
def test_capacities_sum_and_stay_within_one(n: int, radii: list[float], exponent: float) -> None:
    held = capacities(n, np.array(radii), exponent)
    assert held.dtype == np.int64 and held.sum() == n and (held >= 0).all()
    ideal = n * shares(np.array(radii), exponent)
    assert (np.abs(held - ideal) < 1 + 1e-9 * n).all()


def test_capacities_against_exact_fractions() -> None:
    radii = np.array([1, 2, 3, 5, 8])
    whole = sum(int(r) ** 2 for r in radii)
    for n in range(120):
        ideal = [Fraction(n * int(r) ** 2, whole) for r in radii]
        floors = [math.floor(share) for share in ideal]
        short = n - sum(floors)
        for k in sorted(range(5), key=lambda k: (floors[k] - ideal[k], k))[:short]:
            floors[k] += 1
        assert capacities(n, radii, 2).tolist() == floors
    assert capacities(1_000_000, np.array([1e-300, 1e300]), 3).tolist() == [0, 1_000_000]


def test_capacities_refuse() -> None:
    for bad in ([], [0.0, 1], [1, np.nan], [[1.0]]):
        with pytest.raises(InputError, match="radii"):
            capacities(5, np.array(bad))
    with pytest.raises(InputError, match="-1 points"):
        capacities(-1, np.ones(2))
    with pytest.raises(InputError, match="exponent"):
        capacities(1, np.ones(2), math.inf)
    with pytest.raises(InputError):
        minimum_radius(-1, 5)


def test_shells() -> None:
    shells = Shells.spaced(16, 32, 512, "geometric", 2)
    assert (shells.capacities(999) == capacities(999, shells.radii, 2)).all()
    radii = np.random.default_rng(0).uniform(1, 700, 500)
    nearest = np.abs(radii[:, None] - shells.radii).argmin(1)  # the first of equals, as we promise
    assert (shells.shell_of(radii) == nearest).all()
    assert shells.shell_of(shells.midpoints).tolist() == list(range(15))
    assert shells.shell_of(shells.radii.astype(np.float32)).tolist() == list(range(16))
    assert shells.occupancy(nearest).sum() == 500 and len(shells.occupancy(np.array([3]))) == 16
    assert shells.mean_gap == pytest.approx(32) and Shells(np.array([7.0])).mean_gap == 7
    assert Shells(np.array([7.0])).shell_of(np.array([1.0, 99])).tolist() == [0, 0]
    with pytest.raises(InputError, match="ascending"):
        Shells(np.array([2.0, 2.0]))
    with pytest.raises(InputError, match="NaN"):
        shells.shell_of(np.array([np.nan]))
    with pytest.raises(ValueError, match="read-only"):
        shells.radii[0] = 1
