"""Bands and shells by the size of the collection: the scale profiles of the earlier Rust system.

Its profiles also set steps, temperature, dt and lateral range of one sampler. Those ranges were in units of
radius and met no neighbour; our strategies have settings of their own.
"""

from dataclasses import dataclass

from thesphere.errors import InputError


@dataclass(frozen=True)
class Preset:
    """Attributes:
    band: smallest and largest radius.
    shells: how many shells at most (ours; there every point had a radius of its own).
    """

    band: tuple[float, float]
    shells: int


PRESETS = {
    "dev": Preset((32.0, 512.0), 64),
    "medium": Preset((64.0, 2048.0), 128),
    "large": Preset((96.0, 8192.0), 256),
    "planetary": Preset((128.0, 32768.0), 512),
}
ALIASES = {"development": "dev", "med": "medium", "lg": "large", "planet": "planetary", "huge": "planetary"}


def preset(name: str) -> Preset:
    """The preset of that name or alias, in any case.

    Raises:
        InputError: there is none.
    """
    asked = name.lower()
    found = PRESETS.get(ALIASES.get(asked, asked))
    if found is None:
        raise InputError(f"preset {name!r} is unknown; give one of {', '.join(PRESETS)}")
    return found
