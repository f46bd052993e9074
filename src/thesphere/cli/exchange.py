"""`thesphere import` and `thesphere export`: embeddings from and for other systems."""

from pathlib import Path
from typing import Literal

from thesphere.cli.console import Bar, Json, count_words, put_json, size_words, talk
from thesphere.cli.ingest import check_new, summary, tell, undo
from thesphere.sphere import Sphere


def import_(file: str, /, *, into: str, json: Json = False) -> int:
    """Take in embeddings that were made elsewhere, with their bytes and signals where the file has them.

    Parameters
    ----------
    file
        A safetensors file of any layout that the earlier systems wrote, or a .npy array [N, D].
    into
        The collection, NAME.sphere; it is made if it is not there.
    json
        Print one JSON document.
    """
    made = not Path(into).exists()
    if made:
        check_new(into)
    sphere = Sphere.create(into, encoder="arrays") if made else Sphere.open(into)
    try:
        with sphere, Bar() as bar:
            report = sphere.import_file(file, progress=bar)
            info = sphere.info()
    finally:
        undo(sphere, made)
    points, width = info["points"], info["dimensions"]
    if json:
        document = {"collection": str(Path(into).resolve()), "points": points, "dimensions": width}
        put_json(document | summary(report))
    tell(report, into)
    talk(f"{into}: {count_words(int(str(points)), 'point')} of {width} dimensions")
    return 0


def export(collection: str, /, *, to: str, layout: Literal["v3"] = "v3", json: Json = False) -> int:
    """Write all points to a safetensors file, one row per point.

    Parameters
    ----------
    collection
        The collection, NAME.sphere.
    to
        The file, NAME.safetensors; one that exists is replaced in one step.
    layout
        How the arrays are named and shaped.
    json
        Print one JSON document.
    """
    with Sphere.open(collection) as sphere:
        sphere.export_file(to, layout=layout)
    size = Path(to).stat().st_size
    if json:
        put_json({"file": str(Path(to).resolve()), "bytes": size, "layout": layout})
    talk(f"{to}: {size_words(size)} written")
    return 0
