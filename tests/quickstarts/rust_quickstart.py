# ruff: noqa: T201
"""The quick start of the Rust crate's README.

Usage: python rust_quickstart.py FILE.safetensors
"""

import sys

from thesphere.compat import (
    BudgetConfig,
    MultiConeNavigator,
    NavigationWeights,
    RngKey,
    RootsConfig,
    RootsIndex,
    RuntimeConfig,
    ScaleProfile,
    SphereConfig,
    ensure_backend,
    init_gpu_device,
    load_blt_safetensors,
)

ensure_backend()
device = init_gpu_device()
key = RngKey(42)

# Load and optimise
config = SphereConfig.from_profile(ScaleProfile.Dev)
sphere_ebm, patches = load_blt_safetensors(sys.argv[1], config, device)
coords = sphere_ebm.optimize(key, device)
cartesian = coords.to_cartesian()
print(f"placed {cartesian.shape[0]} points between {coords.r.min():.1f} and {coords.r.max():.1f}")

# Build the index
roots_cfg = RootsConfig.default().with_partitions(32).with_default_substring_coupling()
roots = RootsIndex.from_sphere_ebm_with_bytes(sphere_ebm, patches, roots_cfg, key, device)
query = sphere_ebm.embeddings[0]
activations = roots.activate(query)
peaks = roots.detect_peaks(activations)
partition = roots.route(query)
print(f"{roots.n_partitions()} partitions, {len(peaks)} peaks; the query belongs to {partition}")

# What this machine allows
runtime = RuntimeConfig.auto()
print(f"tier {runtime.policy.tier}, profile {runtime.policy.profile}, {runtime.budget_gb():.1f} GiB")
budget: BudgetConfig = runtime.budget.with_max_cones(8).with_peak_threshold(0.15)

# Navigate
navigator = MultiConeNavigator.from_sphere_ebm_with_bytes(sphere_ebm, patches, roots_cfg, budget, key, device)
result = navigator.navigate_multi_cone(query, 50.0, 10, key, device)
print(f"{result.n_targets()} targets from {result.n_cones()} cones")
for index, energy in result.top_k(5):
    print(f"  {index}: energy {energy:.3f}, {patches[index][:40]!r}")

# All terms of the energy, with the older weights
weighed = navigator.with_weights(NavigationWeights.default()).navigate_multi_cone(
    query, 50.0, 10, key, device
)
