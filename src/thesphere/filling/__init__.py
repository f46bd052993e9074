"""Filling: every point gets a shell, a radius and a place on the chart; shells have capacities.

from thesphere.filling import fill
filling = fill(embeddings)                       # the balanced state, in closed form
filling = fill(embeddings, method="osmotic")     # by a dynamics; METHODS lists them
"""

from thesphere.filling.cone_weights import cone_weights
from thesphere.filling.fill import fill  # bound here at once: the submodule has the same name
from thesphere.filling.info import Filling, Info, Result, ShellTable, thermal_limit, total_variation
from thesphere.filling.methods import METHODS, strategy
from thesphere.filling.presets import PRESETS, Preset
from thesphere.filling.problem import Pass, Problem, State, Strategy
from thesphere.filling.stream import place, refill

__all__ = [
    "METHODS",
    "PRESETS",
    "Filling",
    "Info",
    "Pass",
    "Preset",
    "Problem",
    "Result",
    "ShellTable",
    "State",
    "Strategy",
    "cone_weights",
    "fill",
    "place",
    "refill",
    "strategy",
    "thermal_limit",
    "total_variation",
]
