"""What arrives under faults: the SDK's own consumers beside the journal, and the tables of docs/guarantees-sdk.md.

A cell of a table is what the service holds in the end, and in parentheses what the sender itself has to say.
"""

import contextlib
import gc
import socket
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import mixpanel
import pytest

from recorder import HttpTransport, Journal, JournalConsumer, Shipper, ShippingPolicy
from recorder.journal.uptime import Uptime
from simulator.service.server import Service

PAGE = Path(__file__).parents[2] / "docs" / "guarantees-sdk.md"

CALLS = 120
BATCH = 50  # the SDK's buffered consumer sends no more in one request
PROFILES = 40  # of the sets: each is set three times in a row
TIMEOUT = 3  # seconds, where one is to pass; others take less, on a busy machine too
SLOW = 5


# --- the app: it makes its calls, catches what they raise, and goes on


class Direct:
    """An app with the SDK's own `Consumer`: a call that raises is over."""

    def __init__(self, url, _path, timeout):
        self.errors = 0
        self._consumer = self.make(url, timeout)
        self._sdk = mixpanel.Mixpanel("T", self._consumer)

    def make(self, url, timeout):
        return mixpanel.Consumer(**addresses(url), request_timeout=timeout)

    def call(self, verb, *args):
        self._try(lambda: getattr(self._sdk, verb)(*args))

    def _try(self, act):
        try:
            act()
        except mixpanel.MixpanelException:
            self.errors += 1
            return False
        return True

    def finish(self, _service):
        pass

    def leave(self):
        self._consumer._session.close()

    def says(self):
        return {"error" if self.errors == 1 else "errors": self.errors}

    def missing(self):
        return "lost"


class Buffered(Direct):
    """An app with the SDK's `BufferedConsumer`, which flushes in the end, up to three times."""

    def make(self, url, timeout):
        return mixpanel.BufferedConsumer(**addresses(url), request_timeout=timeout, max_size=BATCH)

    def finish(self, _service):
        any(self._try(self._consumer.flush) for _ in range(3))

    def leave(self):
        self._consumer._consumer._session.close()


class Journaled:
    """An app with `JournalConsumer`: it ships every `BATCH` calls and in the end, until nothing more may go."""

    in_doubt = "resend"

    def __init__(self, url, path, timeout):
        self._journal = Journal(path, durability="process")
        self._consumer = JournalConsumer(self._journal)
        self._sdk = mixpanel.Mixpanel("T", self._consumer)
        self._seconds = 0.0
        self._policy = ShippingPolicy(batch_updates=BATCH, in_doubt=self.in_doubt)
        self._transport = HttpTransport(url=url, timeout=(timeout, timeout))
        self._shipper = Shipper(
            self._journal, self._transport, self._policy, uptime=lambda: Uptime("", self._seconds)
        )
        self._calls = 0

    def call(self, verb, *args):
        getattr(self._sdk, verb)(*args)
        self._calls += 1
        if self._calls % BATCH == 0:
            self._shipper.ship()

    def finish(self, service):
        for _ in range(20):
            if self._shipper.ship().stopped_by == "done":
                return
            self._transport.close()
            quiet(service)
            self._seconds += self._policy.settle_after  # what was on its way has arrived by then
        raise AssertionError("it does not come to an end")

    def leave(self):
        self._transport.close()
        self._consumer.close()
        statistics = self._journal.statistics(0.0)
        assert statistics.adds_up
        self._says = {
            "possibly twice": statistics.possibly_twice,
            "in doubt": statistics.in_doubt,
            "dropped": statistics.discarded,
        }
        self._kept = statistics.unsent
        self._journal.close()

    def says(self):
        return self._says

    def missing(self):
        return "kept" if self._kept else "dropped" if self._says["dropped"] else "lost"


class Held(Journaled):
    in_doubt = "hold"


class Dropped(Journaled):
    in_doubt = "drop"


def addresses(url):
    return {
        "events_url": f"{url}/track",
        "people_url": f"{url}/engage",
        "groups_url": f"{url}/groups",
        "import_url": f"{url}/import",
    }


# --- what befalls it


@dataclass(frozen=True)
class Course:
    """How a run goes.

    Attributes:
        fault: What befalls the second request that reaches the service.
        down: For so many calls the service is down: connections are refused.
        restart: The app ends after its calls, without a farewell, and begins anew.
        timeout: How long the senders wait for an answer, in seconds.
    """

    fault: dict | None = None
    down: int = 0
    restart: bool = False
    timeout: float = 20


