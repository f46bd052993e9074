"""`thesphere train entropy` and `thesphere train encoder`: models of one's own texts."""

import shlex
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from thesphere.cli.console import (
    Bar,
    Flag,
    Json,
    Size,
    count_words,
    misuse,
    put_json,
    shown_path,
    size_words,
    sparkline,
    talk,
)
from thesphere.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from thesphere.train.folder import Texts

WATCHED = ("bits per byte", "nce")  # what falls as an entropy model, an encoder learns
QUIET = 20.0  # seconds between two lines where there is no terminal

train = App(name="train", help_format="plaintext", result_action="return_value")

Start = Annotated[str, Parameter(name="--from", show_default=False)]


class _Talk:
    """Lines of a training: what is watched as the bar's label on a terminal, else a line now and then."""

    def __init__(self, bar: Bar, watched: str) -> None:
        self.bar, self.watched, self.last = bar, watched, 0.0

    def __call__(self, line: str) -> None:
        if not line.startswith("step "):
            talk(line)
        elif self.bar.visible:
            self.bar.describe(next(each for each in line.split("  ") if each.startswith(self.watched)))
        elif time.monotonic() - self.last > QUIET:
            talk(line)
            self.last = time.monotonic()


@train.command
def entropy(
    *paths: str,
    out: str,
    corpus: str | None = None,
    like: Literal["small", "large"] | None = None,
    start: Start = "",
    minutes: float = 10.0,
    steps: int | None = None,
    width: int | None = None,
    blocks: int | None = None,
    contexts: int | None = None,
    lanes: int | None = None,
    window: int | None = None,
    rate: float = 1.0,
    seed: int = 0,
    most: Size = 200_000_000,
    kernel: Flag = False,
    json: Json = False,
) -> int:
    """Train an entropy model on files and folders of yours; use it at once: ingest --entropy OUT.

    Needs the extra jax. One in twenty bytes is held out and judged on, beside the shipped model, gzip and xz. If
    it is interrupted, run the same command again: it goes on where it was and ends with the same weights.

    Parameters
    ----------
    paths
        Files and folders to learn from, read as by ingest.
    out
        A new folder: weights.safetensors, figures.json, model.md, and curve.png with the extra viz.
    corpus
        A packed corpus (training/entropy.py pack) instead of paths.
    like
        The sizes and steps that small or large was trained with.
    start
        Where to start from: shipped (the weights of small), large, or the path of weights. Without it, nothing.
    minutes
        Train for as many steps as fit in so many minutes.
    steps
        Train for so many steps instead.
    width
        Of the network, a multiple of 16 up to 1024 (128).
    blocks
        Recurrences, one after the other (2).
    contexts
        Contexts that each table knows, at most.
    lanes
        Texts that a step reads side by side (16).
    window
        Bytes of each of them in a step (128).
    rate
        Share of the usual learning rates.
    seed
        Of the first weights.
    most
        Bytes of text that are read at most; with a unit, 64MiB.
    kernel
        Use the Pallas kernels, for NVIDIA GPUs.
    json
        Print the figures as one JSON document.
    """
    from thesphere.nn.contexts import KNOWN
    from thesphere.nn.shape import SHAPES
    from thesphere.train.corpora import load_corpus
    from thesphere.train.entropy_run import EntropyWish, train_entropy
    from thesphere.train.recipes import RECIPES

    if bool(paths) == (corpus is not None):
        raise misuse("name the files and folders to learn from, or a --corpus; one of the two")
    need_jax()
    asked: dict[str, Any] = {"rate": rate, "seed": seed, "start": _absolute(start), "minutes": minutes}
    if like is not None:
        recipe = RECIPES[like]
        asked |= {"width": SHAPES[like].width, "blocks": SHAPES[like].blocks, "rows": SHAPES[like].rows}
        asked |= {
            "lanes": recipe.lanes,
            "window": recipe.window,
            "steps": recipe.steps,
            "decay": recipe.decay,
        }
    given = {"steps": steps, "width": width, "blocks": blocks, "lanes": lanes, "window": window}
    asked |= {name: value for name, value in given.items() if value is not None}
    need_positive(steps=steps)
    if contexts is not None:
        asked["rows"] = (contexts,) * KNOWN
    wish = EntropyWish(**asked, kernel=kernel)
    with Bar() as bar:
        say = _Talk(bar, WATCHED[0])
        facts: dict[str, Any] = {}
        shares = None
        if corpus is not None:
            packed = load_corpus(corpus)
            parts, held_out = packed.parts, packed.held_out
            if like is not None and parts.keys() <= RECIPES[like].shares.keys():
                shares = {name: RECIPES[like].shares[name] for name in parts}
        else:
            from thesphere.train.folder import by_kind, texts_of

            texts = texts_of(paths, most=most, progress=bar)
            parts, held_out = {"text": [text.data for text in texts.trained]}, by_kind(texts.held_out)
            facts = _facts(paths, texts)
        figures = _trained(
            lambda: train_entropy(
                parts,
                held_out,
                out,
                wish,
                shares=shares,
                facts=facts,
                command=_command(),
                say=say,
                progress=bar,
            ),
            out,
        )
    _tell(figures, out, json, WATCHED[0], f"--entropy {shown_path(out)}")
    bits = list(figures["bits_per_byte"].values())[-1]
    told = ", ".join(f"{name} {value:.3f}" for name, value in bits.items() if name != "bytes")
    talk(f"bits per byte of {size_words(bits['bytes'])} held out: {told}")
    return 0


