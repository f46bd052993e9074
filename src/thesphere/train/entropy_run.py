"""Entropy models of one's own: what can be asked for, training, judging, and what is written about it."""

import gzip
import lzma
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from thesphere.errors import InputError
from thesphere.nn.contexts import KNOWN, MOST_ROWS, lookup_of
from thesphere.nn.shape import INPUT, MOST_WIDTH, SHAPES, Shape, checked_shape
from thesphere.nn.weights import shipped_weights
from thesphere.patches import recurrent
from thesphere.patches.recurrent import RecurrentModel
from thesphere.progress import SILENT, Progress
from thesphere.train.card import entropy_card
from thesphere.train.corpora import facts_of
from thesphere.train.lanes import choose_contexts, describe_all, pack
from thesphere.train.outcome import claim, digest_of, machine, need_gpu, need_memory, read_weights
from thesphere.train.rules import need


@dataclass(frozen=True)
class EntropyWish:
    """What is asked for.

    Args:
        steps: of lanes x window bytes; 0: as many as fit in `minutes` on this machine.
        minutes: of training, where `steps` is 0.
        start: "" for fresh weights, "small" ("shipped") or "large" for the shipped ones, or the path of weights.
        width, blocks, rows: sizes of the network (`nn.shape.Shape`); where it starts from weights, theirs.
        lanes, window: texts that are read side by side, and bytes of each in a step.
        rate: share of the usual learning rates.
        decay: of the matrices (`train.loop.Settings`).
        seed: of the first weights.
        kernel: use the Pallas kernels (Nvidia GPUs).
    """

    steps: int = 0
    minutes: float = 10.0
    start: str = ""
    width: int = SHAPES["small"].width
    blocks: int = SHAPES["small"].blocks
    rows: tuple[int, ...] = SHAPES["small"].rows
    lanes: int = 16
    window: int = 128
    rate: float = 1.0
    decay: float = 0.0
    seed: int = 0
    kernel: bool = False

    def __post_init__(self) -> None:
        need(
            self,
            (
                self.width % 16 == 0 and 16 <= self.width <= MOST_WIDTH,
                f"a width of {self.width} is not possible; give a multiple of 16, 16 to {MOST_WIDTH}",
            ),
            (1 <= self.blocks <= 32, f"{self.blocks} blocks are not possible; give 1 to 32"),
            (
                len(self.rows) == KNOWN and 1 <= min(self.rows) and max(self.rows) <= MOST_ROWS,
                f"tables of {', '.join(map(str, dict.fromkeys(self.rows)))} contexts are not possible; give 1 to"
                f" {MOST_ROWS:,} for each of the {KNOWN} tables",
            ),
            (1 <= self.lanes <= 65536, f"{self.lanes} lanes are not possible; give 1 to 65,536"),
            (8 <= self.window <= 65536, f"a window of {self.window} bytes is not possible; give 8 to 65,536"),
            (
                self.steps * self.window < 1 << 31,
                f"{self.steps} steps of {self.window} bytes are too many: at most 2^31 bytes fit a lane",
            ),
            (0 <= self.decay < 100, f"a decay of {self.decay} is not possible; give 0 or a little more, 0.1"),
        )


