"""What the commands share: sizes in words, bars, JSON, and the collection that a name means."""

import json
import math
import os
import re
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import CycloptsError, Parameter, Token

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(|[kmgt]i?)b?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes of a size such as "512", "64MiB", "1.5 GB" or "10k".

    Raises:
        ValueError: it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write bytes, or a unit as in 500kB, 64MiB or 1GiB")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _convert_size(kind: type, tokens: Sequence[Token]) -> int:
    return parse_size(tokens[0].value)


Size = Annotated[int, Parameter(converter=_convert_size)]
"""An option that takes a size with a unit."""

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""An option that is given or not."""

Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]
"""The option that asks for one JSON document on standard output."""


def size_words(count: float) -> str:
    """Bytes for people: "12 B", "3.4 kB", "5.6 MB"."""
    if abs(count) < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if abs(count) < 999.5 or unit == "TB":
            break
    return f"{count:.1f} {unit}"


def count_words(count: int, noun: str, plural: str = "") -> str:
    """ "1 source", "1,234 sources"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def misuse(told: str) -> CycloptsError:
    """The error for a command that was called wrongly: one line, exit code 2."""
    return CycloptsError(msg=told)


def talk(line: str) -> None:
    """A line for the person, on standard error."""
    print(line, file=sys.stderr, flush=True)


def put_json(document: Any) -> None:
    """The one JSON document of a command, on standard output."""
    text = json.dumps(document, ensure_ascii=not _unicode(), indent=2, allow_nan=False)
    encoding = sys.stdout.encoding or "utf-8"  # a lone surrogate of a file name becomes \\udcXX, valid JSON
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def finite(value: float) -> float | None:
    """For JSON, which has no infinity."""
    return value if math.isfinite(value) else None


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def terminal_width() -> int:
    """Columns of the terminal; 120 where the output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 120


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """A curve as one line of blocks, lowest to highest; "" where the terminal cannot show them."""
    marks = "▁▂▃▄▅▆▇█"
    try:
        marks.encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ""
    if len(values) > width:
        cuts = [len(values) * i // width for i in range(width + 1)]
        pairs = zip(cuts[:-1], cuts[1:], strict=True)
        values = [sum(values[a:b]) / (b - a) for a, b in pairs]
    low, high = min(values, default=0.0), max(values, default=0.0)
    return "".join(marks[int((value - low) / ((high - low) or 1) * 7.999)] for value in values)


def shown_path(path: str) -> str:
    """A path that a terminal can open from here: relative if it lies below the current folder."""
    here = os.getcwd()
    return path[len(here) + 1 :] if path.startswith(here.rstrip("/") + "/") else path


class Bar(AbstractContextManager):
    """Progress as a bar on standard error if that is a terminal, else silence. Satisfies `Progress`."""

    def __init__(self) -> None:
        self._rich: RichProgress | None = None
        self.visible = sys.stderr.isatty()

    def start(self, label: str, total: int | None = None, unit: str = "B") -> None:
        """Begin a task; the one before it has ended."""
        if not self.visible:
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TransferSpeedColumn,
        )

        amount = (
            [DownloadColumn(), TransferSpeedColumn()]
            if unit == "B"
            else [MofNCompleteColumn(), TextColumn(unit)]
        )
        self.finish()
        columns = [TextColumn("{task.description}"), BarColumn(bar_width=30), *amount, TimeElapsedColumn()]
        self._rich = Progress(*columns, console=Console(stderr=True), transient=True)
        self._rich.start()
        self._rich.add_task(label, total=total)

    def advance(self, amount: int) -> None:
        """`amount` more units are done."""
        if self._rich is not None:
            self._rich.advance(self._rich.task_ids[0], amount)

    def describe(self, label: str) -> None:
        """Another label for the task."""
        if self._rich is not None:
            self._rich.update(self._rich.task_ids[0], description=label)

    def finish(self) -> None:
        """The task has ended; its bar goes."""
        if self._rich is not None:
            self._rich.stop()
            self._rich = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()
