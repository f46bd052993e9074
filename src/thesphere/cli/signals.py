"""`thesphere signals`: what normalising the embeddings of a collection would destroy."""

import math
from dataclasses import asdict

from thesphere.cli.console import Json, put_json
from thesphere.errors import InputError
from thesphere.signals import norm_report
from thesphere.sphere import Sphere

_OUTSIDE = "These embeddings came from outside; what their norm means is for their maker to say."


def signals(collection: str, /, *, json: Json = False) -> int:
    """What normalising the embeddings would destroy: the spread of their norms before and after.

    Parameters
    ----------
    collection
        The collection, NAME.sphere.
    json
        Print one JSON document.
    """
    with Sphere.open(collection) as sphere:
        points = sphere.points()
        encoder = sphere.encoder
        name = sphere.settings.encoder
    if not points.embeddings.size:
        raise InputError(f"{collection} has no embeddings; ingest something with an encoder first")
    report = norm_report(points.embeddings, points.ends - points.starts)
    meaning = encoder.norm_meaning if encoder is not None else _OUTSIDE
    if json:
        correlation = report.length_correlation
        known = {"collection": collection, "encoder": name, "unit": points.unit, "norm_meaning": meaning}
        put_json(
            known | asdict(report) | {"length_correlation": None if math.isnan(correlation) else correlation}
        )
        return 0
    print(
        f"{report.count:,} points ({points.unit}), encoder {name}; {report.zeros:,} of them are zero vectors"
    )
    before, after = asdict(report.before), asdict(report.after)
    print(f"{'norm':<12}" + "".join(f"{each:>10}" for each in before))
    for label, row in (("before", before), ("normalised", after)):
        print(f"{label:<12}" + "".join(f"{value:>10.4g}" for value in row.values()))
    print(f"rank correlation of the norm with the length of the text: {report.length_correlation:+.3f}")
    print(report.meaning)
    print(meaning)
    return 0
