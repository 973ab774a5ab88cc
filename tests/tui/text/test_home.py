"""Home as text: what needs a person, what goes on by itself, the flow of a day."""

import pytest

from recorder import Statistics
from recorder.model.entries import AttemptOutcome
from recorder.model.operations import Lane
from recorder.model.reports import Flow
from recorder.model.shipping import LaneStatus, ShipperStatus
from recorder.reading.sentence import shipping_of
from tui.text.facts import Facts
from tui.text.home import Home, by_itself, flow_lines, head_line, home_lines

NOW = 1_000_000.0
OUT = LaneStatus(
    lane=Lane.PEOPLE,
    outcome=AttemptOutcome.OFFLINE,
    cause="connection refused",
    since=NOW - 840,
    failures=6,
    retry_at=NOW + 10.5,
)
DAY = Statistics(recorded=2_023, waiting=91, in_doubt=42, shipped=1_874, rejected=16)


def home(statistics=DAY, recorded=(0,) * 47 + (60,), shipped=(30,) * 48, **shipper):
    status = ShipperStatus(**shipper)
    shipping = shipping_of(statistics, status, now=NOW)
    facts = Facts(now=NOW, statistics=statistics, shipper=status, shipping=shipping)
    flow = Flow(seconds=86_400.0, recorded=recorded, shipped=shipped, lately=(60, 1))
    return Home(facts=facts, failures=(), flow=flow)


def text(line):
    return "".join(part for part, _ in line)


def test_head_counts_what_needs_you():
    out = home(held=9, running=True, lanes=(OUT,))
    assert text(head_line("kiosk.db", out)) == (
        " kiosk.db   ! 2 THINGS NEED YOU   ▼ OFFLINE for 14 m   next try in 10 s"
    )
    well = home(Statistics(recorded=1, shipped=1), running=True)
    assert text(head_line("a\x1b[31m.db", well)) == " a\\x1b[31m.db   ✓ nothing needs you   ▲ online"


@pytest.mark.parametrize(
    ("shipper", "lines"),
    [
        (
            {"running": True, "lanes": (OUT,)},
            [
                (
                    "people: offline for 14 m (connection refused); failed 6 times, next try in 10 s. "
                    "Nothing to do, it goes on by itself."
                )
            ],
        ),
        ({}, ["No shipper is running: an app ships while it runs, or s ships now."]),
        ({"running": True, "held": 1, "settling_until": NOW + 25}, ["The other entries in doubt are settled in 25 s."]),
    ],
)  # fmt: skip
def test_what_needs_nobody_is_told(shipper, lines):
    assert list(by_itself("kiosk.db", home(**shipper), "s ships now")) == lines


def test_empty_journal_says_how_to_begin():
    (told,) = by_itself("kiosk.db", home(Statistics()), "")
    assert 'Recorder("PROJECT", "kiosk.db")' in told


@pytest.mark.parametrize("width", [45, 60, 80, 100, 120, 200])
def test_sparklines_fill_the_width(width):
    """No width shows less than a narrower one."""
    lines = [text(line) for line in flow_lines(home(), width)]
    assert len(lines) == (1 if width >= 100 else 2)
    assert max(map(len, lines)) <= width - 1
    assert all(words in "".join(lines) for words in ("unsent 133 ", " 24 h, most 1,483", "recorded 12/min"))
    assert "shipped 0.2/min" in lines[-1]
    assert sum(line.count("█") for line in lines) >= 2


def test_picture_folds_and_names_commands():
    lines = [text(line) for line in home_lines("kiosk.db", home(held=9, held_counted=1), 60)]
    assert all(len(line) <= 60 for line in lines)
    told = " ".join(" ".join(lines).split())
    assert "`restante settle`, `restante entries state=in_doubt`, `restante retry state=in_doubt`" in told
    assert (
        "recorded 2,023 = unsent 133 (waiting 91, in doubt 42) + shipped 1,874 + rejected 16 ✓ adds up"
        in told
    )


def test_wrong_accounts_say_so():
    lines = [text(line) for line in home_lines("kiosk.db", home(Statistics(recorded=3, shipped=2)), 120)]
    assert any("✗ DOES NOT ADD UP" in line for line in lines)
    assert "1 THING NEEDS YOU" in lines[0]
