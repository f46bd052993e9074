"""Where the work runs: what the machine offers, how many threads, which precision, how much a query may read."""

from thesphere.runtime.budget import BudgetConfig
from thesphere.runtime.hardware import Hardware, Tier, hardware
from thesphere.runtime.policy import Policy, RuntimeConfig, jax_precision, precision_of
from thesphere.runtime.threads import one_blas_thread, workers

__all__ = [
    "BudgetConfig",
    "Hardware",
    "Policy",
    "RuntimeConfig",
    "Tier",
    "hardware",
    "jax_precision",
    "one_blas_thread",
    "precision_of",
    "workers",
]
