"""Threads are made by us, outside the kernels; BLAS gets one each, or it would fight with them for the
cores."""

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

from threadpoolctl import threadpool_limits

from thesphere.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


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


def spread(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> list[Result]:
    """`work` of each item, in their order, on up to so many threads; the calling one is among them, so that one
    less is to be started."""
    given = list(items)
    if threads == 1 or len(given) < 2:
        return list(map(work, given))
    waiting, done = deque(enumerate(given)), {}

    def take() -> None:
        while waiting:
            try:
                place, item = waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            done[place] = work(item)

    with ThreadPoolExecutor(min(threads, len(given)) - 1) as pool:
        others = [pool.submit(take) for _ in range(min(threads, len(given)) - 1)]
        take()
        for other in others:
            other.result()
    return [done[place] for place in range(len(given))]
