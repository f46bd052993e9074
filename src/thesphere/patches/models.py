"""Entropy models by name."""

from difflib import get_close_matches

from thesphere.errors import InputError
from thesphere.patches.entropy import EntropyModel

KNOWN = ("light", "small")


def open_entropy_model(name: str) -> EntropyModel:
    """Open a model by its name ("light", "small") or by the id that a collection kept.

    Raises:
        InputError: an unknown name, or an id of another version: its boundaries would differ.
        FormatError: the weights of "small" are missing or damaged.
    """
    from thesphere.patches import small
    from thesphere.patches.light import LightModel

    light, small_id = LightModel(), small.id_of(small.SHA256)
    if name in ("light", light.id):
        return light
    if name in ("small", small_id):
        return small.shipped()
    near = get_close_matches(name, KNOWN, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(
        f"unknown entropy model {name!r}: this version knows {', '.join((*KNOWN, light.id, small_id))}{hint}"
    )
