"""Late arrivals by a clock that the test moves: their order, and what becomes of them at the end."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event

import pytest

from simulator.service.late import LateArrivals

TIMEOUT = 10


@pytest.fixture
def arrivals(clock):
    with closing(LateArrivals(clock)) as arrivals:
        yield arrivals


def test_arrivals_happen_in_due_order(arrivals, clock):
    happened = []
    for name, seconds in [("c", 3_000), ("a", 1_000), ("d", 3_000), ("b", 2_000)]:
        arrivals.add(seconds, lambda name=name: happened.append(name))
    assert happened == []
    clock.now = 5_000
    arrivals.close()
    assert happened == ["a", "b", "c", "d"]


def test_due_time_counts_from_addition(arrivals, clock):
    happened = []
    arrivals.add(3_000, lambda: happened.append("first"))
    clock.now = 1_000
    arrivals.add(1_000, lambda: happened.append("second"))
    clock.now = 3_000
    arrivals.close()
    assert happened == ["second", "first"]


def test_close_drops_undue_arrivals(arrivals, clock):
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


def test_sooner_arrival_overtakes_later_one(arrivals):
    sooner = Event()
    arrivals.add(1_000, Event().set)
    arrivals.add(0, sooner.set)
    assert sooner.wait(TIMEOUT)


def test_close_wakes_settle(arrivals):
    arrivals.add(1_000, Event().set)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(arrivals.settle, TIMEOUT)
        arrivals.close()
        assert waiting.result(TIMEOUT)


def test_arrivals_are_added_by_threads():
    happened = []
    with closing(LateArrivals()) as arrivals, ThreadPoolExecutor(8) as pool:
        for number in range(400):
            pool.submit(arrivals.add, number % 7 / 1_000, lambda number=number: happened.append(number))
        pool.shutdown()
        assert arrivals.settle(TIMEOUT)
    assert sorted(happened) == list(range(400))
