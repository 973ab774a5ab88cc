"""Bad entry among good ones, with both answers of the local service, and the documented gap."""

import json

import pytest

from recorder import HttpTransport, JournalReader, Shipper, ShippingPolicy
from recorder.model.entries import NewEntry
from simulator.service.server import Service


@pytest.fixture
def filled(journal):
    """Journal of 1,999 updates that any service takes, and one that validation would have refused."""
    rows = [
        NewEntry("people", None, "ada", "$add", json.dumps({"$distinct_id": "ada", "$add": {"n": 1}}), 1.0)
    ] * 2_000
    bad = json.dumps({"$distinct_id": "ada", "$add": {"n": "one"}})
    rows[1_234] = NewEntry("people", None, "ada", "$add", bad, 1.0)
    journal.append(rows)
    return journal


def test_bad_entry_is_rejected_alone(filled, path):
    """One bad entry among two thousand is rejected with the service's words, in few requests."""
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


def test_silently_dropped_update_counts_as_shipped(filled, path):
    """Only the service's own list of rejected messages shows this gap of docs/evidence.md."""
    with Service(mixed="apply-valid") as service:
        report = Shipper(filled, HttpTransport(url=service.url)).ship()
        dropped = service.messages("rejected")
        assert service.profiles() == {"ada": {"n": 1_999}}
    assert (report.shipped, report.rejected, report.requests) == (2_000, 0, 3)
    with JournalReader(path) as reader:
        shipped = {json.dumps(entry.message["$add"]): entry.seq for entry in reader.entries(limit=3_000)}
    assert [shipped[json.dumps(one.message["$add"])] for one in dropped] == [1_235]
