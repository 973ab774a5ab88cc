"""Rows of a fleet: what is read from each journal, small enough to be sent between processes. Plain values only."""

import json
from typing import Any, NamedTuple

from recorder.model.json_value import compact
from recorder.model.told import Run

__all__ = [
    "Device",
    "Doubt",
    "Failures",
    "JournalRows",
    "Place",
    "ProfileRow",
    "Touched",
    "Unreadable",
    "Written",
    "from_text",
    "to_text",
]


class Failures(NamedTuple):
    """Rejected entries of one journal with the same words of the service."""

    words: str
    entries: int


class Place(NamedTuple):
    """Place that a journal had reached, by which a copy is told from a newer snapshot.

    Attributes:
        number: Its highest entry.
        recorded_at: When that was recorded.
        attempt: Its last request; 0 for none.
        started_at: When that was made.
        epoch: Of the shipper that came last.
        seen_at: When that took over.
    """

    number: int = 0
    recorded_at: float | None = None
    attempt: int = 0
    started_at: float | None = None
    epoch: int = 0
    seen_at: float | None = None


class Device(NamedTuple):
    """One journal, as it stands. All moments are seconds since the epoch.

    Attributes:
        file: Its path, as given.
        identity: The name that copies of the journal share; None for lines of `restante export`.
        token: Its project's; None where that is not known.
        snapshot_at: When the copy was made, if `restante snapshot` did.
        place: The place it had reached.
        stuck_since: Since when nothing goes through although there is something to send; None if it goes.
        cause: Why, in words.
        unsent: Entries still to be sent, or in doubt.
        in_doubt: Entries in doubt.
        rejected: Rejected entries, by the service's words; the largest group first.
        lost: Entries that damage made unreadable.
        ahead: Seconds by which its newest stamp is in the future; 0 if none is.
        jumps: How often its clock went back by more than a minute.
    """

    file: str
    identity: str | None = None
    token: str | None = None
    snapshot_at: float | None = None
    place: Place = Place()
    stuck_since: float | None = None
    cause: str = ""
    unsent: int = 0
    in_doubt: int = 0
    rejected: tuple[Failures, ...] = ()
    lost: int = 0
    ahead: float = 0.0
    jumps: int = 0


class Unreadable(NamedTuple):
    """File that could not be read, and the reason."""

    file: str
    reason: str


class Written(NamedTuple):
    """An entry that wrote a property, kept as a possible witness.

    Attributes:
        seq: Its number, or its line.
        operator: Such as ``$set``.
        value: What its payload has for the property; None for operators that only name it.
    """

    seq: int
    operator: str
    value: Any


class Touched(NamedTuple):
    """A property of a profile, as one journal's shipped entries made it.

    Attributes:
        operators: Operators of the shipped entries that named it, sorted.
        unsure: An entry that was perhaps applied, or is still to be sent, is about it.
        fixed: The value does not depend on what the profile was before.
        value: The value in a list of one; an empty list for none.
        entries: For each operator, the first entry and one with another value.
    """

    operators: list[str]
    unsure: bool
    fixed: bool
    value: list[Any]
    entries: list[Written]


class Doubt(NamedTuple):
    """A run in doubt that may be decided about; see `recorder.journal.readback.Held`.

    Attributes:
        run: Its entries.
        known: What its counter was before it; None if that is not known.
        attempt: The request that carried it, which is the number of its fence.
        epoch: Of the shipper that made the request.
        digest: Of the request's body.
    """

    run: Run
    known: int | None
    attempt: int
    epoch: int
    digest: str


class ProfileRow(NamedTuple):
    """A user's profile in one journal.

    Attributes:
        file: The journal's path, as given.
        identity: The journal's; None for lines of `restante export`.
        token: The project's; None where that is not known.
        profile: The profile's id.
        counter: The journal's counter; None if it does not count.
        known: What the journal knows that counter to be; None if it does not know.
        doubtful: How much of it is in doubt; None if the device may have sent more since.
        deleted: The first delete of the profile that was shipped; 0 for none.
        deletes: A delete of it was shipped, or may be.
        unsure: Something is not known that may be about any property, such as an operator nobody documents.
        doubt: Its run in doubt, if one may be decided about.
        begins: The journal knows its beginning: nothing was forgotten.
        pruned: What some of its entries were is not known any more; `touched` has what they made.
        touched: `Touched` by name, as text; see `from_text`.
    """

    file: str
    identity: str | None
    token: str | None
    profile: str
    counter: str | None = None
    known: int | None = None
    doubtful: int | None = 0
    deleted: int = 0
    deletes: bool = False
    unsure: bool = False
    doubt: Doubt | None = None
    begins: bool = True
    pruned: bool = False
    touched: str = "{}"


class JournalRows(NamedTuple):
    """All rows of one journal."""

    device: Device
    profiles: list[ProfileRow]


def to_text(touched: dict[str, Touched]) -> str:
    """Return properties as text, which takes a tenth of the memory."""
    return compact(touched)


def from_text(text: str) -> dict[str, Touched]:
    """Return properties from text.

    >>> touched = {"plan": Touched(["$set"], False, True, ["pro"], [Written(1, "$set", "pro")])}
    >>> from_text(to_text(touched)) == touched
    True
    """
    found = {}
    for name, (*values, entries) in json.loads(text).items():
        found[name] = Touched._make([*values, [Written(*entry) for entry in entries]])
    return found
