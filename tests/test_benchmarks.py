"""Benchmarks: the journals that they measure are valid, and their page keeps what is not measured again."""

import pytest

from benchmarks import __main__ as bench
from benchmarks.journals import make
from benchmarks.pairs import HEAD, WIDTH, Result, line
from recorder import JournalReader, audit


@pytest.mark.parametrize("shipped", [True, pytest.param(False, marks=pytest.mark.long)])
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
    assert all(len(what) <= WIDTH and "|" not in what + baseline for what, baseline in names)


def measured(pair, seconds):
    return line(Result(pair, seconds, 1.0, (1.0 / seconds,)))


def test_page_keeps_rows_not_measured():
    """Rows of pairs that no longer exist go; full ones come last within their topic."""
    topics = [sorted(made(), key=lambda pair: pair.full) for made in bench.TOPICS.values()]
    page = [[measured(pair, 2.0) for pair in topic] for topic in topics]
    before = [text for rows in page for text in rows]
    again = measured(topics[0][1], 3.0)
    page[0][1] = again
    gone = before[0].replace("people_set", "gone")
    table = bench.table(["above"], [gone, *HEAD.split("\n"), *before], [again])
    assert table[0] == "above"
    assert bench.rows(table) == [text for rows in page for text in rows]
    assert [text for text in table if text.startswith("#")] == [f"### {topic}" for topic in bench.TOPICS]
    assert bench.figures(again)[2:] == (3_000_000.0, 1_000_000.0)
