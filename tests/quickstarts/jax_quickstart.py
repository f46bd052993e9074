# ruff: noqa: T201
"""The examples of the JAX system's README: patches, water-filling, navigation."""

import numpy as np

from thesphere.compat import (
    LateralWaterFillingOptimizer,
    PatchConfig,
    PatchIngestionPipeline,
    QuantumNavigator,
    patch_text,
)

# 1. Patches
text = "Entropy patches end where the next byte is hard to guess. " * 4
patches = patch_text(text)
pipeline = PatchIngestionPipeline(PatchConfig(return_format="detailed"))
told = pipeline.ingest_text(text)
print(f"{told['statistics']['num_patches']} patches, myelination {told['myelination_ratio']:.2f}")

# 2. Embeddings with magnitudes: twelve clusters
random = np.random.default_rng(42)
centres = random.standard_normal((12, 128)).astype(np.float32)
labels = random.integers(0, 12, 1000)
embeddings = centres[labels] + 0.4 * random.standard_normal((1000, 128)).astype(np.float32)
embeddings *= random.lognormal(0, 0.5, (1000, 1)).astype(np.float32)

# 3. Water-filling
optimizer = LateralWaterFillingOptimizer(target_shells=80, min_radius=32.0, max_radius=256.0)
points, info = optimizer.optimize_shells(embeddings, max_passes=15)
occupied = int((info["shell_distribution"] > 0).sum())
print(
    f"{occupied}/80 shells, {info['total_promotions']} promotions, {info['total_lateral_moves']} lateral moves"
)
print(f"radii {points.r.min():.1f} to {points.r.max():.1f}")

# 4. Navigation
navigator = QuantumNavigator(points, band_limit=16, max_probes=16)
query = centres[3]
result = navigator.navigate(query)
print(f"{result['num_retrieved']} points within {result['alpha']:.2f} rad, score {result['score']:.1f}")
