"""How fast, how balanced and how steady is filling, beside the earlier JAX optimiser in the same run?

    python benchmarks/filling.py [--rows 500000] [--width 128] [--repeats 3] [--largest 10000000] [--methods all]

The baseline is the earlier lateral optimiser (512 shells, 25 passes), written anew from its documented steps and
kept kind: norms and row sums are taken once, and the loop is compiled once and timed warm, while the original
compiled it again in every call (`recompiled` is one such call). Ratios are baseline CPU time over ours. Needs the
extra `jax` unless --no-baseline is given. The last line is JSON.
"""

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from thesphere.filling import METHODS, fill, refill, strategy, thermal_limit, total_variation
from thesphere.geometry import capacities, shell_radii

SHAPES = ("iid", "clustered", "heavy", "constant", "tied")
SHELLS, LOW, HIGH, PASSES, DIRECTIONS = 512, 128.0, 1024.0, 25, 16  # of the earlier optimiser


def points(rows: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [rows, width]: random directions with lognormal(0, 0.5) norms, made in blocks."""
    out = np.empty((rows, width), np.float32)
    for first in range(0, rows, 100_000):
        block = rng.standard_normal((min(100_000, rows - first), width), dtype=np.float32)
        norms = rng.lognormal(0, 0.5, len(block)) / np.linalg.norm(block, axis=1)
        out[first : first + len(block)] = block * norms[:, None]
    return out


def flow(shape: str, rows: int, rng: np.random.Generator) -> np.ndarray:
    """float64 [rows]: prominence of one kind."""
    if shape == "iid":
        return rng.lognormal(0, 0.5, rows)
    if shape == "clustered":
        return np.abs(rng.integers(1, 6, rows) * 10 + rng.normal(0, 0.01, rows))
    if shape == "heavy":
        return np.minimum(rng.pareto(0.3, rows), 1e250)
    return np.full(rows, 3.7) if shape == "constant" else rng.integers(0, 3, rows).astype(float)


def timed(job: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median (CPU seconds of all threads, wall seconds) after one warm-up."""
    job()
    cpu, wall = [], []
    for _ in range(repeats):
        begun, spent = time.perf_counter(), time.process_time()
        job()
        cpu.append(time.process_time() - spent)
        wall.append(time.perf_counter() - begun)
    return float(np.median(cpu)), float(np.median(wall))


def earlier(embeddings: np.ndarray) -> tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]:
    """The earlier optimiser: (warm, recompiled), each gives the occupancy [512] that it ends with."""
    import jax
    import jax.numpy as jnp

    rows, count = jnp.asarray(embeddings), len(embeddings)
    radii = jnp.asarray(shell_radii(SHELLS, LOW, HIGH, "sqrt"), jnp.float32)
    held = count * radii**1.5 / (radii**1.5).sum()

    def shell_of(r):
        return jnp.argmin(jnp.abs(r[:, None] - radii[None, :]), axis=1)

    def optimise(rows):
        norms, sums = jnp.linalg.norm(rows, axis=1), jnp.abs(rows.sum(axis=1))
        low, high = norms.min(), norms.max()
        r = LOW + (norms - low) / (high - low + 1e-8) * (0.8 * HIGH - LOW)
        first, second = jax.random.split(jax.random.key(42))
        spread = rows.var(axis=1)
        theta = jnp.pi * (0.3 + 0.4 * spread / spread.max())
        theta = theta + 0.2 * jnp.pi * jax.random.uniform(first, (count,))
        phi = 2 * jnp.pi * norms / norms.max() + jnp.pi * jax.random.uniform(second, (count,))
        angle = 2 * jnp.pi * ((sums * DIRECTIONS).astype(jnp.int32) % DIRECTIONS) / DIRECTIONS
        turned, shifted = 0.015 * jnp.sin(2.1 * angle), 0.030 * jnp.cos(3.7 * angle)

        def one_pass(state):
            r, theta, phi, passes, _, _ = state
            shell = shell_of(r)
            inside = jax.ops.segment_sum(jnp.ones(count), shell, SHELLS)
            mean = jax.ops.segment_sum(norms, shell, SHELLS) / (inside + 1e-8)
            square = jax.ops.segment_sum(norms**2, shell, SHELLS) / (inside + 1e-8)
            deviation = jnp.sqrt(jnp.maximum(square - mean**2, 0))
            stands_out = norms - mean[shell] > deviation[shell] + 0.1
            sideways = stands_out & (jax.random.uniform(jax.random.key(0), (count,)) < 0.30)
            theta_after = jnp.clip(jnp.where(sideways, theta + turned, theta), 1e-6, jnp.pi - 1e-6)
            phi_after = jnp.where(sideways, phi + shifted, phi) % (2 * jnp.pi)
            up = stands_out & ~sideways
            after = radii[jnp.where(up, jnp.minimum(shell + 1, SHELLS - 1), shell)]
            overload = inside - held
            after = after * (1 - 0.02 * jnp.tanh(overload / (held + 1)))[shell]
            moved = (
                jnp.abs(after - r).mean()
                + jnp.abs(theta_after - theta).mean()
                + jnp.abs(phi_after - phi).mean()
            )
            return after, theta_after, phi_after, passes + 1, jnp.abs(overload).mean(), moved / 3

        def goes_on(state):
            return (state[4] > 8) & (state[3] < PASSES) & (state[5] >= 0.001)

        start = (r, jnp.clip(theta, 1e-6, jnp.pi - 1e-6), phi % (2 * jnp.pi), 0, 1000.0, 1.0)
        state = jax.lax.while_loop(goes_on, one_pass, start)
        return jnp.bincount(shell_of(state[0]), length=SHELLS), state[1], state[2]

    compiled = jax.jit(optimise)
    return (
        lambda: np.asarray(jax.block_until_ready(compiled(rows))[0]),
        lambda: np.asarray(jax.block_until_ready(jax.jit(lambda given: optimise(given))(rows))[0]),
    )


