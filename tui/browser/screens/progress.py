"""A change under way that takes requests: how far it is, and a way to stop it."""

import threading
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import ProgressBar, Static

from recorder import RestanteError
from tui.browser.actions import Step
from tui.browser.keys import BINDINGS
from tui.browser.screens.dialog import Dialog
from tui.browser.widgets.key_footer import KeyFooter
from tui.text.format import printable

__all__ = ["ProgressScreen"]


class ProgressScreen(Dialog[str]):
    """Runs a job in a thread; its result says in words how that ended.

    Args:
        name: A name for what it does, such as "Shipping".
        job: Called in the thread with a function that takes its steps, and an event: once that is set, the job begins
            no further request, and waits for nothing else. Returns the result.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["progress"]]

    def __init__(self, name: str, job: Callable[[Callable[[Step], None], threading.Event], str]) -> None:
        super().__init__()
        self._what = name
        self._job = job
        self._stop = threading.Event()
        # No worker: quitting would wait for it before the terminal is given back. A daemon: the process waits for the
        # request under way as long as `Changes.let_end` says, and no longer.
        self.thread = threading.Thread(target=self._run_job, name="restante-progress", daemon=True)

    def compose(self) -> ComposeResult:
        """A line, a bar and the key."""
        with Vertical(classes="box"):
            yield Static(f"{self._what} …", id="so-far", markup=False)
            yield ProgressBar(show_eta=False, id="bar")
            yield KeyFooter(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin the work once the screen is there."""
        self.thread.start()

    def on_unmount(self) -> None:
        """Begin no further request after the browser was quit."""
        self._stop.set()

    def _run_job(self) -> None:
        try:
            words = self._job(self._report, self._stop)
        except Exception as error:  # noqa: BLE001  # shown to the person; the app stays
            hint = error.hint if isinstance(error, RestanteError) else None
            words = f"{self._what} failed: {error}{f'. {hint}' * bool(hint)}"
        self.call_later(self._end, printable(words))

    def _end(self, words: str) -> None:
        self.dismiss(words)

    def _report(self, step: Step) -> None:
        self.call_later(self._show, step)

    def _show(self, step: Step) -> None:
        if not self._stop.is_set():
            self.query_one("#so-far", Static).update(step.words)
        bar = self.query_one(ProgressBar)
        bar.update(total=step.total, progress=step.done)
        bar.display = step.total is not None  # without one it moves all the time

    def action_stop(self) -> None:
        """Stop once the request under way is answered."""
        self._stop.set()
        self.query_one("#so-far", Static).update("Stopping once the current request is answered …")
