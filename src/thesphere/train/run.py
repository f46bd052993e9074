"""The one loop of training: state -> step -> log -> checkpoint, stopped and gone on with at will.

A step is a function of the state and its number alone, so a run that was stopped and goes on ends with the same
numbers as one that was not.
"""

import json
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open

from thesphere.errors import FormatError, InputError, MissingExtra
from thesphere.progress import SILENT, Progress
from thesphere.store import write_tensors

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise MissingExtra("training", "jax") from None

POINTS = 100  # of a curve, about
SAVE_SECONDS = 60.0
AHEAD = 2  # steps that the host may be ahead of the device
TIMED = 3  # steps from which the pace is taken
RUN = "run"  # the name under which a checkpoint holds what is no array

Step = Callable[[Any, int], tuple[Any, dict[str, jax.Array]]]
"""(state, number of the step) -> (state after it, what to log: scalars). May use the state up."""


class Rates(Protocol):
    """What settings say of the learning rate: steps, those until its height, the share left at the end."""

    @property
    def steps(self) -> int: ...
    @property
    def rise(self) -> int: ...
    @property
    def floor(self) -> float: ...


def schedule(settings: Rates, step: int) -> np.float32:
    """The share of the highest rate at `step`: a short rise, then a cosine."""
    cosine = settings.floor + (1 - settings.floor) * 0.5 * (1 + np.cos(np.pi * min(step / settings.steps, 1)))
    return np.float32(cosine * min(1.0, (step + 1) / settings.rise))


def with_parameters(state: Any, found: Mapping[str, Any]) -> Any:
    """`state` with other weights, laid on the devices as its own were."""
    placed = {name: jax.device_put(found[name], old.sharding) for name, old in state.parameters.items()}
    return state._replace(parameters=placed)


@dataclass
class Curve:
    """What was logged.

    Attributes:
        points: "step", and by name the mean since the last point.
        seconds: that the steps took, over all sittings.
        sums, count: of the steps since the last point.
    """

    points: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, told: dict[str, jax.Array]) -> None:
        """One more step. Raises InputError where a number is not finite."""
        for name, value in told.items():
            number = float(value)
            if not math.isfinite(number):
                raise InputError(
                    f"{name} became {number}: the training diverged; lower the rate and start anew"
                )
            self.sums[name] = self.sums.get(name, 0.0) + number
        self.count += 1

    def close(self, step: int) -> dict[str, float]:
        """The mean since the last point, as the next one."""
        self.points.append({"step": step} | {name: value / self.count for name, value in self.sums.items()})
        self.sums, self.count = {}, 0
        return self.points[-1]


def run(
    state: Any,
    step: Step,
    steps: int,
    *,
    checkpoint: Path | None = None,
    wish: str = "",
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = SILENT,
    save_seconds: float = SAVE_SECONDS,
) -> tuple[Any, Curve]:
    """Train until `steps` are done, from the checkpoint on if there is one.

    Args:
        state: a tree of arrays, before the first step; used up.
        step: see `Step`.
        steps: of the whole run, at least 1.
        checkpoint: a file; written every `save_seconds`, when interrupted, and at the end.
        wish: tells this run from others; a checkpoint of another one is refused.
        say: gets a line per point of the curve.
        progress: is told steps.

    Returns:
        (the last state, the curve).

    Raises:
        FormatError: the checkpoint is damaged, or one of another run.
        InputError: what is logged is not finite.
        KeyboardInterrupt: after the step in hand, the checkpoint written.
    """
    at, curve = 0, Curve()
    if checkpoint is not None and checkpoint.exists():
        state, at, curve = load(checkpoint, state, wish)
    every = max(1, -(-steps // POINTS))
    progress.start("training", steps, "steps")
    progress.advance(at)
    if at:
        say(f"goes on after step {at:,} of {steps:,}")
    before, begun = curve.seconds, time.monotonic()
    saved = begun
    waiting: deque[dict[str, jax.Array]] = deque()
    with _asked_to_stop() as stop:
        while at < steps:
            state, told = step(state, at)
            at += 1
            waiting.append(told)
            closes, stops = at % every == 0 or at == steps, stop.is_set()
            saves = checkpoint is not None and (
                stops or at == steps or time.monotonic() - saved > save_seconds
            )
            while len(waiting) > (0 if closes or saves else AHEAD):
                curve.add(waiting.popleft())
                progress.advance(1)
            curve.seconds = before + time.monotonic() - begun
            if closes:
                say(_line(curve.close(at), steps, curve.seconds))
            if saves:
                assert checkpoint is not None
                save(checkpoint, state, at, curve, wish)
                saved = time.monotonic()
            if stops and at < steps:
                progress.finish()
                kept = " and the state is kept" if checkpoint is not None else ""
                raise KeyboardInterrupt(f"interrupted after step {at:,} of {steps:,}{kept}")
    progress.finish()
    return state, curve


def steps_in(state: Any, step: Step, minutes: float) -> int:
    """How many steps fit in `minutes` on this machine, at least 1: timed on a copy of the state, which is
    thrown away."""
    copy = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state)
    copy, told = step(copy, 0)  # compiles
    jax.block_until_ready(told)
    begun = time.monotonic()
    for at in range(TIMED):
        copy, told = step(copy, at)
    jax.block_until_ready(told)
    return max(1, int(minutes * 60 * TIMED / (time.monotonic() - begun)))


def save(path: Path, state: Any, at: int, curve: Curve, wish: str) -> None:
    """Write everything training needs to go on after `at` steps, in one step of the file system."""
    arrays = {f"{i:04d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    write_tensors(path, arrays, {RUN: json.dumps({"step": at, "wish": wish, "curve": asdict(curve)})})


def load(path: Path, like: Any, wish: str) -> tuple[Any, int, Curve]:
    """(state, steps that are done, curve) as `save` wrote them.

    Args:
        like: a state with the same arrays; where they lie on devices is taken over.

    Raises:
        FormatError: a damaged file, one of another model, or of another wish.
    """
    try:
        with safe_open(path, "np") as file:
            told = json.loads((file.metadata() or {})[RUN])
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        at, curve, other = int(told["step"]), Curve(**told["curve"]), told["wish"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path} is no checkpoint that can be gone on from ({error}); remove it") from None
    leaves, tree = jax.tree.flatten(like)
    stored = [found.get(f"{i:04d}") for i in range(len(leaves))]
    same = len(found) == len(leaves) and all(
        new is not None and new.shape == old.shape and new.dtype == old.dtype
        for new, old in zip(stored, leaves, strict=True)
    )
    if other != wish or not same:
        raise FormatError(
            f"{path} belongs to a training with other settings or other texts; repeat what it was started with,"
            " or choose another folder"
        )
    placed = [
        jax.device_put(new, old.sharding) if isinstance(old, jax.Array) else new
        for new, old in zip(stored, leaves, strict=True)
    ]
    return jax.tree.unflatten(tree, placed), at, curve


def _line(point: dict[str, float], steps: int, seconds: float) -> str:
    values = "  ".join(f"{name} {value:.4f}" for name, value in point.items() if name != "step")
    return f"step {int(point['step']):,}/{steps:,}  {values}  {seconds:.0f} s"


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; at the second time they do what they always did. Elsewhere than in
    the main thread nobody is asked."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    usual = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: object) -> None:
        asked.set()
        signal.signal(number, usual[signal.Signals(number)])

    for each in usual:
        signal.signal(each, ask)
    try:
        yield asked
    finally:
        for each, handler in usual.items():
            signal.signal(each, handler)
