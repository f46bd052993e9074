"""The published byte-latent entropy model on this machine: speed, bits per byte, drift, patches.

    python benchmarks/published.py MODEL FILE... [--most BYTES] [--precision bfloat16] [--write-random FOLDER]

MODEL is what `--entropy` takes: a folder, or OWNER/NAME in the hub's cache. `--write-random` first makes MODEL, a
folder with random weights of the published sizes (199 MB), which shows speed and memory alone. Runs on the device
that JAX prefers. Drift: mean entropy of the same bytes far from the beginning of their source against bytes
256-511 of it (`patches.drift`); it must not be above 0.02 on long text. The last line is JSON.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from thesphere.nn.published import Settings
from thesphere.patches.boundaries import PUBLISHED_THRESHOLD, Threshold, byte_starts
from thesphere.patches.drift import entropy_drift
from thesphere.patches.published import PublishedModel, open_published

RUNS = 3


def write_random(folder: Path) -> None:
    """Random weights of the published sizes, in the original layout."""
    from ml_dtypes import bfloat16
    from safetensors.numpy import save_file

    sizes, rng = Settings(), np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    args = {"dim": sizes.dim, "n_layers": sizes.layers, "n_heads": sizes.heads}
    (folder / "config.json").write_text(json.dumps({"args": args}))
    tensors = {
        name: (rng.normal(0, shape[-1] ** -0.5, shape) if len(shape) == 2 else np.ones(shape)).astype(
            bfloat16
        )
        for name, shape in sizes.tensors().items()
    }
    save_file(tensors, folder / "model.safetensors")


def seconds(model: PublishedModel, data: bytes) -> float:
    """Median wall time of the entropies of `data`."""
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        model.entropies(data)
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def figures(model: PublishedModel, data: bytes) -> dict[str, float]:
    """What one file shows."""
    starts = byte_starts(model.entropies(data), Threshold(PUBLISHED_THRESHOLD))
    found = {
        "bytes": len(data),
        "bits_per_byte": float(model.costs(data).mean(dtype=np.float64) / np.log(2)),
        "bytes_per_patch": len(data) / len(starts),
    }
    if len(data) >= 8 * 256:
        drift = entropy_drift(model, data)
        found |= {"near_nats": drift.near, "far_nats": drift.far, "growth": drift.growth}
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=1 << 16, help="bytes of each file that are read")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--write-random", action="store_true")
    asked = parser.parse_args()
    if asked.write_random:
        write_random(Path(asked.model))
    texts = {str(path): path.read_bytes()[: asked.most] for path in asked.files}
    begin = time.perf_counter()
    model = open_published(asked.model, precision=asked.precision)
    opened = time.perf_counter() - begin
    import jax

    largest = max(texts.values(), key=len)
    begin = time.perf_counter()
    model.entropies(largest[:1])
    told = {
        "benchmark": "published",
        "model": model.id,
        "device": jax.devices()[0].device_kind,
        "parameters": model.network.settings.parameters,
        "chunk": model.network.chunk,
        "open_seconds": opened,
        "compile_seconds": time.perf_counter() - begin,
        "kilobytes_per_second": len(largest) / 1e3 / seconds(model, largest),
    }
    print(*(f"{key} {value}" for key, value in told.items()), sep="  ", flush=True)
    told["files"] = {}
    for name, data in texts.items():
        told["files"][name] = figures(model, data)
        print(
            name, *(f"{key} {value:.4g}" for key, value in told["files"][name].items()), sep="  ", flush=True
        )
    print(json.dumps(told))


if __name__ == "__main__":
    main()
