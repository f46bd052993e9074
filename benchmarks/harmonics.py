"""Are the harmonics right, fast and small? Accuracy against SciPy, round trips, and times beside s2fft.

    python benchmarks/harmonics.py [--repeats 21] [--quick]

Beside it in the same run: s2fft's precomputed transforms called directly (kernels built before the clock
starts), and ducc0 where it is installed. Peak memory at L = 256 is that of a fresh process which makes one
inverse and one forward transform and the values at 1,000 points. The last line is JSON.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from typing import Any

import jax
import numpy as np
from scipy.special import sph_harm_y

from thesphere import harmonics

MEMORY = """
import resource, numpy as np
from thesphere import harmonics
c = np.random.default_rng(0).standard_normal(257**2)
x = np.random.default_rng(1).standard_normal((1000, 3))
error = np.abs(harmonics.forward(harmonics.inverse(c)) - c).max()
harmonics.evaluate(c, x)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, error)
"""


def median_ms(call, repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - started)
    return float(np.median(times) * 1e3)


def accuracy(band_limit: int, count: int = 12) -> dict[str, float]:
    """Largest difference to SciPy over all (l, m), at random points and beside the poles."""
    rng = np.random.default_rng(band_limit)
    theta = np.r_[0, 1e-3, 0.02, np.pi - 0.02, np.pi, np.arccos(rng.uniform(-1, 1, count - 5))]
    phi = rng.uniform(0, 2 * np.pi, count)
    l, m = harmonics.degrees_orders(band_limit)
    peer = sph_harm_y(l, np.abs(m), theta[:, None], phi[:, None])
    peer = np.where(m > 0, np.sqrt(2) * peer.real, np.where(m < 0, np.sqrt(2) * peer.imag, peer.real))
    wide = np.abs(harmonics.real_basis(theta, phi, band_limit) - peer).max(axis=1)
    single = np.abs(harmonics.real_basis(theta, phi, band_limit, dtype="float32") - peer).max()
    return {"float64": float(wide[5:].max()), "poles": float(wide[:5].max()), "float32": float(single)}


def beside_s2fft(band_limit: int, repeats: int) -> dict[str, float]:
    """Times of both on the same Gauss-Legendre grid, and how far each one's synthesis is from the basis."""
    c = np.random.default_rng(0).standard_normal((band_limit + 1) ** 2)
    grid = harmonics.inverse(c)
    found = {
        "inverse_ms": median_ms(lambda: harmonics.inverse(c), repeats),
        "forward_ms": median_ms(lambda: harmonics.forward(grid), repeats),
        "round_trip": float(np.abs(harmonics.forward(grid) - c).max()),
    }
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from s2fft.precompute_transforms import construct, spherical

        size = band_limit + 1
        # with JAX arrays in and out, as s2fft has them; above it was NumPy
        held, there = jax.numpy.asarray(c), jax.numpy.asarray(grid)
        found["inverse_jax_ms"] = median_ms(lambda: harmonics.inverse(held), repeats)
        found["forward_jax_ms"] = median_ms(lambda: harmonics.forward(there), repeats)
        flm = jax.numpy.asarray(harmonics.to_s2fft(c))
        kernels = [
            jax.numpy.asarray(construct.spin_spherical_kernel_jax(size, 0, True, "gl", forward=way))
            for way in (False, True)
        ]

        def inverse():
            return spherical.inverse_transform_jax(flm, kernels[0], size, "gl", True, 0, None)

        theirs = inverse()

        def forward():
            return spherical.forward_transform_jax(theirs, kernels[1], size, "gl", True, 0, None)

        found["s2fft_inverse_ms"] = median_ms(inverse, repeats)
        found["s2fft_forward_ms"] = median_ms(forward, repeats)
        back = harmonics.from_s2fft(np.asarray(forward()))
    found["s2fft_round_trip"] = float(np.abs(back - c).max())
    theta, phi = harmonics.grid_angles(band_limit)
    ring, turn = np.random.default_rng(1).integers(0, [[band_limit + 1], [2 * band_limit + 1]], (2, 20))
    dense = harmonics.real_basis(theta[ring], phi[turn], band_limit) @ c
    found["synthesis"] = float(np.abs(grid[ring, turn] - dense).max())
    found["s2fft_synthesis"] = float(np.abs(np.asarray(theirs)[ring, turn] - dense).max())
    return found


def beside_ducc(band_limit: int, repeats: int) -> dict[str, float]:
    """ducc0's times for the same transform, one thread; nothing where it is not installed."""
    try:
        import ducc0  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}
    size = band_limit + 1
    alm = np.random.default_rng(0).standard_normal((1, size * (size + 1) // 2)).astype(np.complex128)
    options = {"lmax": band_limit, "spin": 0, "geometry": "GL", "nthreads": 1}
    grid = ducc0.sht.synthesis_2d(alm=alm, ntheta=size, nphi=2 * size, **options)
    return {
        "ducc0_inverse_ms": median_ms(
            lambda: ducc0.sht.synthesis_2d(alm=alm, ntheta=size, nphi=2 * size, **options), repeats
        ),
        "ducc0_forward_ms": median_ms(lambda: ducc0.sht.analysis_2d(map=grid, **options), repeats),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--quick", action="store_true", help="no degree above 64")
    given = parser.parse_args()
    # first: a child's peak counts from what its parent held when it was made
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    peak, error = map(float, run.stdout.split())
    print(f"L = 256 in a fresh process: peak {peak:.0f} MB, round trip {error:.1e}")
    result: dict[str, Any] = {"accuracy": {}, "transforms": {}, "peak_mb_256": peak, "round_trip_256": error}
    for band_limit in (16, 64) if given.quick else (16, 64, 128, 256):
        figures = accuracy(band_limit)
        result["accuracy"][band_limit] = figures
        print(f"L = {band_limit:3}, against SciPy: " + ", ".join(f"{k} {v:.1e}" for k, v in figures.items()))
    for band_limit in (16, 64) if given.quick else (16, 32, 64, 128, 256):
        repeats = max(3, given.repeats // 4) if band_limit > 64 else given.repeats
        figures = beside_s2fft(band_limit, repeats) | beside_ducc(band_limit, repeats)
        result["transforms"][band_limit] = figures
        print(f"L = {band_limit:3}: " + ", ".join(f"{k} {v:.3g}" for k, v in figures.items()))
    rng = np.random.default_rng(0)
    grids = rng.standard_normal((12, 65, 129))
    result["field_of_12_ms"] = median_ms(lambda: harmonics.interference_field(grids), given.repeats)
    places, weights = rng.standard_normal((1000, 3)), rng.uniform(0, 1, 1000)
    result["scatter_1000_ms"] = median_ms(lambda: harmonics.scatter(places, weights, 64), given.repeats)
    from thesphere.navigate.interference import interference

    result["interference_1000_ms"] = median_ms(lambda: interference(weights, places), given.repeats)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
