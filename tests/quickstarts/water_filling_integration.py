# ruff: noqa: T201
"""The pre-norm documents: radii from the pre-norm embeddings of a file, three ways, and the file that came of it.

Usage: python water_filling_integration.py FILE.safetensors OUTPUT.npz
"""

import sys

import numpy as np

from thesphere.compat import (
    load_from_safetensors,
    orch_or_water_filling,
    osmotic_water_filling,
    thrml_energy_water_filling,
)

source, output = sys.argv[1:3]
sphere = load_from_safetensors(source)
assert sphere.entropies is not None

radii, shells = osmotic_water_filling(sphere.embeddings)
energy_radii, energy_shells = thrml_energy_water_filling(sphere.embeddings)
allocated, allocated_shells = orch_or_water_filling(
    sphere.embeddings, sphere.prominence, sphere.entropies, temperature=1e-5
)
directions = sphere.embeddings / np.maximum(sphere.prominence, 1e-8)[:, None]
np.savez(
    output,
    sphere_coords=directions * radii[:, None],
    radii=radii,
    shells=shells,
    original_prominence=sphere.prominence,
    original_entropies=sphere.entropies,
)
print(f"{len(radii)} points on {len(np.unique(shells))} shells, radii {radii.min():.0f} to {radii.max():.0f}")
