"""`Journal`: what is recorded, and what a person decides about it.

Rows are written by `recorder.journal.append`; `recorder.journal.claims` ships, `recorder.journal.decisions` decides.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Self

from recorder.journal.append import Commits
from recorder.journal.connection import Connection, Durability
from recorder.journal.limits import check, keep, keeping_of
from recorder.journal.opening import resolved
from recorder.journal.space import Room
from recorder.model.entries import NewEntry
from recorder.model.errors import WrongToken
from recorder.model.intake import Intake
from recorder.model.json_value import is_text
from recorder.model.operations import Operator

if TYPE_CHECKING:
    from recorder.journal.claims import Claims
    from recorder.journal.decisions import Decision
    from recorder.journal.forget import Progress
    from recorder.journal.housekeeping import Housekeeping
    from recorder.journal.mentions import Whose
    from recorder.model.reports import Forgotten, Pruned, Statistics

__all__ = ["Journal"]


# --- SQL, a named constant each -------------------------------------------------------------------------

_TOKEN = "SELECT token FROM project"  # noqa: S105  # SQL, no secret
_KEEP_TOKEN = "UPDATE project SET token = ? WHERE token IS NULL"  # noqa: S105  # SQL, no secret
_CHANGE_TOKEN = "UPDATE project SET token = ?"  # noqa: S105  # SQL, no secret
_TRY_PAUSED = "UPDATE lanes SET backoff_at = 0, backoff_span = 0, retry_at = NULL WHERE outcome = 'paused'"

_SPOOLED = "SELECT rows_done FROM spools WHERE name = ?"
_SPOOL_ENDED = "DELETE FROM spools WHERE name = ?"


class Journal:
    """The journal of one project's operations in one file.

    Safe for any number of threads; any number of processes may have it open. A forked child may go on recording.

    Args:
        path: The file; created, with its schema, where there is none.
        token: The project's token. The first one given is kept; the journal belongs to that project.
        durability: What a recording call waits for. ``"power"``: the entry survives a power loss.
            ``"process"``: it survives the death of the process, and the last ones may be lost with the power.
        max_bytes: How large the journal may grow, its write-ahead log included. A new journal has no such limit.
            One megabyte of it is reserved for shipping. At the limit, shipped entries are pruned, however
            recent; where that frees nothing, recording raises JournalFull.
        keep_shipped_days: How long shipped entries stay for inspection, in days. A new journal has 7.
        keep_shipped_entries: How many of them stay at most. A new journal has 100,000.

    The three limits are stored in the journal: None leaves the stored value, ``math.inf`` removes the limit.

    Raises:
        NotAJournal, JournalTooNew: The file is something else; it was not touched.
        JournalDamaged, JournalBusy, JournalError: It cannot be used.
        WrongToken: It belongs to another project.

    >>> import tempfile, pathlib
    >>> journal = Journal(pathlib.Path(tempfile.mkdtemp()) / "kiosk.db", token="PROJECT")
    >>> journal.token
    'PROJECT'
    >>> journal.close()
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        token: str | None = None,
        durability: Durability = "power",
        max_bytes: float | None = None,
        keep_shipped_days: float | None = None,
        keep_shipped_entries: float | None = None,
    ) -> None:
        if durability not in ("power", "process"):
            raise ValueError(f"durability is 'power' or 'process', not {durability!r}")
        limits = {
            "max_bytes": max_bytes,
            "keep_shipped_days": keep_shipped_days,
            "keep_shipped_entries": keep_shipped_entries,
        }
        check(limits)
        self.path = resolved(path)
        self.durability = durability
        self._token: str | None = None
        self._claims: list[Claims] = []
        self._housekeeping: list[Housekeeping] = []
        self._connection = Connection(self.path, durability, self._in_child)
        self._room = Room(self._connection, self.path)
        self._commits = Commits(self._connection, self.path, self._room)
        try:
            with self._connection.reading() as connection:
                (self._token,) = connection.execute(_TOKEN).fetchone()
            if token is not None:
                self.bind(token)
            self._keep_limits(limits)
        except BaseException:
            self.close()
            raise

    def _keep_limits(self, limits: Mapping[str, float | None]) -> None:
        given = {name: None if value == inf else value for name, value in limits.items() if value is not None}
        with self._connection.reading() as connection:
            kept = keeping_of(connection)
        if any(getattr(kept, name) != value for name, value in given.items()):
            with self._connection.transaction() as connection:
                keep(connection, given)
        with self._connection.reading() as connection:
            self._room.read(connection)

    @property
    def claims(self) -> "Claims":
        """Claims and settlements of the shipper."""
        from recorder.journal.claims import Claims

        if not self._claims:
            self._claims.append(
                Claims(self._connection, self.path)
            )  # threads that come at once use the first
        return self._claims[0]

    @property
    def housekeeping(self) -> "Housekeeping":
        """Pruning, and giving room back."""
        from recorder.journal.housekeeping import Housekeeping

        if not self._housekeeping:
            self._housekeeping.append(Housekeeping(self._connection, self.path))
        return self._housekeeping[0]

    def _in_child(self) -> None:
        """This process was forked."""
        self._commits.begin_anew()

    def __repr__(self) -> str:
        return f"Journal({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, timeout: float | None = None) -> None:
        """Close the file. Calls after this raise JournalClosed; closing twice does nothing.

        Args:
            timeout: How long to wait for a call under way, in seconds; None for as long as it takes.
        """
        self._connection.close(timeout)

    @property
    def token(self) -> str | None:
        """The token of the project this journal belongs to; None before the first was given."""
        return self._token

    def bind(self, token: str) -> None:
        """Make this the journal of a project, or see that it is.

        Raises:
            WrongToken: It belongs to another project.
        """
        _check_token(token)
        if self._token is None:
            with self._connection.transaction() as connection:
                connection.execute(_KEEP_TOKEN, (token,))
                (kept,) = connection.execute(_TOKEN).fetchone()
            self._token = kept  # not before it is committed
        if token != self._token:
            raise WrongToken(f"{self.path.name} belongs to another project than the token given")

    def change_token(self, token: str) -> None:
        """Make this the journal of another project: what is still to be sent goes there.

        Lanes that are paused are due at once. Who has it open goes on recording, for the new project; opening it
        with the old token is refused.

        Raises:
            WrongToken: It is no token.
        """
        _check_token(token)
        with self._connection.transaction() as connection:
            connection.execute(_CHANGE_TOKEN, (token,))
            connection.execute(_TRY_PAUSED)
        self._token = token

    # --- recording

    def append(self, rows: Sequence[NewEntry], *, spool: tuple[str, int] | None = None) -> int:
        """Write rows, in order and in one commit; when this returns, they are in the journal.

        Threads share commits: whoever comes first commits what all have queued, and each returns or raises
        on its own.

        Args:
            rows: At least one.
            spool: The name of the file they come from, and how many of its rows are done with them.

        Returns:
            The number of the last one; they are numbered without a gap.

        Raises:
            JournalError: Nothing of this call was written.
        """
        return self._commits.append(rows, spool)

    # --- files that `restante record` reads through

    def spooled(self, name: str) -> int:
        """How many rows of a spool file are in the journal."""
        with self._connection.reading() as connection:
            row = connection.execute(_SPOOLED, (name,)).fetchone()
        return int(row[0]) if row else 0

    def forget_spool(self, name: str) -> None:
        """A spool file is done, or given up."""
        with self._connection.transaction() as connection:
            connection.execute(_SPOOL_ENDED, (name,))

    # --- deciding

    def retry(self, filter: str | Sequence[str]) -> "Decision":  # noqa: A002  # the language's own name
        """Take up again what was rejected or discarded, or is in doubt; each goes at its own number.

        What waits because too many were rejected with the same words is taken, too: a person has looked, and it
        is isolated however many there are.

        Args:
            filter: Which entries; see `recorder.model.filters`. An empty one means all.

        Raises:
            InvalidFilter: The filter is not understood.

        >>> import pathlib, tempfile
        >>> journal = Journal(pathlib.Path(tempfile.mkdtemp()) / "kiosk.db", token="PROJECT")
        >>> journal.retry("state=rejected").entries
        0
        >>> journal.close()
        """
        return self._decide("retry", filter)

    def discard(self, filter: str | Sequence[str]) -> "Decision":  # noqa: A002
        """Give up what is pending, waiting, rejected or in doubt; see `retry`."""
        return self._decide("discard", filter)

    def _decide(self, verb: Literal["retry", "discard"], filter: str | Sequence[str]) -> "Decision":  # noqa: A002
        from recorder.journal.decisions import Decision, Verb, decide, matching
        from recorder.model.filters import where

        condition = where(filter, now=time.time())
        with self._connection.reading() as connection:
            chosen = list(matching(connection, condition))
        parts = []
        for numbers in chosen:
            with self._connection.transaction() as connection:
                parts.append(decide(connection, Verb(verb), numbers))
        return Decision.sum(parts)

    def edit(self, seq: int, message: Mapping[str, Any]) -> None:
        """Give an entry another message, and send it at its number.

        Args:
            seq: A pending, waiting, rejected or doubtful entry.
            message: Of the same lane and profile, with one operator. Without a ``$time`` the entry keeps its own.

        Raises:
            InvalidOperation: The message could never be accepted; the entry is as it was.
            JournalError: There is no such entry, or it cannot be edited any more.
        """
        from recorder.journal.decisions import edit

        now = time.time()
        with self._connection.transaction() as connection:
            edit(connection, seq, message, token=self._token or "", now=now)

    def forget(
        self,
        profile: str,
        *,
        group_key: str | None = None,
        delete_remote: bool = False,
        timeout: float = 60.0,
        progress: "Progress | None" = None,
    ) -> "Forgotten":
        """Erase a profile: what its entries say, whatever became of them, and every other trace of it in the journal.

        Entries keep number, lane and time, and become ``forgotten``. When this returns, neither the file nor its log
        holds a byte of what was erased; docs/privacy.md says what is covered, and what is not. Of a user, events and
        imports that name it go, too. What is being sent is waited for; what is recorded meanwhile is new, and stays.
        Killed at any moment, less is erased, and the next call finishes.

        The file is written anew, which takes as much room as it has, and during which others wait.

        Args:
            profile: The profile's or group's id.
            group_key: A group's key; None for a user's profile.
            delete_remote: Also record a ``$delete``, so that the service deletes it. That entry names the profile
                until it has gone, and is forgotten then.
            timeout: How long to wait for what is being sent, in seconds.
            progress: Called with how many entries are erased so far, and how many there are.

        Raises:
            JournalBusy: Something of it is still being sent, or something reads the journal and keeps its log from
                being cut; what could be erased is, and another call finishes.
            JournalFull: There is no room to write the file anew; as before.
            InvalidOperation: No profile can have such an id.
            JournalError: Input that `restante record` has not journaled whole names it; nothing was erased.

        >>> import pathlib, tempfile
        >>> from recorder import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     recorder.people_set("ada", {"plan": "pro"})
        ...     recorder.journal.forget("ada").entries
        1
        """
        from recorder.journal.forget import Forgetting
        from recorder.journal.mentions import Whose

        whose = Whose(profile, group_key)
        deletion = self._deletion(whose) if delete_remote else None
        forgetting = Forgetting(self._connection, self.claims, self.path)
        return forgetting.forget(whose, deletion=deletion, timeout=timeout, progress=progress)

    def _deletion(self, whose: "Whose") -> NewEntry:
        names = (
            {"$distinct_id": whose.id}
            if whose.group_key is None
            else {"$group_key": whose.group_key, "$group_id": whose.id}
        )
        (row,) = Intake(self._token or "").update({**names, Operator.DELETE.value: ""}, time.time())
        return row

    # --- keeping it small

    def prune(
        self,
        *,
        all_shipped: bool = False,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
        now: float | None = None,
    ) -> "Pruned":
        """Fold what was shipped longer ago than it is to stay into a row for each profile, and delete it.

        Shippers do so by themselves, a little at a time; this does all of it, and gives the room back. Others
        record and ship meanwhile. Killed in the middle, it has pruned less.

        Args:
            all_shipped: Whatever was shipped, however recently.
            dry_run: Only count.
            progress: Called with how many entries went so far, and about how many are to go.
            now: Seconds since the epoch; None for the system's clock.

        Raises:
            JournalError: No fold is installed that would keep the profiles; or the journal cannot be written.

        >>> import pathlib, tempfile
        >>> journal = Journal(pathlib.Path(tempfile.mkdtemp()) / "kiosk.db", token="PROJECT")
        >>> journal.prune(dry_run=True)
        Pruned(entries=0, attempts=0, freed=0)
        >>> journal.close()
        """
        moment = time.time() if now is None else now
        return self.housekeeping.prune(moment, all_shipped=all_shipped, dry_run=dry_run, progress=progress)

    # --- looking

    def statistics(self, now: float) -> "Statistics":
        """The accounts at this moment; `now` in seconds since the epoch, for the age of the oldest."""
        from recorder.journal.accounts import statistics_of

        with self._connection.reading() as connection:
            return statistics_of(connection, self.path, now=now)


def _check_token(token: str) -> None:
    if not isinstance(token, str) or not token or not is_text(token):
        raise WrongToken(
            "the project's token must be a non-empty string", hint="Take it from the project's settings."
        )
