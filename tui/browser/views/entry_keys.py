"""The keys that act on entries: the one under the cursor, or those that are marked."""

from collections.abc import Callable
from functools import partial

from recorder import Entry
from recorder.journal.decisions import Verb
from tui.browser.changes import Changes
from tui.browser.export import refusal, write
from tui.browser.gateway import Gateway
from tui.browser.messages import ShowProfile
from tui.browser.views.view import View
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.filter_prompt import FilterPrompt
from tui.browser.work import stopped
from tui.text.detail import copied
from tui.text.marks import Marks
from tui.text.rows import Query

__all__ = ["EntryKeys"]


class EntryKeys(View):
    """A view with a table of entries."""

    def __init__(self, gateway: Gateway, changes: Changes) -> None:
        super().__init__(changes)
        self._gateway = gateway
        self._query = Query()

    @property
    def table(self) -> EntryTable:
        """The table of entries."""
        return self.query_one(EntryTable)

    @property
    def prompt(self) -> FilterPrompt:
        """The prompt above the table."""
        return self.query_one(FilterPrompt)

    @property
    def chosen(self) -> Marks:
        """The marked entries, or the current one."""
        cursor = self.table.cursor
        return self.table.marks or Marks([(cursor, cursor)] if cursor is not None else ())

    def action_profile(self) -> None:
        """To its profile at that moment."""
        self.in_turn(lambda: self._with_profile(lambda *whose: self.post_message(ShowProfile(*whose))))

    def action_forget(self) -> None:
        """Erase its profile."""
        self.in_turn(
            lambda: self._with_profile(lambda profile, group, _: self._changes.forget(profile, group))
        )

    def action_compose(self) -> None:
        """Record an operation on its profile."""
        self.in_turn(
            lambda: self._with_profile(lambda profile, group, _: self._changes.compose(profile, group))
        )

    def _with_profile(self, act: Callable[[str, str | None, int], object]) -> None:
        seq = self.table.cursor

        def found(entry: Entry | None) -> None:
            if entry is None:
                self.say("No entry is selected.")
            elif entry.profile is None:
                self.say("This entry has no profile.")
            else:
                act(entry.profile, entry.group_key, entry.seq)

        self.ask(lambda: self._gateway.entry(seq) if seq is not None else None, found, group="profile")

    def action_copy(self) -> None:
        """Copy the marked entries as JSON Lines, or the current one as JSON."""
        if not self.table.marks:
            text = self._gateway.text_of
            self._copy("JSON", lambda seq: text(seq, copied), f"{self.key('journal.export')} writes a file.")
            return
        marks, more = self.table.marks, f"{self.key('journal.export')} writes a file."
        read = partial(self._gateway.lines_of, list(marks.filters()), more)
        self.in_turn(lambda: self.copy(read, f"{len(marks):,} marked as JSON Lines", more))

    def action_copy_test(self) -> None:
        """Copy the history of its profile as a test."""
        self._copy("a test", self._gateway.test_of, "`restante export seq=..{}` writes the entries out.")

    def _copy(self, what: str, read: Callable[[int], str], otherwise: str) -> None:
        def act() -> None:
            if (seq := self.table.cursor) is not None:
                self.copy(lambda: read(seq), f"#{seq:,} as {what}", otherwise.format(seq))

        self.in_turn(act)

    # --- marks

    def action_mark(self) -> None:
        """Mark, or take the mark away."""
        self.in_turn(self.table.mark)

    def action_mark_all(self) -> None:
        """Mark all that match."""

        def act() -> None:
            query, marks = self._query, self.table.marks
            self.ask(
                lambda: marks.with_runs(self._gateway.runs(query, stopped)),
                self.table.set_marks,
                group="mark",
                words="Marking",
                on_stop=self.go_on,
            )

        self.in_turn(act)

    def clear_marks(self) -> None:
        """Take all marks away."""
        self.table.set_marks(Marks())

    def action_export(self) -> None:
        """Ask at once for the name of a file: it is typed while the cursor, or the marks, are still on their way."""
        name = f"{self._gateway.path.stem}-entries.jsonl"
        self.prompt.open("export", "export to ", name, "the name of a new file", check=refusal)

    def export_to(self, name: str) -> None:
        """Write the marked entries, or the current one, to a new file."""

        def act() -> None:
            filters = list(self.chosen.filters())
            if not filters:
                self.say("There is no entry to export.")
                return
            self.ask(
                lambda: write(name, self._gateway.exported(filters, stopped)),
                self.say,
                group="export",
                words="Exporting",
            )

        self.in_turn(act)

    # --- decisions

    def action_retry(self) -> None:
        """Retry the marked entries, or the current one."""
        self.in_turn(lambda: self._decide(Verb.RETRY))

    def action_discard(self) -> None:
        """Discard the marked entries, or the current one."""
        self.in_turn(lambda: self._decide(Verb.DISCARD))

    def _decide(self, verb: Verb) -> None:
        marks = self.table.marks
        self._changes.decide(verb, list(self.chosen.filters()), (marks, self._query) if marks else None)

    def action_edit(self) -> None:
        """Give it another message."""

        def act() -> None:
            if (seq := self.table.cursor) is not None:
                self._changes.edit(seq)

        self.in_turn(act)
