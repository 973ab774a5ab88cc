"""Errors that restante raises on purpose.

    RestanteError
    ├── InvalidOperation        the operation cannot be recorded; nothing was journaled (also a ValueError)
    ├── InvalidFilter           a filter expression is not one (also a ValueError)
    ├── JournalError
    │   ├── JournalMissing      there is no journal at that path
    │   ├── NotAJournal         the file is something else; it was not touched
    │   ├── JournalTooNew       written by a newer restante; it was not touched
    │   ├── JournalDamaged      SQLite cannot read it, or a value makes no sense; it was not wiped
    │   ├── JournalSnapshot     a copy for inspection only: nothing is recorded into it or shipped from it
    │   ├── JournalFull         no space to record; recorded entries are safe
    │   ├── JournalBusy         another process had it locked for too long
    │   ├── JournalClosed       it was closed before this call
    │   └── WrongToken          a journal belongs to one project, and this is another
    └── ShippingError           the transport was set up in a way that cannot work

The message says what happened and where. `hint` says what to do next; it is also a note of the exception (PEP 678),
so that tracebacks and logs show it.
"""

__all__ = [
    "InvalidFilter",
    "InvalidOperation",
    "JournalBusy",
    "JournalClosed",
    "JournalDamaged",
    "JournalError",
    "JournalFull",
    "JournalMissing",
    "JournalSnapshot",
    "JournalTooNew",
    "NotAJournal",
    "RestanteError",
    "ShippingError",
    "WrongToken",
]


class RestanteError(Exception):
    """Base of all errors of restante.

    Attributes:
        hint: One sentence that says what to do next; empty if there is nothing to do.

    >>> from restante import JournalBusy
    >>> error = JournalBusy("kiosk.db is in use", hint="Try again.")
    >>> str(error), error.hint
    ('kiosk.db is in use', 'Try again.')
    >>> error.__notes__
    ['Try again.']
    """

    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint
        if self.hint:
            self.add_note(self.hint)


class InvalidOperation(RestanteError, ValueError):
    """The operation cannot be recorded; nothing was journaled.

    Attributes:
        path: Where the offending value stands in the message, as in ``$set.address.lines[2]``.
        reason: What is wrong with it.
    """

    hint = "Nothing was recorded. Correct the call, or give Recorder(on_invalid='reject') to set such messages aside."

    def __init__(self, path: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {reason}", hint=hint)
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type["InvalidOperation"], tuple[str, str], dict[str, object]]:
        """Pickle by what the constructor takes, so that the error crosses process borders."""
        return type(self), (self.path, self.reason), self.__dict__


class InvalidFilter(RestanteError, ValueError):
    """A filter expression is not valid."""

    hint = (
        "Filters are words such as state=rejected, op=add, profile=ada, seq=100..200, since=2h; != negates."
    )


class JournalError(RestanteError):
    """A problem with the journal's file."""


class JournalMissing(JournalError):
    """There is no journal at that path."""

    hint = "Check the path (--journal, or RESTANTE_JOURNAL); recording the first operation creates the file."


class NotAJournal(JournalError):
    """The file is something else; it was not touched."""

    hint = "Give the path of a journal; recording creates one if there is no file."


class JournalTooNew(JournalError):
    """Written by a newer restante; it was not touched."""

    hint = "Upgrade restante on this machine."


class JournalDamaged(JournalError):
    """SQLite cannot read the journal, or a value in it makes no sense. Nothing was deleted."""

    hint = (
        "Stop everything that has it open, then run `restante salvage`: it makes a new journal of all that can be "
        "read, and keeps the damaged file."
    )


class JournalSnapshot(JournalError):
    """A copy for inspection only: nothing is recorded into it or shipped from it."""

    hint = (
        "Record into the journal that it is a snapshot of, and ship that. If that is lost, `restante salvage` makes a "
        "journal of the snapshot."
    )


class JournalFull(JournalError):
    """There is no space to record; recorded entries are safe."""

    hint = "Free disk space: shipping and `restante salvage` need some, too."


class JournalBusy(JournalError):
    """Another process had the journal locked for too long."""

    hint = (
        "Try again; if it lasts, look for a process that was stopped while it had the journal locked. "
        "Journal(busy_timeout=) sets how many seconds a call waits."
    )


class JournalClosed(JournalError):
    """The journal was closed before this call."""

    hint = "Open it again."


class WrongToken(JournalError):
    """The token is not valid, or is another project's than the journal's."""

    hint = "Use another journal for another project."


class ShippingError(RestanteError):
    """The transport was set up in a way that cannot work."""
