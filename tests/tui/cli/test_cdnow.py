"""A real workload through every command: purchases of 2,357 customers of a record shop over 18 months."""

import gzip
from pathlib import Path

import pytest
import requests

from recorder import JournalReader

SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "cdnow_sample.ops.jsonl.gz"
ENTRIES = 34_595

pytestmark = pytest.mark.skipif(
    not SAMPLE.is_file(), reason=f"the purchases ({SAMPLE.name}) are no part of the project"
)


@pytest.fixture
def lines():
    with gzip.open(SAMPLE) as sample:
        return sample.read()


def totals(profiles):
    """Count profiles, orders, cds, cents, and months with a purchase."""
    held = profiles.values()
    return (
        len(profiles),
        sum(profile["orders"] for profile in held),
        sum(profile["cds"] for profile in held),
        sum(round(100 * charge["$amount"]) for profile in held for charge in profile["$transactions"]),
        sum(len(profile["months"]) for profile in held),
    )


def test_real_purchases_survive_an_outage(restante, journal, lines, closed_port, service):
    recorded = restante("record", "--token", "demo", "-j", journal, stdin=lines)
    assert (recorded.code, recorded.err) == (0, "Recorded 34,595 entries from 34,595 lines.\n")

    offline = restante("ship", "-j", journal, "--url", closed_port)
    assert offline.code == 1
    assert "Offline: connection refused" in offline.err
    assert "34,595 pending" in offline.err
    with JournalReader(journal) as reader:
        kept = reader.counts()
    assert (kept.recorded, kept.pending) == (ENTRIES, ENTRIES)
    predicted = restante("profiles", "-j", journal, "--json").json

    shipped = restante("ship", "-j", journal, "--url", service.url, "--json")
    assert shipped.code == 0
    assert (shipped.json["shipped"], shipped.json["pending"], shipped.json["rejected"]) == (ENTRIES, 0, 0)
    with JournalReader(journal) as reader:
        done = reader.counts()
    assert (done.shipped, done.recorded, done.possibly_twice, done.adds_up) == (ENTRIES, ENTRIES, 0, True)
    assert restante("status", "-j", journal).out.startswith("All shipped.\n")

    held = requests.get(f"{service.url}/simulator/profiles", timeout=60).json()
    assert totals(held) == (2_357, 6_919, 16_479, 24_409_194, 5_460)
    assert held == predicted
    assert restante("profiles", "-j", journal, "--json").json == held
    assert restante("profiles", "-j", journal, "--json", "--shipped-only").json == held
    assert restante("profiles", "--from", "-", "--json", stdin=lines).json == held
    assert len(service.messages("accepted")) == ENTRIES
