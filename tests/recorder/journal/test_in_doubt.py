"""Entries in doubt: waits, the three policies, and the counts of possible duplicates."""

import json

import pytest

from recorder import JournalReader, Shipper, ShippingPolicy, State
from recorder.journal.uptime import Uptime
from tests.doubles import ACCEPTED, RESET, UNREACHABLE, Boot, Scripted


def names(transport):
    """Return profile and operator of each update, by request."""
    return [
        [
            (update["$distinct_id"], next(key for key in update if key in _SHORT))
            for update in json.loads(body)
        ]
        for _, body in transport.sent
    ]


_SHORT = {"$set", "$add", "$append", "$union", "$set_once", "$unset", "$remove", "$delete"}


def states(path):
    with JournalReader(path) as reader:
        assert reader.counts().adds_up
        return [entry.state.value for entry in reversed(reader.entries())]


def marked(path):
    with JournalReader(path) as reader:
        return [entry.seq for entry in reversed(reader.entries()) if entry.possibly_twice]


@pytest.fixture
def boot():
    return Boot()


def shipper(journal, boot, *answers, **policy):
    transport = Scripted(*answers)
    made = Shipper(journal, transport, ShippingPolicy(**policy), uptime=boot, chance=lambda: 0.5)
    made.transport = transport
    return made


def test_only_unanswered_profiles_wait(recorder, journal, path, boot):
    """Profiles of an unanswered request wait, and others are shipped."""
    recorder.people_set("ada", {"n": 1})
    ship = shipper(journal, boot, RESET)
    assert ship.ship().stopped_by == "waiting"
    recorder.people_set("ada", {"n": 2})
    recorder.people_set("bob", {"n": 1})
    report = ship.ship()
    assert (report.stopped_by, report.shipped) == ("waiting", 1)
    assert "may still arrive" in report.message
    assert states(path) == ["in_doubt", "waiting", "shipped"]
    boot.passes(29.9)
    assert ship.ship().requests == 0
    boot.passes(0.2)
    assert ship.ship().stopped_by == "done"
    assert names(ship.transport) == [
        [("ada", "$set")],
        [("bob", "$set")],
        [("ada", "$set")],
        [("ada", "$set")],
    ]
    assert states(path) == ["shipped"] * 3
    assert marked(path) == []  # setting it again changes nothing


def test_reboot_restarts_the_wait(recorder, journal, boot):
    """The wait spans processes, and a reboot begins it anew."""
    recorder.people_set("ada", {"n": 1})
    shipper(journal, boot, RESET).ship()
    boot.passes(20)
    boot.again("another boot", 5)
    assert shipper(journal, boot).ship().requests == 0
    boot.passes(24)
    assert shipper(journal, boot).ship().requests == 0
    boot.passes(2)
    assert shipper(journal, boot).ship().shipped == 1


def test_hazardous_resends_are_counted(recorder, journal, path, boot):
    """A resend is counted where it may apply twice, and nowhere else."""
    recorder.people_set("ada", {"plan": "pro"})
    recorder.people_increment("ada", {"visits": 1})
    recorder.people_set("bob", {"visits": 0})
    recorder.people_increment("bob", {"visits": 1})
    ship = shipper(journal, boot, RESET)
    ship.ship()
    boot.passes(31)
    assert ship.ship().stopped_by == "done"
    # bob's counter is set first, so the whole of his run ends the same; ada's may be one too high.
    assert marked(path) == [2]
    with JournalReader(path) as reader:
        assert [entry.sends for entry in reader.entries()] == [2, 2, 2, 2]
        assert reader.counts().possibly_twice == 1


def test_unknown_outcomes_shrink_requests(recorder, journal, boot):
    """After an unknown outcome one update asks whether the service answers; then requests grow back."""
    for n in range(8):
        recorder.people_set("ada", {"n": n})
    ship = shipper(journal, boot, RESET, RESET, RESET, RESET, batch_updates=8)
    for _ in range(6):
        ship.ship()
        boot.passes(400)
    assert [len(request) for request in names(ship.transport)] == [8, 1, 1, 1, 1, 4, 3]


def test_hold_keeps_the_run_in_doubt(recorder, journal, path, boot):
    """A held run stays in doubt for every later shipper, and other profiles are shipped."""
    recorder.people_increment("ada", {"visits": 1})
    recorder.people_set("bob", {"visits": 1})
    ship = shipper(journal, boot, RESET, in_doubt="hold")
    ship.ship()
    recorder.people_set("ada", {"plan": "pro"})
    recorder.people_set("cleo", {"plan": "pro"})
    boot.passes(31)
    report = ship.ship()
    assert (report.stopped_by, report.pending) == ("done", 1)  # nothing can be sent before a person decides
    assert states(path) == ["in_doubt", "shipped", "waiting", "shipped"]
    boot.passes(10_000)
    assert shipper(journal, boot).ship().requests == 0  # under any policy of a later shipper
    with JournalReader(path) as reader:
        assert reader.shipping().held == 1


