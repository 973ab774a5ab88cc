"""Messages from views to the app: going from one view to another, and how jobs in threads ended."""

from dataclasses import dataclass, field

from textual.message import Message

from recorder import State
from tui.text.rows import Query

__all__ = [
    "Changed",
    "Failed",
    "FilterEntries",
    "KeyHandled",
    "Place",
    "ShowEntry",
    "ShowProfile",
    "ShowView",
    "Worked",
]


@dataclass(frozen=True, slots=True)
class Place:
    """A view, its query and its entry: where to go on when another file was put at the same path."""

    view: str = "journal"
    query: Query = field(default_factory=Query)
    seq: int | None = None


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


class ShowView(Message):
    """Go to a view; in shipping, to the failures of a state."""

    def __init__(self, name: str, state: State | None = None) -> None:
        self.name = name
        self.state = state
        super().__init__()


class FilterEntries(Message):
    """Go to the journal, filtered by these words; see `recorder.model.filters`."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        super().__init__()


class KeyHandled(Message):
    """A key has acted: this follows it from widget to widget, up to the app."""


class Changed(Message):
    """The person changed the journal; the words say how, for so many seconds. Forgetting names the profile."""

    def __init__(
        self, words: str, forgotten: tuple[str, str | None] | None = None, *, seconds: float | None = None
    ) -> None:
        self.words = words
        self.forgotten = forgotten
        self.seconds = seconds
        super().__init__()


class Worked(Message):
    """A job in a thread ended well."""

    def __init__(self, job: str) -> None:
        self.job = job
        super().__init__()


class Failed(Message):
    """A job in a thread, or a change, raised an exception: it is shown, and the app stays."""

    def __init__(self, error: Exception, job: str = "") -> None:
        self.error = error
        self.job = job
        super().__init__()
