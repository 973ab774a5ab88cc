"""The table of entries: it loads the rows that show, and moves the cursor.

The cursor is an entry's number, not a row's: whatever is recorded above it, it stays on its entry. Row numbers
only place the scroll bar; they are exact where an end of the matches is known, and an estimate elsewhere.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from textual.events import Click, Resize
from textual.message import Message

from tui.browser.gateway import PAGE, Gateway
from tui.browser.messages import Failed
from tui.browser.pace import Pace
from tui.browser.widgets.entry_canvas import EntryCanvas
from tui.browser.work import Asking, stopped
from tui.text.marks import Marks
from tui.text.rows import Query, Row, Window

__all__ = ["EntryTable"]

_MOST_ROWS = 6 * PAGE  # kept at a time


class EntryTable(EntryCanvas, Asking):
    """Entries that match a query, newest first."""

    class Moved(Message):
        """The cursor is on another entry, or on none."""

        def __init__(self, seq: int | None) -> None:
            self.seq = seq
            super().__init__()

    class Changed(Message):
        """Rows were loaded: how many there are, and whether they follow, may have changed."""

    class Stopped(Message):
        """A search for rows was stopped."""

    class Opened(Message):
        """The row under the cursor was clicked."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self.query_now = Query()
        self.following = True
        self._owed = 0  # rows that the cursor has still to move, once they are loaded
        self._total: int | None = None  # of a filter, counted
        self.pace = Pace(gateway.now)

    # --- state

    @property
    def at_top(self) -> bool:
        """True if it shows what is recorded as it comes."""
        return self.following and self.scroll_offset.y == 0

    @property
    def on_first(self) -> bool:
        """True if the cursor is on the newest match."""
        return bool(self.window.rows) and self.window.rows[0].seq == self.cursor

    @property
    def drifted(self) -> str:
        """Words for a cursor that new entries moved out of sight, or nothing."""
        if not self.at_top or self.cursor is None or not self.window.rows or not self.size.height:
            return ""
        return f"cursor #{self.cursor:,} below" if self.window.place(self.cursor) >= self.size.height else ""

    @property
    def under_way(self) -> bool:
        """True while other rows are read, and the cursor goes there."""
        return self.waits_for("rows")

    @property
    def empty(self) -> bool:
        """True if it is known that nothing matches."""
        return self.loaded and not self.window.rows

    # --- going to rows

    def show(self, query: Query, *, at: int | None = None) -> None:
        """Show what matches a query, with the cursor on an entry, or near it; None: on the newest."""
        self.query_now = query
        self.loaded = False
        self._owed = 0
        self._total = None
        self.pace.reset()
        for group in ("rows", "refresh", "further"):
            self.forget_question(group)
        if at is None:
            self.first()
        else:
            self.go_to(at)

    def go_to(self, seq: int) -> None:
        """Put the cursor on an entry, or on the next older match."""

        def go(window: Window) -> None:
            self.put(window)
            self._set_cursor(seq)
            self._snap()
            self._scroll_to_cursor(middle=True)
            self._pay()

        if self.loaded and self.window.covers(seq):
            go(self.window)
        else:
            query = self.query_now
            self._load(lambda: self._gateway.around(query, seq, PAGE // 2, PAGE, stopped), go)

    def first(self) -> None:
        """Put the cursor on the newest match."""

        def go(window: Window) -> None:
            self.put(window)
            self._set_cursor(window.rows[0].seq if window.rows else None)
            self.scroll_to_row(0)

        self._load_newest(go)

    def last(self) -> None:
        """Put the cursor on the oldest match."""
        query = self.query_now

        def go(window: Window) -> None:
            self.put(window)
            if window.rows:
                self._set_cursor(window.rows[-1].seq)
            self._scroll_to_cursor()

        self._load(lambda: self._gateway.oldest(query, PAGE, stopped), go)

    def follow(self) -> None:
        """Follow what is recorded, or stop following."""
        self.following = not self.at_top
        if self.following:

            def go(window: Window) -> None:
                self.put(window)
                self.scroll_to_row(0)

            self._load_newest(go)
        self.post_message(self.Changed())

    def refresh_rows(self) -> None:
        """Read again what shows, unless that took long; the cursor stays on its entry."""
        if not self.loaded or not self.pace.due:
            return
        query, height, cursor, top = self.query_now, self.size.height, self.cursor, self._top
        read: Callable[[], Window]
        if not height and cursor is not None:  # hidden by the detail of the entry under the cursor
            read = partial(self._gateway.around, query, cursor, PAGE // 2, PAGE, stopped)
        elif top is None or self.at_top:
            read = partial(self._gateway.newest, query, 4 * height, stopped)
        else:
            read = partial(self._gateway.around, query, top.seq, height, 4 * height, stopped)
        self._load(partial(self.pace.timed, read), self._keep, group="refresh", about=query)

    def count_is(self, total: int | None) -> None:
        """Take over the number of a filter's matches."""
        self._total = total
        self.put(replace(self.window, total=total).placed())

    def set_marks(self, marks: Marks) -> None:
        """Mark exactly these entries."""
        self.marks = marks
        self.refresh()
        self.post_message(self.Changed())

    def mark(self) -> None:
        """Mark the entry under the cursor, or take its mark away, and go on to the next."""
        if self.cursor is not None:
            marks = self.marks.toggled(self.cursor)
            self.move(1)
            self.set_marks(marks)

    def move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        window = self.window
        if self.cursor is None or not window.rows:
            return
        if not window.covers(self.cursor):
            self._owed += by
            self.go_to(self.cursor)
            return
        target = window.place(self.cursor) + by
        if target >= window.end and not window.at_oldest:
            self._owed = target - window.end + 1
        elif target < window.first and not window.at_newest:
            self._owed = target - window.first
        self._set_cursor(window.rows[min(max(target, window.first), window.end - 1) - window.first].seq)
        self._scroll_to_cursor()
        self._read_on()

    def page(self, by: int) -> None:
        """Move the cursor by so many pages."""
        self.move(by * max(self.size.height - 1, 1))

    # --- loading

    def _load_newest(self, go: Callable[[Window], None]) -> None:
        query = self.query_now
        self._load(lambda: self._gateway.newest(query, PAGE, stopped), go)

    def _load(
        self,
        read: Callable[[], Window],
        go: Callable[[Window], None],
        *,
        group: str = "rows",
        about: object = None,
    ) -> None:
        def loaded(window: Window) -> None:
            go(window)
            self.loaded = True
            self._read_on()
            self.post_message(self.Changed())

        waits = group == "rows" and not self.query_now.everything
        stop = partial(self.post_message, self.Stopped())
        self.ask(read, loaded, group=group, about=about, words="Searching" * waits, on_stop=stop)

    def on_failed(self, message: Failed) -> None:
        """Keep the rows after a failed read; the next look reads again."""
        del message
        self._owed = 0

    def _pay(self) -> None:
        """Move the rest of a way for which rows were missing."""
        owed, self._owed = self._owed, 0
        if owed:
            self.move(owed)

    def _read_on(self) -> None:
        """Read on if rows that show, or may show next, are not loaded."""
        window, height = self.window, self.size.height
        if not window.rows or self.waits_for("further", "rows") or not height:
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

        def extend(rows: tuple[Row, ...]) -> None:
            window, top = self.window, self._top
            if not window.rows or window.rows[0 if newer else -1].seq != than:
                return  # read again meanwhile
            self.put(window.extended(rows, newer=newer, reached=len(rows) < PAGE, most=_MOST_ROWS))
            self._anchor(top)
            self._pay()
            self._read_on()
            self.post_message(self.Changed())

        self.ask(
            lambda: self._gateway.further(query, than, PAGE, newer=newer, stop=stopped),
            extend,
            group="further",
        )

    def _jump(self, top: int) -> None:
        """Read what is about a place far away, to which the scroll bar was dragged."""
        query, height = self.query_now, self.window.height

        def go(window: Window) -> None:
            if not (window.at_newest or window.at_oldest or query.everything):
                window = replace(window, first=max(top - PAGE // 2, 1))
            self.put(window)

        self._load(lambda: self._gateway.near(query, top, height, PAGE // 2, PAGE, stopped), go)

    # --- placing

    def put(self, window: Window) -> None:
        """Draw another window, with the number of a filter's matches."""
        if window.total is None and self._total is not None:
            window = replace(window, total=self._total).placed()
        super().put(window)

    def _keep(self, window: Window) -> None:
        """Take over rows that were read again; those that show stay where they are."""
        top, follows = self._top, self.at_top
        if top is not None and not follows and window.rows:
            if not window.covers(top.seq):
                return  # somebody went on meanwhile; the next look reads there
            if not window.at_newest and not self.query_now.everything:
                window = window.grown_from(self.window, top.seq, self.scroll_offset.y)
        self.put(window)
        if not follows:
            self._anchor(top)
        self._snap()

    @property
    def _top(self) -> Row | None:
        return self.row_at(0)

    def _anchor(self, top: Row | None) -> None:
        """Scroll so that this row is the first that shows."""
        if top is not None and self.window.rows:
            self.scroll_to_row(self.window.place(top.seq))

    def _snap(self) -> None:
        """Put the cursor on the next older match if its entry does not match any more."""
        window = self.window
        if not window.rows:
            self._set_cursor(None)
        elif self.cursor is None:
            self._set_cursor(window.rows[0].seq)
        elif window.covers(self.cursor) and (found := window[window.place(self.cursor)]) is not None:
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
        self.scroll_to_row(max(place - height // 2 if middle else near, 0))

    # --- events

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Read on where other rows show."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._read_on()
            self.post_message(self.Changed())

    def on_resize(self, event: Resize) -> None:
        """Fit the columns to another width."""
        del event
        self.put(self.window)
        self._scroll_to_cursor()
        self._read_on()
        self.post_message(self.Changed())

    def on_click(self, event: Click) -> None:
        """Put the cursor on the clicked row, or open it."""
        if (row := self.row_at(event.y)) is not None:
            if row.seq == self.cursor:
                self.post_message(self.Opened())
            self._set_cursor(row.seq)
