"""`Browser`: the full-screen browser, and what its views have in common."""

from collections.abc import Mapping
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.events import Resize
from textual.message import Message
from textual.widgets import ContentSwitcher

from recorder import JournalBusy
from tui.format import printable
from tui.gateway import Facts, Gateway
from tui.keys import bindings
from tui.messages import Failed, FilterEntries, Say, ShowEntry, ShowProfile
from tui.views.journal import JournalView
from tui.views.profiles import ProfilesView
from tui.views.shipping import ShippingView
from tui.views.view import View
from tui.widgets.key_line import KeyLine
from tui.widgets.too_small import LEAST_HEIGHT, LEAST_WIDTH, TooSmall
from tui.widgets.top_line import TopLine
from tui.work import ask

__all__ = ["Browser"]

POLL = 0.25
"""Seconds between looks at ``PRAGMA data_version``."""

_AGES = 4  # polls: once a second ages are told anew


class _Looked(Message):
    """What a poll found: the journal's version, and how it stands where that is new."""

    def __init__(self, version: int, facts: Facts | None) -> None:
        self.version = version
        self.facts = facts
        super().__init__()


class Browser(App[None]):
    """The journal, its profiles and its shipping on one screen.

    Args:
        gateway: The journal; closed by whoever opened it.
        ascii_only: Whether only ASCII is drawn.
        keymap: Other keys for some ids of `tui.keys.KEYS`.
        live: Whether to look for changes four times a second; tests look by hand.
    """

    TITLE = "restante"
    CSS_PATH = "app.tcss"
    BINDINGS = bindings("app")
    ENABLE_COMMAND_PALETTE = True
    AUTO_FOCUS: ClassVar[str | None] = None

    def __init__(
        self,
        gateway: Gateway,
        *,
        ascii_only: bool = False,
        keymap: Mapping[str, str] | None = None,
        live: bool = True,
    ) -> None:
        super().__init__()
        self.gateway = gateway
        self.ascii_only = ascii_only
        self._live = live
        self._version = -1
        self._polls = 0
        self._looking = False
        if keymap:
            self.set_keymap(keymap)

    def compose(self) -> ComposeResult:
        """The top line, three views of which one shows, the keys."""
        gateway = self.gateway
        yield TopLine(gateway.path.name, write=gateway.write, ascii_only=self.ascii_only)
        with ContentSwitcher(initial="journal", id="views"):
            yield JournalView(gateway)
            yield ProfilesView(gateway)
            yield ShippingView(gateway)
        yield TooSmall(ascii_only=self.ascii_only)
        yield KeyLine(write=gateway.write, ascii_only=self.ascii_only)

    def on_mount(self) -> None:
        """Begin to look."""
        self.look()
        self.view.take_focus()
        if self._live:
            self.set_interval(POLL, self.look)

    @property
    def view(self) -> View:
        """The view that shows."""
        return self.query_one(f"#{self.query_one('#views', ContentSwitcher).current}", View)

    # --- live

    def look(self) -> None:
        """Ask, in a thread, whether the journal has changed, and how it stands."""
        if self._looking:  # the last look is not answered yet
            return
        self._looking = True
        self._polls += 1
        known, ages = self._version, self._polls % _AGES == 0
        gateway = self.gateway

        def job() -> _Looked:
            version = gateway.version()
            return _Looked(version, gateway.facts() if ages or version != known else None)

        ask(self.query_one(TopLine), job, lambda looked: looked, group="look")

    def on__looked(self, message: _Looked) -> None:
        """Show what is new."""
        self._looking = False
        if message.facts is None:
            return
        self.query_one(TopLine).show(message.facts)
        self.query_one(TooSmall).show(message.facts)
        self._version = message.version
        self.view.refresh_view()

    # --- going around

    def action_view(self, name: str) -> None:
        """Open a view."""
        self.query_one("#views", ContentSwitcher).current = name
        self.query_one(TopLine).show_view(name)
        self.query_one(KeyLine).show_place(self.view.where)
        self.view.refresh_view()
        self.view.take_focus()

    def action_close(self) -> None:
        """Close the innermost thing."""
        self.view.close_innermost()

    def action_back(self) -> None:
        """Close the innermost thing; where nothing is open, quit."""
        if not self.view.close_innermost():
            self.exit()

    def on_show_entry(self, message: ShowEntry) -> None:
        """Go to an entry."""
        self.action_view("journal")

    def on_filter_entries(self, message: FilterEntries) -> None:
        """Go to the entries that match."""
        self.action_view("journal")

    def on_show_profile(self, message: ShowProfile) -> None:
        """Go to a profile."""
        self.action_view("profiles")

    # --- what is said in passing

    def on_say(self, message: Say) -> None:
        """Say it."""
        self.notify(printable(message.text), severity=message.severity, markup=False)

    def on_failed(self, message: Failed) -> None:
        """A worker's exception: say it, and go on."""
        self._looking = False
        error = message.error
        if isinstance(error, JournalBusy):
            self.notify("The journal is busy; what is shown stays.", severity="warning", markup=False)
            return
        self.notify(printable(f"{type(error).__name__}: {error}"), severity="error", markup=False)

    def on_resize(self, event: Resize) -> None:
        """Below a least size only one line is shown."""
        small = event.size.width < LEAST_WIDTH or event.size.height < LEAST_HEIGHT
        self.screen.set_class(small, "too-small")
