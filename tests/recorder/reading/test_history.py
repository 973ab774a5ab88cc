"""The entries behind a journal's history: shipped in shipped order, then the rest, each once."""

import json
import sqlite3

import pytest

from recorder import JournalReader, Shipper, ShippingPolicy, State
from recorder.journal.settle import Settlement
from recorder.model.entries import AttemptOutcome
from recorder.reading.rows import as_message
from tests.doubles import ACCEPTED, REFUSED, RESET, Boot, Scripted, claim, take_over

PATIENT = ShippingPolicy()


@pytest.fixture
def reader(journal, path):  # noqa: ARG001  # the journal must be there
    with JournalReader(path) as opened:
        yield opened


def ship(journal, *answers, boot=None, **policy):
    transport = Scripted(*answers)
    Shipper(journal, transport, ShippingPolicy(**policy), uptime=boot or Boot()).ship()
    return transport


def both(reader, between=lambda: None):
    shipped = list(reader.shipped_entries())
    between()
    return shipped + list(reader.unshipped_entries({entry.attempt for entry in shipped}))


def test_entries_follow_the_history(recorder, journal, reader):
    boot = Boot()
    recorder.people_increment("ada", {"n": 1})  # 1: in doubt, and sent again after the others
    ship(journal, RESET, boot=boot)
    recorder.people_set("bob", {"n": 1})  # 2
    recorder.group_set("company", "acme", {"n": 1})  # 3
    recorder.people_increment("ada", {"n": 2})  # 4: waits behind 1, and goes with it
    ship(journal, boot=boot)
    boot.passes(30)
    ship(journal, boot=boot)
    recorder.people_set("eve", {"n": 1})  # 5: rejected
    ship(journal, REFUSED, boot=boot)
    recorder.people_set("dan", {"n": 1})  # 6: discarded
    journal.discard("seq=6")
    recorder.people_increment("ada", {"n": 3})  # 7: in doubt
    ship(journal, RESET, boot=boot)
    recorder.people_increment("ada", {"n": 4})  # 8: waits behind it
    recorder.people_set("bob", {"n": 2})  # 9
    recorder.group_set("company", "acme", {"n": 2})  # 10
    ship(journal, ACCEPTED, RESET, boot=boot)
    recorder.people_set("bob", {"n": 3})  # 11
    entries = both(reader)
    assert [(entry.seq, entry.state) for entry in entries] == [
        (2, State.SHIPPED),
        (3, State.SHIPPED),
        (1, State.SHIPPED),
        (4, State.SHIPPED),
        (9, State.SHIPPED),
        (7, State.IN_DOUBT),
        (8, State.WAITING),
        (10, State.IN_DOUBT),
        (11, State.PENDING),
    ]
    assert [entry.message for entry in entries] == list(reader.history())
    assert [entry.possibly_twice for entry in entries] == [entry.seq == 1 for entry in entries]
    assert entries[0] == reader.entry(2)


def test_unshipped_entries_are_read_in_pages(recorder, reader):
    with recorder.batch() as batch:
        for number in range(450):
            batch.people_set("ada", {"n": number})
    entries = reader.unshipped_entries()
    assert next(entries).seq == 1
    recorder.people_set("ada", {"n": "recorded meanwhile"})
    assert [entry.seq for entry in entries] == list(range(2, 452))


def test_events_are_not_in_the_history(recorder, journal, reader):
    from recorder import JournalConsumer

    consumer = JournalConsumer(journal)
    consumer.send("events", json.dumps({"event": "opened", "properties": {"token": "T"}}))
    recorder.people_set("ada", {"n": 1})
    assert [entry.seq for entry in both(reader)] == [2]
    ship(journal)
    assert [entry.seq for entry in both(reader)] == [2]


def test_sending_entries_are_unshipped(recorder, journal, reader):
    recorder.people_set("ada", {"n": 1})
    claim(journal, take_over(journal))
    assert [(entry.seq, entry.state) for entry in both(reader)] == [(1, State.SENDING)]


def test_entry_shipped_meanwhile_comes_once(recorder, journal, reader):
    def record(number):
        recorder.people_set("ada", {"n": number})

    record(1)
    ship(journal)
    record(2)

    def go_on():
        record(3)
        ship(journal)
        record(4)

    entries = both(reader, go_on)
    assert [entry.seq for entry in entries] == [1, 2, 3, 4]
    assert [entry.state for entry in entries] == [*[State.SHIPPED] * 3, State.PENDING]


