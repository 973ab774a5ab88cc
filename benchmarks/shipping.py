"""Shipping: draining a journal, against a bare loop, against the official SDK, and over slow lines; single requests."""

import functools
import json
import math
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import requests

from benchmarks.journals import PROPERTIES, ROW, kept
from benchmarks.pairs import Measure, Pair, in_process, seconds
from benchmarks.sink import sink
from recorder import HttpTransport, Journal, JournalReader, Lane, Recorder, Shipper

__all__ = ["pairs"]

DRAINED = 200_000
FEW, MANY, VERY_MANY = 50_000, 1_000_000, 5_000_000
UPDATES = 2_000  # in a request: the service's limit
BESIDE = 10_000  # recorded while a thread ships: some seconds
SLOW = 0.05  # seconds of round trip
OVER_SLOW = 20_000
BY_ONE = 100  # what Consumer sends is measured on so many, a request each
BUFFERED = 1_000  # and BufferedConsumer on so many, 50 in a request
LARGE, LARGE_BYTES = 200, 5_000  # updates for slow lines
PART, PARTS = 100, 8  # entries for a call, and calls
SINGLE = 300  # requests of one entry
BODY = ROW[4].replace("{", '[{"$token":"T",', 1).encode() + b"]"
HEADERS = {"Content-Type": "application/json"}


def _kept(path: Path) -> Journal:
    """Nothing is pruned: the bare loop prunes nothing either."""
    return Journal(path, keep_shipped_days=math.inf, keep_shipped_entries=math.inf)


def drained(entries: int, delay: float = 0.0) -> Measure:
    def measure(folder: Path) -> float:
        path = Path(shutil.copy(kept(entries), folder))
        with sink(delay) as url, _kept(path) as journal, closing(HttpTransport(url=url)) as transport:
            taken = seconds(lambda: Shipper(journal, transport).ship(timeout=None))
            assert journal.statistics(0.0).shipped == entries
        return taken / entries

    return measure


def in_part(pending: int) -> Measure:
    """A call that ships a few of many: what it costs besides must not grow with them."""

    def measure(folder: Path) -> float:
        path = Path(shutil.copy(kept(pending), folder))
        os.sync()  # or each sync would wait for the copy to reach the disk
        with sink() as url, _kept(path) as journal, closing(HttpTransport(url=url)) as transport:
            shipper = Shipper(journal, transport)
            shipper.ship(limit=PART)  # the connection stands
            return seconds(lambda: [shipper.ship(limit=PART) for _ in range(PARTS)]) / PARTS

    return measure


def recorded(*, background: bool) -> Measure:
    """One entry after another, each a call, with a thread that ships them or without."""

    def measure(folder: Path) -> float:
        with sink() as url, Recorder("T", folder / "ours.db", background=background, url=url) as recorder:
            work = lambda: [recorder.people_set("cdnow-00001", PROPERTIES) for _ in range(BESIDE)]  # noqa: E731
            return seconds(work) / BESIDE

    return measure


