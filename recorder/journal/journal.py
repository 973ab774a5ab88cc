"""`Journal`: the file, as apps and shippers use it. Each method hands on to the module that does the work."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Self

from recorder.journal import lanes, project
from recorder.journal.append import GroupCommit
from recorder.journal.connection import Connection, Durability
from recorder.journal.limits import check
from recorder.journal.opening import BUSY_SECONDS, resolved
from recorder.journal.space import Space
from recorder.journal.uptime import uptime
from recorder.model.entries import NewEntry
from recorder.model.errors import WrongToken
from recorder.model.intake import Intake
from recorder.model.operations import Lane, Operator
from recorder.model.tokens import check_token

if TYPE_CHECKING:
    from recorder.journal.claims import Claims
    from recorder.journal.decisions import Decision, Undo
    from recorder.journal.forget import Progress
    from recorder.journal.housekeeping import Housekeeping
    from recorder.journal.mentions import Whose
    from recorder.journal.readback import Profiles
    from recorder.model.reports import Fenced, Forgotten, Pruned, Readback, Statistics

__all__ = ["Journal"]

_MOST_BUSY = 86_400.0  # seconds; SQLite counts milliseconds in 32 bits


class Journal:
    """The journal of one project's operations in one file.

    Safe for any number of threads; any number of processes may have it open. A forked child may go on recording.

    Args:
        path: The file; created, with its schema, where there is none.
        token: The project's token. The first one given is kept; the journal belongs to that project.
        durability: What a recording call waits for. ``"power"``: the entry survives a power loss.
            ``"process"``: it survives the death of the process, and the last ones may be lost with the power.
        busy_timeout: Seconds that a call waits for another process that has the journal locked, before it raises
            JournalBusy; nothing was recorded then. At most a day.
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
        busy_timeout: float = BUSY_SECONDS,
        max_bytes: float | None = None,
        keep_shipped_days: float | None = None,
        keep_shipped_entries: float | None = None,
    ) -> None:
        if durability not in ("power", "process"):
            raise ValueError(f"durability must be 'power' or 'process', not {durability!r}")
        if not 0 <= busy_timeout <= _MOST_BUSY:
            raise ValueError(f"busy_timeout must be from 0 to {_MOST_BUSY:,} seconds, not {busy_timeout!r}")
        limits = {
            "max_bytes": max_bytes,
            "keep_shipped_days": keep_shipped_days,
            "keep_shipped_entries": keep_shipped_entries,
        }
        check(limits)
        if token is not None:
            check_token(token)  # before there is a file
        self.path = resolved(path)
        self.durability = durability
        self._token: str | None = None
        self._connection = Connection(self.path, durability, self._in_child, busy_timeout=busy_timeout)
        self._space = Space(self._connection, self.path)
        self._commits = GroupCommit(self._connection, self.path, self._space)
        try:
            with self._connection.reading() as connection:
                self._token = project.token(connection)
            if token is not None:
                self.bind(token)
            self._space.keep_limits(limits)
        except BaseException:
            self.close()
            raise

    @property
    def claims(self) -> "Claims":
        """The part that shippers use."""
        from recorder.journal.claims import Claims

        return Claims(self._connection, self.path)

    @property
    def housekeeping(self) -> "Housekeeping":
        """The part that keeps it small."""
        from recorder.journal.housekeeping import Housekeeping

        return Housekeeping(self._connection, self.path)

    def _in_child(self) -> None:
        """Forget calls that other threads of the parent had queued: this process was forked."""
        if hasattr(self, "_commits"):  # not while another thread opens it
            self._commits.reset()

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
        """Make this the journal of a project, or check that it is.

        Raises:
            WrongToken: It belongs to another project.
        """
        check_token(token)
        if self._token is None:
            with self._connection.transaction() as connection:
                kept = project.bind(connection, token)
            self._token = kept  # not before it is committed
        if token != self._token:
            raise WrongToken(f"{self.path.name} belongs to another project than the given token")

    def change_token(self, token: str) -> None:
        """Make this the journal of another project: unsent entries go there.

        Paused lanes are due at once. Processes that have it open go on recording, for the new project; opening it
        with the old token is refused.

        Raises:
            WrongToken: It is not a token.
        """
        check_token(token)
        with self._connection.transaction() as connection:
            project.change_token(connection, token)
            lanes.retry_paused_anew(connection, Lane, 0)
        self._token = token

    # --- recording

    def append(self, rows: Sequence[NewEntry]) -> int:
        """Write rows, in order and in one commit; when this returns, they are in the journal.

        Threads share commits, and each call returns or raises on its own.

        Args:
            rows: At least one.

        Returns:
            The number of the last one; they are numbered without a gap.

        Raises:
            JournalError: Nothing of this call was written.
        """
        return self._commits.append(rows)

    # --- deciding

    def retry(self, filter: str | Sequence[str]) -> "Decision":
        """Send entries again that are rejected, discarded or in doubt, each at its own number.

        Entries that wait because too many were rejected with the same words are taken, too: a person has looked, and
        each is isolated however many there are.

        Args:
            filter: Which entries; see `recorder.model.filters`. An empty one means all.

        Raises:
            InvalidFilter: The filter is not understood.

        >>> import pathlib, tempfile
        >>> with Journal(pathlib.Path(tempfile.mkdtemp()) / "kiosk.db", token="PROJECT") as journal:
        ...     journal.retry("state=rejected").entries
        0
        """
        return self._decide("retry", filter)

    def discard(self, filter: str | Sequence[str]) -> "Decision":
        """Give up entries that are pending, waiting, rejected or in doubt; see `retry`."""
        return self._decide("discard", filter)

    def take_back(self, undo: "Undo") -> "Decision":
        """Give discarded entries the state that `JournalReader.before_discard` found; refuse those changed since."""
        from recorder.journal.decisions import take_back

        with self._connection.transaction() as connection:
            return take_back(connection, undo)

    def _decide(self, verb: Literal["retry", "discard"], filter: str | Sequence[str]) -> "Decision":
        from recorder.journal.decisions import Verb, decide_all

        return decide_all(self._connection, Verb(verb), filter, time.time())

    def edit(self, seq: int, message: Mapping[str, Any]) -> None:
        """Give an entry another message, and send it at its number.

        Args:
            seq: An entry that is pending, waiting, rejected or in doubt.
            message: Of the same lane and profile, with one operator. Without a ``$time`` the entry keeps its own.

        Raises:
            InvalidOperation: The message could never be accepted; the entry is as it was.
            JournalError: There is no such entry, or it cannot be edited any more.
        """
        from recorder.journal.decisions import edit

        with self._connection.transaction() as connection:
            edit(connection, seq, message, token=self._token or "", now=time.time())

    def settle(self, profiles: "Profiles") -> "Readback":
        """Read from their profiles which counted entries in doubt were applied; see `ShippingPolicy.counted`.

        Applied ones end as shipped; the rest is sent again by the next `Shipper`, and not counted as possibly twice.
        Profiles that do not show it stay held. A call that fails leaves nothing behind; the next one begins anew.

        Args:
            profiles: Writes and reads profiles at the service.

        >>> import pathlib, tempfile
        >>> from recorder.shipping.profiles import HttpProfiles
        >>> with Journal(pathlib.Path(tempfile.mkdtemp()) / "kiosk.db", token="PROJECT") as journal:
        ...     journal.settle(HttpProfiles("http://127.0.0.1:8765", ("user", "secret"))).settled
        0
        """
        from recorder.journal.readback import settle

        self.claims.settle_if_abandoned(time.time(), uptime())
        return settle(self._connection, profiles, time.time(), uptime())

    def write_fences(self, write: Callable[[bytes], bool]) -> "Fenced":
        """Write the fences of `settle` with what sends a JSON array of updates, and returns True if accepted."""
        from recorder.journal.readback import write_fences

        self.claims.settle_if_abandoned(time.time(), uptime())
        return write_fences(self._connection, write, uptime())

    def settle_decisions(self, decisions: "Iterable[Mapping[str, Any]]") -> "Readback":
        """Take decisions about entries in doubt that were made elsewhere, such as by an operator.

        Args:
            decisions: Each with `journal` (its identity), `profile`, `epoch` and `digest` of the request in doubt,
                and `applied`: how many of the run's entries were. None is taken about what is not in doubt any more.
                Where a shipper made the same request twice, `attempt` has its number.

        Raises:
            JournalError: It may be a copy of a journal that takes the same decisions.
        """
        from recorder.journal.readback import settle_decisions

        with self._connection.transaction(full=True) as connection:
            return settle_decisions(connection, self.path, decisions, time.time(), uptime())

    def forget(
        self,
        profile: str,
        *,
        group_key: str | None = None,
        delete_remote: bool = False,
        timeout: float = 60.0,
        progress: "Progress | None" = None,
    ) -> "Forgotten":
        """Erase a profile: the content of its entries, whatever their state, and all other traces in the journal.

        Entries keep number, lane and time, and become ``forgotten``. When this returns, neither the file nor its log
        contains a byte of what was erased; docs/privacy.md says what is covered, and what is not. Events and imports
        that name a user are erased, too. Entries that are being sent are waited for; entries recorded meanwhile are
        new, and stay. After a kill at any moment, the next call finishes.

        The file is rewritten, which needs as much free space as it takes, and others wait meanwhile.

        Args:
            profile: The profile's or group's id.
            group_key: A group's key; None for a user's profile.
            delete_remote: Also record a ``$delete``, so that the service deletes the profile. That entry names it
                until it is shipped, and is erased then.
            timeout: Seconds to wait for entries that are being sent.
            progress: Called with how many entries are erased so far, and how many there are.

        Raises:
            JournalBusy: One of its entries is still being sent, or a reader keeps the log from being truncated; the
                rest is erased, and another call finishes.
            JournalFull: There is no space to rewrite the file; as before.
            InvalidOperation: No profile can have such an id.

        >>> import pathlib, tempfile
        >>> from restante import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     recorder.people_set("ada", {"plan": "pro"})
        ...     recorder.journal.forget("ada").entries
        1
        """
        from recorder.journal.forget import Forgetting
        from recorder.journal.mentions import Whose

        whose = Whose(profile, group_key)
        deletion = _deletion(whose, self._token) if delete_remote else None
        forgetting = Forgetting(self._connection, self.claims, self.path)
        return forgetting.forget(whose, deletion=deletion, timeout=timeout, progress=progress)

    def note_senders(self, messages: Mapping[str, int]) -> None:
        """Add to the numbers of messages by sender that `status` shows; `restante relay` does."""
        with self._connection.transaction() as connection:
            project.note_senders(connection, messages, time.time())

    # --- keeping it small

    def prune(
        self,
        *,
        all_shipped: bool = False,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
        now: float | None = None,
    ) -> "Pruned":
        """Fold entries shipped long ago into a row per profile, delete them, and shrink the file.

        Shippers do so by themselves, a little at a time; this does all of it at once. Others record and ship
        meanwhile. After a kill, less is pruned.

        Args:
            all_shipped: All shipped entries, however recent.
            dry_run: Only count.
            progress: Called with how many entries went so far, and about how many are to go.
            now: Seconds since the epoch; None for the system's clock.

        Raises:
            JournalError: The journal cannot be written.

        >>> import pathlib, tempfile
        >>> with Journal(pathlib.Path(tempfile.mkdtemp()) / "kiosk.db", token="PROJECT") as journal:
        ...     journal.prune(dry_run=True)
        Pruned(entries=0, attempts=0, freed=0)
        """
        moment = time.time() if now is None else now
        return self.housekeeping.prune(moment, all_shipped=all_shipped, dry_run=dry_run, progress=progress)

    # --- reading

    def statistics(self, now: float) -> "Statistics":
        """Return the accounts; `now` in seconds since the epoch, for the age of the oldest unsent entry."""
        from recorder.journal.statistics import statistics

        with self._connection.reading() as connection:
            return statistics(connection, self.path, now=now)


def _deletion(whose: "Whose", token: str | None) -> NewEntry:
    (row,) = Intake(token or "").update({**whose.names, Operator.DELETE.value: ""}, time.time())
    return row
