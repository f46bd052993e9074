"""Names of the earlier systems, mapped thinly onto ours; they do what those said.

The quick starts of the Rust crate (thrml-sphere), of the JAX system and of the pipeline around them run with
these names, translated to Python: `X::new(a)` is `X(a)`, `SphereConfig::from(profile)` is
`SphereConfig.from_profile(profile)`, a trailing `device` may stay or go, results are NumPy arrays. Where the
older ones were wrong, what they meant is done, and the docstring of each name says so.

| here                                                  | which is                             |
|-------------------------------------------------------|--------------------------------------|
| load_blt_safetensors, load_from_safetensors           | store.interchange.read_interchange   |
| ScaleProfile, SphereConfig, SphereEBM                 | filling.fill with Langevin           |
| RootsConfig, SubstringConfig, RootsIndex              | roots.RootsConfig, roots.Roots       |
| BudgetConfig, RuntimeConfig                           | runtime.BudgetConfig, .RuntimeConfig |
| NavigationWeights, MultiConeNavigator                 | navigate.Weights, navigate.Navigator |
| RngKey, ensure_backend, init_gpu_device               | a whole number; "cpu" or "gpu"       |
| LateralWaterFillingOptimizer, orch_or_water_filling.. | filling.fill                         |
| SphericalTensor                                       | a tuple, with thesphere.geometry     |
| QuantumNavigator                                      | navigate.interference                |
| patch_text, PatchIngestionPipeline                    | thesphere.patches                    |
| BltConfig, BltModel, save_safetensors                 | patches, encoders.lsa, write_v3      |
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thesphere.compat.blt import (
        BltConfig,
        BltModel,
        Encoded,
        save_safetensors,
    )
    from thesphere.compat.interference import (
        QuantumNavigator,
        QuantumNavigatorJIT,
    )
    from thesphere.compat.keys import (
        Device,
        RngKey,
        ensure_backend,
        init_gpu_device,
    )
    from thesphere.compat.loaders import (
        Loaded,
        is_blt_v3_format,
        load_blt_safetensors,
        load_blt_with_hypergraph,
        load_from_safetensors,
    )
    from thesphere.compat.multi_cone import (
        MultiConeNavigator,
        MultiConeResult,
        NavigationWeights,
    )
    from thesphere.compat.patching import (
        PatchConfig,
        PatchIngestionPipeline,
        patch_dataset,
        patch_text,
    )
    from thesphere.compat.roots_config import (
        PartitionMethod,
        RootsConfig,
        SubstringConfig,
    )
    from thesphere.compat.roots_index import (
        ActivationPeak,
        RootsIndex,
    )
    from thesphere.compat.runtime_config import (
        BudgetConfig,
        RuntimeConfig,
    )
    from thesphere.compat.sphere_config import (
        ScaleProfile,
        SphereConfig,
    )
    from thesphere.compat.sphere_ebm import (
        SphereEBM,
        SphericalCoords,
        save_coords_npz,
    )
    from thesphere.compat.tensor import (
        SphericalTensor,
        angular_distance,
        batch_points_in_cone,
        normalize_to_shell,
        points_in_cone,
    )
    from thesphere.compat.water_filling import (
        LateralWaterFillingOptimizer,
        LateralWaterFillingOptimizerJIT,
        Optimised,
        ThrmlWaterFillingOptimizer,
        entropy_weighted_water_filling,
        orch_or_water_filling,
        osmotic_water_filling,
        thrml_energy_water_filling,
    )

__all__ = [
    "ActivationPeak",
    "BltConfig",
    "BltModel",
    "BudgetConfig",
    "Device",
    "Encoded",
    "LateralWaterFillingOptimizer",
    "LateralWaterFillingOptimizerJIT",
    "Loaded",
    "MultiConeNavigator",
    "MultiConeResult",
    "NavigationWeights",
    "Optimised",
    "PartitionMethod",
    "PatchConfig",
    "PatchIngestionPipeline",
    "QuantumNavigator",
    "QuantumNavigatorJIT",
    "RngKey",
    "RootsConfig",
    "RootsIndex",
    "RuntimeConfig",
    "ScaleProfile",
    "SphereConfig",
    "SphereEBM",
    "SphericalCoords",
    "SphericalTensor",
    "SubstringConfig",
    "ThrmlWaterFillingOptimizer",
    "angular_distance",
    "batch_points_in_cone",
    "ensure_backend",
    "entropy_weighted_water_filling",
    "init_gpu_device",
    "is_blt_v3_format",
    "load_blt_safetensors",
    "load_blt_with_hypergraph",
    "load_from_safetensors",
    "normalize_to_shell",
    "orch_or_water_filling",
    "osmotic_water_filling",
    "patch_dataset",
    "patch_text",
    "points_in_cone",
    "save_coords_npz",
    "save_safetensors",
    "thrml_energy_water_filling",
]

_MODULES = {
    "blt": "BltConfig BltModel Encoded save_safetensors",
    "interference": "QuantumNavigator QuantumNavigatorJIT",
    "keys": "Device RngKey ensure_backend init_gpu_device",
    "loaders": "Loaded is_blt_v3_format load_blt_safetensors load_blt_with_hypergraph load_from_safetensors",
    "multi_cone": "MultiConeNavigator MultiConeResult NavigationWeights",
    "patching": "PatchConfig PatchIngestionPipeline patch_dataset patch_text",
    "roots_config": "PartitionMethod RootsConfig SubstringConfig",
    "roots_index": "ActivationPeak RootsIndex",
    "runtime_config": "BudgetConfig RuntimeConfig",
    "sphere_config": "ScaleProfile SphereConfig",
    "sphere_ebm": "SphereEBM SphericalCoords save_coords_npz",
    "tensor": "SphericalTensor angular_distance batch_points_in_cone normalize_to_shell points_in_cone",
    "water_filling": "LateralWaterFillingOptimizer LateralWaterFillingOptimizerJIT Optimised"
    " ThrmlWaterFillingOptimizer entropy_weighted_water_filling orch_or_water_filling osmotic_water_filling"
    " thrml_energy_water_filling",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:  # each name loads what it needs, and nothing else
    if name in _HOMES:
        return getattr(import_module(f"thesphere.compat.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'thesphere.compat' has no attribute {name!r}")
