"""`Recorder`: operations journaled before the call returns, and shipped when there is a network."""

import os
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

from recorder.background import Delivery
from recorder.journal.journal import Journal
from recorder.journal.uptime import now
from recorder.model.addresses import SERVICE
from recorder.model.entries import NewEntry
from recorder.model.errors import RestanteError
from recorder.model.intake import Intake, OnInvalid
from recorder.model.normalise import Serializer
from recorder.model.operations import Lane, UnknownOperators
from recorder.model.people import Batch, Check, Meta, PeopleApi, stamped
from recorder.model.tokens import check_token

if TYPE_CHECKING:
    from recorder.model.policy import ShippingPolicy
    from recorder.model.reports import Statistics
    from recorder.model.shipping import ShipReport

__all__ = ["Recorder"]


class Recorder(PeopleApi):
    """Records operations into a journal, and ships them.

    Every ``people_*`` and ``group_*`` call returns when its operation is in the journal. Nothing is sent
    before `flush`, unless `background` is on. Threads may share one Recorder.

    Args:
        token: The project's token. A journal belongs to one project.
        journal: A path, created if nothing is there, or a `Journal`, which stays open when the recorder closes.
        background: Ship from a thread, as soon as something is recorded and whenever the network allows.
        url: The service's base address, such as ``http://127.0.0.1:8765`` or ``https://shop.example/mp``; overrides
            `api_host`.
        api_host: The service's host; ``eu`` and ``in`` for its regions.
        policy: Sizes of requests, pace, and the fate of entries in doubt.
        on_invalid: ``"raise"``: InvalidOperation at the call. ``"reject"``: an operation that is JSON but malformed
            is journaled as a rejected entry with its reason, for apps that must never see an exception from
            their analytics. Input that is not JSON still raises.
        unknown_operators: ``"ship"`` records and sends operators that the service does not document as they are, rather
            than refuse them.
        on_event: Called with events that an app may want to know of, from whichever thread ships: an `Entry` that
            the service rejected, a `LaneStatus` when a lane is paused; from the background thread also a
            `ShipReport`, or the error that kept it from shipping, such as a `JournalError`. It may record and
            flush; the next request waits until it returns. Exceptions that it raises are logged.
        serializer: A JSONEncoder class, or a function from an object to JSON types, for objects that JSON does not
            have. One that raises TypeError for a date or a datetime leaves it to restante.
        clock: Seconds since the epoch.
        **journal_options: See `Journal`: ``durability``, ``busy_timeout`` and others; with a path only.

    Raises:
        JournalError: The journal cannot be used.
        WrongToken: It is not a token, or the journal belongs to another project.
        ShippingError: `url` is no address.

    >>> import pathlib, tempfile
    >>> recorder = Recorder("PROJECT", pathlib.Path(tempfile.mkdtemp()) / "kiosk.db")
    >>> recorder.people_set("ada", {"plan": "pro"})
    >>> recorder.people_increment("ada", {"visits": 1})
    >>> recorder.statistics().pending
    2
    >>> recorder.close()
    """

    __slots__ = ("_clock", "_delivery", "_intake")

    def __init__(
        self,
        token: str,
        journal: str | PathLike[str] | Journal,
        *,
        background: bool = False,
        url: str | None = None,
        api_host: str = SERVICE,
        policy: "ShippingPolicy | None" = None,
        on_invalid: OnInvalid = "raise",
        unknown_operators: UnknownOperators = "refuse",
        on_event: Callable[[Any], None] | None = None,
        serializer: Serializer | None = None,
        clock: Callable[[], float] = now,
        **journal_options: Any,
    ) -> None:
        check_token(token)
        self._clock = clock
        self._intake = Intake(token, on_invalid, serializer, unknown_operators)
        self._delivery = Delivery(
            journal,
            token=token,
            background=background,
            url=url,
            api_host=api_host,
            policy=policy,
            on_event=on_event,
            clock=clock,
            journal_options=journal_options,
        )

    def __repr__(self) -> str:
        return f"Recorder(journal={str(self.journal.path)!r})"

    @property
    def journal(self) -> Journal:
        """The journal that it records into."""
        return self._delivery.journal

    def _accept(self, lane: Lane, message: Any, meta: Meta, check: Check | None = None) -> list[NewEntry]:
        now = self._clock()
        return self._intake.rows(lane, stamped(message, meta, now), now, check)

    def _update(self, lane: Lane, message: Any, meta: Meta, check: Check | None = None) -> None:
        self._delivery.append(self._accept(lane, message, meta, check))

    def _now(self) -> float:
        return self._clock()

    def batch(self) -> Batch[NewEntry]:
        """Return a batch: one commit when its block ends, nothing if the block raises.

        >>> import pathlib, tempfile
        >>> with Recorder("PROJECT", pathlib.Path(tempfile.mkdtemp()) / "kiosk.db") as recorder:
        ...     with recorder.batch() as batch:
        ...         for visitor in ("ada", "bob"):
        ...             batch.people_increment(visitor, {"visits": 1})
        ...     recorder.statistics().recorded
        2
        """
        process = os.getpid()

        def commit(rows: list[NewEntry]) -> None:
            if process != os.getpid():
                raise RestanteError(
                    "this batch was begun before this process was forked; its operations are the parent's",
                    hint="Nothing was recorded here. Begin a batch in the child.",
                )
            self._delivery.append(rows)

        return Batch(self, self._accept, commit)

    def flush(self, timeout: float | None = 10.0) -> "ShipReport":
        """Send all that can be sent now, and report; failures of the network raise nothing.

        Args:
            timeout: Seconds in all; None for no limit.
        """
        return self._delivery.flush(timeout)

    def statistics(self) -> "Statistics":
        """The accounts of the journal at this moment."""
        return self.journal.statistics(self._clock())

    def close(self, timeout: float = 2.0) -> None:
        """End background shipping, after a last try, and close the journal if this recorder opened it.

        Entries that are not sent stay in the journal. Closing twice does nothing.

        Args:
            timeout: Seconds in all.
        """
        self._delivery.close(timeout)
