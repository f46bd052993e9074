"""What text is like before any of it was read: the entropies that the light model starts from.

Most sources are a few kilobytes, too short to learn where words end. So the light model ships two tables: for
each context of two and of three bytes the entropy of the byte that followed in a large body of text, with the
same escapes to shorter contexts as in the model itself. Bytes that continue a UTF-8 character count as one
class: the tables know the shape of any script, and the letters of Latin ones. Three bytes are hashed to 16
bits; those that collide are one context.

The shipped tables were counted by `python -m thesphere.patches.prior FOLDER prior.safetensors` from the
Python sources (code, comments, docstrings) of CPython's standard library, under the PSF licence 2.0. They
hold entropies, no text.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from thesphere.errors import FormatError, InputError

BITS = 16
STEP = 2048  # one step of the table, 1/32 nat, in units of 1/65536 nat
UNKNOWN = 255
HASH = 0x9E3779B97F4A7C15
ESCAPE = 4
"""Weight of "something new" in a context, per distinct byte seen there (Witten-Bell: 1)."""


def _contexts(data: np.ndarray, order: int) -> np.ndarray:
    """int64 [T]: for each position a number in [0, 2^16) for its last `order` byte classes, after zeros."""
    classes = np.where(data & 0xC0 == 0x80, 0x80, data).astype(np.uint64)
    key = np.zeros(len(data), np.uint64)
    for back in range(order):
        key[back:] |= classes[: len(data) - back] << np.uint64(8 * back)
    return (key if order < 3 else (key * np.uint64(HASH)) >> np.uint64(64 - BITS)).astype(np.int64)


def count(texts: Iterable[bytes]) -> np.ndarray:
    """The tables of `texts`: uint8 [2, 2 ** 16], entropies in steps of 1/32 nat.

    Row 0 by the last two byte classes, with what is known of the last one where the two never occurred; row 1
    by the hash of the last three, UNKNOWN where they never occurred.
    """
    data = np.frombuffer(b"\n".join(texts), np.uint8)
    if len(data) < 2:
        raise InputError("a prior needs text to count: got less than two bytes")
    size = 1 << BITS
    following = data[1:].astype(np.int64)
    filled = np.full(size, np.log(256.0))  # by the next shorter context
    rows = []
    for order in (1, 2, 3):
        here = _contexts(data, order)
        below = filled[_contexts(data, order - 1)] if order > 1 else np.full(len(data), np.log(256.0))
        pairs, counts = np.unique(here[:-1] << 8 | following, return_counts=True)
        context = pairs >> 8
        total = np.bincount(context, counts, size)
        escape = np.bincount(context, minlength=size) * float(ESCAPE)
        known = total > 0
        mass = np.where(known, total + escape, 1.0)
        logs = np.bincount(context, counts * np.log(counts), size) + escape * np.log(np.maximum(escape, 1.0))
        mean_below = np.bincount(here[:-1], below[:-1], size) / np.maximum(total, 1.0)
        entropy = np.minimum(np.log(mass) - logs / mass + escape / mass * mean_below, np.log(256.0))
        if order == 1:
            filled = np.where(known, entropy, np.log(256.0))
        elif order == 2:
            filled = np.where(known, entropy, filled[np.arange(size) & 0xFF])
            rows.append(np.rint(filled * (65536 / STEP)))
        else:
            rows.append(np.where(known, np.rint(entropy * (65536 / STEP)), UNKNOWN))
    return np.stack(rows).astype(np.uint8)


@cache
def tables() -> np.ndarray:
    """The shipped tables, uint8 [2, 2 ** 16]. Read once; do not write to it."""
    from safetensors.numpy import load

    path = Path(__file__).with_name("prior.safetensors")
    entropies = load(path.read_bytes()).get("entropies")
    if entropies is None or entropies.shape != (2, 1 << BITS) or entropies.dtype != np.uint8:
        raise FormatError(f"{path} is damaged: reinstall thesphere")
    return entropies


def main(folder: str, target: str) -> None:
    """Counts the Python sources under `folder`, tests left out, and writes `target`."""
    from safetensors.numpy import save

    left_out = {"test", "tests", "site-packages", "idle_test"}
    paths = [p for p in sorted(Path(folder).rglob("*.py")) if not left_out & set(p.relative_to(folder).parts)]
    texts = [p.read_bytes() for p in paths]
    said = {
        "source": f"CPython standard library, {len(texts)} Python files",
        "bytes": str(sum(map(len, texts))),
        "licence": "PSF-2.0",
    }
    Path(target).write_bytes(save({"entropies": count(texts)}, said))


if __name__ == "__main__":
    import sys

    if len(sys.argv) != 3:
        sys.exit("usage: python -m thesphere.patches.prior FOLDER prior.safetensors")
    main(sys.argv[1], sys.argv[2])
