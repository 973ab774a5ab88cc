"""Which requests carried an entry, and which entries a request carried: what is passed over was not carried."""

import sqlite3
from contextlib import closing

import pytest

from recorder import JournalReader, Shipper, ShippingPolicy
from tests.doubles import ACCEPTED, REFUSED, RESET, UNREACHABLE, Scripted

TWO = ShippingPolicy(batch_updates=2, settle_after=60)


@pytest.fixture
def reader(path, recorder):
    for name in ("ada", "ada", "bob", "eve"):
        recorder.people_increment(name, {"visits": 1})
    with JournalReader(path) as opened:
        yield opened


def carriers(reader, seq):
    return [attempt.outcome.value for attempt in reader.attempts(seq)]


def test_waiting_entry_was_not_carried(journal, reader, path):
    one = ShippingPolicy(batch_updates=1, settle_after=60)
    Shipper(journal, Scripted(RESET), one).ship()  # 1 is in doubt, 2 waits behind it
    Shipper(journal, Scripted(UNREACHABLE), TWO).ship()
    with closing(sqlite3.connect(path)) as connection, connection:  # as of a larger request, which passes 2
        connection.execute("UPDATE attempts SET first = 2, last = 4, entries = 2 WHERE outcome = 'offline'")
    assert carriers(reader, 1) == ["unknown"]
    assert carriers(reader, 2) == []


def test_refused_batch_carried_its_whole_range(journal, reader):
    Shipper(journal, Scripted(REFUSED, ACCEPTED, REFUSED), TWO).ship()
    assert carriers(reader, 1) == ["refused", "shipped"]
    assert carriers(reader, 2) == ["refused", "refused"]
    assert carriers(reader, 4) == ["shipped"]


def test_a_request_knows_its_entries(journal, reader):
    Shipper(journal, Scripted(REFUSED, ACCEPTED, REFUSED), TWO).ship()
    assert [reader.carried_by(attempt.id) for attempt in reader.attempts()[::-1]] == [
        [1, 2],
        [1],
        [2],
        [3, 4],
    ]
    assert reader.carried_by(99) is None
