"""Counted adds under faults: recorded, shipped, left in doubt, read back, until each entry was applied once.

Requests get no answer before or after they are applied, or after a part of them; copies arrive late; readings are old;
another program writes to the same profiles. The journal, the shipper and the reading of profiles are the real ones.
"""

import json
import random
from collections import deque

import pytest

from recorder import Journal, JournalReader, Lane, Recorder, Shipper, ShippingPolicy, audit
from recorder.journal.readback import settle
from recorder.model.payloads import Endpoint, read_submission
from recorder.shipping.verdicts import Answer, judge
from simulator import Simulator
from tests.parity.world import URL, World

IDS = ["ada", "bob", "cleo"]
POLICY = ShippingPolicy(in_doubt="hold", counted="objects", batch_updates=20)


class Faulty(World):
    """A world that picks its own faults, and shows profiles as they were some time ago."""

    def __init__(self, chance, share=0.3):
        super().__init__()
        self.chance = chance
        self.share = share
        self.moments = deque([{}], maxlen=4)
        self.killed_at = None

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002
        if self.chance.random() >= self.share:
            return self._take(lane, body)
        fault = self.chance.choice(["reset", "ack_lost", "part", "late_copy"])
        return getattr(self, f"_{fault}")(lane, body, self.chance.uniform(0, 29))

    def _take(self, lane, body):  # noqa: ARG002
        self.inbox.take(Endpoint.ENGAGE, read_submission(Endpoint.ENGAGE, b"verbose=1", body))
        return Answer(left=True, url=URL, status=200, body=b'{"status": 1, "error": null}')

    def _part(self, lane, body, _):
        updates = json.loads(body)
        self._take(lane, json.dumps(updates[: self.chance.randint(0, len(updates))]).encode())
        return Answer(left=True, url=URL, error="the connection was reset")

    # --- as profiles to read

    def write(self, body):
        return judge(self.send(Lane.PEOPLE, body)).outcome == "shipped"

    def read(self, ids, properties):
        self.moments.append(self.inbox.profiles())
        shown = self.chance.choice(self.moments) if self.share else self.moments[-1]
        return {
            id_: {name: shown[id_][name] for name in properties if name in shown[id_]}
            for id_ in ids
            if id_ in shown
        }


def record_some(recorder, chance, several):
    for _ in range(several):
        id_, name = chance.choice(IDS), chance.choice(["a", "b"])
        chance.choice(
            [
                lambda: recorder.people_increment(id_, {name: chance.randint(1, 3)}),  # noqa: B023
                lambda: recorder.people_increment(id_, {"a": 1, "b": 2}),  # noqa: B023
                lambda: recorder.people_track_charge(id_, chance.randint(1, 9)),  # noqa: B023
                lambda: recorder.people_append(id_, {"seen": {"page": chance.randint(1, 3)}}),  # noqa: B023
                lambda: recorder.people_set(id_, {name: chance.randint(1, 9)}),  # noqa: B023
                lambda: recorder.people_set_once(id_, {"first": chance.randint(1, 9)}),  # noqa: B023
                lambda: recorder.people_union(id_, {"tags": [chance.randint(1, 9)]}),  # noqa: B023
                lambda: recorder.people_unset(id_, [name]),  # noqa: B023
                lambda: recorder.people_delete(id_) if chance.random() < 0.2 else None,  # noqa: B023
            ]
        )()


def settle_now(journal, world):
    return settle(journal._connection, world, world.wall, world.uptime())


def plain(profile):
    """A profile without what counting adds to it."""
    if isinstance(profile, list):
        return [plain(each) for each in profile]
    if not isinstance(profile, dict):
        return profile
    return {name: plain(value) for name, value in profile.items() if not name.startswith("restante")}


def run(path, seed, *, operations=60, fold=False):
    """Record, ship and settle by turns; then without faults, until nothing is left. Returns both profiles."""
    chance = random.Random(seed)
    world = Faulty(chance)
    with Journal(path, token="T", durability="process") as journal:
        recorder = Recorder("T", journal, clock=world.clock)
        policy = ShippingPolicy(in_doubt="hold", counted="objects", batch_updates=20, fold=fold)
        shipper = Shipper(journal, world, policy, clock=world.clock, uptime=world.uptime)
        recorder.people_append("witness", {"seen": {"page": 0}})  # shows that the reader sees such properties
        recorder.people_track_charge("witness", 1)
        world.share = 0
        shipper.ship()
        world.share, decided = 0.3, 0
        left = operations
        for _ in range(400):
            if left:
                several = min(left, chance.randint(1, 10))
                record_some(recorder, chance, several)
                left -= several
            else:
                world.share = max(0.0, world.share - 0.02)
            shipper.ship()
            world.pass_time(chance.choice([5, 31, 400]))
            decided += settle_now(journal, world).entries
            if chance.random() < 0.2:  # another program
                update = {"$token": "T", "$distinct_id": chance.choice(IDS), "$add": {"others": 1}}
                world._take(None, json.dumps([update]).encode())
                journal.prune(all_shipped=True, now=world.wall)
            if not left and not world.share and not journal.claims.any_unsent():
                break
    with JournalReader(path) as reader:
        counts = reader.counts()
    assert audit(path).agrees, audit(path)
    return counts, decided, Simulator.from_journal(path), world


def compare(path, seed, **options):
    counts, decided, predicted, world = run(path, seed, **options)
    assert (counts.unsent, counts.in_doubt, counts.possibly_twice) == (0, 0, 0), counts
    for id_, profile in world.inbox.profiles().items():
        if id_ in predicted.profiles:
            ours, theirs = dict(predicted.profiles[id_]), plain(profile)
            theirs.pop("others", None)
            assert theirs == ours, (seed, id_)
        else:
            assert not set(plain(profile)) - {"others"}, (seed, id_)
    return decided


@pytest.mark.parametrize("seed", range(3))
def test_counted_runs_are_applied_once(tmp_path, seed):
    assert compare(tmp_path / "kiosk.db", seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 200))
def test_many_counted_runs_are_applied_once(tmp_path, seed):
    compare(tmp_path / "kiosk.db", seed, fold=seed % 2 == 0)