@train.command
def encoder(
    *paths: str,
    out: str,
    kind: Literal["sphere-light", "sphere"] = "sphere-light",
    start: Start = "",
    teacher: Annotated[str, Parameter(show_default=False)] = "",
    minutes: float = 10.0,
    steps: int | None = None,
    width: int | None = None,
    layers: int | None = None,
    rows: int | None = None,
    batch: int = 128,
    rate: float = 1.0,
    seed: int = 0,
    most: Size = 200_000_000,
    kernel: Flag = False,
    json: Json = False,
) -> int:
    """Train an encoder on files and folders of yours; use it at once: ingest --encoder sphere-light:OUT.

    Needs the extra jax. It learns from pairs that are made of the texts: headings, first sentences, sentences and
    their passages, docstrings. Pairs of one in twenty bytes are judged on. If it is interrupted, run the same
    command again: it goes on where it was and ends with the same weights.

    Parameters
    ----------
    paths
        Files and folders to learn from, read as by ingest.
    out
        A new folder: weights.safetensors, figures.json, model.md, and curve.png with the extra viz.
    kind
        sphere-light (the default) or sphere, whose layers have attention.
    start
        Where to start from: shipped (the weights of that kind), or the path of weights. Without it, nothing.
    teacher
        An encoder whose vectors are learned as well: minilm, sphere, lsa ... Without it, none.
    minutes
        Train for as many steps as fit in so many minutes.
    steps
        Train for so many steps instead.
    width
        Of the network, a multiple of 64 up to 1024 (384).
    layers
        One after the other (6; sphere: 4).
    rows
        Rows of the table of character n-grams.
    batch
        Pairs of a step, a multiple of 4.
    rate
        Share of the usual learning rates.
    seed
        Of the first weights and of the order of pairs.
    most
        Bytes of text that are read at most; with a unit, 64MiB.
    kernel
        Use the Pallas kernel, for NVIDIA GPUs.
    json
        Print the figures as one JSON document.
    """
    from thesphere.train.encoder_run import EncoderWish, train_encoder
    from thesphere.train.folder import pairs_of, texts_of

    if not paths:
        raise misuse("no path was given; name the files and folders to learn from")
    need_jax()
    need_positive(steps=steps, width=width, layers=layers, rows=rows)
    wish = EncoderWish(
        kind=kind,
        steps=steps or 0,
        minutes=minutes,
        start=_absolute(start),
        teacher=teacher,
        width=width or 0,
        layers=layers or 0,
        rows=rows or 0,
        batch=batch,
        rate=rate,
        seed=seed,
        kernel=kernel,
    )
    with Bar() as bar:
        say = _Talk(bar, WATCHED[1])
        texts = texts_of(paths, most=most, progress=bar)
        pairs, held_out = (pairs_of(some, seed=seed) for some in (texts.trained, texts.held_out))
        figures = _trained(
            lambda: train_encoder(
                pairs,
                held_out,
                out,
                wish,
                facts=_facts(paths, texts),
                command=_command(),
                say=say,
                progress=bar,
            ),
            out,
        )
    _tell(figures, out, json, WATCHED[1], f"--encoder {kind}:{shown_path(out)}")
    for name, found in figures["held_out"].items():
        told = ", ".join(f"{what} {value:.3f}" for what, value in found.items() if what != "pairs")
        talk(f"  {name}: {told} of {found['pairs']:,} held-out pairs")
    return 0


def _command() -> str:
    """The line that was typed."""
    return shlex.join(["thesphere", *sys.argv[1:]])


def _absolute(start: str) -> str:
    """Where to start from, the same wherever the command is repeated."""
    return start if start in ("", "shipped", "small", "large") else str(Path(start).resolve())


def _facts(paths: tuple[str, ...], texts: "Texts") -> dict[str, Any]:
    """What the card tells of the files."""
    return {"paths": [shown_path(str(Path(path).resolve())) for path in paths], "skipped": texts.skipped}


def need_positive(**options: int | None) -> None:
    """Raise InputError for an option that was given and is below 1."""
    for name, value in options.items():
        if value is not None and value < 1:
            raise InputError(f"--{name} is {value}; give 1 or more")


def need_jax() -> None:
    """Raise MissingExtra unless what trains is installed."""
    for name in ("jax", "optax"):
        if find_spec(name) is None:
            raise MissingExtra("training", "jax")


def _trained(work: Callable[[], dict[str, Any]], out: str) -> dict[str, Any]:
    try:
        return work()
    except KeyboardInterrupt as interrupt:
        told = str(interrupt) or f"interrupted; {out} keeps what was done"
        raise KeyboardInterrupt(f"{told}; run the same command again and it goes on") from None


def _tell(figures: dict[str, Any], out: str, json: bool, name: str, use: str) -> None:
    """The end of a training, for people and programs."""
    steps = [point["step"] for point in figures["curve"]]
    values = [point[name] for point in figures["curve"]]
    try:
        from thesphere.viz.figures import draw_curve

        draw_curve(steps, values, Path(out) / "curve.png", name=name)
    except MissingExtra:
        pass
    if json:
        put_json(figures)
    cost, weights = figures["cost"], figures["weights"]
    line = sparkline(values)
    talk(f"{name} {values[0]:.3f} {line} {values[-1]:.3f}")
    talk(
        f"{shown_path(out)}: {count_words(cost['steps'], 'step')} in {cost['seconds']:.0f} s;"
        f" {size_words(weights['bytes'])} of weights; use them with {use}"
    )
