"""Planted faults in a site of some twenty devices: exactly these are named."""

import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest

from fleet import tables
from recorder import Journal, ShippingPolicy
from recorder.model.intake import Intake
from tests.doubles import REFUSED, UNREACHABLE
from tests.fleet.site import COUNTED, UNCOUNTED

DAY = 86_400.0
RESENT = ShippingPolicy(settle_after=0)


def found(report):
    return [
        (one.profile, one.journal.rpartition("/")[2], one.finding, one.by, one.name)
        for one in report.findings
    ]


def calling(report):
    return {device.file.rpartition("/")[2] for device in report.current if report.needs_someone(device)}


def healthy(site, name):
    """A device with some of everything, a profile of its own and one that all share."""
    with site.device(name) as recorder:
        for profile in (f"of {name}", "shared"):
            recorder.people_increment(profile, {"visits": 2})
        recorder.people_set(f"of {name}", {"plan": "pro", "gone": 1})
        recorder.people_track_charge(f"of {name}", 5)
        recorder.people_union("shared", {"tills": [name]})
        site.ship(recorder)
        recorder.people_append("shared", {"seen": name})
        recorder.people_unset(f"of {name}", ["gone"])
        recorder.people_increment(f"of {name}", {"visits": 0.1})
        site.ship(recorder)


def test_exactly_planted_faults_are_named(site):  # one site, fault by fault
    for number in range(8):
        healthy(site, f"till{number}")
    site.snapshot("till0", "monday")
    with site.device("till0") as recorder:
        recorder.people_increment("of till0", {"visits": 1})
        site.ship(recorder)
    site.visits("loses", 5, answers=[site.service.loses(3)])
    site.visits("doubles", 2, answers=[site.service.doubles])
    site.visits("copied", 2)
    shutil.copy(site.path("copied"), site.path("copy"))
    for name in ("copied", "copy"):
        with site.device(name) as recorder:
            recorder.people_set("of copied", {"till": name})
        site.visits(name, 1, "of copied")
    with site.device("ahead", clock=lambda: time.time() + 3 * DAY) as recorder:
        recorder.people_set("of ahead", {"plan": "pro"})
        site.ship(recorder)
    clock = iter([1e9, 1e9 + 500, 1e9 + 100])
    with site.device("jumps", clock=lambda: next(clock)) as recorder:
        for _ in range(3):
            recorder.people_append("of jumps", {"seen": 1})
        site.ship(recorder)
    site.visits("refused", 1, answers=[REFUSED])
    site.visits("partly", 3, answers=[1])
    site.fence("partly")
    site.visits("stuck", 1, answers=[UNREACHABLE])
    site.visits("uncounted", 3, policy=UNCOUNTED, answers=[site.service.doubles])
    (site.folder / "broken.db").write_bytes(b"SQLite format 3\0" + b"nonsense" * 100)
    site.write_export()

    report = site.inspect()
    assert found(report) == [
        ("of doubles", "doubles.db", "doubled", 2, None),
        ("of loses", "loses.db", "lost", 2, None),
        ("of uncounted", "uncounted.db", "differs", None, "visits"),
    ]
    assert calling(report) == {
        *("copied.db", "copy.db", "ahead.db", "jumps.db", "refused.db", "partly.db", "stuck.db"),
    }
    devices = {device.file.rpartition("/")[2]: device for device in report.devices}
    assert [group[:] for group in devices["refused.db"].rejected] == [("$add: value is not numeric", 1)]
    assert devices["stuck.db"].stuck_since == pytest.approx(time.time(), abs=100)
    assert "connection refused" in devices["stuck.db"].cause
    assert devices["ahead.db"].ahead == pytest.approx(3 * DAY, abs=100)
    assert devices["jumps.db"].jumps == 1
    assert [one.file.rpartition("/")[2] for one in report.unreadable] == ["broken.db"]
    assert [file.rpartition("/")[2] for file in report.versions.superseded] == ["monday.db"]
    assert [(one.profile, one.applied) for one in report.decisions] == [("of partly", 1)]
    assert (report.order, report.hidden, report.undecided, report.uncounted) == ([], {}, {}, {})
    assert not report.well


