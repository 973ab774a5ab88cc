"""`audit`: recount every account of a journal from its log, and name what disagrees."""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from os import PathLike

from recorder.journal.opening import connect_reader, resolved, translated
from recorder.model.entries import AttemptOutcome

__all__ = ["Audit", "Disagreement", "audit", "recount"]

_COUNT_STATES = """
SELECT state, count(*), sum(possibly_twice), sum(out_of_order) FROM entries_with_state GROUP BY state
"""
_ACCOUNTS = "SELECT account, entries FROM accounts"
_NUMBERS = "SELECT count(*), coalesce(min(seq), 0), coalesce(max(seq), 0) FROM entries"
_FIRST_MISSING = """
SELECT place FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS place FROM entries)
 WHERE seq <> place ORDER BY seq LIMIT 1
"""
_PRUNED = "SELECT account, pruned FROM counters"
_HOW_MANY_ATTEMPTS = "SELECT coalesce(sum(times), 0) FROM attempts"

# What must hold of each entry, beside its row the lane's and that of the attempt that settled it last. One scan:
# an entry is told under the first rule it breaks.
_SETTLED_BY = """
coalesce(attempts.lane = entries.lane AND entries.seq BETWEEN attempts.first AND attempts.last
         AND (attempts.picked IS NULL OR again.seq IS NOT NULL) AND attempts.outcome IN ({outcomes}), 0)
"""


def _settled_by(*outcomes: AttemptOutcome) -> str:
    return _SETTLED_BY.format(outcomes=", ".join(f"'{outcome}'" for outcome in outcomes))


_BROKEN = {
    "entries of a lane that does not exist": "lanes.lane IS NULL",
    "pending entries that their lane has passed": "entries.state = 'pending' AND entries.seq <= lanes.cursor",
    "sent entries that their lane has not reached": (
        "entries.state IN ('shipped', 'in_doubt') AND entries.seq > lanes.cursor"
    ),
    "pending entries that were sent": (
        "entries.state = 'pending' AND (entries.sends > 0 OR entries.attempt IS NOT NULL)"
    ),
    "shipped entries without a request that shipped them": (
        f"entries.state = 'shipped' AND NOT (entries.sends > 0 AND {_settled_by(AttemptOutcome.SHIPPED)})"
    ),
    # One whose rejections were taken back was refused last, and is in doubt from before. A late acceptance
    # leaves what is being sent again just then.
    "entries in doubt without a request that left it open": (
        "entries.state = 'in_doubt' AND NOT "
        f"(entries.sends > 0 AND {_settled_by(AttemptOutcome.UNKNOWN, AttemptOutcome.REFUSED, AttemptOutcome.SHIPPED)})"
    ),
    "entries possibly applied twice that were sent once": "entries.possibly_twice AND entries.sends < 2",
}
_ENTRIES_THAT_BREAK = f"""
WITH again AS MATERIALIZED (
  SELECT attempts.id AS attempt, CAST(number.value AS INTEGER) AS seq
    FROM attempts, json_each(attempts.picked) AS number)
SELECT rule, count(*), min(seq) FROM (
  SELECT entries.seq, CASE {" ".join(f"WHEN {broken} THEN '{rule}'" for rule, broken in _BROKEN.items())} END AS rule
    FROM entries LEFT JOIN lanes ON lanes.lane = entries.lane
                 LEFT JOIN attempts ON attempts.id = entries.attempt
                 LEFT JOIN again ON again.attempt = entries.attempt AND again.seq = entries.seq)
 WHERE rule IS NOT NULL GROUP BY rule ORDER BY min(seq)
"""

_LANES_TOO_FAR = """
SELECT count(*), NULL FROM lanes WHERE cursor > (SELECT coalesce(max(seq), 0) FROM entries)
"""
# A person may have discarded what settles: its profile waits all the same, for a late copy may still arrive.
_SETTLING_WITHOUT_CAUSE = """
SELECT count(*), min(behind) FROM waits
 WHERE cause <> 'hold' AND NOT EXISTS (SELECT 1 FROM entries WHERE seq = waits.behind AND sends > 0
                                                               AND lane = waits.lane)
"""
_HELD_WITHOUT_CAUSE = """
SELECT count(*), min(behind) FROM waits
 WHERE cause = 'hold' AND NOT EXISTS (
   SELECT 1 FROM entries WHERE state = 'in_doubt' AND state NOT IN ('pending', 'shipped')
                           AND entries.lane = waits.lane AND entries.profile IS waits.profile
                           AND entries.group_key IS waits.group_key)
"""
_WAITS_TWICE = """
SELECT coalesce(sum(several - 1), 0), min(behind) FROM (
  SELECT count(*) AS several, min(behind) AS behind FROM waits GROUP BY lane, group_key, profile HAVING several > 1)
"""
_BASELINE_TWICE = """
SELECT coalesce(sum(several - 1), 0), NULL FROM (
  SELECT count(*) AS several FROM baseline GROUP BY lane, group_key, profile HAVING several > 1)
"""
_BASELINE_TOO_LARGE = """
SELECT max(0, (SELECT coalesce(sum(entries), 0) FROM baseline)
            - (SELECT pruned FROM counters WHERE account = 'shipped')), NULL
"""
_RULES = {
    "lanes that have passed the last entry": _LANES_TOO_FAR,
    "waits for a late copy of nothing that was sent": _SETTLING_WITHOUT_CAUSE,
    "profiles held without an entry in doubt": _HELD_WITHOUT_CAUSE,
    "waits beside another of their profile": _WAITS_TWICE,
    "profiles twice in the baseline": _BASELINE_TWICE,
    "entries of the baseline that are not counted as pruned": _BASELINE_TOO_LARGE,
}

