"""`Navigation`: what leads from view to view."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from textual.app import App, SystemCommand
from textual.binding import ActiveBinding
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from recorder import Entry
from tui.browser.gateway import Gateway
from tui.browser.keys import WRITES
from tui.browser.messages import FilterEntries, Place, ShowEntry, ShowProfile, ShowView
from tui.browser.screens.dialog import Palette
from tui.browser.views.journal import JournalView
from tui.browser.views.profiles import ProfilesView
from tui.browser.views.shipping import ShippingView
from tui.browser.views.view import View
from tui.browser.widgets.jump_prompt import JumpPrompt
from tui.browser.widgets.top_line import TopLine
from tui.browser.work import Asking
from tui.text.jump import Jump
from tui.text.rows import Query

__all__ = ["Navigation"]


class Navigation(App[Place], Asking):
    """An app with views, and the messages, keys and words that open them."""

    gateway: Gateway
    """The journal."""

    @property
    def view(self) -> View:
        """The view that shows."""
        return self.query_one(f"#{self.query_one('#views', ContentSwitcher).current}", View)

    def action_view(self, name: str) -> None:
        """Open a view."""
        self.query_one("#views", ContentSwitcher).current = name
        self.query_one(TopLine).view = name
        self.view.refresh_view()
        self.view.take_focus()

    def action_command_palette(self) -> None:
        """Show the palette."""
        self.push_screen(Palette(id="--command-palette"))

    # --- to what is typed

    def action_jump(self) -> None:
        """Ask where to go: to an entry, to a profile, or to an action by words."""
        actions = list(self.get_system_commands(self.screen))
        self.query_one(JumpPrompt).open(actions, self._jump, self.view.take_focus)

    def _jump(self, jump: Jump) -> None:
        if jump.profile is not None:
            self.on_show_profile(ShowProfile(*jump.profile))
        elif (seq := jump.entry) is not None:
            self.on_show_entry(ShowEntry(seq))
            self.ask(lambda: self.gateway.entry(seq), partial(self._tell_missing, seq), group="find")

    def _tell_missing(self, seq: int, entry: Entry | None) -> None:
        if entry is None:
            self.notify(f"There is no entry #{seq:,}: it is not recorded yet, or was pruned.", markup=False)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Return what the palette offers: the keys of the view that shows, then some of Textual's own."""
        offered: dict[str, ActiveBinding] = {}
        for active in screen.active_bindings.values():
            binding = active.binding
            needless = binding.action in {"command_palette", "jump"} or not (binding.id and binding.tooltip)
            if not needless and (self.gateway.write or binding.action not in WRITES):
                offered.setdefault(binding.id or "", active)
        for node, binding, _, sentence in offered.values():
            name = f"{binding.description.capitalize()} ({self.get_key_display(binding)})"
            yield SystemCommand(name, sentence, partial(self.run_action, binding.action, node))
        for command in super().get_system_commands(screen):
            if command.title in {"Theme", "Screenshot"}:
                yield command

    # --- to what a view names

    def on_show_entry(self, message: ShowEntry) -> None:
        """Go to an entry."""
        self.action_view("journal")
        self.query_one(JournalView).show_entry(message.seq)

    def on_show_view(self, message: ShowView) -> None:
        """Go to a view."""
        self.action_view(message.name)
        if message.state is not None:
            self.query_one(ShippingView).point_at(message.state)

    def on_filter_entries(self, message: FilterEntries) -> None:
        """Go to the entries that match."""
        self.action_view("journal")
        self.query_one(JournalView).show(Query.of(message.words))

    def on_show_profile(self, message: ShowProfile) -> None:
        """Go to a profile."""
        self.action_view("profiles")
        self.query_one(ProfilesView).show_profile(message.profile, message.group_key, message.seq)
