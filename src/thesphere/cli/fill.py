"""`thesphere fill`: radii, shells and chart for a collection, a file of embeddings, or a folder of such files."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

from thesphere.cli.console import Bar, Flag, Json, count_words, finite, misuse, put_json, shown_path, talk
from thesphere.cli.embeddings import files_of, rows_of
from thesphere.errors import FormatError
from thesphere.filling import Filling, Strategy, strategy
from thesphere.filling import fill as fill_rows
from thesphere.filling.given import BAND
from thesphere.filling.presets import preset as preset_of
from thesphere.sphere import Sphere
from thesphere.store import write_tensors

Chart = Literal["graph", "spectral", "pca", "random", "none"]


def fill(
    target: str,
    /,
    *,
    method: str | None = None,
    entropy_weighted: Annotated[
        bool, Parameter(name=("--entropy-weighted", "--orch-or"), negative="")
    ] = False,
    temperature: Annotated[
        str | None, Parameter(name=("--temperature", "--entropy-temperature", "--orch-or-temperature"))
    ] = None,
    shells: int | None = None,
    min_radius: float | None = None,
    max_radius: float | None = None,
    preset: str | None = None,
    spacing: str | None = None,
    inward: Flag = False,
    chart: Chart | None = None,
    instructions: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    questions: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    steps: int | None = None,
    key: int = 0,
    project: Flag = False,
    refill: Flag = False,
    sweep: Flag = False,
    to: str | None = None,
    json: Json = False,
) -> int:
    """Give every point a radius, a shell and a place on the chart.

    A collection keeps them (`thesphere map` draws them). Of a file of embeddings, or of every such file of a
    folder, they are written beside it as sphere_FILE.safetensors. Exit code 1 if a filling did not converge.

    Parameters
    ----------
    target
        A collection, NAME.sphere; a file of embeddings, .safetensors or .npy; or a folder of such files.
    method
        quantile (the default, closed form), prominence, osmotic, hybrid, lateral, energy, langevin (needs the
        extra jax), entropy_weighted or coherence.
    entropy_weighted
        The same as --method entropy_weighted.
    temperature
        Of the methods entropy_weighted (nats, or auto), energy and langevin.
    shells
        How many; 128 unless given, fewer where some would stay empty.
    min_radius
        Radius of the innermost shell; 32 unless given.
    max_radius
        Radius of the crust; 512 unless given.
    preset
        Band and shells by size: dev, medium, large or planetary.
    spacing
        Of the shells: linear, sqrt (the default), geometric, golden, prime, quadratic or log.
    inward
        Put the most prominent points at the centre.
    chart
        Where directions come from: graph (the default) keeps neighbours together, pca is the fastest.
    instructions
        Names of sources or of folders above them, * and ? allowed, whose points are kept around the north pole;
        of a collection.
    questions
        The same around the south pole.
    steps
        Passes at most.
    key
        Seed of all that is drawn.
    project
        Snap to exact balance at the end.
    refill
        Go on from the filling that the collection has, in its shells, moving as few points as possible (osmotic
        unless --method says otherwise).
    sweep
        Fill nothing: print what each temperature of the entropy-weighted filling would do.
    to
        For files: where to write, NAME.safetensors, or a folder.
    json
        Print one JSON document.
    """
    path = Path(target)
    collection = (path / "catalog.db").is_file()
    placing = {
        "--shells": shells, "--min-radius": min_radius, "--max-radius": max_radius, "--preset": preset,
        "--spacing": spacing, "--inward": inward or None,
    }  # fmt: skip
    zones = {"--instructions": instructions, "--questions": questions}
    rest = {"--method": method, "--chart": chart, "--steps": steps, "--refill": refill or None, **zones}
    if sweep:
        _refuse(rest | {"--project": project or None, "--to": to, "--inward": inward or None}, "--sweep")
    elif refill:
        _refuse(placing | zones | {"--chart": chart}, "--refill, which keeps what there is,")
    if collection:
        _refuse({"--to": to}, "a collection, which keeps its filling itself,")
    else:
        _refuse(zones | {"--refill": refill or None}, f"{target}, which is no collection,")
    band = {"shells": shells, "band": _band(preset, min_radius, max_radius), "preset": preset}
    band["spacing"] = spacing or "sqrt"
    if sweep:
        from thesphere.cli.sweep import sweep_over

        asked = None if temperature in (None, "auto") else _number(temperature)
        return sweep_over(path, collection, asked, band, json)
    options: dict[str, Any] = {"max_steps": steps, "key": key, "project": project}
    options["method"] = _method(method, entropy_weighted, temperature, "osmotic" if refill else "quantile")
    if not refill:
        direction = "inward" if inward else "outward"
        options |= band | {"orientation": direction, "chart": None if chart == "none" else chart or "graph"}
    if collection:
        with Sphere.open(path) as sphere, Bar() as bar:
            if not refill:
                options |= {"instructions": instructions or (), "questions": questions or ()}
            filling = sphere.fill(again=not refill, progress=bar, **options)
        return _tell([(str(path), "", filling)], json, several=False)
    done, failed = [], False
    pairs = files_of(path, to)
    for source, written in pairs:
        try:
            done.append((str(source), str(written), _fill_file(source, written, options)))
        except FormatError as error:  # the others are still filled
            if len(pairs) == 1:
                raise
            failed = True
            talk(f"error: {error}")
    return max(_tell(done, json, several=path.is_dir()), int(failed))


def _refuse(given: dict[str, Any], why: str) -> None:
    """Nothing that was asked for is left out in silence."""
    for name, value in given.items():
        if value is not None:
            raise misuse(f"{name} does not go with {why} leave it out")


def _band(preset: str | None, low: float | None, high: float | None) -> tuple[float, float]:
    known = preset_of(preset).band if preset else BAND
    return (known[0] if low is None else low, known[1] if high is None else high)


def _method(name: str | None, weighted: bool, temperature: str | None, default: str) -> str | Strategy:
    """What the options name: a method with its defaults (those of a refill may differ), or at a temperature."""
    if name is None:
        name = "entropy_weighted" if weighted or temperature is not None else default
    chosen = strategy(name)
    if weighted and chosen.name != "entropy_weighted":
        raise misuse(f"--method {name} and an entropy-weighted filling were both asked for; choose one")
    if temperature is None or (temperature == "auto" and chosen.name == "entropy_weighted"):
        return name
    if not hasattr(chosen, "temperature"):
        raise misuse(f"--method {name} has no temperature; entropy_weighted, energy and langevin have one")
    return replace(chosen, temperature=_number(temperature))  # pyright: ignore[reportArgumentType]


def _fill_file(source: Path, written: Path, options: dict[str, Any]) -> Filling:
    rows, embeddings = rows_of(source)
    filling = fill_rows(embeddings, prominence=rows.prominence, entropies=rows.entropies, **options)
    places = np.stack([filling.radii, filling.theta, filling.phi], axis=1)
    arrays = {
        "radii": filling.radii,
        "shells": filling.shells,
        "theta": filling.theta,
        "phi": filling.phi,
        "sphere_coords": places,
        "shell_radii": filling.table.radii,
        "capacities": filling.info.capacities,
        "occupancy": filling.info.occupancy,
    }
    write_tensors(written, arrays, {"method": filling.info.method, "result": filling.result.message})
    return filling


def _tell(done: list[tuple[str, str, Filling]], json: bool, *, several: bool) -> int:
    """What was filled, a few lines each."""
    if json:
        put_json([_document(*each) for each in done] if several else _document(*done[0]))
    for source, written, filling in done:
        info, table = filling.info, filling.table
        band = f"radii {table.radii[0]:g} to {table.radii[-1]:g}"
        count = count_words(len(filling), "point")
        talk(f"{shown_path(source)}: {count} on {count_words(len(table.radii), 'shell')}, {band}")
        talk(f"  {filling.result.message}")
        moves = (
            f"{info.promotions:,} outward, {info.demotions:,} inward, {info.lateral_moves:,} along a shell"
        )
        talk(f"  moves: {moves}" + ("" if info.projected is None else f"; {info.projected:,} to snap"))
        for name, value in info.measures.items():
            talk(f"  {name.replace('_', ' ')}: {value:.6g}")
        if written:
            talk(f"  written to {shown_path(written)}")
    return 0 if all(filling.result.converged for _, _, filling in done) else 1


def _document(source: str, written: str, filling: Filling) -> dict[str, Any]:
    info, table = filling.info, filling.table
    document: dict[str, Any] = {"source": source} | ({"file": written} if written else {})
    return document | {
        "points": len(filling),
        "method": info.method,
        "converged": filling.result.converged,
        "message": filling.result.message,
        "passes": info.passes,
        "promotions": info.promotions,
        "demotions": info.demotions,
        "lateral_moves": info.lateral_moves,
        "projected": info.projected,
        "tv": info.tv,
        "radii": table.radii.tolist(),
        "capacities": info.capacities.tolist(),
        "occupancy": info.occupancy.tolist(),
        "measures": {name: finite(value) for name, value in info.measures.items()},
    }


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise misuse(f"the temperature is {text!r}; give a number above 0, such as 0.5, or auto") from None
