"""`restante status`: the sentence, the accounts, and the exit code a monitor asks for."""

import dataclasses
import os
import re
import sqlite3
import time
from contextlib import closing

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from recorder import (
    HttpTransport,
    Journal,
    JournalReader,
    Recorder,
    Shipper,
    ShippingPolicy,
    State,
    Statistics,
)
from recorder.journal.locks import ShipLock
from recorder.journal.uptime import uptime
from recorder.model.entries import NewEntry
from tests.doubles import ACCEPTED, AT_ONCE, PATIENCE, RESET, Scripted

UPDATES = [{"$distinct_id": f"u{number}", "$set": {"n": number}} for number in range(3)]
BALANCE = "recorded 3 = pending 3 + in doubt 0 + shipped 0 + rejected 0"


@pytest.fixture
def ship(journal, service):
    """Ship in this process, with the faults given; the command under test only looks."""

    def send(*faults, limit=None, **policy):
        service.set_faults(faults)
        transport = HttpTransport(url=service.url)
        with Journal(journal) as opened:
            report = Shipper(opened, transport, ShippingPolicy(**policy)).ship(limit=limit)
        transport.close()
        return report

    return send


@pytest.fixture
def status(restante, journal):
    return lambda *arguments: restante("status", "-j", journal, *arguments)


# --- the sentence for each situation


def test_empty_journal_is_reported(journal, status):
    Journal(journal, token="T").close()
    ran = status()
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Nothing is recorded yet.\nrecorded 0 = ")


def test_no_shipper_was_ever_seen(append, status):
    append(*UPDATES)
    ran = status()
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("No shipper is running (none was ever seen).")
    assert ran.out.splitlines()[1] == BALANCE


def test_last_shipper_is_shown(append, status, ship):
    append(*UPDATES)
    ship(limit=1)
    first = status().out.splitlines()[0]
    assert first.startswith("No shipper is running (last seen ")
    assert "2 entries unsent" in first


def test_all_shipped(append, status, ship):
    append(*UPDATES)
    ship()
    ran = status()
    assert ran.code == 0
    assert ran.out.startswith(
        "All shipped.\nrecorded 3 = pending 0 + in doubt 0 + shipped 3 + rejected 0\njournal: "
    )


def test_process_that_ships_is_named(append, journal, status):
    append(*UPDATES)
    with Journal(journal) as opened, ShipLock(journal):
        opened.claims.take_over(time.time(), uptime(), service="", policy=ShippingPolicy())
        ran = status()
    assert ran.code == 0
    assert ran.out.startswith(f"Process {os.getpid()} is shipping. Nothing is lost: 3 entries unsent.\n")


def test_offline_is_no_alarm(restante, journal, append, status, closed_port):
    append(*UPDATES)
    restante("ship", "-j", journal, "--url", closed_port)
    ran = status()
    assert ran.code == 0
    assert ran.out.startswith("Offline")
    assert ": connection refused." in ran.out
    assert "3 entries unsent" in ran.out


def test_login_page_is_offline(append, status, ship):
    append(*UPDATES)
    ship({"at": 1, "fault": "garbage"})
    assert status("--json").json["shipping"]["state"] == "offline"


def test_waiting_says_the_services_words(append, status, ship):
    append(*UPDATES)
    ship({"at": 1, "fault": "status", "code": 429, "retry_after": 30})
    ran = status()
    assert ran.code == 0
    assert re.match(r"Asked to wait(?: \d+ s ago)?: HTTP 429: Too Many Requests\.", ran.out)


def test_in_doubt_needs_attention(append, status, ship):
    append(*UPDATES)
    ship({"at": 1, "fault": "ack_lost"})
    ran = status()
    assert ran.code == 1
    assert re.match(r"Waiting(?: for \d+ s)?: no answer says whether the last request arrived", ran.out)
    assert "3 of them in doubt" in ran.out.splitlines()[0]
    assert ran.out.splitlines()[1] == "recorded 3 = pending 0 + in doubt 3 + shipped 0 + rejected 0"


def test_possibly_twice_is_counted(append, status, ship):
    append(*({"$distinct_id": "ada", "$add": {"visits": 1}} for _ in range(3)))
    ship({"at": 1, "fault": "ack_lost"}, settle_after=0)
    while ship(settle_after=0).pending:
        pass
    ran = status()
    assert ran.code == 0
    assert ran.out.startswith("All shipped.\n")
    assert "possibly applied twice: 3\n" in ran.out
    assert "out of order" not in ran.out


def test_entries_out_of_order_are_counted(journal, append, status, ship):
    append(*UPDATES, UPDATES[0])
    with Journal(journal) as opened:
        opened.discard("seq=1")
        ship()
        opened.retry("seq=1")
    assert "out of order: 1\n" in status().out


