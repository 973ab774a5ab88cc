"""`restante prune`: what goes, what is said about it, and what `status` and `entries` say afterwards."""

import pytest

LINES = [{"$distinct_id": f"visitor-{n % 3}", "$add": {"visits": 1}} for n in range(7)]


@pytest.fixture
def shipped(append, journal, restante, service):
    append(*LINES)
    assert restante("ship", "-j", journal, "--url", service.url).code == 0
    append({"$distinct_id": "ada", "$set": {"plan": "pro"}})
    return journal


def test_pruning_keeps_profiles(restante, shipped):
    before = restante("profiles", "-j", shipped, "--json").json
    ran = restante("prune", "-j", shipped, "--all-shipped")
    assert (ran.code, ran.out) == (0, "")
    assert "Pruned 7 entries" in ran.err
    assert restante("profiles", "-j", shipped, "--json").json == before
    assert restante("profiles", "-j", shipped, "--json", "--shipped-only").json == {
        f"visitor-{n}": {"visits": 2 + (n == 0)} for n in range(3)
    }
    assert restante("audit", "-j", shipped).code == 0


def test_kept_entries_are_counted(restante, shipped):
    assert "kept" not in restante("status", "-j", shipped).out
    restante("prune", "-j", shipped, "--all-shipped")
    status = restante("status", "-j", shipped)
    assert "recorded 8 = pending 1 + in doubt 0 + shipped 7" in status.out
    assert "1 of 8 entries kept" in status.out
    assert restante("status", "-j", shipped, "--json").json["accounts"]["pruned"] == 7
    entries = restante("entries", "-j", shipped)
    assert len(entries.out.splitlines()) == 1
    assert "7 entries shipped earlier are no longer kept." in entries.err


def test_dry_run_changes_nothing(restante, shipped):
    ran = restante("prune", "-j", shipped, "--all-shipped", "--dry-run")
    assert (ran.code, ran.err.strip()) == (0, "7 entries would be pruned.")
    assert len(restante("entries", "-j", shipped).out.splitlines()) == 8


def test_recent_entries_stay(restante, shipped):
    assert restante("prune", "-j", shipped, "--json").json == {"entries": 0, "attempts": 0, "freed": 0}
    assert restante("prune", "-j", shipped, "--all-shipped", "--json").json["entries"] == 7


def test_terminal_shows_progress(restante, shipped):
    ran = restante.on_terminal("prune", "-j", shipped, "--all-shipped")
    assert ran.code == 0


def test_there_must_be_a_journal(restante, tmp_path):
    ran = restante("prune", "-j", tmp_path / "none.db")
    assert ran.code == 2
    assert not (tmp_path / "none.db").exists()
