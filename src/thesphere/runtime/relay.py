"""Items that pass the same stages, several at a time and yet in order at each of them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from thesphere.runtime.threads import spread


class Relay:
    """Whose turn it is at each stage. An item may take a stage when the item before it has left that stage.

    Args:
        stages: how many there are. Every item takes each of them once.
    """

    def __init__(self, stages: int) -> None:
        self._next = [0] * stages
        self._news = threading.Condition()
        self._failure: BaseException | None = None

    @contextmanager
    def turn(self, stage: int, item: int) -> Iterator[None]:
        """Within this context `item` has the stage for itself. Raises RuntimeError if another one failed."""
        with self._news:
            self._news.wait_for(lambda: self._failure is not None or self._next[stage] == item)
            if self._failure is not None:
                raise RuntimeError("another item did not get through")
        yield
        with self._news:
            self._next[stage] += 1
            self._news.notify_all()

    def run(self, work: Callable[[int], None], count: int, threads: int) -> None:
        """`work` of 0 ... count - 1 on up to so many threads, ours among them; raises what it raises."""

        def watched(item: int) -> None:
            try:
                work(item)
            except BaseException as failure:
                with self._news:  # or those behind it would wait for ever
                    self._failure = self._failure or failure
                    self._news.notify_all()
                raise

        try:
            spread(watched, range(count), threads)
        finally:
            if self._failure is not None:
                raise self._failure
