"""Order of entries that a request passes because their profile waits."""

import json

import pytest

from recorder import Shipper
from recorder.journal.uptime import Uptime
from tests.doubles import FORBIDDEN, REFUSED, RESET, Scripted


def shipped(transport, profile):
    """Return the numbers that were sent for a profile."""
    return [
        update["$append"]["n"]
        for _, body in transport.sent
        for update in json.loads(body)
        if update["$distinct_id"] == profile
    ]


@pytest.mark.parametrize("answers", [[FORBIDDEN], [REFUSED, FORBIDDEN], [REFUSED, FORBIDDEN, FORBIDDEN]])
def test_passed_entries_keep_their_order(journal, recorder, answers):
    """Entries of a waiting profile that a failed request passed are not overtaken."""
    now = [0.0]
    transport = Scripted(RESET, *answers)
    shipper = Shipper(journal, transport, uptime=lambda: Uptime("boot", now[0]))
    recorder.people_append("bob", {"n": 1})
    shipper.ship()  # in doubt: bob waits
    for n, profile in enumerate(["bob", "ada", "bob", "cyd", "bob"], 2):
        recorder.people_append(profile, {"n": n})
    for _ in answers:  # ada and cyd are tried, and bob's are passed; nothing is applied
        shipper.ship()
    recorder.people_append("bob", {"n": 7})
    now[0] = 1000.0
    assert shipper.ship().stopped_by == "done"
    assert shipped(transport, "bob") == [1, 1, 2, 4, 6, 7]
    assert journal.statistics(0.0).adds_up