COURSES = {
    "nothing": Course(),
    "the 2nd request is applied, its answer lost": Course({"fault": "ack_lost"}),
    "the 2nd is reset, not applied": Course({"fault": "reset"}),
    "the 2nd is closed unread": Course({"fault": "refuse"}),
    "the 2nd is answered 500, not applied": Course({"fault": "status", "code": 500}),
    "the 2nd is answered 503": Course({"fault": "status", "code": 503}),
    "the 2nd is applied after the time-out": Course({"fault": "slow", "seconds": SLOW}, timeout=TIMEOUT),
    "down for the first 60 calls": Course(down=60),
    "down for all calls, then up": Course(down=CALLS),
    "down for all calls, then the 2nd is reset": Course({"fault": "reset"}, down=CALLS),
    "down for all calls; the app is restarted": Course(down=CALLS, restart=True),
}

INCREMENTS = {
    "`Consumer`": Direct,
    "`BufferedConsumer`": Buffered,
    "`JournalConsumer`": Journaled,
    "`hold`": Held,
    "`drop`": Dropped,
}
SETS = {"`Consumer`": Direct, "`BufferedConsumer`": Buffered, "`JournalConsumer`": Journaled}


@contextlib.contextmanager
def port_without_service():
    """A port that stays ours, and refuses connections until a service listens there."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def quiet(service):
    """Wait until the service has done with every request that reached it; clients have closed theirs."""
    server, _ = service._running
    gc.collect()  # a socket that the traceback of a failure refers to closes when that is collected
    deadline = time.monotonic() + 20
    while server._open:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run(sender, course, path, calls):
    """The app's calls under a course of events; the app, and what the service holds in the end."""
    with port_without_service() as port, contextlib.ExitStack() as ending:
        faults = [{"at": 2, **course.fault}] if course.fault else []
        service = Service(port, faults=faults)
        app = sender(service.url, path, course.timeout)
        for place, call in enumerate(calls):
            if place == course.down:
                ending.enter_context(service)
            app.call(*call)
        if course.down == len(calls):
            ending.enter_context(service)
        if course.restart:
            app.leave()
            app = sender(service.url, path, course.timeout)
        app.finish(service)
        app.leave()
        quiet(service)
        return app, service.profiles()


def in_words(counts, says):
    truth = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    said = ", ".join(f"{count} {what}" for what, count in says.items() if count)
    return f"{truth} ({said})" if said else truth


def increments(sender, course, path):
    """Each call adds 1 on a profile of its own, so that the profile says how often it was applied."""
    calls = [("people_increment", f"visitor-{n}", {"visits": 1}) for n in range(CALLS)]
    app, profiles = run(sender, course, path, calls)
    counts = Counter({"once": 0, "twice": 0})
    for _, id_, _ in calls:
        times = profiles.get(id_, {}).get("visits", 0)
        assert times <= 2
        counts["twice" if times == 2 else "once" if times else app.missing()] += 1
    if isinstance(app, Journaled):
        assert counts["lost"] == 0
        assert counts["twice"] <= app.says()["possibly twice"]
    return in_words(counts, app.says())


def sets(sender, course, path):
    """Each profile is set three times in a row; what counts is whether it ends with the last value."""
    calls = [("people_set", f"visitor-{n // 3}", {"seen": n}) for n in range(CALLS)]
    app, profiles = run(sender, course, path, calls)
    last = {id_: properties for _, id_, properties in calls}
    counts = Counter({"right": 0, "stale": 0, "missing": 0})
    for id_, properties in last.items():
        found = profiles.get(id_)
        counts["right" if found == properties else "stale" if found else "missing"] += 1
    return in_words(counts, app.says())


# --- the page


def table(heading):
    """The rows of the table under a heading of the page, the first cell of each to the others."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return rows[0], {row[0]: row[1:] for row in rows[2:]}


TABLES = {"Increments": (INCREMENTS, increments), "Sets": (SETS, sets)}


@pytest.mark.parametrize("heading", TABLES)
def test_page_has_each_course_and_sender(heading):
    head, rows = table(heading)
    assert head[1:] == list(TABLES[heading][0])
    assert list(rows) == list(COURSES)


EACH_COURSE = pytest.mark.parametrize(
    "course",
    [pytest.param(name, marks=[pytest.mark.long] * (place != 1)) for place, name in enumerate(COURSES)],
)


@EACH_COURSE
@pytest.mark.parametrize("heading", TABLES)
def test_page_says_what_is_measured(heading, course, tmp_path):
    senders, measure = TABLES[heading]
    measured = [
        measure(sender, COURSES[course], tmp_path / f"{sender.__name__}.db") for sender in senders.values()
    ]
    assert measured == table(heading)[1][course]


@EACH_COURSE
@pytest.mark.parametrize("sender", [Held, Dropped])
def test_harmless_updates_converge_under_every_policy(course, sender, tmp_path):
    assert sets(sender, COURSES[course], tmp_path / "kiosk.db") == f"{PROFILES} right"
