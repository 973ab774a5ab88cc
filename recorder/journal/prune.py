"""Pruning: entries shipped long ago are folded into a row per profile and deleted, so that a journal lives for years.

Entries of profiles that attempts up to a *cut* shipped are folded in shipped order into the *baseline*; of lanes
without profiles only counters are left. Discarded and forgotten entries below the cut go too, and attempts that
nothing refers to any more. What a later decision may need stays:

- the newest number, and what its request and later ones shipped: numbers are never handed out again;
- all of a profile that has something in doubt, or waits: a late acceptance settles whole runs only;
- of each profile, the highest number that may have been applied: an entry that is taken up again goes after it.

Several transactions, each bounded and whole: after a kill, less is pruned. Others wait for as long as one takes, so
its size follows from how long the one before took. The fold of a profile is always a prefix of what was shipped.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from sqlite3 import Connection

from recorder.journal import accounts, attempts, baseline, entries, project
from recorder.journal.baseline import Cut, Owner, Shipped
from recorder.journal.opening import onward
from recorder.model.counting import Counting
from recorder.model.fold import fold
from recorder.model.operations import Lane
from recorder.model.told import Past, known_count

__all__ = ["Walk"]

_SECONDS = 0.05  # that a transaction is to take at most: others wait
_FIRST, _FEWEST, _MOST = 200, 20, 1_000  # entries in a transaction
_MOST_BYTES = 2_000_000  # of messages in a transaction
_SPARING_BYTES = 100_000  # the same, on a full disk
_WITH_PROFILES = (Lane.PEOPLE, Lane.GROUPS)
_ROW_BYTES = 100
_ATTEMPT_BYTES = 200


class Walk:
    """Progress of a pruning: shipped entries, then given up ones, then attempts.

    Attributes:
        cut: How far it goes.
        entries: How many entries went so far.
        attempts: How many attempts.
        written: How many bytes of rows went, roughly.
        over: It is done.
        sparing: The disk is full: each transaction takes little space in the log.
    """

    def __init__(
        self, cut: Cut, clock: Callable[[], float] = time.monotonic, *, sparing: bool = False
    ) -> None:
        self.cut = cut
        self.sparing = sparing
        self.entries = self.attempts = self.written = 0
        self.over = False
        self._clock = clock
        self._size = _FIRST
        self._until = 0.0
        self._latest: list[int] = []
        self._after = 0
        self._part = 0

    def step(self, connection: Connection) -> None:
        """Prune some, inside the caller's transaction."""
        began = self._clock()
        self._until = began + _SECONDS
        parts = (self._fold_some, self._drop_given_up, self._drop_attempts)
        if parts[self._part](connection):
            self._after = 0
            self._part += 1
            self.over = self._part == len(parts)
        took = max(self._clock() - began, _SECONDS / 1_000)
        self._size = min(max(int(self._size * min(_SECONDS / took, 2.0)), _FEWEST), _MOST)

    def _fold_some(self, connection: Connection) -> bool:
        upto = baseline.limited(connection, self.cut.attempt)
        shipped, self._after, done = self._shipped(connection, upto)
        _keep(connection, shipped)
        self._drop(connection, shipped)
        return done

    def _drop_given_up(self, connection: Connection) -> bool:
        unsettled = baseline.unsettled_owners(connection)
        rows = baseline.given_up(connection, self._after, self.cut.number, self._size)
        given_up = [row for row in rows if row.state == "forgotten" or row.owner not in unsettled]
        # Forgotten entries no longer have a profile, and no decision needs them.
        _keep(connection, [row for row in given_up if row.state != "forgotten"])
        self._drop(connection, given_up)
        self._after = onward(self._after, rows[-1].seq) if rows else 0
        return not rows

    def _drop_attempts(self, connection: Connection) -> bool:
        if not self._latest:
            self._latest = baseline.latest_attempts(connection)
        rows = baseline.spent_attempts(connection, self.cut, self._latest, self._after, self._size)
        spent = [id_ for id_, is_spent in rows if is_spent]
        attempts.delete(connection, spent)
        self.attempts += len(spent)
        self.written += len(spent) * _ATTEMPT_BYTES
        self._after = onward(self._after, rows[-1][0]) if rows else 0
        return not rows

    def _shipped(self, connection: Connection, upto: int) -> tuple[list[Shipped], int, bool]:
        """Return some shipped entries in shipped order; the attempt up to which that is all; and if none is left."""
        unsettled = baseline.unsettled_owners(connection)
        found: list[Shipped] = []
        most = _SPARING_BYTES if self.sparing else _MOST_BYTES
        size, after = 0, self._after
        for attempt in baseline.attempts_shipped(connection, after, upto):
            stays = None
            for row in baseline.shipped_by(connection, attempt):
                if row.owner in unsettled:
                    stays = row.seq
                    continue
                if len(found) >= self._size or size >= most:
                    return found, after, False
                found.append(row)
                size += len(row.message)
            if stays is not None:  # as the last one of its range, which is written: see schema.sql
                entries.write_out(connection, [stays])
            after = onward(after, attempt[0])
            if self._clock() >= self._until:  # many that nothing is taken from
                return found, after, False
        return found, after, True

    def _drop(self, connection: Connection, rows: Sequence[Shipped]) -> None:
        if not rows:
            return
        entries.delete(connection, [row.seq for row in rows])
        pruned = Counter(row.state for row in rows)
        pruned["possibly_twice"] = sum(row.possibly_twice for row in rows)
        pruned["out_of_order"] = sum(row.out_of_order for row in rows)
        accounts.add_pruned(connection, pruned)
        self.entries += len(rows)
        self.written += sum(len(row.message) + _ROW_BYTES for row in rows)


