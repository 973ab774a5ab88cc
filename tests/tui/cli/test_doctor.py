"""`restante doctor`: a line for each finding, what to do beneath, and an exit code for monitors."""

import pytest

from recorder import Journal, Recorder, Shipper, ShippingPolicy
from tests.doubles import FORBIDDEN, REFUSED, RESET, Scripted

UPDATES = [{"$distinct_id": f"u{number}", "$set": {"n": number}} for number in range(3)]


@pytest.fixture
def journal(on_disk):
    return on_disk / "kiosk.db"


def test_healthy_journal_exits_0(restante, journal, append):
    append(*UPDATES)
    ran = restante("doctor", "-j", journal)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("Nothing needs attention.\n")
    assert "ok    accounts: 3 entries: every account agrees\n" in ran.out


def test_problem_exits_1_with_advice(restante, journal, append):
    append(*UPDATES)
    journal.chmod(0o644)
    ran = restante("doctor", "-j", journal)
    assert ran.code == 1
    assert f"!!    permissions: kiosk.db is open to others (mode 644)\n      chmod 600 {journal}\n" in ran.out
    assert ran.out.endswith("1 thing needs attention.\n")


def test_json_is_the_list_of_findings(restante, journal, append):
    append(*UPDATES)
    journal.chmod(0o644)
    ran = restante("doctor", "--json", "--deep", "-j", journal)
    assert (ran.code, ran.err) == (1, "")
    assert all(set(finding) == {"name", "severity", "text", "advice"} for finding in ran.json)
    assert [finding["name"] for finding in ran.json if finding["severity"] == "attention"] == ["permissions"]


def test_deep_check_shows_progress(restante, journal, append):
    append(*UPDATES)
    ran = restante.on_terminal("doctor", "--deep", "-j", journal)
    assert ran.code == 0
    assert "Looking at table entries, " in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


@pytest.mark.parametrize("content", [None, b"a shopping list, long enough to be looked at, and more\n" * 50])
def test_missing_or_foreign_exits_2(restante, journal, content):
    if content is not None:
        journal.write_bytes(content)
    ran = restante("doctor", "-j", journal)
    assert (ran.code, ran.out) == (2, "")
    assert (journal.read_bytes() if journal.exists() else None) == content


@pytest.mark.parametrize(
    ("answers", "policy", "matter"),
    [
        ((), {}, ""),
        ((REFUSED,), {}, "rejected"),
        ((FORBIDDEN,), {}, "paused"),
        ((RESET,), {"in_doubt": "hold", "settle_after": 0}, "held"),
    ],
)
def test_doctor_and_status_agree(restante, journal, answers, policy, matter):
    """Both by `recorder.model.attention`; what needs a person is a finding of that name."""
    with Recorder("T", journal) as recorder:
        recorder.people_increment("ada", {"visits": 1})
    if answers:
        with Journal(journal) as opened:
            shipper = Shipper(opened, Scripted(*answers), ShippingPolicy(**policy))
            shipper.ship()
            if matter == "held":
                shipper.ship()
    ran = restante("doctor", "--json", "-j", journal)
    wrong = [finding["name"] for finding in ran.json if finding["severity"] == "attention"]
    assert wrong == [matter] * bool(matter)
    assert ran.code == restante("status", "-j", journal).code == bool(matter)
