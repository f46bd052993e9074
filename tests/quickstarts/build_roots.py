# ruff: noqa: T201
"""Any encoder: embeddings alone, an index at terabyte scale's settings, saved and opened again.

Usage: python build_roots.py EMBEDDINGS.safetensors OUTPUT_FOLDER
"""

import sys

from thesphere.compat import RngKey, RootsConfig, RootsIndex, load_from_safetensors

source, output = sys.argv[1:3]
sphere_ebm = load_from_safetensors(source)
config = RootsConfig.terabyte_scale().with_partitions(24).without_member_indices()
roots = RootsIndex.from_sphere_ebm(sphere_ebm, config, RngKey(42))
roots.save(output)
opened = RootsIndex.load(output, config)
print(f"{opened.n_partitions()} partitions of {opened.n_points()} points")
