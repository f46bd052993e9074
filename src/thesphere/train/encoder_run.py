"""Encoders of one's own: what can be asked for, training on pairs, judging, and what is written about it."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from thesphere.encoders import Encoder, fit_lsa, open_encoder
from thesphere.errors import FormatError, InputError, SphereError
from thesphere.nn.grams import Rows
from thesphere.nn.shape import MOST_WIDTH
from thesphere.nn.sphere_shape import LIGHT, SPHERE, SphereShape, checked_sphere_shape
from thesphere.progress import SILENT, Progress
from thesphere.train.card import encoder_card
from thesphere.train.corpora import facts_of
from thesphere.train.folder import Pair
from thesphere.train.library import Library, read_library
from thesphere.train.outcome import claim, digest_of, machine, need_gpu, need_memory, read_weights
from thesphere.train.rules import need

SHORT, LONG = 32, 128  # patches of the two sides of a pair; what is longer is cut in training
SLICE = 256  # texts that a teacher is given at a time
GENTLE = 0.1  # share of the usual rates where trained weights are trained on
SHAPES = {"sphere": SPHERE, "sphere-light": LIGHT}


@dataclass(frozen=True)
class EncoderWish:
    """What is asked for.

    Args:
        kind: "sphere", whose layers have attention, or "sphere-light".
        steps: batches; 0: as many as fit in `minutes` on this machine.
        minutes: of training, where `steps` is 0.
        start: "" for fresh weights, "shipped" for those that come with the package, or the path of weights.
        teacher: an encoder by name, whose vectors are learned as well; "" for none.
        width, layers: sizes of the network; 0: the usual ones. Where it starts from weights, theirs.
        rows: rows of the table of hashed grams, about; 0: as usual.
        batch: pairs of a step.
        rate: share of the usual learning rates.
        seed: of the first weights and of the order of pairs.
        kernel: use the Pallas kernel (Nvidia GPUs).
    """

    kind: str = "sphere-light"
    steps: int = 0
    minutes: float = 10.0
    start: str = ""
    teacher: str = ""
    width: int = 0
    layers: int = 0
    rows: int = 0
    batch: int = 128
    rate: float = 1.0
    seed: int = 0
    kernel: bool = False

    def __post_init__(self) -> None:
        need(
            self,
            (
                self.kind in SHAPES,
                f"there is no encoder {self.kind!r} to train; choose {' or '.join(SHAPES)}",
            ),
            (
                self.width % 64 == 0 and 0 <= self.width <= MOST_WIDTH,
                f"a width of {self.width} is not possible; give a multiple of 64, 64 to {MOST_WIDTH}",
            ),
            (0 <= self.layers <= 32, f"{self.layers} layers are not possible; give 1 to 32"),
            (
                self.rows == 0 or 64 <= self.rows <= 1 << 20,
                f"a table of {self.rows} rows is not possible; give 64 to {1 << 20:,}",
            ),
            (
                8 <= self.batch <= 1 << 16 and self.batch % 4 == 0,
                f"a batch of {self.batch} pairs is not possible; give a multiple of 4, 8 to {1 << 16:,}",
            ),
        )

    @property
    def shape(self) -> SphereShape:
        """The sizes of a network with fresh weights."""
        usual = SHAPES[self.kind]
        width = self.width or usual.width
        shape = replace(usual, width=width, layers=self.layers or usual.layers)
        if self.kind == "sphere" and width != usual.width:
            heads = width // 32 if width % 128 == 0 else width // 16
            shape = replace(shape, heads=heads, hidden=min(MOST_WIDTH, 16 * round(width / 6)))
        if self.rows:
            share = self.rows / usual.rows.total
            shape = replace(shape, rows=Rows(*(max(16, round(n * share)) for n in usual.rows)))
        return shape


def train_encoder(
    pairs: Sequence[Pair],
    held_out: Sequence[Pair],
    out: str | Path,
    wish: EncoderWish,
    *,
    facts: Mapping[str, Any] | None = None,
    command: str = "",
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train an encoder and write the folder `out` (see `train.outcome`); goes on where it stands.

    Args:
        pairs: to learn from, in the order of their sources.
        held_out: to judge on; none of their texts should be among the others.
        facts: what else the card tells of the data.
        command: the line that makes it again, for the card.
        say: gets a line now and then.

    Returns:
        the figures, as in figures.json.

    Raises:
        InputError: too few pairs, settings that cannot be trained with, too little memory, a loss that diverged,
            or a folder that holds something else.
        FormatError: weights to start from, or a checkpoint, that are damaged or others.
        MissingExtra: JAX or optax is not installed, or what the teacher needs.
        KeyboardInterrupt: with the state kept.
    """
    if len(pairs) < wish.batch // 2 or len(held_out) < 2:
        raise InputError(
            f"{len(pairs)} pairs to learn from and {len(held_out)} to judge on were made of the texts;"
            f" {wish.batch // 2} and 2 are needed: name more files, with headings, sentences or docstrings,"
            " or make the batch smaller"
        )
    from thesphere.nn import sphere
    from thesphere.train import encoder
    from thesphere.train.run import run, schedule, steps_in, with_parameters
    from thesphere.train.sampler import Pairs, Sampler, Settings
    from thesphere.train.shelf import shelve

    if wish.kernel:
        need_gpu()
    started = None if not wish.start else _weights(wish)
    shape = wish.shape if started is None else checked_sphere_shape(started, wish.start)
    teacher = open_encoder(wish.teacher) if wish.teacher else None
    if teacher is not None and teacher.width != shape.embedding:
        if started is not None:
            raise InputError(
                f"the teacher {wish.teacher} makes {teacher.width} columns and the weights {shape.embedding};"
                " choose another teacher, or none"
            )
        shape = replace(shape, embedding=teacher.width)
    texts = list(dict.fromkeys(side for pair in pairs for side in (pair.query, pair.passage)))
    number = {text: i for i, text in enumerate(texts)}
    data = {
        "trained": {"pairs": facts_of([side for pair in pairs for side in (pair.query, pair.passage)])},
        "held_out": {"pairs": facts_of([side for pair in held_out for side in (pair.query, pair.passage)])},
    }
    need_memory(_memory(shape, wish, sum(map(len, texts))), "give a smaller batch or width, or less text")
    asked = {"model": "encoder", **asdict(wish), "texts": data}
    outcome = claim(out, asked | {"start": digest_of(started) if started else ""})
    if (done := outcome.done) is not None:
        say(f"{outcome.path} is trained already")
        return done

    progress.start("reading", None, "B")
    library = _library(texts, shape, None if started is None else started["rarity"])
    progress.finish()
    taught, vectors = np.full(len(texts), -1, np.int32), np.zeros((1, shape.embedding), np.float16)
    if teacher is not None:
        vectors = _taught(teacher, texts, progress)
        taught = np.where(np.abs(vectors).max(1) > 0, np.arange(len(texts)), -1).astype(np.int32)
    kinds = Counter(pair.kind for pair in pairs)
    names = list(kinds)
    given = Pairs(
        np.array([number[pair.query] for pair in pairs], np.int32),
        np.array([number[pair.passage] for pair in pairs], np.int32),
        np.array([names.index(pair.kind) for pair in pairs]),
        [count / len(pairs) for count in kinds.values()],
        [True] * len(names),
    )
    say(f"{len(pairs):,} pairs to learn from; {shape.products:,} products a patch")

    usual = Settings(1)
    part = wish.rate * (GENTLE if started else 1.0)
    steps = outcome.settled.get("steps", wish.steps)
    settings = replace(
        usual,
        steps=steps or 1,
        sizes=((SHORT, LONG, wish.batch),),
        rate=usual.rate * part,
        table_rate=usual.table_rate * part,
        distil=usual.distil if teacher else 0.0,
        relate=usual.relate if teacher else 0.0,
        seed=wish.seed,
        words=min(usual.words, len(library.word), wish.batch * (SHORT + LONG)),
        kernel=wish.kernel,
    )
    sampler = Sampler(given, library.lengths, settings)
    shelf = shelve(library, taught, vectors)
    state = encoder.begin(shape, settings)
    if started is not None:
        state = with_parameters(state, sphere.parameters_of(started)[1])
    (inner,) = encoder.make_steps(shape, settings)

    def step(state, at: int):
        _, *batch = sampler.batch(at)
        return inner(state, shelf, *batch, np.int32(at), schedule(settings, at))

    if not steps:
        say(f"measuring how many steps fit in {wish.minutes:g} minutes")
        steps = steps_in(state, step, wish.minutes)
    settings = replace(settings, steps=steps, rise=min(usual.rise, 1 + steps // 10))
    outcome.settle(steps=steps)
    state, curve = run(
        state, step, steps, checkpoint=outcome.checkpoint, wish=outcome.mark, say=say, progress=progress
    )
    tensors = sphere.quantised(state.parameters, shape, library.rarity)
    figures = {
        "model": "encoder",
        "command": command,
        "data": data | {"pairs": dict(kinds)} | dict(facts or {}),
        "settings": asdict(wish) | {"steps": steps},
        "sizes": {
            "width": shape.width,
            "layers": shape.layers,
            "rows": list(shape.rows),
            "parameters": sum(math.prod(sizes) for _, sizes in shape.tensors().values()),
            "products_per_patch": shape.products,
        },
        "cost": {
            "steps": steps,
            "pairs_read": steps * wish.batch,
            "seconds": round(curve.seconds, 1),
            **machine(),
        },
        "teacher": "" if teacher is None else teacher.id,
        "held_out": _judged(tensors, wish.kind, pairs, held_out, progress),
        "curve": curve.points,
    }
    outcome.deliver(tensors, figures, encoder_card)
    return figures


def judge(encoder: Encoder, pairs: Sequence[Pair]) -> dict[str, float]:
    """How an encoder finds each pair's passage among all of theirs.

    Returns:
        "recall@1" and "recall@10", the share of queries whose passage is the nearest, and among the ten nearest;
        "MRR", the mean of 1 / place. Equal cosines count against it.
    """
    passages = list(dict.fromkeys(pair.passage for pair in pairs))
    place = {passage: i for i, passage in enumerate(passages)}
    rows, queries = (_unit(encoder.encode(texts)) for texts in (passages, [pair.query for pair in pairs]))
    ranks = np.empty(len(pairs))
    for first in range(0, len(pairs), 1024):
        here = slice(first, first + 1024)
        scores = queries[here] @ rows.T
        own = np.array([place[pair.passage] for pair in pairs[here]])
        ranks[here] = (scores >= scores[np.arange(len(own)), own][:, None]).sum(1)
    return {
        "recall@1": round(float((ranks <= 1).mean()), 4),
        "recall@10": round(float((ranks <= 10).mean()), 4),
        "MRR": round(float((1 / ranks).mean()), 4),
    }


def _judged(
    tensors: dict[str, np.ndarray],
    kind: str,
    pairs: Sequence[Pair],
    held_out: Sequence[Pair],
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """`judge` of the model as it is stored, of the shipped one, and of `lsa` fitted on what was learned from."""
    from thesphere.encoders.sphere import load_sphere, open_sphere

    encoders: dict[str, Encoder] = {"this model": load_sphere(save(tensors), kind, "this", "this model")}
    try:
        encoders[f"{kind} (shipped)"] = open_sphere(kind)
    except SphereError:  # a package without weights
        pass
    encoders["lsa"] = fit_lsa(pair.passage for pair in pairs)
    progress.start("judging", len(encoders), "encoders")
    found = {}
    for name, encoder in encoders.items():
        found[name] = judge(encoder, held_out) | {"pairs": len(held_out)}
        progress.advance(1)
    progress.finish()
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _weights(wish: EncoderWish) -> dict[str, np.ndarray]:
    """The tensors to start from.

    Raises:
        FormatError: they are damaged, or those of the other kind.
    """
    if wish.start == "shipped":
        from thesphere.encoders.sphere import shipped

        tensors = dict(shipped(wish.kind).tensors)
    else:
        tensors = read_weights(wish.start)
    if ("0.slope" in tensors) != (wish.kind == "sphere"):
        raise FormatError(
            f"the weights {wish.start} are not those of {wish.kind}; name the kind that they are of"
        )
    return tensors


def _library(texts: Sequence[bytes], shape: SphereShape, rarity: np.ndarray | None) -> Library:
    begins = np.cumsum([0, *map(len, texts)])
    return read_library(
        np.frombuffer(b"".join(texts), np.uint8), begins, shape.rows, shape.shells, rarity=rarity
    )


def _taught(teacher: Encoder, texts: Sequence[bytes], progress: Progress) -> np.ndarray:
    """Unit rows of the teacher, float16 [texts, E]; zeros where it has none."""
    progress.start(f"asking {teacher.id}", len(texts), "texts")
    rows = np.empty((len(texts), teacher.width), np.float16)
    for first in range(0, len(texts), SLICE):
        some = texts[first : first + SLICE]
        rows[first : first + len(some)] = _unit(teacher.encode(some))
        progress.advance(len(some))
    progress.finish()
    return rows


def _memory(shape: SphereShape, wish: EncoderWish, size: int) -> int:
    """Bytes that training takes, about: the texts read, parameters with their gradients and moments, and what a
    step keeps for its backward pass."""
    weights = sum(math.prod(sizes) for _, sizes in shape.tensors().values())
    patches = wish.batch * (SHORT + LONG)
    kept = patches * 4 * (10 * shape.width + 3 * shape.hidden + shape.heads * LONG) * shape.layers
    return (1 << 29) + 40 * size + 6 * 4 * weights + kept + wish.batch**2 * 64 + patches * 64 * shape.table
