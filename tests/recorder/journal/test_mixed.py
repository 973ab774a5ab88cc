"""A bad entry among good ones, against the local service in both of its ways; and the gap that is left."""

import json

import pytest

from recorder import HttpTransport, JournalReader, Shipper, ShippingPolicy
from recorder.model.entries import NewEntry
from simulator.service.server import Service


@pytest.fixture
def filled(journal):
    """1,999 updates that any service takes, and one that none does; validation would have refused it."""
    rows = [
        NewEntry("people", None, "ada", "$add", json.dumps({"$distinct_id": "ada", "$add": {"n": 1}}), 1.0)
    ] * 2_000
    bad = json.dumps({"$distinct_id": "ada", "$add": {"n": "one"}})
    rows[1_234] = NewEntry("people", None, "ada", "$add", bad, 1.0)
    journal.append(rows)
    return journal


def test_one_bad_entry_among_two_thousand_is_rejected_with_the_services_words(filled, path):
    with Service(mixed="reject-all") as service:
        report = Shipper(filled, HttpTransport(url=service.url), ShippingPolicy(batch_updates=2_000)).ship()
        assert service.profiles() == {"ada": {"n": 1_999}}
        (words,) = {
            one.reason for one in service.messages("rejected") if not one.reason.startswith("not applied")
        }
    assert (report.shipped, report.rejected, report.stopped_by) == (1_999, 1, "done")
    assert report.requests <= 24
    with JournalReader(path) as reader:
        (entry,) = reader.entries("state=rejected")
    assert (entry.seq, entry.reason) == (1_235, words)


def test_what_a_service_drops_in_silence_counts_as_shipped(filled, path):
    """The gap that docs/guarantees.md names: only the service's own list of rejected messages shows it."""
    with Service(mixed="apply-valid") as service:
        report = Shipper(filled, HttpTransport(url=service.url), ShippingPolicy(batch_updates=2_000)).ship()
        dropped = service.messages("rejected")
        assert service.profiles() == {"ada": {"n": 1_999}}
    assert (report.shipped, report.rejected, report.requests) == (2_000, 0, 1)
    with JournalReader(path) as reader:
        shipped = {json.dumps(entry.message["$add"]): entry.seq for entry in reader.entries(limit=3_000)}
    assert [shipped[json.dumps(one.message["$add"])] for one in dropped] == [1_235]
