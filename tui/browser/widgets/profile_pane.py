"""The open profile: its properties at a moment, its timeline, and one value whole."""

from collections.abc import Callable
from functools import partial

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical

from tui.browser.gateway_profiles import ProfilesGateway
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.passage_table import PassageTable
from tui.browser.widgets.property_table import PropertyTable
from tui.browser.widgets.text_pane import TextPane
from tui.browser.work import Asking, stopped
from tui.text.cells import folded, middle_cut
from tui.text.detail import LOOKING, Line
from tui.text.format import printable
from tui.text.history import History
from tui.text.standpoint import Standpoint, aged, owner_of, standpoint
from tui.text.value import property_lines
from tui.text.writers import NOBODY, Written, written

__all__ = ["ProfilePane"]

_MOST_NOTES = 2  # lines


class ProfilePane(Vertical, Asking):
    """A profile through time: the cursor of the timeline is the moment that shows."""

    DEFAULT_CSS = """
    ProfilePane #profile-title { text-style: bold; color: $text-primary; }
    ProfilePane #profile-notes { text-style: dim; }
    ProfilePane #passages { border-top: solid $panel; }
    ProfilePane.value #properties, ProfilePane.value #passages { display: none; }
    ProfilePane.closed #properties, ProfilePane.closed #passages { display: none; }
    ProfilePane.no-entries #passages { display: none; }
    ProfilePane #value { display: none; }
    ProfilePane.value #value { display: block; }
    """

    def __init__(self, gateway: ProfilesGateway) -> None:
        super().__init__(id="profile")
        self._gateway = gateway
        self.opened: tuple[str, str | None] | None = None
        """Id and group key of the open profile."""
        self.history: History | None = None
        self.written: Written = NOBODY
        self._wanted: int | None = None  # the entry to go to, once it is read
        self._value_of = ""  # the property whose value is open
        self._stood: tuple[History, Written] | None = None  # shown by the properties

    def compose(self) -> ComposeResult:
        """Title and notes, and two tables or one value."""
        yield Notice("profile-title")
        yield Notice("profile-notes")
        yield PropertyTable()
        yield PassageTable()
        yield TextPane("value")

    def on_mount(self) -> None:
        """Nothing is open yet."""
        self._show(None)

    @property
    def properties(self) -> PropertyTable:
        """The properties at the moment."""
        return self.query_one(PropertyTable)

    @property
    def passages(self) -> PassageTable:
        """The timeline of entries."""
        return self.query_one(PassageTable)

    @property
    def value(self) -> TextPane:
        """The value that was opened."""
        return self.query_one(TextPane)

    @property
    def settled(self) -> bool:
        """True if all that is to be read is, and shows."""
        if self.opened is None:
            return True
        walked = self.history is not None and len(self.written.changes) == len(self.history)
        return walked and self.properties.shown is not None

    # --- opening

    def open(self, profile: str, group_key: str | None, seq: int | None) -> None:
        """Show a profile as of an entry; without one, as it is now."""
        self.remove_class("value")
        if self.opened != (profile, group_key):
            self._reset((profile, group_key))
        if seq is None:
            self.passages.go_to(None)
        self._wanted = seq
        self.read()

    def close(self) -> None:
        """Show no profile."""
        self.remove_class("value")
        self._reset(None)

    def _reset(self, opened: tuple[str, str | None] | None) -> None:
        self.opened, self.history, self.written, self._stood = opened, None, NOBODY, None
        for group in ("history", "walk", "stand", "value"):
            self.forget_question(group)
        self.passages.show(None, NOBODY, self._gateway.now())
        self._show(None)

    # --- reading: the history, then the profile at a moment, then who wrote what

    def read(self) -> None:
        """Read the profile's entries, if there are new ones."""
        if self.opened is not None:
            read = partial(self._gateway.history, *self.opened, known=self.history, stop=stopped)
            self.ask(
                read,
                self._show_history,
                group="history",
                about=self.opened,
                words="" if self.history else "Reading the profile",
                on_stop=self.close,
            )

    def _show_history(self, history: History) -> None:
        """Show the entries; the cursor stays on its own, wherever it was put since they were asked for."""
        moment = self._moment(history)
        self.history = history
        self._show_written(self.written, moment)

    def _show_written(self, found: Written, moment: int | None) -> None:
        if (history := self.history) is not None:
            self.written = found.known_of(history)
            self.passages.show(history, self.written, self._gateway.now())
            self.passages.stay_on(moment)
            self.stand()
            self._walk()

    def _moment(self, history: History) -> int | None:
        """Return the moment for the cursor in a history that was read."""
        seq, self._wanted = self._wanted, None
        before, at = self.history, self.passages.at
        if seq is None:
            if before is None or not at:
                return at
            seq = before.passages[at - 1].seq
            if at <= len(history) and history.passages[at - 1].seq == seq:
                return at
        if (place := history.place(seq)) is not None:
            return place
        if not history.contains(seq):
            self._say(f"#{seq:,} is not kept any more: the profile is shown as pruned.")
            return 0
        self._say(f"#{seq:,} is no part of the prediction: the profile is shown without it.")
        return history.place_before(seq)

    def _walk(self) -> None:
        """Go through the entries that nobody went through."""
        history, known = self.history, self.written
        if history is None or len(known.changes) == len(history):
            return

        def show(found: Written | None) -> None:
            if found is not None:
                self._show_written(found, self.passages.at)

        self.ask(lambda: written(history, stopped, known=known), show, group="walk", about=self.opened)

    def stand(self) -> None:
        """Show the properties at the moment under the cursor."""
        history, found, n, now = self.history, self.written, self.passages.at, self._gateway.now()
        if history is None:
            return
        shown = self.properties.shown
        if self._stood is not None and shown is not None and shown.n == n:
            before, known = self._stood
            if before.same(history) and known is found:
                self._show(aged(shown, history, now))  # only time has passed
                return

        def show(shown: Standpoint) -> None:
            self._stood = (history, found)
            self._show(shown)
            if self.has_class("value"):  # its title says at which moment: the value is that of the same
                self._read_value(self._value_of, self.value.show_lines)
            self.stand()  # the history may have been read again meanwhile

        self.ask(
            lambda: standpoint(history, found, n, now, stopped),
            show,
            group="stand",
            about=(self.opened, n),
            words="" if self._stood else "Working out the profile",
            on_stop=self.close,
        )

    def _show(self, shown: Standpoint | None) -> None:
        self.properties.show(shown)
        self._show_lines()
        self.set_class(self.opened is None, "closed")
        self.set_class(not self.passages.number(), "no-entries")

    def on_resize(self) -> None:
        """Fit title and notes to another width: a profile may be read before it has any."""
        self._show_lines()

    def _show_lines(self) -> None:
        shown = self.properties.shown
        width = max(self.size.width - 2, 20)
        title = "enter opens a profile"
        if self.opened is not None:
            owner = owner_of(*self.opened)
            when = shown.title.removeprefix(owner) if shown is not None else f"  {LOOKING}"
            title = middle_cut(owner, max(width - cell_len(when), 8)) + when
        self.query_one("#profile-title", Notice).say(f" {title}")
        lines = folded("; ".join(shown.notes), width)[:_MOST_NOTES] if shown and shown.notes else []
        self.query_one("#profile-notes", Notice).say("\n".join(f" {line}" for line in lines))

    # --- one value

    @property
    def subject(self) -> str | None:
        """The property whose value is open, or else the one under the cursor: a moment may have no row for it."""
        row = self.properties.current
        return self._value_of if self.has_class("value") else row.name if row is not None else None

    def open_value(self) -> None:
        """Show the value of the property under the cursor whole, at the moment that shows."""
        if (row := self.properties.current) is not None:
            self._read_value(row.name, self._open_value)

    def _read_value(self, name: str, show: Callable[[tuple[Line, ...]], object]) -> None:
        shown, history, found = self.properties.shown, self.history, self.written
        if shown is None or history is None:
            return
        self._value_of = name
        before = history.shipped if shown.n is None else max(shown.n - 1, 0)

        def job() -> tuple[Line, ...]:
            lines = property_lines(name, history, found, shown, history.at(before))
            return tuple(Line(None, line) for line in lines)

        self.ask(job, show, group="value", words="Reading the value")

    def _open_value(self, lines: tuple[Line, ...]) -> None:
        self.add_class("value")
        self.value.show_lines(lines)
        self.value.scroll_home(animate=False)
        self.value.focus()

    def _say(self, words: str) -> None:
        self.notify(printable(words), markup=False)
