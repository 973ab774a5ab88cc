"""Counted requests in doubt, settled by what their profiles show."""

import json
import sqlite3
from contextlib import closing

import pytest

from recorder import Journal, JournalError, JournalReader, Lane, Recorder, Shipper, ShippingPolicy, audit
from recorder.journal import readback
from recorder.model.counting import Counting
from recorder.model.entries import AttemptOutcome
from recorder.model.errors import ShippingError
from recorder.model.hazards import Update
from recorder.model.json_value import MAX_UPDATE_BYTES
from recorder.model.payloads import Endpoint, read_submission
from recorder.model.told import Run
from recorder.shipping.verdicts import Answer, judge
from simulator.service.ingestion import Inbox
from tests.doubles import ACCEPTED, REFUSED, RESET, Scripted

COUNTED = ShippingPolicy(in_doubt="hold", counted=True, settle_after=0)


class Ended(BaseException):
    """The process ends here."""


class Profiles(Scripted):
    """Profiles at the service, as transport and as what is read; `ends` names the step at which the process ends."""

    def __init__(self, *answers, hidden=(), ends=""):
        super().__init__(*answers)
        self.inbox = Inbox()
        self.hidden = hidden
        self.ends = ends
        self.shown = None  # an older moment
        self.readings = 99  # more are refused

    def take(self, body, most=None):
        updates = json.loads(body)[:most]
        self.inbox.take(Endpoint.ENGAGE, read_submission(Endpoint.ENGAGE, b"", json.dumps(updates).encode()))

    def send(self, lane, body, **_):
        answer = super().send(lane, body)
        self.take(body, None if answer is ACCEPTED else getattr(answer, "applied", 0))
        return answer

    def write(self, body):
        self._end("before the fence")
        accepted = judge(self.send(Lane.PEOPLE, body)).outcome is AttemptOutcome.SHIPPED
        self._end("after the fence")
        return accepted

    def read(self, ids, properties):
        self._end("before the reading")
        if not self.readings:
            raise ShippingError("no more queries")
        self.readings -= 1
        shown = self.shown or self.inbox.profiles()
        return {
            id_: {
                name: shown[id_][name]
                for name in properties
                if name in shown[id_] and name not in self.hidden
            }
            for id_ in ids
            if id_ in shown
        }

    def _end(self, step):
        if self.ends == step:
            raise Ended


class Part(Answer):
    """No answer to a request of which so many updates were applied."""

    applied = 0


def part(updates):
    class Applied(Part):
        applied = updates

    return Applied(left=True, url=RESET.url, error=RESET.error)


def ship(journal, profiles, policy=COUNTED):
    return Shipper(journal, profiles, policy, chance=lambda: 0.0).ship()


def states(path):
    assert audit(path).agrees, audit(path)
    with JournalReader(path) as reader:
        assert reader.counts().adds_up
        return [entry.state.value for entry in reversed(reader.entries())]


def visits(recorder, several=1, profile="ada"):
    for _ in range(several):
        recorder.people_increment(profile, {"visits": 1})


@pytest.mark.parametrize(
    ("applied", "becomes"), [(0, "not_applied"), (2, "partly"), (3, "applied")], ids=["none", "some", "all"]
)
def test_profile_tells_what_was_applied(recorder, journal, path, applied, becomes):
    profiles = Profiles(ACCEPTED, part(applied))
    visits(recorder)
    ship(journal, profiles)
    visits(recorder, 3)
    ship(journal, profiles)
    done = journal.settle(profiles)
    assert (getattr(done, becomes), done.settled, done.entries, done.cannot_tell) == (1, 1, 3, {})
    assert states(path) == ["shipped"] * (1 + applied) + ["waiting"] * (3 - applied)
    ship(journal, profiles)
    assert states(path) == ["shipped"] * 4
    assert profiles.inbox.profiles()["ada"]["visits"] == 4
    with JournalReader(path) as reader:
        assert reader.counts().possibly_twice == 0


