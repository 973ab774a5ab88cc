"""An entry that damage made unreadable is set aside by itself; everything else is still sent."""

import contextlib
import sqlite3

import pytest

from recorder import Journal, JournalDamaged, Recorder, Shipper, ShippingPolicy, State, audit, diagnose
from recorder.maintenance.findings import Severity
from tests.doubles import ACCEPTED, REFUSED, RESET, Boot, Scripted, claim, take_over
from tests.profiles import sampled
from tests.recorder.damage import TEXT, put

BROKEN = ('\'{"$distinct_id":"p1",\'', "'{},{}'", "'[1]'", "NULL", "x'01'", "17", TEXT)
HURT = 6  # the number of the entry that is damaged


@pytest.fixture
def filled(path):
    with Recorder("T", path) as recorder:
        for n in range(12):
            recorder.people_append(f"p{n % 4}", {"n": n})
    return path


def ship(path, *answers, fold=False, in_doubt="resend", rounds=3):
    with Journal(path) as journal:
        shipper = Shipper(
            journal, Scripted(*answers), ShippingPolicy(settle_after=0, fold=fold, in_doubt=in_doubt)
        )
        for _ in range(rounds):
            report = shipper.ship()
        return report, journal.statistics(1.0)


def state(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT state, reason FROM entries WHERE seq = ?", (HURT,)).fetchone()


@pytest.mark.parametrize("value", sampled(BROKEN, 3))
@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("answers", [(), (RESET,)])
def test_unreadable_message_is_set_aside(filled, value, fold, answers):
    put(filled, "entries", HURT, "message", value)
    report, counts = ship(filled, *answers, fold=fold)
    assert (report.stopped_by, counts.shipped, counts.rejected, counts.unsent) == ("done", 11, 1, 0)
    assert counts.adds_up
    assert state(filled)[0] == State.REJECTED
    assert "salvage" in state(filled)[1]


@pytest.mark.parametrize("column", ["profile", "operator", "group_key"])
def test_unreadable_name_is_set_aside(filled, column):
    put(filled, "entries", HURT, column, TEXT)
    _, counts = ship(filled, RESET)
    assert (counts.shipped, counts.rejected, counts.unsent) == (11, 1, 0)


@pytest.mark.parametrize("column", ["profile", "operator", "group_key"])
@pytest.mark.parametrize("answer", [RESET, REFUSED], ids=["reset", "refused"])
def test_unreadable_name_alone_is_set_aside(filled, column, answer):
    """The names of a fresh entry are read once its request failed; it was the only one in it."""
    put(filled, "entries", HURT, column, TEXT)
    with Journal(filled) as journal:
        one = ShippingPolicy(batch_updates=1, settle_after=0)
        report = Shipper(journal, Scripted(*[ACCEPTED] * (HURT - 1), answer), one).ship()
        Shipper(journal, Scripted(), one).ship()
        counts = journal.statistics(1.0)
    assert (report.requests, report.rejected) == ((6, 0) if answer is RESET else (12, 1))
    assert (counts.shipped, counts.rejected, counts.unsent) == (11, 1, 0)


@pytest.mark.parametrize("value", sampled(BROKEN, 3))
@pytest.mark.parametrize("damaged_first", [True, False])
def test_damage_behind_a_wait_passes(filled, damaged_first, value):
    """The profile of the entry waits, or its own doubt is what cannot be read any more."""
    with Journal(filled) as journal:
        claimed = claim(journal, take_over(journal), HURT if damaged_first else 2)
        assert claimed.numbers[-1] == (HURT if damaged_first else 2)
    put(filled, "entries", HURT, "message", value)
    _, counts = ship(filled)
    assert (counts.shipped, counts.rejected, counts.unsent) == (11, 1, 0)


def test_damage_in_a_held_profile_waits(filled):
    """What a person is to decide about stays as it is."""
    ship(filled, RESET, in_doubt="hold", rounds=2)
    put(filled, "entries", HURT, "message", BROKEN[0])
    _, counts = ship(filled, in_doubt="hold")
    assert (counts.in_doubt, counts.rejected) == (12, 0)


@pytest.mark.parametrize("value", sampled(BROKEN, 3))
@pytest.mark.parametrize("in_doubt", ["resend", "drop"])
def test_damage_of_a_suspect_passes(filled, value, in_doubt):
    """It was in two requests that were not answered, and is read once more when its wait is over."""
    policy, boot = ShippingPolicy(settle_after=0, in_doubt=in_doubt, batch_updates=5), Boot()
    with Journal(filled) as journal:
        shipper = Shipper(journal, Scripted(RESET, RESET), policy, uptime=boot)
        for _ in range(2):
            boot.passes(400)
            shipper.ship()
    put(filled, "entries", HURT, "message", value)
    with Journal(filled) as journal:
        shipper = Shipper(journal, Scripted(), policy, uptime=boot)
        for _ in range(12):
            boot.passes(400)
            shipper.ship()
        counts = journal.statistics(1.0)
    assert counts.unsent == 0
    assert counts.shipped + counts.discarded + counts.rejected == 12
    assert counts.shipped >= 6


@pytest.mark.parametrize("value", sampled(BROKEN, 3))
def test_damage_is_named(filled, value):
    put(filled, "entries", HURT, "message", value)
    assert [str(each) for each in audit(filled).disagreements] == [
        f"rows of entries that cannot be read: counted 1, noted 0 (first: entry {HURT})"
    ]
    wrong = [finding for finding in diagnose(filled) if finding.severity is Severity.ATTENTION]
    assert any(finding.advice == JournalDamaged.hint for finding in wrong)


@pytest.mark.parametrize(
    "column", ["outcome", "failures", "backoff_at", "backoff_span", "asked_at", "asked_span"]
)
def test_damaged_lane_stops_with_a_hint(filled, column):
    """A lane's own row has no substitute: nothing is sent, and the error says what to do."""
    put(filled, "lanes", 1, column, "'posted'")
    with Journal(filled) as journal, pytest.raises(JournalDamaged, match="posted") as raised:
        Shipper(journal, Scripted()).ship()
    assert "restante salvage" in raised.value.hint
