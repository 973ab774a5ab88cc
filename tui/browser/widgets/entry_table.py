"""The table of entries: a scroll view that draws lines from pages of rows.

The cursor is an entry's number, not a row's: whatever is recorded above it, it stays on its entry. Row numbers
only place the scroll bar; they are exact where an end of the matches is known, and an estimate elsewhere.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from recorder import State
from tui.browser.gateway import PAGE, Gateway
from tui.browser.messages import Failed
from tui.browser.work import ask, stopped
from tui.text.cells import fitted, folded
from tui.text.columns import Columns, columns_for
from tui.text.rows import Query, Row, Window
from tui.text.states import plain

__all__ = ["EntryTable"]

_MOST_ROWS = 6 * PAGE  # kept at a time


# Keys are the view's: a scroll view's own arrows would scroll past the cursor.
class EntryTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Entries that match a query, newest first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "row--cursor",
        "row--marked",
        "row--missing",
        *(f"state--{state.value}" for state in State),
    }

    class Moved(Message):
        """The cursor is on another entry, or on none."""

        def __init__(self, seq: int | None) -> None:
            self.seq = seq
            super().__init__()

    class Changed(Message):
        """Rows were loaded: how many there are, and whether they follow, may have changed."""

    class Opened(Message):
        """A row was clicked that the cursor was on."""

    class _Loaded(Message):
        """A window for this query, and what is to be done with it."""

        def __init__(self, query: Query, window: Window, then: Callable[[Window], None]) -> None:
            self.query = query
            self.window = window
            self.then = then
            super().__init__()

    class _Further(Message):
        """Rows beyond one end of the window."""

        def __init__(self, query: Query, than: int, rows: tuple[Row, ...], *, newer: bool) -> None:
            self.query = query
            self.than = than
            self.rows = rows
            self.newer = newer
            super().__init__()

    def __init__(self, gateway: Gateway, *, ascii_only: bool) -> None:
        super().__init__(id="entries")
        self._gateway = gateway
        self._ascii = ascii_only
        self.query_now = Query()
        self.window = Window()
        self.cursor: int | None = None
        self.marks: set[int] = set()
        self.following = True
        self.loaded = False
        self.nothing = ""
        """What is drawn where nothing matches. The table draws it: Textual takes the keys from what is hidden."""
        self._columns = columns_for(80, 0)
        self._owed = 0
        self._total: int | None = None  # of a filter, counted
        self._reading: set[str] = set()

    # --- what it shows

    def show(self, query: Query, *, at: int | None = None) -> None:
        """Show what matches a query, with the cursor on an entry, or near it; None: on the newest."""
        self.query_now = query
        self.loaded = False
        self._owed = 0
        self._total = None
        self._reading.clear()
        if at is None:
            self._load(lambda: self._gateway.newest(query, PAGE, stopped), self._begin)
        else:
            self.go_to(at)

    def go_to(self, seq: int) -> None:
        """Put the cursor on an entry, or on the next older match."""
        query = self.query_now

        def then(window: Window) -> None:
            self._put(window)
            self._set_cursor(seq)
            self._snap()
            self._scroll_to_cursor(middle=True)
            self._pay()

        if self.loaded and self._holds(seq):
            then(self.window)
        else:
            self._load(lambda: self._gateway.around(query, seq, PAGE // 2, PAGE, stopped), then)

    def first(self) -> None:
        """Put the cursor on the newest match."""
        query = self.query_now
        self._load(lambda: self._gateway.newest(query, PAGE, stopped), self._begin)

    def last(self) -> None:
        """Put the cursor on the oldest match."""
        query = self.query_now

        def then(window: Window) -> None:
            self._put(window)
            if window.rows:
                self._set_cursor(window.rows[-1].seq)
            self._scroll_to_cursor()

        self._load(lambda: self._gateway.oldest(query, PAGE, stopped), then)

    def refresh_rows(self) -> None:
        """The journal has changed: read again what shows. The cursor stays on its entry."""
        if "refresh" in self._reading or not self.loaded:
            return
        query, height, cursor = self.query_now, self.size.height, self.cursor
        top = self._top()
        if (
            not height and cursor is not None
        ):  # the detail stands in its place, and shows what is under the cursor
            read = lambda: self._gateway.around(query, cursor, PAGE // 2, PAGE, stopped)  # noqa: E731
        elif top is None or self.at_top:
            read = lambda: self._gateway.newest(query, 4 * height, stopped)  # noqa: E731
        else:
            seq = top.seq
            read = lambda: self._gateway.around(query, seq, height, 4 * height, stopped)  # noqa: E731
        self._load(read, self._keep, group="refresh")

    def count_is(self, total: int | None) -> None:
        """A filter's matches were counted."""
        self._total = total
        self._put(replace(self.window, total=total).placed())

    @property
    def at_top(self) -> bool:
        """Whether it shows what is recorded as it comes."""
        return self.following and self.scroll_offset.y == 0

    def follow(self) -> bool:
        """Follow what is recorded, or stop following; whether it follows now."""
        self.following = not self.at_top
        if self.following:
            query = self.query_now

            def then(window: Window) -> None:
                self._put(window)
                self._scroll(0)

            self._load(lambda: self._gateway.newest(query, PAGE, stopped), then)
        self.post_message(self.Changed())
        return self.following

    @property
    def on_first(self) -> bool:
        """Whether the cursor is on the newest."""
        return bool(self.window.rows) and self.window.rows[0].seq == self.cursor

    @property
    def drifted(self) -> str:
        """Where the cursor is, while what is recorded moves it out of sight; empty where it shows, or nothing moves."""
        if not self.at_top or self.cursor is None or not self.window.rows or not self.size.height:
            return ""
        return f"cursor #{self.cursor:,} below" if self.window.place(self.cursor) >= self.size.height else ""

    @property
    def under_way(self) -> bool:
        """Whether it is on its way to other rows, and the cursor with it."""
        return "rows" in self._reading

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        if self.cursor is None or not self.window.rows:
            return None
        found = self.window[self.window.place(self.cursor)]
        return found if found is not None and found.seq == self.cursor else None

    def mark(self) -> None:
        """Mark the entry under the cursor, or take its mark away, and go on to the next."""
        if self.cursor is not None:
            self.marks ^= {self.cursor}
            self.move(1)
            self.refresh()
            self.post_message(self.Changed())

    # --- moving

    def move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        if self.cursor is None or not self.window.rows:
            return
        if not self._holds(self.cursor):
            self._owed += by
            self.go_to(self.cursor)
            return
        window = self.window
        target = window.place(self.cursor) + by
        if target >= window.end and not window.at_oldest:
            self._owed = target - window.end + 1
        elif target < window.first and not window.at_newest:
            self._owed = target - window.first
        place = min(max(target, window.first), window.end - 1)
        found = window[place]
        if found is not None:
            self._set_cursor(found.seq)
        self._scroll_to_cursor()
        self._need()

    def page(self, by: int) -> None:
        """Move the cursor by so many pages."""
        self.move(by * max(self.size.height - 1, 1))

    # --- loading

    def _load(
        self, read: Callable[[], Window], then: Callable[[Window], None], *, group: str = "rows"
    ) -> None:
        query = self.query_now
        self._reading.add(group)

        def done(window: Window) -> None:
            self._reading.discard(group)
            then(window)

        ask(self, read, lambda window: self._Loaded(query, window, done), group=group)

    def on_entry_table__loaded(self, message: _Loaded) -> None:
        """Take a window over, unless something else is looked at by now."""
        if message.query == self.query_now:
            message.then(message.window)
            self.loaded = True
            self._need()
            self.post_message(self.Changed())

    def on_entry_table__further(self, message: _Further) -> None:
        """Rows beyond an end of the window, unless the window was read again meanwhile."""
        self._reading.discard("further")
        window, rows = self.window, message.rows
        end = window.rows and window.rows[0 if message.newer else -1].seq
        if message.query != self.query_now or end != message.than:
            return
        top = self._top()
        reached = len(rows) < PAGE
        if message.newer:
            kept = (*rows, *window.rows)[:_MOST_ROWS]
            whole = len(kept) == len(rows) + len(window.rows)
            first = window.first - len(rows)
            window = replace(
                window, first=first, rows=kept, at_newest=reached, at_oldest=window.at_oldest and whole
            )
        else:
            both = (*window.rows, *rows)
            kept = both[-_MOST_ROWS:]
            cut = len(both) - len(kept)
            window = replace(
                window,
                first=window.first + cut,
                rows=kept,
                at_newest=window.at_newest and not cut,
                at_oldest=reached,
            )
        self._put(self._grounded(window))
        self._anchor(top)
        self._pay()
        self._need()
        self.post_message(self.Changed())

    @staticmethod
    def _grounded(window: Window) -> Window:
        """Row numbers from the end that is known; a window that lost an end keeps the ones it has."""
        if window.at_newest:
            return replace(window, first=0)
        return replace(window, first=max(window.first, 1))

    def on_failed(self, message: Failed) -> None:
        """A read failed: the rows stay, and the next look reads again. The app says what it was."""
        del message
        self._reading.clear()
        self._owed = 0

    def _pay(self) -> None:
        """Go the rest of a way for which rows were missing."""
        owed, self._owed = self._owed, 0
        if owed:
            self.move(owed)

    def _need(self) -> None:
        """Read on where rows that show, or may show next, are not loaded."""
        window, height = self.window, self.size.height
        if not window.rows or "further" in self._reading or "rows" in self._reading or not height:
            return
        top = self.scroll_offset.y
        bottom = top + height
        if top >= window.end + PAGE or bottom <= window.first - PAGE:
            self._jump(top)
        elif bottom + height > window.end and not window.at_oldest:
            self._read_further(window.rows[-1].seq, newer=False)
        elif top - height < window.first and not window.at_newest:
            self._read_further(window.rows[0].seq, newer=True)

    def _read_further(self, than: int, *, newer: bool) -> None:
        query = self.query_now
        self._reading.add("further")
        ask(
            self,
            lambda: self._gateway.further(query, than, PAGE, newer=newer, stop=stopped),
            lambda rows: self._Further(query, than, rows, newer=newer),
            group="further",
        )

    def _jump(self, top: int) -> None:
        """The scroll bar was dragged far away: read what is about there."""
        query, height = self.query_now, self.window.height

        def then(window: Window) -> None:
            if not (window.at_newest or window.at_oldest or query.everything):
                window = replace(window, first=max(top - PAGE // 2, 1))
            self._put(window)

        self._load(lambda: self._gateway.near(query, top, height, PAGE // 2, PAGE, stopped), then)

    # --- placing

    def _begin(self, window: Window) -> None:
        self._put(window)
        self._set_cursor(window.rows[0].seq if window.rows else None)
        self._scroll(0)

    def _keep(self, window: Window) -> None:
        """Take over what was read again; what shows stays where it is."""
        top = self._top()
        follows = self.at_top
        if top is not None and not follows and window.rows:
            if not window.rows[-1].seq <= top.seq <= window.rows[0].seq and not (
                window.at_newest and window.at_oldest
            ):
                return  # somebody went on meanwhile; the next look reads there
            known = window.at_newest or self.query_now.everything
            if not known:
                grown = (
                    (window.total or 0) - (self.window.total or 0)
                    if window.total and self.window.total
                    else 0
                )
                above = self.scroll_offset.y + grown - (window.place(top.seq) - window.first)
                window = replace(window, first=max(above, 1))
        self._put(window)
        if not follows:
            self._anchor(top)
        self._snap()

    def _put(self, window: Window) -> None:
        if window.total is None and self._total is not None:
            window = replace(window, total=self._total).placed()
        self.window = window
        highest = window.rows[0].seq if window.rows else 0
        self._columns = columns_for(self.size.width, max(highest, window.total or 0))
        self.virtual_size = Size(self.size.width, window.height if window.rows else 0)
        self.refresh()

    def _scroll(self, y: int) -> None:
        # By force: whether there is a scroll bar is known after the next layout only, and until then Textual would
        # not scroll what has just grown.
        self.scroll_to(y=y, animate=False, force=True)

    def _top(self) -> Row | None:
        return self.window[self.scroll_offset.y]

    def _anchor(self, top: Row | None) -> None:
        """Scroll so that this row is the first that shows."""
        if top is not None and self.window.rows:
            self._scroll(self.window.place(top.seq))

    def _holds(self, seq: int) -> bool:
        """Whether the window is about this number."""
        rows = self.window.rows
        if not rows:
            return False
        below = self.window.at_newest or seq <= rows[0].seq
        above = self.window.at_oldest or seq >= rows[-1].seq
        return below and above

    def _snap(self) -> None:
        """An entry that does not match any more leaves its place to the next older one."""
        rows = self.window.rows
        if not rows:
            self._set_cursor(None)
        elif self.cursor is None:
            self._set_cursor(rows[0].seq)
        elif self._holds(self.cursor):
            found = self.window[self.window.place(self.cursor)]
            if found is not None and found.seq != self.cursor:
                self._set_cursor(found.seq)

    def _set_cursor(self, seq: int | None) -> None:
        if seq != self.cursor:
            self.cursor = seq
            self.post_message(self.Moved(seq))
        self.refresh()

    def _scroll_to_cursor(self, *, middle: bool = False) -> None:
        if self.cursor is None or not self.window.rows:
            return
        place, top, height = self.window.place(self.cursor), self.scroll_offset.y, max(self.size.height, 1)
        if top <= place < top + height:
            return
        near = place if place < top else place - height + 1
        y = place - height // 2 if middle else near
        self._scroll(max(y, 0))

    # --- drawing

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other rows show."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._need()
            self.post_message(self.Changed())

    def on_resize(self, event: Resize) -> None:
        """The columns are others."""
        del event
        self._put(self.window)
        self._scroll_to_cursor()
        self._need()
        self.post_message(self.Changed())

    @property
    def empty(self) -> bool:
        """Whether it is known that nothing matches."""
        return self.loaded and not self.window.rows

    def say_nothing(self, text: str) -> None:
        """What to draw where nothing matches."""
        if text != self.nothing:
            self.nothing = text
            self.refresh()

    def heads(self) -> str:
        """The line above the rows."""
        return self._columns.heads()

    def render_line(self, y: int) -> Strip:
        """One row."""
        width = self.size.width
        number = y + self.scroll_offset.y
        if not self.window.rows:
            return self._line_of_nothing(y, width) if self.loaded else Strip.blank(width, self.rich_style)
        if number >= self.window.height:
            return Strip.blank(width, self.rich_style)
        row = self.window[number]
        if row is None:
            style = self.get_component_rich_style("row--missing")
            return Strip([Segment(fitted(" …" if not self._ascii else " ...", width), style)], width)
        return self._strip(row, width)

    def _line_of_nothing(self, y: int, width: int) -> Strip:
        margin = 2
        text = plain(self.nothing) if self._ascii else self.nothing
        lines = [
            "",
            *(part for line in text.split("\n") for part in folded(line, max(width - 2 * margin, 1))),
        ]
        line = " " * margin + lines[y] if y < len(lines) else ""
        return Strip([Segment(fitted(line, width), self.rich_style)], width)

    def _strip(self, row: Row, width: int) -> Strip:
        here, marked = row.seq == self.cursor, row.seq in self.marks
        mark = "►" if here else "●" if marked else " "
        columns: Columns = self._columns
        line, state = columns.cells(
            row, self._gateway.now(), mark=plain(mark) if self._ascii else mark, ascii_only=self._ascii
        )
        style = self._style(here=here, marked=marked)
        segments = [
            Segment(line, style),
            Segment(state, style + self.get_component_rich_style(f"state--{row.state.value}", partial=True)),
        ]
        return Strip(segments).adjust_cell_length(width, style)

    def _style(self, *, here: bool, marked: bool) -> Style:
        if here:
            return self.get_component_rich_style("row--cursor")
        if marked:
            return self.get_component_rich_style("row--marked")
        return self.rich_style

    def compose(self) -> ComposeResult:
        """Nothing: lines are drawn."""
        yield from ()

    def on_click(self, event: Click) -> None:
        """The cursor goes to where it was clicked."""
        row = self.window[event.y + self.scroll_offset.y]
        if row is None:
            return
        if row.seq == self.cursor:
            self.post_message(self.Opened())
        self._set_cursor(row.seq)