def bare(folder: Path) -> float:  # noqa: ARG001  # it writes nothing
    """Reads the same rows and posts the same bodies; writes nothing down."""
    rows = "SELECT message FROM entries ORDER BY seq"
    with (
        sink() as url,
        closing(sqlite3.connect(kept(DRAINED))) as connection,
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
                    headers=HEADERS,
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


# --- slow lines


class Counting(HttpTransport):
    """Counts the bytes of bodies."""

    sent = 0

    def send(self, lane, body, **how):
        self.sent += len(body)
        return super().send(lane, body, **how)


@functools.cache
def over_line(bits: int) -> tuple[float, int, int]:
    """Drain 200 updates of 5 kB over so many bits a second, once: seconds, bytes sent, and bytes of one request."""
    with (
        tempfile.TemporaryDirectory(prefix="restante-bench-") as folder,
        sink(SLOW, bits / 8) as url,
        Recorder("T", Path(folder, "ours.db")) as recorder,
        closing(Counting(url=url)) as transport,
    ):
        with recorder.batch() as batch:
            for number in range(LARGE):
                batch.people_append("cdnow-00001", {"notes": f"{number} {'x' * LARGE_BYTES}"})
        with JournalReader(recorder.journal.path) as reader:
            messages = [{"$token": "T", **entry.message} for entry in reader.stream()]
        needed = len(json.dumps(messages, separators=(",", ":")))
        taken = seconds(lambda: Shipper(recorder.journal, transport).ship())
        counts = recorder.statistics()
        assert (counts.shipped, counts.possibly_twice) == (LARGE, 0)
        return taken, transport.sent, needed


# --- single requests


def cpu(work: Callable[[], object]) -> float:
    """Seconds of the processor for each time, in all threads."""
    work()  # the connection stands
    begun = time.process_time()
    for _ in range(SINGLE):
        work()
    return (time.process_time() - begun) / SINGLE


def our_request(folder: Path) -> float:  # noqa: ARG001
    with sink() as url, closing(HttpTransport(url=url)) as transport:
        return cpu(lambda: transport.send(Lane.PEOPLE, BODY))


def our_flush(folder: Path) -> float:
    """Record, take over, claim, send and settle."""
    with sink() as url, Recorder("T", folder / "ours.db", url=url) as recorder:
        return cpu(lambda: (recorder.people_set("cdnow-00001", PROPERTIES), recorder.flush()))


def posted(folder: Path) -> float:  # noqa: ARG001
    with sink() as url, requests.Session() as session:
        return cpu(lambda: session.post(f"{url}/engage?verbose=1", data=BODY, headers=HEADERS))


_FIRST_FLUSH = """
import json, sys, time
from recorder import Recorder
with Recorder("T", sys.argv[2], url=sys.argv[1]) as recorder:
    recorder.people_set("cdnow-00001", {"plan": "pro"})
    begun = time.perf_counter()
    assert recorder.flush().shipped == 1
    print(json.dumps(time.perf_counter() - begun))
"""
_FIRST_POST = """
import json, sys, time
body = b'[{"$token":"T","$distinct_id":"cdnow-00001","$set":{"plan":"pro"}}]'
begun = time.perf_counter()
import requests
assert requests.post(f"{sys.argv[1]}/engage?verbose=1", data=body).json()["status"] == 1
print(json.dumps(time.perf_counter() - begun))
"""


def first(program: str) -> Measure:
    """Seconds in a program of its own, of which the imports are a part."""

    def measure(folder: Path) -> float:
        with sink() as url:
            return float(in_process(program, url, folder / "ours.db"))

    return measure


def pairs() -> Iterator[Pair]:
    """All of them."""
    yield Pair(
        "draining 200,000, 2,000 a request",
        "a bare loop: the same rows and bodies",
        drained(DRAINED),
        bare,
        0.5,
    )
    yield Pair(
        "draining 5,000,000",
        "draining 50,000",
        drained(VERY_MANY),
        drained(FEW),
        1.2,
        by="times",
        full=True,
    )
    yield Pair(
        "shipping 100 of 1,000,000 entries",
        "of 1,000 entries",
        in_part(MANY),
        in_part(1_000),
        1.5,
        by="times",
        unit=(1e3, "ms"),
    )
    yield Pair(
        "people_set while shipping",
        "people_set, not shipping",
        recorded(background=True),
        recorded(background=False),
        0.9,
    )
    for name, other, to_reach in (
        ("the official Consumer", official(BY_ONE, buffered=False), 100),
        ("the official BufferedConsumer", official(BUFFERED, buffered=True), 25),
    ):
        yield Pair("draining 20,000 over 50 ms", name, drained(OVER_SLOW, SLOW), other, to_reach)
    yield from slow_lines()
    milliseconds = (1e3, "ms")
    yield Pair(
        "first flush, with importing requests",
        "import requests, one post",
        first(_FIRST_FLUSH),
        first(_FIRST_POST),
        2,
        by="times",
        unit=milliseconds,
    )
    what = "requests.Session.post of the same body"
    yield Pair("one request, CPU time", what, our_request, posted, 1.3, by="times")
    yield Pair("flush of one entry, CPU time", what, our_flush, posted, None, by="times")


def slow_lines() -> Iterator[Pair]:
    """200 updates of 5 kB, next to what one request of everything would take and carry."""
    for bits in (1_000_000, 64_000, 9_600):
        name, how = f"200 of 5 kB over {bits / 1_000:,g} kbit/s", {"once": True, "full": bits < 64_000}
        yield Pair(
            name,
            "one request of everything",
            lambda _, bits=bits: over_line(bits)[0],
            lambda _, bits=bits: over_line(bits)[2] * 8 / bits + SLOW,
            0.85,
            unit=(1.0, "s"),
            **how,
        )
        yield Pair(
            name,
            "the bytes of one request",
            lambda _, bits=bits: over_line(bits)[1],
            lambda _, bits=bits: over_line(bits)[2],
            1.05,
            by="times",
            unit=(1e-3, "kB"),
            **how,
        )
