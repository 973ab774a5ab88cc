"""What widgets say to each other; the app handles what goes from one view to another."""

from dataclasses import dataclass, field
from typing import Literal

from textual.message import Message

from recorder.journal.decisions import Verb
from tui.text.rows import Query

__all__ = [
    "Decide",
    "Edit",
    "Failed",
    "FilterEntries",
    "Forget",
    "KeysChanged",
    "Place",
    "Say",
    "Ship",
    "ShowEntry",
    "ShowProfile",
    "Worked",
]


class ShowEntry(Message):
    """Go to the journal, with the cursor on this entry."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        super().__init__()


class ShowProfile(Message):
    """Go to a profile, as of an entry; without one, as it is now."""

    def __init__(self, profile: str, group_key: str | None = None, seq: int | None = None) -> None:
        self.profile = profile
        self.group_key = group_key
        self.seq = seq
        super().__init__()


class FilterEntries(Message):
    """Go to the journal, filtered by these words; see `recorder.model.filters`."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        super().__init__()


class Decide(Message):
    """Retry or discard what these filters match; the app says what that would do, and asks first.

    Where they are marks, `among` is what shows: the question says how many of them do not.
    """

    def __init__(self, verb: Verb, filters: list[list[str]], *, among: Query | None = None) -> None:
        self.verb = verb
        self.filters = filters
        self.among = among
        super().__init__()


@dataclass(frozen=True, slots=True)
class Place:
    """Where one is, for a browser that goes on in another file at the same path."""

    view: str = "journal"
    query: Query = field(default_factory=Query)
    seq: int | None = None


class Edit(Message):
    """Give an entry another message; the app opens the editor, and asks."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        super().__init__()


class Forget(Message):
    """Erase a profile; the app says what that would do, and asks first."""

    def __init__(self, profile: str, group_key: str | None) -> None:
        self.profile = profile
        self.group_key = group_key
        super().__init__()


class Ship(Message):
    """Send what may go now; the app asks first."""


class KeysChanged(Message):
    """Other keys of the view do something now."""


class Say(Message):
    """Say something in passing."""

    def __init__(
        self, text: str, severity: Literal["information", "warning", "error"] = "information"
    ) -> None:
        self.text = text
        self.severity = severity
        super().__init__()


class Worked(Message):
    """A worker's job went well."""

    def __init__(self, job: str) -> None:
        self.job = job
        super().__init__()


class Failed(Message):
    """A worker's exception: it is shown, and the app stays."""

    def __init__(self, error: Exception, job: str = "") -> None:
        self.error = error
        self.job = job
        super().__init__()
