"""`restante token`: the journal becomes another project's."""

import pytest

from recorder import Journal, JournalReader, Shipper
from tests.doubles import AT_ONCE, FORBIDDEN, Scripted
from tests.profiles import sampled

UPDATES = [{"$distinct_id": f"u{number}", "$set": {"n": number}} for number in range(3)]


def token(journal):
    with JournalReader(journal) as reader:
        return reader.token()


def test_unsent_entries_change_project(restante, journal, append, service):
    append(*UPDATES)
    assert restante("ship", "-j", journal, "--url", service.url, "--limit", 1).code == 1
    ran = restante("token", "NEW", "--yes", "-j", journal)
    assert (ran.code, ran.out, ran.err) == (0, "", "Changed: 2 entries to be sent to the new project.\n")
    assert restante("ship", "-j", journal, "--url", service.url).code == 0
    assert (list(service.profiles("T")), list(service.profiles("NEW"))) == (["u0"], ["u1", "u2"])


def test_json_counts_entries(restante, journal, append):
    append(*UPDATES)
    ran = restante("token", "NEW", "--yes", "--json", "-j", journal)
    assert (ran.code, ran.err, ran.json) == (0, "", {"entries": 3})


def test_yes_is_required_without_terminal(restante, journal, append):
    append(UPDATES[0])
    ran = restante("token", "NEW", "-j", journal)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("1 unsent entry would go to the new project.\n")
    assert "give --yes" in ran.err
    assert token(journal) == "T"


@pytest.mark.parametrize(
    ("answer", "code", "kept"), sampled([("y\n", 0, "NEW"), ("n\n", 1, "T"), ("\n", 1, "T")], 2)
)
def test_a_person_is_asked(*, restante, journal, append, answer, code, kept):
    append(*UPDATES)
    ran = restante.on_terminal("token", "NEW", "-j", journal, typed=answer)
    assert ran.code == code
    assert "3 unsent entries would go to the new project.\nChange the token? [y/N]" in ran.out
    assert token(journal) == kept


def test_same_token_changes_nothing(restante, journal, append):
    append(*UPDATES)
    ran = restante("token", "T", "--yes", "-j", journal)
    assert (ran.code, ran.err) == (1, "The journal has that token already. Nothing was changed.\n")


@pytest.mark.parametrize(
    ("given", "fault"), [("", "non-empty"), ("NEW\n", "a line break"), ('"NEW"', "has '\"'")]
)
def test_what_is_no_token_exits_2(restante, journal, append, given, fault):
    append(*UPDATES)
    ran = restante("token", given, "--yes", "-j", journal)
    assert (ran.code, ran.out) == (2, "")
    assert fault in ran.err
    assert token(journal) == "T"
    ran = restante("record", "--token", given or " ", "-j", journal.with_name("new.db"))
    assert (ran.code, ran.out) == (2, "")
    assert "project's token" in ran.err
    assert not journal.with_name("new.db").exists()


def test_missing_journal_is_refused(restante, journal, tmp_path):
    assert restante("token", "NEW", "--yes", "-j", journal).code == 2
    assert list(tmp_path.iterdir()) == []


def test_pause_ends_with_its_token(restante, journal, append):
    """What the service said of the earlier token is no cause any more."""
    append({"$distinct_id": "ada", "$set": {"plan": "pro"}})
    with Journal(journal) as opened:
        Shipper(opened, Scripted(FORBIDDEN), AT_ONCE).ship()
    assert restante("status", "-j", journal).out.startswith("Paused")
    assert restante("token", "NEW", "--yes", "-j", journal).code == 0
    assert restante("status", "-j", journal).out.startswith("No shipper is running")