@pytest.mark.parametrize("step", ["before the fence", "after the fence", "before the reading"])
def test_settling_survives_its_end(recorder, journal, path, step):
    profiles = Profiles(part(1), ends=step)
    visits(recorder, 2)
    ship(journal, profiles)
    with pytest.raises(Ended):
        journal.settle(profiles)
    assert states(path) == ["in_doubt"] * 2
    profiles.ends = ""
    assert journal.settle(profiles).partly == 1
    assert journal.settle(profiles).settled == 0
    ship(journal, profiles)
    assert profiles.inbox.profiles()["ada"]["visits"] == 2


def test_old_reading_is_not_believed(recorder, journal, path):
    """The profile before the request, and after the fence of another doubt."""
    profiles = Profiles(ACCEPTED, part(0), ACCEPTED, part(1))
    visits(recorder)
    ship(journal, profiles)
    visits(recorder)
    ship(journal, profiles)
    journal.settle(profiles)
    profiles.shown = profiles.inbox.profiles()
    ship(journal, profiles)
    assert journal.settle(profiles).waiting == 1
    assert states(path) == ["shipped", "in_doubt"]
    profiles.shown = None
    assert journal.settle(profiles).applied == 1


@pytest.mark.parametrize("hidden", ["counter", "$transactions"])
def test_hidden_property_is_no_evidence(recorder, journal, path, hidden):
    profiles = Profiles(part(0))
    if hidden == "counter":
        visits(recorder)
    else:
        recorder.people_track_charge("ada", 5)
    ship(journal, profiles)
    (name,) = [hidden] if hidden != "counter" else {counter_of(journal)}
    profiles.hidden = [name]
    assert journal.settle(profiles).cannot_tell == {f"this account may not see {name}": 1}
    assert states(path) == ["in_doubt"]


def counter_of(journal):
    with journal._connection.reading() as connection:
        (identity, name) = connection.execute("SELECT identity, counter FROM project").fetchone()
    return f"restante_{name or identity[:8]}"


def test_foreign_count_is_not_believed(recorder, journal, path):
    profiles = Profiles(part(0))
    visits(recorder)
    ship(journal, profiles)
    name = counter_of(journal)
    profiles.take(json.dumps([{"$token": "T", "$distinct_id": "ada", "$add": {name: 7}}]).encode())
    assert journal.settle(profiles).cannot_tell == {
        f"another program wrote {name}, or a request came late?": 1
    }
    assert states(path) == ["in_doubt"]


def test_deleted_profile_is_not_believed(recorder, journal, path):
    """Another program deletes it: the counter is less than what was shipped before."""
    profiles = Profiles(ACCEPTED, part(1))
    visits(recorder, 2)
    ship(journal, profiles)
    visits(recorder)
    ship(journal, profiles)
    profiles.take(b'[{"$token": "T", "$distinct_id": "ada", "$delete": ""}]')
    expected = {f"another program wrote {counter_of(journal)}, or deleted the profile?": 1}
    assert journal.settle(profiles).cannot_tell == expected
    assert states(path)[-1] == "in_doubt"


def test_unmarked_append_is_not_told(recorder, journal, path):
    """Beside an add that is: nobody wrote, but the profile does not tell of the append."""
    profiles = Profiles(part(1))
    visits(recorder)
    recorder.people_append("ada", {"seen": "x"})
    ship(journal, profiles)
    assert journal.settle(profiles).cannot_tell == {"an entry of it is neither counted nor marked": 1}
    assert states(path) == ["in_doubt"] * 2


def test_decision_about_earlier_entry_is_remembered(recorder, journal, path):
    """Nobody knows whether a discarded entry was applied: neither while it is there, nor when it is pruned."""
    profiles = Profiles(part(1), ACCEPTED, part(1))
    visits(recorder)
    ship(journal, profiles)
    journal.discard("state=in_doubt")
    visits(recorder, profile="bob")
    ship(journal, profiles)
    visits(recorder)
    ship(journal, profiles)
    expected = {"somebody decided about an earlier entry of it": 1}
    assert journal.settle(profiles).cannot_tell == expected
    journal.prune(all_shipped=True)
    assert journal.settle(profiles).cannot_tell == expected
    assert states(path)[-1] == "in_doubt"


def test_count_survives_pruning_and_deletion(recorder, journal):
    profiles = Profiles()
    visits(recorder, 3)
    ship(journal, profiles)
    recorder.people_delete("ada")
    visits(recorder, 2)
    ship(journal, profiles)
    visits(recorder, profile="bob")  # the newest entry stays
    ship(journal, profiles)
    assert journal.prune(all_shipped=True).entries == 6
    profiles.answers.append(part(1))
    visits(recorder, 2)
    ship(journal, profiles)
    assert journal.settle(profiles).partly == 1


