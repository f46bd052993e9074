"""`thesphere roots`: the index of a collection's points."""

from typing import Annotated, Literal

from cyclopts import Parameter

from thesphere.cli.console import Bar, Json, count_words, finite, put_json, size_words, talk
from thesphere.cli.questions import read_questions
from thesphere.sphere import Sphere


def roots(
    collection: str,
    /,
    *,
    partitions: int | None = None,
    method: Literal["kmeans", "shells", "potts", "ising", "alternating_axis"] = "kmeans",
    substring: Annotated[float | None, Parameter(show_default=False)] = None,
    metric: Literal["cosine", "ip"] | None = None,
    queries: str | None = None,
    key: int = 0,
    json: Json = False,
) -> int:
    """Divide the points into cells, so that searches with vectors read a few of them instead of all points.

    Imports, and ingests with an encoder that was chosen for its meaning, do it by themselves from 200,000 points
    on. On fewer, searches use it where --recall or --budget asks for it.

    Parameters
    ----------
    collection
        The collection, NAME.sphere.
    partitions
        How many cells; 4 times the square root of the points unless given.
    method
        kmeans (the default) reads least; potts and ising keep neighbours together along a graph.
    substring
        Weight of shared substrings, 0 to 1, in what potts and ising keep together.
    metric
        What the cells are for: cosine (the default) or ip, the inner product of vectors as they are.
    queries
        Questions like those that will be asked, a thousand or more, which the index is calibrated on: a text file
        with one a line, or a .npy file of their vectors. Some hundreds stay with the index, for when it is built
        again by itself. Without them points stand in, with stricter rules.
    key
        Seed of all that is drawn.
    json
        Print one JSON document.
    """
    with Sphere.open(collection) as sphere, Bar() as bar:
        made = sphere.build_roots(
            metric=metric,
            partitions=partitions,
            method=method,
            substring=substring,
            key=key,
            queries=None if queries is None else read_questions(queries),
            progress=bar,
        )
        index, quality = sphere.index, sphere.index and sphere.index.quality
    cells = made.cells
    assert cells is not None and quality is not None
    told = {
        "points": len(made),
        "cells": len(cells),
        "roots": len(cells.roots),
        "bytes": made.nbytes,
        "roots_bytes": cells.roots.nbytes,
        "compression": cells.roots.compression(len(made), made.width),
        "largest_cell": int(cells.sizes.max()),
        "cut": finite(quality.cut),
        "cut_sample": quality.sample,
        "balance": quality.balance,
        "purity": finite(quality.purity),
        "metric": made.metric,
        "calibrated_on": made.calibrations[0].source if made.calibrations else "nothing",
        "calibration_queries": made.calibrations[0].queries if made.calibrations else 0,
    }
    if json:
        put_json(told)
    talk(
        f"{collection}: {index}; {size_words(made.nbytes)}, of which the roots are "
        f"{size_words(cells.roots.nbytes)}; {count_words(int(cells.sizes.max()), 'point')} in the largest cell; "
        f"{quality}"
    )
    return 0
