"""`Browser`: the full-screen browser, and what its views have in common."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.events import Resize
from textual.message import Message
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from recorder import Entry, InvalidOperation, JournalBusy, RestanteError
from recorder.journal.decisions import Decision, Verb
from recorder.model.reports import Forgotten
from tui.browser.actions import Actions, question, told
from tui.browser.gateway import Facts, Gateway
from tui.browser.keys import bindings, keys_of, name_of, use
from tui.browser.messages import (
    Decide,
    Edit,
    Failed,
    FilterEntries,
    Forget,
    Place,
    Say,
    ShowEntry,
    ShowProfile,
    Worked,
)
from tui.browser.screens.confirm import ConfirmScreen
from tui.browser.screens.edit import EditScreen
from tui.browser.screens.help import HelpScreen
from tui.browser.screens.progress import ProgressScreen
from tui.browser.views.journal import JournalView
from tui.browser.views.profiles import ProfilesView
from tui.browser.views.shipping import ShippingView
from tui.browser.views.view import View
from tui.browser.widgets.entry_detail import EntryDetail
from tui.browser.widgets.key_line import KeyLine
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.too_small import LEAST_HEIGHT, LEAST_WIDTH, TooSmall
from tui.browser.widgets.top_line import TopLine
from tui.browser.work import ask
from tui.text.forgetting import forget_question
from tui.text.format import printable
from tui.text.rows import Query
from tui.text.states import plain

__all__ = ["Browser"]

POLL = 0.25
"""Seconds between looks at ``PRAGMA data_version``."""

_ASKED = frozenset({"", "act", "carried", "copy", "find", "profile", "value"})
"""Jobs that a person asked for: each time they fail it is said in passing. The others are read again by themselves."""

_AGES = 4  # polls: once a second ages are told anew


class _Looked(Message):
    """What a poll found: the journal's version, and how it stands where that is new."""

    def __init__(self, version: int, facts: Facts | None, whereabouts: str, refusal: str) -> None:
        self.version = version
        self.facts = facts
        self.whereabouts = whereabouts
        self.refusal = refusal
        super().__init__()


class _Weighed(Message):
    def __init__(self, verb: Verb, decision: Decision, marks: str) -> None:
        self.verb = verb
        self.decision = decision
        self.marks = marks
        super().__init__()


class _Decided(Message):
    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__()


class _Editable(Message):
    def __init__(self, entry: Entry, text: str, check: Callable[[str], str]) -> None:
        self.entry = entry
        self.text = text
        self.check = check
        super().__init__()


class _Forgettable(Message):
    def __init__(self, profile: str, group_key: str | None, weighed: Forgotten) -> None:
        self.profile = profile
        self.group_key = group_key
        self.weighed = weighed
        super().__init__()


class _Forgot(Message):
    def __init__(self, profile: str, group_key: str | None, text: str) -> None:
        self.profile = profile
        self.group_key = group_key
        self.text = text
        super().__init__()


class _ToShip(Message):
    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__()


