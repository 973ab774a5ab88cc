"""`restante retry` and `restante discard`: what is asked, what is taken, and what the exit code says."""

import dataclasses
import shutil
import sqlite3
from contextlib import closing
from functools import partial

import pytest

from recorder import HttpTransport, Journal, JournalReader, Recorder, Shipper, ShippingPolicy
from recorder.journal.decisions import Decision
from simulator.service.server import Service
from tests.profiles import sampled
from tests.tui.conftest import append_to
from tests.tui.terminal import Terminal

GOOD = {"$distinct_id": "ada", "$set": {"plan": "pro"}}
ADD = {"$distinct_id": "ada", "$add": {"visits": 1}}
REFUSED = {"$distinct_id": "bob", "$add": {"visits": "two"}}  # by the service


@pytest.fixture
def ship(journal, service):
    """Ship in this process, with the faults given; the command under test decides afterwards."""
    return partial(shipped, journal, service)


def shipped(journal, service, *faults, in_doubt="hold"):
    service.set_faults(faults)
    transport = HttpTransport(url=service.url)
    policy = ShippingPolicy(in_doubt=in_doubt, settle_after=0)
    with Journal(journal) as opened:
        shipper = Shipper(opened, transport, policy)
        report = shipper.ship()
        if report.in_doubt:
            report = shipper.ship()
    transport.close()
    return report


def states(journal):
    with JournalReader(journal) as reader:
        return {entry.seq: entry.state.value for entry in reader.entries()}


def discard(journal, expression):
    with Journal(journal) as opened:
        return opened.discard(expression)


@pytest.fixture
def set_aside(journal, shipped_once):
    """A copy for one test to decide about."""
    shutil.copy(shipped_once, journal)
    return journal


@pytest.fixture(scope="module")
def shipped_once(tmp_path_factory):
    """Entry 1 is shipped, 2 rejected by the service, 3 in doubt and held, 4 waits behind it, 5 is shipped."""
    path = tmp_path_factory.mktemp("shipped") / "kiosk.db"
    with Service(mixed="reject-all") as service:
        append_to(path, GOOD, REFUSED)
        shipped(path, service)
        append_to(path, ADD)
        shipped(path, service, {"at": 1, "fault": "ack_lost"})
        append_to(path, ADD, {"$distinct_id": "eve", "$set": {"plan": "free"}})
        shipped(path, service)
    return path


def test_the_story_is_as_told(set_aside):
    assert states(set_aside) == {1: "shipped", 2: "rejected", 3: "in_doubt", 4: "waiting", 5: "shipped"}


# --- asking


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_without_a_filter_nothing_is_done(restante, set_aside, verb):
    before = states(set_aside)
    ran = restante(verb, "--yes", "-j", set_aside)
    assert (ran.code, ran.out) == (2, "")
    assert "--all" in ran.err
    assert states(set_aside) == before


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_filter_and_all_are_refused(restante, set_aside, verb):
    ran = restante(verb, "--all", "state=rejected", "--yes", "-j", set_aside)
    assert (ran.code, ran.out) == (2, "")
    assert "not both" in ran.err


@pytest.mark.parametrize("verb", ["retry", "discard"])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_yes_is_required_without_terminal(restante, set_aside, verb, more):
    before = states(set_aside)
    ran = restante(verb, "state=in_doubt", "-j", set_aside, *more)
    assert (ran.code, ran.out) == (2, "")
    assert "give --yes" in ran.err
    assert "1 entry will be" in ran.err
    assert states(set_aside) == before


def test_unreadable_entry_can_be_decided(restante, set_aside):
    """Its effect on the profile is not known."""
    with closing(sqlite3.connect(set_aside)) as connection, connection:
        connection.execute("UPDATE entries SET message = '{' WHERE seq = 2")
    ran = restante("discard", "seq=2", "-j", set_aside)
    assert "Not simulated: what changes is not known." in ran.err
    assert restante("discard", "seq=2", "--yes", "-j", set_aside).code == 0


@pytest.mark.parametrize("answer", sampled(["n\n", "\n", "\x04", "never\n"], 2))
def test_refusal_changes_nothing(restante, set_aside, answer):
    before = states(set_aside)
    ran = restante.on_terminal("discard", "state=in_doubt", "-j", set_aside, typed=answer)
    assert ran.code == 1
    assert "Discard 1 entry? [y/N]" in ran.out
    assert ran.out.endswith("Nothing was changed.\n")
    assert states(set_aside) == before


@pytest.mark.parametrize("answer", sampled(["y\n", "YES\n"], 2))
def test_agreement_is_carried_out(restante, set_aside, answer):
    ran = restante.on_terminal("retry", "state=in_doubt", "-j", set_aside, typed=answer)
    assert ran.code == 0
    assert "1 entry will be sent again: 1 may be applied twice.\n" in ran.out
    assert "visits  -         1        1 or 2 (twice)\n" in ran.out
    assert "Retry 1 entry? [y/N]" in ran.out
    assert states(set_aside)[3] == "waiting"


