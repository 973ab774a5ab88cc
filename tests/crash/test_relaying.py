"""A relay killed between the commit and the answer, and at any moment of a request."""

import pytest

from tests.crash.relaying import play


@pytest.mark.long
def test_killed_relay_loses_nothing_acknowledged(tmp_path):
    report = play(10, tmp_path)
    print(report)
    assert report.lost == set()
    assert sorted({*report.appended}) == [*dict.fromkeys(report.appended)]  # in order of their first time
    # An SDK that got no answer sends again: a second entry, where the first was journaled, and of nothing else.
    answered, somewhere = report.severed
    updates = {number for number in answered if number % 2 == 0}
    assert updates <= report.twice <= answered | somewhere
    assert (
        len(report.events) == report.calls // 2
    )  # each under one $insert_id, by which the service knows it again
    assert len(answered) > 2
    assert len(somewhere) > 2
