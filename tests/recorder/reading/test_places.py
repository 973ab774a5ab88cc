"""Where entries stand among those that are kept, against a list of them."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as some

from recorder import Journal, JournalReader
from recorder.model.entries import NewEntry
from recorder.reading import places, statements
from recorder.reading.places import Places


@given(
    kept=some.sets(some.integers(1, 60), max_size=40),
    later=some.lists(some.sampled_from(["record", "prune"]), max_size=4),
    step=some.integers(1, 9),
)
def test_places_agree_with_a_list(kept, later, step):
    with (
        closing(sqlite3.connect(":memory:", isolation_level=None)) as connection,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(places, "_STEP", step)
        connection.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE counters (pruned INTEGER)")
        connection.execute("INSERT INTO counters VALUES (?)", (60 - len(kept),))
        connection.executemany("INSERT INTO entries VALUES (?)", [(seq,) for seq in kept])
        found = Places(lambda sql, parameters=(): connection.execute(sql, parameters).fetchall())
        for act in ["look", *later]:
            if act == "record":
                for _ in range(7):
                    kept = {*kept, max(kept, default=60) + 1}
                    connection.execute("INSERT INTO entries VALUES (?)", (max(kept),))
            elif act == "prune" and kept:
                connection.execute("DELETE FROM entries WHERE seq = ?", (min(kept),))
                connection.execute("UPDATE counters SET pruned = pruned + 1")
                kept = kept - {min(kept)}
            ordered = sorted(kept)
            for seq in range(70):
                assert found.place(seq) == sum(each <= seq for each in ordered)
            assert [found.number(place) for place in range(1, len(ordered) + 1)] == ordered
            assert found.number(len(ordered) + 1) is None


def test_unpruned_number_is_its_place(tmp_path):
    with Journal(tmp_path / "kiosk.db", token="T") as journal:
        journal.append([NewEntry("people", None, "ada", "$add", "{}", 1.0)] * 5)
    with JournalReader(tmp_path / "kiosk.db") as reader:
        asked = []
        read = reader._places._read
        reader._places._read = lambda sql, *rest: asked.append(sql) or read(sql, *rest)
        assert (reader.place(3), reader.number_at(4)) == (3, 4)
        assert set(asked) == {statements.PLACES_PRUNED}


def test_pruned_entries_by_state(tmp_path):
    with Journal(tmp_path / "kiosk.db", token="T") as journal:
        journal.append([NewEntry("people", None, "ada", "$add", "{}", 1.0)])
    with closing(sqlite3.connect(tmp_path / "kiosk.db", isolation_level=None)) as connection:
        connection.execute("UPDATE counters SET pruned = 4 WHERE account IN ('shipped', 'possibly_twice')")
    with JournalReader(tmp_path / "kiosk.db") as reader:
        assert reader.pruned() == {"shipped": 4}
