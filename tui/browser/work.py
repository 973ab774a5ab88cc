"""Reads in threads: they hand over what they found as a message, and touch no widget."""

from collections.abc import Callable
from typing import TypeVar

from textual.message import Message
from textual.widget import Widget
from textual.worker import NoActiveWorker, Worker, get_current_worker

from tui.browser.messages import Failed, Worked

__all__ = ["ask", "stopped"]

Found = TypeVar("Found")


def ask(
    widget: Widget,
    job: Callable[[], Found],
    answer: Callable[[Found], Message],
    *,
    group: str,
) -> Worker[None]:
    """Run a blocking job in a thread, and post what it found to the widget that asked.

    Of one group the last one asked is answered. An exception becomes `Failed`.

    Args:
        widget: Who asks, and gets the message.
        job: Called in the thread.
        answer: The message that hands over what it gave.
        group: What it is for.
    """

    def run() -> None:
        worker = get_current_worker()
        message: Message
        try:
            message = answer(job())
            if not worker.is_cancelled:
                widget.post_message(Worked(group))
        except Exception as error:  # noqa: BLE001  # shown to the person; the app stays
            message = Failed(error, group)
        if not worker.is_cancelled:
            widget.post_message(message)

    return widget.run_worker(run, thread=True, group=group, exclusive=True, exit_on_error=False)


def stopped() -> bool:
    """Whether the job that asks this is not wanted any more."""
    try:
        return get_current_worker().is_cancelled
    except NoActiveWorker:  # it is called by hand
        return False
