# ruff: noqa: T201
"""The pipeline document of the Rust crate: encode a text, save it, place it, divide it, ask it.

Usage: python blt_pipeline.py TEXT_FILE OUTPUT.safetensors QUERY
"""

import sys
from pathlib import Path

from thesphere.compat import (
    BltConfig,
    BltModel,
    BudgetConfig,
    MultiConeNavigator,
    NavigationWeights,
    RngKey,
    RootsConfig,
    ScaleProfile,
    SphereConfig,
    SubstringConfig,
    init_gpu_device,
    load_blt_safetensors,
    save_safetensors,
)

text_file, output, question = sys.argv[1:4]
device = init_gpu_device()

# 1. Bytes to patches to embeddings
model = BltModel(BltConfig.default().with_patch_size(64).with_dim(128), device)
encoded = model.encode_bytes(Path(text_file).read_bytes())
save_safetensors(output, encoded)

# 2. The sphere
config = SphereConfig.from_profile(ScaleProfile.Dev).with_entropy_weighted(True)
sphere_ebm, patches = load_blt_safetensors(output, config, device)
print(f"{sphere_ebm.n_points()} patches of {sphere_ebm.embedding_dim()} dimensions")

# 3. Roots, coupled by embedding and substring
roots_cfg = (
    RootsConfig.dev()
    .with_partitions(16)
    .with_beta(1.0)
    .with_substring_coupling(SubstringConfig(enabled=True, weight=0.3))
)
budget = BudgetConfig.default().with_max_cones(8).with_peak_threshold(0.15)
navigator = MultiConeNavigator.from_sphere_ebm_with_bytes(
    sphere_ebm, patches, roots_cfg, budget, RngKey(42), device
).with_weights(NavigationWeights.semantic_only())

# 4. A query from the same encoder
query = model.encode_query(question)
result = navigator.navigate_multi_cone(query, 50.0, 10, RngKey(43), device)

print(f"{result.n_targets()} targets from {result.n_cones()} cones")
for index, energy in result.top_k(5):
    print(f"{energy:8.3f}  {patches[index]!r}")