def test_forgotten_profile_is_counted_anew(recorder, journal):
    """It still holds the old counter: entries recorded later must not be taken for those."""
    profiles = Profiles()
    visits(recorder, 2)
    ship(journal, profiles)
    before = counter_of(journal)
    journal.forget("ada")
    assert counter_of(journal) != before
    profiles.answers.append(part(0))
    visits(recorder, 2)
    ship(journal, profiles)
    assert journal.settle(profiles).not_applied == 1


def test_uncounted_request_cannot_be_told(recorder, journal):
    profiles = Profiles(RESET)
    visits(recorder)
    ship(journal, profiles, ShippingPolicy(in_doubt="hold", settle_after=0))
    ship(journal, profiles)
    assert journal.settle(profiles).cannot_tell == {"sent without being counted: retry or discard": 1}


def test_run_with_an_add_is_held_whole(recorder, journal, path):
    """Even if it begins with a set: sent again, it would be counted twice."""
    profiles = Profiles(part(2))
    recorder.people_set("ada", {"visits": 0})
    visits(recorder)
    ship(journal, profiles)
    ship(journal, profiles)
    assert states(path) == ["in_doubt"] * 2
    assert journal.settle(profiles).applied == 1


def test_harmless_run_needs_no_decision(recorder, journal, path):
    profiles = Profiles(part(0))
    recorder.people_set("ada", {"plan": "pro"})
    ship(journal, profiles)
    assert (journal.settle(profiles).cannot_tell, len(profiles.sent)) == ({}, 1)
    ship(journal, profiles)
    assert states(path) == ["shipped"]


def test_group_updates_are_not_counted(recorder, journal):
    profiles = Profiles()
    recorder.group_set("company", "acme", {"plan": "pro"})
    ship(journal, profiles)
    assert b"restante" not in profiles.sent[-1][1]


def test_folded_sum_counts_entries(recorder, journal):
    """And no update passes another: what is applied of a request stays a first part of the run."""
    profiles = Profiles()
    visits(recorder, 3)
    for _ in range(2):
        recorder.people_append("ada", {"seen": "x"})
        visits(recorder)
    ship(journal, profiles, ShippingPolicy(in_doubt="hold", counted=True, fold=True))
    name = counter_of(journal)
    assert [update.get("$add", {}).get(name) for update in json.loads(profiles.sent[-1][1])] == [
        3,
        None,
        1,
        None,
        1,
    ]


def test_many_profiles_survive_a_refused_reading(recorder, journal, monkeypatch):
    """Earlier decisions are reported; the rest is left to the next call."""
    monkeypatch.setattr(readback, "MOST_PROFILES", 2)
    profiles = Profiles(part(3))
    for number in range(5):
        visits(recorder, profile=f"u{number}")
    ship(journal, profiles)
    profiles.readings = 1
    done = journal.settle(profiles)
    assert (done.settled, done.waiting) == (2, 3)
    with pytest.raises(ShippingError):
        journal.settle(profiles)
    profiles.readings = 9
    assert journal.settle(profiles).settled == 3


def test_fences_fit_requests():
    """However long the ids are."""
    run = Run(Counting("restante_3af6e1c3", "3af6"), [(1, Update("$add", {"visits": 1}))])
    ids = [f"{number:03}" + "🛳" * 252 for number in range(1_000)]
    bodies = list(readback.fences([readback.Held(id_, 7, 1, "", run, (1,)) for id_ in ids], "T"))
    assert max(map(len, bodies)) <= MAX_UPDATE_BYTES
    assert [update["$distinct_id"] for body in bodies for update in json.loads(body)][::2] == ids


def test_marked_charge_is_told_by_its_number(recorder, journal):
    profiles = Profiles(ACCEPTED, part(1))
    recorder.people_track_charge("bob", 1)
    ship(journal, profiles)
    recorder.people_track_charge("ada", 5)
    recorder.people_track_charge("ada", 5)
    ship(journal, profiles)
    assert journal.settle(profiles).partly == 1
    ship(journal, profiles)
    assert [charge["$amount"] for charge in profiles.inbox.profiles()["ada"]["$transactions"]] == [5, 5]


