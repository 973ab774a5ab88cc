"""Folded shipping through faults: what the service holds is what was predicted, but for profiles that say otherwise."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from recorder import JournalReader, Recorder, Shipper, ShippingPolicy, audit
from recorder.journal.journal import Journal
from recorder.shipping.verdicts import Answer
from simulator import Simulator
from simulator.testing import strategies
from tests.doubles import URL, Boot

# Integers only: floats may round.
OPERATIONS = strategies.operations().filter(
    lambda one: one.operator != "$add" or all(type(number) is int for number in one.payload.values())
)
HISTORIES = st.lists(strategies.messages(operations=OPERATIONS, groups=True), min_size=1, max_size=10)
FAULTS = st.lists(st.sampled_from(["ok", "ok", "lost", "unread", "refused", "unreachable"]), max_size=8)


class Service:
    """Takes whole requests, or fails as it is told; it refuses updates of a property named bad."""

    def __init__(self, faults):
        self.faults = list(faults)
        self.taken = []

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002
        fault = self.faults.pop(0) if self.faults else "ok"
        updates = json.loads(body)
        if fault == "unreachable":
            return Answer(left=False, url=URL, error="connection refused")
        if fault == "refused" and len(updates) > 1:
            return Answer(left=True, url=URL, status=400, body=b'{"status": 0, "error": "no"}')
        if fault != "unread":
            self.taken += updates
        if fault in {"lost", "unread"}:
            return Answer(left=True, url=URL, error="the connection was reset")
        return Answer(left=True, url=URL, status=200, body=b'{"status": 1, "error": null}')

    def reach(self, lane):  # noqa: ARG002
        return None

    def close(self):
        pass


def spelled(simulator, but_for):
    held = {**simulator.profiles, **simulator.groups}
    return json.dumps(
        {str(whose): dict(one) for whose, one in held.items() if whose not in but_for}, sort_keys=True
    )


@given(histories=st.lists(HISTORIES, min_size=1, max_size=3), faults=FAULTS, updates=st.integers(1, 5))
def test_folded_shipping_leaves_what_was_predicted(histories, faults, updates):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kiosk.db"
        service, boot = Service(faults), Boot()
        policy = ShippingPolicy(fold=True, batch_updates=updates)
        with Journal(path, token="T", durability="process") as journal, Recorder("T", journal) as recorder:
            shipper = Shipper(journal, service, policy, uptime=boot)
            for history in histories:
                for message in history:
                    (recorder.group_update if "$group_key" in message else recorder.people_update)(message)
                shipper.ship()
                assert audit(path).agrees
                boot.passes(400)
            for _ in range(12):
                shipper.ship()
                boot.passes(400)
            assert audit(path).agrees
            with JournalReader(path) as reader:
                twice = {
                    (one.group_key, one.profile) if one.group_key else one.profile
                    for one in reader.stream()
                    if one.possibly_twice or one.state == "rejected"
                }
                assert reader.counts().unsent == 0
        served = Simulator.from_messages(service.taken)
        predicted = Simulator.from_journal(path, shipped_only=True)
        assert spelled(served, twice) == spelled(predicted, twice)