def test_entry_settled_late_comes_once(recorder, journal, reader):
    recorder.people_set("ada", {"n": 1})
    late = claim(journal, take_over(journal))
    epoch = take_over(journal, policy=PATIENT)  # the claim of the one before is settled as unknown
    recorder.people_set("bob", {"n": 1})
    journal.claims.settle(
        claim(journal, epoch, policy=PATIENT), Settlement(outcome=AttemptOutcome.SHIPPED, now=3.0)
    )
    assert [entry.seq for entry in reader.shipped_entries()] == [2]
    entries = both(
        reader, lambda: journal.claims.settle(late, Settlement(outcome=AttemptOutcome.SHIPPED, now=4.0))
    )
    assert [(entry.seq, entry.state) for entry in entries] == [(2, State.SHIPPED), (1, State.SHIPPED)]


def test_history_has_late_entry_once(recorder, journal, reader):
    recorder.people_set("ada", {"n": 1})
    late = claim(journal, take_over(journal))
    epoch = take_over(journal, policy=PATIENT)
    recorder.people_set("bob", {"n": 2})
    journal.claims.settle(
        claim(journal, epoch, policy=PATIENT), Settlement(outcome=AttemptOutcome.SHIPPED, now=3.0)
    )
    history = reader.history()
    assert next(history)["$set"] == {"n": 2}
    journal.claims.settle(late, Settlement(outcome=AttemptOutcome.SHIPPED, now=4.0))
    assert [message["$set"] for message in history] == [{"n": 1}]


def test_shipped_entries_without_known_attempts(recorder, journal, reader):
    recorder.people_set("ada", {"n": 1})
    ship(journal)
    assert [entry.seq for entry in reader.unshipped_entries()] == [1]
    assert list(reader.unshipped_entries({1})) == []


_PICKED_ABOVE = """
UPDATE attempts SET picked = '[1, 4]', last = 4 WHERE id = 1;
UPDATE attempts SET first = 2 WHERE id = 2;
UPDATE entries SET attempt = 1, state = 'shipped' WHERE seq IN (1, 4);
UPDATE entries SET attempt = NULL, state = 'pending' WHERE seq = 2;
"""


@pytest.mark.parametrize(
    ("damage", "order"),
    [
        ("UPDATE lanes SET cursor = 2 WHERE lane = 'people'", [1, 2, 4, 6, 3, 5, 7]),
        ("UPDATE attempts SET first = 1 WHERE last = 6", [1, 2, 3, 4, 5, 6, 7]),
        ("UPDATE attempts SET last = 5 WHERE last = 4", [1, 2, 3, 4, 5, 6, 7]),
        (_PICKED_ABOVE, [1, 4, 2, 3, 5, 6, 7]),
    ],
    ids=["cursor", "first", "last", "picked"],
)
def test_damaged_history_has_each_entry_once(recorder, path, reader, damage, order):
    """Whatever a cursor or a range says that was torn: audit names it, and nothing is shown twice, or not at all."""
    for n in range(1, 7):
        recorder.people_set(f"p{n}", {"n": n})
        if n % 2 == 0:
            ship(recorder.journal)
    recorder.people_set("ada", {"n": 7})  # 7: pending
    with sqlite3.connect(path) as connection:
        connection.executescript(damage)
    connection.close()
    assert [message["$set"]["n"] for message in reader.history()] == order
    assert sorted(entry.seq for entry in both(reader)) == [1, 2, 3, 4, 5, 6, 7]


def test_attempts_of_an_entry_carried_it(recorder, journal, reader):
    boot = Boot()
    recorder.people_increment("ada", {"n": 1})  # 1: in doubt, then picked to be sent again
    ship(journal, RESET, boot=boot)
    recorder.people_set("bob", {"n": 1})  # 2
    ship(journal, boot=boot)
    boot.passes(30)
    ship(journal, boot=boot)
    assert [attempt.outcome for attempt in reader.attempts(1)] == [
        AttemptOutcome.UNKNOWN,
        AttemptOutcome.SHIPPED,
    ]
    assert [attempt.outcome for attempt in reader.attempts(2)] == [AttemptOutcome.SHIPPED]
    assert reader.attempts(3) == []
    assert len(reader.attempts()) == 3


@pytest.mark.parametrize(
    "text",
    [
        '{"a":[1,1.0,-0.0,1e2,123456789012345678901234567890,"é\\ud800",null,true]}',
        ' {"a":1}\n',
        '{"a":1} ',
        b'{"a":1}',
        '{"a":NaN}',
        '{"a":1,"a":2}',
    ],
)
def test_message_is_parsed_as_json(text):
    assert repr(as_message(text)) == repr(json.loads(text))


@pytest.mark.parametrize(
    "text", ["", " ", '{"a":1', '{"a":1}}', '{"a":1} {}', '\ufeff{"a":1}', "[" * 100_000, None]
)
def test_what_json_refuses_is_refused(text):
    with pytest.raises((ValueError, TypeError, RecursionError)) as refused:
        json.loads(text)
    with pytest.raises(refused.type) as ours:
        as_message(text)
    assert str(ours.value) == str(refused.value)
