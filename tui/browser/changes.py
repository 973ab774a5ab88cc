"""The person's changes from key to result: weighed in a thread, asked about, then done in a thread."""

from asyncio import wrap_future
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, wait
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from recorder.journal.decisions import Decision, Verb
from tui.browser.actions import Actions, decided, question
from tui.browser.gateway import Gateway
from tui.browser.keys import key_name
from tui.browser.messages import Changed, Failed
from tui.browser.screens.compose import ComposeScreen
from tui.browser.screens.confirm import Answer, ConfirmScreen
from tui.browser.screens.edit import EditScreen
from tui.browser.screens.progress import ProgressScreen
from tui.consequences import Consequences
from tui.text.compose import Composed
from tui.text.forgetting import forget_question
from tui.text.format import printable
from tui.text.marks import Marks
from tui.text.rows import Query

if TYPE_CHECKING:
    from tui.browser.app import Browser

__all__ = ["Changes"]

Done = TypeVar("Done")
Arguments = TypeVarTuple("Arguments")

_SOON = 1.0  # seconds until a person is told that a change waits
_AFTER_WORK = 60.0  # seconds for a result that came late: the person may look elsewhere


class Changes:
    """Retry, discard, settle, edit, forget and ship. Each asks before it changes anything.

    Args:
        app: The app whose screens ask; it gets `Changed` and `Failed`.
        gateway: The journal.
    """

    def __init__(self, app: "Browser", gateway: Gateway) -> None:
        self.actions = Actions(gateway)
        self._app = app
        self._progress: ProgressScreen | None = None
        self._writing = False
        self._written: Future[Any] | None = None

    @property
    def sending(self) -> bool:
        """True while a change is being written, or a request may be under way, even after the app has ended."""
        writing = self._written is not None and not self._written.done()
        return writing or (self._progress is not None and self._progress.thread.is_alive())

    def let_end(self, seconds: float) -> None:
        """Wait for the change to be written, or for the request under way to be answered and settled."""
        if self._written is not None:
            wait([self._written], seconds)
        if self._progress is not None:
            self._progress.thread.join(seconds)

    # --- what keys start

    def decide(
        self, verb: Verb, filters: Sequence[Sequence[str]], among: tuple[Marks, Query] | None = None
    ) -> None:
        """Retry or discard the entries that match.

        Args:
            verb: The decision.
            filters: The entries, as filters; without any, nothing happens.
            among: The marks, and the query that shows, if the entries are marked: the question counts hidden ones.
        """
        if filters:
            self._start(self._decide(verb, filters, among))

    def undo(self) -> None:
        """Take the last discard back."""
        self._start(self._take_back())

    def edit(self, seq: int) -> None:
        """Replace an entry's message."""
        self._start(self._edit(seq))

    def compose(self, profile: str, group_key: str | None) -> None:
        """Record an operation on a profile."""
        self._start(self._compose(profile, group_key))

    def forget(self, profile: str, group_key: str | None) -> None:
        """Erase a profile from the journal."""
        self._start(self._forget(profile, group_key))

    def ship(self) -> None:
        """Send what may go now."""
        self._start(self._ship())

    # --- how they go on

    def _start(self, change: Coroutine[Any, Any, None]) -> None:
        if self._writing:  # its result would never be told: another change takes its place
            change.close()
            self._app.notify("The previous change is still being written.", severity="warning", markup=False)
        else:
            self._app.run_worker(self._guard(change), group="act", exclusive=True, exit_on_error=False)

    async def _guard(self, change: Coroutine[Any, Any, None]) -> None:
        try:
            await change
        except Exception as error:  # noqa: BLE001  # shown to the person; the app stays
            self._app.post_message(Failed(error))

    async def _write(self, job: Callable[[*Arguments], Done], *arguments: *Arguments) -> Done:
        self._writing = True
        waiting = self._app.set_timer(_SOON, self._tell_waiting)
        written = Future[Done]()
        self._written = written
        written.set_running_or_notify_cancel()  # else the end of the app would cancel it

        def run() -> None:
            try:
                written.set_result(job(*arguments))
            except Exception as error:  # noqa: BLE001  # raised where it is awaited
                written.set_exception(error)

        # A daemon: `let_end` waits for it in words, and ctrl+c ends that. For a thread of asyncio's, the loop would.
        Thread(target=run, name="restante-change", daemon=True).start()
        try:
            return await wrap_future(written)
        finally:
            self._writing = False
            waiting.stop()

    def _tell_waiting(self) -> None:
        words = "Still being written: another process may hold the journal."
        self._app.notify(words, severity="warning", markup=False, timeout=_AFTER_WORK)

    async def _confirmed(self, text: str, **options: Any) -> bool:
        return await self._app.push_screen_wait(ConfirmScreen(text, **options)) == "yes"

    async def _decide(
        self, verb: Verb, filters: Sequence[Sequence[str]], among: tuple[Marks, Query] | None
    ) -> None:
        decision, marks = await self._app.answer(
            self.actions.weigh, verb, filters, among, words="Weighing the decision"
        )
        if not decision.entries:
            self._app.notify(decided(verb, decision), severity="warning", markup=False)
            return
        weighed = {verb: decision}

        def look(stop: Callable[[], bool]) -> tuple[Consequences, set[Answer]]:
            weighed.update(self.actions.other(verb, decision))
            return self.actions.consequences(weighed, stop), _answers(verb, weighed)

        settle = decision.counted > 0 and self.actions.may_settle
        answers = _answers(verb, weighed)
        if settle:
            answers.add("settle")
        text = question(verb, decision, marks, settle=settle)
        match await self._app.push_screen_wait(ConfirmScreen(text, answers=answers, look=look)):
            case "yes":
                await self._act(verb, decision.numbers)
            case "retry" | "discard" as chosen:
                await self._act(Verb(chosen), decision.numbers)
            case "harmless":
                harmless = weighed[Verb.RETRY].harmless
                more = " The rest is still to be decided; until then its profiles wait."
                await self._act(Verb.RETRY, harmless, more)
            case "settle":
                await self._under_way(ProgressScreen("Reading profiles", self.actions.settle))

    async def _act(self, verb: Verb, numbers: Sequence[int], more: str = "") -> None:
        done = await self._write(self.actions.decide, verb, numbers)
        back = verb is Verb.DISCARD and bool(done.entries) and self.actions.may_take_back
        hint = f" {key_name(self._app, 'app.undo')} undoes it." if back else more
        self._app.post_message(Changed(f"{decided(verb, done)}{hint}"))

    async def _take_back(self) -> None:
        self._app.post_message(Changed(await self._write(self.actions.take_back)))

    async def _edit(self, seq: int) -> None:
        entry, text, check = await self._app.answer(self.actions.editable, seq, words="Reading the entry")
        twice = "\nIt may have been applied already: 1 entry may be applied twice." if entry.sends else ""

        async def save(written: str) -> str | None:
            def look(stop: Callable[[], bool]) -> tuple[Consequences, tuple[Answer, ...]]:
                return self.actions.consequences_of_edit(entry, written, stop), ()

            if not await self._confirmed(f"Send 1 entry, #{entry.seq:,}, as edited?{twice}", look=look):
                return None
            return await self._write(self.actions.edit, entry, written)

        words = await self._app.push_screen_wait(EditScreen(entry, text, check, save))
        if words is not None:
            self._app.post_message(Changed(words))

    async def _compose(self, profile: str, group_key: str | None) -> None:
        self.actions.check_recording()

        async def record(operation: Composed) -> str:
            return await self._write(self.actions.record, operation, profile, group_key)

        read = partial(self.actions.predicted, profile, group_key)
        words = await self._app.push_screen_wait(
            ComposeScreen(profile, group_key, self.actions.now, read, record)
        )
        if words is not None:
            self._app.post_message(Changed(words))

    async def _forget(self, profile: str, group_key: str | None) -> None:
        weighed = await self._app.answer(
            self.actions.weigh_forgetting, profile, group_key, words="Looking for its entries"
        )
        if await self._confirmed(forget_question(profile, group_key, weighed), typed=printable(profile)):
            words = await self._write(self.actions.forget, profile, group_key)
            self._app.post_message(Changed(words, (profile, group_key)))

    async def _ship(self) -> None:
        if await self._confirmed(await self._app.answer(self.actions.to_ship, words="Counting")):
            await self._under_way(ProgressScreen("Shipping", self.actions.ship))

    async def _under_way(self, progress: ProgressScreen) -> None:
        self._progress = progress
        words = await self._app.push_screen_wait(progress)
        self._app.post_message(Changed(words, seconds=_AFTER_WORK))


def _answers(asked: Verb, weighed: Mapping[Verb, Decision]) -> set[Answer]:
    """Return the answers to a question about entries that each of the weighed decisions takes."""
    answers: set[Answer] = {"yes"}
    if asked is Verb.RETRY and Verb.DISCARD in weighed:
        answers.add("discard")
    if asked is Verb.DISCARD and Verb.RETRY in weighed:
        answers.add("retry")
    retry = weighed.get(Verb.RETRY)
    if retry is not None and 0 < len(retry.harmless) < retry.entries:
        answers.add("harmless")
    return answers
