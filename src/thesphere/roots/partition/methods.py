"""The ways of partitioning by name; each is imported when it is asked for."""

import difflib
from importlib import import_module
from typing import TYPE_CHECKING

from thesphere.errors import InputError

if TYPE_CHECKING:
    from thesphere.roots.partition.problem import Strategy

METHODS: dict[str, str] = {  # name, which is the module's, and class
    "kmeans": "Kmeans",
    "shells": "Shells",
    "potts": "Potts",
    "ising": "Ising",
    "alternating_axis": "AlternatingAxis",
}
ALIASES: dict[str, str] = {  # names of the earlier systems, and of FAISS
    "ising_max_cut": "ising",
    "isingmaxcut": "ising",
    "alternating_max_cut": "ising",  # it was the dense Ising bisection; the axis had no effect
    "alternatingmaxcut": "ising",
    "alternatingaxis": "alternating_axis",
    "k_means": "kmeans",
    "ivf": "kmeans",
}


def strategy(method: "str | Strategy") -> "Strategy":
    """The strategy of that name (any case, "-" as "_", aliases included) with its defaults; a strategy is
    returned as it is.

    Raises:
        InputError: no such method; the message names the nearest one.
    """
    if not isinstance(method, str):
        if not callable(getattr(method, "divide", None)):
            raise InputError(f"method is {method!r}; give a name or an object with divide(problem)")
        return method
    asked = method.lower().replace("-", "_")
    name = ALIASES.get(asked, asked)
    if name not in METHODS:
        near = difflib.get_close_matches(asked, [*METHODS, *ALIASES], 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(METHODS)}"
        raise InputError(f"method {method!r} is unknown; {hint}")
    return getattr(import_module(f"thesphere.roots.partition.{name}"), METHODS[name])()
