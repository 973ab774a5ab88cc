"""Matters that need a person: which, in which order, in which words, and with which means."""

import pytest

from recorder import State, Statistics
from recorder.model.attention import advice_of, needs, wants_token
from recorder.model.entries import AttemptOutcome
from recorder.model.operations import Lane
from recorder.model.reports import FailureGroup
from recorder.model.shipping import LaneStatus, ShipperStatus, Unanswered

NOW = 1_000_000.0


def lane(cause, of=Lane.PEOPLE, outcome=AttemptOutcome.PAUSED):
    return LaneStatus(lane=of, outcome=outcome, cause=cause, since=NOW - 840)


def group(words, entries, state=State.REJECTED):
    return FailureGroup(
        state=state, words=words, status=400, entries=entries, first_at=NOW, last_at=NOW, first=1, last=9
    )


def told(statistics, failures=(), max_age=None, **shipper):
    return [
        need.text
        for need in needs(statistics, ShipperStatus(**shipper), now=NOW, failures=failures, max_age=max_age)
    ]


@pytest.mark.parametrize(
    "shipper",
    [
        ShipperStatus(),
        ShipperStatus(running=True, lanes=(lane("connection refused", outcome=AttemptOutcome.OFFLINE),)),
        ShipperStatus(lanes=(lane("slow down", outcome=AttemptOutcome.WAIT),)),
    ],
)
def test_outage_needs_nobody(shipper):
    assert needs(Statistics(recorded=9, pending=5, waiting=1, shipped=3), shipper, now=NOW) == []


def test_needs_come_by_urgency():
    statistics = Statistics(
        recorded=2_023, waiting=91, in_doubt=42, shipped=1_874, rejected=15, oldest_pending_seconds=7_200
    )
    shipper = ShipperStatus(
        full=True,
        held=9,
        held_counted=2,
        unanswered=Unanswered(profiles=1, tries=12, first=812, retry_at=NOW + 240),
        lanes=(lane("HTTP 401: Unauthorized"), lane("HTTP 401: Unauthorized", Lane.GROUPS)),
    )
    found = needs(statistics, shipper, now=NOW, max_age=5_400)
    names = ["accounts", "full", "paused", "held", "unanswered", "rejected", "late"]
    assert [need.name for need in found] == names
    texts = {need.name: (need.text, advice_of(need)) for need in found}
    assert texts["held"][0] == "9 profiles held: 42 entries may have been applied. 91 wait behind."
    assert texts["held"][1] == (
        "`restante settle` or `restante entries state=in_doubt` or `restante retry state=in_doubt` or "
        "`restante discard state=in_doubt`"
    )
    assert texts["paused"] == (
        "Shipping is paused for 14 m: HTTP 401: Unauthorized.",
        "`restante token TOKEN` or `restante ship` or `restante retry state=waiting`",
    )
    assert texts["unanswered"][0] == "1 profile is never answered (12 tries). Next try in 4 m."
    assert texts["unanswered"][1].startswith("`restante entries seq=812`")
    assert all(advice for _, advice in texts.values())


@pytest.mark.parametrize(
    ("failures", "text"),
    [
        ((), "16 entries are rejected."),
        ([group("no", 16)], '16 rejected: "no"'),
        ([group("no", 9), group("bad", 6), group("lost", 99, State.LOST), group("bad", 1)],
         '16 rejected in 2 groups: "no" 9, …'),
        ([group("\x1b[31m" + "x" * 90, 16)], '16 rejected: "\\x1b[31m' + "x" * 44 + '…"'),
    ],
)  # fmt: skip
def test_rejected_entries_are_grouped(failures, text):
    assert told(Statistics(recorded=16, rejected=16), failures) == [text]


@pytest.mark.parametrize(
    ("shipper", "text"),
    [
        ({}, "3 entries may have been applied: no answer came. The next shipper settles it."),
        (
            {"running": True, "settling_until": NOW + 25.5},
            "3 entries may have been applied: no answer came. It is settled in 25 s by itself.",
        ),
        (
            {"in_doubt": "hold"},
            "3 entries may have been applied: no answer came. The next shipper holds what may count twice.",
        ),
        (
            {"in_doubt": "hold", "running": True, "settling_until": NOW + 25.5},
            "3 entries may have been applied: no answer came. What may count twice is held for you in 25 s.",
        ),
    ],
)
def test_doubt_is_settled_or_held(shipper, text):
    assert told(Statistics(recorded=3, in_doubt=3), **shipper) == [text]


def test_full_disk_is_freed_by_hand():
    (need,) = needs(Statistics(recorded=1, shipped=1), ShipperStatus(full=True), now=NOW)
    assert advice_of(need) == "Free space on its disk."


def test_paused_lane_without_entries_is_well():
    assert told(Statistics(recorded=1, shipped=1), lanes=(lane("HTTP 401"),)) == []


@pytest.mark.parametrize(
    ("cause", "wanted"),
    [
        ("HTTP 401: Unauthorized", True),
        ("HTTP 403: no", True),
        ("invalid project token", True),
        ("HTTP 404: Not Found", False),
        ("HTTP 401: imports need others (RESTANTE_IMPORT_CREDENTIALS)", False),
    ],
)
def test_refused_token_is_recognised(cause, wanted):
    assert wants_token(cause) is wanted
