"""Devices beside a service with faults, their doubts decided by the fleet alone: nothing lost, doubled or misnamed."""

import json
import random
from contextlib import ExitStack
from dataclasses import replace

import pytest

from fleet import tables
from recorder import Journal, Recorder, Shipper, ShippingPolicy, audit
from simulator import Simulator
from tests.doubles import RESET
from tests.fleet.site import ACCEPTED_FALSELY, Site

POLICY = ShippingPolicy(in_doubt="hold", counted="objects", settle_after=0, batch_updates=12)
FOLDED = replace(POLICY, fold=True)


def record(recorder, chance, name):
    id_ = chance.choice([f"{name} 1", f"{name} 2", "shared"])
    counter = chance.choice(["a", "b"])
    choices = [
        lambda: recorder.people_increment(id_, {counter: chance.randint(1, 3)}),
        lambda: recorder.people_track_charge(id_, chance.randint(1, 9)),
        lambda: recorder.people_append(id_, {"seen": {"page": chance.randint(1, 3)}}),
        lambda: recorder.people_union(id_, {"tags": [chance.randint(1, 9)]}),
    ]
    if id_ != "shared":
        choices += [
            lambda: recorder.people_set(id_, {counter: chance.randint(1, 9)}),
            lambda: recorder.people_set_once(id_, {"first": chance.randint(1, 9)}),
            lambda: recorder.people_unset(id_, [counter]),
            lambda: recorder.people_delete(id_) if chance.random() < 0.2 else None,
        ]
    chance.choice(choices)()


class Round:
    """Three devices that record and ship by turns."""

    def __init__(self, site, chance, policy, stack):
        self.site, self.chance, self.policy = site, chance, policy
        self.journals = {
            name: stack.enter_context(Journal(site.path(name), token="T", durability="process"))
            for name in ("one", "two", "three")
        }
        self.decided = 0

    def fault(self, lane, body, _timeout):  # noqa: ARG002
        """Answer a request, or apply some first part of it without an answer."""
        updates = json.loads(body)
        if self.chance.random() < 0.6:
            self.site.service.take(updates)
            return ACCEPTED_FALSELY
        self.site.service.take(updates[: self.chance.randint(0, len(updates))])
        return RESET

    def ship(self, faults):
        for name, journal in self.journals.items():
            recorder = Recorder("T", journal)
            for _ in range(self.chance.randint(0, 8) if faults else 0):
                record(recorder, self.chance, name)
            self.site.service.answers.extend([self.fault] * 4 if faults else [])
            Shipper(journal, self.site.service, self.policy, chance=lambda: 0.0).ship()
            self.site.service.answers.clear()

    def show_every_property(self):
        """Have a profile that shows each device's counter and lists: what is seen nowhere is no evidence."""
        for name, journal in self.journals.items():
            recorder = Recorder("T", journal)
            recorder.people_increment(f"{name} 0", {"a": 1})
            recorder.people_append(f"{name} 0", {"seen": {"page": 0}})
            recorder.people_track_charge(f"{name} 0", 1)
        self.ship(faults=False)

    def unsent(self):
        return [journal.statistics(0.0).unsent for journal in self.journals.values()]

    def decide(self):
        """Fence some devices, look at all, and hand out the decisions, some of them twice."""
        for journal in self.journals.values():
            if self.chance.random() < 0.7:
                journal.write_fences(self.site.service.write)
        self.site.write_export()
        report = self.site.inspect()
        assert report.findings == [], report.findings
        lines = tables.decision_rows(report)
        for journal in self.journals.values():
            self.decided += journal.settle_decisions(lines).settled
            assert journal.settle_decisions(lines).settled == 0


def plain(value):
    """Return a value without what counting adds to it."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if not name.startswith("restante")}
    return value


def play(folder, seed):
    chance = random.Random(seed)
    site = Site(folder)
    with ExitStack() as stack:
        playing = Round(site, chance, FOLDED if seed % 2 else POLICY, stack)
        playing.show_every_property()
        for turn in range(80):
            playing.ship(faults=turn < 8)
            playing.decide()
            if turn > 8 and not any(playing.unsent()):
                break
            if chance.random() < 0.3:
                chance.choice([*playing.journals.values()]).prune(all_shipped=True)
        assert playing.unsent() == [0, 0, 0], playing.site.inspect().undecided
    shown = {id_: plain(dict(profile)) for id_, profile in site.service.inbox.profiles().items()}
    sums = {"a": 0, "b": 0}
    for name in playing.journals:
        assert audit(site.path(name)).agrees
        predicted = Simulator.from_journal(site.path(name)).profiles
        for id_, profile in predicted.items():
            if id_ != "shared":
                assert plain(dict(profile)) == shown[id_], (seed, id_)
            else:
                sums = {name: sums[name] + profile.get(name, 0) for name in sums}
    assert {name: shown.get("shared", {}).get(name, 0) for name in sums} == sums
    return playing.decided


def test_fleet_decides_rightly(tmp_path):
    assert play(tmp_path, 1) > 10


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 130))
def test_fleet_decides_many_rightly(tmp_path, seed):
    play(tmp_path, seed)


# --- persons decide, too


def act(journal, service, name, chance):
    """Do what a person may do, or not, to what is in doubt, unsent or shipped."""
    chance.choice(
        [
            lambda: journal.retry("state=in_doubt"),
            lambda: journal.discard("state=in_doubt"),
            lambda: journal.discard("state=pending"),
            lambda: journal.prune(all_shipped=True),
            lambda: journal.forget(f"{name} 2"),
            lambda: journal.write_fences(service.write),
            *[lambda: None] * 12,
        ]
    )()


def record_more(recorder, chance, name):
    """Write the shared profile with operations that do not commute, too."""
    record(recorder, chance, name)
    chance.choice(
        [
            lambda: recorder.people_remove(f"{name} 1", {"tags": chance.randint(1, 9)}),
            lambda: recorder.people_set("shared", {"plan": chance.choice("xyz")}),
            lambda: recorder.people_unset("shared", ["plan"]),
            lambda: recorder.people_delete("shared") if chance.random() < 0.1 else None,
            *[lambda: None] * 12,
        ]
    )()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_found_where_nothing_is_wrong(tmp_path, seed):
    """Counted, folded, sent again, given up, decided, pruned or forgotten: what is not known is no finding."""
    chance = random.Random(seed)
    site = Site(tmp_path)
    counted = [chance.choice([True, False, "objects"]) for _ in range(2)]
    policies = [replace(POLICY, counted=each, fold=chance.random() < 0.5) for each in counted]
    policies.append(replace(POLICY, counted=False, in_doubt=chance.choice(["resend", "drop"])))
    with ExitStack() as stack:
        playing = Round(site, chance, POLICY, stack)
        for _ in range(25):
            for (name, journal), policy in zip(playing.journals.items(), policies, strict=True):
                recorder = Recorder("T", journal)
                for _ in range(chance.randint(0, 5)):
                    record_more(recorder, chance, name)
                site.service.answers.extend([playing.fault] * 3)
                Shipper(journal, site.service, policy, chance=lambda: 0.0).ship()
                site.service.answers.clear()
                act(journal, site.service, name, chance)
            site.write_export()
            assert site.inspect().findings == []
