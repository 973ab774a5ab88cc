"""Benchmarks: the journals that they measure are valid, and their page keeps what is not measured again."""

import pytest

from benchmarks import __main__ as bench
from benchmarks.journals import make
from benchmarks.pairs import WIDTH, Result, line
from recorder import JournalReader, audit


@pytest.mark.parametrize("shipped", [False, True])
def test_journal_of_benchmarks_is_valid(tmp_path, shipped):
    make(tmp_path / "made.db", 5_000, shipped=shipped)
    assert audit(tmp_path / "made.db").agrees
    with JournalReader(tmp_path / "made.db") as reader:
        counts = reader.counts()
        assert len(list(reader.stream())) == 5_000
    assert (counts.pending, counts.shipped) == ((0, 5_000) if shipped else (5_000, 0))


def test_pairs_have_names_of_their_own():
    names = [(pair.what, pair.baseline) for pair in bench.pairs()]
    assert len(set(names)) == len(names)
    assert all(len(what) <= WIDTH and "   " not in baseline for what, baseline in names)


def measured(pair, seconds):
    return line(Result(pair, seconds, 1.0, (1.0 / seconds,)))


def test_page_keeps_lines_not_measured():
    usual = [pair for pair in bench.pairs() if not pair.full]
    full = [measured(pair, 2.0) for pair in bench.pairs() if pair.full]
    page = [measured(pair, 2.0) for pair in usual[1:]]
    again = measured(usual[2], 3.0)
    table = bench.table(["head"], [*page, "gone   since", *full], [again])
    assert table == ["head", page[0], again, *page[2:], "", bench.FULL, *full]