def _keep(connection: Connection, rows: Sequence[Shipped]) -> None:
    """Keep in the baseline what later decisions and predictions need of entries that go."""
    by_owner: dict[Owner, list[tuple[int, Shipped]]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_owner[row.owner].append((index, row))
    created: list[tuple[int, Owner, baseline.Row]] = []
    for owner in _worth_a_row(connection, by_owner):
        index, new = _kept(connection, owner, by_owner[owner])
        if new is not None:
            created.append((index, owner, new))
    for _, owner, new in sorted(
        created, key=lambda each: each[0]
    ):  # in the order in which profiles were created
        baseline.insert(connection, owner, new)


def _worth_a_row(connection: Connection, owners: Iterable[Owner]) -> list[Owner]:
    owners = list(owners)
    others = any(lane not in _WITH_PROFILES for lane, _, _ in owners)
    set_aside = baseline.owners_set_aside_elsewhere(connection) if others else set()
    return [owner for owner in owners if owner[0] in _WITH_PROFILES or owner in set_aside]


def _kept(
    connection: Connection, owner: Owner, rows: Sequence[tuple[int, Shipped]]
) -> tuple[int, baseline.Row | None]:
    """Bring a profile's row up to date; if it is to be inserted, return it, and the index of what created it."""
    id_, before = baseline.row_of(connection, owner)
    shipped = [(index, row) for index, row in rows if row.state == "shipped"]
    properties, partly_known, created_by = before.properties, bool(before.partly_known), None
    if shipped and owner[0] in _WITH_PROFILES:
        folded = fold(properties, [row.message for _, row in shipped])
        properties, created_by = folded.properties, folded.created_by
        partly_known |= folded.partly_known
    now = baseline.Row(
        properties,
        int(partly_known),
        before.entries + len(shipped),
        before.sends + sum(row.sends for _, row in rows),
        max([before.gone, *(row.seq for _, row in rows if row.sends)]),
        *_count(before, [row for _, row in rows], project.counter(connection)),
    )
    if id_ is not None:
        if created_by is None:
            baseline.update(connection, id_, now)
            return 0, None
        baseline.delete(connection, id_)  # it comes anew, after profiles created since
    elif created_by is None and not any(row.sends for _, row in rows):
        return 0, None  # given up before it was sent: no decision needs it
    return shipped[created_by][0] if created_by is not None else rows[0][0], now


def _count(before: baseline.Row, rows: Sequence[Shipped], current: str) -> tuple[str | None, int | None]:
    """Return the last counter that a profile's pruned entries added to, and how often; None if that is not known.

    Entries that were given up come after those shipped later: of an earlier counter they must not replace the current
    one. Nothing is decided by an earlier one any more, as nothing of the profile is in doubt.
    """
    counter, count = before.counter, before.counted
    for row in rows:
        name = None if row.counted is None else Counting.read(row.counted, "").counter
        if name is not None and (name == current or counter != current):
            past = Past(row.operator, row.state, row.sends, row.possibly_twice, row.counted)
            counter, count = name, known_count(count if name == counter else 0, name, [past])
    return counter, count
