"""The profiles view: a list, and the open profile as shipped and as predicted, through time."""

import json
from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Input

from simulator.testing import to_test
from tui.browser.changes import Changes
from tui.browser.directory import STATES, narrowing
from tui.browser.gateway_profiles import ProfilesGateway
from tui.browser.keys import BINDINGS
from tui.browser.messages import ShowEntry
from tui.browser.views.view import WIDE, View
from tui.browser.widgets.lines import Lines
from tui.browser.widgets.profile_list import ProfileList
from tui.browser.widgets.profile_pane import ProfilePane
from tui.browser.widgets.prompt import Prompt
from tui.browser.widgets.text_pane import TextPane
from tui.text.filter_words import Completion, completions
from tui.text.format import printable
from tui.text.history import note_of

__all__ = ["ProfilesView"]

_HINT = "part of an id or a group key, state=rejected"
_STATES = ("unsent", *STATES)
_NARROWING = {"state=", *(f"state={name}" for name in _STATES)}
_HINT_PROPERTY = "part of a property's name or value"
_NOTHING_OPEN = "Nothing is open to copy: enter opens a profile."


class ProfilesView(View):
    """The profiles that the journal's entries make."""

    where: ClassVar[str] = "profiles"
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["profiles"]]
    DEFAULT_CSS = """
    ProfilesView #profiles-left { width: 1fr; }
    ProfilesView #profile { display: none; width: 1fr; }
    ProfilesView.open #profiles-left { display: none; }
    ProfilesView.open #profile { display: block; }
    ProfilesView.wide #profiles-left { display: block; width: 36; border-right: solid $panel; }
    ProfilesView.wide #profile { display: block; width: 1fr; }
    """

    def __init__(self, gateway: ProfilesGateway, changes: Changes) -> None:
        super().__init__(changes)
        self._gateway = gateway
        self._wanted = ""  # in a property
        self._from = 0  # the property under the cursor before the search

    def compose(self) -> ComposeResult:
        """The prompt; the list, and the profile at its side or in its place."""
        yield Prompt()
        with Horizontal(id="profiles-body"):
            with Vertical(id="profiles-left"):
                yield ProfileList(self._gateway)
            yield ProfilePane(self._gateway)

    def on_unmount(self) -> None:
        """Close the journal."""
        self._gateway.close()

    # --- the parts

    @property
    def _list(self) -> ProfileList:
        return self.query_one(ProfileList)

    @property
    def _prompt(self) -> Prompt:
        return self.query_one(Prompt)

    @property
    def pane(self) -> ProfilePane:
        """The open profile."""
        return self.query_one(ProfilePane)

    @property
    def text(self) -> TextPane:
        """The value that was opened."""
        return self.pane.value

    @property
    def table(self) -> Lines[Any]:
        """The table that has the focus."""
        tables: tuple[Lines[Any], ...] = (self.pane.properties, self.pane.passages)
        return next((table for table in tables if table.has_focus), self._list)

    @property
    def settled(self) -> bool:
        """True if all that is to be read is, and shows."""
        return self._list.collected.complete and self.pane.settled

    # --- called by the app

    def refresh_view(self) -> None:
        """The journal has changed, or time has passed."""
        self._list.collect()
        self.pane.read()

    @property
    def innermost(self) -> Callable[[], object] | None:
        """The function that closes prompt, value, profile or search."""
        if self._prompt.is_open:
            return self.on_prompt_closed
        if self.pane.has_class("value"):
            return self._close_value
        if self.has_class("open"):
            return self._close_profile
        return self._show_all if self._list.search else None

    def _close_value(self) -> None:
        self.pane.remove_class("value")
        self.take_focus()

    def _close_profile(self) -> None:
        self.remove_class("open")
        self.take_focus()

    def take_focus(self) -> None:
        """Give the keys to the innermost thing that is open."""
        if self.pane.has_class("value"):
            self.text.focus()
        elif self.has_class("open"):
            self.pane.properties.focus()
        else:
            self._list.focus()

    def show_profile(self, profile: str, group_key: str | None, seq: int | None) -> None:
        """Open a profile as of an entry; without one, as it is now."""
        self.add_class("open")
        self.pane.open(profile, group_key, seq)
        self.take_focus()

    def forgotten(self, profile: str, group_key: str | None) -> None:
        """Close a profile that was forgotten."""
        if self.pane.opened == (profile, group_key):
            self.remove_class("open")
            self.pane.close()

    # --- search

    def action_search(self) -> None:
        """Ask what to look for: among the properties of the open profile, or the profiles."""
        if self.has_class("open"):
            self.pane.remove_class("value")
            self._from = self.pane.properties.cursor
            self._prompt.open("property", "/ ", self._wanted, _HINT_PROPERTY)
        else:
            self._prompt.open("profile", "/ ", self._list.search, _HINT, check=_refusal, complete=_complete)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while it is typed."""
        if not self._prompt.is_open:
            return
        if self._prompt.purpose == "profile":
            self._list.search_for(event.value)
            return
        self._wanted = event.value
        found = self.pane.properties.find(self._wanted, start=self._from)
        self._prompt.say("" if found else _no_property(self._wanted))

    def on_prompt_entered(self) -> None:
        """Go to what was found."""
        self.take_focus()

    def on_prompt_closed(self) -> None:
        """Go back to the property from which the search began, or show all profiles again."""
        self._prompt.close()
        if self._prompt.purpose == "property":
            self.pane.properties.put(self._from)
        else:
            self._list.search_for("")
        self.take_focus()

    def _show_all(self) -> None:
        self._list.search_for("")
        self._list.focus()

    def action_find_next(self, way: int) -> None:
        """To the next property that was searched for: 1 for down, -1 for up."""
        properties = self.pane.properties
        if not self._wanted or not self.has_class("open"):
            self.action_search()
        elif not properties.find(self._wanted, start=properties.cursor + way, way=way):
            self.say(_no_property(self._wanted))

    def action_sort(self, by: int) -> None:
        """Take another order of the list, or turn it round."""
        self._list.sort(by)

    # --- moving

    def action_other(self, by: int) -> None:
        """To another table that shows."""
        every: tuple[Lines[Any], ...] = (self._list, self.pane.properties, self.pane.passages)
        tables = [table for table in every if table.display and table.size.height]
        if tables and not self._prompt.is_open:
            here = tables.index(self.table) if self.table in tables else 0
            table = tables[(here + by) % len(tables)]
            table.focus()
            self.set_class(table is not self._list, "open")

    def on_lines_moved(self, message: Lines.Moved) -> None:
        """Show another moment, if that is the timeline."""
        if message.table is self.pane.passages:
            self.pane.stand()

    def action_step(self, by: int) -> None:
        """To another moment."""
        self.pane.passages.move(-by)

    def action_same(self, way: int) -> None:
        """To the next moment at which the property under the cursor was changed."""
        name, history, at = self.pane.subject, self.pane.history, self.pane.passages.at
        if name is None or history is None:
            return
        place = self.pane.written.next(name, len(history) + 1 if at is None else at, way)
        if place is None:
            kept = " that is kept" if history.pruned and way < 0 else ""
            self.say(f"No {'later' if way > 0 else 'earlier'} entry{kept} changed {printable(name)}.")
        else:
            self.pane.passages.go_to(place)
            self.pane.stand()

    # --- going in, and to the journal

    def action_enter(self) -> None:
        """Open what is under the cursor."""
        if self.pane.properties.has_focus:
            self.pane.open_value()
        elif self.pane.passages.has_focus:
            self.action_blame()
        elif self._list.has_focus and (row := self._list.current) is not None:
            self.show_profile(row.profile, row.group_key, None)

    def action_blame(self) -> None:
        """To the entry of the timeline, or to the one that wrote the property."""
        history, at = self.pane.history, self.pane.passages.at
        if self.pane.passages.has_focus and history is not None:
            if at:
                self.post_message(ShowEntry(history.passages[at - 1].seq))
            return
        row = self.pane.properties.current
        if row is not None and row.by is not None:
            self.post_message(ShowEntry(row.by.seq))
        elif row is not None and row.pruned:
            self.say(f"{row.shown} was written before what is kept: no entry can be shown.")

    def action_forget(self) -> None:
        """Erase the profile under the cursor, or the one that is open."""
        self._with_profile(self._changes.forget)

    def action_compose(self) -> None:
        """Record an operation on the profile under the cursor, or the one that is open."""
        self._with_profile(self._changes.compose)

    def _with_profile(self, act: Callable[[str, str | None], object]) -> None:
        row = self._list.current
        if self._list.has_focus and row is not None:
            act(row.profile, row.group_key)
        elif self.pane.opened is not None:
            act(*self.pane.opened)

    # --- copying

    def action_copy(self) -> None:
        """Copy the value, the entry, or the state, as JSON."""
        shown, history, at = self.pane.properties.shown, self.pane.history, self.pane.passages.at
        if shown is None or history is None:
            self.say(_NOTHING_OPEN)
            return
        name = self.pane.subject
        if self.text.has_focus and name is not None:
            self._copy(lambda: _json((shown.state or {}).get(name)), printable(name))
        elif self.pane.passages.has_focus and at:
            text = history.texts[at - 1]
            self._copy(lambda: _json(json.loads(text)), f"#{history.passages[at - 1].seq:,}")
        else:
            self._copy(lambda: _json(None if shown.state is None else dict(shown.state)), shown.title)

    def action_copy_test(self) -> None:
        """Copy the history up to this moment as a test that runs."""
        history, at = self.pane.history, self.pane.passages.at
        if history is None:
            self.say(_NOTHING_OPEN)
            return
        upto = len(history) if at is None else at
        self._copy(
            lambda: to_test(history.messages(upto), note=note_of(history.start)),
            f"{upto:,} messages{' after what was pruned' if history.pruned else ''} as a test",
        )

    def _copy(self, read: Callable[[], str], what: str) -> None:
        self.copy(read, what, "`restante profiles --json` writes it out.")

    def on_resize(self, event: Resize) -> None:
        """Place list and profile side by side, or one of them."""
        self.set_class(event.size.width >= WIDE, "wide")


def _complete(word: str) -> list[Completion]:
    """Return what narrows the list: its own words of a filter's."""
    return [found for found in completions(word) if found.word in _NARROWING]


def _refusal(text: str) -> str:
    """Return why a text does not narrow the list, safe to print, or nothing."""
    state, _ = narrowing(text)
    if state is None or state in _STATES:
        return ""
    return f"{printable(state)!r} is not a state to list profiles by; the states are {', '.join(_STATES)}"


def _no_property(text: str) -> str:
    return f"No property shows {printable(text)}."


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
