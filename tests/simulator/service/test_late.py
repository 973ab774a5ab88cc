"""Late arrivals by a clock that the test moves: their order, and what becomes of them at the end."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event

import pytest

from simulator.service.late import LateArrivals

TIMEOUT = 10


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def arrivals(clock):
    with closing(LateArrivals(clock)) as arrivals:
        yield arrivals


def test_they_happen_in_order_of_due_time_and_those_due_at_once_as_they_were_added(arrivals, clock):
    happened = []
    for name, seconds in [("c", 3_000), ("a", 1_000), ("d", 3_000), ("b", 2_000)]:
        arrivals.add(seconds, lambda name=name: happened.append(name))
    assert happened == []
    clock.now = 5_000
    arrivals.close()
    assert happened == ["a", "b", "c", "d"]


def test_due_time_counts_from_when_each_was_added(arrivals, clock):
    happened = []
    arrivals.add(3_000, lambda: happened.append("first"))
    clock.now = 1_000
    arrivals.add(1_000, lambda: happened.append("second"))
    clock.now = 3_000
    arrivals.close()
    assert happened == ["second", "first"]


def test_what_is_not_due_at_the_end_never_happens(arrivals, clock):
    happened = []
    arrivals.add(1_000, lambda: happened.append("due"))
    arrivals.add(1_001, lambda: happened.append("not due"))
    clock.now = 1_000
    arrivals.close()
    assert happened == ["due"]
    assert arrivals.settle(0)


def test_nothing_is_added_after_the_end(arrivals):
    happened = []
    arrivals.close()
    arrivals.add(0, lambda: happened.append("too late"))
    arrivals.close()
    assert happened == []
    assert arrivals.settle(0)


def test_settling_says_whether_all_has_happened(arrivals):
    assert arrivals.settle(0)
    happened = []
    arrivals.add(0, lambda: happened.append("at once"))
    assert arrivals.settle(TIMEOUT)
    assert happened == ["at once"]
    arrivals.add(1_000, lambda: happened.append("later"))
    assert not arrivals.settle(0)
    assert happened == ["at once"]


def test_one_that_is_due_sooner_does_not_wait_for_the_ones_before(arrivals):
    sooner = Event()
    arrivals.add(1_000, Event().set)
    arrivals.add(0, sooner.set)
    assert sooner.wait(TIMEOUT)


def test_the_end_wakes_who_waits_for_the_rest(arrivals):
    arrivals.add(1_000, Event().set)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(arrivals.settle, TIMEOUT)
        arrivals.close()
        assert waiting.result(TIMEOUT)


def test_threads_may_add_at_the_same_time():
    happened = []
    with closing(LateArrivals()) as arrivals, ThreadPoolExecutor(8) as pool:
        for number in range(400):
            pool.submit(arrivals.add, number % 7 / 1_000, lambda number=number: happened.append(number))
        pool.shutdown()
        assert arrivals.settle(TIMEOUT)
    assert sorted(happened) == list(range(400))
