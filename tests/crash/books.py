"""A journal, and what the service applied, held against each other: recounted by hand, through SQL of its own.

Nothing here asks the code under test, but `Simulator.from_journal`, whose prediction is what is compared.
"""

import contextlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator import Simulator
from tests.crash.witness import Witness

# An entry that its lane passed unwritten is shipped; see recorder/journal/schema.sql.
_ENTRIES = """
SELECT seq, lane, group_key, profile, operator, message, iif(passed, 'shipped', state),
       iif(passed, (SELECT id FROM attempts WHERE attempts.lane = entry.lane AND seq BETWEEN first AND last
                                              AND outcome = 'shipped' AND picked IS NULL), attempt),
       sends + passed, reason, possibly_twice, out_of_order
  FROM (SELECT entries.*, state = 'pending' AND seq <= cursor AS passed
          FROM entries JOIN lanes ON lanes.lane = entries.lane) AS entry
 ORDER BY seq
"""
_COUNTED = ("waiting", "in_doubt", "shipped", "rejected", "discarded", "forgotten", "lost")

Owner = tuple[str, str | None, str | None]  # lane, group key, profile


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as its row says, and the tag in its message."""

    seq: int
    lane: str
    group_key: str | None
    profile: str | None
    operator: str | None
    message: dict[str, Any]
    state: str
    attempt: int | None
    sends: int
    reason: str | None
    possibly_twice: int
    out_of_order: int
    tag: int

    @property
    def owner(self) -> Owner:
        return self.lane, self.group_key, self.profile


def tag_of(message: dict[str, Any]) -> int:
    """The tag in an update or an event."""
    return int(message["$time"] if "$time" in message else message["properties"]["tag"])


class Books:
    """A journal beside what a service applied.

    Each check is a method that raises AssertionError. `add_up` holds at every moment, the others at rest.
    """

    def __init__(self, path: Path, service: Witness) -> None:
        self._path = path
        self._service = service
        self._look = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        with contextlib.closing(self._look):
            self._look.execute("BEGIN")  # all of one moment: others may be recording
            self.rows = [
                Row(*row[:5], json.loads(row[5]), *row[6:], tag_of(json.loads(row[5])))
                for row in self._look.execute(_ENTRIES)
            ]
            self._counters = dict(self._look.execute("SELECT account, entries FROM counters"))
            self._accounts = dict(self._look.execute("SELECT account, entries FROM accounts"))
            self._attempts = self._look.execute(
                "SELECT id, lane, epoch, first, last, picked, outcome FROM attempts ORDER BY id"
            ).fetchall()
            self._cursors = dict(self._look.execute("SELECT lane, cursor FROM lanes"))
            self._integrity = self._look.execute("PRAGMA integrity_check").fetchall()
        self.by_tag = {row.tag: row for row in self.rows}
        # By tag: the requests that carried it, by their place among those that were applied.
        self.arrivals: dict[int, list[int]] = defaultdict(list)
        for place, request in enumerate(service.applied):
            for message in request.messages:
                self.arrivals[tag_of(message)].append(place)

    def check(self, recorded: Iterable[tuple[Sequence[range], int]], in_doubt: str) -> None:
        """All of it.

        Args:
            recorded: Of each recorder its batches, and how many it knows to be recorded.
            in_doubt: The policy of all shippers; "decided" once a person has decided.
        """
        self.add_up()
        for batches, acknowledged in recorded:
            self.hold_what_was_recorded(batches, acknowledged)
        self.are_settled(in_doubt)
        self.know_each_sending()
        self.are_in_order()
        self.mark_what_was_repeated(in_doubt)
        self.agree_with_the_service()

    # --- the journal alone

    def add_up(self) -> None:
        """Numbers without a gap, each counter what a recount finds, and each entry on its side of the cursor."""
        assert self._integrity == [("ok",)]
        assert [row.seq for row in self.rows] == list(range(1, len(self.rows) + 1))
        states = Counter(row.state for row in self.rows)
        assert {state: self._counters[state] for state in _COUNTED} == {
            state: states[state] for state in _COUNTED
        }
        assert set(states) <= {"pending", *_COUNTED}
        assert self._counters["possibly_twice"] == sum(row.possibly_twice for row in self.rows)
        assert self._counters["out_of_order"] == sum(row.out_of_order for row in self.rows)
        assert self._accounts.pop("recorded") == len(self.rows)
        marks = ("possibly_twice", "out_of_order", "pruned")
        assert sum(entries for account, entries in self._accounts.items() if account not in marks) == len(
            self.rows
        )

        busy = {lane for _, lane, *_, outcome in self._attempts if outcome is None}
        for row in self.rows:
            cursor = self._cursors[row.lane]
            assert row.state != "pending" or row.seq > cursor, f"passed and forgotten: {row}"
            assert row.state != "waiting" or row.seq <= cursor or row.lane in busy, (
                f"will be overtaken: {row}"
            )

    def hold_what_was_recorded(self, batches: Sequence[range], acknowledged: int) -> None:
        """What a recorder recorded: all that was acknowledged, in order, each batch whole or not at all."""
        there = [batch for batch in batches if batch[0] in self.by_tag]
        assert len(there) >= acknowledged, f"{acknowledged} calls returned, {len(there)} are there"
        assert there == list(batches[: len(there)]), "a call is missing in between"
        numbers = []
        for batch in there:
            rows = [self.by_tag.get(tag) for tag in batch]
            assert None not in rows, f"half a batch: {batch}"
            own = [row.seq for row in rows if row is not None]
            assert own == list(range(own[0], own[0] + len(own))), "others stand inside a batch"
            numbers += own
        assert numbers == sorted(numbers)
        assert len(self.by_tag) == len(self.rows), "an operation is there twice"

    def are_settled(self, in_doubt: str) -> None:
        """Nothing is left that could go without a person; each shipper began where the one before ended."""
        assert all(outcome is not None for *_, outcome in self._attempts), "an attempt is open"
        epochs = [epoch for _, _, epoch, *_ in self._attempts]
        assert epochs == sorted(epochs), f"a shipper that was overtaken went on: {epochs}"
        held = {row.owner for row in self.rows if row.state == "in_doubt"}
        assert not held or in_doubt == "hold"
        for row in self.rows:
            if in_doubt == "hold" and row.owner in held:
                assert row.state in {"in_doubt", "waiting", "shipped", "rejected"}, row
            else:
                assert row.state in {"shipped", "rejected", "discarded"}, row
            assert row.state != "discarded" or in_doubt in {"drop", "decided"}
            # Only what a person takes up again may find that later ones went before it.
            assert not row.out_of_order or in_doubt == "decided"

    # --- the journal beside what the service applied

    def know_each_sending(self) -> None:
        """What the service applied is in the journal, and counted as sent no less often than it was applied."""
        assert set(self.arrivals) <= set(self.by_tag), "the service knows what the journal does not"
        for row in self.rows:
            applied = len(self.arrivals[row.tag])
            assert row.sends >= applied, f"applied {applied} times: {row}"
            assert applied or row.state != "shipped", f"never applied: {row}"
            assert row.sends <= self._carried(row), f"sent more often than tried: {row}"
            assert row.sends > 1 or not row.possibly_twice, f"sent once, and said to be possibly twice: {row}"

    def _carried(self, row: Row) -> int:
        """How many attempts that may have been applied had its number in what they carried."""
        return sum(
            lane == row.lane
            and outcome in {"shipped", "unknown"}
            and (first <= row.seq <= last if picked is None else row.seq in json.loads(picked))
            for _, lane, _, first, last, picked, outcome in self._attempts
        )

    def are_in_order(self) -> None:
        """Of each profile, the service met the entries in the order of recording."""
        met: dict[Owner, list[int]] = defaultdict(list)
        for tag in self._first_met():
            row = self.by_tag[tag]
            met[row.owner].append(row.seq)
        for owner, numbers in met.items():
            assert numbers == sorted(numbers), f"{owner}: {numbers}"

    def _first_met(self) -> list[int]:
        seen: dict[int, None] = {}
        for request in self._service.applied:
            for message in request.messages:
                seen.setdefault(tag_of(message))
        return list(seen)

    def mark_what_was_repeated(self, in_doubt: str) -> None:
        """What was applied again although that may show is marked; where it may not happen, it did not."""
        for row in self.rows:
            repeated = [place for place in self.arrivals[row.tag][:-1] if row.tag in self._risky(place, row)]
            assert not repeated or row.possibly_twice, f"applied twice, and not marked: {row}"
            assert not repeated or in_doubt not in {"hold", "drop"}, f"applied twice: {row}"

    def _risky(self, place: int, row: Row) -> set[int]:
        """Of the run of a row's profile in a request: the tags of what may not be repeated."""
        request = self._service.applied[place]
        run = [self.by_tag[tag_of(message)] for message in request.messages]
        return risky([each for each in run if each.owner == row.owner])

    def agree_with_the_service(self) -> None:
        """Each profile is what is predicted, but where something of it may have been applied twice or not at all."""
        uncertain = {
            row.owner
            for row in self.rows
            if row.possibly_twice
            or row.state in {"in_doubt", "discarded"}
            or (row.state == "rejected" and row.sends)
        }
        predicted = Simulator.from_journal(self._path)
        people, groups = self._service.profiles(), self._service.groups()
        for id_ in {row.profile for row in self.rows if row.lane == "people"}:
            if ("people", None, id_) not in uncertain:
                assert people.get(id_) == _plain(predicted.profiles.get(id_)), id_
        for key, id_ in {(row.group_key, row.profile) for row in self.rows if row.lane == "groups"}:
            if ("groups", key, id_) not in uncertain:
                assert groups.get(key, {}).get(id_) == _plain(predicted.groups.get((key, id_))), (key, id_)
        self.compared = len({row.owner for row in self.rows if row.lane != "events"} - uncertain)


def _plain(profile: Any) -> dict[str, Any] | None:
    return None if profile is None else dict(profile)


def risky(run: Sequence[Row]) -> set[int]:
    """The tags of a run that may show when they are applied again, said once more from the promise itself.

    Property by property: what overwrites first makes the rest harmless, and so do nothing but fillers. A
    delete at the end makes all of it harmless, anywhere else none. An event is known again by its id.
    """
    if run[0].lane == "events":
        return {row.tag for row in run if not row.message["properties"]["$insert_id"]}
    operators = [row.operator for row in run]
    if "$delete" in operators[:-1]:
        return {row.tag for row in run}
    if operators[-1] == "$delete":
        return set()
    touched: dict[str, list[Row]] = defaultdict(list)
    for row in run:
        for name in row.message[row.operator or ""]:
            touched[name].append(row)
    found: set[int] = set()
    for rows in touched.values():
        overwritten = rows[0].operator in {"$set", "$unset"}
        filled = all(row.operator in {"$set_once", "$union"} for row in rows)
        if not overwritten and not filled:
            found.update(row.tag for row in rows)
    return found
