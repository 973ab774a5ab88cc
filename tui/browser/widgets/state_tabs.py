"""The tabs over the table: all entries, and those of each state, with their counts."""

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual.widget import Widget

from recorder import State
from tui.browser.gateway import Facts
from tui.text.states import LOOKS, plain

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
    """One tab a state; those that hold nothing, and never do in most journals, are left out."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"tab--here"}

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__(id="tabs")
        self._ascii = ascii_only
        self.tab: State | None = None
        self._facts: Facts | None = None
        self._note = ""

    def show(self, facts: Facts) -> None:
        """Show the counts."""
        self._facts = facts
        self.refresh()

    def choose(self, tab: State | None) -> None:
        """Show which is open."""
        self.tab = tab
        self.refresh()

    def note(self, text: str) -> None:
        """What stands at the right end."""
        if text != self._note:
            self._note = text
            self.refresh()

    def beside(self, by: int) -> State | None:
        """The tab so many further on."""
        tabs = self.tabs()
        return tabs[(tabs.index(self.tab) + by) % len(tabs)]

    def tabs(self) -> list[State | None]:
        """Those that are there."""
        return [tab for tab in TABS if tab in _ALWAYS or tab == self.tab or self._number(tab)]

    def _number(self, tab: State | None) -> int:
        return self._facts.counted(tab) if self._facts is not None else 0

    def render(self) -> Text:
        """The line: the open tab stays in sight, whatever the width."""
        width = self.size.width
        tabs = self.tabs()
        here = tabs.index(self.tab)
        note = f" {self._note} " if self._note else ""
        for short in (False, True):
            parts = [self._tab(tab, short=short) for tab in tabs]
            if sum(map(cell_len, parts)) + cell_len(note) <= width:
                break
        else:
            note = note if sum(map(cell_len, parts[here : here + 1])) + cell_len(note) <= width else ""
        room = width - cell_len(note)
        start = 0
        while start < here and sum(map(cell_len, parts[start : here + 1])) > room:
            start += 1
        text = Text(no_wrap=True, end="")
        for place in range(start, len(parts)):
            style = self.get_component_rich_style("tab--here") if place == here else Style()
            part = parts[place]
            if text.cell_len + cell_len(part) > room:
                break
            text.append(plain(part) if self._ascii else part, style)
        text.append(set_cell_size("", max(width - text.cell_len - cell_len(note), 0)))
        text.append(plain(note) if self._ascii else note)
        return text

    def _tab(self, tab: State | None, *, short: bool) -> str:
        look = LOOKS[tab] if tab is not None else None
        word = "all" if look is None else look.short if short else look.word
        text = f"{word} {self._count(tab, short=short)}"
        return f"▌{text}▐" if tab == self.tab else f" {text} "

    def _count(self, tab: State | None, *, short: bool) -> str:
        """How many, and where some are not kept any more, how many are."""
        if self._facts is None:
            return "…"
        kept, counted = self._facts.kept(tab), self._facts.counted(tab)
        if kept == counted:
            return f"{counted:,}"
        return f"{kept:,} {'' if short else 'kept '}of {counted:,}"