def test_settling_time_is_shown(append, status, ship):
    append(*UPDATES)
    ship({"at": 1, "fault": "ack_lost"}, settle_after=300)
    ran = status()
    assert re.search(r"What is in doubt may still arrive: its profiles wait [45] m more\.", ran.out)
    assert "No shipper is running; `restante ship` tries again." in ran.out


def test_held_entries_need_a_person(append, status, ship):
    append({"$distinct_id": "ada", "$add": {"visits": 1}})
    ship({"at": 1, "fault": "ack_lost"}, settle_after=0, in_doubt="hold")
    append({"$distinct_id": "ada", "$add": {"visits": 1}})
    assert ship(settle_after=0, in_doubt="hold").stopped_by == "done"
    ran = status()
    assert ran.code == 1
    assert (
        "Held for a person to decide: 1 profile, and 1 entry behind; `restante retry state=in_doubt`"
        in ran.out
    )
    assert status("--json").json["shipping"]["state"] == "waiting"


def test_paused_needs_attention(append, status, ship):
    append(*UPDATES)
    ship({"at": 1, "fault": "status", "code": 401})
    ran = status()
    assert ran.code == 1
    assert re.match(
        r"Paused(?: for \d+ s so far)?, something must be fixed: HTTP 401: Unauthorized\.", ran.out
    )
    assert "`restante token` changes the project's token." in ran.out


def test_rejected_entries_need_attention(journal, status, ship):
    with Recorder("T", journal, on_invalid="reject") as recorder:
        recorder.people_increment("ada", {"visits": "two"})
        recorder.people_set("ada", {"plan": "pro"})
    ship()
    ran = status()
    assert ran.code == 1
    assert ran.out.splitlines()[0] == "All shipped but 1 rejected entry."
    assert ran.out.splitlines()[1] == "recorded 2 = pending 0 + in doubt 0 + shipped 1 + rejected 1"


def test_service_words_are_escaped(restante, journal, append, ship):
    append({"$distinct_id": "ada", "$set": {"plan": "pro"}})
    ship({"at": 1, "fault": "status", "code": 429})
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("UPDATE lanes SET cause = ?", ("slow \x1b]0;pwned\x07\u202e down",))
    connection.close()
    ran = restante.on_terminal("status", "-j", journal, environment={"NO_COLOR": "1"})
    assert ran.code == 0
    assert "slow \\x1b]0;pwned\\x07\\u202e down" in ran.out
    assert ran.out.replace("\n", "").isprintable()


# --- for programs


def test_json_has_sentence_shipping_accounts(append, status):
    append(*UPDATES)
    ran = status("--json")
    assert (ran.code, ran.err) == (0, "")
    told = ran.json
    assert list(told) == ["sentence", "shipping", "accounts"]
    assert told["sentence"] == status().out.splitlines()[0]
    assert told["shipping"] == {
        "state": "no_shipper",
        "since": None,
        "retry_at": None,
        "cause": "",
        "destination": None,
        "old_events": 0,
        "senders": {},
    }
    assert list(told["accounts"]) == [*(field.name for field in dataclasses.fields(Statistics)), "unsent"]
    assert told["accounts"]["recorded"] == sum(told["accounts"][state] for state in State) == 3
    assert told["accounts"]["unsent"] == 3
    assert told["accounts"]["bytes"] > 0
    assert 0 <= told["accounts"]["oldest_pending_seconds"] < 60


def test_json_of_outage_has_times(restante, journal, append, status, closed_port):
    before = time.time()
    append(*UPDATES)
    restante("ship", "-j", journal, "--url", closed_port)
    told = status("--json").json["shipping"]
    assert (told["state"], told["cause"]) == ("offline", "connection refused")
    assert before <= told["since"] <= told["retry_at"] <= time.time() + 60


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ({"at": 1, "fault": "status", "code": 429}, "waiting"),
        ({"at": 1, "fault": "reset"}, "waiting"),
        ({"at": 1, "fault": "status", "code": 404}, "paused"),
        ({"at": 9, "fault": "reset"}, "done"),
    ],
)
def test_json_state_is_one_word(append, status, ship, fault, state):
    append(*UPDATES)
    ship(fault)
    assert status("--json").json["shipping"]["state"] == state


def test_old_events_are_counted(journal, append, status):
    """Those that go to /import, waiting or pending; not the young ones, and no updates."""
    old, young = (
        NewEntry("events", None, None, None, '{"event":"e","properties":{}}', time.time() - days * 86_400)
        for days in (4.1, 3.9)
    )
    append(*UPDATES, recorded_at=old.recorded_at)
    with Journal(journal) as opened:
        opened.append([old, old, old, young])
        opened.discard("seq=4")
        assert status("--json").json["shipping"]["old_events"] == 2
        Shipper(opened, Scripted(ACCEPTED, RESET), AT_ONCE).ship()
    assert status("--json").json["shipping"]["old_events"] == 2
    assert "\nevents older than four days, which go to /import: 2\n" in status().out