def test_healthy_site_needs_nobody(site):
    for number in range(3):
        healthy(site, f"till{number}")
    site.write_export()
    report = site.inspect()
    assert report.well
    assert (found(report), calling(report), report.shown) == ([], set(), 4)


# --- counts


def test_doubt_makes_a_range(site):
    """Applied or not: both are right, and one more is not."""
    for applied in range(3):
        site.visits(f"till{applied}", 2, answers=[applied])
    site.service.other_program("of till2", add={site_counter(site, "till2"): 1})
    site.write_export()
    assert found(site.inspect()) == [("of till2", "till2.db", "doubled", 1, None)]


def test_count_that_is_no_whole_number_is_not_known(site):
    site.visits("till", 2)
    site.service.other_program("of till", add={site_counter(site, "till"): 0.5})
    site.write_export()
    report = site.inspect()
    assert (found(report), list(report.uncounted.values())) == ([], [1])


def site_counter(site, name):
    (row,) = {row.counter for row in site.rows(name).profiles}
    return row


def test_hidden_counter_is_no_evidence(site):
    site.visits("till", 2)
    site.visits("other", 2)
    counter = site_counter(site, "till")
    site.write_export(hidden=[counter])
    report = site.inspect()
    assert found(report) == []
    assert list(report.hidden.values()) == [counter]
    site.service.other_program("of till", add={"visits": 1})
    site.write_export(hidden=[counter])
    assert found(site.inspect()) == [("of till", "till.db", "differs", None, "visits")]


def test_count_begins_anew_at_deletions(site):
    with site.device("till") as recorder:
        recorder.people_increment("ada", {"visits": 1})
        site.ship(recorder)
        recorder.people_delete("ada")
        recorder.people_increment("ada", {"visits": 1})
        site.ship(recorder)
    site.write_export()
    assert found(site.inspect()) == []


def test_delete_that_goes_again_makes_counts_unsure(site):
    """All of the run was applied, and it will be sent again from its delete on: the profile shows the end already."""
    with site.device("till") as recorder:
        recorder.people_increment("ada", {"visits": 1})
        recorder.people_delete("ada")
        recorder.people_increment("ada", {"visits": 1})
        recorder.people_increment("ada", {"visits": 1})
        site.ship(recorder, COUNTED, 4)
    site.fence("till")
    site.write_export()
    (decision,) = tables.decision_rows(site.inspect())
    with Journal(site.path("till")) as journal:
        assert journal.settle_decisions([decision]).partly == 1
    assert found(site.inspect()) == []
    site.visits("till", 0)
    site.write_export()
    assert (found(site.inspect()), site.service.inbox.profiles()["ada"]["visits"]) == ([], 2)


def test_doubt_of_an_earlier_counter_is_decided(site):
    """Forgetting begins a counter anew; the request had been counted by the one before."""
    site.visits("till", 2, answers=[1])
    with Journal(site.path("till")) as journal:
        journal.forget("bob")
    site.fence("till")
    site.write_export()
    report = site.inspect()
    assert ([one.applied for one in report.decisions], found(report)) == ([1], [])


def test_devices_that_share_a_counter_tell_nothing(site):
    """Eight digits of an identity may be another's: both add to it."""
    for name in ("one", "two"):
        site.visits(name, 1, "ada")
    counter = site_counter(site, "one")
    with closing(sqlite3.connect(site.path("two"), isolation_level=None)) as database:
        database.execute("UPDATE project SET counter = ?", (counter.removeprefix("restante_"),))
        database.execute("UPDATE attempts SET counted = ?", (counter,))
    site.service.other_program("ada", add={counter: 1})
    site.write_export()
    assert found(site.inspect()) == []


