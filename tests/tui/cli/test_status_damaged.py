"""`status` on a damaged journal: what is kept is looked at before it is said to be."""

import pytest

from tests.recorder.damage import TEXT, put

UPDATES = [{"$distinct_id": f"u{number}", "$set": {"n": number}} for number in range(3)]


@pytest.mark.parametrize(
    "where",
    [
        ("entries", 1, "message", "'{\"$distinct_id\":'"),
        ("entries", 1, "message", "NULL"),
        ("entries", 1, "message", TEXT),
        ("entries", 1, "profile", TEXT),
        ("entries", 1, "state", "'posted'"),
        ("entries", 1, "lane", "'posted'"),
        ("lanes", 1, "cursor", "3"),
        ("lanes", 1, "outcome", "'posted'"),
        ("counters", 3, "entries", "7"),
    ],
)
def test_status_of_damage_says_so(restante, journal, append, where):
    append(*UPDATES)
    put(journal, *where)
    status, doctor = restante("status", "-j", journal), restante("doctor", "-j", journal)
    assert (status.code, doctor.code) == (1, 1)
    assert "Nothing is lost" not in status.out + status.err
    assert "restante salvage" in status.err
    assert "restante salvage" in doctor.out


def test_status_of_set_aside_damage_says_so(restante, journal, append, service):
    append(*UPDATES)
    put(journal, "entries", 2, "message", "'{'")
    restante("ship", "-j", journal, "--url", service.url, "--yes")
    status = restante("status", "-j", journal)
    assert status.code == 1
    assert "1 of 1 entries" in status.err