_UNDER_WAY = """
SELECT count(*), coalesce(sum(entries), 0), (SELECT entries FROM accounts WHERE account = 'sending')
  FROM attempts WHERE outcome IS NULL
"""
_OVERTAKEN = """
SELECT count(*), min(first) FROM attempts WHERE outcome IS NULL AND epoch <> (SELECT epoch FROM shipper)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One account of which the log says something else than was noted.

    Attributes:
        account: Such as ``shipped``; or what the log holds and should not.
        counted: What the log says.
        noted: What was noted while it was written; 0 for what should not be.
        first: The lowest number in question, where there is one.
    """

    account: str
    counted: int
    noted: int
    first: int | None = None

    def __str__(self) -> str:
        first = f" (first: entry {self.first:,})" if self.first is not None else ""
        return f"{self.account}: counted {self.counted:,}, noted {self.noted:,}{first}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was counted, and what disagrees.

    Attributes:
        entries: How many entries the log holds; those that were pruned live on as counters.
        attempts: How many attempts it tells of.
        disagreements: Empty where every account is right.
    """

    entries: int
    attempts: int
    disagreements: tuple[Disagreement, ...]

    @property
    def agrees(self) -> bool:
        """Whether every account is right."""
        return not self.disagreements


def audit(path: str | PathLike[str]) -> Audit:
    """Recount every account of a journal from its log.

    Everything is read at one moment, while others record and ship, and nothing is written. That takes about a
    second for a million entries; the write-ahead log cannot be moved into the file meanwhile.

    Args:
        path: The journal's file.

    Raises:
        JournalMissing, NotAJournal, JournalTooNew, JournalDamaged: There is nothing to read.

    >>> import pathlib, tempfile
    >>> from recorder import Recorder
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
    >>> with Recorder("PROJECT", path) as recorder:
    ...     recorder.people_set("ada", {"plan": "pro"})
    >>> audit(path)
    Audit(entries=1, attempts=0, disagreements=())
    """
    resolved_path = resolved(path)
    try:
        with closing(connect_reader(resolved_path)) as connection:
            connection.execute("BEGIN")
            return recount(connection)
    except sqlite3.Error as error:
        raise translated(error, resolved_path) from error


def recount(connection: sqlite3.Connection) -> Audit:
    """`audit` through a connection to the journal; the caller has begun a transaction."""
    (attempts,) = connection.execute(_HOW_MANY_ATTEMPTS).fetchone()
    entries, lowest, highest = connection.execute(_NUMBERS).fetchone()
    accounts = dict(connection.execute(_ACCOUNTS).fetchall())
    found = [*_accounts(connection, accounts, entries), *_open_attempts(connection)]
    pruned = accounts["pruned"]
    if entries and (entries + pruned != highest or lowest < 1 or (not pruned and lowest > 1)):
        (missing,) = (None,) if pruned else connection.execute(_FIRST_MISSING).fetchone()
        found = [
            Disagreement(account="recorded", counted=entries + pruned, noted=highest, first=missing),
            *(disagreement for disagreement in found if disagreement.account != "recorded"),
        ]
    for rule, count, first in connection.execute(_ENTRIES_THAT_BREAK).fetchall():
        found.append(Disagreement(account=rule, counted=count, noted=0, first=first))
    for rule, sql in _RULES.items():
        count, first = connection.execute(sql).fetchone()
        if count:
            found.append(Disagreement(account=rule, counted=count, noted=0, first=first))
    return Audit(entries=entries, attempts=attempts, disagreements=tuple(found))


def _accounts(
    connection: sqlite3.Connection, accounts: dict[str, int | None], entries: int
) -> list[Disagreement]:
    """The accounts, each made from its counter and what is being sent, beside a count of the entries.

    Of pruned entries nothing is left to count but their number.
    """
    pruned = dict(connection.execute(_PRUNED).fetchall())
    counted = Counter(
        {"recorded": entries + (accounts["pruned"] or 0), "pruned": accounts["pruned"] or 0, **pruned}
    )
    for state, number, possibly_twice, out_of_order in connection.execute(_COUNT_STATES).fetchall():
        counted.update({state: number, "possibly_twice": possibly_twice, "out_of_order": out_of_order})
    noted = {account: number or 0 for account, number in accounts.items()}
    return [
        Disagreement(account=account, counted=counted[account], noted=noted.get(account, 0))
        for account in {**noted, **counted}
        if counted[account] != noted.get(account, 0)
    ]


def _open_attempts(connection: sqlite3.Connection) -> list[Disagreement]:
    several, entries, carried = connection.execute(_UNDER_WAY).fetchone()
    found = []
    if several > 1:
        found.append(Disagreement(account="requests under way", counted=several, noted=1))
    if entries != carried:
        found.append(Disagreement(account="entries of the request under way", counted=carried, noted=entries))
    count, first = connection.execute(_OVERTAKEN).fetchone()
    if count:
        found.append(
            Disagreement(
                account="requests under way that nobody waits for", counted=count, noted=0, first=first
            )
        )
    return found