@pytest.mark.parametrize("applied", [0, 1, 2])
def test_cleared_charge_is_told(recorder, journal, path, applied):
    """The profile shows the same if both were applied or neither; it becomes the same, too."""
    profiles = Profiles(ACCEPTED, part(applied))
    recorder.people_track_charge("bob", 1)
    ship(journal, profiles)
    recorder.people_track_charge("ada", 5)
    recorder.people_clear_charges("ada")
    ship(journal, profiles)
    assert journal.settle(profiles).settled == 1
    ship(journal, profiles)
    assert states(path) == ["shipped"] * 3
    assert "$transactions" not in profiles.inbox.profiles()["ada"]


def test_decision_is_for_its_request_only(recorder, journal):
    profiles = Profiles(part(1))
    visits(recorder, 2)
    ship(journal, profiles)
    with journal._connection.reading() as connection:
        identity, epoch, digest = connection.execute(
            "SELECT identity, epoch, digest FROM project, attempts"
        ).fetchone()
    decision = {"journal": identity, "profile": "ada", "epoch": epoch, "digest": digest, "applied": 1}
    for wrong in (
        {"journal": "0"},
        {"epoch": epoch + 1},
        {"digest": "0"},
        {"applied": 3},
        {"profile": "bob"},
    ):
        assert journal.settle_decisions([{**decision, **wrong}]).settled == 0
    assert journal.settle_decisions([decision]).partly == 1
    assert journal.settle_decisions([decision]).settled == 0
    ship(journal, profiles)
    assert profiles.inbox.profiles()["ada"]["visits"] == 2


def doubt_of(journal):
    """The decision about the newest request, without its answer."""
    with journal._connection.reading() as connection:
        names = ("journal", "epoch", "digest", "attempt")
        row = connection.execute(
            "SELECT identity, epoch, digest, attempts.id FROM project, attempts ORDER BY attempts.id DESC LIMIT 1"
        ).fetchone()
    return {"profile": "ada", **dict(zip(names, row, strict=True))}


def test_decision_is_for_one_of_two_equal_requests(recorder, journal, path):
    """A request that was not applied is made again, byte for byte, and applied: the old answer is wrong then."""
    profiles = Profiles(part(0), part(1))
    visits(recorder)
    shipper = Shipper(journal, profiles, COUNTED, chance=lambda: 0.0)
    shipper.ship()
    old = {**doubt_of(journal), "applied": 0}
    assert journal.settle_decisions([old]).not_applied == 1
    shipper.ship()
    new = doubt_of(journal)
    assert (old["epoch"], old["digest"]) == (new["epoch"], new["digest"])
    without_number = {name: value for name, value in old.items() if name != "attempt"}
    for stale in (old, without_number):
        refused = journal.settle_decisions([stale])
        assert refused.cannot_tell == {"not in doubt any more from that request": 1}
    assert journal.settle_decisions([{**new, "applied": 1}]).applied == 1
    assert states(path) == ["shipped"]


def test_run_that_was_sent_again_takes_no_decision(recorder, journal, path):
    """One of two requests carried what the profile shows, and nobody knows which."""
    profiles = Profiles(part(0), part(1))
    visits(recorder)
    ship(journal, profiles)
    journal.retry("state=in_doubt")
    ship(journal, profiles)
    assert journal.settle_decisions([{**doubt_of(journal), "applied": 1}]).settled == 0
    assert states(path) == ["in_doubt"]


def test_contradicting_decisions_are_refused(recorder, journal, path):
    profiles = Profiles(part(0))
    visits(recorder)
    ship(journal, profiles)
    decision = doubt_of(journal)
    done = journal.settle_decisions([{**decision, "applied": applied} for applied in (0, 1, 0)])
    assert (done.settled, done.cannot_tell) == (0, {"decided in several ways": 1})
    assert states(path) == ["in_doubt"]


