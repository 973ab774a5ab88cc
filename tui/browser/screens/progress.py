"""Shipping under way: how far it is, and a way to stop."""

import threading
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import ProgressBar, Static

from recorder import ShipReport
from tui.browser.actions import Actions
from tui.browser.keys import bindings, name_of
from tui.browser.messages import Failed
from tui.text.format import count, printable
from tui.text.states import plain

__all__ = ["ProgressScreen"]


class ProgressScreen(ModalScreen[str]):
    """Ships in a thread, and gives back what came of it, in words."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("progress")]

    class Moved(Message):
        """A request was answered."""

        def __init__(self, report: ShipReport) -> None:
            self.report = report
            super().__init__()

    class Ended(Message):
        """There is nothing more to do, in words."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    def __init__(self, actions: Actions, *, ascii_only: bool) -> None:
        super().__init__()
        self._actions = actions
        self._ascii = ascii_only
        self._stop = threading.Event()
        # A daemon: whoever quits waits for it as long as a request takes, and no longer.
        self.thread = threading.Thread(target=self._ship, name="restante-ship-now", daemon=True)

    def compose(self) -> ComposeResult:
        """A bar and a line."""
        with Vertical(classes="box"):
            yield Static(self._plain("Shipping …"), id="so-far", markup=False)
            yield ProgressBar(show_eta=False, id="bar")
            yield Static(f"\n{name_of('progress.stop')} stop", markup=False, classes="hint")

    def on_mount(self) -> None:
        """Begin, in a thread that is no worker: quitting waits for those, before the terminal is given back."""
        self.thread.start()

    def on_unmount(self) -> None:
        """The browser is quit: no further request begins."""
        self._stop.set()

    def _ship(self) -> None:
        try:
            text = self._actions.ship(self._report, self._stop)
        except Exception as error:  # noqa: BLE001  # shown to the person; the app stays
            self.post_message(Failed(error))
        else:
            self.post_message(self.Ended(text))

    def _report(self, report: ShipReport) -> None:
        self.post_message(self.Moved(report))

    def on_progress_screen_moved(self, message: Moved) -> None:
        """Show how far it is."""
        report = message.report
        done = report.shipped + report.rejected
        if not self._stop.is_set():
            words = f"Shipped {report.shipped:,} in {count(report.requests, 'request')}, {report.pending:,} to go."
            self.query_one("#so-far", Static).update(words)
        self.query_one(ProgressBar).update(total=done + report.pending + report.in_doubt, progress=done)

    def on_progress_screen_ended(self, message: Ended) -> None:
        """Close."""
        self.dismiss(message.text)

    def on_failed(self, message: Failed) -> None:
        """Close, and say why."""
        message.stop()
        self.dismiss(printable(f"Shipping failed: {message.error}"))

    def action_stop(self) -> None:
        """Stop once the request under way is answered."""
        self._stop.set()
        words = "Stopping once the request under way is answered …"
        self.query_one("#so-far", Static).update(self._plain(words))

    def _plain(self, text: str) -> str:
        return plain(text.replace("…", "...")) if self._ascii else text
