"""The line that says what a person waits for."""

import time

from tui.browser.keys import key_name
from tui.browser.widgets.notice import Notice
from tui.browser.work import Asking, Question

__all__ = ["WaitLine"]

_SOON = 0.3  # seconds that a job takes without a word


class WaitLine(Notice):
    """Names the job that a person waits for, if it takes longer than a moment, and the key that stops it."""

    DEFAULT_CSS = (
        "WaitLine { dock: bottom; layer: waits; margin-bottom: 1; background: $panel; color: $text; }"
    )

    def __init__(self) -> None:
        super().__init__("waits")

    @property
    def _late(self) -> list[tuple[Asking, Question]]:
        nodes = [node for node in (self.app, *self.screen.walk_children()) if isinstance(node, Asking)]
        begun = time.monotonic() - _SOON
        asked = [(node, question) for node in nodes for question in node.questions]
        return [(node, question) for node, question in asked if question.words and question.begun < begun]

    @property
    def waits(self) -> bool:
        """True while it names a job."""
        return bool(self.text)

    def look(self) -> None:
        """Name the job that takes its time now, or none."""
        if not self.is_attached:  # a timer may tick once more while the app ends
            return
        late = self._late
        before = self.waits
        self.say(f" {late[0][1].words} … {key_name(self.app, 'app.close')} stops it" if late else "")
        if self.waits is not before:
            self.app.refresh_bindings()

    def stop(self) -> bool:
        """Stop what is waited for; return False if that has ended by itself, though the line may still name it."""
        late = self._late
        for node, question in late:
            node.forget_question(question.group)
            question.on_stop()
        self.look()
        return bool(late)
