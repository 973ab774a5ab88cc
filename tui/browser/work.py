"""Reads in threads: their results are posted to the widget that asked, and handled there.

The threads are daemons, and no worker of Textual or of asyncio: nothing waits for them when the browser is quit.
Closing the journal interrupts what they read; see `recorder.reading.source`.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial
from typing import TypeVar, TypeVarTuple

from textual.dom import DOMNode
from textual.message import Message

from tui.browser.messages import Failed, Worked

__all__ = ["Asking", "Question", "stopped"]

Found = TypeVar("Found")
Arguments = TypeVarTuple("Arguments")


class Question(threading.Thread):
    """A thread that runs one job.

    Args:
        group: What kind of job it is.
        run: Called in the thread.
        about: What exactly is asked.
        words: What a person waits for; see `tui.browser.widgets.wait_line`.
        on_stop: Called where the person stops it.
    """

    def __init__(
        self,
        group: str,
        run: Callable[["Question"], None],
        *,
        about: object = None,
        words: str = "",
        on_stop: Callable[[], object] = bool,
    ) -> None:
        super().__init__(target=run, args=(self,), name=f"restante-{group}", daemon=True)
        self.group = group
        self.about = about
        self.words = words
        self.on_stop = on_stop
        self.begun = time.monotonic()
        self.stopped = False
        """True once the result is not wanted any more."""
        self.ending = False
        """True once the process is about to end."""


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
        about: object = None,
        words: str = "",
        on_stop: Callable[[], object] = bool,
    ) -> None:
        """Run a blocking job in a thread, and hand its result over. An exception becomes `Failed`.

        Args:
            job: Called in the thread; it touches no widget.
            on_answer: Called with the result, as a message of this widget.
            group: What kind of question it is.
            about: What exactly is asked. While a question of the group about the same is unanswered, this does nothing:
                what is asked at each refresh would else be begun anew for ever, where it takes longer than that. None
                takes the place of whatever was asked before.
            words: What a person waits for; shown if it takes long, with the key that stops it.
            on_stop: Called after it was stopped by that key.
        """
        asked = self._unanswered.get(group)
        if asked is not None and about is not None and asked.about == about:
            return
        self.forget_question(group)

        def run(question: Question) -> None:
            end: Message = Worked(group)
            answer: Callable[[], object] = bool
            try:
                answer = partial(on_answer, job())
            except Exception as error:  # noqa: BLE001  # shown to the person; the app stays
                end = Failed(error, group)
            if question.ending:
                # To free what was read of a long profile takes 0.3 s, in which no other thread runs: not now.
                threading.Event().wait()
            if not question.stopped:
                with suppress(RuntimeError):  # the loop has ended meanwhile
                    self.call_later(self._answered, question, end, answer)

        question = Question(group, run, about=about, words=words, on_stop=on_stop)
        self._unanswered[group] = question
        question.start()

    async def answer(self, job: Callable[[*Arguments], Found], *arguments: *Arguments, words: str) -> Found:
        """Return the result of a job that only reads; unlike with `asyncio.to_thread`, quitting does not wait for it.

        Raises:
            CancelledError: The person stopped it.
        """
        result: asyncio.Future[Found] = asyncio.get_running_loop().create_future()

        def outcome() -> Callable[[], object]:
            try:
                return partial(result.set_result, job(*arguments))
            except Exception as error:  # noqa: BLE001  # raised where it is awaited
                return partial(result.set_exception, error)

        def settle(end: Callable[[], object]) -> None:
            if not result.done():  # else nobody awaits it any more
                end()

        self.ask(outcome, settle, group="answer", words=words, on_stop=result.cancel)
        return await result

    def waits_for(self, *groups: str) -> bool:
        """Return True if a question of one of these groups, or of any, is unanswered."""
        return bool(self._unanswered) if not groups else not self._unanswered.keys().isdisjoint(groups)

    @property
    def questions(self) -> list[Question]:
        """Those that are unanswered."""
        return [*self._unanswered.values()]

    def forget_question(self, group: str) -> None:
        """Leave a question unanswered, whatever its job finds."""
        if (asked := self._unanswered.pop(group, None)) is not None:
            asked.stopped = True

    def on_unmount(self) -> None:
        """Stop all jobs: nothing shows their results any more."""
        self.stop_asking()

    def stop_asking(self, *, ending: bool = False) -> None:
        """Leave all questions unanswered; the process may be about to end."""
        for question in self.questions:
            question.ending = ending
            self.forget_question(question.group)

    @cached_property
    def _unanswered(self) -> dict[str, Question]:
        return {}

    def _answered(self, question: Question, end: Message, answer: Callable[[], object]) -> None:
        # Neither asked again nor closed meanwhile: an app that ends has no widgets any more.
        if self.is_running and self._unanswered.get(question.group) is question:
            del self._unanswered[question.group]
            self.post_message(end)
            answer()


def stopped() -> bool:
    """Return True if the result of the running job is not wanted any more."""
    question = threading.current_thread()
    return isinstance(question, Question) and question.stopped