def speed(asked: argparse.Namespace, rng: np.random.Generator) -> list[dict]:
    """CPU and wall time of every method and of the baseline."""
    rows = points(asked.rows, asked.width, rng)
    entropies = rng.gamma(2, 1, asked.rows)
    table, reference = [], None
    if asked.baseline:
        warm, recompiled = earlier(rows)
        cpu, wall = timed(warm, asked.repeats)
        first_cpu, first_wall = timed(recompiled, 1)
        reference = cpu
        held = capacities(asked.rows, shell_radii(SHELLS, LOW, HIGH, "sqrt"))
        row = {"method": "earlier", "cpu_s": cpu, "wall_s": wall, "tv": total_variation(warm(), held)}
        table.append(row | {"recompiled_cpu_s": first_cpu, "recompiled_wall_s": first_wall})
        print(table[-1], flush=True)
    table.append(
        dict(zip(("method", "cpu_s", "wall_s"), ("sum of the rows", *timed(rows.sum, 3)), strict=True))
    )
    print(table[-1], flush=True)
    for method in asked.methods:

        def job(method: str = method):
            return fill(rows, entropies=entropies, method=method, key=0)

        cpu, wall = timed(job, asked.repeats)
        info, result = (filling := job()).info, filling.result
        row = {"method": method, "cpu_s": cpu, "wall_s": wall, "passes": info.passes, "tv": info.tv[-1]}
        row |= {"converged": result.converged, "points_per_cpu_s": asked.rows / cpu}
        if reference is not None:
            row["ratio"] = reference / cpu
        if method == "quantile":
            row["columns"] = columns(job, asked.rows)
        table.append(row)
        print(row, flush=True)
    return table


def columns(job: Callable[[], object], rows: int) -> float:
    """Memory at the peak beside the input and what is returned, in float64 columns [N]."""
    tracemalloc.start()
    kept = job()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return (peak - held) / (8 * rows)


def balance(asked: argparse.Namespace, rng: np.random.Generator) -> list[dict]:
    """Total variation before any projection, by method, size and kind of prominence."""
    table = []
    for rows in (count for count in (10_000, 100_000, 1_000_000) if count <= asked.balance_rows):
        embeddings, entropies = points(rows, 8, rng), rng.gamma(2, 1, rows)
        for shape in SHAPES:
            prominence = flow(shape, rows, rng)
            for method in asked.methods:
                filling = fill(
                    embeddings, prominence=prominence, entropies=entropies, method=method, key=0, chart="pca"
                )
                info = filling.info
                table.append(
                    {
                        "rows": rows,
                        "prominence": shape,
                        "method": method,
                        "tv_first": info.tv[0],
                        "tv": info.tv[-1],
                        "worst_shell": int(np.abs(info.occupancy - info.capacities).max()),
                        "rises": bool((np.diff(info.tv) > 0).any()),
                        "limit": thermal_limit(info.capacities) if strategy(method).thermal else 0.01,
                        "passes": info.passes,
                        "converged": filling.result.converged,
                    }
                )
                print(table[-1], flush=True)
    return table


def growth(asked: argparse.Namespace, rng: np.random.Generator) -> list[dict]:
    """Quantile by size; `per_n_log_n` should not grow (but for caches that overflow)."""
    table, rows = [], 10_000
    while rows <= asked.largest:
        embeddings = points(rows, 16, rng)
        cpu, wall = timed(lambda embeddings=embeddings: fill(embeddings), asked.repeats)
        per = float(1e9 * cpu / (rows * np.log2(rows)))
        table.append({"rows": rows, "cpu_s": cpu, "wall_s": wall, "per_n_log_n_ns": per})
        table[-1]["columns"] = columns(lambda embeddings=embeddings: fill(embeddings), rows)
        print(table[-1], flush=True)
        rows *= 10
    return table


def moves(asked: argparse.Namespace, rng: np.random.Generator) -> list[dict]:
    """Old points that change their shell when 1 % is added: of the same kind, or all at the top."""
    old = min(asked.rows, 100_000)
    embeddings, table = points(old + old // 100, 32, rng), []
    for kind in ("alike", "top"):
        prominence = flow("iid", len(embeddings), rng)
        if kind == "top":
            prominence[old:] = prominence.max() + rng.random(old // 100)
        before = fill(embeddings[:old], prominence=prominence[:old])
        for method in ("quantile", "prominence", "hybrid", "osmotic"):
            after = refill(before, embeddings, prominence=prominence, method=method)
            moved = int(after.info.measures["moved"])
            table.append(
                {"added": kind, "method": method, "old": old, "moved": moved, "tv": after.info.tv[-1]}
            )
            print(table[-1], flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--largest", type=int, default=10_000_000, help="of the growth table")
    parser.add_argument(
        "--balance-rows", type=int, default=1_000_000, help="largest size of the balance table"
    )
    parser.add_argument("--methods", default="all", help="names, comma between")
    parser.add_argument("--no-baseline", dest="baseline", action="store_false")
    asked = parser.parse_args()
    asked.methods = list(METHODS) if asked.methods == "all" else asked.methods.split(",")
    rng = np.random.default_rng(0)
    report = {
        "benchmark": "filling",
        "rows": asked.rows,
        "width": asked.width,
        "speed": speed(asked, rng),
        "growth": growth(asked, rng),
        "moves": moves(asked, rng),
        "balance": balance(asked, rng),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
