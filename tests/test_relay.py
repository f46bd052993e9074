"""Items pass every stage in order, on any number of threads; when one fails, the others stop."""

import random
import threading
import time

import pytest

from thesphere.runtime.relay import Relay


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_items_take_every_stage_in_order_and_alone(threads: int) -> None:
    stages, count = 3, 12
    relay, seen, within = Relay(stages), [[] for _ in range(stages)], [0] * stages
    waits = random.Random(0)

    def work(item: int) -> None:
        for stage in range(stages):
            with relay.turn(stage, item):
                within[stage] += 1
                assert within[stage] == 1
                time.sleep(waits.random() / 500)
                seen[stage].append(item)
                within[stage] -= 1

    relay.run(work, count, threads)
    assert seen == [list(range(count))] * stages


def test_two_items_are_under_way_at_once() -> None:
    relay, both = Relay(1), threading.Barrier(2, timeout=20)

    def work(item: int) -> None:
        with relay.turn(0, item):
            pass
        both.wait()  # breaks unless the other item is here as well

    relay.run(work, 2, 2)


@pytest.mark.parametrize("inside", [True, False])
def test_a_failure_is_raised_and_nobody_waits_for_ever(inside: bool) -> None:
    relay, done = Relay(2), []

    def work(item: int) -> None:
        if item == 2 and not inside:
            raise MemoryError("no room")
        for stage in range(2):
            with relay.turn(stage, item):
                if item == 2 and inside and stage == 1:
                    raise MemoryError("no room")
        done.append(item)

    with pytest.raises(MemoryError, match="no room"):
        relay.run(work, 50, 3)
    assert set(done) <= {0, 1}
