"""`Browser`: the full-screen browser, and what its views have in common."""

import asyncio
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Event, Key, Resize
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from recorder import InvalidOperation, JournalBusy, JournalDamaged, RestanteError
from tui.browser.ascii_filter import AsciiFilter
from tui.browser.changes import Changes
from tui.browser.gateway import Gateway
from tui.browser.gateway_profiles import ProfilesGateway
from tui.browser.gateway_shipping import ShippingGateway
from tui.browser.keys import BINDINGS
from tui.browser.messages import (
    Changed,
    Failed,
    KeyHandled,
    Place,
    Worked,
)
from tui.browser.navigation import Navigation
from tui.browser.screens.help import HelpScreen
from tui.browser.screens.main import MainScreen
from tui.browser.views.home import HomeView
from tui.browser.views.journal import JournalView
from tui.browser.views.profiles import ProfilesView
from tui.browser.views.shipping import ShippingView
from tui.browser.views.view import View
from tui.browser.widgets.entry_detail import EntryDetail
from tui.browser.widgets.jump_prompt import JumpPrompt
from tui.browser.widgets.key_footer import KeyFooter
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.too_small import LEAST_HEIGHT, LEAST_WIDTH, TooSmall
from tui.browser.widgets.top_line import TopLine
from tui.browser.widgets.wait_line import WaitLine
from tui.browser.work import Asking
from tui.state import Remembered
from tui.text.facts import Facts
from tui.text.format import printable
from tui.text.rows import Query

__all__ = ["Browser"]

_POLL = 0.25
"""Seconds between looks at ``PRAGMA data_version``."""

_LONGEST_END = 3
"""Seconds from the terminal's end to that of the process, whatever keeps it."""

_COLOURS = ("text-primary", "text-accent", "text-success", "text-warning", "text-error")

_POLLS_A_SECOND = 4  # once a second ages are written anew

_ASKED = frozenset(
    {"", "act", "carried", "consequences", "copy", "export", "find", "mark", "profile", "value"}
)
"""Jobs that a person asked for: each failure is notified. Other jobs are repeated: their failures go to a banner."""


@dataclass(frozen=True, slots=True)
class _Look:
    """The journal's version, the facts where they may be new, and the state of its file."""

    version: int
    facts: Facts | None
    whereabouts: str
    refusal: str

    @property
    def warning(self) -> str:
        """A sentence about a file that is not the open one any more, or nothing."""
        if self.whereabouts == "gone":
            return "The file was deleted or moved. The screen shows what it had; put it back, or quit."
        if self.whereabouts == "replaced":
            return f"The file was replaced. {self.refusal or 'Close this to open the new one.'}"
        return ""