@pytest.mark.parametrize("decision", ["retry", "discard"])
def test_person_decides_about_held_profile(recorder, journal, path, boot, decision):
    recorder.people_increment("ada", {"visits": 1})
    ship = shipper(journal, boot, RESET, in_doubt="hold")
    ship.ship()
    recorder.people_set("ada", {"plan": "pro"})
    boot.passes(31)
    ship.ship()
    getattr(journal, decision)("state=in_doubt")
    assert ship.ship().stopped_by == "done"
    assert states(path) == ["shipped" if decision == "retry" else "discarded", "shipped"]
    with JournalReader(path) as reader:
        entry = reader.entry(1)
        assert (entry.sends, entry.possibly_twice) == ((2, True) if decision == "retry" else (1, False))
        assert not entry.out_of_order
        assert reader.shipping().held == 0


def test_decision_keeps_the_wait(recorder, journal, path, boot):
    """A decision does not cut the wait of its profile short."""
    recorder.people_increment("ada", {"visits": 1})
    ship = shipper(journal, boot, RESET)
    ship.ship()
    journal.retry("state=in_doubt")
    assert states(path) == ["waiting"]
    assert ship.ship().requests == 0
    boot.passes(31)
    assert ship.ship().shipped == 1


def test_drop_resends_nothing_hazardous(recorder, journal, path, boot):
    recorder.people_increment("ada", {"visits": 1})
    recorder.people_set("ada", {"visits": 0, "plan": "pro"})
    recorder.people_set("ada", {"kiosk": "harbour"})
    recorder.people_set("bob", {"plan": "pro"})
    ship = shipper(journal, boot, RESET, in_doubt="drop")
    ship.ship()
    boot.passes(31)
    assert ship.ship().stopped_by == "done"
    assert states(path) == ["discarded", "discarded", "shipped", "shipped"]
    assert names(ship.transport)[1:] == [[("bob", "$set")], [("ada", "$set")]]
    with JournalReader(path) as reader:
        assert "in_doubt='drop'" in reader.entry(1).reason
        assert reader.counts().possibly_twice == 0


def test_run_without_discarded_entry_is_hazardous(recorder, journal, path, boot):
    """The rest of a run is hazardous once one of its entries is discarded."""
    recorder.people_set("ada", {"visits": 0})
    recorder.people_increment("ada", {"visits": 1})
    ship = shipper(journal, boot, RESET)
    ship.ship()
    with JournalReader(path) as reader:
        assert [entry.hazardous for entry in reader.entries()] == [False, False]
        journal.discard("seq=1")
        assert [entry.hazardous for entry in reader.entries()] == [True, False]
    boot.passes(31)
    assert ship.ship().stopped_by == "done"
    assert marked(path) == [2]


def test_partial_resend_is_judged_alone(recorder, journal, path, boot):
    """The set that made the increment harmless has arrived: the increment alone is hazardous."""
    recorder.people_set("ada", {"visits": 0})
    recorder.people_increment("ada", {"visits": 1})
    ship = shipper(journal, boot, RESET, ACCEPTED, RESET, batch_updates=2)
    ship.ship()
    boot.passes(31)
    ship.ship()
    assert states(path) == ["shipped", "in_doubt"]
    assert marked(path) == []
    boot.passes(31)
    ship.ship()
    assert marked(path) == [2]


def test_unsent_resend_changes_nothing(recorder, journal, path, boot):
    """An entry in doubt stays unchanged if its next request did not leave."""
    recorder.people_increment("ada", {"visits": 1})
    ship = shipper(journal, boot, RESET, UNREACHABLE)
    ship.ship()
    boot.passes(31)
    assert ship.ship().stopped_by == "offline"
    assert states(path) == ["in_doubt"]
    with JournalReader(path) as reader:
        assert (reader.entry(1).sends, reader.entry(1).possibly_twice) == (1, False)


def test_long_backlog_ships_in_ranges(recorder, journal, path, boot):
    """A long backlog of a waiting profile goes in ranges after the wait, not number by number."""
    with recorder.batch() as batch:
        for n in range(31_000):
            batch.people_set("ada", {"n": n})
    ship = shipper(journal, boot, ACCEPTED, ACCEPTED, RESET)  # after 200 and some 800, one of 2,000
    ship.ship()
    boot.passes(5)
    ship.ship()
    with JournalReader(path) as reader:
        counts = reader.counts()
    assert counts.waiting <= 12_000
    assert counts.in_doubt == 2_000
    boot.passes(30)
    assert ship.ship().stopped_by == "done"
    order = [update["$set"]["n"] for _, body in ship.transport.sent[3:] for update in json.loads(body)]
    assert order == list(range(counts.shipped, 31_000))


def test_events_without_insert_id_are_hazardous(journal, path, boot):
    from recorder import JournalConsumer

    consumer = JournalConsumer(journal)
    for properties in ({"token": "T", "$insert_id": "x"}, {"token": "T", "$insert_id": ""}):
        consumer.send(
            "events", json.dumps({"event": "opened", "properties": {"distinct_id": "ada", **properties}})
        )
    ship = shipper(journal, boot, RESET)
    ship.ship()
    boot.passes(31)
    ship.ship()
    assert marked(path) == [2]


def test_zero_wait_ends_at_once(recorder, journal, path):
    recorder.people_set("ada", {"n": 1})
    ship = shipper(journal, lambda: Uptime("", 5.0), RESET, settle_after=0)
    ship.ship()
    assert ship.ship().stopped_by == "done"
    assert State.IN_DOUBT.value not in states(path)
