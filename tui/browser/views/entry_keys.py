"""The keys that act on entries: the one under the cursor, or those that are marked."""

from collections.abc import Callable

from recorder import Entry
from recorder.journal.decisions import Verb
from tui.browser.actions import numbered
from tui.browser.changes import Changes
from tui.browser.gateway import Gateway
from tui.browser.messages import ShowProfile
from tui.browser.views.view import View
from tui.browser.widgets.entry_table import EntryTable
from tui.text.detail import copied
from tui.text.rows import Query

__all__ = ["EntryKeys"]


class EntryKeys(View):
    """A view with a table of entries."""

    def __init__(self, gateway: Gateway, changes: Changes) -> None:
        super().__init__()
        self._gateway = gateway
        self._changes = changes
        self._query = Query()

    @property
    def table(self) -> EntryTable:
        """The table of entries."""
        return self.query_one(EntryTable)

    def action_profile(self) -> None:
        """To its profile at that moment."""
        self.in_turn(lambda: self._with_profile(lambda *whose: self.post_message(ShowProfile(*whose))))

    def action_forget(self) -> None:
        """Erase its profile."""
        self.in_turn(
            lambda: self._with_profile(lambda profile, group, _: self._changes.forget(profile, group))
        )

    def _with_profile(self, act: Callable[[str, str | None, int], object]) -> None:
        seq = self.table.cursor

        def found(entry: Entry | None) -> None:
            if entry is None or entry.profile is None:
                self.say("This entry has no profile.")
            else:
                act(entry.profile, entry.group_key, entry.seq)

        self.ask(lambda: self._gateway.entry(seq) if seq is not None else None, found, group="profile")

    def action_copy(self) -> None:
        """Copy the entry as JSON."""
        text = self._gateway.text_of
        self._copy("JSON", lambda seq: text(seq, copied), "`restante entries seq={} --json` writes it out.")

    def action_copy_test(self) -> None:
        """Copy the history of its profile as a test."""
        self._copy("a test", self._gateway.test_of, "`restante export seq=..{}` writes the entries out.")

    def _copy(self, what: str, read: Callable[[int], str], otherwise: str) -> None:
        def act() -> None:
            if (seq := self.table.cursor) is not None:
                self.copy(lambda: read(seq), f"#{seq:,} as {what}", otherwise.format(seq))

        self.in_turn(act)

    def action_retry(self) -> None:
        """Retry the marked entries, or the current one."""
        self.in_turn(lambda: self._decide(Verb.RETRY))

    def action_discard(self) -> None:
        """Discard the marked entries, or the current one."""
        self.in_turn(lambda: self._decide(Verb.DISCARD))

    def _decide(self, verb: Verb) -> None:
        marks, cursor = self.table.marks, self.table.cursor
        chosen = marks or ({cursor} if cursor is not None else set())
        self._changes.decide(verb, numbered(chosen), self._query if marks else None)

    def action_edit(self) -> None:
        """Give it another message."""

        def act() -> None:
            if (seq := self.table.cursor) is not None:
                self._changes.edit(seq)

        self.in_turn(act)

    def action_ship(self) -> None:
        """Send what may go now."""
        self._changes.ship()