def test_sums_are_compared_up_to_rounding(site):
    """Folding adds numbers up first. Whole numbers do not round."""
    folded = replace(UNCOUNTED, fold=True)
    with site.device("till") as recorder:
        for numbers in ([1.1], [0.1, 0.6, 0.2]):
            for number in numbers:
                recorder.people_increment("ada", {"paid": number})
                recorder.people_increment("bob", {"paid": 10**12})
            site.ship(recorder, folded)
    assert site.service.inbox.profiles()["ada"]["paid"] == 2.0 != 1.1 + 0.1 + 0.6 + 0.2
    site.service.other_program("bob", add={"paid": 1})
    site.write_export()
    assert found(site.inspect()) == [("bob", "till.db", "differs", None, "paid")]


def test_marks_are_no_difference(site):
    """Of a journal that has marked charges, and counted nothing."""
    with site.device("till") as recorder:
        recorder.people_track_charge("ada", 5)
        site.ship(recorder)
    site.write_export()
    assert found(site.inspect()) == []


def test_pruned_entries_count(site):
    site.visits("till", 3)
    site.visits("till", 1, "bob")
    with Journal(site.path("till")) as journal:
        assert journal.prune(all_shipped=True).entries == 3
    site.visits("till", 1)
    site.write_export()
    assert found(site.inspect()) == []
    site.service.other_program("of till", add={site_counter(site, "till"): -1})
    site.write_export()
    assert found(site.inspect()) == [("of till", "till.db", "lost", 1, None)]


def test_decided_entry_leaves_count_unknown(site):
    site.visits("till", 2, answers=[1])
    with Journal(site.path("till")) as journal:
        journal.discard("state=in_doubt")
    site.write_export()
    report = site.inspect()
    assert found(report) == []
    assert list(report.uncounted.values()) == [1]


def test_delete_of_another_device_makes_counts_unsure(site):
    site.visits("till", 2, "ada")
    site.visits("till", 1, "bob")
    site.visits("till", 2, "cleo", answers=[1])
    with site.device("other") as recorder:
        for profile in ("ada", "cleo"):
            recorder.people_delete(profile)
        site.ship(recorder)
    site.fence("till")
    site.write_export()
    report = site.inspect()
    assert (found(report), report.decisions) == ([], [])


# --- devices that go on sending


def test_requests_after_export_may_be_missing(site):
    now = time.time()
    site.visits("till", 3, answers=[site.service.loses(2)], at=now - 2 * DAY)
    site.visits("plain", 1, policy=UNCOUNTED, at=now - 2 * DAY)
    site.write_export()
    for name, policy in (("till", COUNTED), ("plain", UNCOUNTED)):
        site.visits(name, 4, policy=policy, at=now)
    assert {by for _, _, _, by, _ in found(site.inspect())} == {None, 5}
    assert found(site.inspect(exported_at=now - DAY)) == [("of till", "till.db", "lost", 1, None)]


def test_export_after_copy_may_show_more(site):
    """Losses stay losses, but the device may have sent more since."""
    clock = time.time() - 2 * DAY
    for name, fault in (("loses", site.service.loses(2)), ("doubles", site.service.doubles)):
        with site.device(name, clock=lambda: clock) as recorder:
            for _ in range(3):
                recorder.people_increment(f"of {name}", {"visits": 1})
            site.ship(recorder, COUNTED, fault, at=clock)
    site.service.other_program("of loses", set={"visits": 7})
    site.write_export()
    report = site.inspect(exported_at=clock + DAY)
    assert found(report) == [("of loses", "loses.db", "lost", 1, None)]
    assert list(report.uncounted.values()) == [1]


def test_delete_after_export_leaves_count_unknown(site):
    now = time.time()
    site.visits("till", 3, at=now - 2 * DAY)
    site.visits("till", 3, "bob", at=now - 2 * DAY)
    with site.device("till") as recorder:
        recorder.people_delete("of till")
        site.ship(recorder, at=now)
    site.write_export()
    assert found(site.inspect(exported_at=now - DAY)) == []


