"""Reads in threads: their results are posted to the widget that asked, and handled there."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import TypeVar

from textual.dom import DOMNode
from textual.message import Message
from textual.worker import Worker, get_current_worker

from tui.browser.messages import Failed, Worked

__all__ = ["Asking", "stopped"]

Found = TypeVar("Found")


class Asking(DOMNode):
    """A widget that reads in threads. Of each group of questions, only the last one asked is answered.

    It comes last among the bases of a class: Textual takes the styles of the first.
    """

    def ask(
        self,
        job: Callable[[], Found],
        on_answer: Callable[[Found], object],
        *,
        group: str,
        once: bool = False,
    ) -> None:
        """Run a blocking job in a thread, and hand its result over. An exception becomes `Failed`.

        Args:
            job: Called in the thread; it touches no widget.
            on_answer: Called with the result, as a message of this widget.
            group: What the question is about.
            once: Do nothing while a question of this group is unanswered.
        """
        if once and self.waits_for(group):
            return

        def run() -> None:
            worker = get_current_worker()
            end: Message = Worked(group)
            answer: Callable[[], object] = bool
            try:
                answer = partial(on_answer, job())
            except Exception as error:  # noqa: BLE001  # shown to the person; the app stays
                end = Failed(error, group)
            if not worker.is_cancelled:
                self.call_later(self._answered, worker, end, answer)

        self._unanswered[group] = self.run_worker(
            run, thread=True, group=group, exclusive=True, exit_on_error=False
        )

    def waits_for(self, *groups: str) -> bool:
        """Return True if a question of one of these groups is unanswered."""
        return not self._unanswered.keys().isdisjoint(groups)

    def forget_question(self, group: str) -> None:
        """Leave a question unanswered, whatever its job finds."""
        self._unanswered.pop(group, None)

    @cached_property
    def _unanswered(self) -> dict[str, Worker[None]]:
        return {}

    def _answered(self, worker: Worker[None], end: Message, answer: Callable[[], object]) -> None:
        # Neither asked again nor closed meanwhile: an app that ends has no widgets any more.
        if self.is_running and self._unanswered.get(worker.group) is worker:
            del self._unanswered[worker.group]
            self.post_message(end)
            answer()


def stopped() -> bool:
    """Return True if the result of the running job is not wanted any more."""
    return get_current_worker().is_cancelled
