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
    waiting = deque(enumerate(items))
    done: dict[int, Result] = {}

    def take() -> None:
        while True:
            try:
                place, item = waiting.popleft()
            except IndexError:  # none is left
                return
            done[place] = work(item)

    count = len(waiting)
    others = min(threads, count) - 1
    if others < 1:
        take()
    else:
        with ThreadPoolExecutor(others) as pool:
            helpers = [pool.submit(take) for _ in range(others)]
            take()
        for helper in helpers:
            helper.result()  # raises what it raised
    return [done[place] for place in range(count)]
