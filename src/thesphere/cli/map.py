"""`thesphere map`: the globe as one HTML file, and figures."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from thesphere.cli.console import Bar, Json, count_words, misuse, put_json, shown_path, size_words, talk
from thesphere.errors import InputError, NotFoundError
from thesphere.sphere import Sphere


def map_(
    collection: str,
    /,
    *,
    out: str = "sphere.html",
    query: str | None = None,
    k: Annotated[int, Parameter(name=["-k", "--k"])] = 10,
    excerpt: int = 160,
    figures: str | None = None,
    source: str | None = None,
    json: Json = False,
) -> int:
    """Draw the sphere: one HTML file that opens offline in any browser.

    Points lie on their shells, coloured by source, prominence, entropy or shell; the pointer shows their text. A
    collection that was not filled yet is filled first, by the defaults of `thesphere fill`.

    Parameters
    ----------
    collection
        The collection, NAME.sphere.
    out
        The file; one that exists is replaced.
    query
        A question: its field, cones and hits are drawn (needs the extra jax).
    k
        Hits of the question.
    excerpt
        Bytes of each point that are shown.
    figures
        A folder for figures (needs the extra viz): shells.svg, spectrum.svg (needs jax), entropy.svg.
    source
        The source whose entropy is drawn in entropy.svg; the first one by default.
    json
        Print one JSON document.
    """
    from thesphere.viz import write_globe
    from thesphere.viz.collection import globe_of, need, write_figures

    page = Path(out)
    if not page.parent.is_dir() or page.is_dir():
        raise NotFoundError(f"{out} is no place for a file; make its folder, or choose another name")
    if not 1 <= excerpt <= 4096 or k < 1:
        raise InputError(f"--excerpt is {excerpt} and -k {k}; choose 1 to 4096 bytes, and 1 or more")
    if source is not None and figures is None:
        raise misuse("--source says whose entropy is drawn among --figures; give both")
    need(query is not None, figures is not None)
    with Sphere.open(collection) as sphere, Bar() as bar:
        if figures is not None and source is not None:
            sphere.entropy_along(source, 1)
        if not sphere.settings.places_part:
            sphere.fill(progress=bar)
            talk(f"{collection}: filled by the defaults; `thesphere fill` has more")
        points = sphere.points()
        places = sphere.places(points)
        assert places is not None
        if places.stale:
            talk(
                f"{collection}: the embeddings were made anew since it was filled; run `thesphere fill` again"
            )
        globe = globe_of(sphere, points, places, query=query, k=k, excerpt=excerpt)
        size = write_globe(globe, page)
        drawn = [] if figures is None else write_figures(sphere, points, places, Path(figures), source)
    asked = globe.query
    if json:
        put_json(
            {
                "file": str(Path(out).resolve()),
                "bytes": size,
                "points": len(globe.texts),
                "figures": [str(path.resolve()) for path in drawn],
                "hits": [] if asked is None else asked.hits.tolist(),
                "cones": 0 if asked is None else len(asked.centres),
            }
        )
    if asked is not None:
        found = f"{count_words(len(asked.hits), 'hit')}, {count_words(len(asked.centres), 'cone')}"
        talk(f"{asked.text}: {found if len(asked.hits) else 'nothing found'}")
    count = count_words(len(globe.texts), "point")
    talk(f"{shown_path(out)}: {count}, {size_words(size)}; open it in a browser")
    for path in drawn:
        talk(f"{shown_path(str(path))}: written")
    return 0
