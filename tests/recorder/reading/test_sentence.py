"""The sentence: how shipping stands, from the accounts and what the shipper wrote down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import ShipReport, Statistics
from recorder.model.entries import AttemptOutcome
from recorder.model.operations import Lane
from recorder.model.shipping import LaneStatus, ShipperStatus, Unanswered
from recorder.reading.sentence import report_sentence, shipping_of

STOPPED = [AttemptOutcome.OFFLINE, AttemptOutcome.PAUSED, AttemptOutcome.WAIT, AttemptOutcome.UNKNOWN]

NOW = 1_000_000.0
PENDING = Statistics(recorded=12_000, pending=12_000)


def lane(
    outcome, cause="connection refused", *, of=Lane.PEOPLE, since=NOW - 240, failures=3, retry_at=NOW + 48
):
    return LaneStatus(
        lane=of, outcome=outcome, cause=cause, since=since, failures=failures, retry_at=retry_at
    )


def told(statistics=PENDING, *lanes, **shipper):
    return shipping_of(statistics, ShipperStatus(lanes=lanes, **shipper), now=NOW)


def test_nothing_recorded_yet():
    shipping = told(Statistics())
    assert (shipping.state, shipping.sentence) == ("done", "Nothing is recorded yet.")


@pytest.mark.parametrize(
    ("rejected", "sentence"),
    [
        (0, "All shipped."),
        (1, "All shipped but 1 rejected entry."),
        (12_000, "All shipped but 12,000 rejected entries."),
    ],
)
def test_all_shipped_names_what_was_rejected(rejected, sentence):
    shipping = told(Statistics(recorded=rejected + 5, shipped=5, rejected=rejected))
    assert (shipping.state, shipping.sentence) == ("done", sentence)


def test_all_shipped_names_what_was_discarded():
    statistics = Statistics(recorded=4, shipped=1, rejected=2, discarded=1)
    assert told(statistics).sentence == "All shipped but 2 rejected entries and 1 discarded entry."


def test_nothing_unsent_is_done():
    shipping = told(Statistics(recorded=1, shipped=1), lane(AttemptOutcome.OFFLINE))
    assert (shipping.state, shipping.cause, shipping.retry_at) == ("done", "", None)


def test_no_shipper_was_ever_seen():
    shipping = told()
    assert shipping.state == "no_shipper"
    assert shipping.sentence == (
        "No shipper is running (none was ever seen). Nothing is lost: 12,000 entries unsent."
    )


def test_last_shipper_is_named():
    shipping = told(Statistics(recorded=1, pending=1), pid=7, seen_at=NOW - 7_201)
    assert shipping.sentence == "No shipper is running (last seen 2 h ago). Nothing is lost: 1 entry unsent."


def test_shipping_names_the_process():
    shipping = told(PENDING, lane(AttemptOutcome.SHIPPED, ""), pid=4711, running=True, seen_at=NOW)
    assert shipping.state == "shipping"
    assert shipping.sentence.startswith("Process 4711 is shipping.")


def test_offline_says_since_and_next():
    shipping = told(PENDING, lane(AttemptOutcome.OFFLINE), running=True, pid=7)
    assert shipping.state == "offline"
    assert (shipping.since, shipping.retry_at, shipping.cause) == (NOW - 240, NOW + 48, "connection refused")
    assert shipping.sentence == (
        "Offline for 4 m so far: connection refused. Next try in 48 s (failure 3). "
        "Nothing is lost: 12,000 entries unsent."
    )


def test_offline_without_shipper_says_so():
    sentence = told(PENDING, lane(AttemptOutcome.OFFLINE)).sentence
    assert "No shipper is running; `restante ship` tries again." in sentence
    assert "Next try" not in sentence


@pytest.mark.parametrize("retry_at", [None, NOW, NOW - 5])
def test_try_that_is_due_is_now(retry_at):
    assert (
        "Next try now (failure 3)."
        in told(PENDING, lane(AttemptOutcome.OFFLINE, retry_at=retry_at), running=True).sentence
    )


@pytest.mark.parametrize(
    ("outcome", "state", "begins"),
    [
        (AttemptOutcome.WAIT, "waiting", "Asked to wait 4 m ago: slow down."),
        (
            AttemptOutcome.UNKNOWN,
            "waiting",
            "Waiting for 4 m so far: no answer says whether the last request arrived (slow down).",
        ),
        (AttemptOutcome.PAUSED, "paused", "Paused for 4 m so far, something must be fixed: slow down."),
    ],
)
def test_trouble_names_its_cause(outcome, state, begins):
    shipping = told(PENDING, lane(outcome, "slow down"))
    assert shipping.state == state
    assert shipping.sentence.startswith(begins)


def test_trouble_may_lack_a_beginning():
    assert told(PENDING, lane(AttemptOutcome.OFFLINE, since=None)).sentence.startswith(
        "Offline: connection refused."
    )


def test_worst_lane_needs_a_person():
    lanes = [
        lane(AttemptOutcome.SHIPPED, "", of=Lane.EVENTS),
        lane(AttemptOutcome.WAIT, "patience", of=Lane.PEOPLE),
        lane(AttemptOutcome.PAUSED, "HTTP 401", of=Lane.GROUPS),
        lane(AttemptOutcome.OFFLINE, "refused", of=Lane.IMPORTS),
    ]
    assert told(PENDING, *lanes).cause == "HTTP 401"
    assert told(PENDING, *lanes[::-1]).cause == "HTTP 401"
    assert told(PENDING, lanes[1], lanes[3]).state == "offline"
    assert told(PENDING, lanes[0], lanes[1]).state == "waiting"


def test_working_lane_is_no_trouble():
    assert (
        told(PENDING, lane(AttemptOutcome.SHIPPED, ""), lane(None, "", of=Lane.GROUPS)).state == "no_shipper"
    )


def test_left_counts_all_unsent():
    statistics = Statistics(recorded=2_010, pending=1, sending=2, waiting=3, in_doubt=2_000, shipped=4)
    assert told(statistics).sentence.endswith(
        "Nothing is lost: 2,006 entries unsent, 2,000 of them in doubt."
    )


# --- what is set aside


DOUBT = Statistics(recorded=5, in_doubt=5)
BEHIND = Statistics(recorded=9, in_doubt=3, waiting=2, pending=4)
DECIDE = "`restante retry state=in_doubt`, or `discard`"


def test_settling_says_how_long():
    shipping = told(DOUBT, lane(AttemptOutcome.SHIPPED, ""), running=True, settling_until=NOW + 28.4)
    assert (shipping.state, shipping.retry_at) == ("waiting", NOW + 28.4)
    assert shipping.cause == "what is in doubt may still arrive"
    assert shipping.sentence == (
        "What is in doubt may still arrive: its profiles wait 28 s more. "
        "Nothing is lost: 5 entries unsent, 5 of them in doubt."
    )


def test_settling_without_shipper_says_so():
    sentence = told(DOUBT, settling_until=NOW + 28).sentence
    assert sentence.startswith("No shipper is running; `restante ship` continues. What is in doubt may still")


def test_unknown_outcome_waits_for_settling():
    shipping = told(
        DOUBT, lane(AttemptOutcome.UNKNOWN, "reset", retry_at=NOW - 1), running=True, settling_until=NOW + 20
    )
    assert shipping.retry_at == NOW + 20
    assert "Next try in 20 s" in shipping.sentence


def test_other_entries_skip_settling():
    unknown = lane(AttemptOutcome.UNKNOWN, "reset", retry_at=NOW + 1)
    shipping = told(BEHIND, unknown, running=True, settling_until=NOW + 20)
    assert shipping.retry_at == NOW + 1
    assert "its profiles wait 20 s more" in shipping.sentence


def test_held_names_who_decides():
    shipping = told(Statistics(recorded=5, in_doubt=3, waiting=2), held=1, running=True)
    assert (shipping.state, shipping.cause) == ("waiting", "held for a person to decide")
    assert shipping.sentence == (
        f"Held for a person to decide: 1 profile, and 2 entries behind; {DECIDE}. "
        "Nothing is lost: 5 entries unsent, 3 of them in doubt."
    )


def test_held_and_counted_names_settle():
    # One more is pending, of a profile that nothing holds.
    shipping = told(Statistics(recorded=4, pending=1, in_doubt=3), held=2, held_counted=1, running=True)
    assert f"decide: 2 profiles; `restante settle` reads what was applied, or {DECIDE}." in shipping.sentence


def test_held_is_named_while_shipping():
    shipping = told(BEHIND, lane(AttemptOutcome.SHIPPED, ""), held=2, running=True, pid=7)
    assert shipping.state == "shipping"
    assert shipping.sentence.startswith("Process 7 is shipping. Held for a person to decide: 2 profiles")
    assert told(BEHIND, lane(AttemptOutcome.OFFLINE), held=2).state == "offline"


def test_retried_entries_are_unsent():
    assert told(Statistics(recorded=2, waiting=2)).state == "no_shipper"


# --- what came of shipping


def reported(statistics=None, settling_until=None, held=0, **report):
    statistics = statistics or Statistics(
        pending=report.get("pending", 0), in_doubt=report.get("in_doubt", 0)
    )
    shipper = ShipperStatus(settling_until=settling_until, held=held)
    return report_sentence(ShipReport(**report), statistics, shipper, now=NOW)


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        ({"shipped": 5, "requests": 1}, "Shipped 5 entries in 1 request. Nothing is left."),
        (
            {"shipped": 1, "requests": 4, "rejected": 2},
            "Shipped 1 entry in 4 requests. 2 rejected: `restante entries state=rejected`. Nothing is left.",
        ),
        (
            {"stopped_by": "offline", "message": "connection refused", "pending": 5},
            "Shipped 0 entries in 0 requests. Offline: connection refused. The rest is kept (5 entries unsent).",
        ),
        (
            {
                "stopped_by": "waiting",
                "message": "slow down",
                "pending": 5,
                "retry_at": NOW + 90,
                "requests": 1,
            },
            "Shipped 0 entries in 1 request. Stopped: slow down. Due in 1 m. The rest is kept (5 entries unsent).",
        ),
        (
            {"stopped_by": "paused", "message": "HTTP 401", "pending": 5, "requests": 1},
            (
                "Shipped 0 entries in 1 request. Stopped, something must be fixed: HTTP 401. "
                "`restante token` changes the project's token. "
                "The rest is kept (5 entries unsent)."
            ),
        ),
        (
            {"stopped_by": "waiting", "message": "reset", "in_doubt": 5, "requests": 1, "retry_at": NOW + 1},
            (
                "Shipped 0 entries in 1 request. Stopped: reset. Due in 30 s. "
                "The rest is kept (5 entries unsent, 5 of them in doubt)."
            ),
        ),
    ],
)
def test_report_says_what_stopped_it(report, sentence):
    assert reported(**report, settling_until=NOW + 30.5) == sentence


def test_browser_names_no_commands():
    statistics, shipper = Statistics(waiting=2, in_doubt=3), ShipperStatus(held=1)
    report = ShipReport(rejected=4, requests=1, pending=2)
    assert report_sentence(report, statistics, shipper, now=NOW, commands=False) == (
        "Shipped 0 entries in 1 request. 4 rejected. 1 profile held: 3 entries may have been applied. 2 wait behind. "
        "The rest is kept (5 entries unsent, 3 of them in doubt)."
    )


def test_report_names_who_decides():
    statistics = Statistics(waiting=2, in_doubt=3)
    assert reported(statistics, shipped=1, requests=1, pending=2, held=1) == (
        f"Shipped 1 entry in 1 request. Held for a person to decide: 1 profile, and 2 entries behind; {DECIDE}. "
        "The rest is kept (5 entries unsent, 3 of them in doubt)."
    )


@given(
    st.text(),
    st.sampled_from(STOPPED),
)
def test_sentence_is_one_printable_line(cause, outcome):
    shipping = told(PENDING, lane(outcome, cause))
    assert shipping.sentence.isprintable()
    assert "  " not in shipping.sentence


def test_full_journal_comes_first():
    shipper = ShipperStatus(
        full=True, lanes=(LaneStatus(lane=Lane.PEOPLE, outcome=AttemptOutcome.OFFLINE, cause="no"),)
    )
    said = shipping_of(Statistics(recorded=3, pending=3), shipper, now=0.0)
    assert said.state == "full"
    assert said.sentence.startswith(
        "The journal is full: nothing more is recorded until something is shipped."
    )
    assert "Offline: no." in said.sentence


def test_clock_that_was_set_back_is_told():
    sentence = told(Statistics(recorded=1, pending=1), pid=7, seen_at=NOW + 7_300).sentence
    assert sentence.startswith("No shipper is running (last seen before the clock was set back).")
    sentence = told(PENDING, lane(AttemptOutcome.OFFLINE, since=NOW + 3_600)).sentence
    assert sentence.startswith("Offline: connection refused.")


@pytest.mark.parametrize(
    ("statistics", "sentence"),
    [
        (Statistics(recorded=2, shipped=1, lost=1), "All shipped but 1 lost entry."),
        (Statistics(recorded=2, discarded=2), "Nothing is left to ship but 2 discarded entries."),
        (Statistics(recorded=1, forgotten=1), "Nothing is left to ship."),
    ],
)
def test_not_all_was_shipped(statistics, sentence):
    assert told(statistics).sentence == sentence


@pytest.mark.parametrize(
    "statistics",
    [Statistics(recorded=3, pending=1, lost=2), Statistics(recorded=3, pending=1)],
    ids=["lost", "does not add up"],
)
def test_something_may_be_lost(statistics):
    sentence = told(statistics).sentence
    assert "Nothing is lost" not in sentence
    assert sentence.endswith("Still to be sent: 1 entry unsent.")


@pytest.mark.parametrize(
    ("unanswered", "sentence"),
    [
        (
            Unanswered(profiles=1, tries=12, first=812, retry_at=NOW + 240),
            "1 profile is never answered (12 tries): `restante discard seq=812`, or wait 4 m for the next try.",
        ),
        (
            Unanswered(profiles=3, tries=1_200, first=812, retry_at=NOW),
            "3 profiles are never answered (up to 1,200 tries): discard those that `restante entries",
        ),
    ],
)
def test_what_is_never_answered_is_told(unanswered, sentence):
    shipping = told(Statistics(recorded=5, shipped=4, in_doubt=1), running=True, pid=7, unanswered=unanswered)
    assert sentence in shipping.sentence
    assert (shipping.state, shipping.cause, shipping.retry_at) == (
        "waiting",
        "never answered",
        unanswered.retry_at,
    )
