"""Rest of a run in doubt: it is hazardous, and the policy decides about it."""

import json

import pytest

from recorder import Journal, JournalReader, Shipper, ShippingPolicy, audit
from recorder.journal.decisions import Verb
from recorder.journal.uptime import Uptime
from recorder.model.entries import NewEntry
from tests.doubles import ACCEPTED, REFUSED, RESET, Scripted

AFTER = {"resend": "shipped", "hold": "in_doubt", "drop": "discarded"}


def row(**properties):
    message = json.dumps({"$distinct_id": "ada", "$set": properties})
    return NewEntry("people", None, "ada", "$set", message, 1.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kiosk.db"


@pytest.fixture
def journal(path):
    with Journal(path, token="T", durability="process") as opened:
        yield opened


@pytest.fixture
def shipper(journal):
    """Shipper of entries harmless to resend, and in doubt after its first request."""
    journal.append([row(plan="pro"), row(city="Oslo"), row(city="Bergen")])

    def make(policy, *answers):
        return Shipper(
            journal,
            Scripted(RESET, *answers),
            ShippingPolicy(in_doubt=policy, settle_after=0),
            uptime=lambda: Uptime("monday", 1_000.0),
            chance=lambda: 0.0,
        )

    return make


def states(path):
    with JournalReader(path) as reader:
        return [entry.state.value for entry in reader.entries()[::-1]]


@pytest.mark.parametrize("policy", AFTER)
def test_partly_rejected_run_follows_policy(path, journal, shipper, policy):
    sends = shipper(policy, REFUSED)
    while sends.ship().stopped_by != "done":
        pass
    assert states(path) == ["rejected", AFTER[policy], AFTER[policy]]
    assert journal.statistics(0.0).possibly_twice == (2 if policy == "resend" else 0)
    assert audit(path).agrees


@pytest.mark.parametrize("policy", AFTER)
def test_partly_discarded_run_follows_policy(path, journal, shipper, policy):
    sends = shipper(policy, ACCEPTED)
    sends.ship()
    sends.ship(limit=1)
    assert states(path) == ["shipped", "in_doubt", "in_doubt"]
    journal.discard("seq=2")
    sends.ship()
    assert states(path) == ["shipped", "discarded", AFTER[policy]]
    assert journal.statistics(0.0).possibly_twice == (1 if policy == "resend" else 0)
    assert audit(path).agrees


def test_harmless_retry_is_not_twice(path, journal, shipper):
    """Of a run of which a part is retried, what shares a property with the rest may be."""
    sends = shipper("hold", ACCEPTED)
    sends.ship()
    with JournalReader(path) as reader:
        whole, part = reader.weigh(Verb.RETRY, "seq=1..3"), reader.weigh(Verb.RETRY, "seq=1..2")
    assert (whole.harmless, whole.possibly_twice) == ((1, 2, 3), 0)
    assert (part.harmless, part.possibly_twice) == ((1,), 1)
    assert journal.retry("seq=1..2").harmless == (1,)
    sends.ship()
    assert journal.statistics(0.0).possibly_twice == 1
    assert audit(path).agrees


def test_overtaken_retry_is_not_harmless(path, journal, shipper):
    """Between the two times that it may be applied, others of its profile were."""
    sends = shipper("hold", ACCEPTED)
    sends.ship()
    with JournalReader(path) as reader:
        undo = reader.before_discard([1, 2, 3])
        journal.discard("seq=1..3")
        journal.append([row(plan="free")])
        sends.ship()
        journal.take_back(undo)
        weighed = reader.weigh(Verb.RETRY, "seq=1..3")
    assert (weighed.harmless, weighed.out_of_order, weighed.possibly_twice) == ((), 3, 3)