# --- how old it may be


def test_max_age_needs_attention(append, status):
    append(*UPDATES, recorded_at=time.time() - 7_200)
    assert status().code == 0
    assert status("--max-age", "3h").code == 0
    late = status("--max-age", "1.5h")
    assert late.code == 1
    assert "oldest unsent: 2 h\n" in late.out
    assert status("--json", "--max-age", "7000s").code == 1


def test_shipped_entries_are_never_too_old(append, status, ship):
    append(*UPDATES, recorded_at=time.time() - 7_200)
    ship()
    assert status("--max-age", "1s").code == 0


@pytest.mark.parametrize("span", ["", "90", "h", "1y", "an hour", "nans", "infd", "-1h"])
def test_bad_span_is_refused(append, status, span):
    append(*UPDATES)
    ran = status(f"--max-age={span}")
    assert (ran.code, ran.out) == (2, "")
    assert "90s, 5m, 1h" in " ".join(ran.err.split())


# --- looking changes nothing


def test_missing_journal_is_refused(journal, tmp_path, status):
    ran = status()
    assert (ran.code, ran.out) == (2, "")
    assert f"no journal at {journal}" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_status_answers_while_another_process_writes(journal, append, status):
    append(*UPDATES)
    with Journal(journal) as writer, writer._connection.transaction():
        ran = status()
    assert ran.code == 0
    assert ran.out.splitlines()[1] == BALANCE


# --- after the clock was set


@pytest.mark.parametrize("off", [-86_400 * 30, 86_400 * 30])
def test_waits_do_not_follow_the_clock(restante, journal, append, off):
    """It was set while the lane waited for an hour, as the service asked."""
    append({"$distinct_id": "ada", "$set": {"plan": "pro"}})
    with Journal(journal) as opened:
        Shipper(opened, Scripted(PATIENCE), AT_ONCE, clock=lambda: time.time() - off).ship()
    (sentence, *_) = restante("status", "-j", journal).out.splitlines()
    assert "Due in 59 m." in sentence
    if off < 0:
        assert "ago" not in sentence
    with JournalReader(journal) as reader:
        (lane,) = reader.shipping().lanes
    assert 3_590 < lane.retry_at - time.time() <= 3_600
    assert restante("doctor", "-j", journal).code in {0, 1}


def test_openmetrics_are_of_this_journal(status, journal):
    with Recorder("T", journal) as recorder:
        for message in UPDATES:
            recorder.people_update(message)
    ran = status("--format", "openmetrics")
    samples = {
        (sample.name, sample.labels.get("state")): sample.value
        for family in text_string_to_metric_families(ran.out)
        for sample in family.samples
        if sample.labels["journal"] == str(journal)
    }
    assert samples["restante_recorded_entries_total", None] == 3
    assert samples["restante_entries", "pending"] == 3
    assert status("--json", "--format", "openmetrics").code == 2


def test_senders_of_a_relay_are_named(journal, status):
    with Journal(journal, token="T") as opened:
        opened.note_senders({"node 0.24.0": 1_200, "x\x1b[31m": 1})
        opened.note_senders({"node 0.24.0": 3})
    out = status().out
    assert "taken from node 0.24.0 (1,203 messages, 0 s ago)," in out
    assert "\x1b" not in out
    assert status("--json").json["shipping"]["senders"]["node 0.24.0"]["messages"] == 1_203


def test_terminal_shows_the_home_view(restante, journal, append, ship):
    append(*UPDATES)
    ship({"at": 1, "fault": "status", "code": 401})
    ran = restante.on_terminal("status", "-j", journal, "--max-age", "0s", environment={"NO_COLOR": ""})
    assert ran.code == 1
    lines = re.sub(r"\x1b\[[0-9;]*m", "", ran.out).splitlines()
    assert lines[0].startswith(f" {journal.name}   ! 2 THINGS NEED YOU   ‖ PAUSED")
    assert lines[1].startswith(" 1  Shipping is paused")
    assert "`restante token TOKEN`, `restante ship`" in lines[2]
    assert lines[3].startswith(" 2  The oldest unsent entry has waited ")
    assert any(line.startswith(" recorded 3 = unsent 3 (pending 3) + shipped 0  ✓ adds up") for line in lines)
    assert "\x1b[31m" in ran.out
    assert max(map(len, lines)) <= 80
