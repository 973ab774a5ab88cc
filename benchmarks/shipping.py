"""Shipping: draining a journal, against a bare loop, and against the official SDK over a slow line."""

import math
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import requests

from benchmarks.journals import PROPERTIES, make
from benchmarks.pairs import Measure, Pair, seconds
from benchmarks.sink import sink
from recorder import HttpTransport, Journal, Recorder, Shipper, ShippingPolicy

__all__ = ["pairs"]

DRAINED = 200_000
UPDATES = 2_000  # in a request: the service's limit
BESIDE = 10_000  # recorded while a thread ships: some seconds
SLOW = 0.05  # seconds of round trip
OVER_SLOW = 20_000
BY_ONE = 100  # what Consumer sends is measured on so many, a request each
BUFFERED = 1_000  # and BufferedConsumer on so many, 50 in a request


def prepared(entries: int) -> Callable[[Path], None]:
    return lambda folder: make(folder / "full.db", entries)


def _kept(path: Path) -> Journal:
    """Nothing is pruned: the bare loop prunes nothing either."""
    return Journal(path, keep_shipped_days=math.inf, keep_shipped_entries=math.inf)


def drained(entries: int, policy: ShippingPolicy, delay: float = 0.0) -> Measure:
    def measure(folder: Path) -> float:
        path = folder / "ours.db"
        shutil.copy(folder.parent / "full.db", path)
        with sink(delay) as url, _kept(path) as journal, closing(HttpTransport(url=url)) as transport:
            shipper = Shipper(journal, transport, policy)
            taken = seconds(lambda: shipper.ship(timeout=None))
            assert journal.statistics(0.0).shipped == entries
        return taken / entries

    return measure


def recorded(*, background: bool) -> Measure:
    """One entry after another, each a call, with a thread that ships them or without."""

    def measure(folder: Path) -> float:
        with sink() as url, Recorder("T", folder / "ours.db", background=background, url=url) as recorder:
            work = lambda: [recorder.people_set("cdnow-00001", PROPERTIES) for _ in range(BESIDE)]  # noqa: E731
            return seconds(work) / BESIDE

    return measure


def bare(folder: Path) -> float:
    """Reads the same rows and posts the same bodies; writes nothing down."""
    rows = "SELECT message FROM entries ORDER BY seq"
    with (
        sink() as url,
        closing(sqlite3.connect(folder.parent / "full.db")) as connection,
        requests.Session() as session,
    ):
        session.trust_env = False

        def work() -> None:
            cursor = connection.execute(rows)
            while found := cursor.fetchmany(UPDATES):
                updates = (b'{"$token":"T",' + message.encode()[1:] for (message,) in found)
                body = b"[" + b",".join(updates) + b"]"
                answer = session.post(
                    f"{url}/engage?verbose=1",
                    data=body,
                    headers={"Content-Type": "application/json"},
                    timeout=30,
                )
                assert answer.json()["status"] == 1

        return seconds(work) / DRAINED


def official(number: int, *, buffered: bool) -> Measure:
    """The official SDK, each operation sent as it is made, or 50 at a time; and none of them kept."""

    def measure(folder: Path) -> float:  # noqa: ARG001  # it writes nothing
        from mixpanel import BufferedConsumer, Consumer, Mixpanel

        with sink(SLOW) as url:
            kind = BufferedConsumer if buffered else Consumer
            consumer = kind(people_url=f"{url}/engage")
            people = Mixpanel("T", consumer=consumer)

            def work() -> None:
                for n in range(number):
                    people.people_increment(f"u-{n % 20_000}", {"credits": n % 9})
                if buffered:
                    consumer.flush()

            return seconds(work) / number

    return measure


def pairs() -> Iterator[Pair]:
    """All of them."""
    yield Pair(
        "draining 200,000, 2,000 a request",
        "a bare loop: the same rows and bodies",
        drained(DRAINED, ShippingPolicy()),
        bare,
        0.5,
        prepare=prepared(DRAINED),
    )
    yield Pair(
        "people_set beside its shipper",
        "with nothing shipping",
        recorded(background=True),
        recorded(background=False),
        0.9,
    )
    slow = drained(OVER_SLOW, ShippingPolicy(), SLOW)
    for name, other, to_reach in (
        ("the official Consumer", official(BY_ONE, buffered=False), 100),
        ("the official BufferedConsumer", official(BUFFERED, buffered=True), 25),
    ):
        yield Pair("draining 20,000 over 50 ms", name, slow, other, to_reach, prepare=prepared(OVER_SLOW))