def test_copied_journal_takes_no_decisions(recorder, journal, path, tmp_path):
    """The journal that it was copied from takes them, too, and both would send what was not applied."""
    profiles = Profiles(part(0))
    visits(recorder)
    ship(journal, profiles)
    decision = {**doubt_of(journal), "applied": 0}
    other = tmp_path / "copies" / "kiosk.db"
    other.parent.mkdir()
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(other)) as target:
        source.backup(target)
    with Journal(other) as copy, pytest.raises(JournalError, match="it may be a copy: it was shipped from"):
        copy.settle_decisions([decision])
    assert journal.settle_decisions([decision]).not_applied == 1


def test_fences_are_written_alone(recorder, journal):
    profiles = Profiles(part(1), REFUSED)
    visits(recorder, 2)
    ship(journal, profiles)
    assert journal.write_fences(profiles.write).not_accepted == 1
    assert journal.write_fences(profiles.write).written == 1
    shown = profiles.inbox.profiles()["ada"]
    assert (shown[counter_of(journal)], shown[f"{counter_of(journal)}_fence"]) == (
        1,
        doubt_of(journal)["attempt"],
    )


def test_decision_is_for_a_whole_run(recorder, journal, path):
    """It counts entries from the first one of the request, which is in doubt no more."""
    profiles = Profiles(part(1))
    visits(recorder, 2)
    ship(journal, profiles)
    decision = {**doubt_of(journal), "applied": 1}
    journal.discard("seq=1")
    assert journal.settle_decisions([decision]).cannot_tell == {"somebody decided about a part of it": 1}
    assert states(path) == ["discarded", "in_doubt"]


@pytest.mark.parametrize("in_doubt", ["resend", "drop"])
def test_counting_requires_to_hold(in_doubt):
    with pytest.raises(ValueError, match="in_doubt must be 'hold' if counted is True"):
        ShippingPolicy(counted=True, in_doubt=in_doubt)


def test_earlier_counter_replaces_no_pruned_count(recorder, journal):
    """An entry that was given up is pruned after later ones, counted by another counter."""
    profiles = Profiles(part(1))
    visits(recorder)
    ship(journal, profiles)
    journal.discard("state=in_doubt")
    journal.forget("nobody")  # begins another counter
    visits(recorder)
    visits(recorder, profile="bob")
    ship(journal, profiles)
    visits(recorder, profile="bob")  # the newest entry stays
    ship(journal, profiles)
    assert journal.prune(all_shipped=True).entries == 3
    profiles.answers.append(part(0))
    visits(recorder)
    ship(journal, profiles)
    assert journal.settle(profiles).not_applied == 1


def test_taken_back_rejection_is_not_told(recorder, journal, path):
    """The request that was refused did not leave it in doubt; an earlier one did, with another counter."""
    profiles = Profiles(part(1))
    visits(recorder)
    ship(journal, profiles)
    journal.forget("nobody")  # begins another counter
    journal.retry("state=in_doubt")
    for number in range(20):
        visits(recorder, profile=f"u{number}")
    profiles.answers.extend([REFUSED] * 60)
    ship(journal, profiles)
    profiles.answers.clear()
    assert states(path) == ["in_doubt"] + ["waiting"] * 19 + ["pending"]
    assert journal.settle(profiles).cannot_tell == {"sent without being counted: retry or discard": 1}


def ship_uncounted(journal, profiles):
    """Send an entry again that a counted request left in doubt: its counter is not known any more."""
    visits(Recorder("T", journal))
    profiles.answers.append(part(1))
    ship(journal, profiles)
    journal.retry("state=in_doubt")
    ship(journal, profiles, ShippingPolicy(settle_after=0))


def ship_elsewhere(journal, profiles):
    profiles.base, profiles.inbox = "https://other.test", Inbox()
    visits(Recorder("T", journal), profile="bob")
    ship(journal, profiles)


def change_project(journal, profiles):  # noqa: ARG001
    journal.change_token("U")


@pytest.mark.parametrize("change", [ship_uncounted, ship_elsewhere, change_project])
def test_change_begins_another_counter(recorder, journal, change):
    """Whatever the last one was there, it is not what the journal shipped."""
    profiles = Profiles()
    profiles.base = "https://service.test"
    visits(recorder, 2)
    ship(journal, profiles)
    change(journal, profiles)
    profiles.answers.append(part(0))
    visits(Recorder(journal.token, journal))
    ship(journal, profiles)
    assert journal.settle(profiles).not_applied == 1
