"""The profiles view: a list, and the open profile as shipped beside as predicted, through time."""

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.message import Message
from textual.widgets import Input

from simulator.testing import to_test
from tui.browser.gateway import Gateway
from tui.browser.gateway_profiles import ProfilesGateway
from tui.browser.keys import bindings
from tui.browser.messages import Failed, Forget, Say, ShowEntry
from tui.browser.views.view import View
from tui.browser.widgets.lines import Lines
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.passage_table import PassageTable
from tui.browser.widgets.profile_list import ProfileList
from tui.browser.widgets.prompt import Prompt
from tui.browser.widgets.property_table import PropertyTable
from tui.browser.widgets.value_pane import ValuePane, property_lines
from tui.browser.work import ask, stopped
from tui.text.cells import folded
from tui.text.format import copied_words
from tui.text.history import History, note_of
from tui.text.standpoint import Standpoint, aged, owner_of, standpoint
from tui.text.writers import NOBODY, Written, written

__all__ = ["ProfilesView"]

_WIDE = 100
"""Cells from which list and profile stand side by side; below they take turns."""

_MOST_NOTES = 2  # lines
_HINT = "part of an id or a group key"


class ProfilesView(View):
    """The profiles that the journal's entries make."""

    where: ClassVar[str] = "profiles"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("profiles")]
    DEFAULT_CSS = """
    ProfilesView #profiles-left { width: 1fr; }
    ProfilesView #profile { display: none; width: 1fr; }
    ProfilesView.open #profiles-left { display: none; }
    ProfilesView.open #profile { display: block; }
    ProfilesView.wide #profiles-left { display: block; width: 30; border-right: solid $panel; }
    ProfilesView.wide #profile { display: block; width: 1fr; }
    ProfilesView #profile-title { text-style: bold; color: $text-primary; }
    ProfilesView #profile-notes { color: $text-muted; }
    ProfilesView #passages { border-top: solid $panel; }
    ProfilesView.plain #passages { border-top: ascii $panel; }
    ProfilesView.plain.wide #profiles-left { border-right: ascii $panel; }
    ProfilesView.value #properties, ProfilesView.value #passages { display: none; }
    ProfilesView.closed #properties, ProfilesView.closed #passages { display: none; }
    ProfilesView.no-entries #passages { display: none; }
    ProfilesView.value #value { display: block; }
    """

    class _Read(Message):
        def __init__(self, history: History, asked: int) -> None:
            self.history = history
            self.asked = asked
            super().__init__()

    class _Walked(Message):
        def __init__(self, history: History, found: Written | None) -> None:
            self.history = history
            self.found = found
            super().__init__()

    class _Stood(Message):
        def __init__(self, history: History, found: Written, shown: Standpoint) -> None:
            self.history = history
            self.found = found
            self.shown = shown
            super().__init__()

    class _Value(Message):
        def __init__(self, lines: tuple[str, ...]) -> None:
            self.lines = lines
            super().__init__()

    class _Copied(Message):
        def __init__(self, text: str, what: str) -> None:
            self.text = text
            self.what = what
            super().__init__()

    def __init__(self, gateway: Gateway, *, ascii_only: bool = False) -> None:
        super().__init__(id="profiles", classes="plain" if ascii_only else None)
        self._gateway = ProfilesGateway(gateway.path, clock=gateway.now)
        self._ascii = ascii_only
        self._whose: tuple[str, str | None] | None = None
        self._history: History | None = None
        self._written: Written = NOBODY
        self._wanted: int | None = None  # the entry to go to, once it is read
        self._asked = 0  # how often a history was asked for: an answer to an older question is not taken
        self._reading = False
        self._walking = False
        self._stood: tuple[History, Written] | None = None  # what the properties show

    def compose(self) -> ComposeResult:
        """The list, and the profile beside it or in its place."""
        plain = self._ascii
        with Horizontal(id="profiles-body"):
            with Vertical(id="profiles-left"):
                yield Prompt()
                yield ProfileList(self._gateway, ascii_only=plain)
            with Vertical(id="profile"):
                yield Notice("profile-title", ascii_only=plain)
                yield Notice("profile-notes", ascii_only=plain)
                yield PropertyTable(ascii_only=plain)
                yield PassageTable(ascii_only=plain)
                yield ValuePane(ascii_only=plain)

    def on_mount(self) -> None:
        """Nothing is open yet."""
        self._tell(None)

    def on_unmount(self) -> None:
        """Let go of the journal."""
        self._gateway.close()

    # --- the parts

    @property
    def _list(self) -> ProfileList:
        return self.query_one(ProfileList)

    @property
    def _properties(self) -> PropertyTable:
        return self.query_one(PropertyTable)

    @property
    def _passages(self) -> PassageTable:
        return self.query_one(PassageTable)

    @property
    def text(self) -> ValuePane:
        """The value that was opened."""
        return self.query_one(ValuePane)

    @property
    def table(self) -> Lines:
        """The table that has the keys."""
        for table in (self._properties, self._passages):
            if table.has_focus:
                return table
        return self._list

    @property
    def settled(self) -> bool:
        """Whether all that is to be read is, and shows."""
        shown, history = self._properties.shown, self._history
        if not self._list.collected.complete:
            return False
        if self._whose is None:
            return True
        return shown is not None and history is not None and len(self._written.changes) == len(history)

    def on_failed(self, message: Failed) -> None:
        """What was read failed; the app says so, and the next look tries again, for what was wanted."""
        if message.job == "history":
            self._reading = False
        elif message.job == "walk":
            self._walking = False

    # --- what the app asks of it

    def refresh_view(self) -> None:
        """The journal has changed, or time has passed."""
        self._list.collect()
        self._read()

    def close_innermost(self) -> bool:
        """Prompt, value, profile, then search."""
        if self.query_one(Prompt).is_open:
            self.query_one(Prompt).close()
            self._list.search_for("")
        elif self.has_class("value"):
            self.remove_class("value")
        elif self.has_class("open"):
            self.remove_class("open")
        elif self._list.search:
            self._list.search_for("")
        else:
            return False
        self.take_focus()
        return True

    def take_focus(self) -> None:
        """The keys go to the innermost thing that is open."""
        if self.has_class("value"):
            self.text.focus()
        elif self.has_class("open"):
            self._properties.focus()
        else:
            self._list.focus()

    def show_profile(self, profile: str, group_key: str | None, seq: int | None) -> None:
        """Open a profile as of an entry; without one, as it is now."""
        self.remove_class("value")
        self.add_class("open")
        if self._whose != (profile, group_key):
            self._whose, self._history, self._written = (profile, group_key), None, NOBODY
            self._walking, self._stood = False, None
            self._passages.show(None, NOBODY, self._gateway.now())
            self._tell(None)
        if seq is None:
            self._passages.go_to(None)
        self._wanted = seq
        self._reading = False
        self._read()
        self.take_focus()

    # --- reading: history, then how it stands, then who wrote what

    def _read(self) -> None:
        if self._whose is None or self._reading:
            return
        self._reading = True
        self._asked += 1
        (profile, group_key), known, gateway = self._whose, self._history, self._gateway
        asked = self._asked
        ask(
            self,
            lambda: gateway.history(profile, group_key, known=known, stop=stopped),
            lambda history: self._Read(history, asked),
            group="history",
        )

    def on_profiles_view__read(self, message: _Read) -> None:
        """Show the entries. The cursor stays on its own, wherever that was put since they were asked for."""
        if message.asked != self._asked:
            return
        self._reading = False
        history = message.history
        moment = self._moment(history)
        self._history = history
        self._written = self._written.known_of(history)
        self._passages.show(history, self._written, self._gateway.now())
        self._passages.stay_on(moment)
        self._stand()
        self._walk()

    def _moment(self, history: History) -> int | None:
        """Where the cursor goes on the timeline of what was read."""
        seq, self._wanted = self._wanted, None
        before, at = self._history, self._passages.at
        if seq is None:
            if before is None or not at:
                return at
            seq = before.passages[at - 1].seq
            if at <= len(history) and history.passages[at - 1].seq == seq:
                return at
        if (place := history.place(seq)) is not None:
            return place
        if not history.holds(seq):
            self.post_message(Say(f"#{seq:,} is not kept any more: the profile is shown as pruned."))
            return 0
        self.post_message(Say(f"#{seq:,} is no part of the prediction: the profile is shown without it."))
        return history.place_before(seq)

    def _walk(self) -> None:
        """Go through the entries that nobody went through; one walk at a time, or none would ever end."""
        history, known = self._history, self._written
        if history is not None and not self._walking and len(known.changes) < len(history):
            self._walking = True
            ask(
                self,
                lambda: written(history, stopped, known=known),
                lambda found: self._Walked(history, found),
                group="walk",
            )

    def on_profiles_view__walked(self, message: _Walked) -> None:
        """Show who wrote what, and go on with what came meanwhile."""
        history, whose = self._history, (message.history.profile, message.history.group_key)
        if message.found is None or history is None or whose != self._whose:
            return
        self._walking = False
        self._written = message.found.known_of(history)
        self._passages.show(history, self._written, self._gateway.now())
        self._stand()
        self._walk()

    def _stand(self) -> None:
        history, found, n, now = self._history, self._written, self._passages.at, self._gateway.now()
        if history is None:
            return
        stood, shown = self._stood, self._properties.shown
        if stood is not None and shown is not None and shown.n == n:
            before, known = stood
            if before.same(history) and known is found:
                self._tell(aged(shown, history, now))  # only time has passed
                return
        ask(
            self,
            lambda: standpoint(history, found, n, now),
            lambda shown: self._Stood(history, found, shown),
            group="stand",
        )

    def on_profiles_view__stood(self, message: _Stood) -> None:
        """Show the profile at the moment under the cursor."""
        history = self._history
        if history is not None and history.same(message.history):
            self._stood = (history, message.found)
            self._tell(message.shown)

    def _tell(self, shown: Standpoint | None) -> None:
        self._properties.show(shown)
        title, notes = self.query_one("#profile-title", Notice), self.query_one("#profile-notes", Notice)
        if shown is None:
            title.say(
                f" {owner_of(*self._whose)}  …" if self._whose is not None else " enter opens a profile"
            )
            notes.say("")
        else:
            title.say(f" {shown.title}")
            width = max((title.size.width or self.size.width) - 2, 20)
            lines = folded("; ".join(shown.notes), width)[:_MOST_NOTES] if shown.notes else []
            notes.say("\n".join(f" {line}" for line in lines))
        self.set_class(self._whose is None, "closed")
        self.set_class(not self._passages.number(), "no-entries")

    # --- search

    def action_search(self) -> None:
        """Ask what for."""
        if self.has_class("open") and not self.has_class("wide"):
            self.remove_class("open")
        self.query_one(Prompt).open("search", "/ ", self._list.search, _HINT)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while it is typed."""
        if self.query_one(Prompt).is_open:
            self._list.search_for(event.value)

    def on_prompt_entered(self, message: Prompt.Entered) -> None:
        """Into the list."""
        self._list.search_for(message.text)
        self._list.focus()

    def on_prompt_closed(self) -> None:
        """All profiles again."""
        self._list.search_for("")
        self._list.focus()

    # --- moving

    def action_other(self, by: int) -> None:
        """Another table that shows."""
        tables = [table for table in (self._list, self._properties, self._passages) if _shows(table)]
        if tables and self.query_one(Prompt).is_open is False:
            here = tables.index(self.table) if self.table in tables else 0
            tables[(here + by) % len(tables)].focus()
            self.set_class(tables[(here + by) % len(tables)] is not self._list, "open")

    def on_lines_moved(self, message: Lines.Moved) -> None:
        """On the timeline that is another moment."""
        if message.table is self._passages:
            self._stand()

    def on_lines_opened(self, message: Lines.Opened) -> None:
        """A click on the row under the cursor."""
        message.table.focus()
        self.action_enter()

    def action_step(self, by: int) -> None:
        """Another moment."""
        self._passages.move(-by)

    def action_same(self, way: int) -> None:
        """The next moment at which the property under the cursor was changed."""
        row, history = self._properties.current, self._history
        if row is None or history is None:
            return
        at = self._passages.at
        place = self._written.next(row.name, len(history) + 1 if at is None else at, way)
        if place is None:
            which = (
                "later entry"
                if way > 0
                else "earlier entry that is kept"
                if history.pruned
                else "earlier entry"
            )
            self.post_message(Say(f"No {which} changed {row.shown}."))
        else:
            self._passages.go_to(place)
            self._stand()

    # --- going in, and to the journal

    def action_enter(self) -> None:
        """Open what is under the cursor."""
        if self._properties.has_focus:
            self._open_value()
        elif self._passages.has_focus:
            self.action_blame()
        elif self._list.has_focus and (row := self._list.current) is not None:
            self.show_profile(row.profile, row.group_key, None)

    def _open_value(self) -> None:
        row, shown, history, found = (
            self._properties.current,
            self._properties.shown,
            self._history,
            self._written,
        )
        if row is None or shown is None or history is None:
            return
        before = history.shipped if shown.n is None else max(shown.n - 1, 0)

        def job() -> tuple[str, ...]:
            return tuple(property_lines(row.name, history, found, shown, history.at(before)))

        ask(self, job, self._Value, group="value")

    def on_profiles_view__value(self, message: _Value) -> None:
        """Show it in the tables' place."""
        self.add_class("value")
        self.text.show(message.lines)
        self.text.focus()

    def action_blame(self) -> None:
        """To the entry: of the timeline, or that wrote the property."""
        history, at = self._history, self._passages.at
        if self._passages.has_focus and history is not None:
            if at:
                self.post_message(ShowEntry(history.passages[at - 1].seq))
            return
        row = self._properties.current
        if row is not None and row.by is not None:
            self.post_message(ShowEntry(row.by.seq))
        elif row is not None and row.pruned:
            self.post_message(Say(f"{row.shown} was written before what is kept: no entry can be shown."))

    # --- forgetting

    def action_forget(self) -> None:
        """Erase the profile under the cursor, or the one that is open."""
        row = self._list.current
        if self._list.has_focus and row is not None:
            self.post_message(Forget(row.profile, row.group_key))
        elif self._whose is not None:
            self.post_message(Forget(*self._whose))

    def forgotten(self, profile: str, group_key: str | None) -> None:
        """It is not there any more."""
        if self._whose == (profile, group_key):
            self._whose, self._history, self._written = None, None, NOBODY
            self.remove_class("open", "value")
            self._passages.show(None, NOBODY, self._gateway.now())
            self._tell(None)

    # --- copying

    def action_copy(self) -> None:
        """The value, the entry, or the state, as JSON."""
        shown, history, at = self._properties.shown, self._history, self._passages.at
        if shown is None or history is None:
            self.post_message(Say("Nothing is open to copy: enter opens a profile."))
            return
        row = self._properties.current
        if self.text.has_focus and row is not None:
            self._copy(lambda: _json(_of(shown.state, row.name)), row.shown)
        elif self._passages.has_focus and at:
            seq = history.passages[at - 1].seq
            self._copy(lambda: _json(json.loads(history.texts[at - 1])), f"#{seq:,}")
        else:
            self._copy(lambda: _json(None if shown.state is None else dict(shown.state)), shown.title)

    def action_copy_test(self) -> None:
        """The history up to this moment as a test that runs."""
        history = self._history
        if history is None:
            self.post_message(Say("Nothing is open to copy: enter opens a profile."))
            return
        at = self._passages.at
        upto = len(history) if at is None else at
        self._copy(
            lambda: to_test(history.messages(upto), note=note_of(history.start)),
            f"{upto:,} messages{' after what was pruned' if history.pruned else ''} as a test",
        )

    def _copy(self, read: Callable[[], str], what: str) -> None:
        ask(self, read, lambda text: self._Copied(text, what), group="copy")

    def on_profiles_view__copied(self, message: _Copied) -> None:
        """To the clipboard."""
        self.app.copy_to_clipboard(message.text)
        self.post_message(
            Say(copied_words(message.what, message.text, "`restante profiles --json` writes it out."))
        )

    def on_resize(self, event: Resize) -> None:
        """Side by side, or in turns."""
        self.set_class(event.size.width >= _WIDE, "wide")


def _shows(table: Lines) -> bool:
    return bool(table.display) and table.size.height > 0


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _of(state: Mapping[str, Any] | None, name: str) -> Any:
    return None if state is None else state.get(name)
