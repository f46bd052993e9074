"""Where the work runs: how many threads, and who may start them."""

from thesphere.runtime.threads import one_blas_thread, workers

__all__ = ["one_blas_thread", "workers"]
