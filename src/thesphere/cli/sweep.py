"""`thesphere fill --sweep`: what each temperature of the entropy-weighted filling would do."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from thesphere.cli.console import finite, put_json, shown_path, talk
from thesphere.cli.embeddings import files_of, rows_of
from thesphere.errors import InputError
from thesphere.filling.allocation import Tuned
from thesphere.filling.entropy_weighted import TEMPERATURES, Sweep, sweep, tune
from thesphere.filling.given import radii_of
from thesphere.sphere import Sphere

EXPONENT = 1.5  # of the shells' capacities, as in `fill`


def sweep_over(
    path: Path, collection: bool, temperature: float | None, band: dict[str, Any], json: bool
) -> int:
    """Print what each temperature of the entropy-weighted filling would do."""
    documents = []
    for source in [path] if collection else [source for source, _ in files_of(path, None)]:
        if collection:
            with Sphere.open(source) as sphere:
                points = sphere.points()
            rows, prominence, entropies = points.embeddings, points.prominence, points.entropies
        else:
            read, rows = rows_of(source)
            prominence, entropies = read.prominence, read.entropies
        if not rows.size or entropies is None or np.isnan(entropies).all():
            raise InputError(f"{source} has no embeddings with entropies; a sweep needs both")
        tuned = tune(prominence, entropies)
        temperatures = {*TEMPERATURES, tuned.temperature}
        if temperature is not None:
            temperatures.add(temperature)
        radii = radii_of(len(rows), exponent=EXPONENT, **band)
        table = sweep(prominence, entropies, sorted(temperatures), radii=radii)
        swept = [{name: finite(value) for name, value in row._asdict().items()} for row in table]
        documents.append({
            "source": str(source), "points": len(prominence), "auto": tuned.temperature,
            "reach": [finite(10**each) if each < 300 else None for each in tuned.reach], "sweep": swept,
        })  # fmt: skip
        if not json:
            _show(source, table, tuned)
    if json:
        put_json(documents if path.is_dir() and not collection else documents[0])
    return 0


def _show(source: Path, table: list[Sweep], tuned: Tuned) -> None:
    print(shown_path(str(source)))
    print(f"{'temperature':>12}{'allocation':>14}{'effective':>12}{'radius':>9}{'radius':>10}")
    print(f"{'nats':>12}{'top/bottom':>14}{'count':>12}{'spread':>9}{'contrast':>10}")
    for row in table:
        auto = "  auto" if row.temperature == tuned.temperature else ""
        print(
            f"{row.temperature:>12.3g}{_ratio(row.log10_allocation_ratio):>14}{row.effective_count:>12,.1f}"
            f"{row.radius_spread:>9.1f}{row.radius_contrast:>10.1f}{auto}"
        )
    if not tuned.on_target:
        reach = " to ".join(map(_ratio, tuned.reach))
        talk(f"10 to 100 is what auto aims at; this collection reaches {reach}, and auto is the nearest")
    talk(
        "allocation: mean of the top coherence decile over that of the bottom one. effective count: points that "
        "share it. radius spread: what the allocation alone would give. radius contrast: mean radius of the top "
        "decile less that of the bottom one, shells in balance."
    )


def _ratio(log10: float) -> str:
    if not math.isfinite(log10):
        return "-"
    return f"{10**log10:,.3g}" if log10 < 6 else f"10^{log10:.4g}"
