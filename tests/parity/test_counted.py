"""Counted adds under faults, over sockets: until nothing is in doubt, and each entry was applied once."""

import pytest

from benchmarks.exactly_once import COUNTED, LATER, PAGE, exactly, line, rows, tally


def is_exact(found):
    """True if nothing is wrong, doubled, lost or left, but something was in doubt."""
    return found.decided > 0 and not any(
        (found.wrong, found.doubled, found.lost, found.left),
    )


@pytest.mark.parametrize("seed", [0, 3])
def test_colliding_runs_are_applied_once(tmp_path, seed):
    found = exactly(tmp_path / "kiosk.db", seed, fold=seed == 0)
    assert is_exact(found), found


def test_countable_run_is_applied_once(tmp_path):
    found = tally(tmp_path / "kiosk.db", 1, COUNTED)
    assert is_exact(found), found


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1_000, 1_040))
def test_many_runs_are_applied_once(tmp_path, seed):
    found = exactly(tmp_path / "kiosk.db", seed, fold=seed % 2 == 0)
    assert not any((found.wrong, found.doubled, found.lost, found.left)), found


@pytest.mark.long
def test_profile_tells_of_later_copies(tmp_path):
    """Beyond the assumption entries are applied twice, and the profile shows each."""
    found = [tally(tmp_path / f"{seed}.db", seed, COUNTED, latest=LATER) for seed in range(20)]
    doubled = sum(each.doubled for each in found)
    assert doubled == sum(each.told for each in found) > 0


def test_table_has_each_line():
    """The page was written by the command, and of as many runs."""
    page = PAGE.read_text(encoding="utf-8")
    for what, found in rows(0):
        start, *_ = line(what, found).split(" | ")
        assert f"{start} | " in page
