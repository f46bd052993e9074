"""The ways of filling by name; each is imported when it is asked for."""

import difflib
from importlib import import_module
from typing import cast

from thesphere.errors import InputError
from thesphere.filling.problem import Strategy

METHODS: dict[str, str] = {  # name: module and class
    "quantile": "quantile:Quantile",
    "prominence": "prominence:Prominence",
    "osmotic": "osmotic:Osmotic",
    "hybrid": "hybrid:Hybrid",
    "lateral": "lateral:Lateral",
    "energy": "energy:Energy",
    "langevin": "langevin:Langevin",
    "entropy_weighted": "entropy_weighted:EntropyWeighted",
    "coherence": "coherence:Coherence",
}
ALIASES: dict[str, str] = {  # names of the earlier systems
    "orch_or": "entropy_weighted",
    "entropy": "entropy_weighted",
    "lasing": "coherence",
    "thrml": "langevin",
    "boltzmann": "energy",
    "thrml_energy": "energy",
}


def strategy(method: "str | Strategy") -> Strategy:
    """The strategy of that name (any case, "-" as "_", aliases included) with its defaults; a strategy is
    returned as it is.

    Raises:
        InputError: no such method; the message names the nearest one.
    """
    if not isinstance(method, str):
        if not (callable(getattr(method, "init", None)) and callable(getattr(method, "step", None))):
            raise InputError(f"method is {method!r}; give a name or an object with init and step")
        return method
    asked = method.lower().replace("-", "_")
    name = ALIASES.get(asked, asked)
    if name not in METHODS:
        near = difflib.get_close_matches(asked, [*METHODS, *ALIASES], 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(METHODS)}"
        raise InputError(f"method {method!r} is unknown; {hint}")
    module, cls = METHODS[name].split(":")
    return cast(Strategy, getattr(import_module(f"thesphere.filling.{module}"), cls)())