class Browser(Navigation):
    """The journal, its profiles and its shipping on one screen.

    Args:
        gateway: The journal; closed by whoever opened it.
        ascii_only: Draw ASCII only.
        keymap: Other keys for some of `tui.browser.keys.KEY_IDS`.
        live: Look for changes four times a second; tests look by hand.
        first: The view to begin with.
        words: A filter to begin with; see `recorder.model.filters`.
        place: Where to go on, after the browser of a replaced file ended with it.
        remembered: State of an earlier run; at the end the attribute of this name has what the next one begins with.
    """

    TITLE = "restante"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["app"]]
    COMMAND_PALETTE_BINDING = (
        "question_mark"  # the footer docks this key at the right end: help is always in sight
    )
    AUTO_FOCUS: ClassVar[str | None] = None

    def __init__(
        self,
        gateway: Gateway,
        *,
        ascii_only: bool = False,
        keymap: Mapping[str, str] | None = None,
        live: bool = True,
        first: str = "home",
        words: Sequence[str] = (),
        place: Place | None = None,
        remembered: Remembered = Remembered(),  # noqa: B008  # frozen
    ) -> None:
        super().__init__()
        self.remembered: Remembered | None = remembered
        """None after a profile was forgotten: filters may name it."""
        self.gateway = gateway
        self.set_class(ascii_only, "ascii")
        self._ascii = [AsciiFilter()] if ascii_only else []
        self.changes = Changes(self, gateway)
        self._live = live
        self._place = place or Place(first, Query.of(list(words)))
        self._replaced = place is not None
        self._version = -1
        self._polls = 0
        self._troubles: dict[str, str] = {}  # by what was to be read
        self._file_warning = ""
        self._keys: deque[tuple[Key, Screen[Any]]] = deque()  # each with the screen that it was typed on
        self._acting: Widget | None = None  # the widget that was given a key, until that has acted
        self._keymap_given = dict(keymap or {})
        self.set_keymap(self._keymap_given)

    def get_default_screen(self) -> Screen[Any]:
        """Return the screen that knows which keys need ``--write``."""
        return MainScreen(write=self.gateway.write)

    def get_css_variables(self) -> dict[str, str]:
        """Return the theme's variables. Without colours no word that matters is dimmer than the others."""
        variables = super().get_css_variables()
        grey = {name: variables["foreground"] for name in _COLOURS if self.no_color}
        return {**variables, **grey}

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return Textual's filters, and the one for ASCII."""
        return [*super().get_line_filters(), *self._ascii]

    def get_key_display(self, binding: Binding) -> str:
        """Return a key as the keymap has it, in words where Textual has a glyph that few fonts have."""
        if keys := self._keymap_given.get(binding.id or ""):
            binding = binding.with_key(keys.split(",")[0])
        return "enter" if binding.key == "enter" else super().get_key_display(binding)

    def compose(self) -> ComposeResult:
        """The top line, four views of which one shows, the keys."""
        gateway = self.gateway
        profiles = ProfilesGateway(gateway.path, clock=gateway.now)
        shipping = ShippingGateway(gateway)
        history = self.remembered.history if self.remembered is not None else ()
        yield TopLine(gateway.path.name, write=gateway.write)
        yield Notice("banner")
        with ContentSwitcher(initial="home", id="views"):
            yield HomeView(gateway, shipping, self.changes)
            yield JournalView(gateway, self.changes, profiles, history)
            yield ProfilesView(profiles, self.changes)
            yield ShippingView(gateway, shipping, self.changes)
        yield JumpPrompt()
        yield TooSmall()
        yield WaitLine()
        yield KeyFooter(compact=True)

    def on_mount(self) -> None:
        """Begin to look; end at a signal: killed by one, it would leave the terminal unusable."""
        if threading.current_thread() is threading.main_thread() and not self.is_headless:
            self._end_at_signals()
        self.look()
        self.query_one(JournalView).show(self._place.query, at=self._place.seq)
        self.action_view(self._place.view)
        if self._replaced:
            words = f"{printable(self.gateway.path.name)} was replaced: this is the new file."
            self.notify(words, severity="warning", markup=False)
        if self._live:
            self.set_interval(_POLL, self.look)
            self.set_interval(_POLL / 2, self.query_one(WaitLine).look)

    def _end_at_signals(self) -> None:
        for name in ("SIGTERM", "SIGHUP"):
            if number := getattr(signal, name, None):
                end = partial(self.exit, return_code=128 + number)
                asyncio.get_running_loop().add_signal_handler(number, end)
                if name == "SIGHUP":
                    signal.signal(number, _bound_the_end)

    @property
    def settled(self) -> bool:
        """True if nothing is under way: all that there is to show shows."""
        waiting = "act" if len(self.screen_stack) > 1 else None  # a change that waits for an answer
        if any(not worker.is_finished and worker.group != waiting for worker in self.workers):
            return False
        if any(node.waits_for() for node in self._asking):
            return False
        details = self.query(EntryDetail)
        shown = (detail.complete for detail in details if detail.display and detail.is_on_screen)
        return self.view.settled and all(shown)

    @property
    def _asking(self) -> list[Asking]:
        nodes = [
            self,
            *(node for screen in self.screen_stack for node in screen.walk_children(with_self=True)),
        ]
        return [node for node in nodes if isinstance(node, Asking)]

    # --- keys

    async def on_event(self, event: Event) -> None:
        """Let a key wait until the one before has acted.

        Textual hands each key to the widget that has the focus when it comes. Of "/ada", typed fast, some letters would
        reach the table that is about to lose the focus, and be overtaken by others on their way to the prompt.
        """
        if not isinstance(event, Key) or event.is_forwarded:
            await super().on_event(event)
            return
        self._keys.append((event, self.screen))
        acting = self._acting
        # What was removed meanwhile, alone or with its screen, hands nothing up.
        if acting is None or not acting.is_attached or acting.screen is not self.screen:
            await self.on_key_handled()

    async def on_key_handled(self) -> None:
        """Hand the next key to the widget that has the focus by now.

        Across screens nothing is handed on: a key that was typed before a question must not answer it.
        """
        self._acting = None
        while self._keys and self._acting is None:
            key, screen = self._keys.popleft()
            if screen is self.screen:
                await super().on_event(key)
                focused = self.focused or self.screen
                if key.is_forwarded and focused.post_message(KeyHandled()):
                    self._acting = focused

    # --- live

    def look(self) -> None:
        """Read in a thread if the journal has changed, and how it stands."""
        self._polls += 1
        known, ages, gateway = self._version, self._polls % _POLLS_A_SECOND == 0, self.gateway

        def job() -> _Look:
            whereabouts = gateway.whereabouts()
            if whereabouts == "gone":
                return _Look(known, None, whereabouts, "")  # what shows is what was read before
            if whereabouts == "replaced":
                try:
                    gateway.check_file()
                except RestanteError as error:
                    return _Look(known, None, whereabouts, str(error))
            version = gateway.version()
            return _Look(version, gateway.facts() if ages or version != known else None, whereabouts, "")

        self.ask(job, self._show_look, group="look", about="now")

    def _show_look(self, look: _Look) -> None:
        if look.whereabouts == "replaced" and not look.refusal and len(self.screen_stack) == 1:
            # Everything of the old file goes with its browser; a question or an edit may end before.
            self.exit(Place(self.view.where, *self.query_one(JournalView).place))
            return
        self._file_warning = look.warning
        self._show_troubles()
        if look.facts is None:
            return
        self.query_one(TopLine).facts = look.facts
        self.query_one(TooSmall).facts = look.facts
        self.query_one(JournalView).show_facts(look.facts)
        self._version = look.version
        self.view.refresh_view()

    def exit(self, *arguments: Any, **options: Any) -> None:
        """End; what is to be remembered is noted while there are widgets.

        All jobs stop at once: the end would have to share the interpreter with them.
        """
        for node in self._asking:
            node.stop_asking(ending=not arguments)  # with a place it goes on
        if self.remembered is not None and self.query(View):
            journal = self.query_one(JournalView)
            self.remembered = Remembered(
                view=self.view.where, words=journal.place[0].expression, history=journal.prompt.history
            )
        super().exit(*arguments, **options)

    # --- going around

    @property
    def _innermost(self) -> Callable[[], object] | None:
        """The function that closes the innermost thing that is open."""
        return self.view.innermost if self.query(View) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave escape unbound while nothing is open."""
        if action == "close":
            return self._waits or self._innermost is not None
        return super().check_action(action, parameters)

    def action_close(self) -> None:
        """Stop what the person waits for, or close the innermost thing that is open."""
        if not any(line.stop() for line in self.query(WaitLine)):
            self._close_innermost()

    @property
    def _waits(self) -> bool:
        return any(line.waits for line in self.query(WaitLine))

    def _close_innermost(self) -> None:
        if close := self._innermost:
            close()
        self.refresh_bindings()

    async def action_back(self) -> None:
        """Close the innermost thing; if nothing is open, quit."""
        if self._innermost is None:
            self.exit()
        self._close_innermost()

    def action_undo(self) -> None:
        """Take the last discard back."""
        self.changes.undo()

    def action_zone(self) -> None:
        """Tell times in the local zone, or in UTC again."""
        times = "utc" if self.gateway.choices.times == "local" else "local"
        self.gateway.choices = replace(self.gateway.choices, times=times)
        self.view.refresh_view()
        self.notify(f"Times are now {'local' if times == 'local' else 'UTC'}.", markup=False)

    def action_help(self) -> None:
        """Show all keys, those of this view first."""
        self.push_screen(HelpScreen(self.view.where, write=self.gateway.write))

    def on_changed(self, message: Changed) -> None:
        """Show what the person changed."""
        if message.forgotten is not None:
            self.remembered = None
            self.query_one(ProfilesView).forgotten(*message.forgotten)
        self.query_one(JournalView).take_change()
        self.notify(printable(message.words), timeout=message.seconds, markup=False)
        self.look()

    # --- jobs that fail

    def on_failed(self, message: Failed) -> None:
        """Show the exception, and go on."""
        error = message.error
        known = isinstance(error, RestanteError)
        words = str(error) if known else f"{type(error).__name__}: {error}"
        if message.job not in _ASKED:
            # Repeated by itself: what is shown stays, under a banner that goes with the next success.
            self._troubles[message.job] = banner_words(error, words)
            self._show_troubles()
            return
        # An invalid operation's hint is about recording.
        if isinstance(error, RestanteError) and error.hint and error.hint != InvalidOperation.hint:
            words = f"{words.rstrip('.')}. {error.hint}"
        self.notify(printable(words), severity="warning" if known else "error", markup=False)

    def on_worked(self, message: Worked) -> None:
        """Take away the banner of a job that failed before."""
        if self._troubles.pop(message.job, None) is not None:
            self._show_troubles()

    def _show_troubles(self) -> None:
        words = self._file_warning
        if self._troubles:
            words = f"{next(iter(self._troubles.values()))}; the screen shows the last state that was read."
        words = words.replace(
            str(self.gateway.path), self.gateway.path.name
        )  # there is one line for all of it
        self.query_one("#banner", Notice).say(f" ! {printable(words)}" if words else "")

    def on_resize(self, event: Resize) -> None:
        """Show a single line below the least size."""
        small = event.size.width < LEAST_WIDTH or event.size.height < LEAST_HEIGHT
        self.screen_stack[0].set_class(small, "too-small")  # whatever lies over it now


def banner_words(error: Exception, words: str) -> str:
    """Return what the banner says of an error: in a line there is no space for its hint.

    >>> banner_words(JournalDamaged("kiosk.db: …"), "kiosk.db: …")
    'The journal is damaged: `restante salvage` repairs it (kiosk.db: …)'
    """
    match error:
        case JournalBusy():
            return "The writer is busy"
        case JournalDamaged():
            return f"The journal is damaged: `restante salvage` repairs it ({words})"
    return words


def _bound_the_end(number: int, _frame: object) -> None:
    """End the process soon. asyncio sees the signal, too, and ends the app in order.

    A terminal that has gone away sends SIGHUP and SIGCONT. At the latter, Textual's driver writes by a new thread,
    which dies of that terminal, and the end of the app waits for it without end.
    """
    signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + number))
    signal.alarm(_LONGEST_END)
