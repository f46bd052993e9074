"""Where the points of a collection lie: a filling kept with it, and a place for every point that came later.

The filling is a part without documents, like a fitted encoder: one file that the catalog names with its
checksum. Its rows are found again by content and offset, so they survive compaction, and new names for the same
content. A removed source simply has no rows any more.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from thesphere.errors import FormatError, SphereError
from thesphere.filling import Filling, Info, Result, ShellTable, total_variation
from thesphere.filling import place as place_on_shells
from thesphere.filling.info import BALANCED
from thesphere.geometry import Zones, angles, capacities
from thesphere.sphere.roles import Roles
from thesphere.store import map_tensors, write_tensors
from thesphere.types import Points

FILE = "places.safetensors"
LARGEST_THETA, LARGEST_PHI = np.float32(np.pi) * 1.000001, np.float32(2 * np.pi) * 1.000001
KNOWN = 20_000  # points, at most, among which a new one looks for its neighbours
_INFO = ("method", "passes", "promotions", "demotions", "lateral_moves", "projected")


@dataclass(frozen=True)
class Places:
    """Where each of `Sphere.points()` lies.

    Attributes:
        filling: one row per point; its balance is that of the points there are now.
        kept: bool [N], False for points that came after the filling was made.
        roles: which sources belong to which zone; their points lie inside it.
        stale: the embeddings were made anew since (`compact` fits `lsa` again): radii and neighbourhoods are
            those of the old ones until the next `fill`.
    """

    filling: Filling
    kept: np.ndarray
    roles: Roles
    stale: bool

    def __str__(self) -> str:
        radii, later = self.filling.table.radii, int((~self.kept).sum())
        told = f"{self.filling.info.method}, {len(radii)} shells {radii[0]:g} to {radii[-1]:g}"
        told += ", with zones" if self.roles else ""
        told += f", {later} points later" if later else ""
        return told + (", of embeddings that were made anew since" if self.stale else "")


def write_places(folder: Path, points: Points, filling: Filling, roles: Roles, encoder: str) -> None:
    """The filling of these points as a file of a new part; `encoder` names what made their embeddings."""
    table, info = filling.table, filling.info
    arrays = {
        "digests": np.frombuffer(bytes.fromhex("".join(points.digests)), np.uint8).reshape(-1, 32),
        "sources": points.sources.astype(np.int32),
        "starts": points.starts,
        "ends": points.ends,
        "shells": filling.shells,
        "theta": filling.theta,
        "phi": filling.phi,
        "radii": table.radii,
        "bounds": table.bounds,
        "capacities": table.capacities,
        "occupancy": table.occupancy,
        "tv": np.array(info.tv, np.float64),
    }
    told = {
        "exponent": table.exponent,
        "outward": table.outward,
        "converged": filling.result.converged,
        "message": filling.result.message,
        "measures": info.measures,
        "encoder": encoder,
        "instructions": list(roles.instructions),
        "questions": list(roles.questions),
        **{name: getattr(info, name) for name in _INFO},
    }
    write_tensors(folder / FILE, arrays, {"filling": json.dumps(told)})


def taken(filling: Filling, rows: np.ndarray) -> Filling:
    """The filling with these of its rows, in this order; what it tells of itself stays."""
    columns = {name: getattr(filling, name)[rows] for name in ("radii", "shells", "theta", "phi")}
    return replace(filling, **columns)


def load_places(folder: Path, points: Points, encoder: str) -> Places:
    """The kept filling, read for the points there are now.

    Raises:
        FormatError: the file is missing, or not what `write_places` writes.
    """
    path = folder / FILE
    try:
        arrays, metadata = map_tensors(path)
        told = json.loads(metadata["filling"])
        table = ShellTable(
            *(np.array(arrays[name]) for name in ("radii", "bounds", "capacities", "occupancy")),
            exponent=float(told["exponent"]),
            outward=bool(told["outward"]),
        )
        _check(arrays, table)
        tv = [*map(float, arrays["tv"])]
        held = {name: told[name] for name in _INFO}
        info = Info(
            **held,
            capacities=table.capacities,
            occupancy=table.occupancy,
            tv=tv,
            measures=dict(told["measures"]),
        )
        result = Result(bool(told["converged"]), str(told["message"]))
        roles = Roles(tuple(map(str, told["instructions"])), tuple(map(str, told["questions"])))
        stale = told["encoder"] != encoder
    except (SphereError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path} is missing or damaged; run `thesphere fill` again") from error
    row = _rows(arrays, points)
    kept = row >= 0
    old, new = row[kept], np.flatnonzero(~kept)
    shells = np.zeros(len(points), np.int32)
    shells[kept] = arrays["shells"][old]
    shells[new] = place_on_shells(table, points.prominence[new])[1]
    theta, phi = np.zeros(len(points), np.float32), np.zeros(len(points), np.float32)
    theta[kept], phi[kept] = arrays["theta"][old], arrays["phi"][old]
    filling = Filling(table.radii.astype(np.float32)[shells], shells, theta, phi, table, result, info)
    if len(new):
        theta[new], phi[new] = angles(_near(points, filling.positions, kept, new, roles))
    if len(new) or len(old) < len(arrays["shells"]):
        filling = _balanced_now(filling, len(new), len(arrays["shells"]) - len(old))
    return Places(filling, kept, roles, stale)


def _balanced_now(filling: Filling, came: int, went: int) -> Filling:
    """The filling with the capacities, occupancy and balance of the points that are there now."""
    table, info = filling.table, filling.info
    wanted = capacities(len(filling), table.radii, table.exponent)
    held = np.bincount(filling.shells, minlength=len(wanted))
    tv = total_variation(held, wanted)
    told = f"{came} points came and {went} went since it was filled: total variation {tv:.2g}"
    if tv > BALANCED:
        told += ", `thesphere fill --refill` restores the balance"
    return replace(
        filling,
        table=replace(table, capacities=wanted, occupancy=held),
        info=replace(info, capacities=wanted, occupancy=held, tv=[*info.tv, tv]),
        result=Result(tv <= BALANCED, told),
    )


def _check(arrays: dict[str, np.ndarray], table: ShellTable) -> None:
    """ValueError unless the arrays fit each other: nothing in the file is trusted."""
    count, shells = len(arrays["shells"]), len(table.radii)
    columns = {"shells": "i", "sources": "i", "starts": "i", "ends": "i", "theta": "f", "phi": "f"}
    for name, kind in columns.items():
        if arrays[name].shape != (count,) or arrays[name].dtype.kind != kind:
            raise ValueError(name)
    if shells < 1 or table.radii.shape != (shells,) or table.bounds.shape != (shells - 1,):
        raise ValueError("radii")
    if table.capacities.shape != (shells,) or table.occupancy.shape != (shells,):
        raise ValueError("capacities")
    for name, limit in (("shells", shells), ("sources", len(arrays["digests"]))):
        if count and not 0 <= int(arrays[name].min()) <= int(arrays[name].max()) < limit:
            raise ValueError(name)
    if arrays["digests"].shape[1:] != (32,) or arrays["digests"].dtype != np.uint8:
        raise ValueError("digests")
    if np.isnan(table.bounds).any() or not (np.isfinite(table.radii).all() and (table.radii > 0).all()):
        raise ValueError("bounds")
    theta, phi = arrays["theta"], arrays["phi"]
    if not (((theta >= 0) & (theta <= LARGEST_THETA)).all() and ((phi >= 0) & (phi <= LARGEST_PHI)).all()):
        raise ValueError("angles")


def _rows(arrays: dict[str, np.ndarray], points: Points) -> np.ndarray:
    """int64 [N]: the row of each point in the file, -1 where it has none. A point is known by the hash of its
    source and its span; of several with one span the first is the first (patches of a transcoded text may be
    empty)."""
    numbers = {digest.tobytes().hex(): number for number, digest in enumerate(arrays["digests"])}
    source = np.array([numbers.get(digest, -1) for digest in points.digests], np.int64)
    asked = [source[points.sources] if len(source) else points.sources, points.starts, points.ends]
    held = [arrays[name] for name in ("sources", "starts", "ends")]
    both = np.stack([np.concatenate(pair) for pair in zip(held, asked, strict=True)], axis=1, dtype=np.int64)
    span = np.unique(both, axis=0, return_inverse=True)[1].ravel()
    count = len(held[0])
    keys = span * (len(span) + 1) + np.concatenate([_occurrence(span[:count]), _occurrence(span[count:])])
    order = np.argsort(keys[:count])
    found = np.searchsorted(keys[:count], keys[count:], sorter=order)
    row = order[np.minimum(found, count - 1)] if count else np.zeros(len(points), np.int64)
    same = keys[:count][row] == keys[count:] if count else np.zeros(len(points), bool)
    return np.where(same & (asked[0] >= 0), row, -1)


def _occurrence(values: np.ndarray) -> np.ndarray:
    """int64 [N]: how many equal values come before each."""
    order = np.argsort(values, kind="stable")
    firsts = np.flatnonzero(np.diff(values[order], prepend=-1))
    found = np.empty(len(values), np.int64)
    found[order] = np.arange(len(values)) - np.repeat(firsts, np.diff(firsts, append=len(values)))
    return found


def _near(
    points: Points, positions: np.ndarray, kept: np.ndarray, new: np.ndarray, roles: Roles
) -> np.ndarray:
    """float32 [M, 3]: directions for new points near their neighbours among the known ones, inside their zones;
    north without any."""
    known = np.flatnonzero(kept)
    found = np.tile(np.array([0, 0, 1], np.float32), (len(new), 1))
    if len(known):
        from thesphere.chart import place  # numba

        known = known[:: -(-len(known) // KNOWN)]
        found = place(points.embeddings[new], points.embeddings[known], positions[known])
    return Zones().constrain(found, roles.of(points)[new]) if roles else found
