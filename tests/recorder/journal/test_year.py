"""Journal used for a year, offline for a third of it: no larger at its end than after three months."""

import os
from pathlib import Path

import pytest

from benchmarks.year import HEAD, live
from recorder import JournalReader, audit
from simulator import Simulator


def stays_flat(path, entries, tries):
    months = live(path, entries, tries)
    figures = "\n".join([HEAD, *map(str, months), ""])
    if "RESTANTE_FIGURES" in os.environ:  # for docs/performance.md
        Path(os.environ["RESTANTE_FIGURES"]).write_text(figures, encoding="utf-8")
    print(figures)
    first, last = months[2], months[-1]  # the first months fill the journal up to its limits
    assert last.kept <= first.kept * 1.1
    assert last.file <= first.file * 1.1 + 1_048_576  # so much stays free for the next entries
    assert max(month.log for month in months) < 10_000_000
    assert last.rss <= first.rss + 20_000_000
    with JournalReader(path) as reader:
        counts = reader.counts()
    assert (counts.recorded, counts.shipped, counts.adds_up) == (entries, entries, True)
    assert audit(path).agrees
    visits = sum(profile.get("visits", 0) for profile in Simulator.from_journal(path).profiles.values())
    assert visits == sum(n % 3 > 0 for n in range(entries))


@pytest.mark.long
def test_year_of_million_entries_stays_flat(tmp_path):
    stays_flat(tmp_path / "kiosk.db", 1_000_000, tries=4)
