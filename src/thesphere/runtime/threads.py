"""Threads are made by us, outside the kernels; BLAS gets one each, or it would fight with them for the
cores."""

import os
from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits

from thesphere.errors import InputError


def workers() -> int:
    """How many threads to use: the cores this process may run on, or THESPHERE_THREADS if that is set."""
    asked = os.environ.get("THESPHERE_THREADS")
    if asked is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise InputError(f"THESPHERE_THREADS is {asked!r}; give a whole number of threads, 1 or more")
    return int(asked)


def one_blas_thread() -> AbstractContextManager:
    """Within this context every matrix product runs on the thread that asks for it."""
    return threadpool_limits(1, "blas")