def train_entropy(
    parts: Mapping[str, Sequence[bytes]],
    held_out: Mapping[str, Sequence[bytes]],
    out: str | Path,
    wish: EntropyWish,
    *,
    shares: Mapping[str, float] | None = None,
    facts: Mapping[str, Any] | None = None,
    command: str = "",
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train a model and write the folder `out` (see `train.outcome`); goes on where it stands.

    Args:
        parts: texts to learn from, by part.
        held_out: texts to judge on, by group; none of them should be among the others.
        shares: of the bytes read that come from each part; by default by their sizes.
        facts: what else the card tells of the data.
        command: the line that makes it again, for the card.
        say: gets a line now and then.

    Returns:
        the figures, as in figures.json.

    Raises:
        InputError: texts or settings that cannot be trained with, too little memory, a loss that diverged, or a
            folder that holds something else.
        FormatError: weights to start from, or a checkpoint, that are damaged or others.
        MissingExtra: JAX or optax is not installed.
        KeyboardInterrupt: with the state kept.
    """
    if not any(map(len, parts.values())) or not any(map(len, held_out.values())):
        raise InputError("there is no text to learn from, or none to judge on; name more files")
    from thesphere.nn.recurrent import parameters_of
    from thesphere.train import loop
    from thesphere.train.run import run, schedule, steps_in, with_parameters

    if wish.kernel:
        need_gpu()
    parts = {name: list(texts) for name, texts in parts.items() if texts}
    started = None if not wish.start else _weights(wish.start)
    data = {
        "trained": {name: facts_of(texts) for name, texts in parts.items()},
        "held_out": {name: facts_of(texts) for name, texts in held_out.items()},
    }
    bodies = [pack(texts)[0][:-1] for texts in parts.values()]  # the next part begins with a zero
    sizes = [len(body) for body in bodies]
    weights = [shares[name] for name in parts] if shares else [size / sum(sizes) for size in sizes]
    shape = (
        Shape(wish.width, wish.blocks, wish.rows) if started is None else checked_shape(started, wish.start)
    )
    need_memory(_memory(shape, wish, sum(sizes)), "give fewer lanes, a smaller width, or less text")
    asked = {"model": "entropy", **asdict(wish), "shares": dict(shares or {}), "texts": data}
    outcome = claim(out, asked | {"start": digest_of(started) if started else ""})
    if (done := outcome.done) is not None:
        say(f"{outcome.path} is trained already")
        return done

    if started is None:
        keys, begins = choose_contexts(list(zip(bodies, weights, strict=True)), wish.rows)
        shape = replace(shape, rows=tuple(np.diff(begins).tolist()))
    else:
        keys, begins = started["keys"], started["begins"]
    byte, document_begins = pack([text for texts in parts.values() for text in texts])
    progress.start("reading", None, "B")
    text = loop.to_device(describe_all(byte, document_begins, lookup_of(keys, begins)))
    progress.finish()
    say(f"{sum(sizes):,} bytes to learn from; {shape.products:,} products a byte")

    steps = outcome.settled.get("steps", wish.steps)
    settings = loop.Settings(
        steps or 1,
        wish.lanes,
        wish.window,
        0.01 * wish.rate,
        0.004 * wish.rate,
        decay=wish.decay,
        seed=wish.seed,
        kernel=wish.kernel,
    )
    state = loop.begin(shape, settings)
    if started is not None:
        state = with_parameters(state, parameters_of(started)[1])
    inner = loop.make_step(shape, settings, sizes, weights)

    def step(state, at: int):
        state, nats = inner(state, text, schedule(settings, at))
        return state, {"bits per byte": nats / math.log(2)}

    if not steps:
        say(f"measuring how many steps fit in {wish.minutes:g} minutes")
        steps = min(steps_in(state, step, wish.minutes), ((1 << 31) - 1) // wish.window)
    settings = replace(settings, steps=steps, rise=min(300, 1 + steps // 10))
    outcome.settle(steps=steps)
    state, curve = run(
        state, step, steps, checkpoint=outcome.checkpoint, wish=outcome.mark, say=say, progress=progress
    )
    tensors = loop.quantised(state.parameters, keys, begins)
    figures = {
        "model": "entropy",
        "command": command,
        "data": data | dict(facts or {}),
        "settings": asdict(wish) | {"steps": steps},
        "sizes": {
            "width": shape.width,
            "blocks": shape.blocks,
            "rows": list(shape.rows),
            "parameters": sum(int(np.prod(sizes)) for _, sizes in shape.tensors().values()),
            "products_per_byte": shape.products,
        },
        "cost": {
            "steps": steps,
            "bytes_read": steps * wish.lanes * wish.window,
            "seconds": round(curve.seconds, 1),
            **machine(),
        },
        "bits_per_byte": judge(RecurrentModel(save(tensors)), held_out, progress),
        "curve": curve.points,
    }
    outcome.deliver(tensors, figures, entropy_card)
    return figures


def judge(
    model: RecurrentModel, held_out: Mapping[str, Sequence[bytes]], progress: Progress = SILENT
) -> dict[str, dict[str, float]]:
    """Bits per byte of each group and of "all", by what reads it: the model and the shipped one, every text from
    an empty state; gzip and xz at their best, all texts of a group in one piece.
    """
    groups = {name: [text for text in texts if text] for name, texts in held_out.items()}
    groups = {name: texts for name, texts in groups.items() if texts}
    known = {"this model": model, "small (shipped)": recurrent.shipped()}
    progress.start("judging", 2 * sum(len(text) for texts in groups.values() for text in texts), "B")
    found = {}
    for group, texts in groups.items():
        bits = {}
        for name, reader in known.items():
            nats = 0.0
            for text in texts:
                nats += float(reader.costs(text).sum(dtype=np.float64))
                progress.advance(len(text))
            bits[name] = nats / math.log(2)
        bits["gzip -9"] = 8 * len(gzip.compress(b"".join(texts), 9))
        bits["xz -9"] = 8 * len(lzma.compress(b"".join(texts), preset=9))
        found[group] = bits | {"bytes": sum(map(len, texts))}
    progress.finish()
    if len(found) > 1:
        found["all"] = {
            name: sum(bits[name] for bits in found.values()) for name in next(iter(found.values()))
        }
    return {
        group: {
            name: round(value / bits["bytes"], 4) if name != "bytes" else int(value)
            for name, value in bits.items()
        }
        for group, bits in found.items()
    }


def _weights(start: str) -> dict[str, np.ndarray]:
    """The tensors to start from."""
    name = "small" if start == "shipped" else start
    if name not in recurrent.SHA256:
        return read_weights(start)
    return load(shipped_weights(recurrent.path_of(name), recurrent.SHA256[name]))


def _memory(shape: Shape, wish: EntropyWish, size: int) -> int:
    """Bytes that training takes, about: the described text on the host and on the device, parameters, their
    gradients and moments, and what a step keeps for its backward pass."""
    described = 2 * size * 40
    tables = sum(int(np.prod(sizes)) for _, sizes in shape.tensors().values())
    kept = wish.lanes * wish.window * 4 * (4 * INPUT + shape.blocks * 14 * shape.width + 4 * 256)
    return (1 << 29) + described + 6 * 4 * tables + kept
