"""The tabs over the table: all entries, and those of each state, with their counts."""

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from recorder import State
from tui.text.facts import Facts
from tui.text.states import LOOKS

__all__ = ["TABS", "StateTabs"]

TABS: tuple[State | None, ...] = (
    None,
    State.PENDING,
    State.SENDING,
    State.WAITING,
    State.IN_DOUBT,
    State.REJECTED,
    State.SHIPPED,
    State.DISCARDED,
    State.FORGOTTEN,
    State.LOST,
)
"""Every state, on its way to the service; None for all."""
_ALWAYS = (None, State.PENDING, State.IN_DOUBT, State.REJECTED, State.SHIPPED)


class StateTabs(Widget):
    """One tab for each state; rare states are left out while they have no entry."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"tab--here"}

    tab: reactive[State | None] = reactive(None)
    """The open tab; None for all entries."""

    facts: reactive[Facts | None] = reactive(None)
    """The counts."""

    note: reactive[str] = reactive("")
    """Words at the right end."""

    def __init__(self) -> None:
        super().__init__(id="tabs")

    def next(self, by: int) -> State | None:
        """Return the tab so many further on."""
        tabs = self.tabs()
        return tabs[(tabs.index(self.tab) + by) % len(tabs)]

    def tabs(self) -> list[State | None]:
        """Return the tabs that show."""
        return [tab for tab in TABS if tab in _ALWAYS or tab == self.tab or self._number(tab)]

    def _number(self, tab: State | None) -> int:
        return self.facts.counted(tab) if self.facts is not None else 0

    def render(self) -> Text:
        """Draw the line; the open tab stays in sight at any width."""
        width = self.size.width
        tabs = self.tabs()
        here = tabs.index(self.tab)
        note = f" {self.note} " if self.note else ""
        for short in (False, True):
            parts = [self._tab(tab, short=short) for tab in tabs]
            if sum(map(cell_len, parts)) + cell_len(note) <= width:
                break
        else:
            note = note if sum(map(cell_len, parts[here : here + 1])) + cell_len(note) <= width else ""
        space = width - cell_len(note)
        start = 0
        while start < here and sum(map(cell_len, parts[start : here + 1])) > space:
            start += 1
        text = Text(no_wrap=True, end="")
        for place in range(start, len(parts)):
            style = self.get_component_rich_style("tab--here") if place == here else Style()
            part = parts[place]
            if text.cell_len + cell_len(part) > space:
                break
            text.append(part, style)
        text.append(set_cell_size("", max(width - text.cell_len - cell_len(note), 0)))
        text.append(note)
        return text

    def _tab(self, tab: State | None, *, short: bool) -> str:
        look = LOOKS[tab] if tab is not None else None
        word = "all" if look is None else look.short if short else look.word
        text = f"{word} {self._count(tab, short=short)}"
        return f"▌{text}▐" if tab == self.tab else f" {text} "

    def _count(self, tab: State | None, *, short: bool) -> str:
        """Return the count, and how many are kept if some are not."""
        if self.facts is None:
            return "…"
        kept, counted = self.facts.kept(tab), self.facts.counted(tab)
        if kept == counted:
            return f"{counted:,}"
        return f"{kept:,} {'' if short else 'kept '}of {counted:,}"
