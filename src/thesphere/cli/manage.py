"""`thesphere info`, `remove`, `compact` and `verify`: what a collection holds, and its care."""

from pathlib import Path

from thesphere.cli.console import Bar, Flag, Json, count_words, misuse, put_json, shown_path, size_words, talk
from thesphere.readers import path_of
from thesphere.sphere import Sphere

_BYTES = ("bytes", "stored")


def info(collection: str, /, *, sources: Flag = False, json: Json = False) -> int:
    """What a collection holds and what it was made with.

    Parameters
    ----------
    collection
        The collection, NAME.sphere.
    sources
        List the sources.
    json
        Print one JSON document.
    """
    with Sphere.open(collection) as sphere:
        told = sphere.info()
        rows = [
            {"name": row.name, "path": path_of(row.uri) or "stdin", "uri": row.uri, "bytes": row.size}
            | {"modality": row.modality, "encoding": row.encoding}
            for row in (sphere.collection.sources() if sources else ())
        ]
        path = str(sphere.path)
    if json:
        put_json({"collection": path, **told, **({"listing": rows} if sources else {})})
        return 0
    print(f"{'collection':<20}{shown_path(path)}")
    for name, value in told.items():
        if isinstance(value, dict):
            value = ", ".join(f"{count:,} {kind}" for kind, count in value.items()) or "none"
        elif name in _BYTES:
            value = f"{size_words(value)} ({value:,})" if isinstance(value, int) else value
        elif name in ("encoder", "entropy") and _gone(str(value)):
            value = f"{value} (the file is gone)"
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, int):
            value = f"{value:,}"
        print(f"{name.replace('_', ' '):<20}{value}")
    for row in rows:
        print(f"{row['bytes']:>12,}  {row['modality']:<7} {row['name']}")
    return 0


def _gone(name: str) -> bool:
    """Whether an encoder or entropy model has weights of the user's own that lie no longer where they did."""
    path = name.partition(":")[2]
    return path.startswith("/") and not Path(path).exists()


def remove(collection: str, /, *names: str, json: Json = False) -> int:
    """Remove sources by name, by path, or by the name of a folder above them.

    Parameters
    ----------
    collection
        The collection, NAME.sphere.
    names
        What to remove; `thesphere info NAME.sphere --sources` lists names.
    json
        Print one JSON document.
    """
    if not names:
        raise misuse("no source was named; `thesphere info NAME.sphere --sources` lists them")
    with Sphere.open(collection) as sphere:
        count = sphere.remove(*names)
    if json:
        put_json({"removed": count})
    talk(f"{collection}: {count_words(count, 'path')} removed; `thesphere compact` frees the room")
    return 0


def compact(collection: str, /, *, json: Json = False) -> int:
    """Merge parts, fit the encoder again, and free the room of what was removed.

    Parameters
    ----------
    collection
        The collection, NAME.sphere.
    json
        Print one JSON document.
    """
    with Sphere.open(collection) as sphere, Bar() as bar:
        freed = sphere.compact(progress=bar)
    if json:
        put_json({"freed": freed})
    talk(
        f"{collection}: " + (f"{size_words(freed)} freed" if freed >= 0 else f"grew by {size_words(-freed)}")
    )
    return 0


def verify(collection: str, /, *, json: Json = False) -> int:
    """Read every stored byte again and compare it with what was committed. Exit code 1 if anything differs.

    Parameters
    ----------
    collection
        The collection, NAME.sphere.
    json
        Print one JSON document.
    """
    with Sphere.open(collection) as sphere, Bar() as bar:
        problems = sphere.verify(progress=bar)
    if json:
        put_json({"sound": not problems, "problems": problems})
    for problem in problems:
        talk(problem)
    if problems:
        found = count_words(len(problems), "problem")
        talk(f"error: {collection}: {found} found; restore it from a copy or ingest again")
        return 1
    talk(f"{collection} is sound: every stored byte is what was committed")
    return 0
