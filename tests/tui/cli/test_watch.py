"""`restante ship --watch`: shipping as a service, from the first wait for a journal to the last answer."""

import json
import os
import select
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from recorder import JournalReader
from recorder.journal.locks import ShipLock
from recorder.journal.opening import PAGE_SIZE
from tests.profiles import sampled

UPDATES = [{"$distinct_id": f"u{number}", "$set": {"n": number}} for number in range(3)]
MALFORMED = {"$distinct_id": "ada", "$add": {"visits": "two"}}
PATIENCE = 30.0  # seconds; only what hangs takes so long


class Watch:
    """A running `restante ship --watch`, whose lines are read as they come."""

    def __init__(self, restante, arguments, **options):
        self.restante = restante
        self.process = restante.start("ship", "--watch", *arguments, **options)
        self.process.stdin.close()

    def line(self, stream):
        """The next line, as soon as it is there."""
        text = b""
        deadline = time.monotonic() + PATIENCE
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, ("in vain waited for a line", text)
            byte = os.read(stream.fileno(), 1)
            if not byte:
                break
            text += byte
        return text.decode()

    def said(self):
        return self.line(self.process.stderr)

    def told(self):
        return json.loads(self.line(self.process.stdout))

    def end(self, number=signal.SIGTERM):
        """Return the exit code and the rest of the output."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        return code, self.process.stderr.read().decode()


@pytest.fixture
def watch(restante, journal, service):
    def start(*arguments, url=service.url, **options):
        return Watch(restante, ["-j", journal, "--url", url, *arguments], **options)

    return start


def counts(journal):
    with JournalReader(journal) as reader:
        return reader.counts()


# --- as long as it runs


def test_watch_ships_until_sigterm(watch, journal, append, service):
    append(UPDATES[0])
    watching = watch()
    assert watching.said() == f"Shipping {journal} to {service.url} until SIGTERM or Ctrl-C.\n"
    assert watching.said() == f"Shipped 1 entry in 1 request to {service.url}. Nothing is left.\n"
    append(*UPDATES[1:])
    assert watching.said() == f"Shipped 2 entries in 1 request to {service.url}. Nothing is left.\n"
    append(MALFORMED)
    told = watching.said()
    assert told.startswith("Entry 4 was rejected: ")
    assert service.messages("rejected")[0].reason in told
    assert "1 rejected" in watching.said()
    assert watching.end() == (0, "")
    assert len(service.messages("accepted")) == 3


@pytest.mark.long
def test_missing_journal_is_waited_for(watch, journal, append, tmp_path, service):
    watching = watch()
    assert watching.said() == f"Waiting for a journal at {journal}.\n"
    assert list(tmp_path.iterdir()) == []
    append(UPDATES[0])
    assert watching.said().startswith("Shipping ")
    assert watching.said() == f"Shipped 1 entry in 1 request to {service.url}. Nothing is left.\n"
    assert watching.end() == (0, "")


@pytest.mark.parametrize(("number", "code"), sampled([(signal.SIGTERM, 0), (signal.SIGINT, 130)], 2))
def test_wait_for_journal_can_end(watch, tmp_path, number, code):
    watching = watch()
    watching.said()
    assert watching.end(number) == (code, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_outage_is_one_line(watch, journal, append, closed_port, until):
    append(*UPDATES)
    watching = watch(url=closed_port)
    watching.said()
    assert watching.said() == (
        f"Shipped 0 entries in 1 request to {closed_port}. "
        "Offline: connection refused. The rest is kept (3 entries unsent).\n"
    )

    def tried_again():
        with JournalReader(journal) as reader:
            return reader.shipping().lanes[0].failures >= 3

    until(tried_again, "three tries")
    assert watching.end() == (0, "")


def test_json_is_one_report_per_line(watch, append):
    """Until nobody reads them."""
    append(UPDATES[0])
    watching = watch("--json")
    assert (watching.told()["shipped"], watching.process.poll()) == (1, None)
    append(*UPDATES[1:])
    while (report := watching.told())["shipped"] == 0:
        pass  # that all was shipped
    assert (report["shipped"], report["pending"], report["stopped_by"]) == (2, 0, "done")
    watching.process.stdout.close()
    append(UPDATES[0])
    assert watching.process.wait(PATIENCE) == 0
    assert "Traceback" not in watching.process.stderr.read().decode()


@pytest.mark.long
def test_last_policy_is_kept(watch, journal, append):
    append(UPDATES[0])
    first = watch("--in-doubt", "hold", "--settle-after", "1m")
    first.said()
    first.said()
    assert first.end()[0] == 0
    second = watch("--settle-after", "2m")
    second.said()
    append(UPDATES[1])
    second.said()
    with JournalReader(journal) as reader:
        status = reader.shipping()
    assert (status.in_doubt, status.settle_after) == ("hold", 120)
    assert second.end()[0] == 0


# --- ending


def sending(journal):
    return lambda: counts(journal).sending


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGTERM, 0, marks=pytest.mark.long), (signal.SIGINT, 130)]
)
def test_current_request_is_answered(*, watch, journal, append, service, until, number, code):
    append(*UPDATES)
    service.set_faults([{"at": 1, "fault": "slow", "seconds": 2}])
    watching = watch()
    watching.said()
    until(sending(journal), "the request")
    ended, said = watching.end(number)
    assert ended == code
    assert "a second signal stops at once" in said
    assert (counts(journal).shipped, counts(journal).in_doubt) == (3, 0)


def test_second_signal_ends_at_once(watch, journal, append, service, until):
    append(*UPDATES)
    service.set_faults([{"at": 1, "fault": "slow", "seconds": 60}])
    watching = watch()
    watching.said()
    until(sending(journal), "the request")
    watching.process.send_signal(signal.SIGTERM)
    assert "a second signal stops at once" in watching.said()
    begun = time.monotonic()
    assert watching.end()[0] == 128 + signal.SIGTERM
    assert time.monotonic() - begun < 10


# --- others


@pytest.mark.long
def test_other_shipper_is_taken_over(watch, journal, append, service):
    append(*UPDATES)
    with ShipLock(journal):
        with closing(sqlite3.connect(journal)) as connection, connection:
            connection.execute("UPDATE shipper SET pid = ?", (os.getpid(),))
        connection.close()
        watching = watch()
        watching.said()
        assert watching.said() == (
            f"Process {os.getpid()} is shipping this journal; this process takes over when that one ends.\n"
        )
    assert watching.said() == f"Shipped 3 entries in 1 request to {service.url}. Nothing is left.\n"
    assert watching.end() == (0, "")


def test_replaced_journal_ends_it(watch, journal, append, tmp_path):
    append(UPDATES[0])
    watching = watch()
    watching.said()
    watching.said()
    journal.rename(tmp_path / "taken.db")
    assert watching.process.wait(PATIENCE) == 1
    assert "or replaced while it was open" in watching.process.stderr.read().decode()


def test_damaged_journal_ends_it(restante, journal, append):
    append(*UPDATES)
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries'").fetchone()
    connection.close()
    with journal.open("r+b") as file:
        file.seek((page - 1) * PAGE_SIZE)
        file.write(b"\xff" * PAGE_SIZE)
    ran = restante("ship", "--watch", "-j", journal)
    assert ran.code == 1
    assert "cannot read it" in ran.err
    assert "Traceback" not in ran.err


def test_limit_is_refused(restante, journal, append):
    append(*UPDATES)
    ran = restante("ship", "--watch", "--limit", 1, "-j", journal)
    assert (ran.code, ran.out) == (2, "")
    assert "--watch" in ran.err


def test_bad_address_is_refused(restante, journal):
    ran = restante("ship", "--watch", "-j", journal, "--url", "nowhere")
    assert (ran.code, ran.out) == (2, "")
    assert "'nowhere'" in ran.err