class Browser(App[Place]):
    """The journal, its profiles and its shipping on one screen.

    Args:
        gateway: The journal; closed by whoever opened it.
        ascii_only: Whether only ASCII is drawn.
        keymap: Other keys for some ids of `tui.browser.keys.KEYS`.
        live: Whether to look for changes four times a second; tests look by hand.
        first: The view to begin with.
        words: A filter to begin with; see `recorder.model.filters`.
        place: Where one was, when the file was replaced: the browser of the old one ended with it.
    """

    TITLE = "restante"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]
    ENABLE_COMMAND_PALETTE = True
    AUTO_FOCUS: ClassVar[str | None] = None

    def __init__(
        self,
        gateway: Gateway,
        *,
        ascii_only: bool = False,
        keymap: Mapping[str, str] | None = None,
        live: bool = True,
        first: str = "journal",
        words: Sequence[str] = (),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.gateway = gateway
        self.ascii_only = ascii_only
        self.set_class(ascii_only, "ascii")
        self.actions = Actions(gateway)
        self._live = live
        self._place = place or Place(first, Query.of(list(words)))
        self._replaced = place is not None
        self._version = -1
        self._polls = 0
        self._looking = False
        self._troubles: dict[str, str] = {}  # by what was to be read
        self._elsewhere = ""
        self._shipping: ProgressScreen | None = None
        use(keymap or {})
        if keymap:
            self.set_keymap(keymap)

    def compose(self) -> ComposeResult:
        """The top line, three views of which one shows, the keys."""
        gateway = self.gateway
        yield TopLine(gateway.path.name, write=gateway.write, ascii_only=self.ascii_only)
        yield Notice("banner", ascii_only=self.ascii_only)
        with ContentSwitcher(initial="journal", id="views"):
            yield JournalView(gateway, ascii_only=self.ascii_only)
            yield ProfilesView(gateway, ascii_only=self.ascii_only)
            yield ShippingView(gateway, ascii_only=self.ascii_only)
        yield TooSmall(ascii_only=self.ascii_only)
        yield KeyLine(write=gateway.write, ascii_only=self.ascii_only)

    @property
    def shipping(self) -> bool:
        """Whether a request may still be under way; also asked once the app has ended."""
        return self._shipping is not None and self._shipping.thread.is_alive()

    def let_end(self, seconds: float) -> None:
        """Wait for the request under way to be answered, and settled."""
        if self._shipping is not None:
            self._shipping.thread.join(seconds)

    def on_mount(self) -> None:
        """Begin to look, and end as asked: killed by a signal, it would leave the terminal as no shell can use it."""
        here = hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread()
        if here and not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, partial(self.exit, return_code=128 + number))
        self.look()
        self.query_one(JournalView).show(self._place.query, at=self._place.seq)
        self.action_view(self._place.view)
        if self._replaced:
            self.on_say(Say(f"{self.gateway.path.name} was replaced: this is the new file.", "warning"))
        if self._live:
            self.set_interval(POLL, self.look)

    @property
    def view(self) -> View:
        """The view that shows."""
        return self.query_one(f"#{self.query_one('#views', ContentSwitcher).current}", View)

    @property
    def settled(self) -> bool:
        """Whether nothing is under way: what shows is all that there is to show."""
        if any(not worker.is_finished for worker in self.workers) or not self.view.settled:
            return False
        details = self.query(EntryDetail)
        return all(detail.complete for detail in details if detail.display and detail.is_on_screen)

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
            whereabouts, refusal = gateway.whereabouts(), ""
            if whereabouts == "replaced":
                try:
                    gateway.opens()
                except RestanteError as error:
                    refusal = str(error)
            version = gateway.version()
            facts = gateway.facts() if ages or version != known else None
            return _Looked(version, facts, whereabouts, refusal)

        ask(self.query_one(TopLine), job, lambda looked: looked, group="look")

    def on__looked(self, message: _Looked) -> None:
        """Show what is new."""
        self._looking = False
        if message.whereabouts == "replaced" and not message.refusal and len(self.screen_stack) == 1:
            # Everything of the old file goes with its browser; what is being asked or written is let end before.
            self.exit(Place(self.view.where, *self.query_one(JournalView).place))
            return
        self._elsewhere = _elsewhere(message)
        self._tell_troubles()
        if message.facts is None:
            return
        self.query_one(TopLine).show(message.facts)
        self.query_one(TooSmall).show(message.facts)
        self.query_one(JournalView).show_facts(message.facts)
        self._version = message.version
        self.view.refresh_view()

    # --- going around

    def action_view(self, name: str) -> None:
        """Open a view."""
        self.query_one("#views", ContentSwitcher).current = name
        self.query_one(TopLine).show_view(name)
        self.on_keys_changed()
        self.view.refresh_view()
        self.view.take_focus()

    def on_keys_changed(self) -> None:
        """Show the keys that do something."""
        self.query_one(KeyLine).show_place(self.view.where, self.view.instead)

    def action_close(self) -> None:
        """Close the innermost thing."""
        self.view.close_innermost()

    async def action_back(self) -> None:
        """Close the innermost thing; where nothing is open, quit."""
        if not self.view.close_innermost():
            self.exit()

    def action_help(self) -> None:
        """The keys of this view."""
        self.push_screen(HelpScreen(self.view.where, write=self.gateway.write, ascii_only=self.ascii_only))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers: the keys of the view that shows, then Textual's own."""
        for key in (*keys_of(self.view.where), *keys_of("app")):
            if key.help and (self.gateway.write or not key.writes) and key.id != "app.palette":
                name = f"{key.description.capitalize()} ({name_of(key.id)})"
                yield SystemCommand(name, key.help, partial(self._run_key, key.where, key.action))
        for command in super().get_system_commands(screen):
            if command.title in {"Theme", "Screenshot"}:
                yield command

    async def _run_key(self, where: str, action: str) -> None:
        await self.run_action(action, self if where == "app" else self.view)

    def on_show_entry(self, message: ShowEntry) -> None:
        """Go to an entry."""
        self.action_view("journal")
        self.query_one(JournalView).show_entry(message.seq)

    def on_filter_entries(self, message: FilterEntries) -> None:
        """Go to the entries that match."""
        self.action_view("journal")
        self.query_one(JournalView).show(Query.of(message.words))

    def on_show_profile(self, message: ShowProfile) -> None:
        """Go to a profile."""
        self.action_view("profiles")
        self.query_one(ProfilesView).show_profile(message.profile, message.group_key, message.seq)

    # --- what changes the journal: weighed in a thread, asked, then done in a thread

    def on_decide(self, message: Decide) -> None:
        """Say what it would do."""
        verb, filters, among = message.verb, message.filters, message.among
        if filters:
            actions = self.actions
            ask(
                self.view,
                lambda: actions.weigh(verb, filters, among),
                lambda weighed: _Weighed(verb, *weighed),
                group="act",
            )

    def on__weighed(self, message: _Weighed) -> None:
        """Ask."""
        verb, numbers = message.verb, message.decision.numbers
        if not message.decision.entries:
            self.on_say(Say(told(verb, message.decision), "warning"))
            return

        def answered(yes: bool | None) -> None:  # as screens hand it over
            if yes:
                actions = self.actions
                ask(
                    self.view,
                    lambda: actions.decide(verb, numbers),
                    lambda done: _Decided(told(verb, done)),
                    group="act",
                )

        self._ask(question(verb, message.decision, message.marks), answered)

    def on_edit(self, message: Edit) -> None:
        """Look whether it may be edited."""
        actions, seq = self.actions, message.seq
        ask(self.view, lambda: actions.editable(seq), lambda found: _Editable(*found), group="act")

    def on__editable(self, message: _Editable) -> None:
        """Open the editor, and then ask."""
        entry = message.entry

        def written(text: str | None) -> None:
            if text is None:
                return
            sends = (
                "\nIt may have been applied as it was before: 1 may be applied twice." if entry.sends else ""
            )

            def answered(yes: bool | None) -> None:  # as screens hand it over
                if yes:
                    actions = self.actions
                    ask(self.view, lambda: actions.edit(entry, text), _Decided, group="act")

            self._ask(f"Send 1 entry, #{entry.seq:,}, as edited?{sends}", answered)

        self.push_screen(EditScreen(entry, message.text, message.check, ascii_only=self.ascii_only), written)

    def on_forget(self, message: Forget) -> None:
        """Say what it would do."""
        actions, profile, group_key = self.actions, message.profile, message.group_key
        ask(
            self.view,
            lambda: actions.weigh_forgetting(profile, group_key),
            lambda weighed: _Forgettable(profile, group_key, weighed),
            group="act",
        )

    def on__forgettable(self, message: _Forgettable) -> None:
        """Ask, and forget."""
        profile, group_key = message.profile, message.group_key

        def answered(yes: bool | None) -> None:  # as screens hand it over
            if yes:
                actions = self.actions
                ask(
                    self.view,
                    lambda: actions.forget(profile, group_key),
                    lambda text: _Forgot(profile, group_key, text),
                    group="act",
                )

        self._ask(forget_question(profile, group_key, message.weighed), answered)

    def on__forgot(self, message: _Forgot) -> None:
        """It is gone."""
        self.query_one(ProfilesView).forgotten(message.profile, message.group_key)
        self.query_one(JournalView).decided()
        self._done(message.text)

    def on_ship(self) -> None:
        """Look what there is to send."""
        ask(self.view, self.actions.to_ship, _ToShip, group="act")

    def on__to_ship(self, message: _ToShip) -> None:
        """Ask, and ship."""

        def answered(yes: bool | None) -> None:  # as screens hand it over
            if yes:
                self._shipping = ProgressScreen(self.actions, ascii_only=self.ascii_only)
                self.push_screen(self._shipping, self._done)

        self._ask(message.question, answered)

    def on__decided(self, message: _Decided) -> None:
        """It is done."""
        self.query_one(JournalView).decided()
        self._done(message.text)

    def _ask(self, text: str, answered: Callable[[bool | None], None]) -> None:
        self.push_screen(ConfirmScreen(text, ascii_only=self.ascii_only), answered)

    def _done(self, text: str | None) -> None:
        if text:
            self.on_say(Say(text))
        self.look()

    # --- what is said in passing

    def on_say(self, message: Say) -> None:
        """Say it."""
        text = printable(message.text)
        self.notify(plain(text) if self.ascii_only else text, severity=message.severity, markup=False)

    def on_failed(self, message: Failed) -> None:
        """A worker's exception: say it, and go on."""
        error = message.error
        if message.job == "look":
            self._looking = False
        if message.job not in _ASKED:
            # Read again and again: what is shown stays, under a banner that goes when the same succeeds again.
            busy = isinstance(error, JournalBusy)
            words = str(error) if isinstance(error, RestanteError) else f"{type(error).__name__}: {error}"
            self._troubles[message.job] = "The writer is busy" if busy else words
            self._tell_troubles()
            return
        if isinstance(error, RestanteError):
            hint = error.hint if error.hint != InvalidOperation.hint else ""  # that one is about recording
            self.on_say(Say(f"{error} {hint or ''}".strip(), "warning"))
        else:
            self.on_say(Say(f"{type(error).__name__}: {error}", "error"))

    def on_worked(self, message: Worked) -> None:
        """What failed before does not any more."""
        if self._troubles.pop(message.job, None) is not None:
            self._tell_troubles()

    def _tell_troubles(self) -> None:
        words = self._elsewhere
        if self._troubles:
            words = f"{next(iter(self._troubles.values()))}; what is shown stays as it was."
        words = words.replace(
            str(self.gateway.path), self.gateway.path.name
        )  # there is one line for all of it
        self.query_one("#banner", Notice).say(f" ! {printable(words)}" if words else "")

    def on_resize(self, event: Resize) -> None:
        """Below a least size only one line is shown."""
        small = event.size.width < LEAST_WIDTH or event.size.height < LEAST_HEIGHT
        base = self.screen_stack[0]  # whatever lies over it now
        base.set_class(small, "too-small")


def _elsewhere(message: _Looked) -> str:
    """What is to be said of the file, where it is not the one that is open any more."""
    if message.whereabouts == "gone":
        return "The file was deleted or moved. What shows is what was in it; put it back, or quit."
    if message.whereabouts == "replaced":
        return f"The file was replaced. {message.refusal or 'The new one opens when this is closed.'}"
    return ""
