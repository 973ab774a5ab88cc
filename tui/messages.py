"""What widgets say to each other; the app handles what goes from one view to another."""

from typing import Literal

from textual.message import Message

__all__ = ["Failed", "FilterEntries", "Say", "ShowEntry", "ShowProfile"]


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
    """Go to the journal, filtered by these words; see `recorder.filters`."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        super().__init__()


class Say(Message):
    """Say something in passing."""

    def __init__(
        self, text: str, severity: Literal["information", "warning", "error"] = "information"
    ) -> None:
        self.text = text
        self.severity = severity
        super().__init__()


class Failed(Message):
    """A worker's exception: it is shown, and the app stays."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__()
