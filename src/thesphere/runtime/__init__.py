"""Where the work runs: what the machine offers, how many threads, which precision, how much a query may read."""

from thesphere.runtime.budget import BudgetConfig
from thesphere.runtime.hardware import Hardware, Tier, hardware
from thesphere.runtime.policy import Policy, RuntimeConfig
from thesphere.runtime.threads import one_blas_thread, workers

__all__ = [
    "BudgetConfig",
    "Hardware",
    "Policy",
    "RuntimeConfig",
    "Tier",
    "hardware",
    "one_blas_thread",
    "workers",
]