def test_lines_do_not_tell_when_they_were_sent(site):
    line = '{"state": "shipped", "message": {"$distinct_id": "ada", "$set": {"plan": "pro"}}}'
    (site.folder / "till.jsonl").write_text(line, encoding="utf-8")
    site.service.other_program("ada", set={"plan": "free"})
    site.write_export()
    assert [name for *_, name in found(site.inspect())] == ["plan"]
    assert found(site.inspect(exported_at=time.time())) == []


def test_entries_pruned_after_export_are_not_missed(site):
    now = time.time()
    site.visits("till", 3, at=now - 2 * DAY)
    site.visits("till", 1, "bob", at=now - 2 * DAY)
    site.write_export()
    for _ in range(3):
        site.visits("till", 4, at=now)
    site.visits("till", 1, "bob", at=now)
    with closing(Journal(site.path("till"))) as journal:
        assert journal.prune(all_shipped=True).entries > 10
    assert found(site.inspect(exported_at=now - DAY)) == []


def test_entries_pruned_before_export_are_missed(site):
    now = time.time()
    site.visits("till", 3, answers=[site.service.loses(2)], at=now - 3 * DAY)
    site.visits("till", 1, "bob", at=now - 3 * DAY)
    with closing(Journal(site.path("till"))) as journal:
        assert journal.prune(all_shipped=True).entries == 3
    site.write_export()
    site.visits("till", 1, "bob", at=now)
    assert found(site.inspect(exported_at=now - DAY)) == [("of till", "till.db", "lost", 1, None)]


def test_delete_unsent_in_older_copy_may_be_sent(site):
    clock = time.time() - 2 * DAY
    with site.device("till", clock=lambda: clock) as recorder:
        recorder.people_increment("ada", {"visits": 1})
        recorder.people_increment("bob", {"visits": 1})
        site.ship(recorder, at=clock)
        recorder.people_delete("ada")
    site.service.other_program("ada", delete="")
    site.write_export()
    assert found(site.inspect(exported_at=clock + DAY)) == []


# --- the fold alone


def test_sum_beyond_doubles_is_not_judged(site):
    for name in ("one", "two"):
        with site.device(name) as recorder:
            recorder.people_increment("ada", {"visits": 1e308})
            site.ship(recorder, UNCOUNTED)
    site.write_export()
    assert found(site.inspect()) == []


@pytest.mark.parametrize("state", ["unsent", "in doubt"])
def test_unsure_property_is_not_judged(site, state):
    with site.device("till") as recorder:
        recorder.people_set("ada", {"plan": "free", "town": "Oslo"})
        site.ship(recorder, UNCOUNTED)
        recorder.people_set("ada", {"plan": "pro"})
        if state == "in doubt":
            site.ship(recorder, UNCOUNTED, 0)
    site.service.other_program("ada", set={"plan": "gold", "town": "Bergen"})
    site.write_export()
    assert found(site.inspect()) == [("ada", "till.db", "differs", None, "town")]


def test_profile_that_is_not_shown_is_one_finding(site):
    """By its count if there is one, or else by the fold."""
    site.visits("counted", 2)
    site.visits("counted", 1, "ada")
    with site.device("uncounted") as recorder:
        recorder.people_set("bob", {"plan": "pro", "town": "Oslo"})
        site.ship(recorder, UNCOUNTED)
        recorder.people_set("cleo", {"plan": "pro"})
        recorder.people_delete("cleo")
        site.ship(recorder, UNCOUNTED)
    for profile in ("ada", "bob"):
        site.service.other_program(profile, delete="")
    site.write_export()
    assert found(site.inspect()) == [
        ("ada", "counted.db", "lost", 1, None),
        ("bob", "uncounted.db", "differs", None, None),
    ]


