"""The interference navigator: what it returns follows the data."""

import numpy as np
import pytest

pytest.importorskip("jax")

from thesphere.errors import InputError  # noqa: E402
from thesphere.harmonics import evaluate  # noqa: E402
from thesphere.navigate.interference import intensity_grid, interference  # noqa: E402


def sphere(count: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((count, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def even(count: int) -> np.ndarray:
    """Nearly equal spacing: a Fibonacci spiral."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    return np.stack([np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn), z], axis=1)


REGIONS = even(300)


def excite(target: np.ndarray) -> np.ndarray:
    """Activations that fall off from `target` as a kernel of 0.2 radians."""
    return np.exp(25 * (REGIONS @ target - 1))


def test_the_peak_follows_the_data() -> None:
    first, second = sphere(2, 1)
    for target in (first, second):
        found = interference(excite(target), REGIONS)
        assert len(found.centres) == 1
        assert np.arccos(found.centres[0] @ target) < 0.02
        assert found.confidences[0] > 0.9
    assert first @ second < 0.9
    swapped = interference(excite(first), -REGIONS)  # same activations, the regions moved
    assert np.arccos(swapped.centres[0] @ -first) < 0.02


def test_the_field_is_what_the_activations_say() -> None:
    alone = interference([2.5], [[0, 0.6, 0.8]])
    np.testing.assert_allclose(alone.centres, [[0, 0.6, 0.8]], atol=1e-6)
    assert alone.strengths[0] == pytest.approx(2.5, rel=1e-6)
    assert evaluate(alone.coefficients, alone.centres)[0] == pytest.approx(2.5, rel=1e-6)
    assert alone.band_limit == 8 and alone.confidences[0] > 0.95


def test_rotating_the_regions_rotates_the_peaks() -> None:
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0]
    a, b, c = np.eye(3)
    activations = excite(a) + 0.8 * excite(b) + 0.6 * excite(-c)
    still, turned = interference(activations, REGIONS), interference(activations, REGIONS @ turn.T)
    assert len(still.centres) == 3
    np.testing.assert_allclose(turned.centres, still.centres @ turn.T, atol=1e-6)
    np.testing.assert_allclose(turned.confidences, still.confidences, atol=1e-6)
    np.testing.assert_allclose(turned.apertures, still.apertures, atol=1e-6)
    assert (np.diff(still.strengths) < 0).all()


def test_neighbours_that_agree_beat_a_lone_outlier() -> None:
    activations = 0.5 * excite(np.array([1.0, 0, 0]))
    outlier = np.argmin(REGIONS[:, 0])
    activations[outlier] = 1.0  # twice as strong as any other region
    found = interference(activations, REGIONS)
    assert found.centres[0] @ [1, 0, 0] > 0.99
    assert found.confidences[0] > found.confidences[1:].sum()


def test_opposite_activations_cancel() -> None:
    place = [[0.0, 0, 1], [0, 0, 1], [1, 0, 0]]
    found = interference([1.0, -1.0, 1.0], place)
    assert found.centres[0] @ [1, 0, 0] > 1 - 1e-9 and len(found.centres) == 1


def test_the_band_limit_is_honoured_and_clamped() -> None:
    limits = {K: interference(np.ones(K), even(K)).band_limit for K in (1, 100, 300)}
    assert limits == {1: 8, 100: 9, 300: 16}
    low = interference(excite(REGIONS[0]), REGIONS, band_limit=9)
    assert low.band_limit == 9 and low.coefficients.shape == (100,)
    high = interference(excite(REGIONS[0]), REGIONS)
    assert low.apertures[0] > high.apertures[0]


@pytest.mark.parametrize("band_limit", [1, 2, 3, 5])
def test_even_the_lowest_band_limits_find_a_lone_region(band_limit: int) -> None:
    found = interference([2.0], [[0, 0.6, 0.8]], band_limit=band_limit)
    np.testing.assert_allclose(found.centres, [[0, 0.6, 0.8]], atol=1e-6)
    assert found.confidences[0] > 0.25 and found.apertures[0] <= np.pi / 2


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200])
def test_the_scale_of_the_activations_is_no_matter(scale: float) -> None:
    activations = excite(REGIONS[5]) + 0.7 * excite(REGIONS[200])
    plain, scaled = interference(activations, REGIONS), interference(scale * activations, REGIONS)
    np.testing.assert_allclose(scaled.strengths / scale, plain.strengths, rtol=1e-9)
    np.testing.assert_allclose(scaled.centres, plain.centres, atol=1e-8)
    np.testing.assert_allclose(scaled.confidences, plain.confidences, atol=1e-8)
    np.testing.assert_allclose(scaled.coefficients / scale, plain.coefficients, atol=1e-12)


def test_nothing_answers() -> None:
    for activations in (np.zeros(300), -np.ones(300)):
        found = interference(activations, REGIONS)
        assert found.centres.shape == (0, 3) and not len(found.confidences) and not found.coefficients.any()
    assert interference(np.zeros(0), np.zeros((0, 3))).centres.shape == (0, 3)
    even_field = interference(np.ones(300), REGIONS)
    assert (even_field.confidences < 0.02).all()


def test_options() -> None:
    a, b, c = np.eye(3)
    activations = excite(a) + 0.8 * excite(b) + 0.6 * excite(c)
    assert len(interference(activations, REGIONS, max_peaks=2).centres) == 2
    assert len(interference(activations, REGIONS, least_confidence=0.3).centres) == 1
    assert len(interference(activations, REGIONS, separation=2.0).centres) == 1


def test_the_picture_shows_the_peak() -> None:
    target = sphere(1, 3)[0]
    found = interference(excite(target), REGIONS)
    picture = intensity_grid(found, 90, 180)
    assert picture.shape == (90, 180) and picture.dtype == np.float32 and (picture >= 0).all()
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    theta, phi = (row + 0.5) * np.pi / 90, column * np.pi / 90
    brightest = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
    assert np.arccos(brightest @ found.centres[0]) < 0.03
    assert picture.max() == pytest.approx(found.strengths[0] ** 2, rel=0.02)


def test_refusals() -> None:
    for activations, positions, options, words in (
        ([1.0], np.ones((2, 3)), {}, "shape"),
        ([np.nan], [[0, 0, 1]], {}, "NaN"),
        ([1.0], [[0, 0, 0]], {}, "zero vector"),
        ([1.0], [[0, 0, 1]], {"band_limit": 257}, "1 to 256"),
        ([1.0], [[0, 0, 1]], {"band_limit": 2.5}, "whole number"),
        ([1.0], [[0, 0, 1]], {"least_confidence": 2}, "least confidence"),
        ([1.0], [[0, 0, 1]], {"width": -1}, "width"),
        ([0.0], [[0, 0, np.nan]], {}, "NaN"),
        ([-1.0], [[0, 0, 1]], {"max_peaks": 0}, "max_peaks"),
    ):
        with pytest.raises(InputError, match=words):
            interference(activations, positions, **options)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="at least one"):
        intensity_grid(interference([1.0], [[0, 0, 1]]), 0, 5)
