"""`thesphere ingest`: files and folders into a collection, which is made if it is not there."""

import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from thesphere.cli.console import Bar, Flag, Json, Size, count_words, misuse, put_json, size_words, talk
from thesphere.errors import InputError, LockedError, NotFoundError, SphereError
from thesphere.sphere import Report, Sphere

SHOWN = 10  # skipped sources that are told by name


def ingest(
    *paths: str,
    into: str,
    points: Literal["passage", "patch"] | None = None,
    encoder: str | None = None,
    entropy: str | None = None,
    passage_bytes: int | None = None,
    target_patch_bytes: float | None = None,
    max_size: Size = 1 << 30,
    column: str | None = None,
    no_copy: Flag = False,
    json: Json = False,
) -> int:
    """Take files and folders into a collection; it is made if it is not there.

    Sources that have not changed are skipped, changed ones are replaced. If it is interrupted, run it again.

    Parameters
    ----------
    paths
        Files and folders; "-" is standard input.
    into
        The collection, NAME.sphere.
    points
        What gets an embedding (passage).
    encoder
        sphere, sphere-light, lsa, minilm, sentence-transformers:NAME_OR_PATH or none (sphere).
        sphere:PATH and sphere-light:PATH have weights of your own (`thesphere train encoder`).
    entropy
        The model that decides where bytes are cut: light; small or large, trained networks (small-jax and
        large-jax on an accelerator); or the PATH of weights, of `thesphere train entropy` or of a published
        byte-latent model (light).
    passage_bytes
        The most that a passage holds, 64 to 4096 (512).
    target_patch_bytes
        Mean length of a patch, 1 to 384 (8).
    max_size
        Files above this are skipped; with a unit, 64MiB.
    column
        The column of rows (jsonl, csv, parquet) that holds the text.
    no_copy
        Do not keep the bytes: answers are read from the files, and marked stale if those changed.
    json
        Print the summary as one JSON document.
    """
    if not paths:
        raise misuse("no path was given; name a file or a folder to ingest")
    settings = {
        "points": points,
        "encoder": encoder,
        "entropy": entropy,
        "passage_bytes": passage_bytes,
        "target_patch_bytes": target_patch_bytes,
        "copy": False if no_copy else None,
    }
    report = take(paths, into, settings, max_size=max_size, column=column)
    if json:
        put_json({"collection": str(Path(into).resolve()), **summary(report)})
    tell(report, into)
    if not (report.added or report.replaced or report.unchanged or report.duplicates):
        raise nothing(paths, report)
    return 0


def take(
    paths: tuple[str, ...],
    into: str,
    settings: dict[str, Any],
    *,
    max_size: int = 1 << 30,
    column: str | None = None,
) -> Report:
    """Ingest with a bar. `settings` that are None are the collection's or the defaults.

    Raises:
        InputError: settings that contradict those of the collection.
        KeyboardInterrupt: with words on what was committed.
    """
    from thesphere.readers import read

    read(paths)  # a path that does not exist is told before anything is made
    given = {name: value for name, value in settings.items() if value is not None}
    made = not Path(into).exists()
    if made:
        check_new(into)
        sphere = Sphere.create(into, **given)
    else:
        sphere = Sphere.open(into)
        _agree(sphere, into, given)
    try:
        with sphere, Bar() as bar:
            report = sphere.ingest(*paths, max_size=max_size, column=column, progress=bar)
    except KeyboardInterrupt:
        kept = _sources(sphere)
        undo(sphere, made)
        told = (
            f"interrupted; {count_words(int(kept), 'source')} of {into} are committed"
            if kept
            else "interrupted"
        )
        raise KeyboardInterrupt(f"{told}; run the same command again and it completes") from None
    except LockedError:
        raise
    except SphereError:
        undo(sphere, made)
        raise
    undo(sphere, made)
    return report


def nothing(paths: tuple[str, ...], report: Report) -> InputError:
    """The error for a run that found nothing to take."""
    only = f" ({report.skipped[0].name}: {report.skipped[0].reason})" if len(report.skipped) == 1 else ""
    return InputError(
        f"nothing to read was found in {', '.join(paths)}{only}; name files, or a folder of them"
    )


def check_new(into: str) -> None:
    """A new collection's name ends in .sphere, as the walk that skips collections expects, and has a folder.

    Raises:
        InputError, NotFoundError: it does not.
    """
    path = Path(into)
    if path.suffix != ".sphere" or path.name == ".sphere":
        raise InputError(f"a collection's name ends in .sphere; call it {into.rstrip('/')}.sphere")
    if not path.resolve().parent.is_dir():
        raise NotFoundError(f"the folder {path.resolve().parent} does not exist; make it first")


def undo(sphere: Sphere, made: bool) -> None:
    """Take a collection away that this run has made and that has remained empty."""
    if made:
        with suppress(SphereError), sphere.collection.writer():
            if not _sources(sphere):
                shutil.rmtree(sphere.path)


def _sources(sphere: Sphere) -> int:
    with sphere.collection.snapshot() as snapshot:
        return snapshot.sources


def _agree(sphere: Sphere, into: str, given: dict) -> None:
    from thesphere.encoders import open_encoder
    from thesphere.patches import open_entropy_model

    for name, value in given.items():
        have = vars(sphere.settings)[name]
        wanted = value
        if name == "encoder" and value not in ("lsa", "none", "arrays"):
            wanted = open_encoder(value).id
        elif name == "entropy":
            wanted = open_entropy_model(value).id
        if wanted != have:
            option = "--no-copy" if name == "copy" else f"--{name.replace('_', '-')} {value}"
            was = "with the bytes kept" if name == "copy" else f"with {name.replace('_', ' ')} {have}"
            raise InputError(f"{into} was made {was}; leave {option} out, or ingest into another collection")


def summary(report: Report) -> dict:
    """What `--json` prints."""
    return asdict(report)


def tell(report: Report, into: str) -> None:
    """The summary for people, on standard error."""
    parts = [f"{report.added:,} added"]
    for count, word in ((report.replaced, "replaced"), (report.unchanged, "unchanged")):
        if count:
            parts.append(f"{count:,} {word}")
    if report.duplicates:
        parts.append(f"{report.duplicates:,} with content that is there already")
    if report.skipped:
        parts.append(f"{len(report.skipped):,} skipped")
    rate = f", {size_words(report.bytes / report.seconds)}/s" if report.bytes and report.seconds > 0 else ""
    talk(f"{into}: {', '.join(parts)}; {size_words(report.bytes)} in {report.seconds:.1f} s{rate}")
    for each in report.skipped[:SHOWN]:
        talk(f"  skipped {each.name}: {each.reason}")
    if len(report.skipped) > SHOWN:
        talk(f"  and {len(report.skipped) - SHOWN:,} more; --json lists all")