def test_devices_that_commute_are_judged_together(site):
    for name in ("one", "two"):
        with site.device(name) as recorder:
            recorder.people_increment("ada", {"visits": 2})
            recorder.people_append("ada", {"seen": name})
            recorder.people_union("ada", {"kiosks": ["harbour", name]})
            site.ship(recorder, UNCOUNTED)
    with site.device("two") as recorder:
        recorder.people_set_once("ada", {"first": "two"})
        site.ship(recorder, UNCOUNTED)
    with site.device("one") as recorder:
        recorder.people_set("ada", {"first": "one"})
        site.ship(recorder, UNCOUNTED)
    site.write_export()
    report = site.inspect()
    assert (found(report), report.order) == ([], [])
    site.service.other_program("ada", add={"visits": 1}, set={"first": "x", "seen": ["one"], "kiosks": []})
    site.write_export()
    assert {name for *_, name in found(site.inspect())} == {"visits", "first", "seen", "kiosks"}


def test_forgotten_beginning_is_not_guessed(site):
    with site.device("till") as recorder:
        recorder.people_increment("ada", {"visits": 2})
        site.ship(recorder, UNCOUNTED)
        recorder.journal.forget("ada")
        recorder.people_increment("ada", {"visits": 1})
        recorder.people_set("ada", {"plan": "pro"})
        site.ship(recorder, UNCOUNTED)
    site.service.other_program("ada", set={"plan": "free"})
    site.write_export()
    assert found(site.inspect()) == [("ada", "till.db", "differs", None, "plan")]


def test_pruned_entries_that_were_sent_twice_leave_profile_unsure(site):
    """Or that were given up after they were sent: the baseline says only that there were more requests than entries."""
    site.visits("twice", 1, policy=RESENT, answers=[1])
    site.visits("twice", 0, policy=RESENT)
    site.visits("given up", 1, policy=UNCOUNTED)
    site.visits("given up", 1, policy=UNCOUNTED, answers=[1])
    with Journal(site.path("given up")) as journal:
        journal.discard("state=in_doubt")
    for name in ("twice", "given up"):
        site.visits(name, 1, "bob", policy=UNCOUNTED)
        site.visits(name, 1, "bob", policy=UNCOUNTED)
        with Journal(site.path(name)) as journal:
            assert journal.prune(all_shipped=True).entries
    site.write_export()
    assert found(site.inspect()) == []


def test_forgotten_baseline_is_not_guessed(site):
    """All entries of the profile were pruned: nothing but its row of the baseline was forgotten."""
    site.visits("till", 1, "ada", policy=UNCOUNTED)
    site.visits("till", 1, "bob", policy=UNCOUNTED)
    with Journal(site.path("till")) as journal:
        assert journal.prune(all_shipped=True).entries == 1
        journal.forget("ada")
    site.visits("till", 1, "ada", policy=UNCOUNTED)
    site.write_export()
    assert found(site.inspect()) == []


def test_earlier_project_is_not_compared(site):
    with site.device("till") as recorder:
        recorder.people_set("ada", {"plan": "pro"})
        site.ship(recorder)
        recorder.journal.change_token("T2")
    site.service.other_program("ada", set={"plan": "free"})
    site.write_export()
    assert found(site.inspect()) == []


def test_entry_that_may_be_there_twice_is_not_judged(site):
    site.visits("till", 1, policy=RESENT, answers=[1])
    site.visits("till", 0, policy=RESENT)
    site.visits("till", 1, policy=RESENT)
    assert site.service.inbox.profiles()["of till"]["visits"] == 3
    site.write_export()
    assert found(site.inspect()) == []


def test_given_up_entry_may_be_there(site):
    site.visits("till", 1, policy=UNCOUNTED)
    site.visits("till", 1, policy=UNCOUNTED, answers=[1])
    with Journal(site.path("till")) as journal:
        journal.discard("state=in_doubt")
    site.write_export()
    assert found(site.inspect()) == []


