"""Trains the small entropy model, src/thesphere/patches/small.safetensors.

    python training/small.py commands                 # shell lines that download and unpack the packages
    python training/small.py pack PACKAGES corpus.xz  # what they hold, cleaned and cut to its parts
    python training/small.py train corpus.xz OUT --steps 36258 --kernel

The last line made the shipped weights, in 6 minutes on one NVIDIA H200 (jax 0.10, optax 0.2.8, seed 0). Without
`--kernel` it runs on any device JAX knows. OUT gets small.safetensors, figures.json (bits per byte of every
held-out package, the curve) and a checkpoint, from which the same command goes on.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from thesphere.nn.contexts import lookup_of
from thesphere.nn.shape import Shape
from thesphere.train import corpora
from thesphere.train.lanes import choose_contexts, describe_all, pack


def train(corpus: corpora.Corpus, out: Path, steps: int, kernel: bool) -> None:
    """Trains, judges and writes what the module's description says."""
    from thesphere.train import loop

    began = time.monotonic()

    def log(line: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {line}", flush=True)

    shares = [corpora.SHARES[name] for name in corpus.parts]
    bodies = [pack(texts)[0][:-1] for texts in corpus.parts.values()]  # the next part begins with a zero
    keys, key_begins = choose_contexts(list(zip(bodies, shares, strict=True)), Shape().rows)
    shape = Shape(rows=tuple(np.diff(key_begins).tolist()))
    texts = [text for named in (corpus.parts, corpus.held_out) for some in named.values() for text in some]
    byte, begins = pack(texts)
    text = loop.to_device(describe_all(byte, begins, lookup_of(keys, key_begins)))
    sizes = [len(body) for body in bodies]
    log(f"{len(byte):,} bytes described; {shape.products:,} products a byte")

    settings = loop.Settings(steps, kernel=kernel)
    state, checkpoint = loop.begin(shape, settings), out / "checkpoint.safetensors"
    if checkpoint.exists():
        state = loop.resume(checkpoint, state)
        log(f"resumed at step {int(state.step):,}")
    step = loop.make_step(shape, settings, sizes, shares)
    state, curve = loop.train(state, step, text, settings, log=log, checkpoint=checkpoint)
    save_file(loop.quantised(state.parameters, keys, key_begins), str(out / "small.safetensors"))

    held_begins = begins[np.searchsorted(begins, sum(sizes)) :]
    group = np.repeat(np.arange(len(corpus.held_out)), list(map(len, corpus.held_out.values())))
    bits = loop.judge(state.parameters, shape, text, held_begins, group, kernel=kernel)
    figures = {
        "bits_per_byte": dict(zip(corpus.held_out, bits.round(4).tolist(), strict=True)),
        "held_out_sha256": {name: corpora.fingerprint(some) for name, some in corpus.held_out.items()},
        "training_bytes": dict(zip(corpus.parts, sizes, strict=True)),
        "bytes_read": steps * settings.lanes * settings.window,
        "settings": vars(settings),
        "curve": curve,
    }
    (out / "figures.json").write_text(json.dumps(figures, indent=1))
    log(json.dumps(figures["bits_per_byte"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("commands")
    packing = tasks.add_parser("pack")
    packing.add_argument("packages", type=Path)
    packing.add_argument("corpus", type=Path)
    training = tasks.add_parser("train")
    training.add_argument("corpus", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--steps", type=int, default=36258)
    training.add_argument("--kernel", action="store_true", help="the Pallas kernels, for NVIDIA GPUs")
    asked = parser.parse_args()
    if asked.task == "commands":
        print("\n".join(corpora.fetch_commands()))
    elif asked.task == "pack":
        corpora.save_corpus(corpora.mixture(corpora.gather(asked.packages)), asked.corpus)
    else:
        asked.out.mkdir(parents=True, exist_ok=True)
        train(corpora.load_corpus(asked.corpus), asked.out, asked.steps, asked.kernel)


if __name__ == "__main__":
    main()
