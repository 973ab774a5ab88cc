"""The tabs over the table: all entries, and those of each state, with their counts."""

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from recorder import State
from tui.text.facts import Facts
from tui.text.states import LOOKS, MUTED, PROBLEMS

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

    tab: reactive[State | None] = reactive(None)
    """The open tab; None for all entries."""

    facts: reactive[Facts | None] = reactive(None)
    """The counts."""

    note: reactive[str] = reactive("")
    """Words at the right end."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, tab: State | None) -> None:
            self.tab = tab
            super().__init__()

    class NoteClicked(Message):
        """The words at the right end were clicked."""

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._starts: list[tuple[int, State | None]] = []  # cells at which the drawn tabs begin
        self._end = 0

    def next(self, by: int) -> State | None:
        """Return the tab so many further on."""
        tabs = self.tabs()
        return tabs[(tabs.index(self.tab) + by) % len(tabs)]

    def tabs(self) -> list[State | None]:
        """Return the tabs that show."""
        return [tab for tab in TABS if tab in _ALWAYS or tab == self.tab or self._number(tab)]

    def _number(self, tab: State | None) -> int:
        return self.facts.counted(tab) if self.facts is not None else 0

    def render(self) -> Content:
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
        line = Content()
        self._starts = []
        for place in range(start, len(parts)):
            if line.cell_length + cell_len(parts[place]) > space:
                break
            self._starts.append((line.cell_length, tabs[place]))
            line += Content.styled(parts[place], self._style(tabs[place]))
        self._end = line.cell_length
        return line + Content.styled(note.rjust(max(width - line.cell_length, 0)), MUTED)

    def on_click(self, event: Click) -> None:
        """Choose the tab under the mouse."""
        if event.x >= self._end:
            self.post_message(self.NoteClicked())
        else:
            self.post_message(self.Chosen([tab for start, tab in self._starts if start <= event.x][-1]))

    def _style(self, tab: State | None) -> str:
        """Return a tab's style: the open one stands out, and what may need a person has its state's colour."""
        if tab == self.tab:
            return "bold $text-primary"
        return LOOKS[tab].style if tab in PROBLEMS and self._number(tab) else MUTED

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