def test_operator_that_nobody_documents_leaves_profile_unsure(site):
    with site.device("till") as recorder:
        for profile in ("ada", "bob"):
            recorder.people_set(profile, {"plan": "pro"})
        merge = {"$distinct_id": "ada", "$merge": {"plan": 1}}
        recorder.journal.append(Intake("T", unknown_operators="ship").update(merge, time.time()))
        site.ship(recorder, UNCOUNTED)
    for profile in ("ada", "bob"):
        site.service.other_program(profile, set={"plan": "free"})
    site.write_export()
    assert found(site.inspect()) == [("bob", "till.db", "differs", None, "plan")]


def test_lost_entries_leave_journal_unsure(site):
    """Damage took some: what these did, the profiles may show."""
    site.visits("till", 2)
    site.service.other_program("of till", add={site_counter(site, "till"): 3})
    site.write_export()
    assert found(site.inspect()) == [("of till", "till.db", "doubled", 3, None)]
    with closing(sqlite3.connect(site.path("till"), isolation_level=None)) as database:
        database.execute("UPDATE counters SET entries = 1 WHERE account = 'lost'")
    site.service.other_program("of till", add={"visits": 1})
    site.write_export()
    report = site.inspect()
    assert (found(report), calling(report)) == ([], {"till.db"})


def test_long_wait_is_stuck(site):
    """Nothing failed, for nothing was tried."""
    clock = iter([1e9, 1e9 + 2 * DAY])
    with site.device("till", clock=lambda: next(clock)) as recorder:
        for _ in range(2):
            recorder.people_set("ada", {"plan": "pro"})
    (device,) = site.inspect(export=False).devices
    assert (device.stuck_since, device.cause) == (pytest.approx(1e9, abs=2), "nothing was sent since")


# --- order


def test_order_decides_with_smallest_witness(site):
    with site.device("one") as recorder:
        recorder.people_set("ada", {"plan": "professional", "same": 1})
        recorder.people_set("ada", {"plan": "a"})
        recorder.people_delete("bob")
        site.ship(recorder)
    with site.device("two") as recorder:
        recorder.people_set("ada", {"plan": "b", "same": 1})
        recorder.people_increment("bob", {"visits": 1})
        site.ship(recorder)
    site.write_export()
    report = site.inspect()
    assert [
        (one.profile, one.property, [entry.seq for entry in one.entries], one.ends) for one in report.order
    ] == [
        ("ada", "plan", [2, 1], (["b"], ["a"])),
        ("bob", None, [3, 2], ([1], [])),
    ]
    assert report.well


# --- copies and snapshots


def test_newer_snapshots_continue_older_ones(site):
    site.visits("till", 2)
    site.snapshot("till", "monday")
    site.visits("till", 2, answers=[1])
    site.snapshot("till", "tuesday")
    with Journal(site.path("till")) as journal:
        journal.discard("state=in_doubt")
    site.visits("till", 1)
    report = site.inspect(export=False)
    assert [device.file.rpartition("/")[2] for device in report.current] == ["till.db"]
    assert report.versions.copies == ()


@pytest.mark.parametrize("what", ["records", "ships", "takes over"])
def test_copies_that_went_on_apart_are_named(site, what):
    """Neither tells of profiles: some of what one sent, the other has sent, too."""
    with site.device("till") as recorder:
        recorder.people_increment("ada", {"visits": 1})
        if what == "records":
            site.ship(recorder)
        elif what == "takes over":
            site.ship(recorder, COUNTED, 1)
    shutil.copy(site.path("till"), site.path("copy"))
    for name, times in (("till", 1), ("copy", 2)):
        with site.device(name) as recorder:
            if what == "takes over":
                site.ship(recorder)
            for _ in range(times):
                if what == "records":
                    recorder.people_increment("ada", {"visits": 1})
                elif what == "ships":
                    site.ship(recorder)
    site.write_export()
    report = site.inspect()
    assert [[file.rpartition("/")[2] for file in files] for files in report.versions.copies] == [
        ["copy.db", "till.db"]
    ]
    assert found(report) == []
    assert calling(report) == {"copy.db", "till.db"}
