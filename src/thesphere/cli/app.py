"""The table of commands, and how every ending becomes one line and an exit code.

0: done (a search: something was found). 1: it failed, or nothing was found. 2: it was called wrongly.
130: interrupted.
"""

import os
import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TextIO

from cyclopts import App, CycloptsError
from cyclopts.exceptions import MissingArgumentError, UnknownCommandError

from thesphere import __version__
from thesphere.errors import SphereError

COMMANDS = {
    "demo": ("demo:demo", "The whole job on Python's own library, or on your folder."),
    "ingest": ("ingest:ingest", "Take files and folders into a collection."),
    "search": ("search:search", "Ask a collection; answers are byte spans, proved."),
    "info": ("manage:info", "What a collection holds and what it was made with."),
    "signals": ("signals:signals", "What normalising the embeddings would destroy."),
    "fill": ("fill:fill", "Give every point a radius, a shell and a place on the chart."),
    "map": ("map:map_", "Draw the sphere: one HTML file that opens offline."),
    "roots": ("roots:roots", "Divide the points into cells: the index for searches with vectors."),
    "train": ("train:train", "Train an entropy model or an encoder on texts of yours."),
    "import": ("exchange:import_", "Take in embeddings that were made elsewhere."),
    "export": ("exchange:export", "Write all points to a safetensors file."),
    "remove": ("manage:remove", "Remove sources."),
    "compact": ("manage:compact", "Merge parts and free the room of what was removed."),
    "verify": ("manage:verify", "Read every stored byte again and compare."),
    "doctor": ("doctor:doctor", "What this machine offers and what is missing."),
}

NESTED = {"train": ("entropy", "encoder")}
"""Commands of commands."""

app = App(
    name="thesphere",
    help="Ask piles of bytes a question; get the exact span, and know how far to trust it.",
    help_epilogue="--debug, anywhere, or THESPHERE_DEBUG=1 shows the traceback of an error.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
for _order, (_name, (_place, _help)) in enumerate(COMMANDS.items()):
    app.command(f"thesphere.cli.{_place}", name=_name, help=_help, sort_key=_order)


def run(arguments: list[str] | None = None) -> int:
    """Run one command line (by default the process's) and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = os.environ.get("THESPHERE_DEBUG", "") not in ("", "0")
    options = given.index("--") if "--" in given else len(given)
    if "--debug" in given[:options]:
        debug = True
        given = [each for each in given[:options] if each != "--debug"] + given[options:]
    if given[:1] == ["ingest"] and "-" in given and "--" not in given:  # a path that looks like an option
        given = [each for each in given if each != "-"] + ["--", "-"]
    try:
        if given and not given[0].startswith("-") and given[0] not in COMMANDS:
            return _fail(_unknown(given[0]), 2)
        code = app(given, exit_on_error=False, print_error=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except KeyboardInterrupt as interrupt:
        told = str(interrupt)  # a command that has something to say raises it again with words
        return _fail(told or "interrupted", 130, label="" if told else "error: ")
    except BrokenPipeError:  # the reader of our output, `head` for one, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except CycloptsError as error:
        return _fail(_usage(error, given), 2)
    except SphereError as error:
        if debug:
            traceback.print_exc()
        return _fail(str(error), 1)
    except OSError as error:  # no room for compiled kernels, a home that cannot be read
        if debug:
            traceback.print_exc()
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)
    except Exception as error:
        if debug:
            traceback.print_exc()
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return _fail(f"{what} (this should not happen; --debug shows where)", 1)


def _fail(message: str, code: int, label: str = "error: ") -> int:
    _say(f"{label}{' '.join(message.split())}", sys.stderr)
    return code


def _say(line: str, stream: TextIO) -> None:
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        pass


def _unknown(name: str, known: Iterable[str] = COMMANDS) -> str:
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(known)}"
    return f"there is no command {name!r}; {hint}"


def _usage(error: CycloptsError, given: list[str]) -> str:
    """What was wrong with the call, and where help is found."""
    command = given[0] if given and given[0] in COMMANDS else ""
    inner = NESTED.get(command, ())
    if isinstance(error, UnknownCommandError):
        return _unknown(given[1] if inner else given[0], inner or COMMANDS)
    error.verbose = False
    if len(given) > 1 and given[1] in inner:
        command += f" {given[1]}"
    told = " ".join(str(error).split()).rstrip(".") + "."
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        told = f"{error.argument.name} is missing."
    return f"{told} See `thesphere{' ' + command if command else ''} --help`."
