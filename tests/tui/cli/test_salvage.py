"""`restante salvage`: what was carried over, what is lost, and where the damaged file is."""

import contextlib
import sqlite3

import pytest

from recorder import JournalReader
from recorder.journal.opening import PAGE_SIZE

UPDATES = [{"$distinct_id": f"u{number}", "$append": {"text": "x" * 200}} for number in range(100)]


@pytest.fixture
def damaged(journal, append):
    append(*UPDATES)
    pages = journal.stat().st_size // PAGE_SIZE
    with journal.open("r+b") as file:
        file.seek((pages - 4) * PAGE_SIZE)
        file.write(b"\xa5" * PAGE_SIZE)
    return journal


def test_salvage_reports_kept_and_lost(restante, damaged):
    would = restante("salvage", "-j", damaged, "--dry-run", "--json")
    assert would.code == 1
    lost = would.json["lost"]
    assert lost > 0
    ran = restante("salvage", "-j", damaged)
    assert (ran.code, ran.out) == (1, "")
    carried = would.json["recorded"] - lost
    assert f"Carried over {carried} entries (in doubt {carried})." in ran.err
    assert f"Lost: {lost} that cannot be read" in ran.err
    assert ".damaged-" in ran.err
    assert restante("audit", "-j", damaged).code == 0
    accounts = restante("status", "--json", "-j", damaged).json["accounts"]
    assert (accounts["lost"], accounts["in_doubt"]) == (lost, carried)
    ran = restante("entries", "state=lost", "--json", "-j", damaged)
    assert len(ran.json) == lost


def test_lost_entries_are_left_out(restante, damaged):
    restante("salvage", "-j", damaged)
    ran = restante("export", "state=lost", "-j", damaged)
    assert (ran.out, "whose content is gone" in ran.err) == ("", True)
    ran = restante("retry", "state=lost", "--yes", "-j", damaged)
    assert ran.code == 1
    assert "it is lost" in ran.err
    assert len(restante("profiles", "--json", "-j", damaged).json) < len(UPDATES)


def test_damaged_journal_suggests_salvage(restante, damaged):
    ran = restante("entries", "-j", damaged)
    assert ran.code == 1
    assert "restante salvage" in ran.err
    ran = restante("doctor", "-j", damaged)
    assert ran.code == 1
    assert "restante salvage" in ran.out


def test_earlier_tokens_are_carried_over(restante, damaged):
    for token in ("NEW", "NEWER"):
        restante("token", token, "--yes", "-j", damaged)
    restante("salvage", "-j", damaged)
    with JournalReader(damaged) as reader:
        assert (reader.token(), reader.earlier_tokens()) == ("NEWER", ["T", "NEW"])


def test_healthy_journal_is_left(restante, journal, append):
    append(*UPDATES)
    ran = restante("salvage", "-j", journal)
    assert (ran.code, ran.err) == (0, "Nothing is damaged. Nothing was changed.\n")
    assert restante("salvage", "--json", "-j", journal).out == "null\n"


def test_terminal_shows_progress(restante, damaged):
    ran = restante.on_terminal("salvage", "-j", damaged)
    assert ran.code == 1
    assert "reading pages" in ran.out


@pytest.mark.parametrize("content", [None, b"a shopping list, long enough to be looked at, and more\n" * 200])
def test_missing_or_foreign_is_refused(restante, journal, content):
    if content is not None:
        journal.write_bytes(content)
    ran = restante("salvage", "-j", journal)
    assert (ran.code, ran.out) == (2, "")
    assert (journal.read_bytes() if journal.exists() else None) == content


# --- a journal from which something was pruned


@pytest.fixture
def pruned(restante, journal, append, service):
    append(*[{"$distinct_id": f"u{number % 7}", "$append": {"n": number}} for number in range(60)])
    assert restante("ship", "-j", journal, "--url", service.url).code == 0
    append({"$distinct_id": "u3", "$append": {"n": 60}})
    assert restante("prune", "-j", journal, "--all-shipped", "--json").json["entries"] == 60
    return journal


def overwrite_root(path, name):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE_SIZE)
        file.write(b"\xa5" * PAGE_SIZE)


def test_pruned_profiles_are_carried_over(restante, pruned):
    before = restante("profiles", "--json", "-j", pruned).json
    overwrite_root(pruned, "waits")
    ran = restante("salvage", "-j", pruned)
    assert ran.code == 0
    assert "Carried over 61 entries (in doubt 1, shipped 60)." in ran.err
    assert "60 had been pruned before: they are only counted." in ran.err
    assert restante("profiles", "--json", "-j", pruned).json == before
    assert restante("audit", "-j", pruned).code == 0


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["baseline"], "made of 7 profiles cannot be read"),
        (["baseline", "baseline_of_profile"], "for how many profiles is not known"),
        (["counters", "baseline"], "Of the lost entries, 60 may have been pruned before"),
    ],
)
def test_lost_profiles_exit_1(restante, pruned, names, said):
    for name in names:
        overwrite_root(pruned, name)
    ran = restante("salvage", "-j", pruned)
    assert ran.code == 1
    assert said in ran.err
    assert restante("audit", "-j", pruned).code == 0


def test_lost_limits_exit_1(restante, journal):
    lines = '{"$distinct_id": "ada", "$set": {"a": 1}}\n'
    assert restante("record", "--token", "T", "--max-bytes", "64M", "-j", journal, stdin=lines).code == 0
    overwrite_root(journal, "limits")
    ran = restante("salvage", "-j", journal)
    assert ran.code == 1
    assert "The limits that were set cannot be read (max_bytes)" in ran.err
