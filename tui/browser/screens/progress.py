"""Shipping under way: how far it is, and a way to stop it."""

import threading
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import ProgressBar, Static

from recorder import ShipReport
from tui.browser.actions import Actions
from tui.browser.keys import BINDINGS
from tui.browser.widgets.key_footer import KeyFooter
from tui.text.format import count, printable

__all__ = ["ProgressScreen"]


class ProgressScreen(ModalScreen[str]):
    """Ships in a thread; its result says in words how that ended."""

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["progress"]]

    def __init__(self, actions: Actions) -> None:
        super().__init__()
        self._actions = actions
        self._stop = threading.Event()
        # No worker: quitting would wait for it before the terminal is given back. A daemon: the process waits for the
        # request under way as long as `Changes.let_end` says, and no longer.
        self.thread = threading.Thread(target=self._ship, name="restante-ship-now", daemon=True)

    def compose(self) -> ComposeResult:
        """A line, a bar and the key."""
        with Vertical(classes="box"):
            yield Static("Shipping …", id="so-far", markup=False)
            yield ProgressBar(show_eta=False, id="bar")
            yield KeyFooter(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to ship."""
        self.thread.start()

    def on_unmount(self) -> None:
        """Begin no further request after the browser was quit."""
        self._stop.set()

    def _ship(self) -> None:
        try:
            words = self._actions.ship(self._report, self._stop)
        except Exception as error:  # noqa: BLE001  # shown to the person; the app stays
            words = f"Shipping failed: {error}"
        self.call_later(self._end, printable(words))

    def _end(self, words: str) -> None:
        self.dismiss(words)

    def _report(self, report: ShipReport) -> None:
        self.call_later(self._show, report)

    def _show(self, report: ShipReport) -> None:
        done = report.shipped + report.rejected
        if not self._stop.is_set():
            requests = count(report.requests, "request")
            words = f"Shipped {report.shipped:,} in {requests}, {report.pending:,} to go."
            self.query_one("#so-far", Static).update(words)
        self.query_one(ProgressBar).update(total=done + report.pending + report.in_doubt, progress=done)

    def action_stop(self) -> None:
        """Stop once the request under way is answered."""
        self._stop.set()
        self.query_one("#so-far", Static).update("Stopping once the request under way is answered …")