def test_preview_fits_where_it_shows(restante, journal, append):
    """It goes to standard error: its terminal counts, also where standard output is none."""
    append({"$distinct_id": "ada", "$set": {"note": "word " * 20}})
    shown = Terminal()
    restante(
        "discard", "--all", "-j", journal, stdin=Terminal("n\n"), stderr=shown, environment={"COLUMNS": "50"}
    )
    head, row = shown.plain.splitlines()[1:3]
    assert (head[:3], head[-13:], row[:4], row[-1]) == ("ada", "after discard", "note", "-")


def test_hazard_is_shown_first(restante, journal, append, ship):
    append(REFUSED, {"$distinct_id": "bob", "$add": {"visits": 2}})
    ship()
    ran = restante("retry", "state=rejected", "-j", journal)
    assert ran.code == 2
    assert "1 entry will be sent again: 1 out of order, after later ones of the same profile." in ran.err


# --- doing


def test_retried_entry_keeps_its_number(restante, journal, append, ship):
    append(REFUSED)
    ship()
    assert states(journal) == {1: "rejected"}
    ran = restante("retry", "state=rejected", "--yes", "-j", journal)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "1 entry will be sent again.\n"
    assert states(journal) == {1: "waiting"}


def test_discarding_releases_later_entries(restante, set_aside, ship):
    ran = restante("discard", "state=in_doubt", "--yes", "-j", set_aside)
    assert (ran.code, ran.out, ran.err) == (0, "", "Discarded 1 entry.\n")
    ship()
    assert states(set_aside) == {1: "shipped", 2: "rejected", 3: "discarded", 4: "shipped", 5: "shipped"}


def test_all_ignores_other_states(restante, set_aside):
    ran = restante("retry", "--all", "--yes", "-j", set_aside)
    assert ran.code == 0
    assert "Skipped" not in ran.err
    assert states(set_aside) == {1: "shipped", 2: "waiting", 3: "waiting", 4: "waiting", 5: "shipped"}
    ran = restante("discard", "--all", "--yes", "-j", set_aside)
    assert (ran.code, ran.err) == (0, "Discarded 3 entries.\n")


def test_quoted_filter_is_split(restante, set_aside):
    assert restante("discard", "state=rejected op=add", "--yes", "-j", set_aside).code == 0
    assert states(set_aside)[2] == "discarded"


def test_refused_entries_are_counted(restante, set_aside):
    ran = restante("retry", "profile=ada", "--yes", "-j", set_aside)
    assert ran.code == 1
    assert ran.err.splitlines()[0].startswith("1 entry will be sent again")
    assert "Skipped: 1 (it was shipped).\n" in ran.err
    assert "Skipped: 1 (it is to be sent anyway).\n" in ran.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["profile=nobody"], "No entry matches.\n"),
        (["state=shipped"], "There is nothing to retry.\nSkipped: 2 (it was shipped).\n"),
    ],
)
def test_no_match_asks_nothing(restante, set_aside, words, says):
    ran = restante("retry", *words, "-j", set_aside)
    assert (ran.code, ran.out, ran.err) == (1, "", says)


def test_malformed_entry_is_not_retried(restante, journal):
    with Recorder("T", journal, on_invalid="reject") as recorder:
        recorder.people_increment("ada", {"visits": "two"})
    ran = restante("retry", "--all", "--yes", "-j", journal)
    assert ran.code == 1
    assert "restante edit" in ran.err


def test_discarded_entries_can_be_retried(restante, journal, append):
    append(GOOD, ADD)
    discard(journal, "op=add")
    assert restante("retry", "state=discarded", "--yes", "-j", journal).code == 0
    assert states(journal) == {1: "pending", 2: "pending"}


# --- for programs


def test_json_has_the_decision(restante, set_aside):
    ran = restante("retry", "profile=ada", "--yes", "--json", "-j", set_aside)
    assert (ran.code, ran.err) == (1, "")
    assert list(ran.json) == [field.name for field in dataclasses.fields(Decision)]
    assert ran.json == {
        "entries": 1,
        "possibly_twice": 1,
        "out_of_order": 0,
        "counted": 0,
        "harmless": [],
        "refused": {"it was shipped": 1, "it is to be sent anyway": 1},
        "numbers": [3],
    }


def test_json_without_match_is_a_decision(restante, set_aside):
    ran = restante("discard", "profile=nobody", "--json", "-j", set_aside)
    assert ran.code == 1
    assert ran.json["entries"] == 0


# --- wrong input


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_bad_filter_is_refused(restante, set_aside, verb):
    before = states(set_aside)
    ran = restante(verb, "state=lost_in_space", "--yes", "-j", set_aside)
    assert (ran.code, ran.out) == (2, "")
    assert "the states are pending, sending" in ran.err
    assert states(set_aside) == before


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_missing_journal_is_refused(restante, journal, tmp_path, verb):
    ran = restante(verb, "--all", "--yes", "-j", journal)
    assert (ran.code, ran.out) == (2, "")
    assert f"no journal at {journal}" in ran.err
    assert list(tmp_path.iterdir()) == []
